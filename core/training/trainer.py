"""The training loop, read from top to bottom. It needs torch, numpy, pyarrow, safetensors and pydantic alone."""

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from core.config import RunConfig, TrainingConfig
from core.data.labelled import LabelledTexts, cut_stratified, draw_rows
from core.errors import CheckpointError, ReviewscopeError
from core.evaluation.metrics import binary_losses
from core.models.base import SentimentModel
from core.models.catalog import build_model, fit_encoder
from core.models.model_file import Architecture, is_sound_model, save_model
from core.models.scoring import score_texts
from core.preprocessing.batching import epoch_batches
from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.encoders import Encoder
from core.runs import HistoryWriter, Run
from core.training.checkpoint import (
    Position,
    any_kept_model,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)

CHECKPOINT_SECONDS = 60.0


@dataclass(frozen=True)
class Watcher:
    """How the loop talks to whoever started it.

    Attributes:
        on_phase: Called with what begins now, in words, and how many units of work it has.
        on_notice: Called with a sentence that the user must not miss.
        on_line: Called with a line for the log.
        on_progress: Called with the units just done.
        should_stop: Asked after every step.
    """

    on_phase: Callable[[str, int], None] = lambda phase, total: None
    on_notice: Callable[[str], None] = lambda sentence: None
    on_progress: Callable[[int], None] = lambda done: None
    should_stop: Callable[[], bool] = lambda: False
    on_line: Callable[[str], None] = lambda line: None


@dataclass(frozen=True)
class Outcome:
    """What the loop came to.

    Attributes:
        finished: False when it was asked to stop before the end.
        position: Where it is; holds the figures.
        parameters: Numbers that were learnt.
        earlier_seconds: What other processes had spent in the loop before this one went on.
    """

    finished: bool
    position: Position
    parameters: int
    earlier_seconds: float


@dataclass
class Learner:
    """What a step needs and changes."""

    model: SentimentModel
    encoder: Encoder
    optimizer: torch.optim.Optimizer
    device: torch.device
    config: TrainingConfig
    total_steps: int


@dataclass(frozen=True)
class EncodedSplit:
    """Token ids and labels of N reviews."""

    encoded: EncodedTexts
    labels: Tensor


def train_model(run: Run, config: RunConfig, train_split: LabelledTexts, fingerprint: str, watcher: Watcher) -> Outcome:
    """Train from the start, or from the newest sound checkpoint, and keep the best weights in the run's model file.

    Args:
        run: Its folder receives checkpoints, history and model; the caller holds its lock.
        config: The run's settings.
        train_split: The data set's training split, whole; validation is cut from it here.
        fingerprint: The data set's.
        watcher: Is told of progress and may ask to stop.

    Raises:
        ReviewscopeError: The loss stopped being a number, or a file could not be written.
    """
    prepare_torch(config.training.seed)
    rows, valid_rows = cut_stratified(train_split.labels, config.data.validation_fraction, config.training.seed)
    whole, valid = train_split.take(rows), train_split.take(valid_rows)
    limited = whole.take(draw_rows(whole.labels, config.data.limit or len(whole), config.training.seed))

    watcher.on_phase("Reading the training reviews", 0)
    encoder = fit_encoder(whole.texts, config)
    train_set, valid_set = encode_split(encoder, limited), encode_split(encoder, valid)

    learner = build_learner(config, encoder, len(limited))
    learner.model.prepare(train_set.encoded, limited.labels)
    settings_hash = hash_settings(config, fingerprint)
    position = resume_position(run, learner, settings_hash, watcher) or Position()

    earlier_seconds = position.seconds
    watcher.on_phase("Training", learner.total_steps)
    watcher.on_progress(position.step)
    with run.open_history(position.history_bytes) as history:
        keeper = Keeper(run, config, learner, history, settings_hash)
        finished = run_epochs(learner, position, train_set, valid_set, keeper, watcher)
    return Outcome(finished, position, sum(learner.model.layer_parameters.values()), earlier_seconds)


def run_epochs(
    learner: Learner,
    position: Position,
    train_set: EncodedSplit,
    valid_set: EncodedSplit,
    keeper: "Keeper",
    watcher: Watcher,
) -> bool:
    """Run the epochs that are left; return whether all were run (early stopping counts as all)."""
    started = time.monotonic() - position.seconds
    while position.epoch <= learner.config.epochs and not is_stale(learner.config, position):
        batches = epoch_batches(
            train_set.encoded.lengths, learner.config.batch_size, learner.config.seed, position.epoch
        )
        learner.model.train()
        for indices in batches[position.batch :]:
            keeper.record_step(position, training_step(learner, position, train_set, indices), len(indices))
            watcher.on_progress(1)
            position.seconds = time.monotonic() - started
            if watcher.should_stop():
                keeper.keep_unfinished(position, valid_set)
                return False
            keeper.save_when_due(position)
        validate_epoch(learner, position, valid_set, keeper)
        position.seconds = time.monotonic() - started
        keeper.save(position)
        watcher.on_line(describe_epoch(position))
    return True


