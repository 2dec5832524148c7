"""Files to take away, made from the parts of a scored table: ``uploads/<upload_id>/job-<key>/export-<key>/``.

A job of the slot quick reads one part after the other and writes ``table``, the file, and ``about.json``, what somebody
who finds the file later needs to know of it. Both appear when all is written, or not at all.
"""

import hashlib
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import Section
from core.data.tables import Kind
from core.errors import JobError, ReviewscopeError
from core.files import atomic_writer, write_bytes, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.prediction.bulk import REJECT_COLUMNS, SCORE_COLUMNS, output_columns
from core.prediction.bulk_job import BulkJob, BulkResult, iterate_parts
from core.prediction.export_files import (
    EXCEL_CELL,
    EXCEL_ROWS,
    TableKind,
    Written,
    open_file_writer,
    too_many_rows,
    unique_names,
)
from core.prediction.predictor import SENTIMENTS, Predictions, Predictor
from core.prediction.summary import NOT_SURE, sides_of

Preset = Literal["all", "scores", "filter", "rejects", "report"]
Format = TableKind | Literal["html"]
Extra = Literal["intensity", "not_sure", "share_read", "model"]

FILE_WORDS: dict[Preset, str] = {
    "all": "scored", "scores": "scores", "filter": "filtered", "rejects": "rejected", "report": "report",
}  # fmt: skip
ENDINGS: dict[Format, str] = {
    "csv-excel": ".csv", "csv": ".csv", "xlsx": ".xlsx", "parquet": ".parquet", "html": ".html",
}  # fmt: skip
APOSTROPHE_NOTE = (
    "A text or column name that begins with = + - @, tab or carriage return has an apostrophe before it, so that no "
    "spreadsheet program runs it."
)
DECIMALS = 6
LONGEST_STEM = 80
WORKBOOK_FOLDER = ".workbook-"  # where a workbook in the making is kept


class ExportRequest(Section):
    """What a file to take away is to hold.

    Attributes:
        preset: All columns and scores of every row that fits the header; ids and scores without text; as the first, of
            the rows that pass a filter; line, reason and content of the rejected rows; or the charts as one page.
        format: Of a report always "html".
        extras: Columns to add besides sentiment, probability and confidence.
        rows: How many records were scored or rejected when it was asked.
        mask_sha256: Of the filter's file.
        filter_words: The filter as the page calls it.
    """

    preset: Preset = "all"
    format: Format = "csv-excel"
    extras: tuple[Extra, ...] = ()
    rows: int
    mask_sha256: str | None = None
    filter_words: str = ""


class ModelAbout(Section):
    """Which model has read, and how its probability became a verdict."""

    id: str
    sha256: str
    threshold: float
    not_sure_from: float
    not_sure_below: float
    temperature: float | None


class SourceAbout(Section):
    """Which file was read, and how."""

    name: str
    size: int
    sha256: str
    kind: Kind | None
    encoding: str | None
    delimiter: str | None
    has_header: bool
    sheet: str | None
    text_columns: tuple[str, ...]
    id_column: str | None


class RowsAbout(Section):
    """The account of the rows: ``in_file`` is ``scored`` + ``rejected``; ``written`` are in this file."""

    in_file: int
    scored: int
    rejected: int
    written: int
    is_complete: bool


class ColumnAbout(Section):
    """A column of the file: the source's own, by its own name, or one that was added (None)."""

    name: str
    source_name: str | None


class ExportAbout(Section):
    """What stands beside a file to take away, as ``<name>.json``.

    Attributes:
        cut_cells: Texts longer than a cell of Excel's: cut in a workbook, whole in a CSV file.
        replaced_characters: U+FFFE and U+FFFF, which no workbook can hold and which became U+FFFD.
        notes: What a reader of the file must know, in sentences.
    """

    made_with: str = "Reviewscope"
    created: str
    name: str
    format: Format
    preset: Preset
    filter: str
    size: int
    sha256: str
    model: ModelAbout
    source: SourceAbout
    rows: RowsAbout
    columns: tuple[ColumnAbout, ...]
    cut_cells: int = 0
    replaced_characters: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportJob(JobFolder):
    """One file to take away."""

    @property
    def bulk(self) -> BulkJob:
        """Return the scored table that it is made from."""
        return BulkJob(self.path.parent)

    @property
    def request(self) -> ExportRequest:
        """Return what was asked for."""
        return read_document(self.path / "request.json", ExportRequest)

    @property
    def mask_file(self) -> Path:
        """Return the rows that pass the filter, a bit a record."""
        return self.path / "mask.bits"

    @property
    def table_file(self) -> Path:
        """Return the file."""
        return self.path / "table"

    @property
    def about_file(self) -> Path:
        """Return what is known of the file."""
        return self.path / "about.json"

    @property
    def about(self) -> ExportAbout | None:
        """Return what is known of the file, or None before it is made."""
        return read_document(self.about_file, ExportAbout) if self.is_done else None

    @property
    def is_done(self) -> bool:
        """Tell whether the file is there, whole: what is known of it is written after it."""
        try:
            is_known = bool(self.request) and bool(read_document(self.about_file, ExportAbout))
        except ReviewscopeError:
            return False
        return is_known and self.table_file.exists()

    @property
    def file_name(self) -> str:
        """Return what the file is called outside: the table's own name, as far as it is harmless, and what it holds."""
        stem = Path(self.bulk.upload.about.name).stem
        harmless = re.sub(r"[^\w .()-]", "_", stem)[:LONGEST_STEM].strip(" .") or "table"
        return f"{harmless}-{FILE_WORDS[self.request.preset]}{ENDINGS[self.request.format]}"


