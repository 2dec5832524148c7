"""What the form of settings is filled in with: a preset, an earlier run, or a file of settings."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import streamlit as st

from core import settings
from core.config import PRESETS, RunConfig, parse_config, preset_config, with_kind, with_settings
from core.data.labels import normalise_label
from core.errors import ConfigError, ReviewscopeError
from core.prediction.uploads import find_upload
from core.run_groups import differing_settings, setting_title
from core.runs import find_run
from dashboard import cache, state
from dashboard.components import draw_caption, failed_box
from dashboard.forms import changed_settings
from dashboard.label_mapping import write_letters
from dashboard.repeats import write_value
from dashboard.table_choice import csv_columns

MOST_BYTES = 200_000


@dataclass(frozen=True)
class Source:
    """Where settings come from before anybody changes them.

    Attributes:
        key: Names the widgets that are filled in with it; our own word.
        name: What people call it; may be a stranger's word.
        preset: The preset that it is closest to.
        config: The settings.
        parent: The run that they come from, or None.
        rate: The learning rate to begin with in place of its own, or None.
    """

    key: str
    name: str
    preset: str
    config: RunConfig
    parent: str | None = None
    rate: float | None = None

    def fill(self, config: RunConfig) -> RunConfig:
        """Return what the form is filled in with: a config of this source, with the rate to begin with."""
        if self.rate is None:
            return config
        return config.model_copy(update={"training": config.training.model_copy(update={"learning_rate": self.rate})})


def preset_source(preset: str) -> Source:
    """Return a preset as a source of settings."""
    return Source(preset, f"the preset {preset}", preset, preset_config(preset))


def draw_source() -> Source | None:
    """Draw where the settings come from when it is a file or the run that the URL names; None when it is a preset."""
    try:
        source = _run_source(state.from_url("from")) or state.recall("settings-file")
    except ReviewscopeError as error:
        with failed_box("from", str(error), "The form is filled in with a preset instead."):
            st.button("Go on with a preset", key="leave-source", on_click=leave_source)
        return None
    if source is None:
        state.forget("source-applied")
        return None
    if state.recall("source-applied") != source.key or state.recall("preset") is None:  # None after another page
        state.remember("source-applied", source.key)
        state.remember("preset", source.preset)
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.container(width="content"):
            draw_caption(
                f"Everything is filled in as in {source.name}; what you change is marked.{_rate_words(source)}"
            )
        st.button("Begin with a preset instead", key="leave-source", on_click=leave_source, type="tertiary")
    return source


def _rate_words(source: Source) -> str:
    if source.rate is None:
        return ""
    return f" The learning rate is {source.rate:g} instead of {source.config.training.learning_rate:g}."


def leave_source() -> None:
    """Fill the form in with a preset again."""
    state.forget("settings-file", "source-applied")
    state.to_url(rate=None, **{"from": None})


def _run_source(run_id: str | None) -> Source | None:
    """Return a run as a source of settings; the URL is made to name its data unless it names some already."""
    if not run_id:
        return None
    run = find_run(run_id)
    config, preset = run.settings.config, run.about.preset
    if preset not in PRESETS or preset_config(preset).model.kind != config.model.kind:
        preset = closest_preset(config)
    if state.from_url("data") is None:
        state.to_url(**data_parameters(config))
    rate = read_rate(state.from_url("rate"), config)
    key = f"run-{run.run_id}" if rate is None else f"run-{run.run_id}-{rate:g}"
    return Source(key, run.about.name, preset, config, run.run_id, rate)


def read_rate(asked: str | None, config: RunConfig) -> float | None:
    """Return the learning rate that the URL asks for; None when it is no sound one, or the config's own."""
    try:
        rate = float(asked or "nan")
        if not math.isfinite(rate):
            return None
        rate = with_settings(config, [f"training.learning_rate={rate!r}"]).training.learning_rate
    except (ValueError, ConfigError):
        return None
    return None if rate == config.training.learning_rate else rate


