"""The second step: how the table is read, which columns hold the text and which names a row, with the first rows."""

from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import streamlit as st

from core.data.tables import Row, TableOptions
from core.prediction.bulk import text_of
from core.prediction.uploads import Upload
from dashboard import state
from dashboard.bulk.choices import choose_columns, column_word, columns_from_url, ids_from_url, name_word
from dashboard.bulk.preview import Preview
from dashboard.bulk.reading import draw_reading
from dashboard.bulk.rows import text_width
from dashboard.components import draw_caption, draw_section, empty_box
from dashboard.tokens import current_tokens

MOST_SHOWN_COLUMNS = 30
JOINED_CHARACTERS = 600
ROW_NUMBER = -1


@dataclass(frozen=True)
class ChosenColumns:
    """Places of the columns with the text, in their order, and of the one that names a row, if any."""

    text: tuple[int, ...]
    ids: int | None


def draw_column_step(upload: Upload, preview: Preview, options: TableOptions) -> ChosenColumns | None:
    """Draw the choice of columns and the first rows; None while there is nothing to go on with."""
    draw_section(
        "2 · Columns",
        "Which hold the text? Several are joined in the order chosen, each on its own line. Every text is read as it "
        "stands: NA and null are texts too.",
    )
    draw_reading(upload, preview.table_format, options)
    if preview.is_empty:
        with empty_box("rows", "There is no row to score.", "Under the column names nothing follows that fits them."):
            return None
    left, right = st.columns([2, 1])
    with left:
        text = draw_text_columns(upload, preview)
    with right:
        ids = draw_id_column(upload, preview)
    if not text:
        draw_caption("Choose a column with the text.")
    draw_rows(preview, text, ids)
    return ChosenColumns(text, ids) if text else None


def draw_text_columns(upload: Upload, preview: Preview) -> tuple[int, ...]:
    """Draw the choice of the columns with the text, whose order is kept."""
    columns, key = preview.columns, f"text-columns-{upload.upload_id}"
    chosen = columns_from_url(len(columns))
    state.remember(key, list(chosen if chosen is not None else (preview.guess,)))
    picked: list[int] = st.multiselect(
        "Columns with the text, in reading order", range(len(columns)), key=key, placeholder="Choose columns",
        format_func=lambda place: column_word(columns, place), on_change=take_columns, args=(key,), select_all=False,
    )  # fmt: skip
    return tuple(picked)


def take_columns(key: str) -> None:
    """Carry the chosen columns into the URL."""
    choose_columns(state.recall(key))


def draw_id_column(upload: Upload, preview: Preview) -> int | None:
    """Draw the choice of the column that names a row."""
    columns, key = preview.columns, f"id-column-{upload.upload_id}"
    known = ids_from_url(len(columns))
    state.remember(key, ROW_NUMBER if known is None else known)
    picked: int = st.selectbox(
        "Rows are named by", [ROW_NUMBER, *range(len(columns))], key=key, on_change=take_ids, args=(key,),
        format_func=lambda place: "Row number" if place == ROW_NUMBER else column_word(columns, place),
        help="A column of ids comes back untouched; ids that stand twice are reported.",
    )  # fmt: skip
    return None if picked == ROW_NUMBER else picked


def take_ids(key: str) -> None:
    """Carry the chosen column of ids into the URL."""
    place = state.recall(key)
    state.to_url(ids=None if place == ROW_NUMBER else str(place))


def draw_rows(preview: Preview, text: tuple[int, ...], ids: int | None) -> None:
    """Draw the first rows, the chosen columns first and tinted, and the text of the first where it is joined."""
    if not preview.rows:
        draw_caption("None of the first rows fits the columns; the rehearsal says why.")
        return
    first = list(dict.fromkeys([*text, *([] if ids is None else [ids])]))
    others = [place for place in range(len(preview.columns)) if place not in first]
    shown = [*first, *others[: max(MOST_SHOWN_COLUMNS - len(first), 0)]]
    frame = pd.DataFrame({f"c{place}": [row[place] for row in preview.rows] for place in shown})
    tinted = frame.style.set_properties(
        subset=[f"c{place}" for place in text], **{"background-color": current_tokens().quiet_tint}
    )
    st.dataframe(
        tinted, hide_index=True, row_height=38, height="content",
        column_config=column_labels(preview.columns, shown, frame, text), key="preview",
        alt="The first rows of the file",
    )  # fmt: skip
    if len(shown) < len(preview.columns):
        draw_caption(f"The first {len(shown)} of {len(preview.columns):,} columns; all of them come back.")
    if len(text) > 1:
        joined = text_of(Row(1, preview.rows[0]), text)
        more = "…" if len(joined) > JOINED_CHARACTERS else ""
        draw_caption("The first row, as the model reads it:")
        st.html(f'<div class="rs rs-review">{escape(joined[:JOINED_CHARACTERS])}{more}</div>')


def column_labels(
    columns: tuple[str, ...], shown: list[int], frame: pd.DataFrame, text: tuple[int, ...]
) -> dict[str, Any]:
    """Return the labels of a table's columns; the names themselves may be empty or stand twice."""
    return {
        f"c{place}": st.column_config.TextColumn(
            name_word(columns[place]), width=text_width(frame[f"c{place}"]) if place in text else 130
        )
        for place in shown
    }
