"""Work that outlives page and server: kinds and slots, a queue of files, and detached workers.

A job is a folder (``core/job_folder.py``); its kind is told by where the folder lies. A slot runs one job at a time.
Whoever queues a job tries to start the slot's worker: a process of its own that holds the slot's lock for life, takes
one job after the other, and waits warm for a while before it ends. A second worker cannot take the lock and ends at
once. Nothing here is a clock, a process id or a database: locks are released by the kernel on any death.
"""

import os
import shutil
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from core import settings
from core.config import RunConfig
from core.errors import JobError, ReviewscopeError
from core.files import hold_lock, is_locked, read_json, write_json
from core.job_folder import JobFolder, JobReporter
from core.runs import Run, create_run, find_model

MOST_WAITING = 10
POLL_SECONDS = 0.05
GATE_SECONDS = 30.0

Execute = Callable[[Path, JobReporter], None]


@dataclass(frozen=True)
class Kind:
    """A kind of job: in which slot it runs, and what runs it."""

    slot: str
    execute: Execute


def _train(folder: Path, reporter: JobReporter) -> None:
    from core.training.job import execute_run
    from core.training.watcher import Watcher

    watcher = Watcher(
        reporter.on_phase,
        reporter.on_notice,
        reporter.on_progress,
        reporter.should_stop,
        reporter.on_notice,
        reporter.on_resume,
    )
    execute_run(Run(folder), watcher, time.monotonic())


