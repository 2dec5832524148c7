"""The share positive by a column of a scored table, in Plotly. Calls no ``st.*``."""

from collections.abc import Hashable
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.charts.dress import dress_plotly, with_opacity
from core.charts.tokens import Tokens
from core.wording import interval_text, percent

ROW_HEIGHT = 26
LEAST_HEIGHT = 120  # below it the axis is cut off
LONGEST_LABEL = 26
DIMMED = 0.4


def plot_share_by_group(
    frame: pd.DataFrame, whole: float, tokens: Tokens, selected: str | None = None, whole_name: str = "whole file"
) -> go.Figure:
    """Return the chart of ``core.prediction.summary.share_by_group``: interval and dot a group.

    Plotly reads some HTML in labels, so every name is escaped; places on the axis are numbers, for a name that looks
    like a number or a date would be taken for one. A click on a row reports its code as ``customdata``.

    Args:
        frame: One row a group, at least one.
        whole: The share of all rows together, a dashed line.
        tokens: The colours.
        selected: The group whose rows are shown, if any; the others are dimmed.
        whole_name: What the dashed line is called.
    """
    rows = frame.to_dict("records")
    names = [group_name(row["group"], row["pooled"]) for row in rows]
    places = list(range(len(frame)))[::-1]
    is_chosen = [selected is None or (row["group"] == selected and not row["pooled"]) for row in rows]
    strengths = [1.0 if chosen else DIMMED for chosen in is_chosen]
    faint = [0.3 * strength for strength in strengths]
    colours = [tokens.quiet if pooled else tokens.positive for pooled in frame["pooled"]]
    hover = [f"{escape(name, quote=False)}<br>{share_words(row)}" for name, row in zip(names, rows, strict=True)]
    low, high = min(frame["low"].min(), whole), max(frame["high"].max(), whole)
    first, last = max(low - 0.03, -0.03), min(high + 0.03, 1.03)
    figure = go.Figure()
    figure.add_bar(
        x=frame["high"] - frame["low"], base=frame["low"], y=places, orientation="h", width=0.28,
        marker={"color": [with_opacity(*each) for each in zip(colours, faint, strict=True)], "line": {"width": 0}},
        hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=frame["share"], y=places, mode="markers", hoverinfo="skip",
        marker={"size": 8, "color": [with_opacity(*each) for each in zip(colours, strengths, strict=True)]},
    )  # fmt: skip
    # What is clicked and pointed at is the whole row; it is seen in no colour.
    figure.add_bar(
        x=[last - first] * len(rows), base=[first] * len(rows), y=places, orientation="h", width=1.0,
        marker={"color": "rgba(0,0,0,0)", "line": {"width": 0}}, hovertext=hover, hoverinfo="text",
        customdata=frame["code"].tolist(), selected={"marker": {"opacity": 0}}, unselected={"marker": {"opacity": 0}},
    )  # fmt: skip
    for trace in figure.data[:2]:
        trace.update(unselected={"marker": {"opacity": 1}})
    dress_plotly(figure, tokens, max(ROW_HEIGHT * len(frame) + 60, LEAST_HEIGHT))
    figure.update_layout(
        margin={"l": 0, "r": 106, "t": 24, "b": 4}, dragmode=False, clickmode="event+select", barmode="overlay",
        annotations=_written(rows, places, strengths, whole, f"{whole_name} {percent(whole, 0)}", tokens),
        shapes=[{"type": "line", "x0": whole, "x1": whole, "y0": 0, "y1": 1, "yref": "paper",
                 "line": {"color": tokens.muted, "width": 1, "dash": "5px,4px"}}],
    )  # fmt: skip
    figure.update_yaxes(
        tickvals=places, ticktext=[escape(_cut(each), quote=False) for each in names],
        tickfont={"color": tokens.text, "size": 13},
        showgrid=False, range=[-0.7, len(frame) - 0.3], fixedrange=True,
    )  # fmt: skip
    figure.update_xaxes(
        tickformat=".0%", range=[first, last], fixedrange=True, showgrid=True, gridcolor=tokens.line, nticks=6
    )
    return figure


def _written(
    rows: list[dict[Hashable, Any]], places: list[int], strengths: list[float], whole: float, name: str, tokens: Tokens
) -> list[dict[str, Any]]:
    """Return the words in the chart, all at once: Plotly takes 8 ms for each that is added alone."""
    words: list[dict[str, Any]] = [
        {"x": whole, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False, "text": name}
    ]
    for place, row, strength in zip(places, rows, strengths, strict=True):
        edge = {
            "x": 1.0, "y": place, "xref": "paper", "showarrow": False, "xanchor": "right",
            "opacity": max(strength, 0.6),
        }  # fmt: skip
        words.append(edge | {"text": f"{row['n']:,}", "font": {"color": tokens.muted}, "xshift": 104})
        words.append(
            edge | {"text": f"<b>{percent(row['share'], 0)}</b>", "font": {"color": tokens.text}, "xshift": 52}
        )
    return words


def group_name(name: str, pooled: int) -> str:
    """Return what a group is called; pooled ones by their number, and a value of nothing but blanks in brackets."""
    return f"{pooled:,} smaller groups" if pooled else name or "(empty)"


def share_words(row: dict[Hashable, Any]) -> str:
    """Write a row with a share as it is said on hover."""
    n = int(row["n"])
    reviews = f"{n:,} review{'' if n == 1 else 's'}"
    if pd.isna(row["share"]):
        return f"{reviews}, too few to draw"
    return f"{percent(row['share'])} positive ({interval_text(row['low'], row['high'])})<br>{reviews}"


def _cut(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 1] + "…"
