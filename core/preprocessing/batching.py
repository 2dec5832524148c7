"""Which texts share a batch."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

POOL_BATCHES = 50
LARGEST_BATCH = 1_024


def epoch_batches(lengths: NDArray[np.int64], batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """Return one epoch's batches: every text once, texts of like length together, in an order drawn anew each epoch.

    The texts are shuffled, cut into pools of 50 batches, sorted by length inside each pool, cut into batches, and the
    batches are shuffled. The result depends on nothing but the arguments, so that a resumed run finds its place.

    Args:
        lengths: Tokens of each text, int64 (N).
        batch_size: Texts in a batch; the last one may hold fewer.
        seed: The run's seed.
        epoch: From 1.

    Returns:
        Arrays of text indices, int64 (B) each.
    """
    draw = np.random.default_rng([seed, epoch])
    order = draw.permutation(len(lengths))
    pool = batch_size * POOL_BATCHES
    batches = []
    for start in range(0, len(order), pool):
        members = order[start : start + pool]
        members = members[np.argsort(lengths[members], kind="stable")]
        batches += [members[i : i + batch_size] for i in range(0, len(members), batch_size)]
    return [batches[i] for i in draw.permutation(len(batches))]


def length_sorted_batches(lengths: NDArray[np.int64], tokens: int) -> Iterator[NDArray[np.int64]]:
    """Yield index batches, longest texts first, each of at most ``tokens`` padded tokens (at least one text)."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = max(int(lengths[order[start]]), 1)
        count = min(max(tokens // longest, 1), LARGEST_BATCH)
        yield order[start : start + count]
        start += count