def _evaluate(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.evaluating import EvaluationJob, execute_evaluation

    execute_evaluation(EvaluationJob(folder), reporter)


def _bulk(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.bulk_job import BulkJob, execute_bulk

    execute_bulk(BulkJob(folder), reporter)


def _convert(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.uploads import ConversionJob, execute_conversion

    execute_conversion(ConversionJob(folder), reporter)


def _rehearse(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.rehearsing import RehearsalJob, execute_rehearsal

    execute_rehearsal(RehearsalJob(folder), reporter)


def _look(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.bulk_looks import LookJob, execute_look

    execute_look(LookJob(folder), reporter)


def _export(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.exporting import ExportJob, execute_export

    execute_export(ExportJob(folder), reporter)


def _forecast(folder: Path, reporter: JobReporter) -> None:
    from core.training.forecast import ForecastJob, execute_forecast

    execute_forecast(ForecastJob(folder), reporter)


def _profile(folder: Path, reporter: JobReporter) -> None:
    from core.profiling import ProfileJob, execute_profile

    execute_profile(ProfileJob(folder), reporter)


def _analyse(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.analysis import AnalysisJob, execute_analysis

    execute_analysis(AnalysisJob(folder), reporter)


def _explain(folder: Path, reporter: JobReporter) -> None:
    from core.prediction.explaining import ExplanationJob, execute_explanation

    execute_explanation(ExplanationJob(folder), reporter)


# By where in the workspace a job's folder lies. The slot quick is for what takes 30 s at most.
KINDS: Mapping[str, Kind] = {
    "runs/*": Kind("train", _train),
    "evaluations/*/*": Kind("score", _evaluate),
    "uploads/*/job-*": Kind("score", _bulk),
    "uploads/*/rows-*": Kind("quick", _convert),
    "uploads/*/rehearsal-*": Kind("quick", _rehearse),
    "uploads/*/job-*/look-*": Kind("quick", _look),
    "uploads/*/job-*/export-*": Kind("quick", _export),
    "cache/forecasts/*": Kind("quick", _forecast),
    "cache/profiles/*": Kind("quick", _profile),
    "cache/analyses/themes/*": Kind("quick", _analyse),
    "cache/analyses/robustness/*": Kind("quick", _analyse),
    "cache/analyses/neighbours/*": Kind("score", _analyse),
    "cache/explanations/*/*": Kind("quick", _explain),
}
SLOTS = ("train", "score", "quick")


@dataclass(frozen=True)
class Waiting:
    """An entry of a slot's queue."""

    entry: Path
    job: JobFolder


def kind_of(folder: Path) -> Kind:
    """Return a job folder's kind.

    Raises:
        JobError: It lies nowhere that jobs lie.
    """
    if settings.home() in folder.resolve().parents:
        place = folder.resolve().relative_to(settings.home())
        for pattern, kind in KINDS.items():
            if len(place.parts) == len(Path(pattern).parts) and place.match(pattern):
                return kind
    raise JobError(f"{folder} is not a job of the workspace {settings.home()}.")


def enqueue(job: JobFolder) -> None:
    """Put a job at the end of its slot's queue and see to it that a worker is there.

    Raises:
        JobError: Ten jobs wait already.
    """
    slot = kind_of(job.path).slot
    with _gate(slot):
        if _is_taken(job, slot) and not _has_turn(job, slot):
            _taken(slot).unlink(missing_ok=True)  # its worker has just ended it, or died with it
        is_under_way = _is_taken(job, slot) or is_locked(job.path / "lock")
        if not is_under_way and not any(each.job.path == job.path for each in list_waiting(slot)):
            check_room(slot)
            job.withdraw_requests()
            job.save_state("queued")
            write_json(_queue_folder(slot) / f"{time.time_ns():020}.json", {"folder": str(job.path)})
    start_worker(slot)


def submit_run(config: RunConfig, preset: str, name: str | None = None, **options: Any) -> Run:
    """Make a run and queue it; a refused one leaves no folder behind. ``options`` are those of ``create_run``.

    Raises:
        JobError: Ten jobs wait already.
    """
    check_room("train")
    run = create_run(config, preset, name, **options)
    try:
        enqueue(run)
    except ReviewscopeError:
        shutil.rmtree(run.path)
        raise
    return run


def submit_runs(configs: Sequence[RunConfig], preset: str, name: str, **options: Any) -> list[Run]:
    """Make several runs of one group and queue them all, or none.

    Raises:
        JobError: They do not all fit into the queue.
    """
    room = room_left("train")
    if len(configs) > room:
        raise JobError(f"{len(configs)} runs were asked for and the queue has room for {room}. Ask for fewer.")
    group = f"{name}-{time.time_ns():x}"
    queued: list[Run] = []
    try:
        for number, config in enumerate(configs, 1):
            queued.append(submit_run(config, preset, f"{name} {number}", group=group, **options))
    except ReviewscopeError:
        for run in queued:  # somebody else took the last places meanwhile
            stop(run)
            if run.state.status == "stopped":
                shutil.rmtree(run.path)
        raise
    return queued


def room_left(slot: str) -> int:
    """Return how many more jobs a slot takes: ten wait, and one more that runs or is about to."""
    most = MOST_WAITING if _taken(slot).exists() else MOST_WAITING + 1
    return max(most - len(list_waiting(slot)), 0)


def check_room(slot: str) -> None:
    """Refuse when a slot's queue is full.

    Raises:
        JobError: Ten jobs wait already.
    """
    if not room_left(slot):
        raise JobError(f"{MOST_WAITING} jobs wait already. Let one finish, or remove one, then try again.")


def list_waiting(slot: str) -> list[Waiting]:
    """Return what waits in a slot, in order."""
    found = []
    for entry in sorted(_queue_folder(slot).glob("*.json")):
        try:
            found.append(Waiting(entry, JobFolder(Path(read_json(entry)["folder"]))))
        except ReviewscopeError:
            continue  # taken by the worker between the two looks
    return found


def stop(job: JobFolder) -> None:
    """Ask a running job to stop, or take a waiting one out of its queue.

    One that says it waits and stands in no queue, because somebody died before putting it there, is stopped too.
    """
    slot = kind_of(job.path).slot
    job.request_stop()
    with _gate(slot):
        waiting = [each for each in list_waiting(slot) if each.job.path == job.path]
        for each in waiting:
            each.entry.unlink(missing_ok=True)
        has_begun = _is_taken(job, slot) or is_locked(job.path / "lock")
        if waiting or (not has_begun and job.exists and job.state.status == "queued"):
            job.save_state("stopped", "It was taken out of the queue before its turn came.")


def move(job: JobFolder, places: int) -> None:
    """Move a waiting job in its queue: -1 is one place nearer to its turn. What has begun stays where it is."""
    slot = kind_of(job.path).slot
    with _gate(slot):
        waiting = list_waiting(slot)
        here = next((place for place, each in enumerate(waiting) if each.job.path == job.path), None)
        if here is None:
            return
        others = [int(each.entry.stem) for place, each in enumerate(waiting) if place != here]
        there = min(max(here + places, 0), len(others))
        before = others[there - 1] if there else 0
        after = others[there] if there < len(others) else time.time_ns()
        if after - before < 2:
            return  # no number is left between them; a rename would overwrite a neighbour
        # One rename to a number between its neighbours: whatever dies here, no entry is lost or stands twice.
        waiting[here].entry.rename(waiting[here].entry.with_name(f"{(before + after) // 2:020}.json"))


def queue_evaluation(reference: str, config: RunConfig, split: str) -> JobFolder:
    """Queue the scoring of a split with a model; what is scored already is given back as it is.

    Raises:
        ReviewscopeError: There is no such model or data, or ten jobs wait already.
    """
    from core.data.labelled import fingerprint
    from core.data.sources import load_columns
    from core.prediction.evaluating import EvaluationRequest, create_evaluation_job
    from core.prediction.exchange import check_model

    request = EvaluationRequest(model=reference, split=split, config=config)
    sha256 = check_model(find_model(reference))
    job = create_evaluation_job(request, sha256, fingerprint(load_columns(config.data)))
    if not job.is_done:
        enqueue(job)
    return job


def start_worker(slot: str) -> None:
    """Start a slot's worker unless one is there. This is the one place that starts a process for a job."""
    if has_worker(slot):
        return
    log = settings.home() / "queue" / f"{slot}-worker.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, settings.HOME_VARIABLE: str(settings.home())}
    with log.open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-m", "core", "worker", "--slot", slot],
            cwd=settings.PACKAGE.parent, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True, close_fds=True,
        )  # fmt: skip


def has_worker(slot: str) -> bool:
    """Tell whether a worker serves a slot."""
    return is_locked(_worker_lock(slot))


def work(slot: str, *, warm_seconds: float) -> None:
    """Serve a slot: run its jobs in order, wait warm for more, and end.

    Returns at once when another worker serves it. A job that is queued while this worker is about to end is seen by
    the look after the lock is released.
    """
    while True:
        try:
            with hold_lock(_worker_lock(slot), "another worker serves this slot"):
                _load_libraries()
                _serve(slot, warm_seconds)
        except ReviewscopeError:
            return
        if not list_waiting(slot):
            return


def run_job(folder: Path) -> None:
    """Run one job in this process, its output going into its own log file; a failure ends up in its state."""
    job = JobFolder(folder)
    with _output_to(job.log_file):
        try:
            kind_of(folder).execute(folder, JobReporter(job))
        except Exception as error:  # noqa: BLE001 (a job's fault must not end the worker; its log holds the traceback)
            # Where the disk refuses even that, the job's state stays what it was.
            with suppress(OSError, ReviewscopeError):
                _note_failure(job, error)


def _note_failure(job: JobFolder, error: Exception) -> None:
    is_explained = isinstance(error, ReviewscopeError)
    if not is_explained:
        job.save_state("failed", f"Unexpected: {error!r}. The job's log says more.")
    elif job.state.status in ("queued", "running", "interrupted"):
        job.save_state("failed", str(error))
    print(str(error) if is_explained else "".join(traceback.format_exception(error)), flush=True)


def _serve(slot: str, warm_seconds: float) -> None:
    _put_back(_taken(slot))
    idle_since = time.monotonic()
    while time.monotonic() - idle_since < warm_seconds:
        job = _take_next(slot)
        if job is None:
            time.sleep(POLL_SECONDS)
            continue
        if job.exists:  # the cache, where quick jobs lie, may be deleted at any time
            run_job(job.path)
        _taken(slot).unlink(missing_ok=True)
        idle_since = time.monotonic()


def _take_next(slot: str) -> JobFolder | None:
    if not any(_queue_folder(slot).glob("*.json")):
        return None  # without the gate, which many may be waiting for
    with _gate(slot):
        waiting = list_waiting(slot)
        if waiting:
            waiting[0].entry.rename(_taken(slot))
        return waiting[0].job if waiting else None


def _put_back(taken: Path) -> None:
    """Queue again, as the first, what a worker took and died with before it began; a job that had begun is not."""
    if taken.exists():
        job = JobFolder(Path(read_json(taken)["folder"]))
        if job.exists and job.state.status == "queued":
            taken.rename(taken.with_name(f"{0:020}.json"))
        else:
            taken.unlink()


def _is_taken(job: JobFolder, slot: str) -> bool:
    try:
        return bool(read_json(_taken(slot))["folder"] == str(job.path))
    except ReviewscopeError:
        return False  # no job is


def _has_turn(job: JobFolder, slot: str) -> bool:
    """Tell whether the worker that took a job is about to begin it, or has begun it and not ended it."""
    try:
        return has_worker(slot) and job.exists and job.state.status in ("queued", "running")
    except ReviewscopeError:
        return False  # a damaged state is written anew


def _taken(slot: str) -> Path:
    """Return the entry of the job that a slot's worker runs."""
    return _queue_folder(slot) / "taken"


@contextmanager
def _gate(slot: str) -> Iterator[None]:
    """Let one process at a time change a queue."""
    path = _queue_folder(slot) / "gate.lock"
    with hold_lock(path, "The queue is busy. Try again in a moment.", seconds=GATE_SECONDS):
        yield


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send this process's stdout and stderr, those of libraries in C too, into a file while the block runs.

    What a full disk has no room for is lost.
    """
    _flush_output()
    before = os.dup(1), os.dup(2)
    with _open_log(path) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            _flush_output()
            for number, saved in enumerate(before, 1):
                os.dup2(saved, number)
                os.close(saved)


def _open_log(path: Path) -> IO[bytes]:
    try:
        return path.open("ab")
    except OSError:
        return Path(os.devnull).open("ab")


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()


def _load_libraries() -> None:
    """Import what jobs need before the first one comes; an optimiser's first use imports a second's worth more."""
    import datasets  # noqa: F401
    import torch

    from core.training import job, trainer  # noqa: F401

    torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True)


def _queue_folder(slot: str) -> Path:
    folder = settings.home() / "queue" / slot
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _worker_lock(slot: str) -> Path:
    return settings.home() / "queue" / f"{slot}-worker.lock"
