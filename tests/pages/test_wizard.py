"""The wizard of the prediction page, driven without a browser: file, columns, rehearsal, run."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.data.tables import TableOptions
from core.job_folder import JobReporter
from core.model_settings import ModelSettings, save_settings
from core.prediction.bulk_job import BulkJob, execute_bulk, list_jobs
from core.prediction.predictor import Predictor
from core.prediction.rehearsing import RehearsalJob, execute_rehearsal
from core.prediction.uploads import ConversionJob, Upload, find_upload, list_uploads, save_upload
from core.runs import Run, copy_file
from tests.benchmarks.runs_page import write_run
from tests.core.data import awkward_kinds
from tests.core.data.awkward_kinds import sheet_row, text_cell

ROOT = Path(__file__).resolve().parents[2]
TABLE = b"product,text\n" + b"kettle,a superb and touching film\ntoaster,dull and awful\n" * 60


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue jobs, but start no process for them."""
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def open_page(**parameters: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    page.switch_page("../pages/prediction.py")
    for name, value in {"view": "file", **parameters}.items():
        page.query_params[name] = value
    page.run()
    return sound(page)


def sound(page: AppTest) -> AppTest:
    assert not page.exception, [each.value for each in page.exception]
    return page


def texts(page: AppTest) -> str:
    return "\n".join(element.proto.body for element in page.get("html"))


def button(page: AppTest, label: str) -> Any:
    return next(each for each in page.button if each.label == label)


def labels(page: AppTest) -> list[str]:
    return [each.label for each in page.button]


def parameter(page: AppTest, name: str) -> str | None:
    value = page.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def saved(content: bytes = TABLE, name: str = "reviews.csv") -> Upload:
    return save_upload(io.BytesIO(content), name)


def run_rehearsals(page: AppTest) -> AppTest:
    """Do what the worker of the slot quick would do, then look again."""
    for path in (settings.home() / "uploads").glob("*/rehearsal-*"):
        if RehearsalJob(path).exists and RehearsalJob(path).state.status == "queued":
            execute_rehearsal(RehearsalJob(path), JobReporter(RehearsalJob(path)))
    page.run()
    return sound(page)


def run_conversions(page: AppTest) -> AppTest:
    for path in (settings.home() / "uploads").glob("*/rows-*"):
        if ConversionJob(path).exists and ConversionJob(path).state.status == "queued":
            jobs.run_job(path)
    page.run()
    return sound(page)


def queued_job(page: AppTest) -> BulkJob:
    upload = find_upload(parameter(page, "upload") or "")
    assert upload is not None
    return list_jobs(upload)[0]


def started(content: bytes = TABLE) -> tuple[AppTest, BulkJob]:
    """Go from an uploaded file to a job that waits."""
    page = run_rehearsals(open_page(upload=saved(content).upload_id))
    page.button(key="score").click().run()
    sound(page)
    return page, queued_job(page)


def finish(job: BulkJob) -> None:
    execute_bulk(job, JobReporter(job))


def take_from_queue() -> None:
    """Take every job out of the queues, as a worker does."""
    for entry in (settings.home() / "queue").glob("*/*.json"):
        entry.unlink()


def text_columns(page: AppTest) -> Any:
    return next(each for each in page.multiselect if each.label.startswith("Columns with the text"))


def selectbox(page: AppTest, label: str) -> Any:
    return next(each for each in page.selectbox if each.label == label)


def workbook(sheets: dict[str, list[list[str]]]) -> bytes:
    """Write a workbook of texts, by sheet."""
    written = (
        "".join(sheet_row(number, *map(text_cell, row)) for number, row in enumerate(rows, 1))
        for rows in sheets.values()
    )
    return awkward_kinds.workbook(*written, names=tuple(sheets))


def test_where_a_file_is_kept_and_for_how_long_is_said_before_the_upload() -> None:
    page = open_page()
    said = texts(page)
    assert "CSV, Excel, JSON lines or Parquet, up to 200 MB. It stays on this computer, in" in said
    assert "for 7 days." in said
    assert page.get("download_button")[0].proto.label == "Download a sample file"


def test_a_table_goes_from_upload_through_rehearsal_to_its_result() -> None:
    page = open_page()
    page.file_uploader[0].upload("my reviews.csv", TABLE + b"x\n").run()
    said = texts(sound(page))
    assert "my reviews.csv" in said and "Read as utf-8, comma, with a header." in said
    assert list_uploads()[0].table.read_bytes() == TABLE + b"x\n"
    assert text_columns(page).value == [1]
    assert "3 · Rehearsal: the first 200 rows" in said and "score" not in [each.key for each in page.button]
    said = texts(run_rehearsals(page))
    assert "3 · Rehearsal: the first 120 rows" in said and "The whole file: " in said
    assert "by starter, threshold 0.50, not sure from 0.40 to 0.60." in said
    assert "50.0 % of these 120 are positive (41.2 to 58.8): this is the whole file." in said
    assert "1 of the first 121 rows is rejected: 1 × 1 field where the header has 2 (line 122)" in said
    assert page.button(key="score").label == "Score 121 rows"
    page.button(key="score").click().run()
    said = texts(sound(page))
    assert "4 · Run: waiting" in said and "It goes on without this page." in said and "2 · Column" in said
    finish(queued_job(page))
    page.run()
    assert "121 rows in" in texts(sound(page))


def test_a_rehearsal_without_a_text_says_that_no_row_can_be_scored() -> None:
    page = open_page()
    page.file_uploader[0].upload("blank.csv", b"id,text\n1,\n2, \n").run()
    said = texts(run_rehearsals(page))
    assert "None of the first 2 rows can be scored: 2 × no text (lines 2, 3)." in said


def test_one_filled_button_stands_on_the_page() -> None:
    page = run_rehearsals(open_page(upload=saved().upload_id))
    assert [each.key for each in page.button if each.proto.type == "primary"] == ["score"]


def test_columns_are_joined_in_the_chosen_order_and_lie_in_the_url() -> None:
    page = open_page(upload=saved(b"id,title,text\n7,Superb,the plot drags\n8,Dull,but short\n").upload_id)
    assert text_columns(page).value == [2]
    text_columns(page).set_value([1, 2]).run()
    assert parameter(sound(page), "columns") == "1.2"
    assert "Superb\nthe plot drags" in texts(page)
    text_columns(page).set_value([2, 1]).run()
    assert "the plot drags\nSuperb" in texts(sound(page))
    selectbox(page, "Rows are named by").set_value(0).run()
    assert parameter(sound(page), "ids") == "0"
    page = run_rehearsals(page)
    page.button(key="score").click().run()
    request = queued_job(sound(page)).request
    assert (request.text_columns, request.id_column) == ((2, 1), 0)
    assert "text + title" in texts(page) and "rows named by id" in texts(page)


def test_a_reload_keeps_columns_ids_and_the_way_of_reading() -> None:
    upload = saved(b"id;title;text\n7;Superb;the plot drags\n")
    read = TableOptions(delimiter=";", has_header=True).model_dump_json(exclude_none=True)
    page = open_page(upload=upload.upload_id, columns="2.1", ids="0", read=read)
    assert text_columns(page).value == [2, 1] and selectbox(page, "Rows are named by").value == 0
    assert "Read as utf-8, semicolon, with a header." in texts(page)


@pytest.mark.parametrize(
    "parameters",
    [
        {"columns": "9.x.-1"},
        {"ids": "99"},
        {"read": "{"},
        {"read": '{"a": 1}'},
        {"model": "no such"},
        {"job": "no such"},
    ],
)
def test_nonsense_in_the_url_is_as_if_it_were_not_there(parameters: dict[str, str]) -> None:
    page = open_page(upload=saved().upload_id, **parameters)
    assert "2 · Columns" in texts(page)


def test_no_column_chosen_asks_for_one() -> None:
    page = open_page(upload=saved().upload_id)
    text_columns(page).set_value([]).run()
    said = texts(sound(page))
    assert "Choose a column with the text." in said and "3 · Rehearsal" not in said


def test_names_that_are_empty_stand_twice_or_mean_harm_can_be_chosen() -> None:
    header = b'"![x](http://evil.example/a.png)",text,text,,"<img src=x>"\n'
    page = open_page(upload=saved(header + b"a,b,good film,d,e\n" * 3, "<b>x</b>.csv").upload_id)
    text_columns(page).set_value([2, 3, 0]).run()
    page = run_rehearsals(page)
    page.button(key="score").click().run()
    assert queued_job(sound(page)).request.text_columns == (2, 3, 0)
    said = texts(page)
    assert "&lt;b&gt;x&lt;/b&gt;.csv" in said and "<b>x" not in said and "<img" not in said
    assert not any("evil.example" in str(each.value) for each in [*page.markdown, *page.caption])


def test_the_guess_of_a_table_whose_names_all_stand_twice_is_the_longest_text() -> None:
    page = open_page(upload=saved(b"a,a\n1,a rather long and tender text\n").upload_id)
    assert text_columns(page).value == [1]


def test_how_a_file_is_read_can_be_changed() -> None:
    page = open_page(upload=saved("text;n\nschön und gut;1\n".encode("cp1252")).upload_id)
    assert "Read as cp1252 (guessed), semicolon, with a header." in texts(page)
    selectbox(page, "Encoding").set_value("cp1250").run()
    assert "Read as cp1250, semicolon, with a header." in texts(sound(page))
    selectbox(page, "The first row").set_value(False).run()
    assert "without a header" in texts(sound(page))
    assert json.loads(parameter(page, "read") or "") == {"encoding": "cp1250", "has_header": False}
    button(page, "Read it as it was found").click().run()
    assert "Read as cp1252 (guessed)" in texts(sound(page)) and parameter(page, "read") is None


def test_an_encoding_that_does_not_fit_is_refused_with_a_way_back() -> None:
    page = open_page(upload=saved("text\nschön\n".encode()).upload_id, read='{"encoding": "ascii"}')
    assert "does not fit" in texts(page)
    button(page, "Read it as it was found").click().run()
    assert "Read as utf-8" in texts(sound(page))


def test_a_file_of_another_kind_is_refused_with_a_sentence_and_a_way_on() -> None:
    page = open_page(upload=saved(b"PK\x03\x04" + b"\0" * 300, "fake.csv").upload_id)
    assert "This looks like a ZIP archive" in texts(page)
    assert not any(each.label.startswith("Score") for each in page.button)
    button(page, "Choose another file").click().run()
    assert "1 · File" in texts(sound(page)) and parameter(page, "upload") is None


def test_a_header_without_rows_says_so() -> None:
    page = open_page(upload=saved(b"text,n\n").upload_id, read='{"has_header": true}')
    assert "There is no row to score." in texts(page) and not list(list_uploads()[0].path.glob("rehearsal-*"))


def test_sample_data_is_one_click_away() -> None:
    page = open_page()
    button(page, "Try with sample data").click().run()
    assert "sample_reviews.csv" in texts(sound(page)) and "2 · Columns" in texts(page)


def test_pasted_lines_become_a_table_of_one_column() -> None:
    page = open_page()
    page.segmented_control(key="prediction_source").set_value("paste").run()
    button(page, "Go on with these lines").click().run()
    assert "There is no line to read." in texts(sound(page))
    pasted = 'superb, and "tender"\n\n=1+1; or two\nNA\n\n'
    page.text_area(key="prediction_pasted").set_value(pasted).run()
    assert "4 lines." in texts(sound(page))
    button(page, "Go on with these lines").click().run()
    assert "pasted_lines.csv" in texts(sound(page)) and "1: text" in str(text_columns(page).options)
    said = texts(run_rehearsals(page))
    assert "3 · Rehearsal: the first 3 rows" in said and "1 × no text (line 3)" in said
    page.button(key="score").click().run()
    job = queued_job(sound(page))
    assert job.upload.table.read_bytes() == b'text\n"superb, and ""tender"""\n""\n=1+1; or two\nNA\n'


def test_a_pasted_character_that_no_table_holds_is_refused() -> None:
    page = open_page()
    page.segmented_control(key="prediction_source").set_value("paste").run()
    page.text_area(key="prediction_pasted").set_value("a \0 film").run()
    button(page, "Go on with these lines").click().run()
    assert "NUL character" in texts(sound(page)) and parameter(page, "upload") is None


def test_a_file_on_this_machine_is_read_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = open_page()
    page.segmented_control(key="prediction_source").set_value("machine").run()
    said = texts(sound(page))
    assert f"There is no table in {settings.home() / 'inbox'}." in said and "REVIEWSCOPE_FOLDERS" in said
    folder = tmp_path / "tables"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "big.csv").write_bytes(TABLE)
    monkeypatch.setenv(settings.FOLDERS_VARIABLE, str(folder))
    page.run()
    selectbox(page, "File").set_value(0).run()
    assert selectbox(page, "File").options == ["1: inner/big.csv (3 kB)"]
    button(page, "Go on with this file").click().run()
    said = texts(sound(page))
    assert "big.csv" in said and "where it lies on this machine" in said
    assert list_uploads()[0].table == folder / "inner" / "big.csv"
    (folder / "inner" / "big.csv").write_bytes(TABLE + TABLE)
    page.run()
    assert "has changed since it was chosen" in texts(sound(page))
    assert not page.selectbox and "Choose another file" in labels(page)


