"""The first step: a file from the browser, pasted lines, or a file that lies on this machine."""

import io
import re
from pathlib import Path
from typing import Any

import streamlit as st

from core import jobs, settings
from core.data.demo import write_demo_table
from core.data.tables import TableOptions, TableWriter
from core.errors import ReviewscopeError
from core.prediction.uploads import (
    KEPT_DAYS,
    LARGEST_UPLOAD,
    MOST_LISTED,
    link_allowed_file,
    list_machine_files,
    save_upload,
)
from core.wording import plural
from dashboard import state
from dashboard.bulk.choices import open_upload
from dashboard.components import draw_caption, draw_section, empty_box, failed_box, file_size

GENERATION, REFUSED, SOURCE = "prediction_upload_generation", "prediction_refused", "prediction_source"
SAMPLE_NAME, PASTED_NAME = "sample_reviews.csv", "pasted_lines.csv"
ENDINGS = ["csv", "tsv", "txt", "xlsx", "jsonl", "ndjson", "parquet"]
SOURCES = {"upload": "Upload a file", "paste": "Paste lines", "machine": "A file on this machine"}
LARGEST = f"{LARGEST_UPLOAD // 10**6} MB"
MOST_PASTED = 1_000_000
PASTED_OPTIONS = TableOptions(encoding="utf-8", delimiter=",", has_header=True)


@st.fragment
def draw_file_step() -> None:
    """Draw where a table comes from. In a fragment, so that the rest of the page does not copy a file at each rerun."""
    draw_section(
        "1 · File",
        f"CSV, Excel, JSON lines or Parquet, up to {LARGEST}. It stays on this computer, in "
        f"{settings.home() / 'uploads'}, for {KEPT_DAYS} days.",
    )
    jobs.start_worker("quick")  # it loads its libraries while somebody looks for a file
    before = state.from_url("upload")  # one that is gone, if any
    source = st.segmented_control(
        "Where the table comes from", list(SOURCES), key=SOURCE, default="upload", required=True,
        format_func=lambda name: SOURCES[name], label_visibility="collapsed",
    )  # fmt: skip
    if source == "paste":
        draw_paste()
    elif source == "machine":
        draw_machine_files()
    else:
        draw_upload()
    if refused := state.recall(REFUSED):
        with failed_box("upload", refused, "Nothing was kept."):
            draw_caption("Choose another one above.")
        state.forget(REFUSED)
    elif state.from_url("upload") != before:
        st.rerun()


def draw_upload() -> None:
    """Draw the drop zone, and the sample for those without a file."""
    generation = state.recall(GENERATION, 0)
    file = st.file_uploader(
        "Table", type=ENDINGS, key=f"prediction_upload_{generation}", max_upload_size=LARGEST_UPLOAD // 10**6,
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


def draw_paste() -> None:
    """Draw the box for lines."""
    text = st.text_area(
        "Reviews, one a line", key="prediction_pasted", height=220, max_chars=MOST_PASTED,
        help="Each line becomes one row. Lines without a word are rejected, and counted as such.",
    )  # fmt: skip
    lines = lines_of(text or "")
    draw_caption(plural(len(lines), "line") + "." if lines else "No line yet.")
    # Not disabled without lines: a click into it is what ends the writing.
    if st.button("Go on with these lines", type="primary", key="use-pasted"):
        take_lines(lines)


def take_lines(lines: list[str]) -> None:
    """Save pasted lines as a table and go on to the next step."""
    if not lines:
        state.remember(REFUSED, "There is no line to read. Write or paste one first.")
        return
    try:
        table = table_of_lines(lines)
    except ReviewscopeError as error:
        state.remember(REFUSED, str(error))
    else:
        take_in(table, PASTED_NAME, PASTED_OPTIONS)


def draw_machine_files() -> None:
    """Draw the choice among the files that the page may open where they lie."""
    folders = settings.table_folders()
    named = ", ".join(map(str, folders)) or "none"
    how = (
        f"Put a table there, or name other folders in {settings.FOLDERS_VARIABLE} and start the app again. "
        "python -m core bulk reads a file from anywhere."
    )
    files = list_machine_files()
    if not files:
        with empty_box("machine", f"There is no table in {named}.", how):
            st.button("Look again", key="look-again")
        return
    draw_caption(f"Nothing is copied, however large it is; it must not change while it is read. From {named}. {how}")
    place = st.selectbox(
        "File", range(len(files)), index=None, key="prediction_machine_file", placeholder="Choose a file",
        format_func=lambda number: machine_file_word(files, number, folders),
    )  # fmt: skip
    if len(files) == MOST_LISTED:
        draw_caption(f"The first {MOST_LISTED} are listed.")
    if (
        st.button("Go on with this file", type="primary", key="use-machine", disabled=place is None)
        and place is not None
    ):
        try:
            open_upload(link_allowed_file(files[place]))
        except ReviewscopeError as error:
            state.remember(REFUSED, str(error))


def machine_file_word(files: list[Path], number: int, folders: list[Path]) -> str:
    """Return what a file is called in the choice: its path inside its folder, and its size."""
    path = files[number]
    folder = next((folder for folder in folders if folder in path.parents), path.parent)
    try:
        size = file_size(path.stat().st_size)
    except OSError:
        size = "gone"
    return f"{number + 1}: {path.relative_to(folder)} ({size})".encode("utf-8", "replace").decode()


def lines_of(text: str) -> list[str]:
    """Cut a pasted text into lines; blank ones at its end are none."""
    lines = re.split(r"\r\n|\r|\n", text)
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def table_of_lines(lines: list[str]) -> io.BytesIO:
    """Return lines as a table with the one column "text".

    Raises:
        TableError: A line has a character that no table can hold.
    """
    stream = io.BytesIO()
    writer = TableWriter(stream, ["text"])
    for line in lines:
        writer.write_row([line])
    stream.seek(0)
    return stream


def take_in(stream: Any, name: str, options: TableOptions | None = None) -> None:
    """Save what came and go on to the next step."""
    try:
        open_upload(save_upload(stream, name), options)
    except ReviewscopeError as error:
        state.remember(REFUSED, str(error))


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
