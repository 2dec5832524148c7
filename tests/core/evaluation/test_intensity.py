"""Scores against stars: correlations by hand and by scipy, their intervals by simulation, and what is undefined."""

import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from core.evaluation.intensity import judge_intensity, scores_by_stars, spearman

DRAW = np.random.default_rng(0)


def test_a_correlation_is_the_one_worked_out_by_hand() -> None:
    # Ranks differ by 0 but for the last two pairs, by 1 each: r = 1 - 6 * 2 / (10 * 99).
    scores = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 10, 9])
    found = spearman(scores, np.arange(1, 11))
    assert found.value == pytest.approx(1 - 12 / 990) and found.n == 10
    half = 1.959964 * math.sqrt((1 + found.value**2 / 2) / 7)
    assert found.low == pytest.approx(math.tanh(math.atanh(found.value) - half), abs=1e-6)
    assert found.high == pytest.approx(math.tanh(math.atanh(found.value) + half), abs=1e-6)


def test_a_correlation_with_ties_is_scipy_s() -> None:
    stars = DRAW.integers(1, 6, 400)
    scores = np.round(stars + DRAW.normal(0, 2, 400), 1)
    assert spearman(scores, stars).value == pytest.approx(spearmanr(scores, stars).statistic, abs=1e-12)


def test_order_alone_counts_and_turns_the_sign() -> None:
    stars = DRAW.integers(1, 11, 300)
    scores = stars + DRAW.normal(0, 3, 300)
    assert spearman(np.exp(scores), stars).value == pytest.approx(spearman(scores, stars).value)
    assert spearman(-scores, stars).value == pytest.approx(-spearman(scores, stars).value)


@pytest.mark.slow
def test_the_interval_covers_the_true_correlation_in_93_to_97_of_100_draws() -> None:
    # Of a normal pair with Pearson's rho, Spearman's is 6 / pi * asin(rho / 2).
    draw, rho, n, covered = np.random.default_rng(1), 0.7, 500, 0
    truth = 6 / math.pi * math.asin(rho / 2)
    for _ in range(1_000):
        x = draw.normal(size=n)
        y = rho * x + math.sqrt(1 - rho**2) * draw.normal(size=n)
        found = spearman(x, np.argsort(np.argsort(y)))
        covered += found.low <= truth <= found.high
    assert 930 <= covered <= 970


@pytest.mark.parametrize(
    ("scores", "stars", "reason"),
    [
        ([], [], "needs 10 reviews"),
        ([0.1] * 9, range(1, 10), "needs 10 reviews"),
        ([0.1] * 20, [1, 2] * 10, "different scores"),
        (np.linspace(0, 1, 20), [3] * 20, "different stars"),
    ],
)
def test_what_cannot_be_told_has_a_reason(scores: list[float], stars: list[int], reason: str) -> None:
    found = spearman(np.array(scores, float), np.array(stars, int))
    assert (found.value, found.low, found.high) == (None, None, None) and reason in found.method


def test_a_perfect_order_has_no_spread_and_no_infinity() -> None:
    found = spearman(np.arange(30.0), np.arange(30))
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


def test_scores_are_gathered_by_stars_with_mean_median_and_bins() -> None:
    scores = np.array([0.0, 0.5, 1.0, 0.2, 0.9])
    one, five = scores_by_stars(scores, np.array([1, 1, 1, 5, 0]))
    assert (one.stars, one.n, one.mean, one.median) == (1, 3, 0.5, 0.5)
    half = 1.959964 * 0.5 / math.sqrt(3)
    assert (one.low, one.high) == (0.0, 1.0) and half > 0.5
    assert one.counts.sum() == 3 and one.counts[0] == one.counts[10] == one.counts[19] == 1
    assert (five.stars, five.n, five.low, five.high) == (5, 1, None, None)
    assert scores_by_stars(np.array([]), np.array([], int)) == []


def test_the_temperature_moves_the_scores_and_not_their_order() -> None:
    stars = DRAW.integers(1, 11, 500)
    logits, labels = (stars - 5.5) + DRAW.normal(0, 2, 500), (stars > 5).astype(np.int64)
    cold, warm = (judge_intensity(labels, logits, temperature, stars) for temperature in (1.0, 2.0))
    assert cold.correlation == warm.correlation
    for a, b in zip(cold.by_stars, warm.by_stars, strict=True):
        assert abs(a.mean - 0.5) > abs(b.mean - 0.5)
    chosen = 1 / (1 + np.exp(-logits[stars == 3] / 2))
    assert next(each for each in warm.by_stars if each.stars == 3).mean == pytest.approx(chosen.mean())


def test_reviews_without_stars_are_left_out_and_labels_looked_at_alone() -> None:
    labels, stars = np.repeat([0, 1], 20), np.tile([0, 1, 2, 3], 10)
    logits = DRAW.normal(size=40)
    found = judge_intensity(labels, logits, 1.0, stars)
    assert found.without == 10 and found.correlation.n == 30
    assert [each.n for each in found.of_label] == [15, 15]
    alone = labels.astype(bool) & (stars > 0)
    assert found.of_label[1].value == pytest.approx(spearmanr(logits[alone], stars[alone]).statistic)


def test_huge_logits_keep_their_order_where_their_scores_round_to_1() -> None:
    logits, stars = np.linspace(100, 2_000, 20), np.arange(20) // 2 + 1
    found = judge_intensity(np.ones(20, np.int64), logits, 1.0, stars)
    assert found.correlation.value == pytest.approx(spearmanr(logits, stars).statistic)
    assert found.of_label[0].value is None
