"""The fourth step: how far the scoring is, and what can be done when it has broken off."""

import streamlit as st

from core.errors import ReviewscopeError
from core.job_folder import JobProgress
from core.jobs import stop
from core.prediction.bulk_job import BulkJob, forget_result
from core.wording import plural
from dashboard import state
from dashboard.bulk.rehearsal_step import places_before
from dashboard.bulk.steps import QUEUE_REFUSED, draw_job_lines, draw_queue_refusal, queue_again
from dashboard.components import draw_caption, draw_facts, draw_section, duration, failed_box

TICK_SECONDS = 0.5
LOG_LINES = 8
ENDS = {"failed": "The scoring failed.", "interrupted": "The scoring was interrupted.", "stopped": "It was stopped."}


def draw_active(job: BulkJob) -> None:
    """Draw a job that waits or runs, until it has ended."""
    draw_job_lines(job, known_columns(job))
    st.fragment(draw_running, run_every=TICK_SECONDS)(job)


def known_columns(job: BulkJob) -> tuple[str, ...]:
    """Return the names of a job's columns, as far as the table can be read."""
    try:
        return job.columns
    except ReviewscopeError:
        return ()


def draw_running(job: BulkJob) -> None:
    """Draw how far a job is; twice a second, until it has ended."""
    if not job.is_active:
        st.rerun()
    progress = job.progress if job.state.status == "running" else None
    with st.container(border=True, key="bulk-running"):
        if progress is None:
            before = places_before(job, "score")
            words = f"{plural(before, 'job')} before it." if before else "It begins as soon as its worker is there."
            draw_section("4 · Run: waiting", words)
            st.progress(0.0)
        else:
            draw_section("4 · Run", progress_sentence(progress))
            st.progress(min(progress.done / progress.total, 1.0) if progress.total else 0.0)
        draw_caption("It goes on without this page. Come back any time: it is among the saved results.")
        if job.is_stop_requested:
            draw_facts("Finishing these rows, then keeping what is scored.")
        else:
            st.button("Cancel, keep what is scored", key="cancel", on_click=stop, args=(job,))


def progress_sentence(progress: JobProgress) -> str:
    """Say rows, rows a second and time left."""
    if not progress.total:
        return progress.phase + (f": {progress.done:,} so far" if progress.done else "")
    spent, done = progress.time - progress.began, progress.done - progress.earlier
    speed = f" · {done / spent:,.0f} rows/s" if done and spent > 0 else ""
    left = f" · {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"{progress.done:,} of {progress.total:,} rows{speed}{left}"


def draw_stopped(job: BulkJob) -> None:
    """Draw that a job was stopped before the table's end, with the way on; what it has scored stands below."""
    draw_queue_refusal()
    with st.container(border=True, key="bulk-stopped"):
        draw_facts(f"{job.state.message} Go on, or look at these: what was scored until then is below.")
        st.button("Go on", key="go-on", on_click=queue_again, args=(job,))


def draw_broken_off(job: BulkJob) -> None:
    """Draw a job that ended without a result, with the way on: what its parts hold is not scored again."""
    draw_job_lines(job, known_columns(job))
    draw_queue_refusal()
    try:
        status, message = job.state.status, job.state.message
    except ReviewscopeError as error:
        status, message = "failed", str(error)
    try:
        has_request = bool(job.request)
    except ReviewscopeError as error:
        has_request, message = False, str(error)
    kept = "The file is kept"
    kept += ", and so is what was scored: going on begins behind it." if job.part_files else "; no row is scored yet."
    log = job.read_log(LOG_LINES) if status != "stopped" else []
    with failed_box("job", f"{ENDS.get(status, 'It has ended without a result.')} {message}", kept, log):
        if has_request:
            st.button("Go on", type="primary", key="go-on", on_click=queue_again, args=(job,))
        else:
            st.button("Choose the columns again", key="columns-again", on_click=forget_job)


def draw_damaged(job: BulkJob, sentence: str) -> None:
    """Draw why a result cannot be shown whole, with the way to it: what is damaged of it is made anew."""
    with failed_box("damaged", f"Not all of the result can be shown. {sentence}", "The file is kept, and so is what is "
                    "sound of its scores."):  # fmt: skip
        st.button("Make it anew", key="make-anew", on_click=make_anew, args=(job,))


def make_anew(job: BulkJob) -> None:
    """Have a job read what is damaged of its rows again, and look at all of them."""
    try:
        forget_result(job)
    except ReviewscopeError as error:
        state.remember(QUEUE_REFUSED, str(error))
        return
    queue_again(job)


def forget_job() -> None:
    """Go back to the choice of columns."""
    state.to_url(job=None)
