"""Strangers' tables: recognise, decode, read and write CSV-like files without changing a character.

``sniff_table`` looks at the first megabyte and says how the file seems to be written; ``read_rows`` then gives each
record exactly once, as a ``Row`` with its text as it stands or as a ``Reject`` with the reason; what ``TableWriter``
writes, ``read_rows`` gives back. A physical line ends with a line feed, with carriage return and line feed, or with a
lone carriage return; inside a quoted field all three are text. Memory does not grow with the file.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

from core.data.records import MAX_COLUMNS, UNDECODABLE, Records
from core.errors import TableError

DELIMITERS = (",", ";", "\t", "|")
MAX_SHOWN = 80
SNIFFED_BYTES = 2**20
SNIFFED_RECORDS = 50
GUESSED_ROWS = 200

TEXT_COLUMN_NAMES = (
    "text", "review", "reviewtext", "reviewbody", "reviewcontent", "body", "comment", "comments", "content",
    "message", "feedback", "opinion", "sentence", "tweet", "post", "description",
)  # fmt: skip

SAVE_AS_CSV = "Save it as CSV from your spreadsheet program"
EXPORT_AS_CSV = "Export its table as CSV"
UNPACK = "Unpack it and choose the CSV file inside"
MAGIC_BYTES = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls)", SAVE_AS_CSV),
    (b"\x1f\x8b", "a gzip archive (.gz)", UNPACK),
    (b"%PDF-", "a PDF document", EXPORT_AS_CSV),
    (b"{\\rtf", "a rich text document (.rtf)", EXPORT_AS_CSV),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", EXPORT_AS_CSV),
)
MARKUP = (
    (r"<(!doctype\s+html|html|head|body|table|script)\b", "an HTML page", EXPORT_AS_CSV),
    (r"<\?xml\b", "an XML file", EXPORT_AS_CSV),
    (r'\{\s*"[^\r\n]*\}[ \t]*([\r\n]|\Z)', "a JSON lines file (.jsonl)", EXPORT_AS_CSV),
    (r'\[\s*[\[{"\]]|\{\s*["}]', "a JSON file", EXPORT_AS_CSV),
)
BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8-sig", "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32", "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16", "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16", "utf-16-be"),
)
SEPARATOR_LINE = re.compile(r"sep=([^\r\n])(?:\r\n|\r|\n|\Z)", re.IGNORECASE)
PLAIN_COLUMN = re.compile(r"\w[\w .()-]*")


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a table is written.

    Attributes:
        encoding: A Python codec name; "utf-8-sig", "utf-16" or "utf-32" where the file begins with a byte order mark.
        delimiter: One of ``DELIMITERS``.
        columns: The header exactly as it stands; names may be empty or stand twice.
        header_line: The physical line on which the header begins: 1, or 2 after a ``sep=;`` line.
    """

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    header_line: int


@dataclass(frozen=True, slots=True)
class Row:
    """A record with as many fields as the header; ``line`` is the physical line (from 1) on which it begins."""

    line: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reject:
    r"""A record that cannot be read, from ``line`` on, and why.

    ``content`` is its raw text without the last line end; an undecodable byte appears as ``\xff``, a NUL as ``\x00``,
    and a text of more than ``MAX_CONTENT`` characters is cut there and ends with "…".
    """

    line: int
    reason: str
    content: str


def sniff_table(path: Path, *, encoding: str | None = None, delimiter: str | None = None) -> TableFormat:
    """Say how a table is written, from its first megabyte; an argument given overrules the guess.

    Without ``encoding`` only a byte order mark or flawless UTF-8 is accepted. A given one is used strictly, except
    that of UTF-8 only the header must be sound: there a bad byte spoils its own line, which ``read_rows`` rejects,
    while in a code page it shows that the choice was wrong.

    Raises:
        TableError: The file is empty, cannot be opened, is something else than a CSV file, does not fit the encoding,
            or its header cannot be read.
    """
    sample = _read_sample(path)
    _refuse_other_formats(sample, path)
    chosen = _choose_encoding(sample, encoding, path)
    text = _decode_sample(sample, chosen, encoding is not None and chosen.startswith("utf-8"), path)
    if not text:
        raise TableError(f"{_shown(path.name)} is empty. A header and rows were expected; save or upload it again.")
    separator = SEPARATOR_LINE.match(text)
    if delimiter is None:
        delimiter = separator[1] if separator else _guess_delimiter(text)
    if delimiter not in DELIMITERS:
        raise TableError(
            f"{_shown(path.name)}: the delimiter {_shown(delimiter)} is not supported. "
            "Choose comma, semicolon, tab or bar (|)."
        )
    header_line = 2 if separator else 1
    with _open_records(path, chosen, delimiter) as records:
        columns = _read_header(records, header_line, path)
    return TableFormat(chosen, delimiter, columns, header_line)


