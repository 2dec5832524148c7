"""What a training leaves on the disk while it goes: history, checkpoints, best weights, validation's logits."""

import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch.optim import Optimizer

from core.config import RunConfig
from core.errors import CheckpointError
from core.models.base import SentimentModel
from core.models.model_file import Architecture, Calibration, is_sound_model, save_model
from core.preprocessing.encoders import Encoder
from core.runs import HistoryWriter, Run
from core.tensor_file import write_tensor_file
from core.training.checkpoint import Position, any_kept_model, list_checkpoints, load_checkpoint, save_checkpoint
from core.training.verdicts import VERDICTS_FORMAT, load_verdicts

if TYPE_CHECKING:
    from core.training.events import EventMirror

CHECKPOINT_SECONDS = 60.0


@dataclass
class Keeper:
    """Writes what must outlive the process."""

    run: Run
    config: RunConfig
    model: SentimentModel
    encoder: Encoder
    optimizer: Optimizer
    history: HistoryWriter
    settings_hash: str
    mirror: "EventMirror | None" = None
    saved_at: float = -math.inf
    step_at: float = 0.0

    def __post_init__(self) -> None:
        self.saved_at = self.step_at = time.monotonic()

    def record_step(self, position: Position, figures: dict[str, float], reviews: int) -> None:
        """Append a step's line to the history."""
        now = time.monotonic()
        speed = round(reviews / max(now - self.step_at, 1e-9), 1)
        self.step_at = now
        self._record(position, {**figures, "reviews_per_second": speed})

    def record_validation(self, position: Position, loss: float, accuracy: float) -> None:
        """Append a validation's line to the history."""
        self._record(position, {"valid_loss": loss, "valid_accuracy": accuracy})
        self.step_at = time.monotonic()

    def record_divergence(self, position: Position, word: str) -> None:
        """Append a line that says where the loss went; ``word`` is what was found instead of a sound one."""
        self._record(position, {"diverged": word})

    def _record(self, position: Position, figures: dict[str, float] | dict[str, str]) -> None:
        self.history.append({"step": position.step, "epoch": position.epoch, **figures, "time": time.time()})
        if self.mirror is not None:
            self.mirror.add(position.step, figures)

    def save_when_due(self, position: Position) -> None:
        """Save a checkpoint when the last one is a minute old."""
        if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
            self.save(position)

    def save(self, position: Position) -> None:
        """Save a checkpoint; the history that it vouches for, and its mirror, reach the disk first."""
        position.history_bytes = self.history.sync()
        if self.mirror is not None:
            self.mirror.flush()
        save_checkpoint(self.run.checkpoint_folder, self.model, self.optimizer, position, self.settings_hash)
        self.saved_at = self.step_at = time.monotonic()

    def keep_weights(self, position: Position, calibration: Calibration | None = None) -> None:
        """Write the present weights, and what validation says of their probabilities, as the run's model."""
        architecture = Architecture(preprocessing=self.encoder.config, model=self.config.model.architecture)
        position.model_sha256 = save_model(self.run.model_file, self.model, self.encoder, architecture, calibration)

    def keep_verdicts(self, position: Position, logits: NDArray[np.float64]) -> None:
        """Write validation's logits beside those of the epoch before, so that a page can tell what was newly read."""
        before = load_verdicts(self.run)
        tensors = {"now": logits.astype(np.float32)}
        if before is not None and before.epoch in (position.epoch - 1, position.epoch):
            # After a resume the file may already speak of this epoch; after a start anew, of one far ahead.
            earlier = before.now if before.epoch < position.epoch else before.before
            tensors |= {"before": earlier} if earlier is not None else {}
        document = json.dumps({"epoch": position.epoch, "step": position.step})
        write_tensor_file(self.run.verdicts_file, VERDICTS_FORMAT, document, tensors)


def resume_position(
    run: Run, model: SentimentModel, optimizer: Optimizer, settings_hash: str
) -> tuple[Position | None, str]:
    """Restore the newest sound checkpoint; return its position, and what the user must know about it.

    The position is None when the training begins anew: there is no checkpoint, or the model that was kept beside them
    is damaged and can only be had again from the start. A damaged checkpoint is passed over.

    Raises:
        CheckpointError: There are checkpoints, but every one is damaged or belongs to other settings.
    """
    paths = list_checkpoints(run.checkpoint_folder)
    if not is_sound_model(run.model_file) and any_kept_model(run.checkpoint_folder):
        for path in paths:
            path.unlink()
        return None, "The model that goes with the checkpoints is missing or damaged; the training begins anew."
    faults = []
    for path in paths:
        try:
            position = load_checkpoint(path, model, optimizer, settings_hash)
        except CheckpointError as error:
            faults.append(str(error))
            continue
        return position, " ".join([*faults, f"Going on from {path.name}, the one before."]) if faults else ""
    if faults:
        raise CheckpointError(" ".join(faults))
    return None, ""
