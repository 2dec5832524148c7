"""The look at how often changed texts turn a verdict: counted by hand, seeded, within its time, without texts."""

import json
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core import settings
from core.config import PreprocessingConfig, preset_config, with_data
from core.data.labelled import LabelledTexts
from core.evaluation.intervals import wilson_interval
from core.evaluation.perturbations import PERTURBATIONS, perturb
from core.evaluation.selection import Results
from core.prediction import robustness
from core.prediction.analysis import ANALYSES, Subject
from core.prediction.predictor import Predictions, Predictor, probability_of


class Counter:
    """A model whose logit is the number of capitals less three and a half."""

    def __init__(self, **cleaning: Any) -> None:
        self.architecture = SimpleNamespace(preprocessing=PreprocessingConfig(**cleaning))
        self.texts: list[str] = []

    def predict(self, texts: list[str]) -> Predictions:
        self.texts += texts
        return Predictions(np.array([sum(letter.isupper() for letter in text) - 3.5 for text in texts], np.float32))


@dataclass
class Told:
    """A reporter that remembers."""

    done: int = 0
    phases: list[tuple[str, int]] = field(default_factory=list)

    def on_phase(self, phase: str, total: int) -> None:
        self.phases.append((phase, total))

    def on_progress(self, done: int) -> None:
        self.done += done


def subject_of(texts: list[str], model: Any) -> Subject:
    rows = LabelledTexts(pa.array(texts, pa.large_string()), np.arange(len(texts)) % 2)
    logits = model.predict(texts).logits.astype(np.float64)
    model.texts = []
    config = with_data(preset_config("fast"), "demo")
    return Subject(model, rows, Results(rows.labels, logits, probability_of(logits)), {"test": rows}, "test", config)


def look(subject: Subject, **options: Any) -> dict[str, Any]:
    return robustness.look(subject, options, Told()).document


def test_what_turns_is_counted_with_its_wilson_interval() -> None:
    # Capitals turn a text of four letters and more; a text of capitals is not changed by them.
    texts = ["quiet", "a film", "abc", "LOUD", "so"] * 4
    found = look(subject_of(texts, Counter()))["changes"]["case"]
    assert (found["applied"], found["flips"], found["rate"]) == (16, 8, 0.5)
    assert (found["low"], found["high"]) == pytest.approx(wilson_interval(8, 16))
    moved = [abs(probability_of(np.array([n - 3.5]))[0] - probability_of(np.array([-3.5]))[0]) for n in (5, 5, 3, 2)]
    assert found["moved"] == pytest.approx(np.mean(moved)) and found["moved_low"] < found["moved"] < found["moved_high"]


def test_an_example_is_told_by_row_and_seed_and_can_be_made_anew() -> None:
    texts = ["quiet film", "so", "the longest of them all"]
    subject = subject_of(texts, Counter())
    document = look(subject, seed=7)
    assert document["seed"] == 7
    first, second = document["changes"]["case"]["examples"]
    assert (first["row"], second["row"]) == (2, 0) and first["verdict"] == second["verdict"] == 1
    changed = perturb("case", texts[2], 7, first["row"])
    logits = subject.predictor.predict([texts[2], changed]).logits.astype(np.float64)
    assert [first["before"], first["after"]] == pytest.approx(probability_of(logits).tolist())


def test_no_text_is_kept() -> None:
    texts = [f"an unmistakable film {place}" for place in range(30)]
    written = json.dumps(look(subject_of(texts, Counter())))
    assert "unmistakable" not in written.lower()


def test_the_cut_decides_what_turns() -> None:
    subject = subject_of(["four", "seven up"] * 5, Counter())
    assert look(subject)["changes"]["case"]["flips"] == 10
    assert look(subject, cut=2.0)["changes"]["case"]["flips"] == 5
    high = Subject(**{**vars(subject), "results": Results(**{**vars(subject.results), "cut": 2.0})})
    assert look(high)["changes"]["case"]["flips"] == 5 and look(high)["cut"] == 2.0


def test_the_same_seed_draws_the_same_reviews_and_another_one_others() -> None:
    subject = subject_of([f"it is film number {place} here" for place in range(1_200)], Counter())
    first, again, other = (look(subject, seed=seed) for seed in (0, 0, 1))
    assert first == again and first["n"] == other["n"] == robustness.SAMPLE and first["of"] == 1_200
    assert first["changes"]["case"]["examples"] != other["changes"]["case"]["examples"]


def test_a_slow_model_reads_fewer_reviews_and_says_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1_000, 8))
    monkeypatch.setattr(robustness.time, "monotonic", lambda: float(next(clock)))
    document = look(subject_of(["it is a film"] * 400, Counter()))
    assert document["n"] == 3 * robustness.PIECE  # 8, 16 and 24 s after the start
    assert document["changes"]["case"]["applied"] == document["n"]


def test_a_change_that_applies_to_nothing_has_no_rate() -> None:
    found = look(subject_of(["so", "it"], Counter()))["changes"]
    assert {name for name in found if not found[name]["applied"]} >= {"names", "typos"}
    assert found["names"]["rate"] is found["names"]["low"] is found["names"]["moved"] is None
    assert look(subject_of(["", " "], Counter()))["n"] == 2


def test_one_review_has_a_rate_and_no_interval_of_its_move() -> None:
    found = look(subject_of(["quiet"], Counter()))["changes"]["case"]
    assert found["rate"] == 1.0 and found["moved"] > 0 and found["moved_low"] is None


@pytest.mark.parametrize(("characters", "unseen"), [("letters", {"case", "punctuation"}), ("punctuation", {"case"})])
def test_what_the_cleaning_takes_away_is_said(characters: str, unseen: set[str]) -> None:
    assert set(look(subject_of(["a film"], Counter(characters=characters)))["unseen"]) == unseen


def test_progress_counts_the_sample() -> None:
    told = Told()
    robustness.look(subject_of(["it is a film"] * 60, Counter()), {}, told)
    assert told.done == 60 and told.phases[0][1] == 60


@pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
def test_a_real_model_is_not_turned_by_what_it_does_not_see() -> None:
    from core.data.sources import load_columns

    config = with_data(preset_config("fast"), "demo")
    splits, predictor = load_columns(config.data), Predictor.load("starter")
    rows = splits["test"]
    logits = predictor.predict(rows.texts).logits.astype(np.float64)
    subject = Subject(predictor, rows, Results(rows.labels, logits, probability_of(logits)), splits, "test", config)
    document = look(subject)
    assert document["n"] == robustness.SAMPLE and set(document["changes"]) == set(PERTURBATIONS)
    case = document["changes"]["case"]
    assert case["applied"] == 500 and case["flips"] == 0 and case["moved"] < 1e-6
    assert document["changes"]["negation"]["flips"] > 0


def test_it_is_one_of_the_looks() -> None:
    assert ANALYSES["robustness"] == robustness.__name__
