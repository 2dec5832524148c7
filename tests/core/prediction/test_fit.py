"""A file is held beside the training reviews: lights, facts, and the accuracy to expect."""

import copy
import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from core.evaluation.calibration import fit_temperature
from core.evaluation.intervals import wilson_interval
from core.models.model_file import Calibration, Reference
from core.prediction.fit import (
    BIN_EDGES,
    NO_RECORD,
    PRIOR,
    Fit,
    FitFact,
    build_reference,
    expect_accuracy,
    look_at_fit,
    mean_confidence,
    profile_texts,
)
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array
from tests.core.prediction.small_models import train_small
from tests.texts import invent_reviews

BINS = len(BIN_EDGES) + 1
every_model = pytest.mark.parametrize("kind", ["ngram", "bilstm"])


def reference_of(bins: Sequence[tuple[int, int]], confidence: float = 0.5) -> Reference:
    return Reference(
        words=(1, 2, 3, 4, 5), unknown=0.0, rates=(), language=None, confidence=confidence, bins=tuple(bins)
    )


def calibration_of(bins: Sequence[tuple[int, int]], confidence: float = 0.5) -> Calibration:
    n = max(sum(count for count, _ in bins), 1)
    return Calibration(temperature=1.0, n=n, reference=reference_of(bins, confidence))


def with_reference(kind: str) -> Predictor:
    """Return a small model that keeps a record of 300 reviews it has not seen."""
    predictor = copy.copy(train_small(kind))
    valid = invent_reviews(300, seed=5)
    logits = predictor.predict(valid.texts).logits
    temperature = fit_temperature(valid.labels, logits)
    reference = build_reference(profile_texts(predictor.encoder, valid.texts), valid.labels, logits, temperature)
    predictor.calibration = Calibration(temperature=temperature, n=len(valid), reference=reference)
    return predictor


def look(predictor: Predictor, texts: Sequence[str]) -> Fit:
    array = as_text_array(texts)
    return look_at_fit(predictor, array, predictor.predict(array).logits)


def fact(fit: Fit, name: str) -> FitFact:
    return next(each for each in fit.facts if each.name == name)


@every_model
def test_reviews_like_those_of_the_training_get_a_green_light(kind: str) -> None:
    predictor = with_reference(kind)
    more = invent_reviews(400, seed=9)
    fit = look_at_fit(predictor, more.texts, predictor.predict(more.texts).logits)
    assert fit.light == "green" and fit.reason == "" and fit.advice == "Reads like the training reviews."
    assert [each.name for each in fit.facts] == ["Length", "Unknown words", "Vocabulary", "Confidence", "Language"]
    right = (predictor.predict(more.texts).logits > 0) == (more.labels == 1)
    assert fit.expected is not None and fit.expected.value == pytest.approx(right.mean(), abs=0.02)
    assert fit.verdict == f"About {100 * fit.expected.value:.0f} in 100 right"


@every_model
def test_a_language_that_the_training_did_not_have_gives_a_red_light_and_no_figure(kind: str) -> None:
    fit = look(with_reference(kind), ["Der Film ist nicht gut und die Musik ist auch nicht sehr schön."] * 40)
    assert fit.light == "red" and fit.expected is None and fit.verdict == "Nobody can say yet"
    assert fit.advice == "Too different from the training reviews to say. Label 50 rows."
    assert fact(fit, "Language").light == "red" and "looks like German (100 %)" in fact(fit, "Language").text
    assert "look like German" in fit.reason


def test_some_rows_of_another_language_give_an_amber_light() -> None:
    english = invent_reviews(80, seed=3).texts.to_pylist()
    german = ["Der Film ist nicht gut und die Musik ist auch nicht sehr schön."] * 20
    assert fact(look(with_reference("ngram"), english + german), "Language").light == "amber"
    assert fact(look(with_reference("ngram"), english + german[:5]), "Language").light == "green"


