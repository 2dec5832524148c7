"""Choosing a model on the training page: which to take, another kind, a path, members; what starts is what was said."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, model_figures
from core.cli import _training_config
from core.config import PRESETS, RunConfig, preset_config, with_data, with_settings
from core.data.sources import load_columns
from core.jobs import run_job
from core.runs import create_run, list_runs
from tests.shipped import finish, make_row, write_shipped

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    monkeypatch.setattr("core.jobs.start_worker", lambda slot: None)
    rows = make_row("fast", seconds=7.0), make_row("compact", test_accuracy=0.93, seconds=127.0)
    monkeypatch.setattr(model_figures, "SHIPPED_FILE", write_shipped(tmp_path / "shipped.json", *rows))


def open_training(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    for key, value in parameters.items():
        app.query_params[key] = value
    app = app.switch_page(str(ROOT / "pages" / "training.py")).run()
    assert not app.exception
    return app


def html_of(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def started_config(app: AppTest) -> RunConfig:
    """Press start; return what was queued, which the shown command would queue too."""
    line = app.code[0].value
    app.button(key="start").click().run()
    assert not app.exception
    config = list_runs()[0].settings.config
    words = shlex.split(line)
    assignments = [word for before, word in pairwise(words) if before == "--set"]
    preset = words[words.index("--preset") + 1]
    assert _training_config(preset, "demo", None, None, None, assignments) == config
    return config


def labels_of_expanders(app: AppTest) -> list[str]:
    return [expander.label for expander in app.expander]


def test_before_any_run_the_shipped_figures_tell_which_model_and_each_caption_has_its_own() -> None:
    app = open_training()
    assert "Which model? compact is 2.0 points above fast for 2 min more." in labels_of_expanders(app)
    assert "Measured on a machine with IMDB, on its 25,000 test reviews" in html_of(app)
    captions = dict(zip(PRESETS, app.radio(key="preset").proto.captions, strict=True))
    assert "91.0 % on IMDB (90.6 to 91.3)" in captions["fast"] and "on IMDB" not in captions["classic"]


def test_runs_on_this_data_take_the_place_of_what_was_shipped() -> None:
    for preset, valid, seconds in (("fast", 0.8, 2.0), ("compact", 0.7, 20.0)):
        finish(with_data(preset_config(preset), "demo"), preset, valid, test=0.79, seconds=seconds)
    app = open_training()
    assert "Which model? fast is the quickest and the most accurate of these." in labels_of_expanders(app)
    assert "Measured here, by 2 runs on this data, on validation." in html_of(app)
    assert "80.0 % in earlier runs (" in app.radio(key="preset").proto.captions[0]
    app.segmented_control(key="data-source").set_value("imdb").run()
    assert "compact is 2.0 points above fast" in str(labels_of_expanders(app))


def test_runs_that_failed_on_one_class_leave_the_shipped_figures() -> None:
    for _ in range(2):
        run = create_run(with_data(preset_config("fast"), "demo"), "fast")
        run.save_state("failed", "The training split holds 0 positive reviews.")
    assert "Which model? compact is 2.0 points" in str(labels_of_expanders(open_training()))


def test_without_any_figure_there_is_no_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_figures, "SHIPPED_FILE", write_shipped(tmp_path / "none.json"))
    app = open_training()
    assert not any("Which model?" in label for label in labels_of_expanders(app))
    finish(with_data(preset_config("fast"), "demo"), "fast", 0.8, seconds=2.0)
    assert "fast is right about 80.0 % after 2 s." in str(labels_of_expanders(open_training()))


def test_another_kind_of_model_reaches_the_run_the_command_and_what_was_changed() -> None:
    app = open_training()
    app.radio(key="preset").set_value("compact").run()
    app.selectbox(key="form0.compact.model.kind").set_value("transformer").run()
    app.number_input(key="form0.compact.model.transformer.num_layers").set_value(1).run()
    app.number_input(key="form0.compact.training.epochs").set_value(2).run()
    assert "Changed from the preset compact: model bilstm → transformer, layers 2 → 1, epochs 4 → 2." in html_of(app)
    assert "--set model.kind=transformer --set model.num_layers=1 --set training.epochs=2" in app.code[0].value
    config = started_config(app)
    assignments = ["model.num_layers=1", "training.epochs=2", "model.kind=transformer"]
    assert config == with_settings(with_data(preset_config("compact"), "demo"), assignments)
    again = open_training(**{"from": list_runs()[0].run_id})
    assert again.code[0].value.startswith("python -m core train --preset ") and "Changed from" not in html_of(again)
    assert started_config(again) == config


def test_reset_brings_the_kind_of_the_preset_back() -> None:
    app = open_training()
    app.selectbox(key="form0.fast.model.kind").set_value("bilstm").run()
    assert "model ngram → bilstm" in html_of(app)
    app.button(key="reset").click().run()
    assert app.selectbox(key="form1.fast.model.kind").value == "ngram" and "Changed from" not in html_of(app)


def test_attention_is_a_choice_of_the_form() -> None:
    app = open_training()
    app.radio(key="preset").set_value("compact").run()
    app.selectbox(key="form0.compact.model.pooling").set_value("attention").run()
    assert getattr(started_config(app).model, "pooling", None) == "attention"


def test_byte_pair_tokens_are_a_choice_of_the_form_where_a_model_reads_in_order() -> None:
    app = open_training()
    assert app.selectbox(key="form0.fast.preprocessing.tokens.words").disabled
    app.radio(key="preset").set_value("compact").run()
    app.selectbox(key="form0.compact.preprocessing.tokens").set_value("byte-pair").run()
    assert started_config(app).preprocessing.tokens == "byte-pair"


def test_a_file_of_vectors_is_asked_for_by_path_and_a_wrong_one_is_one_sentence(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("good 1 0\n")
    app = open_training()
    app.radio(key="preset").set_value("compact").run()
    assert app.text_input(key="form0.compact.model.vectors_path.None").disabled
    app.selectbox(key="form0.compact.model.start").set_value("file").run()
    assert "none is named" in html_of(app) and app.button(key="start").disabled
    app.text_input(key="form0.compact.model.vectors_path").set_value("/<b>no</b>where.txt").run()
    assert "there is nothing at &#x27;/&lt;b&gt;no&lt;/b&gt;where.txt" in html_of(app)
    assert app.button(key="start").disabled and not app.exception
    app.text_input(key="form0.compact.model.vectors_path").set_value(f"  {vectors} ").run()
    model = started_config(app).model
    assert (getattr(model, "start", None), getattr(model, "vectors_path", None)) == ("file", str(vectors))


def test_members_are_chosen_by_name_from_presets_and_finished_runs() -> None:
    mine = create_run(with_data(preset_config("fast"), "demo"), "fast", "mine")
    mine.save_state("finished")
    mine.model_file.touch()
    app = open_training()
    app.selectbox(key="form0.fast.model.kind").set_value("ensemble").run()
    chosen = app.multiselect(key="form0.fast.model.ensemble.members")
    assert {"fast", "compact", "mine"} <= set(chosen.options)
    chosen.set_value(["fast", "mine"]).run()
    assert getattr(started_config(app).model, "members", None) == ("fast", "mine")


SMALL = {"batch_size": 16, "epochs": 6, "learning_rate": 0.003}


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["attention", "byte-pair", "vectors file", "transformer"])
def test_what_the_form_starts_learns_the_demo_corpus(choice: str, tmp_path: Path) -> None:
    preset = "transformer" if choice == "transformer" else "compact"
    app = open_training()
    app.radio(key="preset").set_value(preset).run()
    if choice == "attention":
        app.selectbox(key="form0.compact.model.pooling").set_value("attention").run()
    elif choice == "byte-pair":
        app.selectbox(key="form0.compact.preprocessing.tokens").set_value("byte-pair").run()
    elif choice == "vectors file":
        write_vectors(tmp_path / "vectors.txt", 100)
        app.selectbox(key="form0.compact.model.start").set_value("file").run()
        app.text_input(key="form0.compact.model.vectors_path").set_value(str(tmp_path / "vectors.txt")).run()
    for name, number in SMALL.items() if preset == "compact" else ():
        app.number_input(key=f"form0.compact.training.{name}").set_value(number).run()
    app.button(key="start").click().run()
    run = list_runs()[0]
    run_job(run.path)
    assert run.result is not None and (run.result.test_accuracy or 0.0) >= 0.80


def write_vectors(path: Path, width: int) -> None:
    """Write a vector for each word of the demo corpus, as GloVe does; they mean nothing."""
    texts = load_columns(with_data(RunConfig(), "demo").data)["train"].texts.to_pylist()
    words = sorted({word for text in texts for word in re.findall("[a-z]+", text.lower())})
    rows = np.random.default_rng(0).normal(0.0, 0.1, (len(words), width))
    lines = (f"{word} {' '.join(f'{value:.4f}' for value in row)}\n" for word, row in zip(words, rows, strict=True))
    path.write_text("".join(lines))
