"""Byte-pair pieces: how they are learnt, how words are spelt with them, and what is refused."""

import json
import string
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import NgramConfig, PreprocessingConfig, RunConfig, preset_config, with_settings
from core.errors import ConfigError, ModelFileError
from core.preprocessing.cleaning import as_text_array, split_words
from core.preprocessing.encoders import TokenEncoder, WordEncoder, count_words_read
from core.preprocessing.ngrams import NgramEncoder
from core.preprocessing.subwords import LONGEST_WORD, BytePairEncoder
from core.preprocessing.vocabulary import UNK
from tests.texts import invent_reviews

ROOT = Path(__file__).resolve().parents[3]
REVIEWS = invent_reviews(300).texts


def pieces_config(**changes: object) -> PreprocessingConfig:
    settings = {"tokens": "byte-pair", "min_frequency": 1, "max_length": None, **changes}
    return PreprocessingConfig.model_validate(settings)


def fit(texts: list[str], **changes: object) -> BytePairEncoder:
    return BytePairEncoder.fit(as_text_array(texts), pieces_config(**changes))


def spell(encoder: BytePairEncoder, text: str) -> list[str]:
    names = list(encoder.vocabulary)
    return [names[token_id] for token_id in encoder.encode(as_text_array([text])).token_ids]


def test_the_pair_seen_most_often_becomes_a_piece_first_as_worked_out_by_hand() -> None:
    # "ab" stands 5 times, "b c" of "abc" 2 times: a + b first, then ab + c; "d" alone makes no pair.
    encoder = fit(["ab ab ab abc abc d"], max_words=100)
    names = list(encoder.vocabulary)
    assert [(names[left], names[right]) for left, right in encoder.merges.tolist()] == [("a", "##b"), ("ab", "##c")]
    assert encoder.vocabulary.words[:3] == ["ab", "abc", "d"], "the most frequent first"
    assert spell(encoder, "ab abc ad cab abcb") == ["ab", "abc", "a", "<UNK>", "<UNK>", "<UNK>", "##b", "abc", "##b"]


def test_frequent_words_stay_whole_and_rare_ones_fall_into_pieces() -> None:
    encoder = BytePairEncoder.fit(REVIEWS, pieces_config(max_words=100))
    assert spell(encoder, "the plot") == ["the", "plot"]
    assert len(spell(encoder, "thetender")) > 1 and "<UNK>" not in spell(encoder, "thetender")


def test_no_more_pieces_than_asked_for_and_none_that_was_seen_less_often() -> None:
    for most in (1, 5, 30, 80):
        encoder = BytePairEncoder.fit(REVIEWS, pieces_config(max_words=most))
        assert len(encoder.vocabulary.words) <= most and encoder.size <= most + 2
        assert encoder.encode(REVIEWS).token_ids.max() < encoder.size
    rare = fit(["film film film qi qi"], min_frequency=3)
    assert not any("q" in word for word in rare.vocabulary.words) and "film" in rare
    assert spell(rare, "film qi") == ["film", "<UNK>", "##i"], "i goes on in qi and film, 5 times"


def test_the_order_of_the_texts_and_the_number_of_threads_change_nothing(tmp_path: Path) -> None:
    arrays = BytePairEncoder.fit(REVIEWS, pieces_config(max_words=200)).arrays()
    backwards = BytePairEncoder.fit(REVIEWS[::-1], pieces_config(max_words=200)).arrays()
    assert all(np.array_equal(arrays[name], backwards[name]) for name in arrays)
    code = (
        "import hashlib; from core.preprocessing.subwords import *; from tests.texts import invent_reviews\n"
        "e = BytePairEncoder.fit(invent_reviews(300).texts, PreprocessingConfig(tokens='byte-pair', min_frequency=1, "
        "max_words=200))\nprint(hashlib.sha256(b''.join(a.tobytes() for a in e.arrays().values())).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
            env={"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads, "PATH": ""},
        ).stdout
        for threads in ("1", "4")
    }  # fmt: skip
    assert len(printed) == 1


