"""Small changes of a text: what each does, that a seed fixes it, and what it leaves alone."""

import re

import numpy as np
import pytest

from core.config import PreprocessingConfig
from core.data.demo import generate_reviews
from core.evaluation.perturbations import NAMES, NEUTRAL, PERTURBATIONS, TAG, perturb, unseen_reasons
from core.preprocessing.cleaning import as_text_array, split_words

TEXT = (
    'Anna said: "It\'s a well-made film", but it was NOT good.<br />I DON’T like it, and they have not seen it. '
    "James and Anna were bored; what a pity it is."
)
HOSTILE = [
    "",
    " \n",
    "...",
    "<br />",
    "\u202e\u200b",
    "🙂 🙂",
    "is" * 5_000,
    "a\0b",
    "'’' n't is'",
    "<<<>>> <a",
    "X" * 50_000,
]


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_the_same_seed_and_row_give_the_same_text(name: str) -> None:
    first = perturb(name, TEXT, 3, 17)
    assert first is not None and first != TEXT
    assert perturb(name, TEXT, 3, 17) == first


@pytest.mark.parametrize("name", ["typos", "neutral", "names"])
def test_another_seed_or_row_draws_anew(name: str) -> None:
    assert len({perturb(name, TEXT, seed, row) for seed in range(4) for row in range(4)}) > 1


@pytest.mark.parametrize("name", PERTURBATIONS)
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_any_text_is_changed_or_said_to_offer_nothing(name: str, text: str) -> None:
    changed = perturb(name, text, 0, 0)
    assert changed is None or (isinstance(changed, str) and changed != text)


def test_a_typo_changes_one_in_twenty_long_words_and_keeps_their_ends() -> None:
    words = [f"w{chr(97 + place % 26)}{chr(98 + place % 20)}rd{chr(97 + place // 26)}x" for place in range(60)]
    changed = perturb("typos", " ".join(words), 0, 0).split()
    differing = [(old, new) for old, new in zip(words, changed, strict=True) if old != new]
    assert len(differing) == 3
    for old, new in differing:
        assert (old[0], old[-1]) == (new[0], new[-1]) and abs(len(old) - len(new)) <= 1
    assert perturb("typos", "a bad one", 0, 0) is None


def test_a_typo_leaves_tags_alone() -> None:
    for row in range(50):
        assert "<strong class=wonderful>" in perturb("typos", "nice <strong class=wonderful> film", 0, row)


def test_capitals_are_made_of_a_to_z_alone_so_that_small_letters_bring_the_text_back() -> None:
    assert perturb("case", "Straße, ﬁne ı", 0, 0) == "STRAßE, ﬁNE ı"
    assert perturb("case", "ALL BIG", 0, 0) is None


def test_punctuation_goes_at_the_edges_of_words_but_holds_words_and_tags_together() -> None:
    assert perturb("punctuation", 'A "well-made" film--yes; (no.)<br />3.5 it\'s', 0, 0) == (
        "A well-made film--yes no<br />3.5 it's"
    )
    assert perturb("punctuation", "no marks <a.b> here", 0, 0) is None


def test_neutral_words_stand_before_or_after_the_text() -> None:
    changed = {perturb("neutral", "Fine.", 0, row) for row in range(200)}
    assert changed == {text for sentence in NEUTRAL for text in (f"{sentence} Fine.", f"Fine. {sentence}")}
    assert perturb("neutral", "  ", 0, 0) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("I don't like it", "I do not like it"),
        ("Don’t! It's bad", "Do not! It is bad"),
        ("I CAN'T and I'm out", "I CANNOT and I am out"),
        ("we've won't they're", "we have will not they are"),
        ("the film's plot, do not", None),
    ],
)
def test_contractions_are_written_in_full(before: str, after: str | None) -> None:
    assert perturb("expanded", before, 0, 0) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("I do not like it", "I don't like it"),
        ("It is what it is.", "It's what it is."),
        ("I am sure WE ARE late", "I'm sure WE'RE late"),
        ("They have seen it, cannot stay", "They've seen it, can't stay"),
        ("I don't", None),
    ],
)
def test_full_forms_are_contracted(before: str, after: str | None) -> None:
    assert perturb("contracted", before, 0, 0) == after


def test_a_name_is_swapped_for_one_of_its_list_everywhere_the_same() -> None:
    changed = perturb("names", "Anna met Peter. Anna's film, Annabel and anna.", 0, 5)
    new = re.fullmatch(r"(\w+) met (\w+)\. (\w+)'s film, Annabel and anna\.", changed)
    assert new is not None and new[1] == new[3]
    assert new[1] in NAMES[1] and new[1] != "Anna" and new[2] in NAMES[0] and new[2] != "Peter"
    assert perturb("names", "nobody here", 0, 0) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("It is good", "It is not good"),
        ("It was not good, it wasn't", "It was good, it was"),
        ("They ARE fine. This one", "They ARE not fine. This one"),
        ("Nothing to see", None),
    ],
)
def test_a_negation_is_added_or_taken_away(before: str, after: str | None) -> None:
    assert perturb("negation", before, 0, 0) == after


def test_only_a_negation_should_turn_the_verdict() -> None:
    assert [name for name, kind in PERTURBATIONS.items() if kind.should_turn] == ["negation"]


@pytest.mark.parametrize("characters", ["letters", "punctuation"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_what_a_model_is_said_not_to_see_is_gone_after_its_cleaning(characters: str, lowercase: bool) -> None:
    config = PreprocessingConfig(characters=characters, lowercase=lowercase)
    texts = [TEXT, *(review.text for review in generate_reviews(sizes={"test": 60})["test"])]
    unseen = unseen_reasons(config)
    assert set(unseen) == ({"case"} if lowercase else set()) | ({"punctuation"} if characters == "letters" else set())
    for name in ("case", "punctuation"):
        pairs = [(text, changed) for row, text in enumerate(texts) if (changed := perturb(name, text, 0, row))]
        before, after = (split_words(as_text_array(each), config) for each in zip(*pairs, strict=True))
        assert before.equals(after) == (name in unseen)


def test_names_stand_in_one_list_and_are_no_words_of_a_tag() -> None:
    every = [name for names in NAMES for name in names]
    assert len(set(every)) == len(every) and not any(re.search(TAG, name) for name in every)


def test_swapping_many_names_needs_no_more_names_than_there_are() -> None:
    text = " ".join(NAMES[0])
    assert perturb("names", text, 0, 0) is None
    changed = perturb("names", " ".join(NAMES[0][:20]), 0, 0)
    assert changed is not None and np.isin(changed.split(), NAMES[0]).all()
