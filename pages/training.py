"""Choose data and preset, start, watch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import settings
from core.config import PRESETS, RunConfig, preset_config
from core.errors import ReviewscopeError
from core.jobs import start_worker
from core.model_figures import list_shipped, look_up
from core.runs import Run, find_run, list_runs
from core.training.forecast import RULER, estimate
from core.wording import DASH, percent
from dashboard import state
from dashboard.components import (
    about_duration,
    ago,
    draw_caption,
    draw_head,
    draw_label,
    draw_section,
    duration,
    failed_box,
)
from dashboard.forecast_panel import (
    Outlook,
    budget_problem,
    build_bars,
    choose_earlier,
    draw_budget,
    draw_forecast,
    draw_forecast_chart,
    draw_no_forecast,
    draw_plan_sentence,
    fit_plan,
    look_ahead,
    total_seconds,
)
from dashboard.forms import draw_config_form
from dashboard.queue_view import draw_live_queue
from dashboard.repeats import Repeats, draw_repeats
from dashboard.run_snapshot import DATA_NAMES
from dashboard.run_view import draw_run
from dashboard.settings_source import (
    Source,
    changed_words,
    draw_settings_file,
    draw_source,
    preset_source,
    table_is_elsewhere,
)
from dashboard.start_box import Options, draw_options, draw_start
from dashboard.table_choice import (
    ChosenData,
    choose_source,
    draw_corrections,
    draw_table_choice,
    source_from_url,
    url_of,
)
from dashboard.which_model import draw_which_model, known_words

LAST_RUNS = 5
DATA_SENTENCES = {
    "demo": "2,800 invented reviews to learn from, a tenth of them for validation, and 1,200 kept aside for test. "
    "One label in twenty is wrong on purpose.",
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
    """Draw the data, the preset and the settings on the left, the forecast and the one button on the right."""
    draw_head("Train a model", "Choose the data and how long you have. The forecast is measured on this machine.")
    source = draw_source()
    runs = list_runs()
    earlier = choose_earlier(runs)
    left, right = st.columns([5, 4], gap="large")
    box = right.container(border=True)
    forecast_part, chart_part, budget_part, start_part = (box.container() for _ in range(4))
    with start_part:
        name_part, options = st.container(), draw_options()
    with left:
        data = draw_data_choice(source)
        presets = look_at_presets(data, earlier, options)
        can_rehearse = data is not None and not data.problem and not is_to_be_fetched(data, runs)
        preset = draw_preset_choice(presets, can_rehearse, runs)
        source = source if source is not None and source.preset == preset else preset_source(preset)
        config = draw_settings(source, data)
        repeats, repeats_part = draw_repeats_choice(config)
    outlooks = [look_ahead(each, earlier, with_test=options.with_test) for each in repeats.configs]
    with forecast_part:
        draw_label("Forecast")
        if data is None:
            draw_no_forecast("Choose a labelled table first, and how its labels are read.")
        elif data.problem:
            draw_no_forecast(data.problem)
        elif can_rehearse:
            draw_forecast(outlooks, [*repeats.configs, presets[RULER].config], preset)
        else:
            draw_unfetched()
    with budget_part:
        budget = draw_budget()
        plan = fit_plan(outlooks, budget, are_seeds=repeats.kind == "seeds")
        if data is not None and data.problem:
            plan = replace(plan, sentence="", problem=data.problem)
        draw_plan_sentence(plan)
    with chart_part:
        limit = None if budget_problem(budget) else budget
        draw_forecast_chart(build_bars(presets, preset, outlooks, can_rehearse=can_rehearse), limit)
    draw_repeats_sentence(repeats, outlooks, repeats_part)
    with start_part:
        draw_start(source, data, plan, repeats, options, runs, name_part)
    draw_live_queue()
    draw_runs(runs)


def draw_data_choice(origin: Source | None) -> ChosenData | None:
    """Draw the choice of data; None while a table is missing or a label of it is not read yet."""
    draw_section("1 · Data")
    state.remember("data-source", source_from_url())
    source = st.segmented_control(
        "Data set", ["imdb", "demo", "table"], required=True, key="data-source", format_func=DATA_NAMES.__getitem__,
        label_visibility="collapsed", on_change=choose_source, args=("data-source",),
    )  # fmt: skip
    if source == "table":
        data = draw_source_table(origin) if origin is not None else draw_table_choice()
    else:
        draw_caption(imdb_sentence() if source == "imdb" else DATA_SENTENCES["demo"])
        data = ChosenData(source)
    if data is not None:
        data = draw_corrections(data)
        st.page_link(
            "../pages/data.py", label="Look at the data", icon=":material/table_view:", query_params=url_of(source)
        )
    return data


def imdb_sentence() -> str:
    """Return what IMDB is and where it comes from on this machine."""
    what = "25,000 reviews to learn from, a tenth of them for validation, and 25,000 kept aside for test."
    if settings.data_folder() is not None:
        return f"{what} Read from the folder that {settings.DATA_VARIABLE} names."
    return f"{what} The first training fetches them (84 MB) from the Hugging Face hub."


def draw_source_table(origin: Source) -> ChosenData | None:
    """Draw the choice of a table; one of an earlier run that was never uploaded here is used where it lies."""
    if state.from_url("table") is not None or not table_is_elsewhere(origin.config):
        return draw_table_choice()
    data = origin.config.data
    is_there = data.path is not None and Path(data.path).exists()
    after = "It is used unless you choose another." if is_there else "It is not there any more: upload it again."
    draw_caption(f"{origin.name} read the table {data.path}. {after}")
    chosen = draw_table_choice()
    if chosen is not None or not is_there or data.path is None:
        return chosen
    return ChosenData(data.path, data.text_column, data.label_column, data.label_map)


def look_at_presets(data: ChosenData | None, earlier: Sequence[Run], options: Options) -> dict[str, Outlook]:
    """Return what is known of each preset on the chosen data."""
    configs = {name: preset_config(name) for name in PRESETS}
    if data is None:
        return {name: Outlook(config) for name, config in configs.items()}
    outlooks = {
        name: look_ahead(data.apply(config), earlier, with_test=options.with_test) for name, config in configs.items()
    }
    ruler = outlooks[RULER].forecast
    return {name: replace(outlook, estimate=estimate(name, ruler)) for name, outlook in outlooks.items()}


def draw_preset_choice(presets: Mapping[str, Outlook], can_rehearse: bool, runs: Sequence[Run]) -> str:
    """Draw which to take, and the presets: how long each is about to take, and what is known of its accuracy."""
    draw_section("2 · Model")
    configs = {name: outlook.config for name, outlook in presets.items()}
    known = look_up(configs, runs, {name: speed for name in presets if (speed := presets[name].scoring_speed)})
    draw_which_model(known, state.recall("preset") or next(iter(PRESETS)))
    known = list_shipped("test") | known
    captions = [
        f"{PRESETS[name].summary}  \n**{expected_time(name, outlook, can_rehearse)}**{known_words(known.get(name))}"
        for name, outlook in presets.items()
    ]
    return st.radio("Preset", list(PRESETS), captions=captions, key="preset", label_visibility="collapsed")


def expected_time(preset: str, outlook: Outlook, can_rehearse: bool) -> str:
    """Return how long a preset is about to take, in words."""
    if outlook.forecast is not None:
        return about_duration(outlook.forecast.seconds)
    if can_rehearse and not outlook.failure and preset in (RULER, state.recall("preset")):
        return "rehearsing"
    if outlook.estimate is not None:
        return f"{about_duration(outlook.estimate.seconds)}, estimated"
    return "not rehearsed yet" if can_rehearse and not outlook.failure else "no forecast"


def draw_settings(source: Source, data: ChosenData | None) -> RunConfig | None:
    """Draw the form of all settings, folded, and what was changed; return the config, None when it is not complete."""
    config = data.apply(source.config) if data is not None else source.config
    generation = state.recall("form-generation", 0)
    with st.expander("Change settings", icon=":material/tune:"):
        try:
            chosen = draw_config_form(source.fill(config), f"form{generation}.{source.key}")
        except ReviewscopeError as error:
            with failed_box("settings", str(error), "Nothing was started."):
                draw_caption("Correct the value above.")
            return None
        draw_settings_file()
    if changed := changed_words(source, config, chosen):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False):
            with st.container(width="stretch"):
                draw_caption(changed)
            if st.button("Reset", key="reset", type="tertiary"):
                state.remember("form-generation", generation + 1)
                state.to_url(rate=None)
                st.rerun()
    return chosen if data is not None else None


def draw_repeats_choice(config: RunConfig | None) -> tuple[Repeats, DeltaGenerator]:
    """Draw how often to train; return the runs and the place of a sentence about them."""
    draw_section("3 · How often")
    return draw_repeats(config), st.container()


def draw_repeats_sentence(repeats: Repeats, outlooks: Sequence[Outlook], place: DeltaGenerator) -> None:
    """Draw how many runs a choice means and how long all of them take, or why they cannot start."""
    seconds = total_seconds(outlooks)
    takes = f", {about_duration(seconds)}" if seconds is not None else ""
    with place:
        if repeats.kind != "once":
            shape = f"{repeats.shape}{takes}. " if repeats.shape else ""
            draw_caption(f"{shape}{repeats.problem}")


def is_to_be_fetched(data: ChosenData, runs: Sequence[Run]) -> bool:
    """Tell whether a rehearsal would fetch the data from outside, which nobody has asked for yet."""
    if data.data != "imdb" or settings.data_folder() is not None or state.recall("fetch-imdb"):
        return False
    return not any(run.settings.config.data.source == "imdb" and run.origin is not None for run in runs)


def draw_unfetched() -> None:
    """Offer to fetch the data now, so that there can be a forecast."""
    draw_no_forecast(
        "IMDB is not on this computer yet. The first training fetches it (84 MB) from the Hugging Face hub."
    )
    st.button(
        "Fetch it now and rehearse", key="fetch", type="tertiary", on_click=state.remember, args=("fetch-imdb", True)
    )


def draw_runs(runs: list[Run]) -> None:
    """Draw the last runs; a chosen row opens the run."""
    if not runs:
        return
    draw_section("Last runs", "Choose one to open it. Accuracy with the weights that validation picked.")
    rows = [run_row(run) for run in runs[:LAST_RUNS]]
    event = st.dataframe(
        pd.DataFrame(rows), hide_index=True, on_select="rerun", selection_mode="single-row", key="runs", row_height=38,
        height="content", alt="The last runs, newest first",
    )  # fmt: skip
    st.page_link("../pages/runs.py", label="All runs")
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
