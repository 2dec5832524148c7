"""A teacher's probabilities for reviews without a label: kept, shared by students, and the same after any kill."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from core import settings
from core.config import RunConfig, on_same_data, with_data
from core.prediction.predictor import Predictor
from core.runs import create_run
from core.training import recipe, teaching
from core.training.job import execute_run
from core.training.members import TrainingData, member_folder, train_member
from core.training.recipe import NO_UNLABELLED, train_config
from core.training.teaching import teach, teacher_config
from core.training.unlabelled import Unlabelled
from core.training.watcher import StopAsked, Watcher
from tests.core.training.small_presets import Calls, Killed, model_bytes, preset_on, read_data
from tests.core.training.small_presets import table as table
from tests.texts import invent_reviews


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> Unlabelled:
    """Return 120 reviews without a label, which go with every table while the test runs, in pieces of 50."""
    found = Unlabelled(invent_reviews(120, seed=1).texts)
    monkeypatch.setattr(teaching, "PIECE", 50)
    monkeypatch.setattr(recipe, "read_unlabelled", lambda *arguments: found)
    return found


@pytest.fixture
def config(table: Path, texts: Unlabelled) -> RunConfig:
    return preset_on("distilled", table)


@pytest.fixture
def data(config: RunConfig) -> TrainingData:
    return read_data(config)


def with_seed(config: RunConfig, seed: int) -> RunConfig:
    fixed = config.data.model_copy(update={"split_seed": config.split_seed})
    return config.model_copy(update={"data": fixed, "training": config.training.model_copy(update={"seed": seed})})


def test_targets_are_the_teacher_s_calibrated_probabilities(
    config: RunConfig, data: TrainingData, texts: Unlabelled
) -> None:
    lesson = teach(config, data, texts, Watcher())
    teacher = train_member(teacher_config(config), data, Watcher(), "")
    predictor = Predictor.load(teacher.model_file)
    assert lesson.targets.dtype == np.float32 and len(lesson.targets) == 120
    assert lesson.targets == pytest.approx(predictor.predict(texts.texts).intensities, abs=1e-5)
    assert lesson.seconds > teacher.seconds > 0 and lesson.seconds_here > 0


def test_students_of_several_seeds_share_one_teacher_and_its_scores(
    config: RunConfig, data: TrainingData, texts: Unlabelled
) -> None:
    first = teach(with_seed(config, 0), data, texts, Watcher())
    told = Calls()
    second = teach(with_seed(config, 1), data, texts, told.watcher())
    assert np.array_equal(first.targets, second.targets) and first.seconds == second.seconds
    assert not [phase for phase in told.phases if "training" in phase]
    assert teacher_config(with_seed(config, 1)).split_seed == config.split_seed


def test_a_run_learns_from_both_and_tells_its_teacher_s_seconds_apart(config: RunConfig) -> None:
    run = create_run(config, "distilled")
    told = Calls()
    result = execute_run(run, told.watcher(), time.monotonic())
    steps = [line for line in run.read_history() if "loss" in line]
    assert len(steps) == 2 * -(-(56 + 120) // 16), "of labelled and unlabelled reviews"
    assert "Teacher: member 2 of 2, compact: training" in told.phases
    assert result.teacher_seconds is not None and result.teacher_seconds > 0 < result.total_seconds
    again = execute_run(create_run(config, "distilled"), Watcher(), time.monotonic())
    assert again.teacher_seconds == pytest.approx(result.teacher_seconds, abs=2e-3)
    assert again.model_sha256 == result.model_sha256


def test_killed_at_any_instant_the_student_ends_alike(config: RunConfig, data: TrainingData) -> None:
    whole = Calls()
    expected = create_run(config, "distilled")
    train_config(expected, config, data, whole.watcher())
    for kill_at in range(1, whole.count + 1, 5):
        shutil.rmtree(settings.home() / "cache")
        run = create_run(config, "distilled")
        with pytest.raises(Killed):
            train_config(run, config, data, Calls(kill_at).watcher())
        train_config(run, config, data, Watcher())
        assert model_bytes(run) == model_bytes(expected), f"killed at call {kill_at} of {whole.count}"


def test_a_kill_while_it_scores_costs_one_piece(config: RunConfig, data: TrainingData, texts: Unlabelled) -> None:
    train_member(teacher_config(config), data, Watcher(), "")
    whole, told = Calls(), Calls()
    folder = member_folder(teacher_config(config), data.fingerprint) / "targets"
    expected = teach(config, data, texts, whole.watcher()).targets
    shutil.rmtree(folder)
    with pytest.raises(Killed):
        teach(config, data, texts, Calls(kill_at=whole.count).watcher())
    assert len(list(folder.rglob("*.safetensors"))) == 2
    assert np.array_equal(teach(config, data, texts, told.watcher()).targets, expected)
    assert told.count == 3, "the phase, and the last piece with each of two members"


def test_a_stop_while_it_scores_is_heard_and_keeps_what_is_done(
    config: RunConfig, data: TrainingData, texts: Unlabelled
) -> None:
    with pytest.raises(StopAsked):
        teach(config, data, texts, Calls(stop_in="scoring the reviews").watcher())
    assert teach(config, data, texts, Watcher()).targets.shape == (120,)


@pytest.mark.parametrize("damage", ["bytes", "another model", "fewer"])
def test_a_piece_that_is_damaged_or_of_another_model_is_scored_anew(
    config: RunConfig, data: TrainingData, texts: Unlabelled, damage: str
) -> None:
    expected = teach(config, data, texts, Watcher()).targets
    (path,) = (member_folder(teacher_config(config), data.fingerprint) / "targets").rglob("50.safetensors")
    if damage == "bytes":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "another model":
        path.write_bytes(path.read_bytes())
        document = '{"model": "another", "seconds": 1.0}'
        teaching.write_tensor_file(path, teaching.FORMAT, document, {"targets": np.zeros(50, np.float32)})
    else:
        shutil.copy(path.with_name("100.safetensors"), path)
    assert np.array_equal(teach(config, data, texts, Watcher()).targets, expected)


def test_a_table_has_no_unlabelled_reviews_so_the_student_learns_from_labels_and_no_teacher_is_trained(
    table: Path,
) -> None:
    config = preset_on("distilled", table)
    run, told = create_run(config, "distilled"), Calls()
    result = execute_run(run, told.watcher(), time.monotonic())
    assert told.notices == [NO_UNLABELLED] == run.notices and result.teacher_seconds is None
    assert not (settings.home() / "cache").exists()
    alone = config.model_copy(update={"training": config.training.model_copy(update={"teacher": None})})
    plain = create_run(alone, "distilled")
    assert execute_run(plain, Watcher(), time.monotonic()).valid_loss == result.valid_loss


def test_on_the_demo_corpus_a_student_of_its_2_800_reviews_without_a_label_learns(table: Path) -> None:
    config = on_same_data("distilled", with_data(RunConfig(), "demo"))
    result = execute_run(create_run(config, "distilled"), Watcher(), time.monotonic())
    assert result.valid_accuracy is not None and result.valid_accuracy >= 0.8
    assert result.teacher_seconds is not None and result.parameters > 0
