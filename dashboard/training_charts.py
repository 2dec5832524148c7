"""The curves of a run, as Vega-Lite specifications with their data, for ``st.vega_lite_chart(..., theme=None)``.

They tick each second, and Altair takes some 60 ms to make one: each specification is made once, with named data
sets, and only the data goes anew. What is sent stays small however long the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import altair as alt
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.charts.dress import dress, share_axis
from core.charts.tokens import Tokens
from core.evaluation.intervals import wilson_interval
from core.training.history import Floats, History, Unit, epochs_done, smooth, thin, training_seconds

MOST_POINTS = 800
SMOOTH_POINTS = 200
SMALL_POINTS = 200
MOST_VALIDATIONS = 100
MOST_DOTTED = 40
FEW_POINTS = 3  # below which a line is not to be seen, and has dots
MOST_RULES = 40
MOST_BEYOND = 30
SCRIPT_ACCURACY = 0.8519
HEIGHT, SMALL_HEIGHT = 270, 110
PLOT_HEIGHT = 225  # of the larger charts, without what stands below the axis
LEAST_LOSS = 1e-6  # what a logarithmic axis can still show
TIME_UNITS = ((3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))
CROSS = "M-1,-1L1,1M-1,1L1,-1"

Places = NDArray[np.int64]
Spec = dict[str, Any]


@dataclass(frozen=True)
class Axis:
    """Where steps and validations stand on the x axis.

    Attributes:
        title: Of the axis, with its unit.
        steps: float64 (S).
        validations: float64 (V).
        end: Of the whole plan, so that a curve grows into the chart; 0 while that is not known.
        rules: Where epochs end; none when they would be too many.
    """

    title: str
    steps: Floats
    validations: Floats
    end: float
    rules: tuple[float, ...]


@dataclass(frozen=True)
class LossLook:
    """How the loss is drawn: on a logarithmic axis or not, and over how many steps it is smoothed (0: not at all)."""

    is_log: bool
    span: int


def make_axis(history: History, unit: Unit, end: float, per_epoch: int, epochs: int) -> Axis:
    """Return the x axis in steps, epochs, or seconds, minutes or hours of training.

    Args:
        history: So far.
        unit: Of the axis.
        end: Of the whole plan: steps, epochs or seconds; 0 while that is not known.
        per_epoch: Steps of an epoch.
        epochs: Of the whole plan.
    """
    has_rules = epochs <= MOST_RULES
    if unit == "epoch":
        steps, validations = epochs_done(history, per_epoch)
        return Axis("epoch", steps, validations, end, tuple(np.arange(1.0, end)) if has_rules else ())
    if unit == "step":
        steps, validations = history.steps["step"], history.validations["step"]
        reached = validations[-1] if len(validations) else 0.0
        rules = (*validations, *np.arange(reached + per_epoch, end, max(per_epoch, 1))) if has_rules else ()
        return Axis("step", steps, validations, end, rules)
    steps, validations = training_seconds(history)
    divisor, word = next(
        (divisor, word) for divisor, word in TIME_UNITS if end >= 2 * divisor or divisor == TIME_UNITS[-1][0]
    )
    rules = tuple(validations / divisor) if has_rules else ()
    return Axis(f"{word} of training", steps / divisor, validations / divisor, end / divisor, rules)


def plot_loss(history: History, axis: Axis, look: LossLook, tokens: Tokens) -> Spec:
    """Return the loss: raw thin, smoothed thick, validation with the lowest ringed; where it diverged, an ink x.

    A single step's spike is always to be seen: a logarithmic axis holds the greatest and the least value, and on a
    linear one what lies above its top is marked by a triangle there.
    """
    losses = history.steps["loss"]
    low, top = _log_domain(history) if look.is_log else (0.0, _loss_top(history))
    shown = np.maximum(losses, LEAST_LOSS) if look.is_log else losses
    kept = thin(shown, MOST_POINTS)
    beyond = kept[shown[kept] > top]
    beyond = np.sort(beyond[np.argsort(-shown[beyond])][:MOST_BEYOND])
    even = _spread(len(losses)) if look.span else np.zeros(0, np.int64)
    smoothed = smooth(shown, max(look.span, 1))[even]
    valid = _few_validations(history.validations["valid_loss"])
    valid_losses = np.maximum(history.validations["valid_loss"], LEAST_LOSS)
    best = np.flatnonzero(valid_losses == valid_losses.min())[:1] if len(valid_losses) else np.zeros(0, np.int64)
    datasets = {
        "raw": _line(axis.steps[kept], shown[kept]),
        "smooth": _line(axis.steps[even], smoothed),
        **_validation_data(axis.validations[valid], {"y": valid_losses[valid]}),
        "best": _words(axis, axis.validations[best], valid_losses[best], [f"best {y:.3f}" for y in valid_losses[best]]),
        "rules": pa.table({"x": np.array(axis.rules, np.float32)}),
        "beyond": _line(axis.steps[beyond], shown[beyond]),
        "end": _divergence(history, axis, low, top),
    }
    spec = _loss_spec((low, top), look.is_log, bool(look.span), axis.title, axis.end, tokens, len(kept) < FEW_POINTS)
    return {**spec, "datasets": datasets}


def plot_accuracy(history: History, axis: Axis, n_valid: int, lines: Sequence[tuple[float, str]],
                  tokens: Tokens) -> Spec:  # fmt: skip
    """Return the validation accuracy with its interval, the best ringed, beside dashed lines to compare it with.

    Args:
        history: So far.
        axis: Where the validations stand.
        n_valid: Reviews of validation.
        lines: Accuracy and words of each dashed line.
        tokens: The viewer's colours.
    """
    accuracies = history.validations["valid_accuracy"]
    shown = _few_validations(accuracies)
    bounds = np.array([wilson_interval(round(share * n_valid), n_valid) for share in accuracies[shown]] if n_valid else
                      [(share, share) for share in accuracies[shown]]).reshape(-1, 2)  # fmt: skip
    best = np.flatnonzero(accuracies == accuracies.max())[:1] if len(accuracies) else np.zeros(0, np.int64)
    columns = {"y": accuracies[shown], "low": bounds[:, 0], "high": bounds[:, 1]}
    least = min([0.6, *(bounds[:, 0] - 0.02), *(share - 0.05 for share, _ in lines)])
    floor = max(float(np.floor(20 * least)) / 20, 0.0)
    words = [f"best {100 * share:.1f} %" for share in accuracies[best]]
    heights = [_free_height(share, sorted(line for line, _ in lines), floor) for share in accuracies[best]]
    datasets = {
        **_validation_data(axis.validations[shown], columns),
        "best": _words(axis, axis.validations[best], accuracies[best], words, np.array(heights)),
        "rules": pa.table({"x": np.array(axis.rules, np.float32)}),
    }
    for place, (share, word) in enumerate(sorted(lines)):
        datasets[f"line {place}"] = _words(axis, np.array([axis.end or 1.0]), np.array([share]), [word])
    spec = _accuracy_spec(floor, len(lines), axis.title, axis.end, tokens)
    return {**spec, "datasets": datasets}


def plot_small(values: Floats, axis: Axis, number_format: str, tokens: Tokens) -> Spec:
    """Return a small quiet line of one figure by step, from zero."""
    kept = thin(values, SMALL_POINTS)
    spec = _small_spec(number_format, axis.title, axis.end, tokens, len(kept) < FEW_POINTS)
    return {**spec, "datasets": {"line": _line(axis.steps[kept], values[kept])}}


def _line(x: Floats, y: Floats) -> pa.Table:
    return pa.table({"x": x.astype(np.float32), "y": y.astype(np.float32)})


def _words(axis: Axis, x: Floats, y: Floats, words: Sequence[str], heights: Floats | None = None) -> pa.Table:
    """Return points with words.

    A word stands ``at`` its point, or further in where the chart's edge would cut it, and at the point's height or one
    of its own.
    """
    end = axis.end or 1.0
    margin = end * 0.01 * max(map(len, words), default=0)
    columns = {"x": x, "y": y, "at": np.clip(x, margin, end - margin)} | ({} if heights is None else {"high": heights})
    numbers = {name: values.astype(np.float32) for name, values in columns.items()}
    return pa.table({**numbers, "word": pa.array(words, pa.string())})


def _free_height(share: float, lines: Sequence[float], floor: float) -> float:
    """Return where the word of a point can be read: below it, or else above, away from dashed lines and their words."""
    pixel = (1 - floor) / PLOT_HEIGHT
    # The words of the uppermost line stand above it, those of the others below theirs.
    taken = [*lines, *(line + (8 if line == lines[-1] else -11) * pixel for line in lines)]
    for pixels in (-18, 18, -32, 32, -46, 46):
        height = share + pixels * pixel
        if floor < height < 1 and all(abs(height - line) > 13 * pixel for line in taken):
            return height
    return share - 18 * pixel


def _validation_data(x: Floats, columns: dict[str, Floats]) -> dict[str, pa.Table]:
    """Return the line of validations, and its dots as long as they are few."""
    table = pa.table({name: values.astype(np.float32) for name, values in {"x": x, **columns}.items()})
    return {"valid": table, "dots": _line(x, columns["y"]) if len(x) <= MOST_DOTTED else _line(x[:0], x[:0])}


def _spread(count: int) -> Places:
    """Return places spread evenly over a line, the last among them."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, SMOOTH_POINTS)).astype(np.int64))


