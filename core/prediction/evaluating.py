"""A model over a labelled split: results to the evaluations folder, figures back."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from core import settings
from core.data.labelled import LabelledTexts
from core.errors import DataError
from core.evaluation.metrics import Confusion, Metric, evaluate_logits
from core.files import atomic_writer, write_json
from core.prediction.predictor import Predictor


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
    return evaluation


def evaluation_folder(model_sha256: str, data_fingerprint: str, split: str) -> Path:
    """Return where the results of a model on a split are kept."""
    return settings.home() / "evaluations" / model_sha256 / f"{data_fingerprint}-{split}"
