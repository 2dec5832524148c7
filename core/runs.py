"""The run folder, and the models folder beside it: the only code that knows their file names."""

import errno
import importlib.metadata
import json
import os
import platform
import re
import shutil
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from core import settings
from core.config import RunConfig, Section
from core.errors import ModelFileError, ReviewscopeError, RunError
from core.files import atomic_writer, sync_file, write_json
from core.job_folder import JobFolder, read_document

FORMAT_VERSION = 1


class RunResult(Section):
    """What a training came to; accuracies are shares, losses mean log losses."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    parameters: int
    train_accuracy: float | None = Field(
        description="Running mean over the last epoch, dropout on; None of an ensemble, which takes no step."
    )
    train_loss: float | None
    valid_accuracy: float | None = Field(description="Of the weights that were kept; None without validation.")
    valid_loss: float | None
    best_epoch: int | None
    epochs: int = Field(description="Epochs that were finished.")
    train_seconds: float = Field(description="In the training loop, validation included.")
    total_seconds: float = Field(
        description="From the command's start, loading and encoding included; of an ensemble all its members' too."
    )
    peak_memory_mb: float
    model_sha256: str
    test_accuracy: float | None = None
    test_loss: float | None = None
    teacher_seconds: float | None = Field(None, description="Its teacher's, which are not among the others.")


class Extension(Section):
    """Epochs that were added to a run that had ended."""

    after_step: int = Field(description="Updates done when they were added.")
    after_epoch: int = Field(description="Epochs done when they were added.")
    epochs: int = Field(ge=1)


class RunAbout(Section):
    """What people may change about a run."""

    name: str
    preset: str
    created: float = Field(description="Seconds since 1970.")
    note: str = ""
    star: bool = False
    tags: tuple[str, ...] = ()
    group: str | None = Field(None, description="Names the runs that were queued together: seeds, or a grid.")
    extensions: tuple["Extension", ...] = ()


class RunSettings(Section):
    """What a run was started with; written once."""

    format_version: int = FORMAT_VERSION
    config: RunConfig
    with_test: bool = Field(description="Score the test split once when training has finished.")
    with_tensorboard: bool = Field(False, description="Mirror the history into TensorBoard's event files.")
    parent: str | None = Field(None, description="The run whose settings these were made from.")


class RunOrigin(Section):
    """What a run's weights depend on besides its settings; a resume that differs here says so."""

    data_fingerprint: str
    libraries: dict[str, str]
    device: str
    threads: int
    n_train: int = Field(description="Reviews trained on, validation not counted.")
    n_valid: int
    n_test: int


