"""One set of tests for every entry of MODELS."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from core.config import BiLSTMConfig, ModelConfig, NgramConfig, PreprocessingConfig, RunConfig, TrainingConfig
from core.models.base import SentimentModel
from core.models.catalog import MODELS, build_model, describe_model, fit_encoder
from core.models.model_file import Architecture, load_model_file, save_model
from core.models.scoring import represent_texts, score_texts
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.encoders import Encoder
from tests.texts import invent_reviews

SMALL: dict[str, list[ModelConfig]] = {
    "bilstm": [
        BiLSTMConfig(embedding_dim=12, hidden_size=10, num_layers=2, dropout=0.3),
        BiLSTMConfig(embedding_dim=12, hidden_size=10, num_layers=1, dropout=0.3, pooling="max"),
    ],
    "ngram": [NgramConfig(bucket_bits=14, min_reviews=1)],
}
CASES = [(kind, config) for kind in MODELS for config in SMALL[kind]]
every_model = pytest.mark.parametrize(("kind", "model_config"), CASES, ids=lambda value: getattr(value, "kind", None))
REVIEWS = invent_reviews(40)


def make(model_config: ModelConfig, seed: int = 0) -> tuple[SentimentModel, Encoder, RunConfig]:
    config = RunConfig(
        preprocessing=PreprocessingConfig(min_frequency=1), model=model_config, training=TrainingConfig(seed=seed)
    )
    encoder = fit_encoder(REVIEWS.texts, config)
    torch.manual_seed(seed)
    model = build_model(config, encoder)
    model.prepare(encoder.encode(REVIEWS.texts), REVIEWS.labels)
    if kind_has_zero_start(model):
        torch.nn.init.normal_(model.weight)
    return model, encoder, config


def kind_has_zero_start(model: SentimentModel) -> bool:
    return all(not parameter.any() for parameter in model.parameters())


def logits_of(model: SentimentModel, encoder: Encoder, texts: list[str]) -> np.ndarray:
    return score_texts(model.eval(), encoder.encode(as_text_array(texts)))


def test_every_entry_has_a_case() -> None:
    assert set(SMALL) == set(MODELS)


@every_model
def test_it_gives_one_finite_logit_a_text_whatever_the_text(kind: str, model_config: ModelConfig) -> None:
    model, encoder, _ = make(model_config)
    texts = ["superb", "", "zzz", "!!!", "a" * 5_000, "word " * 5_000, "\u202e🎬"]
    logits = logits_of(model, encoder, texts)
    assert logits.shape == (7,) and logits.dtype == np.float32 and np.isfinite(logits).all()
    assert logits_of(model, encoder, []).shape == (0,)


@every_model
def test_every_parameter_that_is_used_gets_a_gradient(kind: str, model_config: ModelConfig) -> None:
    model, encoder, _ = make(model_config)
    batch = model.train().collate(encoder.encode(REVIEWS.texts))
    functional.binary_cross_entropy_with_logits(
        model(*batch), torch.from_numpy(REVIEWS.labels.astype(np.float32))
    ).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@every_model
def test_padding_and_neighbours_never_change_a_score(kind: str, model_config: ModelConfig) -> None:
    model, encoder, _ = make(model_config)
    text = "The plot is superb and the cast is dull!"
    alone = logits_of(model, encoder, [text])[0]
    batch = encoder.encode(as_text_array([text] + ["the music is awful " * 64] * 63))
    with torch.no_grad():
        beside = model(*model.collate(batch))[0].item()
    assert abs(alone - beside) <= 1e-5


@every_model
def test_what_its_last_layer_reads_is_one_row_a_text_that_nothing_beside_it_changes(
    kind: str, model_config: ModelConfig
) -> None:
    model, encoder, _ = make(model_config)
    texts = ["The plot is superb and the cast is dull!", "", "zzz", *["the music is awful " * 64] * 30]
    encoded = encoder.encode(as_text_array(texts))
    vectors = represent_texts(model.eval(), encoded)
    assert vectors.dtype == np.float32 and vectors.shape[0] == len(texts) and np.isfinite(vectors).all()
    assert np.array_equal(vectors, represent_texts(model, encoded)), "the same again"
    for place in (0, 1, 2, 5):
        alone = represent_texts(model, encoded.take(np.array([place])))
        assert np.abs(alone[0] - vectors[place]).max() <= 1e-5
    with torch.no_grad():
        padded = model.represent(*model.collate(encoded)).numpy()
    assert np.abs(padded - vectors).max() <= 1e-5
    assert represent_texts(model, encoded.take(np.arange(0))).shape[0] == 0


@every_model
def test_the_same_seed_builds_the_same_model(kind: str, model_config: ModelConfig) -> None:
    first, encoder, _ = make(model_config, seed=3)
    second, _, _ = make(model_config, seed=3)
    assert np.array_equal(*(logits_of(model, encoder, ["superb plot", "dull"]) for model in (first, second)))


@every_model
def test_it_survives_its_file(kind: str, model_config: ModelConfig, tmp_path: Path) -> None:
    model, encoder, config = make(model_config)
    path = tmp_path / "m.safetensors"
    sha256 = save_model(path, model, encoder, Architecture(preprocessing=config.preprocessing, model=config.model))
    loaded = load_model_file(path)
    texts = REVIEWS.texts.to_pylist()
    assert loaded.sha256 == sha256
    assert np.array_equal(logits_of(model, encoder, texts), logits_of(loaded.model, loaded.encoder, texts))
    assert list(loaded.encoder.vocabulary) == list(encoder.vocabulary)


@every_model
def test_it_overfits_eight_texts(kind: str, model_config: ModelConfig) -> None:
    config = model_config.model_copy(update={"dropout": 0.0}) if hasattr(model_config, "dropout") else model_config
    model, encoder, _ = make(config)
    encoded = encoder.encode(REVIEWS.texts).take(np.arange(8))
    labels = torch.tensor([1.0, 0, 0, 1, 1, 0, 1, 0])  # not what the words say
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(150):
        loss = functional.binary_cross_entropy_with_logits(model(*model.collate(encoded)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@every_model
def test_its_layers_hold_all_its_parameters(kind: str, model_config: ModelConfig) -> None:
    model, _, config = make(model_config)
    assert sum(model.layer_parameters.values()) == sum(parameter.numel() for parameter in model.parameters())
    assert list(describe_model(config)) == list(model.layer_parameters)
