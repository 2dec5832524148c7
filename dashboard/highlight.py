"""A stranger's text as safe HTML, its words marked by what they did to the score."""

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Literal

from core.charts.dress import with_opacity
from core.charts.tokens import Tokens
from core.prediction.explanation import Word

SHOWN_CHARACTERS = 20_000
LEVELS = 5
# A text whose strongest word pushes less than this is not painted as if it shouted.
FULL_PUSH = 0.25
# Attention that is spread evenly over a text of several words is not painted at all.
FULL_ATTENTION = 6  # times an even share
DARKEST = 0.34  # of ink: the words stay as readable as a caption
Shown = Literal["pushes", "attention"]
LINE_BREAKS = re.compile("(?:&lt;br ?/?&gt;)+")  # as HTML has them, escaped: film reviews are full of them


def highlight(text: str, words: Sequence[Word], tokens: Tokens, shown: Shown = "pushes") -> str:
    """Return a text as safe HTML, to be put inside ``<div class="rs rs-review">``.

    A word's tint says to which side it pushed and how hard, against the hardest push of the text; dots under a word say
    that the model does not know it; grey says that it lies beyond the most words that the model reads. A word's share
    of the attention is told in shades of ink alone, because attention has no side. The text content
    is the text, character for character, except that a NUL and a lone surrogate, which HTML cannot hold, appear as
    U+2400 and U+FFFD.

    Args:
        text: Any text; what is too long to draw is the caller's to cut (``SHOWN_CHARACTERS``).
        words: In the order of the text; those that end beyond it are left out. None at all gives the text unmarked.
        tokens: The viewer's colours.
        shown: What the tints say.
    """
    pieces, place = [], 0
    for start, end, style in _stretches(text, words, tokens, shown):
        pieces.append(_safe(text[place:start]))
        pieces.append(f'<mark style="{style}">{_safe(text[start:end])}</mark>')
        place = end
    return "".join(pieces) + _safe(text[place:])


def _stretches(text: str, words: Sequence[Word], tokens: Tokens, shown: Shown) -> Iterator[tuple[int, int, str]]:
    """Give start, end and style of what is to be marked; neighbours of one style with only blanks between are one."""
    strongest = _strongest(words, shown)
    waiting: tuple[int, int, str] | None = None
    for word in words:
        style = _style(word, strongest, tokens, shown)
        if word.end > len(text) or (waiting and word.start < waiting[1]):
            continue
        if waiting and waiting[2] == style and text[waiting[1] : word.start].isspace():
            waiting = (waiting[0], word.end, style)
            continue
        if waiting and waiting[2]:
            yield waiting
        waiting = (word.start, word.end, style)
    if waiting and waiting[2]:
        yield waiting


def _strongest(words: Sequence[Word], shown: Shown) -> float:
    """Return what a full tint stands for."""
    if shown == "pushes":
        return max([FULL_PUSH, *(abs(word.push) for word in words if word.push is not None)])
    read = sum(word.is_read for word in words)
    most = max((word.attention for word in words if word.attention is not None), default=0.0)
    return max(most, min(FULL_ATTENTION / max(read, 1), 1.0))


def _style(word: Word, strongest: float, tokens: Tokens, shown: Shown) -> str:
    if not word.is_read:
        return f"background:none;color:{tokens.quiet}"
    if shown == "attention":
        level = int(LEVELS * (word.attention or 0.0) / strongest)
        return f"background:{with_opacity(tokens.text, round(DARKEST * level / LEVELS, 2))}" if level else ""
    if not word.is_known:
        return f"background:none;text-decoration:underline dotted {tokens.muted} 2px;text-underline-offset:0.25em"
    level = int(LEVELS * abs(word.push or 0.0) / strongest)  # below a fifth of the hardest push: no tint
    if not level:
        return ""
    colour, strength = tokens.positive if (word.push or 0.0) > 0 else tokens.negative, level / LEVELS
    tint, line = with_opacity(colour, round(0.04 + 0.2 * strength, 2)), with_opacity(colour, strength)
    return f"background:{tint};box-shadow:inset 0 -2px 0 {line}"


def _safe(text: str) -> str:
    """Escape a text. Line ends are written as references, because ``st.html`` trims lines of blanks alone.

    Where the text has line breaks of HTML, they stay to be read, small, and a line ends.
    """
    shown = re.sub("[\ud800-\udfff]", "\ufffd", text.replace("\0", "\u2400"))
    written = escape(shown).replace("\r", "&#13;").replace("\n", "&#10;")
    return LINE_BREAKS.sub(r'<span class="rs-caption">\g<0></span><br>', written)
