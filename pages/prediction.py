"""Prediction."""

from dashboard.components import draw_head

draw_head("Prediction", "Not yet.")
