"""Uploaded tables and the bulk jobs on them: ``uploads/<upload_id>/``."""

import hashlib
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core import settings
from core.config import Section
from core.data.tables import MAX_SHOWN, TableFormat, TableWriter, column_index, read_rows, sniff_table
from core.errors import JobError, ReviewscopeError, TableError
from core.files import atomic_writer, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.model_settings import Cutoffs
from core.prediction.bulk import REJECT_COLUMNS, SCORE_COLUMNS, Ledger, RowWriter, output_columns, score_table
from core.prediction.predictor import Predictor
from core.prediction.summary import ColumnFacts, Counts, count_sides, look_at_column

KEPT_DAYS = 7
LARGEST_UPLOAD = 200 * 10**6
LONGEST_NAME = 200
COPY_BYTES = 2**20
COUNTED_ROWS = 5_000
ROW_GROUP = 20_000


class UploadAbout(Section):
    """What is known of an uploaded table."""

    name: str
    size: int
    sha256: str
    created: float


class BulkRequest(Section):
    """What a bulk job was asked to do; ``cutoffs`` are those of the model when it was asked, and stay the file's."""

    model: str
    model_sha256: str
    text_column: str
    encoding: str
    delimiter: str
    cutoffs: Cutoffs = Cutoffs()


class BulkResult(Section):
    """The account of a finished or stopped bulk job; the sides are those of ``core.prediction.summary``."""

    rows: int
    predicted: int
    rejected: int
    negative: int
    not_sure: int
    positive: int
    seconds: float
    is_complete: bool
    columns: tuple[ColumnFacts, ...]

    @property
    def counts(self) -> Counts:
        """Return how many rows lie on each side."""
        return Counts(self.negative, self.not_sure, self.positive)


@dataclass(frozen=True)
class Upload:
    """One uploaded table's folder."""

    path: Path

    @property
    def upload_id(self) -> str:
        """Return the folder's name."""
        return self.path.name

    @property
    def table(self) -> Path:
        """Return the file as it came."""
        return self.path / "table"

    @property
    def about(self) -> UploadAbout:
        """Return the file's own name, size, SHA-256 and arrival."""
        return read_document(self.path / "about.json", UploadAbout)

    @property
    def is_sound(self) -> bool:
        """Tell whether there is such an upload and what is known of it can be read."""
        try:
            return bool(self.about) and self.table.exists()
        except ReviewscopeError:
            return False

    @property
    def jobs(self) -> list["BulkJob"]:
        """Return the bulk jobs on it, newest first."""
        jobs = [job for folder in self.path.glob("job-*") if (job := BulkJob(folder)).exists]
        return sorted(jobs, key=lambda job: job.asked, reverse=True)

    @property
    def is_busy(self) -> bool:
        """Tell whether a job on it waits or runs."""
        return any(job.is_active for job in self.jobs)

    def sniff(self, encoding: str | None = None, delimiter: str | None = None) -> TableFormat:
        """Say how the table is written; as ``sniff_table``, but a complaint names the file as its owner does.

        Raises:
            TableError: It cannot be read so.
        """
        try:
            return sniff_table(self.table, encoding=encoding, delimiter=delimiter)
        except TableError as error:
            name = repr(self.about.name[:MAX_SHOWN])
            raise TableError(str(error).replace(repr(self.table.name), name, 1)) from error


@dataclass(frozen=True)
class BulkJob(JobFolder):
    """One scoring of an uploaded table, and its files."""

    @property
    def upload(self) -> Upload:
        """Return the table it scores."""
        return Upload(self.path.parent)

    @property
    def request(self) -> BulkRequest:
        """Return what it was asked to do."""
        return read_document(self.path / "request.json", BulkRequest)

    @property
    def asked(self) -> float:
        """Return when it was asked for last, in seconds since 1970."""
        path = self.path / "request.json"
        return path.stat().st_mtime if path.exists() else 0.0

    @property
    def is_active(self) -> bool:
        """Tell whether it waits or runs; not when its state is damaged."""
        try:
            return self.exists and self.state.status in ("queued", "running")
        except ReviewscopeError:
            return False

    @property
    def result(self) -> BulkResult | None:
        """Return its account, or None before it has ended."""
        path = self.path / "result.json"
        return read_document(path, BulkResult) if path.exists() else None

    @property
    def table_format(self) -> TableFormat:
        """Return how the table is read."""
        request = self.request
        return self.upload.sniff(request.encoding, request.delimiter)

    @property
    def scored_file(self) -> Path:
        """Return the table with scores, text byte for byte."""
        return self.path / "scored.csv"

    @property
    def safe_file(self) -> Path:
        """Return the table with scores, no field of which a spreadsheet program runs as a formula."""
        return self.path / "scored-safe.csv"

    @property
    def columns_file(self) -> Path:
        """Return the scored rows as Parquet, for charts."""
        return self.path / "scored.parquet"

    @property
    def rejects_file(self) -> Path:
        """Return line, reason and content of each rejected row."""
        return self.path / "rejects.csv"


