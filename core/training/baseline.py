"""The line to beat: the n-gram model on the same reviews, trained within the job of a slower model."""

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from core import settings
from core.config import RunConfig, Section, preset_config
from core.data.labelled import LabelledTexts, cut_stratified
from core.errors import ReviewscopeError
from core.files import write_json
from core.job_folder import read_document
from core.runs import Run

if TYPE_CHECKING:
    from core.training.watcher import Watcher


class Baseline(Section):
    """What the n-gram model came to on the validation reviews of a run."""

    valid_accuracy: float = Field(description="Of its best epoch, a share.")
    n_valid: int
    train_seconds: float


def note_baseline(run: Run, train_split: LabelledTexts, fingerprint: str, watcher: "Watcher") -> None:
    """Write the line to beat into a run's folder, training it first unless it is known for this data and seed.

    There is none for a run that is an n-gram model itself or has no validation split. A baseline that fails costs the
    run nothing but the line.
    """
    config = run.settings.config
    if config.model.kind == "ngram" or not config.data.validation_fraction or run.baseline_file.exists():
        return
    try:
        baseline = find_baseline(config, fingerprint) or _train_baseline(config, train_split, fingerprint, watcher)
    except ReviewscopeError as error:
        watcher.on_notice(f"The line to beat could not be trained, so that the chart goes without: {error}")
        shutil.rmtree(baseline_folder(config, fingerprint), ignore_errors=True)  # so that the next run begins it anew
        return
    if baseline is not None:
        write_json(run.baseline_file, baseline.model_dump())


def load_baseline(run: Run) -> Baseline | None:
    """Return a run's line to beat, or None where it has none."""
    return read_document(run.baseline_file, Baseline) if run.baseline_file.exists() else None


def find_baseline(config: RunConfig, fingerprint: str) -> Baseline | None:
    """Return the line to beat that is known for a run's data and seed, or None; a damaged one is not known."""
    path = baseline_folder(config, fingerprint) / "baseline.json"
    try:
        return read_document(path, Baseline) if path.exists() else None
    except ReviewscopeError:
        return None


def baseline_config(config: RunConfig) -> RunConfig:
    """Return the n-gram model on the same data, cut with the same seed."""
    fast = preset_config("fast")
    training = fast.training.model_copy(update={"seed": config.training.seed})
    return fast.model_copy(update={"data": config.data, "training": training})


def baseline_folder(config: RunConfig, fingerprint: str) -> Path:
    """Return where the line to beat is kept: by all that it depends on."""
    content = f"{baseline_config(config).model_dump_json(exclude={'data': {'path', 'corrections'}})} {fingerprint}"
    return settings.home() / "cache" / "baselines" / hashlib.sha256(content.encode()).hexdigest()[:32]


def _train_baseline(
    config: RunConfig, train_split: LabelledTexts, fingerprint: str, watcher: "Watcher"
) -> Baseline | None:
    """Train it; None when it was asked to stop. Its own checkpoints let it go on after a kill."""
    from core.training.trainer import train_model
    from core.training.watcher import Watcher

    watcher.on_line("First the line to beat: the n-gram model on the same reviews.")
    folder = Run(baseline_folder(config, fingerprint))
    folder.path.mkdir(parents=True, exist_ok=True)
    quiet = Watcher(
        on_phase=lambda phase, total: watcher.on_phase(f"Line to beat: {phase.lower()}", total),
        on_notice=watcher.on_notice, on_progress=watcher.on_progress, should_stop=watcher.should_stop,
        on_resume=watcher.on_resume,
    )  # fmt: skip
    outcome = train_model(folder, baseline_config(config), train_split, fingerprint, quiet)
    position = outcome.position
    if not outcome.finished or position.best_accuracy is None:
        return None
    n_valid = len(cut_stratified(train_split.labels, config.data.validation_fraction, config.split_seed)[1])
    baseline = Baseline(valid_accuracy=position.best_accuracy, n_valid=n_valid, train_seconds=position.seconds)
    write_json(folder.path / "baseline.json", baseline.model_dump())
    for path in folder.path.iterdir():
        if path.name != "baseline.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return baseline
