"""One run on the training page: how it goes, what it came to, and what can be done."""

from functools import partial

import streamlit as st

from core.errors import ReviewscopeError
from core.evaluation.intervals import Interval, wilson_interval
from core.jobs import list_waiting
from core.runs import Run
from dashboard.components import draw_log, draw_section
from dashboard.queue_view import draw_queue
from dashboard.run_curves import curve_csv, draw_curves
from dashboard.run_figures import draw_alerts, draw_figures
from dashboard.run_head import draw_state, draw_title
from dashboard.run_snapshot import Snapshot
from dashboard.tab import draw_notifier, name_tab
from dashboard.validation_reviews import draw_validation_reviews

TICK_SECONDS = 1.0
SLOW_TICK_SECONDS = 2.0
WATCH_SECONDS = 5.0
LOG_LINES = 4
MOST_LOG_LINES = 2_000


def draw_run(run: Run) -> None:
    """Draw a run; while it waits or trains, this part of the page draws itself anew each second.

    Raises:
        ReviewscopeError: One of its files is damaged.
    """
    seen = _seen(run)  # before the state: what changes after this look is seen at the next one
    shot = Snapshot.read(run)
    st.fragment(draw_live_part, run_every=TICK_SECONDS if shot.is_live else None)(run, shot.is_live)
    with st.container(horizontal=True, vertical_alignment="center"):
        # Outside of what ticks: a tick between press and answer would take the pressed button's data away.
        if not shot.is_ensemble:
            st.download_button(
                "Curve as CSV", partial(curve_csv, run), file_name=f"{run.run_id}-history.csv", mime="text/csv",
                icon=":material/download:", on_click="ignore", key="curve-csv", type="tertiary",
            )  # fmt: skip
        draw_notifier(shot)
    draw_validation_reviews(run, is_live=shot.is_live)
    st.fragment(_draw_queue_and_log, run_every=SLOW_TICK_SECONDS if shot.is_live else None)(run)
    if not shot.is_live:
        st.fragment(_watch, run_every=WATCH_SECONDS)(run, seen)


def draw_live_part(run: Run, was_live: bool) -> None:
    """Draw what changes while a run trains: head, figures, alerts and curves."""
    try:
        shot = Snapshot.read(run)
    except ReviewscopeError:
        st.rerun()  # deleted or damaged since the page was drawn: the page says which
    if was_live and not shot.is_live:
        st.rerun()  # once, so that the timer goes away
    name_tab(shot)
    draw_title(shot)
    draw_state(shot)
    draw_figures(shot)
    with st.container(key="alerts"):
        draw_alerts(shot)
    draw_curves(shot)


def _draw_queue_and_log(run: Run) -> None:
    if not list_waiting("train"):
        _draw_log(run)
        return
    left, right = st.columns(2, gap="large")
    with left:
        draw_queue()
    with right:
        _draw_log(run)


def _draw_log(run: Run) -> None:
    draw_section("Log", "The last lines that the worker wrote.")
    draw_log(run.read_log(LOG_LINES) or ["Nothing yet."])
    whole = st.expander("Open whole log", key="whole-log", on_change="rerun")
    if whole.open:
        with whole, st.container(height=400):
            draw_log(run.read_log(MOST_LOG_LINES))


def _seen(run: Run) -> tuple[int, ...]:
    """Return when what the page shows of an ended run last changed."""
    paths = [run.path / name for name in ("state.json", "about.json")]
    return tuple(path.stat().st_mtime_ns if path.exists() else 0 for path in paths)


def _watch(run: Run, seen: tuple[int, ...]) -> None:
    """Draw nothing; see whether another tab, or a terminal, did something to a run that has ended."""
    if _seen(run) != seen:
        st.rerun()


def test_interval(run: Run) -> Interval | None:
    """Return the 95 % interval of a run's test accuracy, or None without one."""
    result, origin = run.result, run.origin
    if result is None or result.test_accuracy is None or origin is None or not origin.n_test:
        return None
    return wilson_interval(round(result.test_accuracy * origin.n_test), origin.n_test)


def default_run_name(preset: str, runs: list[Run]) -> str:
    """Return the name that a new run gets when nothing else is typed."""
    taken = {run.run_id for run in runs}
    number = 1
    while f"{preset}-{number}" in taken:
        number += 1
    return f"{preset}-{number}"
