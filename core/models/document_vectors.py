"""A linear layer on document vectors: numbers of a text that tell which n-grams stand in it.

PV-DBOW (Le & Mikolov 2014, "Distributed Representations of Sentences and Documents", section 2.3) that predicts n-grams
with a clear naive-Bayes ratio (Li et al. 2016, arXiv 1512.08183). There a text's vector is found by some random steps;
here it is where this function of it has its maximum, climbed in a fixed number of steps, so that the same text has the
same vector. For a text whose n-grams have vectors w(g) and weights a(g) that sum to 1:

    sum over its n-grams of a log s(x w)  +  NEGATIVES * sum over absent ones of q log s(-x w)  -  PRIOR / 2 * |x|^2

where s is the logistic function and the absent ones, with their shares q, are the same for every text.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from core.config import DocumentVectorsConfig
from core.errors import ModelFileError
from core.models.base import Batch, SentimentModel
from core.preprocessing.batching import length_sorted_batches
from core.preprocessing.encoded import EncodedTexts

NEGATIVES = 5.0  # what the absent n-grams weigh together beside those of the text
PRIOR = 0.06
STEPS = 5  # more come closer to the maximum, and were no more accurate on validation
MOST_ABSENT = 2_048
TOKENS_AT_ONCE = 8_192  # padded; their vectors stay in a core's cache
LEAST = 1e-12
NEAR_ZERO = 0.2  # where a quotient would lose digits, and its limit, 0.3 % more, is still a bound


class Landscape(NamedTuple):
    """What the function to be climbed is made of, the same for every text.

    Attributes:
        absent: float32 (M, D), vectors of n-grams that stand for all that a text does not hold.
        shares: float32 (M), at least 0, how often each stands for them; they sum to 1.
        preconditioner: float32 (D, D), ``precondition`` of these.
    """

    absent: Tensor
    shares: Tensor
    preconditioner: Tensor


class Place(NamedTuple):
    """Where texts are: their vectors, and the products with those of the n-grams.

    Attributes:
        vectors: float32 (B, D).
        present: float32 (B, T), with the text's own n-grams.
        absent: float32 (B, M).
    """

    vectors: Tensor
    present: Tensor
    absent: Tensor


class Group(NamedTuple):
    """Texts of like length, side by side, where their climb has ended.

    Attributes:
        texts: int64 (B), which they are.
        rows: int64 (B, T), their n-grams, 0 after a text's end.
        is_real: bool (B, T), False after a text's end.
        weights: float32 (B, T), what each n-gram weighs; they sum to 1 in each text that has any, and are 0 elsewhere.
        place: Where they are.
    """

    texts: Tensor
    rows: Tensor
    is_real: Tensor
    weights: Tensor
    place: Place


class DocumentVectors(SentimentModel):
    """A vector of each text, scaled to unit length, and one linear unit. Only the unit learns from labels.

    Args:
        config: ``width`` of the vectors, and how many ``ngrams`` they predict.
        vocabulary_size: Ids that exist, padding included.
    """

    def __init__(self, config: DocumentVectorsConfig, vocabulary_size: int) -> None:
        super().__init__()
        kept, width = min(config.ngrams, vocabulary_size - 1), config.width
        absent = min(MOST_ABSENT, kept)
        self.fc = nn.Linear(width, 1)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)
        self.register_buffer("chosen", torch.zeros(vocabulary_size))
        self.register_buffer("emphasis", torch.zeros(kept))
        self.register_buffer("outputs", torch.zeros(kept, width, dtype=torch.float16))
        self.register_buffer("absent", torch.zeros(absent, width))
        self.register_buffer("shares", torch.zeros(absent))
        self.register_buffer("preconditioner", torch.zeros(width, width))
        self.chosen: Tensor
        self.emphasis: Tensor
        self.outputs: Tensor
        self.absent: Tensor
        self.shares: Tensor
        self.preconditioner: Tensor

    def start_from(self, learnt: Mapping[str, NDArray[np.float32]]) -> None:
        """Take which n-grams are predicted, by which vectors, and what is absent."""
        for name, values in learnt.items():
            self.get_buffer(name).copy_(torch.from_numpy(values))

    def check(self) -> None:
        if bool(((self.chosen != 0) & (self.chosen != 1)).any()) or int(self.chosen.sum()) > len(self.outputs):
            raise ModelFileError("it does not say which of its n-grams have a vector")

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
        logits: Tensor = self.fc(self.represent(token_ids, starts)).squeeze(1)
        return logits

    def represent(self, token_ids: Tensor, starts: Tensor) -> Tensor:
        """Return each text's vector, float32 (B, D); a text without any chosen n-gram has zeros.

        Its length is the root of D, so that a number of it is about 1 and the linear unit learns at a usual rate.

        Args:
            token_ids: int32 (total), B texts end to end.
            starts: int32 (B), where each text begins.
        """
        with torch.no_grad(), torch.autocast(token_ids.device.type, enabled=False):
            rows, lengths = self._choose(token_ids, starts)
            landscape = Landscape(self.absent, self.shares, self.preconditioner)
            vectors = self.absent.new_zeros(len(lengths), self.outputs.shape[1])
            for group in climb_in_groups(rows, lengths, self.outputs, self.emphasis, landscape, vectors, STEPS):
                vectors[group.texts] = group.place.vectors
            scaled: Tensor = functional.normalize(vectors) * vectors.shape[1] ** 0.5
            return scaled

    def _choose(self, token_ids: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the rows of the chosen n-grams, int64 (total), texts end to end, and how many each text has (B)."""
        ids = token_ids.long()
        is_kept = self.chosen[ids] > 0
        counts = functional.pad(is_kept.long().cumsum(0), (1, 0))
        bounds = counts[torch.cat([starts.long(), starts.new_tensor([len(ids)]).long()])]
        return ((self.chosen > 0).long().cumsum(0) - 1)[ids[is_kept]], bounds.diff()

    @property
    def layers(self) -> dict[str, Sequence[Tensor]]:
        return {"fc": list(self.fc.parameters())}


