"""A rehearsal: the first rows of a table are scored, and how long all of them take is said before anything runs.

A job of the slot quick, ``uploads/<upload_id>/rehearsal-<key>/``. It loads the model, scores the first
``REHEARSED_ROWS`` rows that have a text, goes on for about a second to learn how fast reading and scoring are, and
counts the rows: all of them where the table ends soon, else as many as its size stands for.
"""

import hashlib
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.config import Section
from core.data.records import UNDECODABLE
from core.data.tables import Reject, Row, TableFormat, read_rows
from core.errors import JobError
from core.files import write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.prediction.bulk import Memory, score_rows, text_of
from core.prediction.bulk_job import BulkRequest, check_columns
from core.prediction.predictor import Predictor, probability_of
from core.prediction.summary import Counts, count_sides
from core.prediction.uploads import Upload

REHEARSED_ROWS = 200
MOST_SEARCHED = 5_000  # rows among which those are looked for
TIMED_SECONDS = 1.0
PIECE_SECONDS = 0.1
LARGEST_PIECE = 4_000
COUNTED_SECONDS = 1.0
MOST_REJECTS = 20
MOST_EXAMPLES = 5
EXAMPLE_CHARACTERS = 300
# What a job takes besides reading and scoring: a start of its worker, and the look at the columns when all is scored.
START_SECONDS = 4.0
END_SECONDS = 0.5
CELL_SECONDS = 4e-7  # to keep a cell and to look at it, measured on 30,000,000 of 500 columns
LEAST_SPREAD = 0.25
WITHOUT_MARK = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
LINE_END = re.compile(r"\r\n|\r|\n")


class Example(Section):
    """A row that was scored: its number among the records (from 1), the beginning of its text, and its score."""

    row: int
    text: str
    probability: float


class Unreadable(Section):
    """A row that was rejected: the line on which it begins, and why."""

    line: int
    reason: str


class Rehearsal(Section):
    """What a rehearsal found.

    The rows are the first of the table, not drawn at random; shares of them say little about a table that is sorted.
    """

    probabilities: tuple[float, ...] = Field(description="Of the rows that were scored, 0 to 1, in the table's order.")
    negative: int
    not_sure: int
    positive: int
    rejected: int = Field(description="Rows between them that have no score.")
    rejects: tuple[Unreadable, ...] = Field(description="The first of those.")
    examples: tuple[Example, ...] = Field(description="Some of the scored rows, evenly spread.")
    seconds: float = Field(description="Reading and scoring them, the model's loading not counted.")
    load_seconds: float = Field(description="Loading the model.")
    rows: int = Field(description="Of the whole table, rejected ones too; an estimate unless is_counted.")
    is_counted: bool
    columns: int = Field(1, description="Of the table.")
    read_seconds: float = Field(description="Reading one row more, the median of the pieces that were timed.")
    row_seconds: float = Field(description="Reading and scoring one row more, the median too.")
    row_seconds_low: float = Field(description="The same, of the piece that nine in ten were slower than.")
    row_seconds_high: float = Field(description="The same, of the piece that one in ten was slower than.")

    @property
    def counts(self) -> Counts:
        """Return how many rows lie on each side."""
        return Counts(self.negative, self.not_sure, self.positive)

    @property
    def scored(self) -> int:
        """Return how many rows were scored."""
        return len(self.probabilities)

    def forecast(self, is_warm: bool) -> "Duration":
        """Return how long scoring the whole table takes.

        Args:
            is_warm: A worker is there already; else its start counts.
        """
        a_row = self.read_seconds + CELL_SECONDS * self.columns
        beside = self.load_seconds + self.rows * a_row + END_SECONDS + (0.0 if is_warm else START_SECONDS)
        low = min(self.row_seconds_low, self.row_seconds * (1 - LEAST_SPREAD))
        high = max(self.row_seconds_high, self.row_seconds * (1 + LEAST_SPREAD))
        middle, least, most = (beside + self.rows * seconds for seconds in (self.row_seconds, low, high))
        return Duration(middle, min(least, middle * (1 - LEAST_SPREAD)), max(most, middle * (1 + LEAST_SPREAD)))


