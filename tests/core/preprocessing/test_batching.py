import numpy as np

from core.preprocessing.batching import epoch_batches, length_sorted_batches

LENGTHS = np.random.default_rng(0).integers(0, 300, 1_000)


def test_an_epoch_visits_every_text_once_in_batches_of_the_asked_size() -> None:
    batches = epoch_batches(LENGTHS, 64, seed=1, epoch=1)
    assert sorted(np.concatenate(batches).tolist()) == list(range(1_000))
    assert sorted(len(batch) for batch in batches) == [40] + [64] * 15


def test_the_order_is_the_same_for_the_same_seed_and_epoch_only() -> None:
    orders = [
        np.concatenate(epoch_batches(LENGTHS, 64, seed, epoch)).tolist()
        for seed, epoch in [(1, 1), (1, 1), (1, 2), (2, 1)]
    ]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2] and orders[0] != orders[3]


def test_texts_of_like_length_share_a_batch() -> None:
    batches = epoch_batches(LENGTHS, 50, seed=0, epoch=1)
    padded = sum(len(batch) * LENGTHS[batch].max() for batch in batches)
    assert padded < 1.1 * LENGTHS.sum()


def test_scoring_batches_hold_every_text_once_and_few_padded_tokens() -> None:
    batches = list(length_sorted_batches(LENGTHS, tokens=2_000))
    assert sorted(np.concatenate(batches).tolist()) == list(range(1_000))
    assert all(len(batch) == 1 or len(batch) * LENGTHS[batch].max() <= 2_000 for batch in batches)
    assert list(length_sorted_batches(np.zeros(0, np.int64), 10)) == []
