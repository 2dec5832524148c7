"""The section Confidence: whether a probability can be believed, and when the model is to be trusted."""

from dataclasses import replace

import streamlit as st

from core.charts.confidence import USUAL_COVERAGE, reliability_finding, risk_finding
from core.charts.dress import PLOTLY_CONFIG
from core.evaluation.selection import Selection
from core.prediction.evaluating import Evaluation
from core.wording import interval_text, percent
from dashboard.cache import (
    Calibrated,
    curve_figures,
    load_calibrated,
    load_curves,
    load_predictor,
    load_risk,
    reliability_charts,
    risk_chart,
)
from dashboard.components import draw_chart_title
from dashboard.evaluation import choices
from dashboard.evaluation.choices import Door, chart_key, open_bin, open_surest, open_threshold
from dashboard.evaluation.view import Scored
from dashboard.state import recall, remember
from dashboard.tokens import current_tokens

DOORS: dict[str, Door] = {
    "reliability": open_bin,
    "bin_counts": open_bin,
    "risk": open_surest,
    "roc": open_threshold,
    "precision_recall": open_threshold,
}
ALL = 100
OFFERED_COVERAGES = (ALL, 99, *range(95, 0, -5))


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section: what a confidence is worth, whom to trust, and what other thresholds would find."""
    left, right = st.columns(2, gap="large")
    with left:
        draw_reliability(view, selection)
    with right:
        draw_risk(view, selection)
    left, right = st.columns(2, gap="large")
    with left:
        draw_roc(view, selection)
    with right:
        draw_precision_recall(view, selection)


def draw_reliability(view: Scored, selection: Selection) -> None:
    """Draw the reliability diagram before and after scaling, and the counts under it; dots and bars are filters."""
    tokens, calibration = current_tokens(), load_predictor(view.model.reference).calibration
    before = load_calibrated(view.job, 1.0)
    key = [(f"as trained: error {error_text(before)}", tokens.text)]
    if calibration is None:
        scaling = "This model has no temperature, which validation gives while it is trained, so nothing is scaled. "
    else:
        scaling = f"Scaling divides by {calibration.temperature:.2f}, fitted on {calibration.n:,} validation reviews. "
        after = load_calibrated(view.job, calibration.temperature)
        key.append((f"after scaling, dotted: error {error_text(after)}", tokens.valid))
    draw_chart_title(
        reliability_finding(before.found),
        "Share read right over confidence; on the dashed line the two agree. Large dots are many reviews, bars their "
        "95 % intervals. "
        f"{scaling}Click a dot or a bar to read its reviews.",
        key,
    )
    temperature = None if calibration is None else calibration.temperature
    diagram, counts = reliability_charts(view.job, temperature, selection.confidence, tokens)
    st.vega_lite_chart(
        diagram, theme=None, on_select="rerun", key=chart_key("reliability"),
        alt=f"Reliability diagram. {reliability_finding(before.found)}; calibration error {error_text(before)}.",
    )  # fmt: skip
    st.vega_lite_chart(
        counts, theme=None, on_select="rerun", key=chart_key("bin_counts"), alt="Reviews in each bin of confidence."
    )


def error_text(calibrated: Calibrated) -> str:
    """Write a calibration error with its interval: "2.9 % (2.4 to 3.4)"."""
    return f"{percent(calibrated.found.error)} ({interval_text(calibrated.low, calibrated.high)})"


def draw_risk(view: Scored, selection: Selection) -> None:
    """Draw how many are right among the surest; a point is a filter, and so is the choice beside the title."""
    tokens, curve = current_tokens(), load_risk(view.job, view.results.cut)
    surest = selection.surest or USUAL_COVERAGE
    draw_chart_title(
        risk_finding(curve, surest),
        f"The other {100 - surest} % would go to a person. The shade is the 95 % Wilson interval; sure is what lies "
        "far from the threshold. Click the curve to list those reviews.",
        [("share right among those accepted", tokens.text)],
    )
    st.vega_lite_chart(
        risk_chart(view.job, view.results.cut, selection.surest, tokens), theme=None, on_select="rerun",
        key=chart_key("risk"), alt=f"Risk-coverage curve. {risk_finding(curve, surest)}.",
    )  # fmt: skip
    draw_surest_choice(selection)


def draw_surest_choice(selection: Selection) -> None:
    """Draw the same choice as a widget, for whoever has no mouse."""
    chosen = selection.surest or ALL
    remember("evaluation_surest", chosen)
    st.selectbox(
        "Accept the surest", sorted({*OFFERED_COVERAGES, chosen}, reverse=True), key="evaluation_surest", width=170,
        format_func=lambda share: "all" if share == ALL else f"{share} %", on_change=choose_surest,
    )  # fmt: skip


def choose_surest() -> None:
    """Carry the chosen share into the URL."""
    share = recall("evaluation_surest")
    choices.selection_to_url(replace(choices.selection_from_url(), surest=None if share == ALL else share))


def draw_roc(view: Scored, selection: Selection) -> None:
    """Draw the ROC curve; a point is a filter."""
    auc = view.evaluation.metrics["roc_auc"].value
    figure = curve_figures(view.job, view.results.cut, selection.at_least, current_tokens())[0]
    if figure is None or auc is None:
        draw_chart_title("No ROC curve", "It needs both labels, and this split has one.")
        return
    draw_chart_title(
        f"A positive review scores above a negative one {100 * auc:.1f} times in 100",
        "ROC over all thresholds. Dashed: chance. The ring is the threshold in use; the shade is the 95 % Wilson "
        "interval of recall. Click the curve to list what counts as positive there.",
    )
    st.plotly_chart(
        figure, theme=None, config=PLOTLY_CONFIG, on_select="rerun", selection_mode="points", key=chart_key("roc"),
        alt=f"ROC curve; area {auc:.3f}.",
    )  # fmt: skip


def draw_precision_recall(view: Scored, selection: Selection) -> None:
    """Draw the precision-recall curve; a point is a filter."""
    curve = load_curves(view.job, view.results.cut)[2]
    figure = curve_figures(view.job, view.results.cut, selection.at_least, current_tokens())[1]
    if figure is None or curve is None or curve.base == 1.0:
        draw_chart_title("No precision-recall curve", "It needs both labels, and this split has one.")
        return
    draw_chart_title(
        precision_finding(view.evaluation),
        f"Precision over recall. Dashed: the share of positive reviews, {percent(curve.base)}. Ring, shade and click "
        "as in the other chart.",
    )
    st.plotly_chart(
        figure, theme=None, config=PLOTLY_CONFIG, on_select="rerun", selection_mode="points",
        key=chart_key("precision_recall"), alt="Precision-recall curve.",
    )  # fmt: skip


def precision_finding(evaluation: Evaluation) -> str:
    """Say what the threshold in use finds, and how pure it is."""
    precision, recall_ = evaluation.metrics["precision"].value, evaluation.metrics["recall"].value
    if precision is None:
        return "No review was read as positive"
    return f"It finds {percent(recall_)} of the positive reviews, and {percent(precision)} of its picks are positive"
