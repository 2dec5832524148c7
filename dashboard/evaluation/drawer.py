"""The drawer: one review read closely, with the words that pushed it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.charts.tokens import Tokens
from core.evaluation.selection import LABELS, Results
from core.prediction.explanation import Reading, has_exact_pushes
from core.wording import percent
from dashboard.cache import load_predictor
from dashboard.components import draw_caption, draw_chart_title, draw_facts, draw_probability_bars, draw_section
from dashboard.evaluation import choices
from dashboard.evaluation.fault import draw_fault_buttons
from dashboard.evaluation.neighbours import draw_neighbours
from dashboard.evaluation.view import Scored
from dashboard.explained_text import draw_explained, give_up
from dashboard.highlight import SHOWN_CHARACTERS, highlight
from dashboard.state import recall, remember
from dashboard.tokens import current_tokens

PLACE = "evaluation_drawer_place"
READING, CHANGED = "evaluation_reading", "evaluation_changed"


@dataclass(frozen=True)
class Drawer:
    """The reviews that the drawer turns over.

    Attributes:
        view: The model and the scored split.
        rows: Indices of the reviews that are looked at, int64, in order.
        has_guest: Whether the first of them stands there only because the URL names it.
    """

    view: Scored
    rows: NDArray[np.int64]
    has_guest: bool = False

    def describe_place(self, place: int) -> str:
        """Say which review stands at a place, from 0."""
        review, listed = f"Review {self.rows[place]:,} of the data, counted from 0", len(self.rows) - self.has_guest
        if self.has_guest and not place:
            return f"{review} · not among the {listed:,} listed"
        return f"{review} · {place + 1 - self.has_guest:,} of {listed:,} listed"


def open_drawer_of_url(drawer: Drawer) -> None:
    """Open the drawer at the review that the URL names; one that is not among the rows stands before them."""
    row = choices.open_row()
    if row is None:
        return
    if row >= len(drawer.view.results):
        close_drawer()
        return
    if row not in drawer.rows:
        drawer = Drawer(drawer.view, np.concatenate([np.array([row]), drawer.rows]), has_guest=True)
    remember(PLACE, int(np.flatnonzero(drawer.rows == row)[0]))
    draw_drawer(drawer)


def turn_to(drawer: Drawer, place: int) -> None:
    """Remember which review is read, and name it in the URL."""
    remember(PLACE, place)
    choices.name_in_url(open=str(drawer.rows[place]))


def close_drawer() -> None:
    """Take the review out of the URL; what was begun to explain it is given up."""
    choices.name_in_url(open=None)
    give_up(READING)
    give_up(CHANGED)


@st.dialog("One review, read closely", position="right", width="medium", on_dismiss=close_drawer)
def draw_drawer(drawer: Drawer) -> None:
    """Draw the review whose turn it is: verdict, bars, text, whose fault it is, and the way to the next."""
    place = min(max(int(recall(PLACE, 0)), 0), len(drawer.rows) - 1)
    view, row = drawer.view, int(drawer.rows[place])
    text = view.rows.texts[row].as_py()
    # A box of each review's own, which scrolls: the next one begins at its top, and the way to it stays in sight.
    with st.container(key=f"evaluation_drawer_body_{row}"):
        draw_caption(drawer.describe_place(place))
        draw_section(verdict_sentence(view.results, row), rank_sentence(view.results, row))
        draw_probability_bars(float(view.results.probabilities[row]))
        draw_reading(view.model.reference, text)
        draw_chart_title("Whose fault?" if view.results.wrong[row] else "Is the label right?", "")
        draw_fault_buttons(view, view.data.split, row, key="evaluation_drawer_fault", shortcuts=True)
        with st.expander("Change the text and watch the score"):
            draw_change(view, row, text)
        with st.expander("The nearest training reviews"):
            draw_neighbours(view, row)
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.button(
            "Previous", shortcut="ArrowLeft", key="evaluation_previous",
            disabled=place == 0, on_click=partial(turn_to, drawer, place - 1),
        )  # fmt: skip
        st.button(
            "Next review", type="primary", shortcut="ArrowRight", key="evaluation_next",
            disabled=place + 1 >= len(drawer.rows), on_click=partial(turn_to, drawer, place + 1),
        )  # fmt: skip


def draw_reading(model: str, text: str) -> None:
    """Draw the text in serif, its words marked by what they did to the score, and how to read the marks."""
    if text.strip() and len(text) <= SHOWN_CHARACTERS:
        exact = has_exact_pushes(load_predictor(model))
        heading = partial(reading_heading, "What it read", exact)
        draw_explained(model, text, READING, heading, partial(reading_share, text), is_in_dialog=True)
        return
    give_up(READING)
    draw_chart_title("What it read", "")
    if not text.strip():
        st.html('<div class="rs rs-muted">No text.</div>')
        return
    shown = highlight(text[:SHOWN_CHARACTERS], (), current_tokens())
    st.html(f'<div class="rs rs-review" dir="auto">{shown} …</div>')
    draw_caption(
        f"{len(text):,} characters: too long to mark its words here, so the first {SHOWN_CHARACTERS:,} are shown as "
        "they are. The verdict is on all that the model reads."
    )


@st.fragment
def draw_change(view: Scored, row: int, text: str) -> None:
    """Draw a box with the text of a review, and what the model makes of it once it is changed."""
    if len(text) > SHOWN_CHARACTERS:
        draw_caption(f"A text of more than {SHOWN_CHARACTERS:,} characters cannot be changed here.")
        return
    changed = st.text_area(
        "The text", text, key=f"evaluation_text_{row}", height=150, max_chars=SHOWN_CHARACTERS,
        label_visibility="collapsed",
    )  # fmt: skip
    st.button("Score it", key="evaluation_rescore")  # a rerun is all it takes; Ctrl+Enter and leaving the box do it too
    # A browser's text box knows one kind of line end, and no NUL.
    if changed.splitlines() == text.replace("\0", "").splitlines():
        give_up(CHANGED)
        draw_caption("Change a word, then press Ctrl+Enter.")
        return
    before = float(view.results.probabilities[row])
    predictor = load_predictor(view.model.reference)
    predictions = predictor.predict([changed])
    verdicts = int(view.results.verdicts[row]), int(predictions.logits[0] > view.results.cut)
    draw_facts(change_sentence(before, float(predictions.probabilities[0]), verdicts))
    if changed.strip():
        heading = partial(reading_heading, "What it reads now", has_exact_pushes(predictor))
        share = partial(reading_share, changed)
        draw_explained(view.model.reference, changed, CHANGED, heading, share, is_in_dialog=True)


def verdict_sentence(results: Results, row: int) -> str:
    """Say what a review was read as and labelled."""
    verdict, label = LABELS[results.verdicts[row]], LABELS[results.labels[row]]
    return f"Read as {verdict}, labelled {label}" if verdict != label else f"Read as {verdict}, and labelled so"


def rank_sentence(results: Results, row: int) -> str:
    """Say a review's probability and, of a misread one, its place among the errors by confidence."""
    said = f"Probability of positive {percent(float(results.probabilities[row]))}"
    if not results.wrong[row]:
        return said
    rank = int((results.confidences[results.wrong] > results.confidences[row]).sum()) + 1
    place = "most" if rank == 1 else f"{_ordinal(rank)} most"
    return f"{said} · {place} confident error of {int(results.wrong.sum()):,}"


