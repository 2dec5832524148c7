"""The curves of a run and what changes how they are drawn."""

import math

import streamlit as st

from core.charts.tokens import Tokens
from core.config import EnsembleConfig
from core.runs import Run
from core.training.history import HistoryReader, Unit, history_csv
from core.wording import percent
from dashboard import state
from dashboard.components import draw_caption, draw_chart_title, draw_section
from dashboard.run_snapshot import Snapshot
from dashboard.tokens import current_tokens
from dashboard.training_charts import (
    SCRIPT_ACCURACY,
    Axis,
    LossLook,
    make_axis,
    plot_accuracy,
    plot_loss,
    plot_small,
)

UNITS: tuple[Unit, ...] = ("step", "epoch", "time")
SPANS = (0, 5, 10, 20, 50, 100, 200, 500, 1_000)
SPAN_SHARE = 30  # of a run's steps, the usual span of smoothing
SCHEDULES = {
    "constant": "the same throughout",
    "linear": "falls evenly to zero",
    "one-cycle": "rises, then falls to zero",
}
UNIT_KEY, LOG_KEY, TIME_END = "curve-unit", "curve-log", "curve-time-end"
LEAST_FILLED = 0.5  # of an axis of time, or it is drawn anew


def draw_curves(shot: Snapshot) -> None:
    """Draw loss and validation accuracy, what changes how they are drawn, and the small charts; of an ensemble none."""
    if shot.is_ensemble:
        _draw_members(shot)
        return
    tokens, usual = current_tokens(), usual_span(shot)
    axis = _axis(shot, state.recall(UNIT_KEY) or "step")
    look = LossLook(bool(state.recall(LOG_KEY)), state.recall(f"curve-span-{usual}", usual))
    left, right = st.columns(2, gap="large")
    with left:
        _draw_loss(shot, axis, look, tokens)
    with right:
        _draw_accuracy(shot, axis, tokens)
    _draw_controls(usual)
    if shot.status != "finished":
        _draw_small_charts(shot, axis, tokens)
        return
    # What its training was like matters less once it is done, so it is drawn on demand.
    folded = st.expander("Speed, gradient norm and learning rate", key="small-charts", on_change="rerun")
    if folded.open:
        with folded:
            _draw_small_charts(shot, axis, tokens)


def _draw_members(shot: Snapshot) -> None:
    """Say what an ensemble is made of: there is no curve of a model that takes no step."""
    model = shot.config.model
    assert isinstance(model, EnsembleConfig)
    draw_section(
        f"Made of {', '.join(model.members[:-1])} and {model.members[-1]}",
        "Each learns by itself, and their calibrated scores are averaged. The whole takes no step, so it has no curve: "
        "it is validated once, when all members are there.",
    )


def usual_span(shot: Snapshot) -> int:
    """Return over how many steps the thick line is smoothed unless something else is chosen."""
    return min(SPANS[1:6], key=lambda span: abs(span - shot.last_step / SPAN_SHARE))


def curve_csv(run: Run) -> bytes:
    """Return every line of a run's history; read anew, off the script's thread."""
    return history_csv(HistoryReader(run.metrics_file).refresh()).encode()


def _axis(shot: Snapshot, unit: Unit) -> Axis:
    end = shot.last_step if unit == "step" else shot.last_epoch if unit == "epoch" else _time_end(shot)
    return make_axis(shot.history, unit, float(end), shot.per_epoch, shot.last_epoch)


def _time_end(shot: Snapshot) -> float:
    """Return where the axis of time ends: a round figure while the run goes on, kept for as long as it will do."""
    planned = shot.seconds_planned
    if not shot.is_live or not planned:
        return planned
    known_id, known = state.recall(TIME_END, ("", 0.0))
    if known_id == shot.run.run_id and LEAST_FILLED * known < planned <= known:
        return float(known)
    state.remember(TIME_END, (shot.run.run_id, round_up(planned)))
    return round_up(planned)


