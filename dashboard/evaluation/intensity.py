"""The section Intensity: how the score, 0 to 1, goes with the stars that authors gave."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st

from core.errors import ReviewscopeError
from core.evaluation.intensity import Correlation, Intensity
from core.evaluation.selection import LABELS, Mask, Selection
from core.wording import DASH
from dashboard.cache import intensity_chart, load_intensity, load_predictor, load_stars
from dashboard.components import draw_caption, draw_chart_title, draw_facts, empty_box, failed_box
from dashboard.evaluation.choices import Door, chart_key, clicked_mark
from dashboard.evaluation.view import Scored, capital
from dashboard.tokens import current_tokens


def open_stars(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """List the reviews with the stars that were clicked, right or wrong; a second click takes the filter away."""
    if (mark := clicked_mark(clicked)) is None:
        return selection
    stars = int(mark["stars"])
    is_again = stars == selection.stars
    return replace(selection, stars=None if is_again else stars, only_wrong=is_again)


DOORS: dict[str, Door] = {"stars": open_stars}


def filter_stars(view: Scored, selection: Selection) -> Mask:
    """Return which reviews have the selection's number of stars, bool (N); none where the data has no stars."""
    try:
        stars = load_stars(view.data.config, view.data.split)
    except ReviewscopeError:
        stars = None
    if stars is None or len(stars) != len(view.results):
        return np.zeros(len(view.results), np.bool_)
    chosen: Mask = stars == selection.stars
    return chosen


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section: the scores by stars and their correlation, or what is needed for them."""
    temperature = load_predictor(view.model.reference).temperature
    try:
        found = load_intensity(view.job, temperature, view.data.config, view.data.split)
    except ReviewscopeError as error:
        with failed_box("intensity", str(error), "The scores are as they were."):
            st.button("Try again", key="evaluation_intensity_retry")
        return
    if found is None or not found.by_stars:
        draw_no_stars(view)
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        draw_scores(view, found, temperature, selection)
    with right:
        draw_correlations(found, temperature)


def draw_no_stars(view: Scored) -> None:
    """Draw what stands here where the data has no stars."""
    needs = {
        "imdb": "IMDB's are read from imdb/ratings/train.parquet and test.parquet in the folder of the data, one "
        "column, rating, a row for each review.",
        "table": "Give the table a column called stars or rating that holds whole stars, or labels that are stars. "
        "A row may have none.",
    }
    what = f"How the score goes with the stars that authors gave. {capital(view.data.sentence)} comes without stars."
    with empty_box("intensity", what, needs.get(view.data.source, "")):
        pass


def draw_scores(view: Scored, found: Intensity, temperature: float, selection: Selection) -> None:
    """Draw the mean score by stars over the spread of the scores."""
    tokens, first, last = current_tokens(), found.by_stars[0], found.by_stars[-1]
    title = f"From {first.mean:.2f} at {star_words(first.stars)} to {last.mean:.2f} at {star_words(last.stars)}"
    if first is last:
        title = f"{first.mean:.2f} at {star_words(first.stars)}, the only rating"
    draw_chart_title(
        title,
        "Mean score, 0 very negative to 1 very positive, with its 95 % interval (normal); behind it, in grey, how the "
        "scores spread. Click a column to read its reviews.",
    )
    chart = intensity_chart(view.job, temperature, view.data.config, view.data.split, selection.stars, tokens)
    alt = ", ".join(f"{star_words(each.stars)}: {each.mean:.2f}" for each in found.by_stars)
    st.vega_lite_chart(
        chart, theme=None, on_select="rerun", key=chart_key("stars"), alt=f"Mean score by stars. {alt}."
    )  # fmt: skip


def draw_correlations(found: Intensity, temperature: float) -> None:
    """Draw how closely scores follow stars, over all reviews and within each label."""
    draw_chart_title(
        correlation_finding(found.correlation),
        f"Spearman's rank correlation of score and stars with its 95 % interval (Bonett and Wright); "
        f"{found.correlation.n:,} reviews.",
    )
    draw_facts(
        "Where labels were made of stars, telling the labels apart is most of this figure. Within one label it says "
        "whether the score knows good from very good."
    )
    for label, correlation in zip(LABELS, found.of_label, strict=True):
        draw_facts(f"Labelled {label} alone: {correlation_text(correlation)}, {correlation.n:,} reviews.")
    scale = "the probability of positive as the model gives it: it has no temperature"
    if temperature != 1:
        scale = f"the probability of positive, its logit divided by the temperature {temperature:.2f} from validation"
    without = f" {found.without:,} reviews have no stars and are left out." if found.without else ""
    draw_caption(f"The score is {scale}. Stars are never trained on.{without}")


def correlation_finding(correlation: Correlation) -> str:
    """Say how closely scores follow stars."""
    if correlation.value is None:
        return f"No correlation: {correlation.method.removeprefix('undefined: ')}"
    follows = "The score follows the stars" if correlation.value > 0 else "The score does not follow the stars"
    return f"{follows}: {correlation_text(correlation)}"


def correlation_text(correlation: Correlation) -> str:
    """Write a correlation with its interval, as "0.799 (0.794 to 0.804)"."""
    if correlation.value is None or correlation.low is None or correlation.high is None:
        return f"{DASH}, {correlation.method.removeprefix('undefined: ')}"
    return f"{correlation.value:.3f} ({correlation.low:.3f} to {correlation.high:.3f})"


def star_words(stars: int) -> str:
    """Write a number of stars."""
    return f"{stars} star{'' if stars == 1 else 's'}"
