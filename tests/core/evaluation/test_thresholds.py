"""The best threshold for an aim, and the band of "not sure", against brute force."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sklearn.metrics import confusion_matrix, f1_score, precision_score

from core.evaluation.intervals import wilson_interval
from core.evaluation.thresholds import (
    CANDIDATES,
    Aim,
    choose_band,
    choose_threshold,
    cut_of,
    measure,
    sweep,
)

reviews_of = some.lists(some.tuples(some.integers(0, 1), some.integers(-9, 9)), min_size=1, max_size=25)


def logit(probability: float) -> float:
    return math.log(probability / (1 - probability))


def reviews(*pairs: tuple[int, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and logits of (label, probability) pairs."""
    return np.array([label for label, _ in pairs]), np.array([logit(p) for _, p in pairs])


def drawn(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    return labels, draw.normal(2.0 * labels - 0.4, 1.5)


def test_a_threshold_of_a_half_is_a_logit_of_exactly_nothing() -> None:
    assert cut_of(0.5) == 0.0
    assert cut_of(0.75) == pytest.approx(math.log(3))


@given(reviews_of)
def test_the_sweep_counts_as_a_loop_does(pairs: list[tuple[int, int]]) -> None:
    labels, logits = np.array([label for label, _ in pairs]), np.array([score / 3 for _, score in pairs])
    found = sweep(labels, logits)
    for place in (0, 99, 499, 500, 998):
        read = logits > cut_of(CANDIDATES[place])
        assert found.false_positives[place] == sum(read & (labels == 0))
        assert found.false_negatives[place] == sum(~read & (labels == 1))


def test_a_review_that_scores_exactly_the_threshold_is_negative() -> None:
    found = sweep(np.array([0, 1]), np.zeros(2))
    assert (found.false_positives[499], found.false_negatives[499]) == (0, 1)
    assert (found.false_positives[498], found.false_negatives[498]) == (1, 0)


def worth(aim: Aim, value: float, labels: np.ndarray, read: np.ndarray) -> float:
    """Return what a threshold is worth, written down anew with scikit-learn."""
    (_, false_positives), (false_negatives, hits) = confusion_matrix(labels, read, labels=[0, 1])
    if aim == "accuracy":
        return float((labels == read).mean())
    if aim == "f1":
        return float(f1_score(labels, read, zero_division=0))
    if aim == "cost":
        return float(-(value * false_positives + false_negatives))
    return float(hits) if read.any() and precision_score(labels, read) >= value else -math.inf


@pytest.mark.parametrize(
    ("aim", "value"), [("accuracy", 1.0), ("f1", 1.0), ("cost", 5.0), ("cost", 0.2), ("precision", 0.9)]
)
def test_the_best_threshold_is_that_of_trying_all(aim: Aim, value: float) -> None:
    labels, logits = drawn(60)
    tried = [(worth(aim, value, labels, logits > cut_of(each)), -abs(each - 0.5), -each) for each in CANDIDATES]
    best = max(each for each, _, _ in tried)
    expected = -max((key for key in tried if key[0] >= best - 1e-12), key=lambda key: (round(key[1], 9), key[2]))[2]
    assert choose_threshold(sweep(labels, logits), aim, value).threshold == pytest.approx(expected, abs=1e-12)


def test_of_equally_good_thresholds_the_one_nearest_to_a_half_is_chosen() -> None:
    apart = sweep(*reviews((0, 0.1), (0, 0.2), (1, 0.8), (1, 0.9)))
    assert choose_threshold(apart, "accuracy").threshold == 0.5
    above = sweep(*reviews((0, 0.6), (0, 0.7), (1, 0.8), (1, 0.9)))
    assert choose_threshold(above, "accuracy").threshold == pytest.approx(0.7, abs=0.0011)


def test_a_dear_false_positive_moves_the_threshold_up_and_a_cheap_one_down() -> None:
    labels, logits = drawn()
    chosen = [choose_threshold(sweep(labels, logits), "cost", ratio).threshold or 0.0 for ratio in (0.1, 1.0, 10.0)]
    assert chosen == sorted(chosen) and chosen[0] < 0.4 and chosen[2] > 0.7


def test_for_honest_probabilities_the_cheapest_threshold_is_the_ratio_over_itself_and_one() -> None:
    draw = np.random.default_rng(3)
    probabilities = draw.uniform(0.001, 0.999, 200_000)
    labels = (draw.random(200_000) < probabilities).astype(np.int64)
    found = sweep(labels, np.log(probabilities / (1 - probabilities)))
    assert choose_threshold(found, "cost", 3.0).threshold == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize(
    ("labels", "said"), [([1, 1], "labelled positive"), ([0], "labelled negative"), ([], "no rev")]
)
def test_where_a_label_is_missing_nothing_is_chosen(labels: list[int], said: str) -> None:
    picked = choose_threshold(sweep(np.array(labels, np.int64), np.zeros(len(labels))), "accuracy")
    assert picked.threshold is None and said in picked.reason


def test_a_precision_that_no_threshold_reaches_is_said() -> None:
    picked = choose_threshold(sweep(*reviews((0, 0.9), (1, 0.4))), "precision", 0.9)
    assert picked.threshold is None and "90 %" in picked.reason


def band_by_brute_force(labels: np.ndarray, logits: np.ndarray, aim: str, value: float) -> tuple[float, float] | None:
    """Return the narrowest band around 0.5, where both ends are thousandths at the same distance."""
    probabilities = 1 / (1 + np.exp(-logits))
    for reach in range(500):
        low, high = (500 - reach) / 1_000, (500 + reach) / 1_000
        inside = (probabilities >= low) & (probabilities < high)
        right = ((logits > 0) == (labels == 1))[~inside]
        served = inside.mean() if aim == "share" else right.mean() if len(right) else -1.0
        if served >= value:
            return low, high
    return None


@pytest.mark.parametrize(("aim", "value"), [*itertools.product(["right", "share"], [0.0, 0.1, 0.8, 0.9, 0.97])])
def test_the_narrowest_band_around_a_half_is_that_of_trying_all(aim: str, value: float) -> None:
    for seed in range(5):
        labels, logits = drawn(300, seed)
        band = choose_band(labels, logits, 0.5, aim, value)  # type: ignore[arg-type]
        expected = band_by_brute_force(labels, logits, aim, value)
        assert (band.low, band.high) == (expected or (None, None))


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.62, 0.9])
@pytest.mark.parametrize(("aim", "value"), [("right", 0.9), ("share", 0.2)])
def test_a_band_around_another_threshold_serves_its_aim_and_reaches_as_far_on_both_sides(
    threshold: float, aim: str, value: float
) -> None:
    labels, logits = drawn(2_000)
    band = choose_band(labels, logits, threshold, aim, value)  # type: ignore[arg-type]
    assert band.low is not None and band.high is not None and band.low <= threshold <= band.high
    outcome = measure(labels, logits, threshold, band.low, band.high)
    served = outcome.rest.value if aim == "right" else outcome.not_sure.value
    assert served is not None and served >= value
    # One thousandth nearer on both sides no longer serves it.
    nearer = measure(labels, logits, threshold, min(band.low + 0.003, threshold), max(band.high - 0.003, threshold))
    served = nearer.rest.value if aim == "right" else nearer.not_sure.value
    assert served is not None and served < value
    if band.low > 0.01 and band.high < 0.99:
        middle = (logit(band.low) + logit(band.high)) / 2
        assert middle == pytest.approx(logit(threshold), abs=0.06)


