"""A run's history for the eye: read as it grows, thinned without losing a spike, smoothed without a false start."""

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import RunError

STEP_COLUMNS = ("step", "epoch", "loss", "learning_rate", "gradient_norm", "reviews_per_second", "time")
VALID_COLUMNS = ("step", "epoch", "valid_loss", "valid_accuracy", "time")
CSV_COLUMNS = (*STEP_COLUMNS[:-1], *VALID_COLUMNS[2:])
LONGEST_GAP = 60.0  # seconds between two lines; what is longer was a pause or a restart
GAP_STEPS = 5.0  # unless the steps themselves take that long
SPEED_WINDOW = 200
LEAST_TIMED = 5
BLOCKS = 10
LEAST_SPREAD = 0.03

Floats = NDArray[np.float64]
Unit = Literal["step", "epoch", "time"]


@dataclass
class _Columns:
    """Numbers by column, which grow at their end.

    What was handed out stays as it is: rows are only added behind it, and a cut makes an array of its own.
    """

    names: tuple[str, ...]
    values: Floats
    count: int = 0

    @classmethod
    def of(cls, names: tuple[str, ...]) -> "_Columns":
        return cls(names, np.empty((len(names), 64)))

    @property
    def last_step(self) -> float:
        return float(self.values[0, self.count - 1]) if self.count else -1.0

    def append(self, line: Mapping[str, Any]) -> None:
        if self.count == self.values.shape[1]:
            self.values = np.concatenate([self.values, np.empty_like(self.values)], axis=1)
        self.values[:, self.count] = [line[name] for name in self.names]
        self.count += 1

    def cut(self, step: float) -> None:
        """Keep what came before a step."""
        kept = int(np.searchsorted(self.values[0, : self.count], step))
        if kept < self.count:
            self.values, self.count = self.values.copy(), kept

    def view(self) -> dict[str, Floats]:
        columns = {name: self.values[place, : self.count] for place, name in enumerate(self.names)}
        for column in columns.values():
            column.flags.writeable = False
        return columns