def round_up(seconds: float) -> float:
    """Return the next of 10, 12, 15, 20, 25, 30, 40, 50, 60, 80 times a power of ten, a tenth above at least."""
    power = 10.0 ** max(math.floor(math.log10(max(1.1 * seconds, 1.0))), 1)
    return next(step * power for step in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10) if step * power >= 1.1 * seconds)


def _draw_controls(usual: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="curve-controls"):
        st.segmented_control(
            "Axis", UNITS, default="step", required=True, key=UNIT_KEY, label_visibility="collapsed",
            help="What the curves are drawn against; time leaves out pauses and restarts.",
        )  # fmt: skip
        st.toggle("Log scale", key=LOG_KEY)
        with st.container(horizontal=True, vertical_alignment="center", width=330, wrap=False):
            with st.container(width="content"):
                draw_caption("Smoothing")
            st.select_slider(
                "Smoothing, in steps", SPANS, value=usual, key=f"curve-span-{usual}", label_visibility="collapsed",
                format_func=lambda span: f"{span:,} steps" if span else "off",
            )  # fmt: skip


def _draw_loss(shot: Snapshot, axis: Axis, look: LossLook, tokens: Tokens) -> None:
    count = len(shot.history.steps["step"])
    key = [("train", tokens.quiet), ("validation", tokens.valid)]
    spec = plot_loss(shot.history, axis, look, tokens)
    draw_chart_title("Loss", loss_caption(spec["datasets"]["raw"].num_rows, count, look.span), key)
    st.vega_lite_chart(spec, key="loss", theme=None, alt=f"Training and validation loss by {axis.title}")


def loss_caption(drawn: int, count: int, span: int) -> str:
    """Say how to read a loss of which some points are drawn, smoothed over a span of steps."""
    if not count:
        return "The first value comes with the first step."
    how = f"Thin: each step; thick: smoothed over {span:,} steps." if span else "Each step as it was."
    thinned = f" {drawn:,} of {count:,} points, extremes kept." if drawn < count else ""
    return f"Lower is better. {how}{thinned}"


def _draw_accuracy(shot: Snapshot, axis: Axis, tokens: Tokens) -> None:
    draw_chart_title("Validation accuracy", _accuracy_caption(shot), [("validation", tokens.valid)])
    spec = plot_accuracy(shot.history, axis, shot.n_valid, _lines(shot), tokens)
    st.vega_lite_chart(spec, key="accuracy", theme=None, alt=f"Validation accuracy by {axis.title}")


def _accuracy_caption(shot: Snapshot) -> str:
    if not shot.config.data.validation_fraction:
        return "This run holds no reviews back for validation."
    count = f"{shot.n_valid:,} reviews" if shot.n_valid else "On reviews"
    return f"{count} not trained on; the shade is the 95 % interval."


def _lines(shot: Snapshot) -> list[tuple[float, str]]:
    """Return the accuracies that the run is compared with, and their words."""
    lines = []
    if shot.config.data.source == "imdb":
        lines.append((SCRIPT_ACCURACY, f"the script, on test: {percent(SCRIPT_ACCURACY)}"))
    if shot.baseline is not None:
        share = shot.baseline.valid_accuracy
        lines.append((share, f"line to beat: n-gram model {percent(share)}"))
    return lines


def _draw_small_charts(shot: Snapshot, axis: Axis, tokens: Tokens) -> None:
    training = shot.config.training
    charts = (
        ("Reviews per second", "from zero", "reviews_per_second", ",", "speed"),
        ("Gradient norm", f"before it is clipped at {training.clip_norm:g}", "gradient_norm", ".1~f", "gradient"),
        ("Learning rate", SCHEDULES[training.schedule], "learning_rate", "~e", "rate"),
    )
    for column, (title, caption, name, number_format, key) in zip(st.columns(3, gap="large"), charts, strict=True):
        with column:
            draw_chart_title(title, caption)
            spec = plot_small(shot.history.steps[name], axis, number_format, tokens)
            st.vega_lite_chart(spec, key=key, theme=None, alt=f"{title} by {axis.title}")
