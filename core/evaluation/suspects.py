"""Suspected label errors of a scored split: the reviews whose given label a model finds least probable."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.errors import DataError
from core.evaluation.selection import Results

# Reviews of these splits had no part in the weights: only there does a low probability say anything of the label.
OUT_OF_SAMPLE = ("test", "valid")


class Suspects(NamedTuple):
    """Reviews that a model reads otherwise than they are labelled, the least probable label first.

    Attributes:
        rows: int64 (S), of the split.
        probabilities: Calibrated probability of the given label, float64 (S), 0 to 1.
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]


def rank_suspects(results: Results, split: str, temperature: float = 1.0, *, is_unseen: bool = False) -> Suspects:
    """Return the reviews whose label is to be doubted, most doubtful first; equals stay in the order of the data.

    The rank is by the out-of-sample probability of the given label, the self-confidence of confident learning
    (Northcutt, Jiang & Chuang 2021, JAIR 70). The temperature moves the probabilities that are shown, never the rank.

    Args:
        results: The verdicts on the split.
        split: Its name.
        temperature: What logits are divided by for calibrated probabilities.
        is_unseen: Whether the model was trained on other data, so that no split of this one had a part in it.

    Raises:
        DataError: The model learnt from these reviews.
    """
    if split not in OUT_OF_SAMPLE and not is_unseen:
        raise DataError(
            f"The model learnt from the {split} split, wrong labels included, so that it cannot point at them there. "
            "Choose test or validation."
        )
    # By the logit, which still tells two reviews apart whose probabilities both round to 0.
    support = np.where(results.labels == 1, results.logits, -results.logits)
    wrong = np.flatnonzero(results.wrong)
    rows = wrong[np.argsort(support[wrong], kind="stable")]
    return Suspects(rows, np.exp(-np.logaddexp(0.0, -support[rows] / temperature)))
