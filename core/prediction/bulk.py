"""Rows of a table to scores, chunk by chunk, with an account of every row.

``score_rows`` is the one way from rows to scores: ``predict_table`` writes them straight to a CSV file, a bulk job
(``core.prediction.bulk_job``) commits each chunk as a part, so that it can go on where it was killed.
"""

import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.data.conversion import convert_table, needs_conversion
from core.data.tables import (
    Reject,
    Row,
    TableFormat,
    TableOptions,
    TableWriter,
    column_index,
    detect_kind,
    guess_text_column,
    read_rows,
    sniff_table,
)
from core.errors import TableError
from core.files import atomic_writer
from core.model_settings import Cutoffs
from core.prediction.predictor import Predictions, Predictor
from core.preprocessing.cleaning import as_text_array

# A chunk is committed as a whole: seconds of work, and four are in memory at a time. Texts of one-letter words take a
# hundred times their size while they are scored.
CHUNK_ROWS = {"ngram": 20_000}
CHUNK_ROWS_OF_OTHERS = 1_000
CHUNK_CHARACTERS = 8 * 2**20
CELL_CHARACTERS = 8  # that a cell counts for beside its own: an empty one takes memory too
MOST_REMEMBERED = 2_000_000  # distinct texts; about 200 bytes each
SCORE_COLUMNS = ("sentiment", "probability", "confidence")
REJECT_COLUMNS = ("line", "reason", "content")
NO_TEXT = "no text"

Item = TypeVar("Item")


@dataclass
class Ledger:
    """The account of a table's rows: ``rows`` is always ``predicted`` + ``rejected``.

    Attributes:
        text_columns: The columns that were read, by name.
        is_complete: False when it was stopped before the table's end.
        repeated: Predicted rows whose text stood in an earlier row, and was not scored again.
    """

    text_columns: tuple[str, ...]
    predicted: int = 0
    rejected: int = 0
    seconds: float = 0.0
    is_complete: bool = True
    repeated: int = 0

    @property
    def rows(self) -> int:
        """Rows that were read, the header not counted."""
        return self.predicted + self.rejected


@dataclass(frozen=True)
class ScoredChunk:
    """Some rows in a row, with what became of each.

    Attributes:
        rows: N rows and rejects, in the table's order.
        logits: float32 (N); NaN where a row was not scored.
        shares_read: float32 (N), how much of its words the model read; NaN where a row was not scored.
        repeated: How many were scored earlier, as the same text.
    """

    rows: Sequence[Row | Reject]
    logits: NDArray[np.float32]
    shares_read: NDArray[np.float32]
    repeated: int

    @property
    def is_scored(self) -> NDArray[np.bool_]:
        """Tell which rows have a score, bool (N)."""
        return ~np.isnan(self.logits)

    def rejects(self) -> Iterator[Reject]:
        """Give every row without a score, with the reason; a row that fits the header has no content here."""
        for row, is_scored in zip(self.rows, self.is_scored, strict=True):
            if not is_scored:
                yield row if isinstance(row, Reject) else Reject(row.line, NO_TEXT, "")


@dataclass
class Memory:
    """The scores of the first distinct texts, so that the same text is scored once."""

    places: dict[bytes, int] = field(default_factory=dict)
    logits: "array[float]" = field(default_factory=lambda: array("f"))
    shares_read: "array[float]" = field(default_factory=lambda: array("f"))

    def learn(self, digest: bytes, logit: float, share_read: float) -> None:
        """Keep a text's score, while there is room."""
        if len(self.places) < MOST_REMEMBERED and digest not in self.places:
            self.places[digest] = len(self.logits)
            self.logits.append(logit)
            self.shares_read.append(share_read)


def score_rows(
    predictor: Predictor, rows: Iterable[Row | Reject], text_columns: Sequence[int], memory: Memory | None = None
) -> Iterator[ScoredChunk]:
    """Score rows chunk by chunk; while the caller uses one, the next is scored and the one after it is read.

    The text of a row is what stands in its text columns, in their order, those without any text left out, a line feed
    between two. A row without any text is not scored. Chunks end where the rows alone say, and which texts are scored
    together follows from them, so that to go on from the end of a chunk gives the scores that not stopping gives.

    Args:
        predictor: The model.
        rows: Of one table.
        text_columns: Places, from 0.
        memory: What earlier chunks have learnt; needed to go on.
    """
    memory = Memory() if memory is None else memory
    most = CHUNK_ROWS.get(predictor.architecture.model.kind, CHUNK_ROWS_OF_OTHERS)
    chunks = ahead(chunk_rows(rows, most))
    yield from ahead(_score_chunk(predictor, chunk, text_columns, memory) for chunk in chunks)


def text_of(row: Row, text_columns: Sequence[int]) -> str:
    """Return the text of a row: what stands in its text columns, in their order."""
    if len(text_columns) == 1:
        text = row.fields[text_columns[0]]
        return text if text.strip() else ""
    return "\n".join(part for place in text_columns if (part := row.fields[place]).strip())


def digest_of(text: str) -> bytes:
    """Return 16 bytes that stand for a text: two texts of a million share them by a chance of 1 in 10 to the 26."""
    return blake2b(text.encode(), digest_size=16).digest()


def chunk_rows(rows: Iterable[Row | Reject], most: int) -> Iterator[list[Row | Reject]]:
    """Cut rows into chunks of ``most`` rows, or fewer where their texts are very long."""
    chunk: list[Row | Reject] = []
    size = 0
    for row in rows:
        chunk.append(row)
        fields = row.fields if isinstance(row, Row) else (row.content,)
        size += sum(map(len, fields)) + CELL_CHARACTERS * len(fields)
        if len(chunk) == most or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Give items, the next of which is made in a thread meanwhile."""
    nothing = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, nothing)
        while (item := coming.result()) is not nothing:
            coming = pool.submit(next, items, nothing)
            yield item  # type: ignore[misc]


def output_columns(columns: Sequence[str], added: Sequence[str] = SCORE_COLUMNS) -> list[str]:
    """Return the file's own column names and ours; ours get a number where the file already uses the name."""
    names = list(columns)
    for name in added:
        number, unique = 2, name
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.append(unique)
    return names


