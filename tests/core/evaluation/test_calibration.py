"""Temperature, reliability diagram and risk-coverage curve agree with hand-worked numbers and with other ways to them."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics

from core.evaluation.calibration import Reliability, error_interval, fit_temperature, reliability, risk_coverage
from core.evaluation.curves import bin_edges
from core.evaluation.selection import Results

Labels = NDArray[np.int64]
Logits = NDArray[np.float64]


def draw_scores(seed: int, n: int = 800, temperature: float = 1.0) -> tuple[Labels, Logits]:
    """Return labels, and logits that give their true probabilities when they are divided by the temperature."""
    draw = np.random.default_rng(seed)
    honest = draw.normal(0, 2.5, n)
    return (draw.random(n) < 1 / (1 + np.exp(-honest))).astype(np.int64), temperature * honest


def logits_of(*probabilities: float) -> Logits:
    return np.array([math.log(p / (1 - p)) for p in probabilities])


@pytest.mark.parametrize("seed", range(6))
def test_the_temperature_is_where_scipy_finds_the_least_log_loss(seed: int) -> None:
    labels, logits = draw_scores(seed, n=300, temperature=0.5 + 0.4 * seed)

    def loss(log_temperature: float) -> float:
        shares = 1 / (1 + np.exp(-logits / math.exp(log_temperature)))
        return float(sklearn_metrics.log_loss(labels, shares))

    found = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20)), method="bounded", options={"xatol": 1e-9})
    assert fit_temperature(labels, logits) == pytest.approx(math.exp(found.x), rel=1e-5)


@pytest.mark.parametrize("temperature", [0.2, 0.7, 1.0, 1.6, 8.0])
def test_the_temperature_that_the_logits_were_made_with_is_found_again(temperature: float) -> None:
    labels, logits = draw_scores(3, n=40_000, temperature=temperature)
    assert fit_temperature(labels, logits) == pytest.approx(temperature, rel=0.03)
    assert fit_temperature(labels, logits / temperature) == pytest.approx(1.0, abs=0.03)


def test_the_temperature_of_scores_of_one_size_is_as_worked_by_hand() -> None:
    # 80 of 100 verdicts at logit 4 or -4 are right: 4 / T = log(80 / 20).
    labels = np.repeat([1, 0, 1, 0], [40, 40, 10, 10])
    logits = np.repeat([4.0, -4.0, -4.0, 4.0], [40, 40, 10, 10])
    assert fit_temperature(labels, logits) == pytest.approx(4 / math.log(4), rel=1e-12)


def test_single_precision_logits_give_the_same_temperature() -> None:
    labels, logits = draw_scores(1)
    single = logits.astype(np.float32)
    assert fit_temperature(labels, single) == fit_temperature(labels, single.astype(np.float64))


@pytest.mark.parametrize(
    ("labels", "logits"),
    [
        (np.zeros(0, np.int64), np.zeros(0)),
        (np.arange(19) % 2, np.linspace(-1, 2, 19)),
        (np.ones(100, np.int64), np.linspace(-1, 2, 100)),
        (np.zeros(100, np.int64), np.linspace(-1, 2, 100)),
        (np.arange(100) % 2, np.where(np.arange(100) % 2 == 1, 0.3, -0.3)),
    ],
    ids=["no review", "19 reviews", "positive alone", "negative alone", "every verdict right"],
)
def test_the_temperature_is_one_where_none_is_best(labels: Labels, logits: Logits) -> None:
    assert fit_temperature(labels, logits) == 1.0


def test_the_temperature_of_scores_that_say_nothing_or_the_opposite_is_the_upper_bound() -> None:
    labels, logits = draw_scores(2)
    assert fit_temperature(1 - labels, logits) == 20.0
    assert fit_temperature(np.arange(100) % 2, np.repeat([3.0, -3.0], 50)) == 20.0


def test_the_temperature_of_far_too_humble_scores_is_the_lower_bound() -> None:
    labels, logits = draw_scores(2, temperature=0.001)
    assert fit_temperature(labels, logits) == 0.05


def test_extreme_logits_have_a_temperature_without_overflow() -> None:
    labels, logits = draw_scores(2)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert fit_temperature(labels, 1e4 * logits) == 20.0


def test_a_small_diagram_is_as_worked_by_hand() -> None:
    # Confidences 0.51 (right), 0.51 (wrong), 0.76 (right), 0.96 (wrong), 0.96 (right), of positive and negative alike.
    labels = np.array([1, 1, 0, 1, 0])
    found = reliability(labels, logits_of(0.51, 0.49, 0.24, 0.04, 0.04))
    filled = [0, 10, 18]
    assert np.flatnonzero(found.n).tolist() == filled
    assert found.n[filled].tolist() == [2, 1, 2]
    assert found.confidence[filled] == pytest.approx([0.51, 0.76, 0.96])
    assert found.accuracy[filled].tolist() == [0.5, 1.0, 0.5]
    assert found.error == pytest.approx((2 * 0.01 + 1 * 0.24 + 2 * 0.46) / 5)
    for place, (successes, n) in zip(filled, [(1, 2), (1, 1), (1, 2)], strict=True):
        expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
        assert (found.low[place], found.high[place]) == pytest.approx((expected.low, expected.high))
    empty = np.setdiff1d(np.arange(20), filled)
    for column in (found.confidence, found.accuracy, found.low, found.high):
        assert np.isnan(column[empty]).all()
    assert np.array_equal(found.edges, bin_edges())


@pytest.mark.parametrize("temperature", [1.0, 0.4, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_calibration_error_is_the_one_summed_review_by_review(seed: int, temperature: float) -> None:
    labels, logits = draw_scores(seed, n=137)
    total = 0.0
    for place in range(20):
        gap = 0.0
        for label, logit in zip(labels.tolist(), logits.tolist(), strict=True):
            confidence = 1 / (1 + math.exp(-abs(logit) / temperature))
            if 0.5 + place / 40 <= confidence < 0.5 + (place + 1) / 40:
                gap += ((logit > 0) == (label == 1)) - confidence
        total += abs(gap)
    assert reliability(labels, logits, temperature).error == pytest.approx(total / len(labels), abs=1e-12)


def test_a_temperature_moves_the_confidence_and_never_the_share_right() -> None:
    labels, logits = draw_scores(5, temperature=2.0)
    before, after = reliability(labels, logits), reliability(labels, logits, 2.0)
    assert (before.n * np.nan_to_num(before.accuracy)).sum() == pytest.approx((after.n * after.accuracy).sum())
    assert np.average(after.confidence, weights=after.n) < np.nansum(before.n * before.confidence) / before.n.sum()
    assert after.error < before.error


def test_a_temperature_fitted_elsewhere_lowers_the_error_of_too_sure_and_of_too_humble_scores() -> None:
    for temperature in (0.5, 2.0):
        fitted = fit_temperature(*draw_scores(1, n=2_500, temperature=temperature))
        labels, logits = draw_scores(2, n=25_000, temperature=temperature)
        assert reliability(labels, logits, fitted).error < 0.012 < 0.04 < reliability(labels, logits).error


def test_the_certain_and_the_undecided_lie_in_the_outermost_bins() -> None:
    found = reliability(np.array([1, 0, 0]), np.array([1e4, -1e4, 0.0]))
    assert (found.n[0], found.n[19]) == (1, 2) and found.error == pytest.approx((0.5 + 0 + 0) / 3)


def test_a_diagram_without_reviews_is_empty() -> None:
    found = reliability(np.zeros(0, np.int64), np.zeros(0))
    assert found.n.sum() == 0 and math.isnan(found.error) and np.isnan(found.accuracy).all()


def test_one_review_has_a_diagram_and_an_interval() -> None:
    found = reliability(np.array([1]), np.array([2.0]))
    low, high = error_interval(found)
    assert found.n.sum() == 1 and 0 <= low <= found.error <= high <= 1


def test_the_interval_of_the_error_holds_zero_where_chance_explains_it_and_not_where_it_does_not() -> None:
    assert error_interval(reliability(*draw_scores(7, n=500)))[0] == 0.0
    low, high = error_interval(reliability(*draw_scores(7, n=25_000, temperature=2.0)))
    assert 0.04 < low < high < 0.1


def test_reviews_without_an_error_do_not_exclude_three_in_as_many() -> None:
    certain = reliability(np.ones(50, np.int64), np.full(50, 40.0))
    assert certain.error == pytest.approx(0.0, abs=1e-12)
    assert error_interval(certain) == pytest.approx((0.0, 3 / 50), abs=1e-12)


def test_the_interval_of_the_error_is_the_same_each_time() -> None:
    found = reliability(*draw_scores(7, temperature=2.0))
    assert error_interval(found) == error_interval(found)


def true_error(temperature: float) -> float:
    """Return the error that ``draw_scores`` makes, from so many reviews that chance hardly adds to it."""
    return reliability(*draw_scores(99, n=3_000_000, temperature=temperature)).error if temperature != 1 else 0.0


@pytest.mark.parametrize("n", [200, 2_500])
@pytest.mark.parametrize("temperature", [1.0, 1.4, 0.7])
def test_the_interval_of_the_error_covers_the_truth_where_percentiles_would_not(n: int, temperature: float) -> None:
    truth, tries = true_error(temperature), 200
    intervals = [error_interval(reliability(*draw_scores(seed, n, temperature))) for seed in range(tries)]
    assert sum(low <= truth <= high for low, high in intervals) >= 0.91 * tries


@pytest.mark.parametrize("cut", [0.0, 0.7, -1.2])
@pytest.mark.parametrize("seed", range(4))
def test_the_surest_are_those_that_the_filter_picks(seed: int, cut: float) -> None:
    labels, logits = draw_scores(seed, n=[137, 40, 99, 800][seed])
    logits = logits.round(1) if seed % 2 else logits  # with many ties
    curve = risk_coverage(labels, logits, cut)
    results = Results(labels, logits, 1 / (1 + np.exp(-logits)), cut)
    for percent in range(1, 101):
        chosen, place = results.surest(percent), percent - 1
        assert curve.n[place] == chosen.sum()
        if chosen.any():
            assert curve.accuracy[place] == pytest.approx(1 - results.wrong[chosen].mean())
    assert curve.coverage == pytest.approx(np.arange(1, 101) / 100)


def test_a_small_curve_is_as_worked_by_hand() -> None:
    # From the surest: right, right, wrong, right.
    curve = risk_coverage(np.array([0, 1, 0, 1]), np.array([-3.0, 2.0, 1.0, 0.5]))
    assert curve.n[[24, 49, 74, 99]].tolist() == [1, 2, 3, 4]
    assert curve.accuracy[[24, 49, 74, 99]] == pytest.approx([1, 1, 2 / 3, 3 / 4])
    expected = binomtest(3, 4).proportion_ci(0.95, method="wilson")
    assert (curve.low[99], curve.high[99]) == pytest.approx((expected.low, expected.high))
    assert curve.n[0] == 0 and np.isnan([curve.accuracy[0], curve.low[0], curve.high[0]]).all()


def test_all_reviews_are_read_as_well_as_the_accuracy_says() -> None:
    labels, logits = draw_scores(3)
    assert risk_coverage(labels, logits).accuracy[-1] == pytest.approx(((logits > 0) == (labels == 1)).mean())


def test_a_curve_without_reviews_is_undefined_everywhere() -> None:
    curve = risk_coverage(np.zeros(0, np.int64), np.zeros(0))
    assert curve.n.tolist() == [0] * 100 and np.isnan(curve.accuracy).all()


def test_single_precision_logits_give_the_same_diagram_and_curve() -> None:
    labels, logits = draw_scores(3)
    single = logits.astype(np.float32)
    first, second = reliability(labels, single), reliability(labels, single.astype(np.float64))
    assert isinstance(first, Reliability) and first.error == second.error
    assert np.array_equal(risk_coverage(labels, single).accuracy, risk_coverage(labels, logits).accuracy)
