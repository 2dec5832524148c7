"""What a scored table says: shares with intervals, by group and over time, and where stars disagree.

Everything is made of small numbers, one a record: its side, the code of its group, its day. A probability inside the
band of ``Cutoffs`` is "not sure" and counts on neither side; outside it is negative or positive by the threshold. A
share positive is always of all scored rows, those not sure included.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.evaluation.intervals import wilson_interval
from core.evaluation.shares import SIDES, UNITS, Unit
from core.evaluation.shares import Counts as Counts
from core.model_settings import Cutoffs
from core.prediction.predictor import probability_of

USUAL = Cutoffs()
BINS = 40
MOST_GROUPS = 20
LEAST_IN_GROUP, LEAST_SHARE_IN_GROUP = 100, 0.02
LEAST_IN_BUCKET, LEAST_SHARE_IN_BUCKET = 30, 0.05
MOST_BUCKETS = 120
MOST_DRAWN = 1_500  # buckets of a unit that somebody chose
NO_DAY = -(2**31)
FIRST_DAY, LAST_DAY = -25_567, 47_846  # 1 January 1900 and 31 December 2100, in days since 1970
PIECE = 16_384  # rows at a time where numbers are made that are larger than those that are kept

Order = Literal["negative", "positive", "unsure"]
NEGATIVE, NOT_SURE, POSITIVE = range(3)
Mask = NDArray[np.bool_]
Sides = NDArray[np.int8]


class Change(NamedTuple):
    """The share positive of an earlier and a later half of a time, and the 95 % interval of later minus earlier."""

    earlier: float
    later: float
    low: float
    high: float


def count_sides(probabilities: NDArray[np.float64], cutoffs: Cutoffs = USUAL) -> Counts:
    """Count the rows on each side; a NaN (a row without a score) counts nowhere."""
    return counts_of(np.concatenate([np.zeros(0, np.int8), *_sides(probabilities, cutoffs)]))


def sides_of(logits: NDArray[np.float32], cutoffs: Cutoffs = USUAL) -> Sides:
    """Return each row's side, int8 (N): a place in ``SIDES``, or -1 where the logit is NaN (a row without a score)."""
    return np.concatenate([np.zeros(0, np.int8), *(next(_sides(each, cutoffs)) for each in _probabilities(logits))])


def bins_of(logits: NDArray[np.float32]) -> NDArray[np.int8]:
    """Return into which of ``BINS`` equal bins each row's probability falls, int8 (N); -1 where it has none."""
    edges = bin_edges()
    found = [np.zeros(0, np.int8)]
    for probabilities in _probabilities(logits):
        places = np.minimum(np.searchsorted(edges, probabilities, side="right") - 1, BINS - 1)
        found.append(np.where(np.isnan(probabilities), -1, places).astype(np.int8))
    return np.concatenate(found)


def bin_edges() -> NDArray[np.float64]:
    """Return the ends of the bins of a probability; unlike linspace this hits 0.60 exactly."""
    return np.arange(BINS + 1) / BINS


def counts_of(sides: Sides, mask: Mask | None = None) -> Counts:
    """Count the rows of a mask on each side."""
    chosen = sides if mask is None else sides[mask]
    return Counts(*(int(np.count_nonzero(chosen == side)) for side in range(3)))


def least_rows(scored: int) -> int:
    """Return how many rows a group needs to stand alone: 100, or 2 % of a smaller table, but at least 10."""
    return min(LEAST_IN_GROUP, max(10, int(np.ceil(LEAST_SHARE_IN_GROUP * scored))))


def least_in_bucket(dated: int) -> int:
    """Return how many rows a bucket of time needs to be drawn: 30, or 5 % of a smaller table, but at least 5."""
    return min(LEAST_IN_BUCKET, max(5, int(np.ceil(LEAST_SHARE_IN_BUCKET * dated))))


def score_histogram(
    bins: NDArray[np.int8], sides: Sides, mask: Mask | None = None, cutoffs: Cutoffs = USUAL
) -> pd.DataFrame:
    """Count scores in ``BINS`` equal bins: bin, low, high, side ("negative", "not sure", "positive"), count, below.

    A bin that an end of the band lies inside has a row for each of its sides; ``below`` is the number of scores in the
    rows of the same bin before it, on which a bar of stacked sides stands.
    """
    counts = _tally(bins, BINS, sides, mask)
    edges = bin_edges()
    middle_side = [SIDES.index(cutoffs.side(float(middle))) for middle in (edges[:-1] + edges[1:]) / 2]
    rows = [
        (place, edges[place], edges[place + 1], SIDES[side], counts[place, side], counts[place, :side].sum())
        for place in range(BINS)
        for side in range(3)
        if counts[place, side] or side == middle_side[place]
    ]
    return pd.DataFrame(rows, columns=["bin", "low", "high", "side", "count", "below"])


