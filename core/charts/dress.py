"""What all charts wear. Titles and keys are text above a chart; the chart carries marks, axes and tooltips only."""

from typing import Any

import altair as alt
import pandas as pd
import plotly.graph_objects as go

from core.charts.tokens import Tokens

FONT = "Source Sans, sans-serif"
PADDING = {"left": 0, "right": 8, "top": 6, "bottom": 2}
# For st.plotly_chart(..., theme=None, config=PLOTLY_CONFIG).
PLOTLY_CONFIG: dict[str, Any] = {"displayModeBar": False, "scrollZoom": False}


def dress(chart: Any, tokens: Tokens, height: int) -> Any:
    """Give an Altair chart our axes, fonts and colours; for ``st.altair_chart(..., theme=None)``."""
    # One config and one call: each of Altair's configure methods copies the whole chart, which is felt when it ticks.
    return chart.properties(
        height=height, width="container", padding=PADDING, background="transparent", config=_config(tokens)
    )  # fmt: skip


def filled(form: dict[str, Any], **frames: pd.DataFrame) -> dict[str, Any]:
    """Return a Vega-Lite chart that was made of ``alt.NamedData`` with the data of these names.

    To make a chart with Altair takes 50 ms, to fill one 1 ms: a form is made once for each theme.
    """
    rows = {name: frame.astype(object).where(frame.notna(), None).to_dict("records") for name, frame in frames.items()}
    return {**form, "datasets": rows}


def _config(tokens: Tokens) -> dict[str, Any]:
    return {
        "font": FONT,
        "view": {"stroke": None},
        "axis": {
            "domain": False, "ticks": False, "labelColor": tokens.muted, "labelFontSize": 12, "labelFont": FONT,
            "titleColor": tokens.muted, "titleFontSize": 12, "titleFont": FONT, "titleFontWeight": "normal",
            "gridColor": tokens.line, "labelFlush": False, "labelPadding": 6,
        },
        "axisX": {"grid": False, "domain": True, "domainColor": tokens.line},
        "axisQuantitative": {"labelFlush": False},
        "axisXQuantitative": {"labelFlush": True},
        "legend": {"disable": True},
        "text": {"font": FONT, "color": tokens.text, "fontSize": 12},
    }  # fmt: skip


def dress_plotly(figure: go.Figure, tokens: Tokens, height: int) -> go.Figure:
    """Give a Plotly figure the same clothes; for ``st.plotly_chart(..., theme=None, config=PLOTLY_CONFIG)``."""
    figure.update_layout(
        height=height, margin={"l": 0, "r": 8, "t": 18, "b": 4}, showlegend=False,
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 12, "color": tokens.muted},
        hoverlabel={"bgcolor": tokens.panel, "font": {"color": tokens.text, "family": FONT}},
    )  # fmt: skip
    figure.update_xaxes(automargin=True, showgrid=False, zeroline=False, ticks="", linecolor=tokens.line)
    figure.update_yaxes(automargin=True, gridcolor=tokens.line, zeroline=False, ticks="")
    return figure


def share_axis(title: str | None = None, **options: Any) -> alt.Axis:
    """Return an axis whose labels are whole percents."""
    return alt.Axis(title=title, format=".0%", **options)


def with_opacity(colour: str, opacity: float) -> str:
    """Return ``#RRGGBB`` as an rgba() colour, for Plotly's bands."""
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
