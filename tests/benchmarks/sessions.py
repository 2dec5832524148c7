"""``python -m tests.benchmarks.sessions``: reruns a second of 20 sessions, with the freeze of the lifespan and without.

Each case is a server of its own with torch loaded and a page that writes one line.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import quantiles

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

ROOT = Path(__file__).resolve().parents[2]
SESSIONS, SECONDS, PORT = 20, 10.0, 8791
SERVER = """
import sys; sys.path.insert(0, {root!r})
import gc
from contextlib import asynccontextmanager
import streamlit as st
from dashboard import server
if not {freeze}:
    server.gc = type("NoFreeze", (), {{"collect": staticmethod(gc.collect), "freeze": staticmethod(lambda: None)}})
app = st.App({page!r}, lifespan=server.lifespan)
"""


def main() -> None:
    """Print both cases and their ratio."""
    rates = {}
    for freeze in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            rates[freeze], p95 = measure(Path(folder), freeze)
        name = "with the freeze" if freeze else "without it"
        print(f"{SESSIONS} sessions, {name}: {rates[freeze]:.1f} reruns/s, p95 {1000 * p95:.0f} ms")
    print(f"ratio {rates[True] / rates[False]:.1f}")


def measure(folder: Path, freeze: bool) -> tuple[float, float]:
    """Return reruns a second and the 95th percentile of a rerun's seconds."""
    page, script = folder / "page.py", folder / "server.py"
    page.write_text("import streamlit as st\nst.write('hi')\n")
    script.write_text(SERVER.format(root=str(ROOT), freeze=freeze, page=str(page)))
    environment = os.environ | {"STREAMLIT_SERVER_PORT": str(PORT), "STREAMLIT_SERVER_HEADLESS": "true"}
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_server()
        seconds = asyncio.run(rerun_all())
    finally:
        process.kill()
        process.wait()
    return len(seconds) / SECONDS, quantiles(seconds, n=20)[-1]


def wait_for_server() -> None:
    """Return when the server answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the server did not answer")


async def rerun_all() -> list[float]:
    """Let all sessions rerun as fast as they can; return the seconds of each rerun."""
    end = time.monotonic() + SECONDS + 2
    parts = await asyncio.gather(*(rerun_one(end) for _ in range(SESSIONS)))
    return [seconds for part in parts for seconds in part]


async def rerun_one(end: float) -> list[float]:
    """Rerun one session's page until the end; the first two seconds do not count."""
    seconds = []
    async with websockets.connect(
        f"ws://127.0.0.1:{PORT}/_stcore/stream", origin=f"http://127.0.0.1:{PORT}", max_size=None
    ) as socket:
        while time.monotonic() < end:
            began = time.monotonic()
            message = BackMsg()
            message.rerun_script.query_string = ""
            await socket.send(message.SerializeToString())
            while True:
                answer = ForwardMsg()
                answer.ParseFromString(await socket.recv())
                if answer.WhichOneof("type") == "script_finished":
                    break
            if began > end - SECONDS:
                seconds.append(time.monotonic() - began)
    return seconds


if __name__ == "__main__":
    main()