@given(st.lists(st.text(st.characters(codec="utf-8") | st.sampled_from("the plot 's"), max_size=40), max_size=6))
def test_spelling_gives_the_words_back_and_each_text_alone_the_same_ids(texts: list[str]) -> None:
    encoder = PUNCTUATION
    encoded = encoder.encode(as_text_array(texts))
    names = np.array(list(encoder.vocabulary), object)
    for place, text in enumerate(texts):
        alone = encoder.encode(as_text_array([text])).token_ids
        assert alone.tolist() == encoded.take(np.array([place])).token_ids.tolist()
        words = split_words(as_text_array([text]), encoder.config).to_pylist()[0]
        places = encoder.word_of_token(text)
        assert places.tolist() == sorted(places) and set(places.tolist()) == set(range(len(words)))
        for number, word in enumerate(words):
            pieces = names[alone[places == number]].tolist()
            if "<UNK>" not in pieces:
                assert pieces[0] + "".join(piece.removeprefix("##") for piece in pieces[1:]) == word


PUNCTUATION = BytePairEncoder.fit(REVIEWS, pieces_config(max_words=150, characters="punctuation"))


def test_a_known_word_is_one_without_an_unknown_character() -> None:
    words = as_text_array(["plot", "plots", "topl", "q", "plotq", "中"])
    known = dict(zip(words.to_pylist(), PUNCTUATION.knows(words).tolist(), strict=True))
    spelt = {word: "<UNK>" not in spell(PUNCTUATION, word) for word in known}
    assert known == spelt and known["plot"] and known["topl"] and not known["中"]


def test_the_end_is_cut_off_after_so_many_pieces_and_the_words_that_are_read_are_counted() -> None:
    whole = BytePairEncoder.fit(REVIEWS, pieces_config(max_words=60))
    short = BytePairEncoder(whole.vocabulary, whole.merges, pieces_config(max_words=60, max_length=5))
    text = "The plot thetender is brilliantly superb"
    pieces = whole.encode(as_text_array([text])).token_ids
    assert short.encode(as_text_array([text, "", text])).lengths.tolist() == [5, 0, 5]
    assert short.encode(as_text_array([text])).token_ids.tolist() == pieces[:5].tolist()
    assert short.full_lengths(as_text_array([text, ""])).tolist() == [len(pieces), 0]
    assert short.word_of_token(text).tolist() == whole.word_of_token(text)[:5].tolist()
    assert count_words_read(short, text) == whole.word_of_token(text)[4] + 1 < 6 == count_words_read(whole, text)
    assert count_words_read(whole, "") == 0


def test_a_word_longer_than_any_language_has_reads_as_unknown_at_once() -> None:
    encoder = BytePairEncoder.fit(REVIEWS, pieces_config())
    assert spell(encoder, "t" * LONGEST_WORD)[0] != "<UNK>"
    assert encoder.encode(as_text_array(["t" * (LONGEST_WORD + 1), "t" * 1_000_000])).token_ids.tolist() == [UNK, UNK]


@pytest.mark.parametrize("texts", [[""], ["!!!", " "], ["a"]])
def test_training_texts_with_hardly_a_word_give_an_encoder_all_the_same(texts: list[str]) -> None:
    encoder = fit(texts, min_frequency=1)
    assert encoder.encode(as_text_array(["the a", ""])).lengths.tolist() == [4, 0]
    assert len(encoder.encode(as_text_array([]))) == 0 and encoder.knows(as_text_array([])).tolist() == []


def test_it_comes_back_from_its_arrays() -> None:
    again = BytePairEncoder.from_arrays(PUNCTUATION.arrays(), PUNCTUATION.config)
    assert np.array_equal(again.encode(REVIEWS).token_ids, PUNCTUATION.encode(REVIEWS).token_ids)
    assert {name: value.dtype for name, value in again.arrays().items()} == {"vocabulary": np.uint8, "merges": np.uint8}


