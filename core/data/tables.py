"""Strangers' tables: recognise, decode, read and write CSV-like files without changing a character.

``sniff_table`` looks at the first megabyte and says how the file seems to be written; ``read_rows`` then gives each
record exactly once, as a ``Row`` with its text as it stands or as a ``Reject`` with the reason; what ``TableWriter``
writes, ``read_rows`` gives back. A physical line ends with a line feed, with carriage return and line feed, or with a
lone carriage return; inside a quoted field all three are text. Memory does not grow with the file.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO

from pydantic import Field

from core.config import Section
from core.data.recognition import DELIMITERS as DELIMITERS
from core.data.recognition import KIND_NAMES as KIND_NAMES
from core.data.recognition import MAX_SHOWN as MAX_SHOWN
from core.data.recognition import (
    SEPARATOR_LINE,
    TEXT_COLUMN_NAMES,
    cannot_open,
    choose_encoding,
    decode_sample,
    guess_delimiter,
    has_header_line,
    is_empty,
    read_sample,
    shown,
)
from core.data.recognition import Kind as Kind
from core.data.recognition import detect_kind as detect_kind
from core.data.records import MAX_COLUMNS, UNDECODABLE, Records
from core.errors import TableError

GUESSED_ROWS = 200
PLAIN_COLUMN = re.compile(r"\w[\w .()-]*")
CONVERTED_COLUMNS = ("line", "reason")


class TableOptions(Section):
    """How somebody wants a table read; what is None is found out."""

    encoding: str | None = Field(None, title="Encoding", description="Of CSV and JSON lines: a Python codec name.")
    delimiter: str | None = Field(None, title="Delimiter", description="Of CSV: comma, semicolon, tab or bar.")
    has_header: bool | None = Field(
        None, title="Header", description="Of CSV and Excel: whether the first row names the columns."
    )
    sheet: str | None = Field(None, title="Sheet", description="Of Excel: the sheet's name; the first one if empty.")


@dataclass(frozen=True, slots=True)
class TableFormat:
    """How a table is written.

    Attributes:
        encoding: A Python codec name; "utf-8-sig", "utf-16" or "utf-32" where the file begins with a byte order mark.
        delimiter: One of ``DELIMITERS``.
        columns: The header exactly as it stands; names may be empty or stand twice.
        header_line: The last line (of an Excel sheet: row) before the rows: that on which the header begins, which is 1
            unless something stands before it, as a ``sep=;`` line does. Without a header, one less.
        kind: What the file is. All but "csv" are read from a converted copy (``core.data.conversion``).
        has_header: Whether the file names its columns; else they are called "column 1", "column 2" and so on.
        sheet: Of an Excel file, the sheet that is read.
        is_guessed: Whether the encoding is only likely: the bytes do not prove it.
    """

    encoding: str
    delimiter: str
    columns: tuple[str, ...]
    header_line: int
    kind: Kind = "csv"
    has_header: bool = True
    sheet: str | None = None
    is_guessed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A record with as many fields as there are columns, and where it stands.

    ``line`` is the physical line (from 1) on which it begins; in an Excel sheet or Parquet file, the number of its row.
    """

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


def sniff_table(
    path: Path,
    *,
    encoding: str | None = None,
    delimiter: str | None = None,
    has_header: bool | None = None,
    sheet: str | None = None,
) -> TableFormat:
    """Say how a CSV file is written, from its first megabyte; an argument given overrules the guess.

    Without ``encoding``, a byte order mark or flawless UTF-8 proves it; else it is guessed where it can be told. UTF-8,
    given or found, need only be sound in the header: a bad byte spoils its own line, which ``read_rows`` rejects. In
    another encoding it shows that the choice was wrong. A CSV file has no ``sheet``; it is one of ``TableOptions``.

    Raises:
        TableError: The file is empty, cannot be opened, is something else than a CSV file, does not fit the encoding,
            or its header cannot be read.
    """
    kind = detect_kind(path)
    if kind != "csv":
        advice = "Save it as CSV from your spreadsheet program" if kind == "xlsx" else "Export its table as CSV"
        raise TableError(f"{shown(path.name)}: This looks like {KIND_NAMES[kind]}; a CSV file was expected. {advice}.")
    if sheet is not None:
        raise TableError(f"{shown(path.name)} is a CSV file, which has no sheets. Leave the sheet out.")
    sample = read_sample(path)
    chosen, is_guessed = choose_encoding(sample, encoding, path)
    text = decode_sample(sample, chosen, path)
    if not text:
        raise is_empty(path)
    separator = SEPARATOR_LINE.match(text)
    if delimiter is None:
        delimiter = separator[1] if separator else guess_delimiter(text)
    if delimiter not in DELIMITERS:
        raise TableError(
            f"{shown(path.name)}: the delimiter {shown(delimiter)} is not supported. "
            "Choose comma, semicolon, tab or bar (|)."
        )
    before = 1 if separator else 0
    if has_header is None:
        has_header = has_header_line(text[separator.end() :] if separator else text, delimiter)
    with _open_records(path, chosen, delimiter) as records:
        columns = _read_header(records, before + 1, path)
    if not has_header:
        columns = unnamed_columns(len(columns))
    return TableFormat(
        chosen, delimiter, columns, before + int(has_header), has_header=has_header, is_guessed=is_guessed
    )