@dataclass(frozen=True)
class Run(JobFolder):
    """One training job's folder."""

    @property
    def run_id(self) -> str:
        """Return the folder's name."""
        return self.job_id

    @property
    def model_file(self) -> Path:
        """Return where the best weights are."""
        return self.path / "model.safetensors"

    @property
    def metrics_file(self) -> Path:
        """Return where the history is."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoint_folder(self) -> Path:
        """Return where the checkpoints are."""
        return self.path / "checkpoint"

    @property
    def about(self) -> RunAbout:
        """Return the name and what else people may change."""
        return read_document(self.path / "about.json", RunAbout)

    @property
    def created(self) -> float:
        """Return when it was made, in seconds since 1970; 0 when its file is damaged."""
        try:
            return self.about.created
        except ReviewscopeError:
            return 0.0

    @property
    def settings(self) -> RunSettings:
        """Return what the run was started with."""
        found = read_document(self.path / "config.json", RunSettings)
        if found.format_version != FORMAT_VERSION:
            raise RunError(f"Run {self.run_id} was made by another version of Reviewscope; use that one to go on.")
        return found

    @property
    def origin(self) -> RunOrigin | None:
        """Return what the first start found, or None before it."""
        path = self.path / "origin.json"
        return read_document(path, RunOrigin) if path.exists() else None

    @property
    def result(self) -> RunResult | None:
        """Return the figures, or None before the run has ended."""
        path = self.path / "result.json"
        return read_document(path, RunResult) if path.exists() else None

    @property
    def is_readable(self) -> bool:
        """Tell whether all that pages and lists ask of a run can be read."""
        try:
            _ = self.about, self.state, self.settings, self.origin, self.result
        except ReviewscopeError:
            return False
        return True

    def save_about(self, about: RunAbout) -> None:
        """Write the name and what else people may change."""
        write_json(self.path / "about.json", about.model_dump())

    @property
    def baseline_file(self) -> Path:
        """Return where the line to beat is noted."""
        return self.path / "baseline.json"

    @property
    def forecast_file(self) -> Path:
        """Return where the forecast that was made before the start is noted."""
        return self.path / "forecast.json"

    @property
    def verdicts_file(self) -> Path:
        """Return where the logits of the last two validations are."""
        return self.path / "validation.safetensors"

    @property
    def tensorboard_folder(self) -> Path:
        """Return where event files are mirrored when they were asked for."""
        return self.path / "tensorboard"

    def add_notice(self, sentence: str) -> None:
        """Keep a sentence that the run's user must not miss, for the page; one that is said again stands there once."""
        if sentence in self.notices:
            return
        with (self.path / "notices.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"time": time.time(), "sentence": sentence}, ensure_ascii=False) + "\n")

    @property
    def notices(self) -> list[str]:
        """Return the sentences that were kept for the user, oldest first."""
        path = self.path / "notices.jsonl"
        if not path.exists():
            return []
        content = path.read_bytes()
        return [json.loads(line)["sentence"] for line in content[: content.rfind(b"\n") + 1].splitlines()]

    @property
    def changed_libraries(self) -> list[str]:
        """Return in words which libraries are not those that the run began with; a resume is then not bit for bit."""
        before = self.origin.libraries if self.origin else {}
        present = library_versions()
        return [f"{name} was {old}, is {present.get(name)}" for name, old in before.items() if present.get(name) != old]

    @property
    def size(self) -> int:
        """Return the bytes that the folder takes."""
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def save_origin(self, origin: RunOrigin) -> None:
        """Write what the first start found."""
        write_json(self.path / "origin.json", origin.model_dump())

    def save_result(self, result: RunResult) -> None:
        """Write the figures."""
        write_json(self.path / "result.json", result.model_dump())

    @contextmanager
    def open_history(self, length: int) -> Iterator["HistoryWriter"]:
        """Open the history for appending, cut to the ``length`` bytes that a checkpoint vouches for."""
        try:
            # Without a buffer: what a full disk refuses must not stay behind, to fail again when the file is closed.
            file = self.metrics_file.open("ab", buffering=0)
        except OSError as error:
            raise RunError(f"Could not write {self.metrics_file}: {error.strerror or error}.") from error
        with file:
            if file.tell() < length:
                raise RunError(f"The history of run {self.run_id} is shorter than its checkpoint says. Start anew.")
            file.truncate(length)
            yield HistoryWriter(file, self.metrics_file)

    def read_history(self) -> list[dict[str, Any]]:
        """Return the lines of the history; a torn last line is left out."""
        if not self.metrics_file.exists():
            return []
        content = self.metrics_file.read_bytes()
        try:
            return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]
        except ValueError as error:
            raise RunError(f"The history of run {self.run_id} has a damaged line ({error}).") from error


@dataclass(frozen=True)
class HistoryWriter:
    """Appends lines to ``metrics.jsonl``."""

    file: RawIOBase
    path: Path

    def append(self, line: Mapping[str, float | str]) -> None:
        """Append one line and hand it to the operating system, so that a reader sees it at once.

        Raises:
            RunError: There is no room; the last line may be torn, which readers skip.
        """
        content = json.dumps(line).encode() + b"\n"
        try:
            if self.file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._failed(error) from error

    def sync(self) -> int:
        """Force all lines onto the disk and return the length in bytes."""
        try:
            sync_file(self.path)
            return self.path.stat().st_size
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> RunError:
        return RunError(
            f"Could not write {self.path.name}: {error.strerror or error}. The last checkpoint is unharmed. Free some "
            "disk space, then resume the run."
        )


