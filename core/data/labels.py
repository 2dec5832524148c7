"""How the values of a label column are read: as negative, as positive, or as rows to leave out."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import get_args

from core.config import Meaning
from core.errors import ConfigError, DataError

MOST_VALUES = 50
MOST_SHOWN = 40
STARS = "stars"
MEANINGS: tuple[Meaning, ...] = get_args(Meaning)
LABEL_COLUMNS = ("label", "sentiment", "class", "target", "polarity")
LABEL_SPELLINGS: Mapping[str, Meaning] = {
    **dict.fromkeys(("0", "negative", "neg", "-1", "false", "no", "bad"), "negative"),
    **dict.fromkeys(("1", "positive", "pos", "+1", "true", "yes", "good"), "positive"),
}
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
WHOLE = re.compile(r"(?P<stars>\d{1,2})([.,]0+)?(\s*-?\s*stars?|\s*(/|out of)\s*(?P<most>5|10))?")
DRAWN = re.compile("(?P<full>[★⭐]{1,5})\ufe0f?[☆✩]{0,4}")


def normalise_label(value: str) -> str:
    """Return a value as it is compared: trimmed and case-folded."""
    return value.strip().casefold()


def guess_label_column(path: Path, columns: Iterable[str]) -> str:
    """Return the column whose name is a usual one for labels.

    Raises:
        DataError: None is.
    """
    names = {column.strip().casefold(): column for column in reversed(list(columns))}
    for name in LABEL_COLUMNS:
        if name in names:
            return names[name]
    raise DataError(f"{path}: no column is called {' or '.join(LABEL_COLUMNS)}. Name the column with --label-column.")


def count_labels(path: Path, label_column: str | None = None) -> dict[str, int]:
    """Return the distinct values of a table's label column, normalised, and in how many rows each stands.

    Numbers come first, by size, then words, most frequent first. Rows that cannot be read are not counted.

    Raises:
        TableError: The file is not such a table, or has no such column.
        DataError: No column can be guessed, or it holds more than ``MOST_VALUES`` different values.
    """
    from core.data.tables import Row, column_index, read_rows, sniff_table

    table_format = sniff_table(path)
    name = label_column or guess_label_column(path, table_format.columns)
    place = column_index(table_format, name)
    counts: dict[str, int] = {}
    for row in read_rows(path, table_format):
        if not isinstance(row, Row):
            continue
        value = normalise_label(row.fields[place])
        counts[value] = counts.get(value, 0) + 1
        if len(counts) > MOST_VALUES:
            raise DataError(
                f"{path}, line {row.line}: {name[:MOST_SHOWN]!r} holds more than {MOST_VALUES} different "
                "values, so it is no column of labels. Choose another column, or write its values as negative and "
                "positive."
            )
    return dict(sorted(counts.items(), key=lambda item: (*_rank(item[0]), -item[1], item[0])))


def _rank(value: str) -> tuple[bool, float]:
    is_number = NUMBER.fullmatch(value) is not None
    return (False, float(value.replace(",", "."))) if is_number else (True, 0.0)


def is_plain(values: Collection[str]) -> bool:
    """Tell whether normalised values are usual spellings of two labels, which need no map.

    With -1 and 1 a 0 is more likely neutral than negative, which nobody but the owner of the table can say.
    """
    return set(values) <= set(LABEL_SPELLINGS) and not has_middle(values)


def propose_label_map(values: Collection[str]) -> dict[str, Meaning]:
    """Return how normalised values are most likely meant; a value that could mean anything is left open.

    Usual spellings are read as such and star ratings as ``map_stars`` does. A number is a spelling only where every
    number is one: next to a 2, nobody can tell what 0 and 1 stand for.
    """
    known: dict[str, Meaning] = {value: LABEL_SPELLINGS[value] for value in values if value in LABEL_SPELLINGS}
    if len(known) == len(values):
        return known | {"0": "left out"} if has_middle(values) else known
    stars = map_stars(values)
    if stars is not None and {"negative", "positive"} <= set(stars.values()):
        return stars
    numbers = {value for value in values if NUMBER.fullmatch(value)}
    return known if numbers <= set(known) else {value: known[value] for value in known if value not in numbers}


def map_stars(values: Collection[str]) -> dict[str, Meaning] | None:
    """Return how normalised star ratings are read; None where one of them is no rating of 1 to 10 whole stars.

    Up to 5 stars: 1 and 2 are negative, 3 is left out, 4 and 5 are positive. Where a value lies above 5, or says "of
    10": 1 to 4 are negative, 5 and 6 are left out, 7 to 10 are positive, as in the IMDB data set (Maas et al. 2011).
    """
    read = {value: read_stars(value) for value in values}
    found = {value: stars for value, stars in read.items() if stars is not None}
    if not found or len(found) < len(read):
        return None
    said = {most for _, most in found.values() if most is not None}
    most = max([5, *said, *(10 for stars, _ in found.values() if stars > 5)])
    if len(said) > 1 or (said and most not in said) or any(not 1 <= stars <= most for stars, _ in found.values()):
        return None
    worst_good, best_bad = (7, 4) if most == 10 else (4, 2)
    return {
        value: "positive" if stars >= worst_good else "negative" if stars <= best_bad else "left out"
        for value, (stars, _) in found.items()
    }


def read_stars(value: str) -> tuple[int, int | None] | None:
    """Return how many stars a value stands for, and out of how many where it says so."""
    if drawn := DRAWN.fullmatch(value):
        return len(drawn["full"]), 5
    if whole := WHOLE.fullmatch(value):
        return int(whole["stars"]), int(whole["most"]) if whole["most"] else None
    return None


def has_middle(values: Collection[str]) -> bool:
    """Tell whether normalised values are -1, 0 and 1, where 0 may be neutral."""
    return {"-1", "0"} <= set(values) and bool({"1", "+1"} & set(values))


def parse_label_map(written: str, path: Path, label_column: str | None = None) -> dict[str, Meaning]:
    """Return the label map that ``--labels`` asks for.

    Args:
        written: "stars", or "1=negative,3=left out,5=positive", or the same as a JSON object, for values that hold a
            comma.
        path: The table, whose values "stars" needs.
        label_column: Of the table; guessed when None.

    Raises:
        ConfigError: It is written in another way, names another meaning, or gives one value two.
        DataError: "stars" is asked for where a value is no star rating.
        TableError: The table cannot be read.
    """
    if normalise_label(written) == STARS:
        counts = count_labels(path, label_column)
        stars = map_stars(counts)
        if stars is None:
            shown = ", ".join(repr(value[:MOST_SHOWN]) for value in list(counts)[:10])
            raise DataError(
                f"{path}: --labels stars expects 1 to 5 or 1 to 10 whole stars; found {shown or 'no row'}. Say how "
                "each value is read, for example --labels '1=negative,2=left out,3=positive'."
            )
        return stars
    label_map: dict[str, Meaning] = {}
    for value, written_meaning in _split_pairs(written).items():
        meaning = _check_meaning(value, written_meaning)
        if label_map.setdefault(normalise_label(value), meaning) != meaning:
            raise ConfigError(
                f"--labels gives {value[:MOST_SHOWN]!r} two meanings. Case and blanks around do not count."
            )
    return label_map


def write_label_map(label_map: Mapping[str, Meaning]) -> str:
    """Return a label map as ``parse_label_map`` reads it."""
    if any("," in value or value.startswith("{") for value in label_map):
        return json.dumps(label_map, ensure_ascii=False)
    return ",".join(f"{value}={meaning}" for value, meaning in label_map.items())


def _split_pairs(written: str) -> Mapping[str, object]:
    how = "Write --labels stars, or for example --labels '1=negative,3=left out,5=positive'."
    if written.lstrip().startswith("{"):
        try:
            pairs = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"--labels begins with a brace but is no JSON object ({error}). {how}") from error
        return dict(pairs)
    found: dict[str, object] = {}
    for pair in written.split(","):
        value, equals, meaning = pair.rpartition("=")
        if not equals:
            raise ConfigError(f"--labels: expected value=meaning, found {pair[:MOST_SHOWN]!r}. {how}")
        found[value] = normalise_label(meaning)
    return found


def _check_meaning(value: str, meaning: object) -> Meaning:
    for known in MEANINGS:
        if meaning == known:
            return known
    raise ConfigError(
        f"--labels: {value[:MOST_SHOWN]!r} is read as {str(meaning)[:MOST_SHOWN]!r}; expected one of "
        f"{', '.join(MEANINGS)}."
    )
