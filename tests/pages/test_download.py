"""What the page of a scored table offers to take away, driven without a browser."""

import io
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.job_folder import JobReporter
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk
from core.prediction.exporting import ExportJob, execute_export, list_exports, plan_export
from core.prediction.predictor import Predictor
from core.prediction.uploads import save_upload
from dashboard import api
from dashboard.bulk import download

ROOT = Path(__file__).resolve().parents[2]
CONTENT = "shop,text\n" + "".join(f"{'ab'[n % 2]},A wonderful film {n}.\n" for n in range(30)) + "a,\n"


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue jobs, but start no process for them; the routes are there as on the real server."""
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    monkeypatch.setattr(api, "_are_served", True)


@pytest.fixture
def job() -> BulkJob:
    upload = save_upload(io.BytesIO(CONTENT.encode()), "![x](http://example.org/x.png).csv")
    request = BulkRequest(model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=(1,))
    made = create_bulk_job(upload, request)
    execute_bulk(made, JobReporter(made))
    return made


def open_page(job: BulkJob, **filters: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    page.switch_page("../pages/prediction.py")
    named = {"view": "file", "upload": job.upload.upload_id, "job": job.job_id, **filters}
    for name, value in named.items():
        page.query_params[name] = value
    return sound(page.run())


def sound(page: AppTest) -> AppTest:
    assert not page.exception, [each.value for each in page.exception]
    return page


def links(page: AppTest) -> dict[str, str]:
    return {each.proto.label: each.proto.url for each in page.get("link_button")}


def work_off(job: BulkJob) -> list[ExportJob]:
    """Make what was asked for, as the worker does."""
    made = [each for each in list_exports(job) if each.state.status == "queued"]
    for export in made:
        execute_export(export, JobReporter(export))
    return made


def test_the_usual_file_is_made_unasked_and_then_one_link(job: BulkJob) -> None:
    page = open_page(job)
    assert "Download with scores" not in links(page)
    (export,) = work_off(job)
    assert export.request == plan_export(job).request and export.request.format == "csv-excel"
    sound(page.run())
    url = links(page)["Download with scores"]
    assert url.startswith(f"{api.file_path(export)}?until=") and "ticket=" in url


def test_a_large_table_s_file_waits_for_the_button(job: BulkJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "MADE_UNASKED_BYTES", 10)
    page = open_page(job)
    assert list_exports(job) == []
    next(each for each in page.button if each.label == "Download with scores").click().run()
    assert len(list_exports(job)) == 1


def test_what_failed_is_said_and_may_be_tried_again(job: BulkJob) -> None:
    export = plan_export(job).create()
    export.save_state("failed", "The disk is full.")
    page = open_page(job)
    assert list_exports(job)[0].state.status == "failed", "it is not asked for again and again"
    button = next(each for each in page.button if each.label == "Download with scores")
    assert "The disk is full." in button.help
    button.click().run()
    assert list_exports(job)[0].state.status == "queued"


def test_a_choice_is_made_and_taken_with_what_is_known_of_it(job: BulkJob) -> None:
    page = open_page(job)
    work_off(job)
    sound(page.run())
    what = next(each for each in page.radio if each.label == "What")
    assert what.options == [
        "All columns with scores", "Ids and scores, without text", "Rejected rows (1), with line and reason",
        "The charts, as one page",
    ]  # fmt: skip
    what.set_value("scores").run()
    next(each for each in page.selectbox if each.label == "Format").set_value("parquet").run()
    next(each for each in page.button if each.label == "Make the file").click().run()
    (export,) = work_off(job)
    assert (export.request.preset, export.request.format) == ("scores", "parquet")
    sound(page.run())
    found = links(page)
    assert any(label.startswith("Download, ") for label in found) and found["About it"].startswith(
        api.file_path(export, "about")
    )


def test_a_filter_is_a_choice_of_its_own_rows(job: BulkJob) -> None:
    page = open_page(job, file_of=job.job_id, file_c0="a")
    what = next(each for each in page.radio if each.label == "What")
    assert "The filtered rows (15), all columns with scores" in what.options
    what.set_value("filter").run()
    next(each for each in page.button if each.label == "Make the file").click().run()
    asked = next(each for each in list_exports(job) if each.request.preset == "filter")
    execute_export(asked, JobReporter(asked))
    assert asked.about is not None and asked.about.rows.written == 15 and "a" in asked.about.filter


def test_without_the_routes_the_page_hands_the_file_over_itself(job: BulkJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_are_served", False)
    page = open_page(job)
    work_off(job)
    sound(page.run())
    assert not links(page) and any(each.proto.label == "Download with scores" for each in page.get("download_button"))
