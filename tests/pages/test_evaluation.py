"""The evaluation page in Streamlit's test runner, on the demo corpus and the starter model."""

import csv
import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.charts.tokens import LIGHT
from core.config import RunConfig, preset_config, with_data
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import load_columns
from core.errors import JobError
from core.evaluation.metrics import evaluate_logits
from core.evaluation.selection import Results
from core.prediction.evaluating import (
    EvaluationJob,
    EvaluationRequest,
    create_evaluation_job,
    evaluate_split,
)
from core.prediction.explanation import read_text
from core.prediction.predictor import Predictor
from dashboard.evaluation.review_rows import csv_of_reviews, search_texts
from dashboard.highlight import highlight

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")

HOSTILE = [
    "<script>alert(1)</script> a wonderful film",
    "![x](http://example.org/pixel.png) dull & awful",
    "=1+1 &amp; <b>great</b>",
    "\u202eevoba morf \u0639\u0631\u0628\u064a great \u200b\u200d zero\u200bwidth",
    "a great\r\nfilm\n\n  with   spaces\t",
    "x" * 1_000_000,
]


@pytest.fixture(autouse=True)
def no_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def demo_config() -> RunConfig:
    return with_data(preset_config("fast"), "demo")


def demo_job() -> EvaluationJob:
    request = EvaluationRequest(model="starter", split="test", config=demo_config())
    splits = load_columns(request.config.data)
    return create_evaluation_job(request, Predictor.load("starter").sha256, fingerprint(splits))


@pytest.fixture
def scored() -> EvaluationJob:
    job = demo_job()
    jobs.run_job(job.path)
    assert job.state.status == "finished"
    return job


def open_page(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.run()
    app.switch_page(str(ROOT / "pages" / "evaluation.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def words_of(app: AppTest) -> str:
    """Return what the page's own HTML says, without tags."""
    return html.unescape(
        re.sub(r"<style>.*?</style>|<[^>]*>", " ", " ".join(each.proto.body for each in app.get("html")), flags=re.S)
    )


def url(app: AppTest) -> dict[str, str]:
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


def count_listed(app: AppTest) -> int:
    return int(re.search(r"([\d,]+)\s+reviews?\s+of [\d,]+", words_of(app)).group(1).replace(",", ""))


def button(app: AppTest, key: str):
    return app.button(key=key)


def test_what_was_never_scored_is_offered_with_one_button() -> None:
    app = open_page()
    assert "The starter has not read the test set of the demo corpus." in words_of(app)
    assert button(app, "evaluation_score").label == "Score 1,200 reviews"
    assert "About" not in words_of(app)


def test_pressing_the_button_queues_a_job_and_shows_that_it_waits() -> None:
    app = open_page()
    button(app, "evaluation_score").click().run()
    assert demo_job().state.status == "queued"
    assert "Next in line" in words_of(app)
    button(app, "evaluation_dequeue").click().run()
    assert "was stopped" in words_of(app)
    button(app, "evaluation_retry").click().run()
    assert demo_job().state.status == "queued"


def test_a_job_behind_others_says_how_many() -> None:
    other = create_evaluation_job(
        EvaluationRequest(model="starter", split="train", config=demo_config()), "0" * 64, "1" * 64
    )
    jobs.enqueue(other)
    app = open_page()
    button(app, "evaluation_score").click().run()
    assert "Waiting: 1 job before it." in words_of(app)


def test_a_running_job_shows_its_progress() -> None:
    job = demo_job()
    with job.locked():
        job.save_state("running")
        progress = {"phase": "Scoring", "done": 300, "total": 1200, "began": 100.0, "time": 102.0}
        (job.path / "progress.json").write_text(json.dumps(progress))
        app = open_page()
    assert "Scoring · 300 of 1,200 reviews · 6 s left" in words_of(app)


@pytest.mark.parametrize(("status", "said"), [("failed", "failed. Out of memory"), ("interrupted", "was interrupted")])
def test_a_job_that_ended_early_says_so_and_can_be_tried_again(status: str, said: str) -> None:
    job = demo_job()
    job.save_state("running" if status == "interrupted" else "failed", "Out of memory")
    app = open_page()
    assert said in words_of(app)
    assert button(app, "evaluation_retry").label == "Score again"


def test_a_full_queue_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(job: EvaluationJob) -> None:
        raise JobError("10 jobs wait already.")

    monkeypatch.setattr(jobs, "enqueue", refuse)
    app = open_page()
    button(app, "evaluation_score").click().run()
    assert "10 jobs wait already." in words_of(app)


def test_data_that_cannot_be_read_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path / "nowhere"))
    app = open_page()
    assert "Could not read IMDB's train split" in words_of(app)


def test_no_model_at_all_leads_to_training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "STARTER_FILE", tmp_path / "missing.safetensors")
    app = open_page()
    assert "There is no model to look at yet." in words_of(app)
    assert button(app, "evaluation_train").label == "Train the first one"


