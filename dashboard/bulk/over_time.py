"""The share positive of a scored table over time; a bucket, or a stretch that is drawn, is a door to its rows."""

from functools import partial

import streamlit as st

from core.charts.bulk_time import TIME_FORMATS
from core.charts.dress import PLOTLY_CONFIG
from core.evaluation.shares import UNITS
from core.prediction.bulk_job import BulkJob
from core.prediction.facets import DATE_FORMATS, Facets
from core.prediction.findings import time_finding
from core.prediction.row_filter import RowFilter
from core.prediction.summary import least_in_bucket
from core.wording import plural
from dashboard.bulk import filters
from dashboard.bulk.groups import draw_column_choice, take_choice
from dashboard.bulk.shares import left_out_words, without_scores
from dashboard.bulk.tables import draw_as_table, shares_frame
from dashboard.cache import Days, count_rows_left, time_figure
from dashboard.components import draw_caption, draw_chart_title
from dashboard.state import remember
from dashboard.tokens import current_tokens

AUTOMATIC = "automatic"


def draw_time(job: BulkJob, facets: Facets, chosen: RowFilter) -> None:
    """Draw the share positive over time; the filter by days itself pales the rest of the time."""
    place = filters.date_column(job, facets)
    if place is None:
        return
    shown = without_scores(chosen)
    days: Days = (None, None)
    if chosen.dated == place:
        shown, days = shown.with_days(place, None, None), (chosen.since, chosen.until)
    asked = filters.unit_from_url()
    unit, frame, figure = time_figure(job, shown, place, asked, days, current_tokens())
    remember("file_unit_shown", unit)
    row = st.container(horizontal=True, horizontal_alignment="distribute")
    n = int(frame["n"].sum())
    undated = count_rows_left(job, shown).scored - n
    without = f" {plural(undated, 'row')} without a date {'is' if undated == 1 else 'are'} left out." if undated else ""
    with row.container(width="stretch"):
        draw_chart_title(
            time_finding(frame),
            f"n = {n:,}: share positive by {unit}; the shade is the 95 % interval, open where a {unit} has fewer than "
            f"{least_in_bucket(n)} reviews. Dates read as {DATE_FORMATS[facets.facts[place].date_format or '']}."
            f"{without} Drag over one dot or more to look at that time alone.{left_out_words(chosen)}",
        )
    with row.container(width="content"):
        if len(facets.dated) > 1:
            draw_column_choice("Date", job, facets, facets.dated, place, "date")
        key = filters.hold(job, "unit", asked or AUTOMATIC)
        st.selectbox(
            "Unit", [AUTOMATIC, *UNITS], key=key, width=130, label_visibility="collapsed",
            on_change=partial(take_choice, job, "unit", key),
        )  # fmt: skip
    if figure is None:
        draw_caption(f"Fewer than two {unit}s have reviews enough. Choose another unit.")
        return
    st.plotly_chart(
        figure, theme=None, config=PLOTLY_CONFIG, key=filters.chart_key("time"), on_select="rerun",
        selection_mode=("points", "box"), alt=f"Share positive by {unit}.",
    )  # fmt: skip
    draw_as_table(
        "time",
        lambda: shares_frame(
            [start.strftime(TIME_FORMATS[unit]) for start in frame["start"]], unit.capitalize(), frame
        ),
    )
