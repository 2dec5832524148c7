"""Reviews of a scored split as a table on the page, as a file, and under a search."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.data.tables import TableWriter
from core.evaluation.selection import LABELS, Results
from core.prediction.predictor import probability_of
from core.wording import excerpt

EXCERPT = 200


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
            "Review": [excerpt(text, EXCERPT) for text in chosen],
            "Label": [LABELS[label] for label in results.labels[rows]],
            "Read as": [LABELS[verdict] for verdict in results.verdicts[rows]],
            "Words": [len(text.split()) for text in chosen],
        }
    )


def csv_of_reviews(
    results: Results, texts: pa.Array, rows: NDArray[np.int64], temperature: float = 1.0, *, safe: bool = True
) -> bytes:
    """Return the given reviews as CSV.

    A NUL character, which no CSV can hold, becomes U+FFFD.

    Args:
        results: The verdicts on N reviews.
        texts: large_string (N).
        rows: Which reviews, in which order, int64.
        temperature: Logits divided by it give the intensity.
        safe: A spreadsheet program runs nothing of it; else the texts are as they came.
    """
    file = io.BytesIO()
    table = table_of_reviews(results, texts, rows, temperature)
    writer = TableWriter(file, table.column_names, safe=safe)
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        writer.write_row([*row[:-1], row[-1].replace("\0", "\ufffd")])
    return file.getvalue()


def parquet_of_reviews(results: Results, texts: pa.Array, rows: NDArray[np.int64], temperature: float = 1.0) -> bytes:
    """Return the given reviews as a Parquet file; arguments as ``csv_of_reviews``."""
    file = io.BytesIO()
    pq.write_table(table_of_reviews(results, texts, rows, temperature), file)
    return file.getvalue()


def table_of_reviews(results: Results, texts: pa.Array, rows: NDArray[np.int64], temperature: float) -> pa.Table:
    """Return the given reviews as people take them away; ``index`` counts the split's reviews from 0."""
    names = np.array(LABELS)
    return pa.table(
        {
            "index": rows,
            "label": pa.array(names[results.labels[rows]].tolist(), pa.string()),
            "verdict": pa.array(names[results.verdicts[rows]].tolist(), pa.string()),
            "probability": results.probabilities[rows],
            "confidence": results.confidences[rows],
            "intensity": probability_of(results.logits[rows] / temperature),
            "text": texts.take(pa.array(rows)),
        }
    )
