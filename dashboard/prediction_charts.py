"""Charts of a scored table: frames of ``core.prediction.summary`` in, charts out; calls no st.*."""

from collections.abc import Hashable
from html import escape
from typing import Any

import altair as alt
import pandas as pd
import plotly.graph_objects as go

from core.charts.dress import dress, dress_plotly, share_axis, with_opacity
from core.charts.tokens import Tokens
from core.prediction.summary import Counts, Unit
from core.wording import interval_text, percent

ROW_HEIGHT = 26
LONGEST_LABEL = 26
TIME_FORMATS: dict[Unit, str] = {"day": "%d %b %Y", "week": "week of %d %b %Y", "month": "%b %Y", "quarter": "%b %Y",
                                 "year": "%Y"}  # fmt: skip


def side_colours(tokens: Tokens) -> dict[str, str]:
    """Return the colour of each side of a score, in their fixed order."""
    return {"negative": tokens.negative, "not sure": tokens.not_sure, "positive": tokens.positive}


def share_bar_html(counts: Counts, tokens: Tokens) -> str:
    """Return the share bar with its key beneath, as HTML; what has no rows has no piece."""
    colours, sizes = side_colours(tokens), dict(zip(("negative", "not sure", "positive"), counts, strict=True))
    words = {side: f"{side} {percent(size / counts.scored)}" for side, size in sizes.items()}
    pieces = "".join(
        f'<div style="flex:{size} 0 0;min-width:2px;background:{colours[side]}" title="{words[side]}"></div>'
        for side, size in sizes.items() if size
    )  # fmt: skip
    key = "".join(f'<span><i style="background:{colours[side]}"></i>{words[side]}</span>' for side in sizes)
    return (
        f'<div class="rs"><div role="img" aria-label="{", ".join(words.values())}" '
        f'style="display:flex;gap:2px;height:34px;border-radius:4px;overflow:hidden">{pieces}</div>'
        f'<p class="rs-caption rs-key" style="margin-top:0.6em">{key}</p></div>'
    )


def plot_score_histogram(frame: pd.DataFrame, tokens: Tokens) -> Any:
    """Return the chart of ``score_histogram``: bars coloured by side."""
    colours = side_colours(tokens)
    shown = frame.assign(
        range=[f"{100 * low:g} to {100 * high:g} %" for low, high in frame[["low", "high"]].values],
        above=frame["below"] + frame["count"],
    )
    chart = (
        alt.Chart(shown)
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X("low:Q", bin="binned", axis=share_axis("probability of positive", tickCount=6),
                    scale=alt.Scale(domain=[0, 1], nice=False)),
            x2="high:Q",
            y=alt.Y("below:Q", title=None, axis=alt.Axis(format="~s", tickCount=4)),
            y2="above:Q",
            color=alt.Color("side:N", scale=alt.Scale(domain=list(colours), range=list(colours.values()))),
            tooltip=[
                alt.Tooltip("range:N", title="probability of positive"),
                alt.Tooltip("side:N", title="counted as"),
                alt.Tooltip("count:Q", title="reviews", format=","),
            ],
        )
    )  # fmt: skip
    return dress(chart, tokens, 180)


