"""The reviews behind the numbers: filters in the URL, what they come to in words, a page of the list, the drawer."""

from dataclasses import replace
from functools import partial
from html import escape

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.errors import ReviewscopeError
from core.evaluation.curves import BINS
from core.evaluation.selection import LABELS, Selection, describe_bin
from dashboard.cache import load_predictor
from dashboard.components import draw_caption, draw_section, empty_box, failed_box
from dashboard.evaluation import choices
from dashboard.evaluation.drawer import Drawer, open_drawer_of_url
from dashboard.evaluation.other_model import find_other
from dashboard.evaluation.outside import outside_masks, titles
from dashboard.evaluation.review_rows import csv_of_reviews, frame_of_reviews, parquet_of_reviews
from dashboard.evaluation.view import Scored
from dashboard.state import forget, recall, remember

Rows = NDArray[np.int64]
ROWS_A_PAGE = 10
ROW_HEIGHT = 38
ANY = "any"
FILTER_NAMES = {
    "label": "label", "verdict": "verdict", "only_wrong": "errors only", "confidence": "confidence",
    "at_least": "probability", "surest": "surest", "words": "search", "token": "word", "theme": "theme",
    "pair": "other run", "area": "area", "stars": "stars", "fault": "judgement",
}  # fmt: skip


