"""Integrated gradients of a model that reads vectors (Sundararajan, Taly & Yan 2017, "Axiomatic Attribution for Deep
Networks"), by Captum.

The line from the baseline to the text is cut into pieces, each integrated by itself, and a piece whose gradients do not
add up to the change of the logit along it is cut again. A recurrent network needs that: its state can tip over within a
billionth of the line, where evenly spread steps miss up to a third of the logit.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.base import VectorModel

# Together the pushes miss at most so much of the logit, or the rounds are used up.
TOLERANCE = 0.1
MOST_ROUNDS = 14
FIRST_PIECES, PARTS = 16, 8
NODES = 2  # of Gauss and Legendre's rule in a piece; exact for a cubic
# Narrower pieces drown in the rounding of float64.
LEAST_WIDTH = 1e-12
TOKENS_A_BATCH = 8_192


@dataclass(frozen=True)
class Attribution:
    """What each token of a text adds to the logit of the baseline.

    Attributes:
        pushes: float64 (T).
        base: The baseline's logit.
        missing: The logit less ``base`` and all pushes.
    """

    pushes: NDArray[np.float64]
    base: float
    missing: float


@dataclass(frozen=True)
class _Piece:
    """A part of the line: from where to where, 0 to 1, what it adds to each token (T), and what it misses."""

    start: float
    end: float
    pushes: NDArray[np.float64]
    missing: float

    @property
    def cuts(self) -> list[tuple[float, float]]:
        return _cut(self.start, self.end, PARTS)


def double_copy(model: VectorModel) -> VectorModel:
    """Return a copy in float64, on the CPU, for gradients with respect to the vectors alone."""
    return copy.deepcopy(model).cpu().double().eval().requires_grad_(False)


def attribute_tokens(
    model: VectorModel, token_ids: Tensor, baseline: int, on_round: Callable[[], None] | None = None
) -> Attribution:
    """Return what each token of one text adds.

    Args:
        model: From ``double_copy``.
        token_ids: int64 (T), T at least 1.
        baseline: The id that stands at each place of the baseline.
        on_round: Called after each of at most ``MOST_ROUNDS`` rounds.
    """
    with torch.no_grad():
        there = model.embedding(token_ids)
        here = model.embedding(torch.full_like(token_ids, baseline))
        length = torch.tensor([len(token_ids)])
        base, logit = (float(model.read_vectors(vectors[None], length)[0]) for vectors in (here, there))
    pieces: list[_Piece] = []
    cuts = _cut(0.0, 1.0, FIRST_PIECES)
    for round_ in range(MOST_ROUNDS):
        pieces += _integrate(model, here, there, cuts)
        if on_round:
            on_round()
        worst = _worst(pieces)
        if not worst or round_ + 1 == MOST_ROUNDS:
            break
        pieces = [piece for piece in pieces if piece not in worst]
        cuts = [cut for piece in worst for cut in piece.cuts]
    pushes = np.sum([piece.pushes for piece in pieces], axis=0)
    return Attribution(pushes, base, logit - base - float(pushes.sum()))


def _worst(pieces: list[_Piece]) -> list[_Piece]:
    """Return the pieces to be cut: those that miss most, until the rest misses half of what it may."""
    excess = sum(abs(piece.missing) for piece in pieces)
    if excess <= TOLERANCE:
        return []
    worst = []
    for piece in sorted(pieces, key=lambda piece: -abs(piece.missing)):
        if excess <= TOLERANCE / 2:
            break
        excess -= abs(piece.missing)
        if piece.end - piece.start > LEAST_WIDTH:
            worst.append(piece)
    return worst


def _integrate(model: VectorModel, here: Tensor, there: Tensor, cuts: list[tuple[float, float]]) -> list[_Piece]:
    """Integrate the gradient along pieces of the line between two texts' vectors (T, F)."""
    from captum.attr import IntegratedGradients  # brings matplotlib, which takes half a second

    gradients = IntegratedGradients(model.read_vectors)
    size = max(TOKENS_A_BATCH // (len(here) * NODES), 1)
    pieces = []
    for batch in (cuts[first : first + size] for first in range(0, len(cuts), size)):
        starts, ends = (torch.tensor(side, dtype=here.dtype)[:, None, None] for side in zip(*batch, strict=True))
        pushes, missing = gradients.attribute(
            torch.lerp(here, there, ends), torch.lerp(here, there, starts), n_steps=NODES, method="gausslegendre",
            additional_forward_args=(torch.full((len(batch),), len(here)),), return_convergence_delta=True,
        )  # fmt: skip
        added = pushes.sum(dim=2).numpy()
        pieces += [
            _Piece(*cut, added[place], float(missing[place])) for place, cut in enumerate(batch)
        ]
    return pieces


def _cut(start: float, end: float, parts: int) -> list[tuple[float, float]]:
    edges = [start + (end - start) * part / parts for part in range(parts)] + [end]
    return list(zip(edges[:-1], edges[1:], strict=True))
