"""An evaluation as one HTML file that needs nothing else: no server, no network, no other file."""

import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from html import escape

import pyarrow as pa

from core.charts.confidence import (
    USUAL_COVERAGE,
    plot_bin_counts,
    plot_reliability,
    plot_risk_coverage,
    reliability_finding,
    risk_finding,
)
from core.charts.evaluation import (
    confidence_finding,
    matrix_finding,
    plot_counts,
    plot_matrix,
    plot_shares_wrong,
)
from core.charts.report_page import ReportPage, html_table
from core.charts.themes import lifts_finding, plot_lifts
from core.charts.tokens import LIGHT
from core.errors import ReviewscopeError
from core.evaluation.calibration import reliability, risk_coverage
from core.evaluation.curves import count_by_confidence
from core.evaluation.metrics import METRICS, Metric
from core.evaluation.selection import LABELS, Results, Selection
from core.job_folder import JobReporter
from core.model_settings import ModelSettings, load_settings
from core.models.model_file import Calibration
from core.prediction.analysis import AnalysisJob, AnalysisRequest, create_analysis_job, execute_analysis
from core.prediction.evaluating import Evaluation, EvaluationJob, evaluation_folder, load_results
from core.prediction.predictor import Predictor
from core.prediction.theming import ErrorThemes, theme_options
from core.wording import DASH, decimal, excerpt, interval_text, percent, plural

ERRORS_SHOWN = 25
EXCERPT = 400
TERMS_SHOWN = 20
AS_DECIMALS = ("roc_auc", "average_precision", "log_loss", "brier")


@dataclass(frozen=True)
class ReportSubject:
    """What a report is of.

    Attributes:
        model: The model's name; may be a stranger's words, as all texts are.
        data: The split in words, such as "the test set of IMDB".
        evaluation: Its figures.
        results: The verdicts on its N reviews.
        texts: Its texts, large_string (N).
        settings: Threshold and not-sure band in use.
        calibration: The model's temperature, or None.
        themes: What the misread reviews have in common, or None where nobody looked.
    """

    model: str
    data: str
    evaluation: Evaluation
    results: Results
    texts: pa.Array = field(repr=False)
    settings: ModelSettings
    calibration: Calibration | None
    themes: ErrorThemes | None = None


def gather_subject(
    model: str, data: str, request: AnalysisRequest, predictor: Predictor, texts: pa.Array, *, may_look: bool
) -> ReportSubject:
    """Gather what a report of a scored split holds, the figures at the model's own threshold.

    Args:
        model: The model's name.
        data: The split in words.
        request: Names the model, the data and the split; its kind and options do not matter.
        predictor: The model.
        texts: The split's texts, large_string (N).
        may_look: Whether to look for themes here and now, some seconds, where nobody has yet.

    Raises:
        ReviewscopeError: The split is not scored, or what is kept of it cannot be read.
    """
    job = EvaluationJob(evaluation_folder(predictor.sha256, request.data_fingerprint, request.split))
    chosen = load_settings(predictor.sha256)
    results = replace(load_results(job.results_file), cut=chosen.cut)
    look = create_analysis_job(request.model_copy(update={"kind": "themes", "options": theme_options(results)}))
    themes = _read_themes(look)
    if may_look and themes is None:
        with redirect_stdout(sys.stderr):  # a job tells its phases to its log, which is not the command's output
            execute_analysis(look, JobReporter(look))
        themes = _read_themes(look)
    evaluation = job.read_evaluation(chosen.cut)
    return ReportSubject(model, data, evaluation, results, texts, chosen, predictor.calibration, themes)


def _read_themes(look: AnalysisJob) -> ErrorThemes | None:
    """Return what a look found, or None before it is taken; what cannot be read is as not taken."""
    try:
        return ErrorThemes.from_document(look.read_document()) if look.is_done else None
    except ReviewscopeError:
        return None


def build_report(subject: ReportSubject) -> str:
    """Return the whole report as HTML of some 1 to 2 MB, most of it the library of the charts.

    Args:
        subject: N is at least 1.
    """
    page = ReportPage()
    sections = [
        _head(subject),
        _figures(subject.evaluation),
        _errors_and_confidence(subject, page),
        _trust(subject, page),
        _themes(subject.themes, page),
        _worst(subject),
        _source(subject),
    ]
    return page.assemble(f"{subject.model} on {subject.data}", sections)


def _head(subject: ReportSubject) -> str:
    made = time.strftime("%d %B %Y, %H:%M")
    return (
        f"<header><h1>Where {escape(subject.model)} is right and wrong</h1>"
        f"<p>{escape(_capital(subject.data))}, {plural(subject.evaluation.n, 'review')}. A verdict follows "
        f"{escape(subject.settings.describe())}. Made with Reviewscope on {made}.</p></header>\n"
    )


def _figures(evaluation: Evaluation) -> str:
    tiles = "".join(
        f"<div><dt>{escape(METRICS[name].title)}</dt><dd><b>{_value(name, metric)}</b>"
        f"<span>{escape(_interval(name, metric))}</span></dd></div>"
        for name, metric in evaluation.metrics.items()
    )
    methods = "; ".join(
        f"{METRICS[name].title}: {metric.method}"
        for name, metric in evaluation.metrics.items()
        if metric.low is not None
    )
    note = f"95 % intervals. {methods}." if methods else ""
    return f'<section><dl class="tiles">{tiles}</dl><p class="note">{escape(note)}</p></section>\n'


