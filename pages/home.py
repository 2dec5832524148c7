"""Try it, three doors, the last runs."""

import pandas as pd
import streamlit as st

from core import settings
from core.default_model import STARTER, default_model
from core.errors import ReviewscopeError
from core.model_settings import load_settings
from core.prediction.uploads import list_uploads
from core.runs import Run, list_runs
from core.wording import DASH, interval_text, percent
from dashboard import cache, state
from dashboard.components import (
    ago,
    draw_caption,
    draw_chart_title,
    draw_head,
    draw_section,
    duration,
    empty_box,
    file_size,
)
from dashboard.one_review import draw_tried
from dashboard.run_snapshot import DATA_NAMES
from dashboard.run_view import test_interval

EXAMPLES = (
    "A small, patient film that earns every tear of its last act.",
    "I wanted to like it. The cast is fine, the songs are fine, and I looked at my watch nine times.",
    "The first hour drags, but the last act is so tender that I forgave it everything.",
)


def main() -> None:
    """Draw the page from top to bottom."""
    draw_head(
        "Positive or negative, and how sure",
        "Train a sentiment model on this computer, see which reviews it gets wrong and why, and score a spreadsheet. "
        "Nothing leaves your machine.",
    )
    runs = list_runs()
    left, right = st.columns([1, 1], gap="large")
    with left, st.container(border=True):
        draw_try_it()
    with right:
        draw_doors(runs)
    if runs:
        draw_last_runs(runs)
    else:
        draw_starter_card()


def draw_try_it() -> None:
    """Draw a box for one review and what the default model makes of it."""
    reference = default_model()
    draw_chart_title("Try it now", "The starter model is ready: n-grams, trained on 22,500 film reviews."
                     if reference == STARTER else f"Read by the model of run {reference}.")  # fmt: skip
    number = state.recall("example", 0)
    text = st.text_area(
        "A review", EXAMPLES[number % len(EXAMPLES)], height=110, key=f"try-{number}", label_visibility="collapsed"
    )
    with st.container(horizontal=True):
        st.button("Read this review", type="primary")
        if st.button("Another example", type="tertiary"):
            state.remember("example", number + 1)
            st.rerun()
    if not (text or "").strip():
        draw_caption("Write something to read first.")
        return
    try:
        predictor = cache.load_predictor(reference)
        predictions = predictor.predict([text or ""])
    except ReviewscopeError as error:
        draw_caption(str(error))
        return
    draw_tried(float(predictions.probabilities[0]), load_settings(predictor.sha256))


def draw_doors(runs: list[Run]) -> None:
    """Draw the three things that one can do, each with its last use."""
    finished = [run for run in runs if run.result is not None]
    last_run = finished[0] if finished else None
    draw_door(
        "Train a model", "Choose data and model; watch it learn; stop and resume as you like.",
        last_training_sentence(last_run), "Train", "training",
    )  # fmt: skip
    last = f"Open: {last_run.about.name}" if last_run else "Open: the starter model"
    draw_door("See where it errs", "Every number opens the reviews behind it.", last, "Evaluate", "evaluation")
    uploads = list_uploads()
    last = (
        f"Last: {uploads[0].about.name[:40]}, {file_size(uploads[0].about.size)}" if uploads else "No table scored yet."
    )
    draw_door(
        "Score a spreadsheet", "A CSV in; the same file back with scores, and charts.", last, "Predict", "prediction"
    )


def last_training_sentence(run: Run | None) -> str:
    """Return what the last training came to."""
    if run is None or run.result is None:
        return "No run yet. The fast preset takes seconds on the demo corpus."
    result = run.result
    if result.test_accuracy is None:
        return (
            f"Last: {run.about.name}, {percent(result.valid_accuracy)} on validation, {duration(result.total_seconds)}"
        )
    interval = test_interval(run)
    shown = f" ({interval_text(*interval)})" if interval else ""
    return f"Last: {run.about.name}, {percent(result.test_accuracy)}{shown} on test, {duration(result.total_seconds)}"


def draw_door(title: str, sentence: str, last: str, verb: str, page: str) -> None:
    """Draw one door."""
    with st.container(border=True):
        row = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
        with row.container(width="stretch"):
            draw_chart_title(title, sentence)
            draw_caption(last)
        if row.button(verb, key=f"door-{page}", width=110):
            st.switch_page(f"../pages/{page}.py", query_params={"view": "file"} if page == "prediction" else None)


def draw_last_runs(runs: list[Run]) -> None:
    """Draw the newest runs; a chosen row opens the run."""
    draw_section(
        "Last runs", "Accuracy; the interval is the test figure's. The line is validation accuracy while training."
    )
    event = st.dataframe(
        pd.DataFrame([run_row(run) for run in runs[:8]]), hide_index=True, on_select="rerun", key="last-runs",
        selection_mode="single-row", row_height=38, height="content", alt="The last runs, newest first",
        column_config={"While training": st.column_config.LineChartColumn(y_min=0.5, y_max=1.0, color="gray")},
    )  # fmt: skip
    chosen = event["selection"]["rows"]
    if chosen:
        st.switch_page("../pages/training.py", query_params={"run": runs[chosen[0]].run_id})


def run_row(run: Run) -> dict[str, object]:
    """Return a run as a row of the table."""
    result, interval = run.result, test_interval(run)
    return {
        "Run": run.about.name,
        "Data": DATA_NAMES[run.settings.config.data.source],
        "State": run.state.status,
        "While training": validation_curve(run),
        "Validation": percent(result.valid_accuracy) if result else DASH,
        "Test": percent(result.test_accuracy) if result else DASH,
        "95 % interval": interval_text(*interval) if interval else DASH,
        "Took": duration(result.total_seconds) if result else DASH,
        "Model": file_size(run.model_file.stat().st_size) if run.model_file.exists() else DASH,
        "When": ago(run.created),
    }


def validation_curve(run: Run) -> list[float]:
    """Return a run's validation accuracies; none when its history is damaged, which the page Runs says."""
    try:
        return [float(value) for value in cache.load_validations(run).validations["valid_accuracy"]]
    except ReviewscopeError:
        return []


def draw_starter_card() -> None:
    """Draw what the shipped model is, while there is no run to show."""
    draw_section("The starter model", "What reads your reviews until you train a model of your own.")
    card = settings.STARTER_FILE.with_name("MODEL_CARD.md")
    if not settings.STARTER_FILE.exists() or not card.exists():
        with empty_box("starter", "The starter model is not installed.", "`make starter` builds it, or train one now."):
            if st.button("Train"):
                st.switch_page("../pages/training.py")
        return
    with st.expander("Its card: data, figures with intervals, limits", expanded=False):
        st.markdown(card.read_text(encoding="utf-8").partition("\n")[2])  # ours, and shipped: not a stranger's text


main()
