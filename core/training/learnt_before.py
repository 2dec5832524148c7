"""Which settings' pretraining is kept already, told without reading any data: for forecasts, and without torch."""

import hashlib
import os
from pathlib import Path

from core import settings
from core.config import RunConfig
from core.errors import ReviewscopeError
from core.files import read_json, write_json


def mark_learnt(config: RunConfig, result: Path) -> None:
    """Note where what a config starts from is kept."""
    write_json(_mark(config), {"result": str(result.relative_to(_folder()))})


def is_learnt(config: RunConfig) -> bool:
    """Tell whether what a config starts from is kept, so that a run with it need not learn it again.

    One that was learnt by settings that differ in something that it does not depend on is not found.
    """
    try:
        return (_folder() / str(read_json(_mark(config))["result"])).exists()
    except (ReviewscopeError, OSError, KeyError, TypeError):
        return False


def _folder() -> Path:
    return settings.home() / "cache" / "pretraining"


def _mark(config: RunConfig) -> Path:
    files = [path for path in (config.data.path, getattr(config.model, "vectors_path", None)) if path]
    changed = [os.stat(path).st_mtime_ns for path in files if os.path.exists(path)]
    sections = config.data.model_dump_json(), config.preprocessing.model_dump_json(), config.model.model_dump_json()
    content = f"{sections} {config.training.seed} {config.split_seed} {changed}"
    return _folder() / "known" / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}.json"
