"""How far probabilities can be trusted: their temperature, the reliability diagram and the risk-coverage curve."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.curves import BINS, bin_edges, confidence_bin, wilson_intervals
from core.models.model_file import LEAST_TEMPERATURE, MOST_TEMPERATURE

FEWEST_REVIEWS = 20
DRAWS = 2_000
MOST_SIZE = 64.0  # of gaps, against those found
PERCENTS = np.arange(1, 101)
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Reliability:
    """What a model's confidence is worth: in 20 bins of equal width from 0.5 to 1, confidence beside the share right.

    Attributes:
        edges: float64 (21).
        n: Reviews, int64 (20).
        confidence: Mean confidence, float64 (20), NaN where a bin is empty; so are the next three.
        accuracy: Share read right.
        low: Lower end of the Wilson interval of the share right.
        high: Upper end.
        error: The expected calibration error, 0 to 1: the mean of |accuracy - confidence| over all reviews, each with
            the figures of its bin; NaN without a review.
    """

    edges: Floats
    n: Counts
    confidence: Floats
    accuracy: Floats
    low: Floats
    high: Floats
    error: float


@dataclass(frozen=True)
class RiskCoverage:
    """How many of the surest 1, 2 .. 100 % of the reviews are read right.

    Attributes:
        coverage: Share of the reviews that is accepted, float64 (100).
        n: Reviews accepted, int64 (100).
        accuracy: Share of them read right, float64 (100), NaN where none is; so are the next two.
        low: Lower end of its Wilson interval.
        high: Upper end.
    """

    coverage: Floats
    n: Counts
    accuracy: Floats
    low: Floats
    high: Floats


def fit_temperature(labels: Counts, logits: NDArray[np.floating]) -> float:
    """Return the temperature T at which the mean log loss of logits / T is least (Guo et al. 2017, ICML).

    The loss is convex in 1 / T, so that halving the place where its slope changes sign finds the least. There is no
    such place, and the answer is 1, with one label alone, without a wrong verdict (the loss falls without end as T
    does) or with fewer than 20 reviews. Scores that say nothing, or the opposite, end at the upper bound.

    Args:
        labels: int64 (N), 0 or 1; of reviews that the model did not learn from.
        logits: float (N), finite.

    Returns:
        0.05 to 20. Above 1 the model was too sure of itself.
    """
    scores, truth = logits.astype(np.float64), labels.astype(np.float64)
    if len(labels) < FEWEST_REVIEWS or truth.min() == truth.max() or ((scores > 0) == (labels == 1)).all():
        return 1.0

    def slope(scale: float) -> float:
        return float(((_logistic(scale * scores) - truth) * scores).mean())

    low, high = 1 / MOST_TEMPERATURE, 1 / LEAST_TEMPERATURE
    if slope(low) >= 0:
        return MOST_TEMPERATURE
    if slope(high) <= 0:
        return LEAST_TEMPERATURE
    for _ in range(60):  # 20 halved 60 times is below what a double can tell apart
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return min(max(2 / (low + high), LEAST_TEMPERATURE), MOST_TEMPERATURE)


def reliability(labels: Counts, logits: NDArray[np.floating], temperature: float = 1.0) -> Reliability:
    """Compare the confidence of logits / temperature with the share read right, bin by bin.

    The verdict is the one at probability 0.5, which no temperature changes.

    Args:
        labels: int64 (N), 0 or 1; N may be 0.
        logits: float (N), finite.
        temperature: Above 0.
    """
    scores = logits.astype(np.float64)
    confidences = _logistic(np.abs(scores) / temperature)
    bins, right = confidence_bin(confidences), (scores > 0) == (labels == 1)
    n, of_right = np.bincount(bins, minlength=BINS), np.bincount(bins[right], minlength=BINS)
    sums = np.bincount(bins, confidences, minlength=BINS)
    error = float(np.abs(of_right - sums).sum() / len(labels)) if len(labels) else np.nan
    low, high = wilson_intervals(of_right, n)
    return Reliability(bin_edges(), n, _divide(sums, n), _divide(of_right, n), low, high, error)


def error_interval(found: Reliability) -> tuple[float, float]:
    """Return a 95 % interval of the calibration error of the reviews that these are a sample of.

    Chance alone makes a gap in every bin, so that the error found is too large and draws from the sample are larger
    still: plain percentiles of a bootstrap may miss the truth nearly always. Here gaps of the same pattern but another
    size are supposed, 2,000 samples are drawn with their normal noise, and the sizes at which the error found is
    neither among the largest 2.5 % nor among the smallest 2.5 % make the interval (a bootstrap inverted as a test;
    Carpenter 1999, JRSS B 61). It begins at 0 where chance alone explains the error, and reaches 3 / N at least, which
    N reviews without an error do not exclude. In simulation it covers in 92 to 100 %, most with few reviews.

    Args:
        found: Of at least one review.
    """
    used = found.n > 0
    n, right = found.n[used], (found.n * found.accuracy)[used]
    gaps, weights = (found.accuracy - found.confidence)[used], n / n.sum()
    share = (right + 2) / (n + 4)  # a bin that is all right would have no noise (Agresti & Coull 1998)
    deviations = np.sqrt(weights * (share * (1 - share) + gaps**2) / n.sum())
    noise = np.random.default_rng(0).standard_normal((DRAWS, len(n))) * deviations

    def quantile(size: float, level: float) -> float:
        return float(np.quantile(np.abs(size * weights * gaps + noise).sum(axis=1), level))

    def smallest_with(level: float, low: float, high: float) -> float:
        """Return the size, between low and high, from which on the quantile exceeds the error found."""
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (low, middle) if quantile(middle, level) >= found.error else (middle, high)
        return (low + high) / 2

    least = 0.0 if quantile(0.0, 0.975) >= found.error else smallest_with(0.975, 0.0, 1.0)
    most = 1.0 if quantile(1.0, 0.025) >= found.error else smallest_with(0.025, 1.0, MOST_SIZE)
    return least * found.error, min(max(most * found.error, 3 / n.sum()), 1.0)


def risk_coverage(labels: Counts, logits: NDArray[np.floating], cut: float = 0.0) -> RiskCoverage:
    """Count how many of the surest reviews are read right (El-Yaniv & Wiener 2010, JMLR 11), percent by percent.

    The surest are those whose logits lie farthest from the cut, equals by the data's order: the same as
    ``core.evaluation.selection.Results.surest`` picks.

    Args:
        labels: int64 (N), 0 or 1; N may be 0.
        logits: float (N), finite.
        cut: The verdict is positive where the logit is above it.
    """
    scores = logits.astype(np.float64)
    order = np.argsort(-np.abs(scores - cut), kind="stable")
    right = np.append(0, np.cumsum(((scores > cut) == (labels == 1))[order]))
    n = np.rint(len(labels) * PERCENTS / 100).astype(np.int64)
    low, high = wilson_intervals(right[n], n)
    return RiskCoverage(PERCENTS / 100, n, _divide(right[n], n), low, high)


def _logistic(scores: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -scores))


def _divide(part: NDArray[np.generic], whole: Counts) -> Floats:
    share: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return share
