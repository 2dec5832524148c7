import numpy as np
import torch

from core.config import NgramConfig
from core.models.ngram import NgramModel
from core.preprocessing.encoded import EncodedTexts


def test_ratios_are_naive_bayes_log_count_ratios() -> None:
    model = NgramModel(NgramConfig(smoothing=1.0), 3)
    # Token 1 stands in both positive texts and one negative one, token 2 in one negative one.
    encoded = EncodedTexts(np.array([1, 1, 1, 2], np.int32), np.array([0, 1, 2, 4]))
    model.prepare(encoded, np.array([1, 1, 0]))
    positive, negative = np.array([1, 3, 1]) / 5, np.array([1, 2, 2]) / 5
    expected = np.log(positive / negative)
    expected[0] = 0.0
    assert np.allclose(model.ratio.numpy(), expected, atol=1e-6)


def test_a_logit_is_the_weighted_sum_over_the_texts_length_plus_the_bias() -> None:
    model = NgramModel(NgramConfig(), 4)
    model.ratio.copy_(torch.tensor([0.0, 3.0, -4.0, 1.0]))
    model.weight.data = torch.tensor([9.0, 1.0, 2.0, 5.0])
    model.bias.data = torch.tensor([0.5])
    encoded = EncodedTexts(np.array([1, 2], np.int32), np.array([0, 2, 2]))
    logits = model(*model.collate(encoded))
    assert torch.allclose(logits, torch.tensor([(3.0 - 8.0) / 5.0 + 0.5, 0.5]))