@every_model
def test_words_that_the_model_does_not_know_are_noticed(kind: str) -> None:
    texts = [text + " " + "zorblax " * (len(text.split()) // 4) for text in invent_reviews(200).texts.to_pylist()]
    fit = look(with_reference(kind), texts)
    assert fact(fit, "Unknown words").light == "amber" and fit.light in ("amber", "red")
    assert fact(fit, "Unknown words").text == "more: 19.4 %, training 0.0 %"
    assert "hold more words that the model does not know" in fit.reason


def test_texts_that_are_much_shorter_or_longer_are_noticed() -> None:
    predictor = with_reference("ngram")
    reviews = invent_reviews(200).texts.to_pylist()
    median = predictor.calibration.reference.words[2]  # type: ignore[union-attr]
    shorter = fact(look(predictor, [" ".join(text.split()[:6]) for text in reviews]), "Length")
    assert shorter.light == "amber" and shorter.text == f"much shorter: 6 words, training {median}"
    assert shorter.difference == "are much shorter"
    longer = fact(look(predictor, [text * 6 for text in reviews]), "Length")
    assert longer.light == "amber" and longer.difference == "are much longer"


def test_frequent_words_that_are_missing_are_noticed_and_one_is_named() -> None:
    texts = [text.replace("The ", "A ").replace("the ", "a ") for text in invent_reviews(300).texts.to_pylist()]
    vocabulary = fact(look(with_reference("ngram"), texts), "Vocabulary")
    assert vocabulary.light == "red" and "“the” is 0.0 % of the words, training" in vocabulary.text


def test_a_few_rows_are_not_called_different_for_chance_alone() -> None:
    predictor = with_reference("ngram")
    lights = [
        fact(look(predictor, invent_reviews(12, seed).texts.to_pylist()), "Confidence").light for seed in range(100)
    ]
    assert lights.count("green") >= 93


def test_a_model_without_a_record_gives_a_sentence_instead_of_a_light() -> None:
    predictor = copy.copy(train_small("ngram"))
    for calibration in (None, Calibration(temperature=1.0, n=20)):
        predictor.calibration = calibration
        fit = look(predictor, ["The plot is superb."])
        assert (fit.light, fit.facts, fit.expected, fit.advice) == (None, (), None, NO_RECORD)


@every_model
@pytest.mark.parametrize("texts", [["!!!"], ["", " "], ["superb"], ["x" * 100_000], ["7 8 9"] * 3, ["\ud83d\ude00".encode(
    "utf-16", "surrogatepass").decode("utf-16")]], ids=["signs", "empty", "a word", "long", "digits", "emoji"])  # fmt: skip
def test_odd_texts_get_a_light_and_a_finite_figure(kind: str, texts: list[str]) -> None:
    fit = look(with_reference(kind), texts)
    assert fit.light in ("green", "amber", "red") and len(fit.facts) == 5
    assert Fit.model_validate_json(fit.model_dump_json()) == fit


def test_no_scored_row_is_said() -> None:
    predictor = with_reference("ngram")
    fit = look_at_fit(predictor, pa.array([], pa.large_string()), np.zeros(0, np.float32))
    assert fit.light is None and fit.advice.startswith("No row was scored")
    unscored = look_at_fit(predictor, as_text_array(["superb"]), np.full(1, np.nan, np.float32))
    assert unscored.light is None


def test_a_record_that_does_not_go_with_the_model_does_no_harm() -> None:
    predictor = with_reference("ngram")
    calibration = predictor.calibration
    assert calibration is not None and calibration.reference is not None
    for change in ({"rates": ()}, {"rates": (5,) * 900}, {"bins": ()}, {"words": (0, 0, 0, 0, 0)}, {"language": "x"}):
        odd = calibration.reference.model_copy(update=change)
        predictor.calibration = calibration.model_copy(update={"reference": odd})
        assert look(predictor, invent_reviews(20).texts.to_pylist()).light is not None


def test_two_thousand_long_texts_are_looked_at_within_a_second() -> None:
    predictor = with_reference("ngram")
    texts = as_text_array(["the plot is superb and the cast is dull " * 2_500] * 2_000)
    logits = np.random.default_rng(0).normal(size=1_000_000).astype(np.float32)
    look_at_fit(predictor, texts.slice(0, 10), logits)
    started = time.process_time()
    look_at_fit(predictor, texts, logits)
    assert time.process_time() - started < 1  # of all threads together, whatever else the machine does


def logits_of(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(probabilities / (1 - probabilities))


def test_the_accuracy_to_expect_is_the_validation_s_own_on_its_own_scores() -> None:
    draw = np.random.default_rng(1)
    logits = draw.normal(0, 2.5, 5_000)
    labels = (draw.random(5_000) < 1 / (1 + np.exp(-logits))).astype(np.int64)
    profile = profile_texts(train_small("ngram").encoder, as_text_array(["superb"]))
    reference = build_reference(profile, labels, logits, 1.0)
    expected = expect_accuracy(Calibration(temperature=1.0, n=5_000, reference=reference), logits)
    assert expected is not None
    assert expected.value == pytest.approx(((logits > 0) == (labels == 1)).mean(), abs=0.001)
    assert expected.allowance == pytest.approx(0, abs=1e-5)  # what is kept of the confidence is rounded


def test_the_expectation_of_two_bins_agrees_with_a_hand_worked_one() -> None:
    bins = [(0, 0)] * BINS
    bins[BINS // 2] = (96, 72)  # calibrated logits of 0 to 0.5
    bins[-1] = (196, 190)  # from 5 on
    middle, sure = 0.25, 6.0
    logits = np.array([middle] * 30 + [sure] * 70)
    p = 1 / (1 + np.exp(-np.array([middle, sure])))
    shares = (np.array([72, 190]) + PRIOR * p) / (np.array([96, 196]) + PRIOR)
    expected = expect_accuracy(calibration_of(bins), logits)
    assert expected is not None and expected.value == pytest.approx(0.3 * shares[0] + 0.7 * shares[1])
    variances = [
        beta(PRIOR * q + k, PRIOR * (1 - q) + n - k).var() for q, k, n in zip(p, (72, 190), (96, 196), strict=True)
    ]
    of_rows = (0.3 * shares[0] * (1 - shares[0]) + 0.7 * shares[1] * (1 - shares[1])) / 100
    worth = expected.value * (1 - expected.value) / (0.09 * variances[0] + 0.49 * variances[1] + of_rows)
    assert (expected.low, expected.high) == pytest.approx(wilson_interval(expected.value * worth, worth))
    assert (expected.n, expected.n_validation) == (100, 292)


def test_a_bin_without_validation_reviews_is_read_as_calibrated() -> None:
    expected = expect_accuracy(calibration_of([(0, 0)] * BINS), logits_of(np.full(10, 0.8)))
    assert expected is not None and expected.value == pytest.approx(0.8)


def test_half_of_the_lost_confidence_is_allowed_to_each_side() -> None:
    logits = logits_of(np.full(10_000, 0.7))
    plain, wider = (expect_accuracy(calibration_of([(500, 350)] * BINS, c), logits) for c in (0.5, 0.9))
    assert plain is not None and wider is not None and plain.allowance == 0
    assert wider.allowance == pytest.approx(0.1)
    assert (plain.low - wider.low, wider.high - plain.high) == pytest.approx((0.1, 0.1))
    assert "10.0 points more" in wider.assumption and "points" not in plain.assumption


def test_another_threshold_expects_the_verdicts_of_that_threshold() -> None:
    # Half the rows have a probability of 0.7; where these are read as negative, 3 in 10 of them are right.
    logits = logits_of(np.repeat([0.7, 0.95], 5_000))
    expected = expect_accuracy(calibration_of([(0, 0)] * BINS), logits, cut=1.5)
    assert expected is not None and expected.value == pytest.approx((0.3 + 0.95) / 2)


def test_scores_beyond_all_measure_leave_a_finite_interval() -> None:
    expected = expect_accuracy(calibration_of([(0, 0)] * (BINS - 1) + [(9, 9)]), np.full(3, 1e6))
    assert expected is not None and 0 < expected.low < expected.value < expected.high <= 1


def test_the_interval_covers_the_real_accuracy_of_new_rows_of_the_same_kind() -> None:
    draw = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        logits = draw.normal(0, 3, 1_500)
        right_now = draw.random(1_500) < 1 / (1 + np.exp(-logits))
        labels = right_now.astype(np.int64)
        bins = np.searchsorted(BIN_EDGES, logits[:1_000], "right")
        n, positive = np.bincount(bins, minlength=BINS), np.bincount(bins[labels[:1_000] == 1], minlength=BINS)
        kept = calibration_of(list(zip(n.tolist(), positive.tolist(), strict=True)))
        expected = expect_accuracy(kept, logits[1_000:])
        real = ((logits > 0) == (labels == 1))[1_000:].mean()
        assert expected is not None
        covered += expected.low - expected.allowance <= real <= expected.high + expected.allowance
    assert 0.92 <= covered / 400 <= 0.99


def test_the_profile_counts_words_and_not_signs() -> None:
    predictor = train_small("ngram")
    profile = profile_texts(predictor.encoder, as_text_array(["The plot is superb!!!", "zorblax ... the", ""]))
    assert profile.words == (0, 1, 2, 3, 4)
    assert profile.unknown == pytest.approx(1 / 6)
    the = predictor.encoder.vocabulary.words.index("the")
    assert profile.rates[the] == pytest.approx(2 / 6)


def test_the_mean_confidence_is_that_of_the_likelier_class() -> None:
    mean, error = mean_confidence(logits_of(np.array([0.2, 0.9])), 1.0)
    assert mean == pytest.approx(0.85) and error == pytest.approx(0.05 / 2**0.5)
    assert mean_confidence(np.array([3.0]), 1.5)[0] == pytest.approx(1 / (1 + np.exp(-2.0)))
