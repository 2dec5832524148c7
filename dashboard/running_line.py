"""One line under the navigation for the run in progress, on every page but the training page."""

from html import escape

import streamlit as st

from core.errors import ReviewscopeError
from core.runs import Run, list_runs
from core.training.forecast import is_training_here
from dashboard import state
from dashboard.components import duration
from dashboard.run_head import round_time
from dashboard.run_snapshot import Snapshot
from dashboard.tokens import current_tokens

POLL_SECONDS = 2.0
RUNNING = "running-run"


def draw_running_line() -> None:
    """Draw the line, anew every other second; nothing while nothing trains."""
    st.fragment(_draw_line, run_every=POLL_SECONDS)()


def _draw_line() -> None:
    run = find_running()
    if run is None:
        return
    try:
        shot = Snapshot.read(run)
    except ReviewscopeError:
        return  # deleted or damaged meanwhile
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="running-line"):
        with st.container(width="content"):
            dot = f'<span class="rs-dot" style="background:{current_tokens().valid}"></span>'
            st.html(f'<div class="rs"><p class="rs-caption">{dot}{escape(running_sentence(shot))}</p></div>')
        if st.button("Open", key="open-running", type="tertiary"):
            st.switch_page("../pages/training.py", query_params={"run": run.run_id})


def running_sentence(shot: Snapshot) -> str:
    """Return name, epoch and time left in one line."""
    if not shot.is_training:
        doing = shot.progress.phase.lower() if shot.progress else "starting"
        return f"Training {shot.about.name} · {doing}"
    left = f" · {duration(round_time(shot.left.seconds))} left" if shot.left else ""
    return f"Training {shot.about.name} · epoch {shot.epoch} of {shot.last_epoch}{left}"


def find_running() -> Run | None:
    """Return the run that trains now; runs are listed only when one trains and it is not the one of the last look."""
    if not is_training_here():
        return None
    known: Run | None = state.recall(RUNNING)
    if known is not None and known.exists and known.state.status == "running":
        return known
    found = next((run for run in list_runs() if run.state.status == "running"), None)
    state.remember(RUNNING, found)
    return found
