import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional

from core.config import with_settings
from core.models.catalog import build_model, fit_encoder
from core.models.document_vectors import MOST_ABSENT, NEGATIVES, Group, Landscape, climb_in_groups, precondition
from core.models.scoring import represent_texts
from core.preprocessing.encoded import EncodedTexts
from core.tensor_file import read_tensor_file
from core.training.pretraining import Task, pretrain
from core.training.pretraining.document_vectors import (
    ALWAYS_ABSENT,
    FORMAT,
    Absent,
    choose_ngrams,
    keep_chosen,
    learn,
    pull_present,
    push_absent,
    signature,
    weigh,
)
from core.training.watcher import StopAsked, Watcher
from tests.core.models.small import SMALL
from tests.texts import invent_reviews

REVIEWS = invent_reviews(300)
PASSES = 3


def make_task(watcher: Watcher | None = None, seed: int = 0, *settings: str) -> Task:
    config = with_settings(
        SMALL["document_vectors"](), [f"training.seed={seed}", f"model.passes={PASSES}", "model.width=8", *settings]
    )
    return Task(config, fit_encoder(REVIEWS.texts, config), REVIEWS.texts, REVIEWS.labels[:200], watcher or Watcher())


def stopping_after(asked: int) -> Callable[[], bool]:
    """Ask to stop at the given look; there are two a pass."""
    looks = iter(range(1, 10**9))
    return lambda: next(looks) == asked


