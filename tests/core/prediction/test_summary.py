"""Shares with intervals, by group and over time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.evaluation.intervals import wilson_interval
from core.model_settings import Cutoffs
from core.prediction.summary import (
    ColumnFacts,
    Counts,
    count_sides,
    default_column,
    find_date_format,
    least_rows,
    look_at_column,
    order_rows,
    parse_days,
    score_histogram,
    share_by_group,
    share_over_time,
)

probabilities_of = some.lists(some.floats(0, 1) | some.just(float("nan")), max_size=60).map(np.array)


def test_a_score_at_either_end_of_the_band_has_one_side() -> None:
    scores = np.array([0.0, 0.399999, 0.4, 0.5, 0.599999, 0.6, 1.0, np.nan])
    assert count_sides(scores) == Counts(negative=2, not_sure=3, positive=2)


def test_the_share_counts_those_not_sure_among_all_and_has_wilsons_interval() -> None:
    counts = Counts(30, 10, 60)
    assert counts.share == 0.6
    assert counts.interval == wilson_interval(60, 100)
    assert Counts(0, 0, 0).share is None and Counts(0, 0, 0).interval is None


@given(probabilities_of)
def test_the_histogram_agrees_with_the_counts(scores: np.ndarray) -> None:
    scores = scores.astype(float)
    frame = score_histogram(scores)
    assert len(frame) == 40
    by_side = frame.groupby("side")["count"].sum()
    counts = count_sides(scores)
    assert (by_side["negative"], by_side["not sure"], by_side["positive"]) == counts
    assert counts.scored == int((~np.isnan(scores)).sum())


def test_shares_by_group_are_those_of_pandas() -> None:
    draw = np.random.default_rng(1)
    values = pd.Series(draw.choice(["a", "b", "c", "d"], 2_000, p=[0.5, 0.3, 0.15, 0.05]))
    scores = draw.random(2_000)
    frame = share_by_group(values, scores).set_index("group")
    expected = pd.Series(scores >= 0.6).groupby(values).agg(["size", "sum", "mean"])
    for group in "abc":
        assert frame.loc[group, "n"] == expected.loc[group, "size"]
        assert frame.loc[group, "share"] == pytest.approx(expected.loc[group, "mean"])
        low, high = wilson_interval(int(expected.loc[group, "sum"]), int(expected.loc[group, "size"]))
        assert (frame.loc[group, "low"], frame.loc[group, "high"]) == (low, high)
    assert frame["share"].drop("d").is_monotonic_decreasing
    assert frame["n"].sum() == 2_000


def test_small_groups_are_one_row_at_the_end_and_no_row_is_lost() -> None:
    values = pd.Series(["big"] * 500 + ["small"] * 8 + ["smaller"] * 5)
    frame = share_by_group(values, np.linspace(0, 1, 513))
    assert frame["group"].tolist() == ["big", ""]
    assert frame["pooled"].tolist() == [0, 2]
    assert frame["n"].tolist() == [500, 13]


def test_a_single_small_group_keeps_its_name() -> None:
    frame = share_by_group(pd.Series(["big"] * 500 + ["small"] * 5), np.full(505, 0.9))
    assert sorted(frame["group"]) == ["big", "small"] and not frame["pooled"].any()


def test_only_the_largest_groups_stand_alone() -> None:
    values = pd.Series(np.repeat([f"g{number:03}" for number in range(50)], 200))
    frame = share_by_group(values, np.full(10_000, 0.9))
    assert len(frame) == 21 and frame["pooled"].iloc[-1] == 30 and frame["n"].sum() == 10_000


def test_blanks_and_missing_values_are_a_group_and_unscored_rows_are_left_out() -> None:
    values = pd.Series(["x ", " x", "", None, "NA"] * 20)
    scores = np.tile([0.9, 0.1, 0.9, 0.9, np.nan], 20)
    frame = share_by_group(values, scores).set_index("group")
    assert frame["n"].to_dict() == {"x": 40, "": 40}
    assert frame.loc["", "pooled"] == 0


@pytest.mark.parametrize(("rows", "least"), [(0, 10), (100, 10), (1_000, 20), (5_000, 100), (10**6, 100)])
def test_a_group_stands_alone_from_so_many_rows(rows: int, least: int) -> None:
    assert least_rows(rows) == least


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["2024-05-01", "2024-06-30", ""], "ISO8601"),
        (["2024-05-01T10:00:00Z", "2024-06-30T23:59:59+02:00"], "ISO8601"),
        (["31.12.2024", "01.02.2024"], "%d.%m.%Y"),
        (["12/31/2024", "01/02/2024"], "%m/%d/%Y"),
        (["01/02/2024", "03/04/2024"], "%d/%m/%Y"),
        (["May 1, 2024", "Jun 3, 2024"], "%b %d, %Y"),
        (["1", "5", "3"], None),
        (["2019", "2020"], None),
        (["20240501", "20240502"], None),
        (["4.5", "3.0"], None),
        (["", ""], None),
        ([], None),
        (["2024-05-01"] * 9 + ["soon"], None),
        (["2024-05-01"] * 19 + ["soon"], "ISO8601"),
        (["a film of 2024-05-01, and a good one at that it was too"] * 3, None),
    ],
)
def test_a_column_is_dates_only_when_nearly_all_of_it_is(texts: list[str], found: str | None) -> None:
    assert find_date_format(pd.Series(texts, dtype="str")) == found


def test_shares_over_time_are_those_of_pandas_and_thin_buckets_stay_open() -> None:
    days = pd.Series(pd.to_datetime(["2024-01-05"] * 40 + ["2024-03-05"] * 60 + ["2024-04-01"] * 3 + [None]))
    scores = np.concatenate([np.tile([0.9, 0.1], 20), np.full(60, 0.9), np.full(4, 0.9)])
    unit, frame = share_over_time(days, scores, "month")
    assert unit == "month"
    assert frame["start"].tolist() == [pd.Timestamp(f"2024-0{month}-01") for month in (1, 2, 3, 4)]
    assert frame["n"].tolist() == [40, 0, 60, 3]
    assert frame["share"].tolist()[::2] == [0.5, 1.0]
    assert frame["share"].isna().tolist() == [False, True, False, True]
    assert (frame["low"][0], frame["high"][0]) == wilson_interval(20, 40)


def test_the_unit_is_the_finest_with_rows_enough() -> None:
    days = pd.Series(pd.date_range("2023-01-01", periods=730).repeat(10))
    assert share_over_time(days, np.full(7_300, 0.9))[0] == "week"
    assert share_over_time(days[:600], np.full(600, 0.9))[0] == "week"
    assert share_over_time(pd.Series(pd.date_range("2020-01-01", periods=8, freq="YS")), np.full(8, 0.9))[0] == "year"


def test_no_dates_give_no_buckets() -> None:
    _, frame = share_over_time(pd.Series(pd.to_datetime([None, None])), np.array([0.1, 0.9]))
    assert frame.empty and "share" in frame


def test_a_zone_is_turned_into_utc() -> None:
    moments = parse_days(pd.Series(["2024-01-01T00:30:00+02:00", "never"]), "ISO8601")
    assert moments[0] == pd.Timestamp("2023-12-31 22:30") and pd.isna(moments[1])


def test_rows_are_ordered_by_score_and_unscored_ones_never_appear() -> None:
    scores = np.array([0.9, np.nan, 0.1, 0.52, 0.1])
    assert order_rows(scores, "negative", 3).tolist() == [2, 4, 3]
    assert order_rows(scores, "positive", 2).tolist() == [0, 3]
    assert order_rows(scores, "unsure", 10).tolist() == [3, 0, 2, 4]


def test_a_column_is_looked_at_over_its_scored_rows() -> None:
    facts = look_at_column(pd.Series(["a"] * 50 + ["b"] * 50 + ["c"]), np.array([True] * 100 + [False]))
    assert facts == ColumnFacts(distinct=2, groups=2, date_format=None)
    many = look_at_column(pd.Series([str(number) for number in range(500)]), np.full(500, True))
    assert many.distinct == 201 and not many.is_choosable


def test_the_first_column_shown_has_the_most_groups_and_is_no_date() -> None:
    columns = [
        ColumnFacts(201, 0, None), ColumnFacts(30, 12, "ISO8601"), ColumnFacts(5, 5, None), ColumnFacts(12, 9, None),
    ]  # fmt: skip
    assert default_column(columns) == 3
    assert default_column(columns[:2]) == 1
    assert default_column(columns[:1]) is None and default_column([]) is None


cutoffs_of = (
    some.tuples(*[some.integers(1, 999)] * 3)
    .map(sorted)
    .map(lambda ends: Cutoffs(unsure_low=ends[0] / 1_000, threshold=ends[1] / 1_000, unsure_high=ends[2] / 1_000))
)


@given(probabilities_of, cutoffs_of)
def test_at_other_cutoffs_everything_counts_the_sides_of_one_score_at_a_time(
    scores: np.ndarray, cutoffs: Cutoffs
) -> None:
    scores = scores.astype(float)
    sides = [cutoffs.side(score) for score in scores if not np.isnan(score)]
    expected = Counts(sides.count("negative"), sides.count("not sure"), sides.count("positive"))
    assert count_sides(scores, cutoffs) == expected
    by_side = score_histogram(scores, cutoffs).groupby("side")["count"].sum()
    assert tuple(by_side.get(side, 0) for side in ("negative", "not sure", "positive")) == expected
    groups = share_by_group(pd.Series(["a"] * len(scores)), scores, cutoffs)
    assert groups["positive"].sum() == expected.positive
    days = pd.Series(pd.Timestamp("2026-01-05"), index=range(len(scores)))
    assert share_over_time(days, scores, "year", cutoffs)[1]["positive"].sum() == expected.positive


def test_a_bin_on_two_sides_is_two_bars_on_each_other() -> None:
    frame = score_histogram(np.array([0.601, 0.603, 0.62, 0.9]), Cutoffs(unsure_high=0.61))
    both = frame[frame["low"] == 0.6]
    assert both[["side", "count", "below"]].to_numpy().tolist() == [["not sure", 2, 0], ["positive", 1, 2]]
    assert len(frame) == 41


def test_the_least_sure_are_those_nearest_to_the_threshold() -> None:
    scores = np.array([0.5, 0.71, 0.9, np.nan, 0.69])
    assert order_rows(scores, "unsure", 3, Cutoffs(threshold=0.7, unsure_high=0.8)).tolist() == [1, 4, 0]
