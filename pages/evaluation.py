"""Evaluation: where a model is right and wrong, down to the reviews behind each number."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import streamlit as st

from core import jobs
from core.data.labelled import LabelledTexts
from core.errors import ReviewscopeError
from core.evaluation.curves import BINS
from core.evaluation.metrics import METRICS
from core.evaluation.selection import LABELS, Results, Selection, describe_bin
from core.prediction.evaluating import (
    Evaluation,
    EvaluationJob,
    EvaluationRequest,
    create_evaluation_job,
    evaluation_folder,
)
from dashboard import evaluation_charts as charts
from dashboard import evaluation_choices as choices
from dashboard.cache import (
    data_fingerprint,
    find_words,
    load_curves,
    load_evaluation,
    load_predictor,
    load_split,
    load_verdicts,
)
from dashboard.charts import PLOTLY_CONFIG
from dashboard.components import (
    decimal,
    draw_caption,
    draw_chart_title,
    draw_facts,
    draw_figure,
    draw_head,
    draw_section,
    duration,
    empty_box,
    failed_box,
    percent,
    status_colour,
)
from dashboard.evaluation_choices import DataChoice, ModelChoice, chart_key
from dashboard.review_drawer import Drawer, open_drawer
from dashboard.review_rows import csv_of_reviews, frame_of_reviews
from dashboard.state import forget, recall, remember, to_url
from dashboard.tokens import current_tokens

TRAINING_PAGE = Path(__file__).parent / "training.py"
ROWS_A_PAGE = 10
TICK_SECONDS = 0.5
ROW_HEIGHT = 38
ANY = "any"
SECTIONS = ("Overview", "ROC and precision-recall")
WRITE: dict[str, Callable[[float], str]] = {"roc_auc": decimal, "log_loss": decimal}


@dataclass(frozen=True)
class View:
    """What is looked at: a model's verdicts on a split."""

    model: ModelChoice
    data: DataChoice
    job: EvaluationJob
    rows: LabelledTexts


def main() -> None:
    """Choose model and split; score it once; then figures, charts and reviews."""
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
    view = View(model, data, EvaluationJob(evaluation_folder(sha256, fingerprint, data.split)), rows)
    if not view.job.is_done:
        draw_scoring(view, sha256, fingerprint)
        return
    choices.take_clicks("matrix", "counts", "shares")
    selection, results, evaluation = choices.selection_from_url(), load_verdicts(view.job), load_evaluation(view.job)
    draw_figures(view, evaluation, results)
    draw_charts(view, evaluation, selection)
    draw_reviews(view, results, selection)


def draw_no_model() -> None:
    """Draw what stands here before anything was trained, when the starter is not installed either."""
    draw_head("Where a model is right and wrong", "Every number here opens the reviews behind it.")
    how = "Train a model first; the fast preset takes about a minute. Or `make starter` builds the starter model."
    with empty_box("evaluation", "There is no model to look at yet.", how):
        if st.button("Train the first one", type="primary", key="evaluation_train"):
            st.switch_page(TRAINING_PAGE)


def draw_page_head(
    models: list[ModelChoice], model: ModelChoice, offered: list[DataChoice], data: DataChoice
) -> None:
    """Draw the title on the left, and on the right which model and which data."""
    names = {choice.reference: choice.name for choice in models}
    for reference, name in list(names.items()):
        if list(names.values()).count(name) > 1:
            names[reference] = f"{name} ({reference})"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        with st.container(width="content"):
            draw_head(f"Where {model.name} is right and wrong", "Every number below opens the reviews behind it.")
        with st.container(horizontal=True, width="content"):
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


def choose_model() -> None:
    """Take up another model; its data may be other data."""
    to_url(model=recall("evaluation_model"), data=None, split=None)
    choices.name_in_url(page=None)


def choose_data() -> None:
    """Take up another split."""
    data = recall("evaluation_data")
    to_url(data=data.source, split=data.split)
    choices.name_in_url(page=None)


def draw_unreadable(message: str) -> None:
    """Draw why model or data cannot be read."""
    with failed_box("evaluation", message, "Nothing was scored. Choose other data above, or try again."):
        st.button("Try again", key="evaluation_retry_load")


