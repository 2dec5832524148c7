"""The queue of trainings: what waits, when each is about to start, and its order."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from core import jobs
from core.errors import ReviewscopeError
from core.job_folder import JobFolder
from core.runs import Run, list_runs
from core.training.forecast import find_forecast_job, forecast, is_training_here, load_forecast
from dashboard import state
from dashboard.components import about_duration, clock, draw_caption, draw_section
from dashboard.forecast_panel import choose_earlier

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Turn:
    """A run that waits.

    Attributes:
        run: The run.
        seconds: How long it is about to take; None when nothing like it was rehearsed.
        starts: When it is about to start, in seconds since 1970; None when that cannot be said.
    """

    run: Run
    seconds: float | None
    starts: float | None


def list_turns(runs: Sequence[Run], now: float) -> tuple[list[Turn], float | None]:
    """Return the runs that wait, in order, and when one more would start; None when that cannot be said."""
    known = {run.run_id: run for run in runs}
    earlier = choose_earlier(runs)
    moment: float | None = now
    for run in runs:
        if run.state.status == "running":
            left = seconds_left(run, now)
            moment = None if left is None or moment is None else moment + left
    turns = []
    for waiting in jobs.list_waiting("train"):
        found = known.get(waiting.job.job_id)
        if found is None:
            continue
        seconds = _expected_seconds(found, earlier)
        turns.append(Turn(found, seconds, moment))
        moment = None if seconds is None or moment is None else moment + seconds
    return turns, moment


def seconds_left(run: Run, now: float) -> float | None:
    """Return about how long a running training still takes; None when that is not known."""
    progress, expected = run.progress, load_forecast(run)
    if progress is not None and progress.phase.startswith("Scoring"):
        return progress.seconds_left or 0.0
    if progress is not None and progress.phase == "Training" and (left := progress.seconds_left) is not None:
        test = expected.parts.get("test", 0.0) * expected.correction if expected else 0.0
        return max(left - (now - progress.time), 0.0) + test
    if expected is None:
        return None
    began = run.forecast_file.stat().st_mtime  # written when the training began
    return max(expected.seconds - (now - began), 0.0)


def _expected_seconds(run: Run, earlier: Sequence[Run]) -> float | None:
    settings = run.settings
    try:
        costs = find_forecast_job(settings.config).costs
    except ReviewscopeError:
        return None
    if costs is None:
        return None
    return forecast(settings.config, costs, with_test=settings.with_test, earlier=earlier).seconds


def draw_live_queue() -> None:
    """Draw the queue, anew every other second while something trains or waits; a change redraws the whole page."""
    seen = queue_state()
    st.fragment(_draw_live_queue, run_every=POLL_SECONDS if any(seen) else None)(seen)


def _draw_live_queue(seen: tuple[bool, list[str]]) -> None:
    if queue_state() != seen:
        st.rerun()
    draw_queue()


def queue_state() -> tuple[bool, list[str]]:
    """Tell whether something trains now, and return the ids of the runs that wait."""
    return is_training_here(), [each.job.job_id for each in jobs.list_waiting("train")]


def draw_queue() -> None:
    """Draw the runs that wait, in order, with what moves and removes them; nothing when none waits."""
    turns, _ = list_turns(list_runs(), time.time()) if jobs.list_waiting("train") else ([], None)
    if problem := state.recall("queue-problem"):
        state.remember("queue-problem", None)
        draw_caption(problem)
    if not turns:
        return
    draw_section(
        f"Queue: {len(turns)} of {jobs.MOST_WAITING} places taken", "Each starts by itself when its turn comes."
    )
    with st.container(gap=None, key="queue"):  # whose greatest width is the stylesheet's
        for place, turn in enumerate(turns, 1):
            _draw_turn(turn, place, len(turns))


def _draw_turn(turn: Turn, place: int, last: int) -> None:
    run = turn.run
    takes = about_duration(turn.seconds) if turn.seconds is not None else "no forecast"
    starts = f"starts about {clock(turn.starts)}" if turn.starts is not None else "starts in its turn"
    line = st.container(horizontal=True, vertical_alignment="center", gap="xsmall", wrap=False)
    with line.container(width="stretch"):
        st.html(
            f'<div class="rs rs-turn"><p>{place} · {escape(run.about.name)}</p>'
            f'<p class="rs-caption">{takes} · {starts}</p></div>'
        )
    for word, icon, places, is_off in (
        ("up", "arrow_upward", -1, place == 1),
        ("down", "arrow_downward", 1, place == last),
        ("remove", "close", 0, False),
    ):
        line.button(
            "", icon=f":material/{icon}:", key=f"queue-{word}-{run.run_id}", help=_HELP[word], type="tertiary",
            disabled=is_off, on_click=_act, args=(run, places),
        )  # fmt: skip


_HELP = {"up": "Start it earlier", "down": "Start it later", "remove": "Take it out of the queue; the run is kept"}


def _act(job: JobFolder, places: int) -> None:
    """Move a waiting run by some places, or take it out."""
    try:
        if places:
            jobs.move(job, places)
        else:
            jobs.stop(job)
    except ReviewscopeError as error:
        state.remember("queue-problem", str(error))
