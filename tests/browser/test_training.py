"""Training from the browser: it starts, grows, survives, ends."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, expect

from core import settings
from core.runs import Run
from tests.browser.conftest import ROOT, Server

LONG = ["--set", "training.epochs=1000", "--set", "training.patience=null", "--set", "model.hidden_size=32"]


def shown_step(page: Page) -> int:
    text = page.get_by_text(re.compile(r"step [\d,]+ of")).first.text_content(timeout=60_000) or ""
    found = re.search(r"step ([\d,]+) of", text)
    assert found
    return int(found[1].replace(",", ""))


def expect_growth(page: Page, above: int) -> int:
    deadline = time.monotonic() + 60
    while (step := shown_step(page)) <= above:
        assert time.monotonic() < deadline, f"still at step {step}"
        page.wait_for_timeout(100)
    return step


def queue_long_run(server: Server, name: str) -> Run:
    command = [
        sys.executable,
        "-m",
        "core",
        "train",
        "--preset",
        "compact",
        "--data",
        "demo",
        "--queue",
        "--name",
        name,
    ]
    environment = os.environ | {
        settings.HOME_VARIABLE: str(server.home),
        settings.WARM_VARIABLE: "30",
        "OMP_NUM_THREADS": "1",
    }
    subprocess.run([*command, *LONG], cwd=ROOT, env=environment, check=True, capture_output=True)
    return Run(server.home / "runs" / name)


def test_a_training_started_in_the_browser_is_done_and_shown(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/training")
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_text("Done in").first).to_be_visible(timeout=60_000)
    expect(page).to_have_url(re.compile("run=fast-1"))
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(2)
    expect(page.get_by_text("Test accuracy")).to_be_visible()


def test_a_run_grows_survives_a_reload_and_a_killed_server_and_is_stopped(server: Server, page: Page) -> None:
    run = queue_long_run(server, "long")
    page.goto(f"{server.url}/training?run=long")
    before = expect_growth(page, 0)
    page.reload()
    before = expect_growth(page, before)

    expect(page.locator("[data-testid=stVegaLiteChart] svg").nth(1)).to_be_visible()

    server.kill()
    steps_then = len(run.read_history())
    server.start()
    expect_growth(page, before)  # the open tab finds the new server by itself
    assert len(run.read_history()) > steps_then and run.state.status == "running"

    page.get_by_role("button", name="Stop, keep best").click()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped when you asked.")).to_be_visible(timeout=60_000)
    assert run.state.status == "stopped" and run.model_file.exists()
    numbers = [line["step"] for line in run.read_history() if "loss" in line]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_start_in_a_second_tab_is_queued_and_begins_by_itself(server: Server, page: Page) -> None:
    first = queue_long_run(server, "busy")
    page.goto(f"{server.url}/training?run=busy")
    expect_growth(page, 0)
    second = page.context.new_page()
    second.goto(f"{server.url}/training")
    second.get_by_role("button", name="Add to queue").click()
    expect(second.get_by_text("Waiting. It begins")).to_be_visible(timeout=60_000)
    (first.path / "stop").touch()
    expect(second.get_by_text("Done in").first).to_be_visible(timeout=60_000)


def test_an_address_of_a_run_that_is_not_there_says_so(server: Server, page: Page, tmp_path: Path) -> None:
    page.goto(f"{server.url}/training?run=gone")
    expect(page.get_by_text("There is no run 'gone'")).to_be_visible()
