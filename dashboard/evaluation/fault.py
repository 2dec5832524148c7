"""The section Whose fault?: whether a disagreement is the model's fault or the label's."""

from core.evaluation.selection import Selection
from dashboard.components import draw_caption
from dashboard.evaluation.choices import Door
from dashboard.evaluation.view import Scored

DOORS: dict[str, Door] = {}


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section."""
    draw_caption("Whose fault?")
