"""Awkward tables as strangers send them: the bytes of each, and what must come out to the letter."""

import codecs
import gzip
import io
import zipfile
from dataclasses import dataclass

from core.data.records import MAX_COLUMNS, MAX_FIELD, MAX_RECORD
from core.data.tables import Reject, Row

UNCLOSED = "a quote opens a field and is not properly closed"
AFTER_QUOTE = "text follows a closing quote (a quote inside a quoted field is written twice)"
TOO_LONG = "the line is longer than 2,097,152 characters"
ID_TEXT = ("id", "text")


@dataclass(frozen=True)
class ReadableTable:
    """A file that opens, and every Row and Reject in it."""

    name: str
    data: bytes
    columns: tuple[str, ...]
    records: tuple[Row | Reject, ...] = ()
    encoding: str = "utf-8"
    delimiter: str = ","
    header_line: int = 1
    asked_encoding: str | None = None
    asked_delimiter: str | None = None
    is_guessed: bool = False
    has_header: bool = True
    asked_header: bool | None = None


@dataclass(frozen=True)
class RefusedTable:
    """A file that must be refused with a sentence that holds each of the words."""

    name: str
    data: bytes
    words: tuple[str, ...]
    asked_encoding: str | None = None
    asked_delimiter: str | None = None


def rows(first_line: int, *records: tuple[str, ...]) -> tuple[Row, ...]:
    """Number rows of one physical line each."""
    return tuple(Row(first_line + place, fields) for place, fields in enumerate(records))


