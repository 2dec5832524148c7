"""Labelled texts as plain columns, and how they are split and fingerprinted."""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

LEAST_OF_A_LABEL = 8  # training reviews, below which there is nothing to learn from


@dataclass(frozen=True)
class LabelledTexts:
    """N texts with their labels.

    Attributes:
        texts: large_string (N).
        labels: int64 (N), 0 negative, 1 positive.
    """

    texts: pa.Array
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> "LabelledTexts":
        """Return the given rows, in that order."""
        return LabelledTexts(self.texts.take(pa.array(rows)), self.labels[rows])


def fingerprint_split(split: LabelledTexts) -> str:
    """Return the SHA-256 over (label, UTF-8 text) row by row, the same wherever the rows came from."""
    digest = hashlib.sha256()
    for label, text in zip(split.labels.tolist(), split.texts.to_pylist(), strict=True):
        content = text.encode("utf-8", "surrogatepass")
        digest.update(struct.pack("<qQ", label, len(content)))
        digest.update(content)
    return digest.hexdigest()


def fingerprint(splits: Mapping[str, LabelledTexts]) -> str:
    """Return the SHA-256 over the fingerprints of all splits, by name."""
    digest = hashlib.sha256()
    for name in sorted(splits):
        digest.update(f"{name} {fingerprint_split(splits[name])}\n".encode())
    return digest.hexdigest()


def cut_stratified(
    labels: NDArray[np.int64], fraction: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut rows in two so that each label keeps its share.

    Args:
        labels: int64 (N).
        fraction: Share of each label that goes to the second part, rounded to whole rows.
        seed: The same seed gives the same cut.

    Returns:
        Row numbers of the first and of the second part, ascending, together every row once.
    """
    draw = np.random.default_rng(seed)
    second = np.zeros(len(labels), np.bool_)
    for label in np.sort(np.array(list(set(labels.tolist())), np.int64)):
        rows = draw.permutation(np.flatnonzero(labels == label))
        second[rows[: round(len(rows) * fraction)]] = True
    return np.flatnonzero(~second), np.flatnonzero(second)


def draw_rows(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return ``count`` rows (all when there are fewer), ascending, each label keeping its share."""
    if count >= len(labels):
        return np.arange(len(labels))
    draw = np.random.default_rng(seed)
    place = np.zeros(len(labels))  # of each row in the drawn order of its label, as a share of that label's rows
    for label in (0, 1):
        rows = draw.permutation(np.flatnonzero(labels == label))
        place[rows] = (np.arange(len(rows)) + 0.5) / max(len(rows), 1)
    return np.sort(np.argsort(place, kind="stable")[:count])
