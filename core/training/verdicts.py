"""What the last two validations said about each review, and which of those reviews are worth reading."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.runs import Run
from core.tensor_file import DamagedFileError, read_tensor_file

VERDICTS_FORMAT = "reviewscope-validation/1"

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Verdicts:
    """What the last two validations said.

    Attributes:
        epoch, step: When the last one was.
        now: Logits of the V validation reviews, float32 (V).
        before: Of the epoch before, float32 (V); None after the first.
    """

    epoch: int
    step: int
    now: NDArray[np.float32]
    before: NDArray[np.float32] | None


@dataclass(frozen=True)
class Picked:
    """Rows of the validation split, the surest first in each; int64.

    Attributes:
        right: Read right.
        wrong: Read wrong.
        newly_right: Read right now and wrong at the validation before.
        newly_wrong: The other way round.
        newly_right_count, newly_wrong_count: How many there are of them, shown or not.
    """

    right: Rows
    wrong: Rows
    newly_right: Rows
    newly_wrong: Rows
    newly_right_count: int
    newly_wrong_count: int


def load_verdicts(run: Run) -> Verdicts | None:
    """Return what the last two validations of a run said; None before the first, or when the file is damaged."""
    try:
        file = read_tensor_file(run.verdicts_file, VERDICTS_FORMAT)
        about = json.loads(file.document)
        return Verdicts(about["epoch"], about["step"], file.tensors["now"], file.tensors.get("before"))
    except (DamagedFileError, KeyError):
        return None


def pick_rows(verdicts: Verdicts, labels: NDArray[np.int64], most: int) -> Picked:
    """Return at most ``most`` rows of each sort; rows that are equally sure stand in the order of the data.

    Args:
        verdicts: Of V reviews.
        labels: int64 (V), 0 or 1.
        most: Of each sort.

    Raises:
        ValueError: There are not as many labels as verdicts.
    """
    if len(labels) != len(verdicts.now):
        raise ValueError(f"{len(verdicts.now)} verdicts and {len(labels)} labels")
    right = _is_right(verdicts.now, labels)
    was_right = right if verdicts.before is None else _is_right(verdicts.before, labels)
    surest = np.argsort(-np.abs(verdicts.now), kind="stable")
    newly_right, newly_wrong = right & ~was_right, ~right & was_right
    return Picked(
        right=surest[right[surest]][:most],
        wrong=surest[~right[surest]][:most],
        newly_right=surest[newly_right[surest]][:most],
        newly_wrong=surest[newly_wrong[surest]][:most],
        newly_right_count=int(newly_right.sum()),
        newly_wrong_count=int(newly_wrong.sum()),
    )


def _is_right(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = (logits > 0) == (labels == 1)
    return right
