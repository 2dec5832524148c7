"""A scored table as one HTML file that needs nothing else: what the page of the table shows, whole and unfiltered.

It is made of the facets and the account alone: no text of a row is in it, but the values of the columns that the rows
are grouped by are.
"""

import time
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.charts.bulk_groups import group_name, plot_share_by_group
from core.charts.bulk_sides import plot_score_histogram, share_bar_html
from core.charts.bulk_time import TIME_FORMATS, plot_share_over_time
from core.charts.intensity import plot_intensity
from core.charts.report_page import ReportPage, html_table
from core.charts.tokens import LIGHT
from core.errors import JobError
from core.files import write_bytes
from core.model_settings import Cutoffs
from core.prediction.bulk_job import BulkJob, BulkResult
from core.prediction.facets import DATE_FORMATS, default_column, read_facet, stars_of
from core.prediction.findings import agreement_finding, groups_finding, time_finding
from core.prediction.fit import Fit
from core.prediction.star_agreement import judge_stars
from core.prediction.summary import (
    bins_of,
    least_in_bucket,
    least_rows,
    score_histogram,
    share_by_group,
    share_over_time,
    sides_of,
)
from core.prediction.trust import guess_label_column, measure_agreement, propose_meanings
from core.wording import DASH, interval_text, percent, plural

MOST_COLUMNS = 6
MOST_DATES = 2
LIGHT_WORDS = {"green": "Green", "amber": "Amber", "red": "Red"}
Numbers = NDArray[np.float32]


def write_report(job: BulkJob, path: Path) -> None:
    """Write the report of a scored table.

    Raises:
        JobError: It is not scored yet.
        ReviewscopeError: What was made of it cannot be read, or the file cannot be written.
    """
    write_bytes(path, build_report(job).encode())


def build_report(job: BulkJob) -> str:
    """Return the whole report as HTML, some 6 MB of which are the libraries of the charts.

    Raises:
        JobError: The table is not scored yet.
    """
    result = job.result
    if result is None:
        raise JobError("The table is not scored yet. Wait for the scores, then make the report.")
    page = ReportPage()
    sections = [_head(job, result), _ledger(result)]
    if result.predicted:
        logits = read_facet(job.facets_file, "logit")
        sides = sides_of(logits, job.request.cutoffs)
        sections += [
            _shares(result, job.request.cutoffs, logits, sides, page),
            _measured(job, result, logits),
            _trust(result.fit),
            _groups(job, result, sides, page),
            _dates(job, result, sides, page),
            _stars(job, result, logits, sides, page),
        ]
    sections.append(_source(job, result))
    return page.assemble(f"{job.upload.about.name}, scored", sections)


def _head(job: BulkJob, result: BulkResult) -> str:
    request, columns = job.request, result.facets.columns
    names = " + ".join(f"“{columns[place]}”" for place in request.text_columns)
    made = time.strftime("%d %B %Y, %H:%M")
    return (
        f"<header><h1>What {escape(job.upload.about.name)} says</h1><p>Column {escape(names)}, read by "
        f"{escape(request.model)}; {escape(request.cutoffs.describe())}. Made with Reviewscope on {made}.</p>"
        "</header>\n"
    )


def _ledger(result: BulkResult) -> str:
    stopped = "" if result.is_complete else " The scoring was stopped before the end of the table."
    repeated = (
        f" {plural(result.repeated, 'row')} had the text of an earlier row; each text is read once."
        if result.repeated
        else ""
    )
    ids = f" {plural(result.repeated_ids, 'row')} had the id of an earlier row." if result.repeated_ids else ""
    reasons = html_table(
        ("why rows were rejected", "rows"), [(reason, f"{n:,}") for reason, n in result.facets.reasons], numbers=(1,)
    )
    account = f"{result.predicted:,} scored + {result.rejected:,} rejected"
    return (
        f"<section><p>{plural(result.rows, 'row')} in = <b>{account}</b>."
        f"{repeated}{ids}{stopped}</p>{reasons if result.rejected else ''}</section>\n"
    )


