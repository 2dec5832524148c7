"""Reviews of a scored split as a table on the page, as a file, and under a search."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.data.tables import TableWriter
from core.evaluation.selection import LABELS, Results

EXCERPT = 200
READ_FOR_EXCERPT = 4_000


def search_texts(texts: pa.Array, words: str) -> NDArray[np.bool_]:
    """Tell which of N texts contain ``words``, whatever the case, bool (N)."""
    found: NDArray[np.bool_] = pc.match_substring(texts, words, ignore_case=True).to_numpy(zero_copy_only=False)
    return found


def frame_of_reviews(results: Results, texts: pa.Array, rows: NDArray[np.int64], first: int) -> pd.DataFrame:
    """Return the given reviews as a table for people; the first has the rank ``first``."""
    chosen = texts.take(pa.array(rows)).to_pylist()
    return pd.DataFrame(
        {
            "#": np.arange(first, first + len(rows)),
            "Confidence": 100 * results.confidences[rows],
            "Review": [excerpt(text) for text in chosen],
            "Label": [LABELS[label] for label in results.labels[rows]],
            "Read as": [LABELS[verdict] for verdict in results.verdicts[rows]],
            "Words": [len(text.split()) for text in chosen],
        }
    )


def excerpt(text: str) -> str:
    """Return the beginning of a text on one line."""
    folded = " ".join(text[:READ_FOR_EXCERPT].split())
    return folded if len(folded) <= EXCERPT and len(text) <= READ_FOR_EXCERPT else folded[:EXCERPT] + "…"


def csv_of_reviews(results: Results, texts: pa.Array, rows: NDArray[np.int64]) -> bytes:
    """Return the given reviews as CSV that a spreadsheet program opens and runs nothing of.

    ``index`` counts the split's reviews from 0. A NUL character, which no CSV can hold, becomes U+FFFD.
    """
    file = io.BytesIO()
    writer = TableWriter(file, ["index", "label", "verdict", "probability", "confidence", "text"], safe=True)
    for row, text in zip(rows.tolist(), texts.take(pa.array(rows)).to_pylist(), strict=True):
        verdict = LABELS[results.verdicts[row]]
        shares = float(results.probabilities[row]), float(results.confidences[row])
        writer.write_row([row, LABELS[results.labels[row]], verdict, *shares, text.replace("\0", "\ufffd")])
    return file.getvalue()