def share_by_group(
    codes: NDArray[np.integer], values: Sequence[str], sides: Sides, mask: Mask | None = None
) -> pd.DataFrame:
    """Return the share positive by a column's values, highest first.

    The columns are group, code, n, positive, share, low, high, pooled. Values with fewer rows than ``least_rows``, and
    those beyond the ``MOST_GROUPS`` largest, are one row at the end, with ``pooled`` the number of values in it (else
    0), an empty name and code -1. A row without a score, or whose code is -1, is left out.

    Args:
        codes: Which of the values each row has, integers (N).
        values: What the codes stand for.
        sides: Of ``sides_of``, int8 (N).
        mask: The rows that count, bool (N); all when None.
    """
    counts = _tally(codes, len(values), sides, mask)
    groups = pd.DataFrame(
        {"group": list(values), "code": range(len(values)), "n": counts.sum(axis=1), "positive": counts[:, POSITIVE]}
    )
    groups = groups[groups["n"] > 0].sort_values(["n", "group"], ascending=[False, True], kind="stable")
    groups = groups.reset_index(drop=True)
    stands_alone = (groups["n"] >= least_rows(int(groups["n"].sum()))) & (groups.index < MOST_GROUPS)
    small = groups[~stands_alone]
    if len(small) == 1:  # one group pooled alone would only lose its name
        stands_alone[:] = True
        small = small.iloc[:0]
    shown = _with_shares(groups[stands_alone].assign(pooled=0)).sort_values("share", ascending=False, kind="stable")
    if small.empty:
        return shown.reset_index(drop=True)
    rest = pd.DataFrame(
        {"group": [""], "code": [-1], "n": [small["n"].sum()], "positive": [small["positive"].sum()],
         "pooled": [len(small)]}
    )  # fmt: skip
    return pd.concat([shown, _with_shares(rest)], ignore_index=True)


def share_over_time(
    days: NDArray[np.int32], sides: Sides, unit: Unit | None = None, mask: Mask | None = None
) -> tuple[Unit, pd.DataFrame]:
    """Return the share positive by day, week, month, quarter or year: start, n, positive, share, low, high.

    Every bucket between the first and the last is there; share and interval of one with fewer rows than
    ``least_in_bucket`` are NaN, so that a line is left open there. A week begins on Monday.

    Args:
        days: Days since 1970 from ``FIRST_DAY`` to ``LAST_DAY``, int32 (N); ``NO_DAY`` where there is none.
        sides: Of ``sides_of``, int8 (N).
        unit: The finest with at most ``MOST_BUCKETS``, half of which have enough rows, when None. A coarser one is
            taken where it would give more than ``MOST_DRAWN``.
        mask: The rows that count, bool (N); all when None.
    """
    calendar, n, positive = _count_days(days, sides, mask)
    if not len(calendar):
        return unit or "year", _with_shares(pd.DataFrame({"start": pd.to_datetime([]), "n": [], "positive": []}))
    unit = unit or _finest_unit(calendar, n)
    while np.ptp(places := bucket_of(calendar, unit)) >= MOST_DRAWN:
        unit = UNITS[UNITS.index(unit) + 1]
    every = np.arange(places[0], places[-1] + 1)
    frame = pd.DataFrame(
        {
            "start": pd.to_datetime(start_of(every, unit).astype("datetime64[D]").astype("datetime64[s]")),
            "n": np.bincount(places - places[0], n, len(every)).astype(np.int64),
            "positive": np.bincount(places - places[0], positive, len(every)).astype(np.int64),
        }
    )
    frame = _with_shares(frame)
    frame.loc[frame["n"] < least_in_bucket(int(n.sum())), ["share", "low", "high"]] = np.nan
    return unit, frame


def bucket_of(days: NDArray[np.integer], unit: Unit) -> NDArray[np.int64]:
    """Return a running number of the day, week, month, quarter or year that days since 1970 lie in, int64 (N)."""
    whole = days.astype(np.int64)
    if unit == "day":
        return whole
    if unit == "week":
        return (whole + 3) // 7  # 1 January 1970 was a Thursday
    months = whole.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
    return months // {"month": 1, "quarter": 3, "year": 12}[unit]


def start_of(buckets: NDArray[np.int64], unit: Unit) -> NDArray[np.int64]:
    """Return the first day of buckets of ``bucket_of``, days since 1970, int64 (N)."""
    if unit == "day":
        return buckets
    if unit == "week":
        return buckets * 7 - 3
    months = (buckets * {"month": 1, "quarter": 3, "year": 12}[unit]).astype("datetime64[M]")
    return months.astype("datetime64[D]").astype(np.int64)


def last_day_of(start: int, unit: Unit) -> int:
    """Return the last day of the bucket that begins on a day, both in days since 1970."""
    return int(start_of(bucket_of(np.array([start]), unit) + 1, unit)[0]) - 1


