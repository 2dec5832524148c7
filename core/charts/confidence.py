"""Charts of what a confidence is worth: reliability diagram, its counts, and the risk-coverage curve."""

from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from core.charts.dress import dress, share_axis
from core.charts.evaluation import DIMMED, GAP, LABEL_WIDTH
from core.charts.tokens import Tokens
from core.evaluation.calibration import Reliability, RiskCoverage
from core.evaluation.intervals import wilson_interval
from core.evaluation.selection import describe_bin
from core.wording import DASH, interval_text, percent

RELIABILITY_HEIGHT = 270
COUNTS_HEIGHT = 70
RISK_HEIGHT = 340
FRAME_HEIGHT = 290  # of it, without the axis, in pixels
WORDS_WIDTH = 0.45  # of the frame, where it is narrow, for the words beside the ring
WORDS_CLEAR = 20  # pixels between them and the curve
LEAST_COVERAGE = 20
USUAL_COVERAGE = 80
SMALLEST_DOT, LARGEST_DOT = 22.0, 190.0
NARROW = 0.05  # an interval within which a fit can be claimed
DASHED = [5, 4]
Side = Literal["left", "right"]
DOTTED = [2, 3]


def plot_reliability(before: Reliability, after: Reliability | None, selected: int | None, tokens: Tokens) -> Any:
    """Return the share read right over confidence, bin by bin; a click reports ``bin`` as selection "cell".

    Args:
        before: Of the model as trained: dots as large as their bins are full, with 95 % intervals.
        after: Of its calibrated probabilities, a dotted line; None when there are none.
        selected: The bin that is filtered by.
        tokens: The colours.
    """
    frame = reliability_frame(before, selected)
    bottom = _bottom(before)
    y = alt.Scale(domain=[bottom, 1.0], nice=False, zero=False)
    axis = share_axis(tickCount=6, **LABEL_WIDTH)
    right = alt.Y("accuracy:Q", scale=y, axis=axis)
    filled = alt.Chart(frame.dropna(subset=["accuracy"])).encode(x=_confidence("confidence:Q"))
    perfect = pd.DataFrame({"confidence": [0.5, 1.0], "accuracy": [0.5, 1.0]})
    layers = [
        alt.Chart(perfect).mark_line(color=tokens.muted, strokeWidth=1, strokeDash=DASHED).encode(
            x=_confidence("confidence:Q"), y=right
        ),
        filled.mark_line(color=tokens.text, strokeWidth=1, opacity=0.55).encode(y=right),
    ]  # fmt: skip
    if after is not None:
        scaled = pd.DataFrame({"confidence": after.confidence, "accuracy": after.accuracy}).dropna()
        layers.append(
            alt.Chart(scaled)
            .mark_line(color=tokens.valid, strokeWidth=2, strokeDash=DOTTED)
            .encode(x=_confidence("confidence:Q"), y=right)
        )
    strength = alt.Opacity("strength:Q", scale=None)
    layers += [
        filled.mark_rule(color=tokens.text, strokeWidth=1.5).encode(
            y=alt.Y("low:Q", scale=y, axis=axis), y2="high:Q", opacity=strength
        ),
        filled.mark_circle(color=tokens.text, opacity=1).encode(
            y=right, size=alt.Size("dot:Q", scale=None), opacity=strength
        ),
        _click_targets(frame, y, axis, bottom, 1.0),
    ]
    return dress(alt.layer(*layers), tokens, RELIABILITY_HEIGHT)


def plot_bin_counts(before: Reliability, selected: int | None, tokens: Tokens) -> Any:
    """Return how many reviews lie in each bin of confidence; clicks as in ``plot_reliability``."""
    frame = reliability_frame(before, selected)
    top = 1.04 * max(float(before.n.max()), 1.0)
    y = alt.Scale(domain=[0, top], nice=False, zero=False)
    ticks = "~s" if top >= 1_000 else ",d"
    label = "datum.value ? datum.label : '0'"  # else "0k" stands beside "10k"
    axis = alt.Axis(title=None, format=ticks, tickCount=min(2, int(top)), labelExpr=label, **LABEL_WIDTH)
    bars = alt.Chart(frame).mark_rect(color=tokens.quiet).encode(
        x=_confidence("left:Q", "confidence"), x2="right_end:Q", y=alt.Y("zero:Q", scale=y, axis=axis), y2="n:Q",
        opacity=alt.Opacity("strength:Q", scale=None),
    )  # fmt: skip
    return dress(alt.layer(bars, _click_targets(frame, y, axis, 0.0, top)), tokens, COUNTS_HEIGHT)


