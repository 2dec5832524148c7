"""What the rows of a scored table can be filtered and compared by: small numbers, one row a record.

They are made in two readings of the parts, one part in memory at a time: the first finds out what each column is fit
for, the second writes codes and days. A column of texts is told by its first part, and not read again.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.config import Section
from core.errors import JobError
from core.files import atomic_writer
from core.prediction.summary import FIRST_DAY, LAST_DAY, MOST_GROUPS, NO_DAY, least_rows

FACETS_NAME = "facets.parquet"
MOST_DISTINCT = 200
LONGEST_VALUE = 100  # characters; what is longer names no group
MOST_REASONS = 20
ROWS_IN_GROUP = 65_536
SAMPLED_DATES = 1_000
DATE_SHARE = 0.95
LONGEST_DATE = 40
ISO = "ISO8601"
DATE_FORMATS = {
    ISO: "year-month-day",
    "%Y/%m/%d": "year/month/day",
    "%d.%m.%Y": "day.month.year",
    "%d/%m/%Y": "day/month/year",
    "%m/%d/%Y": "month/day/year",
    "%d-%m-%Y": "day-month-year",
    "%d %b %Y": "day month year",
    "%d %B %Y": "day month year",
    "%b %d, %Y": "month day, year",
    "%B %d, %Y": "month day, year",
}
# A bare number such as 5 or 2019 is taken for a rating or a count, not for a date.
DATE_LIKE = r"\D*\d+\D+\d+.*"
# Of a date that is not ISO's, the time of day behind it: it says nothing about the day.
TIME_OF_DAY = r"[,T ]+\d{1,2}:\d{2}.*$"
STARS = re.compile(
    r"(\d{1,2})(?:[.,]0+)?\s*(?:(?:/|of|out of)\s*(5|10))?\s*(?:stars?|points?|★+|⭐+|\*+)?", re.IGNORECASE
)
DRAWN_STARS = re.compile(r"([★⭐*]{1,5})[☆ ]*")
STAR_SHARE = 0.95
FEWEST_STARS = 3  # different ones: 0 and 1, or 1 and 2, are more likely labels

Part = Callable[[Sequence[str]], pa.Table]


@dataclass(frozen=True)
class ColumnFacts:
    """What a chart needs to know of a column before it is chosen; all of its scored rows.

    Attributes:
        distinct: Different values, blanks around them aside; ``MOST_DISTINCT`` + 1 stands for more, or for a value of
            more than ``LONGEST_VALUE`` characters.
        groups: Values with rows enough to stand alone.
        date_format: The key of ``DATE_FORMATS`` that its values follow, or None.
        largest: Rows of the most frequent value.
        star_scale: 5 or 10 where its values are so many stars, or None.
    """

    distinct: int
    groups: int
    date_format: str | None
    largest: int = 2
    star_scale: int | None = None

    @property
    def is_choosable(self) -> bool:
        """Tell whether shares by this column can be drawn; values that all differ name rows, not groups."""
        return 2 <= self.distinct <= MOST_DISTINCT and self.largest > 1


class Facets(Section):
    """What is known of each column of a table.

    Attributes:
        columns: Their names, as they stand in the table.
        facts: What charts each is fit for.
        values: What the codes of ``f<place>`` stand for, by code; None of a column without codes.
        reasons: Why rows were rejected, and how many; the most frequent first, the rest as "other reasons".
    """

    columns: tuple[str, ...]
    facts: tuple[ColumnFacts, ...]
    values: tuple[tuple[str, ...] | None, ...]
    reasons: tuple[tuple[str, int], ...] = ()

    def name(self, place: int) -> str:
        """Return what a column is called where there is little room."""
        return " ".join(self.columns[place].split())[:60] or f"column {place + 1}"

    @property
    def choosable(self) -> list[int]:
        """Return the places of the columns that shares can be drawn by."""
        return [place for place, facts in enumerate(self.facts) if facts.is_choosable]

    @property
    def dated(self) -> list[int]:
        """Return the places of the columns of dates."""
        return [place for place, facts in enumerate(self.facts) if facts.date_format]

    @property
    def starred(self) -> list[int]:
        """Return the places of the columns of stars, those first whose name says so."""
        places = [place for place, facts in enumerate(self.facts) if facts.star_scale]
        return sorted(places, key=lambda place: not re.search(r"star|rating|score|rate", self.columns[place].lower()))


def write_facets(path: Path, parts: Sequence[Part], columns: Sequence[str]) -> Facets:
    """Write the facets of a scored table and return what they are.

    The file has a row for each record: ``logit`` float32 (null where it was not scored); ``f<place>`` int16, the code
    of a column's value (-1 where it was not scored), for columns of 1 to ``MOST_DISTINCT`` values; ``d<place>`` int32,
    days since 1970 of a column of dates (``NO_DAY`` where there is none, or it was not scored).

    Args:
        path: The file.
        parts: Each reads the columns that are asked for of one part, in the table's order.
        columns: The table's.
    """
    notes = [_Notes() for _ in columns]
    reasons: Counter[str] = Counter()
    scored = 0
    for part in parts:
        alive = [place for place, each in enumerate(notes) if each.is_open]
        table = part(["logit", "reason", *(f"c{place}" for place in alive)])
        is_scored = pc.is_valid(table["logit"])
        scored += pc.sum(is_scored).as_py() or 0
        for place in alive:
            notes[place].add(_plain(table[f"c{place}"].filter(is_scored)))
        _count_reasons(reasons, table["reason"].drop_null())
    facts = [each.conclude(scored) for each in notes]
    values = [each.values for each in notes]
    _write_numbers(path, parts, facts, values)
    return Facets(columns=tuple(columns), facts=tuple(facts), values=tuple(values), reasons=_most_frequent(reasons))


def read_facet(path: Path, name: str) -> NDArray[Any]:
    """Return one column of facets as an array (N): float32 with NaN, int16 or int32.

    Raises:
        KeyError: There is no such column.
        JobError: The file is gone or damaged.
    """
    try:
        with pq.ParquetFile(path, memory_map=False) as file:
            dtype = file.schema_arrow.field(name).type.to_pandas_dtype()
            found = np.empty(file.metadata.num_rows, dtype)
            start = 0
            for batch in file.iter_batches(ROWS_IN_GROUP, columns=[name], use_threads=False):
                found[start : start + len(batch)] = batch.column(0).to_numpy(zero_copy_only=False)
                start += len(batch)
    except (OSError, pa.ArrowInvalid) as error:
        raise JobError(f"{path} is gone or damaged. Score the table again: its rows are not read anew.") from error
    pa.default_memory_pool().release_unused()  # it would keep what it took for the next reading
    return found


def star_of(value: str) -> int | None:
    """Return how many stars a text stands for: "4", "4.0", "4/5", "4 stars", "★★★★"; None of any other."""
    text = value.strip()
    if drawn := DRAWN_STARS.fullmatch(text):
        return len(drawn[1])
    found = STARS.fullmatch(text)
    stars = int(found[1]) if found else 0
    return stars if 1 <= stars <= 10 else None


def stars_of(values: Sequence[str], codes: NDArray[np.int16]) -> NDArray[np.int8]:
    """Return the stars of each row, int8 (N); 0 where there are none."""
    known = np.array([*(star_of(value) or 0 for value in values), 0], np.int8)
    return known[codes]  # the code -1 is the last


def find_star_scale(counts: Mapping[str, int]) -> int | None:
    """Return 5 or 10 when nearly all values that are not empty are stars of such a scale, from their rows; else None.

    A column of two different numbers, such as 0 and 1, is more likely a label.
    """
    filled = {value: n for value, n in counts.items() if value}
    stars = {star: n for value, n in filled.items() if (star := star_of(value))}
    read = sum(n for value, n in filled.items() if star_of(value))
    if len(stars) < FEWEST_STARS or read < STAR_SHARE * sum(filled.values()):
        return None
    says_ten = any(re.search(r"(/|of)\s*10", value) for value in filled)
    return 10 if max(stars) > 5 or says_ten else 5


def find_date_format(values: Iterable[str]) -> str | None:
    """Return the format by which most texts are dates, if ``DATE_SHARE`` of those not empty are; the first of equals.

    Where the days are all below 13, day/month/year goes before month/day/year; whoever shows the dates says so.
    """
    notes = _Notes()
    notes.add(_plain(pa.array(list(values), pa.large_string())))
    return notes.conclude(0).date_format


def parse_days(values: Sequence[str], date_format: str) -> NDArray[np.int32]:
    """Read texts as days since 1970, int32 (N), ``NO_DAY`` where one is none; a time with a zone is one of UTC.

    A day before 1900 or after 2100 is held to be a slip of the pen.
    """
    texts = pd.Series(list(values), dtype=object).str.strip()
    if date_format != ISO:
        texts = texts.str.replace(TIME_OF_DAY, "", regex=True)
    moments = pd.to_datetime(texts, format=date_format, errors="coerce", utc=True).dt.tz_localize(None)
    days = moments.to_numpy().astype("datetime64[D]")
    numbers = days.astype(np.int64)
    is_day = ~np.isnat(days) & (numbers >= FIRST_DAY) & (numbers <= LAST_DAY)
    return np.where(is_day, numbers, NO_DAY).astype(np.int32)


def default_column(facts: Iterable[ColumnFacts]) -> int | None:
    """Return the place of the column to show shares by first: the one with the most groups that stand alone.

    A date and stars have charts of their own; a column of numbers or codes has no better claim than another. None when
    no column is choosable.
    """
    claims = [
        (one.date_format is None, one.star_scale is None, min(one.groups, MOST_GROUPS), -one.distinct, -place)
        for place, one in enumerate(facts)
        if one.is_choosable
    ]
    return -max(claims)[4] if claims else None


@dataclass
class _Notes:
    """What has been seen of a column so far.

    Attributes:
        counts: Rows by value; None once there are too many values, or too long ones.
        filled: Rows that are not empty.
        early: Rows by value, of the first ``SAMPLED_DATES`` that are not empty, before it is decided which formats may
            be meant; None after that.
        formats: Rows that are dates, by format that may still be meant.
    """

    counts: dict[str, int] | None = field(default_factory=dict)
    filled: int = 0
    early: dict[str, int] | None = field(default_factory=dict)
    formats: dict[str, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Tell whether more rows may still say something."""
        return self.counts is not None or self.early is not None or bool(self.formats)

    @property
    def values(self) -> tuple[str, ...] | None:
        """Return its values, sorted."""
        return tuple(sorted(self.counts)) if self.counts else None

    def add(self, values: pa.Array) -> None:
        """Look at more rows."""
        tally = pc.value_counts(values)
        names, rows = tally.field("values"), tally.field("counts")
        lengths = pc.utf8_length(names)
        if self.counts is not None:
            if (pc.max(lengths).as_py() or 0) > LONGEST_VALUE or len(names) > MOST_DISTINCT:
                self.counts = None
            else:
                for name, n in zip(names.to_pylist(), rows.to_pylist(), strict=True):
                    self.counts[name] = self.counts.get(name, 0) + n
                if len(self.counts) > MOST_DISTINCT:
                    self.counts = None
        if self.early is None and not self.formats:
            return
        self.filled += pc.sum(pc.if_else(pc.equal(lengths, 0), 0, rows)).as_py() or 0
        is_short = pc.and_(pc.greater(lengths, 0), pc.less_equal(lengths, LONGEST_DATE))
        short = dict(zip(names.filter(is_short).to_pylist(), rows.filter(is_short).to_pylist(), strict=True))
        if self.early is None:
            self._try_formats(short)
            return
        for name, n in short.items():
            self.early[name] = self.early.get(name, 0) + n
        if self.filled >= SAMPLED_DATES:
            self._choose_formats()

    def conclude(self, scored: int) -> ColumnFacts:
        """Say what charts the column is fit for; ``scored`` is how many rows the table has."""
        if self.early is not None:
            self._choose_formats()
        best = max(self.formats, key=lambda name: self.formats[name], default=None)
        counts = self.counts
        return ColumnFacts(
            distinct=MOST_DISTINCT + 1 if counts is None else len(counts),
            groups=sum(n >= least_rows(scored) for n in counts.values()) if counts else 0,
            date_format=best if best and self.formats[best] >= DATE_SHARE * self.filled else None,
            largest=max(counts.values(), default=0) if counts else 0,
            star_scale=find_star_scale(counts) if counts else None,
        )

    def _choose_formats(self) -> None:
        """Keep the formats that read half of the first rows or more, if these look like dates at all."""
        early, self.early = self.early or {}, None
        dates = sum(n for name, n in early.items() if re.fullmatch(DATE_LIKE, name, re.DOTALL))
        if not self.filled or dates < (DATE_SHARE - 0.1) * self.filled:
            return
        self.formats = dict.fromkeys(DATE_FORMATS, 0)
        self._try_formats(early)
        self.formats = {name: n for name, n in self.formats.items() if 2 * n >= self.filled}

    def _try_formats(self, rows: Mapping[str, int]) -> None:
        names, counts = list(rows), np.array(list(rows.values()), np.int64)
        for date_format in self.formats:
            self.formats[date_format] += int(counts[parse_days(names, date_format) != NO_DAY].sum())