def assert_alike(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (learn(make_task(seed=seed), tmp_path / str(n)) for n, seed in enumerate((1, 1, 2)))
    assert_alike(again, first)
    assert not np.allclose(first["outputs"], other["outputs"])
    assert first["outputs"].dtype == np.float16 and all(np.isfinite(values).all() for values in first.values())


def test_the_learnt_numbers_are_those_that_half_precision_holds(tmp_path: Path) -> None:
    learnt = learn(make_task(), tmp_path)
    assert np.array_equal(learnt["absent"], learnt["absent"].astype(np.float16))


@pytest.mark.parametrize("asked", [1, 2, 3, 4, 5, 6])
def test_a_stopped_one_goes_on_to_the_same_vectors_without_repeating_whole_passes(asked: int, tmp_path: Path) -> None:
    expected = learn(make_task(), tmp_path / "whole")
    with pytest.raises(StopAsked):
        learn(make_task(Watcher(should_stop=stopping_after(asked))), tmp_path / "cut")
    resumed: list[int] = []
    assert_alike(learn(make_task(Watcher(on_resume=resumed.append)), tmp_path / "cut"), expected)
    assert resumed == [(asked - 1) // 2 * len(REVIEWS)]


def test_a_damaged_piece_is_not_gone_on_from(tmp_path: Path) -> None:
    expected = learn(make_task(), tmp_path / "whole")
    with pytest.raises(StopAsked):
        learn(make_task(Watcher(should_stop=stopping_after(5))), tmp_path / "cut")
    piece = tmp_path / "cut" / "piece.safetensors"
    assert json.loads(read_tensor_file(piece, FORMAT).document) == {"passes": 2}
    piece.write_bytes(piece.read_bytes()[:-9])
    assert_alike(learn(make_task(), tmp_path / "cut"), expected)


def test_all_progress_that_was_promised_is_made(tmp_path: Path) -> None:
    promised: list[int] = []
    made: list[int] = []
    learn(make_task(Watcher(on_phase=lambda _, total: promised.append(total), on_progress=made.append)), tmp_path)
    assert sum(made) == promised[-1] == PASSES * len(REVIEWS)


def test_each_pass_fits_better_than_the_one_before(tmp_path: Path) -> None:
    lines: list[str] = []
    learn(make_task(Watcher(on_line=lines.append), 0, "model.passes=6"), tmp_path)
    losses = [float(line.split(" loss of ")[1].split()[0]) for line in lines]
    assert len(losses) == 6 and losses[-1] < losses[0] - 0.1


def test_vectors_of_reviews_that_never_had_a_label_tell_good_from_bad() -> None:
    task = make_task(None, 0, "model.width=16", "model.passes=10")
    model = build_model(task.config, task.encoder)
    model.start_from(pretrain(task))
    vectors = represent_texts(model.eval(), task.encoder.encode(REVIEWS.texts))
    middle = {label: vectors[:200][task.labels == label].mean(0) for label in (0, 1)}
    margins = vectors[200:] @ (middle[1] - middle[0])
    right = (margins > np.median(margins)) == (REVIEWS.labels[200:] == 1)
    assert right.mean() > 0.9


@pytest.mark.parametrize("texts", [["", ""], ["zzz", "yyy"]])
def test_texts_without_a_known_n_gram_are_no_fault(texts: list[str], tmp_path: Path) -> None:
    task = make_task()
    task = replace(task, texts=pa.array(texts, pa.large_string()), labels=np.array([0, 1]))
    model = build_model(task.config, task.encoder)
    model.start_from(learn(task, tmp_path))
    assert not represent_texts(model.eval(), task.encoder.encode(REVIEWS.texts)).any()


def test_what_is_learnt_depends_on_what_its_signature_names() -> None:
    assert signature(make_task().config) == signature(make_task(None, 0, "training.epochs=9").config)
    for other in ("model.width=9", "model.passes=2", "model.ngrams=5", "model.smoothing=2.0", "training.seed=1"):
        assert signature(make_task(None, 0, other).config) != signature(make_task().config)


def test_the_clearest_n_grams_are_chosen_and_padding_never_is() -> None:
    ratios = np.array([0.0, 0.5, -2.0, 0.1, 2.0, -0.4])
    assert np.flatnonzero(choose_ngrams(ratios, 3)).tolist() == [1, 2, 4]
    assert np.flatnonzero(choose_ngrams(ratios, 99)).tolist() == [1, 2, 3, 4, 5]
    assert not choose_ngrams(np.zeros(1), 3).any()


def test_texts_keep_their_chosen_n_grams_and_those_with_none_are_left_out() -> None:
    encoded = EncodedTexts(np.array([1, 2, 3, 1, 3, 2], np.int32), np.array([0, 0, 3, 4, 4, 6]))
    kept = keep_chosen(encoded, np.array([False, False, True, True]))
    assert kept.token_ids.tolist() == [0, 1, 1, 0] and kept.offsets.tolist() == [0, 2, 4]


def test_only_a_frequent_n_gram_weighs_less() -> None:
    counts = np.array([40_000, 9, 959_991])  # shares 0.04, 0.000009 and 0.959991
    expected = [0.05 + 0.0025, 1.0, (1e-4 / 0.959991) ** 0.5 + 1e-4 / 0.959991]
    assert weigh(counts).tolist() == pytest.approx(expected, rel=1e-5)


def test_few_n_grams_are_all_absent_ones_each_with_its_odds() -> None:
    rows, shares = Absent(np.array([1, 16])).draw(np.random.default_rng(0))
    assert dict(zip(rows.tolist(), shares.tolist(), strict=True)) == pytest.approx({0: 1 / 9, 1: 8 / 9})


def test_of_many_the_most_frequent_always_stand_for_themselves_and_the_mean_of_draws_is_right() -> None:
    counts = np.arange(5_000, 0, -1)
    absent, draw = Absent(counts), np.random.default_rng(0)
    odds = counts**0.75 / (counts**0.75).sum()
    sums, repeats = np.zeros(5_000), 60
    for _ in range(repeats):
        rows, shares = absent.draw(draw)
        assert len(rows) == MOST_ABSENT and shares.sum().item() == pytest.approx(1, abs=1e-5)
        assert rows[:ALWAYS_ABSENT].tolist() == list(range(ALWAYS_ABSENT))
        np.add.at(sums, rows.numpy(), shares.numpy())
    assert np.allclose(sums[:ALWAYS_ABSENT] / repeats, odds[:ALWAYS_ABSENT], rtol=1e-4)
    by_hundreds = (sums / repeats)[600:].reshape(-1, 100).sum(1)
    assert np.allclose(by_hundreds, odds[600:].reshape(-1, 100).sum(1), rtol=0.05)


def test_n_grams_move_by_the_gradient_of_all_texts_functions() -> None:
    draw = torch.Generator().manual_seed(0)
    outputs, emphasis = torch.randn(12, 5, generator=draw), torch.rand(12, generator=draw)
    rows, lengths = torch.tensor([0, 3, 7, 3, 7, 11, 2]), torch.tensor([3, 0, 4])
    landscape = Landscape(outputs[:4], torch.tensor([0.1, 0.2, 0.3, 0.4]), precondition(outputs[:4], torch.ones(4) / 4))
    starts = torch.randn(3, 5, generator=draw)
    groups = list(climb_in_groups(rows, lengths, outputs, emphasis, landscape, starts, steps=1))
    vectors = torch.zeros(3, 5)
    for group in groups:
        vectors[group.texts] = group.place.vectors

    own, absent = outputs.clone().requires_grad_(), outputs[:4].clone().requires_grad_()
    total = torch.zeros(())
    for text, held in enumerate(rows.split(lengths.tolist())):
        total = total + (emphasis[held] * functional.logsigmoid(own[held] @ vectors[text])).sum()
        missed = (landscape.shares * functional.logsigmoid(-absent @ vectors[text])).sum()
        total = total + NEGATIVES * emphasis[held].sum() * missed
    total.backward()
    assert own.grad is not None and absent.grad is not None
    moved, pulled = pull_present(groups, emphasis)
    assert moved.tolist() == [0, 2, 3, 7, 11]
    assert torch.allclose(pulled, own.grad[moved], atol=1e-5)
    assert torch.allclose(push_absent(groups, emphasis, landscape), absent.grad, atol=1e-5)
    assert all(isinstance(group, Group) for group in groups)


def test_the_cache_gives_what_was_learnt() -> None:
    progress: list[int] = []
    task = make_task(Watcher(on_progress=progress.append))
    first = pretrain(task)
    assert progress and all(values.dtype == np.float32 for values in first.values())
    progress.clear()
    assert_alike(pretrain(task), first)
    assert not progress
