"""What the logit loses without each word, on scores whose losses are known by hand."""

import numpy as np
import pytest

from core.prediction import leaving_out
from core.prediction.leaving_out import join_words, lose_words

WORTH = {"superb": 2.0, "dull": -1.5}


def count_worth(texts: list[str]) -> np.ndarray:
    """Score a text by the sum of its words' worth; the second time a word stands it is worth nothing."""
    return np.array([sum(WORTH.get(word, 0.0) for word in set(text.split())) for text in texts])


def spans_of(text: str) -> list[tuple[int, int]]:
    joined, spans = join_words(text.split())
    assert joined == text
    return spans


def test_a_word_s_push_is_what_is_lost_without_it() -> None:
    text = "a superb cast in a dull plot"
    rounds: list[int] = []
    pushes = lose_words(count_worth, text, spans_of(text), 3, lambda: rounds.append(1))
    assert pushes.tolist() == [0.0, 2.0, 0.0, 0.0, 0.0, -1.5, 0.0] and len(rounds) == 3


def test_what_is_said_twice_is_not_missed_once() -> None:
    text = "superb and superb"
    assert lose_words(count_worth, text, spans_of(text), 3).tolist() == [0.0, 0.0, 0.0]


def test_words_touch_no_others_when_they_are_left_out() -> None:
    text = "ab,superb,cd"
    assert lose_words(lambda texts: np.array([float(each == "ab, ,cd") for each in texts]), text, [(3, 9)], 1) == [-1.0]


def test_in_a_long_text_neighbours_are_left_out_together_and_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving_out, "MOST_SCORED", 3)
    text = "superb cast a dull the plot"
    scored: list[str] = []

    def score(texts: list[str]) -> np.ndarray:
        scored.extend(texts)
        return count_worth(texts)

    assert lose_words(score, text, spans_of(text), 2).tolist() == [1.0, 1.0, -0.75, -0.75, 0.0, 0.0]
    assert len(scored) == 1 + 3


def test_a_text_without_words_has_no_push() -> None:
    assert lose_words(count_worth, "…", [], 3).tolist() == []
