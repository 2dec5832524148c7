"""The steps of the wizard that are done: one line each, with a way back."""

from collections.abc import Callable, Sequence
from functools import partial
from html import escape

import streamlit as st

from core.errors import ReviewscopeError
from core.job_folder import JobFolder
from core.jobs import enqueue
from core.prediction.bulk_job import BulkJob
from core.prediction.rehearsing import Rehearsal, rehearsal_of
from core.prediction.uploads import Upload
from core.wording import interval_text, percent, plural
from dashboard import state
from dashboard.bulk.choices import leave_file, leave_job, name_word
from dashboard.components import failed_box, file_size

QUEUE_REFUSED = "prediction_queue_refused"


def draw_step(step: str, what: str, more: str, key: str, change: Callable[[], None] | None = None) -> None:
    """Draw a step that is done as one line with a way back."""
    row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    with row.container(width="content"):
        muted = f'<span class="rs-muted">{escape(step)}</span>'
        rest = f'<span class="rs-muted"> · {escape(more)}</span>' if more else ""
        st.html(f'<div class="rs"><p>{muted}&ensp;<b style="font-weight:600">{escape(what)}</b>{rest}</p></div>')
    if change is not None:
        row.button("Change", key=f"change-{key}", type="tertiary", on_click=change)


def draw_file_line(upload: Upload) -> None:
    """Draw the first step, done."""
    about = upload.about
    where = "" if about.path is None else ", where it lies on this machine"
    draw_step("1 · File", about.name, file_size(about.size) + where, "file", leave_file)


def draw_job_lines(job: BulkJob, columns: Sequence[str]) -> None:
    """Draw the first three steps, done, of a table that is being scored or was."""
    draw_file_line(job.upload)
    try:
        request = job.request
    except ReviewscopeError:
        return  # what was asked for is damaged
    places = [place for place in request.text_columns if place < len(columns)]
    names = " + ".join(name_word(columns[place]) for place in places) or "as chosen"
    has_ids = request.id_column is not None and request.id_column < len(columns)
    ids = f"rows named by {name_word(columns[request.id_column])}" if has_ids and request.id_column is not None else ""
    title = "2 · Columns" if len(request.text_columns) > 1 else "2 · Column"
    draw_step(title, names, ids, "column", partial(leave_job, job))
    found = known_rehearsal(job)
    if found is not None and found.counts.interval:
        share = f"{percent(found.counts.share)} positive ({interval_text(*found.counts.interval)})"
        draw_step("3 · Rehearsal", share, f"of the first {plural(found.scored, 'row')}", "rehearsal")


def known_rehearsal(job: BulkJob) -> Rehearsal | None:
    """Return what the rehearsal of a job found, if there was one."""
    try:
        return rehearsal_of(job.upload, job.request).result
    except ReviewscopeError:
        return None


def queue_again(job: JobFolder) -> None:
    """Queue a job that has ended; a scoring goes on behind the rows that it has scored."""
    try:
        enqueue(job)
    except ReviewscopeError as error:
        state.remember(QUEUE_REFUSED, str(error))


def draw_queue_refusal() -> None:
    """Draw why a job could not be queued, once."""
    if refused := state.recall(QUEUE_REFUSED):
        state.forget(QUEUE_REFUSED)
        with failed_box("queue", refused, "What was scored is kept."):
            pass
