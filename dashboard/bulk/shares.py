"""How many rows are positive, and how sure the scores are."""

import streamlit as st

from core.charts.bulk_sides import share_bar_html
from core.model_settings import probability_text
from core.prediction.bulk_job import BulkJob, BulkResult
from core.prediction.row_filter import RowFilter
from core.wording import interval_text, percent, plural
from dashboard.bulk.filters import chart_key
from dashboard.bulk.tables import draw_as_table
from dashboard.cache import count_rows_left, scores_chart
from dashboard.components import draw_caption, draw_chart_title, draw_section
from dashboard.tokens import current_tokens


def draw_shares(job: BulkJob, result: BulkResult, chosen: RowFilter) -> None:
    """Draw the headline and the share bar; a filter by the score itself is left out of a share."""
    counts = count_rows_left(job, without_scores(chosen))
    low, high = counts.interval or (0.0, 1.0)
    which = "the reviews" if without_scores(chosen).is_empty else "these reviews"
    rejected = f", {result.rejected:,} rejected" if result.rejected and chosen.is_empty else ""
    draw_section(
        f"{percent(counts.share)} of {which} are positive ({interval_text(low, high)})",
        f"n = {counts.scored:,}{rejected}; 95 % Wilson interval of the share, for rows like these; "
        f"the model's own errors are not in it.{left_out_words(chosen)}",
    )
    st.html(share_bar_html(counts, current_tokens(), chosen.side))
    cutoffs = job.request.cutoffs
    lowest, highest = probability_text(cutoffs.unsure_low), probability_text(cutoffs.unsure_high)
    band = (
        "No score is called not sure."
        if lowest == highest
        else f"From {lowest} to {highest} a score is too close to call and counts on neither side."
    )
    draw_caption(f"{band} The column “sentiment” in the download divides at {probability_text(cutoffs.threshold)}.")


def draw_scores(job: BulkJob, chosen: RowFilter) -> None:
    """Draw the histogram of the scores; each bar is a door to its rows."""
    others = chosen.model_copy(update={"score": None})
    counts = count_rows_left(job, others)
    frame, chart = scores_chart(job, others, chosen.score, current_tokens())
    low, high = counts.unsure_interval or (0.0, 1.0)
    finding = f"{percent(counts.unsure_share)} are too close to call ({interval_text(low, high)})"
    if chosen.side:
        finding = f"{plural(counts.scored, 'review')} read as {chosen.side}"
    draw_chart_title(
        finding, f"Scores: n = {plural(counts.scored, 'row')} by probability of positive. Click a bar to read its rows."
    )
    st.vega_lite_chart(
        chart, theme=None, on_select="rerun", key=chart_key("scores"),
        alt=f"How many of {counts.scored:,} rows have which probability of positive.",
    )  # fmt: skip
    draw_as_table("scores", lambda: frame.assign(
        From=[percent(low, 1) for low in frame["low"]], To=[percent(high, 1) for high in frame["high"]]
    )[["From", "To", "side", "count"]].rename(columns={"side": "Counted as", "count": "Reviews"}))  # fmt: skip


def without_scores(chosen: RowFilter) -> RowFilter:
    """Return the filters without those by the score itself, under which a share positive would say nothing."""
    return chosen.model_copy(update={"side": None, "score": None})


def left_out_words(chosen: RowFilter) -> str:
    """Say that a share leaves the filter by score out, where there is one."""
    return "" if chosen == without_scores(chosen) else " The filter by score is left out of a share."
