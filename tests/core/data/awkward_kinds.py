"""Awkward Excel, JSON lines and Parquet files: the bytes of each, and what must come out to the letter."""

import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from core.data.records import MAX_COLUMNS, MAX_FIELD, MAX_RECORD
from core.data.tables import Kind, Reject, Row
from tests.core.data.awkward_tables import ID_TEXT, rows

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CONTENT = "application/vnd.openxmlformats-officedocument.spreadsheetml"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts count="3"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd\\ hh:mm"/>'
    '<numFmt numFmtId="165" formatCode="[h]:mm:ss"/><numFmt numFmtId="166" formatCode="[Red]0.0&quot; days&quot;"/>'
    '</numFmts><cellStyleXfs><xf numFmtId="14"/></cellStyleXfs><cellXfs count="7"><xf numFmtId="0"/>'
    '<xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/><xf numFmtId="20"/><xf numFmtId="166"/>'
    '<xf numFmtId="10"/></cellXfs></styleSheet>'
)
HEADER = (
    '<row r="1"><c r="A1" t="inlineStr"><is><t>id</t></is></c><c r="B1" t="inlineStr"><is><t>text</t></is></c></row>'
)


@dataclass(frozen=True)
class ReadableFile:
    """A file that is converted, and every Row and Reject in it."""

    name: str
    kind: Kind
    data: bytes
    columns: tuple[str, ...]
    records: tuple[Row | Reject, ...] = ()
    header_line: int = 0
    encoding: str = "utf-8"
    has_header: bool = True
    sheet: str | None = None
    is_guessed: bool = False
    asked_encoding: str | None = None
    asked_header: bool | None = None
    asked_sheet: str | None = None


@dataclass(frozen=True)
class RefusedFile:
    """A file that must be refused with a sentence that holds each of the words."""

    name: str
    kind: Kind
    data: bytes
    words: tuple[str, ...]
    asked_encoding: str | None = None
    asked_sheet: str | None = None


def workbook(
    *sheets: str,
    names: tuple[str, ...] = ("Sheet1", "Sheet2", "Sheet3"),
    states: tuple[str, ...] = ("visible",) * 3,
    shared: str = "",
    properties: str = "",
    parts: dict[str, str | bytes] | None = None,
    method: int = zipfile.ZIP_DEFLATED,
) -> bytes:
    """Build a workbook of sheets, each given as its rows; ``parts`` replace parts of the archive."""
    numbers = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{names[number - 1]}" sheetId="{number}" state="{states[number - 1]}" r:id="rId{number}"/>'
        for number in numbers
    )
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{OFFICE}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in numbers
    )
    content: dict[str, str | bytes] = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        f'<Override PartName="/xl/workbook.xml" ContentType="{CONTENT}.sheet.main+xml"/>'
        f'<Override PartName="/xl/sharedStrings.xml" ContentType="{CONTENT}.sharedStrings+xml"/></Types>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{properties}<sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}">{relations}'
        f'<Relationship Id="rId8" Type="{OFFICE}/styles" Target="styles.xml"/>'
        f'<Relationship Id="rId9" Type="{OFFICE}/sharedStrings" Target="/xl/sharedStrings.xml"/></Relationships>',
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{shared}</sst>',
    }
    for number, sheet in zip(numbers, sheets, strict=True):
        content[f"xl/worksheets/sheet{number}.xml"] = (
            f'<worksheet xmlns="{MAIN}"><sheetData>{sheet}</sheetData></worksheet>'
        )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, text in (content | (parts or {})).items():
            archive.writestr(name, text)
    return buffer.getvalue()


def sheet_row(number: int, *cells: str) -> str:
    """Build a row from cells whose place is ``@``, put one after the other from column A."""
    placed = (cell.replace("@", f"{letter}{number}") for letter, cell in zip("ABCDEFGHIJKLMNOP", cells, strict=False))
    return f'<row r="{number}">{"".join(placed)}</row>'


def text_cell(text: str) -> str:
    """Build a cell with its text inside."""
    return f'<c r="@" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


def number_cell(number: str, style: int = 0) -> str:
    """Build a cell with a number."""
    return f'<c r="@" s="{style}"><v>{number}</v></c>'


def typed_cell(kind: str, value: str) -> str:
    """Build a cell of a type."""
    return f'<c r="@" t="{kind}"><v>{value}</v></c>'


def table_of(*columns: tuple[str, list[Any], pa.DataType | None]) -> bytes:
    """Build a Parquet file of columns; names may stand twice."""
    arrays = [pa.array(values, kind) for _, values, kind in columns]
    return parquet(pa.Table.from_arrays(arrays, names=[name for name, _, _ in columns]))


