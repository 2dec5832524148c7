"""The scoring of a table as a job: ``uploads/<upload_id>/job-<key>/``.

Each chunk of rows is committed as one Parquet file, a part. The parts are the truth: one row for every record of the
table, in its order, those that were rejected too. A job that was killed or stopped goes on behind its last part and
makes the same bytes as one that was not; whatever is shown or taken away is made from them.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice, takewhile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.config import Section
from core.data.tables import Reject, Row, TableFormat, TableOptions, read_rows
from core.errors import JobError, ReviewscopeError, TableError
from core.files import atomic_writer, read_json, remove_files, replace_json, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.model_settings import Cutoffs
from core.prediction.bulk import NO_TEXT, Ledger, Memory, ScoredChunk, count_chunk, digest_of, score_rows, text_of
from core.prediction.facets import FACETS_NAME, Facets, write_facets
from core.prediction.fit import Fit, look_at_fit
from core.prediction.predictor import Predictor, probability_of
from core.prediction.summary import Counts, count_sides
from core.prediction.uploads import Upload

COUNTED_ROWS = 5_000
CLOCK_NAME = "clock.json"
FIT_TEXTS = 2_000
ROWS_IN_GROUP = 1_000  # of a part; the ten rows of a page are read without the others


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
        part_rows: How many rows each part holds.
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
    part_rows: tuple[int, ...] = ()

    @property
    def counts(self) -> Counts:
        """Return how many rows lie on each side."""
        return Counts(self.negative, self.not_sure, self.positive)


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
        return read_document(self.result_file, BulkResult) if self.result_file.exists() else None

    @property
    def result_file(self) -> Path:
        """Return where its account is kept."""
        return self.path / "result.json"

    @property
    def is_done(self) -> bool:
        """Tell whether the whole table is scored and all parts are there."""
        try:
            result = self.result
        except ReviewscopeError:
            return False
        has_all = result is not None and len(self.part_files) == len(result.part_rows) and self.facets_file.exists()
        return has_all and result is not None and result.is_complete

    @property
    def table_format(self) -> TableFormat:
        """Return how the table is read."""
        return self.upload.read_format(self.request.options)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the table's columns, as kept when it was scored; empty before the first part."""
        return self.result.facets.columns if self.result else self.table_format.columns

    @property
    def parts_folder(self) -> Path:
        """Return where the parts are."""
        return self.path / "parts"

    @property
    def part_files(self) -> list[Path]:
        """Return the parts, in order; those behind a missing one do not count."""
        names = {path.name for path in self.parts_folder.glob("[0-9]*.parquet")}
        paths = map(self.part_file, range(len(names)))
        return list(takewhile(lambda path: path.name in names, paths))

    def part_file(self, number: int) -> Path:
        """Return where a part (from 0) is kept."""
        return self.parts_folder / f"{number:05}.parquet"

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
    # A model is what its SHA-256 says, whatever name it was asked by.
    asked = request.model_dump_json(exclude_defaults=True, exclude={"model"})
    job = BulkJob(upload.path / f"job-{hashlib.sha256(asked.encode()).hexdigest()[:12]}")
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
    """Score what of a table is not scored yet; a stop keeps what is. What is scored to its end stays as it is.

    Raises:
        ReviewscopeError: The table or the model cannot be read, or a file cannot be written. The job's state says so.
    """
    with job.locked():
        if job.is_done:
            job.save_state("finished")
            return
        job.save_state("running")
        try:
            _execute(job, reporter)
        except ReviewscopeError as error:
            with suppress(ReviewscopeError):  # where the disk is full, the state stays what it was
                job.save_state("failed", str(error))
            raise


