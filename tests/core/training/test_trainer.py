import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import RunConfig, TrainingConfig
from core.data.labelled import LabelledTexts, cut_stratified, fingerprint_split
from core.errors import CheckpointError, ReviewscopeError
from core.evaluation.calibration import fit_temperature
from core.models.catalog import fit_encoder
from core.models.model_file import load_calibration, load_model_file
from core.prediction.predictor import Predictor
from core.runs import Run, create_run
from core.tensor_file import read_tensor_file
from core.training import keeper, trainer
from core.training.averaging import MEAN
from core.training.checkpoint import FORMAT as CHECKPOINT_FORMAT
from core.training.checkpoint import Position, list_checkpoints
from core.training.plan import learning_rate_at, plan_stages
from core.training.trainer import Outcome, build_learner, encode_split, train_model, training_step
from core.training.watcher import Watcher
from tests.core.models.small import SMALL, every_model
from tests.texts import invent_reviews

REVIEWS = invent_reviews(120)


def small_config(name: str, **training: object) -> RunConfig:
    config = SMALL[name]()
    settings = config.training.model_dump() | {"learning_rate": 0.02, **training}
    return config.model_copy(update={"training": TrainingConfig.model_validate(settings)})


class Killed(Exception):
    """Stands for the process's sudden death."""


@dataclass
class Saboteur:
    """Counts steps; at one of them it kills, or asks to stop."""

    kill_at: int = -1
    stop_at: int = -1
    steps: int = 0
    notices: list[str] = field(default_factory=list)

    def watcher(self) -> Watcher:
        return Watcher(
            on_notice=self.notices.append,
            on_progress=self.count,
            should_stop=lambda: self.steps == self.stop_at,
            on_resume=self.begin_at,
        )

    def begin_at(self, done: int) -> None:
        self.steps = done

    def count(self, done: int) -> None:
        self.steps += done
        if done and self.steps == self.kill_at:
            raise Killed


def run_training(run: Run, config: RunConfig, saboteur: Saboteur | None = None) -> Outcome:
    watcher = saboteur.watcher() if saboteur else Watcher()
    return train_model(run, config, REVIEWS, fingerprint_split(REVIEWS), watcher)


def history_without_times(run: Run) -> list[dict[str, float]]:
    return [
        {key: value for key, value in line.items() if key not in ("time", "reviews_per_second")}
        for line in run.read_history()
    ]


def trained(name: str, **training: object) -> tuple[Run, Outcome]:
    config = small_config(name, **training)
    run = create_run(config, name)
    return run, run_training(run, config)


