"""A pretrained encoder's own pieces: whole texts go in, as it was pretrained on whole texts."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import ValidationError

from core.config import PreprocessingConfig, describe_faults
from core.errors import ModelFileError
from core.preprocessing.cleaning import HTML_TAG, SLICE_ROWS, as_text_array, split_words
from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.encoders import Arrays, VocabularyAccess, WordEncoder
from core.preprocessing.pretrained_base import Base, BaseFiles, build_tokenizer
from core.preprocessing.vocabulary import Vocabulary
from core.preprocessing.word_places import find_words
from core.tensor_file import load_strict_json


class PretrainedEncoder(VocabularyAccess):
    """The pieces of a base's tokenizer, in reading order, the end cut off at ``max_length``.

    Of the cleaning only the removal of HTML tags touches what the model reads; the other steps say what a word is where
    words are shown or counted. ``vocabulary`` holds the words that training saw often enough.

    Args:
        vocabulary: Words, as cleaning cuts them.
        tokenizer: ``BaseFiles.tokenizer``.
        base: Whose pieces they are.
        config: ``max_length`` counts pieces; the base's positions are an upper bound.

    Raises:
        ValueError: The tokenizer is none of the base's.
    """

    def __init__(self, vocabulary: Vocabulary, tokenizer: bytes, base: Base, config: PreprocessingConfig) -> None:
        self.vocabulary = vocabulary
        self.base = base
        self.config = config
        self._document = tokenizer
        self._tokenizer = build_tokenizer(tokenizer, base)
        self._ours = np.empty(base.vocabulary, np.int32)
        self._ours[base.order] = np.arange(base.vocabulary, dtype=np.int32)

    @classmethod
    def fit(cls, texts: pa.Array, config: PreprocessingConfig, files: BaseFiles) -> Self:
        """Count the words of training texts (N); the pieces are the base's."""
        return cls(WordEncoder.fit(texts, config).vocabulary, files.tokenizer, files.base, config)

    @property
    def size(self) -> int:
        return self.base.vocabulary

    @property
    def most(self) -> int:
        """Return how many pieces of a text are read at most."""
        return min(self.config.max_length or self.base.most_pieces, self.base.most_pieces)

    def encode(self, texts: pa.Array) -> EncodedTexts:
        pieces = [ids[: self.most] for ids in self._cut(self._clean(texts))]
        offsets = np.cumsum([0, *map(len, pieces)], dtype=np.int64)
        return EncodedTexts(self._ours[np.fromiter(chain.from_iterable(pieces), np.int64, int(offsets[-1]))], offsets)

    def knows(self, words: pa.Array) -> NDArray[np.bool_]:
        """Return whether words (n) can be put together from the pieces, bool (n)."""
        unknown = self.base.unknown
        return np.array([bool(ids) and unknown not in ids for ids in self._cut(words)], np.bool_)

    def full_lengths(self, texts: pa.Array) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self._cut(self._clean(texts))], np.int64)

    def word_of_token(self, text: str) -> NDArray[np.int64]:
        """Return which word each token of a text belongs to, int64 (T): its place in ``split_words``, -1 for none.

        A piece belongs to the word that its first character that is part of any stands in.
        """
        spans = find_words(text, self.config)
        if spans is None:  # words that cannot be found in the text again are cut each by itself
            words = split_words(as_text_array([text]), self.config).flatten()
            owners = np.repeat(np.arange(len(words)), [len(ids) for ids in self._cut(words)])
            found = np.full(int(self.encode(as_text_array([text])).lengths[0]), -1, np.int64)
            found[: len(owners)] = owners[: len(found)]
            return found
        word_at = np.full(len(text) + 1, -1, np.int64)
        for word, (start, end) in enumerate(spans):
            word_at[start:end] = word
        cleaned, places = text, np.arange(len(text))
        if self.config.strip_html:
            cleaned, places = _blank_tags(text)
        pieces = self._tokenizer.encode(cleaned, add_special_tokens=False).offsets[: self.most]
        touched = [word_at[places[start:end]] for start, end in pieces]
        return np.array([next(iter(words[words >= 0]), -1) for words in touched], np.int64)

    def arrays(self) -> Arrays:
        parts = {
            "vocabulary": self.vocabulary.to_json(),
            "tokenizer": self._document,
            "base": self.base.to_json().encode(),
        }
        return {name: np.frombuffer(data, np.uint8) for name, data in parts.items()}

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: PreprocessingConfig) -> Self:
        """Put an encoder together again from ``arrays``, which may come from a stranger.

        Raises:
            ModelFileError: They are not a base's sizes and tokenizer.
        """
        vocabulary = Vocabulary.from_json(arrays["vocabulary"].tobytes())
        try:
            base = Base.model_validate(load_strict_json(arrays["base"].tobytes()))
            return cls(vocabulary, arrays["tokenizer"].tobytes(), base, config)
        except ValidationError as error:
            raise ModelFileError(f"its base is out of bounds: {describe_faults(error)[:300]}") from error
        except ValueError as error:
            raise ModelFileError(f"its base is not one that can be built: {str(error)[:300]}") from error

    def _clean(self, texts: pa.Array) -> pa.Array:
        return pc.replace_substring_regex(texts, HTML_TAG, " ") if self.config.strip_html else texts

    def _cut(self, texts: pa.Array) -> Iterator[list[int]]:
        """Give the base's ids of each text's pieces."""
        for start in range(0, len(texts), SLICE_ROWS):
            piece = texts.slice(start, SLICE_ROWS).to_pylist()
            yield from (each.ids for each in self._tokenizer.encode_batch_fast(piece, add_special_tokens=False))


def _blank_tags(text: str) -> tuple[str, NDArray[np.int64]]:
    """Return a text with a space for each HTML tag, and where each of its characters stood before."""
    parts, places, end = [], [], 0
    for tag in re.finditer(HTML_TAG, text):
        parts += [text[end : tag.start()], " "]
        places += [*range(end, tag.start()), tag.start()]
        end = tag.end()
    return "".join([*parts, text[end:]]), np.array([*places, *range(end, len(text))], np.int64)
