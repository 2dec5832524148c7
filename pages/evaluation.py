"""Evaluation: where a model is right and wrong, down to the reviews behind each number."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from core.errors import ReviewscopeError
from core.evaluation.selection import Selection
from core.prediction.evaluating import EvaluationJob, evaluation_folder
from dashboard.cache import data_fingerprint, load_predictor, load_split
from dashboard.components import draw_caption, draw_head, empty_box, failed_box
from dashboard.evaluation import (
    choices,
    confidence,
    fault,
    intensity,
    overview,
    review_map,
    robustness,
    themes,
    two_runs,
)
from dashboard.evaluation.choices import DataChoice, Door, ModelChoice
from dashboard.evaluation.figures import draw_figures
from dashboard.evaluation.report_button import draw_report_button
from dashboard.evaluation.review_list import draw_reviews
from dashboard.evaluation.scoring import draw_damaged, draw_scoring, draw_unreadable
from dashboard.evaluation.threshold_panel import draw_threshold
from dashboard.evaluation.view import Scored, View, open_scores
from dashboard.state import from_url, recall, remember, to_url
from dashboard.table_choice import SCORING, draw_table_choice

TRAINING_PAGE = Path(__file__).parent / "training.py"


class Section(NamedTuple):
    """A section of the page: its title, what draws it, and what a click on one of its charts filters by."""

    title: str
    draw: Callable[[Scored, Selection], None]
    doors: dict[str, Door]


SECTIONS = {
    "overview": Section("Overview", overview.draw, overview.DOORS),
    "confidence": Section("Confidence", confidence.draw, confidence.DOORS),
    "themes": Section("Error themes", themes.draw, themes.DOORS),
    "fault": Section("Whose fault?", fault.draw, fault.DOORS),
    "map": Section("Map", review_map.draw, review_map.DOORS),
    "robustness": Section("Robustness", robustness.draw, robustness.DOORS),
    "two_runs": Section("Two runs", two_runs.draw, two_runs.DOORS),
    "intensity": Section("Intensity", intensity.draw, intensity.DOORS),
}


def main() -> None:
    """Choose model and split; score it once; then figures, a section, and the reviews that it leads to."""
    models = choices.list_models()
    if not models:
        draw_no_model()
        return
    model = choices.chosen_model(models)
    offered = choices.list_data(model)
    data = choices.chosen_data(offered)
    draw_page_head(models, model, offered, data)
    try:
        rows = load_split(data.config, data.split)
        sha256, fingerprint = load_predictor(model.reference).sha256, data_fingerprint(data.config)
    except ReviewscopeError as error:
        draw_unreadable(str(error))
        return
    job = EvaluationJob(evaluation_folder(sha256, fingerprint, data.split))
    unscored = View(model, data, job, rows, sha256, fingerprint)
    if not job.is_done:
        draw_scoring(unscored)
        return
    try:
        view = open_scores(unscored)
    except ReviewscopeError as error:
        draw_damaged(unscored, str(error))
        return
    section = chosen_section()
    choices.take_clicks(section.doors)
    selection = choices.selection_from_url()
    draw_figures(view)
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        draw_sections()
        with st.container(horizontal=True, width="content"):
            draw_threshold(view)
            draw_report_button(view)
    try:
        section.draw(view, selection)
    except ReviewscopeError as error:
        with failed_box("section", str(error), "The figures above and the reviews below are as they were."):
            st.button("Try again", key="evaluation_section_retry")
    draw_reviews(view, selection)


def draw_no_model() -> None:
    """Draw what stands here before anything was trained, when the starter is not installed either."""
    draw_head("Where a model is right and wrong", "Figures with intervals, and the reviews behind them.")
    how = "Train a model first; the fast preset takes about a minute. Or `make starter` builds the starter model."
    with empty_box("evaluation", "There is no model to look at yet.", how):
        if st.button("Train the first one", type="primary", key="evaluation_train"):
            st.switch_page(TRAINING_PAGE)


def draw_page_head(models: list[ModelChoice], model: ModelChoice, offered: list[DataChoice], data: DataChoice) -> None:
    """Draw the title on the left, and on the right which model and which data."""
    names = {choice.reference: choice.name for choice in models}
    for reference, name in list(names.items()):
        if list(names.values()).count(name) > 1:
            names[reference] = f"{name} ({reference})"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        with st.container(width="content"):
            draw_head(
                f"Where {model.spoken} is right and wrong", "Click a cell or a bar to read the reviews behind it."
            )
            asked = from_url("model")
            if asked not in (None, model.reference):
                draw_caption(f"There is no model {str(asked)[:60]!r} here any more; this is {model.spoken}.")
            if missing := choices.missing_data(data):
                draw_caption(missing)
        with st.container(horizontal=True, width="content", vertical_alignment="bottom"):
            remember("evaluation_model", model.reference)
            st.selectbox(
                "Model", list(names), format_func=names.__getitem__, key="evaluation_model", width=200,
                on_change=choose_model,
            )  # fmt: skip
            remember("evaluation_data", data)
            st.selectbox(
                "Data", offered, format_func=lambda choice: choice.title, key="evaluation_data", width=230,
                on_change=choose_data,
            )  # fmt: skip
            draw_table_popover()


def draw_table_popover() -> None:
    """Draw the way to have any labelled table read."""
    popover = st.popover("Bring a labelled table", icon=":material/upload:", key="evaluation_bring", on_change="rerun")
    if popover.open:
        with popover:
            chosen = draw_table_choice(SCORING)
            if chosen is not None and not chosen.problem:
                st.button("Evaluate on it", key="evaluation_use_table", on_click=use_table)


def use_table() -> None:
    """Take up the table that was brought, all of it, and close the box it was brought through."""
    remember("evaluation_bring", False)
    to_url(data="table", split=choices.ALL)
    choices.name_in_url(page=None)


def choose_model() -> None:
    """Take up another model; its data may be other data, but a table that was brought stays."""
    if from_url("split") == choices.ALL:
        to_url(model=recall("evaluation_model"))
    else:
        to_url(model=recall("evaluation_model"), data=None, split=None)
    choices.name_in_url(page=None)


def choose_data() -> None:
    """Take up another split."""
    data = recall("evaluation_data")
    to_url(data=data.source, split=data.split)
    choices.name_in_url(page=None)


def chosen_section() -> Section:
    """Return the section that the URL names, else the first."""
    return SECTIONS.get(from_url("evaluation_section") or "", SECTIONS["overview"])


def draw_sections() -> None:
    """Draw the switch between the sections."""
    section = from_url("evaluation_section")
    remember("evaluation_section_choice", section if section in SECTIONS else "overview")
    st.segmented_control(
        "Section", list(SECTIONS), format_func=lambda name: SECTIONS[name].title, key="evaluation_section_choice",
        required=True, label_visibility="collapsed", on_change=choose_section,
    )  # fmt: skip


def choose_section() -> None:
    """Turn to another section; the first one needs no name."""
    section = recall("evaluation_section_choice")
    choices.name_in_url(section=None if section == "overview" else section)


main()
