"""``python -m core``: everything the product does, from the command line; also what the app's workers run.

Heavy libraries are imported inside the commands that need them, so that a wrong option is refused at once.
"""

import io
import sys
import time
import traceback
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from core import settings
from core.cli_runs import add_commands, execute_here, print_run, run_document
from core.cli_tables import Reference, add_table_commands, load_predictor
from core.config import PRESETS, Meaning, RunConfig, preset_config, repeat_with_seeds, with_data, with_settings
from core.errors import ConfigError, DataError, ReviewscopeError
from core.jobs import queue_evaluation, submit_run, submit_runs
from core.runs import create_run, find_run, list_runs
from core.terminal import AsJson, print_result, show_progress
from core.wording import percent

app = typer.Typer(
    help="Train a sentiment model, see where it errs, and score a spreadsheet.",
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
)  # fmt: skip
started = time.monotonic()
add_commands(app)
add_table_commands(app)

Preset = Annotated[str, typer.Option(help=f"One of: {', '.join(PRESETS)}.")]
Data = Annotated[str, typer.Option(metavar="imdb|demo|FILE", help="The data set; FILE is a labelled table.")]
TextColumn = Annotated[str | None, typer.Option(help="The column of texts; guessed when left out.")]
LabelColumn = Annotated[str | None, typer.Option(help="The column of labels; guessed when left out.")]
Labels = Annotated[
    str | None,
    typer.Option(metavar="stars|VALUE=MEANING,...", help="Read each label as negative, positive or left out."),
]
WithTest = Annotated[bool, typer.Option("--test", help="Also score the test split, once.")]
InQueue = Annotated[bool, typer.Option("--queue", help="Leave it to a worker and return at once.")]
Settings = Annotated[list[str], typer.Option("--set", metavar="field=value", help="Change a setting; repeatable.")]


CHOSEN_ELSEWHERE = (
    "data.source", "data.path", "data.text_column", "data.label_column", "data.label_map",
)  # fmt: skip


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
    except Exception as error:  # noqa: BLE001 (a fault of ours is one sentence too; its traceback is kept)
        message = f"Unexpected: {error!r}. This is a fault of Reviewscope; {_keep_traceback()} says where."
    print(" ".join(message.split()) or "Say what to do: --help lists the commands.", file=sys.stderr)
    sys.exit(1)


def _keep_traceback() -> Path:
    log = settings.home() / "errors.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(traceback.format_exc() + "\n")
    return log


@app.command()
def train(
    preset: Preset = "fast",
    data: Data = "imdb",
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: Labels = None,
    assignments: Settings = [],  # noqa: B006 (typer copies it)
    name: Annotated[str | None, typer.Option(help="The run's name; the preset and a number when left out.")] = None,
    test: WithTest = False,
    seeds: Annotated[
        int, typer.Option(min=1, max=10, help="Train it this many times, each with a seed of its own.")
    ] = 1,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="As many steps as fit into this time, all seeds together.")
    ] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Also write TensorBoard's event files.")] = False,
    queue: InQueue = False,
    as_json: AsJson = False,
) -> None:
    """Train a preset on a data set. Ctrl+C stops and keeps the best so far."""
    config = _training_config(preset, data, text_column, label_column, labels, assignments)
    if minutes is not None:
        config = _fit_minutes(config, minutes / seeds, with_test=test)
    configs = repeat_with_seeds(config, seeds)
    if queue:
        options = {"with_test": test, "with_tensorboard": tensorboard}
        queued = (
            [submit_run(config, preset, name, **options)] if seeds == 1
            else submit_runs(configs, preset, name or preset, **options)
        )  # fmt: skip
        documents = [run_document(run) for run in queued]
    else:
        group = f"{name or preset}-{time.time_ns():x}" if seeds > 1 else None
        documents = [_train_here(each, preset, name, test, tensorboard, group) for each in configs]
    print_run(documents[0] if seeds == 1 else _summary(documents), as_json=as_json)


