"""Before a training starts: its forecast, its budget, several runs at once, and the queue."""

import re

from playwright.sync_api import Page, expect

from core.jobs import list_waiting
from core.runs import list_runs
from tests.browser.conftest import Server, workspace_of


def place_of_start(page: Page) -> float:
    box = page.locator(".st-key-start button").bounding_box()
    assert box is not None
    return box["y"]


def test_the_forecast_arrives_by_itself_and_nothing_jumps(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/training")
    expect(page.get_by_text(re.compile("rehears", re.IGNORECASE)).first).to_be_visible()
    expect(page.locator("[data-testid=stVegaLiteChart] svg")).to_be_visible()
    before = place_of_start(page)
    expect(page.locator(".rs-big")).to_have_text(re.compile(r"\d+ s\s+\(\d+"), timeout=90_000)
    expect(page.get_by_text("rehearsing")).to_have_count(0, timeout=120_000)
    assert abs(place_of_start(page) - before) < 1
    expect(page.get_by_text("no earlier run here to correct it by")).to_be_visible()

    page.locator(".st-key-preset").get_by_text("compact", exact=True).click()
    page.get_by_text("Time I have, minutes").click()
    page.get_by_label("Minutes", exact=True).fill("0.1")
    page.keyboard.press("Enter")
    expect(page.get_by_text(re.compile("it stops after .* steps instead|are too few"))).to_be_visible()
    for typed, said in (("-5", "must be more than 0"), ("", "Type how many minutes you have")):
        page.get_by_label("Minutes", exact=True).fill(typed)
        page.keyboard.press("Enter")
        expect(page.get_by_text(said).first).to_be_visible()
        expect(page.locator(".st-key-start button")).to_be_disabled()


def test_three_seeds_are_queued_shown_on_the_runs_page_and_taken_out_again(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/training")
    page.locator(".st-key-preset").get_by_text("classic", exact=True).click()
    page.get_by_text("3 seeds").click()
    page.get_by_role("button", name="Queue 3 runs").click()
    expect(page).to_have_url(re.compile(r"/runs\?runs="), timeout=60_000)
    with workspace_of(server):
        runs = list_runs()
        assert sorted(run.settings.config.training.seed for run in runs) == [0, 1, 2]
        assert len({run.about.group for run in runs}) == 1

    page.goto(f"{server.url}/training")
    expect(page.get_by_text("Queue: 2 of 10 places taken")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("button", name="Add to queue")).to_be_visible()
    page.locator(".st-key-queue-down-classic-seeds-1-2 button").first.click()
    expect(page.get_by_text(re.compile("^1 · classic-seeds-1 3"))).to_be_visible()
    page.locator(".st-key-queue-remove-classic-seeds-1-2 button").first.click()
    expect(page.get_by_text("Queue: 1 of 10 places taken")).to_be_visible()
    page.locator(".st-key-queue-remove-classic-seeds-1-3 button").first.click()
    expect(page.get_by_text("places taken")).to_have_count(0)
    with workspace_of(server):
        assert not list_waiting("train")
