"""The threshold panel, and every page that follows what is saved there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.config import RunConfig, preset_config, with_data
from core.data.labelled import fingerprint
from core.data.sources import choose_split, load_columns
from core.evaluation.thresholds import choose_band, choose_threshold, measure, sweep
from core.files import write_json
from core.model_settings import ModelSettings, load_settings, save_settings, settings_file
from core.prediction import evaluating
from core.prediction.evaluating import EvaluationJob, EvaluationRequest, create_evaluation_job, load_results
from core.prediction.predictor import Predictor

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
MIDDLING = "It was okay, nothing special."


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def config_of(fraction: float = 0.1) -> RunConfig:
    config = with_data(preset_config("fast"), "demo")
    return config.model_copy(update={"data": config.data.model_copy(update={"validation_fraction": fraction})})


def score(split: str = "test", config: RunConfig | None = None) -> EvaluationJob:
    request = EvaluationRequest(model="starter", split=split, config=config or config_of())
    job = create_evaluation_job(request, starter_sha(), fingerprint(load_columns(request.config.data)))
    jobs.run_job(job.path)
    return job


def starter_sha() -> str:
    return Predictor.load("starter").sha256


def valid_job(test: EvaluationJob) -> EvaluationJob:
    return EvaluationJob(test.path.with_name(test.path.name.removesuffix("-test") + "-valid"))


def open_page(page: str, *, panel: bool = False, **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / f"{page}.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    if panel:
        app.session_state["evaluation_threshold"] = True
    return sound(app.run())


def open_panel() -> AppTest:
    return open_page("evaluation", panel=True, model="starter")


def sound(app: AppTest) -> AppTest:
    assert not app.exception, [each.value for each in app.exception]
    return app


def said(app: AppTest) -> str:
    return "\n".join(element.proto.body for element in app.get("html"))


def widget(elements: Any, label: str) -> Any:
    return next(each for each in elements if each.label == label)


def press(app: AppTest, label: str) -> AppTest:
    widget(app.button, label).click()
    return sound(app.run())


def popover_label(app: AppTest) -> str:
    labels = [block.proto.popover.label for block in blocks(app._tree.root) if getattr(block, "type", "") == "popover"]
    return str(next(label for label in labels if label.startswith("Threshold")))


def blocks(node: Any) -> Iterator[Any]:
    for child in getattr(node, "children", {}).values():
        yield child
        yield from blocks(child)


def test_scoring_a_split_scores_the_validation_reviews_too() -> None:
    test = score()
    valid = valid_job(test)
    assert valid.is_done and valid.state.status == "finished"
    splits = load_columns(config_of().data)
    assert len(load_results(valid.results_file)) == len(choose_split(splits, "valid", config_of()))
    assert valid.progress is not None and valid.progress.phase == "Scoring the validation reviews"
    before = valid.results_file.stat().st_mtime_ns
    score()
    assert valid.results_file.stat().st_mtime_ns == before, "what is scored is not scored again"


def test_no_validation_share_scores_nothing_else() -> None:
    assert not valid_job(score(config=config_of(0.0))).exists


def test_validation_reviews_that_cannot_be_scored_fail_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    real = evaluating.evaluate_split

    def fail_on_validation(predictor: Any, data: Any, data_fingerprint: str, split: str, *rest: Any) -> Any:
        if split == "valid":
            raise RuntimeError("no memory")
        return real(predictor, data, data_fingerprint, split, *rest)

    monkeypatch.setattr(evaluating, "evaluate_split", fail_on_validation)
    test = score()
    assert test.is_done and test.state.status == "finished"
    assert valid_job(test).state.status == "failed" and "no memory" in valid_job(test).state.message
    assert "The validation reviews are not scored." in said(open_panel())


def test_the_closed_panel_says_the_setting_and_costs_nothing_else() -> None:
    score()
    app = open_page("evaluation", model="starter")
    assert popover_label(app) == "Threshold 0.50 · not sure 0.40 to 0.60"
    assert not app.slider and "not sure" in said(app)


def test_without_scored_validation_the_panel_offers_to_score_it() -> None:
    test = score()
    for path in (valid_job(test).path / "metrics.json", valid_job(test).path / "state.json"):
        path.unlink()
    app = open_panel()
    assert "has not read the validation reviews" in said(app) and not app.slider
    n = len(choose_split(load_columns(config_of().data), "valid", config_of()))
    app = press(app, f"Score {n:,} validation reviews")
    assert [waiting.job.path for waiting in jobs.list_waiting("score")] == [valid_job(test).path]
    jobs.run_job(valid_job(test).path)
    assert len(open_panel().slider) == 2


def test_a_threshold_set_by_hand_is_kept_and_followed_by_the_page() -> None:
    test = score()
    app = open_panel()
    assert widget(app.slider, "A verdict is positive above").value == 0.5
    widget(app.slider, "A verdict is positive above").set_value(0.8)
    app = sound(app.run())
    assert load_settings(starter_sha()) == ModelSettings(), "sliding alone keeps nothing"
    valid, results = load_results(valid_job(test).results_file), load_results(test.results_file)
    for each in (valid, results):
        assert f">{100 * (measure(each.labels, each.logits, 0.8, 0.4, 0.8).accuracy.value or 0):.1f} %<" in said(app)
    app = press(app, "Use this")
    kept = load_settings(starter_sha())
    assert (kept.threshold, kept.unsure_low, kept.unsure_high, kept.chosen_by) == (0.8, 0.4, 0.8, "hand")
    assert kept.n == len(valid) and kept.data_fingerprint == test.path.name.removesuffix("-test")
    assert popover_label(app) == "Threshold 0.80 · not sure 0.40 to 0.80"
    assert "above probability 0.80, set by hand" in said(app)
    wrong = int(((results.probabilities > 0.8) != results.labels).sum())
    assert f"{wrong:,} reviews</b> of 1,200" in said(app)
    app = press(app, "Back to 0.50")
    assert not settings_file(starter_sha()).exists() and popover_label(app).startswith("Threshold 0.50")


def test_the_aims_choose_on_validation_alone() -> None:
    test = score()
    valid = load_results(valid_job(test).results_file)
    app = open_panel()
    widget(app.selectbox, "Threshold").set_value("cost")
    sound(app.run())
    widget(app.number_input, "A false positive costs, in false negatives").set_value(20.0)
    widget(app.selectbox, "Not sure").set_value("share")
    app = press(sound(app.run()), "Use this")
    kept = load_settings(starter_sha())
    expected = choose_threshold(sweep(valid.labels, valid.logits), "cost", 20.0).threshold
    assert expected is not None
    band = choose_band(valid.labels, valid.logits, expected, "share", 0.1)
    assert (kept.threshold, kept.unsure_low, kept.unsure_high) == (expected, band.low, band.high)
    assert (kept.chosen_by, kept.aim_value) == ("cost", 20.0)
    assert "if a false positive costs 20 times a false negative" in said(app)
    reopened = open_panel()
    assert widget(reopened.selectbox, "Threshold").value == "cost"
    assert widget(reopened.number_input, "A false positive costs, in false negatives").value == 20.0


@pytest.mark.parametrize(("aim", "band"), [("accuracy", "right"), ("f1", "hand"), ("precision", "share")])
def test_every_aim_can_be_taken(aim: str, band: str) -> None:
    score()
    app = open_panel()
    widget(app.selectbox, "Threshold").set_value(aim)
    widget(app.selectbox, "Not sure").set_value(band)
    press(sound(app.run()), "Use this")
    kept = load_settings(starter_sha())
    assert kept.chosen_by in (aim, "default") and kept.unsure_low <= kept.threshold <= kept.unsure_high


def test_validation_of_one_label_chooses_nothing_and_says_why() -> None:
    test = score()
    predictor, splits = Predictor.load("starter"), load_columns(config_of().data)
    valid = choose_split(splits, "valid", config_of())
    evaluating.evaluate_split(predictor, valid.take(np.flatnonzero(valid.labels)[:9]), fingerprint(splits), "valid")
    assert len(load_results(valid_job(test).results_file)) == 9
    app = open_panel()
    widget(app.selectbox, "Threshold").set_value("accuracy")
    assert "a threshold tells two labels apart" in said(sound(app.run()))


def test_a_damaged_setting_is_said_and_the_usual_one_is_used() -> None:
    score()
    write_json(settings_file(starter_sha()), {"threshold": 3})
    app = open_panel()
    assert "The saved threshold cannot be read, and 0.50 is used instead." in said(app)
    assert popover_label(app).startswith("Threshold 0.50")
    assert "0.50 is used instead" in said(read(open_page("prediction"), MIDDLING))


def test_without_a_validation_share_the_panel_says_why_and_what_is_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard.evaluation import choices

    found = choices.list_data

    def without_share(model: Any) -> list[Any]:
        return [choices.replace(each, config=config_of(0.0)) for each in found(model)]

    monkeypatch.setattr(choices, "list_data", without_share)
    score(config=config_of(0.0))
    save_settings(starter_sha(), ModelSettings(threshold=0.6, chosen_by="f1", n=77))
    app = open_panel()
    assert "so there is no validation to choose on" in said(app) and not app.slider
    assert "In use: threshold 0.60, not sure from 0.40 to 0.60; the best F1 on 77 validation reviews" in said(app)
    press(app, "Back to 0.50")
    assert load_settings(starter_sha()) == ModelSettings()


def read(app: AppTest, text: str) -> AppTest:
    app.text_area[0].set_value(text)
    return sound(app.run())


def test_a_changed_threshold_shows_on_the_prediction_page_and_at_home() -> None:
    probability = float(Predictor.load("starter").predict([MIDDLING]).probabilities[0])
    assert 0.05 < probability < 0.5, "the text is one that the usual threshold reads as negative"
    low = round(probability / 2, 3)
    assert "Negative" in said(read(open_page("prediction"), MIDDLING))
    save_settings(starter_sha(), ModelSettings(threshold=low, unsure_low=low, unsure_high=low, chosen_by="f1", n=9))
    app = read(open_page("prediction"), MIDDLING)
    assert 'rs-section">Positive' in said(app) and "At 0.50 it would be negative." in said(app)
    assert "set for this model" in said(app) and "never not sure" in said(app)
    save_settings(starter_sha(), ModelSettings(threshold=low, unsure_low=low, unsure_high=0.9, chosen_by="f1", n=9))
    assert "Too close to call, leaning positive" in said(read(app, MIDDLING + " "))
    home = read(open_page("home"), MIDDLING)
    assert "Positive, " in said(home) and "which counts as not sure" in said(home)
