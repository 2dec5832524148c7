"""A scored split tells its figures, also those of an older file, and how far its probabilities can be trusted."""

import json

import numpy as np
import pytest

from core.config import preset_config, with_data
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.evaluation.calibration import reliability, risk_coverage
from core.evaluation.metrics import METRICS
from core.evaluation.selection import Results
from core.models.model_file import Calibration, LoadedModel
from core.prediction.evaluating import (
    Evaluation,
    EvaluationJob,
    describe_trust,
    evaluate_split,
    evaluation_folder,
    load_results,
)
from core.prediction.predictor import Predictor, probability_of


def draw_results(n: int = 400) -> Results:
    draw = np.random.default_rng(4)
    logits = draw.normal(0, 4, n)
    labels = (draw.random(n) < 1 / (1 + np.exp(-logits / 2))).astype(np.int64)
    return Results(labels, logits, probability_of(logits))


@pytest.fixture(scope="module")
def starter() -> Predictor:
    return Predictor.load("starter")


@pytest.fixture
def evaluation(starter: Predictor) -> Evaluation:
    splits = load_columns(with_data(preset_config("fast"), "demo").data)
    return evaluate_split(starter, splits["test"], fingerprint(splits), "test")


def test_the_trust_in_a_calibrated_model_is_told_before_and_after_its_temperature() -> None:
    results = draw_results()
    trust = describe_trust(results, Calibration(temperature=2.0, n=50))
    assert (trust["temperature"], trust["ece_after_reason"]) == (2.0, None)
    assert trust["ece_before"] == reliability(results.labels, results.logits).error
    assert trust["ece_after"] == reliability(results.labels, results.logits, 2.0).error < trust["ece_before"]
    curve = risk_coverage(results.labels, results.logits)
    assert [point["coverage"] for point in trust["risk_coverage"]] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    for place, point in enumerate(trust["risk_coverage"]):
        assert point["n"] == 40 * (place + 1)
        for name in ("accuracy", "low", "high"):
            assert point[name] == getattr(curve, name)[10 * place + 9]
    assert json.loads(json.dumps(trust, allow_nan=False)) == trust


def test_without_a_calibration_the_error_after_is_none_with_a_reason() -> None:
    trust = describe_trust(draw_results(), None)
    assert (trust["temperature"], trust["ece_after"]) == (None, None) and trust["ece_before"] > 0
    assert "no temperature" in trust["ece_after_reason"]


def test_the_trust_without_reviews_or_with_one_has_no_nan() -> None:
    for n, surest in ((0, 0), (1, 0)):
        trust = describe_trust(draw_results(n), Calibration(temperature=1.5, n=50))
        text = json.dumps(trust, allow_nan=False)
        assert trust["risk_coverage"][0] == {"coverage": 0.1, "n": surest, "accuracy": None, "low": None, "high": None}
        assert (trust["ece_before"] is None) == (n == 0) and "NaN" not in text


def test_a_scored_split_is_read_back_as_it_was_told(evaluation: Evaluation) -> None:
    assert evaluation.folder == evaluation_folder(evaluation.model_sha256, evaluation.data_fingerprint, "test")
    assert EvaluationJob(evaluation.folder).read_evaluation() == evaluation
    assert set(evaluation.metrics) == set(METRICS)


def test_figures_that_an_older_file_lacks_are_worked_out_from_the_results(evaluation: Evaluation) -> None:
    file = evaluation.folder / "metrics.json"
    document = json.loads(file.read_text())
    for name in ("average_precision", "brier", "ece"):
        del document["metrics"][name]
    file.write_text(json.dumps(document))
    assert set(Evaluation.from_document(document).metrics) == set(METRICS) - {"average_precision", "brier", "ece"}
    assert EvaluationJob(evaluation.folder).read_evaluation() == evaluation


def test_another_cut_moves_the_figures_of_the_verdicts_alone(evaluation: Evaluation) -> None:
    job = EvaluationJob(evaluation.folder)
    moved, results = job.read_evaluation(1.5), load_results(job.results_file)
    read = results.logits > 1.5
    assert moved.metrics["accuracy"].value == (read == (results.labels == 1)).mean()
    assert moved.confusion.true_positives == (read & (results.labels == 1)).sum()
    assert moved.metrics["ece"] == evaluation.metrics["ece"] and moved.n == evaluation.n


def test_a_model_s_results_do_not_depend_on_its_calibration(starter: Predictor, evaluation: Evaluation) -> None:
    loaded = LoadedModel(starter.model, starter.encoder, starter.architecture, starter.sha256)
    splits = load_columns(with_data(preset_config("fast"), "demo").data)
    assert evaluate_split(Predictor(loaded), splits["test"], fingerprint(splits), "test") == evaluation
