"""The share positive of a scored table over time, in Plotly. Calls no ``st.*``."""

from datetime import date, timedelta
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from core.charts.bulk_groups import share_words
from core.charts.dress import dress_plotly, with_opacity
from core.charts.tokens import Tokens
from core.evaluation.shares import Unit

HEIGHT = 330
TIME_FORMATS: dict[Unit, str] = {"day": "%d %b %Y", "week": "week of %d %b %Y", "month": "%b %Y",
                                 "quarter": "quarter from %b %Y", "year": "%Y"}  # fmt: skip
EPOCH = date(1970, 1, 1)


def plot_share_over_time(
    frame: pd.DataFrame, unit: Unit, tokens: Tokens, chosen: tuple[int | None, int | None] | None = None
) -> go.Figure:
    """Return the chart of ``core.prediction.summary.share_over_time``: line, band and slider; open where rows lack.

    To draw over the chart reports a box and the buckets in it, each with its first day, in days since 1970, as
    ``customdata``. A click reports nothing: Streamlit keeps it off where a drag selects.

    Args:
        frame: One row a bucket, at least one of which has a share.
        unit: The buckets' unit.
        tokens: The colours.
        chosen: The first and last day, since 1970, that are filtered by, if any; the rest is shaded.
    """
    rows = frame.to_dict("records")
    hover = [f"{row['start'].strftime(TIME_FORMATS[unit])}<br>{share_words(row)}" for row in rows]
    figure = go.Figure()
    for _, stretch in _stretches(frame):
        figure.add_scatter(
            x=[*stretch["start"], *stretch["start"][::-1]], y=[*stretch["high"], *stretch["low"][::-1]],
            fill="toself", fillcolor=with_opacity(tokens.positive, 0.16), line={"width": 0}, mode="lines",
            hoverinfo="skip",
        )  # fmt: skip
    days = (frame["start"] - pd.Timestamp(EPOCH)).dt.days
    figure.add_scatter(
        x=frame["start"], y=frame["share"], mode="lines+markers", hovertext=hover, hoverinfo="text", connectgaps=False,
        line={"color": tokens.positive, "width": 2}, customdata=days.tolist(),
        marker={"size": 6 if len(frame) <= 60 else 4, "color": tokens.positive},
        unselected={"marker": {"opacity": 1}}, selected={"marker": {"opacity": 1}},
    )  # fmt: skip
    dress_plotly(figure, tokens, HEIGHT)
    low, high = frame["low"].min(), frame["high"].max()
    reach = [max(low - 0.02, -0.02), min(high + 0.02, 1.02)]  # beyond the ends, so that a dot there is whole
    figure.update_yaxes(tickformat=".0%", range=reach, fixedrange=True, nticks=6)
    figure.update_xaxes(
        tickformatstops=[
            {"dtickrange": [None, 86_400_000 * 27], "value": "%d %b"},
            {"dtickrange": [86_400_000 * 27, "M11"], "value": "%b %Y"},
            {"dtickrange": ["M12", None], "value": "%Y"},
        ],
        nticks=6,
        range=_reach(frame),
        rangeslider={
            "visible": True, "range": _reach(frame), "thickness": 0.12, "bgcolor": tokens.panel, "borderwidth": 0,
        },
    )  # fmt: skip
    figure.update_layout(
        dragmode="select", selectdirection="h", clickmode="event+select",
        newselection={"line": {"color": tokens.text, "width": 1, "dash": "dot"}},
        activeselection={"fillcolor": tokens.quiet, "opacity": 0.2},
    )  # fmt: skip
    for first, last in _outside(frame, chosen):
        figure.add_vrect(x0=first, x1=last, fillcolor=tokens.paper, opacity=0.75, line_width=0)
    return figure


def _reach(frame: pd.DataFrame) -> tuple[date, date]:
    """Return the ends of the time axis."""
    first, last = frame["start"].iloc[0].date(), frame["start"].iloc[-1].date()
    margin = timedelta(days=max((last - first).days // 40, 1))
    return first - margin, last + margin


def _outside(frame: pd.DataFrame, chosen: tuple[int | None, int | None] | None) -> list[tuple[date, date]]:
    """Return the stretches of the chart before and after the chosen days."""
    since, until = chosen or (None, None)
    first, last = _reach(frame)
    found = []
    if since is not None and (begin := EPOCH + timedelta(days=since)) > first:
        found.append((first, min(begin, last)))
    if until is not None and (end := EPOCH + timedelta(days=until)) < last:
        found.append((max(end, first), last))
    return found


def _stretches(frame: pd.DataFrame) -> Any:
    """Give the runs of buckets that have a share."""
    has_share = frame["share"].notna()
    return frame[has_share].groupby((has_share != has_share.shift()).cumsum()[has_share])
