"""What a click makes of the filters."""

import pytest

from core.evaluation.selection import Selection
from dashboard.evaluation.choices import open_bin, open_surest, open_threshold


def cell(**fields: object) -> dict[str, object]:
    return {"cell": [fields]}


def test_a_click_on_the_risk_curve_filters_and_a_second_one_on_it_takes_the_filter_away() -> None:
    once = open_surest(Selection(label=1), cell(surest=70))
    assert once == Selection(label=1, surest=70)
    assert open_surest(once, cell(surest=60)) == Selection(label=1, surest=60)
    assert open_surest(once, cell(surest=70)) == Selection(label=1)


def test_all_reviews_are_no_filter() -> None:
    assert open_surest(Selection(surest=70), cell(surest=100)) == Selection()


def test_a_click_on_a_curve_lists_right_and_wrong_alike_and_a_second_one_ends_it() -> None:
    point = {"points": [{"x": 0.1, "customdata": [0.1, 0.2, 0.123456789012345]}]}
    once = open_threshold(Selection(words="film"), point)
    assert once == Selection(words="film", at_least=0.123456789012345, only_wrong=False)
    assert open_threshold(once, point) == Selection(words="film")


@pytest.mark.parametrize("clicked", [{}, {"points": []}, {"points": [{"x": 0.5}]}, {"cell": []}])
def test_a_click_beside_a_mark_changes_nothing(clicked: dict[str, list[object]]) -> None:
    selection = Selection(confidence=3, at_least=0.5)
    assert open_threshold(selection, clicked) == open_surest(selection, clicked) == open_bin(selection, clicked)
    assert open_threshold(selection, clicked) == selection
