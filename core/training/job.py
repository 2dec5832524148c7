"""One training job from its folder to its result: lock, data, loop, test figures, state."""

import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from core import settings as app_settings
from core.config import LABELS, PRESETS, EnsembleConfig, Meaning, RunConfig, preset_config, with_data, with_settings
from core.data.labelled import LEAST_OF_A_LABEL, LabelledTexts, cut_stratified, fingerprint
from core.data.sources import load_columns
from core.errors import DataError, ReviewscopeError, RunError
from core.files import hold_lock, write_bytes
from core.job_folder import Status, peak_memory_mb
from core.models.model_file import is_sound_model
from core.prediction.evaluating import Evaluation, evaluate_split
from core.prediction.predictor import Predictor
from core.runs import Run, RunOrigin, RunResult, create_run, library_versions
from core.training.baseline import note_baseline
from core.training.extension import added_epochs_left
from core.training.forecast import note_forecast
from core.training.members import TrainingData, take_run
from core.training.recipe import train_config
from core.training.trainer import Outcome
from core.training.watcher import StopAsked, Watcher

RESERVED_BYTES = 65_536


def train(
    preset: str = "fast",
    data: str = "imdb",
    *,
    settings: Sequence[str] = (),
    text_column: str | None = None,
    label_column: str | None = None,
    label_map: Mapping[str, Meaning] | None = None,
    name: str | None = None,
    with_test: bool = False,
    watcher: Watcher | None = None,
    started: float | None = None,
) -> tuple[Run, RunResult]:
    """Train a preset on a data set and return the run and its figures.

    Args:
        preset: A name of ``core.config.PRESETS``.
        data: "imdb", "demo" or the path of a labelled table.
        settings: Changes such as "training.epochs=3".
        text_column: Of the table; guessed when None.
        label_column: Of the table; guessed when None.
        label_map: How the values of the label column are read; the usual spellings when None.
        name: The run's; the preset with a number when None.
        with_test: Also score the test split, once.
        watcher: Is told of progress and may ask to stop.
        started: When the caller began, by ``time.monotonic``; now when None.

    Raises:
        ReviewscopeError: Settings, data or training failed; the run folder keeps what was reached.
    """
    config = with_settings(with_data(preset_config(preset), data, text_column, label_column, label_map), settings)
    check_data(config)
    run = create_run(config, preset, name, with_test=with_test)
    return run, execute_run(run, watcher or Watcher(), time.monotonic() if started is None else started)


def check_data(config: RunConfig) -> None:
    """Refuse a table that cannot be read, and a member that cannot be had, before there is a run.

    Raises:
        ReviewscopeError: There is one.
    """
    if isinstance(config.model, EnsembleConfig):
        for name in config.model.members:
            if name not in PRESETS:
                take_run(name, config)
    if config.data.source == "table":
        _check_labels(load_columns(config.data)["train"])


def execute_run(run: Run, watcher: Watcher, started: float) -> RunResult:
    """Train a new run, or go on with one that was stopped, interrupted or failed; a finished one only reports.

    Args:
        run: Its folder.
        watcher: Is told of progress and may ask to stop; a stopped run keeps its best weights.
        started: When the command began, by ``time.monotonic``.

    Raises:
        ReviewscopeError: Another process trains it, the data is not the same any more, or the training failed.
    """
    start = time.monotonic() - started
    state, result = run.state, run.result
    if state.status == "finished" and result and is_sound_model(run.model_file) and not added_epochs_left(run, result):
        return result
    if state.status == "running":
        raise RunError(f"Run {run.run_id} is being trained by another process right now.")
    with run.locked(), _only_training(run, watcher):
        watcher = _keep_notices(run, watcher)
        run.save_state("running")
        try:
            _remove_leftovers(run)
            with _reserved_space(run):
                outcome, evaluation = _train(run, watcher, start)
                result = summarise(outcome, evaluation, outcome.earlier_seconds + time.monotonic() - started)
                run.save_result(result)
        except StopAsked as error:
            word: Status = "paused" if run.is_pause_requested else "stopped"
            _end(run, word, f"It was {word} before its first step; what was learnt so far is kept.")
            raise RunError(f"Run {run.run_id} was {word} before its first step. Resume it to go on.") from error
        except OSError as error:
            failure = _explain_refusal(run, error)
            _end(run, "failed", str(failure))
            raise failure from error
        except Exception as error:
            message = str(error) if isinstance(error, ReviewscopeError) else f"Unexpected: {error!r}"
            _end(run, "failed", message)
            raise
        if outcome.finished:
            _end(run, "finished")
        else:
            _end(run, "paused" if run.is_pause_requested else "stopped")
    return result


def _end(run: Run, status: Status, message: str = "") -> None:
    """Write how a run ended, and start the user's own command when one is set."""
    run.save_state(status, message)
    command = app_settings.end_command()
    if command.strip() and status in ("finished", "failed"):
        environment = os.environ | {"REVIEWSCOPE_RUN": run.run_id, "REVIEWSCOPE_STATUS": status}
        try:
            subprocess.Popen(shlex.split(command), env=environment, start_new_session=True)
        except (OSError, ValueError) as error:
            print(f"The command of {app_settings.END_COMMAND_VARIABLE} could not be started: {error}", flush=True)


def _explain_refusal(run: Run, error: OSError) -> RunError:
    """Return the sentence for a call that the operating system refused and nothing nearer to it explains."""
    where = f" ({Path(os.fsdecode(error.filename)).name})" if isinstance(error.filename, str | bytes) else ""
    return RunError(
        f"Run {run.run_id} could not go on: {error.strerror or error}{where}. Free some disk space or check the "
        "workspace's permissions, then resume it."
    )


