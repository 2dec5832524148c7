"""Checkpoints that a killed run resumes from, to the same weights bit for bit."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.optim import Optimizer

from core.errors import CheckpointError
from core.tensor_file import DamagedFileError, read_tensor_file, write_tensor_file

FORMAT = "reviewscope-checkpoint/1"
KEPT = 2


@dataclass
class Position:
    """Where a training is; everything of the loop that is not a tensor.

    Attributes:
        step: Optimiser updates done.
        epoch: The epoch in progress, from 1.
        batch: The next batch of that epoch's order, from 0.
        loss_sum, correct, seen: Sums over this epoch's reviews so far.
        train_loss, train_accuracy: Running means of the last whole epoch.
        best_epoch, best_accuracy, best_loss: Of the weights kept so far; None before the first validation.
        stale_epochs: Epochs since the best one, in this stage.
        stage: The stage of the plan, from 0; epochs that were added later are stages of their own.
        model_sha256: Of the weights kept so far; empty before there are any.
        seconds: Spent in the loop so far.
        history_bytes: Length of the history that belongs to this place.
    """

    step: int = 0
    epoch: int = 1
    batch: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    train_loss: float | None = None
    train_accuracy: float | None = None
    best_epoch: int | None = None
    best_accuracy: float | None = None
    best_loss: float | None = None
    stale_epochs: int = 0
    stage: int = 0
    model_sha256: str = ""
    seconds: float = 0.0
    history_bytes: int = 0


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: Optimizer, position: Position, settings_hash: str
) -> None:
    """Write weights, optimiser, random generators and position atomically; the newest two files are kept.

    Args:
        settings_hash: Names the settings and data; a checkpoint of others is never resumed from.
    """
    optimizer_state = optimizer.state_dict()
    tensors = {f"model.{name}": value.cpu().numpy() for name, value in model.state_dict().items()}
    for index, values in optimizer_state["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value.cpu().numpy() for name, value in values.items()}
    tensors |= {f"random.{name}": value for name, value in _random_states().items()}
    document = {
        "settings": settings_hash,
        "position": asdict(position),
        "param_groups": optimizer_state["param_groups"],
    }
    write_tensor_file(folder / f"step-{position.step}.safetensors", FORMAT, json.dumps(document), tensors)
    for old in list_checkpoints(folder)[KEPT:]:
        old.unlink()


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, settings_hash: str) -> Position:
    """Restore a checkpoint into a model, an optimiser and the random generators.

    Raises:
        CheckpointError: It is damaged, or belongs to other settings or data.
    """
    try:
        file = read_tensor_file(path, FORMAT)
    except DamagedFileError as error:
        raise CheckpointError(f"The checkpoint {path.name} is not usable: {error}.") from error
    document = json.loads(file.document)
    if document["settings"] != settings_hash:
        raise CheckpointError(
            f"The checkpoint {path.name} belongs to other settings or data. Start a new run with these ones."
        )
    tensors = {name: torch.from_numpy(value.copy()) for name, value in file.tensors.items()}
    model.load_state_dict({name.removeprefix("model."): t for name, t in tensors.items() if name.startswith("model.")})
    state: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": document["param_groups"]})
    _restore_random({name.removeprefix("random."): t for name, t in tensors.items() if name.startswith("random.")})
    return Position(**document["position"])


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a folder, newest first."""
    names = [path.name for path in folder.glob("*") if re.fullmatch(r"step-\d+\.safetensors", path.name)]
    return [folder / name for name in sorted(names, key=lambda name: int(name[5:-12]), reverse=True)]


def any_kept_model(folder: Path) -> bool:
    """Tell whether a sound checkpoint says that a model had been kept before it."""
    for path in list_checkpoints(folder):
        try:
            document = json.loads(read_tensor_file(path, FORMAT).document)
        except DamagedFileError:
            continue
        if document["position"]["best_epoch"] is not None:
            return True
    return False


def _random_states() -> dict[str, NDArray[np.uint8]]:
    states = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"cuda{index}": state for index, state in enumerate(torch.cuda.get_rng_state_all())}
    return {name: state.numpy() for name, state in states.items()}


def _restore_random(states: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(states["cpu"])
    cuda = [states[f"cuda{index}"] for index in range(len(states) - 1)]
    if cuda and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(cuda)