def _train_here(
    config: RunConfig, preset: str, name: str | None, test: bool, tensorboard: bool, group: str | None
) -> dict[str, Any]:
    """Train in this process and return the run's figures."""
    global started
    from core.training.job import check_data

    check_data(config)
    run = create_run(config, preset, name, with_test=test, with_tensorboard=tensorboard, group=group)
    execute_here(run, started)
    started = time.monotonic()  # of a next one, which finds the libraries loaded
    return run_document(run)


def _summary(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return several runs' figures with the mean and the range of their validation accuracy."""
    from core.evaluation.comparison import spread

    values = [document["valid_accuracy"] for document in documents if document.get("valid_accuracy") is not None]
    found = vars(spread(values)) if values else {}
    return {"runs": [document["run_id"] for document in documents], "valid_accuracy": found}


def _training_config(
    preset: str,
    data: str,
    text_column: str | None,
    label_column: str | None,
    labels: str | None,
    assignments: list[str],
) -> RunConfig:
    for path in (assignment.partition("=")[0] for assignment in assignments):
        if path in CHOSEN_ELSEWHERE:
            raise ConfigError(f"{path} is not a matter of --set: choose the data with --data.")
    label_map = _read_label_map(labels, data, label_column)
    return with_settings(with_data(preset_config(preset), data, text_column, label_column, label_map), assignments)


def _fit_minutes(config: RunConfig, minutes: float, *, with_test: bool) -> RunConfig:
    """Rehearse, and return the settings with as many steps as fit."""
    from core.training.forecast import create_forecast_job, fit_budget
    from core.training.forecast import forecast as foresee
    from core.training.rehearsal import rehearse

    job = create_forecast_job(config)
    costs = job.costs if job.is_fresh and job.costs else rehearse(config)
    job.save_costs(costs)
    expected = foresee(config, costs, with_test=with_test, earlier=list_runs())
    return fit_budget(config, costs, expected, 60 * minutes)


@app.command()
def ensemble(
    members: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Two to eight finished runs of the same data.")
    ],
    name: Annotated[str | None, typer.Option(help="The new run's name; ensemble and a number when left out.")] = None,
    weighting: Annotated[str, typer.Option(help="equal, or validation: by the least log loss there.")] = "equal",
    test: WithTest = False,
    queue: InQueue = False,
    as_json: AsJson = False,
) -> None:
    """Average finished runs into one model: a new run, whose file needs none of theirs."""
    from core.training.members import ensemble_of

    config = ensemble_of(members, weighting)
    if queue:
        document = run_document(submit_run(config, "ensemble", name, with_test=test))
    else:
        document = _train_here(config, "ensemble", name, test, False, None)
    print_run(document, as_json=as_json)


@app.command()
def forecast(
    preset: Preset = "fast",
    data: Data = "imdb",
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: Labels = None,
    assignments: Settings = [],  # noqa: B006 (typer copies it)
    test: WithTest = False,
    as_json: AsJson = False,
) -> None:
    """Tell how long a training will take here, from some seconds of rehearsal and from what earlier runs took."""
    config = _training_config(preset, data, text_column, label_column, labels, assignments)
    from core.training.forecast import create_forecast_job
    from core.training.forecast import forecast as foresee
    from core.training.job import check_data
    from core.training.rehearsal import rehearse

    start = time.monotonic() - started
    check_data(config)
    costs = rehearse(config)
    create_forecast_job(config).save_costs(costs)
    expected = foresee(config, costs, with_test=test, earlier=list_runs(), start=start)
    print_result({"preset": preset, **expected.model_dump(mode="json")}, as_json=as_json)


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
    labels: Labels = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Also write the whole evaluation as one HTML file.")
    ] = None,
    queue: InQueue = False,
    as_json: AsJson = False,
) -> None:
    """Score a labelled split and tell every figure with its 95 % interval, at the threshold set for the model."""
    config = _evaluated_config(reference, data, split, text_column, label_column, labels)
    # A table that the model does not know is scored whole; of a run's own table, only what was held out.
    split = split or ("all" if data is not None and config.data.source == "table" else "test")
    if queue:
        if report is not None:
            raise ConfigError("--report needs the scores at once: leave out --queue, or ask again when it is scored.")
        queued = queue_evaluation(reference, config, split)
        print_result({"job": str(queued.path), "status": queued.state.status}, as_json=as_json)
        return
    predictor = load_predictor(reference)
    from core.data.labelled import fingerprint
    from core.data.sources import choose_split, load_columns
    from core.model_settings import load_settings
    from core.prediction.evaluating import EvaluationJob, describe_trust, evaluate_split, load_results

    with show_progress() as progress:
        progress.on_phase("Loading the data", 0)
        splits = load_columns(config.data)
        rows = choose_split(splits, split, config)
        progress.on_phase(f"Scoring the {split} split", len(rows))
        scored = evaluate_split(predictor, rows, fingerprint(splits), split, progress.on_progress)
        if report is not None:
            progress.on_phase("Writing the report", 0)
            _write_report(report, reference, predictor, scored, config, rows.texts)
    job, chosen = EvaluationJob(scored.folder), load_settings(predictor.sha256)
    evaluation = job.read_evaluation(chosen.cut)
    results = replace(load_results(job.results_file), cut=chosen.cut)
    trust = describe_trust(results, predictor.calibration)
    document = evaluation.to_document() | {"threshold": chosen.threshold} | (trust if as_json else _trust_lines(trust))
    if (intensity := _describe_intensity(results, config, split)) is not None:
        document["intensity"] = intensity if as_json else _intensity_line(intensity)
    if report is not None:
        document["report"] = str(report)
    if not as_json:
        document |= {name: _metric_line(metric) for name, metric in evaluation.metrics.items()}
        del document["metrics"]
    print_result(document, as_json=as_json)