def change_sentence(before: float, after: float, verdicts: tuple[int, int]) -> str:
    """Say the probability of a changed text, how far it moved, and whether the verdict turned.

    Args:
        before: Probability of positive, 0 to 1.
        after: Of the changed text.
        verdicts: What it was read as, 0 or 1, and what it is now.
    """
    points = round(100 * (after - before), 1)
    moved = f"{abs(points):.1f} points {'more' if points > 0 else 'less'}" if points else "as before"
    now = LABELS[verdicts[1]]
    turned = f"Still read as {now}." if verdicts[0] == verdicts[1] else f"The verdict turned: now read as {now}."
    return f"Probability of positive now {percent(after)}, {moved}. {turned}"


def reading_heading(title: str, is_exact: bool, reading: Reading) -> tuple[str, str, Sequence[tuple[str, str]]]:
    """Return what stands over a reading: title, how to read it, and the key."""
    if not reading.words:
        return title, "No word that the model reads can be pointed out in this text.", ()
    exact = " Exact shares for this model." if is_exact else ""
    how = f"Colour shows which words pushed, and which way.{exact}"
    return title, how, reading_key(reading, current_tokens())


def reading_share(text: str, reading: Reading) -> str:
    """Say how much of a text was read; punctuation may be read too, but is no word to a person."""
    words = [word for word in reading.words if any(map(str.isalnum, text[word.start : word.end]))]
    if not words:
        return "The verdict is on what the model reads all the same."
    n, read = len(words), sum(word.is_read for word in words)
    unknown = sum(word.is_read and not word.is_known for word in words)
    count = f"{read:,} of {n:,} word{'' if n == 1 else 's'}" + (f", {unknown:,} unknown" if unknown else "")
    return f"Read to the end: {count}." if read == n else f"Read as far as it reads: {count}. The rest is grey."


def reading_key(reading: Reading, tokens: Tokens) -> list[tuple[str, str]]:
    """Return the words and colours of the key, of the marks that occur."""
    key = [("pushed to negative", tokens.negative), ("pushed to positive", tokens.positive)]
    if any(word.is_read and not word.is_known for word in reading.words):
        key.append(("dotted: not known", tokens.muted))
    if any(not word.is_read for word in reading.words):
        key.append(("beyond the most words it reads", tokens.quiet))
    return key


def _ordinal(rank: int) -> str:
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank:,}{ending}"
