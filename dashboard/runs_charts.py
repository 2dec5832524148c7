"""Charts of several runs: curves over each other, the difference of two, parallel coordinates. Calls no ``st.*``.

Specifications are made once with named data sets, and only the data goes anew: Altair takes some 60 ms to make one.
"""

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import altair as alt
import pandas as pd
import plotly.graph_objects as go

from core.charts.dress import PADDING, dress, dress_plotly, share_axis
from core.charts.tokens import Tokens
from core.evaluation.comparison import Difference
from core.run_groups import MeanCurve

HEIGHT = 270
DIFFERENCE_ROW = 28
AXIS_HEIGHT = 46
PARALLEL_HEIGHT = 330
MOST_LABELS = 8
LABEL_GAP = 16.0  # px between two labels at line ends
LABEL_ROOM = 0.3  # of the x axis, right of its end
UNSEEN = 0.001  # opacity of what is only there to be pointed at
LABEL_WIDTH = 112  # px, after which a name is cut
TITLES = {"accuracy": "accuracy", "f1": "F1", "roc_auc": "ROC AUC"}

Unit = Literal["share", "step"]
Role = Literal["a", "b", "chosen", "other"]


@dataclass(frozen=True)
class Line:
    """One curve of the overlay.

    Attributes:
        name: What stands at its end.
        role: "a" and "b" are in colour, "chosen" in grey with a name, "other" in the background.
        curve: By share of training done or by step; of a single run all three values are the same.
        is_group: Whether the range of several runs is drawn as a band.
    """

    name: str
    role: Role
    curve: MeanCurve
    is_group: bool = False


def line_colour(role: Role, tokens: Tokens) -> str:
    """Return a line's colour by what it is."""
    return {"a": tokens.text, "b": tokens.run_b}.get(role, tokens.quiet)


def plot_overlay(lines: Sequence[Line], unit: Unit, tokens: Tokens) -> dict[str, Any]:
    """Return validation accuracy of several runs, with names at line ends.

    It is a Vega-Lite specification with its data, for ``st.vega_lite_chart(..., theme=None)``.
    """
    low, high = _accuracy_range(lines)
    farthest = max((float(line.curve.x[-1]) for line in lines), default=1.0)
    end = 1.0 if unit == "share" else float(f"{farthest:.3g}") if farthest >= 1 else 1.0
    datasets = {
        "others": _points([line for line in lines if line.role == "other"], tokens),
        "chosen": _points([line for line in lines if line.role != "other"], tokens),
        "bands": _bands(lines, tokens),
        "ends": _ends(lines, low, high, tokens),
    }
    return {**deepcopy(_overlay_spec(low, high, max(end, farthest), unit, tokens)), "datasets": datasets}


def _accuracy_range(lines: Sequence[Line]) -> tuple[float, float]:
    """Return the ends of the y axis, on round shares, from the lines that were chosen."""
    chosen = [line.curve for line in lines if line.role != "other"]
    if not chosen:
        return 0.5, 1.0
    low, high = min(float(curve.low.min()) for curve in chosen), max(float(curve.high.max()) for curve in chosen)
    room = max(0.06 * (high - low), 0.004)
    step = _share_step(high - low)
    low, high = math.floor((low - room) / step) * step, math.ceil((high + room) / step) * step
    return round(max(low, 0.0), 4), round(min(high, 1.0), 4)


def _share_step(span: float) -> float:
    """Return how far apart the marks of a share axis stand."""
    return next((step for step in (0.01, 0.02, 0.05, 0.1) if span / step <= 5), 0.2)


def _points(lines: Sequence[Line], tokens: Tokens) -> pd.DataFrame:
    rows = [
        (float(x), float(y), number, line.name, line_colour(line.role, tokens), 1.6 if line.role == "chosen" else 2.4,
         1.0 if line.role in ("a", "b") and not line.is_group else UNSEEN)
        for number, line in enumerate(lines)
        for x, y in zip(line.curve.x, line.curve.mean, strict=True)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["x", "y", "line", "run", "colour", "width", "dot"])


def _bands(lines: Sequence[Line], tokens: Tokens) -> pd.DataFrame:
    rows = [
        (float(x), float(low), float(high), number, line_colour(line.role, tokens))
        for number, line in enumerate(lines)
        if line.is_group and line.role != "other"
        for x, low, high in zip(line.curve.x, line.curve.low, line.curve.high, strict=True)
    ]
    return pd.DataFrame(rows, columns=["x", "low", "high", "line", "colour"])


def _ends(lines: Sequence[Line], low: float, high: float, tokens: Tokens) -> pd.DataFrame:
    """Return names at line ends, moved apart so that each can be read.

    Of many lines only the two in colour and the highest are named; the others are when they are pointed at.
    """
    named = list(lines)
    if len(named) > MOST_LABELS:
        named = [line for line in named if line.role != "other"]
    if len(named) > MOST_LABELS:
        best = max(named, key=lambda line: float(line.curve.mean.max()))
        named = [line for line in named if line.role in ("a", "b") or line is best]
    named = [line for line in named if low <= float(line.curve.mean[-1]) <= high]
    gap = LABEL_GAP / HEIGHT * (high - low)
    places = spread_labels([float(line.curve.mean[-1]) for line in named], gap, low, high)
    rows = [
        (float(line.curve.x[-1]), place, line.name, tokens.muted if colour == tokens.quiet else colour,
         600 if line.role in ("a", "b") else 400)
        for line, place in zip(named, places, strict=True)
        if (colour := line_colour(line.role, tokens))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["x", "y", "run", "colour", "weight"])


