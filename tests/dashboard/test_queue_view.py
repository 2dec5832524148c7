"""When what waits is about to start."""

import time

import pytest

from core import jobs
from core.config import preset_config, with_data
from core.files import write_json
from core.job_folder import JobProgress
from core.jobs import submit_run
from core.runs import Run, list_runs
from core.training.forecast import Costs, create_forecast_job, forecast
from dashboard.components import about_duration, clock, duration_range
from dashboard.queue_view import list_turns, seconds_left

FAST = with_data(preset_config("fast"), "demo")
COSTS = Costs(
    load=1.0, prepare=4.0, step=0.1, validation=2.0, save=0.5, test=5.0, n_train=6_400, n_valid=700, n_test=1_000,
    threads=2, steps_timed=40, rehearsed=6.2, disturbed=False, fingerprint="f",
)  # fmt: skip
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def write_progress(run: Run, phase: str, done: int, total: int) -> None:
    progress = JobProgress(phase=phase, done=done, total=total, began=NOW - 60, time=NOW)
    write_json(run.path / "progress.json", progress.model_dump())


def test_turns_follow_each_other_by_their_forecasts() -> None:
    create_forecast_job(FAST).save_costs(COSTS)
    takes = forecast(FAST, COSTS).seconds
    runs = [submit_run(FAST, "fast") for _ in range(3)]
    turns, moment = list_turns(list_runs(), NOW)
    assert [turn.run for turn in turns] == runs
    assert [turn.starts for turn in turns] == pytest.approx([NOW, NOW + takes, NOW + 2 * takes])
    assert moment == pytest.approx(NOW + 3 * takes)
    jobs.move(runs[2], -2)
    jobs.stop(runs[0])
    assert [turn.run for turn in list_turns(list_runs(), NOW)[0]] == [runs[2], runs[1]]


def test_what_was_never_rehearsed_leaves_later_starts_open() -> None:
    create_forecast_job(FAST).save_costs(COSTS)
    submit_run(with_data(preset_config("compact"), "demo"), "compact")
    submit_run(FAST, "fast")
    turns, moment = list_turns(list_runs(), NOW)
    assert [turn.starts for turn in turns] == [NOW, None] and turns[0].seconds is None and moment is None


def test_a_running_training_is_waited_for() -> None:
    create_forecast_job(FAST).save_costs(COSTS)
    run = submit_run(FAST, "fast")
    waiting = submit_run(FAST, "fast")
    jobs.list_waiting("train")[0].entry.unlink()
    with run.locked():
        run.save_state("running")
        write_progress(run, "Training", 25, 100)
        turns, _ = list_turns(list_runs(), NOW)
    assert [(turn.run, turn.starts) for turn in turns] == [(waiting, pytest.approx(NOW + 180))]


def test_the_time_left_comes_from_the_progress_or_else_from_the_forecast() -> None:
    run = submit_run(FAST, "fast", with_test=True)
    assert seconds_left(run, time.time()) is None
    expected = forecast(FAST, COSTS, with_test=True)
    write_json(run.forecast_file, expected.model_dump())
    assert seconds_left(run, time.time()) == pytest.approx(expected.seconds, abs=2)
    write_progress(run, "Training", 50, 100)
    assert seconds_left(run, NOW) == pytest.approx(60 + 5)
    write_progress(run, "Scoring the test split", 30, 40)
    assert seconds_left(run, NOW) == pytest.approx(20)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "about 1 s"), (13.4, "about 13 s"), (52, "about 50 s"), (59, "about 1 min"), (550, "about 9 min"),
     (5_399, "about 90 min"), (7_200, "about 2 h"), (9_100, "about 2.5 h")],
)  # fmt: skip
def test_a_time_that_is_not_known_exactly_is_written_so(seconds: float, said: str) -> None:
    assert about_duration(seconds) == said


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(14, 20.2, "14 to 20 s"), (470, 650, "8 to 11 min"), (80, 120, "1.3 to 2.0 min"), (2.1, 2.3, "2 s"),
     (5_000, 9_000, "1.4 to 2.5 h"), (36_000, 54_000, "10 to 15 h")],
)  # fmt: skip
def test_a_range_is_written_in_one_unit(low: float, high: float, said: str) -> None:
    assert duration_range(low, high) == said


def test_a_moment_is_written_by_the_clock_and_names_another_day() -> None:
    now = time.time()
    assert clock(now) == time.strftime("%H:%M", time.localtime(now))
    assert clock(now + 3 * 86_400) == time.strftime("%a %H:%M", time.localtime(now + 3 * 86_400))
