"""The training page with an ensemble's run: no chart that has nothing to draw, and a student's teacher told beside."""

import time
from pathlib import Path

import pytest

from core import jobs
from core.files import hold_lock, write_json
from core.job_folder import JobProgress
from core.runs import RunOrigin, create_run
from core.training.job import execute_run
from core.training.watcher import Watcher
from tests.core.training.small_presets import preset_on
from tests.core.training.small_presets import table as table
from tests.pages.test_live import html_of, labels_of, open_run


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def charts_of(app: object) -> int:
    return len(app.get("vega_lite_chart")) + len(app.get("arrow_vega_lite_chart"))  # type: ignore[attr-defined]


def test_while_it_trains_its_members_the_page_says_which_and_how_far(table: Path) -> None:
    run = create_run(preset_on("strong", table), "strong")
    origin = RunOrigin(data_fingerprint="f", libraries={}, device="cpu", threads=1, n_train=56, n_valid=24, n_test=20)
    run.save_origin(origin)
    phase = "Member 2 of 2, compact: training"
    progress = JobProgress(phase=phase, done=3, total=8, began=0.0, time=1.0, memory_mb=500.0)
    write_json(run.path / "progress.json", progress.model_dump())
    with hold_lock(run.path / "lock", "held"):
        run.save_state("running")
        app = open_run(run)
    assert "Member 2 of 2, compact: training … · 3 of 8" in html_of(app)
    assert "Made of fast and compact" in html_of(app) and charts_of(app) == 0
    assert [metric.label for metric in app.metric] == [
        "Validation accuracy, kept", "Against line to beat", "Worker memory",
    ]  # fmt: skip


def test_when_it_has_finished_there_is_no_curve_and_no_epoch_to_add(table: Path) -> None:
    run = create_run(preset_on("strong", table), "strong", with_test=True)
    execute_run(run, Watcher(), time.monotonic())
    app = open_run(run)
    assert "all members together" in html_of(app) and "was the best by" not in html_of(app) and charts_of(app) == 0
    assert "Add epochs" not in labels_of(app) and not app.get("download_button")
    labels = [metric.label for metric in app.metric]
    assert "Test accuracy" in labels and "Train accuracy" not in labels and "Train over test" not in labels


def test_a_paused_one_says_that_its_members_keep_what_they_have_learnt(table: Path) -> None:
    run = create_run(preset_on("strong", table), "strong")
    run.save_state("paused")
    assert "Paused among its members" in html_of(open_run(run))


def test_a_student_s_teacher_is_told_beside_its_own_time(table: Path) -> None:
    run = create_run(preset_on("distilled", table), "distilled")
    result = execute_run(run, Watcher(), time.monotonic())
    run.save_result(result.model_copy(update={"teacher_seconds": 840.0}))
    assert "; its teacher: 14 min." in html_of(open_run(run))
