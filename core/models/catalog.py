"""``MODELS``, the table of all models; a new one is a file and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import torch

from core.config import PRESETS, EnsembleConfig, PreprocessingConfig, PretrainedConfig, RunConfig, preset_config
from core.errors import ConfigError, ModelFileError
from core.models.base import SentimentModel
from core.models.bilstm import BiLSTM
from core.models.document_vectors import DocumentVectors
from core.models.ensemble import EnsembleEncoder, EnsembleModel, Member, read_member_architectures
from core.models.model_file import Architecture
from core.models.ngram import NgramModel
from core.models.pretrained import Pretrained, refuse_file_without_extra
from core.models.transformer import Transformer
from core.preprocessing.encoders import Arrays, Encoder, WordEncoder
from core.preprocessing.ngrams import NgramEncoder
from core.preprocessing.pretrained_base import load_base
from core.preprocessing.pretrained_encoder import PretrainedEncoder
from core.preprocessing.subwords import BytePairEncoder


class Sized(Protocol):
    """Whatever has a number of ids: an encoder, or what stands for one before any data is read."""

    @property
    def size(self) -> int:
        """Return how many ids exist, padding included."""

    @property
    def config(self) -> PreprocessingConfig:
        """Return how texts become tokens."""


@dataclass(frozen=True)
class LargestEncoder:
    """Stands for the largest encoder that the settings allow."""

    size: int
    config: PreprocessingConfig


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


TOKEN_ENCODERS: Mapping[str, type[WordEncoder] | type[BytePairEncoder]] = {
    "words": WordEncoder,
    "byte-pair": BytePairEncoder,
}


def fit_token_encoder(texts: pa.Array, config: Any) -> Encoder:
    """Return the encoder of a model that reads tokens in order, fitted on training texts (N)."""
    return TOKEN_ENCODERS[config.preprocessing.tokens].fit(texts, config.preprocessing)


def restore_token_encoder(arrays: Arrays, config: Any) -> Encoder:
    """Return the encoder of a model that reads tokens in order, from the arrays of a model file."""
    return TOKEN_ENCODERS[config.preprocessing.tokens].from_arrays(arrays, config.preprocessing)


def member_presets(config: EnsembleConfig) -> list[RunConfig]:
    """Return the settings of members that are all presets.

    Raises:
        ConfigError: One is a run, which only its workspace knows.
    """
    for name in config.members:
        if name not in PRESETS:
            raise ConfigError(
                f"{name} is no preset: as a member it is a run, and what it holds is known once the ensemble is made."
            )
    return [preset_config(name) for name in config.members]


def fit_ensemble_encoder(texts: pa.Array, config: RunConfig) -> EnsembleEncoder:
    """Return the encoder of an ensemble of presets, each member's fitted on training texts (N)."""
    assert isinstance(config.model, EnsembleConfig)
    return EnsembleEncoder([
        Member(Architecture(preprocessing=each.preprocessing, model=each.model.architecture), fit_encoder(texts, each))
        for each in member_presets(config.model)
    ])  # fmt: skip


def restore_ensemble_encoder(arrays: Arrays, config: Architecture) -> EnsembleEncoder:
    """Return an ensemble's encoder from the arrays of a model file, which may come from a stranger.

    Raises:
        ModelFileError: A member cannot be restored, or the whole does not cut words as its members do.
        KeyError: An array is missing.
    """
    assert isinstance(config.model, EnsembleConfig)
    members = []
    for place, architecture in enumerate(read_member_architectures(arrays, len(config.model.members))):
        prefix = f"{place}."
        own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        encoder = MODELS[architecture.model.kind].restore_encoder(own, architecture)
        members.append(Member(architecture, encoder))
    whole = EnsembleEncoder(members)
    if whole.config != config.preprocessing:
        raise ModelFileError("its words are not cut as those of its members are")
    return whole


def build_ensemble(config: EnsembleConfig, encoder: Sized) -> EnsembleModel:
    """Return an ensemble of untrained members; before any data is read, all of them must be presets."""
    if isinstance(encoder, EnsembleEncoder):
        parts = [(member.architecture.model, member.encoder) for member in encoder.members]
        models = [MODELS[model.kind].build(model, own) for model, own in parts]
        return EnsembleModel(models, config.members, encoder.sizes)
    presets = member_presets(config)
    largest = [LargestEncoder(MODELS[each.model.kind].largest_size(each), each.preprocessing) for each in presets]
    models = [build_model(each, own) for each, own in zip(presets, largest, strict=True)]
    return EnsembleModel(models, config.members, [own.size for own in largest])


def build_pretrained(config: PretrainedConfig, encoder: Sized) -> Pretrained:
    """Return a pretrained encoder's model, with random weights; before any data is read, its base is looked up."""
    base = encoder.base if isinstance(encoder, PretrainedEncoder) else load_base(config.base).base
    return Pretrained(config, base)


def restore_pretrained_encoder(arrays: Arrays, config: Any) -> Encoder:
    """Return the encoder of a fine-tuned model, from the arrays of a model file; the optional extra must be there."""
    refuse_file_without_extra()
    return PretrainedEncoder.from_arrays(arrays, config.preprocessing)


MODELS: Mapping[str, ModelEntry] = {
    "bilstm": ModelEntry(
        build=lambda config, encoder: BiLSTM(config, encoder.size),
        fit_encoder=fit_token_encoder,
        restore_encoder=restore_token_encoder,
        largest_size=lambda config: config.preprocessing.max_words + 2,
    ),
    "ngram": ModelEntry(
        build=lambda config, encoder: NgramModel(config, encoder.size),
        fit_encoder=lambda texts, config: NgramEncoder.fit(texts, config.preprocessing, config.model),
        restore_encoder=lambda arrays, config: NgramEncoder.from_arrays(arrays, config.preprocessing, config.model),
        largest_size=lambda config: 2**config.model.bucket_bits + 1,
    ),
    "document_vectors": ModelEntry(
        build=lambda config, encoder: DocumentVectors(config, encoder.size),
        fit_encoder=lambda texts, config: NgramEncoder.fit(texts, config.preprocessing, config.model.reading),
        restore_encoder=lambda arrays, config: NgramEncoder.from_arrays(
            arrays, config.preprocessing, config.model.reading
        ),
        largest_size=lambda config: 2**config.model.bucket_bits + 1,
    ),
    "pretrained": ModelEntry(
        build=build_pretrained,
        fit_encoder=lambda texts, config: PretrainedEncoder.fit(
            texts, config.preprocessing, load_base(config.model.base)
        ),
        restore_encoder=restore_pretrained_encoder,
        largest_size=lambda config: load_base(config.model.base).base.vocabulary,
    ),
    "transformer": ModelEntry(
        build=lambda config, encoder: Transformer(config, encoder.size, encoder.config.max_length),
        fit_encoder=fit_token_encoder,
        restore_encoder=restore_token_encoder,
        largest_size=lambda config: config.preprocessing.max_words + 2,
    ),
    "ensemble": ModelEntry(
        build=build_ensemble,
        fit_encoder=fit_ensemble_encoder,
        restore_encoder=restore_ensemble_encoder,
        largest_size=lambda config: sum(
            MODELS[each.model.kind].largest_size(each) for each in member_presets(config.model)
        ),
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
    size = MODELS[config.model.kind].largest_size(config)
    with torch.device("meta"):
        return build_model(config, LargestEncoder(size, config.preprocessing)).layer_parameters
