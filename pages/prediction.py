"""One review, a spreadsheet, and what was scored before."""

import re

import streamlit as st

from core import settings
from core.default_model import STARTER, default_model
from core.errors import ReviewscopeError
from core.model_settings import load_settings, probability_text
from core.prediction.uploads import KEPT_DAYS
from core.runs import find_run
from core.wording import interval_text, percent
from dashboard import state
from dashboard.bulk.choices import leave_file
from dashboard.bulk.result import draw_result_head
from dashboard.bulk.wizard import draw_spreadsheet, job_with_result, model_in_use
from dashboard.cache import load_predictor
from dashboard.components import draw_head
from dashboard.one_review import draw_one_review
from dashboard.run_view import test_interval
from dashboard.saved_tables import draw_saved

VIEWS = {"one": "One review", "file": "A spreadsheet", "saved": "Saved results"}
TITLES = {"one": "Read one review", "file": "Score a spreadsheet", "saved": "Tables scored before"}
KEPT = f"On this computer. A table and what was made of it go {KEPT_DAYS} days after the upload, unless you pin it."
VIEW = "prediction_view"


def main() -> None:
    """Draw the page from top to bottom."""
    view = state.from_url("view") or "one"
    view = view if view in VIEWS else "one"
    reference = model_in_use() if view == "file" else default_model()
    if view == "file" and (job := job_with_result()) is not None:
        draw_result_head(job, leave_file)
    else:
        draw_head(TITLES[view], KEPT if view == "saved" else model_sentence(reference) + setting_sentence(reference))
    state.remember(VIEW, view)  # the URL is the truth; a click changes it before the page is drawn
    st.segmented_control(
        "View", list(VIEWS), key=VIEW, format_func=lambda name: VIEWS[name], required=True,
        label_visibility="collapsed", on_change=lambda: state.to_url(view=state.recall(VIEW)),
    )  # fmt: skip
    if view == "one":
        draw_one_review(reference)
    elif view == "file":
        draw_spreadsheet()
    else:
        draw_saved()


def model_sentence(reference: str) -> str:
    """Name the model that reads here, and its figures where they are known."""
    if reference == STARTER:
        figures = starter_figures()
        return "Read by the starter model" + (f": {figures} of IMDB." if figures else ".")
    try:
        run = find_run(reference)
        name, result, interval = run.about.name, run.result, test_interval(run)
    except ReviewscopeError:
        return f"Read by the imported model {reference[:12]}; nothing is known of its figures."
    known = f"{name}, the default model" if reference == default_model() else name
    if result is None or (result.test_accuracy is None and result.valid_accuracy is None):
        return f"Read by {known}."
    if result.test_accuracy is None:
        return f"Read by {known}: {percent(result.valid_accuracy)} right on its validation reviews."
    shown = f" ({interval_text(*interval)})" if interval else ""
    return f"Read by {known}: {percent(result.test_accuracy)} right on its test reviews{shown}."


def setting_sentence(reference: str) -> str:
    """Say which threshold the model reads with, where one was set."""
    try:
        used = load_settings(load_predictor(reference).sha256)
    except ReviewscopeError:
        return ""
    threshold = probability_text(used.threshold)
    return "" if used.is_usual else f" Threshold {threshold} is set for it; any figures are those at 0.50."


def starter_figures() -> str:
    """Return the starter's test accuracy from its card, or nothing."""
    card = settings.STARTER_FILE.with_name("MODEL_CARD.md")
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    found = re.search(r"Figures on the ([\d,]+) .*?\| Accuracy \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", text, re.DOTALL)
    if not found:
        return ""
    accuracy, low, high = (float(found[place]) for place in (2, 3, 4))
    return f"{percent(accuracy)} right ({interval_text(low, high)}) on the {found[1]} test reviews"


main()
