"""Read JSON lines: one object a line, its keys the columns, its strings to the letter.

Numbers stay as they are written, null is an empty text, and what is nested becomes compact JSON.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.data.recognition import cannot_open, choose_encoding, read_sample, shown
from core.data.records import MAX_COLUMNS, MAX_RECORD, UNDECODABLE, UNDECODABLE_BYTE, Lines
from core.data.tables import Reject, Row
from core.errors import TableError

TOO_DEEP = "nested too deeply"


class JsonLines:
    """A file of JSON lines.

    Attributes:
        encoding: A Python codec name.
        is_guessed: Whether it is only likely.
    """

    def __init__(self, path: Path, encoding: str | None) -> None:
        self._path = path
        self.encoding, self.is_guessed = choose_encoding(read_sample(path), encoding, path)

    def read_columns(self) -> Iterator[tuple[str, ...]]:
        """Give the keys of all objects after each line, in the order in which they first appear.

        Raises:
            TableError: There is no object, or there are too many keys.
        """
        columns: dict[str, None] = {}
        found: tuple[str, ...] = ()
        for number, _, parsed in self._parse():
            if isinstance(parsed, dict) and not parsed.keys() <= columns.keys():
                columns.update(dict.fromkeys(parsed))
                if len(columns) > MAX_COLUMNS:
                    raise TableError(
                        f"{shown(self._path.name)}, line {number}: with its keys there are {len(columns):,} columns; "
                        f"at most {MAX_COLUMNS} are read. Keep only the keys that you need."
                    )
                found = tuple(columns)
            yield found
        if not columns:
            raise TableError(
                f"{shown(self._path.name)}: no line is a JSON object with a key. "
                'Each line should be one, such as {"text": "..."}.'
            )

    def rows(self, columns: tuple[str, ...]) -> Iterator[Row | Reject]:
        """Give every line as a Row, or as a Reject where it is no object; blank lines at the end are no records."""
        blank: list[int] = []
        for number, line, parsed in self._parse():
            if not line.strip():
                blank.append(number)
                continue
            yield from (Reject(place, "blank line", "") for place in blank)
            blank = []
            if isinstance(parsed, dict):
                try:
                    yield Row(number, tuple([_text(parsed.get(column)) for column in columns]))
                    continue
                except RecursionError:
                    parsed = TOO_DEEP
            yield Reject(number, parsed, line.rstrip("\r\n"))

    def _parse(self) -> Iterator[tuple[int, str, dict[str, Any] | str]]:
        """Give each line with its number, and its object or why it is none."""
        decoder = json.JSONDecoder(
            object_pairs_hook=_unique, parse_int=_Number, parse_float=_Number, parse_constant=_Number
        )
        try:
            with self._path.open(encoding=self.encoding, errors=UNDECODABLE, newline="") as stream:
                lines = Lines(stream)
                while line := lines.take():
                    yield lines.number, line, _object(line, decoder)
        except OSError as error:
            raise cannot_open(self._path, error) from error
        except UnicodeError as error:
            raise TableError(
                f"{shown(self._path.name)} cannot be read as {shown(self.encoding)}. Pass another encoding."
            ) from error


class _Number(str):
    """A number, or NaN or Infinity, as it is written."""

    __slots__ = ()


class _RepeatedKeyError(ValueError):
    """An object has a key twice, of which one value would be lost."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _RepeatedKeyError
    return found


def _object(line: str, decoder: json.JSONDecoder) -> dict[str, Any] | str:
    if len(line) > MAX_RECORD:
        return f"the line is longer than {MAX_RECORD:,} characters"
    if not line.isascii() and (mark := UNDECODABLE_BYTE.search(line)):
        return f"byte 0x{ord(mark[0]) & 0xFF:02x} does not fit the encoding"
    try:
        found = decoder.decode(line)
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg.lower()} at character {error.pos + 1:,}"
    except _RepeatedKeyError:
        return "an object has a key twice"
    except RecursionError:
        return TOO_DEEP
    return found if isinstance(found, dict) else "JSON, but no object with keys"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else compact_json(value)


def compact_json(value: Any) -> str:
    """Write nested JSON without spaces, every number as it came."""
    if isinstance(value, dict):
        return (
            "{" + ",".join(f"{json.dumps(key, ensure_ascii=False)}:{compact_json(value[key])}" for key in value) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(map(compact_json, value)) + "]"
    return str(value) if isinstance(value, _Number) else json.dumps(value, ensure_ascii=False)
