"""``make bench-peers``: our presets beside what people would use instead, in one run on the real data.

Peers get the whole training split; ``fast`` holds a tenth of it back for validation. Times are wall-clock on this
machine and wander with its load: read the ratios. Arguments: trained models to score beside them (a run's id in this
workspace, or a file), and ``--steps``, which adds the LSTM's training and scoring against loops that pad.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from core import settings
from core.config import DataConfig, preset_config
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import load_columns
from core.errors import ReviewscopeError
from core.prediction.predictor import Predictor
from core.runs import create_run, find_model
from core.training.trainer import train_model
from core.training.watcher import Watcher
from tests.benchmarks.file_to_file import clean

STEP_ROUNDS = 3
FILE_ROUNDS = 3
STEP_WAYS = {
    "classic": "classic (this project)",
    "padded": "padded to 256, as anybody would write it",
    "padded-flushed": "padded to 256, denormals flushed",
}


@dataclass(frozen=True)
class Scorer:
    """A trained peer.

    Attributes:
        train_seconds: None for a model that came trained.
        is_positive: Texts (N) to verdicts, bool (N).
        command: From a table and a name for the result to what scores it in a process of its own.
    """

    name: str
    train_seconds: float | None
    is_positive: Callable[[list[str]], NDArray[np.bool_]]
    command: Callable[[Path, Path], list[str]]


@dataclass(frozen=True)
class Row:
    """What one peer came to."""

    name: str
    accuracy: float
    train_seconds: float | None
    reviews_per_second: float


def main(arguments: list[str]) -> None:
    """Print all comparisons."""
    if settings.data_folder() is None:
        raise SystemExit(f"Set {settings.DATA_VARIABLE} to a folder that holds imdb/plain_text/*.parquet.")
    try:
        models = {name: find_model(name).resolve() for name in arguments if name != "--steps"}
    except ReviewscopeError as error:
        raise SystemExit(str(error)) from error
    splits = load_columns(DataConfig())
    with tempfile.TemporaryDirectory() as home:
        os.environ[settings.HOME_VARIABLE] = home
        scorers = [train(splits, Path(home)) for train in (train_fast, train_tfidf, train_fasttext)]
        scorers += [trained_scorer(name, path) for name, path in models.items()]
        compare_accuracy_and_speed(scorers, splits["test"])
        compare_files(scorers, splits, Path(home))
    if "--steps" in arguments:
        compare_training_steps()
        subprocess.run([sys.executable, "-m", "tests.benchmarks.lstm_scoring"], check=True)


def compare_accuracy_and_speed(scorers: list[Scorer], test: LabelledTexts) -> None:
    """Score the test split with each peer in this process, print a row, and say what `fast` is ahead of."""
    texts, labels = test.texts.to_pylist(), test.labels == 1
    print(f"{'':<34}{'test accuracy':>14}{'train s':>10}{'ratio':>8}{'reviews/s':>12}{'ratio':>8}")
    rows: list[Row] = []
    for scorer in scorers:
        scorer.is_positive(texts[:1000])
        began = time.perf_counter()
        verdicts = scorer.is_positive(texts)
        speed = len(texts) / (time.perf_counter() - began)
        row = Row(scorer.name, float((verdicts == labels).mean()), scorer.train_seconds, speed)
        rows.append(row)
        seconds = "–" if row.train_seconds is None else f"{row.train_seconds:.1f}"
        longer = "–" if row.train_seconds is None else f"{row.train_seconds / (rows[0].train_seconds or 1):.2f}"
        print(
            f"{row.name:<34}{row.accuracy:>14.4f}{seconds:>10}{longer:>8}{speed:>12,.0f}"
            f"{speed / rows[0].reviews_per_second:>8.2f}"
        )
    for row in rows[1:]:
        if row.train_seconds is not None:  # our own ones came trained
            print(verdict_on(rows[0], row))


def verdict_on(ours: Row, theirs: Row) -> str:
    """Say in what a peer is behind: accuracy, training time and scoring speed."""
    points = 100 * (ours.accuracy - theirs.accuracy)
    said = [f"accuracy {'ahead' if points > 0 else 'NOT ahead'} ({points:+.2f} points)"]
    if ours.train_seconds and theirs.train_seconds:
        times = theirs.train_seconds / ours.train_seconds
        said.append(f"training {'ahead' if times > 1 else 'NOT ahead'} ({times:.2f} times as fast)")
    times = ours.reviews_per_second / theirs.reviews_per_second
    said.append(f"scoring {'ahead' if times > 1 else 'NOT ahead'} ({times:.2f} times as fast)")
    return f"{ours.name} against {theirs.name}: {', '.join(said)}."


def compare_files(scorers: list[Scorer], splits: dict[str, LabelledTexts], folder: Path) -> None:
    """Score all reviews from CSV file to CSV file, in processes of their own, in turn; starts and loading count."""
    source, target = folder / "reviews.csv", folder / "scored.csv"
    count = 0
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text"])
        for split in splits.values():
            for text in split.texts.to_pylist():
                writer.writerow([count, text])
                count += 1
    seconds: dict[str, list[float]] = {scorer.name: [] for scorer in scorers}
    for _ in range(FILE_ROUNDS):
        for scorer in scorers:
            began = time.perf_counter()
            subprocess.run(scorer.command(source, target), check=True, stdout=subprocess.DEVNULL)
            seconds[scorer.name].append(time.perf_counter() - began)
    ours = seconds[scorers[0].name]
    print(f"\n{f'{count:,} full-length reviews, file to file':<46}{'reviews/s':>10}{'fast is faster by':>22}")
    for name, taken in seconds.items():
        ratios = [their / our for our, their in zip(ours, taken, strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{name:<46}{count / median(taken):>10,.0f}{spread:>22}")


def train_fast(splits: dict[str, LabelledTexts], _: Path) -> Scorer:
    """Train our preset, texts to model file."""
    config = preset_config("fast")
    run = create_run(config, "fast")
    data_fingerprint = fingerprint(splits)
    began = time.perf_counter()
    train_model(run, config, splits["train"], data_fingerprint, Watcher())
    seconds = time.perf_counter() - began
    predictor = Predictor.load(run.model_file)
    return Scorer(
        "Reviewscope fast",
        seconds,
        lambda texts: predictor.predict(texts).logits > 0,
        lambda source, target: [
            sys.executable, "-m", "core", "predict", run.run_id,
            "--text-column", "text", "--input", str(source), "--output", str(target),
        ],
    )  # fmt: skip


def trained_scorer(name: str, path: Path) -> Scorer:
    """Return one of our own models that came trained."""
    predictor = Predictor.load(path)
    return Scorer(
        f"Reviewscope {name}"[:32],
        None,
        lambda texts: predictor.predict(texts).logits > 0,
        lambda source, target: [
            sys.executable, "-m", "core", "predict", str(path),
            "--text-column", "text", "--input", str(source), "--output", str(target),
        ],
    )  # fmt: skip


def train_tfidf(splits: dict[str, LabelledTexts], folder: Path) -> Scorer:
    """Train scikit-learn's usual answer: TF-IDF of words and pairs, logistic regression."""
    import joblib
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=10.0, max_iter=200)
    )
    began = time.perf_counter()
    pipeline.fit(splits["train"].texts.to_pylist(), splits["train"].labels)
    seconds, kept = time.perf_counter() - began, folder / "tfidf.joblib"
    joblib.dump(pipeline, kept)
    return Scorer(
        "scikit-learn TF-IDF(1,2) + LR",
        seconds,
        lambda texts: pipeline.predict(texts) == 1,
        lambda source, target: file_to_file("sklearn", kept, source, target),
    )


