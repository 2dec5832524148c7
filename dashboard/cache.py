"""The one place with ``st.cache_data`` and ``st.cache_resource``. Keys are paths and times of change, not data."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st
from numpy.typing import NDArray

from core.charts.bulk_groups import plot_share_by_group
from core.charts.bulk_sides import score_histogram_spec
from core.charts.bulk_time import plot_share_over_time
from core.charts.confidence import plot_bin_counts, plot_reliability, plot_risk_coverage
from core.charts.evaluation import plot_counts, plot_matrix, plot_precision_recall, plot_roc, plot_shares_wrong
from core.charts.intensity import intensity_spec, plot_intensity
from core.charts.review_map import plot_map
from core.charts.robustness import plot_changes
from core.charts.themes import LIFT_HEIGHT, plot_distinctive, plot_lifts
from core.charts.tokens import Tokens
from core.charts.two_runs import plot_agreement
from core.charts.words import Group, plot_leaning
from core.config import DataConfig, Meaning, RunConfig
from core.data import conversion, labels
from core.data.labelled import LabelledTexts, fingerprint
from core.data.ratings import load_ratings
from core.data.sources import choose_split, load_columns, read_labelled_table
from core.data.tables import TableOptions
from core.errors import ReviewscopeError, TableError
from core.evaluation.area import Corners, are_inside
from core.evaluation.calibration import Reliability, RiskCoverage, error_interval, reliability, risk_coverage
from core.evaluation.comparison import Comparison
from core.evaluation.curves import ConfidenceBins, Curve, count_by_confidence, precision_recall_curve, roc_curve
from core.evaluation.discoveries import texts_holding
from core.evaluation.intensity import Intensity, judge_intensity
from core.evaluation.intervals import Interval
from core.evaluation.selection import Pair, Results, Selection
from core.evaluation.shares import Counts, Unit
from core.files import read_json
from core.job_folder import read_document
from core.label_reviews import BaseSplit, Reviews, base_rows, read_reviews, reviews_file
from core.model_settings import load_settings
from core.prediction import comparing
from core.prediction.analysis import WITH_TABLE, AnalysisJob
from core.prediction.bulk_job import BulkJob, BulkResult, read_rows_at
from core.prediction.bulk_looks import LookJob, WordsFound, read_look_rows, text_looks
from core.prediction.evaluating import Evaluation, EvaluationJob, load_results
from core.prediction.facets import read_facet, stars_of
from core.prediction.predictor import Predictor, probability_of
from core.prediction.row_filter import RowFilter, rows_left
from core.prediction.star_agreement import StarAgreement, judge_stars
from core.prediction.summary import (
    Mask,
    Order,
    bins_of,
    counts_of,
    order_rows,
    score_histogram,
    share_by_group,
    share_over_time,
    sides_of,
)
from core.prediction.theming import ErrorThemes, reviews_with_theme, theme_of_table
from core.prediction.trust import Agreement, draw_rows_to_label, measure_agreement, propose_meanings, seed_of
from core.prediction.uploads import Upload, find_upload
from core.profiling import ProfileJob
from core.run_groups import read_validations
from core.runs import Run, find_model
from core.training.history import History, HistoryReader
from dashboard.bulk.preview import Preview
from dashboard.bulk.preview import look_at_table as look_at
from dashboard.data_charts import plot_frequent, plot_lengths, plot_one_sided
from dashboard.evaluation.review_rows import search_texts


def load_predictor(reference: str) -> Predictor:
    """Return the shared predictor of a model; threads may use it at once."""
    path = find_model(reference)
    return _load_predictor(str(path), path.stat().st_mtime_ns)


@st.cache_resource(max_entries=3, show_spinner=False)
def _load_predictor(path: str, changed: int) -> Predictor:
    return Predictor.load(Path(path))


def look_at_table(upload: Upload, options: TableOptions) -> Preview:
    """Return the beginning of an uploaded table.

    Raises:
        TableError: It cannot be read so.
    """
    path = upload.rows_file(options)
    return _look_at_table(str(path), path.stat().st_mtime_ns, options.model_dump_json(), upload, options)


@st.cache_resource(max_entries=20, show_spinner=False)
def _look_at_table(path: str, changed: int, key: str, _upload: Upload, _options: TableOptions) -> Preview:
    return look_at(_upload, _options)


@st.cache_data(max_entries=20, show_spinner=False)
def fitting_encodings(upload_id: str, encodings: tuple[str, ...]) -> list[str]:
    """Return the encodings in which the beginning of an uploaded table can be read."""
    upload = find_upload(upload_id)
    return [each for each in encodings if upload is not None and _is_readable(upload, each)]


def _is_readable(upload: Upload, encoding: str) -> bool:
    try:
        return bool(upload.kind == "csv" and upload.read_format(TableOptions(encoding=encoding)))
    except TableError:
        return False


def list_sheets(path: Path) -> list[str]:
    """Return the names of a workbook's sheets, in its order.

    Raises:
        TableError: It cannot be opened.
    """
    return _list_sheets(str(path), path.stat().st_mtime_ns)


@st.cache_data(max_entries=20, show_spinner=False)
def _list_sheets(path: str, changed: int) -> list[str]:
    return conversion.list_sheets(Path(path))


def load_split(config: RunConfig, split: str) -> LabelledTexts:
    """Return a split's texts and labels; shared, not to be changed."""
    if split == "test":
        return _load_data(*_data_key(config))[0][split]
    return _load_split(*_data_key(config), split, config.data.validation_fraction, config.split_seed, config)