def draw_reviews(view: Scored, selection: Selection) -> None:
    """Draw the reviews behind the numbers: filters, what they come to, a page of the list, and the drawer."""
    draw_section("Reviews", "Click a row to read the whole review, and which words it was read by.")
    draw_filters(selection)
    order, results = choices.order_from_url(), view.results
    try:
        rows = selection.rows(results, order, outside_masks(view, selection))
    except ReviewscopeError as error:
        draw_unanswered(selection, str(error))
        return
    draw_filter_line(view, rows, selection, order)
    if not len(rows):
        draw_nothing_matches(view, selection)
        open_drawer_of_url(Drawer(view, rows))
        return
    pages = -(-len(rows) // ROWS_A_PAGE)
    page = choices.page_from_url(pages)
    first = (page - 1) * ROWS_A_PAGE
    place = take_row_click()
    frame = frame_of_reviews(results, view.rows.texts, rows[first : first + ROWS_A_PAGE], first + 1)
    if selection.pair and (other := find_other(view)):
        verdicts = other.verdicts[rows[first : first + ROWS_A_PAGE]]
        frame.insert(list(frame.columns).index("Words"), "Other run", [LABELS[verdict] for verdict in verdicts])
    draw_table(frame)
    draw_pagination(pages, page)
    if place is not None and first + place < len(rows):
        choices.name_in_url(open=str(rows[first + place]))
    open_drawer_of_url(Drawer(view, rows))


def draw_unanswered(selection: Selection, message: str) -> None:
    """Draw why it cannot be told which reviews pass a filter, and the way out of it."""
    with failed_box("reviews", message, "The reviews are as they were; only this filter has no answer."):
        st.button(
            "Clear the filters", key="evaluation_clear_all", on_click=partial(choices.selection_to_url, Selection())
        )


def draw_filters(selection: Selection) -> None:
    """Draw the filters as widgets, whose values the URL gives."""
    remember("evaluation_kind", choices.kind_of(selection))
    st.segmented_control(
        "Which reviews", list(choices.KINDS), key="evaluation_kind", label_visibility="collapsed",
        on_change=change_filter, args=("kind",),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, label, value in (
            ("labelled", "Labelled", selection.label), ("read_as", "Read as", selection.verdict),
        ):  # fmt: skip
            remember(f"evaluation_{name}", ANY if value is None else LABELS[value])
            st.selectbox(
                label, [ANY, *LABELS], key=f"evaluation_{name}", width=150, on_change=change_filter, args=(name,)
            )
        remember("evaluation_confidence", -1 if selection.confidence is None else selection.confidence)
        st.selectbox(
            "Confidence", [-1, *range(BINS)], key="evaluation_confidence", width=170,
            format_func=lambda place: ANY if place < 0 else describe_bin(place),
            on_change=change_filter, args=("confidence",),
        )  # fmt: skip
        remember("evaluation_words", selection.words)
        st.text_input(
            "Search the texts", key="evaluation_words", max_chars=choices.MOST_WORDS, type="search", width=260,
            placeholder="a word or phrase", on_change=change_filter, args=("words",),
        )  # fmt: skip


def change_filter(name: str) -> None:
    """Carry a filter's new value into the URL."""
    selection, value = choices.selection_from_url(), recall(f"evaluation_{name}")
    if name == "kind":
        selection = choices.with_kind(selection, value or "All wrong")
    elif name == "words":
        selection = replace(selection, words=value or "")
    elif name == "confidence":
        selection = replace(selection, confidence=None if value < 0 else value)
    else:
        chosen = None if value == ANY else LABELS.index(value)
        is_label = name == "labelled"
        selection = replace(selection, label=chosen) if is_label else replace(selection, verdict=chosen)
    choices.selection_to_url(selection)


def draw_filter_line(view: Scored, rows: Rows, selection: Selection, order: str) -> None:
    """Draw what the filters come to in words, the ways out of them, the order and the download."""
    said = selection.parts(titles(view, selection))
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(horizontal=True, width="content", vertical_alignment="center", gap="small"):
            count = f"{len(rows):,} review{'' if len(rows) == 1 else 's'}"
            of = f" of {len(view.results):,}{': ' if said else ''}{escape(', '.join(said.values()))}"
            st.html(f'<div class="rs"><b style="font-weight:600">{count}</b>{of}</div>')
            if not selection.is_default:
                draw_ways_out(selection, list(said))
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            remember("evaluation_order", order)
            st.selectbox(
                "Order", list(choices.ORDERS), format_func=choices.ORDERS.__getitem__, key="evaluation_order",
                label_visibility="collapsed", width=210, on_change=change_order,
            )  # fmt: skip
            draw_downloads(view, rows)
    if unread := choices.unread_filters():
        draw_caption(f"The address asks for what is no filter here, so it was left out: {', '.join(unread)}.")


def draw_ways_out(selection: Selection, filtered: list[str]) -> None:
    """Draw a button for each filter that takes it away, and one for all."""
    for name in filtered if len(filtered) > 1 else []:
        st.button(
            FILTER_NAMES[name], icon=":material/close:", type="tertiary", key=f"evaluation_without_{name}",
            on_click=partial(choices.selection_to_url, selection.without(name)),
        )  # fmt: skip
    st.button(
        "Clear all" if len(filtered) > 1 else "Clear", icon=":material/close:", type="tertiary", key="evaluation_clear",
        on_click=partial(choices.selection_to_url, Selection()),
    )  # fmt: skip


def draw_downloads(view: Scored, rows: Rows) -> None:
    """Draw the ways to take the listed reviews away; a file is made when its button is pressed."""
    temperature = load_predictor(view.model.reference).temperature
    of_reviews = (view.results, view.rows.texts, rows, temperature)
    kinds = (
        ("CSV for spreadsheets", "csv", "text/csv", partial(csv_of_reviews, *of_reviews)),
        ("CSV, texts as they came", "raw.csv", "text/csv", partial(csv_of_reviews, *of_reviews, safe=False)),
        ("Parquet", "parquet", "application/vnd.apache.parquet", partial(parquet_of_reviews, *of_reviews)),
    )
    with st.popover("Download", icon=":material/download:", disabled=not len(rows)):
        draw_caption(f"{len(rows):,} review{'' if len(rows) == 1 else 's'}, in the order of the list.")
        for label, ending, mime, make in kinds:
            st.download_button(
                label, make, key=f"evaluation_download_{ending}", on_click="ignore", width="stretch", mime=mime,
                file_name=f"{view.model.reference}-{view.data.source}-{view.data.split}.{ending}",
            )  # fmt: skip
        draw_caption("For spreadsheets: an apostrophe keeps a text from being run as a formula.")


def change_order() -> None:
    """Carry the new order into the URL."""
    choices.name_in_url(order=recall("evaluation_order"), page=None)


def draw_nothing_matches(view: Scored, selection: Selection) -> None:
    """Draw what stands in place of an empty list."""
    if selection.is_default:
        n = len(view.results)
        how = "The one review was" if n == 1 else f"All {n:,} reviews were"
        with empty_box("reviews", "No review was misread.", f"{how} read as labelled."):
            everything = partial(choices.selection_to_url, Selection(only_wrong=False))
            st.button("List all", key="evaluation_list_all", on_click=everything)
        return
    with empty_box("reviews", f"No review matches: {selection.describe(titles(view, selection))}.", ""):
        st.button(
            "Clear the filters", key="evaluation_clear_all", on_click=partial(choices.selection_to_url, Selection())
        )


def take_row_click() -> int | None:
    """Return which row of the page was clicked; the table then gets a new key, so that the row can be clicked again."""
    event = recall(table_key())
    chosen = event["selection"] if event else {}
    rows = [*chosen.get("rows", []), *(row for row, _ in chosen.get("cells", []))]
    if not rows:
        return None
    forget(table_key())
    remember("evaluation_opened", recall("evaluation_opened", 0) + 1)
    return int(rows[0])


def table_key() -> str:
    """Return the key of the table until its next click."""
    return f"evaluation_table_{recall('evaluation_opened', 0)}"


def draw_table(frame: pd.DataFrame) -> None:
    """Draw a page of reviews; a click on a row, or on any of its cells, opens the drawer."""
    st.dataframe(
        frame, hide_index=True, height="content", row_height=ROW_HEIGHT, on_select="rerun",
        selection_mode=["single-row", "single-cell"], key=table_key(),
        alt="Reviews; choose a row to read the whole text.",
        column_config={
            "#": st.column_config.NumberColumn(width=50),
            "Confidence": st.column_config.ProgressColumn(
                width=140, format="%.1f %%", min_value=0, max_value=100, color="gray"
            ),
            "Label": st.column_config.TextColumn(width=75),
            "Read as": st.column_config.TextColumn(width=75),
            "Other run": st.column_config.TextColumn(width=80),
            "Review": st.column_config.TextColumn(width=640),
            "Words": st.column_config.NumberColumn(width=65, format="localized"),
        },
    )  # fmt: skip


def draw_pagination(pages: int, page: int) -> None:
    """Draw the way to the other pages of the list."""
    if pages < 2:
        return
    # Once a page's number has been pressed, its widget gives way to the one of the new page.
    key = f"evaluation_page_{pages}_{page}"
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.pagination(pages, default=page, key=key, on_change=change_page, args=(key,))


def change_page(key: str) -> None:
    """Carry the new page into the URL."""
    page = recall(key)
    choices.name_in_url(page=str(page) if page > 1 else None)
