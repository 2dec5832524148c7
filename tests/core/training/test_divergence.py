"""A loss that explodes: the run fails in a sentence, says where, and keeps the last good model."""

import math
import time
from pathlib import Path

import pytest

from core.config import RunConfig, TrainingConfig
from core.errors import DivergedError
from core.jobs import run_job
from core.models.model_file import load_model_file
from core.runs import Run, create_run
from core.training import trainer
from core.training.history import HistoryReader
from core.training.job import execute_run
from core.training.plan import Stage, learning_rate_at
from core.training.watcher import Watcher
from tests.core.training.kill_points import MODELS, small_config, write_table

every_model = pytest.mark.parametrize("kind", MODELS)
HUGE = 1e6


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "reviews.csv", noisy=True)


def make_run(kind: str, table: Path, **training: object) -> Run:
    return create_run(RunConfig.model_validate(small_config(kind, table, **training)), "fast", kind)


def assert_diverged(run: Run) -> str:
    state, lines = run.state, run.read_history()
    assert state.status == "failed" and "diverged at step" in state.message
    assert len(state.message.splitlines()) == 1 and "Start anew with a smaller learning rate" in state.message
    assert "diverged" in lines[-1] and not any("diverged" in line for line in lines[:-1])
    found = HistoryReader(run.metrics_file).refresh().diverged
    assert found is not None and f"diverged at step {found.step}: the loss is {found.found}." in state.message
    assert lines[-1]["step"] == len([line for line in lines if "loss" in line]) + 1
    return state.message


@every_model
def test_a_learning_rate_of_a_million_fails_in_a_sentence_and_leaves_a_model_that_loads(kind: str, table: Path) -> None:
    run = make_run(kind, table, learning_rate=HUGE)
    run_job(run.path)
    assert "the last with a sound loss, is kept" in assert_diverged(run)
    weights = load_model_file(run.model_file).model.state_dict().values()
    assert all(weight.isfinite().all() for weight in weights)
    assert max(float(weight.abs().max()) for weight in weights) < HUGE / 2, "before the update that broke it"


@every_model
def test_the_best_model_of_a_validation_is_kept_byte_for_byte(
    kind: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = make_run(kind, table, epochs=1)
    run_job(sound.path)
    steps = sound.read_history()[-1]["step"]

    def rate(config: TrainingConfig, stage: Stage, step: int) -> float:
        return learning_rate_at(config, stage, step) if step < steps else HUGE

    monkeypatch.setattr(trainer, "learning_rate_at", rate)
    run = make_run(kind, table)
    run_job(run.path)
    assert "The best model so far, of epoch 1, is kept" in assert_diverged(run)
    assert run.model_file.read_bytes() == sound.model_file.read_bytes()


@every_model
def test_a_diverged_run_that_goes_on_diverges_again_and_keeps_one_line_about_it(kind: str, table: Path) -> None:
    run = make_run(kind, table, learning_rate=HUGE)
    run_job(run.path)
    before = assert_diverged(run), run.model_file.read_bytes()
    with pytest.raises(DivergedError):
        execute_run(run, Watcher(), time.monotonic())
    assert (assert_diverged(run), run.model_file.read_bytes()) == before


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_any_more_is_said_in_words(
    value: float, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "clip_grad_norm_", lambda *arguments: trainer.torch.tensor(value))
    run = make_run("ngram", table)
    run_job(run.path)
    assert "diverged at step 1: the loss is not a number. There was no model yet to keep." in assert_diverged(run)
    assert not run.model_file.exists()