def test_a_band_that_nothing_can_reach_is_said() -> None:
    labels, logits = reviews((0, 0.9999), (1, 0.5))
    assert "99 % right" in choose_band(labels, logits, 0.5, "right", 0.99).reason
    assert "leaves out 90 %" in choose_band(labels, logits, 0.5, "share", 0.9).reason
    assert choose_band(labels[:0], logits[:0], 0.5, "share", 0.1).reason == "It has no review."


def test_the_figures_are_those_counted_by_hand() -> None:
    labels, logits = reviews((0, 0.1), (0, 0.45), (0, 0.7), (0, 0.95), (1, 0.3), (1, 0.65), (1, 0.8), (1, 0.99))
    outcome = measure(labels, logits, 0.62, 0.5, 0.75)
    # Read as positive: 0.65, 0.7, 0.8, 0.95, 0.99. Inside the band: 0.65 (right) and 0.7 (wrong).
    assert outcome.counts == {
        "accuracy": (5, 8), "false_positives": (2, 4), "false_negatives": (1, 4), "precision": (3, 5),
        "not_sure": (2, 8), "rest": (4, 6),
    }  # fmt: skip
    assert (outcome.rest.value, outcome.rest.low, outcome.rest.high) == (4 / 6, *wilson_interval(4, 6))
    assert outcome.f1.value == pytest.approx(f1_score(labels, logits > cut_of(0.62)))


def test_figures_of_nothing_are_undefined_with_a_reason() -> None:
    outcome = measure(np.zeros(0, np.int64), np.zeros(0), 0.5, 0.4, 0.6)
    assert outcome.accuracy.value is None and "no review" in outcome.accuracy.method
    everything = measure(np.array([1]), np.array([0.1]), 0.5, 0.001, 0.999)
    assert everything.rest.value is None and "outside the band" in everything.rest.method
    assert everything.false_positives.value is None and "labelled negative" in everything.false_positives.method
