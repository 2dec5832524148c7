"""A model over a labelled split: results to the evaluations folder, figures back."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core import settings
from core.config import RunConfig, Section
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import choose_split, load_columns
from core.errors import DataError, JobError, ReviewscopeError
from core.evaluation.metrics import Confusion, Metric, evaluate_logits
from core.evaluation.selection import Results
from core.files import atomic_writer, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.prediction.predictor import Predictor, probability_of


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model on one split.

    Attributes:
        n: Reviews.
        model_sha256: The model's.
        data_fingerprint: Of the whole data set.
        split: The split's name.
        metrics: By name.
        confusion: At probability 0.5.
    """

    n: int
    model_sha256: str
    data_fingerprint: str
    split: str
    metrics: dict[str, Metric]
    confusion: Confusion

    def to_document(self) -> dict[str, object]:
        """Return it as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "Evaluation":
        """Read what ``to_document`` gave."""
        metrics = {name: Metric(**values) for name, values in document["metrics"].items()}
        return cls(**{**document, "metrics": metrics, "confusion": Confusion(**document["confusion"])})


class EvaluationRequest(Section):
    """What an evaluation job was asked to do; the valid split needs the fraction and seed that it was cut with."""

    model: str
    split: str
    config: RunConfig


@dataclass(frozen=True)
class EvaluationJob(JobFolder):
    """The folder of one model on one split: a job and its result."""

    @property
    def request(self) -> EvaluationRequest:
        """Return what it was asked to do."""
        return read_document(self.path / "request.json", EvaluationRequest)

    @property
    def results_file(self) -> Path:
        """Return index, label, logit and probability of each review."""
        return self.path / "results.parquet"

    @property
    def is_done(self) -> bool:
        """Tell whether the figures are there; a model and a split never change under their names."""
        return (self.path / "metrics.json").exists()


def create_evaluation_job(request: EvaluationRequest, model_sha256: str, data_fingerprint: str) -> EvaluationJob:
    """Make an evaluation job's folder, or find it."""
    job = EvaluationJob(evaluation_folder(model_sha256, data_fingerprint, request.split))
    write_json(job.path / "request.json", request.model_dump(mode="json"))
    return job


def execute_evaluation(job: EvaluationJob, reporter: JobReporter) -> None:
    """Score the split of an evaluation job.

    Raises:
        ReviewscopeError: Data or model cannot be read, or are not those that the folder names.
    """
    with job.locked():
        job.save_state("running")
        reporter.on_phase("Loading the data", 0)
        request = job.request
        splits = load_columns(request.config.data)
        rows = choose_split(splits, request.split, request.config)
        predictor = Predictor.load(request.model)
        data_fingerprint = fingerprint(splits)
        if job.path != evaluation_folder(predictor.sha256, data_fingerprint, request.split):
            raise JobError("The model or the data has changed since the evaluation was asked for. Ask for it again.")
        reporter.on_phase("Scoring", len(rows))
        evaluate_split(predictor, rows, data_fingerprint, request.split, reporter.on_progress)


def evaluate_split(
    predictor: Predictor,
    data: LabelledTexts,
    data_fingerprint: str,
    split: str,
    on_progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Score a split, write each review's result (never its text) and return the figures.

    The folder ``evaluations/<model>/<data>-<split>/`` receives ``results.parquet`` with the columns index, label,
    logit and probability, and ``metrics.json``.

    Raises:
        DataError: The split has no review.
    """
    if not len(data):
        raise DataError(f"The {split} split has no review. Choose another split, or a larger validation share.")
    predictions = predictor.predict(data.texts, on_progress)
    metrics, confusion = evaluate_logits(data.labels, predictions.logits)
    folder = evaluation_folder(predictor.sha256, data_fingerprint, split)
    results = pa.table(
        {
            "index": np.arange(len(data)),
            "label": data.labels.astype(np.int8),
            "logit": predictions.logits,
            "probability": predictions.probabilities,
        }
    )
    with atomic_writer(folder / "results.parquet") as file:
        pq.write_table(results, file)
    evaluation = Evaluation(len(data), predictor.sha256, data_fingerprint, split, metrics, confusion)
    write_json(folder / "metrics.json", evaluation.to_document())
    EvaluationJob(folder).save_state("finished")
    return evaluation


def load_results(path: Path) -> Results:
    """Return an evaluation's verdicts on each review.

    Args:
        path: The evaluation's ``results_file``.

    Raises:
        ReviewscopeError: It cannot be read.
    """
    try:
        table = pq.read_table(path, columns=["label", "logit"])
    except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
        raise ReviewscopeError(f"Could not read {path} ({str(error)[:200]}). Score the split again.") from error
    labels, logits = table["label"].to_numpy().astype(np.int64), table["logit"].to_numpy().astype(np.float64)
    return Results(labels, logits, probability_of(logits))


def evaluation_folder(model_sha256: str, data_fingerprint: str, split: str) -> Path:
    """Return where the results of a model on a split are kept."""
    return settings.home() / "evaluations" / model_sha256 / f"{data_fingerprint}-{split}"