def draw_scoring(view: View, sha256: str, fingerprint: str) -> None:
    """Draw what stands here until the split is scored: the offer, the progress, or what went wrong."""
    start = partial(start_scoring, view, sha256, fingerprint)
    status = view.job.state.status if view.job.exists else None
    name, what = view.model.name, view.data.sentence
    if error := recall("evaluation_refused"):
        forget("evaluation_refused")
        with failed_box("evaluation", error, "Nothing was scored."):
            st.button("Try again", key="evaluation_retry", on_click=start)
    elif status in ("queued", "running"):
        draw_progress(view.job, f"{name} reads {what}: {len(view.rows):,} reviews.")
        draw_skeletons()
    elif status in ("failed", "interrupted", "stopped"):
        happened = {"failed": "failed", "interrupted": "was interrupted", "stopped": "was stopped"}[status]
        message = f"Scoring {what} with {name} {happened}. {view.job.state.message}"
        kept = "No score of this try was kept. Scores of other models and splits are untouched."
        with failed_box("evaluation", message, kept, view.job.read_log(30)):
            st.button("Score again", key="evaluation_retry", on_click=start)
    elif not len(view.rows):
        draw_unreadable(f"{what[0].upper()}{what[1:]} has no review.")
    else:
        seconds = choices.estimate_seconds(sha256, len(view.rows))
        takes = f" About {duration(max(seconds, 1.0))}." if seconds else ""
        how = "It runs in the background and is kept: the same model on the same reviews is scored once."
        with empty_box("evaluation", f"{name} has not read {what}.{takes}", how):
            label = f"Score {len(view.rows):,} reviews"
            st.button(label, type="primary", key="evaluation_score", on_click=start)


def start_scoring(view: View, sha256: str, fingerprint: str) -> None:
    """Queue the evaluation."""
    request = EvaluationRequest(model=view.model.reference, split=view.data.split, config=view.data.config)
    try:
        jobs.enqueue(create_evaluation_job(request, sha256, fingerprint))
    except ReviewscopeError as error:
        remember("evaluation_refused", str(error))


@st.fragment(run_every=TICK_SECONDS)
def draw_progress(job: EvaluationJob, what: str) -> None:
    """Draw how far the job is, twice a second; when it has ended, draw the page anew."""
    status = job.state.status
    if job.is_done or status not in ("queued", "running"):
        st.rerun()
    with st.container(border=True, key="evaluation_progress"):
        colour = status_colour(status, current_tokens())
        progress = job.progress if status == "running" else None
        share = progress.done / progress.total if progress and progress.total else 0.0
        st.html(f'<div class="rs"><i class="rs-dot" style="background:{colour}"></i>{progress_words(job, status)}</div>')
        st.progress(min(share, 1.0))
        draw_caption(f"{what} It goes on without this page.")
        if status == "queued":
            st.button("Take it out of the queue", key="evaluation_dequeue", on_click=partial(jobs.stop, job))


def progress_words(job: EvaluationJob, status: str) -> str:
    """Say what the job does, in our own words only."""
    if status == "queued":
        waiting = [each.job.path for each in jobs.list_waiting("score")]
        before = waiting.index(job.path) if job.path in waiting else 0
        if before:
            return f"Waiting: {before} job{'s' if before > 1 else ''} before it."
        return "Next in line: it starts as soon as the worker is free."
    progress = job.progress
    if progress is None or not progress.total:
        return "Loading the data."
    left = progress.seconds_left
    time_left = "" if left is None else f" · {duration(max(left, 1))} left"
    return f"Scoring · {progress.done:,} of {progress.total:,} reviews{time_left}"


def draw_skeletons() -> None:
    """Hold the places of what is to come, in their final heights."""
    st.skeleton(height=84)
    for column in st.columns(2, gap="large"):
        column.skeleton(height=charts.MATRIX_HEIGHT)
    st.skeleton(height=ROW_HEIGHT * (ROWS_A_PAGE + 1))


def draw_figures(view: View, evaluation: Evaluation, results: Results) -> None:
    """Draw the score strip, and under it what the figures are of."""
    with st.grid(min_column_width=150, gap="medium"):
        for name, metric in evaluation.metrics.items():
            with st.container():
                draw_figure(METRICS[name].title, metric, WRITE.get(name, percent))
    confusion = evaluation.confusion
    read_positive = confusion.true_positives + confusion.false_positives
    positives = confusion.true_positives + confusion.false_negatives
    draw_caption(
        f"{view.data.sentence[0].upper()}{view.data.sentence[1:]}, {evaluation.n:,} reviews. Precision is of the "
        f"{read_positive:,} read as positive, recall of the {positives:,} labelled positive. A verdict is positive "
        "above probability 0.50. 95 % intervals: Wilson for shares and F1, DeLong for ROC AUC, normal for log loss."
    )


def draw_charts(view: View, evaluation: Evaluation, selection: Selection) -> None:
    """Draw the section that the URL names."""
    names = dict(zip(("overview", "curves"), SECTIONS, strict=True))
    section = "curves" if choices.from_url("evaluation_section") == "curves" else "overview"
    remember("evaluation_section_choice", section)
    st.segmented_control(
        "Section", list(names), format_func=names.__getitem__, key="evaluation_section_choice", required=True,
        label_visibility="collapsed", on_change=choose_section,
    )  # fmt: skip
    left, right = st.columns([2, 3] if section == "overview" else 2, gap="large")
    if section == "curves":
        draw_curves(view, evaluation, left, right)
        return
    with left:
        draw_matrix(evaluation, selection)
    with right:
        draw_confidence(view, selection)


