"""Words, and pairs of words in a row, whose reviews are misread more often than chance allows."""

import re
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import false_discovery_control, hypergeom

from core.config import PreprocessingConfig
from core.evaluation.lift import Lift, measure_lift
from core.evaluation.words import WordCounts
from core.preprocessing.cleaning import HTML_TAG, WHITE_SPACE, map_slices, split_words
from core.preprocessing.corpus import Corpus
from core.preprocessing.encoded import EncodedTexts

# Settled before any error is looked at: a rarer word could hardly be told from chance, and each test costs the others.
LEAST_TEXTS = 20
FALSE_DISCOVERY_RATE = 0.05
# A key holds a text's row above a word or pair.
ROW_BITS, KEY_BITS = 24, 40

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """Which of N texts hold which words and which pairs of words in a row.

    Attributes:
        names: large_string (K): every word, then every pair "a b" that ``LEAST_TEXTS`` texts or more hold.
        word_count: How many of the names are words.
        words: The distinct words of each text; id i, from 1, is ``names[i - 1]``.
        pairs: Its distinct pairs among the names; id i, from 1, is ``names[word_count + i - 1]``.
    """

    names: pa.Array
    word_count: int
    words: EncodedTexts
    pairs: EncodedTexts

    def __len__(self) -> int:
        return len(self.words)

    @cached_property
    def texts_with(self) -> Counts:
        """Return how many texts hold each name, int64 (K)."""
        return self.count(np.arange(len(self)))

    def count(self, rows: Rows) -> Counts:
        """Return how many of the texts at ``rows`` hold each name, int64 (K)."""
        sizes = self.word_count, len(self.names) - self.word_count
        return np.concatenate(
            [
                np.bincount(held.take(rows).token_ids, minlength=size + 1)[1:]
                for held, size in zip((self.words, self.pairs), sizes, strict=True)
            ]
        )

    def word_counts(self, rows: Rows) -> WordCounts:
        """Return in how many of the texts at ``rows`` each of their words stands."""
        counts = self.count(rows)[: self.word_count]
        words = pa.table({"word": self.names[: self.word_count], "texts": counts}).filter(pa.array(counts > 0))
        ranked = words.sort_by([("texts", "descending"), ("word", "ascending")])
        return WordCounts(ranked["word"].combine_chunks(), ranked["texts"].to_numpy(), len(rows))


@dataclass(frozen=True)
class Term:
    """A word or pair that was found.

    Attributes:
        name: The word, or both with a space between.
        lift: Its texts, their errors, error rate and lift.
        p: One-sided: how often chance alone puts so many of the errors among its texts.
        q: The false discovery rate at which it is just found.
    """

    name: str
    lift: Lift
    p: float
    q: float


@dataclass(frozen=True)
class Discoveries:
    """What a search over all words and pairs came to.

    Attributes:
        found: By the lower end of the lift's interval, the highest first, so that neither a small lift that is certain
            nor a large one that is not leads the list; equals by alphabet.
        words_tested: Words that enough texts hold.
        pairs_tested: Pairs likewise.
    """

    found: tuple[Term, ...]
    words_tested: int
    pairs_tested: int


