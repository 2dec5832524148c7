import numpy as np
import pytest

from core.evaluation.area import MOST_CORNERS, are_inside, round_corners

SQUARE = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))


def test_points_of_a_square_are_told_from_those_beside_it() -> None:
    x, y = np.array([1.0, 3.0, -1.0, 1.0, 1.9]), np.array([1.0, 1.0, 1.0, 3.0, 0.1])
    assert are_inside(x, y, SQUARE).tolist() == [True, False, False, False, True]


def test_where_a_drawn_line_crosses_itself_what_is_enclosed_twice_is_outside() -> None:
    # A star of five points drawn in one stroke: its middle is enclosed twice.
    turns = np.arange(5) * 4 * np.pi / 5
    star = tuple((float(np.sin(turn)), float(np.cos(turn))) for turn in turns)
    assert are_inside(np.array([0.0, 0.0]), np.array([0.0, 0.8]), star).tolist() == [False, True]


def test_two_areas_that_share_an_edge_hold_every_point_once() -> None:
    draw = np.random.default_rng(0)
    x, y = np.round(draw.uniform(0, 4, 2_000), 1), np.round(draw.uniform(0, 2, 2_000), 1)
    left = are_inside(x, y, ((0, 0), (2, 0), (3, 1), (1, 2), (0, 2)))
    right = are_inside(x, y, ((2, 0), (4, 0), (4, 2), (1, 2), (3, 1)))
    within = (x >= 0) & (x < 4) & (y >= 0) & (y < 2)
    assert (left.astype(int) + right.astype(int) == within).all(), "points on the shared edge too"


def test_no_corner_holds_no_point() -> None:
    assert not are_inside(np.zeros(3), np.zeros(3), ()).any()


def test_a_lasso_of_many_corners_keeps_its_shape_with_forty() -> None:
    turns = np.linspace(0, 2 * np.pi, 500, endpoint=False)
    drawn = [(1_000 * (2 + np.cos(turn)), 0.01 * np.sin(turn)) for turn in turns]
    corners = round_corners(drawn)
    assert len(corners) == MOST_CORNERS
    draw = np.random.default_rng(1)
    x, y = draw.uniform(1_000, 3_000, 5_000), draw.uniform(-0.01, 0.01, 5_000)
    truly = ((x - 2_000) / 1_000) ** 2 + (y / 0.01) ** 2 < 1
    assert (are_inside(x, y, corners) != truly).mean() < 0.01


def test_the_scales_of_the_axes_do_not_change_which_corners_are_kept() -> None:
    draw = np.random.default_rng(2)
    drawn = [(float(x), float(y)) for x, y in draw.normal(size=(100, 2))]
    stretched = [(x, 4_096 * y) for x, y in drawn]
    kept = [place[0] for place in round_corners(drawn)]
    assert kept == [place[0] for place in round_corners(stretched)] and len(kept) == MOST_CORNERS


def test_a_corner_survives_being_written_into_a_url() -> None:
    draw = np.random.default_rng(3)
    drawn = [(float(x), float(y)) for x, y in 10.0 ** draw.uniform(-6, 5, (30, 2))]
    for x, y in round_corners(drawn):
        assert (float(f"{x:.4g}"), float(f"{y:.4g}")) == (x, y)


@pytest.mark.parametrize(
    "drawn",
    [
        [],
        [(0, 0)],
        [(0, 0), (1, 1)],
        [(1, 1)] * 9,
        [(0, 0), (1, 0), (2, 0)],
        [(0, 0), (np.nan, 1), (np.inf, 2), (1, 1)],
    ],
)
def test_what_encloses_nothing_is_no_area(drawn: list[tuple[float, float]]) -> None:
    assert round_corners(drawn) == ()
