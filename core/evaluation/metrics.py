"""The figures of a binary classifier, each with a 95 % interval and its method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.calibration import error_interval, reliability
from core.evaluation.intervals import auc_interval, f1_interval, mean_interval, precision_interval, wilson_interval

WILSON = "Wilson score interval"


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        value: None when it is undefined; ``method`` then holds the reason.
        low: Lower end of the 95 % interval, None when undefined.
        high: Upper end.
        method: How the interval was made.
    """

    value: float | None
    low: float | None
    high: float | None
    method: str


@dataclass(frozen=True)
class Confusion:
    """Counts by label and verdict."""

    true_negatives: int
    false_positives: int
    false_negatives: int
    true_positives: int

    @property
    def n(self) -> int:
        """All reviews."""
        return self.true_negatives + self.false_positives + self.false_negatives + self.true_positives


@dataclass(frozen=True)
class Scored:
    """Labels and scores of the same N reviews.

    Attributes:
        labels: int64 (N), 0 or 1.
        logits: float64 (N).
        confusion: At the cut, by default logit 0, probability 0.5; exactly there the verdict is negative, as in the
            script.
    """

    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    confusion: Confusion


@dataclass(frozen=True)
class MetricEntry:
    """A row of ``METRICS``: its title, how to compute it, and which direction is better."""

    title: str
    compute: Callable[[Scored], Metric]
    higher_is_better: bool = True


def evaluate_logits(
    labels: NDArray[np.int64], logits: NDArray[np.floating], cut: float = 0.0
) -> tuple[dict[str, Metric], Confusion]:
    """Return every metric by name, and the confusion counts.

    Args:
        labels: int64 (N), 0 or 1; N may be 0, then every metric is undefined.
        logits: float (N), finite.
        cut: The verdict is positive where the logit is above it. It moves the counts, accuracy, precision, recall and
            F1; the others judge the scores themselves.
    """
    scores = logits.astype(np.float64)
    scored = Scored(labels, scores, count_confusion(labels, scores, cut))
    return {name: entry.compute(scored) for name, entry in METRICS.items()}, scored.confusion


def count_confusion(labels: NDArray[np.int64], logits: NDArray[np.floating], cut: float = 0.0) -> Confusion:
    """Count the reviews by label and verdict (positive where the logit is above the cut)."""
    counts = np.bincount(2 * labels + (logits > cut), minlength=4)
    return Confusion(*(int(count) for count in counts))


