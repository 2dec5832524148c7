import numpy as np
import pytest

from core.config import NgramConfig, PreprocessingConfig
from core.errors import ModelFileError
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.encoded import EncodedTexts, concatenate
from core.preprocessing.encoders import WordEncoder
from core.preprocessing.ngrams import NgramEncoder
from core.preprocessing.vocabulary import Vocabulary
from tests.texts import invent_reviews

PLAIN = PreprocessingConfig(min_frequency=1, max_length=4)


def test_the_most_frequent_words_come_first_and_ties_go_by_alphabet() -> None:
    encoder = WordEncoder.fit(as_text_array(["b a c", "c b", "c d"]), PLAIN)
    assert encoder.vocabulary.words == ["c", "b", "a", "d"]
    assert (encoder.vocabulary["<PAD>"], encoder.vocabulary["<UNK>"], encoder.vocabulary["c"]) == (0, 1, 2)


def test_rare_words_and_words_past_the_limit_are_unknown() -> None:
    config = PreprocessingConfig(min_frequency=2, max_words=1)
    encoder = WordEncoder.fit(as_text_array(["a a a b b c"]), config)
    assert encoder.vocabulary.words == ["a"] and encoder.size == 3
    assert encoder.encode(as_text_array(["a b c"])).token_ids.tolist() == [2, 1, 1]


def test_a_long_text_loses_its_end_and_an_empty_one_stays_in_its_place() -> None:
    encoder = WordEncoder.fit(as_text_array(["a b c d e f"]), PLAIN)
    encoded = encoder.encode(as_text_array(["a b c d e f", "", "f"]))
    assert encoded.lengths.tolist() == [4, 0, 1]


def test_words_counted_in_slices_equal_words_counted_at_once() -> None:
    texts = [f"word{'abcdefghij'[row % 10]} common" for row in range(3_000)]
    encoder = WordEncoder.fit(as_text_array(texts), PreprocessingConfig(min_frequency=300, max_words=5))
    assert encoder.vocabulary.words[0] == "common" and len(encoder.vocabulary.words) == 5
    alone = encoder.encode(as_text_array(texts[2_999:])).token_ids
    assert encoder.encode(as_text_array(texts)).token_ids[-2:].tolist() == alone.tolist()


def test_taking_and_joining_encoded_texts() -> None:
    encoded = EncodedTexts(np.array([5, 6, 7], np.int32), np.array([0, 2, 2, 3]))
    taken = encoded.take(np.array([2, 0, 1]))
    assert taken.token_ids.tolist() == [7, 5, 6] and taken.offsets.tolist() == [0, 1, 3, 3]
    joined = concatenate([taken, encoded])
    assert joined.token_ids.tolist() == [7, 5, 6, 5, 6, 7] and joined.lengths.tolist() == [1, 2, 0, 2, 0, 1]
    assert len(concatenate([])) == 0


def ngram_encoder(texts: list[str], **model: int) -> NgramEncoder:
    settings = {"bucket_bits": 20, "min_reviews": 1, **model}
    return NgramEncoder.fit(
        as_text_array(texts), PLAIN.model_copy(update={"max_length": None}), NgramConfig(**settings)
    )


def test_a_text_is_the_set_of_its_ngrams() -> None:
    encoder = ngram_encoder(["a b a b"])
    # a, b, ab, ba, aba, bab
    assert encoder.size - 1 == 6
    encoded = encoder.encode(as_text_array(["a b a b", "a b a b a b a b"]))
    assert encoded.lengths.tolist() == [6, 6]
    assert encoded.take(np.array([0])).token_ids.tolist() == encoded.take(np.array([1])).token_ids.tolist()


def test_ngrams_do_not_cross_from_one_text_to_the_next() -> None:
    encoder = ngram_encoder(["a b", "b c", "a b c"])
    apart = encoder.encode(as_text_array(["a b", "b c"]))
    whole = encoder.encode(as_text_array(["a b c"]))
    assert apart.lengths.tolist() == [3, 3] and whole.lengths.tolist() == [6]


def test_an_ngram_counts_once_a_review_and_only_when_enough_reviews_hold_it() -> None:
    encoder = ngram_encoder(["x x x x", "y z", "y z", "y q"], min_reviews=3)
    assert encoder.size - 1 == 1  # y alone stands in three reviews
    assert encoder.encode(as_text_array(["x y z q"])).lengths.tolist() == [1]
    assert encoder.vocabulary.words == ["y", "z", "q", "x"]


def test_ngrams_of_a_text_do_not_depend_on_its_neighbours() -> None:
    texts = invent_reviews(2_100).texts
    encoder = NgramEncoder.fit(texts, PLAIN, NgramConfig(bucket_bits=18, min_reviews=2))
    everything = encoder.encode(texts)
    for row in (0, 999, 1_000, 2_099):
        alone = encoder.encode(texts.slice(row, 1)).token_ids
        assert everything.take(np.array([row])).token_ids.tolist() == alone.tolist()


def test_ngrams_respect_the_most_words_of_a_text() -> None:
    encoder = NgramEncoder.fit(as_text_array(["a b c d e f g"]), PLAIN, NgramConfig(bucket_bits=20, min_reviews=1))
    assert encoder.encode(as_text_array(["a b c d e f g"])).lengths.tolist() == [9]  # 4 words, 3 pairs, 2 triples


def test_texts_without_words_and_no_texts_at_all_are_encoded() -> None:
    encoder = ngram_encoder(["a b"])
    assert encoder.encode(as_text_array(["", "!!!", "zzz unknown"])).lengths.tolist() == [0, 0, 0]
    assert len(encoder.encode(as_text_array([]))) == 0
    assert ngram_encoder([""]).size == 1


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"\xff", b'["a","a"]', b"[", b""])
def test_a_vocabulary_that_is_not_a_list_of_distinct_words_is_refused(data: bytes) -> None:
    with pytest.raises(ModelFileError, match="vocabulary"):
        Vocabulary.from_json(data)
