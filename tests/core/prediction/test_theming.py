"""The look for themes: one document, one table, and both say the same."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from core import settings
from core.config import preset_config, with_data
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import load_columns
from core.evaluation.discoveries import collect_terms, find_terms, texts_holding
from core.evaluation.selection import Results
from core.evaluation.themes import THEMES
from core.evaluation.words import count_words, one_sided_words
from core.files import read_json, write_json
from core.job_folder import JobFolder, JobReporter
from core.prediction.analysis import AnalysisRequest, Finding, Subject, create_analysis_job, execute_analysis
from core.prediction.evaluating import evaluate_split
from core.prediction.predictor import Predictor
from core.prediction.theming import (
    DISTINCTIVE,
    ErrorThemes,
    look,
    reviews_with_theme,
    theme_of_table,
    theme_options,
)
from core.preprocessing.corpus import cut_corpus

pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
CONFIG = with_data(preset_config("fast"), "demo")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load("starter")


@pytest.fixture(scope="module")
def splits() -> dict[str, LabelledTexts]:
    return load_columns(CONFIG.data)


def subject_of(predictor: Predictor, rows: LabelledTexts, wrong: np.ndarray) -> Subject:
    logits = np.where((rows.labels == 1) ^ wrong, 2.0, -2.0)
    return Subject(predictor, rows, Results(rows.labels, logits, 1 / (1 + np.exp(-logits))), {}, "test", CONFIG)


def take(subject: Subject, tmp_path, **options: Any) -> tuple[ErrorThemes, Finding]:
    finding = look(subject, options, JobReporter(JobFolder(tmp_path)))
    return ErrorThemes.from_document(json.loads(json.dumps(finding.document))), finding


def misread_films(rows: LabelledTexts, word: str, rate: float) -> np.ndarray:
    """Return verdicts that err by chance, and more where a word stands."""
    draw = np.random.default_rng(0)
    holds = np.array([word in text.lower() for text in rows.texts.to_pylist()])
    return draw.random(len(rows)) < np.where(holds, rate, 0.05)


def test_every_theme_and_word_has_as_many_reviews_as_the_document_says(predictor: Predictor, splits, tmp_path) -> None:
    rows = splits["test"]
    wrong = misread_films(rows, "lantern", 0.4)
    themes, finding = take(subject_of(predictor, rows, wrong), tmp_path)
    table = finding.table
    assert len(table) == len(rows) and table.column_names == list(THEMES)
    assert (themes.n, themes.errors) == (len(rows), wrong.sum())
    for each in themes.themes:
        mask = theme_of_table(table, each.key)
        assert (each.lift.n, each.lift.errors) == (mask.sum(), (mask & wrong).sum())
    assert "lantern" in {term.name for term in themes.found}
    config = predictor.architecture.preprocessing
    for term in themes.found:
        mask = texts_holding(rows.texts, term.name, config)
        assert (term.lift.n, term.lift.errors) == (mask.sum(), (mask & wrong).sum())
    for lean in themes.distinctive:
        mask = texts_holding(rows.texts, lean.word, config)
        assert (lean.in_a, lean.in_b) == ((mask & ~wrong).sum(), (mask & wrong).sum())


def test_it_finds_what_the_search_alone_finds(predictor: Predictor, splits, tmp_path) -> None:
    rows = splits["test"]
    wrong = misread_films(rows, "lantern", 0.4)
    themes, _ = take(subject_of(predictor, rows, wrong), tmp_path)
    config = predictor.architecture.preprocessing
    expected = find_terms(collect_terms(cut_corpus(rows.texts, config)), wrong)
    assert themes.found == expected.found and themes.found_count == len(expected.found)
    assert (themes.words_tested, themes.pairs_tested) == (expected.words_tested, expected.pairs_tested)
    right, misread = (count_words(rows.texts.take(pa.array(np.flatnonzero(kind))), config) for kind in (~wrong, wrong))
    assert list(themes.distinctive) == one_sided_words(right, misread, most=DISTINCTIVE)


def test_without_the_look_the_same_reviews_have_a_theme(predictor: Predictor, splits, tmp_path) -> None:
    rows = splits["test"]
    wrong = misread_films(rows, "lantern", 0.4)
    _, finding = take(subject_of(predictor, rows, wrong), tmp_path)
    for key in ("short", "unknown", "rating", "negation"):
        assert (reviews_with_theme(predictor, rows, key) == theme_of_table(finding.table, key)).all()


def test_a_moved_threshold_gives_other_errors(predictor: Predictor, splits, tmp_path) -> None:
    rows = splits["test"]
    subject = subject_of(predictor, rows, np.zeros(len(rows), bool))
    assert take(subject, tmp_path)[0].errors == 0
    assert take(subject, tmp_path, cut=3.0)[0].errors == rows.labels.sum()
    assert theme_options(subject.results).get("cut") is None
    moved = Results(rows.labels, subject.results.logits, subject.results.probabilities, cut=3.0)
    assert theme_options(moved)["cut"] == 3.0


@pytest.mark.parametrize("errors", ["none", "all"])
@pytest.mark.parametrize("n", [1, 40])
def test_no_error_only_errors_and_one_review_are_stood(
    predictor: Predictor, splits, tmp_path, errors: str, n: int
) -> None:
    rows = splits["test"].take(np.arange(n))
    themes, finding = take(subject_of(predictor, rows, np.full(n, errors == "all")), tmp_path)
    assert themes.found == () and themes.distinctive == ()
    assert all(each.lift.value == (1.0 if errors == "all" else None) or each.lift.reason for each in themes.themes)
    assert len(finding.table) == n


def test_a_split_of_one_label_has_themes_too(predictor: Predictor, splits, tmp_path) -> None:
    rows = splits["test"].take(np.flatnonzero(splits["test"].labels == 0))
    themes, _ = take(subject_of(predictor, rows, misread_films(rows, "lantern", 0.4)), tmp_path)
    assert "lantern" in {term.name for term in themes.found}
    assert all(each.lift.value is not None or each.lift.reason for each in themes.themes)


def test_no_review_text_is_kept(predictor: Predictor, splits, tmp_path) -> None:
    rows = splits["test"]
    _, finding = take(subject_of(predictor, rows, misread_films(rows, "lantern", 0.4)), tmp_path)
    kept = json.dumps(finding.document)
    assert not any(text in kept for text in rows.texts.to_pylist() if len(text) > 40)
    assert all(
        not pa.types.is_large_string(column.type) and not pa.types.is_string(column.type) for column in finding.table
    )


def test_as_a_job_it_writes_both_and_is_done(predictor: Predictor, splits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    data = fingerprint(splits)
    evaluate_split(predictor, splits["test"], data, "test")
    request = AnalysisRequest(
        kind="themes", model="starter", model_sha256=predictor.sha256, data_fingerprint=data, split="test", config=CONFIG
    )  # fmt: skip
    job = create_analysis_job(request)
    execute_analysis(job, JobReporter(job))
    assert job.is_done and job.state.status == "finished"
    assert ErrorThemes.from_document(job.read_document()).n == len(job.read_table()) == 1_200
    write_json(job.path / "copy.json", read_json(job.document_file))  # plain values, so that it can be written again


def test_at_most_200_words_and_pairs_are_listed(predictor: Predictor, splits, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("core.prediction.theming.MOST_LISTED", 2)
    rows = splits["test"]
    themes, _ = take(subject_of(predictor, rows, misread_films(rows, "lantern", 0.4)), tmp_path)
    assert len(themes.found) == 2 < themes.found_count
