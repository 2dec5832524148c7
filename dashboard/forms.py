"""A config section to widgets and back: what the field's one statement says is the label, the help and the bounds."""

from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import streamlit as st
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from core.config import RunConfig, Settings, parse_config

SECTIONS = {"preprocessing": "Text", "model": "Model", "training": "Training"}
HIDDEN = {"kind"}
DATA_FIELDS = ("validation_fraction", "limit", "split_seed")


def draw_config_form(config: RunConfig, key: str) -> RunConfig:
    """Draw a widget for every setting of a run but its data, filled in from ``config``; return what they say, checked.

    Raises:
        ConfigError: A value is out of bounds in a way that its widget cannot prevent.
    """
    document = config.model_dump()
    for section, title in SECTIONS.items():
        settings: Settings = getattr(config, section)
        st.html(f'<div class="rs"><p class="rs-chart-title">{title}</p></div>')
        with st.grid(min_column_width=210, gap="medium"):
            for name, field in type(settings).model_fields.items():
                if name not in HIDDEN:
                    value = getattr(settings, name)
                    document[section][name] = _draw_field(field, value, f"{key}.{section}.{name}")
    with st.grid(min_column_width=210, gap="medium"):
        field = type(config.data).model_fields["validation_fraction"]
        document["data"]["validation_fraction"] = _draw_field(
            field, config.data.validation_fraction, f"{key}.data.validation_fraction"
        )
        field = type(config.data).model_fields["limit"]
        document["data"]["limit"] = _draw_field(field, config.data.limit, f"{key}.data.limit")
    return parse_config(document)


def changed_settings(before: RunConfig, after: RunConfig) -> dict[str, Any]:
    """Return the settings that differ, by ``section.field``, with their new values."""
    old, new = before.model_dump(), after.model_dump()
    return {
        f"{section}.{name}": value
        for section, fields in new.items()
        for name, value in fields.items()
        if old[section].get(name) != value and (section != "data" or name in DATA_FIELDS)
    }


def _draw_field(field: FieldInfo, value: Any, key: str) -> Any:
    label, help_text = field.title or key, field.description
    kind, is_optional = field_kind(field)
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        return st.selectbox(label, options, index=options.index(value), help=help_text, key=key)
    if kind is bool:
        return st.toggle(label, value=value, help=help_text, key=key)
    low, high = _bounds(field, kind)
    shown = value if value is None else kind(value)
    if kind is int:
        placeholder = "no limit" if is_optional else None
        return st.number_input(label, low, high, shown, 1, help=help_text, key=key, placeholder=placeholder)
    return st.number_input(label, low, high, shown, step=_step(value), format="%g", help=help_text, key=key)


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


def _step(value: float) -> float:
    """Return a tenth of a value's size, so that the arrows change the digit that matters."""
    return float(f"{value / 10:.0e}") if value else 0.1
