"""The list of runs: what is looked for, in which order, and which are ticked. All of it stands in the URL.

A table reports ticks by the place of a row. So a table belongs to the ids that it shows: when these change, because a
run came, went or moved, a new table takes its place with the same ids ticked, and what an old one still reports is
read by the ids that the old one showed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from core.wording import DASH, interval_text, percent
from dashboard.components import ago, draw_caption, duration, file_size
from dashboard.run_facts import GroupFacts, RunFacts, data_name, single_facts
from dashboard.state import from_url, recall, remember, to_url

LATEST = "latest"
ROW_HEIGHT = 38
MOST_ROWS = 12
# What a pill stands for; a state that is in none of them is found without a pill.
STATES: Mapping[str, tuple[str, ...]] = {
    "finished": ("finished",),
    "running": ("running", "queued"),
    "stopped": ("stopped", "paused"),
    "failed": ("failed", "interrupted"),
}
STARRED = "starred"
ORDERS: Mapping[str, str] = {
    "accuracy": "Best validation first",
    "newest": "Newest first",
    "duration": "Longest first",
    "size": "Largest first",
    "name": "By name",
}
SORT_KEYS: Mapping[str, Callable[[GroupFacts, bool], Any]] = {
    "accuracy": lambda facts, last: (-facts.rank(last=last), -facts.created),
    "newest": lambda facts, last: -facts.created,
    "duration": lambda facts, last: -(facts.seconds or 0.0),
    "size": lambda facts, last: -(facts.model_size or 0),
    "name": lambda facts, last: facts.group.name.casefold(),
}


@dataclass(frozen=True)
class View:
    """What is listed and how.

    Attributes:
        words: What name, note or a tag contains.
        states: Keys of ``STATES``, or "starred"; none means all.
        order: A key of ``ORDERS``.
        last: Whether the last epoch's accuracy is shown, not that of the kept weights.
        unfolded: The group whose members are listed under it.
    """

    words: str = ""
    states: tuple[str, ...] = ()
    order: str = "accuracy"
    last: bool = False
    unfolded: str | None = None


def view_from_url() -> View:
    """Return what the URL says; what is no choice counts as none."""
    states = (from_url("state") or "").split(",")
    order = from_url("sort") or ""
    return View(
        words=(from_url("search") or "")[:200],
        states=tuple(name for name in (*STATES, STARRED) if name in states),
        order=order if order in ORDERS else "accuracy",
        last=from_url("value") == "last",
        unfolded=from_url("open"),
    )


def chosen_from_url(groups: Sequence[GroupFacts]) -> list[GroupFacts]:
    """Return what is ticked, in the order of ticking; ids of runs that are gone count as none."""
    members = {member.run.run_id: member for group in groups for member in group.members}
    known = {group.group_id: group for group in groups}
    chosen: dict[str, GroupFacts] = {}
    for name in ids_from_url():
        if name == LATEST and members:
            newest = max(members.values(), key=lambda member: (member.about.created, member.run.run_id))
            chosen.setdefault(newest.run.run_id, single_facts(newest))
        elif name in known:
            chosen.setdefault(name, known[name])
        elif name in members:
            chosen.setdefault(name, single_facts(members[name]))
    return list(chosen.values())


def ids_from_url() -> list[str]:
    """Return the ids that the URL names."""
    return [name for name in (from_url("runs") or "").split(",") if name]


def choose(ids: Sequence[str]) -> None:
    """Tick these and no others."""
    to_url(runs=",".join(ids) or None)


def list_rows(groups: Sequence[GroupFacts], view: View) -> list[GroupFacts]:
    """Return what the table shows, in order; the members of the unfolded group stand under it."""
    found = [group for group in groups if matches(group, view)]
    rows: list[GroupFacts] = []
    for group in sorted(found, key=lambda each: SORT_KEYS[view.order](each, view.last)):
        rows.append(group)
        if group.group_id == view.unfolded and len(group.members) > 1:
            rows += [single_facts(member) for member in group.members]
    return rows


def matches(group: GroupFacts, view: View) -> bool:
    """Tell whether a group, or one of its members, is what is looked for."""
    words = view.words.casefold()
    statuses = {status for name in view.states for status in STATES.get(name, ())}

    def is_wanted(member: RunFacts) -> bool:
        said = (group.group.name, member.about.name, member.about.note, *member.about.tags, member.run.run_id)
        return (
            (not words or any(words in text.casefold() for text in said))
            and (not statuses or member.state.status in statuses)
            and (STARRED not in view.states or member.about.star)
        )

    return any(is_wanted(member) for member in group.members)


def draw_controls(view: View) -> None:
    """Draw search, states, order and which value is shown; each writes itself into the URL."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        _keep("runs_search", view.words)
        st.text_input(
            "Search", placeholder="name, note or tag", key="runs_search", label_visibility="collapsed", width=250,
            on_change=partial(_take, "search", "runs_search"),
        )  # fmt: skip
        _keep("runs_states", list(view.states))
        st.pills(
            "States", [*STATES, STARRED], selection_mode="multi", key="runs_states", label_visibility="collapsed",
            on_change=_take_states,
        )  # fmt: skip
        _keep("runs_latest", LATEST if ids_from_url() == [LATEST] else None)
        st.pills(
            "Follow", [LATEST], format_func=lambda _: "Latest run", key="runs_latest", label_visibility="collapsed",
            on_change=_take_latest,
        )  # fmt: skip
        with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
            _keep("runs_last", view.last)
            st.toggle("Last instead of best", key="runs_last", on_change=_take_last)
            _keep("runs_sort", view.order)
            st.selectbox(
                "Order", list(ORDERS), format_func=ORDERS.__getitem__, key="runs_sort", label_visibility="collapsed",
                width=190, on_change=partial(_take, "sort", "runs_sort", "accuracy"),
            )  # fmt: skip


