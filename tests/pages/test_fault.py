"""The section Whose fault? in Streamlit's test runner: cards, scores, corrected training sets, verdicts in and out."""

import html
import io
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.config import preset_config, with_data, with_settings
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import choose_split, load_columns
from core.evaluation.adjudication import LABEL_RIGHT, LABEL_WRONG, UNREAD, adjudicate, deal
from core.evaluation.selection import Results
from core.evaluation.suspects import rank_suspects
from core.jobs import run_job
from core.label_reviews import (
    LabelReview,
    Reviews,
    add_review,
    base_rows,
    export_reviews,
    read_reviews,
    reviews_file,
)
from core.prediction.analysis import AnalysisRequest, create_analysis_job
from core.prediction.evaluating import evaluate_split, load_results
from core.prediction.predictor import Predictor
from core.prediction.uploads import save_upload
from core.runs import Run, create_run, list_runs
from dashboard.evaluation.fault import deal_sentence, score_sentence

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
CONFIG = with_data(preset_config("fast"), "demo")


@pytest.fixture(autouse=True)
def no_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


@pytest.fixture(scope="module")
def data() -> dict[str, LabelledTexts]:
    return load_columns(CONFIG.data)


@pytest.fixture
def home(data: dict[str, LabelledTexts]) -> str:
    """Score the demo corpus's test split with the starter; return the data's fingerprint."""
    found = fingerprint(data)
    evaluate_split(Predictor.load("starter"), data["test"], found, "test")
    return found


def results_of(reference: str, data: dict[str, LabelledTexts], split: str = "test") -> Results:
    folder = settings.home() / "evaluations" / Predictor.load(reference).sha256
    return load_results(folder / f"{fingerprint(data)}-{split}" / "results.parquet")


def cards_of(data: dict[str, LabelledTexts]) -> tuple[list[int], Results]:
    results = results_of("starter", data)
    return deal(rank_suspects(results, "test").rows, results.wrong).tolist(), results


