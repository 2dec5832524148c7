"""Read the sheets of an Excel workbook (.xlsx, ECMA-376) row by row, in flat memory, without changing a character.

An .xlsx file is a ZIP archive of XML parts. Each part is unpacked and parsed as a stream; the texts that cells share
are laid down in a file and fetched one by one. A part with a document type, which could define entities, is refused.
"""

import os
import posixpath
import re
import tempfile
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from xml.parsers import expat

from core.data.recognition import shown
from core.data.records import MAX_FIELD
from core.data.tables import plain_decimal
from core.errors import TableError

MAX_UNPACKED = 4 * 10**9
MAX_SHEET_ROWS = 2**20
MAX_SHEET_COLUMNS = 2**14
MAX_TAG = 2**23  # bytes; an unfinished tag is read anew with each piece
PIECE = 2**18
WORKBOOK_PART = "xl/workbook.xml"
CELL_NAME = re.compile(r"([A-Z]{1,3})[0-9]+")
ESCAPED = re.compile(r"(?:_x[0-9A-Fa-f]{4}_)+")  # how Excel writes a character that XML cannot hold
WHOLE_NUMBER = re.compile(r"-?[0-9]+")
DATE_FORMATS = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # ECMA-376, part 1, 18.8.30
BUILT_IN_FORMATS = {18: "h:mm", 19: "h:mm:ss", 20: "h:mm", 21: "h:mm:ss", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss"}
# What stands in a format but is no part of it: quoted and escaped text, padding, colours and conditions.
FORMAT_TEXT = re.compile(r'"[^"]*"|\\.|[_*].|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
LAST_SERIAL = 2_958_466  # the day after 9999-12-31
SECONDS = 86_400

COLUMNS: dict[str, int] = {}  # of the letters seen so far

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]
Report = Callable[[int], None]


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

    def __init__(self, path: Path, report: Report) -> None:
        self._path = path
        self._report = report
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise TableError(
                f"{shown(path.name)}: the workbook is damaged ({error}). Copy or download it again."
            ) from error
        self._parts = {name.casefold(): name for name in self._archive.namelist()}
        relations = self._read_relations()
        self._is_1904 = False
        self._sheet_parts: dict[str, str] = {}
        hidden: set[str] = set()

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "workbookPr":
                self._is_1904 = attributes.get("date1904", "0") in ("1", "true")
            elif name == "sheet":
                key = next((value for key, value in attributes.items() if key.endswith(":id")), "")
                kind, part = relations.get(key, ("", ""))
                if kind == "worksheet":
                    self._sheet_parts[attributes["name"]] = part
                    if attributes.get("state", "visible") != "visible":
                        hidden.add(attributes["name"])

        self._parse(WORKBOOK_PART, start)
        self.sheets = list(self._sheet_parts)
        if not self.sheets:
            raise TableError(f"{shown(path.name)}: the workbook has no sheet of cells. Add one with your reviews.")
        self.first_visible = next((name for name in self.sheets if name not in hidden), self.sheets[0])
        parts = {kind: part for kind, part in relations.values()}
        self._strings_part, self._styles_part = parts.get("sharedStrings"), parts.get("styles")

    def __enter__(self) -> "Workbook":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def rows(self, sheet: str, folder: Path) -> Iterator[SheetRow]:
        """Give the rows of a sheet that have a cell, in order; shared texts are laid down in ``folder`` meanwhile.

        Raises:
            TableError: There is no such sheet, or it is damaged.
        """
        if sheet not in self._sheet_parts:
            names = ", ".join(map(shown, self.sheets[:20]))
            raise TableError(f"{shown(self._path.name)}: there is no sheet {shown(sheet)}. Choose one of {names}.")
        with SharedTexts(folder) as texts:
            if self._strings_part and self._has(self._strings_part):
                self._read_shared_texts(self._strings_part, texts)
            reader = _SheetReader(texts, self._read_formats(), self._is_1904, self._path)
            for _ in self._parse_stepwise(self._sheet_parts[sheet], reader.start, reader.end, reader.text):
                yield from reader.take()

    def _has(self, part: str) -> bool:
        return part.casefold() in self._parts

    def _read_relations(self) -> dict[str, tuple[str, str]]:
        relations: dict[str, tuple[str, str]] = {}

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "Relationship" and {"Id", "Type", "Target"} <= set(attributes):
                part = posixpath.normpath(posixpath.join("/xl", attributes["Target"])).lstrip("/")
                relations[attributes["Id"]] = (attributes["Type"].rpartition("/")[2], part)

        self._parse("xl/_rels/workbook.xml.rels", start)
        return relations

    def _read_shared_texts(self, part: str, texts: "SharedTexts") -> None:
        reader = _SharedTextReader(texts)
        for _ in self._parse_stepwise(part, reader.start, reader.end, reader.text):
            self._report(0)
        texts.finish()

    def _read_formats(self) -> list[str | None]:
        """Return for each cell style its number format if that is one of dates or times, else None."""
        codes: dict[int, str] = {}
        styles: list[str | None] = []
        is_cell_style = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal is_cell_style
            if name == "numFmt":
                codes[int(attributes["numFmtId"])] = FORMAT_TEXT.sub("", attributes.get("formatCode", "")).lower()
            elif name == "cellXfs":
                is_cell_style = True
            elif name == "xf" and is_cell_style:
                number = int(attributes.get("numFmtId", "0"))
                code = codes.get(number)
                if code is None:
                    code = BUILT_IN_FORMATS.get(number, "yyyy-mm-dd") if number in DATE_FORMATS else ""
                styles.append(code if set(code) & set("dmyhs") and "general" not in code else None)

        def end(name: str) -> None:
            nonlocal is_cell_style
            is_cell_style = is_cell_style and name != "cellXfs"

        if self._styles_part and self._has(self._styles_part):
            self._parse(self._styles_part, start, end)
        return styles

    def _parse(self, part: str, start: Start, end: End | None = None) -> None:
        for _ in self._parse_stepwise(part, start, end, None):
            pass

    def _parse_stepwise(
        self, part: str, start: Start, end: End | None, text: Callable[[str], None] | None
    ) -> Iterator[None]:
        """Parse a part of the archive piece by piece, giving way after each."""
        where = f"{shown(self._path.name)}: the part {shown(part)} of the workbook"
        advice = "Open the file in your spreadsheet program and save it again."
        if not self._has(part):
            raise TableError(f"{where} is missing. {advice}")
        info = self._archive.getinfo(self._parts[part.casefold()])
        if info.file_size > MAX_UNPACKED:
            raise TableError(
                f"{where} unpacks to {info.file_size / 1e9:,.1f} GB; at most {MAX_UNPACKED / 1e9:.0f} GB are read. "
                "Split the sheet, or save it as CSV."
            )
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = 2**16
        parser.StartElementHandler = lambda name, attributes: _begin(parser, start, end, name, attributes)
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = _refuse_document_type
        try:
            with self._archive.open(info) as stream:
                fed = 0
                while piece := stream.read(PIECE):
                    parser.Parse(piece)
                    fed += len(piece)
                    if fed - parser.CurrentByteIndex > MAX_TAG:
                        raise _ForbiddenXmlError(f"a tag is longer than {MAX_TAG:,} bytes")
                    yield
                parser.Parse(b"", True)
                yield
        except (expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, _ForbiddenXmlError) as error:
            raise TableError(f"{where} is damaged ({error}). {advice}") from error
        except (RuntimeError, NotImplementedError) as error:  # a password, or a compression of its own
            raise TableError(f"{where} cannot be unpacked ({error}). {advice}") from error
        except (KeyError, ValueError) as error:
            raise TableError(f"{where} is not written as Excel does ({error}). {advice}") from error


class _ForbiddenXmlError(Exception):
    """A part of a workbook has what no spreadsheet program writes."""


def _refuse_document_type(*_: object) -> None:
    raise _ForbiddenXmlError("it has a document type, which no workbook needs")


def _begin(parser: expat.XMLParserType, start: Start, end: End | None, name: str, attributes: dict[str, str]) -> None:
    """Take the root element; where it has a namespace prefix, all others of the part lose theirs as well."""
    if ":" in name:
        parser.StartElementHandler = lambda name, attributes: start(name.rpartition(":")[2], attributes)
        parser.EndElementHandler = (lambda name: end(name.rpartition(":")[2])) if end else None
    else:
        parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartElementHandler(name, attributes)


class SharedTexts:
    """Texts in a file without a name, which vanishes with the process."""

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed with this
        self._ends = array("Q", [0])

    def __enter__(self) -> "SharedTexts":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, text: str) -> None:
        """Append a text."""
        self._ends.append(self._ends[-1] + self._file.write(text.encode("utf-8", "surrogatepass")))

    def finish(self) -> None:
        """Make what was added readable."""
        self._file.flush()

    def __getitem__(self, place: int) -> str:
        if not 0 <= place < len(self._ends) - 1:
            raise IndexError(place)
        begin, end = self._ends[place], self._ends[place + 1]
        return os.pread(self._file.fileno(), end - begin, begin).decode("utf-8", "surrogatepass")


