"""A run's history mirrored into TensorBoard's event files, without TensorBoard."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.errors import RunError
from core.runs import Run
from core.training.checkpoint import Position

if TYPE_CHECKING:
    from tensorboardX.event_file_writer import EventsWriter

TAGS = {
    "loss": "train/loss", "learning_rate": "train/learning_rate", "gradient_norm": "train/gradient_norm",
    "reviews_per_second": "train/reviews_per_second", "valid_loss": "valid/loss", "valid_accuracy": "valid/accuracy",
}  # fmt: skip


@dataclass(frozen=True)
class EventMirror:
    """Writes figures as scalars, in this thread: tensorboardX's own hangs the training once the disk is full."""

    writer: "EventsWriter"

    def add(self, step: int, figures: Mapping[str, float | str]) -> None:
        """Write a line's figures under the names of ``TAGS``."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=TAGS[name], simple_value=value) for name, value in figures.items() if name in TAGS]
        if values:
            self.writer.write_event(Event(wall_time=time.time(), step=step, summary=Summary(value=values)))

    def flush(self) -> None:
        """Force what was written onto the disk."""
        self.writer.flush()


@contextmanager
def open_mirror(run: Run, position: Position, is_wanted: bool) -> Iterator[EventMirror | None]:
    """Yield a mirror into the run's ``tensorboard/`` folder, or None; a resume withdraws what it will say again.

    Raises:
        RunError: tensorboardX is not installed.
    """
    if not is_wanted:
        yield None
        return
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
    except ImportError as error:
        raise RunError(
            f"Run {run.run_id} was to write TensorBoard's event files, and tensorboardX is not installed here. Install "
            "it (pip install tensorboardX) and resume the run, or start one without event files."
        ) from error

    run.tensorboard_folder.mkdir(exist_ok=True)
    # The name goes by the second; a resume within the same one must not overwrite the file before.
    writer = EventsWriter(str(run.tensorboard_folder / "events"), filename_suffix=f".{time.time_ns()}")
    try:
        start = SessionLog(status=SessionLog.START)
        writer.write_event(Event(wall_time=time.time(), step=position.step + 1, session_log=start))
        mirror = EventMirror(writer)
        yield mirror
        mirror.flush()
    finally:
        with suppress(OSError):  # what could not be written has been said
            writer.close()
