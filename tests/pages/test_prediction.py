"""The prediction page, driven without a browser: one review, and what is kept. The spreadsheet has files of its own."""

import io
import re
import time
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.files import write_json
from core.job_folder import JobReporter
from core.model_settings import Cutoffs, ModelSettings, save_settings
from core.models.model_file import save_model
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk
from core.prediction.predictor import Predictor
from core.prediction.uploads import Upload, link_file, list_uploads, pin_upload, save_upload
from core.runs import Run, copy_file
from dashboard.review_history import LONGEST_KEPT, MOST_TEXTS, beginning
from dashboard.two_models import agreement_words
from tests.benchmarks.runs_page import write_run
from tests.core.prediction.small_models import train_small

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


def words_of(page: AppTest) -> str:
    """Return what the page's own HTML says, without tags."""
    return unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", texts(page), flags=re.S))


def button(page: AppTest, label: str) -> Any:
    return next(each for each in page.button if each.label == label)


def labels(page: AppTest) -> list[str]:
    return [each.label for each in page.button]


def read(page: AppTest, text: str) -> AppTest:
    page.text_area[0].set_value(text).run()
    return sound(page)


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


def history(page: AppTest) -> list[list[str]]:
    """Return the rows of what was read in this tab."""
    return page.dataframe[0].value.values.tolist() if page.dataframe else []


def test_what_was_read_is_listed_newest_first_and_it_is_said_where_it_is_kept() -> None:
    page = open_page()
    assert not page.dataframe
    for text in ("A superb, tender film!", "Terrible waste of time and money."):
        read(page, text)
    assert page.dataframe[0].value.columns.tolist() == ["Verdict", "Probability", "Review", "Model"]
    (second, first) = history(page)
    assert first[0] == "Positive" and first[2:] == ["A superb, tender film!", "starter"]
    assert second[0] == "Negative" and second[2] == "Terrible waste of time and money."
    bars = re.findall(r"<b>([\d.]+ %)</b>", texts(page))
    assert second[1] == bars[1]  # the probability of positive, whatever the verdict
    assert "Kept in this tab alone" in words_of(page)
    assert not history(open_page())  # another tab


def test_a_text_that_is_read_again_stands_on_top_once() -> None:
    page = open_page()
    for text in ("one good film", "two bad films", "one good film"):
        read(page, text)
    assert [row[2] for row in history(page)] == ["one good film", "two bad films"]


def test_only_the_last_texts_are_kept_and_a_very_long_one_is_not() -> None:
    page = open_page()
    for number in range(MOST_TEXTS + 2):
        read(page, f"film {number}")
    read(page, "x " * LONGEST_KEPT)
    found = [row[2] for row in history(page)]
    assert found == [f"film {number}" for number in range(MOST_TEXTS + 1, 1, -1)]


def test_the_list_can_be_cleared_and_outlasts_another_view() -> None:
    page = read(open_page(), "A superb film")
    page.segmented_control(key="prediction_view").set_value("saved").run()
    page.segmented_control(key="prediction_view").set_value("one").run()
    assert [row[2] for row in history(sound(page))] == ["A superb film"]
    button(page, "Clear this list").click().run()
    assert not sound(page).dataframe


def test_hostile_texts_are_listed_as_they_are_and_reach_no_markdown() -> None:
    page = read(read(open_page(), HOSTILE), "fine")
    assert history(page)[1][2] == beginning(HOSTILE)
    assert "<script>" not in texts(page)
    assert not any("evil.example" in str(each.value) for each in [*page.markdown, *page.caption])


def test_the_beginning_of_a_text_is_one_line() -> None:
    assert beginning(" a\n\n b\tc ") == "a b c"
    assert beginning("word " * 100) == "word " * 23 + "word …"
    assert beginning("x" * 10**6) == "x" * 120 + " …"


