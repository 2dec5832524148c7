"""Presets of some hundred numbers in place of the real ones, so that what is made of presets takes tenths of seconds."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.config import (
    PRESETS,
    BiLSTMConfig,
    EnsembleConfig,
    ModelConfig,
    NgramConfig,
    PreprocessingConfig,
    Preset,
    RunConfig,
    TrainingConfig,
    on_same_data,
    with_data,
)
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.runs import Run
from core.training.members import TrainingData
from core.training.watcher import Watcher
from tests.core.training.kill_points import write_table

SMALL_NGRAM = NgramConfig(bucket_bits=12, min_reviews=1)
SMALL_LSTM = BiLSTMConfig(embedding_dim=6, hidden_size=5, num_layers=1, dropout=0.3, pooling="max")
MODELS: dict[str, ModelConfig] = {
    "fast": SMALL_NGRAM,
    "compact": SMALL_LSTM,
    "strong": EnsembleConfig(members=("fast", "compact")),
    "distilled": SMALL_NGRAM,
}


def put_small_presets(patch: pytest.MonkeyPatch) -> None:
    """Make the presets small while a test runs."""
    for name, model in MODELS.items():
        settings = {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "best_by": "loss"}
        teacher = {"teacher": "strong"} if name == "distilled" else {}
        training = TrainingConfig.model_validate({**settings, **teacher})
        config = RunConfig(preprocessing=PreprocessingConfig(min_frequency=1), model=model, training=training)
        patch.setitem(PRESETS, name, Preset("Small.", config))  # type: ignore[arg-type]


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make the presets small, and give a table of a hundred reviews, some labels of which are wrong."""
    put_small_presets(monkeypatch)
    yield write_table(tmp_path / "reviews.csv", noisy=True)


def preset_on(preset: str, table: Path, seed: int = 0) -> RunConfig:
    """Return a preset's settings for a table."""
    config = with_data(RunConfig(), str(table), "text", "label")
    config = config.model_copy(update={"data": config.data.model_copy(update={"validation_fraction": 0.3})})
    config = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
    return on_same_data(preset, config)


def read_data(config: RunConfig) -> TrainingData:
    """Return the data of a config."""
    splits = load_columns(config.data)
    return TrainingData(splits["train"], splits["test"], fingerprint(splits))


class Killed(Exception):
    """Stands for the process's sudden death."""


@dataclass
class Calls:
    """Counts what a watcher is told; at one of these calls it kills, from another on it asks to stop."""

    kill_at: int = -1
    stop_in: str = "\0"
    count: int = 0
    phases: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def watcher(self) -> Watcher:
        return Watcher(
            on_phase=lambda phase, total: self._note(phase),
            on_notice=self.notices.append,
            on_progress=lambda done: self._note(""),
            should_stop=lambda: any(self.stop_in in phase for phase in self.phases),
        )

    def _note(self, phase: str) -> None:
        self.count += 1
        self.phases += [phase] if phase else []
        if self.count == self.kill_at:
            raise Killed


def model_bytes(run: Run) -> bytes:
    """Return a run's model file."""
    return run.model_file.read_bytes()
