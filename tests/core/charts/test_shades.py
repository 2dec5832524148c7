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


@pytest.mark.parametrize("wrong", [0.0, 0.1, 0.5, 1.0])
def test_no_interval_reaches_into_the_name_of_a_shade(wrong: float) -> None:
    confidences = np.repeat(0.5 + 0.025 * np.arange(20) + 0.01, 20)
    errors = np.tile(np.arange(20) < 20 * wrong, 20)
    shades = Cutoffs().unsure_confidences
    chart = plot_shares_wrong(count_by_confidence(confidences, errors), None, LIGHT, shades).to_dict()
    (top,) = {layer["encoding"]["y"]["scale"]["domain"][1] for layer in chart["layer"]}
    rows = next(rows for rows in chart["datasets"].values() if "high" in rows[0])
    assert max(row["high"] for row in rows if 0.5 <= row["middle"] <= 0.575) <= 0.77 * top
    ticks = chart["layer"][-1]["encoding"]["y"]["axis"]["values"]
    assert max(ticks) <= 1.0 and len(ticks) >= 3
