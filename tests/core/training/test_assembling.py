"""Ensembles: their weights by hand, and runs of them that are killed, stopped and refused."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from core import settings
from core.config import EnsembleConfig, RunConfig, on_same_data, parse_config, with_settings
from core.data.labelled import cut_stratified
from core.errors import ConfigError, ReviewscopeError, RunError
from core.evaluation.calibration import fit_temperature
from core.models.ensemble import EnsembleModel
from core.models.model_file import load_model_file
from core.prediction.predictor import Predictor
from core.runs import Run, create_run
from core.training.assembling import fit_weights
from core.training.baseline import load_baseline
from core.training.extension import extend_run
from core.training.job import check_data, execute_run
from core.training.members import ensemble_of, find_member, member_folder, take_run, train_member
from core.training.recipe import train_config
from core.training.verdicts import load_verdicts
from core.training.watcher import StopAsked, Watcher
from tests.core.training.small_presets import Calls, Killed, model_bytes, preset_on, read_data
from tests.core.training.small_presets import table as table


def run_of(config: RunConfig, name: str = "strong") -> Run:
    run = create_run(config, "strong", name)
    execute_run(run, Watcher(), time.monotonic())
    return run


def draw_scores(seed: int, *strengths: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, n)
    return np.stack([strength * (2 * labels - 1) + draw.normal(0, 1.5, n) for strength in strengths]), labels


@pytest.mark.parametrize("seed", range(5))
def test_at_the_weights_no_change_that_is_allowed_lowers_the_log_loss(seed: int) -> None:
    logits, labels = draw_scores(seed, 1.0, 0.6, 0.02, -0.5)
    logits = np.concatenate([logits, logits[:1] + 0.1 * logits[1:2]])  # much the same as the first
    shares = fit_weights(logits, labels)
    assert shares.sum() == pytest.approx(1.0) and shares.min() >= 0 == shares[3]
    scale = 1 / fit_temperature(labels, shares @ logits)  # the least is one of shares and temperature together
    wrong = 1 / (1 + np.exp(-scale * (shares @ logits))) - labels
    slopes = logits @ wrong / len(labels)
    assert slopes[shares > 1e-6] == pytest.approx(0.0, abs=1e-4) and slopes.min() > -1e-4


def test_weights_by_hand_a_member_that_says_the_opposite_gets_none_and_two_of_the_same_worth_share() -> None:
    logits, labels = draw_scores(0, 1.0)
    weights = fit_weights(np.concatenate([logits, -logits]), labels)
    assert weights == pytest.approx([1.0, 0.0], abs=1e-6)
    # Four reviews of each kind, mirrored: what is right of one member is wrong of the other, equally often.
    one = np.array([2.0, 2.0, -1.0, -2.0, -2.0, 1.0] * 10)
    other = np.array([2.0, -1.0, 2.0, -2.0, 1.0, -2.0] * 10)
    assert fit_weights(np.stack([one, other]), np.array([1, 1, 1, 0, 0, 0] * 10)) == pytest.approx([0.5, 0.5], abs=1e-6)


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.ones((2, 30)), np.ones(30, np.int64)),
        (np.ones((2, 6)), np.array([0, 1] * 3)),
        (np.tile([-1.0, 1.0], (2, 20)), np.array([0, 1] * 20)),
        (-np.tile([-1.0, 1.0], (2, 20)), np.array([0, 1] * 20)),
    ],
    ids=["one label", "few reviews", "all right", "nobody helps"],
)
def test_where_there_is_no_least_loss_all_weigh_the_same(logits: np.ndarray, labels: np.ndarray) -> None:
    assert fit_weights(logits, labels).tolist() == [0.5, 0.5]


def test_a_run_of_presets_trains_them_and_keeps_the_calibrated_mean(table: Path) -> None:
    config = preset_on("strong", table)
    told = Calls()
    run = create_run(config, "strong")
    result = execute_run(run, told.watcher(), time.monotonic())
    assert "Member 1 of 2, fast: training" in told.phases and "Member 2 of 2, compact: training" in told.phases
    data = read_data(config)
    members = [train_member(on_same_data(name, config), data, Watcher(), "") for name in ("fast", "compact")]
    alone = [Predictor.load(member.model_file) for member in members]
    valid = data.train.take(cut_stratified(data.train.labels, 0.3, 0)[1])
    expected = sum(each.predict(valid.texts).logits / each.temperature for each in alone) / 2
    whole = Predictor.load(run.model_file)
    found = whole.predict(valid.texts).logits
    assert found == pytest.approx(expected, abs=1e-5)
    assert whole.temperature == fit_temperature(valid.labels, found) and whole.sha256 == result.model_sha256
    assert result.valid_accuracy == ((found > 0) == (valid.labels == 1)).mean()
    assert (result.train_accuracy, result.epochs, result.best_epoch) == (None, 1, 1)
    assert result.parameters == sum(sum(each.model.layer_parameters.values()) for each in alone)
    assert result.train_seconds >= sum(member.seconds for member in members)
    verdicts = load_verdicts(run)
    assert verdicts is not None and np.array_equal(verdicts.now, found)
    assert [line["valid_accuracy"] for line in run.read_history()] == [result.valid_accuracy]


def test_the_line_to_beat_is_its_member_and_is_trained_once(table: Path) -> None:
    told = Calls()
    run = create_run(preset_on("strong", table), "strong")
    execute_run(run, told.watcher(), time.monotonic())
    line = load_baseline(run)
    member = find_member(preset_on("fast", table), read_data(preset_on("fast", table)).fingerprint)
    assert line is not None and member is not None and line.valid_accuracy == member.valid_accuracy
    assert not [phase for phase in told.phases if phase.startswith("Line to beat")]


def test_a_run_that_finds_its_members_trained_still_tells_their_seconds(table: Path) -> None:
    first = run_of(preset_on("strong", table))
    second = run_of(preset_on("strong", table))
    members = [
        find_member(preset_on(name, table), read_data(preset_on(name, table)).fingerprint)
        for name in ("fast", "compact")
    ]
    spent = sum(member.seconds for member in members if member)
    assert (
        first.result
        and second.result
        and second.result.total_seconds > spent
        and model_bytes(first) == model_bytes(second)
    )


def test_killed_at_any_instant_it_resumes_to_the_same_file(table: Path) -> None:
    config = preset_on("strong", table)
    data, whole = read_data(config), Calls()
    expected = create_run(config, "strong")
    train_config(expected, config, data, whole.watcher())
    for kill_at in range(1, whole.count + 1, 2):
        shutil.rmtree(settings.home() / "cache")
        run = create_run(config, "strong")
        with pytest.raises(Killed):
            train_config(run, config, data, Calls(kill_at).watcher())
        train_config(run, config, data, Watcher())
        assert model_bytes(run) == model_bytes(expected), f"killed at call {kill_at} of {whole.count}"
        assert len(run.read_history()) == 1


def test_a_stop_within_a_member_stops_the_run_which_goes_on_to_the_same_end(table: Path) -> None:
    expected = run_of(preset_on("strong", table))
    shutil.rmtree(settings.home() / "cache")
    run = create_run(preset_on("strong", table), "strong")
    with pytest.raises(RunError, match="Resume it to go on"):
        execute_run(run, Calls(stop_in="compact: training").watcher(), time.monotonic())
    assert run.state.status == "stopped" and not run.model_file.exists()
    result = execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "finished" and model_bytes(run) == model_bytes(expected)
    assert result.total_seconds > 0


def test_an_ensemble_of_runs_takes_their_models_as_they_are(table: Path) -> None:
    one, other = (run_of(preset_on(name, table), name + "-run") for name in ("fast", "compact"))
    config = ensemble_of([one.run_id, other.run_id], "validation")
    run = run_of(config, "both")
    shutil.rmtree(one.path)
    loaded = load_model_file(run.model_file)
    assert isinstance(loaded.model, EnsembleModel) and loaded.model.names == ("fast-run", "compact-run")
    assert float(loaded.model.weights.sum()) == pytest.approx(1.0)
    assert run.result and other.result and run.result.total_seconds > other.result.total_seconds


def test_presets_may_stand_among_runs(table: Path) -> None:
    other = run_of(preset_on("compact", table), "lstm")
    config = ensemble_of(["fast", "latest"], "equal")
    assert isinstance(config.model, EnsembleConfig) and config.model.members == ("fast", other.run_id)
    assert run_of(config, "both").state.status == "finished"


def test_runs_that_cannot_be_members_are_refused_before_anything_is_trained(table: Path, tmp_path: Path) -> None:
    good = run_of(preset_on("fast", table), "good")
    whole = run_of(preset_on("strong", table), "whole")
    other_split = run_of(with_settings(preset_on("fast", table), ["data.split_seed=7"]), "split")
    begun = create_run(preset_on("fast", table), "begun")
    moved = tmp_path / "other.csv"
    moved.write_text(table.read_text().replace("superb", "splendid", 1))
    elsewhere = run_of(preset_on("fast", moved), "elsewhere")
    create_run(preset_on("fast", table), "compact", "compact")
    for member, phrase in (
        (whole.run_id, "is an ensemble itself"),
        (other_split.run_id, "held back other reviews"),
        (begun.run_id, "must have finished"),
        (elsewhere.run_id, "other data"),
        ("nobody", "no run 'nobody'"),
        ("compact", "the id of a run too"),
        ("strong", "is an ensemble itself"),
        (good.run_id, "named twice"),
    ):
        with pytest.raises(ReviewscopeError, match=phrase):
            ensemble_of([good.run_id, member], "equal")
    with pytest.raises(ConfigError, match="None of these is a run"):
        ensemble_of(["fast", "distilled"], "equal")
    config = parse_config(
        preset_on("strong", table).model_dump() | {"model": {"kind": "ensemble", "members": ["fast", "split"]}}
    )
    with pytest.raises(RunError, match="held back other reviews"):
        check_data(config)
    assert take_run(good.run_id, config).model_file == good.model_file


def test_a_run_of_other_data_is_refused_when_the_data_is_known(table: Path, tmp_path: Path) -> None:
    moved = tmp_path / "other.csv"
    moved.write_text(table.read_text().replace("superb", "splendid", 1))
    run_of(preset_on("fast", moved), "elsewhere")
    config = preset_on("strong", table)
    config = config.model_copy(update={"model": EnsembleConfig(members=("compact", "elsewhere"))})
    run = create_run(config, "strong")
    with pytest.raises(RunError, match="other data"):
        execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "failed" and not (settings.home() / "cache" / "members").exists()


def test_without_validation_all_weigh_the_same_and_nothing_is_calibrated(table: Path) -> None:
    config = preset_on("strong", table)
    config = with_settings(config, ["data.validation_fraction=0.0", "model.weighting=validation"])
    run = run_of(config)
    loaded = load_model_file(run.model_file)
    assert isinstance(loaded.model, EnsembleModel) and loaded.model.weights.tolist() == [0.5, 0.5]
    assert loaded.calibration is None and run.read_history() == []
    assert run.result is not None and run.result.valid_accuracy is None


def test_an_ensemble_has_no_epochs_to_add(table: Path) -> None:
    with pytest.raises(RunError, match="no epochs of its own"):
        extend_run(run_of(preset_on("strong", table)), 1)


def test_a_member_that_diverges_ends_the_run_in_a_sentence(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.training.trainer.learning_rate_at", lambda *arguments: float("inf"))
    run = create_run(preset_on("strong", table), "strong")
    with pytest.raises(ReviewscopeError, match="diverged"):
        execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "failed" and "diverged" in run.state.message


def test_a_stop_between_members_is_heard(table: Path) -> None:
    config = preset_on("strong", table)
    with pytest.raises(StopAsked):
        train_config(create_run(config, "strong"), config, read_data(config), Calls(stop_in="Member 1").watcher())
    assert not (member_folder(preset_on("compact", table), "") / "figures.json").exists()
