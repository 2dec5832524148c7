"""The colours of the theme that a viewer sees."""

import streamlit as st

from core.charts.tokens import DARK, LIGHT, Tokens


def current_tokens() -> Tokens:
    """Return the colours of the theme that this viewer sees."""
    return DARK if st.context.theme.type == "dark" else LIGHT
