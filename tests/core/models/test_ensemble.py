"""Members joined and taken apart, by hand; and their file, whole and damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.config import BiLSTMConfig, EnsembleConfig, ModelConfig, NgramConfig, PreprocessingConfig, RunConfig
from core.errors import ModelFileError
from core.models.base import SentimentModel
from core.models.catalog import build_model, describe_model, fit_encoder
from core.models.ensemble import EnsembleEncoder, EnsembleModel, Member, join_ids, join_preprocessing, split_ids
from core.models.model_file import FORMAT, Architecture, load_model_file, save_model
from core.models.scoring import represent_texts, score_texts
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.encoders import count_words_read
from core.tensor_file import read_tensor_file, write_tensor_file
from tests.texts import invent_reviews

REVIEWS = invent_reviews(40)
TEXTS = as_text_array([*REVIEWS.texts.to_pylist(), "", "not a single known w0rd", "superb " * 400])
NAMES = ("ngrams", "lstm-1", "lstm-2")
KINDS: list[tuple[PreprocessingConfig, ModelConfig]] = [
    (PreprocessingConfig(min_frequency=1, characters="punctuation", max_length=None), NgramConfig(bucket_bits=10)),
    (PreprocessingConfig(min_frequency=1, max_length=5), BiLSTMConfig(embedding_dim=6, hidden_size=5, num_layers=1)),
    (PreprocessingConfig(min_frequency=1, max_length=9), BiLSTMConfig(embedding_dim=4, hidden_size=3, num_layers=2)),
]
Change = Callable[[dict[str, NDArray[Any]], dict[str, Any]], object]


def encoded(*texts: list[int]) -> EncodedTexts:
    offsets = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return EncodedTexts(np.array([token for text in texts for token in text], np.int32), offsets)


def as_lists(texts: EncodedTexts) -> list[list[int]]:
    return [texts.take(np.array([row])).token_ids.tolist() for row in range(len(texts))]


def make_members() -> tuple[list[Member], list[SentimentModel]]:
    members, models = [], []
    for place, (preprocessing, model_config) in enumerate(KINDS):
        config = RunConfig(preprocessing=preprocessing, model=model_config)
        encoder = fit_encoder(REVIEWS.texts, config)
        torch.manual_seed(place)
        model = build_model(config, encoder)
        model.prepare(encoder.encode(REVIEWS.texts), REVIEWS.labels)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
        members.append(Member(Architecture(preprocessing=preprocessing, model=model_config), encoder))
        models.append(model.eval())
    return members, models


MEMBERS, MODELS = make_members()
ENCODER = EnsembleEncoder(MEMBERS)


def make() -> EnsembleModel:
    model = EnsembleModel(MODELS, NAMES, ENCODER.sizes)
    model.weights.copy_(torch.tensor([0.5, 0.3, 0.2]))
    model.temperatures.copy_(torch.tensor([2.0, 0.5, 1.0]))
    return model.eval()


def test_ids_of_members_stand_one_after_the_other_each_shifted_past_those_before() -> None:
    first, second = encoded([1, 3], [], [2]), encoded([4], [1, 1], [])
    joined = join_ids([first, second], [5, 6])
    assert as_lists(joined) == [[1, 3, 9], [6, 6], [2]]
    assert [as_lists(part) for part in split_ids(joined, [5, 6])] == [as_lists(first), as_lists(second)]


def test_no_text_joins_to_no_text() -> None:
    joined = join_ids([encoded(), encoded()], [5, 6])
    assert len(joined) == 0 and [len(part) for part in split_ids(joined, [5, 6])] == [0, 0]


def test_the_logit_is_the_weighted_mean_of_the_members_logits_over_their_temperatures() -> None:
    model = make()
    alone = [score_texts(each, member.encoder.encode(TEXTS)) for each, member in zip(MODELS, MEMBERS, strict=True)]
    expected = 0.5 * alone[0] / 2.0 + 0.3 * alone[1] / 0.5 + 0.2 * alone[2] / 1.0
    found = score_texts(model, ENCODER.encode(TEXTS))
    assert found == pytest.approx(expected, abs=1e-5) and np.ptp(found) > 0.1
    with torch.no_grad():
        assert model(*model.collate(ENCODER.encode(TEXTS))).numpy() == pytest.approx(expected, abs=1e-5)


def test_its_representation_s_inner_products_are_the_weighted_mean_of_the_members_cosines() -> None:
    model, texts = make(), TEXTS[:6]
    vectors = represent_texts(model, ENCODER.encode(texts))
    parts = [represent_texts(each, member.encoder.encode(texts)) for each, member in zip(MODELS, MEMBERS, strict=True)]
    units = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in parts]
    expected = sum(weight * unit @ unit.T for weight, unit in zip((0.5, 0.3, 0.2), units, strict=True))
    assert vectors @ vectors.T == pytest.approx(expected, abs=1e-5)


def test_progress_counts_each_text_once() -> None:
    told: list[int] = []
    score_texts(make(), ENCODER.encode(TEXTS), told.append)
    assert sum(told) == len(TEXTS)


def test_it_cuts_words_as_its_first_member_does_and_reads_as_far_as_any() -> None:
    assert ENCODER.config == MEMBERS[0].architecture.preprocessing
    assert count_words_read(ENCODER, "good! " * 50) == 100
    lengths = [member.architecture.preprocessing for member in MEMBERS[1:]]
    assert join_preprocessing(lengths).max_length == 9
    pieces = lengths[0].model_copy(update={"tokens": "byte-pair"})
    assert join_preprocessing([pieces]).tokens == "words"


def test_a_word_is_known_when_any_member_knows_it() -> None:
    texts = as_text_array(["superb", "zzz", "!"])
    assert ENCODER.knows(texts).tolist() == [True, False, True]
    assert not MEMBERS[1].encoder.knows(texts)[2]


def test_its_layers_are_told_by_member_before_any_data_is_read() -> None:
    layers = describe_model(RunConfig(model=EnsembleConfig(members=("fast", "classic"))))
    assert list(layers)[:2] == ["fast: ngram_weights", "fast: bias"] and "classic: fc" in layers


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def architecture(**changes: Any) -> Architecture:
    model = EnsembleConfig(members=NAMES)
    return Architecture(preprocessing=ENCODER.config, model=model).model_copy(update=changes)


@pytest.mark.parametrize("dtype", ["F32", "F16"])
def test_a_file_holds_all_that_its_members_need(path: Path, dtype: str) -> None:
    save_model(path, make(), ENCODER, architecture(dtype=dtype))
    loaded = load_model_file(path)
    expected = score_texts(make(), ENCODER.encode(TEXTS))
    found = score_texts(loaded.model, loaded.encoder.encode(TEXTS))
    assert found == pytest.approx(expected, abs=1e-6 if dtype == "F32" else 0.02)
    again = path.with_name("again.safetensors")
    save_model(again, loaded.model, loaded.encoder, loaded.architecture)
    assert again.read_bytes() == path.read_bytes()


def change_member(change: Callable[[dict[str, Any]], object], place: int = 1) -> Change:
    def apply(tensors: dict[str, NDArray[Any]], _: dict[str, Any]) -> None:
        document = json.loads(tensors[f"encoder.{place}.architecture"].tobytes())
        change(document)
        written = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
        tensors[f"encoder.{place}.architecture"] = np.frombuffer(written, np.uint8)

    return apply


def put(name: str, value: Any) -> Change:
    return lambda tensors, _: tensors.update({name: np.asarray(value)})


NESTED = {"kind": "ensemble", "members": ["fast", "compact"], "weighting": "equal"}
DAMAGES: dict[str, tuple[Change, str]] = {
    "a nested ensemble": (change_member(lambda document: document.update(model=NESTED)), "an ensemble itself"),
    "an odd setting": (change_member(lambda document: document["model"].update(depth=9)), "out of bounds"),
    "a size out of bounds": (
        change_member(lambda document: document["model"].update(hidden_size=10**9)), "out of bounds",
    ),
    "another size": (change_member(lambda document: document["model"].update(hidden_size=6)), "names, shapes or types"),
    "a precision of its own": (change_member(lambda document: document.update(dtype="F16")), "precision of its own"),
    "other labels": (change_member(lambda document: document.update(labels=["a", "b"])), "not one that this version"),
    "another way to cut words": (
        change_member(lambda document: document["preprocessing"].update(lowercase=False), place=0), "not cut as",
    ),
    "no architecture": (lambda tensors, _: tensors.pop("encoder.2.architecture"), "lacks the tensor"),
    "no vocabulary": (lambda tensors, _: tensors.pop("encoder.1.vocabulary"), "lacks the tensor"),
    "an architecture that is no text": (
        put("encoder.1.architecture", np.array([255, 254], np.uint8)), "not UTF-8",
    ),
    "an architecture without end": (
        put("encoder.1.architecture", np.frombuffer(b'{"model":' * 50_000, np.uint8)), "not readable",
    ),
    "one member more in its tensors": (put("encoder.3.vocabulary", np.zeros(2, np.uint8)), "its encoder should hold"),
    "one member less in its list": (
        lambda _, document: document["model"].update(members=list(NAMES[:2])), "its encoder should hold|names, shapes",
    ),
    "nine members": (
        lambda _, document: document["model"].update(members=[f"m{place}" for place in range(9)]), "out of bounds",
    ),
    "a member's name that is markup": (
        lambda _, document: document["model"].update(members=["<b>", "b", "c"]), "out of bounds",
    ),
    "members in one string": (lambda _, document: document["model"].update(members="a,b,c"), "not one that this version"),
    "weights below 0": (put("model.weights", np.array([1.5, -0.5, 0.0], np.float32)), "no shares"),
    "weights that do not add up": (put("model.weights", np.array([0.5, 0.2, 0.2], np.float32)), "no shares"),
    "a temperature of 0": (put("model.temperatures", np.array([1.0, 0.0, 1.0], np.float32)), "temperature"),
    "a member's weights missing": (lambda tensors, _: tensors.pop("model.members.0.weight"), "names, shapes or types"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_in_a_sentence(path: Path, damage: str) -> None:
    change, phrase = DAMAGES[damage]
    save_model(path, make(), ENCODER, architecture())
    file = read_tensor_file(path, FORMAT)
    tensors, document = dict(file.tensors), json.loads(file.document)
    change(tensors, document)
    write_tensor_file(path, FORMAT, json.dumps(document, sort_keys=True, separators=(",", ":")), tensors)
    with pytest.raises(ModelFileError, match=phrase) as caught:
        load_model_file(path)
    assert str(caught.value).endswith(".") and len(str(caught.value)) < 700 and str(caught.value).isprintable()
