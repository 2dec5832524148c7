"""A scored table where a file of the workspace is damaged, half or gone: a sentence and a way on, never less."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.demo import write_demo_table
from core.prediction import bulk
from core.prediction.bulk_job import BulkJob
from core.prediction.exporting import create_export
from core.prediction.rehearsing import create_rehearsal
from core.prediction.uploads import Upload
from tests.pages.test_prediction import labels, open_page, sound, words_of
from tests.pages.test_scored_table import score

DAMAGES: dict[str, Callable[[Path], object]] = {
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "garbage": lambda path: path.write_bytes(b"\x00\xff no such thing\n" * 9),
    "another document": lambda path: path.write_bytes(b"[]"),
    "brackets": lambda path: path.write_bytes(b"[" * 100_000),
    "gone": lambda path: path.unlink(),
}
FILES = [
    "about.json", "table", "request.json", "state.json", "result.json", "facets.parquet", "parts/00000.parquet",
    "parts/00002.parquet", "labels.jsonl", "export/about.json", "export/request.json", "export/state.json",
    "rehearsal/request.json", "rehearsal/state.json", "rehearsal/result.json",
]  # fmt: skip


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> BulkJob:
    """Return the demo table, scored in four parts, with a rehearsal and a file to take away."""
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 400)
    text = io.StringIO(newline="")
    write_demo_table(text)
    job = score(text.getvalue() + "too,few\n", 4)
    jobs.run_job(create_rehearsal(job.upload, job.request).path)
    jobs.run_job(create_export(job).path)
    (job.path / "labels.jsonl").write_text("")
    return job


def place_of(job: BulkJob, name: str) -> Path:
    folder, _, rest = name.rpartition("/")
    if folder in ("export", "rehearsal"):
        return next((job.path if folder == "export" else job.upload.path).glob(f"{folder}-*")) / rest
    return (job.upload.path if name in ("about.json", "table") else job.path) / name


def open_result(job: BulkJob, **more: str) -> AppTest:
    return open_page(view="file", upload=job.upload.upload_id, job=job.job_id, **more)


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_damaged_the_page_has_no_traceback(job: BulkJob, name: str) -> None:
    path, kept = place_of(job, name), job.path.parent.with_suffix(".kept")
    shutil.copytree(job.upload.path, kept)
    for damage in DAMAGES.values():
        shutil.rmtree(job.upload.path)
        shutil.copytree(kept, job.upload.path)
        damage(path)
        open_result(job)
        if name.startswith("rehearsal"):
            open_page(view="file", upload=job.upload.upload_id, columns="1")
    shutil.rmtree(kept)


@pytest.mark.parametrize("name", ["parts/00000.parquet", "parts/00002.parquet", "facets.parquet", "result.json"])
def test_what_is_damaged_of_a_result_is_made_anew_by_one_click(job: BulkJob, name: str) -> None:
    path = place_of(job, name)
    before = path.read_bytes()
    DAMAGES["half"](path)
    page = open_result(job)
    way_on = "Go on" if name == "result.json" else "Make it anew"
    assert way_on in labels(page)
    next(each for each in page.button if each.label == way_on).click().run()
    sound(page)
    jobs.run_job(job.path)
    assert path.read_bytes() == before or name == "result.json"
    assert "1,201 rows in" in words_of(open_result(job)).replace("  ", " ") and job.is_done


def test_facets_of_another_length_are_not_drawn(job: BulkJob) -> None:
    pq.write_table(pq.read_table(job.facets_file)[:100], job.facets_file)
    page = open_result(job)
    assert "is not that of the result" in words_of(page) and "Make it anew" in labels(page)


def test_a_job_of_which_nothing_is_known_leads_back_to_the_columns(job: BulkJob) -> None:
    DAMAGES["half"](place_of(job, "request.json"))
    page = open_result(job)
    assert "request.json is not valid JSON" in words_of(page)
    next(each for each in page.button if each.label == "Choose the columns again").click().run()
    assert "2 · Columns" in words_of(sound(page))


def test_a_file_that_another_tab_deletes_while_it_is_drawn_is_told_of(
    job: BulkJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse = Upload.refuse_changed

    def delete_then_refuse(upload: Upload) -> None:
        shutil.rmtree(upload.path)
        refuse(upload)

    monkeypatch.setattr(Upload, "refuse_changed", delete_then_refuse)
    page = open_page(view="file", upload=job.upload.upload_id)
    assert "about.json" in words_of(page) and "Look again" in labels(page)
