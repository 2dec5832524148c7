"""What a click makes of the filters."""

import pytest

from core.config import preset_config, with_data
from core.evaluation.selection import Selection
from dashboard.evaluation.choices import ALL, DataChoice, open_bin, open_surest, open_threshold
from dashboard.evaluation.themes import FOUND, open_found
from dashboard.state import remember


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


def test_a_data_set_is_called_by_its_name_and_a_table_by_its_file_as_that_is_written() -> None:
    config = preset_config("fast")
    table = with_data(config, "/somewhere/my_reviews.csv", "text", "label")
    assert DataChoice("table", ALL, table).title == "my_reviews.csv, all rows"
    assert DataChoice("table", "test", table).title == "my_reviews.csv, test"
    assert DataChoice("demo", "valid", with_data(config, "demo")).title == "Demo corpus, validation"
    assert DataChoice("imdb", "test", with_data(config, "imdb")).title == "IMDB, test"


@pytest.mark.parametrize("clicked", [{"rows": [1]}, {"rows": [], "cells": [[1, "Lift"]]}])
def test_a_word_that_was_found_is_read_from_any_cell_of_its_row(clicked: dict[str, list[object]]) -> None:
    remember(FOUND, ["lantern", "not good"])
    found = open_found(Selection(), clicked)
    assert found.token == "not good"
    assert open_found(found, clicked).token == ""