def _execute(job: BulkJob, reporter: JobReporter) -> None:
    request, upload = job.request, job.upload
    upload.refuse_changed()
    table_format, rows_file = job.table_format, upload.rows_file(request.options)
    reporter.on_phase("Counting the rows", 0)
    total = _count_rows(rows_file, table_format, reporter)
    predictor = Predictor.load(request.model)
    if predictor.sha256 != request.model_sha256:
        raise JobError("The model has changed since the job was made. Score the table again.")
    reporter.on_phase("Scoring", total)
    _inherit_parts(job)
    _clear_up(job)
    rows = read_rows(rows_file, table_format)
    memory, ledger = _catch_up(job, rows, reporter)
    is_complete = True
    began = time.monotonic() - _seconds_so_far(job)
    for number, chunk in enumerate(score_rows(predictor, rows, request.text_columns, memory), len(job.part_files)):
        upload.refuse_changed()
        _write_part(job.part_file(number), chunk, len(table_format.columns))
        replace_json(job.path / CLOCK_NAME, {"seconds": round(time.monotonic() - began, 3)})
        count_chunk(ledger, chunk)
        reporter.on_progress(len(chunk.rows))
        if reporter.should_stop() and ledger.rows != total:
            is_complete = False
            break
    reporter.on_phase("Looking at the columns", 0)
    job.result_file.unlink(missing_ok=True)  # of an earlier stop; the facets are about to be others
    result = _summarise(job, predictor, table_format, ledger, is_complete)
    upload.refuse_changed()
    write_json(job.result_file, result.model_dump(mode="json"))
    stopped = f"Stopped at row {ledger.rows:,}" + (f" of {total:,}." if total else ".")
    job.save_state("finished" if is_complete else "stopped", "" if is_complete else stopped)


def iterate_parts(job: BulkJob, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Give the parts one after the other, as tables; only some columns where these are named.

    Raises:
        JobError: A part is damaged.
    """
    for path in job.part_files:
        yield _read_part(path, columns)


def read_rows_at(job: BulkJob, places: NDArray[np.int64], columns: Sequence[int | str]) -> pd.DataFrame:
    """Return some rows of a scored table, in the order of ``places`` (from 0), as text under ``c0``, ``c1`` ...

    Only the row groups that hold them are read, one after the other. A column that is not the table's own ("line",
    "reason", "content") is asked for, and given, by its name; what a record lacks is an empty text.
    """
    names = [column if isinstance(column, str) else f"c{column}" for column in columns]
    paths, result = job.part_files, job.result
    sizes = result.part_rows if result and result.part_rows else _part_sizes(tuple(paths))
    if len(paths) < len(sizes):
        raise _damaged(job.part_file(len(paths)))
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    part_of = np.searchsorted(starts, places, side="right") - 1
    found = []
    for part in np.unique(part_of):
        here = np.flatnonzero(part_of == part)
        rows = _read_part_rows(paths[part], places[here] - starts[part], names)
        found.append(rows.to_pandas().fillna("").set_index(here))
    return pd.concat(found).sort_index() if found else pd.DataFrame(columns=names)


@lru_cache(maxsize=20)
def _part_sizes(paths: tuple[Path, ...]) -> tuple[int, ...]:
    return tuple(len(_read_part(path, ["line"])) for path in paths)


def _read_part_rows(path: Path, places: NDArray[np.int64], names: list[str]) -> pa.Table:
    """Read some rows of a part, in the order of ``places``, and of it only the row groups that they lie in."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            sizes = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
            starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
            group_of = np.searchsorted(starts, places, side="right") - 1
            groups = np.unique(group_of)
            rows = file.read_row_groups(groups.tolist(), columns=names, use_threads=False)
            before = np.concatenate([[0], np.cumsum([sizes[group] for group in groups])])
            inside = before[np.searchsorted(groups, group_of)] + places - starts[group_of]
            return rows.take(pa.array(inside))
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path) from error


def part_texts(part: pa.Table, text_columns: Sequence[int]) -> pa.Array:
    """Return the text of each row of a part, large_string (N), as it was scored; empty where it was not."""
    columns = [part[f"c{place}"].to_pylist() for place in text_columns]
    rows = (Row(0, tuple(value or "" for value in values)) for values in zip(*columns, strict=True))
    joined = [text_of(row, range(len(text_columns))) for row in rows]
    return pa.array(joined, pa.large_string())


def forget_result(job: BulkJob) -> None:
    """Remove what was made of a job's parts, so that it is made anew, and of the parts what is damaged.

    Raises:
        ReviewscopeError: A file cannot be removed.
    """
    remove_files(job.result_file, job.facets_file)
    for look in job.path.glob("look-*"):
        shutil.rmtree(look, ignore_errors=True)


def _clear_up(job: BulkJob) -> None:
    """Remove what a kill left half written, and the first part that is damaged or missing with all behind it.

    Their rows are scored again.
    """
    kept = set(takewhile(_is_whole, job.part_files))
    for path in [*job.parts_folder.iterdir(), *job.path.glob(f".{FACETS_NAME}.*.tmp")]:
        if path not in kept:
            path.unlink()


