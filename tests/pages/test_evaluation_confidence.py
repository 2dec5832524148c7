"""The section Confidence, the ways out of filters, and tables that are brought, in Streamlit's test runner."""

import html
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.charts.tokens import LIGHT
from core.config import preset_config, with_data
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.evaluation.calibration import reliability, risk_coverage
from core.evaluation.selection import Results
from core.prediction.evaluating import EvaluationJob, EvaluationRequest, create_evaluation_job, load_results
from core.prediction.predictor import Predictor
from core.prediction.uploads import Upload, save_upload
from dashboard.evaluation.confidence import OFFERED_COVERAGES

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")


@pytest.fixture(autouse=True)
def no_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


@pytest.fixture
def results() -> Results:
    """Score the demo corpus with the starter."""
    config = with_data(preset_config("fast"), "demo")
    request = EvaluationRequest(model="starter", split="test", config=config)
    job = create_evaluation_job(request, Predictor.load("starter").sha256, fingerprint(load_columns(config.data)))
    jobs.run_job(job.path)
    assert job.state.status == "finished"
    return load_results(job.results_file)


def open_page(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.run()
    app.switch_page(str(ROOT / "pages" / "evaluation.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def open_section(**parameters: str) -> AppTest:
    return open_page(evaluation_section="confidence", **parameters)


def words_of(app: AppTest) -> str:
    """Return what the page's own HTML says, without tags."""
    bodies = " ".join(each.proto.body for each in app.get("html"))
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", bodies, flags=re.S))


def url(app: AppTest) -> dict[str, str]:
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


def count_listed(app: AppTest) -> int:
    found = re.search(r"([\d,]+)\s+reviews?\s+of [\d,]+", words_of(app))
    assert found
    return int(found[1].replace(",", ""))


def click(app: AppTest, key: str, selection: dict[str, object]) -> AppTest:
    app.session_state[key] = {"selection": selection}
    app.run()
    assert not app.exception
    return app


def bring(app: AppTest, content: str, name: str = "mine.csv") -> Upload:
    """Bring a table, as the upload in the box does, and open the box."""
    upload = save_upload(io.BytesIO(content.encode()), name)
    app.query_params["table"] = upload.upload_id
    app.session_state["evaluation_bring"] = True
    app.run()
    assert not app.exception
    return upload


def score(app: AppTest) -> EvaluationJob:
    """Press the one button of what was never scored, and do the work."""
    app.button(key="evaluation_score").click().run()
    (waiting,) = jobs.list_waiting("score")
    jobs.run_job(waiting.job.path)
    app.run()
    assert not app.exception
    return EvaluationJob(waiting.job.path)


def test_the_errors_of_calibration_stand_in_the_key_with_their_intervals_before_and_after(results: Results) -> None:
    calibration = Predictor.load("starter").calibration
    assert calibration is not None
    words = words_of(open_section())
    before, after = (
        reliability(results.labels, results.logits, temperature).error for temperature in (1, calibration.temperature)
    )
    assert re.search(rf"as trained: error {100 * before:.1f} % \([\d.]+ to [\d.]+\)", words)
    assert re.search(rf"after scaling, dotted: error {100 * after:.1f} % \([\d.]+ to [\d.]+\)", words)
    assert f"divides by {calibration.temperature:.2f}, fitted on {calibration.n:,} validation reviews." in words


def test_a_model_without_a_temperature_says_why_nothing_is_scaled(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = Predictor.load

    def load_uncalibrated(reference: str | Path) -> Predictor:
        predictor = load(reference)
        predictor.calibration = None
        return predictor

    monkeypatch.setattr(Predictor, "load", load_uncalibrated)
    monkeypatch.setattr("dashboard.cache._load_predictor", lambda path, changed: load_uncalibrated(Path(path)))
    app = open_section()
    assert "has no temperature" in words_of(app) and "after scaling" not in words_of(app)
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    assert LIGHT.valid not in json.dumps(spec)


def test_a_click_on_a_dot_or_on_a_count_lists_that_bin_and_a_second_one_ends_it(results: Results) -> None:
    app = open_section(evaluation_show="all")
    low, high = 0.875, 0.9
    inside = int(((results.confidences >= low) & (results.confidences < high)).sum())
    click(app, "evaluation_reliability_0", {"cell": [{"bin": 15}]})
    assert count_listed(app) == inside and url(app)["evaluation_confidence"] == "87.5-90"
    click(app, "evaluation_bin_counts_1", {"cell": [{"bin": 15}]})
    assert count_listed(app) == 1_200 and "evaluation_confidence" not in url(app)


def test_a_click_on_the_risk_curve_and_the_choice_beside_it_are_the_same_filter(results: Results) -> None:
    app = open_section()
    assert app.selectbox(key="evaluation_surest").value == 100
    click(app, "evaluation_risk_0", {"cell": [{"surest": 63}]})
    wrong = int(results.wrong[results.surest(63)].sum())
    assert count_listed(app) == wrong and "among the surest 63 %" in words_of(app)
    assert app.selectbox(key="evaluation_surest").value == 63 and 63 not in OFFERED_COVERAGES
    accuracy = risk_coverage(results.labels, results.logits).accuracy[62]
    assert f"Accept the surest 63 %, and {100 * accuracy:.1f} % are right" in words_of(app)
    app.selectbox(key="evaluation_surest").select(100).run()
    assert count_listed(app) == int(results.wrong.sum()) and "evaluation_surest" not in url(app)


@pytest.mark.parametrize("chart", ["roc", "precision_recall"])
def test_a_click_on_a_curve_lists_what_counts_as_positive_there_also_from_the_url(results: Results, chart: str) -> None:
    threshold = float(np.sort(results.probabilities)[-77])
    app = open_section()
    point = {"x": 0.1, "y": 0.2, "curve_number": 2, "customdata": [0.1, 0.3, threshold]}
    click(app, f"evaluation_{chart}_0", {"points": [point], "point_indices": [5]})
    assert count_listed(app) == int((results.probabilities >= threshold).sum())
    again = open_section(**{name: value for name, value in url(app).items() if name.startswith("evaluation_at")})
    assert f"probability of positive {threshold:.3f} or more" in words_of(again)
    click(app, f"evaluation_{chart}_1", {"points": [point], "point_indices": [5]})
    assert count_listed(app) == int(results.wrong.sum())


def test_each_filter_has_its_own_way_out_and_there_is_one_out_of_all(results: Results) -> None:
    app = open_page(evaluation_surest="80", evaluation_words="the", evaluation_confidence="97.5-100")
    assert {"only_wrong", "surest", "words", "confidence"} == {
        button.key.removeprefix("evaluation_without_") for button in app.button if "_without_" in (button.key or "")
    }
    app.button(key="evaluation_without_surest").click().run()
    assert "surest" not in words_of(app).partition("Reviews")[2] and "evaluation_surest" not in url(app)
    assert url(app)["evaluation_words"] == "the"
    app.button(key="evaluation_without_only_wrong").click().run()
    assert url(app)["evaluation_show"] == "all"
    app.button(key="evaluation_clear").click().run()
    assert not any(name.startswith("evaluation_") for name in url(app))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("theme", "nonsense"), ("labelled", "maybe"), ("read_as", "POSITIVE"), ("confidence", "1-2"),
        ("at_least", "nan"), ("surest", "100"), ("stars", "99"), ("area", "1,2"), ("pair", "x"), ("fault", "x"),
        ("order", "sideways"), ("show", "![x](http://example.org)"),
    ],
)  # fmt: skip
def test_what_is_no_filter_in_the_address_is_said(results: Results, name: str, value: str) -> None:
    app = open_page(**{f"evaluation_{name}": value})
    assert f"so it was left out: {name} “{value}”." in words_of(app)
    assert count_listed(app) == int(results.wrong.sum())


def test_known_filters_are_not_complained_of(results: Results) -> None:
    app = open_page(evaluation_show="all", evaluation_order="data", evaluation_surest="5", evaluation_at_least="0.5")
    assert "left out" not in words_of(app)


def test_a_click_on_any_cell_of_a_row_opens_the_drawer(results: Results) -> None:
    app = open_page()
    click(app, "evaluation_table_0", {"rows": [], "columns": [], "cells": [[2, "Review"]]})
    assert "3 of" in words_of(app) and any("rs-review" in each.proto.body for each in app.get("html"))


def test_there_are_three_files_to_take_away_and_none_without_a_row(results: Results) -> None:
    labels = [button.label for button in open_page().get("download_button")]
    assert [label for label in labels if label.startswith(("CSV", "Parquet"))] == [
        "CSV for spreadsheets", "CSV, texts as they came", "Parquet",
    ]  # fmt: skip


def test_a_table_that_is_brought_is_evaluated_whole_by_any_model() -> None:
    app = open_page()
    rows = [("great and superb", "pos"), ("awful and dull", "neg"), ("lovely", "pos"), ("", "neg")]
    upload = bring(app, "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), "<b>mine</b>.csv")
    app.button(key="evaluation_use_table").click().run()
    assert url(app) | {"data": "table", "split": "all", "table": upload.upload_id} == url(app)
    assert "The starter has not read the table <b>mine</b>.csv." in words_of(app)
    job = score(app)
    assert count_listed(app.run()) <= 4 and "of 4" in words_of(app)
    assert json.loads((job.path / "metrics.json").read_text())["n"] == 4
    app.query_params["data"], app.query_params["split"] = "demo", "test"
    app.run()
    assert app.selectbox(key="evaluation_data").options == ["Demo corpus, test", "<b>mine</b>.csv, all rows"]


def test_labels_that_nobody_can_guess_are_asked_for_before_the_table_can_be_used() -> None:
    app = open_page()
    bring(app, "text,label\ngood,so\nbad,la\n")
    assert "2 rows cannot be used before you choose" in words_of(app)
    assert not any(button.key == "evaluation_use_table" for button in app.button)
    app.query_params["data"], app.query_params["split"] = "table", "all"
    app.run()
    assert "or its columns and labels are not chosen to the end; this is the test set" in words_of(app)
    app.query_params["labels"] = "pn"
    app.run()
    assert "The starter has not read the table mine.csv." in words_of(app)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\ngood,1\nshort\n", "1 row cannot be used"),
        ("text\ngood\n", "1 column. It takes two"),
        ("text,stars\nso so,3\nmeh,3\n", "There is no review"),
        ("text,label\n", "There is no review"),
    ],
)
def test_a_table_that_cannot_be_scored_is_refused_with_a_sentence(content: str, words: str) -> None:
    app = open_page()
    app.query_params["labels"] = "o"
    bring(app, content)
    assert words in words_of(app) and "Nothing was scored." in words_of(app)
    assert not any(button.key == "evaluation_use_table" for button in app.button)


def test_a_table_that_is_not_here_any_more_is_told_of(results: Results) -> None:
    app = open_page(data="table", split="all", table="0123456789ab")
    assert "The table of this address is not here any more" in words_of(app) and count_listed(app) > 0


@pytest.mark.parametrize(
    "section", ["overview", "confidence", "themes", "fault", "map", "robustness", "two_runs", "intensity"]
)
@pytest.mark.parametrize("texts", [["a great film"], ["a great film", "lovely", ""]], ids=["one row", "one class"])
def test_one_row_or_one_class_says_why_a_figure_or_a_chart_is_missing(texts: list[str], section: str) -> None:
    app = open_page()
    bring(app, "text,label\n" + "".join(f"{text},positive\n" for text in texts))
    app.button(key="evaluation_use_table").click().run()
    score(app)
    app.query_params["evaluation_section"] = section
    app.run()
    assert not app.exception
    figures = {metric.label: metric for metric in app.metric}
    assert figures["ROC AUC"].value == "–" and "both labels" in figures["ROC AUC"].delta
    assert "nan" not in words_of(app).lower().split()
    if section == "confidence":
        assert "No ROC curve" in words_of(app) and "No precision-recall curve" in words_of(app)
        assert len(app.get("vega_lite_chart")) == 3 and not app.get("plotly_chart")
