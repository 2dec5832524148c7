"""What charts of a split's results are drawn from: bins of confidence, and the ROC and precision-recall curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import Z

BINS = 20
MOST_POINTS = 500
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class ConfidenceBins:
    """Reviews by confidence, in 20 bins of equal width from 0.5 to 1.

    Attributes:
        edges: float64 (21).
        right: Reviews read right, int64 (20).
        wrong: Reviews read wrong, int64 (20).
        share_wrong: float64 (20), NaN where a bin is empty; so are ``low`` and ``high``.
        low: Lower end of the Wilson interval of the share wrong.
        high: Upper end.
    """

    edges: Floats
    right: Counts
    wrong: Counts
    share_wrong: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True)
class Curve:
    """A curve over all thresholds, thinned to at most 500 points (P); ``x`` never falls.

    Attributes:
        x: ROC: false positive rate. Precision-recall: recall. float64 (P), as are the rest.
        y: ROC: recall. Precision-recall: precision.
        low: Lower end of y's Wilson interval at each point.
        high: Upper end.
        thresholds: Probability above or at which a review counts as positive there.
        base: What a model that knows nothing reaches in precision: the share of positives.
        used: (x, y) of the verdicts in use, or None where y is undefined.
    """

    x: Floats
    y: Floats
    low: Floats
    high: Floats
    thresholds: Floats
    base: float
    used: tuple[float, float] | None


def bin_edges() -> Floats:
    """Return the ends of the bins of confidence, float64 (21)."""
    return 0.5 + np.arange(BINS + 1) / (2 * BINS)


def confidence_bin(confidences: Floats) -> Counts:
    """Return the bin, 0 to 19, of each confidence; a value on an edge belongs to the bin above it, 1.0 to the last."""
    return np.clip(np.searchsorted(bin_edges(), confidences, "right") - 1, 0, BINS - 1).astype(np.int64)


def count_by_confidence(confidences: Floats, wrong: NDArray[np.bool_]) -> ConfidenceBins:
    """Count right and wrong verdicts by confidence.

    Args:
        confidences: float64 (N), 0.5 to 1; N may be 0.
        wrong: bool (N).
    """
    bins = confidence_bin(confidences)
    of_all, of_wrong = np.bincount(bins, minlength=BINS), np.bincount(bins[wrong], minlength=BINS)
    low, high = wilson_intervals(of_wrong, of_all)
    return ConfidenceBins(bin_edges(), of_all - of_wrong, of_wrong, _share(of_wrong, of_all), low, high)


def roc_curve(labels: Counts, logits: Floats, cut: float = 0.0) -> Curve | None:
    """Return recall over the false positive rate, from (0, 0) to (1, 1); None when a label is missing.

    Args:
        labels: int64 (N), 0 or 1.
        logits: float64 (N).
        cut: The verdict in use is positive where the logit is above it.
    """
    positives, negatives = int(labels.sum()), int(len(labels) - labels.sum())
    if not positives or not negatives:
        return None
    true, false, thresholds = _count_above(labels, logits)
    true, false = np.append(0, true), np.append(0, false)
    thresholds = np.append(1.0, thresholds)  # where nothing counts as positive
    x, y = false / negatives, true / positives
    low, high = wilson_intervals(true, np.full(len(true), positives))
    read = logits > cut
    used = float(read[labels == 0].mean()), float(read[labels == 1].mean())
    keep = _thin(x, y)
    return Curve(x[keep], y[keep], low[keep], high[keep], thresholds[keep], positives / len(labels), used)


def precision_recall_curve(labels: Counts, logits: Floats, cut: float = 0.0) -> Curve | None:
    """Return precision over recall; None when no review is labelled positive. Arguments as ``roc_curve``."""
    positives = int(labels.sum())
    if not positives:
        return None
    true, false, thresholds = _count_above(labels, logits)
    x, y = true / positives, true / (true + false)
    low, high = wilson_intervals(true, true + false)
    read = logits > cut
    used = (float(read[labels == 1].mean()), float(labels[read].mean())) if read.any() else None
    keep = _thin(x, y)
    return Curve(x[keep], y[keep], low[keep], high[keep], thresholds[keep], positives / len(labels), used)


def wilson_intervals(successes: Counts, n: Counts) -> tuple[Floats, Floats]:
    """Return the Wilson score intervals of proportions, elementwise; NaN where n is 0. See ``wilson_interval``."""
    share, n = _share(successes, n), np.where(n > 0, n, 1)
    centre = share + Z**2 / (2 * n)
    half = Z * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    scale = 1 + Z**2 / n
    low, high = (centre - half) / scale, (centre + half) / scale
    return np.where(share == 0, 0.0, low), np.where(share == 1, 1.0, high)


def _share(part: Counts, whole: Counts) -> Floats:
    share: Floats = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return share


def _count_above(labels: Counts, logits: Floats) -> tuple[Counts, Counts, Floats]:
    """Return true positives, false positives and probability at each distinct logit as threshold, highest first."""
    order = np.argsort(-logits, kind="stable")
    ordered = logits[order]
    last = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    true = np.cumsum(labels[order])[last]
    return true, last + 1 - true, np.exp(-np.logaddexp(0.0, -ordered[last]))


def _thin(x: Floats, y: Floats) -> Counts:
    """Return at most 500 places, evenly spread along the curve, its ends among them."""
    if len(x) <= MOST_POINTS:
        return np.arange(len(x))
    way = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    places = np.searchsorted(way, np.linspace(0.0, way[-1], MOST_POINTS - 1)).clip(max=len(x) - 1)
    # The way along flat ends may be rounded, so the ends are named.
    return np.array(sorted({0, *places.tolist(), len(x) - 1}), np.int64)
