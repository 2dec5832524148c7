"""The drawer of one review, and the same reading on the prediction page, in Streamlit's test runner."""

import html
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.config import RunConfig, preset_config, with_data
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import load_columns
from core.default_model import use_model
from core.errors import JobError
from core.job_folder import JobFolder
from core.models.model_file import save_model
from core.prediction.evaluating import (
    EvaluationRequest,
    create_evaluation_job,
    evaluate_split,
)
from core.prediction.explaining import ExplanationJob, explanation_folder
from core.prediction.predictor import Predictor
from core.runs import Run, create_run
from dashboard.evaluation.drawer import change_sentence
from dashboard.highlight import SHOWN_CHARACTERS
from tests.core.prediction.small_models import train_small

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def make_run(kind: str, preset: str) -> Run:
    """Return a run whose model is a small one, and that has read the demo corpus."""
    run = create_run(demo_config(preset), preset, kind)
    small = train_small(kind)
    save_model(run.model_file, small.model, small.encoder, small.architecture)
    request = EvaluationRequest(model=run.run_id, split="test", config=demo_config(preset))
    splits = load_columns(request.config.data)
    job = create_evaluation_job(request, Predictor.load(run.model_file).sha256, fingerprint(splits))
    jobs.run_job(job.path)
    assert job.state.status == "finished"
    return run


@pytest.fixture
def linear(workspace: Path) -> Run:
    return make_run("ngram", "fast")


@pytest.fixture
def recurrent(workspace: Path) -> Run:
    return make_run("bilstm", "compact")


@pytest.fixture
def attentive(workspace: Path) -> Run:
    return make_run("bilstm_attention", "attention")


def demo_config(preset: str) -> RunConfig:
    return with_data(preset_config(preset), "demo")


def demo_texts() -> list[str]:
    texts: list[str] = load_columns(demo_config("fast").data)["test"].texts.to_pylist()
    return texts


def open_page(run: Run, page: str = "evaluation", **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60)
    app.run()
    app.switch_page(str(ROOT / "pages" / f"{page}.py"))
    app.query_params["model"] = run.run_id
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def open_drawer(run: Run, row: int) -> AppTest:
    return open_page(run, evaluation_show="all", evaluation_order="data", evaluation_open=str(row))


def words_of(app: AppTest) -> str:
    bodies = " ".join(each.proto.body for each in app.get("html"))
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", bodies, flags=re.S))


def readings(app: AppTest) -> list[str]:
    return [each.proto.body for each in app.get("html") if 'class="rs rs-review"' in each.proto.body]