def test_a_workbook_is_converted_then_read() -> None:
    content = workbook({"Reviews": [["id", "text"], ["1", "a superb film"], ["2", "dull and awful"]]})
    page = open_page(upload=saved(content, "book.xlsx").upload_id)
    assert "Waiting to read the file" in texts(page) or "Reading the file" in texts(page)
    said = texts(run_conversions(page))
    assert "Read as an Excel workbook, sheet “Reviews”, with a header." in said
    said = texts(run_rehearsals(page))
    assert "3 · Rehearsal: the first 2 rows" in said and page.button(key="score").label == "Score 2 rows"


def test_one_of_several_sheets_is_chosen_first_and_can_be_changed() -> None:
    sheets = {"Read me": [["about"], ["nothing here"]], "![x](http://evil.example)": [["text"], ["a superb film"]]}
    page = open_page(upload=saved(workbook(sheets), "book.xlsx").upload_id)
    assert "The workbook has 2 sheets" in texts(page)
    selectbox(page, "Sheet").set_value(1).run()
    button(page, "Read this sheet").click().run()
    page = run_conversions(sound(page))
    assert "sheet “![x](http://evil.example)”" in texts(page) and "evil" not in str(
        [each.value for each in page.markdown]
    )
    selectbox(page, "Sheet").set_value("Read me").run()
    assert "sheet “Read me”" in texts(run_conversions(sound(page)))


