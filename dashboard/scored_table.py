"""A scored spreadsheet: what it says, by group and over time, its reviews, its rejected rows, its downloads."""

import re
import time
from collections.abc import Callable
from itertools import islice

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from core.charts.dress import PLOTLY_CONFIG
from core.charts.tokens import Tokens
from core.data.tables import Row, read_rows, sniff_table
from core.model_settings import Cutoffs, load_settings, probability_text
from core.prediction.summary import (
    DATE_FORMATS,
    MOST_DISTINCT,
    UNITS,
    Order,
    default_column,
    least_in_bucket,
    least_rows,
    order_rows,
    parse_days,
    score_histogram,
    share_by_group,
    share_over_time,
)
from core.prediction.uploads import KEPT_DAYS, BulkJob, BulkRequest, BulkResult, read_scored_rows
from core.wording import interval_text, percent
from dashboard import state
from dashboard.cache import load_scored
from dashboard.components import (
    ago,
    draw_caption,
    draw_chart_title,
    draw_facts,
    draw_head,
    draw_section,
    duration,
    empty_box,
)
from dashboard.prediction_charts import (
    group_name,
    plot_score_histogram,
    plot_share_by_group,
    plot_share_over_time,
    share_bar_html,
)
from dashboard.tokens import current_tokens

ORDERS: dict[Order, str] = {"negative": "Most negative", "positive": "Most positive", "unsure": "Least sure"}
PAGE_ROWS, MOST_LISTED, MOST_REJECTS = 10, 500, 200
CELL_CHARACTERS = 2_000


def draw_result(job: BulkJob, score_again: Callable[[], None]) -> None:
    """Draw the result of a finished or stopped job from top to bottom; its head stands above the page's choices."""
    result, columns, tokens = job.result, job.table_format.columns, current_tokens()
    if result is None:
        return
    request = job.request
    draw_ledger(job, result, score_again)
    draw_other_setting(request, score_again)
    if not result.predicted:
        with empty_box("scores", "No row could be scored.", "Every row was rejected; the reasons are below."):
            pass
        draw_rejects(job, result)
        return
    probabilities = load_scored(job.columns_file, ("_probability",))["_probability"].to_numpy()
    left, right = st.columns([1.7, 1], gap="large")
    with left:
        draw_shares(result, request.cutoffs, tokens)
    with right:
        draw_chart_title("Scores", f"All {result.predicted:,} scored rows, by probability of positive.")
        chart = plot_score_histogram(score_histogram(probabilities, request.cutoffs), tokens)
        st.altair_chart(chart, theme=None, key="scores", alt="How many rows have which probability of positive")
    by = draw_groups_and_time(job, result, columns, probabilities, tokens)
    draw_reviews(job, columns, probabilities, by)
    draw_rejects(job, result)


