"""Charts of a scored split: confusion matrix, confidence histogram, ROC and precision-recall. Calls no ``st.*``."""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import plotly.graph_objects as go

from core.charts.dress import dress, dress_plotly, share_axis, with_opacity
from core.charts.tokens import Tokens
from core.evaluation.curves import BINS, ConfidenceBins, Curve
from core.evaluation.intervals import Interval
from core.evaluation.metrics import Confusion
from core.evaluation.selection import LABELS, Selection
from core.wording import percent

MATRIX_HEIGHT = 290
COUNTS_HEIGHT = 165
SHARES_HEIGHT = 125
CURVE_HEIGHT = 340
DIMMED = 0.45
LEAST_NAMED = 0.075  # of confidence: as wide as the words in a shade
WORDS_BELOW = 0.76  # of the height of the shares' chart: above it stand the words
GAP = 0.0012  # of confidence, left open on both sides of a bar
# Both histograms have labels of one width, so that their bars stand above each other.
LABEL_WIDTH: dict[str, Any] = {"minExtent": 34, "maxExtent": 34}


def plot_matrix(confusion: Confusion, selection: Selection, tokens: Tokens) -> Any:
    """Return the confusion matrix; a click reports ``label`` and ``verdict`` of the cell as selection "cell"."""
    frame = matrix_frame(confusion, selection)
    pick = alt.selection_point(name="cell", fields=["label", "verdict"], toggle=False)
    axis: dict[str, Any] = {"title": None, "labelColor": tokens.text, "labelFontSize": 13, "domain": False}
    band = alt.Scale(paddingInner=0.035, paddingOuter=0)
    x = alt.X("read:N", sort=None, scale=band, axis=alt.Axis(orient="top", labelAngle=0, grid=False, **axis))
    y = alt.Y("labelled:N", sort=None, scale=band, axis=alt.Axis(labelAngle=-90, labelAlign="center", **axis))
    base = alt.Chart(frame).encode(x=x, y=y)
    tooltip = [
        alt.Tooltip("labelled:N", title="label"), alt.Tooltip("read:N", title="verdict"),
        alt.Tooltip("count:Q", title="reviews", format=","), alt.Tooltip("share:N", title="of this label"),
    ]  # fmt: skip
    colour = alt.Color("outcome:N", scale=alt.Scale(domain=["right", "wrong"], range=[tokens.quiet, tokens.wrong]))
    cells = base.mark_rect(cornerRadius=4, cursor="pointer").encode(
        color=colour, opacity=alt.Opacity("opacity:Q", scale=None), tooltip=tooltip
    )
    counts = base.mark_text(fontSize=22, fontWeight=600, dy=-8, color=tokens.text).encode(
        text=alt.Text("count:Q", format=",")
    )
    shares = base.mark_text(dy=14, color=tokens.text).encode(text="share:N")
    return dress(alt.layer(cells.add_params(pick), counts, shares), tokens, MATRIX_HEIGHT)


def matrix_finding(confusion: Confusion) -> str:
    """Say which error is the more frequent one."""
    if not confusion.false_positives and not confusion.false_negatives:
        return "No review was misread"
    label = 0 if confusion.false_positives >= confusion.false_negatives else 1
    count = max(confusion.false_positives, confusion.false_negatives)
    reviews = "review was" if count == 1 else "reviews were"
    return f"{count:,} {LABELS[label]} {reviews} read as {LABELS[1 - label]}"


def confidence_finding(bins: ConfidenceBins) -> str:
    """Say how many of the reviews that were read most surely are wrong."""
    sure, wrong = int((bins.right + bins.wrong)[-4:].sum()), int(bins.wrong[-4:].sum())
    if not sure:
        return "No review was read with 90 % confidence"
    if sure == 1:
        return f"The one review read with 90 % confidence or more is {'wrong' if wrong else 'right'}"
    if not wrong:
        return f"None of the {sure:,} reviews read with 90 % confidence or more is wrong"
    return f"Of {sure:,} reviews read with 90 % confidence or more, {percent(wrong / sure)} are wrong"