def test_json_lines_and_parquet_are_converted_then_read() -> None:
    lines = b'{"text": "a superb film", "n": 1}\n{"text": "dull and awful", "n": 2}\n'
    page = run_conversions(open_page(upload=saved(lines, "a.jsonl").upload_id))
    assert "Read as JSON lines, utf-8" in texts(page)
    stream = io.BytesIO()
    pq.write_table(pa.table({"n": [1, 2], "text": ["a superb film", "dull"]}), stream)
    page = run_conversions(open_page(upload=saved(stream.getvalue(), "a.parquet").upload_id))
    assert "Read as Parquet" in texts(page) and text_columns(page).value == [1]


def test_a_conversion_that_fails_says_why_with_a_way_on() -> None:
    content = workbook({"Reviews": [["text"], ["a superb film"]]})
    page = open_page(upload=saved(content, "book.xlsx").upload_id)
    path = next((settings.home() / "uploads").glob("*/rows-*"))
    take_from_queue()
    ConversionJob(path).save_state("failed", "'book.xlsx' is damaged. Save it again.")
    page.run()
    assert "book.xlsx&#x27; is damaged." in texts(sound(page))
    button(page, "Choose another file").click().run()
    assert "1 · File" in texts(sound(page))


def test_a_rehearsal_that_fails_can_be_tried_again() -> None:
    page = open_page(upload=saved().upload_id)
    path = next((settings.home() / "uploads").glob("*/rehearsal-*"))
    take_from_queue()
    RehearsalJob(path).save_state("failed", "The disk is full.")
    page.run()
    assert "The rehearsal did not end well. The disk is full." in texts(sound(page))
    button(page, "Try again").click().run()
    assert "The whole file" in texts(run_rehearsals(page))


