"""The map of a scored split: every review a point, coloured by outcome. Calls no ``st.*``."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from core.charts.dress import dress_plotly, with_opacity
from core.charts.tokens import Tokens
from core.evaluation.area import Corners
from core.evaluation.selection import LABELS, Results

MAP_HEIGHT = 474
WORDS_ROOM = 0.38  # of the wider side of the cut, for "read as negative" on a narrow screen
MANY = 4_000  # from here on points are small and thin
# For st.plotly_chart(..., theme=None, config=MAP_CONFIG): the two ways to draw an area, and the way out of a zoom.
MAP_CONFIG: dict[str, Any] = {
    "displayModeBar": True, "displaylogo": False, "scrollZoom": False, "doubleClick": "reset",
    "modeBarButtons": [["lasso2d", "select2d", "zoom2d", "resetScale2d"]],
}  # fmt: skip


def plot_map(
    x: NDArray[np.float32], y: NDArray[np.float32], results: Results, area: Corners, tokens: Tokens
) -> go.Figure:
    """Return the map; a lasso or a box reports its corners.

    Points carry their row, their probability and nothing of the text.

    Args:
        x: The logits, float32 (N).
        y: The second coordinates, float32 (N).
        results: The verdicts on the N reviews.
        area: The corners of the area that is filtered by; none when it is empty.
        tokens: The viewer's colours.
    """
    is_many = len(x) > MANY
    figure = go.Figure()
    size = 4 if is_many else 7
    for is_wrong, marker in (
        (False, {"color": tokens.quiet, "opacity": 0.35 if is_many else 0.6, "size": size}),
        (True, {"color": tokens.wrong, "opacity": 0.8, "size": size + 1, "symbol": "diamond"}),
    ):
        rows = np.flatnonzero(results.wrong == is_wrong)
        figure.add_scattergl(
            x=x[rows], y=y[rows], mode="markers", marker=marker, selected={"marker": {"opacity": marker["opacity"]}},
            customdata=np.stack([rows, results.probabilities[rows]], axis=1).astype(np.float32),
            hovertemplate=_hover(is_wrong),
        )  # fmt: skip
    dress_plotly(figure, tokens, MAP_HEIGHT)
    figure.update_xaxes(title={"text": "logit: right of the dashed line it is read as positive", "standoff": 8})
    figure.update_xaxes(range=_range_across(x, results.cut), showline=True)
    figure.update_yaxes(range=_range(y), showticklabels=False, showgrid=False)
    figure.update_layout(dragmode="lasso", shapes=_shapes(results.cut, area, tokens), margin_t=44)
    figure.update_layout(
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": tokens.muted, "activecolor": tokens.text, "orientation": "h"},
        newselection={"line": {"color": tokens.text, "width": 1.5, "dash": "solid"}},
    )
    for verdict, side in ((0, "right"), (1, "left")):
        figure.add_annotation(
            x=results.cut, y=1, yref="paper", yanchor="bottom", showarrow=False, xanchor=side,
            xshift=8 if verdict else -8, text=f"read as {LABELS[verdict]}",
        )  # fmt: skip
    return figure


def _hover(is_wrong: bool) -> str:
    outcome = "misread" if is_wrong else "read right"
    return f"review %{{customdata[0]:,d}}, {outcome}<br>probability of positive %{{customdata[1]:.1%}}<extra></extra>"


def _range(values: NDArray[np.float32], *also: float) -> list[float]:
    """Return the ends of an axis: all values with a margin."""
    all_values = np.concatenate([values.astype(np.float64), also]) if len(values) else np.zeros(1)
    low, high = float(all_values.min()), float(all_values.max())
    margin = 0.03 * (high - low) or 1.0
    return [low - margin, high + margin]


def _range_across(values: NDArray[np.float32], cut: float) -> list[float]:
    """Return the ends of the axis of the logits, which leave room on both sides of the cut for the words beside it."""
    low, high = _range(values, cut)
    return [min(low, cut - WORDS_ROOM * (high - cut)), max(high, cut + WORDS_ROOM * (cut - low))]


def _shapes(cut: float, area: Corners, tokens: Tokens) -> list[dict[str, Any]]:
    """Return the dashed line of the cut and the outline of the area."""
    line = {"color": tokens.muted, "width": 1, "dash": "5px,4px"}
    shapes: list[dict[str, Any]] = [
        {"type": "line", "x0": cut, "x1": cut, "y0": 0, "y1": 1, "yref": "paper", "line": line, "layer": "below"}
    ]
    if area:
        path = "M" + "L".join(f"{x:.9g},{y:.9g}" for x, y in area) + "Z"
        shapes.append(
            {
                "type": "path", "path": path, "line": {"color": tokens.text, "width": 1.5},
                "fillcolor": with_opacity(tokens.text, 0.06), "fillrule": "evenodd",
            }
        )  # fmt: skip
    return shapes