@dataclass(frozen=True)
class Duration:
    """A forecast in seconds, and the range that it lies in."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class RehearsalJob(JobFolder):
    """One rehearsal's folder."""

    @property
    def upload(self) -> Upload:
        """Return the table."""
        return Upload(self.path.parent)

    @property
    def request(self) -> BulkRequest:
        """Return what is rehearsed."""
        return read_document(self.path / "request.json", BulkRequest)

    @property
    def result(self) -> Rehearsal | None:
        """Return what was found, or None before that."""
        path = self.path / "result.json"
        return read_document(path, Rehearsal) if path.exists() else None


@dataclass
class Pace:
    """How long one row took in each of the pieces of a table, in seconds: all of it, and reading it alone."""

    rows: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)

    def add(self, count: int, seconds: float, read_seconds: float) -> None:
        """Enter a piece of ``count`` rows."""
        self.rows.append(seconds / count)
        self.reads.append(read_seconds / count)


def create_rehearsal(upload: Upload, request: BulkRequest) -> RehearsalJob:
    """Make a rehearsal's folder; an equal one is given back with what it found. A column of ids changes nothing.

    Raises:
        TableError: The table has no such columns.
    """
    job = rehearsal_of(upload, request)
    if not (job.path / "request.json").exists():
        check_columns(upload, request)
        write_json(job.path / "request.json", _without_ids(request).model_dump(mode="json"))
    return job


def rehearsal_of(upload: Upload, request: BulkRequest) -> RehearsalJob:
    """Return the rehearsal of a request; it may not exist yet."""
    asked = _without_ids(request).model_dump_json(exclude_defaults=True)
    return RehearsalJob(upload.path / f"rehearsal-{hashlib.sha256(asked.encode()).hexdigest()[:12]}")


def _without_ids(request: BulkRequest) -> BulkRequest:
    return request.model_copy(update={"id_column": None})


def execute_rehearsal(job: RehearsalJob, reporter: JobReporter) -> None:
    """Score the first rows of a table and find out how long all of them take.

    Raises:
        ReviewscopeError: The table or the model cannot be read, or a file cannot be written.
    """
    with job.locked():
        job.save_state("running")
        request, upload = job.request, job.upload
        upload.refuse_changed()
        table_format = upload.read_format(request.options)
        reporter.on_phase("Loading the model", 0)
        began = time.monotonic()
        predictor = Predictor.load(request.model)
        if predictor.sha256 != request.model_sha256:
            raise JobError("The model has changed since the rehearsal was asked for. Choose the columns again.")
        load_seconds = time.monotonic() - began
        reporter.on_phase("Reading the first rows", REHEARSED_ROWS)
        result = _rehearse(upload.rows_file(request.options), table_format, predictor, request, load_seconds)
        write_json(job.path / "result.json", result.model_dump(mode="json"))
        job.save_state("finished")


def _rehearse(
    rows_file: Path, table_format: TableFormat, predictor: Predictor, request: BulkRequest, load_seconds: float
) -> Rehearsal:
    rows, memory, columns = read_rows(rows_file, table_format), Memory(), request.text_columns
    list(score_rows(predictor, [Row(0, ("first",) * len(table_format.columns))], columns))  # the first is always slow
    began = time.monotonic()
    first = _take_readable(rows, columns)
    read_seconds = time.monotonic() - began
    chunks = list(score_rows(predictor, first, columns, memory))
    seconds = time.monotonic() - began
    logits = np.concatenate([np.zeros(0, np.float32), *(chunk.logits for chunk in chunks)])
    scored = np.flatnonzero(~np.isnan(logits))
    probabilities = probability_of(logits[scored])
    rejects = [Unreadable(line=each.line, reason=each.reason) for chunk in chunks for each in chunk.rejects()]
    counts = count_sides(probabilities, request.cutoffs)
    pace = Pace()
    lines = sum(map(_lines_of, first))
    rows_read, lines_read, is_counted = _time_more(rows, predictor, request, memory, pace, seconds / max(len(first), 1))
    rows_read, lines_read = rows_read + len(first), lines_read + lines
    if not pace.rows:
        pace.add(max(len(first), 1), seconds, read_seconds)
    if not is_counted:
        rows_read, lines_read, is_counted = _count_more(rows, rows_read, lines_read)
    return Rehearsal(
        probabilities=tuple(probabilities.round(6).tolist()),
        negative=counts.negative,
        not_sure=counts.not_sure,
        positive=counts.positive,
        rejected=len(rejects),
        rejects=tuple(rejects[:MOST_REJECTS]),
        examples=_choose_examples(first, scored, probabilities.tolist(), columns),
        seconds=round(seconds, 4),
        load_seconds=round(load_seconds, 4),
        rows=rows_read if is_counted else estimate_rows(rows_file, table_format, rows_read, lines_read),
        is_counted=is_counted,
        columns=len(table_format.columns),
        read_seconds=median(pace.reads),
        row_seconds=median(pace.rows),
        row_seconds_low=float(np.quantile(pace.rows, 0.1)),
        row_seconds_high=float(np.quantile(pace.rows, 0.9)),
    )


