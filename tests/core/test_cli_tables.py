"""``evaluate`` on any labelled table, at the command line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from core import settings

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")


def evaluate(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "core", "evaluate", "starter", "--data", str(path), *arguments, "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.fixture
def stars(tmp_path: Path) -> Path:
    path = tmp_path / "stars.csv"
    path.write_text("text,stars\na great film,5\nso so,3\nan awful film,1\ndull,2\nlovely,4\n")
    return path


def test_a_table_of_stars_is_scored_whole_once_it_is_said_how_they_are_read(stars: Path) -> None:
    done = evaluate(stars, "--label-column", "stars", "--labels", "stars")
    document = json.loads(done.stdout)
    assert done.returncode == 0 and document["n"] == 4 and document["split"] == "all"
    assert sum(document["confusion"].values()) == 4


def test_one_row_gives_dashes_with_reasons_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("text,label\na great film,positive\n")
    document = json.loads(evaluate(path).stdout)
    metrics = document["metrics"]
    assert document["n"] == 1 and metrics["accuracy"]["value"] in (0, 1)
    assert metrics["roc_auc"]["value"] is None and "both labels" in metrics["roc_auc"]["method"]
    assert metrics["log_loss"]["value"] is None and "two reviews" in metrics["log_loss"]["method"]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("text,stars\nfine,3\n", ["--label-column", "stars", "--labels", "3=left out"], "there is no review"),
        ("text,label\nfine,maybe\n", [], "1 row cannot be used"),
        ("text,label\nfine,maybe\n", ["--labels", "maybe=perhaps"], "perhaps"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_a_sentence(
    tmp_path: Path, content: str, arguments: list[str], words: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    done = evaluate(path, *arguments)
    assert done.returncode == 1 and words in done.stderr and "Traceback" not in done.stderr


def test_labels_belong_to_a_table_and_not_to_a_data_set_of_ours() -> None:
    done = evaluate(Path("demo"), "--labels", "stars")
    assert done.returncode == 1 and "--labels belongs to a table" in done.stderr
