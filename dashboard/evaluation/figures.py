"""The strip of figures above every section."""

from collections.abc import Callable

import streamlit as st

from core.evaluation.metrics import METRICS
from core.model_settings import probability_text
from core.wording import decimal, percent
from dashboard.components import draw_caption, draw_figure
from dashboard.evaluation.view import Scored, capital

WRITE: dict[str, Callable[[float], str]] = dict.fromkeys(("roc_auc", "average_precision", "log_loss", "brier"), decimal)


def draw_figures(view: Scored) -> None:
    """Draw the score strip, and under it what the figures are of."""
    evaluation = view.evaluation
    with st.grid(min_column_width=180, gap="medium"):  # five and four of nine; two and two on a phone
        for name, metric in evaluation.metrics.items():
            with st.container():
                draw_figure(METRICS[name].title, metric, WRITE.get(name, percent))
    confusion, chosen = evaluation.confusion, view.settings
    origin = "" if chosen.chosen_by == "default" else f", {chosen.origin}"
    read_positive = confusion.true_positives + confusion.false_positives
    positives = confusion.true_positives + confusion.false_negatives
    draw_caption(
        f"{capital(view.data.sentence)}, {evaluation.n:,} review{'' if evaluation.n == 1 else 's'}. Precision is of "
        f"the {read_positive:,} read as positive, recall of the {positives:,} labelled positive. A verdict is positive "
        f"above probability {probability_text(chosen.threshold)}{origin}. Of log loss, Brier score and "
        "calibration error less is better. 95 % intervals: Wilson for shares and F1, DeLong for ROC AUC, delta method "
        "for average precision, normal for log loss and Brier score, bootstrap for the calibration error."
    )
