"""The section Intensity in Streamlit's test runner: the demo corpus and tables, with stars and without."""

import csv
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.charts.intensity import plot_intensity, spread_frame, stars_frame
from core.charts.tokens import LIGHT
from core.config import RunConfig, preset_config, with_data, with_settings
from core.data.labelled import fingerprint
from core.data.ratings import load_ratings
from core.data.sources import load_columns
from core.evaluation.intensity import scores_by_stars, spearman
from core.evaluation.selection import Selection
from core.prediction.evaluating import EvaluationJob, evaluate_split, evaluation_folder, load_results
from core.prediction.predictor import Predictor
from core.runs import create_run
from dashboard.evaluation.intensity import correlation_text, open_stars
from tests.pages.test_evaluation import count_listed, open_page, words_of
from tests.texts import invent_reviews

pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")


@pytest.fixture(autouse=True)
def no_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def demo_config() -> RunConfig:
    return with_data(preset_config("fast"), "demo")


@pytest.fixture
def scored() -> EvaluationJob:
    return score("starter", demo_config())


def score(reference: str, config: RunConfig) -> EvaluationJob:
    splits = load_columns(config.data)
    evaluation = evaluate_split(Predictor.load(reference), splits["test"], fingerprint(splits), "test")
    return EvaluationJob(evaluation_folder(evaluation.model_sha256, evaluation.data_fingerprint, "test"))


def open_section(**parameters: str) -> AppTest:
    return open_page(evaluation_section="intensity", **{"model": "starter", "data": "demo", **parameters})


def train_on_table(path: Path, columns: list[str], rows: list[list[str]], **options: object) -> str:
    """Train a small model on a table, score its test split and return its run id."""
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    config = with_data(preset_config("fast"), str(path), **options)
    run = create_run(with_settings(config, ["model.bucket_bits=12", "training.epochs=1"]), "fast")
    jobs.run_job(run.path)
    assert run.state.status == "finished", run.state.message
    score(run.run_id, run.settings.config)
    return run.run_id


def test_scores_by_stars_and_their_correlation_are_those_of_the_results(scored: EvaluationJob) -> None:
    results, stars = load_results(scored.results_file), load_ratings(demo_config(), "test")
    app = open_section()
    said = words_of(app)
    assert f"The score follows the stars: {correlation_text(spearman(results.logits, stars))}" in said
    assert "1,200 reviews" in said and "Stars are never trained on." in said
    for label, name in enumerate(("negative", "positive")):
        chosen = results.labels == label
        alone = correlation_text(spearman(results.logits[chosen], stars[chosen]))
        assert f"Labelled {name} alone: {alone}, {chosen.sum():,} reviews." in said
    assert len(app.get("vega_lite_chart")) == 1 and "5 stars: 0." in app.get("vega_lite_chart")[0].proto.alt


def test_a_click_on_a_star_lists_all_its_reviews_and_a_second_one_ends_that(scored: EvaluationJob) -> None:
    results, stars = load_results(scored.results_file), load_ratings(demo_config(), "test")
    app = open_section()
    for click, listed in ((0, (stars == 4).sum()), (1, results.wrong.sum())):
        app.session_state[f"evaluation_stars_{click}"] = {"selection": {"cell": [{"stars": 4}]}}
        app.run()
        assert not app.exception and count_listed(app) == listed
    app = open_section(evaluation_stars="1", evaluation_labelled="positive")
    assert "1 star" in words_of(app) and count_listed(app) == ((stars == 1) & (results.labels == 1)).sum()


def test_a_table_s_own_stars_are_found(tmp_path: Path) -> None:
    texts = invent_reviews(300).texts.to_pylist()
    stars = [[text, str(4 + place // 2 % 2 if place % 2 else 1 + place // 2 % 2)] for place, text in enumerate(texts)]
    label_map = {"1": "negative", "2": "negative", "4": "positive", "5": "positive"}
    run_id = train_on_table(tmp_path / "a.csv", ["text", "label"], stars, label_map=label_map)
    app = open_section(model=run_id, data="table")
    assert "The score follows the stars" in words_of(app) and "60 reviews" in words_of(app)


def test_without_stars_it_says_what_is_needed(tmp_path: Path) -> None:
    texts = invent_reviews(200).texts.to_pylist()
    rows = [[text, str(place % 2)] for place, text in enumerate(texts)]
    run_id = train_on_table(tmp_path / "a.csv", ["text", "label"], rows)
    app = open_section(model=run_id, data="table", evaluation_stars="3")
    said = words_of(app)
    assert "comes without stars" in said and "a column called stars or rating" in said
    assert "No review matches: misclassified, 3 stars." in said


@pytest.mark.parametrize("stars", ["0", "11", "x", "-3"])
def test_stars_that_are_none_filter_nothing(scored: EvaluationJob, stars: str) -> None:
    assert count_listed(open_section(evaluation_stars=stars)) == load_results(scored.results_file).wrong.sum()


@pytest.mark.parametrize("labels", [[1] * 12, [0]], ids=["one label", "one review"])
def test_one_label_or_one_review_is_a_sentence(monkeypatch: pytest.MonkeyPatch, labels: list[int]) -> None:
    rows = invent_reviews(len(labels))
    rows = type(rows)(rows.texts, np.array(labels))
    monkeypatch.setattr("dashboard.cache._load_data", lambda *key: ({"train": rows, "test": rows}, "f" * 64))
    monkeypatch.setattr("dashboard.cache._load_stars", lambda *key: np.full(len(labels), 3, np.int8))
    evaluate_split(Predictor.load("starter"), rows, "f" * 64, "test")
    app = open_section(evaluation_show="all")
    assert "No correlation: it needs" in words_of(app) and "3 stars, the only rating" in words_of(app)
    assert "nan" not in words_of(app).lower()


def test_stars_of_other_reviews_are_told_of(scored: EvaluationJob, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.cache._load_stars", lambda *key: np.ones(7, np.int8))
    app = open_section(evaluation_stars="1")
    assert "There are 7 ratings for 1,200 scored reviews." in words_of(app)
    assert "No review matches" in words_of(app)


def test_a_click_on_a_star_turns_errors_only_off_and_on_again() -> None:
    once = open_stars(Selection(words="so"), {"cell": [{"stars": 7}]})
    assert once == Selection(words="so", stars=7, only_wrong=False)
    assert open_stars(once, {"cell": [{"stars": 7}]}) == Selection(words="so")
    assert open_stars(once, {"cell": []}) == once


def test_the_chart_s_bars_are_as_wide_as_their_bins_are_full() -> None:
    scores, stars = np.array([0.01, 0.02, 0.99, 0.5]), np.array([1, 1, 1, 4])
    by_stars = scores_by_stars(scores, stars)
    spread = spread_frame(by_stars, None)
    widths = (spread["right"] - spread["left"]).round(6).tolist()
    assert len(spread) == 3 and widths == [0.92, 0.46, 0.92]
    frame = stars_frame(by_stars, 4)
    assert frame["strength"].tolist()[1] > frame["strength"].tolist()[0]
    assert frame["piece"].nunique() == 2, "no line is drawn over stars that nobody gave"
    assert frame["low"].isna().tolist() == [False, True]
    assert plot_intensity(by_stars, None, LIGHT).to_dict()["layer"]
