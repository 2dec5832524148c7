"""A closer look at a scored split that takes seconds: its offer, its progress, what went wrong, or its result."""

from functools import partial
from typing import Any

import streamlit as st

from core import jobs
from core.errors import ReviewscopeError
from core.prediction.analysis import AnalysisJob, AnalysisRequest, create_analysis_job
from dashboard.cache import check_finding
from dashboard.components import draw_caption, empty_box, failed_box, status_colour
from dashboard.evaluation.choices import open_row
from dashboard.evaluation.view import Scored, state_of
from dashboard.state import forget, recall, remember
from dashboard.tokens import current_tokens

TICK_SECONDS = 0.5
REFUSED = "evaluation_analysis_refused"


def analysis_job(view: Scored, kind: str, **options: Any) -> AnalysisJob:
    """Return the job of a kind of look at what the page shows; see ``ANALYSES``."""
    return create_analysis_job(
        AnalysisRequest(
            kind=kind, model=view.model.reference, model_sha256=view.sha256, data_fingerprint=view.fingerprint,
            split=view.data.split, config=view.data.config, options=options,
        )
    )  # fmt: skip


def draw_until_done(
    job: AnalysisJob, what: str, how: str, button: str, height: int = 290, *, auto: bool = False, place: str = ""
) -> bool:
    """Draw what stands in place of a look's result until it is there; tell whether it is.

    Args:
        job: From ``analysis_job``.
        what: One sentence: what will be here.
        how: One sentence: how it is made, and how long it takes.
        button: The label of the button that starts it.
        height: Of what will stand here, in pixels.
        auto: Whether it starts by itself; one that ended early waits for the button all the same.
        place: Tells two boxes of the same look on one page apart.
    """
    if job.is_done:
        return is_readable(job, place)
    kind = job.kind + place
    if auto and not job.exists and not recall(REFUSED):
        start_analysis(job)
    state = state_of(job)
    status = state.status if state else None
    start = partial(start_analysis, job)
    if error := recall(REFUSED):
        forget(REFUSED)
        with failed_box(f"analysis-{kind}", error, "Everything else on this page is as it was."):
            st.button("Try again", key=f"evaluation_{kind}_retry", on_click=start)
    elif status in ("queued", "running"):
        draw_progress(job)
        st.skeleton(height=height)
    elif state and status in ("failed", "interrupted", "stopped"):
        message = state.message or f"It was {status}."
        with failed_box(f"analysis-{kind}", message, "Everything else on this page is as it was.", job.read_log(30)):
            st.button("Try again", key=f"evaluation_{kind}_retry", on_click=start)
    else:
        with empty_box(f"analysis-{kind}", what, how):
            st.button(button, key=f"evaluation_{kind}_start", on_click=start)
    return False


def is_readable(job: AnalysisJob, place: str = "") -> bool:
    """Tell whether the result of a look that was taken can be read; where it cannot, draw why and the way out."""
    try:
        check_finding(job)
    except ReviewscopeError as error:
        kept = "Everything else on this page is as it was. The look is taken anew in the background."
        with failed_box(f"analysis-{job.kind}{place}", str(error), kept):
            again = f"evaluation_{job.kind}{place}_again"
            st.button("Look again", key=again, on_click=look_again, args=(job,))
        return False
    return True


def look_again(job: AnalysisJob) -> None:
    """Queue a look whose result cannot be read."""
    try:
        job.discard()
    except ReviewscopeError as error:
        remember(REFUSED, str(error))
        return
    start_analysis(job)


def start_analysis(job: AnalysisJob) -> None:
    """Queue a look."""
    try:
        jobs.enqueue(job)
    except ReviewscopeError as error:
        remember(REFUSED, str(error))


@st.fragment(run_every=TICK_SECONDS)
def draw_progress(job: AnalysisJob) -> None:
    """Draw how far a look is, twice a second; when it has ended, draw the page anew."""
    state = state_of(job)
    status = state.status if state else "failed"
    if (job.is_done or status not in ("queued", "running")) and open_row() is None:
        st.rerun()  # not while a review is read: the drawer would close, and what was written in it be lost
    draw_progress_box(job, status)


def draw_progress_box(job: AnalysisJob, status: str, place: str = "") -> None:
    """Draw how far a queued or running look is."""
    progress = job.progress if status == "running" else None
    words = "Waiting for its turn." if status == "queued" else "Loading the data."
    share = 0.0
    if progress:
        words, share = progress.phase, min(progress.done / progress.total, 1.0) if progress.total else 0.0
    colour = status_colour(status, current_tokens())
    with st.container(border=True, key=f"analysis_progress_{job.kind}{place}"):
        st.html(f'<div class="rs"><i class="rs-dot" style="background:{colour}"></i>{words}</div>')
        st.progress(share)
        draw_caption("It goes on without this page, and is kept.")
