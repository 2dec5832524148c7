"""``python -m core``: everything the product does, from the command line; also what the app's workers run.

Heavy libraries are imported inside the commands that need them, so that a wrong option is refused at once.
"""

import io
import math
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from core import settings
from core.config import PRESETS, RunConfig, preset_config, with_data, with_settings
from core.errors import ConfigError, DataError, ReviewscopeError
from core.jobs import (
    SLOTS,
    enqueue,
    has_worker,
    list_waiting,
    queue_evaluation,
    run_job,
)
from core.jobs import stop as stop_job
from core.jobs import work as work_slot
from core.runs import Run, create_run, find_model, find_run, list_damaged_runs, list_runs
from core.terminal import catch_stop, print_result, show_progress

app = typer.Typer(
    help="Train a sentiment model, see where it errs, and score a spreadsheet.",
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
started = time.monotonic()

Reference = Annotated[str, typer.Argument(metavar="RUN", help="A run id, latest, starter, an imported id, or a file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]
Preset = Annotated[str, typer.Option(help=f"One of: {', '.join(PRESETS)}.")]
Data = Annotated[str, typer.Option(metavar="imdb|demo|FILE", help="The data set; FILE is a labelled table.")]
TextColumn = Annotated[str | None, typer.Option(help="The column of texts; guessed when left out.")]
LabelColumn = Annotated[str | None, typer.Option(help="The column of labels; guessed when left out.")]
InQueue = Annotated[bool, typer.Option("--queue", help="Leave it to a worker and return at once.")]
Settings = Annotated[list[str], typer.Option("--set", metavar="field=value", help="Change a setting; repeatable.")]


CHOSEN_ELSEWHERE = ("model.kind", "data.source", "data.path", "data.text_column", "data.label_column")
DELIMITER_NAMES = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|"}


def main(began: float | None = None) -> None:
    """Run the command line; a failure is one sentence on stderr and exit code 1."""
    global started
    started = time.monotonic() if began is None else began
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except ReviewscopeError as error:
        message = str(error)
    except TyperException as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
    except (KeyboardInterrupt, typer.Abort):
        message = "Stopped."
    except (OSError, UnicodeError) as error:
        message = f"Failed: {error}. Check the names, the permissions and the free space."
    print(" ".join(message.split()) or "Say what to do: --help lists the commands.", file=sys.stderr)
    sys.exit(1)


@app.command()
def train(
    preset: Preset = "fast",
    data: Data = "imdb",
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    assignments: Settings = [],  # noqa: B006 (typer copies it)
    name: Annotated[str | None, typer.Option(help="The run's name; the preset and a number when left out.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Also score the test split, once.")] = False,
    queue: InQueue = False,
    as_json: AsJson = False,
) -> None:
    """Train a preset on a data set. Ctrl+C stops and keeps the best so far."""
    for path in (assignment.partition("=")[0] for assignment in assignments):
        if path in CHOSEN_ELSEWHERE:
            raise ConfigError(
                f"{path} is not a matter of --set: choose a preset for the model and --data for the data."
            )
    config = with_settings(with_data(preset_config(preset), data, text_column, label_column), assignments)
    if queue:
        run = create_run(config, preset, name, with_test=test)
        enqueue(run)
        print_result(run_document(run), as_json=as_json)
        return
    from core.training.job import train as train_preset
    from core.training.trainer import Watcher

    with catch_stop() as stop, show_progress() as progress:
        run, _ = train_preset(
            preset,
            data,
            settings=assignments,
            text_column=text_column,
            label_column=label_column,
            name=name,
            with_test=test,
            watcher=Watcher(progress.on_phase, progress.on_notice, progress.on_progress, stop),
            started=started,
        )
    print_result(run_document(run), as_json=as_json)


@app.command()
def resume(run_id: Annotated[str, typer.Argument(metavar="RUN")], as_json: AsJson = False) -> None:
    """Go on with a run that was stopped, interrupted or failed; a finished one only reports."""
    run = find_run(run_id)
    from core.training.job import execute_run
    from core.training.trainer import Watcher

    with catch_stop() as stop, show_progress() as progress:
        execute_run(run, Watcher(progress.on_phase, progress.on_notice, progress.on_progress, stop), started)
    print_result(run_document(run), as_json=as_json)


@app.command()
def describe(preset: Preset = "fast", assignments: Settings = [], as_json: AsJson = False) -> None:  # noqa: B006
    """Tell a preset's layers and how many numbers each learns, with the largest vocabulary its settings allow."""
    config = with_settings(preset_config(preset), assignments)
    from core.models.catalog import describe_model

    layers = describe_model(config)
    print_result({"preset": preset, "parameters": sum(layers.values()), "layers": layers}, as_json=as_json)


@app.command()
def evaluate(
    reference: Reference,
    data: Annotated[str | None, typer.Option(metavar="imdb|demo|FILE", help="The run's own when left out.")] = None,
    split: Annotated[
        str | None, typer.Option(help="train, valid (a run's own data only), test; of a table also all.")
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    queue: InQueue = False,
    as_json: AsJson = False,
) -> None:
    """Score a labelled split and tell every figure with its 95 % interval."""
    config = _evaluated_config(reference, data, split, text_column, label_column)
    # A table that the model does not know is scored whole; of a run's own table, only what was held out.
    split = split or ("all" if data is not None and config.data.source == "table" else "test")
    if queue:
        job = queue_evaluation(reference, config, split)
        print_result({"job": str(job.path), "status": job.state.status}, as_json=as_json)
        return
    predictor = _load_predictor(reference)
    from core.data.labelled import fingerprint
    from core.data.sources import choose_split, load_columns
    from core.prediction.evaluating import evaluate_split

    with show_progress() as progress:
        progress.on_phase("Loading the data", 0)
        splits = load_columns(config.data)
        rows = choose_split(splits, split, config)
        progress.on_phase(f"Scoring the {split} split", len(rows))
        evaluation = evaluate_split(predictor, rows, fingerprint(splits), split, progress.on_progress)
    document = evaluation.to_document()
    if not as_json:
        document |= {name: _metric_line(metric) for name, metric in evaluation.metrics.items()}
        del document["metrics"]
    print_result(document, as_json=as_json)


@app.command()
def predict(
    reference: Reference,
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Reviews to read.")] = None,
    source: Annotated[Path | None, typer.Option("--input", help="A table of reviews instead.")] = None,
    target: Annotated[Path | None, typer.Option("--output", help="Where the scored table goes.")] = None,
    text_column: TextColumn = None,
    encoding: Annotated[str | None, typer.Option(help="The table's; found when left out.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="The table's; found when left out.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse the table at its first bad row.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read reviews given as TEXT, or score a table from --input to --output."""
    if bool(texts) == bool(source) or bool(source) != bool(target and target.name):
        raise ConfigError("Give either one or more TEXTs, or a table with --input and --output.")
    if texts and (text_column or encoding or delimiter or strict):
        raise ConfigError("--text-column, --encoding, --delimiter and --strict belong to a table (--input).")
    for number, text in enumerate(texts or [], 1):
        if not text.strip():
            raise DataError(f"TEXT {number} is empty. Give a review to read.")
    predictor = _load_predictor(reference)
    if source is None or target is None:
        _print_verdicts(predictor, texts or [], as_json)
        return
    from core.prediction.bulk import predict_table

    with show_progress() as progress:
        progress.on_phase(f"Scoring {source.name}", 0)
        ledger = predict_table(
            predictor,
            source,
            target,
            text_column=text_column,
            encoding=encoding,
            delimiter=DELIMITER_NAMES.get(delimiter or "", delimiter),
            strict=strict,
            on_progress=progress.on_progress,
        )
    rejects_file = str(target.with_name(f"{target.stem}.rejects.csv"))
    print_result({"rows": ledger.rows, **vars(ledger), "rejects_file": rejects_file}, as_json=as_json)


@app.command()
def runs(as_json: AsJson = False) -> None:
    """List all runs, best validation accuracy first."""
    documents = [run_document(run) for run in list_runs()]
    documents.sort(key=lambda document: -(document.get("valid_accuracy") or 0))
    if as_json:
        print_result({"runs": documents}, as_json=True)
        return
    for run_id in list_damaged_runs():
        print(f"{run_id:<24} damaged      its files cannot be read; restore or delete its folder")
    for document in documents:
        accuracy = document.get("valid_accuracy")
        shown = "–" if accuracy is None else f"{accuracy:.2%}"
        print(f"{document['run_id']:<24} {document['status']:<12} validation {shown:>7}  {document['message']}")
    if not documents:
        print(f"No run in {settings.home()} yet. `python -m core train --preset fast --data demo` makes one.")


@app.command()
def stop(run_id: Annotated[str, typer.Argument(metavar="RUN")]) -> None:
    """Ask a running training to stop and keep its best, or take a waiting one out of the queue."""
    run = find_run(run_id)
    stop_job(run)
    print_result({"run_id": run.run_id, "status": run.state.status}, as_json=False)


@app.command()
def jobs(as_json: AsJson = False) -> None:
    """List what runs and what waits, slot by slot."""
    slots = {
        slot: {"worker": has_worker(slot), "waiting": [str(each.job.path) for each in list_waiting(slot)]}
        for slot in SLOTS
    }
    running = [run.run_id for run in list_runs() if run.state.status == "running"]
    print_result({"running": running, **slots}, as_json=as_json)


@app.command()
def worker(
    slot: Annotated[str, typer.Option(help=f"One of: {', '.join(SLOTS)}.")],
    wait: Annotated[bool, typer.Option("--wait", help="Never end: for systemd or a container.")] = False,
) -> None:
    """Run the jobs of a slot, then wait ten minutes for more."""
    if slot not in SLOTS:
        raise ConfigError(f"There is no slot {slot!r}. Choose one of: {', '.join(SLOTS)}.")
    work_slot(slot, warm_seconds=math.inf if wait else settings.warm_seconds())


@app.command()
def work(folder: Annotated[Path, typer.Argument(metavar="FOLDER")]) -> None:
    """Run one job's folder in this process."""
    run_job(folder.resolve())


@app.command("export")
def export_command(
    reference: Reference, target: Annotated[Path, typer.Argument(metavar="FILE")], as_json: AsJson = False
) -> None:
    """Copy a model to a .safetensors file."""
    from core.prediction.exchange import export_model

    print_result({"model_sha256": export_model(reference, target), "file": str(target)}, as_json=as_json)


@app.command("import")
def import_command(source: Annotated[Path, typer.Argument(metavar="FILE")], as_json: AsJson = False) -> None:
    """Check a model file, try it, keep a copy, and print its id."""
    from core.prediction.exchange import import_model

    print_result({"id": import_model(source)}, as_json=as_json)


@app.command()
def data(
    name: Annotated[str, typer.Argument(metavar="imdb|demo|FILE")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a data set holds, and its fingerprint."""
    config = with_data(RunConfig(), name, text_column, label_column).data
    from core.data.labelled import fingerprint
    from core.data.sources import load_dataset, to_columns

    splits = {split: to_columns(dataset.data.table) for split, dataset in load_dataset(config).items()}
    counts = {split: {"n": len(rows), "positive": int(rows.labels.sum())} for split, rows in splits.items()}
    print_result({"splits": counts, "fingerprint": fingerprint(splits)}, as_json=as_json)


@app.command("sample-table")
def sample_table(target: Annotated[Path, typer.Argument(metavar="FILE")], as_json: AsJson = False) -> None:
    """Write the demo table: invented reviews with product, date and stars, to try predict --input with."""
    from core.data.demo import write_demo_table
    from core.files import write_bytes

    table = io.StringIO()
    rows = write_demo_table(table)
    write_bytes(target, table.getvalue().encode())
    print_result({"rows": rows, "file": str(target)}, as_json=as_json)


def run_document(run: Run) -> dict[str, Any]:
    """Return a run's id, status, message and figures as plain values."""
    state = run.state
    figures = run.result.model_dump() if run.result else {}
    return {"run_id": run.run_id, "status": state.status, "message": state.message, **figures}


def _evaluated_config(
    reference: str, data_name: str | None, split: str | None, text_column: str | None, label_column: str | None
) -> RunConfig:
    """Return the config whose data is evaluated: the run's own, or one that points elsewhere."""
    run = next((run for run in list_runs() if run.run_id == reference), None)
    if reference == "latest":
        run = find_run(reference)
    if data_name is None and run is None:
        raise DataError("This model is not a run of this workspace: name the data with --data imdb, demo or FILE.")
    own = run.settings.config if run else RunConfig()
    if data_name is None:
        return own
    config = with_data(own, data_name, text_column, label_column)
    if split == "valid" and (run is None or config.data != own.data):
        raise DataError("The split valid belongs to a run and its own data. Leave out --data, or choose test.")
    return config


def _load_predictor(reference: str) -> Any:
    """Load a model; its file is checked before torch is imported, so that a bad one is refused at once."""
    from core.prediction.exchange import check_model

    check_model(find_model(reference))
    from core.prediction.predictor import Predictor

    return Predictor.load(reference)


def _print_verdicts(predictor: Any, texts: list[str], as_json: bool) -> None:
    predictions = predictor.predict(texts)
    verdicts = [
        {"sentiment": sentiment, "probability": float(probability), "confidence": float(confidence)}
        for sentiment, probability, confidence in zip(
            predictions.sentiments, predictions.probabilities, predictions.confidences, strict=True
        )
    ]
    if as_json:
        print_result({"predictions": verdicts}, as_json=True)
        return
    for text, verdict in zip(texts, verdicts, strict=True):
        print(f"{verdict['sentiment']:<8} {verdict['confidence']:6.1%} confident  {' '.join(text.split())[:80]}")


def _metric_line(metric: Any) -> str:
    if metric.value is None:
        return str(metric.method)
    return f"{metric.value:.4f}  ({metric.low:.4f} to {metric.high:.4f}, {metric.method})"
