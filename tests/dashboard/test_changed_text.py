"""Two versions of a text as safe HTML: what differs is marked, what is alike is shortened, nothing is markup."""

import html
import re

import pytest

from core.charts.tokens import LIGHT
from dashboard.evaluation.changed_text import SHOWN_WORDS, mark_changes, stretches


def marks(drawn: str) -> list[str]:
    return [html.unescape(words) for words in re.findall(r"<mark[^>]*>(.*?)</mark>", drawn)]


def plain(drawn: str) -> str:
    return html.unescape(re.sub(r"</?mark[^>]*>", "", drawn))


def test_the_words_that_differ_are_marked_on_both_sides() -> None:
    before, after = mark_changes("It is a good film.", "It is not a goood film.", LIGHT)
    assert plain(before) == "It is a good film." and plain(after) == "It is not a goood film."
    assert marks(before) == ["good"] and marks(after) == ["not", "goood"]


def test_what_is_alike_far_from_a_change_is_left_out() -> None:
    words = [f"w{place}" for place in range(60)]
    changed = [*words[:30], "NEW", *words[31:]]
    before, after = (plain(drawn) for drawn in mark_changes(" ".join(words), " ".join(changed), LIGHT))
    assert before == "… w24 w25 w26 w27 w28 w29 w30 w31 w32 w33 w34 w35 w36 …"
    assert after == before.replace("w30", "NEW")


def test_a_text_that_differs_throughout_is_cut() -> None:
    words = [f"w{place}" for place in range(500)]
    before, after = mark_changes(" ".join(words), " ".join(words).upper(), LIGHT)
    for drawn in (before, after):
        assert len(plain(drawn).split()) == SHOWN_WORDS + 1 and plain(drawn).endswith(" …")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script> dull",
        "a & b &amp; <b>c</b>",
        "<img src=x onerror=alert(1)> x",
        "<<a>> \"' <",
        "",
        "\0 x",
    ],
)
def test_no_markup_of_a_stranger_survives(text: str) -> None:
    for drawn in mark_changes(text, f"{text} <i>new</i> & more", LIGHT):
        assert set(re.findall(r"<(/?\w+)", drawn)) <= {"mark", "/mark"}
        assert not re.search(r"&(?!(amp|lt|gt|quot|#x27);)", drawn)


def test_stretches_put_together_are_the_texts() -> None:
    found = stretches("one two three four", "one 2 three four five")
    assert [word for each in found for word in each.before] == ["one", "two", "three", "four"]
    assert [word for each in found for word in each.after] == ["one", "2", "three", "four", "five"]
    assert [each.differs for each in found] == [False, True, False, True]
