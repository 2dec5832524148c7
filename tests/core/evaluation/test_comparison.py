"""Differences between two models agree with hand-worked numbers and with scipy, and keep what they promise."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sklearn_metrics

from core.evaluation.comparison import (
    T_QUANTILES,
    Comparison,
    Difference,
    SeedComparison,
    SeedSpread,
    compare_paired,
    compare_seeds,
    describe_comparison,
    describe_seeds,
    rows_by_outcome,
    spread,
)
from core.evaluation.metrics import evaluate_logits

Labels = NDArray[np.int64]
Logits = NDArray[np.float64]
Scores = tuple[Labels, Logits, Logits]

FIGURES = ("accuracy", "f1", "roc_auc")
OUTCOMES = ("only_a_right", "only_b_right", "both_right", "both_wrong")


def scores_with(only_a: int, only_b: int, both_right: int, both_wrong: int) -> Scores:
    """Return scores with these outcomes, half of each (rounded up) labelled positive."""
    right_a = np.repeat([True, False, True, False], (only_a, only_b, both_right, both_wrong))
    right_b = np.repeat([False, True, True, False], (only_a, only_b, both_right, both_wrong))
    labels = np.concatenate([np.arange(count) % 2 == 0 for count in (only_a, only_b, both_right, both_wrong)])
    logits_a, logits_b = (np.where(labels == right, 1.0, -1.0) for right in (right_a, right_b))
    return labels.astype(np.int64), logits_a, logits_b


def draw_scores(seed: int) -> Scores:
    """Return scores of two models that share most of what they know; every third seed has many ties."""
    draw = np.random.default_rng(seed)
    n = int(draw.integers(30, 400))
    labels = (draw.random(n) < (0.1 if seed % 2 else 0.5)).astype(np.int64)
    labels[:4] = 0, 0, 1, 1
    shared = draw.normal(2.0 * labels - 1, 1.5)
    logits_a, logits_b = shared + draw.normal(0, 0.5, n), shared + draw.normal(0, 1.0, n)
    digits = 1 if seed % 3 == 0 else 6
    return labels, logits_a.round(digits), logits_b.round(digits)


def ends_of(difference: Difference) -> tuple[float, float]:
    assert difference.low is not None and difference.high is not None
    return difference.low, difference.high


def value_of(difference: Difference) -> float:
    assert difference.value is not None
    return difference.value


def test_a_small_case_is_as_worked_by_hand() -> None:
    comparison = compare_paired(*scores_with(12, 5, 70, 13))
    assert [getattr(comparison, name) for name in ("n", *OUTCOMES)] == [100, 12, 5, 70, 13]
    assert comparison.p == pytest.approx(2 * (1 + 17 + 136 + 680 + 2_380 + 6_188) / 2**17, rel=1e-12)
    accuracy = comparison.differences["accuracy"]
    assert accuracy.value == 7 / 100
    half = 1.959964 * math.sqrt((19 / 102 - (7 / 102) ** 2) / 102)
    assert ends_of(accuracy) == pytest.approx((7 / 102 - half, 7 / 102 + half), abs=1e-7)
    assert ends_of(accuracy) == pytest.approx((-0.01406, 0.15132), abs=5e-6)


def test_the_differences_in_f1_and_area_are_as_worked_by_hand() -> None:
    labels = np.array([0, 0, 1, 1])
    logits_a, logits_b = np.array([-2.0, -1.0, 1.0, 2.0]), np.array([-1.0, 2.0, -2.0, 1.0])
    differences = compare_paired(labels, logits_a, logits_b).differences
    assert differences["f1"].value == 1 - 2 / (2 + 1 + 1)
    assert differences["roc_auc"].value == 1 - 1 / 4
    # Placements under B: the positives 0 and 1/2, the negatives 1/2 and 0; each side's variance of the gain is 1/8.
    low, high = ends_of(differences["roc_auc"])
    assert low == pytest.approx(3 / 4 - 1.959964 * math.sqrt(1 / 8 / 2 + 1 / 8 / 2), abs=1e-6)
    assert high == 1.0


@pytest.mark.parametrize("seed", range(12))
def test_every_difference_is_that_of_the_figures_of_the_two_models(seed: int) -> None:
    labels, logits_a, logits_b = draw_scores(seed)
    figures_a, figures_b = (evaluate_logits(labels, logits)[0] for logits in (logits_a, logits_b))
    differences = compare_paired(labels, logits_a, logits_b).differences
    assert tuple(differences) == FIGURES
    for name, difference in differences.items():
        a, b = figures_a[name].value, figures_b[name].value
        assert a is not None and b is not None
        assert difference.value == pytest.approx(a - b, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_the_differences_in_f1_and_area_are_scikit_learn_s(seed: int) -> None:
    labels, logits_a, logits_b = draw_scores(seed)
    differences = compare_paired(labels, logits_a, logits_b).differences
    f1 = [sklearn_metrics.f1_score(labels, logits > 0) for logits in (logits_a, logits_b)]
    area = [sklearn_metrics.roc_auc_score(labels, logits) for logits in (logits_a, logits_b)]
    assert differences["f1"].value == pytest.approx(f1[0] - f1[1], abs=1e-12)
    assert differences["roc_auc"].value == pytest.approx(area[0] - area[1], abs=1e-12)


@pytest.mark.parametrize(
    ("only_a", "only_b"), [(0, 1), (1, 3), (12, 5), (7, 7), (0, 40), (496, 731), (24_000, 24_500), (30_000, 29_999)]
)
def test_p_is_scipy_s_two_sided_binomial_one(only_a: int, only_b: int) -> None:
    expected = stats.binomtest(only_a, only_a + only_b, 0.5).pvalue
    assert compare_paired(*scores_with(only_a, only_b, 3, 2)).p == pytest.approx(expected, rel=1e-8)


def test_p_of_models_that_never_differ_is_one_and_that_of_a_landslide_is_finite() -> None:
    assert compare_paired(*scores_with(0, 0, 9, 1)).p == 1.0
    assert compare_paired(*scores_with(40_000, 0, 0, 0)).p == 0.0


def paired_delong_variance(labels: Labels, logits_a: Logits, logits_b: Logits) -> float:
    """Return the variance of the difference from all pairs, by the covariance matrices of DeLong et al. (1988)."""
    wins = []
    for logits in (logits_a, logits_b):
        gaps = logits[labels == 1][:, None] - logits[labels == 0][None, :]
        wins.append(np.where(gaps > 0, 1.0, np.where(gaps < 0, 0.0, 0.5)))
    by_positive = np.cov([won.mean(axis=1) for won in wins])
    by_negative = np.cov([won.mean(axis=0) for won in wins])
    covariance = by_positive / wins[0].shape[0] + by_negative / wins[0].shape[1]
    contrast = np.array([1.0, -1.0])
    return float(contrast @ covariance @ contrast)


@pytest.mark.parametrize("seed", range(8))
def test_the_interval_of_the_area_s_difference_is_that_of_delong_s_covariances(seed: int) -> None:
    scores = draw_scores(seed)
    difference = compare_paired(*scores).differences["roc_auc"]
    half = stats.norm.ppf(0.975) * math.sqrt(paired_delong_variance(*scores))
    value = value_of(difference)
    assert ends_of(difference) == pytest.approx((max(value - half, -1), min(value + half, 1)), abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_of_f1_s_difference_is_that_of_reviews_drawn_again(seed: int) -> None:
    labels, logits_a, logits_b = draw_scores(2 * seed)
    rows = np.random.default_rng(7).integers(0, len(labels), (4_000, len(labels)))
    drawn, scores = labels[rows] == 1, []
    for logits in (logits_a, logits_b):
        read = logits[rows] > 0
        scores.append(2 * (drawn & read).sum(axis=1) / (drawn.sum(axis=1) + read.sum(axis=1)))
    low, high = ends_of(compare_paired(labels, logits_a, logits_b).differences["f1"])
    width = high - low
    assert (low, high) == pytest.approx(tuple(np.percentile(scores[0] - scores[1], (2.5, 97.5))), abs=0.1 * width)


@pytest.mark.parametrize(("gap", "sharing"), [(0.0, 0.9), (0.02, 0.6), (0.1, 0.3)])
def test_accuracy_s_interval_holds_the_truth_in_about_95_of_100_samples(gap: float, sharing: float) -> None:
    draws, n = 600, 120
    discordant = 1 - sharing
    shares = [(discordant + gap) / 2, (discordant - gap) / 2, 0.8 * sharing, 0.2 * sharing]
    held = 0
    for counts in np.random.default_rng(2012).multinomial(n, shares, draws).tolist():
        low, high = ends_of(compare_paired(*scores_with(*counts)).differences["accuracy"])
        held += low <= gap <= high
    assert 0.92 <= held / draws <= 0.98


def test_the_intervals_of_f1_and_area_hold_the_truth_in_about_95_of_100_samples() -> None:
    draws, n = 300, 300
    draw = np.random.default_rng(1988)
    right = [stats.norm.cdf(1 / math.hypot(1, own)) for own in (0.5, 1.0)]
    area = [stats.norm.cdf(math.sqrt(2) / math.hypot(1, own)) for own in (0.5, 1.0)]
    # With as many of either label and as many errors on either, F1 is the accuracy.
    truth = {"accuracy": right[0] - right[1], "f1": right[0] - right[1], "roc_auc": area[0] - area[1]}
    held = dict.fromkeys(truth, 0)
    for _ in range(draws):
        labels = (draw.random(n) < 0.5).astype(np.int64)
        shared = draw.normal(2.0 * labels - 1, 1.0)
        logits_a, logits_b = shared + draw.normal(0, 0.5, n), shared + draw.normal(0, 1.0, n)
        for name, difference in compare_paired(labels, logits_a, logits_b).differences.items():
            low, high = ends_of(difference)
            held[name] += low <= truth[name] <= high
    assert {name: count for name, count in held.items() if not 0.91 <= count / draws <= 0.985} == {}


def turned(comparison: Comparison) -> Comparison:
    c = comparison
    differences = {
        name: Difference(-value_of(each), -ends_of(each)[1], -ends_of(each)[0], each.method)
        for name, each in c.differences.items()
    }
    assert c.a_beats_b is not None
    return Comparison(
        c.n,
        c.only_b_right,
        c.only_a_right,
        c.both_right,
        c.both_wrong,
        c.p,
        differences,
        pytest.approx(1 - c.a_beats_b),
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_other_way_round_every_difference_is_the_exact_opposite(seed: int) -> None:
    labels, logits_a, logits_b = draw_scores(seed)
    assert compare_paired(labels, logits_b, logits_a) == turned(compare_paired(labels, logits_a, logits_b))


def test_the_order_of_the_reviews_changes_nothing() -> None:
    labels, logits_a, logits_b = draw_scores(4)
    order = np.random.default_rng(0).permutation(len(labels))
    before = compare_paired(labels, logits_a, logits_b)
    after = compare_paired(labels[order], logits_a[order], logits_b[order])
    assert (after.p, after.differences["f1"]) == (before.p, before.differences["f1"])
    assert ends_of(after.differences["roc_auc"]) == pytest.approx(ends_of(before.differences["roc_auc"]), abs=1e-12)


def test_single_precision_logits_give_the_same_comparison() -> None:
    labels, *pair = draw_scores(1)
    single = [logits.astype(np.float32) for logits in pair]
    assert compare_paired(labels, *single) == compare_paired(labels, *(logits.astype(np.float64) for logits in single))


def test_a_model_does_not_differ_from_itself() -> None:
    labels, logits, _ = draw_scores(2)
    comparison = compare_paired(labels, logits, logits)
    assert (comparison.only_a_right, comparison.only_b_right, comparison.p) == (0, 0, 1.0)
    assert [each.value for each in comparison.differences.values()] == [0.0, 0.0, 0.0]
    low, high = ends_of(comparison.differences["accuracy"])
    assert low == -high < 0, "models that agreed so far may still differ on the next review"
    assert ends_of(comparison.differences["f1"]) == ends_of(comparison.differences["roc_auc"]) == (0.0, 0.0)
    assert not comparison.is_significant


def test_scores_that_are_all_equal_have_no_difference() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    comparison = compare_paired(labels, np.zeros(5), np.zeros(5))
    assert (comparison.both_right, comparison.both_wrong) == (2, 3)
    assert all(each.value == 0.0 for each in comparison.differences.values())


def test_without_reviews_every_difference_is_undefined() -> None:
    comparison = compare_paired(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    assert (comparison.n, comparison.both_right, comparison.p) == (0, 0, 1.0)
    assert {name: each.method for name, each in comparison.differences.items()} == {
        "accuracy": "undefined: there is no review",
        "f1": "undefined: it needs both labels",
        "roc_auc": "undefined: it needs both labels",
    }
    assert all(each.value is each.low is each.high is None for each in comparison.differences.values())
    assert not comparison.is_significant


@pytest.mark.parametrize("label", [0, 1])
def test_with_one_label_only_accuracy_is_compared(label: int) -> None:
    labels, *pair = draw_scores(0)
    differences = compare_paired(np.full_like(labels, label), *pair).differences
    assert differences["accuracy"].value is not None
    assert (
        differences["f1"] == differences["roc_auc"] == Difference(None, None, None, "undefined: it needs both labels")
    )


def test_the_area_s_difference_has_no_interval_with_one_review_of_a_label() -> None:
    difference = compare_paired(np.array([0, 0, 1]), np.array([0.0, 2.0, 1.0]), np.array([0.0, 2.0, 3.0]))
    area = difference.differences["roc_auc"]
    assert area == Difference(-0.5, None, None, "no interval: it needs two reviews of each label")
    assert not area.is_clear


def test_f1_is_compared_with_a_rare_label_although_many_draws_lack_it() -> None:
    labels = np.zeros(200, np.int64)
    labels[0] = 1
    logits_a, logits_b = np.where(labels == 1, 1.0, -1.0), np.where(np.arange(200) < 5, 1.0, -1.0)
    difference = compare_paired(labels, logits_a, logits_b).differences["f1"]
    low, high = ends_of(difference)
    assert 0 <= low < value_of(difference) == 1 - 2 / 6 < high <= 1


def test_the_interval_of_every_tiny_case_contains_the_value_and_lies_in_bounds() -> None:
    for n in range(1, 4):
        columns = itertools.product(
            itertools.product((0, 1), repeat=n), *2 * [itertools.product((-1.0, 0.0, 2.0), repeat=n)]
        )
        for labels, logits_a, logits_b in columns:
            scores = np.array(labels, np.int64), np.array(logits_a), np.array(logits_b)
            for difference in compare_paired(*scores).differences.values():
                if difference.low is None or difference.high is None:
                    continue
                assert -1 <= difference.low <= value_of(difference) <= difference.high <= 1, (scores, difference)


def test_accuracy_s_interval_contains_the_value_whatever_the_counts() -> None:
    for n in (1, 2, 5, 30):
        for only_a in range(n + 1):
            for only_b in range(n + 1 - only_a):
                comparison = compare_paired(*scores_with(only_a, only_b, n - only_a - only_b, 0))
                low, high = ends_of(comparison.differences["accuracy"])
                assert -1 <= low <= (only_a - only_b) / n <= high <= 1


def test_the_rows_by_outcome_are_ascending_and_cover_every_review_once() -> None:
    labels = np.array([1, 1, 0, 0, 1])
    logits_a, logits_b = np.array([1.0, 1.0, 1.0, 0.0, -1.0]), np.array([1.0, 0.0, -1.0, -2.0, -3.0])
    rows = rows_by_outcome(labels, logits_a, logits_b)
    assert {name: found.tolist() for name, found in rows.items()} == {
        "only_a_right": [1],
        "only_b_right": [2],
        "both_right": [0, 3],
        "both_wrong": [4],
    }
    assert all(found.dtype == np.int64 for found in rows.values())


@pytest.mark.parametrize("seed", range(4))
def test_the_counts_are_those_of_the_rows(seed: int) -> None:
    scores = draw_scores(seed)
    rows, comparison = rows_by_outcome(*scores), compare_paired(*scores)
    assert {name: len(found) for name, found in rows.items()} == {name: getattr(comparison, name) for name in OUTCOMES}
    assert np.sort(np.concatenate(list(rows.values()))).tolist() == list(range(comparison.n))


@pytest.mark.parametrize("function", [compare_paired, rows_by_outcome])
def test_logits_of_other_reviews_are_refused(function: Callable[[Labels, Logits, Logits], object]) -> None:
    with pytest.raises(ValueError, match="3 labels, 3 logits of A and 1 of B"):
        function(np.array([0, 1, 1]), np.zeros(3), np.zeros(1))


def test_a_shown_difference_is_told_from_the_better_model_s_side() -> None:
    finding = (
        "strong-1 is better, and chance does not explain it",
        "strong-1 gets 0.94 points more right (95 % interval 0.67 to 1.21; McNemar p < 0.001) and beats fast-3 in all "
        "2,000 redraws of the reviews. It alone is right on 731 reviews, fast-3 alone on 496, and both miss 1,241.",
    )
    labels, logits_a, logits_b = scores_with(731, 496, 22_532, 1_241)
    assert describe_comparison(compare_paired(labels, logits_a, logits_b), "strong-1", "fast-3") == finding
    assert describe_comparison(compare_paired(labels, logits_b, logits_a), "fast-3", "strong-1") == finding


def test_a_difference_that_chance_explains_is_told_as_none_shown() -> None:
    title, sentence = describe_comparison(compare_paired(*scores_with(12, 5, 70, 13)), "old", "new")
    assert title == "No difference shown: 7.0 points, -1.4 to 15.1"
    assert sentence == (
        "old gets 7.00 points more right (95 % interval -1.41 to 15.13; McNemar p = 0.143) and beats new in 95 of 100 "
        "redraws of the reviews. It alone is right on 12 reviews, new alone on 5, and both miss 13."
    )


@pytest.mark.parametrize(("only_a", "only_b"), [(12, 5), (5, 12), (3, 3), (1, 0), (0, 2), (40, 31)])
def test_the_share_of_redraws_won_is_the_one_worked_out_from_all_of_them(only_a: int, only_b: int) -> None:
    n = 100
    found = compare_paired(*scores_with(only_a, only_b, n - only_a - only_b, 0)).a_beats_b
    # How many of a redraw's reviews one model alone gets right is binomial, and each of them falls to A or to B.
    alone = only_a + only_b
    expected = 0.0
    for k in range(n + 1):
        of_a = stats.binom(k, only_a / alone)
        won = of_a.sf(k // 2) + (0.5 * of_a.pmf(k // 2) if k % 2 == 0 else 0.0)
        expected += float(stats.binom.pmf(k, n, alone / n) * won)
    assert found == pytest.approx(expected, abs=4 * math.sqrt(0.25 / 2_000))


def test_models_that_never_differ_win_half_of_the_redraws_and_a_landslide_all() -> None:
    assert compare_paired(*scores_with(0, 0, 5, 5)).a_beats_b == 0.5
    assert compare_paired(*scores_with(90, 0, 5, 5)).a_beats_b == 1.0
    assert compare_paired(*scores_with(0, 90, 5, 5)).a_beats_b == 0.0


def test_nearly_all_redraws_are_not_told_as_all() -> None:
    sentence = describe_comparison(compare_paired(*scores_with(30, 12, 900, 58)), "a", "b")[1]
    assert "and beats b in over 99 of 100 redraws of the reviews." in sentence


def test_equally_good_models_are_told_as_such_without_a_minus_before_zero() -> None:
    title, sentence = describe_comparison(compare_paired(*scores_with(1, 1, 99_998, 0)), "old", "new")
    assert title == "No difference shown: 0.0 points, 0.0 to 0.0"
    assert sentence == (
        "Both get equally many right (95 % interval 0.00 to 0.00; McNemar p = 1.000). old alone is right on 1 review, "
        "new alone on 1, and both miss 0."
    )


def test_an_interval_that_excludes_zero_is_not_enough_where_the_exact_test_doubts() -> None:
    difference = Difference(0.03, 0.001, 0.059, "")
    comparison = Comparison(200, 8, 2, 190, 0, 0.109, {"accuracy": difference}, 0.97)
    assert difference.is_clear and not comparison.is_significant
    assert describe_comparison(comparison, "a", "b")[0] == "No difference shown: 3.0 points, 0.1 to 5.9"


def test_a_comparison_without_reviews_says_so() -> None:
    comparison = compare_paired(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    title, sentence = describe_comparison(comparison, "a", "b")
    assert title == "No difference shown: there is no review"
    assert sentence == "There is no review to compare the two on." and comparison.a_beats_b is None


def test_welch_s_interval_is_as_worked_by_hand() -> None:
    # Means 2 and 4, variances 1 and 4 over 3 runs each: squared error 1/3 + 4/3, and 50 / 17 = 2.94 degrees, so 2.
    difference = compare_seeds([1, 2, 3], [2, 4, 6]).difference
    half = 4.30265 * math.sqrt(5 / 3)
    assert difference == Difference(-2.0, pytest.approx(-2 - half), pytest.approx(-2 + half), "Welch's t interval")


@pytest.mark.parametrize("seed", range(10))
def test_welch_s_interval_is_scipy_s_with_the_degrees_of_freedom_rounded_down(seed: int) -> None:
    draw = np.random.default_rng(seed)
    a = draw.normal(0.9, 0.01, int(draw.integers(2, 12))).tolist()
    b = draw.normal(0.89, 0.003, int(draw.integers(2, 12))).tolist()
    welch = stats.ttest_ind(a, b, equal_var=False)
    error = (np.mean(a) - np.mean(b)) / welch.statistic
    half = stats.t.ppf(0.975, math.floor(welch.df)) * error
    gap = np.mean(a) - np.mean(b)
    comparison = compare_seeds(a, b)
    assert comparison.difference.value == pytest.approx(gap, abs=1e-12)
    assert ends_of(comparison.difference) == pytest.approx((gap - half, gap + half), abs=1e-6)
    exact = welch.confidence_interval(0.95)
    low, high = ends_of(comparison.difference)
    assert low <= exact.low + 1e-6 and high >= exact.high - 1e-6


@pytest.mark.parametrize("freedom", T_QUANTILES)
def test_every_quantile_of_the_table_is_scipy_s(freedom: int) -> None:
    assert T_QUANTILES[freedom] == pytest.approx(stats.t.ppf(0.975, freedom), abs=5e-6)


def test_many_runs_take_the_next_lower_row_of_the_table() -> None:
    draw = np.random.default_rng(0)
    for n, row in [(18, 30), (25, 40), (500, 120)]:
        values = draw.normal(size=n).tolist()
        low, high = ends_of(compare_seeds(values, values).difference)
        assert (high - low) / 2 == pytest.approx(T_QUANTILES[row] * math.sqrt(2 * np.var(values, ddof=1) / n))


def test_one_side_without_spread_takes_the_other_s_degrees_of_freedom() -> None:
    difference = compare_seeds([0.9, 0.9, 0.9], [0.1, 0.2, 0.3, 0.4]).difference
    half = T_QUANTILES[3] * math.sqrt(np.var([0.1, 0.2, 0.3, 0.4], ddof=1) / 4)
    assert ends_of(difference) == pytest.approx((0.65 - half, 0.65 + half))


def test_runs_that_all_agree_have_a_point_for_an_interval() -> None:
    same = compare_seeds([0.9] * 3, [0.9] * 5)
    assert same.difference == Difference(0.0, 0.0, 0.0, "Welch's t interval, without any spread")
    assert describe_seeds(same) == "The gap of 0.0 points is within seed noise (0.0 to 0.0; 3 and 5 seeds)."
    apart = compare_seeds([0.9] * 2, [0.8] * 2)
    assert describe_seeds(apart) == "The gap of 10.0 points (10.0 to 10.0) is larger than seed noise (2 and 2 seeds)."


@pytest.mark.parametrize(
    ("a", "b", "value", "method"),
    [
        ([], [], None, "undefined: it needs a run on each side"),
        ([], [0.5, 0.6], None, "undefined: it needs a run on each side"),
        ([0.75], [0.5, 0.5], 0.25, "no interval: it needs two runs on each side"),
        ([0.75], [0.5], 0.25, "no interval: it needs two runs on each side"),
    ],
)
def test_too_few_runs_have_no_interval_and_say_so(
    a: list[float], b: list[float], value: float | None, method: str
) -> None:
    comparison = compare_seeds(a, b)
    assert comparison == SeedComparison(Difference(value, None, None, method), len(a), len(b))
    expected = f"Seed noise is not known: it takes 2 seeds on each side, not {len(a)} and {len(b)}."
    assert describe_seeds(comparison) == expected


def test_a_gap_of_means_is_told_against_seed_noise_from_the_larger_side() -> None:
    clear = SeedComparison(Difference(-0.008, -0.013, -0.003, ""), 5, 5)
    assert describe_seeds(clear) == "The gap of 0.8 points (0.3 to 1.3) is larger than seed noise (5 and 5 seeds)."
    noise = SeedComparison(Difference(0.002, -0.004, 0.008, ""), 3, 5)
    assert describe_seeds(noise) == "The gap of 0.2 points is within seed noise (-0.4 to 0.8; 3 and 5 seeds)."


def test_seeds_the_other_way_round_give_the_opposite() -> None:
    a, b = [0.91, 0.92, 0.905], [0.89, 0.9, 0.902, 0.88]
    one, other = compare_seeds(a, b).difference, compare_seeds(b, a).difference
    assert (value_of(other), *ends_of(other)) == pytest.approx((-value_of(one), -ends_of(one)[1], -ends_of(one)[0]))


def test_the_spread_of_runs_is_their_mean_ends_and_sample_deviation() -> None:
    assert spread([3.0, 1.0, 2.0]) == SeedSpread(mean=2.0, low=1.0, high=3.0, sd=1.0, n=3)
    assert spread([0.5]) == SeedSpread(0.5, 0.5, 0.5, None, 1)
    assert spread([0.9] * 3) == SeedSpread(0.9, 0.9, 0.9, 0.0, 3)
    assert spread([1.0, 3.0]).sd == pytest.approx(math.sqrt(2))


def test_the_spread_of_no_run_is_refused() -> None:
    with pytest.raises(ValueError, match="at least"):
        spread([])
