""" "Which model?": what each preset brings against what it costs, by measured runs of this workspace or as shipped."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from core.charts.dress import dress, share_axis
from core.charts.tokens import Tokens
from core.model_figures import Known, load_shipped
from core.wording import DASH, interval_text, percent, plural
from dashboard import state
from dashboard.components import about_duration, draw_caption, duration
from dashboard.forecast_charts import IN_WORDS, TICKS
from dashboard.tokens import current_tokens

KEY = "which-model"
HEIGHT = 230
MARGIN = 0.004
ROOM_LEFT, ROOM_RIGHT = 2.0, 6.0  # times on the axis of time; the names stand on the right
MOST_TICKS = 6
SMALLEST = 0.0005  # differences that are written as 0.0 points


def draw_which_model(known: Mapping[str, Known], chosen: str) -> None:
    """Draw what is known of the presets, folded under the finding: a chart whose points choose, and a table of it."""
    if not known:
        return
    finding = describe_choice(list(known.values()))
    with st.expander(f"Which model? {finding}", icon=":material/balance:"):
        draw_caption(how_to_read(list(known.values())))
        spec = plot_known(tuple(known.values()), chosen, current_tokens())
        st.vega_lite_chart(spec, key=KEY, theme=None, on_select=take_choice, alt=f"{finding} The table says the same.")
        st.dataframe(known_frame(list(known.values())), hide_index=True, height="content", alt="The presets' figures")


def take_choice() -> None:
    """Choose the preset that was clicked; a click beside all points leaves the choice as it is."""
    event = state.recall(KEY)
    picked = event["selection"].get("preset") if event else None
    if picked:
        state.remember("preset", picked[0]["preset"])


def describe_choice(known: Sequence[Known]) -> str:
    """Say what the most accurate preset has over the quickest: points for time."""
    best = max(known, key=lambda each: each.accuracy)
    quickest = min(known, key=lambda each: each.seconds)
    if len(known) == 1:
        return f"{best.preset} is right about {percent(best.accuracy)} after {duration(best.seconds)}."
    if best is quickest:
        return f"{best.preset} is the quickest and the most accurate of these."
    gain, time = best.accuracy - quickest.accuracy, duration(best.seconds - quickest.seconds)
    if gain < SMALLEST:
        return f"{quickest.preset} is the quickest, and none is more accurate."
    said = f"{best.preset} is {100 * gain:.1f} points above {quickest.preset}"
    return f"{said} for {time} more{'' if is_clear(best, quickest) else ', which may be chance'}."


def is_clear(one: Known, other: Known) -> bool:
    """Tell whether two accuracies differ by more than chance explains, the reviews taken for different ones.

    Of the same reviews, which they mostly are, the difference is known better: this errs on the side of caution.
    """
    (low, high), (other_low, other_high) = one.interval, other.interval
    half = math.hypot(high - low, other_high - other_low) / 2
    return abs(one.accuracy - other.accuracy) > half


def how_to_read(known: Sequence[Known]) -> str:
    """Return the sentences below the finding: what was measured where, and what a click does."""
    here, shipped = [each for each in known if each.is_here], [each for each in known if not each.is_here]
    machine = load_shipped().machine
    parts = ["Accuracy with its 95 % interval against the time of a whole training. A click chooses."]
    if here:
        runs = plural(sum(each.seeds for each in here), "run")
        parts.append(f"{'Filled: measured' if shipped else 'Measured'} here, by {runs} on this data, on validation.")
    if shipped:
        split = "validation" if here else f"its {shipped[0].n:,} test reviews"
        where = "Hollow: measured" if here else "Measured"
        parts.append(f"{where} on {machine} with IMDB, on {split}; nothing is known of other data before you try.")
    return " ".join(parts)


def known_frame(known: Sequence[Known]) -> pd.DataFrame:
    """Return the same as the chart in words, the most accurate first."""
    split = "Validation" if any(each.is_here for each in known) else "Test"
    rows = []
    for each in sorted(known, key=lambda each: -each.accuracy):
        row = {
            "Preset": each.preset,
            split: percent(each.accuracy),
            "95 % interval": interval_text(*each.interval),
            "Training": duration(each.seconds),
            "Scoring": DASH if each.reviews_per_second is None else f"{each.reviews_per_second:,.0f} reviews/s",
            "Measured": f"{'here' if each.is_here else 'as shipped'}, {plural(each.seeds, 'run')}",
        }
        if split == "Validation":
            row["Test"] = percent(each.test_accuracy)
        rows.append(row)
    return pd.DataFrame(rows)


def known_words(known: Known | None) -> str:
    """Return a preset's figures for its caption; nothing when none is known."""
    if known is None:
        return ""
    whose = "in earlier runs" if known.is_here else "on IMDB"
    speed = "" if known.reviews_per_second is None else f" · scores {_rounded(known.reviews_per_second)} a second"
    return f" · {percent(known.accuracy)} {whose} ({interval_text(*known.interval)}){speed}"


