"""What a run reads now: validation reviews it is surest of and those whose verdict flipped, and a box to try it."""

import math
from html import escape

import streamlit as st

from core.config import LABELS
from core.data.labelled import LabelledTexts
from core.errors import ReviewscopeError
from core.model_settings import load_settings
from core.runs import Run
from core.training.verdicts import Picked, Rows, Verdicts, load_verdicts, pick_rows
from core.wording import percent
from dashboard.cache import load_predictor, load_split
from dashboard.components import draw_caption, draw_chart_title, draw_section
from dashboard.highlight import SHOWN_CHARACTERS, highlight
from dashboard.one_review import draw_tried
from dashboard.tokens import current_tokens

POLL_SECONDS = 3.0
ROWS_EACH = 3
SHORT = 400
MOST_SURE = 0.99
OPEN_KEY, TEXT_KEY = "reads-now", "try-now"


def draw_validation_reviews(run: Run, *, is_live: bool) -> None:
    """Draw the section, folded at first; while a run is live it looks for a new validation every few seconds."""
    if not run.settings.config.data.validation_fraction:
        return
    st.fragment(_draw_section, run_every=POLL_SECONDS if is_live else None)(run)


def _draw_section(run: Run) -> None:
    folded = st.expander("What it reads now, and try it", key=OPEN_KEY, on_change="rerun")
    if not folded.open:
        return
    with folded:
        try:
            _draw_reviews(run)
            draw_try_it(run)
        except ReviewscopeError as error:
            draw_caption(str(error))


def _draw_reviews(run: Run) -> None:
    verdicts = load_verdicts(run)
    if verdicts is None:
        draw_caption("Here will be the validation reviews it is surest of, right and wrong, and those whose verdict "
                     "changed. They come with the first validation, at the end of an epoch.")  # fmt: skip
        return
    split = load_split(run.settings.config, "valid")
    try:
        picked = pick_rows(verdicts, split.labels, ROWS_EACH)
    except ValueError:
        draw_caption("The data is not what it was when this run was validated, so its reviews cannot be shown.")
        return
    said = f"Validation reviews after epoch {verdicts.epoch}, step {verdicts.step:,}, with the threshold 0.50."
    draw_section("What it reads now", said)
    left, right = st.columns(2, gap="large")
    with left:
        _draw_list("Surest and right", "", picked.right, verdicts, split)
    with right:
        _draw_list("Surest and wrong", "Its worst errors, or labels that are wrong.", picked.wrong, verdicts, split)
    if verdicts.before is not None:
        _draw_flipped(picked, verdicts, split)


def _draw_flipped(picked: Picked, verdicts: Verdicts, split: LabelledTexts) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        said = f"Wrong after the epoch before; {picked.newly_right_count:,} reviews, the surest first."
        _draw_list("Newly right", said, picked.newly_right, verdicts, split)
    with right:
        said = f"Right after the epoch before; {picked.newly_wrong_count:,} reviews, the surest first."
        _draw_list("Newly wrong", said, picked.newly_wrong, verdicts, split)


def _draw_list(title: str, said: str, rows: Rows, verdicts: Verdicts, split: LabelledTexts) -> None:
    draw_chart_title(title, said)
    if not len(rows):
        draw_caption("None.")
    for row in rows.tolist():
        read, label = LABELS[int(verdicts.now[row] > 0)], LABELS[int(split.labels[row])]
        labelled = "" if read == label else f", labelled {label}"
        _draw_review(f"Read as {read}, {_sureness(float(verdicts.now[row]))}{labelled}", split.texts[row].as_py())


def _sureness(logit: float) -> str:
    confidence = 1 / (1 + math.exp(-min(abs(logit), 50.0)))
    return "over 99 % sure" if confidence > MOST_SURE else f"{percent(confidence, 0)} sure"


def _draw_review(said: str, text: str) -> None:
    """Draw what a review was read as, its beginning, and the rest folded."""
    tokens = current_tokens()
    first, rest = highlight(text[:SHORT], (), tokens), highlight(text[SHORT:SHOWN_CHARACTERS], (), tokens)
    folded = f"<details><summary>The rest of it</summary>{rest}</details>" if rest else ""
    st.html(
        f'<div class="rs"><p class="rs-caption">{escape(said)}</p></div>'
        f'<div class="rs rs-review" dir="auto">{first}{" …" if rest else ""}{folded}</div>'
    )


def draw_try_it(run: Run) -> None:
    """Draw a box for one review and what the best weights so far make of it."""
    draw_chart_title("Try it now", "Read with the best weights so far; they change when a later epoch is better.")
    if not run.model_file.exists():
        draw_caption("There are none yet: they come with the first validation.")
        return
    text = st.text_area("A review", key=TEXT_KEY, height=90, placeholder="Write or paste a review.",
                        label_visibility="collapsed")  # fmt: skip
    st.button("Read this review", key="try-now-read")
    if not (text or "").strip():
        return
    try:
        predictor = load_predictor(run.run_id)
        predictions = predictor.predict([text or ""])
    except UnicodeEncodeError:
        draw_caption("The text has a character that is none.")
        return
    draw_tried(float(predictions.probabilities[0]), load_settings(predictor.sha256))
