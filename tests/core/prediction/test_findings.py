import pandas as pd
import pytest

from core.prediction.findings import time_finding


@pytest.mark.parametrize(
    ("positive", "says"),
    [
        ([90, 30], "Fell from 90 % in the first half to 30 % in the second"),
        ([30, 90], "Rose from 30 % in the first half to 90 % in the second"),
        ([50, 52], "No clear change: from 50 % in the first half to 52 % in the second"),
        ([50, 50], "No clear change: 50 % in both halves"),
        ([50], "Too short a time to compare"),
    ],
)
def test_a_change_over_time_is_said_as_far_as_chance_does_not_explain_it(positive: list[int], says: str) -> None:
    assert time_finding(pd.DataFrame({"positive": positive, "n": 100})) == says
