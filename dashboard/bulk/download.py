"""What can be taken away of a scored table: the usual file with one click, and any other after a choice.

Files are made by a job, on disk, and streamed from there; nothing of them passes through the page.
"""

from collections.abc import Sequence
from typing import Literal

import streamlit as st

from core.errors import ReviewscopeError
from core.jobs import room_left, stop
from core.prediction.bulk_job import BulkJob, BulkResult
from core.prediction.exporting import (
    APOSTROPHE_NOTE,
    ExportAbout,
    ExportJob,
    ExportPlan,
    Extra,
    Format,
    Preset,
    list_exports,
    plan_export,
)
from core.prediction.summary import Mask
from core.wording import plural
from dashboard.api import are_served, file_path
from dashboard.bulk.steps import draw_queue_refusal, queue_again
from dashboard.components import draw_caption, failed_box, file_size
from dashboard.guard import ticket_for

TICK_SECONDS = 0.5
MADE_UNASKED_BYTES = 200 * 10**6
FORMATS: dict[Format, str] = {
    "csv-excel": "CSV for Excel", "csv": "CSV, raw", "xlsx": "Excel workbook", "parquet": "Parquet"
}  # fmt: skip
FORMAT_WORDS: dict[Format, str] = {
    "csv-excel": "A text that begins like a formula gets an apostrophe before it, so that Excel does not run it.",
    "csv": "Every text byte for byte, for programs. A spreadsheet program may run what begins like a formula.",
    "xlsx": "Texts as texts, scores as numbers. A text longer than 32,767 characters is cut there, and counted.",
    "parquet": "Texts, numbers and flags with their types, for pandas, R or DuckDB.",
    "html": "One file with its charts and their tables; it needs no network. No text of a row is in it.",
}
EXTRAS: dict[Extra, str] = {
    "intensity": "intensity", "not_sure": "not sure", "share_read": "share read", "model": "model"
}  # fmt: skip
EXTRAS_HELP = (
    "Intensity: the calibrated probability of positive. Not sure: whether the score is too close to call. Share read: "
    "how much of the text the model could read. Model: which one it was."
)


def draw_downloads(job: BulkJob, mask: Mask | None, words: str) -> None:
    """Draw the usual file as one button and the choice of others beside it.

    Args:
        job: Has a result.
        mask: The rows that the page's filter leaves, bool (N); None without one.
        words: The filter in words.
    """
    result = job.result
    if result is None:
        return
    usual = plan_export(job)
    if usual.export.is_done:
        draw_link("Download with scores", usual.export, primary=True)
    else:
        draw_usual(usual, job)
    with st.popover("Other files", width="content", key=f"more-{job.job_id}"):
        is_waiting = any(map(is_active, list_exports(job)))
        choice = st.fragment(draw_choice, run_every=TICK_SECONDS if is_waiting else None)
        choice(job, result, mask, words, is_waiting)


def draw_usual(usual: ExportPlan, job: BulkJob) -> None:
    """Make the usual file unasked, unless it is large, so that one click takes it."""
    is_small = job.upload.about.size <= MADE_UNASKED_BYTES
    if not usual.export.exists and is_small and room_left("quick"):
        queue_again(usual.create())
    if is_active(usual.export):
        st.fragment(draw_until_made, run_every=TICK_SECONDS)(usual.export)
    else:
        st.button(
            "Download with scores", key=f"make-{usual.export.job_id}", type="primary", icon=":material/download:",
            on_click=lambda: queue_again(usual.create()), help=why_not(usual.export) or None,
        )  # fmt: skip


def draw_choice(job: BulkJob, result: BulkResult, mask: Mask | None, words: str, was_waiting: bool) -> None:
    """Draw the choice of a file; twice a second while one is being made, and the page anew when that has ended."""
    if was_waiting and not any(map(is_active, list_exports(job))):
        st.rerun()
    with st.container(width=360):
        choose_file(job, result, mask, words)


def choose_file(job: BulkJob, result: BulkResult, mask: Mask | None, words: str) -> None:
    """Draw the choice and the file that was chosen."""
    presets = preset_words(result, mask)
    key = f"download_{job.job_id}"
    wished: Preset | None = st.radio("What", list(presets), format_func=lambda each: presets[each], key=f"{key}_preset")
    preset = wished if wished in presets else "all"  # the filter may be gone since
    chosen: Format = "html"
    if preset != "report":
        chosen = st.selectbox("Format", list(FORMATS), format_func=lambda each: FORMATS[each], key=f"{key}_format")
    draw_caption(FORMAT_WORDS[chosen])
    extras: Sequence[Extra] = ()
    if preset in ("all", "scores", "filter"):
        extras = st.pills(
            "Columns besides sentiment, probability and confidence", list(EXTRAS), selection_mode="multi",
            format_func=lambda each: EXTRAS[each], key=f"{key}_extras", help=EXTRAS_HELP,
        )  # fmt: skip
    draw_queue_refusal()
    try:
        plan = plan_export(
            job, preset, chosen, sorted(extras, key=list(EXTRAS).index), mask if preset == "filter" else None, words
        )
    except ReviewscopeError as error:
        draw_caption(str(error))
        return
    draw_file(plan)


