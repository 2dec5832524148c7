"""Filters on the rows of a scored table, and how stars go with scores."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.evaluation.intervals import mean_interval, wilson_interval
from core.model_settings import Cutoffs
from core.prediction.facets import ColumnFacts, Facets
from core.prediction.predictor import probability_of
from core.prediction.row_filter import RowFilter, day_text, describe_days, describe_filter, disagreeing, rows_left
from core.prediction.star_agreement import judge_stars
from core.prediction.summary import NO_DAY, sides_of

FACETS = Facets(
    columns=("product", "date", "stars", "free"),
    facts=(
        ColumnFacts(3, 3, None), ColumnFacts(201, 0, "ISO8601"), ColumnFacts(5, 5, None, star_scale=5),
        ColumnFacts(201, 0, None),
    ),
    values=(("", "kettle", "lamp"), None, ("1", "2", "3", "4", "5"), None),
)  # fmt: skip
N = 3_000


def table() -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Return a table as pandas knows it and as its facets do."""
    draw = np.random.default_rng(7)
    frame = pd.DataFrame(
        {
            "logit": draw.normal(0, 2, N).astype(np.float32),
            "product": draw.integers(0, 3, N),
            "day": draw.integers(19_000, 19_100, N).astype(np.int32),
            "stars": draw.integers(0, 5, N),
        }
    )
    frame.loc[::11, "logit"] = np.nan
    frame.loc[::13, "day"] = NO_DAY
    facets = {
        "logit": frame["logit"].to_numpy(),
        "f0": frame["product"].to_numpy(np.int16),
        "d1": frame["day"].to_numpy(),
        "f2": frame["stars"].to_numpy(np.int16),
    }
    return frame, facets


def left_by(chosen: RowFilter, facets: dict[str, np.ndarray], **text_rows: Any) -> np.ndarray:
    found = rows_left(chosen, FACETS, facets.__getitem__, Cutoffs(), text_rows)
    assert found is not None
    return found


FILTERS: list[tuple[RowFilter, str]] = [
    (RowFilter(side="negative"), "p < 0.4"),
    (RowFilter(side="not sure"), "0.4 <= p < 0.6"),
    (RowFilter(side="positive", groups=((0, "kettle"),)), "p >= 0.6 and product == 1"),
    (RowFilter(groups=((0, ""), (2, "5"))), "product == 0 and stars == 4"),
    (RowFilter(dated=1, since=19_010), "day >= 19010"),
    (RowFilter(dated=1, since=19_010, until=19_020), "19010 <= day <= 19020"),
    (RowFilter(dated=1, until=19_020), "day > -1 and day <= 19020"),
    (RowFilter(rated=2, stars=4), "stars == 3"),
    (RowFilter(rated=2, disagreement="high"), "stars >= 3 and p < 0.4"),
    (RowFilter(rated=2, disagreement="low"), "stars <= 1 and p >= 0.6"),
    (RowFilter(rated=2, disagreement="any"), "(stars >= 3 and p < 0.4) or (stars <= 1 and p >= 0.6)"),
    (RowFilter(score=36), "0.9 <= p < 0.925"),
    (RowFilter(confidence=0.9), "p >= 0.9 or p <= 0.1"),
    (RowFilter(confidence=0.8, side="negative", rated=2, stars=5), "p <= 0.2 and stars == 4"),
]


