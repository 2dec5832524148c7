"""The same as a chart, as a table for people."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from core.wording import DASH, interval_text, percent

MOST_SHOWN = 12
ROW_HEIGHT = 35


def draw_as_table(key: str, make: Callable[[], pd.DataFrame]) -> None:
    """Draw a chart's numbers, folded; the table is made only once it is opened."""
    box = st.expander("Show as table", key=f"file_table_{key}", on_change="rerun")
    if not box.open:
        return
    with box:
        frame = make()
        st.dataframe(
            frame, hide_index=True, key=f"file_table_{key}_rows", alt="The numbers of the chart.",
            height="content" if len(frame) <= MOST_SHOWN else ROW_HEIGHT * (MOST_SHOWN + 1),
            column_config={"Reviews": st.column_config.NumberColumn(format="localized")},
        )  # fmt: skip


def shares_frame(names: list[str], title: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return shares with their intervals as a table for people; a share that is not known is a dash."""
    rows = frame.to_dict("records")
    is_known = [not pd.isna(row["share"]) for row in rows]
    return pd.DataFrame(
        {
            title: names,
            "Reviews": frame["n"].to_numpy(),
            "Positive": [percent(row["share"]) if known else DASH for row, known in zip(rows, is_known, strict=True)],
            "95 % interval": [
                interval_text(row["low"], row["high"]) if known else DASH
                for row, known in zip(rows, is_known, strict=True)
            ],
        }
    )
