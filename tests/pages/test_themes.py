"""The section Error themes, and its column of the overview, in Streamlit's test runner."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.charts.themes import lifts_finding
from core.config import preset_config, with_data
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import load_columns
from core.errors import JobError
from core.evaluation.discoveries import Term
from core.evaluation.lift import measure_lift
from core.evaluation.themes import THEMES, ThemeLift
from core.prediction.analysis import AnalysisJob
from core.prediction.evaluating import evaluate_split
from core.prediction.predictor import Predictions, Predictor
from core.prediction.theming import ErrorThemes
from dashboard.evaluation.themes import (
    found_caption,
    found_finding,
    found_frame,
    themes_frame,
)
from tests.pages.test_evaluation import count_listed, open_page, url, words_of

pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def demo_test() -> tuple[LabelledTexts, str]:
    splits = load_columns(with_data(preset_config("fast"), "demo").data)
    return splits["test"], fingerprint(splits)


def score(wrong: np.ndarray | None = None) -> None:
    """Score the demo corpus with the starter, or as a model that misreads just these reviews."""
    rows, data = demo_test()
    predictor: Any = Predictor.load("starter")
    if wrong is not None:
        logits = np.where((rows.labels == 1) ^ wrong, 2.0, -2.0).astype(np.float32)
        predictor = SimpleNamespace(sha256=predictor.sha256, predict=lambda texts, on_progress: Predictions(logits))
    evaluate_split(predictor, rows, data, "test")


def misread_films() -> np.ndarray:
    """Return verdicts that err by chance, and more on one film."""
    holds = np.array(["lantern" in text.lower() for text in demo_test()[0].texts.to_pylist()])
    return np.random.default_rng(0).random(len(holds)) < np.where(holds, 0.4, 0.05)


def open_section(section: str | None = "themes", **parameters: str) -> AppTest:
    named = {} if section is None else {"evaluation_section": section}
    return open_page(model="starter", data="demo", **named, **parameters)


def the_job() -> AnalysisJob:
    (folder,) = (settings.home() / "cache" / "analyses" / "themes").iterdir()
    return AnalysisJob(folder)


def take_the_look() -> ErrorThemes:
    """Open the page, do the job that it queues, and return what was found."""
    open_section()
    (waiting,) = jobs.list_waiting("quick")
    jobs.run_job(waiting.job.path)
    waiting.entry.unlink()
    return ErrorThemes.from_document(json.loads((waiting.job.path / "result.json").read_text()))


@pytest.mark.parametrize("section", [None, "themes"], ids=["overview", "section"])
def test_the_look_starts_by_itself_and_only_once(section: str | None) -> None:
    score()
    app = open_section(section)
    assert "Waiting for its turn." in words_of(app) and count_listed(app) > 0
    for _ in range(3):
        app.run()
    open_section(section)
    (waiting,) = jobs.list_waiting("quick")
    assert waiting.job.path == the_job().path and the_job().state.status == "queued"


def test_another_section_starts_nothing() -> None:
    score()
    open_section("confidence")
    assert jobs.list_waiting("quick") == []


def test_a_look_that_failed_waits_for_the_button() -> None:
    score()
    open_section()
    (waiting,) = jobs.list_waiting("quick")
    waiting.entry.unlink()
    the_job().save_state("failed", "Out of memory")
    app = open_section()
    app.run()
    assert "Out of memory" in words_of(app) and the_job().state.status == "failed"
    app.button(key="evaluation_themes_retry").click().run()
    assert the_job().state.status == "queued" and "Waiting for its turn." in words_of(app)


def test_a_full_queue_is_told_of_and_leaves_the_page_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(job: AnalysisJob) -> None:
        raise JobError("10 jobs wait already.")

    score()
    monkeypatch.setattr(jobs, "enqueue", refuse)
    app = open_section()
    assert "10 jobs wait already." in words_of(app) and count_listed(app) > 0


def test_every_number_of_a_theme_is_the_number_of_reviews_listed() -> None:
    score()
    themes = take_the_look()
    app = open_section()
    for clicks, each in enumerate(themes.themes):
        app.session_state[f"evaluation_lifts_{clicks}"] = {"selection": {"cell": [{"theme": each.key}]}}
        app.run()
        assert not app.exception and url(app)["evaluation_theme"] == each.key
        listed = 0 if f"No review matches: misclassified, theme: {each.title}." in words_of(app) else count_listed(app)
        assert listed == each.lift.errors and f"theme: {each.title}" in words_of(app)
        every = open_section(evaluation_theme=each.key, evaluation_show="all")
        assert count_listed(every) == each.lift.n


def test_a_second_click_on_a_theme_takes_the_filter_away() -> None:
    score()
    take_the_look()
    app = open_section(evaluation_theme="short")
    app.session_state["evaluation_lifts_0"] = {"selection": {"cell": [{"theme": "short"}]}}
    app.run()
    assert "evaluation_theme" not in url(app)


def test_a_theme_of_the_overview_is_a_door_too() -> None:
    score()
    themes = take_the_look()
    app = open_section(None)
    assert len(app.get("vega_lite_chart")) == 4 and lifts_finding(themes.themes) in words_of(app)
    app.session_state["evaluation_lifts_0"] = {"selection": {"cell": [{"theme": themes.themes[0].key}]}}
    app.run()
    assert count_listed(app) == themes.themes[0].lift.errors


def test_without_the_look_a_theme_and_a_word_of_the_url_are_answered_all_the_same() -> None:
    score()
    before = [
        count_listed(open_section("confidence", evaluation_show="all", **{f"evaluation_{name}": value}))
        for name, value in (("theme", "short"), ("token", "the"))
    ]
    themes = take_the_look()
    after = [
        count_listed(open_section("confidence", evaluation_show="all", **{f"evaluation_{name}": value}))
        for name, value in (("theme", "short"), ("token", "the"))
    ]
    assert before == after
    assert before[0] == next(each.lift.n for each in themes.themes if each.key == "short")


def test_a_theme_that_does_not_exist_is_no_filter() -> None:
    score()
    app = open_section("confidence", evaluation_theme="<b>nonsense</b>")
    assert "theme:" not in words_of(app)


def test_a_found_word_is_a_row_and_its_numbers_are_those_of_the_list() -> None:
    score(misread_films())
    themes = take_the_look()
    names = [term.name for term in themes.found]
    assert "lantern" in names
    app = open_section()
    assert found_finding(themes) in words_of(app)
    place = names.index("lantern")
    app.session_state["evaluation_found_0"] = {"selection": {"rows": [place], "columns": [], "cells": []}}
    app.run()
    assert not app.exception and url(app)["evaluation_token"] == "lantern"
    assert count_listed(app) == themes.found[place].lift.errors and "with the word “lantern”" in words_of(app)
    every = open_section(evaluation_token="lantern", evaluation_show="all")
    assert count_listed(every) == themes.found[place].lift.n
    app.session_state["evaluation_found_1"] = {"selection": {"rows": [place], "columns": [], "cells": []}}
    app.run()
    assert "evaluation_token" not in url(app)


def test_a_distinctive_word_is_a_door() -> None:
    score(misread_films())
    themes = take_the_look()
    lean = next(each for each in themes.distinctive if each.log_odds > 0)
    app = open_section()
    app.session_state["evaluation_distinctive_0"] = {"selection": {"cell": [{"word": lean.word}]}}
    app.run()
    assert count_listed(app) == lean.in_b


def test_where_nothing_stands_out_it_says_so() -> None:
    score(np.random.default_rng(1).permutation(np.arange(1_200) < 100))
    themes = take_the_look()
    app = open_section()
    assert themes.found == () and "Nothing stands out: of" in words_of(app)
    assert len(app.dataframe) == 2, "all themes, and the reviews"


@pytest.mark.parametrize("section", [None, "themes"], ids=["overview", "section"])
def test_a_model_without_an_error_gets_a_sentence_and_no_job(section: str | None) -> None:
    score(np.zeros(1_200, bool))
    app = open_section(section)
    assert "nothing that misread reviews have in common" in words_of(app) and jobs.list_waiting("quick") == []
    assert "All 1,200 reviews were read as labelled." in words_of(app) and "No review matches" not in words_of(app)
    app.button(key="evaluation_list_all").click().run()
    assert not app.exception and count_listed(app) == 1_200


def test_a_model_that_is_always_wrong_is_stood() -> None:
    score(np.ones(1_200, bool))
    take_the_look()
    app = open_section()
    assert "No theme is clearly misread more often than the rest" in words_of(app)
    assert "No word tells the misread reviews from the others" in words_of(app)


def themes_of(**changes: Any) -> ErrorThemes:
    values = {"n": 9, "errors": 3, "themes": (), "found": (), "found_count": 0, "words_tested": 0, "pairs_tested": 0}
    return ErrorThemes(**{**values, "distinctive": (), **changes})


def test_findings_are_told_in_sentences() -> None:
    more = ThemeLift("long", "the longest tenth", measure_lift(100, 40, 1_000, 80))
    none = ThemeLift("short", "the shortest tenth", measure_lift(0, 0, 1_000, 80))
    assert lifts_finding([more]) == "Misread most: the longest tenth, ×9.0 the rest"
    assert lifts_finding([none]) == "No theme is clearly misread more often than the rest"
    assert found_finding(themes_of()) == "No word stands in 20 reviews, too few to test"
    assert found_caption(themes_of()) == "A word or pair of words is tested from 20 reviews on."
    tested = {"words_tested": 1_200, "pairs_tested": 34}
    assert found_finding(themes_of(**tested)).startswith("Nothing stands out: of 1,234 words and pairs tested none")
    assert (
        found_finding(themes_of(found_count=1, **tested)) == "1 of 1,234 words and pairs errs more than chance allows"
    )
    assert "false discovery rate of 5 %" in found_caption(themes_of(**tested))
    term = Term("odd", measure_lift(100, 40, 1_000, 80), 1e-9, 1e-6)
    many = themes_of(found=(term,), found_count=3, **tested)
    assert "The first 1 are listed." in found_caption(many) and "Long reviews" not in found_caption(many)
    assert "Long reviews are misread more often" in found_caption(replace(many, themes=(more,)))


def test_an_undefined_lift_is_a_dash_with_its_reason() -> None:
    frame = themes_frame([ThemeLift("short", "the shortest tenth", measure_lift(0, 0, 1_000, 80))])
    assert frame.loc[0, ["Error rate", "95 % of rate", "Lift"]].tolist() == ["–", "–", "–"]
    assert frame.loc[0, "95 % of lift"] == "no review is of this kind"
    assert frame.loc[0, "Found by"] == THEMES["short"].how
    assert found_frame([]).empty
