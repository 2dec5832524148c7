"""Lives of a run, each in a process of its own, that end or fail at a chosen call to the disk.

``python -m tests.core.training.kill_points`` imports torch, computes nothing, and forks a child for each life that it is
asked for: a run from its folder to its result, as a worker runs it. The child counts the calls that write (``Disk``) and
is killed at one of them, or the call fails. ``Server`` is the test's end of the line.
"""

import csv
import hashlib
import importlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core.config import RunConfig
from core.runs import Run
from core.tensor_file import read_tensor_file
from tests.core.training.watched_disk import Disk
from tests.texts import invent_reviews

ROOT = Path(__file__).resolve().parents[3]
MODELS: dict[str, dict[str, Any]] = {
    "ngram": {"kind": "ngram", "bucket_bits": 12, "min_reviews": 1},
    "bilstm": {"kind": "bilstm", "embedding_dim": 8, "hidden_size": 6, "num_layers": 2, "dropout": 0.4},
}
PRELOADED = (
    "core.data.tables", "core.jobs", "core.training.job", "filelock", "pandas", "pyarrow.dataset", "safetensors.numpy",
)  # fmt: skip
TIMES = ("time", "reviews_per_second", "train_seconds", "total_seconds", "peak_memory_mb")


@dataclass(frozen=True)
class Life:
    """One process of a run's life.

    Attributes:
        home: The workspace, with at most one run.
        config: The settings of the run that is made where there is none.
        with_test, with_tensorboard: What that run is asked for besides.
        often: A checkpoint follows every step; else one follows every epoch.
        strike_at: Before which call to the disk, from 1, the process is killed or the call fails; None for never.
        power_cut: The kill also takes what was written and not forced onto the disk.
        code: The call fails with this error number instead.
        lasting: From there on every such call fails, as on a full disk.
        kill_after: Seconds after which the process is killed, whatever it does.
        pause_at: The step after which somebody asks for a pause.
        more_epochs: Added to the finished run before it goes on.
    """

    home: str
    config: dict[str, Any]
    with_test: bool = True
    with_tensorboard: bool = False
    often: bool = False
    strike_at: int | None = None
    power_cut: bool = False
    code: int | None = None
    lasting: bool = False
    kill_after: float | None = None
    pause_at: int | None = None
    more_epochs: int = 0


@dataclass(frozen=True)
class Report:
    """How a life ended.

    Attributes:
        killed: By the strike, or after the time that it was given.
        points: Calls to the disk that were counted; 0 of a life that was killed.
        struck: What the call was that failed; empty when none did.
        fault: Traceback of what no ReviewscopeError explains.
        message: Of the ReviewscopeError that ended it.
        notices: What the user was told.
        seconds: Of the run itself.
    """

    killed: bool = False
    points: int = 0
    struck: str = ""
    fault: str = ""
    message: str = ""
    notices: list[str] = field(default_factory=list)
    seconds: float = 0.0


def live(life: Life) -> Report:
    """Live a life in this process, which it may end."""
    from core import job_folder
    from core.errors import ReviewscopeError
    from core.training import keeper

    os.environ["REVIEWSCOPE_HOME"] = life.home
    job_folder.REPORT_SECONDS = 1e9  # progress is written at each phase's beginning, never by the clock
    keeper.CHECKPOINT_SECONDS = 0.0 if life.often else 1e9
    disk = Disk(life.home, life.strike_at, power_cut=life.power_cut, code=life.code, lasting=life.lasting)
    notices: list[str] = []
    message = fault = ""
    began = time.monotonic()
    with disk.between():
        try:
            _execute(life, notices)
        except ReviewscopeError as error:
            message = str(error)
        except Exception:  # noqa: BLE001 (the test shows it)
            fault = traceback.format_exc()
    return Report(False, disk.points, disk.struck, fault, message, notices, time.monotonic() - began)


def _execute(life: Life, notices: list[str]) -> None:
    """Make the run, or find it, and run it as a worker does."""
    from core.job_folder import JobReporter
    from core.jobs import KINDS
    from core.runs import create_run, list_runs
    from core.training.extension import extend_run

    class Reporter(JobReporter):
        def on_progress(self, done: int) -> None:
            super().on_progress(done)
            if self.phase == "Training" and self.done == life.pause_at:
                self.job.request_pause()

        def on_notice(self, sentence: str) -> None:
            notices.append(sentence)

    found = list_runs()
    if found:
        run = found[0]
    else:
        config = RunConfig.model_validate(life.config)
        options = {"with_test": life.with_test, "with_tensorboard": life.with_tensorboard}
        run = create_run(config, "fast", config.model.kind, **options)
    if life.more_epochs and not run.about.extensions:
        extend_run(run, life.more_epochs)
    run.withdraw_requests()
    KINDS["runs/*"].execute(run.path, Reporter(run, also_stop=lambda: run.is_pause_requested))


def serve() -> None:
    """Answer each line of stdin, a life, with a line on stdout, its report."""
    for name in PRELOADED:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True)  # whose first use imports a second's worth
    print("ready", flush=True)
    for line in sys.stdin:
        life = Life(**json.loads(line))
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            _live_and_report(life, writer)
        os.close(writer)
        if life.kill_after is not None and not select.select([reader], [], [], life.kill_after)[0]:
            os.kill(child, signal.SIGKILL)
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        print(answer or json.dumps(asdict(Report(killed=True))), flush=True)