@app.command()
def compare(
    reference: Reference,
    other: Reference,
    data: Annotated[
        str | None, typer.Option(metavar="imdb|demo|FILE", help="The first run's own when left out.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test; of a table also all.")] = "test",
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    as_json: AsJson = False,
) -> None:
    """Compare two models on the same reviews: the difference, its interval, and McNemar's test."""
    config = _evaluated_config(reference, data, split, text_column, label_column)
    from core.evaluation.comparison import describe_comparison
    from core.prediction.comparing import compare_models

    with show_progress() as progress:
        progress.on_phase(f"Scoring the {split} split", 0)
        comparison = compare_models(reference, other, config, split, progress.on_progress)
    title, sentence = describe_comparison(comparison, reference, other)
    document = asdict(comparison)
    if not as_json:
        document["differences"] = {
            name: _metric_line(difference) for name, difference in comparison.differences.items()
        }
    print_result({"title": title, "sentence": sentence, **document}, as_json=as_json)


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
    preset: Preset = "fast",
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    labels: Labels = None,
    as_json: AsJson = False,
) -> None:
    """Tell what a data set holds as a preset reads it: balance, lengths, duplicates, words; and its fingerprint."""
    label_map = _read_label_map(labels, name, label_column)
    config = with_data(preset_config(preset), name, text_column, label_column, label_map)
    from core.data.labelled import fingerprint
    from core.data.sources import load_columns
    from core.evaluation.profile import profile_data
    from core.profiling import profile_document, profile_lines

    with show_progress() as progress:
        progress.on_phase("Loading the data", 0)
        splits = load_columns(config.data)
        profile = profile_data(splits, config, lambda phase, _: progress.on_phase(phase, 0))
    counts = {split: {"n": len(rows), "positive": int(rows.labels.sum())} for split, rows in splits.items()}
    document = {"splits": counts, "fingerprint": fingerprint(splits)}
    document |= profile_document(profile) if as_json else profile_lines(profile, splits, config)
    print_result(document, as_json=as_json)


@app.command("sample-table")
def sample_table(target: Annotated[Path, typer.Argument(metavar="FILE")], as_json: AsJson = False) -> None:
    """Write the demo table: invented reviews with product, date and stars, to try predict --input with."""
    from core.data.demo import write_demo_table
    from core.files import write_bytes

    table = io.StringIO()
    rows = write_demo_table(table)
    write_bytes(target, table.getvalue().encode())
    print_result({"rows": rows, "file": str(target)}, as_json=as_json)