def test_the_same_file_with_the_same_model_again_is_there_at_once() -> None:
    _, job = started()
    finish(job)
    again = open_page()
    again.file_uploader[0].upload("reviews.csv", TABLE).run()
    assert "3 · Scored before" in texts(sound(again)) and "The same 120 rows" in texts(again)
    button(again, "Show the result").click().run()
    assert parameter(sound(again), "job") == job.job_id and "120 rows in" in texts(again)


def test_a_reload_mid_job_shows_the_same_and_how_many_wait_before_it() -> None:
    _, first = started()
    page, job = started(TABLE + b"kettle,limp\n")
    assert first.path != job.path and "1 job before it." in texts(page)
    again = open_page(upload=job.upload.upload_id, job=job.job_id)
    assert "1 job before it." in texts(again) and "Cancel, keep what is scored" in labels(again)


def test_a_stop_in_the_queue_and_a_failure_say_so_and_go_on() -> None:
    page, job = started()
    button(page, "Cancel, keep what is scored").click().run()
    assert "It was stopped." in texts(sound(page))
    button(page, "Go on").click().run()
    assert "4 · Run: waiting" in texts(sound(page))
    take_from_queue()
    job.save_state("failed", "The disk is full.")
    page.run()
    assert "The scoring failed. The disk is full." in texts(sound(page))
    assert "no row is scored yet" in texts(page)


