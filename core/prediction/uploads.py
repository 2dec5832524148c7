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

import pyarrow as pa
import pyarrow.parquet as pq

from core import settings
from core.config import Section
from core.data.tables import TableFormat, TableWriter, column_index, read_rows, sniff_table
from core.errors import JobError, ReviewscopeError
from core.files import atomic_writer, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.prediction.bulk import REJECT_COLUMNS, SCORE_COLUMNS, Ledger, RowWriter, output_columns, score_table
from core.prediction.predictor import Predictor

KEPT_DAYS = 7
LARGEST_UPLOAD = 200 * 10**6
COPY_BYTES = 2**20
ROW_GROUP = 20_000


class UploadAbout(Section):
    """What is known of an uploaded table."""

    name: str
    size: int
    sha256: str
    created: float


class BulkRequest(Section):
    """What a bulk job was asked to do."""

    model: str
    model_sha256: str
    text_column: str
    encoding: str
    delimiter: str


class BulkResult(Section):
    """The account of a finished or stopped bulk job."""

    rows: int
    predicted: int
    rejected: int
    positive: int
    seconds: float
    is_complete: bool


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
    def jobs(self) -> list["BulkJob"]:
        """Return the bulk jobs on it, newest first."""
        folders = sorted(self.path.glob("job-*"), reverse=True)
        return [job for folder in folders if (job := BulkJob(folder)).exists]


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
    def result(self) -> BulkResult | None:
        """Return its account, or None before it has ended."""
        path = self.path / "result.json"
        return read_document(path, BulkResult) if path.exists() else None

    @property
    def table_format(self) -> TableFormat:
        """Return how the table is read."""
        request = self.request
        return sniff_table(self.upload.table, encoding=request.encoding, delimiter=request.delimiter)

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
    digest, size = hashlib.sha256(), 0
    with atomic_writer(upload.table) as file:
        while piece := stream.read(COPY_BYTES):
            size += len(piece)
            if size > LARGEST_UPLOAD:
                raise ReviewscopeError(f"The file is larger than {LARGEST_UPLOAD // 10**6} MB. Score it in parts.")
            digest.update(piece)
            file.write(piece)
    about = UploadAbout(name=name, size=size, sha256=digest.hexdigest(), created=time.time())
    write_json(upload.path / "about.json", about.model_dump())
    return upload


def find_upload(upload_id: str) -> Upload | None:
    """Return an upload by its id, or None."""
    upload = Upload(settings.home() / "uploads" / upload_id)
    return upload if upload_id.isalnum() and (upload.path / "about.json").exists() else None


def list_uploads() -> list[Upload]:
    """Return all uploads, newest first."""
    found = [Upload(path.parent) for path in (settings.home() / "uploads").glob("*/about.json")]
    return sorted(found, key=lambda upload: upload.about.created, reverse=True)


def remove_expired_uploads() -> None:
    """Remove uploads older than ``KEPT_DAYS``, with all that was made of them, unless a job of theirs runs."""
    for upload in list_uploads():
        is_busy = any(job.state.status in ("queued", "running") for job in upload.jobs)
        if time.time() - upload.about.created > KEPT_DAYS * 86_400 and not is_busy:
            shutil.rmtree(upload.path, ignore_errors=True)


def create_bulk_job(upload: Upload, request: BulkRequest) -> BulkJob:
    """Make a bulk job's folder; an equal one that is there, and not failed, is given back instead.

    Raises:
        ReviewscopeError: The table has no such column.
    """
    column_index(sniff_table(upload.table, encoding=request.encoding, delimiter=request.delimiter), request.text_column)
    key = hashlib.sha256(request.model_dump_json().encode()).hexdigest()[:12]
    job = BulkJob(upload.path / f"job-{key}")
    if job.exists and job.state.status in ("queued", "running", "finished"):
        return job
    job.path.mkdir(parents=True, exist_ok=True)
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
        total = sum(1 for _ in read_rows(job.upload.table, table_format))
        predictor = Predictor.load(request.model)
        if predictor.sha256 != request.model_sha256:
            raise JobError("The model has changed since the job was made. Score the table again.")
        reporter.on_phase("Scoring", total)
        ledger = _write_results(job, predictor, table_format, reporter)
        positive = pq.read_table(job.columns_file, columns=["_probability"])["_probability"].to_numpy()
        result = BulkResult(
            rows=ledger.rows,
            predicted=ledger.predicted,
            rejected=ledger.rejected,
            positive=int((positive > 0.5).sum()),
            seconds=ledger.seconds,
            is_complete=ledger.is_complete,
        )
        write_json(job.path / "result.json", result.model_dump())
        stopped = f"Stopped at row {ledger.rows:,} of {total:,}."
        job.save_state("finished" if ledger.is_complete else "stopped", "" if ledger.is_complete else stopped)


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