class _RunReader:
    """Puts a text together from its runs (``<t>``), without the notes on pronunciation (``<rPh>``)."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0
        self._is_text = False
        self._is_note = False

    def begin(self) -> None:
        """Forget the text before."""
        self._pieces = []
        self._size = 0

    def joined(self) -> str:
        """Return the text."""
        return "".join(self._pieces)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""
        if name == "t":
            self._is_text = not self._is_note
        elif name == "rPh":
            self._is_note = True

    def end(self, name: str) -> None:
        """Take the end of an element."""
        if name == "t":
            self._is_text = False
        elif name == "rPh":
            self._is_note = False

    def text(self, piece: str) -> None:
        """Take a piece of text; of one that is too long to be read, no more than shows it."""
        if self._is_text and self._size <= MAX_FIELD:
            self._pieces.append(piece)
            self._size += len(piece)


class _SharedTextReader(_RunReader):
    """Adds each text (``<si>``) to the shared ones."""

    def __init__(self, texts: SharedTexts) -> None:
        super().__init__()
        self._texts = texts

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "si":
            self.begin()
        else:
            super().start(name, attributes)

    def end(self, name: str) -> None:
        if name == "si":
            self._texts.add(unescape(self.joined()))
        else:
            super().end(name)


class _SheetReader(_RunReader):
    """Makes rows of cells."""

    def __init__(self, texts: SharedTexts, formats: list[str | None], is_1904: bool, path: Path) -> None:
        super().__init__()
        self._texts = texts
        self._formats = {str(place): code for place, code in enumerate(formats) if code}
        self._is_1904 = is_1904
        self._path = path
        self._done: list[tuple[int, dict[int, str | int], str]] = []
        self._number = 0
        self._cells: dict[int, str | int] = {}  # an int stands for a shared text
        self._flaw = ""
        self._column = -1
        self._type = "n"
        self._style = ""

    def take(self) -> Iterator[SheetRow]:
        """Give the rows that have come to their end since the last call.

        Only here shared texts are fetched: a few bytes of a sheet may name many long ones.
        """
        done, self._done = self._done, []
        for number, cells, flaw in done:
            found: dict[int, str] = {}
            for column, value in cells.items():
                if isinstance(value, int):
                    try:
                        value = self._texts[value]
                    except IndexError:
                        flaw = f"the text of column {column_letters(column)} is missing from the workbook"
                        continue
                if value:
                    found[column] = value
            if found or flaw:
                yield SheetRow(number, found, flaw)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            place = attributes.get("r")
            self._column = _column_of(place) if place else self._column + 1
            self._type = attributes.get("t", "n")
            self._style = attributes.get("s", "")
            self.begin()
        elif name == "v":
            self._is_text = True
        elif name == "row":
            self._begin_row(attributes.get("r"))
        else:
            super().start(name, attributes)

    def end(self, name: str) -> None:
        if name == "c":
            self._end_cell()
        elif name == "v":
            self._is_text = False
        elif name == "row":
            if self._cells or self._flaw:
                self._done.append((self._number, self._cells, self._flaw))
        else:
            super().end(name)

    def _begin_row(self, number: str | None) -> None:
        before = self._number
        self._number = int(number) if number else before + 1
        if not before < self._number <= MAX_SHEET_ROWS:
            raise TableError(
                f"{shown(self._path.name)}: row {self._number:,} stands after row {before:,}; rows come in order, and "
                f"a sheet has at most {MAX_SHEET_ROWS:,}. Open the file in your spreadsheet program and save it again."
            )
        self._cells, self._flaw, self._column = {}, "", -1

    def _end_cell(self) -> None:
        value = self._value(self.joined())
        if value != "":
            if self._column in self._cells:
                self._flaw = f"two cells in column {column_letters(self._column)}"
            self._cells[self._column] = value

    def _value(self, text: str) -> str | int:
        kind = self._type
        if kind == "s":
            return int(text) if text.isdecimal() and len(text) < 10 else -1
        if kind == "n":
            code = self._formats.get(self._style)
            return plain_moment(text, code, self._is_1904) if code and text else plain_number(text)
        if kind == "b":
            return {"1": "true", "0": "false"}.get(text, text)
        return unescape(text) if kind in ("str", "inlineStr") else text  # else an error such as #N/A, or an ISO date


def _column_of(place: str) -> int:
    letters = place.rstrip("0123456789")
    column = COLUMNS.get(letters)
    if column is None:
        if not CELL_NAME.fullmatch(place):
            raise ValueError(f"a cell called {shown(place)}")
        column = 0
        for letter in letters:
            column = 26 * column + ord(letter) - ord("A") + 1
        column -= 1
        COLUMNS[letters] = column
    if column >= MAX_SHEET_COLUMNS:
        raise ValueError(f"a cell in column {letters}")
    return column


def column_letters(column: int) -> str:
    """Return what a spreadsheet program calls a column (from 0): A to Z, AA and so on."""
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def unescape(text: str) -> str:
    """Put the characters where Excel wrote ``_x000D_`` and the like (ECMA-376, part 1, 22.9.2.19)."""
    return ESCAPED.sub(_character, text) if "_x" in text else text


def _character(match: re.Match[str]) -> str:
    units = bytes.fromhex(match[0].replace("_x", "").replace("_", ""))
    return units.decode("utf-16-be", "surrogatepass")


def plain_number(text: str) -> str:
    """Write a number without an exponent and with the 15 digits that Excel shows; a whole one keeps all its digits."""
    if WHOLE_NUMBER.fullmatch(text):
        return text
    try:
        return plain_decimal(f"{float(text):.15g}")
    except ValueError:
        return text


def plain_moment(text: str, code: str, is_1904: bool) -> str:
    """Write a serial number of days under a date format as ISO 8601; one that is no date stays a number.

    A date at midnight has no time, and a time below one day no date. Under ``[h]`` it is a duration, h:mm:ss.
    """
    try:
        serial = float(text)
    except ValueError:
        return text
    if "[" in code:
        return _clock(round(serial * SECONDS, 3), "d") if 0 <= serial < LAST_SERIAL else plain_number(text)
    if serial < 1 and not set(code) & set("dy") and serial >= 0:
        return _clock(round(serial * SECONDS, 3))
    # Excel takes 1900 for a leap year: serial 60 is a day that never was, and those before it count from a day later.
    if not 0 <= serial < LAST_SERIAL - 1_462 * is_1904 or (not is_1904 and (serial < 1 or 60 <= serial < 61)):
        return plain_number(text)
    days, seconds = divmod(round(serial * SECONDS, 3), SECONDS)
    first = date(1904, 1, 1) if is_1904 else date(1899, 12, 30) if serial > 60 else date(1899, 12, 31)
    day = (first + timedelta(days=int(days))).isoformat()
    return f"{day}T{_clock(seconds)}" if seconds else day


def _clock(seconds: float, width: str = "02d") -> str:
    whole, thousandths = divmod(round(seconds * 1_000), 1_000)
    clock = f"{whole // 3600:{width}}:{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{clock}.{thousandths:03d}" if thousandths else clock
