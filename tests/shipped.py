"""Figures as they are shipped, and runs that have come to some: made up, for tests."""

import json
from pathlib import Path
from typing import Any

from core.config import RunConfig, preset_config
from core.model_figures import PresetFigures, settings_digest
from core.runs import Run, RunOrigin, RunResult, create_run


def make_row(preset: str, **changes: Any) -> PresetFigures:
    """Return a preset's row: 0.9 on 2,500 validation reviews, 0.91 on 25,000 of test, 60 s."""
    values: dict[str, Any] = {
        "preset": preset, "settings": settings_digest(preset_config(preset)), "seeds": 3, "parameters": 1_000,
        "valid_accuracy": 0.9, "n_valid": 2_500, "test_accuracy": 0.91, "test_low": 0.9, "test_high": 0.92,
        "n_test": 25_000, "seconds": 60.0,
    }  # fmt: skip
    return PresetFigures.model_validate(values | changes)


def write_shipped(path: Path, *rows: PresetFigures) -> Path:
    """Write a file of shipped figures."""
    document = {"machine": "a machine", "date": "2026-11-25", "rows": [row.model_dump() for row in rows]}
    path.write_text(json.dumps(document))
    return path


def finish(config: RunConfig, preset: str, valid: float | None, test: float | None = None, seconds: float = 5.0) -> Run:
    """Return a run that has ended with these figures, without any training."""
    run = create_run(config, preset)
    result = RunResult(
        parameters=1, train_accuracy=0.9, train_loss=0.1, valid_accuracy=valid, valid_loss=0.3, best_epoch=1, epochs=1,
        train_seconds=1.0, total_seconds=seconds, peak_memory_mb=1.0, model_sha256="0" * 64, test_accuracy=test,
    )  # fmt: skip
    origin = RunOrigin(data_fingerprint="f", libraries={}, device="cpu", threads=2, n_train=900, n_valid=100, n_test=50)
    run.save_result(result)
    run.save_origin(origin)
    run.save_state("finished")
    return run
