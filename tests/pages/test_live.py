"""The training page while a run is in progress, and how it ends, without a browser."""

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.charts.tokens import LIGHT
from core.config import preset_config, with_data, with_settings
from core.files import hold_lock, write_json
from core.job_folder import JobProgress
from core.jobs import list_waiting, run_job
from core.runs import Run, RunOrigin, create_run
from core.training.baseline import Baseline
from core.training.history import HistoryReader
from core.training.plan import SCHEDULES as SCHEDULES_OF_TRAINING
from dashboard.run_curves import SCHEDULES, curve_csv, loss_caption, round_up
from dashboard.run_head import round_time, stopwatch
from dashboard.run_snapshot import Snapshot
from dashboard.tab import HTML, JS, tab_title
from dashboard.training_charts import MOST_POINTS, LossLook, make_axis, plot_accuracy, plot_loss, plot_small
from tests.benchmarks import live_tick

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    monkeypatch.setattr("core.jobs.start_worker", lambda slot: None)


def open_run(run: Run, **state: Any) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=30).run()
    for key, value in state.items():
        app.session_state[key.replace("_", "-")] = value
    app.query_params["run"] = run.run_id
    app.switch_page(str(ROOT / "pages" / "training.py")).run()
    assert not app.exception
    return app


def html_of(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def labels_of(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def make_run(steps: int = 60, name: str = "slow", *settings: str) -> Run:
    """Make a compact run of five epochs of 40 steps, with a history of some of them."""
    changed = ["training.epochs=5", "training.patience=null", *settings]
    run = create_run(with_settings(with_data(preset_config("compact"), "demo"), changed), "compact", name)
    run.save_origin(
        RunOrigin(data_fingerprint="f" * 64, libraries={}, device="cpu", threads=1, n_train=2_520, n_valid=280,
                  n_test=1_200)
    )  # fmt: skip
    write_history(run, steps)
    write_json(run.baseline_file, Baseline(valid_accuracy=0.914, n_valid=280, train_seconds=1.0).model_dump())
    progress = JobProgress(phase="Training", done=steps, total=200, began=0.0, time=1.0, memory_mb=1_100.0)
    write_json(run.path / "progress.json", progress.model_dump())
    return run


def write_history(run: Run, steps: int) -> None:
    lines, began = [], time.time() - 330
    for step in range(1, steps + 1):
        epoch = (step - 1) // 40 + 1
        figures = {"loss": 0.7 - step / 500, "learning_rate": 0.002, "gradient_norm": 1.5, "reviews_per_second": 200.0}
        lines.append({"step": step, "epoch": epoch, **figures, "time": began + step})
        if step % 40 == 0:
            figures = {"valid_loss": 0.5 + epoch / 10, "valid_accuracy": 0.85 + epoch / 100}
            lines.append({"step": step, "epoch": epoch, **figures, "time": began + step})
    run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines))


@contextmanager
def running(run: Run) -> Iterator[None]:
    """Hold a run as the process that trains it does."""
    with run.locked():
        run.save_state("running")
        yield


def test_a_running_run_says_how_far_it_is_and_how_it_goes() -> None:
    run = make_run()
    with running(run):
        app = open_run(run)
    said = html_of(app)
    assert "Training · started 5 min ago · Demo corpus · preset compact" in said
    assert "Epoch 2 of 5 · step 60 of 200 · " in said and "2 min 20 s left</b> (2:15 to 2:25)" in said
    figures = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert figures["Validation accuracy, kept"] == ("86.0 %", "81.5 to 89.6")
    assert figures["Against line to beat"] == ("-5.4 points", "n-gram: 91.4 %")
    assert figures["Validation loss, best"] == ("0.600", "epoch 1, now 0.600")
    assert figures["Reviews per second"][0] == "200" and figures["Worker memory"][0] == "1.1 GB"
    assert len(app.get("vega_lite_chart")) == 5
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    assert {str(layer["encoding"]["x"]["scale"]["domain"]) for layer in spec["layer"]} == {"[0, 200.0]"}


