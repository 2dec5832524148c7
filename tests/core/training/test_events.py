"""TensorBoard's event files say what the history says, also after a kill, and change nothing about the training."""

import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboardX.proto import event_pb2

from core.config import RunConfig
from core.errors import RunError
from core.runs import Run, create_run
from core.training.events import TAGS
from core.training.job import execute_run
from core.training.watcher import Watcher
from tests.core.training.kill_points import Life, Lives, Server, find_run, small_config, spread, write_table

Scalars = dict[tuple[str, int], float]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def lives(server: Server, tmp_path: Path) -> Callable[..., Lives]:
    """Return what makes the lives of a run that mirrors, which must end as one that does not."""

    def make(kind: str, *, often: bool) -> Lives:
        config = small_config(kind, write_table(tmp_path / "reviews.csv"))
        plain = Lives(server, tmp_path, Life("", config, often=often))
        plain.life = replace(plain.life, with_tensorboard=True)
        return plain

    return make


def read_events(path: Path) -> list[event_pb2.Event]:
    """Return the whole records of an event file; a torn last one ends it, as it does for TensorBoard."""
    data, events = path.read_bytes(), []
    while len(data) >= 12:
        (length,) = struct.unpack("<Q", data[:8])
        if len(data) < 16 + length:
            break
        events.append(event_pb2.Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def read_scalars(run: Run) -> Scalars:
    """Return what TensorBoard would show: a start in a later file withdraws what was said from its step on."""
    shown: Scalars = {}
    for path in sorted(run.tensorboard_folder.iterdir()):
        for event in read_events(path):
            if event.session_log.status == event_pb2.SessionLog.START:
                shown = {place: value for place, value in shown.items() if place[1] < event.step}
            for value in event.summary.value:
                place = (value.tag, event.step)
                assert shown.get(place, value.simple_value) == value.simple_value, "two values at one step"
                shown[place] = value.simple_value
    return shown


def expected_scalars(run: Run) -> Scalars:
    return {
        (TAGS[name], line["step"]): float(np.float32(value))
        for line in run.read_history()
        for name, value in line.items()
        if name in TAGS
    }


def mirrored_run(home: Path) -> Run:
    run = find_run(home)
    assert run is not None
    return run


@pytest.mark.parametrize("kind", ["ngram", "bilstm"])
def test_the_event_files_hold_the_history_and_the_weights_are_those_of_a_run_without(
    kind: str, lives: Callable[..., Lives]
) -> None:
    run = lives(kind, often=False)
    run.begin()
    assert run.end() == run.expected
    mirrored = mirrored_run(run.home)
    scalars = read_scalars(mirrored)
    assert scalars == expected_scalars(mirrored)
    assert {tag for tag, _ in scalars} == set(TAGS.values()) and len(scalars) == 12 * 4 + 3 * 2
    assert not mirrored_run(run.whole).tensorboard_folder.exists(), "none are written unasked"


@pytest.mark.parametrize("often", [True, False], ids=["often", "seldom"])
def test_after_a_kill_and_a_resume_they_still_hold_the_history(often: bool, lives: Callable[..., Lives]) -> None:
    run = lives("ngram", often=often)
    run.begin()
    points = run.live().points
    assert points > run.points, "the layer sees the event files"
    for at in spread(points, 8, 6):
        assert run.is_equal_after({"strike_at": at}), at
        mirrored = mirrored_run(run.home)
        assert read_scalars(mirrored) == expected_scalars(mirrored), at


def test_a_pause_loses_nothing_though_the_run_goes_on_within_the_same_second(lives: Callable[..., Lives]) -> None:
    run = lives("ngram", often=False)
    for step in (2, 3, 4, 7):
        run.live(pause_at=step)
    assert run.end() == run.expected
    mirrored = mirrored_run(run.home)
    assert read_scalars(mirrored) == expected_scalars(mirrored)
    assert len(list(mirrored.tensorboard_folder.iterdir())) == 5


def test_without_the_package_the_run_fails_in_a_sentence_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = RunConfig.model_validate(small_config("ngram", write_table(tmp_path / "reviews.csv")))
    run = create_run(config, "fast", with_tensorboard=True)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboardX"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(RunError, match="tensorboardX.*not installed.*pip install tensorboardX"):
        execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "failed" and "Unexpected" not in run.state.message
    assert run.read_history() == [], "it is said before anything is trained"
    monkeypatch.undo()