def test_a_scored_split_shows_figures_matrix_histogram_and_the_misclassified(scored: EvaluationJob) -> None:
    app = open_page()
    document = json.loads((scored.path / "metrics.json").read_text())
    accuracy = app.metric[0]
    assert accuracy.label == "Accuracy" and accuracy.value == f"{100 * document['metrics']['accuracy']['value']:.1f} %"
    assert "to" in accuracy.delta
    assert "The test set of the demo corpus, 1,200 reviews." in words_of(app)
    assert len(app.get("vega_lite_chart")) == 3
    wrong = document["confusion"]["false_positives"] + document["confusion"]["false_negatives"]
    assert count_listed(app) == wrong
    frame = app.dataframe[0].value
    assert list(frame["#"]) == list(range(1, len(frame) + 1)) and (frame["Label"] != frame["Read as"]).all()
    assert frame["Confidence"].is_monotonic_decreasing


def test_the_strip_tells_every_figure_also_of_a_split_scored_by_an_older_version(scored: EvaluationJob) -> None:
    path = scored.path / "metrics.json"
    document = json.loads(path.read_text())
    expected = document["metrics"]["ece"]["value"]
    for name in ("average_precision", "brier", "ece"):
        del document["metrics"][name]
    path.write_text(json.dumps(document))
    figures = {figure.label: figure for figure in open_page().metric[:9]}
    assert list(figures) == [
        "Accuracy", "Precision", "Recall", "F1", "ROC AUC", "Average precision", "Log loss", "Brier score",
        "Calibration error",
    ]  # fmt: skip
    assert figures["Calibration error"].value == f"{100 * expected:.1f} %"
    assert re.fullmatch(r"0\.\d{3}", figures["Brier score"].value)
    assert re.fullmatch(r"0\.\d{3} to [01]\.\d{3}", figures["Average precision"].delta)


def test_the_curves_are_one_click_away(scored: EvaluationJob) -> None:
    app = open_page(evaluation_section="confidence")
    assert len(app.get("plotly_chart")) == 2 and len(app.get("vega_lite_chart")) == 3


def test_a_click_on_the_matrix_filters_a_second_one_takes_the_filter_away(scored: EvaluationJob) -> None:
    confusion = json.loads((scored.path / "metrics.json").read_text())["confusion"]
    app = open_page()
    for click, listed in (
        (0, confusion["false_positives"]),
        (1, sum(confusion[n] for n in ("false_positives", "false_negatives"))),
    ):
        app.session_state[f"evaluation_matrix_{click}"] = {"selection": {"cell": [{"label": 0, "verdict": 1}]}}
        app.run()
        assert count_listed(app) == listed
    assert "evaluation_labelled" not in url(app)


def test_clicks_on_matrix_and_histogram_combine_and_stand_in_the_url(scored: EvaluationJob) -> None:
    app = open_page(evaluation_show="all")
    everything = count_listed(app)
    app.session_state["evaluation_matrix_0"] = {"selection": {"cell": [{"label": 1, "verdict": 1}]}}
    app.run()
    app.session_state["evaluation_counts_1"] = {"selection": {"cell": [{"bin": 19}]}}
    app.run()
    assert url(app)["evaluation_labelled"] == "positive" and url(app)["evaluation_confidence"] == "97.5-100"
    assert "labelled positive, read as positive, confidence 97.5 to 100 %" in words_of(app)
    assert app.selectbox(key="evaluation_labelled").value == "positive"
    assert app.selectbox(key="evaluation_confidence").value == 19
    again = open_page(**{name: value for name, value in url(app).items() if name.startswith("evaluation_")})
    assert count_listed(again) == count_listed(app) < everything
    button(app, "evaluation_clear").click().run()
    assert "misclassified" in words_of(app) and not any(name.startswith("evaluation_") for name in url(app))


def test_selects_and_segments_are_another_way_to_the_same_filters(scored: EvaluationJob) -> None:
    app = open_page()
    app.selectbox(key="evaluation_labelled").select("negative").run()
    app.selectbox(key="evaluation_read_as").select("positive").run()
    assert app.get("button_group")[1].value == "Read as positive, labelled negative"
    assert set(app.dataframe[0].value["Label"]) == {"negative"}
    app.get("button_group")[1].set_value("All").run()
    assert count_listed(app) == 1_200 and url(app)["evaluation_show"] == "all"


def test_a_search_narrows_the_list_whatever_the_case(scored: EvaluationJob) -> None:
    app = open_page(evaluation_show="all")
    texts = load_columns(demo_config().data)["test"].texts.to_pylist()
    app.text_input(key="evaluation_words").set_value("The").run()
    assert count_listed(app) == sum("the" in text.lower() for text in texts)
    app.text_input(key="evaluation_words").set_value("no such words <b>").run()
    assert "No review matches: containing “no such words <b>”." in words_of(app)
    button(app, "evaluation_clear_all").click().run()
    assert count_listed(app) > 0


