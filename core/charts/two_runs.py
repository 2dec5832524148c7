"""How often two models are right and wrong on the same reviews. Calls no ``st.*``."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from core.charts.dress import dress
from core.charts.tokens import Tokens
from core.evaluation.selection import Pair
from core.wording import percent

AGREEMENT_HEIGHT = 290
DIMMED = 0.45
LONGEST_NAME = 22
# Each pair's row (the page's model) and column (the other one): whether they are right.
CELLS: Mapping[Pair, tuple[bool, bool]] = {
    "both_right": (True, True),
    "broken": (True, False),
    "fixed": (False, True),
    "both_wrong": (False, False),
}
WORDS: Mapping[Pair, str] = {
    "both_right": "both right", "broken": "broken", "fixed": "fixed", "both_wrong": "still wrong",
}  # fmt: skip


def pair_colours(tokens: Tokens) -> dict[Pair, str]:
    """Return the colour of each pair: quiet is right, ink this model's own, run B's the other one's."""
    return {"both_right": tokens.quiet, "broken": tokens.text, "fixed": tokens.run_b, "both_wrong": tokens.wrong}


def plot_agreement(counts: Mapping[Pair, int], names: tuple[str, str], selected: str, tokens: Tokens) -> Any:
    """Return the agreement matrix; a click reports ``pair`` of the cell as selection "cell".

    Args:
        counts: Reviews of each pair.
        names: Of the page's model, down the side, and of the other one, along the top.
        selected: The pair that is filtered by, or "".
        tokens: The colours.
    """
    frame = agreement_frame(counts, names, selected)
    pick = alt.selection_point(name="cell", fields=["pair"], toggle=False)
    axis: dict[str, Any] = {"title": None, "labelColor": tokens.text, "labelFontSize": 13, "domain": False}
    band = alt.Scale(paddingInner=0.035, paddingOuter=0)
    x = alt.X("there:N", sort=None, scale=band, axis=alt.Axis(orient="top", labelAngle=0, grid=False, **axis))
    y = alt.Y("here:N", sort=None, scale=band, axis=alt.Axis(labelAngle=-90, labelAlign="center", **axis))
    base = alt.Chart(frame).encode(x=x, y=y)
    colours = pair_colours(tokens)
    colour = alt.Color("pair:N", scale=alt.Scale(domain=list(colours), range=list(colours.values())))
    tooltip = [
        alt.Tooltip("here:N", title="this model"), alt.Tooltip("there:N", title="the other"),
        alt.Tooltip("count:Q", title="reviews", format=","), alt.Tooltip("share:N", title="of all"),
    ]  # fmt: skip
    cells = base.mark_rect(cornerRadius=4, cursor="pointer").encode(
        color=colour, opacity=alt.Opacity("opacity:Q", scale=None), tooltip=tooltip
    )
    numbers = base.mark_text(fontSize=22, fontWeight=600, dy=-8, color=tokens.text).encode(
        text=alt.Text("count:Q", format=",")
    )
    words = base.mark_text(dy=14, color=tokens.text).encode(text="said:N")
    return dress(alt.layer(cells.add_params(pick), numbers, words), tokens, AGREEMENT_HEIGHT)


def agreement_frame(counts: Mapping[Pair, int], names: tuple[str, str], selected: str) -> pd.DataFrame:
    """Return the four cells: counts, shares of all reviews in words, and how strongly each is drawn."""
    here, there = (_short(name) for name in names)
    if here == there:
        there = f"{there} (other)"
    total, cells = sum(counts.values()), []
    for pair, (is_right_here, is_right_there) in CELLS.items():
        share = counts[pair] / total if total else 0.0
        cells.append(
            {
                "pair": pair, "count": counts[pair], "share": percent(share),
                "here": f"{here} {'right' if is_right_here else 'wrong'}",
                "there": f"{there} {'right' if is_right_there else 'wrong'}",
                "said": f"{WORDS[pair]}, {percent(share)}",
                "opacity": (0.22 + 0.28 * share) * (1 if selected in ("", pair) else DIMMED),
            }
        )  # fmt: skip
    return pd.DataFrame(cells)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
