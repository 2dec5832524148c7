import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.models.base import Batch, VectorModel
from core.prediction.integrated_gradients import MOST_ROUNDS, attribute_tokens
from core.preprocessing.encoded import EncodedTexts


class Formula(VectorModel):
    """A model of one number a word, whose logit is a formula of their sum."""

    def __init__(self, values: list[float], kind: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding.from_pretrained(torch.tensor(values)[:, None])
        self.kind = kind

    def collate(self, encoded: EncodedTexts) -> Batch:
        raise NotImplementedError

    def represent(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def layers(self) -> dict[str, list[Tensor]]:
        return {}

    def read_vectors(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        total = vectors.sum(dim=(1, 2))
        if self.kind == "square":
            return total**2
        if self.kind == "cliff":  # rises by 2 within a thousandth of the line, and by 1 along it
            return torch.tanh(2_000 * (total - 1.71)) + total / 3
        return torch.where(total > 1.71, 1.0, -1.0) + total / 3  # a true step: no gradient sees it


def attribute(kind: str) -> tuple[np.ndarray, float, float]:
    model = Formula([0.0, 0.0, 2.0, 1.0], kind)
    found = attribute_tokens(model, torch.tensor([2, 3, 1]), 1)
    return found.pushes, found.base, found.missing


def test_of_a_square_each_word_gets_what_the_integral_gives_by_hand() -> None:
    # The gradient of (x + y)^2 is 2 (x + y) for each; along the line from 0 to (2, 1) it is 6a, whose integral is 3.
    pushes, base, missing = attribute("square")
    assert (
        pushes == pytest.approx([6.0, 3.0, 0.0], abs=1e-5) and base == 0.0 and missing == pytest.approx(0.0, abs=1e-5)
    )


def test_a_cliff_on_the_line_is_found_and_shared_by_who_climbs_it() -> None:
    pushes, base, missing = attribute("cliff")
    assert base == pytest.approx(-1.0) and missing == pytest.approx(0.0, abs=1e-3)
    assert pushes == pytest.approx([2.0, 1.0, 0.0], abs=1e-3)


def test_what_no_gradient_sees_is_said_to_be_missing() -> None:
    rounds = []
    model = Formula([0.0, 0.0, 2.0, 1.0], "step")
    found = attribute_tokens(model, torch.tensor([2, 3, 1]), 1, lambda: rounds.append(1))
    assert found.missing == pytest.approx(2.0, abs=0.05) and len(rounds) == MOST_ROUNDS
    assert found.pushes == pytest.approx([2 / 3, 1 / 3, 0.0], abs=0.05)


def test_an_easy_line_takes_one_round() -> None:
    rounds = []
    attribute_tokens(Formula([0.0, 0.0, 2.0, 1.0], "square"), torch.tensor([2, 3]), 1, lambda: rounds.append(1))
    assert len(rounds) == 1
