"""One run, or the runs that were queued together: figures, what people may change, and what can be done."""

from functools import partial

import pandas as pd
import streamlit as st

from core.config import RunConfig
from core.default_model import default_model, use_model
from core.errors import ReviewscopeError
from core.prediction.exchange import check_model
from core.run_groups import differing_settings, flatten_settings, setting_title
from core.runs import Run, clean_name
from core.wording import DASH, interval_text, percent
from dashboard.components import (
    ago,
    draw_caption,
    draw_chart_title,
    draw_facts,
    draw_section,
    duration,
    failed_box,
    file_size,
)
from dashboard.run_facts import GroupFacts, RunFacts, data_name, disk_size, single_facts
from dashboard.run_trash import delete
from dashboard.runs_table import View, choose, rows_frame, took_words
from dashboard.state import from_url, recall, remember, to_url

LONGEST_NOTE = 2_000
MOST_TAGS = 20
MEMBER_WIDTHS = {"Run": 110, "Seed": 56, "State": 76, "Validation": 82, "Test": 64, "Took": 80}


def draw_card(facts: RunFacts, group: GroupFacts | None, parent: RunFacts | None) -> None:
    """Draw a run.

    Args:
        facts: The run.
        group: The runs that it was queued with, if any.
        parent: The run whose settings it was made from, if that is still there.
    """
    about, state = facts.about, facts.state
    words = [data_name(facts.config), f"preset {about.preset}", state.status, ago(about.created), facts.run.run_id]
    draw_section(about.name, " · ".join(words))
    if state.message:
        draw_facts(state.message)
    _draw_figures(facts)
    _draw_buttons(facts)
    if group is not None:
        _draw_belonging(group)
    left, right = st.columns(2, gap="large")
    with left:
        _draw_about(facts)
    with right:
        draw_chart_title("Settings", _origin_sentence(facts, parent))
        st.dataframe(
            settings_frame(facts.config, parent.config if parent else None), hide_index=True, height=302,
            key="runs_settings", alt="Settings of the run",
        )  # fmt: skip


def _draw_figures(facts: RunFacts) -> None:
    with st.grid(min_column_width=150, gap="medium"):
        _figure("Validation accuracy, kept", percent(facts.accuracy()), facts.valid_interval)
        epoch = facts.epoch()
        _figure("Kept epoch", f"{epoch} of {facts.epochs}" if epoch else DASH, f"by {facts.config.training.best_by}")
        _figure("Test accuracy", percent(facts.test), facts.test_interval or "not scored yet")
        _figure("Took", took_words(single_facts(facts)), None)
        _figure("On disk", file_size(disk_size([facts])), f"model {file_size(facts.model_size or 0)}")


def _figure(label: str, value: str, chip: tuple[float, float] | str | None) -> None:
    words = interval_text(*chip) if isinstance(chip, tuple) else chip
    st.metric(label, value, delta=words, delta_color="off", delta_arrow="off")


def _draw_buttons(facts: RunFacts) -> None:
    run, has_model = facts.run, facts.model_size is not None
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Open curve", type="primary", key="runs_open"):
            st.switch_page("../pages/training.py", query_params={"run": run.run_id})
        if st.button("New from this run", key="runs_new_from"):
            st.switch_page("../pages/training.py", query_params={"from": run.run_id})
        if default_model() == run.run_id:
            draw_caption("In use for predictions.")
        else:
            st.button("Use this model", key="runs_use", disabled=not has_model, on_click=partial(_use, run.run_id))
        # The bytes are read when the button is pressed, not when it is drawn.
        st.download_button(
            "Export model", partial(_model_bytes, run), file_name=f"{run.run_id}.safetensors", key="runs_export",
            mime="application/octet-stream", on_click="ignore", disabled=not has_model,
        )  # fmt: skip
        st.download_button(
            "Settings as JSON", facts.config.model_dump_json(indent=2) + "\n", file_name=f"{run.run_id}.json",
            key="runs_settings_json", mime="application/json", on_click="ignore",
        )  # fmt: skip
        st.button("Delete", type="tertiary", key="runs_delete", on_click=partial(delete, [facts]))
    if refused := recall("runs_refused"):
        remember("runs_refused", None)
        with failed_box("runs-action", refused, "Nothing was changed."):
            st.button("Close", key="runs_refused_close")


def _use(reference: str) -> None:
    try:
        use_model(reference)
    except ReviewscopeError as error:
        remember("runs_refused", str(error))


def _model_bytes(run: Run) -> bytes:
    check_model(run.model_file)
    return run.model_file.read_bytes()


def _draw_belonging(group: GroupFacts) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="content"):
            draw_caption(f"One of {group.group.title}.")
        st.button(
            "Show them together", type="tertiary", key="runs_together", on_click=partial(choose, [group.group_id])
        )


def _draw_about(facts: RunFacts) -> None:
    """Draw what people may change; each is saved as soon as it is left."""
    run, about = facts.run, facts.about
    for field, value in (("name", about.name), ("tags", ", ".join(about.tags)), ("note", about.note)):
        if recall(f"runs_{field}_{run.run_id}") is None:  # else it shows what was typed
            remember(f"runs_{field}_{run.run_id}", value)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    row.text_input("Name", max_chars=200, key=f"runs_name_{run.run_id}", on_change=partial(_save, run, "name"))
    row.button(
        "Remove the star" if about.star else "Star",
        key="runs_star",
        icon=":material/star:",
        on_click=partial(_star, run),
    )
    st.text_input(
        "Tags, with commas between", max_chars=400, key=f"runs_tags_{run.run_id}",
        on_change=partial(_save, run, "tags"),
    )  # fmt: skip
    st.text_area(
        "Note", max_chars=LONGEST_NOTE, height=118, key=f"runs_note_{run.run_id}",
        on_change=partial(_save, run, "note"),
    )  # fmt: skip


