"""``python -m tests.benchmarks.expected_accuracy [MODEL ...]``: the accuracy expected without labels against the real.

Each model (the starter by default; one trained on IMDB) scores IMDB's test reviews as they are, and sets made from
them: short ones (those of at most 60 words; the first and the last 25 words of all), misspelt ones without punctuation
and capitals, and subsets by topic; then the demo corpus, and invented German reviews. Thresholds of the light were
chosen on the same sets made from validation (``--valid``). Where the error exceeds 3 points the light must not be green.
Needs REVIEWSCOPE_DATA. ``--snippets FOLDER`` adds VADER's sets (Hutto & Gilbert 2014): lines of number, mean rating and
text in ``*_GroundTruth.txt``; those rated within 0.5 of neutral are left out.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.config import DataConfig, RunConfig
from core.data.demo import generate_reviews
from core.data.labelled import LabelledTexts
from core.data.sources import choose_split, load_columns
from core.errors import ReviewscopeError
from core.evaluation.perturbations import perturb
from core.prediction.fit import MOST_TEXTS, expect_accuracy, look_at_fit
from core.prediction.predictor import Predictor
from core.wording import interval_text, percent

LARGEST_ERROR = 0.03
TOPICS = {
    "documentary": r"\bdocumentar", "horror": r"\bhorror\b", "comedy": r"\bcomedy\b", "series": r"\b(episode|season)s?\b",
    "book": r"\b(novel|book)s?\b", "children": r"\b(kids|children|cartoon)\b", "war": r"\bwar\b",
}  # fmt: skip
GOOD = ("wunderbar", "sehr gut", "spannend", "schön und klug", "ein Vergnügen")
BAD = ("langweilig", "sehr schlecht", "eine Enttäuschung", "dumm und laut", "zu lang")
THINGS = ("Die Musik", "Der Film", "Das Ende", "Die Handlung", "Das Spiel der beiden")


def main() -> None:
    """Print a table a model and whether the limit is kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=["starter"])
    parser.add_argument(
        "--valid", action="store_true", help="make the sets from validation, which thresholds are chosen on"
    )
    parser.add_argument("--snippets", type=Path, help="a folder of VADER's sets")
    asked = parser.parse_args()
    splits = load_columns(DataConfig())
    rows = choose_split(splits, "valid", RunConfig()) if asked.valid else splits["test"]
    sets = dict(make_sets(rows)) | (dict(read_snippets(asked.snippets)) if asked.snippets else {})
    is_kept = True
    for model in asked.models:
        is_kept &= print_table(Predictor.load(model), model, sets)
    print(
        f"\nWhere the error exceeds {100 * LARGEST_ERROR:.0f} points the light is {'never' if is_kept else 'also'} green."
    )
    sys.exit(not is_kept)


def make_sets(rows: LabelledTexts) -> Iterator[tuple[str, LabelledTexts]]:
    """Give the sets by name."""
    yield "as they are", rows
    words = pc.list_value_length(pc.split_pattern_regex(rows.texts, r"\s+")).to_numpy()
    yield "at most 60 words", rows.take(np.flatnonzero(words <= 60))
    yield "the first 25 words", change(rows, lambda text, _: " ".join(plain_words(text)[:25]))
    yield "the last 25 words", change(rows, lambda text, _: " ".join(plain_words(text)[-25:]))
    yield "noisy", change(rows, lambda text, row: make_noisy(text, row, 3))
    yield "very noisy", change(rows, lambda text, row: make_noisy(text, row, 8))
    for name, pattern in TOPICS.items():
        holds = pc.match_substring_regex(rows.texts, pattern, ignore_case=True)
        yield f"topic: {name}", rows.take(np.flatnonzero(holds.to_numpy(zero_copy_only=False)))
    demo = [review for reviews in generate_reviews().values() for review in reviews]
    yield "demo corpus", as_set([review.text for review in demo], [review.true_label for review in demo])
    draw = np.random.default_rng(0)
    labels = np.arange(400) % 2
    yield "invented German", as_set([invent_german(bool(label), draw) for label in labels], labels.tolist())


def read_snippets(folder: Path) -> Iterator[tuple[str, LabelledTexts]]:
    """Give VADER's sets by name."""
    for path in sorted(folder.glob("*_GroundTruth.txt")):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found = [(float(parts[1]), parts[2]) for line in lines if len(parts := line.split("\t")) > 2]
        clear = [(rating, text) for rating, text in found if abs(rating) >= 0.5]
        yield path.name.removesuffix("_GroundTruth.txt"), as_set([t for _, t in clear], [int(r > 0) for r, _ in clear])


def print_table(predictor: Predictor, name: str, sets: dict[str, LabelledTexts]) -> bool:
    """Print expected and real accuracy of each set; return whether no green light stands beside a large error."""
    print(
        f"\n{name}\n| set | n | expected | real | error | light | because |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    is_kept = True
    for title, rows in sets.items():
        logits = predictor.predict(rows.texts).logits
        sample = np.sort(np.random.default_rng(0).permutation(len(rows))[:MOST_TEXTS])
        started = time.perf_counter()
        fit = look_at_fit(predictor, rows.texts.take(pa.array(sample)), logits)
        seconds = time.perf_counter() - started
        expected = predictor.calibration and expect_accuracy(predictor.calibration, logits)
        if fit.light is None or not expected:
            raise ReviewscopeError(f"{name} keeps no record of its training reviews. Train it again.")
        real = float(((logits > 0) == (rows.labels == 1)).mean())
        error = expected.value - real
        is_kept &= fit.light != "green" or abs(error) <= LARGEST_ERROR
        shown = f"{percent(expected.value)} ({interval_text(expected.low, expected.high)})"
        because = ", ".join(f"{each.name.lower()} {each.text}" for each in fit.facts if each.light != "green")
        print(
            f"| {title} | {len(rows):,} | {shown} | {percent(real)} | {100 * error:+.1f} | {fit.light} | {because} |",
            end="",
        )
        print(f" {seconds:.2f} s" if seconds > 1 else "", flush=True)
    return is_kept


def change(rows: LabelledTexts, by: Callable[[str, int], str]) -> LabelledTexts:
    """Return the set with every text changed."""
    return as_set([by(text, row) for row, text in enumerate(rows.texts.to_pylist())], rows.labels.tolist())


def make_noisy(text: str, row: int, times: int) -> str:
    """Misspell a twentieth of the words so many times over; take away punctuation and capitals."""
    for seed in range(times):
        text = perturb("typos", text, seed, row) or text
    return (perturb("punctuation", text, 0, row) or text).lower()


def plain_words(text: str) -> list[str]:
    """Return the words of a text without line breaks of HTML."""
    return re.sub("<br />", " ", text).split()


def invent_german(is_good: bool, draw: np.random.Generator) -> str:
    """Return some German sentences."""
    words = GOOD if is_good else BAD
    count = int(draw.integers(2, 6))
    return " ".join(
        f"{draw.choice(THINGS)} ist {draw.choice(words)} und ich bin nicht allein damit." for _ in range(count)
    )


def as_set(texts: list[str], labels: list[int]) -> LabelledTexts:
    """Return texts and labels as a set."""
    return LabelledTexts(pa.array(texts, pa.large_string()), np.array(labels, np.int64))


if __name__ == "__main__":
    try:
        main()
    except ReviewscopeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