def _is_whole(path: Path) -> bool:
    """Tell whether a part can be read to its end."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                file.read_row_group(number, use_threads=False)
        return True
    except (OSError, pa.ArrowException):
        return False


def _inherit_parts(job: BulkJob) -> None:
    """Take over what the same model made of the same texts for a job that differs in its cutoffs or its id column."""
    job.parts_folder.mkdir(exist_ok=True)
    if job.part_files:
        return
    rows_alike = {"model_sha256", "options", "text_columns"}
    asked = job.request.model_dump(include=rows_alike)
    for other in list_jobs(job.upload):
        try:
            is_alike = other != job and other.request.model_dump(include=rows_alike) == asked
        except ReviewscopeError:
            continue  # what it was asked for is damaged
        if is_alike and other.part_files:
            with suppress(OSError):  # where a file cannot have two names, the rows are scored again
                for path in other.part_files:
                    os.link(path, job.parts_folder / path.name)
                shutil.copyfile(other.path / CLOCK_NAME, job.path / CLOCK_NAME)
            return


def _catch_up(job: BulkJob, rows: Iterator[Row | Reject], reporter: JobReporter) -> tuple[Memory, Ledger]:
    """Read over the rows that parts hold, and learn their scores again."""
    memory, ledger = Memory(), Ledger(())
    for path in job.part_files:
        part = _read_part(path, ("logit", "share_read"))
        logits, shares = part["logit"].to_numpy(), part["share_read"].to_numpy()
        for place, row in enumerate(islice(rows, len(part))):
            if isinstance(row, Row) and not np.isnan(logits[place]):
                digest = digest_of(text_of(row, job.request.text_columns))
                memory.learn(digest, float(logits[place]), float(shares[place]))
        scored = int((~np.isnan(logits)).sum())
        ledger.predicted += scored
        ledger.rejected += len(part) - scored
        ledger.repeated += int(part.schema.metadata[b"repeated"])
        reporter.on_resume(len(part))
    return memory, ledger


def _write_part(path: Path, chunk: ScoredChunk, width: int) -> None:
    """Commit a chunk. Nothing goes into a part but what the rows and the model make of them."""
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
    names = ["line", *(f"c{place}" for place in range(width)), "logit", "share_read", "reason", "content"]
    table = pa.Table.from_arrays(arrays, names=names).replace_schema_metadata({"repeated": str(chunk.repeated)})
    with atomic_writer(path) as file:
        pq.write_table(
            table, file, compression="zstd", compression_level=1, row_group_size=ROWS_IN_GROUP, write_page_checksum=True
        )


def _read_part(path: Path, columns: Sequence[str] | None) -> pa.Table:
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            # What is read is small, and threads would cost more than they spare.
            part = file.read(None if columns is None else list(columns), use_threads=False)
        return part if columns is None else part.select(list(columns))
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> JobError:
    return JobError(f"{path} is gone or damaged. Score the table again: it goes on from there.")


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
    scores = [part["logit"].to_numpy() for part in iterate_parts(job, ["logit"])]
    logits, sizes = np.concatenate([np.zeros(0, np.float32), *scores]), map(len, scores)
    scored = logits[~np.isnan(logits)]
    counts = count_sides(probability_of(scored), request.cutoffs)
    readers = [partial(_read_part, path) for path in job.part_files]
    facets = write_facets(job.facets_file, readers, table_format.columns)
    return BulkResult(
        rows=ledger.rows,
        predicted=ledger.predicted,
        rejected=ledger.rejected,
        repeated=ledger.repeated,
        negative=counts.negative,
        not_sure=counts.not_sure,
        positive=counts.positive,
        seconds=_seconds_so_far(job),
        is_complete=is_complete,
        repeated_ids=_count_repeated_ids(job, request.id_column),
        source_sha256=_hash_file(job.upload.table),
        facets=facets,
        fit=look_at_fit(predictor, _sample_texts(job, logits), scored, request.cutoffs.cut),
        part_rows=tuple(sizes),
    )


def _seconds_so_far(job: BulkJob) -> float:
    """Return how long the table was scored, by all processes that did; a kill forgets what the last part took."""
    try:
        return float(read_json(job.path / CLOCK_NAME)["seconds"])
    except ReviewscopeError:
        return 0.0  # nothing was committed yet, or a power cut took it


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
    digests = [np.zeros(0, np.uint64)]
    for part in iterate_parts(job, [f"c{column}"]):
        ids = part[f"c{column}"].drop_null().to_pylist()
        joined = b"".join(hashlib.blake2b(value.encode(), digest_size=8).digest() for value in ids)
        digests.append(np.frombuffer(joined, np.uint64))
    found = np.sort(np.concatenate(digests))
    return int((found[1:] == found[:-1]).sum())


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
