"""The words a model knows."""

import json
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import PreprocessingConfig
from core.errors import ModelFileError

PAD, UNK = 0, 1
SPECIAL_TOKENS = ("<PAD>", "<UNK>")


class Vocabulary:
    """Known words and their ids: ``<PAD>`` is 0, ``<UNK>`` is 1, words follow from 2, most frequent first.

    Reads like the plain dict it stands for: ``vocab["film"]``, ``"film" in vocab``, ``len(vocab)``.
    """

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def __len__(self) -> int:
        return len(self.words) + len(SPECIAL_TOKENS)

    def __iter__(self) -> Iterator[str]:
        yield from SPECIAL_TOKENS
        yield from self.words

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __getitem__(self, word: str) -> int:
        return self._ids[word]

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: token_id for token_id, word in enumerate(self)}

    @cached_property
    def _arrow_words(self) -> pa.Array:
        return pa.array(self.words, pa.large_string())

    def look_up(self, words: pa.Array) -> NDArray[np.int32]:
        """Return the ids of words (n) as int32 (n); unknown words get ``UNK``."""
        positions = pc.index_in(words, value_set=self._arrow_words)
        ids: NDArray[np.int32] = pc.fill_null(pc.add(positions, len(SPECIAL_TOKENS)), UNK).to_numpy().astype(np.int32)
        return ids

    def to_json(self) -> bytes:
        """Return the words as UTF-8 JSON."""
        return json.dumps(self.words, ensure_ascii=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Vocabulary":
        """Read what ``to_json`` wrote.

        Raises:
            ModelFileError: It is not a JSON list of distinct words.
        """
        try:
            words = json.loads(data)
            json.dumps(words, ensure_ascii=False).encode()  # half a character cannot be looked up
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"its vocabulary is not UTF-8 JSON ({error})") from error
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ModelFileError("its vocabulary is not a list of words")
        if len(set(words)) != len(words):
            raise ModelFileError("its vocabulary holds a word twice")
        return cls(words)


def count_vocabulary(word_counts: list[pa.Array], config: PreprocessingConfig) -> Vocabulary:
    """Build a vocabulary from counts.

    Args:
        word_counts: Struct arrays of ``values`` (word) and ``counts``, a part each; words may stand in many parts.
        config: ``max_words`` most frequent words seen at least ``min_frequency`` times; equal counts go by alphabet.
    """
    totals = total_counts(word_counts)
    frequent = totals.filter(pc.greater_equal(totals["count_sum"], config.min_frequency))
    ranked = frequent.sort_by([("count_sum", "descending"), ("word", "ascending")])
    return Vocabulary(ranked["word"].slice(0, config.max_words).to_pylist())


def total_counts(word_counts: list[pa.Array]) -> pa.Table:
    """Return each word of ``count_vocabulary``'s counts once, in no order: columns ``word`` and ``count_sum``."""
    parts = [pa.table({"word": part.field("values"), "count": part.field("counts")}) for part in word_counts]
    return pa.concat_tables(parts).group_by("word").aggregate([("count", "sum")])
