"""How figures are written, on every page, in every chart and in reports."""

import re

DASH = "–"
LINE_BREAKS = re.compile(r"(?:<br ?/?>)+")  # as HTML has them: film reviews are full of them


def percent(share: float | None, digits: int = 1) -> str:
    """Write a share as "92.0 %"; None is a dash."""
    return DASH if share is None else f"{100 * share:.{digits}f} %"


def interval_text(low: float, high: float) -> str:
    """Write an interval of shares as "91.7 to 92.4"."""
    return f"{100 * low:.1f} to {100 * high:.1f}"


def decimal(value: float | None) -> str:
    """Write a number with three decimals; None is a dash."""
    return DASH if value is None else f"{value:.3f}"


def plural(n: int, thing: str) -> str:
    """Write a number of things as "1 review" or "1,204 reviews"."""
    return f"{n:,} {thing}" if n == 1 else f"{n:,} {thing}s"


def excerpt(text: str, most: int) -> str:
    """Return the beginning of a text on one line; a line break of HTML is a blank too.

    Args:
        text: Any text.
        most: Characters that are kept of it.
    """
    read = text[: 20 * most]
    folded = " ".join(LINE_BREAKS.sub(" ", read).split())
    return folded if len(folded) <= most and len(read) == len(text) else folded[:most] + "…"
