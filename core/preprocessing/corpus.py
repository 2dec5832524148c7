"""All words of a corpus at once: each distinct word once, and every text as places in that list."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.config import PreprocessingConfig
from core.preprocessing.cleaning import map_slices, split_words
from core.preprocessing.encoded import EncodedTexts


@dataclass(frozen=True)
class Corpus:
    """N texts as words.

    Attributes:
        words: Each distinct word once, large_string (W).
        encoded: The texts in reading order; id i, from 1, is ``words[i - 1]``. Nothing is cut off.
    """

    words: pa.Array
    encoded: EncodedTexts

    def __len__(self) -> int:
        return len(self.encoded)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Return in which text each word stands, int64 (total)."""
        return np.repeat(np.arange(len(self)), self.encoded.lengths)


def cut_corpus(texts: pa.Array, config: PreprocessingConfig) -> Corpus:
    """Cut texts into words.

    Args:
        texts: large_string (N); N may be 0.
        config: How texts become words; ``max_length``, ``max_words`` and ``min_frequency`` do not apply.
    """
    parts = map_slices(texts, partial(_cut_slice, config=config))
    if not parts:
        return Corpus(pa.array([], pa.large_string()), EncodedTexts(np.zeros(0, np.int32), np.zeros(1, np.int64)))
    coded = pa.concat_arrays([words.dictionary.cast(pa.large_string()) for words, _ in parts]).dictionary_encode()
    starts = np.cumsum([0] + [len(words.dictionary) for words, _ in parts])
    ids = coded.indices.to_numpy()
    token_ids = [
        ids[start : start + len(words.dictionary)][words.indices.to_numpy()]
        for (words, _), start in zip(parts, starts[:-1], strict=True)
    ]
    lengths = np.concatenate([length for _, length in parts])
    encoded = EncodedTexts(np.concatenate(token_ids) + np.int32(1), np.concatenate([[0], np.cumsum(lengths)]))
    return Corpus(coded.dictionary, encoded)


def _cut_slice(texts: pa.Array, config: PreprocessingConfig) -> tuple[pa.Array, NDArray[np.int64]]:
    words = split_words(texts, config)
    return words.flatten().dictionary_encode(), np.diff(words.offsets.to_numpy()).astype(np.int64)