def zipped(*names: str) -> bytes:
    """Build an archive of files that hold a dash each."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, "-")
    return buffer.getvalue()


TEXT_THAT_LOOKS_LIKE_SOMETHING_ELSE = (
    ReadableTable(
        "missing-value-words",
        b"id,text\n1,NA\n2,null\n3,None\n4,nan\n5,\n6,N/A\n7,#N/A\n8,NULL\n",
        ID_TEXT,
        rows(
            2,
            ("1", "NA"),
            ("2", "null"),
            ("3", "None"),
            ("4", "nan"),
            ("5", ""),
            ("6", "N/A"),
            ("7", "#N/A"),
            ("8", "NULL"),
        ),
    ),
    ReadableTable(
        "numbers-as-text",
        b"id,text\n001,1e5\n0x1F,1_000\n+7,-0\n 1 ,1.10\n",
        ID_TEXT,
        rows(2, ("001", "1e5"), ("0x1F", "1_000"), ("+7", "-0"), (" 1 ", "1.10")),
    ),
    ReadableTable(
        "true-false-dates",
        b"id,text\ntrue,2024-01-02\nFALSE,01/02/03\n",
        ID_TEXT,
        rows(2, ("true", "2024-01-02"), ("FALSE", "01/02/03")),
    ),
    ReadableTable(
        "formulas-stay-as-they-are",
        b"id,text\n1,=1+1\n2,@SUM(A1)\n",
        ID_TEXT,
        rows(2, ("1", "=1+1"), ("2", "@SUM(A1)")),
    ),
    ReadableTable(
        "comment-signs-are-text",
        b"#id,text\n#1,// no\n",
        ("#id", "text"),
        rows(2, ("#1", "// no")),
    ),
    ReadableTable(
        "html-in-a-field",
        b"id,text\n1,<html><b>good</b>\n",
        ID_TEXT,
        rows(2, ("1", "<html><b>good</b>")),
    ),
    ReadableTable("backslashes", b'id,text\n1,a\\nb\\\n2,"c\\"\n', ID_TEXT, rows(2, ("1", "a\\nb\\"), ("2", "c\\"))),
    ReadableTable("spaces-are-kept", b"id , text\n 1,  good  \n", ("id ", " text"), rows(2, (" 1", "  good  "))),
    ReadableTable("par1-as-a-column-name", b"PAR1,PAR2\n1,2\n", ("PAR1", "PAR2"), rows(2, ("1", "2"))),
    ReadableTable("bracketed-column-name", b"[id],{text}\n1,2\n", ("[id]", "{text}"), rows(2, ("1", "2"))),
)

QUOTES = (
    ReadableTable(
        "comma-newline-and-quote-in-a-field",
        b'id,text\n1,"a, ""b""\nc"\n2,d\n',
        ID_TEXT,
        (Row(2, ("1", 'a, "b"\nc')), Row(4, ("2", "d"))),
    ),
    ReadableTable(
        "every-line-end-in-one-field",
        b'id,text\n1,"a\rb\nc\r\nd"\n2,e\n',
        ID_TEXT,
        (Row(2, ("1", "a\rb\nc\r\nd")), Row(6, ("2", "e"))),
    ),
    ReadableTable(
        "blank-lines-in-a-field",
        b'id,text\n1,"\n\n\n"\n2,e\n',
        ID_TEXT,
        (Row(2, ("1", "\n\n\n")), Row(6, ("2", "e"))),
    ),
    ReadableTable(
        "quote-inside-an-unquoted-field",
        b'id,text\n1,5" screen\n2,say "hi"\n',
        ID_TEXT,
        rows(2, ("1", '5" screen'), ("2", 'say "hi"')),
    ),
    ReadableTable("only-escaped-quotes", b'id,text\n"""",""""""\n', ID_TEXT, rows(2, ('"', '""'))),
    ReadableTable("empty-quoted-fields", b'id,text\n"",""\n', ID_TEXT, rows(2, ("", ""))),
    ReadableTable(
        "single-quotes-mean-nothing",
        b"id,text\n1,'a,b'\n2,'c'\n",
        ID_TEXT,
        (Reject(2, "3 fields where the header has 2", "1,'a,b'"), Row(3, ("2", "'c'"))),
    ),
    ReadableTable(
        "text-after-a-closing-quote",
        b'id,text\n1,"a"b"\n2,c\n',
        ID_TEXT,
        (Reject(2, AFTER_QUOTE, '1,"a"b"'), Row(3, ("2", "c"))),
    ),
    ReadableTable(
        "space-after-a-closing-quote",
        b'id,text\n1,"a" \n2,c\n',
        ID_TEXT,
        (Reject(2, AFTER_QUOTE, '1,"a" '), Row(3, ("2", "c"))),
    ),
    ReadableTable(
        "space-before-an-opening-quote",
        b'id,text\n1, "a, b"\n2,c\n',
        ID_TEXT,
        (Reject(2, "3 fields where the header has 2", '1, "a, b"'), Row(3, ("2", "c"))),
    ),
    ReadableTable(
        "backslash-escaped-quote",
        b'id,text\n1,"a \\"b\\" c"\n2,d\n',
        ID_TEXT,
        (Reject(2, AFTER_QUOTE, '1,"a \\"b\\" c"'), Row(3, ("2", "d"))),
    ),
    ReadableTable(
        "never-closed-quote",
        b'id,text\n1,"a\n2,b\n3,c\n',
        ID_TEXT,
        (Reject(2, UNCLOSED, '1,"a'), *rows(3, ("2", "b"), ("3", "c"))),
    ),
    ReadableTable(
        "never-closed-quote-before-blank-lines",
        b'id,text\n1,"a\n\n3,c\n\n',
        ID_TEXT,
        (Reject(2, UNCLOSED, '1,"a'), Reject(3, "blank line", ""), Row(4, ("3", "c"))),
    ),
    ReadableTable(
        "unclosed-quote-at-the-very-end",
        b'id,text\n1,a\n2,"b',
        ID_TEXT,
        (Row(2, ("1", "a")), Reject(3, UNCLOSED, '2,"b')),
    ),
    ReadableTable(
        "unclosed-quote-that-meets-a-quoted-row",
        b'id,text\n1,"a\n2,"b"\n3,c\n',
        ID_TEXT,
        (Reject(2, UNCLOSED, '1,"a'), *rows(3, ("2", "b"), ("3", "c"))),
    ),
    ReadableTable(
        "every-line-opens-a-quote",
        b"id,text\n" + b'"abc\n' * 3,
        ID_TEXT,
        (Reject(2, UNCLOSED, '"abc'), Reject(3, UNCLOSED, '"abc'), Reject(4, UNCLOSED, '"abc')),
    ),
    ReadableTable(
        "quote-that-closes-in-the-wrong-place",
        b'id,text\n1,"a\n2,b\n3,c"\n4,d\n',
        ID_TEXT,
        (Row(2, ("1", "a\n2,b\n3,c")), Row(5, ("4", "d"))),
    ),
    ReadableTable(
        "record-of-several-lines-with-a-field-too-many",
        b'id,text\n1,"a\nb",c\n2,d\n',
        ID_TEXT,
        (Reject(2, "3 fields where the header has 2 (lines 2 to 3)", '1,"a\nb",c'), Row(4, ("2", "d"))),
    ),
    ReadableTable("quoted-header", b'"id","the ""text"""\n1,a\n', ("id", 'the "text"'), rows(2, ("1", "a"))),
    ReadableTable("header-of-two-lines", b'id,"te\nxt"\n1,a\n', ("id", "te\nxt"), (Row(3, ("1", "a")),)),
)

