"""The one place with ``st.cache_data`` and ``st.cache_resource``. Keys are paths and times of change, not data."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st
from numpy.typing import NDArray

from core.charts.evaluation import plot_counts, plot_matrix, plot_shares_wrong
from core.charts.tokens import Tokens
from core.config import DataConfig, Meaning, RunConfig
from core.data import labels
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import choose_split, load_columns, read_labelled_table
from core.evaluation.comparison import Comparison
from core.evaluation.curves import ConfidenceBins, Curve, count_by_confidence, precision_recall_curve, roc_curve
from core.evaluation.selection import Results, Selection
from core.files import read_json
from core.prediction import comparing
from core.prediction.analysis import AnalysisJob
from core.prediction.evaluating import Evaluation, EvaluationJob, load_results
from core.prediction.predictor import Predictor
from core.profiling import ProfileJob
from core.run_groups import read_validations
from core.runs import Run, find_model
from core.training.history import History, HistoryReader
from dashboard.data_charts import plot_frequent, plot_lengths, plot_one_sided
from dashboard.evaluation.review_rows import search_texts


def load_predictor(reference: str) -> Predictor:
    """Return the shared predictor of a model; threads may use it at once."""
    path = find_model(reference)
    return _load_predictor(str(path), path.stat().st_mtime_ns)


@st.cache_resource(max_entries=3, show_spinner=False)
def _load_predictor(path: str, changed: int) -> Predictor:
    return Predictor.load(Path(path))


def load_split(config: RunConfig, split: str) -> LabelledTexts:
    """Return a split's texts and labels; shared, not to be changed."""
    splits = _load_data(*_data_key(config))[0]
    return choose_split(splits, split, config)


def data_fingerprint(config: RunConfig) -> str:
    """Return the fingerprint of a config's data set."""
    return _load_data(*_data_key(config))[1]


def _data_key(config: RunConfig) -> tuple[str, int]:
    """Return what names a config's data, and when its table last changed."""
    path = Path(config.data.path) if config.data.path is not None else None
    changed = path.stat().st_mtime_ns if path is not None and path.exists() else 0
    return config.data.model_dump_json(include={"source", "path", "text_column", "label_column", "label_map"}), changed


@st.cache_resource(max_entries=3, show_spinner="Reading the reviews")
def _load_data(data: str, changed: int) -> tuple[dict[str, LabelledTexts], str]:
    splits = load_columns(DataConfig.model_validate_json(data))
    return splits, fingerprint(splits)


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
        ReviewscopeError: A row cannot be trained on.
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
    """Return an evaluation's figures."""
    path = job.path / "metrics.json"
    return _load_evaluation(str(path), path.stat().st_mtime_ns)


@st.cache_data(max_entries=20, show_spinner=False)
def _load_evaluation(path: str, changed: int) -> Evaluation:
    return Evaluation.from_document(read_json(Path(path)))


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
    """Return the verdicts of an evaluation on each review; shared, not to be changed."""
    return _load_verdicts(str(job.results_file), job.results_file.stat().st_mtime_ns)


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
    return _load_comparison(str(job_a.path), str(job_b.path), changed_a, changed_b)


@st.cache_resource(max_entries=40, show_spinner=False)
def _load_comparison(path_a: str, path_b: str, changed_a: int, changed_b: int) -> Comparison:
    sha_a, sha_b = Path(path_a).parent.name, Path(path_b).parent.name
    data_fingerprint, _, split = Path(path_a).name.rpartition("-")
    found = comparing.load_comparison(sha_a, sha_b, data_fingerprint, split)
    assert found is not None
    return found


def load_curves(job: EvaluationJob) -> tuple[ConfidenceBins, Curve | None, Curve | None]:
    """Return an evaluation's bins of confidence, ROC and precision-recall curves; shared, not to be changed."""
    return _load_curves(str(job.results_file), job.results_file.stat().st_mtime_ns)


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_curves(path: str, changed: int) -> tuple[ConfidenceBins, Curve | None, Curve | None]:
    results = _load_verdicts(path, changed)
    return (
        count_by_confidence(results.confidences, results.wrong),
        roc_curve(results.labels, results.logits),
        precision_recall_curve(results.labels, results.logits),
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
    return _matrix_chart(str(path), path.stat().st_mtime_ns, selection.label, selection.verdict, tokens)


@st.cache_data(max_entries=40, show_spinner=False)
def _matrix_chart(path: str, changed: int, label: int | None, verdict: int | None, tokens: Tokens) -> dict[str, Any]:
    chart = plot_matrix(_load_evaluation(path, changed).confusion, Selection(label, verdict), tokens)
    return dict(chart.to_dict())


def confidence_charts(job: EvaluationJob, selected: int | None, tokens: Tokens) -> tuple[dict[str, Any], ...]:
    """Return the Vega-Lite charts of counts and of shares wrong by confidence."""
    path = job.results_file
    return _confidence_charts(str(path), path.stat().st_mtime_ns, selected, tokens)


@st.cache_data(max_entries=100, show_spinner=False)
def _confidence_charts(path: str, changed: int, selected: int | None, tokens: Tokens) -> tuple[dict[str, Any], ...]:
    bins = _load_curves(path, changed)[0]
    return tuple(dict(plot(bins, selected, tokens).to_dict()) for plot in (plot_counts, plot_shares_wrong))


def load_finding(job: AnalysisJob) -> dict[str, Any]:
    """Return what an analysis found; shared, not to be changed."""
    return _load_finding(str(job.path), job.document_file.stat().st_mtime_ns)


@st.cache_resource(max_entries=40, show_spinner=False)
def _load_finding(path: str, changed: int) -> dict[str, Any]:
    return AnalysisJob(Path(path)).read_document()


def load_finding_table(job: AnalysisJob) -> pa.Table:
    """Return the table that an analysis found, one row a review; shared, not to be changed."""
    return _load_finding_table(str(job.path), job.document_file.stat().st_mtime_ns)


@st.cache_resource(max_entries=6, show_spinner=False)
def _load_finding_table(path: str, changed: int) -> pa.Table:
    return AnalysisJob(Path(path)).read_table()


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
