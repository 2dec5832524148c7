"""The threshold and the band of "not sure" of each model: one setting, used wherever the model reads.

It is kept beside the model, in ``model_settings/<sha256>.json``, and is no part of it: the SHA-256 stays.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from core import settings
from core.config import Section
from core.errors import ReviewscopeError
from core.evaluation.intervals import Interval
from core.evaluation.thresholds import cut_of
from core.files import write_json
from core.job_folder import read_document

Side = Literal["negative", "not sure", "positive"]
ChosenBy = Literal["default", "hand", "accuracy", "f1", "cost", "precision"]
CHOSEN: dict[ChosenBy, str] = {
    "hand": "set by hand with {n:,} validation reviews in view",
    "accuracy": "the most accurate on {n:,} validation reviews",
    "f1": "the best F1 on {n:,} validation reviews",
    "cost": "the cheapest on {n:,} validation reviews if a false positive costs {aim_value:g} times a false negative",
    "precision": "finds most at a precision of {share:g} % or more on {n:,} validation reviews",
}


class Cutoffs(Section):
    """How a probability of positive becomes a verdict.

    A verdict is positive above the threshold. Whatever it is, a probability from ``unsure_low`` to below
    ``unsure_high`` is not sure. 0 < unsure_low <= threshold <= unsure_high < 1.
    """

    threshold: float = Field(0.5, gt=0.0, lt=1.0)
    unsure_low: float = Field(0.4, gt=0.0, lt=1.0)
    unsure_high: float = Field(0.6, gt=0.0, lt=1.0)

    @model_validator(mode="after")
    def _hold_the_threshold(self) -> Self:
        if not self.unsure_low <= self.threshold <= self.unsure_high:
            raise ValueError(f"the band must hold the threshold, {self.threshold:g}")
        return self

    @property
    def cut(self) -> float:
        """Return the logit of the threshold: a verdict is positive where the logit is above it; 0.0 at 0.5."""
        return cut_of(self.threshold)

    @property
    def is_usual(self) -> bool:
        """Tell whether threshold and band are those of a model that nobody set anything for."""
        return (self.threshold, self.unsure_low, self.unsure_high) == (0.5, 0.4, 0.6)

    @property
    def unsure_confidences(self) -> list[Interval]:
        """Return where the band lies on the scale of confidence, the larger class's probability, 0.5 to 1.

        Of the two classes' intervals, one where they are equal or only one class has any.
        """
        ends = (self.unsure_low, self.unsure_high), (1 - self.unsure_high, 1 - self.unsure_low)
        found = {(round(max(low, 0.5), 6), round(high, 6)) for low, high in ends}
        return sorted((low, high) for low, high in found if high > low)

    def side(self, probability: float) -> Side:
        """Return where a probability of positive lies; outside the band that is its verdict."""
        if self.unsure_low <= probability < self.unsure_high:
            return "not sure"
        return "positive" if probability > self.threshold else "negative"

    def describe(self) -> str:
        """Return it in words: "threshold 0.50, not sure from 0.40 to 0.60"."""
        return f"threshold {probability_text(self.threshold)}, {self.describe_band()}"

    def describe_band(self) -> str:
        """Return the band in words."""
        if self.unsure_low == self.unsure_high:
            return "never not sure"
        return f"not sure from {probability_text(self.unsure_low)} to {probability_text(self.unsure_high)}"


class ModelSettings(Cutoffs):
    """A model's cutoffs and where they come from.

    ``chosen_by`` says how the threshold was chosen, ``aim_value`` the cost ratio or the least precision that was aimed
    at; ``data_fingerprint`` and ``n`` name the validation reviews. All three are None of the usual setting.
    """

    chosen_by: ChosenBy = "default"
    aim_value: float | None = None
    data_fingerprint: str | None = None
    n: int | None = Field(None, ge=1)

    @property
    def cutoffs(self) -> Cutoffs:
        """Return threshold and band alone."""
        return Cutoffs(threshold=self.threshold, unsure_low=self.unsure_low, unsure_high=self.unsure_high)

    @property
    def origin(self) -> str:
        """Return in words how the threshold was chosen."""
        if self.chosen_by == "default" or self.n is None:
            return "the usual one"
        value = self.aim_value or 0.0
        return CHOSEN[self.chosen_by].format(n=self.n, aim_value=value, share=100 * value)


def settings_file(sha256: str) -> Path:
    """Return where a model's settings are kept."""
    return settings.home() / "model_settings" / f"{sha256}.json"


def load_settings(sha256: str) -> ModelSettings:
    """Return a model's settings; the usual ones when none were saved, or when the file is damaged.

    Cheap enough to ask at every use: an unchanged file is read once.
    """
    try:
        path = settings_file(sha256)
        return read_document(path, ModelSettings) if path.exists() else ModelSettings()
    except ReviewscopeError:
        return ModelSettings()


def settings_fault(sha256: str) -> str:
    """Return why a model's saved settings cannot be used, as a sentence; "" when nothing is wrong."""
    path = settings_file(sha256)
    try:
        if path.exists():
            read_document(path, ModelSettings)
    except ReviewscopeError as error:
        return f"The saved threshold cannot be read, and 0.50 is used instead. {error}"
    return ""


def save_settings(sha256: str, chosen: ModelSettings) -> None:
    """Keep a model's settings.

    Raises:
        ReviewscopeError: The file cannot be written.
    """
    write_json(settings_file(sha256), chosen.model_dump())


def reset_settings(sha256: str) -> None:
    """Go back to the usual settings.

    Raises:
        ReviewscopeError: The file cannot be removed.
    """
    path = settings_file(sha256)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ReviewscopeError(f"Could not remove {path}: {error.strerror or error}.") from error


def probability_text(value: float) -> str:
    """Write a threshold as "0.50", with a third decimal where it has one: "0.617"."""
    return f"{value:.2f}" if round(value, 2) == round(value, 3) else f"{value:.3f}"
