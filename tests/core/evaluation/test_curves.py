import math

import numpy as np
import pytest
from sklearn import metrics as reference

from core.evaluation.curves import (
    BINS,
    MOST_POINTS,
    bin_edges,
    confidence_bin,
    count_by_confidence,
    precision_recall_curve,
    roc_curve,
    wilson_intervals,
)
from core.evaluation.intervals import wilson_interval


def invent(n: int, seed: int = 0, decimals: int = 9) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    return labels, np.round(draw.normal(0, 1.5, n) + 1.6 * (labels - 0.5), decimals)


def test_wilson_intervals_agree_with_the_one_of_a_single_proportion() -> None:
    successes, n = np.array([0, 1, 5, 10, 10]), np.array([10, 3, 10, 10, 400])
    low, high = wilson_intervals(successes, n)
    for place in range(len(n)):
        assert (low[place], high[place]) == pytest.approx(wilson_interval(int(successes[place]), int(n[place])))


def test_the_interval_of_nothing_is_not_a_number() -> None:
    low, high = wilson_intervals(np.array([0]), np.array([0]))
    assert math.isnan(low[0]) and math.isnan(high[0])


def test_bins_hold_every_review_once_and_their_edges_belong_to_the_bin_above() -> None:
    assert confidence_bin(np.array([0.5, 0.5249, 0.525, 0.75, 0.975, 1.0])).tolist() == [0, 0, 1, 10, 19, 19]
    assert (confidence_bin(bin_edges()[:-1]) == np.arange(BINS)).all()


def test_right_and_wrong_are_counted_by_confidence() -> None:
    confidences = np.array([0.51, 0.51, 0.99, 1.0, 0.76])
    bins = count_by_confidence(confidences, np.array([True, False, False, False, True]))
    assert bins.wrong.tolist()[0] == 1 and bins.right.tolist()[0] == 1 and bins.right.tolist()[19] == 2
    assert bins.share_wrong[0] == 0.5 and bins.share_wrong[19] == 0 and bins.share_wrong[10] == 1
    assert math.isnan(bins.share_wrong[5])
    assert (bins.low[19], bins.high[19]) == pytest.approx(wilson_interval(0, 2))
    assert (bins.right + bins.wrong).sum() == 5


def test_no_review_gives_empty_bins() -> None:
    bins = count_by_confidence(np.array([]), np.array([], np.bool_))
    assert bins.right.sum() == bins.wrong.sum() == 0 and np.isnan(bins.share_wrong).all()


@pytest.mark.parametrize("decimals", [9, 0], ids=["distinct scores", "many ties"])
def test_the_curves_go_through_the_points_of_scikit_learn(decimals: int) -> None:
    labels, logits = invent(200, decimals=decimals)
    false, true, _ = reference.roc_curve(labels, logits, drop_intermediate=False)
    curve = roc_curve(labels, logits)
    assert curve is not None
    assert curve.x == pytest.approx(false) and curve.y == pytest.approx(true)
    precision, recall, _ = reference.precision_recall_curve(labels, logits)
    curve = precision_recall_curve(labels, logits)
    assert curve is not None
    assert curve.x == pytest.approx(recall[-2::-1]) and curve.y == pytest.approx(precision[-2::-1])


def test_thinned_curves_keep_their_ends_and_their_area() -> None:
    labels, logits = invent(20_000)
    for curve, whole in (
        (roc_curve(labels, logits), reference.roc_auc_score(labels, logits)),
        (precision_recall_curve(labels, logits), reference.average_precision_score(labels, logits)),
    ):
        assert curve is not None and len(curve.x) <= MOST_POINTS
        assert (np.diff(curve.x) >= 0).all() and curve.x[-1] == 1
        assert ((curve.low <= curve.y) & (curve.y <= curve.high)).all()
        assert np.trapezoid(curve.y, curve.x) == pytest.approx(whole, abs=2e-3)


def test_the_point_in_use_is_that_of_the_verdicts() -> None:
    labels, logits = np.array([0, 0, 1, 1, 1]), np.array([-1.0, 2.0, 0.0, 1.0, 3.0])
    roc, precision_recall = roc_curve(labels, logits), precision_recall_curve(labels, logits)
    assert roc is not None and roc.used == pytest.approx((1 / 2, 2 / 3))
    assert precision_recall is not None and precision_recall.used == pytest.approx((2 / 3, 2 / 3))
    assert precision_recall.base == pytest.approx(3 / 5)


def test_where_nothing_is_read_as_positive_precision_has_no_point_in_use() -> None:
    curve = precision_recall_curve(np.array([0, 1]), np.array([-1.0, -2.0]))
    assert curve is not None and curve.used is None


@pytest.mark.parametrize("label", [0, 1])
def test_one_label_alone_has_no_roc_curve(label: int) -> None:
    labels, logits = np.full(3, label), np.array([-1.0, 0.0, 1.0])
    assert roc_curve(labels, logits) is None
    assert (precision_recall_curve(labels, logits) is None) == (label == 0)


def test_one_positive_review_has_a_precision_recall_curve_of_one_point() -> None:
    curve = precision_recall_curve(np.array([1]), np.array([0.3]))
    assert curve is not None and curve.x.tolist() == [1.0] and curve.y.tolist() == [1.0]