def _shares(result: BulkResult, cutoffs: Cutoffs, logits: Numbers, sides: NDArray[np.int8], page: ReportPage) -> str:
    counts = result.counts
    assert counts.interval is not None and counts.unsure_interval is not None
    frame = score_histogram(bins_of(logits), sides, cutoffs=cutoffs)
    shares = (
        f"<div><h2>{percent(counts.share)} of the reviews are positive ({interval_text(*counts.interval)})</h2>"
        f'<p class="note">n = {counts.scored:,}. 95 % Wilson interval of the share, for rows like these; the model\'s '
        f"own errors are not in it.</p>{share_bar_html(counts, LIGHT)}</div>"
    )
    scores = page.chart(
        f"{percent(counts.unsure_share)} are too close to call ({interval_text(*counts.unsure_interval)})",
        f"n = {counts.scored:,} rows by probability of positive; 95 % Wilson interval.",
        [],
        [plot_score_histogram(frame, LIGHT)],
    )
    return f'<section class="pair">{shares}{scores}</section>\n'


def _measured(job: BulkJob, result: BulkResult, logits: Numbers) -> str:
    """Say how many are right by a column of labels or stars, where the table has one."""
    facets = result.facets
    place = guess_label_column(facets.columns, facets.values, facets.starred)
    if place is None:
        return ""
    values = facets.values[place] or ()
    codes = read_facet(job.facets_file, f"f{place}")
    found = measure_agreement(logits, codes, values, propose_meanings(values), job.request.cutoffs)
    accuracy = found.metrics["accuracy"]
    if accuracy.value is None or accuracy.low is None or accuracy.high is None:
        return ""
    out = found.left_out + found.unread
    rest = f" {plural(out, 'row')} with another value or none {'does' if out == 1 else 'do'} not count." if out else ""
    return (
        f"<section><h2>{percent(accuracy.value)} right ({interval_text(accuracy.low, accuracy.high)})</h2>"
        f"<p>Measured against the file's own column “{escape(facets.name(place))}”, n = {found.n:,} rows; 95 % Wilson "
        f"interval. Always to say the commoner label would be right in {percent(found.commonest)}.{rest}</p>"
        "</section>\n"
    )


def _trust(fit: Fit | None) -> str:
    if fit is None:
        return ""
    words = "May these scores be trusted?"
    if fit.light is not None:
        words = f"{LIGHT_WORDS[fit.light]} light: {fit.verdict[:1].lower()}{fit.verdict[1:]}"
    expected = ""
    if fit.expected is not None:
        found = fit.expected
        expected = (
            f"<p>Expected accuracy {percent(found.value)} ({interval_text(found.low, found.high)}; 95 % interval), "
            f"n = {found.n:,}. {escape(found.assumption)}</p>"
        )
    facts = html_table(("compared with the training reviews", "found", "light"),
                       [(fact.name, fact.text, LIGHT_WORDS[fact.light]) for fact in fit.facts])  # fmt: skip
    return (
        f"<section><h2>{escape(words)}</h2>{expected}<p>{escape(fit.reason)} {escape(fit.advice)}</p>"
        f"{facts if fit.facts else ''}</section>\n"
    )


