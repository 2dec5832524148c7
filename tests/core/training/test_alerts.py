import numpy as np
import pytest

from core.config import TrainingConfig
from core.job_folder import JobProgress
from core.training.alerts import find_alerts
from core.training.forecast import Forecast
from core.training.history import STEP_COLUMNS, VALID_COLUMNS, History

CONFIG = TrainingConfig()
PLENTY = 10**12


def make_history(
    valid_losses: list[float], train_losses: list[float], accuracies: list[float] | None = None
) -> History:
    epochs = np.arange(1.0, len(valid_losses) + 1)
    steps = {name: np.zeros(len(train_losses)) for name in STEP_COLUMNS}
    validations = {name: np.zeros(len(valid_losses)) for name in VALID_COLUMNS}
    steps |= {"epoch": epochs[: len(train_losses)], "loss": np.array(train_losses)}
    accuracy = np.array(accuracies) if accuracies else 1 - np.array(valid_losses)
    validations |= {"epoch": epochs, "valid_loss": np.array(valid_losses), "valid_accuracy": accuracy}
    return History(steps, validations)


def titles(history: History, **changed: object) -> list[str]:
    given = {
        "config": CONFIG, "progress": None, "expected": None, "free_bytes": PLENTY, "checkpoint_bytes": 10**7, **changed
    }  # fmt: skip
    return [alert.title for alert in find_alerts(history, **given)]  # type: ignore[arg-type]


def test_a_training_that_goes_well_gives_no_alert() -> None:
    assert titles(make_history([0.5, 0.4, 0.3], [0.6, 0.5, 0.4])) == []
    assert titles(make_history([], [])) == []


def test_overfitting_is_dated_to_the_epoch_after_the_best() -> None:
    history = make_history([0.5, 0.3, 0.35, 0.4], [0.6, 0.4, 0.3, 0.2])
    assert titles(history) == ["Overfitting since epoch 3."]
    sentence = find_alerts(history, CONFIG, None, None, PLENTY, 0)[0].sentence
    assert "from 0.300 to 0.400" in sentence and "from 0.400 to 0.200" in sentence


def test_a_validation_loss_that_rises_with_the_training_loss_is_not_overfitting() -> None:
    assert titles(make_history([0.5, 0.3, 0.35], [0.6, 0.4, 0.5], [0.5, 0.7, 0.8])) == []


@pytest.mark.parametrize(("epochs", "expected"), [(2, []), (3, ["Validation accuracy has stopped rising."])])
def test_a_plateau_is_two_epochs_without_a_better_one(epochs: int, expected: list[str]) -> None:
    history = make_history([0.3, 0.301, 0.302][:epochs], [0.6, 0.5, 0.4][:epochs], [0.9, 0.89, 0.89][:epochs])
    assert titles(history) == expected


def make_forecast(seconds: float, *, disturbed: bool = False) -> Forecast:
    return Forecast(
        seconds=seconds, low=0.8 * seconds, high=1.2 * seconds, epoch_seconds=1, epochs=1, steps=100, step_seconds=1,
        reviews_per_second=1, parts={"steps": seconds, "validation and checkpoints": 0.0}, raw_seconds=seconds,
        correction=1, errors=(), threads=2, rehearsed=1, disturbed=disturbed, costs_key="",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("done", "disturbed", "expected"), [(50, False, []), (25, False, ["Slower than forecast."]), (25, True, [])]
)
def test_a_training_is_slow_beyond_the_range_of_its_forecast(done: int, disturbed: bool, expected: list[str]) -> None:
    progress = JobProgress(phase="Training", done=done, total=100, began=0.0, time=60.0)
    forecast = make_forecast(120.0, disturbed=disturbed)
    assert titles(make_history([], []), progress=progress, expected=forecast) == expected


@pytest.mark.parametrize(("free", "size", "expected"), [(10**9, 10**7, 0), (10**8, 10**7, 1), (10**9, 10**9, 1)])
def test_a_disk_is_nearly_full_by_what_a_checkpoint_takes(free: int, size: int, expected: int) -> None:
    assert len(titles(make_history([], []), free_bytes=free, checkpoint_bytes=size)) == expected


@pytest.mark.parametrize(("earlier", "expected"), [(0, []), (40, ["Slower than forecast."])])
def test_what_was_done_before_a_resume_is_not_counted_as_speed(earlier: int, expected: list[str]) -> None:
    progress = JobProgress(phase="Training", done=50, total=100, earlier=earlier, began=0.0, time=60.0)
    assert titles(make_history([], []), progress=progress, expected=make_forecast(120.0)) == expected