SHAPES = (
    ReadableTable("header-only", b"id,text\n", ID_TEXT),
    ReadableTable("header-only-without-line-end", b"id,text", ID_TEXT),
    ReadableTable("no-last-line-end", b"id,text\n1,a", ID_TEXT, rows(2, ("1", "a"))),
    ReadableTable("windows-line-ends", b"id,text\r\n1,a\r\n2,b\r\n", ID_TEXT, rows(2, ("1", "a"), ("2", "b"))),
    ReadableTable("old-mac-line-ends", b"id,text\r1,a\r2,b\r", ID_TEXT, rows(2, ("1", "a"), ("2", "b"))),
    ReadableTable("mixed-line-ends", b"id,text\r1,a\r\n2,b\n", ID_TEXT, rows(2, ("1", "a"), ("2", "b"))),
    ReadableTable(
        "doubled-carriage-returns",
        b"id,text\r\r\n1,a\r\r\n",
        ID_TEXT,
        (Reject(2, "blank line", ""), Row(3, ("1", "a"))),
    ),
    ReadableTable(
        "other-line-separators-are-text",
        "id,text\n1,a\u2028b\u0085c\x0bd\x0ce\x1cf\n".encode(),
        ID_TEXT,
        rows(2, ("1", "a\u2028b\u0085c\x0bd\x0ce\x1cf")),
    ),
    ReadableTable(
        "short-and-long-rows",
        b"id,text\n1\n2,a,b\n3,c\n",
        ID_TEXT,
        (
            Reject(2, "1 field where the header has 2", "1"),
            Reject(3, "3 fields where the header has 2", "2,a,b"),
            Row(4, ("3", "c")),
        ),
    ),
    ReadableTable(
        "trailing-comma-in-every-row",
        b"id,text\n1,a,\n2,b,\n",
        ID_TEXT,
        (Reject(2, "3 fields where the header has 2", "1,a,"), Reject(3, "3 fields where the header has 2", "2,b,")),
    ),
    ReadableTable(
        "blank-lines-between-and-at-the-end",
        b"id,text\n\n1,a\n\r\n\n2,b\n\n\n",
        ID_TEXT,
        (
            Reject(2, "blank line", ""),
            Row(3, ("1", "a")),
            Reject(4, "blank line", ""),
            Reject(5, "blank line", ""),
            Row(6, ("2", "b")),
        ),
    ),
    ReadableTable(
        "line-of-spaces",
        b"id,text\n  \n1,a\n",
        ID_TEXT,
        (Reject(2, "1 field where the header has 2", "  "), Row(3, ("1", "a"))),
    ),
    ReadableTable("rows-of-empty-fields", b"id,text\n,\n,\n", ID_TEXT, rows(2, ("", ""), ("", ""))),
    ReadableTable("header-repeated", b"id,text\n1,a\nid,text\n", ID_TEXT, rows(2, ("1", "a"), ("id", "text"))),
    ReadableTable("equal-column-names", b"text,text\na,b\n", ("text", "text"), rows(2, ("a", "b"))),
    ReadableTable("empty-column-names", b",text,\n0,a,b\n", ("", "text", ""), rows(2, ("0", "a", "b"))),
    ReadableTable("one-column", b"text\na\nb\n", ("text",), rows(2, ("a",), ("b",))),
    ReadableTable(
        "one-column-with-blank-lines",
        b'text\n\na\n\n""\n\n',
        ("text",),
        rows(2, ("",), ("a",), ("",), ("",)),
    ),
    ReadableTable(
        "one-column-with-quoted-commas",
        b'text\n"a, b"\n"c, d, e"\n',
        ("text",),
        rows(2, ("a, b",), ("c, d, e",)),
    ),
    ReadableTable(
        "list-of-texts-with-commas",
        b"text\nGood, and cheap\nNever, ever, again\nFine\n",
        ("text",),
        rows(2, ("Good, and cheap",), ("Never, ever, again",), ("Fine",)),
        delimiter=";",
    ),
    ReadableTable(
        "title-above-the-header",
        b"Export\nid,text\n1,a\n",
        ("Export",),
        (Reject(2, "2 fields where the header has 1", "id,text"), Reject(3, "2 fields where the header has 1", "1,a")),
    ),
    ReadableTable(
        "as-many-columns-as-allowed",
        b",".join([b"c"] * MAX_COLUMNS) + b"\n" + b"," * (MAX_COLUMNS - 1) + b"\n",
        ("c",) * MAX_COLUMNS,
        rows(2, ("",) * MAX_COLUMNS),
    ),
    ReadableTable(
        "a-million-commas-in-a-row",
        b"id,text\n" + b"," * 1_000_000 + b"\n1,a\n",
        ID_TEXT,
        (Reject(2, "1,000,001 fields where the header has 2", "," * 1_000 + "…"), Row(3, ("1", "a"))),
    ),
    ReadableTable(
        "a-million-quoted-fields-in-a-row",
        b"id,text\n" + b'"",' * 600_000 + b"\n1,a\n",
        ID_TEXT,
        (Reject(2, "600,001 fields where the header has 2", ('"",' * 334)[:1_000] + "…"), Row(3, ("1", "a"))),
    ),
    ReadableTable(
        "field-as-long-as-allowed",
        b"id,text\n1," + b"x" * MAX_FIELD + b"\n",
        ID_TEXT,
        rows(2, ("1", "x" * MAX_FIELD)),
    ),
    ReadableTable(
        "quoted-field-as-long-as-allowed",
        b'id,text\n1,"' + b"x" * MAX_FIELD + b'"\n',
        ID_TEXT,
        rows(2, ("1", "x" * MAX_FIELD)),
    ),
    ReadableTable(
        "field-too-long",
        b"id,text\n1," + b"x" * (MAX_FIELD + 1) + b"\n2,a\n",
        ID_TEXT,
        (
            Reject(2, "a field of 1,048,577 characters; at most 1,048,576 are read", "1," + "x" * 998 + "…"),
            Row(3, ("2", "a")),
        ),
    ),
    ReadableTable(
        "line-too-long",
        b"id,text\n1," + b"x" * 3 * MAX_RECORD + b"\n2,a\n",
        ID_TEXT,
        (Reject(2, TOO_LONG, "1," + "x" * 998 + "…"), Row(3, ("2", "a"))),
    ),
    ReadableTable(
        "line-too-long-cut-between-its-two-line-end-characters",
        b"id,text\n" + b"x" * MAX_RECORD + b"\r\n2,a\r\n",
        ID_TEXT,
        (Reject(2, TOO_LONG, "x" * 1_000 + "…"), Row(3, ("2", "a"))),
    ),
    ReadableTable(
        "lines-too-long-cut-at-lone-carriage-returns",
        b"id,text\r" + (b"x" * MAX_RECORD + b"\r") * 2 + b"2,a\r",
        ID_TEXT,
        (Reject(2, TOO_LONG, "x" * 1_000 + "…"), Reject(3, TOO_LONG, "x" * 1_000 + "…"), Row(4, ("2", "a"))),
    ),
    ReadableTable(
        "quote-not-closed-within-the-limit",
        b'id,text\n1,"a\n' + b"x" * MAX_RECORD + b'"\n2,b\n',
        ID_TEXT,
        (Reject(2, UNCLOSED, '1,"a'), Reject(3, TOO_LONG, "x" * 1_000 + "…"), Row(4, ("2", "b"))),
    ),
)

