"""Words are counted once a text, and lean to the group that holds them more often."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from core.config import PreprocessingConfig
from core.evaluation.words import WordCounts, WordLean, count_words, frequent_words, one_sided_words

CONFIG = PreprocessingConfig()
NOTHING = count_words(pa.array([], pa.large_string()), CONFIG)


def counts_of(*texts: str, config: PreprocessingConfig = CONFIG) -> WordCounts:
    return count_words(pa.array(texts, pa.large_string()), config)


def counts_from(n: int, **texts_with: int) -> WordCounts:
    """Return counts of these words, most frequent first."""
    ranked = sorted(texts_with.items(), key=lambda item: (-item[1], item[0]))
    words, counts = zip(*ranked, strict=True)
    return WordCounts(pa.array(words, pa.large_string()), np.array(counts, np.int64), n)


def draw_texts(seed: int, n: int) -> list[str]:
    draw = np.random.default_rng(seed)
    ranks = np.minimum(draw.zipf(1.3, (n, 12)), 300)
    return [" ".join(f"w{chr(97 + rank % 26)}{chr(97 + rank // 26)}" for rank in row) for row in ranks.tolist()]


def test_a_word_counts_once_a_text_however_often_it_stands_there() -> None:
    counts = counts_of("Good, good film!", "a good<br />plot", "", "...")
    assert dict(frequent_words(counts)) == {"good": 2, "film": 1, "a": 1, "plot": 1}
    assert counts.n == 4


def test_counts_over_many_slices_are_those_of_plain_python() -> None:
    texts = draw_texts(0, 2_500)
    counts = counts_of(*texts)
    expected = Counter(word for text in texts for word in set(text.split()))
    ranked = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
    assert list(zip(counts.words.to_pylist(), counts.texts_with.tolist(), strict=True)) == ranked
    assert (counts.n, counts.texts_with.dtype, counts.words.type) == (2_500, np.int64, pa.large_string())


def test_the_limits_of_a_model_do_not_limit_the_count() -> None:
    config = PreprocessingConfig(max_words=1, min_frequency=5, max_length=1)
    assert len(counts_of("one two three", config=config).words) == 3


def test_the_config_says_what_a_word_is() -> None:
    config = PreprocessingConfig(lowercase=False, characters="punctuation")
    assert set(counts_of("Don't stop!", config=config).words.to_pylist()) == {"Don't", "stop", "!"}


def test_no_text_and_texts_without_words_have_no_counts() -> None:
    for counts, n in [(NOTHING, 0), (counts_of("", "?!"), 2)]:
        assert (len(counts.words), len(counts.texts_with), counts.n) == (0, 0, n)
        assert frequent_words(counts) == []


def test_frequent_words_come_most_frequent_first_and_equals_by_alphabet() -> None:
    counts = counts_of("b a c", "c b a", "c d")
    assert frequent_words(counts, 3) == [("c", 3), ("a", 2), ("b", 2)]
    assert frequent_words(counts, 0) == []


def test_a_tiny_corpus_is_as_worked_by_hand() -> None:
    # Pairs: 4 in A, 2 in B, so the prior weighs 0.2; "good" and "film" get a third of it each, "plot" and "bad" a sixth.
    leans = one_sided_words(counts_of("good film", "good plot"), counts_of("bad film"), least_texts=1)
    expected = {
        "good": (-math.log(31), 15 / 31 + 15, 2, 0),
        "film": (math.log(47 / 17), 15 / 16 + 15 / 16, 1, 1),
        "plot": (math.log(19 / 403), 30 / 31 + 30, 1, 0),
        "bad": (math.log(31 * 125 / 35), 30 / 31 + 30, 0, 1),
    }
    assert {lean.word for lean in leans} == set(expected)
    for lean in leans:
        log_odds, variance, in_a, in_b = expected[lean.word]
        half = 1.959964 * math.sqrt(variance)
        assert (lean.in_a, lean.in_b) == (in_a, in_b)
        assert (lean.log_odds, lean.z) == pytest.approx((log_odds, log_odds / math.sqrt(variance)), rel=1e-12)
        assert (lean.low, lean.high) == pytest.approx((log_odds - half, log_odds + half), rel=1e-6)
    assert [lean.word for lean in leans] == sorted(
        expected, key=lambda word: -abs(expected[word][0]) / expected[word][1] ** 0.5
    )


def test_a_word_leans_to_the_group_that_holds_it_more_often() -> None:
    a, b = counts_from(1_000, the=990, bad=400, good=100), counts_from(1_000, the=990, bad=100, good=400)
    leans = {lean.word: lean for lean in one_sided_words(a, b)}
    assert leans["good"].low > 0 > leans["bad"].high
    assert set(leans) == {"good", "bad"}, "a word as frequent in both leans to neither"


def test_the_groups_the_other_way_round_give_the_opposite() -> None:
    a, b = counts_of(*draw_texts(1, 600)), counts_of(*draw_texts(2, 200))
    one, other = one_sided_words(a, b), one_sided_words(b, a)
    assert [lean.word for lean in one] == [lean.word for lean in other]
    for lean, turned in zip(one, other, strict=True):
        assert (turned.log_odds, turned.low, turned.high) == pytest.approx((-lean.log_odds, -lean.high, -lean.low))
        assert (turned.in_a, turned.in_b) == (lean.in_b, lean.in_a)


def test_a_word_of_one_group_only_has_a_finite_lean_that_grows_with_the_evidence() -> None:
    rest = {f"word{i}": 500 for i in "abcdef"}
    leans = one_sided_words(counts_from(900, **rest), counts_from(900, **rest, rare=20, common=300))
    common, rare = leans[0], leans[1]
    assert (common.word, rare.word) == ("common", "rare")
    assert (common.in_a, common.in_b) == (0, 300)
    assert all(math.isfinite(value) for lean in leans for value in (lean.log_odds, lean.low, lean.high, lean.z))
    assert common.z > rare.z > 2


def test_a_word_that_a_small_group_lacks_by_chance_leans_little() -> None:
    rest = {f"word{i}": 5_000 for i in "abcdef"}
    small = {word: count // 100 for word, count in rest.items()}
    leans = {lean.word: lean for lean in one_sided_words(counts_from(90, **small), counts_from(9_000, **rest, rare=40))}
    assert 0 < leans["rare"].z < 1 and leans["rare"].low < 0


def test_longer_texts_do_not_make_every_word_lean_to_their_group() -> None:
    a, b = counts_from(100, one=20, two=30, three=50), counts_from(100, one=40, two=60, three=100)
    assert all(abs(lean.z) < 0.2 for lean in one_sided_words(a, b))


def test_the_most_certain_come_first_and_each_direction_has_its_own_limit() -> None:
    a, b = counts_of(*draw_texts(3, 900)), counts_of(*draw_texts(4, 900))
    every = one_sided_words(a, b, most=10_000)
    few = one_sided_words(a, b, most=4)
    sizes = [abs(lean.z) for lean in every]
    assert sizes == sorted(sizes, reverse=True)
    for sign in (-1, 1):
        assert [lean for lean in few if sign * lean.z > 0] == [lean for lean in every if sign * lean.z > 0][:4]
    assert len(few) == 8 and few == sorted(few, key=every.index)


def test_equals_come_by_alphabet_and_the_order_of_the_texts_changes_nothing() -> None:
    a, b = ["d c e"] * 30 + ["same"] * 30, ["b a f"] * 30 + ["same"] * 30
    leans = one_sided_words(counts_of(*a), counts_of(*b))
    assert [lean.word for lean in leans] == ["a", "b", "c", "d", "e", "f"]
    assert one_sided_words(counts_of(*a[::-1]), counts_of(*b[::-1])) == leans


def test_rare_words_are_left_out_by_their_texts_in_both_groups_together() -> None:
    a, b = counts_from(100, most=90, twenty=5, nineteen=5), counts_from(100, most=80, twenty=15, nineteen=14)
    assert {lean.word for lean in one_sided_words(a, b)} == {"most", "twenty"}
    assert {lean.word for lean in one_sided_words(a, b, least_texts=19)} == {"most", "twenty", "nineteen"}
    assert one_sided_words(a, b, least_texts=1_000) == []


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (NOTHING, NOTHING),
        (NOTHING, counts_of("good film")),
        (counts_of("good film"), NOTHING),
        (counts_of("!"), counts_of("good film")),
        (counts_of("film"), counts_of("film")),
    ],
    ids=["both empty", "a empty", "b empty", "no word in a", "one word in all"],
)
def test_a_group_without_words_or_a_corpus_of_one_word_has_no_one_sided_words(a: WordCounts, b: WordCounts) -> None:
    assert one_sided_words(a, b, least_texts=1) == []


def test_a_lean_is_made_of_plain_numbers() -> None:
    (lean, *_) = one_sided_words(counts_of("good film"), counts_of("bad film"), least_texts=1)
    assert [type(value) for value in vars(lean).values()] == [str, float, float, float, float, int, int]
    assert isinstance(lean, WordLean)


def test_intervals_of_words_without_a_lean_hold_zero_in_about_95_of_100_cases() -> None:
    held = [
        lean.low <= 0 <= lean.high
        for seed in range(6)
        for lean in one_sided_words(
            counts_of(*draw_texts(seed, 500)), counts_of(*draw_texts(seed + 100, 500)), most=1_000
        )
    ]
    assert len(held) > 200 and np.mean(held) > 0.93
