"""The head of a run: its name, what can be done with it, how far it is, and how it ended."""

from html import escape

import streamlit as st

from core.default_model import default_model, use_model
from core.errors import ReviewscopeError
from core.jobs import check_room, enqueue, list_waiting, stop
from core.runs import Run, RunResult
from core.training.extension import extend_run
from core.training.forecast import is_training_here
from core.training.members import configs_before
from core.training.plan import gentler_rate
from core.wording import percent
from dashboard import state
from dashboard.components import (
    ago,
    clock,
    draw_caption,
    draw_facts,
    duration,
    failed_box,
    file_size,
    span,
    status_colour,
)
from dashboard.run_snapshot import DATA_NAMES, Snapshot
from dashboard.tokens import current_tokens

WORDS = {"running": "Training", "queued": "Waiting"}
SHORT_DATA_NAMES = DATA_NAMES | {"imdb": "IMDB"}
LOG_LINES = 20
PROBLEM = "run-problem"
MOST_ADDED = 50
MOST_NOTICES = 3
RESUMABLE = ("paused", "stopped", "interrupted", "failed")


def draw_title(shot: Snapshot) -> None:
    """Draw state, origin and name on the left, what can be done now on the right."""
    head = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom")
    with head.container(width="content"):
        colour = status_colour(shot.status, current_tokens())
        st.html(
            f'<div class="rs"><p class="rs-caption"><span class="rs-dot" style="background:{colour}"></span>'
            f'{escape(origin_sentence(shot))}</p><p class="rs-title">{escape(shot.about.name)}</p></div>'
        )
    with head.container(horizontal=True, width="content", vertical_alignment="center"):
        if shot.is_live:
            _draw_live_buttons(shot)
        elif st.button("Train another", key="another"):
            state.to_url(run=None)
            st.rerun()


def origin_sentence(shot: Snapshot) -> str:
    """Return state, age, data and preset in one line."""
    times = shot.history.steps["time"]
    begun = f"started {ago(times[0])}" if len(times) else f"made {ago(shot.about.created)}"
    data = SHORT_DATA_NAMES[shot.config.data.source]
    return f"{WORDS.get(shot.status, shot.status.capitalize())} · {begun} · {data} · preset {shot.about.preset}"


def _draw_live_buttons(shot: Snapshot) -> None:
    run = shot.run
    if shot.status == "queued":
        st.button("Take out of the queue", key="leave-queue", on_click=_stop, args=(run,))
    elif run.is_stop_requested or run.is_pause_requested:
        draw_caption("Finishing this step, then saving.")
    else:
        draw_pause(run, "pause")
        draw_stop(run, "stop")


def draw_pause(run: Run, key: str) -> None:
    """Draw the button that pauses."""
    st.button("Pause", icon=":material/pause:", key=key, on_click=run.request_pause)


def draw_stop(run: Run, key: str) -> None:
    """Draw the button that stops, which asks once more in its own place."""
    with st.popover("Stop, keep best", icon=":material/stop:", width="content", key=key):
        draw_facts("Stop now? The best model so far is kept, and the run can go on later.")
        st.button("Stop", key=f"{key}-now", on_click=_stop, args=(run,))


def _stop(run: Run) -> None:
    try:
        stop(run)
    except ReviewscopeError as error:
        state.remember(PROBLEM, str(error))


def draw_state(shot: Snapshot) -> None:
    """Draw how far the run is, or how it ended and what comes next."""
    if problem := state.recall(PROBLEM):
        state.forget(PROBLEM)
        draw_caption(problem)
    if shot.status == "queued":
        _draw_queued(shot)
    elif shot.status == "running":
        _draw_progress(shot)
    elif shot.status == "paused":
        _draw_paused(shot)
    elif shot.is_diverged:
        _draw_diverged(shot)
    elif shot.status != "finished":
        _draw_broken_off(shot)
    elif shot.result is not None:
        _draw_result(shot, shot.result)
    _draw_notices(shot)