def trained(name: str, number: int = 1) -> Run:
    """Return a run whose model is a copy of the starter's."""
    run = write_run(number, name)
    copy_file(settings.STARTER_FILE, run.model_file)
    return run


def compare(page: AppTest, run: Run) -> AppTest:
    next(each for each in page.selectbox if each.label == "Compare with").set_value(run.run_id).run()
    return sound(page)


def test_without_another_model_there_is_nothing_to_compare_with() -> None:
    assert not open_page().selectbox


def test_two_models_read_one_review_side_by_side() -> None:
    twin = trained("twin")
    page = compare(read(open_page(), "A superb, tender film!"), twin)
    words = words_of(page)
    assert "Both read it as positive, with the same probability" in words
    assert re.search(r"Probability of positive: starter (\d+\.\d %), twin \1\.", words)
    assert re.search(r"starter, \d+ % confident", words) and re.search(r"twin, \d+ % confident", words)
    assert words.count("It read all 4 words.") == 2
    assert texts(page).count('class="rs-bar"') == 4 and texts(page).count("<mark") >= 4
    assert [row[3] for row in history(page)] == ["starter", "twin"]
    next(each for each in page.selectbox if each.label == "Compare with").set_value(None).run()
    assert "Both read it" not in words_of(sound(page)) and texts(page).count('class="rs-bar"') == 2


def test_each_model_reads_with_its_own_threshold() -> None:
    other = write_run(1, "other")
    small = train_small("ngram")
    save_model(other.model_file, small.model, small.encoder, small.architecture)
    chosen = ModelSettings(threshold=0.05, unsure_low=0.05, unsure_high=0.05, chosen_by="hand")
    save_settings(Predictor.load(other.run_id).sha256, chosen)
    words = words_of(compare(read(open_page(), "It was okay, nothing special."), other))
    assert "They disagree" in words and words.count("Threshold 0.05") == 1


def test_a_model_that_cannot_be_read_gets_a_sentence_and_the_other_reads() -> None:
    broken = trained("broken")
    broken.model_file.write_bytes(b"no model")
    page = compare(read(open_page(), "A superb film"), broken)
    words = words_of(page)
    assert "Only one of the two can be read" in words and "Nothing was scored." in words
    assert texts(page).count('class="rs-bar"') == 2 and "It read all 3 words." in words
    assert [row[3] for row in history(page)] == ["starter"]


def test_a_second_model_that_is_deleted_meanwhile_is_let_go_of() -> None:
    run = trained("short-lived")
    page = compare(read(open_page(), "A superb film"), run)
    run.model_file.unlink()
    page.run()
    assert "Both read it" not in words_of(sound(page)) and "confident" in words_of(page)


def test_models_of_one_name_can_be_told_apart() -> None:
    first, second = trained("same", 1), trained("same", 2)
    options = open_page().selectbox[0].options
    assert set(options) == {f"same ({first.run_id})", f"same ({second.run_id})"}


def test_hostile_names_of_models_are_shown_as_text() -> None:
    hostile = trained("<img src=x>")
    page = compare(read(open_page(), "A superb film"), hostile)
    assert "<img" not in texts(page) and "&lt;img src=x&gt;" in texts(page)


@pytest.mark.parametrize(
    ("probabilities", "title", "counts"),
    [
        ((0.712, 0.589), "Both read it as positive, 12.3 points apart", "second counts it as not sure."),
        ((0.9, 0.1), "They disagree, 80.0 points apart", ""),
        ((0.5, 0.5), "Both read it as negative, with the same probability", "Both count it as not sure."),
        ((0.30004, 0.30046), "Both read it as negative, with the same probability", ""),
        ((0.21, 0.2), "Both read it as negative, 1.0 point apart", ""),
    ],
)
def test_agreement_is_said_in_points(probabilities: tuple[float, float], title: str, counts: str) -> None:
    found, caption = agreement_words(("first", "second"), probabilities, (Cutoffs(), Cutoffs()))
    assert found == title and caption.endswith(counts or "%.")


