import numpy as np
import pytest

from core.evaluation.selection import Results, Selection, describe_bin

LABELS = [0, 0, 1, 1, 0, 1]
LOGITS = [-3.0, 2.0, -4.0, 1.0, 0.0, -0.1]
RESULTS = Results(np.array(LABELS), np.array(LOGITS), 1 / (1 + np.exp(-np.array(LOGITS))))


def test_the_default_is_every_misclassified_review_the_surest_first() -> None:
    assert Selection().is_default
    assert Selection().rows(RESULTS).tolist() == [2, 1, 5]


def test_a_logit_of_exactly_zero_is_read_as_negative() -> None:
    assert RESULTS.verdicts.tolist() == [0, 1, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        (Selection(label=0, verdict=1), [1]),
        (Selection(label=1, verdict=0), [2, 5]),
        (Selection(label=1, verdict=1), [3]),
        (Selection(label=0), [0, 1, 4]),
        (Selection(verdict=0), [0, 2, 4, 5]),
        (Selection(only_wrong=False), [0, 1, 2, 3, 4, 5]),
        (Selection(label=1, verdict=0, confidence=0), [5]),
        (Selection(only_wrong=False, confidence=0), [4, 5]),
    ],
)
def test_filters_combine(selection: Selection, rows: list[int]) -> None:
    assert selection.rows(RESULTS, "data").tolist() == rows
    assert np.flatnonzero(selection.mask(RESULTS)).tolist() == rows


def test_words_narrow_a_selection_and_need_to_know_which_texts_hold_them() -> None:
    holds = np.array([True, True, False, True, True, True])
    assert Selection(words="plot").rows(RESULTS, outside={"words": holds}).tolist() == [1, 5]
    with pytest.raises(ValueError, match="which reviews"):
        Selection(words="plot").mask(RESULTS)


def test_the_surest_come_first_after_the_misclassified_and_the_least_sure_whatever_they_are() -> None:
    everything = Selection(only_wrong=False)
    assert everything.rows(RESULTS, "confident").tolist() == [2, 1, 5, 0, 3, 4]
    assert everything.rows(RESULTS, "unsure").tolist() == [4, 5, 3, 1, 0, 2]


def test_equals_stay_in_the_order_of_the_data_also_where_confidence_rounds_to_one() -> None:
    logits = np.array([50.0, 60.0, 50.0])
    results = Results(np.zeros(3, np.int64), logits, np.ones(3))
    assert Selection().rows(results).tolist() == [1, 0, 2]


def test_a_selection_says_itself_in_words() -> None:
    assert Selection().describe() == "misclassified"
    assert Selection(only_wrong=False).describe() == ""
    said = Selection(label=0, verdict=1, confidence=19, words="plot").describe()
    assert said == "labelled negative, read as positive, confidence 97.5 to 100 %, containing “plot”"
    assert describe_bin(0) == "50 to 52.5 %"


def test_nothing_at_all_gives_no_rows() -> None:
    empty = Results(np.array([], np.int64), np.array([]), np.array([]))
    assert Selection().rows(empty).tolist() == []


def test_each_filter_is_said_by_the_name_under_which_it_can_be_taken_away() -> None:
    selection = Selection(only_wrong=True, confidence=19, surest=80, words="film", stars=3, theme="questions")
    said = selection.parts({"theme": "asks a question"})
    assert ", ".join(said.values()) == selection.describe({"theme": "asks a question"})
    for name in said:
        left = selection.without(name)
        assert list(left.parts()) == [other for other in said if other != name]


def test_without_only_wrong_the_right_ones_are_listed_too() -> None:
    assert Selection().without("only_wrong").rows(RESULTS, "data").tolist() == [0, 1, 2, 3, 4, 5]
