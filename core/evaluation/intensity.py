"""How a model's score, 0 to 1, goes with the stars that the reviews' authors gave."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import Z, mean_interval

SCORE_BINS = 20
FEWEST_PAIRS = 10
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Correlation:
    """A rank correlation.

    Attributes:
        value: -1 to 1; None when it is undefined, ``method`` then holds the reason.
        low: Lower end of the 95 % interval; None when there is none.
        high: Upper end.
        n: Pairs.
        method: How the interval was made.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    method: str


@dataclass(frozen=True)
class StarScores:
    """The scores of the reviews with one number of stars.

    Attributes:
        stars: 1 to 10.
        n: Reviews, at least 1.
        mean: Of their scores.
        low: Lower end of the normal interval of the mean, within 0 to 1; None for one review.
        high: Upper end.
        median: Of their scores.
        counts: Reviews by score in 20 bins of equal width from 0 to 1, int64 (20).
    """

    stars: int
    n: int
    mean: float
    low: float | None
    high: float | None
    median: float
    counts: Counts


@dataclass(frozen=True)
class Intensity:
    """How the scores of a split go with its stars.

    Attributes:
        correlation: Spearman's, of all reviews with stars.
        of_label: The same among the reviews labelled negative alone, and among those labelled positive alone.
        by_stars: For each number of stars that occurs, fewest first.
        without: Reviews that have no stars; they are left out.
    """

    correlation: Correlation
    of_label: tuple[Correlation, Correlation]
    by_stars: tuple[StarScores, ...]
    without: int


def judge_intensity(
    labels: Counts, logits: NDArray[np.floating], temperature: float, stars: NDArray[np.integer]
) -> Intensity:
    """Hold the scores of N reviews, logistic(logits / temperature), against their stars.

    The ranks are the logits', which are those of the scores without their rounding near 0 and 1. Where labels were made
    of stars, a model that tells the labels apart correlates with the stars by that alone; the correlations within each
    label say what it knows beyond.

    Args:
        labels: int64 (N), 0 or 1; N may be 0.
        logits: float (N), finite.
        temperature: Above 0.
        stars: Whole numbers (N), 0 for none.
    """
    scores = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64) / temperature))
    rated = stars > 0
    negative, positive = (rated & (labels == label) for label in (0, 1))
    return Intensity(
        spearman(logits[rated], stars[rated]),
        (spearman(logits[negative], stars[negative]), spearman(logits[positive], stars[positive])),
        tuple(scores_by_stars(scores, stars)),
        int((~rated).sum()),
    )


def spearman(scores: NDArray[np.floating], stars: NDArray[np.integer]) -> Correlation:
    """Return Spearman's rank correlation, equals sharing their mean rank.

    The interval is that of Bonett & Wright (2000, Psychometrika 65): Fisher's z = atanh(r) with the standard error
    sqrt((1 + r^2 / 2) / (n - 3)), carried back by tanh.

    Args:
        scores: float (N), finite.
        stars: Whole numbers (N).
    """
    n = len(scores)
    if n < FEWEST_PAIRS:
        return Correlation(None, None, None, n, f"undefined: it needs {FEWEST_PAIRS} reviews with stars")
    if len(np.unique(scores)) < 2 or len(np.unique(stars)) < 2:
        return Correlation(None, None, None, n, "undefined: it needs different scores and different stars")
    from scipy.stats import spearmanr  # takes a second to import, which only this function needs

    value = min(max(float(spearmanr(scores, stars).statistic), -1.0), 1.0)
    if abs(value) > 1 - 1e-12:
        return Correlation(value, value, value, n, "no spread: the order is the same throughout")
    half = Z * math.sqrt((1 + value**2 / 2) / (n - 3))
    low, high = math.tanh(math.atanh(value) - half), math.tanh(math.atanh(value) + half)
    return Correlation(value, low, high, n, "Bonett-Wright interval")


def scores_by_stars(scores: Floats, stars: NDArray[np.integer]) -> list[StarScores]:
    """Return mean, median and spread of the scores for each number of stars that occurs, fewest stars first.

    Args:
        scores: float64 (N), 0 to 1; N may be 0.
        stars: Whole numbers (N); 0 stands for none and is left out.
    """
    found = []
    for value in np.flatnonzero(np.bincount(stars)).tolist():
        if value == 0:
            continue
        chosen = scores[stars == value]
        low, high = mean_interval(chosen) if len(chosen) > 1 else (None, None)
        bins = np.clip((chosen * SCORE_BINS).astype(np.int64), 0, SCORE_BINS - 1)
        found.append(
            StarScores(
                stars=value, n=len(chosen), mean=float(chosen.mean()), median=float(np.median(chosen)),
                low=None if low is None else max(low, 0.0), high=None if high is None else min(high, 1.0),
                counts=np.bincount(bins, minlength=SCORE_BINS),
            )
        )  # fmt: skip
    return found
