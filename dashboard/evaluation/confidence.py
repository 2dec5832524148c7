"""The section Confidence: whether a probability can be believed, and when the model is to be trusted."""

import streamlit as st

from core.charts import evaluation as charts
from core.charts.dress import PLOTLY_CONFIG
from core.evaluation.selection import Selection
from core.prediction.evaluating import Evaluation
from core.wording import percent
from dashboard.cache import load_curves
from dashboard.components import draw_chart_title
from dashboard.evaluation.choices import Door
from dashboard.evaluation.view import Scored
from dashboard.tokens import current_tokens

DOORS: dict[str, Door] = {}


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section."""
    draw_curves(view)


def draw_curves(view: Scored) -> None:
    """Draw the ROC and precision-recall curves."""
    evaluation, tokens = view.evaluation, current_tokens()
    left, right = st.columns(2, gap="large")
    _, roc, precision_recall = load_curves(view.job)
    auc = evaluation.metrics["roc_auc"].value
    with left:
        if roc is None or auc is None:
            draw_chart_title("No ROC curve", "It needs both labels, and this split has one.")
        else:
            draw_chart_title(
                f"A positive review scores above a negative one {100 * auc:.1f} times in 100",
                "ROC over all thresholds. Dashed: chance. The ring is the threshold in use, 0.50; the shade is the "
                "95 % Wilson interval of recall.",
            )
            figure = charts.plot_roc(roc, tokens)
            st.plotly_chart(figure, theme=None, config=PLOTLY_CONFIG, key="evaluation_roc", alt="ROC curve")
    with right:
        if precision_recall is None:
            draw_chart_title("No precision-recall curve", "It needs positive reviews, and this split has none.")
        else:
            draw_chart_title(
                precision_finding(evaluation),
                "Precision over recall. Dashed: the share of positive reviews, "
                f"{percent(precision_recall.base)}. Ring and shade as in the other chart.",
            )
            figure = charts.plot_precision_recall(precision_recall, tokens)
            st.plotly_chart(figure, theme=None, config=PLOTLY_CONFIG, key="evaluation_pr", alt="Precision-recall curve")


def precision_finding(evaluation: Evaluation) -> str:
    """Say what the threshold in use finds, and how pure it is."""
    precision, recall_ = evaluation.metrics["precision"].value, evaluation.metrics["recall"].value
    if precision is None:
        return "No review was read as positive"
    return f"It finds {percent(recall_)} of the positive reviews, and {percent(precision)} of its picks are positive"
