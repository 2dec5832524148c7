"""A whole epoch of the script's network on the real data, three ways, in turns of some steps so that noise hits all.

``python -m tests.benchmarks.epoch [steps]``: ``classic`` in fp32 and in bf16, and a loop that pads every review to 256
words as anybody would write it. All three flush denormal numbers. Printed: reviews per second, how many times faster
than the padded loop (the median over turns and its quartiles), and the share of the machine's measured matmul peak.
"""

import sys
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.config import DataConfig, preset_config
from core.data.labelled import cut_stratified
from core.data.sources import load_columns
from core.models.catalog import build_model, fit_encoder
from core.preprocessing.batching import epoch_batches
from core.training.trainer import prepare_torch
from tests.benchmarks.lstm_step import LENGTH, PaddedLSTM, timed_step

TURN = 11
# Multiplications and additions of forward and backward (twice the forward) for one token through both layers and
# directions: four gates of 256 units that read 128 + 256 numbers, then 512 + 256.
FLOP_PER_TOKEN = 3 * 2 * 2 * 4 * 256 * ((128 + 256) + (512 + 256))


@dataclass
class Way:
    """One way to train, and what it took."""

    name: str
    model: nn.Module
    is_padded: bool
    dtype: torch.dtype
    seconds: list[float] = field(default_factory=list)
    tokens: int = 0

    def __post_init__(self) -> None:
        self.optimizer = torch.optim.Adam(self.model.parameters(), fused=not self.is_padded)


def main(steps: int | None) -> None:
    """Run the epoch and print the table."""
    prepare_torch(0)
    config = preset_config("classic")
    train = load_columns(DataConfig())["train"]
    rows, _ = cut_stratified(train.labels, config.data.validation_fraction, 0)
    encoder = fit_encoder(train.texts, config)
    encoded = encoder.encode(train.take(rows).texts)
    labels = torch.from_numpy(train.labels[rows].astype(np.float32))
    ways = [
        Way("classic, fp32", build_model(config, encoder), False, torch.float32),
        Way("classic, bf16", build_model(config, encoder), False, torch.bfloat16),
        Way("padded to 256, fp32", PaddedLSTM(), True, torch.float32),
    ]
    collate = build_model(config, encoder).collate
    peaks = {torch.float32: [0.0], torch.bfloat16: [0.0]}
    batches = epoch_batches(encoded.lengths, config.training.batch_size, seed=0, epoch=1)[:steps]
    turns = [batches[start : start + TURN] for start in range(0, len(batches), TURN)]
    for turn, indices_of_turn in enumerate(turns):
        for dtype, found in peaks.items():
            found.append(matmul_flops(dtype))
        for way in ways:
            took = sum(step(way, collate(encoded.take(indices)), labels, indices) for indices in indices_of_turn)
            way.seconds.append(took)
        print(f"turn {turn + 1} of {len(turns)}", file=sys.stderr, flush=True)
    reviews = sum(len(batch) for batch in batches)
    padded = np.array(ways[2].seconds)
    for way in ways:
        spent = np.array(way.seconds)
        low, middle, high = np.quantile(padded / spent, [0.25, 0.5, 0.75])
        achieved = way.tokens * FLOP_PER_TOKEN / spent.sum()
        print(
            f"{way.name:<20} {reviews / spent.sum():7.1f} reviews/s  {padded.sum() / spent.sum():5.2f} times the padded "
            f"loop (turns: {middle:.2f}, {low:.2f} to {high:.2f})  {achieved / 1e9:6.1f} GFLOP/s, "
            f"{achieved / np.median(peaks[way.dtype][1:]):.0%} of the matmul peak {np.median(peaks[way.dtype][1:]) / 1e9:.0f}"
        )


def step(way: Way, batch: object, labels: torch.Tensor, indices: NDArray[np.int64]) -> float:
    """Train one batch and return its seconds."""
    token_ids, lengths = batch  # type: ignore[misc]
    inputs: tuple[torch.Tensor, ...] = (token_ids, lengths)
    if way.is_padded:
        wide = torch.zeros(len(indices), LENGTH, dtype=torch.int64)
        wide[:, : token_ids.shape[1]] = token_ids
        inputs = (wide,)
    way.tokens += inputs[0].numel()

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=way.dtype == torch.bfloat16):
            return way.model(*inputs).float()

    return timed_step(forward, labels[torch.from_numpy(indices)], way.optimizer)


def matmul_flops(dtype: torch.dtype, size: int = 2_048) -> float:
    """Return the floating-point operations a second of a large matrix product, the best of three."""
    left, right = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        left @ right
        seconds.append(time.perf_counter() - began)
    return 2 * size**3 / min(seconds)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else None)
