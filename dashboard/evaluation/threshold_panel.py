"""The threshold and the band of "not sure": chosen on validation with test beside it, kept with the model."""

from functools import partial
from typing import Any, cast

import streamlit as st

from core import jobs
from core.errors import ReviewscopeError
from core.evaluation.metrics import Metric
from core.evaluation.selection import Results
from core.evaluation.thresholds import Aim, BandAim, Outcome, choose_band, choose_threshold, measure, sweep
from core.model_settings import (
    ChosenBy,
    Cutoffs,
    ModelSettings,
    probability_text,
    reset_settings,
    save_settings,
    settings_fault,
)
from core.prediction.evaluating import (
    EvaluationJob,
    EvaluationRequest,
    create_evaluation_job,
    evaluation_folder,
    has_validation,
)
from core.wording import DASH, interval_text, percent
from dashboard.cache import load_split, load_verdicts
from dashboard.components import draw_caption, draw_chart_title, draw_facts, empty_box, failed_box
from dashboard.evaluation.scoring import draw_progress
from dashboard.evaluation.view import Scored, capital, state_of
from dashboard.state import forget, recall, remember

POPOVER = "evaluation_threshold"
REFUSED = "evaluation_threshold_refused"
AIMS: dict[str, str] = {
    "hand": "Set by hand",
    "accuracy": "Most accurate",
    "f1": "Best F1",
    "cost": "Cheapest",
    "precision": "Precise enough",
}
BAND_AIMS: dict[str, str] = {
    "hand": "Set by hand",
    "right": "Wide enough for the rest to be right",
    "share": "Wide enough to hold a share",
}
LEAST, MOST, STEP = 0.01, 0.99, 0.01
ROWS = {
    "accuracy": "Right",
    "false_positives": "Negative, read as positive",
    "false_negatives": "Positive, read as negative",
    "precision": "Precision",
    "f1": "F1",
    "not_sure": "Not sure",
    "rest": "Right among the rest",
}


def draw_threshold(view: Scored) -> None:
    """Draw the button that says the setting in use and opens the panel; the panel is drawn only while it is open."""
    chosen = view.settings
    label = f"Threshold {probability_text(chosen.threshold)} · {band_words(chosen)}"
    with (popover := st.popover(label, icon=":material/tune:", key=POPOVER, on_change="rerun")):
        if popover.open:
            draw_panel(view)


def band_words(cutoffs: Cutoffs) -> str:
    """Return the band as the button says it."""
    if cutoffs.unsure_low == cutoffs.unsure_high:
        return "never not sure"
    return f"not sure {probability_text(cutoffs.unsure_low)} to {probability_text(cutoffs.unsure_high)}"


@st.fragment
def draw_panel(view: Scored) -> None:
    """Draw the choices, what they come to, and the buttons that keep them; sliding redraws the panel alone."""
    saved = view.settings
    draw_chart_title(
        "Where a probability becomes a verdict",
        "Chosen on validation reviews; test is only shown. Kept with the model and used on every page, also where "
        "tables are scored.",
    )
    if fault := settings_fault(view.sha256):
        with failed_box("threshold", fault, "The next choice replaces it."):
            pass
    valid = EvaluationJob(evaluation_folder(view.sha256, view.fingerprint, "valid"))
    if not has_validation(view.data.config, view.data.split):
        draw_no_validation(view, saved)
    elif not valid.is_done:
        draw_unscored(view, valid)
    else:
        try:
            draw_choice(view, saved, load_verdicts(valid))
        except ReviewscopeError as error:
            with failed_box("threshold-scores", str(error), f"In use: {saved.describe()}."):
                st.button("Score them again", key="evaluation_threshold_again", on_click=score_again, args=(view,))


def draw_no_validation(view: Scored, saved: ModelSettings) -> None:
    """Say why nothing can be chosen here, and what is in use."""
    is_whole = view.data.split == "all"
    why = "This table is looked at whole" if is_whole else "No share of these reviews was held back for it"
    draw_facts(f"{why}, so there is no validation to choose on.")
    draw_caption(f"In use: {saved.describe()}; {saved.origin}. Choose it on the data that the model was trained on.")
    draw_reset(view, saved)


