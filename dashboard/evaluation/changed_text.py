"""Two versions of a stranger's text as safe HTML, the words that differ marked."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from html import escape
from typing import NamedTuple

from core.charts.tokens import Tokens
from core.evaluation.perturbations import TAG

WORD = re.compile(r"\S+")
MOST_WORDS = 4_000  # of a text that are compared
SHOWN_WORDS = 70
CONTEXT = 6  # unchanged words that are shown on each side of a change


class Stretch(NamedTuple):
    """Words in a row that stand in both texts, or that differ."""

    before: Sequence[str]
    after: Sequence[str]
    differs: bool


def mark_changes(before: str, after: str, tokens: Tokens) -> tuple[str, str]:
    """Return both texts as safe HTML for ``<div class="rs rs-review">``; what is alike far from a change is left out.

    Words are what stands between blanks; HTML tags are not shown. Each side shows 70 words at most.

    Args:
        before: Any text.
        after: The text once changed.
        tokens: The viewer's colours.
    """
    found = stretches(before, after)
    return (
        _draw([(each.before, each.differs) for each in found], tokens),
        _draw([(each.after, each.differs) for each in found], tokens),
    )


def stretches(before: str, after: str) -> list[Stretch]:
    """Cut two texts into stretches that are alike and stretches that differ, in order."""
    old, new = (WORD.findall(re.sub(TAG, " ", text))[:MOST_WORDS] for text in (before, after))
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    return [
        Stretch(old[start:end], new[start_new:end_new], kind != "equal")
        for kind, start, end, start_new, end_new in matcher.get_opcodes()
    ]


def _draw(pieces: Sequence[tuple[Sequence[str], bool]], tokens: Tokens) -> str:
    style = f"background:{tokens.quiet_tint};box-shadow:inset 0 -2px 0 {tokens.text}"
    drawn, room = [], SHOWN_WORDS
    for place, (words, differs) in enumerate(pieces):
        kept = words if differs else _shorten(words, is_first=place == 0, is_last=place == len(pieces) - 1)
        if not kept:
            continue
        written = escape(" ".join(kept[:room]))
        drawn.append(f'<mark style="{style}">{written}</mark>' if differs else written)
        room -= len(kept)
        if room <= 0:
            drawn.append("…")
            break
    return " ".join(drawn)


def _shorten(words: Sequence[str], *, is_first: bool, is_last: bool) -> Sequence[str]:
    """Leave out the middle of a stretch that is alike, and what lies before the first and after the last change."""
    head = [] if is_first else list(words[:CONTEXT])
    tail = [] if is_last else list(words[-CONTEXT:])
    return words if len(words) <= len(head) + len(tail) else [*head, "…", *tail]
