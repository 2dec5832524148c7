"""The training loop, read from top to bottom. It needs torch, numpy, pyarrow, safetensors and pydantic alone."""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.nn.utils import clip_grad_norm_

from core.config import RunConfig, TrainingConfig, plain_document
from core.data.labelled import LabelledTexts, cut_stratified, draw_rows
from core.errors import DivergedError
from core.evaluation.calibration import fit_temperature
from core.evaluation.metrics import binary_losses
from core.models.base import SentimentModel
from core.models.catalog import build_model, fit_encoder
from core.models.model_file import Calibration
from core.models.scoring import score_texts
from core.prediction.fit import TextProfile, build_reference, profile_texts
from core.preprocessing.batching import epoch_batches
from core.preprocessing.encoded import EncodedTexts, concatenate
from core.preprocessing.encoders import Encoder
from core.runs import Extension, Run
from core.training.averaging import averaged_weights, update_average
from core.training.checkpoint import Position
from core.training.events import open_mirror
from core.training.keeper import Keeper, resume_position
from core.training.plan import Stage, gentler_rate, learning_rate_at, plan_stages
from core.training.pretraining import Task, pretrain
from core.training.unlabelled import Unlabelled
from core.training.watcher import Watcher

DIVERGED_LOSS = 30.0  # a mean log loss at which the truth was given a probability of 1e-13


@dataclass(frozen=True)
class Outcome:
    """What the loop came to.

    Attributes:
        finished: False when it was asked to stop before the end.
        position: Where it is; holds the figures.
        parameters: Numbers that were learnt.
        earlier_seconds: What other processes had spent in the loop before this one went on.
        teacher_seconds: What all processes spent on the teacher and what it says; None without one.
    """

    finished: bool
    position: Position
    parameters: int
    earlier_seconds: float
    teacher_seconds: float | None = None


@dataclass
class Learner:
    """What a step needs and changes.

    Attributes:
        stages: The plan; a step's learning rate follows from where in it the training is.
        last_good: The weights before the last update; kept only until a validation has found a model worth keeping.
    """

    model: SentimentModel
    encoder: Encoder
    optimizer: torch.optim.Optimizer
    device: torch.device
    config: TrainingConfig
    stages: list[Stage]
    last_good: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class EncodedSplit:
    """Token ids and labels of N reviews; what they look like is told of validation's alone.

    Labels are float32 (N), from 0 to 1: between them they are a teacher's probabilities.
    """

    encoded: EncodedTexts
    labels: Tensor
    profile: TextProfile | None = None

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def truth(self) -> NDArray[np.int64]:
        """Return the labels as int64 (N); a teacher's probability counts as the label that it speaks for."""
        return (self.labels.numpy() > 0.5).astype(np.int64)

    def joined_with(self, other: "EncodedSplit") -> "EncodedSplit":
        """Return these reviews, then others."""
        return EncodedSplit(concatenate([self.encoded, other.encoded]), torch.cat([self.labels, other.labels]))


