"""A run is a folder: its name is safe, its state is the truth, and its history survives a torn line."""

import json
import re
import time
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from core import job_folder, settings
from core.config import PRESETS, RunConfig, with_settings
from core.errors import ModelFileError, ReviewscopeError, RunError
from core.files import is_locked
from core.runs import (
    RunOrigin,
    RunResult,
    create_run,
    find_model,
    find_run,
    imported_model_file,
    list_runs,
)

CONFIG = PRESETS["fast"].config
RESULT = RunResult(
    parameters=10, train_accuracy=0.9, train_loss=0.3, valid_accuracy=0.8, valid_loss=0.4, best_epoch=2, epochs=3,
    train_seconds=1.5, total_seconds=2.5, peak_memory_mb=100.0, model_sha256="ab" * 32,
)  # fmt: skip
ODD_NAMES = [
    "../../etc/passwd", "/etc/passwd", "a/b\\c", "..", ".", ".hidden", "-rf", "--help", "~", "$HOME", "a;rm -rf *",
    "name\nwith\tbreaks", "nul\0byte", "   ", "日本語", "🎬🎬", "\u202egnp.exe", "CON", "x" * 300, "%2e%2e%2f",
    "<script>", "größer", "İstanbul", "name.safetensors",
]  # fmt: skip


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every run be made a second after the one before."""
    seconds = count(1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: float(next(seconds)))


def test_ids_are_numbered_by_preset_and_unique() -> None:
    ids = [create_run(CONFIG, preset).run_id for preset in ("fast", "fast", "classic", "fast")]
    assert ids == ["fast-1", "fast-2", "classic-1", "fast-3"]


def test_a_name_is_the_id_and_gets_a_number_only_when_it_is_taken() -> None:
    ids = [create_run(CONFIG, "fast", name).run_id for name in ("My run", "my run!", "MY-RUN")]
    assert ids == ["my-run", "my-run-1", "my-run-2"]


def test_a_notice_that_is_given_again_after_a_resume_is_kept_once() -> None:
    run = create_run(CONFIG, "fast")
    for sentence in ("One.", "Two.", "One."):
        run.add_notice(sentence)
    assert run.notices == ["One.", "Two."]


def test_runs_made_at_once_get_an_id_each() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: create_run(CONFIG, "fast").run_id, range(24)))
    assert sorted(made) == sorted(f"fast-{number}" for number in range(1, 25))
    assert {run.run_id for run in list_runs()} == set(made)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_name_with_odd_characters_gives_a_safe_folder_and_keeps_what_can_be_seen(workspace: Path, name: str) -> None:
    run = create_run(CONFIG, "fast", name)
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,45}", run.run_id)
    assert run.path.parent == workspace / "runs" and run.path.is_dir()
    assert run.about.name == "".join(letter for letter in name if unicodedata.category(letter)[0] != "C")
    assert find_run(run.run_id) == run
    assert [path.name for path in workspace.iterdir()] == ["runs"]


def test_two_long_names_with_the_same_beginning_get_two_folders() -> None:
    first, second = (create_run(CONFIG, "fast", "x" * 60 + end).run_id for end in "ab")
    assert first != second


@pytest.mark.parametrize("name", ["latest", "starter", "Latest", "STARTER!", " latest "])
def test_the_words_that_mean_something_else_are_never_ids(name: str) -> None:
    ids = [create_run(CONFIG, "fast", name).run_id for _ in range(2)]
    word = re.sub("[^a-z]", "", name.lower())
    assert ids == [f"{word}-1", f"{word}-2"]


def test_a_new_run_keeps_what_it_was_started_with(clock: None) -> None:
    config = with_settings(CONFIG, ["training.epochs=7", "data.source=demo"])
    run = create_run(config, "fast", "a name", with_test=True)
    assert run.settings.config == config and run.settings.with_test
    assert (run.about.name, run.about.preset, run.about.created) == ("a name", "fast", 1e9)
    assert (run.state.status, run.state.message, run.result) == ("queued", "", None)
    assert run.origin is None
    assert not create_run(config, "fast").settings.with_test


def test_a_run_s_name_is_its_id_when_none_is_given() -> None:
    assert create_run(CONFIG, "compact").about.name == "compact-1"


@pytest.mark.parametrize("config", [RunConfig(), *(preset.config for preset in PRESETS.values())])
def test_every_kind_of_settings_comes_back(config: RunConfig) -> None:
    assert create_run(config, "x").settings.config == config


def test_settings_of_another_version_are_refused() -> None:
    run = create_run(CONFIG, "fast")
    document = json.loads((run.path / "config.json").read_bytes())
    (run.path / "config.json").write_text(json.dumps({**document, "format_version": 99}))
    with pytest.raises(RunError, match="fast-1 was made by another version of Reviewscope"):
        _ = run.settings


def test_an_origin_comes_back() -> None:
    origin = RunOrigin(
        data_fingerprint="f" * 64,
        libraries={"torch": "2.13"},
        device="cpu",
        threads=2,
        n_train=90,
        n_valid=10,
        n_test=50,
    )
    run = create_run(CONFIG, "fast")
    run.save_origin(origin)
    assert run.origin == origin


@pytest.mark.usefixtures("clock")
def test_the_newest_run_stands_first_and_is_the_latest() -> None:
    made = [create_run(CONFIG, "fast", name).run_id for name in ("zebra", "ape", "mole")]
    assert [run.run_id for run in list_runs()] == made[::-1]
    assert find_run("latest").run_id == "mole"


def test_a_folder_without_the_files_of_a_run_is_not_one(workspace: Path) -> None:
    assert list_runs() == []
    create_run(CONFIG, "fast")
    (workspace / "runs" / "half-made").mkdir()
    (workspace / "runs" / "a file").touch()
    assert [run.run_id for run in list_runs()] == ["fast-1"]
    assert create_run(CONFIG, "fast", "half made").run_id == "half-made-1"


@pytest.mark.usefixtures("clock")
def test_an_unknown_run_lists_those_that_exist(workspace: Path) -> None:
    for reference in ("fast-9", "latest"):
        with pytest.raises(RunError, match=rf"There is no run '{reference}' in {workspace}\. Runs: none yet\."):
            find_run(reference)
    for _ in range(12):
        create_run(CONFIG, "fast")
    newest = ", ".join(f"fast-{number}" for number in range(12, 2, -1))
    with pytest.raises(RunError, match=rf"no run 'fast' .*Runs: {newest}\."):
        find_run("fast")


@pytest.mark.parametrize("reference", ["", ".", "..", "../runs/fast-1", "fast-1/", "FAST-1", "*", "x" * 10_000])
def test_nothing_but_an_id_names_a_run(reference: str) -> None:
    create_run(CONFIG, "fast")
    with pytest.raises(RunError, match="There is no run") as caught:
        find_run(reference)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("status", ["queued", "finished", "stopped", "failed"])
def test_a_saved_state_comes_back_whether_or_not_the_lock_is_held(status: Any) -> None:
    run = create_run(CONFIG, "fast")
    run.save_state(status, "why")
    assert (run.state.status, run.state.message) == (status, "why")
    with run.locked():
        assert run.state.status == status


def test_a_running_run_is_running_while_its_lock_is_held_and_interrupted_after() -> None:
    run = create_run(CONFIG, "fast")
    run.save_state("running")
    assert run.state.status == "interrupted", "its lock was never taken"
    with run.locked():
        run.save_state("running")
        assert run.state.status == "running"
        with pytest.raises(ReviewscopeError, match="fast-1 is being worked on by another process"), run.locked():
            pytest.fail("two processes trained one run")
    assert run.state.status == "interrupted"
    assert run.state.message
    assert not is_locked(run.path / "lock")


def test_a_run_that_ends_while_its_state_is_read_is_not_called_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(CONFIG, "fast")
    run.save_state("running")

    def end_just_now(_: Path) -> bool:
        run.save_result(RESULT)
        run.save_state("finished")
        return False

    monkeypatch.setattr(job_folder, "is_locked", end_just_now)
    assert run.state.status == "finished"
    assert run.result == RESULT


def test_a_history_is_readable_at_once_and_goes_on_where_it_ended() -> None:
    run = create_run(CONFIG, "fast")
    assert run.read_history() == []
    with run.open_history(0) as history:
        history.append({"step": 1, "loss": 0.5})
        assert run.read_history() == [{"step": 1, "loss": 0.5}]
        history.append({"step": 2, "loss": 1e-300})
        length = history.sync()
    assert length == run.metrics_file.stat().st_size
    with run.open_history(length) as history:
        history.append({"step": 3, "loss": 0.25})
    assert [line["step"] for line in run.read_history()] == [1, 2, 3]
    assert run.read_history()[1]["loss"] == 1e-300


@pytest.mark.parametrize("torn", [b"{", b'{"step": 3, "lo', b'{"step": 3}', b"\xff\xfe", b"\0\0\0"])
def test_a_torn_last_line_is_left_out(torn: bytes) -> None:
    run = create_run(CONFIG, "fast")
    run.metrics_file.write_bytes(b'{"step": 1}\n{"step": 2}\n' + torn)
    assert run.read_history() == [{"step": 1}, {"step": 2}]
    run.metrics_file.write_bytes(torn)
    assert run.read_history() == []


def test_a_history_is_cut_to_the_given_length_before_it_goes_on() -> None:
    run = create_run(CONFIG, "fast")
    with run.open_history(0) as history:
        history.append({"step": 1})
        length = history.sync()
        history.append({"step": 2})
        history.append({"step": 3})
    with run.metrics_file.open("ab") as file:
        file.write(b'{"step": 4, "to')
    with run.open_history(length) as history:
        assert run.metrics_file.stat().st_size == length
        history.append({"step": 2, "again": 1})
    assert run.read_history() == [{"step": 1}, {"step": 2, "again": 1}]
    with run.open_history(0):
        assert run.metrics_file.read_bytes() == b""


def test_a_history_that_is_shorter_than_vouched_for_is_not_filled_with_zeros() -> None:
    run = create_run(CONFIG, "fast")
    run.metrics_file.write_bytes(b'{"step": 1}\n')
    try:
        with run.open_history(1_000) as history:
            history.append({"step": 2})
    except ReviewscopeError:
        pass
    assert b"\0" not in run.metrics_file.read_bytes()


@pytest.mark.parametrize("name", ["about.json", "state.json", "config.json", "origin.json"])
@pytest.mark.parametrize("content", ['{"odd": 1}', "[]", "null", "{"])
def test_a_damaged_file_of_a_run_gives_a_sentence(name: str, content: str) -> None:
    run = create_run(CONFIG, "fast")
    (run.path / name).write_text(content)
    read: dict[str, Callable[[], object]] = {
        "about.json": lambda: run.about,
        "state.json": lambda: run.state,
        "config.json": lambda: run.settings,
        "origin.json": lambda: run.origin,
    }
    with pytest.raises(ReviewscopeError):
        read[name]()


def test_a_damaged_line_inside_a_history_gives_a_sentence() -> None:
    run = create_run(CONFIG, "fast")
    run.metrics_file.write_bytes(b'{"step": 1}\n{"step": \x00}\n{"step": 3}\n')
    with pytest.raises(ReviewscopeError):
        run.read_history()


def test_one_run_with_a_damaged_file_does_not_hide_the_others() -> None:
    sound, damaged = create_run(CONFIG, "fast"), create_run(CONFIG, "fast")
    (damaged.path / "about.json").write_text("{")
    assert find_run(sound.run_id) == sound
    assert sound in list_runs()


@pytest.mark.parametrize("place", [".", "runs"])
def test_a_workspace_that_cannot_be_made_gives_a_sentence(workspace: Path, place: str) -> None:
    blocked = workspace / place
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.touch()
    with pytest.raises(ReviewscopeError):
        create_run(CONFIG, "fast")


@pytest.mark.usefixtures("clock")
def test_a_model_is_found_by_run_id_and_as_the_latest() -> None:
    first, second = create_run(CONFIG, "fast"), create_run(CONFIG, "fast")
    for run in (first, second):
        run.model_file.touch()
    assert find_model("fast-1") == first.model_file
    assert find_model("latest") == second.model_file


def test_a_run_without_a_model_says_so_and_in_which_state_it_is() -> None:
    run = create_run(CONFIG, "fast")
    run.save_state("failed", "The training diverged.")
    for reference in ("fast-1", "latest"):
        with pytest.raises(RunError, match=r"Run fast-1 \(failed\) has no model yet\. Let it finish an epoch first\."):
            find_model(reference)


@pytest.mark.parametrize("reference", ["/tmp/a.safetensors", "folder/model", "./fast-1", "model.safetensors", "a.pth"])
def test_what_looks_like_a_file_is_taken_as_its_path(reference: str) -> None:
    create_run(CONFIG, "fast").model_file.touch()
    assert find_model(reference) == Path(reference)


def test_an_unknown_reference_lists_the_runs() -> None:
    create_run(CONFIG, "fast")
    with pytest.raises(RunError, match=r"There is no run 'deadbeef' in .*Runs: fast-1\."):
        find_model("deadbeef")


def test_a_model_that_was_imported_is_found_by_the_beginning_of_its_id() -> None:
    path = imported_model_file("0123abcd" + "0" * 56)
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_model("0123abcd") == find_model(path.stem) == path


def test_the_starter_is_found_or_the_sentence_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starter = tmp_path / "starter.safetensors"
    monkeypatch.setattr(settings, "STARTER_FILE", starter)
    with pytest.raises(ModelFileError, match=r"The starter model is not installed\. `make starter` builds it"):
        find_model("starter")
    starter.touch()
    assert find_model("starter") == starter


def test_characters_that_turn_the_text_around_them_do_not_enter_a_name() -> None:
    assert create_run(CONFIG, "fast", "a\u202eb\u2066c\x07d").about.name == "abcd"
