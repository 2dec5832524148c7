"""Which reviews of a scored split are looked at, and in which order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.evaluation.curves import bin_edges, confidence_bin

Order = Literal["confident", "unsure", "data"]
Pair = Literal["fixed", "broken", "both_wrong", "both_right"]
Mask = NDArray[np.bool_]
LABELS = ("negative", "positive")
# The two models are "here", the page's, and the other one.
PAIRS: Mapping[Pair, str] = {
    "fixed": "wrong here, right in {other}",
    "broken": "right here, wrong in {other}",
    "both_wrong": "wrong here and in {other}",
    "both_right": "right here and in {other}",
}
# What cannot be told from labels and scores alone: the caller finds it out and hands it in.
OUTSIDE = ("words", "token", "theme", "pair", "area", "stars", "fault")


@dataclass(frozen=True)
class Results:
    """The verdicts on N reviews.

    Attributes:
        labels: int64 (N), 0 or 1.
        logits: float64 (N).
        probabilities: float64 (N), of positive.
        cut: The verdict is positive where the logit is above it; 0 is probability 0.5.
    """

    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    cut: float = 0.0

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def verdicts(self) -> NDArray[np.int64]:
        """What each was read as, int64 (N)."""
        return (self.logits > self.cut).astype(np.int64)

    @cached_property
    def wrong(self) -> Mask:
        """Whether the verdict differs from the label, bool (N)."""
        wrong: Mask = self.verdicts != self.labels
        return wrong

    @cached_property
    def confidences(self) -> NDArray[np.float64]:
        """The larger of the two classes' probabilities, float64 (N), 0.5 to 1."""
        return np.maximum(self.probabilities, 1 - self.probabilities)

    @cached_property
    def sureness(self) -> NDArray[np.float64]:
        """How far each logit lies from the cut, float64 (N); it grows with confidence, also where that rounds to 1."""
        return np.abs(self.logits - self.cut)

    def surest(self, percent: int) -> Mask:
        """Return which reviews are among the given percentage of the surest, bool (N); equals by the data's order."""
        chosen = np.zeros(len(self), np.bool_)
        chosen[np.argsort(-self.sureness, kind="stable")[: round(len(self) * percent / 100)]] = True
        return chosen