@dataclass(frozen=True)
class ExportPlan:
    """A file that could be made; nothing of it is on disk unless somebody has made it before.

    Attributes:
        export: Its folder.
        request: What it is to hold.
        bits: The filter, a bit a record.
    """

    export: ExportJob
    request: ExportRequest
    bits: bytes

    def create(self) -> ExportJob:
        """Make the folder, so that the job can be queued; a file that was made before stays in it."""
        if not self.export.is_done:
            if self.request.mask_sha256 is not None:
                write_bytes(self.export.mask_file, self.bits)
            write_json(self.export.path / "request.json", self.request.model_dump(mode="json"))
        return self.export


def plan_export(
    job: BulkJob,
    preset: Preset = "all",
    format: Format = "csv-excel",
    extras: Sequence[Extra] = (),
    mask: NDArray[np.bool_] | None = None,
    filter_words: str = "",
) -> ExportPlan:
    """Say what a file would hold and where it would lie; an equal wish is the same file.

    Args:
        job: Has ended.
        preset: What the file holds.
        format: How it is written.
        extras: In the order in which they are added.
        mask: bool (N), which of all records pass the filter; with the preset "filter" only.
        filter_words: The filter in words.

    Raises:
        JobError: The job has no result, or what is asked for does not go together or does not fit.
    """
    result = job.result
    if result is None:
        raise JobError("The table is not scored yet. Wait for the scores, then take them away.")
    if (preset == "report") != (format == "html") or (preset == "filter") != (mask is not None):
        raise JobError(f"The preset {preset!r} cannot be written so. Choose a format that goes with it.")
    if mask is not None and len(mask) != result.rows:
        raise JobError(f"The filter is of {len(mask):,} rows and the table has {result.rows:,}. Filter it again.")
    rows = result.predicted if mask is None else int(mask.sum())
    if format == "xlsx" and preset != "rejects" and rows > EXCEL_ROWS:
        raise JobError(too_many_rows(rows))
    bits = b"" if mask is None else np.packbits(mask).tobytes()
    request = ExportRequest(
        preset=preset, format=format, rows=result.rows,
        extras=tuple(dict.fromkeys(extras)) if preset in ("all", "scores", "filter") else (),
        mask_sha256=None if mask is None else hashlib.sha256(bits).hexdigest(),
        filter_words=filter_words if mask is not None else "",
    )  # fmt: skip
    key = hashlib.sha256(request.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:12]
    return ExportPlan(ExportJob(job.path / f"export-{key}"), request, bits)


def create_export(
    job: BulkJob,
    preset: Preset = "all",
    format: Format = "csv-excel",
    extras: Sequence[Extra] = (),
    mask: NDArray[np.bool_] | None = None,
    filter_words: str = "",
) -> ExportJob:
    """Make an export's folder: ``plan_export`` with the same arguments, and its ``create``."""
    return plan_export(job, preset, format, extras, mask, filter_words).create()


def find_export(job: BulkJob, export_id: str) -> ExportJob | None:
    """Return an export of a scored table by its id, or None."""
    export = ExportJob(job.path / export_id)
    return export if re.fullmatch(r"export-[0-9a-f]{12}", export_id) and export.exists else None


def list_exports(job: BulkJob) -> list[ExportJob]:
    """Return what was asked for of a scored table, by id."""
    return [export for path in sorted(job.path.glob("export-*")) if (export := ExportJob(path)).exists]


def execute_export(job: ExportJob, reporter: JobReporter) -> None:
    """Write the file and what is known of it; a stop leaves neither.

    Raises:
        ReviewscopeError: A part is damaged, the model is gone, or the file cannot be written or does not fit.
    """
    with job.locked():
        job.save_state("running")
        request, result = job.request, job.bulk.result
        if result is None:
            raise JobError("The table's result is gone. Score it again.")
        reporter.on_phase("Writing the file", request.rows)
        for left in (*job.path.glob(".*.tmp"), *job.path.glob(f"{WORKBOOK_FOLDER}*")):  # by a kill
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        try:
            about = _write_report(job, result) if request.preset == "report" else _write_table(job, result, reporter)
        except _StoppedError:
            job.save_state("stopped", "Stopped before the file was written.")
            return
        write_json(job.about_file, about.model_dump(mode="json"))
        job.save_state("finished")


