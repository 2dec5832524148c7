"""One review, a spreadsheet, and texts that mean harm."""

import io
import re

import pytest
from playwright.sync_api import Page, expect

from core import settings
from core.config import preset_config
from core.prediction.uploads import save_upload
from core.runs import copy_file, create_run
from tests.browser.conftest import Server, workspace_of

HOSTILE = {
    "script": "<script>document.title='owned'</script> superb",
    "image": "![x](http://example.org/x.png) superb",
    "html image": "<img src=http://example.org/y.png onerror=alert(1)> superb",
    "formula": '=HYPERLINK("http://example.org","superb")',
    "right to left": "\u202esuperb\u202c film",
    "zero width": "su\u200bperb\ufeff film",
    "very long": "superb " * 150_000,
}


def read_one_review(server: Server, page: Page, text: str) -> None:
    page.goto(f"{server.url}/prediction")
    box = page.get_by_role("textbox", name="Review").first
    box.fill(text)
    page.get_by_role("button", name="Read this review").click()


def test_a_review_is_read_with_the_starter_before_any_training(server: Server, page: Page) -> None:
    read_one_review(server, page, "A superb, tender film!")
    expect(page.get_by_text("starter model").first).to_be_visible()
    expect(page.locator(".rs-review mark").first).to_be_visible(timeout=30_000)
    assert page.locator(".rs-review").first.text_content() == "A superb, tender film!"


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "very long"])
def test_a_hostile_review_is_shown_as_it_is(server: Server, page: Page, name: str) -> None:
    read_one_review(server, page, HOSTILE[name])
    review = page.locator(".rs-review").first
    expect(review).to_be_visible(timeout=30_000)
    assert review.text_content() == HOSTILE[name]
    assert page.locator(".rs-review script, .rs-review img").count() == 0
    assert "owned" not in page.title()


def tick(page: Page, table: int, row: int) -> None:
    """Tick a row of a table; the table is drawn on a canvas, so that only the mouse finds it."""
    grid = page.locator("[data-testid=stDataFrame]").nth(table)
    grid.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = grid.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + 36 + 38 * row + 19)


def test_a_text_of_this_tab_is_read_again_by_one_click_and_gone_with_a_reload(server: Server, page: Page) -> None:
    read_one_review(server, page, HOSTILE["image"])
    expect(page.locator(".rs-review").first).to_have_text(HOSTILE["image"])
    box = page.get_by_role("textbox", name="Review").first
    box.fill("Dull and limp.")
    page.get_by_role("button", name="Read this review").click()
    expect(page.locator(".rs-review").first).to_have_text("Dull and limp.")
    tick(page, 0, 1)
    expect(page.locator(".rs-review").first).to_have_text(HOSTILE["image"])
    expect(box).to_have_value(HOSTILE["image"])
    page.reload()
    expect(page.get_by_text("Nothing to read yet.")).to_be_visible()
    expect(page.locator("[data-testid=stDataFrame]")).to_have_count(0)


def test_two_models_stand_side_by_side_and_on_a_narrow_screen_one_under_the_other(server: Server, page: Page) -> None:
    with workspace_of(server):
        twin = create_run(preset_config("fast"), "fast", "twin")
        copy_file(settings.STARTER_FILE, twin.model_file)
        twin.save_state("finished")
    read_one_review(server, page, "A superb, tender film!")
    page.get_by_role("combobox", name="Compare with").click()
    page.get_by_role("option", name="twin", exact=True).click()
    expect(page.get_by_text("Both read it as positive, with the same probability")).to_be_visible()
    reviews = page.locator(".rs-review")
    expect(reviews).to_have_count(2)
    page.wait_for_timeout(2_000)  # until nothing moves any more
    first, second = (reviews.nth(place).bounding_box() for place in (0, 1))
    assert first is not None and second is not None
    assert abs(first["y"] - second["y"]) < 2 and second["x"] > first["x"] + first["width"] - 1
    page.set_viewport_size({"width": 420, "height": 1000})
    page.wait_for_timeout(1_000)
    first, second = (reviews.nth(place).bounding_box() for place in (0, 1))
    assert first is not None and second is not None
    assert abs(first["x"] - second["x"]) < 2 and second["y"] > first["y"] + first["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_kept_file_is_pinned_and_deleted(server: Server, page: Page) -> None:
    with workspace_of(server):
        kept = save_upload(io.BytesIO(b"text\na tender film\n"), "![x](http://example.org/kept.png).csv")
    page.goto(f"{server.url}/prediction?view=saved")
    expect(page.get_by_text("on disk with all that was made of them")).to_be_visible()
    tick(page, 0, 0)
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_text("Pinned: kept until unpinned.")).to_be_visible()
    assert kept.about.pinned
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text(re.compile("The file goes for good"))).to_be_visible()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_role("button", name="Delete for good")).to_have_count(0)
    assert not kept.path.exists()
