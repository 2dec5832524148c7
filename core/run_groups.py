"""Runs that were queued together as one: seeds of one config, or a grid; what they come to, and how settings differ."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.config import RunConfig
from core.errors import RunError
from core.runs import Run

Kind = Literal["single", "seeds", "grid"]
VALID_COLUMNS = ("step", "epoch", "valid_loss", "valid_accuracy", "time")
CURVE_POINTS = 61


@dataclass(frozen=True)
class RunGroup:
    """One row of a list of runs.

    Attributes:
        group_id: The run's id, or of several "~" and eight hex digits, which no run's id begins with.
        name: The run's name, or the one that several were queued under.
        runs: At least one, the oldest first.
        kind: "seeds" when nothing but the seed differs, "grid" when more does.
    """

    group_id: str
    name: str
    runs: tuple[Run, ...]
    kind: Kind

    @property
    def title(self) -> str:
        """Return the name, and of several runs how many and what they are."""
        words = {"single": "", "seeds": f" · {len(self.runs)} seeds", "grid": f" · grid of {len(self.runs)}"}
        return self.name + words[self.kind]


@dataclass(frozen=True)
class MeanCurve:
    """The curves of several runs as one, at equal steps where all of them have values.

    Attributes:
        x: float64 (P).
        mean: float64 (P).
        low: The least of the runs, float64 (P).
        high: The greatest of the runs, float64 (P).
    """

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def group_runs(runs: Sequence[Run]) -> list[RunGroup]:
    """Return the runs with those of one group as one, in the order in which each group is first met.

    A group of which one run is left is that run.
    """
    together: dict[str, list[Run]] = {}
    for run in runs:
        together.setdefault(run.about.group or f"\0{run.run_id}", []).append(run)
    return [
        single_group(members[0]) if len(members) == 1 else _group(name, members) for name, members in together.items()
    ]


def single_group(run: Run) -> RunGroup:
    """Return one run as a row of its own."""
    return RunGroup(run.run_id, run.about.name, (run,), "single")


def mean_curve(curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> MeanCurve | None:
    """Return mean and range of several curves; None when there is no stretch that all of them cover.

    Args:
        curves: Of each run x, ascending, and y; float64 (V) each, V of their own. Values between two are drawn
            straight; nothing is guessed beyond a curve's ends.
    """
    if not curves or not all(len(x) for x, _ in curves):
        return None
    first, last = max(float(x[0]) for x, _ in curves), min(float(x[-1]) for x, _ in curves)
    if first > last:
        return None
    places = np.linspace(first, last, CURVE_POINTS) if first < last else np.array([first])
    values = np.stack([np.interp(places, x, y) for x, y in curves])
    return MeanCurve(places, values.mean(axis=0), values.min(axis=0), values.max(axis=0))


def read_validations(run: Run) -> dict[str, NDArray[np.float64]]:
    """Return the validations of a run's history by ``VALID_COLUMNS``, float64 (V) each; steps are skipped unread.

    Raises:
        RunError: A line is damaged.
    """
    content = run.metrics_file.read_bytes() if run.metrics_file.exists() else b""
    lines = [line for line in content[: content.rfind(b"\n") + 1].splitlines() if b'"valid_loss"' in line]
    try:
        # A later line of the same step is what a resume said again.
        found = {line["step"]: line for line in map(json.loads, lines)}
        return {name: np.array([line[name] for line in found.values()], np.float64) for name in VALID_COLUMNS}
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"The history of run {run.run_id} has a damaged line ({error}).") from error


def flatten_settings(config: RunConfig) -> dict[str, Any]:
    """Return all settings by ``section.field``."""
    return {
        f"{section}.{name}": value
        for section, fields in config.model_dump().items()
        for name, value in fields.items()
    }  # fmt: skip


def differing_settings(configs: Sequence[RunConfig]) -> dict[str, tuple[Any, ...]]:
    """Return the settings that are not the same in all configs, with the value in each; None where one lacks it."""
    flat = [flatten_settings(config) for config in configs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    values = {name: tuple(settings.get(name) for settings in flat) for name in names}
    return {name: found for name, found in values.items() if any(value != found[0] for value in found)}


def setting_title(name: str, config: RunConfig) -> str:
    """Return what people call a setting: "Learning rate" for ``training.learning_rate``."""
    section, _, field = name.partition(".")
    info = type(getattr(config, section)).model_fields.get(field)
    if field == "kind":
        return "Model"
    return info.title if info is not None and info.title else field.replace("_", " ").capitalize()


def _group(name: str, members: Sequence[Run]) -> RunGroup:
    runs = tuple(sorted(members, key=lambda run: (run.created, run.run_id)))
    first, *others = [_without_seed(run.settings.config) for run in runs]
    kind: Kind = "seeds" if all(other == first for other in others) else "grid"
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return RunGroup(f"~{digest}", name.rpartition("-")[0] or name, runs, kind)


def _without_seed(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": 0})})