@st.cache_resource(max_entries=4, show_spinner=False)
def _load_split(data: str, changed: int, split: str, fraction: float, seed: int, _config: RunConfig) -> LabelledTexts:
    return choose_split(_load_data(data, changed)[0], split, _config)


def data_fingerprint(config: RunConfig) -> str:
    """Return the fingerprint of a config's data set."""
    return _load_data(*_data_key(config))[1]


def _data_key(config: RunConfig) -> tuple[str, int]:
    """Return what names a config's data, and when its table last changed."""
    path = Path(config.data.path) if config.data.path is not None else None
    changed = path.stat().st_mtime_ns if path is not None and path.exists() else 0
    keys = {"source", "path", "text_column", "label_column", "label_map", "corrections"}
    return config.data.model_dump_json(include=keys), changed


@st.cache_resource(max_entries=3, show_spinner="Reading the reviews")
def _load_data(data: str, changed: int) -> tuple[dict[str, LabelledTexts], str]:
    splits = load_columns(DataConfig.model_validate_json(data))
    return splits, fingerprint(splits)


def load_as_it_came(config: RunConfig) -> dict[str, LabelledTexts]:
    """Return a config's data set, train and test, with no label corrected; shared, not to be changed."""
    data = config.data.model_copy(update={"corrections": None})
    return _load_data(*_data_key(config.model_copy(update={"data": data})))[0]


def load_base_rows(config: RunConfig, split: str) -> tuple[BaseSplit, NDArray[np.int64] | None]:
    """Return the data's own split behind a config's, and the row in it of each review; not to be changed."""
    return _load_base_rows(*_data_key(config), config.data.validation_fraction, config.split_seed, split)


@st.cache_resource(max_entries=20, show_spinner=False)
def _load_base_rows(
    data: str, changed: int, fraction: float, seed: int, split: str
) -> tuple[BaseSplit, NDArray[np.int64] | None]:
    cut = DataConfig.model_validate_json(data).model_copy(update={"validation_fraction": fraction, "split_seed": seed})
    return base_rows(_load_data(data, changed)[0], split, RunConfig(data=cut))


def load_label_reviews(fingerprint: str) -> Reviews:
    """Return a reader's verdicts on the labels of a data set; shared, not to be changed.

    Raises:
        ReviewscopeError: The file is damaged.
    """
    path = reviews_file(fingerprint)
    try:
        seen = path.stat()
    except FileNotFoundError:
        return {}
    return _load_label_reviews(str(path), fingerprint, seen.st_mtime_ns, seen.st_size)


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_label_reviews(path: str, fingerprint: str, changed: int, size: int) -> Reviews:
    return read_reviews(fingerprint)


def count_values(path: Path, label_column: str) -> dict[str, int]:
    """Return the distinct values of a label column and their rows; shared, not to be changed.

    Raises:
        ReviewscopeError: There are too many for labels, or the table cannot be read.
    """
    return _count_values(str(path), path.stat().st_mtime_ns, label_column)


@st.cache_data(max_entries=20, show_spinner="Reading the labels")
def _count_values(path: str, changed: int, label_column: str) -> dict[str, int]:
    return labels.count_labels(Path(path), label_column)


def count_labels(
    path: Path, text_column: str, label_column: str, label_map: dict[str, Meaning] | None
) -> tuple[int, int]:
    """Return how many negative and positive reviews a labelled table holds.

    Raises:
        ReviewscopeError: A row cannot be used.
    """
    return _count_labels(str(path), path.stat().st_mtime_ns, text_column, label_column, label_map)


@st.cache_data(max_entries=20, show_spinner="Reading the labels")
def _count_labels(
    path: str, changed: int, text_column: str, label_column: str, label_map: dict[str, Meaning] | None
) -> tuple[int, int]:
    found = read_labelled_table(Path(path), text_column, label_column, label_map).labels
    return int((found == 0).sum()), int((found == 1).sum())


def load_history(run: Run) -> History:
    """Return a run's history; only what is new in the file is read."""
    return _history_reader(str(run.metrics_file)).refresh()


@st.cache_resource(max_entries=50, show_spinner=False)
def _history_reader(path: str) -> HistoryReader:
    return HistoryReader(Path(path))


def load_validations(run: Run) -> History:
    """Return a run's validations without its steps; the file is read once for each change."""
    try:
        seen = run.metrics_file.stat()
    except FileNotFoundError:
        return _load_validations(run, 0, 0)
    return _load_validations(run, seen.st_mtime_ns, seen.st_size)


@lru_cache(maxsize=2_000)
def _load_validations(run: Run, changed: int, size: int) -> History:
    return History({}, read_validations(run))