def train_fasttext(splits: dict[str, LabelledTexts], folder: Path) -> Scorer:
    """Train fastText's classifier on words, pairs and triples, cleaned as its tutorial does."""
    import fasttext

    began = time.perf_counter()
    path, kept = folder / "train.txt", folder / "fasttext.bin"
    train = splits["train"]
    order = np.random.default_rng(0).permutation(len(train))
    texts = train.texts.to_pylist()
    path.write_text("".join(f"__label__{train.labels[row]} {clean(texts[row])}\n" for row in order))
    model = fasttext.train_supervised(str(path), wordNgrams=3, epoch=10, lr=0.5, thread=os.cpu_count(), verbose=0)
    seconds = time.perf_counter() - began
    model.save_model(str(kept))
    return Scorer(
        "fastText, n-grams to 3",
        seconds,
        lambda texts: np.array([label[0] == "__label__1" for label in model.predict([clean(t) for t in texts])[0]]),
        lambda source, target: file_to_file("fasttext", kept, source, target),
    )


def file_to_file(peer: str, kept: Path, source: Path, target: Path) -> list[str]:
    """Return the command that scores a table with a peer."""
    return [sys.executable, "-m", "tests.benchmarks.file_to_file", peer, str(kept), str(source), str(target)]


def compare_training_steps() -> None:
    """Time training steps in processes of their own, in turn, and print the ratios to ``classic``."""
    speeds: dict[str, list[float]] = {way: [] for way in STEP_WAYS}
    for _ in range(STEP_ROUNDS):
        for way in STEP_WAYS:
            command = [sys.executable, "-m", "tests.benchmarks.lstm_step", way]
            speeds[way].append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    print(f"\n{'training step of the LSTM, batch 64':<46}{'reviews/s':>10}{'classic is faster by':>22}")
    for way, title in STEP_WAYS.items():
        ratios = [ours / theirs for ours, theirs in zip(speeds["classic"], speeds[way], strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"{title:<46}{median(speeds[way]):>10.1f}{spread:>22}")


if __name__ == "__main__":
    main(sys.argv[1:])
