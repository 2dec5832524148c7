"""A spreadsheet on the prediction page: file, columns, rehearsal, run; each step done folds to one line."""

import streamlit as st

from core.errors import ReviewscopeError
from core.prediction.bulk_job import BulkJob, find_job
from core.prediction.uploads import KEPT_DAYS, Upload, find_upload, remove_expired_uploads
from dashboard import state
from dashboard.bulk.choices import model_from_url, options_from_url
from dashboard.bulk.column_step import draw_column_step
from dashboard.bulk.file_step import draw_file_step
from dashboard.bulk.reading import open_table
from dashboard.bulk.rehearsal_step import draw_rehearsal_step, make_request, start_job
from dashboard.bulk.result import draw_result
from dashboard.bulk.running import draw_active, draw_broken_off, draw_damaged, draw_stopped
from dashboard.components import draw_caption, failed_box


def chosen_job() -> tuple[Upload | None, BulkJob | None]:
    """Return the upload and the job that the URL names, as far as they exist."""
    upload = find_upload(state.from_url("upload") or "")
    return upload, find_job(upload, state.from_url("job") or "") if upload else None


def job_with_result() -> BulkJob | None:
    """Return the job that the URL names if it has ended and has a result to show."""
    _, job = chosen_job()
    return job if job is not None and has_result(job) else None


def model_in_use() -> str:
    """Return the reference of the model that the job of the URL was asked of, or that a new one would be."""
    _, job = chosen_job()
    try:
        return job.request.model if job is not None else model_from_url()
    except ReviewscopeError:
        return model_from_url()


def has_result(job: BulkJob) -> bool:
    """Tell whether a job has ended with a result that is that of its parts."""
    try:
        is_known = job.result is not None and bool(job.request)
        return is_known and job.state.status in ("finished", "stopped") and job.facets_file.exists()
    except ReviewscopeError:
        return False


def draw_spreadsheet() -> None:
    """Draw the step that is due, those before it as lines, or the result."""
    remove_expired_uploads()
    try:
        draw_due(*chosen_job())
    except ReviewscopeError as error:  # such as of a file that another tab deletes while it is drawn here
        with failed_box("due", str(error), "What is kept is among the saved results."):
            st.button("Look again", key="look-again-due")


def draw_due(upload: Upload | None, job: BulkJob | None) -> None:
    """Draw what is due of an upload and its job, as far as the URL names them.

    Raises:
        ReviewscopeError: A file of theirs is gone or damaged.
    """
    if upload is None:
        if state.from_url("upload"):
            with failed_box("gone", "This upload is not here any more.",
                            f"Uploads are kept for {KEPT_DAYS} days. Choose the file again."):  # fmt: skip
                pass
        draw_file_step()
    elif job is None:
        draw_preparation(upload)
    elif job.is_active:
        draw_active(job)
    elif has_result(job):
        if job.state.status == "stopped":
            draw_stopped(job)
        try:
            draw_result(job, lambda: score_again(upload, job))
        except ReviewscopeError as error:
            draw_damaged(job, str(error))
    else:
        draw_broken_off(job)


def draw_preparation(upload: Upload) -> None:
    """Draw what comes before the run: columns and rehearsal."""
    options, model = options_from_url(), model_from_url()
    preview = open_table(upload, options)
    if preview is None:
        return
    chosen = draw_column_step(upload, preview, options)
    if chosen is None:
        return
    try:
        request = make_request(model, options=options, text_columns=chosen.text, id_column=chosen.ids)
    except ReviewscopeError as error:
        with failed_box("model", str(error), "The file is kept; nothing was scored."):
            st.button("Use the default model", key="default-model", on_click=use_default_model)
        return
    draw_rehearsal_step(upload, request)


def use_default_model() -> None:
    """Forget the model that was chosen for this table."""
    state.to_url(model=None)


def score_again(upload: Upload, job: BulkJob) -> None:
    """Score the same columns with the model as it is set now."""
    asked = job.request
    try:
        request = make_request(
            asked.model, options=asked.options, text_columns=asked.text_columns, id_column=asked.id_column
        )
    except ReviewscopeError as error:
        draw_caption(str(error))
        return
    start_job(upload, request)
