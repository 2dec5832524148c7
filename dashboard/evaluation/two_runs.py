"""The section Two runs: what another model reads differently, review by review."""

from core.evaluation.selection import Selection
from dashboard.components import draw_caption
from dashboard.evaluation.choices import Door
from dashboard.evaluation.view import Scored

DOORS: dict[str, Door] = {}


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section."""
    draw_caption("Two runs")
