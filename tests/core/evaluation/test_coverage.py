"""In a world whose true figures are known, the 95 % intervals hold them in about 95 of 100 samples."""

import sys
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from core.evaluation.calibration import reliability
from core.evaluation.curves import BINS, bin_edges
from core.evaluation.metrics import METRICS, Scored, count_confusion

DRAWS, REVIEWS = 1_000, 500
GRID = np.linspace(-12, 12, 480_001)
REQUIRED = ("accuracy", "f1", "roc_auc", "bins")


@dataclass(frozen=True)
class World:
    """Scores are normal around half the distance for positives and around minus it for negatives.

    Attributes:
        distance: Between the two means, in standard deviations.
        sureness: 1 makes the probabilities of balanced labels honest; above it the model is too sure.
        positive: Share labelled positive.
    """

    distance: float
    sureness: float
    positive: float

    def draw(self, draw: np.random.Generator) -> Scored:
        labels = (draw.random(REVIEWS) < self.positive).astype(np.int64)
        logits = self.distance * self.sureness * draw.normal((2 * labels - 1) * self.distance / 2)
        return Scored(labels, logits, count_confusion(labels, logits))

    @property
    def bins(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return of each bin of confidence how much of the world lies there, and the share read right."""
        edges = bin_edges()[:-1]
        scores = np.append(np.log(edges / (1 - edges)) / (self.distance * self.sureness), np.inf)
        right, wrong = (np.diff(norm.cdf(scores + side * self.distance / 2)) for side in (-1, 1))
        return right + wrong, right / (right + wrong)

    @property
    def truth(self) -> dict[str, float]:
        half, step = self.distance / 2, GRID[1] - GRID[0]
        right = norm.cdf(half)
        found, errors = self.positive * right, 1 - right
        above = {label: norm.sf(GRID + side * half) for label, side in ((1, -1), (0, 1))}
        density = {label: norm.pdf(GRID + side * half) * step for label, side in ((1, -1), (0, 1))}
        precision = self.positive * above[1] / (self.positive * above[1] + (1 - self.positive) * above[0])
        logits = self.distance * self.sureness * GRID
        mixed = self.positive * density[1] + (1 - self.positive) * density[0]
        confidences = 1 / (1 + np.exp(-np.abs(logits)))
        places = np.clip(((confidences - 0.5) * 2 * BINS).astype(int), 0, BINS - 1)
        share, accuracy = self.bins
        means = np.bincount(places, mixed * confidences, BINS) / np.bincount(places, mixed, BINS)
        return {
            "accuracy": right,
            "f1": 2 * found / (2 * found + errors),
            "roc_auc": norm.cdf(self.distance / 2**0.5),
            "average_precision": float((density[1] * precision).sum()),
            "log_loss": float((density[1] * np.logaddexp(0, -logits)).sum()),
            "brier": float((density[1] / (1 + np.exp(logits)) ** 2).sum()),
            "ece": float((share * np.abs(accuracy - means)).sum()),
        }


WORLDS = {
    "honest": World(2.56, 1.0, 0.5),
    "too sure": World(2.0, 1.5, 0.5),
    "unbalanced": World(2.56, 1.0, 0.3),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_the_intervals_hold_the_truth_in_93_to_97_of_100_samples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    world, draw = WORLDS[name], np.random.default_rng(0)
    truth, (_, shares) = world.truth, world.bins
    held = dict.fromkeys(truth, 0)
    filled, held_by_bin = np.zeros(BINS), np.zeros(BINS)
    for _ in range(DRAWS):
        scored = world.draw(draw)
        for figure, value in truth.items():
            metric = METRICS[figure].compute(scored)
            assert metric.low is not None and metric.high is not None
            held[figure] += metric.low <= value <= metric.high
        found = reliability(scored.labels, scored.logits)
        filled += found.n > 0
        held_by_bin += np.nan_to_num(found.low, nan=2.0) <= shares
        held_by_bin -= found.high < shares
    coverage = {figure: count / DRAWS for figure, count in held.items()}
    coverage["bins"] = float(held_by_bin.sum() / filled.sum())
    with capsys.disabled():
        figures = ", ".join(f"{figure} {100 * share:.1f}" for figure, share in coverage.items())
        by_bin = " ".join(f"{100 * share:.0f}" for share in held_by_bin / filled)
        print(f"\n{name}: covered in % of {DRAWS:,} draws of {REVIEWS}: {figures}; by bin {by_bin}", file=sys.stderr)
    assert {figure: coverage[figure] for figure in REQUIRED if not 0.93 <= coverage[figure] <= 0.97} == {}
    assert min(coverage.values()) >= 0.92, "those that nothing is promised of are near"