def _read_sample(path: Path) -> bytes:
    """Read one byte more than is sniffed, so that the length tells whether the sample is the whole file."""
    try:
        with path.open("rb") as file:
            return file.read(SNIFFED_BYTES + 1)
    except OSError as error:
        raise _cannot_open(path, error) from error


def _cannot_open(path: Path, error: OSError) -> TableError:
    return TableError(f"{_shown(path.name)} cannot be opened: {error.strerror or 'reading failed'}. Choose it again.")


def _shown(name: str) -> str:
    """Quote a stranger's name for a message: one line, no control characters, at most ``MAX_SHOWN`` characters."""
    quoted = repr(name[: MAX_SHOWN + 1])
    return quoted if len(quoted) <= MAX_SHOWN else quoted[: MAX_SHOWN - 1] + "…"


def _refuse_other_formats(sample: bytes, path: Path) -> None:
    found = next(((what, advice) for magic, what, advice in MAGIC_BYTES if sample.startswith(magic)), None)
    if sample.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        found = ("a ZIP archive", UNPACK)
        if b"xl/" in sample:
            found = ("an Excel file (.xlsx)", SAVE_AS_CSV)
        elif b"opendocument.spreadsheet" in sample:
            found = ("an OpenDocument spreadsheet (.ods)", SAVE_AS_CSV)
    elif sample.startswith(b"PAR1") and b"\0" in sample:  # "PAR1" alone may be the name of a column
        found = ("a Parquet file", EXPORT_AS_CSV)
    if found is None:
        # Without its NUL bytes and byte order mark the ASCII of every Unicode encoding looks the same.
        beginning = sample[:8192].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe").decode("latin-1").lstrip()
        found = next(((what, advice) for mark, what, advice in MARKUP if re.match(mark, beginning, re.I)), None)
    if found is not None:
        what, advice = found
        raise TableError(f"{_shown(path.name)}: This looks like {what}; a CSV file was expected. {advice}.")


def _choose_encoding(sample: bytes, asked: str | None, path: Path) -> str:
    marked, bare = next(((name, bare) for mark, name, bare in BYTE_ORDER_MARKS if sample.startswith(mark)), ("", ""))
    if asked is None:
        if not marked:
            _refuse_unmarked_utf16(sample, 0.2, path)
        return marked or "utf-8"
    try:
        name = codecs.lookup(asked).name
        b"\n".decode(name, UNDECODABLE)  # fails for rot13, idna and the like
    except (LookupError, ValueError) as error:
        raise TableError(
            f"{_shown(asked)} is not an encoding of text. Pass for example utf-8, cp1252, latin-1 or utf-16-le."
        ) from error
    if name in (marked, bare):
        return marked
    if name in ("utf-16", "utf-32"):
        raise TableError(
            f"{_shown(path.name)} has no byte order mark, which {name} needs. Pass {name}-le or {name}-be."
        )
    return name


def _refuse_unmarked_utf16(sample: bytes, least_share: float, path: Path) -> None:
    """In UTF-16 the NUL halves of ASCII characters all stand at odd offsets, or all at even ones."""
    nuls, odd_nuls = sample.count(0), sample[1::2].count(0)
    if nuls < 4 or nuls < least_share * len(sample):
        return
    for one_side, name in ((odd_nuls, "utf-16-le"), (nuls - odd_nuls, "utf-16-be")):
        if one_side >= 0.9 * nuls:
            raise TableError(
                f"{_shown(path.name)} contains NUL bytes: This looks like UTF-16 without a byte order mark; "
                f"UTF-8 was expected. Pass the encoding, most likely {name}."
            )


