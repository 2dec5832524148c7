"""The tables that are kept here and what was made of them: open, pin, delete."""

import hashlib
import time
from functools import partial

import pandas as pd
import streamlit as st

from core.errors import ReviewscopeError
from core.prediction.bulk_job import BulkJob, list_jobs
from core.prediction.uploads import (
    KEPT_DAYS,
    Upload,
    delete_upload,
    list_damaged_uploads,
    list_uploads,
    pin_upload,
    remove_expired_uploads,
)
from core.runs import Run, list_runs
from core.wording import DASH, interval_text, percent
from dashboard import state
from dashboard.bulk.choices import leave_file, open_upload
from dashboard.components import ago, draw_caption, draw_chart_title, draw_facts, empty_box, failed_box, file_size
from dashboard.two_models import name_of

ASKED, REFUSED = "saved_delete_asked", "saved_refused"
SHOWN_ROWS = 8
SHOWN_RESULTS = 10


def draw_saved() -> None:
    """Draw a table of all that is kept, newest first, and what can be done with the chosen one."""
    remove_expired_uploads()
    sound, damaged = list_uploads(), list_damaged_uploads()
    uploads = [*sound, *damaged]
    if not uploads:
        with empty_box("saved", "No table yet.", f"Every table that you score is kept here for {KEPT_DAYS} days, or as "
                       "long as you pin it."):  # fmt: skip
            st.button("Score a spreadsheet", type="primary", on_click=open_saved, args=(None, None))
        return
    sizes = [upload.size_on_disk for upload in uploads]
    files = "1 file" if len(uploads) == 1 else f"{len(uploads):,} files"
    draw_caption(f"{files}, {file_size(sum(sizes))} on disk with all that was made of them. Choose one to open, pin or "
                 "delete it.")  # fmt: skip
    rows = [
        *(saved_row(upload, size) for upload, size in zip(sound, sizes, strict=False)),
        *(damaged_row(upload, size) for upload, size in zip(damaged, sizes[len(sound) :], strict=True)),
    ]
    # Another list begins with none chosen: a choice is a place in it, and must never come to mean another file.
    listed = hashlib.sha256(" ".join(upload.upload_id for upload in uploads).encode()).hexdigest()[:12]
    event = st.dataframe(
        pd.DataFrame(rows), hide_index=True, row_height=38,
        height="content" if len(rows) <= SHOWN_ROWS else 38 * (SHOWN_ROWS + 1), on_select="rerun",
        selection_mode="single-row", key=f"saved_{listed}", alt="Tables, newest first",
        column_config={
            "File": st.column_config.TextColumn(width="medium"),
            "Results": st.column_config.TextColumn(width=170),
            "Kept until": st.column_config.TextColumn(width=150),
            "Size": st.column_config.TextColumn(width=80, help="On disk, with all that was made of it"),
            "Age": st.column_config.TextColumn(width=100),
        },
    )  # fmt: skip
    chosen = event["selection"]["rows"]
    if chosen and chosen[0] < len(uploads):
        draw_chosen(uploads[chosen[0]], sizes[chosen[0]])


def open_saved(upload: Upload | None, job: BulkJob | None) -> None:
    """Show an upload and its job, or the first step; what was chosen for another table is forgotten."""
    leave_file()
    if upload is not None:
        open_upload(upload)
    state.to_url(view="file", job=job.job_id if job else None)


def saved_row(upload: Upload, size: int) -> dict[str, str]:
    """Return an upload as a row of the table."""
    about, jobs = upload.about, list_jobs(upload)
    return {
        "File": about.name,
        "Results": results_words(jobs),
        "Kept until": kept_words(about.kept_until),
        "Size": file_size(size),
        "Age": ago(about.created),
    }