class _StoppedError(Exception):
    """Somebody asked the job to stop."""


def _write_report(job: ExportJob, result: BulkResult) -> ExportAbout:
    from core.prediction.bulk_report import write_report

    write_report(job.bulk, job.table_file)
    return _describe(job, result, _Layout((), ()), Written())


def _write_table(job: ExportJob, result: BulkResult, reporter: JobReporter) -> ExportAbout:
    request = job.request
    layout = _lay_out(job, result)
    temperature = _temperature(job) if "intensity" in request.extras else None
    written = Written()
    assert request.format != "html"
    with (
        TemporaryDirectory(prefix=WORKBOOK_FOLDER, dir=job.path, ignore_cleanup_errors=True) as folder,
        atomic_writer(job.table_file) as file,
        open_file_writer(request.format, file, layout.names, written, Path(folder)) as writer,
    ):
        for columns in _take_parts(job, layout, temperature, reporter):
            writer.write(columns)
    return _describe(job, result, layout, written, temperature)


@dataclass(frozen=True)
class _Layout:
    """The columns of a file: by place in the source's, or by name of ours; and what each is called in the file."""

    own: tuple[int, ...]
    added: tuple[str, ...]
    names: tuple[str, ...] = ()
    source_names: tuple[str | None, ...] = ()


def _lay_out(job: ExportJob, result: BulkResult) -> _Layout:
    request, columns = job.request, result.facets.columns
    if request.preset == "rejects":
        return _Layout((), REJECT_COLUMNS, REJECT_COLUMNS, (None,) * len(REJECT_COLUMNS))
    own = tuple(range(len(columns)))
    added = (*SCORE_COLUMNS, *request.extras)
    if request.preset == "scores":
        id_column = job.bulk.request.id_column
        own = () if id_column is None else (id_column,)
        added = ("row", *added) if id_column is None else added
    sources = [columns[place] for place in own]
    names = output_columns(unique_names(sources) if request.format == "parquet" else sources, added)
    return _Layout(own, added, tuple(names), (*sources, *(None for _ in added)))


def _take_parts(
    job: ExportJob, layout: _Layout, temperature: float | None, reporter: JobReporter
) -> Iterator[list[pa.Array]]:
    """Give the columns of the file for one part after the other, as many records as there were when it was asked."""
    request = job.request
    mask = None
    if request.mask_sha256 is not None:
        bits = job.mask_file.read_bytes()
        if hashlib.sha256(bits).hexdigest() != request.mask_sha256:
            raise JobError("The filter's file is damaged. Ask for the file again.")
        mask = np.unpackbits(np.frombuffer(bits, np.uint8), count=request.rows).astype(np.bool_)
    needed = ["line", "logit", "share_read", "reason", "content", *(f"c{place}" for place in layout.own)]
    start = 0
    for part in iterate_parts(job.bulk, needed):
        if start >= request.rows:
            break
        is_scored = pc.is_valid(part["logit"])
        chosen = pc.invert(is_scored) if request.preset == "rejects" else pc.is_null(part["content"])
        if mask is not None:
            chosen = pc.and_(chosen, pa.array(mask[start : start + len(part)]))
        numbered = part.append_column("row", pa.array(np.arange(start + 1, start + len(part) + 1)))
        rows = numbered.filter(chosen).combine_chunks()
        start += len(part)
        if len(rows):
            yield _columns(job, layout, temperature, rows)
        reporter.on_progress(len(part))
        if reporter.should_stop() and start < request.rows:
            raise _StoppedError


def _columns(job: ExportJob, layout: _Layout, temperature: float | None, rows: pa.Table) -> list[pa.Array]:
    bulk = job.bulk.request
    logits = rows["logit"].to_numpy()
    unscored = np.isnan(logits)
    logits = np.where(unscored, np.float32(0), logits)
    found = Predictions(logits, temperature or 1.0, bulk.cutoffs.cut)
    probabilities = found.probabilities

    def numbers(values: NDArray[np.floating]) -> pa.Array:
        return pa.array(values.astype(np.float64).round(DECIMALS), mask=unscored)

    def added(name: str) -> pa.Array:
        match name:
            case "row" | "line" | "reason":
                return rows[name].combine_chunks()
            case "content":
                return pc.fill_null(rows[name].combine_chunks(), "")
            case "sentiment":
                positive = (logits.astype(np.float64) > bulk.cutoffs.cut).astype(np.int8)
                return pa.DictionaryArray.from_arrays(
                    pa.array(positive, mask=unscored), pa.array(SENTIMENTS)
                ).dictionary_decode()
            case "probability":
                return numbers(probabilities)
            case "confidence":
                return numbers(found.confidences)
            case "intensity":
                return numbers(found.intensities)
            case "share_read":
                return numbers(rows[name].to_numpy())
            case "not_sure":
                return pa.array(sides_of(logits, bulk.cutoffs) == NOT_SURE, mask=unscored)
            case "model":
                model = f"{bulk.model} {bulk.model_sha256[:12]}"
                return pa.array(np.full(len(rows), model, object), pa.string(), mask=unscored)
        raise AssertionError(name)

    return [*(rows[f"c{place}"].combine_chunks() for place in layout.own), *map(added, layout.added)]