def preset_words(result: BulkResult, mask: Mask | None) -> dict[Preset, str]:
    """Return what can be taken away, as it is said in the choice; without a stranger's words, which are not escaped."""
    found: dict[Preset, str] = {"all": "All columns with scores", "scores": "Ids and scores, without text"}
    if mask is not None:
        found["filter"] = f"The filtered rows ({int(mask.sum()):,}), all columns with scores"
    if result.rejected:
        found["rejects"] = f"Rejected rows ({result.rejected:,}), with line and reason"
    found["report"] = "The charts, as one page"
    return found


def draw_file(plan: ExportPlan) -> None:
    """Draw the way to a file: to make it, to wait for it, to take it."""
    export = plan.export
    if is_active(export):
        draw_progress(export, "chosen")
        return
    about = export.about
    if about is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            draw_link(f"Download, {file_size(about.size)}", export)
            draw_link("About it", export, which_about=True)
        draw_caption(about_words(about))
        return
    if said := why_not(export):
        with failed_box(f"export-{export.job_id}", said, "The scores are kept.", export.read_log(8)):
            draw_make("Try again", plan)
        return
    draw_make("Make the file", plan)


def draw_make(label: str, plan: ExportPlan) -> None:
    """Draw the button that has a file made; the whole page is drawn anew then, for what waits is drawn otherwise."""
    if st.button(label, key=f"make-{plan.export.job_id}-chosen"):
        queue_again(plan.create())
        st.rerun()


def about_words(about: ExportAbout) -> str:
    """Say how many rows a file has, and what its reader must know."""
    rows = [f"{plural(about.rows.written, 'row')}."] if about.preset != "report" else []
    notes = [note for note in about.notes if note != APOSTROPHE_NOTE]  # which stands above, with the format
    return " ".join([*rows, *notes, "“About it” has the model, the threshold and the SHA-256."])


def draw_link(label: str, export: ExportJob, *, primary: bool = False, which_about: bool = False) -> None:
    """Draw a button that takes a file; ``label`` holds no stranger's word."""
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    icon = ":material/info:" if which_about else ":material/download:"
    if are_served():
        path = file_path(export, "about" if which_about else "table")
        st.link_button(label, f"{path}?{ticket_for(path)}", type=kind, icon=icon)
        return
    file = export.about_file if which_about else export.table_file
    name = f"{export.file_name}.json" if which_about else export.file_name
    st.download_button(
        label, file.read_bytes, file_name=name, type=kind, icon=icon, on_click="ignore",
        mime="application/octet-stream", key=f"take-{export.job_id}-{kind}-{which_about}",
    )  # fmt: skip


def is_active(export: ExportJob) -> bool:
    """Tell whether a file waits to be made or is being made; not when its state is damaged."""
    try:
        return export.exists and not export.is_done and export.state.status in ("queued", "running")
    except ReviewscopeError:
        return False


def why_not(export: ExportJob) -> str:
    """Return why a file that was asked for is not there; "" when nobody asked, or nothing is wrong."""
    if not export.exists or export.is_done or is_active(export):
        return ""
    try:
        state = export.state
    except ReviewscopeError as error:
        return f"The file was not made. {error}"
    return f"The file was not made. {state.message or f'It was {state.status}.'}"


def draw_until_made(export: ExportJob) -> None:
    """Draw how far the usual file is; when it has ended, draw the page anew."""
    if not is_active(export):
        st.rerun()
    draw_progress(export, "usual")


def draw_progress(export: ExportJob, place: str) -> None:
    """Draw how far a file is, in one of the two places that may show it."""
    progress = export.progress if export.state.status == "running" else None
    share = min(progress.done / progress.total, 1.0) if progress and progress.total else 0.0
    # In one row, as high as the button that takes its place.
    row = st.container(
        key=f"{place}-{export.job_id}", width="content", horizontal=True, vertical_alignment="center", wrap=False
    )
    with row:
        with st.container(width=180):
            st.progress(share, text="Making the file")
        if progress and progress.total > 200_000:
            st.button("Cancel", key=f"stop-{place}-{export.job_id}", type="tertiary", on_click=stop, args=(export,))
