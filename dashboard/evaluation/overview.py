"""The section Overview: which errors there are, how sure the model was of them, and what they have in common."""

import streamlit as st

from core.charts.evaluation import confidence_finding, matrix_finding
from core.evaluation.selection import LABELS, Selection
from core.model_settings import Cutoffs
from dashboard.cache import confidence_charts, load_curves, matrix_chart
from dashboard.components import draw_chart_title
from dashboard.evaluation.choices import chart_key, open_bin, open_cell, open_theme
from dashboard.evaluation.themes import draw_lifts
from dashboard.evaluation.view import Scored
from dashboard.tokens import current_tokens

DOORS = {"matrix": open_cell, "counts": open_bin, "shares": open_bin, "lifts": open_theme}


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section."""
    left, middle, right = st.columns([7, 8, 9], gap="medium")
    with left:
        draw_matrix(view, selection)
    with middle:
        draw_confidence(view, selection)
    with right:
        draw_lifts(view, selection)


def draw_matrix(view: Scored, selection: Selection) -> None:
    """Draw the confusion matrix, whose cells are filters."""
    tokens, confusion = current_tokens(), view.evaluation.confusion
    draw_chart_title(
        matrix_finding(confusion),
        f"Click a cell to read its reviews. Shares are of the row's label; {view.evaluation.n:,} reviews.",
        [("right", tokens.quiet), ("wrong", tokens.wrong)],
    )
    counts = ", ".join(
        f"labelled {LABELS[label]}, read as {LABELS[verdict]}: {count:,}"
        for label, verdict, count in (
            (0, 0, confusion.true_negatives), (0, 1, confusion.false_positives),
            (1, 0, confusion.false_negatives), (1, 1, confusion.true_positives),
        )
    )  # fmt: skip
    st.vega_lite_chart(
        matrix_chart(view.job, selection, tokens), theme=None, on_select="rerun", key=chart_key("matrix"),
        alt=f"Confusion matrix. {counts}.",
    )  # fmt: skip


def draw_confidence(view: Scored, selection: Selection) -> None:
    """Draw how many reviews and what share of wrong ones there are at each confidence; bars are filters."""
    tokens, bins = current_tokens(), load_curves(view.job, view.results.cut)[0]
    key = [("right", tokens.quiet), ("wrong", tokens.wrong)]
    key += [("not sure", tokens.not_sure)] if view.settings.unsure_confidences else []
    draw_chart_title(
        confidence_finding(bins),
        "Above: how many reviews. Below: share wrong, with 95 % interval. Click a bar to read its reviews."
        + shade_words(view.settings),
        key,
    )  # fmt: skip
    counts, shares = confidence_charts(view.job, selection.confidence, tokens)
    st.vega_lite_chart(
        counts, theme=None, on_select="rerun", key=chart_key("counts"),
        alt=f"Reviews by confidence, right and wrong. {confidence_finding(bins)}.",
    )  # fmt: skip
    st.vega_lite_chart(
        shares, theme=None, on_select="rerun",
        key=chart_key("shares"), alt="Share of wrong verdicts by confidence, with 95 % intervals.",
    )  # fmt: skip


def shade_words(cutoffs: Cutoffs) -> str:
    """Say what the shade means where it does not lie the same for both classes."""
    if len(cutoffs.unsure_confidences) < 2:
        return ""
    return " The shade is darker where reviews read either way are not sure, lighter where those of one class are."
