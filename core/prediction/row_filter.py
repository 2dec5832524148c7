"""Which rows of a scored table are looked at: filters that combine, what they are called, and the rows they leave."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from core.config import Section
from core.evaluation.shares import SIDES
from core.model_settings import Cutoffs, Side
from core.prediction.facets import Facets, stars_of
from core.prediction.predictor import probability_of
from core.prediction.summary import BINS, NEGATIVE, NO_DAY, PIECE, POSITIVE, Mask, bin_edges, bins_of, sides_of
from core.wording import percent

Disagreement = Literal["any", "high", "low"]
DISAGREEMENTS: dict[Disagreement, str] = {
    "any": "stars and text disagree",
    "high": "many stars, read as negative",
    "low": "few stars, read as positive",
}
EPOCH = date(1970, 1, 1)
LONGEST_SHOWN = 60
Read = Callable[[str], NDArray[Any]]


class RowFilter(Section):
    """Filters on the rows of a scored table; all that are set apply together.

    Attributes:
        side: Where the score lies.
        groups: A value each of several columns, as (place, value).
        dated: The column of dates that ``since`` and ``until`` are about, both included; days since 1970.
        rated: The column of stars that ``stars`` and ``disagreement`` are about.
        score: One of the ``BINS`` of the probability of positive.
        confidence: The probability of the verdict is this at least.
        word: The text holds this word, or these words in a row, as whole words.
        phrase: The text contains these characters, whatever their case.
    """

    side: Side | None = None
    groups: tuple[tuple[int, str], ...] = ()
    dated: int | None = None
    since: int | None = None
    until: int | None = None
    rated: int | None = None
    stars: int | None = None
    disagreement: Disagreement | None = None
    score: int | None = Field(None, ge=0, lt=BINS)
    confidence: float | None = Field(None, gt=0.0, le=1.0)
    word: str = ""
    phrase: str = ""

    @property
    def is_empty(self) -> bool:
        """Tell whether it leaves every row."""
        return self == RowFilter()

    @property
    def needs_texts(self) -> bool:
        """Tell whether the rows can be told only by reading their texts."""
        return bool(self.word or self.phrase)

    def group(self, place: int) -> str | None:
        """Return the value that a column is filtered by."""
        return dict(self.groups).get(place)

    def with_group(self, place: int, value: str | None) -> "RowFilter":
        """Return it with a column filtered by a value, or no more."""
        others = tuple(each for each in self.groups if each[0] != place)
        groups = others if value is None else tuple(sorted((*others, (place, value))))
        return self.model_copy(update={"groups": groups})

    def with_days(self, place: int, since: int | None, until: int | None) -> "RowFilter":
        """Return it with a column of dates filtered by its first and last day, either of which may be open."""
        dated = None if since is None and until is None else place
        return self.model_copy(update={"dated": dated, "since": since, "until": until})

    def with_stars(self, place: int, stars: int | None = None, disagreement: Disagreement | None = None) -> "RowFilter":
        """Return it with a column of stars filtered by their number, or by how they go with the scores."""
        rated = None if stars is None and disagreement is None else place
        return self.model_copy(update={"rated": rated, "stars": stars, "disagreement": disagreement})

    def without_texts(self) -> "RowFilter":
        """Return what of it can be told without reading texts."""
        return self.model_copy(update={"word": "", "phrase": ""})


def rows_left(
    chosen: RowFilter, facets: Facets, read: Read, cutoffs: Cutoffs, text_rows: "dict[str, Mask] | None" = None
) -> Mask | None:
    """Tell which rows of a scored table a filter leaves, bool (N), never one without a score; None when it is empty.

    Args:
        chosen: The filter; a column of it that the table lacks leaves no row.
        facets: What is known of the columns.
        read: Gives a column of the facets by name: "logit", "f1", "d2" ... It may also know "side" and "bin", which
            are made of the logits otherwise.
        cutoffs: The file's.
        text_rows: Which rows "word" and "phrase" leave, bool (N) each; needed where the filter has them.
    """
    if chosen.is_empty:
        return None
    logits = read("logit")
    sides = _made(read, "side", lambda: sides_of(logits, cutoffs))
    left: Mask = sides == SIDES.index(chosen.side) if chosen.side else sides >= 0
    for place, value in chosen.groups:
        left &= _is_value(facets, read, place, value)
    if chosen.dated is not None:
        left &= _is_between(facets, read, chosen)
    if chosen.rated is not None:
        left &= _has_stars(facets, read, chosen, sides)
    if chosen.score is not None:
        left &= _made(read, "bin", lambda: bins_of(logits)) == chosen.score
    if chosen.confidence is not None:
        left &= _is_confident(logits, chosen.confidence, cutoffs)
    for kind in ("word", "phrase"):
        if getattr(chosen, kind):
            left &= (text_rows or {})[kind]
    return left


def disagreeing(stars: NDArray[np.int8], scale: int, sides: NDArray[np.int8], kind: Disagreement) -> Mask:
    """Tell in which rows stars and text disagree, bool (N); those of neither a clear star nor a sure score never do."""
    high: Mask = (stars >= first_high(scale)) & (sides == NEGATIVE)
    low: Mask = (stars > 0) & (stars <= last_low(scale)) & (sides == POSITIVE)
    return {"any": high | low, "high": high, "low": low}[kind]


def first_high(scale: int) -> int:
    """Return how many stars are meant as positive at least: 4 of 5, 7 of 10."""
    return 4 if scale == 5 else 7


def last_low(scale: int) -> int:
    """Return how many stars are meant as negative at most: 2 of 5, 4 of 10."""
    return 2 if scale == 5 else 4


def describe_filter(chosen: RowFilter, facets: Facets) -> str:
    """Say what a filter leaves, as "product Vacuum V9, negative"; "" when it is empty. It may hold strangers' words."""
    parts = [f"{facets.name(place)} {_short(value) or '(empty)'}" for place, value in chosen.groups]
    if chosen.side:
        parts.append(chosen.side)
    if chosen.dated is not None:
        parts.append(f"{facets.name(chosen.dated)} {describe_days(chosen.since, chosen.until)}")
    if chosen.rated is not None and chosen.stars is not None:
        parts.append(f"{chosen.stars} star{'' if chosen.stars == 1 else 's'}")
    if chosen.disagreement:
        parts.append(DISAGREEMENTS[chosen.disagreement])
    if chosen.score is not None:
        low, high = 100 * bin_edges()[chosen.score : chosen.score + 2]
        parts.append(f"probability of positive {low:g} to {high:g} %")
    if chosen.confidence is not None:
        parts.append(f"at least {percent(chosen.confidence, 0)} confident")
    if chosen.word:
        parts.append(f"with the word “{_short(chosen.word)}”")
    if chosen.phrase:
        parts.append(f"containing “{_short(chosen.phrase)}”")
    return ", ".join(parts)


