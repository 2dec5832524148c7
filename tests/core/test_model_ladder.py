"""The ladder: what is finished is not trained again, what broke off goes on, and its rows say what was measured."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from core import model_ladder, settings
from core.config import PRESETS, preset_config, with_data
from core.data.sources import load_columns
from core.errors import ConfigError, RunError
from core.jobs import run_job
from core.model_figures import Ladder, settings_digest
from core.model_ladder import (
    accuracy_on,
    choose_presets,
    describe_preset,
    note_row,
    print_ladder,
    read_ladder,
    run_command,
    train_preset,
    train_run,
)
from core.run_groups import group_runs
from core.runs import Run, create_run, list_runs
from tests.shipped import make_row

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Train within this process; note what was trained."""
    names: list[str] = []

    def train(run: Run) -> None:
        if run.state.status != "finished":
            names.append(run.about.name)
            run_job(run.path)

    monkeypatch.setattr(model_ladder, "train_run", train)
    return names


def test_each_seed_is_a_run_of_one_group_validated_on_the_same_reviews_and_none_is_trained_twice(
    trained: list[str],
) -> None:
    first = train_preset("fast", 1, "demo")
    assert trained == ["ladder-fast 1"] and first[0].settings.with_test
    both = train_preset("fast", 2, "demo")
    assert trained == ["ladder-fast 1", "ladder-fast 2"] and both[0] == first[0]
    assert [run.settings.config.training.seed for run in both] == [0, 1]
    assert {run.settings.config.data.split_seed for run in both} == {0}
    (group,) = group_runs(list_runs())
    assert group.title == "ladder-fast · 2 seeds" and len(list_runs()) == 2

    row = describe_preset("fast", both, "demo")
    results = [run.result for run in both]
    tests = [result.test_accuracy or 0.0 for result in results if result is not None]
    assert row.test_accuracy == pytest.approx(sum(tests) / 2) and (row.test_low, row.test_high) == (
        min(tests), max(tests),
    )  # fmt: skip
    assert row.seconds == max(result.total_seconds for result in results if result is not None)
    assert row.n_test == 1_200 and row.reviews_per_second and row.reviews_per_second > 100
    assert row.model_bytes == both[0].model_file.stat().st_size and row.peak_memory_mb
    assert row.settings == settings_digest(preset_config("fast"))
    assert accuracy_on(both[0], np.ones(1_200, bool)) == pytest.approx(tests[0])


def test_scoring_is_not_timed_again_for_the_same_model(trained: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    runs = train_preset("fast", 1, "demo")
    monkeypatch.setattr(model_ladder, "time_scoring", lambda run, texts: 123.0)
    note_row(describe_preset("fast", runs, "demo"), "demo")
    monkeypatch.setattr(model_ladder, "time_scoring", lambda run, texts: pytest.fail("timed twice"))
    assert describe_preset("fast", runs, "demo").reviews_per_second == 123.0


def test_the_test_texts_that_also_stand_in_train_are_left_out_of_the_figure_apart(trained: list[str]) -> None:
    (run,) = train_preset("fast", 1, "demo")
    rows = np.arange(1_200) % 7 == 0
    some, others = accuracy_on(run, rows) * rows.sum(), accuracy_on(run, ~rows) * (~rows).sum()
    assert run.result is not None and run.result.test_accuracy is not None
    assert some + others == pytest.approx(1_200 * run.result.test_accuracy)
    splits = load_columns(with_data(preset_config("fast"), "demo").data)
    shared = set(splits["train"].texts.to_pylist())
    apart = sum(text not in shared for text in splits["test"].texts.to_pylist())
    assert describe_preset("fast", [run], "demo").n_apart == apart


def test_rows_stand_in_the_order_of_the_presets_and_a_new_one_replaces_the_old(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note_row(make_row("compact"), "imdb")
    note_row(make_row("fast"), "imdb")
    note_row(make_row("compact", test_accuracy=0.915, peak_memory_mb=812.4), "imdb")
    ladder = read_ladder("imdb")
    assert [(row.preset, row.test_accuracy) for row in ladder.rows] == [("fast", 0.91), ("compact", 0.915)]
    print_ladder(ladder, ["compact"])
    table = capsys.readouterr().out
    assert "0.9150 (0.9000-0.9200)" in table and "812" in table and "\nfast" not in table
    assert Ladder.model_validate_json((settings.home() / "ladder.json").read_text()) == ladder


def test_figures_of_one_data_set_are_not_mixed_with_those_of_another() -> None:
    note_row(make_row("fast"), "imdb")
    note_row(make_row("compact"), "demo")
    assert [row.preset for row in read_ladder("demo").rows] == ["compact"] and not read_ladder("imdb").rows


def test_the_slow_and_the_curious_presets_are_trained_only_when_asked_for() -> None:
    usual = choose_presets(None)
    assert usual[0] == "fast" and "compact" in usual
    assert not {"classic", "transformer", "pretrained", "attention"} & set(usual)
    assert choose_presets(" classic, fast ,") == ["classic", "fast"] and set(usual) <= set(PRESETS)
    with pytest.raises(ConfigError, match="no preset 'huge'"):
        choose_presets("fast,huge")


def test_a_run_that_fails_costs_no_other_preset_its_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(preset: str, count: int, data: str) -> list[Run]:
        if preset == "compact":
            raise RunError("Run ladder-compact-1 is failed. The disk is full.")
        return []

    monkeypatch.setattr(model_ladder, "train_preset", fail)
    monkeypatch.setattr(model_ladder, "describe_preset", lambda name, runs, data: make_row(name))
    assert run_command(["--presets", "compact,fast"]) == 1
    shown = capsys.readouterr()
    assert "compact: Run ladder-compact-1 is failed. The disk is full." in shown.err and "\nfast" in shown.out


def test_a_run_that_is_finished_is_left_alone_and_one_that_fails_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(model_ladder.subprocess, "run", lambda command, **options: commands.append(command))
    run = create_run(with_data(preset_config("fast"), "demo"), "fast")
    run.save_state("failed", "The disk is full.")
    with pytest.raises(RunError, match=r"is failed\. The disk is full\. Ask again"):
        train_run(run)
    run.save_state("finished")
    train_run(run)
    assert commands == [[sys.executable, "-m", "core", "resume", run.run_id]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--presets", "huge"], "no preset 'huge'"),
        (["--data", "mine.csv"], "stands on imdb or demo"),
        (["--seeds", "0"], "Invalid value for '--seeds'"),
        (["--nothing"], "No such option"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(arguments) == 1
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_a_ladder_that_was_killed_goes_on_where_it_was(workspace: Path) -> None:
    command = [sys.executable, "-m", "core.model_ladder", "--presets", "fast", "--seeds", "2", "--data", "demo"]
    environment = os.environ | {settings.HOME_VARIABLE: str(workspace)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list_runs()) < 2:  # the second begins
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)  # what it trains just now goes on
    process.wait()
    first = next(run for run in list_runs() if run.settings.config.training.seed == 0)
    made = (first.path / "result.json").stat().st_mtime_ns
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    assert len(list_runs()) == 2 and all(run.state.status == "finished" for run in list_runs())
    assert (first.path / "result.json").stat().st_mtime_ns == made
    assert "\nfast" in finished.stdout and json.loads((workspace / "ladder.json").read_text())["rows"][0]["seeds"] == 2
