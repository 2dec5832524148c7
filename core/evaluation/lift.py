"""How many times as often reviews of one kind are misread as the rest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import Z, wilson_interval

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

WIDEST = 12.0  # natural logarithm of the largest ratio that is looked at, and of one over the smallest
HALVINGS = 60


@dataclass(frozen=True)
class Lift:
    """The error rate of some reviews, and against the error rate of all others.

    Attributes:
        n: The reviews.
        errors: How many of them are misread.
        rate: errors / n; None without a review.
        rate_low: Lower end of the 95 % Wilson interval of ``rate``.
        rate_high: Upper end.
        value: ``rate`` over the error rate of all other reviews; None when undefined, then ``reason`` says why.
        low: Lower end of the 95 % interval of ``value`` (``ratio_intervals``).
        high: Upper end.
        reason: Why the lift is undefined; empty otherwise.
    """

    n: int
    errors: int
    rate: float | None
    rate_low: float | None
    rate_high: float | None
    value: float | None
    low: float | None
    high: float | None
    reason: str = ""

    @property
    def is_more(self) -> bool:
        """Tell whether they are misread more often than the rest, the whole interval above 1."""
        return self.low is not None and self.low > 1


def measure_lift(n: int, errors: int, all_n: int, all_errors: int) -> Lift:
    """Return the error rate of n of a split's reviews and its lift.

    Args:
        n: The reviews, 0 to ``all_n``.
        errors: How many of them are misread.
        all_n: All reviews of the split.
        all_errors: How many of those are misread.
    """
    rest, rest_errors = all_n - n, all_errors - errors
    rate, (rate_low, rate_high) = (errors / n, wilson_interval(errors, n)) if n else (None, (None, None))
    if reason := _why_undefined(n, rest, all_errors, rest_errors):
        return Lift(n, errors, rate, rate_low, rate_high, None, None, None, reason)
    low, high = ratio_intervals(np.array([errors]), np.array([n]), np.array([rest_errors]), np.array([rest]))
    value = (errors / n) / (rest_errors / rest)
    return Lift(n, errors, rate, rate_low, rate_high, value, float(low[0]), float(high[0]))


def _why_undefined(n: int, rest: int, all_errors: int, rest_errors: int) -> str:
    if not n:
        return "no review is of this kind"
    if not rest:
        return "every review is of this kind, so that there is no rest"
    if not all_errors:
        return "no review was misread"
    return "" if rest_errors else "none of the rest was misread"


def ratio_intervals(x: Counts, n: Counts, rest_x: Counts, rest_n: Counts) -> tuple[Floats, Floats]:
    """Return 95 % intervals of ratios of two proportions, (x / n) over (rest_x / rest_n).

    These are Koopman's score intervals (1984, "Confidence intervals for the ratio of two binomial proportions",
    Biometrics 40): the ratios at which a chi-squared test with one degree of freedom does not reject, the proportions
    estimated under that ratio. Unlike the interval of the logarithm of the ratio they stand where x is 0.

    Args:
        x: Successes, int64 (K), 0 to n.
        n: Trials, int64 (K), at least 1.
        rest_x: Successes of the others; where they are 0 the upper end is infinite.
        rest_n: Trials of the others, at least 1.

    Returns:
        Lower ends and upper ends, float64 (K).
    """
    low, high = (_solve(sign * Z, x, n, rest_x, rest_n) for sign in (1, -1))
    return np.where(x == 0, 0.0, low), np.where(rest_x == 0, np.inf, high)


def _solve(target: float, x: Counts, n: Counts, rest_x: Counts, rest_n: Counts) -> Floats:
    """Return the ratios at which the score, which falls as the ratio grows, is ``target``; by halving."""
    below, above = np.full(len(x), -WIDEST), np.full(len(x), WIDEST)
    for _ in range(HALVINGS):
        middle = (below + above) / 2
        is_above = _score(np.exp(middle), x, n, rest_x, rest_n) > target
        below, above = np.where(is_above, middle, below), np.where(is_above, above, middle)
    return np.asarray(np.exp((below + above) / 2))


def _score(ratio: Floats, x: Counts, n: Counts, rest_x: Counts, rest_n: Counts) -> Floats:
    """Return how many standard errors x / n lies above ``ratio`` times rest_x / rest_n, were that the true ratio."""
    # The most likely proportion of the rest is the smaller root of a p^2 - b p + c, written without a difference.
    a, b, c = ratio * (n + rest_n), ratio * (n + rest_x) + x + rest_n, x + rest_x
    rest_p = np.clip(2 * c / (b + np.sqrt(np.maximum(b * b - 4 * a * c, 0))), 0, 1)
    p = np.clip(ratio * rest_p, 0, 1)
    variance = p * (1 - p) / n + ratio**2 * rest_p * (1 - rest_p) / rest_n
    distance = x / n - ratio * rest_x / rest_n
    return np.asarray(distance / np.sqrt(np.maximum(variance, 1e-300)))