def _remove_leftovers(run: Run) -> None:
    """Remove what killed processes had half written; the name and notes are others' to write, at any time."""
    for path in run.path.rglob(".*.tmp"):
        if not path.name.startswith(".about.json."):
            path.unlink(missing_ok=True)


def _keep_notices(run: Run, watcher: Watcher) -> Watcher:
    """Return a watcher whose notices the run's page finds too."""

    def keep(sentence: str) -> None:
        run.add_notice(sentence)
        watcher.on_notice(sentence)

    return replace(watcher, on_notice=keep)


@contextmanager
def _reserved_space(run: Run) -> Iterator[None]:
    """Hold back a little of the disk, so that on a full one the run's end can still be written down."""
    path = run.path / "reserve"
    write_bytes(path, bytes(RESERVED_BYTES))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def _only_training(run: Run, watcher: Watcher) -> Iterator[None]:
    """Hold the right to train, which one process of a workspace has at a time, and say so while waiting for it."""
    path = app_settings.home() / "queue" / "train.busy"
    waited = False
    while True:
        with ExitStack() as stack:
            try:
                stack.enter_context(hold_lock(path, "busy"))
            except ReviewscopeError as error:
                if str(error) != "busy":
                    raise  # the lock cannot be had at all: waiting would last for ever
                if not waited:
                    watcher.on_notice("Another training is running here; this one begins when it has ended.")
                waited = True
                if watcher.should_stop():
                    word: Status = "paused" if run.is_pause_requested else "stopped"
                    run.save_state(word, f"It was {word} before it began.")
                    raise RunError(f"Run {run.run_id} was {word} before it began.") from None
                continue
            yield
            return


def _train(run: Run, watcher: Watcher, start: float) -> tuple[Outcome, Evaluation | None]:
    watcher.on_phase("Loading the data", 0)
    config = run.settings.config
    splits = load_columns(config.data)
    data_fingerprint = fingerprint(splits)
    _check_origin(run, data_fingerprint, splits, watcher)
    _check_labels(splits["train"])
    try:
        note_forecast(run, start)
    except ReviewscopeError as error:
        watcher.on_notice(f"The training is not compared with its forecast: {error}")
    data = TrainingData(splits["train"], splits["test"], data_fingerprint)
    is_ensemble = config.model.kind == "ensemble"
    if not is_ensemble:
        note_baseline(run, data, watcher)
    outcome = train_config(
        run, config, data, watcher, extensions=run.about.extensions, mirrored=run.settings.with_tensorboard
    )
    if is_ensemble:  # among whose members it may have been
        note_baseline(run, data, watcher)
    if not (run.settings.with_test and outcome.finished):
        return outcome, None
    test: LabelledTexts = splits["test"]
    watcher.on_phase("Scoring the test split", len(test))
    predictor = Predictor.load(run.model_file)
    return outcome, evaluate_split(predictor, test, data_fingerprint, "test", watcher.on_progress)


def _check_labels(split: LabelledTexts) -> None:
    for label, count in zip(LABELS, np.bincount(split.labels, minlength=2), strict=True):
        if count < LEAST_OF_A_LABEL:
            raise DataError(
                f"The training split holds {count} {label} reviews; at least {LEAST_OF_A_LABEL} of each label are "
                "needed. Add some."
            )


def _check_origin(run: Run, data_fingerprint: str, splits: Mapping[str, LabelledTexts], watcher: Watcher) -> None:
    """Note what the weights depend on at the first start; compare with it at a resume."""
    config = run.settings.config
    rows, valid_rows = cut_stratified(splits["train"].labels, config.data.validation_fraction, config.split_seed)
    present = RunOrigin(
        data_fingerprint=data_fingerprint,
        libraries=library_versions(),
        device=torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        threads=torch.get_num_threads(),
        n_train=min(config.data.limit or len(rows), len(rows)),
        n_valid=len(valid_rows),
        n_test=len(splits["test"]),
    )
    before = run.origin
    if before is None:
        run.save_origin(present)
        return
    if before.data_fingerprint != data_fingerprint:
        raise RunError(
            f"The data of run {run.run_id} is not what it was when the run began (fingerprint "
            f"{data_fingerprint[:12]}, then {before.data_fingerprint[:12]}). Bring it back, or start a new run."
        )
    torch.set_num_threads(before.threads)
    changed = run.changed_libraries
    if before.device != present.device:
        changed.append(f"the device was {before.device}, is {present.device}")
    if changed:
        watcher.on_notice(f"Going on, though not bit for bit as before: {'; '.join(changed)}.")


def summarise(outcome: Outcome, evaluation: Evaluation | None, total_seconds: float) -> RunResult:
    """Return a run's figures."""
    position = outcome.position
    result = RunResult(
        parameters=outcome.parameters,
        train_accuracy=position.train_accuracy,
        train_loss=position.train_loss,
        valid_accuracy=position.best_accuracy,
        valid_loss=position.best_loss,
        best_epoch=position.best_epoch,
        epochs=position.epoch - 1,
        train_seconds=round(position.seconds, 3),
        total_seconds=round(total_seconds, 3),
        peak_memory_mb=round(peak_memory_mb(), 1),
        model_sha256=position.model_sha256,
        teacher_seconds=None if outcome.teacher_seconds is None else round(outcome.teacher_seconds, 3),
    )
    if evaluation is None:
        return result
    metrics = evaluation.metrics
    return result.model_copy(
        update={"test_accuracy": metrics["accuracy"].value, "test_loss": metrics["log_loss"].value}
    )