def climb_in_groups(
    rows: Tensor, lengths: Tensor, outputs: Tensor, emphasis: Tensor, landscape: Landscape, vectors: Tensor, steps: int
) -> Iterator[Group]:
    """Climb from given vectors, so many texts at once that what is read of them stays in the cache.

    Args:
        rows: int64 (total), the n-grams of N texts end to end, as rows of ``outputs``.
        lengths: int64 (N).
        outputs: float (R, D), the vector of each n-gram.
        emphasis: float32 (R), what each weighs beside others.
        landscape: The rest of the function.
        vectors: float32 (N, D), where to begin.
        steps: At least 0.
    """
    starts = lengths.cumsum(0) - lengths
    for indices in length_sorted_batches(lengths.cpu().numpy(), TOKENS_AT_ONCE):
        texts = torch.from_numpy(indices).to(rows.device)
        places = torch.arange(max(int(lengths[texts[0]]), 1), device=rows.device)
        is_real = places < lengths[texts, None]
        padded = torch.zeros(is_real.shape, dtype=torch.int64, device=rows.device)
        padded[is_real] = rows[(starts[texts, None] + places)[is_real]]
        weights = torch.zeros(is_real.shape, device=rows.device)
        weights[is_real] = emphasis[padded[is_real]]
        weights = weights / weights.sum(1, keepdim=True).clamp(min=LEAST)
        # A text without n-grams is padded with the first row, which may not exist; its weight is 0.
        present = functional.embedding(padded, outputs).float() if len(outputs) else vectors.new_zeros(*padded.shape, 1)
        yield Group(texts, padded, is_real, weights, climb(present, weights, landscape, vectors[texts], steps))


