"""How a table is read: the kind, encoding, delimiter, header and sheet that were found, and the change of them."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.data.tables import TableFormat, TableOptions
from core.errors import ReviewscopeError, TableError
from core.jobs import enqueue, list_waiting, stop
from core.prediction.uploads import ConversionJob, Upload, create_conversion
from dashboard import cache
from dashboard.bulk.choices import change_options, leave_file, options_from_url
from dashboard.bulk.preview import Preview
from dashboard.bulk.steps import draw_file_line, draw_queue_refusal, queue_again
from dashboard.components import draw_caption, draw_section, failed_box

TICK_SECONDS = 0.5
LOG_LINES = 8
ENCODINGS = (
    "utf-8", "cp1252", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "cp1250", "cp1251", "shift_jis", "gb18030",
)  # fmt: skip
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
HEADERS = {True: "names the columns", False: "is a row like the others"}
NOTHING_SCORED = "The file is kept as it came; nothing was scored."


def open_table(upload: Upload, options: TableOptions) -> Preview | None:
    """Return the beginning of a table; None where there is something to wait for or to choose first, which is drawn."""
    draw_file_line(upload)
    try:
        upload.refuse_changed()
    except TableError as error:
        with failed_box("changed", str(error), "Nothing of it was scored."):
            st.button("Choose another file", key="another-file", on_click=leave_file)
        return None
    try:
        if upload.kind == "xlsx" and options.sheet is None:
            sheets = cache.list_sheets(upload.table)
            if len(sheets) > 1:
                draw_sheets(sheets)
                return None
        if not upload.is_readable(options):
            draw_conversion(upload, options)
            return None
        return cache.look_at_table(upload, options)
    except TableError as error:
        draw_refused(upload, str(error), options)
        return None


def draw_sheets(sheets: list[str]) -> None:
    """Draw the choice of a workbook's sheet."""
    draw_section("Which sheet?", f"The workbook has {len(sheets):,} sheets; one of them is read.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        place = st.selectbox(
            "Sheet", range(len(sheets)), key="sheet", format_func=lambda number: sheet_word(sheets, number), width=360
        )
        if st.button("Read this sheet", type="primary", key="read-sheet"):
            change_options(options_from_url().model_copy(update={"sheet": sheets[place or 0]}))
            st.rerun()


def sheet_word(sheets: list[str], number: int) -> str:
    """Return a sheet's place and name, shortened."""
    return f"{number + 1}: {sheets[number][:60]}"


def draw_conversion(upload: Upload, options: TableOptions) -> None:
    """Draw how far the reading of a file that is no CSV is, or why it failed; it starts by itself."""
    job = upload.conversion(options)
    try:
        if not job.exists:
            enqueue(create_conversion(upload, options))
        status = job.state.status
    except ReviewscopeError as error:
        with failed_box("conversion", str(error), NOTHING_SCORED):
            st.button("Try again", key="convert-again")
        return
    if status in ("queued", "running"):
        st.fragment(draw_converting, run_every=TICK_SECONDS)(job)
        return
    draw_queue_refusal()
    sentence = job.state.message or "The file could not be read."
    log = job.read_log(LOG_LINES) if sentence.startswith("Unexpected") else []
    with failed_box("conversion", sentence, NOTHING_SCORED, log), st.container(horizontal=True):
        st.button("Choose another file", key="another-file", on_click=leave_file)
        if options != TableOptions():
            st.button("Read it as it was found", key="as-found", on_click=change_options, args=(TableOptions(),))
        if status != "failed":
            st.button("Read it again", key="convert-again", type="tertiary", on_click=queue_again, args=(job,))