def draw_unscored(view: Scored, valid: EvaluationJob) -> None:
    """Draw the offer to score the validation reviews, the progress, or what went wrong."""
    state = state_of(valid)
    status = state.status if state else None
    start = partial(start_scoring, view)
    if error := recall(REFUSED):
        forget(REFUSED)
        with failed_box("threshold-score", error, "Nothing was scored."):
            st.button("Try again", key="evaluation_threshold_retry", on_click=start)
    elif status in ("queued", "running"):
        draw_progress(valid, f"{capital(view.model.spoken)} reads the validation reviews.")
    elif state and status in ("failed", "interrupted", "stopped"):
        message = state.message or f"It was {status}."
        with failed_box(
            "threshold-score", f"The validation reviews are not scored. {message}", "All else is as it was."
        ):
            st.button("Try again", key="evaluation_threshold_retry", on_click=start)
    else:
        what = f"{capital(view.model.spoken)} has not read the validation reviews, which a threshold is chosen on."
        with empty_box("threshold-score", what, "It takes seconds, in the background."):
            n = len(load_split(view.data.config, "valid"))
            st.button(f"Score {n:,} validation reviews", key="evaluation_threshold_score", on_click=start)


def score_again(view: Scored) -> None:
    """Queue the scoring of the validation reviews, of which what is kept cannot be read."""
    valid = EvaluationJob(evaluation_folder(view.sha256, view.fingerprint, "valid"))
    try:
        valid.discard()
    except ReviewscopeError as error:
        remember(REFUSED, str(error))
        return
    start_scoring(view)


def start_scoring(view: Scored) -> None:
    """Queue the scoring of the validation reviews."""
    request = EvaluationRequest(model=view.model.reference, split="valid", config=view.data.config)
    try:
        jobs.enqueue(create_evaluation_job(request, view.sha256, view.fingerprint))
    except ReviewscopeError as error:
        remember(REFUSED, str(error))


def draw_choice(view: Scored, saved: ModelSettings, valid: Results) -> None:
    """Draw the aims, the figures on validation and test, and the buttons."""
    left, right = st.columns(2, gap="large")
    with left:
        threshold, chosen_by, aim_value = draw_threshold_aim(view, saved, valid)
    with right:
        low, high = draw_band_aim(view, saved, valid, threshold)
    chosen = ModelSettings(
        threshold=threshold, unsure_low=low, unsure_high=high, chosen_by=chosen_by, aim_value=aim_value,
        data_fingerprint=view.fingerprint, n=len(valid),
    )  # fmt: skip
    # The buttons stand above the figures: under them they would be out of sight on a low screen.
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(width="content"):
            said = chosen.describe()
            draw_chart_title(f"{said[0].upper()}{said[1:]}", f"In use: {saved.describe()}.")
        with st.container(horizontal=True, width="content"):
            if st.button("Use this", type="primary", key="evaluation_threshold_use"):
                keep(view, ModelSettings() if chosen_by == "hand" and chosen.is_usual else chosen)
            draw_reset(view, saved)
    test = EvaluationJob(evaluation_folder(view.sha256, view.fingerprint, "test"))
    outcomes = {"Validation": measure(valid.labels, valid.logits, threshold, low, high)}
    if test.is_done:
        results = load_verdicts(test)
        outcomes["Test, read-only"] = measure(results.labels, results.logits, threshold, low, high)
    draw_outcomes(outcomes)


def draw_threshold_aim(view: Scored, saved: ModelSettings, valid: Results) -> tuple[float, ChosenBy, float | None]:
    """Draw how the threshold is chosen; return it, the aim and the aim's number."""
    start = saved.chosen_by if saved.chosen_by in AIMS else "hand"
    aim = st.selectbox("Threshold", list(AIMS), format_func=AIMS.__getitem__, key=begin(view, "aim", start))
    if aim == "hand":
        at_hand = min(max(round(recall(key_of(view, "last"), saved.threshold), 2), LEAST), MOST)
        key = begin(view, "hand", at_hand)
        threshold = st.slider("A verdict is positive above", LEAST, MOST, step=STEP, format="%.2f", key=key)
        remember(key_of(view, "last"), threshold)
        return round(threshold, 2), "hand", None
    value = None
    if aim == "cost":
        key = begin(view, "ratio", saved.aim_value if saved.chosen_by == "cost" else 5.0)
        value = st.number_input(
            "A false positive costs, in false negatives", 0.01, 100.0, step=1.0, format="%.2f", key=key,
            help="A false positive is a negative review that is read as positive.",
        )  # fmt: skip
    elif aim == "precision":
        key = begin(view, "least", 100 * saved.aim_value if saved.aim_value and saved.chosen_by == aim else 95.0)
        percents = st.number_input("At least this % of those read as positive are so", 50.0, 99.9, step=1.0, key=key)
        value = percents / 100
    picked = choose_threshold(sweep(valid.labels, valid.logits), cast(Aim, aim), 1.0 if value is None else value)
    if picked.threshold is None:
        draw_facts(f"{picked.reason} The threshold in use stays.")
        return saved.threshold, saved.chosen_by, saved.aim_value
    remember(key_of(view, "last"), picked.threshold)
    return picked.threshold, cast(ChosenBy, aim), value


