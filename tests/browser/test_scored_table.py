"""A scored table in a real browser: its charts are doors, and what they filter outlasts a reload."""

import io
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from core.data.demo import write_demo_table
from core.job_folder import JobReporter
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk
from core.prediction.predictor import Predictor
from core.prediction.uploads import save_upload
from tests.browser.conftest import Server, workspace_of


def score(server: Server, content: str, text: int) -> BulkJob:
    with workspace_of(server):
        upload = save_upload(io.BytesIO(content.encode()), "shop.csv")
        sha256 = Predictor.load("starter").sha256
        job = create_bulk_job(upload, BulkRequest(model="starter", model_sha256=sha256, text_columns=(text,)))
        execute_bulk(job, JobReporter(job))
    return job


@pytest.fixture(scope="module")
def demo(server: Server) -> Iterator[BulkJob]:
    text = io.StringIO(newline="")
    write_demo_table(text)
    yield score(server, text.getvalue(), 4)


def open_result(server: Server, page: Page, job: BulkJob, height: int = 2_600) -> None:
    page.set_viewport_size({"width": 1280, "height": height})  # so that nothing has to be scrolled to be clicked
    page.goto(f"{server.url}/prediction?view=file&upload={job.upload.upload_id}&job={job.job_id}")
    expect(page.get_by_text("rows in").first).to_be_visible(timeout=60_000)


def filter_words(page: Page) -> Locator:
    return page.locator(".st-key-file_bar")


def click_at(page: Page, chart: Locator, x: float, y: float) -> None:
    """Click at a place in a chart, as shares of its size or, from 1 on, in pixels."""
    expect(chart.locator("svg").first).to_be_visible(timeout=60_000)
    box = chart.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + (x if x > 1 else x * box["width"]), box["y"] + (y if y > 1 else y * box["height"]))


def test_a_row_of_the_groups_filters_everything_and_a_reload_keeps_it(
    server: Server, page: Page, demo: BulkJob
) -> None:
    open_result(server, page, demo)
    click_at(page, page.locator("[data-testid=stPlotlyChart]").nth(0), 0.6, 24 + 26 * 3)
    expect(filter_words(page)).to_contain_text(re.compile(r"\d+ reviews of 1,200: product "))
    said = filter_words(page).inner_text()
    assert "file_c1=" in page.url
    page.reload()
    expect(filter_words(page)).to_contain_text(re.search(r"\d+ reviews of 1,200: product .*", said)[0].strip())  # type: ignore[index]
    page.get_by_role("button", name="Clear").click()
    expect(filter_words(page)).to_contain_text("No filter: 1,200 scored rows.")
    assert "file_" not in page.url


def test_a_stretch_of_time_is_drawn_and_combines_with_a_score(server: Server, page: Page, demo: BulkJob) -> None:
    open_result(server, page, demo)
    chart = page.locator("[data-testid=stPlotlyChart]").nth(1)
    expect(chart.locator(".rangeslider-container").first).to_be_visible(timeout=60_000)
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 150, box["y"] + 120)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 140, steps=8)
    page.mouse.up()
    expect(filter_words(page)).to_contain_text(
        re.compile(r"\d+ reviews of 1,200: date \d+ \w{3} 2024 to \d+ \w{3} 2024")
    )
    click_at(page, page.locator("[data-testid=stVegaLiteChart]").nth(0), 0.92, 60)
    expect(filter_words(page)).to_contain_text("probability of positive")
    expect(filter_words(page)).to_contain_text("date")


def test_a_word_is_a_door_to_the_rows_that_hold_it(server: Server, page: Page, demo: BulkJob) -> None:
    open_result(server, page, demo)
    expect(page.get_by_text("Most telling of positive").first).to_be_visible(timeout=60_000)
    click_at(page, page.locator("[data-testid=stVegaLiteChart]").nth(2), 0.5, 60)
    expect(filter_words(page)).to_contain_text(re.compile(r"\d+ reviews of 1,200: with the word “\w+”"), timeout=60_000)


def test_a_search_in_the_box_finds_texts_with_marks_of_code(server: Server, page: Page) -> None:
    rows = "".join(
        f'"superb <b>film</b> & ![x](http://example.org/{number}.png)",{number % 3}\n' for number in range(40)
    )
    job = score(server, "text,kind\n" + rows + '"dull <script>document.title=1</script>",1\n', 0)
    open_result(server, page, job, 1_500)
    page.get_by_role("button", name="Filter").first.click()
    box = page.get_by_role("textbox", name="Text contains")
    box.fill("<b>FILM</b> &")
    box.press("Enter")
    expect(filter_words(page)).to_contain_text("40 reviews of 41: containing “<b>FILM</b> &”", timeout=60_000)
    assert page.locator("img[src*='example.org']").count() == 0


def test_the_numbers_of_a_chart_unfold_as_a_table(server: Server, page: Page, demo: BulkJob) -> None:
    open_result(server, page, demo)
    page.locator(".st-key-file_table_groups").get_by_text("Show as table").click()
    expect(page.get_by_role("button", name="Search: The numbers of the chart.")).to_be_attached()