def collect_terms(corpus: Corpus) -> Terms:
    """Find the words and pairs of a corpus, and which of its N texts hold them.

    Two words are a pair where one follows the other in a text.

    Raises:
        ValueError: There are more than 2 ** 24 texts, or more than a million frequent words.
    """
    if len(corpus) >= 1 << ROW_BITS:
        raise ValueError(f"{len(corpus):,} texts; at most {(1 << ROW_BITS) - 1:,} can be searched")
    rows, token_ids = corpus.rows, corpus.encoded.token_ids
    word_ids, offsets = _distinct(rows, token_ids.astype(np.int64), len(corpus))
    words = EncodedTexts(word_ids.astype(np.int32), offsets)
    texts_with = np.bincount(words.token_ids, minlength=len(corpus.words) + 1)
    # A pair in enough texts is made of words in enough texts.
    frequent = np.flatnonzero(texts_with[1:] >= LEAST_TEXTS)
    base = len(frequent) + 1
    if base * base >= 1 << KEY_BITS:
        raise ValueError(f"{len(frequent):,} frequent words; at most {(1 << KEY_BITS // 2) - 1:,} can be paired")
    rank = np.zeros(len(corpus.words) + 1, np.int64)
    rank[frequent + 1] = np.arange(1, base)
    ranks = rank[token_ids]
    is_pair = (ranks[1:] > 0) & (ranks[:-1] > 0) & (rows[1:] == rows[:-1])
    keys = ranks[:-1][is_pair] * base + ranks[1:][is_pair]
    pairs, often = _keep_frequent(*_distinct(rows[1:][is_pair], keys, len(corpus)))
    first, second = (corpus.words.take(pa.array(frequent[side - 1])) for side in np.divmod(often, base))
    joined = pc.binary_join_element_wise(first, second, pa.scalar(" ", pa.large_string()))
    return Terms(pa.concat_arrays([corpus.words, joined]), len(corpus.words), words, pairs)


def find_terms(terms: Terms, wrong: Mask) -> Discoveries:
    """Find the words and pairs whose texts are misread significantly more often than the other texts.

    Each word and pair that ``LEAST_TEXTS`` texts or more hold is tested with Fisher's exact test, one-sided. The
    procedure of Benjamini & Hochberg (1995, JRSS B 57) over all of them together keeps the expected share of chance
    finds among the found at 5 %; where errors fall by chance alone, something is found in at most one search of 20.

    Args:
        terms: Of N texts.
        wrong: Which of them are misread, bool (N).
    """
    n, errors = terms.texts_with, terms.count(np.flatnonzero(wrong))
    tested = np.flatnonzero(n >= LEAST_TEXTS)
    words_tested = int((tested < terms.word_count).sum())
    if not len(tested):
        return Discoveries((), 0, 0)
    p = upper_tails(errors[tested], n[tested], int(wrong.sum()), len(wrong))
    q = false_discovery_control(p)
    chosen = np.flatnonzero(q <= FALSE_DISCOVERY_RATE)
    names = terms.names.take(pa.array(tested[chosen])).to_pylist()
    found = [
        Term(name, measure_lift(int(n[place]), int(errors[place]), len(wrong), int(wrong.sum())), float(p_), float(q_))
        for name, place, p_, q_ in zip(names, tested[chosen], p[chosen], q[chosen], strict=True)
    ]
    # One that holds all errors has no lift, and comes first.
    found.sort(key=lambda term: (-np.inf if term.lift.low is None else -term.lift.low, term.name))
    return Discoveries(tuple(found), words_tested, len(tested) - words_tested)


def upper_tails(errors: Counts, n: Counts, all_errors: int, all_n: int) -> Floats:
    """Return how often chance puts at least so many errors among n of all texts, float64 (K).

    Args:
        errors: int64 (K).
        n: int64 (K).
        all_errors: Errors among all texts.
        all_n: All texts.
    """
    # Most words share their two numbers with many others.
    codes, places = np.unique(n * (all_n + 1) + errors, return_inverse=True)
    distinct_n, distinct_errors = np.divmod(codes, all_n + 1)
    tails = hypergeom.sf(distinct_errors - 1, all_n, all_errors, distinct_n)
    # Rounding may leave a tail a hair outside its range.
    return np.asarray(np.clip(tails, 0.0, 1.0)[places])


def texts_holding(texts: pa.Array, term: str, config: PreprocessingConfig) -> Mask:
    """Tell which texts hold a word, or words in a row, as whole words once a model's cleaning has cut them.

    Args:
        texts: large_string (N).
        term: Cut like a text; when nothing is left of it, no text holds it.
        config: How texts become words; ``max_length`` does not apply.

    Returns:
        bool (N).
    """
    words = split_words(pa.array([term], pa.large_string()), config)[0].as_py()
    if not words:
        return np.zeros(len(texts), np.bool_)
    found = map_slices(texts, partial(_holding, words=words, config=config))
    return np.concatenate([np.zeros(0, np.bool_), *found])


