"""Linear model on binarised word n-grams, weighted by naive-Bayes log-count ratios.

Wang & Manning (2012), "Baselines and Bigrams: Simple, Good Sentiment and Topic Classification", section 2.3. Each text
is the set of its n-grams; an n-gram enters with its log-count ratio, and a text's vector is scaled to unit length so
that long reviews do not shout.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.config import NgramConfig
from core.models.base import Batch, SentimentModel
from core.preprocessing.encoded import EncodedTexts

SKETCH = 1_024  # numbers that stand for a text; a power of two
# Odd multipliers of 64 bits, drawn once: they say which of those numbers an id is added to, and with which sign.
SPREAD, SPREAD_AGAIN = 0x1D8E4E27C47D124F, 0x5851F42D4C957F2D
LEAST_LENGTH = 1e-6  # a text without any known n-gram has length 0; its logit is the bias


class NgramModel(SentimentModel):
    """One weight an n-gram bucket, scaled by the bucket's log-count ratio.

    Args:
        config: ``smoothing`` of the counts.
        vocabulary_size: Ids that exist, padding included.
    """

    def __init__(self, config: NgramConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.smoothing = config.smoothing
        self.weight = nn.Parameter(torch.zeros(vocabulary_size))
        self.bias = nn.Parameter(torch.zeros(1))
        self.register_buffer("ratio", torch.zeros(vocabulary_size))
        self.ratio: Tensor

    def prepare(self, encoded: EncodedTexts, labels: NDArray[np.int64]) -> None:
        """Set each bucket's log-count ratio: log of its share in positive over its share in negative reviews."""
        ratio = log_count_ratios(encoded, labels, len(self.ratio), self.smoothing)
        self.ratio.copy_(torch.from_numpy(ratio))

    def collate(self, encoded: EncodedTexts) -> Batch:
        return Batch(torch.from_numpy(encoded.token_ids), torch.from_numpy(encoded.offsets[:-1].astype(np.int32)))

    def forward(self, token_ids: Tensor, starts: Tensor) -> Tensor:
        """Return logits.

        Args:
            token_ids: int32 (total), B texts end to end.
            starts: int32 (B), where each text begins.

        Returns:
            float32 (B).
        """
        evidence = functional.embedding_bag(token_ids, (self.weight * self.ratio)[:, None], starts, mode="sum")
        with torch.no_grad():
            squares = functional.embedding_bag(token_ids, self.ratio.square()[:, None], starts, mode="sum")
        return evidence[:, 0] / squares[:, 0].sqrt().clamp(min=LEAST_LENGTH) + self.bias

    def represent(self, token_ids: Tensor, starts: Tensor) -> Tensor:
        """Return a count sketch of the n-grams' parts of the logit (Charikar, Chen & Farach-Colton 2002).

        A text is the sparse vector of what each of its n-grams adds to the logit. Each id is added to one of ``SKETCH``
        numbers, with a sign, both fixed. An inner product of two sketches is right on average, and its standard error
        is about 1 / 32 of the product of the two lengths.

        Args:
            token_ids: int32 (total), B texts end to end.
            starts: int32 (B), where each text begins.

        Returns:
            float32 (B, 1024).
        """
        with torch.no_grad():
            squares = functional.embedding_bag(token_ids, self.ratio.square()[:, None], starts, mode="sum")
        sizes = squares[:, 0].sqrt().clamp(min=LEAST_LENGTH)
        ends = torch.cat([starts[1:], starts.new_tensor([len(token_ids)])]) if len(starts) else starts
        texts = torch.repeat_interleave(torch.arange(len(starts), device=starts.device), (ends - starts).long())
        places, signs = sketch_places(token_ids.long())
        parts = self.token_values[token_ids.long()] / sizes[texts] * signs
        sketch = parts.new_zeros(len(starts) * SKETCH).index_add(0, texts * SKETCH + places, parts)
        return sketch.view(len(starts), SKETCH)

    @property
    def token_values(self) -> Tensor:
        return self.weight * self.ratio

    @property
    def layers(self) -> dict[str, Sequence[Tensor]]:
        return {"ngram_weights": [self.weight], "bias": [self.bias]}


def log_count_ratios(
    encoded: EncodedTexts, labels: NDArray[np.int64], size: int, smoothing: float
) -> NDArray[np.float64]:
    """Return the log of each id's share in positive over its share in negative texts (N), float64 (size); 0 for 0."""
    token_labels = np.repeat(labels, encoded.lengths)
    shares = []
    for label in (0, 1):
        counts = np.bincount(encoded.token_ids[token_labels == label], minlength=size) + smoothing
        shares.append(counts / counts.sum())
    ratio: NDArray[np.float64] = np.log(shares[1]) - np.log(shares[0])
    ratio[0] = 0.0
    return ratio


def sketch_places(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Return to which number of a sketch each id is added, int64 (n), and with which sign, int64 (n)."""
    mixed = ids * SPREAD  # wraps around at 64 bits
    mixed = (mixed ^ (mixed >> 31)) * SPREAD_AGAIN
    mixed = mixed ^ (mixed >> 29)
    return (mixed >> 40) & (SKETCH - 1), 1 - 2 * ((mixed >> 20) & 1)
