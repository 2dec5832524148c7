"""Charts of a scored table carry its numbers, and no name of a stranger's as markup."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.charts.bulk_groups import plot_share_by_group
from core.charts.bulk_sides import plot_score_histogram, score_histogram_spec, share_bar_html
from core.charts.bulk_time import plot_share_over_time
from core.charts.intensity import intensity_spec, plot_intensity
from core.charts.tokens import DARK, LIGHT, Tokens
from core.evaluation.intensity import scores_by_stars
from core.evaluation.shares import Counts
from core.prediction.summary import bins_of, score_histogram, share_by_group, share_over_time, sides_of

N = 4_000
DRAW = np.random.default_rng(4)
LOGITS = DRAW.normal(0, 2, N).astype(np.float32)
SIDES = sides_of(LOGITS)


def drawn(figure: Any) -> dict[str, Any]:
    """Return a figure as the browser gets it, its arrays as lists."""
    found: dict[str, Any] = json.loads(figure.to_json(engine="json"))
    return found


def test_each_group_has_its_dot_its_interval_and_its_code() -> None:
    frame = share_by_group(DRAW.integers(0, 4, N).astype(np.int16), ["d", "c", "b", "a"], SIDES)
    figure = plot_share_by_group(frame, 0.5, LIGHT)
    interval, dots, targets = figure.data
    assert list(dots.x) == frame["share"].tolist() and list(dots.y) == [3, 2, 1, 0]
    assert list(interval.base) == frame["low"].tolist()
    assert np.array(interval.base) + np.array(interval.x) == pytest.approx(frame["high"].tolist())
    assert list(targets.customdata) == frame["code"].tolist()
    assert [f"{n:,}" for n in frame["n"]] == [each.text for each in figure.layout.annotations[1::2]]


def test_names_of_groups_are_escaped_and_cut() -> None:
    names = ["<b>bold</b>", "<a href='http://x'>link</a>", "x" * 500]
    frame = share_by_group(DRAW.integers(0, 3, N).astype(np.int16), names, SIDES)
    figure = plot_share_by_group(frame, 0.5, DARK)
    assert not any("<" in text for text in figure.layout.yaxis.ticktext)
    assert not any("<b>bold" in text or "<a " in text for text in figure.data[2].hovertext)
    assert max(map(len, figure.layout.yaxis.ticktext)) <= 60


def test_a_chosen_group_stands_out_and_pooled_ones_are_never_chosen() -> None:
    codes = np.repeat(np.arange(12), [2_000, 1_900, *[10] * 10]).astype(np.int16)
    frame = share_by_group(codes, ["", *(f"g{number}" for number in range(1, 12))], SIDES)
    assert frame["pooled"].iloc[-1] == 10 and frame["group"].iloc[-1] == ""
    colours = plot_share_by_group(frame, 0.5, LIGHT, selected="").data[1].marker.color
    alone = frame.index[(frame["group"] == "") & (frame["pooled"] == 0)][0]
    assert [colour.endswith(",1.0)") for colour in colours] == [place == alone for place in range(len(frame))]


def test_a_line_is_open_where_rows_lack_and_a_range_slider_is_under_it() -> None:
    days = np.repeat([19_723, 19_760, 19_783, 19_820], [1_500, 5, 1_500, 995]).astype(np.int32)
    unit, frame = share_over_time(days, SIDES, "month")
    figure = drawn(plot_share_over_time(frame, unit, LIGHT))
    *bands, line = figure["data"]
    assert len(bands) == 2 and line["connectgaps"] is False and len(line["x"]) == 4
    assert figure["layout"]["xaxis"]["rangeslider"]["visible"] is True
    assert line["hovertext"][1].endswith("5 reviews, too few to draw")
    assert not figure["layout"].get("shapes")


def test_the_time_that_is_not_chosen_is_paled() -> None:
    days = np.repeat([19_723, 19_783, 19_843], [1_500, 1_500, 1_000]).astype(np.int32)
    unit, frame = share_over_time(days, SIDES, "month")
    for chosen, count in (((19_754, 19_800), 2), ((19_754, None), 1), ((None, 19_800), 1), ((1, 40_000), 0)):
        assert len(plot_share_over_time(frame, unit, LIGHT, chosen).layout.shapes) == count


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_a_filled_form_is_the_chart_that_altair_makes(tokens: Tokens) -> None:
    frame = score_histogram(bins_of(LOGITS), SIDES)
    by_stars = scores_by_stars(1 / (1 + np.exp(-LOGITS.astype(np.float64))), DRAW.integers(0, 6, N))
    pairs = [
        (score_histogram_spec(frame, tokens, 3), plot_score_histogram(frame, tokens, 3, is_door=True).to_dict()),
        (intensity_spec(by_stars, 2, tokens), plot_intensity(by_stars, 2, tokens).to_dict()),
    ]
    for filled, made in pairs:
        assert without_data(filled) == without_data(made)
        rows = sorted(json.dumps(each, sort_keys=True) for each in filled["datasets"].values())
        assert rows == sorted(json.dumps(each, sort_keys=True) for each in made["datasets"].values())
        assert "NaN" not in json.dumps(filled)


def without_data(spec: Any) -> Any:
    """Return a chart without its rows, and without the names of marks, which Altair numbers as it goes."""
    if isinstance(spec, dict):
        return {
            key: without_data(value) for key, value in spec.items() if key not in ("data", "datasets", "views", "name")
        }
    return [without_data(each) for each in spec] if isinstance(spec, list) else spec


def test_a_star_that_no_row_has_leaves_a_gap() -> None:
    by_stars = scores_by_stars(np.array([0.1, 0.9, 0.8]), np.array([1, 5, 5]))
    rows = intensity_spec(by_stars, None, LIGHT)["datasets"]["stars"]
    assert [row["stars"] for row in rows] == [1, 5] and rows[0]["low"] is None


def test_the_share_bar_has_a_piece_for_each_side_that_has_rows_and_says_all_three() -> None:
    html = share_bar_html(Counts(30, 0, 70), LIGHT, selected="positive")
    assert html.count("flex:") == 2 and "opacity" in html
    assert "negative 30.0 %" in html and "not sure 0.0 %" in html and "positive 70.0 %" in html
    assert share_bar_html(Counts(0, 0, 0), LIGHT).count("0.0 %") == 6


def test_a_histogram_of_few_rows_counts_whole_ones() -> None:
    logits = np.array([3.0], np.float32)
    frame = score_histogram(bins_of(logits), sides_of(logits))
    rows = score_histogram_spec(frame, LIGHT)["datasets"]["bins"]
    assert sum(row["count"] for row in rows) == 1 and len(rows) == 40
    assert isinstance(frame, pd.DataFrame)