def spread_labels(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places as near to the values as may be that are ``gap`` apart and between ``low`` and ``high``.

    More labels than fit are pressed together evenly.
    """
    if not values:
        return []
    gap = min(gap, (high - low) / max(len(values) - 1, 1))
    order = sorted(range(len(values)), key=lambda place: values[place])
    places = [0.0] * len(values)
    floor = low
    for place in order:
        places[place] = floor = max(values[place], floor)
        floor += gap
    ceiling = high
    for place in reversed(order):
        places[place] = ceiling = min(places[place], ceiling)
        ceiling -= gap
    return places


@lru_cache(maxsize=64)
def _overlay_spec(low: float, high: float, end: float, unit: Unit, tokens: Tokens) -> dict[str, Any]:
    x_scale = alt.Scale(domain=[0, end * (1 + LABEL_ROOM)], nice=False, zero=False)
    marks = [0, 0.25, 0.5, 0.75, 1] if unit == "share" else _round_steps(end)
    x_axis = (share_axis if unit == "share" else alt.Axis)(
        title="share of training done" if unit == "share" else "step", values=marks
    )
    x = alt.X("x:Q", scale=x_scale, axis=x_axis)
    step = _share_step(high - low)
    shares = [round(low + step * place, 4) for place in range(round((high - low) / step) + 1)]
    y_scale, y_axis = alt.Scale(domain=[low, high], nice=False, zero=False), share_axis(values=shares)
    y = alt.Y("y:Q", title=None, scale=y_scale, axis=y_axis)
    colour = alt.Color("colour:N", scale=None)
    tooltip = [
        alt.Tooltip("run:N"), alt.Tooltip("y:Q", title="validation accuracy", format=".1%"),
        alt.Tooltip("x:Q", title="training done" if unit == "share" else "step",
                    format=".0%" if unit == "share" else ",.0f"),
    ]  # fmt: skip
    name = [alt.Tooltip("run:N")]  # of a line only what is the same all along it
    hover = alt.selection_point(name="hover", fields=["line"], on="pointerover", clear="pointerout", empty=False)
    others = _named("others").mark_line(clip=True, strokeWidth=1).encode(
        x=x, y=y, detail="line:N", color=alt.condition(hover, alt.value(tokens.text), alt.value(tokens.quiet)),
        opacity=alt.condition(hover, alt.value(1), alt.value(0.45)),
    )  # fmt: skip
    # An unseen wide line, so that a thin one is easy to point at.
    targets = _named("others").mark_line(clip=True, strokeWidth=10, opacity=UNSEEN)
    targets = targets.encode(x=x, y=y, detail="line:N", tooltip=name).add_params(hover)
    band = _named("bands").mark_area(clip=True, opacity=0.16)
    band = band.encode(
        x=x, y=alt.Y("low:Q", title=None, scale=y_scale, axis=y_axis), y2="high:Q", color=colour, detail="line:N"
    )
    width = alt.StrokeWidth("width:Q", scale=None)
    line = _named("chosen").mark_line(clip=True)
    line = line.encode(x=x, y=y, detail="line:N", color=colour, strokeWidth=width, tooltip=name)
    seen = alt.Opacity("dot:Q", scale=None)
    dots = _named("chosen").mark_circle(clip=True, size=26)
    dots = dots.encode(x=x, y=y, color=colour, opacity=seen, tooltip=tooltip)
    words = _named("ends").mark_text(align="left", dx=8, fontSize=12, limit=LABEL_WIDTH)
    words = words.encode(x=x, y=y, text="run:N", color=colour)
    spec: dict[str, Any] = dress(alt.layer(others, targets, band, line, dots, words), tokens, HEIGHT).to_dict()
    return {**spec, "padding": {**PADDING, "right": 0}}


def plot_differences(differences: Mapping[str, Difference], title: str, tokens: Tokens) -> dict[str, Any] | None:
    """Return A minus B in points with 95 % intervals around a zero rule; None when no figure is defined.

    It is a Vega-Lite specification with its data, for ``st.vega_lite_chart(..., theme=None)``.
    """
    rows: list[dict[str, Any]] = [
        {
            "figure": TITLES.get(name, name), "points": 100 * found.value,
            "low": 100 * (found.value if found.low is None else found.low),
            "high": 100 * (found.value if found.high is None else found.high), "method": found.method,
        }
        for name, found in differences.items()
        if found.value is not None
    ]  # fmt: skip
    if not rows:
        return None
    low, high = _points_range([0.0, *(row["low"] for row in rows), *(row["high"] for row in rows)])
    datasets = {"differences": pd.DataFrame(rows), "zero": pd.DataFrame({"points": [0.0]})}
    return {**deepcopy(_differences_spec(low, high, len(rows), title, tokens)), "datasets": datasets}


def _points_range(values: Sequence[float]) -> tuple[float, float]:
    """Return round ends that leave a little room around all values."""
    room = 0.08 * max(max(values) - min(values), 0.1)
    low, high = min(values) - room, max(values) + room
    step = 10 ** math.floor(math.log10(high - low)) / 2
    return round(math.floor(low / step) * step, 6), round(math.ceil(high / step) * step, 6)


@lru_cache(maxsize=64)
def _differences_spec(low: float, high: float, rows: int, title: str, tokens: Tokens) -> dict[str, Any]:
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    axis = alt.Axis(title=title, format="+.1f" if high - low >= 1 else "+.2f", grid=True, tickCount=3,
                    labelOverlap="greedy", labelSeparation=8)  # fmt: skip
    words: dict[str, Any] = {"title": None, "labelColor": tokens.text, "labelFontSize": 13, "grid": False}
    y = alt.Y("figure:N", sort=None, axis=alt.Axis(**words))
    tooltip = [
        alt.Tooltip("figure:N"), alt.Tooltip("points:Q", format="+.2f"), alt.Tooltip("low:Q", format="+.2f"),
        alt.Tooltip("high:Q", format="+.2f"), alt.Tooltip("method:N", title="interval"),
    ]  # fmt: skip
    colour = tokens.run_b
    base = _named("differences")
    bars = base.mark_rule(strokeWidth=6, opacity=0.3, color=colour)
    bars = bars.encode(y=y, x=alt.X("low:Q", scale=scale, axis=axis), x2="high:Q", tooltip=tooltip)
    x = alt.X("points:Q", scale=scale, axis=axis)
    dots = base.mark_circle(size=70, color=colour, opacity=1).encode(y=y, x=x, tooltip=tooltip)
    zero = _named("zero").mark_rule(color=tokens.text, strokeWidth=1.2).encode(x=x)
    spec: dict[str, Any] = dress(alt.layer(zero, bars, dots), tokens, DIFFERENCE_ROW * rows + AXIS_HEIGHT).to_dict()
    return spec


def plot_parallel(settings: Mapping[str, Sequence[Any]], accuracies: Sequence[float], tokens: Tokens) -> go.Figure:
    """Return one line a run across the axes of its settings, dark where validation accuracy is high.

    Args:
        settings: By title; numbers become an axis, all else places on one, in order.
        accuracies: Validation accuracy of each run, as a share.
        tokens: The colours.
    """
    low, high = min(accuracies), max(accuracies)
    dimensions = [parallel_axis(title, values) for title, values in settings.items()]
    dimensions.append(
        {"label": "Validation accuracy", "values": list(accuracies), "tickformat": ".1%",
         "range": [low, high] if high > low else [low - 0.01, high + 0.01]}
    )  # fmt: skip
    figure = go.Figure(
        go.Parcoords(
            line={"color": list(accuracies), "colorscale": [[0, tokens.line], [0.35, tokens.quiet], [1, tokens.text]],
                  "cmin": low - 0.25 * max(high - low, 0.01), "cmax": high},
            dimensions=dimensions, labelfont={"size": 13, "color": tokens.text},
            tickfont={"size": 12, "color": tokens.muted}, rangefont={"size": 1, "color": "rgba(0,0,0,0)"},
        )
    )  # fmt: skip
    dress_plotly(figure, tokens, PARALLEL_HEIGHT)
    # The words on an axis get a halo of the paper's colour.
    return figure.update_layout(paper_bgcolor=tokens.paper, margin={"l": 70, "r": 60, "t": 50, "b": 20})


def parallel_axis(title: str, values: Sequence[Any]) -> dict[str, Any]:
    """Return a Plotly axis: of numbers with the few values that occur, of words with a place for each."""
    is_number = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    known = sorted(set(values)) if is_number else sorted(set(map(str, values)))
    if is_number and len(known) > 8:
        return {"label": title, "values": [float(value) for value in values]}
    # The few values of a grid stand at equal distances, so that 0.001 and 0.002 are told apart beside 0.1.
    places = {value: place for place, value in enumerate(known)}
    shown = [f"{value:g}" if is_number else value.replace("<", "‹")[:24] for value in known]
    return {
        "label": title, "values": [places[value if is_number else str(value)] for value in values],
        "tickvals": list(places.values()), "ticktext": shown, "range": [-0.05, max(len(known) - 1, 1) + 0.05],
    }  # fmt: skip


def _named(name: str) -> Any:
    return alt.Chart(alt.NamedData(name))


def _round_steps(end: float) -> list[float]:
    """Return about four round numbers from 0 to the end of a step axis."""
    step = 10 ** math.floor(math.log10(max(end, 1)))
    size = next(step * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if end / (step * part) <= 5)
    return [round(size * place, 6) for place in range(int(end / size) + 1)]
