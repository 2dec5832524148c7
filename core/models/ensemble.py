"""Several trained models as one: the weighted mean of their calibrated logits.

A member keeps its own way to read texts, its weights and its temperature, so that a file of this kind needs no other.
Models that err on different reviews correct each other: a mean of their log-odds is the logarithmic opinion pool, which
under independent evidence is what a Bayesian would do (Hinton 1999, "Products of Experts").
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.config import LABELS, PreprocessingConfig
from core.errors import ModelFileError
from core.models.base import Batch, SentimentModel
from core.models.model_file import LEAST_TEMPERATURE, MOST_TEMPERATURE, Architecture, read_architecture
from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.encoders import Arrays, Encoder, VocabularyAccess

ARCHITECTURE = "architecture"
ROUNDING = 0.01  # that half precision may leave of a sum of weights
LEAST_NORM = 1e-12


@dataclass(frozen=True)
class Member:
    """How one member is built and reads texts."""

    architecture: Architecture
    encoder: Encoder


class EnsembleEncoder(VocabularyAccess):
    """All members' token ids of a text, one member after the other, each shifted past the ids of those before it.

    Its words are those of the first member, whose way to cut them is also what explanations go by; a word is known when
    any member knows it.

    Args:
        members: At least one.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        self.members = tuple(members)
        self.vocabulary = self.members[0].encoder.vocabulary
        self.config = join_preprocessing([member.architecture.preprocessing for member in members])

    @property
    def sizes(self) -> list[int]:
        """Return how many ids each member has, padding included."""
        return [member.encoder.size for member in self.members]

    @property
    def size(self) -> int:
        return sum(self.sizes)

    def encode(self, texts: pa.Array) -> EncodedTexts:
        return join_ids([member.encoder.encode(texts) for member in self.members], self.sizes)

    def knows(self, words: pa.Array) -> NDArray[np.bool_]:
        known: NDArray[np.bool_] = np.any([member.encoder.knows(words) for member in self.members], axis=0)
        return known

    def arrays(self) -> Arrays:
        arrays = {}
        for place, member in enumerate(self.members):
            arrays[f"{place}.{ARCHITECTURE}"] = np.frombuffer(member.architecture.to_json().encode(), np.uint8)
            arrays |= {f"{place}.{name}": array for name, array in member.encoder.arrays().items()}
        return arrays


def read_member_architectures(arrays: Arrays, count: int) -> list[Architecture]:
    """Return how the members of a model file are built; the file may come from a stranger.

    Raises:
        ModelFileError: A member is an ensemble itself, or no architecture that this version writes.
        KeyError: A member has none.
    """
    found = []
    for place in range(count):
        try:
            written = arrays[f"{place}.{ARCHITECTURE}"].tobytes().decode()
        except UnicodeDecodeError as error:
            raise ModelFileError(f"the architecture of its member {place + 1} is not UTF-8") from error
        architecture = read_architecture(written)
        if architecture.model.kind == "ensemble":
            raise ModelFileError(f"its member {place + 1} is an ensemble itself")
        if architecture.dtype != "F32":
            raise ModelFileError(f"its member {place + 1} states a precision of its own")
        found.append(architecture)
    return found


def join_preprocessing(members: Sequence[PreprocessingConfig]) -> PreprocessingConfig:
    """Return how an ensemble cuts words: as its first member does, and up to the most that any member reads."""
    lengths = [member.max_length for member in members]
    longest = None if None in lengths else max(length for length in lengths if length is not None)
    return members[0].model_copy(update={"tokens": "words", "max_length": longest})


def join_ids(parts: Sequence[EncodedTexts], sizes: Sequence[int]) -> EncodedTexts:
    """Return N texts as the ids that each of k members gives them, text by text, the members in order."""
    bounds = np.concatenate([[0], np.cumsum(np.stack([part.lengths for part in parts], axis=1))]).astype(np.int64)
    ids = np.empty(bounds[-1], np.int32)
    for place, (part, shift) in enumerate(zip(parts, _shifts(sizes), strict=True)):
        moved = bounds[place : -1 : len(parts)] - part.offsets[:-1]
        ids[np.repeat(moved, part.lengths) + np.arange(len(part.token_ids))] = part.token_ids + np.int32(shift)
    return EncodedTexts(ids, bounds[:: len(parts)])


def split_ids(encoded: EncodedTexts, sizes: Sequence[int]) -> list[EncodedTexts]:
    """Take apart what ``join_ids`` put together."""
    parts = []
    for shift, size in zip(_shifts(sizes), sizes, strict=True):
        is_here = (encoded.token_ids > shift) & (encoded.token_ids < shift + size)
        counts = np.concatenate([[0], np.cumsum(is_here)]).astype(np.int64)
        parts.append(EncodedTexts(encoded.token_ids[is_here] - np.int32(shift), counts[encoded.offsets]))
    return parts


