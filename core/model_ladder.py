"""``make ladder``: train every preset with several seeds, score the test split once a run, and print a row a preset.

Each training is a run of the workspace like any other, in a process of its own, so that its peak memory is its own.
A ladder that was killed goes on where it was: what is finished is not trained again.
"""

import hashlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import typer
from numpy.typing import NDArray
from typer.exceptions import TyperException

from core import settings
from core.config import PRESETS, RunConfig, preset_config, repeat_with_seeds, with_data
from core.data.sources import load_columns
from core.errors import ConfigError, ReviewscopeError, RunError
from core.files import write_json
from core.job_folder import read_document
from core.model_figures import Ladder, PresetFigures, settings_digest
from core.prediction.evaluating import EvaluationJob, evaluation_folder, load_results
from core.runs import Run, create_run, list_runs

USUAL = ("fast", "distilled", "compact", "strong", "document_vectors")
SEEDS = {"fast": 5, "distilled": 5}
SEEDS_OF_OTHERS = 3
SCORING_SECONDS = 4.0
FIRST_SCORED = 250
POLL_SECONDS = 0.5
COLUMNS = (
    "", "seeds", "parameters", "validation", "test (least to most)", "apart", "train s", "teacher s", "reviews/s", "MB",
    "peak MB",
)  # fmt: skip
WIDTHS = (18, 6, 11, 11, 24, 8, 9, 11, 10, 7, 8)


def main(
    presets: Annotated[str | None, typer.Option(help="Their names, with commas; those of the README left out.")] = None,
    seeds: Annotated[int | None, typer.Option(min=1, max=10, help="Runs of each; 5 of fast ones, else 3.")] = None,
    data: Annotated[str, typer.Option(metavar="imdb|demo", help="What all of them train on.")] = "imdb",
) -> None:
    """Train what is missing, then print and write the figures of all presets asked for."""
    names = choose_presets(presets)
    if data not in ("imdb", "demo"):
        raise ConfigError(f"--data {data[:40]!r}: the ladder stands on imdb or demo.")
    failures = []
    for name in names:
        try:
            runs = train_preset(name, seeds or SEEDS.get(name, SEEDS_OF_OTHERS), data)
            note_row(describe_preset(name, runs, data), data)
        except ReviewscopeError as error:
            failures.append(f"{name}: {error}")
    print_ladder(read_ladder(data), names)
    if failures:
        raise RunError(" ".join(failures))


def choose_presets(asked: str | None) -> list[str]:
    """Return the presets that were asked for, or the usual ones.

    Raises:
        ConfigError: One does not exist.
    """
    if asked is None:
        return [name for name in USUAL if name in PRESETS]
    names = [name.strip() for name in asked.split(",") if name.strip()]
    for name in names:
        preset_config(name)
    return names


def train_preset(preset: str, count: int, data: str) -> list[Run]:
    """Return the finished runs of a preset, one a seed; those that are missing or broke off are trained first.

    Raises:
        RunError: One fails; what is finished stays.
    """
    base = with_data(preset_config(preset), data)
    group = f"ladder-{preset}-{hashlib.sha256(base.model_dump_json().encode()).hexdigest()[:8]}"
    runs = []
    # Never one config alone: all must be validated on the same reviews, also when more seeds follow another day.
    for number, config in enumerate(repeat_with_seeds(base, max(count, 2))[:count], 1):
        run = _find_run(config, group)
        if run is None:
            name = f"ladder-{preset} {number}"
            run = create_run(config, preset, name, with_test=True, group=group)
        train_run(run)
        runs.append(run)
    return runs


def _find_run(config: RunConfig, group: str) -> Run | None:
    found = [run for run in list_runs() if run.about.group == group and run.settings.config == config]
    return found[-1] if found else None


def train_run(run: Run) -> None:
    """Train a run, or go on with it, in a process of its own; a finished one is left alone.

    One that the process of a ladder that was killed still trains is waited for.

    Raises:
        RunError: It did not finish.
    """
    is_new = True
    while (status := run.state.status) != "finished":
        if status == "running":
            time.sleep(POLL_SECONDS)
            continue
        if is_new:
            print(f"{time.strftime('%H:%M:%S')}  {run.about.name}", file=sys.stderr, flush=True)
            is_new = False
        subprocess.run([sys.executable, "-m", "core", "resume", run.run_id], stdout=subprocess.DEVNULL, check=False)
        # It is running where a killed ladder's process, which was only about to begin, came first.
        if (state := run.state).status not in ("finished", "running"):
            raise RunError(f"Run {run.run_id} is {state.status}. {state.message} Ask again to go on with it.")


