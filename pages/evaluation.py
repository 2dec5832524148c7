"""Evaluation."""

from dashboard.components import draw_head

draw_head("Evaluation", "Not yet.")
