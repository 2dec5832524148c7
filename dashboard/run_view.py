"""One run on the training page: how it goes, what it came to, and what can be done."""

from html import escape

import streamlit as st

from core.config import RunConfig
from core.default_model import default_model, use_model
from core.errors import ReviewscopeError
from core.evaluation.intervals import Interval, wilson_interval
from core.job_folder import JobState
from core.jobs import enqueue, list_waiting, stop
from core.runs import Run, RunResult
from core.training.history import History
from dashboard import cache, state
from dashboard.components import (
    DASH,
    ago,
    decimal,
    draw_caption,
    draw_chart_title,
    draw_facts,
    draw_log,
    draw_section,
    duration,
    failed_box,
    file_size,
    interval_text,
    percent,
    status_colour,
)
from dashboard.tokens import current_tokens
from dashboard.training_charts import plot_accuracy, plot_loss, smoothing_span

TICK_SECONDS = 0.5
DATA_NAMES = {"imdb": "IMDB film reviews", "demo": "Demo corpus", "table": "Your table"}
LOG_LINES = 6
LIVE = ("queued", "running")


def draw_run(run: Run) -> None:
    """Draw a run; while it waits or trains, this part of the page draws itself anew twice a second."""
    is_live = run.state.status in LIVE
    st.fragment(_draw_run, run_every=TICK_SECONDS if is_live else None)(run, is_live)


def _draw_run(run: Run, was_live: bool) -> None:
    job, config = run.state, run.settings.config
    if was_live and job.status not in LIVE:
        st.rerun()  # once, so that the timer goes away
    history = cache.load_history(run)
    _draw_title(run, job, config)
    if job.status == "queued":
        _draw_queued(run)
    elif job.status == "running":
        _draw_progress(run, history)
    elif job.status in ("failed", "interrupted", "stopped"):
        _draw_broken_off(run, job)
    elif (result := run.result) is not None:
        _draw_result(run, config, result)
    _draw_figures(history, run, config)
    _draw_curves(history, run, config)
    if job.status in LIVE:
        draw_section("Log", "The last lines that the worker wrote.")
        draw_log(run.read_log(LOG_LINES) or ["Nothing yet."])


def _draw_title(run: Run, job: JobState, config: RunConfig) -> None:
    about = run.about
    words = {"running": "Training", "queued": "Waiting", "finished": "Finished"}.get(
        job.status, job.status.capitalize()
    )
    data = DATA_NAMES[config.data.source]
    head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom")
    with head.container(width="content"):
        colour = status_colour(job.status, current_tokens())
        where = escape(f"{words} · made {ago(about.created)} · {data} · preset {about.preset}")
        st.html(
            f'<div class="rs"><p class="rs-caption"><span class="rs-dot" style="background:{colour}"></span>{where}</p>'
            f'<p class="rs-title">{escape(about.name)}</p></div>'
        )
    with head.container(horizontal=True, width="content"):
        if job.status in LIVE:
            _draw_stop(run)
        if st.button("Train another", key="another"):
            state.to_url(run=None)
            st.rerun()


def _draw_stop(run: Run) -> None:
    """Draw the button that stops, which asks once more in its own place."""
    if run.is_stop_requested:
        draw_caption("Finishing this step, then saving.")
        return
    with st.popover("Stop, keep best", width="content"):
        draw_facts("Stop now? The best model so far is kept, and the run can go on later.")
        if st.button("Stop", key="stop-now"):
            stop(run)
            st.rerun(scope="fragment")


def _draw_queued(run: Run) -> None:
    waiting = [each.job.job_id for each in list_waiting("train")]
    before = waiting.index(run.run_id) if run.run_id in waiting else 0
    sentence = "It begins as soon as its worker is there." if not before else f"{before} before it in the queue."
    draw_facts(f"Waiting. {sentence} It starts by itself, also with this page closed.")
    st.progress(0.0)


def _draw_progress(run: Run, history: History) -> None:
    progress = run.progress
    if progress is None or progress.phase != "Training" or not progress.total:
        draw_facts(f"{progress.phase if progress else 'Starting'} …")
        st.progress(0.0)
        return
    epochs = run.settings.config.training.epochs
    epoch = int(history.steps["epoch"][-1]) if len(history.steps["epoch"]) else 1
    left = progress.seconds_left
    rest = f" · {duration(left)} left" if left is not None else ""
    draw_facts(f"Epoch {epoch} of {epochs} · step {progress.done:,} of {progress.total:,}{rest}")
    st.progress(min(progress.done / progress.total, 1.0))


def _draw_broken_off(run: Run, job: JobState) -> None:
    kept = "The best model so far is kept." if run.model_file.exists() else "Nothing was learnt yet."
    if job.status == "stopped":
        what = "Stopped when you asked." if not job.message else job.message
        kept += " Going on ends with the same weights as a run that was never stopped."
    elif job.status == "interrupted":
        what = job.message
        kept += " Resume goes on from the last checkpoint and gives the same result as if nothing had happened."
    else:
        what = job.message
    box = failed_box("run", what, kept, run.read_log(20))
    with box, st.container(horizontal=True):
        label = "Try again" if job.status == "failed" else "Resume"
        if st.button(label, type="primary", key="resume"):
            _enqueue(run)
        if run.model_file.exists():
            _draw_model_buttons(run, is_primary=False)


