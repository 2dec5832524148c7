"""A real server in a process of its own, and a real browser that notes every request."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from core import settings
from core.runs import Run

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
expect.set_options(timeout=30_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium is installed"))


@dataclass
class Server:
    """The app as a user runs it.

    Attributes:
        home: Its workspace.
        port: Where it answers; the same after a restart.
        log: Everything it printed.
    """

    home: Path
    port: int
    log: Path
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        environment = os.environ | {
            settings.HOME_VARIABLE: str(self.home),
            "STREAMLIT_SERVER_PORT": str(self.port),
            "STREAMLIT_SERVER_HEADLESS": "true",
            settings.WARM_VARIABLE: "30",
            "OMP_NUM_THREADS": "1",
        }
        environment.pop(settings.DATA_VARIABLE, None)
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "streamlit", "run", "dashboard/server.py"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        deadline = time.monotonic() + 60
        while not self.is_healthy():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("app")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(folder / "workspace", port, folder / "server.log")
    server.start()
    yield server
    server.kill()
    end_workers(server.home)
    assert "Traceback" not in server.log.read_text()


@contextmanager
def workspace_of(server: Server) -> Iterator[None]:
    """Work in the server's workspace from this process."""
    before = os.environ.get(settings.HOME_VARIABLE)
    os.environ[settings.HOME_VARIABLE] = str(server.home)
    try:
        yield
    finally:
        os.environ.pop(settings.HOME_VARIABLE)
        if before is not None:
            os.environ[settings.HOME_VARIABLE] = before


def end_workers(home: Path) -> None:
    """Stop what still runs in a workspace; its workers then end by themselves, soon for want of work."""
    for state in home.glob("runs/*/state.json"):
        Run(state.parent).request_stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Witness:
    """Notes what a page asked for and what went wrong on it."""

    outside: list[str] = field(default_factory=list)


@pytest.fixture
def page(server: Server, browser: Browser, workspace: Path) -> Iterator[Page]:
    """Return a fresh tab; at the end, nothing went outside and no exception was shown."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000}, accept_downloads=True)
    witness = Witness()

    def note(url: str) -> None:
        if not re.match(r"(https?|wss?)://127\.0\.0\.1[:/]|data:|blob:|about:", url):
            witness.outside.append(url)

    context.on("request", lambda request: note(request.url))
    page = context.new_page()
    yield page
    assert witness.outside == []
    assert page.locator("[data-testid=stException]").count() == 0
    context.close()
