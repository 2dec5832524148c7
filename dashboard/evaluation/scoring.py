"""What stands on the evaluation page until a split is scored: the offer, the progress, or what went wrong."""

from functools import partial

import streamlit as st

from core import jobs
from core.charts.evaluation import MATRIX_HEIGHT
from core.errors import ReviewscopeError
from core.prediction.evaluating import EvaluationJob, EvaluationRequest, create_evaluation_job
from dashboard.components import draw_caption, duration, empty_box, failed_box, status_colour
from dashboard.evaluation import choices
from dashboard.evaluation.review_list import ROW_HEIGHT, ROWS_A_PAGE
from dashboard.evaluation.view import View, capital, state_of
from dashboard.state import forget, recall, remember
from dashboard.tokens import current_tokens

TICK_SECONDS = 0.5


def draw_unreadable(message: str) -> None:
    """Draw why model or data cannot be read."""
    with failed_box("evaluation", message, "Nothing was scored. Choose other data above, or try again."):
        st.button("Try again", key="evaluation_retry_load")


def draw_damaged(view: View, message: str) -> None:
    """Draw why what is kept of the scoring cannot be read, and the way to score the split anew."""
    with failed_box("evaluation", message, "Scores of other models and splits are untouched."):
        label = f"Score {len(view.rows):,} review{'' if len(view.rows) == 1 else 's'} again"
        st.button(label, type="primary", key="evaluation_score_again", on_click=score_again, args=(view,))


def score_again(view: View) -> None:
    """Queue an evaluation whose scores cannot be read."""
    try:
        view.job.discard()
    except ReviewscopeError as error:
        remember("evaluation_refused", str(error))
        return
    start_scoring(view)


def draw_scoring(view: View) -> None:
    """Draw what stands here until the split is scored: the offer, the progress, or what went wrong."""
    start = partial(start_scoring, view)
    state = state_of(view.job)
    status = state.status if state else None
    name, what = view.model.spoken, view.data.sentence
    if error := recall("evaluation_refused"):
        forget("evaluation_refused")
        with failed_box("evaluation", error, "Nothing was scored."):
            st.button("Try again", key="evaluation_retry", on_click=start)
    elif status in ("queued", "running"):
        draw_progress(view.job, f"{capital(name)} reads {what}: {len(view.rows):,} reviews.")
        draw_skeletons()
    elif state and status in ("failed", "interrupted", "stopped"):
        happened = {"failed": "failed", "interrupted": "was interrupted", "stopped": "was stopped"}[status]
        message = f"Scoring {what} with {name} {happened}. {state.message}"
        kept = "No score of this try was kept. Scores of other models and splits are untouched."
        with failed_box("evaluation", message, kept, view.job.read_log(30)):
            st.button("Score again", key="evaluation_retry", on_click=start)
    elif not len(view.rows):
        draw_unreadable(f"{capital(what)} has no review.")
    else:
        seconds = choices.estimate_seconds(view.sha256, len(view.rows))
        takes = f" About {duration(max(seconds, 1.0))}." if seconds else ""
        how = "It runs in the background and is kept: the same model on the same reviews is scored once."
        with empty_box("evaluation", f"{capital(name)} has not read {what}.{takes}", how):
            label = f"Score {len(view.rows):,} review{'' if len(view.rows) == 1 else 's'}"
            st.button(label, type="primary", key="evaluation_score", on_click=start)


def start_scoring(view: View) -> None:
    """Queue the evaluation."""
    request = EvaluationRequest(model=view.model.reference, split=view.data.split, config=view.data.config)
    try:
        jobs.enqueue(create_evaluation_job(request, view.sha256, view.fingerprint))
    except ReviewscopeError as error:
        remember("evaluation_refused", str(error))


@st.fragment(run_every=TICK_SECONDS)
def draw_progress(job: EvaluationJob, what: str) -> None:
    """Draw how far the job is, twice a second; when it has ended, draw the page anew."""
    state = state_of(job)
    status = state.status if state else "failed"
    if job.is_done or status not in ("queued", "running"):
        st.rerun()
    with st.container(border=True, key="evaluation_progress"):
        colour = status_colour(status, current_tokens())
        progress = job.progress if status == "running" else None
        share = progress.done / progress.total if progress and progress.total else 0.0
        st.html(
            f'<div class="rs"><i class="rs-dot" style="background:{colour}"></i>{progress_words(job, status)}</div>'
        )
        st.progress(min(share, 1.0))
        draw_caption(f"{what} It goes on without this page.")
        if status == "queued":
            st.button("Take it out of the queue", key="evaluation_dequeue", on_click=partial(jobs.stop, job))


def progress_words(job: EvaluationJob, status: str) -> str:
    """Say what the job does, in our own words only."""
    if status == "queued":
        waiting = [each.job.path for each in jobs.list_waiting("score")]
        before = waiting.index(job.path) if job.path in waiting else 0
        if before:
            return f"Waiting: {before} job{'s' if before > 1 else ''} before it."
        return "Next in line: it starts as soon as the worker is free."
    progress = job.progress
    if progress is None or not progress.total:
        return "Loading the data."
    left = progress.seconds_left
    time_left = "" if left is None else f" · {duration(max(left, 1))} left"
    return f"Scoring · {progress.done:,} of {progress.total:,} reviews{time_left}"


def draw_skeletons() -> None:
    """Hold the places of what is to come, in their final heights."""
    st.skeleton(height=84)
    for column in st.columns(2, gap="large"):
        column.skeleton(height=MATRIX_HEIGHT)
    st.skeleton(height=ROW_HEIGHT * (ROWS_A_PAGE + 1))
