"""The drawer: one review read closely, with the words that pushed it."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from core.charts.tokens import Tokens
from core.evaluation.selection import LABELS, Results
from core.prediction.explanation import Reading, read_text
from core.wording import percent
from dashboard.cache import load_predictor
from dashboard.components import draw_caption, draw_chart_title, draw_probability_bars, draw_section
from dashboard.evaluation.view import Scored
from dashboard.highlight import SHOWN_CHARACTERS, highlight
from dashboard.state import recall, remember
from dashboard.tokens import current_tokens

PLACE = "evaluation_drawer_place"


@dataclass(frozen=True)
class Drawer:
    """The reviews that the drawer turns over.

    Attributes:
        view: The model and the scored split.
        rows: Indices of the reviews that are looked at, int64, in order.
    """

    view: Scored
    rows: NDArray[np.int64]


def open_drawer(drawer: Drawer, place: int) -> None:
    """Open the drawer at a place, from 0, of its rows."""
    remember(PLACE, place)
    draw_drawer(drawer)


@st.dialog("One review, read closely", position="right", width="medium")
def draw_drawer(drawer: Drawer) -> None:
    """Draw the review whose turn it is: verdict, bars, text, and the way to the next."""
    place = min(max(int(recall(PLACE, 0)), 0), len(drawer.rows) - 1)
    row = int(drawer.rows[place])
    results = drawer.view.results
    draw_caption(f"Review {row:,} of the data, counted from 0 · {place + 1:,} of {len(drawer.rows):,} listed")
    draw_section(verdict_sentence(results, row), rank_sentence(results, row))
    draw_probability_bars(float(results.probabilities[row]))
    draw_reading(drawer.view.model.reference, drawer.view.rows.texts[row].as_py())
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        st.button(
            "Previous", shortcut="ArrowLeft", key="evaluation_previous",
            disabled=place == 0, on_click=partial(remember, PLACE, place - 1),
        )  # fmt: skip
        st.button(
            "Next review", type="primary", shortcut="ArrowRight", key="evaluation_next",
            disabled=place + 1 >= len(drawer.rows), on_click=partial(remember, PLACE, place + 1),
        )  # fmt: skip


def draw_reading(model: str, text: str) -> None:
    """Draw the whole text in serif, its words marked by what they did to the score, and how to read the marks."""
    tokens = current_tokens()
    reading = read_text(load_predictor(model), text) if len(text) <= SHOWN_CHARACTERS else Reading(())
    draw_chart_title("What it read", reading_sentence(text, reading), reading_key(reading, tokens))
    marked = highlight(text, reading.words, tokens)
    st.html(f'<div class="rs rs-review">{marked}</div>' if text.strip() else '<div class="rs rs-muted">No text.</div>')


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


def reading_sentence(text: str, reading: Reading) -> str:
    """Say how much of a text was read, and what the marks mean."""
    if len(text) > SHOWN_CHARACTERS:
        return f"{len(text):,} characters: too long to mark its words here. The verdict is on all that the model reads."
    if not reading.words:
        return "No word that the model reads can be pointed out in this text."
    read = sum(word.is_read for word in reading.words)
    unknown = read - reading.known
    whole = f"all {read:,}" if read == len(reading.words) else f"{read:,} of {len(reading.words):,}"
    pushes = any(word.push is not None for word in reading.words)
    exact = "Colour shows which words pushed, and which way; exact shares for this model."
    none = "In this kind of model the part of a single word cannot be told apart, so none is coloured."
    return f"{exact if pushes else none} It read {whole} words and signs, {unknown:,} unknown."


def reading_key(reading: Reading, tokens: Tokens) -> list[tuple[str, str]]:
    """Return the words and colours of the key, of the marks that occur."""
    key = []
    if any(word.push for word in reading.words):
        key = [("pushed to negative", tokens.negative), ("pushed to positive", tokens.positive)]
    if any(word.is_read and not word.is_known for word in reading.words):
        key.append(("dotted: not known", tokens.muted))
    if any(not word.is_read for word in reading.words):
        key.append(("beyond the most words it reads", tokens.quiet))
    return key


def _ordinal(rank: int) -> str:
    ending = "th" if rank % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank:,}{ending}"
