"""A model file is data: it comes back exactly, or a sentence says what is wrong with it."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.config import (
    BiLSTMConfig,
    ModelConfig,
    NgramConfig,
    PreprocessingConfig,
    RunConfig,
    TransformerConfig,
    plain_document,
)
from core.errors import ModelFileError
from core.models.base import SentimentModel
from core.models.catalog import build_model, fit_encoder
from core.models.model_file import (
    FORMAT,
    REFUSED_SUFFIXES,
    Architecture,
    Calibration,
    Reference,
    load_calibration,
    load_model_file,
    save_model,
)
from core.models.scoring import score_texts
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.encoders import Encoder
from core.tensor_file import read_tensor_file, write_tensor_file
from tests.texts import invent_reviews

REVIEWS = invent_reviews(30)
TEXTS = [*REVIEWS.texts.to_pylist(), "", "not a single known w0rd", "superb " * 500, "dull"]
MODEL_CONFIGS: Mapping[str, ModelConfig] = {
    "bilstm": BiLSTMConfig(embedding_dim=6, hidden_size=5, num_layers=2),
    "ngram": NgramConfig(bucket_bits=10, min_reviews=1),
    "transformer": TransformerConfig(width=6, heads=2, num_layers=1, feed_forward=5),
}
PREPROCESSING = PreprocessingConfig(min_frequency=1)

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Made:
    """A model that the tests have made, and where its tensors' names are."""

    model: SentimentModel
    encoder: Encoder
    architecture: Architecture

    def save(self, path: Path, **changes: Any) -> str:
        return save_model(path, self.model, self.encoder, self.architecture.model_copy(update=changes))

    @property
    def logits(self) -> NDArray[np.float32]:
        return logits_of(self.model, self.encoder)


def make(kind: str) -> Made:
    config = RunConfig(preprocessing=PREPROCESSING, model=MODEL_CONFIGS[kind])
    torch.manual_seed(5)
    encoder = fit_encoder(REVIEWS.texts, config)
    model = build_model(config, encoder)
    model.prepare(encoder.encode(REVIEWS.texts), REVIEWS.labels)
    if kind == "ngram":
        torch.nn.init.normal_(model.weight)
    return Made(model.eval(), encoder, Architecture(preprocessing=PREPROCESSING, model=config.model))


MADE = {kind: make(kind) for kind in MODEL_CONFIGS}
every_kind = pytest.mark.parametrize("kind", MODEL_CONFIGS)


