"""Deleting runs: gone at once, back by one press, for good when the trash is emptied."""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import pandas as pd
import streamlit as st

from core.default_model import default_model
from core.errors import ReviewscopeError
from core.runs import Run
from core.trash import empty_trash, list_trash, restore_run, trash_run
from dashboard.components import draw_caption, draw_facts, file_size
from dashboard.run_facts import RunFacts
from dashboard.runs_table import choose, ids_from_url
from dashboard.state import forget, recall, remember

NOTICE = "runs_notice"


def delete(members: Sequence[RunFacts]) -> None:
    """Move runs into the trash; those that wait or train stay, and that is said."""
    places, names, refused = [], [], []
    used = default_model()
    for member in members:
        try:
            places.append(trash_run(member.run))
            names.append(member.about.name)
        except ReviewscopeError as error:
            refused.append(str(error))
    gone = {member.run.run_id for member in members if not member.run.path.exists()}
    what = names[0] if len(names) == 1 else f"{len(names):,} runs"
    said = [f"{what} deleted."] if places else []
    if used in gone:
        said.append("Its model was in use for predictions; they are made by the starter now.")
    remember(NOTICE, {"places": places, "sentence": " ".join([*said, *refused[:3]])})
    choose([name for name in ids_from_url() if name not in gone])


def draw_notice() -> None:
    """Draw what was deleted last, with the way back."""
    notice = recall(NOTICE)
    if not notice:
        return
    with (
        st.container(border=True, key="runs-notice"),
        st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"),
    ):
        with st.container(width="stretch"):
            draw_facts(notice["sentence"])
        if notice["places"]:
            st.button("Undo", key="runs_undo", on_click=partial(_undo, notice["places"]))
        st.button("Close", key="runs_notice_close", type="tertiary", on_click=partial(forget, NOTICE))


def _undo(places: Sequence[Path]) -> None:
    restored = _restore(places)
    if restored:
        choose([*ids_from_url(), *(run.run_id for run in restored)])


def _bring_back(places: Sequence[Path]) -> None:
    _restore(places)


def _restore(places: Sequence[Path]) -> list[Run]:
    """Bring runs back; what cannot be brought back is told of."""
    restored, refused = [], []
    for place in places:
        try:
            restored.append(restore_run(place))
        except ReviewscopeError as error:
            refused.append(str(error))
    forget(NOTICE)
    if refused:
        remember(NOTICE, {"places": [], "sentence": " ".join(refused[:3])})
    return restored


def draw_trash() -> None:
    """Draw what lies in the trash, folded; nothing is drawn while it is empty."""
    places = list_trash()
    if not places:
        forget("runs_empty_asked")
        return
    folded = st.expander(
        f"Trash: {len(places):,} run{'s' if len(places) > 1 else ''}", key="runs_trash", on_change="rerun",
        icon=":material/delete:",
    )  # fmt: skip
    if not folded.open:
        return
    with folded:
        sizes = [_trashed_size(place) for place in places]
        draw_caption(f"{file_size(sum(sizes))} on disk. Tick what is to come back, or empty the trash.")
        frame = pd.DataFrame(
            {
                "Run": [place.name.rpartition(".")[0] for place in places],
                "Name": [_name_of(place) for place in places],
                "Size": [file_size(size) for size in sizes],
            }
        )
        key = f"runs_trash_table_{len(places)}_{places[0].name}"
        event = st.dataframe(
            frame, hide_index=True, on_select="rerun", selection_mode="multi-row", key=key, row_height=38,
            height=38 * (min(len(places), 8) + 1), alt="Deleted runs, the last deleted first",
        )  # fmt: skip
        ticked = [places[row] for row in event["selection"]["rows"] if row < len(places)]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button("Restore", key="runs_restore", disabled=not ticked, on_click=partial(_bring_back, ticked))
            _draw_emptying(len(places), sum(sizes))


def _draw_emptying(count: int, size: int) -> None:
    """Draw the one step that cannot be undone, which asks once more."""
    if not recall("runs_empty_asked"):
        st.button("Empty trash", key="runs_empty", on_click=partial(remember, "runs_empty_asked", True))
        return
    with st.container(width="content"):
        draw_facts(f"Delete {count:,} run{'s' if count > 1 else ''} for good? This frees {file_size(size)}.")
    st.button("Delete for good", key="runs_empty_yes", on_click=_empty)
    st.button("Keep them", key="runs_empty_no", type="tertiary", on_click=partial(forget, "runs_empty_asked"))


def _empty() -> None:
    forget("runs_empty_asked")
    try:
        sentence = f"The trash is empty; {file_size(empty_trash())} are free again."
    except OSError as error:
        sentence = f"The trash could not be emptied: {error.strerror or error}. Check the folder's permissions."
    remember(NOTICE, {"places": [], "sentence": sentence})


@lru_cache(maxsize=2_000)
def _trashed_size(place: Path) -> int:
    return Run(place).size


def _name_of(place: Path) -> str:
    try:
        return Run(place).about.name
    except ReviewscopeError:
        return ""