def spoilt(words: list[str] | None = None, merges: bytes | list[list[int]] = b"") -> dict[str, np.ndarray]:
    data = merges if isinstance(merges, bytes) else np.array(merges, "<i4").tobytes()
    words = ["a", "##b", "ab", "b"] if words is None else words
    return {
        "vocabulary": np.frombuffer(json.dumps(words).encode(), np.uint8),
        "merges": np.frombuffer(data, np.uint8),
    }


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (spoilt(merges=b"\0" * 7), "7 bytes"),
        (spoilt(merges=[[2, 6]]), "does not hold"),
        (spoilt(merges=[[-1, 3]]), "does not hold"),
        (spoilt(merges=[[0, 3]]), "does not hold"),
        (spoilt(merges=[[2, 5]]), "join pieces"),  # "b" does not go on within a word
        (spoilt(merges=[[5, 3]]), "join pieces"),  # "bb" is no piece
        (spoilt(merges=[[2, 3], [2, 3]]), "twice"),
        (spoilt(words=["é", "##", "é#"], merges=[[2, 3]]), "no piece"),
        (spoilt(words=["<UNK>"]), "no piece"),
        (spoilt(words=[""]), "no piece"),
        (spoilt(words=["x" * 1_000]), "no piece"),
        (spoilt(words=[f"p{number}" for number in range(11)]), "at most 10"),
        (spoilt(words=["a", "a"]), "twice"),
    ],
)
def test_arrays_that_no_tokenizer_can_be_built_from_are_refused(arrays: dict[str, np.ndarray], said: str) -> None:
    with pytest.raises(ModelFileError, match=said):
        BytePairEncoder.from_arrays(arrays, pieces_config(max_words=10))


@given(st.lists(st.text(string.ascii_lowercase + "#é<", max_size=4), max_size=8), st.binary(max_size=48))
def test_whatever_arrays_come_they_are_refused_in_a_sentence_or_read(words: list[str], merges: bytes) -> None:
    try:
        encoder = BytePairEncoder.from_arrays(spoilt(words, merges), pieces_config(max_words=10))
    except ModelFileError:
        return
    assert encoder.encode(as_text_array(["ab éa #"])).token_ids.max(initial=0) < encoder.size


def test_an_n_gram_model_says_that_it_reads_no_pieces() -> None:
    with pytest.raises(ConfigError, match="not offered"):
        with_settings(preset_config("fast"), ["preprocessing.tokens=byte-pair"])
    with pytest.raises(ConfigError, match="not offered"):
        NgramEncoder.fit(REVIEWS, pieces_config(), NgramConfig(bucket_bits=10))
    good = NgramEncoder.fit(REVIEWS, PreprocessingConfig(), NgramConfig(bucket_bits=10)).arrays()
    with pytest.raises(ModelFileError, match="not offered"):
        NgramEncoder.from_arrays(good, pieces_config(), NgramConfig(bucket_bits=10))


def test_encoders_of_tokens_in_order_are_told_from_those_of_sets() -> None:
    words = WordEncoder.fit(REVIEWS, PreprocessingConfig(max_length=3))
    grams = NgramEncoder.fit(REVIEWS, PreprocessingConfig(max_length=3), NgramConfig(bucket_bits=10))
    assert isinstance(words, TokenEncoder) and isinstance(PUNCTUATION, TokenEncoder)
    assert not isinstance(grams, TokenEncoder)
    assert words.word_of_token("the plot is dull").tolist() == [0, 1, 2]
    assert count_words_read(words, "the plot is dull") == count_words_read(grams, "the plot is dull") == 3
    assert count_words_read(grams, "dull") == 1


def test_settings_of_words_are_written_as_before_there_were_pieces() -> None:
    from core.config import plain_document

    assert "tokens" not in plain_document(RunConfig().preprocessing)
    assert plain_document(pieces_config())["tokens"] == "byte-pair"
