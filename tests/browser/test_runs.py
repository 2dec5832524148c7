"""The runs page in a real browser: ticks follow runs, two are compared, one is thrown away and comes back."""

import re

import pytest
from playwright.sync_api import Page, expect

from core.config import preset_config, with_data, with_settings
from core.jobs import run_job
from core.runs import Run, create_run, list_runs
from tests.benchmarks.runs_page import write_run
from tests.browser.conftest import Server, workspace_of

HEADER, ROW = 36, 38


def train(server: Server, name: str, *assignments: str) -> Run:
    with workspace_of(server):
        config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=16", *assignments])
        run = create_run(config, "fast", name, with_test=True)
        run_job(run.path)
        assert run.state.status == "finished"
    return run


@pytest.fixture(scope="module")
def runs(server: Server) -> list[Run]:
    """Return two runs that differ much, so that their order is known."""
    return [train(server, "good"), train(server, "poor", "training.learning_rate=0.0001", "training.epochs=1")]


def tick(page: Page, row: int) -> None:
    """Click the box of a row of the list; the rows are drawn on a canvas."""
    table = page.locator("[data-testid=stDataFrame]").first
    expect(table.locator("canvas").first).to_be_visible()
    box = table.bounding_box()
    assert box is not None
    page.wait_for_timeout(300)
    page.mouse.click(box["x"] + 15, box["y"] + HEADER + ROW * row + ROW / 2)


def expect_ticked(page: Page, *rows: int) -> None:
    """See these rows ticked and no others, in the table that screen readers get."""
    ticked = page.locator("[data-testid=stDataFrame]").first.locator("[role=row][aria-selected=true]")
    expect(ticked).to_have_count(len(rows))
    for place, row in enumerate(rows):
        expect(ticked.nth(place)).to_have_attribute("aria-rowindex", str(row + 2))


def test_two_ticked_runs_are_compared_and_a_new_run_moves_no_tick(server: Server, runs: list[Run], page: Page) -> None:
    page.goto(f"{server.url}/runs")
    expect(page.get_by_text("Tick a run to see it")).to_be_visible(timeout=60_000)
    tick(page, 1)
    expect(page).to_have_url(re.compile("runs=poor"))
    expect(page.get_by_role("button", name="Open curve")).to_be_visible()
    tick(page, 0)
    expect(page).to_have_url(re.compile("runs=poor(,|%2C)good"))
    expect(page.get_by_text("poor against good")).to_be_visible()
    expect(page.get_by_text("good is better, and chance does not explain it").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"good gets [\d.]+ points more right .* McNemar p")).first).to_be_visible()
    expect(page.get_by_text("Learning rate").first).to_be_attached()
    expect_ticked(page, 0, 1)

    accuracies = [run.result.valid_accuracy or 0.0 for run in runs if run.result]
    with workspace_of(server):
        write_run(7, "middling", top=sum(accuracies) / 2 + 0.0075)
    page.wait_for_function(
        "document.querySelector('[data-testid=stDataFrame] [role=grid]')?.getAttribute('aria-rowcount') === '4'"
    )
    expect(page.get_by_text("poor against good")).to_be_visible()
    expect_ticked(page, 0, 2)  # good and poor, with the new run between them
    expect(page).to_have_url(re.compile("runs=poor(,|%2C)good"))
    tick(page, 1)
    expect(page).to_have_url(re.compile("runs=poor(,|%2C)good(,|%2C)middling"))
    expect(page.get_by_text("3 side by side")).to_be_visible()

    page.reload()
    expect(page.get_by_text("3 side by side")).to_be_visible(timeout=60_000)
    expect_ticked(page, 0, 1, 2)


def test_a_deleted_run_is_gone_at_once_and_comes_back(server: Server, runs: list[Run], page: Page) -> None:
    run = train(server, "doomed")
    page.goto(f"{server.url}/runs?runs=doomed")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("doomed deleted.")).to_be_visible()
    with workspace_of(server):
        assert run not in list_runs()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Open curve")).to_be_visible()
    expect(page).to_have_url(re.compile("runs=doomed"))
    with workspace_of(server):
        assert run in list_runs()


def test_the_latest_run_is_followed_and_its_model_exported(server: Server, runs: list[Run], page: Page) -> None:
    page.goto(f"{server.url}/runs?runs=latest")
    train(server, "newer")
    expect(page.locator(".rs-section", has_text="newer")).to_be_visible()
    run = train(server, "newest")
    expect(page.locator(".rs-section", has_text="newest")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export model").click()
    assert download.value.suggested_filename == "newest.safetensors"
    assert download.value.path().read_bytes() == run.model_file.read_bytes()