def save_upload(stream: IO[bytes], name: str) -> Upload:
    """Copy an uploaded file into the workspace in pieces, under a name of ours; uploads past their days are removed.

    Raises:
        ReviewscopeError: It is too large, or cannot be written.
    """
    remove_expired_uploads()
    upload = Upload(settings.home() / "uploads" / uuid.uuid4().hex[:12])
    try:
        digest, size = hashlib.sha256(), 0
        with atomic_writer(upload.table) as file:
            while piece := stream.read(COPY_BYTES):
                size += len(piece)
                if size > LARGEST_UPLOAD:
                    raise ReviewscopeError(f"The file is larger than {LARGEST_UPLOAD // 10**6} MB. Score it in parts.")
                digest.update(piece)
                file.write(piece)
        # A name may come with lone surrogates, which no file of ours can hold.
        shown = name[:LONGEST_NAME].encode("utf-8", "replace").decode()
        about = UploadAbout(name=shown, size=size, sha256=digest.hexdigest(), created=time.time())
        write_json(upload.path / "about.json", about.model_dump())
    finally:
        if not upload.is_sound:
            shutil.rmtree(upload.path, ignore_errors=True)
    return upload


def find_upload(upload_id: str) -> Upload | None:
    """Return an upload by its id, or None."""
    upload = Upload(settings.home() / "uploads" / upload_id)
    return upload if upload_id.isalnum() and upload.is_sound else None


def find_job(upload: Upload, job_id: str) -> BulkJob | None:
    """Return a bulk job of an upload by its id, or None."""
    return next((job for job in upload.jobs if job.job_id == job_id), None)


def list_uploads() -> list[Upload]:
    """Return all uploads, newest first; one whose own file is damaged is left out."""
    folders = [path.parent for path in (settings.home() / "uploads").glob("*/about.json")]
    uploads = [upload for folder in folders if (upload := Upload(folder)).is_sound]
    return sorted(uploads, key=lambda upload: upload.about.created, reverse=True)


def remove_expired_uploads() -> None:
    """Remove uploads older than ``KEPT_DAYS``, with all that was made of them, unless a job of theirs runs."""
    for upload in list_uploads():
        if time.time() - upload.about.created > KEPT_DAYS * 86_400 and not upload.is_busy:
            shutil.rmtree(upload.path, ignore_errors=True)


def create_bulk_job(upload: Upload, request: BulkRequest) -> BulkJob:
    """Make a bulk job's folder; an equal one that waits, runs or has finished is given back instead.

    Of an equal one that was stopped, failed or was interrupted the old result goes: it begins anew.

    Raises:
        ReviewscopeError: The table has no such column.
    """
    column_index(upload.sniff(request.encoding, request.delimiter), request.text_column)
    # Without what is usual, so that a job of a time before the field is found again.
    asked = request.model_dump_json(exclude_defaults=True)
    key = hashlib.sha256(asked.encode()).hexdigest()[:12]
    job = BulkJob(upload.path / f"job-{key}")
    if job.is_active or (job.exists and job.state.status == "finished"):
        return job
    job.path.mkdir(parents=True, exist_ok=True)
    for name in ("result.json", "progress.json"):
        (job.path / name).unlink(missing_ok=True)
    write_json(job.path / "request.json", request.model_dump())
    return job


def execute_bulk(job: BulkJob, reporter: JobReporter) -> None:
    """Score the table of a bulk job into its files; a stop keeps what is scored.

    Raises:
        ReviewscopeError: The table or the model cannot be read, or a file cannot be written.
    """
    with job.locked():
        job.save_state("running")
        request, table_format = job.request, job.table_format
        reporter.on_phase("Counting the rows", 0)
        total = _count_rows(job, table_format, reporter)
        predictor = Predictor.load(request.model)
        if predictor.sha256 != request.model_sha256:
            raise JobError("The model has changed since the job was made. Score the table again.")
        reporter.on_phase("Scoring", total)
        ledger = _write_results(job, predictor, table_format, reporter)
        # A stop that comes while the last rows are scored has nothing left to stop.
        is_complete = ledger.is_complete or ledger.rows == total
        reporter.on_phase("Looking at the columns", 0)
        write_json(job.path / "result.json", _summarise(job, ledger, table_format, is_complete).model_dump())
        stopped = f"Stopped at row {ledger.rows:,}" + (f" of {total:,}." if total else ".")
        job.save_state("finished" if is_complete else "stopped", "" if is_complete else stopped)


