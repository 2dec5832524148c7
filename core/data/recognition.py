"""Recognise a stranger's file by its bytes, never by its name: its kind, and how its text is written.

Only its first megabyte and its last bytes are looked at, and nothing is unpacked.
"""

import codecs
import io
import json
import os
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Literal

from core.data.records import MAX_COLUMNS, UNDECODABLE, Records
from core.errors import TableError

Kind = Literal["csv", "xlsx", "jsonl", "parquet"]
KIND_NAMES: dict[Kind, str] = {
    "csv": "a CSV file",
    "xlsx": "an Excel file (.xlsx)",
    "jsonl": "a JSON lines file (.jsonl)",
    "parquet": "a Parquet file",
}
DELIMITERS = (",", ";", "\t", "|")
MAX_SHOWN = 80
SNIFFED_BYTES = 2**20
SNIFFED_END = 2**16
SNIFFED_RECORDS = 50
SNIFFED_JSON = 20

TEXT_COLUMN_NAMES = (
    "text", "review", "reviewtext", "reviewbody", "reviewcontent", "body", "comment", "comments", "content",
    "message", "feedback", "opinion", "sentence", "tweet", "post", "description",
)  # fmt: skip

SAVE_AS_CSV = "Save it as CSV from your spreadsheet program"
EXPORT_AS_CSV = "Export its table as CSV"
UNPACK = "Unpack it and choose the table inside"
Foreign = tuple[str, str]  # what it looks like, and what to do
MAGIC_BYTES = (
    (b"\x1f\x8b", "a gzip archive (.gz)", UNPACK),
    (b"BZh", "a bzip2 archive (.bz2)", UNPACK),
    (b"\xfd7zXZ\0", "an xz archive (.xz)", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive (.zst)", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (.7z)", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive (.rar)", UNPACK),
    (b"%PDF-", "a PDF document", EXPORT_AS_CSV),
    (b"{\\rtf", "a rich text document (.rtf)", EXPORT_AS_CSV),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", EXPORT_AS_CSV),
    (b"SQLite format 3\0", "an SQLite database", EXPORT_AS_CSV),
    (b"ARROW1\0\0", "an Arrow file (.feather)", "Write it as Parquet or CSV"),
    (b"PARE", "an encrypted Parquet file", "Write it without encryption"),
)
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PASSWORD_MARK = "EncryptedPackage".encode("utf-16-le")
ZIP_CONTENTS = (
    (b"xl/workbook.bin", "a binary Excel file (.xlsb)", SAVE_AS_CSV),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet (.ods)", SAVE_AS_CSV),
    (b"word/document.xml", "a Word document (.docx)", EXPORT_AS_CSV),
)
MARKUP = (
    (r"<(!doctype\s+html|html|head|body|table|script)\b", "an HTML page", EXPORT_AS_CSV),
    (r"<\?xml\b", "an XML file", EXPORT_AS_CSV),
    (r'\[\s*[\[{"\]]|\{\s*["}]', "a JSON file", "Write one object a line (JSON lines), or export its table as CSV"),
)
BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
)
HIGH_BYTES = bytes(range(0x80, 0x100))
CONTROL_BYTES = bytes({*range(1, 9), *range(0x0E, 0x1A), *range(0x1C, 0x20)})
UNDEFINED_IN_CP1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
UTF8_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)  # of more than one byte
LONG_RUN = re.compile(rb"[\x80-\xff]{4,}")
SEPARATOR_LINE = re.compile(r"sep=([^\r\n])(?:\r\n|\r|\n|\Z)", re.IGNORECASE)

NUMBER = re.compile(r"[+-]?(\d+([.,]\d+)*|[.,]\d+)([eE][+-]?\d+)?%?")
TIME = r"([T ]\d{1,2}:\d{2}.*)?"
DATE = re.compile(rf"(\d{{4}}[-/.]\d{{1,2}}([-/.]\d{{1,2}})?|\d{{1,2}}[-/.]\d{{1,2}}[-/.](\d{{2}}|\d{{4}})){TIME}")
YEAR = re.compile(r"(19|20)\d\d")
HEADER_WORDS = {*TEXT_COLUMN_NAMES, "id", "label", "sentiment", "rating", "stars", "score", "date", "title", "name"}
LONG_TEXT = 40  # characters; with LONG_WORDS, from where on a cell reads like a review rather than a column's name
LONG_WORDS = 6


