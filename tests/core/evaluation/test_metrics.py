"""The figures agree with scikit-learn and with hand-worked numbers, and their intervals keep what they promise."""

import itertools
import math
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from core.config import preset_config
from core.data.sources import load_columns
from core.evaluation.intervals import Z, f1_interval, wilson_interval
from core.evaluation.metrics import METRICS, Confusion, Metric, Scored, binary_losses, count_confusion, evaluate_logits
from core.prediction.predictor import Predictor

Labels = NDArray[np.int64]
Logits = NDArray[np.float64]

every_metric = pytest.mark.parametrize("name", METRICS)


def labels_of(*values: int) -> Labels:
    return np.array(values, np.int64)


def draw_scores(seed: int) -> tuple[Labels, Logits]:
    """Return labels and logits: every third seed has many ties, every second one is unbalanced."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(30, 400))
    labels = (draw.random(n) < (0.07 if seed % 2 else 0.5)).astype(np.int64)
    labels[:2] = 0, 1
    logits = draw.normal((2 * labels - 1) * draw.uniform(-0.5, 2.0), 1.5)
    return labels, logits.round(1 if seed % 3 == 0 else 6)


def evaluated(name: str, labels: Labels, logits: Logits) -> Metric:
    return evaluate_logits(labels, logits)[0][name]


def value_of(name: str, labels: Labels, logits: Logits) -> float:
    value = evaluated(name, labels, logits).value
    assert value is not None
    return value


def ends_of(metric: Metric) -> tuple[float, float]:
    assert metric.low is not None and metric.high is not None
    return metric.low, metric.high


SKLEARN = {
    "accuracy": lambda labels, logits: sklearn_metrics.accuracy_score(labels, logits > 0),
    "precision": lambda labels, logits: sklearn_metrics.precision_score(labels, logits > 0),
    "recall": lambda labels, logits: sklearn_metrics.recall_score(labels, logits > 0),
    "f1": lambda labels, logits: sklearn_metrics.f1_score(labels, logits > 0),
    "roc_auc": sklearn_metrics.roc_auc_score,
    "average_precision": sklearn_metrics.average_precision_score,
    "log_loss": lambda labels, logits: sklearn_metrics.log_loss(labels, 1 / (1 + np.exp(-logits))),
    "brier": lambda labels, logits: sklearn_metrics.brier_score_loss(labels, 1 / (1 + np.exp(-logits))),
    "ece": lambda labels, logits: calibration_error(labels, logits),
}


def calibration_error(labels: Labels, logits: Logits) -> float:
    """Return the calibration error by scikit-learn's bins of the probability that the verdict is right."""
    right, confidences = (logits > 0) == (labels == 1), 1 / (1 + np.exp(-np.abs(logits)))
    # 40 bins from 0 to 1, of which the upper 20 are filled; scikit-learn leaves out the empty ones.
    shares, means = calibration_curve(right, confidences.clip(np.nextafter(0.5, 1), np.nextafter(1, 0)), n_bins=40)
    counts = np.histogram(confidences, np.linspace(0, 1, 41))[0]
    return float((counts[counts > 0] * np.abs(shares - means)).sum() / len(labels))


@every_metric
@pytest.mark.parametrize("seed", range(12))
def test_the_value_is_scikit_learn_s(name: str, seed: int) -> None:
    labels, logits = draw_scores(seed)
    assert value_of(name, labels, logits) == pytest.approx(SKLEARN[name](labels, logits), abs=1e-9, rel=0)


@pytest.mark.imdb
def test_every_value_on_the_real_test_set_is_scikit_learn_s(imdb_folder: Path) -> None:
    test = load_columns(preset_config("fast").data)["test"]
    logits = Predictor.load("starter").predict(test.texts).logits.astype(np.float64)
    figures, confusion = evaluate_logits(test.labels, logits)
    gaps = {name: abs((figures[name].value or 0.0) - SKLEARN[name](test.labels, logits)) for name in METRICS}
    assert confusion.n == 25_000 and max(gaps.values()) <= 1e-9, gaps


