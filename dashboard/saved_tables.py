"""The tables that were uploaded and what was made of them."""

import time

import pandas as pd
import streamlit as st

from core.errors import ReviewscopeError
from core.prediction.uploads import KEPT_DAYS, BulkJob, Upload, list_uploads, remove_expired_uploads
from core.wording import DASH, interval_text, percent
from dashboard import state
from dashboard.components import ago, draw_caption, empty_box, file_size


def draw_saved() -> None:
    """Draw a table of all uploads, newest first; a chosen row opens."""
    remove_expired_uploads()
    entries: list[tuple[Upload, BulkJob | None]] = []
    for upload in list_uploads():
        entries += [(upload, job) for job in upload.jobs] or [(upload, None)]
    if not entries:
        with empty_box("saved", "No table yet.", f"Every table that you score is kept here for {KEPT_DAYS} days."):
            st.button("Score a spreadsheet", type="primary", on_click=open_saved, args=(None, None))
        return
    draw_caption("Choose a row to open it.")
    event = st.dataframe(
        pd.DataFrame([saved_row(upload, job) for upload, job in entries]), hide_index=True, row_height=38,
        height="content", on_select="rerun", selection_mode="single-row", key="saved", alt="Tables, newest first",
        column_config={"File": st.column_config.TextColumn(width="medium"),
                       "Column": st.column_config.TextColumn(width="small")},
    )  # fmt: skip
    chosen = event["selection"]["rows"]
    if chosen and chosen[0] < len(entries):
        upload, job = entries[chosen[0]]
        open_saved(upload, job)
        st.rerun()


def open_saved(upload: Upload | None, job: BulkJob | None) -> None:
    """Show an upload and its job, or the first step."""
    state.to_url(view="file", upload=upload.upload_id if upload else None, job=job.job_id if job else None)


def saved_row(upload: Upload, job: BulkJob | None) -> dict[str, object]:
    """Return an upload and one job on it as a row of the table."""
    about = upload.about
    left = KEPT_DAYS - (time.time() - about.created) / 86_400
    row: dict[str, object] = {
        "File": about.name, "State": "not scored", "Rows": DASH, "Positive": DASH, "95 % interval": DASH,
        "Column": DASH, "Size": file_size(about.size), "Uploaded": ago(about.created),
        "Kept for": f"{left:.0f} more days" if left >= 1.5 else "1 more day",
    }  # fmt: skip
    if job is None:
        return row
    try:
        row |= {"State": job.state.status, "Column": job.request.text_column}
        if not job.is_active and (result := job.result) is not None:
            row["Rows"] = f"{result.rows:,}"
            row["Positive"] = percent(result.counts.share)
            row["95 % interval"] = interval_text(*result.counts.interval) if result.counts.interval else DASH
    except ReviewscopeError:
        row["State"] = "damaged"
    return row