def matrix_frame(confusion: Confusion, selection: Selection) -> pd.DataFrame:
    """Return the four cells: counts, shares of their label in words, and how strongly each is drawn."""
    counts = [
        [confusion.true_negatives, confusion.false_positives],
        [confusion.false_negatives, confusion.true_positives],
    ]
    cells = []
    for label in (0, 1):
        for verdict in (0, 1):
            count, of_label = counts[label][verdict], sum(counts[label])
            share, outcome = count / of_label if of_label else None, "right" if label == verdict else "wrong"
            is_shown = selection.label in (None, label) and selection.verdict in (None, verdict)
            cells.append(
                {
                    "label": label, "verdict": verdict, "count": count, "outcome": outcome,
                    "labelled": f"labelled {LABELS[label]}", "read": f"read as {LABELS[verdict]}",
                    "share": f"{percent(share)} {outcome}" if share is not None else "no such label",
                    "opacity": (0.22 + 0.28 * (share or 0)) * (1 if is_shown else DIMMED),
                }
            )  # fmt: skip
    return pd.DataFrame(cells)


def plot_counts(bins: ConfidenceBins, selected: int | None, tokens: Tokens) -> Any:
    """Return reviews by confidence, wrong under right; a click reports ``bin`` as selection "cell"."""
    frame = bins_frame(bins, selected)
    top = max(float(frame["all"].max()), 1.0)
    y = alt.Scale(domain=[0, 1.04 * top], nice=False, zero=False)
    axis = alt.Axis(title=None, format="~s" if top >= 1_000 else ",d", tickCount=min(4, int(top)), **LABEL_WIDTH)
    base = alt.Chart(frame).encode(x=_confidence("left:Q", labels=False), x2="right_end:Q")
    bars = [
        base.mark_rect(color=colour).encode(
            y=alt.Y(f"{start}:Q", scale=y, axis=axis), y2=f"{end}:Q", opacity=alt.Opacity("strength:Q", scale=None)
        )
        for start, end, colour in (("zero", "wrong", tokens.wrong), ("wrong", "all", tokens.quiet))
    ]
    return dress(alt.layer(*bars, _click_targets(frame, y, axis, 1.04 * top)), tokens, COUNTS_HEIGHT)


def plot_shares_wrong(
    bins: ConfidenceBins, selected: int | None, tokens: Tokens, shades: Sequence[Interval] = ()
) -> Any:
    """Return the share wrong by confidence with its interval; clicks as in ``plot_counts``.

    Args:
        bins: From ``count_by_confidence``.
        selected: The bin that is filtered by.
        tokens: The colours.
        shades: Where confidence is called not sure: of one class each, so that it is darker where both are.
    """
    frame = bins_frame(bins, selected)
    highest = float(frame["high"].max()) if frame["high"].notna().any() else 0.5
    top = min(1.0, max(0.25, np.ceil(4 * highest) / 4))
    step = next(step for step in (0.1, 0.2, 0.25, 0.5) if top <= 3 * step)
    axis = share_axis(values=np.arange(0, top + 1e-9, step).tolist(), **LABEL_WIDTH)
    if named := _named(shades):
        under = frame.loc[frame["middle"].between(named[0], named[0] + LEAST_NAMED), "high"]
        top = max(top, float(under.max(skipna=True)) / WORDS_BELOW) if under.notna().any() else top
    y = alt.Scale(domain=[0, top], nice=False, zero=False)
    base = alt.Chart(frame.dropna(subset=["share"])).encode(
        x=_confidence("middle:Q", labels=True), opacity=alt.Opacity("strength:Q", scale=None)
    )
    intervals = base.transform_calculate(faint="0.3 * datum.strength").mark_rule(strokeWidth=6, color=tokens.wrong)
    intervals = intervals.encode(
        y=alt.Y("low:Q", scale=y, axis=axis), y2="high:Q", opacity=alt.Opacity("faint:Q", scale=None)
    )
    dots = base.mark_circle(size=42, color=tokens.wrong).encode(y=alt.Y("share:Q", scale=y, axis=axis))
    behind = _shade(shades, y, axis, top, tokens) if shades else []
    return dress(alt.layer(*behind, intervals, dots, _click_targets(frame, y, axis, top)), tokens, SHARES_HEIGHT)