@every_model
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name: str) -> None:
    hashes = [trained(name, seed=seed)[1].position.model_sha256 for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


@every_model
def test_it_learns(name: str) -> None:
    _, outcome = trained(name, epochs=10, learning_rate=SMALL[name]().training.learning_rate)
    assert outcome.finished and outcome.position.best_accuracy == 1.0
    assert outcome.position.train_loss is not None and outcome.position.train_loss < 0.4


@every_model
@pytest.mark.parametrize(
    "kill_at", [1, 8, 13, 20, *(pytest.param(step, marks=pytest.mark.slow) for step in (4, 7, 14, 21))]
)
def test_a_run_killed_at_a_step_resumes_to_the_same_weights_and_history(
    name: str, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0 if kill_at % 2 else 60.0)
    expected_run, expected = trained(name)
    config = small_config(name)
    run = create_run(config, name)
    with pytest.raises(Killed):
        run_training(run, config, Saboteur(kill_at=kill_at))
    outcome = run_training(run, config)
    assert outcome.position.model_sha256 == expected.position.model_sha256
    assert run.model_file.read_bytes() == expected_run.model_file.read_bytes()
    assert history_without_times(run) == history_without_times(expected_run)
    assert outcome.position.best_accuracy == expected.position.best_accuracy


GENTLE = {"weight_averaging": 0.9, "label_smoothing": 0.1, "schedule": "one-cycle"}


@pytest.mark.parametrize("name", ["bilstm_max", "bilstm_file", "ngram"])
@pytest.mark.parametrize("kill_at", [4, 13, *(pytest.param(step, marks=pytest.mark.slow) for step in (1, 8, 21))])
def test_a_killed_run_whose_weights_are_averaged_resumes_to_the_same_ones(
    name: str, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0)
    expected_run, expected = trained(name, **GENTLE)
    config = small_config(name, **GENTLE)
    run = create_run(config, name)
    with pytest.raises(Killed):
        run_training(run, config, Saboteur(kill_at=kill_at))
    assert run_training(run, config).position.model_sha256 == expected.position.model_sha256
    assert history_without_times(run) == history_without_times(expected_run)


def test_the_mean_of_the_weights_is_what_is_judged_and_kept_and_the_training_goes_on_from_the_weights() -> None:
    plain, averaged = (trained("bilstm_max", weight_averaging=kept)[0] for kept in (0.0, 0.9))
    losses = [[line["loss"] for line in run.read_history() if "loss" in line] for run in (plain, averaged)]
    judged = [[line["valid_loss"] for line in run.read_history() if "valid_loss" in line] for run in (plain, averaged)]
    assert losses[0] == losses[1] and not set(judged[0]) & set(judged[1])
    config = small_config("bilstm_max", weight_averaging=0.9, epochs=1)
    run = create_run(config, "bilstm_max")
    run_training(run, config)
    newest = read_tensor_file(list_checkpoints(run.checkpoint_folder)[0], CHECKPOINT_FORMAT).tensors
    kept = load_model_file(run.model_file).model.state_dict()
    names = list(dict(load_model_file(run.model_file).model.named_parameters()))
    for index, name in enumerate(names):
        assert np.array_equal(newest[f"optimizer.{index}.{MEAN}"], kept[name].numpy())
        assert not np.array_equal(newest[f"model.{name}"], kept[name].numpy())


def test_smoothed_labels_give_the_loss_worked_out_by_hand() -> None:
    config = small_config("bilstm_max", label_smoothing=0.2)
    config = config.model_copy(update={"model": config.model.model_copy(update={"dropout": 0.0})})
    encoder = fit_encoder(REVIEWS.texts, config)
    learner = trainer.build_learner(config, encoder, plan_stages(config.training, 2))
    two = trainer.encode_split(encoder, REVIEWS.take(np.array([0, 1])))
    negative, positive = learner.model(*learner.model.collate(two.encoded)).sigmoid().tolist()
    costs = [
        -(0.1 * math.log(negative) + 0.9 * math.log(1 - negative)),
        -(0.9 * math.log(positive) + 0.1 * math.log(1 - positive)),
    ]
    figures = trainer.training_step(learner, Position(), two, np.array([0, 1]))
    assert figures["loss"] == pytest.approx(sum(costs) / 2)


def test_vectors_that_are_kept_as_they_started_never_move_and_are_not_counted_as_learnt() -> None:
    run, outcome = trained("bilstm_file")
    config = small_config("bilstm_file")
    model = load_model_file(run.model_file).model
    lines = dict(line.split(" ", 1) for line in Path(config.model.vectors_path).read_text().splitlines())
    place = load_model_file(run.model_file).encoder.vocabulary["superb"]
    assert model.embedding.weight[place].tolist() == pytest.approx([float(n) for n in lines["superb"].split()])
    assert outcome.parameters == sum(p.numel() for n, p in model.named_parameters() if n != "embedding.weight")
    assert "vectors.txt" not in run.model_file.read_bytes()[:20_000].decode("latin-1"), "the path is nobody's business"


@every_model
def test_a_run_killed_twice_still_ends_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0)
    _, expected = trained(name)
    config = small_config(name)
    run = create_run(config, name)
    for kill_at in (5, 12):
        with pytest.raises(Killed):
            run_training(run, config, Saboteur(kill_at=kill_at))
    assert run_training(run, config).position.model_sha256 == expected.position.model_sha256


@every_model
def test_a_stopped_run_keeps_a_model_and_goes_on_to_the_same_end(name: str) -> None:
    _, expected = trained(name)
    config = small_config(name)
    run = create_run(config, name)
    stopped = run_training(run, config, Saboteur(stop_at=3))
    assert not stopped.finished and run.model_file.exists()
    assert stopped.position.best_accuracy is not None and stopped.position.train_accuracy is not None
    assert run_training(run, config).position.model_sha256 == expected.position.model_sha256


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0)
    _, expected = trained("ngram")
    config = small_config("ngram")
    run = create_run(config, "ngram")
    with pytest.raises(Killed):
        run_training(run, config, Saboteur(kill_at=10))
    newest, before = list_checkpoints(run.checkpoint_folder)
    damage(newest)
    saboteur = Saboteur()
    assert run_training(run, config, saboteur).position.model_sha256 == expected.position.model_sha256
    assert len(saboteur.notices) == 1
    assert "not usable" in saboteur.notices[0]
    assert newest.name in saboteur.notices[0] and before.name in saboteur.notices[0]


def test_nothing_but_damaged_checkpoints_is_said_and_nothing_is_overwritten() -> None:
    config = small_config("ngram")
    run = create_run(config, "ngram")
    run_training(run, config, Saboteur(stop_at=3))
    for path in list_checkpoints(run.checkpoint_folder):
        damage(path)
    with pytest.raises(CheckpointError, match="not usable"):
        run_training(run, config)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-10] ^= 4
    path.write_bytes(data)