def draw_result_head(job: BulkJob, leave: Callable[[], None]) -> None:
    """Draw the file's name, how it was scored, and the downloads."""
    about, request, result = job.upload.about, job.request, job.result
    seconds = result.seconds if result else 0.0
    took = duration(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    left = max(round(KEPT_DAYS - (time.time() - about.created) / 86_400), 1)
    kept = f"Kept for {left} more day{'' if left == 1 else 's'}."
    model = "the starter model" if request.model == "starter" else request.model
    head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom")
    with head.container(width="content"):
        draw_head(
            about.name,
            f"Scored by {model} in {took}, {ago(job.asked)}. Column “{request.text_column}”. {kept}",
        )
    with head.container(horizontal=True, width="content"):
        stem = re.sub(r"[^\w.-]+", "_", about.name.rpartition(".")[0] or about.name)[:60] or "table"
        st.download_button(
            "For Excel", data=job.safe_file.read_bytes, file_name=f"{stem}-scored.csv", mime="text/csv", key="safe",
            on_click="ignore", type="primary", icon=":material/download:",
            help="A text that a spreadsheet program would run as a formula gets an apostrophe before it.",
        )  # fmt: skip
        st.download_button(
            "Raw", data=job.scored_file.read_bytes, file_name=f"{stem}-scored-raw.csv", mime="text/csv", key="raw",
            on_click="ignore", help="Every text byte for byte as it came, with the scores; for programs.",
        )  # fmt: skip
        st.button("Another file", type="tertiary", key="another", on_click=leave)


def draw_ledger(job: BulkJob, result: BulkResult, score_again: Callable[[], None]) -> None:
    """Draw the account of the file's rows."""
    state_now = job.state
    if state_now.status == "stopped":
        row = st.container(horizontal=True, vertical_alignment="center")
        with row.container(width="content"):
            draw_facts(f"{state_now.message} What was scored until then is below; the rest of the file is not in it.")
        if row.button("Score the whole file", key="again"):
            score_again()
    out = f"{result.predicted:,} scored + {result.rejected:,} rejected"
    st.html(f'<div class="rs"><p>{result.rows:,} rows in = <b style="font-weight:600">{out}</b></p></div>')


def draw_other_setting(request: BulkRequest, score_again: Callable[[], None]) -> None:
    """Say when the model's threshold or band is another one by now, and offer to score with it."""
    now = load_settings(request.model_sha256).cutoffs
    if now == request.cutoffs:
        return
    row = st.container(horizontal=True, vertical_alignment="center")
    with row.container(width="content"):
        draw_facts(f"Scored with {request.cutoffs.describe()}. For this model it is {now.describe()} now.")
    if row.button("Score with that", key="again-with-setting"):
        score_again()


def draw_shares(result: BulkResult, cutoffs: Cutoffs, tokens: Tokens) -> None:
    """Draw the headline and the share bar."""
    counts = result.counts
    low, high = counts.interval or (0.0, 1.0)
    draw_section(
        f"{percent(counts.share)} of the reviews are positive ({interval_text(low, high)})",
        f"n = {counts.scored:,}, {result.rejected:,} rejected. 95 % Wilson interval of the share, for rows like these; "
        "the model's own errors are not in it.",
    )
    st.html(share_bar_html(counts, tokens))
    lowest, highest = probability_text(cutoffs.unsure_low), probability_text(cutoffs.unsure_high)
    band = (
        "No score is called not sure."
        if lowest == highest
        else f"From {lowest} to {highest} a score is too close to call and counts on neither side: "
        f"{percent(counts.not_sure / counts.scored)}."
    )
    draw_caption(f"{band} The column “sentiment” in the download divides at {probability_text(cutoffs.threshold)}.")


def draw_groups_and_time(
    job: BulkJob, result: BulkResult, columns: tuple[str, ...], probabilities: NDArray[np.float64], tokens: Tokens
) -> int | None:
    """Draw shares by a column and over time, as far as the file has such columns; return the column chosen."""
    choosable = [place for place, facts in enumerate(result.columns) if facts.is_choosable]
    dated = [place for place, facts in enumerate(result.columns) if facts.date_format]
    if not choosable and not dated:
        draw_caption(
            f"No column has 2 to {MOST_DISTINCT} different values or dates, so there is nothing to compare by."
        )
        return None
    slots = st.columns(2, gap="large") if choosable and dated else [st.columns([1.7, 1], gap="large")[0]] * 2
    by = None
    if choosable:
        with slots[0]:
            by = draw_groups(job, result, columns, probabilities, choosable, tokens)
    if dated:
        with slots[1]:
            draw_time(job, result, columns, probabilities, dated, tokens)
    return by


def draw_groups(
    job: BulkJob,
    result: BulkResult,
    columns: tuple[str, ...],
    probabilities: NDArray[np.float64],
    choosable: list[int],
    tokens: Tokens,
) -> int:
    """Draw the share positive by a column of the file; return the column."""
    first = default_column(result.columns)
    start = choosable.index(first) if first in choosable else 0
    row = st.container(horizontal=True, horizontal_alignment="distribute")
    slot = row.container(width="stretch")
    with row:
        by = choose_column("By", choosable, start, columns, f"by-{job.job_id}")
    values = load_scored(job.columns_file, (f"c{by}",))[f"c{by}"]
    frame = share_by_group(values, probabilities, job.request.cutoffs)
    alone = frame[frame["pooled"] == 0]
    least = least_rows(result.predicted)
    with slot:
        finding = "No value has rows enough to stand alone"
        if len(alone):
            name = group_name(alone["group"].iloc[-1], 0)
            finding = f"Least positive: {name[:60]}, {percent(alone['share'].iloc[-1], 0)}"
        draw_chart_title(
            finding, f"Share positive, 95 % interval, and number of reviews. Values with fewer than {least} are pooled."
        )
    whole = result.counts.share or 0.0
    st.plotly_chart(
        plot_share_by_group(frame, whole, tokens), theme=None, config=PLOTLY_CONFIG, key=f"groups-{by}",
        alt="Share positive by group",
    )  # fmt: skip
    return by


def draw_time(
    job: BulkJob,
    result: BulkResult,
    columns: tuple[str, ...],
    probabilities: NDArray[np.float64],
    dated: list[int],
    tokens: Tokens,
) -> None:
    """Draw the share positive over time."""
    row = st.container(horizontal=True, horizontal_alignment="distribute")
    slot = row.container(width="stretch")
    with row:
        place = choose_column("Date", dated, 0, columns, f"date-{job.job_id}") if len(dated) > 1 else dated[0]
        asked = st.selectbox(
            "Unit", ["automatic", *UNITS], key=f"unit-{job.job_id}", width=130, label_visibility="collapsed"
        )
    date_format = result.columns[place].date_format or ""
    days = parse_days(load_scored(job.columns_file, (f"c{place}",))[f"c{place}"], date_format)
    chosen = next((unit for unit in UNITS if unit == asked), None)
    unit, frame = share_over_time(days, probabilities, chosen, job.request.cutoffs)
    with slot:
        undated = int((days.isna().to_numpy() & ~np.isnan(probabilities)).sum())
        without = f" {undated:,} rows without a date are left out." if undated else ""
        draw_chart_title(
            f"Share positive by {unit}",
            f"The shade is the 95 % interval; open where a {unit} has fewer than "
            f"{least_in_bucket(result.predicted - undated)} reviews. "
            f"Dates read as {DATE_FORMATS[date_format]}.{without}",
        )
    if frame["share"].notna().sum() < 2:
        draw_caption(f"Fewer than two {unit}s have reviews enough. Choose another unit.")
        return
    st.plotly_chart(
        plot_share_over_time(frame, unit, tokens), theme=None, config=PLOTLY_CONFIG, key=f"time-{place}-{unit}",
        alt=f"Share positive by {unit}",
    )  # fmt: skip


def choose_column(label: str, places: list[int], start: int, columns: tuple[str, ...], key: str) -> int:
    """Draw a choice among columns of the file; their names are options, which are never rendered as Markdown."""
    chosen = st.selectbox(
        label, places, index=start, key=key, format_func=lambda place: columns[place] or "(no name)", width=150,
        label_visibility="collapsed",
    )  # fmt: skip
    return places[start] if chosen is None else int(chosen)


def draw_reviews(job: BulkJob, columns: tuple[str, ...], probabilities: NDArray[np.float64], by: int | None) -> None:
    """Draw the reviews at one end of the scores, ten a page."""
    head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom")
    with head.container(width="content"):
        draw_section("Reviews", "Row counts the rows of the download.")
    with head:
        order: Order = st.segmented_control(
            "Order", list(ORDERS), key="prediction_order", default="negative", required=True,
            format_func=lambda name: ORDERS[name], label_visibility="collapsed",
        )  # fmt: skip
    places = order_rows(probabilities, order, MOST_LISTED, job.request.cutoffs)
    pages = -(-len(places) // PAGE_ROWS)
    page = state.recall(f"prediction_page_{job.path.parent.name}_{job.job_id}_{order}", 1) or 1
    shown = places[PAGE_ROWS * (min(page, pages) - 1) :][:PAGE_ROWS]
    text = columns.index(job.request.text_column)
    extra = [by] if by is not None and by != text else []
    rows = read_scored_rows(job, shown, [text, *extra])
    frame = pd.DataFrame({"positive": [percent(share) for share in probabilities[shown]]})
    for place in (text, *extra):
        frame[f"c{place}"] = [value[:CELL_CHARACTERS] for value in rows[f"c{place}"]]
    frame["row"] = shown + 1
    config = {
        "positive": st.column_config.TextColumn("Probability", width=90, help="Of positive"),
        "row": st.column_config.NumberColumn("Row", width=70, format="localized"),
        f"c{text}": st.column_config.TextColumn(columns[text][:60] or "(no name)", width="large"),
    } | {f"c{place}": st.column_config.TextColumn(columns[place][:60] or "(no name)", width=150) for place in extra}
    st.dataframe(
        frame, hide_index=True, row_height=38, height="content", column_config=config, key=f"reviews-{order}-{page}",
        alt=f"{ORDERS[order]} reviews",
    )  # fmt: skip
    if pages > 1:
        st.pagination(pages, key=f"prediction_page_{job.path.parent.name}_{job.job_id}_{order}")


def draw_rejects(job: BulkJob, result: BulkResult) -> None:
    """Draw the rejected rows with line and reason, folded."""
    if not result.rejected:
        return
    with st.expander(f"Rejected rows ({result.rejected:,})"):
        rows = read_rows(job.rejects_file, sniff_table(job.rejects_file, encoding="utf-8-sig", delimiter=","))
        first = [row.fields for row in islice(rows, MOST_REJECTS) if isinstance(row, Row)]
        frame = pd.DataFrame(
            [(int(line), reason, content[:CELL_CHARACTERS]) for line, reason, content in first],
            columns=["Line", "Reason", "Content"],
        )
        more = (
            f"The first {MOST_REJECTS} of {result.rejected:,}; the download has all. "
            if len(first) < result.rejected
            else ""
        )
        draw_caption(f"{more}Line is the line of the file as it came. “no text” rows stand in the download, unscored.")
        st.dataframe(
            frame, hide_index=True, row_height=38, height="content" if len(frame) <= PAGE_ROWS else 420, key="rejects",
            column_config={"Line": st.column_config.NumberColumn(width=80, format="localized"),
                           "Reason": st.column_config.TextColumn(width="medium")},
            alt="Rejected rows",
        )  # fmt: skip
        st.download_button(
            "Download the rejected rows", data=job.rejects_file.read_bytes, file_name="rejected.csv", mime="text/csv",
            on_click="ignore", key="rejected",
        )  # fmt: skip
