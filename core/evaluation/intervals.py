"""95 % intervals, in closed form."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Z = NormalDist().inv_cdf(0.975)
Interval = tuple[float, float]


def wilson_interval(successes: float, n: float) -> Interval:
    """Return the Wilson score interval of a proportion (Wilson 1927, JASA 22).

    Args:
        successes: From 0 to n.
        n: At least 1; no whole number when it is an effective sample size.
    """
    share = successes / n
    centre = share + Z**2 / (2 * n)
    half = Z * (share * (1 - share) / n + Z**2 / (4 * n**2)) ** 0.5
    scale = 1 + Z**2 / n
    # At the ends the formula gives 0 and 1 but for rounding.
    return (centre - half) / scale if successes else 0.0, (centre + half) / scale if successes < n else 1.0


def f1_interval(true_positives: int, errors: int) -> Interval:
    """Return an interval of F1.

    F1 is 2J / (1 + J) with J = TP / (TP + FP + FN), and J is a proportion of TP + FP + FN trials: the Wilson interval
    of J, carried through that increasing function.

    Args:
        true_positives: TP.
        errors: FP + FN; TP + FP + FN is at least 1.
    """
    low, high = wilson_interval(true_positives, true_positives + errors)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def mean_interval(values: NDArray[np.float64]) -> Interval:
    """Return the normal interval of a mean; values float64 (N), N at least 2."""
    half = Z * float(values.std(ddof=1)) / len(values) ** 0.5
    return float(values.mean()) - half, float(values.mean()) + half


def auc_interval(auc: float, positive_shares: NDArray[np.float64], negative_shares: NDArray[np.float64]) -> Interval:
    """Return DeLong's interval of the area under the ROC curve (DeLong et al. 1988, Biometrics 44), on the logit scale.

    The logit keeps the interval inside 0 to 1 and covers better near 1. At exactly 0 or 1 the variance is zero and the
    interval is that of the rule of three for the smaller class.

    Args:
        auc: The area.
        positive_shares: For each positive, the share of negatives scored below it (ties half), float64 (P).
        negative_shares: For each negative, the share of positives scored above it (ties half), float64 (M).
    """
    smaller = min(len(positive_shares), len(negative_shares))
    if auc in (0.0, 1.0):
        margin = min(3 / smaller, 1.0)
        return (1 - margin, 1.0) if auc else (0.0, margin)
    variance = sum(_variance(shares) / len(shares) for shares in (positive_shares, negative_shares))
    centre, half = np.log(auc / (1 - auc)), Z * variance**0.5 / (auc * (1 - auc))
    return float(np.exp(-np.logaddexp(0, half - centre))), float(np.exp(-np.logaddexp(0, -half - centre)))


def _variance(values: NDArray[np.float64]) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.25


def precision_interval(average: float, influences: NDArray[np.float64], positives: int) -> Interval:
    """Return the delta method's interval of average precision, on the logit scale.

    The influence of a review is how much the figure would move if reviews like it were more frequent; the mean of the
    squares, over N, is the variance (Huber 1981, Robust Statistics). The binomial variance that Boyd, Eng & Page (2013,
    ECML PKDD) propose looks at the number of positives alone: for a good model it is two to three times too large. At
    exactly 1 the variance is zero and the interval is that of the rule of three for the positives.

    Args:
        average: Average precision, above 0.
        influences: Of each review, float64 (N); their mean is 0.
        positives: Reviews labelled positive, at least 1.
    """
    if average >= 1.0:
        return 1 - min(3 / positives, 1.0), 1.0
    deviation = float((influences**2).mean() / len(influences)) ** 0.5
    centre, half = np.log(average / (1 - average)), Z * deviation / (average * (1 - average))
    return float(np.exp(-np.logaddexp(0, half - centre))), float(np.exp(-np.logaddexp(0, -half - centre)))
