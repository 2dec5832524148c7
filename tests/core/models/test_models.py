"""One set of tests for every entry of MODELS, on the small models of ``small.py``."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional

from core.config import RunConfig
from core.data.labelled import LabelledTexts
from core.models.base import SentimentModel
from core.models.catalog import MODELS, build_model, describe_model, fit_encoder
from core.models.model_file import Architecture, LoadedModel, load_model_file, save_model
from core.models.scoring import represent_texts, score_texts
from core.prediction.exchange import export_model, import_model
from core.prediction.explanation import explain
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.encoders import Encoder
from core.training.pretraining import Task, pretrain
from core.training.watcher import Watcher
from tests.core.models.small import SMALL, every_model
from tests.texts import invent_reviews

REVIEWS = invent_reviews(40)
PLANTED = ("superb", "awful")


def make(
    name: str, seed: int = 0, reviews: LabelledTexts = REVIEWS, config: RunConfig | None = None
) -> tuple[SentimentModel, Encoder, RunConfig]:
    """Return a model that a training would begin with."""
    config = config or SMALL[name]()
    config = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
    encoder = fit_encoder(reviews.texts, config)
    torch.manual_seed(seed)
    model = build_model(config, encoder)
    model.prepare(encoder.encode(reviews.texts), reviews.labels)
    if config.model.pretraining:
        model.start_from(pretrain(Task(config, encoder, reviews.texts, reviews.labels, Watcher())))
    return model, encoder, config


def make_uneven(name: str, seed: int = 0) -> tuple[SentimentModel, Encoder, RunConfig]:
    """Return a model that scores no two texts alike by itself, whatever it starts with."""
    model, encoder, config = make(name, seed)
    if not any(parameter.any() for parameter in model.parameters()):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
    return model, encoder, config


def fit(model: SentimentModel, encoder: Encoder, texts: pa.Array, labels: np.ndarray, rate: float, steps: int) -> float:
    """Train on all texts at once; return the last loss."""
    encoded, truth = encoder.encode(texts), torch.from_numpy(labels.astype(np.float32))
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], lr=rate)
    model.train()
    for _ in range(steps):
        loss = functional.binary_cross_entropy_with_logits(model(*model.collate(encoded)), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    optimizer.zero_grad()
    model.eval()
    return loss.item()


def logits_of(model: SentimentModel, encoder: Encoder, texts: list[str]) -> np.ndarray:
    return score_texts(model.eval(), encoder.encode(as_text_array(texts)))


def test_every_kind_has_a_case_that_bears_its_name() -> None:
    assert {config().model.kind for config in SMALL.values()} == set(MODELS)
    assert all(name.startswith(config().model.kind) for name, config in SMALL.items())


@every_model
def test_it_gives_one_finite_logit_a_text_whatever_the_text(name: str) -> None:
    model, encoder, _ = make_uneven(name)
    texts = ["superb", "", "zzz", "!!!", "a" * 5_000, "word " * 5_000, "\u202e🎬"]
    logits = logits_of(model, encoder, texts)
    assert logits.shape == (7,) and logits.dtype == np.float32 and np.isfinite(logits).all()
    assert logits_of(model, encoder, []).shape == (0,)


@every_model
def test_every_parameter_that_is_learnt_gets_a_gradient(name: str) -> None:
    model, encoder, _ = make_uneven(name)
    batch = model.train().collate(encoder.encode(REVIEWS.texts))
    truth = torch.from_numpy(REVIEWS.labels.astype(np.float32))
    functional.binary_cross_entropy_with_logits(model(*batch), truth).backward()
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, parameter_name


@every_model
def test_padding_and_neighbours_never_change_a_score(name: str) -> None:
    model, encoder, _ = make_uneven(name)
    text = "The plot is superb and the cast is dull!"
    alone = logits_of(model, encoder, [text])[0]
    batch = encoder.encode(as_text_array([text] + ["the music is awful " * 64] * 63))
    with torch.no_grad():
        beside = model(*model.collate(batch))[0].item()
    assert abs(alone - beside) <= 1e-5


@every_model
def test_what_its_last_layer_reads_is_one_row_a_text_that_nothing_beside_it_changes(name: str) -> None:
    model, encoder, _ = make_uneven(name)
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
def test_the_same_seed_builds_the_same_model(name: str) -> None:
    first, encoder, _ = make_uneven(name, seed=3)
    second, _, _ = make_uneven(name, seed=3)
    assert np.array_equal(*(logits_of(model, encoder, ["superb plot", "dull"]) for model in (first, second)))


@every_model
def test_it_survives_its_file(name: str, tmp_path: Path) -> None:
    model, encoder, config = make_uneven(name)
    path = tmp_path / "m.safetensors"
    sha256 = save_model(path, model, encoder, architecture_of(config))
    loaded = load_model_file(path)
    texts = REVIEWS.texts.to_pylist()
    assert loaded.sha256 == sha256
    assert np.array_equal(logits_of(model, encoder, texts), logits_of(loaded.model, loaded.encoder, texts))
    assert list(loaded.encoder.vocabulary) == list(encoder.vocabulary)


def architecture_of(config: RunConfig) -> Architecture:
    return Architecture(preprocessing=config.preprocessing, model=config.model.architecture)


@every_model
def test_it_goes_out_to_a_file_and_comes_in_from_it_with_the_same_scores(name: str, tmp_path: Path) -> None:
    model, encoder, config = make_uneven(name)
    made, exported = tmp_path / "made.safetensors", tmp_path / "exported.safetensors"
    sha256 = save_model(made, model, encoder, architecture_of(config))
    assert export_model(str(made), exported) == sha256 and exported.read_bytes() == made.read_bytes()
    assert import_model(exported) == sha256
    texts = REVIEWS.texts.to_pylist()
    assert np.array_equal(Predictor.load(sha256).predict(texts).logits, logits_of(model, encoder, texts))


@every_model
def test_it_overfits_eight_texts(name: str) -> None:
    config = SMALL[name]()
    if hasattr(config.model, "dropout"):
        config = config.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.0})})
    model, encoder, _ = make(name, config=config)
    labels = np.array([1, 0, 0, 1, 1, 0, 1, 0])  # not what the words say
    assert fit(model, encoder, REVIEWS.texts[:8], labels, config.training.learning_rate, steps=150) < 0.05


@every_model
def test_its_words_pushes_make_up_the_logit_and_one_that_the_labels_hang_on_has_the_largest(name: str) -> None:
    config = SMALL[name]()
    preprocessing = config.preprocessing.model_copy(update={"min_frequency": 2})  # so that unknown words are met
    planted = plant_words(80)
    config = config.model_copy(update={"preprocessing": preprocessing})
    model, encoder, config = make(name, reviews=planted, config=config)
    fit(model, encoder, planted.texts, planted.labels, config.training.learning_rate, steps=80)
    predictor = Predictor(LoadedModel(model, encoder, architecture_of(config), "0" * 64))
    pushes: dict[str, list[float]] = {}
    for text in planted.texts[:20].to_pylist():
        found = explain(predictor, text)
        logit = float(predictor.predict([text]).logits[0])
        assert found.base + sum(found.pushes) + found.missing == pytest.approx(logit, abs=1e-4)
        for word, push in zip(text.split(), found.pushes, strict=True):
            pushes.setdefault(word, []).append(push)
    means = {word: np.mean(each) for word, each in pushes.items() if len(each) > 1}
    assert len(means) == 14
    # Of unknown words alone a model may make what it makes of one of the two: then the other has all the push.
    assert max(means, key=lambda word: abs(means[word])) in PLANTED
    others = [mean for word, mean in means.items() if word not in PLANTED]
    assert means[PLANTED[0]] - means[PLANTED[1]] > 2 * (max(others) - min(others))


def plant_words(count: int) -> LabelledTexts:
    """Return reviews of words that say nothing, one among them on which the label hangs, and one that is unique."""
    draw = np.random.default_rng(0)
    fillers = np.array(["the", "plot", "and", "cast", "seen", "by", "many", "music", "ending", "a", "pace", "in"])
    labels = np.arange(count, dtype=np.int64) % 2
    texts = []
    for row, label in enumerate(labels):
        words = [str(word) for word in draw.choice(fillers, 8)]
        words.insert(int(draw.integers(9)), PLANTED[1 - label])
        words.insert(int(draw.integers(9)), "q" + chr(97 + row % 26) + chr(97 + row // 26))
        texts.append(" ".join(words))
    return LabelledTexts(as_text_array(texts), labels)


@every_model
def test_its_layers_hold_all_its_parameters(name: str) -> None:
    model, _, config = make(name)
    learnt = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert sum(model.layer_parameters.values()) == sum(parameter.numel() for parameter in learnt)
    assert list(describe_model(config)) == list(model.layer_parameters)
