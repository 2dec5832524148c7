"""Words that stand in one group of texts more than in another: a dot and an interval each. Calls no ``st.*``."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from core.charts.dress import dress
from core.charts.tokens import Tokens
from core.evaluation.words import WordLean

WORD_HEIGHT = 22
LEAST_ROWS = 6  # of height, so that the axis has room under few words
EDGE_LABELS = 18
DIMMED = 0.45
# A word that is 2, 4, 8 ... times as frequent in one group as in the other.
TIMES = (2, 4, 8, 16, 32, 64)


class Group(NamedTuple):
    """A group of texts: its name after "in" ("negative", "misread reviews"), and its colour."""

    name: str
    colour: str


def plot_leaning(
    words: Sequence[WordLean], group_a: Group, group_b: Group, tokens: Tokens, selected: str = "", is_door: bool = False
) -> Any:
    """Return a dot and a 95 % interval a word, those that lean furthest to group A first; both ends are labelled.

    Args:
        words: Leaning to A (below 0) or to B (above 0).
        group_a: Group A.
        group_b: Group B.
        tokens: The colours.
        selected: The word whose texts are shown, if any; the others are dimmed.
        is_door: Whether a click reports ``word`` as selection "cell".
    """
    frame = leaning_frame(words, group_a, group_b)
    frame["strength"] = np.where(frame["word"] == selected, 1.0, DIMMED) if selected in set(frame["word"]) else 1.0
    reach = max(float(frame[["low", "high"]].abs().max().max()) * 1.06, float(np.log(2.2)))
    times = TIMES[1::2] if reach > np.log(TIMES[-2]) else TIMES
    ticks = [0.0, *(sign * float(np.log(each)) for each in times for sign in (-1, 1) if np.log(each) <= reach)]
    scale = alt.Scale(domain=[-reach, reach], nice=False, zero=False)
    axis = alt.Axis(
        title="times as frequent", values=ticks, grid=True, domain=False,
        labelExpr="datum.value == 0 ? 'alike' : '×' + format(exp(abs(datum.value)), '.0f')",
    )  # fmt: skip
    x = alt.X("log_odds:Q", scale=scale, axis=axis)
    y = alt.Y("word:N", sort=None, title=None, axis=word_axis(tokens))
    colours = alt.Scale(domain=[group_a.name, group_b.name], range=[group_a.colour, group_b.colour])
    tooltip = [
        alt.Tooltip("word:N"), alt.Tooltip("said:N", title="frequency"),
        alt.Tooltip("in_a:Q", title=f"in {group_a.name}", format=","),
        alt.Tooltip("in_b:Q", title=f"in {group_b.name}", format=","),
    ]  # fmt: skip
    strength = alt.Opacity("strength:Q", scale=None)
    base = alt.Chart(frame).encode(y=y, color=alt.Color("group:N", scale=colours))
    zero = alt.Chart(pd.DataFrame({"log_odds": [0.0]})).mark_rule(color=tokens.text, strokeWidth=1.2).encode(x=x)
    interval = base.transform_calculate(faint="0.3 * datum.strength").mark_rule(strokeWidth=6)
    interval = interval.encode(
        x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", opacity=alt.Opacity("faint:Q", scale=None)
    )
    dots = base.mark_circle(size=60).encode(x=x, opacity=strength)
    targets = alt.Chart(frame).mark_rect(fillOpacity=0.001, cursor="pointer" if is_door else "default").encode(
        y=y, x=alt.value(0), x2=alt.value("width"), tooltip=tooltip
    )  # fmt: skip
    if is_door:
        targets = targets.add_params(alt.selection_point(name="cell", fields=["word"], toggle=False))
    ends = pd.DataFrame(
        {"log_odds": [-reach, reach], "end": [f"← more in {group_a.name}", f"more in {group_b.name} →"]}
    )
    left, right = (alt.Chart(ends[place : place + 1]).encode(x=x, y=alt.value(0), text="end:N") for place in (0, 1))
    end: dict[str, Any] = {"baseline": "bottom", "dy": -4, "fontSize": 12, "color": tokens.text}
    texts = left.mark_text(align="left", **end), right.mark_text(align="right", **end)
    layers = zero, interval, dots, *texts, targets
    chart = dress(alt.layer(*layers), tokens, WORD_HEIGHT * max(len(frame), LEAST_ROWS))
    return chart.properties(padding={"left": 0, "right": 8, "top": EDGE_LABELS, "bottom": 2})


def leaning_frame(words: Sequence[WordLean], group_a: Group, group_b: Group) -> pd.DataFrame:
    """Return the words from the furthest in A to the furthest in B, with the words of their tooltips."""
    ranked = sorted(words, key=lambda each: each.log_odds)
    groups = [group_b.name if each.log_odds > 0 else group_a.name for each in ranked]
    return pd.DataFrame(
        {
            "word": [each.word for each in ranked],
            "log_odds": [each.log_odds for each in ranked],
            "low": [each.low for each in ranked],
            "high": [each.high for each in ranked],
            "in_a": [each.in_a for each in ranked],
            "in_b": [each.in_b for each in ranked],
            "group": groups,
            "said": [_odds_words(each, group) for each, group in zip(ranked, groups, strict=True)],
        }
    )


def word_axis(tokens: Tokens, most: int = 150) -> alt.Axis:
    """Return an axis of words, which are strangers' and may be of any length."""
    return alt.Axis(title=None, labelColor=tokens.text, labelFontSize=13, labelLimit=most, domain=False, grid=False)


def _odds_words(word: WordLean, group: str) -> str:
    times, *ends = np.exp(np.abs([word.log_odds, *sorted((word.low, word.high), key=abs)]))
    return f"×{times:.1f} ({ends[0]:.1f} to {ends[1]:.1f}) in {group}"
