"""Real kills at random moments of a run's life: each resumes to the end of a run that was never killed."""

import csv
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core import settings
from tests.texts import invent_reviews

ROOT = Path(__file__).resolve().parents[3]
PRESETS = {
    "fast": ["model.bucket_bits=14", "model.min_reviews=1", "training.epochs=60", "training.batch_size=16"],
    "compact": ["model.hidden_size=8", "model.embedding_dim=8", "training.epochs=12", "training.patience=null"],
}
KILLS = 12


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path, reviews = tmp_path / "reviews.csv", invent_reviews(400)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *zip(reviews.texts.to_pylist(), reviews.labels, strict=True)])
    return path


def start(*arguments: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "core", *arguments, "--json"]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: "subprocess.Popen[str]") -> dict[str, Any]:
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    document: dict[str, Any] = json.loads(out.splitlines()[-1])
    return document


def history(name: str) -> list[dict[str, float]]:
    lines = (settings.home() / "runs" / name / "metrics.jsonl").read_text().splitlines()
    kept = [json.loads(line) for line in lines]
    return [{key: value for key, value in line.items() if key not in ("time", "reviews_per_second")} for line in kept]


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
def test_runs_killed_at_random_moments_resume_to_the_same_weights_and_history(preset: str, table: Path) -> None:
    draw = random.Random(7)
    assignments = [word for setting in PRESETS[preset] for word in ("--set", setting)]
    arguments = [
        "train",
        "--preset",
        preset,
        "--data",
        str(table),
        *assignments,
        "--set",
        "preprocessing.min_frequency=1",
    ]
    began = time.monotonic()
    whole = finish(start(*arguments, "--name", "whole"))
    seconds = time.monotonic() - began
    equal = 0
    for number in range(KILLS):
        name = f"killed{number}"
        process = start(*arguments, "--name", name)
        while not (settings.home() / "runs" / name / "state.json").exists():
            time.sleep(0.01)
        time.sleep(draw.random() * seconds * 0.7)
        process.kill()
        process.communicate()
        resumed = finish(start("resume", name))
        equal += resumed["model_sha256"] == whole["model_sha256"] and history(name) == history("whole")
    print(f"points={KILLS} equal={equal}")
    assert equal == KILLS
