"""Byte-pair pieces: frequent words stay whole, rare ones are put together from frequent pieces.

Sennrich, Haddow & Birch (2016), "Neural Machine Translation of Rare Words with Subword Units": beginning with single
characters, the pair of neighbours that is seen most often becomes a piece of its own, again and again. Here the pairs
are counted within the words that cleaning gives; a piece that goes on within a word is written with ``##`` before it.
"""

import json
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from itertools import chain
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from tokenizers import Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from tokenizers.trainers import BpeTrainer

from core.config import PreprocessingConfig
from core.errors import ModelFileError
from core.preprocessing.cleaning import SLICE_ROWS, as_text_array, map_slices, split_words
from core.preprocessing.corpus import cut_corpus
from core.preprocessing.encoded import EncodedTexts, concatenate
from core.preprocessing.encoders import Arrays, VocabularyAccess
from core.preprocessing.vocabulary import SPECIAL_TOKENS, UNK, Vocabulary, total_counts

GOES_ON = "##"
LONGEST_WORD = 100  # characters; what is longer is no word of any language, and reads as one unknown piece
LONGEST_PIECE = LONGEST_WORD + len(GOES_ON)
Merges = NDArray[np.int32]


class BytePairEncoder(VocabularyAccess):
    """A few ids a word, in reading order, the end cut off at ``max_length`` pieces.

    Args:
        vocabulary: The pieces; a piece's place is its id, as a word's is in other vocabularies.
        merges: int32 (M, 2), ids of the pieces that are joined, in the order in which they are.
        config: How texts become words, and words pieces.
    """

    def __init__(self, vocabulary: Vocabulary, merges: Merges, config: PreprocessingConfig) -> None:
        self.vocabulary = vocabulary
        self.merges = merges
        self.config = config

    @classmethod
    def fit(cls, texts: pa.Array, config: PreprocessingConfig) -> Self:
        """Learn the pieces of training texts (N): the same whatever the order of the texts, and on any machine."""
        parts = map_slices(texts, lambda piece: split_words(piece, config).flatten().value_counts())
        totals = total_counts(parts).sort_by("word")
        counts = dict(zip(totals["word"].to_pylist(), totals["count_sum"].to_pylist(), strict=True))
        characters = _frequent_characters(counts, config)
        known = set(characters)
        readable = {
            word: count
            for word, count in counts.items()
            if len(word) <= LONGEST_WORD and known.issuperset(_spell(word))
        }
        return cls(*_learn(readable, characters, config), config)._by_frequency(readable)

    @property
    def size(self) -> int:
        return len(self.vocabulary)

    def encode(self, texts: pa.Array) -> EncodedTexts:
        spelt = self._spell_texts(texts)
        return spelt if self.config.max_length is None else cut_ends(spelt, self.config.max_length)

    def knows(self, words: pa.Array) -> NDArray[np.bool_]:
        """Return whether words (n) can be put together from the pieces, bool (n)."""
        spelt = self._spell_words(words)
        unknown_before = np.concatenate([[0], np.cumsum(spelt.token_ids == UNK)])
        known: NDArray[np.bool_] = unknown_before[spelt.offsets[1:]] == unknown_before[spelt.offsets[:-1]]
        return known

    def full_lengths(self, texts: pa.Array) -> NDArray[np.int64]:
        return self._spell_texts(texts).lengths

    def word_of_token(self, text: str) -> NDArray[np.int64]:
        words = split_words(as_text_array([text]), self.config)
        lengths = self._spell_words(words.flatten()).lengths
        return np.repeat(np.arange(len(lengths)), lengths)[: self.config.max_length]

    def arrays(self) -> Arrays:
        return {
            "vocabulary": np.frombuffer(self.vocabulary.to_json(), np.uint8),
            "merges": np.frombuffer(self.merges.astype("<i4").tobytes(), np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays, config: PreprocessingConfig) -> Self:
        """Put an encoder together again from ``arrays``, which may come from a stranger.

        Raises:
            ModelFileError: They are not pieces, and pairs of pieces that make a piece.
        """
        vocabulary, data = Vocabulary.from_json(arrays["vocabulary"].tobytes()), arrays["merges"].tobytes()
        if len(vocabulary.words) > config.max_words:
            raise ModelFileError(
                f"it holds {len(vocabulary.words):,} pieces; at most {config.max_words:,} belong to it"
            )
        if len(data) % 8:
            raise ModelFileError(f"its merges have {len(data):,} bytes; each should have 8")
        merges = np.frombuffer(data, "<i4").astype(np.int32).reshape(-1, 2)
        _check_pieces(vocabulary, merges)
        return cls(vocabulary, merges, config)

    def _spell_texts(self, texts: pa.Array) -> EncodedTexts:
        """Return all pieces of texts (N); each distinct word is spelt once."""
        corpus = cut_corpus(texts, self.config)
        spelt = self._spell_words(corpus.words)
        return concatenate([
            _join_words(spelt, corpus.encoded.take(np.arange(start, min(start + SLICE_ROWS, len(corpus)))))
            for start in range(0, len(corpus), SLICE_ROWS)
        ])  # fmt: skip

    def _spell_words(self, words: pa.Array) -> EncodedTexts:
        """Return the pieces of words (n), at least one each."""
        written = [word if len(word) <= LONGEST_WORD else "" for word in words.to_pylist()]
        spelt = [found.ids or [UNK] for found in self._tokenizer.encode_batch_fast(written, add_special_tokens=False)]
        offsets = np.cumsum([0, *map(len, spelt)], dtype=np.int64)
        return EncodedTexts(np.fromiter(chain.from_iterable(spelt), np.int32, int(offsets[-1])), offsets)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        pieces = list(self.vocabulary)
        merges = [(pieces[left], pieces[right]) for left, right in self.merges.tolist()]
        ids = {piece: token_id for token_id, piece in enumerate(pieces)}
        return Tokenizer(BPE(ids, merges, unk_token=SPECIAL_TOKENS[UNK], continuing_subword_prefix=GOES_ON))

    def _by_frequency(self, counts: Mapping[str, int]) -> Self:
        """Return the same pieces, the most frequent first, given how often each word was seen."""
        spelt = self._spell_words(pa.array(list(counts), pa.large_string()))
        times = np.repeat(np.fromiter(counts.values(), np.int64, len(counts)), spelt.lengths)
        seen = np.bincount(spelt.token_ids, times, self.size)[len(SPECIAL_TOKENS) :]
        words = self.vocabulary.words
        order = sorted(range(len(words)), key=lambda place: (-seen[place], words[place]))
        moved = np.arange(self.size, dtype=np.int32)
        moved[np.array(order, np.int64) + len(SPECIAL_TOKENS)] = np.arange(len(SPECIAL_TOKENS), self.size)
        return type(self)(Vocabulary([words[place] for place in order]), moved[self.merges], self.config)


def cut_ends(texts: EncodedTexts, most: int) -> EncodedTexts:
    """Return the first ``most`` tokens of each text."""
    places = np.arange(len(texts.token_ids)) - np.repeat(texts.offsets[:-1], texts.lengths)
    offsets = np.concatenate([[0], np.cumsum(np.minimum(texts.lengths, most))])
    return EncodedTexts(texts.token_ids[places < most], offsets)


def _join_words(spelt: EncodedTexts, texts: EncodedTexts) -> EncodedTexts:
    """Return texts of words as texts of pieces; word i, from 1, is spelt as ``spelt`` says at i - 1."""
    pieces = spelt.take(texts.token_ids.astype(np.int64) - 1)
    return EncodedTexts(pieces.token_ids, pieces.offsets[texts.offsets])


def _spell(word: str) -> list[str]:
    """Return a word as its single characters, the shortest pieces."""
    return [word[0], *(GOES_ON + character for character in word[1:])]


def _frequent_characters(counts: Mapping[str, int], config: PreprocessingConfig) -> list[str]:
    """Return the pieces of one character that were seen often enough, the most frequent first."""
    seen: Counter[str] = Counter()
    for word, count in counts.items():
        for piece in _spell(word[:LONGEST_WORD]):
            seen[piece] += count
    frequent = [piece for piece, count in seen.items() if count >= config.min_frequency]
    return sorted(frequent, key=lambda piece: (-seen[piece], piece))[: config.max_words]


def _learn(counts: Mapping[str, int], characters: list[str], config: PreprocessingConfig) -> tuple[Vocabulary, Merges]:
    """Return the pieces that words, each seen so many times, are made of, and how they are put together."""
    special = list(SPECIAL_TOKENS)
    tokenizer = Tokenizer(BPE(unk_token=SPECIAL_TOKENS[UNK], continuing_subword_prefix=GOES_ON))
    tokenizer.pre_tokenizer = Split(" ", "removed")
    # The trainer also makes a piece of each character that goes on within a word, as if it began one.
    never_first = set("".join(word[1:] for word in counts)) - set(characters)
    # Characters that the trainer comes upon by itself get numbers in an order that changes from run to run, and of two
    # pairs seen equally often the numbers decide; special tokens have theirs from the start.
    trainer = BpeTrainer(
        vocab_size=len(special) + config.max_words + len(never_first), min_frequency=config.min_frequency,
        special_tokens=special + characters, continuing_subword_prefix=GOES_ON, show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator((f"{word} " * count for word, count in counts.items()), trainer)
    learnt = json.loads(tokenizer.to_str())["model"]
    vocabulary = Vocabulary(sorted(learnt["vocab"].keys() - set(special) - never_first))
    ids = [[vocabulary[left], vocabulary[right]] for left, right in learnt["merges"]]
    return vocabulary, np.array(ids, np.int32).reshape(-1, 2)


def _check_pieces(vocabulary: Vocabulary, merges: Merges) -> None:
    """Refuse what a tokenizer cannot be built from."""
    pieces = list(vocabulary)
    known = set(vocabulary.words)
    if not known.isdisjoint([*SPECIAL_TOKENS, GOES_ON]) or not all(0 < len(word) <= LONGEST_PIECE for word in known):
        raise ModelFileError(f"one of its pieces is empty, longer than {LONGEST_PIECE} characters, or no piece at all")
    if len(merges) and not len(SPECIAL_TOKENS) <= merges.min() <= merges.max() < len(pieces):
        raise ModelFileError("its merges name a piece that it does not hold")
    if len(set(map(tuple, merges.tolist()))) != len(merges):
        raise ModelFileError("its merges hold a pair twice")
    for left, right in merges.tolist():
        if not pieces[right].startswith(GOES_ON) or pieces[left] + pieces[right].removeprefix(GOES_ON) not in known:
            raise ModelFileError("its merges join pieces to one that it does not hold")
