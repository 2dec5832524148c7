"""Where to cut: the errors of both kinds at every threshold, the best one for an aim, and a band of "not sure".

What is chosen here is chosen on validation reviews; test reviews are only measured.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intervals import f1_interval, wilson_interval
from core.evaluation.metrics import WILSON, Metric

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Aim = Literal["accuracy", "f1", "cost", "precision"]
BandAim = Literal["right", "share"]
STEPS = 1_000
# Thresholds that can be chosen: 0.001, 0.002 .. 0.999. A finer one would be of no use and could not be read.
CANDIDATES: Floats = np.arange(1, STEPS) / STEPS
HALF = STEPS // 2 - 1


@dataclass(frozen=True)
class Sweep:
    """The errors at each of the 999 ``CANDIDATES``.

    Attributes:
        false_positives: Negative reviews with a logit above the candidate's, int64 (999).
        false_negatives: Positive reviews with a logit at or below it, int64 (999).
        negatives: Reviews labelled negative.
        positives: Reviews labelled positive.
    """

    false_positives: Counts
    false_negatives: Counts
    negatives: int
    positives: int

    @property
    def true_positives(self) -> Counts:
        """Positive reviews read so, int64 (999)."""
        return self.positives - self.false_negatives


class Pick(NamedTuple):
    """A threshold, or the reason why there is none."""

    threshold: float | None
    reason: str = ""


class Band(NamedTuple):
    """A band: a probability from ``low`` to below ``high`` is not sure; or the reason why there is none."""

    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a threshold and a band come to on N reviews, each share with its Wilson interval.

    Attributes:
        n: Reviews.
        accuracy: Share of right verdicts, those not sure included.
        false_positives: Of the reviews labelled negative, the share read as positive.
        false_negatives: Of the reviews labelled positive, the share read as negative.
        precision: Of the reviews read as positive, the share labelled so.
        f1: Harmonic mean of precision and the share of positives found.
        not_sure: Share inside the band.
        rest: Share of right verdicts outside the band.
        counts: Reviews behind each share: how many, of how many.
    """

    n: int
    accuracy: Metric
    false_positives: Metric
    false_negatives: Metric
    precision: Metric
    f1: Metric
    not_sure: Metric
    rest: Metric
    counts: Mapping[str, tuple[int, int]]


def cut_of(threshold: float) -> float:
    """Return the logit of a threshold in (0, 1); exactly 0.0 at 0.5."""
    return math.log(threshold / (1 - threshold))


def sweep(labels: Counts, logits: NDArray[np.floating]) -> Sweep:
    """Count the errors of both kinds at each of ``CANDIDATES``.

    Args:
        labels: int64 (N), 0 or 1; N may be 0.
        logits: float (N), finite.
    """
    cuts = np.log(CANDIDATES / (1 - CANDIDATES))
    negative, positive = (np.sort(logits[labels == label].astype(np.float64)) for label in (0, 1))
    read_negative = np.searchsorted(negative, cuts, "right")
    missed = np.searchsorted(positive, cuts, "right")
    return Sweep(len(negative) - read_negative, missed, len(negative), len(positive))


def choose_threshold(found: Sweep, aim: Aim, value: float = 1.0) -> Pick:
    """Return the candidate that serves an aim best; of equally good ones that nearest to 0.5, then the lower.

    Args:
        found: Of the validation reviews.
        aim: "accuracy": most right verdicts. "f1": largest F1. "cost": least cost, where a false positive costs
            ``value`` times a false negative. "precision": most positives found, where at least the share ``value`` of
            the reviews read as positive is so.
        value: Of the aim, as it says; the others have none.
    """
    if not found.negatives or not found.positives:
        label = "positive" if found.positives else "negative" if found.negatives else "no"
        reviews = f"All its reviews are labelled {label}" if label != "no" else "It has no review"
        return Pick(None, f"{reviews}, and a threshold tells two labels apart.")
    worth = WORTH[aim](found, value)
    best = float(worth.max())
    if best == -math.inf:
        return Pick(None, f"No threshold reaches a precision of {100 * value:g} % on these reviews.")
    equal = np.flatnonzero(worth >= best - 1e-12 * max(1.0, abs(best)))
    return Pick(float(CANDIDATES[equal[np.argmin(np.abs(equal - HALF))]]))


def choose_band(labels: Counts, logits: NDArray[np.floating], threshold: float, aim: BandAim, value: float) -> Band:
    """Return the narrowest band around a threshold that serves an aim.

    A band reaches as far below the threshold as above it on the logit scale, so that what it leaves out is the least
    sure, as in the risk-coverage curve. Its ends are rounded to 0.001, and the aim is served with the rounded ends.

    Args:
        labels: int64 (N), 0 or 1.
        logits: float (N), finite.
        threshold: In (0, 1).
        aim: "right": outside the band at least the share ``value`` of the verdicts is right. "share": at least the
            share ``value`` of the reviews is inside.
        value: From 0 to 1.
    """
    if not len(labels):
        return Band(None, None, "It has no review.")
    lows, highs = _bands(threshold)
    scores = logits.astype(np.float64)
    right = (scores > cut_of(threshold)) == (labels == 1)
    inside = _inside(scores, lows, highs)
    outside = len(scores) - inside
    if aim == "share":
        serves = inside >= value * len(scores) - 1e-9
        reason = f"No band from 0.001 to 0.999 leaves out {100 * value:g} % of these reviews."
    else:
        right_outside = int(right.sum()) - _inside(scores[right], lows, highs)
        serves = (outside > 0) & (right_outside >= value * outside - 1e-9)
        reason = f"No band makes the rest of these reviews {100 * value:g} % right."
    places = np.flatnonzero(serves)
    return Band(float(lows[places[0]]), float(highs[places[0]])) if len(places) else Band(None, None, reason)


