"""The training and home pages without a browser."""

import io
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.config import preset_config, with_data, with_settings
from core.jobs import list_waiting, run_job
from core.prediction.uploads import save_upload
from core.runs import Run, create_run, list_runs

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    monkeypatch.setattr("core.jobs.start_worker", lambda slot: None)


def open_page(name: str, **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=30).run()
    for key, value in parameters.items():
        app.query_params[key] = value
    return app.switch_page(str(ROOT / "pages" / f"{name}.py")).run()


def html_of(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def finished_run() -> Run:
    config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14"])
    run = create_run(config, "fast", with_test=True)
    run_job(run.path)
    assert run.state.status == "finished"
    return run


def test_start_makes_the_run_that_the_command_line_shows() -> None:
    app = open_page("training")
    assert not app.exception
    assert app.code[0].value == "python -m core train --preset fast --data demo --test"
    app.radio(key="preset").set_value("compact").run()
    app.text_input(key="run-name").set_value("my first").run()
    assert app.code[0].value == "python -m core train --preset compact --data demo --name 'my first' --test"
    app.button(key="start").click().run()
    assert not app.exception
    run = list_runs()[0]
    assert run.about.name == "my first" and run.state.status == "queued"
    assert [each.job.path for each in list_waiting("train")] == [run.path]
    assert "Waiting." in html_of(app)


def test_a_changed_setting_reaches_the_run_and_the_command_line() -> None:
    app = open_page("training")
    app.number_input(key="form0.fast.training.epochs").set_value(2).run()
    assert "--set training.epochs=2" in app.code[0].value
    app.button(key="start").click().run()
    assert list_runs()[0].settings.config.training.epochs == 2


def test_every_setting_of_every_preset_has_a_widget_with_help() -> None:
    app = open_page("training")
    for preset in ("fast", "compact", "classic"):
        app.radio(key="preset").set_value(preset).run()
        assert not app.exception
        config = preset_config(preset)
        keys = {
            f"form0.{preset}.{section}.{field}"
            for section in ("preprocessing", "model", "training")
            for field in type(getattr(config, section)).model_fields
            if field != "kind"
        }
        widgets = [*app.number_input, *app.selectbox, *app.toggle]
        assert keys <= {widget.key for widget in widgets}
        assert all(widget.help for widget in widgets if widget.key in keys)


def test_a_finished_run_shows_train_validation_and_test_side_by_side() -> None:
    run = finished_run()
    app = open_page("training", run=run.run_id)
    assert not app.exception
    assert [metric.label for metric in app.metric] == [
        "Validation accuracy, kept", "Validation loss, kept", "Train accuracy", "Test accuracy", "Train over test",
    ]  # fmt: skip
    assert len(app.get("vega_lite_chart")) == 2
    app.button(key="use").click().run()
    assert "used for predictions" in html_of(app)


@pytest.mark.parametrize(("status", "words"), [("failed", "The disk is full"), ("stopped", "Stopped when you asked")])
def test_a_run_that_broke_off_says_why_and_what_is_kept(status: str, words: str) -> None:
    run = create_run(with_data(preset_config("fast"), "demo"), "fast")
    run.save_state(status, "The disk is full." if status == "failed" else "")  # type: ignore[arg-type]
    app = open_page("training", run=run.run_id)
    assert not app.exception and words in html_of(app) and "Nothing was learnt yet" in html_of(app)
    app.button(key="resume").click().run()
    assert run.state.status == "queued"


def test_an_interrupted_run_offers_to_resume() -> None:
    run = create_run(with_data(preset_config("fast"), "demo"), "fast")
    run.save_state("running")
    app = open_page("training", run=run.run_id)
    assert "ended without saying why" in html_of(app) and app.button(key="resume").label == "Resume"


@pytest.mark.parametrize(
    ("labels", "words"), [("01", "50 negative and 50 positive"), ("0x", "50 rows cannot be trained on")]
)
def test_a_labelled_table_is_checked_before_the_start(labels: str, words: str) -> None:
    table = "text,label\n" + "".join(f"review {row},{labels[row % 2]}\n" for row in range(100))
    upload = save_upload(io.BytesIO(table.encode()), "mine.csv")
    app = open_page("training", table=upload.upload_id)
    assert not app.exception and words in html_of(app)
    assert app.button(key="start").disabled == ("x" in labels)


def test_a_hostile_run_name_is_text_and_nothing_else() -> None:
    name = "<script>alert(1)</script>![x](http://example.org/x.png)"
    run = create_run(with_data(preset_config("fast"), "demo"), "fast", name)
    app = open_page("training", run=run.run_id)
    assert "&lt;script&gt;" in html_of(app) and "<script>" not in html_of(app)
    assert not any(name in markdown.value for markdown in app.markdown)


def test_home_reads_a_review_and_shows_the_starter_s_card_before_any_run() -> None:
    app = open_page("home")
    assert not app.exception
    assert "confident" in html_of(app) and "starter" in html_of(app).lower()
    app.text_area[0].set_value("   ").run()
    assert "Write something" in html_of(app)


def test_home_lists_the_last_runs() -> None:
    run = finished_run()
    app = open_page("home")
    assert not app.exception
    frame = app.dataframe[0].value
    assert frame["Run"].tolist() == [run.run_id] and frame["State"].tolist() == ["finished"]
