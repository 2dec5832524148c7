"""A config section to widgets and back: what the field's one statement says is the label, the help and the bounds."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import streamlit as st
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from core.config import KINDS, PRESETS, RunConfig, Settings, parse_config, with_kind
from core.errors import ConfigError
from core.runs import list_runs
from dashboard import state

SECTIONS = {"preprocessing": "Text", "model": "Model", "training": "Training"}
DATA_FIELDS = ("validation_fraction", "limit", "split_seed")
MOST_CHARACTERS = 1_000


@dataclass(frozen=True)
class Need:
    """What a setting needs another one to be, to have a meaning; else it rests.

    Attributes:
        path: The other setting: the kind of model, or one that is drawn before it.
        values: One of these.
        words: What stands in the help of a resting one.
        resting: Its value then; KEPT when any will do.
    """

    path: str
    values: tuple[Any, ...]
    words: str
    resting: Any = None


KEPT = object()
ALONE = tuple(kind for kind in KINDS if kind != "ensemble")
OF_MEMBERS = Need("model.kind", ALONE, "The members of an ensemble keep their own.", KEPT)
OF_WORDS = Need(
    "model.kind", tuple(kind for kind in ALONE if kind != "pretrained"),
    "A pretrained encoder brings its own pieces of words.", KEPT,
)  # fmt: skip
IN_ORDER = Need(
    "model.kind", ("bilstm", "transformer", "pretrained"), "Only for models that read a text token by token.", "words"
)
PIECES = Need(
    "model.kind", ("bilstm", "transformer"), "A pretrained encoder brings its own pieces of words.", "byte-pair"
)
BY_LANGUAGE_MODEL = Need("model.start", ("language_model",), "Only where the vectors start from a language model.")
NEEDS: Mapping[str, tuple[Need, ...]] = {
    "preprocessing.lowercase": (OF_WORDS,),
    "preprocessing.characters": (OF_WORDS,),
    "preprocessing.tokens": (IN_ORDER, PIECES),
    "preprocessing.max_words": (OF_WORDS,),
    "preprocessing.min_frequency": (OF_WORDS,),
    "model.vectors_path": (
        Need("model.start", ("file",), "Only where the embedding starts from a file of vectors."),
    ),
    "model.freeze_embedding": (
        Need(
            "model.start", ("word2vec", "file", "language_model"), "Only where the vectors do not start at random.",
            resting=False,
        ),
    ),
    "model.language_passes": (replace(BY_LANGUAGE_MODEL, resting=1),),
    "model.language_steps": (BY_LANGUAGE_MODEL,),
}  # fmt: skip


def draw_config_form(config: RunConfig, key: str) -> RunConfig:
    """Draw a widget for every setting of a run but its data, filled in from ``config``; return what they say, checked.

    Another kind of model brings its own widgets, filled in with its defaults.

    Raises:
        ConfigError: A value is out of bounds in a way that its widget cannot prevent.
    """
    problems: list[str] = []
    kind_key = f"{key}.model.kind"
    kind = state.recall(kind_key) or config.model.kind  # chosen below, and needed above
    place = f"{key}.model" if kind == config.model.kind else f"{key}.model.{kind}"
    own_kind, config = config.model.kind, with_kind(config, kind)
    document = config.model_dump()
    for section, title in SECTIONS.items():
        st.html(f'<div class="rs"><p class="rs-chart-title">{title}</p></div>')
        with st.grid(min_column_width=210, gap="medium"):
            if section == "model":
                _draw_kind(own_kind, kind_key)
            settings: Settings = getattr(config, section)
            for name, field in type(settings).model_fields.items():
                if name == "kind":
                    continue
                path = f"{section}.{name}"
                value = getattr(settings, name)
                widget = f"{place if section == 'model' else f'{key}.{section}'}.{name}"
                need = unmet_need(path, document)
                if need is not None and need.resting is not KEPT:
                    value, widget = (
                        need.resting,
                        f"{widget}.{need.resting}",
                    )  # what the other one said comes back with it
                reason = need.words if need is not None else ""
                found = _draw_field(field, value, path, widget, reason, problems)
                document[section][name] = value if reason else found
    with st.grid(min_column_width=210, gap="medium"):
        for name in ("validation_fraction", "limit"):
            field, path = type(config.data).model_fields[name], f"data.{name}"
            document["data"][name] = _draw_field(field, getattr(config.data, name), path, f"{key}.{path}", "", problems)
    if problems:
        raise ConfigError(" ".join(problems))
    return parse_config(document)


def changed_settings(before: RunConfig, after: RunConfig) -> dict[str, Any]:
    """Return the settings that differ, by ``section.field``, with their new values.

    With another kind of model these are the kind, and what differs from its defaults: what ``--set`` has to say.
    """
    kind = after.model.kind
    old, new = with_kind(before, kind).model_dump(), after.model_dump()
    changed = {
        f"{section}.{name}": value
        for section, fields in new.items()
        for name, value in fields.items()
        if old[section].get(name) != value and (section != "data" or name in DATA_FIELDS)
    }
    return changed if kind == before.model.kind else {"model.kind": kind, **changed}


def _draw_kind(kind: str, key: str) -> None:
    descriptions = "\n".join(f"- {name}: {_describe_kind(name)}" for name in KINDS)
    st.selectbox(
        "Kind of model", KINDS, index=KINDS.index(kind), key=key, format_func=lambda name: name.replace("_", " "),
        help=f"Another kind begins with its own defaults; text and training stay as they are.\n\n{descriptions}",
    )  # fmt: skip


def _describe_kind(kind: str) -> str:
    return (inspect.getdoc(type(with_kind(RunConfig(), kind).model)) or "").partition("\n")[0]


def unmet_need(path: str, document: Mapping[str, Mapping[str, Any]]) -> Need | None:
    """Return what a setting lacks to have a meaning beside what was chosen above it; None when it has one."""
    needs = NEEDS.get(path, ())
    if path.partition(".")[0] in ("preprocessing", "training") and path != "training.seed":
        needs = (OF_MEMBERS, *needs)
    for need in needs:
        section, _, field = need.path.partition(".")
        if document[section].get(field) not in need.values:
            return need
    return None


def _draw_field(field: FieldInfo, value: Any, path: str, key: str, reason: str, problems: list[str]) -> Any:
    """Draw one setting and return what its widget says; what is wrong with it is added to ``problems``."""
    label, help_text, is_resting = field.title or key, field.description, bool(reason)
    if reason:
        help_text = f"{help_text} {reason}"
    kind, is_optional = field_kind(field)
    if get_origin(kind) is Literal:
        options = [None, *get_args(kind)] if is_optional else list(get_args(kind))
        return st.selectbox(
            label, options, index=options.index(value), help=help_text, key=key, disabled=is_resting,
            format_func=lambda option: "none" if option is None else str(option),
        )  # fmt: skip
    if kind is bool:
        return st.toggle(label, value=value, help=help_text, key=key, disabled=is_resting)
    if get_origin(kind) is tuple:
        options = list(dict.fromkeys([*value, *_names_for(path)]))
        chosen = st.multiselect(label, options, default=value, help=help_text, key=key, disabled=is_resting)
        return tuple(chosen)
    if kind is str:
        typed = st.text_input(
            label, value or "", max_chars=MOST_CHARACTERS, help=help_text, key=key, disabled=is_resting,
            placeholder="a path on this machine",
        )  # fmt: skip
        # What it was filled in with may be a name that is fetched; what is typed is a path.
        return value if typed.strip() == value else read_path(typed, label, problems)
    low, high = _bounds(field, kind)
    shown = value if value is None else kind(value)
    if kind is int:
        placeholder = "no limit" if is_optional else None
        return st.number_input(
            label, low, high, shown, 1, help=help_text, key=key, placeholder=placeholder, disabled=is_resting
        )
    return st.number_input(
        label, low, high, shown, step=_step(value), format="%g", help=help_text, key=key, disabled=is_resting
    )


def read_path(typed: str, title: str, problems: list[str]) -> str | None:
    """Return the absolute path that was typed, None when nothing was; one that is not here is a problem."""
    if not (typed := typed.strip()):
        return None
    try:
        path = Path(typed).expanduser().absolute()
        if path.exists():
            return str(path)
    except (OSError, RuntimeError, ValueError):
        pass  # no name that a file could have
    problems.append(f"{title}: there is nothing at {typed[:200]!r} on this machine. Type the path of a file or folder.")
    return typed


def _names_for(path: str) -> list[str]:
    """Return what a setting of several names can be chosen from: presets, and runs that have a model."""
    if path != "model.members":
        return []
    finished = [run for run in list_runs() if run.state.status == "finished" and run.model_file.exists()]
    runs = {run.run_id: run.settings.config for run in finished}
    alone = {name: preset.config for name, preset in PRESETS.items()} | runs
    return [name for name, config in alone.items() if config.model.kind != "ensemble"]


def field_kind(field: FieldInfo) -> tuple[Any, bool]:
    """Return the type of a field's value, and whether it may be left empty."""
    if get_origin(field.annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(field.annotation) if kind is not NoneType]
        return kinds[0], True
    return field.annotation, False


def _bounds(field: FieldInfo, kind: Any) -> tuple[Any, Any]:
    low = high = None
    for bound in field.metadata:
        if isinstance(bound, Ge):
            low = kind(bound.ge)
        elif isinstance(bound, Gt):
            low = kind(bound.gt) + (1 if kind is int else 1e-9)
        elif isinstance(bound, Le):
            high = kind(bound.le)
        elif isinstance(bound, Lt):
            high = kind(float(str(bound.lt))) - (1 if kind is int else 0)
    return low, high


def _step(value: float | None) -> float:
    """Return a tenth of a value's size, so that the arrows change the digit that matters."""
    return float(f"{value / 10:.0e}") if value else 0.1
