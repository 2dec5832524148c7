"""The one place that touches ``st.session_state`` and the URL. Both hold ids and choices; the folder is the truth."""

from typing import Any

import streamlit as st


def from_url(name: str) -> str | None:
    """Return a parameter of the URL, or None."""
    return st.query_params.get(name)


def to_url(**values: str | None) -> None:
    """Set parameters of the URL; None removes one."""
    for name, value in values.items():
        if value is None:
            if name in st.query_params:
                del st.query_params[name]
        elif st.query_params.get(name) != value:
            st.query_params[name] = value


def clear_url(prefix: str) -> None:
    """Remove the parameters of the URL whose names begin so."""
    for name in [name for name in st.query_params if name.startswith(prefix)]:
        del st.query_params[name]


def remember(name: str, value: Any) -> None:
    """Keep a small value for this tab."""
    st.session_state[name] = value


def recall(name: str, default: Any = None) -> Any:
    """Return a value kept for this tab."""
    return st.session_state.get(name, default)


def forget(*names: str) -> None:
    """Drop values, so that widgets of these keys begin anew."""
    for name in names:
        st.session_state.pop(name, None)
