"""Every theme finds what it is called after, and leaves the rest alone."""

import numpy as np
import pyarrow as pa
import pytest

from core.config import PreprocessingConfig
from core.data.labelled import LabelledTexts
from core.evaluation.themes import THEMES, Pile, gather_pile, theme_lifts, theme_masks, theme_title
from core.preprocessing.corpus import cut_corpus
from core.preprocessing.encoders import WordEncoder
from core.preprocessing.vocabulary import Vocabulary


def pile_of(*texts: str, labels: list[int] | None = None, known: list[str] | None = None, **options: object) -> Pile:
    config = PreprocessingConfig(**options)
    array = pa.array(texts, pa.large_string())
    rows = LabelledTexts(array, np.array(labels or [1] * len(texts), np.int64))
    return gather_pile(rows, cut_corpus(array, config), WordEncoder(Vocabulary(known or []), config))


def has(key: str, text: str, label: int = 1) -> bool:
    return bool(THEMES[key].find(pile_of(text, labels=[label]))[0])


@pytest.mark.parametrize(
    ("key", "with_it", "without_it"),
    [
        ("praise_but", "Great sets, but no plot.", "Great sets. But no plot."),
        ("praise_but", "A WONDERFUL cast; unfortunately wasted", "unfortunately, a wonderful cast"),
        ("praise_but", "a <b>fine</b><br />film, however long", "a finer point, but lost"),
        ("blame_but", "Dull at first, yet it grows.", "It grows, yet never sings."),
        ("mixed", "Good, funny, slow and boring.", "Good, funny, moving, perfect and superb; slow, boring."),
        ("negation", "It is not very good.", "Good, it is not."),
        ("negation", "This isn’t a bad film", "this is a bad film"),
        ("negation", "hardly a very good film", "hardly ever such a good film"),
        ("sarcasm", "What a “masterpiece”.", "What a masterpiece."),
        ("sarcasm", "The so-called comedy", "The comedy"),
        ("sarcasm", "Yeah, right.", "right, yes"),
        ("sarcasm", "They paid for this?!", "They paid for this? Well!"),
        ("questions", "Why?", "Why."),
        ("comparison", "Better than the book", "the better book"),
        ("comparison", "It is funnier than most", "rather long"),
        ("comparison", "Unlike its sequel", "like its sequel"),
        ("capitals", "SIMPLY THE WORST FILM EVER", "The FILM on the BBC and a TV"),
    ],
)
def test_a_theme_is_found_where_it_is_and_not_where_it_is_not(key: str, with_it: str, without_it: str) -> None:
    assert has(key, with_it) and not has(key, without_it)


@pytest.mark.parametrize(
    "text",
    [
        "3/10", "I give it 3 out of 10.", "3.5/10", "rating: 0/10", "2 / 10", "4 stars out of 10", "1 out of 5", "2/5",
        "one out of ten", "zero stars", "1 star", "two stars out of five", "Verdict:1/10.", "between 2-3/10", "no stars",
    ],
)  # fmt: skip
def test_a_low_rating_speaks_against_a_positive_label_only(text: str) -> None:
    assert has("rating", text, label=1) and not has("rating", text, label=0)


@pytest.mark.parametrize(
    "text",
    [
        "9/10", "10 out of 10", "8.5/10", "11/10", "4/5", "5 out of 5", "nine out of ten", "10 stars!", "eight stars",
        "<i>10/10</i>", "8-9/10",
    ],
)  # fmt: skip
def test_a_high_rating_speaks_against_a_negative_label_only(text: str) -> None:
    assert has("rating", text, label=0) and not has("rating", text, label=1)


@pytest.mark.parametrize(
    "text",
    [
        "5/10", "6 out of 10", "3/5", "on 9/10/2001", "24/7", "1/100", "a 10 foot wall", "113/10", "-10/10", "#4/10",
        "it was out of 10 stars", "2/10 at first, 9/10 at last", "3 stars", "a film with two stars in it",
    ],
)  # fmt: skip
def test_what_is_no_clear_rating_speaks_against_no_label(text: str) -> None:
    assert not has("rating", text, label=0) and not has("rating", text, label=1)


