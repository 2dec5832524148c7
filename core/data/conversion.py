"""Convert Excel, JSON lines and Parquet files to CSV of our own, in a child of limited memory (being written)."""

from collections.abc import Callable
from pathlib import Path

from core.data.tables import Kind, TableFormat, TableOptions


def needs_conversion(kind: Kind) -> bool:
    """Tell whether a kind of table is read from a converted copy."""
    return kind != "csv"


def list_sheets(path: Path) -> list[str]:
    """Return the names of a workbook's sheets, in its order."""
    raise NotImplementedError


def convert_table(
    source: Path,
    target: Path,
    kind: Kind,
    options: TableOptions,
    on_progress: Callable[[int], None] | None = None,
) -> TableFormat:
    """Convert a table to CSV of our own."""
    raise NotImplementedError


def converted_format(target: Path) -> TableFormat:
    """Return how the table of a converted copy is written."""
    raise NotImplementedError
