from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.config import PreprocessingConfig
from core.prediction.explanation import attend, explain, find_words, has_exact_pushes, read_text
from core.prediction.integrated_gradients import TOLERANCE, attribute_tokens
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array, split_words
from core.preprocessing.vocabulary import UNK
from tests.core.prediction.small_models import CONFIGS, train_small

TEXTS = [
    "This movie was absolutely fantastic! Fantastic, I say.",
    "It's <b>not</b> bad,<br />not bad at all... 7/10",
    "I <3 it & 2 > 1",
    "good good good good",
    "",
    "!!!",
    "中文 film, trés good",
]


@pytest.fixture(scope="module")
def starter() -> Predictor:
    return Predictor.load("starter")


@pytest.mark.parametrize("text", TEXTS)
def test_the_words_pushes_and_the_bias_add_up_to_the_logit(starter: Predictor, text: str) -> None:
    reading = read_text(starter, text)
    total = sum(word.push or 0.0 for word in reading.words) + float(starter.model.bias)
    assert total == pytest.approx(float(starter.predict([text]).logits[0]), abs=1e-4)


def test_each_word_stands_where_it_says_and_unknown_ones_are_told(starter: Predictor) -> None:
    text = "A superb qwertzuiop!"
    words = read_text(starter, text).words
    assert [text[word.start : word.end] for word in words] == ["A", "superb", "qwertzuiop", "!"]
    assert [word.is_known for word in words] == [True, True, False, True]
    assert words[1].push > 0.1 and read_text(starter, text).known == 3


@pytest.mark.parametrize("characters", ["letters", "punctuation"])
@given(text=st.text(st.characters(codec="ascii") | st.sampled_from("é中\u00a0🎬"), max_size=60))
def test_words_found_in_a_text_are_those_that_cleaning_gives(characters: str, text: str) -> None:
    config = PreprocessingConfig.model_validate({"characters": characters})
    spans = find_words(text, config)
    if spans is not None:
        assert len(spans) == len(split_words(as_text_array([text]), config).to_pylist()[0])
        assert all(0 <= start < end <= len(text) for start, end in spans)


def test_plain_prose_is_always_traced_back(starter: Predictor) -> None:
    text = "The first hour drags, but the last act is so tender that I forgave it everything.<br /><br />See it!"
    for characters in ("letters", "punctuation"):
        assert find_words(text, PreprocessingConfig.model_validate({"characters": characters})) is not None


def test_words_past_the_limit_are_not_read() -> None:
    config = PreprocessingConfig(max_length=3)
    spans = find_words("one two three four", config)
    assert spans is not None and len(spans) == 4


@pytest.fixture(scope="module", params=sorted(CONFIGS))
def model(request: pytest.FixtureRequest) -> Predictor:
    return train_small(request.param)


@pytest.mark.parametrize("text", [*TEXTS, "the tender qwertzuiop plot", "<br />"])
def test_of_every_model_base_pushes_and_what_is_missing_make_up_the_logit(model: Predictor, text: str) -> None:
    found = explain(model, text)
    logit = float(model.predict([text]).logits[0])
    assert found.base + sum(found.pushes) + found.missing == pytest.approx(logit, abs=1e-4)
    assert abs(found.missing) <= TOLERANCE


def test_every_model_gives_each_word_that_it_reads_a_push_and_no_other(model: Predictor) -> None:
    text = "A dull plot, <i>and</i> a superb qwertzuiop cast! " * 60
    reading = read_text(model, text, explain(model, text).pushes)
    assert len({word.is_read for word in reading.words}) == (1 if has_exact_pushes(model) else 2)
    assert all((word.push is not None) == word.is_read for word in reading.words)
    pushes = {
        name: sum(word.push or 0.0 for word in reading.words if text[word.start : word.end] == name)
        for name in ("dull", "superb")
    }
    assert pushes["dull"] < 0 < pushes["superb"]


def test_an_unknown_word_has_no_push_and_the_model_is_left_as_it_was() -> None:
    model = train_small("bilstm")
    before = {name: value.clone() for name, value in model.model.state_dict().items()}
    text = "a qwertzuiop and superb cast"
    words = read_text(model, text, explain(model, text).pushes).words
    assert not words[1].is_known and words[1].push == pytest.approx(0.0, abs=1e-9)
    assert all(parameter.grad is None for parameter in model.model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.model.state_dict().items())


def test_threads_that_share_a_predictor_get_the_same_pushes() -> None:
    model = train_small("bilstm")
    texts = ["a dull plot", "the superb cast and the tender, tender music", "awful"]
    alone = [explain(model, text).pushes for text in texts]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda text: explain(model, text).pushes, texts * 4))
    assert together == alone * 4


def test_pushes_of_pieces_are_summed_to_words_and_only_words_that_are_read_have_one() -> None:
    model = train_small("bilstm_pieces")
    text = "A superb plot, a tenderish cast. " * 60
    encoded = model.encoder.encode(as_text_array([text]))
    places = model.encoder.word_of_token(text)
    found = explain(model, text)
    assert len(places) == len(encoded.token_ids) == 256 and len(found.pushes) == places[-1] + 1 < 256
    words = read_text(model, text, found.pushes).words
    assert sum(word.is_read for word in words) == len(found.pushes) and all(word.is_known for word in words)
    tokens = attribute_tokens(model.model, torch.from_numpy(encoded.token_ids.astype(np.int64)), UNK).pushes
    assert found.pushes[3] == pytest.approx(tokens[places == 3].sum(), abs=1e-9)


@pytest.mark.parametrize("kind", ["bilstm_attention", "bilstm_pieces"])
@pytest.mark.parametrize("text", [*TEXTS, "a tender qwertzuiop plot " * 90])
def test_the_attention_of_the_words_that_are_read_adds_up_to_one(kind: str, text: str) -> None:
    model = train_small(kind)
    shares = attend(model, text)
    assert shares is not None and (
        sum(shares) == pytest.approx(1.0, abs=1e-5) if shares else not read_words(model, text)
    )
    words = read_text(model, text, attention=shares).words
    assert all((word.attention is not None) == word.is_read and word.push is None for word in words)


def read_words(model: Predictor, text: str) -> list[str]:
    words: list[str] = split_words(as_text_array([text]), model.architecture.preprocessing).to_pylist()[0]
    return words


def test_attention_lies_on_the_words_that_the_labels_hang_on() -> None:
    text = "The plot is superb and the music is superb"
    shares = attend(train_small("bilstm_attention"), text)
    assert shares is not None and shares[3] + shares[8] > 2 / 9, "more than their even share"


@pytest.mark.parametrize("kind", ["ngram", "bilstm"])
def test_a_model_without_attention_shows_none(kind: str) -> None:
    assert attend(train_small(kind), "a superb plot") is None
    assert all(word.attention is None for word in read_text(train_small(kind), "a superb plot").words)