def _live_and_report(life: Life, writer: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        report = live(life)
    except BaseException:  # noqa: BLE001 (whatever it is, the parent must not go on twice)
        report = Report(fault=traceback.format_exc())
    os.write(writer, json.dumps(asdict(report)).encode())
    os._exit(0)


class Server:
    """The process that forks lives, seen from a test."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.core.training.kill_points"],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._read() == "ready"

    def live(self, life: Life) -> Report:
        """Let a life be lived; one that ended by a fault of ours fails the test."""
        assert self.process.stdin is not None
        print(json.dumps(asdict(life)), file=self.process.stdin, flush=True)
        report = Report(**json.loads(self._read()))
        assert not report.fault, report.fault
        return report

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@dataclass(frozen=True)
class Ending:
    """All that must be equal at the end of a run, however often it was killed; times and the run's name are left out."""

    status: str
    result: dict[str, Any]
    baseline: dict[str, Any]
    history: list[dict[str, Any]]
    files: dict[str, str]


def read_ending(home: Path) -> Ending:
    """Return how the run of a workspace ended."""
    run = find_run(home)
    assert run is not None and run.result is not None
    evaluations = (home / "evaluations" / run.result.model_sha256).glob("*/[!.]*")
    baseline = json.loads(run.baseline_file.read_bytes()) if run.baseline_file.exists() else {}
    return Ending(
        run.state.status,
        without_times(run.result.model_dump()),
        without_times(baseline),
        [without_times(line) for line in run.read_history()],
        {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in (run.model_file, run.verdicts_file, *evaluations)
        },
    )


def find_run(home: Path) -> Run | None:
    """Return the run of a workspace; a folder that is half made is none."""
    return next((run for path in home.glob("runs/*") if (run := Run(path)).exists), None)


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what depends on the clock and the machine."""
    return {name: value for name, value in document.items() if name not in TIMES}


def assert_nothing_is_torn(home: Path, *, after_power_cut: bool = False) -> None:
    """Assert that every file that has its final name is whole; the history's last line alone may be torn."""
    formats = {"model": "model/1", "validation": "validation/1"}
    for path in (path for path in home.rglob("*") if path.is_file() and not path.name.startswith(".")):
        if path.suffix == ".json" and not (after_power_cut and path.name == "progress.json"):
            json.loads(path.read_bytes())
        elif path.suffix == ".safetensors":
            read_tensor_file(path, "reviewscope-" + formats.get(path.stem, "checkpoint/1"))
        elif path.suffix == ".parquet":
            pq.read_table(path)
        elif path.suffix == ".jsonl":
            Run(path.parent).read_history()


def write_table(path: Path, count: int = 100, *, noisy: bool = False) -> Path:
    """Write a small labelled table; in a noisy one every fifth label is wrong, so that no weights fit all of it."""
    reviews = invent_reviews(count)
    labels = reviews.labels.copy()
    if noisy:
        labels[::5] ^= 1
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(reviews.texts.to_pylist(), labels, strict=True)])
    return path


def small_config(kind: str, table: Path, **training: object) -> dict[str, Any]:
    """Return settings of a run that takes a tenth of a second."""
    document = {
        "data": {"source": "table", "path": str(table), "text_column": "text", "label_column": "label"}
        | {"validation_fraction": 0.2},
        "preprocessing": {"min_frequency": 1},
        "model": MODELS[kind],
        "training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.05, **training},
    }
    return RunConfig.model_validate(document).model_dump(mode="json")


class Lives:
    """A run that nothing strikes, and what other lives of the same run, in a workspace of their own, come to.

    Attributes:
        home: The workspace of the other lives.
        expected: The end that they must come to.
        points: Calls to the disk of the run that nothing strikes.
        start: What the other lives begin with, a workspace; None for nothing.
        runless: How many kills came before there was a run, so that nothing was lost.
    """

    def __init__(self, server: Server, folder: Path, life: Life) -> None:
        self.server, self.home, self.life = server, folder / "struck", life
        self.whole = folder / "whole"
        self.report = server.live(replace(life, home=str(self.whole)))
        assert not self.report.message, self.report.message
        self.expected, self.points = read_ending(self.whole), self.report.points
        self.start: Path | None = None
        self.runless = 0

    def live(self, **changes: Any) -> Report:
        """Let a life be lived in the other workspace."""
        return self.server.live(replace(self.life, home=str(self.home), **changes))

    def begin(self) -> None:
        """Empty the other workspace, or bring it back to ``start``."""
        shutil.rmtree(self.home, ignore_errors=True)
        if self.start is not None:
            shutil.copytree(self.start, self.home)

    def is_equal_after(self, *strikes: dict[str, Any]) -> bool:
        """Let lives that are killed follow each other, then one that is not; tell whether it ends as expected."""
        self.begin()
        for strike in strikes:
            report = self.live(**strike)
            assert report.killed, f"{strike} did not kill: {report}"
            self.runless += find_run(self.home) is None
            assert_nothing_is_torn(self.home, after_power_cut="power_cut" in strike)
        return self.end() == self.expected

    def end(self) -> Ending:
        """Go on to the end and return it."""
        report = self.live()
        assert not report.message, report.message
        run = find_run(self.home)
        assert run is not None
        left = [path.name for path in run.path.rglob("*") if path.name.endswith(".tmp") or path.name == "reserve"]
        left = [name for name in left if not name.startswith(".about.json")]
        assert not left, f"left behind in the run's folder: {left}"
        return read_ending(self.home)


def spread(points: int, count: int, seed: int) -> list[int]:
    """Return ``count`` different places of 1 to ``points``, one in each equal stretch."""
    draw = random.Random(seed)
    edges = [round(number * points / count) for number in range(count + 1)]
    return [draw.randint(start + 1, end) for start, end in pairwise(edges)]


if __name__ == "__main__":
    serve()