def describe_preset(preset: str, runs: Sequence[Run], data: str) -> PresetFigures:
    """Return what the finished runs of a preset came to; the scoring of the first is timed unless it was before.

    Raises:
        ReviewscopeError: A run or its data cannot be read.
    """
    results = [run.result for run in runs]
    origins = [run.origin for run in runs]
    known = [result for result in results if result is not None]
    first, origin = known[0], origins[0]
    if len(known) < len(runs) or origin is None or first.valid_accuracy is None:
        raise RunError(f"The runs of {preset} have no validation figures, so that there is no row for it.")
    splits = load_columns(runs[0].settings.config.data)
    is_apart = ~np.asarray(pc.is_in(splits["test"].texts, value_set=pa.array(splits["train"].texts)))
    apart = [accuracy_on(run, is_apart) for run in runs]
    digest = settings_digest(runs[0].settings.config)
    before = read_ladder(data).find(preset, digest)
    speed = before.reviews_per_second if before is not None and before.model_sha256 == first.model_sha256 else None
    tests = [result.test_accuracy or 0.0 for result in known]
    return PresetFigures(
        preset=preset,
        settings=digest,
        seeds=len(runs),
        parameters=first.parameters,
        valid_accuracy=fmean(result.valid_accuracy or 0.0 for result in known),
        n_valid=origin.n_valid,
        test_accuracy=fmean(tests),
        test_low=min(tests),
        test_high=max(tests),
        n_test=origin.n_test,
        apart_accuracy=fmean(apart),
        n_apart=int(is_apart.sum()),
        seconds=max(result.total_seconds for result in known),
        teacher_seconds=max((result.teacher_seconds or 0.0 for result in known), default=0.0) or None,
        reviews_per_second=speed or time_scoring(runs[0], splits["test"].texts),
        model_bytes=runs[0].model_file.stat().st_size,
        peak_memory_mb=max(result.peak_memory_mb for result in known),
        model_sha256=first.model_sha256,
    )


def accuracy_on(run: Run, rows: NDArray[np.bool_]) -> float:
    """Return a run's accuracy on some rows of the test split, bool (N), from the one scoring at its end.

    Raises:
        ReviewscopeError: That scoring is not there any more.
    """
    result, origin = run.result, run.origin
    assert result is not None and origin is not None
    job = EvaluationJob(evaluation_folder(result.model_sha256, origin.data_fingerprint, "test"))
    scored = load_results(job.results_file)
    return float(((scored.logits > 0) == (scored.labels == 1))[rows].mean())


def time_scoring(run: Run, texts: pa.Array) -> float:
    """Return how many reviews a second a run's model scores here, encoding included: of the last of growing chunks."""
    from core.prediction.predictor import Predictor

    predictor = Predictor.load(run.model_file)
    predictor.predict(texts.slice(0, FIRST_SCORED))
    begin, count, spent = 0, FIRST_SCORED, 0.0
    while True:
        chunk = texts.slice(begin, count)
        began = time.perf_counter()
        predictor.predict(chunk)
        seconds = time.perf_counter() - began
        begin, count, spent = begin + len(chunk), 2 * count, spent + seconds
        if spent > SCORING_SECONDS or begin >= len(texts):
            return len(chunk) / seconds


def note_row(row: PresetFigures, data: str) -> None:
    """Write a preset's row into the workspace's ``ladder.json``, in place of an earlier one of that preset."""
    ladder = read_ladder(data)
    kept = [each for each in ladder.rows if each.preset != row.preset]
    order = list(PRESETS)
    rows = sorted([*kept, row], key=lambda each: order.index(each.preset) if each.preset in order else len(order))
    write_json(ladder_file(), ladder.model_copy(update={"rows": tuple(rows)}).model_dump(mode="json"))


def ladder_file() -> Path:
    """Return where the workspace keeps its ladder."""
    return settings.home() / "ladder.json"


def read_ladder(data: str) -> Ladder:
    """Return the workspace's ladder on some data, with what is measured today noted; an empty one before the first."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    today = datetime.now(UTC).date().isoformat()
    empty = Ladder(machine=machine, date=today, data="demo" if data == "demo" else "imdb")
    try:
        found = read_document(ladder_file(), Ladder)
    except ReviewscopeError:
        return empty
    return found.model_copy(update={"date": today, "machine": machine}) if found.data == data else empty


def print_ladder(ladder: Ladder, presets: Sequence[str]) -> None:
    """Print the table, a row a preset."""
    print(_line(COLUMNS))
    for row in ladder.rows:
        if row.preset in presets:
            print(_line(_cells(row)))
    print(
        f"\nAccuracies are means over the seeds; apart: without the test texts that also stand in train. Train s: the "
        f"longest run, all of it. {ladder.data}, {ladder.machine}, {ladder.date}. Written to {ladder_file()}."
    )


def _cells(row: PresetFigures) -> list[str]:
    test = f"{row.test_accuracy:.4f} ({row.test_low:.4f}-{row.test_high:.4f})"
    return [
        row.preset, f"{row.seeds}", f"{row.parameters:,}", f"{row.valid_accuracy:.4f}", test,
        _written(row.apart_accuracy, ".4f"), f"{row.seconds:,.0f}", _written(row.teacher_seconds, ",.0f"),
        _written(row.reviews_per_second, ",.0f"), _written((row.model_bytes or 0) / 1e6, ".1f"),
        _written(row.peak_memory_mb, ",.0f"),
    ]  # fmt: skip


def _written(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _line(cells: Sequence[str]) -> str:
    first, *others = zip(cells, WIDTHS, strict=True)
    return f"{first[0]:<{first[1]}}" + "".join(f"{cell:>{width}}" for cell, width in others)


def run_command(command: Sequence[str]) -> int:
    """Run the ladder from a command line; return its exit code."""
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as core/__main__.py does, before torch is loaded
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(main)
    try:
        app(list(command), standalone_mode=False)
    except (ReviewscopeError, TyperException) as error:
        print(
            " ".join(str(error.format_message() if isinstance(error, TyperException) else error).split()),
            file=sys.stderr,
        )
        return 1
    except (KeyboardInterrupt, typer.Abort):
        print("Stopped. Ask again to go on.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
