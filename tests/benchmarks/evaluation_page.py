"""``python -m tests.benchmarks.evaluation_page``: the evaluation page on IMDB's 25,000 test reviews, as a browser sees it.

A real server, one session over its web socket. The page is opened before the split is scored, which loads the data;
then it is scored, and the first view is timed. Then the looks that a button starts are taken, and every section is
visited under a range of filters. The time is from
the request to the end of the script, the payload all bytes that the server sent for it. Needs REVIEWSCOPE_DATA.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from core import settings
from core.jobs import enqueue
from core.prediction.analysis import AnalysisRequest, create_analysis_job
from core.runs import find_run

ROOT = Path(__file__).resolve().parents[2]
PORT = 8792
SECTIONS = ("overview", "confidence", "themes", "fault", "map", "robustness", "two_runs", "intensity")
FILTERS = (
    {},
    {"evaluation_labelled": "negative", "evaluation_read_as": "positive"},
    {"evaluation_labelled": "positive", "evaluation_read_as": "negative"},
    {"evaluation_confidence": "97.5-100"},
    {"evaluation_show": "all", "evaluation_words": "plot"},
    {"evaluation_show": "all", "evaluation_at_least": "0.8"},
    {"evaluation_surest": "80"},
    {"evaluation_theme": "negation"},
    {"evaluation_token": "not"},
    {"evaluation_show": "all", "evaluation_page": "40"},
    {"evaluation_order": "unsure"},
)
MOST_SECONDS, MOST_FIRST, MOST_BYTES = 0.3, 2.0, 2_000_000


def main() -> None:
    """Print the figures and whether the limits are kept."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {settings.HOME_VARIABLE: folder, "STREAMLIT_SERVER_PORT": str(PORT)}
        run_core(environment, "train", "--preset", "fast", "--data", "imdb", "--name", "timed")
        with running_server(environment):
            is_kept = asyncio.run(measure(environment))
    sys.exit(not is_kept)


def run_core(environment: dict[str, str], *words: str) -> None:
    """Run a command of the product."""
    subprocess.run([sys.executable, "-m", "core", *words], cwd=ROOT, env=environment, check=True, capture_output=True)


def take_looks(environment: dict[str, str]) -> None:
    """Start the looks that a button starts, and wait for them."""
    os.environ.update(environment)
    run = find_run("timed")
    results = list((settings.home() / "evaluations").glob("*/*-test/metrics.json"))
    document = json.loads(results[0].read_text())
    asked = {"neighbours": {"train": True}, "robustness": {"seed": 0, "cut": 0.0}}
    for kind, options in asked.items():
        request = AnalysisRequest(
            kind=kind, model=run.run_id, model_sha256=document["model_sha256"],
            data_fingerprint=document["data_fingerprint"], split="test", config=run.settings.config, options=options,
        )  # fmt: skip
        job = create_analysis_job(request)
        enqueue(job)
        while not job.is_done:
            if job.state.status not in ("queued", "running"):
                raise SystemExit(f"{kind}: {job.state.message}")
            time.sleep(0.5)


@contextmanager
def running_server(environment: dict[str, str]) -> Iterator[None]:
    """Run the app until the block ends."""
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/server.py", "--server.headless", "true"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, **quiet)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


async def measure(environment: dict[str, str]) -> bool:
    """Return whether every limit is kept."""
    address, origin = f"ws://127.0.0.1:{PORT}/_stcore/stream", f"http://127.0.0.1:{PORT}"
    async with websockets.connect(address, origin=origin, max_size=None) as socket:
        await rerun(socket, {})
        run_core(environment, "evaluate", "timed", "--split", "valid")
        run_core(environment, "evaluate", "timed")
        first, first_bytes = await rerun(socket, {})
        take_looks(environment)
        await rerun(socket, {"evaluation_section": "themes"})  # this look begins by itself
        await asyncio.sleep(20)
        views = [{"evaluation_section": section, **each} for section, each in product(SECTIONS, FILTERS)]
        found = [(await rerun(socket, view), view) for _ in range(2) for view in views]
    seconds = [taken for (taken, _), _ in found]
    p95, most = quantiles(seconds, n=20)[-1], max(size for (_, size), _ in found)
    print(f"first view after scoring: {first:.2f} s, {first_bytes:,} bytes")
    print(
        f"{len(found)} interactions: median {1e3 * median(seconds):.0f} ms, p95 {1e3 * p95:.0f} ms, most {most:,} bytes"
    )
    for (taken, size), view in sorted(found, key=lambda each: -each[0][0])[:8]:
        print(f"  {1e3 * taken:.0f} ms, {size:,} bytes: {view}")
    for section in SECTIONS:
        mine = [taken for (taken, _), view in found if view["evaluation_section"] == section]
        print(f"  {section}: median {1e3 * median(mine):.0f} ms, worst {1e3 * max(mine):.0f} ms")
    is_kept = p95 <= MOST_SECONDS and first <= MOST_FIRST and max(most, first_bytes) <= MOST_BYTES
    print(f"limits of {MOST_SECONDS} s, {MOST_FIRST} s and {MOST_BYTES:,} bytes: {'kept' if is_kept else 'missed'}")
    return is_kept


async def rerun(socket: websockets.ClientConnection, parameters: dict[str, str]) -> tuple[float, int]:
    """Rerun the page under these parameters; return its seconds and how many bytes came back."""
    message = BackMsg()
    message.rerun_script.query_string = urlencode({"model": "timed", **parameters})
    message.rerun_script.page_name = "evaluation"
    began, size = time.monotonic(), 0
    await socket.send(message.SerializeToString())
    while True:
        content = await asyncio.wait_for(socket.recv(), 120)
        size += len(content)
        answer = ForwardMsg()
        answer.ParseFromString(content)
        if (
            answer.WhichOneof("type") == "script_finished"
            and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
        ):
            return time.monotonic() - began, size


if __name__ == "__main__":
    main()
