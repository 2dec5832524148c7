"""Words to token ids. An encoder is fitted on training texts and travels with the model, in the same file."""

from collections.abc import Mapping
from typing import Protocol, Self, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import PreprocessingConfig
from core.preprocessing.cleaning import as_text_array, count_words_each, map_slices, split_words
from core.preprocessing.encoded import EncodedTexts, concatenate
from core.preprocessing.vocabulary import UNK, Vocabulary, count_vocabulary

Arrays = Mapping[str, NDArray[np.uint8]]


class Encoder(Protocol):
    """What every encoder offers: the single words it knows, how texts become words, and ids."""

    vocabulary: Vocabulary
    config: PreprocessingConfig

    @property
    def size(self) -> int:
        """Return how many ids exist, padding included."""

    def encode(self, texts: pa.Array) -> EncodedTexts:
        """Return the token ids of texts (N); the same text gives the same ids whatever stands beside it."""

    def knows(self, words: pa.Array) -> NDArray[np.bool_]:
        """Return whether each of some words (n) is known, bool (n)."""

    def full_lengths(self, texts: pa.Array) -> NDArray[np.int64]:
        """Return how long texts (N) are before their ends are cut off, int64 (N), in what ``max_length`` counts."""

    def arrays(self) -> Arrays:
        """Return all that ``from_arrays`` needs, as named arrays."""


@runtime_checkable
class TokenEncoder(Encoder, Protocol):
    """An encoder whose tokens stand in reading order, so that each belongs to a word."""

    def word_of_token(self, text: str) -> NDArray[np.int64]:
        """Return which word each token of a text belongs to, int64 (T): its place in ``split_words``, -1 for none."""


def count_words_read(encoder: Encoder, text: str) -> int:
    """Return how many words of a text are read, the last of them perhaps in part."""
    if isinstance(encoder, TokenEncoder):
        return int(encoder.word_of_token(text).max(initial=-1)) + 1
    length, most = int(encoder.full_lengths(as_text_array([text]))[0]), encoder.config.max_length
    return length if most is None else min(length, most)


class VocabularyAccess:
    """An encoder whose words are those of its vocabulary, and whose ``max_length`` counts words.

    It can be read like the script's ``vocab``: ``vocab["film"]``, ``"film" in vocab``, ``len(vocab)``.
    """

    vocabulary: Vocabulary
    config: PreprocessingConfig

    def knows(self, words: pa.Array) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = self.vocabulary.look_up(words) != UNK
        return known

    def full_lengths(self, texts: pa.Array) -> NDArray[np.int64]:
        return count_words_each(texts, self.config)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def __contains__(self, word: object) -> bool:
        return word in self.vocabulary

    def __getitem__(self, word: str) -> int:
        return self.vocabulary[word]


class WordEncoder(VocabularyAccess):
    """One id a word, in reading order, the end cut off at ``max_length``."""

    def __init__(self, vocabulary: Vocabulary, config: PreprocessingConfig) -> None:
        self.vocabulary = vocabulary
        self.config = config

    @classmethod
    def fit(cls, texts: pa.Array, config: PreprocessingConfig) -> Self:
        """Count the words of training texts (N)."""
        counts = map_slices(texts, lambda piece: split_words(piece, config).flatten().value_counts())
        return cls(count_vocabulary(counts, config), config)

    @property
    def size(self) -> int:
        return len(self.vocabulary)

    def encode(self, texts: pa.Array) -> EncodedTexts:
        return concatenate(map_slices(texts, self._encode_slice))

    def word_of_token(self, text: str) -> NDArray[np.int64]:
        return np.arange(int(self.encode(as_text_array([text])).lengths[0]))

    def arrays(self) -> Arrays:
        return {"vocabulary": np.frombuffer(self.vocabulary.to_json(), np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: PreprocessingConfig) -> Self:
        return cls(Vocabulary.from_json(arrays["vocabulary"].tobytes()), config)

    def _encode_slice(self, texts: pa.Array) -> EncodedTexts:
        words = split_words(texts, self.config)
        if self.config.max_length is not None:
            words = pc.list_slice(words, 0, self.config.max_length)
        # Looking up the distinct words only is twice as fast as looking up every word.
        coded = words.flatten().dictionary_encode()
        ids = self.vocabulary.look_up(coded.dictionary)[coded.indices.to_numpy()]
        offsets = words.offsets.to_numpy().astype(np.int64)
        return EncodedTexts(ids, offsets - offsets[0])
