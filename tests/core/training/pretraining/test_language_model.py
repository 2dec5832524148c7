"""A language model is learnt to the same bits however often it is killed, reads both ways, and hands over what it knows."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn import functional

from core.config import LATER, BiLSTMConfig, with_settings
from core.models.catalog import build_model, fit_encoder
from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.vocabulary import PAD
from core.training.checkpoint import Position, list_checkpoints
from core.training.pretraining import Learnt, Task, language_model, pretrain
from core.training.pretraining.language_model import (
    build_learner,
    count_stretches,
    cut_stretches,
    learn,
    rank_tokens,
    read_stretch,
    run_batch,
)
from core.training.watcher import StopAsked, Watcher
from tests.core.models.small import SMALL
from tests.texts import invent_reviews

REVIEWS = invent_reviews(200)
CPU = torch.device("cpu")
TEXTS = EncodedTexts(np.array([5, 6, 7, 8, 9, 3, 2, 4], np.int32), np.array([0, 5, 8]))


class Killed(Exception):
    """Stands for the process's sudden death."""


def make_task(watcher: Watcher | None = None, *settings: str) -> Task:
    config = with_settings(SMALL["bilstm_language_model"](), settings)
    return Task(config, fit_encoder(REVIEWS.texts, config), REVIEWS.texts, REVIEWS.labels, watcher or Watcher())


def dying_at(step: int) -> Watcher:
    steps = iter(range(1, 10**9))

    def count(done: int) -> None:
        if next(steps) == step:
            raise Killed

    return Watcher(on_progress=count)


def stopping_after(asked: int) -> Callable[[], bool]:
    looks = iter(range(1, 10**9))
    return lambda: next(looks) == asked


def are_equal(first: Learnt, second: Learnt) -> bool:
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


def test_the_same_seed_learns_the_same_and_another_seed_other_weights(tmp_path: Path) -> None:
    first, again, other = (
        learn(make_task(None, f"training.seed={seed}"), tmp_path / str(number)) for number, seed in enumerate((1, 1, 2))
    )
    assert are_equal(first, again) and not are_equal(first, other)
    assert all(value.dtype == np.float32 and np.isfinite(value).all() for value in first.values())
    assert first["vectors"].shape == (make_task().encoder.size, 12) and not first["vectors"][PAD].any()
    assert first["lstm.backwards.weight_hh_l0"].shape == (40, 10)


@pytest.mark.parametrize("step", [1, 2, 5, 8, 9])
@pytest.mark.parametrize("seconds", [0.0, 60.0], ids=["with pieces", "without"])
def test_one_that_is_killed_at_a_step_ends_alike(
    step: int, seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(language_model, "STRETCH", 30)  # batches of one, two and three updates
    monkeypatch.setattr(language_model, "CHECKPOINT_SECONDS", seconds)
    expected = learn(make_task(None, "model.language_passes=2"), tmp_path / "whole")
    with pytest.raises(Killed):
        learn(make_task(dying_at(step), "model.language_passes=2"), tmp_path / "cut")
    assert (len(list_checkpoints(tmp_path / "cut")) > 0) == (seconds == 0 and step > 3)
    resumed: list[int] = []
    watcher = Watcher(on_resume=resumed.append)
    assert are_equal(learn(make_task(watcher, "model.language_passes=2"), tmp_path / "cut"), expected)
    assert resumed[0] < step and (resumed[0] > 0) == (seconds == 0 and step > 3)


@pytest.mark.parametrize("asked", [1, 4])
def test_a_stopped_one_goes_on_from_where_it_was(asked: int, tmp_path: Path) -> None:
    settings = "model.language_passes=3"
    expected = learn(make_task(None, settings), tmp_path / "whole")
    with pytest.raises(StopAsked):
        learn(make_task(Watcher(should_stop=stopping_after(asked)), settings), tmp_path / "cut")
    resumed: list[int] = []
    assert are_equal(learn(make_task(Watcher(on_resume=resumed.append), settings), tmp_path / "cut"), expected)
    assert resumed[0] >= asked


def test_a_damaged_piece_gives_way_to_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "CHECKPOINT_SECONDS", 0.0)
    settings = "model.language_passes=2"
    expected = learn(make_task(None, settings), tmp_path / "whole")
    with pytest.raises(Killed):
        learn(make_task(dying_at(7), settings), tmp_path / "cut")
    newest, _ = list_checkpoints(tmp_path / "cut")
    newest.write_bytes(newest.read_bytes()[:-9])
    assert are_equal(learn(make_task(None, settings), tmp_path / "cut"), expected)


def test_it_learns_to_guess_the_next_word(tmp_path: Path) -> None:
    lines: list[str] = []
    task = make_task(Watcher(on_line=lines.append), "model.language_passes=100", "model.language_steps=400")
    learn(task, tmp_path)
    perplexities = [float(line.rpartition(" ")[2]) for line in lines]
    assert len(lines) == 2 and "step 400 of 400" in lines[1]
    # Seven things and six words of a kind come after words that announce them; all else is certain.
    assert perplexities[1] < perplexities[0] < task.encoder.size and perplexities[1] < 4


