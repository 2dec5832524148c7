"""Convert Excel, JSON lines and Parquet files to CSV of our own, which is then read like any other table.

A file may be made to harm: to unpack to any size, or to crash a library. So a child process of limited memory looks
into it, and nothing of it reaches the process that asks: ``python -m core.data.conversion`` writes the copy, tells how
many rows it has written, and ends with 0, or with ``REFUSED`` after one sentence.
"""

import os
import resource
import selectors
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from core import settings
from core.data.recognition import SNIFFED_RECORDS, is_header, shown
from core.data.records import MAX_COLUMNS, MAX_FIELD, MAX_RECORD, keep_content
from core.data.tables import (
    CONVERTED_COLUMNS,
    Kind,
    Reject,
    Row,
    TableFormat,
    TableOptions,
    TableWriter,
    unnamed_columns,
)
from core.errors import ReviewscopeError, TableError
from core.files import atomic_writer, read_json, sync_folder, write_json

if TYPE_CHECKING:
    from core.data.workbook import SheetRow

REFUSED = 3  # the child's exit code when it says why in a sentence
MEMORY_BYTES = 2 * 2**30
SILENT_SECONDS = 120  # a child that tells nothing for so long is ended
HEARTBEAT_SECONDS = 0.5
REPORTED_ROWS = 2_000
LARGEST_COPY = 2 * 10**9  # bytes; or, of a large file, ``LARGEST_RATIO`` times its own
LARGEST_RATIO = 20
# What a row costs in its copy beyond its characters: line, reason, quotes and delimiters.
ROW_OVERHEAD = 64

Progress = Callable[[int], None]


def needs_conversion(kind: Kind) -> bool:
    """Tell whether a kind of table is read from a converted copy."""
    return kind != "csv"


def list_sheets(path: Path) -> list[str]:
    """Return the names of a workbook's sheets, in its order.

    Raises:
        TableError: The workbook is damaged or has none.
    """
    with TemporaryDirectory() as folder:
        target = Path(folder) / "sheets.json"
        _run_child(["sheets", str(path.resolve()), str(target)], path.name, None)
        return [str(name) for name in read_json(target)]


def convert_table(
    source: Path, target: Path, kind: Kind, options: TableOptions, on_progress: Progress | None = None
) -> TableFormat:
    """Convert a table to CSV of our own and return how it was written; options that its kind lacks do not matter.

    ``target`` is written whole or not at all, and beside it, with the ending .json, what ``converted_format`` reads.

    Args:
        source: The file as it came.
        target: Where the copy goes.
        kind: What ``detect_kind`` says.
        options: How it is to be read.
        on_progress: Told how many more rows are written, at least every second, 0 included; what it raises ends the
            conversion.

    Raises:
        TableError: The file is damaged, or cannot be read within the limits.
        ReviewscopeError: The copy cannot be written.
    """
    if not needs_conversion(kind):
        raise ValueError(f"a table of kind {kind} is read where it lies")
    target.parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own, so that whatever ends the child, all that it leaves can be removed.
    with TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
        copy = Path(folder) / "copy.csv"
        request = [str(source.resolve()), str(copy.resolve()), kind, options.model_dump_json()]
        _run_child(["convert", *request], source.name, on_progress)
        # The format comes last: where it is, the copy is whole.
        _format_file(target).unlink(missing_ok=True)
        os.replace(copy, target)
        os.replace(_format_file(copy), _format_file(target))
        sync_folder(target.parent)
    return converted_format(target)


def converted_format(target: Path) -> TableFormat:
    """Return how the table of a converted copy was written.

    Raises:
        TableError: There is no whole copy.
    """
    try:
        return TypeAdapter(TableFormat).validate_python(read_json(_format_file(target)))
    except (ReviewscopeError, ValidationError) as error:
        raise TableError(f"{shown(target.name)} is not there or is damaged. Open the table again.") from error


def _format_file(target: Path) -> Path:
    return target.with_suffix(".json")


