"""The rows that the filters leave, ten a page, from one end of the scores."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from core.evaluation.shares import SIDES
from core.prediction.bulk_job import BulkJob
from core.prediction.facets import Facets
from core.prediction.predictor import probability_of
from core.prediction.row_filter import RowFilter, describe_filter
from core.prediction.summary import Order
from core.wording import plural
from dashboard.bulk import filters
from dashboard.bulk.choices import name_word
from dashboard.cache import count_rows_left, first_rows, load_cells, load_facet
from dashboard.components import draw_section
from dashboard.state import recall

ORDERS: dict[Order, str] = {"negative": "Most negative", "positive": "Most positive", "unsure": "Least sure"}
PAGE_ROWS, MOST_LISTED = 10, 500
CELL_CHARACTERS = 2_000
LONGEST_TITLE = 40  # characters
MOST_COLUMNS = 3  # besides the texts


def draw_rows(job: BulkJob, facets: Facets, chosen: RowFilter) -> None:
    """Draw the rows in an order, with their texts and what they are filtered and compared by."""
    left, order = count_rows_left(job, chosen).scored, filters.order_from_url()
    head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom")
    with head.container(width="content"):
        of = "" if chosen.is_empty else f" of {count_rows_left(job, RowFilter()).scored:,}"
        which = "" if chosen.is_empty else f": {describe_filter(chosen, facets)}"
        listed = f" The first {MOST_LISTED} in this order are listed." if left > MOST_LISTED else ""
        draw_section("Reviews", f"{plural(left, 'review')}{of}{which}.{listed}")
    key = filters.hold(job, "order", order)
    with head:
        st.segmented_control(
            "Order", list(ORDERS), key=key, required=True, format_func=lambda name: ORDERS[name],
            label_visibility="collapsed", on_change=partial(take_order, job, key),
        )  # fmt: skip
    places = first_rows(job, chosen, order, MOST_LISTED)
    pages = -(-len(places) // PAGE_ROWS)
    page = filters.page_from_url(pages)
    shown = places[PAGE_ROWS * (page - 1) :][:PAGE_ROWS]
    draw_page(job, facets, chosen, shown)
    if pages > 1:
        # Once a page's number has been pressed, its widget gives way to the one of the new page.
        key = f"file_page_{job.job_id}_{pages}_{page}"
        st.pagination(pages, default=page, key=key, on_change=partial(take_page, job, key, page))


def take_order(job: BulkJob, key: str) -> None:
    """Put the order into the URL, and begin at its first page."""
    filters.choose(job, order=recall(key), page=None)


def take_page(job: BulkJob, key: str, before: int) -> None:
    """Put the page into the URL."""
    if recall(key) not in (None, before):
        filters.choose(job, page=recall(key))


def draw_page(job: BulkJob, facets: Facets, chosen: RowFilter, shown: "np.ndarray[Any, np.dtype[np.int64]]") -> None:
    """Draw some rows as a table."""
    request = job.request
    ids = [] if request.id_column is None else [request.id_column]
    extra = extra_columns(job, facets, chosen, {*request.text_columns, *ids})
    cells = load_cells(job, shown, ("line", *dict.fromkeys((*ids, *request.text_columns, *extra))), CELL_CHARACTERS)
    sides = load_facet(job, "side")[shown]
    frame = pd.DataFrame(
        {
            **{f"c{place}": cells[f"c{place}"] for place in ids},
            "row": shown + 1,
            "side": [SIDES[side] for side in sides],
            "positive": 100 * probability_of(load_facet(job, "logit")[shown]),
            **{f"c{place}": cells[f"c{place}"] for place in (*request.text_columns, *extra)},
        }
    )
    named = {f"c{place}": name_word(facets.columns[place]) for place in (*ids, *request.text_columns, *extra)}
    texts = {f"c{place}" for place in request.text_columns}
    config: dict[str, Any] = {
        "row": st.column_config.NumberColumn("Row", width=65, format="localized", help="Of the table, from 1"),
        "side": st.column_config.TextColumn("Sentiment", width=80),
        "positive": st.column_config.ProgressColumn(
            "Probability of positive", width=150, format="%.1f %%", min_value=0, max_value=100, color="gray"
        ),
    }
    for name, label in named.items():
        config[name] = st.column_config.TextColumn(label, width=text_width(cells[name]) if name in texts else 130)
    st.dataframe(
        frame, hide_index=True, row_height=38, height="content", column_config=config,
        key=filters.chart_key("rows"), alt="Reviews",
    )  # fmt: skip


def text_width(cells: "pd.Series[str]") -> int:
    """Return how wide a column of texts is drawn: a narrow one of titles leaves room for the texts themselves."""
    return 400 if cells.str.len().max() > LONGEST_TITLE else 170


def extra_columns(job: BulkJob, facets: Facets, chosen: RowFilter, without: set[int]) -> list[int]:
    """Return the columns to show beside the texts: those filtered by, then those of the charts."""
    wanted = [place for place, _ in chosen.groups]
    wanted += [place for place in (chosen.dated, chosen.rated) if place is not None]
    shown = (of(job, facets) for of in (filters.group_column, filters.star_column, filters.date_column))
    wanted += [place for place in shown if place is not None]
    return [place for place in dict.fromkeys(wanted) if place not in without][:MOST_COLUMNS]
