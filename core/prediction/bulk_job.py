"""The scoring of a table as a job: ``uploads/<upload_id>/job-<key>/``.

Each chunk of rows is committed as one Parquet file, a part. The parts are the truth: one row for every record of the
table, in its order, those that were rejected too. A job that was killed or stopped goes on behind its last part and
makes the same; whatever is shown or taken away is made from them.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.config import Section
from core.data.tables import Reject, Row, TableFormat, TableOptions, read_rows
from core.errors import JobError, ReviewscopeError, TableError
from core.files import atomic_writer, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.model_settings import Cutoffs
from core.prediction.bulk import NO_TEXT, Ledger, Memory, ScoredChunk, count_chunk, digest_of, score_rows, text_of
from core.prediction.facets import FACETS_NAME, Facets, write_facets
from core.prediction.fit import Fit, look_at_fit
from core.prediction.predictor import Predictor, probability_of
from core.prediction.summary import Counts, count_sides
from core.prediction.uploads import Upload

COUNTED_ROWS = 5_000
HASHED_BYTES = 2**20
FIT_TEXTS = 2_000


class BulkRequest(Section):
    """What a bulk job was asked to do.

    Attributes:
        options: How the table is read.
        text_columns: Places of the columns, from 0, whose texts are joined in this order.
        id_column: The column that names a row; the row's number does when None.
        cutoffs: Those of the model when it was asked; they stay the file's.
    """

    model: str
    model_sha256: str
    options: TableOptions = TableOptions()
    text_columns: tuple[int, ...]
    id_column: int | None = None
    cutoffs: Cutoffs = Cutoffs()


class BulkResult(Section):
    """The account of a finished or stopped bulk job.

    Attributes:
        rows: Always ``predicted`` + ``rejected``.
        repeated: Predicted rows whose text stood in an earlier row.
        negative, not_sure, positive: The sides of ``core.prediction.summary``; together ``predicted``.
        seconds: Of all processes that worked on it.
        is_complete: False when it was stopped before the table's end.
        repeated_ids: Rows whose id stood in an earlier row; None without an id column.
        source_sha256: Of the table.
        facets: What its columns can be filtered and compared by.
        fit: How like the training reviews its texts are, and the accuracy to expect.
    """

    rows: int
    predicted: int
    rejected: int
    repeated: int
    negative: int
    not_sure: int
    positive: int
    seconds: float
    is_complete: bool
    repeated_ids: int | None
    source_sha256: str
    facets: Facets
    fit: Fit | None

    @property
    def counts(self) -> Counts:
        """Return how many rows lie on each side."""
        return Counts(self.negative, self.not_sure, self.positive)


class PartAbout(Section):
    """What a part's own metadata say: rows scored before, and the seconds that it took."""

    repeated: int
    seconds: float


@dataclass(frozen=True)
class BulkJob(JobFolder):
    """One scoring of a table, and its files."""

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
        return self.upload.read_format(self.request.options)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the table's columns, as kept when it was scored; empty before the first part."""
        return self.result.facets.columns if self.result else self.table_format.columns

    @property
    def part_files(self) -> list[Path]:
        """Return the parts, in order."""
        return sorted((self.path / "parts").glob("[0-9]*.parquet"))

    @property
    def facets_file(self) -> Path:
        """Return the small numbers of every row, which filters and charts are made of."""
        return self.path / FACETS_NAME


def list_jobs(upload: Upload) -> list[BulkJob]:
    """Return the bulk jobs on a table, newest first."""
    jobs = [job for folder in upload.path.glob("job-*") if (job := BulkJob(folder)).exists]
    return sorted(jobs, key=lambda job: job.asked, reverse=True)


def find_job(upload: Upload, job_id: str) -> BulkJob | None:
    """Return a bulk job of a table by its id, or None."""
    return next((job for job in list_jobs(upload) if job.job_id == job_id), None)


def create_bulk_job(upload: Upload, request: BulkRequest) -> BulkJob:
    """Make a bulk job's folder; an equal one is given back with all that it has scored.

    Raises:
        TableError: The table has no such columns.
    """
    check_columns(upload, request)
    asked = request.model_dump_json(exclude_defaults=True)
    job = BulkJob(upload.path / f"job-{hashlib.sha256(asked.encode()).hexdigest()[:12]}")
    if not (job.path / "request.json").exists():
        write_json(job.path / "request.json", request.model_dump(mode="json"))
    return job


