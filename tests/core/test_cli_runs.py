"""The commands around a run: forecast, seeds, comparison, more epochs, trash; in processes of their own."""

import json
from pathlib import Path

import pytest

from core import settings
from core.cli_runs import print_run
from core.runs import find_run
from tests.core.test_cli import fail, run, start

SMALL = ["--data", "demo", "--set", "model.bucket_bits=14"]


def test_a_run_is_forecast_repeated_compared_extended_deleted_and_brought_back() -> None:
    expected = run("forecast", *SMALL)
    assert 0 < expected["low"] < expected["seconds"] < expected["high"] and expected["errors"] == []

    trained = run("train", *SMALL, "--seeds", "2", "--name", "twin", "--tensorboard", "--minutes", "30")
    assert trained["runs"] == ["twin", "twin-1"] and trained["valid_accuracy"]["n"] == 2
    first, second = (find_run(name) for name in trained["runs"])
    assert first.about.group == second.about.group is not None
    assert [each.settings.config.training.seed for each in (first, second)] == [0, 1]
    assert list(first.tensorboard_folder.glob("*tfevents*"))
    assert first.forecast_file.exists()

    compared = run("compare", "twin", "twin-1")
    assert compared["n"] == 1_200 and 0 <= compared["p"] <= 1
    sides = ("only_a_right", "only_b_right", "both_right", "both_wrong")
    assert sum(compared[side] for side in sides) == 1_200
    difference = compared["differences"]["accuracy"]
    assert round(difference["value"] * 1_200) == compared["only_a_right"] - compared["only_b_right"]
    assert difference["low"] <= difference["value"] <= difference["high"]

    steps = max(line["step"] for line in first.read_history())
    extended = run("extend", "twin", "--epochs", "1")
    assert extended["epochs"] == 5 and max(line["step"] for line in first.read_history()) == steps * 5 // 4

    listed = [document["run_id"] for document in run("runs")["runs"]]
    assert sorted(listed) == ["twin", "twin-1"]


def test_a_deleted_run_is_restored_by_its_id_and_an_unknown_one_is_refused() -> None:
    run("train", *SMALL, "--set", "training.epochs=1", "--name", "gone")
    assert "In the trash: nothing." in fail("restore", "gone")
    folder = settings.home() / "runs" / "gone"
    _call("delete", "gone")
    assert not folder.exists()
    assert "There is no deleted run 'other'. In the trash: gone." in fail("restore", "other")
    _call("restore", "gone")
    assert folder.exists() and find_run("gone").state.status == "finished"


def test_a_time_that_no_step_fits_into_is_refused_before_there_is_a_run() -> None:
    message = fail("train", *SMALL, "--minutes", "0.01")
    assert "too few" in message and "Give more time" in message
    assert not list((settings.home() / "runs").glob("*"))


def _call(*arguments: str | Path) -> None:
    process = start(*arguments)
    assert process.wait(timeout=60) == 0, process.communicate()


def test_a_table_of_one_batch_is_forecast_too(tmp_path: Path) -> None:
    table = tmp_path / "small.csv"
    table.write_text("text,label\n" + "".join(f"a {('bad', 'good')[n % 2]} film {n},{n % 2}\n" for n in range(60)))
    assert run("forecast", "--data", str(table))["seconds"] > 0


def test_a_table_of_one_label_is_refused_before_there_is_a_run(tmp_path: Path) -> None:
    table = tmp_path / "one.csv"
    table.write_text("text,label\n" + "".join(f"good film {n},1\n" for n in range(60)))
    assert "0 negative reviews" in fail("train", "--data", str(table))
    assert not list((settings.home() / "runs").glob("*"))


def test_only_what_runs_can_be_paused() -> None:
    run("train", *SMALL, "--set", "training.epochs=1", "--name", "done")
    assert "is finished, not running" in fail("pause", "done") and "not running or queued" in fail("stop", "done")
    assert not (settings.home() / "runs" / "done" / "pause").exists()


@pytest.mark.slow
def test_a_damaged_forecast_of_an_earlier_run_teaches_nothing_and_harms_nothing() -> None:
    run("forecast", *SMALL)
    run("train", *SMALL, "--name", "earlier")
    (settings.home() / "runs" / "earlier" / "forecast.json").write_text("{")
    assert run("forecast", *SMALL)["errors"] == []


def test_finished_runs_are_averaged_into_a_run_of_its_own() -> None:
    run("train", *SMALL, "--seeds", "2", "--name", "twin")
    made = run("ensemble", "twin", "twin-1", "--weighting", "validation")
    assert (made["run_id"], made["status"], made["train_accuracy"]) == ("ensemble-1", "finished", None)
    assert "is an ensemble itself" in fail("ensemble", "twin", "ensemble-1")


def test_a_teacher_s_time_is_printed_in_minutes_for_people_and_in_seconds_for_programs(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_run({"run_id": "a", "teacher_seconds": 840.0}, as_json=False)
    print_run({"run_id": "a", "teacher_seconds": None}, as_json=False)
    print_run({"run_id": "a", "teacher_seconds": 840.0}, as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("  ")[-1] == "14 min" and lines[1].startswith("its teacher") and lines[2] == "run_id  a"
    assert json.loads(lines[3])["teacher_seconds"] == 840.0
