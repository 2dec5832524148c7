"""Charts of lifts and of distinctive words."""

import numpy as np
import pytest

from core.charts.themes import lifts_frame, plot_distinctive, plot_lifts
from core.charts.tokens import DARK, LIGHT
from core.charts.words import DIMMED, Group, plot_leaning
from core.evaluation.lift import measure_lift
from core.evaluation.themes import ThemeLift
from core.evaluation.words import WordLean

THEMES = [
    ThemeLift("rating", "against the label", measure_lift(60, 18, 25_000, 1_986)),
    ThemeLift("questions", "questions", measure_lift(2_000, 160, 25_000, 1_986)),
    ThemeLift("sarcasm", "sarcasm cues", measure_lift(30, 0, 25_000, 1_986)),
    ThemeLift("capitals", "capitals", measure_lift(0, 0, 25_000, 1_986)),
]
WORDS = [WordLean("worst", -0.9, -1.1, -0.6, -7.0, 2_095, 68), WordLean("snowman", 1.7, 1.1, 2.3, 5.5, 31, 16)]


def test_only_an_interval_that_clears_1_is_in_the_colour_of_errors() -> None:
    frame = lifts_frame(THEMES, "")
    assert dict(zip(frame["theme"], frame["outcome"], strict=True)) == {
        "rating": "more", "questions": "rest", "sarcasm": "rest",
    }  # fmt: skip
    assert frame["times"].tolist() == ["×3.8", "×1.0", "×0.0"]
    assert frame["rate"][0] == "30.0 % (19.9 to 42.5)"


def test_every_place_is_finite_and_an_interval_beyond_the_axis_is_cut_off() -> None:
    frame = lifts_frame(THEMES, "")
    places = frame[["place", "shown_low", "shown_high"]].to_numpy()
    assert np.isfinite(places).all() and places.min() == pytest.approx(np.log(0.25)) and places.max() <= np.log(8)


def test_the_chosen_theme_stands_out() -> None:
    assert lifts_frame(THEMES, "questions")["strength"].tolist() == [DIMMED, 1.0, DIMMED]
    assert lifts_frame(THEMES, "")["strength"].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("tokens", [LIGHT, DARK], ids=["light", "dark"])
def test_a_click_on_a_row_reports_its_theme(tokens) -> None:
    chart = plot_lifts(THEMES, "", tokens).to_dict()
    (pick,) = chart["params"]
    assert (pick["name"], pick["select"]["fields"]) == ("cell", ["theme"])
    assert chart["height"] < plot_lifts(THEMES * 3, "", tokens).to_dict()["height"]
    assert plot_lifts(THEMES, "", tokens, 290).to_dict()["height"] == 290


def test_a_word_of_the_errors_is_a_door_and_a_word_of_the_data_page_is_none() -> None:
    chart = plot_distinctive(WORDS, "snowman", LIGHT).to_dict()
    (pick,) = chart["params"]
    assert pick["select"]["fields"] == ["word"]
    rows = next(rows for rows in chart["datasets"].values() if "strength" in rows[0])
    assert {row["word"]: row["strength"] for row in rows} == {"worst": DIMMED, "snowman": 1.0}
    plain = plot_leaning(WORDS, Group("negative", "#000000"), Group("positive", "#FFFFFF"), LIGHT).to_dict()
    assert not plain.get("params") and "pointer" not in str(plain)


def test_a_word_that_the_chart_lacks_dims_nothing() -> None:
    chart = plot_distinctive(WORDS, "another", LIGHT).to_dict()
    rows = next(rows for rows in chart["datasets"].values() if "strength" in rows[0])
    assert {row["strength"] for row in rows} == {1.0}
