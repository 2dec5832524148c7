"""The band of "not sure" behind the share wrong by confidence."""

from typing import Any

import numpy as np
import pytest

from core.charts.evaluation import plot_shares_wrong
from core.charts.tokens import LIGHT
from core.evaluation.curves import count_by_confidence
from core.model_settings import Cutoffs


def layers(cutoffs: Cutoffs) -> list[dict[str, Any]]:
    bins = count_by_confidence(np.array([0.55, 0.8, 0.99]), np.array([True, False, False]))
    return list(plot_shares_wrong(bins, None, LIGHT, cutoffs.unsure_confidences).to_dict()["layer"])


def shades(cutoffs: Cutoffs) -> list[dict[str, Any]]:
    return [layer for layer in layers(cutoffs) if layer["mark"].get("color") == LIGHT.not_sure]


def words(cutoffs: Cutoffs) -> int:
    return sum(layer["mark"].get("text") == "not sure" for layer in layers(cutoffs))


def test_the_usual_band_is_one_shade_with_its_name() -> None:
    (shade,) = shades(Cutoffs())
    assert shade["mark"]["opacity"] == pytest.approx(0.26) and words(Cutoffs()) == 1


def test_a_lopsided_band_is_two_shades_that_add_up_where_they_meet() -> None:
    cutoffs = Cutoffs(threshold=0.6, unsure_low=0.3, unsure_high=0.8)
    chart = plot_shares_wrong(
        count_by_confidence(np.array([0.7]), np.array([True])), None, LIGHT, cutoffs.unsure_confidences
    ).to_dict()
    (shade,) = shades(cutoffs)
    assert shade["mark"]["opacity"] == pytest.approx(0.13)
    ends = [
        sorted((row["start"], row["end"]) for row in rows) for rows in chart["datasets"].values() if "start" in rows[0]
    ]
    assert [(0.5, 0.7), (0.5, 0.8)] in ends


def test_without_a_band_there_is_no_shade() -> None:
    assert not shades(Cutoffs(unsure_low=0.5, unsure_high=0.5))
    assert words(Cutoffs(unsure_low=0.49, unsure_high=0.51)) == 0, "a narrow one has no room for its name"
