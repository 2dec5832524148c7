"""Shares with intervals, by group and over time."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.data.demo import write_demo_table
from core.evaluation.intervals import wilson_interval
from core.model_settings import Cutoffs
from core.prediction.facets import parse_days
from core.prediction.predictor import probability_of
from core.prediction.summary import (
    NO_DAY,
    POSITIVE,
    Counts,
    bins_of,
    bucket_of,
    change_over_time,
    count_sides,
    counts_of,
    last_day_of,
    least_in_bucket,
    least_rows,
    order_rows,
    score_histogram,
    share_by_group,
    share_over_time,
    sides_of,
    start_of,
)

PERIODS = {"day": "D", "week": "W", "month": "M", "quarter": "Q", "year": "Y"}
logits_of = some.lists(some.floats(-12, 12, width=32) | some.just(float("nan")), max_size=60).map(
    lambda values: np.array(values, np.float32)
)
cutoffs_of = (
    some.tuples(*[some.integers(1, 999)] * 3)
    .map(sorted)
    .map(lambda ends: Cutoffs(unsure_low=ends[0] / 1_000, threshold=ends[1] / 1_000, unsure_high=ends[2] / 1_000))
)


def logit(probabilities: object) -> np.ndarray:
    """Return float32 logits whose probabilities are these, as nearly as float32 can say."""
    shares = np.asarray(probabilities, np.float64)
    with np.errstate(divide="ignore"):
        return np.clip(np.log(shares) - np.log1p(-shares), -30, 30).astype(np.float32)


def day_numbers(days: object) -> np.ndarray:
    moments = pd.to_datetime(pd.Series(days)).to_numpy().astype("datetime64[D]")
    return np.where(np.isnat(moments), NO_DAY, moments.astype(np.int64)).astype(np.int32)


def groups_of(values: "pd.Series[str]", sides: np.ndarray, mask: np.ndarray | None = None) -> pd.DataFrame:
    coded = pd.Categorical(values)
    return share_by_group(coded.codes.astype(np.int16), list(coded.categories), sides, mask)


def test_a_score_at_either_end_of_the_band_has_one_side() -> None:
    scores = np.array([0.0, 0.399999, 0.4, 0.5, 0.599999, 0.6, 1.0, np.nan])
    assert count_sides(scores) == Counts(negative=2, not_sure=3, positive=2)


def test_the_share_counts_those_not_sure_among_all_and_has_wilsons_interval() -> None:
    counts = Counts(30, 10, 60)
    assert counts.share == 0.6 and counts.interval == wilson_interval(60, 100)
    assert counts.unsure_share == 0.1 and counts.unsure_interval == wilson_interval(10, 100)
    nothing = Counts(0, 0, 0)
    assert (nothing.share, nothing.interval, nothing.unsure_share, nothing.unsure_interval) == (None,) * 4


@given(logits_of, cutoffs_of)
def test_everything_counts_the_sides_of_one_score_at_a_time(logits: np.ndarray, cutoffs: Cutoffs) -> None:
    each = [cutoffs.side(score) for score in probability_of(logits) if not np.isnan(score)]
    expected = Counts(each.count("negative"), each.count("not sure"), each.count("positive"))
    sides = sides_of(logits, cutoffs)
    assert count_sides(probability_of(logits), cutoffs) == counts_of(sides) == expected
    by_side = score_histogram(bins_of(logits), sides, None, cutoffs).groupby("side")["count"].sum()
    assert tuple(by_side.get(side, 0) for side in ("negative", "not sure", "positive")) == expected
    groups = share_by_group(np.zeros(len(logits), np.int16), ["a"], sides)
    assert groups["positive"].sum() == expected.positive and groups["n"].sum() == expected.scored
    days = np.full(len(logits), 20_000, np.int32)
    assert share_over_time(days, sides, "year")[1]["positive"].sum() == expected.positive


@given(logits_of)
def test_a_score_lies_in_the_bin_that_numpy_puts_it_in(logits: np.ndarray) -> None:
    bins = bins_of(logits)
    scored = probability_of(logits[~np.isnan(logits)])
    assert np.bincount(bins[bins >= 0], minlength=40).tolist() == np.histogram(scored, np.arange(41) / 40)[0].tolist()
    assert ((bins < 0) == np.isnan(logits)).all()


def test_many_rows_are_counted_piece_by_piece_as_few_are() -> None:
    draw = np.random.default_rng(3)
    logits = draw.normal(0, 3, 200_000).astype(np.float32)
    logits[::7] = np.nan
    sides, mask = sides_of(logits), draw.random(200_000) < 0.3
    assert counts_of(sides, mask) == count_sides(probability_of(logits[mask]))
    codes = draw.integers(-1, 5, 200_000).astype(np.int16)
    frame = share_by_group(codes, list("abcde"), sides, mask).set_index("group")
    for code, name in enumerate("abcde"):
        rows = mask & (codes == code) & (sides >= 0)
        assert frame.loc[name, "n"] == rows.sum() and frame.loc[name, "positive"] == (sides[rows] == POSITIVE).sum()


def test_a_bin_on_two_sides_is_two_bars_on_each_other() -> None:
    cutoffs = Cutoffs(unsure_high=0.61)
    logits = logit([0.601, 0.603, 0.62, 0.9])
    frame = score_histogram(bins_of(logits), sides_of(logits, cutoffs), None, cutoffs)
    both = frame[frame["bin"] == 24]
    assert both[["side", "count", "below"]].to_numpy().tolist() == [["not sure", 2, 0], ["positive", 1, 2]]
    assert len(frame) == 41


def test_shares_by_group_are_those_of_pandas() -> None:
    draw = np.random.default_rng(1)
    values = pd.Series(draw.choice(["a", "b", "c", "d"], 2_000, p=[0.5, 0.3, 0.15, 0.05]))
    scores = draw.random(2_000)
    frame = groups_of(values, sides_of(logit(scores))).set_index("group")
    expected = pd.Series(scores >= 0.6).groupby(values).agg(["size", "sum", "mean"])
    for group in "abcd":
        assert frame.loc[group, "n"] == expected.loc[group, "size"]
        assert frame.loc[group, "share"] == pytest.approx(expected.loc[group, "mean"])
        low, high = wilson_interval(int(expected.loc[group, "sum"]), int(expected.loc[group, "size"]))
        assert (frame.loc[group, "low"], frame.loc[group, "high"]) == (low, high)
    assert frame["share"].is_monotonic_decreasing and frame["n"].sum() == 2_000


def test_small_groups_are_one_row_at_the_end_and_no_row_is_lost() -> None:
    frame = groups_of(pd.Series(["big"] * 500 + ["small"] * 8 + ["smaller"] * 5), sides_of(logit(np.full(513, 0.9))))
    assert frame[["group", "pooled", "n"]].to_numpy().tolist() == [["big", 0, 500], ["", 2, 13]]
    assert frame["code"].tolist() == [0, -1]


def test_a_single_small_group_keeps_its_name() -> None:
    frame = groups_of(pd.Series(["big"] * 500 + ["small"] * 5), np.full(505, POSITIVE, np.int8))
    assert sorted(frame["group"]) == ["big", "small"] and not frame["pooled"].any()


def test_only_the_largest_groups_stand_alone() -> None:
    values = pd.Series(np.repeat([f"g{number:03}" for number in range(50)], 200))
    frame = groups_of(values, np.full(10_000, POSITIVE, np.int8))
    assert len(frame) == 21 and frame["pooled"].iloc[-1] == 30 and frame["n"].sum() == 10_000


def test_under_a_filter_the_groups_are_those_of_its_rows_alone() -> None:
    values = pd.Series(["a"] * 50 + ["b"] * 50 + ["c"] * 50)
    frame = groups_of(values, np.full(150, POSITIVE, np.int8), np.arange(150) < 75)
    assert frame.set_index("group")["n"].to_dict() == {"a": 50, "b": 25}


@pytest.mark.parametrize(("rows", "least"), [(0, 10), (100, 10), (1_000, 20), (5_000, 100), (10**6, 100)])
def test_a_group_stands_alone_from_so_many_rows(rows: int, least: int) -> None:
    assert least_rows(rows) == least


def test_thin_buckets_stay_open_and_rows_without_a_date_or_a_score_are_left_out() -> None:
    days = day_numbers(["2024-01-05"] * 40 + ["2024-03-05"] * 60 + ["2024-04-01"] * 3 + [None])
    logits = logit(np.concatenate([np.tile([0.9, 0.1], 20), np.full(60, 0.9), np.full(4, 0.9)]))
    logits[102] = np.nan
    unit, frame = share_over_time(days, sides_of(logits), "month")
    assert unit == "month"
    assert frame["start"].tolist() == [pd.Timestamp(f"2024-0{month}-01") for month in (1, 2, 3, 4)]
    assert frame["n"].tolist() == [40, 0, 60, 2]
    assert frame["share"].tolist()[::2] == [0.5, 1.0]
    assert frame["share"].isna().tolist() == [False, True, False, True]
    assert (frame["low"][0], frame["high"][0]) == wilson_interval(20, 40)


def test_the_unit_is_the_finest_with_rows_enough() -> None:
    days = day_numbers(pd.date_range("2023-01-01", periods=730).repeat(10))
    assert share_over_time(days, np.full(7_300, POSITIVE, np.int8))[0] == "week"
    assert share_over_time(days[:600], np.full(600, POSITIVE, np.int8))[0] == "week"
    years = day_numbers(pd.date_range("2020-01-01", periods=8, freq="YS"))
    assert share_over_time(years, np.full(8, POSITIVE, np.int8))[0] == "year"


def test_no_dates_give_no_buckets_and_no_change() -> None:
    _, frame = share_over_time(np.full(2, NO_DAY, np.int32), np.zeros(2, np.int8))
    assert frame.empty and "share" in frame and change_over_time(frame) is None


@given(some.lists(some.dates(pd.Timestamp("1901-01-01").date(), pd.Timestamp("2199-12-31").date()), min_size=1))
def test_buckets_are_the_periods_of_pandas(dates: list[object]) -> None:
    days = day_numbers(dates)
    for unit, code in PERIODS.items():
        starts = start_of(bucket_of(days, unit), unit)  # type: ignore[arg-type]
        expected = pd.Series(pd.to_datetime(dates)).dt.to_period(code)
        assert starts.tolist() == day_numbers(expected.dt.start_time).tolist()
        last = [last_day_of(start, unit) for start in starts.tolist()]  # type: ignore[arg-type]
        assert last == day_numbers(expected.dt.end_time).tolist()


def test_a_change_has_newcombes_interval() -> None:
    # Newcombe 1998, table II, the first pair of his examples: 56/70 against 48/80 gives 0.0524 to 0.3339 by method 10.
    frame = pd.DataFrame({"n": [80, 1, 70], "positive": [48, 1, 56]})
    change = change_over_time(frame)
    assert change is not None
    assert (change.earlier, change.later) == (0.6, 0.8)
    assert (round(change.low, 4), round(change.high, 4)) == (0.0524, 0.3339)
    assert change_over_time(frame[:1]) is None
    assert change_over_time(pd.DataFrame({"n": [0, 5], "positive": [0, 5]})) is None


def test_rows_are_ordered_by_score_and_unscored_ones_never_appear() -> None:
    logits = np.array([2.0, np.nan, -2.0, 0.1, -2.0], np.float32)
    assert order_rows(logits, "negative", 3).tolist() == [2, 4, 3]
    assert order_rows(logits, "positive", 2).tolist() == [0, 3]
    assert order_rows(logits, "unsure", 10).tolist() == [3, 0, 2, 4]
    assert order_rows(logits, "negative", 3, mask=np.array([1, 1, 0, 1, 1], bool)).tolist() == [4, 3, 0]


@given(some.lists(some.sampled_from([0.0, 1.0, 2.0, 3.0]), max_size=40), some.integers(1, 10))
def test_the_first_of_many_are_those_of_a_whole_sort(values: list[float], most: int) -> None:
    logits = np.array(values, np.float32)
    assert order_rows(logits, "negative", most).tolist() == np.argsort(logits, kind="stable")[:most].tolist()


def test_the_least_sure_are_those_nearest_to_the_threshold() -> None:
    logits = logit([0.5, 0.71, 0.9, 0.69])
    logits = np.insert(logits, 3, np.nan)
    assert order_rows(logits, "unsure", 3, Cutoffs(threshold=0.7, unsure_high=0.8))[:2].tolist() in ([1, 4], [4, 1])


def demo_table() -> pd.DataFrame:
    file = io.StringIO(newline="")
    write_demo_table(file)
    return pd.read_csv(io.StringIO(file.getvalue()), dtype=str, keep_default_na=False)


@pytest.mark.parametrize("is_filtered", [False, True])
def test_the_demo_table_by_every_column_and_unit_is_that_of_pandas_groupby(is_filtered: bool) -> None:
    table = demo_table()
    probabilities = np.random.default_rng(5).random(len(table))
    sides, kept = sides_of(logit(probabilities)), np.ones(len(table), bool)
    mask = None
    if is_filtered:
        mask = kept = (table["stars"].isin(["4", "5"]) & (table["product"] < "S")).to_numpy()
    positive = pd.Series(probabilities >= 0.6)
    for column in ("product", "stars"):
        expected = positive[kept].groupby(table[column][kept]).agg(["size", "sum"])
        is_alone = (expected["size"] >= least_rows(int(kept.sum()))) & (
            expected["size"].rank(method="first", ascending=False) <= 20
        )
        frame = groups_of(table[column], sides, mask)
        alone = frame[frame["pooled"] == 0].set_index("group")
        if (~is_alone).sum() > 1:
            pooled = frame.iloc[-1]
            small = expected.loc[[name for name in expected.index if name not in alone.index]]
            assert (pooled["n"], pooled["positive"]) == (small["size"].sum(), small["sum"].sum())
            assert (pooled["low"], pooled["high"]) == wilson_interval(pooled["positive"], pooled["n"])
        for name, row in alone.iterrows():
            n, count = expected.loc[name]
            assert (row["n"], row["positive"], row["share"]) == (n, count, count / n)
            assert (row["low"], row["high"]) == wilson_interval(count, n)
        assert frame["n"].sum() == kept.sum()
    dates = pd.to_datetime(table["date"])
    days = parse_days(table["date"], "ISO8601")
    for unit, code in PERIODS.items():
        expected = positive[kept].groupby(dates[kept].dt.to_period(code)).agg(["size", "sum"])
        _, frame = share_over_time(days, sides, unit, mask)  # type: ignore[arg-type]
        occurring = frame[frame["n"] > 0]
        assert occurring["start"].tolist() == expected.index.start_time.tolist()
        assert occurring["n"].tolist() == expected["size"].tolist()
        assert occurring["positive"].tolist() == expected["sum"].tolist()
        for (_, row), n, count in zip(occurring.iterrows(), expected["size"], expected["sum"], strict=True):
            if n >= least_in_bucket(int(kept.sum())):
                assert row["share"] == count / n and (row["low"], row["high"]) == wilson_interval(count, n)
            else:
                assert np.isnan(row["share"])


def test_a_unit_that_gives_too_many_buckets_gives_way_to_a_coarser_one() -> None:
    days = day_numbers(["1990-01-01", "2024-06-30"] * 30)
    unit, frame = share_over_time(days, np.full(60, POSITIVE, np.int8), "day")
    assert unit == "month" and len(frame) == 414
