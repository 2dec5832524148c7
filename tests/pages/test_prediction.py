"""The prediction page, driven without a browser."""

import io
import re
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.demo import write_demo_table
from core.job_folder import JobReporter
from core.prediction.uploads import BulkJob, Upload, execute_bulk, find_upload, list_uploads, save_upload

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = (
    "<script>alert(1)</script> ![x](http://evil.example/a.png) =1+1 \N{RIGHT-TO-LEFT OVERRIDE}x\N{ZERO WIDTH SPACE}"
)


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue jobs, but start no process for them."""
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def open_page(**parameters: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    page.switch_page("../pages/prediction.py")
    for name, value in parameters.items():
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


def saved(content: bytes, name: str = "reviews.csv") -> Upload:
    return save_upload(io.BytesIO(content), name)


def finish(job: BulkJob) -> None:
    execute_bulk(job, JobReporter(job))


def queued_job(page: AppTest) -> BulkJob:
    upload_id = page.query_params["upload"]  # a list once the page has set it
    upload = find_upload(upload_id if isinstance(upload_id, str) else upload_id[0])
    assert upload is not None
    return upload.jobs[0]


def test_the_page_names_its_model_with_figures() -> None:
    said = texts(open_page())
    assert re.search(r"Read by the starter model: 9\d\.\d % right \(9\d\.\d to 9\d\.\d\)", said)
    assert "Nothing to read yet." in said


@pytest.mark.parametrize(
    ("example", "verdict"),
    [("Clearly positive", "Positive"), ("Clearly negative", "Negative, clearly"), ("Middling", "Negative")],
)
def test_an_example_fills_the_box_and_is_read(example: str, verdict: str) -> None:
    page = open_page()
    page.pills[0].set_value([example] if isinstance(page.pills[0].value, list) else example).run()
    said = texts(sound(page))
    assert page.text_area[0].value
    assert f'rs-section">{verdict}' in said and "% confident" in said and "It read all" in said


@pytest.mark.parametrize("text", ["", "   \n\t "])
def test_no_text_gets_a_sentence_and_no_score(text: str) -> None:
    page = open_page()
    page.text_area[0].set_value(text).run()
    assert "Nothing to read yet." in texts(sound(page)) and "confident" not in texts(page)


@pytest.mark.parametrize("text", [HOSTILE, "a " * 30_000, "x" * 10**6, "nul \0 here", "😀 👍🏽", "İstanbul ß"])
def test_any_text_is_shown_as_text(text: str) -> None:
    page = open_page()
    page.text_area[0].set_value(text).run()
    said = texts(sound(page))
    assert "<script>" not in said and "confident" in said
    if len(text) > 20_000:
        assert "Only the first 20,000 of" in said


def test_words_that_are_not_known_are_counted() -> None:
    page = open_page()
    page.text_area[0].set_value("A good zzyxqq film").run()
    assert "It read 3 of 4 words; 1 is unknown (dotted)." in texts(sound(page))


def test_where_a_file_is_kept_and_for_how_long_is_said_before_the_upload() -> None:
    page = open_page(view="file")
    said = texts(page)
    assert "CSV up to 200 MB. It stays on this computer, in" in said and "for 7 days." in said
    assert page.get("download_button")[0].proto.label == "Download a sample file"


def test_a_table_goes_from_upload_to_result() -> None:
    page = open_page(view="file")
    content = b"product,text\n" + b"kettle,a superb and touching film\ntoaster,dull and awful\n" * 60 + b"x\n"
    page.file_uploader[0].upload("my reviews.csv", content).run()
    assert "my reviews.csv" in texts(sound(page))
    assert list_uploads()[0].table.read_bytes() == content
    assert next(each for each in page.selectbox if each.label == "Column with the text").value == 1
    button(page, "Score this table").click().run()
    assert "3 · Waiting" in texts(sound(page))
    finish(queued_job(page))
    page.run()
    said = texts(sound(page))
    assert "121 rows in" in said and "120 scored + 1 rejected" in said and "n = 120, 1 rejected" in said
    assert "50.0 % of the reviews are positive (41.2 to 58.8)" in said
    assert [each.proto.label for each in page.get("download_button")][:2] == ["For Excel", "Raw"]
    assert len(page.get("plotly_chart")) == 1 and len(page.get("vega_lite_chart")) == 1


def test_a_reload_shows_the_same_result_with_dates_on_a_line() -> None:
    text = io.StringIO(newline="")
    write_demo_table(text)
    page = open_page(view="file", upload=saved(text.getvalue().encode()).upload_id)
    button(page, "Score this table").click().run()
    job = queued_job(page)
    finish(job)
    again = open_page(view="file", upload=job.upload.upload_id, job=job.job_id)
    assert "1,200 scored + 0 rejected" in texts(again)
    assert len(again.get("plotly_chart")) == 2
    for order in ("positive", "unsure"):
        again.segmented_control(key="prediction_order").set_value(order).run()
        sound(again)


def test_sample_data_is_one_click_away() -> None:
    page = open_page(view="file")
    button(page, "Try with sample data").click().run()
    assert "sample_reviews.csv" in texts(sound(page)) and "2 · Column" in texts(page)


def test_a_file_of_another_kind_is_refused_with_a_sentence() -> None:
    page = open_page(view="file", upload=saved(b"PK\x03\x04xl/workbook", "fake.csv").upload_id)
    assert "This looks like an Excel file (.xlsx); a CSV file was expected." in texts(page)
    assert not any(each.label == "Score this table" for each in page.button)
    button(page, "Choose another file").click().run()
    assert "1 · File" in texts(sound(page)) and "upload" not in page.query_params


def test_a_wrong_encoding_can_be_corrected() -> None:
    upload = saved("text;n\nschön und gut;1\n".encode("cp1252"))
    page = open_page(view="file", upload=upload.upload_id)
    assert "is not utf-8" in texts(page)
    page.selectbox[0].set_value("cp1252").run()
    assert "cp1252, semicolon" in texts(sound(page))


def test_hostile_names_reach_no_markdown() -> None:
    names = b'"![x](http://evil.example/a.png)","<img src=x>",text\n'
    page = open_page(view="file", upload=saved(names + b"a,b,good film\n" * 30, "<b>x</b>.csv").upload_id)
    button(page, "Score this table").click().run()
    finish(queued_job(page))
    page.run()
    said = texts(sound(page))
    assert "&lt;b&gt;x&lt;/b&gt;.csv" in said and "<b>x" not in said and "<img" not in said
    assert not any("evil.example" in str(each.value) for each in [*page.markdown, *page.caption])


def test_a_stop_in_the_queue_and_a_failure_say_so_and_can_be_tried_again() -> None:
    page = open_page(view="file", upload=saved(b"text\na film\n").upload_id)
    button(page, "Score this table").click().run()
    button(page, "Cancel, keep what is scored").click().run()
    assert "It was stopped." in texts(sound(page))
    button(page, "Score it again").click().run()
    assert "3 · Waiting" in texts(sound(page))
    queued_job(page).save_state("failed", "The disk is full.")
    page.run()
    assert "The scoring failed. The disk is full." in texts(sound(page))


def test_a_table_whose_rows_are_all_rejected_has_no_chart() -> None:
    page = open_page(view="file", upload=saved(b"text,n\n,1\n,2\n").upload_id)
    button(page, "Score this table").click().run()
    finish(queued_job(page))
    page.run()
    assert "No row could be scored." in texts(sound(page)) and not page.get("vega_lite_chart")


def test_an_upload_that_is_gone_is_said_to_be_gone() -> None:
    assert "This upload is not here any more." in texts(open_page(view="file", upload="abc123"))


def test_saved_results_list_what_was_scored() -> None:
    assert "No table yet." in texts(open_page(view="saved"))
    upload = saved(b"text\na superb film\n")
    page = open_page(view="file", upload=upload.upload_id)
    button(page, "Score this table").click().run()
    finish(queued_job(page))
    row = open_page(view="saved").dataframe[0].value.iloc[0]
    assert (row["File"], row["State"], row["Rows"]) == ("reviews.csv", "finished", "1")


def test_an_unknown_view_is_the_first() -> None:
    assert "Read one review" in texts(open_page(view="nonsense"))
