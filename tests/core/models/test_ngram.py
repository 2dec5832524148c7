from itertools import pairwise

import numpy as np
import torch

from core.config import NgramConfig
from core.models.ngram import SKETCH, NgramModel, sketch_places
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


def test_a_sketch_keeps_inner_products_to_one_part_in_thirty_two() -> None:
    draw = np.random.default_rng(0)
    size = 20_000
    model = NgramModel(NgramConfig(), size)
    model.ratio.copy_(torch.from_numpy(draw.normal(size=size)))
    model.weight.data = torch.from_numpy(draw.normal(size=size).astype(np.float32))
    # Texts of 300 ids; each shares its first 150 with the one before.
    drawn = [np.sort(draw.choice(np.arange(1, size), 300, replace=False)) for _ in range(41)]
    texts = [np.concatenate([before[:150], here[150:]]) for before, here in pairwise(drawn)]
    ids = np.concatenate(texts).astype(np.int32)
    encoded = EncodedTexts(ids, np.arange(0, len(ids) + 1, 300))
    sketches = model.represent(*model.collate(encoded)).detach().numpy()
    assert sketches.shape == (40, SKETCH)

    ratio, values = model.ratio.numpy(), model.token_values.detach().numpy()
    exact = np.zeros((40, size), np.float32)
    for row, text in enumerate(texts):
        np.add.at(exact[row], text, values[text] / np.sqrt((ratio[text] ** 2).sum()))
    lengths = np.linalg.norm(exact, axis=1)
    errors = (sketches @ sketches.T - exact @ exact.T) / np.outer(lengths, lengths)
    off_diagonal = errors[~np.eye(40, dtype=bool)]
    assert abs(off_diagonal.mean()) < 3 / SKETCH**0.5 / 40, "right on average"
    assert 0.5 / SKETCH**0.5 < off_diagonal.std() < 1.5 / SKETCH**0.5


def test_the_places_and_signs_of_a_sketch_are_spread_evenly_and_never_change() -> None:
    places, signs = sketch_places(torch.arange(1, 200_001))
    counts = np.bincount(places.numpy(), minlength=SKETCH)
    expected = 200_000 / SKETCH
    assert ((counts - expected) ** 2 / expected).sum() < SKETCH + 5 * (2 * SKETCH) ** 0.5, "chi square"
    assert abs(signs.double().mean().item()) < 0.01
    together = np.bincount(places.numpy(), weights=signs.numpy(), minlength=SKETCH)
    assert 0.8 < together.std() / expected**0.5 < 1.2, "the sign does not follow from the place"
    assert (places[:4].tolist(), signs[:4].tolist()) == ([987, 573, 912, 901], [-1, -1, 1, 1])


def test_a_text_without_ids_reads_as_zeros() -> None:
    model = NgramModel(NgramConfig(), 4)
    model.ratio.copy_(torch.ones(4))
    model.weight.data = torch.ones(4)
    encoded = EncodedTexts(np.array([1, 2], np.int32), np.array([0, 0, 2, 2]))
    sums = model.represent(*model.collate(encoded)).abs().sum(dim=1)
    assert sums[0] == 0 and sums[1] > 0 and sums[2] == 0
