"""The section Map: the reviews in two dimensions of the model's own representation, and an area drawn on it."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import streamlit as st

from core.charts.review_map import MAP_CONFIG, MAP_HEIGHT
from core.evaluation.area import Corners, round_corners
from core.evaluation.intervals import wilson_interval
from core.evaluation.selection import Mask, Results, Selection
from core.prediction.analysis import AnalysisJob
from core.wording import interval_text, percent
from dashboard.cache import load_finding, load_finding_table, load_split, map_figure, reviews_in_area
from dashboard.components import about_duration, draw_caption, draw_chart_title, draw_facts
from dashboard.evaluation import choices
from dashboard.evaluation.analysis_box import analysis_job, draw_until_done, is_readable
from dashboard.evaluation.choices import Door
from dashboard.evaluation.view import Scored, capital
from dashboard.tokens import current_tokens

PAIRS_A_SECOND = 6e7  # of reviews and training reviews compared, on two cores of a laptop


def open_area(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the lasso or box that was drawn, rounded so that the URL holds it; one without area changes nothing."""
    area = drawn_area(clicked)
    return replace(selection, area=area) if area else selection


DOORS: dict[str, Door] = {"map": open_area}


def drawn_area(clicked: Mapping[str, Any]) -> Corners:
    """Return the corners of the last lasso or box of a Plotly selection, rounded; none when nothing was drawn."""
    if lassos := clicked.get("lasso"):
        return round_corners(list(zip(lassos[-1]["x"], lassos[-1]["y"], strict=True)))
    if boxes := clicked.get("box"):
        (x0, x1), (y0, y1) = boxes[-1]["x"], boxes[-1]["y"]
        return round_corners([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return ()


def map_job(view: Scored) -> AnalysisJob:
    """Return the look that lays out the map and, where they are at hand, finds the nearest training reviews."""
    return analysis_job(view, "neighbours", train=has_training_reviews(view))


def has_training_reviews(view: Scored) -> bool:
    """Tell whether the training reviews of the data on the page are those that the model was trained on."""
    own, here = view.model.config, view.data.config
    return own.data == here.data and own.split_seed == here.split_seed


def filter_area(view: Scored, selection: Selection) -> Mask:
    """Return which reviews lie in the area, bool (N); none before the map is there."""
    job = map_job(view)
    return reviews_in_area(job, selection.area) if job.is_done else np.zeros(len(view.results), np.bool_)


def area_words(view: Scored) -> str:
    """Say what a filter by area comes to."""
    is_there = map_job(view).is_done
    return "inside the area drawn on the map" if is_there else "inside an area of the map, which is not drawn yet"


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section: the offer of the map, or the map and what lies in the area drawn on it."""
    job = map_job(view)
    if not draw_map_until_done(view, job):
        return
    document, tokens = load_finding(job), current_tokens()
    draw_chart_title(
        map_finding(view.results),
        "A point is a review. Across: its logit. Up and down: the direction in which the reviews differ most besides, "
        f"in the {document['numbers']:,} numbers that {view.model.spoken} makes of a text{share_words(document)}. "
        "Draw around points, with the lasso or the box, to list them below.",
        [("read right", tokens.quiet), ("misread", tokens.wrong)],
    )
    st.plotly_chart(
        map_figure(job, view.job.results_file, view.results.cut, selection.area, tokens),
        theme=None, config=MAP_CONFIG, on_select="rerun", selection_mode=("lasso", "box"),
        key=choices.chart_key("map"), alt=f"Map of {len(view.results):,} reviews. {map_finding(view.results)}.",
    )  # fmt: skip
    if selection.area:
        draw_area_line(view, selection, reviews_in_area(job, selection.area))
    draw_caption(train_sentence(view, document, load_finding_table(job)))


def draw_map_until_done(view: Scored, job: AnalysisJob) -> bool:
    """Draw the offer or the progress of the map; tell whether it is there."""
    if job.is_done:
        return is_readable(job)
    takes = estimate_map(view)
    also = ", and finds for each the training reviews that it reads most alike" if has_training_reviews(view) else ""
    return draw_until_done(
        job,
        f"Every review of {view.data.sentence} as a point, where {view.model.spoken} puts it.",
        f"{capital(view.model.spoken)} reads them again{also}. "
        f"{'It takes ' + about_duration(takes) if takes else 'It runs'} in the background, and is kept.",
        "Draw the map",
        MAP_HEIGHT,
    )


def estimate_map(view: Scored) -> float | None:
    """Return how many seconds the map takes, by how long scoring took; None when that is not known."""
    n = len(view.results)
    train = len(load_split(view.data.config, "train")) if has_training_reviews(view) else 0
    seconds = choices.estimate_seconds(view.sha256, n + train)
    return None if seconds is None else 2.0 + seconds + n * train / PAIRS_A_SECOND


def map_finding(results: Results) -> str:
    """Say how near to the cut the misread reviews lie."""
    errors = int(results.wrong.sum())
    if not errors:
        return "No review was misread"
    half = np.sort(results.sureness[results.wrong])[-(-errors // 2) - 1]
    share = float((results.sureness <= half).mean())
    who = "The one misread review lies" if errors == 1 else f"Half of the {errors:,} misread reviews lie"
    return f"{who} among the {percent(share)} nearest to the dashed line"


def share_words(document: Mapping[str, Any]) -> str:
    """Say how much of what is left the second axis shows."""
    share = document["share"]
    return "" if share is None else f" ({percent(share)} of that difference: near on the map need not be alike)"


def draw_area_line(view: Scored, selection: Selection, inside: Mask) -> None:
    """Draw how many reviews lie in the area, how many of them are misread, and the way out of it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="content"):
            draw_facts(area_sentence(view.results, inside))
        st.button(
            "Take the area away", icon=":material/close:", type="tertiary", key="evaluation_area_clear",
            on_click=partial(choices.selection_to_url, selection.without("area")),
        )  # fmt: skip


def area_sentence(results: Results, inside: Mask) -> str:
    """Say what lies in an area and how often it is misread, beside the rest."""
    n, wrong = int(inside.sum()), int((inside & results.wrong).sum())
    said = f"{n:,} review{'' if n == 1 else 's'} inside, {wrong:,} misread"
    if not n:
        return "No review inside the area"
    said += f": {percent(wrong / n)} (95 % interval {interval_text(*wilson_interval(wrong, n))})"
    rest, rest_wrong = len(results) - n, int(results.wrong.sum()) - wrong
    return f"{said}; outside {percent(rest_wrong / rest)}" if rest else said


def train_sentence(view: Scored, document: Mapping[str, Any], table: pa.Table) -> str:
    """Say what the nearest training reviews are labelled, or why there are none."""
    if document["train"] is None:
        return no_training_words(view)
    wrong, near = view.results.wrong, table["near"].to_numpy()
    positive = table["near_positive"].to_numpy()
    with_verdict = np.where(view.results.verdicts == 1, positive, near - positive)
    is_most = 2 * with_verdict > near
    said = []
    for mask, who in ((wrong, "misread reviews"), (~wrong, "reviews read right")):
        if n := int((mask & (near > 0)).sum()):
            count = int((mask & is_most).sum())
            said.append(f"of {n:,} {who} {percent(count / n)} ({interval_text(*wilson_interval(count, n))})")
    whose = f"Most of the five nearest training reviews are labelled as {view.model.spoken} read it: {', '.join(said)}."
    same = document.get("same_text")
    copies = f" {same:,} of these reviews stand{'s' if same == 1 else ''} word for word in training." if same else ""
    return f"{whose} 95 % Wilson intervals.{copies} The drawer of a review shows its five."


def no_training_words(view: Scored) -> str:
    """Say why there are no nearest training reviews."""
    article = "the " if view.data.source == "demo" else ""
    return (
        f"{capital(view.model.spoken)} was not trained on {article}{view.data.data_name}: there are no training "
        "reviews of its own to put beside these."
    )
