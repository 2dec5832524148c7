"""Integrated gradients of a model that reads vectors, by Captum.

Sundararajan, Taly & Yan (2017), "Axiomatic Attribution for Deep Networks", equation 1: the gradient is integrated along
the straight line from a baseline to the text. Here the line is cut into pieces, each integrated by itself, and a piece
whose gradients do not add up to the change of the logit along it is cut again. A recurrent network needs that: its
state can tip over within less than a millionth of the line, and evenly spread steps then miss a fifth of the logit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from core.models.base import VectorModel

# So much of the logit, all pieces together, may be missed before pieces are cut again.
TOLERANCE = 0.1
MOST_ROUNDS = 3
FIRST_PIECES, PARTS = 16, 8
NODES = 2  # of the Gauss-Legendre rule in a piece; exact for a cubic
# A gradient that stands for less than this share of its piece's change says nothing of which words made it.
LEAST_SHARE = 0.01
TOKENS_A_BATCH = 8_192


@dataclass(frozen=True)
class Attribution:
    """What each token of a text adds to the logit of the baseline.

    Attributes:
        pushes: float64 (T).
        base: The baseline's logit.
        missing: The logit less ``base`` and all pushes: what tipped over at once, where no gradient points.
    """

    pushes: NDArray[np.float64]
    base: float
    missing: float


@dataclass(frozen=True, eq=False)
class _Piece:
    """A piece of the line: from where to where, 0 to 1, its tokens' integrals (T), and the change of the logit."""

    start: float
    end: float
    integrals: NDArray[np.float64]
    change: float

    @property
    def missed(self) -> float:
        return abs(self.change - float(self.integrals.sum()))

    @property
    def pushes(self) -> NDArray[np.float64]:
        """Return the integrals, scaled to the change that they stand for; unscaled where they say nothing of it.

        Where the state tips over, the gradient has the direction in which each word brings that about, but no size.
        """
        total = float(self.integrals.sum())
        stands_for_it = total * self.change > 0 and abs(total) > LEAST_SHARE * abs(self.change)
        return self.integrals * (self.change / total) if stands_for_it else self.integrals


def attribute_tokens(
    model: VectorModel, token_ids: Tensor, baseline: int, on_round: Callable[[], None] | None = None
) -> Attribution:
    """Return what each token of one text adds. Nothing in the model changes, so that threads may share it.

    Args:
        model: In evaluation mode, on the CPU.
        token_ids: int64 (T), T at least 1.
        baseline: The id that stands at each place of the baseline.
        on_round: Called after each of at most ``MOST_ROUNDS`` rounds.
    """
    with torch.no_grad():
        here = model.embedding(torch.full_like(token_ids, baseline))
        there = model.embedding(token_ids)
        lengths = torch.full((2,), len(token_ids))
        base, logit = model.read_vectors(torch.stack([here, there]), lengths).double().tolist()
    pieces: list[_Piece] = []
    cuts = _cut(0.0, 1.0, FIRST_PIECES)
    for rounds in range(1, MOST_ROUNDS + 1):
        pieces += _integrate(model, here, there, cuts)
        if on_round:
            on_round()
        worst = _worst(pieces)
        if not worst or rounds == MOST_ROUNDS:
            break
        pieces = [piece for piece in pieces if piece not in worst]
        cuts = [cut for piece in worst for cut in _cut(piece.start, piece.end, PARTS)]
    pushes = np.sum([piece.pushes for piece in pieces], axis=0)
    return Attribution(pushes, base, logit - base - float(pushes.sum()))


def load_captum() -> Any:
    """Import Captum; it brings matplotlib along, which takes half a second the first time."""
    import captum.attr

    return captum.attr


def _worst(pieces: list[_Piece]) -> list[_Piece]:
    """Return the pieces to be cut again: those that miss most, until the rest misses half of what it may."""
    missed = sum(piece.missed for piece in pieces)
    if missed <= TOLERANCE:
        return []
    worst = []
    for piece in sorted(pieces, key=lambda piece: -piece.missed):
        if missed > TOLERANCE / 2:
            worst.append(piece)
            missed -= piece.missed
    return worst


def _integrate(model: VectorModel, here: Tensor, there: Tensor, cuts: list[tuple[float, float]]) -> list[_Piece]:
    """Integrate the gradient along pieces of the line between two texts' vectors (T, F)."""
    gradients = load_captum().IntegratedGradients(model.read_vectors)
    size = max(TOKENS_A_BATCH // (len(here) * NODES), 1)
    pieces = []
    for batch in (cuts[first : first + size] for first in range(0, len(cuts), size)):
        starts, ends = (torch.tensor(side)[:, None, None] for side in zip(*batch, strict=True))
        integrals, missed = gradients.attribute(
            torch.lerp(here, there, ends), torch.lerp(here, there, starts), n_steps=NODES, method="gausslegendre",
            additional_forward_args=(torch.full((len(batch),), len(here)),), return_convergence_delta=True,
        )  # fmt: skip
        added = integrals.double().sum(dim=2).numpy()
        # Captum's delta is the sum of the integrals less the change.
        pieces += [
            _Piece(start, end, each, float(each.sum()) - float(delta))
            for (start, end), each, delta in zip(batch, added, missed, strict=True)
        ]
    return pieces


def _cut(start: float, end: float, parts: int) -> list[tuple[float, float]]:
    edges = [*(start + (end - start) * part / parts for part in range(parts)), end]
    return list(pairwise(edges))
