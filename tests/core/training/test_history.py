import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import RunError
from core.training.history import (
    History,
    HistoryReader,
    epochs_done,
    estimate_left,
    history_csv,
    smooth,
    thin,
    training_seconds,
)


def step_line(step: int, loss: float = 0.5, epoch: int = 1) -> dict[str, float]:
    line = {"step": step, "epoch": epoch, "loss": loss, "learning_rate": 0.1, "gradient_norm": 1.0}
    return {**line, "reviews_per_second": 10.0, "time": float(step)}


def valid_line(step: int, accuracy: float, loss: float = 0.4) -> dict[str, float]:
    return {"step": step, "epoch": step // 10, "valid_loss": loss, "valid_accuracy": accuracy, "time": float(step)}


def append(path: Path, *lines: dict[str, float], torn: str = "") -> None:
    with path.open("a") as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines) + torn)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def test_a_history_that_is_not_there_yet_is_empty(path: Path) -> None:
    history = HistoryReader(path).refresh()
    assert len(history.steps["step"]) == 0 and history.best("accuracy") is None


def test_only_whole_new_lines_are_read(path: Path) -> None:
    reader = HistoryReader(path)
    append(path, step_line(1), torn='{"step": 2, "ep')
    assert reader.refresh().steps["step"].tolist() == [1]
    offset = reader.offset
    with path.open("a") as file:
        file.write(
            'och": 1, "loss": 0.25, "learning_rate": 0.1, "gradient_norm": 1, "reviews_per_second": 1, "time": 2}\n'
        )
    history = reader.refresh()
    assert history.steps["loss"].tolist() == [0.5, 0.25] and reader.offset > offset


def test_what_a_resume_says_again_stands_once(path: Path) -> None:
    reader = HistoryReader(path)
    append(path, *(step_line(step) for step in range(1, 6)), valid_line(5, 0.7))
    reader.refresh()
    path.write_text("")
    append(path, step_line(1), step_line(2), step_line(3, loss=0.1))
    history = reader.refresh()
    assert history.steps["step"].tolist() == [1, 2, 3] and len(history.validations["step"]) == 0
    append(path, step_line(2, loss=0.9))
    assert reader.refresh().steps["loss"].tolist() == [0.5, 0.9]


def test_the_best_is_the_most_accurate_then_the_surest_then_the_first(path: Path) -> None:
    append(
        path,
        valid_line(10, 0.8, 0.5),
        valid_line(20, 0.9, 0.5),
        valid_line(30, 0.9, 0.4),
        valid_line(40, 0.9, 0.4),
        valid_line(50, 0.7, 0.3),
    )
    history = HistoryReader(path).refresh()
    assert history.best("accuracy") == 2 and history.best("loss") == 4


def test_thinning_keeps_a_spike_of_one_step_in_a_hundred_thousand() -> None:
    values = np.random.default_rng(0).normal(0.5, 0.01, 100_000)
    values[54_321], values[77_777] = 9.0, -3.0
    places = thin(values, 2_000)
    assert len(places) <= 2_000 and {54_321, 77_777} <= set(places.tolist())
    assert (np.diff(places) > 0).all()


def test_a_short_line_is_not_thinned() -> None:
    assert thin(np.arange(10.0), 2_000).tolist() == list(range(10))
    assert thin(np.zeros(0), 2_000).tolist() == []


def test_smoothing_begins_at_the_first_value_and_keeps_a_level_line() -> None:
    assert smooth(np.array([3.0, 1.0, 1.0]), 10)[0] == 3.0
    assert np.allclose(smooth(np.full(50, 0.7), 20), 0.7)
    assert len(smooth(np.zeros(0), 5)) == 0


def read(path: Path, *lines: dict[str, float]) -> History:
    append(path, *lines)
    return HistoryReader(path).refresh()


def timed(line: dict[str, float], time: float, **changed: float) -> dict[str, float]:
    return {**line, "time": time, **changed}


def test_a_history_that_was_handed_out_never_changes(path: Path) -> None:
    reader = HistoryReader(path)
    append(path, *(step_line(step) for step in range(1, 200)), valid_line(199, 0.7))
    before = reader.refresh()
    append(path, step_line(5, loss=9.0), step_line(6, loss=8.0))
    after = reader.refresh()
    assert before.steps["loss"][4] == 0.5 and len(before.steps["loss"]) == 199 and len(before.validations["step"]) == 1
    assert after.steps["loss"].tolist() == [0.5] * 4 + [9.0, 8.0] and len(after.validations["step"]) == 0
    with pytest.raises(ValueError, match="read-only"):
        before.steps["loss"][0] = 1.0


@pytest.mark.parametrize("more", [4, 5, 9])
def test_a_file_that_was_cut_and_has_grown_again_between_two_looks_is_read_anew(path: Path, more: int) -> None:
    reader = HistoryReader(path)
    append(path, *(step_line(step) for step in range(1, 9)), valid_line(8, 0.7))
    reader.refresh()
    lines = path.read_text().splitlines(keepends=True)[:4]
    path.write_text("".join(lines))
    append(path, *(timed(step_line(step, loss=0.25), step + 0.5) for step in range(5, 5 + more)))
    history = reader.refresh()
    assert history.steps["step"].tolist() == list(range(1, 5 + more)) and len(history.validations["step"]) == 0
    assert history.steps["loss"].tolist() == [0.5] * 4 + [0.25] * more


