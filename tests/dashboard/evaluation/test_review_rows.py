"""Reviews taken away: what goes into a file comes out of it."""

import csv
import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.evaluation.selection import Results
from dashboard.evaluation.review_rows import csv_of_reviews, parquet_of_reviews

HOSTILE = [
    "=HYPERLINK(\"http://example.org\")", "+1", "-1", "@sum", "\ttab first", "\rreturn first",
    "a \"quoted\",\r\nfilm\n", "", " ", "'already", "<script>alert(1)</script>", "![x](http://example.org/p.png)",
    "\u202eevoba", "zero\u200bwidth", "\ufeffmark", "\u2028line", "sep=;", "x" * 100_000, "🎬", "\x1b[31m",
]  # fmt: skip


@pytest.fixture
def results() -> Results:
    logits = np.linspace(-4, 4, len(HOSTILE))
    return Results(np.arange(len(HOSTILE)) % 2, logits, 1 / (1 + np.exp(-logits)))


TEXTS = pa.array(HOSTILE, pa.large_string())
ROWS = np.arange(len(HOSTILE))[::-1].copy()


def test_raw_csv_gives_every_text_back_as_it_came(results: Results) -> None:
    content = csv_of_reviews(results, TEXTS, ROWS, safe=False).decode()
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [row["text"] for row in rows] == HOSTILE[::-1]
    assert [int(row["index"]) for row in rows] == ROWS.tolist()


def test_safe_csv_runs_nothing_and_changes_only_what_would_run(results: Results) -> None:
    content = csv_of_reviews(results, TEXTS, ROWS).decode("utf-8-sig")
    texts = [row["text"] for row in csv.DictReader(io.StringIO(content, newline=""))]
    assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r")) for text in texts)
    for text, original in zip(texts, HOSTILE[::-1], strict=True):
        assert text in (original, "'" + original)


def test_parquet_gives_texts_and_figures_back_exactly(results: Results) -> None:
    texts = pa.array([*HOSTILE[:-1], "nul\0inside"], pa.large_string())
    table = pq.read_table(io.BytesIO(parquet_of_reviews(results, texts, ROWS, temperature=2.0)))
    assert table.column_names == ["index", "label", "verdict", "probability", "confidence", "intensity", "text"]
    assert table["text"].to_pylist() == texts.to_pylist()[::-1]
    assert table["index"].to_pylist() == ROWS.tolist()
    assert set(table["label"].to_pylist()) == set(table["verdict"].to_pylist()) == {"negative", "positive"}
    assert (table["probability"].to_numpy() == results.probabilities[ROWS]).all()
    assert (table["confidence"].to_numpy() == results.confidences[ROWS]).all()
    assert table["intensity"].to_numpy() == pytest.approx(1 / (1 + np.exp(-results.logits[ROWS] / 2)))


def test_no_row_is_a_file_with_columns_alone(results: Results) -> None:
    none = np.array([], np.int64)
    assert pq.read_table(io.BytesIO(parquet_of_reviews(results, TEXTS, none))).num_rows == 0
    assert csv_of_reviews(results, TEXTS, none, safe=False).decode().strip().split(",")[0] == "index"
