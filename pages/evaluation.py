"""Evaluation: where a model is right and wrong, down to the reviews behind each number."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import streamlit as st

from core import jobs
from core.errors import ReviewscopeError
from core.evaluation.metrics import METRICS
from core.evaluation.selection import LABELS, Selection
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
    confidence_charts,
    data_fingerprint,
    load_curves,
    load_evaluation,
    load_predictor,
    load_split,
    load_verdicts,
    matrix_chart,
)
from dashboard.charts import PLOTLY_CONFIG
from dashboard.components import (
    decimal,
    draw_caption,
    draw_chart_title,
    draw_figure,
    draw_head,
    duration,
    empty_box,
    failed_box,
    percent,
    status_colour,
)
from dashboard.evaluation_choices import DataChoice, ModelChoice, chart_key
from dashboard.review_list import ROW_HEIGHT, ROWS_A_PAGE, View, draw_reviews
from dashboard.state import forget, from_url, recall, remember, to_url
from dashboard.tokens import current_tokens

TRAINING_PAGE = Path(__file__).parent / "training.py"
TICK_SECONDS = 0.5
SECTIONS = ("Overview", "ROC and precision-recall")
WRITE: dict[str, Callable[[float], str]] = {"roc_auc": decimal, "log_loss": decimal}


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
    draw_figures(view, evaluation)
    draw_charts(view, evaluation, selection)
    draw_reviews(view, results, selection)


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
    name, what = view.model.spoken, view.data.sentence
    if error := recall("evaluation_refused"):
        forget("evaluation_refused")
        with failed_box("evaluation", error, "Nothing was scored."):
            st.button("Try again", key="evaluation_retry", on_click=start)
    elif status in ("queued", "running"):
        draw_progress(view.job, f"{_capital(name)} reads {what}: {len(view.rows):,} reviews.")
        draw_skeletons()
    elif status in ("failed", "interrupted", "stopped"):
        happened = {"failed": "failed", "interrupted": "was interrupted", "stopped": "was stopped"}[status]
        message = f"Scoring {what} with {name} {happened}. {view.job.state.message}"
        kept = "No score of this try was kept. Scores of other models and splits are untouched."
        with failed_box("evaluation", message, kept, view.job.read_log(30)):
            st.button("Score again", key="evaluation_retry", on_click=start)
    elif not len(view.rows):
        draw_unreadable(f"{_capital(what)} has no review.")
    else:
        seconds = choices.estimate_seconds(sha256, len(view.rows))
        takes = f" About {duration(max(seconds, 1.0))}." if seconds else ""
        how = "It runs in the background and is kept: the same model on the same reviews is scored once."
        with empty_box("evaluation", f"{_capital(name)} has not read {what}.{takes}", how):
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
        st.html(
            f'<div class="rs"><i class="rs-dot" style="background:{colour}"></i>{progress_words(job, status)}</div>'
        )
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


def draw_figures(view: View, evaluation: Evaluation) -> None:
    """Draw the score strip, and under it what the figures are of."""
    with st.grid(min_column_width=150, gap="medium"):
        for name, metric in evaluation.metrics.items():
            with st.container():
                draw_figure(METRICS[name].title, metric, WRITE.get(name, percent))
    confusion = evaluation.confusion
    read_positive = confusion.true_positives + confusion.false_positives
    positives = confusion.true_positives + confusion.false_negatives
    draw_caption(
        f"{_capital(view.data.sentence)}, {evaluation.n:,} reviews. Precision is of the "
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
        draw_matrix(view, evaluation, selection)
    with right:
        draw_confidence(view, selection)


def choose_section() -> None:
    """Turn to another section; the first one needs no name."""
    section = recall("evaluation_section_choice")
    choices.name_in_url(section=section if section == "curves" else None)


def draw_matrix(view: View, evaluation: Evaluation, selection: Selection) -> None:
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
    st.vega_lite_chart(
        matrix_chart(view.job, selection, tokens), theme=None, on_select="rerun", key=chart_key("matrix"),
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
    counts, shares = confidence_charts(view.job, selection.confidence, tokens)
    st.vega_lite_chart(
        counts, theme=None, on_select="rerun", key=chart_key("counts"),
        alt=f"Reviews by confidence, right and wrong; {wrong:,} of {sure:,} at 90 % and above are wrong.",
    )  # fmt: skip
    st.vega_lite_chart(
        shares, theme=None, on_select="rerun",
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


def _capital(sentence: str) -> str:
    """Begin a sentence; a run's own name stays as it is written."""
    return f"T{sentence[1:]}" if sentence.startswith("the ") else sentence


main()
