"""May I trust it? Labels in the file, the accuracy to expect without any, and 50 rows that a reader labels."""

from collections.abc import Sequence
from html import escape

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.errors import ReviewscopeError
from core.evaluation.metrics import Metric
from core.prediction.bulk_job import BulkJob, BulkResult
from core.prediction.facets import Facets
from core.prediction.fit import Expected, Fit
from core.prediction.trust import (
    Agreement,
    Estimate,
    RowVerdict,
    add_label,
    estimate_accuracy,
    find_label_columns,
    guess_label_column,
    propose_meanings,
    read_labels,
    seed_of,
)
from core.wording import interval_text, percent, plural
from dashboard.bulk.choices import column_word, name_word, place_of
from dashboard.bulk.filters import PREFIX, choose
from dashboard.cache import draw_for_labels, load_cells, load_facet, measure_labels
from dashboard.components import draw_caption, draw_facts, draw_label
from dashboard.state import forget, from_url, recall, remember
from dashboard.tokens import current_tokens

LABELS = "labels"
NO_COLUMN = -1
PLACE = "trust_place"
OPEN = "trust_open"
REFUSED = "trust_refused"
MOST_SHOWN = 6_000
Pair = tuple[str, str, bool]
VERDICTS: dict[RowVerdict, tuple[str, str]] = {
    "negative": ("Negative", "1"), "positive": ("Positive", "2"), "cannot tell": ("Cannot tell", "3"),
}  # fmt: skip
ENOUGH = 10  # labels, from which on they are the figure to read first
UNKNOWN = "Nobody can say yet"
NO_FIT = "This result was made by an earlier version, which did not look. Score the file again, or label 50 rows."


def draw_trust(job: BulkJob, result: BulkResult) -> None:
    """Draw the panel: the figure to read first, what it rests on, what sets the file apart, and what to do."""
    facets = result.facets
    column = label_column(job, facets)
    drawn = draw_for_labels(job)
    by_hand = estimate_of(job, drawn)
    with st.container(border=True, key="trust"):
        draw_label("May I trust it?")
        if column is not None:
            draw_agreement(measure_labels(job, column), facets, column, result.fit)
        elif isinstance(by_hand, Estimate) and by_hand.n >= ENOUGH:
            draw_labelled(by_hand, result.fit)
        elif result.fit is None:
            draw_verdict(UNKNOWN, NO_FIT)
        else:
            draw_fit(result.fit)
        if isinstance(by_hand, str):
            draw_caption(by_hand)
        elif (by_hand.n or by_hand.cannot_tell) and (column is not None or by_hand.n < ENOUGH):
            draw_facts(estimate_sentence(by_hand))
            draw_interval(by_hand)
        draw_column_choice(job, facets, column)
        has_figure = result.fit is not None and result.fit.expected is not None
        purpose = "yourself" if column is not None else "to tighten this" if has_figure else "to find out"
        st.button(
            button_words(by_hand, len(drawn), purpose), key="trust_label", width="stretch",
            on_click=open_labelling, args=(job,),
        )  # fmt: skip
    # What ticks elsewhere on the page draws it anew when it ends, which closes a box that is not drawn again.
    if recall(OPEN) == job.job_id:
        draw_labelling(job)


def open_labelling(job: BulkJob) -> None:
    """Open the box in which rows are labelled, at the first row without a label."""
    forget(PLACE)
    remember(OPEN, job.job_id)


def close_labelling() -> None:
    """Close it."""
    forget(OPEN)


def label_column(job: BulkJob, facets: Facets) -> int | None:
    """Return the place of the column whose labels are measured against; the URL may name it, or that it is none."""
    asked = from_url(PREFIX + LABELS) if from_url(PREFIX + "of") == job.job_id else None
    if asked is not None:
        place = place_of(asked, len(facets.columns))
        return place if place in find_label_columns(facets.columns, facets.values) else None
    return guess_label_column(facets.columns, facets.values, facets.starred)


def draw_column_choice(job: BulkJob, facets: Facets, column: int | None) -> None:
    """Draw which column holds the labels, where one may."""
    places = find_label_columns(facets.columns, facets.values)
    if not places:
        return
    options, key = [NO_COLUMN, *places], f"trust_column_{job.job_id}_{column}"
    st.selectbox(
        "Labels in the file", options, index=options.index(NO_COLUMN if column is None else column), key=key,
        format_func=lambda place: "none" if place == NO_COLUMN else column_word(facets.columns, place),
        on_change=lambda: choose(job, **{LABELS: recall(key)}),
    )  # fmt: skip


def draw_verdict(finding: str, below: str) -> None:
    """Draw the line to read first and what it rests on."""
    st.html(
        f'<div class="rs"><p class="rs-big" style="line-height:1.3">{escape(finding)}</p>'
        f'<p class="rs-caption">{escape(below)}</p></div>'
    )


def draw_fit(fit: Fit) -> None:
    """Draw what to expect without labels, what sets the file apart, and what to do."""
    draw_verdict(fit.verdict, expected_sentence(fit.expected) if fit.expected else fit.advice)
    draw_pairs(fit_pairs(fit))
    draw_advice(fit, "Do not build on these scores." if fit.light == "red" else fit.advice)


