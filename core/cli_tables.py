"""The commands that read reviews: a few given as text, a table written straight to a file, a table as a bulk job."""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from core.data.tables import TableFormat, TableOptions, column_index, guess_text_column
from core.errors import ConfigError, DataError, JobError
from core.job_folder import JobReporter
from core.runs import find_model
from core.terminal import AsJson, ProgressReport, catch_stop, print_result, show_progress
from core.wording import interval_text, percent

if TYPE_CHECKING:
    from core.prediction.bulk_job import BulkJob, BulkRequest, BulkResult
    from core.prediction.exporting import ExportJob, Extra, Format
    from core.prediction.uploads import Upload

DELIMITER_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|"}
EXTRAS: "tuple[Extra, ...]" = ("intensity", "not_sure", "share_read", "model")
FORMATS: "dict[str, Format]" = {".csv": "csv", ".xlsx": "xlsx", ".parquet": "parquet"}
STOPPING = "Stopping after this part; what is scored is kept."

Reference = Annotated[str, typer.Argument(metavar="RUN", help="A run id, latest, starter, an imported id, or a file.")]
TextColumns = Annotated[
    list[str],
    typer.Option(
        "--text-column", metavar="NAME", help="The column of texts; several are joined in order. Guessed if left out."
    ),
]
Encoding = Annotated[str | None, typer.Option(help="The table's; found when left out.")]
Delimiter = Annotated[str | None, typer.Option(help="The table's; found when left out.")]
NoHeader = Annotated[bool, typer.Option("--no-header", help="The first row is a row, not the columns' names.")]
Sheet = Annotated[str | None, typer.Option(metavar="NAME", help="The sheet of a workbook; the first if left out.")]


