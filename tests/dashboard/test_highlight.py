"""Strangers' text, marked and shown as it is."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from core.charts.tokens import DARK, LIGHT
from core.prediction.explanation import Word, attend, explain, read_text
from core.prediction.predictor import Predictor
from dashboard.highlight import highlight
from tests.core.prediction.small_models import train_small

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


PIECES = [
    "<", ">", "</", "/>", "&", "&amp;", "&lt;b&gt;", "&#0;", "&#x41;", "&nbsp", "<b>", "</mark>", "<mark style='x'>", "<!--",
    "-->", "<![CDATA[", "<script>", "</script>", "<style>", "<br />", "<img src=x onerror=y>", '"', "'", "`", "\\", "$x$",
    "**", "![a](b)", ":red[c]", "{d}", "%s", "\0", "\x01", "\x1b[31m", "\x7f", "\x85", "\t", "\n", "\r", "\r\n", "\n\n\n",
    "\v", "\f", "\x1c", " ", "   ", "\u00a0", "\u2003", "\u2028", "\u2029", "\u3000", "\u200b", "\u200c", "\u200d", "\u2060",
    "\ufeff", "\u00ad", "\u202e", "\u202c", "\u2066", "\u2069", "\u0639\u0631\u0628\u064a", "\u05e9\u05dc\u05d5\u05dd", "e\u0301",
    "\u0130", "\u00df", "\u1e9e", "\ufb01", "\u01c5", "\u4e2d\u6587", "\U0001f3ac", "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f44d\U0001f3fd", "\U0001f1eb\U0001f1f7", "2\ufe0f\u20e3", "\ufffd", "\uffff", "\U0010ffff", "superb", "dull", "The plot",
    "it's", "not bad", "qwertzuiop", "7/10", "I <3 it", "..", "!", "a" * 50,
]  # fmt: skip


def invent_hostile(count: int) -> list[str]:
    draw = np.random.default_rng(0)
    return ["".join(draw.choice(PIECES, draw.integers(1, 40)).tolist()) for _ in range(count)]


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


@pytest.mark.parametrize("kind", ["bilstm", "bilstm_pieces", "ngram", "transformer"])
def test_of_150_hostile_texts_what_is_shown_is_the_text_whatever_the_model(kind: str) -> None:
    model, marked = train_small(kind), 0
    for text in invent_hostile(150):
        words = read_text(model, text, explain(model, text).pushes).words
        shown = highlight(text, words, DARK)
        content = Content(shown)
        assert content.text == text.replace("\0", "\u2400"), ascii(text)
        assert content.tags <= {"mark", "span", "br"}, "the latter two where it has line breaks of HTML"
        marked += "<mark" in shown
    assert marked > 50, "the words of most of them are found and marked"


def test_half_of_a_surrogate_pair_is_shown_as_what_it_is_not() -> None:
    for text in invent_hostile(20):
        broken = f"{text}\ud800{text}\udfff"
        assert Content(highlight(broken, (), LIGHT)).text == f"{text}\ufffd{text}\ufffd".replace("\0", "\u2400")


@given(
    some.text(max_size=60),
    some.lists(some.tuples(some.integers(0, 60), some.integers(1, 8), some.booleans()), max_size=12),
)
def test_any_words_leave_the_text_as_it_is(text: str, places: list[tuple[int, int, bool]]) -> None:
    words = [Word(start, start + size, known, True, size - 4.0) for start, size, known in sorted(places)]
    content = Content(highlight(text.replace("\0", ""), words, DARK))
    assert content.text == text.replace("\0", "") and content.tags <= {"mark", "span", "br"}


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


def test_line_breaks_of_html_stay_in_the_text_and_break_the_line() -> None:
    shown = highlight("One.<br /><br>Two.<brx>", (), LIGHT)
    assert shown == 'One.<span class="rs-caption">&lt;br /&gt;&lt;br&gt;</span><br>Two.&lt;brx&gt;'
    assert Content(shown).text == "One.<br /><br>Two.<brx>"


def test_attention_is_told_in_shades_of_ink_never_in_the_colours_of_pushes() -> None:
    text = "a dull plot <b>"
    words = [Word(0, 1, True, True, None, 0.1), Word(2, 6, True, True, None, 0.7), Word(7, 11, False, True, None, 0.2)]
    for tokens in (LIGHT, DARK):
        html = highlight(text, words, tokens, "attention")
        red, green, blue = (int(tokens.text[place : place + 2], 16) for place in (1, 3, 5))
        assert f'<mark style="background:rgba({red},{green},{blue},0.2)">dull</mark>' in html
        assert html.count("rgba(") == html.count(f"rgba({red},{green},{blue},") == 2 and "&lt;b&gt;" in html
        assert Content(html).text == text


def test_attention_that_is_spread_evenly_is_not_painted() -> None:
    text = "one two three four five six seven eight"
    spans = [match.span() for match in re.finditer(r"\w+", text)]
    even = [Word(start, end, True, True, None, 1 / len(spans)) for start, end in spans]
    assert highlight(text, even, LIGHT, "attention") == text


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_a_hostile_text_keeps_its_characters_whatever_the_attention(text: str) -> None:
    model = train_small("bilstm_attention")
    html = highlight(text, read_text(model, text, attention=attend(model, text)).words, LIGHT, "attention")
    assert Content(html).tags <= {"mark", "span", "br"} and Content(html).text == text
