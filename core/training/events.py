"""A run's history mirrored into TensorBoard's event files, without TensorBoard."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.runs import Run
from core.training.checkpoint import Position

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

TAGS = {
    "loss": "train/loss", "learning_rate": "train/learning_rate", "gradient_norm": "train/gradient_norm",
    "reviews_per_second": "train/reviews_per_second", "valid_loss": "valid/loss", "valid_accuracy": "valid/accuracy",
}  # fmt: skip


@dataclass(frozen=True)
class EventMirror:
    """Writes figures as scalars."""

    writer: "SummaryWriter"

    def add(self, step: int, figures: Mapping[str, float | str]) -> None:
        """Write a line's figures under the names of ``TAGS``."""
        for name, value in figures.items():
            if name in TAGS:
                self.writer.add_scalar(TAGS[name], value, step)


@contextmanager
def open_mirror(run: Run, position: Position, is_wanted: bool) -> Iterator[EventMirror | None]:
    """Yield a mirror into the run's ``tensorboard/`` folder, or None; a resume withdraws what it will say again."""
    if not is_wanted:
        yield None
        return
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(run.tensorboard_folder), purge_step=position.step + 1) as writer:
        yield EventMirror(writer)
