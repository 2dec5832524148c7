"""Atomic writes, checksums and locks: the only fsync in the house."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from core.errors import ReviewscopeError

UMASK = os.umask(0)  # can only be read by setting it, which is best done once
os.umask(UMASK)


def sync_folder(folder: Path) -> None:
    """Make a folder's entries (a new name, a rename) survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_writer(path: Path) -> Iterator[IO[bytes]]:
    """Yield a binary file that becomes ``path`` when the block ends, or leaves no trace when it raises.

    The order is write, fsync(file), rename, fsync(folder): after a kill or a power cut at any instant, ``path``
    holds either its former content or the new one, whole.

    Raises:
        ReviewscopeError: The file cannot be written (no space, no permission); the former content stays.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise ReviewscopeError(f"Could not write {path}: it is there and is not a file. Choose another name.")
    temporary, is_renamed = "", False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name[:100]}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~UMASK)
        os.replace(temporary, path)
        is_renamed = True
        sync_folder(path.parent)
    except OSError as error:
        kept = "It may not survive a power cut" if is_renamed else "What was there before is unchanged"
        raise ReviewscopeError(
            f"Could not write {path}: {error.strerror or error}. {kept}. "
            "Free some disk space or check the folder's permissions, then try again."
        ) from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes atomically."""
    with atomic_writer(path) as file:
        file.write(data)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON document atomically, readable to a person."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def replace_json(path: Path, value: Any) -> None:
    """Write a JSON document so that a reader sees the old one or the new one, without waiting for the disk.

    For what is worth nothing after a power cut, such as progress.
    """
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        with os.fdopen(descriptor, "w") as file:
            json.dump(value, file)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise ReviewscopeError(f"Could not write {path}: {error.strerror or error}. Free some disk space.") from error


def read_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        ReviewscopeError: The file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ReviewscopeError(f"Could not read {path}: {error.strerror or error}.") from error
    except (ValueError, RecursionError) as error:  # the latter where brackets are nested by the thousand
        raise ReviewscopeError(f"{path} is not valid JSON ({error}). Restore it from a copy or remove it.") from error


def remove_files(*paths: Path) -> None:
    """Remove files, as far as they are there.

    Raises:
        ReviewscopeError: One cannot be removed.
    """
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ReviewscopeError(f"Could not remove {path}: {error.strerror or error}.") from error


def sync_file(path: Path) -> None:
    """Force what was appended to a file onto the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def hold_lock(path: Path, busy: str, *, seconds: float = 0.5) -> Iterator[None]:
    """Hold a kernel lock while the block runs; any death of the process releases it.

    Args:
        path: The lock file; it is created and stays.
        busy: The sentence for the user when somebody else holds the lock.
        seconds: How long to wait for it; long enough to outlast somebody who only looks (``is_locked``).

    Raises:
        ReviewscopeError: Somebody else holds the lock.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=seconds, poll_interval=0.01)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise ReviewscopeError(busy) from error
    except OSError as error:
        raise ReviewscopeError(f"Could not lock {path}: {error.strerror or error}. Check permissions.") from error
    try:
        yield
    finally:
        lock.release()


def is_locked(path: Path) -> bool:
    """Tell whether somebody holds a lock, without keeping it."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            # A shared lock, so that two who ask at once do not take each other for the holder.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
