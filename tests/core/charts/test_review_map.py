import json

import numpy as np
import plotly.io
import pytest

from core.charts.review_map import plot_map
from core.charts.tokens import LIGHT
from core.evaluation.selection import Results
from core.prediction.predictor import probability_of


def made(n: int, cut: float = 0.0) -> tuple[np.ndarray, Results]:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=n)
    results = Results((logits + draw.normal(size=n) > 0).astype(np.int64), logits, probability_of(logits), cut)
    return draw.normal(size=n).astype(np.float32), results


def test_every_review_is_one_point_in_the_colour_of_its_outcome() -> None:
    y, results = made(300)
    right, wrong = plot_map(results.logits.astype(np.float32), y, results, (), LIGHT).data
    assert (right.marker.color, wrong.marker.color) == (LIGHT.quiet, LIGHT.wrong)
    for trace, mask in ((right, ~results.wrong), (wrong, results.wrong)):
        rows = np.flatnonzero(mask)
        assert trace.customdata[:, 0].tolist() == rows.tolist()
        assert np.allclose(trace.x, results.logits[rows]) and np.allclose(trace.y, y[rows])
        assert np.allclose(trace.customdata[:, 1], results.probabilities[rows])


def test_the_outline_of_the_area_and_the_threshold_s_line_are_drawn() -> None:
    y, results = made(300, cut=0.5)
    figure = plot_map(results.logits.astype(np.float32), y, results, ((0, 0), (1.25, 0), (1, -1)), LIGHT)
    line, outline = figure.layout.shapes
    assert (line.x0, line.x1) == (0.5, 0.5)
    assert outline.path == "M0,0L1.25,0L1,-1Z"
    assert len(plot_map(results.logits.astype(np.float32), y, results, (), LIGHT).layout.shapes) == 1


def test_twenty_five_thousand_reviews_take_less_than_a_megabyte_and_carry_numbers_alone() -> None:
    y, results = made(25_000)
    written = plotly.io.to_json(plot_map(results.logits.astype(np.float32), y, results, (), LIGHT), validate=False)
    assert len(written) < 1_000_000
    for trace in json.loads(written)["data"]:
        assert {trace[name]["dtype"] for name in ("x", "y", "customdata")} == {"f4"}
        assert "text" not in trace and "hovertext" not in trace


@pytest.mark.parametrize("n", [0, 1])
def test_no_review_or_a_single_one_has_axes_of_some_width(n: int) -> None:
    y, results = made(n)
    figure = plot_map(results.logits.astype(np.float32), y, results, (), LIGHT)
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        assert axis.range[1] > axis.range[0]


@pytest.mark.parametrize("sign", [1, -1])
def test_where_all_are_read_alike_both_sides_of_the_line_have_room_for_their_words(sign: int) -> None:
    y, _ = made(30)
    logits = sign * np.linspace(1.0, 3.0, 30)
    results = Results(np.ones(30, np.int64), logits, probability_of(logits))
    low, high = plot_map(logits.astype(np.float32), y, results, (), LIGHT).layout.xaxis.range
    assert min(-low, high) / (high - low) > 0.25