def _few_validations(values: Floats) -> Places:
    """Return the validations to draw: the extremes of each stretch, and the last."""
    kept = thin(values, MOST_VALIDATIONS)
    return np.union1d(kept, [len(values) - 1]).astype(np.int64) if len(values) else kept


def _divergence(history: History, axis: Axis, low: float, top: float) -> pa.Table:
    """Return where the loss curve ends in an x; no row when it did not diverge."""
    if history.diverged is None:
        return _words(axis, np.zeros(0), np.zeros(0), [])
    step, found = history.diverged.step, history.diverged.found
    x = axis.steps[-1:] if len(axis.steps) else np.zeros(1)
    last = history.steps["loss"][-1] if len(history.steps["loss"]) else top
    y = top if found[:1].isdigit() else float(np.clip(last, low, top))
    return _words(axis, x, np.array([y]), [f"{found} at step {step:,}"])


def _loss_top(history: History) -> float:
    """Return the top of the linear axis: from the first values, so that it seldom moves as the curve grows."""
    losses, validations = history.steps["loss"], history.validations["valid_loss"]
    usual = [float(np.quantile(losses, 0.99))] if len(losses) else []
    return float(np.ceil(10.5 * max([0.7, *losses[:1], *usual, *validations])) / 10)


def _log_domain(history: History) -> tuple[float, float]:
    """Return a logarithmic axis that holds every value, its ends at 1, 2 or 5 times a power of ten."""
    both = [each for each in (history.steps["loss"], history.validations["valid_loss"]) if len(each)]
    least = max(min([0.1, *(float(each.min()) for each in both)]), LEAST_LOSS)
    most = max([0.7, *(float(each.max()) for each in both)])
    ends = [factor * 10.0**power for power in range(-7, 8) for factor in (1, 2, 5)]
    return max(end for end in ends if end <= least), min(end for end in ends if end >= min(most, ends[-1]))


