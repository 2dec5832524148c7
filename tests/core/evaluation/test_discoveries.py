"""Words and pairs that go with errors are found, and where chance alone errs nothing is found."""

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from math import comb

import numpy as np
import pyarrow as pa
import pytest

from core.config import PreprocessingConfig
from core.data.demo import generate_reviews
from core.evaluation.discoveries import (
    FALSE_DISCOVERY_RATE,
    LEAST_TEXTS,
    Terms,
    collect_terms,
    find_terms,
    texts_holding,
    upper_tails,
)
from core.evaluation.words import count_words
from core.preprocessing.cleaning import split_words
from core.preprocessing.corpus import cut_corpus

LETTERS = PreprocessingConfig()
PUNCTUATION = PreprocessingConfig(characters="punctuation")
PLANTED = "zorvex"


def texts_of(*texts: str) -> pa.Array:
    return pa.array(texts, pa.large_string())


def terms_of(texts: pa.Array, config: PreprocessingConfig = PUNCTUATION) -> Terms:
    return collect_terms(cut_corpus(texts, config))


@pytest.fixture(scope="module")
def demo() -> list[str]:
    return [review.text for review in generate_reviews()["test"]]


@pytest.mark.parametrize("config", [LETTERS, PUNCTUATION], ids=lambda config: config.characters)
def test_words_and_pairs_are_counted_as_plain_python_counts_them(demo: list[str], config: PreprocessingConfig) -> None:
    terms = terms_of(texts_of(*demo), config)
    cut = split_words(texts_of(*demo), config).to_pylist()
    words = Counter(word for each in cut for word in set(each))
    pairs = Counter(pair for each in cut for pair in set(pairwise(each)))
    expected = dict(words) | {" ".join(pair): n for pair, n in pairs.items() if n >= LEAST_TEXTS}
    assert dict(zip(terms.names.to_pylist(), terms.texts_with.tolist(), strict=True)) == expected
    assert terms.names[: terms.word_count].to_pylist() == list(dict.fromkeys(word for each in cut for word in each))


def test_the_words_of_some_texts_are_counted_as_the_data_page_counts_them(demo: list[str]) -> None:
    rows = np.arange(0, len(demo), 3)
    counts, expected = terms_of(texts_of(*demo)).word_counts(rows), count_words(texts_of(*demo[::3]), PUNCTUATION)
    assert counts.words.to_pylist() == expected.words.to_pylist() and counts.n == expected.n
    assert counts.texts_with.tolist() == expected.texts_with.tolist()


def test_the_tail_is_exact() -> None:
    all_n, all_errors = 1_200, 131
    cases = [(20, 0), (20, 3), (20, 20), (57, 12), (300, 33), (300, 80), (1_200, 131), (1_150, 131)]
    tails = upper_tails(np.array([k for _, k in cases]), np.array([n for n, _ in cases]), all_errors, all_n)
    for (n, k), tail in zip(cases, tails, strict=True):
        ways = sum(comb(all_errors, j) * comb(all_n - all_errors, n - j) for j in range(k, min(n, all_errors) + 1))
        assert tail == pytest.approx(float(Fraction(ways, comb(all_n, n))), rel=1e-9)


def test_the_tail_is_exact_at_the_size_of_a_real_test_set() -> None:
    for n, k in [(47, 16), (1_051, 130), (17_000, 1_900)]:
        ways = sum(comb(1_986, j) * comb(25_000 - 1_986, n - j) for j in range(k, min(n, 1_986) + 1))
        expected = float(Fraction(ways, comb(25_000, n)))
        assert upper_tails(np.array([k]), np.array([n]), 1_986, 25_000)[0] == pytest.approx(expected, rel=1e-7)


def test_a_found_word_carries_its_numbers() -> None:
    texts = [*["odd word"] * 30, *["plain text"] * 170]
    wrong = np.array([True] * 15 + [False] * 15 + [True] * 5 + [False] * 165)
    discoveries = find_terms(terms_of(texts_of(*texts)), wrong)
    assert (discoveries.words_tested, discoveries.pairs_tested) == (4, 2)
    assert [term.name for term in discoveries.found] == ["odd", "odd word", "word"]
    first = discoveries.found[0]
    assert (first.lift.n, first.lift.errors, first.lift.rate) == (30, 15, 0.5)
    assert first.lift.value == pytest.approx(0.5 / (5 / 170))
    # Three equal smallest p of six: q is p times six over three.
    assert first.q == pytest.approx(2 * first.p) and first.q <= FALSE_DISCOVERY_RATE


def test_the_list_is_led_by_what_certainly_errs_most() -> None:
    texts = [*["common"] * 400, *["odd"] * 30, *["plain"] * 570]
    wrong = np.concatenate([np.arange(size) < errors for size, errors in ((400, 100), (30, 17), (570, 20))])
    found = find_terms(terms_of(texts_of(*texts)), wrong).found
    assert [term.name for term in found] == ["odd", "common"] and found[0].p > found[1].p
    lows = [term.lift.low for term in found]
    assert lows == sorted(lows, reverse=True)


def test_a_word_that_holds_every_error_has_no_lift_and_leads() -> None:
    texts = [*["odd"] * 30, *["plain film"] * 170]
    (term,) = find_terms(terms_of(texts_of(*texts)), np.arange(200) < 20).found
    assert (term.name, term.lift.value) == ("odd", None) and term.lift.reason == "none of the rest was misread"


