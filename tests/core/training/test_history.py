import json
from pathlib import Path

import numpy as np
import pytest

from core.training.history import HistoryReader, smooth, thin


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
