""" "Which model?": its finding, its chart and its table."""

from dataclasses import replace

import pytest

from core.charts.tokens import DARK, LIGHT
from core.model_figures import Known
from dashboard import state, which_model
from dashboard.which_model import (
    describe_choice,
    how_to_read,
    is_clear,
    known_frame,
    known_words,
    plot_known,
    take_choice,
)

FAST = Known("fast", False, 0.918, 25_000, 5, 7.0, 0.918, 25_000, 22_521.0)
DISTILLED = Known("distilled", False, 0.924, 25_000, 5, 787.0, 0.924, 25_000)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([FAST], "fast is right about 91.8 % after 7 s."),
        ([FAST, DISTILLED], "distilled is 0.6 points above fast for 13 min more."),
        ([DISTILLED, FAST], "distilled is 0.6 points above fast for 13 min more."),
        ([FAST, replace(DISTILLED, accuracy=0.87)], "fast is the quickest and the most accurate of these."),
        ([FAST, replace(DISTILLED, accuracy=0.9184)], "fast is the quickest, and none is more accurate."),
        (
            [replace(FAST, n=2_500), replace(DISTILLED, n=2_500)],
            "distilled is 0.6 points above fast for 13 min more, which may be chance.",
        ),
    ],
)
def test_the_finding_says_what_more_time_brings(known: list[Known], said: str) -> None:
    assert describe_choice(known) == said


def test_a_difference_is_clear_when_it_is_greater_than_both_intervals_together() -> None:
    # Half widths 1.96 * sqrt(0.25 / 10,000) = 0.0098 each; together sqrt(2) times as much, 0.0139.
    one, other = (Known(name, True, 0.5, 10_000, 1, 1.0) for name in "ab")
    assert not is_clear(one, replace(other, accuracy=0.513)) and is_clear(one, replace(other, accuracy=0.5145))
    assert not is_clear(replace(one, accuracy=1.0), replace(other, accuracy=1.0))


def test_measured_here_and_shipped_are_told_apart_in_words_marks_and_table() -> None:
    here = replace(FAST, is_here=True, n=2_500, seeds=2)
    only_here, only_shipped, both = how_to_read([here]), how_to_read([FAST]), how_to_read([here, DISTILLED])
    assert "Measured here, by 2 runs on this data, on validation." in only_here and "IMDB" not in only_here
    assert "with IMDB, on its 25,000 test reviews" in only_shipped and "here" not in only_shipped
    assert "Filled: measured here" in both and "Hollow: measured on" in both and "on validation" in both
    rows = known_frame([here, DISTILLED]).set_index("Preset")
    assert rows.loc["fast", "Measured"] == "here, 2 runs" and rows.loc["distilled", "Measured"] == "as shipped, 5 runs"
    assert list(rows.columns[:2]) == ["Validation", "95 % interval"] and rows.loc["fast", "Test"] == "91.8 %"
    assert list(known_frame([FAST]).columns[:2]) == ["Preset", "Test"]


def test_a_caption_carries_accuracy_interval_and_speed_and_says_whose_they_are() -> None:
    assert known_words(None) == ""
    assert known_words(FAST) == " · 91.8 % on IMDB (91.5 to 92.1) · scores 23,000 a second"
    assert known_words(replace(DISTILLED, is_here=True)) == " · 92.4 % in earlier runs (92.1 to 92.7)"


@pytest.mark.parametrize("tokens", [LIGHT, DARK])
def test_the_chart_has_a_point_and_an_interval_for_each_preset_and_the_chosen_one_in_ink(tokens: object) -> None:
    known = (replace(FAST, is_here=True), DISTILLED, Known("zero", True, 0.0, 10, 1, 0.0))
    spec = plot_known(known, "distilled", tokens)  # type: ignore[arg-type]
    rows = {row["preset"]: row for rows in spec["datasets"].values() for row in rows}
    assert set(rows) == {"fast", "distilled", "zero"}
    assert rows["distilled"]["is_chosen"] and not rows["fast"]["is_chosen"]
    low, high = DISTILLED.interval
    assert (rows["distilled"]["low"], rows["distilled"]["high"]) == (low, high)
    scale = spec["layer"][0]["encoding"]["x"]["scale"]
    assert scale["type"] == "log" and 0 < scale["domain"][0] < scale["domain"][1]
    assert any(each["name"] == "preset" for each in spec["params"])


def test_a_click_on_a_point_chooses_its_preset_and_one_beside_it_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tab: dict[str, object] = {"preset": "fast"}
    monkeypatch.setattr(state, "recall", lambda name, default=None: tab.get(name, default))
    monkeypatch.setattr(state, "remember", tab.__setitem__)
    for event, chosen in (
        (None, "fast"),
        ({"selection": {"preset": []}}, "fast"),
        ({"selection": {"preset": [{"preset": "compact"}]}}, "compact"),
        ({"selection": {}}, "compact"),
    ):
        tab[which_model.KEY] = event
        take_choice()
        assert tab["preset"] == chosen