def test_a_rare_word_is_not_tested_however_often_it_errs() -> None:
    texts = [*["odd"] * (LEAST_TEXTS - 1), *["plain"] * 200]
    wrong = np.arange(len(texts)) < LEAST_TEXTS - 1
    discoveries = find_terms(terms_of(texts_of(*texts)), wrong)
    assert (discoveries.words_tested, discoveries.found) == (1, ())


def test_a_word_that_errs_less_is_not_found() -> None:
    texts = [*["safe"] * 100, *[f"{row}" for row in range(100)]]
    discoveries = find_terms(terms_of(texts_of(*texts)), np.arange(200) >= 150)
    assert (discoveries.words_tested, discoveries.found) == (1, ())


@pytest.mark.parametrize("wrong", [np.zeros(200, bool), np.ones(200, bool)], ids=["none", "all"])
def test_nothing_is_found_where_none_or_all_are_misread(demo: list[str], wrong: np.ndarray) -> None:
    discoveries = find_terms(terms_of(texts_of(*demo[:200])), wrong)
    assert discoveries.found == () and discoveries.words_tested > 0


@pytest.mark.parametrize("texts", [[], [""], ["one film"]])
def test_a_corpus_with_nothing_to_test_finds_nothing(texts: list[str]) -> None:
    discoveries = find_terms(terms_of(texts_of(*texts)), np.ones(len(texts), bool))
    assert (discoveries.found, discoveries.words_tested, discoveries.pairs_tested) == ((), 0, 0)


def test_a_planted_word_is_found_in_20_of_20_tries(demo: list[str]) -> None:
    for seed in range(20):
        draw = np.random.default_rng(seed)
        wrong = draw.random(len(demo)) < 0.08
        chosen = [draw.choice(np.flatnonzero(kind), n, replace=False) for kind, n in ((wrong, 20), (~wrong, 40))]
        planted = set(np.concatenate(chosen).tolist())
        texts = [f"{PLANTED.title()}, {text}" if row in planted else text for row, text in enumerate(demo)]
        found = {term.name: term for term in find_terms(terms_of(texts_of(*texts)), wrong).found}
        assert PLANTED in found, f"not found with seed {seed}"
        assert (found[PLANTED].lift.n, found[PLANTED].lift.errors) == (60, 20)


def test_with_shuffled_errors_nothing_is_found_in_184_of_200_draws(demo: list[str]) -> None:
    terms, draw = terms_of(texts_of(*demo)), np.random.default_rng(0)
    wrong = np.arange(len(demo)) < 0.1 * len(demo)
    clean = sum(not find_terms(terms, draw.permutation(wrong)).found for _ in range(200))
    assert clean >= 184


@pytest.mark.parametrize("config", [LETTERS, PUNCTUATION], ids=lambda config: config.characters)
def test_as_many_texts_hold_a_term_as_were_counted(demo: list[str], config: PreprocessingConfig) -> None:
    texts = texts_of(*demo)
    terms = terms_of(texts, config)
    names = terms.names.to_pylist()
    for place in [*range(0, terms.word_count, 97), *range(terms.word_count, len(names), 53)]:
        assert texts_holding(texts, names[place], config).sum() == terms.texts_with[place] > 0


@pytest.mark.parametrize(
    ("term", "config", "expected"),
    [
        ("don't", PUNCTUATION, [True, False, True, False]),
        ("dont", LETTERS, [True, True, True, False]),
        ("Don't", LETTERS, [True, True, True, False]),
        ("don't like", PUNCTUATION, [True, False, False, False]),
        ("dont like", LETTERS, [True, True, False, False]),
        ("like", PUNCTUATION, [True, True, False, False]),
        ("! like", PUNCTUATION, [False, False, False, False]),
        ("i don't like", PUNCTUATION, [True, False, False, False]),
        ("br", PUNCTUATION, [False, False, False, False]),
        (" ", PUNCTUATION, [False] * 4),
        ("...", LETTERS, [False] * 4),
        (".*", PUNCTUATION, [False] * 4),
    ],
)
def test_a_term_is_a_whole_word_and_cut_as_the_texts_are(
    term: str, config: PreprocessingConfig, expected: list[bool]
) -> None:
    texts = texts_of("I don't<br />like it", "I do-n_t like", "likely they DON'T", "")
    assert texts_holding(texts, term, config).tolist() == expected


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("characters", ["letters", "punctuation"])
def test_on_odd_texts_it_finds_what_cutting_finds(characters: str, lowercase: bool) -> None:
    config = PreprocessingConfig(characters=characters, lowercase=lowercase)
    draw = np.random.default_rng(0)
    pieces = [
        "a",
        "b",
        "A",
        "'",
        "1",
        " ",
        "\n",
        "<br />",
        "<a b>",
        "<",
        ">",
        ".",
        "*",
        "-",
        "\u00a0",
        "\u2003",
        "İ",
        "\u212a",
    ]
    texts = texts_of(*("".join(draw.choice(pieces, size)) for size in draw.integers(0, 9, 3_000)))
    cut = split_words(texts, config).to_pylist()
    words = sorted({word for each in cut for word in each if len(word) < 3})
    terms = [[word] for word in words] + [[first, second] for first in words[:14] for second in words[:14]]
    for term in terms:
        expected = [any(each[place : place + len(term)] == term for place in range(len(each))) for each in cut]
        assert texts_holding(texts, " ".join(term), config).tolist() == expected, term


def test_no_text_holds_nothing() -> None:
    assert texts_holding(texts_of(), "film", LETTERS).shape == (0,)