def predict_table(
    predictor: Predictor,
    source: Path,
    target: Path,
    *,
    text_columns: Sequence[str] = (),
    options: TableOptions | None = None,
    strict: bool = False,
    cutoffs: Cutoffs | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> Ledger:
    """Score columns of a table; of one that is no CSV file, a copy in a temporary folder is read.

    The target, a CSV file, gets the source's own columns in their order and text, then sentiment, probability and
    confidence. A row without text stays in its place without a score and counts as rejected; a row that does not fit
    the header goes to the rejects file alone. Both files appear when all is done, or not at all; memory does not grow
    with the table.

    Args:
        predictor: The model.
        source: The table.
        target: The scored table; ``target`` with the ending ``.rejects.csv`` receives the rejects.
        text_columns: Read in this order; one is guessed by name and content when none is given.
        options: How the table is read; what is left open is found.
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
    cut, started = cutoffs.cut if cutoffs else 0.0, time.monotonic()
    with ExitStack() as files:
        rows_file, table_format = _open_table(source, options or TableOptions(), files)
        names = tuple(text_columns) or (guess_text_column(rows_file, table_format),)
        places = [column_index(table_format, name) for name in names]
        ledger = Ledger(names)
        scored = TableWriter(files.enter_context(atomic_writer(target)), output_columns(table_format.columns))
        rejects = TableWriter(files.enter_context(atomic_writer(rejects_file)), REJECT_COLUMNS)
        for chunk in score_rows(predictor, read_rows(rows_file, table_format), places):
            for reject in chunk.rejects():
                if strict:
                    raise TableError(f"Line {reject.line}: {reject.reason}. Correct the table, or leave out --strict.")
                rejects.write_row([reject.line, reject.reason, reject.content])
            for fields in written_rows(chunk, cut):
                scored.write_row(fields)
            count_chunk(ledger, chunk)
            if on_progress:
                on_progress(len(chunk.rows))
    ledger.seconds = round(time.monotonic() - started, 3)
    return ledger


def _open_table(source: Path, options: TableOptions, files: ExitStack) -> tuple[Path, TableFormat]:
    """Return where a table's rows are read, and how; a converted copy lasts as long as ``files``."""
    kind = detect_kind(source)
    if not needs_conversion(kind):
        return source, sniff_table(source, **options.model_dump())
    copy = Path(files.enter_context(TemporaryDirectory(prefix="reviewscope-"))) / "rows.csv"
    return copy, convert_table(source, copy, kind, options)


def written_rows(chunk: ScoredChunk, cut: float) -> Iterator[Sequence[str | float]]:
    """Give the fields of each row that fits the header, then its sentiment, probability and confidence."""
    predictions = Predictions(np.nan_to_num(chunk.logits), cut=cut)
    numbers = zip(
        chunk.rows,
        chunk.is_scored.tolist(),
        predictions.sentiments,
        predictions.probabilities.round(6).tolist(),
        predictions.confidences.round(6).tolist(),
        strict=True,
    )
    for row, is_scored, sentiment, probability, confidence in numbers:
        if isinstance(row, Row):
            yield (*row.fields, sentiment, probability, confidence) if is_scored else (*row.fields, "", "", "")


def count_chunk(ledger: Ledger, chunk: ScoredChunk) -> None:
    """Enter a chunk into the account."""
    scored = int(chunk.is_scored.sum())
    ledger.predicted += scored
    ledger.rejected += len(chunk.rows) - scored
    ledger.repeated += chunk.repeated


def _score_chunk(
    predictor: Predictor, chunk: Sequence[Row | Reject], text_columns: Sequence[int], memory: Memory
) -> ScoredChunk:
    texts = [text_of(row, text_columns) if isinstance(row, Row) else "" for row in chunk]
    digests = [digest_of(text) if text else b"" for text in texts]
    new: dict[bytes, str] = {}  # in the order of the rows, which says who shares a batch
    for digest, text in zip(digests, texts, strict=True):
        if text and digest not in memory.places:
            new.setdefault(digest, text)
    to_score = as_text_array(list(new.values()))
    found, found_shares = predictor.predict(to_score).logits, shares_read(predictor, to_score)
    numbers = {digest: number for number, digest in enumerate(new)}
    logits, shares = np.full((2, len(chunk)), np.nan, np.float32)
    for place, digest in enumerate(digests):
        if digest in numbers:
            logits[place], shares[place] = found[numbers[digest]], found_shares[numbers[digest]]
        elif digest:
            known = memory.places[digest]
            logits[place], shares[place] = memory.logits[known], memory.shares_read[known]
    for digest, number in numbers.items():
        memory.learn(digest, float(found[number]), float(found_shares[number]))
    return ScoredChunk(chunk, logits, shares, sum(map(bool, texts)) - len(new))


def shares_read(predictor: Predictor, texts: pa.Array) -> NDArray[np.float32]:
    """Return which share of its words the model reads of each text, float32 (N); 1 of a text without any."""
    config = predictor.encoder.config
    if config.max_length is None:
        return np.ones(len(texts), np.float32)
    lengths = predictor.encoder.full_lengths(texts)
    shares: NDArray[np.float32] = np.minimum(1.0, config.max_length / np.maximum(lengths, 1)).astype(np.float32)
    return shares
