"""Hub, local folder, table and demo corpus to one shape: a ``datasets.DatasetDict`` of ``text`` and ``label``.

The training loop takes plain columns (``LabelledTexts``), so that it also runs where ``datasets`` is not installed.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core import settings
from core.config import LABELS, DataConfig, Meaning, RunConfig
from core.data.corrections import load_corrected
from core.data.labelled import LabelledTexts, cut_stratified
from core.data.labels import (
    LABEL_SPELLINGS,
    MEANINGS,
    count_labels,
    guess_label_column,
    has_middle,
    map_stars,
    normalise_label,
)
from core.errors import DataError

if TYPE_CHECKING:
    from datasets import DatasetDict

IMDB_HUB_NAME = "stanfordnlp/imdb"
IMDB_REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
HUB_TIMEOUT_SECONDS = 8.0
SPLITS = ("train", "test")
TABLE_TEST_FRACTION = 0.2
TABLE_TEST_SEED = 0


def load_dataset(config: DataConfig) -> "DatasetDict":
    """Return the data set that a config names, with the splits ``train`` and ``test``.

    Returns:
        ``text`` (large_string) and ``label`` (int64: 0 negative, 1 positive), no missing values.

    Raises:
        DataError: It cannot be reached, or a row has no usable label.
    """
    from datasets import Dataset, DatasetDict

    if config.source == "imdb" and settings.data_folder() is None and config.corrections is None:
        return _load_imdb_from_hub()
    splits = {name: Dataset(to_table(split)) for name, split in load_columns(config).items()}
    return DatasetDict(splits)


def load_columns(config: DataConfig) -> dict[str, LabelledTexts]:
    """Return the same data as plain columns; ``datasets`` is needed for the hub alone.

    Raises:
        DataError: It cannot be reached, a row has no usable label, or its corrections were made for other data.
    """
    splits = _load_as_it_came(config)
    return splits if config.corrections is None else load_corrected(splits, config.corrections)


def _load_as_it_came(config: DataConfig) -> dict[str, LabelledTexts]:
    folder = settings.data_folder()
    if config.source == "demo":
        return _load_demo()
    if config.source == "table":
        return _load_table(config)
    if folder is not None:
        return read_imdb_folder(folder)
    return {name: to_columns(split.data.table) for name, split in _load_imdb_from_hub().items()}


def load_unlabelled(config: DataConfig, held_out: pa.Array) -> pa.Array:
    """Return the reviews without a label that come with a data set, large_string (U); those of a table are none.

    Args:
        config: The data set.
        held_out: Validation and test texts, large_string; what stands among them is left out.

    Raises:
        DataError: They cannot be reached.
    """
    texts = _load_unlabelled(config)
    return texts.filter(pc.invert(pc.is_in(texts, value_set=held_out)))


def _load_unlabelled(config: DataConfig) -> pa.Array:
    folder = settings.data_folder()
    if config.source == "demo":
        from core.data.demo import generate_unlabelled

        return pa.array(generate_unlabelled(), pa.large_string())
    if config.source == "table":
        return pa.array([], pa.large_string())
    if folder is not None:
        return _read_imdb_texts(folder, "unsupervised")
    return (
        _load_imdb_from_hub(("unsupervised",))["unsupervised"]
        .data.table["text"]
        .cast(pa.large_string())
        .combine_chunks()
    )


def _read_imdb_texts(folder: Path, name: str) -> pa.Array:
    path = _imdb_file(folder, name)
    try:
        return pq.read_table(path, columns=["text"])["text"].cast(pa.large_string()).combine_chunks()
    except (OSError, pa.ArrowException, KeyError) as error:
        raise DataError(
            f"Could not read IMDB's reviews without a label at {path}: {str(error)[:200]}. {settings.DATA_VARIABLE} "
            "should name a folder that holds imdb/plain_text/*.parquet, or choose settings that need labels alone."
        ) from error


def _imdb_file(folder: Path, name: str) -> Path:
    return folder / "imdb" / "plain_text" / f"{name}-00000-of-00001.parquet"


def read_imdb_folder(folder: Path) -> dict[str, LabelledTexts]:
    """Read IMDB from a folder that holds ``imdb/plain_text/*.parquet``, as the hub lays it out.

    Raises:
        DataError: A file is missing, unreadable or has other columns.
    """
    splits = {}
    for name in SPLITS:
        path = _imdb_file(folder, name)
        try:
            splits[name] = to_columns(pq.read_table(path, columns=["text", "label"]))
        except (OSError, pa.ArrowException, KeyError) as error:
            raise DataError(
                f"Could not read IMDB's {name} split at {path}: {str(error)[:200]}. {settings.DATA_VARIABLE} should "
                "name a folder that holds imdb/plain_text/*.parquet; or train on the demo corpus (--data demo)."
            ) from error
    return splits


def to_columns(table: pa.Table) -> LabelledTexts:
    """Return a table's text and label as plain columns.

    Raises:
        DataError: A text is missing, or a label is neither 0 nor 1.
    """
    texts = table["text"].cast(pa.large_string()).combine_chunks()
    labels = table["label"].to_numpy().astype(np.int64)
    if texts.null_count or not np.isin(labels, (0, 1)).all():
        raise DataError("The data set holds a missing text, or a label other than 0 and 1. Use another copy of it.")
    return LabelledTexts(texts, labels)


def choose_split(splits: Mapping[str, LabelledTexts], split: str, config: RunConfig) -> LabelledTexts:
    """Return a split by name; ``valid`` is cut from train again, as the run of this config cut it.

    Raises:
        DataError: There is no split of that name, or the table has no review.
    """
    if split == "test":
        return splits["test"]
    data = config.data
    if split == "all" and data.source == "table" and data.path is not None:
        whole = read_labelled_table(Path(data.path), data.text_column, data.label_column, data.label_map)
        if not len(whole):
            raise DataError(f"{data.path}: there is no review. The table has no row, or all of its rows are left out.")
        return whole
    if split not in ("train", "valid"):
        raise DataError(f"There is no split {split[:40]!r}. Choose train, valid or test; of a table also all.")
    train = splits["train"]
    rows, valid_rows = cut_stratified(train.labels, data.validation_fraction, config.split_seed)
    return train.take(rows if split == "train" else valid_rows)


def _load_imdb_from_hub(names: Sequence[str] = SPLITS) -> "DatasetDict":
    """Fetch IMDB from the hub, or from the hub's cache on this machine when the hub does not answer soon."""
    from datasets import DatasetDict
    from datasets import load_dataset as load_from_hub

    try:
        with _offline_unless_reachable():
            found = load_from_hub(IMDB_HUB_NAME, revision=IMDB_REVISION)
    except Exception as error:  # the hub's client raises errors of many libraries
        raise DataError(
            f"IMDB could not be fetched from the hub ({IMDB_HUB_NAME}): {_first_line(error)}. Connect to the internet "
            f"once, or set {settings.DATA_VARIABLE} to a folder that holds imdb/plain_text/*.parquet, or use the demo "
            "corpus (--data demo)."
        ) from error
    return DatasetDict({name: found[name].select_columns(["text", "label"]) for name in names})


@contextmanager
def _offline_unless_reachable() -> Iterator[None]:
    """Ask the hub once, with a short timeout; without an answer, let its client use the cache alone for this block.

    Left alone, ``datasets`` retries for 23 s before it says that there is no network.
    """
    import datasets
    from huggingface_hub import HfApi, constants

    before = constants.HF_HUB_OFFLINE
    try:
        HfApi().dataset_info(IMDB_HUB_NAME, revision=IMDB_REVISION, timeout=HUB_TIMEOUT_SECONDS)
    except Exception:  # noqa: BLE001 (whatever is in the way, the cache is asked next)
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = datasets.config.HF_HUB_OFFLINE = before


def _load_demo() -> dict[str, LabelledTexts]:
    from core.data.demo import generate_reviews

    return {
        name: LabelledTexts(
            pa.array([review.text for review in reviews], pa.large_string()),
            np.array([review.label for review in reviews], np.int64),
        )
        for name, reviews in generate_reviews().items()
    }


def _load_table(config: DataConfig) -> dict[str, LabelledTexts]:
    """Read a labelled table of the user's; a fifth of it, the same for every seed, becomes the test split.

    Rows that the label map leaves out are gone before the cut.
    """
    if config.path is None:
        raise DataError("The data source 'table' needs a file: set data.path, or pass --data FILE.")
    rows = read_labelled_table(Path(config.path), config.text_column, config.label_column, config.label_map)
    train, test = cut_stratified(rows.labels, TABLE_TEST_FRACTION, TABLE_TEST_SEED)
    return {"train": rows.take(train), "test": rows.take(test)}


def read_labelled_table(
    path: Path, text_column: str | None, label_column: str | None, label_map: Mapping[str, Meaning] | None = None
) -> LabelledTexts:
    """Read the rows of a CSV-like table as labelled texts, without those that ``label_map`` leaves out.

    Values are compared trimmed and whatever their case; without a map, the usual spellings are known.

    Raises:
        TableError: The file is not such a table.
        DataError: A row is malformed or its label is not known; the first such line is named.
    """
    from core.data.tables import Reject, column_index, guess_text_column, read_rows, sniff_table

    table_format = sniff_table(path)
    text_name = text_column or guess_text_column(path, table_format)
    label_name = label_column or guess_label_column(path, table_format.columns)
    text_place, label_place = column_index(table_format, text_name), column_index(table_format, label_name)
    known = LABEL_SPELLINGS if label_map is None else label_map
    meanings = {normalise_label(value): meaning for value, meaning in known.items()}
    texts, labels, faults, seen = [], [], [], set()
    for row in read_rows(path, table_format):
        if isinstance(row, Reject):
            faults.append(f"line {row.line}: {row.reason}")
            continue
        seen.add(normalise_label(row.fields[label_place]))
        if (meaning := meanings.get(normalise_label(row.fields[label_place]))) is None:
            faults.append(f"line {row.line}: the label {row.fields[label_place][:40]!r} is not a known one")
        elif meaning in LABELS:
            texts.append(row.fields[text_place])
            labels.append(LABELS.index(meaning))
    if faults:
        expected = ", ".join(value[:40] or repr(value) for value in meanings)
        counted = f"{len(faults):,} row{'' if len(faults) == 1 else 's'}"
        raise DataError(
            f"{path}: {counted} cannot be used, the first at {faults[0]}. Expected one of {expected} "
            f"in {label_name!r}. {_advice(path, label_name, label_map)}"
        )
    if label_map is None and has_middle(seen):
        raise DataError(
            f"{path}: {label_name!r} holds -1, 0 and 1, and only you know whether 0 means neutral. Say how it is "
            'read: --labels "-1=negative,0=left out,1=positive".'
        )
    return LabelledTexts(pa.array(texts, pa.large_string()), np.array(labels, np.int64))


def _advice(path: Path, label_name: str, label_map: Mapping[str, Meaning] | None) -> str:
    """Return what to do about rows that cannot be read, stars above all."""
    if label_map is not None:
        return "Correct or remove these rows, or say with --labels how their labels are read or that they are left out."
    try:
        stars = map_stars(count_labels(path, label_name))
    except DataError as error:
        return str(error)
    if stars is None:
        return "Correct or remove these rows, or say with --labels how each value is read."
    sides = [", ".join(value for value in stars if stars[value] == meaning) for meaning in MEANINGS]
    read = [f"{side} as {label}" for side, label in zip(sides, LABELS, strict=False) if side]
    left_out = f", and to leave out {sides[-1]}" if sides[-1] else ""
    return f"These look like stars: pass --labels stars to read {' and '.join(read)}{left_out}."


def to_table(split: LabelledTexts) -> pa.Table:
    """Return columns as a table of text and label."""
    return pa.table({"text": split.texts, "label": split.labels})


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