def choose_section() -> None:
    """Turn to another section; the first one needs no name."""
    section = recall("evaluation_section_choice")
    choices.name_in_url(section=section if section == "curves" else None)


def draw_matrix(evaluation: Evaluation, selection: Selection) -> None:
    """Draw the confusion matrix, whose cells are filters."""
    tokens, confusion = current_tokens(), evaluation.confusion
    draw_chart_title(
        matrix_finding(confusion.false_positives, confusion.false_negatives),
        f"Click a cell to read its reviews. Shares are of the row's label; {evaluation.n:,} reviews.",
        [("right", tokens.quiet), ("wrong", tokens.wrong)],
    )
    counts = ", ".join(
        f"labelled {LABELS[label]}, read as {LABELS[verdict]}: {count:,}"
        for label, verdict, count in (
            (0, 0, confusion.true_negatives), (0, 1, confusion.false_positives),
            (1, 0, confusion.false_negatives), (1, 1, confusion.true_positives),
        )
    )  # fmt: skip
    st.altair_chart(
        charts.plot_matrix(confusion, selection, tokens), theme=None, on_select="rerun", key=chart_key("matrix"),
        alt=f"Confusion matrix. {counts}.",
    )  # fmt: skip


def matrix_finding(false_positives: int, false_negatives: int) -> str:
    """Say which error is the more frequent one."""
    if not false_positives and not false_negatives:
        return "No review was misread"
    label = 0 if false_positives >= false_negatives else 1
    count = max(false_positives, false_negatives)
    reviews = "review was" if count == 1 else "reviews were"
    return f"{count:,} {LABELS[label]} {reviews} read as {LABELS[1 - label]}"


def draw_confidence(view: View, selection: Selection) -> None:
    """Draw how many reviews and what share of wrong ones there are at each confidence; bars are filters."""
    tokens, bins = current_tokens(), load_curves(view.job)[0]
    sure, wrong = int((bins.right + bins.wrong)[-4:].sum()), int(bins.wrong[-4:].sum())
    draw_chart_title(
        f"Of {sure:,} reviews read with 90 % confidence or more, {percent(wrong / sure)} are wrong"
        if sure else "No review was read with 90 % confidence",
        "Above: how many reviews. Below: share wrong, with 95 % interval. Click a bar to read its reviews.",
        [("right", tokens.quiet), ("wrong", tokens.wrong)],
    )  # fmt: skip
    st.altair_chart(
        charts.plot_counts(bins, selection.confidence, tokens), theme=None, on_select="rerun", key=chart_key("counts"),
        alt=f"Reviews by confidence, right and wrong; {wrong:,} of {sure:,} at 90 % and above are wrong.",
    )  # fmt: skip
    st.altair_chart(
        charts.plot_shares_wrong(bins, selection.confidence, tokens), theme=None, on_select="rerun",
        key=chart_key("shares"), alt="Share of wrong verdicts by confidence, with 95 % intervals.",
    )  # fmt: skip


def draw_curves(view: View, evaluation: Evaluation, left: object, right: object) -> None:
    """Draw the ROC and precision-recall curves."""
    tokens = current_tokens()
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