def text_of(reading: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", reading))


def opened(app: AppTest) -> str | None:
    value = app.query_params.get("evaluation_open")
    return value[0] if isinstance(value, list) else value


def explanation_of(run: Run, text: str) -> ExplanationJob:
    return ExplanationJob(explanation_folder(Predictor.load(run.model_file).sha256, text))


def waiting() -> list[str]:
    """Return which explanations wait; the page may have asked for looks of its own."""
    return [each.job.path.name for each in jobs.list_waiting("quick") if "explanations" in each.job.path.parts]


def test_the_address_alone_opens_the_same_review(linear: Run) -> None:
    app = open_drawer(linear, 7)
    assert text_of(readings(app)[0]) == demo_texts()[7]
    assert "Review 7 of the data, counted from 0 · 8 of 1,200 listed" in words_of(app)
    assert "Exact shares for this model." in words_of(app) and "<mark" in readings(app)[0]
    assert re.search(r"Read to the end: \d+ of \d+ words", words_of(app))


def test_next_and_previous_turn_over_and_stand_in_the_address(linear: Run) -> None:
    app = open_drawer(linear, 0)
    assert app.button(key="evaluation_previous").disabled
    app.button(key="evaluation_next").click().run()
    assert opened(app) == "1" and text_of(readings(app)[0]) == demo_texts()[1]
    app.button(key="evaluation_previous").click().run()
    assert opened(app) == "0" and text_of(readings(app)[0]) == demo_texts()[0]
    last = open_drawer(linear, 1_199)
    assert last.button(key="evaluation_next").disabled


def test_a_review_that_the_filters_leave_out_is_shown_before_the_listed_ones(linear: Run) -> None:
    shown = open_page(linear, evaluation_words="no such words", evaluation_open="5")
    assert "Review 5 of the data, counted from 0 · not among the 0 listed" in words_of(shown)
    assert shown.button(key="evaluation_next").disabled


@pytest.mark.parametrize("row", ["1200", "-1", "x", "99999999999"])
def test_a_row_that_is_none_opens_nothing(linear: Run, row: str) -> None:
    app = open_page(linear, evaluation_open=row)
    assert not readings(app) and "counted from 0" not in words_of(app)


def test_a_verdict_on_whose_fault_it_is_is_asked_for(linear: Run) -> None:
    app = open_drawer(linear, 7)
    keys = [each.key for each in app.button if each.key and each.key.startswith("evaluation_drawer_fault")]
    assert len(keys) == 3
    app.button(key=keys[0]).click().run()
    assert opened(app) == "7" and not app.exception


def test_a_changed_text_is_scored_said_in_words_and_read_anew(linear: Run) -> None:
    app = open_drawer(linear, 7)
    predictor, text = Predictor.load(linear.model_file), demo_texts()[7]
    assert app.text_area(key="evaluation_text_7").value == text and "Change a word" in words_of(app)
    for other in ("A superb cast and a tender, lovely ending.", "A dull, clumsy plot and an awful cast."):
        app.text_area(key="evaluation_text_7").set_value(other).run()
        before, after = predictor.predict([text, other]).probabilities
        assert f"Probability of positive now {100 * after:.1f} %" in words_of(app)
        turned = (before > 0.5) != (after > 0.5)
        assert ("The verdict turned: now read as" in words_of(app)) == turned
        assert text_of(readings(app)[1]) == other and "What it reads now" in words_of(app)
    app.text_area(key="evaluation_text_7").set_value(text).run()
    assert len(readings(app)) == 1 and "Change a word" in words_of(app)


def test_the_box_begins_anew_for_each_review(linear: Run) -> None:
    app = open_drawer(linear, 7)
    app.text_area(key="evaluation_text_7").set_value("Something else.").run()
    app.button(key="evaluation_next").click().run()
    assert app.text_area(key="evaluation_text_8").value == demo_texts()[8] and len(readings(app)) == 1
    app.button(key="evaluation_previous").click().run()
    assert app.text_area(key="evaluation_text_7").value == demo_texts()[7]


@pytest.mark.parametrize(
    ("before", "after", "verdicts", "said"),
    [
        (0.987, 0.912, (1, 1), "Probability of positive now 91.2 %, 7.5 points less. Still read as positive."),
        (0.40, 0.65, (0, 1), "Probability of positive now 65.0 %, 25.0 points more. The verdict turned: now read as positive."),
        (0.65, 0.65, (1, 1), "Probability of positive now 65.0 %, as before. Still read as positive."),
    ],
)  # fmt: skip
def test_what_a_change_did_is_one_sentence(before: float, after: float, verdicts: tuple[int, int], said: str) -> None:
    assert change_sentence(before, after, verdicts) == said


def test_the_words_of_a_recurrent_model_are_worked_out_once_by_a_job(recurrent: Run) -> None:
    app = open_drawer(recurrent, 3)
    text = demo_texts()[3]
    job = explanation_of(recurrent, text)
    assert job.state.status == "queued" and "waiting for its turn" in words_of(app)
    assert text_of(readings(app)[0]) == text and "rgba" not in readings(app)[0]
    app.run()
    assert len(waiting()) == 1, "a rerun asks for it no second time"
    jobs.run_job(job.path)
    app = open_drawer(recurrent, 3)
    assert text_of(readings(app)[0]) == text and "rgba" in readings(app)[0]
    assert "Integrated gradients" in words_of(app) and "within 0.1" in words_of(app)
    changed = job.result_file.stat().st_mtime_ns
    app.run()
    assert job.result_file.stat().st_mtime_ns == changed and job.state.status == "finished"


def test_moving_on_gives_up_what_nobody_waits_for(recurrent: Run) -> None:
    app = open_drawer(recurrent, 3)
    for _ in range(3):
        app.button(key="evaluation_next").click().run()
    assert [explanation_of(recurrent, demo_texts()[row]).state.status for row in (3, 4, 5, 6)] == [
        "stopped", "stopped", "stopped", "queued",
    ]  # fmt: skip
    assert len(waiting()) == 1
    app.button(key="evaluation_previous").click().run()
    assert explanation_of(recurrent, demo_texts()[5]).state.status == "queued", "and it is asked for again"


def test_progress_is_told(recurrent: Run) -> None:
    open_drawer(recurrent, 3)
    job = explanation_of(recurrent, demo_texts()[3])
    with job.locked():
        job.save_state("running")
        (job.path / "progress.json").write_text('{"phase": "x", "done": 1, "total": 3, "began": 1.0, "time": 2.0}')
        assert "Working out which words pushed: 33 %" in words_of(open_drawer(recurrent, 3))


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_what_could_not_be_worked_out_says_why_and_can_be_tried_again(recurrent: Run, status: str) -> None:
    open_drawer(recurrent, 3)
    job = explanation_of(recurrent, demo_texts()[3])
    jobs.stop(job)
    job.save_state("running" if status == "interrupted" else "failed", "Out of memory")
    app = open_drawer(recurrent, 3)
    assert "Which words pushed is not known:" in words_of(app) and not waiting()
    app.button(key="evaluation_reading_explain").click().run()
    assert job.state.status == "queued"


def test_a_full_queue_is_told_of_and_not_asked_again_at_each_tick(
    recurrent: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def refuse(job: JobFolder) -> None:
        if isinstance(job, ExplanationJob):
            asked.append(job)
        raise JobError("10 jobs wait already.")

    monkeypatch.setattr(jobs, "enqueue", refuse)
    app = open_drawer(recurrent, 3)
    app.run()
    assert "10 jobs wait already." in words_of(app) and len(asked) == 1


def test_what_takes_long_waits_for_a_press(recurrent: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dashboard.explained_text.estimate_seconds", lambda *asked: 12.0)
    app = open_drawer(recurrent, 3)
    assert not waiting()
    assert app.button(key="evaluation_reading_explain").label == "Work out which words pushed (about 12 s)"
    app.button(key="evaluation_reading_explain").click().run()
    assert len(waiting()) == 1


def test_the_prediction_page_explains_a_recurrent_model_too(recurrent: Run) -> None:
    use_model(recurrent.run_id)
    app = open_page(recurrent, "prediction")
    for text in ("A dull plot, a superb cast.", "A superb plot."):
        app.text_area(key="prediction_text").set_value(text).run()
        assert "Working out which words pushed" in words_of(app) and len(waiting()) == 1
    jobs.run_job(explanation_of(recurrent, text).path)
    app.run()
    assert "rgba" in readings(app)[0] and text_of(readings(app)[0]) == text


def test_a_model_with_attention_shows_it_instead_of_pushes_and_waits_for_no_job(attentive: Run) -> None:
    app = open_drawer(attentive, 3)
    job, text = explanation_of(attentive, demo_texts()[3]), demo_texts()[3]
    assert job.state.status == "queued" and app.segmented_control(key="evaluation_reading_shown").value == "Pushes"
    app.segmented_control(key="evaluation_reading_shown").set_value("Attention").run()
    assert job.state.status == "stopped" and not waiting()
    said = words_of(app)
    assert re.search(r"Half of its attention lies on [\d,]+ of [\d,]+ words", said)
    assert "It shows where the model looked, not which way a word pushed" in said and "Integrated" not in said
    assert text_of(readings(app)[0]) == text and "rgba(28,37,48" in readings(app)[0]
    assert "178,58,18" not in readings(app)[0] and "31,102,176" not in readings(app)[0]
    app.button(key="evaluation_next").click().run()
    assert text_of(readings(app)[0]) == demo_texts()[4] and "of its attention lies" in words_of(app)


def test_the_prediction_page_shows_attention_too_and_other_models_offer_none(attentive: Run) -> None:
    use_model(attentive.run_id)
    app = open_page(attentive, "prediction")
    app.text_area(key="prediction_text").set_value("A dull plot, <b>a superb cast.").run()
    app.segmented_control(key="prediction_why_shown").set_value("Attention").run()
    assert "of its attention lies" in words_of(app) and "rgba(28,37,48" in readings(app)[0]
    assert text_of(readings(app)[0]) == "A dull plot, <b>a superb cast."
    use_model("starter")
    assert not [each for each in open_page(attentive, "prediction").segmented_control if "shown" in (each.key or "")]


HOSTILE = [
    "",
    " \n\t ",
    "\N{RIGHT-TO-LEFT OVERRIDE}<b>dull</b>\r\n",
    "<br />",
    "x" * 1_000_000,
    "dull & superb, " * 3_000,
]


@pytest.mark.parametrize("kind", ["ngram", "bilstm", "bilstm_attention"])
def test_empty_hostile_and_huge_texts_open_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(kind, "fast" if kind == "ngram" else "compact")
    rows = LabelledTexts(pa.array(HOSTILE, pa.large_string()), np.arange(len(HOSTILE)) % 2)
    monkeypatch.setattr("dashboard.cache._load_data", lambda *key: ({"train": rows, "test": rows}, "e" * 64))
    evaluate_split(Predictor.load(run.model_file), rows, "e" * 64, "test")
    for row, text in enumerate(HOSTILE):
        app = open_drawer(run, row)
        if kind == "bilstm_attention" and text.strip() and len(text) <= SHOWN_CHARACTERS:
            app.segmented_control(key="evaluation_reading_shown").set_value("Attention").run()
            assert not app.exception
        shown = text_of(readings(app)[0]) if readings(app) else ""
        if len(text) > SHOWN_CHARACTERS:
            assert shown == text[:SHOWN_CHARACTERS] + " …" and "too long to mark its words" in words_of(app)
            assert "cannot be changed here" in words_of(app)
        else:
            assert shown == (text if text.strip() else "")
            assert "Change a word" in words_of(app)