def unnamed_columns(width: int) -> tuple[str, ...]:
    """Name the columns of a table without a header."""
    return tuple(f"column {number}" for number in range(1, width + 1))


@contextmanager
def _open_records(path: Path, encoding: str, delimiter: str, max_columns: int = MAX_COLUMNS) -> Iterator[Records]:
    wrong_encoding = f"{shown(path.name)} cannot be read as {shown(encoding)}. Pass another encoding."
    try:
        stream = path.open(encoding=encoding, errors=UNDECODABLE, newline="")
    except OSError as error:
        raise cannot_open(path, error) from error
    except LookupError as error:
        raise TableError(wrong_encoding) from error
    with stream:
        try:
            yield Records(stream, delimiter, max_columns)
        except OSError as error:
            raise cannot_open(path, error) from error
        except UnicodeError as error:
            raise TableError(wrong_encoding) from error


def _read_header(records: Records, header_line: int, path: Path) -> tuple[str, ...]:
    where = f"{shown(path.name)}, line {header_line}"
    for _ in range(header_line):
        fields = next(iter(records), [])
    if not fields:
        raise TableError(f"{where}: no column names. A header was expected there; remove blank lines before it.")
    if isinstance(fields, str):
        raise TableError(f"{where}: the header cannot be read: {fields}. Correct the line and try again.")
    if len(fields) > MAX_COLUMNS:
        raise TableError(
            f"{where}: {count_fields(records.count(fields))} in the header; at most {MAX_COLUMNS} are read. "
            "Check the delimiter, or keep only the columns that you need."
        )
    return tuple(fields)


def count_fields(count: int) -> str:
    """Say how many fields there are."""
    return f"{count:,} field{'' if count == 1 else 's'}"


def read_rows(path: Path, table_format: TableFormat) -> Iterator[Row | Reject]:
    """Give every record after the header once and in order, as a Row or a Reject.

    Of a CSV file: a blank line is a row with an empty text where the table has one column, else a Reject; only the
    blank lines that end a file are no records. A record with a NUL character, an undecodable byte, a field of over
    ``MAX_FIELD`` characters or another number of fields than the header is rejected as a whole. Where a quote goes
    wrong or stays open for ``MAX_RECORD`` characters, only the first physical line of its record is rejected, and
    reading resumes at the next line. If that line lies in the stretch that was searched and leaves a quote open too,
    it is rejected without another search.

    Of another kind, ``path`` is the converted copy.

    Raises:
        TableError: On the first step: the file cannot be opened or its header is not that of ``table_format``. Of a
            converted copy, also later: it is damaged.
    """
    if table_format.kind != "csv":
        yield from _read_converted(path, table_format)
        return
    width = len(table_format.columns)
    with _open_records(path, table_format.encoding, table_format.delimiter) as records:
        if table_format.has_header:
            if _read_header(records, table_format.header_line, path) != table_format.columns:
                raise TableError(
                    f"{shown(path.name)}, line {table_format.header_line}: the header is not the one seen before. "
                    "The file has changed or is read in another way; open it again."
                )
        else:
            for _ in range(table_format.header_line):
                next(iter(records), None)
        yield from _check_rows(records, width, "header" if table_format.has_header else "first row")


def _read_converted(path: Path, table_format: TableFormat) -> Iterator[Row | Reject]:
    damaged = TableError(f"{shown(path.name)}: the converted copy is damaged. Open the table again.")
    columns = [*CONVERTED_COLUMNS, *table_format.columns]
    with _open_records(path, "utf-8", ",", len(columns)) as records:
        if next(iter(records), []) != columns:
            raise damaged
        for fields in records:
            if isinstance(fields, str) or len(fields) != len(columns) or not fields[0].isdecimal():
                raise damaged
            line, reason = int(fields[0]), fields[1]
            yield Reject(line, reason, fields[2]) if reason else Row(line, tuple(fields[2:]))


def _check_rows(records: Records, width: int, measure: str) -> Iterator[Row | Reject]:
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
            reason = f"{count_fields(records.count(fields))} where the {measure} has {width:,}"
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
        raise TableError(f"Every column name of {shown(path.name)} stands twice. Rename the one that holds the text.")
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
    listed = ", ".join(map(shown, columns[:20])) + (f" and {len(columns) - 20} more" if len(columns) > 20 else "")
    if name in columns:
        raise TableError(f"The column name {shown(name)} stands more than once among {listed}. Rename one of them.")
    raise TableError(f"There is no column {shown(name)}. Choose one of {listed}.")


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


def plain_decimal(text: str) -> str:
    """Write a decimal number without its exponent, where that makes it no longer than some 20 digits."""
    if "e" not in text.lower():
        return text
    number = Decimal(text)
    return f"{number:f}" if number.is_finite() and -10 <= number.adjusted() <= 20 else text
