"""The server: ``python -m dashboard.server``. Loads the libraries once, freezes the garbage collector, sets headers."""

import ctypes
import gc
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from dashboard.api import build_routes  # noqa: E402
from dashboard.guard import is_loopback  # noqa: E402

# How long a session's script keeps the interpreter to itself. Each of its elements is handed to the event loop, which
# then waits for its turn behind every other script: with Python's 5 ms the walk through the pages took twice as long.
SWITCH_SECONDS = 0.001
# From this size on, freed memory goes back to the system at once.
RETURNED_BYTES = 192 * 1024
M_MMAP_THRESHOLD = -3  # of glibc's mallopt
SECURITY_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"x-frame-options": b"DENY",
    b"content-security-policy": b"frame-ancestors 'none'",
}
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class SecurityHeaders:
    """Adds the headers that Streamlit does not set."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message.get("headers", [])}
                added = [(name, value) for name, value in SECURITY_HEADERS.items() if name not in present]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, receive, send_with_headers if scope["type"] == "http" else send)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Import what pages need, then freeze.

    Streamlit collects garbage after every rerun; with torch and pandas loaded that was measured at 6 reruns/s of 20
    sessions, against 192 after a freeze. It must come before a session exists, or that session is never released.
    """
    refuse_to_face_strangers(st.get_option("server.address"), is_login_configured())
    import altair  # noqa: F401
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import torch

    from core.prediction import predictor  # noqa: F401

    send_at_once()
    return_freed_memory()
    sys.setswitchinterval(SWITCH_SECONDS)
    torch.set_num_threads(1)  # one review is read at a time, and the workers need the cores
    gc.collect()
    gc.freeze()
    yield


def send_at_once() -> None:
    """Let what is sent not wait for a receipt of what was sent before (Nagle's algorithm).

    Streamlit's listening socket names no protocol, so that asyncio leaves it on. An answer is sent in two pieces, head
    and body, and each of a program's requests took 48 ms for it, against 3 without; a connection inherits the option.
    """
    for each in gc.get_objects():
        # Not isinstance, which asks lazy objects of libraries for their class.
        if type(each) is socket.socket and each.fileno() >= 0 and each.family != socket.AF_UNIX:
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)


def return_freed_memory() -> None:
    """Let glibc give large arrays back when they are freed, Arrow's too; other libraries of C are left as they are.

    By itself glibc raises the size from which it does with every array that is freed, and Arrow's own allocator keeps
    what it has for later: together some 40 MB after a result of a million rows was looked at.
    """
    import pyarrow

    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, RETURNED_BYTES)


def refuse_to_face_strangers(address: str | None, has_login: bool) -> None:
    """End the process when it would answer other machines without a login."""
    if has_login or is_loopback(address):
        return
    print(
        f"Reviewscope does not listen on {address or 'all addresses'} without a login: whoever reaches it could read "
        "and train. Leave server.address at 127.0.0.1, or configure Streamlit's [auth] in .streamlit/secrets.toml.",
        file=sys.stderr,
        flush=True,
    )
    raise SystemExit(1)


def is_login_configured() -> bool:
    """Tell whether Streamlit's OIDC login has a provider."""
    try:
        return "auth" in st.secrets
    except Exception:  # noqa: BLE001 (without any secrets file Streamlit raises errors of its own)
        return False


app = st.App(
    ROOT / "dashboard" / "app.py",
    lifespan=lifespan,
    routes=[build_routes()],
    middleware=[Middleware(SecurityHeaders)],
)

if __name__ == "__main__":
    app.run()
