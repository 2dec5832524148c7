"""The training and home pages without a browser."""

import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import cli, jobs, model_figures
from core.config import PRESETS, Meaning, preset_config, with_data, with_settings
from core.jobs import MOST_WAITING, list_waiting, run_job, submit_run
from core.prediction.uploads import save_upload
from core.runs import Run, create_run, list_runs
from core.settings import DATA_VARIABLE, END_COMMAND_VARIABLE
from core.training.forecast import Costs, ForecastJob, create_forecast_job
from tests.shipped import make_row, write_shipped

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    monkeypatch.setattr("core.jobs.start_worker", lambda slot: None)


COSTS = Costs(
    load=1.0, prepare=4.0, step=0.1, validation=2.0, save=0.5, test=5.0, n_train=6_400, n_valid=700, n_test=1_000,
    threads=2, steps_timed=40, rehearsed=6.2, disturbed=False, fingerprint="f",
)  # fmt: skip


def rehearse_presets(data: str = "demo") -> None:
    """Pretend that every preset was rehearsed."""
    for preset in PRESETS:
        create_forecast_job(with_data(preset_config(preset), data)).save_costs(COSTS)


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
    for preset in PRESETS:
        app.radio(key="preset").set_value(preset).run()
        assert not app.exception
        config = preset_config(preset)
        keys = {
            f"form0.{preset}.{section}.{field}"
            for section in ("preprocessing", "model", "training")
            for field in type(getattr(config, section)).model_fields
        }
        widgets = [*app.number_input, *app.selectbox, *app.toggle, *app.text_input, *app.multiselect]
        # One that has no meaning beside the others rests, under a key of its own.
        shown = {re.sub(r"^(form0(\.\w+){3})\..*", r"\1", widget.key or ""): widget for widget in widgets}
        assert keys <= set(shown)
        assert all(shown[key].help for key in keys)


def test_the_chosen_preset_and_the_ruler_are_rehearsed_once_the_chosen_one_first_and_start_does_not_wait() -> None:
    app = open_page("training")
    assert len(list_waiting("quick")) == 1
    app.radio(key="preset").set_value("classic").run()
    app.toggle(key="with-test").set_value(False).run()
    assert len(list_waiting("quick")) == 2
    assert "The rehearsal is about to begin" in html_of(app) and not app.button(key="start").disabled
    app.number_input(key="form0.classic.training.batch_size").set_value(32).run()
    waiting = [each.job.path.name for each in list_waiting("quick")]
    config = with_settings(with_data(preset_config("classic"), "demo"), ["training.batch_size=32"])
    assert len(waiting) == 3 and waiting[0] == create_forecast_job(config).path.name


def test_what_was_not_rehearsed_is_estimated_from_the_shipped_figures_and_the_ruler_s_rehearsal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = make_row("fast", seconds=10.0), make_row("compact", seconds=200.0)
    monkeypatch.setattr(model_figures, "SHIPPED_FILE", write_shipped(tmp_path / "shipped.json", *rows))
    create_forecast_job(with_data(preset_config("fast"), "demo")).save_costs(COSTS)
    captions = dict(zip(PRESETS, open_page("training").radio(key="preset").proto.captions, strict=True))
    assert "**about 30 s**" in captions["fast"]  # 3 times as long as shipped
    assert "**about 10 min, estimated**" in captions["compact"] and "**not rehearsed yet**" in captions["classic"]


def test_a_rehearsed_preset_says_how_long_it_takes_and_a_budget_cuts_it() -> None:
    rehearse_presets()
    app = open_page("training")
    assert not list_waiting("quick")
    app.radio(key="preset").set_value("compact").run()
    app.toggle(key="with-test").set_value(False).run()
    assert "55 s" in html_of(app) and "at most 4 epochs of 12 s" in html_of(app).replace("\N{NO-BREAK SPACE}", " ")
    assert "**about 55 s**" in app.radio(key="preset").proto.captions[list(PRESETS).index("compact")]
    app.toggle(key="is-limited").set_value(True).run()
    assert "Fits your budget" in html_of(app)
    app.number_input(key="minutes").set_value(0.5).run()
    assert "instead, and ends on time" in html_of(app)
    app.button(key="start").click().run()
    steps = list_runs()[0].settings.config.training.max_steps
    assert steps is not None and 100 < steps < 400


def test_the_command_line_shows_the_budget_as_the_steps_that_start() -> None:
    rehearse_presets()
    app = open_page("training")
    app.toggle(key="is-limited").set_value(True).run()
    app.number_input(key="minutes").set_value(0.3).run()
    assert "--set training.max_steps=" in app.code[0].value
    app.number_input(key="minutes").set_value(0.1).run()
    assert "too few" in html_of(app) and app.button(key="start").disabled