def shown(name: str) -> str:
    """Quote a stranger's name for a message: one line, no control characters, at most ``MAX_SHOWN`` characters."""
    quoted = repr(name[: MAX_SHOWN + 1])
    return quoted if len(quoted) <= MAX_SHOWN else quoted[: MAX_SHOWN - 1] + "…"


def cannot_open(path: Path, error: OSError) -> TableError:
    """Say that a file cannot be opened."""
    return TableError(f"{shown(path.name)} cannot be opened: {error.strerror or 'reading failed'}. Choose it again.")


def read_sample(path: Path) -> bytes:
    """Read one byte more than is sniffed, so that the length tells whether the sample is the whole file.

    Raises:
        TableError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(SNIFFED_BYTES + 1)
    except OSError as error:
        raise cannot_open(path, error) from error


def _read_end(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - SNIFFED_END))
            return file.read(SNIFFED_END)
    except OSError as error:
        raise cannot_open(path, error) from error


def detect_kind(path: Path) -> Kind:
    """Say which kind of table a file holds, by its content.

    Raises:
        TableError: It is empty, cannot be opened, or is something that is not read as a table.
    """
    sample = read_sample(path)
    if not sample:
        raise is_empty(path)
    found = _recognise(sample, path)
    if isinstance(found, str):
        return found
    what, advice = found
    raise TableError(f"{shown(path.name)}: This looks like {what}; a table was expected. {advice}.")


def is_empty(path: Path) -> TableError:
    """Say that a file holds nothing."""
    return TableError(f"{shown(path.name)} is empty. A header and rows were expected; save or upload it again.")


def _recognise(sample: bytes, path: Path) -> Kind | Foreign:
    for magic, what, advice in MAGIC_BYTES:
        if sample.startswith(magic) and (magic != b"PARE" or b"\0" in sample):
            return what, advice
    if sample.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _look_into_zip(sample + _read_end(path))  # the directory of an archive stands at its end
    if sample.startswith(OLD_OFFICE):
        if PASSWORD_MARK in sample or PASSWORD_MARK in _read_end(path):
            return "an Excel file (.xlsx) with a password", "Save it without the password"
        return "an old Excel file (.xls)", SAVE_AS_CSV
    if sample.startswith(b"PAR1") and b"\0" in sample:  # "PAR1" alone may be the name of a column
        if _read_end(path).endswith(b"PAR1") and len(sample) >= 12:
            return "parquet"
        return "a Parquet file whose end is missing", "Copy or download it again"
    return _look_at_text(sample)


def _look_into_zip(names: bytes) -> Kind | Foreign:
    if b"xl/workbook.xml" in names:
        return "xlsx"
    found = next(((what, advice) for mark, what, advice in ZIP_CONTENTS if mark in names), None)
    return found or ("a ZIP archive", UNPACK)


def _look_at_text(sample: bytes) -> Kind | Foreign:
    # Without its NUL bytes and byte order mark the ASCII of every Unicode encoding looks the same.
    beginning = sample[:8192].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").decode("latin-1").lstrip()
    if beginning.startswith("{") and _has_json_lines(sample):
        return "jsonl"
    found = next(((what, advice) for mark, what, advice in MARKUP if re.match(mark, beginning, re.I)), None)
    return found or "csv"


def _has_json_lines(sample: bytes) -> bool:
    """Tell whether at least half of the first lines are JSON objects; in a document of many lines, hardly one is."""
    encoding = next((name for mark, name, _ in BYTE_ORDER_MARKS if sample.startswith(mark)), None)
    text = sample.decode(encoding or _find_utf16(sample, 0.2) or "utf-8", "replace")
    lines = re.split(r"[\r\n]+", text.strip("\r\n") if len(sample) <= SNIFFED_BYTES else text[: text.rfind("\n") + 1])
    lines = [line for line in lines if line.strip()][:SNIFFED_JSON]
    return 0 < len(lines) <= 2 * sum(map(_is_json_object, lines))


def _is_json_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line, parse_int=str), dict)
    except (ValueError, RecursionError):
        return False


def choose_encoding(sample: bytes, asked: str | None, path: Path) -> tuple[str, bool]:
    """Return the name of the codec, and whether it is a guess because the bytes do not prove it.

    Raises:
        TableError: It cannot be told, or is not one of text, or lacks its byte order mark.
    """
    marked, bare = next(((name, bare) for mark, name, bare in BYTE_ORDER_MARKS if sample.startswith(mark)), ("", ""))
    if asked is None:
        return (marked, False) if marked else _guess_encoding(sample, path)
    try:
        name = codecs.lookup(asked).name
        b"\n".decode(name, UNDECODABLE)  # fails for rot13, idna and the like
    except (LookupError, ValueError) as error:
        raise TableError(
            f"{shown(asked)} is not an encoding of text. Pass for example utf-8, cp1252, latin-1 or utf-16-le."
        ) from error
    if name in (marked, bare):
        return marked, False
    if name in ("utf-16", "utf-32"):
        raise TableError(f"{shown(path.name)} has no byte order mark, which {name} needs. Pass {name}-le or {name}-be.")
    return name, False


def _guess_encoding(sample: bytes, path: Path) -> tuple[str, bool]:
    """Tell UTF-8 by its rules, UTF-16 by its NUL bytes, and Western text by its lone bytes beyond ASCII."""
    if name := _find_utf16(sample, 0.2):
        return name, True
    fault = _find_utf8_fault(sample)
    if fault is None:
        return "utf-8", False
    if name := _find_utf16(sample, 0.01):
        return name, True
    if b"\0" in sample or _count(sample, CONTROL_BYTES) > 0.01 * len(sample):
        what = "contains NUL bytes" if b"\0" in sample else "contains control characters"
        raise TableError(
            f"{shown(path.name)} {what} and is not UTF-8: This looks like a binary file; a CSV file "
            "was expected. Export its table as CSV, or pass the encoding if it is text."
        )
    if fault.reason == "unexpected end of data" or _is_damaged_utf8(sample):
        return "utf-8", True
    # A review in a Western language has letters beyond ASCII one by one; Cyrillic, Greek or Chinese, in long runs.
    if sum(map(len, LONG_RUN.findall(sample))) > _count(sample, HIGH_BYTES) / 4:
        raise _does_not_fit(fault, "utf-8", path, "cp1251, shift_jis or gb18030")
    return "iso8859-1" if UNDEFINED_IN_CP1252.search(sample) else "cp1252", True


def _find_utf16(sample: bytes, least_share: float) -> str | None:
    """In UTF-16 the NUL halves of ASCII characters all stand at odd offsets, or all at even ones."""
    nuls, odd_nuls = sample.count(0), sample[1::2].count(0)
    if nuls < 4 or nuls < least_share * len(sample):
        return None
    sides = ((odd_nuls, "utf-16-le"), (nuls - odd_nuls, "utf-16-be"))
    return next((name for one_side, name in sides if one_side >= 0.9 * nuls), None)


def _find_utf8_fault(sample: bytes) -> UnicodeDecodeError | None:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=len(sample) <= SNIFFED_BYTES)
    except UnicodeDecodeError as error:
        return error
    return None


def _is_damaged_utf8(sample: bytes) -> bool:
    """Tell whether most of what is not ASCII keeps to the rules of UTF-8, which other encodings rarely do by chance."""
    rest, sound = UTF8_SEQUENCE.subn(b"", sample)
    return sound > _count(rest, HIGH_BYTES)


def _count(sample: bytes, wanted: bytes) -> int:
    return len(sample) - len(sample.translate(None, wanted))


def decode_sample(sample: bytes, encoding: str, path: Path) -> str:
    """Decode a sample up to its last line end; in UTF-8, which finds its way again, a bad byte is only marked.

    Raises:
        TableError: A byte does not fit another encoding.
    """
    whole = len(sample) <= SNIFFED_BYTES
    decoder = codecs.getincrementaldecoder(encoding)(UNDECODABLE if encoding.startswith("utf-8") else "strict")
    try:
        text = decoder.decode(sample, final=whole)
    except UnicodeDecodeError as error:
        raise _does_not_fit(error, encoding, path, "cp1252, latin-1 or utf-16") from error
    return text if whole else text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text


def _does_not_fit(error: UnicodeDecodeError, encoding: str, path: Path, others: str) -> TableError:
    before = error.object[: error.start].decode(encoding, "ignore")
    line = 1 + len(re.findall(r"\r\n|\r|\n", before))
    return TableError(
        f"{shown(path.name)} is not {encoding}: byte 0x{error.object[error.start]:02x} at offset {error.start:,} "
        f"(line {line:,}) does not fit. Pass the encoding, for example {others}; or pass utf-8 to read it as "
        "UTF-8 and reject the lines that are not."
    )


def guess_delimiter(text: str) -> str:
    """Choose the delimiter that splits the header, and the most records into as many fields as the header.

    Where none splits the header, the file is a list of texts: the comma, or one that leaves more of them whole. But if
    the comma splits all of them alike, the first line is a title rather than a header, and the comma rejects them all.
    A first line that reads like a review, and is not split as most others are, begins such a list too.
    """
    counts = {delimiter: _count_fields(text, delimiter) for delimiter in DELIMITERS}
    shares = {delimiter: rows.count(header) / max(1, len(rows)) for delimiter, (header, *rows) in counts.items()}
    splitting = [delimiter for delimiter in DELIMITERS if counts[delimiter][0] > 1]
    if splitting:
        best = max(splitting, key=lambda delimiter: (shares[delimiter], counts[delimiter][0]))
        if shares[best] >= 0.5 or not _is_long(re.split(r"[\r\n]", text, maxsplit=1)[0]):
            return best
        return max(DELIMITERS, key=lambda delimiter: counts[delimiter].count(1))
    if len(set(counts[","][1:])) <= 1:
        return ","
    return max(DELIMITERS, key=lambda delimiter: shares[delimiter])


def _count_fields(text: str, delimiter: str) -> list[int]:
    """Count the fields of the first records, the header's first; 0 stands for one that cannot be read."""
    records = islice(Records(io.StringIO(text, newline=""), delimiter), SNIFFED_RECORDS)
    return [0 if isinstance(fields, str) else len(fields) for fields in records if fields] or [0]