@dataclass
class HistoryReader:
    """Reads only what was appended to ``metrics.jsonl`` since the last look; begins anew when the file was cut.

    A resume cuts the file and writes on, so that it may be longer again by the next look: the last line that was read
    tells whether it is still the same file up to there.
    """

    path: Path
    offset: int = 0
    last_line: bytes = b""
    steps: _Columns = field(default_factory=lambda: _Columns.of(STEP_COLUMNS))
    validations: _Columns = field(default_factory=lambda: _Columns.of(VALID_COLUMNS))
    diverged: "Divergence | None" = None
    lock: Lock = field(default_factory=Lock)

    def refresh(self) -> "History":
        """Read new whole lines and return the history so far.

        Raises:
            RunError: A line is damaged.
        """
        with self.lock:
            content = self._read_from(self.offset - len(self.last_line))
            if not content.startswith(self.last_line):
                self.offset, self.last_line, self.diverged = 0, b"", None
                self.steps.cut(-1)
                self.validations.cut(-1)
                content = self._read_from(0)
            whole = content[len(self.last_line) : content.rfind(b"\n") + 1]
            lines = whole.splitlines(keepends=True)
            try:
                for line in lines:
                    self._take(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise RunError(f"The history {self.path.name} has a damaged line ({error!r}).") from error
            if lines:
                self.offset, self.last_line = self.offset + len(whole), lines[-1]
            return History(self.steps.view(), self.validations.view(), self.diverged)

    def _read_from(self, offset: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return b""

    def _take(self, line: dict[str, Any]) -> None:
        if "diverged" in line:
            self.diverged = Divergence(line["step"], line["diverged"])
            return
        self.diverged = None
        columns, others = (self.steps, self.validations) if "loss" in line else (self.validations, self.steps)
        # A resume goes back to its checkpoint: what the cut file says again counts, what it said before does not.
        if others.last_step > line["step"]:
            others.cut(line["step"] + 1)
        if columns.last_step >= line["step"]:
            columns.cut(line["step"])
        columns.append(line)


@dataclass(frozen=True)
class Divergence:
    """Where a training broke off: at which step, and what its loss was then, in words."""

    step: int
    found: str


@dataclass(frozen=True)
class History:
    """All steps and validations of a run.

    Attributes:
        steps: By ``STEP_COLUMNS``, float64 (S) each.
        validations: By ``VALID_COLUMNS``, float64 (V) each.
        diverged: Where the curve ends when the training diverged.
    """

    steps: dict[str, Floats]
    validations: dict[str, Floats]
    diverged: Divergence | None = None

    @property
    def last_step(self) -> int:
        """Return the last step; 0 before the first."""
        return int(self.steps["step"][-1]) if len(self.steps["step"]) else 0

    def best(self, best_by: str) -> int | None:
        """Return the place of the best validation by "accuracy" or "loss"; the other breaks ties, then the first."""
        accuracy, loss = -self.validations["valid_accuracy"], self.validations["valid_loss"]
        if not len(accuracy):
            return None
        first, second = (loss, accuracy) if best_by == "loss" else (accuracy, loss)
        return int(np.lexsort((np.arange(len(loss)), second, first))[0])


def thin(values: Floats, most: int) -> NDArray[np.int64]:
    """Return at most ``most`` places, ascending, that keep the least and the greatest value of each equal stretch.

    A stretch is a power of two long and begins where it began, so that a growing line keeps the points it has until
    the stretches double.

    Args:
        values: float64 (N), finite.
        most: At least 4; N up to this is kept whole.
    """
    count, length = len(values), 1
    if count <= most:
        return np.arange(count)
    while 2 * -(-count // length) > most:
        length *= 2
    padded = np.pad(values, (0, -count % length), mode="edge").reshape(-1, length)
    starts = np.arange(len(padded)) * length
    return np.unique(np.concatenate([starts + padded.argmin(axis=1), starts + padded.argmax(axis=1)]))


def smooth(values: Floats, span: int) -> Floats:
    """Return the exponential moving average with weights that add up to one from the first value on.

    Args:
        values: float64 (N).
        span: Steps over which about 86 % of the weight lies; as in pandas' ``ewm(span, adjust=True)``.
    """
    import pandas as pd

    return pd.Series(values).ewm(span=span, adjust=True).mean().to_numpy()


def training_seconds(history: History) -> tuple[Floats, Floats]:
    """Return when each step and each validation was, in seconds of training since the first line: float64 (S), (V).

    A gap of more than a minute between two lines, and of more than five steps' time, is a pause or a restart and counts
    as nothing; so does a clock that was set back.
    """
    steps, validations = history.steps, history.validations
    # In the order of the file: a validation stands behind the step it follows.
    behind = np.searchsorted(steps["step"], validations["step"], side="right")
    times = np.insert(steps["time"], behind, validations["time"])
    if not len(times):
        return times, times
    gaps = np.diff(times)
    longest = max(LONGEST_GAP, GAP_STEPS * float(np.median(gaps))) if len(gaps) else LONGEST_GAP
    gaps[(gaps < 0) | (gaps > longest)] = 0.0
    clock = np.concatenate([[0.0], np.cumsum(gaps)])
    is_validation = np.zeros(len(times), np.bool_)
    is_validation[behind + np.arange(len(behind))] = True
    return clock[~is_validation], clock[is_validation]


def epochs_done(history: History, steps_per_epoch: int) -> tuple[Floats, Floats]:
    """Return how many epochs were done at each step and at each validation: float64 (S), (V).

    An epoch that was cut short, by a limit of steps, leaves out the rest of its stretch.
    """
    numbers, steps = history.steps["epoch"], history.steps["step"]
    begins = np.diff(numbers, prepend=-1.0) != 0
    first = steps[np.maximum.accumulate(np.where(begins, np.arange(len(steps)), 0))]
    done = numbers - 1 + (steps - first + 1) / max(steps_per_epoch, 1)
    places = np.searchsorted(steps, history.validations["step"], side="right") - 1
    return done, done[places] if len(done) else history.validations["epoch"]


@dataclass(frozen=True)
class TimeLeft:
    """How long the steps that are left will take, in seconds, and its range."""

    seconds: float
    low: float
    high: float


def estimate_left(history: History, last_step: int, steps_per_epoch: int, early_spread: float) -> TimeLeft | None:
    """Return the time left at the speed of late; None before five steps.

    Speed is that of the last whole epochs, their validations and checkpoints included, some 200 steps or one epoch; in
    the first epoch it is that of the last 200 steps. The range follows from how far the speeds of tenths of that
    stretch lie apart.

    Args:
        history: So far.
        last_step: Of the plan.
        steps_per_epoch: Of the plan.
        early_spread: The least half of the range, as a share, before an epoch's end was timed.
    """
    intervals = len(history.steps["step"]) - 1
    if intervals < LEAST_TIMED:
        return None
    per_epoch = max(steps_per_epoch, 1)
    epochs = min(intervals // per_epoch, max(SPEED_WINDOW // per_epoch, 1))
    window = epochs * per_epoch or min(intervals, SPEED_WINDOW)
    # The tail is enough: the clock of a window does not depend on what came before it.
    tail = _tail(history, window + 1)
    clock = training_seconds(tail)[0]
    seconds = float(clock[-1] - clock[0]) / window * max(last_step - history.last_step, 0)
    paces = 1 / np.maximum(tail.steps["reviews_per_second"], 1e-9)
    blocks = np.array([block.mean() for block in np.array_split(paces, min(BLOCKS, len(paces)))])
    spread = max(2 * float(blocks.std() / blocks.mean()), LEAST_SPREAD if epochs else early_spread)
    return TimeLeft(seconds, seconds * (1 - min(spread, 0.5)), seconds * (1 + min(spread, 1.0)))


def history_csv(history: History) -> str:
    """Return every line of a history as CSV, in order; what a line does not say stays empty."""
    lines: list[list[Any]] = [
        [int(step), int(epoch), *figures, None, None, time]
        for step, epoch, *figures, time in zip(*(values.tolist() for values in history.steps.values()), strict=True)
    ]
    lines += [
        [int(step), int(epoch), *[None] * 4, *figures]
        for step, epoch, *figures in zip(*(values.tolist() for values in history.validations.values()), strict=True)
    ]
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    lines.sort(
        key=lambda line: int(line[0])
    )  # steps that are equal keep their order: a validation comes after its step
    writer.writerows(lines)
    return written.getvalue()


def _tail(history: History, steps: int) -> History:
    """Return the last steps of a history, with the validations among them."""
    kept = {name: values[-steps:] for name, values in history.steps.items()}
    late = history.validations["step"] >= kept["step"][0]
    return History(kept, {name: values[late] for name, values in history.validations.items()})
