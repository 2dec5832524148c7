"""Texts as token ids: the one shape that encoders give and models take."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EncodedTexts:
    """N texts of different lengths, end to end.

    Attributes:
        token_ids: int32 (total), from 1; 0 is padding and does not occur.
        offsets: int64 (N + 1); text i is ``token_ids[offsets[i]:offsets[i + 1]]``, possibly empty.
    """

    token_ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens in each text, int64 (N)."""
        return np.diff(self.offsets)

    def take(self, indices: NDArray[np.int64]) -> "EncodedTexts":
        """Return the texts at ``indices`` (B), in that order."""
        lengths = self.lengths[indices]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        shift = np.repeat(self.offsets[indices] - offsets[:-1], lengths)
        return EncodedTexts(self.token_ids[shift + np.arange(offsets[-1])], offsets)


def concatenate(parts: list[EncodedTexts]) -> EncodedTexts:
    """Join texts end to end; no part gives no text."""
    if not parts:
        return EncodedTexts(np.zeros(0, np.int32), np.zeros(1, np.int64))
    starts = np.cumsum([0] + [len(part.token_ids) for part in parts[:-1]])
    offsets = [part.offsets[:-1] + start for part, start in zip(parts, starts, strict=True)]
    total = np.array([sum(len(part.token_ids) for part in parts)])
    return EncodedTexts(np.concatenate([part.token_ids for part in parts]), np.concatenate([*offsets, total]))