def test_a_checkpoint_of_other_settings_is_not_resumed_from() -> None:
    config = small_config("ngram")
    run = create_run(config, "ngram")
    run_training(run, config, Saboteur(stop_at=3))
    with pytest.raises(CheckpointError, match="other settings"):
        run_training(run, small_config("ngram", seed=5))


@every_model
def test_a_diverging_run_fails_in_a_sentence_and_keeps_the_last_good_model(name: str) -> None:
    config = small_config(name, epochs=4)
    run = create_run(config, name)
    run_training(run, config, Saboteur(stop_at=9))
    kept = run.model_file.read_bytes()
    with pytest.raises(ReviewscopeError, match="diverged at step"):
        raise_rate(run, config)
    assert run.model_file.read_bytes() == kept


def raise_rate(run: Run, config: RunConfig) -> None:
    """Go on with steps of a size that no weights survive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "learning_rate_at", lambda *arguments: math.inf)
        run_training(run, config)


def test_validation_picks_the_epoch_that_is_kept() -> None:
    run, outcome = trained("ngram", epochs=6, learning_rate=0.3)
    validations = [line for line in run.read_history() if "valid_accuracy" in line]
    best = max(validations, key=lambda line: (line["valid_accuracy"], -line["valid_loss"]))
    assert outcome.position.best_epoch == best["epoch"]
    assert outcome.position.best_accuracy == best["valid_accuracy"]


def with_validation(config: RunConfig, fraction: float) -> RunConfig:
    return config.model_copy(update={"data": config.data.model_copy(update={"validation_fraction": fraction})})


@every_model
def test_the_model_that_is_kept_carries_the_temperature_of_its_own_validation(name: str) -> None:
    # With a label in seven turned round, no model reads all right, and a temperature is best.
    labels = np.where(np.arange(len(REVIEWS)) % 7 == 0, 1 - REVIEWS.labels, REVIEWS.labels)
    noisy = LabelledTexts(REVIEWS.texts, labels)
    config = with_validation(small_config(name, learning_rate=0.05), 0.5)
    run = create_run(config, name)
    outcome = train_model(run, config, noisy, fingerprint_split(noisy), Watcher())
    loaded = load_model_file(run.model_file)
    valid = noisy.take(cut_stratified(noisy.labels, 0.5, config.split_seed)[1])
    temperature = fit_temperature(valid.labels, Predictor(loaded).predict(valid.texts).logits)
    assert loaded.sha256 == outcome.position.model_sha256
    assert loaded.calibration is not None and temperature != 1.0
    assert (loaded.calibration.temperature, loaded.calibration.n) == (temperature, len(valid))
    reference = loaded.calibration.reference
    assert reference is not None and sum(n for n, _ in reference.bins) == len(valid)
    assert sum(positive for _, positive in reference.bins) == valid.labels.sum()


def test_a_run_stopped_before_its_first_validation_carries_a_temperature_too() -> None:
    config = small_config("ngram")
    run = create_run(config, "ngram")
    run_training(run, config, Saboteur(stop_at=3))
    assert load_calibration(run.model_file) is not None


def test_without_validation_a_model_has_no_temperature() -> None:
    config = with_validation(small_config("ngram"), 0.0)
    run = create_run(config, "ngram")
    run_training(run, config)
    assert load_calibration(run.model_file) is None


def test_early_stopping_ends_a_run_that_no_longer_improves() -> None:
    config = small_config("ngram", epochs=50, patience=2, learning_rate=0.3)
    labels = REVIEWS.labels.copy()
    labels[::5] ^= 1  # noise, which is learnt by heart and then costs on validation
    noisy = LabelledTexts(REVIEWS.texts, labels)
    outcome = train_model(create_run(config, "ngram"), config, noisy, fingerprint_split(noisy), Watcher())
    assert outcome.finished
    assert outcome.position.epoch - 1 == (outcome.position.best_epoch or 0) + 2 < 50


def test_without_validation_the_last_epoch_is_kept() -> None:
    config = small_config("ngram").model_copy(
        update={"data": RunConfig().data.model_copy(update={"validation_fraction": 0.0})}
    )
    run = create_run(config, "ngram")
    outcome = run_training(run, config)
    assert outcome.position.best_epoch == 3 and outcome.position.best_accuracy is None
    assert not [line for line in run.read_history() if "valid_loss" in line]


def test_a_part_of_the_data_keeps_the_vocabulary_of_the_whole() -> None:
    config = small_config("bilstm")
    limited = config.model_copy(update={"data": config.data.model_copy(update={"limit": 16})})
    sizes = []
    for each in (config, limited):
        run = create_run(each, "bilstm")
        run_training(run, each)
        sizes.append(len(run.read_history()))
        parameters = run_training(run, each).parameters
    assert sizes[1] < sizes[0]
    assert parameters == trained("bilstm")[1].parameters


def test_the_linear_schedule_falls_from_the_learning_rate_towards_zero() -> None:
    config = small_config("ngram", schedule="linear").training
    stage = plan_stages(config, 16 * 4)[0]
    assert (stage.last_step, stage.last_epoch) == (12, 3)
    assert learning_rate_at(config, stage, 0) == 0.02
    assert learning_rate_at(config, stage, 9) == pytest.approx(0.005)
    assert learning_rate_at(small_config("ngram").training, stage, 9) == 0.02


def test_a_budget_of_steps_ends_schedule_and_training_there_with_a_validation() -> None:
    config = small_config("ngram", schedule="linear", max_steps=10)
    run = create_run(config, "ngram")
    outcome = run_training(run, config)
    history = run.read_history()
    assert outcome.finished and outcome.position.step == 10
    assert [line["step"] for line in history if "valid_loss" in line] == [7, 10]
    assert history[-2]["learning_rate"] == pytest.approx(0.02 / 10)


@every_model
@pytest.mark.parametrize("stop_at", [10, 14, 17])
def test_a_run_that_was_stopped_at_its_last_steps_still_ends_with_a_validation(name: str, stop_at: int) -> None:
    _, expected = trained(name, max_steps=17)
    config = small_config(name, max_steps=17)
    run = create_run(config, name)
    assert not run_training(run, config, Saboteur(stop_at=stop_at)).finished
    assert run_training(run, config).position.model_sha256 == expected.position.model_sha256
    assert run.read_history()[-1]["step"] == 17 and "valid_loss" in run.read_history()[-1]


def test_every_step_and_validation_stands_in_the_history_once() -> None:
    run, outcome = trained("bilstm")
    steps = [line["step"] for line in run.read_history() if "loss" in line]
    assert steps == list(range(1, outcome.position.step + 1)) and len(steps) == 3 * 7
    assert {"step", "epoch", "loss", "learning_rate", "gradient_norm", "reviews_per_second", "time"} == set(
        run.read_history()[0]
    )
    assert [line["epoch"] for line in run.read_history() if "valid_loss" in line] == [1, 2, 3]


@pytest.mark.parametrize("parts", [2, 4, 5, 1_000])
def test_a_batch_that_is_read_in_parts_gives_the_same_step_as_one_that_is_read_whole(parts: int) -> None:
    whole, accumulated = (
        first_step(small_config("bilstm_max", batch_size=64, accumulate=each), dropout=0.0) for each in (1, parts)
    )
    assert accumulated.loss == pytest.approx(whole.loss, rel=1e-5)
    assert accumulated.norm == pytest.approx(whole.norm, rel=1e-4) and accumulated.correct == whole.correct
    for name, gradient in whole.gradients.items():
        assert torch.allclose(gradient, accumulated.gradients[name], rtol=1e-4, atol=1e-7), name


@dataclass(frozen=True)
class Step:
    """What one step of a fresh model came to; the gradient is that after clipping."""

    loss: float
    norm: float
    correct: int
    gradients: dict[str, torch.Tensor]


def first_step(config: RunConfig, dropout: float) -> Step:
    config = config.model_copy(update={"model": config.model.model_copy(update={"dropout": dropout})})
    torch.manual_seed(0)
    encoder = fit_encoder(REVIEWS.texts, config)
    train_set = encode_split(encoder, REVIEWS)
    learner = build_learner(config, encoder, plan_stages(config.training, len(train_set)))
    position = Position()
    figures = training_step(learner, position, train_set, np.arange(64))
    gradients = {name: weight.grad for name, weight in learner.model.named_parameters() if weight.grad is not None}
    assert position.seen == 64 and position.step == 1
    return Step(figures["loss"], figures["gradient_norm"], position.correct, gradients)


def test_a_run_that_reads_its_batches_in_parts_resumes_to_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0)
    expected_run, _ = trained("bilstm", accumulate=3)
    config = small_config("bilstm", accumulate=3)
    for kill_at in (2, 7, 10):
        run = create_run(config, "bilstm")
        with pytest.raises(Killed):
            run_training(run, config, Saboteur(kill_at=kill_at))
        run_training(run, config)
        assert run.model_file.read_bytes() == expected_run.model_file.read_bytes()
    assert expected_run.model_file.read_bytes() != trained("bilstm")[0].model_file.read_bytes(), "dropout is drawn anew"
