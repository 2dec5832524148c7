"""Training from the browser: it starts, grows, survives, ends."""

import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from playwright.sync_api import Page, expect

from core import settings
from core.runs import Run
from tests.browser.conftest import ROOT, Server

LIVE = ("running", "queued")
LONG = ["--set", "training.epochs=1000", "--set", "training.patience=null", "--set", "model.hidden_size=32"]


@pytest.fixture(autouse=True)
def nothing_left_training(server: Server) -> Iterator[None]:
    """Stop what a failed test left training, so that the next one does not wait behind it."""
    yield
    deadline = time.monotonic() + 60
    while left := [run for run in map(Run, (server.home / "runs").glob("*")) if run.state.status in LIVE]:
        assert time.monotonic() < deadline, f"{left} cannot be stopped"
        for run in left:
            run.request_stop()
        time.sleep(0.2)


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


def curve_places(page: Page) -> list[float]:
    """Return where the points of the loss by step stand, in pixels from the left."""
    line = page.locator("[data-testid=stVegaLiteChart]").first.locator("g.mark-line path").first
    return [float(x) for x in re.findall(r"[ML](-?[\d.]+),", line.get_attribute("d", timeout=60_000) or "")]


def expect_sound_curve(page: Page, least: float) -> None:
    """Expect the loss to be one line without gap or double point, and to reach at least so far."""
    deadline = time.monotonic() + 60
    while not (places := curve_places(page)) or places[-1] < least:
        assert time.monotonic() < deadline, "the curve does not grow"
        page.wait_for_timeout(100)
    gaps = [after - before for before, after in pairwise(places)]
    assert min(gaps) > 0, "a point stands twice"
    assert max(gaps) < 5 * median(gaps) + 0.5, "the curve has a gap"


def expect_status(run: Run, status: str) -> None:
    deadline = time.monotonic() + 60
    while run.state.status != status:
        assert time.monotonic() < deadline, f"still {run.state.status}"
        time.sleep(0.1)


def stop_from(page: Page) -> None:
    page.get_by_role("button", name="Stop, keep best").first.click()
    page.get_by_role("button", name="Stop", exact=True).first.click()


def stop_after_reconnect(page: Page, run: Run) -> None:
    """Stop a run as somebody would whose first click fell into the moment in which Streamlit's page reconnects."""
    for _ in range(3):
        stop_from(page)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if run.is_stop_requested or run.state.status == "stopped":
                return
            page.wait_for_timeout(100)
    raise AssertionError("three clicks on Stop did nothing")


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
    # The open tab finds the new server by itself; a step recorded after the old one's death can only come from it.
    expect_growth(page, steps_then)
    assert run.state.status == "running"

    expect_sound_curve(page, 1.0)
    stop_after_reconnect(page, run)
    expect(page.get_by_text("Stopped when you asked.")).to_be_visible(timeout=60_000)
    assert run.state.status == "stopped" and run.model_file.exists()
    expect_sound_curve(page, 1.0)
    numbers = [line["step"] for line in run.read_history() if "loss" in line]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_run_is_paused_and_goes_on_from_the_browser(server: Server, page: Page) -> None:
    run = queue_long_run(server, "paused")
    page.goto(f"{server.url}/training?run=paused")
    expect_growth(page, 20)
    expect(page).to_have_title(re.compile(r"● \d+ % paused · Reviewscope"))
    page.get_by_role("button", name="Pause").first.click()
    expect(page.get_by_text("Nothing is lost: step")).to_be_visible(timeout=60_000)
    expect(page).to_have_title(re.compile(r"‖ \d+ % paused · Reviewscope"))
    before = len([line for line in run.read_history() if "loss" in line])
    assert shown_step(page) == before and run.state.status == "paused"

    second = page.context.new_page()
    second.goto(f"{server.url}/training?run=paused")
    expect(second.get_by_text("Nothing is lost: step")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Go on").click()
    expect_growth(page, before)
    expect_growth(second, before)  # a tab that shows a run that has ended sees that it goes on
    expect_sound_curve(page, 0.0)
    stop_from(page)
    expect(second.get_by_text("Stopped when you asked.")).to_be_visible(timeout=60_000)
    numbers = [line["step"] for line in run.read_history() if "loss" in line]
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_curves_are_drawn_as_asked_and_downloaded_whole(server: Server, page: Page, tmp_path: Path) -> None:
    run = queue_long_run(server, "curves")
    page.goto(f"{server.url}/training?run=curves")
    expect_growth(page, 100)
    expect(page.locator("[data-testid=stVegaLiteChart]")).to_have_count(5)
    for unit, title in (("epoch", "epoch"), ("time", "of training"), ("step", "step")):
        page.locator(".st-key-curve-unit").get_by_text(unit, exact=True).click()
        expect(page.locator("[data-testid=stVegaLiteChart]").first.get_by_text(title).first).to_be_visible()
    page.get_by_text("Log scale").click()
    expect(page.locator("[data-testid=stVegaLiteChart]").first.get_by_text("0.01", exact=True)).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Curve as CSV").click()
    download.value.save_as(tmp_path / "curve.csv")
    rows = list(csv.DictReader((tmp_path / "curve.csv").open()))
    losses = [line["loss"] for line in run.read_history() if "loss" in line]
    read = [float(row["loss"]) for row in rows if row["loss"]]
    assert len(read) >= 100 and read == losses[: len(read)]
    stop_from(page)
    expect_status(run, "stopped")


def test_the_browser_is_told_when_a_run_ends_if_it_was_asked_to(server: Server, page: Page) -> None:
    page.add_init_script(
        "window.told = []; window.Notification = class { static permission = 'granted';"
        "static async requestPermission() { return 'granted'; } constructor(title, o) { told.push(o.body); } };"
    )
    run = queue_long_run(server, "told")
    page.goto(f"{server.url}/training?run=told")
    expect_growth(page, 0)
    page.get_by_label("Notify me when it ends").check()
    stop_from(page)
    expect_status(run, "stopped")
    page.wait_for_function("told.length == 1", timeout=30_000)
    assert page.evaluate("told")[0].startswith("told was stopped")
    page.reload()
    expect(page.get_by_text("Stopped when you asked.")).to_be_visible(timeout=60_000)
    assert page.evaluate("told") == []


def test_the_section_of_reviews_follows_the_validations(server: Server, page: Page) -> None:
    run = queue_long_run(server, "reads")
    page.goto(f"{server.url}/training?run=reads")
    expect_growth(page, 80)
    page.get_by_text("What it reads now, and try it").click()
    shown = page.get_by_text(re.compile(r"Validation reviews after epoch \d+")).first
    first = shown.text_content(timeout=60_000)
    expect(shown).not_to_have_text(first or "", timeout=60_000)
    page.get_by_placeholder("Write or paste a review.").fill("Wonderful, moving and funny.")
    page.get_by_role("button", name="Read this review").click()
    expect(page.get_by_text("confident.")).to_be_visible()
    stop_from(page)
    expect_status(run, "stopped")


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