def _write_numbers(
    path: Path,
    parts: Sequence[Part],
    facts: Sequence[ColumnFacts],
    values: Sequence[tuple[str, ...] | None],
) -> None:
    coded = {place: pa.array(known, pa.large_string()) for place, known in enumerate(values) if known}
    dated = {place: facts_of.date_format for place, facts_of in enumerate(facts) if facts_of.date_format}
    fields = [pa.field("logit", pa.float32())]
    fields += [pa.field(f"f{place}", pa.int16()) for place in coded] + [
        pa.field(f"d{place}", pa.int32()) for place in dated
    ]
    wanted = ["logit", *(f"c{place}" for place in sorted({*coded, *dated}))]
    waiting: list[pa.Table] = []
    with atomic_writer(path) as file, pq.ParquetWriter(file, pa.schema(fields), compression="zstd") as writer:
        for part in parts:
            table = part(wanted)
            is_scored = pc.is_valid(table["logit"]).to_numpy()
            arrays = [table["logit"].combine_chunks()]
            for place, known in coded.items():
                codes = pc.fill_null(pc.index_in(_plain(table[f"c{place}"]), value_set=known), -1).to_numpy()
                arrays.append(pa.array(np.where(is_scored, codes, -1).astype(np.int16)))
            for place, date_format in dated.items():
                distinct = _plain(table[f"c{place}"]).dictionary_encode()
                days = parse_days(distinct.dictionary.to_pylist(), date_format)
                arrays.append(pa.array(np.where(is_scored, days[distinct.indices.to_numpy()], NO_DAY).astype(np.int32)))
            waiting.append(pa.Table.from_arrays(arrays, schema=writer.schema))
            if sum(map(len, waiting)) >= ROWS_IN_GROUP:
                writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=ROWS_IN_GROUP)
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting).combine_chunks(), row_group_size=ROWS_IN_GROUP)


def _plain(values: "pa.Array | pa.ChunkedArray") -> pa.Array:
    """Return texts without the blanks around them, a null as an empty one."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return pc.utf8_trim_whitespace(pc.fill_null(whole, ""))


def _count_reasons(reasons: "Counter[str]", found: pa.ChunkedArray) -> None:
    for each in pc.value_counts(found).to_pylist():
        # "3 fields where the header has 5 (lines 9 to 12)" is one reason, wherever it is met.
        reasons[re.sub(r" \(lines? [^)]*\)$", "", each["values"])] += each["counts"]


def _most_frequent(reasons: "Counter[str]") -> tuple[tuple[str, int], ...]:
    first = reasons.most_common(MOST_REASONS)
    rest = reasons.total() - sum(n for _, n in first)
    return (*first, *([("other reasons", rest)] if rest else []))
