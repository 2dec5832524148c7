"""The charts of the section Confidence, as Vega-Lite and Plotly documents."""

import json
from typing import Any

import numpy as np
import pytest

from core.charts.confidence import (
    FRAME_HEIGHT,
    LARGEST_DOT,
    SMALLEST_DOT,
    WORDS_WIDTH,
    nice_range,
    place_words,
    plot_bin_counts,
    plot_reliability,
    plot_risk_coverage,
    reliability_finding,
    reliability_frame,
    risk_finding,
    risk_frame,
)
from core.charts.evaluation import confidence_finding, plot_precision_recall, plot_roc
from core.charts.tokens import DARK, LIGHT
from core.evaluation.calibration import reliability, risk_coverage
from core.evaluation.curves import count_by_confidence, precision_recall_curve, roc_curve
from core.evaluation.selection import Results, Selection


def invent(n: int, scale: float = 1.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return labels drawn by the logistic function of scores, and these scores times ``scale``."""
    draw = np.random.default_rng(seed)
    scores = draw.normal(0, 2, n)
    return (draw.random(n) < 1 / (1 + np.exp(-scores))).astype(np.int64), scale * scores


def marks(chart: Any) -> list[dict[str, Any]]:
    """Return the layers of a chart, each with its rows."""
    document = chart.to_dict()
    assert "NaN" not in json.dumps(document), "a browser cannot read NaN"
    return [layer | {"rows": document["datasets"][layer["data"]["name"]]} for layer in document["layer"]]


def mark_of(layer: dict[str, Any]) -> str:
    return str(layer["mark"]["type"])


def test_a_dot_stands_at_its_bin_s_mean_confidence_and_share_right_and_is_as_large_as_the_bin_is_full() -> None:
    # Logits of 1.1 and 2.0 lie in the bins of 75 to 77.5 and 87.5 to 90 %.
    labels, logits = np.array([1, 1, 0, 1, 1, 0]), np.array([1.1, 1.1, 1.1, 2.0, 2.0, -1.1])
    frame = reliability_frame(reliability(labels, logits), None)
    assert frame["n"].tolist() == [0] * 10 + [4] + [0] * 4 + [2] + [0] * 4
    assert frame["accuracy"][10] == 0.75 and frame["accuracy"][15] == 1
    assert frame["confidence"][10] == pytest.approx(1 / (1 + np.exp(-1.1)))
    assert (frame["dot"][10], frame["dot"][0]) == (LARGEST_DOT, SMALLEST_DOT)
    assert frame["dot"][15] == pytest.approx((LARGEST_DOT + SMALLEST_DOT) / 2)
    assert frame["right"][0] == "–" and frame["right"][10] == "75.0 % (30.1 to 95.4)"


def test_an_empty_bin_has_no_dot_but_can_be_clicked() -> None:
    layers = marks(plot_reliability(reliability(*invent(3)), None, None, LIGHT))
    dots = next(layer for layer in layers if mark_of(layer) == "circle")
    targets = next(layer for layer in layers if mark_of(layer) == "rect")
    assert 1 <= len(dots["rows"]) <= 3 and [row["bin"] for row in targets["rows"]] == list(range(20))


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_only_a_calibrated_model_has_the_dotted_line_after_scaling(tokens: Any) -> None:
    before, after = reliability(*invent(400, 2.0)), reliability(*invent(400, 2.0), 2.0)
    with_line, without = (json.dumps(plot_reliability(before, each, 3, tokens).to_dict()) for each in (after, None))
    assert tokens.valid in with_line and tokens.valid not in without


def test_diagram_and_counts_report_the_same_bins_on_the_same_x() -> None:
    found = reliability(*invent(400))
    charts = plot_reliability(found, None, 7, LIGHT), plot_bin_counts(found, 7, LIGHT)
    for chart in charts:
        document = chart.to_dict()
        assert [(each["name"], each["select"]["fields"]) for each in document["params"]] == [("cell", ["bin"])]
        domains = {json.dumps(layer["encoding"]["x"]["scale"]["domain"]) for layer in document["layer"]}
        assert domains == {"[0.5, 1.0]"}
        axes = [layer["encoding"]["y"]["axis"] for layer in document["layer"]]
        assert {(axis["minExtent"], axis["maxExtent"]) for axis in axes} == {(34, 34)}
        strengths = [row["strength"] for layer in marks(chart) for row in layer["rows"] if "strength" in row]
        assert set(strengths) == {1.0, 0.45}


def test_the_finding_says_which_way_the_confidence_is_off() -> None:
    assert reliability_finding(reliability(*invent(4_000))).startswith("Its confidence fits: ")
    assert reliability_finding(reliability(*invent(4_000, 3.0))).startswith("It is too sure: ")
    assert reliability_finding(reliability(*invent(4_000, 0.3))).startswith("It is better than it says: ")
    few = reliability_finding(reliability(np.array([1]), np.array([0.0001])))
    assert few == "No misfit shown: 50.0 % confident on average, 100.0 % right"


def test_the_curve_of_the_surest_is_ringed_at_80_percent_or_at_what_is_filtered_by() -> None:
    labels, logits = invent(1_000)
    curve = risk_coverage(labels, logits)
    results = Results(labels, logits, 1 / (1 + np.exp(-logits)))
    for chosen, ringed in ((None, 80), (35, 35), (5, 5)):
        layers = marks(plot_risk_coverage(curve, chosen, LIGHT))
        ring = next(layer for layer in layers if mark_of(layer) == "point")["rows"]
        right = 1 - results.wrong[results.surest(ringed)].mean()
        assert [row["surest"] for row in ring] == [ringed]
        assert ring[0]["ring_text"] == f"surest {ringed} %: {100 * right:.1f} % right"
        targets = next(layer for layer in layers if mark_of(layer) == "rect")["rows"]
        assert [row["surest"] for row in targets] == list(range(min(20, ringed), 101))
    assert risk_finding(curve, 35) == f"Accept the surest 35 %, and {100 * curve.accuracy[34]:.1f} % are right"


@pytest.mark.parametrize(("n", "seed"), [(5_000, 0), (60, 1), (25, 2)])
def test_the_words_of_the_ring_stand_clear_of_the_curve(n: int, seed: int) -> None:
    labels, logits = invent(n, seed=seed)
    frame = risk_frame(risk_coverage(labels, logits)).set_index("surest", drop=False)
    frame = frame[frame["surest"] >= 20].dropna(subset=["accuracy"])
    low, high, _ = nice_range(float(frame["low"].min()), float(frame["high"].max()))
    for surest in frame["surest"]:
        across, down = place_words(frame, int(surest), (low, high), 20)
        on_screen = (high - frame["accuracy"]) / (high - low) * FRAME_HEIGHT
        words = on_screen[surest] + down
        wide = WORDS_WIDTH * 80
        beside = frame["surest"].between(surest - wide, surest) if across == "right" else (
            frame["surest"].between(surest, surest + wide)
        )  # fmt: skip
        assert (on_screen[beside] - words).abs().min() >= 19, f"the words of the surest {surest} % cross the curve"
        assert 0 < words < FRAME_HEIGHT


def test_the_probability_beside_the_ring_of_a_curve_stays_within_the_frame() -> None:
    labels = np.array([0, 0, 1, 1])
    all_positive = roc_curve(labels, np.array([1.0, 2.0, 3.0, 4.0]))
    all_wrong = roc_curve(labels, np.array([1.0, 2.0, -1.0, -2.0]))
    assert all_positive is not None and all_positive.used == (1.0, 1.0)
    assert all_wrong is not None and all_wrong.used == (1.0, 0.0)
    for curve, is_low in ((all_positive, False), (all_wrong, True)):
        words = plot_roc(curve, LIGHT).layout.annotations[0]
        assert words.xshift < 0, "right of the ring is outside"
        assert (words.yshift > 0) is is_low
    falling = precision_recall_curve(labels, np.array([-1.0, -2.0, -3.0, 4.0]))
    nothing = precision_recall_curve(labels, np.array([1.0, -2.0, -3.0, -4.0]))
    assert falling is not None and plot_precision_recall(falling, LIGHT).layout.annotations[0].xshift < 0
    assert nothing is not None and nothing.used is not None and nothing.used[0] == 0
    assert plot_precision_recall(nothing, LIGHT).layout.annotations[0].xshift > 0, "left of the ring is outside"


def test_the_surest_are_spoken_of_as_none_one_or_many() -> None:
    wrong = np.array([False, True])
    sure = np.array([0.95, 0.95])
    assert confidence_finding(count_by_confidence(sure[:1], wrong[:1])).endswith("or more is right")
    assert confidence_finding(count_by_confidence(sure[:1], wrong[1:])).endswith("or more is wrong")
    assert confidence_finding(count_by_confidence(sure, wrong)).startswith("Of 2 reviews")
    none = confidence_finding(count_by_confidence(sure, np.array([False, False])))
    assert none == "None of the 2 reviews read with 90 % confidence or more is wrong"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_handful_of_reviews_is_drawn_and_what_is_no_review_is_said(n: int) -> None:
    labels, logits = np.ones(n, np.int64), np.linspace(-1, 2, n)
    curve, found = risk_coverage(labels, logits), reliability(labels, logits)
    assert marks(plot_risk_coverage(curve, None, LIGHT)) and marks(plot_risk_coverage(curve, 1, LIGHT))
    assert marks(plot_reliability(found, found, None, LIGHT)) and marks(plot_bin_counts(found, None, LIGHT))
    assert risk_finding(curve, 1) == "The surest 1 % are less than one review"


def test_an_axis_ends_at_whole_steps_near_the_data() -> None:
    assert nice_range(0.917, 0.996) == pytest.approx((0.90, 1.0, 0.02))
    assert nice_range(0.951, 0.994) == pytest.approx((0.95, 1.0, 0.01))
    assert nice_range(0.0, 0.79) == pytest.approx((0.0, 0.8, 0.1))
    assert nice_range(1.0, 1.0) == pytest.approx((0.99, 1.0, 0.01))
    assert nice_range(0.0, 0.0) == pytest.approx((0.0, 0.01, 0.01))


@pytest.mark.parametrize(("count", "plot"), [(roc_curve, plot_roc), (precision_recall_curve, plot_precision_recall)])
def test_a_point_of_a_curve_leads_to_as_many_reviews_as_count_as_positive_there(count: Any, plot: Any) -> None:
    labels, logits = invent(300)
    results = Results(labels, logits, np.exp(-np.logaddexp(0, -logits)))
    figure = plot(count(labels, logits), LIGHT)
    points = next(trace for trace in figure.data if trace.customdata is not None)
    assert isinstance(points.customdata, (list, tuple)), "of an array, a click reports something else"
    assert "markers" in points.mode, "a line alone cannot be clicked"
    for place in (1, 40, 150, len(points.x) - 1):
        threshold = points.customdata[place][2]
        listed = Selection(only_wrong=False, at_least=threshold).mask(results)
        positive = labels == 1
        recall = listed[positive].mean()
        if plot is plot_roc:
            assert (points.x[place], points.y[place]) == pytest.approx((listed[~positive].mean(), recall))
        else:
            assert (points.x[place], points.y[place]) == pytest.approx((recall, positive[listed].mean()))


def test_the_ring_is_at_the_threshold_in_use_and_a_dot_at_the_one_filtered_by() -> None:
    labels, logits = invent(500)
    cut = float(np.log(0.7 / 0.3))
    curve = roc_curve(labels, logits, cut)
    assert curve is not None
    figure = plot_roc(curve, LIGHT, 0.7, chosen=0.9)
    read = logits > cut
    rings = [(trace.x[0], trace.y[0]) for trace in figure.data if trace.mode == "markers"]
    assert rings[0] == pytest.approx((read[labels == 0].mean(), read[labels == 1].mean()))
    place = int(np.abs(curve.thresholds - 0.9).argmin())
    assert rings[1] == (curve.x[place], curve.y[place])
    assert [each.text for each in figure.layout.annotations] == ["0.70"]