def _groups(job: BulkJob, result: BulkResult, sides: NDArray[np.int8], page: ReportPage) -> str:
    facets = result.facets
    first = default_column(facets.facts)
    places = sorted(facets.choosable, key=lambda place: (place != first, -facets.facts[place].groups, place))
    drawn = []
    for place in places[:MOST_COLUMNS]:
        values = facets.values[place] or ()
        frame = share_by_group(read_facet(job.facets_file, f"f{place}"), values, sides)
        if frame.empty or result.counts.share is None:
            continue
        n = int(frame["n"].sum())
        names = [group_name(group, pooled) for group, pooled in zip(frame["group"], frame["pooled"], strict=True)]
        drawn.append(
            page.chart(
                f"By “{facets.name(place)}”. {groups_finding(frame, result.counts.share)}",
                f"n = {n:,}: share positive, 95 % Wilson interval, and number of reviews. Values with fewer than "
                f"{least_rows(n)} are pooled.",
                [],
                [plot_share_by_group(frame, result.counts.share, LIGHT)],
                _as_table("group", names, frame),
            )
        )
    left_out = len(places) - MOST_COLUMNS
    more = f'<p class="note">{plural(left_out, "more column")} left out.</p>' if left_out > 0 else ""
    return f'<section class="pair">{"".join(drawn)}</section>{more}\n' if drawn else ""


def _dates(job: BulkJob, result: BulkResult, sides: NDArray[np.int8], page: ReportPage) -> str:
    facets, drawn = result.facets, []
    for place in facets.dated[:MOST_DATES]:
        unit, frame = share_over_time(read_facet(job.facets_file, f"d{place}"), sides)
        if frame["share"].notna().sum() < 2:
            continue
        n = int(frame["n"].sum())
        names = [start.strftime(TIME_FORMATS[unit]) for start in frame["start"]]
        drawn.append(
            page.chart(
                f"Over “{facets.name(place)}”. {time_finding(frame)}",
                f"n = {n:,}: share positive by {unit}; the shade is the 95 % Wilson interval, open where a {unit} has "
                f"fewer than {least_in_bucket(n)} reviews. Dates read as "
                f"{DATE_FORMATS[facets.facts[place].date_format or '']}.",
                [],
                [plot_share_over_time(frame, unit, LIGHT).update_layout(dragmode="pan", clickmode="none")],
                _as_table(unit, names, frame),
            )
        )
    return f"<section>{''.join(drawn)}</section>\n" if drawn else ""


def _stars(job: BulkJob, result: BulkResult, logits: Numbers, sides: NDArray[np.int8], page: ReportPage) -> str:
    facets = result.facets
    if not facets.starred:
        return ""
    place = facets.starred[0]
    stars = stars_of(facets.values[place] or (), read_facet(job.facets_file, f"f{place}"))
    found = judge_stars(logits, sides, stars, facets.facts[place].star_scale or 5)
    if not found.by_stars:
        return ""
    chart = page.chart(
        f"Stars in “{facets.name(place)}”. {agreement_finding(found)}",
        f"n = {found.clear:,} rows with clear stars and a sure score, 95 % Wilson interval. {found.high:,} have many "
        f"stars and read as negative, {found.low:,} few and read as positive. The chart: the mean probability of "
        "positive by stars with its 95 % interval, over the spread of the scores.",
        [],
        [plot_intensity(found.by_stars, None, LIGHT)],
    )
    return f"<section>{chart}</section>\n"


def _source(job: BulkJob, result: BulkResult) -> str:
    about, request = job.upload.about, job.request
    return (
        f'<footer class="note">Table {escape(about.name)}, {about.size:,} bytes, SHA-256 {result.source_sha256}<br>'
        f"Model {escape(request.model)}, SHA-256 {request.model_sha256}<br>"
        f"Scored in {result.seconds:,.1f} s</footer>\n"
    )


def _as_table(what: str, names: list[str], frame: pd.DataFrame) -> str:
    rows = [
        (name, f"{n:,}", f"{positive:,}", *_share_words(share, low, high))
        for name, n, positive, share, low, high in zip(
            names, frame["n"], frame["positive"], frame["share"], frame["low"], frame["high"], strict=True
        )
    ]
    head = (what, "reviews", "positive", "share", "95 % interval")
    return f"<details><summary>As a table</summary>{html_table(head, rows, numbers=(1, 2, 3, 4))}</details>"


def _share_words(share: float, low: float, high: float) -> tuple[str, str]:
    if np.isnan(share):
        return DASH, DASH
    return percent(share), interval_text(low, high)