def _keep(key: str, value: Any) -> None:
    """Let a widget show what the URL says."""
    if recall(key) != value:
        remember(key, value)


def _take(name: str, key: str, default: str = "") -> None:
    value = str(recall(key) or "").strip()
    to_url(**{name: value if value != default else None})


def _take_states() -> None:
    to_url(state=",".join(recall("runs_states") or []) or None)


def _take_last() -> None:
    to_url(value="last" if recall("runs_last") else None)


def _take_latest() -> None:
    choose([LATEST] if recall("runs_latest") else [])


def draw_table(rows: Sequence[GroupFacts], chosen: Sequence[GroupFacts], view: View) -> None:
    """Draw the list with what is ticked; a tick goes into the URL."""
    if not rows:
        with st.container(border=True, key="empty-search"):
            draw_caption("No run matches what is looked for.")
            st.button("Show all runs", key="runs_clear", on_click=partial(to_url, search=None, state=None))
        return
    shown = tuple(row.group_id for row in rows)
    ticked = [place for place, name in enumerate(shown) if name in {each.group_id for each in chosen}]
    key = _table_key(shown, ticked)
    has_groups = any(len(row.members) > 1 for row in rows)
    st.dataframe(
        rows_frame(rows, view), hide_index=True, key=key, row_height=ROW_HEIGHT, selection_mode="multi-row",
        height="content" if len(rows) <= MOST_ROWS else ROW_HEIGHT * MOST_ROWS + ROW_HEIGHT,
        on_select=partial(_take_ticks, key, shown), selection_default={"selection": {"rows": recall("runs_ticked")}},
        column_config=_columns(has_groups), alt="Runs",
    )  # fmt: skip
    # The members of a group that is listed are shown by its row.
    listed = {*shown, *(member.run.run_id for row in rows for member in row.members)}
    hidden = sum(each.group_id not in listed for each in chosen)
    if hidden > 0:
        draw_caption(f"{hidden} more {'is' if hidden == 1 else 'are'} ticked and not in this list.")


