"""The form of settings: another kind of model, paths, names, and what has no meaning beside another choice."""

from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from streamlit.testing.v1 import AppTest

from core.config import KINDS, PRESETS, BiLSTMConfig, RunConfig, Settings, preset_config, with_kind, with_settings
from core.runs import create_run
from dashboard import forms
from dashboard.forms import Need, changed_settings, field_kind, read_path


class Sample(Settings):
    """A section with every kind of field."""

    start: Literal["random", "file"] = Field("random", title="Start", description="Where it begins.")
    path: str | None = Field(None, title="Vectors", description="A file.")
    members: tuple[str, ...] = Field(("fast",), title="Members", description="Which.")
    teacher: Literal["strong"] | None = Field(None, title="Teacher", description="Who.")
    rate: float | None = Field(None, gt=0.0, title="Rate", description="How fast.")


def form_page(preset: str) -> None:
    import streamlit as st

    from core.config import preset_config
    from core.errors import ConfigError
    from dashboard.forms import draw_config_form

    try:
        st.session_state["found"] = draw_config_form(preset_config(preset), "form")
    except ConfigError as error:
        st.session_state["found"] = str(error)


def sample_page() -> None:
    import streamlit as st

    from dashboard import forms
    from tests.dashboard.test_forms import Sample

    problems: list[str] = []
    document = {"model": Sample().model_dump()}
    for name, field in Sample.model_fields.items():
        path = f"model.{name}"
        need = forms.unmet_need(path, document)
        reason = need.words if need is not None else ""
        document["model"][name] = forms._draw_field(field, getattr(Sample(), name), path, name, reason, problems)
    st.session_state["found"] = (document["model"], problems)


def open_form(preset: str) -> AppTest:
    return AppTest.from_function(form_page, kwargs={"preset": preset}, default_timeout=30).run()


def found_in(app: AppTest) -> Any:
    assert not app.exception
    return app.session_state["found"]


@pytest.mark.parametrize("preset", PRESETS)
def test_an_untouched_form_gives_back_what_it_was_filled_in_with(preset: str) -> None:
    assert found_in(open_form(preset)) == preset_config(preset)


@pytest.mark.parametrize("kind", KINDS)
def test_another_kind_of_model_fills_its_section_with_its_defaults_and_keeps_the_rest(kind: str) -> None:
    preset = "compact" if kind == "ngram" else "fast"
    app = open_form(preset)
    app.number_input(key="form.training.epochs").set_value(3).run()
    app.selectbox(key="form.model.kind").set_value(kind).run()
    before = with_settings(preset_config(preset), ["training.epochs=3"])
    expected = with_kind(preset_config(preset) if kind == "ensemble" else before, kind)
    if kind == "pretrained":  # which has its own pieces, and so many at most
        assert "max_length to a number" in found_in(app)
        app.number_input(key="form.preprocessing.max_length").set_value(254).run()
        text = {"tokens": "byte-pair", "max_length": 254}
        expected = expected.model_copy(update={"preprocessing": before.preprocessing.model_copy(update=text)})
    assert found_in(app) == expected
    if kind == "pretrained":
        app.number_input(key="form.preprocessing.max_length").set_value(None).run()
    app.selectbox(key="form.model.kind").set_value(preset_config(preset).model.kind).run()
    assert found_in(app) == before


def test_a_field_that_two_kinds_share_by_name_is_not_carried_over() -> None:
    app = open_form("compact")
    app.number_input(key="form.model.num_layers").set_value(3).run()
    app.selectbox(key="form.model.kind").set_value("ngram").run()
    app.number_input(key="form.model.ngram.max_n").set_value(2).run()
    assert found_in(app).model.max_n == 2
    app.selectbox(key="form.model.kind").set_value("bilstm").run()
    assert found_in(app).model == preset_config("compact").model  # what left the screen is forgotten


def test_a_change_of_kind_is_told_against_the_defaults_of_the_new_one_and_rebuilds_it() -> None:
    before = preset_config("fast")
    after = with_settings(before, ["model.kind=bilstm", "model.hidden_size=32", "training.epochs=2"])
    changed = changed_settings(before, after)
    assert changed == {"model.kind": "bilstm", "model.hidden_size": 32, "training.epochs": 2}
    assert with_settings(before, [f"{path}={value}" for path, value in changed.items()]) == after
    assert changed_settings(before, before) == {}


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> AppTest:
    need = Need("model.start", ("file",), "Only where it starts from a file.")
    monkeypatch.setattr(forms, "NEEDS", {"model.path": (need,)})
    monkeypatch.setattr(forms, "_names_for", lambda path: ["fast", "compact", "my-run"])
    return AppTest.from_function(sample_page, default_timeout=30).run()


