import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from core.config import (
    DataConfig,
    PreprocessingConfig,
    RunConfig,
    TrainingConfig,
    preset_config,
    with_data,
    with_settings,
)
from core.data.labelled import LabelledTexts, draw_rows
from core.data.sources import choose_split, load_columns
from core.evaluation.profile import (
    BINS,
    SPLITS,
    DataProfile,
    choose_bin_width,
    length_bins,
    pick_examples,
    profile_data,
    view_batch,
)
from core.models.catalog import fit_encoder
from core.preprocessing.batching import epoch_batches
from core.preprocessing.encoders import WordEncoder, count_words_read
from tests.texts import invent_reviews

SMALL = ["model.bucket_bits=14", "model.min_reviews=1", "preprocessing.max_words=15", "training.batch_size=15"]
FAST = with_settings(preset_config("fast"), SMALL)
COMPACT = with_settings(
    preset_config("compact"), ["preprocessing.max_length=20", "preprocessing.max_words=15", "training.batch_size=15"]
)
SPLIT = {"train": invent_reviews(200), "test": invent_reviews(80, seed=1)}


def texts(rows: list[tuple[str, int]]) -> LabelledTexts:
    return LabelledTexts(
        pa.array([text for text, _ in rows], pa.large_string()), np.array([label for _, label in rows], np.int64)
    )


def whole(**splits: LabelledTexts) -> DataProfile:
    """Profile splits of which nothing is cut off for validation."""
    config = RunConfig(data=DataConfig(validation_fraction=0.0), preprocessing=PreprocessingConfig(max_length=3))
    return profile_data({"train": texts([]), "test": texts([]), **splits}, config)


def test_splits_are_counted_as_the_run_would_cut_them() -> None:
    profile = profile_data(SPLIT, COMPACT)
    for name in SPLITS:
        part = choose_split(SPLIT, name, COMPACT)
        assert (profile.splits[name].n, profile.splits[name].positive) == (len(part), int(part.labels.sum()))
    assert [profile.splits[name].n for name in SPLITS] == [180, 20, 80]


def test_lengths_are_of_words_before_the_cut() -> None:
    rows = [
        ("one", 0),
        ("one two three", 1),
        ("one two three four", 0),
        ("<br /> 12 !", 1),
        ("", 1),
        (" ".join("abcdefg"), 0),
    ]
    split = whole(train=texts(rows)).splits["train"]
    assert (split.n, split.positive, split.empty, split.cut) == (6, 3, 2, 2)
    assert (split.median, split.p90, split.longest) == (3, 7, 7)
    assert split.whole_by_length[:8] == (2, 1, 0, 1, 0, 0, 0, 0)
    assert split.cut_by_length[:8] == (0, 0, 0, 0, 1, 0, 0, 1)


def test_lengths_add_up_to_all_texts_and_the_last_bin_is_open() -> None:
    rows = [("word " * count, 0) for count in [5] * 990 + [3_000] * 5]
    profile = whole(train=texts(rows), test=texts([("a b c d", 1)]))
    counted, cut = length_bins(profile, ["train", "test"])
    assert len(counted) == BINS + 1 and counted.sum() + cut.sum() == 996 and cut[-1] == 5
    assert profile.bin_width == 1


@pytest.mark.parametrize(("most", "width"), [(0, 1), (40, 1), (41, 2), (900, 25), (10**6, 1_000)])
def test_bins_are_round_and_hold_nearly_all(most: int, width: int) -> None:
    assert choose_bin_width(np.full(10, most)) == width


def test_duplicates_within_and_across_splits() -> None:
    train = [("a", 0), ("a", 0), ("a", 1), ("b", 1), ("b", 1), ("c", 0), ("d", 1), ("A", 0), ("a ", 0)]
    test = [("a", 0), ("b", 0), ("b", 1), ("e", 1), ("e", 1), ("c", 1)]
    profile = whole(train=texts(train), test=texts(test))
    found = profile.splits["train"]
    assert (found.repeated, found.copies, found.contradicting) == (2, 3, 1)
    found = profile.splits["test"]
    assert (found.repeated, found.copies, found.contradicting) == (2, 2, 1)
    assert (profile.train_test.rows, profile.train_test.contradicting) == (4, 2)
    assert profile.train_valid.rows == 0


def test_a_test_text_that_stands_in_validation_alone_counts_as_in_train() -> None:
    train = SPLIT["train"].take(np.arange(60))
    config = with_settings(COMPACT, ["data.validation_fraction=0.5"])
    unique = texts([(f"{text} number {'i' * row}", row % 2) for row, text in enumerate(train.texts.to_pylist())])
    valid = choose_split({"train": unique, "test": unique}, "valid", config)
    profile = profile_data({"train": unique, "test": valid}, config)
    assert profile.train_test.rows == len(valid) == 30 and profile.train_valid.rows == 0


def test_words_are_those_of_the_train_split() -> None:
    profile = profile_data(SPLIT, FAST)
    train = choose_split(SPLIT, "train", FAST)
    held = Counter(word for text in train.texts.to_pylist() for word in set(text.lower().replace("!", " ! ").split()))
    assert dict(profile.frequent).items() <= held.items() and profile.frequent[0][1] == max(held.values())
    positive = {each.word for each in profile.one_sided if each.log_odds > 0}
    negative = {each.word for each in profile.one_sided if each.log_odds < 0}
    assert {"superb", "tender"} <= positive and {"dull", "tedious"} <= negative


