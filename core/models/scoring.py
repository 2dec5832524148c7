"""A model and encoded texts to logits."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

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
    device = next(model.parameters()).device
    logits = np.zeros(len(encoded), np.float32)
    with torch.inference_mode():
        for indices in length_sorted_batches(encoded.lengths, TOKENS_A_BATCH):
            batch = model.collate(encoded.take(indices)).to(device)
            logits[indices] = model(batch.token_ids, batch.lengths).cpu().numpy()
            if on_progress:
                on_progress(len(indices))
    return logits
