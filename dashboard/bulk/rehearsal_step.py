"""The third step: the first rows are scored, how long all of them take is said, and the whole is started."""

from collections import Counter
from html import escape

import pandas as pd
import streamlit as st

from core import jobs
from core.charts.bulk_sides import share_bar_html
from core.errors import ReviewscopeError
from core.job_folder import JobFolder
from core.jobs import enqueue, has_worker, list_waiting
from core.model_settings import load_settings, settings_fault
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, list_jobs
from core.prediction.rehearsing import REHEARSED_ROWS, Rehearsal, RehearsalJob, create_rehearsal
from core.prediction.uploads import Upload
from core.wording import interval_text, percent, plural
from dashboard import state
from dashboard.bulk.steps import draw_queue_refusal, queue_again
from dashboard.cache import load_predictor
from dashboard.components import (
    about_duration,
    ago,
    draw_caption,
    draw_section,
    duration_range,
    failed_box,
)
from dashboard.tokens import current_tokens
from dashboard.two_models import name_of, other_models

TICK_SECONDS = 0.3
LOG_LINES = 8
KEPT = "The file is kept; nothing was scored."


def draw_rehearsal_step(upload: Upload, request: BulkRequest) -> None:
    """Draw the rehearsal, which starts by itself, and the button that scores the whole table."""
    earlier = find_scored(upload, request)
    if earlier is not None:
        draw_scored_before(earlier)
        return
    try:
        job = create_rehearsal(upload, request)
        if not job.exists:
            enqueue(job)
        status, result = job.state.status, job.result
    except ReviewscopeError as error:
        with failed_box("rehearsal", str(error), KEPT):
            st.button("Try again", key="rehearse-again")
        return
    if status in ("queued", "running"):
        st.fragment(draw_rehearsing, run_every=TICK_SECONDS)(job)
    elif status == "finished" and result is not None:
        draw_rehearsal(upload, request, result)
    else:
        draw_queue_refusal()
        log = job.read_log(LOG_LINES) if job.state.message.startswith("Unexpected") else []
        sentence = f"The rehearsal did not end well. {job.state.message}"
        with failed_box("rehearsal", sentence, KEPT, log), st.container(horizontal=True):
            st.button("Try again", key="rehearse-again", on_click=queue_again, args=(job,))
            draw_model_choice(request)


def find_scored(upload: Upload, request: BulkRequest) -> BulkJob | None:
    """Return the job that has scored all of the same with the same model, if there is one."""
    for job in list_jobs(upload):
        try:
            if job.request == request and job.state.status == "finished" and job.result is not None:
                return job
        except ReviewscopeError:
            continue  # a damaged one is told of where tables are listed
    return None


def draw_scored_before(job: BulkJob) -> None:
    """Draw that the same was scored before, and the way to it."""
    request, rows = job.request, job.result.rows if job.result else 0
    with st.container(border=True):
        draw_section("3 · Scored before", f"The same {rows:,} rows with the same model and settings, {ago(job.asked)}.")
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if st.button("Show the result", type="primary", key="show-result"):
                state.to_url(job=job.job_id)
                st.rerun()
            draw_model_choice(request)


def draw_rehearsing(job: RehearsalJob) -> None:
    """Draw that the rehearsal runs, in the height of what it finds; a few times a second, until it has ended."""
    status = job.state.status
    if status not in ("queued", "running"):
        st.rerun()
    progress = job.progress if status == "running" else None
    with st.container(border=True, key="rehearsal-running"):
        before = places_before(job, "quick") if status == "queued" else 0
        waiting = f"{plural(before, 'job')} before it." if before else "It takes a second or two."
        draw_section(f"3 · Rehearsal: the first {REHEARSED_ROWS} rows", progress.phase + "." if progress else waiting)
        st.skeleton(height=34)
        st.skeleton(height=190)


def draw_rehearsal(upload: Upload, request: BulkRequest, found: Rehearsal) -> None:
    """Draw what the rehearsal found, and the button that scores the whole table."""
    jobs.start_worker("score")  # it loads its libraries while somebody looks at this
    with st.container(border=True, key="rehearsal"):
        draw_section(
            f"3 · Rehearsal: the first {plural(found.scored, 'row')}" if found.scored else "3 · Rehearsal",
            f"Read in {brief(found.seconds)} by {name_of(request.model)}, {request.cutoffs.describe()}.",
        )
        if fault := settings_fault(request.model_sha256):
            draw_caption(fault)
        draw_forecast(found)
        if found.scored:
            st.html(share_bar_html(found.counts, current_tokens()))
            draw_caption(share_sentence(found))
            draw_examples(found)
        draw_rejects(found)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            if st.button(f"Score {rows_words(found)}", type="primary", key="score", disabled=not found.rows):
                start_job(upload, request)
            draw_model_choice(request)