def has_header_line(text: str, delimiter: str) -> bool:
    """Tell whether the first record of a text names columns; see ``is_header``."""
    records = islice(Records(io.StringIO(text, newline=""), delimiter), SNIFFED_RECORDS)
    readable = [fields for fields in records if fields and not isinstance(fields, str)]
    return not readable or len(readable[0]) > MAX_COLUMNS or is_header(readable[0], readable[1:])


def is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Tell whether a first record names columns; in doubt it does.

    It does not where it repeats what a column holds (a number or date above such ones, one of a few words), or where it
    reads like the reviews below it, and nothing in it looks like a name.
    """
    rows = [row for row in others if len(row) == len(first)]
    columns = [(cell.strip(), [row[place].strip() for row in rows]) for place, cell in enumerate(first)]
    if not rows or any(_is_name(cell, below) for cell, below in columns) or _counts_up([cell for cell, _ in columns]):
        return True
    if list(first) in [list(row) for row in rows]:  # tables put one after the other
        return True
    return not any(_is_value(cell, below) for cell, below in columns)


def _is_name(cell: str, below: Sequence[str]) -> bool:
    if re.sub(r"[\W_]+", "", cell).casefold() in HEADER_WORDS:
        return True
    return bool(cell) and not _is_datum(cell) and _are_data(below)


def _is_value(cell: str, below: Sequence[str]) -> bool:
    if _is_datum(cell):
        return _are_data(below) and not YEAR.fullmatch(cell)
    if _is_long(cell):
        return not cell.endswith(("?", ":")) and len(cell) >= median(map(len, below)) / 2
    return bool(cell) and below.count(cell) >= 2


def _is_datum(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell) or DATE.fullmatch(cell))


def _are_data(cells: Sequence[str]) -> bool:
    """Tell whether nearly all that is not empty are numbers or dates."""
    filled = [cell for cell in cells if cell]
    return bool(filled) and sum(map(_is_datum, filled)) >= 0.9 * len(filled)


def _counts_up(cells: Sequence[str]) -> bool:
    """Tell whether cells are 0, 1, 2, ..., as data frames name columns without names, perhaps behind an empty one."""
    numbers = list(cells[1:] if len(cells) > 1 and not cells[0] else cells)
    return numbers == [str(place) for place in range(len(numbers))]


def _is_long(cell: str) -> bool:
    return len(cell) >= LONG_TEXT and len(cell.split()) >= LONG_WORDS