def _temperature(job: ExportJob) -> float:
    bulk = job.bulk.request
    predictor = Predictor.load(bulk.model)
    if predictor.sha256 != bulk.model_sha256:
        raise JobError("The model has changed since the table was scored, so that its intensity is not known any more. "
                       "Leave that column out, or score the table again.")  # fmt: skip
    return predictor.temperature


def _describe(
    job: ExportJob, result: BulkResult, layout: _Layout, written: Written, temperature: float | None = None
) -> ExportAbout:
    request, bulk = job.request, job.bulk.request
    cutoffs = bulk.cutoffs
    with job.table_file.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return ExportAbout(
        created=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        name=job.file_name,
        format=request.format,
        preset=request.preset,
        filter=request.filter_words,
        size=job.table_file.stat().st_size,
        sha256=sha256,
        model=ModelAbout(
            id=bulk.model, sha256=bulk.model_sha256, threshold=cutoffs.threshold, not_sure_from=cutoffs.unsure_low,
            not_sure_below=cutoffs.unsure_high, temperature=temperature,
        ),
        source=_describe_source(job, result),
        rows=RowsAbout(
            in_file=result.rows, scored=result.predicted, rejected=result.rejected, written=written.rows,
            is_complete=result.is_complete,
        ),
        columns=tuple(
            ColumnAbout(name=name, source_name=source)
            for name, source in zip(layout.names, layout.source_names, strict=True)
        ),
        cut_cells=written.cut_cells,
        replaced_characters=written.replaced_characters,
        notes=_notes(request, written, result, layout),
    )  # fmt: skip


def _describe_source(job: ExportJob, result: BulkResult) -> SourceAbout:
    upload, bulk = job.bulk.upload, job.bulk.request
    about, columns = upload.about, result.facets.columns
    try:
        form = job.bulk.table_format
        kind, is_csv = form.kind, form.kind == "csv"
        encoding, delimiter = (form.encoding, form.delimiter) if is_csv else (bulk.options.encoding, None)
        has_header, sheet = form.has_header, form.sheet
    except ReviewscopeError:  # the file itself is gone or has changed; its scores are not
        kind, encoding, delimiter = None, bulk.options.encoding, bulk.options.delimiter
        has_header, sheet = bulk.options.has_header is not False, bulk.options.sheet
    return SourceAbout(
        name=about.name,
        size=about.size,
        sha256=result.source_sha256,
        kind=kind,
        encoding=encoding,
        delimiter=delimiter,
        has_header=has_header,
        sheet=sheet,
        text_columns=tuple(columns[place] for place in bulk.text_columns),
        id_column=None if bulk.id_column is None else columns[bulk.id_column],
    )


def _notes(request: ExportRequest, written: Written, result: BulkResult, layout: _Layout) -> tuple[str, ...]:
    notes = []
    if not result.is_complete:
        notes.append(f"The scoring was stopped: only the first {result.rows:,} rows of the table are here.")
    if written.cut_cells:
        what = "were cut there" if request.format == "xlsx" else "are whole here, but Excel shows their beginning"
        notes.append(f"{_cells(written.cut_cells)} longer than the {EXCEL_CELL:,} characters of an Excel cell {what}.")
    if written.replaced_characters:
        notes.append(f"{written.replaced_characters:,} characters that a workbook cannot hold became U+FFFD.")
    if request.format == "csv-excel":
        notes.append(APOSTROPHE_NOTE)
        if written.rows > EXCEL_ROWS:
            notes.append(f"Excel opens the first {EXCEL_ROWS:,} of the {written.rows:,} rows only.")
    renamed = sum(
        source is not None and name != source for name, source in zip(layout.names, layout.source_names, strict=True)
    )
    if renamed:
        notes.append(f"{renamed:,} columns whose name was empty or stood twice got another one.")
    if request.preset in ("all", "scores"):
        notes.append("A row without text is here without a score; one that does not fit the header is not. The file of "
                     "rejected rows has both, with line and reason.")  # fmt: skip
    return tuple(notes)


def _cells(count: int) -> str:
    return "1 text" if count == 1 else f"{count:,} texts"
