"""The folder of a job: its state, its lock, its progress, and the request to stop."""

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

from core.config import Section, describe_faults
from core.errors import ReviewscopeError
from core.files import hold_lock, is_locked, read_json, replace_json, write_json

Status = Literal["queued", "running", "paused", "finished", "stopped", "failed", "interrupted"]
REPORT_SECONDS = 0.2

Document = TypeVar("Document", bound=BaseModel)


class JobState(Section):
    """Where a job stands."""

    status: Status
    message: str = ""


class JobProgress(Section):
    """What a running job does just now.

    ``done`` of ``total`` units, ``earlier`` of them by another process before; 0 of 0 where the work cannot be counted.
    ``began`` is when the phase began and ``time``
    when this was written, both in seconds since 1970. ``memory_mb`` is the most memory that its process has held, in MB
    of 10^6 bytes.
    """

    phase: str
    done: int
    total: int
    began: float
    time: float
    memory_mb: float = 0.0
    earlier: int = 0

    @property
    def seconds_left(self) -> float | None:
        """Return the time left at the present speed; None while that is unknown."""
        spent = self.time - self.began
        done = self.done - self.earlier
        return spent / done * (self.total - self.done) if done and self.total and spent > 0 else None


def read_document(path: Path, kind: type[Document]) -> Document:
    """Read a JSON file as the pydantic model (a frozen one) that it was written from.

    A file is replaced, never changed in place, so that what was read once stays known by its inode and time.

    Raises:
        ReviewscopeError: The file is missing, no JSON, or something else.
    """
    try:
        seen = path.stat()
    except OSError as error:
        raise ReviewscopeError(f"Could not read {path}: {error.strerror or error}.") from error
    found: Document = _read_document(path, kind, seen.st_ino, seen.st_mtime_ns, seen.st_size)  # type: ignore[assignment]
    return found


@lru_cache(maxsize=10_000)
def _read_document(path: Path, kind: type[BaseModel], inode: int, changed: int, size: int) -> BaseModel:
    try:
        return kind.model_validate_json(json.dumps(read_json(path)))
    except ValidationError as error:
        raise ReviewscopeError(f"{path} is damaged ({describe_faults(error)[:300]}). Restore or delete it.") from error


@dataclass(frozen=True)
class JobFolder:
    """One job: a folder with a state."""

    path: Path

    @property
    def job_id(self) -> str:
        """Return the folder's name."""
        return self.path.name

    @property
    def log_file(self) -> Path:
        """Return where a worker writes the job's output."""
        return self.path / "worker.log"

    @property
    def exists(self) -> bool:
        """Tell whether there is such a job."""
        return (self.path / "state.json").exists()

    @property
    def state(self) -> JobState:
        """Return where the job stands; a running one whose lock is free was interrupted.

        Raises:
            ReviewscopeError: The state is missing or damaged.
        """
        state = read_document(self.path / "state.json", JobState)
        if state.status == "running" and not is_locked(self.path / "lock"):
            # The job may have ended between the two looks.
            state = read_document(self.path / "state.json", JobState)
            if state.status == "running":
                return JobState(status="interrupted", message="The process that ran it ended without saying why.")
        return state

    def save_state(self, status: Status, message: str = "") -> None:
        """Write where the job stands."""
        write_json(self.path / "state.json", JobState(status=status, message=message).model_dump())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the job for the one process that runs it.

        Raises:
            ReviewscopeError: Another process holds it.
        """
        with hold_lock(self.path / "lock", f"{self.job_id} is being worked on by another process."):
            yield

    @property
    def progress(self) -> JobProgress | None:
        """Return what the job does just now, or None before it has said so, or when a power cut took what it said."""
        try:
            return read_document(self.path / "progress.json", JobProgress)
        except ReviewscopeError:
            return None

    def request_stop(self) -> None:
        """Ask the running job to stop and keep what it has."""
        (self.path / "stop").touch()

    def request_pause(self) -> None:
        """Ask the running job to stop for now, so that it goes on later from the same place."""
        (self.path / "pause").touch()

    def withdraw_requests(self) -> None:
        """Forget earlier requests to stop or pause."""
        for name in ("stop", "pause"):
            (self.path / name).unlink(missing_ok=True)

    @property
    def is_stop_requested(self) -> bool:
        """Tell whether somebody asked the job to stop."""
        return (self.path / "stop").exists()

    @property
    def is_pause_requested(self) -> bool:
        """Tell whether somebody asked the job to pause; a request to stop outweighs it."""
        return (self.path / "pause").exists() and not self.is_stop_requested

    def read_log(self, lines: int) -> list[str]:
        """Return the last lines of the job's output."""
        if not self.log_file.exists():
            return []
        with self.log_file.open("rb") as file:
            file.seek(max(self.log_file.stat().st_size - 400 * lines, 0))
            return file.read().decode(errors="replace").splitlines()[-lines:]


@dataclass
class JobReporter:
    """Writes a running job's progress into its folder, a few times a second at most."""

    job: JobFolder
    also_stop: Callable[[], bool] = lambda: False
    phase: str = ""
    done: int = 0
    total: int = 0
    earlier: int = 0
    began: float = field(default_factory=time.time)
    written: float = 0.0
    stop_looked_for: float = 0.0

    def on_phase(self, phase: str, total: int) -> None:
        """Begin a phase of ``total`` units; 0 when that is not known."""
        self.phase, self.done, self.total, self.earlier, self.began = phase, 0, total, 0, time.time()
        self._write()
        self.on_notice(phase)

    def on_resume(self, done: int) -> None:
        """Count units of the present phase that another process had done."""
        self.done += done
        self.earlier += done
        self._write()

    def on_progress(self, done: int) -> None:
        """Count units of the present phase."""
        self.done += done
        if time.monotonic() - self.written >= REPORT_SECONDS:
            self._write()

    def on_notice(self, sentence: str) -> None:
        """Write a line into the job's output."""
        print(f"{time.strftime('%H:%M:%S')}  {sentence}", flush=True)

    def should_stop(self) -> bool:
        """Tell whether the job was asked to stop; the folder is looked at a few times a second."""
        if self.also_stop():
            return True
        if time.monotonic() - self.stop_looked_for < REPORT_SECONDS:
            return False
        self.stop_looked_for = time.monotonic()
        return self.job.is_stop_requested or self.job.is_pause_requested

    def _write(self) -> None:
        self.written = time.monotonic()
        progress = JobProgress(
            phase=self.phase, done=self.done, total=self.total, began=self.began, time=time.time(),
            memory_mb=round(peak_memory_mb(), 1), earlier=self.earlier,
        )  # fmt: skip
        replace_json(self.job.path / "progress.json", progress.model_dump())


def peak_memory_mb() -> float:
    """Return the most memory this process has held, in MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6
