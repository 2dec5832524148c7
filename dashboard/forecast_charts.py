"""How long the presets take here, side by side."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.dress import dress
from core.charts.tokens import Tokens
from dashboard.components import duration, duration_range

ROW_HEIGHT = 30
AXIS_HEIGHT = 60
MOST_TICKS = 6
TICKS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400, 259_200, 864_000)
UNTRIED_DOMAIN = (5.0, 3_600.0)
MARGIN = 1.5
LEAST_SPAN = 30.0  # so that one known bar among unknown ones is no wall
IN_WORDS = (
    "datum.value < 60 ? format(datum.value, '~g') + ' s' : datum.value < 3600 ? format(datum.value / 60, '~g') + "
    "' min' : format(datum.value / 3600, '~g') + ' h'"
)


@dataclass(frozen=True)
class Bar:
    """One row: what takes how long, in seconds, or the word for why that is not known (yet).

    Attributes:
        is_estimate: It was not rehearsed; the shipped time was scaled to this machine.
    """

    name: str
    is_chosen: bool
    seconds: float | None = None
    low: float | None = None
    high: float | None = None
    word: str = ""
    is_estimate: bool = False


@lru_cache(maxsize=64)
def plot_forecasts(bars: tuple[Bar, ...], budget: float | None, tokens: Tokens) -> dict[str, Any]:
    """Return the range of each bar on a logarithmic axis of time, and the budget in seconds as a dashed line.

    It is a Vega-Lite specification with its data, for ``st.vega_lite_chart(..., theme=None)``; not to be changed.
    """
    low, high = _domain(bars, budget)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    ticks = ticks[:: -(-len(ticks) // MOST_TICKS) or 1]
    axis = alt.Axis(title="time on this machine, log scale", values=ticks, labelExpr=IN_WORDS, titlePadding=8)
    scale = alt.Scale(type="log", domain=[low, high], nice=False)
    x, dots = (alt.X(field, scale=scale, axis=axis) for field in ("low:Q", "seconds:Q"))
    names = alt.Axis(title=None, labelColor=tokens.text, labelFontSize=13, minExtent=56, maxExtent=56)
    y = alt.Y("name:N", sort=None, scale=alt.Scale(domain=[bar.name for bar in bars]), axis=names)
    colour = alt.condition("datum.is_chosen", alt.value(tokens.text), alt.value(tokens.quiet))
    tooltip = [alt.Tooltip("name:N", title="preset"), alt.Tooltip("time:N"), alt.Tooltip("range:N")]

    frame = pd.DataFrame([asdict(bar) | _words(bar) for bar in bars])
    known, unknown = frame[frame["seconds"].notna()], frame[frame["seconds"].isna()]
    layers = []
    if len(known):
        base = alt.Chart(known).encode(y=y, color=colour, tooltip=tooltip)
        layers = [
            base.mark_bar(size=7, opacity=0.3).encode(x=x, x2="high:Q"),
            base.transform_filter("!datum.is_estimate").mark_point(size=90, filled=True, opacity=1).encode(x=dots),
            base.transform_filter("datum.is_estimate").mark_point(size=60, fill=tokens.paper, opacity=1).encode(x=dots),
        ]
    waiting = alt.Chart(unknown.assign(low=low)).mark_text(align="left", dx=6, color=tokens.muted)
    layers.append(waiting.encode(x=x, y=y, text="word:N"))
    if budget is not None:
        is_far_right = (budget / low) ** 2 > high / low
        layers += _budget_line(budget, x, tokens, is_far_right=is_far_right)
    spec: dict[str, Any] = dress(alt.layer(*layers), tokens, ROW_HEIGHT * len(bars) + AXIS_HEIGHT).to_dict()
    return spec


def _budget_line(budget: float, x: Any, tokens: Tokens, *, is_far_right: bool) -> list[Any]:
    """Return the dashed line with its words, on the side where there is room for them."""
    words = pd.DataFrame({"low": [budget], "word": [f"your budget: {budget / 60:g} min"]})
    rule = alt.Chart(words).mark_rule(color=tokens.text, strokeDash=[5, 4], strokeWidth=1.2)
    text = alt.Chart(words).mark_text(
        align="right" if is_far_right else "left", dx=-6 if is_far_right else 6, dy=-2, color=tokens.text,
        baseline="bottom",
    )  # fmt: skip
    return [rule.encode(x=x), text.encode(x=x, y=alt.value(0), text="word:N")]


def _domain(bars: tuple[Bar, ...], budget: float | None) -> tuple[float, float]:
    ends = [end for bar in bars for end in (bar.low, bar.high) if end is not None]
    if not ends:
        ends = list(UNTRIED_DOMAIN)
    ends += [budget] if budget is not None else []
    low = max(min(ends), 0.1) / MARGIN
    return low, max(*ends, 0.2, low * LEAST_SPAN) * MARGIN


def _words(bar: Bar) -> dict[str, str]:
    if bar.seconds is None or bar.low is None or bar.high is None:
        return {"time": "", "range": ""}
    about = ", estimated" if bar.is_estimate else ""
    return {"time": duration(bar.seconds) + about, "range": duration_range(bar.low, bar.high)}