DELIMITERS = (
    ReadableTable(
        "semicolons-and-decimal-commas",
        b"id;text\n1;1,5 stars\n2;2,5 stars\n",
        ID_TEXT,
        rows(2, ("1", "1,5 stars"), ("2", "2,5 stars")),
        delimiter=";",
    ),
    ReadableTable("tabs", b"id\ttext\n1\ta, b\n", ID_TEXT, rows(2, ("1", "a, b")), delimiter="\t"),
    ReadableTable("bars", b"id|text\n1|a, b; c\n", ID_TEXT, rows(2, ("1", "a, b; c")), delimiter="|"),
    ReadableTable(
        "commas-in-a-semicolon-header",
        b"id;text, full\n1;a\n2;b\n",
        ("id", "text, full"),
        rows(2, ("1", "a"), ("2", "b")),
        delimiter=";",
    ),
    ReadableTable(
        "semicolons-inside-quotes",
        b'"a;b","c;d"\n"1;2","3;4"\n',
        ("a;b", "c;d"),
        rows(2, ("1;2", "3;4")),
    ),
    ReadableTable(
        "most-rows-have-an-unquoted-comma",
        b"id,text\n1,a, b\n2,c, d, e\n3,f\n",
        ID_TEXT,
        (
            Reject(2, "3 fields where the header has 2", "1,a, b"),
            Reject(3, "4 fields where the header has 2", "2,c, d, e"),
            Row(4, ("3", "f")),
        ),
    ),
    ReadableTable(
        "separator-line",
        b"sep=;\nid;text\n1;a\n",
        ID_TEXT,
        rows(3, ("1", "a")),
        delimiter=";",
        header_line=2,
    ),
    ReadableTable(
        "separator-line-with-a-tab",
        b"SEP=\t\r\nid\ttext\r\n1\ta\r\n",
        ID_TEXT,
        rows(3, ("1", "a")),
        delimiter="\t",
        header_line=2,
    ),
    ReadableTable(
        "separator-line-after-a-mark",
        codecs.BOM_UTF8 + b"sep=|\nid|text\n1|a\n",
        ID_TEXT,
        rows(3, ("1", "a")),
        encoding="utf-8-sig",
        delimiter="|",
        header_line=2,
    ),
    ReadableTable(
        "asked-delimiter-wins-over-the-separator-line",
        b"sep=;\nid,text\n1,a\n",
        ID_TEXT,
        rows(3, ("1", "a")),
        header_line=2,
        asked_delimiter=",",
    ),
    ReadableTable(
        "asked-delimiter-wins-over-the-guess",
        b"id,text;x\n1,a;y\n",
        ("id,text", "x"),
        rows(2, ("1,a", "y")),
        delimiter=";",
        asked_delimiter=";",
    ),
    ReadableTable("column-named-separator", b'"sep=;"\na\n', ("sep=;",), rows(2, ("a",))),
)

