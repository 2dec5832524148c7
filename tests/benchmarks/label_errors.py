"""``python -m tests.benchmarks.label_errors [MODEL]``: whether the list of suspects finds labels that were flipped.

A model (the starter by default, a run of the preset fast) scores IMDB's 25,000 test reviews once; then 750 of their
labels are flipped by seed, 20 times over, and it is counted how many of the first 100 and 750 suspects are flipped
ones. What IMDB itself labels wrongly counts as a false alarm, so that the true precision is higher. Needs
REVIEWSCOPE_DATA.
"""

import sys
from dataclasses import replace

import numpy as np

from core.config import DataConfig
from core.data.sources import load_columns
from core.evaluation.selection import Results
from core.evaluation.suspects import rank_suspects
from core.prediction.predictor import Predictor

FLIPPED, DRAWS = 750, 20
LEAST = {100: 0.8, FLIPPED: 0.5}


def main() -> None:
    """Print the figures and whether the limits are kept."""
    results = score_imdb(sys.argv[1] if len(sys.argv) > 1 else "starter")
    found = [count_flipped(results, seed) for seed in range(DRAWS)]
    print(f"{len(results):,} reviews, accuracy {1 - results.wrong.mean():.4f}, {FLIPPED} labels flipped, {DRAWS} draws")
    is_kept = True
    for place, least in LEAST.items():
        shares = [each[place] for each in found]
        is_kept &= min(shares) >= least
        print(
            f"precision at {place}: mean {np.mean(shares):.3f}, worst draw {min(shares):.3f}; the limit is {least}, "
            f"chance {FLIPPED / len(results):.3f}"
        )
    sys.exit(not is_kept)


def score_imdb(model: str) -> Results:
    """Return a model's verdicts on IMDB's test split."""
    rows = load_columns(DataConfig())["test"]
    predictions = Predictor.load(model).predict(rows.texts)
    return Results(rows.labels, predictions.logits.astype(np.float64), predictions.probabilities)


def count_flipped(results: Results, seed: int) -> dict[int, float]:
    """Flip labels by seed; return which share of the first suspects they are, by how many are looked at."""
    is_flipped = np.zeros(len(results), np.bool_)
    is_flipped[np.random.default_rng(seed).permutation(len(results))[:FLIPPED]] = True
    labels = np.where(is_flipped, 1 - results.labels, results.labels)
    rows = rank_suspects(replace(results, labels=labels), "test").rows
    return {place: float(is_flipped[rows[:place]].sum() / place) for place in LEAST}


if __name__ == "__main__":
    main()
