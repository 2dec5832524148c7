"""What the command line shows: progress on stderr, results on stdout, failures as one sentence."""

import json
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.progress import Progress


AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line of stdout.")]


def print_result(document: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result: with ``as_json`` as the last line of stdout, else a line a value."""
    if as_json:
        print(json.dumps(document, ensure_ascii=False, allow_nan=False), flush=True)
        return
    width = max(len(name) for name in document)
    for name, value in document.items():
        print(f"{name:<{width}}  {_written(value)}")


def _written(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_written(each)}" for name, each in value.items())
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1_000 else f"{value:,.0f}"
    return "–" if value is None else f"{value:,}" if type(value) is int else str(value)


@dataclass
class ProgressReport:
    """Shows phases on stderr as bars with time left, in a terminal only; notices everywhere."""

    bar: "Progress | None"

    def on_phase(self, phase: str, total: int) -> None:
        """Begin a phase of ``total`` units; 0 when that is not known."""
        if self.bar is None:
            return
        for task in self.bar.task_ids:
            self.bar.remove_task(task)
        self.bar.add_task(phase, total=total or None)

    def on_notice(self, sentence: str) -> None:
        """Print a sentence that stays."""
        print(sentence, file=sys.stderr, flush=True)

    def on_progress(self, done: int) -> None:
        """Count units of the present phase."""
        if self.bar is not None and self.bar.task_ids:
            self.bar.advance(self.bar.task_ids[-1], done)


@contextmanager
def show_progress() -> Iterator[ProgressReport]:
    """Show progress while the block runs; nothing of it stays on the screen."""
    if not sys.stderr.isatty():
        yield ProgressReport(None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield ProgressReport(bar)


@dataclass
class StopRequest:
    """Whether somebody asked to stop."""

    is_set: bool = False

    def __call__(self) -> bool:
        return self.is_set


@contextmanager
def catch_stop(
    sentence: str = "Stopping after this step; the best model so far is kept.",
) -> Iterator[StopRequest]:
    """Turn the first Ctrl+C or SIGTERM into a request that the loop asks for; a second Ctrl+C ends at once.

    The sentence is what the user is told of it.
    """
    request = StopRequest()

    def remember(number: int, frame: FrameType | None) -> None:
        request.is_set = True
        signal.signal(signal.SIGINT, signal.default_int_handler)
        print(sentence, file=sys.stderr, flush=True)

    before = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