def test_pause_asks_the_worker_and_the_paused_run_goes_on_from_the_page() -> None:
    run = make_run()
    with running(run):
        app = open_run(run)
        app.button(key="pause").click().run()
        assert run.is_pause_requested and not run.is_stop_requested
        assert "Finishing this step, then saving." in html_of(app)
    run.save_state("paused")
    app = open_run(run)
    assert "Nothing is lost: step 60 of 200 is on disk." in html_of(app)
    app.button(key="resume").click().run()
    assert [each.job.path for each in list_waiting("train")] == [run.path] and not run.is_pause_requested
    assert "Take out of the queue" in labels_of(app)


def test_stop_asks_once_more() -> None:
    run = make_run()
    with running(run):
        app = open_run(run)
        assert "Stop now?" in html_of(app) and not run.is_stop_requested
        app.button(key="stop-now").click().run()
        assert run.is_stop_requested


def test_an_alert_says_what_is_the_matter_and_offers_one_thing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(steps=160)
    with running(run):
        app = open_run(run)
        assert "Overfitting since epoch 2." in html_of(app)
        app.button(key="alert-stop-button-now").click().run()
        assert run.is_stop_requested
        monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10_000_000}))
        assert "Look for what can go" in labels_of(open_run(run))


def test_a_run_that_diverged_has_one_way_out() -> None:
    run = make_run(11, "hot")
    with run.metrics_file.open("a") as file:
        file.write('{"step": 12, "epoch": 1, "diverged": "not a number", "time": 1}\n')
    run.save_state("failed", "The training diverged at step 12.")
    app = open_run(run)
    assert "diverged at step 12" in html_of(app) and "resume" not in {button.key for button in app.button}
    assert data_of(app, "loss")["end"]["word"] == ["not a number at step 12"]
    app.button(key="smaller-rate").click().run()
    assert app.query_params["from"] == run.run_id and "run" not in app.query_params
    assert app.query_params["rate"] in ("0.0002", ["0.0002"])
    said = html_of(app)
    assert "The learning rate is 0.0002 instead of 0.002." in said
    assert "learning rate 0.002 → 0.0002" in said and "training.learning_rate=0.0002" in app.code[0].value


def data_of(app: AppTest, name: str) -> dict[str, dict[str, list[Any]]]:
    """Return the data sets of a chart as the browser gets them."""
    place = ["loss", "accuracy", "speed", "gradient", "rate"].index(name)
    proto = app.get("vega_lite_chart")[place].proto
    return {part.name: pa.ipc.open_stream(part.data.data).read_all().to_pydict() for part in proto.datasets}


def test_a_finished_run_is_given_more_epochs_on_the_page() -> None:
    config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14", "training.epochs=2"])
    run = create_run(config, "fast")
    run_job(run.path)
    app = open_run(run)
    assert "Done in" in html_of(app) and "on validation." in html_of(app)
    app.number_input(key="more-epochs").set_value(3).run()
    app.button(key="extend").click().run()
    assert [extension.epochs for extension in run.about.extensions] == [3] and run.state.status == "queued"
    run_job(run.path)
    assert run.state.status == "finished" and run.result is not None and run.result.epochs == 5


def test_a_full_queue_leaves_a_finished_run_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14", "training.epochs=1"])
    run = create_run(config, "fast")
    run_job(run.path)
    monkeypatch.setattr(jobs, "room_left", lambda slot: 0)
    app = open_run(run)
    app.button(key="extend").click().run()
    assert "10 jobs wait already" in html_of(app) and run.about.extensions == () and run.state.status == "finished"


def test_the_section_of_reviews_is_read_only_when_it_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14"])
    run = create_run(config, "fast")
    run_job(run.path)
    with monkeypatch.context() as patch:
        patch.setattr("dashboard.validation_reviews.load_split", None)  # calling it would fail
        assert "Surest and right" not in html_of(open_run(run))
    app = open_run(run, reads_now=True)
    said = html_of(app)
    assert all(title in said for title in ("Surest and right", "Surest and wrong", "Newly right", "Newly wrong"))
    assert "after epoch 4, step" in said
    app.text_area(key="try-now").set_value("Wonderful, moving and funny.").run()
    assert "confident." in html_of(app)


