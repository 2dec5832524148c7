import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import PreprocessingConfig
from core.prediction.explanation import find_words, read_text
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array, split_words

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