ENCODINGS = (
    ReadableTable(
        "utf-8-mark", codecs.BOM_UTF8 + "id,text\n1,é\n".encode(), ID_TEXT, rows(2, ("1", "é")), encoding="utf-8-sig"
    ),
    ReadableTable(
        "utf-8-asked-and-marked",
        codecs.BOM_UTF8 + b"id,text\n1,a\n",
        ID_TEXT,
        rows(2, ("1", "a")),
        encoding="utf-8-sig",
        asked_encoding="UTF8",
    ),
    ReadableTable(
        "second-mark-is-text",
        codecs.BOM_UTF8 * 2 + b"id,text\n1,a\n",
        ("\ufeffid", "text"),
        rows(2, ("1", "a")),
        encoding="utf-8-sig",
    ),
    ReadableTable(
        "mark-inside-a-field", "id,text\n\ufeff1,a\ufeff\n".encode(), ID_TEXT, rows(2, ("\ufeff1", "a\ufeff"))
    ),
    ReadableTable(
        "utf-16-le-mark",
        codecs.BOM_UTF16_LE + 'id,text\r\n1,"é\n😀"\r\n2,b\r\n'.encode("utf-16-le"),
        ID_TEXT,
        (Row(2, ("1", "é\n😀")), Row(4, ("2", "b"))),
        encoding="utf-16",
    ),
    ReadableTable(
        "utf-16-be-mark",
        codecs.BOM_UTF16_BE + "id\ttext\n1\té\n".encode("utf-16-be"),
        ID_TEXT,
        rows(2, ("1", "é")),
        encoding="utf-16",
        delimiter="\t",
    ),
    ReadableTable(
        "utf-16-le-asked-and-marked",
        codecs.BOM_UTF16_LE + "id,text\n1,é\n".encode("utf-16-le"),
        ID_TEXT,
        rows(2, ("1", "é")),
        encoding="utf-16",
        asked_encoding="utf-16-le",
    ),
    ReadableTable(
        "utf-16-be-asked",
        "id,text\n1,é\n".encode("utf-16-be"),
        ID_TEXT,
        rows(2, ("1", "é")),
        encoding="utf-16-be",
        asked_encoding="utf-16-be",
    ),
    ReadableTable(
        "utf-32-le-mark",
        codecs.BOM_UTF32_LE + "id,text\n1,é\n".encode("utf-32-le"),
        ID_TEXT,
        rows(2, ("1", "é")),
        encoding="utf-32",
    ),
    ReadableTable(
        "utf-32-be-mark",
        codecs.BOM_UTF32_BE + "id,text\n1,é\n".encode("utf-32-be"),
        ID_TEXT,
        rows(2, ("1", "é")),
        encoding="utf-32",
    ),
    ReadableTable(
        "cp1252-asked",
        b"id,text\n1,caf\xe9 \x93so\x94 \x80\n",
        ID_TEXT,
        rows(2, ("1", "café “so” €")),
        encoding="cp1252",
        asked_encoding="cp1252",
    ),
    ReadableTable(
        "latin-1-asked",
        b"id,text\n1,caf\xe9\n",
        ID_TEXT,
        rows(2, ("1", "café")),
        encoding="iso8859-1",
        asked_encoding="latin-1",
    ),
    ReadableTable(
        "shift-jis-asked",
        "id,text\n1,表示、良い\n".encode("shift_jis"),
        ID_TEXT,
        rows(2, ("1", "表示、良い")),
        encoding="shift_jis",
        asked_encoding="shift-jis",
    ),
    ReadableTable(
        "bad-bytes-where-utf-8-is-asked",
        b'id,text\n1,caf\xe9\n2,"a\n\xff"\n3,\xc3\xa9\n4,\xed\xa0\x80\n',
        ID_TEXT,
        (
            Reject(2, "byte 0xe9 does not fit the encoding", "1,caf\\xe9"),
            Reject(3, "byte 0xff does not fit the encoding", '2,"a\n\\xff"'),
            Row(5, ("3", "é")),
            Reject(6, "byte 0xed does not fit the encoding", "4,\\xed\\xa0\\x80"),
        ),
        asked_encoding="utf-8",
    ),
    ReadableTable(
        "utf-16-le-without-a-mark",
        "id,text\n1,good é\n".encode("utf-16-le"),
        ID_TEXT,
        rows(2, ("1", "good é")),
        encoding="utf-16-le",
        is_guessed=True,
    ),
    ReadableTable(
        "utf-16-be-without-a-mark",
        "id,text\n1,good 😀\n".encode("utf-16-be"),
        ID_TEXT,
        rows(2, ("1", "good 😀")),
        encoding="utf-16-be",
        is_guessed=True,
    ),
    ReadableTable(
        "chinese-utf-16-without-a-mark",
        "文本,标签\n".encode("utf-16-le") + "好的电影好的电影,好\n".encode("utf-16-le") * 9,
        ("文本", "标签"),
        rows(2, *[("好的电影好的电影", "好")] * 9),
        encoding="utf-16-le",
        is_guessed=True,
    ),
    ReadableTable(
        "cp1252-not-asked",
        b"id,text\r\n1,good\r\n2,caf\xe9 \x93so\x94 \x80\r\n",
        ID_TEXT,
        rows(2, ("1", "good"), ("2", "café “so” €")),
        encoding="cp1252",
        is_guessed=True,
    ),
    ReadableTable(
        "byte-that-the-code-page-lacks-not-asked",
        b"id,text\n1,caf\xe9 \x9d\n",
        ID_TEXT,
        rows(2, ("1", "café \x9d")),
        encoding="iso8859-1",
        is_guessed=True,
    ),
    ReadableTable(
        "overlong-utf-8-is-no-utf-8",
        b"id,text\n1,\xc0\xaf\n",
        ID_TEXT,
        rows(2, ("1", "À¯")),
        encoding="cp1252",
        is_guessed=True,
    ),
    ReadableTable(
        "bad-byte-after-a-mark",
        codecs.BOM_UTF8 + b"id\rtext\r\xff\rgood\r",
        ("id",),
        (Row(2, ("text",)), Reject(3, "byte 0xff does not fit the encoding", "\\xff"), Row(4, ("good",))),
        encoding="utf-8-sig",
    ),
    ReadableTable(
        "utf-8-cut-short",
        "id,text\n1,é".encode()[:-1],
        ID_TEXT,
        (Reject(2, "byte 0xc3 does not fit the encoding", "1,\\xc3"),),
        is_guessed=True,
    ),
    ReadableTable(
        "one-bad-line-among-sound-utf-8",
        "id,text\n1,é è\n".encode() + b"2,caf\xe9\n3,ok\n",
        ID_TEXT,
        (Row(2, ("1", "é è")), Reject(3, "byte 0xe9 does not fit the encoding", "2,caf\\xe9"), Row(4, ("3", "ok"))),
        is_guessed=True,
    ),
    ReadableTable(
        "nul-characters",
        b'id,text\n1,a\x00b\n2,"c\n\x00"\n3,d\n',
        ID_TEXT,
        (
            Reject(2, "a NUL character", r"1,a\x00b"),
            Reject(3, "a NUL character", '2,"c\n\\x00"'),
            Row(5, ("3", "d")),
        ),
    ),
    ReadableTable(
        "every-script",
        "id,text\n1,好的电影 😀\n2,فيلم جيد\n3,e\u0301\u202eabc\u200b\n".encode(),
        ID_TEXT,
        rows(2, ("1", "好的电影 😀"), ("2", "فيلم جيد"), ("3", "e\u0301\u202eabc\u200b")),
    ),
)

