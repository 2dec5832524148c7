"""A layer between a process and its disk: it counts the calls that change files, and strikes at a chosen one."""

import builtins
import io
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

CALLS = (
    "open", "fsync", "replace", "rename", "unlink", "remove", "mkdir", "rmdir", "chmod", "truncate", "utime", "link",
)  # fmt: skip
WRITING = ("open", "write", "truncate", "fsync", "mkdir", "replace", "rename")  # what a full or broken disk refuses


class Disk:
    """Stands between a process and the calls by which it changes files below ``home``; counts and strikes.

    A write is two points: before it, and after half of its bytes. Forcing onto the disk is only noted down: what a kill
    leaves is in the kernel's hands either way.

    Args:
        home: The folder.
        strike_at: The point, from 1, at which the process is killed or the call fails; None for never.
        power_cut: The kill takes with it what was written or renamed and not forced onto the disk.
        code: The call fails with this error number instead.
        lasting: So does every later one, as on a full disk.
    """

    def __init__(
        self, home: str, strike_at: int | None = None, *, power_cut: bool = False, code: int | None = None,
        lasting: bool = False,
    ) -> None:  # fmt: skip
        self.home = os.path.realpath(home) + os.sep
        self.strike_at, self.power_cut, self.code, self.lasting = strike_at, power_cut, code, lasting
        self.points, self.struck = 0, ""
        self.descriptors: dict[int, str] = {}
        self.unsynced: dict[int, int] = {}  # by inode, the bytes that a power cut leaves
        self.renames: list[tuple[int, str, str, str | None]] = []  # whose folder was not forced onto the disk yet
        self.real_open, self.real_os = io.open, {name: getattr(os, name) for name in CALLS}

    @contextmanager
    def between(self) -> Iterator["Disk"]:
        """Stand there while the block runs."""
        patched = {name: getattr(self, f"_{name}", self._counted(name)) for name in CALLS}
        try:
            for name, call in patched.items():
                setattr(os, name, call)
            builtins.open = io.open = self._open_file  # type: ignore[assignment]
            yield self
        finally:
            builtins.open = io.open = self.real_open
            for name, call in self.real_os.items():
                setattr(os, name, call)

    def point(self, what: str, half: Callable[[], object] = lambda: None) -> None:
        """Count a call; at the chosen one do ``half`` of it and strike."""
        self.points += 1
        is_due = self.points == self.strike_at or (self.lasting and self.points > (self.strike_at or self.points))
        if not is_due or (self.code is not None and not what.startswith(WRITING)):
            return
        self.struck = self.struck or what
        half()
        if self.code is not None:
            raise OSError(self.code, os.strerror(self.code))
        if self.power_cut:
            self._lose_what_was_not_synced()
        os.kill(os.getpid(), signal.SIGKILL)

    def covers(self, path: Any) -> bool:
        """Tell whether a path or descriptor belongs to the workspace."""
        if isinstance(path, int):
            return path in self.descriptors
        return (os.path.abspath(os.fspath(path)) + os.sep).startswith(self.home)

    def note_written(self, descriptor: int, size_before: int) -> None:
        """Note that a power cut would take what is written from now on."""
        self.unsynced.setdefault(os.fstat(descriptor).st_ino, size_before)

    def _counted(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if "dir_fd" in options or self.covers(arguments[0]):
                self.point(f"{name} {arguments[0]}")
            return self.real_os[name](*arguments, **options)

        return call

    def _open(self, path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        is_ours = "dir_fd" not in options and self.covers(path)
        if is_ours and flags & os.O_CREAT:
            self.point(f"open {path}")
        descriptor: int = self.real_os["open"](path, flags, *arguments, **options)
        if is_ours:
            self.descriptors[descriptor] = os.path.abspath(os.fspath(path))
        return descriptor

    def _fsync(self, descriptor: int) -> None:
        self.point("fsync")
        status = os.fstat(descriptor)
        self.unsynced.pop(status.st_ino, None)
        self.renames = [each for each in self.renames if each[0] != status.st_ino]

    def _replace(self, source: Any, target: Any) -> None:
        source, target = (os.path.abspath(os.fspath(path)) for path in (source, target))
        self.point(f"replace {target}")
        former = None
        if self.power_cut and os.path.exists(target):
            former = os.path.join(os.path.dirname(self.home.rstrip(os.sep)), f"former-{os.getpid()}-{self.points}")
            self.real_os["link"](target, former)
        self.real_os["replace"](source, target)
        self.renames.append((os.stat(os.path.dirname(target)).st_ino, source, target, former))

    def _lose_what_was_not_synced(self) -> None:
        for _, source, target, former in reversed(self.renames):
            if os.path.exists(target):
                self.real_os["replace"](target, source)
            if former is not None:
                self.real_os["replace"](former, target)
        for folder, _, names in os.walk(self.home):
            for path in (os.path.join(folder, name) for name in names):
                status = os.stat(path)
                self.real_os["truncate"](path, min(self.unsynced.get(status.st_ino, status.st_size), status.st_size))

    def _open_file(self, file: Any, mode: str = "r", buffering: int = -1, *arguments: Any, **options: Any) -> Any:
        if not set(mode) & set("wax+") or not self.covers(file):
            return self.real_open(file, mode, buffering, *arguments, **options)
        assert "+" not in mode, "a way of opening that this layer does not know"
        raw = CountedFile(self, file, mode.replace("b", "").replace("t", ""))
        if buffering == 0:
            return raw
        buffered = io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, "utf-8")


class CountedFile(io.FileIO):
    """A file whose every write to the operating system is a point."""

    def __init__(self, disk: Disk, file: Any, mode: str) -> None:
        self.disk, self.label = disk, disk.descriptors[file] if isinstance(file, int) else str(file)
        if not isinstance(file, int):
            disk.point(f"open {file}")
        super().__init__(file, mode)
        disk.note_written(self.fileno(), os.fstat(self.fileno()).st_size)

    def write(self, data: Any) -> int | None:  # type: ignore[override]
        content = memoryview(data).cast("B")
        self.disk.note_written(self.fileno(), os.fstat(self.fileno()).st_size)
        self.disk.point(f"write {self.label}")
        write = super().write
        self.disk.point(f"write half of {self.label}", lambda: write(content[: len(content) // 2]))
        return write(content)

    def truncate(self, size: int | None = None) -> int:
        self.disk.point(f"truncate {self.label}")
        return super().truncate(size)
