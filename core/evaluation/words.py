"""Which words stand in one group of texts more than in another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import PreprocessingConfig
from core.evaluation.intervals import Z
from core.preprocessing.cleaning import map_slices
from core.preprocessing.ngrams import _count_reviews

PRIOR_SHARE = 0.1
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class WordCounts:
    """In how many texts each word stands.

    Attributes:
        words: large_string (W), each once; most frequent first, equals by alphabet.
        texts_with: In how many texts each stands, int64 (W); a text counts once, however often it holds the word.
        n: All texts, those without a word too.
    """

    words: pa.Array
    texts_with: Counts
    n: int


@dataclass(frozen=True)
class WordLean:
    """How far a word leans to group B (above 0) or to group A (below 0).

    Attributes:
        word: The word.
        log_odds: Natural logarithm of its odds in B over its odds in A, shrunk towards 0 by the prior.
        low: Lower end of the 95 % interval of ``log_odds``.
        high: Upper end.
        z: ``log_odds`` in standard errors.
        in_a: Texts of A that hold it.
        in_b: Texts of B that hold it.
    """

    word: str
    log_odds: float
    low: float
    high: float
    z: float
    in_a: int
    in_b: int


def count_words(texts: pa.Array, config: PreprocessingConfig) -> WordCounts:
    """Count in how many texts each word stands.

    Args:
        texts: large_string (N); N may be 0, then there are no words.
        config: How texts become words. Every word of a text counts: ``max_length``, ``max_words`` and
            ``min_frequency`` are the model's limits and do not apply.
    """
    parts = map_slices(texts, partial(_count_reviews, config=config))
    totals = _add_up(_table(part.field("values"), texts=part.field("counts")) for part in parts)
    ranked = totals.sort_by([("texts", "descending"), ("word", "ascending")])
    return WordCounts(ranked["word"].combine_chunks(), ranked["texts"].to_numpy(), len(texts))


def add_counts(counts: Sequence[WordCounts]) -> WordCounts:
    """Return the counts of several groups of texts together; of none, no words."""
    totals = _add_up(_table(each.words, texts=each.texts_with) for each in counts)
    ranked = totals.sort_by([("texts", "descending"), ("word", "ascending")])
    return WordCounts(ranked["word"].combine_chunks(), ranked["texts"].to_numpy(), sum(each.n for each in counts))


def one_sided_words(
    counts_a: WordCounts, counts_b: WordCounts, most: int = 20, least_texts: int = 20
) -> list[WordLean]:
    """Return the words that tell two groups of texts apart, the most certain first.

    This is the weighted log-odds ratio with an informative Dirichlet prior of Monroe, Colaresi & Quinn (2008,
    "Fightin' Words", Political Analysis 16). A group's observations are its (text, word) pairs, so that a group of
    longer texts does not seem to favour every word. With y of the group's n pairs on the word and the prior's a of
    a0, the word's odds there are (y + a) / (n + a0 - y - a), and the variance of the difference of their logarithms
    is about 1 / (y_a + a) + 1 / (y_b + a). The prior is the frequency in both groups together, scaled to a total
    weight a0 of a tenth of the smaller group's pairs: a word that a group lacks by chance is then held to lean little.
    Each interval is that of its word alone: among thousands of words, some reach an absolute z of 4 by chance.

    Args:
        counts_a: Group A.
        counts_b: Group B.
        most: How many words at most lean to either group.
        least_texts: Words in fewer texts of both groups together are left out; they still count in n.

    Returns:
        Words by falling absolute z, equals by alphabet; empty when a group has no word, or when there is one word in
        all, which has no odds.
    """
    totals = _add_up(
        [
            _table(counts_a.words, a=counts_a.texts_with, b=np.zeros_like(counts_a.texts_with)),
            _table(counts_b.words, a=np.zeros_like(counts_b.texts_with), b=counts_b.texts_with),
        ]
    )
    if not len(counts_a.words) or not len(counts_b.words) or len(totals) < 2:
        return []
    log_odds, error = _weigh(totals["a"].to_numpy(), totals["b"].to_numpy())
    # Rounded, so that mirrored counts are equals, which they are but for the last digit.
    weighed = totals.append_column("log_odds", pa.array(log_odds)).append_column("error", pa.array(error))
    weighed = weighed.append_column("size", pa.array(np.abs(log_odds / error).round(9)))
    kept = weighed.filter(pc.greater_equal(pc.add(weighed["a"], weighed["b"]), least_texts))
    ranked = kept.sort_by([("size", "descending"), ("word", "ascending")])
    leans = ranked["log_odds"].to_numpy()
    rows = np.sort(np.concatenate([np.flatnonzero(side)[:most] for side in (leans < 0, leans > 0)]))
    return [_word_lean(**row) for row in ranked.take(pa.array(rows)).drop_columns("size").to_pylist()]


def frequent_words(counts: WordCounts, most: int = 20) -> list[tuple[str, int]]:
    """Return the ``most`` most frequent words and in how many texts each stands; none gives an empty list."""
    return list(zip(counts.words[:most].to_pylist(), counts.texts_with[:most].tolist(), strict=True))


def _table(words: pa.Array, **counts: pa.Array | Counts) -> pa.Table:
    return pa.table({"word": words.cast(pa.large_string()), **{name: pa.array(each) for name, each in counts.items()}})


def _add_up(tables: Iterable[pa.Table]) -> pa.Table:
    """Return one row a word, the sums of its rows in all tables."""
    empty = _table(pa.array([], pa.large_string()), texts=np.zeros(0, np.int64))
    parts = list(tables) or [empty]
    names = parts[0].column_names[1:]
    sums = pa.concat_tables(parts).group_by("word").aggregate([(name, "sum") for name in names])
    return sums.select(["word", *(f"{name}_sum" for name in names)]).rename_columns(["word", *names])


def _weigh(in_a: Counts, in_b: Counts) -> tuple[Floats, Floats]:
    """Return each word's log-odds ratio, B over A, and its standard error, float64 (W)."""
    together, (n_a, n_b) = in_a + in_b, (in_a.sum(), in_b.sum())
    weight = PRIOR_SHARE * min(n_a, n_b)
    prior = weight * together / together.sum()
    logits_a, logits_b = (
        np.log((held + prior) / (n - held + weight - prior)) for held, n in ((in_a, n_a), (in_b, n_b))
    )
    return logits_b - logits_a, np.sqrt(1 / (in_a + prior) + 1 / (in_b + prior))


def _word_lean(word: str, a: int, b: int, log_odds: float, error: float) -> WordLean:
    half = Z * error
    return WordLean(word, log_odds, log_odds - half, log_odds + half, log_odds / error, a, b)
