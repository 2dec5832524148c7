"""A second model beside the first on one review: which there are, and what the two verdicts have in common."""

import os
from collections import Counter
from contextlib import suppress
from html import escape
from pathlib import Path

import streamlit as st

from core import settings
from core.default_model import STARTER
from core.errors import ReviewscopeError
from core.model_settings import Cutoffs
from core.runs import Run, imported_model_file
from core.wording import percent
from dashboard.tokens import current_tokens

OTHER = "prediction_other"
SHOWN_ID = 12


def choose_other(reference: str) -> str | None:
    """Draw the choice of a second model and return its reference, or None; nothing is drawn where there is no other."""
    names = other_models(reference)
    if not names:
        return None
    chosen: str | None = st.selectbox(
        "Compare with", list(names), index=None, placeholder="Another model", key=OTHER, width=240,
        format_func=lambda option: names.get(option, option),
    )  # fmt: skip
    return chosen if chosen in names else None


def other_models(reference: str) -> dict[str, str]:
    """Return the names of all models but one by reference: runs, newest first, imported ones, the starter."""
    abouts = {}
    for path in (settings.home() / "runs").glob("*/model.safetensors"):
        with suppress(ReviewscopeError):  # a damaged run is told of where runs are listed
            abouts[path.parent.name] = Run(path.parent).about
    newest = sorted(abouts.items(), key=lambda item: item[1].created, reverse=True)
    names = {run_id: about.name for run_id, about in newest}
    for path in sorted(imported_model_file("").parent.glob("*.safetensors")):
        names[path.stem] = path.stem[:SHOWN_ID]
    if settings.STARTER_FILE.exists():
        names[STARTER] = STARTER
    names.pop(reference, None)
    count = Counter(names.values())
    return {each: name if count[name] == 1 else f"{name} ({each})" for each, name in names.items()}


def name_of(reference: str) -> str:
    """Return what a model is called."""
    if os.sep in reference:
        return Path(reference).name
    try:
        return STARTER if reference == STARTER else Run(settings.home() / "runs" / reference).about.name
    except ReviewscopeError:
        return reference[:SHOWN_ID]


def agreement_words(
    names: tuple[str, str], probabilities: tuple[float, float], cutoffs: tuple[Cutoffs, Cutoffs]
) -> tuple[str, str]:
    """Say whether two models agree on a text, and by how many points of the probability of positive they differ.

    Args:
        names: Of the models.
        probabilities: Of positive, 0 to 1, one a model.
        cutoffs: Each model's own threshold and band, by which its verdict is made.

    Returns:
        The finding, and both figures with what counts as not sure.
    """
    first, second = (
        "positive" if probability > each.threshold else "negative"
        for probability, each in zip(probabilities, cutoffs, strict=True)
    )
    # Of the figures as they are shown, so that a reader who subtracts finds the same.
    points = round(100 * abs(round(probabilities[0], 3) - round(probabilities[1], 3)), 1)
    apart = "with the same probability" if not points else f"{points:.1f} {'point' if points == 1 else 'points'} apart"
    title = f"Both read it as {first}, {apart}" if first == second else f"They disagree, {apart}"
    shown = [f"{name} {percent(probability)}" for name, probability in zip(names, probabilities, strict=True)]
    unsure = [
        name
        for name, probability, each in zip(names, probabilities, cutoffs, strict=True)
        if each.side(probability) == "not sure"
    ]
    counts = {0: "", 1: f" {unsure[0]} counts it as not sure." if unsure else "", 2: " Both count it as not sure."}
    return title, f"Probability of positive: {shown[0]}, {shown[1]}.{counts[len(unsure)]}"


def draw_distance(names: tuple[str, str], probabilities: tuple[float, float]) -> None:
    """Draw both probabilities on one line from negative to positive: a dot, and a ring that a dot shows through."""
    tokens = current_tokens()
    marks = (f"background:{tokens.text}", f"border:3px solid {tokens.run_b}")
    places = [100 * probability for probability in probabilities]
    line = "position:absolute;top:6px;height:4px;border-radius:2px"
    drawn = [
        f'<div style="{line};left:0;right:0;background:{tokens.panel}"></div>',
        f'<div style="{line};left:{min(places):.2f}%;right:{100 - max(places):.2f}%;background:{tokens.quiet}"></div>',
    ]
    for place, mark in zip(places, marks, strict=True):
        drawn.append(f'<div style="position:absolute;top:1px;left:calc({place:.2f}% - 7px);{_round(14)};{mark}"></div>')
    said = ", ".join(f"{name} {percent(each)}" for name, each in zip(names, probabilities, strict=True))
    key = "".join(
        f'<span><i style="{_round(12)};{mark}"></i>{escape(name)}</span>'
        for name, mark in zip(names, marks, strict=True)
    )
    st.html(
        f'<div class="rs"><div role="img" aria-label="{escape(said)}" style="position:relative;height:16px;'
        f'margin:0.3em 8px">{"".join(drawn)}</div>'
        '<div class="rs-caption" style="display:grid;grid-template-columns:1fr auto 1fr"><span>negative, 0 %</span>'
        '<span>50 %</span><span style="text-align:right">positive, 100 %</span></div>'
        f'<p class="rs-caption rs-key" style="margin-top:0.4em">{key}</p></div>'
    )


def _round(size: int) -> str:
    return f"width:{size}px;height:{size}px;box-sizing:border-box;border-radius:50%"
