"""In the drawer: the training reviews that the model reads most like the one that is read."""

from typing import NamedTuple

import streamlit as st

from core.evaluation.selection import LABELS
from core.prediction.analysis import AnalysisJob
from core.wording import decimal, excerpt
from dashboard.cache import load_finding, load_finding_table, load_split
from dashboard.components import about_duration, draw_caption, draw_facts
from dashboard.evaluation.analysis_box import TICK_SECONDS, draw_progress_box, draw_until_done, is_readable
from dashboard.evaluation.fault import draw_fault_buttons
from dashboard.evaluation.review_map import estimate_map, has_training_reviews, map_job, no_training_words
from dashboard.evaluation.review_rows import EXCERPT
from dashboard.evaluation.view import Scored, state_of
from dashboard.highlight import SHOWN_CHARACTERS, highlight
from dashboard.tokens import current_tokens


class Near(NamedTuple):
    """A training review near the one that is read.

    Attributes:
        row: In the train split, as the view's config cuts it.
        similarity: Cosine, -1 to 1.
        label: 0 or 1.
        text: Its text.
        is_same: Whether it is the same text, character for character.
    """

    row: int
    similarity: float
    label: int
    text: str
    is_same: bool


def draw_neighbours(view: Scored, row: int) -> None:
    """Draw the five training reviews nearest to a review of the split, or the offer to look for them.

    Args:
        view: The model and the scored split.
        row: Of the split, from 0.
    """
    if not has_training_reviews(view):
        draw_caption(no_training_words(view))
        return
    job = map_job(view)
    state = state_of(job)
    if job.is_done:
        if is_readable(job, "-drawer"):
            draw_found(view, row, job)
    elif state and state.status in ("queued", "running"):
        draw_until_found(view, row)
    else:
        takes = estimate_map(view)
        draw_until_done(
            job,
            f"The training reviews that {view.model.spoken} reads most like this one, and how they are labelled.",
            "They are looked for once for all reviews, with the map, in the background"
            + (f": {about_duration(takes)}." if takes else "."),
            "Look for them",
            place="-drawer",
        )


@st.fragment(run_every=TICK_SECONDS)
def draw_until_found(view: Scored, row: int) -> None:
    """Draw how far the look is, twice a second, and what it found once it has; the drawer stays open meanwhile."""
    job = map_job(view)
    if job.is_done:
        draw_found(view, row, job)
        return
    state = state_of(job)
    status = state.status if state else "failed"
    if status in ("queued", "running"):
        draw_progress_box(job, status, place="-drawer")
    else:
        message = state.message if state else ""
        draw_caption(message or f"The look for them was {status}. The section Map offers it again.")


def draw_found(view: Scored, row: int, job: AnalysisJob) -> None:
    """Draw what the nearest are labelled, and each with its text folded."""
    found = find_near(view, row, job)
    if not found:
        draw_caption("No training review is near: the model knows no word of this one.")
        return
    verdict, label = int(view.results.verdicts[row]), int(view.results.labels[row])
    draw_facts(near_sentence([near.label for near in found], verdict, label))
    for place, near in enumerate(found):
        draw_near(near)
        draw_fault_buttons(view, "train", near.row, key=f"evaluation_near_{row}_{place}", shortcuts=False)
    nearly = "" if load_finding(job)["is_exact"] else " About nine in ten of the truly nearest are found."
    draw_caption(
        "Similarity: the cosine of what the model's last layer reads of two texts; 1 is alike, 0 is nothing in common."
        + nearly
    )


def find_near(view: Scored, row: int, job: AnalysisJob) -> list[Near]:
    """Return the training reviews nearest to a review, nearest first; at most five, none when it has no known word."""
    table, train = load_finding_table(job), load_split(view.data.config, "train")
    text, found = view.rows.texts[row].as_py(), []
    for place in range(1, int(table["near"][row].as_py()) + 1):
        near = int(table[f"near_{place}"][row].as_py())
        other = train.texts[near].as_py()
        similarity = float(table[f"similarity_{place}"][row].as_py())
        found.append(Near(near, similarity, int(train.labels[near]), other, other == text))
    return found


def near_sentence(labels: list[int], verdict: int, label: int) -> str:
    """Say how many of the nearest carry the label that the model gave, and what the review itself is labelled.

    Args:
        labels: Of the nearest, one at least.
        verdict: What the review was read as.
        label: What it is labelled.
    """
    n, same = len(labels), labels.count(verdict)
    whole = "The one training review that is near" if n == 1 else f"All {n} nearest training reviews"
    are = "is" if n == 1 else "are"
    if not same:
        likewise = "" if label == verdict else ", as this one is"
        other = f"{whole} {are} labelled {LABELS[1 - verdict]}{likewise}"
        return f"{other}; the model read this one as {LABELS[verdict]}."
    if same < n:
        whole, are = f"{same} of the {n} nearest training reviews", "is" if same == 1 else "are"
    own = "" if label == verdict else f"; its own label is {LABELS[label]}"
    return f"{whole} {are} labelled {LABELS[verdict]}, as the model read this one{own}."


def draw_near(near: Near) -> None:
    """Draw one training review: its label, how alike it is, its beginning, and the whole of it folded."""
    tokens = current_tokens()
    colour = tokens.positive if near.label else tokens.negative
    same = " · the same text, word for word" if near.is_same else ""
    cut = near.text[:SHOWN_CHARACTERS]
    left_out = "" if cut == near.text else f'<p class="rs-caption">… {len(near.text) - len(cut):,} more characters.</p>'
    st.html(
        f'<div class="rs"><p class="rs-caption"><i class="rs-dot" style="background:{colour}"></i>labelled '
        f"{LABELS[near.label]} · similarity {decimal(near.similarity)}{same}</p>"
        f'<details><summary class="rs-review">{highlight(excerpt(near.text, EXCERPT), (), tokens)}</summary>'
        f'<div class="rs-review">{highlight(cut, (), tokens)}</div>{left_out}</details></div>'
    )
