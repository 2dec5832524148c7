"""A model and encoded texts to logits."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.base import SentimentModel
from core.preprocessing.batching import length_sorted_batches
from core.preprocessing.encoded import EncodedTexts

TOKENS_A_BATCH = 32_768


def score_texts(
    model: SentimentModel, encoded: EncodedTexts, on_progress: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Return the logits of N encoded texts, float32 (N), in their order.

    Texts of like length share a batch, so that little is spent on padding. The model must be in evaluation mode;
    nothing in it changes, so that several threads may score with one model.

    Args:
        model: On any device.
        encoded: N texts.
        on_progress: Called with the number of texts of each finished batch.
    """
    logits = np.zeros(len(encoded), np.float32)
    for indices, found in _run_batches(model, model, encoded, on_progress):
        logits[indices] = found
    return logits


def represent_texts(
    model: SentimentModel, encoded: EncodedTexts, on_progress: Callable[[int], None] | None = None
) -> NDArray[np.float32]:
    """Return what the model's last layer reads of N encoded texts, float32 (N, D); all else as ``score_texts``."""
    rows: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = list(
        _run_batches(model, model.represent, encoded, on_progress)
    )
    vectors = np.zeros((len(encoded), rows[0][1].shape[1] if rows else 0), np.float32)
    for indices, found in rows:
        vectors[indices] = found
    return vectors


def _run_batches(
    model: SentimentModel,
    read: Callable[[Tensor, Tensor], Tensor],
    encoded: EncodedTexts,
    on_progress: Callable[[int], None] | None,
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Give the texts of each batch, and what ``read`` makes of them."""
    device = next(model.parameters()).device
    for indices in length_sorted_batches(encoded.lengths, TOKENS_A_BATCH):
        with torch.inference_mode():
            batch = model.collate(encoded.take(indices)).to(device)
            found = read(batch.token_ids, batch.lengths).cpu().numpy()
        yield indices, found
        if on_progress:
            on_progress(len(indices))