def change_over_time(frame: pd.DataFrame) -> Change | None:
    """Return the shares of the earlier and the later half of a time, or None where a half has no rows.

    The halves have equal numbers of buckets, the middle one of an odd number in neither. The interval of the difference
    is Newcombe's, of two Wilson intervals (Newcombe 1998, Statistics in Medicine 17, method 10).

    Args:
        frame: Of ``share_over_time``.
    """
    half = len(frame) // 2
    sums = [part[["positive", "n"]].sum().astype(int).tolist() for part in (frame[:half], frame[len(frame) - half :])]
    if not half or not all(n for _, n in sums):
        return None
    (earlier, low_1, high_1), (later, low_2, high_2) = (
        (positive / n, *wilson_interval(positive, n)) for positive, n in sums
    )
    down = np.hypot(later - low_2, high_1 - earlier)
    up = np.hypot(high_2 - later, earlier - low_1)
    return Change(earlier, later, float(later - earlier - down), float(later - earlier + up))


def order_rows(
    logits: NDArray[np.float32], order: Order, most: int, cutoffs: Cutoffs = USUAL, mask: Mask | None = None
) -> NDArray[np.int64]:
    """Return the places of the ``most`` first scored rows in an order; of equals the earlier comes first.

    The least sure are those nearest to the threshold.
    """
    found: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    keys: list[NDArray[np.float64]] = [np.zeros(0, np.float64)]
    for start in range(0, len(logits), PIECE):
        piece = logits[start : start + PIECE]
        left = ~np.isnan(piece)
        if mask is not None:
            left &= mask[start : start + PIECE]
        places = np.flatnonzero(left)
        key = piece[places].astype(np.float64)
        if order == "positive":
            key = -key
        elif order == "unsure":
            key = np.abs(probability_of(piece[places]) - cutoffs.threshold)
        if len(key) > most:
            # No need to sort a million for ten of them; those that equal the last one wanted stay in, in their order.
            near = np.flatnonzero(key <= np.partition(key, most - 1)[most - 1])
            places, key = places[near], key[near]
        first = np.argsort(key, kind="stable")[:most]
        found.append(places[first] + start)
        keys.append(key[first])
    return np.concatenate(found)[np.argsort(np.concatenate(keys), kind="stable")][:most]


def _probabilities(logits: NDArray[np.float32]) -> Iterator[NDArray[np.float64]]:
    """Give the probabilities of positive piece by piece: whole they would take twice the memory of the logits."""
    for start in range(0, len(logits), PIECE):
        with np.errstate(invalid="ignore"):  # a NaN stays one
            probabilities = probability_of(logits[start : start + PIECE])
        yield probabilities


def _sides(probabilities: NDArray[np.float64], cutoffs: Cutoffs) -> Iterator[Sides]:
    for start in range(0, len(probabilities), PIECE):
        piece = probabilities[start : start + PIECE]
        sides = np.where(piece > cutoffs.threshold, POSITIVE, NEGATIVE).astype(np.int8)
        sides[(piece >= cutoffs.unsure_low) & (piece < cutoffs.unsure_high)] = NOT_SURE
        sides[np.isnan(piece)] = -1
        yield sides


def _tally(codes: NDArray[np.integer], size: int, sides: Sides, mask: Mask | None) -> NDArray[np.int64]:
    """Count rows by code and side, int64 (size, 3); a negative code or side counts nowhere."""
    counts = np.zeros((size + 1) * 4, np.int64)
    for start in range(0, len(codes), PIECE):
        piece = slice(start, start + PIECE)
        keys = (codes[piece].astype(np.int64) + 1) * 4 + sides[piece] + 1
        counts += np.bincount(keys if mask is None else keys[mask[piece]], minlength=len(counts))
    return counts.reshape(size + 1, 4)[1:, 1:]


def _count_days(days: NDArray[np.int32], sides: Sides, mask: Mask | None) -> tuple[NDArray[np.int64], ...]:
    """Return the days that occur, in order, their rows and the positive ones of these, int64 (D) each.

    Days are counted first, and put together after: there are far fewer of them than rows.
    """
    counts = np.zeros((2, LAST_DAY - FIRST_DAY + 1), np.int64)
    for start in range(0, len(days), PIECE):
        piece = slice(start, start + PIECE)
        chosen = (days[piece] != NO_DAY) & (sides[piece] >= 0)
        if mask is not None:
            chosen &= mask[piece]
        for place, some in enumerate((chosen, chosen & (sides[piece] == POSITIVE))):
            found = np.bincount(days[piece][some] - FIRST_DAY)
            counts[place, : len(found)] += found
    occurring = np.flatnonzero(counts[0])
    return occurring + FIRST_DAY, counts[0, occurring], counts[1, occurring]


def _finest_unit(calendar: NDArray[np.int64], n: NDArray[np.int64]) -> Unit:
    least = least_in_bucket(int(n.sum()))
    for unit in UNITS:
        places = bucket_of(calendar, unit)
        counts = np.bincount(places - places[0], n)
        counts = counts[counts > 0]
        if len(counts) <= MOST_BUCKETS and np.median(counts) >= least:
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