def test_a_stopped_job_offers_to_go_on_and_shows_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from core.prediction import bulk

    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 50)
    page, job = started()
    reporter = JobReporter(job, also_stop=lambda: bool(job.part_files))
    execute_bulk(job, reporter)
    take_from_queue()
    page.run()
    said = texts(sound(page))
    assert "Stopped at row 50 of 120. Go on, or look at these" in said and "50 rows in" in said
    page.button(key="go-on").click().run()
    assert "4 · Run: waiting" in texts(sound(page)) and queued_job(page).path == job.path
    finish(job)
    page.run()
    assert "120 rows in" in texts(sound(page)) and len(job.part_files) == 3


def test_an_interrupted_job_keeps_its_parts_and_folds_its_log() -> None:
    page, job = started()
    finish(job)
    take_from_queue()
    (job.path / "result.json").unlink()
    job.log_file.write_text("12:00:00  Scoring\n")
    job.save_state("running")
    page.run()
    said = texts(sound(page))
    assert "The scoring was interrupted." in said and "going on begins behind it" in said
    assert [each.label for each in page.expander] == ["Log"]


def test_change_leads_back_to_the_columns_of_the_job() -> None:
    page, job = started(b"id,title,text\n7,Superb,the plot drags\n")
    page.button(key="change-column").click().run()
    assert "2 · Columns" in texts(sound(page)) and text_columns(page).value == list(job.request.text_columns)
    page.button(key="change-file").click().run()
    assert "1 · File" in texts(sound(page)) and parameter(page, "upload") is None


def test_an_upload_that_is_gone_is_said_to_be_gone() -> None:
    assert "This upload is not here any more." in texts(open_page(upload="abc123"))


def trained(name: str) -> Run:
    """Return a run whose model is a copy of the starter's, byte for byte."""
    run = write_run(1, name)
    copy_file(settings.STARTER_FILE, run.model_file)
    return run


def test_another_model_can_be_chosen_for_one_table() -> None:
    run = trained("![x](http://evil.example) twin")
    page = run_rehearsals(open_page(upload=saved().upload_id))
    assert "by starter, threshold 0.50" in texts(page)
    selectbox(page, "Model").set_value(run.run_id).run()
    said = texts(run_rehearsals(sound(page)))
    assert "twin, threshold 0.50" in said and parameter(page, "model") == run.run_id
    assert "Read by ![x](http://evil.example) twin" in said
    page.button(key="score").click().run()
    assert queued_job(sound(page)).request.model == run.run_id


def test_the_threshold_that_is_set_for_the_model_is_the_one_in_use() -> None:
    sha256 = Predictor.load("starter").sha256
    save_settings(sha256, ModelSettings(threshold=0.3, unsure_low=0.2, unsure_high=0.4, chosen_by="hand"))
    page = run_rehearsals(open_page(upload=saved().upload_id))
    assert "threshold 0.30, not sure from 0.20 to 0.40." in texts(page)
    page.button(key="score").click().run()
    assert queued_job(sound(page)).request.cutoffs.threshold == 0.3


def test_a_chosen_model_that_is_damaged_says_so_with_a_way_back() -> None:
    run = trained("broken")
    run.model_file.write_bytes(b"no model")
    page = open_page(upload=saved().upload_id, model=run.run_id)
    assert "Nothing was scored." in texts(page) or "nothing was scored" in texts(page)
    button(page, "Use the default model").click().run()
    assert "3 · Rehearsal" in texts(sound(page)) and parameter(page, "model") is None


def test_workers_are_there_before_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    monkeypatch.setattr(jobs, "start_worker", started.append)
    page = open_page()
    assert started == ["quick"]
    page.file_uploader[0].upload("reviews.csv", TABLE).run()
    assert "score" not in started
    run_rehearsals(page)
    assert "score" in started


def test_a_queue_that_is_full_is_said_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    page = run_rehearsals(open_page(upload=saved().upload_id))
    monkeypatch.setattr(jobs, "MOST_WAITING", -1)
    page.button(key="score").click().run()
    assert "jobs wait already" in texts(sound(page)) and parameter(page, "job") is None