def climb(present: Tensor, weights: Tensor, landscape: Landscape, vectors: Tensor, steps: int) -> Place:
    """Climb from given vectors: preconditioned conjugate gradients (Polak & Ribiere 1969, never turning back).

    A step goes to the maximum of a parabola that lies under the function everywhere and touches it here (Jaakkola &
    Jordan 2000, section 3), so that no step leads down.

    Args:
        present: float32 (B, T, D), the vectors of each text's n-grams.
        weights: float32 (B, T), which sum to 1 in each text that has n-grams.
        landscape: The rest of the function.
        vectors: float32 (B, D), where to begin.
        steps: At least 0.
    """
    place = Place(vectors, multiply(present, vectors), vectors @ landscape.absent.T)
    direction, before = torch.zeros_like(vectors), torch.zeros_like(vectors)
    ascent = vectors.new_ones(len(vectors))
    for _ in range(steps):
        guesses = guess(place)
        gradient = slope(place, guesses, present, weights, landscape)
        turned = gradient @ landscape.preconditioner
        # The share of the last direction that is kept; at first there is none.
        kept = ((turned * (gradient - before)).sum(1) / ascent).clamp(min=0)
        direction = turned + kept[:, None] * direction
        before, ascent = gradient, (turned * gradient).sum(1).clamp(min=LEAST)
        along = Place(direction, multiply(present, direction), direction @ landscape.absent.T)
        bends = bend(place, guesses, along, weights, landscape).clamp(min=LEAST)
        length = (gradient * direction).sum(1) / bends
        place = Place(*(at + length[:, None] * by for at, by in zip(place, along, strict=True)))
    return place


class Guesses(NamedTuple):
    """The probabilities, by the texts' vectors, that n-grams stand in them: as ``Place`` has the products."""

    present: Tensor
    absent: Tensor


def guess(place: Place) -> Guesses:
    """Return the logistic function of a place's products."""
    return Guesses(torch.sigmoid(place.present), torch.sigmoid(place.absent))


def slope(place: Place, guesses: Guesses, present: Tensor, weights: Tensor, landscape: Landscape) -> Tensor:
    """Return the function's gradient, float32 (B, D); of a text without n-grams nothing but the prior's."""
    pull = ((weights * (1 - guesses.present))[:, None] @ present)[:, 0]
    push = weights.sum(1, keepdim=True) * (guesses.absent @ (landscape.shares[:, None] * landscape.absent))
    return pull - NEGATIVES * push - PRIOR * place.vectors


def bend(place: Place, guesses: Guesses, along: Place, weights: Tensor, landscape: Landscape) -> Tensor:
    """Return how strongly the parabola under the function bends along a direction, float32 (B), at least 0."""
    own = (weights * curvature(place.present, guesses.present) * along.present.square()).sum(1)
    absent = (curvature(place.absent, guesses.absent) * along.absent.square()) @ landscape.shares
    return own + NEGATIVES * weights.sum(1) * absent + PRIOR * along.vectors.square().sum(1)


def curvature(products: Tensor, guesses: Tensor) -> Tensor:
    """Return tanh(p / 2) / (2 p): how a parabola bends that lies under log s and touches it at p and -p.

    Args:
        products: float, p.
        guesses: float, s(p), which is at hand: tanh(p / 2) is 2 s(p) - 1.
    """
    return torch.where(products.abs() < NEAR_ZERO, 0.25, (guesses - 0.5) / products)


def multiply(present: Tensor, vectors: Tensor) -> Tensor:
    """Return the products of each text's n-grams with its vector, float32 (B, T)."""
    return (present * vectors[:, None]).sum(2)


def precondition(absent: Tensor, shares: Tensor) -> Tensor:
    """Return the inverse of how the function bends for a text of average n-grams at zero, float32 (D, D)."""
    spread = absent.T @ (shares[:, None] * absent)
    bends = (NEGATIVES + 1) / 4 * spread + PRIOR * torch.eye(absent.shape[1], device=absent.device)
    inverse: Tensor = torch.linalg.inv(bends)
    return inverse
