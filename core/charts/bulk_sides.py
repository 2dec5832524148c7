"""On which side the rows of a scored table lie: the share bar, and the histogram of the scores. Calls no ``st.*``."""

from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.dress import dress, filled, share_axis
from core.charts.tokens import Tokens
from core.evaluation.shares import SIDES, Counts
from core.wording import percent

HISTOGRAM_HEIGHT = 170
DIMMED = 0.35


def side_colours(tokens: Tokens) -> dict[str, str]:
    """Return the colour of each side of a score, in their fixed order."""
    return {"negative": tokens.negative, "not sure": tokens.not_sure, "positive": tokens.positive}


def share_bar_html(counts: Counts, tokens: Tokens, selected: str | None = None) -> str:
    """Return the share bar with its key beneath, as HTML; what has no rows has no piece, ``selected`` stands out."""
    colours, sizes = side_colours(tokens), dict(zip(SIDES, counts, strict=True))
    words = {side: f"{side} {percent(size / max(counts.scored, 1))}" for side, size in sizes.items()}
    faint = {side: f";opacity:{DIMMED}" if selected not in (None, side) else "" for side in SIDES}
    pieces = "".join(
        f'<div style="flex:{size} 0 0;min-width:2px;background:{colours[side]}{faint[side]}" title="{words[side]}">'
        "</div>"
        for side, size in sizes.items() if size
    )  # fmt: skip
    key = "".join(f'<span><i style="background:{colours[side]}"></i>{words[side]}</span>' for side in sizes)
    return (
        f'<div class="rs"><div role="img" aria-label="{", ".join(words.values())}" '
        f'style="display:flex;gap:2px;height:34px;border-radius:4px;overflow:hidden">{pieces}</div>'
        f'<p class="rs-caption rs-key" style="margin-top:0.6em">{key}</p></div>'
    )


def plot_score_histogram(
    frame: pd.DataFrame, tokens: Tokens, selected: int | None = None, is_door: bool = False
) -> Any:
    """Return the chart of ``core.prediction.summary.score_histogram``: bars coloured by side.

    Args:
        frame: The counts.
        tokens: The colours.
        selected: The bin whose rows are shown, if any; the others are dimmed.
        is_door: Whether a click reports ``bin`` as selection "cell".
    """
    return _form(*_frames(frame, selected), tokens, is_door)


def score_histogram_spec(frame: pd.DataFrame, tokens: Tokens, selected: int | None = None) -> dict[str, Any]:
    """Return the same as a Vega-Lite chart whose bars are doors, within 1 ms from the second one on."""
    rows, bins = _frames(frame, selected)
    return filled(_door_form(tokens), rows=rows, bins=bins)


@lru_cache(maxsize=4)
def _door_form(tokens: Tokens) -> dict[str, Any]:
    return dict(_form(alt.NamedData("rows"), alt.NamedData("bins"), tokens, True).to_dict())


def _frames(frame: pd.DataFrame, selected: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the bars, and the places to click and to point at."""
    shown = frame.assign(
        range=[f"{100 * low:g} to {100 * high:g} %" for low, high in frame[["low", "high"]].values],
        above=frame["below"] + frame["count"],
        strength=[1.0 if selected in (None, place) else DIMMED for place in frame["bin"]],
    )
    bins = shown.groupby("bin", as_index=False).agg(
        low=("low", "first"), high=("high", "first"), range=("range", "first"), count=("count", "sum"),
        sides=("side", " and ".join),
    )  # fmt: skip
    return shown, bins


def _form(rows: Any, bins: Any, tokens: Tokens, is_door: bool) -> Any:
    colours = side_colours(tokens)
    x = alt.X(
        "low:Q", bin="binned", axis=share_axis("probability of positive", tickCount=6),
        scale=alt.Scale(domain=[0, 1], nice=False),
    )  # fmt: skip
    bars = (
        alt.Chart(rows)
        .mark_bar(binSpacing=1)
        .encode(
            x=x, x2="high:Q",
            y=alt.Y("below:Q", title=None, axis=alt.Axis(format="~s", tickCount=4, tickMinStep=1)), y2="above:Q",
            color=alt.Color("side:N", scale=alt.Scale(domain=list(colours), range=list(colours.values()))),
            opacity=alt.Opacity("strength:Q", scale=None),
        )
    )  # fmt: skip
    targets = alt.Chart(bins).mark_rect(fillOpacity=0.001, cursor="pointer" if is_door else "default").encode(
        x=x, x2="high:Q", y=alt.value(0), y2=alt.value(HISTOGRAM_HEIGHT),
        tooltip=[
            alt.Tooltip("range:N", title="probability of positive"),
            alt.Tooltip("sides:N", title="counted as"),
            alt.Tooltip("count:Q", title="reviews", format=","),
        ],
    )  # fmt: skip
    if is_door:
        targets = targets.add_params(alt.selection_point(name="cell", fields=["bin"], toggle=False))
    return dress(alt.layer(bars, targets), tokens, HISTOGRAM_HEIGHT)