def saved(content: bytes, name: str = "reviews.csv") -> Upload:
    return save_upload(io.BytesIO(content), name)


def asked(upload: Upload) -> BulkJob:
    request = BulkRequest(model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=(0,))
    return create_bulk_job(upload, request)


def scored(content: bytes, name: str = "reviews.csv") -> Upload:
    upload = saved(content, name)
    job = asked(upload)
    execute_bulk(job, JobReporter(job))
    return upload


def choose(page: AppTest, row: int) -> AppTest:
    """Tick a row of the table of what is kept."""
    key = page.dataframe[0].proto.id.rpartition("-")[2]
    page.session_state[key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    page.run()
    return sound(page)


def kept(page: AppTest) -> list[dict[str, str]]:
    return page.dataframe[0].value.to_dict("records") if page.dataframe else []


def in_url(page: AppTest, name: str) -> str | None:
    value = page.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def test_without_any_table_the_way_to_the_first_is_shown() -> None:
    page = open_page(view="saved")
    assert "No table yet." in texts(page) and labels(page) == ["Score a spreadsheet"]


def test_saved_results_list_every_file_with_results_size_and_days() -> None:
    scored(b"text\na superb film\n", "first.csv")
    time.sleep(0.01)
    second = saved(b"text\ndull\n", "second.csv")
    pin_upload(second, True)
    page = open_page(view="saved")
    rows = kept(page)
    assert [(row["File"], row["Results"]) for row in rows] == [("second.csv", "not scored"), ("first.csv", "1")]
    assert rows[0]["Kept until"] == "pinned" and re.fullmatch(r"\w{3} \d\d \w{3}, \d\d:\d\d", rows[1]["Kept until"])
    size = sum(upload.size_on_disk for upload in list_uploads())
    assert rows[0]["Age"] == "just now" and f"2 files, {round(size / 1e3)} kB on disk" in words_of(page)


def test_a_chosen_file_names_its_results_and_each_opens() -> None:
    upload = scored(b"text,n\n,1\n" + b"This movie was absolutely fantastic!,2\n" * 4)
    page = choose(open_page(view="saved"), 0)
    words = words_of(page)
    assert "text, read by starter: 4 of 5 rows scored, 100.0 % positive (51.0 to 100.0), just now." in words
    assert "the 95 % interval (Wilson)" in words
    job = asked(upload)
    button(page, "Open").click().run()
    assert (in_url(page, "view"), in_url(page, "upload"), in_url(page, "job")) == ("file", upload.upload_id, job.job_id)


def test_a_file_is_pinned_and_unpinned() -> None:
    upload = saved(b"text\na film\n")
    page = choose(open_page(view="saved"), 0)
    button(page, "Pin").click().run()
    assert upload.about.pinned and "Pinned: kept until unpinned." in words_of(sound(page))
    button(page, "Unpin").click().run()
    assert not upload.about.pinned and "Kept until" in words_of(sound(page))


def test_a_file_is_deleted_after_one_question_that_says_what_goes() -> None:
    upload = scored(b"text\na film\n", "gone.csv")
    page = choose(open_page(view="saved"), 0)
    button(page, "Delete").click().run()
    assert re.search(r"The file and 1 result go for good, \d+ kB\.", words_of(sound(page)))
    button(page, "Keep it").click().run()
    assert upload.is_sound
    button(page, "Delete").click().run()
    button(page, "Delete for good").click().run()
    assert not upload.path.exists() and "No table yet." in words_of(sound(page))


def test_after_one_is_deleted_no_other_is_chosen_in_its_place() -> None:
    saved(b"text\na\n", "stays.csv")
    time.sleep(0.01)
    saved(b"text\nb\n", "goes.csv")
    page = choose(open_page(view="saved"), 0)
    button(page, "Delete").click().run()
    button(page, "Delete for good").click().run()
    assert [row["File"] for row in kept(sound(page))] == ["stays.csv"]
    assert not any(label.startswith(("Delete", "Pin")) for label in labels(page))


def test_a_file_is_not_deleted_while_a_job_on_it_waits() -> None:
    upload = saved(b"text\na film\n")
    asked(upload).save_state("queued")
    page = choose(open_page(view="saved"), 0)
    assert kept(page)[0]["Results"] == "1 being made"
    button(page, "Delete").click().run()
    assert "A job that reads this file waits or runs." in words_of(sound(page))
    assert "Delete for good" not in labels(page) and upload.is_sound


def test_a_job_that_begins_after_the_question_keeps_the_file() -> None:
    upload = scored(b"text\na film\n")
    page = choose(open_page(view="saved"), 0)
    button(page, "Delete").click().run()
    asked(upload).save_state("queued")
    button(page, "Delete for good").click().run()
    assert upload.is_sound and "Stop it first, then delete the file." in words_of(sound(page))


def test_a_file_that_runs_were_trained_on_says_so_before_it_goes() -> None:
    upload = saved(b"text,label\na,1\nb,0\n")
    run = write_run(1, "on it")
    document = run.settings.model_dump(mode="json")
    document["config"]["data"] |= {"source": "table", "path": str(upload.table), "text_column": "text"}
    document["config"]["data"] |= {"label_column": "label"}
    write_json(run.path / "config.json", document)
    page = choose(open_page(view="saved"), 0)
    button(page, "Delete").click().run()
    assert "1 run was trained on it: it stays, but cannot be resumed" in words_of(sound(page))
    run.save_state("queued")
    page.run()
    assert "Delete for good" not in labels(sound(page))


def test_a_file_of_this_machine_stays_where_it_lies(tmp_path: Path) -> None:
    file = tmp_path / "here.csv"
    file.write_text("text\na film\n")
    upload = link_file(file)
    page = choose(open_page(view="saved"), 0)
    assert f"It lies at {file}." in words_of(page)
    button(page, "Delete").click().run()
    assert f"The file itself stays where it lies, at {file}." in words_of(sound(page))
    button(page, "Delete for good").click().run()
    assert file.exists() and not upload.path.exists()
    sound(page)


@pytest.mark.parametrize("name", ["about.json", "table"])
def test_a_damaged_upload_is_listed_and_can_only_be_deleted(name: str) -> None:
    upload = saved(b"text\na film\n")
    if name == "table":
        upload.table.unlink()
    else:
        (upload.path / name).write_text("{")
    page = choose(open_page(view="saved"), 0)
    assert kept(page)[0]["Results"] in ("cannot be read", "its file is gone") and labels(page) == ["Delete"]
    button(page, "Delete").click().run()
    button(page, "Delete for good").click().run()
    assert not upload.path.exists() and "No table yet." in words_of(sound(page))


@pytest.mark.parametrize("name", ["result.json", "request.json", "state.json"])
def test_a_damaged_result_does_not_hide_the_file(name: str) -> None:
    upload = scored(b"text\na film\n")
    (asked(upload).path / name).write_text("{")
    page = choose(open_page(view="saved"), 0)
    assert "A result that cannot be read." in words_of(page) and "Delete" in labels(page)


def test_hostile_names_of_files_reach_no_markdown() -> None:
    scored(b"<b>text</b>\na film\n", "<b>x</b> ![x](http://evil.example/a.png).csv")
    page = choose(open_page(view="saved"), 0)
    assert "&lt;b&gt;x&lt;/b&gt;" in texts(page) and "<b>x" not in texts(page) and "<b>text" not in texts(page)
    assert not any("evil.example" in str(each.value) for each in [*page.markdown, *page.caption])


def test_an_unknown_view_is_the_first() -> None:
    assert "Read one review" in texts(open_page(view="nonsense"))