def training_step(
    learner: Learner, position: Position, train_set: EncodedSplit, indices: NDArray[np.int64]
) -> dict[str, float]:
    """Update the weights once; return the step's loss, learning rate and gradient norm (before clipping)."""
    rate = learning_rate_at(learner.config, position.step, learner.total_steps)
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    batch = learner.model.collate(train_set.encoded.take(indices)).to(learner.device)
    labels = train_set.labels[torch.from_numpy(indices)].to(learner.device)
    logits = learner.model(batch.token_ids, batch.lengths)
    loss = functional.binary_cross_entropy_with_logits(logits, labels)
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = clip_grad_norm_(learner.model.parameters(), learner.config.clip_norm)
    figures = {"loss": loss.item(), "learning_rate": rate, "gradient_norm": norm.item()}
    if not all(math.isfinite(value) for value in figures.values()):
        kept = "The best model before that is kept." if position.best_epoch else "There was no model yet to keep."
        raise ReviewscopeError(
            f"The training diverged at step {position.step + 1}: the loss is not a number any more. {kept} Try a "
            "smaller learning rate."
        )
    learner.optimizer.step()
    position.step += 1
    position.batch += 1
    position.seen += len(indices)
    position.loss_sum += figures["loss"] * len(indices)
    position.correct += int(((logits > 0) == (labels > 0.5)).sum())
    return figures


def validate_epoch(learner: Learner, position: Position, valid_set: EncodedSplit, keeper: "Keeper") -> None:
    """Close the epoch: note its running means, validate, and keep the weights when they are the best so far."""
    position.train_loss = position.loss_sum / position.seen
    position.train_accuracy = position.correct / position.seen
    position.loss_sum, position.correct, position.seen = 0.0, 0, 0
    if len(valid_set.encoded):
        loss, accuracy = score_validation(learner.model, valid_set)
        is_better = position.best_epoch is None or is_improvement(learner.config, position, loss, accuracy)
        position.stale_epochs = 0 if is_better else position.stale_epochs + 1
        if is_better:
            position.best_epoch, position.best_accuracy, position.best_loss = position.epoch, accuracy, loss
        keeper.record_validation(position, loss, accuracy)
    else:
        is_better = True
        position.best_epoch = position.epoch
    if is_better:
        keeper.keep_weights(position)
    position.epoch += 1
    position.batch = 0


def describe_epoch(position: Position) -> str:
    """Return a line about the epoch that has just been closed."""
    line = f"epoch {position.epoch - 1} ends at step {position.step}: train loss {position.train_loss:.3f}"
    if position.best_accuracy is not None:
        line += f"; best validation accuracy {position.best_accuracy:.4f}, of epoch {position.best_epoch}"
    return line


def is_improvement(config: TrainingConfig, position: Position, loss: float, accuracy: float) -> bool:
    """Tell whether a validation beats the best so far, by the figure that the settings name; the other breaks ties."""
    assert position.best_accuracy is not None and position.best_loss is not None
    if config.best_by == "loss":
        return (-loss, accuracy) > (-position.best_loss, position.best_accuracy)
    return (accuracy, -loss) > (position.best_accuracy, -position.best_loss)


