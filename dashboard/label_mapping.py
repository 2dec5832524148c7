"""How the values of a label column are read: a row for each value, and what it is read as.

The choice lies in the URL as one letter a value, so that a refresh or another page finds it again.
"""

from collections.abc import Mapping
from html import escape

import streamlit as st

from core.config import Meaning
from core.data.labels import MEANINGS, is_plain, map_stars, propose_label_map
from dashboard import state
from dashboard.components import draw_caption, draw_chart_title

LETTERS: Mapping[Meaning, str] = {"negative": "n", "positive": "p", "left out": "o"}
OPEN = "-"
MOST_HIGH = 8
HEIGHT = 420


def draw_label_mapping(counts: Mapping[str, int], key: str) -> dict[str, Meaning] | None:
    """Draw how each value of a label column is read, unless all are plain spellings of two labels.

    Args:
        counts: Rows of each value, as ``core.data.labels.count_labels`` gives them.
        key: What the widgets are called by; another column of labels needs another.

    Returns:
        The label map as far as it is chosen; a value may be missing. None where no map is needed.
    """
    chosen = read_label_map(counts)
    if chosen is None:
        return None
    how = "Proposed by the usual reading of star ratings." if map_stars(counts) else "Say how each value is read."
    draw_chart_title("How the labels are read", f"{how} Rows left out are in no split.")
    with st.container(key=f"{key}-map", height=HEIGHT if len(counts) > MOST_HIGH else "content", gap="xsmall"):
        label_map = {
            value: meaning
            for place, (value, rows) in enumerate(counts.items())
            if (meaning := _draw_value(value, rows, chosen.get(value), f"{key}-{place}", key, list(counts))) is not None
        }
    for sentence in sentences(counts, label_map):
        draw_caption(sentence)
    return label_map


def read_label_map(counts: Mapping[str, int]) -> dict[str, Meaning] | None:
    """Return the label map that the URL holds, else the one proposed; None where no map is needed."""
    if is_plain(counts):
        return None
    return dict(read_letters(state.from_url("labels"), counts, propose_label_map(counts)))


def _draw_value(
    value: str, rows: int, meaning: Meaning | None, key: str, group: str, values: list[str]
) -> Meaning | None:
    line = st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", wrap=False)
    line.html(
        f'<div class="rs"><b style="font-weight:600">{escape(value[:60]) or "(empty)"}</b>'
        f'<span class="rs-caption" style="margin-left:0.8em">{rows:,} row{"" if rows == 1 else "s"}</span></div>'
    )
    state.remember(key, meaning)
    found: Meaning | None = line.selectbox(
        "Read as", MEANINGS, key=key, index=None, placeholder="Choose", label_visibility="collapsed", width=130,
        required=True, on_change=_to_url, args=(group, values),
    )  # fmt: skip
    return found


def _to_url(group: str, values: list[str]) -> None:
    """Carry the choices of all values into the URL."""
    chosen = {value: state.recall(f"{group}-{place}") for place, value in enumerate(values)}
    state.to_url(labels=write_letters(values, chosen))


def write_letters(values: list[str], chosen: Mapping[str, Meaning | None]) -> str:
    """Return a label map as one letter a value, in the values' order."""
    return "".join(OPEN if (meaning := chosen.get(value)) is None else LETTERS[meaning] for value in values)


def read_letters(
    letters: str | None, counts: Mapping[str, int], proposed: Mapping[str, Meaning]
) -> Mapping[str, Meaning]:
    """Return the label map that letters stand for; what does not fit the values counts as absent."""
    known = {letter: meaning for meaning, letter in LETTERS.items()}
    if letters is None or len(letters) != len(counts) or not set(letters) <= {*known, OPEN}:
        return proposed
    return {value: known[letter] for value, letter in zip(counts, letters, strict=True) if letter in known}


def sentences(counts: Mapping[str, int], label_map: Mapping[str, Meaning]) -> list[str]:
    """Say how many rows are left out, and how many nobody can train on yet."""
    said = []
    out = [value for value in counts if label_map.get(value) == "left out"]
    if out:
        is_stars = map_stars(counts) is not None and all(value.isdigit() for value in out)
        which = f"with {' or '.join(out)} star{'' if out == ['1'] else 's'}" if is_stars else f"labelled {_list(out)}"
        rows = sum(counts[value] for value in out)
        said.append(f"{rows:,} {'row' if rows == 1 else 'rows'} {which} {'is' if rows == 1 else 'are'} left out.")
    unread = [value for value in counts if value not in label_map]
    if unread:
        rows = sum(counts[value] for value in unread)
        said.append(
            f"{rows:,} {'row' if rows == 1 else 'rows'} cannot be used before you choose how {_list(unread)} "
            f"{'is' if len(unread) == 1 else 'are'} read."
        )
    return said


def _list(values: list[str]) -> str:
    shown = ", ".join(value[:30] or "(empty)" for value in values[:5])
    return f"{shown} and {len(values) - 5} more" if len(values) > 5 else shown