@pytest.mark.parametrize(
    "config", [FAST, COMPACT, with_settings(FAST, ["preprocessing.max_length=9", "data.limit=50"])]
)
def test_the_first_batch_is_the_one_that_training_takes_first(config: RunConfig) -> None:
    profile = profile_data(SPLIT, config)
    train = choose_split(SPLIT, "train", config)
    kept = draw_rows(train.labels, config.data.limit or len(train), config.training.seed)
    encoder = fit_encoder(train.texts, config)
    encoded = encoder.encode(train.take(kept).texts)
    first = epoch_batches(encoded.lengths, config.training.batch_size, config.training.seed, 1)[0]
    batch = profile.first_batch
    assert batch is not None and batch.size == len(first)
    assert [text.row for text in batch.texts] == kept[first][:8].tolist()
    for text, view in zip(batch.texts, view_batch(train, batch, config.preprocessing), strict=True):
        assert view.label == train.labels[text.row]
        assert text.words == len(view.words) + len(view.cut)
        assert [word in encoder.vocabulary for word in view.words] == list(view.is_known)
        assert len(view.words) <= (config.preprocessing.max_length or 10_000)
    assert any(text.unknown for text in batch.texts)


def test_with_byte_pair_tokens_the_cut_counts_pieces_and_hardly_a_word_is_unknown() -> None:
    config = with_settings(COMPACT, ["preprocessing.tokens=byte-pair", "preprocessing.max_words=60",
                                     "preprocessing.max_length=12"])  # fmt: skip
    profile, train = profile_data(SPLIT, config), choose_split(SPLIT, "train", config)
    encoder = fit_encoder(train.texts, config)
    assert profile.splits["train"].cut == int((encoder.full_lengths(train.texts) > 12).sum()) > 0
    assert profile.first_batch is not None
    for text in profile.first_batch.texts:
        assert text.read == count_words_read(encoder, train.texts[text.row].as_py()) <= min(text.words, 12)
    assert sum(len(text.unknown) for text in profile.first_batch.texts) == 0
    views = view_batch(train, profile.first_batch, config.preprocessing)
    assert [len(view.words) for view in views] == [text.read for text in profile.first_batch.texts]


def test_a_decoded_text_is_what_the_word_encoder_gives_the_model() -> None:
    profile, train = profile_data(SPLIT, COMPACT), choose_split(SPLIT, "train", COMPACT)
    encoder = WordEncoder.fit(train.texts, COMPACT.preprocessing)
    names = list(encoder.vocabulary)
    assert profile.first_batch is not None
    views = view_batch(train, profile.first_batch, COMPACT.preprocessing)
    encoded = encoder.encode(train.take(np.array([text.row for text in profile.first_batch.texts])).texts)
    for place, view in enumerate(views):
        ids = encoded.token_ids[encoded.offsets[place] : encoded.offsets[place + 1]]
        shown = [word if known else "<UNK>" for word, known in zip(view.words, view.is_known, strict=True)]
        assert [names[token] for token in ids] == shown
    assert any(view.cut for view in views)


def test_a_profile_goes_to_json_and_back_and_holds_no_review() -> None:
    profile = profile_data(SPLIT, COMPACT)
    written = json.dumps(profile.model_dump(mode="json"))
    assert DataProfile.model_validate_json(written) == profile
    assert not any(text in written for text in SPLIT["train"].texts.to_pylist())


def test_empty_splits_have_figures_and_say_why_there_is_no_batch() -> None:
    profile = whole()
    assert profile.splits["train"].n == profile.splits["test"].longest == 0
    assert profile.first_batch is None and "no review to train on" in profile.no_batch
    assert profile.frequent == () and profile.one_sided == ()


def test_texts_without_a_word_are_no_obstacle() -> None:
    for config in (FAST, COMPACT):
        profile = profile_data({"train": texts([("", 0), ("", 1)] * 20), "test": texts([("", 1)])}, config)
        assert profile.splits["train"].empty == 36 and profile.first_batch is not None
        assert profile.first_batch.longest == 0 and profile.train_test.rows == 1


def test_a_large_n_gram_run_s_batch_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.evaluation.profile.MOST_FITTED_NGRAMS", 100)
    profile = profile_data(SPLIT, FAST)
    assert profile.first_batch is None and "more than 100 reviews" in profile.no_batch
    assert profile_data(SPLIT, COMPACT).first_batch is not None


def test_examples_alternate_between_the_labels_and_change_with_the_seed() -> None:
    labels = np.array([0] * 20 + [1] * 3)
    rows = pick_examples(labels, 5, seed=0)
    assert labels[rows].tolist() == [0, 1, 0, 1, 0, 1, 0, 0] and len(set(rows.tolist())) == 8
    assert rows.tolist() == pick_examples(labels, 5, seed=0).tolist() != pick_examples(labels, 5, seed=1).tolist()
    assert len(pick_examples(np.zeros(0, np.int64), 5, seed=0)) == 0


def test_the_real_data_shares_123_texts_between_train_and_test(imdb_folder: None) -> None:
    config = with_data(preset_config("classic"), "imdb")
    profile = profile_data(load_columns(config.data), config)
    assert profile.train_test.rows == 123 and profile.splits["test"].empty == 0
    assert 0.25 < profile.splits["train"].cut / profile.splits["train"].n < 0.31
    leaning = {each.word: each.log_odds for each in profile.one_sided}
    assert leaning["worst"] < 0 < leaning["wonderful"]


def test_the_seed_decides_the_split_and_the_batch() -> None:
    first, second = (
        profile_data(SPLIT, COMPACT.model_copy(update={"training": TrainingConfig(seed=seed, batch_size=15)}))
        for seed in (0, 1)
    )
    assert first.first_batch != second.first_batch