def draw_reviews(view: View, results: Results, selection: Selection) -> None:
    """Draw the reviews behind the numbers: filters, what they come to, a page of the list, and the drawer."""
    draw_section("Reviews")
    draw_filters(selection)
    holds = find_words(view.job, view.rows.texts, selection.words) if selection.words else None
    order = choices.order_from_url()
    rows = selection.rows(results, order, holds)
    draw_filter_line(view, results, rows, selection, order)
    if not len(rows):
        draw_nothing_matches(selection)
        return
    pages = -(-len(rows) // ROWS_A_PAGE)
    page = choices.page_from_url(pages)
    first = (page - 1) * ROWS_A_PAGE
    place = take_row_click()
    frame = frame_of_reviews(results, view.rows.texts, rows[first : first + ROWS_A_PAGE], first + 1)
    draw_table(frame)
    draw_pagination(pages, page)
    if place is not None and first + place < len(rows):
        open_drawer(Drawer(view.model.reference, results, view.rows.texts, rows), first + place)


def draw_filters(selection: Selection) -> None:
    """Draw the filters as widgets, whose values the URL gives."""
    remember("evaluation_kind", choices.kind_of(selection))
    st.segmented_control(
        "Which reviews", list(choices.KINDS), key="evaluation_kind", label_visibility="collapsed",
        on_change=change_filter, args=("kind",),
    )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, label, value in (
            ("labelled", "Labelled", selection.label), ("read_as", "Read as", selection.verdict),
        ):  # fmt: skip
            remember(f"evaluation_{name}", ANY if value is None else LABELS[value])
            st.selectbox(
                label, [ANY, *LABELS], key=f"evaluation_{name}", width=150, on_change=change_filter, args=(name,)
            )
        remember("evaluation_confidence", -1 if selection.confidence is None else selection.confidence)
        st.selectbox(
            "Confidence", [-1, *range(BINS)], key="evaluation_confidence", width=170,
            format_func=lambda place: ANY if place < 0 else describe_bin(place),
            on_change=change_filter, args=("confidence",),
        )  # fmt: skip
        remember("evaluation_words", selection.words)
        st.text_input(
            "Search the texts", key="evaluation_words", max_chars=choices.MOST_WORDS, type="search", width=260,
            placeholder="a word or phrase", on_change=change_filter, args=("words",),
        )  # fmt: skip


def change_filter(name: str) -> None:
    """Carry a filter's new value into the URL."""
    selection, value = choices.selection_from_url(), recall(f"evaluation_{name}")
    if name == "kind":
        selection = choices.with_kind(selection, value or "All wrong")
    elif name == "words":
        selection = replace(selection, words=value or "")
    elif name == "confidence":
        selection = replace(selection, confidence=None if value < 0 else value)
    else:
        field = "label" if name == "labelled" else "verdict"
        selection = replace(selection, only_wrong=True, **{field: None if value == ANY else LABELS.index(value)})
    choices.selection_to_url(selection)


def draw_filter_line(view: View, results: Results, rows: object, selection: Selection, order: str) -> None:
    """Draw what the filters come to in words, the way out of them, the order and the download."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            said = selection.describe()
            reviews = "review" if len(rows) == 1 else "reviews"
            draw_facts(f"{len(rows):,} {reviews} of {len(results):,}{': ' + said if said else ''}")
            if not selection.is_default:
                st.button(
                    "Clear", icon=":material/close:", type="tertiary", key="evaluation_clear",
                    on_click=partial(choices.selection_to_url, Selection()),
                )  # fmt: skip
        with st.container(horizontal=True, width="content", vertical_alignment="center"):
            remember("evaluation_order", order)
            st.selectbox(
                "Order", list(choices.ORDERS), format_func=choices.ORDERS.__getitem__, key="evaluation_order",
                label_visibility="collapsed", width=210, on_change=change_order,
            )  # fmt: skip
            st.download_button(
                "Download", partial(csv_of_reviews, results, view.rows.texts, rows), key="evaluation_download",
                file_name=f"{view.model.reference}-{view.data.source}-{view.data.split}.csv", mime="text/csv",
                icon=":material/download:", on_click="ignore", disabled=not len(rows),
            )  # fmt: skip


def change_order() -> None:
    """Carry the new order into the URL."""
    choices.name_in_url(order=recall("evaluation_order"), page=None)


def draw_nothing_matches(selection: Selection) -> None:
    """Draw what stands in place of an empty list."""
    said = selection.describe()
    with empty_box("reviews", f"No review matches: {said}." if said else "There is no review.", ""):
        if not selection.is_default:
            st.button("Clear the filters", key="evaluation_clear_all", on_click=partial(choices.selection_to_url, Selection()))


def take_row_click() -> int | None:
    """Return which row of the page was clicked, and take the mark off it, so that it can be clicked again."""
    event = recall("evaluation_table")
    rows = event["selection"]["rows"] if event else []
    if not rows:
        return None
    remember("evaluation_table", {"selection": {"rows": [], "columns": [], "cells": []}})
    return int(rows[0])


def draw_table(frame: object) -> None:
    """Draw a page of reviews; a row opens the drawer."""
    st.dataframe(
        frame, hide_index=True, height="content", row_height=ROW_HEIGHT, on_select="rerun",
        selection_mode="single-row", key="evaluation_table", alt="Reviews; choose a row to read the whole text.",
        column_config={
            "#": st.column_config.NumberColumn(width=60),
            "Confidence": st.column_config.ProgressColumn(
                width=150, format="%.1f %%", min_value=0, max_value=100, color="gray"
            ),
            "Label": st.column_config.TextColumn(width=80),
            "Read as": st.column_config.TextColumn(width=80),
            "Review": st.column_config.TextColumn(width="large"),
            "Words": st.column_config.NumberColumn(width=70, format="localized"),
        },
    )  # fmt: skip


def draw_pagination(pages: int, page: int) -> None:
    """Draw the way to the other pages of the list."""
    if pages < 2:
        return
    remember("evaluation_page_choice", page)
    with st.container(horizontal=True, horizontal_alignment="right"):
        st.pagination(pages, key="evaluation_page_choice", on_change=change_page)


def change_page() -> None:
    """Carry the new page into the URL."""
    page = recall("evaluation_page_choice")
    choices.name_in_url(page=str(page) if page > 1 else None)


main()
