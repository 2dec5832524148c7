"""What each preset costs and brings: the figures that are shipped, and those of the runs in this workspace."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import Field

from core import settings
from core.config import PRESETS, RunConfig, Section, plain_document, preset_config
from core.errors import ReviewscopeError
from core.evaluation.intervals import wilson_interval
from core.job_folder import read_document
from core.runs import Run

SHIPPED_FILE = settings.PACKAGE / "ladder_figures.json"
Split = Literal["valid", "test"]


class PresetFigures(Section):
    """What was measured of one preset; accuracies are shares, means over the seeds."""

    preset: str
    settings: str = Field(description="``settings_digest`` of what was trained: another recipe is another row.")
    seeds: int = Field(ge=1)
    parameters: int
    valid_accuracy: float
    n_valid: int = Field(description="Reviews; every seed was validated on the same.")
    test_accuracy: float
    test_low: float = Field(description="The least of the seeds.")
    test_high: float = Field(description="The greatest of the seeds.")
    n_test: int
    apart_accuracy: float | None = Field(None, description="Without the test texts that also stand in train.")
    n_apart: int | None = None
    seconds: float = Field(description="A whole run, test included: the longest, which learnt what the others reuse.")
    teacher_seconds: float | None = Field(None, description="What its teacher took besides.")
    reviews_per_second: float | None = Field(None, description="Scoring, encoding included.")
    model_bytes: int | None = None
    peak_memory_mb: float | None = None
    model_sha256: str | None = Field(None, description="Of the run whose scoring was timed.")


class Ladder(Section):
    """The figures of several presets on one data set, from one machine."""

    machine: str = Field(description='Its class, for a sentence: "a two-core laptop-class machine".')
    date: str
    data: Literal["imdb", "demo"] = "imdb"
    rows: tuple[PresetFigures, ...] = ()

    def find(self, preset: str, digest: str) -> PresetFigures | None:
        """Return a preset's row, None where it was measured with other settings or not at all."""
        return next((row for row in self.rows if (row.preset, row.settings) == (preset, digest)), None)


@dataclass(frozen=True)
class Known:
    """What is known of a preset before it is trained once more.

    Attributes:
        preset: Its name.
        is_here: Measured by runs of this workspace on the data in question; else shipped, of IMDB.
        accuracy: A share, the mean over the seeds.
        n: Reviews that it was counted on.
        seeds: Runs.
        seconds: A whole training, its teacher's too.
        test_accuracy: For a look beside ``accuracy`` when that is of validation; None when test was not scored.
        n_test: Reviews of the test split.
        reviews_per_second: Scoring; None when it was not timed.
    """

    preset: str
    is_here: bool
    accuracy: float
    n: int
    seeds: int
    seconds: float
    test_accuracy: float | None = None
    n_test: int = 0
    reviews_per_second: float | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the accuracy (Wilson): what other reviews of this kind would have made of it."""
        return wilson_interval(self.accuracy * self.n, self.n)


def settings_digest(config: RunConfig) -> str:
    """Return a name for all of a config's settings but its data and its seed."""
    training = config.training.model_copy(update={"seed": 0})
    document = [plain_document(section) for section in (config.preprocessing, config.model, training)]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def same_but_for_seed(one: RunConfig, other: RunConfig) -> bool:
    """Tell whether two configs read the same data by the same settings and differ in nothing but the seed."""
    first, second = (config.data.model_copy(update={"split_seed": None}) for config in (one, other))
    return first == second and settings_digest(one) == settings_digest(other)


def load_shipped() -> Ladder:
    """Return the shipped figures; those of presets that have changed since are left out.

    Raises:
        ReviewscopeError: The file is damaged.
    """
    return _load_shipped(SHIPPED_FILE)


@lru_cache(maxsize=4)
def _load_shipped(path: Path) -> Ladder:
    ladder = read_document(path, Ladder)
    digests = {name: settings_digest(preset_config(name)) for name in PRESETS}
    rows = tuple(row for row in ladder.rows if digests.get(row.preset) == row.settings)
    return ladder.model_copy(update={"rows": rows})


def look_up(configs: Mapping[str, RunConfig], runs: Sequence[Run], speeds: Mapping[str, float]) -> dict[str, Known]:
    """Return what is known of presets on some data; a preset of which nothing is known is left out.

    Where runs of this workspace were measured on this data, their validation accuracy tells: it may pick a model, and
    test may not. Shipped figures then stand beside them only on IMDB, of validation too. With no run, all are shipped:
    the published test figures.

    Args:
        configs: By the preset's name, its settings on that data.
        runs: Of the workspace, newest first.
        speeds: By the preset's name, reviews a second that scoring was rehearsed at here.
    """
    of_preset: dict[str, list[Run]] = {}
    for run in runs:
        with suppress(ReviewscopeError):  # damaged files tell nothing
            of_preset.setdefault(run.about.preset, []).append(run)
    known = {name: measure_here(name, config, of_preset.get(name, []), speeds) for name, config in configs.items()}
    here = {name: found for name, found in known.items() if found is not None}
    if here and any(config.data.source != "imdb" for config in configs.values()):
        return here
    shipped = list_shipped("valid" if here else "test")
    both = shipped | here
    return {name: both[name] for name in configs if name in both}


def list_shipped(split: Split) -> dict[str, Known]:
    """Return the shipped figures of the presets as they are now, of IMDB's validation or test reviews."""
    return {row.preset: _shipped(row, split) for row in load_shipped().rows}


def measure_here(preset: str, config: RunConfig, runs: Sequence[Run], speeds: Mapping[str, float]) -> Known | None:
    """Return what the finished ones of a preset's runs came to on this data; None when there is none."""
    valid, test, seconds, counts = [], [], [], []
    for run in runs:
        with suppress(ReviewscopeError):
            if run.state.status != "finished" or run.about.extensions:
                continue
            result, origin = run.result, run.origin
            if result is None or origin is None or result.valid_accuracy is None or not origin.n_valid:
                continue
            if same_but_for_seed(run.settings.config, config):
                valid.append(result.valid_accuracy)
                seconds.append(result.total_seconds + (result.teacher_seconds or 0.0))
                counts.append((origin.n_valid, origin.n_test))
                test += [] if result.test_accuracy is None else [result.test_accuracy]
    if not valid:
        return None
    return Known(
        preset, True, fmean(valid), min(n for n, _ in counts), len(valid), max(seconds),
        fmean(test) if test else None, counts[0][1], speeds.get(preset),
    )  # fmt: skip


def _shipped(row: PresetFigures, split: Split) -> Known:
    accuracy, n = (row.valid_accuracy, row.n_valid) if split == "valid" else (row.test_accuracy, row.n_test)
    return Known(
        row.preset, False, accuracy, n, row.seeds, row.seconds + (row.teacher_seconds or 0.0), row.test_accuracy,
        row.n_test, row.reviews_per_second,
    )  # fmt: skip
