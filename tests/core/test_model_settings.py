"""A model's threshold and band: kept, checked, and never in the way."""

import json
import math

import pytest
from pydantic import ValidationError

from core.errors import ReviewscopeError
from core.model_settings import (
    Cutoffs,
    ModelSettings,
    load_settings,
    probability_text,
    reset_settings,
    save_settings,
    settings_fault,
    settings_file,
)

SHA = "0" * 64
CHOSEN = ModelSettings(
    threshold=0.62, unsure_low=0.5, unsure_high=0.7, chosen_by="cost", aim_value=5.0, data_fingerprint="f", n=2_500
)


def test_a_model_without_settings_has_the_usual_ones() -> None:
    found = load_settings(SHA)
    assert found == ModelSettings() and found.is_usual and found.cut == 0.0
    assert found.describe() == "threshold 0.50, not sure from 0.40 to 0.60" and found.origin == "the usual one"
    assert settings_fault(SHA) == ""


def test_what_is_saved_is_found_again_until_it_is_reset() -> None:
    save_settings(SHA, CHOSEN)
    assert load_settings(SHA) == CHOSEN and not CHOSEN.is_usual
    assert CHOSEN.cut == pytest.approx(math.log(0.62 / 0.38))
    assert CHOSEN.origin == (
        "the cheapest on 2,500 validation reviews if a false positive costs 5 times a false negative"
    )
    assert load_settings("1" * 64) == ModelSettings(), "another model has its own"
    save_settings(SHA, CHOSEN.model_copy(update={"threshold": 0.55}))
    assert load_settings(SHA).threshold == 0.55
    reset_settings(SHA)
    reset_settings(SHA)
    assert load_settings(SHA) == ModelSettings()


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b'{"threshold": 2}', b'{"threshold": 0.3}', b'{"threshold": "high"}', b'{"unknown": 1}',
        b'{"unsure_low": 0.55, "unsure_high": 0.7}', b'{"threshold": NaN}', b"\xff\xfe",
    ],
)  # fmt: skip
def test_a_damaged_file_gives_the_usual_settings_and_a_sentence(content: bytes) -> None:
    path = settings_file(SHA)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert load_settings(SHA) == ModelSettings()
    assert settings_fault(SHA).startswith("The saved threshold cannot be read, and 0.50 is used instead.")
    save_settings(SHA, CHOSEN)
    assert load_settings(SHA) == CHOSEN and settings_fault(SHA) == ""


@pytest.mark.parametrize(
    "values",
    [(0.5, 0.51, 0.6), (0.5, 0.4, 0.49), (0.0, 0.0, 0.5), (1.0, 0.4, 1.0), (0.5, 0.0, 0.6), (0.5, 0.4, 1.0)],
)
def test_a_band_that_does_not_hold_the_threshold_or_ends_at_0_or_1_is_refused(
    values: tuple[float, float, float],
) -> None:
    with pytest.raises(ValidationError):
        Cutoffs(threshold=values[0], unsure_low=values[1], unsure_high=values[2])


def test_the_ends_of_the_band_belong_to_one_side_each() -> None:
    assert [Cutoffs().side(p) for p in (0.0, 0.399, 0.4, 0.5, 0.599, 0.6, 1.0)] == [
        "negative", "negative", "not sure", "not sure", "not sure", "positive", "positive"
    ]  # fmt: skip
    bare = Cutoffs(threshold=0.5, unsure_low=0.5, unsure_high=0.5)
    assert [bare.side(p) for p in (0.499, 0.5, 0.501)] == ["negative", "negative", "positive"]
    assert bare.describe() == "threshold 0.50, never not sure"


def test_the_band_on_the_scale_of_confidence_is_that_of_each_class() -> None:
    assert Cutoffs().unsure_confidences == [(0.5, 0.6)]
    assert Cutoffs(threshold=0.6, unsure_low=0.3, unsure_high=0.8).unsure_confidences == [(0.5, 0.7), (0.5, 0.8)]
    assert Cutoffs(threshold=0.8, unsure_low=0.7, unsure_high=0.9).unsure_confidences == [(0.7, 0.9)]
    assert Cutoffs(threshold=0.2, unsure_low=0.1, unsure_high=0.3).unsure_confidences == [(0.7, 0.9)]
    assert Cutoffs(threshold=0.5, unsure_low=0.5, unsure_high=0.5).unsure_confidences == []


def test_a_threshold_is_written_with_two_decimals_or_three() -> None:
    assert [probability_text(value) for value in (0.5, 0.62, 0.617, 0.999)] == ["0.50", "0.62", "0.617", "0.999"]


def test_a_folder_that_cannot_be_written_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    path = settings_file(SHA)
    path.mkdir(parents=True)
    with pytest.raises(ReviewscopeError, match="is not a file"):
        save_settings(SHA, CHOSEN)
    with pytest.raises(ReviewscopeError, match="Could not remove"):
        reset_settings(SHA)
    assert load_settings(SHA) == ModelSettings()


def test_the_file_says_where_the_threshold_comes_from() -> None:
    save_settings(SHA, CHOSEN)
    document = json.loads(settings_file(SHA).read_text())
    assert document["chosen_by"] == "cost" and document["n"] == 2_500 and document["data_fingerprint"] == "f"