def test_nothing_is_claimed_before_the_first_validation() -> None:
    run = make_run(10)
    with running(run):
        app = open_run(run, reads_now=True)
    assert "They come with the first validation" in html_of(app) and "There are none yet" in html_of(app)


def test_the_queue_stands_beside_the_log_while_something_waits() -> None:
    run, waiting = make_run(), make_run(0, "next one")
    with running(run):
        assert "Queue" not in html_of(open_run(run))
        jobs.enqueue(waiting)
        assert "Queue: 1 of 10 places taken" in html_of(open_run(run))
        assert "Waiting. " in html_of(open_run(waiting))


def test_other_pages_carry_a_line_for_the_run_in_progress(workspace: Path) -> None:
    run = make_run()
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=30).run()
    assert "Training slow" not in html_of(app)
    with running(run), hold_lock(workspace / "queue" / "train.busy", "busy"):
        app.run()
        assert "Training slow · epoch 2 of 5 · 2 min 20 s left" in html_of(app)
        app.button(key="open-running").click().run()
        assert app.query_params["run"] == run.run_id and "Training slow" not in html_of(app)


def test_a_run_that_is_deleted_while_its_page_is_open_is_said_to_be_gone() -> None:
    run = make_run()
    run.save_state("stopped")
    app = open_run(run)
    run.path.rename(run.path.with_name("elsewhere"))
    app.run()
    assert not app.exception and "There is no run" in html_of(app)


def test_a_damaged_history_is_said_and_does_not_draw_the_page_for_ever() -> None:
    run = make_run()
    run.metrics_file.write_text('{"step": 2, "ep\n')
    with running(run):
        assert "has a damaged line" in html_of(open_run(run))


@pytest.mark.parametrize(
    ("status", "title"),
    [("running", "● 30 % slow · Reviewscope"), ("paused", "‖ 30 % slow · Reviewscope"),
     ("queued", "○ slow · Reviewscope"), ("failed", "✗ slow · Reviewscope")],
)  # fmt: skip
def test_the_tab_s_title_says_how_a_run_goes(status: Any, title: str) -> None:
    run = make_run()
    with run.locked():
        run.save_state(status)
        assert tab_title(Snapshot.read(run)) == title


def test_the_notifier_is_constant_code_that_asks_nobody_outside() -> None:
    assert "http" not in JS + HTML and "innerHTML" not in JS and "fetch" not in JS and "{data" not in HTML


@pytest.mark.parametrize(
    ("seconds", "written"), [(51.6, "0:52"), (204, "3:25"), (1_234, "20:30"), (7_511, "2:05:00"), (0, "0:00")]
)
def test_times_left_are_rounded_so_that_they_do_not_flicker(seconds: float, written: str) -> None:
    assert stopwatch(seconds) == written and abs(round_time(seconds) - seconds) <= max(0.5, 0.05 * seconds)


def test_an_axis_of_time_ends_at_a_round_figure_above_the_plan() -> None:
    assert [round_up(seconds) for seconds in (0, 9, 100, 545, 3_000)] == [10, 10, 120, 600, 4_000]


def long_history(workspace: Path, steps: int, spike: float) -> Any:
    path = workspace / "long.jsonl"
    workspace.mkdir(exist_ok=True)
    with path.open("w") as file:
        for step in range(1, steps + 1):
            loss = spike if step == steps // 2 else 0.4 + 0.1 * (step * 7_919 % 1_000) / 1_000
            line = {"loss": loss, "learning_rate": 0.1, "gradient_norm": 1.0, "reviews_per_second": 9.0}
            file.write(json.dumps({"step": step, "epoch": 1, **line, "time": float(step)}) + "\n")
    return HistoryReader(path).refresh()


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("spike", [9.0, 1e-4])
def test_a_spike_of_one_step_in_a_hundred_thousand_is_on_the_chart(workspace: Path, is_log: bool, spike: float) -> None:
    history = long_history(workspace, 100_000, spike)
    axis = make_axis(history, "step", 100_000.0, 100_000, 1)
    spec = plot_loss(history, axis, LossLook(is_log, 50), LIGHT)
    raw, beyond = spec["datasets"]["raw"].to_pydict(), spec["datasets"]["beyond"].to_pydict()
    assert raw["y"][raw["x"].index(50_000.0)] == np.float32(spike) and len(raw["x"]) <= MOST_POINTS
    low, top = spec["layer"][1]["encoding"]["y"]["scale"]["domain"]
    if low <= spike <= top:
        assert beyond["x"] == []
    else:  # what lies beyond a linear axis is marked at its top
        assert not is_log and spike > top and beyond == {"x": [50_000.0], "y": [9.0]}