def draw_converting(job: ConversionJob) -> None:
    """Draw how far the reading of a file is; twice a second, until it has ended."""
    status = job.state.status
    if status not in ("queued", "running"):
        st.rerun()
    progress = job.progress if status == "running" else None
    with st.container(border=True):
        if progress is None:
            before = [each.job.path for each in list_waiting("quick")]
            place = before.index(job.path) if job.path in before else 0
            draw_section("Waiting to read the file", f"{place} before it." if place else "It begins at once.")
        else:
            done = f"{progress.done:,} rows so far." if progress.done else "Opening it."
            draw_section("Reading the file", f"{done} It is read once; then every step is quick.")
        st.progress(min(progress.done / progress.total, 1.0) if progress and progress.total else 0.0)
        if job.is_stop_requested:
            draw_caption("Stopping.")
        elif status == "queued":
            st.button("Take it out of the queue", key="stop-converting", on_click=stop, args=(job,))


def draw_refused(upload: Upload, sentence: str, options: TableOptions) -> None:
    """Draw why a file cannot be read and, where another encoding reads it, the choice of one."""
    with failed_box("table", sentence, NOTHING_SCORED):
        fitting = cache.fitting_encodings(upload.upload_id, ENCODINGS) if options.encoding is None else []
        if fitting:
            with st.container(width=320):
                picked = st.selectbox("Read it as", fitting, index=None, placeholder="Choose an encoding",
                                      key=f"retry-{upload.upload_id}")  # fmt: skip
            if picked:
                change_options(TableOptions(encoding=picked))
                st.rerun()
        elif options != TableOptions():
            st.button("Read it as it was found", key="as-found", on_click=change_options, args=(TableOptions(),))
        st.button("Choose another file", key="another-file", on_click=leave_file)


def draw_reading(upload: Upload, table_format: TableFormat, options: TableOptions) -> None:
    """Draw how the table is read, in a sentence, and what can be changed about it."""
    draw_caption(reading_sentence(table_format))
    if table_format.kind == "parquet":
        return
    with st.expander("Change how it is read"):
        draw_caption("Found in the file itself. Change it where the rows below look wrong.")
        kind, fields = table_format.kind, iter(st.columns(3))
        change = partial(draw_change, upload, options)
        if kind == "xlsx":
            sheets = cache.list_sheets(upload.table)
            found = table_format.sheet if table_format.sheet in sheets else sheets[0]
            words = {name: sheet_word(sheets, number) for number, name in enumerate(sheets)}
            with next(fields):
                change("sheet", "Sheet", words, found)
        if kind in ("csv", "jsonl"):
            encodings = dict.fromkeys((table_format.encoding, *ENCODINGS))
            with next(fields):
                change("encoding", "Encoding", {each: each for each in encodings}, table_format.encoding)
        if kind == "csv":
            with next(fields):
                change("delimiter", "Delimiter", DELIMITERS, table_format.delimiter)
        if kind in ("csv", "xlsx"):
            with next(fields):
                change("has_header", "The first row", HEADERS, table_format.has_header)
        as_found = TableOptions(sheet=options.sheet)
        if options != as_found:
            st.button("Read it as it was found", key="as-found", type="tertiary", on_click=change_options,
                      args=(as_found,))  # fmt: skip


def draw_change(
    upload: Upload, options: TableOptions, name: str, label: str, words: Mapping[Any, str], found: Any
) -> None:
    """Draw one thing about how a table is read; a change reads it anew."""
    choices = list(words)
    picked = st.selectbox(
        label, choices, index=choices.index(found), key=f"{name}-{upload.upload_id}-{found}",
        format_func=lambda each: words.get(each, str(each)),
    )  # fmt: skip
    if picked != found:
        change_options(options.model_copy(update={name: picked}))
        st.rerun()


def reading_sentence(table_format: TableFormat) -> str:
    """Say how a table is read."""
    header = "with a header" if table_format.has_header else "without a header"
    if table_format.kind == "xlsx":
        return f"Read as an Excel workbook, sheet “{table_format.sheet or 'the first'}”, {header}."
    guessed = " (guessed)" if table_format.is_guessed else ""
    if table_format.kind == "jsonl":
        return f"Read as JSON lines, {table_format.encoding}{guessed}; a column for every name that stands in them."
    if table_format.kind == "parquet":
        return "Read as Parquet, which says itself how it is written."
    return f"Read as {table_format.encoding}{guessed}, {DELIMITERS[table_format.delimiter]}, {header}."
