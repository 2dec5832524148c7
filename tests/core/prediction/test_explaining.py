"""Explanations as jobs."""

import json
from pathlib import Path

import pytest
import torch

from core import jobs
from core.config import preset_config, with_data, with_settings
from core.errors import ReviewscopeError
from core.models.model_file import save_model
from core.prediction import explaining
from core.prediction.explaining import (
    ExplanationJob,
    ExplanationRequest,
    create_explanation_job,
    estimate_seconds,
    explanation_folder,
)
from core.prediction.explanation import explain
from core.prediction.predictor import Predictor
from core.runs import Run, create_run
from tests.core.prediction.small_models import train_small

TEXT = "A dull plot and a superb cast. <b>Dull!</b>"


@pytest.fixture
def run() -> Run:
    """Return a run whose model is the small BiLSTM."""
    config = with_settings(with_data(preset_config("compact"), "demo"), ["training.epochs=1"])
    run = create_run(config, "compact", None)
    small = train_small("bilstm")
    save_model(run.model_file, small.model, small.encoder, small.architecture)
    return run


def ask(run: Run, text: str = TEXT) -> ExplanationJob:
    sha256 = Predictor.load(run.model_file).sha256
    return create_explanation_job(ExplanationRequest(model=run.run_id, model_sha256=sha256, text=text))


def test_a_job_finds_what_asking_directly_finds_and_keeps_it(run: Run) -> None:
    job = ask(run)
    assert not job.is_done
    jobs.run_job(job.path)
    direct = explain(Predictor.load(run.model_file), TEXT)
    assert job.state.status == "finished" and job.result.pushes == pytest.approx(direct.pushes, abs=1e-5)
    assert job.result.base == direct.base and job.result.seconds > 0
    assert ask(run).path == job.path and ask(run).is_done and not ask(run, TEXT + " ").is_done


def test_it_lies_in_the_cache_and_runs_in_the_quick_slot(run: Run, workspace: Path) -> None:
    job = ask(run)
    assert workspace / "cache" in job.path.parents and jobs.kind_of(job.path).slot == "quick"


@pytest.mark.parametrize("text", ["", "\0 \u202e\u200d", 'quotes " and \\ and\r\nlines', "\N{CLAPPER BOARD} é"])
def test_any_text_can_be_asked_for(run: Run, text: str) -> None:
    job = ask(run, text)
    jobs.run_job(job.path)
    assert job.state.status == "finished" and job.request.text == text


def test_a_job_that_nobody_waits_for_stops_between_two_rounds(run: Run) -> None:
    job = ask(run)
    job.request_stop()
    jobs.run_job(job.path)
    assert job.state.status == "stopped" and not job.is_done
    job.withdraw_requests()
    jobs.run_job(job.path)
    assert job.is_done


def test_another_model_under_the_same_name_is_told_of(run: Run) -> None:
    job = create_explanation_job(ExplanationRequest(model=run.run_id, model_sha256="1" * 64, text=TEXT))
    jobs.run_job(job.path)
    assert job.state.status == "failed" and "The model has changed" in job.state.message


def test_how_long_it_takes_is_known_by_earlier_ones(run: Run) -> None:
    sha256 = Predictor.load(run.model_file).sha256
    assert estimate_seconds(sha256, 10) is None
    for text, words, seconds in (("a", 10, 1.0), ("b", 20, 6.0), ("c", 10, 2.0)):
        folder = explanation_folder(sha256, text)
        folder.mkdir(parents=True)
        result = {"pushes": [0.0] * words, "base": 0.0, "missing": 0.0, "seconds": seconds}
        (folder / "result.json").write_text(json.dumps(result))
    assert estimate_seconds(sha256, 8) == pytest.approx(1.8)  # 9 s for 40 words


def test_a_damaged_result_is_a_sentence(run: Run) -> None:
    job = ask(run)
    job.result_file.write_text("[]")
    with pytest.raises(ReviewscopeError, match="is damaged"):
        _ = job.result
    assert explaining.estimate_seconds(job.request.model_sha256, 10) is None


def test_the_process_has_its_threads_back_afterwards(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before, during = torch.get_num_threads(), []
    monkeypatch.setattr(explaining, "explain", lambda *asked: during.append(torch.get_num_threads()) or explain(*asked))
    torch.set_num_threads(2)
    try:
        jobs.run_job(ask(run).path)
        assert during == [1] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