def reliability_frame(found: Reliability, selected: int | None) -> pd.DataFrame:
    """Return the 20 bins as a table for both charts, with the words of their tooltips."""
    places = np.arange(len(found.n))
    fullest = max(int(found.n.max()), 1)
    return pd.DataFrame(
        {
            "bin": places, "left": found.edges[:-1] + GAP, "right_end": found.edges[1:] - GAP, "zero": 0,
            "n": found.n, "confidence": found.confidence, "accuracy": found.accuracy,
            "low": found.low, "high": found.high,
            "dot": SMALLEST_DOT + (LARGEST_DOT - SMALLEST_DOT) * found.n / fullest,
            "strength": np.where(places == selected, 1.0, DIMMED) if selected is not None else 1.0,
            "range": [describe_bin(place) for place in places.tolist()],
            "mean": [percent(value) if n else DASH for value, n in zip(found.confidence, found.n, strict=True)],
            "right": [
                f"{percent(share)} ({interval_text(low, high)})" if n else DASH
                for share, low, high, n in zip(found.accuracy, found.low, found.high, found.n, strict=True)
            ],
        }
    )  # fmt: skip


def plot_risk_coverage(curve: RiskCoverage, surest: int | None, tokens: Tokens) -> Any:
    """Return the share read right among the surest reviews; a click reports ``surest``, in percent, as "cell".

    Args:
        curve: The curve; it needs a review at least.
        surest: The percentage that is filtered by and ringed; without one, 80 is ringed.
        tokens: The colours.
    """
    frame = risk_frame(curve)
    least = min(LEAST_COVERAGE, surest or LEAST_COVERAGE)
    frame = frame[frame["surest"] >= least]
    shown = frame.dropna(subset=["accuracy"])
    low, high, step = nice_range(float(shown["low"].min()), float(shown["high"].max()))
    along: dict[str, Any] = {
        "scale": alt.Scale(domain=[least / 100, 1.0], nice=False, zero=False),
        "axis": share_axis("share of reviews accepted, surest first", tickCount=5),
    }
    x = alt.X("coverage:Q", **along)
    y = alt.Scale(domain=[low, high], nice=False, zero=False)
    axis = share_axis(tickCount=max(round((high - low) / step), 1), **LABEL_WIDTH)
    right = alt.Y("accuracy:Q", scale=y, axis=axis)
    base = alt.Chart(shown).encode(x=x)
    ringed = shown[shown["surest"] == (surest or USUAL_COVERAGE)]
    ring = alt.Chart(ringed).encode(x=x, y=right)
    words: tuple[Side, int] = ("right", 24)
    across, down = words if ringed.empty else place_words(shown, int(ringed.index[0]), (low, high), least)
    layers = [
        base.mark_area(color=tokens.text, opacity=0.16).encode(
            y=alt.Y("low:Q", scale=y, axis=axis), y2="high:Q"
        ),
        base.mark_line(color=tokens.text, strokeWidth=2).encode(y=right),
        ring.mark_point(
            size=130, filled=True, fill=tokens.paper, fillOpacity=1, stroke=tokens.text, strokeWidth=2, opacity=1
        ),
        ring.mark_text(
            align=across, dx=-14 if across == "right" else 14, dy=down, fontWeight=600, color=tokens.text,
        ).encode(text="ring_text:N"),
        _risk_targets(frame, along, y, axis, low, high),
    ]  # fmt: skip
    return dress(alt.layer(*layers), tokens, RISK_HEIGHT)


def risk_frame(curve: RiskCoverage) -> pd.DataFrame:
    """Return the curve as a table, with the words of its tooltips and of its ring."""
    right = [
        f"{percent(share)} ({interval_text(low, high)})" if n else DASH
        for share, low, high, n in zip(curve.accuracy, curve.low, curve.high, curve.n, strict=True)
    ]
    percents = np.rint(100 * curve.coverage).astype(int)
    return pd.DataFrame(
        {
            "surest": percents, "coverage": curve.coverage, "n": curve.n, "accuracy": curve.accuracy,
            "low": curve.low, "high": curve.high,
            "left": curve.coverage - 0.005, "right_end": np.minimum(curve.coverage + 0.005, 1.0),
            "right": right,
            "ring_text": [
                f"surest {each} %: {percent(share)} right" for each, share in zip(percents, curve.accuracy, strict=True)
            ],
        }
    )  # fmt: skip


