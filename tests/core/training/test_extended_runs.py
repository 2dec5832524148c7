"""Epochs that are added to a run that has finished, and runs that go on after a pause."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core import job_folder, settings
from core.config import RunConfig
from core.errors import RunError
from core.files import hold_lock
from core.job_folder import JobReporter
from core.jobs import run_job
from core.runs import Run, create_run
from core.training.checkpoint import list_checkpoints
from core.training.extension import extend_run
from core.training.job import execute_run
from core.training.watcher import Watcher
from tests.core.training.kill_points import MODELS, small_config, without_times, write_table

every_model = pytest.mark.parametrize("kind", MODELS)


@pytest.fixture
def trained(tmp_path: Path, kind: str) -> Callable[..., Run]:
    """Return what trains a small run to its end; a patience needs labels that cannot be learnt."""
    table = write_table(tmp_path / "reviews.csv", noisy=True)

    def train(**training: object) -> Run:
        run = create_run(RunConfig.model_validate(small_config(kind, table, **training)), "fast", kind)
        return go_on(run)

    return train


def go_on(run: Run) -> Run:
    execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "finished"
    return run


def extend(run: Run, epochs: int) -> Run:
    extend_run(run, epochs)
    return go_on(run)


def ending(run: Run) -> tuple[object, ...]:
    assert run.result is not None
    history = [without_times(line) for line in run.read_history()]
    return without_times(run.result.model_dump()), history, run.model_file.read_bytes(), run.verdicts_file.read_bytes()


def rates(run: Run) -> list[float]:
    return [line["learning_rate"] for line in run.read_history() if "loss" in line]


@every_model
def test_an_extended_run_equals_one_that_had_the_epochs_from_the_start(trained: Callable[..., Run]) -> None:
    whole = ending(trained(epochs=5))
    assert ending(extend(trained(epochs=3), 2)) == whole
    assert ending(extend(extend(trained(epochs=2), 1), 2)) == whole, "given twice"


@every_model
def test_a_linear_schedule_restarts_for_the_added_epochs(trained: Callable[..., Run]) -> None:
    run = trained(epochs=2, schedule="linear")
    before = rates(run)
    after = rates(extend(run, 3))
    steps = len(before) // 2
    assert after[: len(before)] == before and len(after) == 5 * steps
    added = after[len(before) :]
    assert added == pytest.approx([0.05 * (1 - done / (3 * steps)) for done in range(3 * steps)])


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_run_that_stopped_early_goes_on_for_the_added_epochs(trained: Callable[..., Run]) -> None:
    run = trained(epochs=50, patience=2, learning_rate=0.5)
    early = run.result
    assert early is not None and early.epochs < 20
    steps = rates(run)
    extend(run, 2)
    assert run.result is not None and run.result.epochs == early.epochs + 2
    assert [line["step"] for line in run.read_history() if "loss" in line] == list(range(1, len(rates(run)) + 1))
    assert rates(run)[: len(steps)] == steps
    assert ending(run) == ending(extend(trained(epochs=early.epochs, learning_rate=0.5), 2))


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_run_that_ended_at_its_most_steps_goes_on_from_there(trained: Callable[..., Run]) -> None:
    run = extend(trained(epochs=3, max_steps=6), 1)
    validations = [line["step"] for line in run.read_history() if "valid_loss" in line]
    assert validations == [4, 6, 10] and len(rates(run)) == 10


@pytest.mark.parametrize("kind", ["ngram"])
def test_the_best_model_so_far_stays_when_the_added_epochs_are_no_better(trained: Callable[..., Run]) -> None:
    run = trained(epochs=12, learning_rate=0.5)
    before = run.result, run.model_file.read_bytes()
    assert before[0] is not None and before[0].best_epoch is not None and before[0].best_epoch < 12
    extend(run, 1)
    assert run.result is not None and run.result.best_epoch == before[0].best_epoch
    assert run.model_file.read_bytes() == before[1]


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_finished_run_only_reports_until_it_is_extended_and_again_afterwards(trained: Callable[..., Run]) -> None:
    run = trained(epochs=2)
    before = run.metrics_file.stat()
    go_on(run)
    assert run.metrics_file.stat() == before
    after = extend(run, 1).metrics_file.stat()
    assert after.st_size > before.st_size
    assert go_on(run).metrics_file.stat() == after


@pytest.mark.parametrize("kind", ["ngram"])
def test_an_extension_that_was_stopped_goes_on_to_the_same_end(trained: Callable[..., Run]) -> None:
    run, done = trained(epochs=3), 0

    def count(steps: int) -> None:
        nonlocal done
        done += steps

    extend_run(run, 2)
    watcher = Watcher(on_progress=count, on_resume=count, should_stop=lambda: done == 14)
    execute_run(run, watcher, time.monotonic())
    assert run.state.status == "stopped" and len(rates(run)) == 14
    assert ending(go_on(run)) == ending(trained(epochs=5))


@pytest.mark.parametrize("kind", ["ngram"])
def test_an_extended_run_whose_model_is_damaged_begins_anew_and_runs_all_its_epochs(
    trained: Callable[..., Run],
) -> None:
    run = extend(trained(epochs=3), 2)
    expected = ending(run)
    run.model_file.write_bytes(b"")
    assert ending(go_on(run)) == expected


@pytest.mark.parametrize("kind", ["ngram"])
def test_only_a_finished_run_with_its_checkpoint_can_be_extended(trained: Callable[..., Run]) -> None:
    run = trained(epochs=1)
    run.save_state("stopped")
    with pytest.raises(RunError, match="only a finished run"):
        extend_run(run, 1)
    run.save_state("finished")
    for path in list_checkpoints(run.checkpoint_folder):
        path.unlink()
    with pytest.raises(RunError, match="no checkpoint to go on from"):
        extend_run(run, 1)
    assert run.about.extensions == ()


@every_model
def test_a_pause_that_was_asked_for_ends_paused_and_goes_on_to_the_same_end(
    trained: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained()
    run = create_run(expected.settings.config, "fast", "paused")
    monkeypatch.setattr(job_folder, "REPORT_SECONDS", 0.0)
    run.request_pause()
    run_job(run.path)
    assert run.state.status == "paused" and run.model_file.exists() and len(rates(run)) == 1
    run.withdraw_requests()
    run_job(run.path)
    assert run.state.status == "finished" and ending(run) == ending(expected)


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_stop_outweighs_a_pause(trained: Callable[..., Run]) -> None:
    run = create_run(trained().settings.config, "fast", "both")
    run.request_pause()
    run.request_stop()
    run_job(run.path)
    assert run.state.status == "stopped"


@pytest.mark.parametrize("kind", ["ngram"])
def test_epochs_cannot_be_added_twice_before_they_are_trained(trained: Callable[..., Run]) -> None:
    run = trained(epochs=2)
    extend_run(run, 3)
    with pytest.raises(RunError, match="3 added epochs to train yet"):
        extend_run(run, 1)
    assert len(run.about.extensions) == 1
    assert go_on(run).result is not None and run.result.epochs == 5


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_pause_while_another_run_trains_is_a_pause(trained: Callable[..., Run], tmp_path: Path) -> None:
    run = create_run(RunConfig.model_validate(small_config("ngram", tmp_path / "reviews.csv")), "fast", "second")
    run.request_pause()
    reporter = JobReporter(run)
    with hold_lock(settings.home() / "queue" / "train.busy", "held"), pytest.raises(RunError, match="paused before"):
        execute_run(run, Watcher(should_stop=reporter.should_stop), time.monotonic())
    assert run.state.status == "paused"
