"""What every model offers to the training loop and to scoring."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.vocabulary import PAD


class Batch(NamedTuple):
    """What one forward pass takes; each model reads it in its own shape.

    Attributes:
        token_ids: int64 (B, T) padded with 0, or int64 (total) end to end.
        lengths: int64 (B), or the texts' starts int64 (B).
    """

    token_ids: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(self.token_ids.to(device), self.lengths.to(device))


class SentimentModel(nn.Module, ABC):
    """Token ids to one logit a text: above 0 is positive."""

    @abstractmethod
    def collate(self, encoded: EncodedTexts) -> Batch:
        """Return the batch of B encoded texts, on the CPU."""

    @abstractmethod
    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits, float32 (B), that depend on nothing but each text itself."""

    @abstractmethod
    def represent(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return what the last layer reads, float32 (B, D), that depends on nothing but each text itself.

        Inner products of rows are those of what it reads, exactly or, where ``token_values`` is given, nearly.
        """

    @property
    def token_values(self) -> Tensor | None:
        """Return what each id adds to a text that is the set of its tokens, float32 (ids), before any scaling.

        Inner products that ``represent`` gives nearly can be had exactly from these. None where it gives them exactly.
        """
        return None

    def prepare(self, encoded: EncodedTexts, labels: NDArray[np.int64]) -> None:
        """Take from the training texts (N) and labels (N) what is counted, not learnt. By default nothing."""

    def start_from(self, learnt: Mapping[str, NDArray[np.float32]]) -> None:
        """Take what was learnt from texts alone, before the training and before a checkpoint is restored.

        Args:
            learnt: What ``core.training.pretraining`` gives for the settings' ``pretraining``.
        """
        raise NotImplementedError(f"{type(self).__name__} learns nothing before its training")

    def check(self) -> None:
        """Refuse numbers, read from a stranger's file, that no training gives. By default any will do.

        Raises:
            ModelFileError: There are some.
        """

    @property
    @abstractmethod
    def layers(self) -> dict[str, Sequence[Tensor]]:
        """Return the parameters of each layer, by the layer's name, in reading order."""

    @property
    def layer_parameters(self) -> dict[str, int]:
        """Return how many numbers each layer learns: none where they are kept as they started."""
        return {
            name: sum(parameter.numel() for parameter in group if parameter.requires_grad)
            for name, group in self.layers.items()
        }


class VectorModel(SentimentModel):
    """A model that reads a vector for each token: what it makes of the vectors can be asked apart from the words."""

    embedding: nn.Embedding

    def collate(self, encoded: EncodedTexts) -> Batch:
        # A text without words reads as one padding token.
        lengths = np.maximum(encoded.lengths, 1)
        token_ids = np.full((len(encoded), int(lengths.max(initial=1))), PAD, np.int64)
        token_ids[np.arange(token_ids.shape[1]) < encoded.lengths[:, None]] = encoded.token_ids
        return Batch(torch.from_numpy(token_ids), torch.from_numpy(lengths))

    @abstractmethod
    def read_vectors(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return logits.

        Args:
            vectors: float (B, T, F), one a token; what lies after a text's end has no influence.
            lengths: int64 (B), from 1 to T.

        Returns:
            float (B), of the vectors' type.
        """

    def attention(self, token_ids: Tensor, lengths: Tensor) -> Tensor | None:
        """Return how much the model looks at each token, or None when it has no attention of that kind.

        Args:
            token_ids: int64 (B, T), padded with 0 after each text's end.
            lengths: int64 (B), from 1 to T.

        Returns:
            float32 (B, T), at least 0; it sums to 1 within a text and is 0 after its end.
        """
        return None

    def forward(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits.

        Args:
            token_ids: int64 (B, T), padded with 0 after each text's end.
            lengths: int64 (B), from 1 to T.

        Returns:
            float32 (B).
        """
        return self.read_vectors(self.embedding(token_ids), lengths).float()