@dataclass
class Keeper:
    """Writes what must outlive the process: history, checkpoints, best weights."""

    run: Run
    config: RunConfig
    learner: Learner
    history: HistoryWriter
    settings_hash: str
    saved_at: float = -math.inf
    step_at: float = 0.0

    def __post_init__(self) -> None:
        self.saved_at = self.step_at = time.monotonic()

    def record_step(self, position: Position, figures: dict[str, float], reviews: int) -> None:
        """Append a step's line to the history."""
        now = time.monotonic()
        speed = reviews / max(now - self.step_at, 1e-9)
        self.step_at = now
        epoch = {"step": position.step, "epoch": position.epoch}
        self.history.append({**epoch, **figures, "reviews_per_second": round(speed, 1), "time": time.time()})

    def record_validation(self, position: Position, loss: float, accuracy: float) -> None:
        """Append a validation's line to the history."""
        epoch = {"step": position.step, "epoch": position.epoch}
        self.history.append({**epoch, "valid_loss": loss, "valid_accuracy": accuracy, "time": time.time()})
        self.step_at = time.monotonic()

    def save_when_due(self, position: Position) -> None:
        """Save a checkpoint when the last one is a minute old."""
        if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self.save(position)

    def save(self, position: Position) -> None:
        """Save a checkpoint; the history it vouches for reaches the disk first."""
        position.history_bytes = self.history.sync()
        learner = self.learner
        save_checkpoint(self.run.checkpoint_folder, learner.model, learner.optimizer, position, self.settings_hash)
        self.saved_at = self.step_at = time.monotonic()

    def keep_weights(self, position: Position) -> None:
        """Write the present weights as the run's model."""
        architecture = Architecture(preprocessing=self.config.preprocessing, model=self.config.model)
        learner = self.learner
        position.model_sha256 = save_model(self.run.model_file, learner.model, learner.encoder, architecture)

    def keep_unfinished(self, position: Position, valid_set: EncodedSplit) -> None:
        """Save the place, so that the run can go on; without a best model yet, keep the weights as they are."""
        self.save(position)
        if position.best_epoch is None:
            self.keep_weights(position)
            position.train_loss = position.loss_sum / position.seen
            position.train_accuracy = position.correct / position.seen
            if len(valid_set.encoded):
                position.best_loss, position.best_accuracy = score_validation(self.learner.model, valid_set)


def build_learner(config: RunConfig, encoder: Encoder, examples: int) -> Learner:
    """Return model and optimiser for a number of training examples, on the GPU when there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config, encoder.size)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.training.learning_rate, fused=True)
    total_steps = config.training.epochs * math.ceil(examples / config.training.batch_size)
    return Learner(model, encoder, optimizer, device, config.training, total_steps)


def resume_position(run: Run, learner: Learner, settings_hash: str, watcher: Watcher) -> Position | None:
    """Restore the newest sound checkpoint and return its position; None when there is none at all.

    A damaged checkpoint is passed over, and that is said.

    Raises:
        CheckpointError: There are checkpoints, but every one is damaged or belongs to other settings.
    """
    faults = []
    if not is_sound_model(run.model_file) and any_kept_model(run.checkpoint_folder):
        watcher.on_notice("The model that goes with the checkpoints is missing or damaged; the training begins anew.")
        for path in list_checkpoints(run.checkpoint_folder):
            path.unlink()
        return None
    for path in list_checkpoints(run.checkpoint_folder):
        try:
            position = load_checkpoint(path, learner.model, learner.optimizer, settings_hash)
        except CheckpointError as error:
            faults.append(str(error))
            continue
        if faults:
            watcher.on_notice(" ".join([*faults, f"Going on from {path.name}, the one before."]))
        return position
    if faults:
        raise CheckpointError(" ".join(faults))
    return None


def score_validation(model: SentimentModel, valid_set: EncodedSplit) -> tuple[float, float]:
    """Return log loss and accuracy on validation; leaves the model in training mode."""
    model.eval()
    logits = score_texts(model, valid_set.encoded).astype(np.float64)
    model.train()
    labels = valid_set.labels.numpy().astype(np.int64)
    return float(binary_losses(labels, logits).mean()), float(((logits > 0) == (labels == 1)).mean())


def learning_rate_at(config: TrainingConfig, step: int, total_steps: int) -> float:
    """Return the learning rate of the step after ``step`` updates."""
    return config.learning_rate * (1 - step / total_steps if config.schedule == "linear" else 1)


def is_stale(config: TrainingConfig, position: Position) -> bool:
    """Tell whether early stopping has had enough."""
    return config.patience is not None and position.stale_epochs >= config.patience


def encode_split(encoder: Encoder, split: LabelledTexts) -> EncodedSplit:
    """Encode a split; labels become float32 (N)."""
    return EncodedSplit(encoder.encode(split.texts), torch.from_numpy(split.labels.astype(np.float32)))


def hash_settings(config: RunConfig, fingerprint: str) -> str:
    """Return a name for all that a checkpoint's weights depend on."""
    return hashlib.sha256(f"{config.model_dump_json()} {fingerprint}".encode()).hexdigest()


def prepare_torch(seed: int) -> None:
    """Seed torch, and let it take denormal numbers for zero.

    Every other draw has a generator of its own, made from the seed. A gradient that vanishes on its way back through
    an LSTM becomes denormal, which made the backward pass 17 times slower on CPU; the setting reaches only threads that
    start after it, so that it must come before a process computes anything in parallel.
    """
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
