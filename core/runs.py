"""The run folder, and the models folder beside it: the only code that knows their file names."""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from pydantic import ConfigDict, Field

from core import settings
from core.config import RunConfig, Section, parse_config
from core.errors import ModelFileError, ReviewscopeError, RunError
from core.files import hold_lock, is_locked, read_json, sync_file, write_json

FORMAT_VERSION = 1
Status = Literal["created", "running", "finished", "stopped", "failed", "interrupted"]
RESUMABLE: tuple[Status, ...] = ("created", "stopped", "failed", "interrupted")


class RunResult(Section):
    """What a training came to; accuracies are shares, losses mean log losses."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    parameters: int
    train_accuracy: float = Field(description="Running mean over the last epoch, dropout on.")
    train_loss: float
    valid_accuracy: float | None = Field(description="Of the weights that were kept; None without validation.")
    valid_loss: float | None
    best_epoch: int | None
    epochs: int = Field(description="Epochs that were finished.")
    train_seconds: float = Field(description="In the training loop, validation included.")
    total_seconds: float = Field(description="From the command's start, loading and encoding included.")
    peak_memory_mb: float
    model_sha256: str
    test_accuracy: float | None = None
    test_loss: float | None = None


class RunState(Section):
    """Where a run stands."""

    status: Status
    message: str = ""
    result: RunResult | None = None


class RunAbout(Section):
    """What people may change about a run."""

    name: str
    preset: str
    created: float = Field(description="Seconds since 1970.")


class RunSettings(Section):
    """What a run was started with; written once."""

    format_version: int = FORMAT_VERSION
    config: RunConfig
    with_test: bool = Field(description="Score the test split once when training has finished.")


class RunOrigin(Section):
    """What a run's weights depend on besides its settings; a resume that differs here says so."""

    data_fingerprint: str
    libraries: dict[str, str]
    device: str
    threads: int


@dataclass(frozen=True)
class Run:
    """One training job's folder."""

    path: Path

    @property
    def run_id(self) -> str:
        """Return the folder's name."""
        return self.path.name

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
        return RunAbout.model_validate(read_json(self.path / "about.json"))

    @property
    def settings(self) -> RunSettings:
        """Return what the run was started with."""
        document = read_json(self.path / "config.json")
        if document.get("format_version") != FORMAT_VERSION:
            raise RunError(f"Run {self.run_id} was made by another version of Reviewscope; use that one to go on.")
        return RunSettings(config=parse_config(document["config"]), with_test=document["with_test"])

    @property
    def origin(self) -> RunOrigin | None:
        """Return what the first start found, or None before it."""
        path = self.path / "origin.json"
        return RunOrigin.model_validate(read_json(path)) if path.exists() else None

    @property
    def state(self) -> RunState:
        """Return where the run stands; a running one whose lock is free was interrupted."""
        state = RunState.model_validate(read_json(self.path / "state.json"))
        if state.status == "running" and not is_locked(self.path / "lock"):
            return RunState(status="interrupted", message="The process that trained it ended without saying why.")
        return state

    def save_state(self, status: Status, message: str = "", result: RunResult | None = None) -> None:
        """Write where the run stands."""
        write_json(self.path / "state.json", RunState(status=status, message=message, result=result).model_dump())

    def save_origin(self, origin: RunOrigin) -> None:
        """Write what the first start found."""
        write_json(self.path / "origin.json", origin.model_dump())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for the one process that trains it.

        Raises:
            ReviewscopeError: Another process holds it.
        """
        with hold_lock(self.path / "lock", f"Run {self.run_id} is being trained by another process right now."):
            yield

    @contextmanager
    def open_history(self, length: int) -> Iterator["HistoryWriter"]:
        """Open the history for appending, cut to the ``length`` bytes that a checkpoint vouches for."""
        with self.metrics_file.open("ab") as file:
            file.truncate(length)
            yield HistoryWriter(file, self.metrics_file)

    def read_history(self) -> list[dict[str, Any]]:
        """Return the lines of the history; a torn last line is left out."""
        if not self.metrics_file.exists():
            return []
        content = self.metrics_file.read_bytes()
        return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


@dataclass(frozen=True)
class HistoryWriter:
    """Appends lines to ``metrics.jsonl``."""

    file: IO[bytes]
    path: Path

    def append(self, line: dict[str, float | int]) -> None:
        """Append one line and hand it to the operating system, so that a reader sees it at once."""
        self.file.write(json.dumps(line).encode() + b"\n")
        self.file.flush()

    def sync(self) -> int:
        """Force all lines onto the disk and return the length in bytes."""
        sync_file(self.path)
        return self.path.stat().st_size


def create_run(config: RunConfig, preset: str, name: str | None = None, *, with_test: bool = False) -> Run:
    """Make a new run's folder. Its id is its first name in plain letters, made unique by a number."""
    folder = settings.home() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    stem = re.sub(r"[^a-z0-9]+", "-", (name or preset).lower()).strip("-")[:40] or "run"
    run = _claim_folder(folder, stem, numbered=name is None)
    write_json(
        run.path / "about.json",
        RunAbout(name=name or run.run_id, preset=preset, created=time.time()).model_dump(),
    )
    write_json(run.path / "config.json", RunSettings(config=config, with_test=with_test).model_dump(mode="json"))
    run.save_state("created")
    return run


def _claim_folder(folder: Path, stem: str, *, numbered: bool) -> Run:
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
    """Return all runs, newest first. A folder without the files of a run is not one."""
    folder = settings.home() / "runs"
    runs = [Run(path) for path in folder.glob("*") if (path / "state.json").exists()]
    return sorted(runs, key=lambda run: (run.about.created, run.run_id), reverse=True)


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
    run = find_run(reference)
    if not run.model_file.exists():
        raise RunError(f"Run {run.run_id} ({run.state.status}) has no model yet. Let it finish an epoch first.")
    return run.model_file


def imported_model_file(sha256: str) -> Path:
    """Return where an imported model is kept."""
    return settings.home() / "models" / f"{sha256}.safetensors"


def copy_file(source: Path, target: Path) -> None:
    """Copy a file atomically."""
    from core.files import atomic_writer

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