def plot_share_by_group(frame: pd.DataFrame, whole: float, tokens: Tokens) -> go.Figure:
    """Return the chart of ``share_by_group``: interval and dot a group, the file's share as a dashed line.

    Plotly reads some HTML in labels, so every name is escaped; places on the axis are numbers, for a name that looks
    like a number or a date would be taken for one.
    """
    rows = frame.to_dict("records")
    names = [group_name(row["group"], row["pooled"]) for row in rows]
    places = list(range(len(frame)))[::-1]
    colours = [tokens.quiet if pooled else tokens.positive for pooled in frame["pooled"]]
    hover = [f"{escape(name, quote=False)}<br>{_share_words(row)}" for name, row in zip(names, rows, strict=True)]
    figure = go.Figure()
    figure.add_bar(
        x=frame["high"] - frame["low"], base=frame["low"], y=places, orientation="h", width=0.28,
        marker={"color": [with_opacity(colour, 0.3) for colour in colours], "line": {"width": 0}}, hoverinfo="skip",
    )  # fmt: skip
    figure.add_scatter(
        x=frame["share"], y=places, mode="markers", marker={"size": 8, "color": colours}, hovertext=hover,
        hoverinfo="text",
    )  # fmt: skip
    figure.add_vline(whole, line={"color": tokens.muted, "width": 1, "dash": "5px,4px"})
    figure.add_annotation(
        x=whole, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"whole file {percent(whole, 0)}"
    )
    for place, row in zip(places, rows, strict=True):
        edge = {"y": place, "xref": "paper", "showarrow": False, "xanchor": "right"}
        share = f"<b>{percent(row['share'], 0)}</b>"
        figure.add_annotation(x=1.0, text=f"{row['n']:,}", font={"color": tokens.muted}, xshift=104, **edge)
        figure.add_annotation(x=1.0, text=share, font={"color": tokens.text}, xshift=52, **edge)
    dress_plotly(figure, tokens, ROW_HEIGHT * len(frame) + 60)
    figure.update_layout(margin={"l": 0, "r": 106, "t": 24, "b": 4}, dragmode=False)
    figure.update_yaxes(
        tickvals=places, ticktext=[escape(_cut(each), quote=False) for each in names],
        tickfont={"color": tokens.text, "size": 13},
        showgrid=False, range=[-0.7, len(frame) - 0.3], fixedrange=True,
    )  # fmt: skip
    low, high = min(frame["low"].min(), whole), max(frame["high"].max(), whole)
    figure.update_xaxes(
        tickformat=".0%", range=[max(low - 0.03, -0.01), min(high + 0.03, 1.01)], fixedrange=True, showgrid=True,
        gridcolor=tokens.line, nticks=6,
    )  # fmt: skip
    return figure


def plot_share_over_time(frame: pd.DataFrame, unit: Unit, tokens: Tokens) -> go.Figure:
    """Return the chart of ``share_over_time``: line, band and slider; open where rows lack."""
    hover = [f"{row['start'].strftime(TIME_FORMATS[unit])}<br>{_share_words(row)}" for row in frame.to_dict("records")]
    figure = go.Figure()
    for _, stretch in _stretches(frame):
        figure.add_scatter(
            x=[*stretch["start"], *stretch["start"][::-1]], y=[*stretch["high"], *stretch["low"][::-1]],
            fill="toself", fillcolor=with_opacity(tokens.positive, 0.16), line={"width": 0}, mode="lines",
            hoverinfo="skip",
        )  # fmt: skip
    figure.add_scatter(
        x=frame["start"], y=frame["share"], mode="lines+markers" if len(frame) <= 60 else "lines",
        line={"color": tokens.positive, "width": 2}, marker={"size": 5}, hovertext=hover, hoverinfo="text",
        connectgaps=False,
    )  # fmt: skip
    dress_plotly(figure, tokens, 330)
    low, high = frame["low"].min(), frame["high"].max()
    figure.update_yaxes(tickformat=".0%", range=[max(low - 0.02, 0), min(high + 0.02, 1)], fixedrange=True, nticks=6)
    figure.update_xaxes(
        tickformatstops=[
            {"dtickrange": [None, 86_400_000 * 27], "value": "%d %b"},
            {"dtickrange": [86_400_000 * 27, "M11"], "value": "%b %Y"},
            {"dtickrange": ["M12", None], "value": "%Y"},
        ],
        nticks=6,
        rangeslider={"visible": True, "thickness": 0.12, "bgcolor": tokens.panel, "borderwidth": 0},
    )
    figure.update_layout(dragmode="pan")
    return figure


def group_name(name: str, pooled: int) -> str:
    """Return what a group is called; pooled ones by their number, and a value of nothing but blanks in brackets."""
    return f"{pooled:,} smaller groups" if pooled else name or "(empty)"


def _share_words(row: dict[Hashable, Any]) -> str:
    return f"{percent(row['share'])} positive ({interval_text(row['low'], row['high'])})<br>{row['n']:,} reviews"


def _cut(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= LONGEST_LABEL else line[: LONGEST_LABEL - 1] + "…"


def _stretches(frame: pd.DataFrame) -> Any:
    """Give the runs of buckets that have a share."""
    has_share = frame["share"].notna()
    return frame[has_share].groupby((has_share != has_share.shift()).cumsum()[has_share])
