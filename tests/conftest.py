"""What every test gets: a workspace of its own, no network, and the real data only where it is."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

from core import settings


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give the test an empty REVIEWSCOPE_HOME."""
    home = tmp_path / "workspace"
    monkeypatch.setenv(settings.HOME_VARIABLE, str(home))
    yield home
    if "torch" in sys.modules:
        # Training in this process flushes denormal numbers, which Hypothesis rightly refuses to draw floats under.
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def imdb_folder() -> Path:
    """Return the folder with the real IMDB data, or skip the test."""
    folder = settings.data_folder()
    if folder is None or not (folder / "imdb" / "plain_text").is_dir():
        pytest.skip(f"{settings.DATA_VARIABLE} does not name a folder with imdb/plain_text/*.parquet")
    return folder
