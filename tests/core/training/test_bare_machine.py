"""The loop on a machine that has torch, numpy, pyarrow, safetensors and pydantic alone."""

import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from core import settings
from core.data.sources import to_table
from tests.texts import invent_reviews

ROOT = Path(__file__).resolve().parents[3]
BLOCKED = ("datasets", "typer", "rich", "filelock", "pandas", "sklearn", "scipy", "huggingface_hub", "streamlit")
BLOCKER = f"""
import importlib.machinery, runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name.partition(".")[0] in {BLOCKED!r} else None
    def create_module(self, spec):
        raise ModuleNotFoundError(spec.name + " is not on this machine")
    def exec_module(self, module):
        pass
sys.meta_path.insert(0, Blocker())
sys.argv = ["gpu_classic"] + sys.argv[1:]
runpy.run_module("core.training.gpu_classic", run_name="__main__")
"""


@pytest.fixture
def small_imdb(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "imdb" / "plain_text"
    folder.mkdir(parents=True)
    for seed, split in enumerate(("train", "test")):
        pq.write_table(to_table(invent_reviews(80, seed)), folder / f"{split}-00000-of-00001.parquet")
    return tmp_path / "data"


def test_training_lets_every_thread_take_denormal_numbers_for_zero() -> None:
    code = (
        "import torch; from core.training.trainer import prepare_torch; prepare_torch(0); torch.set_num_threads(2);"
        "print(int((torch.full((4_000_000,), 1e-39) * 0.5).count_nonzero()))"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "0"


def test_the_script_s_training_needs_no_other_library(small_imdb: Path, workspace: Path) -> None:
    command = [
        sys.executable,
        "-c",
        BLOCKER,
        "training.epochs=1",
        "model.hidden_size=8",
        "preprocessing.min_frequency=1",
    ]
    environment = os.environ | {settings.DATA_VARIABLE: str(small_imdb), settings.HOME_VARIABLE: str(workspace)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[-4:]]
    assert [row[:2] for row in rows] == [
        ["test", "accuracy"],
        ["train", "accuracy"],
        ["test", "loss"],
        ["train", "loss"],
    ]
    assert [row[3] for row in rows] == ["0.8519", "0.8884", "0.3822", "0.2845"]