def draw_band_aim(view: Scored, saved: ModelSettings, valid: Results, threshold: float) -> tuple[float, float]:
    """Draw how the band is chosen; return its ends, which hold the threshold."""
    aim = st.selectbox(
        "Not sure", list(BAND_AIMS), format_func=BAND_AIMS.__getitem__, key=begin(view, "band_aim", "hand")
    )
    if aim == "hand":
        ends = tuple(min(max(round(end, 2), LEAST), MOST) for end in (saved.unsure_low, saved.unsure_high))
        key = begin(view, "band", ends)
        chosen: tuple[float, float] = st.slider(  # type: ignore[assignment]
            "Not sure from, to below", LEAST, MOST, step=STEP, format="%.2f", key=key,
            help="It always holds the threshold. Both ends at the threshold: it is never not sure.",
        )  # fmt: skip
        # A slider holds two decimals; where it was not moved, the ends stay what they are.
        low, high = (saved.unsure_low, saved.unsure_high) if chosen == ends else (round(end, 2) for end in chosen)
        return min(low, threshold), max(high, threshold)
    if aim == "right":
        percents = st.number_input("At least this % of the rest is right", 50.0, 99.9, 95.0, 1.0, key=key_of(view, aim))
    else:
        percents = st.number_input("At least this % of the reviews", 0.0, 90.0, 10.0, 1.0, key=key_of(view, "share"))
    band = choose_band(valid.labels, valid.logits, threshold, cast(BandAim, aim), percents / 100)
    if band.low is None or band.high is None:
        draw_facts(f"{band.reason} The band in use stays.")
        return min(saved.unsure_low, threshold), max(saved.unsure_high, threshold)
    return band.low, band.high


def draw_outcomes(outcomes: dict[str, Outcome]) -> None:
    """Draw what the choice comes to, a column each for validation and test."""
    head = "".join(f'<th style="{CELL}">{name}<br>{outcome.n:,} reviews</th>' for name, outcome in outcomes.items())
    body = "".join(
        f'<tr><td style="{CELL};text-align:left">{title}</td>'
        + "".join(f'<td style="{CELL}">{cell(outcome, name)}</td>' for outcome in outcomes.values())
        + "</tr>"
        for name, title in ROWS.items()
    )
    st.html(f'<div class="rs"><table style="{TABLE}"><tr class="rs-caption"><th></th>{head}</tr>{body}</table></div>')
    said = "95 % Wilson intervals. What is best on validation is a little less good elsewhere"
    draw_caption(f"{said}: see test." if len(outcomes) > 1 else f"{said}; test is not scored yet.")


TABLE = "width:100%;border-collapse:collapse;font-size:0.875rem;margin:0"
CELL = "text-align:right;font-weight:400;padding:0.2em 0.4em;border:0;vertical-align:top"


def cell(outcome: Outcome, name: str) -> str:
    """Return a figure with its interval, or a dash where it is undefined."""
    metric: Metric = getattr(outcome, name)
    if metric.value is None or metric.low is None or metric.high is None:
        return DASH
    interval = (
        f'<span class="rs-caption" style="white-space:nowrap">&ensp;{interval_text(metric.low, metric.high)}</span>'
    )
    return f'<b style="font-weight:600">{percent(metric.value)}</b> {interval}'


def draw_reset(view: Scored, saved: ModelSettings) -> None:
    """Draw the way back to the usual setting."""
    if st.button("Back to 0.50", key="evaluation_threshold_reset", disabled=saved == ModelSettings()):
        keep(view, ModelSettings())


def keep(view: Scored, chosen: ModelSettings) -> None:
    """Keep a setting with the model, and draw the page anew with it."""
    try:
        if chosen == ModelSettings():
            reset_settings(view.sha256)
        else:
            save_settings(view.sha256, chosen)
    except ReviewscopeError as error:
        with failed_box("threshold-keep", str(error), "The setting in use stays."):
            return
    forget(*(key_of(view, name) for name in ("last", *WIDGETS)))
    st.rerun()


WIDGETS = ("aim", "hand", "ratio", "least", "band_aim", "band", "right", "share")


def key_of(view: Scored, name: str) -> str:
    """Return the key of a choice, which is the model's and the data's own."""
    return f"evaluation_threshold_{name}_{view.sha256[:12]}_{view.fingerprint[:12]}"


def begin(view: Scored, name: str, value: Any) -> str:
    """Return the key of a choice; it begins with ``value``."""
    key = key_of(view, name)
    if recall(key) is None:
        remember(key, value)
    return key