def draw_forecast(found: Rehearsal) -> None:
    """Draw how long the whole table takes."""
    forecast = found.forecast(has_worker("score"))
    middle = "less than 1 s" if forecast.seconds < 1 else about_duration(forecast.seconds)
    between = f" ({duration_range(forecast.low, forecast.high)})" if forecast.high >= 1.5 else ""
    words = f"{escape(f'The whole file: {middle}')}<span>{escape(between)}</span>"
    st.html(f'<div class="rs"><p class="rs-big">{words}</p></div>')


def rows_words(found: Rehearsal) -> str:
    """Say how many rows the table has; an estimate to three figures."""
    if found.is_counted:
        return plural(found.rows, "row")
    size = 10 ** max(len(str(found.rows)) - 3, 0)
    return f"about {plural(round(found.rows / size) * size, 'row')}"


def share_sentence(found: Rehearsal) -> str:
    """Say the share positive of the first rows, and what it is worth."""
    counts = found.counts
    interval = f" ({interval_text(*counts.interval)})" if counts.interval else ""
    of = "Of the only row" if found.scored == 1 else f"{percent(counts.share)} of these {found.scored:,}"
    if found.scored == 1:
        return f"{of}: {'positive' if counts.positive else 'not sure' if counts.not_sure else 'negative'}."
    if found.is_counted and found.scored + found.rejected == found.rows:
        return f"{of} are positive{interval}: this is the whole file."
    return (
        f"{of} are positive{interval}. They are the first rows, not drawn at random: the whole file may differ by more."
    )


def draw_examples(found: Rehearsal) -> None:
    """Draw some of the rows with their scores."""
    frame = pd.DataFrame(
        [(each.row, each.text, percent(each.probability)) for each in found.examples],
        columns=["row", "text", "probability"],
    )
    st.dataframe(
        frame, hide_index=True, row_height=38, height="content", key="examples", alt="Some of the first rows, scored",
        column_config={
            "row": st.column_config.NumberColumn("Row", width=60),
            "probability": st.column_config.TextColumn("Positive", width=80, help="Probability of positive"),
            "text": st.column_config.TextColumn("Text", width=760),
        },
        column_order=["row", "probability", "text"],
    )  # fmt: skip


def draw_rejects(found: Rehearsal) -> None:
    """Draw which of the first rows were rejected, and why."""
    if not found.rejected:
        draw_caption("None of these rows is rejected. Empty rows and broken lines are listed, never dropped.")
        return
    of = found.scored + found.rejected
    each = ", ".join(f"{count:,} × {reason}" for reason, count in Counter(
        reject.reason for reject in found.rejects).most_common(3))  # fmt: skip
    lines = ", ".join(f"{reject.line:,}" for reject in found.rejects[:5])
    lines = f"line{'' if found.rejected == 1 else 's'} {lines}{'' if found.rejected <= 5 else ' and more'}"
    share = f"{found.rejected:,} of the first {of:,} rows {'is' if found.rejected == 1 else 'are'} rejected"
    if not found.scored:
        share = f"None of the first {plural(of, 'row')} can be scored"
    draw_caption(f"{share}: {each} ({lines}). They are listed with the result, never dropped.")


def draw_model_choice(request: BulkRequest) -> None:
    """Draw the choice of another model than the one in use; nothing where there is no other."""
    names = {request.model: name_of(request.model), **other_models(request.model)}
    if len(names) == 1:
        return
    key = f"prediction_model_{request.model}"
    picked = st.selectbox(
        "Model", list(names), key=key, width=240, format_func=lambda reference: names.get(reference, reference)
    )
    if picked != request.model:
        state.to_url(model=picked)
        st.rerun()


def make_request(reference: str, **choices: object) -> BulkRequest:
    """Return what is asked for with a model as it is set now.

    Raises:
        ReviewscopeError: There is no such model, or it is damaged.
    """
    sha256 = load_predictor(reference).sha256
    return BulkRequest.model_validate(
        {"model": reference, "model_sha256": sha256, "cutoffs": load_settings(sha256).cutoffs, **choices}
    )


def start_job(upload: Upload, request: BulkRequest) -> None:
    """Queue the scoring, or find the same one that was made before, and show it."""
    try:
        job = create_bulk_job(upload, request)
        if find_scored(upload, request) is None and not job.is_active:
            enqueue(job)
    except ReviewscopeError as error:
        with failed_box("start", str(error), KEPT):
            return
    state.to_url(job=job.job_id)
    st.rerun()


def places_before(job: JobFolder, slot: str) -> int:
    """Return how many jobs wait before one in its slot."""
    waiting = [each.job.path for each in list_waiting(slot)]
    return waiting.index(job.path) if job.path in waiting else 0


def brief(seconds: float) -> str:
    """Write a short time span as "0.1 s"."""
    return f"{max(seconds, 0.1):.1f} s"
