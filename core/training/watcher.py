"""How a training talks to whoever started it."""

from collections.abc import Callable
from dataclasses import dataclass


class StopAsked(Exception):
    """Whoever started a training asked it to stop, before its loop began: there is no model yet."""


@dataclass(frozen=True)
class Watcher:
    """How the loop talks to whoever started it.

    Attributes:
        on_phase: Called with what begins now, in words, and how many units of work it has.
        on_notice: Called with a sentence that the user must not miss.
        on_line: Called with a line for the log.
        on_progress: Called with the units just done.
        should_stop: Asked after every step.
        on_resume: Called with the units of the phase that were done before.
    """

    on_phase: Callable[[str, int], None] = lambda phase, total: None
    on_notice: Callable[[str], None] = lambda sentence: None
    on_progress: Callable[[int], None] = lambda done: None
    should_stop: Callable[[], bool] = lambda: False
    on_line: Callable[[str], None] = lambda line: None
    on_resume: Callable[[int], None] = lambda done: None
