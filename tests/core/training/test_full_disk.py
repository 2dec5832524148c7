"""A disk that refuses: a sentence, nothing torn, and the run goes on to the same end once there is room again."""

import errno
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core import jobs
from core.config import RunConfig
from core.errors import ReviewscopeError
from core.jobs import run_job
from core.runs import Run, create_run
from core.training import keeper
from core.training.checkpoint import list_checkpoints
from core.training.job import execute_run
from core.training.watcher import Watcher
from tests.core.training.kill_points import (
    MODELS,
    Life,
    Lives,
    Server,
    assert_nothing_is_torn,
    find_run,
    small_config,
    spread,
    write_table,
)
from tests.core.training.watched_disk import Disk

CODES = {"no space": errno.ENOSPC, "broken": errno.EIO, "not allowed": errno.EACCES, "too many files": errno.EMFILE}
DISK_BYTES = 20_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Mount a disk of 20 MB and keep the workspace on it."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root on Linux may mount a small disk")
    monkeypatch.setenv("REVIEWSCOPE_HOME", str(place / "workspace"))
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing goes in any more."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (2**20, 2**12, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return ballast


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("full_after", [1, 5, 12], ids="after checkpoint {}".format)
def test_on_a_full_disk_a_run_ends_in_a_sentence_and_goes_on_when_there_is_room(
    kind: str, full_after: int, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RunConfig.model_validate(small_config(kind, write_table(tmp_path / "reviews.csv")))
    expected, run = create_run(config, "fast", "whole"), create_run(config, "fast", "full")
    run_job(expected.path)
    saves, save, steps = itertools.count(1), keeper.Keeper.save, list[int]()

    def save_and_fill(self: keeper.Keeper, position: keeper.Position) -> None:
        save(self, position)
        if self.run == run and next(saves) == full_after:
            steps.append(position.step)
            fill(small_disk)

    with monkeypatch.context() as patch:
        patch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(keeper.Keeper, "save", save_and_fill)
        run_job(run.path)
    assert run.state.status == "failed"
    assert_is_sentence(run.state.message)
    assert "No space left on device" in run.state.message
    assert not list(run.path.rglob("*.tmp"))
    assert_nothing_is_torn(small_disk / "workspace")
    newest = list_checkpoints(run.checkpoint_folder)[0]
    (small_disk / "ballast").unlink()
    notices: list[str] = []
    execute_run(run, Watcher(on_notice=notices.append), time.monotonic())
    assert notices == [] and newest.name == f"step-{steps[0]}.safetensors", "the checkpoint before it was full is sound"
    assert run.model_file.read_bytes() == expected.model_file.read_bytes()
    assert run.state.status == "finished" and run.result is not None


def test_on_a_full_disk_nothing_can_be_started_and_nothing_is_left_behind(small_disk: Path, tmp_path: Path) -> None:
    config = RunConfig.model_validate(small_config("ngram", write_table(tmp_path / "reviews.csv")))
    create_run(config, "fast", "before")
    fill(small_disk)
    with pytest.raises(ReviewscopeError, match="No space left on device"):
        create_run(config, "fast", "full")
    assert [path.name for path in (small_disk / "workspace" / "runs").iterdir()] == ["before"]


def test_a_run_that_waits_while_the_disk_fills_fails_and_the_worker_goes_on(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    config = RunConfig.model_validate(small_config("ngram", write_table(tmp_path / "reviews.csv")))
    first, second = jobs.submit_run(config, "fast", "first"), jobs.submit_run(config, "fast", "second")
    ballast, run_one = fill(small_disk), jobs.run_job

    def run_then_free(folder: Path) -> None:
        run_one(folder)
        if folder == first.path:
            ballast.unlink()

    monkeypatch.setattr(jobs, "run_job", run_then_free)
    jobs.work("train", warm_seconds=0.2)
    assert first.state.status in ("failed", "queued", "interrupted") and first.result is None
    assert second.state.status == "finished"
    jobs.enqueue(first)
    monkeypatch.setattr(jobs, "run_job", run_one)
    jobs.work("train", warm_seconds=0.2)
    assert first.state.status == "finished"


def test_a_run_that_says_it_waits_and_stands_in_no_queue_can_be_stopped(tmp_path: Path) -> None:
    config = RunConfig.model_validate(small_config("ngram", write_table(tmp_path / "reviews.csv")))
    run = create_run(config, "fast", "lost")  # whoever made it died before it was queued
    jobs.stop(run)
    assert run.state.status == "stopped"
    began = create_run(config, "fast", "began")
    with began.locked():  # a command that waits for another training
        jobs.stop(began)
        assert began.state.status == "queued" and began.is_stop_requested


@pytest.fixture
def lives(server: Server, tmp_path: Path) -> Callable[[str], Lives]:
    def make(kind: str) -> Lives:
        return Lives(server, tmp_path, Life("", small_config(kind, write_table(tmp_path / "reviews.csv")), often=True))

    return make


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_whatever_call_the_disk_refuses_the_run_says_so_and_goes_on_afterwards(
    lasting: bool, lives: Callable[[str], Lives]
) -> None:
    refuse(lives("ngram"), lasting, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
def test_whichever_of_many_calls_the_disk_refuses_the_run_says_so_and_goes_on_afterwards(
    kind: str, lasting: bool, lives: Callable[[str], Lives]
) -> None:
    refuse(lives(kind), lasting, 12)


def refuse(run: Lives, lasting: bool, tries: int) -> None:
    """Let calls all over a run's life fail, with each error in turn."""
    struck = 0
    for number, code in enumerate(CODES.values()):
        for at in spread(run.points, tries, number):
            run.begin()
            report = run.live(strike_at=at, code=code, lasting=lasting)
            assert_nothing_is_torn(run.home)
            struck += bool(report.struck)
            what = f"point {at}, {report.struck}, {os.strerror(code)}: {report.message}"
            found = find_run(run.home)
            if report.message:
                assert_is_sentence(report.message)
                assert os.strerror(code) in report.message, what
                expected = ("failed", "interrupted", "queued") if lasting or "state.json" in what else ("failed",)
                assert found is None or found.state.status in expected, what
                assert found is None or found.state.status != "failed" or found.state.message == report.message, what
            else:
                assert found is not None and found.state.status == "finished", what
            lacks_line = any("line to beat could not be trained" in notice for notice in report.notices)
            assert run.end() == (replace(run.expected, baseline={}) if lacks_line else run.expected), what
    assert struck > tries, "the layer refuses what it should"


def assert_is_sentence(message: str) -> None:
    assert message.endswith(".") and len(message.splitlines()) == 1
    assert "Unexpected" not in message and "Traceback" not in message and "Errno" not in message


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_what_could_not_be_made_whole_is_no_run(code: int, workspace: Path) -> None:
    counted = Disk(str(workspace))
    with counted.between():
        create_run(RunConfig(), "fast", "whole")
    refused = 0
    for at in range(1, counted.points + 1):
        disk, message = Disk(str(workspace), at, code=code), ""
        with disk.between():
            try:
                create_run(RunConfig(), "fast", "new")
            except ReviewscopeError as error:
                message = str(error)
        if message:
            refused += 1
            assert_is_sentence(message)
            assert not (workspace / "runs" / "new").exists(), f"point {at}: {disk.struck}"
        else:
            assert Run(workspace / "runs" / "new").settings.config == RunConfig()
            shutil.rmtree(workspace / "runs" / "new")
    assert refused > counted.points // 2


def test_a_log_that_cannot_be_written_is_a_sentence_too(tmp_path: Path) -> None:
    config = RunConfig.model_validate(small_config("ngram", write_table(tmp_path / "reviews.csv")))
    run = create_run(config, "fast", "silent")

    def refuse_line(line: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(ReviewscopeError, match="Run silent could not go on: No space left on device"):
        execute_run(run, Watcher(on_line=refuse_line), time.monotonic())
    assert run.state.status == "failed"
    assert_is_sentence(run.state.message)


def test_a_job_whose_very_log_cannot_be_made_still_runs(tmp_path: Path, workspace: Path) -> None:
    config = RunConfig.model_validate(small_config("ngram", write_table(tmp_path / "reviews.csv")))
    run = create_run(config, "fast", "silent")
    run.log_file.mkdir()
    run_job(run.path)
    assert run.state.status == "finished"


def test_a_lock_that_cannot_be_made_is_not_taken_for_another_training(workspace: Path, tmp_path: Path) -> None:
    config = RunConfig.model_validate(small_config("ngram", write_table(tmp_path / "reviews.csv")))
    run = create_run(config, "fast", "locked out")
    (workspace / "queue").write_text("not a folder")
    with pytest.raises(ReviewscopeError, match="Could not lock"):
        execute_run(run, Watcher(), time.monotonic())
