"""``python -m tests.benchmarks.crowd``: 100 idle and 20 active sessions of the real app while a training runs.

Ten of the active ones watch the run and tick as their browser would; ten go from page to page, a second on each. A rerun is
timed from the request until its script has finished. Printed: reruns, their median and 95th percentile, sessions dropped.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from core import settings
from core.runs import Run
from tests.benchmarks.sessions import PORT, ROOT, wait_for_server

IDLE, WATCHERS, WALKERS, SECONDS = 100, 10, 10, 30.0
PAGES = ("", "data", "training", "runs", "evaluation", "prediction")
LONG = ["--set", "training.epochs=1000", "--set", "training.patience=null"]


@dataclass
class Account:
    """What happened to all sessions."""

    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    dropped: int = 0


def main() -> None:
    """Start a server and a training, let the crowd in, and print the account."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        environment = os.environ | {
            settings.HOME_VARIABLE: folder, settings.WARM_VARIABLE: "20", "STREAMLIT_SERVER_PORT": str(PORT),
            "STREAMLIT_SERVER_HEADLESS": "true",
        }  # fmt: skip
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/server.py"]
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        train = [sys.executable, "-m", "core", "train", "--preset", "compact", "--data", "demo", "--queue"]
        subprocess.run([*train, "--name", "crowd", *LONG], cwd=ROOT, env=environment, check=True, capture_output=True)
        run = Run(Path(folder) / "runs" / "crowd")
        try:
            wait_for_server()
            while not run.metrics_file.exists():
                time.sleep(0.2)
            account = asyncio.run(let_in())
            steps = sum("loss" in line for line in run.read_history())
        finally:
            run.request_stop()
            server.kill()
            server.wait()
            while run.state.status == "running":
                time.sleep(0.2)
    print(f"{IDLE} idle, {WATCHERS + WALKERS} active sessions for {SECONDS:.0f} s beside a training of {steps} steps")
    for name, seconds in account.seconds.items():
        print(f"{name}: {len(seconds)} reruns, median {1000 * median(seconds):.0f} ms, p95 {p95(seconds):.0f} ms")
    every = [each for seconds in account.seconds.values() for each in seconds]
    print(f"all: {len(every)} reruns, p95 {p95(every):.0f} ms, sessions dropped {account.dropped}")


def p95(seconds: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return 1000 * quantiles(seconds, n=20)[-1]


async def let_in() -> Account:
    """Open all sessions and wait for the end."""
    account = Account()
    end = time.monotonic() + SECONDS + 15
    crowd = [idle(end) for _ in range(IDLE)]
    crowd += [watch(account, end) for _ in range(WATCHERS)] + [walk(account, end) for _ in range(WALKERS)]
    for outcome in await asyncio.gather(*crowd, return_exceptions=True):
        account.dropped += isinstance(outcome, BaseException)
        if isinstance(outcome, BaseException):
            print(repr(outcome)[:200], file=sys.stderr)
    return account


def connect() -> websockets.connect:
    """Return a session's connection."""
    origin = f"http://127.0.0.1:{PORT}"
    return websockets.connect(f"ws://127.0.0.1:{PORT}/_stcore/stream", origin=origin, max_size=None, ping_timeout=60)


async def idle(end: float) -> None:
    """Open the home page and leave it open."""
    async with connect() as socket:
        await rerun(socket, "")
        await read_for(socket, end - time.monotonic())


async def read_for(socket: websockets.ClientConnection, seconds: float) -> None:
    """Take what the server sends for a while, as a browser does."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(socket.recv(), left)


async def walk(account: Account, end: float) -> None:
    """Go from page to page, a second on each."""
    async with connect() as socket:
        for page in cycle(PAGES):
            if time.monotonic() > end:
                return
            took, _ = await rerun(socket, page)
            if time.monotonic() > end - SECONDS:
                account.seconds[f"walk to {page or 'home'}"].append(took)
            await read_for(socket, 1)


async def watch(account: Account, end: float) -> None:
    """Keep the run open; its fragment reruns as often as the page asks for."""
    async with connect() as socket:
        _, fragments = await rerun(socket, "training", "run=crowd")
        assert fragments, "the page of a running training asks for no ticks"
        fragment, interval = max(fragments.items(), key=lambda item: -item[1])
        while time.monotonic() < end:
            took, _ = await rerun(socket, "training", "run=crowd", fragment)
            if time.monotonic() > end - SECONDS:
                account.seconds["watch"].append(took)
            await read_for(socket, max(interval - took, 0))


async def rerun(
    socket: websockets.ClientConnection, page: str, query: str = "", fragment: str = ""
) -> tuple[float, dict[str, float]]:
    """Rerun a page or a fragment; return its seconds, and the fragments that ask to be rerun with their intervals."""
    began = time.monotonic()
    message = BackMsg()
    message.rerun_script.query_string = query
    message.rerun_script.page_name = page
    message.rerun_script.fragment_id = fragment
    await socket.send(message.SerializeToString())
    fragments = {}
    while True:
        answer = ForwardMsg()
        answer.ParseFromString(await socket.recv())
        kind = answer.WhichOneof("type")
        if kind == "auto_rerun":
            fragments[answer.auto_rerun.fragment_id] = answer.auto_rerun.interval
        if kind == "script_finished" and answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return time.monotonic() - began, fragments


if __name__ == "__main__":
    main()