def _draw_notices(shot: Snapshot) -> None:
    """Draw what the run's user must not miss: what its job found, and what would keep a resume from being exact."""
    for sentence in shot.run.notices[-MOST_NOTICES:]:
        draw_facts(sentence)
    if shot.status in RESUMABLE and (changed := shot.run.changed_libraries):
        draw_facts(f"Since it began, {'; '.join(changed)}: it goes on, though not bit for bit as it would have then.")


def _draw_queued(shot: Snapshot) -> None:
    waiting = [each.job.job_id for each in list_waiting("train")]
    before = waiting.index(shot.run.run_id) if shot.run.run_id in waiting else 0
    if before:
        sentence = f"{before} before it in the queue."
    elif is_training_here():
        sentence = "It begins when the training in progress has ended."
    else:
        sentence = "It begins as soon as its worker is there."
    draw_facts(f"Waiting. {sentence} It starts by itself, also with this page closed.")
    st.progress(shot.share_done)


def _draw_progress(shot: Snapshot) -> None:
    progress = shot.progress
    if shot.is_training:
        st.html(f'<div class="rs"><p>{progress_sentence(shot)}</p></div>')
        st.progress(shot.share_done)
        return
    counted = f" · {progress.done:,} of {progress.total:,}" if progress and progress.total else ""
    draw_facts(f"{progress.phase if progress else 'Starting'} …{counted}")
    st.progress(min(progress.done / progress.total, 1.0) if progress and progress.total else 0.0)


def progress_sentence(shot: Snapshot) -> str:
    """Return epoch, step, and the time left with its range, as safe HTML."""
    words = f"Epoch {shot.epoch} of {shot.last_epoch} · step {shot.history.last_step:,} of {shot.last_step:,}"
    left = shot.left
    if left is None:
        return words
    low, high = stopwatch(left.low), stopwatch(left.high)
    spread = f" ({low} to {high})" if low != high else ""
    return f'{words} · <b style="font-weight:600">{duration(round_time(left.seconds))} left</b>{spread}'


def round_time(seconds: float) -> float:
    """Round a time left so that it does not flicker: to 5 s from a minute on, 30 s from ten, a minute from an hour."""
    grain = 1 if seconds < 60 else 5 if seconds < 600 else 30 if seconds < 3_600 else 60
    return grain * round(seconds / grain)


