from typing import get_args

import pytest

from core.config import TrainingConfig
from core.training.plan import SCHEDULES, Stage, learning_rate_at

CONFIG = TrainingConfig(learning_rate=0.1, schedule="one-cycle")
STAGE = Stage(first_step=50, last_step=150, last_epoch=2)


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (50, 0.1 / 25),
        (65, (0.1 / 25 + 0.1) / 2),  # halfway up
        (80, 0.1),
        (115, 0.05),  # halfway down
        (150, 0.0),
    ],
)
def test_one_cycle_leads_from_a_25th_to_the_whole_and_down_to_nothing(step: int, rate: float) -> None:
    assert learning_rate_at(CONFIG, STAGE, step) == pytest.approx(rate, abs=1e-12)


def test_one_cycle_only_rises_before_three_tenths_and_only_falls_after() -> None:
    rates = [learning_rate_at(CONFIG, STAGE, step) for step in range(50, 150)]
    assert rates[:31] == sorted(rates[:31]) and rates[30:] == sorted(rates[30:], reverse=True)
    assert len(set(rates[:31])) == 31 and min(rates) > 0


def test_a_stage_of_one_step_has_a_rate() -> None:
    assert learning_rate_at(CONFIG, Stage(0, 1, 1), 0) == pytest.approx(0.1 / 25)


def test_every_schedule_of_the_settings_is_known() -> None:
    assert set(SCHEDULES) == set(get_args(TrainingConfig.model_fields["schedule"].annotation))