def train_model(
    run: Run,
    config: RunConfig,
    train_split: LabelledTexts,
    fingerprint: str,
    watcher: Watcher,
    *,
    extensions: Sequence[Extension] = (),
    mirrored: bool = False,
    unlabelled: Unlabelled | None = None,
) -> Outcome:
    """Train from the start, or from the newest sound checkpoint, and keep the best weights in the run's model file.

    Args:
        run: Its folder receives checkpoints, history and model; the caller holds its lock.
        config: The run's settings.
        train_split: The data set's training split, whole; validation is cut from it here.
        fingerprint: The data set's.
        watcher: Is told of progress and may ask to stop.
        extensions: Epochs that were added after the run had ended.
        mirrored: Also write TensorBoard's event files.
        unlabelled: Reviews without a label; needed where the settings read some.

    Raises:
        StopAsked: It was asked to stop before its first step.
        DivergedError: The loss exploded or stopped being a number; the last good model is kept.
        ReviewscopeError: A file could not be written.
    """
    prepare_torch(config.training.seed)
    rows, valid_rows = cut_stratified(train_split.labels, config.data.validation_fraction, config.split_seed)
    whole, valid = train_split.take(rows), train_split.take(valid_rows)
    limited = whole.take(draw_rows(whole.labels, config.data.limit or len(whole), config.training.seed))

    watcher.on_phase("Reading the training reviews", 0)
    taught = unlabelled if unlabelled and unlabelled.targets is not None else None
    encoder = fit_encoder(pa.concat_arrays([whole.texts, taught.texts]) if taught else whole.texts, config)
    train_set, valid_set = encode_split(encoder, limited), encode_split(encoder, valid)
    if taught:
        train_set = train_set.joined_with(EncodedSplit(encoder.encode(taught.texts), torch.from_numpy(taught.targets)))
    if len(valid):
        valid_set = replace(valid_set, profile=profile_texts(encoder, valid.texts))

    learner = build_learner(config, encoder, plan_stages(config.training, len(train_set), extensions))
    learner.model.prepare(train_set.encoded, train_set.truth)
    if config.model.pretraining:
        texts = pa.concat_arrays([whole.texts, unlabelled.texts]) if unlabelled else whole.texts
        learner.model.start_from(pretrain(Task(config, encoder, texts, whole.labels, watcher)))
    settings_hash = hash_settings(config, f"{fingerprint}{unlabelled.fingerprint if unlabelled else ''}")
    found, notice = resume_position(run, learner.model, learner.optimizer, settings_hash)
    position = found or Position()
    if notice:
        watcher.on_notice(notice)

    earlier_seconds = position.seconds
    watcher.on_phase("Training", learner.stages[-1].last_step)
    watcher.on_resume(position.step)
    with run.open_history(position.history_bytes) as history, open_mirror(run, position, mirrored) as mirror:
        keeper = Keeper(run, config, learner.model, learner.encoder, learner.optimizer, history, settings_hash, mirror)
        finished = run_stages(learner, position, train_set, valid_set, keeper, watcher)
    return Outcome(finished, position, sum(learner.model.layer_parameters.values()), earlier_seconds)


def run_stages(
    learner: Learner,
    position: Position,
    train_set: EncodedSplit,
    valid_set: EncodedSplit,
    keeper: Keeper,
    watcher: Watcher,
) -> bool:
    """Run what is left of all stages; return whether they ended (early stopping counts as an end)."""
    started = time.monotonic() - position.seconds
    while True:
        stage = learner.stages[position.stage]
        if is_over(learner.config, stage, position):
            if position.stage == len(learner.stages) - 1:
                return True
            position.stage += 1
            position.stale_epochs = 0
            continue
        if not run_epoch(learner, position, train_set, keeper, watcher, started):
            keep_unfinished(learner, position, valid_set, keeper)
            return False
        with averaged_weights(learner.optimizer):
            validate_epoch(learner, position, valid_set, keeper)
        position.seconds = time.monotonic() - started
        keeper.save(position)
        watcher.on_line(describe_epoch(position))


def run_epoch(
    learner: Learner,
    position: Position,
    train_set: EncodedSplit,
    keeper: Keeper,
    watcher: Watcher,
    started: float,
) -> bool:
    """Run what is left of an epoch, or of its part that the plan allows; return False when asked to stop."""
    config, stage = learner.config, learner.stages[position.stage]
    batches = epoch_batches(train_set.encoded.lengths, config.batch_size, config.seed, position.epoch)
    learner.model.train()
    for indices in batches[position.batch :]:
        if position.step >= stage.last_step:
            break
        try:
            figures = training_step(learner, position, train_set, indices)
        except DivergedError as error:
            raise explain_divergence(learner, position, keeper, error) from error
        keeper.record_step(position, figures, len(indices))
        watcher.on_progress(1)
        position.seconds = time.monotonic() - started
        if watcher.should_stop():
            return False
        keeper.save_when_due(position)
    return True


