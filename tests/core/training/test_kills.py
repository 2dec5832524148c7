"""A run that is killed at any instant resumes to the end of a run that was never killed, bit for bit.

``kill_points.py`` forks the lives and ``watched_disk.py`` kills them; the last test kills the real command.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core import settings
from core.runs import Run
from tests.core.training.kill_points import (
    MODELS,
    ROOT,
    Life,
    Lives,
    Server,
    find_run,
    read_ending,
    small_config,
    spread,
    without_times,
    write_table,
)

every_model = pytest.mark.parametrize("kind", MODELS)
often_and_seldom = pytest.mark.parametrize("often", [True, False], ids=["often", "seldom"])
TRIES = 50
QUICK_TRIES = 12
PRESETS = {
    "fast": ["model.bucket_bits=14", "model.min_reviews=1", "training.epochs=60", "training.batch_size=16"],
    "compact": ["model.hidden_size=8", "model.embedding_dim=8", "training.epochs=12", "training.patience=null"],
}
COMMAND_KILLS = 5

Tell = Callable[..., None]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def lives(server: Server, tmp_path: Path, kind: str) -> Callable[..., Lives]:
    """Return what makes the lives of a small run; a checkpoint often, or seldom, that is after each epoch."""

    def make(often: bool = True, **training: object) -> Lives:
        config = small_config(kind, write_table(tmp_path / "reviews.csv"), **training)
        return Lives(server, tmp_path, Life("", config, often=often))

    return make


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Return what counts the equal ends, prints the figures past pytest's capture, and asserts them."""

    def tell(what: str, tries: Iterable[tuple[object, bool]], note: Callable[[], str] = lambda: "") -> None:
        began = time.monotonic()
        tried = list(tries)
        unequal = [point for point, is_equal in tried if not is_equal]
        seconds = time.monotonic() - began
        with capsys.disabled():
            line = f"{what}: points={len(tried)} equal={len(tried) - len(unequal)} ({seconds:.0f} s{note()})"
            print(f"\n{line}", file=sys.stderr, flush=True)  # which pytest-xdist lets through, unlike stdout
        assert tried and not unequal

    return tell


@every_model
def test_a_run_killed_at_a_point_of_its_life_resumes_to_the_same_end(
    kind: str, lives: Callable[..., Lives], tell: Tell
) -> None:
    run = lives()
    assert run.points > 300, "the layer sees the run write"
    tell(f"{kind}, seeded", ((at, run.is_equal_after({"strike_at": at})) for at in spread(run.points, QUICK_TRIES, 1)))


@pytest.mark.slow
@every_model
@often_and_seldom
def test_a_run_killed_at_every_point_of_its_life_resumes_to_the_same_end(
    kind: str, often: bool, lives: Callable[..., Lives], tell: Tell
) -> None:
    run = lives(often)
    if often and kind != "ngram":
        keep_baseline(run)  # its own points are in the life with few checkpoints
        run.points = count_points(run)
    tries = ((at, run.is_equal_after({"strike_at": at})) for at in range(1, run.points + 1))
    how_often = "often" if often else "seldom"
    tell(f"{kind}, every point, checkpoints {how_often}", tries, lambda: f"; {run.runless} before there was a run")
    assert run.runless < 40


def keep_baseline(run: Lives) -> None:
    run.start = run.whole.with_name("start")
    shutil.copytree(run.whole / "cache", run.start / "cache")


def count_points(run: Lives) -> int:
    run.begin()
    return run.live().points


@pytest.mark.slow
@every_model
def test_a_run_killed_at_random_instants_resumes_to_the_same_end(
    kind: str, lives: Callable[..., Lives], tell: Tell
) -> None:
    run, draw = lives(), random.Random(2)

    def tries() -> Iterator[tuple[float, bool]]:
        while True:
            seconds = draw.uniform(0.0, 1.2 * run.report.seconds)
            run.begin()
            if run.live(kill_after=seconds).killed:
                yield seconds, run.end() == run.expected

    tell(f"{kind}, random instants", (each for each, _ in zip(tries(), range(TRIES), strict=False)))


@pytest.mark.slow
@every_model
def test_a_run_killed_twice_resumes_to_the_same_end(kind: str, lives: Callable[..., Lives], tell: Tell) -> None:
    run, draw = lives(), random.Random(3)

    def tries() -> Iterator[tuple[tuple[int, int], bool]]:
        for first in spread(run.points - 40, TRIES, 3):
            second = draw.randint(1, run.points - first - 20)
            yield (first, second), run.is_equal_after({"strike_at": first}, {"strike_at": second})

    tell(f"{kind}, killed twice", tries())


