"""A small model of every kind: the table that the tests of all models share. A newcomer adds a line to ``SMALL``."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest

from core import settings
from core.config import (
    BiLSTMConfig,
    DocumentVectorsConfig,
    EnsembleConfig,
    ModelConfig,
    NgramConfig,
    PretrainedConfig,
    RunConfig,
    TransformerConfig,
    preset_config,
)
from core.files import write_bytes
from tests.pretrained import needs_extra, tiny_base
from tests.texts import BAD, GOOD, THINGS

CHANCE = 0.3  # of a value to be silenced: exact resume is hard only where something is drawn


def small(model: ModelConfig, rate: float = 0.03, **preprocessing: object) -> RunConfig:
    """Return the settings of a training of some seconds.

    Args:
        model: A small one.
        rate: The learning rate at which it learns 100 short reviews within 60 steps, and eight by heart in 150.
        preprocessing: What differs from the usual; every word is known.
    """
    return RunConfig.model_validate(
        {
            "preprocessing": {"min_frequency": 1, **preprocessing},
            "model": model.model_dump(),
            "training": {"epochs": 3, "batch_size": 16, "learning_rate": rate},
        }
    )


def lstm(layers: int = 1, **settings: object) -> BiLSTMConfig:
    """Return a BiLSTM of a few hundred numbers."""
    sizes = {"embedding_dim": 12, "hidden_size": 10, "num_layers": layers, "dropout": CHANCE}
    return BiLSTMConfig.model_validate({**sizes, **settings})


def transformer(layers: int = 1, **settings: object) -> TransformerConfig:
    """Return a Transformer of a few hundred numbers."""
    sizes = {"width": 12, "heads": 2, "num_layers": layers, "feed_forward": 16, "dropout": 0.1}
    return TransformerConfig.model_validate({**sizes, **settings})


def write_vectors() -> str:
    """Write vectors of the words of invented reviews, as wide as the small BiLSTM's, and return where they are."""
    draw = np.random.default_rng(0)
    words = [word for phrase in (*GOOD, *BAD, *THINGS, "the", "is", "and") for word in phrase.split()]
    path = settings.home() / "vectors.txt"
    lines = (f"{word} {' '.join(map(str, draw.normal(size=12).round(4)))}" for word in words)
    write_bytes(path, "\n".join(lines).encode())
    return str(path)


# Functions, so that a case may first write what it reads (a file of vectors, a folder of weights): called in a test.
SMALL: Mapping[str, Callable[[], RunConfig]] = {
    "bilstm": lambda: small(lstm(layers=2)),
    "bilstm_max": lambda: small(lstm(pooling="max")),
    "bilstm_attention": lambda: small(lstm(pooling="attention")),
    "bilstm_byte_pair": lambda: small(lstm(pooling="max"), tokens="byte-pair"),
    "bilstm_file": lambda: small(
        lstm(pooling="max", start="file", vectors_path=write_vectors(), freeze_embedding=True)
    ),
    "bilstm_language_model": lambda: small(lstm(layers=2, start="language_model")),
    "bilstm_word2vec": lambda: small(lstm(pooling="max", start="word2vec")),
    "document_vectors": lambda: small(
        DocumentVectorsConfig(width=64, ngrams=400, bucket_bits=12, min_reviews=1), rate=0.3
    ),
    "ensemble": lambda: small(
        EnsembleConfig(members=("fast", "compact")), **preset_config("fast").preprocessing.model_dump()
    ),
    "ngram": lambda: small(NgramConfig(bucket_bits=12, min_reviews=1)),
    "pretrained": lambda: small(
        PretrainedConfig(base=tiny_base(), dropout=CHANCE), rate=0.01, tokens="byte-pair", characters="punctuation"
    ),
    "transformer": lambda: small(transformer(layers=2), rate=0.02),
    "transformer_learnt": lambda: small(transformer(heads=3, positions="learnt", pooling="max")),
}

every_model = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_extra) if name == "pretrained" else name for name in SMALL]
)
