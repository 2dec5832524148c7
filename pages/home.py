"""Home."""

from dashboard.components import draw_head

draw_head("Home", "Not yet.")
