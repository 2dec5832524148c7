"""Choose data and preset, start, watch."""

import json
from shlex import quote

import pandas as pd
import streamlit as st

from core import settings
from core.config import PRESETS, RunConfig, preset_config, with_data
from core.errors import ReviewscopeError
from core.jobs import enqueue, list_waiting, start_worker
from core.prediction.uploads import find_upload, save_upload
from core.runs import Run, create_run, find_run, list_runs
from dashboard import cache, state
from dashboard.components import (
    DASH,
    ago,
    draw_caption,
    draw_chart_title,
    draw_facts,
    draw_head,
    draw_section,
    duration,
    failed_box,
    percent,
)
from dashboard.forms import changed_settings, draw_config_form
from dashboard.run_view import DATA_NAMES, default_run_name, draw_run

DATA_SENTENCES = {
    "demo": "2,800 invented reviews to learn from, a tenth of them for validation, and 1,200 kept aside for test. "
    "One label in twenty is wrong on purpose.",
    "table": "A CSV with a column of texts and a column of labels. A fifth of it is kept aside for test.",
}


def main() -> None:
    """Show the run that the URL names, or the choice of a new one."""
    run_id = state.from_url("run")
    if run_id is None:
        start_worker("train")  # it loads its libraries while the choice is made
        draw_choice()
        return
    try:
        draw_run(find_run(run_id))
    except ReviewscopeError as error:
        with failed_box("no-run", str(error), "Nothing was lost by opening this address."):
            if st.button("Train a model", type="primary"):
                state.to_url(run=None)
                st.rerun()


def draw_choice() -> None:
    """Draw the data, the preset, the settings and the one button, then the runs that are there."""
    draw_head("Train a model", "Choose the data and the model. Training goes on when this page is closed.")
    runs = list_runs()
    left, right = st.columns([5, 4], gap="large")
    with left:
        data = draw_data_choice()
        preset = draw_preset_choice(runs)
        config = draw_settings(preset, data)
    with right, st.container(border=True):
        draw_start(preset, data, config, runs)
    draw_runs(runs)


