"""Lifts agree with hand-worked numbers, stand at the edges, and cover."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.stats.contingency import relative_risk

from core.evaluation.intervals import Z, wilson_interval
from core.evaluation.lift import measure_lift, ratio_intervals


def interval(x: int, n: int, rest_x: int, rest_n: int) -> tuple[float, float]:
    low, high = ratio_intervals(*(np.array([value]) for value in (x, n, rest_x, rest_n)))
    return float(low[0]), float(high[0])


def test_a_hand_worked_lift() -> None:
    lift = measure_lift(n=40, errors=10, all_n=200, all_errors=18)
    assert (lift.rate, lift.rate_low, lift.rate_high) == (0.25, *wilson_interval(10, 40))
    assert lift.value == pytest.approx(0.25 / (8 / 160))  # 5 times
    assert lift.low < 5 < lift.high and lift.low > 1 and lift.is_more and not lift.reason


def test_the_example_of_koopman_s_paper() -> None:
    assert interval(36, 40, 16, 80) == pytest.approx((2.94, 7.15), abs=0.006)


@pytest.mark.parametrize("counts", [(10, 40, 8, 160), (3, 50, 90, 900), (199, 2_500, 1_787, 22_500), (1, 20, 5, 20)])
def test_at_both_ends_the_most_likely_proportions_under_that_ratio_are_just_rejected(counts: tuple[int, ...]) -> None:
    x, n, rest_x, rest_n = counts
    for ratio in interval(*counts):
        most = min(1.0, 1 / ratio)

        def unlikely(p: float, ratio: float = ratio) -> float:
            chosen = x * np.log(ratio * p) + (n - x) * np.log1p(-ratio * p)
            return -(chosen + rest_x * np.log(p) + (rest_n - rest_x) * np.log1p(-p))

        p = minimize_scalar(unlikely, bounds=(1e-12, most - 1e-12), method="bounded", options={"xatol": 1e-14}).x
        chi_squared = (x - n * ratio * p) ** 2 / (n * ratio * p * (1 - ratio * p))
        chi_squared += (rest_x - rest_n * p) ** 2 / (rest_n * p * (1 - p))
        assert chi_squared == pytest.approx(Z**2, rel=1e-4)


def test_with_many_errors_it_agrees_with_the_interval_of_the_logarithm() -> None:
    expected = relative_risk(2_000, 10_000, 3_000, 30_000).confidence_interval(0.95)
    assert interval(2_000, 10_000, 3_000, 30_000) == pytest.approx((expected.low, expected.high), rel=2e-3)


def test_the_interval_stands_where_counts_are_zero_or_full() -> None:
    low, high = interval(0, 30, 20, 100)
    assert low == 0 and 0 < high < 1
    low, high = interval(5, 30, 0, 100)
    assert low > 1 and high == np.inf
    low, high = interval(30, 30, 100, 100)
    assert low < 1 < high and high < 1.2


def test_swapping_both_sides_gives_the_reciprocal() -> None:
    low, high = interval(7, 60, 31, 400)
    assert interval(31, 400, 7, 60) == pytest.approx((1 / high, 1 / low))


def test_it_covers_the_true_ratio_in_95_of_100_draws() -> None:
    draw = np.random.default_rng(0)
    for n, rest_n, rate, ratio in [(60, 2_000, 0.08, 1.0), (60, 2_000, 0.08, 3.0), (500, 500, 0.1, 1.5)]:
        x, rest_x = draw.binomial(n, rate * ratio, 4_000), draw.binomial(rest_n, rate, 4_000)
        low, high = ratio_intervals(x, np.full(4_000, n), rest_x, np.full(4_000, rest_n))
        assert 0.93 <= np.mean((low <= ratio) & (ratio <= high)) <= 0.97


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ((0, 0, 100, 9), "no review is of this kind"),
        ((100, 9, 100, 9), "every review is of this kind"),
        ((10, 0, 100, 0), "no review was misread"),
        ((10, 3, 100, 3), "none of the rest was misread"),
    ],
)
def test_an_undefined_lift_has_a_reason_and_no_number(counts: tuple[int, ...], reason: str) -> None:
    lift = measure_lift(*counts)
    assert (lift.value, lift.low, lift.high) == (None, None, None) and reason in lift.reason
    assert not lift.is_more
    assert (lift.rate is None) == (counts[0] == 0)


def test_no_error_in_a_theme_is_a_lift_of_0() -> None:
    lift = measure_lift(20, 0, 200, 30)
    assert (lift.value, lift.low) == (0.0, 0.0) and lift.high is not None and not lift.is_more