@lru_cache(maxsize=64)
def _loss_spec(
    domain: tuple[float, float], is_log: bool, is_smoothed: bool, title: str, end: float, tokens: Tokens, is_few: bool
) -> Spec:
    x, at = _x_axis(title, end), _x_axis(title, end, field="at")
    ticks = alt.Axis(values=_log_ticks(*domain), format="~g") if is_log else alt.Axis(tickCount=6)
    scale = alt.Scale(domain=list(domain), nice=False, clamp=True, type="log" if is_log else "linear")
    y = alt.Y("y:Q", title=None, axis=ticks, scale=scale)
    tooltip = [alt.Tooltip("x:Q", title=title, format=",~g"), alt.Tooltip("y:Q", title="loss", format=".4~g")]
    opacity = 0.4 if is_smoothed else 0.9
    raw = _named("raw").mark_line(color=tokens.quiet, strokeWidth=1, opacity=opacity, clip=True,
                                 **_dots_of_few(is_few, tokens))  # fmt: skip
    thick = _named("smooth").mark_line(color=tokens.quiet, strokeWidth=2, clip=True)
    beyond = _named("beyond").mark_point(shape="triangle-up", filled=True, size=45, opacity=1, color=tokens.muted,
                                         yOffset=4)  # fmt: skip
    cross = _named("end").mark_point(shape=CROSS, size=60, strokeWidth=2, opacity=1, color=tokens.text, filled=False)
    chart = alt.layer(
        _rules(x, tokens), raw.encode(x=x, y=y), thick.encode(x=x, y=y, tooltip=tooltip),
        *_validation_line(x, y, tooltip, tokens), *_ring(x, y, tokens), *_text("best", at, y, tokens, dy=-16),
        beyond.encode(x=x, y=y, tooltip=tooltip), cross.encode(x=x, y=y), *_text("end", at, y, tokens, dy=20),
    )  # fmt: skip
    spec: Spec = dress(chart, tokens, HEIGHT).to_dict()
    return spec