def test_what_has_no_meaning_beside_another_choice_rests_and_says_why(sample: AppTest) -> None:
    assert sample.text_input(key="path").disabled
    assert sample.text_input(key="path").help == "A file. Only where it starts from a file."
    sample.selectbox(key="start").set_value("file").run()
    assert not sample.text_input(key="path").disabled and sample.text_input(key="path").help == "A file."


def test_a_choice_that_another_kind_of_model_cannot_have_rests_there_and_comes_back_with_the_first() -> None:
    app = open_form("compact")
    app.selectbox(key="form.preprocessing.tokens").set_value("byte-pair").run()
    assert found_in(app).preprocessing.tokens == "byte-pair"
    app.selectbox(key="form.model.kind").set_value("ngram").run()
    resting = app.selectbox(key="form.preprocessing.tokens.words")
    assert resting.disabled and resting.value == "words"
    assert found_in(app).preprocessing.tokens == "words" and found_in(app).model.kind == "ngram"
    app.selectbox(key="form.model.kind").set_value("pretrained").run()
    assert app.selectbox(key="form.preprocessing.tokens.byte-pair").value == "byte-pair"
    assert found_in(app).preprocessing.tokens == "byte-pair" and found_in(app).model.kind == "pretrained"


def test_an_optional_choice_can_be_none_and_several_names_are_a_tuple(sample: AppTest) -> None:
    assert sample.selectbox(key="teacher").options == ["none", "strong"]
    found, problems = found_in(sample)
    assert found == Sample().model_dump() and not problems
    sample.selectbox(key="teacher").set_value("strong").run()
    sample.multiselect(key="members").set_value(["compact", "my-run"]).run()
    found, _ = found_in(sample)
    assert found["teacher"] == "strong" and found["members"] == ("compact", "my-run")


def test_a_path_is_trimmed_made_absolute_and_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my vectors.txt").touch()
    problems: list[str] = []
    whole = str(tmp_path / "my vectors.txt")
    for typed in ("my vectors.txt", f"  {whole}\n", "~/my vectors.txt"):
        assert read_path(typed, "Vectors", problems) == whole
    assert read_path("", "Vectors", problems) is None and read_path(" \t", "Vectors", problems) is None
    assert problems == []


@pytest.mark.parametrize("typed", ["nowhere.txt", "https://example.org/v.vec", "\0", "x" * 5_000, "~nobody-at-all/x"])
def test_what_is_no_path_here_is_one_sentence(typed: str) -> None:
    problems: list[str] = []
    read_path(typed, "Vectors", problems)
    assert len(problems) == 1 and problems[0].startswith("Vectors: there is nothing at ") and len(problems[0]) < 400


def test_the_members_to_choose_from_are_presets_and_runs_that_have_a_model() -> None:
    finished, unfinished = (create_run(RunConfig(), "fast", name) for name in ("done", "begun"))
    finished.save_state("finished")
    finished.model_file.touch()
    unfinished.save_state("queued")
    names = forms._names_for("model.members")
    assert {"fast", "compact", "done"} <= set(names) and not {"begun", "strong"} & set(names)


def test_every_setting_of_every_kind_is_of_a_sort_that_the_form_can_draw() -> None:
    for kind in KINDS:
        model = with_kind(RunConfig(), kind).model
        for name, field in type(model).model_fields.items():
            sort, _ = field_kind(field)
            origin = getattr(sort, "__origin__", sort)
            assert origin in (Literal, bool, int, float, str, tuple), f"{kind}.{name}"
    assert isinstance(with_kind(preset_config("fast"), "bilstm").model, BiLSTMConfig)


def test_an_ensemble_leaves_text_and_training_to_its_members() -> None:
    app = open_form("fast")
    app.selectbox(key="form.model.kind").set_value("ensemble").run()
    assert (
        app.number_input(key="form.training.epochs").disabled
        and not app.number_input(key="form.training.seed").disabled
    )
    assert "The members of an ensemble keep their own." in str(app.number_input(key="form.training.epochs").help)
    assert found_in(app).training == preset_config("fast").training
