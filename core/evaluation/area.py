"""An area drawn on the map of reviews: fewer corners, rounded so that a URL can hold them, and what lies inside."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Corners = tuple[tuple[float, float], ...]
MOST_CORNERS = 40
DIGITS = 4  # significant ones, of each coordinate


def round_corners(corners: Sequence[tuple[float, float]], most: int = MOST_CORNERS) -> Corners:
    """Return a polygon of at most ``most`` corners whose coordinates have four significant digits.

    The corner whose triangle with its neighbours is the smallest goes first, again and again (Visvalingam & Whyatt
    1993, The Cartographic Journal 30), which does not depend on the scales of the two axes.

    Args:
        corners: Of a closed polygon; the last is joined to the first.
        most: At least 3.

    Returns:
        Three corners or more; none at all when the polygon has no area.
    """
    left = np.array([place for place in corners if np.isfinite(place).all()], np.float64).reshape(-1, 2)
    while len(left) > most:
        before, after = np.roll(left, 1, axis=0) - left, np.roll(left, -1, axis=0) - left
        left = np.delete(left, np.argmin(np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])), axis=0)
    rounded = [(float(f"{x:.{DIGITS}g}"), float(f"{y:.{DIGITS}g}")) for x, y in left]
    distinct = tuple(place for number, place in enumerate(rounded) if place != rounded[number - 1])
    spans = [max(values) - min(values) for values in zip(*distinct, strict=True)] if len(distinct) > 2 else [0.0]
    return distinct if min(spans) > 0 else ()


def are_inside(x: NDArray[np.floating], y: NDArray[np.floating], corners: Corners) -> NDArray[np.bool_]:
    """Tell which of N points lie inside a polygon, bool (N), by the even-odd rule.

    Args:
        x: float (N).
        y: float (N).
        corners: The last is joined to the first; fewer than 3 hold no point.
    """
    inside = np.zeros(len(x), np.bool_)
    across, up = x.astype(np.float64), y.astype(np.float64)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if y0 != y1:  # a level edge is crossed by no level line
            crosses = (up >= min(y0, y1)) & (up < max(y0, y1))
            inside ^= crosses & (across < x0 + (up - y0) * ((x1 - x0) / (y1 - y0)))
    return inside