def logits_of(model: SentimentModel, encoder: Encoder) -> NDArray[np.float32]:
    return score_texts(model, encoder.encode(as_text_array(TEXTS)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.safetensors"


def rewrite(path: Path, kind: str, change: Callable[[Tensors, dict[str, Any]], object] | None = None) -> None:
    """Save a model, change its tensors or its architecture, and store it with a checksum that fits."""
    MADE[kind].save(path)
    file = read_tensor_file(path, FORMAT)
    tensors, document = dict(file.tensors), json.loads(file.document)
    if change:
        change(tensors, document)
    write_tensor_file(path, FORMAT, json.dumps(document, sort_keys=True, separators=(",", ":")), tensors)


def assert_refused(path: Path, phrase: str) -> None:
    with pytest.raises(ModelFileError, match=phrase) as caught:
        load_model_file(path)
    message = str(caught.value)
    assert message.endswith(".") and len(message) < 700 and message.isprintable()


def as_json_bytes(value: Any) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


@every_kind
def test_a_saved_model_gives_equal_logits_and_an_equal_checksum(path: Path, kind: str) -> None:
    made = MADE[kind]
    sha256 = made.save(path)
    loaded = load_model_file(path)
    assert np.array_equal(logits_of(loaded.model, loaded.encoder), made.logits)
    assert loaded.sha256 == sha256
    assert loaded.architecture == made.architecture
    assert loaded.encoder.vocabulary.words == made.encoder.vocabulary.words
    again = save_model(path.with_name("again.safetensors"), loaded.model, loaded.encoder, loaded.architecture)
    assert again == sha256
    assert path.read_bytes() == path.with_name("again.safetensors").read_bytes()


@every_kind
def test_a_loaded_model_is_ready_to_score_and_owns_its_weights(path: Path, kind: str) -> None:
    MADE[kind].save(path)
    model = load_model_file(path).model
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert all(not value.is_meta for value in model.state_dict().values())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert np.array_equal(logits_of(load_model_file(path).model, MADE[kind].encoder), MADE[kind].logits)


@every_kind
def test_the_checksum_depends_on_neither_the_file_s_name_nor_the_time(
    path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = MADE[kind].save(path)
    monkeypatch.setattr("time.time", lambda: 4e9)
    other = path.with_name("another name.safetensors")
    assert MADE[kind].save(other) == first
    os.utime(other, (0, 0))
    assert load_model_file(other).sha256 == first
    assert other.read_bytes() == path.read_bytes()


@every_kind
def test_the_checksum_depends_on_every_weight_on_the_words_and_on_the_settings(path: Path, kind: str) -> None:
    def negate(name: str) -> Callable[[Tensors, dict[str, Any]], object]:
        return lambda tensors, _: tensors.update({name: -tensors[name]})

    def rename_a_word(tensors: Tensors, _: dict[str, Any]) -> None:
        words = json.loads(tensors["encoder.vocabulary"].tobytes())
        tensors["encoder.vocabulary"] = as_json_bytes([words[0] + "x", *words[1:]])

    def shorten(_: Tensors, document: dict[str, Any]) -> None:
        document["preprocessing"]["max_length"] = 9

    rewrite(path, kind)
    sums = {load_model_file(path).sha256}
    changes = [negate(f"model.{name}") for name, _ in MADE[kind].model.named_parameters() if name != "bias"]
    for change in [*changes, rename_a_word, shorten]:
        rewrite(path, kind, change)
        sums.add(load_model_file(path).sha256)
    assert len(sums) == 1 + len(changes) + 2


@every_kind
def test_half_precision_halves_the_weights_and_moves_scores_by_at_most_two_thousandths(path: Path, kind: str) -> None:
    made = MADE[kind]
    made.save(path)
    half_path = path.with_name("half.safetensors")
    half_sha256 = made.save(half_path, dtype="F16")
    half = load_model_file(half_path)
    assert half.architecture.dtype == "F16" and half.sha256 == half_sha256 != load_model_file(path).sha256
    assert {value.dtype for value in half.model.state_dict().values()} == {torch.float32}
    saved = sum(value.numel() * 2 for value in made.model.state_dict().values())
    assert path.stat().st_size - half_path.stat().st_size == pytest.approx(saved, abs=64)
    scores, half_scores = (1 / (1 + np.exp(-logits)) for logits in (made.logits, logits_of(half.model, half.encoder)))
    assert np.ptp(scores) > 0.01, "scores that are all alike would prove nothing"
    assert np.abs(scores - half_scores).max() <= 2e-3


@every_kind
def test_every_weight_that_is_missing_or_of_another_shape_or_type_is_named(path: Path, kind: str) -> None:
    for name, value in MADE[kind].model.state_dict().items():
        longer = (value.shape[0] + 1, *value.shape[1:])
        for wrong in (None, np.zeros(longer, np.float32), np.zeros(value.shape, np.float16), value.numpy()[None]):

            def change(
                tensors: Tensors, _: object, name: str = f"model.{name}", wrong: NDArray[Any] | None = wrong
            ) -> None:
                del tensors[name]
                if wrong is not None:
                    tensors[name] = wrong

            rewrite(path, kind, change)
            assert_refused(path, rf"do not have the names, shapes or types of its architecture: \['{name}'\]")


@every_kind
@pytest.mark.parametrize(
    ("name", "phrase"),
    [
        ("model.extra", r"names, shapes or types of its architecture: \['extra'\]"),
        ("encoder.extra", "its encoder should hold .*; found .*'extra'"),
        ("extra", "it holds tensors that no model of ours has"),
        ("../../x", "it holds tensors that no model of ours has"),
        ("optimizer.0.step", "it holds tensors that no model of ours has"),
    ],
)
def test_a_tensor_too_many_is_refused(path: Path, kind: str, name: str, phrase: str) -> None:
    rewrite(path, kind, lambda tensors, _: tensors.update({name: np.zeros(1, np.uint8)}))
    assert_refused(path, phrase)


@every_kind
def test_weights_in_half_precision_need_an_architecture_that_says_so(path: Path, kind: str) -> None:
    rewrite(path, kind, lambda _, document: document.update(dtype="F16"))
    assert_refused(path, "names, shapes or types of its architecture")


@every_kind
def test_a_weight_that_is_not_a_number_is_refused(path: Path, kind: str) -> None:
    def spoil(tensors: Tensors, _: object) -> None:
        name = next(name for name in tensors if name.startswith("model."))
        tensors[name] = np.full(tensors[name].shape, np.nan, np.float32)

    rewrite(path, kind, spoil)
    assert_refused(path, "not a finite number")


@pytest.mark.parametrize("changes", [{"embedding_dim": 7}, {"hidden_size": 4}, {"num_layers": 1}, {"num_layers": 3}])
def test_sizes_other_than_those_of_the_weights_are_refused(path: Path, changes: dict[str, Any]) -> None:
    rewrite(path, "bilstm", lambda _, document: document["model"].update(changes))
    assert_refused(path, "names, shapes or types of its architecture")


ARCHITECTURES: Mapping[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "an unknown key": (lambda d: d.update(trust_remote_code=True), "trust_remote_code: Extra inputs"),
    "an unknown key of the model": (lambda d: d["model"].update(activation="relu"), "activation: Extra inputs"),
    "an unknown key of the words": (lambda d: d["preprocessing"].update(stem=True), "stem: Extra inputs"),
    "an unknown kind": (lambda d: d["model"].update(kind="os.system"), "architecture is out of bounds: model"),
    "no kind": (lambda d: d["model"].pop("kind"), "architecture is out of bounds: model"),
    "no model": (lambda d: d.pop("model"), "architecture is out of bounds: model: Field required"),
    "no preprocessing": (lambda d: d.pop("preprocessing"), "out of bounds: preprocessing: Field required"),
    "an unknown type": (lambda d: d.update(dtype="I8"), "architecture is out of bounds: dtype"),
    "a length of none": (lambda d: d["preprocessing"].update(max_length=0), r"max_length: .*\(found '0'\)"),
    "other labels": (lambda d: d.update(labels=["positive", "negative"]), "not one that this version writes"),
    "three labels": (lambda d: d.update(labels=["a", "b", "c"]), "architecture is out of bounds: labels"),
    "a default left out": (lambda d: d.pop("dtype"), "not one that this version writes"),
    "a number in quotes": (
        lambda d: d["preprocessing"].update(max_words="10000"),
        "max_words: |not one that this version writes",
    ),
}


@every_kind
@pytest.mark.parametrize(("change", "phrase"), ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_an_architecture_that_is_not_ours_is_refused(
    path: Path, kind: str, change: Callable[[dict[str, Any]], object], phrase: str
) -> None:
    rewrite(path, kind, lambda _, document: change(document))
    assert_refused(path, phrase)


SIZES = [
    ("bilstm", "embedding_dim", 0),
    ("bilstm", "embedding_dim", 2_049),
    ("bilstm", "hidden_size", -1),
    ("bilstm", "hidden_size", 10**18),
    ("bilstm", "num_layers", 0),
    ("bilstm", "num_layers", 1_000_000),
    ("bilstm", "dropout", 1.0),
    ("ngram", "bucket_bits", 63),
    ("ngram", "bucket_bits", 0),
    ("ngram", "max_n", 6),
    ("ngram", "smoothing", 0),
]


@pytest.mark.parametrize(("kind", "field", "value"), SIZES)
def test_a_size_out_of_bounds_is_named_with_its_value(path: Path, kind: str, field: str, value: float) -> None:
    rewrite(path, kind, lambda _, document: document["model"].update({field: value}))
    assert_refused(path, rf"its architecture is out of bounds: model\.{field}: .*\(found '{value}'\)")


DOCUMENTS = {
    "nothing": ("", "its architecture is not readable"),
    "not JSON": ("BiLSTM(6, 5)", "its architecture is not readable"),
    "a list": ("[]", "its architecture is out of bounds"),
    "nested deeply": ("[" * 100_000, "its architecture is not readable .nested too deeply"),
}


@pytest.mark.parametrize(("document", "phrase"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_that_is_no_architecture_is_refused(path: Path, document: str, phrase: str) -> None:
    MADE["bilstm"].save(path)
    write_tensor_file(path, FORMAT, document, read_tensor_file(path, FORMAT).tensors)
    assert_refused(path, phrase)


@every_kind
def test_an_architecture_in_another_spelling_is_refused(path: Path, kind: str) -> None:
    # One model has one spelling, or it would have several checksums.
    MADE[kind].save(path)
    file = read_tensor_file(path, FORMAT)
    doubled = file.document[:-1] + ',"dtype":"F32"}'
    for document, phrase in ((file.document + " ", "this version writes"), (doubled, "a key stands twice: dtype")):
        write_tensor_file(path, FORMAT, document, file.tensors)
        assert_refused(path, phrase)


CALIBRATION = Calibration(temperature=0.8743323727843153, n=2_500)


@every_kind
def test_a_calibration_comes_back_and_leaves_the_checksum_as_it_was(path: Path, kind: str) -> None:
    made = MADE[kind]
    without = made.save(path)
    assert load_model_file(path).calibration is None and load_calibration(path) is None
    assert save_model(path, made.model, made.encoder, made.architecture, CALIBRATION) == without
    loaded = load_model_file(path)
    assert loaded.calibration == load_calibration(path) == CALIBRATION and loaded.sha256 == without
    assert np.array_equal(logits_of(loaded.model, loaded.encoder), made.logits)


REFERENCE = Reference(
    words=(67, 129, 175, 290, 630), unknown=0.01567, rates=(57_000, 31), language="English", confidence=0.91332,
    bins=((7, 0), (3, 2)),
)  # fmt: skip


@every_kind
def test_what_the_validation_reviews_looked_like_comes_back_with_the_calibration(path: Path, kind: str) -> None:
    made = MADE[kind]
    calibration = CALIBRATION.model_copy(update={"reference": REFERENCE})
    assert save_model(path, made.model, made.encoder, made.architecture, calibration) == made.save(path)
    save_model(path, made.model, made.encoder, made.architecture, calibration)
    assert load_model_file(path).calibration == load_calibration(path) == calibration


def test_without_a_reference_a_calibration_is_spelt_as_earlier_versions_did() -> None:
    assert Calibration(temperature=1.25, n=40).to_json() == '{"n":40,"temperature":1.25}'


def with_reference(**change: Any) -> str:
    document = {"n": 20, "reference": REFERENCE.model_dump(mode="json") | change, "temperature": 1.0}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


CALIBRATIONS = {
    "nothing": ("", "its calibration is not readable"),
    "not JSON": ("T=1", "its calibration is not readable"),
    "a list": ("[1.0,20]", "its calibration is out of bounds"),
    "a key twice": ('{"n":20,"n":20,"temperature":1.0}', "its calibration is not readable .a key stands twice: n"),
    "no temperature": ('{"n":20}', "its calibration is out of bounds.*temperature"),
    "no count": ('{"temperature":1.0}', "its calibration is out of bounds.*n"),
    "a further key": ('{"bias":0.5,"n":20,"temperature":1.0}', "its calibration is out of bounds.*bias"),
    "too cold": ('{"n":20,"temperature":0.04}', "its calibration is out of bounds.*temperature"),
    "too hot": ('{"n":20,"temperature":20.5}', "its calibration is out of bounds.*temperature"),
    "not a number": ('{"n":20,"temperature":NaN}', "its calibration is out of bounds.*temperature"),
    "endless": ('{"n":20,"temperature":Infinity}', "its calibration is out of bounds.*temperature"),
    "a temperature in quotes": ('{"n":20,"temperature":"1.0"}', "its calibration is out of bounds.*temperature"),
    "of no review": ('{"n":0,"temperature":1.0}', "its calibration is out of bounds.*n"),
    "a count with a point": ('{"n":20.5,"temperature":1.0}', "its calibration is out of bounds.*n"),
    "another spelling": ('{"n": 20, "temperature": 1.0}', "its calibration is not one that this version writes"),
    "a reference that is nothing": (
        '{"n":20,"reference":null,"temperature":1.0}', "its calibration is not one that this version writes",
    ),
    "a reference that is empty": ('{"n":20,"reference":{},"temperature":1.0}', "out of bounds.*reference.words"),
    **{
        name: (with_reference(**change), phrase)
        for name, change, phrase in (
            ("a share above one", {"unknown": 1.5}, "out of bounds.*unknown"),
            ("a count below zero", {"bins": [[-1, -1]]}, "out of bounds.*bins"),
            ("more positive than all", {"bins": [[1, 2]]}, "more positive reviews than reviews"),
            ("a count in quotes", {"words": ["1", 2, 3, 4, 5]}, "not one that this version writes"),
            ("a long language", {"language": "x" * 41}, "out of bounds.*language"),
            ("many rates", {"rates": [1] * 1_001}, "out of bounds.*rates"),
        )
    },
}  # fmt: skip


@pytest.mark.parametrize(("extra", "phrase"), CALIBRATIONS.values(), ids=CALIBRATIONS)
def test_an_odd_calibration_is_refused_though_the_checksums_are_right(path: Path, extra: str, phrase: str) -> None:
    MADE["ngram"].save(path)
    file = read_tensor_file(path, FORMAT)
    write_tensor_file(path, FORMAT, file.document, file.tensors, extra)
    assert_refused(path, phrase)
    with pytest.raises(ModelFileError, match=phrase):
        load_calibration(path)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
def test_a_calibration_within_its_bounds_is_read(path: Path, temperature: float) -> None:
    made = MADE["ngram"]
    save_model(path, made.model, made.encoder, made.architecture, Calibration(temperature=temperature, n=1))
    assert load_calibration(path) == Calibration(temperature=temperature, n=1)


def test_the_calibration_of_a_missing_or_foreign_file_is_refused_in_a_sentence(path: Path) -> None:
    with pytest.raises(ModelFileError, match="there is no such file"):
        load_calibration(path)
    with pytest.raises(ModelFileError, match="can run code"):
        load_calibration(path.with_suffix(".pt"))


def words_of(kind: str) -> list[str]:
    return MADE[kind].encoder.vocabulary.words


VOCABULARIES: Mapping[str, tuple[Callable[[list[str]], bytes], str]] = {
    "not JSON": (lambda words: b"the\nplot\nis", "vocabulary is not UTF-8 JSON"),
    "nothing": (lambda words: b"", "vocabulary is not UTF-8 JSON"),
    "cut short": (lambda words: json.dumps(words).encode()[:-3], "vocabulary is not UTF-8 JSON"),
    "not UTF-8": (lambda words: b'["\xff\xfe"]', "vocabulary is not UTF-8 JSON"),
    "an object": (lambda words: json.dumps(dict.fromkeys(words)).encode(), "vocabulary is not a list of words"),
    "a text": (lambda words: b'"the plot"', "vocabulary is not a list of words"),
    "null": (lambda words: b"null", "vocabulary is not a list of words"),
    "a list of numbers": (lambda words: json.dumps(list(range(len(words)))).encode(), "not a list of words"),
    "one that is no word": (lambda words: json.dumps([*words[1:], None]).encode(), "not a list of words"),
    "a word twice": (lambda words: json.dumps([*words[1:], words[1]]).encode(), "holds a word twice"),
    "nested deeply": (lambda words: b"[" * 100_000 + b"]" * 100_000, "vocabulary"),
    "half a character": (lambda words: json.dumps([*words[1:], "\ud800"]).encode(), "vocabulary"),
}


@every_kind
@pytest.mark.parametrize(("spoil", "phrase"), VOCABULARIES.values(), ids=VOCABULARIES)
def test_a_vocabulary_that_is_no_list_of_distinct_words_is_refused(
    path: Path, kind: str, spoil: Callable[[list[str]], bytes], phrase: str
) -> None:
    spoilt = np.frombuffer(spoil(words_of(kind)), np.uint8)
    rewrite(path, kind, lambda tensors, _: tensors.update({"encoder.vocabulary": spoilt}))
    assert_refused(path, phrase)


@pytest.mark.parametrize("change", [lambda words: words[:-1], lambda words: [*words, "another"], lambda words: []])
def test_a_vocabulary_of_another_length_than_the_embedding_is_refused(
    path: Path, change: Callable[[list[str]], list[str]]
) -> None:
    changed = as_json_bytes(change(words_of("bilstm")))
    rewrite(path, "bilstm", lambda tensors, _: tensors.update({"encoder.vocabulary": changed}))
    assert_refused(path, r"names, shapes or types of its architecture: \['embedding.weight'\]")


@every_kind
def test_a_missing_vocabulary_is_named(path: Path, kind: str) -> None:
    rewrite(path, kind, lambda tensors, _: tensors.pop("encoder.vocabulary"))
    assert_refused(path, "its encoder lacks the tensor 'vocabulary'")


@every_kind
def test_a_vocabulary_of_another_type_is_refused(path: Path, kind: str) -> None:
    text = json.dumps(words_of(kind)).encode()
    padded = np.frombuffer(text + b" " * (-len(text) % 4), np.float32)
    assert np.isfinite(padded).all()
    rewrite(path, kind, lambda tensors, _: tensors.update({"encoder.vocabulary": padded}))
    assert_refused(path, "vocabulary")


@every_kind
def test_a_vocabulary_of_two_dimensions_is_refused(path: Path, kind: str) -> None:
    rewrite(path, kind, lambda tensors, _: tensors.update({"encoder.vocabulary": tensors["encoder.vocabulary"][None]}))
    assert_refused(path, "vocabulary")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda active: active[:-1],
        lambda active: np.concatenate([active, active]),
        lambda active: active[:0],
    ],
    ids=["too short", "too long", "empty"],
)
def test_a_bucket_map_of_another_size_is_refused(
    path: Path, spoil: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
) -> None:
    rewrite(path, "ngram", lambda tensors, _: tensors.update({"encoder.active": spoil(tensors["encoder.active"])}))
    assert_refused(path, "bucket map has [0-9,]+ bytes; 128 belong to 2 to the power 10 buckets")


@pytest.mark.parametrize("shape", [(128,), (1, 128)], ids=["of numbers", "of two dimensions"])
def test_a_bucket_map_of_another_kind_is_refused(path: Path, shape: tuple[int, ...]) -> None:
    wrong = np.zeros(shape, np.float32 if len(shape) == 1 else np.uint8)
    rewrite(path, "ngram", lambda tensors, _: tensors.update({"encoder.active": wrong}))
    assert_refused(path, "bucket map|active")


def test_a_bucket_map_with_another_number_of_buckets_than_weights_is_refused(path: Path) -> None:
    rewrite(path, "ngram", lambda tensors, _: tensors.update({"encoder.active": np.full(128, 255, np.uint8)}))
    assert_refused(path, r"names, shapes or types of its architecture: \['ratio', 'weight'\]")


def test_a_missing_bucket_map_is_named(path: Path) -> None:
    rewrite(path, "ngram", lambda tensors, _: tensors.pop("encoder.active"))
    assert_refused(path, "its encoder lacks the tensor 'active'")


@every_kind
def test_the_tensors_of_one_kind_are_refused_under_the_name_of_another(path: Path, kind: str) -> None:
    other = next(name for name in MODEL_CONFIGS if name != kind)
    rewrite(path, kind, lambda _, document: document.update(model=plain_document(MODEL_CONFIGS[other])))
    assert_refused(path, "encoder|names, shapes or types")


@pytest.mark.parametrize("suffix", [*sorted(REFUSED_SUFFIXES), ".PTH", ".Pkl"])
def test_an_ending_that_can_carry_code_is_refused_whatever_the_content(path: Path, suffix: str) -> None:
    MADE["ngram"].save(path)
    foreign = path.rename(path.with_suffix(suffix))
    assert_refused(foreign, rf"'model{suffix}'.*\{suffix} files can run code.*never loaded.*as \.safetensors\.")


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".pkl", ".zip", ".h5"])
def test_the_known_endings_of_pickles_and_archives_are_among_the_refused(suffix: str) -> None:
    assert suffix in REFUSED_SUFFIXES


def test_a_pickle_under_our_ending_is_refused_and_not_opened(path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(path.with_name("trapped")),)

    torch.save({"weight": Trap()}, path)
    assert_refused(path, "pickle or zip archive, which can run code")
    assert os.listdir(path.parent) == [path.name]


def test_a_missing_file_and_a_foreign_one_are_refused_by_name(path: Path) -> None:
    assert_refused(path, r"Cannot load the model 'model\.safetensors': there is no such file\. Check the name\.")
    write_tensor_file(path, "reviewscope-checkpoint/1", "{}", {})
    assert_refused(path, "says that it is a .*reviewscope-checkpoint/1.* file; a reviewscope-model/1 file was expected")


def test_a_long_or_odd_file_name_makes_no_long_or_odd_sentence(path: Path) -> None:
    assert_refused(path.with_name("\u202e\n" + "x" * 200 + ".safetensors"), "Cannot load the model")


def in_pieces() -> Made:
    """Return a small BiLSTM that reads byte-pair pieces."""
    preprocessing = PreprocessingConfig(min_frequency=1, tokens="byte-pair", max_words=80)
    config = RunConfig(preprocessing=preprocessing, model=MODEL_CONFIGS["bilstm"])
    encoder = fit_encoder(REVIEWS.texts, config)
    return Made(
        build_model(config, encoder).eval(), encoder, Architecture(preprocessing=preprocessing, model=config.model)
    )


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        (lambda tensors: tensors.pop("encoder.merges"), "lacks the tensor 'merges'"),
        (lambda tensors: tensors.update({"encoder.merges": tensors["encoder.merges"][:-1]}), "each should have 8"),
        (
            lambda tensors: tensors.update({"encoder.merges": np.full(8, 255, np.uint8)}),
            "a piece that it does not hold",
        ),
        (lambda tensors: tensors.update({"encoder.vocabulary": np.frombuffer(b'["a"]', np.uint8)}), "its merges"),
    ],
)
def test_spoilt_byte_pairs_are_refused_in_a_sentence(
    path: Path, change: Callable[[Tensors], object], phrase: str
) -> None:
    made = in_pieces()
    made.save(path)
    file = read_tensor_file(path, FORMAT)
    assert np.array_equal(logits_of(load_model_file(path).model, load_model_file(path).encoder), made.logits)
    tensors = dict(file.tensors)
    change(tensors)
    write_tensor_file(path, FORMAT, file.document, tensors)
    with pytest.raises(ModelFileError, match=phrase):
        load_model_file(path)


def test_an_n_gram_model_s_file_that_asks_for_pieces_is_refused(path: Path) -> None:
    rewrite(path, "ngram", lambda _, document: document["preprocessing"].update(tokens="byte-pair"))
    with pytest.raises(ModelFileError, match="not offered for this kind"):
        load_model_file(path)
