"""Fine-tuning of a base: it computes what ``transformers`` does, and its file needs neither base nor hub."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from core.config import PreprocessingConfig, PretrainedConfig, RunConfig, parse_config, preset_config, with_settings
from core.data.labelled import fingerprint_split
from core.errors import ConfigError, ModelFileError
from core.models import pretrained
from core.models.catalog import build_model, describe_model, fit_encoder
from core.models.model_file import Architecture, load_model_file, save_model
from core.models.pretrained import Pretrained, load_weights
from core.models.scoring import score_texts
from core.prediction.explanation import explain, read_text
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.pretrained_base import load_base
from core.runs import create_run
from core.training.trainer import train_model
from core.training.watcher import Watcher
from tests.pretrained import PLACES, WIDTH, needs_extra, tiny_base, write_base
from tests.texts import invent_reviews

REVIEWS = invent_reviews(40)
ARCHITECTURES = ["bert", "distilbert", "roberta", "mpnet"]


def settings_for(base: str, **model: object) -> RunConfig:
    return parse_config(
        {
            "preprocessing": {"min_frequency": 1, "characters": "punctuation", "tokens": "byte-pair"},
            "model": {"kind": "pretrained", "base": base, **model},
            "training": {"epochs": 1, "batch_size": 16, "learning_rate": 0.01},
        }
    )


def make(base: str, **model: object) -> tuple[Pretrained, RunConfig]:
    config = settings_for(base, **model)
    made = build_model(config, fit_encoder(REVIEWS.texts, config))
    assert isinstance(made, Pretrained)
    made.start_from(load_weights(load_base(base)))
    return made.eval(), config


@needs_extra
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_its_states_are_those_that_transformers_computes_from_the_base_s_own_ids(architecture: str) -> None:
    from tokenizers import Tokenizer
    from transformers import AutoModel

    folder = tiny_base(architecture)
    theirs = AutoModel.from_pretrained(folder).eval()
    whole = Tokenizer.from_file(f"{folder}/tokenizer.json")
    model, config = make(folder)
    encoder = fit_encoder(REVIEWS.texts, config)
    texts = ["The superb plot, and the awful cast!", "dull"]
    with torch.no_grad():
        ours = model.represent(*model.collate(encoder.encode(as_text_array(texts))))
        for row, text in enumerate(texts):
            ids = torch.tensor([whole.encode(text).ids])
            expected = theirs(ids, attention_mask=torch.ones_like(ids)).last_hidden_state[0].mean(dim=0)
            assert torch.allclose(ours[row], expected, atol=1e-5), text


@needs_extra
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_trains_and_comes_back_from_its_file_without_its_base(
    architecture: str, tmp_path: Path
) -> None:
    folder = tmp_path / "base"
    shutil.copytree(tiny_base(architecture), folder)
    config = settings_for(str(folder))
    run = create_run(config, "tuned")
    assert train_model(run, config, REVIEWS, fingerprint_split(REVIEWS), Watcher()).finished
    shutil.rmtree(folder)
    loaded = load_model_file(run.model_file)
    assert str(tmp_path) not in run.model_file.read_bytes()[:20_000].decode("latin-1")
    assert isinstance(loaded.architecture.model, PretrainedConfig) and loaded.architecture.model.base is None
    logits = score_texts(loaded.model, loaded.encoder.encode(as_text_array(["superb " * 400, "", "🎬", "dull"] * 20)))
    assert np.isfinite(logits).all() and abs(logits[0] - logits[76]) <= 1e-5


@needs_extra
def test_what_is_frozen_keeps_its_weights_and_the_rest_does_not() -> None:
    config = settings_for(tiny_base(), frozen_layers=1)
    run = create_run(config, "tuned")
    train_model(run, config, REVIEWS, fingerprint_split(REVIEWS), Watcher())
    before, _ = make(tiny_base())
    after = load_model_file(run.model_file).model
    same = {name: torch.equal(value, after.state_dict()[name]) for name, value in before.state_dict().items()}
    kept = {name for name, is_same in same.items() if is_same}
    assert kept == {
        name for name in same if name.startswith(("embedding.", "encoder.embeddings.", "encoder.encoder.layer.0."))
    }


@needs_extra
def test_layers_are_told_before_any_data_is_read() -> None:
    layers = describe_model(settings_for(tiny_base()))
    assert list(layers) == ["embedding", "positions", "encoder_layer_1", "encoder_layer_2", "fc"]
    assert layers["positions"] == (PLACES + 2 + 2) * WIDTH and layers["fc"] == WIDTH + 1


@needs_extra
def test_pushes_belong_to_whole_words() -> None:
    model, config = make(tiny_base())
    encoder = fit_encoder(REVIEWS.texts, config)
    architecture = Architecture(preprocessing=config.preprocessing, model=config.model.architecture)
    with_file = save_and_load(model, encoder, architecture)
    text = "The superb <br />plots, don't"
    found = explain(with_file, text)
    reading = read_text(with_file, text, found.pushes)
    assert [text[word.start : word.end] for word in reading.words] == ["The", "superb", "plots", ",", "don't"]
    assert len(found.pushes) == 5 and all(word.push is not None and word.is_known for word in reading.words)
    assert found.base + sum(found.pushes) + found.missing == pytest.approx(float(with_file.predict([text]).logits[0]))


def save_and_load(model: Pretrained, encoder: object, architecture: Architecture) -> Predictor:
    from core import settings

    path = settings.home() / "m.safetensors"
    save_model(path, model, encoder, architecture)
    return Predictor(load_model_file(path))


@needs_extra
@pytest.mark.parametrize("fault", ["lacks", "other shape", "not finite", "no safetensors"])
def test_weights_that_are_not_those_of_the_config_are_one_sentence(fault: str, tmp_path: Path) -> None:
    write_base(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    name = "encoder.layer.1.output.dense.weight"
    if fault == "lacks":
        del weights[name]
    elif fault == "other shape":
        weights[name] = weights[name][:, :5].copy()
    elif fault == "not finite":
        weights[name][0, 0] = np.nan
    save_file(weights, path)
    if fault == "no safetensors":
        path.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="The weights in .* (cannot be read|lack)"):
        load_weights(load_base(str(tmp_path)))


def test_without_the_extra_a_training_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "EXTRA", "no_such_package")
    with pytest.raises(ConfigError, match=r"pip install -r requirements-pretrained\.txt"):
        describe_model(settings_for(tiny_base()))


@needs_extra
def test_without_the_extra_a_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model, config = make(tiny_base())
    architecture = Architecture(preprocessing=config.preprocessing, model=config.model.architecture)
    save_model(tmp_path / "m.safetensors", model, fit_encoder(REVIEWS.texts, config), architecture)
    monkeypatch.setattr(pretrained, "EXTRA", "no_such_package")
    with pytest.raises(ModelFileError, match=r"optional package.*pip install -r requirements-pretrained\.txt"):
        load_model_file(tmp_path / "m.safetensors")


def test_its_pieces_and_its_places_are_asked_for() -> None:
    for refused in ({"tokens": "words"}, {"tokens": "byte-pair", "max_length": None}):
        with pytest.raises(ConfigError, match=r"set preprocessing\.tokens to byte-pair"):
            parse_config({"preprocessing": refused, "model": {"kind": "pretrained"}})
    changed = with_settings(preset_config("fast"), ["model.kind=pretrained"])
    assert changed.preprocessing.tokens == "byte-pair" and changed.preprocessing.max_length == 254
    assert with_settings(changed, ["model.kind=ngram"]).preprocessing.tokens == "words"


def test_it_reads_no_reviews_without_a_label() -> None:
    assert not preset_config("pretrained").reads_unlabelled


def test_the_extra_is_pinned_in_a_file_of_its_own() -> None:
    root = Path(__file__).resolve().parents[3]
    lines = (root / "requirements-pretrained.txt").read_text().splitlines()
    assert "-r requirements.txt" in lines and any(line.startswith("transformers==") for line in lines)


@needs_extra
def test_no_code_of_a_base_is_ever_run(tmp_path: Path) -> None:
    write_base(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    load_weights(load_base(str(tmp_path)))
    assert not (tmp_path / "ran").exists()


def test_longest_texts_are_those_of_the_settings_and_of_the_base() -> None:
    config = settings_for(tiny_base())
    long = config.model_copy(update={"preprocessing": PreprocessingConfig(tokens="byte-pair", max_length=9_999)})
    assert fit_encoder(REVIEWS.texts, long).encode(as_text_array(["the " * 2_000])).lengths.tolist() == [PLACES - 2]
