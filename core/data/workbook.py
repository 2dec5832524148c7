"""Read the sheets of an Excel workbook (.xlsx) row by row, with openpyxl.

Its readers are used one by one, and not through its ``load_workbook``: that reads all texts and looks through all
sheets to name the sheets, and leaves out rows and cells that stand twice or out of order without a word.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import IO, Any
from zipfile import BadZipFile

from openpyxl.cell.text import Text
from openpyxl.reader.excel import ExcelReader
from openpyxl.styles.stylesheet import apply_stylesheet
from openpyxl.utils import get_column_letter
from openpyxl.utils.datetime import from_excel, to_ISO8601
from openpyxl.utils.escape import unescape
from openpyxl.worksheet._reader import ROW_TAG, WorkSheetParser
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

from core.data.recognition import shown
from core.data.tables import plain_decimal
from core.errors import TableError

MAX_UNPACKED = 4 * 10**9
MAX_ROWS = 2**20
MAX_CELLS = 2**14  # of a row
REPORTED_TEXTS = 1_000
MISSING = object()  # stands for a shared text that is not there


@dataclass(frozen=True, slots=True)
class SheetRow:
    """The cells of a row that are not empty, by column (from 0), or why the row cannot be read."""

    number: int
    cells: dict[int, str]
    flaw: str = ""


class Workbook:
    """An open workbook.

    Attributes:
        sheets: The names of its sheets of cells, in its order.
        first_visible: The sheet that is shown first.
    """

    def __init__(self, file: IO[bytes], name: str, report: Callable[[int], None]) -> None:
        self._name = shown(name)
        self._report = report
        try:
            self._reader = reader = ExcelReader(file, read_only=True, data_only=True, keep_links=False)
            self._refuse_bombs()
            reader.read_manifest()
            reader.read_workbook()
            apply_stylesheet(reader.archive, reader.wb)
            found = [item for item in reader.parser.find_sheets() if item[1].Type.endswith("/worksheet")]
        except (MemoryError, TableError):
            raise
        except Exception as error:  # openpyxl lets through whatever a damaged part leads to
            raise self._damaged(error, "") from error
        if not found:
            raise TableError(
                f"{self._name}: the workbook has no sheet of cells. Add one with your reviews; or, if it was saved as "
                "a Strict Open XML workbook, save it as an ordinary one."
            )
        self._parts: dict[str, str] = {sheet.name: relation.target for sheet, relation in found}
        self.sheets = list(self._parts)
        self.first_visible: str = next((sheet.name for sheet, _ in found if sheet.state == "visible"), self.sheets[0])

    def rows(self, sheet: str) -> Iterator[SheetRow]:
        """Give the rows of a sheet that have a cell, in order.

        Raises:
            TableError: There is no such sheet, or it is damaged.
        """
        if sheet not in self._parts:
            names = ", ".join(map(shown, self.sheets[:20]))
            raise TableError(f"{self._name}: there is no sheet {shown(sheet)}. Choose one of {names}.")
        parser = WorkSheetParser(None, _SharedTexts(), data_only=True)
        before = 0
        try:
            self._read_shared_texts(parser.shared_strings)
            with self._reader.archive.open(self._parts[sheet]) as source:
                for _, element in iterparse(source):
                    if element.tag != ROW_TAG:  # nothing else of a sheet matters, nor what is wrong with it
                        continue
                    parser.col_counter = 0
                    number, cells = parser.parse_row(element)
                    if not before < number <= MAX_ROWS:
                        raise OverflowError(f"row {number:,} stands after row {before:,}; {MAX_ROWS:,} can be in order")
                    row = self._read_row(number, cells)
                    if row.cells or row.flaw:
                        yield row
                    before = number
                    element.clear()
                    parser.row_dimensions.clear()  # heights and the like, which would pile up
        except (MemoryError, TableError):
            raise
        except Exception as error:
            where = f", sheet {shown(sheet)}" + f", after row {before:,}" * (before > 0)
            if isinstance(error, ValueError) and 0 < parser.col_counter <= MAX_CELLS:  # a value at fault
                where = f", sheet {shown(sheet)}, cell {get_column_letter(parser.col_counter)}{parser.row_counter}"
            raise self._damaged(error, where) from error

    def _refuse_bombs(self) -> None:
        part = max(self._reader.archive.infolist(), key=lambda part: part.file_size)
        if part.file_size > MAX_UNPACKED:
            raise TableError(
                f"{self._name}: the part {shown(part.filename)} of the workbook unpacks to {part.file_size / 1e9:,.1f} "
                f"GB; at most {MAX_UNPACKED / 1e9:.0f} GB are read. Split the sheet, or save it as CSV."
            )

    def _damaged(self, error: Exception, where: str) -> TableError:
        what = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        is_cut = isinstance(error, BadZipFile | EOFError | zlib.error)
        advice = "Copy or download it again" if is_cut else "Open it in your spreadsheet program and save it again"
        return TableError(f"{self._name}{where}: the workbook is damaged ({what}). {advice}.")

    def _read_shared_texts(self, texts: dict[int, object]) -> None:
        """Read the texts that cells share; openpyxl's own way of it drops "x005F_" wherever it stands."""
        part = self._reader.package.find(SHARED_STRINGS)
        if part is not None:
            with self._reader.archive.open(part.PartName.lstrip("/")) as source:
                for _, element in iterparse(source):
                    if element.tag == f"{{{SHEET_MAIN_NS}}}si":
                        texts[len(texts)] = Text.from_tree(element).content
                        element.clear()
                        if len(texts) % REPORTED_TEXTS == 0:
                            self._report(0)

    def _read_row(self, number: int, cells: list[dict[str, Any]]) -> SheetRow:
        found: dict[int, str] = {}
        flaw = ""
        if any(cell["column"] > MAX_CELLS for cell in cells):
            raise OverflowError(f"row {number:,} has a cell behind column {get_column_letter(MAX_CELLS)}, the last")
        for cell in cells:
            column, value = cell["column"], cell["value"]
            if value is MISSING:
                flaw = f"the text of column {get_column_letter(column)} is missing from the workbook"
            elif text := self._write(value, cell["style_id"]):
                if column - 1 in found:
                    flaw = f"two cells in column {get_column_letter(column)}"
                found[column - 1] = text
        return SheetRow(number, found, flaw)

    def _write(self, value: Any, style: int) -> str:
        """Write the value of a cell as text: numbers plainly with the 15 digits that Excel shows, moments in ISO 8601.

        A moment at midnight is a date; under a date format a number that is outside the calendar stays a number.
        """
        if value is None or isinstance(value, str):
            return str(unescape(value)) if value else ""
        if isinstance(value, bool):
            return "true" if value else "false"
        book = self._reader.wb
        if isinstance(value, int | float) and value >= 0 and style in book._date_formats:
            with suppress(OverflowError, ValueError):
                value = from_excel(value, book.epoch, timedelta=style in book._timedelta_formats)
        if isinstance(value, float):
            return plain_decimal(f"{value:.15g}")
        if isinstance(value, timedelta):
            return _write_duration(value)
        if isinstance(value, datetime) and value.time() == time():
            value = value.date()
        return str(value) if isinstance(value, int) else str(to_ISO8601(value))


class _SharedTexts(dict[int, object]):
    """The texts that cells share, by place; in a list, -1 would be the last."""

    def __missing__(self, place: int) -> object:
        return MISSING


def _write_duration(duration: timedelta) -> str:
    """Write hours, minutes and seconds as Excel shows them, with thousandths where there are any."""
    seconds, rest = divmod(duration, timedelta(seconds=1))
    clock = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{clock}.{rest // timedelta(milliseconds=1):03d}" if rest else clock