def training_step(
    learner: Learner, position: Position, train_set: EncodedSplit, indices: NDArray[np.int64]
) -> dict[str, float]:
    """Update the weights once; return the step's loss, learning rate and gradient norm (before clipping)."""
    rate = learning_rate_at(learner.config, learner.stages[position.stage], position.step)
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    learner.optimizer.zero_grad(set_to_none=True)
    parts = np.array_split(indices, min(learner.config.accumulate, len(indices)))
    read = [add_gradient(learner, train_set, part, len(part) / len(indices)) for part in parts]
    norm = clip_grad_norm_(learner.model.parameters(), learner.config.clip_norm)
    figures = {"loss": sum(loss for loss, _ in read), "learning_rate": rate, "gradient_norm": norm.item()}
    if not all(math.isfinite(value) for value in figures.values()):
        raise DivergedError("not a number")
    if figures["loss"] > DIVERGED_LOSS:
        raise DivergedError(f"{figures['loss']:.3g}")
    remember_weights(learner, position)
    learner.optimizer.step()
    position.step += 1
    if learner.config.weight_averaging:
        update_average(learner.optimizer, learner.config.weight_averaging, position.step)
    position.batch += 1
    position.seen += len(indices)
    position.loss_sum += figures["loss"] * len(indices)
    position.correct += sum(correct for _, correct in read)
    return figures


def add_gradient(
    learner: Learner, train_set: EncodedSplit, indices: NDArray[np.int64], share: float
) -> tuple[float, int]:
    """Add what a part of a step's reviews says to the gradient; return its part of the loss, and how many are right.

    Args:
        learner: Has the gradient of the parts before.
        train_set: All training reviews.
        indices: int64 (B), the part's.
        share: Of the step's reviews.
    """
    batch = learner.model.collate(train_set.encoded.take(indices)).to(learner.device)
    labels = train_set.labels[torch.from_numpy(indices)].to(learner.device)
    with torch.autocast(learner.device.type, torch.bfloat16, enabled=learner.config.precision == "bf16"):
        logits = learner.model(batch.token_ids, batch.lengths).float()
    smoothing = learner.config.label_smoothing
    loss = share * functional.binary_cross_entropy_with_logits(logits, labels * (1 - smoothing) + smoothing / 2)
    loss.backward()  # type: ignore[no-untyped-call]
    return loss.item(), int(((logits > 0) == (labels > 0.5)).sum())


def remember_weights(learner: Learner, position: Position) -> None:
    """Keep the weights that gave a sound loss, for as long as there is no better model to fall back on."""
    if position.best_epoch is not None:
        learner.last_good = []
        return
    weights = [weight.detach() for weight in learner.model.parameters()]
    if not learner.last_good:
        learner.last_good = [torch.empty_like(weight) for weight in weights]
    torch._foreach_copy_(learner.last_good, weights)


def explain_divergence(learner: Learner, position: Position, keeper: Keeper, error: DivergedError) -> DivergedError:
    """See to it that the last good model is kept, note where the curve ends, and return the sentence for the user."""
    step, loss = position.step + 1, str(error)
    if position.best_epoch is not None:
        kept = f"The best model so far, of epoch {position.best_epoch}, is kept."
    elif learner.last_good:
        with torch.no_grad():
            torch._foreach_copy_(list(learner.model.parameters()), learner.last_good)
        keeper.keep_weights(position)
        kept = f"The model as it was at step {position.step - 1}, the last with a sound loss, is kept."
    else:
        kept = "There was no model yet to keep."
    position.step = step
    keeper.record_divergence(position, loss)
    rate = learner.config.learning_rate
    advice = f"Start anew with a smaller learning rate than {rate:g}, such as {gentler_rate(rate):g}."
    return DivergedError(f"The training diverged at step {step}: the loss is {loss}. {kept} {advice}")