def parquet(table: pa.Table) -> bytes:
    """Build a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def json_lines(*objects: Any) -> bytes:
    """Build JSON lines."""
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in objects).encode()


def damaged(data: bytes, place: int, length: int = 40) -> bytes:
    """Overwrite bytes."""
    return data[:place] + b"\xaa" * length + data[place + length :]


def zip_bomb(unpacked: int, declared: int, filler: bytes = b"\0") -> bytes:
    """Build a workbook whose first sheet unpacks to so many bytes of ``filler``, and declares a size.

    The compressed pieces are one and the same piece, repeated, so that it takes no time to build; a checksum is
    missing, which a reader finds out only at the end.
    """
    piece = 2**24
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = compressor.compress(filler * piece) + compressor.flush(zlib.Z_FULL_FLUSH)
    body = packed * (unpacked // piece) + b"\x03\0"
    whole = io.BytesIO(workbook("", parts={"xl/worksheets/sheet1.xml": ""}))
    with zipfile.ZipFile(whole) as archive:
        parts = {info.filename: archive.read(info) for info in archive.infolist()}
    out, directory = io.BytesIO(), b""
    for name, content in parts.items():
        is_bomb = name.endswith("sheet1.xml")
        encoded, data, size = name.encode(), body if is_bomb else content, declared if is_bomb else len(content)
        method, crc = 8 if is_bomb else 0, 0 if is_bomb else zlib.crc32(content)
        extra = struct.pack("<HHQ", 1, 8, size) if size >= 2**32 else b""
        shown_size = 2**32 - 1 if extra else size
        fields = (20, 0, method, 0, 0, crc, len(data), shown_size, len(encoded), len(extra))
        directory += struct.pack("<4sHHHHHHIIIHH", b"PK\1\2", 20, *fields) + struct.pack(
            "<HHHII", 0, 0, 0, 0, out.tell()
        )
        directory += encoded + extra
        out.write(struct.pack("<4sHHHHHIIIHH", b"PK\3\4", *fields) + encoded + extra + data)
    start = out.tell()
    out.write(directory + struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, len(parts), len(parts), len(directory), start, 0))
    return out.getvalue()


SHEETS = (
    ReadableFile(
        "every-kind-of-cell",
        "xlsx",
        workbook(
            sheet_row(1, *[text_cell(name) for name in "abcdefghij"])
            + sheet_row(
                2,
                typed_cell("s", "0"),
                typed_cell("str", "NA"),
                number_cell("5"),
                number_cell("0.30000000000000004"),
                typed_cell("b", "1"),
                typed_cell("e", "#N/A"),
                typed_cell("d", "2024-01-02T03:04:05"),
                number_cell("12345678901234567890"),
                number_cell("1.2345678901234599E+17"),
                number_cell("1E+300"),
            ),
            shared="<si><t>shared</t></si>",
        ),
        tuple("abcdefghij"),
        (
            Row(
                2,
                (
                    "shared",
                    "NA",
                    "5",
                    "0.3",
                    "true",
                    "#N/A",
                    "2024-01-02T03:04:05",
                    "12345678901234567890",
                    "123456789012346000",
                    "1e+300",
                ),
            ),
        ),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "dates-and-times",
        "xlsx",
        workbook(
            sheet_row(1, *[text_cell(name) for name in "abcdefgh"])
            + sheet_row(
                2,
                number_cell("45000", 1),
                number_cell("45000.5", 2),
                number_cell("1.5", 3),
                number_cell("0.25", 4),
                number_cell("45000.25", 5),
                number_cell("0.5", 6),
                number_cell("45000.000011574", 1),
                number_cell("-5", 1),
            )
            + sheet_row(
                3,
                number_cell("1", 1),
                number_cell("59", 1),
                number_cell("60", 1),
                number_cell("61", 1),
                number_cell("0.000017361", 3),
                number_cell("1E+300", 1),
                number_cell("0.5", 1),
            ),
        ),
        tuple("abcdefgh"),
        (
            Row(
                2,
                (
                    "2023-03-15",
                    "2023-03-15T12:00:00",
                    "36:00:00",
                    "06:00:00",
                    "45000.25",
                    "0.5",
                    "2023-03-15T00:00:01",
                    "-5",
                ),
            ),
            Row(3, ("1900-01-01", "1900-02-28", "1900-02-28", "1900-03-01", "0:00:01.500", "1e+300", "12:00:00", "")),
        ),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "dates-counted-from-1904",
        "xlsx",
        workbook(
            HEADER + sheet_row(2, number_cell("1", 1), number_cell("43538", 1)), properties='<workbookPr date1904="1"/>'
        ),
        ID_TEXT,
        rows(2, ("1904-01-02", "2023-03-15")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "texts-to-the-letter",
        "xlsx",
        workbook(
            HEADER
            + sheet_row(2, text_cell("  spaces  "), text_cell("a&#10;b&#13;c&#9;d"))
            + sheet_row(3, text_cell("_x000D__x0041__x005F_x0041_ _xZZZZ_"), text_cell("😀 &lt;b&gt;"))
            + sheet_row(4, text_cell("007"), text_cell("=1+1"))
            + sheet_row(5, text_cell("&quot;a&quot;, b"), text_cell("NA"))
            + sheet_row(6, typed_cell("s", "0"), typed_cell("s", "1")),
            shared="<si><t>a_x000D_b_x005F_x000D_</t></si><si><t>index005F_</t></si>",
        ),
        ID_TEXT,
        rows(
            2,
            ("  spaces  ", "a\nb\rc\td"),
            ("\rA_x0041_ _xZZZZ_", "😀 <b>"),
            ("007", "=1+1"),
            ('"a", b', "NA"),
            ("a\rb_x000D_", "index005F_"),
        ),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "runs-and-pronunciation",
        "xlsx",
        workbook(
            HEADER + sheet_row(2, typed_cell("s", "0"), typed_cell("s", "1")),
            shared='<si><r><t xml:space="preserve">rich </t></r><r><rPr><b/></rPr><t>text</t></r>'
            '<rPh sb="0" eb="1"><t>note</t></rPh></si><si/>',
        ),
        ID_TEXT,
        rows(2, ("rich text", "")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "blank-rows-and-a-table-that-begins-late",
        "xlsx",
        workbook(
            '<row r="1"/>'
            + "".join(
                f'<row r="{number}"><c r="C{number}" t="str"><v>{first}</v></c><c r="D{number}" t="str"><v>{second}</v></c></row>'
                for number, first, second in [(4, "id", "text"), (5, "1", "good"), (8, "2", "bad")]
            )
            + '<row r="9"><c r="A9" s="1"/></row>'
        ),
        ID_TEXT,
        (Row(5, ("1", "good")), Reject(6, "blank row", ""), Reject(7, "blank row", ""), Row(8, ("2", "bad"))),
        header_line=4,
        sheet="Sheet1",
    ),
    ReadableFile(
        "one-column-with-a-blank-row",
        "xlsx",
        workbook(sheet_row(1, text_cell("text")) + sheet_row(2, text_cell("a")) + sheet_row(4, text_cell("b"))),
        ("text",),
        rows(2, ("a",), ("",), ("b",)),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "index-column-without-a-name",
        "xlsx",
        workbook(
            '<row r="1"><c r="B1" t="str"><v>text</v></c></row>' + sheet_row(2, number_cell("0"), text_cell("good"))
        ),
        ("", "text"),
        rows(2, ("0", "good")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "rows-and-cells-without-places",
        "xlsx",
        workbook(
            "<row><c t='str'><v>id</v></c><c t='str'><v>text</v></c></row><row><c><v>1</v></c><c t='str'><v>a</v></c></row>"
        ),
        ID_TEXT,
        rows(2, ("1", "a")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "namespace-prefixes",
        "xlsx",
        workbook(
            "",
            parts={
                "xl/worksheets/sheet1.xml": f'<x:worksheet xmlns:x="{MAIN}"><x:sheetData><x:row r="1"><x:c r="A1" t="str">'
                '<x:v>text</x:v></x:c></x:row><x:row r="2"><x:c r="A2" t="str"><x:v>good</x:v></x:c></x:row>'
                "</x:sheetData></x:worksheet>"
            },
        ),
        ("text",),
        rows(2, ("good",)),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "stored-without-compression",
        "xlsx",
        workbook(HEADER + sheet_row(2, number_cell("1"), text_cell("a")), method=zipfile.ZIP_STORED),
        ID_TEXT,
        rows(2, ("1", "a")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "a-size-that-the-sheet-does-not-have",
        "xlsx",
        workbook(
            "",
            parts={
                "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><dimension ref="A1:A1"/><sheetData>{HEADER}'
                f"{sheet_row(2, number_cell('1'), text_cell('a'))}</sheetData></worksheet>"
            },
        ),
        ID_TEXT,
        rows(2, ("1", "a")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "what-is-wrong-beside-the-cells",
        "xlsx",
        workbook(
            f"{HEADER}{sheet_row(2, number_cell('1'), text_cell('a'))}</sheetData><conditionalFormatting sqref='x'>"
            "<cfRule type='x'/></conditionalFormatting><mergeCells><mergeCell ref='x'/></mergeCells><extLst/><sheetData>"
        ),
        ID_TEXT,
        rows(2, ("1", "a")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "first-visible-sheet",
        "xlsx",
        workbook(
            sheet_row(1, text_cell("no")), sheet_row(1, text_cell("yes")), states=("hidden", "visible", "visible")
        ),
        ("yes",),
        header_line=1,
        sheet="Sheet2",
    ),
    ReadableFile(
        "asked-sheet",
        "xlsx",
        workbook(sheet_row(1, text_cell("no")), sheet_row(1, text_cell("yes")), names=("a", "b &lt;é&gt;")),
        ("yes",),
        header_line=1,
        sheet="b <é>",
        asked_sheet="b <é>",
    ),
    ReadableFile(
        "header-guessed-away",
        "xlsx",
        workbook(sheet_row(3, number_cell("1"), text_cell("good")) + sheet_row(4, number_cell("2"), text_cell("bad"))),
        ("column 1", "column 2"),
        rows(3, ("1", "good"), ("2", "bad")),
        header_line=2,
        has_header=False,
        sheet="Sheet1",
    ),
    ReadableFile(
        "header-asked",
        "xlsx",
        workbook(sheet_row(1, number_cell("1"), text_cell("good")) + sheet_row(2, number_cell("2"), text_cell("bad"))),
        ("1", "good"),
        rows(2, ("2", "bad")),
        header_line=1,
        sheet="Sheet1",
        asked_header=True,
    ),
    ReadableFile(
        "equal-and-empty-names",
        "xlsx",
        workbook(
            sheet_row(1, text_cell("x"), text_cell(""), text_cell("x"))
            + sheet_row(2, text_cell("a"), text_cell("b"), text_cell("c"))
        ),
        ("x", "", "x"),
        rows(2, ("a", "b", "c")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "spaces-and-a-text-without-measure",
        "xlsx",
        workbook(
            sheet_row(1, text_cell("a"))
            + " " * 2**24
            + sheet_row(2, text_cell("x" * 2**24))
            + f"<!-- {'x' * 2**20} -->"
            + sheet_row(3, text_cell("b"))
        ),
        ("a",),
        (Reject(2, "a field of over 1,048,576 characters", "x" * 1_000 + "…"), Row(3, ("b",))),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile("header-only-sheet", "xlsx", workbook(HEADER), ID_TEXT, header_line=1, sheet="Sheet1"),
    ReadableFile(
        "columns-called-as-ours",
        "xlsx",
        workbook(
            sheet_row(1, text_cell("line"), text_cell("reason")) + sheet_row(2, text_cell("x"), text_cell("good price"))
        ),
        ("line", "reason"),
        rows(2, ("x", "good price")),
        header_line=1,
        sheet="Sheet1",
    ),
    ReadableFile(
        "rows-at-fault",
        "xlsx",
        workbook(
            HEADER
            + sheet_row(2, number_cell("1"), typed_cell("s", "99"))
            + sheet_row(3, number_cell("2"), text_cell("a_x0000_b"))
            + sheet_row(4, number_cell("3"), text_cell("half _xD83D_"))
            + sheet_row(5, number_cell("4"), text_cell("x" * (MAX_FIELD + 1)))
            + '<row r="6"><c r="A6"><v>5</v></c><c r="A6"><v>6</v></c></row>'
            + sheet_row(7, number_cell("6"), typed_cell("s", "-1"))
            + "".join(sheet_row(number, number_cell(str(number)), text_cell("a")) for number in range(8, 60))
            + '<row r="60"><c r="A60"><v>7</v></c><c r="AB60"><v>6</v></c></row>',
            shared="<si><t>one</t></si>",
        ),
        ID_TEXT,
        (
            Reject(2, "the text of column B is missing from the workbook", "1"),
            Reject(3, "a NUL character", "2,a\\x00b"),
            Reject(4, "half a character (a lone surrogate)", "3,half \\ud83d"),
            Reject(5, "a field of over 1,048,576 characters", "4," + "x" * 998 + "…"),
            Reject(6, "two cells in column A", "6"),
            Reject(7, "the text of column B is missing from the workbook", "6"),
            *rows(8, *[(str(number), "a") for number in range(8, 60)]),
            Reject(60, "a value in column AB, where the table has columns A to B", "7,6"),
        ),
        header_line=1,
        sheet="Sheet1",
    ),
)

LINES = (
    ReadableFile(
        "keys-in-order-of-appearance",
        "jsonl",
        json_lines({"id": 1, "text": "a"}, {"text": "b", "stars": 5}, {"id": 3}),
        ("id", "text", "stars"),
        rows(1, ("1", "a", ""), ("", "b", "5"), ("3", "", "")),
    ),
    ReadableFile(
        "numbers-as-written",
        "jsonl",
        b'{"a": 1.10, "b": 12345678901234567890123, "c": 1E5, "d": -0, "e": NaN, "f": 1e999}\n',
        tuple("abcdef"),
        rows(1, ("1.10", "12345678901234567890123", "1E5", "-0", "NaN", "1e999")),
    ),
    ReadableFile(
        "a-number-of-ten-thousand-digits",
        "jsonl",
        b'{"a": ' + b"7" * 10_000 + b"}\n",
        ("a",),
        rows(1, ("7" * 10_000,)),
    ),
    ReadableFile(
        "words-that-mean-something",
        "jsonl",
        b'{"a": null, "b": true, "c": false, "d": "null", "e": "NA", "f": ""}\n',
        tuple("abcdef"),
        rows(1, ("", "true", "false", "null", "NA", "")),
    ),
    ReadableFile(
        "nested-values",
        "jsonl",
        b'{"a": {"b": [1.50, null, true, "\\u00e9\\""], "c": {}}, "d": [], "e": [[[1]]]}\n',
        ("a", "d", "e"),
        rows(1, ('{"b":[1.50,null,true,"é\\""],"c":{}}', "[]", "[[[1]]]")),
    ),
    ReadableFile(
        "strings-to-the-letter",
        "jsonl",
        b'{"a": " x\\n\\ty\\r ", "b": "\\ud83d\\ude00 \xe2\x80\xa8 \xc3\xa9", "c": "=1+1", "d": "a,\\"b\\""}\n',
        tuple("abcd"),
        rows(1, (" x\n\ty\r ", "😀 \u2028 é", "=1+1", 'a,"b"')),
    ),
    ReadableFile(
        "lines-at-fault",
        "jsonl",
        b'{"a": 1}\n{"a": 2\n\n[1]\n"text"\n{"a": "\\u0000"}\n{"a": "\\ud800"}\n{"a": 1, "a": 2}\n{"a": {"b": 1, "b": 2}}\n'
        b'{"a": "\xff"}\n{"a": 3}{"a": 4}\n{"a": 9}\n\n',
        ("a",),
        (
            Row(1, ("1",)),
            Reject(2, "not JSON: expecting ',' delimiter at character 9", '{"a": 2'),
            Reject(3, "blank line", ""),
            Reject(4, "JSON, but no object with keys", "[1]"),
            Reject(5, "JSON, but no object with keys", '"text"'),
            Reject(6, "a NUL character", "\\x00"),
            Reject(7, "half a character (a lone surrogate)", "\\ud800"),
            Reject(8, "an object has a key twice", '{"a": 1, "a": 2}'),
            Reject(9, "an object has a key twice", '{"a": {"b": 1, "b": 2}}'),
            Reject(10, "byte 0xff does not fit the encoding", '{"a": "\\xff"}'),
            Reject(11, "not JSON: extra data at character 9", '{"a": 3}{"a": 4}'),
            Row(12, ("9",)),
        ),
        is_guessed=False,
        asked_encoding="utf-8",
    ),
    ReadableFile(
        "deep-and-long-lines",
        "jsonl",
        b'{"a": 1}\n{"a": '
        + b"[" * 100_000
        + b'\n{"a": '
        + b"[" * 700
        + b"]" * 700
        + b'}\n{"a": "'
        + b"x" * 20_000_000
        + b'"}\n{"a": "'
        + b"x" * (MAX_FIELD + 1)
        + b'"}\n{"a": 2}',
        ("a",),
        (
            Row(1, ("1",)),
            Reject(2, "nested too deeply", '{"a": ' + "[" * 994 + "…"),
            Reject(3, "nested too deeply", ('{"a": ' + "[" * 700 + "]" * 700)[:1_000] + "…"),
            Reject(4, f"the line is longer than {MAX_RECORD:,} characters", '{"a": "' + "x" * 993 + "…"),
            Reject(5, f"a field of over {MAX_FIELD:,} characters", "x" * 1_000 + "…"),
            Row(6, ("2",)),
        ),
    ),
    ReadableFile(
        "row-too-long-in-all",
        "jsonl",
        json_lines(
            {"a": "y"},
            {key: "é" * 690_000 for key in "abc"},
            {key: "é" * 700_000 for key in "abc"},
        ),
        ("a", "b", "c"),
        (
            Row(1, ("y", "", "")),
            Row(2, ("é" * 690_000,) * 3),
            Reject(3, f"the line is longer than {MAX_RECORD:,} characters", '{"a": "' + "é" * 993 + "…"),
        ),
    ),
    ReadableFile(
        "mark-and-windows-line-ends",
        "jsonl",
        b"\xef\xbb\xbf" + b'{"a": "x"}\r\n{"a": "y"}\r\n',
        ("a",),
        rows(1, ("x",), ("y",)),
        encoding="utf-8-sig",
    ),
    ReadableFile(
        "json-lines-in-utf-16",
        "jsonl",
        '\ufeff{"a": "é"}\n{"a": "y"}\n'.encode("utf-16-le"),
        ("a",),
        rows(1, ("é",), ("y",)),
        encoding="utf-16",
    ),
    ReadableFile(
        "json-lines-in-a-code-page",
        "jsonl",
        '{"a": "café"}\n'.encode("cp1252"),
        ("a",),
        rows(1, ("café",)),
        encoding="cp1252",
        is_guessed=True,
    ),
    ReadableFile(
        "blank-lines-first-and-no-line-end",
        "jsonl",
        b'\n\n{"a": "x"}',
        ("a",),
        (Reject(1, "blank line", ""), Reject(2, "blank line", ""), Row(3, ("x",))),
    ),
    ReadableFile("empty-key", "jsonl", b'{"": "x", "b": "y"}\n', ("", "b"), rows(1, ("x", "y"))),
    ReadableFile(
        "as-many-keys-as-allowed",
        "jsonl",
        json_lines({f"k{number}": number for number in range(MAX_COLUMNS)}),
        tuple(f"k{number}" for number in range(MAX_COLUMNS)),
        rows(1, tuple(map(str, range(MAX_COLUMNS)))),
    ),
    ReadableFile(
        "first-line-longer-than-a-page",
        "jsonl",
        json_lines({"a": "x" * 20_000}, {"a": "y"}),
        ("a",),
        rows(1, ("x" * 20_000,), ("y",)),
    ),
)

BERLIN = pa.timestamp("ms", "Europe/Berlin")
COLUMNS = (
    ReadableFile(
        "every-kind-of-number",
        "parquet",
        table_of(
            ("a", [5.0, 0.1, 1e17, None, float("nan")], pa.float64()),
            ("b", [0.1, 1e10, 3, -0.0, float("inf")], pa.float32()),
            ("c", [2**63, 0, None, 1, 2], pa.uint64()),
            ("d", [Decimal("1.50"), None, Decimal("-2.00"), Decimal("0.00"), Decimal("99.99")], pa.decimal128(4, 2)),
            ("e", [True, False, None, True, True], pa.bool_()),
        ),
        tuple("abcde"),
        rows(
            1,
            ("5", "0.1", "9223372036854775808", "1.50", "true"),
            ("0.1", "10000000000", "0", "", "false"),
            ("100000000000000000", "3", "", "-2.00", ""),
            ("", "-0", "1", "0.00", "true"),
            ("nan", "inf", "2", "99.99", "true"),
        ),
    ),
    ReadableFile(
        "every-kind-of-moment",
        "parquet",
        table_of(
            ("a", [datetime(2024, 1, 2, 3, 4, 5), None], pa.timestamp("us")),
            ("b", [datetime(2024, 1, 2, 3, 4, 5, 120_000, UTC), None], pa.timestamp("us", "UTC")),
            ("c", [datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), None], BERLIN),
            ("d", [date(2024, 2, 29), None], pa.date32()),
            ("e", [time(1, 2, 3, 4_000), None], pa.time64("us")),
            ("f", [1_500_000_001, None], pa.timestamp("ns")),
            ("g", [timedelta(days=1, seconds=1), None], pa.duration("s")),
        ),
        tuple("abcdefg"),
        rows(
            1,
            (
                "2024-01-02T03:04:05",
                "2024-01-02T03:04:05.12Z",
                "2024-01-02T04:04:05+01:00",
                "2024-02-29",
                "01:02:03.004",
                "1970-01-01T00:00:01.500000001",
                "1 day, 0:00:01",
            ),
            ("",) * 7,
        ),
    ),
    ReadableFile(
        "texts-of-every-kind",
        "parquet",
        table_of(
            ("a", ["NA", "", None], pa.string()),
            ("b", [" é\n😀", '"x", y', "=1"], pa.large_string()),
            ("c", ["x", "y", "x"], pa.dictionary(pa.int32(), pa.string())),
            ("d", [b"caf\xc3\xa9", b"", None], pa.binary()),
            ("e", [None, None, None], pa.null()),
        ),
        tuple("abcde"),
        rows(1, ("NA", " é\n😀", "x", "café", ""), ("", '"x", y', "y", "", ""), ("", "=1", "x", "", "")),
    ),
    ReadableFile(
        "nested-columns",
        "parquet",
        table_of(
            ("a", [[1, None], []], pa.list_(pa.int64())),
            ("b", [{"x": 1.5, "y": "é"}, None], None),
            ("c", [[("k", date(2024, 1, 2))], None], pa.map_(pa.string(), pa.date32())),
        ),
        ("a", "b", "c"),
        rows(1, ("[1,null]", '{"x":1.5,"y":"é"}', '[["k","2024-01-02"]]'), ("[]", "", "")),
    ),
    ReadableFile(
        "rows-at-fault-in-parquet",
        "parquet",
        parquet(
            pa.table(
                {
                    "id": pa.array([1, 2, 3, 4, 5]),
                    "text": pa.array([b"ok", b"\xff\xfe", b"a\0b", b"x" * (MAX_FIELD + 1), b"fine"]).view(pa.string()),
                }
            )
        ),
        ID_TEXT,
        (
            Row(1, ("1", "ok")),
            Reject(2, "bytes that are no text in the column 'text'", "2,"),
            Reject(3, "a NUL character", "3,a\\x00b"),
            Reject(4, f"a field of over {MAX_FIELD:,} characters", "4," + "x" * 998 + "…"),
            Row(5, ("5", "fine")),
        ),
    ),
    ReadableFile(
        "nothing-but-quotes",
        "parquet",
        table_of(("a", ['"' * 500_000, '"' * MAX_FIELD], None), ("b", ["x", "y"], None)),
        ("a", "b"),
        (
            Row(1, ('"' * 500_000, "x")),
            Reject(2, f"the row is longer than {MAX_RECORD:,} characters", '"' * 1_000 + "…"),
        ),
    ),
    ReadableFile(
        "moment-out-of-reach",
        "parquet",
        table_of(("a", [2**62, 0], pa.timestamp("ms")), ("b", ["x", "y"], pa.string())),
        ("a", "b"),
        (
            Reject(1, "a value that cannot be written as text in the column 'a'", ",x"),
            Row(2, ("1970-01-01T00:00:00", "y")),
        ),
    ),
    ReadableFile(
        "equal-and-empty-names-in-parquet",
        "parquet",
        table_of(("x", ["a"], None), ("", ["b"], None), ("x", ["c"], None)),
        ("x", "", "x"),
        rows(1, ("a", "b", "c")),
    ),
    ReadableFile("no-rows", "parquet", table_of(("a", [], pa.string())), ("a",)),
    ReadableFile(
        "more-rows-than-a-batch",
        "parquet",
        table_of(("a", list(range(2_500)), None)),
        ("a",),
        rows(1, *[(str(number),) for number in range(2_500)]),
    ),
)

ONE_ROW = workbook(HEADER + sheet_row(2, number_cell("1"), text_cell("a")))
ONE_TABLE = table_of(("text", [f"review {number}" for number in range(1_000)], None))
STRICT = {
    "xl/workbook.xml": '<workbook xmlns="http://purl.oclc.org/ooxml/spreadsheetml/main" '
    'xmlns:r="http://purl.oclc.org/ooxml/officeDocument/relationships" conformance="strict"><sheets>'
    '<sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
}
LAUGHS = (  # two characters that become two billion
    '<!DOCTYPE x [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{depth} "{f"&a{depth - 1};" * 10}">' for depth in range(1, 10))
    + "]>"
)
ONE_LAUGH = f'<!DOCTYPE x [<!ENTITY a "{"ha" * 50_000}">]>'


def laughing(rest: str, laughs: str = LAUGHS) -> str:
    """Build a sheet of one cell whose entities unpack to far more than they are."""
    return (
        f'{laughs}<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="A1" t="str"><v>{rest}</v></c></row></sheetData>'
        "</worksheet>"
    )


REFUSED_FILES = (
    RefusedFile("sheet-without-a-cell", "xlsx", workbook(""), ("sheet 'Sheet1': it is empty",)),
    RefusedFile("no-such-sheet", "xlsx", ONE_ROW, ("no sheet 'x'. Choose one of 'Sheet1'.",), asked_sheet="x"),
    RefusedFile(
        "ten-gigabytes-of-zeros", "xlsx", zip_bomb(10 * 2**30, 10 * 2**30), ("unpacks to 10.7 GB", "at most 4 GB")
    ),
    RefusedFile("ten-gigabytes-that-say-they-are-small", "xlsx", zip_bomb(10 * 2**30, 10_000), ("is damaged",)),
    RefusedFile(
        "sheet-of-zeros", "xlsx", zip_bomb(2**24, 2**24), ("sheet 'Sheet1': the workbook is damaged (not well-formed",)
    ),
    RefusedFile(
        "entities-of-entities",
        "xlsx",
        workbook("", parts={"xl/worksheets/sheet1.xml": laughing("&a9;")}),
        ("sheet 'Sheet1': the workbook is damaged", "amplification"),
    ),
    RefusedFile(
        "entities-of-entities-in-the-shared-texts",
        "xlsx",
        workbook(HEADER, parts={"xl/sharedStrings.xml": f'{LAUGHS}<sst xmlns="{MAIN}"><si><t>&a9;</t></si></sst>'}),
        ("sheet 'Sheet1': the workbook is damaged", "amplification"),
    ),
    RefusedFile(
        "entities-of-entities-in-the-styles",
        "xlsx",
        workbook(HEADER, parts={"xl/styles.xml": f'{LAUGHS}<styleSheet xmlns="{MAIN}">&a9;</styleSheet>'}),
        ("the workbook is damaged", "amplification"),
    ),
    RefusedFile(
        "one-entity-many-times",
        "xlsx",
        workbook("", parts={"xl/worksheets/sheet1.xml": laughing("&a;" * 100_000, ONE_LAUGH)}),
        ("sheet 'Sheet1': the workbook is damaged", "amplification"),
    ),
    RefusedFile(
        "entity-of-another-file",
        "xlsx",
        workbook(
            "", parts={"xl/worksheets/sheet1.xml": laughing("&a;", '<!DOCTYPE x [<!ENTITY a SYSTEM "/etc/passwd">]>')}
        ),
        ("the workbook is damaged (undefined entity &a;",),
    ),
    RefusedFile(
        "tag-without-an-end",
        "xlsx",
        workbook('<row r="1"><c r="' + "A" * 2**22 + '"/></row>'),
        ("sheet 'Sheet1': the workbook is damaged",),
    ),
    RefusedFile(
        "sheet-that-is-no-xml",
        "xlsx",
        workbook("<row r='1'><c"),
        ("sheet 'Sheet1': the workbook is damaged (not well-formed", "save it again"),
    ),
    RefusedFile("sheet-cut-short", "xlsx", ONE_ROW[:-400], ("the workbook is damaged",)),
    RefusedFile(
        "sheet-part-missing",
        "xlsx",
        ONE_ROW.replace(b"sheets/sheet1", b"sheets/sheet9"),
        ("no item named 'xl/worksheets/sheet1.xml'",),
    ),
    RefusedFile(
        "parts-in-another-case",
        "xlsx",
        ONE_ROW.replace(b"sharedStrings.xml", b"SharedStrings.xml"),
        ("no item named 'xl/sharedStrings.xml'",),
    ),
    RefusedFile(
        "list-of-parts-missing",
        "xlsx",
        ONE_ROW.replace(b"[Content_", b"[Comment_"),
        ("no item named '[Content_Types].xml'",),
    ),
    RefusedFile("strict-open-xml", "xlsx", workbook(HEADER, parts=STRICT), ("no sheet of cells", "Strict Open XML")),
    RefusedFile("compressed-bytes-at-fault", "xlsx", damaged(ONE_ROW, 60), ("is damaged",)),
    RefusedFile("rows-out-of-order", "xlsx", workbook('<row r="2"/><row r="1"/>'), ("row 1 stands after row 2",)),
    RefusedFile("row-with-no-such-place", "xlsx", workbook(HEADER + '<row r="x"/>'), (", after row 1: ", "float: 'x'")),
    RefusedFile(
        "row-beyond-the-last", "xlsx", workbook('<row r="9999999"/>'), ("row 9,999,999", "1,048,576 can be in order")
    ),
    RefusedFile(
        "cell-in-the-last-column",
        "xlsx",
        workbook(HEADER + '<row r="9"><c r="A9"><v>1</v></c><c r="XFD9"><v>1</v></c></row>'),
        ("row 9: its cells reach over 16,384 columns; at most 500",),
    ),
    RefusedFile(
        "cell-beyond-the-last-column",
        "xlsx",
        workbook('<row r="1"><c r="XFE1"/></row>'),
        ("row 1 has a cell behind column XFD",),
    ),
    RefusedFile(
        "cell-with-no-such-place",
        "xlsx",
        workbook('<row r="1"><c r="1A"/></row>'),
        ("sheet 'Sheet1': the workbook is damaged (", "'1A'"),
    ),
    RefusedFile(
        "number-that-is-none",
        "xlsx",
        workbook(
            HEADER + sheet_row(2, number_cell("1"), text_cell("a")) + sheet_row(3, text_cell("x"), number_cell("y"))
        ),
        ("sheet 'Sheet1', cell B3: the workbook is damaged (invalid literal for int()",),
    ),
    RefusedFile(
        "sheet-that-breaks-off",
        "xlsx",
        workbook(HEADER + sheet_row(2, number_cell("1"), text_cell("a")) + "<row r='3'><c>"),
        ("sheet 'Sheet1', after row 2: the workbook is damaged (mismatched tag",),
    ),
    RefusedFile(
        "header-at-fault",
        "xlsx",
        workbook(sheet_row(1, typed_cell("s", "7"), text_cell("x"))),
        ("row 1: the header cannot",),
    ),
    RefusedFile(
        "nul-in-a-name", "xlsx", workbook(sheet_row(1, text_cell("a_x0000_"))), ("column names", "NUL character")
    ),
    RefusedFile("workbook-without-sheets", "xlsx", workbook(), ("no sheet of cells",)),
    RefusedFile("no-object", "jsonl", b'[1]\n"a"\n', ("no line is a JSON object with a key",)),
    RefusedFile("objects-without-keys", "jsonl", b"{}\n{}\n", ("no line is a JSON object with a key",)),
    RefusedFile(
        "a-key-too-many",
        "jsonl",
        json_lines({"a": 1}, {f"k{number}": 1 for number in range(MAX_COLUMNS)}),
        ("line 2: with its keys there are 501 columns; at most 500",),
    ),
    RefusedFile("surrogate-in-a-key", "jsonl", b'{"\\ud800": 1}\n', ("column names cannot be read: half a character",)),
    RefusedFile("unknown-encoding-of-lines", "jsonl", b'{"a": 1}\n', ("'klingon' is not an encoding",), "klingon"),
    RefusedFile("utf-16-lines-read-as-another", "jsonl", b'{"a": 1}\n', ("utf-16 needs. Pass utf-16-le",), "utf-16"),
    RefusedFile("parquet-footer-at-fault", "parquet", damaged(ONE_TABLE, len(ONE_TABLE) - 60), ("cannot be read",)),
    RefusedFile("parquet-page-at-fault", "parquet", damaged(ONE_TABLE, 8), ("after row 0", "cannot be read")),
    RefusedFile("parquet-without-columns", "parquet", parquet(pa.table({})), ("has no columns",)),
    RefusedFile(
        "parquet-with-a-column-too-many",
        "parquet",
        table_of(*[(str(number), [1], None) for number in range(MAX_COLUMNS + 1)]),
        ("has 501 columns; at most 500",),
    ),
    RefusedFile("nul-in-a-parquet-name", "parquet", table_of(("a\0", ["x"], None)), ("column names", "NUL character")),
)
READABLE_FILES = SHEETS + LINES + COLUMNS