def check_columns(upload: Upload, request: BulkRequest) -> None:
    """Refuse a request for columns that a table has not.

    Raises:
        TableError: The table has no such columns, or cannot be read.
    """
    width = len(upload.read_format(request.options).columns)
    for place in (*request.text_columns, *([] if request.id_column is None else [request.id_column])):
        if not 0 <= place < width:
            raise TableError(f"There is no column {place + 1}; the table has {width}. Choose the columns again.")
    if not request.text_columns:
        raise TableError("No column with the text is chosen. Choose one at least.")


def execute_bulk(job: BulkJob, reporter: JobReporter) -> None:
    """Score what of a table is not scored yet; a stop keeps what is.

    Raises:
        ReviewscopeError: The table or the model cannot be read, or a file cannot be written.
    """
    with job.locked():
        job.save_state("running")
        request, upload = job.request, job.upload
        upload.refuse_changed()
        table_format = job.table_format
        rows_file = upload.rows_file(request.options)
        reporter.on_phase("Counting the rows", 0)
        total = _count_rows(rows_file, table_format, reporter)
        predictor = Predictor.load(request.model)
        if predictor.sha256 != request.model_sha256:
            raise JobError("The model has changed since the job was made. Score the table again.")
        reporter.on_phase("Scoring", total)
        width = len(table_format.columns)
        rows = read_rows(rows_file, table_format)
        memory, ledger = _catch_up(job, rows, reporter)
        is_complete = True
        began = time.monotonic()
        for number, chunk in enumerate(score_rows(predictor, rows, request.text_columns, memory), len(job.part_files)):
            now = time.monotonic()
            _write_part(job.path / "parts" / f"{number:05}.parquet", chunk, width, now - began)
            began = now
            count_chunk(ledger, chunk)
            reporter.on_progress(len(chunk.rows))
            if reporter.should_stop() and ledger.rows != total:
                is_complete = False
                break
        reporter.on_phase("Looking at the columns", 0)
        result = _summarise(job, predictor, table_format, ledger, is_complete)
        write_json(job.path / "result.json", result.model_dump(mode="json"))
        stopped = f"Stopped at row {ledger.rows:,}" + (f" of {total:,}." if total else ".")
        job.save_state("finished" if is_complete else "stopped", "" if is_complete else stopped)


