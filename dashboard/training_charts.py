"""The curves of a run.

They tick twice a second, and Altair takes some 60 ms to make one: each specification is made once, with named data
sets, and only the data goes anew.
"""

from copy import deepcopy
from functools import lru_cache
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


def plot_loss(history: History, best: int | None, total_steps: int, tokens: Tokens) -> dict[str, Any]:
    """Return the loss by step: raw thin, smoothed thick, validation with the kept point ringed.

    It is a Vega-Lite specification with its data, for ``st.vega_lite_chart(..., theme=None)``.
    """
    steps, losses = history.steps["step"], history.steps["loss"]
    kept = thin(losses, MOST_POINTS)
    smoothed = smooth(losses, smoothing_span(history))
    few = np.unique(np.linspace(0, max(len(losses) - 1, 0), min(len(losses), SMOOTH_POINTS)).astype(np.int64))
    valid = _validation_frame(history, best).rename(columns={"valid_loss": "loss"})[["step", "loss", "is_best"]]
    datasets = {
        "raw": pd.DataFrame({"step": steps[kept].astype(np.int32), "loss": losses[kept].astype(np.float32)}),
        "smooth": pd.DataFrame({"step": steps[few].astype(np.int32), "loss": smoothed[few].astype(np.float32)}),
        "valid": valid,
        "best": valid[valid["is_best"]].assign(word="kept"),
    }
    return {**deepcopy(_loss_spec(_loss_top(history), total_steps, tokens)), "datasets": datasets}


def plot_accuracy(
    history: History, best: int | None, total_steps: int, n_valid: int, has_script_line: bool, tokens: Tokens
) -> dict[str, Any]:
    """Return the validation accuracy with its interval, the best ringed; on the script's data with its line.

    It is a Vega-Lite specification with its data, for ``st.vega_lite_chart(..., theme=None)``.
    """
    frame = _validation_frame(history, best)[["step", "epoch", "valid_accuracy", "is_best"]]
    bounds = [wilson_interval(round(value * n_valid), n_valid) for value in frame["valid_accuracy"]] if n_valid else []
    frame["low"] = [low for low, _ in bounds] or frame["valid_accuracy"]
    frame["high"] = [high for _, high in bounds] or frame["valid_accuracy"]
    ringed = frame[frame["is_best"]]
    words = [f"kept {100 * value:.1f} %" for value in ringed["valid_accuracy"]]
    datasets = {"valid": frame, "best": ringed.assign(word=words)}
    if has_script_line:
        line = {"valid_accuracy": [SCRIPT_ACCURACY], "step": [total_steps], "word": ["the script, on test: 85.2 %"]}
        datasets["level"] = pd.DataFrame(line)
    floor = float(np.floor(20 * min([0.6, *(frame["low"] - 0.02)]))) / 20
    return {**deepcopy(_accuracy_spec(max(floor, 0.0), total_steps, has_script_line, tokens)), "datasets": datasets}


@lru_cache(maxsize=64)
def _loss_spec(top: float, total_steps: int, tokens: Tokens) -> dict[str, Any]:
    x = _step_axis(total_steps)
    y = alt.Y("loss:Q", title=None, scale=alt.Scale(domain=[0, top], nice=False, clamp=True))
    tooltip = ["step:Q", alt.Tooltip("loss:Q", format=".3f")]
    raw = _named("raw").mark_line(color=tokens.quiet, strokeWidth=1, opacity=0.4, clip=True).encode(x=x, y=y)
    thick = _named("smooth").mark_line(color=tokens.quiet, strokeWidth=2, clip=True)
    lines = [line.encode(x=x, y=y, tooltip=tooltip) for line in (thick, _validation_line(tokens))]
    chart = alt.layer(raw, *lines, *_ring(x, y, tokens, above=True))
    spec: dict[str, Any] = dress(chart, tokens, HEIGHT).to_dict()
    return spec


@lru_cache(maxsize=64)
def _accuracy_spec(floor: float, total_steps: int, has_script_line: bool, tokens: Tokens) -> dict[str, Any]:
    x = _step_axis(total_steps)
    scale = alt.Scale(domain=[floor, 1], nice=False, zero=False)
    y = alt.Y("valid_accuracy:Q", title=None, axis=share_axis(), scale=scale)
    low = alt.Y("low:Q", title=None, axis=share_axis(), scale=scale)
    band = _named("valid").mark_area(color=tokens.valid, opacity=0.16).encode(x=x, y=low, y2="high:Q")
    shares = [alt.Tooltip(f"{name}:Q", format=".1%") for name in ("valid_accuracy", "low", "high")]
    layers = [band, _validation_line(tokens).encode(x=x, y=y, tooltip=["step:Q", "epoch:Q", *shares])]
    if has_script_line:
        rule = _named("level").mark_rule(color=tokens.text, strokeDash=[5, 4], strokeWidth=1.2).encode(y=y)
        text = _named("level").mark_text(align="right", dy=-8, color=tokens.muted, fontSize=12)
        layers += [rule, text.encode(x=x, y=y, text="word:N")]
    chart = alt.layer(*layers, *_ring(x, y, tokens, above=False))
    spec: dict[str, Any] = dress(chart, tokens, HEIGHT).to_dict()
    return spec


def _named(name: str) -> Any:
    return alt.Chart(alt.NamedData(name))


def _step_axis(total_steps: int) -> Any:
    """Return an axis over the whole planned run, so that the curve grows into it."""
    scale = alt.Scale(domain=[0, max(total_steps, 1)], nice=False)
    return alt.X("step:Q", title="step", axis=alt.Axis(tickCount=5), scale=scale)


def _validation_line(tokens: Tokens) -> Any:
    point = {"color": tokens.valid, "size": 40}
    return _named("valid").mark_line(color=tokens.valid, strokeWidth=2.5, clip=True, point=point)


def _ring(x: Any, y: Any, tokens: Tokens, *, above: bool) -> list[Any]:
    ring = _named("best").mark_point(size=150, color=tokens.text, strokeWidth=1.6, filled=False, opacity=1)
    word = _named("best").mark_text(dy=-16 if above else 18, fontWeight=600, color=tokens.text, fontSize=12)
    return [ring.encode(x=x, y=y), word.encode(x=x, y=y, text="word:N")]


def _validation_frame(history: History, best: int | None) -> pd.DataFrame:
    frame = pd.DataFrame({name: values for name, values in history.validations.items() if name != "time"})
    frame["is_best"] = np.arange(len(frame)) == (-1 if best is None else best)
    return frame


def _loss_top(history: History) -> float:
    """Return the top of the loss axis from the first values, so that the chart does not rescale as it grows."""
    first = history.steps["loss"][:20]
    validations = history.validations["valid_loss"][:1]
    return float(np.ceil(10 * max([0.7, *first, *validations]) * 1.05) / 10)
