"""What a running training's user should know, found in its history: one sentence and one thing to do for each."""

from dataclasses import dataclass
from typing import Literal

from core.config import TrainingConfig
from core.job_folder import JobProgress
from core.training.forecast import Forecast
from core.training.history import History

Action = Literal["stop", "pause", "make space"]
STALE_EPOCHS = 2
RISE = 1.02  # of the validation loss over its best before overfitting is spoken of
SLOWER = 1.1  # beyond the forecast's range
LEAST_SECONDS = 20.0
LEAST_FREE_BYTES = 500_000_000
CHECKPOINTS_LEFT = 4


@dataclass(frozen=True)
class Alert:
    """One finding.

    Attributes:
        title: What it is, in a few words.
        sentence: The figures behind it.
        action: What a button beside it should do.
    """

    title: str
    sentence: str
    action: Action


def find_alerts(
    history: History,
    config: TrainingConfig,
    progress: JobProgress | None,
    expected: Forecast | None,
    free_bytes: int,
    checkpoint_bytes: int,
) -> list[Alert]:
    """Return what a running training's user should know, the gravest first.

    Args:
        history: So far.
        config: Its settings.
        progress: Of the running job.
        expected: The forecast made before it began.
        free_bytes: On the disk of the workspace.
        checkpoint_bytes: Size of its newest checkpoint; 0 before there is one.
    """
    found = [
        _disk_alert(free_bytes, checkpoint_bytes),
        _overfitting_alert(history) or _plateau_alert(history, config),
        _slow_alert(progress, expected),
    ]
    return [alert for alert in found if alert is not None]


def _disk_alert(free_bytes: int, checkpoint_bytes: int) -> Alert | None:
    if free_bytes >= max(LEAST_FREE_BYTES, CHECKPOINTS_LEFT * checkpoint_bytes):
        return None
    needed = f" and a checkpoint takes {checkpoint_bytes / 1e6:.0f} MB" if checkpoint_bytes else ""
    return Alert(
        "The disk is nearly full.",
        f"{free_bytes / 1e6:,.0f} MB are free{needed}. When it is full, the run fails and its last checkpoint is kept.",
        "make space",
    )


def _overfitting_alert(history: History) -> Alert | None:
    """Validation loss has risen since its best epoch while the training loss fell on."""
    losses, epochs = history.validations["valid_loss"], history.validations["epoch"]
    if len(losses) < 2:
        return None
    best = int(losses.argmin())
    if losses[-1] < RISE * losses[best]:
        return None
    then, now = _mean_train_loss(history, epochs[best]), _mean_train_loss(history, epochs[-1])
    if then is None or now is None or now >= then:
        return None
    return Alert(
        f"Overfitting since epoch {int(epochs[best]) + 1}.",
        f"Validation loss has risen from {losses[best]:.3f} to {losses[-1]:.3f} while training loss fell from "
        f"{then:.3f} to {now:.3f}. The best model so far is kept.",
        "stop",
    )


def _plateau_alert(history: History, config: TrainingConfig) -> Alert | None:
    best, epochs = history.best(config.best_by), history.validations["epoch"]
    if best is None or len(epochs) - 1 - best < STALE_EPOCHS:
        return None
    word = "loss has stopped falling" if config.best_by == "loss" else "accuracy has stopped rising"
    return Alert(
        f"Validation {word}.",
        f"No epoch was better than epoch {int(epochs[best])} for {len(epochs) - 1 - best} epochs. The best model so "
        "far is kept.",
        "stop",
    )


def _slow_alert(progress: JobProgress | None, expected: Forecast | None) -> Alert | None:
    """The loop is projected to take longer than the range of its forecast."""
    if progress is None or expected is None or progress.phase != "Training" or expected.disturbed:
        return None
    spent, left = progress.time - progress.began, progress.seconds_left
    if left is None or spent < LEAST_SECONDS:
        return None
    whole = (spent + left) * progress.total / max(progress.total - progress.earlier, 1)
    share = expected.parts["steps"] + expected.parts["validation and checkpoints"]
    seconds = share * expected.correction
    if whole < SLOWER * seconds * expected.high / expected.seconds:
        return None
    return Alert(
        "Slower than forecast.",
        f"The steps will take about {_minutes(whole)} instead of {_minutes(seconds)}. Something else may be "
        "using the processor; pause, and go on when it is free.",
        "pause",
    )


def _mean_train_loss(history: History, epoch: float) -> float | None:
    losses = history.steps["loss"][history.steps["epoch"] == epoch]
    return float(losses.mean()) if len(losses) else None


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