def binary_losses(labels: NDArray[np.int64], logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each review's log loss, -log of the probability given to its label, float64 (N)."""
    return np.logaddexp(0.0, np.where(labels == 1, -logits, logits))


def accuracy(scored: Scored) -> Metric:
    """Share of right verdicts."""
    c = scored.confusion
    return _proportion(c.true_negatives + c.true_positives, c.n, "there is no review")


def precision(scored: Scored) -> Metric:
    """Of the reviews read as positive, the share labelled so."""
    c = scored.confusion
    return _proportion(c.true_positives, c.true_positives + c.false_positives, "no review was read as positive")


def recall(scored: Scored) -> Metric:
    """Of the reviews labelled positive, the share read so."""
    c = scored.confusion
    return _proportion(c.true_positives, c.true_positives + c.false_negatives, "no review is labelled positive")


def f1(scored: Scored) -> Metric:
    """Harmonic mean of precision and recall."""
    c = scored.confusion
    errors = c.false_positives + c.false_negatives
    if c.true_positives + errors == 0:
        return _undefined("no review is labelled or read as positive")
    value = 2 * c.true_positives / (2 * c.true_positives + errors)
    return Metric(value, *f1_interval(c.true_positives, errors), "Wilson score interval of TP / (TP + FP + FN), as F1")


def roc_auc(scored: Scored) -> Metric:
    """Share of (positive, negative) pairs in which the positive one scores higher; ties count half."""
    positives = np.sort(scored.logits[scored.labels == 1])
    negatives = np.sort(scored.logits[scored.labels == 0])
    if not len(positives) or not len(negatives):
        return _undefined("it needs both labels")
    positive_shares = _share_below(positives, negatives)
    negative_shares = 1 - _share_below(negatives, positives)
    area = float(positive_shares.mean())
    return Metric(area, *auc_interval(area, positive_shares, negative_shares), "DeLong, on the logit scale")


def average_precision(scored: Scored) -> Metric:
    """Mean of the precision at each positive's own score as threshold; ties share one threshold.

    The influence of review i is, for a positive, how its own precision differs from the mean, by the share of
    positives; and, for every review, how the precision at all thresholds up to its score would rise or fall by it.
    """
    n, positives = len(scored.labels), int(scored.labels.sum())
    if not 0 < positives < n:
        return _undefined("it needs both labels")
    order = np.argsort(-scored.logits, kind="stable")
    labels, logits = scored.labels[order], scored.logits[order]
    last = np.append(np.flatnonzero(np.diff(logits)), n - 1)  # of the reviews at each threshold
    true, above = np.cumsum(labels)[last], last + 1
    precisions, weights = true / above, np.diff(np.append(0, true)) / positives
    value = min(float((weights * precisions).sum()), 1.0)
    place = np.searchsorted(last, np.arange(n))
    rise, fall = (n * np.cumsum((weights * others / above**2)[::-1])[::-1][place] for others in (above - true, true))
    influences = np.where(labels == 1, (precisions[place] - value) * n / positives + rise, -fall)
    return Metric(value, *precision_interval(value, influences, positives), "delta method, on the logit scale")


def log_loss(scored: Scored) -> Metric:
    """Mean of -log of the probability given to the label."""
    losses = binary_losses(scored.labels, scored.logits)
    if len(losses) < 2:
        return _undefined("it needs two reviews")
    low, high = mean_interval(losses)
    return Metric(float(losses.mean()), max(low, 0.0), high, "normal interval of the mean")


def brier(scored: Scored) -> Metric:
    """Mean of the squared distance from the probability of positive to the label (Brier 1950)."""
    if len(scored.labels) < 2:
        return _undefined("it needs two reviews")
    distances = np.exp(-np.logaddexp(0.0, np.where(scored.labels == 1, scored.logits, -scored.logits)))
    low, high = mean_interval(distances**2)
    return Metric(float((distances**2).mean()), max(low, 0.0), min(high, 1.0), "normal interval of the mean")


def calibration_error(scored: Scored) -> Metric:
    """How far the confidence lies from the share right, bin by bin; biased upward, the more so the fewer reviews."""
    if not len(scored.labels):
        return _undefined("there is no review")
    found = reliability(scored.labels, scored.logits)
    return Metric(
        found.error,
        *error_interval(found),
        "bootstrap of the 20 bins, inverted; with few reviews the value itself is too high",
    )


METRICS: Mapping[str, MetricEntry] = {
    "accuracy": MetricEntry("Accuracy", accuracy),
    "precision": MetricEntry("Precision", precision),
    "recall": MetricEntry("Recall", recall),
    "f1": MetricEntry("F1", f1),
    "roc_auc": MetricEntry("ROC AUC", roc_auc),
    "average_precision": MetricEntry("Average precision", average_precision),
    "log_loss": MetricEntry("Log loss", log_loss, higher_is_better=False),
    "brier": MetricEntry("Brier score", brier, higher_is_better=False),
    "ece": MetricEntry("Calibration error", calibration_error, higher_is_better=False),
}


def _proportion(successes: int, n: int, reason: str) -> Metric:
    if n == 0:
        return _undefined(reason)
    return Metric(successes / n, *wilson_interval(successes, n), WILSON)


def _undefined(reason: str) -> Metric:
    return Metric(None, None, None, f"undefined: {reason}")


def _share_below(values: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return for each value the share of ``others`` (sorted) below it, ties half."""
    below = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return below / (2 * len(others))
