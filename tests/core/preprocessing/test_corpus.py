"""A corpus as words: each distinct word once, every text in reading order."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from core.config import PreprocessingConfig
from core.preprocessing.cleaning import SLICE_ROWS, split_words
from core.preprocessing.corpus import Corpus, cut_corpus


def words_of(corpus: Corpus) -> list[list[str]]:
    words = corpus.words.to_pylist()
    offsets = corpus.encoded.offsets
    return [
        [words[token_id - 1] for token_id in corpus.encoded.token_ids[start:end]] for start, end in pairwise(offsets)
    ]


@pytest.mark.parametrize("characters", ["letters", "punctuation"])
def test_texts_of_many_slices_come_back_word_for_word(characters: str) -> None:
    config = PreprocessingConfig(characters=characters, max_length=2, max_words=1)
    draw = np.random.default_rng(0)
    texts = [
        " ".join(f"w{chr(97 + each)}!" for each in draw.integers(0, 26, size)) for size in draw.integers(0, 9, 2_500)
    ]
    assert len(texts) > 2 * SLICE_ROWS
    corpus = cut_corpus(pa.array(texts, pa.large_string()), config)
    assert words_of(corpus) == split_words(pa.array(texts, pa.large_string()), config).to_pylist()
    assert len(set(corpus.words.to_pylist())) == len(corpus.words)
    assert corpus.rows.tolist() == [row for row, words in enumerate(words_of(corpus)) for _ in words]


@pytest.mark.parametrize("texts", [[], ["", "..."]])
def test_no_text_and_texts_without_a_word(texts: list[str]) -> None:
    corpus = cut_corpus(pa.array(texts, pa.large_string()), PreprocessingConfig())
    assert len(corpus) == len(texts) and words_of(corpus) == [[] for _ in texts] and len(corpus.words) == 0
