"""A run's figures, each with its interval or source, and what its user should know."""

import os
import shutil
from html import escape

import numpy as np
import streamlit as st

from core import settings
from core.runs import Run, RunResult
from core.training.alerts import Alert, find_alerts
from core.wording import DASH, decimal, interval_text, percent
from dashboard.run_head import draw_pause, draw_stop
from dashboard.run_snapshot import Snapshot

RECENT_STEPS = 50


def draw_figures(shot: Snapshot) -> None:
    """Draw the wall of figures: while it learns those that say how it goes, at its end what it came to."""
    if shot.status == "finished" and shot.result is not None:
        with st.grid(min_column_width=150, gap="medium"):
            _draw_final_figures(shot, shot.result)
    else:
        with st.grid(min_column_width=165, gap="medium"):
            _draw_live_figures(shot)


def _draw_live_figures(shot: Snapshot) -> None:
    validations, training = shot.history.validations, shot.config.training
    label = "Best validation accuracy" if training.best_by == "accuracy" else "Validation accuracy, kept"
    _figure(label, percent(_kept_accuracy(shot)), _interval(shot, _kept_accuracy(shot), shot.n_valid))
    _draw_line_to_beat(shot)
    if shot.is_ensemble:
        _draw_memory(shot)
        return
    losses = validations["valid_loss"]
    best = int(losses.argmin()) if len(losses) else 0
    chip = f"epoch {int(validations['epoch'][best])}, now {losses[-1]:.3f}" if len(losses) else None
    _figure("Validation loss, best", decimal(float(losses[best]) if len(losses) else None), chip)
    expected = f"forecast {shot.forecast.reviews_per_second:,.0f}" if shot.forecast else None
    _figure("Reviews per second", _recent_speed(shot), expected)
    _draw_memory(shot)


def _draw_memory(shot: Snapshot) -> None:
    megabytes = shot.progress.memory_mb if shot.progress else 0.0
    memory = f"{megabytes / 1e3:.1f} GB" if megabytes else DASH
    _figure("Worker memory", memory, f"of {_machine_memory() / 1e9:.0f} GB", "The most that its process has held.")


def _draw_final_figures(shot: Snapshot, result: RunResult) -> None:
    _figure("Validation accuracy, kept", percent(_kept_accuracy(shot)),
            _interval(shot, _kept_accuracy(shot), shot.n_valid))  # fmt: skip
    _draw_line_to_beat(shot)
    kept, validations = shot.kept, shot.history.validations
    loss = None if kept is None else float(validations["valid_loss"][kept])
    _figure(
        "Validation loss, kept", decimal(loss),
        None if kept is None or shot.is_ensemble else f"epoch {int(validations['epoch'][kept])}",
    )  # fmt: skip
    if result.train_accuracy is not None:
        _figure("Train accuracy", percent(result.train_accuracy), "running mean, last epoch")
    if result.test_accuracy is not None:
        n_test = shot.origin.n_test if shot.origin else 0
        _figure("Test accuracy", percent(result.test_accuracy), _interval(shot, result.test_accuracy, n_test))
    if result.test_accuracy is not None and result.train_accuracy is not None:
        gap = 100 * (result.train_accuracy - result.test_accuracy)
        _figure("Train over test", f"{gap:+.1f} points", "train minus test")


def _draw_line_to_beat(shot: Snapshot) -> None:
    """Draw how far the run is from the n-gram model; an n-gram model is that line itself."""
    if shot.config.model.kind == "ngram" or not shot.config.data.validation_fraction:
        return
    share, line = _kept_accuracy(shot), shot.baseline
    if line is None:
        if shot.is_live:
            _figure("Against line to beat", DASH, f"n-gram: comes {'last' if shot.is_ensemble else 'first'}")
        return
    gap = DASH if share is None else f"{100 * (share - line.valid_accuracy):+.1f} points"
    _figure("Against line to beat", gap, f"n-gram: {percent(line.valid_accuracy)}")


def _kept_accuracy(shot: Snapshot) -> float | None:
    return None if shot.kept is None else float(shot.history.validations["valid_accuracy"][shot.kept])


def _figure(label: str, value: str, chip: str | None, help_text: str | None = None) -> None:
    st.metric(label, value, delta=chip, delta_color="off", delta_arrow="off", help=help_text)


def _interval(shot: Snapshot, share: float | None, n: int) -> str | None:
    interval = shot.interval(share, n)
    return interval_text(*interval) if interval else None


def _recent_speed(shot: Snapshot) -> str:
    speeds = shot.history.steps["reviews_per_second"][-RECENT_STEPS:]
    return f"{1 / np.mean(1 / np.maximum(speeds, 1e-9)):,.0f}" if len(speeds) else DASH


def _machine_memory() -> int:
    """Return the bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def draw_alerts(shot: Snapshot) -> None:
    """Draw what the user of a running training should know, each with one thing to do."""
    if shot.status != "running":
        return
    free = shutil.disk_usage(settings.home()).free
    size = _newest_checkpoint_size(shot.run)
    for alert in find_alerts(shot.history, shot.config.training, shot.progress, shot.forecast, free, size):
        _draw_alert(alert, shot.run)


def _draw_alert(alert: Alert, run: Run) -> None:
    key = f"alert-{alert.action.replace(' ', '-')}"
    with st.container(
        border=True, horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key=key
    ):
        with st.container(width="stretch"):
            st.html(
                f'<div class="rs"><p><b style="font-weight:600">{escape(alert.title)}</b> {escape(alert.sentence)}</p>'
                "</div>"
            )
        if alert.action == "make space":
            if st.button("Look for what can go", key=f"{key}-button"):
                st.switch_page("../pages/runs.py")
        elif run.is_stop_requested or run.is_pause_requested:
            return
        elif alert.action == "pause":
            draw_pause(run, f"{key}-button")
        else:
            draw_stop(run, f"{key}-button")


def _newest_checkpoint_size(run: Run) -> int:
    """Return the bytes of the newest checkpoint; 0 before there is one, or when it goes just now."""
    try:
        found = [path.stat() for path in run.checkpoint_folder.glob("step-*.safetensors")]
    except OSError:
        return 0
    return max(found, key=lambda each: each.st_mtime_ns).st_size if found else 0
