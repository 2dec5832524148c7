"""Everything trained here: find it, lay it side by side, keep it or throw it away."""

import time
from collections.abc import Sequence
from functools import partial

import streamlit as st

from dashboard.components import draw_caption, draw_facts, draw_head, empty_box, file_size
from dashboard.model_import import draw_import, draw_imported
from dashboard.run_card import draw_card, draw_group_card
from dashboard.run_comparison import draw_group, draw_many, draw_two
from dashboard.run_facts import (
    GroupFacts,
    RunFacts,
    States,
    disk_size,
    list_states,
    load_all,
    single_facts,
)
from dashboard.run_trash import delete, draw_notice, draw_trash
from dashboard.runs_table import choose, chosen_from_url, draw_controls, draw_table, list_rows, view_from_url

POLL_SECONDS = 2.0


def main() -> None:
    """Draw the list, then what is ticked in it, then what was thrown away."""
    listing = load_all()
    draw_page_head()
    draw_notice()
    if listing.groups:
        draw_list(listing.groups)
    else:
        draw_nothing()
    draw_damaged(listing.damaged)
    draw_imported()
    draw_trash()
    st.fragment(watch, run_every=POLL_SECONDS)(listing.states, time.monotonic())


def draw_page_head() -> None:
    """Draw the title, and the import at the right."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
        with st.container(width="content"):
            draw_head("Runs", "Everything trained here. Pick two to compare them on the same reviews.")
        with st.container(width="content"):
            draw_import()


def draw_nothing() -> None:
    """Draw what stands here before anything was trained."""
    how = "Train one: the fast preset takes seconds on the demo corpus."
    with empty_box("runs", "Your runs will stand here, with their figures, curves and models.", how):
        if st.button("Train a model", type="primary", key="runs_train"):
            st.switch_page("../pages/training.py")


def draw_list(groups: list[GroupFacts]) -> None:
    """Draw the table, and under it what is ticked."""
    view, chosen = view_from_url(), chosen_from_url(groups)
    draw_controls(view)
    draw_table(list_rows(groups, view), chosen, view)
    if not chosen:
        draw_caption(
            "Tick a run to see it, two to compare them. The line is validation accuracy at each epoch, 50 to 100 %; "
            "the accuracy is that of the kept weights; the interval is the test figure's."
        )
        return
    if len(chosen) == 1:
        draw_one(chosen[0], groups)
        return
    draw_chosen(chosen)
    laid_out = unfold(chosen)
    if len(laid_out) == 2:
        draw_two(*laid_out, groups)
    else:
        draw_many(laid_out, groups)


def draw_one(group: GroupFacts, groups: Sequence[GroupFacts]) -> None:
    """Draw one run, one group of seeds, or the runs of one grid."""
    if len(group.members) == 1:
        run = group.first
        mates = next((each for each in groups if run in each.members and len(each.members) > 1), None)
        draw_card(run, mates, find_member(groups, run.run.settings.parent))
    elif group.is_seeds:
        draw_group_card(group)
        draw_group(group, groups)
    else:
        draw_group_card(group)
        draw_many(unfold([group]), groups)


def unfold(chosen: Sequence[GroupFacts]) -> list[GroupFacts]:
    """Return what is laid side by side: the runs of a grid one by one, the best first; seeds as one."""
    laid_out: dict[str, GroupFacts] = {}
    for group in chosen:
        parts = [single_facts(member) for member in group.members] if group.group.kind == "grid" else [group]
        laid_out |= {part.group_id: part for part in sorted(parts, key=lambda part: -part.rank())}
    return list(laid_out.values())


def find_member(groups: Sequence[GroupFacts], run_id: str | None) -> RunFacts | None:
    """Return the run of an id, or None."""
    return next((member for group in groups for member in group.members if member.run.run_id == run_id), None)


def draw_chosen(chosen: Sequence[GroupFacts]) -> None:
    """Draw how many runs are ticked, the space they take, and what can be done with all of them."""
    members = list({member.run.run_id: member for group in chosen for member in group.members}.values())
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        with st.container(width="content"):
            draw_facts(f"{len(members):,} runs, {file_size(disk_size(members))}")
        st.button(f"Delete {len(members):,}", key="runs_delete_many", on_click=partial(delete, members))
        st.button("Untick all", type="tertiary", key="runs_untick", on_click=partial(choose, []))


def draw_damaged(damaged: Sequence[str]) -> None:
    """Name the runs that cannot be read."""
    if damaged:
        names = ", ".join(damaged[:10]) + (" and more" if len(damaged) > 10 else "")
        draw_caption(
            f"{len(damaged):,} {'runs' if len(damaged) > 1 else 'run'} cannot be read and "
            f"{'are' if len(damaged) > 1 else 'is'} not listed: {names}. Restore or delete the folder."
        )


def watch(known: States, drawn: float) -> None:
    """Draw the page anew when a run came, went, changed its state or ended an epoch since it was drawn."""
    if time.monotonic() - drawn > POLL_SECONDS / 2 and list_states() != known:
        st.rerun()


main()