def _table_key(shown: tuple[str, ...], ticked: list[int]) -> str:
    """Return the key of the table: another one when other ids are shown, or were ticked elsewhere than in it."""
    number = recall("runs_table", 0)
    state = recall(f"runs_table_{number}")
    reported = sorted(state["selection"]["rows"]) if state else recall("runs_ticked")
    if recall("runs_shown") != shown or reported != ticked:
        number += 1
        remember("runs_table", number)
        remember("runs_shown", shown)
        remember("runs_ticked", ticked)
    return f"runs_table_{number}"


def _take_ticks(key: str, shown: tuple[str, ...]) -> None:
    """Put what is ticked into the URL: first what was ticked before, then the new ones as they stand."""
    ticked = {shown[row] for row in recall(key)["selection"]["rows"] if row < len(shown)}
    before = [name for name in ids_from_url() if name != LATEST]
    kept = [name for name in before if name in ticked or name not in shown]
    choose([*kept, *(name for name in shown if name in ticked and name not in kept)])


def rows_frame(rows: Sequence[GroupFacts], view: View) -> pd.DataFrame:
    """Return the table's columns."""
    found, members_left = [], 0
    for row in rows:
        found.append(_row(row, view, is_member=members_left > 0))
        members_left = len(row.members) if row.group_id == view.unfolded else members_left - 1
    return pd.DataFrame(found)


def _row(row: GroupFacts, view: View, *, is_member: bool) -> dict[str, Any]:
    best = row.best(last=view.last)
    tests = [test for member in ((best,) if not row.is_seeds else row.members) if (test := member.test) is not None]
    interval = best.test_interval if not row.is_seeds else None
    epoch = best.epoch(last=view.last) if not row.is_seeds else None
    return {
        "★": "★" if any(member.about.star for member in row.members) else "",
        "Run": f"└ {row.group.title}" if is_member else row.group.title,
        "Data": data_name(row.first.config),
        "State": row.state_words().removesuffix(" finished"),  # "1 of 2": more is cut
        "While training": row.sparkline(),
        "Validation": accuracy_words(row, last=view.last),
        "Epoch": f"{epoch} of {best.epochs}" if epoch is not None else DASH,
        "Test": percent(sum(tests) / len(tests) if tests else None),
        "95 % interval": interval_text(*interval) if interval else DASH,
        "Took": took_words(row),
        "Size": file_size(row.model_size) if row.model_size else DASH,
        "When": ago(row.created),
    }


def took_words(row: GroupFacts) -> str:
    """Return how long training took, or has taken so far."""
    seconds = row.seconds_so_far
    if seconds is None or row.seconds is not None:
        return duration(row.seconds)
    return f"{duration(seconds if seconds < 60 else 60 * round(seconds / 60))} so far"


def accuracy_words(row: GroupFacts, *, last: bool) -> str:
    """Return a run's validation accuracy, and of several runs how it is spread."""
    if len(row.members) == 1:
        return percent(row.members[0].accuracy(last=last))
    found = row.spread(last=last)
    if found is None:
        return DASH
    ends = interval_text(found.low, found.high)
    if not row.is_seeds:
        return f"{percent(found.high)} best ({ends})"
    if found.n == 1:
        return f"{percent(found.mean)} (1 of {len(row.members)} runs)"
    return f"{percent(found.mean)} mean ({ends}" + (f", sd {100 * found.sd:.1f})" if found.sd is not None else ")")


def _columns(has_groups: bool) -> dict[str, Any]:
    """Return the widths in px; left to itself the table cuts names short."""
    widths = {
        "★": 26, "Run": 130 if has_groups else 190, "Data": 90, "State": 76, "Validation": 198 if has_groups else 84,
        "Epoch": 58, "Test": 60, "95 % interval": 92, "Took": 84, "Size": 68, "When": 80,
    }  # fmt: skip
    figures = ("Validation", "Epoch", "Test", "Took", "Size")
    columns: dict[str, Any] = {
        name: st.column_config.TextColumn(width=width, alignment="right" if name in figures else "left")
        for name, width in widths.items()
    }
    width = 94 if has_groups else 110
    columns["While training"] = st.column_config.LineChartColumn(y_min=0.5, y_max=1.0, color="gray", width=width)
    return columns
