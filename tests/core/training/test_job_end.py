"""The user's own command is started when a training has finished or failed, and can do the run no harm."""

import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import RunConfig
from core.errors import ReviewscopeError
from core.jobs import run_job
from core.runs import Run, create_run
from core.settings import END_COMMAND_VARIABLE
from core.training import job
from core.training.job import execute_run
from core.training.watcher import Watcher
from tests.core.training.kill_points import small_config, write_table


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    table = write_table(tmp_path / "reviews.csv", noisy=True)

    def make(**training: object) -> Run:
        return create_run(RunConfig.model_validate(small_config("ngram", table, **training)), "fast", "my-run")

    return make


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set a command that writes what it is told into a file, with a name that the shell would part, and return it."""
    script, told = tmp_path / "tell me.sh", tmp_path / "told"
    script.write_text(f'#!/bin/sh\necho "$REVIEWSCOPE_RUN $REVIEWSCOPE_STATUS $1" > {shlex.quote(str(told))}.part\n'
                      f"mv {shlex.quote(str(told))}.part {shlex.quote(str(told))}\n")  # fmt: skip
    script.chmod(stat.S_IRWXU)
    monkeypatch.setenv(END_COMMAND_VARIABLE, f"{shlex.quote(str(script))} 'two words; $HOME'")
    return told


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Return the commands that are started, none of which is."""
    started: list[object] = []
    monkeypatch.setattr(job.subprocess, "Popen", lambda command, **options: started.append(command))
    return started


def wait_for(path: Path) -> str:
    began = time.monotonic()
    while not path.exists():
        assert time.monotonic() - began < 30, "the command was not started"
        time.sleep(0.01)
    return path.read_text().strip()


def test_it_is_told_of_a_run_that_has_finished(make_run: Callable[..., Run], told: Path) -> None:
    run_job(make_run().path)
    assert wait_for(told) == "my-run finished two words; $HOME", "no shell reads the words"


def test_it_is_told_of_a_run_that_has_failed(make_run: Callable[..., Run], told: Path) -> None:
    run = make_run(learning_rate=1e6)
    run_job(run.path)
    assert wait_for(told) == "my-run failed two words; $HOME"


def test_it_is_told_after_the_end_is_written_down(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, found = make_run(), []
    monkeypatch.setenv(END_COMMAND_VARIABLE, "true")
    monkeypatch.setattr(job.subprocess, "Popen", lambda *_, **__: found.append((run.state.status, run.result)))
    run_job(run.path)
    assert found == [("finished", run.result)] and run.result is not None


@pytest.mark.parametrize("status", ["paused", "stopped"])
def test_it_is_not_started_for_a_run_that_will_go_on(
    status: str, make_run: Callable[..., Run], commands: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(END_COMMAND_VARIABLE, "true")
    run = make_run()
    (run.request_pause if status == "paused" else run.request_stop)()
    run_job(run.path)
    assert run.state.status == status and commands == []
    run.withdraw_requests()
    run_job(run.path)
    assert run.state.status == "finished" and commands == [["true"]]


def test_it_is_not_started_again_for_a_finished_run_that_only_reports(
    make_run: Callable[..., Run], commands: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    run_job(run.path)
    monkeypatch.setenv(END_COMMAND_VARIABLE, "true")
    run_job(run.path)
    assert commands == []


@pytest.mark.parametrize("command", [None, "", "   "])
def test_without_a_command_none_is_started(
    command: str | None, make_run: Callable[..., Run], commands: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if command is None:
        monkeypatch.delenv(END_COMMAND_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(END_COMMAND_VARIABLE, command)
    run = make_run()
    run_job(run.path)
    assert run.state.status == "finished" and commands == []


@pytest.mark.parametrize("command", ["/nowhere/command", "'no end of the quote", "/", "''"])
def test_a_command_that_cannot_be_started_is_said_and_does_the_run_no_harm(
    command: str, make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(END_COMMAND_VARIABLE, command)
    run = make_run()
    result = execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "finished" and run.result == result
    assert f"The command of {END_COMMAND_VARIABLE} could not be started" in capfd.readouterr().out


def test_a_command_that_cannot_be_started_does_not_hide_why_a_run_failed(
    make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(END_COMMAND_VARIABLE, "/nowhere/command")
    run = make_run(learning_rate=1e6)
    with pytest.raises(ReviewscopeError, match="diverged"):
        execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "failed" and "diverged" in run.state.message


def test_the_run_does_not_wait_for_its_command_which_outlives_it(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fifo, started = tmp_path / "fifo", []
    os.mkfifo(fifo)
    popen = subprocess.Popen

    def note(*arguments: object, **options: object) -> "subprocess.Popen[bytes]":
        started.append(popen(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setenv(END_COMMAND_VARIABLE, shlex.join([sys.executable, "-c", f"open({str(fifo)!r}).read()"]))
    monkeypatch.setattr(job.subprocess, "Popen", note)
    run_job(make_run().path)
    (command,) = started
    assert command.poll() is None, "it waits for the pipe's other end"
    assert os.getsid(command.pid) == command.pid, "it must not end with the worker"
    fifo.write_bytes(b"go")
    assert command.wait(timeout=30) == 0