def add_table_commands(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    app.command()(predict)
    app.command()(bulk)


def predict(
    reference: Reference,
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Reviews to read.")] = None,
    source: Annotated[Path | None, typer.Option("--input", help="A table of reviews instead.")] = None,
    target: Annotated[Path | None, typer.Option("--output", help="Where the scored table goes, a CSV file.")] = None,
    text_columns: TextColumns = [],  # noqa: B006 (typer copies it)
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    sheet: Sheet = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the table at its first bad row.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read reviews given as TEXT, or score a table from --input to --output, with the threshold set for the model."""
    if bool(texts) == bool(source) or bool(source) != bool(target and target.name):
        raise ConfigError("Give either one or more TEXTs, or a table with --input and --output.")
    if texts and (text_columns or encoding or delimiter or no_header or sheet or strict):
        raise ConfigError(
            "--text-column, --encoding, --delimiter, --no-header, --sheet and --strict belong to a table (--input)."
        )
    for number, text in enumerate(texts or [], 1):
        if not text.strip():
            raise DataError(f"TEXT {number} is empty. Give a review to read.")
    predictor = load_predictor(reference)
    from core.model_settings import load_settings, settings_fault

    if fault := settings_fault(predictor.sha256):
        print(fault, file=sys.stderr)
    cutoffs = load_settings(predictor.sha256).cutoffs
    if source is None or target is None:
        _print_verdicts(predictor, cutoffs, texts or [], as_json)
        return
    from core.prediction.bulk import predict_table

    with show_progress() as progress:
        progress.on_phase(f"Scoring {source.name}", 0)
        ledger = predict_table(
            predictor, source, target,
            text_columns=text_columns, options=_options(encoding, delimiter, no_header, sheet),
            strict=strict, cutoffs=cutoffs, on_progress=progress.on_progress,
        )  # fmt: skip
    rejects_file = str(target.with_name(f"{target.stem}.rejects.csv"))
    document = {"rows": ledger.rows, **vars(ledger), "rejects_file": rejects_file, "threshold": cutoffs.threshold}
    if not as_json:
        document["text_columns"] = ", ".join(ledger.text_columns)
    print_result(document, as_json=as_json)


def bulk(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A table: CSV, TSV, Excel, JSON lines or Parquet.")],
    reference: Annotated[
        str | None,
        typer.Option("--model", metavar="RUN", help="As for predict; the default model of the app if left out."),
    ] = None,
    text_columns: TextColumns = [],  # noqa: B006 (typer copies it)
    id_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="The column that names a row; else its number does.")
    ] = None,
    encoding: Encoding = None,
    delimiter: Delimiter = None,
    no_header: NoHeader = False,
    sheet: Sheet = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the scored table: .csv (every text as it stands), .xlsx or .parquet."),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the charts of the table as one HTML file.")
    ] = None,
    added: Annotated[
        list[str], typer.Option("--add", metavar="COLUMN", help=f"Also write one of: {', '.join(EXTRAS)}; repeatable.")
    ] = [],  # noqa: B006 (typer copies it)
    as_json: AsJson = False,
) -> None:
    """Score a table as a job of the workspace, of any size. Ctrl+C keeps what is scored; the same command goes on."""
    extras = _check_targets(source, output, report, added)
    reference = _named_model(reference)
    from core.model_settings import load_settings
    from core.prediction.bulk_job import BulkRequest, create_bulk_job, execute_bulk
    from core.prediction.exchange import check_model
    from core.prediction.uploads import link_file

    sha256 = check_model(find_model(reference))
    upload, options = link_file(source), _options(encoding, delimiter, no_header, sheet)
    with show_progress() as progress:
        table_format = _open_table(upload, options, progress)
        names = text_columns or [guess_text_column(upload.rows_file(options), table_format)]
        request = BulkRequest(
            model=reference, model_sha256=sha256, options=options,
            text_columns=tuple(column_index(table_format, name) for name in names),
            id_column=None if id_column is None else column_index(table_format, id_column),
            cutoffs=load_settings(sha256).cutoffs,
        )  # fmt: skip
        job = create_bulk_job(upload, request)
        with catch_stop(STOPPING) as stop_request:
            execute_bulk(job, _begin(job, progress, stop_request))
        result = job.result
        if result is None or not job.is_done:
            raise JobError(f"{job.state.message} What is scored is kept; the same command goes on from there.")
        files = _write_files(job, result, output, report, extras, progress)
    print_result(_describe(job, request, result, as_json) | files, as_json=as_json)


def load_predictor(reference: str) -> Any:
    """Load a model; its file is checked before torch is imported, so that a bad one is refused at once."""
    from core.prediction.exchange import check_model

    check_model(find_model(reference))
    from core.prediction.predictor import Predictor

    return Predictor.load(reference)


@dataclass
class ShownReporter(JobReporter):
    """Writes a job's progress into its folder, as ever, and shows it in the terminal too."""

    shown: ProgressReport = field(default_factory=lambda: ProgressReport(None))

    def on_phase(self, phase: str, total: int) -> None:
        """Begin a phase of ``total`` units; 0 when that is not known."""
        super().on_phase(phase, total)
        self.shown.on_phase(phase, total)

    def on_resume(self, done: int) -> None:
        """Count units of the present phase that another process had done."""
        super().on_resume(done)
        self.shown.on_progress(done)

    def on_progress(self, done: int) -> None:
        """Count units of the present phase."""
        super().on_progress(done)
        self.shown.on_progress(done)

    def on_notice(self, sentence: str) -> None:
        """Print a sentence that stays; a phase's name is part of the bar."""
        if sentence != self.phase:
            self.shown.on_notice(sentence)


def _begin(job: Any, progress: ProgressReport, also_stop: Any = lambda: False) -> ShownReporter:
    """Return what a job of this process reports to; earlier requests to stop it are forgotten."""
    if not job.exists or job.state.status != "running":  # then they are meant for the process that runs it
        job.withdraw_requests()
    return ShownReporter(job, also_stop, shown=progress)


def _options(encoding: str | None, delimiter: str | None, no_header: bool, sheet: str | None) -> TableOptions:
    return TableOptions(
        encoding=encoding,
        delimiter=DELIMITER_NAMES.get(delimiter or "", delimiter),
        has_header=False if no_header else None,
        sheet=sheet,
    )


def _check_targets(source: Path, output: Path | None, report: Path | None, added: list[str]) -> "list[Extra]":
    """Refuse what cannot be written before anything is scored, and return the columns to add."""
    if output is not None and output.suffix.lower() not in FORMATS:
        raise ConfigError(f"--output {output}: give it a name that ends in {', '.join(FORMATS)}.")
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--report {report}: the report is a page; give it a name that ends in .html.")
    extras = [name for name in EXTRAS if name in added]
    if len(extras) < len(set(added)):
        unknown = next(name for name in added if name not in EXTRAS)
        raise ConfigError(f"--add {unknown[:80]}: there is no such column. Choose of {', '.join(EXTRAS)}.")
    if added and output is None:
        raise ConfigError("--add names columns of the scored table: say with --output where that goes.")
    for target in (output, output and _rejects_file(output), output and _about_file(output), report):
        if target is not None and target.resolve() == source.resolve():
            raise ConfigError(f"The output {target} would overwrite the input. Choose another name for it.")
    return extras


def _named_model(reference: str | None) -> str:
    """Return a name that means the same model tomorrow."""
    if reference is None:
        from core.default_model import default_model

        return default_model()
    path = find_model(reference)
    if reference == "latest":
        return path.parent.name
    return str(path.resolve()) if path == Path(reference) else reference


def _open_table(upload: "Upload", options: TableOptions, progress: ProgressReport) -> TableFormat:
    """Say how a table is written; one that is no CSV file is converted first, once."""
    from core.prediction.uploads import create_conversion, execute_conversion

    if not upload.is_readable(options):
        conversion = create_conversion(upload, options)
        execute_conversion(conversion, _begin(conversion, progress))
    return upload.read_format(options)


def _write_files(
    job: "BulkJob",
    result: "BulkResult",
    output: Path | None,
    report: Path | None,
    extras: "list[Extra]",
    progress: ProgressReport,
) -> dict[str, str]:
    """Write what was asked for, and say where it is."""
    from core.files import write_json
    from core.prediction.exporting import create_export
    from core.runs import copy_file

    files: dict[str, str] = {}
    if output is not None:
        export = _make(create_export(job, "all", FORMATS[output.suffix.lower()], extras), progress)
        copy_file(export.table_file, output)
        about = export.about
        if about is not None:
            write_json(_about_file(output), about.model_copy(update={"name": output.name}).model_dump(mode="json"))
        files |= {"output": str(output), "about_output": str(_about_file(output))}
        if result.rejected:
            copy_file(_make(create_export(job, "rejects", "csv"), progress).table_file, _rejects_file(output))
            files["rejects_file"] = str(_rejects_file(output))
    if report is not None:
        copy_file(_make(create_export(job, "report", "html"), progress).table_file, report)
        files["report"] = str(report)
    return files


def _make(export: "ExportJob", progress: ProgressReport) -> "ExportJob":
    """Make a file to take away, unless it is made."""
    from core.prediction.exporting import execute_export

    if not export.is_done:
        execute_export(export, _begin(export, progress))
    return export


def _about_file(output: Path) -> Path:
    return output.with_name(f"{output.name}.json")


def _rejects_file(output: Path) -> Path:
    return output.with_name(f"{output.stem}.rejects.csv")


def _describe(job: "BulkJob", request: "BulkRequest", result: "BulkResult", as_json: bool) -> dict[str, Any]:
    """Return the account of a scored table: with ``as_json`` as plain JSON values, else a readable line each."""
    counts, fit = result.counts, result.fit
    names = [result.facets.columns[place] for place in request.text_columns]
    low, high = counts.interval or (None, None)
    until = job.upload.about.kept_until
    document: dict[str, Any] = {
        "rows": result.rows, "predicted": result.predicted, "rejected": result.rejected, "repeated": result.repeated,
        "repeated_ids": result.repeated_ids, "positive": result.positive, "not_sure": result.not_sure,
        "negative": result.negative, "share_positive": {"value": counts.share, "low": low, "high": high},
        "reasons": dict(result.facets.reasons), "text_columns": names, "model": request.model,
        "model_sha256": request.model_sha256, "threshold": request.cutoffs.threshold,
        "source_sha256": result.source_sha256, "seconds": result.seconds, "job": str(job.path),
        "kept_until": until and time.strftime("%Y-%m-%d %H:%M", time.localtime(until)),
        "fit": fit and fit.model_dump(mode="json"),
    }  # fmt: skip
    if as_json:
        return document
    document["text_columns"] = ", ".join(names)
    document["reasons"] = document["reasons"] or "none was rejected"
    if counts.share is not None and low is not None and high is not None:
        document["share_positive"] = f"{percent(counts.share)} ({interval_text(low, high)}; n {counts.scored:,})"
    if fit is not None:
        expected = fit.expected
        document["expected_accuracy"] = None if expected is None else (
            f"{percent(expected.value)} ({interval_text(expected.low, expected.high)}; of {expected.n:,} rows, by "
            f"{expected.n_validation:,} validation reviews)"
        )  # fmt: skip
        document["fit"] = f"{fit.light or 'unknown'}: {fit.advice}"
    return document


def _print_verdicts(predictor: Any, cutoffs: Any, texts: list[str], as_json: bool) -> None:
    predictions = predictor.predict(texts).at(cutoffs.cut)
    verdicts = [
        {
            "sentiment": sentiment, "probability": float(probability), "confidence": float(confidence),
            "not_sure": cutoffs.side(probability) == "not sure",
        }
        for sentiment, probability, confidence in zip(
            predictions.sentiments, predictions.probabilities, predictions.confidences, strict=True
        )
    ]  # fmt: skip
    if as_json:
        print_result({"predictions": verdicts, **cutoffs.model_dump()}, as_json=True)
        return
    for text, verdict in zip(texts, verdicts, strict=True):
        not_sure = " (not sure)" if verdict["not_sure"] else ""
        said = f"{verdict['sentiment']:<8} {verdict['confidence']:6.1%} confident{not_sure}"
        print(f"{said}  {' '.join(text.split())[:80]}")
    if not cutoffs.is_usual:
        print(f"Set for this model: {cutoffs.describe()}.")
