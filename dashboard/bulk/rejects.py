"""The rows that were not scored, with line and reason, folded."""

import pandas as pd
import streamlit as st

from core.prediction.bulk_job import BulkJob, BulkResult
from dashboard.cache import load_cells, rejected_rows
from dashboard.components import draw_caption

MOST_REJECTS = 200
PAGE_ROWS = 10
CELL_CHARACTERS = 2_000


def draw_rejects(job: BulkJob, result: BulkResult) -> None:
    """Draw the rejected rows; they are read once the box is opened."""
    if not result.rejected:
        return
    box = st.expander(f"Rejected rows ({result.rejected:,})", key="file_rejects", on_change="rerun")
    if not box.open:
        return
    with box:
        if len(result.facets.reasons) > 1:
            st.dataframe(
                pd.DataFrame(result.facets.reasons, columns=["Reason", "Rows"]), hide_index=True, height="content",
                key="file_reasons", alt="How many rows were rejected for which reason.", width=560,
                column_config={"Rows": st.column_config.NumberColumn(width=80, format="localized")},
            )  # fmt: skip
        first = rejected_rows(job, MOST_REJECTS)
        cells = load_cells(job, first, ("line", "reason", "content"), CELL_CHARACTERS)
        more = f"The first {MOST_REJECTS} of {result.rejected:,}. " if len(first) < result.rejected else ""
        draw_caption(
            f"{more}Row counts the rows of the table; line counts those of the file as it came, of which a row may "
            "take several. Content is what stands there where it fits no column."
        )
        cells.insert(0, "row", first + 1)
        st.dataframe(
            cells.rename(columns=str.capitalize), hide_index=True, row_height=38,
            height="content" if len(cells) <= PAGE_ROWS else 420, key="file_rejected",
            column_config={"Row": st.column_config.NumberColumn(width=80, format="localized"),
                           "Line": st.column_config.NumberColumn(width=80, format="localized"),
                           "Reason": st.column_config.TextColumn(width="medium")},
            alt="Rejected rows",
        )  # fmt: skip
