"""Which reviews pass the filters that labels and scores alone cannot answer, each answered where it is known."""

from collections.abc import Callable, Mapping

from core.evaluation.selection import Mask, Selection
from dashboard.cache import find_words
from dashboard.evaluation.view import Scored

Answer = Callable[[Scored, Selection], Mask]
ANSWERS: Mapping[str, Answer] = {
    "words": lambda view, selection: find_words(view.job, view.rows.texts, selection.words),
}


def outside_masks(view: Scored, selection: Selection) -> dict[str, Mask]:
    """Return which reviews pass each such filter, bool (N)."""
    return {name: ANSWERS[name](view, selection) for name in selection.needs}


def titles(view: Scored) -> dict[str, str]:
    """Return in words what a selection cannot name itself."""
    return {}
