"""Two models on the same reviews: what each alone gets right, and whether chance explains it."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import Interval, Z
from core.evaluation.metrics import _share_below

DRAWS = 2_000
SIGNIFICANT = 0.05
# Student's t at 0.975 by degrees of freedom.
T_QUANTILES = {
    1: 12.70620, 2: 4.30265, 3: 3.18245, 4: 2.77645, 5: 2.57058, 6: 2.44691, 7: 2.36462, 8: 2.30600, 9: 2.26216,
    10: 2.22814, 11: 2.20099, 12: 2.17881, 13: 2.16037, 14: 2.14479, 15: 2.13145, 16: 2.11991, 17: 2.10982, 18: 2.10092,
    19: 2.09302, 20: 2.08596, 21: 2.07961, 22: 2.07387, 23: 2.06866, 24: 2.06390, 25: 2.05954, 26: 2.05553, 27: 2.05183,
    28: 2.04841, 29: 2.04523, 30: 2.04227, 40: 2.02108, 60: 2.00030, 120: 1.97993,
}  # fmt: skip
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Difference:
    """A figure of A minus that of B, as a share.

    Attributes:
        value: None when it is undefined; ``method`` then holds the reason.
        low: Lower end of the 95 % interval. None when there is no interval; ``method`` then holds the reason.
        high: Upper end.
        method: How the interval was made.
    """

    value: float | None
    low: float | None
    high: float | None
    method: str

    @property
    def is_clear(self) -> bool:
        """Tell whether the interval excludes 0; without an interval nothing is clear."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


@dataclass(frozen=True)
class Comparison:
    """Two models on the same N reviews.

    Attributes:
        n: All reviews; the four counts below sum to it.
        only_a_right: Reviews that A reads right and B wrong.
        only_b_right: Reviews that B reads right and A wrong.
        both_right: Reviews that both read right.
        both_wrong: Reviews that both read wrong.
        p: Of McNemar's exact two-sided test, 0 to 1; 1.0 when the models never differ.
        differences: A minus B for "accuracy", "f1" and "roc_auc".
        a_beats_b: Share of 2,000 bootstrap redraws of the reviews in which A reads more right, ties counted half; None
            without a review.
    """

    n: int
    only_a_right: int
    only_b_right: int
    both_right: int
    both_wrong: int
    p: float
    differences: dict[str, Difference]
    a_beats_b: float | None

    @property
    def is_significant(self) -> bool:
        """Tell whether chance does not explain the gap: accuracy's interval excludes 0 and p is below 0.05."""
        return self.differences["accuracy"].is_clear and self.p < SIGNIFICANT


@dataclass(frozen=True)
class SeedComparison:
    """Two groups of runs that differ by seed.

    Attributes:
        difference: Mean of A minus mean of B, with Welch's interval.
        n_a: Runs of A.
        n_b: Runs of B.
    """

    difference: Difference
    n_a: int
    n_b: int


@dataclass(frozen=True)
class SeedSpread:
    """How the runs of one model differ by seed.

    Attributes:
        mean: Of all runs.
        low: Smallest value.
        high: Largest value.
        sd: Sample standard deviation; None for one run.
        n: Runs.
    """

    mean: float
    low: float
    high: float
    sd: float | None
    n: int


def compare_paired(
    labels: NDArray[np.int64], logits_a: NDArray[np.floating], logits_b: NDArray[np.floating]
) -> Comparison:
    """Compare two models on the same reviews; a verdict is positive where the logit is above 0.

    The difference in accuracy has the adjusted Wald interval of Bonett & Price (2012, JEBS 37): with b reviews that A
    alone gets right, c that B alone does, u = (b + 1) / (n + 2) and v = (c + 1) / (n + 2), it is u - v plus or minus
    z sqrt((u + v - (u - v)^2) / (n + 2)). The difference in F1 has the percentile interval of 2,000 bootstrap draws,
    and that in ROC AUC the interval of DeLong et al. (1988, Biometrics 44) for correlated areas, which is a point where
    every review keeps its place.

    Args:
        labels: int64 (N), 0 or 1. N may be 0: then p is 1 and every difference undefined.
        logits_a: float (N), finite.
        logits_b: float (N), finite.

    Raises:
        ValueError: The lengths differ.
    """
    counts = {name: len(rows) for name, rows in rows_by_outcome(labels, logits_a, logits_b).items()}
    only_a, only_b = counts["only_a_right"], counts["only_b_right"]
    differences = {
        "accuracy": _accuracy_difference(only_a, only_b, len(labels)),
        "f1": _f1_difference(_count_joint(labels, logits_a, logits_b)),
        "roc_auc": _auc_difference(labels, logits_a.astype(np.float64), logits_b.astype(np.float64)),
    }
    return Comparison(
        n=len(labels),
        p=_mcnemar_p(only_a, only_b),
        differences=differences,
        a_beats_b=_share_of_redraws_won(only_a, only_b, len(labels)),
        **counts,
    )


