import pytest
import torch
from torch import nn

from core.training.averaging import averaged_weights, update_average


def step_to(optimizer: torch.optim.Optimizer, weight: nn.Parameter, value: float, kept: float, steps: int) -> None:
    """Make an update, say that it led to a value, and let the mean follow."""
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    with torch.no_grad():
        weight.fill_(value)
    update_average(optimizer, kept, steps)


def test_the_mean_follows_the_weights_as_worked_out_by_hand() -> None:
    weight = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
    for steps, value in enumerate((1.0, 2.0, 4.0), 1):
        step_to(optimizer, weight, value, 0.2, steps)
    # It begins at the first weights; of the mean, 0.2 stays, since 3/12 and 4/13 are more.
    after_two = 0.2 * 1.0 + 0.8 * 2.0
    with averaged_weights(optimizer):
        assert weight.tolist() == pytest.approx([0.2 * after_two + 0.8 * 4.0] * 2)
    assert weight.tolist() == [4.0, 4.0]


def test_the_first_steps_keep_little_of_the_mean_however_much_is_kept_later() -> None:
    weight = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([weight], lr=0.1)
    for steps, value in enumerate((1.0, 2.0), 1):
        step_to(optimizer, weight, value, 0.999, steps)
    with averaged_weights(optimizer):
        assert weight.item() == pytest.approx(3 / 12 * 1.0 + 9 / 12 * 2.0)


def test_the_weights_come_back_bit_for_bit_even_when_the_block_fails() -> None:
    weight = nn.Parameter(torch.rand(5, generator=torch.Generator().manual_seed(0)))
    optimizer = torch.optim.Adam([weight], lr=0.1)
    step_to(optimizer, weight, 1 / 3, 0.5, 1)
    step_to(optimizer, weight, 0.1, 0.5, 2)
    before = weight.detach().clone()
    with pytest.raises(KeyError), averaged_weights(optimizer):
        assert not torch.equal(weight, before)
        raise KeyError
    assert torch.equal(weight, before)


def test_without_a_mean_and_for_weights_that_never_move_nothing_changes() -> None:
    moving, frozen = nn.Parameter(torch.ones(2)), nn.Parameter(torch.full((2,), 7.0), requires_grad=False)
    optimizer = torch.optim.Adam([moving, frozen], lr=0.1)
    with averaged_weights(optimizer):
        assert moving.tolist() == [1.0, 1.0]
    step_to(optimizer, moving, 2.0, 0.5, 1)
    with averaged_weights(optimizer):
        assert frozen.tolist() == [7.0, 7.0]