def _take_readable(rows: Iterator[Row | Reject], columns: tuple[int, ...]) -> list[Row | Reject]:
    """Take rows until ``REHEARSED_ROWS`` of them have a text."""
    taken: list[Row | Reject] = []
    readable = 0
    for row in islice(rows, MOST_SEARCHED):
        taken.append(row)
        readable += isinstance(row, Row) and bool(text_of(row, columns))
        if readable == REHEARSED_ROWS:
            break
    return taken


def _time_more(
    rows: Iterator[Row | Reject], predictor: Predictor, request: BulkRequest, memory: Memory, pace: Pace,
    row_seconds: float,
) -> tuple[int, int, bool]:  # fmt: skip
    """Score pieces for about a second; return rows, physical lines, and whether the table ends there."""
    done, lines = 0, 0
    until = time.monotonic() + TIMED_SECONDS
    while time.monotonic() < until:
        size = min(max(int(PIECE_SECONDS / max(row_seconds, 1e-6)), 20), LARGEST_PIECE)
        began = time.monotonic()
        piece = list(islice(rows, size))
        read_seconds = time.monotonic() - began
        if piece:
            for _ in score_rows(predictor, piece, request.text_columns, memory):
                pass
            pace.add(len(piece), time.monotonic() - began, read_seconds)
            row_seconds = median(pace.rows)
        done += len(piece)
        lines += sum(map(_lines_of, piece))
        if len(piece) < size:
            return done, lines, True
    return done, lines, False


def _count_more(rows: Iterator[Row | Reject], done: int, lines: int) -> tuple[int, int, bool]:
    """Count rows for a moment; return rows and physical lines with those before, and whether the table ends there."""
    until = time.monotonic() + COUNTED_SECONDS
    for row in rows:
        done += 1
        lines += _lines_of(row)
        if time.monotonic() > until:
            return done, lines, False
    return done, lines, True


def _lines_of(row: Row | Reject) -> int:
    """Return how many physical lines a record takes."""
    texts = row.fields if isinstance(row, Row) else (row.content,)
    return 1 + sum(len(LINE_END.findall(text)) for text in texts if "\n" in text or "\r" in text)


def estimate_rows(rows_file: Path, table_format: TableFormat, rows: int, lines: int) -> int:
    """Return how many rows a table seems to have, if all are as long as its first.

    Args:
        rows_file: What ``read_rows`` reads.
        table_format: How it is written.
        rows: Rows that were read, 1 at least.
        lines: Physical lines that they take.
    """
    is_csv = table_format.kind == "csv"
    encoding = table_format.encoding if is_csv else "utf-8"
    bare = WITHOUT_MARK.get(encoding, encoding)  # the others would write a byte order mark before each line
    header_lines = table_format.header_line if is_csv else 1
    header_lines += sum(len(LINE_END.findall(name)) for name in table_format.columns)
    with rows_file.open(encoding=encoding, errors=UNDECODABLE, newline="") as file:
        header, read = (
            sum(len(line.encode(bare, "replace")) for line in islice(file, count)) for count in (header_lines, lines)
        )
    return max(round(rows * (rows_file.stat().st_size - header) / max(read, 1)), rows)


def _choose_examples(
    rows: list[Row | Reject], scored: NDArray[np.int64], probabilities: list[float], columns: tuple[int, ...]
) -> tuple[Example, ...]:
    examples = []
    for place in np.unique(np.linspace(0, len(scored) - 1, min(MOST_EXAMPLES, len(scored))).astype(np.int64)):
        row = rows[scored[place]]
        if isinstance(row, Row):
            text = text_of(row, columns)[:EXAMPLE_CHARACTERS]
            examples.append(Example(row=int(scored[place]) + 1, text=text, probability=probabilities[place]))
    return tuple(examples)