def rows_by_outcome(
    labels: NDArray[np.int64], logits_a: NDArray[np.floating], logits_b: NDArray[np.floating]
) -> dict[str, NDArray[np.int64]]:
    """Return the rows, int64 and ascending, of the reviews with each outcome, named as in ``Comparison``.

    Args:
        labels: int64 (N), 0 or 1; N may be 0.
        logits_a: float (N).
        logits_b: float (N).

    Raises:
        ValueError: The lengths differ.
    """
    if not len(labels) == len(logits_a) == len(logits_b):
        raise ValueError(
            f"two models are compared on the same reviews: there are {len(labels):,} labels, {len(logits_a):,} logits "
            f"of A and {len(logits_b):,} of B"
        )
    right_a, right_b = ((logits > 0) == (labels == 1) for logits in (logits_a, logits_b))
    masks = {
        "only_a_right": right_a & ~right_b,
        "only_b_right": ~right_a & right_b,
        "both_right": right_a & right_b,
        "both_wrong": ~right_a & ~right_b,
    }
    return {name: np.flatnonzero(mask) for name, mask in masks.items()}


def describe_comparison(comparison: Comparison, name_a: str, name_b: str) -> tuple[str, str]:
    """Return a finding in a few words and a sentence with its figures, in points, told from the better model's side."""
    points = _larger_minus_smaller(comparison.differences["accuracy"])
    if points is None:
        return "No difference shown: there is no review", "There is no review to compare the two on."
    gap, low, high = points
    a, b = (name_a, comparison.only_a_right), (name_b, comparison.only_b_right)
    (better, alone), (worse, other) = (a, b) if a[1] >= b[1] else (b, a)
    title = f"No difference shown: {gap:z.1f} points, {low:z.1f} to {high:z.1f}"
    if comparison.is_significant:
        title = f"{better} is better, and chance does not explain it"
    p = "p < 0.001" if comparison.p < 0.001 else f"p = {comparison.p:.3f}"
    figures = f"(95 % interval {low:z.2f} to {high:z.2f}; McNemar {p})"
    on_reviews = f"right on {alone:,} review{'' if alone == 1 else 's'}, {worse} alone on {other:,}"
    if alone == other:
        start = f"Both get equally many right {figures}. {better} alone is {on_reviews}"
    else:
        redraws = _redraws_won(comparison, by_a=alone == comparison.only_a_right)
        start = f"{better} gets {gap:z.2f} points more right {figures} and beats {worse} in {redraws} redraws of the "
        start += f"reviews. It alone is {on_reviews}"
    return title, f"{start}, and both miss {comparison.both_wrong:,}."


def compare_seeds(values_a: Sequence[float], values_b: Sequence[float]) -> SeedComparison:
    """Compare the means of two groups of runs by Welch's t interval (Welch 1947, Biometrika 34).

    The degrees of freedom are rounded down to the next row of the table, which widens the interval.

    Args:
        values_a: A share for each run of A, such as its accuracy. Without a run on either side the difference is
            undefined; with one on either side it has no interval.
        values_b: The same for B.
    """
    a, b = [float(value) for value in values_a], [float(value) for value in values_b]
    return SeedComparison(_mean_difference(a, b), len(a), len(b))


