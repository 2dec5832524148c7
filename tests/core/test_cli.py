"""The command line as a user or a worker calls it: in processes of its own."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core import settings
from core.config import preset_config, with_data
from core.files import write_json
from core.model_settings import settings_file
from core.models.model_file import load_model_file
from core.runs import find_run
from tests.texts import invent_reviews

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--set", "model.bucket_bits=14", "--set", "model.min_reviews=1", "--set", "preprocessing.min_frequency=1"]
TRAIN_KEYS = {
    "run_id", "status", "parameters", "train_accuracy", "train_loss", "valid_accuracy", "valid_loss", "train_seconds",
    "total_seconds", "peak_memory_mb", "model_sha256",
}  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a labelled table of invented reviews."""
    path = tmp_path_factory.mktemp("table") / "reviews.csv"
    reviews = invent_reviews(400)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "what they wrote"])
        names = ("neg", "Positive")
        writer.writerows(zip((names[label] for label in reviews.labels), reviews.texts.to_pylist(), strict=True))
    return path


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "core", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(*arguments: str | Path) -> dict[str, Any]:
    process = start(*arguments, "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    document: dict[str, Any] = json.loads(out.splitlines()[-1])
    return document


def fail(*arguments: str | Path) -> str:
    process = start(*arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, (out, err)
    assert len(err.splitlines()) == 1 and "Traceback" not in err, err
    return err


@pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
def test_an_evaluation_tells_how_the_scores_go_with_the_stars() -> None:
    from core.data.ratings import load_ratings
    from core.evaluation.intensity import spearman
    from core.prediction.evaluating import evaluation_folder, load_results

    document = run("evaluate", "starter", "--data", "demo")
    folder = evaluation_folder(document["model_sha256"], document["data_fingerprint"], "test")
    stars = load_ratings(with_data(preset_config("fast"), "demo"), "test")
    found = spearman(load_results(folder / "results.parquet").logits, stars)
    intensity = document["intensity"]
    assert (intensity["spearman"], intensity["low"], intensity["high"]) == (found.value, found.low, found.high)
    assert intensity["n"] == 1_200


def test_a_table_is_trained_on_evaluated_and_predicted_with(table: Path, tmp_path: Path) -> None:
    trained = run("train", "--data", table, "--text-column", "what they wrote", "--test", *SMALL)
    assert TRAIN_KEYS | {"test_accuracy", "test_loss"} <= set(trained)
    assert trained["status"] == "finished" and trained["test_accuracy"] > 0.9

    evaluated = run("evaluate", "latest", "--split", "test")
    assert evaluated["n"] == 80 == sum(evaluated["confusion"].values())
    assert evaluated["metrics"]["accuracy"]["value"] == trained["test_accuracy"]
    for metric in ("accuracy", "precision", "recall", "f1", "roc_auc", "average_precision", "log_loss", "brier", "ece"):
        assert set(evaluated["metrics"][metric]) == {"value", "low", "high", "method"}
    assert evaluated["ece_before"] == evaluated["metrics"]["ece"]["value"]
    assert evaluated["ece_after"] is not None and evaluated["ece_after_reason"] is None
    assert 0.05 <= evaluated["temperature"] <= 20
    assert [(point["coverage"], point["n"]) for point in evaluated["risk_coverage"]][::9] == [(0.1, 8), (1.0, 80)]
    assert evaluated["risk_coverage"][-1]["accuracy"] == trained["test_accuracy"]
    lines = start("evaluate", "latest", "--split", "test").communicate(timeout=60)[0].splitlines()
    assert any(line.startswith("temperature") and line.endswith("fitted on validation") for line in lines)
    assert any(line.startswith("risk_coverage") and "% of the surest 80 %" in line for line in lines)
    assert "intensity" not in evaluated, "the table has no stars"
    assert run("evaluate", trained["run_id"], "--split", "valid")["n"] == 32
    report = tmp_path / "report.html"
    assert run("evaluate", "latest", "--report", report)["report"] == str(report)
    assert "Where latest is right and wrong" in report.read_text()
    assert "a name that ends in .html" in fail("evaluate", "latest", "--report", tmp_path / "report.pdf")

    verdicts = run("predict", "latest", "A superb, tender film!", "Dull and tedious.")["predictions"]
    assert [verdict["sentiment"] for verdict in verdicts] == ["Positive", "Negative"]
    scored = run("predict", trained["run_id"], "--input", table, "--output", tmp_path / "scored.csv")
    assert (scored["rows"], scored["predicted"], scored["rejected"]) == (400, 400, 0)
    assert {"seconds", "rejects_file"} <= set(scored)

    exported = tmp_path / "model.safetensors"
    start("export", "latest", exported).communicate(timeout=60)
    imported = run("import", exported)["id"]
    assert imported == trained["model_sha256"]
    for reference in (exported, imported, imported[:8]):
        again = run("predict", reference, "A superb, tender film!")["predictions"][0]
        assert again == verdicts[0]
    assert run("resume", "latest") == trained
    assert [each["run_id"] for each in run("runs")["runs"]] == [trained["run_id"]]


def test_two_runs_with_the_same_seed_agree_in_everything_but_times(table: Path) -> None:
    documents = [run("train", "--data", table, "--text-column", "what they wrote", *SMALL) for _ in range(2)]
    differing = {key for key in documents[0] if documents[0][key] != documents[1][key]}
    assert differing <= {"run_id", "train_seconds", "total_seconds", "peak_memory_mb"}


def wait_for_steps(process: "subprocess.Popen[str]", run_id: str, steps: int) -> None:
    deadline = time.monotonic() + 60
    history = settings.home() / "runs" / run_id / "metrics.jsonl"
    while not history.exists() or history.read_bytes().count(b'"loss"') < steps:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)


LONG = ["--set", "training.epochs=1000", "--set", "training.batch_size=8", "--name", "long"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_being_asked_to_stop_keeps_the_best_so_far(table: Path, number: signal.Signals) -> None:
    process = start("train", "--data", table, "--text-column", "what they wrote", *SMALL, *LONG, "--json")
    wait_for_steps(process, "long", 60)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert json.loads(out.splitlines()[-1])["status"] == "stopped"
    assert find_run("long").model_file.exists()


def test_a_killed_run_is_interrupted_and_resumes_to_the_end_of_one_never_killed(table: Path) -> None:
    arguments = ["train", "--data", table, "--text-column", "what they wrote", *SMALL, "--set", "training.epochs=40"]
    process = start(*arguments, "--name", "killed")
    wait_for_steps(process, "killed", 20)
    process.kill()
    process.wait()
    assert run("runs")["runs"][0]["status"] == "interrupted"
    resumed, whole = run("resume", "killed"), run(*arguments)
    assert resumed["model_sha256"] == whole["model_sha256"]
    assert resumed["valid_accuracy"] == whole["valid_accuracy"] and resumed["train_loss"] == whole["train_loss"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "--preset", "nothing"], "no preset 'nothing'. Choose one of: fast, "),
        (["train", "--set", "training.epochs=0"], "training.epochs: Input should be greater than or equal to 1"),
        (["train", "--set", "training.speed=3"], "no setting 'training.speed'. Known: data.source"),
        (["train", "--data", "missing.csv"], "missing.csv"),
        (["train", "--data", "demo", "--text-column", "x"], "belong to a table"),
        (["train", "--set", "model.kind=mamba"], "Settings out of bounds: model: Input tag 'mamba'"),
        (["train", "--set", "data.path=/etc/passwd"], "choose the data with --data"),
        (["train", "--set", 'data.label_map={"1": "negative"}'], "choose the data with --data"),
        (["train", "--data", "demo", "--labels", "stars"], "--labels belongs to a table; demo has its own"),
        (["data", "missing.csv", "--labels", "stars"], "missing.csv"),
        (["data", "missing.csv", "--labels", "1=good"], "expected one of negative, positive, left out"),
        (["predict", "starter", "text", "--strict"], "belong to a table"),
        (["predict", "starter", " "], "TEXT 1 is empty"),
        (["predict", "starter", "--input", "x.csv", "--output", ""], "with --input and --output"),
        (["train", "--nothing"], "No such option"),
        (["resume", "nothing"], "There is no run 'nothing'"),
        (["evaluate", "starter"], "name the data with --data"),
        (["evaluate", "starter", "--data", "demo", "--split", "valid"], "The split valid belongs to a run"),
        (["predict", "starter"], "Give either one or more TEXTs"),
        (["predict", "starter", "--input", "missing.csv", "--output", "out.csv"], "missing.csv"),
        (["predict", "missing.safetensors", "text"], "there is no such file"),
        (["predict", "best_sentiment_model.pth", "text"], ".pth files can run code"),
        (["import", "missing.safetensors"], "there is no such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_one_sentence_and_exit_code_1(arguments: list[str], words: str) -> None:
    assert words in fail(*arguments)


def test_without_folder_and_network_imdb_is_refused_with_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    began = time.monotonic()
    sentence = fail("train", "--data", "imdb")
    assert settings.DATA_VARIABLE in sentence and "--data demo" in sentence
    assert time.monotonic() - began < 20


def test_a_table_with_an_odd_label_names_the_first_such_row(tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("text,label\n" + "good,1\nbad,0\n" * 20 + "hm,maybe\nshort\n")
    sentence = fail("train", "--data", path)
    assert "2 rows cannot be used" in sentence and "line 42: the label 'maybe'" in sentence


@pytest.mark.slow
def test_stars_are_trained_on_once_their_labels_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "stars.csv"
    reviews = invent_reviews(200)
    stars = [(1, 5)[label] if row % 5 else 3 for row, label in enumerate(reviews.labels)]
    lines = [f"{text},{star}\n" for text, star in zip(reviews.texts.to_pylist(), stars, strict=True)]
    path.write_text("text,stars\n" + "".join(lines))
    table = ["--label-column", "stars"]
    assert "look like stars: pass --labels stars" in fail("train", "--data", path, *table)
    by_name, by_hand = (
        run("data", path, *table, "--labels", given) for given in ("stars", "1=negative,3=left out,5=positive")
    )
    assert by_name["splits"] == {"train": {"n": 128, "positive": 64}, "test": {"n": 32, "positive": 16}}
    assert by_name == by_hand
    trained = run("train", "--data", path, *table, "--labels", "stars", "--test", *SMALL)
    assert trained["test_accuracy"] > 0.9
    assert find_run(trained["run_id"]).settings.config.data.label_map == {
        "1": "negative", "3": "left out", "5": "positive",
    }  # fmt: skip
    assert run("evaluate", "latest", "--split", "test")["n"] == 32


def test_data_tells_lengths_duplicates_and_words(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("text,label\n" + "good film,1\nbad film,0\n" * 30)
    document = run("data", path, "--preset", "classic")
    assert document["splits"]["train"] == {"n": 48, "positive": 24}
    assert document["duplicates"]["train_test"] == 12 and document["duplicates"]["within"]["train"]["repeated"] == 2
    assert document["empty"] == {"train": 0, "valid": 0, "test": 0}
    assert document["lengths"]["test"] == {"median": 2, "p90": 2, "p99": 2, "longest": 2, "cut": 0}
    assert document["words"]["frequent"]["film"] == 44
    leaning = {word["word"]: word["log_odds"] > 0 for word in document["words"]["one_sided"]}
    assert leaning["good"] and not leaning["bad"]
    out, _ = start("data", path).communicate(timeout=60)
    assert "12 of test also in train" in out and "more in positive  good" in out and "positive: good film" in out


def test_predict_follows_and_tells_the_threshold_set_for_the_model() -> None:
    usual = run("predict", "starter", "It was okay, nothing special.")
    verdict = usual["predictions"][0]
    assert usual["threshold"] == 0.5 and verdict["sentiment"] == "Negative" and not verdict["not_sure"]
    model = settings_file(load_model_file(settings.STARTER_FILE).sha256)
    chosen = {"threshold": 0.05, "unsure_low": 0.05, "unsure_high": 0.9, "chosen_by": "hand", "n": 9}
    write_json(model, chosen)
    moved = run("predict", "starter", "It was okay, nothing special.")
    assert moved["threshold"] == 0.05 and moved["unsure_high"] == 0.9
    assert moved["predictions"][0] == {
        "sentiment": "Positive", "probability": verdict["probability"], "confidence": verdict["probability"],
        "not_sure": True,
    }  # fmt: skip
    said = start("predict", "starter", "It was okay, nothing special.").communicate()[0]
    assert "(not sure)" in said and "Set for this model: threshold 0.05, not sure from 0.05 to 0.90." in said
    model.write_text("{")
    written, complained = start("predict", "starter", "It was okay, nothing special.").communicate()
    assert written.startswith("Negative") and "0.50 is used instead" in complained


def test_describe_tells_the_script_s_layers() -> None:
    document = run("describe", "--preset", "classic")
    assert document["parameters"] == 3_648_257 and len(document["layers"]) == 4


def test_the_commands_of_the_readme_exist() -> None:
    commands = re.findall(r"python -m core ([a-z-]+)", (ROOT / "README.md").read_text())
    out, _ = start("--help").communicate(timeout=60)
    assert commands and set(commands) <= set(re.findall(r"^  ([a-z-]+)", out, re.MULTILINE))


def test_training_from_the_real_data_reaches_what_the_readme_says(imdb_folder: Path) -> None:
    document = run("train", "--preset", "fast", "--data", "imdb", "--test")
    assert document["test_accuracy"] >= 0.915
    assert document["peak_memory_mb"] <= 4_000


def test_the_starter_reaches_its_card_on_the_real_test_split(imdb_folder: Path) -> None:
    document = run("evaluate", "starter", "--data", "imdb", "--split", "test")
    accuracy = document["metrics"]["accuracy"]["value"]
    assert document["n"] == 25_000 and accuracy >= 0.915
    card = (ROOT / "core" / "starter" / "MODEL_CARD.md").read_text()
    assert f"| Accuracy | {accuracy:.4f} |" in card and document["model_sha256"] in card
    assert document["ece_after"] <= document["ece_before"] + 0.005
    assert f"{document['ece_before']:.4f} of the probabilities as they are and {document['ece_after']:.4f}" in card
    assert f"| temperature | {document['temperature']:.4f}, fitted" in card


def test_the_real_data_s_profile_is_told_at_once(imdb_folder: Path) -> None:
    began = time.monotonic()
    document = run("data", "imdb")
    assert document["duplicates"]["train_test"] == 123
    assert document["splits"]["train"] == {"n": 25_000, "positive": 12_500}
    assert time.monotonic() - began < 40


def test_no_command_of_the_workspace_leaves_it(tmp_path: Path) -> None:
    before = set(ROOT.iterdir())
    run("runs")
    assert set(ROOT.iterdir()) == before and os.environ[settings.HOME_VARIABLE].startswith(str(tmp_path))
