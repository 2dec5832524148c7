"""The whole evaluation as one file to keep or to send on."""

from functools import partial

import streamlit as st

from core.prediction.theming import theme_options
from core.report import build_report, gather_subject
from dashboard.cache import load_predictor
from dashboard.evaluation.analysis_box import analysis_job
from dashboard.evaluation.view import Scored


def draw_report_button(view: Scored) -> None:
    """Draw the button that downloads the report, which is made only then."""
    st.download_button(
        "Report", partial(make_report, view), key="evaluation_report", icon=":material/description:",
        file_name=f"{view.model.reference}-{view.data.source}-{view.data.split}.html", mime="text/html",
        on_click="ignore",
        help="Figures, charts, themes and the most confident errors in one HTML file, which needs no network.",
    )  # fmt: skip


def make_report(view: Scored) -> bytes:
    """Return the report of what the page shows; without themes where they are not found yet."""
    request = analysis_job(view, "themes", **theme_options(view.results)).request
    predictor = load_predictor(view.model.reference)
    subject = gather_subject(view.model.spoken, view.data.sentence, request, predictor, view.rows.texts, may_look=False)
    return build_report(subject).encode("utf-8", "replace")
