"""Writes are whole or absent, and a lock ends with the process that holds it."""

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import ReviewscopeError
from core.files import (
    atomic_writer,
    hold_lock,
    is_locked,
    read_json,
    remove_files,
    sync_file,
    write_bytes,
    write_json,
)
from core.settings import PACKAGE

OLD, NEW = b"the former content", b"the new content"
HOLDER = """
import sys
from pathlib import Path
from core.files import hold_lock
with hold_lock(Path(sys.argv[1]), "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """Return a file that holds OLD, alone in its folder."""
    path = tmp_path / "folder" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def assert_untouched(target: Path) -> None:
    assert target.read_bytes() == OLD
    assert os.listdir(target.parent) == [target.name]


def fail_with(code: int) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_written_file_replaces_the_former_one_and_leaves_nothing_beside_it(target: Path) -> None:
    write_bytes(target, NEW)
    assert target.read_bytes() == NEW
    assert os.listdir(target.parent) == [target.name]


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a" / "b" / "c.bin", NEW)
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == NEW


def test_the_new_content_is_not_visible_before_the_block_ends(target: Path) -> None:
    with atomic_writer(target) as file:
        file.write(NEW)
        file.flush()
        assert target.read_bytes() == OLD
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_a_failure_inside_the_block_keeps_the_old_content_and_leaves_no_temporary_file(
    target: Path, error: BaseException
) -> None:
    with pytest.raises(type(error)) as caught, atomic_writer(target) as file:
        file.write(NEW)
        raise error
    assert caught.value is error
    assert_untouched(target)


def test_a_failure_before_there_was_a_file_leaves_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError), atomic_writer(tmp_path / "folder" / "file.bin"):
        raise ValueError
    assert os.listdir(tmp_path / "folder") == []


def test_the_order_is_write_then_sync_the_file_then_rename_then_sync_the_folder(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[object, ...]] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        status = os.fstat(descriptor)
        is_folder = stat.S_ISDIR(status.st_mode)
        same = is_folder and os.path.samestat(status, target.parent.stat())
        calls.append(("sync folder", same) if is_folder else ("sync file", status.st_size))
        real_sync(descriptor)

    def replace(source: str | Path, destination: str | Path) -> None:
        assert Path(source).parent == target.parent, "a rename is atomic on one file system only"
        calls.append(("rename", Path(destination) == target, Path(source).read_bytes()))
        real_replace(source, destination)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(os, "rename", replace)
    write_bytes(target, NEW)
    assert calls == [("sync file", len(NEW)), ("rename", True, NEW), ("sync folder", True)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EMFILE], ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "tempfile.mkstemp"])
def test_a_failing_call_gives_a_sentence_and_the_old_content_stays(
    target: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    monkeypatch.setattr(call, fail_with(code))
    with pytest.raises(ReviewscopeError) as caught:
        write_bytes(target, NEW)
    assert os.strerror(code) in str(caught.value) and target.name in str(caught.value)
    assert "before is unchanged" in str(caught.value) and "try again" in str(caught.value)
    monkeypatch.undo()
    assert_untouched(target)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("size", [len(NEW), 1_000_000], ids=["buffered", "larger than the buffer"])
def test_a_full_disk_gives_a_sentence_and_the_old_content_stays(
    target: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    def make_on_a_full_disk(*_: object, **__: object) -> tuple[int, str]:
        name = target.parent / ".half-written.tmp"
        name.touch()
        return os.open("/dev/full", os.O_WRONLY), str(name)

    monkeypatch.setattr(tempfile, "mkstemp", make_on_a_full_disk)
    with pytest.raises(ReviewscopeError, match="No space left on device.*before is unchanged.*Free some disk space"):
        write_bytes(target, bytes(size))
    assert_untouched(target)


def test_a_failure_after_the_rename_does_not_claim_that_the_old_content_is_there(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_sync = os.fsync

    def sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", sync)
    with pytest.raises(ReviewscopeError) as caught:
        write_bytes(target, NEW)
    assert target.read_bytes() == NEW
    assert "before is unchanged" not in str(caught.value)


def test_a_folder_that_cannot_be_made_gives_a_sentence(target: Path) -> None:
    with pytest.raises(ReviewscopeError, match="Could not write"):
        write_bytes(target / "inside a file" / "file.bin", NEW)
    assert_untouched(target)


def test_a_folder_in_the_place_of_the_file_gives_a_sentence_and_stays(target: Path) -> None:
    with pytest.raises(ReviewscopeError, match="Could not write"):
        write_bytes(target.parent, NEW)
    assert_untouched(target)
    assert os.listdir(target.parent.parent) == [target.parent.name]


def test_a_json_document_comes_back_and_is_readable_to_a_person(tmp_path: Path) -> None:
    value = {"text": "größer 🎬 \u2028", "numbers": [1, 0.1, None, True]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "größer 🎬" in (tmp_path / "a.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "phrase"),
    [(None, "Could not read .*a.json"), (b'{"a": ', "a.json is not valid JSON"), (b"\xff\xfe", "not valid JSON")],
    ids=["missing", "torn", "not text"],
)
def test_a_json_file_that_cannot_be_read_gives_a_sentence(tmp_path: Path, content: bytes | None, phrase: str) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ReviewscopeError, match=phrase):
        read_json(tmp_path / "a.json")


def test_what_was_appended_is_forced_onto_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"line\n")
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_ino))
    sync_file(tmp_path / "a")
    assert synced == [(tmp_path / "a").stat().st_ino]


def test_a_second_holder_of_a_lock_gets_the_sentence(tmp_path: Path) -> None:
    lock = tmp_path / "deep" / "lock"
    with hold_lock(lock, "Somebody trains already."):
        assert is_locked(lock)
        with (
            pytest.raises(ReviewscopeError, match=r"^Somebody trains already\.$"),
            hold_lock(lock, "Somebody trains already."),
        ):
            pytest.fail("two held the lock at once")
        assert is_locked(lock), "the refused one must not release it"
    assert not is_locked(lock)


def test_a_lock_is_released_when_the_block_raises_and_can_be_taken_again(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    for _ in range(2):
        with pytest.raises(ValueError), hold_lock(lock, "busy"):
            raise ValueError
        assert not is_locked(lock)


def test_asking_whether_a_lock_is_held_makes_no_file(tmp_path: Path) -> None:
    assert not is_locked(tmp_path / "lock")
    assert os.listdir(tmp_path) == []


def test_a_lock_is_released_by_the_death_of_the_process_that_held_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)],
        cwd=PACKAGE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert is_locked(lock)
        with pytest.raises(ReviewscopeError, match="Another process"), hold_lock(lock, "Another process has it."):
            pytest.fail("two processes held the lock at once")
    finally:
        holder.kill()
        holder.communicate()
    assert holder.returncode == -signal.SIGKILL
    assert not is_locked(lock)
    with hold_lock(lock, "busy"):
        assert is_locked(lock)


def test_those_who_ask_at_once_whether_a_free_lock_is_held_are_all_told_no(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    barrier = threading.Barrier(4)

    def ask(_: int) -> int:
        barrier.wait()
        return sum(is_locked(lock) for _ in range(200))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, range(4))) == [0, 0, 0, 0]


def test_asking_whether_a_lock_is_held_never_keeps_another_from_taking_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    lock.touch()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_locked(lock)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            for _ in range(300):
                with hold_lock(lock, "busy, though nobody works"):
                    pass
        finally:
            done.set()
        asking.result()


def test_files_are_removed_as_far_as_they_are_there_and_what_cannot_be_is_said(target: Path) -> None:
    remove_files(target, target.parent / "never written")
    assert not target.exists()
    with pytest.raises(ReviewscopeError, match="Could not remove"):
        remove_files(target.parent)


def test_json_of_brackets_nested_by_the_thousand_is_refused_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ReviewscopeError, match="is not valid JSON"):
        read_json(path)