def test_a_damaged_line_is_named(path: Path) -> None:
    append(path, step_line(1))
    with path.open("a") as file:
        file.write('{"step": 2, "ep\n')
    with pytest.raises(RunError, match="damaged line"):
        HistoryReader(path).refresh()


def test_a_line_that_grows_keeps_the_points_it_has_until_stretches_double() -> None:
    values = np.random.default_rng(1).normal(size=4_000)
    before = set(thin(values[:3_000], 1_000).tolist())
    assert before - {2_999} <= set(thin(values[:3_500], 1_000).tolist()) | set(range(2_992, 3_000))


@given(count=st.integers(0, 5_000), most=st.integers(4, 600), seed=st.integers(0, 9))
def test_thinning_keeps_the_extremes_and_no_more_than_asked(count: int, most: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=count)
    places = thin(values, most)
    assert len(places) <= max(most, 0) and (np.diff(places) > 0).all()
    if count:
        assert values[places].min() == values.min() and values[places].max() == values.max()


def test_time_of_training_leaves_out_pauses_and_restarts(path: Path) -> None:
    history = read(
        path,
        timed(step_line(1), 100.0), timed(step_line(2), 101.0), timed(valid_line(2, 0.7), 104.0),
        timed(step_line(3), 3_704.0), timed(step_line(4), 3_705.5),
    )  # fmt: skip
    steps, validations = training_seconds(history)
    assert steps.tolist() == [0.0, 1.0, 4.0, 5.5] and validations.tolist() == [4.0]


def test_a_slow_step_is_no_pause_and_a_clock_set_back_takes_nothing_away(path: Path) -> None:
    slow = read(path, *(timed(step_line(step), 90.0 * step) for step in range(1, 5)))
    assert training_seconds(slow)[0].tolist() == [0.0, 90.0, 180.0, 270.0]
    back = read(path, timed(step_line(5), 450.0), timed(step_line(6), 20.0), timed(step_line(7), 110.0))
    assert training_seconds(back)[0].tolist() == [0.0, 90.0, 180.0, 270.0, 360.0, 360.0, 450.0]
    empty = HistoryReader(path.with_name("none")).refresh()
    assert [len(clock) for clock in training_seconds(empty)] == [0, 0]


def test_epochs_done_follow_the_epoch_of_each_step_also_after_one_that_was_cut_short(path: Path) -> None:
    lines = [step_line(step, epoch=1 + (step > 4) + (step > 6)) for step in range(1, 9)]
    history = read(path, *lines[:4], valid_line(4, 0.6), *lines[4:6], valid_line(6, 0.7), *lines[6:])
    steps, validations = epochs_done(history, 4)
    assert steps.tolist() == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.25, 2.5] and validations.tolist() == [1.0, 1.5]


def test_the_time_left_counts_the_validations_that_are_still_to_come(path: Path) -> None:
    lines, time = [], 0.0
    for step in range(1, 101):
        lines.append(timed(step_line(step), time := time + 1.0))
        if step % 10 == 0:
            lines.append(timed(valid_line(step, 0.7), time := time + 5.0))
    left = estimate_left(read(path, *lines), 200, 10, 0.2)
    assert left is not None and left.seconds == pytest.approx(150.0)
    assert (left.low, left.high) == (pytest.approx(0.97 * 150), pytest.approx(1.03 * 150))


def test_the_range_of_the_time_left_is_wide_while_nothing_is_known_and_where_the_speed_varies(path: Path) -> None:
    assert estimate_left(read(path, *(step_line(step) for step in range(1, 4))), 100, 50, 0.2) is None
    early = estimate_left(read(path, *(step_line(step) for step in range(4, 11))), 100, 50, 0.2)
    assert early is not None and early.seconds == pytest.approx(90.0) and early.high == pytest.approx(1.2 * 90)
    uneven = [
        timed(step_line(step), float(step), reviews_per_second=10.0 + 20 * (step > 130)) for step in range(11, 300)
    ]
    late = estimate_left(read(path, *uneven), 500, 50, 0.2)
    assert late is not None and late.low < 0.8 * late.seconds < 1.2 * late.seconds < late.high


def test_every_line_of_a_history_is_in_its_csv(path: Path) -> None:
    history = read(path, step_line(1, 0.75), step_line(2, 0.5), valid_line(2, 0.8, 0.25), step_line(3, 1e-7, epoch=2))
    rows = list(csv.DictReader(io.StringIO(history_csv(history))))
    assert [row["step"] for row in rows] == ["1", "2", "2", "3"] and [row["epoch"] for row in rows] == list("1102")
    assert [row["loss"] for row in rows] == ["0.75", "0.5", "", "1e-07"]
    assert [row["valid_accuracy"] for row in rows] == ["", "", "0.8", ""] and rows[2]["time"] == "2.0"