def _shifts(sizes: Sequence[int]) -> Iterable[int]:
    return list(accumulate(sizes, initial=0))[:-1]


class EnsembleModel(SentimentModel):
    """The weighted mean of what the members' logits are once each is divided by its temperature.

    Args:
        members: k models.
        names: What each is called.
        sizes: How many ids each has, padding included.
    """

    def __init__(self, members: Sequence[SentimentModel], names: Sequence[str], sizes: Sequence[int]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.names, self.sizes = tuple(names), tuple(sizes)
        self.register_buffer("weights", torch.full((len(members),), 1 / len(members)))
        self.register_buffer("temperatures", torch.ones(len(members)))
        self.weights: Tensor
        self.temperatures: Tensor

    @property
    def models(self) -> list[SentimentModel]:
        """Return the members."""
        return [member for member in self.members if isinstance(member, SentimentModel)]

    def split(self, encoded: EncodedTexts) -> list[EncodedTexts]:
        """Return what each member reads of N texts."""
        return split_ids(encoded, self.sizes)

    def prepare(self, encoded: EncodedTexts, labels: NDArray[np.int64]) -> None:
        """Let each member count what it counts."""
        for member, part in zip(self.models, self.split(encoded), strict=True):
            member.prepare(part, labels)

    def collate(self, encoded: EncodedTexts) -> Batch:
        return Batch(torch.from_numpy(encoded.token_ids), torch.from_numpy(encoded.offsets[:-1]))

    def forward(self, token_ids: Tensor, starts: Tensor) -> Tensor:
        """Return logits.

        Args:
            token_ids: int32 (total), B texts end to end.
            starts: int64 (B), where each text begins.

        Returns:
            float32 (B).
        """
        batches = self._take_apart(token_ids, starts)
        return self.combine([member(*batch) for member, batch in zip(self.models, batches, strict=True)])

    def combine(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the logits (B) that follow from those of each member, k of (B)."""
        return (self.weights / self.temperatures) @ torch.stack(list(logits))

    def represent(self, token_ids: Tensor, starts: Tensor) -> Tensor:
        """Return the members' representations side by side; the arguments are those of ``forward``.

        Returns:
            float32 (B, D), each member's part scaled to a length whose square is its weight: the inner product of two
            texts is the weighted mean of the members' cosines.
        """
        batches = self._take_apart(token_ids, starts)
        return self.combine_representations(
            [member.represent(*batch) for member, batch in zip(self.models, batches, strict=True)]
        )

    def combine_representations(self, vectors: Sequence[Tensor]) -> Tensor:
        """Return the representations (B, D) that follow from those of each member, k of (B, D of its own)."""
        scales = self.weights.sqrt()
        return torch.cat(
            [part / part.norm(dim=1, keepdim=True).clamp(min=LEAST_NORM) * scales[place]
             for place, part in enumerate(vectors)], dim=1,
        )  # fmt: skip

    def check(self) -> None:
        weights, temperatures = self.weights, self.temperatures
        if bool((weights < 0).any()) or abs(float(weights.sum()) - 1) > ROUNDING:
            raise ModelFileError("its members' weights are no shares that add up to 1")
        low, high = LEAST_TEMPERATURE * (1 - ROUNDING), MOST_TEMPERATURE * (1 + ROUNDING)
        if not bool(((temperatures >= low) & (temperatures <= high)).all()):
            raise ModelFileError(f"a member's temperature is not between {LEAST_TEMPERATURE} and {MOST_TEMPERATURE}")
        for member in self.models:
            member.check()

    @property
    def layers(self) -> dict[str, Sequence[Tensor]]:
        return {
            f"{name}: {layer}": group
            for name, member in zip(self.names, self.models, strict=True)
            for layer, group in member.layers.items()
        }

    def _take_apart(self, token_ids: Tensor, starts: Tensor) -> list[Batch]:
        """Return each member's batch, on the device of the whole."""
        offsets = np.append(starts.cpu().numpy(), len(token_ids)).astype(np.int64)
        parts = self.split(EncodedTexts(token_ids.cpu().numpy(), offsets))
        return [member.collate(part).to(token_ids.device) for member, part in zip(self.models, parts, strict=True)]


def member_architecture(architecture: Architecture) -> Architecture:
    """Return what an ensemble's file says of a member's file: its labels are everybody's, the precision the whole's."""
    return architecture.model_copy(update={"dtype": "F32", "labels": LABELS})
