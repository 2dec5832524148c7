"""The commands that look after runs: list, resume, pause, extend, compare, delete; and the workers behind them."""

import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from core import settings
from core.errors import ConfigError, RunError
from core.job_folder import JobReporter
from core.jobs import SLOTS, check_room, enqueue, has_worker, list_waiting, move, run_job
from core.jobs import stop as stop_job
from core.jobs import work as work_slot
from core.runs import Run, find_run, list_damaged_runs, list_runs
from core.terminal import AsJson, catch_stop, print_result, show_progress
from core.trash import list_trash, restore_run, trash_run

NICENESS = 10  # pages answer first: beside a training on both cores, a rerun waited three times as long without
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run id, or latest.")]


def add_commands(app: typer.Typer) -> None:
    """Add this module's commands to the command line."""
    commands: list[Callable[..., None]] = [
        resume, extend, runs, pause, stop, first, delete, restore, jobs, worker, work,
    ]  # fmt: skip
    for command in commands:
        app.command()(command)


def resume(run_id: RunId, as_json: AsJson = False) -> None:
    """Go on with a run that was paused, stopped, interrupted or failed; a finished one only reports."""
    run = find_run(run_id)
    execute_here(run, time.monotonic())
    print_run(run_document(run), as_json=as_json)


def extend(
    run_id: RunId,
    epochs: Annotated[int, typer.Option(min=1, max=1_000, help="How many more passes over the training reviews.")],
    queue: Annotated[bool, typer.Option("--queue", help="Leave it to a worker and return at once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Give a finished run more epochs and train them."""
    from core.training.extension import extend_run

    run = find_run(run_id)
    if queue:
        check_room("train")  # before the epochs are noted
    extend_run(run, epochs)
    if queue:
        enqueue(run)
    else:
        execute_here(run, time.monotonic())
    print_run(run_document(run), as_json=as_json)


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


def pause(run_id: RunId) -> None:
    """Pause a running training; resume goes on from the same place."""
    run = find_run(run_id)
    _refuse_unless(run, "running")
    run.request_pause()
    print_result({"run_id": run.run_id, "status": run.state.status}, as_json=False)


def stop(run_id: RunId) -> None:
    """Stop a running training and keep its best, or take a waiting one out of the queue."""
    run = find_run(run_id)
    _refuse_unless(run, "running", "queued")
    stop_job(run)
    print_result({"run_id": run.run_id, "status": run.state.status}, as_json=False)


def first(run_id: RunId) -> None:
    """Move a waiting run to the head of the queue."""
    move(find_run(run_id), -len(list_waiting("train")))
    print_result({"waiting": ", ".join(each.job.job_id for each in list_waiting("train"))}, as_json=False)


def delete(run_id: RunId) -> None:
    """Move a run into the trash; restore brings it back."""
    run = find_run(run_id)
    trash_run(run)
    print_result({"deleted": run.run_id, "undo": f"python -m core restore {run.run_id}"}, as_json=False)


def restore(run_id: Annotated[str, typer.Argument(metavar="RUN", help="The id of a deleted run.")]) -> None:
    """Bring the run that was deleted last under an id back from the trash."""
    places = {place.name.rpartition(".")[0]: place for place in reversed(list_trash())}
    if run_id not in places:
        raise ConfigError(f"There is no deleted run {run_id[:80]!r}. In the trash: {', '.join(places) or 'nothing'}.")
    print_result({"restored": restore_run(places[run_id]).run_id}, as_json=False)


def jobs(as_json: AsJson = False) -> None:
    """List what runs and what waits, slot by slot."""
    slots = {
        slot: {"worker": has_worker(slot), "waiting": [str(each.job.path) for each in list_waiting(slot)]}
        for slot in SLOTS
    }
    running = [run.run_id for run in list_runs() if run.state.status == "running"]
    print_result({"running": running, **slots}, as_json=as_json)


def worker(
    slot: Annotated[str, typer.Option(help=f"One of: {', '.join(SLOTS)}.")],
    wait: Annotated[bool, typer.Option("--wait", help="Never end: for systemd or a container.")] = False,
) -> None:
    """Run the jobs of a slot, then wait ten minutes for more."""
    if slot not in SLOTS:
        raise ConfigError(f"There is no slot {slot!r}. Choose one of: {', '.join(SLOTS)}.")
    os.nice(NICENESS)
    work_slot(slot, warm_seconds=math.inf if wait else settings.warm_seconds())


def work(folder: Annotated[Path, typer.Argument(metavar="FOLDER")]) -> None:
    """Run one job's folder in this process."""
    run_job(folder.resolve())


def run_document(run: Run) -> dict[str, Any]:
    """Return a run's id, status, message and figures as plain values."""
    state = run.state
    figures = run.result.model_dump() if run.result else {}
    return {"run_id": run.run_id, "status": state.status, "message": state.message, **figures}


def print_run(document: dict[str, Any], *, as_json: bool) -> None:
    """Print what ``run_document`` gave; for people, a teacher's time stands beside in minutes, where there was one."""
    seconds = document.get("teacher_seconds")
    if not as_json and "teacher_seconds" in document:
        document = {name: value for name, value in document.items() if name != "teacher_seconds"}
        if seconds is not None:
            document["its teacher"] = f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
    print_result(document, as_json=as_json)


def _refuse_unless(run: Run, *statuses: str) -> None:
    """Refuse what makes sense in some states only."""
    if run.state.status not in statuses:
        raise RunError(f"Run {run.run_id} is {run.state.status}, not {' or '.join(statuses)}: there is nothing to do.")


def execute_here(run: Run, started: float) -> None:
    """Train or go on with a run in this process; Ctrl+C, or a request from a page, stops it.

    Args:
        run: Its folder.
        started: When the command began, by ``time.monotonic``.
    """
    from core.training.job import execute_run
    from core.training.watcher import Watcher

    if run.state.status != "running":  # then they are meant for the process that trains it
        run.withdraw_requests()
    with catch_stop() as stop_request, show_progress() as progress:
        should_stop = JobReporter(run, also_stop=stop_request).should_stop
        watcher = Watcher(
            progress.on_phase, progress.on_notice, progress.on_progress, should_stop, on_resume=progress.on_progress
        )
        execute_run(run, watcher, started)
