"""Texts to verdicts with one trained model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from core.errors import ModelFileError
from core.models.base import SentimentModel
from core.models.model_file import Calibration, LoadedModel, load_model_file
from core.models.scoring import score_texts
from core.preprocessing.cleaning import as_text_array
from core.preprocessing.encoders import Encoder
from core.runs import find_model

SENTIMENTS = ("Negative", "Positive")


@dataclass(frozen=True)
class Predictions:
    """Verdicts on N texts.

    Attributes:
        logits: float32 (N).
        temperature: What validation says that logits must be divided by for honest probabilities; 1 changes nothing.
        cut: A verdict is positive where the logit is above it; 0 is probability 0.5.
    """

    logits: NDArray[np.float32]
    temperature: float = 1.0
    cut: float = 0.0

    def at(self, cut: float) -> "Predictions":
        """Return the same scores with verdicts at another cut: ``core.model_settings.Cutoffs.cut``."""
        return replace(self, cut=cut)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """Probability of positive, float64 (N)."""
        return probability_of(self.logits)

    @property
    def intensities(self) -> NDArray[np.float64]:
        """The calibrated probability of positive, float64 (N): how positive a text is, 0 to 1."""
        return probability_of(self.logits.astype(np.float64) / self.temperature)

    @property
    def confidences(self) -> NDArray[np.float64]:
        """Probability of the predicted class, float64 (N), 0.5 to 1; at another cut than 0 it may be below 0.5."""
        return np.where(self._are_positive, self.probabilities, 1 - self.probabilities)

    @property
    def sentiments(self) -> list[str]:
        """ "Negative" or "Positive", N of them; a probability of exactly the threshold is negative."""
        return [SENTIMENTS[int(positive)] for positive in self._are_positive]

    @property
    def _are_positive(self) -> NDArray[np.bool_]:
        # In double precision, as results that were kept are compared too: float32 would round the cut.
        positive: NDArray[np.bool_] = self.logits.astype(np.float64) > self.cut
        return positive


class Predictor:
    """One model, ready to read texts. Nothing in it changes, so that threads may share it.

    Args:
        loaded: Model and encoder; the model is moved to ``device``.
        device: CPU by default; one review takes milliseconds there.
    """

    def __init__(self, loaded: LoadedModel, device: torch.device | None = None) -> None:
        self.sha256 = loaded.sha256
        self.architecture = loaded.architecture
        self.calibration: Calibration | None = loaded.calibration
        self.encoder: Encoder = loaded.encoder
        self.model: SentimentModel = loaded.model.to(device or torch.device("cpu")).eval()

    @classmethod
    def load(cls, reference: str | Path) -> "Predictor":
        """Load a model by run id, ``latest``, ``starter``, imported id or path.

        Raises:
            ReviewscopeError: Nothing has that name, or the file is not a sound model.
        """
        path = reference if isinstance(reference, Path) else find_model(reference)
        return cls(load_model_file(path))

    @property
    def temperature(self) -> float:
        """Return what logits are divided by for calibrated probabilities; 1 when the model has no calibration."""
        return self.calibration.temperature if self.calibration else 1.0

    def predict(
        self, texts: "Sequence[str] | pa.Array | pa.ChunkedArray", on_progress: Callable[[int], None] | None = None
    ) -> Predictions:
        """Return verdicts on N texts, in their order. A text without any known word gets the model's prior."""
        predictions = predict_with(self.model, self.encoder, texts, on_progress)
        return replace(predictions, temperature=self.temperature)


def predict_with(
    model: SentimentModel,
    encoder: Encoder,
    texts: "Sequence[str] | pa.Array | pa.ChunkedArray",
    on_progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Return verdicts of a model and its encoder on N texts."""
    logits = score_texts(model, encoder.encode(as_text_array(texts)), on_progress)
    if not np.isfinite(logits).all():
        raise ModelFileError("The model gives a score that is not a finite number. Use another copy of the file.")
    return Predictions(logits)


def load_model(reference: str | Path = "starter") -> tuple[SentimentModel, Encoder, torch.device]:
    """Load a model for ``predict_sentiment``: model, vocabulary (an encoder) and device, as the script names them.

    Raises:
        ReviewscopeError: As ``Predictor.load``.
    """
    predictor = Predictor.load(reference)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return predictor.model.to(device), predictor.encoder, device


def predict_sentiment(
    text: str, model: SentimentModel, vocab: Encoder, device: torch.device | str
) -> tuple[str, float, float]:
    """Read one review; the verdict is the one at probability 0.5, whatever threshold a workspace keeps for the model.

    Args:
        text: The review.
        model: From ``load_model``.
        vocab: From ``load_model``.
        device: Where the model is to run.

    Returns:
        "Positive" or "Negative"; the confidence, 0.5 to 1; the probability of positive, 0 to 1.
    """
    predictions = predict_with(model.to(device).eval(), vocab, [text])
    return predictions.sentiments[0], float(predictions.confidences[0]), float(predictions.probabilities[0])


def probability_of(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logistic function of logits, float64, without overflow at any size; NaN, no score, stays NaN."""
    with np.errstate(invalid="ignore"):
        probabilities: NDArray[np.float64] = np.exp(-np.logaddexp(0.0, -logits.astype(np.float64)))
    return probabilities