def _rounded(number: float) -> str:
    """Write a number to two digits, with commas."""
    return f"{float(f'{number:.1e}'):,.0f}" if number >= 1 else f"{number:.1g}"


@lru_cache(maxsize=32)
def plot_known(known: tuple[Known, ...], chosen: str, tokens: Tokens) -> dict[str, Any]:
    """Return a point for each preset with its interval: accuracy over the seconds of a training, on a log axis.

    It is a Vega-Lite specification with its data, for ``st.vega_lite_chart(..., theme=None)``; not to be changed.
    """
    frame = pd.DataFrame([_point(each, chosen) for each in known])
    low, high = max(frame["seconds"].min(), 0.1) / ROOM_LEFT, frame["seconds"].max() * ROOM_RIGHT
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axis = alt.Axis(
        title="time of a training, log scale", values=ticks[:: -(-len(ticks) // MOST_TICKS) or 1], labelExpr=IN_WORDS
    )
    x = alt.X("seconds:Q", scale=alt.Scale(type="log", domain=[low, high], nice=False), axis=axis)
    domain = [max(frame["low"].min() - MARGIN, 0.0), min(frame["high"].max() + MARGIN, 1.0)]
    scale, ticks_of_share = alt.Scale(domain=domain, zero=False, nice=False), share_axis("accuracy", tickCount=4)
    y, y_low = (alt.Y(name, scale=scale, axis=ticks_of_share) for name in ("accuracy:Q", "low:Q"))
    colour = alt.condition("datum.is_chosen", alt.value(tokens.text), alt.value(tokens.quiet))
    tooltip = [
        alt.Tooltip("preset:N"), alt.Tooltip("share:N", title="accuracy"), alt.Tooltip("range:N", title="95 %"),
        alt.Tooltip("time:N", title="training"), alt.Tooltip("speed:N", title="scoring"),
        alt.Tooltip("measured:N"),
    ]  # fmt: skip
    base = alt.Chart(frame).encode(x=x, color=colour)
    pick = alt.selection_point(name="preset", fields=["preset"], toggle=False)
    # A hollow point is filled with the page, so that its interval does not show through it.
    dots: dict[str, Any] = {"size": 90, "opacity": 1, "strokeWidth": 2}
    solid = alt.Chart(frame[frame["is_here"]]).mark_point(filled=True, **dots)
    hollow = alt.Chart(frame[~frame["is_here"]]).mark_point(fill=tokens.paper, **dots)
    layers = [
        base.mark_rule(strokeWidth=3, opacity=0.45).encode(y=y_low, y2="high:Q"),
        solid.encode(x=x, y=y, color=colour),
        hollow.encode(x=x, y=y, color=colour),
        base.mark_text(align="left", dx=9, fontSize=13).encode(y=y, text="preset:N", color=alt.value(tokens.text)),
        base.mark_circle(size=900, opacity=0.001, cursor="pointer").encode(y=y, tooltip=tooltip).add_params(pick),
    ]
    spec: dict[str, Any] = dress(alt.layer(*layers), tokens, HEIGHT).to_dict()
    return spec


def _point(known: Known, chosen: str) -> dict[str, Any]:
    low, high = known.interval
    speed = DASH if known.reviews_per_second is None else f"{known.reviews_per_second:,.0f} reviews/s"
    return {
        "preset": known.preset, "accuracy": known.accuracy, "low": low, "high": high, "seconds": known.seconds,
        "is_here": known.is_here, "is_chosen": known.preset == chosen, "share": percent(known.accuracy),
        "range": interval_text(low, high), "time": about_duration(known.seconds), "speed": speed,
        "measured": f"{'here' if known.is_here else 'as shipped'}, {plural(known.seeds, 'run')}",
    }  # fmt: skip