def _decode_sample(sample: bytes, encoding: str, tolerant: bool, path: Path) -> str:
    whole = len(sample) <= SNIFFED_BYTES
    decoder = codecs.getincrementaldecoder(encoding)(UNDECODABLE if tolerant else "strict")
    try:
        text = decoder.decode(sample, final=whole)
    except UnicodeDecodeError as error:
        if encoding == "utf-8":
            _refuse_unmarked_utf16(sample, 0.01, path)
        if encoding == "utf-8" and b"\0" in sample:
            raise TableError(
                f"{_shown(path.name)} contains NUL bytes and is not UTF-8: This looks like a binary file; a CSV file "
                "was expected. Export its table as CSV, or pass the encoding if it is text."
            ) from error
        offset = len(sample) - len(error.object) + error.start  # utf-8-sig counts from behind the mark
        before = sample[:offset].decode(encoding, "ignore")
        line = 1 + len(re.findall(r"\r\n|\r|\n", before))
        raise TableError(
            f"{_shown(path.name)} is not {encoding}: byte 0x{sample[offset]:02x} at offset {offset:,} (line {line:,}) "
            "does not fit. Pass the encoding, for example cp1252, latin-1 or utf-16; or pass utf-8 to read it as "
            "UTF-8 and reject the lines that are not."
        ) from error
    return text if whole else text[: max(text.rfind("\n"), text.rfind("\r")) + 1] or text


def _guess_delimiter(text: str) -> str:
    """Choose the delimiter that splits the header, and the most records into as many fields as the header.

    Where none splits the header, the file is a list of texts: the comma, or one that leaves more of them whole. But if
    the comma splits all of them alike, the first line is a title rather than a header, and the comma rejects them all.
    """
    counts = {delimiter: _count_fields(text, delimiter) for delimiter in DELIMITERS}
    shares = {delimiter: rows.count(header) / max(1, len(rows)) for delimiter, (header, *rows) in counts.items()}
    splitting = [delimiter for delimiter in DELIMITERS if counts[delimiter][0] > 1]
    if splitting:
        return max(splitting, key=lambda delimiter: (shares[delimiter], counts[delimiter][0]))
    if len(set(counts[","][1:])) <= 1:
        return ","
    return max(DELIMITERS, key=lambda delimiter: shares[delimiter])


def _count_fields(text: str, delimiter: str) -> list[int]:
    """Count the fields of the first records, the header's first; 0 stands for one that cannot be read."""
    records = islice(Records(io.StringIO(text, newline=""), delimiter), SNIFFED_RECORDS)
    return [0 if isinstance(fields, str) else len(fields) for fields in records if fields] or [0]


@contextmanager
def _open_records(path: Path, encoding: str, delimiter: str) -> Iterator[Records]:
    wrong_encoding = f"{_shown(path.name)} cannot be read as {_shown(encoding)}. Pass another encoding."
    try:
        stream = path.open(encoding=encoding, errors=UNDECODABLE, newline="")
    except OSError as error:
        raise _cannot_open(path, error) from error
    except LookupError as error:
        raise TableError(wrong_encoding) from error
    with stream:
        try:
            yield Records(stream, delimiter)
        except OSError as error:
            raise _cannot_open(path, error) from error
        except UnicodeError as error:
            raise TableError(wrong_encoding) from error


def _read_header(records: Records, header_line: int, path: Path) -> tuple[str, ...]:
    where = f"{_shown(path.name)}, line {header_line}"
    for _ in range(header_line):
        fields = next(iter(records), [])
    if not fields:
        raise TableError(f"{where}: no column names. A header was expected there; remove blank lines before it.")
    if isinstance(fields, str):
        raise TableError(f"{where}: the header cannot be read: {fields}. Correct the line and try again.")
    if len(fields) > MAX_COLUMNS:
        raise TableError(
            f"{where}: {_fields(records.count(fields))} in the header; at most {MAX_COLUMNS} are read. "
            "Check the delimiter, or keep only the columns that you need."
        )
    return tuple(fields)


def _fields(count: int) -> str:
    return f"{count:,} field{'' if count == 1 else 's'}"


def read_rows(path: Path, table_format: TableFormat) -> Iterator[Row | Reject]:
    """Give every record after the header once and in order, as a Row or a Reject.

    A blank line is a row with an empty text where the table has one column, else a Reject; only the blank lines that
    end a file are no records. A record with a NUL character, an undecodable byte, a field of over ``MAX_FIELD``
    characters or another number of fields than the header is rejected as a whole. Where a quote goes wrong or stays
    open for ``MAX_RECORD`` characters, only the first physical line of its record is rejected, and reading resumes at
    the next line. If that line lies in the stretch that was searched and leaves a quote open too, it is rejected
    without another search.

    Raises:
        TableError: On the first step: the file cannot be opened or its header is not that of ``table_format``.
    """
    with _open_records(path, table_format.encoding, table_format.delimiter) as records:
        if _read_header(records, table_format.header_line, path) != table_format.columns:
            raise TableError(
                f"{_shown(path.name)}, line {table_format.header_line}: the header is not the one seen before. "
                "The file has changed or is read in another way; open it again."
            )
        yield from _check_rows(records, len(table_format.columns))