def run_command(line: str) -> None:
    """Run a shown command in this process, leaving the training itself to the queue."""
    program, *words = shlex.split(line.removeprefix("python -m "))
    assert program == "core"
    cli.app([*words, "--queue"], standalone_mode=False)


@pytest.mark.parametrize("repeats", ["Once", "3 seeds", "Grid"])
def test_the_shown_commands_train_exactly_what_the_button_does(repeats: str) -> None:
    rows = "".join(f"review {row},{'wow' if row % 2 else 'so, so'}\n" for row in range(100)).replace(
        "so, so", '"so, so"'
    )
    upload = save_upload(io.BytesIO(f"words,verdict\n{rows}".encode()), "mine.csv")
    app = open_page("training", table=upload.upload_id, labels="np")
    app.radio(key="preset").set_value("compact").run()
    app.selectbox(key="form0.compact.training.schedule").set_value("constant").run()
    app.number_input(key="form0.compact.preprocessing.max_length").set_value(None).run()
    for each in list_waiting("quick"):
        ForecastJob(each.job.path).save_costs(COSTS)
    app.toggle(key="is-limited").set_value(True).run()
    app.number_input(key="minutes").set_value(0.8).run()
    app.segmented_control(key="repeats").set_value(repeats).run()
    if repeats == "Grid":
        app.multiselect(key="grid-bilstm").set_value(["training.learning_rate"]).run()
        app.text_input(key="grid-training.learning_rate").set_value("0.001, 0.004").run()
    app.text_input(key="run-name").set_value("it's mine").run()
    lines = app.code[0].value.splitlines()
    app.button(key="start").click().run()
    started = {run.about.name: run.settings for run in list_runs()}
    assert len(started) == {"Once": 1, "3 seeds": 3, "Grid": 2}[repeats]
    assert all(each.config.training.max_steps for each in started.values())
    for run in list_runs():
        shutil.rmtree(run.path)
    for each in list_waiting("train"):
        each.entry.unlink()
    for line in lines:
        run_command(line)
    assert {run.about.name: run.settings for run in list_runs()} == started


def test_a_limit_without_a_forecast_starts_nothing() -> None:
    app = open_page("training")
    app.toggle(key="is-limited").set_value(True).run()
    assert "being measured" in html_of(app) and app.button(key="start").disabled


def test_a_failed_rehearsal_is_one_sentence_and_start_works() -> None:
    app = open_page("training")
    for each in list_waiting("quick"):
        each.entry.unlink()
        each.job.save_state("failed", "The data cannot be <b>read</b>.")
    app.run()
    assert "The data cannot be &lt;b&gt;read&lt;/b&gt;. You can start all the same." in html_of(app)
    assert not app.button(key="start").disabled and not list_waiting("quick")
    app.button(key="rehearse-again").click().run()
    assert len(list_waiting("quick")) == 1


def test_three_seeds_are_queued_in_one_go_and_shown_on_the_runs_page() -> None:
    app = open_page("training")
    app.segmented_control(key="repeats").set_value("3 seeds").run()
    app.toggle(key="with-tensorboard").set_value(True).run()
    assert app.code[0].value == "python -m core train --preset fast --data demo --seeds 3 --test --tensorboard"
    assert app.button(key="start").label == "Queue 3 runs" and "Seeds 0 to 2" in html_of(app)
    app.button(key="start").click().run()
    runs = list_runs()
    assert sorted(run.settings.config.training.seed for run in runs) == [0, 1, 2]
    assert all(run.settings.with_tensorboard and run.settings.with_test for run in runs)
    assert len({run.about.group for run in runs}) == 1 and len(list_waiting("train")) == 3


def test_a_grid_says_how_many_runs_it_means_and_queues_them() -> None:
    rehearse_presets()
    app = open_page("training")
    app.segmented_control(key="repeats").set_value("Grid").run()
    assert app.button(key="start").disabled and "Choose one or two settings" in html_of(app)
    app.multiselect(key="grid-ngram").set_value(["training.learning_rate", "training.epochs"]).run()
    app.text_input(key="grid-training.learning_rate").set_value("0.05, 0.1").run()
    app.text_input(key="grid-training.epochs").set_value("2, 3, x").run()
    assert "'x' is no value for it" in html_of(app).replace("&#x27;", "'") and app.button(key="start").disabled
    app.text_input(key="grid-training.epochs").set_value("2, 3, 4").run()
    assert "2 x 3 = 6 runs, about " in html_of(app)
    assert len(app.code[0].value.splitlines()) == 6
    app.button(key="start").click().run()
    assert not app.exception and len(list_waiting("train")) == 6


