"""The share positive by a column of a scored table; each group is a door to its rows."""

from functools import partial

import streamlit as st

from core.charts.bulk_groups import group_name
from core.charts.dress import PLOTLY_CONFIG
from core.prediction.bulk_job import BulkJob
from core.prediction.facets import Facets
from core.prediction.findings import groups_finding
from core.prediction.row_filter import RowFilter
from core.prediction.summary import least_rows
from dashboard.bulk import filters
from dashboard.bulk.shares import left_out_words, without_scores
from dashboard.bulk.tables import draw_as_table, shares_frame
from dashboard.cache import count_rows_left, groups_figure
from dashboard.components import draw_caption, draw_chart_title
from dashboard.state import recall
from dashboard.tokens import current_tokens


def draw_groups(job: BulkJob, facets: Facets, chosen: RowFilter) -> None:
    """Draw the share positive by a column; the filter by that column itself dims the other groups."""
    by = filters.group_column(job, facets)
    if by is None:
        return
    shown = without_scores(chosen).with_group(by, None)
    counts = count_rows_left(job, shown)
    frame, figure = groups_figure(job, shown, by, chosen.group(by), current_tokens())
    row = st.container(horizontal=True, horizontal_alignment="distribute")
    with row.container(width="stretch"):
        draw_chart_title(
            groups_finding(frame, counts.share),
            f"n = {counts.scored:,}: share positive, 95 % interval, and number of reviews. Values with fewer than "
            f"{least_rows(counts.scored)} are pooled. Click a row to look at it alone.{left_out_words(chosen)}",
        )
    with row:
        draw_column_choice("By", job, facets, facets.choosable, by, "by")
    if figure is None:
        draw_caption("No row is left to compare.")
        return
    names = [group_name(group, pooled) for group, pooled in zip(frame["group"], frame["pooled"], strict=True)]
    st.plotly_chart(
        figure, theme=None, config=PLOTLY_CONFIG, key=filters.chart_key("groups"), on_select="rerun",
        selection_mode="points", alt=f"Share positive by group, highest first, of {len(frame)} groups.",
    )  # fmt: skip
    draw_as_table("groups", lambda: shares_frame(names, "Group", frame))


def draw_column_choice(label: str, job: BulkJob, facets: Facets, places: list[int], now: int, name: str) -> None:
    """Draw a choice among columns of the table; their names are options, which are never rendered as Markdown."""
    key = filters.hold(job, name, now)
    st.selectbox(
        label, places, key=key, format_func=facets.name, width=150,
        label_visibility="collapsed", on_change=partial(take_choice, job, name, key),
    )  # fmt: skip


def take_choice(job: BulkJob, name: str, key: str) -> None:
    """Put a choice of what is shown into the URL."""
    filters.choose(job, **{name: recall(key)})
