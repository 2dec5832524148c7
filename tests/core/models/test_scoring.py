"""Texts scored in batches: side by side or one after the other, the same bits, and the threads of others left alone."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from core.models import scoring
from core.models.scoring import represent_texts, score_texts
from core.preprocessing.cleaning import as_text_array
from tests.core.prediction.small_models import train_small

TEXTS = [" ".join(["The plot is superb and the cast is dull!"] * (1 + row % 30)) for row in range(300)]


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(scoring, "TOKENS_A_BATCH", 1_000)
    monkeypatch.setattr(scoring, "TOKENS_A_PADDED_BATCH", 1_000)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("kind", ["ngram", "bilstm"])
def test_batches_side_by_side_give_the_bits_of_one_after_the_other(kind: str) -> None:
    predictor = train_small(kind)
    encoded = predictor.encoder.encode(as_text_array(TEXTS))
    done: list[int] = []
    side_by_side = score_texts(predictor.model, encoded, done.append)
    vectors = represent_texts(predictor.model, encoded)
    assert len(done) > 5 and sum(done) == len(TEXTS)
    torch.set_num_threads(1)
    assert np.array_equal(side_by_side, score_texts(predictor.model, encoded))
    assert np.array_equal(vectors, represent_texts(predictor.model, encoded))


@pytest.mark.usefixtures("two_threads")
def test_a_batch_is_read_by_one_thread_and_every_other_thread_keeps_its_number() -> None:
    predictor = train_small("bilstm")
    encoded = predictor.encoder.encode(as_text_array(TEXTS))
    seen: set[tuple[str, int]] = set()
    hook = predictor.model.fc.register_forward_hook(
        lambda *_: seen.add((threading.current_thread().name, torch.get_num_threads()))
    )
    score_texts(predictor.model, encoded)
    hook.remove()
    assert {threads for _, threads in seen} == {1} and threading.current_thread().name not in dict(seen)
    later: list[int] = []
    thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert torch.get_num_threads() == 2 and later == [2]


@pytest.mark.usefixtures("two_threads")
def test_a_batch_that_fails_says_so_and_leaves_no_thread_behind() -> None:
    predictor = train_small("bilstm")
    encoded = predictor.encoder.encode(as_text_array(TEXTS))

    def fail(*_: object) -> None:
        raise ValueError("a broken layer")

    hook = predictor.model.fc.register_forward_hook(fail)
    before = threading.active_count()
    with pytest.raises(ValueError, match="a broken layer"):
        score_texts(predictor.model, encoded)
    hook.remove()
    assert threading.active_count() == before
