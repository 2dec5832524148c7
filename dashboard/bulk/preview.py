"""The beginning of a table, as the choice of its columns shows it. Calls no st.*."""

from dataclasses import dataclass
from itertools import islice

from core.data.tables import Row, TableFormat, TableOptions, guess_text_column, read_rows
from core.errors import TableError
from core.prediction.uploads import Upload

PREVIEW_ROWS, SEARCHED_ROWS = 5, 200
CELL_CHARACTERS = 300


@dataclass(frozen=True)
class Preview:
    """What a table looks like.

    Attributes:
        table_format: How it is read.
        guess: The place of the column that most likely holds the text.
        rows: The first rows that fit the columns, each cell cut.
        is_empty: Whether there is no row at all, not even one to reject.
    """

    table_format: TableFormat
    guess: int
    rows: tuple[tuple[str, ...], ...]
    is_empty: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns; they may be empty or stand twice."""
        return self.table_format.columns


def look_at_table(upload: Upload, options: TableOptions) -> Preview:
    """Return the beginning of a table.

    Raises:
        TableError: It cannot be read so.
    """
    table_format = upload.read_format(options)
    path = upload.rows_file(options)
    first = list(islice(read_rows(path, table_format), SEARCHED_ROWS))
    fitting = [row.fields for row in first if isinstance(row, Row)]
    rows = tuple(tuple(field[:CELL_CHARACTERS] for field in fields) for fields in fitting[:PREVIEW_ROWS])
    try:
        guess = table_format.columns.index(guess_text_column(path, table_format))
    except TableError:  # every name stands twice
        lengths = [sum(len(fields[place]) for fields in fitting) for place in range(len(table_format.columns))]
        guess = lengths.index(max(lengths))
    return Preview(table_format, guess, rows, not first)
