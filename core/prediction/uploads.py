"""Tables to be scored: ``uploads/<upload_id>/``, as they came or where they lie, and how their rows are read."""

import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core import settings
from core.config import Section
from core.data.conversion import convert_table, converted_format, needs_conversion
from core.data.tables import MAX_SHOWN, Kind, TableFormat, TableOptions, detect_kind, sniff_table
from core.errors import JobError, ReviewscopeError, TableError
from core.files import atomic_writer, write_json
from core.job_folder import JobFolder, JobReporter, read_document

KEPT_DAYS = 7
LARGEST_UPLOAD = 200 * 10**6
LONGEST_NAME = 200
COPY_BYTES = 2**20
MOST_LISTED = 500
ENDINGS = (".csv", ".tsv", ".txt", ".xlsx", ".jsonl", ".ndjson", ".parquet")


class UploadAbout(Section):
    """What is known of a table.

    ``path`` and ``modified_ns`` are those of a file that stays where it lies; its ``sha256`` is not known beforehand.
    """

    name: str
    size: int
    sha256: str | None
    created: float
    path: str | None = None
    modified_ns: int | None = None
    pinned: bool = False
    unpinned: float = 0.0

    @property
    def kept_until(self) -> float | None:
        """Return when it goes, in seconds since 1970; None while it is pinned. Unpinning begins its days anew."""
        return None if self.pinned else max(self.created, self.unpinned) + KEPT_DAYS * 86_400


class ConversionRequest(Section):
    """How a table that is no CSV file is to be read."""

    options: TableOptions


@dataclass(frozen=True)
class ConversionJob(JobFolder):
    """Makes our own CSV of a workbook, JSON lines or Parquet: ``uploads/<upload_id>/rows-<key>/``."""

    @property
    def upload(self) -> "Upload":
        """Return the table that it reads."""
        return Upload(self.path.parent)

    @property
    def rows_file(self) -> Path:
        """Return what it makes."""
        return self.path / "rows.csv"

    @property
    def options(self) -> TableOptions:
        """Return how the table is read."""
        return read_document(self.path / "request.json", ConversionRequest).options


@dataclass(frozen=True)
class Upload:
    """One table's folder."""

    path: Path

    @property
    def upload_id(self) -> str:
        """Return the folder's name."""
        return self.path.name

    @property
    def table(self) -> Path:
        """Return the file as it came, or where it lies."""
        return Path(self.about.path) if self.about.path else self.path / "table"

    @property
    def about(self) -> UploadAbout:
        """Return the file's own name, size, SHA-256 and arrival."""
        return read_document(self.path / "about.json", UploadAbout)

    @property
    def kind(self) -> Kind:
        """Return what kind of table it is.

        Raises:
            TableError: None that can be read.
        """
        with self._named():
            return detect_kind(self.table)

    def conversion(self, options: TableOptions) -> ConversionJob:
        """Return the job that makes rows of it, of a kind that needs one; it may not exist yet."""
        key = hashlib.sha256(options.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:12]
        return ConversionJob(self.path / f"rows-{key}")

    def rows_file(self, options: TableOptions) -> Path:
        """Return the file that ``read_rows`` reads."""
        return self.conversion(options).rows_file if needs_conversion(self.kind) else self.table

    def is_readable(self, options: TableOptions) -> bool:
        """Tell whether its rows can be read at once; else its conversion must run first."""
        return self.rows_file(options).exists()

    def read_format(self, options: TableOptions) -> TableFormat:
        """Say how the table is written; a complaint names the file as its owner does.

        Raises:
            TableError: It cannot be read so, or it is not converted yet.
        """
        with self._named():
            if needs_conversion(detect_kind(self.table)):
                return converted_format(self.conversion(options).rows_file)
            return sniff_table(self.table, **options.model_dump())

    def refuse_changed(self) -> None:
        """Refuse when a file that stays where it lies is not the one that was chosen.

        Raises:
            TableError: It is gone, or another.
        """
        about = self.about
        if about.path is None:
            return
        try:
            now = self.table.stat()
        except OSError as error:
            raise TableError(f"{about.name!r} cannot be opened: {error.strerror}. Choose it again.") from error
        if (now.st_size, now.st_mtime_ns) != (about.size, about.modified_ns):
            raise TableError(f"{about.name!r} has changed since it was chosen. Choose it again.")

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except TableError as error:
            name = repr(self.about.name[:MAX_SHOWN])
            raise TableError(str(error).replace(repr(self.table.name), name, 1)) from error

    @property
    def is_sound(self) -> bool:
        """Tell whether there is such an upload and what is known of it can be read."""
        try:
            return bool(self.about) and self.table.exists()
        except ReviewscopeError:
            return False

    @property
    def is_busy(self) -> bool:
        """Tell whether a job on it, or on what was made of it, waits or runs; not one whose state is damaged."""
        for folder, _, names in os.walk(self.path):
            with suppress(ReviewscopeError):
                if "state.json" in names and JobFolder(Path(folder)).state.status in ("queued", "running"):
                    return True
        return False

    @property
    def size_on_disk(self) -> int:
        """Return how many bytes its folder takes."""
        size = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with suppress(OSError):  # a running job renames its files
                    size += os.lstat(os.path.join(folder, name)).st_size
        return size


