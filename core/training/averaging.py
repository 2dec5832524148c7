"""The running mean of the weights along a training, which often judges better than where the training stands.

Polyak & Juditsky (1992) averaged all steps alike; a mean that forgets (as in Tarvainen & Valpola 2017) suits weights
that still move. It lies in the optimiser's state, so that checkpoints hold it as they hold the rest of that.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.optim import Optimizer

MEAN = "weight_mean"


def update_average(optimizer: Optimizer, kept: float, steps: int) -> None:
    """Move the running mean of each weight towards where the weight is now.

    Args:
        optimizer: Has just made a step.
        kept: Share of the mean that stays, in the long run; the first steps keep less, as they come from weights that
            were drawn: (1 + steps) / (10 + steps) at most.
        steps: Made so far, from 1.
    """
    weights = _moving_weights(optimizer)
    means = [optimizer.state[weight].setdefault(MEAN, weight.detach().clone()) for weight in weights]
    torch._foreach_lerp_(means, [weight.detach() for weight in weights], 1 - min(kept, (1 + steps) / (10 + steps)))


@contextmanager
def averaged_weights(optimizer: Optimizer) -> Iterator[None]:
    """Put the means in the weights' place for as long as the block lasts; without any, nothing changes."""
    averaged = [weight for weight in _moving_weights(optimizer) if MEAN in optimizer.state[weight]]
    if not averaged:
        yield
        return
    weights, means = [weight.detach() for weight in averaged], [optimizer.state[weight][MEAN] for weight in averaged]
    before = [weight.clone() for weight in weights]
    torch._foreach_copy_(weights, means)
    try:
        yield
    finally:
        torch._foreach_copy_(weights, before)


def _moving_weights(optimizer: Optimizer) -> list[Tensor]:
    """Return the weights that have been updated, in the order of the optimiser."""
    return [weight for group in optimizer.param_groups for weight in group["params"] if weight in optimizer.state]
