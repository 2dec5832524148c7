"""How the scores of a table go with the stars that its own rows hold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.evaluation.intensity import StarScores, scores_by_stars
from core.evaluation.intervals import Interval, wilson_interval
from core.prediction.predictor import probability_of
from core.prediction.row_filter import disagreeing, first_high, last_low
from core.prediction.summary import NOT_SURE, Mask


@dataclass(frozen=True)
class StarAgreement:
    """Stars against texts.

    Attributes:
        scale: 5 or 10.
        by_stars: The probabilities of positive for each number of stars that occurs, fewest first.
        clear: Rows whose stars are clearly meant (at most 2 or at least 4 of 5) and whose score is sure.
        high: Of these, those with many stars that are read as negative.
        low: Of these, those with few stars that are read as positive.
        unsure: Rows with clear stars whose score is not sure; they count nowhere.
        middling: Rows with stars in between; they count nowhere.
    """

    scale: int
    by_stars: tuple[StarScores, ...]
    clear: int
    high: int
    low: int
    unsure: int
    middling: int

    @property
    def share(self) -> float | None:
        """Return which share of the clear rows agree; None of none."""
        return (self.clear - self.high - self.low) / self.clear if self.clear else None

    @property
    def interval(self) -> Interval | None:
        """Return the Wilson interval of ``share``."""
        return wilson_interval(self.clear - self.high - self.low, self.clear) if self.clear else None


def judge_stars(
    logits: NDArray[np.float32],
    sides: NDArray[np.int8],
    stars: NDArray[np.int8],
    scale: int,
    mask: Mask | None = None,
) -> StarAgreement:
    """Hold scores against stars.

    Args:
        logits: float32 (N), NaN where a row has no score.
        sides: Of ``sides_of``, int8 (N).
        stars: int8 (N), 0 where there are none.
        scale: 5 or 10.
        mask: The rows that count, bool (N); all when None.
    """
    chosen = (stars > 0) & (sides >= 0)
    if mask is not None:
        chosen &= mask
    is_meant = chosen & ((stars <= last_low(scale)) | (stars >= first_high(scale)))
    return StarAgreement(
        scale=scale,
        by_stars=tuple(
            scores
            for value in range(1, scale + 1)  # one after the other: the scores of all would take much memory
            if (rows := chosen & (stars == value)).any()
            for scores in scores_by_stars(probability_of(logits[rows]), stars[rows])
        ),
        clear=int((is_meant & (sides != NOT_SURE)).sum()),
        high=int((chosen & disagreeing(stars, scale, sides, "high")).sum()),
        low=int((chosen & disagreeing(stars, scale, sides, "low")).sum()),
        unsure=int((is_meant & (sides == NOT_SURE)).sum()),
        middling=int((chosen & ~is_meant).sum()),
    )