def describe_seeds(comparison: SeedComparison) -> str:
    """Return one sentence that says whether the gap, larger minus smaller mean, is larger than seed noise."""
    points = _larger_minus_smaller(comparison.difference)
    if points is None:
        return f"Seed noise is not known: it takes 2 seeds on each side, not {comparison.n_a} and {comparison.n_b}."
    gap, low, high = points
    interval, seeds = f"{low:z.1f} to {high:z.1f}", f"{comparison.n_a} and {comparison.n_b} seeds"
    if comparison.difference.is_clear:
        return f"The gap of {gap:z.1f} points ({interval}) is larger than seed noise ({seeds})."
    return f"The gap of {gap:z.1f} points is within seed noise ({interval}; {seeds})."


def spread(values: Sequence[float]) -> SeedSpread:
    """Return mean, ends and sample standard deviation of the runs of one model.

    Args:
        values: One for each run, at least one.

    Raises:
        ValueError: There is no value.
    """
    if not len(values):
        raise ValueError("the spread of no run is not defined: give the value of one run at least")
    runs = [float(value) for value in values]
    deviation = math.sqrt(statistics.variance(runs)) if len(runs) > 1 else None
    return SeedSpread(statistics.mean(runs), min(runs), max(runs), deviation, len(runs))


def _accuracy_difference(only_a: int, only_b: int, n: int) -> Difference:
    if n == 0:
        return _undefined("there is no review")
    share_a, share_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    centre = share_a - share_b
    half = Z * math.sqrt((share_a + share_b - centre**2) / (n + 2))
    return Difference((only_a - only_b) / n, *_within_one(centre, half), "Bonett-Price adjusted Wald interval")


def _share_of_redraws_won(only_a: int, only_b: int, n: int) -> float | None:
    """Draw N reviews of the N with replacement, again and again; only those that one model alone gets right count."""
    if n == 0:
        return None
    if only_a < only_b:
        # Draws depend on the order of the cells: the two ways round share theirs, so that their shares sum to 1.
        return 1 - (_share_of_redraws_won(only_b, only_a, n) or 0.0)
    shares = np.array([only_a, only_b, n - only_a - only_b]) / n
    draws = np.random.default_rng(0).multinomial(n, shares, DRAWS)
    return float(np.sign(draws[:, 0] - draws[:, 1]).mean() / 2 + 0.5)


def _redraws_won(comparison: Comparison, *, by_a: bool) -> str:
    share = comparison.a_beats_b or 0.0
    share = share if by_a else 1 - share
    return f"all {DRAWS:,}" if share == 1 else "over 99 of 100" if share > 0.995 else f"{100 * share:.0f} of 100"


def _count_joint(labels: Counts, logits_a: NDArray[np.floating], logits_b: NDArray[np.floating]) -> Counts:
    """Count the reviews by label, verdict of A and verdict of B, int64 (2, 2, 2)."""
    cells = 4 * labels + 2 * (logits_a > 0) + (logits_b > 0)
    return np.bincount(cells, minlength=8).reshape(2, 2, 2)


def _f1_difference(table: Counts) -> Difference:
    """Bootstrap the joint table (2, 2, 2); a draw that lacks a label, where the figure is undefined, is left out."""
    if not _has_both_labels(table):
        return _undefined("it needs both labels")
    other_way = table.swapaxes(1, 2)
    if table.tolist() > other_way.tolist():
        # Draws depend on the order of the cells: with one order for both ways round, B minus A is -(A minus B).
        return _turned(_f1_difference(other_way))
    draws = np.random.default_rng(0).multinomial(table.sum(), table.ravel() / table.sum(), DRAWS).reshape(-1, 2, 2, 2)
    low, high = np.percentile(_f1_gaps(draws[_has_both_labels(draws)]), (2.5, 97.5))
    return Difference(float(_f1_gaps(table)), float(low), float(high), f"percentiles of {DRAWS:,} bootstrap draws")


def _has_both_labels(tables: Counts) -> NDArray[np.bool_]:
    return np.asarray(tables.any(axis=(-2, -1)).all(axis=-1))


def _f1_gaps(tables: Counts) -> Floats:
    """Return F1 of A minus F1 of B for joint tables (..., 2, 2, 2), each with a positive label."""
    of_a, of_b = tables.sum(axis=-1), tables.sum(axis=-2)
    scores = [
        2 * counts[..., 1, 1] / (2 * counts[..., 1, 1] + counts[..., 0, 1] + counts[..., 1, 0])
        for counts in (of_a, of_b)
    ]
    gaps: Floats = scores[0] - scores[1]
    return gaps


