import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.config import RunConfig, with_settings
from core.models.catalog import fit_encoder
from core.preprocessing.encoded import EncodedTexts
from core.preprocessing.vocabulary import PAD
from core.training.pretraining import Task, pretrain
from core.training.pretraining.word2vec import PASSES, cut_batches, learn
from core.training.watcher import StopAsked, Watcher
from tests.core.models.small import SMALL
from tests.texts import invent_reviews

REVIEWS = invent_reviews(200)


def make_task(watcher: Watcher | None = None, seed: int = 0, max_length: int | None = 5) -> Task:
    config = with_settings(SMALL["bilstm_word2vec"](), [f"training.seed={seed}"])
    config = config.model_copy(
        update={"preprocessing": config.preprocessing.model_copy(update={"max_length": max_length})}
    )
    return Task(config, fit_encoder(REVIEWS.texts, config), REVIEWS.texts, REVIEWS.labels, watcher or Watcher())


def stopping_after(asked: int) -> Callable[[], bool]:
    """Ask to stop at the given look."""
    looks = iter(range(1, 10**9))
    return lambda: next(looks) == asked


def test_the_same_seed_gives_the_same_vectors_and_another_seed_others(tmp_path: Path) -> None:
    first, again, other = (
        learn(make_task(seed=seed), tmp_path / str(n))["vectors"] for n, seed in enumerate((1, 1, 2))
    )
    assert np.array_equal(first, again) and not np.allclose(first, other)
    assert first.dtype == np.float32 and first.shape == (make_task().encoder.size, 12) and np.isfinite(first).all()
    assert not first[PAD].any() and first[2:].any(axis=1).all()


def test_what_is_learnt_stands_closer_than_chance(tmp_path: Path) -> None:
    task = make_task()
    vectors = learn(task, tmp_path)["vectors"]
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    ids = [task.encoder.vocabulary[word] for word in ("superb", "tender", "funny", "dull", "tedious", "awful")]
    likeness = unit[ids] @ unit[ids].T
    among = np.mean([likeness[:3, :3][np.triu_indices(3, 1)], likeness[3:, 3:][np.triu_indices(3, 1)]])
    assert among > likeness[:3, 3:].mean(), "words that stand in one kind of review are more alike than others"


@pytest.mark.parametrize("passes", [0, 1, PASSES - 1])
def test_a_stopped_one_goes_on_to_the_same_vectors_without_reading_again_what_was_read(
    passes: int, tmp_path: Path
) -> None:
    expected = learn(make_task(), tmp_path / "whole")["vectors"]
    with pytest.raises(StopAsked):
        learn(make_task(Watcher(should_stop=stopping_after(passes + 1))), tmp_path / "cut")
    resumed: list[int] = []
    found = learn(make_task(Watcher(on_resume=resumed.append)), tmp_path / "cut")["vectors"]
    assert np.array_equal(found, expected)
    assert resumed == [passes * len(REVIEWS)]


def test_a_damaged_piece_is_not_gone_on_from(tmp_path: Path) -> None:
    expected = learn(make_task(), tmp_path / "whole")["vectors"]
    with pytest.raises(StopAsked):
        learn(make_task(Watcher(should_stop=stopping_after(3))), tmp_path / "cut")
    piece = tmp_path / "cut" / "piece.safetensors"
    piece.write_bytes(piece.read_bytes()[:-9])
    assert np.array_equal(learn(make_task(), tmp_path / "cut")["vectors"], expected)


def test_the_ends_of_texts_that_the_model_does_not_read_are_read(tmp_path: Path) -> None:
    short, long = make_task(max_length=1), make_task(max_length=None)
    assert short.encoder.arrays().keys() == long.encoder.arrays().keys()
    assert np.array_equal(learn(short, tmp_path / "1")["vectors"], learn(long, tmp_path / "2")["vectors"])


def test_all_progress_that_was_promised_is_made(tmp_path: Path) -> None:
    promised: list[int] = []
    made: list[int] = []
    learn(make_task(Watcher(on_phase=lambda _, total: promised.append(total), on_progress=made.append)), tmp_path)
    assert sum(made) == promised[-1] == PASSES * len(REVIEWS)


def test_texts_without_a_known_word_are_no_fault(tmp_path: Path) -> None:
    task = replace(make_task(), texts=pa.array(["", "zzz", "!"], pa.large_string()))
    vectors = learn(task, tmp_path)["vectors"]
    assert np.isfinite(vectors).all() and vectors[2:].any(axis=1).all()


def test_texts_without_any_word_give_random_vectors(tmp_path: Path) -> None:
    task = replace(make_task(), texts=pa.array(["", "!"], pa.large_string()))
    vectors = learn(task, tmp_path)["vectors"]
    assert np.isfinite(vectors).all() and vectors[2:].any(axis=1).all() and not vectors[PAD].any()


def test_batches_hold_every_token_in_order_and_never_too_many() -> None:
    lengths = [3, 0, 25, 10, 1, 9, 10]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    texts = EncodedTexts(np.arange(1, offsets[-1] + 1, dtype=np.int32), offsets)
    batches = list(cut_batches(texts, 10))
    assert [token for batch in batches for part in batch for token in part] == texts.token_ids.tolist()
    assert all(0 < sum(map(len, batch)) <= 10 for batch in batches)
    assert [1, 2, 3] in batches[0], "a text that fits is not cut"


def test_neither_threads_nor_the_order_of_hashes_change_the_vectors(tmp_path: Path) -> None:
    code = (
        "import hashlib; from pathlib import Path; from tests.core.training.pretraining.test_word2vec import *\n"
        f"print(hashlib.sha256(learn(make_task(), Path({str(tmp_path)!r}) / str(hash('a')))['vectors'].tobytes()).hexdigest())"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[4],
            env=os.environ | {"PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads},
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    }  # fmt: skip
    assert len(printed) == 1


def test_what_was_learnt_is_kept_and_torch_s_random_numbers_are_left_alone() -> None:
    import torch

    progress: list[int] = []
    task = make_task(Watcher(on_progress=progress.append))
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = pretrain(task)
    assert torch.equal(torch.rand(1), expected) and progress
    progress.clear()
    assert np.array_equal(pretrain(task)["vectors"], first["vectors"]) and not progress


def test_other_texts_or_settings_are_learnt_anew() -> None:
    first = pretrain(make_task())["vectors"]
    assert not np.array_equal(pretrain(make_task(seed=1))["vectors"], first)
    fewer = replace(make_task(), texts=REVIEWS.texts.slice(0, 150))
    assert not np.array_equal(pretrain(fewer)["vectors"], first)


def test_a_model_begins_with_what_was_learnt() -> None:
    from core.models.catalog import build_model

    task = make_task()
    model = build_model(task.config, task.encoder)
    learnt = pretrain(task)
    model.start_from(learnt)
    assert np.array_equal(model.state_dict()["embedding.weight"].numpy(), learnt["vectors"])


def test_settings_that_name_no_start_have_no_pretraining() -> None:
    assert RunConfig().model.pretraining is None
    assert SMALL["bilstm_word2vec"]().model.pretraining == "word2vec"