def test_only_the_data_of_a_chart_changes_from_tick_to_tick(workspace: Path) -> None:
    run, specs = make_run(0), []
    for steps in (50, 70, 90):
        write_history(run, steps)
        shot = Snapshot.read(run)
        axis = make_axis(shot.history, "step", float(shot.last_step), shot.per_epoch, shot.last_epoch)
        charts = [
            plot_loss(shot.history, axis, LossLook(False, 5), LIGHT),
            plot_accuracy(shot.history, axis, 280, [(0.914, "line")], LIGHT),
            plot_small(shot.history.steps["gradient_norm"], axis, "~g", LIGHT),
        ]
        specs.append([{name: part for name, part in chart.items() if name != "datasets"} for chart in charts])
    assert specs[0] == specs[1] == specs[2]


def test_the_caption_says_when_not_every_point_is_drawn() -> None:
    assert "2,000 of 48,000 points" in loss_caption(2_000, 48_000, 60) and "over 60 steps" in loss_caption(9, 9, 60)
    assert "points" not in loss_caption(9, 9, 0) and "smoothed" not in loss_caption(9, 9, 0)


def test_the_curve_s_csv_holds_every_line() -> None:
    run = make_run(90)
    rows = io.StringIO(curve_csv(run).decode()).readlines()
    assert len(rows) == 1 + 90 + 2


def test_what_a_tick_sends_stays_small_however_long_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_tick, "STEPS", 20_000)
    monkeypatch.setattr(live_tick, "TICKS", 1)
    run = live_tick.write_run()
    with run.locked():
        assert max(live_tick.measure(run, unit, is_log=True)[1] for unit in ("step", "epoch", "time")) <= 40_000


def test_what_a_job_found_and_what_changed_since_stand_on_the_page() -> None:
    run = make_run()
    run.save_state("paused")
    run.add_notice(
        "The checkpoint step-60.safetensors is not usable. Going on from step-40.safetensors, the one before."
    )
    origin = run.origin
    assert origin is not None
    run.save_origin(origin.model_copy(update={"libraries": {"torch": "1.0"}}))
    html = html_of(open_run(run))
    assert "Going on from step-40.safetensors" in html
    assert "torch was 1.0, is " in html and "not bit for bit" in html


def test_a_paused_run_offers_its_model_only_after_a_validation() -> None:
    for steps, is_offered in ((20, False), (60, True)):
        run = make_run(steps, f"paused {steps}")
        run.model_file.write_bytes(b"weights")
        run.save_state("paused")
        assert ("Use this model" in labels_of(open_run(run))) is is_offered


def test_a_line_of_one_point_has_a_dot() -> None:
    run = make_run(0)
    for steps, has_dot in ((1, True), (3, False)):
        write_history(run, steps)
        shot = Snapshot.read(run)
        axis = make_axis(shot.history, "step", float(shot.last_step), shot.per_epoch, shot.last_epoch)
        for chart in (
            plot_loss(shot.history, axis, LossLook(False, 0), LIGHT),
            plot_small(shot.history.steps["gradient_norm"], axis, "~g", LIGHT),
        ):
            spec = json.dumps({name: part for name, part in chart.items() if name != "datasets"})
            assert ('"point": {' in spec) is has_dot


def test_every_schedule_has_a_caption_for_the_curve_of_its_learning_rate() -> None:
    assert set(SCHEDULES) == set(SCHEDULES_OF_TRAINING)