@pytest.mark.slow
@every_model
@often_and_seldom
def test_a_power_cut_that_takes_what_was_not_forced_onto_the_disk_loses_nothing_else(
    kind: str, often: bool, lives: Callable[..., Lives], tell: Tell
) -> None:
    run = lives(often)
    strikes = ({"strike_at": at, "power_cut": True} for at in spread(run.points, TRIES, 4))
    tell(f"{kind}, power cuts", ((strike, run.is_equal_after(strike)) for strike in strikes))


def extended(run: Lives, epochs: int) -> Lives:
    """Let the lives begin where the run has finished, and be given more epochs."""
    run.start = run.whole.with_name("start")
    run.whole.rename(run.start)
    run.life = Life(**{**vars(run.life), "more_epochs": epochs})
    run.begin()
    report = run.live()
    run.points = report.points
    return run


@pytest.mark.parametrize("kind", ["ngram"])
def test_an_extension_killed_at_a_point_resumes_to_the_end_of_a_run_that_had_the_epochs_from_the_start(
    kind: str, lives: Callable[..., Lives], tell: Tell
) -> None:
    tell_extension(kind, lives, tell, 3)


@pytest.mark.slow
@every_model
def test_an_extension_killed_at_many_points_resumes_to_the_end_of_a_run_that_had_the_epochs_from_the_start(
    kind: str, lives: Callable[..., Lives], tell: Tell
) -> None:
    tell_extension(kind, lives, tell, TRIES)


def tell_extension(kind: str, lives: Callable[..., Lives], tell: Tell, tries: int) -> None:
    expected = lives(epochs=5).expected
    shutil.rmtree(lives().whole)
    run = extended(lives(epochs=3), 2)
    assert read_ending(run.home) == expected
    run.expected = expected
    strikes = ({"strike_at": at} for at in spread(run.points, tries, 5))
    tell(f"{kind}, extended", ((strike, run.is_equal_after(strike)) for strike in strikes))


@every_model
def test_a_run_paused_after_every_single_step_ends_as_if_it_had_never_paused(
    kind: str, lives: Callable[..., Lives]
) -> None:
    run = lives(often=False)
    steps = run.expected.history[-1]["step"]
    assert steps == 12
    for step in range(1, steps + 1):
        report = run.live(pause_at=step)
        found = find_run(run.home)
        assert found is not None and (found.state.status, report.message) == ("paused", "")
        assert found.model_file.exists(), "what is paused can be tried"
    assert run.end() == run.expected


@pytest.mark.slow
@every_model
@often_and_seldom
def test_a_run_paused_at_any_step_ends_as_if_it_had_never_paused(
    kind: str, often: bool, lives: Callable[..., Lives], tell: Tell
) -> None:
    run = lives(often)

    def tries() -> Iterator[tuple[int, bool]]:
        for step in range(1, run.expected.history[-1]["step"] + 1):
            run.begin()
            run.live(pause_at=step)
            found = find_run(run.home)
            assert found is not None and found.state.status == "paused"
            yield step, run.end() == run.expected

    tell(f"{kind}, paused, checkpoints {'often' if often else 'seldom'}", tries())


def start(*arguments: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "core", *arguments, "--json"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    document: dict[str, Any] = json.loads(out.splitlines()[-1])
    return document


def history(name: str) -> list[dict[str, Any]]:
    return [without_times(line) for line in Run(settings.home() / "runs" / name).read_history()]


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_commands_killed_at_random_instants_resume_to_the_same_weights_and_history(
    preset: str, tmp_path: Path, tell: Tell
) -> None:
    draw = random.Random(7)
    table = write_table(tmp_path / "reviews.csv", 400)
    assignments = [
        word for setting in (*PRESETS[preset], "preprocessing.min_frequency=1") for word in ("--set", setting)
    ]
    arguments = ["train", "--preset", preset, "--data", str(table), *assignments]
    began = time.monotonic()
    whole = finish(start(*arguments, "--name", "whole"))
    seconds = time.monotonic() - began

    def tries() -> Iterator[tuple[str, bool]]:
        for number in range(COMMAND_KILLS):
            name = f"killed{number}"
            process = start(*arguments, "--name", name)
            while not (settings.home() / "runs" / name / "state.json").exists():
                time.sleep(0.01)
            time.sleep(draw.random() * seconds * 0.7)
            process.kill()
            process.communicate()
            resumed = finish(start("resume", name))
            yield name, resumed["model_sha256"] == whole["model_sha256"] and history(name) == history("whole")

    tell(f"{preset}, the real command", tries())
