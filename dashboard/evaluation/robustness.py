"""The section Robustness: how often a harmless change of the text turns the verdict."""

from core.evaluation.selection import Selection
from dashboard.components import draw_caption
from dashboard.evaluation.choices import Door
from dashboard.evaluation.view import Scored

DOORS: dict[str, Door] = {}


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section."""
    draw_caption("Robustness")