def data_parameters(config: RunConfig) -> dict[str, str | None]:
    """Return what the URL needs to name a config's data: of a table the upload, columns and labels; corrections."""
    data = config.data
    corrections = {"corrections": data.corrections} if data.corrections else {}
    if data.source != "table" or data.path is None:
        return {"data": data.source, **corrections}
    folder = Path(data.path).parent
    upload = find_upload(folder.name) if folder.parent == settings.home() / "uploads" else None
    if upload is None:
        return {"data": "table", **corrections}
    found: dict[str, str | None] = {"data": "table", "table": upload.upload_id, **corrections}
    try:
        columns = csv_columns(upload)
        for name, column in (("text", data.text_column), ("label", data.label_column)):
            if column in columns:
                found[name] = str(columns.index(column))
        if data.label_map is not None and data.label_column is not None:
            values = list(cache.count_values(upload.table, data.label_column))
            meanings = {normalise_label(value): meaning for value, meaning in data.label_map.items()}
            found["labels"] = write_letters(values, {value: meanings.get(normalise_label(value)) for value in values})
    except ReviewscopeError:
        pass  # the table cannot be read: the choice of data says so
    return found


def table_is_elsewhere(config: RunConfig) -> bool:
    """Tell whether a config reads a table that is no upload (any more)."""
    return config.data.source == "table" and "table" not in data_parameters(config)


def closest_preset(config: RunConfig) -> str:
    """Return the preset from which the fewest settings differ, with the same kind of model where there is one."""
    alike = [name for name in PRESETS if preset_config(name).model.kind == config.model.kind] or list(PRESETS)
    return min(alike, key=lambda name: len(differing_settings([preset_config(name), config])))


def draw_settings_file() -> None:
    """Draw the place where a file of settings is dropped; a file that is none gets a sentence."""
    generation = state.recall("settings-generation", 0)
    st.file_uploader(
        "Settings from a file", type="json", key=f"settings-{generation}", max_upload_size=1,
        help="What the Runs page downloads as settings. The data stays as chosen above.",
        on_change=_take_file, args=(f"settings-{generation}", generation),
    )  # fmt: skip
    if refused := state.recall("settings-refused"):
        with failed_box("settings-file", refused, "The form is as it was."):
            st.button("Close", key="settings-refused-close", on_click=state.forget, args=("settings-refused",))


def _take_file(key: str, generation: int) -> None:
    file = state.recall(key)
    state.forget("settings-refused")
    if file is None:
        return
    state.remember("settings-generation", generation + 1)
    try:
        config = read_settings(file.read(MOST_BYTES + 1))
    except ConfigError as error:
        state.remember("settings-refused", f"{file.name[:80]}: {error}")
        return
    state.to_url(rate=None, **{"from": None})
    state.remember("settings-file", Source(f"file-{generation}", file.name[:80], closest_preset(config), config))


def read_settings(content: bytes) -> RunConfig:
    """Return the settings in a file: a run's, or the bare config of one.

    Raises:
        ConfigError: It is something else.
    """
    expected = "Expected the JSON that the Runs page downloads as settings, or a run's config.json."
    if len(content) > MOST_BYTES:
        raise ConfigError(f"The file is larger than {MOST_BYTES:,} bytes, so it holds no settings. {expected}")
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"This is no JSON ({str(error)[:100]}). {expected}") from error
    if isinstance(document, dict) and "config" in document:
        document = document["config"]
    if not isinstance(document, dict) or not set(document) & set(RunConfig.model_fields):
        raise ConfigError(f"This JSON holds no settings of a run. {expected}")
    return parse_config(document)


def changed_words(source: Source, before: RunConfig, after: RunConfig) -> str:
    """Say what was changed: "Changed from compact-1: learning rate 0.001 → 0.002."; empty when nothing was."""
    # Beside another kind of model the settings are told against its own defaults.
    old = with_kind(before, after.model.kind).model_dump()
    old["model"]["kind"] = before.model.kind
    changes = [
        f"{lower_first(setting_title(name, after))} {said(old[section][field])} → {said(value)}"
        for name, value in changed_settings(before, after).items()
        for section, _, field in [name.partition(".")]
    ]
    return f"Changed from {source.name}: {', '.join(changes)}." if changes else ""


def said(value: Any) -> str:
    """Write a setting's value for a sentence."""
    return ("on" if value else "off") if isinstance(value, bool) else write_value(value)


def lower_first(words: str) -> str:
    """Return words with a small first letter, as within a sentence."""
    return words[:1].lower() + words[1:]
