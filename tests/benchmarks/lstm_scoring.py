"""Print how many reviews a second the script's network scores: as the project does, and in a plain padded loop.

Both begin with token ids and use the same weights' shapes; in turns, so that noise hits both alike.
"""

import os
import time
from collections.abc import Callable
from statistics import median

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch is imported, as python -m core does

import numpy as np
import torch

from core.config import DataConfig, preset_config
from core.data.sources import load_columns
from core.models.catalog import build_model, fit_encoder
from core.models.scoring import score_texts
from core.preprocessing.encoded import EncodedTexts
from tests.benchmarks.lstm_step import LENGTH, PaddedLSTM

REVIEWS = 1_000  # a chunk of a bulk job
ROUNDS = 5
BATCH = 64


def main() -> None:
    """Print both speeds and the ratio, median and range of the turns."""
    config = preset_config("classic")
    splits = load_columns(DataConfig())
    encoder = fit_encoder(splits["train"].texts, config)
    rows = np.random.default_rng(0).permutation(len(splits["test"]))[:REVIEWS]
    encoded = encoder.encode(splits["test"].texts.take(rows))
    ours, padded = build_model(config, encoder).eval(), PaddedLSTM().eval()
    ways: dict[str, Callable[[], object]] = {
        "Reviewscope (batches of like length, side by side)": lambda: score_texts(ours, encoded),
        f"padded to {LENGTH}, batch {BATCH}": lambda: score_padded(padded, encoded),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, score in ways.items():
            began = time.perf_counter()
            score()
            seconds[way].append(time.perf_counter() - began)
    ours_first, theirs = seconds.values()
    ratios = [their / our for our, their in zip(ours_first, theirs, strict=True)]
    print(f"\n{'scoring with the script’s network':<52}{'reviews/s':>10}{'is faster by':>22}")
    for way, taken in seconds.items():
        print(f"{way:<52}{REVIEWS / median(taken):>10.1f}", end="")
        print(f"{median(ratios):>8.2f} ({min(ratios):.2f} to {max(ratios):.2f})" if taken is ours_first else "")


def score_padded(model: PaddedLSTM, encoded: EncodedTexts) -> list[torch.Tensor]:
    """Score batches in the order of the rows, every review padded to the greatest length, as anybody would write it."""
    found = []
    for start in range(0, len(encoded), BATCH):
        batch = encoded.take(np.arange(start, min(start + BATCH, len(encoded))))
        token_ids = np.zeros((len(batch), LENGTH), np.int64)
        token_ids[np.arange(LENGTH) < batch.lengths[:, None]] = batch.token_ids
        with torch.no_grad():
            found.append(model(torch.from_numpy(token_ids)))
    return found


if __name__ == "__main__":
    main()
