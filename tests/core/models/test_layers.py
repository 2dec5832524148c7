import torch

from core.models.bilstm import reversal_index
from core.models.layers import Dropout, reverse_texts


def test_dropout_silences_its_share_and_keeps_the_mean() -> None:
    torch.manual_seed(0)
    layer, ones = Dropout(0.3), torch.ones(1_000, 333)
    out = layer(ones)
    assert abs(float((out == 0).float().mean()) - 0.3) < 0.005
    assert torch.allclose(out[out > 0], torch.tensor(1 / 0.7)) and abs(float(out.mean()) - 1) < 0.01


def test_dropout_gives_back_its_input_when_nothing_is_trained_or_dropped() -> None:
    values = torch.randn(3, 5)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values


def test_dropout_follows_the_seed_and_its_gradient_follows_the_mask() -> None:
    values = torch.ones(4, 7, 9, requires_grad=True)
    torch.manual_seed(3)
    first = Dropout(0.5)(values)
    torch.manual_seed(3)
    assert torch.equal(first, Dropout(0.5)(values))
    first.sum().backward()
    assert torch.equal(values.grad, first.detach())


def test_reversed_texts_and_their_gradient_are_those_of_gather() -> None:
    lengths = torch.tensor([1, 5, 3, 7])
    positions = reversal_index(lengths, 7)
    weights = torch.randn(4, 7, 6)
    results = []
    for reverse in (reverse_texts, lambda x, p: x.gather(1, p[:, :, None].expand(-1, -1, 6))):
        states = torch.arange(4 * 7 * 6.0).view(4, 7, 6).requires_grad_()
        out = reverse(states, positions)
        (out * weights).sum().backward()
        results.append((out.detach(), states.grad))
    assert torch.equal(results[0][0], results[1][0]) and torch.equal(results[0][1], results[1][1])
    assert results[0][0][1, :5, 0].tolist() == [66.0, 60.0, 54.0, 48.0, 42.0]
