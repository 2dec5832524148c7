"""The section Two runs: what another model reads differently, review by review."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from core.charts.two_runs import WORDS, pair_colours
from core.errors import ReviewscopeError
from core.evaluation.comparison import describe_comparison
from core.evaluation.selection import PAIRS, Pair, Selection
from dashboard.cache import agreement_chart, load_comparison
from dashboard.components import draw_caption, draw_chart_title, draw_facts, empty_box, failed_box
from dashboard.evaluation import choices
from dashboard.evaluation.choices import Door, ModelChoice, chart_key, clicked_mark
from dashboard.evaluation.other_model import chosen_other, count_pairs, list_others, load_other, other_view
from dashboard.evaluation.scoring import draw_scoring
from dashboard.evaluation.view import Scored, View
from dashboard.runs_charts import plot_differences
from dashboard.state import recall, remember
from dashboard.tokens import current_tokens

TRAINING_PAGE = Path(__file__).parents[2] / "pages" / "training.py"
# What a button says of its pair; the pairs that differ from what they were come first.
BUTTONS: Mapping[Pair, str] = {"fixed": "Fixed", "broken": "Broken", "both_wrong": "Still wrong"}


def open_pair(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the cell of the agreement matrix that was clicked; a second click takes the filter away."""
    mark = clicked_mark(clicked)
    return selection if mark is None or mark["pair"] not in PAIRS else toggle_pair(selection, mark["pair"])


def toggle_pair(selection: Selection, pair: Pair) -> Selection:
    """Return the filters with a pair, or without it where it was filtered by already."""
    return replace(selection, pair=None if selection.pair == pair else pair, only_wrong=True)


DOORS: dict[str, Door] = {"agreement": open_pair}


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section: which other model, and then the offer to score it or what it reads differently."""
    others = list_others(view)
    if not others:
        how = "Train another one, perhaps with another preset; both are then compared review by review."
        with empty_box("two-runs", "There is no second model to compare with.", how):
            if st.button("Train another", key="evaluation_train_another"):
                st.switch_page(TRAINING_PAGE)
        return
    other = chosen_other(others)
    draw_choice(others, other)
    if other is None:
        what = f"Which reviews a second model reads right where {view.model.spoken} is wrong, and the other way round."
        with empty_box("two-runs", what, "Choose it above. Both are compared on the same reviews."):
            pass
        return
    try:
        its = other_view(view, other)
        if not its.job.is_done:
            draw_scoring(its)
            return
        draw_two(view, its, selection)
    except ReviewscopeError as error:
        with failed_box("two-runs", str(error), "Both models are as they were."):
            st.button("Try again", key="evaluation_two_runs_retry")


def draw_choice(others: list[ModelChoice], other: ModelChoice | None) -> None:
    """Draw which model to compare with."""
    names = {each.reference: each.name for each in others}
    for reference, name in list(names.items()):
        if list(names.values()).count(name) > 1:
            names[reference] = f"{name} ({reference})"
    remember("evaluation_other", other.reference if other else None)
    st.selectbox(
        "Compare with", list(names), format_func=names.__getitem__, key="evaluation_other", width=260, index=None,
        placeholder="Choose a model", on_change=choose_other,
    )  # fmt: skip


def choose_other() -> None:
    """Take up another second model; the filter by pair stays."""
    choices.name_in_url(against=recall("evaluation_other"), page=None)


def draw_two(view: Scored, its: View, selection: Selection) -> None:
    """Draw the difference with its interval, the agreement matrix and its doors."""
    counts = count_pairs(view.results, load_other(its))
    comparison, tokens = load_comparison(view.job, its.job), current_tokens()
    name, other = view.model.name, its.model.name
    finding, sentence = describe_comparison(comparison, name, other)
    left, right = st.columns(2, gap="large")
    with left:
        draw_chart_title(
            finding,
            f"The same {comparison.n:,} reviews, paired; each model with its own threshold. Right of zero: {name} is "
            "better.",
        )
        chart = plot_differences(comparison.differences, "percentage points", tokens)
        if chart is not None:
            st.vega_lite_chart(chart, theme=None, key="evaluation_differences", alt=finding)
        draw_facts(sentence)
    with right:
        colours = pair_colours(tokens)
        draw_chart_title(
            f"{counts['fixed']:,} of the {counts['fixed'] + counts['both_wrong']:,} reviews misread here are right in "
            f"{other}",
            f"Click a cell to read its reviews. Rows: {name}. Columns: {other}. Shares are of all.",
            [(WORDS[pair], colours[pair]) for pair in colours],
        )
        said = ", ".join(f"{PAIRS[pair].format(other='the other')}: {count:,}" for pair, count in counts.items())
        st.vega_lite_chart(
            agreement_chart(counts, (name, other), selection.pair or "", tokens), theme=None, on_select="rerun",
            key=chart_key("agreement"), alt=f"Agreement of the two models. {said}.",
        )  # fmt: skip
        draw_doors(counts, selection)
        draw_caption("Fixed: wrong here, right there. Broken: right here, wrong there. Still wrong: wrong in both.")


def draw_doors(counts: Mapping[Pair, int], selection: Selection) -> None:
    """Draw the three pairs that somebody reads, as buttons."""
    with st.container(horizontal=True):
        for pair, word in BUTTONS.items():
            st.button(
                f"{word}: {counts[pair]:,}", key=f"evaluation_pair_{pair}", disabled=not counts[pair],
                on_click=partial(choices.selection_to_url, toggle_pair(selection, pair)),
            )  # fmt: skip
