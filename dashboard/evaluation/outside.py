"""Which reviews pass the filters that labels and scores alone cannot answer, each answered where it is known."""

from collections.abc import Callable, Mapping

from core.evaluation.selection import Mask, Selection
from dashboard.cache import find_words
from dashboard.evaluation.fault import fault_mask, fault_words
from dashboard.evaluation.intensity import filter_stars
from dashboard.evaluation.other_model import chosen_other, filter_pair, list_others
from dashboard.evaluation.review_map import area_words, filter_area
from dashboard.evaluation.themes import theme_mask, theme_words, token_mask
from dashboard.evaluation.view import Scored

Answer = Callable[[Scored, Selection], Mask]
ANSWERS: Mapping[str, Answer] = {
    "words": lambda view, selection: find_words(view.job, view.rows.texts, selection.words),
    "theme": lambda view, selection: theme_mask(view, selection.theme),
    "token": lambda view, selection: token_mask(view, selection.token),
    "pair": filter_pair,
    "stars": filter_stars,
    "fault": lambda view, selection: fault_mask(view, selection.fault),
    "area": filter_area,
}


def outside_masks(view: Scored, selection: Selection) -> dict[str, Mask]:
    """Return which reviews pass each such filter, bool (N)."""
    return {name: ANSWERS[name](view, selection) for name in selection.needs}


def titles(view: Scored, selection: Selection) -> dict[str, str]:
    """Return in words what a selection cannot name itself."""
    named = {}
    if selection.theme:
        named["theme"] = theme_words(view, selection.theme)
    if selection.area:
        named["area"] = area_words(view)
    if selection.pair and (other := chosen_other(list_others(view))):
        named["other"] = other.name
    if selection.fault:
        named["fault"] = fault_words(selection.fault)
    return named