def _run_child(arguments: Sequence[str], name: str, on_progress: Progress | None) -> None:
    """Run this module in a child and pass on what it tells; no child outlives this call."""
    command = [sys.executable, "-m", "core.data.conversion", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    with (
        TemporaryFile() as complaint,
        subprocess.Popen(
            command, cwd=settings.PACKAGE.parent, env=environment, stdout=subprocess.PIPE, stderr=complaint
        ) as child,
    ):
        assert child.stdout is not None
        try:
            for done in _listen(child.stdout):
                if done is None:
                    raise TableError(
                        f"{shown(name)} kept its reader busy for over {SILENT_SECONDS} s without a row. "
                        "Save it as CSV and use that."
                    )
                if on_progress is not None:
                    on_progress(done)
        except BaseException:
            child.kill()
            raise
        code = child.wait()
        complaint.seek(0)
        sentence = complaint.read(4_096).decode(errors="replace").strip()
    if code == REFUSED:
        raise TableError(sentence[:1_000])
    if code:
        raise TableError(
            f"{shown(name)} ended the process that read it: it is damaged, or needs more than "
            f"{MEMORY_BYTES / 2**30:.0f} GB of memory. Save it as CSV and use that."
        )


def _listen(stream: IO[bytes]) -> Iterator[int | None]:
    """Give the numbers that a child tells until it ends, 0 for each pause, and None where a pause is too long."""
    rest, heard = b"", time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(HEARTBEAT_SECONDS):
                yield None if time.monotonic() - heard > SILENT_SECONDS else 0
                continue
            piece = os.read(stream.fileno(), 4_096)
            if not piece:
                return
            heard = time.monotonic()
            *lines, rest = (rest + piece).split(b"\n")
            yield sum(map(int, lines))


def main(arguments: Sequence[str]) -> int:
    """Do what the parent asks; return 0, or ``REFUSED`` after one sentence on the error stream."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")  # openpyxl's would stand before the sentence
    task, source, target = arguments[0], Path(arguments[1]), Path(arguments[2])
    try:
        if task == "sheets":
            from core.data.workbook import Workbook

            with source.open("rb") as file:
                write_json(target, Workbook(file, source.name, _tell).sheets)
        else:
            write_copy(source, target, arguments[3], TableOptions.model_validate_json(arguments[4]))
    except MemoryError:
        _complain(
            f"{shown(source.name)} needs more than {MEMORY_BYTES / 2**30:.0f} GB of memory to be read. "
            "Save it as CSV and use that."
        )
        return REFUSED
    except ReviewscopeError as error:
        _complain(str(error))
        return REFUSED
    except OSError as error:
        _complain(f"{shown(source.name)} could not be read or copied: {error.strerror or error}. Free some disk space.")
        return REFUSED
    return 0


def _complain(sentence: str) -> None:
    sys.stderr.buffer.write(sentence.encode("utf-8", "backslashreplace"))


def _tell(rows: int) -> None:
    sys.stdout.write(f"{rows}\n")
    sys.stdout.flush()


@dataclass(frozen=True)
class OpenTable:
    """A table that is being read: how it is written, and its records."""

    table_format: TableFormat
    records: Iterable[Row | Reject]


def write_copy(source: Path, target: Path, kind: str, options: TableOptions) -> None:
    """Do the child's work: write the copy and what ``converted_format`` reads, telling how many rows are written.

    Raises:
        TableError: The file is damaged, or cannot be read within the limits.
        ReviewscopeError: The copy cannot be written.
    """
    with OPENERS[kind](source, options) as table:
        columns = table.table_format.columns
        if flaw := _find_flaw(columns):
            raise TableError(f"{shown(source.name)}: the column names cannot be read: {flaw}. Rename them.")
        largest = max(LARGEST_COPY, LARGEST_RATIO * source.stat().st_size)
        with atomic_writer(target) as file:
            writer = TableWriter(file, [*CONVERTED_COLUMNS, *columns])
            untold = 0
            for record in table.records:
                if isinstance(record, Row):
                    _write_row(writer, record)
                else:
                    _write_reject(writer, record, len(columns))
                untold += 1
                if untold == REPORTED_ROWS:
                    _tell(untold)
                    untold = 0
                if file.tell() > largest:
                    raise TableError(
                        f"{shown(source.name)}, row {record.line:,}: up to here it unpacks to "
                        f"{file.tell() / 1e9:,.1f} GB of text; at most {largest / 1e9:,.1f} GB are read. Split it."
                    )
            _tell(untold)
        write_json(_format_file(target), asdict(table.table_format))


def _write_row(writer: TableWriter, row: Row) -> None:
    fields = row.fields
    if sum(map(len, fields)) <= MAX_FIELD // 4 - ROW_OVERHEAD - len(fields):  # even of nothing but quotes
        try:
            writer.write_row((row.line, "", *fields))
            return
        except TableError:
            pass
    flaw = _find_flaw(fields)
    if flaw:
        _write_reject(writer, Reject(row.line, flaw, ",".join(fields)), len(fields))
    else:
        writer.write_row((row.line, "", *fields))


def _find_flaw(fields: Sequence[str]) -> str:
    """Say why a row cannot stand in a table; "" where it can."""
    for field in fields:
        if "\0" in field:
            return "a NUL character"
        if len(field) > MAX_FIELD:
            return f"a field of over {MAX_FIELD:,} characters"
        try:
            field.encode()
        except UnicodeEncodeError:
            return "half a character (a lone surrogate)"
    written = ROW_OVERHEAD + sum(len(field) + field.count('"') + 3 for field in fields)
    return f"the row is longer than {MAX_RECORD:,} characters" if written > MAX_RECORD else ""


def _write_reject(writer: TableWriter, reject: Reject, width: int) -> None:
    content = keep_content(reject.content)
    writer.write_row((reject.line, reject.reason, content, *[""] * (width - 1)))


@contextmanager
def _open_json_lines(source: Path, options: TableOptions) -> Iterator[OpenTable]:
    from core.data.json_lines import JsonLines

    lines = JsonLines(source, options.encoding)
    columns: tuple[str, ...] = ()
    for number, found in enumerate(lines.read_columns(), 1):
        columns = found
        if number % REPORTED_ROWS == 0:
            _tell(0)
    table_format = TableFormat(lines.encoding, ",", columns, 0, "jsonl", is_guessed=lines.is_guessed)
    yield OpenTable(table_format, lines.rows(columns))


@contextmanager
def _open_parquet(source: Path, _: TableOptions) -> Iterator[OpenTable]:
    from core.data.parquet_rows import ParquetRows

    table = ParquetRows(source)
    yield OpenTable(TableFormat("utf-8", ",", table.columns, 0, "parquet"), table.rows())


@contextmanager
def _open_sheet(source: Path, options: TableOptions) -> Iterator[OpenTable]:
    from core.data.workbook import Workbook

    with source.open("rb") as file:
        workbook = Workbook(file, source.name, _tell)
        name = options.sheet or workbook.first_visible
        rows = workbook.rows(name)
        first_rows = list(islice(rows, SNIFFED_RECORDS))
        where = f"{shown(source.name)}, sheet {shown(name)}"
        if not first_rows:
            raise TableError(f"{where}: it is empty. A header and rows were expected; choose another sheet.")
        area = _find_area(first_rows, where)
        first = first_rows[0]
        has_header = options.has_header
        if has_header is None:
            has_header = is_header(_spread(first, area), [_spread(row, area) for row in first_rows[1:]])
        if has_header and first.flaw:
            raise TableError(f"{where}, row {first.number}: the header cannot be read: {first.flaw}. Correct it.")
        columns = tuple(_spread(first, area)) if has_header else unnamed_columns(len(area))
        before = first.number - (not has_header)
        table_format = TableFormat("utf-8", ",", columns, before, "xlsx", has_header, name)
        yield OpenTable(table_format, _sheet_records(chain(first_rows[has_header:], rows), area, before))


def _find_area(rows: Sequence["SheetRow"], where: str) -> range:
    """Return the columns between the leftmost and the rightmost cell of some rows."""
    filled = [row for row in rows if row.cells] or list(rows)
    left = min(min(row.cells, default=0) for row in filled)
    widest = max(filled, key=lambda row: max(row.cells, default=0))
    area = range(left, max(widest.cells, default=0) + 1)
    if len(area) > MAX_COLUMNS:
        raise TableError(
            f"{where}, row {widest.number}: its cells reach over {len(area):,} columns; at most {MAX_COLUMNS} are "
            "read. Keep only the columns that you need."
        )
    return area


def _spread(row: "SheetRow", area: range) -> list[str]:
    return [row.cells.get(column, "") for column in area]


def _sheet_records(rows: Iterable["SheetRow"], area: range, before: int) -> Iterator[Row | Reject]:
    """Give every row behind the row ``before``; one without a cell is a row only where there is one column."""
    from openpyxl.utils import get_column_letter

    for row in rows:
        for blank in range(before + 1, row.number):
            yield Row(blank, ("",)) if len(area) == 1 else Reject(blank, "blank row", "")
        before = row.number
        outside = [column for column in row.cells if column not in area]
        if row.flaw or outside:
            reason = row.flaw or (
                f"a value in column {get_column_letter(outside[0] + 1)}, where the table has columns "
                f"{get_column_letter(area[0] + 1)} to {get_column_letter(area[-1] + 1)}"
            )
            yield Reject(row.number, reason, ",".join(row.cells.values()))
        else:
            yield Row(row.number, tuple(_spread(row, area)))


OPENERS = {"jsonl": _open_json_lines, "parquet": _open_parquet, "xlsx": _open_sheet}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