def iterate_parts(job: BulkJob, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Give the parts one after the other, as tables; only some columns where these are named.

    Raises:
        JobError: A part is damaged.
    """
    for path in job.part_files:
        yield _read_part(path, columns)


def read_rows_at(job: BulkJob, places: NDArray[np.int64], columns: Sequence[int]) -> pd.DataFrame:
    """Return some rows of a scored table, in the order of ``places`` (from 0), as text under ``c0``, ``c1`` ...

    Only the parts that hold them are read, one after the other.
    """
    names = [f"c{number}" for number in columns]
    paths = job.part_files
    sizes = [pq.read_metadata(path).num_rows for path in paths]
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    part_of = np.searchsorted(starts, places, side="right") - 1
    found = []
    for part in np.unique(part_of):
        here = np.flatnonzero(part_of == part)
        rows = _read_part(paths[part], names).take(pa.array(places[here] - starts[part]))
        found.append(rows.to_pandas().fillna("").set_index(here))
    return pd.concat(found).sort_index() if found else pd.DataFrame(columns=names)


def part_texts(part: pa.Table, text_columns: Sequence[int]) -> pa.Array:
    """Return the text of each row of a part, large_string (N), as it was scored; empty where it was not."""
    columns = [part[f"c{place}"].to_pylist() for place in text_columns]
    rows = (Row(0, tuple(value or "" for value in values)) for values in zip(*columns, strict=True))
    joined = [text_of(row, range(len(text_columns))) for row in rows]
    return pa.array(joined, pa.large_string())


def _catch_up(job: BulkJob, rows: Iterator[Row | Reject], reporter: JobReporter) -> tuple[Memory, Ledger]:
    """Read over the rows that parts hold, and learn their scores again."""
    memory, ledger = Memory(), Ledger(())
    for path in job.part_files:
        part = _read_part(path, ("logit", "share_read"))
        about = PartAbout.model_validate_json(part.schema.metadata[b"about"])
        logits, shares = part["logit"].to_numpy(), part["share_read"].to_numpy()
        for place, row in enumerate(islice(rows, len(part))):
            if isinstance(row, Row) and not np.isnan(logits[place]):
                digest = digest_of(text_of(row, job.request.text_columns))
                memory.learn(digest, float(logits[place]), float(shares[place]))
        scored = int((~np.isnan(logits)).sum())
        ledger.predicted += scored
        ledger.rejected += len(part) - scored
        ledger.repeated += about.repeated
        ledger.seconds += about.seconds
        reporter.on_resume(len(part))
    return memory, ledger


def _write_part(path: Path, chunk: ScoredChunk, width: int, seconds: float) -> None:
    fields = [row.fields if isinstance(row, Row) else (None,) * width for row in chunk.rows]
    is_scored = chunk.is_scored
    reasons = [
        row.reason if isinstance(row, Reject) else None if scored else NO_TEXT
        for row, scored in zip(chunk.rows, is_scored, strict=True)
    ]
    arrays = [
        pa.array([row.line for row in chunk.rows], pa.int64()),
        *(pa.array(column, pa.large_string()) for column in zip(*fields, strict=True)),
        pa.array(chunk.logits, mask=~is_scored),
        pa.array(chunk.shares_read, mask=~is_scored),
        pa.array(reasons, pa.large_string()),
        pa.array([row.content if isinstance(row, Reject) else None for row in chunk.rows], pa.large_string()),
    ]
    about = PartAbout(repeated=chunk.repeated, seconds=round(seconds, 3)).model_dump_json()
    names = ["line", *(f"c{place}" for place in range(width)), "logit", "share_read", "reason", "content"]
    table = pa.Table.from_arrays(arrays, names=names).replace_schema_metadata({"about": about})
    with atomic_writer(path) as file:
        pq.write_table(table, file, compression="zstd", compression_level=1)


def _read_part(path: Path, columns: Sequence[str] | None) -> pa.Table:
    try:
        # Without threads and a map of the file: what is read is small, and stays no longer than it is used.
        return pq.read_table(path, columns=None if columns is None else list(columns), use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise JobError(f"{path} is damaged. Delete this result and score the table again.") from error


def _count_rows(path: Path, table_format: TableFormat, reporter: JobReporter) -> int:
    """Count the rows of the table; 0, which stands for not known, when a stop comes first."""
    total = 0
    for total, _ in enumerate(read_rows(path, table_format), 1):
        if total % COUNTED_ROWS == 0:
            reporter.on_progress(COUNTED_ROWS)
            if reporter.should_stop():
                return 0
    return total


def _summarise(
    job: BulkJob, predictor: Predictor, table_format: TableFormat, ledger: Ledger, is_complete: bool
) -> BulkResult:
    request = job.request
    logits = np.concatenate([np.zeros(0, np.float32), *(part["logit"].to_numpy() for part in iterate_parts(job, ["logit"]))])
    counts = count_sides(probability_of(logits), request.cutoffs)
    facets = write_facets(job.facets_file, lambda names: iterate_parts(job, names), table_format.columns)
    return BulkResult(
        rows=ledger.rows,
        predicted=ledger.predicted,
        rejected=ledger.rejected,
        repeated=ledger.repeated,
        negative=counts.negative,
        not_sure=counts.not_sure,
        positive=counts.positive,
        seconds=round(_seconds_of(job), 3),
        is_complete=is_complete,
        repeated_ids=_count_repeated_ids(job, request.id_column),
        source_sha256=_hash_file(job.upload.table),
        facets=facets,
        fit=look_at_fit(predictor, _sample_texts(job, logits), logits[~np.isnan(logits)]),
    )


def _seconds_of(job: BulkJob) -> float:
    abouts = (pq.read_schema(path).metadata[b"about"] for path in job.part_files)
    return sum(PartAbout.model_validate_json(about).seconds for about in abouts)


def _sample_texts(job: BulkJob, logits: NDArray[np.float32]) -> pa.Array:
    """Return texts of scored rows, drawn at random, in the table's order."""
    scored = np.flatnonzero(~np.isnan(logits))
    drawn = np.random.default_rng(0).choice(scored, min(FIT_TEXTS, len(scored)), replace=False)
    is_drawn = np.zeros(len(logits), np.bool_)
    is_drawn[drawn] = True
    texts, start = [], 0
    text_columns = job.request.text_columns
    for part in iterate_parts(job, [f"c{place}" for place in dict.fromkeys(text_columns)]):
        texts.append(part_texts(part.filter(pa.array(is_drawn[start : start + len(part)])), text_columns))
        start += len(part)
    return pa.concat_arrays(texts) if texts else pa.array([], pa.large_string())


def _count_repeated_ids(job: BulkJob, column: int | None) -> int | None:
    if column is None:
        return None
    seen: set[bytes] = set()
    rows: Counter[str] = Counter()
    for part in iterate_parts(job, [f"c{column}"]):
        ids = part[f"c{column}"].drop_null()
        rows["all"] += len(ids)
        seen.update(hashlib.blake2b(value.encode(), digest_size=8).digest() for value in pc.unique(ids).to_pylist())
    return rows["all"] - len(seen)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
