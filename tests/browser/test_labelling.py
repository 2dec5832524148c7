"""Fifty rows labelled by keys in a real browser: the estimate appears, narrows, and outlasts a reload."""

import re

from playwright.sync_api import Page, expect

from core.prediction.trust import read_labels
from tests.browser.conftest import Server
from tests.browser.test_scored_table import open_result, score

ROWS = [f"A {word} film, number {number}." for number in range(100) for word in ("superb", "dreadful")]


def test_fifty_rows_are_labelled_by_keys_and_the_estimate_outlasts_a_reload(server: Server, page: Page) -> None:
    job = score(server, "text\n" + "\n".join(f'"{row}"' for row in ROWS) + "\n", 0)
    open_result(server, page, job, height=1_400)
    page.get_by_role("button", name=re.compile("^Label 50 rows")).click()
    box = page.get_by_role("dialog")
    for place in range(1, 51):
        expect(box.get_by_text(f", {place} of 50 to label.")).to_be_visible()
        page.wait_for_timeout(150)  # the keys are listened to once the buttons stand
        page.keyboard.press("2" if "superb" in box.locator(".rs-review").inner_text() else "1")
    expect(box.get_by_text("Every drawn row has a label.")).to_be_visible()
    expect(box.get_by_text(re.compile(r"of all 200 scored rows are right \(.*\): \d+ of 50"))).to_be_visible()
    assert len(read_labels(job.path)) == 50
    page.reload()
    expect(page.get_by_role("button", name="See your 50 labels")).to_be_visible(timeout=60_000)
