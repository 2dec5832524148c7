"""Many processes that all want to start trainings at once: one runs, ten wait, the rest are refused in a sentence."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from core import settings
from core.config import preset_config, with_data, with_settings
from core.jobs import has_worker, list_waiting, stop
from core.runs import list_runs

ROOT = Path(__file__).resolve().parents[2]
MOST = 11  # one that runs and ten that wait
SECONDS = 60.0
CALLER = """
import json, os, subprocess, sys, time
from core import jobs
from core.config import parse_config
from core.errors import JobError

workers, popen = [], subprocess.Popen
def note(*arguments, **options):
    process = popen(*arguments, **options)
    workers.append(process.pid)
    return process
jobs.subprocess.Popen = note

config, requests = parse_config(json.loads(sys.argv[1])), int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
accepted, refused = [], []
for number in range(requests):
    try:
        accepted.append(jobs.submit_run(config, "fast", f"run {os.getpid()} {number}").run_id)
    except JobError as error:
        refused.append(str(error))
print(json.dumps({"accepted": accepted, "refused": refused, "workers": workers}), flush=True)
"""


@pytest.fixture
def workers(workspace: Path) -> Iterator[list[int]]:
    """Keep the ids of the workers that callers start, and end those that the test leaves."""
    started: list[int] = []
    yield started
    for pid in started:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def wait_until(is_so: Callable[[], bool], seconds: float = SECONDS) -> None:
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < seconds, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("callers", "requests"), [(6, 10), pytest.param(20, 50, marks=pytest.mark.slow)], ids=["a few", "many"]
)
def test_of_many_start_requests_at_once_one_runs_ten_wait_and_the_rest_are_refused_in_a_sentence(
    callers: int, requests: int, workers: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assignments = ["model.bucket_bits=14", "training.epochs=1000", "training.batch_size=16"]
    config = with_settings(with_data(preset_config("fast"), "demo"), assignments).model_dump_json()
    environment = os.environ | {settings.WARM_VARIABLE: "0.1", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CALLER, config, str(requests)],
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(callers)
    ]  # fmt: skip
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    began = time.monotonic()
    for process in processes:  # all at once, not one after the other's answer
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [json.loads(process.communicate(timeout=300)[0]) for process in processes]
    seconds = time.monotonic() - began
    accepted = [run_id for answer in answers for run_id in answer["accepted"]]
    refused = [sentence for answer in answers for sentence in answer["refused"]]
    workers += [pid for answer in answers for pid in answer["workers"]]
    line = f"{callers} callers, {requests} requests each: accepted={len(accepted)} refused={len(refused)}"
    with capsys.disabled():
        print(f"\n{line} ({seconds:.1f} s)", file=sys.stderr, flush=True)

    assert len(accepted) == MOST and len(refused) == callers * requests - MOST
    assert set(refused) == {"10 jobs wait already. Let one finish, or remove one, then try again."}
    assert sorted(path.name for path in (settings.home() / "runs").iterdir()) == sorted(accepted)
    assert seconds < SECONDS
    wait_until(lambda: count("running") == 1)
    assert count("queued") == MOST - 1 == len(list_waiting("train"))
    assert {each.job.job_id for each in list_waiting("train")} < set(accepted)

    for run in [each for each in list_runs() if each.state.status == "queued"]:
        stop(run)
    (running,) = (run for run in list_runs() if run.state.status == "running")
    stop(running)
    wait_until(lambda: count("stopped") == MOST)
    wait_until(lambda: not has_worker("train"))
    assert running.model_file.exists() and list_waiting("train") == []


def count(status: str) -> int:
    return sum(run.state.status == status for run in list_runs())