def test_more_runs_than_the_queue_takes_are_refused_in_a_sentence() -> None:
    for _ in range(8):
        submit_run(with_data(preset_config("fast"), "demo"), "fast")
    app = open_page("training")
    app.segmented_control(key="repeats").set_value("5 seeds").run()
    assert "the queue has room for 3" in html_of(app) and app.button(key="start").disabled
    app.segmented_control(key="repeats").set_value("3 seeds").run()
    app.button(key="start").click().run()
    app = open_page("training")
    assert "All 10 places in the queue are taken" in html_of(app) and app.button(key="start").disabled
    assert len(list_runs()) == MOST_WAITING + 1


def test_what_waits_is_listed_moved_and_removed() -> None:
    rehearse_presets()
    first, second = (submit_run(with_data(preset_config("fast"), "demo"), "fast", f"{word}![x](y)") for word in "ab")
    app = open_page("training")
    assert "Queue: 2 of 10 places taken" in html_of(app) and "starts about" in html_of(app)
    assert app.button(key="start").label == "Add to queue" and "after those that wait" in html_of(app)
    assert app.button(key=f"queue-up-{first.run_id}").disabled
    app.button(key=f"queue-down-{first.run_id}").click().run()
    assert [each.job.path for each in list_waiting("train")] == [second.path, first.path]
    app.button(key=f"queue-remove-{second.run_id}").click().run()
    assert second.state.status == "stopped" and "Queue: 1 of 10" in html_of(app)
    assert not any("![x]" in markdown.value for markdown in app.markdown)


def test_a_new_run_from_an_old_one_is_filled_in_marks_changes_and_knows_its_parent() -> None:
    config = with_settings(with_data(preset_config("compact"), "demo"), ["training.learning_rate=0.004"])
    old = create_run(config, "compact", "<b>mine</b>")
    app = open_page("training", **{"from": old.run_id})
    assert not app.exception and app.radio(key="preset").value == "compact"
    assert app.segmented_control(key="data-source").value == "demo"
    assert "&lt;b&gt;mine&lt;/b&gt;" in html_of(app) and "Changed from" not in html_of(app)
    key = f"form0.run-{old.run_id}.training"
    assert app.number_input(key=f"{key}.learning_rate").value == 0.004
    app.number_input(key=f"{key}.epochs").set_value(9).run()
    assert "Changed from &lt;b&gt;mine&lt;/b&gt;: epochs 4 → 9." in html_of(app)
    app.button(key="reset").click().run()
    assert "Changed from" not in html_of(app)
    app.number_input(key=f"form1.run-{old.run_id}.training.epochs").set_value(2).run()
    assert "--set training.epochs=2 --set training.learning_rate=0.004" in app.code[0].value
    app.button(key="start").click().run()
    new = list_runs()[0]
    assert new.settings.parent == old.run_id and new.settings.config.training.learning_rate == 0.004


def test_an_old_run_fills_the_form_in_again_after_another_page() -> None:
    old = create_run(with_data(preset_config("compact"), "demo"), "compact")
    app = open_page("training", **{"from": old.run_id})
    assert app.radio(key="preset").value == "compact"
    app.radio(key="preset").set_value("fast").run()
    app.switch_page(str(ROOT / "pages" / "home.py")).run()
    app.query_params["from"] = old.run_id
    app.switch_page(str(ROOT / "pages" / "training.py")).run()
    assert app.radio(key="preset").value == "compact"


def test_another_preset_leaves_the_old_run_s_settings_and_is_no_child_of_it() -> None:
    old = create_run(with_data(preset_config("compact"), "demo"), "compact")
    app = open_page("training", **{"from": old.run_id})
    app.radio(key="preset").set_value("fast").run()
    app.button(key="start").click().run()
    assert list_runs()[0].settings.parent is None and list_runs()[0].settings.config.model.kind == "ngram"


def test_a_new_run_from_one_with_a_table_finds_the_table_and_its_columns_again() -> None:
    rows = "".join(f"{row},{'ny'[row % 2]},review {row}\n" for row in range(100))
    upload = save_upload(io.BytesIO(f"id,verdict,words\n{rows}".encode()), "mine.csv")
    labels: dict[str, Meaning] = {"n": "negative", "y": "positive"}
    config = with_data(preset_config("fast"), str(upload.table), "words", "verdict", labels)
    old = create_run(config, "fast")
    app = open_page("training", **{"from": old.run_id})
    assert "50 negative and 50 positive" in html_of(app)
    app.button(key="start").click().run()
    assert list_runs()[0].settings.config == config