def _read_label_map(written: str | None, data_name: str, label_column: str | None) -> dict[str, Meaning] | None:
    """Return what --labels asks for; it belongs to a table, which with_data sees to."""
    if written is None or data_name in ("imdb", "demo"):
        return None if written is None else {}
    from core.data.labels import parse_label_map

    return parse_label_map(written, Path(data_name), label_column)


def _evaluated_config(
    reference: str,
    data_name: str | None,
    split: str | None,
    text_column: str | None,
    label_column: str | None,
    labels: str | None = None,
) -> RunConfig:
    """Return the config whose data is evaluated: the run's own, or one that points elsewhere."""
    run = next((run for run in list_runs() if run.run_id == reference), None)
    if reference == "latest":
        run = find_run(reference)
    if data_name is None and run is None:
        raise DataError("This model is not a run of this workspace: name the data with --data imdb, demo or FILE.")
    own = run.settings.config if run else RunConfig()
    if data_name is None:
        if labels is not None:
            raise ConfigError("--labels belongs to a table that --data names; the run's own data has its labels.")
        return own
    config = with_data(own, data_name, text_column, label_column, _read_label_map(labels, data_name, label_column))
    if split == "valid" and (run is None or config.data != own.data):
        raise DataError("The split valid belongs to a run and its own data. Leave out --data, or choose test.")
    return config


def _write_report(path: Path, reference: str, predictor: Any, scored: Any, config: RunConfig, texts: Any) -> None:
    """Write an evaluation as one HTML file, with the themes of its errors."""
    from core.files import write_bytes
    from core.prediction.analysis import AnalysisRequest
    from core.report import build_report, gather_subject

    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--report {path}: the report is a page; give it a name that ends in .html.")
    request = AnalysisRequest(
        kind="themes", model=reference, model_sha256=scored.model_sha256, data_fingerprint=scored.data_fingerprint,
        split=scored.split, config=config,
    )  # fmt: skip
    names = {"imdb": "IMDB", "demo": "the demo corpus"}
    data = f"the {scored.split} split of {names.get(config.data.source) or Path(config.data.path or 'table').name}"
    subject = gather_subject(reference, data, request, predictor, texts, may_look=True)
    write_bytes(path, build_report(subject).encode("utf-8", "replace"))


def _trust_lines(trust: dict[str, Any]) -> dict[str, str]:
    """Return what ``describe_trust`` gave, a readable line each."""
    points = [point for point in trust["risk_coverage"] if point["n"]]
    right = ", ".join(f"{percent(point['accuracy'])} of the surest {percent(point['coverage'], 0)}" for point in points)
    if (reason := trust["ece_after_reason"]) is not None:
        return {"temperature": reason, "risk_coverage": f"right are {right}"}
    return {
        "temperature": f"{trust['temperature']:.3f}, fitted on validation",
        "ece_before": f"{trust['ece_before']:.4f}, calibration error of the probabilities as they are",
        "ece_after": f"{trust['ece_after']:.4f}, of logits divided by the temperature",
        "risk_coverage": f"right are {right}",
    }


def _describe_intensity(results: Any, config: RunConfig, split: str) -> dict[str, Any] | None:
    """Return how the scores go with the stars, as plain JSON values; None where the data has no stars."""
    from core.data.ratings import load_ratings
    from core.evaluation.intensity import spearman

    try:
        stars = load_ratings(config, split)
    except ReviewscopeError as error:  # the figures do not hang on the stars
        return {"spearman": None, "low": None, "high": None, "n": 0, "method": f"undefined: {error}"}
    if stars is None:
        return None
    found = asdict(spearman(results.logits[stars > 0], stars[stars > 0]))
    return {"spearman": found.pop("value"), **found}


def _intensity_line(intensity: dict[str, Any]) -> str:
    if intensity["spearman"] is None:
        return str(intensity["method"])
    low, high = intensity["low"], intensity["high"]
    interval = f"{low:.4f} to {high:.4f}; {intensity['method']}"
    return (
        f"{intensity['spearman']:.4f} ({interval}), Spearman's correlation with the stars of {intensity['n']:,} reviews"
    )


def _metric_line(metric: Any) -> str:
    if metric.value is None:
        return str(metric.method)
    return f"{metric.value:.4f}  ({metric.low:.4f} to {metric.high:.4f}, {metric.method})"