def draw_data_choice() -> dict[str, str | None] | None:
    """Draw the choice of data; return the arguments of ``with_data``, or None while a table is missing."""
    draw_section("1 · Data")
    default = "table" if state.from_url("table") else "demo"
    source = st.segmented_control(
        "Data set", ["imdb", "demo", "table"], default=default, required=True, key="data-source",
        format_func=DATA_NAMES.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    if source == "table":
        return draw_table_choice()
    draw_caption(imdb_sentence() if source == "imdb" else DATA_SENTENCES["demo"])
    return {"data": source}


def imdb_sentence() -> str:
    """Return what IMDB is and where it comes from on this machine."""
    what = "25,000 reviews to learn from, a tenth of them for validation, and 25,000 kept aside for test."
    if settings.data_folder() is not None:
        return f"{what} Read from the folder that {settings.DATA_VARIABLE} names."
    return f"{what} The first training fetches them (84 MB) from the Hugging Face hub."


def draw_table_choice() -> dict[str, str | None] | None:
    """Draw the upload of a labelled table and the choice of its columns."""
    draw_caption(DATA_SENTENCES["table"] + f" It stays on this computer, in {settings.home() / 'uploads'}.")
    generation = state.recall("table-generation", 0)
    file = st.file_uploader("Labelled table", type="csv", key=f"table-{generation}", label_visibility="collapsed")
    if file is not None:
        state.to_url(table=save_upload(file, file.name).upload_id)
        state.remember("table-generation", generation + 1)
        st.rerun()
    upload = find_upload(state.from_url("table") or "")
    if upload is None:
        return None
    from core.data.tables import sniff_table

    try:
        columns = list(sniff_table(upload.table).columns)
    except ReviewscopeError as error:
        with failed_box("table", str(error), "Nothing was trained."):
            draw_caption("Choose another file above.")
        return None
    draw_facts(f"{upload.about.name}: {len(columns)} columns.")
    place = range(len(columns))
    text = st.selectbox("Column of texts, by its place", place, format_func=lambda number: column_word(columns, number))
    label = st.selectbox(
        "Column of labels, by its place", place, index=min(1, len(columns) - 1),
        format_func=lambda number: column_word(columns, number),
    )  # fmt: skip
    try:
        negative, positive = cache.count_labels(upload.table, columns[text], columns[label])
    except ReviewscopeError as error:
        with failed_box("labels", str(error), "Nothing was trained."):
            draw_caption("Choose another column of labels, or correct the file and upload it again.")
        return None
    draw_caption(f"{negative:,} negative and {positive:,} positive reviews.")
    return {"data": str(upload.table), "text_column": columns[text], "label_column": columns[label]}


def column_word(columns: list[str], number: int) -> str:
    """Return a column's place and name, shortened."""
    return f"{number + 1}: {columns[number][:40]}"


def draw_preset_choice(runs: list[Run]) -> str:
    """Draw the presets with what earlier runs of them came to here."""
    draw_section("2 · Model")
    captions = [f"{preset.summary} {measured_here(name, runs)}" for name, preset in PRESETS.items()]
    return st.radio("Preset", list(PRESETS), captions=captions, key="preset", label_visibility="collapsed")


def measured_here(preset: str, runs: list[Run]) -> str:
    """Return time and accuracy of the newest finished run of a preset, in words; nothing before there is one."""
    for run in runs:
        if run.about.preset == preset and run.state.status == "finished" and (result := run.result):
            data = DATA_NAMES[run.settings.config.data.source]
            accuracy = percent(result.valid_accuracy)
            return f"Last here: {duration(result.total_seconds)}, {accuracy} on validation ({data})."
    return ""


def draw_settings(preset: str, data: dict[str, str | None] | None) -> RunConfig | None:
    """Draw the form of all settings, folded; return the config, or None when it is not complete."""
    config = preset_config(preset)
    if data is not None:
        config = with_data(config, str(data["data"]), data.get("text_column"), data.get("label_column"))
    generation = state.recall("form-generation", 0)
    with st.expander("Change settings", icon=":material/tune:"):
        try:
            chosen = draw_config_form(config, f"form{generation}.{preset}")
        except ReviewscopeError as error:
            with failed_box("settings", str(error), "Nothing was started."):
                draw_caption("Correct the value above.")
            return None
        changed = changed_settings(config, chosen)
        if changed:
            draw_caption("Changed: " + ", ".join(f"{name} = {value}" for name, value in changed.items()))
            if st.button("Reset to the preset", key="reset"):
                state.remember("form-generation", generation + 1)
                st.rerun()
    return chosen if data is not None else None


def draw_start(preset: str, data: dict[str, str | None] | None, config: RunConfig | None, runs: list[Run]) -> None:
    """Draw the name, the one filled button, and the command that does the same."""
    draw_chart_title("Start", "The run, its curves and its model are kept until you delete them.")
    name = st.text_input("Name of the run", placeholder=default_run_name(preset, runs), key="run-name").strip()
    with_test = st.toggle(
        "Score the test split when it has finished", value=True, key="with-test",
        help="Once, with the weights that validation picked. The test split never picks anything.",
    )  # fmt: skip
    is_busy = any(run.state.status == "running" for run in runs) or bool(list_waiting("train"))
    label = "Add to queue" if is_busy else "Start training"
    if st.button(label, type="primary", width="stretch", disabled=config is None, key="start") and config is not None:
        start(config, preset, name or None, with_test)
    if config is None:
        draw_caption("Choose a labelled table first.")
        return
    draw_caption(busy_sentence(runs) if is_busy else "Nothing else is training, so it starts at once.")
    draw_caption("The same from the command line:")
    st.code(command_line(preset, data or {}, config, name, with_test), language=None, wrap_lines=True)


def start(config: RunConfig, preset: str, name: str | None, with_test: bool) -> None:
    """Make the run, queue it and show it."""
    try:
        run = create_run(config, preset, name, with_test=with_test)
        enqueue(run)
    except ReviewscopeError as error:
        with failed_box("start", str(error), "Nothing was started."):
            draw_caption("Try again in a moment.")
        return
    state.to_url(run=run.run_id)
    st.rerun()


def busy_sentence(runs: list[Run]) -> str:
    """Return who trains now and how many wait."""
    running = [run.about.name for run in runs if run.state.status == "running"]
    waiting = len(list_waiting("train"))
    who = f"{running[0]} is training" if running else "A run is about to begin"
    return f"{who}; {waiting} of 10 places in the queue are taken. This one starts by itself when its turn comes."


def command_line(preset: str, data: dict[str, str | None], config: RunConfig, name: str, with_test: bool) -> str:
    """Return the exact command that trains the same."""
    words = ["python -m core train", f"--preset {preset}", f"--data {quote(str(data['data']))}"]
    for option in ("text_column", "label_column"):
        if data.get(option):
            words.append(f"--{option.replace('_', '-')} {quote(str(data[option]))}")
    base = with_data(preset_config(preset), str(data["data"]), data.get("text_column"), data.get("label_column"))
    for setting, value in changed_settings(base, config).items():
        written = value if isinstance(value, str) else json.dumps(value)
        words.append(f"--set {quote(f'{setting}={written}')}")
    words += [f"--name {quote(name)}"] if name else []
    words += ["--test"] if with_test else []
    return " ".join(words)


def draw_runs(runs: list[Run]) -> None:
    """Draw the runs that are there; a chosen row opens the run."""
    if not runs:
        return
    draw_section("Runs", "Choose one to open it. Newest first; accuracy on validation.")
    rows = [run_row(run) for run in runs[:50]]
    event = st.dataframe(
        pd.DataFrame(rows), hide_index=True, on_select="rerun", selection_mode="single-row", key="runs", row_height=38,
        height="content", alt="Runs, newest first",
    )  # fmt: skip
    chosen = event["selection"]["rows"]
    if chosen:
        state.to_url(run=runs[chosen[0]].run_id)
        st.rerun()


def run_row(run: Run) -> dict[str, str]:
    """Return a run as a row of words."""
    result, config = run.result, run.settings.config
    return {
        "Run": run.about.name,
        "Data": DATA_NAMES[config.data.source],
        "State": run.state.status,
        "Validation": percent(result.valid_accuracy) if result else DASH,
        "Test": percent(result.test_accuracy) if result else DASH,
        "Took": duration(result.total_seconds) if result else DASH,
        "Made": ago(run.created),
    }


main()
