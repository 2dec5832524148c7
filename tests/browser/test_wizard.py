"""The wizard in a real browser: from a file to its result, a reload, a stop and what comes after it, hostile names."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core import settings
from tests.browser.conftest import Server, workspace_of
from tests.browser.test_prediction import HOSTILE
from tests.core.data.awkward_kinds import sheet_row, text_cell, workbook

RESULT_SECONDS = 90_000


def open_wizard(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/prediction?view=file")
    expect(page.get_by_text("1 · File")).to_be_visible()


def upload(server: Server, page: Page, name: str, content: bytes) -> None:
    open_wizard(server, page)
    page.locator("input[type=file]").first.set_input_files([{"name": name, "mimeType": "text/csv", "buffer": content}])


def score(page: Page) -> None:
    """Wait for the rehearsal, then press the one filled button."""
    button = page.get_by_role("button", name=re.compile(r"^Score (about )?[\d,]+ rows?$"))
    expect(button).to_be_visible(timeout=RESULT_SECONDS)
    button.click()


def expect_rows(page: Page, words: str) -> None:
    expect(page.get_by_text(words).first).to_be_visible(timeout=RESULT_SECONDS)


def choose(page: Page, label: str, option: str) -> None:
    page.get_by_role("combobox", name=label).click()
    page.get_by_role("option", name=option, exact=True).click()


def test_a_file_is_rehearsed_then_scored_and_a_reload_shows_the_same(server: Server, page: Page) -> None:
    upload(server, page, "four.csv", b"id,review\n1,superb and tender\n2,NA\n3,dull and limp\n4,broken,row\n")
    expect(page.get_by_text("3 · Rehearsal: the first 3 rows")).to_be_visible(timeout=RESULT_SECONDS)
    expect(page.get_by_text("The whole file:")).to_be_visible()
    expect(page.get_by_text("1 × 3 fields where the header has 2 (line 5)")).to_be_visible()
    page.reload()
    expect(page.get_by_text("3 · Rehearsal: the first 3 rows")).to_be_visible(timeout=RESULT_SECONDS)
    score(page)
    expect_rows(page, "4 rows in")
    expect(page.get_by_text("Rejected rows").first).to_be_visible()
    page.reload()
    expect_rows(page, "4 rows in")


def test_the_sample_data_is_scored_and_charted(server: Server, page: Page) -> None:
    open_wizard(server, page)
    page.get_by_role("button", name="Try with sample data").click()
    score(page)
    expect_rows(page, "1,200 rows in")
    expect(page.locator("[data-testid=stPlotlyChart]").first).to_be_visible()


def test_title_and_body_are_joined_in_the_order_of_the_clicks(server: Server, page: Page) -> None:
    upload(server, page, "shop.csv", b"order,title,text\n7,Superb,the plot drags\n8,Dull,but short\n")
    box = page.get_by_role("combobox", name="Columns with the text")
    box.click()
    page.get_by_role("option", name="2: title").click()
    expect(page.locator(".rs-review").first).to_have_text("the plot drags\nSuperb", use_inner_text=True)
    page.keyboard.press("Escape")
    choose(page, "Rows are named by", "1: order")
    expect(page).to_have_url(re.compile(r"columns=2\.1.*ids=0|ids=0.*columns=2\.1"))
    score(page)
    expect_rows(page, "2 rows in")


def test_pasted_lines_are_scored(server: Server, page: Page) -> None:
    open_wizard(server, page)
    page.get_by_text("Paste lines").click()
    page.get_by_role("textbox", name="Reviews, one a line").fill('superb, and "tender"\ndull; limp\n')
    page.get_by_role("button", name="Go on with these lines").click()
    score(page)
    expect_rows(page, "2 rows in")


def test_a_sheet_of_a_workbook_is_chosen_read_and_scored(server: Server, page: Page) -> None:
    rows = [("id", "text"), *((str(number), f"a superb film, number {number}") for number in range(1, 40))]
    sheet = "".join(sheet_row(number, *map(text_cell, row)) for number, row in enumerate(rows, 1))
    about = sheet_row(1, text_cell("nothing here"))
    upload(server, page, "book.xlsx", workbook(about, sheet, names=("Read me", "![x](http://example.org/s.png)")))
    choose(page, "Sheet", "2: ![x](http://example.org/s.png)")
    page.get_by_role("button", name="Read this sheet").click()
    expect(
        page.get_by_text("Read as an Excel workbook, sheet “![x](http://example.org/s.png)”, with a header.")
    ).to_be_visible(timeout=RESULT_SECONDS)
    score(page)
    expect_rows(page, "39 rows in")


def test_a_reload_mid_job_shows_the_same_and_a_stopped_one_goes_on(server: Server, page: Page) -> None:
    rows = 240_000
    with workspace_of(server):
        inbox = settings.home() / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    lines = (
        f"{row},The plot of film {row} is {'dull' if row % 3 else 'superb'} and number {row * 7} says so"
        for row in range(rows)
    )
    (inbox / "many.csv").write_text("id,text\n" + "\n".join(lines) + "\n")
    open_wizard(server, page)
    page.get_by_text("A file on this machine").click()
    page.get_by_role("combobox", name="File").click()
    page.get_by_role("option", name=re.compile("many.csv")).click()
    page.get_by_role("button", name="Go on with this file").click()
    score(page)
    progress = page.get_by_text(re.compile(r"^[\d,]+ of 240,000 rows"))
    expect(progress).to_be_visible(timeout=RESULT_SECONDS)
    page.reload()
    expect(page.get_by_text("It goes on without this page.")).to_be_visible()
    page.get_by_role("button", name="Cancel, keep what is scored").click()
    stopped = page.get_by_text(re.compile(r"Stopped at row [\d,]+ of 240,000\. Go on, or look at these"))
    expect(stopped).to_be_visible(timeout=RESULT_SECONDS)
    page.get_by_role("button", name="Go on", exact=True).click()
    expect_rows(page, "240,000 rows in")


def test_hostile_texts_in_file_name_column_names_and_rows_stay_text(server: Server, page: Page) -> None:
    csv.field_size_limit(10**7)
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["review", HOSTILE["image"], HOSTILE["html image"], HOSTILE["formula"], "", "review"])
    for text in HOSTILE.values():
        writer.writerow([text[:900_000], text[:50], text[:50], text[:50], text[:50], text[:50]])
    upload(server, page, "![x](http:%2F%2Fexample.org%2Fz.png)<b>.csv", stream.getvalue().encode())
    expect(page.get_by_text("2 · Columns")).to_be_visible(timeout=RESULT_SECONDS)
    expect(page.get_by_text(f"2: {HOSTILE['image']}")).to_be_visible()  # the only long text whose name stands once
    for name in ("1: review", "6: review", "5: (no name)"):
        page.get_by_role("combobox", name="Columns with the text").click()
        page.get_by_role("option", name=name, exact=True).click()
        page.keyboard.press("Escape")
    score(page)
    expect_rows(page, "7 rows in")
    assert "owned" not in page.title()


def test_a_file_of_another_kind_is_refused_in_a_sentence_with_a_way_on(server: Server, page: Page) -> None:
    upload(server, page, "renamed.csv", b"PK\x03\x04" + b"\0" * 300)
    expect(page.get_by_text("This looks like a ZIP archive")).to_be_visible(timeout=RESULT_SECONDS)
    page.get_by_role("button", name="Choose another file").click()
    expect(page.get_by_text("1 · File")).to_be_visible()


@pytest.mark.parametrize("width", [420, 1280])
def test_no_step_is_wider_than_the_screen(server: Server, page: Page, width: int, tmp_path: Path) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    open_wizard(server, page)
    narrow = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
    assert page.evaluate(narrow)
    page.get_by_role("button", name="Try with sample data").click()
    expect(page.get_by_text("2 · Columns")).to_be_visible(timeout=RESULT_SECONDS)
    assert page.evaluate(narrow)