def test_a_budget_ends_it_in_the_middle_of_a_batch_and_all_progress_that_was_promised_is_made(tmp_path: Path) -> None:
    for settings, steps in ((["model.language_steps=3"], 3), (["model.language_passes=2"], None)):
        promised: list[int] = []
        made: list[int] = []
        watcher = Watcher(on_phase=lambda _, total, to=promised: to.append(total), on_progress=made.append)
        learn(make_task(watcher, *settings), tmp_path / str(steps))
        assert sum(made) == promised[-1] == (steps or 2 * count_stretches(TEXTS.lengths, 0, 1) * 4)


def test_stretches_hold_every_token_with_the_next_one_in_both_directions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "STRETCH", 3)
    same = torch.arange(10)
    first, second = cut_stretches(TEXTS, same, CPU)
    assert first.inputs.tolist() == [[[5, 6], [3, 2]], [[9, 8], [4, 2]]]
    assert first.targets.tolist() == [[[6, 7], [2, 4]], [[8, 7], [2, 3]]]
    assert first.is_real.tolist() == [[True, True], [True, True]]
    assert second.inputs[:, 0].tolist() == [[7, 8], [7, 6]] and second.targets[:, 0].tolist() == [[8, 9], [6, 5]]
    assert second.is_real.tolist() == [[True, True], [False, False]]


@torch.no_grad()
def test_guesses_are_those_of_two_lstms_over_whole_texts_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    task = make_task()
    learner = build_learner(task.config, TEXTS, task.encoder.size, 10)
    model, ranks = learner.model, learner.ranks
    losses = []
    for text in ([5, 6, 7, 8, 9], [3, 2, 4]):
        for lstm, tokens in ((model.lstm.forwards, text), (model.lstm.backwards, text[::-1])):
            states, _ = lstm(model.embedding(torch.tensor([tokens[:-1]])))
            every = model.guess.log_prob(states[0])
            losses.append(functional.nll_loss(every, ranks[torch.tensor(tokens[1:])], reduction="sum"))
    expected = sum(losses) / 12
    for width in (100, 2, 1):
        monkeypatch.setattr(language_model, "STRETCH", width)
        learner.states = [None, None]
        stretches = list(cut_stretches(TEXTS, ranks, CPU))
        assert len(stretches) == math.ceil(4 / width)
        found = sum(read_stretch(learner, each) * 2 * each.is_real.sum() for each in stretches) / 12
        assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_tokens_are_ranked_by_how_often_they_stand() -> None:
    texts = EncodedTexts(np.array([3, 3, 1, 3, 1, 4], np.int32), np.array([0, 6]))
    assert rank_tokens(texts, 5).tolist() == [3, 1, 4, 0, 2]


@pytest.mark.parametrize("texts", [[], ["", "superb", "!"]], ids=["no text", "one word at most"])
def test_texts_without_a_next_word_leave_the_start_at_random(texts: list[str], tmp_path: Path) -> None:
    learnt = learn(replace(make_task(), texts=pa.array(texts, pa.large_string())), tmp_path)
    assert all(np.isfinite(value).all() for value in learnt.values()) and learnt["vectors"][2:].any(axis=1).all()


def test_a_loss_that_is_no_number_is_said(tmp_path: Path) -> None:
    task = make_task()
    texts = task.encoder.encode(REVIEWS.texts)
    learner = build_learner(task.config, texts, task.encoder.size, 10)
    torch.nn.init.constant_(learner.model.embedding.weight, math.nan)
    with pytest.raises(language_model.DivergedError, match=r"language model diverged at step 1.*word2vec"):
        run_batch(learner, Position(), texts, task)


def test_a_model_begins_with_the_vectors_and_the_first_layer_and_the_second_as_it_was() -> None:
    task = make_task()
    learnt = pretrain(task)
    torch.manual_seed(0)
    model = build_model(task.config, task.encoder)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.start_from(learnt)
    after = model.state_dict()
    assert np.array_equal(after["embedding.weight"].numpy(), learnt["vectors"])
    for name, value in learnt.items():
        if name != "vectors":
            assert np.array_equal(after[name.replace("lstm.", "lstm.0.")].numpy(), value)
    untouched = [name for name in after if not name.startswith(("embedding", "lstm.0"))]
    assert untouched and all(torch.equal(before[name], after[name]) for name in untouched)


def test_how_long_it_is_learnt_is_no_part_of_what_a_model_is() -> None:
    config = BiLSTMConfig(start="language_model", language_passes=3, language_steps=50)
    assert config.architecture == BiLSTMConfig()
    assert all(
        BiLSTMConfig.model_fields[name].json_schema_extra == LATER for name in ("language_passes", "language_steps")
    )
