"""Deleted runs: moved aside at once, brought back by an undo, gone when the trash is emptied."""

import shutil
import time
from pathlib import Path

from core import settings
from core.errors import RunError
from core.runs import Run, claim_folder


def trash_folder() -> Path:
    """Return where deleted runs lie until the trash is emptied."""
    return settings.home() / "trash"


def trash_run(run: Run) -> Path:
    """Move a run into the trash and return where it lies now; ``restore_run`` brings it back.

    Raises:
        RunError: It is queued or running, or cannot be moved.
    """
    if run.state.status in ("queued", "running"):
        raise RunError(f"{run.run_id} is {run.state.status}. Stop it first, then delete it.")
    target = trash_folder() / f"{run.run_id}.{time.time_ns():x}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        run.path.rename(target)
    except OSError as error:
        raise RunError(f"Could not move {run.run_id} into the trash: {error.strerror or error}.") from error
    return target


def restore_run(place: Path) -> Run:
    """Bring a run back from the trash, under its own id, or the next free one when that was taken meanwhile."""
    stem = place.name.rpartition(".")[0]
    folder = settings.home() / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    run = claim_folder(folder, stem, numbered=False)
    try:
        place.rename(run.path)
    except OSError as error:
        run.path.rmdir()
        raise RunError(f"Could not bring {stem} back from the trash: {error.strerror or error}.") from error
    return run


def list_trash() -> list[Path]:
    """Return the deleted runs, the last deleted first."""
    places = [path for path in trash_folder().glob("*.*") if path.is_dir()]
    return sorted(places, key=lambda path: path.name.rpartition(".")[2], reverse=True)


def empty_trash() -> int:
    """Delete what lies in the trash for good; return the bytes that this frees."""
    places = list_trash()
    freed = sum(Run(place).size for place in places)
    for place in places:
        shutil.rmtree(place)
    return freed