def describe_days(since: int | None, until: int | None) -> str:
    """Write a range of days, as "1 May 2024 to 31 May 2024", "from 1 May 2024" or "3 May 2024"."""
    first, last = (None if day is None else day_text(day) for day in (since, until))
    if first and last:
        return first if first == last else f"{first} to {last}"
    return f"from {first}" if first else f"until {last}"


def day_text(day: int) -> str:
    """Write a day since 1970 as "1 May 2024"; one that no calendar has as its number."""
    try:
        when = EPOCH + timedelta(days=day)
    except OverflowError:
        return f"day {day}"
    return f"{when.day} {when:%b %Y}"


def _made(read: Read, name: str, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    try:
        return read(name)
    except KeyError:
        return make()


def _is_value(facets: Facets, read: Read, place: int, value: str) -> Mask:
    known = facets.values[place] if 0 <= place < len(facets.values) else None
    if known is None or value not in known:
        return np.zeros(len(read("logit")), np.bool_)
    found: Mask = read(f"f{place}") == known.index(value)
    return found


def _is_between(facets: Facets, read: Read, chosen: RowFilter) -> Mask:
    if chosen.dated not in facets.dated:
        return np.zeros(len(read("logit")), np.bool_)
    days = read(f"d{chosen.dated}")
    found: Mask = days != NO_DAY
    if chosen.since is not None:
        found &= days >= chosen.since
    if chosen.until is not None:
        found &= days <= chosen.until
    return found


def _has_stars(facets: Facets, read: Read, chosen: RowFilter, sides: NDArray[np.int8]) -> Mask:
    place = chosen.rated
    if place not in facets.starred:
        return np.zeros(len(sides), np.bool_)
    stars = stars_of(facets.values[place] or (), read(f"f{place}"))
    found: Mask = np.ones(len(sides), np.bool_) if chosen.stars is None else stars == chosen.stars
    if chosen.disagreement:
        found &= disagreeing(stars, facets.facts[place].star_scale or 5, sides, chosen.disagreement)
    return found


def _is_confident(logits: NDArray[np.float32], least: float, cutoffs: Cutoffs) -> Mask:
    found = np.zeros(len(logits), np.bool_)
    for start in range(0, len(logits), PIECE):
        with np.errstate(invalid="ignore"):  # a NaN stays one, and is never confident
            probabilities = probability_of(logits[start : start + PIECE])
        confidences = np.where(probabilities > cutoffs.threshold, probabilities, 1 - probabilities)
        found[start : start + PIECE] = confidences >= least
    return found


def _short(value: str) -> str:
    line = " ".join(value.split())
    return line if len(line) <= LONGEST_SHOWN else line[: LONGEST_SHOWN - 1] + "…"