@pytest.mark.parametrize(
    "parameters",
    [
        {"evaluation_labelled": "maybe", "evaluation_confidence": "1-2", "evaluation_page": "-1"},
        {"evaluation_page": "999999", "evaluation_order": "sideways", "evaluation_show": "<script>"},
        {"model": "gone", "data": "gone", "split": "gone", "evaluation_section": "gone"},
    ],
)
def test_what_is_no_filter_in_the_url_counts_as_none(scored: EvaluationJob, parameters: dict[str, str]) -> None:
    app = open_page(**parameters)
    assert "misclassified" in words_of(app) and len(app.dataframe[0].value) >= 1


def test_the_list_is_paged_and_ordered(scored: EvaluationJob) -> None:
    app = open_page(evaluation_show="all", evaluation_page="2")
    assert list(app.dataframe[0].value["#"]) == list(range(11, 21))
    app.selectbox(key="evaluation_order").select("unsure").run()
    assert list(app.dataframe[0].value["#"]) == list(range(1, 11))
    assert app.dataframe[0].value["Confidence"].is_monotonic_increasing


def test_a_row_opens_the_drawer_with_the_whole_review_and_can_be_opened_again(scored: EvaluationJob) -> None:
    app = open_page(evaluation_show="all", evaluation_order="data")
    texts = load_columns(demo_config().data)["test"].texts.to_pylist()
    for opened in range(2):
        app.session_state[f"evaluation_table_{opened}"] = {"selection": {"rows": [3], "columns": [], "cells": []}}
        app.run()
        assert not app.exception
        shown = [each.proto.body for each in app.get("html") if "rs-review" in each.proto.body][-1]
        assert html.unescape(re.sub(r"<[^>]*>", "", shown)) == texts[3]
        assert "4 of 1,200 listed" in words_of(app) and "pushed to" in words_of(app)
        assert url(app)["evaluation_open"] == "3"
        del app.query_params["evaluation_open"]
        app.run()
        assert "1,200 listed" not in words_of(app)


@pytest.mark.parametrize("labels", [[1] * 12, [0] * 12, [1]], ids=["all positive", "all negative", "one review"])
def test_one_label_or_one_review_gives_dashes_with_reasons(monkeypatch: pytest.MonkeyPatch, labels: list[int]) -> None:
    texts = pa.array([f"a wonderful, tender film {row}" for row in range(len(labels))], pa.large_string())
    rows = LabelledTexts(texts, np.array(labels))
    monkeypatch.setattr("dashboard.cache.load_columns", lambda config: {"train": rows, "test": rows})
    monkeypatch.setattr("dashboard.cache._load_data", lambda *key: ({"train": rows, "test": rows}, "f" * 64))
    evaluate_split(Predictor.load("starter"), rows, "f" * 64, "test")
    app = open_page(evaluation_show="all")
    auc = next(metric for metric in app.metric if metric.label == "ROC AUC")
    assert (auc.value, auc.delta, auc.help) == ("–", "needs both labels", "Undefined: it needs both labels.")
    assert count_listed(app) == len(labels)
    curves = open_page(evaluation_section="confidence", evaluation_show="all")
    assert "No ROC curve" in words_of(curves)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_marked_text_is_the_text_character_for_character(text: str) -> None:
    words = read_text(Predictor.load("starter"), text[:20_000]).words
    marked = highlight(text, words, LIGHT)
    assert html.unescape(re.sub(r"</?mark[^>]*>", "", marked)) == text
    assert set(re.findall(r"<(/?\w+)", marked)) <= {"mark", "/mark"}


def test_the_download_holds_what_is_listed_and_no_formula() -> None:
    labels, logits = np.array([0, 1, 1]), np.array([2.0, -1.0, 0.5])
    results = Results(labels, logits, 1 / (1 + np.exp(-logits)))
    texts = pa.array(["=HYPERLINK(1)", 'a "quoted",\nfilm\0', "fine"], pa.large_string())
    content = csv_of_reviews(results, texts, np.array([1, 0]))
    rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))
    assert rows[0] == ["index", "label", "verdict", "probability", "confidence", "intensity", "text"]
    assert rows[1][:3] == ["1", "positive", "negative"] and rows[1][6] == 'a "quoted",\nfilm\ufffd'
    assert rows[2][0] == "0" and rows[2][6] == "'=HYPERLINK(1)" and float(rows[2][4]) == pytest.approx(0.8808, abs=1e-4)
    assert len(rows) == 3


def test_a_search_takes_its_words_literally() -> None:
    texts = pa.array(["A (great) film", "a great film", "ÉTÉ"], pa.large_string())
    assert search_texts(texts, "(GREAT)").tolist() == [True, False, False]
    assert search_texts(texts, "été").tolist() == [False, False, True]


def test_figures_of_the_page_are_those_of_the_results_file(scored: EvaluationJob) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(scored.results_file)
    metrics, _ = evaluate_logits(table["label"].to_numpy().astype(np.int64), table["logit"].to_numpy())
    app = open_page()
    assert app.metric[0].value == f"{100 * metrics['accuracy'].value:.1f} %"