def _check_rows(records: Records, width: int) -> Iterator[Row | Reject]:
    blank_lines = 0
    for fields in records:
        line = records.line
        if not fields:
            blank_lines += 1
            continue
        if blank_lines:
            for blank in range(line - blank_lines, line):
                yield Row(blank, ("",)) if width == 1 else Reject(blank, "blank line", "")
            blank_lines = 0
        if isinstance(fields, str):
            yield Reject(line, fields, records.content())
        elif len(fields) != width:
            reason = f"{_fields(records.count(fields))} where the header has {width:,}"
            if records.last_line > line:
                reason += f" (lines {line} to {records.last_line})"
            yield Reject(line, reason, records.content())
        else:
            yield Row(line, tuple(fields))


def guess_text_column(path: Path, table_format: TableFormat) -> str:
    """Name the column that most likely holds the reviews: by its name, else by the longest text on average.

    Names that stand twice are left out. The average is over the rows among the first ``GUESSED_ROWS`` records; of equal
    columns the leftmost wins.

    Raises:
        TableError: Every name stands twice, or the file cannot be read.
    """
    columns = table_format.columns
    unique = [name for name in columns if columns.count(name) == 1]
    if not unique:
        raise TableError(f"Every column name of {_shown(path.name)} stands twice. Rename the one that holds the text.")
    plain_names = [re.sub(r"[\W_]+", "", name).casefold() for name in unique]
    for wanted in TEXT_COLUMN_NAMES:
        if wanted in plain_names:
            return unique[plain_names.index(wanted)]
    rows = [row for row in islice(read_rows(path, table_format), GUESSED_ROWS) if isinstance(row, Row)]
    return max(unique, key=lambda name: sum(len(row.fields[columns.index(name)]) for row in rows))


def column_index(table_format: TableFormat, name: str) -> int:
    """Return the place (from 0) of the column with exactly this name.

    Raises:
        TableError: No column has the name, or more than one.
    """
    columns = table_format.columns
    if columns.count(name) == 1:
        return columns.index(name)
    shown = ", ".join(map(_shown, columns[:20])) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
    if name in columns:
        raise TableError(f"The column name {_shown(name)} stands more than once among {shown}. Rename one of them.")
    raise TableError(f"There is no column {_shown(name)}. Choose one of {shown}.")


class TableWriter:
    """Write rows as UTF-8 CSV with line feeds, quoted only where ``read_rows`` would else not give the fields back.

    With ``safe``, for spreadsheet programs, a byte order mark comes first, and a column name or text that would be run
    as a formula gets an apostrophe (see ``neutralise_formula``). Pass numbers of our own as numbers: they stay.
    """

    def __init__(self, stream: IO[bytes], columns: Sequence[str], *, safe: bool = False) -> None:
        self._width = len(columns)
        self._safe = safe
        lines = _Utf8Lines(stream)
        if safe:
            stream.write(codecs.BOM_UTF8)
        # A quote first keeps the file from looking like anything else: a byte order mark, sep=, HTML, JSON.
        plain = all(PLAIN_COLUMN.fullmatch(name) for name in columns)
        self._writer = csv.writer(lines, quoting=csv.QUOTE_MINIMAL if plain else csv.QUOTE_ALL)
        self.write_row(columns)
        self._writer = csv.writer(lines)

    def write_row(self, fields: Sequence[str | float]) -> None:
        """Write one row.

        Raises:
            TableError: A text has a NUL character or a lone surrogate, which no table can hold.
            ValueError: There are more or fewer fields than columns.
        """
        if len(fields) != self._width:
            raise ValueError(f"a row of {len(fields)} fields for {self._width} columns")
        if self._safe:
            fields = [neutralise_formula(field) if isinstance(field, str) else field for field in fields]
        self._writer.writerow(fields)


class _Utf8Lines:
    """Where the csv module writes: it quotes what its own line end contains, so that is CR LF until here."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        try:
            encoded = line.removesuffix("\r\n").encode()
        except UnicodeEncodeError as error:
            raise TableError("A text with a lone surrogate cannot be written as UTF-8. Remove it first.") from error
        if b"\0" in encoded:
            raise TableError("A text with a NUL character cannot be written to a table. Remove it first.")
        self._stream.write(encoded + b"\n")


def neutralise_formula(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet program would run: one beginning with = + - @, tab or CR."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