def read_scored_rows(job: BulkJob, places: NDArray[np.int64], columns: Sequence[int]) -> pd.DataFrame:
    """Return some rows of a scored table, in the order of ``places`` (from 0), as text under ``c0``, ``c1`` ...

    Only the row groups that hold them are read, one after the other.
    """
    names = [f"c{number}" for number in columns]
    with pq.ParquetFile(job.columns_file) as file:
        sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)])
        group_of = np.searchsorted(starts, places, side="right") - 1
        found = []
        for group in np.unique(group_of):
            here = np.flatnonzero(group_of == group)
            rows = file.read_row_group(int(group), columns=names).take(places[here] - starts[group])
            found.append(rows.to_pandas().set_index(here))
    return pd.concat(found).sort_index() if found else pd.DataFrame(columns=names)


def _count_rows(job: BulkJob, table_format: TableFormat, reporter: JobReporter) -> int:
    """Count the rows of the table; 0, which stands for not known, when a stop comes first."""
    total = 0
    for total, _ in enumerate(read_rows(job.upload.table, table_format), 1):
        if total % COUNTED_ROWS == 0:
            reporter.on_progress(COUNTED_ROWS)
            if reporter.should_stop():
                return 0
    return total


def _summarise(job: BulkJob, ledger: Ledger, table_format: TableFormat, is_complete: bool) -> BulkResult:
    probabilities = pq.read_table(job.columns_file, columns=["_probability"])["_probability"].to_numpy()
    counts = count_sides(probabilities, job.request.cutoffs)
    is_scored = ~np.isnan(probabilities)
    facts = []
    for number in range(len(table_format.columns)):  # one column after the other, for the memory
        values = pq.read_table(job.columns_file, columns=[f"c{number}"])[f"c{number}"].to_pandas()
        facts.append(look_at_column(values, is_scored))
    return BulkResult(
        rows=ledger.rows,
        predicted=ledger.predicted,
        rejected=ledger.rejected,
        negative=counts.negative,
        not_sure=counts.not_sure,
        positive=counts.positive,
        seconds=ledger.seconds,
        is_complete=is_complete,
        columns=tuple(facts),
    )


def _write_results(job: BulkJob, predictor: Predictor, table_format: TableFormat, reporter: JobReporter) -> Ledger:
    names = output_columns(table_format)
    with ExitStack() as files:
        writers: list[RowWriter] = [
            TableWriter(files.enter_context(atomic_writer(job.scored_file)), names),
            TableWriter(files.enter_context(atomic_writer(job.safe_file)), names, safe=True),
            files.enter_context(ColumnsWriter(files.enter_context(atomic_writer(job.columns_file)), len(names))),
        ]
        rejects = TableWriter(files.enter_context(atomic_writer(job.rejects_file)), REJECT_COLUMNS, safe=True)
        return score_table(
            predictor,
            job.upload.table,
            table_format,
            job.request.text_column,
            writers,
            rejects,
            cutoffs=job.request.cutoffs,
            on_progress=reporter.on_progress,
            should_stop=reporter.should_stop,
        )


class ColumnsWriter:
    """Writes scored rows as Parquet: the file's columns as text under ``c0``, ``c1``, ..., then ``_probability``.

    The file's own names may be empty or stand twice, which Parquet readers take ill; ``table_format.columns`` has them.
    A row without a score has none here either.
    """

    def __init__(self, stream: IO[bytes], width: int) -> None:
        self._own = width - len(SCORE_COLUMNS)
        texts = [pa.field(f"c{number}", pa.large_string()) for number in range(self._own)]
        self._schema = pa.schema([*texts, pa.field("_probability", pa.float64())])
        self._writer = pq.ParquetWriter(stream, self._schema)
        self._rows: list[Sequence[Any]] = []

    def __enter__(self) -> "ColumnsWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write_row(self, fields: Sequence[str | float]) -> None:
        """Take one row of ``output_columns``."""
        probability = fields[self._own + SCORE_COLUMNS.index("probability")]
        self._rows.append((*fields[: self._own], None if probability == "" else probability))
        if len(self._rows) >= ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = [
                pa.array(column, field.type)
                for column, field in zip(zip(*self._rows, strict=True), self._schema, strict=True)
            ]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
            self._rows = []
