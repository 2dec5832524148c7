"""What the rows of a scored table can be filtered and compared by: small numbers, one row a record."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.config import Section
from core.files import atomic_writer
from core.prediction.summary import MOST_DISTINCT, ColumnFacts, look_at_column, parse_days

FACETS_NAME = "facets.parquet"
NO_DAY = -(2**31)
Parts = Callable[[Sequence[str] | None], Iterator[pa.Table]]


class Facets(Section):
    """What is known of each column of a table.

    Attributes:
        columns: Their names, as they stand in the table.
        facts: What charts each is fit for.
        values: What the codes of ``f<place>`` stand for, by code; None of a column without codes.
    """

    columns: tuple[str, ...]
    facts: tuple[ColumnFacts, ...]
    values: tuple[tuple[str, ...] | None, ...]


def write_facets(path: Path, parts: Parts, columns: Sequence[str]) -> Facets:
    """Write the facets of a scored table and return what they are.

    The file has a row for each record: ``logit`` float32 (null where it was not scored); ``f<place>`` int16, the code
    of a choosable column's value (-1 in a record that does not fit the header); ``d<place>`` int32, days since 1970 of
    a column of dates (``NO_DAY`` where there is none).

    Args:
        path: The file.
        parts: Gives the parts anew each time, only the columns that are asked for.
        columns: The table's.
    """
    logits = pa.chunked_array([part["logit"].combine_chunks() for part in parts(["logit"])], pa.float32())
    is_scored = ~np.isnan(logits.to_numpy())
    arrays, names = [logits], ["logit"]
    facts, values = [], []
    for place in range(len(columns)):
        name = f"c{place}"
        column = pd.concat([pd.Series(dtype=object), *(part[name].to_pandas() for part in parts([name]))])
        found = look_at_column(column, is_scored)
        facts.append(found)
        plain = column.fillna("").astype(str).str.strip()
        known = tuple(sorted(plain.unique())) if 2 <= found.distinct <= MOST_DISTINCT else None
        values.append(known)
        if known is not None:
            codes = pd.Categorical(plain, categories=known).codes.astype(np.int16)
            arrays.append(pa.array(np.where(column.isna(), np.int16(-1), codes)))
            names.append(f"f{place}")
        if found.date_format:
            days = parse_days(column, found.date_format).to_numpy().astype("datetime64[D]")
            arrays.append(pa.array(np.where(np.isnat(days), NO_DAY, days.astype(np.int64)).astype(np.int32)))
            names.append(f"d{place}")
    with atomic_writer(path) as file:
        pq.write_table(pa.table(arrays, names=names), file)
    return Facets(columns=tuple(columns), facts=tuple(facts), values=tuple(values))
