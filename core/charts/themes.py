"""Charts of what misread reviews have in common. Calls no ``st.*``."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from core.charts.dress import dress
from core.charts.tokens import Tokens
from core.charts.words import Group, plot_leaning, word_axis
from core.evaluation.themes import ThemeLift
from core.evaluation.words import WordLean
from core.wording import interval_text, percent

LIFT_HEIGHT = 290
ROW_HEIGHT = 30
AXIS_HEIGHT = 50
DIMMED = 0.45
# How many times the error rate of the rest; beyond the outermost an interval is cut off.
TIMES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
EDGE = 0.16  # of the width, kept free for the written lifts


def plot_lifts(themes: Sequence[ThemeLift], selected: str, tokens: Tokens, height: int | None = None) -> Any:
    """Return a dot and a 95 % interval a theme, in colour only where the whole interval lies above 1.

    A click reports ``theme``, a key of ``THEMES``, as selection "cell".

    Args:
        themes: In the order from above; those without a lift are left out. At least one has a lift.
        selected: The key of the theme whose reviews are shown; empty for none.
        tokens: The colours.
        height: In pixels; by default each theme has a row of the same height.
    """
    frame = lifts_frame(themes, selected)
    low, high = float(frame["shown_low"].min()), float(frame["shown_high"].max())
    first, last = min(low, float(np.log(0.8))) - 0.05, max(high, float(np.log(2.2))) + 0.05
    scale = alt.Scale(domain=[first, last + (last - first) * EDGE / (1 - EDGE)], nice=False, zero=False)
    axis = alt.Axis(
        title="times the error rate of the rest", grid=True, domain=False,
        values=[float(np.log(times)) for times in TIMES if first <= np.log(times) <= last],
        labelExpr="'×' + format(exp(datum.value), '~r')",
    )  # fmt: skip
    y = alt.Y("title:N", sort=None, title=None, axis=word_axis(tokens, most=170))
    colour = alt.Color("outcome:N", scale=alt.Scale(domain=["more", "rest"], range=[tokens.wrong, tokens.quiet]))
    base = alt.Chart(frame).encode(y=y, color=colour)
    rule = alt.Chart(pd.DataFrame({"one": [0.0]})).mark_rule(color=tokens.text, strokeWidth=1.2).encode(
        x=alt.X("one:Q", scale=scale, axis=axis)
    )  # fmt: skip
    intervals = base.transform_calculate(faint="0.3 * datum.strength").mark_rule(strokeWidth=6).encode(
        x=alt.X("shown_low:Q", scale=scale, axis=axis), x2="shown_high:Q",
        opacity=alt.Opacity("faint:Q", scale=None),
    )  # fmt: skip
    strength = alt.Opacity("strength:Q", scale=None)
    dots = base.mark_circle(size=60).encode(x=alt.X("place:Q", scale=scale, axis=axis), opacity=strength)
    written = alt.Chart(frame).mark_text(align="right", fontSize=13, color=tokens.text).encode(
        y=y, x=alt.value("width"), text="times:N", opacity=strength
    )  # fmt: skip
    tooltip = [
        alt.Tooltip("title:N", title="theme"), alt.Tooltip("n:Q", title="reviews", format=","),
        alt.Tooltip("errors:Q", title="misread", format=","), alt.Tooltip("rate:N", title="error rate"),
        alt.Tooltip("lift:N"),
    ]  # fmt: skip
    pick = alt.selection_point(name="cell", fields=["theme"], toggle=False)
    targets = alt.Chart(frame).mark_rect(fillOpacity=0.001, cursor="pointer").encode(
        y=y, x=alt.value(0), x2=alt.value("width"), tooltip=tooltip
    )  # fmt: skip
    layers = rule, intervals, dots, written, targets.add_params(pick)
    return dress(alt.layer(*layers), tokens, height or ROW_HEIGHT * len(frame) + AXIS_HEIGHT)


def lifts_finding(themes: Sequence[ThemeLift]) -> str:
    """Say which theme is misread most often against the rest, among those that clearly are."""
    first = next((each for each in themes if each.lift.is_more), None)
    if first is None:
        return "No theme is clearly misread more often than the rest"
    return f"Misread most: {first.title}, ×{first.lift.value:.1f} the rest"


def lifts_frame(themes: Sequence[ThemeLift], selected: str) -> pd.DataFrame:
    """Return a row a theme that has a lift: its places on a logarithmic axis, and the words of its tooltip."""
    rows = []
    for each in themes:
        lift = each.lift
        if lift.value is None or lift.low is None or lift.high is None:
            continue
        value, low, high = np.log(np.clip([lift.value, lift.low, lift.high], TIMES[0], TIMES[-1])).tolist()
        assert lift.rate is not None and lift.rate_low is not None and lift.rate_high is not None
        rows.append(
            {
                "theme": each.key, "title": each.title, "place": value, "shown_low": low, "shown_high": high,
                "n": lift.n, "errors": lift.errors, "times": f"×{lift.value:.1f}",
                "rate": f"{percent(lift.rate)} ({interval_text(lift.rate_low, lift.rate_high)})",
                "lift": f"×{lift.value:.2f} ({lift.low:.2f} to {lift.high:.2f})",
                "outcome": "more" if lift.is_more else "rest",
                "strength": DIMMED if selected not in ("", each.key) else 1.0,
            }
        )  # fmt: skip
    return pd.DataFrame(rows)


def plot_distinctive(words: Sequence[WordLean], selected: str, tokens: Tokens) -> Any:
    """Return the words that tell the misread reviews from those read right; each is a door."""
    groups = Group("reviews read right", tokens.quiet), Group("misread ones", tokens.wrong)
    return plot_leaning(words, *groups, tokens, selected, is_door=True)