def _shade(shades: Sequence[Interval], y: alt.Scale, axis: alt.Axis, top: float, tokens: Tokens) -> list[Any]:
    """Return shades of full height with their name, which a narrow one has no room for."""
    frame = pd.DataFrame({"start": low, "end": high, "zero": 0.0, "top": top} for low, high in shades)
    x = _confidence("start:Q", labels=True)
    base = alt.Chart(frame)
    areas = base.mark_rect(color=tokens.not_sure, opacity=0.26 / len(shades)).encode(
        x=x, x2="end:Q", y=alt.Y("zero:Q", scale=y, axis=axis), y2="top:Q"
    )
    named = _named(shades)
    if named is None:
        return [areas]
    at = pd.DataFrame([{"left": named[0], "top": top}])
    words = alt.Chart(at).mark_text(text="not sure", align="left", baseline="top", dx=4, dy=4, color=tokens.text)
    return [areas, words.encode(x=_confidence("left:Q", labels=True), y=alt.Y("top:Q", scale=y, axis=axis))]


def _named(shades: Sequence[Interval]) -> Interval | None:
    """Return the shade that has room for its name, if one has."""
    widest = max(shades, key=lambda shade: shade[1] - shade[0], default=None)
    return None if widest is None or widest[1] - widest[0] < LEAST_NAMED else widest


def bins_frame(bins: ConfidenceBins, selected: int | None) -> pd.DataFrame:
    """Return the 20 bins as a table for both histograms, with the words of their tooltips."""
    places, of_all = np.arange(BINS), bins.right + bins.wrong
    frame = pd.DataFrame(
        {
            "bin": places, "left": bins.edges[:-1] + GAP, "right_end": bins.edges[1:] - GAP,
            "middle": (bins.edges[:-1] + bins.edges[1:]) / 2, "zero": 0, "wrong": bins.wrong, "all": of_all,
            "share": bins.share_wrong, "low": bins.low, "high": bins.high,
            "strength": np.where(places == selected, 1.0, DIMMED) if selected is not None else 1.0,
        }
    )  # fmt: skip
    frame["confidence"] = [f"{100 * low:g} to {100 * high:g} %" for low, high in zip(bins.edges, bins.edges[1:])]  # noqa: B905
    frame["said"] = [
        f"{percent(share)} ({100 * low:.1f} to {100 * high:.1f})" if n else "–"
        for share, low, high, n in zip(bins.share_wrong, bins.low, bins.high, of_all, strict=True)
    ]
    return frame


def plot_roc(curve: Curve, tokens: Tokens, threshold: float = 0.5, chosen: float | None = None) -> go.Figure:
    """Return recall over the false positive rate, with chance as the dashed diagonal.

    Args:
        curve: From ``roc_curve``.
        tokens: The colours.
        threshold: The probability in use, which is ringed.
        chosen: The probability that is filtered by: a dot. A click reports a point whose third ``customdata`` it is.
    """
    figure = _plot_curve(curve, tokens, "false positive rate", "recall", threshold, chosen)
    figure.add_scatter(x=[0, 1], y=[0, 1], **_dashed(tokens))
    return _finish_curve(
        figure, tokens, "share of negative reviews read as positive", "share of positive reviews found"
    )


def plot_precision_recall(
    curve: Curve, tokens: Tokens, threshold: float = 0.5, chosen: float | None = None
) -> go.Figure:
    """Return precision over recall, with the share of positives as the dashed line; arguments as ``plot_roc``."""
    figure = _plot_curve(curve, tokens, "recall", "precision", threshold, chosen)
    figure.add_scatter(x=[0, 1], y=[curve.base, curve.base], **_dashed(tokens))
    return _finish_curve(figure, tokens, "share of positive reviews found", "share positive among them")


