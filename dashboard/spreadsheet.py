"""A spreadsheet on the prediction page: file, column, scoring; each step done folds to one line."""

import io
from collections.abc import Callable
from html import escape
from itertools import islice
from typing import Any

import pandas as pd
import streamlit as st

from core import settings
from core.data.demo import write_demo_table
from core.data.tables import Row, TableFormat, guess_text_column, read_rows
from core.errors import ReviewscopeError, TableError
from core.job_folder import JobProgress
from core.jobs import enqueue, list_waiting, stop
from core.model_settings import load_settings
from core.prediction.uploads import (
    KEPT_DAYS,
    LARGEST_UPLOAD,
    BulkJob,
    BulkRequest,
    Upload,
    create_bulk_job,
    find_job,
    find_upload,
    remove_expired_uploads,
    save_upload,
)
from dashboard import state
from dashboard.cache import load_predictor
from dashboard.components import (
    draw_caption,
    draw_facts,
    draw_log,
    draw_section,
    duration,
    empty_box,
    failed_box,
    file_size,
)
from dashboard.scored_table import draw_result
from dashboard.tokens import current_tokens

TICK_SECONDS = 0.5
GENERATION = "prediction_upload_generation"
SAMPLE_NAME = "sample_reviews.csv"
ENDINGS = ["csv", "tsv", "txt"]
ENCODINGS = ("utf-8", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be")
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
PREVIEW_ROWS = 5
CELL_CHARACTERS = 300
LOG_LINES = 8


def job_with_result() -> BulkJob | None:
    """Return the job that the URL names if it has ended and has a result to show."""
    _, job = chosen_job()
    return job if job is not None and not job.is_active and job.result is not None else None


def chosen_job() -> tuple[Upload | None, BulkJob | None]:
    """Return the upload and the job that the URL names, as far as they exist."""
    upload = find_upload(state.from_url("upload") or "")
    return upload, find_job(upload, state.from_url("job") or "") if upload else None


def draw_spreadsheet(reference: str) -> None:
    """Draw the step that is due, those before it as lines, or the result."""
    remove_expired_uploads()
    upload, job = chosen_job()
    if upload is None:
        if state.from_url("upload"):
            with failed_box("gone", "This upload is not here any more.",
                            f"Uploads are kept for {KEPT_DAYS} days. Choose the file again."):  # fmt: skip
                pass
        draw_file_step()
    elif job is None:
        draw_column_step(upload, reference)
    elif job.is_active:
        draw_step("1 · File", upload.about.name, file_size(upload.about.size), "file", leave_file)
        draw_step("2 · Column", job.request.text_column, "", "column", lambda: state.to_url(job=None))
        st.fragment(draw_running, run_every=TICK_SECONDS)(job)
    elif job.result is not None:
        draw_result(job, lambda: score_again(upload, job, reference))
    else:
        draw_broken_off(upload, job, reference)


def leave_file() -> None:
    """Go back to the first step; the upload stays among the saved results."""
    state.to_url(upload=None, job=None)


def draw_step(step: str, what: str, more: str, key: str, change: Callable[[], None]) -> None:
    """Draw a step that is done as one line with a way back."""
    row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    with row.container(width="content"):
        muted = f'<span class="rs-muted">{escape(step)}</span>'
        rest = f'<span class="rs-muted"> · {escape(more)}</span>' if more else ""
        st.html(f'<div class="rs"><p>{muted}&ensp;<b style="font-weight:600">{escape(what)}</b>{rest}</p></div>')
    row.button("Change", key=f"change-{key}", type="tertiary", on_click=change)


@st.fragment
def draw_file_step() -> None:
    """Draw the drop zone. In a fragment, so that the rest of the page does not copy the file at each rerun."""
    folder = settings.home() / "uploads"
    draw_section(
        "1 · File",
        f"CSV up to {LARGEST_UPLOAD // 10**6} MB. It stays on this computer, in {folder}, for {KEPT_DAYS} days.",
    )
    generation = state.recall(GENERATION, 0)
    file = st.file_uploader(
        "CSV file", type=ENDINGS, key=f"prediction_upload_{generation}", max_upload_size=LARGEST_UPLOAD // 10**6,
        label_visibility="collapsed",
    )  # fmt: skip
    with st.container(horizontal=True):
        wants_sample = st.button("Try with sample data", key="sample")
        st.download_button(
            "Download a sample file", data=lambda: sample_table().getvalue(), file_name=SAMPLE_NAME, mime="text/csv",
            on_click="ignore", type="tertiary", key="sample-file",
        )  # fmt: skip
    if file is not None:
        take_in(file, file.name)
        forget_record(file)
        state.remember(GENERATION, generation + 1)
    elif wants_sample:
        take_in(sample_table(), SAMPLE_NAME)
    else:
        return
    if not state.recall("prediction_refused"):
        st.rerun()
    with failed_box("upload", state.recall("prediction_refused"), "Nothing was kept."):
        state.forget("prediction_refused")


def take_in(stream: Any, name: str) -> None:
    """Save what came and go on to the next step."""
    try:
        state.to_url(upload=save_upload(stream, name).upload_id, job=None)
    except ReviewscopeError as error:
        state.remember("prediction_refused", str(error))


def sample_table() -> io.BytesIO:
    """Return the demo table as a file."""
    text = io.StringIO(newline="")
    write_demo_table(text)
    return io.BytesIO(text.getvalue().encode())


def forget_record(file: Any) -> None:
    """Free Streamlit's own copy of an uploaded file, which it would keep for as long as the session."""
    try:
        from streamlit.runtime.scriptrunner import get_script_run_ctx

        context = get_script_run_ctx()
        if context is not None:
            context.uploaded_file_mgr.remove_file(  # type: ignore[attr-defined]
                session_id=context.session_id, file_id=file.file_id
            )
    except Exception:  # noqa: BLE001 (not a public interface: without it the memory comes back later)
        return


def draw_column_step(upload: Upload, reference: str) -> None:
    """Draw how the file is read, the column choice with a preview, and the button that starts."""
    keys = f"prediction_encoding_{upload.upload_id}", f"prediction_delimiter_{upload.upload_id}"
    try:
        table_format = upload.sniff(*(state.recall(key) for key in keys))
        guess = guess_text_column(upload.table, table_format)
    except TableError as error:
        draw_refused(upload, str(error), keys)
        return
    words = f"{file_size(upload.about.size)}, {table_format.encoding}, {DELIMITERS[table_format.delimiter]}"
    draw_step("1 · File", upload.about.name, words, "file", leave_file)
    with st.expander("How the file is read"):
        draw_format_choice(table_format, keys)
    draw_section("2 · Column", "Which column holds the text? It is read as it stands: NA and null are texts too.")
    columns = table_format.columns
    unique = [place for place, name in enumerate(columns) if columns.count(name) == 1]
    with st.container(width=420):
        place = st.selectbox(
            "Column with the text", unique, index=unique.index(columns.index(guess)), key=f"column-{upload.upload_id}",
            format_func=lambda number: columns[number] or "(no name)",
        )  # fmt: skip
    chosen = unique[0] if place is None else place
    rows_shown = draw_preview(upload, table_format, chosen)
    try:
        used = load_settings(load_predictor(reference).sha256)
        note = "" if used.is_usual else f" Set for this model: {used.describe()}."
    except ReviewscopeError:
        note = ""  # the model itself cannot be read, which starting says
    draw_section("3 · Score", f"It goes on without this page; what it makes is kept beside the file.{note}")
    if st.button("Score this table", type="primary", key="score", disabled=not rows_shown):
        start_job(upload, reference, columns[chosen], table_format)


def draw_refused(upload: Upload, sentence: str, keys: tuple[str, str]) -> None:
    """Draw why a file cannot be read and, where another encoding reads it, the choice of one."""
    draw_step("1 · File", upload.about.name, file_size(upload.about.size), "file", leave_file)
    with failed_box("table", sentence, "The file is kept as it came; nothing was scored."):
        fitting = [encoding for encoding in ENCODINGS if is_readable(upload, encoding)]
        chosen = state.recall(keys[0])
        if fitting:
            with st.container(width=320):
                picked = st.selectbox("Read it as", fitting, index=None, placeholder="Choose an encoding",
                                      key=f"retry-{upload.upload_id}-{chosen}")  # fmt: skip
            if picked:
                state.remember(keys[0], picked)
                state.remember(keys[1], None)
                st.rerun()
        elif chosen or state.recall(keys[1]):
            st.button("Read it as it was found", on_click=state.forget, args=keys)
        else:
            st.button("Choose another file", on_click=leave_file)


def is_readable(upload: Upload, encoding: str) -> bool:
    """Tell whether the beginning of a file is a table in an encoding."""
    try:
        return bool(upload.sniff(encoding))
    except TableError:
        return False


def draw_format_choice(table_format: TableFormat, keys: tuple[str, str]) -> None:
    """Draw encoding and delimiter, as found, to be changed."""
    draw_caption("Found in the file's first megabyte. Change it where the preview looks wrong.")
    encodings = list(dict.fromkeys((table_format.encoding, *ENCODINGS)))
    choices: tuple[tuple[str, list[str], str], ...] = (
        ("Encoding", encodings, table_format.encoding),
        ("Delimiter", list(DELIMITERS), table_format.delimiter),
    )
    for (label, options, found), column, key in zip(choices, st.columns([1, 1, 1])[:2], keys, strict=True):
        picked = column.selectbox(
            label, options, index=options.index(found), format_func=lambda option: DELIMITERS.get(option, option),
            key=f"choice-{key}-{found}",
        )  # fmt: skip
        if picked != found:
            state.remember(key, picked)
            st.rerun()


def draw_preview(upload: Upload, table_format: TableFormat, chosen: int) -> int:
    """Draw the first rows, the chosen column first and tinted; return how many there are."""
    rows = []
    for row in islice(read_rows(upload.table, table_format), 20 * PREVIEW_ROWS):
        if isinstance(row, Row):
            rows.append([field[:CELL_CHARACTERS] for field in row.fields])
        if len(rows) == PREVIEW_ROWS:
            break
    if not rows:
        with empty_box("rows", "There is no row to score.", "Under the column names nothing follows that fits them."):
            return 0
    names = [f"c{place}" for place in range(len(table_format.columns))]
    frame = pd.DataFrame(rows, columns=names)
    tint = {"background-color": current_tokens().quiet_tint}
    st.dataframe(
        frame.style.set_properties(subset=[names[chosen]], **tint), hide_index=True, row_height=38, height="content",
        column_order=[names[chosen], *(name for name in names if name != names[chosen])],
        column_config=column_labels(table_format.columns), alt="The first rows of the file", key="preview",
    )  # fmt: skip
    return len(rows)


def column_labels(columns: tuple[str, ...]) -> dict[str, Any]:
    """Return the labels of a table's columns; the names themselves may be empty or stand twice."""
    return {
        f"c{place}": st.column_config.TextColumn(name[:60] or "(no name)", width="medium")
        for place, name in enumerate(columns)
    }


def start_job(upload: Upload, reference: str, column: str, table_format: TableFormat) -> None:
    """Queue the scoring, or find the same one that was made before, and show it."""
    try:
        sha256 = load_predictor(reference).sha256
        request = BulkRequest(
            model=reference,
            model_sha256=sha256,
            text_column=column,
            encoding=table_format.encoding,
            delimiter=table_format.delimiter,
            cutoffs=load_settings(sha256).cutoffs,
        )
        job = create_bulk_job(upload, request)
        if not (job.is_active or job.result):
            enqueue(job)
    except ReviewscopeError as error:
        with failed_box("start", str(error), "The file is kept; nothing was scored."):
            return
    state.to_url(job=job.job_id)
    st.rerun()


def score_again(upload: Upload, job: BulkJob, reference: str) -> None:
    """Queue the scoring of the same column anew, with the model that is the default now."""
    try:
        table_format = job.table_format
    except ReviewscopeError as error:
        draw_caption(str(error))
        return
    start_job(upload, reference, job.request.text_column, table_format)


def draw_running(job: BulkJob) -> None:
    """Draw how far a job is; twice a second, until it has ended."""
    if not job.is_active:
        st.rerun()
    progress = job.progress if job.state.status == "running" else None
    with st.container(border=True):
        if progress is None:
            waiting = [each.job.path for each in list_waiting("score")]
            before = waiting.index(job.path) if job.path in waiting else 0
            draw_section(
                "3 · Waiting", f"{before} before it." if before else "It begins as soon as its worker is there."
            )
            st.progress(0.0)
        else:
            draw_section("3 · Scoring", progress_sentence(progress))
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
    spent = progress.time - progress.began
    speed = f" · {progress.done / spent:,.0f} rows/s" if progress.done and spent > 0 else ""
    left = f" · {duration(progress.seconds_left)} left" if progress.seconds_left is not None else ""
    return f"{progress.done:,} of {progress.total:,} rows{speed}{left}"


def draw_broken_off(upload: Upload, job: BulkJob, reference: str) -> None:
    """Draw a job that ended without a result."""
    draw_step("1 · File", upload.about.name, file_size(upload.about.size), "file", leave_file)
    draw_step("2 · Column", job.request.text_column, "", "column", lambda: state.to_url(job=None))
    status, message = job.state.status, job.state.message
    words = {
        "failed": "The scoring failed.",
        "interrupted": "The scoring was interrupted.",
        "stopped": "It was stopped.",
    }
    with failed_box("job", f"{words.get(status, status)} {message}", "The file is kept; nothing of it is scored."):
        if st.button("Score it again", type="primary", key="again"):
            score_again(upload, job, reference)
        if status == "failed" and (lines := job.read_log(LOG_LINES)):
            with st.expander("Log"):
                draw_log(lines)
