"""The same training more than once: with other seeds, or with other values of one or two settings."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

import streamlit as st

from core.config import RunConfig, parse_config, repeat_with_seeds
from core.errors import ConfigError
from core.jobs import MOST_WAITING, room_left
from core.run_groups import differing_settings, setting_title
from core.runs import Run
from dashboard.forms import field_kind

SEEDS = {"3 seeds": 3, "5 seeds": 5, "10 seeds": 10}
CHOICES = ("Once", *SEEDS, "Grid")
MOST_FIELDS = 2
MOST_RUNS = MOST_WAITING + 1
Kind = Literal["once", "seeds", "grid"]


@dataclass(frozen=True)
class Repeats:
    """The runs that start together.

    Attributes:
        kind: Whether it is one run, several seeds of one config, or a grid.
        configs: The settings of each; empty while they are not known.
        problem: Why they cannot start; empty when they can.
        shape: What several runs are: "2 x 3 = 6 runs".
    """

    kind: Kind
    configs: tuple[RunConfig, ...]
    problem: str = ""
    shape: str = ""

    @property
    def are_several(self) -> bool:
        """Tell whether more than one run starts."""
        return len(self.configs) > 1


def draw_repeats(config: RunConfig | None) -> Repeats:
    """Draw whether to train once, with several seeds or over a grid; return the runs that this means."""
    choice = st.segmented_control(
        "How often", CHOICES, default="Once", required=True, key="repeats", label_visibility="collapsed"
    )
    if config is None:
        return Repeats("once", ())
    if choice == "Grid":
        found = draw_grid(config)
    elif choice in SEEDS:
        found = _checked("seeds", lambda: repeat_with_seeds(config, SEEDS[choice]))
    else:
        found = Repeats("once", (config,))
    return found if found.problem else _within_room(found)


def draw_grid(config: RunConfig) -> Repeats:
    """Draw the choice of one or two settings and of their values."""
    titles = grid_fields(config)
    paths = st.multiselect(
        "Settings of the grid", list(titles), format_func=titles.__getitem__, max_selections=MOST_FIELDS,
        key=f"grid-{config.model.kind}", placeholder="Choose one or two settings", label_visibility="collapsed",
    )  # fmt: skip
    written = {}
    for path in paths:
        section, _, field = path.partition(".")
        now = getattr(getattr(config, section), field)
        written[path] = st.text_input(
            f"{titles[path]}: values, separated by commas", write_value(now), max_chars=200, key=f"grid-{path}",
            help=type(getattr(config, section)).model_fields[field].description,
        )  # fmt: skip
    if not written:
        return Repeats("grid", (), "Choose one or two settings of the grid, then type their values.")
    return _checked("grid", lambda: grid_configs(config, written), tuple(written))


def grid_fields(config: RunConfig) -> dict[str, str]:
    """Return the settings that a grid can be made of, numbers and choices, with their titles."""
    return {
        f"{section}.{name}": setting_title(f"{section}.{name}", config)
        for section in ("training", "model", "preprocessing")
        for name, field in type(getattr(config, section)).model_fields.items()
        if name != "kind" and _is_gridable(field_kind(field)[0])
    }


def _is_gridable(kind: Any) -> bool:
    return kind in (int, float) or get_origin(kind) is Literal


def grid_configs(config: RunConfig, written: Mapping[str, str]) -> list[RunConfig]:
    """Return a config for each combination of the values that were typed for some settings.

    Raises:
        ConfigError: A value is none for its setting, or there are too many combinations.
    """
    values = {path: read_values(config, path, text) for path, text in written.items()}
    if (runs := math.prod(map(len, values.values()))) > MOST_RUNS:
        raise ConfigError(f"These are {runs:,} runs; at most {MOST_RUNS} can be queued at once. Leave out some values.")
    configs = [config]
    for path, options in values.items():
        configs = [with_values(each, {path: option}) for each in configs for option in options]
    return configs


def read_values(config: RunConfig, path: str, text: str) -> list[Any]:
    """Return the values typed for a setting, each once, checked.

    Raises:
        ConfigError: One is none for this setting, or there is none at all.
    """
    section, _, field = path.partition(".")
    kind, is_optional = field_kind(type(getattr(config, section)).model_fields[field])
    title, expected = setting_title(path, config), _expected(kind, is_optional)
    found: list[Any] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        value = _read_value(part)
        try:
            checked = getattr(getattr(with_values(config, {path: value}), section), field)
        except ConfigError as error:
            raise ConfigError(f"{title}: {part[:40]!r} is no value for it. Expected {expected}. {error}") from error
        if checked not in found:
            found.append(checked)
    if not found:
        raise ConfigError(f"{title}: no value is typed. Expected {expected}.")
    return found


def _read_value(part: str) -> Any:
    if part in ("none", "no limit"):
        return None
    for read in (json.loads, float):
        try:
            return read(part)
        except (ValueError, RecursionError):
            continue
    return part


def _expected(kind: Any, is_optional: bool) -> str:
    words = {int: "whole numbers separated by commas", float: "numbers separated by commas, with a point as in 0.5"}
    said = words[kind] if kind in words else f"of {', '.join(get_args(kind))}, separated by commas"
    return f"{said}, or none" if is_optional else said


def write_value(value: Any) -> str:
    """Return a setting's value as it is typed."""
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def with_values(config: RunConfig, values: Mapping[str, Any]) -> RunConfig:
    """Return a config with other values by ``section.field``, checked.

    Raises:
        ConfigError: A value is out of bounds.
    """
    document = config.model_dump()
    for path, value in values.items():
        section, _, field = path.partition(".")
        document[section][field] = value
    return parse_config(document)


def _checked(kind: Kind, build: Callable[[], list[RunConfig]], paths: Sequence[str] = ("training.seed",)) -> Repeats:
    try:
        configs = build()
    except ConfigError as error:
        return Repeats(kind, (), str(error))
    return Repeats(kind, tuple(configs), shape=describe_runs(kind, configs, paths))


def describe_runs(kind: Kind, configs: Sequence[RunConfig], paths: Sequence[str]) -> str:
    """Say what several runs are: "2 x 3 = 6 runs", or from which seed to which."""
    values = differing_settings(configs)
    runs = f"{len(configs)} run{'' if len(configs) == 1 else 's'}"
    if kind == "seeds":
        seeds = [config.training.seed for config in configs]
        return f"Seeds {seeds[0]} to {seeds[-1]}, all else alike: {runs}"
    sides = [str(len(set(values[path]))) for path in paths if path in values]
    return f"{' x '.join(sides)} = {runs}" if len(sides) > 1 else runs


def _within_room(repeats: Repeats) -> Repeats:
    """Say so when these are more runs than the queue takes now."""
    room, asked = room_left("train"), len(repeats.configs)
    if asked <= room:
        return repeats
    problem = f"These are {asked} runs and the queue has room for {room}. Ask for fewer, or wait."
    if not room:
        problem = f"All {MOST_WAITING} places in the queue are taken. Remove a run below, or wait until one starts."
    return replace(repeats, problem=problem)


def default_group_name(preset: str, kind: Kind, runs: Sequence[Run]) -> str:
    """Return the name that runs queued together get when nothing else is typed."""
    taken = {run.about.group.rpartition("-")[0] for run in runs if run.about.group}
    number = 1
    while f"{preset}-{kind}-{number}" in taken:
        number += 1
    return f"{preset}-{kind}-{number}"
