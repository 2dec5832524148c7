"""The panel "May I trust it?" of a scored table, driven without a browser: figures, facts, and labels by a reader."""

import io
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.demo import write_demo_table
from core.job_folder import JobReporter
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk, iterate_parts
from core.prediction.fit import NO_RECORD, Fit
from core.prediction.predictor import Predictor
from core.prediction.trust import LABELS_NAME, add_label, draw_rows_to_label, exact_interval, read_labels, seed_of
from core.prediction.uploads import save_upload
from core.wording import interval_text

ROOT = Path(__file__).resolve().parents[2]
GOOD, BAD = "It is superb and I love it number {}.", "It is awful and I hate it number {}."


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue jobs, but start no process for them."""
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def score(content: str, *text_columns: int) -> BulkJob:
    upload = save_upload(io.BytesIO(content.encode()), "reviews.csv")
    request = BulkRequest(model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=text_columns)
    job = create_bulk_job(upload, request)
    execute_bulk(job, JobReporter(job))
    return job


def score_texts(count: int = 120, columns: str = "text", more: str = "") -> BulkJob:
    lines = [f'"{(GOOD, BAD)[row % 2].format(row)}"{more}' for row in range(count)]
    return score("\n".join([columns, *lines]) + "\n", 0)


def open_page(job: BulkJob, **choices: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=120).run()
    page.switch_page("../pages/prediction.py")
    named = {f"file_{name}": value for name, value in choices.items()} | ({"file_of": job.job_id} if choices else {})
    for name, value in {"view": "file", "upload": job.upload.upload_id, "job": job.job_id, **named}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception, [each.value for each in page.exception]
    return page


def words_of(page: AppTest) -> str:
    html = "\n".join(element.proto.body for element in page.get("html"))
    return " ".join(unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.S)).split())


def press(page: AppTest, key: str) -> AppTest:
    page.button(key=key).click().run()
    assert not page.exception, [each.value for each in page.exception]
    return page


def drawn_of(job: BulkJob) -> list[int]:
    logits = np.concatenate([part["logit"].to_numpy() for part in iterate_parts(job)])
    return draw_rows_to_label(logits, seed_of(job.job_id)).tolist()


def test_a_file_without_labels_gets_a_light_five_facts_and_one_advice() -> None:
    job = score_texts()
    page = open_page(job)
    words = words_of(page)
    fit = job.result.fit  # type: ignore[union-attr]
    assert fit is not None and fit.light == "red" and "Nobody can say yet" in words and fit.advice in words
    for fact in fit.facts:
        assert f"{fact.name} {fact.text}" in words
    assert f"Do not build on these scores. {fit.reason}" in words
    assert page.button(key="trust_label").label == "Label 50 rows to find out"


def test_an_expected_accuracy_stands_with_its_interval_and_its_assumption() -> None:
    text = io.StringIO(newline="")
    write_demo_table(text)
    job = score(text.getvalue(), 4)
    words = words_of(open_page(job, labels="-1"))
    expected = job.result.fit.expected  # type: ignore[union-attr]
    assert expected is not None
    assert f"About {100 * expected.value:.0f} in 100 right" in words and expected.assumption in words
    assert f"Expected accuracy {100 * expected.value:.1f} % ({100 * expected.low:.1f} to" in words
    assert "Use with care." in words


def test_stars_in_the_file_give_the_real_figures_and_can_be_put_aside() -> None:
    text = io.StringIO(newline="")
    write_demo_table(text)
    job = score(text.getvalue(), 4)
    parts = [part.select(["logit", "c3"]).to_pandas() for part in iterate_parts(job)]
    frame = parts[0]
    clear = frame[frame["c3"] != "3"]
    right = ((clear["logit"] > 0) == clear["c3"].isin(["4", "5"])).mean()
    page = open_page(job)
    words = words_of(page)
    assert f"{100 * right:.1f} % right (" in words and f"“stars”, n = {len(clear):,} rows" in words
    assert "1, 2 read as negative, 4, 5 read as positive" in words and "Expected" in words
    choice = next(each for each in page.selectbox if each.label == "Labels in the file")
    choice.select_index(0).run()
    assert page.query_params["file_labels"] in ("-1", ["-1"])
    assert "in 100 right" in words_of(page) and "Precision" not in words_of(page)


def test_a_column_of_yes_and_no_is_offered_and_not_chosen() -> None:
    job = score("text,verified\n" + "".join(f"{GOOD.format(n)},{'yes' if n % 2 else 'no'}\n" for n in range(40)), 0)
    page = open_page(job)
    choice = next(each for each in page.selectbox if each.label == "Labels in the file")
    assert choice.value == -1 and choice.options == ["none", "2: verified"]
    assert "50.0 % right" in words_of(open_page(job, labels="1"))


def test_a_model_without_a_record_says_so() -> None:
    job = score_texts(30)
    result = job.result
    assert result is not None
    bare = result.model_copy(update={"fit": Fit(light=None, facts=(), expected=None, advice=NO_RECORD)})
    job.result_file.write_text(bare.model_dump_json())
    assert NO_RECORD in words_of(open_page(job))
    job.result_file.write_text(result.model_copy(update={"fit": None}).model_dump_json())
    assert "made by an earlier version" in words_of(open_page(job))


def test_rows_are_labelled_one_at_a_time_without_what_the_model_said_and_the_estimate_narrows() -> None:
    job = score_texts()
    drawn = drawn_of(job)
    page = press(open_page(job), "trust_label")
    assert f"Row {drawn[0] + 1} of the file, 1 of 50 to label" in words_of(page)
    press(page, "trust_positive" if drawn[0] % 2 == 0 else "trust_negative")
    assert read_labels(job.path) == {drawn[0]: "positive" if drawn[0] % 2 == 0 else "negative"}
    words = words_of(open_page(job))
    assert "1 of 1, drawn at random" in words and "(2.5 to 100.0)" in words
    for row in drawn[1:20]:
        add_label(job.path, row, "positive" if row % 2 == 0 else "negative", 0)
    page = open_page(job)
    low, high = exact_interval(20, 20, 120)
    assert f"100.0 % right ({interval_text(low, high)})" in words_of(page) and low > 0.8
    assert page.button(key="trust_label").label == "Go on labelling: 20 of 50"


def test_a_row_that_cannot_be_told_is_left_out_and_said() -> None:
    job = score_texts()
    add_label(job.path, drawn_of(job)[0], "cannot tell", 0)
    page = open_page(job)
    assert "No row can be counted yet. Left out: 1 row that could not be told." in words_of(page)


def test_when_every_row_has_a_label_the_dialog_says_so() -> None:
    job = score_texts(12)
    for row in drawn_of(job):
        add_label(job.path, row, "positive", 0)
    page = open_page(job)
    assert page.button(key="trust_label").label == "See your 12 labels"
    assert "50.0 % right (50.0 to 50.0)" in words_of(page)
    assert "Every drawn row has a label." in words_of(press(page, "trust_label"))


def test_labels_that_cannot_be_read_take_nothing_else_away() -> None:
    job = score_texts(30)
    (job.path / LABELS_NAME).mkdir()
    assert "The labels of 50 rows cannot be read." in words_of(open_page(job))


def test_hostile_values_and_texts_stay_text() -> None:
    evil = "<img src=x onerror=alert(1)>"
    job = score(
        f"text,{evil}\n" + "".join(f"{GOOD.format(n)} {evil},{'pos' if n % 2 else 'neg'}\n" for n in range(30)), 0
    )
    page = press(open_page(job, labels="1"), "trust_label")
    bodies = "\n".join(element.proto.body for element in page.get("html"))
    assert "<img" not in bodies and "&lt;img src=x" in bodies