def _auc_difference(labels: Counts, logits_a: Floats, logits_b: Floats) -> Difference:
    """Compare the areas by the placement of each review under A and under B.

    The variance of a difference of placements holds the covariance: it is S_aa + S_bb - 2 S_ab of the paper.
    """
    if not (labels == 1).any() or not (labels == 0).any():
        return _undefined("it needs both labels")
    of_a, of_b = _placements(labels, logits_a), _placements(labels, logits_b)
    gains = [a - b for a, b in zip(of_a, of_b, strict=True)]
    value = float(gains[0].mean())
    if min(len(gain) for gain in gains) < 2:
        return Difference(value, None, None, "no interval: it needs two reviews of each label")
    variance = sum(float(gain.var(ddof=1)) / len(gain) for gain in gains)
    return Difference(value, *_within_one(value, Z * math.sqrt(variance)), "DeLong, paired")


def _placements(labels: Counts, logits: Floats) -> tuple[Floats, Floats]:
    """Return for each positive the share of negatives below it, for each negative that of positives above; ties half.

    Both float64, (P) and (M), in the order of the reviews; P and M are at least 1.
    """
    positives, negatives = logits[labels == 1], logits[labels == 0]
    return _share_below(positives, np.sort(negatives)), 1 - _share_below(negatives, np.sort(positives))


def _mcnemar_p(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p of McNemar's test (McNemar 1947, Psychometrika 12).

    Under chance each review on which the models differ falls to either side like a fair coin. The sum runs over the
    logarithms of the binomial's terms, so that tens of thousands of reviews neither overflow nor vanish.
    """
    n, fewer = only_a + only_b, min(only_a, only_b)
    if only_a == only_b:
        return 1.0
    logs = [math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(fewer + 1)]
    tail = math.fsum(math.exp(log - logs[-1]) for log in logs)  # the last is the largest
    return min(1.0, math.exp(math.log(2 * tail) + logs[-1] - n * math.log(2)))


def _mean_difference(a: list[float], b: list[float]) -> Difference:
    if not a or not b:
        return _undefined("it needs a run on each side")
    value = statistics.mean(a) - statistics.mean(b)
    if len(a) < 2 or len(b) < 2:
        return Difference(value, None, None, "no interval: it needs two runs on each side")
    of_a, of_b = statistics.variance(a) / len(a), statistics.variance(b) / len(b)
    if of_a + of_b == 0:
        return Difference(value, value, value, "Welch's t interval, without any spread")
    half = _t_quantile(_welch_freedom(of_a, of_b, len(a), len(b))) * math.sqrt(of_a + of_b)
    return Difference(value, value - half, value + half, "Welch's t interval")


def _welch_freedom(of_a: float, of_b: float, n_a: int, n_b: int) -> float:
    share = of_a / (of_a + of_b)
    return 1 / (share**2 / (n_a - 1) + (1 - share) ** 2 / (n_b - 1))


def _t_quantile(freedom: float) -> float:
    # Rounding may leave a whole number a hair below itself.
    return T_QUANTILES[max(row for row in T_QUANTILES if row <= freedom + 1e-9)]


def _within_one(centre: float, half: float) -> Interval:
    return max(centre - half, -1.0), min(centre + half, 1.0)


def _turned(difference: Difference) -> Difference:
    """Return B minus A for A minus B."""
    if difference.value is None or difference.low is None or difference.high is None:
        return difference
    # 0 - x, since -x of 0.0 would show as -0.0.
    return Difference(0 - difference.value, 0 - difference.high, 0 - difference.low, difference.method)


def _larger_minus_smaller(difference: Difference) -> tuple[float, float, float] | None:
    """Return value, low and high in points, told from the larger side; None without an interval."""
    if difference.value is not None and difference.value < 0:
        difference = _turned(difference)
    if difference.value is None or difference.low is None or difference.high is None:
        return None
    return 100 * difference.value, 100 * difference.low, 100 * difference.high


def _undefined(reason: str) -> Difference:
    return Difference(None, None, None, f"undefined: {reason}")
