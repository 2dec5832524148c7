"""The stars that reviews came with, to judge a score's intensity by; nothing is ever trained on them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core import settings
from core.config import DataConfig, RunConfig
from core.data.corrections import find_corrections
from core.data.labelled import LabelledTexts
from core.data.labels import guess_label_column, map_stars, normalise_label, read_stars
from core.data.sources import SPLITS, choose_split, load_columns
from core.errors import DataError

STAR_COLUMNS = ("stars", "rating", "star_rating", "star rating", "ratings")


def load_ratings(config: RunConfig, split: str) -> NDArray[np.int8] | None:
    """Return the stars of each review of a split, in the split's order.

    IMDB's stand in ``imdb/ratings/{train,test}.parquet`` of the data folder, the demo corpus makes its own, and a table
    may hold them in its label column or in one called stars or rating.

    Args:
        config: Says which data, and how the split is cut.
        split: The split's name.

    Returns:
        int8 (N), 1 to 10, and 0 where a review has none; None where the data has no stars.

    Raises:
        DataError: The file of the stars cannot be read or does not fit the reviews.
        ReviewscopeError: The data cannot be read.
    """
    as_it_came = config.data.model_copy(update={"corrections": None})
    if as_it_came.source == "table":
        # Rows are left out and cut by their labels alone: with another column as the text, they are the same rows.
        as_it_came = as_it_came.model_copy(update={"text_column": find_star_column(as_it_came)})
    written = _load_written(as_it_came)
    if written is None:
        return None
    if config.data.corrections is not None:  # by the labels validation is cut, whatever stands in place of the texts
        written = find_corrections(config.data.corrections).apply(written)
    chosen = choose_split(written, split, config.model_copy(update={"data": as_it_came})).texts.to_pylist()
    values = {normalise_label(value) for value in chosen}
    if map_stars(values - {""}) is None:
        return None
    known = {value: read_stars(value) for value in values}
    return np.array([found[0] if (found := known[normalise_label(value)]) else 0 for value in chosen], np.int8)


def _load_written(data: DataConfig) -> Mapping[str, LabelledTexts] | None:
    """Return the splits with stars, as they are written, in place of the texts; of a table, its text column."""
    if data.source == "demo":
        return _load_demo()
    if data.source == "imdb":
        return _load_imdb()
    return None if data.text_column is None else load_columns(data)


def find_star_column(data: DataConfig) -> str | None:
    """Return the column of a table that holds stars: its label column where that is read as stars, else by its name.

    Raises:
        TableError: The file is not a table.
        DataError: Its label column is not known.
    """
    from core.data.tables import sniff_table

    assert data.path is not None
    columns = sniff_table(Path(data.path)).columns
    if data.label_map and map_stars(data.label_map) is not None:
        return data.label_column or guess_label_column(Path(data.path), columns)
    names = {column.strip().casefold(): column for column in reversed(columns)}
    return next((names[name] for name in STAR_COLUMNS if name in names), None)


def _load_demo() -> dict[str, LabelledTexts]:
    from core.data.demo import generate_reviews

    return {
        name: _written([review.stars for review in reviews], np.array([review.label for review in reviews], np.int64))
        for name, reviews in generate_reviews().items()
    }


def _load_imdb() -> dict[str, LabelledTexts] | None:
    folder = settings.data_folder()
    if folder is None or not (folder / "imdb" / "ratings").is_dir():
        return None
    found = {}
    for name in SPLITS:
        path = folder / "imdb" / "ratings" / f"{name}.parquet"
        labels_path = folder / "imdb" / "plain_text" / f"{name}-00000-of-00001.parquet"
        try:
            stars = pq.read_table(path, columns=["rating"])["rating"].to_pylist()
            labels = pq.read_table(labels_path, columns=["label"])["label"].to_numpy().astype(np.int64)
        except (OSError, pa.ArrowException, KeyError) as error:
            raise DataError(
                f"Could not read the stars of IMDB's {name} split at {path}: {str(error)[:200]}. It should hold one "
                "column, rating, a row for each review. Restore it, or remove the folder imdb/ratings."
            ) from error
        if len(stars) != len(labels):
            raise DataError(
                f"{path} holds {len(stars):,} ratings for {len(labels):,} reviews. Use the file that belongs to them."
            )
        found[name] = _written(stars, labels)
    return found


def _written(stars: list[int], labels: NDArray[np.int64]) -> LabelledTexts:
    return LabelledTexts(pa.array([str(each) for each in stars], pa.large_string()), labels)
