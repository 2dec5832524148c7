"""How often each change turned a verdict, as dots with intervals. Calls no ``st.*``."""

from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from core.charts.dress import dress, share_axis
from core.charts.tokens import Tokens
from core.evaluation.perturbations import PERTURBATIONS
from core.wording import DASH, interval_text, percent

ROW_HEIGHT = 30
AXIS_HEIGHT = 44
RATE_PLACE, N_PLACE = 50, 96  # px from the right edge of the marks


def plot_changes(changes: Mapping[str, Mapping[str, Any]], chosen: str, tokens: Tokens) -> Any:
    """Return the share of verdicts that each change turned; a click reports ``name`` as selection "cell".

    Args:
        changes: By name of the perturbation, what ``core.prediction.robustness.describe`` gives.
        chosen: The one whose line stands on a tint.
        tokens: The colours.
    """
    frame = changes_frame(changes, chosen)
    top = max(0.1, 1.08 * float(frame["high"].max())) if frame["high"].notna().any() else 0.1
    scale = alt.Scale(domain=[0, top], nice=False, zero=False)
    x_axis = share_axis("share of verdicts that turned", tickCount=3, grid=True)
    words: dict[str, Any] = {"title": None, "labelColor": tokens.text, "labelFontSize": 13, "labelPadding": 14}
    # The tint knows one line only, so the order is said outright.
    y = alt.Y("title:N", sort=frame["title"].tolist(), axis=alt.Axis(grid=False, **words))
    tooltip = [
        alt.Tooltip("title:N", title="change"), alt.Tooltip("said:N", title="turned"),
        alt.Tooltip("flips:Q", format=","), alt.Tooltip("applied:Q", title="reviews", format=","),
    ]  # fmt: skip
    base = alt.Chart(frame).encode(y=y)
    tint = base.transform_filter("datum.chosen").mark_rect(color=tokens.quiet_tint, cornerRadius=3).encode(
        x=alt.value(0), x2=alt.value("width")
    )  # fmt: skip
    known = base.transform_filter("isValid(datum.rate)")
    bars = known.mark_rule(strokeWidth=6, opacity=0.3, color=tokens.text).encode(
        x=alt.X("low:Q", scale=scale, axis=x_axis), x2="high:Q"
    )
    dots = known.mark_circle(size=70, opacity=1, color=tokens.text).encode(x=alt.X("rate:Q", scale=scale, axis=x_axis))
    rates = base.mark_text(align="right", dx=RATE_PLACE, fontWeight=600, fontSize=13, color=tokens.text).encode(
        x=alt.value("width"), text="share:N"
    )
    counts = base.mark_text(align="right", dx=N_PLACE, color=tokens.muted).encode(x=alt.value("width"), text="of:N")
    pick = alt.selection_point(name="cell", fields=["name"], toggle=False)
    targets = base.mark_rect(fillOpacity=0.001, cursor="pointer").encode(
        x=alt.value(0), x2=alt.value("width"), tooltip=tooltip
    )
    chart = alt.layer(tint, bars, dots, rates, counts, targets.add_params(pick))
    # Where the words at the right edge end is known to Vega alone: it fits marks and words into the column.
    return dress(chart, tokens, ROW_HEIGHT * len(frame) + AXIS_HEIGHT).properties(
        autosize={"type": "fit-x", "contains": "padding"}
    )


def changes_frame(changes: Mapping[str, Mapping[str, Any]], chosen: str) -> pd.DataFrame:
    """Return a line for each change: those that should not turn a verdict by how often they do, then the others."""

    def rank(name: str) -> tuple[bool, bool, float]:
        rate = changes[name]["rate"]
        return PERTURBATIONS[name].should_turn, rate is None, -(rate or 0.0)

    lines = []
    for name in sorted((name for name in PERTURBATIONS if name in changes), key=rank):
        found, kind = changes[name], PERTURBATIONS[name]
        rate, low, high = found["rate"], found["low"], found["high"]
        lines.append(
            {
                "name": name, "title": kind.title, "rate": rate, "low": low, "high": high,
                "flips": found["flips"], "applied": found["applied"],
                "share": percent(rate), "of": f"of {found['applied']:,}", "chosen": name == chosen,
                "said": DASH if rate is None else f"{percent(rate)} ({interval_text(low, high)})",
            }
        )  # fmt: skip
    frame = pd.DataFrame(lines)
    return frame.astype({"rate": float, "low": float, "high": float})