def _errors_and_confidence(subject: ReportSubject, page: ReportPage) -> str:
    confusion, results = subject.evaluation.confusion, subject.results
    bins = count_by_confidence(results.confidences, results.wrong)
    shades = subject.settings.unsure_confidences
    key = [("right", LIGHT.quiet), ("wrong", LIGHT.wrong)]
    matrix = page.chart(
        matrix_finding(confusion), f"Shares are of the row's label; {plural(confusion.n, 'review')}.", key,
        [plot_matrix(confusion, Selection(only_wrong=False), LIGHT)],
    )  # fmt: skip
    confidence = page.chart(
        confidence_finding(bins), "Above: how many reviews. Below: share wrong, with 95 % interval.",
        [*key, *([("not sure", LIGHT.not_sure)] if shades else [])],
        [plot_counts(bins, None, LIGHT), plot_shares_wrong(bins, None, LIGHT, shades)],
    )  # fmt: skip
    return f'<section class="pair">{matrix}{confidence}</section>\n'


def _trust(subject: ReportSubject, page: ReportPage) -> str:
    results, calibration = subject.results, subject.calibration
    before = reliability(results.labels, results.logits)
    key, after, how = [(f"as trained: error {percent(before.error)}", LIGHT.text)], None, ""
    if calibration is not None:
        after = reliability(results.labels, results.logits, calibration.temperature)
        key.append((f"after scaling, dotted: error {percent(after.error)}", LIGHT.valid))
        how = f" Scaled by {calibration.temperature:.2f}, fitted on {calibration.n:,} validation reviews."
    fit = page.chart(
        reliability_finding(before),
        f"Above: share read right over confidence; on the dashed line the two agree. Below: how many reviews.{how}",
        key, [plot_reliability(before, after, None, LIGHT), plot_bin_counts(before, None, LIGHT)],
    )  # fmt: skip
    curve = risk_coverage(results.labels, results.logits, results.cut)
    risk = page.chart(
        risk_finding(curve, USUAL_COVERAGE), "Share right among the surest reviews, with the 95 % Wilson interval.",
        [], [plot_risk_coverage(curve, None, LIGHT)],
    )  # fmt: skip
    return f'<section class="pair">{fit}{risk}</section>\n'


def _themes(themes: ErrorThemes | None, page: ReportPage) -> str:
    if themes is None:
        return ""
    told = [each for each in themes.themes if each.lift.value is not None]
    if not told:
        return "<section><h2>Error themes</h2><p>No theme can be told apart here.</p></section>\n"
    chart = page.chart(
        lifts_finding(themes.themes),
        "How many times as often a theme's reviews are misread as all others, with Koopman's 95 % interval; in colour "
        "where the whole interval lies above 1.",
        [("more errors", LIGHT.wrong), ("no clear difference", LIGHT.quiet)], [plot_lifts(told, "", LIGHT)],
    )  # fmt: skip
    rows = [
        (
            term.name, f"{term.lift.n:,}", f"{term.lift.errors:,}", percent(term.lift.rate),
            DASH if term.lift.value is None else f"×{term.lift.value:.1f}", f"{term.q:.2g}",
        )
        for term in themes.found[:TERMS_SHOWN]
    ]  # fmt: skip
    tested = f"{themes.words_tested + themes.pairs_tested:,} words and pairs of words were tested"
    if rows:
        head = ("word or pair", "reviews", "misread", "error rate", "lift", "q")
        found = "One word or pair" if themes.found_count == 1 else f"{themes.found_count:,} words and pairs"
        words = (
            f"<h3>{found} whose reviews are misread more often</h3>"
            f'<p class="note">{tested}; at most 5 in 100 of those found are expected to be chance '
            f"(Benjamini-Hochberg, exact one-sided tests).</p>{html_table(head, rows, numbers=(1, 2, 3, 4, 5))}"
        )
    else:
        words = (
            f'<h3>No single word stands out</h3><p class="note">{tested}; none is misread more once chance is '
            "allowed for.</p>"
        )
    return f'<section class="pair">{chart}<div>{words}</div></section>\n'


def _worst(subject: ReportSubject) -> str:
    """List the most confident errors; their texts are a stranger's and are escaped."""
    results = subject.results
    rows = Selection().rows(results)[:ERRORS_SHOWN]
    if not len(rows):
        return "<section><h2>No review was misread</h2></section>\n"
    texts = subject.texts.take(pa.array(rows)).to_pylist()
    listed = [
        (
            f"{row:,}", percent(float(results.confidences[row])), LABELS[results.labels[row]],
            LABELS[results.verdicts[row]], excerpt(text, EXCERPT),
        )
        for row, text in zip(rows.tolist(), texts, strict=True)
    ]  # fmt: skip
    head = ("review", "confidence", "labelled", "read as", "text")
    return (
        f"<section><h2>{errors_title(len(rows), int(results.wrong.sum()))}</h2>"
        f"{html_table(head, listed, numbers=(0, 1), serif=4)}</section>\n"
    )


def errors_title(listed: int, errors: int) -> str:
    """Say which errors a list holds."""
    if errors == 1:
        return "The one review that was misread"
    if listed == errors:
        return f"All {errors:,} errors, the most confident first"
    return f"The {listed} most confident errors of {errors:,}"


def _source(subject: ReportSubject) -> str:
    evaluation = subject.evaluation
    return (
        f'<footer class="note">Model SHA-256 {evaluation.model_sha256}<br>Data fingerprint '
        f"{evaluation.data_fingerprint}, split {escape(evaluation.split)}<br>Threshold: "
        f"{escape(subject.settings.origin)}</footer>\n"
    )


def _value(name: str, metric: Metric) -> str:
    return decimal(metric.value) if name in AS_DECIMALS else percent(metric.value)


def _interval(name: str, metric: Metric) -> str:
    if metric.low is None or metric.high is None:
        return metric.method
    if name in AS_DECIMALS:
        return f"{decimal(metric.low)} to {decimal(metric.high)}"
    return interval_text(metric.low, metric.high)


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