def library_versions() -> dict[str, str]:
    """Return the versions of what a run's weights depend on."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "pyarrow")}
    return versions | {"python": platform.python_version()}


def create_run(
    config: RunConfig,
    preset: str,
    name: str | None = None,
    *,
    with_test: bool = False,
    with_tensorboard: bool = False,
    parent: str | None = None,
    group: str | None = None,
) -> Run:
    """Make a new run's folder. Its id is its first name in plain letters, made unique by a number."""
    folder = settings.home() / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReviewscopeError(f"Could not make the folder {folder}: {error.strerror or error}.") from error
    name = clean_name(name) if name else name
    stem = re.sub(r"[^a-z0-9]+", "-", (name or preset).lower()).strip("-")[:40] or "run"
    run = claim_folder(folder, stem, numbered=name is None)
    about = RunAbout(name=name or run.run_id, preset=preset, created=time.time(), group=group)
    settings_of_run = RunSettings(config=config, with_test=with_test, with_tensorboard=with_tensorboard, parent=parent)
    try:
        run.save_about(about)
        write_json(run.path / "config.json", settings_of_run.model_dump(mode="json"))
        run.save_state("queued")
    except ReviewscopeError:
        shutil.rmtree(run.path)
        raise
    return run


def clean_name(name: str) -> str:
    """Return a name without control and direction characters, which would turn the words around it."""
    return "".join(letter for letter in name if unicodedata.category(letter)[0] != "C")


def claim_folder(folder: Path, stem: str, *, numbered: bool) -> Run:
    """Make the first free folder of ``stem``, ``stem-1``, ``stem-2`` ...; making it is the claim."""
    number = 1 if numbered else 0
    while True:
        path = folder / (f"{stem}-{number}" if number else stem)
        if path.name not in ("latest", "starter"):
            try:
                path.mkdir()
                return Run(path)
            except FileExistsError:
                pass
            except OSError as error:
                raise ReviewscopeError(f"Could not make the folder {path}: {error.strerror or error}.") from error
        number += 1


def list_runs() -> list[Run]:
    """Return all runs, newest first. A folder without a run's files is none, and one with damaged files is left out."""
    folder = settings.home() / "runs"
    runs = [run for path in folder.glob("*") if (run := Run(path)).exists and run.is_readable]
    return sorted(runs, key=lambda run: (run.created, run.run_id), reverse=True)


def list_damaged_runs() -> list[str]:
    """Return the ids of runs that are there but cannot be read."""
    folder = settings.home() / "runs"
    return sorted(run.run_id for path in folder.glob("*") if (run := Run(path)).exists and not run.is_readable)


def find_run(reference: str) -> Run:
    """Return the run that an id, or ``latest``, names.

    Raises:
        RunError: There is none; the message lists those that exist.
    """
    runs = list_runs()
    for run in runs[:1] if reference == "latest" else runs:
        if reference in ("latest", run.run_id):
            return run
    known = ", ".join(run.run_id for run in runs[:10]) or "none yet"
    raise RunError(f"There is no run {reference[:80]!r} in {settings.home()}. Runs: {known}.")


def find_model(reference: str) -> Path:
    """Return the model file that a run id, ``latest``, ``starter``, an imported id or a path names.

    Raises:
        RunError: Nothing has that name, or the run has no model yet.
        ModelFileError: The starter is not installed.
    """
    if reference == "starter":
        if not settings.STARTER_FILE.exists():
            raise ModelFileError("The starter model is not installed. `make starter` builds it, or train one now.")
        return settings.STARTER_FILE
    if os.sep in reference or Path(reference).suffix:
        return Path(reference)
    if (imported := _find_imported(reference)) is not None:
        return imported
    if reference == "latest" and (trained := [run for run in list_runs() if run.model_file.exists()]):
        return trained[0].model_file
    run = find_run(reference)
    if not run.model_file.exists():
        raise RunError(f"Run {run.run_id} ({run.state.status}) has no model yet. Let it finish an epoch first.")
    return run.model_file


def imported_model_file(sha256: str) -> Path:
    """Return where an imported model is kept."""
    return settings.home() / "models" / f"{sha256}.safetensors"


def copy_file(source: Path, target: Path) -> None:
    """Copy a file atomically."""
    with source.open("rb") as reader, atomic_writer(target) as writer:
        shutil.copyfileobj(reader, writer)


def _find_imported(reference: str) -> Path | None:
    """Return the one imported model whose id begins with ``reference`` (at least 8 characters)."""
    if not re.fullmatch(r"[0-9a-f]{8,64}", reference):
        return None
    found = list((settings.home() / "models").glob(f"{reference}*.safetensors"))
    if len(found) > 1:
        raise RunError(f"{len(found)} imported models begin with {reference!r}. Give more of the id.")
    return found[0] if found else None
