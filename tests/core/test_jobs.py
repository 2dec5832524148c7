"""Jobs in workers of their own: started, queued, stopped, killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import jobs, settings
from core.config import RunConfig, preset_config, with_data, with_settings
from core.errors import JobError
from core.jobs import (
    enqueue,
    has_worker,
    list_waiting,
    move,
    queue_evaluation,
    run_job,
    start_worker,
    stop,
    submit_run,
    submit_runs,
    work,
)
from core.prediction.evaluating import EvaluationJob
from core.runs import Run, create_run

ROOT = Path(__file__).resolve().parents[2]
QUICK = ["model.bucket_bits=14"]
LONG = [*QUICK, "training.epochs=1000", "training.batch_size=16"]


def quick_config() -> RunConfig:
    return with_settings(with_data(preset_config("fast"), "demo"), QUICK)


def make_run(assignments: list[str], name: str = "quick") -> Run:
    return create_run(with_settings(with_data(preset_config("fast"), "demo"), assignments), "fast", name)


def wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> float:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.02)
    return time.monotonic() - began


def steps(run: Run) -> int:
    return sum("loss" in line for line in run.read_history())


@pytest.fixture
def workers(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Keep the workers that a test starts, and end them after it."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def note(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
        process = popen(*arguments, **options)  # type: ignore[call-overload]
        started.append(process)
        return process

    monkeypatch.setattr(jobs.subprocess, "Popen", note)
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_a_queued_run_is_trained_by_a_worker_of_its_own(workers: list["subprocess.Popen[bytes]"]) -> None:
    run = make_run(QUICK)
    enqueue(run)
    wait_until(lambda: run.state.status == "finished")
    assert run.result is not None and run.result.valid_accuracy is not None
    assert run.progress is not None and run.progress.phase == "Training"
    assert any("Training" in line for line in run.read_log(20))
    assert os.getsid(workers[0].pid) == workers[0].pid, "it must not end with the process that started it"


def test_a_second_start_waits_and_begins_by_itself(workers: list["subprocess.Popen[bytes]"]) -> None:
    first, second = make_run(LONG, "first"), make_run(QUICK, "second")
    enqueue(first)
    wait_until(lambda: steps(first) > 5)
    enqueue(second)
    assert second.state.status == "queued" and [each.job.path for each in list_waiting("train")] == [second.path]
    stop(first)
    wait_until(lambda: second.state.status == "finished")
    assert first.state.status == "stopped" and first.model_file.exists()
    assert list_waiting("train") == []


def test_a_killed_worker_leaves_an_interrupted_run_that_resumes(workers: list["subprocess.Popen[bytes]"]) -> None:
    run = make_run([*QUICK, "training.epochs=60"])
    enqueue(run)
    wait_until(lambda: steps(run) > 5)
    os.kill(workers[0].pid, signal.SIGKILL)
    assert wait_until(lambda: run.state.status == "interrupted") < 2.0
    workers[0].wait()
    enqueue(run)
    wait_until(lambda: run.state.status == "finished")
    numbers = [line["step"] for line in run.read_history() if "loss" in line]
    assert numbers == list(range(1, len(numbers) + 1)), "no gap and no double step"


def test_a_slot_has_one_worker_however_many_are_started(workers: list["subprocess.Popen[bytes]"]) -> None:
    command = [sys.executable, "-m", "core", "worker", "--slot", "score"]
    many = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) for _ in range(3)]
    wait_until(lambda: sum(process.poll() is None for process in many) == 1)
    assert has_worker("score")
    start_worker("score")
    assert len(workers) == 3


def test_ten_wait_and_the_eleventh_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    for number in range(11):  # one that runs, or is about to, and ten that wait
        submit_run(quick_config(), "fast", f"run{number}")
    with pytest.raises(JobError, match="10 jobs wait already"):
        submit_run(quick_config(), "fast", "late")
    assert [each.job.job_id for each in list_waiting("train")] == [f"run{number}" for number in range(11)]
    assert not (settings.home() / "runs" / "late").exists(), "a refused run leaves nothing behind"


def test_while_one_runs_ten_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    submit_run(quick_config(), "fast", "running")
    list_waiting("train")[0].entry.rename(settings.home() / "queue" / "train" / "taken")
    assert jobs.room_left("train") == 10


def test_several_runs_are_queued_together_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    runs = submit_runs([quick_config()] * 8, "fast", "seeds")
    assert len({run.about.group for run in runs}) == 1 and runs[0].about.group
    with pytest.raises(JobError, match="4 runs were asked for and the queue has room for 3"):
        submit_runs([quick_config()] * 4, "fast", "more")
    assert len(list_waiting("train")) == 8


@pytest.mark.parametrize(
    ("which", "places", "order"),
    [(0, 1, "bacd"), (0, 2, "bcad"), (3, -1, "abdc"), (3, -9, "dabc"), (0, 9, "bcda"), (1, 0, "abcd"), (2, -2, "cabd")],
)
def test_a_waiting_job_can_be_moved(which: int, places: int, order: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    runs = [submit_run(quick_config(), "fast", name) for name in "abcd"]
    move(runs[which], places)
    assert "".join(each.job.job_id for each in list_waiting("train")) == order


def test_a_job_that_does_not_wait_is_not_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    waiting = submit_run(quick_config(), "fast", "waiting")
    move(make_run(QUICK, "elsewhere"), -1)
    assert [each.job.path for each in list_waiting("train")] == [waiting.path]


def test_a_job_whose_folder_was_deleted_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    gone, good = submit_run(quick_config(), "fast", "gone"), submit_run(quick_config(), "fast", "good")
    shutil.rmtree(gone.path)
    work("train", warm_seconds=0.2)
    assert good.state.status == "finished"


def test_a_waiting_run_can_be_taken_out_of_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    run = make_run(QUICK)
    enqueue(run)
    enqueue(run)
    assert len(list_waiting("train")) == 1
    stop(run)
    assert run.state.status == "stopped" and list_waiting("train") == []


def test_what_a_worker_took_and_died_with_before_it_began_is_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    first, second = make_run(QUICK, "first"), make_run(QUICK, "second")
    enqueue(first)
    enqueue(second)
    list_waiting("train")[0].entry.rename(settings.home() / "queue" / "train" / "taken")
    order: list[str] = []
    monkeypatch.setattr(jobs, "run_job", lambda folder: order.append(folder.name))
    work("train", warm_seconds=0.2)
    assert order == ["first", "second"]


def test_a_failed_job_says_why_and_the_next_one_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    lost = create_run(with_data(preset_config("fast"), "gone.csv"), "fast", "lost")
    good = make_run(QUICK, "good")
    enqueue(lost)
    enqueue(good)
    work("train", warm_seconds=0.2)
    assert lost.state.status == "failed" and "gone.csv" in lost.state.message
    assert good.state.status == "finished"


def test_an_evaluation_is_a_job_and_is_not_done_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    config = with_data(preset_config("fast"), "demo")
    job = queue_evaluation("starter", config, "test")
    assert job.state.status == "queued"
    run_job(job.path)
    assert job.state.status == "finished" and EvaluationJob(job.path).is_done
    entry = list_waiting("score")[0].entry
    entry.unlink()
    assert queue_evaluation("starter", config, "test") == job and list_waiting("score") == []


def test_what_a_training_evaluated_at_its_end_is_not_queued_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    config = with_settings(with_data(preset_config("fast"), "demo"), QUICK)
    run = create_run(config, "fast", with_test=True)
    run_job(run.path)
    assert queue_evaluation(run.run_id, config, "test").state.status == "finished"
    assert list_waiting("score") == []


def test_a_folder_outside_the_workspace_is_no_job(tmp_path: Path) -> None:
    with pytest.raises(JobError, match="not a job of the workspace"):
        jobs.kind_of(tmp_path / "elsewhere")


def test_one_training_runs_at_a_time_in_terminal_and_worker(workers: list["subprocess.Popen[bytes]"]) -> None:
    run = make_run(LONG, "long")
    enqueue(run)
    wait_until(lambda: steps(run) > 5)
    command = [sys.executable, "-m", "core", "train", "--data", "demo", "--name", "terminal", "--set", QUICK[0]]
    terminal = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    other = Run(settings.home() / "runs" / "terminal")
    assert terminal.stderr is not None
    assert "Another training is running here" in terminal.stderr.readline()
    assert other.state.status == "queued" and steps(other) == 0
    stop(run)
    assert terminal.wait(timeout=60) == 0 and other.state.status == "finished"


def test_when_places_are_taken_meanwhile_none_of_several_runs_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    for number in range(9):
        submit_run(quick_config(), "fast", f"before{number}")
    monkeypatch.setattr(jobs, "room_left", lambda slot: 3 if len(list_waiting(slot)) < 11 else 0)
    with pytest.raises(JobError, match="10 jobs wait already"):
        submit_runs([quick_config()] * 3, "fast", "late")
    assert [each.job.job_id for each in list_waiting("train")] == [f"before{number}" for number in range(9)]
    assert not list((settings.home() / "runs").glob("late*"))


def test_a_waiting_job_that_is_queued_again_gets_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(jobs, "start_worker", started.append)
    run = submit_run(quick_config(), "fast", "waiting")
    enqueue(run)
    assert started == ["train", "train"] and len(list_waiting("train")) == 1


def test_what_is_worked_on_is_not_queued_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    run = make_run(QUICK)
    with run.locked():
        run.save_state("running")
        enqueue(run)
        assert run.state.status == "running" and list_waiting("train") == []


def test_a_job_is_not_moved_between_two_that_have_no_number_between_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    runs = [submit_run(quick_config(), "fast", name) for name in "abc"]
    for number, each in enumerate(list_waiting("train")):
        each.entry.rename(each.entry.with_name(f"{number:020}.json"))
    move(runs[2], -1)
    assert [each.job.job_id for each in list_waiting("train")] == ["a", "b", "c"], "none is lost"


@pytest.mark.parametrize("status", ["failed", "running"])
def test_a_job_that_has_ended_is_queued_though_its_worker_has_not_let_go_of_it(
    status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    monkeypatch.setattr(jobs, "has_worker", lambda slot: True)
    run = make_run(QUICK, "first")
    enqueue(run)
    list_waiting("train")[0].entry.rename(settings.home() / "queue" / "train" / "taken")
    enqueue(run)
    assert list_waiting("train") == []  # it is about to begin
    run.save_state(status)  # type: ignore[arg-type]
    enqueue(run)
    assert run.state.status == "queued" and len(list_waiting("train")) == 1
    order: list[str] = []
    monkeypatch.setattr(jobs, "run_job", lambda folder: order.append(folder.name))
    work("train", warm_seconds=0.2)
    assert order == ["first"]
