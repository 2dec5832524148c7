"""The curves of a run."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from core.evaluation.intervals import wilson_interval
from core.training.history import History, smooth, thin
from dashboard.charts import dress, share_axis
from dashboard.tokens import Tokens

MOST_POINTS = 1_200
SMOOTH_POINTS = 300
SCRIPT_ACCURACY = 0.8519
HEIGHT = 270


def smoothing_span(history: History) -> int:
    """Return over how many steps the thick line is smoothed: a thirtieth of the run, 5 to 100."""
    return int(np.clip(len(history.steps["step"]) / 30, 5, 100))


def plot_loss(history: History, total_steps: int, tokens: Tokens) -> Any:
    """Return the loss by step: raw thin, smoothed thick, validation with its best point ringed."""
    x = alt.X(
        "step:Q", title="step", axis=alt.Axis(tickCount=5), scale=alt.Scale(domain=[0, max(total_steps, 1)], nice=False)
    )
    losses = history.steps["loss"]
    top = _loss_top(history)
    y = alt.Y("loss:Q", title=None, scale=alt.Scale(domain=[0, top], nice=False, clamp=True))
    steps = history.steps["step"]
    kept = thin(losses, MOST_POINTS)
    smoothed = smooth(losses, smoothing_span(history))
    few = np.unique(np.linspace(0, max(len(losses) - 1, 0), min(len(losses), SMOOTH_POINTS)).astype(np.int64))
    raw_frame = pd.DataFrame({"step": steps[kept].astype(np.int32), "loss": losses[kept].astype(np.float32)})
    smooth_frame = pd.DataFrame({"step": steps[few].astype(np.int32), "loss": smoothed[few].astype(np.float32)})
    valid_frame = _validation_frame(history).rename(columns={"valid_loss": "loss"})
    tooltip = ["step:Q", alt.Tooltip("loss:Q", format=".3f")]
    raw = alt.Chart(raw_frame).mark_line(color=tokens.quiet, strokeWidth=1, opacity=0.4, clip=True).encode(x=x, y=y)
    thick = (
        alt.Chart(smooth_frame)
        .mark_line(color=tokens.quiet, strokeWidth=2, clip=True)
        .encode(x=x, y=y, tooltip=tooltip)
    )
    valid = alt.Chart(valid_frame).mark_line(
        color=tokens.valid, strokeWidth=2.5, point=alt.OverlayMarkDef(color=tokens.valid, size=40), clip=True
    )
    layers = [raw, thick, valid.encode(x=x, y=y, tooltip=tooltip)]
    best = valid_frame[valid_frame["is_best"]]
    layers += _ring(best, x, y, tokens, "loss", ["kept" for _ in best["loss"]], above=True)
    return dress(alt.layer(*layers), tokens, HEIGHT)


def plot_accuracy(history: History, total_steps: int, n_valid: int, has_script_line: bool, tokens: Tokens) -> Any:
    """Return the validation accuracy with its interval, the best ringed; on the script's data with its line."""
    frame = _validation_frame(history)
    bounds = [wilson_interval(round(value * n_valid), n_valid) for value in frame["valid_accuracy"]] if n_valid else []
    frame["low"] = [low for low, _ in bounds] or frame["valid_accuracy"]
    frame["high"] = [high for _, high in bounds] or frame["valid_accuracy"]
    floor = min([0.6, *(frame["low"] - 0.02)]) if len(frame) else 0.5
    x = alt.X(
        "step:Q", title="step", axis=alt.Axis(tickCount=5), scale=alt.Scale(domain=[0, max(total_steps, 1)], nice=False)
    )
    scale = alt.Scale(domain=[max(floor, 0), 1], nice=False, zero=False)
    y = alt.Y("valid_accuracy:Q", title=None, axis=share_axis(), scale=scale)
    base = alt.Chart(frame)
    band = base.mark_area(color=tokens.valid, opacity=0.16).encode(
        x=x, y=alt.Y("low:Q", title=None, axis=share_axis(), scale=scale), y2="high:Q"
    )
    tooltip = ["step:Q", "epoch:Q"] + [
        alt.Tooltip(f"{name}:Q", format=".1%") for name in ("valid_accuracy", "low", "high")
    ]
    line = base.mark_line(color=tokens.valid, strokeWidth=2.5, point=alt.OverlayMarkDef(color=tokens.valid, size=40))
    layers: list[Any] = [band, line.encode(x=x, y=y, tooltip=tooltip)]
    if has_script_line:
        layers += _level_line(SCRIPT_ACCURACY, "the script, on test: 85.2 %", total_steps, x, scale, tokens)
    best = frame[frame["is_best"]]
    labels = [f"best {100 * value:.1f} %" for value in best["valid_accuracy"]]
    layers += _ring(best, x, y, tokens, "valid_accuracy", labels, above=False)
    return dress(alt.layer(*layers), tokens, HEIGHT)


def _step_axis(total_steps: int) -> Any:
    """Return an axis over the whole planned run, so that the curve grows into it."""
    scale = alt.Scale(domain=[0, max(total_steps, 1)], nice=False)
    return alt.X("step:Q", title="step", axis=alt.Axis(tickCount=5), scale=scale)


def _validation_frame(history: History) -> pd.DataFrame:
    frame = pd.DataFrame(
        {name: history.validations[name] for name in ("step", "epoch", "valid_loss", "valid_accuracy")}
    )
    frame["is_best"] = np.arange(len(frame)) == (-1 if history.best is None else history.best)
    return frame


def _loss_top(history: History) -> float:
    """Return the top of the loss axis from the first values, so that the chart does not rescale as it grows."""
    first = history.steps["loss"][:20]
    validations = history.validations["valid_loss"][:1]
    return float(np.ceil(10 * max([0.7, *first, *validations]) * 1.05) / 10)


def _ring(
    frame: pd.DataFrame, x: Any, y: Any, tokens: Tokens, column: str, labels: list[str], *, above: bool
) -> list[Any]:
    base = alt.Chart(frame.assign(word=labels))
    ring = base.mark_point(size=150, color=tokens.text, strokeWidth=1.6, filled=False, opacity=1).encode(x=x, y=y)
    word = base.mark_text(dy=-16 if above else 18, fontWeight=600, color=tokens.text, fontSize=12)
    return [ring, word.encode(x=x, y=y, text="word:N")]


def _level_line(value: float, words: str, total_steps: int, x: Any, scale: Any, tokens: Tokens) -> list[Any]:
    frame = pd.DataFrame({"valid_accuracy": [value], "step": [total_steps], "word": [words]})
    y = alt.Y("valid_accuracy:Q", title=None, axis=share_axis(), scale=scale)
    rule = alt.Chart(frame).mark_rule(color=tokens.text, strokeDash=[5, 4], strokeWidth=1.2).encode(y=y)
    text = (
        alt.Chart(frame)
        .mark_text(align="right", dy=-8, color=tokens.muted, fontSize=12)
        .encode(x=x, y=y, text="word:N")
    )
    return [rule, text]
