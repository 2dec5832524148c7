"""``MODELS``, the table of all models; a new one is a file and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import torch

from core.config import RunConfig
from core.models.base import SentimentModel
from core.models.bilstm import BiLSTM
from core.models.ngram import NgramModel
from core.preprocessing.encoders import Arrays, Encoder, WordEncoder
from core.preprocessing.ngrams import NgramEncoder


class Sized(Protocol):
    """Whatever has a number of ids: an encoder, or what stands for one before any data is read."""

    @property
    def size(self) -> int:
        """Return how many ids exist, padding included."""


@dataclass(frozen=True)
class LargestEncoder:
    """Stands for the largest encoder that the settings allow."""

    size: int


@dataclass(frozen=True)
class ModelEntry:
    """How a kind of model is made.

    Attributes:
        build: (model config, its encoder) -> a model with random weights drawn from torch's generator.
        fit_encoder: (training texts, run config) -> its encoder.
        restore_encoder: (arrays from a model file, run config) -> the same encoder.
        largest_size: run config -> the most ids its encoder can have, for a description before any data is read.
    """

    build: Callable[[Any, Sized], SentimentModel]
    fit_encoder: Callable[[pa.Array, Any], Encoder]
    restore_encoder: Callable[[Arrays, Any], Encoder]
    largest_size: Callable[[Any], int]


MODELS: Mapping[str, ModelEntry] = {
    "bilstm": ModelEntry(
        build=lambda config, encoder: BiLSTM(config, encoder.size),
        fit_encoder=lambda texts, config: WordEncoder.fit(texts, config.preprocessing),
        restore_encoder=lambda arrays, config: WordEncoder.from_arrays(arrays, config.preprocessing),
        largest_size=lambda config: config.preprocessing.max_words + 2,
    ),
    "ngram": ModelEntry(
        build=lambda config, encoder: NgramModel(config, encoder.size),
        fit_encoder=lambda texts, config: NgramEncoder.fit(texts, config.preprocessing, config.model),
        restore_encoder=lambda arrays, config: NgramEncoder.from_arrays(arrays, config.preprocessing, config.model),
        largest_size=lambda config: 2**config.model.bucket_bits + 1,
    ),
}


def build_model(config: RunConfig, encoder: Sized) -> SentimentModel:
    """Return an untrained model for an encoder."""
    return MODELS[config.model.kind].build(config.model, encoder)


def fit_encoder(texts: pa.Array, config: RunConfig) -> Encoder:
    """Return the encoder of a config's model, fitted on training texts (N)."""
    return MODELS[config.model.kind].fit_encoder(texts, config)


def describe_model(config: RunConfig) -> dict[str, int]:
    """Return each layer's number of parameters, with the largest vocabulary that the settings allow."""
    with torch.device("meta"):
        return build_model(config, LargestEncoder(MODELS[config.model.kind].largest_size(config))).layer_parameters
