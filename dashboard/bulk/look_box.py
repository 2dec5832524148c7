"""A look at a scored table's texts while it is taken: its progress, or what went wrong."""

import streamlit as st

from core.job_folder import JobProgress
from core.jobs import stop
from core.prediction.bulk_looks import LookJob
from core.wording import plural
from dashboard.bulk.steps import draw_queue_refusal, queue_again
from dashboard.components import draw_caption, failed_box, status_colour
from dashboard.tokens import current_tokens

TICK_SECONDS = 0.5


def draw_until_looked(look: LookJob, records: int) -> bool:
    """Take a look, draw how far it is, and tell whether its result is there.

    Args:
        look: Begins by itself; one that ended early waits for the button.
        records: Whose texts are read.
    """
    if look.is_done:
        return True
    if not look.exists:
        queue_again(look)
    draw_queue_refusal()
    status = look.state.status if look.exists else "stopped"
    if status in ("queued", "running"):
        draw_progress(look, records)
        return False
    words = look.state.message if look.exists and look.state.message else f"It was {status}."
    log = look.read_log(30) if status == "failed" else []
    with failed_box(f"look-{look.job_id}", f"The texts were not looked through. {words}", "The scores are kept.", log):
        st.button("Try again", key=f"again-{look.job_id}", on_click=queue_again, args=(look,))
    return False


@st.fragment(run_every=TICK_SECONDS)
def draw_progress(look: LookJob, records: int) -> None:
    """Draw how far a look is, twice a second; when it has ended, draw the page anew."""
    status = look.state.status
    if look.is_done or status not in ("queued", "running"):
        st.rerun()
    progress = look.progress if status == "running" else None
    colour = status_colour(status, current_tokens())
    with st.container(border=True, key=f"look-{look.job_id}"):
        words = look_words(progress, records)
        st.html(f'<div class="rs"><i class="rs-dot" style="background:{colour}"></i>{words}</div>')
        st.progress(min(progress.done / progress.total, 1.0) if progress and progress.total else 0.0)
        draw_caption("It goes on without this page, and is kept.")
        if records > 20_000:
            st.button("Cancel", key=f"stop-{look.job_id}", on_click=stop, args=(look,))


def look_words(progress: JobProgress | None, records: int) -> str:
    """Say what a look does just now."""
    if progress is None:
        return f"About to look through {plural(records, 'text')}."
    if not progress.total:
        return f"{progress.phase}."
    return f"{progress.phase}: {progress.done:,} of {progress.total:,}"