def _holding(texts: pa.Array, words: list[str], config: PreprocessingConfig) -> Mask:
    """Search for words in a row without cutting the texts into words, which takes five times as long."""
    texts = pc.utf8_lower(texts) if config.lowercase else texts
    is_letters = config.characters == "letters"
    # What is neither letter nor white space is dropped, and may have stood inside a word.
    spelt = [f"[^A-Za-z{WHITE_SPACE}]*".join(map(re.escape, word)) if is_letters else re.escape(word) for word in words]
    found = np.zeros(len(texts), np.bool_)
    # A quick look first: most texts lack most words, and tags take the longest.
    maybe = np.flatnonzero(np.all([_matches(texts, word) for word in spelt], axis=0))
    candidates = texts.take(pa.array(maybe))
    if config.strip_html:
        candidates = pc.replace_substring_regex(candidates, HTML_TAG, " ")
    found[maybe] = _matches(candidates, _in_letters(spelt) if is_letters else _in_punctuation(words))
    return found


def _in_letters(spelt: list[str]) -> str:
    """Return what matches words in a row where only letters are kept and white space alone parts words."""
    edge = f"(?:^|[{WHITE_SPACE}])[^A-Za-z{WHITE_SPACE}]*", f"[^A-Za-z{WHITE_SPACE}]*(?:[{WHITE_SPACE}]|$)"
    return edge[0] + f"[^A-Za-z]*[{WHITE_SPACE}][^A-Za-z]*".join(spelt) + edge[1]


def _in_punctuation(words: list[str]) -> str:
    """Return what matches words in a row where each sign that is no part of a word is a word of its own."""
    is_sign = [re.fullmatch("[A-Za-z0-9']+", word) is None for word in words]
    pattern = "" if is_sign[0] else "(?:^|[^A-Za-z0-9'])"
    for place, word in enumerate(words):
        if place:
            pattern += f"[{WHITE_SPACE}]{'*' if is_sign[place - 1] or is_sign[place] else '+'}"
        pattern += re.escape(word)
    return pattern if is_sign[-1] else pattern + "(?:[^A-Za-z0-9']|$)"


def _matches(texts: pa.Array, pattern: str) -> Mask:
    return np.asarray(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False), np.bool_)


def _distinct(rows: Rows, keys: NDArray[np.int64], n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct keys, below 2 ** 40, of each of n texts end to end, and the offsets (n + 1) of the texts."""
    codes = np.sort((rows << KEY_BITS) | keys)
    if len(codes):
        codes = codes[np.concatenate([[True], codes[1:] != codes[:-1]])]
    counts = np.bincount(codes >> KEY_BITS, minlength=n)
    return codes & ((1 << KEY_BITS) - 1), np.concatenate([[0], np.cumsum(counts)])


def _keep_frequent(keys: NDArray[np.int64], offsets: NDArray[np.int64]) -> tuple[EncodedTexts, NDArray[np.int64]]:
    """Return each text's keys that enough texts hold, numbered from 1, and what each number stood for before."""
    ordered = np.sort(keys)
    is_first = np.concatenate([[True], ordered[1:] != ordered[:-1]]) if len(keys) else np.zeros(0, np.bool_)
    starts = np.flatnonzero(is_first)
    often = ordered[starts[np.diff(np.append(starts, len(keys))) >= LEAST_TEXTS]]
    places = np.searchsorted(often, keys)
    is_kept = np.append(often, -1)[places] == keys
    kept_offsets = np.concatenate([[0], np.cumsum(is_kept)])[offsets]
    return EncodedTexts((places[is_kept] + 1).astype(np.int32), kept_offsets), often