def validate_epoch(learner: Learner, position: Position, valid_set: EncodedSplit, keeper: Keeper) -> None:
    """Close the epoch: note its running means, validate, and keep the weights when they are the best so far."""
    position.train_loss = position.loss_sum / position.seen
    position.train_accuracy = position.correct / position.seen
    position.loss_sum, position.correct, position.seen = 0.0, 0, 0
    calibration = None
    if len(valid_set.encoded):
        logits, loss, accuracy = score_validation(learner.model, valid_set)
        is_better = position.best_epoch is None or is_improvement(learner.config, position, loss, accuracy)
        position.stale_epochs = 0 if is_better else position.stale_epochs + 1
        if is_better:
            position.best_epoch, position.best_accuracy, position.best_loss = position.epoch, accuracy, loss
            calibration = calibrate(valid_set, logits)
        keeper.keep_verdicts(position, logits)
        keeper.record_validation(position, loss, accuracy)
    else:
        is_better = True
        position.best_epoch = position.epoch
    if is_better:
        keeper.keep_weights(position, calibration)
    position.epoch += 1
    position.batch = 0


def keep_unfinished(learner: Learner, position: Position, valid_set: EncodedSplit, keeper: Keeper) -> None:
    """Save the place, so that the run can go on; without a best model yet, keep the weights as they are."""
    keeper.save(position)
    if position.best_epoch is not None:
        return
    with averaged_weights(learner.optimizer):
        calibration = None
        position.train_loss = position.loss_sum / position.seen
        position.train_accuracy = position.correct / position.seen
        if len(valid_set.encoded):
            logits, position.best_loss, position.best_accuracy = score_validation(learner.model, valid_set)
            calibration = calibrate(valid_set, logits)
        keeper.keep_weights(position, calibration)


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


def build_learner(config: RunConfig, encoder: Encoder, stages: list[Stage]) -> Learner:
    """Return a fresh model and its optimiser, on the GPU when there is one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = build_model(config, encoder)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.training.learning_rate, fused=True)
    return Learner(model, encoder, optimizer, device, config.training, stages)


def score_validation(model: SentimentModel, valid_set: EncodedSplit) -> tuple[NDArray[np.float64], float, float]:
    """Return logits, log loss and accuracy on validation; leaves the model in training mode."""
    model.eval()
    logits = score_texts(model, valid_set.encoded).astype(np.float64)
    model.train()
    labels = valid_set.truth
    return logits, float(binary_losses(labels, logits).mean()), float(((logits > 0) == (labels == 1)).mean())


def calibrate(valid_set: EncodedSplit, logits: NDArray[np.float64]) -> Calibration:
    """Fit the temperature of the model that gave validation these logits, and note what validation looked like."""
    temperature = fit_temperature(valid_set.truth, logits)
    profile = valid_set.profile
    reference = build_reference(profile, valid_set.truth, logits, temperature) if profile else None
    return Calibration(temperature=temperature, n=len(logits), reference=reference)


def is_over(config: TrainingConfig, stage: Stage, position: Position) -> bool:
    """Tell whether a stage has run its steps, or early stopping has had enough of it; an open epoch is closed first."""
    is_stale = config.patience is not None and position.stale_epochs >= config.patience
    return position.seen == 0 and (position.step >= stage.last_step or is_stale)


def encode_split(encoder: Encoder, split: LabelledTexts) -> EncodedSplit:
    """Encode a split; labels become float32 (N)."""
    return EncodedSplit(encoder.encode(split.texts), torch.from_numpy(split.labels.astype(np.float32)))


def hash_settings(config: RunConfig, fingerprint: str) -> str:
    """Return a name for all that a checkpoint's weights depend on; of corrected labels the fingerprint tells."""
    document = {name: plain_document(getattr(config, name)) for name in RunConfig.model_fields}
    del document["data"]["corrections"]
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(f"{content} {fingerprint}".encode()).hexdigest()


def prepare_torch(seed: int) -> None:
    """Seed torch, and let it take denormal numbers for zero.

    Every other draw has a generator of its own, made from the seed. A gradient that vanishes on its way back through
    an LSTM becomes denormal, which made the backward pass 17 times slower on CPU; the setting reaches only threads that
    start after it, so that it must come before a process computes anything in parallel.
    """
    torch.manual_seed(seed)
    torch.set_flush_denormal(True)