def _star(run: Run) -> None:
    _save_about(run, {"star": not run.about.star})


def _save(run: Run, field: str) -> None:
    """Save what was typed, and let its box show what was made of it."""
    key = f"runs_{field}_{run.run_id}"
    value = str(recall(key) or "")
    if field == "tags":
        tags = tuple(dict.fromkeys(tag for part in value.split(",") if (tag := clean_name(part).strip())))[:MOST_TAGS]
        _save_about(run, {"tags": tags})
        remember(key, ", ".join(tags))
    elif field == "note":
        _save_about(run, {"note": value})
    else:
        name = clean_name(value).strip() or run.about.name
        _save_about(run, {"name": name})
        remember(key, name)


def _save_about(run: Run, changes: dict[str, object]) -> None:
    try:
        run.save_about(run.about.model_copy(update=changes))
    except ReviewscopeError as error:
        remember("runs_refused", str(error))


def _origin_sentence(facts: RunFacts, parent: RunFacts | None) -> str:
    if facts.run.settings.parent is None:
        return "All that decided its weights."
    if parent is None:
        return f"Made from {facts.run.settings.parent}, which is not here any more."
    count = len(differing_settings([parent.config, facts.config]))
    return f"Made from {parent.about.name}; what was changed stands first, {count} in all."


def settings_frame(config: RunConfig, parent: RunConfig | None) -> pd.DataFrame:
    """Return all settings as words; those that differ from the parent's stand first, with the parent's value."""
    changed = differing_settings([parent, config]) if parent is not None else {}
    rows = [
        {"Setting": setting_title(name, config), "Value": setting_words(value)} | (
            {"Before": setting_words(changed[name][0]) if name in changed else ""} if parent is not None else {}
        )
        for name, value in sorted(flatten_settings(config).items(), key=lambda item: item[0] not in changed)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def setting_words(value: object) -> str:
    """Return a setting's value in words."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def draw_group_card(group: GroupFacts) -> None:
    """Draw runs that were queued together as one: of seeds mean, range and spread, of a grid the best."""
    first = group.first
    draw_section(group.group.title, f"{data_name(first.config)} · preset {first.about.preset} · {group.state_words()}")
    with st.grid(min_column_width=150, gap="medium"):
        if group.is_seeds:
            _draw_seed_figures(group)
        else:
            _draw_grid_figures(group)
        _figure("Took, all", duration(group.seconds), None)
        _figure("On disk, all", file_size(disk_size(group.members)), None)
    with st.container(horizontal=True):
        is_open = from_url("open") == group.group_id
        st.button(
            "Fold them in the list" if is_open else f"List all {len(group.members)} above", key="runs_unfold",
            on_click=partial(to_url, open=None if is_open else group.group_id),
        )  # fmt: skip
        if st.button("New from these settings" if group.is_seeds else "New from the best", key="runs_new_from"):
            source = first if group.is_seeds else group.best()
            st.switch_page("../pages/training.py", query_params={"from": source.run.run_id})
        st.button(
            f"Delete {len(group.members)}", type="tertiary", key="runs_delete", on_click=partial(delete, group.members)
        )


def _draw_seed_figures(group: GroupFacts) -> None:
    found, tests = group.spread(), [member.test for member in group.members if member.test is not None]
    ends = f"range {interval_text(found.low, found.high)}" if found else "no validation yet"
    _figure("Validation accuracy, mean", percent(found.mean if found else None), ends)
    sd = None if found is None or found.sd is None else f"{100 * found.sd:.2f} points"
    _figure("Seed noise", sd or DASH, "standard deviation" if sd else "it takes 2 seeds")
    test = sum(tests) / len(tests) if tests else None
    _figure("Test accuracy, mean", percent(test), interval_range(tests) or "not scored yet")


def _draw_grid_figures(group: GroupFacts) -> None:
    found, best = group.spread(), group.best()
    _figure("Best validation accuracy", percent(best.accuracy()), best.valid_interval)
    _figure("Its test accuracy", percent(best.test), best.test_interval or "not scored yet")
    known = f"of {found.n} with a validation" if found else "no validation yet"
    _figure("Worst", percent(found.low if found else None), known)


def interval_range(values: list[float]) -> str | None:
    """Return the range of several shares in words; None without one."""
    return f"range {interval_text(min(values), max(values))}" if values else None


def draw_members(group: GroupFacts) -> None:
    """Draw the runs of a group; a chosen row opens it."""
    draw_chart_title("Its runs", "Click one to see it alone.")
    rows = [single_facts(member) for member in group.members]
    frame = rows_frame(rows, View())[["Run", "State", "Validation", "Test", "Took"]]
    frame.insert(1, "Seed", [str(member.config.training.seed) for member in group.members])
    st.dataframe(
        frame, hide_index=True, row_height=38, height=38 * (min(len(rows), 6) + 1), selection_mode="single-row",
        key=f"runs_members_{group.group_id}_{len(rows)}", alt="Runs of the group",
        on_select=partial(_open_member, f"runs_members_{group.group_id}_{len(rows)}", [row.group_id for row in rows]),
        column_config={
            name: st.column_config.TextColumn(width=width) for name, width in MEMBER_WIDTHS.items()
        },
    )  # fmt: skip


def _open_member(key: str, ids: list[str]) -> None:
    rows = recall(key)["selection"]["rows"]
    if rows:
        choose([ids[rows[0]]])