def _enqueue(run: Run) -> None:
    try:
        enqueue(run)
    except ReviewscopeError as error:
        draw_caption(str(error))
        return
    st.rerun()


def _draw_result(run: Run, config: RunConfig, result: RunResult) -> None:
    valid = f" {percent(result.valid_accuracy)} on validation." if result.valid_accuracy is not None else ""
    best = f"was the best by validation {config.training.best_by} and is kept."
    kept = f" Epoch {result.best_epoch} of {result.epochs} {best}" if result.best_epoch else ""
    line = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    with line.container(width="content"):
        draw_facts(f"Done in {duration(result.total_seconds)}.{valid}{kept}")
        size = file_size(run.model_file.stat().st_size)
        draw_caption(f"{result.parameters:,} weights · {size} · SHA-256 {result.model_sha256[:12]}")
    with line.container(horizontal=True, width="content"):
        _draw_model_buttons(run, is_primary=True)


def _draw_model_buttons(run: Run, *, is_primary: bool) -> None:
    if st.button("See where it errs", type="primary" if is_primary else "secondary", key="errs"):
        st.switch_page("../pages/evaluation.py", query_params={"model": run.run_id})
    if default_model() == run.run_id:
        draw_caption("This model is used for predictions.")
    elif st.button("Use this model", key="use"):
        use_model(run.run_id)
        st.rerun()


def _draw_figures(history: History, run: Run, config: RunConfig) -> None:
    result, best = run.result, history.best(config.training.best_by)
    n_valid, n_test = _split_sizes(run)
    with st.grid(min_column_width=165, gap="medium"):
        accuracy = None if best is None else float(history.validations["valid_accuracy"][best])
        _figure("Validation accuracy, kept", percent(accuracy), _interval(accuracy, n_valid))
        loss = None if best is None else float(history.validations["valid_loss"][best])
        epoch = None if best is None else f"epoch {int(history.validations['epoch'][best])}"
        _figure("Validation loss, kept", decimal(loss), epoch)
        if result is None:
            speeds = history.steps["reviews_per_second"][-20:]
            _figure("Reviews per second", f"{speeds.mean():,.0f}" if len(speeds) else DASH, None)
            return
        _figure("Train accuracy", percent(result.train_accuracy), "running mean, last epoch")
        if result.test_accuracy is not None:
            _figure("Test accuracy", percent(result.test_accuracy), _interval(result.test_accuracy, n_test))
            gap = 100 * (result.train_accuracy - result.test_accuracy)
            _figure("Train over test", f"{gap:+.1f} points", "train minus test")


def _figure(label: str, value: str, chip: str | None) -> None:
    st.metric(label, value, delta=chip, delta_color="off", delta_arrow="off")


def _interval(share: float | None, n: int | None) -> str | None:
    return None if share is None or not n else interval_text(*wilson_interval(round(share * n), n))


def _split_sizes(run: Run) -> tuple[int | None, int | None]:
    """Return the reviews of validation and test, once the run has seen its data."""
    origin = run.origin
    return (origin.n_valid, origin.n_test) if origin else (None, None)


def _draw_curves(history: History, run: Run, config: RunConfig) -> None:
    tokens = current_tokens()
    progress = run.progress
    planned = progress.total if progress and progress.phase == "Training" else 0
    total = max(planned, int(history.steps["step"][-1]) if len(history.steps["step"]) else 0)
    best = history.best(config.training.best_by)
    left, right = st.columns(2, gap="large")
    with left:
        span = smoothing_span(history)
        key = [("train", tokens.quiet), ("validation", tokens.valid)]
        draw_chart_title("Loss", f"Lower is better. Thin: each step; thick: smoothed over {span} steps.", key)
        spec = plot_loss(history, best, total, tokens)
        st.vega_lite_chart(spec, key="loss", theme=None, alt="Training and validation loss by step")
    with right:
        n_valid = _split_sizes(run)[0] or 0
        read = (
            f"{n_valid:,} reviews not trained on; the shade is the 95 % interval."
            if n_valid
            else "No validation split."
        )
        draw_chart_title("Validation accuracy", read, [("validation", tokens.valid)])
        spec = plot_accuracy(history, best, total, n_valid, config.data.source == "imdb", tokens)
        st.vega_lite_chart(spec, key="accuracy", theme=None, alt="Validation accuracy by step")


def test_interval(run: Run) -> Interval | None:
    """Return the 95 % interval of a run's test accuracy, or None without one."""
    result, n_test = run.result, _split_sizes(run)[1]
    if result is None or result.test_accuracy is None or not n_test:
        return None
    return wilson_interval(round(result.test_accuracy * n_test), n_test)


def default_run_name(preset: str, runs: list[Run]) -> str:
    """Return the name that a new run gets when nothing else is typed."""
    taken = {run.run_id for run in runs}
    number = 1
    while f"{preset}-{number}" in taken:
        number += 1
    return f"{preset}-{number}"
