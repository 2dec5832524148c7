"""Taking a scored table away in a real browser: with one click, and after a choice."""

import csv
import io
import json
import re

import pytest
from playwright.sync_api import Download, Page, expect

from core.job_folder import JobReporter
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk
from core.prediction.predictor import Predictor
from core.prediction.uploads import save_upload
from tests.browser.conftest import Server, workspace_of

TABLE = (
    "id,shop,=text\n"
    + "".join(f"{n},{'north' if n % 2 else 'south'},A wonderful film {n}.\n" for n in range(40))
    + '40,north,"=HYPERLINK(""http://example.org"",""dull"")"\n41,south,\ntoo,few,fields,here\n'
)


@pytest.fixture(scope="module")
def job(server: Server) -> BulkJob:
    with workspace_of(server):
        upload = save_upload(io.BytesIO(TABLE.encode()), "![x](http://example.org/x.png) shop.csv")
        request = BulkRequest(
            model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=(2,), id_column=0
        )
        made = create_bulk_job(upload, request)
        execute_bulk(made, JobReporter(made))
        return made


def address(server: Server, job: BulkJob) -> str:
    return f"{server.url}/prediction?view=file&upload={job.upload.upload_id}&job={job.job_id}"


def rows_of(download: Download) -> list[list[str]]:
    assert download.path() is not None
    return list(csv.reader(io.StringIO(download.path().read_bytes().decode("utf-8-sig"), newline="")))


def test_one_click_takes_all_columns_with_scores_safe_for_excel(server: Server, page: Page, job: BulkJob) -> None:
    page.goto(address(server, job))
    link = page.get_by_role("link", name="Download with scores")
    expect(link).to_be_visible(timeout=90_000)  # the first file waits for a worker to start
    with page.expect_download() as taken:
        link.click()
    assert taken.value.suggested_filename.endswith(" shop-scored.csv")
    names, *rows = rows_of(taken.value)
    assert names == ["id", "shop", "'=text", "sentiment", "probability", "confidence"]
    assert [row[0] for row in rows] == [str(n) for n in range(42)]
    assert rows[40][2].startswith("'=HYPERLINK") and rows[41][3:] == ["", "", ""]


def test_another_file_is_chosen_made_and_taken(server: Server, page: Page, job: BulkJob) -> None:
    page.goto(address(server, job))
    page.get_by_role("button", name="Other files").click()
    page.get_by_text("Ids and scores, without text").click()
    page.get_by_role("button", name="not sure", exact=True).click()
    page.get_by_role("button", name="Make the file").click()
    link = page.get_by_role("link", name=re.compile("Download, "))
    expect(link).to_be_visible(timeout=90_000)  # the first file waits for a worker to start
    with page.expect_download() as taken:
        link.click()
    assert rows_of(taken.value)[0] == ["id", "sentiment", "probability", "confidence", "not_sure"]
    with page.expect_download() as taken:
        page.get_by_role("link", name="About it").click()
    about = json.loads(taken.value.path().read_text())
    assert about["rows"] == {"in_file": 43, "scored": 41, "rejected": 2, "written": 42, "is_complete": True}


def test_a_filter_reaches_the_download(server: Server, page: Page, job: BulkJob) -> None:
    page.goto(f"{address(server, job)}&file_of={job.job_id}&file_c1=north")
    page.get_by_role("button", name="Other files").click()
    page.get_by_text("The filtered rows (21), all columns with scores").click()
    page.get_by_role("combobox", name="Format").click()
    page.get_by_role("option", name="CSV, raw").click()
    page.get_by_role("button", name="Make the file").click()
    link = page.get_by_role("link", name=re.compile("Download, "))
    expect(link).to_be_visible(timeout=90_000)  # the first file waits for a worker to start
    with page.expect_download() as taken:
        link.click()
    names, *rows = rows_of(taken.value)
    assert names[:3] == ["id", "shop", "=text"] and len(rows) == 21 and {row[1] for row in rows} == {"north"}
    assert rows[-1][2].startswith("=HYPERLINK"), "raw is raw"


def test_the_charts_are_taken_as_one_page_that_asks_for_nothing(server: Server, page: Page, job: BulkJob) -> None:
    page.goto(address(server, job))
    page.get_by_role("button", name="Other files").click()
    page.get_by_text("The charts, as one page").click()
    page.get_by_role("button", name="Make the file").click()
    link = page.get_by_role("link", name=re.compile("Download, "))
    expect(link).to_be_visible(timeout=90_000)  # the first file waits for a worker to start
    with page.expect_download() as taken:
        link.click()
    path = taken.value.path().rename(taken.value.path().with_suffix(".html"))
    asked: list[str] = []
    assert page.context.browser is not None
    report = page.context.browser.new_page()  # apart from the page, whose requests to anywhere else are faults
    report.on("request", lambda request: asked.append(request.url))
    report.goto(f"file://{path}")
    expect(report.locator("#figure-0 .main-svg").first).to_be_visible()
    expect(report.locator("#chart-0 svg").first).to_be_visible()
    report.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
