"""The reviews that were read in this tab: a short table, of which each row can be read again."""

from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from core.wording import percent
from dashboard import state
from dashboard.components import draw_chart_title

HISTORY, GENERATION = "prediction_history", "prediction_history_generation"
MOST_TEXTS = 20
LONGEST_KEPT = 50_000  # characters; twenty texts of a megabyte each would weigh on the server
SHOWN_ROWS = 6
SHOWN_CHARACTERS = 120
HOW = (
    f"The last {MOST_TEXTS} texts, the newest first. Kept in this tab alone: they go when it is closed or reloaded. "
    "Choose a row to read it again."
)


@dataclass(frozen=True)
class PastVerdict:
    """What one model made of a text: its name, verdict in a word, and the probability of positive."""

    model: str
    verdict: str
    probability: float


@dataclass(frozen=True)
class PastReading:
    """A text that was read, and what the models that read it last made of it."""

    text: str
    verdicts: tuple[PastVerdict, ...]


def note_reading(reading: PastReading) -> None:
    """Put a reading on top; an earlier one of the same text goes, and a very long text is not kept."""
    if not reading.verdicts or len(reading.text) > LONGEST_KEPT:
        return
    others = [earlier for earlier in past_readings() if earlier.text != reading.text]
    state.remember(HISTORY, (reading, *others)[:MOST_TEXTS])


def past_readings() -> tuple[PastReading, ...]:
    """Return the readings of this tab, newest first."""
    found: tuple[PastReading, ...] = state.recall(HISTORY, ())
    return found


def draw_history(box: str, example: str) -> None:
    """Draw what was read before; a chosen row puts its text into the box.

    Args:
        box: Where the tab keeps the text of the box.
        example: Where it keeps the chosen example, which is given up.
    """
    readings = past_readings()
    if not readings:
        return
    draw_chart_title("Read in this tab", HOW)
    rows = [(reading.text, verdict) for reading in readings for verdict in reading.verdicts]
    key = f"prediction_history_{state.recall(GENERATION, 0)}"
    st.dataframe(
        pd.DataFrame([history_row(text, verdict) for text, verdict in rows]), hide_index=True, row_height=38,
        height="content" if len(rows) <= SHOWN_ROWS else 38 * (SHOWN_ROWS + 1), key=key,
        on_select=partial(read_again, key, [text for text, _ in rows], box, example), selection_mode="single-row",
        alt="Texts read in this tab, newest first", column_config={
            "Verdict": st.column_config.TextColumn(width=90),
            "Probability": st.column_config.TextColumn("Positive", width=95, help="The probability of positive"),
            "Review": st.column_config.TextColumn(width="large"),
            "Model": st.column_config.TextColumn(width="small"),
        },
    )  # fmt: skip
    st.button("Clear this list", type="tertiary", key="prediction_forget", on_click=state.forget, args=(HISTORY,))


def read_again(key: str, texts: list[str], box: str, example: str) -> None:
    """Put the text of the chosen row into the box; the next table begins with none chosen."""
    rows = state.recall(key)["selection"]["rows"]
    if rows and rows[0] < len(texts):
        state.remember(box, texts[rows[0]])
        state.remember(example, None)
        state.remember(GENERATION, state.recall(GENERATION, 0) + 1)


def history_row(text: str, verdict: PastVerdict) -> dict[str, str]:
    """Return a reading as a row of the table."""
    return {
        "Verdict": verdict.verdict,
        "Probability": percent(verdict.probability),
        "Review": beginning(text),
        "Model": verdict.model,
    }


def beginning(text: str) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text[: 4 * SHOWN_CHARACTERS].split())
    is_cut = len(text) > 4 * SHOWN_CHARACTERS or len(line) > SHOWN_CHARACTERS
    return f"{line[:SHOWN_CHARACTERS].rstrip()} …" if is_cut else line
