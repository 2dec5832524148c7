"""Strangers' text, marked and shown as it is."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.charts.tokens import DARK, LIGHT
from core.prediction.explanation import Word, read_text
from core.prediction.predictor import Predictor
from dashboard.highlight import highlight

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)> &amp; &lt; &#10;",
    "![x](http://evil.example/a.png) [y](javascript:alert(1))",
    "=HYPERLINK(1) :red[x] $x^2$",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc\N{POP DIRECTIONAL FORMATTING} שלום مرحبا",
    "zero\N{ZERO WIDTH SPACE}width\N{ZERO WIDTH JOINER} e\N{COMBINING ACUTE ACCENT}",
    "lines\r\nof\rall\n\n  \n kinds\t ",
    "it's \"quoted\" 'twice' </mark></div><b>",
    "good " * 4_000,
    "x" * 10**6,
]


class Content(HTMLParser):
    """Collects the text of a piece of HTML, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.tags = "", set()
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)


@pytest.fixture(scope="module")
def starter() -> Predictor:
    return Predictor.load("starter")


@pytest.mark.parametrize("text", HOSTILE)
def test_the_text_shown_is_the_text(starter: Predictor, text: str) -> None:
    content = Content(highlight(text, read_text(starter, text).words, LIGHT))
    assert content.text == text and content.tags <= {"mark"}


@given(
    some.text(max_size=60),
    some.lists(some.tuples(some.integers(0, 60), some.integers(1, 8), some.booleans()), max_size=12),
)
def test_any_words_leave_the_text_as_it_is(text: str, places: list[tuple[int, int, bool]]) -> None:
    words = [Word(start, start + size, known, True, size - 4.0) for start, size, known in sorted(places)]
    content = Content(highlight(text.replace("\0", ""), words, DARK))
    assert content.text == text.replace("\0", "") and content.tags <= {"mark"}


def test_what_html_cannot_hold_keeps_its_place() -> None:
    assert highlight("a\0b\ud800c", (), LIGHT) == "a\u2400b\ufffdc"


def test_the_marks_say_side_strength_unknown_and_unread() -> None:
    words = [
        Word(0, 1, True, True, 1.0), Word(2, 3, True, True, -0.5), Word(4, 5, False, True, 0.0),
        Word(6, 7, True, False, None), Word(8, 9, True, True, 0.01),
    ]  # fmt: skip
    shown = highlight("a b c d e", words, LIGHT)
    assert "31,102,176" in shown and "178,58,18" in shown and "dotted" in shown and LIGHT.quiet in shown
    assert shown.endswith(" e")


def test_neighbours_of_one_style_share_a_mark() -> None:
    words = [Word(0, 3, True, True, 1.0), Word(4, 7, True, True, 1.0)]
    assert highlight("not bad", words, LIGHT).count("<mark") == 1
