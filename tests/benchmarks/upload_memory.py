"""``python -m tests.benchmarks.upload_memory``: the server's memory before, at most, and after a 200 MB upload.

A real server and a real browser that chooses a generated file of just under 200 MB. Memory is the resident size of the
server's process alone, looked at ten times a second; the workers are processes of their own. Needs Chromium.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import sync_playwright

from core import settings

ROOT = Path(__file__).resolve().parents[2]
PORT = 8793
SIZE = 199_500_000
LINE = "{row},kettle,The plot of film {row} is superb and touching and the cast is a joy to watch from start to end\n"
MOST_LEFT_MB = 30.0
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]


def main() -> None:
    """Print the figures and whether the limit is kept."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        table = Path(folder) / "large.csv"
        write_table(table)
        environment = os.environ | {
            settings.HOME_VARIABLE: str(Path(folder) / "workspace"), "STREAMLIT_SERVER_PORT": str(PORT),
            settings.WARM_VARIABLE: "5",
        }  # fmt: skip
        with running_server(environment) as process:
            is_kept = measure(process, table)
    sys.exit(not is_kept)


def write_table(path: Path) -> None:
    """Write a table of just under the largest upload."""
    with path.open("w", encoding="utf-8") as file:
        size, row = file.write("id,product,text\n"), 0
        while size < SIZE:
            row += 1
            size += file.write(LINE.format(row=row))


@contextmanager
def running_server(environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the app until the block ends."""
    command = [sys.executable, "-m", "streamlit", "run", "dashboard/server.py", "--server.headless", "true"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class MemoryWatch:
    """Looks at a process's resident size, and keeps the largest."""

    pid: int
    peak: float = 0.0
    ended: threading.Event = field(default_factory=threading.Event)

    def now(self) -> float:
        """Return the resident size in MB of 10^6 bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

    def run(self) -> None:
        """Look until it is ended."""
        while not self.ended.wait(0.1):
            self.peak = max(self.peak, self.now())


def measure(process: "subprocess.Popen[bytes]", table: Path) -> bool:
    """Upload the table by a browser; return whether the limit is kept."""
    watch = MemoryWatch(process.pid)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"http://127.0.0.1:{PORT}/prediction?view=file")
        # The sample once: what a first table loads, the model among it, is no cost of the upload.
        page.get_by_role("button", name="Try with sample data").click(timeout=120_000)
        page.get_by_text("The whole file:").wait_for(timeout=120_000)
        page.get_by_role("button", name="Change").first.click()
        page.get_by_text("1 · File").wait_for(timeout=60_000)
        page.wait_for_timeout(10_000)
        before = watch.now()
        thread = threading.Thread(target=watch.run)
        thread.start()
        began = time.monotonic()
        page.locator("input[type=file]").first.set_input_files(table)
        page.get_by_text("2 · Columns").wait_for(timeout=300_000)
        taken = time.monotonic() - began
        time.sleep(10)
        after = watch.now()
        page.get_by_text("The whole file:").wait_for(timeout=120_000)
        watch.ended.set()
        thread.join()
        rows = page.get_by_role("button", name=re.compile("^Score ")).inner_text()
        browser.close()
    print(f"upload of {table.stat().st_size / 1e6:.1f} MB: {taken:.1f} s to the columns; {rows}")
    print(f"server memory: {before:.0f} MB before, {watch.peak:.0f} MB at most, {after:.0f} MB 10 s after")
    print(f"left over {after - before:+.1f} MB, at most {MOST_LEFT_MB:.0f} allowed")
    return after - before <= MOST_LEFT_MB


if __name__ == "__main__":
    main()
