"""What starts a training: its name, the one filled button, when it begins, and the command that does the same."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from shlex import quote

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core import settings
from core.config import RunConfig, preset_config
from core.errors import ReviewscopeError
from core.jobs import MOST_WAITING, room_left, submit_run, submit_runs
from core.run_groups import group_runs
from core.runs import Run
from core.training.forecast import is_training_here
from dashboard import state
from dashboard.components import clock, draw_caption, failed_box
from dashboard.forecast_panel import Plan
from dashboard.forms import changed_settings
from dashboard.queue_view import list_turns
from dashboard.repeats import Repeats, default_group_name
from dashboard.run_view import default_run_name
from dashboard.settings_source import Source
from dashboard.table_choice import ChosenData


@dataclass(frozen=True)
class Options:
    """What is asked for besides the settings."""

    with_test: bool
    with_tensorboard: bool


def draw_options() -> Options:
    """Draw what is asked for besides the settings."""
    with_test = st.toggle(
        "Score the test split when it has finished", value=True, key="with-test",
        help="Once, with the weights that validation picked. The test split never picks anything.",
    )  # fmt: skip
    with_tensorboard = st.toggle(
        "Also write TensorBoard event files", key="with-tensorboard",
        help="The curves once more, in the run's folder, for `tensorboard --logdir`.",
    )  # fmt: skip
    return Options(with_test, with_tensorboard)


def draw_start(
    source: Source,
    data: ChosenData | None,
    plan: Plan,
    repeats: Repeats,
    options: Options,
    runs: list[Run],
    name_part: DeltaGenerator,
) -> None:
    """Draw the name, the one filled button, and the command that does the same."""
    default = default_run_name(source.preset, runs)
    if repeats.are_several:
        default = default_group_name(source.preset, repeats.kind, runs)
    name = name_part.text_input("Name of the run", placeholder=default, key="run-name", max_chars=80).strip()
    can_start = bool(plan.configs) and not plan.problem and not repeats.problem
    is_busy = is_training_here() or room_left("train") <= MOST_WAITING
    label = "Add to queue" if is_busy else "Start training"
    if repeats.are_several:
        label = f"Queue {len(repeats.configs)} runs"
    if st.button(label, type="primary", width="stretch", disabled=not can_start, key="start") and can_start:
        start(plan, source, name or default, options, is_named=bool(name))
    at_once = f"Nothing else is training: {'the first' if repeats.are_several else 'it'} starts at once."
    when = when_sentence(runs) if is_busy else at_once
    if not plan.configs:
        when = "It can start when the choices are complete."
    draw_caption(repeats.problem if repeats.problem and repeats.kind == "once" else when)
    if settings.end_command():
        draw_caption(f"The command in {settings.END_COMMAND_VARIABLE} runs when it has finished or failed.")
    if data is not None and plan.configs:
        with st.expander("The same from the command line"):
            if plan.problem:
                draw_caption(f"There is no command for it yet. {plan.problem}")
                return
            st.code(command_lines(source.preset, data, plan, repeats, name, options), language=None, wrap_lines=True)


def start(plan: Plan, source: Source, name: str, options: Options, *, is_named: bool) -> None:
    """Queue what was planned and show it."""
    asked = {"with_test": options.with_test, "with_tensorboard": options.with_tensorboard, "parent": source.parent}
    try:
        if len(plan.configs) > 1:
            queued = submit_runs(plan.configs, source.preset, name, **asked)
        else:
            queued = [submit_run(plan.configs[0], source.preset, name if is_named else None, **asked)]
    except ReviewscopeError as error:
        with failed_box("start", str(error), "Nothing was started."):
            draw_caption("Try again in a moment.")
        return
    if len(queued) > 1:
        st.switch_page("../pages/runs.py", query_params={"runs": group_runs(queued)[0].group_id})
    state.to_url(run=queued[0].run_id, rate=None, **{"from": None})
    st.rerun()


def when_sentence(runs: Sequence[Run]) -> str:
    """Return who trains now and when one more would start."""
    running = next((run for run in runs if run.state.status == "running"), None)
    turns, moment = list_turns(runs, time.time())
    who = f"{running.about.name} is training" if running else "A run is about to begin"
    starts = f"this starts about {clock(moment)}" if moment is not None else "this starts by itself in its turn"
    return f"{who}; {starts}{', after those that wait' if turns else ''}."


def command_lines(preset: str, data: ChosenData, plan: Plan, repeats: Repeats, name: str, options: Options) -> str:
    """Return the exact commands that train the same: one, or of a grid one for each run."""
    if repeats.kind == "grid" and len(plan.configs) > 1:
        lines = [
            command_line(preset, data, config, f"{name} {number}" if name else "", options)
            for number, config in enumerate(plan.configs, 1)
        ]
        return "\n".join(lines)
    return command_line(preset, data, plan.configs[0], name, options, seeds=len(plan.configs))


def command_line(preset: str, data: ChosenData, config: RunConfig, name: str, options: Options, seeds: int = 1) -> str:
    """Return the exact command that trains the same."""
    words = ["python -m core train", f"--preset {preset}", *data.options]
    base = data.apply(preset_config(preset))
    changed = changed_settings(base, config)
    if seeds > 1 and config.data.split_seed == config.training.seed:
        changed.pop("data.split_seed", None)  # what --seeds does by itself
    for setting, value in changed.items():
        written = value if isinstance(value, str) else json.dumps(value)
        words.append(f"--set {quote(f'{setting}={written}')}")
    words += [f"--seeds {seeds}"] if seeds > 1 else []
    words += [f"--name {quote(name)}"] if name else []
    words += ["--test"] if options.with_test else []
    words += ["--tensorboard"] if options.with_tensorboard else []
    return " ".join(words)