@pytest.mark.parametrize(("chosen", "query"), FILTERS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_filter_leaves_the_rows_that_pandas_leaves(chosen: RowFilter, query: str) -> None:
    frame, facets = table()
    frame["p"] = probability_of(facets["logit"])
    kept = frame[frame["p"].notna()].query(query).index
    assert 0 < len(kept) < N
    assert np.flatnonzero(left_by(chosen, facets)).tolist() == kept.tolist()


def test_no_filter_is_told_apart_from_one_that_leaves_all_scored_rows() -> None:
    _, facets = table()
    assert rows_left(RowFilter(), FACETS, facets.__getitem__, Cutoffs()) is None
    scored = left_by(RowFilter(phrase="a"), facets, phrase=np.ones(N, bool))
    assert (scored == ~np.isnan(facets["logit"])).all()


def test_sides_that_are_known_already_are_used() -> None:
    _, facets = table()
    known = facets | {"side": np.zeros(N, np.int8)}
    assert left_by(RowFilter(side="negative"), known).all()


def test_rows_that_hold_a_word_combine_with_the_rest() -> None:
    frame, facets = table()
    holds = np.arange(N) % 2 == 0
    left = left_by(RowFilter(word="never", groups=((0, "lamp"),)), facets, word=holds)
    assert (left == (holds & (frame["product"] == 2) & frame["logit"].notna())).all()


@pytest.mark.parametrize(
    "chosen",
    [
        RowFilter(groups=((0, "toaster"),)), RowFilter(groups=((3, "x"),)), RowFilter(groups=((9, "x"),)),
        RowFilter(dated=0, since=1), RowFilter(rated=0, stars=3),
    ],
)  # fmt: skip
def test_what_the_table_lacks_leaves_no_row(chosen: RowFilter) -> None:
    assert not left_by(chosen, table()[1]).any()


def test_a_filter_says_what_it_leaves() -> None:
    assert describe_filter(RowFilter(), FACETS) == ""
    chosen = RowFilter(
        side="negative", groups=((0, "kettle"),), dated=1, since=19_723, until=19_753, rated=2, disagreement="high",
        score=36, confidence=0.9, word="never", phrase="twice",
    )  # fmt: skip
    assert describe_filter(chosen, FACETS) == (
        "product kettle, negative, date 1 Jan 2024 to 31 Jan 2024, many stars, read as negative, "
        "probability of positive 90 to 92.5 %, at least 90 % confident, with the word “never”, containing “twice”"
    )
    assert describe_filter(RowFilter(groups=((0, ""),), rated=2, stars=1), FACETS) == "product (empty), 1 star"


def test_long_names_are_cut_and_kept_on_one_line() -> None:
    said = describe_filter(RowFilter(groups=((0, "x\n" * 500),)), FACETS)
    assert len(said) < 80 and "\n" not in said and said.endswith("…")


def test_days_are_written_as_people_do() -> None:
    assert describe_days(0, 0) == "1 Jan 1970" and describe_days(0, None) == "from 1 Jan 1970"
    assert describe_days(None, 30) == "until 31 Jan 1970"
    assert day_text(-(2**31)) == "day -2147483648"


def test_a_changed_filter_keeps_the_others() -> None:
    chosen = RowFilter(side="negative").with_group(2, "5").with_group(0, "lamp").with_group(2, "1")
    assert chosen.groups == ((0, "lamp"), (2, "1")) and chosen.group(0) == "lamp" and chosen.side == "negative"
    assert chosen.with_group(0, None).with_group(2, None) == RowFilter(side="negative")
    assert chosen.with_days(1, None, None).dated is None and chosen.with_days(1, 5, None).dated == 1
    assert chosen.with_stars(2).rated is None and chosen.with_stars(2, 3).stars == 3
    assert RowFilter(word="x", side="positive").without_texts() == RowFilter(side="positive")


def test_stars_in_between_and_scores_that_are_not_sure_agree_with_nothing_and_contradict_nothing() -> None:
    stars = np.array([1, 2, 3, 4, 5, 1, 5, 1, 0], np.int8)
    logits = np.array([3, -3, -3, -3, 3, 0, 0, np.nan, 3], np.float32)
    found = judge_stars(logits, sides_of(logits), stars, 5)
    assert (found.clear, found.high, found.low, found.unsure, found.middling) == (4, 1, 1, 2, 1)
    assert found.share == 0.5 and found.interval == wilson_interval(2, 4)
    assert disagreeing(stars, 5, sides_of(logits), "any").tolist() == [True, *[False] * 2, True, *[False] * 5]


@pytest.mark.parametrize(("scale", "few", "many"), [(5, 2, 4), (10, 4, 7)])
def test_agreement_and_means_are_those_of_pandas(scale: int, few: int, many: int) -> None:
    draw = np.random.default_rng(2)
    stars = draw.integers(0, scale + 1, 5_000).astype(np.int8)
    logits = draw.normal(0, 2, 5_000).astype(np.float32)
    mask = draw.random(5_000) < 0.5
    frame = pd.DataFrame({"stars": stars, "p": probability_of(logits)})[mask].query("stars > 0")
    found = judge_stars(logits, sides_of(logits), stars, scale, mask)
    clear = frame[((frame["stars"] <= few) | (frame["stars"] >= many)) & ((frame["p"] < 0.4) | (frame["p"] >= 0.6))]
    agree = ((clear["stars"] >= many) == (clear["p"] >= 0.6)).sum()
    assert found.clear == len(clear) and found.share == agree / len(clear)
    assert found.high + found.low == len(clear) - agree
    for each in found.by_stars:
        scores = frame.loc[frame["stars"] == each.stars, "p"].to_numpy()
        assert each.n == len(scores) and each.mean == pytest.approx(scores.mean())
        assert (each.low, each.high) == pytest.approx(mean_interval(scores))
    assert len(found.by_stars) == scale


def test_without_clear_stars_there_is_no_agreement() -> None:
    nothing = judge_stars(np.array([1.0], np.float32), np.array([2], np.int8), np.array([3], np.int8), 5)
    assert nothing.share is None and nothing.interval is None and nothing.middling == 1
