"""A run's history for the eye: read as it grows, thinned without losing a spike, smoothed without a false start."""

import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP_COLUMNS = ("step", "epoch", "loss", "learning_rate", "gradient_norm", "reviews_per_second", "time")
VALID_COLUMNS = ("step", "epoch", "valid_loss", "valid_accuracy", "time")


@dataclass
class HistoryReader:
    """Reads only what was appended to ``metrics.jsonl`` since the last look; begins anew when the file was cut."""

    path: Path
    offset: int = 0
    steps: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in STEP_COLUMNS})
    validations: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in VALID_COLUMNS})
    diverged: "Divergence | None" = None
    lock: Lock = field(default_factory=Lock)

    def refresh(self) -> "History":
        """Read new whole lines and return the history so far."""
        with self.lock:
            size = self.path.stat().st_size if self.path.exists() else 0
            if size < self.offset:
                self.offset = 0
                self.diverged = None
                for column in (*self.steps.values(), *self.validations.values()):
                    column.clear()
            if size > self.offset:
                with self.path.open("rb") as file:
                    file.seek(self.offset)
                    content = file.read(size - self.offset)
                whole = content[: content.rfind(b"\n") + 1]
                self.offset += len(whole)
                for line in whole.splitlines():
                    self._take(json.loads(line))
            return History(
                {name: np.array(values) for name, values in self.steps.items()},
                {name: np.array(values) for name, values in self.validations.items()},
                self.diverged,
            )

    def _take(self, line: dict[str, Any]) -> None:
        if "diverged" in line:
            self.diverged = Divergence(line["step"], line["diverged"])
            return
        self.diverged = None
        # A resume goes back to its checkpoint: what the cut file says again counts, what it said before does not.
        for columns in (self.steps, self.validations):
            while columns["step"] and columns["step"][-1] > line["step"]:
                for values in columns.values():
                    values.pop()
        columns = self.steps if "loss" in line else self.validations
        while columns["step"] and columns["step"][-1] == line["step"]:
            for values in columns.values():
                values.pop()
        for name, values in columns.items():
            values.append(line[name])


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

    steps: dict[str, NDArray[np.float64]]
    validations: dict[str, NDArray[np.float64]]
    diverged: Divergence | None = None

    def best(self, best_by: str) -> int | None:
        """Return the place of the best validation by "accuracy" or "loss"; the other breaks ties, then the first."""
        accuracy, loss = -self.validations["valid_accuracy"], self.validations["valid_loss"]
        if not len(accuracy):
            return None
        first, second = (loss, accuracy) if best_by == "loss" else (accuracy, loss)
        return int(np.lexsort((np.arange(len(loss)), second, first))[0])


def thin(values: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return at most ``most`` places, ascending, that keep the least and the greatest value of each equal stretch.

    Args:
        values: float64 (N), finite.
        most: At least 4; N up to this is kept whole.
    """
    count = len(values)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, most // 2 + 1).astype(np.int64)
    places = []
    for start, end in pairwise(edges.tolist()):
        piece = values[start:end]
        places += [start + int(piece.argmin()), start + int(piece.argmax())]
    return np.unique(np.array(places, np.int64))


def smooth(values: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Return the exponential moving average with weights that add up to one from the first value on.

    Args:
        values: float64 (N).
        span: Steps over which about 86 % of the weight lies; as in pandas' ``ewm(span, adjust=True)``.
    """
    import pandas as pd

    return pd.Series(values).ewm(span=span, adjust=True).mean().to_numpy()
