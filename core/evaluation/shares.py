"""How many texts are read as positive, as negative, or as neither."""

from typing import Literal, NamedTuple

from core.evaluation.intervals import Interval, wilson_interval

SIDES: tuple[Literal["negative", "not sure", "positive"], ...] = ("negative", "not sure", "positive")
Unit = Literal["day", "week", "month", "quarter", "year"]
UNITS: tuple[Unit, ...] = ("day", "week", "month", "quarter", "year")


class Counts(NamedTuple):
    """How many scored rows lie on each side."""

    negative: int
    not_sure: int
    positive: int

    @property
    def scored(self) -> int:
        """Return all of them."""
        return sum(self)

    @property
    def share(self) -> float | None:
        """Return the share positive; None of no rows."""
        return self.positive / self.scored if self.scored else None

    @property
    def interval(self) -> Interval | None:
        """Return the Wilson interval of the share positive; None of no rows."""
        return wilson_interval(self.positive, self.scored) if self.scored else None

    @property
    def unsure_share(self) -> float | None:
        """Return the share not sure; None of no rows."""
        return self.not_sure / self.scored if self.scored else None

    @property
    def unsure_interval(self) -> Interval | None:
        """Return the Wilson interval of the share not sure; None of no rows."""
        return wilson_interval(self.not_sure, self.scored) if self.scored else None