def test_a_run_on_a_table_elsewhere_is_repeated_where_it_lies_or_says_that_it_is_gone(tmp_path: Path) -> None:
    table = tmp_path / "far.csv"
    table.write_text("text,label\n" + "".join(f"review {row},{row % 2}\n" for row in range(100)))
    old = create_run(with_data(preset_config("fast"), str(table)), "fast")
    app = open_page("training", **{"from": old.run_id})
    assert "It is used unless you choose another." in html_of(app) and not app.button(key="start").disabled
    table.unlink()
    app.run()
    assert "It is not there any more" in html_of(app) and app.button(key="start").disabled


def test_an_address_from_a_run_that_is_gone_says_so_and_goes_on_with_a_preset() -> None:
    app = open_page("training", **{"from": "gone"})
    assert not app.exception and "There is no run" in html_of(app) and not app.button(key="start").disabled
    app.button(key="leave-source").click().run()
    assert "There is no run" not in html_of(app)


def test_a_file_of_settings_fills_the_form_in_and_any_other_is_refused() -> None:
    config = with_settings(preset_config("compact"), ["training.epochs=7"])
    app = open_page("training")
    app.file_uploader(key="settings-0").upload("mine.json", config.model_dump_json().encode()).run()
    assert not app.exception and app.radio(key="preset").value == "compact"
    assert app.number_input(key="form0.file-0.training.epochs").value == 7
    assert "--preset compact --data demo --set training.epochs=7" in app.code[0].value
    app.file_uploader(key="settings-1").upload("<i>other</i>.json", b"no json").run()
    assert "&lt;i&gt;other&lt;/i&gt;.json: This is no JSON" in html_of(app)
    assert app.number_input(key="form0.file-0.training.epochs").value == 7


def test_imdb_is_not_fetched_for_a_forecast_before_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DATA_VARIABLE, raising=False)
    app = open_page("training", data="imdb")
    assert not list_waiting("quick") and "IMDB is not on this computer yet" in html_of(app)
    assert not app.button(key="start").disabled
    app.button(key="fetch").click().run()
    assert len(list_waiting("quick")) == 1


def test_an_earlier_run_of_a_preset_lends_its_accuracy_only_if_nothing_was_changed() -> None:
    changed = finished_run()
    assert changed.settings.config != with_data(preset_config("fast"), "demo")
    assert "earlier runs" not in str(open_page("training").radio(key="preset").proto.captions)
    run = create_run(with_settings(with_data(preset_config("fast"), "demo"), ["training.seed=3"]), "fast")
    run_job(run.path)
    assert run.result is not None and run.result.valid_accuracy is not None
    said = f"{100 * run.result.valid_accuracy:.1f} % in earlier runs ("
    assert said in open_page("training").radio(key="preset").proto.captions[0]


def test_a_command_at_the_end_is_announced_but_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(END_COMMAND_VARIABLE, "notify --token secret")
    app = open_page("training")
    assert END_COMMAND_VARIABLE in html_of(app) and "secret" not in html_of(app)


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


@pytest.mark.parametrize(("labels", "words"), [("01", "50 negative and 50 positive"), ("0x", "50 rows cannot be used")])
def test_a_labelled_table_is_checked_before_the_start(labels: str, words: str) -> None:
    table = "text,label\n" + "".join(f"review {row},{labels[row % 2]}\n" for row in range(100))
    upload = save_upload(io.BytesIO(table.encode()), "mine.csv")
    app = open_page("training", table=upload.upload_id)
    assert not app.exception and words in html_of(app)
    assert app.button(key="start").disabled == ("x" in labels)
    assert len(list_waiting("quick")) == (0 if "x" in labels else 1)


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


def test_a_limit_that_is_none_disables_start_and_shows_no_command() -> None:
    rehearse_presets()
    app = open_page("training")
    app.toggle(key="is-limited").set_value(True).run()
    assert app.number_input(key="minutes").value == 10.0 and not app.button(key="start").disabled
    for minutes in (-5.0, 1e9, None):
        app.number_input(key="minutes").set_value(minutes).run()
        assert not app.exception and app.button(key="start").disabled and not app.code
        assert "There is no command for it yet." in html_of(app)
    assert app.number_input(key="minutes").value is None
    app.number_input(key="minutes").set_value(10.0).run()
    assert not app.button(key="start").disabled and app.code
