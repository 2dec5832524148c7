"""Reviewscope's core: train, evaluate and use sentiment models, without a screen.

The public names load on first use, so that ``import core`` costs nothing.
"""

import importlib
from typing import Any

_HOMES = {
    "train": "core.training.job",
    "load_model": "core.prediction.predictor",
    "predict_sentiment": "core.prediction.predictor",
    "Predictor": "core.prediction.predictor",
}
__all__ = ["Predictor", "load_model", "predict_sentiment", "train"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'core' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