REVIEW = "It was a long and very slow evening, and still I would go again."
OTHER = "Nobody in the whole room laughed, not even once, which says it all."
HEADERS = (
    ReadableTable(
        "numbers-above-numbers",
        b"1,good\n2,bad\n3,fine\n",
        ("column 1", "column 2"),
        rows(1, ("1", "good"), ("2", "bad"), ("3", "fine")),
        header_line=0,
        has_header=False,
    ),
    ReadableTable(
        "dates-above-dates",
        b"good;2024-01-02 10:00\nbad;2024-01-03 11:30\n",
        ("column 1", "column 2"),
        rows(1, ("good", "2024-01-02 10:00"), ("bad", "2024-01-03 11:30")),
        delimiter=";",
        header_line=0,
        has_header=False,
    ),
    ReadableTable(
        "list-of-reviews-without-a-header",
        f"{REVIEW}\n{OTHER}\nFine.\n".encode(),
        ("column 1",),
        rows(1, (REVIEW,), (OTHER,), ("Fine.",)),
        delimiter=";",
        header_line=0,
        has_header=False,
    ),
    ReadableTable(
        "labels-that-come-again",
        b"positive,Great\nnegative,Bad\npositive,Nice\npositive,Good\n",
        ("column 1", "column 2"),
        rows(1, ("positive", "Great"), ("negative", "Bad"), ("positive", "Nice"), ("positive", "Good")),
        header_line=0,
        has_header=False,
    ),
    ReadableTable(
        "first-row-split-otherwise",
        b"1,good\n2\n3,fine\n",
        ("column 1", "column 2"),
        (Row(1, ("1", "good")), Reject(2, "1 field where the first row has 2", "2"), Row(3, ("3", "fine"))),
        header_line=0,
        has_header=False,
    ),
    ReadableTable(
        "separator-line-and-no-header",
        b"sep=;\n1;good\n2;bad\n",
        ("column 1", "column 2"),
        rows(2, ("1", "good"), ("2", "bad")),
        delimiter=";",
        header_line=1,
        has_header=False,
    ),
    ReadableTable(
        "no-header-asked",
        b"id,text\n1,a\n",
        ("column 1", "column 2"),
        rows(1, ("id", "text"), ("1", "a")),
        header_line=0,
        has_header=False,
        asked_header=False,
    ),
    ReadableTable("header-asked", b"1,good\n2,bad\n", ("1", "good"), rows(2, ("2", "bad")), asked_header=True),
    ReadableTable("years-as-names", b"2019,2020\n5,6\n7,8\n", ("2019", "2020"), rows(2, ("5", "6"), ("7", "8"))),
    ReadableTable("places-as-names", b"0,1\n5,6\n7,8\n", ("0", "1"), rows(2, ("5", "6"), ("7", "8"))),
    ReadableTable("index-without-a-name", b",0,1\n0,5,6\n", ("", "0", "1"), rows(2, ("0", "5", "6"))),
    ReadableTable(
        "question-as-a-name",
        b"What did you think of the film in your own words?\nI would see it again\nNever again\n",
        ("What did you think of the film in your own words?",),
        rows(2, ("I would see it again",), ("Never again",)),
    ),
    ReadableTable("one-row-of-numbers", b"1,2\n", ("1", "2")),
)