def test_the_longest_and_the_shortest_are_a_tenth_at_most_and_ties_stay_out() -> None:
    masks = theme_masks(pile_of(*("a " * n for n in range(1, 21))))
    assert np.flatnonzero(masks["long"]).tolist() == [18, 19]
    assert np.flatnonzero(masks["short"]).tolist() == [0, 1]
    for texts in (["one film"], ["one film"] * 30):
        masks = theme_masks(pile_of(*texts))
        assert not masks["long"].any() and not masks["short"].any() and not masks["unknown"].any()


def test_a_text_is_cut_where_it_has_more_words_than_the_model_reads() -> None:
    assert theme_masks(pile_of("a b c", "a b c d", max_length=3))["cut"].tolist() == [False, True]
    assert theme_masks(pile_of("a b c", "a b c d"))["cut"].tolist() == [False, False]


def test_unknown_words_are_counted_among_those_that_are_read() -> None:
    pile = pile_of("good new film", "good film new new", "", "new", known=["good", "film"], max_length=3)
    assert pile.unknown.tolist() == pytest.approx([1 / 3, 1 / 3, 0, 1])
    assert pile.words.tolist() == [3, 4, 0, 1]


def test_lifts_are_sorted_and_those_without_one_come_last() -> None:
    texts = [*["why? good"] * 10, *["fine"] * 30]
    wrong = np.array([True] * 5 + [False] * 5 + [True] * 3 + [False] * 27)
    lifts = theme_lifts(theme_masks(pile_of(*texts)), wrong, PreprocessingConfig(max_length=None))
    assert lifts[0].key == "questions" and lifts[0].lift.value == pytest.approx(0.5 / 0.1)
    assert (lifts[0].lift.n, lifts[0].lift.errors) == (10, 5)
    values = [each.lift.value for each in lifts]
    defined = [value for value in values if value is not None]
    assert values == sorted(defined, reverse=True) + [None] * (len(values) - len(defined))
    assert {each.key for each in lifts} == set(THEMES) - {"cut"}


def test_a_model_that_cuts_has_the_theme_of_what_it_cuts_in_its_own_words() -> None:
    pile = pile_of("a b c d", "a", max_length=3)
    lifts = theme_lifts(theme_masks(pile), np.array([True, False]), PreprocessingConfig(max_length=3))
    assert "cut at 3 words" in {each.title for each in lifts}
    assert theme_title("cut", PreprocessingConfig(max_length=None)) == THEMES["cut"].title
    assert theme_title("cut", PreprocessingConfig(max_length=1_000)) == "cut at 1,000 words"
    assert theme_title("cut", PreprocessingConfig(max_length=1_000, tokens="byte-pair")) == "cut at 1,000 pieces"


@pytest.mark.parametrize("texts", [[], [""], ["", "\u202e\u0639", "x" * 100_000]])
def test_no_theme_stumbles_over_nothing_or_odd_texts(texts: list[str]) -> None:
    masks = theme_masks(pile_of(*texts))
    assert set(masks) == set(THEMES)
    assert all(mask.shape == (len(texts),) and mask.dtype == np.bool_ for mask in masks.values())


@pytest.mark.parametrize("theme", THEMES.values(), ids=THEMES)
def test_every_theme_says_what_it_is_and_how_it_is_found(theme) -> None:
    assert theme.title and theme.how.endswith(".")


def test_texts_of_many_slices_keep_their_order() -> None:
    texts = ["why?" if row % 7 == 0 else "well" for row in range(2_600)]
    assert np.flatnonzero(theme_masks(pile_of(*texts))["questions"]).tolist() == list(range(0, 2_600, 7))