def damaged_row(upload: Upload, size: int) -> dict[str, str]:
    """Return an upload that cannot be opened as a row of the table."""
    try:
        about = upload.about
    except ReviewscopeError:
        return {"File": f"({upload.upload_id})", "Results": "cannot be read", "Kept until": "deleted by hand",
                "Size": file_size(size), "Age": DASH}  # fmt: skip
    return saved_row(upload, size) | {"File": about.name, "Results": "its file is gone"}


def results_words(jobs: list[BulkJob]) -> str:
    """Say how many results a table has, and whether one is being made."""
    if not jobs:
        return "not scored"
    running = sum(job.is_active for job in jobs)
    words = [f"{len(jobs) - running}"] if len(jobs) > running else []
    return " + ".join([*words, *([f"{running} being made"] if running else [])])


def kept_words(until: float | None) -> str:
    """Say when an upload goes."""
    if until is None:
        return "pinned"
    if until < time.time():
        return "its job ends"
    return time.strftime("%a %d %b, %H:%M", time.localtime(until))


def draw_chosen(upload: Upload, size: int) -> None:
    """Draw what can be done with an upload, and the results that it has."""
    with st.container(border=True, key="saved-chosen"):
        if not upload.is_sound:
            draw_broken(upload, size)
            return
        about, jobs = upload.about, list_jobs(upload)
        lies = f"It lies at {about.path}." if about.path else f"{file_size(about.size)}, as it came."
        until = f"Kept until {kept_words(about.kept_until)}." if about.kept_until else "Pinned: kept until unpinned."
        draw_chart_title(about.name, f"{lies} {until}")
        for job in jobs[:SHOWN_RESULTS]:
            draw_result_line(upload, job)
        if jobs:
            few = f"The newest {SHOWN_RESULTS} of {len(jobs):,} results. " if len(jobs) > SHOWN_RESULTS else ""
            draw_caption(f"{few}In brackets: the 95 % interval (Wilson) of the share positive of the scored rows.")
        if state.recall(ASKED) == upload.upload_id:
            draw_deleting(upload, jobs, size)
        else:
            draw_actions(upload, jobs)
        draw_refusal()


def draw_result_line(upload: Upload, job: BulkJob) -> None:
    """Draw one result with the way to it."""
    try:
        words = result_words(job)
    except (ReviewscopeError, IndexError):
        draw_facts("A result that cannot be read. Score the table again; this one goes with the file.")
        return
    row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    with row.container(width="stretch"):
        draw_facts(words)
    row.button("Open", key=f"open-{job.job_id}", type="tertiary", on_click=open_saved, args=(upload, job))


def result_words(job: BulkJob) -> str:
    """Say what a result is: how much was scored, how much is positive, with which model, and when.

    Raises:
        ReviewscopeError: It is damaged, or was made by a version that kept results in another way.
    """
    model = name_of(job.request.model)
    result, status = None if job.is_active else job.result, job.state.status
    if result is None:
        standing = "not done" if status == "finished" else status
        return f"Read by {model}: {standing}, {ago(job.asked)}."
    columns = " + ".join(result.facets.columns[place] or "(no name)" for place in job.request.text_columns)
    scored = (
        f"{result.predicted:,} of {result.rows:,} rows scored{'' if result.is_complete else ' before it was stopped'}"
    )
    interval = f" ({interval_text(*result.counts.interval)})" if result.counts.interval else ""
    return f"{columns}, read by {model}: {scored}, {percent(result.counts.share)} positive{interval}, {ago(job.asked)}."


def draw_actions(upload: Upload, jobs: list[BulkJob]) -> None:
    """Draw the three things that can be done with an upload."""
    pinned = upload.about.pinned
    help_words = f"It then has {KEPT_DAYS} days." if pinned else "It is then kept until you unpin it."
    with st.container(horizontal=True, vertical_alignment="center"):
        newest = jobs[0] if jobs else None
        label = "Open the newest result" if len(jobs) > 1 else "Open the result" if jobs else "Open"
        st.button(label, key="saved_open", type="primary", on_click=open_saved, args=(upload, newest))
        if jobs:
            st.button("Score it in another way", key="saved_anew", on_click=open_saved, args=(upload, None))
        st.button("Unpin" if pinned else "Pin", key="saved_pin", on_click=partial(pin, upload, not pinned),
                  help=help_words)  # fmt: skip
        st.button("Delete", key="saved_delete", on_click=state.remember, args=(ASKED, upload.upload_id))