def open_page(page: str = "evaluation", **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.run()
    app.switch_page(str(ROOT / "pages" / f"{page}.py"))
    if page == "evaluation":
        parameters = {"evaluation_section": "fault"} | parameters
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def words_of(app: AppTest) -> str:
    bodies = " ".join(each.proto.body for each in app.get("html"))
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", bodies, flags=re.S))


def shown_text(app: AppTest) -> str:
    body = next(each.proto.body for each in app.get("html") if "rs-review" in each.proto.body)
    return html.unescape(re.sub(r"<[^>]*>", "", body))


def press(app: AppTest, fault: str, key: str = "evaluation_card") -> None:
    app.button(key=f"{key}_{fault}").click().run()
    assert not app.exception


def metric(app: AppTest, label: str) -> tuple[str, str]:
    found = next(each for each in app.metric if each.label == label)
    return found.value, found.delta


def keep(home: str, split: str, row: int, label: int, fault: str = "label") -> None:
    review = {"split": split, "row": row, "label": label, "fault": fault, "source": "suspect"}
    add_review(home, LabelReview.model_validate(review | {"model_sha256": "a" * 64, "time": 1.0}))


def faults(reviews: Reviews) -> dict[tuple[str, int], str]:
    return {place: review.fault for place, review in reviews.items()}


def test_the_first_card_shows_text_and_label_and_nothing_of_what_the_model_said(
    home: str, data: dict[str, LabelledTexts]
) -> None:
    app = open_page()
    cards, results = cards_of(data)
    assert f"0 of {len(cards):,} read" in words_of(app)
    assert shown_text(app) == data["test"].texts[cards[0]].as_py()
    assert f"Labelled {('negative', 'positive')[results.labels[cards[0]]]}" in re.sub(r"\s+", " ", words_of(app))
    assert "The model read it" not in words_of(app)
    assert [app.button(key=f"evaluation_card_{name}").label for name in ("model", "label", "unsure")] == [
        "Label is right", "Label is wrong", "Cannot tell",
    ]  # fmt: skip
    assert [app.button(key=f"evaluation_card_{name}").proto.shortcut for name in ("model", "label", "unsure")] == [
        "1", "2", "3",
    ]  # fmt: skip
    assert metric(app, "Adjudicated") == ("–", "nothing read yet")


def test_a_verdict_is_kept_and_the_next_card_comes_with_what_the_model_said(
    home: str, data: dict[str, LabelledTexts]
) -> None:
    app = open_page()
    cards, results = cards_of(data)
    for place, fault in enumerate(("model", "label", "unsure")):
        press(app, fault)
        verdict = ("negative", "positive")[results.verdicts[cards[place]]]
        assert f"The model read it as {verdict}" in words_of(app)
        assert shown_text(app) == data["test"].texts[cards[place + 1]].as_py()
    found = read_reviews(home)
    assert faults(found) == {
        ("test", cards[0]): "model", ("test", cards[1]): "label", ("test", cards[2]): "unsure",
    }  # fmt: skip
    for (_, row), review in found.items():
        assert review.source == ("suspect" if results.wrong[row] else "agreement")
        assert review.label == results.labels[row] and review.model_sha256 == Predictor.load("starter").sha256
    again = open_page()
    assert f"3 of {len(cards):,} read" in words_of(again)
    assert shown_text(again) == data["test"].texts[cards[3]].as_py()


def test_one_can_go_back_change_a_verdict_take_it_back_and_go_on(home: str, data: dict[str, LabelledTexts]) -> None:
    app, (cards, _) = open_page(), cards_of(data)
    assert app.button(key="evaluation_card_back").disabled
    press(app, "model")
    press(app, "model")
    app.button(key="evaluation_card_back").click().run()
    assert shown_text(app) == data["test"].texts[cards[1]].as_py()
    assert f"Review {cards[1]:,}, labelled" in words_of(app)
    app.button(key="evaluation_card_on").click().run()
    assert shown_text(app) == data["test"].texts[cards[2]].as_py()
    app.button(key="evaluation_card_back").click().run()
    app.button(key="evaluation_card_back").click().run()
    press(app, "label")
    assert faults(read_reviews(home)) == {("test", cards[0]): "label", ("test", cards[1]): "model"}
    app.button(key="evaluation_card_back").click().run()
    press(app, "model")
    assert faults(read_reviews(home)) == {("test", cards[0]): "label"}
    assert shown_text(app) == data["test"].texts[cards[1]].as_py(), "it is the next one to be read again"


def test_the_scores_stand_side_by_side_and_the_adjudicated_one_is_at_most_until_agreements_are_read(
    home: str, data: dict[str, LabelledTexts]
) -> None:
    cards, results = cards_of(data)
    wrong = [row for row in cards if results.wrong[row]]
    for row in wrong[:12]:
        keep(home, "test", row, int(results.labels[row]))
    right = int((~results.wrong).sum())
    app = open_page()
    assert metric(app, "By the labels")[0] == f"{100 * right / 1_200:.1f} %"
    assert metric(app, "Adjudicated") == (f"{100 * (right + 12) / 1_200:.1f} %", "at most, as far as read")
    assert "can only lower it: 0 of 30 are read" in words_of(app)
    for row in [row for row in cards if not results.wrong[row]][:30]:
        keep(home, "test", row, int(results.labels[row]), "model")
    app = open_page()
    value, chip = metric(app, "Adjudicated")
    assert value == f"{100 * (right + 12) / 1_200:.1f} %" and re.fullmatch(r"[\d.]+ to [\d.]+", chip)
    assert "Of 30 agreements drawn at random 0 have a wrong label" in words_of(app)


def test_judged_labels_are_a_door_to_their_reviews(home: str, data: dict[str, LabelledTexts]) -> None:
    cards, results = cards_of(data)
    agreement = next(row for row in cards if not results.wrong[row])
    wrong = [row for row in cards if results.wrong[row]]
    for row, fault in ((wrong[0], "label"), (agreement, "label"), (wrong[1], "model")):
        keep(home, "test", row, int(results.labels[row]), fault)
    app = open_page()
    assert app.button(key="evaluation_fault_door_label").label == "Label is wrong · 2"
    app.button(key="evaluation_fault_door_label").click().run()
    assert re.search(r"2\s+reviews\s+of 1,200: judged: label is wrong", words_of(app))
    assert "label" in app.query_params["evaluation_fault"]
    app.button(key="evaluation_fault_door_label").click().run()
    assert "evaluation_fault" not in app.query_params
    assert app.button(key="evaluation_fault_door_unsure").disabled
    nothing = open_page(evaluation_fault="<b>nobody</b>")
    assert "misclassified" in words_of(nothing)


def test_where_the_model_agrees_with_a_right_label_it_is_not_listed_as_wrong(
    home: str, data: dict[str, LabelledTexts]
) -> None:
    cards, results = cards_of(data)
    agreement = next(row for row in cards if not results.wrong[row])
    keep(home, "test", agreement, int(results.labels[agreement]), "model")
    app = open_page(evaluation_fault="model", evaluation_show="all")
    assert "No review matches: judged: model is wrong." in words_of(app)
    assert app.button(key="evaluation_fault_door_model").disabled


@pytest.mark.parametrize("clicked", [{"rows": [0]}, {"rows": [], "cells": [(0, "Review")]}], ids=["row", "cell"])
def test_while_a_review_is_open_the_keys_are_the_drawer_s(home: str, clicked: dict[str, list[object]]) -> None:
    app = open_page()
    app.session_state["evaluation_table_0"] = {"selection": clicked}
    app.run()
    assert not app.exception and app.button(key="evaluation_drawer_fault_label").proto.shortcut == "2"
    assert not app.button(key="evaluation_card_model").proto.shortcut
    assert not app.button(key="evaluation_card_back").proto.shortcut
    opened = open_page(evaluation_open="7")
    assert not opened.button(key="evaluation_card_model").proto.shortcut


def test_a_verdict_in_the_drawer_says_that_it_came_from_there(home: str, data: dict[str, LabelledTexts]) -> None:
    app = open_page(evaluation_open="7")
    press(app, "label", key="evaluation_drawer_fault")
    review = read_reviews(home)["test", 7]
    assert (review.fault, review.source, review.label) == ("label", "drawer", data["test"].labels[7])


def test_verdicts_go_out_and_come_back(home: str, data: dict[str, LabelledTexts]) -> None:
    cards, results = cards_of(data)
    for row in cards[:3]:
        keep(home, "test", row, int(results.labels[row]))
    content = export_reviews(home)
    reviews_file(home).unlink()
    app = open_page()
    app.file_uploader(key="evaluation_verdicts_0").set_value(("verdicts.jsonl", content, "application/jsonl")).run()
    assert not app.exception and "3 verdicts taken up." in words_of(app)
    assert set(read_reviews(home)) == {("test", row) for row in cards[:3]}
    app.file_uploader(key="evaluation_verdicts_1").set_value(("verdicts.jsonl", content, "application/jsonl")).run()
    assert "0 verdicts taken up, 3 left out" in words_of(app)
    app.file_uploader(key="evaluation_verdicts_2").set_value(("x.jsonl", b"nonsense", "application/jsonl")).run()
    assert not app.exception and "The first line does not say that the file holds verdicts" in words_of(app)


def test_damaged_verdicts_are_told_of_and_the_rest_of_the_page_stands(home: str) -> None:
    reviews_file(home).parent.mkdir(parents=True)
    reviews_file(home).write_text("nonsense\n")
    app = open_page()
    assert "line 1 is no JSON" in words_of(app) and len(app.dataframe) == 1


@pytest.mark.parametrize("labels", [[1] * 12, [0] * 12, [1], [1, 0]], ids=["positive", "negative", "one", "wrong"])
def test_one_label_one_review_and_no_error_leave_no_gap(monkeypatch: pytest.MonkeyPatch, labels: list[int]) -> None:
    texts = pa.array([f"a wonderful, tender film {row}" for row in range(len(labels))], pa.large_string())
    rows = LabelledTexts(texts, np.array(labels))
    splits = {"train": rows, "test": rows}
    monkeypatch.setattr("dashboard.cache.load_columns", lambda config: splits)
    monkeypatch.setattr("dashboard.cache._load_data", lambda *key: (splits, "f" * 64))
    evaluate_split(Predictor.load("starter"), rows, "f" * 64, "test")
    app = open_page(evaluation_show="all")
    for _ in labels:
        press(app, "model")
    assert "All of them are read." in words_of(app)
    assert metric(app, "Adjudicated")[0] != "–"
    assert "nan" not in words_of(app).lower()


def test_a_text_of_a_stranger_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "<script>alert(1)</script> ![x](http://example.org/p.png) a great\r\nfilm &amp; <b>more</b>"
    rows = LabelledTexts(pa.array([text], pa.large_string()), np.array([0]))
    splits = {"train": rows, "test": rows}
    monkeypatch.setattr("dashboard.cache._load_data", lambda *key: (splits, "f" * 64))
    evaluate_split(Predictor.load("starter"), rows, "f" * 64, "test")
    assert shown_text(open_page(evaluation_show="all")) == text


@pytest.fixture
def run(data: dict[str, LabelledTexts]) -> Run:
    """Train on the demo corpus and score validation."""
    config = with_settings(CONFIG, ["model.bucket_bits=14"])
    run = create_run(config, "fast", "reader")
    run_job(run.path)
    predictor, found = Predictor.load(run.run_id), fingerprint(data)
    for split in ("valid", "train"):
        evaluate_split(predictor, choose_split(data, split, config), found, split)
    return run


def test_the_training_set_is_no_place_to_look_for_suspects(run: Run) -> None:
    app = open_page(model=run.run_id, data="demo", split="train")
    assert "The model learnt from the train split" in words_of(app)
    assert not [each for each in app.button if each.key == "evaluation_card_label"]


def test_verdicts_on_validation_make_a_corrected_training_set_that_can_be_trained_on(
    run: Run, data: dict[str, LabelledTexts]
) -> None:
    app = open_page(model=run.run_id, data="demo", split="valid")
    assert "No label of the training set is judged wrong yet" in words_of(app)
    press(app, "label")
    press(app, "label")
    make = app.button(key="evaluation_correct")
    assert make.label == "Make a corrected training set (2 labels changed)"
    make.click().run()
    assert not app.exception
    found = re.search(r"(c[0-9a-f]{11}): 2 labels changed, fingerprint ([0-9a-f]{12})", words_of(app))
    assert found is not None
    rows = [row for split, row in read_reviews(fingerprint(data)) if split == "train"]
    corrected = load_columns(with_data(CONFIG, "demo", corrections=found[1]).data)
    assert np.flatnonzero(corrected["train"].labels != data["train"].labels).tolist() == sorted(rows)
    assert fingerprint(corrected).startswith(found[2])

    training = open_page("training", data="demo", corrections=found[1])
    assert f"2 labels of the training set are corrected ({found[1]})" in words_of(training)
    assert f"--set data.corrections={found[1]}" in training.code[0].value
    training.button(key="start").click().run()
    assert list_runs()[0].settings.config.data.corrections == found[1]
    run_job(list_runs()[0].path)
    origin = list_runs()[0].origin
    assert origin is not None and origin.data_fingerprint == fingerprint(corrected)


def test_verdicts_on_test_are_found_again_by_a_run_on_the_corrected_set(
    run: Run, data: dict[str, LabelledTexts]
) -> None:
    home = fingerprint(data)
    keep(home, "train", 0, int(data["train"].labels[0]))
    keep(home, "test", 5, int(data["test"].labels[5]))
    app = open_page(model=run.run_id, data="demo", split="valid")
    app.button(key="evaluation_correct").click().run()
    found = re.search(r"(c[0-9a-f]{11}): 1 label changed", words_of(app))
    assert found is not None
    config = with_data(with_settings(CONFIG, ["model.bucket_bits=14"]), "demo", corrections=found[1])
    again = create_run(config, "fast", "again", with_test=True)
    run_job(again.path)
    page = open_page(model=again.run_id, data="demo", split="test", evaluation_fault="label", evaluation_show="all")
    assert re.search(r"1\s+review\s+of 1,200: judged: label is wrong", words_of(page))
    assert "again was trained on it." in words_of(page)


def test_a_verdict_on_a_nearest_training_review_is_one_on_the_train_split(
    run: Run, data: dict[str, LabelledTexts]
) -> None:
    config, home = run.settings.config, fingerprint(data)
    request = AnalysisRequest(
        kind="neighbours", model=run.run_id, model_sha256=Predictor.load(run.run_id).sha256, data_fingerprint=home,
        split="valid", config=config, options={"train": True},
    )  # fmt: skip
    job = create_analysis_job(request)
    run_job(job.path)
    near = int(job.read_table()["near_1"][4].as_py())
    place = int(base_rows(data, "train", config)[1][near])
    app = open_page(model=run.run_id, data="demo", split="valid", evaluation_open="4")
    press(app, "label", key="evaluation_near_4_0")
    review = read_reviews(home)["train", place]
    assert (review.source, review.label) == ("neighbour", data["train"].labels[place])
    assert data["train"].texts[place].as_py() == choose_split(data, "train", config).texts[near].as_py()


def test_corrections_that_are_not_there_are_told_of_and_left_by_one_button() -> None:
    for page in ("training", "data"):
        app = open_page(page, data="demo", corrections="c00000000000")
        assert "There are no corrections 'c00000000000'" in words_of(app)
        app.button(key="leave-corrections").click().run()
        assert not app.exception and "corrections" not in app.query_params
        assert "There are no corrections" not in words_of(app)


def test_labels_of_a_table_of_one_s_own_are_judged_and_never_feed_training() -> None:
    content = b"text,label\n" + b"a dull and awful film,pos\na tender and lovely film,pos\nawful,neg\n" * 4
    upload = save_upload(io.BytesIO(content), "mine.csv")
    config = with_data(preset_config("fast"), str(upload.table), "text", "label")
    splits = load_columns(config.data)
    home = fingerprint(splits)
    evaluate_split(Predictor.load("starter"), choose_split(splits, "all", config), home, "all")
    app = open_page(data="table", table=upload.upload_id, split="all", evaluation_show="all")
    press(app, "label")
    assert [place[0] for place in read_reviews(home)] == ["all"]
    assert "No label of the training set is judged wrong yet" in words_of(app)


def test_the_cards_say_what_lies_in_them_also_where_nothing_is_suspected() -> None:
    assert deal_sentence(0, 1).startswith("No review is read otherwise than labelled. The cards are 1 agreement drawn")
    assert deal_sentence(1, 20).startswith("1 suspect, read otherwise than labelled")
    assert "among them 20 agreements drawn at random" in deal_sentence(40, 20)


def test_no_suspect_is_said_to_be_wrong_before_one_is() -> None:
    wrong = np.array([True, True, False, False])
    found = adjudicate(wrong, np.array([LABEL_RIGHT, UNREAD, UNREAD, UNREAD], np.int8))
    assert score_sentence(found).startswith("No suspect's label is judged wrong yet. 1 suspect not read yet")
    found = adjudicate(wrong, np.array([LABEL_WRONG, UNREAD, UNREAD, UNREAD], np.int8))
    assert score_sentence(found).startswith("1 suspect's label is wrong: it counts as right.")