def place_words(shown: pd.DataFrame, ringed: int, ends: tuple[float, float], least: int) -> tuple[Side, int]:
    """Return where the words of a point of the curve stand clear of the curve, and within the frame if they can.

    Args:
        shown: From ``risk_frame``, what of it is drawn.
        ringed: The index of the point in it.
        ends: Of the y axis, shares.
        least: Where the x axis begins, in percent.

    Returns:
        "right" where the words end at the point, "left" where they begin there; and how far down, in pixels.
    """
    down = (ends[1] - shown["accuracy"]) / (ends[1] - ends[0]) * FRAME_HEIGHT
    at, own = int(shown["surest"][ringed]), float(down[ringed])
    wide = WORDS_WIDTH * (100 - least)
    places: list[tuple[float, Side, int]] = []
    sides: tuple[tuple[Side, float, float], ...] = (("right", at - wide, at), ("left", at, at + wide))
    for across, first, last in sides:
        under = down[shown["surest"].between(first, last)]
        leaves = max(least - first, last - 100, 0.0)  # of the frame, at its sides
        for target in (float(under.max()) + WORDS_CLEAR, float(under.min()) - WORDS_CLEAR):
            outside = 0.0 if 8 <= target <= FRAME_HEIGHT - 8 else FRAME_HEIGHT
            places.append((10 * leaves + outside + abs(target - own), across, round(target - own)))
    _, across, offset = min(places)
    return across, offset


def nice_range(low: float, high: float) -> tuple[float, float, float]:
    """Return whole steps of 1, 2, 5 or 10 % around two shares, so that an axis ends near the data, and the step."""
    step = next((step for step in (0.01, 0.02, 0.05) if high - low <= 6 * step), 0.1)
    last = max(int(np.ceil(high / step - 1e-9)), 1)
    first = min(int(np.floor(low / step + 1e-9)), last - 1)
    return first * step, min(last * step, 1.0), step


def reliability_finding(found: Reliability) -> str:
    """Say whether confidence and the share right agree, on average over all reviews.

    Args:
        found: Of at least one review.
    """
    used = found.n > 0
    n, total = found.n[used], int(found.n.sum())
    right = round(float((n * found.accuracy[used]).sum()))
    confidence = float((n * found.confidence[used]).sum()) / total
    low, high = wilson_interval(right, total)
    sides = f"{percent(confidence)} confident on average, {percent(right / total)} right"
    if confidence > high:
        return f"It is too sure: {sides}"
    if confidence < low:
        return f"It is better than it says: {sides}"
    return f"{'Its confidence fits' if high - low < NARROW else 'No misfit shown'}: {sides}"


def risk_finding(curve: RiskCoverage, surest: int) -> str:
    """Say how many are right among the surest so many percent."""
    place = surest - 1
    if not curve.n[place]:
        return f"The surest {surest} % are less than one review"
    return f"Accept the surest {surest} %, and {percent(float(curve.accuracy[place]))} are right"


def _bottom(found: Reliability) -> float:
    """Return where the y axis begins: at one half, unless an interval reaches below."""
    lows = found.low[found.n > 0]
    return 0.5 if not len(lows) or lows.min() >= 0.5 else float(np.floor(10 * lows.min()) / 10)


def _confidence(field: str, title: str | None = None) -> alt.X:
    scale = alt.Scale(domain=[0.5, 1.0], nice=False, zero=False)
    return alt.X(field, scale=scale, axis=share_axis(title, tickCount=5, labels=title is not None))


def _click_targets(frame: pd.DataFrame, y: alt.Scale, axis: alt.Axis, bottom: float, top: float) -> Any:
    """Return unseen bars of full height, so that a small dot or bar is as easy to hit as the others."""
    pick = alt.selection_point(name="cell", fields=["bin"], toggle=False)
    tooltip = [
        alt.Tooltip("range:N", title="confidence"), alt.Tooltip("mean:N", title="on average"),
        alt.Tooltip("right:N", title="read right"), alt.Tooltip("n:Q", title="reviews", format=","),
    ]  # fmt: skip
    base = alt.Chart(frame.assign(bottom=bottom, top=top)).mark_rect(fillOpacity=0.001, cursor="pointer")
    return base.encode(
        x=_confidence("left:Q", "confidence" if bottom == 0 else None), x2="right_end:Q",
        y=alt.Y("bottom:Q", scale=y, axis=axis), y2="top:Q", tooltip=tooltip,
    ).add_params(pick)  # fmt: skip


def _risk_targets(
    frame: pd.DataFrame, along: dict[str, Any], y: alt.Scale, axis: alt.Axis, low: float, high: float
) -> Any:
    pick = alt.selection_point(name="cell", fields=["surest"], toggle=False)
    tooltip = [
        alt.Tooltip("coverage:Q", title="the surest", format=".0%"), alt.Tooltip("right:N", title="read right"),
        alt.Tooltip("n:Q", title="reviews", format=","),
    ]  # fmt: skip
    base = alt.Chart(frame.assign(bottom=low, top=high)).mark_rect(fillOpacity=0.001, cursor="pointer")
    return base.encode(
        x=alt.X("left:Q", **along), x2="right_end:Q",
        y=alt.Y("bottom:Q", scale=y, axis=axis), y2="top:Q", tooltip=tooltip,
    ).add_params(pick)  # fmt: skip
