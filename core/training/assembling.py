"""An ensemble's "training": its members, one after the other, then one look at validation. It takes no step itself."""

import time
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from core.config import PRESETS, EnsembleConfig, RunConfig, on_same_data
from core.data.labelled import cut_stratified
from core.errors import ModelFileError
from core.evaluation.calibration import FEWEST_REVIEWS
from core.evaluation.metrics import binary_losses
from core.models.ensemble import EnsembleEncoder, EnsembleModel, Member, member_architecture
from core.models.model_file import LoadedModel, load_model_file
from core.models.scoring import score_texts
from core.prediction.fit import profile_texts
from core.prediction.predictor import probability_of
from core.runs import Run
from core.training.checkpoint import Position
from core.training.events import open_mirror
from core.training.keeper import Keeper
from core.training.members import TrainedMember, TrainingData, take_run, train_member
from core.training.trainer import EncodedSplit, Outcome, calibrate, encode_split, prepare_torch
from core.training.watcher import Watcher

MOST_WEIGHT = 20.0  # of a member before the weights are made shares: a logit that is this much too small is no better

Floats = NDArray[np.float64]


def assemble(run: Run, config: RunConfig, data: TrainingData, watcher: Watcher, *, mirrored: bool = False) -> Outcome:
    """Train the members that are presets, and keep all members as one model in the run's model file.

    Each member's logits are divided by its own temperature, averaged, and the whole is calibrated again. A run that was
    killed begins with the members that are there.

    Args:
        run: Its folder receives history and model; the caller holds its lock.
        config: Settings of an ensemble.
        data: What preset members are trained on; runs must have been trained on the same.
        watcher: Is told of progress and may ask to stop.
        mirrored: Also write TensorBoard's event files.

    Raises:
        StopAsked: It was asked to stop before all members were there.
        ReviewscopeError: A member cannot be trained, is not there, or saw what validation holds.
    """
    members = gather_members(config, data, watcher)
    began = time.monotonic()
    prepare_torch(config.training.seed)
    watcher.on_phase("Putting the members together", 0)
    model, encoder = join_members(config, [load_model_file(member.model_file) for member in members])

    _, rows = cut_stratified(data.train.labels, config.data.validation_fraction, config.split_seed)
    valid = data.train.take(rows)
    valid_set = encode_split(encoder, valid)
    position, calibration, logits = Position(), None, np.zeros(0)
    if len(valid):
        valid_set = replace(valid_set, profile=profile_texts(encoder, valid.texts))
        logits = score_members(model, config, valid_set, watcher)
        position.best_loss = float(binary_losses(valid_set.truth, logits).mean())
        position.best_accuracy = float(((logits > 0) == (valid_set.truth == 1)).mean())
        calibration = calibrate(valid_set, logits)
    position.best_epoch = 1
    no_steps = torch.optim.SGD(model.parameters())
    with run.open_history(0) as history, open_mirror(run, position, mirrored) as mirror:
        keeper = Keeper(run, config, model, encoder, no_steps, history, "", mirror)
        if position.best_loss is not None and position.best_accuracy is not None:
            keeper.keep_verdicts(position, logits)
            keeper.record_validation(position, position.best_loss, position.best_accuracy)
        keeper.keep_weights(position, calibration)
        position.epoch = 2
        position.seconds = sum(member.seconds for member in members) + time.monotonic() - began
    earlier = sum(member.seconds - member.seconds_here for member in members)
    return Outcome(True, position, sum(model.layer_parameters.values()), earlier)


def gather_members(config: RunConfig, data: TrainingData, watcher: Watcher) -> list[TrainedMember]:
    """Return the members' models, those of presets trained where they are not there.

    Raises:
        StopAsked: The watcher asked to stop.
        ReviewscopeError: A member cannot be had.
    """
    assert isinstance(config.model, EnsembleConfig)
    names = config.model.members
    runs = {name: take_run(name, config, data.fingerprint) for name in names if name not in PRESETS}
    members = []
    for place, name in enumerate(names, 1):
        title = f"Member {place} of {len(names)}, {name}"
        members.append(runs.get(name) or train_member(on_same_data(name, config), data, watcher, title))
    return members


def join_members(config: RunConfig, loaded: list[LoadedModel]) -> tuple[EnsembleModel, EnsembleEncoder]:
    """Return trained models as one, all of the same weight, on the GPU when there is one.

    Raises:
        ModelFileError: A model is an ensemble itself.
    """
    assert isinstance(config.model, EnsembleConfig)
    for name, each in zip(config.model.members, loaded, strict=True):
        if isinstance(each.model, EnsembleModel):
            raise ModelFileError(f"The model of {name} is an ensemble itself. Name its members in its place.")
    encoder = EnsembleEncoder([Member(member_architecture(each.architecture), each.encoder) for each in loaded])
    model = EnsembleModel([each.model for each in loaded], config.model.members, encoder.sizes)
    temperatures = [each.calibration.temperature if each.calibration else 1.0 for each in loaded]
    model.temperatures.copy_(torch.tensor(temperatures))
    return model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu")).eval(), encoder


def score_members(model: EnsembleModel, config: RunConfig, valid_set: EncodedSplit, watcher: Watcher) -> Floats:
    """Score validation with each member, set the weights as the settings say, and return the whole's logits (V)."""
    assert isinstance(config.model, EnsembleConfig)
    parts = model.split(valid_set.encoded)
    watcher.on_phase("Scoring validation", len(parts) * len(valid_set))
    scores = [
        torch.from_numpy(score_texts(member, part, watcher.on_progress)).to(model.weights.device)
        for member, part in zip(model.models, parts, strict=True)
    ]
    if config.model.weighting == "validation":
        calibrated = torch.stack(scores).double().cpu().numpy() / model.temperatures.double().cpu().numpy()[:, None]
        model.weights.copy_(torch.from_numpy(fit_weights(calibrated, valid_set.truth)))
    with torch.inference_mode():
        return model.combine(scores).cpu().numpy().astype(np.float64)


def fit_weights(logits: Floats, labels: NDArray[np.int64]) -> Floats:
    """Return the members' shares under which the log loss on validation is least, at the best temperature of the whole.

    The loss is convex in the weights, none of which may fall below 0; its least is found by L-BFGS-B (Byrd, Lu, Nocedal
    & Zhu 1995), and the weights are then scaled to add up to 1. All are equal where there is no such least, as of
    ``fit_temperature``, or where no member helps.

    Args:
        logits: float64 (k, V), each member's, calibrated.
        labels: int64 (V), 0 or 1.
    """
    equal = np.full(len(logits), 1 / len(logits))
    truth = labels.astype(np.float64)
    if len(labels) < FEWEST_REVIEWS or truth.min() == truth.max() or ((equal @ logits > 0) == (labels == 1)).all():
        return equal
    from scipy.optimize import minimize

    def loss_and_slopes(weights: Floats) -> tuple[float, Floats]:
        scores = weights @ logits
        return float(binary_losses(labels, scores).mean()), logits @ (probability_of(scores) - truth) / len(truth)

    bounds, options = [(0.0, MOST_WEIGHT)] * len(logits), {"ftol": 1e-15, "gtol": 1e-9}
    start = np.zeros(len(logits))
    weights: Floats = minimize(loss_and_slopes, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    total = weights.sum()
    return weights / total if total > 0 else equal