@lru_cache(maxsize=64)
def _accuracy_spec(floor: float, count_lines: int, title: str, end: float, tokens: Tokens) -> Spec:
    x, at = _x_axis(title, end), _x_axis(title, end, field="at")
    scale = alt.Scale(domain=[floor, 1], nice=False, zero=False)
    y = alt.Y("y:Q", title=None, axis=share_axis(tickCount=6), scale=scale)
    low = alt.Y("low:Q", title=None, axis=share_axis(tickCount=6), scale=scale)
    words = _text("best", at, alt.Y("high:Q", title=None, axis=share_axis(tickCount=6), scale=scale), tokens)
    band = _named("valid").mark_area(color=tokens.valid, opacity=0.16).encode(x=x, y=low, y2="high:Q")
    shares = [
        alt.Tooltip(f"{name}:Q", title=word, format=".1%")
        for name, word in (("y", "accuracy"), ("low", "from"), ("high", "to"))
    ]
    tooltip = [alt.Tooltip("x:Q", title=title, format=",~g"), *shares]
    layers = [_rules(x, tokens), band, *_validation_line(x, y, tooltip, tokens)]
    for place in range(count_lines):
        # The words of the uppermost line stand above it, those of the others below theirs.
        above, line = place == count_lines - 1, _named(f"line {place}")
        rule = line.mark_rule(color=tokens.text, strokeDash=[5, 4], strokeWidth=1.2).encode(y=y)
        text = line.mark_text(align="right", dy=-8 if above else 11, color=tokens.muted, fontSize=12)
        layers += [rule, text.encode(x=x, y=y, text="word:N")]
    spec: Spec = dress(alt.layer(*layers, *_ring(x, y, tokens), *words), tokens, HEIGHT).to_dict()
    return spec


@lru_cache(maxsize=64)
def _small_spec(number_format: str, title: str, end: float, tokens: Tokens, is_few: bool) -> Spec:
    x = _x_axis(title, end, ticks=3)
    words = f"datum.value == 0 ? '0' : format(datum.value, '{number_format}')"
    y = alt.Y("y:Q", title=None, axis=alt.Axis(tickCount=3, labelExpr=words), scale=alt.Scale(zero=True, nice=True))
    tooltip = [alt.Tooltip("x:Q", title=title, format=",~g"), alt.Tooltip("y:Q", title="value", format=".4~g")]
    line = _named("line").mark_line(color=tokens.quiet, strokeWidth=1.2, **_dots_of_few(is_few, tokens))
    line = line.encode(x=x, y=y, tooltip=tooltip)
    spec: Spec = dress(line, tokens, SMALL_HEIGHT).to_dict()
    return spec


def _named(name: str) -> Any:
    return alt.Chart(alt.NamedData(name))


def _x_axis(title: str, end: float, *, field: str = "x", ticks: int = 5) -> Any:
    """Return an axis over the whole planned run, without numbers while that is not known."""
    axis = alt.Axis(tickCount=ticks, labels=bool(end))
    return alt.X(f"{field}:Q", title=title, axis=axis, scale=alt.Scale(domain=[0, end or 1], nice=False))


def _rules(x: Any, tokens: Tokens) -> Any:
    return _named("rules").mark_rule(color=tokens.line, strokeWidth=1).encode(x=x)


def _dots_of_few(is_few: bool, tokens: Tokens) -> dict[str, Any]:
    """Return what gives a line dots as long as it is too short to be seen."""
    return {"point": {"color": tokens.quiet, "size": 30, "filled": True, "opacity": 1}} if is_few else {}


def _validation_line(x: Any, y: Any, tooltip: Sequence[Any], tokens: Tokens) -> list[Any]:
    line = _named("valid").mark_line(color=tokens.valid, strokeWidth=2.5, clip=True)
    dots = _named("dots").mark_point(color=tokens.valid, size=40, filled=True, opacity=1)
    return [line.encode(x=x, y=y, tooltip=tooltip), dots.encode(x=x, y=y)]


def _ring(x: Any, y: Any, tokens: Tokens) -> list[Any]:
    ring = _named("best").mark_point(size=150, color=tokens.text, strokeWidth=1.6, filled=False, opacity=1)
    return [ring.encode(x=x, y=y)]


def _text(name: str, at: Any, y: Any, tokens: Tokens, dy: int = 0) -> list[Any]:
    """Return words in ink with a rim of the page's colour, so that they can be read on a line too."""
    word = {"dy": dy, "fontWeight": 600, "fontSize": 12}
    rim = _named(name).mark_text(**word, color=tokens.paper, stroke=tokens.paper, strokeWidth=4, opacity=0.8)
    ink = _named(name).mark_text(**word, color=tokens.text)
    return [mark.encode(x=at, y=y, text="word:N") for mark in (rim, ink)]


def _log_ticks(low: float, top: float) -> list[float]:
    """Return the powers of ten of an axis, and 2 and 5 times them where it has only few."""
    factors = (1, 2, 5) if top / low < 500 else (1,)
    return [tick for power in range(-7, 8) for factor in factors if low <= (tick := factor * 10.0**power) <= top]
