"""Vectors of tokens, as a model's embedding starts from them, and the texts that they are learnt from."""

import numpy as np
from numpy.typing import NDArray

from core.models.catalog import MODELS
from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.vocabulary import PAD
from core.training.pretraining import Learnt, Task


def complete_vectors(vectors: NDArray[np.float32], known: NDArray[np.bool_], seed: int) -> Learnt:
    """Return what an embedding starts from: what is known, random vectors of like size for the rest, zero for padding.

    Args:
        vectors: float32 (ids, E).
        known: bool (ids); with none of them, the random ones are of size 1.
        seed: Of the draw.
    """
    spread = vectors[known].std() if known.any() else 1.0
    drawn = np.random.default_rng(seed).normal(0.0, spread, vectors.shape).astype(np.float32)
    completed = np.where(known[:, None], vectors, drawn)
    completed[PAD] = 0.0
    return {"vectors": completed}


def read_whole_texts(task: Task) -> EncodedTexts:
    """Return all texts as the model's tokens, their ends too, which the model itself may not read."""
    config = task.config
    preprocessing = config.preprocessing.model_copy(update={"max_length": None})
    unlimited = config.model_copy(update={"preprocessing": preprocessing})
    encoder = MODELS[config.model.kind].restore_encoder(task.encoder.arrays(), unlimited)
    return encoder.encode(task.texts)
