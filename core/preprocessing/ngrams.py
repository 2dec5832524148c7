"""Hashed word n-grams: a text becomes the set of its n-grams' buckets."""

from functools import cached_property, partial
from hashlib import blake2b
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import NO_PIECES, NgramConfig, PreprocessingConfig
from core.errors import ConfigError, ModelFileError
from core.preprocessing.cleaning import map_slices, split_words
from core.preprocessing.encoded import EncodedTexts, concatenate
from core.preprocessing.encoders import Arrays, VocabularyAccess
from core.preprocessing.vocabulary import UNK, Vocabulary, count_vocabulary

Hashes = NDArray[np.uint64]

# Multipliers of the splitmix64 generator (Steele, Lea & Flood 2014), which spread every input bit over the word.
GOLDEN, MIX_1, MIX_2 = (np.uint64(value) for value in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
ROW_BITS = 10  # enough for the rows of one slice


class NgramEncoder(VocabularyAccess):
    """The distinct n-grams of a text, as ids of the buckets that training found worth keeping.

    Args:
        vocabulary: Single words seen in training; they tell what "unknown word" means and carry cached hashes.
        active: bool (2 ** bucket_bits), the buckets that hold an n-gram of at least ``min_reviews`` reviews.
        config: How texts become words.
        model: Lengths of n-grams and number of buckets.
    """

    def __init__(
        self, vocabulary: Vocabulary, active: NDArray[np.bool_], config: PreprocessingConfig, model: NgramConfig
    ) -> None:
        self.vocabulary = vocabulary
        self.config = config
        self.model = model
        self.active = active
        self._ids = np.where(active, np.cumsum(active, dtype=np.int32), np.int32(0))

    @classmethod
    def fit(cls, texts: pa.Array, config: PreprocessingConfig, model: NgramConfig) -> Self:
        """Find the words and the buckets of training texts (N).

        Memory grows with the distinct n-grams of each text, 8 bytes each: about 130 MB for 25,000 film reviews.

        Raises:
            ConfigError: The settings ask for pieces of words.
        """
        if config.tokens != "words":
            raise ConfigError(NO_PIECES)
        counts = map_slices(texts, partial(_count_reviews, config=config))
        vocabulary = count_vocabulary(counts, config)
        draft = cls(vocabulary, np.zeros(2**model.bucket_bits, np.bool_), config, model)
        seen = np.concatenate([np.zeros(0, np.uint64), *map_slices(texts, draft._distinct_hashes)])
        active = draft.active
        active[_buckets(_seen_often(seen, model.min_reviews), model.bucket_bits)] = True
        return cls(vocabulary, active, config, model)

    @property
    def size(self) -> int:
        return int(np.count_nonzero(self.active)) + 1

    def encode(self, texts: pa.Array) -> EncodedTexts:
        return concatenate(map_slices(texts, self._encode_slice))

    def places(self, text: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Return every n-gram of one text, each time it stands: id (0 when not kept), first word, length in words."""
        _, hashes = self._ngrams(text)
        ids = self._ids[_buckets(hashes, self.model.bucket_bits)]
        words = pc.list_value_length(split_words(text, self.config))[0].as_py()
        if self.config.max_length is not None:
            words = min(words, self.config.max_length)
        counts = [max(words - n + 1, 0) for n in range(1, self.model.max_n + 1)]
        starts = np.concatenate([np.arange(count) for count in counts])
        lengths = np.repeat(np.arange(1, self.model.max_n + 1), counts)
        return ids, starts, lengths

    def arrays(self) -> Arrays:
        return {
            "vocabulary": np.frombuffer(self.vocabulary.to_json(), np.uint8),
            "active": np.packbits(self.active),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: PreprocessingConfig, model: NgramConfig) -> Self:
        if config.tokens != "words":
            raise ModelFileError(NO_PIECES)
        if arrays["active"].shape != (2**model.bucket_bits // 8,):
            raise ModelFileError(
                f"its bucket map has {arrays['active'].size:,} bytes; {2**model.bucket_bits // 8:,} belong to "
                f"2 to the power {model.bucket_bits} buckets"
            )
        active = np.unpackbits(arrays["active"]).astype(np.bool_)
        return cls(Vocabulary.from_json(arrays["vocabulary"].tobytes()), active, config, model)

    @cached_property
    def _known_hashes(self) -> Hashes:
        return _hash_words(list(self.vocabulary))

    def _encode_slice(self, texts: pa.Array) -> EncodedTexts:
        rows, hashes = self._ngrams(texts)
        keys = _sorted_distinct((rows << np.uint64(32)) | _buckets(hashes, self.model.bucket_bits))
        rows, ids = keys >> np.uint64(32), self._ids[keys & np.uint64(0xFFFFFFFF)]
        counts = np.bincount(rows[ids > 0].astype(np.int64), minlength=len(texts))
        return EncodedTexts(ids[ids > 0], np.concatenate([[0], np.cumsum(counts)]))

    def _distinct_hashes(self, texts: pa.Array) -> Hashes:
        """Return the n-gram hashes of a slice, each once a text, cut to the bits that a row number leaves."""
        rows, hashes = self._ngrams(texts)
        keys = _sorted_distinct((rows << np.uint64(64 - ROW_BITS)) | (hashes >> np.uint64(ROW_BITS)))
        return keys << np.uint64(ROW_BITS)

    def _ngrams(self, texts: pa.Array) -> tuple[Hashes, Hashes]:
        """Return the row and the hash of every n-gram of a slice, both uint64 (n)."""
        words = split_words(texts, self.config)
        if self.config.max_length is not None:
            words = pc.list_slice(words, 0, self.config.max_length)
        lengths = np.diff(words.offsets.to_numpy())
        word_hashes = self._look_up_hashes(words.flatten())
        word_rows = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
        rows, hashes = [word_rows], [word_hashes]
        for n in range(2, self.model.max_n + 1):
            count = max(len(word_hashes) - n + 1, 0)
            longer = _mix(hashes[-1][:count] * GOLDEN + word_hashes[len(word_hashes) - count :])
            rows.append(word_rows[:count])
            hashes.append(longer)
        whole = [row == word_rows[len(word_rows) - len(row) :] for row in rows]
        return (
            np.concatenate([row[mask] for row, mask in zip(rows, whole, strict=True)]),
            np.concatenate([value[mask] for value, mask in zip(hashes, whole, strict=True)]),
        )

    def _look_up_hashes(self, words: pa.Array) -> Hashes:
        coded = words.dictionary_encode()
        ids = self.vocabulary.look_up(coded.dictionary)
        hashes = self._known_hashes[ids]
        unknown = np.flatnonzero(ids == UNK)
        hashes[unknown] = _hash_words(coded.dictionary.take(pa.array(unknown)).to_pylist())
        looked_up: Hashes = hashes[coded.indices.to_numpy()]
        return looked_up


def _count_reviews(texts: pa.Array, config: PreprocessingConfig) -> pa.Array:
    """Return how many texts of a slice hold each word, as a struct array of values and counts."""
    words = split_words(texts, config)
    coded = words.flatten().dictionary_encode()
    rows = np.repeat(np.arange(len(words), dtype=np.uint64), np.diff(words.offsets.to_numpy()))
    keys = _sorted_distinct((rows << np.uint64(32)) | coded.indices.to_numpy().astype(np.uint64))
    counts = np.bincount((keys & np.uint64(0xFFFFFFFF)).astype(np.int64), minlength=len(coded.dictionary))
    return pa.StructArray.from_arrays([coded.dictionary, pa.array(counts)], ["values", "counts"])


def _hash_words(words: list[str]) -> Hashes:
    digests = b"".join(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest() for word in words)
    return _mix(np.frombuffer(digests, "<u8").astype(np.uint64))


def _mix(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(30))) * MIX_1
    values = (values ^ (values >> np.uint64(27))) * MIX_2
    return values ^ (values >> np.uint64(31))


def _buckets(hashes: Hashes, bucket_bits: int) -> Hashes:
    return hashes >> np.uint64(64 - bucket_bits)


def _sorted_distinct(keys: Hashes) -> Hashes:
    """Return keys sorted, each once. Sort and mask: ``np.unique`` on integers is 15 times slower in numpy 2.4."""
    keys = np.sort(keys)
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys


def _seen_often(hashes: Hashes, least: int) -> Hashes:
    """Return the hashes that occur at least ``least`` times."""
    hashes = np.sort(hashes)
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])) if len(hashes) else np.zeros(0, int)
    counts = np.diff(np.concatenate([starts, [len(hashes)]]))
    often: Hashes = hashes[starts[counts >= least]]
    return often
