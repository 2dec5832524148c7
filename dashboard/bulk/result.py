"""A scored table: its account, what it says under the filters, its rows, its rejected rows."""

import time
from collections.abc import Callable
from contextlib import suppress
from html import escape

import streamlit as st

from core.errors import ReviewscopeError
from core.model_settings import load_settings
from core.prediction.bulk_job import BulkJob, BulkRequest, BulkResult
from core.prediction.bulk_looks import text_looks
from core.prediction.row_filter import RowFilter, describe_filter
from core.wording import plural
from dashboard.bulk import filters
from dashboard.bulk.choices import name_word
from dashboard.bulk.download import draw_downloads
from dashboard.bulk.groups import draw_groups
from dashboard.bulk.look_box import draw_until_looked
from dashboard.bulk.over_time import draw_time
from dashboard.bulk.rejects import draw_rejects
from dashboard.bulk.rows import draw_rows
from dashboard.bulk.shares import draw_scores, draw_shares
from dashboard.bulk.stars import draw_stars
from dashboard.bulk.trust import draw_trust
from dashboard.bulk.words import draw_words
from dashboard.cache import count_rows_left, load_rows_left
from dashboard.components import ago, draw_facts, draw_head, duration, empty_box
from dashboard.two_models import name_of


def draw_result_head(job: BulkJob, leave: Callable[[], None]) -> None:
    """Draw the file's name, how it was scored, and the downloads."""
    about, request, result = job.upload.about, job.request, job.result
    seconds = result.seconds if result else 0.0
    took = duration(seconds) if seconds >= 10 else f"{max(seconds, 0.1):.1f} s"
    head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom")
    with head.container(width="content"):
        draw_head(
            about.name,
            f"Scored by {name_of(request.model)} in {took}, {ago(job.asked)}. {columns_words(job)}. {kept_words(job)}",
        )
    with head.container(horizontal=True, width="content"):
        if result is not None and result.predicted:
            with suppress(ReviewscopeError):  # what is damaged is told of below
                chosen = shown_filter(job, result)
                draw_downloads(job, load_rows_left(job, chosen), describe_filter(chosen, result.facets))
        st.button("Another file", type="tertiary", key="another", on_click=leave)


def draw_result(job: BulkJob, score_again: Callable[[], None]) -> None:
    """Draw the result of a finished or stopped job from top to bottom; its head stands above the page's choices."""
    result = job.result
    if result is None:
        return
    facets, records = result.facets, result.rows
    filters.forget_others(job)
    draw_ledger(result)
    draw_other_setting(job.request, score_again)
    if not result.predicted:
        with empty_box("scores", "No row could be scored.", "Every row was rejected; the reasons are below."):
            pass
        draw_rejects(job, result)
        return
    filters.take_clicks(job, facets, filters.doors_of(job, facets))
    chosen = filters.filter_from_url(job, facets)
    known = shown_filter(job, result)
    left = count_rows_left(job, chosen).scored if chosen == known else None
    filters.draw_filter_bar(job, facets, chosen, result.predicted, left)
    looks = text_looks(job, chosen).values() if chosen.needs_texts else []
    if not all([draw_until_looked(look, records) for look in looks]):
        draw_rejects(job, result)
        return
    if not left:
        with empty_box("left", "No row is left.", "The filters leave nothing between them. Take one away."):
            pass
        draw_rejects(job, result)
        return
    upper, trust = st.columns([1.9, 1], gap="large")
    with upper:
        draw_shares(job, result, chosen)
        draw_scores(job, chosen)
    with trust:
        draw_trust(job, result)
    draw_side_by_side(
        [lambda: draw_groups(job, facets, chosen)] * bool(facets.choosable)
        + [lambda: draw_time(job, facets, chosen)] * bool(facets.dated)
    )
    draw_side_by_side(
        [lambda: draw_stars(job, facets, chosen)] * bool(facets.starred) + [lambda: draw_words(job, result, chosen)]
    )
    draw_rows(job, facets, chosen)
    draw_rejects(job, result)


def shown_filter(job: BulkJob, result: BulkResult) -> RowFilter:
    """Return the filters of the URL; none at all while a part of them is still looked for in the texts."""
    chosen = filters.filter_from_url(job, result.facets)
    looks = text_looks(job, chosen).values() if chosen.needs_texts else []
    return chosen if all(look.is_done for look in looks) else RowFilter()


def draw_side_by_side(parts: list[Callable[[], None]]) -> None:
    """Draw one part at the full width, or two beside each other."""
    for column, part in zip(st.columns(len(parts), gap="large") if parts else [], parts, strict=True):
        with column:
            part()


def draw_ledger(result: BulkResult) -> None:
    """Draw the account of the table's rows."""
    out = f"{result.predicted:,} scored + {result.rejected:,} rejected"
    why = reasons_words(result)
    sentences = [
        f"{repeated_words(result.repeated)} the text of an earlier row; each text is read once."
        if result.repeated
        else "",
        f"{repeated_words(result.repeated_ids)} an id that stood in an earlier row." if result.repeated_ids else "",
    ]
    st.html(
        f'<div class="rs"><p>{plural(result.rows, "row")} in = <b style="font-weight:600">{out}</b>{why} '
        f"{' '.join(filter(None, sentences))}</p></div>"
    )


def reasons_words(result: BulkResult) -> str:
    """Return the reasons of the rejected rows in brackets, as HTML; a full stop alone where there are none."""
    reasons = result.facets.reasons
    shown = "; ".join(f"{escape(reason)}: {n:,}" for reason, n in reasons[:2])
    rest = sum(n for _, n in reasons[2:])
    more = f"; other reasons: {rest:,}" if rest else ""
    return f" ({shown}{more})." if shown else "."


def repeated_words(n: int) -> str:
    """Begin a sentence about rows that repeat something."""
    return "1 row had" if n == 1 else f"{n:,} rows had"


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


def columns_words(job: BulkJob) -> str:
    """Name the columns that were read."""
    columns = job.columns
    names = [f"“{name_word(columns[place])}”" for place in job.request.text_columns if place < len(columns)]
    return f"Column{'s' if len(names) > 1 else ''} {' + '.join(names)}"


def kept_words(job: BulkJob) -> str:
    """Say how long the table and its result are kept."""
    until = job.upload.about.kept_until
    if until is None:
        return "Kept until you unpin it."
    return f"Kept for {plural(max(round((until - time.time()) / 86_400), 1), 'more day')}."