def load_evaluation(job: EvaluationJob) -> Evaluation:
    """Return an evaluation's figures, at the threshold that is set for its model.

    Raises:
        ReviewscopeError: They cannot be read.
    """
    path = job.path / "metrics.json"
    return _load_evaluation(str(path), _time_of(path), _cut_of(job))


@st.cache_data(max_entries=20, show_spinner=False)
def _load_evaluation(path: str, changed: int, cut: float) -> Evaluation:
    return EvaluationJob(Path(path).parent).read_evaluation(cut)


def _time_of(path: Path) -> int:
    """Return when a file was last written."""
    try:
        return path.stat().st_mtime_ns
    except OSError as error:
        raise ReviewscopeError(f"Could not read {path}: {error.strerror or error}.") from error


def _cut_of(job: EvaluationJob) -> float:
    """Return where the verdicts of an evaluation's model are cut, a logit."""
    return load_settings(job.path.parent.name).cut


def load_accuracy(job: EvaluationJob) -> float | None:
    """Return the accuracy of an evaluation, or None before it is done; read once, for lists of many."""
    path = job.path / "metrics.json"
    return _load_accuracy(path, path.stat().st_mtime_ns) if path.exists() else None


@lru_cache(maxsize=2_000)
def _load_accuracy(path: Path, changed: int) -> float | None:
    value: float | None = read_json(path)["metrics"]["accuracy"]["value"]
    return value


@st.cache_resource(max_entries=6, show_spinner="Reading the scores")
def _load_scored(path: str, changed: int, columns: tuple[str, ...]) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(path, columns=list(columns)).to_pandas()
    return frame