def draw_broken(upload: Upload, size: int) -> None:
    """Draw an upload that cannot be opened, which can only be deleted."""
    try:
        name = upload.about.name
        what = f"The file of {name} is not where it was. What was made of it is still here."
    except ReviewscopeError as error:
        what = f"What is known of the upload {upload.upload_id} cannot be read. {error}"
    draw_facts(what)
    if state.recall(ASKED) == upload.upload_id:
        draw_deleting(upload, list_jobs(upload), size)
    else:
        st.button("Delete", key="saved_delete", on_click=state.remember, args=(ASKED, upload.upload_id))
    draw_refusal()


def draw_deleting(upload: Upload, jobs: list[BulkJob], size: int) -> None:
    """Ask once before an upload goes, and say what goes with it; while a job runs, say that it cannot."""
    runs = runs_that_read(upload)
    if upload.is_busy or any(run.state.status in ("queued", "running") for run in runs):
        draw_facts("A job that reads this file waits or runs. Stop it first, then delete the file.")
        st.button("Back", key="saved_delete_no", on_click=state.forget, args=(ASKED,))
        return
    draw_facts(deleting_words(upload, len(jobs), size, len(runs)))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Delete for good", key="saved_delete_yes", on_click=partial(delete, upload))
        st.button("Keep it", key="saved_delete_no", type="tertiary", on_click=state.forget, args=(ASKED,))


def deleting_words(upload: Upload, results: int, size: int, runs: int) -> str:
    """Say what goes when an upload is deleted, and what stays."""
    made = {0: "", 1: "1 result"}.get(results, f"{results:,} results")
    try:
        lies = upload.about.path
    except ReviewscopeError:
        return f"All that is in its folder goes for good, {file_size(size)}."
    if lies is not None:
        goes = f"What was made of it goes for good: {made}, {file_size(size)}." if made else "It leaves this list."
        goes += f" The file itself stays where it lies, at {lies}."
    elif made:
        goes = f"The file and {made} go for good, {file_size(size)}."
    else:
        goes = f"The file goes for good, {file_size(size)}."
    if runs == 1:
        return f"{goes} 1 run was trained on it: it stays, but cannot be resumed, or scored on it, any more."
    if runs:
        return f"{goes} {runs:,} runs were trained on it: they stay, but cannot be resumed, or scored on it, any more."
    return goes


def runs_that_read(upload: Upload) -> list[Run]:
    """Return the runs that were trained on an upload's own copy of a file."""
    table = str(upload.path / "table")
    found = []
    for run in list_runs():
        try:
            if run.settings.config.data.path == table:
                found.append(run)
        except ReviewscopeError:
            continue  # a damaged run is told of where runs are listed
    return found


def pin(upload: Upload, pinned: bool) -> None:
    """Pin or unpin an upload; why it could not be done is said by ``draw_refusal``."""
    try:
        pin_upload(upload, pinned)
    except ReviewscopeError as error:
        state.remember(REFUSED, str(error))


def delete(upload: Upload) -> None:
    """Delete an upload; why it could not be done is said by ``draw_refusal``."""
    state.forget(ASKED)
    try:
        delete_upload(upload)
    except ReviewscopeError as error:
        state.remember(REFUSED, str(error))


def draw_refusal() -> None:
    """Draw why the last press did nothing, once."""
    if refused := state.recall(REFUSED):
        with failed_box("saved", refused, "Nothing was changed."):
            state.forget(REFUSED)
