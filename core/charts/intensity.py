"""The score, 0 to 1, by the stars that a review's author gave. Calls no ``st.*``."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd

from core.charts.dress import dress, filled
from core.charts.tokens import Tokens
from core.evaluation.intensity import SCORE_BINS, StarScores

HEIGHT = 340
DIMMED = 0.45
WIDEST = 0.46  # of the way to the next star, on each side


def plot_intensity(by_stars: Sequence[StarScores], selected: int | None, tokens: Tokens) -> Any:
    """Return the mean score by stars over the scores' spread; a click reports ``stars`` as selection "cell".

    Args:
        by_stars: For each number of stars that occurs, at least one.
        selected: The stars that are filtered by.
        tokens: The colours.
    """
    frame, spread = stars_frame(by_stars, selected), spread_frame(by_stars, selected)
    return _form(frame, spread, by_stars[0].stars, by_stars[-1].stars, tokens)


def intensity_spec(by_stars: Sequence[StarScores], selected: int | None, tokens: Tokens) -> dict[str, Any]:
    """Return the same as a Vega-Lite chart, within a few ms from the second one on."""
    form = _named_form(by_stars[0].stars, by_stars[-1].stars, tokens)
    return filled(form, stars=stars_frame(by_stars, selected), spread=spread_frame(by_stars, selected))


@lru_cache(maxsize=40)
def _named_form(first: int, last: int, tokens: Tokens) -> dict[str, Any]:
    return dict(_form(alt.NamedData("stars"), alt.NamedData("spread"), first, last, tokens).to_dict())


def _form(frame: Any, spread: Any, first: int, last: int, tokens: Tokens) -> Any:
    x_scale = alt.Scale(domain=[first - 0.5, last + 0.5], nice=False, zero=False)
    x_axis = alt.Axis(title="stars", values=list(range(first, last + 1)), format="d", grid=False)
    y_scale = alt.Scale(domain=[0, 1], nice=False, zero=False)
    y_axis = alt.Axis(title=None, values=[0, 0.25, 0.5, 0.75, 1], format=".2f")
    strength = alt.Opacity("strength:Q", scale=None)
    bars = alt.Chart(spread).mark_rect(color=tokens.quiet).encode(
        x=alt.X("left:Q", scale=x_scale, axis=x_axis), x2="right:Q", y=alt.Y("low:Q", scale=y_scale, axis=y_axis),
        y2="high:Q", opacity=alt.Opacity("faint:Q", scale=None),
    )  # fmt: skip
    base = alt.Chart(frame).encode(x=alt.X("stars:Q", scale=x_scale, axis=x_axis), opacity=strength)
    y = alt.Y("mean:Q", scale=y_scale, axis=y_axis)
    line = base.mark_line(color=tokens.text, strokeWidth=1).encode(y=y, detail="piece:N", opacity=alt.value(0.5))
    known = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=7, color=tokens.text)
    intervals = known.encode(y=alt.Y("low:Q", scale=y_scale, axis=y_axis), y2="high:Q", opacity=alt.value(0.3))
    dots = base.mark_circle(size=80, color=tokens.text).encode(y=y)
    pick = alt.selection_point(name="cell", fields=["stars"], toggle=False)
    tooltip = [
        alt.Tooltip("stars:Q"), alt.Tooltip("n:Q", title="reviews", format=","),
        alt.Tooltip("said:N", title="mean score"), alt.Tooltip("median:Q", title="median score", format=".3f"),
    ]  # fmt: skip
    targets = alt.Chart(frame).mark_rect(fillOpacity=0.001, cursor="pointer").encode(
        x=alt.X("left:Q", scale=x_scale, axis=x_axis), x2="right:Q", y=alt.value(0), y2=alt.value(HEIGHT),
        tooltip=tooltip,
    )  # fmt: skip
    return dress(alt.layer(bars, line, intervals, dots, targets.add_params(pick)), tokens, HEIGHT)


def stars_frame(by_stars: Sequence[StarScores], selected: int | None) -> pd.DataFrame:
    """Return a row for each number of stars: the mean with its interval, and how strongly it is drawn."""
    frame = pd.DataFrame(
        [
            {
                "stars": each.stars, "n": each.n, "mean": each.mean, "median": each.median,
                "low": each.low, "high": each.high, "left": each.stars - 0.5, "right": each.stars + 0.5,
                "strength": 1.0 if selected in (None, each.stars) else DIMMED,
                "piece": each.stars - place,  # where no review has so many stars, the line is not drawn
                "said": f"{each.mean:.3f}" + ("" if each.low is None else f" ({each.low:.3f} to {each.high:.3f})"),
            }
            for place, each in enumerate(by_stars)
        ]
    )  # fmt: skip
    return frame.astype({"low": float, "high": float})


def spread_frame(by_stars: Sequence[StarScores], selected: int | None) -> pd.DataFrame:
    """Return the bars of each number of stars' histogram, centred on it, the fullest bin the widest."""
    bars = []
    for each in by_stars:
        strength = 0.4 if selected in (None, each.stars) else 0.4 * DIMMED
        for place in range(SCORE_BINS):
            half = WIDEST * each.counts[place] / each.counts.max()
            if half:
                bars.append(
                    {
                        "left": each.stars - half, "right": each.stars + half, "faint": strength,
                        "low": place / SCORE_BINS + 0.002, "high": (place + 1) / SCORE_BINS - 0.002,
                    }
                )  # fmt: skip
    return pd.DataFrame(bars)