@dataclass(frozen=True)
class Selection:
    """Filters that combine; the default is every misclassified review.

    Attributes:
        label: Only reviews with this label.
        verdict: Only reviews read as this.
        only_wrong: Only misclassified reviews; of no effect once ``label``, ``verdict`` or ``pair`` is chosen.
        confidence: Only reviews in this bin of confidence, 0 to 19.
        at_least: Only reviews whose probability of positive is at least this.
        surest: Only this percentage of the split's reviews, those read most surely; 1 to 99.
        words: What their texts contain, whatever the case.
        token: A word, or two words in a row, that their texts hold as the model's cleaning cuts them.
        theme: A key of ``core.evaluation.themes.THEMES``.
        pair: How the model and the other one that it is compared with read them.
        area: Corners (x, y) of a polygon on the map of reviews.
        stars: The rating that their author gave.
        fault: What a reader said of them: a key of ``core.label_reviews.FAULTS``.
    """

    label: int | None = None
    verdict: int | None = None
    only_wrong: bool = True
    confidence: int | None = None
    at_least: float | None = None
    surest: int | None = None
    words: str = ""
    token: str = ""
    theme: str = ""
    pair: Pair | None = None
    area: tuple[tuple[float, float], ...] = ()
    stars: int | None = None
    fault: str = ""

    @property
    def needs(self) -> tuple[str, ...]:
        """Return which of ``OUTSIDE`` are filtered by."""
        return tuple(name for name in OUTSIDE if getattr(self, name) not in (None, "", ()))

    def mask(self, results: Results, outside: Mapping[str, Mask] | None = None) -> Mask:
        """Return which reviews pass, bool (N).

        Args:
            results: The verdicts on N reviews.
            outside: For each of ``needs``, which reviews pass it, bool (N).

        Raises:
            ValueError: One of ``needs`` is missing.
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
        if self.at_least is not None:
            passes &= results.probabilities >= self.at_least
        if self.surest is not None:
            passes &= results.surest(self.surest)
        if missing := [name for name in self.needs if name not in (outside or {})]:
            raise ValueError(f"a selection by {', '.join(missing)} needs to be told which reviews pass")
        for name in self.needs:
            passes &= (outside or {})[name]
        return passes

    def rows(
        self, results: Results, order: Order = "confident", outside: Mapping[str, Mask] | None = None
    ) -> NDArray[np.int64]:
        """Return the indices of the reviews that pass, in order; equals stay in the order of the data.

        "confident" puts the misclassified first, then the surest; "unsure" the least sure, whatever the verdict.
        """
        rows = np.flatnonzero(self.mask(results, outside))
        if order == "data":
            return rows
        sureness = results.sureness[rows]
        keys = (sureness,) if order == "unsure" else (-sureness, ~results.wrong[rows])
        chosen: NDArray[np.int64] = rows[np.lexsort(keys)]
        return chosen

    @property
    def is_by_outcome(self) -> bool:
        """Tell whether neither label nor verdict nor pair is chosen."""
        return self.label is None and self.verdict is None and self.pair is None

    @property
    def is_default(self) -> bool:
        """Tell whether it is what a page starts with."""
        return self == Selection()

    def describe(self, titles: Mapping[str, str] | None = None) -> str:
        """Return the filters in words; "" when there is none. Arguments as ``parts``."""
        return ", ".join(self.parts(titles).values())

    def parts(self, titles: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return each filter in words, by the name of its field.

        Args:
            titles: In words, what only the caller can name: "theme", "fault", "area" and, the other model, "other".
        """
        named = titles or {}
        said = {}
        if self.label is not None:
            said["label"] = f"labelled {LABELS[self.label]}"
        if self.verdict is not None:
            said["verdict"] = f"read as {LABELS[self.verdict]}"
        if self.is_by_outcome and self.only_wrong:
            said["only_wrong"] = "misclassified"
        if self.confidence is not None:
            said["confidence"] = f"confidence {describe_bin(self.confidence)}"
        if self.at_least is not None:
            said["at_least"] = f"probability of positive {self.at_least:.3f} or more"
        if self.surest is not None:
            said["surest"] = f"among the surest {self.surest} %"
        if self.words:
            said["words"] = f"containing “{self.words}”"
        if self.token:
            said["token"] = f"with the word{'s' if ' ' in self.token else ''} “{self.token}”"
        if self.theme:
            said["theme"] = f"theme: {named.get('theme', self.theme)}"
        if self.pair:
            said["pair"] = PAIRS[self.pair].format(other=named.get("other", "the other run"))
        if self.area:
            said["area"] = named.get("area", "inside the area drawn on the map")
        if self.stars is not None:
            said["stars"] = f"{self.stars} star{'' if self.stars == 1 else 's'}"
        if self.fault:
            said["fault"] = f"judged: {named.get('fault', self.fault)}"
        return said

    def without(self, name: str) -> "Selection":
        """Return the same filters but one; without ``only_wrong`` it is the right ones too."""
        default: Any = False if name == "only_wrong" else getattr(Selection, name)
        return replace(self, **{name: default})


def pair_mask(pair: Pair, here: Results, other: Results) -> Mask:
    """Return which reviews the two models read as ``pair`` says, each by its own cut, bool (N)."""
    mask: Mask = (here.wrong == (pair in ("fixed", "both_wrong"))) & (other.wrong == (pair in ("broken", "both_wrong")))
    return mask


def describe_bin(place: int) -> str:
    """Return a bin of confidence in words: "97.5 to 100 %"."""
    low, high = bin_edges()[place : place + 2]
    return f"{100 * low:g} to {100 * high:g} %"