def _plot_curve(
    curve: Curve, tokens: Tokens, x_name: str, y_name: str, threshold: float, chosen: float | None
) -> go.Figure:
    figure = go.Figure()
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=curve.x, y=curve.low, **band)
    figure.add_scatter(x=curve.x, y=curve.high, fill="tonexty", fillcolor=with_opacity(tokens.text, 0.16), **band)
    hover = (
        f"{y_name} %{{y:.1%}} (%{{customdata[0]:.1%}} to %{{customdata[1]:.1%}})<br>{x_name} %{{x:.1%}}<br>"
        "at probability %{customdata[2]:.3f} and above<extra></extra>"
    )
    # Only markers can be clicked, so there are some, unseen.
    unseen = {"opacity": 0, "size": 9, "color": tokens.text}
    figure.add_scatter(
        x=curve.x, y=curve.y, mode="lines+markers", line={"color": tokens.text, "width": 2}, marker=unseen,
        selected={"marker": unseen}, unselected={"marker": {"opacity": 0}},
        # As lists: of an array, a click would report a mapping in place of three numbers.
        customdata=np.stack([curve.low, curve.high, curve.thresholds], axis=1).tolist(), hovertemplate=hover,
    )  # fmt: skip
    ring = {"size": 12, "color": tokens.paper, "line": {"color": tokens.text, "width": 2}}
    if curve.used is not None:
        figure.add_scatter(
            x=[curve.used[0]], y=[curve.used[1]], mode="markers", marker=ring, hoverinfo="skip",
            unselected={"marker": {"opacity": 1}},
        )  # fmt: skip
        across, up = words_beside(*curve.used, is_falling=x_name == "recall")
        figure.add_annotation(
            x=curve.used[0], y=curve.used[1], text=f"{threshold:.3f}".removesuffix("0"), showarrow=False,
            xshift=across, yshift=up, font={"color": tokens.text},
        )  # fmt: skip
    if chosen is not None:
        place = int(np.abs(curve.thresholds - chosen).argmin())
        figure.add_scatter(
            x=[curve.x[place]], y=[curve.y[place]], mode="markers", marker={"size": 9, "color": tokens.text},
            hoverinfo="skip", unselected={"marker": {"opacity": 1}},
        )  # fmt: skip
    return figure


def words_beside(x: float, y: float, *, is_falling: bool) -> tuple[int, int]:
    """Return where words stand beside a point of a curve: on the side where it does not run, and within the frame.

    Args:
        x: Of the point, 0 to 1 over the width of the frame.
        y: Likewise, over its height.
        is_falling: Whether the curve falls, as precision over recall does.

    Returns:
        How far right and how far up, in pixels.
    """
    is_left = x > 0.12 if is_falling else x > 0.88
    return -18 if is_left else 22, 14 if y < 0.1 else -14


def _finish_curve(figure: go.Figure, tokens: Tokens, x_title: str, y_title: str) -> go.Figure:
    dress_plotly(figure, tokens, CURVE_HEIGHT)
    shares = {"tickformat": ".0%", "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1], "fixedrange": True}
    figure.update_layout(margin_r=20)
    small = {"standoff": 8, "font": {"size": 12}}
    figure.update_xaxes(title={"text": x_title, **small}, range=[-0.01, 1.01], **shares)
    figure.update_yaxes(title={"text": y_title, **small}, range=[0, 1.02], **shares)
    return figure


def _dashed(tokens: Tokens) -> dict[str, Any]:
    return {"mode": "lines", "line": {"color": tokens.muted, "width": 1, "dash": "5px,4px"}, "hoverinfo": "skip"}


def _confidence(field: str, *, labels: bool) -> alt.X:
    scale = alt.Scale(domain=[0.5, 1.0], nice=False, zero=False)
    return alt.X(field, scale=scale, axis=share_axis("confidence" if labels else None, tickCount=5, labels=labels))


def _click_targets(frame: pd.DataFrame, y: alt.Scale, axis: alt.Axis, top: float) -> Any:
    """Return unseen bars of full height, so that a bin of few reviews is as easy to hit as the others."""
    pick = alt.selection_point(name="cell", fields=["bin"], toggle=False)
    tooltip = [
        alt.Tooltip("confidence:N"), alt.Tooltip("all:Q", title="reviews", format=","),
        alt.Tooltip("wrong:Q", format=","), alt.Tooltip("said:N", title="share wrong"),
    ]  # fmt: skip
    base = alt.Chart(frame.assign(top=top)).mark_rect(fillOpacity=0.001, cursor="pointer")
    return base.encode(
        x=alt.X("left:Q", scale=alt.Scale(domain=[0.5, 1.0], nice=False, zero=False)), x2="right_end:Q",
        y=alt.Y("zero:Q", scale=y, axis=axis), y2="top:Q", tooltip=tooltip,
    ).add_params(pick)  # fmt: skip
