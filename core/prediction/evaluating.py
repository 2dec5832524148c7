"""A model over a labelled split: results to the evaluations folder, figures back."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
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
from core.evaluation.calibration import reliability, risk_coverage
from core.evaluation.metrics import METRICS, Confusion, Metric, evaluate_logits
from core.evaluation.selection import Results
from core.files import atomic_writer, is_locked, read_json, remove_files, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.models.model_file import Calibration
from core.prediction.predictor import Predictor, probability_of

NO_CALIBRATION = "this model has no temperature: none was fitted on validation when it was trained"


@dataclass(frozen=True)
class Evaluation:
    """The figures of one model on one split.

    Attributes:
        n: Reviews.
        model_sha256: The model's.
        data_fingerprint: Of the whole data set.
        split: The split's name.
        metrics: By name.
        confusion: At probability 0.5, unless it was read with another cut.
    """

    n: int
    model_sha256: str
    data_fingerprint: str
    split: str
    metrics: dict[str, Metric]
    confusion: Confusion

    @property
    def folder(self) -> Path:
        """Return where its results are kept."""
        return evaluation_folder(self.model_sha256, self.data_fingerprint, self.split)

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

    def read_evaluation(self, cut: float = 0.0) -> Evaluation:
        """Return the figures; those that an earlier version did not tell are worked out from the results.

        Args:
            cut: The logit above which a verdict is positive; those of another than 0 are worked out too.

        Raises:
            ReviewscopeError: A file cannot be read.
        """
        path = self.path / "metrics.json"
        try:
            evaluation = Evaluation.from_document(read_json(path))
        except (KeyError, TypeError, AttributeError) as error:
            raise ReviewscopeError(f"{path} is damaged ({str(error)[:200]}). Score the split again.") from error
        if set(evaluation.metrics) == set(METRICS) and cut == 0.0:
            return evaluation
        results = load_results(self.results_file)
        metrics, confusion = evaluate_logits(results.labels, results.logits, cut)
        return replace(evaluation, metrics=metrics, confusion=confusion)

    def discard(self) -> None:
        """Remove the result, so that the split can be scored anew.

        Raises:
            ReviewscopeError: It cannot be removed.
        """
        remove_files(self.path / "metrics.json", self.results_file)


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
        if request.split != "valid" and has_validation(request.config, request.split):
            _score_validation(request.model_copy(update={"split": "valid"}), predictor, splits, data_fingerprint)


def has_validation(config: RunConfig, split: str) -> bool:
    """Tell whether the data of which ``split`` is a part has validation reviews; a table looked at whole has none."""
    return config.data.validation_fraction > 0 and split != "all"


def _score_validation(
    request: EvaluationRequest, predictor: Predictor, splits: Mapping[str, LabelledTexts], data_fingerprint: str
) -> None:
    """Score the validation reviews too, which thresholds are chosen on, unless they are; a failure is theirs alone."""
    job = EvaluationJob(evaluation_folder(predictor.sha256, data_fingerprint, "valid"))
    if job.is_done or is_locked(job.path / "lock"):
        return
    try:
        job = create_evaluation_job(request, predictor.sha256, data_fingerprint)
        with job.locked():
            job.save_state("running")
            rows, reporter = choose_split(splits, "valid", request.config), JobReporter(job)
            reporter.on_phase("Scoring the validation reviews", len(rows))
            evaluate_split(predictor, rows, data_fingerprint, "valid", reporter.on_progress)
    except Exception as error:  # noqa: BLE001 (the split that was asked for is scored, whatever happens here)
        print(f"The validation reviews could not be scored: {error}", flush=True)
        with suppress(ReviewscopeError):
            job.save_state("failed", str(error) if isinstance(error, ReviewscopeError) else repr(error))


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


def describe_trust(results: Results, calibration: Calibration | None) -> dict[str, Any]:
    """Return how far probabilities can be trusted, as plain JSON values.

    Args:
        results: A model's verdicts on N reviews; N may be 0.
        calibration: The model's.

    Returns:
        ``temperature``; ``ece_before`` and ``ece_after`` dividing the logits by it, 0 to 1; ``ece_after_reason``, why
        the two cannot be told, else None; ``risk_coverage``, a list of the surest 10, 20 .. 100 % of the reviews, each
        with coverage, n, accuracy and its 95 % interval (low, high). What is undefined is None.
    """
    after = reliability(results.labels, results.logits, calibration.temperature).error if calibration else None
    curve = risk_coverage(results.labels, results.logits)
    points = [{name: column[place] for name, column in vars(curve).items()} for place in range(9, 100, 10)]
    return {
        "temperature": calibration.temperature if calibration else None,
        "ece_before": _plain(reliability(results.labels, results.logits).error),
        "ece_after": _plain(after),
        "ece_after_reason": None if calibration else NO_CALIBRATION,
        "risk_coverage": [{name: _plain(value) for name, value in point.items()} for point in points],
    }


def _plain(value: Any) -> Any:
    """Return a number as JSON has it: NaN is None."""
    if value is None or np.isnan(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def evaluation_folder(model_sha256: str, data_fingerprint: str, split: str) -> Path:
    """Return where the results of a model on a split are kept."""
    return settings.home() / "evaluations" / model_sha256 / f"{data_fingerprint}-{split}"
