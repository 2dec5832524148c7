"""What a scored table says: shares with intervals, by group and over time. Frames and arrays in, frames out.

A probability inside the band of ``Cutoffs`` is "not sure" and counts on neither side; outside it is negative or
positive by the threshold. A share positive is always of all scored rows, those not sure included.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation.intervals import Interval, wilson_interval
from core.model_settings import Cutoffs

USUAL = Cutoffs()
BINS = 40
MOST_DISTINCT = 200
MOST_GROUPS = 20
LEAST_IN_GROUP, LEAST_SHARE_IN_GROUP = 100, 0.02
LEAST_IN_BUCKET, LEAST_SHARE_IN_BUCKET = 30, 0.05
MOST_BUCKETS = 120
DATE_SHARE = 0.95
LONGEST_DATE = 40
DATE_FORMATS = {
    "ISO8601": "year-month-day",
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

Unit = Literal["day", "week", "month", "quarter", "year"]
UNITS: dict[Unit, str] = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
Order = Literal["negative", "positive", "unsure"]


class Counts(NamedTuple):
    """How many scored rows lie on each side."""

    negative: int
    not_sure: int
    positive: int

    @property
    def scored(self) -> int:
        """Return all of them."""
        return sum(self)

    @property
    def share(self) -> float | None:
        """Return the share positive; None of no rows."""
        return self.positive / self.scored if self.scored else None

    @property
    def interval(self) -> Interval | None:
        """Return the Wilson interval of the share positive; None of no rows."""
        return wilson_interval(self.positive, self.scored) if self.scored else None


@dataclass(frozen=True)
class ColumnFacts:
    """What a chart needs to know of a column before it is chosen.

    Attributes:
        distinct: Different values, blanks around them aside; ``MOST_DISTINCT`` + 1 stands for more.
        groups: Values with rows enough to stand alone.
        date_format: The key of ``DATE_FORMATS`` that its values follow, or None.
    """

    distinct: int
    groups: int
    date_format: str | None

    @property
    def is_choosable(self) -> bool:
        """Tell whether shares by this column can be drawn."""
        return 2 <= self.distinct <= MOST_DISTINCT


def count_sides(probabilities: NDArray[np.float64], cutoffs: Cutoffs = USUAL) -> Counts:
    """Count the rows on each side; a NaN (a row without a score) counts nowhere."""
    scored = probabilities[~np.isnan(probabilities)]
    not_sure, positive = is_not_sure(scored, cutoffs), is_positive(scored, cutoffs)
    return Counts(int((~not_sure & ~positive).sum()), int(not_sure.sum()), int(positive.sum()))


def is_not_sure(probabilities: NDArray[np.float64], cutoffs: Cutoffs) -> NDArray[np.bool_]:
    """Tell which probabilities lie inside the band, as ``Cutoffs.side`` does of one."""
    inside: NDArray[np.bool_] = (probabilities >= cutoffs.unsure_low) & (probabilities < cutoffs.unsure_high)
    return inside


def is_positive(probabilities: NDArray[np.float64], cutoffs: Cutoffs) -> NDArray[np.bool_]:
    """Tell which probabilities are positive and not inside the band."""
    return (probabilities > cutoffs.threshold) & ~is_not_sure(probabilities, cutoffs)


def least_rows(scored: int) -> int:
    """Return how many rows a group needs to stand alone: 100, or 2 % of a smaller table, but at least 10."""
    return min(LEAST_IN_GROUP, max(10, int(np.ceil(LEAST_SHARE_IN_GROUP * scored))))


def score_histogram(probabilities: NDArray[np.float64], cutoffs: Cutoffs = USUAL) -> pd.DataFrame:
    """Count scores in ``BINS`` equal bins: low, high, side ("negative", "not sure", "positive"), count, below.

    A bin that an end of the band lies inside has a row for each of its sides; ``below`` is the number of scores in the
    rows of the same bin before it, on which a bar of stacked sides stands.
    """
    edges = np.arange(BINS + 1) / BINS  # unlike linspace this hits 0.60 exactly, so no bin lies on two sides there
    scored = probabilities[~np.isnan(probabilities)]
    not_sure, positive = is_not_sure(scored, cutoffs), is_positive(scored, cutoffs)
    of_side = {"negative": scored[~not_sure & ~positive], "not sure": scored[not_sure], "positive": scored[positive]}
    counts = {side: np.histogram(values, edges)[0] for side, values in of_side.items()}
    below = dict(zip(counts, np.cumsum([np.zeros(BINS, np.int64), *counts.values()], axis=0), strict=False))
    frame = pd.concat(
        [
            pd.DataFrame({"low": edges[:-1], "high": edges[1:], "side": side, "count": counts[side],
                          "below": below[side]})
            for side in counts
        ],
        ignore_index=True,
    )  # fmt: skip
    middle_side = [cutoffs.side(float(middle)) for middle in (frame["low"] + frame["high"]) / 2]
    is_shown = (frame["count"] > 0) | (frame["side"] == middle_side)
    return frame[is_shown].sort_values(["low", "below"], kind="stable").reset_index(drop=True)


def share_by_group(values: pd.Series, probabilities: NDArray[np.float64], cutoffs: Cutoffs = USUAL) -> pd.DataFrame:
    """Return the share positive by a column's values, highest first.

    The columns are group, n, positive, share, low, high, pooled. Values with fewer rows than ``least_rows``, and those
    beyond the ``MOST_GROUPS`` largest, are one row at the end, with ``pooled`` the number of values in it (else 0) and
    an empty name. Blanks around a value do not make another; a row without a score is left out.
    """
    is_scored = ~np.isnan(probabilities)
    frame = pd.DataFrame(
        {"group": _plain(values)[is_scored], "is_positive": is_positive(probabilities[is_scored], cutoffs)}
    )
    groups = frame.groupby("group", observed=True)["is_positive"].agg(n="size", positive="sum").reset_index()
    groups = groups.sort_values(["n", "group"], ascending=[False, True], kind="stable").reset_index(drop=True)
    stands_alone = (groups["n"] >= least_rows(int(is_scored.sum()))) & (groups.index < MOST_GROUPS)
    small = groups[~stands_alone]
    if len(small) == 1:  # one group pooled alone would only lose its name
        stands_alone[:] = True
        small = small.iloc[:0]
    shown = _with_shares(groups[stands_alone].assign(pooled=0)).sort_values("share", ascending=False, kind="stable")
    if small.empty:
        return shown.reset_index(drop=True)
    rest = pd.DataFrame(
        {"group": [""], "n": [small["n"].sum()], "positive": [small["positive"].sum()], "pooled": [len(small)]}
    )
    return pd.concat([shown, _with_shares(rest)], ignore_index=True)


def share_over_time(
    days: pd.Series, probabilities: NDArray[np.float64], unit: Unit | None = None, cutoffs: Cutoffs = USUAL
) -> tuple[Unit, pd.DataFrame]:
    """Return the share positive by day, week, month, quarter or year: start, n, positive, share, low, high.

    Every bucket between the first and the last is there; share and interval of one with fewer rows than
    ``least_in_bucket`` are NaN, so that a line is left open there.

    Args:
        days: Of ``parse_days``; NaT where there is none.
        probabilities: Of the same rows; NaN where there is none.
        unit: The finest with at most ``MOST_BUCKETS``, half of which have enough rows, when None.
        cutoffs: Say what is positive.
    """
    has_both = days.notna().to_numpy() & ~np.isnan(probabilities)
    days, positive = days[has_both], is_positive(probabilities[has_both], cutoffs)
    unit = unit or _finest_unit(days)
    buckets = pd.DataFrame({"start": days.dt.to_period(UNITS[unit]), "is_positive": positive})
    found = pd.DataFrame(buckets.groupby("start")["is_positive"].agg(n="size", positive="sum"))
    if len(found):
        every = pd.period_range(found.index.min(), found.index.max(), freq=UNITS[unit])
        found = found.reindex(every, fill_value=0)
    frame = _with_shares(found.rename_axis("start").reset_index())
    frame["start"] = frame["start"].dt.start_time if len(frame) else pd.to_datetime([])
    frame.loc[frame["n"] < least_in_bucket(len(days)), ["share", "low", "high"]] = np.nan
    return unit, frame


def least_in_bucket(dated: int) -> int:
    """Return how many rows a bucket of time needs to be drawn: 30, or 5 % of a smaller table, but at least 5."""
    return min(LEAST_IN_BUCKET, max(5, int(np.ceil(LEAST_SHARE_IN_BUCKET * dated))))


def look_at_column(values: pd.Series, is_scored: NDArray[np.bool_]) -> ColumnFacts:
    """Find out what charts a column is fit for, from all its rows."""
    plain = _plain(values)
    counts = plain[is_scored].value_counts()
    groups = int((counts >= least_rows(int(is_scored.sum()))).sum())
    return ColumnFacts(min(len(counts), MOST_DISTINCT + 1), groups, find_date_format(plain))


def find_date_format(values: pd.Series) -> str | None:
    """Return the format by which most values are dates, if ``DATE_SHARE`` of those not empty are; the first of equals.

    Where the days are all below 13, day/month/year goes before month/day/year; whoever shows the dates says so.
    """
    filled = _plain(values)
    filled = filled[filled != ""]
    sample = filled.iloc[:1_000]
    looks_right = sample.str.fullmatch(DATE_LIKE) & (sample.str.len() <= LONGEST_DATE)
    if not looks_right.mean() >= DATE_SHARE - 0.1:  # also when there is no value at all
        return None
    shares = {name: float(parse_days(filled, name).notna().mean()) for name in DATE_FORMATS}
    best = max(shares, key=lambda name: shares[name])
    return best if shares[best] >= DATE_SHARE else None


def parse_days(values: pd.Series, date_format: str) -> pd.Series:
    """Read texts as moments without a zone, NaT where a text is none; a zone in the text is turned into UTC."""
    moments = pd.to_datetime(_plain(values), format=date_format, errors="coerce", utc=True)
    return moments.dt.tz_localize(None)


def order_rows(
    probabilities: NDArray[np.float64], order: Order, most: int, cutoffs: Cutoffs = USUAL
) -> NDArray[np.int64]:
    """Return the places of the ``most`` first scored rows in an order; of equals the earlier comes first.

    The least sure are those nearest to the threshold.
    """
    distance = np.abs(probabilities - cutoffs.threshold)
    keys = {"negative": probabilities, "positive": -probabilities, "unsure": distance}[order]
    places = np.argsort(keys, kind="stable")  # NaN goes last
    return places[: min(most, int((~np.isnan(probabilities)).sum()))]


def default_column(facts: Iterable[ColumnFacts]) -> int | None:
    """Return the place of the column to show shares by first: the one with the most groups that stand alone.

    A date is the other chart's; a column of numbers or codes has no better claim than another. None when no column is
    choosable.
    """
    claims = [
        (one.date_format is None, min(one.groups, MOST_GROUPS), -one.distinct, -place)
        for place, one in enumerate(facts)
        if one.is_choosable
    ]
    return -max(claims)[3] if claims else None


def _plain(values: pd.Series) -> pd.Series:
    return values.fillna("").astype(str).str.strip().reset_index(drop=True)


def _finest_unit(days: pd.Series) -> Unit:
    for unit, code in UNITS.items():
        counts = days.dt.to_period(code).value_counts()
        if 0 < len(counts) <= MOST_BUCKETS and counts.median() >= least_in_bucket(len(days)):
            return unit
    return "year"


def _with_shares(frame: pd.DataFrame) -> pd.DataFrame:
    """Add share, low and high, NaN where n is 0."""
    pairs = zip(frame["positive"].astype(int), frame["n"].astype(int), strict=True)
    intervals = [wilson_interval(positive, n) if n else (np.nan, np.nan) for positive, n in pairs]
    return frame.assign(
        share=frame["positive"] / frame["n"].where(frame["n"] > 0),
        low=[low for low, _ in intervals],
        high=[high for _, high in intervals],
    )
