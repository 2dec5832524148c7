from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core import load_model, predict_sentiment
from core.errors import ReviewscopeError
from core.models.model_file import LoadedModel
from core.prediction.predictor import Predictions, Predictor

EXAMPLES = {
    "This movie was absolutely fantastic!": "Positive",
    "Terrible waste of time and money.": "Negative",
    "It was okay, nothing special.": "Negative",
}


@pytest.fixture(scope="module")
def starter() -> Predictor:
    return Predictor.load("starter")


def test_the_script_s_call_gives_the_script_s_verdicts() -> None:
    model, vocab, device = load_model("starter")
    for text, verdict in EXAMPLES.items():
        sentiment, confidence, probability = predict_sentiment(text, model, vocab, device)
        assert sentiment == verdict
        assert confidence == pytest.approx(max(probability, 1 - probability)) and 0.5 <= confidence <= 1


def test_the_vocabulary_tells_known_words_from_unknown_ones() -> None:
    _, vocab, _ = load_model("starter")
    assert "terrible" in vocab.vocabulary and "qwertzuiop" not in vocab.vocabulary
    assert vocab.vocabulary["<PAD>"] == 0


def test_the_same_text_alone_and_in_a_batch_gives_the_same_probability(starter: Predictor) -> None:
    text = next(iter(EXAMPLES))
    alone = starter.predict([text]).probabilities[0]
    beside = starter.predict([text] + ["a long and dreary evening " * 64] * 63).probabilities[0]
    assert abs(alone - beside) <= 1e-5


def test_threads_share_one_predictor(starter: Predictor) -> None:
    texts = [f"A {word} film, scene {row}." for row in range(40) for word in ("superb", "dull")]
    expected = starter.predict(texts).logits
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: starter.predict(texts).logits, range(16)))
    assert all(np.array_equal(expected, result) for result in results)


def test_texts_without_a_known_word_get_the_prior_and_none_gives_none(starter: Predictor) -> None:
    logits = starter.predict(["", "zzzzqqq", "\u202e"]).logits
    assert np.isfinite(logits).all() and len(set(logits.tolist())) == 1
    assert starter.predict([]).sentiments == []


def test_probability_one_half_is_negative_and_extremes_do_not_overflow() -> None:
    predictions = Predictions(np.array([0.0, 1e4, -1e4], np.float32))
    assert predictions.sentiments == ["Negative", "Positive", "Negative"]
    assert predictions.probabilities.tolist() == [0.5, 1.0, 0.0]
    assert predictions.confidences.tolist() == [0.5, 1.0, 1.0]


def test_a_model_that_does_not_exist_is_a_sentence() -> None:
    with pytest.raises(ReviewscopeError, match=r"There is no run 'nothing'.*none yet"):
        Predictor.load("nothing")


def test_intensities_are_the_probabilities_of_logits_divided_by_the_temperature(starter: Predictor) -> None:
    assert starter.calibration is not None and 0.8 < starter.temperature < 0.95 and starter.calibration.n == 2_500
    predictions = starter.predict(list(EXAMPLES))
    expected = 1 / (1 + np.exp(-predictions.logits.astype(np.float64) / starter.temperature))
    assert predictions.intensities == pytest.approx(expected, abs=1e-12)
    assert ((predictions.intensities > 0.5) == (predictions.probabilities > 0.5)).all()
    assert not np.allclose(predictions.intensities, predictions.probabilities)


def test_without_a_calibration_intensities_are_the_probabilities(starter: Predictor) -> None:
    bare = Predictor(LoadedModel(starter.model, starter.encoder, starter.architecture, starter.sha256))
    predictions = bare.predict(list(EXAMPLES))
    assert (bare.calibration, bare.temperature) == (None, 1.0)
    assert np.array_equal(predictions.intensities, predictions.probabilities)


def test_another_cut_moves_verdicts_and_confidence_and_leaves_the_scores() -> None:
    usual = Predictions(np.array([-1.0, 0.0, 0.5, 2.0], np.float32))
    moved = usual.at(1.0)
    assert usual.sentiments == ["Negative", "Negative", "Positive", "Positive"]
    assert moved.sentiments == ["Negative", "Negative", "Negative", "Positive"]
    assert (moved.probabilities == usual.probabilities).all()
    assert moved.confidences[2] == 1 - moved.probabilities[2] and moved.confidences[3] == moved.probabilities[3]
    assert usual.confidences == pytest.approx(np.maximum(usual.probabilities, 1 - usual.probabilities))
    assert usual.at(float(usual.logits[2])).sentiments[2] == "Negative", "exactly the threshold is negative"
