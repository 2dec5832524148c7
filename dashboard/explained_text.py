"""A text with the words that pushed it: at once where pushes are exact, else as soon as a job has worked them out.

Of a model with attention, the words that it looked at can be shown instead.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from html import escape
from pathlib import Path

import streamlit as st

from core import jobs
from core.charts.dress import with_opacity
from core.errors import ReviewscopeError
from core.prediction.explaining import (
    ExplanationJob,
    ExplanationRequest,
    ExplanationResult,
    create_explanation_job,
    estimate_seconds,
)
from core.prediction.explanation import Reading, attend, has_exact_pushes, read_text
from core.prediction.integrated_gradients import TOLERANCE
from core.prediction.predictor import Predictor
from dashboard.cache import load_predictor
from dashboard.components import about_duration, draw_caption, draw_chart_title
from dashboard.highlight import DARKEST, highlight
from dashboard.state import forget, recall, remember
from dashboard.tokens import current_tokens

PUSHES, ATTENTION = "Pushes", "Attention"
ATTENTION_CAPTION = (
    "Attention: the stronger its tint, the more the model looked at a word. It shows where the model looked, not which "
    "way a word pushed, nor whether the verdict hangs on it."
)
TICK_SECONDS = 0.4
MOST_UNASKED = 5.0  # an explanation that takes longer than so many seconds waits for a press
Heading = Callable[[Reading], tuple[str, str, Sequence[tuple[str, str]]]]
Footnote = Callable[[Reading], str] | None


def draw_explained(
    reference: str, text: str, place: str, heading: Heading, footnote: Footnote = None, *, is_in_dialog: bool = False
) -> None:
    """Draw a heading, the text with its words marked, and a footnote; colours may follow a second later.

    Of a model that has attention, one chooses whether the marks show the pushes or the attention.

    Args:
        reference: The model.
        text: Any text that is not too long to be drawn; some of it is no blank.
        place: Names where on the pages this is; what was begun there for another text is given up.
        heading: Title, how to read it, and key of a reading.
        footnote: What to say under it, if anything.
        is_in_dialog: Whether to draw the page anew, which ends the clock of what was waited for, would close what was
            opened around it; the clock then runs until something else is drawn there.
    """
    predictor = load_predictor(reference)
    if attend(predictor, "") is not None and _choose_what(place) == ATTENTION:
        give_up(place)
        _draw_attention(predictor, text, heading, footnote)
        return
    if has_exact_pushes(predictor):
        give_up(place)
        _draw_reading(text, read_text(predictor, text), heading, footnote)
        return
    request = ExplanationRequest(model=reference, model_sha256=predictor.sha256, text=text)
    job = create_explanation_job(request)
    give_up(place, unless=job)
    if (result := _result(job)) is not None:
        _draw_reading(text, read_text(predictor, text, result.pushes), heading, footnote, _method_sentence(result))
    else:
        _draw_until_explained(predictor, request, place, heading, footnote, is_in_dialog)


def _choose_what(place: str) -> str:
    chosen: str = st.segmented_control(
        "What the marks show", (PUSHES, ATTENTION), default=PUSHES, key=f"{place}_shown", required=True,
        label_visibility="collapsed",
    )  # fmt: skip
    return chosen


def _draw_attention(predictor: Predictor, text: str, heading: Heading, footnote: Footnote) -> None:
    """Draw the text in shades of how much the model looked at each word; a reading of it takes milliseconds."""
    reading, tokens = read_text(predictor, text, attention=attend(predictor, text)), current_tokens()
    if not reading.words:
        _draw_reading(text, reading, heading, footnote)
        return
    draw_chart_title(
        attention_sentence(reading), ATTENTION_CAPTION, [("more attention", with_opacity(tokens.text, DARKEST))]
    )
    marked = highlight(text, reading.words, tokens, "attention")
    st.html(f'<div class="rs rs-review" dir="auto">{marked}</div>')
    if footnote:
        draw_caption(footnote(reading))


def attention_sentence(reading: Reading) -> str:
    """Say on how few words half of the attention lies."""
    shares = sorted((word.attention for word in reading.words if word.attention is not None), reverse=True)
    if len(shares) == 1:
        return "All of its attention lies on the one word that it read"
    reached = 0.0
    for count, share in enumerate(shares, 1):
        reached += share
        if reached >= sum(shares) / 2:
            return f"Half of its attention lies on {count:,} of {len(shares):,} words"
    return "No word was read"


@st.fragment(run_every=TICK_SECONDS)
def _draw_until_explained(
    predictor: Predictor,
    request: ExplanationRequest,
    place: str,
    heading: Heading,
    footnote: Footnote,
    is_in_dialog: bool,
) -> None:
    """Draw the text without colours until the job is done, and then with them."""
    job, text = create_explanation_job(request), request.text
    if (result := _result(job)) is not None:
        _draw_reading(text, read_text(predictor, text, result.pushes), heading, footnote, _method_sentence(result))
        if not is_in_dialog:
            st.rerun()
        return
    reading = read_text(predictor, text)
    if not reading.words:
        _draw_reading(text, reading, heading, footnote)
        return
    takes = estimate_seconds(request.model_sha256, sum(word.is_read for word in reading.words))
    refused = f"{place}_refused"
    status = job.state.status if job.exists else None
    if status in (None, "stopped") and (takes or 0.0) <= MOST_UNASKED and not recall(refused):
        _start(job, refused)
        status = job.state.status if job.exists else None
    span = f" ({about_duration(takes)})" if takes else ""
    if status in ("queued", "running"):
        _draw_reading(text, reading, heading, footnote, _waiting_sentence(job, span))
        return
    message = recall(refused) or (job.state.message if status in ("failed", "interrupted", "finished") else "")
    _draw_reading(text, reading, heading, footnote, f"Which words pushed is not known: {message}" if message else "")
    label = "Try again" if message else f"Work out which words pushed{span}"
    st.button(label, key=f"{place}_explain", on_click=partial(_start, job, refused))


def give_up(place: str, unless: ExplanationJob | None = None) -> None:
    """Stop the explanation that a place waits for, unless it is the one that it will wait for next."""
    name, next_one = f"{place}_explaining", str(unless.path) if unless else None
    before = recall(name)
    if before == next_one:
        return
    forget(name, f"{place}_refused")
    if next_one:
        remember(name, next_one)
    if before:
        job = ExplanationJob(Path(before))
        with suppress(ReviewscopeError):  # the cache may be deleted at any time
            if job.exists and job.state.status in ("queued", "running"):
                jobs.stop(job)


def _start(job: ExplanationJob, refused: str) -> None:
    forget(refused)
    try:
        jobs.enqueue(job)
        jobs.move(job, -jobs.MOST_WAITING)  # somebody looks at it now, and it takes a second
    except ReviewscopeError as error:
        remember(refused, str(error))


def _result(job: ExplanationJob) -> ExplanationResult | None:
    """Return what a job found, or None; a damaged file counts as none, and is written again."""
    try:
        return job.result if job.is_done else None
    except ReviewscopeError:
        return None


def _draw_reading(text: str, reading: Reading, heading: Heading, footnote: Footnote, method: str | None = None) -> None:
    """Draw a reading; a method's line keeps its room, so that what is under it stays where it is when it changes."""
    draw_chart_title(*heading(reading))
    st.html(f'<div class="rs rs-review" dir="auto">{highlight(text, reading.words, current_tokens())}</div>')
    if footnote:
        draw_caption(footnote(reading))
    if method is not None:
        st.html(f'<div class="rs"><p class="rs-caption rs-two-lines">{escape(method)}</p></div>')


def _waiting_sentence(job: ExplanationJob, span: str) -> str:
    if job.state.status == "queued":
        return f"Working out which words pushed{span}: waiting for its turn."
    progress = job.progress
    share = f" {100 * progress.done // progress.total} %" if progress and progress.total else ""
    return f"Working out which words pushed{span}{':' if share else ' …'}{share}"


def _method_sentence(result: ExplanationResult) -> str:
    """Say how pushes came about, and how nearly they add up."""
    if result.method == "left out":
        return (
            f"A push is what the score loses without the word. {abs(result.missing):.1f} of the score (log-odds) is "
            "given to no word: what several words say together is hardly missed with one of them."
        )
    begin = "Integrated gradients, from a text of as many unknown words"
    if abs(result.missing) <= TOLERANCE:
        return f"{begin}; the pushes add up to the score within {TOLERANCE:g} (log-odds)."
    return (
        f"{begin}. The network tips over on the way: {abs(result.missing):.1f} of the score (log-odds) can be given to "
        "no word."
    )
