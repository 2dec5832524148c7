"""No damaged checkpoint or model is taken for a sound one; what goes on without it is said, and ends the same."""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core.config import RunConfig
from core.errors import CheckpointError, ModelFileError, ReviewscopeError, RunError
from core.models.model_file import load_model_file
from core.runs import Run, create_run, list_damaged_runs, list_runs
from core.training import keeper
from core.training.checkpoint import list_checkpoints, load_checkpoint
from core.training.job import execute_run
from core.training.plan import Stage
from core.training.trainer import Learner, build_learner
from core.training.verdicts import load_verdicts
from core.training.watcher import Watcher
from tests.core.training.kill_points import MODELS, small_config, without_times, write_table

FLIPS, TRUNCATIONS = 300, 50
every_model = pytest.mark.parametrize("kind", MODELS)
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "in the length": lambda data: flipped(data, 3),
    "in the header": lambda data: flipped(data, 900),
    "in a tensor": lambda data: flipped(data, 8 * len(data) - 77),
    "cut": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    "empty": lambda data: b"",
}


@pytest.fixture(autouse=True)
def frequent_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a checkpoint follow every step, and lose no time to the disk."""
    monkeypatch.setattr(keeper, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def config(tmp_path: Path, kind: str) -> RunConfig:
    return RunConfig.model_validate(small_config(kind, write_table(tmp_path / "reviews.csv")))


def execute(run: Run, stop_at: int | None = None) -> list[str]:
    """Go on with a run until it ends, or until a step; return what the user was told."""
    notices: list[str] = []
    phase, done = "", 0

    def begin(name: str, total: int) -> None:
        nonlocal phase, done
        phase, done = name, 0

    def count(steps: int) -> None:
        nonlocal done
        done += steps

    should_stop = lambda: (phase, done) == ("Training", stop_at)  # noqa: E731
    watcher = Watcher(begin, notices.append, count, should_stop, on_resume=count)
    execute_run(run, watcher, time.monotonic())
    return notices


def started(config: RunConfig, stop_at: int | None = None) -> Run:
    run = create_run(config, "fast", config.model.kind)
    execute(run, stop_at)
    return run


def ending(run: Run) -> tuple[bytes, bytes, list[dict[str, object]]]:
    history = [without_times(line) for line in run.read_history()]
    return run.model_file.read_bytes(), run.verdicts_file.read_bytes(), history


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def damages(data: bytes, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield bits flipped, as many in length, header and metadata as in tensors, and the file cut at many places."""
    draw = random.Random(seed)
    header = 8 + int.from_bytes(data[:8], "little")
    bits = [draw.randrange(8 * header) for _ in range(FLIPS // 2 - 16)] + list(range(0, 64, 4))
    bits += [draw.randrange(8 * header, 8 * len(data)) for _ in range(FLIPS // 2)]
    assert len(bits) == FLIPS
    for bit in bits:
        yield f"bit {bit}", flipped(data, bit)
    for length in (0, len(data) - 1, *(draw.randrange(1, len(data) - 1) for _ in range(TRUNCATIONS - 2))):
        yield f"cut to {length}", data[:length]


def fresh_learner(config: RunConfig, run: Run) -> Learner:
    return build_learner(config, load_model_file(run.model_file).encoder, [Stage(0, 10, 1)])


@every_model
def test_no_damaged_checkpoint_is_loaded(config: RunConfig, tmp_path: Path) -> None:
    run = started(config, stop_at=6)
    newest = list_checkpoints(run.checkpoint_folder)[0]
    settings = json.loads(json.loads(header_of(newest.read_bytes()))["document"])["settings"]
    learner = fresh_learner(config, run)
    before = [weight.detach().clone() for weight in learner.model.parameters()]
    copy, loaded = tmp_path / newest.name, []
    for what, damaged in damages(newest.read_bytes(), seed=1):
        copy.write_bytes(damaged)
        try:
            load_checkpoint(copy, learner.model, learner.optimizer, settings)
            loaded.append(what)
        except CheckpointError as error:
            assert newest.name in str(error)
    assert loaded == []
    assert all(map(torch.equal, before, learner.model.parameters())), "a refused checkpoint leaves nothing behind"
    copy.write_bytes(newest.read_bytes())
    assert load_checkpoint(copy, learner.model, learner.optimizer, settings).step == 6


def header_of(data: bytes) -> str:
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    content: str = header["__metadata__"]["reviewscope"]
    return content


@every_model
def test_no_damaged_model_is_loaded(config: RunConfig, tmp_path: Path) -> None:
    run = started(config)
    copy, loaded = tmp_path / "copy.safetensors", []
    for what, damaged in damages(run.model_file.read_bytes(), seed=2):
        copy.write_bytes(damaged)
        try:
            load_model_file(copy)
            loaded.append(what)
        except ModelFileError as error:
            assert copy.name in str(error)
    assert loaded == []
    copy.write_bytes(run.model_file.read_bytes())
    assert run.result is not None and load_model_file(copy).sha256 == run.result.model_sha256


@pytest.mark.parametrize(("kind", "damage"), [*(("ngram", name) for name in DAMAGES), ("bilstm", "in a tensor")])
def test_the_checkpoint_before_a_damaged_one_is_taken_and_said(config: RunConfig, damage: str) -> None:
    expected, run = started(config), started(config, stop_at=6)
    newest, before = list_checkpoints(run.checkpoint_folder)
    newest.write_bytes(DAMAGES[damage](newest.read_bytes()))
    (notice,) = execute(run)
    assert newest.name in notice and before.name in notice and "not usable" in notice
    assert ending(run) == ending(expected)


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_run_whose_checkpoints_are_all_damaged_fails_in_a_sentence_that_names_them(config: RunConfig) -> None:
    run = started(config, stop_at=6)
    paths = list_checkpoints(run.checkpoint_folder)
    for path in paths:
        path.write_bytes(flipped(path.read_bytes(), 900))
    damaged = [path.read_bytes() for path in paths]
    with pytest.raises(CheckpointError) as caught:
        execute(run)
    assert all(path.name in str(caught.value) for path in paths)
    assert run.state.status == "failed" and run.state.message == str(caught.value)
    assert [path.read_bytes() for path in paths] == damaged, "somebody may still want to look at them"


@pytest.mark.parametrize("stop_at", [6, None], ids=["in epoch 2", "finished"])
@pytest.mark.parametrize(
    ("kind", "damage"),
    [("ngram", "in the header"), ("ngram", "in a tensor"), ("ngram", "cut"), ("bilstm", "in a tensor")],
)
def test_a_run_whose_model_is_damaged_begins_anew_and_says_so(
    config: RunConfig, damage: str, stop_at: int | None
) -> None:
    expected, run = started(config), started(config, stop_at)
    run.model_file.write_bytes(DAMAGES[damage](run.model_file.read_bytes()))
    (notice,) = execute(run)
    assert "model" in notice and "damaged" in notice and "begins anew" in notice
    assert run.state.status == "finished" and ending(run) == ending(expected)


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_run_that_begins_anew_compares_its_first_validation_with_none(config: RunConfig) -> None:
    run = started(config)
    run.model_file.write_bytes(b"")
    execute(run, stop_at=5)
    verdicts = load_verdicts(run)
    assert verdicts is not None and verdicts.epoch == 1
    assert verdicts.before is None, "what a later epoch had said is not the validation before"


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_start_anew_that_was_killed_after_the_first_checkpoint_was_removed_ends_the_same(config: RunConfig) -> None:
    expected, run = started(config), started(config, stop_at=6)
    run.model_file.write_bytes(b"")
    list_checkpoints(run.checkpoint_folder)[0].unlink()
    execute(run)
    assert ending(run) == ending(expected)


@pytest.mark.parametrize("kind", ["ngram"])
def test_damaged_verdicts_cost_the_run_nothing_but_the_comparison(config: RunConfig) -> None:
    expected, run = started(config), started(config, stop_at=6)
    run.verdicts_file.write_bytes(b"{")
    assert execute(run) == []
    assert (ending(run)[0], ending(run)[2]) == (ending(expected)[0], ending(expected)[2])
    verdicts, sound = load_verdicts(run), load_verdicts(expected)
    assert verdicts is not None and sound is not None and np.array_equal(verdicts.now, sound.now)


@pytest.mark.parametrize("kind", ["ngram"])
@pytest.mark.parametrize(
    "torn", [b'{"step": 7, "ep', b"\0" * 40, b"\xff\xfe{"], ids=["half a line", "zeros", "no text"]
)
def test_a_torn_last_line_of_the_history_is_passed_over_and_written_anew(config: RunConfig, torn: bytes) -> None:
    expected, run = started(config), started(config, stop_at=6)
    before = run.read_history()
    with run.metrics_file.open("ab") as file:
        file.write(torn)
    assert run.read_history() == before
    execute(run)
    assert ending(run) == ending(expected)


@pytest.mark.parametrize("kind", ["ngram"])
def test_a_history_shorter_than_its_checkpoint_says_is_a_sentence(config: RunConfig) -> None:
    run = started(config, stop_at=6)
    os.truncate(run.metrics_file, run.metrics_file.stat().st_size - 1)
    with pytest.raises(RunError, match="shorter than its checkpoint says"):
        execute(run)
    assert run.state.status == "failed" and "shorter" in run.state.message


@pytest.mark.parametrize("kind", ["ngram"])
@pytest.mark.parametrize("name", ["state.json", "about.json", "config.json", "origin.json", "result.json"])
def test_a_flipped_bit_in_a_run_s_documents_is_a_sentence_or_another_readable_document(
    config: RunConfig, name: str
) -> None:
    run = started(config)
    path, sentences = run.path / name, 0
    data = path.read_bytes()
    bits = range(8 * len(data)) if name == "state.json" else random.Random(3).sample(range(8 * len(data)), 150)
    for bit in bits:
        replace_content(path, flipped(data, bit))
        try:
            _ = run.state, run.about, run.settings, run.origin, run.result
            assert run in list_runs()
        except ReviewscopeError as error:
            sentences += 1
            assert name in str(error) or "another version" in str(error)
            assert list_runs() == [] and list_damaged_runs() == [run.run_id]
    assert sentences > len(bits) / 3, "most bits are those of names, quotes and braces"
    replace_content(path, data)
    assert list_runs() == [run] and list_damaged_runs() == []


@pytest.mark.parametrize("kind", ["ngram"])
@pytest.mark.parametrize("content", [b"", b'{"status": "running"', b'{"status": "done"}', b"[]", b"\x80", b'"' * 9000])
def test_a_damaged_state_is_a_sentence_when_the_run_is_asked_to_go_on(config: RunConfig, content: bytes) -> None:
    run = started(config, stop_at=6)
    replace_content(run.path / "state.json", content)
    with pytest.raises(ReviewscopeError, match=r"state\.json is (damaged|not valid JSON)"):
        execute(run)


def replace_content(path: Path, content: bytes) -> None:
    """Replace a file as the workspace does, so that no reader takes it for the one that it knows."""
    beside = path.with_name("beside")
    beside.write_bytes(content)
    beside.replace(path)
