"""A model and encoded texts to logits."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.base import SentimentModel, VectorModel
from core.models.ensemble import EnsembleModel
from core.preprocessing.batching import length_sorted_batches
from core.preprocessing.encoded import EncodedTexts

TOKENS_A_BATCH = 32_768
TOKENS_A_PADDED_BATCH = 8_192  # what a core's own cache holds the states of

Scored = tuple[NDArray[np.int64], NDArray[np.float32]]


def score_texts(
    model: SentimentModel, encoded: EncodedTexts, on_progress: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Return the logits of N encoded texts, float32 (N), in their order.

    Texts of like length share a batch, so that little is spent on padding; on a CPU each core reads batches of its own.
    The model must be in evaluation mode; nothing in it changes, so that several threads may score with one model.

    Args:
        model: On any device.
        encoded: N texts.
        on_progress: Called with the number of texts of each finished batch.
    """
    if isinstance(model, EnsembleModel):
        return _read_members(model, score_texts, model.combine, encoded, on_progress)
    logits = np.zeros(len(encoded), np.float32)
    for indices, found in _run_batches(model, model, encoded, on_progress):
        logits[indices] = found
    return logits


def represent_texts(
    model: SentimentModel, encoded: EncodedTexts, on_progress: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Return what the model's last layer reads of N encoded texts, float32 (N, D); all else as ``score_texts``."""
    if isinstance(model, EnsembleModel):
        return _read_members(model, represent_texts, model.combine_representations, encoded, on_progress)
    rows: list[Scored] = list(_run_batches(model, model.represent, encoded, on_progress))
    vectors = np.zeros((len(encoded), rows[0][1].shape[1] if rows else 0), np.float32)
    for indices, found in rows:
        vectors[indices] = found
    return vectors


def _read_members(
    model: EnsembleModel,
    read: Callable[[SentimentModel, EncodedTexts, Callable[[int], None]], NDArray[np.float32]],
    combine: Callable[[Sequence[Tensor]], Tensor],
    encoded: EncodedTexts,
    on_progress: Callable[[int], None] | None,
) -> NDArray[np.float32]:
    """Read with each member in batches of its own: a text that is long to one is short to another."""
    reading, done = len(model.models), 0

    def count(texts: int) -> None:
        nonlocal done
        before, done = done, done + texts
        if on_progress and (whole := done // reading - before // reading):
            on_progress(whole)

    parts = zip(model.models, model.split(encoded), strict=True)
    found = [torch.from_numpy(read(member, part, count)) for member, part in parts]
    with torch.inference_mode():
        return combine([each.to(model.weights.device) for each in found]).cpu().numpy()


def _run_batches(
    model: SentimentModel,
    read: Callable[[Tensor, Tensor], Tensor],
    encoded: EncodedTexts,
    on_progress: Callable[[int], None] | None,
) -> Iterator[Scored]:
    """Give the texts of each batch, and what ``read`` makes of them."""
    device = next(model.parameters()).device
    tokens = TOKENS_A_PADDED_BATCH if device.type == "cpu" and isinstance(model, VectorModel) else TOKENS_A_BATCH
    batches = list(length_sorted_batches(encoded.lengths, tokens))

    def run(indices: NDArray[np.int64]) -> Scored:
        with torch.inference_mode():
            batch = model.collate(encoded.take(indices)).to(device)
            return indices, read(batch.token_ids, batch.lengths).cpu().numpy()

    threads = min(torch.get_num_threads(), len(batches)) if device.type == "cpu" else 1
    for scored in _run_in_threads(run, batches, threads) if threads > 1 else map(run, batches):
        yield scored
        if on_progress:
            on_progress(len(scored[0]))


def _run_in_threads(
    run: Callable[[NDArray[np.int64]], Scored], batches: Sequence[NDArray[np.int64]], threads: int
) -> Iterator[Scored]:
    """Run batches side by side, each in one thread, and give them in order.

    The threads of one batch would wait for each other at every step of an LSTM: side by side, 1.6 times as many reviews
    were scored on two cores.
    """
    before, has_begun = torch.get_num_threads(), Barrier(threads + 1)

    def begin() -> None:
        torch.get_num_threads()  # a thread's first look sets its number, which must not come after ours
        torch.set_num_threads(1)
        has_begun.wait()

    pool = ThreadPoolExecutor(threads, initializer=begin)
    try:
        scored = [pool.submit(run, indices) for indices in batches]
        has_begun.wait()
        torch.set_num_threads(before)  # of every thread but those of the pool
        for each in scored:
            yield each.result()
    finally:
        pool.shutdown(cancel_futures=True)
