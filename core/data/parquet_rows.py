"""Read a Parquet file row by row as text, in batches.

Numbers are written plainly, booleans as true and false, moments in ISO 8601, a missing value as an empty text, and what
is nested as compact JSON. A value that is no text, as a picture is, spoils its row.
"""

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.data.recognition import shown
from core.data.records import MAX_COLUMNS
from core.data.tables import Reject, Row, plain_decimal
from core.errors import TableError

BATCH_ROWS = 1_000
BUFFER_BYTES = 2**20
MAX_ROWS = 10**8
ARROW_MOMENT = re.compile(r"(-?\d+-\d\d-\d\d)? ?(\d\d:\d\d:\d\d)?(\.\d+)?(Z|[+-]\d{4})?")


class ParquetRows:
    """An open Parquet file.

    Attributes:
        columns: The names of its columns, which may stand twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # A buffer makes it read a column of a row group piece by piece rather than at once.
            self._file = pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False)
            self.columns = tuple(self._file.schema_arrow.names)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from error
        if not self.columns:
            raise TableError(f"{shown(path.name)} has no columns. Write at least the reviews into it.")
        if len(self.columns) > MAX_COLUMNS:
            raise TableError(
                f"{shown(path.name)} has {len(self.columns):,} columns; at most {MAX_COLUMNS} are read. "
                "Keep only the columns that you need."
            )
        if self._file.metadata.num_rows > MAX_ROWS:
            raise TableError(
                f"{shown(path.name)} holds {self._file.metadata.num_rows:,} rows; at most {MAX_ROWS:,} are read. "
                "Split it."
            )

    def rows(self) -> Iterator[Row | Reject]:
        """Give every row with its number (from 1)."""
        number = 0
        try:
            for batch in self._file.iter_batches(BATCH_ROWS, use_threads=False):
                flaws: dict[int, str] = {}
                columns = [
                    _texts(column, flaws, name) for name, column in zip(self.columns, batch.columns, strict=True)
                ]
                for place, fields in enumerate(zip(*columns, strict=True)):
                    number += 1
                    flaw = flaws.get(place)
                    yield Reject(number, flaw, ",".join(fields)) if flaw else Row(number, fields)
        except pa.ArrowMemoryError:
            raise
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(error, f", after row {number:,}") from error

    def _damaged(self, error: Exception, where: str = "") -> TableError:
        what = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        return TableError(f"{shown(self._path.name)}{where}: the Parquet file cannot be read ({what}). Write it again.")


def _texts(values: pa.Array, flaws: dict[int, str], name: str) -> list[str]:
    """Return each value of a column as text; the place of one that has none goes into ``flaws``, unless it is there."""
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_run_end_encoded(values.type):
        values = pc.run_end_decode(values)
    kind = values.type
    if pa.types.is_null(kind):
        return [""] * len(values)
    if _is_castable(kind):
        try:
            return _cast(values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError, ValueError):
            pass  # one value of the batch is at fault; the next loop finds it
    found = []
    for place, value in enumerate(values):
        try:
            found.append(_text(value.as_py()))
        except UnicodeDecodeError:
            flaws.setdefault(place, f"bytes that are no text in the column {shown(name)}")
            found.append("")
        except (ValueError, OverflowError, RecursionError, pa.ArrowException):
            flaws.setdefault(place, f"a value that cannot be written as text in the column {shown(name)}")
            found.append("")
    return found


def _is_castable(kind: pa.DataType) -> bool:
    types = pa.types
    checks = (
        types.is_string, types.is_large_string, types.is_string_view, types.is_integer, types.is_floating,
        types.is_boolean, types.is_decimal, types.is_date, types.is_time, types.is_timestamp,
    )  # fmt: skip
    return any(check(kind) for check in checks)


def _cast(values: pa.Array) -> list[str]:
    texts: list[str] = pc.fill_null(values.cast(pa.large_string()), "").to_pylist()
    if pa.types.is_floating(values.type):
        return [plain_decimal(text) if "e" in text else text for text in texts]
    if pa.types.is_temporal(values.type):
        return [_moment(text) if text else "" for text in texts]
    return texts


def _moment(text: str) -> str:
    """Write Arrow's form of a date, time or timestamp as ISO 8601 does, without a fraction of zeros."""
    found = ARROW_MOMENT.fullmatch(text)
    if found is None:
        raise ValueError(text)  # "<value out of range ...>"
    day, clock, fraction, zone = found.groups(default="")
    if len(zone) == len("+0100"):
        zone = f"{zone[:3]}:{zone[3:]}"
    return day + ("T" if day and clock else "") + clock + fraction.rstrip("0").rstrip(".") + zone


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_text)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, float):
        return plain_decimal(repr(value).removesuffix(".0"))
    return str(value)