def draw_labelled(found: Estimate, fit: Fit | None) -> None:
    """Draw what a reader's labels say, beside what was expected before, and what sets the file apart."""
    low, high = found.interval or (0.0, 1.0)
    draw_verdict(f"{percent(found.value)} right ({interval_text(low, high)})", estimate_sentence(found))
    draw_interval(found)
    if fit is None:
        return
    draw_pairs([*expected_pairs(fit), *fit_pairs(fit)])
    fits = fit.expected is None or (fit.expected.high >= low and fit.expected.low <= high)
    draw_advice(fit, fit.advice if fits and fit.expected else "Go by your labels.")


def draw_advice(fit: Fit, advice: str) -> None:
    """Draw one advice in bold behind the light, and what it comes from."""
    if fit.light is None:
        return
    tokens = current_tokens()
    colour = {"green": tokens.quiet, "amber": tokens.not_sure, "red": tokens.wrong}[fit.light]
    st.html(
        f'<div class="rs"><p><i class="rs-dot" style="background:{colour}"></i>'
        f'<b style="font-weight:600">{escape(advice)}</b> {escape(fit.reason)}</p></div>'
    )


def expected_sentence(expected: Expected) -> str:
    """Say what accuracy is expected, and by which assumption."""
    figures = f"{percent(expected.value)} ({interval_text(expected.low, expected.high)})"
    return f"Expected accuracy {figures}, without labels. {expected.assumption}"


def fit_pairs(fit: Fit) -> list[Pair]:
    """Return what was compared, what differs in full strength; it may quote words of the model's vocabulary."""
    return [(fact.name, fact.text, fact.light != "green") for fact in fit.facts]


def expected_pairs(fit: Fit | None) -> list[Pair]:
    """Return what is expected without labels, where anything is."""
    if fit is None or fit.expected is None:
        return []
    low, high = fit.expected.low, fit.expected.high
    return [("Expected", f"{percent(fit.expected.value)} ({interval_text(low, high)}), without labels", False)]


def draw_pairs(pairs: Sequence[Pair]) -> None:
    """Draw names and what stands beside them, the important ones in full strength."""
    if not pairs:
        return
    lines = "".join(
        f'<dt class="rs-muted">{escape(name)}</dt><dd class="{"" if is_strong else "rs-muted"}">{escape(text)}</dd>'
        for name, text, is_strong in pairs
    )
    st.html(
        f'<div class="rs"><dl style="display:grid;grid-template-columns:7.2em 1fr;gap:0.35em 0.6em;'
        f'font-size:0.875rem">{lines}</dl></div>'
    )


def draw_agreement(found: Agreement, facets: Facets, column: int, fit: Fit | None) -> None:
    """Draw the real figures against a column of labels, and what was expected without it."""
    accuracy = found.metrics["accuracy"]
    if accuracy.value is None:
        draw_verdict("No row has a label", "No scored row holds a value that is read as negative or positive.")
        return
    draw_verdict(
        f"{percent(accuracy.value)} right{chip(accuracy)}",
        f"Measured against the file's own column “{name_word(facets.columns[column])}”, n = {found.n:,} rows; 95 % "
        f"Wilson interval. {meanings_sentence(facets.values[column] or (), found)}",
    )
    figures = {"Precision": "precision", "Recall": "recall", "F1": "f1"}.items()
    draw_pairs(
        [(title, f"{percent(found.metrics[name].value)}{chip(found.metrics[name])}", True) for title, name in figures]
        + [("Without reading", f"{percent(found.commonest)} by always saying the commoner label", False)]
        + expected_pairs(fit)
    )


def chip(metric: Metric) -> str:
    """Write a figure's interval in brackets, where it has one."""
    return "" if metric.low is None or metric.high is None else f" ({interval_text(metric.low, metric.high)})"


def meanings_sentence(values: Sequence[str], found: Agreement) -> str:
    """Say how the values are read, and how many rows do not count."""
    meanings = propose_meanings(values)
    said = [
        f"{words_of([value for value in values if meanings.get(value) == meaning])} read as {meaning}"
        for meaning in ("negative", "positive")
    ]
    out = found.left_out + found.unread
    rest = f" {plural(out, 'row')} with another value or none {'does' if out == 1 else 'do'} not count." if out else ""
    return f"{', '.join(said)}.{rest}"


def words_of(values: Sequence[str]) -> str:
    """Name some values, shortened."""
    shown = ", ".join(name_word(value) for value in values[:4])
    return f"{shown} and {len(values) - 4} more" if len(values) > 4 else shown


def estimate_of(job: BulkJob, drawn: NDArray[np.int64]) -> Estimate | str:
    """Return what the reader's labels say; a sentence where they cannot be read."""
    try:
        labels = read_labels(job.path)
    except ReviewscopeError as error:
        return f"The labels of 50 rows cannot be read. {error}"
    return estimate_accuracy(load_facet(job, "logit"), drawn, labels, job.request.cutoffs.cut)


