"""What is in a data set before anything is trained on it: balance, lengths, duplicates, words, the first batch.

A profile holds counts, row numbers and single words, never a review: ``view_batch`` puts the texts of the first batch
together again from the data itself.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import Field

from core.config import PreprocessingConfig, RunConfig, Section
from core.data.labelled import LabelledTexts, draw_rows
from core.data.sources import choose_split
from core.evaluation.words import WordLean, count_words, frequent_words, one_sided_words
from core.models.catalog import fit_encoder
from core.preprocessing.batching import epoch_batches
from core.preprocessing.cleaning import count_words_each, split_words
from core.preprocessing.encoders import Encoder, count_words_read

SPLITS = ("train", "valid", "test")
BINS = 40
BIN_WIDTHS = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1_000)
BATCH_TEXTS = 8
WORDS = 12
FREQUENT_WORDS = 20
# Which texts share a batch hangs on how many known n-grams each has, which takes 5 kB and 0.14 ms a film review to find
# out; with more reviews than this it is not a quick look any more.
MOST_FITTED_NGRAMS = 100_000

Lengths = NDArray[np.int64]


class SplitProfile(Section):
    """The figures of one split.

    A text is empty when preprocessing leaves no word of it, and cut when it has more words than ``max_length``, or more
    pieces where those are counted. Words are counted before the cut. Two texts are duplicates when they agree in every
    character.
    """

    n: int
    positive: int
    empty: int
    cut: int
    median: int = Field(description="Words; 0 without a text, as the three below.")
    p90: int
    p99: int
    longest: int
    whole_by_length: tuple[int, ...] = Field(description="Texts that are read whole, by bin; the last bin is open.")
    cut_by_length: tuple[int, ...] = Field(description="Texts that lose their end, by bin.")
    repeated: int = Field(description="Distinct texts that stand more than once in this split.")
    copies: int = Field(description="Rows beyond the first of each such text.")
    contradicting: int = Field(description="Of those distinct texts, how many carry both labels.")


class SharedTexts(Section):
    """Rows of one split whose text stands in another one too, letter for letter."""

    rows: int
    contradicting: int = Field(description="Of those, how many have a label that no copy in the other split has.")


class BatchText(Section):
    """A text of the first batch, by its row.

    ``row`` counts from 0 in the train split as ``choose_split`` gives it; ``read`` of its words come before the cut;
    ``unknown`` are the places of those among them that are not known.
    """

    row: int
    words: int
    read: int
    unknown: tuple[int, ...]


class FirstBatch(Section):
    """The first batch of the first epoch: its first texts, how many it has, and the words read of its longest."""

    texts: tuple[BatchText, ...]
    size: int
    longest: int


class DataProfile(Section):
    """What a run of a config would learn from.

    Attributes:
        splits: train, valid and test; valid is cut off train as the run would cut it.
        bin_width: Words; bin i of a split's lengths holds i * bin_width words and more, below the next bin.
        train_valid: Rows of valid that also stand in train.
        train_test: Rows of test that also stand in the data's whole training split, train and valid together.
        frequent: Words of train by the texts that hold them.
        one_sided: Words of train that lean to one label, above 0 to positive; the most certain first.
        first_batch: None where it is not worked out; ``no_batch`` says why.
        no_batch: That sentence.
    """

    splits: dict[str, SplitProfile]
    bin_width: int
    train_valid: SharedTexts
    train_test: SharedTexts
    frequent: tuple[tuple[str, int], ...]
    one_sided: tuple[WordLean, ...]
    first_batch: FirstBatch | None
    no_batch: str = ""


@dataclass(frozen=True)
class TextView:
    """A text as the model gets it.

    Attributes:
        label: 0 negative, 1 positive.
        words: The words that are read, in order.
        is_known: Whether each is known.
        cut: The words after the cut.
    """

    label: int
    words: tuple[str, ...]
    is_known: tuple[bool, ...]
    cut: tuple[str, ...]


def profile_data(
    splits: Mapping[str, LabelledTexts],
    config: RunConfig,
    on_phase: Callable[[str, int], None] = lambda phase, total: None,
) -> DataProfile:
    """Look at a data set the way a run of ``config`` would read it.

    Args:
        splits: ``train`` and ``test`` as ``core.data.sources.load_columns`` gives them; either may be empty.
        config: Its preprocessing, model, seed, validation share and batch size count; nothing is trained.
        on_phase: Is told what happens just now, with the number of texts.
    """
    parts = {name: choose_split(splits, name, config) for name in SPLITS}
    total = sum(map(len, parts.values()))
    on_phase("Counting words", total)
    lengths = {name: count_words_each(part.texts, config.preprocessing) for name, part in parts.items()}
    bin_width = choose_bin_width(np.concatenate(list(lengths.values())))
    on_phase("Looking for duplicates", total)
    codes = _number_texts(parts)
    train = parts["train"]
    is_cut = _find_cut(parts, lengths, config)
    profiles = {
        name: _profile_split(parts[name].labels, lengths[name], codes[name], is_cut[name], bin_width) for name in SPLITS
    }
    whole = np.concatenate([codes["train"], codes["valid"]]), np.concatenate([parts[n].labels for n in SPLITS[:2]])
    on_phase("Comparing the words of both labels", len(train))
    negative, positive = (
        count_words(train.take(np.flatnonzero(train.labels == label)).texts, config.preprocessing) for label in (0, 1)
    )
    everything = count_words(train.texts, config.preprocessing)
    on_phase("Putting the first batch together", len(train))
    first_batch, no_batch = _find_first_batch(train, config)
    return DataProfile(
        splits=profiles,
        bin_width=bin_width,
        train_valid=_count_shared(codes["train"], train.labels, codes["valid"], parts["valid"].labels),
        train_test=_count_shared(*whole, codes["test"], parts["test"].labels),
        frequent=tuple(frequent_words(everything, FREQUENT_WORDS)),
        one_sided=tuple(one_sided_words(negative, positive, most=WORDS)),
        first_batch=first_batch,
        no_batch=no_batch,
    )


def choose_bin_width(lengths: Lengths) -> int:
    """Return a round number of words, such that about ``BINS`` bins hold 99 texts in 100."""
    most = float(np.quantile(lengths, 0.99)) if len(lengths) else 0.0
    return next((width for width in BIN_WIDTHS if width * BINS >= most), BIN_WIDTHS[-1])


def _find_cut(
    parts: Mapping[str, LabelledTexts], lengths: Mapping[str, Lengths], config: RunConfig
) -> dict[str, NDArray[np.bool_]]:
    """Tell for each split, given the words of its texts, which of them lose their end, bool (N)."""
    most = config.preprocessing.max_length
    if most is None:
        return {name: np.zeros(len(each), np.bool_) for name, each in lengths.items()}
    if config.preprocessing.tokens == "words":
        return {name: each > most for name, each in lengths.items()}
    encoder = fit_encoder(parts["train"].texts, config)
    return {name: encoder.full_lengths(part.texts) > most for name, part in parts.items()}


def _profile_split(
    labels: NDArray[np.int64],
    lengths: Lengths,
    codes: NDArray[np.int64],
    is_cut: NDArray[np.bool_],
    bin_width: int,
) -> SplitProfile:
    bins = np.minimum(lengths // bin_width, BINS)
    whole_by_length, cut_by_length = (
        tuple(np.bincount(bins[chosen], minlength=BINS + 1).tolist()) for chosen in (~is_cut, is_cut)
    )
    median, p90, p99, longest = (
        np.quantile(lengths, (0.5, 0.9, 0.99, 1.0), method="higher").tolist() if len(lengths) else (0, 0, 0, 0)
    )
    times = np.bincount(codes)
    positives = np.bincount(codes[labels == 1], minlength=len(times))
    return SplitProfile(
        n=len(labels),
        positive=int(labels.sum()),
        empty=int((lengths == 0).sum()),
        cut=int(is_cut.sum()),
        median=median,
        p90=p90,
        p99=p99,
        longest=longest,
        whole_by_length=whole_by_length,
        cut_by_length=cut_by_length,
        repeated=int((times > 1).sum()),
        copies=int((times[times > 1] - 1).sum()),
        contradicting=int(((positives > 0) & (positives < times)).sum()),
    )


def _number_texts(parts: Mapping[str, LabelledTexts]) -> dict[str, NDArray[np.int64]]:
    """Return a number for each text of each split, the same for equal texts."""
    coded = pa.concat_arrays([part.texts for part in parts.values()]).dictionary_encode()
    numbers = coded.indices.to_numpy().astype(np.int64)
    ends = np.cumsum([len(part) for part in parts.values()])
    return dict(zip(parts, np.split(numbers, ends[:-1]), strict=True))


def _count_shared(
    codes: NDArray[np.int64],
    labels: NDArray[np.int64],
    other_codes: NDArray[np.int64],
    other_labels: NDArray[np.int64],
) -> SharedTexts:
    """Count the rows of the other split whose text stands in this one, and those that no copy agrees with."""
    is_shared = np.isin(other_codes, codes)
    agrees = np.isin(2 * other_codes + other_labels, 2 * codes + labels)
    return SharedTexts(rows=int(is_shared.sum()), contradicting=int((is_shared & ~agrees).sum()))


def _find_first_batch(train: LabelledTexts, config: RunConfig) -> tuple[FirstBatch | None, str]:
    """Return the first batch that a run would train on, or why it is not worked out."""
    if not len(train):
        return None, "There is no review to train on."
    if config.model.kind in ("ngram", "document_vectors") and len(train) > MOST_FITTED_NGRAMS:
        return None, (
            f"Of more than {MOST_FITTED_NGRAMS:,} reviews the first batch of an n-gram model is not worked out here: "
            "it would take as long as the first part of the training."
        )
    training = config.training
    kept = draw_rows(train.labels, config.data.limit or len(train), training.seed)
    encoder = fit_encoder(train.texts, config)
    sizes = encoder.encode(train.texts.take(pa.array(kept))).lengths
    batch = kept[epoch_batches(sizes, training.batch_size, training.seed, epoch=1)[0]]
    words = split_words(train.texts.take(pa.array(batch)), config.preprocessing)
    texts = tuple(
        _look_at(row, train.texts[row].as_py(), each.values, encoder)
        for row, each in zip(batch[:BATCH_TEXTS].tolist(), words, strict=False)
    )
    lengths, most = encoder.full_lengths(train.texts.take(pa.array(batch))), config.preprocessing.max_length
    longest = int(lengths.max() if most is None else np.minimum(lengths, most).max())
    return FirstBatch(texts=texts, size=len(batch), longest=longest), ""


def _look_at(row: int, text: str, words: pa.Array, encoder: Encoder) -> BatchText:
    read = count_words_read(encoder, text)
    unknown = tuple(np.flatnonzero(~encoder.knows(words[:read])).tolist())
    return BatchText(row=row, words=len(words), read=read, unknown=unknown)


def view_batch(train: LabelledTexts, batch: FirstBatch, config: PreprocessingConfig) -> list[TextView]:
    """Return the texts of a profile's first batch as the model gets them: words, which are unknown, what is cut off.

    Args:
        train: The train split, as ``choose_split`` gives it.
        batch: The profile's.
        config: The one the profile was made with.
    """
    rows = np.array([text.row for text in batch.texts], np.int64)
    chosen = train.take(rows)
    views = []
    for label, words, text in zip(
        chosen.labels.tolist(), split_words(chosen.texts, config).to_pylist(), batch.texts, strict=True
    ):
        read = words[: text.read]
        unknown = set(text.unknown)
        is_known = tuple(place not in unknown for place in range(len(read)))
        views.append(TextView(label, tuple(read), is_known, tuple(words[len(read) :])))
    return views


def pick_examples(labels: NDArray[np.int64], each: int, seed: int) -> NDArray[np.int64]:
    """Return row numbers of ``each`` texts a label at most, negative and positive in turn, drawn by seed."""
    draw = np.random.default_rng(seed)
    drawn = [draw.permutation(np.flatnonzero(labels == label))[:each].tolist() for label in (0, 1)]
    pairs = zip_longest(*drawn)
    return np.array([row for pair in pairs for row in pair if row is not None], np.int64)


def length_bins(profile: DataProfile, names: Sequence[str]) -> tuple[Lengths, Lengths]:
    """Return texts read whole and texts cut, by bin of length, of some splits together, int64 (bins) each."""
    whole = np.sum([profile.splits[name].whole_by_length for name in names], axis=0)
    cut = np.sum([profile.splits[name].cut_by_length for name in names], axis=0)
    return whole, cut
