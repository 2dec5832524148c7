"""The line to beat: the n-gram model on the same reviews, trained within the job of a slower model."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from core.config import RunConfig, Section, on_same_data
from core.errors import ReviewscopeError
from core.files import write_json
from core.job_folder import read_document
from core.runs import Run
from core.training.members import TrainingData, find_member, member_folder, train_member

if TYPE_CHECKING:
    from core.training.watcher import Watcher


class Baseline(Section):
    """What the n-gram model came to on the validation reviews of a run."""

    valid_accuracy: float = Field(description="Of its best epoch, a share.")
    n_valid: int
    train_seconds: float


def note_baseline(run: Run, data: TrainingData, watcher: "Watcher") -> None:
    """Write the line to beat into a run's folder, training it first unless it is known for this data and seed.

    There is none for a run that is an n-gram model itself or has no validation split. A baseline that fails costs the
    run nothing but the line.
    """
    config = run.settings.config
    if config.model.kind == "ngram" or not config.data.validation_fraction or run.baseline_file.exists():
        return
    try:
        baseline = find_baseline(config, data.fingerprint) or _train_baseline(config, data, watcher)
    except ReviewscopeError as error:
        watcher.on_notice(f"The line to beat could not be trained, so that the chart goes without: {error}")
        # So that the next run begins it anew.
        shutil.rmtree(baseline_folder(config, data.fingerprint), ignore_errors=True)
        return
    if baseline is not None:
        write_json(run.baseline_file, baseline.model_dump())


def load_baseline(run: Run) -> Baseline | None:
    """Return a run's line to beat, or None where it has none."""
    return read_document(run.baseline_file, Baseline) if run.baseline_file.exists() else None


def find_baseline(config: RunConfig, fingerprint: str) -> Baseline | None:
    """Return the line to beat that is known for a run's data and seed, or None; a damaged one is not known."""
    found = find_member(baseline_config(config), fingerprint)
    if found is None or found.valid_accuracy is None:
        return None
    return Baseline(valid_accuracy=found.valid_accuracy, n_valid=found.n_valid, train_seconds=found.seconds)


def baseline_config(config: RunConfig) -> RunConfig:
    """Return the n-gram model on the same data, cut with the same seed."""
    return on_same_data("fast", config)


def baseline_folder(config: RunConfig, fingerprint: str) -> Path:
    """Return where the line to beat is kept: by all that it depends on."""
    return member_folder(baseline_config(config), fingerprint)


def _train_baseline(config: RunConfig, data: TrainingData, watcher: "Watcher") -> Baseline | None:
    """Train it; None when it was asked to stop. Its own checkpoints let it go on after a kill."""
    from core.training.watcher import StopAsked

    watcher.on_line("First the line to beat: the n-gram model on the same reviews.")
    try:
        train_member(baseline_config(config), data, watcher, "Line to beat")
    except StopAsked:
        return None
    return find_baseline(config, data.fingerprint)