def estimate_sentence(found: Estimate) -> str:
    """Say how many of the labelled rows are right, and what that says of all."""
    unclear = f" Left out: {plural(found.cannot_tell, 'row')} that could not be told." if found.cannot_tell else ""
    if found.value is None or found.interval is None:
        return f"No row can be counted yet.{unclear}"
    return (
        f"By your labels {percent(found.value)} of all {found.rows:,} scored rows are right "
        f"({interval_text(*found.interval)}): {found.right} of {found.n}, drawn at random.{unclear}"
    )


def draw_interval(found: Estimate) -> None:
    """Draw the interval as a bar on a track from 0 to 100 %; it narrows with every label."""
    if found.interval is None or found.value is None:
        return
    tokens = current_tokens()
    (low, high), value = found.interval, found.value
    alt = f"{percent(found.value)}, from {percent(low)} to {percent(high)}"
    st.html(
        f'<div class="rs" role="img" aria-label="{escape(alt)}" style="position:relative;height:14px;border-radius:3px;'
        f'background:{tokens.panel};margin:2px 0 4px">'
        f'<div style="position:absolute;left:{100 * low:.2f}%;width:{100 * (high - low):.2f}%;top:3px;height:8px;'
        f'border-radius:3px;background:{tokens.quiet};opacity:.45"></div>'
        f'<div style="position:absolute;left:calc({100 * value:.2f}% - 4px);top:3px;width:8px;height:8px;'
        f'border-radius:50%;background:{tokens.text}"></div></div>'
    )


def button_words(found: Estimate | str, drawn: int, purpose: str) -> str:
    """Return what the button to the labelling says; ``purpose`` is why one would begin."""
    told = 0 if isinstance(found, str) else found.n + found.cannot_tell
    if told >= drawn:
        return f"See your {drawn} labels"
    if told:
        return f"Go on labelling: {told} of {drawn}"
    return f"Label {plural(drawn, 'row')} {purpose}"


@st.dialog("Label rows", width="medium", on_dismiss=close_labelling)
def draw_labelling(job: BulkJob) -> None:
    """Draw one of the drawn rows at a time, without what the model said of it; keys 1, 2 and 3 judge it."""
    drawn = draw_for_labels(job)
    try:
        labels = read_labels(job.path)
    except ReviewscopeError as error:
        draw_facts(str(error))
        return
    rows = drawn.tolist()
    open_places = [place for place, row in enumerate(rows) if row not in labels]
    place = recall(PLACE, open_places[0] if open_places else len(rows))
    found = estimate_accuracy(load_facet(job, "logit"), drawn, labels, job.request.cutoffs.cut)
    st.progress((len(rows) - len(open_places)) / max(len(rows), 1))
    if refused := recall(REFUSED):
        draw_facts(refused)
        forget(REFUSED)
    if place >= len(rows):
        draw_facts("Every drawn row has a label.")
    else:
        draw_row_to_label(job, rows, place, labels.get(rows[place]))
    if found.n or found.cannot_tell:
        draw_facts(estimate_sentence(found))
        draw_interval(found)
    draw_caption(
        f"The {len(rows)} rows were drawn at random from all {found.rows:,} scored ones, whatever is filtered, so that "
        "the share right among them is a fair estimate. What the model said is hidden until you have judged. Labels "
        "are kept with the result; 95 % interval by Clopper and Pearson."
    )


def draw_row_to_label(job: BulkJob, rows: Sequence[int], place: int, known: RowVerdict | None) -> None:
    """Draw a row's text and the buttons that judge it."""
    row = rows[place]
    draw_caption(f"Row {row + 1:,} of the file, {place + 1} of {len(rows)} to label. What does the text say?")
    try:
        text = text_of_row(job, row)
    except ReviewscopeError as error:
        draw_facts(str(error))
        return
    more = " […]" if len(text) > MOST_SHOWN else ""
    with st.container(height=280, key="trust_text"):
        st.html(f'<div class="rs rs-review">{escape(text[:MOST_SHOWN])}{more}</div>')
    with st.container(horizontal=True):
        for verdict, (title, key) in VERDICTS.items():
            st.button(
                title, shortcut=key, key=f"trust_{verdict}", icon=":material/check:" if verdict == known else None,
                on_click=judge, args=(job, row, verdict),
            )  # fmt: skip
        st.button(
            "Back", type="tertiary", shortcut="ArrowLeft", key="trust_back", disabled=place == 0,
            on_click=remember, args=(PLACE, place - 1),
        )  # fmt: skip


def judge(job: BulkJob, row: int, verdict: RowVerdict) -> None:
    """Keep a verdict and go on to the next row without one."""
    try:
        add_label(job.path, row, verdict, seed_of(job.job_id))
    except ReviewscopeError as error:
        remember(REFUSED, str(error))
        return
    forget(PLACE)


def text_of_row(job: BulkJob, row: int) -> str:
    """Return the text of a row as it was scored, its beginning: what stands in its text columns."""
    columns = job.request.text_columns
    cells = load_cells(job, np.array([row]), columns, MOST_SHOWN + 1).iloc[0]
    return "\n".join(part for place in columns if (part := cells[f"c{place}"]).strip())