def stopwatch(seconds: float) -> str:
    """Write a time span as "0:52", "3:20" or "2:05:00"."""
    whole = round(round_time(seconds))
    hours, rest = divmod(whole, 3_600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def _draw_paused(shot: Snapshot) -> None:
    if shot.is_ensemble:
        draw_facts("Paused among its members. Nothing is lost: what they have learnt so far is on disk.")
    else:
        draw_facts(
            f"Paused in epoch {shot.epoch} of {shot.last_epoch}. Nothing is lost: step {shot.history.last_step:,} of "
            f"{shot.last_step:,} is on disk."
        )
        st.progress(shot.share_done)
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Go on", type="primary", icon=":material/play_arrow:", key="resume"):
            _enqueue(shot.run)
        # Before the first validation the weights are barely trained.
        if shot.kept is not None and shot.run.model_file.exists():
            _draw_model_buttons(shot.run, is_primary=False)


def _draw_diverged(shot: Snapshot) -> None:
    """Draw what happened and the one way out: going on with the same settings would end the same way."""
    where = "The curve below ends where it happened."
    with failed_box("run", shot.state.message, where, shot.run.read_log(LOG_LINES)):
        if st.button("New run with a smaller rate", type="primary", key="smaller-rate"):
            rate = gentler_rate(shot.config.training.learning_rate)
            state.to_url(run=None, rate=f"{rate:g}", **{"from": shot.run.run_id})
            st.rerun()


def _draw_broken_off(shot: Snapshot) -> None:
    run, message = shot.run, shot.state.message
    kept = "The best model so far is kept." if run.model_file.exists() else "Nothing was learnt yet."
    if shot.status == "stopped":
        what = message or "Stopped when you asked."
        kept += " Going on ends with the same weights as a run that was never stopped."
    elif shot.status == "interrupted":
        when = f" at {clock(shot.progress.time)}" if shot.progress else ""
        what = f"The process that ran it ended{when} without saying why."
        place = "where its members were" if shot.is_ensemble else _saved_place(run)
        kept += f" Resume goes on from {place} and gives the same result as if nothing had happened."
    else:
        what = message
    with failed_box("run", what, kept, run.read_log(LOG_LINES)), st.container(horizontal=True):
        label = "Try again" if shot.status == "failed" else "Resume"
        if st.button(label, type="primary", key="resume"):
            _enqueue(run)
        if run.model_file.exists():
            _draw_model_buttons(run, is_primary=False)


def _saved_place(run: Run) -> str:
    steps = [int(path.stem.removeprefix("step-")) for path in run.checkpoint_folder.glob("step-*.safetensors")]
    return f"step {max(steps):,}" if steps else "the beginning"


def _enqueue(run: Run) -> None:
    try:
        enqueue(run)
    except ReviewscopeError as error:
        draw_caption(str(error))
        return
    st.rerun()


def _draw_result(shot: Snapshot, result: RunResult) -> None:
    # Beside a teacher's or members' work, of which some was there already, the two do not count the same.
    is_comparable = shot.forecast is not None and not configs_before(shot.config)
    forecast = f" (forecast {duration(shot.forecast.seconds)})" if shot.forecast and is_comparable else ""
    valid = f" {percent(result.valid_accuracy)} on validation." if result.valid_accuracy is not None else ""
    best = f"was the best by validation {shot.config.training.best_by} and is kept."
    is_epoch_told = result.best_epoch and not shot.is_ensemble
    kept = f" Epoch {result.best_epoch} of {result.epochs} {best}" if is_epoch_told else ""
    taught = f"; its teacher: {duration(result.teacher_seconds)}" if result.teacher_seconds else ""
    members = ", all members together" if shot.is_ensemble else ""
    line = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center")
    with line.container(width="content"):
        draw_facts(f"Done in {duration(result.total_seconds)}{members}{forecast}{taught}.{valid}{kept}")
        size = file_size(shot.run.model_file.stat().st_size) if shot.run.model_file.exists() else "no model file"
        draw_caption(f"{result.parameters:,} weights · {size} · SHA-256 {result.model_sha256[:12]}")
    with line.container(horizontal=True, width="content", vertical_alignment="center"):
        _draw_model_buttons(shot.run, is_primary=True)
        if not shot.is_ensemble:
            _draw_extension(shot.run, result)


def _draw_extension(run: Run, result: RunResult) -> None:
    """Draw the button that gives a finished run more epochs, which asks how many in its own place."""
    with st.popover("Add epochs", width="content", key="add-epochs"):
        draw_facts("Go on from where it ended; the best model so far is kept unless a new epoch beats it.")
        epochs = st.number_input("How many more", 1, MOST_ADDED, 2, key="more-epochs")
        pace = result.train_seconds / max(result.epochs, 1)
        about = "about " if pace * epochs >= 0.5 else ""
        draw_caption(f"An epoch took {span(pace)} here, so {about}{span(pace * epochs)}.")
        if st.button("Train them", key="extend"):
            try:
                check_room("train")  # before the epochs are noted
                extend_run(run, int(epochs))
            except ReviewscopeError as error:
                draw_caption(str(error))
                return
            _enqueue(run)


def _draw_model_buttons(run: Run, *, is_primary: bool) -> None:
    if st.button("See where it errs", type="primary" if is_primary else "secondary", key="errs"):
        st.switch_page("../pages/evaluation.py", query_params={"model": run.run_id})
    if default_model() == run.run_id:
        draw_caption("This model is used for predictions.")
    elif st.button("Use this model", key="use"):
        use_model(run.run_id)
        st.rerun()
