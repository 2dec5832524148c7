"""A table of reviews in, the same table with scores out, and an account of every row."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from core.data.tables import (
    Reject,
    Row,
    TableFormat,
    TableWriter,
    column_index,
    guess_text_column,
    read_rows,
    sniff_table,
)
from core.errors import TableError
from core.files import atomic_writer
from core.model_settings import Cutoffs
from core.prediction.predictor import Predictor

CHUNK_ROWS = 2_000
SCORE_COLUMNS = ("sentiment", "probability", "confidence")
REJECT_COLUMNS = ("line", "reason", "content")
NO_TEXT = "no text"


class RowWriter(Protocol):
    """Takes the fields of one row after the other."""

    def write_row(self, fields: Sequence[str | float]) -> None:
        """Write one row."""


@dataclass
class Ledger:
    """The account of a table's rows: ``rows`` is always ``predicted`` + ``rejected``.

    Attributes:
        text_column: The column that was read.
        is_complete: False when it was stopped before the table's end.
    """

    text_column: str
    predicted: int = 0
    rejected: int = 0
    seconds: float = 0.0
    is_complete: bool = True

    @property
    def rows(self) -> int:
        """Rows that were read, the header not counted."""
        return self.predicted + self.rejected


def predict_table(
    predictor: Predictor,
    source: Path,
    target: Path,
    *,
    text_column: str | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    strict: bool = False,
    cutoffs: Cutoffs | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Ledger:
    """Score a column of a CSV-like table.

    The target gets the source's own columns in their order and text, then sentiment, probability and confidence. A row
    without text stays in its place without a score and counts as rejected; a row that does not fit the header goes to
    the rejects file alone. Both files appear when all is done, or not at all; memory does not grow with the table.

    Args:
        predictor: The model.
        source: The table.
        target: The scored table; ``target`` with the ending ``.rejects.csv`` receives the rejects.
        text_column: Guessed by name and content when None.
        encoding: Found when None: a byte order mark or valid UTF-8.
        delimiter: Found when None.
        strict: Refuse the table at its first rejected row.
        cutoffs: Say which verdict a probability is; as ``Cutoffs()`` when None.
        on_progress: Called with the number of rows just done.

    Raises:
        TableError: It is not such a table, has no such column, or (strict) has a row to reject.
        ReviewscopeError: A file cannot be written.
    """
    rejects_file = target.with_name(f"{target.stem}.rejects.csv")
    if source.resolve() in (target.resolve(), rejects_file.resolve()):
        raise TableError(f"The output {target} would overwrite the input. Choose another name for it.")
    table_format = sniff_table(source, encoding=encoding, delimiter=delimiter)
    column = text_column or guess_text_column(source, table_format)
    with ExitStack() as files:
        columns = output_columns(table_format)
        scored = TableWriter(files.enter_context(atomic_writer(target)), columns)
        rejects = TableWriter(files.enter_context(atomic_writer(rejects_file)), REJECT_COLUMNS)
        return score_table(
            predictor, source, table_format, column, [scored], rejects, strict=strict, cutoffs=cutoffs,
            on_progress=on_progress,
        )  # fmt: skip


def score_table(
    predictor: Predictor,
    source: Path,
    table_format: TableFormat,
    text_column: str,
    outputs: Sequence[RowWriter],
    rejects: RowWriter,
    *,
    strict: bool = False,
    cutoffs: Cutoffs | None = None,
    on_progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Ledger:
    """Score a table chunk by chunk into writers of ``output_columns``; return the account of its rows.

    A stop leaves the account complete for the rows that were read until then. The verdicts are those of ``cutoffs``;
    at probability 0.5 when None.
    """
    cut = cutoffs.cut if cutoffs else 0.0
    started = time.monotonic()
    ledger = Ledger(text_column)
    place = column_index(table_format, text_column)
    for chunk in _chunks(read_rows(source, table_format)):
        _score_chunk(predictor, chunk, place, outputs, rejects, ledger, strict, cut)
        if on_progress:
            on_progress(len(chunk))
        if should_stop():
            ledger.is_complete = False
            break
    ledger.seconds = round(time.monotonic() - started, 3)
    return ledger


def output_columns(table_format: TableFormat) -> list[str]:
    """Return the file's own column names and ours; ours get a number where the file already uses the name."""
    names = list(table_format.columns)
    for name in SCORE_COLUMNS:
        number, unique = 2, name
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.append(unique)
    return names


def _score_chunk(
    predictor: Predictor,
    chunk: list[Row | Reject],
    place: int,
    outputs: Sequence[RowWriter],
    rejects: RowWriter,
    ledger: Ledger,
    strict: bool,
    cut: float,
) -> None:
    readable = [row for row in chunk if isinstance(row, Row) and row.fields[place].strip()]
    predictions = predictor.predict([row.fields[place] for row in readable]).at(cut)
    scores = zip(predictions.sentiments, predictions.probabilities, predictions.confidences, strict=True)
    score_of = {row.line: score for row, score in zip(readable, scores, strict=True)}
    for row in chunk:
        if row.line in score_of and isinstance(row, Row):
            sentiment, probability, confidence = score_of[row.line]
            added: tuple[str | float, ...] = (sentiment, round(float(probability), 6), round(float(confidence), 6))
            ledger.predicted += 1
        else:
            reject = row if isinstance(row, Reject) else Reject(row.line, NO_TEXT, "")
            if strict:
                raise TableError(f"Line {reject.line}: {reject.reason}. Correct the table, or leave out --strict.")
            rejects.write_row([reject.line, reject.reason, reject.content])
            added = ("", "", "")
            ledger.rejected += 1
        if isinstance(row, Row):
            for output in outputs:
                output.write_row([*row.fields, *added])


def _chunks(rows: Iterator[Row | Reject]) -> Iterator[list[Row | Reject]]:
    while chunk := list(islice(rows, CHUNK_ROWS)):
        yield chunk