@pytest.mark.parametrize("seed", range(6))
def test_the_confusion_is_scikit_learn_s(seed: int) -> None:
    labels, logits = draw_scores(seed)
    ((tn, fp), (fn, tp)) = sklearn_metrics.confusion_matrix(labels, logits > 0)
    assert count_confusion(labels, logits) == Confusion(tn, fp, fn, tp)
    assert count_confusion(labels, logits).n == len(labels)


def test_a_small_case_is_as_worked_by_hand() -> None:
    labels = labels_of(0, 0, 0, 0, 1, 1, 1, 1, 1, 1)
    logits = np.array([-2.0, -1.0, 0.0, 1.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
    figures, confusion = evaluate_logits(labels, logits)
    assert confusion == Confusion(true_negatives=3, false_positives=1, false_negatives=2, true_positives=4)
    assert figures["accuracy"].value == 7 / 10
    assert figures["precision"].value == 4 / 5
    assert figures["recall"].value == 4 / 6
    assert figures["f1"].value == pytest.approx(8 / 11)
    # Of the 24 pairs: above -2 all 6; above -1 5 and a tie; above 0 4 and a tie; above 1 2 and a tie.
    assert figures["roc_auc"].value == pytest.approx((6 + 5.5 + 4.5 + 2.5) / 24)
    # Of the six positives, read from the top: precision 1 at 3 and at 2, 3/4 at 1, 4/5 at 0.5, 5/7 at 0, 6/9 at -1.
    assert figures["average_precision"].value == pytest.approx((1 + 1 + 3 / 4 + 4 / 5 + 5 / 7 + 6 / 9) / 6)


def test_the_log_loss_of_two_reviews_is_as_worked_by_hand() -> None:
    # Probabilities 3/4 and 1/3 of positive; the labels are positive and negative.
    logits = np.array([math.log(3), -math.log(2)])
    assert value_of("log_loss", labels_of(1, 0), logits) == pytest.approx(-(math.log(3 / 4) + math.log(2 / 3)) / 2)


def test_the_brier_score_and_the_calibration_error_of_three_reviews_are_as_worked_by_hand() -> None:
    # Probabilities 3/4, 1/3 and 2/3 of positive; the labels are positive, negative and negative.
    labels, logits = labels_of(1, 0, 0), np.array([math.log(3), -math.log(2), math.log(2)])
    assert value_of("brier", labels, logits) == pytest.approx(((1 / 4) ** 2 + (1 / 3) ** 2 + (2 / 3) ** 2) / 3)
    # In the bin from 0.65 to 0.675 one of two is right at a confidence of 2/3; in that from 0.75 one of one at 3/4.
    assert value_of("ece", labels, logits) == pytest.approx((2 * (2 / 3 - 1 / 2) + (1 - 3 / 4)) / 3)


def test_a_cut_moves_the_figures_of_the_verdicts_alone() -> None:
    labels, logits = draw_scores(8)
    figures, confusion = evaluate_logits(labels, logits, 0.75)
    usual, shifted = evaluate_logits(labels, logits)[0], evaluate_logits(labels, logits - 0.75)
    assert confusion == shifted[1] == count_confusion(labels, logits, 0.75) != count_confusion(labels, logits)
    for name in ("accuracy", "precision", "recall", "f1"):
        assert figures[name] == shifted[0][name] != usual[name]
    for name in ("roc_auc", "average_precision", "log_loss", "brier", "ece"):
        assert figures[name] == usual[name]
    assert count_confusion(labels_of(0, 1), np.array([0.75, 0.75]), 0.75) == Confusion(1, 0, 1, 0)


def test_a_logit_of_zero_is_a_negative_verdict() -> None:
    assert count_confusion(labels_of(0, 1), np.array([0.0, -0.0])) == Confusion(1, 0, 1, 0)
    assert count_confusion(labels_of(0, 1), np.array([5e-324, 5e-324])) == Confusion(0, 1, 0, 1)


def test_single_precision_logits_give_the_same_figures() -> None:
    labels, logits = draw_scores(1)
    single = logits.astype(np.float32)
    assert evaluate_logits(labels, single) == evaluate_logits(labels, single.astype(np.float64))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (8, 10, 0.4902, 0.9433),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (50, 100, 0.4038, 0.5962),
    ],
)
def test_wilson_s_interval_is_as_worked_by_hand(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_s_interval_is_scipy_s() -> None:
    draw = np.random.default_rng(3)
    sizes = [1, 2, 7, 100, 25_000, *draw.integers(1, 10**6, 20).tolist()]
    for n in sizes:
        for successes in {0, n // 3, n // 2, n - 1, n, int(draw.integers(0, n + 1))}:
            expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
            assert wilson_interval(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_accuracy_precision_and_recall_carry_wilson_s_interval_of_their_own_counts() -> None:
    figures, c = evaluate_logits(*draw_scores(8))
    counts = {
        "accuracy": (c.true_negatives + c.true_positives, c.n),
        "precision": (c.true_positives, c.true_positives + c.false_positives),
        "recall": (c.true_positives, c.true_positives + c.false_negatives),
    }
    for name, (successes, n) in counts.items():
        expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")
        assert ends_of(figures[name]) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_the_interval_of_f1_is_that_of_its_own_proportion() -> None:
    # F1 = 2J / (1 + J), J = TP / (TP + FP + FN); worked from scipy's interval of J.
    for true_positives, errors in [(4, 3), (0, 9), (9, 0), (1_000, 77)]:
        share = binomtest(true_positives, true_positives + errors).proportion_ci(0.95, method="wilson")
        expected = (2 * share.low / (1 + share.low), 2 * share.high / (1 + share.high))
        assert f1_interval(true_positives, errors) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_the_variance_of_average_precision_is_that_of_leaving_out_one_review_at_a_time(seed: int) -> None:
    labels, logits = draw_scores(seed)
    copies, unique = 12, len(labels)  # of so many reviews that the two ways agree
    labels, logits = np.tile(labels, copies), np.tile(logits, copies)
    value, n = value_of("average_precision", labels, logits), copies * unique
    kept = [np.delete(np.arange(n), row) for row in range(unique)]
    without = np.array([sklearn_metrics.average_precision_score(labels[rows], logits[rows]) for rows in kept])
    jackknife = (n - 1) / n * copies * float(((without - without.mean()) ** 2).sum())
    low, high = (math.log(end / (1 - end)) for end in ends_of(evaluated("average_precision", labels, logits)))
    assert (low + high) / 2 == pytest.approx(math.log(value / (1 - value)), abs=1e-9)
    assert ((high - low) / 2 / Z * value * (1 - value)) ** 2 == pytest.approx(jackknife, rel=0.05)


def test_average_precision_of_perfect_scores_has_an_interval_by_the_rule_of_three() -> None:
    labels = np.repeat(labels_of(0, 1), (100, 30))
    metric = evaluated("average_precision", labels, np.arange(130.0))
    assert (metric.value, metric.low, metric.high) == (1.0, 0.9, 1.0)


def test_the_interval_of_the_brier_score_is_the_normal_one_of_the_mean() -> None:
    labels, logits = draw_scores(4)
    squares = [(1 / (1 + math.exp(-x)) - y) ** 2 for y, x in zip(labels.tolist(), logits.tolist(), strict=True)]
    mean = sum(squares) / len(squares)
    deviation = math.sqrt(sum((square - mean) ** 2 for square in squares) / (len(squares) - 1))
    half = NormalDist().inv_cdf(0.975) * deviation / math.sqrt(len(squares))
    assert ends_of(evaluated("brier", labels, logits)) == pytest.approx((mean - half, mean + half), abs=1e-9)


def test_the_interval_of_log_loss_is_the_normal_one_of_the_mean() -> None:
    labels, logits = draw_scores(4)
    losses = [math.log1p(math.exp(-x if y else x)) for y, x in zip(labels.tolist(), logits.tolist(), strict=True)]
    mean = sum(losses) / len(losses)
    deviation = math.sqrt(sum((loss - mean) ** 2 for loss in losses) / (len(losses) - 1))
    half = NormalDist().inv_cdf(0.975) * deviation / math.sqrt(len(losses))
    assert ends_of(evaluated("log_loss", labels, logits)) == pytest.approx((mean - half, mean + half), abs=1e-9)


def delong_variance(labels: Labels, logits: Logits) -> tuple[float, float]:
    """Return area and variance from all pairs, as DeLong et al. (1988) write them down."""
    positives = [float(x) for y, x in zip(labels, logits, strict=True) if y]
    negatives = [float(x) for y, x in zip(labels, logits, strict=True) if not y]
    wins = [[1.0 if p > m else 0.5 if p == m else 0.0 for m in negatives] for p in positives]
    area = sum(map(sum, wins)) / (len(positives) * len(negatives))
    by_positive = [sum(row) / len(negatives) for row in wins]
    by_negative = [sum(column) / len(positives) for column in zip(*wins, strict=True)]
    variance = 0.0
    for shares in (by_positive, by_negative):
        variance += sum((share - area) ** 2 for share in shares) / (len(shares) - 1) / len(shares)
    return area, variance


@pytest.mark.parametrize("seed", range(8))
def test_the_interval_of_the_area_is_delong_s_on_the_logit_scale(seed: int) -> None:
    labels, logits = draw_scores(seed)
    labels[2] = 1  # two of a label at least, or there is no variance to compare
    area, variance = delong_variance(labels, logits)
    metric = evaluated("roc_auc", labels, logits)
    assert metric.value == pytest.approx(area, abs=1e-9)
    low, high = (math.log(end / (1 - end)) for end in ends_of(metric))
    assert (low + high) / 2 == pytest.approx(math.log(area / (1 - area)), abs=1e-9)
    assert ((high - low) / 2 / Z * area * (1 - area)) ** 2 == pytest.approx(variance, rel=1e-9)


def test_the_area_of_perfect_and_reversed_scores_has_an_interval_by_the_rule_of_three() -> None:
    labels = np.repeat(labels_of(0, 1), (100, 30))
    logits = np.arange(130.0)
    assert evaluated("roc_auc", labels, logits) == Metric(1.0, 0.9, 1.0, "DeLong, on the logit scale")
    reversed_area = evaluated("roc_auc", labels, -logits)
    assert (reversed_area.value, reversed_area.low) == (0.0, 0.0)
    assert reversed_area.high == pytest.approx(0.1)


def test_scores_that_are_all_tied_have_an_area_of_one_half() -> None:
    assert value_of("roc_auc", labels_of(0, 0, 1, 1, 1), np.zeros(5)) == 0.5


UNDEFINED = [
    ("accuracy", [], [], "there is no review"),
    ("precision", [], [], "no review was read as positive"),
    ("precision", [0, 1], [-1.0, -1.0], "no review was read as positive"),
    ("recall", [0, 0], [1.0, -1.0], "no review is labelled positive"),
    ("f1", [0, 0], [-1.0, -2.0], "no review is labelled or read as positive"),
    ("roc_auc", [0, 0], [1.0, 2.0], "it needs both labels"),
    ("roc_auc", [1], [1.0], "it needs both labels"),
    ("average_precision", [0, 0], [1.0, 2.0], "it needs both labels"),
    ("average_precision", [1, 1], [1.0, 2.0], "it needs both labels"),
    ("brier", [1], [1.0], "it needs two reviews"),
    ("ece", [], [], "there is no review"),
    ("log_loss", [], [], "it needs two reviews"),
    ("log_loss", [1], [1.0], "it needs two reviews"),
]


@pytest.mark.parametrize(("name", "labels", "logits", "reason"), UNDEFINED)
def test_an_undefined_figure_is_none_with_a_reason(
    name: str, labels: list[int], logits: list[float], reason: str
) -> None:
    metric = evaluated(name, np.array(labels, np.int64), np.array(logits, np.float64))
    assert metric == Metric(None, None, None, f"undefined: {reason}")


DEFINED = [
    ("accuracy", [0, 1], [-1.0, -1.0], 0.5),
    ("recall", [0, 1], [-1.0, -1.0], 0.0),
    ("f1", [0, 1], [-1.0, -1.0], 0.0),
    ("precision", [0, 0], [1.0, -1.0], 0.0),
    ("f1", [0, 0], [1.0, -1.0], 0.0),
    ("recall", [1, 1], [1.0, -1.0], 0.5),
    ("roc_auc", [0, 1], [-1.0, -1.0], 0.5),
    ("average_precision", [0, 1], [-1.0, -1.0], 0.5),
    ("average_precision", [0, 1], [1.0, -1.0], 0.5),
    ("brier", [1, 1], [0.0, 0.0], 0.25),
    ("ece", [1], [0.0], 0.5),
]


@pytest.mark.parametrize(("name", "labels", "logits", "value"), DEFINED)
def test_a_figure_that_is_defined_on_a_poor_case_is_given(
    name: str, labels: list[int], logits: list[float], value: float
) -> None:
    assert value_of(name, np.array(labels, np.int64), np.array(logits)) == value


@every_metric
def test_every_entry_has_a_title_and_is_undefined_without_reviews(name: str) -> None:
    assert METRICS[name].title
    metric = evaluated(name, np.zeros(0, np.int64), np.zeros(0))
    assert (metric.value, metric.low, metric.high) == (None, None, None)
    assert metric.method.startswith("undefined: ") and len(metric.method) > len("undefined: ")


@every_metric
def test_every_figure_names_how_its_interval_was_made(name: str) -> None:
    method = evaluated(name, *draw_scores(2)).method
    assert method and not method.startswith("undefined")


@every_metric
def test_no_figure_depends_on_the_order_of_the_reviews(name: str) -> None:
    labels, logits = draw_scores(3)
    order = np.random.default_rng(0).permutation(len(labels))
    before, after = evaluated(name, labels, logits), evaluated(name, labels[order], logits[order])
    assert (after.value, *ends_of(after)) == pytest.approx((before.value, *ends_of(before)), abs=1e-12)
    assert after.method == before.method


@every_metric
def test_every_figure_is_better_for_the_better_scores(name: str) -> None:
    labels = labels_of(0, 1).repeat(20)
    good, bad = np.where(labels == 1, 3.0, -3.0), np.where(labels == 1, -3.0, 3.0)
    bad[0], good[0] = -0.1, 0.1  # neither is perfect
    better, worse = value_of(name, labels, good), value_of(name, labels, bad)
    assert better > worse if METRICS[name].higher_is_better else better < worse


@every_metric
def test_more_reviews_of_the_same_kind_make_a_narrower_interval_around_the_same_value(name: str) -> None:
    labels, logits = draw_scores(2)
    few, many = evaluated(name, labels, logits), evaluated(name, np.tile(labels, 16), np.tile(logits, 16))
    assert many.value == pytest.approx(few.value, abs=1e-12)
    few_width, many_width = (high - low for low, high in (ends_of(few), ends_of(many)))
    # The interval of the calibration error also sheds what chance alone adds.
    assert many_width == pytest.approx(few_width / 4, rel=0.4 if name == "ece" else 0.15)


def assert_interval_is_sound(name: str, labels: Labels, logits: Logits) -> None:
    metric = METRICS[name].compute(Scored(labels, logits, count_confusion(labels, logits)))
    if metric.value is None:
        return
    low, high = ends_of(metric)
    largest = math.inf if name == "log_loss" else 1.0
    assert 0.0 <= low <= metric.value <= high <= largest and high < math.inf, (labels, logits, metric)


@every_metric
@pytest.mark.parametrize("seed", range(12))
def test_the_interval_contains_the_value_and_lies_in_bounds(name: str, seed: int) -> None:
    assert_interval_is_sound(name, *draw_scores(seed))


@every_metric
def test_the_interval_of_every_tiny_case_contains_the_value_and_lies_in_bounds(name: str) -> None:
    for n in range(1, 4 if name == "ece" else 5):  # drawing takes milliseconds a case
        for labels, logits in itertools.product(
            itertools.product((0, 1), repeat=n), itertools.product((-30.0, -1.0, 0.0, 2.0), repeat=n)
        ):
            assert_interval_is_sound(name, np.array(labels, np.int64), np.array(logits))


@every_metric
@pytest.mark.parametrize("side", [1.0, -1.0], ids=["perfect", "always wrong"])
def test_the_interval_of_a_perfect_and_of_a_hopeless_model_contains_the_value(name: str, side: float) -> None:
    for n in (2, 5, 7, 8, 10, 13, 49, 1_000, 25_000):
        labels = np.arange(n, dtype=np.int64) % 2
        assert_interval_is_sound(name, labels, side * (2.0 * labels - 1) * np.linspace(1, 9, n))


def test_the_interval_of_a_proportion_contains_it_whatever_the_counts() -> None:
    missed = []
    for n in range(1, 250):
        for successes in range(n + 1):
            low, high = wilson_interval(successes, n)
            f1_low, f1_high = f1_interval(successes, n - successes)
            if not (
                0 <= low <= successes / n <= high <= 1
                and 0 <= f1_low <= 2 * successes / (n + successes) <= f1_high <= 1
            ):
                missed.append((successes, n, low, high))
    assert not missed


def test_the_interval_of_log_loss_does_not_fall_below_zero() -> None:
    # One confident error among right verdicts: the normal interval alone would reach below.
    labels = np.ones(10, np.int64)
    logits = np.full(10, 20.0)
    logits[0] = -100.0
    assert ends_of(evaluated("log_loss", labels, logits))[0] >= 0.0


@every_metric
def test_extreme_logits_give_finite_figures_without_overflow(name: str) -> None:
    labels = labels_of(0, 1, 0, 1, 1, 0)
    logits = np.array([-1e4, 1e4, 1e4, -1e4, 1e4, 0.0])
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        metric = evaluated(name, labels, logits)
    assert metric.value is not None and math.isfinite(metric.value)
    assert all(math.isfinite(end) for end in ends_of(metric))


def test_the_losses_of_extreme_logits_are_their_size() -> None:
    with np.errstate(over="raise", invalid="raise"):
        losses = binary_losses(labels_of(1, 0, 1, 0), np.array([-1e4, 1e4, 1e4, -1e4]))
    assert losses.tolist() == [1e4, 1e4, 0.0, 0.0]


def test_one_positive_review_among_many_negative_ones_has_an_interval_without_overflow() -> None:
    labels = np.zeros(2_001, np.int64)
    labels[0] = 1
    logits = -np.arange(2_001.0)
    logits[1] = 1.0  # one of 2,000 is above it
    with np.errstate(over="raise", invalid="raise"):
        metric = evaluated("roc_auc", labels, logits)
    assert metric.value == pytest.approx(1 - 1 / 2_000)
    assert ends_of(metric)[0] < metric.value <= ends_of(metric)[1]


def test_the_intervals_hold_the_truth_in_about_95_of_100_samples() -> None:
    """Draw 300 samples of 300 from normal scores, whose true figures are known in closed form."""
    draws, n, share, mean, deviation = 300, 300, 0.4, 1.0, 1.2
    right = NormalDist().cdf(mean / deviation)
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    truth = {
        "accuracy": right,
        "f1": 2 * share * right / (2 * share * right + 1 - right),
        "roc_auc": NormalDist().cdf(math.sqrt(2) * mean / deviation),
        "log_loss": float(weights @ np.logaddexp(0, -(mean + deviation * nodes)) / weights.sum()),
    }
    draw = np.random.default_rng(1988)
    held = dict.fromkeys(truth, 0)
    for _ in range(draws):
        labels = (draw.random(n) < share).astype(np.int64)
        figures, _ = evaluate_logits(labels, draw.normal((2 * labels - 1) * mean, deviation))
        for name, value in truth.items():
            low, high = ends_of(figures[name])
            held[name] += low <= value <= high
    assert {name: count for name, count in held.items() if not 0.91 <= count / draws <= 0.985} == {}
