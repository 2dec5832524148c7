"""Models that are trained within the job of another run: once for their settings and data, and kept in the cache.

The line to beat, an ensemble's members and a student's teacher are such. One that was killed goes on from its own
checkpoints, whichever run asks for it next. Torch is not needed to find one.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from core import settings
from core.config import PRESETS, EnsembleConfig, RunConfig, Section, on_same_data, parse_config, plain_document
from core.data.labelled import LabelledTexts, cut_stratified
from core.errors import CheckpointError, ConfigError, ReviewscopeError, RunError
from core.files import write_json
from core.job_folder import read_document
from core.models.model_file import is_sound_model
from core.runs import Run, find_run, list_runs

if TYPE_CHECKING:
    from core.training.watcher import Watcher

FIGURES_FILE, CLOCK_FILE, TARGETS_FOLDER = "figures.json", "seconds.json", "targets"
KEPT = (FIGURES_FILE, "model.safetensors", TARGETS_FOLDER)
CLOCK_SECONDS = 5.0
TEACHER_SEED = 0  # so that students of several seeds share one


@dataclass(frozen=True)
class TrainingData:
    """What a job trains on.

    Attributes:
        train: The training split, whole; validation is cut from it by each config's seed of the split.
        test: Texts that no training may read; its labels are not looked at.
        fingerprint: Of the data set.
    """

    train: LabelledTexts
    test: LabelledTexts
    fingerprint: str


class MemberFigures(Section):
    """What a member came to."""

    valid_accuracy: float | None
    n_valid: int
    seconds: float = Field(description="That all processes spent on it, what it learnt from included.")
    parameters: int


class _Seconds(Section):
    seconds: float


@dataclass(frozen=True)
class TrainedMember:
    """A model that is trained.

    Attributes:
        model_file: Where it is.
        seconds: That all processes spent on it.
        seconds_here: Those of them that this process spent just now; 0 of one that was there.
    """

    model_file: Path
    seconds: float
    seconds_here: float = 0.0


def member_folder(config: RunConfig, fingerprint: str) -> Path:
    """Return where a member is kept: by all that its weights depend on."""
    document = {name: plain_document(getattr(_spelt_out(config), name)) for name in RunConfig.model_fields}
    for name in ("path", "corrections"):  # the fingerprint tells
        del document["data"][name]
    content = f"{json.dumps(document, sort_keys=True)} {fingerprint}"
    return settings.home() / "cache" / "members" / hashlib.sha256(content.encode()).hexdigest()[:32]


def find_member(config: RunConfig, fingerprint: str) -> MemberFigures | None:
    """Return what is known of a member, or None; damaged figures are not known."""
    path = member_folder(config, fingerprint) / FIGURES_FILE
    try:
        return read_document(path, MemberFigures) if path.exists() else None
    except ReviewscopeError:
        return None


def configs_before(
    config: RunConfig, is_there: Callable[[RunConfig], bool] = lambda config: False
) -> dict[str, RunConfig]:
    """Return what a config trains first, in order, by what people call it; runs that are taken as they are, are not.

    Args:
        config: Of a student (its teacher, and what that trains first) or of an ensemble (its members); of any other
            nothing is trained first.
        is_there: Tells of which there is a model already: neither it nor what it trains first is listed.
    """
    found: dict[str, RunConfig] = {}
    for name, first in _trained_first(config).items():
        if not is_there(first):
            found |= configs_before(first, is_there) | {name: first}
    return found


def _trained_first(config: RunConfig) -> dict[str, RunConfig]:
    if (teacher := config.training.teacher) is not None:
        return {f"teacher {teacher}": on_same_data(teacher, config, TEACHER_SEED)}
    names = config.model.members if isinstance(config.model, EnsembleConfig) else ()
    return {f"member {name}": on_same_data(name, config) for name in names if name in PRESETS}


def train_member(config: RunConfig, data: TrainingData, watcher: "Watcher", title: str) -> TrainedMember:
    """Return a member, trained now unless it is there; its phases are told under a title.

    Raises:
        StopAsked: The watcher asked to stop; its checkpoints stay.
        ReviewscopeError: It cannot be trained.
    """
    folder = Run(member_folder(config, data.fingerprint))
    figures = find_member(config, data.fingerprint)
    if figures is not None and is_sound_model(folder.model_file):
        _remove_all_but(folder.path, KEPT)  # what a process that was killed at its very end had left
        return TrainedMember(folder.model_file, figures.seconds)
    folder.path.mkdir(parents=True, exist_ok=True)
    (folder.path / FIGURES_FILE).unlink(missing_ok=True)
    began = time.monotonic()
    try:
        figures = _train(folder, _spelt_out(config), data, watcher, title)
    except CheckpointError as error:
        watcher.on_notice(f"{title}: {error} It begins anew.")
        shutil.rmtree(folder.path)
        folder.path.mkdir()
        figures = _train(folder, _spelt_out(config), data, watcher, title)
    write_json(folder.path / FIGURES_FILE, figures.model_dump())
    _remove_all_but(folder.path, KEPT)
    return TrainedMember(folder.model_file, figures.seconds, time.monotonic() - began)


def take_run(run_id: str, config: RunConfig, fingerprint: str | None = None) -> TrainedMember:
    """Return a run's model as a member of an ensemble.

    Args:
        run_id: The run's.
        config: The ensemble's settings.
        fingerprint: Of the ensemble's data; None while it has not been read, and then it is not compared.

    Raises:
        RunError: There is no such run, it is not finished, is an ensemble, or learnt from other reviews.
    """
    run = find_run(run_id)
    own, origin, result = run.settings.config, run.origin, run.result
    if own.model.kind == "ensemble":
        raise RunError(f"Run {run_id} is an ensemble itself. Name its members in its place.")
    if run.state.status != "finished" or origin is None or result is None or not run.model_file.exists():
        raise RunError(f"Run {run_id} is {run.state.status}; a member must have finished. Let it finish first.")
    if fingerprint is not None and origin.data_fingerprint != fingerprint:
        raise RunError(
            f"Run {run_id} was trained on other data (fingerprint {origin.data_fingerprint[:12]}, here "
            f"{fingerprint[:12]}), which may hold this one's validation reviews. Choose runs of the same data."
        )
    here, there = (_describe_split(each) for each in (config, own))
    if here != there:
        raise RunError(
            f"Run {run_id} held back other reviews for validation ({there}; here {here}), so that it learnt from some "
            f"of these. Train it again with --set data.split_seed={config.split_seed} and the same validation share."
        )
    seconds = result.total_seconds + (result.teacher_seconds or 0.0)
    return TrainedMember(run.model_file, seconds)


def _describe_split(config: RunConfig) -> str:
    fraction = config.data.validation_fraction
    return f"share {fraction:g}, seed {config.split_seed}" if fraction else "none"


def ensemble_of(references: Sequence[str], weighting: str) -> RunConfig:
    """Return the settings of an ensemble of finished runs, on the data of the first; presets may stand among them.

    Raises:
        ReviewscopeError: A member cannot be had, or two of them did not learn from the same reviews.
    """
    known = {run.run_id for run in list_runs()}
    names = [find_run(name).run_id if name == "latest" else name for name in references]
    for name in set(names) & set(PRESETS) & known:
        raise ConfigError(f"{name} is a preset, and the id of a run too. Train that run again under another name.")
    runs = [find_run(name) for name in names if name not in PRESETS]
    if not runs:
        raise ConfigError(
            "None of these is a run, so that there is no data yet. Say train --preset strong --set "
            f"model.members={','.join(names)}"
        )
    config = _spelt_out(runs[0].settings.config)
    model = {"kind": "ensemble", "members": names, "weighting": weighting}
    training = on_same_data("strong", config).training.model_copy(update={"seed": config.training.seed})
    config = parse_config(config.model_dump() | {"model": model, "training": training.model_dump()})
    origin = runs[0].origin
    for run in runs:
        take_run(run.run_id, config, origin.data_fingerprint if origin else None)
    return config


def _train(folder: Run, config: RunConfig, data: TrainingData, watcher: "Watcher", title: str) -> MemberFigures:
    from core.training.recipe import train_config
    from core.training.watcher import StopAsked, Watcher

    with _counted_seconds(folder.path / CLOCK_FILE) as clock:

        def count(done: int) -> None:
            watcher.on_progress(done)
            clock.tick()

        told = Watcher(
            on_phase=lambda phase, total: watcher.on_phase(f"{title}: {phase[:1].lower()}{phase[1:]}", total),
            on_notice=watcher.on_notice, on_progress=count, should_stop=watcher.should_stop,
            on_resume=watcher.on_resume,
        )  # fmt: skip
        outcome = train_config(folder, config, data, told)
        if not outcome.finished:
            raise StopAsked
    n_valid = len(cut_stratified(data.train.labels, config.data.validation_fraction, config.split_seed)[1])
    # An ensemble's own seconds are those of its members, which may have been there.
    seconds = max(clock.seconds, outcome.position.seconds)
    return MemberFigures(
        valid_accuracy=outcome.position.best_accuracy, n_valid=n_valid, seconds=seconds, parameters=outcome.parameters
    )


class _Clock:
    """Counts the seconds that are spent on a member, over all processes; of one that is killed some may be missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.earlier = 0.0
        with suppress(ReviewscopeError):
            self.earlier = read_document(path, _Seconds).seconds
        self.began = self.written = time.monotonic()

    @property
    def seconds(self) -> float:
        return self.earlier + time.monotonic() - self.began

    def tick(self) -> None:
        if time.monotonic() - self.written >= CLOCK_SECONDS:
            self.save()

    def save(self) -> None:
        self.written = time.monotonic()
        write_json(self.path, _Seconds(seconds=self.seconds).model_dump())


@contextmanager
def _counted_seconds(path: Path) -> Iterator[_Clock]:
    clock = _Clock(path)
    try:
        yield clock
    except BaseException:
        with suppress(ReviewscopeError, OSError):  # what went wrong before is what must be said
            clock.save()
        raise


def _spelt_out(config: RunConfig) -> RunConfig:
    """Return a config that names the seed of its split, so that one that leaves it to the run's seed is the same."""
    data = config.data.model_copy(update={"split_seed": config.split_seed})
    return config.model_copy(update={"data": data})


def _remove_all_but(folder: Path, names: tuple[str, ...]) -> None:
    for path in folder.iterdir():
        if path.name not in names:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