def save_upload(stream: IO[bytes], name: str) -> Upload:
    """Copy an uploaded file into the workspace in pieces, under a name of ours; uploads past their days are removed.

    Raises:
        ReviewscopeError: It is too large, or cannot be written.
    """
    remove_expired_uploads()
    upload = Upload(settings.home() / "uploads" / uuid.uuid4().hex[:12])
    try:
        digest, size = hashlib.sha256(), 0
        with atomic_writer(upload.path / "table") as file:
            while piece := stream.read(COPY_BYTES):
                size += len(piece)
                if size > LARGEST_UPLOAD:
                    raise ReviewscopeError(f"The file is larger than {LARGEST_UPLOAD // 10**6} MB. Score it in parts.")
                digest.update(piece)
                file.write(piece)
        # A name may come with lone surrogates, which no file of ours can hold.
        shown = name[:LONGEST_NAME].encode("utf-8", "replace").decode()
        about = UploadAbout(name=shown, size=size, sha256=digest.hexdigest(), created=time.time())
        earlier = _find_same(about)
        if earlier is None:
            write_json(upload.path / "about.json", about.model_dump())
    finally:
        if not upload.is_sound:
            shutil.rmtree(upload.path, ignore_errors=True)
    return earlier or upload


def link_file(path: Path) -> Upload:
    """Take a file of this machine where it lies; nothing of it is copied, and it must not change while it is read.

    Raises:
        TableError: There is no such file.
    """
    remove_expired_uploads()
    try:
        found = path.resolve(strict=True)
        size, modified = found.stat().st_size, found.stat().st_mtime_ns
        str(found).encode()
    except OSError as error:
        raise TableError(f"{path.name[:MAX_SHOWN]!r} cannot be opened: {error.strerror}. Choose it again.") from error
    except RuntimeError as error:
        raise TableError(f"{path.name[:MAX_SHOWN]!r} is a link that leads to itself. Choose a table.") from error
    except UnicodeEncodeError as error:
        raise TableError(f"The name {path.name[:MAX_SHOWN]!r} or that of a folder is no UTF-8. Rename it.") from error
    if not found.is_file():
        raise TableError(f"{path.name[:MAX_SHOWN]!r} is no file. Choose a table.")
    upload = Upload(settings.home() / "uploads" / uuid.uuid4().hex[:12])
    about = UploadAbout(
        name=found.name[:LONGEST_NAME].encode("utf-8", "replace").decode(), size=size, sha256=None,
        created=time.time(), path=str(found), modified_ns=modified,
    )  # fmt: skip
    if (earlier := _find_same(about)) is not None:
        return earlier
    write_json(upload.path / "about.json", about.model_dump())
    return upload


