"""The files that scored tables are taken away in: CSV, Excel workbooks and Parquet, written column by column."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.data.tables import TableWriter
from core.errors import TableError

TableKind = Literal["csv-excel", "csv", "xlsx", "parquet"]
# What Excel holds: https://support.microsoft.com/office/1672b34d-7043-467e-8e27-269d656771c3
EXCEL_ROWS = 1_048_575  # and one for the names
EXCEL_CELL = 32_767  # UTF-16 units
SHEET = "Reviews"
NOT_IN_XML = re.compile("[\ufffe\uffff]")


@dataclass
class Written:
    """What was written, counted.

    Attributes:
        rows: The names not counted.
        cut_cells: Texts longer than a cell of Excel's: cut in a workbook, whole in a CSV file.
        replaced_characters: U+FFFE and U+FFFF, which no workbook can hold and which became U+FFFD.
    """

    rows: int = 0
    cut_cells: int = 0
    replaced_characters: int = 0


class FileWriter(Protocol):
    """Takes the columns of some rows after the other; a text is a string column, a score a double, a flag a bool."""

    def write(self, columns: list[pa.Array]) -> None:
        """Write some rows."""


def open_file_writer(
    kind: TableKind, file: IO[bytes], names: Sequence[str], written: Written, folder: Path
) -> AbstractContextManager[FileWriter]:
    """Return a writer that finishes the file when its block ends, and leaves it unfinished when that raises.

    Args:
        kind: What to write.
        file: Open for writing.
        names: The columns'.
        written: What is counted.
        folder: Where a workbook in the making is kept.
    """
    match kind:
        case "xlsx":
            return _WorkbookWriter(file, names, written, folder)
        case "parquet":
            return _ParquetWriter(file, names, written)
    return nullcontext(_CsvWriter(file, names, written, safe=kind == "csv-excel"))


class _CsvWriter:
    """Rows as CSV: a flag as 1 or 0, no score as nothing."""

    def __init__(self, file: IO[bytes], names: Sequence[str], written: Written, *, safe: bool) -> None:
        self._table = TableWriter(file, names, safe=safe)
        self._written, self._safe = written, safe

    def write(self, columns: list[pa.Array]) -> None:
        if self._safe:
            self._written.cut_cells += sum(map(_count_long, columns))
        for fields in zip(*map(_plain, columns), strict=True):
            self._table.write_row(fields)
        self._written.rows += len(columns[0])


class _ParquetWriter:
    """Rows as Parquet; a row group for each call."""

    def __init__(self, file: IO[bytes], names: Sequence[str], written: Written) -> None:
        self._file, self._names, self._written = file, list(names), written
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "_ParquetWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._writer is None and kind is None:
            self.write([pa.array([], pa.string()) for _ in self._names])
        if self._writer is not None:
            self._writer.close()

    def write(self, columns: list[pa.Array]) -> None:
        table = pa.Table.from_arrays(columns, names=self._names)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table)
        self._written.rows += len(table)


class _WorkbookWriter:
    """Rows as one sheet of an Excel workbook, texts as texts whatever they begin with."""

    def __init__(self, file: IO[bytes], names: Sequence[str], written: Written, folder: Path) -> None:
        import xlsxwriter

        # In constant memory a row is written into a file as soon as the next one begins.
        self._book = xlsxwriter.Workbook(file, {"constant_memory": True, "tmpdir": str(folder)})
        self._sheet = self._book.add_worksheet(SHEET)
        self._sheet.freeze_panes(1, 0)
        self._written = written
        for place, name in enumerate(map(self._fit, names)):
            self._sheet.write_string(0, place, name)

    def __enter__(self) -> "_WorkbookWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        from xlsxwriter.exceptions import FileCreateError

        try:
            if kind is None:
                self._book.close()
        except FileCreateError as error:
            raise error.args[0] from error  # an OSError, such as a full disk's
        finally:
            self._book.fileclosed = True  # else it complains, when it goes, that nobody closed it
            if self._sheet.row_data_fh is not None:
                with suppress(OSError):  # else its rows keep their place on a full disk while that is told
                    self._sheet.row_data_fh.close()

    def write(self, columns: list[pa.Array]) -> None:
        first, count = self._written.rows, len(columns[0])
        if first + count > EXCEL_ROWS:
            raise TableError(too_many_rows(first + count))
        writes = [self._write_of(column.type) for column in columns]
        values = [
            list(map(self._fit, _plain(column))) if _is_text(column) else column.to_pylist() for column in columns
        ]
        for row, fields in enumerate(zip(*values, strict=True), first + 1):
            for place, (write, value) in enumerate(zip(writes, fields, strict=True)):
                if value is not None and value != "":
                    write(row, place, value)
        self._written.rows += count

    def _write_of(self, kind: pa.DataType) -> Any:
        """Return what writes a value as what it is: the workbook itself would take some texts for formulas or links."""
        if pa.types.is_boolean(kind):
            return self._sheet.write_boolean
        return self._sheet.write_string if _is_text_type(kind) else self._sheet.write_number

    def _fit(self, text: str) -> str:
        """Return a text as a cell can hold it, and count what that changed."""
        if NOT_IN_XML.search(text):
            text, replaced = NOT_IN_XML.subn("\ufffd", text)
            self._written.replaced_characters += replaced
        cut = cut_cell(text)
        self._written.cut_cells += len(cut) < len(text)
        return cut


def cut_cell(text: str) -> str:
    """Return a text as far as a cell of Excel's holds it: 32,767 UTF-16 units, no character cut in two."""
    if len(text) <= EXCEL_CELL // 2:
        return text
    return text.encode("utf-16-le")[: 2 * EXCEL_CELL].decode("utf-16-le", "ignore")


def too_many_rows(rows: int) -> str:
    """Say that a workbook cannot hold so many rows."""
    return (
        f"{rows:,} rows do not fit: an Excel sheet holds {EXCEL_ROWS:,} under their names. Choose CSV or Parquet, or "
        "filter the rows first."
    )


def unique_names(names: Sequence[str]) -> list[str]:
    """Return column names of which none is empty or stands twice, as near to the given ones as can be."""
    found: list[str] = []
    for place, name in enumerate(names):
        wished = name or f"column {place + 1}"
        number, unique = 2, wished
        while unique in found or (unique != name and unique in names):
            unique, number = f"{wished}_{number}", number + 1
        found.append(unique)
    return found


def _count_long(column: pa.Array) -> int:
    return (pc.sum(pc.greater(pc.utf8_length(column), EXCEL_CELL)).as_py() or 0) if _is_text(column) else 0


def _plain(column: pa.Array) -> list[Any]:
    """Return values as CSV writes them."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    return ["" if value is None else value for value in column.to_pylist()]


def _is_text(column: pa.Array) -> bool:
    return _is_text_type(column.type)


def _is_text_type(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