def measure(labels: Counts, logits: NDArray[np.floating], threshold: float, low: float, high: float) -> Outcome:
    """Return what a threshold and a band come to.

    Args:
        labels: int64 (N), 0 or 1; N may be 0.
        logits: float (N), finite.
        threshold: A verdict is positive above it.
        low: From here on a probability is not sure ...
        high: ... to below here.
    """
    scores = logits.astype(np.float64)
    read, positive = scores > cut_of(threshold), labels == 1
    not_sure = (scores >= cut_of(low)) & (scores < cut_of(high))
    right = read == positive
    counts = {
        "accuracy": (int(right.sum()), len(labels)),
        "false_positives": (int((read & ~positive).sum()), int((~positive).sum())),
        "false_negatives": (int((~read & positive).sum()), int(positive.sum())),
        "precision": (int((read & positive).sum()), int(read.sum())),
        "not_sure": (int(not_sure.sum()), len(labels)),
        "rest": (int((right & ~not_sure).sum()), int((~not_sure).sum())),
    }
    reasons = {
        "false_positives": "no review is labelled negative", "false_negatives": "no review is labelled positive",
        "precision": "no review was read as positive", "rest": "no review lies outside the band",
    }  # fmt: skip
    shares = {name: _share(*pair, reasons.get(name, "there is no review")) for name, pair in counts.items()}
    hits, errors = counts["precision"][0], counts["false_positives"][0] + counts["false_negatives"][0]
    return Outcome(n=len(labels), f1=_f1(hits, errors), counts=counts, **shares)


def _accuracy(found: Sweep, _: float) -> Floats:
    return -(found.false_positives + found.false_negatives).astype(np.float64)


def _f1_of(found: Sweep, _: float) -> Floats:
    hits = found.true_positives
    # At least one review is positive, so the denominator is never 0.
    value: Floats = 2 * hits / (2 * hits + found.false_positives + found.false_negatives)
    return value


def _cost(found: Sweep, ratio: float) -> Floats:
    return -(ratio * found.false_positives + found.false_negatives).astype(np.float64)


def _found_at_precision(found: Sweep, least: float) -> Floats:
    read = found.true_positives + found.false_positives
    reaches = (read > 0) & (found.true_positives >= least * read - 1e-9)
    return np.where(reaches, found.true_positives.astype(np.float64), -np.inf)


WORTH: Mapping[Aim, Callable[[Sweep, float], Floats]] = {
    "accuracy": _accuracy,
    "f1": _f1_of,
    "cost": _cost,
    "precision": _found_at_precision,
}


def _bands(threshold: float) -> tuple[Floats, Floats]:
    """Return the ends (K) of every band around a threshold, the narrowest first; the first is empty."""
    place = round(threshold * STEPS)
    below, above = np.arange(place, 0, -1) / STEPS, np.arange(place, STEPS) / STEPS
    pairs = {(low, _mirror(low, threshold)) for low in below.tolist()}
    pairs |= {(_mirror(high, threshold), high) for high in above.tolist()}
    pairs |= {(threshold, threshold)}
    # Rounding can turn two bands of equal reach around: a wider one holds the narrower.
    ordered = sorted(pairs, key=lambda pair: (pair[1] - pair[0], pair))
    lows = np.minimum.accumulate(np.array([low for low, _ in ordered]))
    highs = np.maximum.accumulate(np.array([high for _, high in ordered]))
    return lows, highs


def _mirror(end: float, threshold: float) -> float:
    """Return the other end of a band, as far from the threshold on the logit scale, among ``CANDIDATES``."""
    other = 1 / (1 + math.exp(cut_of(end) - 2 * cut_of(threshold)))
    return min(max(round(other * STEPS), 1), STEPS - 1) / STEPS


def _inside(scores: Floats, lows: Floats, highs: Floats) -> Counts:
    """Count the logits inside each of K bands, int64 (K)."""
    ordered = np.sort(scores)
    ends = [np.searchsorted(ordered, np.log(end / (1 - end)), "left") for end in (lows, highs)]
    inside: Counts = ends[1] - ends[0]
    return inside


def _share(part: int, whole: int, reason: str) -> Metric:
    if not whole:
        return Metric(None, None, None, f"undefined: {reason}")
    return Metric(part / whole, *wilson_interval(part, whole), WILSON)


def _f1(hits: int, errors: int) -> Metric:
    if not hits + errors:
        return Metric(None, None, None, "undefined: no review is labelled or read as positive")
    return Metric(2 * hits / (2 * hits + errors), *f1_interval(hits, errors), "Wilson interval, as F1")
