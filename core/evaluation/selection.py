"""Which reviews of a scored split are looked at, and in which order."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from core.evaluation.curves import bin_edges, confidence_bin

Order = Literal["confident", "unsure", "data"]
LABELS = ("negative", "positive")


@dataclass(frozen=True)
class Results:
    """The verdicts on N reviews.

    Attributes:
        labels: int64 (N), 0 or 1.
        logits: float64 (N); the verdict is positive above 0.
        probabilities: float64 (N), of positive.
    """

    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def verdicts(self) -> NDArray[np.int64]:
        """What each was read as, int64 (N)."""
        return (self.logits > 0).astype(np.int64)

    @cached_property
    def wrong(self) -> NDArray[np.bool_]:
        """Whether the verdict differs from the label, bool (N)."""
        wrong: NDArray[np.bool_] = self.verdicts != self.labels
        return wrong

    @cached_property
    def confidences(self) -> NDArray[np.float64]:
        """Probability of the predicted class, float64 (N), 0.5 to 1."""
        return np.maximum(self.probabilities, 1 - self.probabilities)


@dataclass(frozen=True)
class Selection:
    """Filters that combine; the default is every misclassified review.

    Attributes:
        label: Only reviews with this label.
        verdict: Only reviews read as this.
        only_wrong: Only misclassified reviews; of no effect once ``label`` or ``verdict`` is chosen.
        confidence: Only reviews in this bin of confidence, 0 to 19.
        words: What their texts contain, whatever the case; the texts are searched by the caller.
    """

    label: int | None = None
    verdict: int | None = None
    only_wrong: bool = True
    confidence: int | None = None
    words: str = ""

    def mask(self, results: Results, holds_words: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Return which reviews pass, bool (N).

        Args:
            results: The verdicts on N reviews.
            holds_words: Whether each text contains ``words``, bool (N); needed when there are any.

        Raises:
            ValueError: ``words`` are given without ``holds_words``.
        """
        passes = np.ones(len(results), np.bool_)
        if self.label is not None:
            passes &= results.labels == self.label
        if self.verdict is not None:
            passes &= results.verdicts == self.verdict
        if self.is_by_outcome and self.only_wrong:
            passes &= results.wrong
        if self.confidence is not None:
            passes &= confidence_bin(results.confidences) == self.confidence
        if self.words:
            if holds_words is None:
                raise ValueError("a selection by words needs to know which texts hold them")
            passes &= holds_words
        return passes

    def rows(
        self, results: Results, order: Order = "confident", holds_words: NDArray[np.bool_] | None = None
    ) -> NDArray[np.int64]:
        """Return the indices of the reviews that pass, in order; equals stay in the order of the data.

        "confident" puts the misclassified first, then the surest; "unsure" the least sure, whatever the verdict.
        """
        rows = np.flatnonzero(self.mask(results, holds_words))
        if order == "data":
            return rows
        sureness = np.abs(results.logits[rows])  # grows with confidence, also where that rounds to 1
        keys = (sureness,) if order == "unsure" else (-sureness, ~results.wrong[rows])
        chosen: NDArray[np.int64] = rows[np.lexsort(keys)]
        return chosen

    @property
    def is_by_outcome(self) -> bool:
        """Tell whether neither label nor verdict is chosen."""
        return self.label is None and self.verdict is None

    @property
    def is_default(self) -> bool:
        """Tell whether it is what a page starts with."""
        return self == Selection()

    def describe(self) -> str:
        """Return the filters in words; "" when there is none."""
        said = []
        if self.label is not None:
            said.append(f"labelled {LABELS[self.label]}")
        if self.verdict is not None:
            said.append(f"read as {LABELS[self.verdict]}")
        if self.is_by_outcome and self.only_wrong:
            said.append("misclassified")
        if self.confidence is not None:
            said.append(f"confidence {describe_bin(self.confidence)}")
        if self.words:
            said.append(f"containing “{self.words}”")
        return ", ".join(said)


def describe_bin(place: int) -> str:
    """Return a bin of confidence in words: "97.5 to 100 %"."""
    low, high = bin_edges()[place : place + 2]
    return f"{100 * low:g} to {100 * high:g} %"