def load_scored(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """Return columns of a bulk job's Parquet file; shared, not to be changed."""
    return _load_scored(str(path), path.stat().st_mtime_ns, columns)


def load_verdicts(job: EvaluationJob) -> Results:
    """Return an evaluation's verdicts, at the threshold that is set for its model; shared, not to be changed.

    Raises:
        ReviewscopeError: They cannot be read.
    """
    return _verdicts_at(str(job.results_file), _time_of(job.results_file), _cut_of(job))


@st.cache_resource(max_entries=12, show_spinner=False)
def _verdicts_at(path: str, changed: int, cut: float) -> Results:
    return replace(_load_verdicts(path, changed), cut=cut)


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_verdicts(path: str, changed: int) -> Results:
    return load_results(Path(path))


def load_comparison(job_a: EvaluationJob, job_b: EvaluationJob) -> Comparison:
    """Return how the verdicts of two evaluations of the same reviews compare.

    Raises:
        ReviewscopeError: They are not of the same reviews.
    """
    files = [job.results_file for job in (job_a, job_b)]
    changed_a, changed_b = [path.stat().st_mtime_ns if path.exists() else 0 for path in files]
    cuts = tuple(load_settings(path.parent.parent.name).cut for path in files)
    return _load_comparison(str(job_a.path), str(job_b.path), changed_a, changed_b, cuts)


@st.cache_resource(max_entries=40, show_spinner=False)
def _load_comparison(path_a: str, path_b: str, changed_a: int, changed_b: int, cuts: tuple[float, ...]) -> Comparison:
    sha_a, sha_b = Path(path_a).parent.name, Path(path_b).parent.name
    data_fingerprint, _, split = Path(path_a).name.rpartition("-")
    found = comparing.load_comparison(sha_a, sha_b, data_fingerprint, split)
    assert found is not None
    return found


def load_curves(job: EvaluationJob, cut: float = 0.0) -> tuple[ConfidenceBins, Curve | None, Curve | None]:
    """Return an evaluation's bins of confidence, ROC and precision-recall curves; shared, not to be changed."""
    return _load_curves(str(job.results_file), job.results_file.stat().st_mtime_ns, cut)


@st.cache_resource(max_entries=12, show_spinner=False)
def _load_curves(path: str, changed: int, cut: float = 0.0) -> tuple[ConfidenceBins, Curve | None, Curve | None]:
    results = replace(_load_verdicts(path, changed), cut=cut)
    return (
        count_by_confidence(results.confidences, results.wrong),
        roc_curve(results.labels, results.logits, cut),
        precision_recall_curve(results.labels, results.logits, cut),
    )


class Calibrated(NamedTuple):
    """A model's confidence beside the share right, with the 95 % interval of the calibration error."""

    found: Reliability
    low: float
    high: float


def load_calibrated(job: EvaluationJob, temperature: float) -> Calibrated:
    """Return what an evaluation's confidence is worth once logits are divided by a temperature; not to be changed."""
    return _load_calibrated(str(job.results_file), job.results_file.stat().st_mtime_ns, temperature)


@st.cache_resource(max_entries=20, show_spinner=False)
def _load_calibrated(path: str, changed: int, temperature: float) -> Calibrated:
    results = _load_verdicts(path, changed)
    found = reliability(results.labels, results.logits, temperature)
    return Calibrated(found, *error_interval(found))


def load_risk(job: EvaluationJob, cut: float) -> RiskCoverage:
    """Return how many of an evaluation's surest reviews are right; shared, not to be changed."""
    return _load_risk(str(job.results_file), job.results_file.stat().st_mtime_ns, cut)


@st.cache_resource(max_entries=20, show_spinner=False)
def _load_risk(path: str, changed: int, cut: float) -> RiskCoverage:
    results = _load_verdicts(path, changed)
    return risk_coverage(results.labels, results.logits, cut)


def reliability_charts(
    job: EvaluationJob, temperature: float | None, selected: int | None, tokens: Tokens
) -> tuple[dict[str, Any], ...]:
    """Return the Vega-Lite charts of the reliability diagram and of the counts under it."""
    path = job.results_file
    return _reliability_charts(str(path), path.stat().st_mtime_ns, temperature, selected, tokens)


@st.cache_data(max_entries=100, show_spinner=False)
def _reliability_charts(
    path: str, changed: int, temperature: float | None, selected: int | None, tokens: Tokens
) -> tuple[dict[str, Any], ...]:
    before = _load_calibrated(path, changed, 1.0).found
    after = None if temperature is None else _load_calibrated(path, changed, temperature).found
    charts = plot_reliability(before, after, selected, tokens), plot_bin_counts(before, selected, tokens)
    return tuple(dict(chart.to_dict()) for chart in charts)


def risk_chart(job: EvaluationJob, cut: float, surest: int | None, tokens: Tokens) -> dict[str, Any]:
    """Return the Vega-Lite chart of the risk-coverage curve."""
    return _risk_chart(str(job.results_file), job.results_file.stat().st_mtime_ns, cut, surest, tokens)


@st.cache_data(max_entries=100, show_spinner=False)
def _risk_chart(path: str, changed: int, cut: float, surest: int | None, tokens: Tokens) -> dict[str, Any]:
    return dict(plot_risk_coverage(_load_risk(path, changed, cut), surest, tokens).to_dict())


def curve_figures(
    job: EvaluationJob, cut: float, chosen: float | None, tokens: Tokens
) -> tuple[go.Figure | None, go.Figure | None]:
    """Return the figures of the ROC and precision-recall curves, as far as they exist; shared, not to be changed."""
    return _curve_figures(str(job.results_file), job.results_file.stat().st_mtime_ns, cut, chosen, tokens)


@st.cache_resource(max_entries=20, show_spinner=False)
def _curve_figures(
    path: str, changed: int, cut: float, chosen: float | None, tokens: Tokens
) -> tuple[go.Figure | None, go.Figure | None]:
    _, roc, precision_recall = _load_curves(path, changed, cut)
    threshold = float(probability_of(np.array([cut]))[0])
    return (
        plot_roc(roc, tokens, threshold, chosen) if roc else None,
        plot_precision_recall(precision_recall, tokens, threshold, chosen) if precision_recall else None,
    )


def find_words(job: EvaluationJob, texts: pa.Array, words: str) -> NDArray[np.bool_]:
    """Tell which texts of an evaluation's split contain words, whatever the case, bool (N)."""
    return _find_words(str(job.path), words, texts)


@st.cache_resource(max_entries=20, show_spinner=False)
def _find_words(path: str, words: str, _texts: pa.Array) -> NDArray[np.bool_]:
    return search_texts(_texts, words)


def matrix_chart(job: EvaluationJob, selection: Selection, tokens: Tokens) -> dict[str, Any]:
    """Return the Vega-Lite chart of an evaluation's confusion matrix; to build one with Altair takes 40 ms."""
    path = job.path / "metrics.json"
    return _matrix_chart(str(path), path.stat().st_mtime_ns, _cut_of(job), selection.label, selection.verdict, tokens)


@st.cache_data(max_entries=40, show_spinner=False)
def _matrix_chart(
    path: str, changed: int, cut: float, label: int | None, verdict: int | None, tokens: Tokens
) -> dict[str, Any]:
    chart = plot_matrix(_load_evaluation(path, changed, cut).confusion, Selection(label, verdict), tokens)
    return dict(chart.to_dict())


def confidence_charts(job: EvaluationJob, selected: int | None, tokens: Tokens) -> tuple[dict[str, Any], ...]:
    """Return the Vega-Lite charts of counts and of shares wrong by confidence."""
    path, chosen = job.results_file, load_settings(job.path.parent.name)
    shades = tuple(chosen.unsure_confidences)
    return _confidence_charts(str(path), path.stat().st_mtime_ns, chosen.cut, shades, selected, tokens)


@st.cache_data(max_entries=100, show_spinner=False)
def _confidence_charts(
    path: str, changed: int, cut: float, shades: tuple[Interval, ...], selected: int | None, tokens: Tokens
) -> tuple[dict[str, Any], ...]:
    bins = _load_curves(path, changed, cut)[0]
    charts = plot_counts(bins, selected, tokens), plot_shares_wrong(bins, selected, tokens, shades)
    return tuple(dict(chart.to_dict()) for chart in charts)


def load_finding(job: AnalysisJob) -> dict[str, Any]:
    """Return what an analysis found; shared, not to be changed."""
    return _load_finding(str(job.path), job.document_file.stat().st_mtime_ns)


@st.cache_resource(max_entries=40, show_spinner=False)
def _load_finding(path: str, changed: int) -> dict[str, Any]:
    return AnalysisJob(Path(path)).read_document()


def check_finding(job: AnalysisJob) -> None:
    """See to it that all that an analysis found can be read.

    Raises:
        ReviewscopeError: It cannot.
    """
    load_finding(job)
    if job.kind == "themes":
        load_error_themes(job)
    if job.kind in WITH_TABLE:
        load_finding_table(job)


def load_finding_table(job: AnalysisJob) -> pa.Table:
    """Return the table that an analysis found, one row a review; shared, not to be changed."""
    return _load_finding_table(str(job.path), job.document_file.stat().st_mtime_ns)


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_finding_table(path: str, changed: int) -> pa.Table:
    return AnalysisJob(Path(path)).read_table()


def map_figure(job: AnalysisJob, results_file: Path, cut: float, area: Corners, tokens: Tokens) -> go.Figure:
    """Return the Plotly figure of the map of an evaluation's reviews; shared, not to be changed."""
    changed = job.document_file.stat().st_mtime_ns, results_file.stat().st_mtime_ns
    return _map_figure(str(job.path), str(results_file), changed, cut, area, tokens)


@st.cache_resource(max_entries=20, show_spinner=False)
def _map_figure(
    path: str, results: str, changed: tuple[int, int], cut: float, area: Corners, tokens: Tokens
) -> go.Figure:
    table = _load_finding_table(path, changed[0])
    return plot_map(table["x"].to_numpy(), table["y"].to_numpy(), _verdicts_at(results, changed[1], cut), area, tokens)


def reviews_in_area(job: AnalysisJob, area: Corners) -> NDArray[np.bool_]:
    """Tell which reviews of a map lie inside an area drawn on it, bool (N); shared, not to be changed."""
    return _reviews_in_area(str(job.path), job.document_file.stat().st_mtime_ns, area)


@st.cache_resource(max_entries=20, show_spinner=False)
def _reviews_in_area(path: str, changed: int, area: Corners) -> NDArray[np.bool_]:
    table = _load_finding_table(path, changed)
    return are_inside(table["x"].to_numpy(), table["y"].to_numpy(), area)


def load_error_themes(job: AnalysisJob) -> ErrorThemes:
    """Return what a look for themes found; shared, not to be changed."""
    return _load_error_themes(str(job.path), job.document_file.stat().st_mtime_ns)


@st.cache_resource(max_entries=40, show_spinner=False)
def _load_error_themes(path: str, changed: int) -> ErrorThemes:
    return ErrorThemes.from_document(AnalysisJob(Path(path)).read_document())


def lifts_chart(job: AnalysisJob, most: int | None, selected: str, tokens: Tokens) -> dict[str, Any]:
    """Return the Vega-Lite chart of the themes of the highest lift: ``most`` of them, or all."""
    return _lifts_chart(str(job.path), job.document_file.stat().st_mtime_ns, most, selected, tokens)


@st.cache_data(max_entries=100, show_spinner=False)
def _lifts_chart(path: str, changed: int, most: int | None, selected: str, tokens: Tokens) -> dict[str, Any]:
    themes = _load_error_themes(path, changed).themes
    return dict(plot_lifts(themes[:most], selected, tokens, LIFT_HEIGHT if most else None).to_dict())


def distinctive_chart(job: AnalysisJob, selected: str, tokens: Tokens) -> dict[str, Any]:
    """Return the Vega-Lite chart of the words that tell misread reviews from the others."""
    return _distinctive_chart(str(job.path), job.document_file.stat().st_mtime_ns, selected, tokens)


@st.cache_data(max_entries=100, show_spinner=False)
def _distinctive_chart(path: str, changed: int, selected: str, tokens: Tokens) -> dict[str, Any]:
    return dict(plot_distinctive(_load_error_themes(path, changed).distinctive, selected, tokens).to_dict())


def find_theme(job: AnalysisJob, predictor: Predictor, rows: LabelledTexts, theme: str) -> NDArray[np.bool_]:
    """Tell which reviews have a theme, bool (N): as the look for themes found it, or, before it is taken, here."""
    return _find_theme(str(job.path), _finding_time(job), theme, predictor, rows)


@st.cache_resource(max_entries=20, show_spinner=False)
def _find_theme(path: str, changed: int, theme: str, _predictor: Predictor, _rows: LabelledTexts) -> NDArray[np.bool_]:
    if changed:
        return theme_of_table(_load_finding_table(path, changed), theme)
    return reviews_with_theme(_predictor, _rows, theme)


def find_token(job: EvaluationJob, predictor: Predictor, texts: pa.Array, token: str) -> NDArray[np.bool_]:
    """Tell which texts hold a word, or words in a row, as the model's cleaning cuts them, bool (N)."""
    return _find_token(str(job.path), token, predictor, texts)


@st.cache_resource(max_entries=20, show_spinner=False)
def _find_token(path: str, token: str, _predictor: Predictor, _texts: pa.Array) -> NDArray[np.bool_]:
    return texts_holding(_texts, token, _predictor.architecture.preprocessing)


def _finding_time(job: AnalysisJob) -> int:
    """Return when a look's result was written; 0 before it is taken."""
    return job.document_file.stat().st_mtime_ns if job.is_done else 0


def changes_chart(job: AnalysisJob, chosen: str, tokens: Tokens) -> dict[str, Any]:
    """Return the Vega-Lite chart of how often changes of the texts turned a verdict."""
    return _changes_chart(str(job.path), job.document_file.stat().st_mtime_ns, chosen, tokens)


@st.cache_data(max_entries=100, show_spinner=False)
def _changes_chart(path: str, changed: int, chosen: str, tokens: Tokens) -> dict[str, Any]:
    return dict(plot_changes(_load_finding(path, changed)["changes"], chosen, tokens).to_dict())


@st.cache_data(max_entries=40, show_spinner=False)
def agreement_chart(counts: dict[Pair, int], names: tuple[str, str], selected: str, tokens: Tokens) -> dict[str, Any]:
    """Return the Vega-Lite chart of how often two models are right and wrong on the same reviews."""
    return dict(plot_agreement(counts, names, selected, tokens).to_dict())


def load_stars(config: RunConfig, split: str) -> NDArray[np.int8] | None:
    """Return the stars of each review of a split, or None where the data has none; shared, not to be changed.

    Raises:
        ReviewscopeError: They cannot be read, or are not those of the reviews.
    """
    cut = (config.data.validation_fraction, config.split_seed)
    return _load_stars(*_data_key(config), cut, split, config)


@st.cache_resource(max_entries=6, show_spinner="Reading the stars")
def _load_stars(
    data: str, changed: int, cut: tuple[float, int], split: str, _config: RunConfig
) -> NDArray[np.int8] | None:
    return load_ratings(_config, split)


def load_intensity(job: EvaluationJob, temperature: float, config: RunConfig, split: str) -> Intensity | None:
    """Return how an evaluation's scores go with the stars, or None where the data has none; not to be changed.

    Raises:
        ReviewscopeError: The stars cannot be read, or are not those of the reviews.
    """
    return _load_intensity(_intensity_key(job, temperature, config, split), config)


def intensity_chart(
    job: EvaluationJob, temperature: float, config: RunConfig, split: str, selected: int | None, tokens: Tokens
) -> dict[str, Any]:
    """Return the Vega-Lite chart of an evaluation's scores by stars."""
    return _intensity_chart(_intensity_key(job, temperature, config, split), selected, tokens, config)


IntensityKey = tuple[str, int, float, float, int, str]


def _intensity_key(job: EvaluationJob, temperature: float, config: RunConfig, split: str) -> IntensityKey:
    path, data = job.results_file, config.data
    return str(path), path.stat().st_mtime_ns, temperature, data.validation_fraction, config.split_seed, split


@st.cache_resource(max_entries=10, show_spinner=False)
def _load_intensity(key: IntensityKey, _config: RunConfig) -> Intensity | None:
    path, changed, temperature, _, _, split = key
    stars, results = load_stars(_config, split), _load_verdicts(path, changed)
    if stars is None:
        return None
    if len(stars) != len(results):
        raise ReviewscopeError(
            f"There are {len(stars):,} ratings for {len(results):,} scored reviews. Score the split again."
        )
    return judge_intensity(results.labels, results.logits, temperature, stars)


@st.cache_data(max_entries=40, show_spinner=False)
def _intensity_chart(key: IntensityKey, selected: int | None, tokens: Tokens, _config: RunConfig) -> dict[str, Any]:
    found = _load_intensity(key, _config)
    return dict(plot_intensity(found.by_stars if found else (), selected, tokens).to_dict())


def profile_charts(job: ProfileJob, tokens: Tokens) -> tuple[dict[str, Any], ...]:
    """Return the Vega-Lite charts of a profile: lengths, one-sided words, frequent words."""
    return _profile_charts(str(job.path), job.result_file.stat().st_mtime_ns, tokens)


@st.cache_data(max_entries=40, show_spinner=False)
def _profile_charts(path: str, changed: int, tokens: Tokens) -> tuple[dict[str, Any], ...]:
    job = ProfileJob(Path(path))
    profile, most = job.result, job.request.config.preprocessing.max_length
    if profile is None:
        return ()
    charts = (
        plot_lengths(profile, most, tokens),
        plot_one_sided(profile.one_sided, tokens),
        plot_frequent(profile.frequent, profile.splits["train"].n, tokens),
    )
    return tuple(dict(chart.to_dict()) for chart in charts)


def load_facet(job: BulkJob, name: str) -> NDArray[Any]:
    """Return small numbers of every row of a scored table: "logit", "side", "bin", "f1", "d2"; not to be changed.

    Raises:
        ReviewscopeError: There are no such ones, or their file is damaged.
    """
    return _load_facet(*_job_key(job), name)


# A column of a million rows takes 1 to 4 MB; the least used of these go.
@st.cache_resource(max_entries=12, show_spinner=False)
def _load_facet(path: str, changed: int, name: str) -> NDArray[Any]:
    job = BulkJob(Path(path))
    if name == "side":
        return sides_of(_load_facet(path, changed, "logit"), job.request.cutoffs)
    if name == "bin":
        return bins_of(_load_facet(path, changed, "logit"))
    damaged = f"{job.facets_file} is not that of the result. Score the table again: its rows are not read anew."
    try:
        found = read_facet(job.facets_file, name)
    except KeyError as error:
        raise ReviewscopeError(damaged) from error
    if len(found) != _result_of(job).rows:
        raise ReviewscopeError(damaged)
    return found


def load_rows_left(job: BulkJob, chosen: RowFilter) -> Mask | None:
    """Return which rows of a scored table a filter leaves, bool (N); None when it is empty. Not to be changed.

    What it needs of the texts must have been looked for.
    """
    if chosen.is_empty:
        return None
    texts = text_looks(job, chosen) if chosen.needs_texts else {}
    return _load_rows_left(*_job_key(job), chosen.model_dump_json(), chosen, texts)


@st.cache_resource(max_entries=4, show_spinner=False)
def _load_rows_left(path: str, changed: int, key: str, _chosen: RowFilter, _texts: dict[str, LookJob]) -> Mask | None:
    job = BulkJob(Path(path))
    found = {kind: read_look_rows(look) for kind, look in _texts.items()}
    return rows_left(
        _chosen, _result_of(job).facets, lambda name: _load_facet(path, changed, name), job.request.cutoffs, found
    )


def count_rows_left(job: BulkJob, chosen: RowFilter) -> Counts:
    """Return how many rows that a filter leaves lie on each side."""
    return _count_rows_left(*_job_key(job), chosen.model_dump_json(), chosen)


@st.cache_data(max_entries=60, show_spinner=False)
def _count_rows_left(path: str, changed: int, key: str, _chosen: RowFilter) -> Counts:
    return counts_of(_load_facet(path, changed, "side"), load_rows_left(BulkJob(Path(path)), _chosen))


def groups_figure(
    job: BulkJob, chosen: RowFilter, place: int, selected: str | None, tokens: Tokens
) -> tuple[pd.DataFrame, go.Figure | None]:
    """Return shares by a column of a scored table under a filter, and their chart; shared, not to be changed."""
    return _groups_figure(*_job_key(job), chosen.model_dump_json(), place, selected, tokens, chosen)


# A figure of Plotly's takes some 0.3 MB.
@st.cache_resource(max_entries=12, show_spinner=False)
def _groups_figure(
    path: str, changed: int, key: str, place: int, selected: str | None, tokens: Tokens, _chosen: RowFilter
) -> tuple[pd.DataFrame, go.Figure | None]:
    job = BulkJob(Path(path))
    codes, sides = (_load_facet(path, changed, name) for name in (f"f{place}", "side"))
    frame = share_by_group(codes, _result_of(job).facets.values[place] or (), sides, load_rows_left(job, _chosen))
    whole = count_rows_left(job, _chosen).share
    name = "whole file" if _chosen.is_empty else "all of these"
    if whole is None or frame.empty:
        return frame, None
    return frame, plot_share_by_group(frame, whole, tokens, selected, name)


Days = tuple[int | None, int | None]


def time_figure(
    job: BulkJob, chosen: RowFilter, place: int, unit: Unit | None, days: Days, tokens: Tokens
) -> tuple[Unit, pd.DataFrame, go.Figure | None]:
    """Return shares over time under a filter, and their chart where two buckets have any; not to be changed."""
    return _time_figure(*_job_key(job), chosen.model_dump_json(), place, unit, days, tokens, chosen)


@st.cache_resource(max_entries=12, show_spinner=False)
def _time_figure(
    path: str, changed: int, key: str, place: int, unit: Unit | None, days: Days, tokens: Tokens, _chosen: RowFilter
) -> tuple[Unit, pd.DataFrame, go.Figure | None]:
    dated, sides = (_load_facet(path, changed, name) for name in (f"d{place}", "side"))
    used, frame = share_over_time(dated, sides, unit, load_rows_left(BulkJob(Path(path)), _chosen))
    is_drawn = frame["share"].notna().sum() > 1
    return used, frame, plot_share_over_time(frame, used, tokens, days) if is_drawn else None


def scores_chart(
    job: BulkJob, chosen: RowFilter, selected: int | None, tokens: Tokens
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the histogram of the scores of a table under a filter, and its Vega-Lite chart."""
    return _scores_chart(*_job_key(job), chosen.model_dump_json(), selected, tokens, chosen)


@st.cache_data(max_entries=60, show_spinner=False)
def _scores_chart(
    path: str, changed: int, key: str, selected: int | None, tokens: Tokens, _chosen: RowFilter
) -> tuple[pd.DataFrame, dict[str, Any]]:
    job = BulkJob(Path(path))
    bins, sides = (_load_facet(path, changed, name) for name in ("bin", "side"))
    frame = score_histogram(bins, sides, load_rows_left(job, _chosen), job.request.cutoffs)
    return frame, score_histogram_spec(frame, tokens, selected)


def stars_chart(
    job: BulkJob, chosen: RowFilter, place: int, selected: int | None, tokens: Tokens
) -> tuple[StarAgreement, dict[str, Any] | None]:
    """Return how a table's scores go with its stars under a filter, and the Vega-Lite chart where there are any."""
    return _stars_chart(*_job_key(job), chosen.model_dump_json(), place, selected, tokens, chosen)


@st.cache_data(max_entries=40, show_spinner=False)
def _stars_chart(
    path: str, changed: int, key: str, place: int, selected: int | None, tokens: Tokens, _chosen: RowFilter
) -> tuple[StarAgreement, dict[str, Any] | None]:
    found = _judge_stars(path, changed, key, place, _chosen)
    return found, intensity_spec(found.by_stars, selected, tokens) if found.by_stars else None


@st.cache_data(max_entries=40, show_spinner=False)
def _judge_stars(path: str, changed: int, key: str, place: int, _chosen: RowFilter) -> StarAgreement:
    job = BulkJob(Path(path))
    facets = _result_of(job).facets
    logits, sides, codes = (_load_facet(path, changed, name) for name in ("logit", "side", f"f{place}"))
    stars = stars_of(facets.values[place] or (), codes)
    return judge_stars(logits, sides, stars, facets.facts[place].star_scale or 5, load_rows_left(job, _chosen))


def words_chart(
    look: LookJob, group_a: Group, group_b: Group, selected: str, tokens: Tokens
) -> tuple[WordsFound, dict[str, Any] | None]:
    """Return the words that a look at a scored table has found, and their Vega-Lite chart where there are any."""
    return _words_chart(str(look.path), look.words_file.stat().st_mtime_ns, group_a, group_b, selected, tokens)


@st.cache_data(max_entries=40, show_spinner=False)
def _words_chart(
    path: str, changed: int, group_a: Group, group_b: Group, selected: str, tokens: Tokens
) -> tuple[WordsFound, dict[str, Any] | None]:
    found = read_document(LookJob(Path(path)).words_file, WordsFound)
    chart = plot_leaning(found.words, group_a, group_b, tokens, selected, is_door=True) if found.words else None
    return found, dict(chart.to_dict(validate=False)) if chart is not None else None


def first_rows(job: BulkJob, chosen: RowFilter, order: Order, most: int) -> NDArray[np.int64]:
    """Return the places of the first rows that a filter leaves, in an order."""
    return _first_rows(*_job_key(job), chosen.model_dump_json(), order, most, chosen)


@st.cache_data(max_entries=60, show_spinner=False)
def _first_rows(path: str, changed: int, key: str, order: Order, most: int, _chosen: RowFilter) -> NDArray[np.int64]:
    job = BulkJob(Path(path))
    logits = _load_facet(path, changed, "logit")
    return order_rows(logits, order, most, job.request.cutoffs, load_rows_left(job, _chosen))


def rejected_rows(job: BulkJob, most: int) -> NDArray[np.int64]:
    """Return the places of the first rows without a score."""
    return _rejected_rows(*_job_key(job), most)


@st.cache_data(max_entries=20, show_spinner=False)
def _rejected_rows(path: str, changed: int, most: int) -> NDArray[np.int64]:
    return np.flatnonzero(np.isnan(_load_facet(path, changed, "logit")))[:most]


def load_cells(job: BulkJob, places: NDArray[np.int64], columns: tuple[int | str, ...], most: int) -> pd.DataFrame:
    """Return the texts of some rows of a scored table, ``most`` characters of each; see ``read_rows_at``."""
    return _load_cells(*_job_key(job), tuple(places.tolist()), columns, most)


@st.cache_data(max_entries=100, show_spinner=False)
def _load_cells(
    path: str, changed: int, places: tuple[int, ...], columns: tuple[int | str, ...], most: int
) -> pd.DataFrame:
    rows = read_rows_at(BulkJob(Path(path)), np.array(places, np.int64), columns)
    pa.default_memory_pool().release_unused()  # it would keep what it took for the row groups
    return rows.map(lambda cell: cell[:most] if isinstance(cell, str) else cell)


def draw_for_labels(job: BulkJob) -> NDArray[np.int64]:
    """Return the places of the rows of a scored table that a reader is asked to label; not to be changed."""
    return _draw_for_labels(*_job_key(job))


@st.cache_resource(max_entries=20, show_spinner=False)
def _draw_for_labels(path: str, changed: int) -> NDArray[np.int64]:
    return draw_rows_to_label(_load_facet(path, changed, "logit"), seed_of(BulkJob(Path(path)).job_id))


def measure_labels(job: BulkJob, place: int) -> Agreement:
    """Return how the verdicts on a scored table agree with the labels in one of its own columns."""
    return _measure_labels(*_job_key(job), place)


@st.cache_resource(max_entries=40, show_spinner=False)
def _measure_labels(path: str, changed: int, place: int) -> Agreement:
    job = BulkJob(Path(path))
    values = _result_of(job).facets.values[place] or ()
    logits, codes = (_load_facet(path, changed, name) for name in ("logit", f"f{place}"))
    return measure_agreement(logits, codes, values, propose_meanings(values), job.request.cutoffs)


def _job_key(job: BulkJob) -> tuple[str, int]:
    try:
        return str(job.path), job.facets_file.stat().st_mtime_ns
    except OSError as error:  # another tab deletes it
        raise ReviewscopeError(f"{job.facets_file} is not here any more. Score the table again.") from error


def _result_of(job: BulkJob) -> BulkResult:
    if (result := job.result) is None:
        raise ReviewscopeError("The result is not here any more. Score the table again.")
    return result
