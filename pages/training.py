"""Training."""

from dashboard.components import draw_head

draw_head("Training", "Not yet.")