SOMETHING_ELSE = (
    RefusedTable("empty-file", b"", ("is empty",)),
    RefusedTable("only-a-mark", codecs.BOM_UTF8, ("is empty",)),
    RefusedTable("only-blank-lines", b"\n\r\n\n", ("line 1", "no column names")),
    RefusedTable("blank-line-first", b"\nid,text\n1,a\n", ("line 1", "no column names", "blank lines")),
    RefusedTable("separator-line-only", b"sep=;\n", ("line 2", "no column names")),
    RefusedTable("xlsx", zipped("[Content_Types].xml", "xl/workbook.xml"), ("an Excel file (.xlsx)", "Save it as CSV")),
    RefusedTable("ods", zipped("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), ("OpenDocument", "Save it")),
    RefusedTable("zip", zipped("reviews.csv"), ("a ZIP archive", "Unpack it")),
    RefusedTable(
        "xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, ("an old Excel file (.xls)", "Save it as CSV")
    ),
    RefusedTable("parquet", b"PAR1\x15\x04\x15\0PAR1", ("a Parquet file", "Export its table as CSV")),
    RefusedTable("parquet-cut-short", b"PAR1\x15\x04\x15\0", ("whose end is missing",)),
    RefusedTable("gzip", gzip.compress(b"id,text\n"), ("a gzip archive (.gz)", "Unpack it")),
    RefusedTable("pdf", b"%PDF-1.7\n", ("a PDF document",)),
    RefusedTable("png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ("a PNG picture",)),
    RefusedTable("jpeg", b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01", ("a binary file",)),
    RefusedTable("html", b"\n <!DOCTYPE html>\n<html><body>a,b</body></html>", ("an HTML page",)),
    RefusedTable("html-in-utf-16", codecs.BOM_UTF16_LE + "<HTML>é".encode("utf-16-le"), ("an HTML page",)),
    RefusedTable("html-in-latin-1", b"<html>caf\xe9</html>", ("an HTML page",)),
    RefusedTable("xml", codecs.BOM_UTF8 + b'<?xml version="1.0"?>\n<a/>', ("an XML file",)),
    RefusedTable("json-list", b'[\n  {"text": "a"}\n]\n', ("a JSON file",)),
    RefusedTable("json-object", b'{\n  "text": ["a"]\n}\n', ("a JSON file",)),
    RefusedTable("json-lines", b'{"text": "a, b", "label": 1}\n{"text": "c", "label": 0}\n', ("a JSON lines file",)),
    RefusedTable(
        "utf-16-asked-without-a-mark", "id\n1\n".encode("utf-16-le"), ("Pass utf-16-le or utf-16-be",), "utf-16"
    ),
    RefusedTable("half-a-utf-16-character", codecs.BOM_UTF16_LE + b"a\0\n\0b", ("not utf-16", "offset 6", "line 2")),
    RefusedTable(
        "cyrillic-in-a-code-page",
        "id,text\n1,Очень хороший фильм\n".encode("cp1251"),
        ("not utf-8: byte 0xce at offset 10 (line 2)", "cp1251, shift_jis or gb18030", "pass utf-8"),
    ),
    RefusedTable("japanese-in-a-code-page", "id,text\n1,表示、良い映画\n".encode("shift_jis"), ("shift_jis",)),
    RefusedTable("chinese-in-a-code-page", "id,text\n1,这是一部好电影\n".encode("gb18030"), ("gb18030",)),
    RefusedTable(
        "sound-utf-16-asked-for-another", "id,text\n1,é\n".encode("utf-16-le"), ("not ascii: byte 0xe9",), "ascii"
    ),
    RefusedTable("bad-byte-in-the-header-after-a-mark", codecs.BOM_UTF8 + b"id,\xff\n", ("line 1", "byte 0xff")),
    RefusedTable("control-characters", bytes(range(1, 9)) * 9 + b"\xe9\n", ("control characters", "a binary file")),
    RefusedTable("byte-that-the-code-page-lacks", b"id,text\n1,\x81\n", ("not cp1252: byte 0x81",), "cp1252"),
    RefusedTable("ascii-asked", "id,text\n1,é\n".encode(), ("not ascii: byte 0xc3 at offset 10 (line 2)",), "ascii"),
    RefusedTable("unknown-encoding", b"id\n", ("'klingon' is not an encoding of text",), "klingon"),
    RefusedTable("encoding-that-is-not-of-text", b"id\n", ("'rot13' is not an encoding of text",), "rot13"),
    RefusedTable("encoding-of-domain-names", b"id\n", ("'idna' is not an encoding of text",), "idna"),
    RefusedTable("encoding-with-a-nul", b"id\n", ("is not an encoding of text",), "utf\0"),
    RefusedTable("bad-byte-in-the-header", b"id,t\xe9xt\n1,a\n", ("line 1", "byte 0xe9 does not fit"), "utf-8"),
    RefusedTable("nul-in-the-header", b"id,te\0xt\n1,a\n", ("line 1", "a NUL character")),
    RefusedTable("header-with-text-after-a-quote", b'"id"x,text\n1,a\n', ("line 1", AFTER_QUOTE)),
    RefusedTable("header-with-an-unclosed-quote", b'"id,text\n1,a\n', ("line 1", UNCLOSED)),
    RefusedTable("a-million-commas-in-the-header", b"," * 1_000_000, ("1,000,001 fields", "at most 500")),
    RefusedTable("a-column-too-many", b"," * MAX_COLUMNS + b"\n", ("501 fields", "at most 500")),
    RefusedTable("header-without-an-end", b"x" * (MAX_RECORD + 1), ("line 1", TOO_LONG)),
    RefusedTable("unknown-separator-line", b"sep=:\nid:text\n", ("':' is not supported", "semicolon")),
    RefusedTable("unknown-delimiter-asked", b"id,text\n", ("'::' is not supported",), None, "::"),
)

READABLE_TABLES = TEXT_THAT_LOOKS_LIKE_SOMETHING_ELSE + QUOTES + SHAPES + DELIMITERS + ENCODINGS + HEADERS
REFUSED_TABLES = SOMETHING_ELSE