def list_machine_files() -> list[Path]:
    """Return the files that the page may open where they lie: those in ``settings.table_folders``, by path."""
    found = []
    for folder in settings.table_folders():
        for parent, folders, names in os.walk(folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            found += [Path(parent) / name for name in sorted(names) if Path(name).suffix.lower() in ENDINGS]
            if len(found) >= MOST_LISTED:
                return found[:MOST_LISTED]
    return found


def link_allowed_file(path: Path) -> Upload:
    """Take a file of this machine as ``link_file`` does, if it lies in a folder that the page may open.

    Raises:
        TableError: It does not, wherever its name or a link points.
    """
    try:
        real = path.resolve()
    except RuntimeError:
        return link_file(path)  # a link that leads to itself, which is refused there
    if not any(folder.resolve() in real.parents for folder in settings.table_folders()):
        allowed = ", ".join(str(folder) for folder in settings.table_folders()) or "none"
        raise TableError(
            f"{path.name[:MAX_SHOWN]!r} does not lie in a folder that may be read from here ({allowed}). "
            f"Move it there, or name its folder in {settings.FOLDERS_VARIABLE}."
        )
    return link_file(path)


def execute_conversion(job: ConversionJob, reporter: JobReporter) -> None:
    """Make the rows of a table that is no CSV file.

    Raises:
        TableError: It cannot be read.
    """
    with job.locked():
        job.save_state("running")
        job.upload.refuse_changed()
        reporter.on_phase("Reading the file", 0)
        for left in job.path.glob(f".{job.rows_file.name}.*"):  # by a kill; it may be gigabytes
            shutil.rmtree(left, ignore_errors=True)
        with job.upload._named():
            convert_table(job.upload.table, job.rows_file, job.upload.kind, job.options, reporter.on_progress)
        job.save_state("finished")


def create_conversion(upload: Upload, options: TableOptions) -> ConversionJob:
    """Make the folder of a conversion; what an earlier one has made stays."""
    job = upload.conversion(options)
    job.path.mkdir(parents=True, exist_ok=True)
    write_json(job.path / "request.json", ConversionRequest(options=options).model_dump())
    return job


def find_upload(upload_id: str) -> Upload | None:
    """Return an upload by its id, or None."""
    upload = Upload(settings.home() / "uploads" / upload_id)
    return upload if upload_id.isalnum() and upload.is_sound else None


def list_uploads() -> list[Upload]:
    """Return all uploads, newest first; one whose own file is damaged is left out."""
    folders = [path.parent for path in (settings.home() / "uploads").glob("*/about.json")]
    uploads = [upload for folder in folders if (upload := Upload(folder)).is_sound]
    return sorted(uploads, key=lambda upload: upload.about.created, reverse=True)


def list_damaged_uploads() -> list[Upload]:
    """Return uploads of which nothing is known, or whose file is gone, by id."""
    folders = sorted((settings.home() / "uploads").glob("*/about.json"))
    return [upload for path in folders if not (upload := Upload(path.parent)).is_sound]


def pin_upload(upload: Upload, pinned: bool) -> None:
    """Keep an upload until it is unpinned; from then on it has ``KEPT_DAYS`` again.

    Raises:
        ReviewscopeError: It is not here any more, or the file cannot be written.
    """
    about = upload.about
    unpinned = about.unpinned if pinned or not about.pinned else time.time()
    changed = about.model_copy(update={"pinned": pinned, "unpinned": unpinned})
    write_json(upload.path / "about.json", changed.model_dump())


def delete_upload(upload: Upload) -> None:
    """Remove an upload and all that was made of it; a file that lies elsewhere on this machine stays there.

    Raises:
        JobError: A job on it waits or runs.
        ReviewscopeError: The folder cannot be removed.
    """
    if upload.is_busy:
        raise JobError("A job on this file waits or runs. Stop it first, then delete the file.")
    try:
        shutil.rmtree(upload.path)
    except FileNotFoundError:
        return  # another tab was quicker
    except OSError as error:
        raise ReviewscopeError(f"Could not remove {upload.path}: {error.strerror or error}.") from error


def remove_expired_uploads() -> None:
    """Remove uploads past their days, with all that was made of them, unless pinned or a job of theirs runs."""
    for upload in [*list_uploads(), *list_damaged_uploads()]:
        with suppress(ReviewscopeError):  # when nothing is known of it, not its age either
            until = upload.about.kept_until
            if until is not None and time.time() > until and not upload.is_busy:
                shutil.rmtree(upload.path, ignore_errors=True)
    for folder in (settings.home() / "uploads").glob("*/"):
        with suppress(OSError):  # another process removes it too
            is_half_made = not (folder / "about.json").exists()  # its copying was killed
            if is_half_made and time.time() - folder.stat().st_mtime > KEPT_DAYS * 86_400:
                shutil.rmtree(folder, ignore_errors=True)


def _find_same(about: UploadAbout) -> Upload | None:
    """Return the first upload of the same file, and let its days begin anew; None when there is none."""
    for upload in reversed(list_uploads()):
        one = upload.about
        same = ("name", "size", "sha256", "path", "modified_ns")
        if all(getattr(one, name) == getattr(about, name) for name in same):
            write_json(upload.path / "about.json", one.model_copy(update={"unpinned": time.time()}).model_dump())
            return upload
    return None
