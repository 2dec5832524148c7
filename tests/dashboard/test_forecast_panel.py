"""What is said before a training starts, and what a time budget makes of it."""

import math

import pytest

from core.charts.tokens import DARK, LIGHT
from core.config import RunConfig, preset_config, repeat_with_seeds, with_data, with_settings
from core.jobs import list_waiting
from core.training.forecast import Costs, Estimate, create_forecast_job, forecast
from core.training.members import configs_before
from dashboard import forecast_panel
from dashboard.forecast_charts import Bar, plot_forecasts
from dashboard.forecast_panel import (
    Outlook,
    before_words,
    build_bars,
    fit_plan,
    look_ahead,
    measured_words,
    queue_rehearsals,
    read_costs,
    total_seconds,
    trust_words,
)

COMPACT = with_data(preset_config("compact"), "demo")
COSTS = Costs(
    load=1.0, prepare=4.0, step=0.1, validation=2.0, save=0.5, test=5.0, n_train=6_400, n_valid=700, n_test=1_000,
    threads=2, steps_timed=40, rehearsed=6.2, disturbed=False, fingerprint="f", baseline=3.0,
)  # fmt: skip


@pytest.fixture(autouse=True)
def tab(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Stand in for a tab's state, and start no worker."""
    kept: dict[str, object] = {}
    monkeypatch.setattr("core.jobs.start_worker", lambda slot: None)
    monkeypatch.setattr(forecast_panel.state, "recall", lambda name, default=None: kept.get(name, default))
    monkeypatch.setattr(forecast_panel.state, "remember", kept.__setitem__)
    return kept


def outlook(config: RunConfig = COMPACT, costs: Costs = COSTS) -> Outlook:
    return Outlook(config, costs, forecast(config, costs))


def test_without_a_budget_everything_starts_as_it_is() -> None:
    plan = fit_plan([outlook()], None, are_seeds=False)
    assert plan.configs == (COMPACT,) and not plan.sentence and not plan.problem


def test_a_training_that_fits_its_budget_is_left_alone() -> None:
    plan = fit_plan([outlook()], 600.0, are_seeds=False)
    assert plan.configs == (COMPACT,)
    assert plan.sentence == "Fits your budget: at most 4 epochs, all 6,400 reviews."


def test_a_training_that_is_too_long_is_cut_to_the_steps_that_fit() -> None:
    plan = fit_plan([outlook()], 30.0, are_seeds=False)
    steps = plan.configs[0].training.max_steps
    assert steps is not None and 100 < steps < 200
    assert plan.sentence == f"Would take about 1 min: it stops after {steps} of 400 steps instead, and ends on time."
    assert forecast(plan.configs[0], COSTS).seconds <= 30.0


def test_a_budget_in_which_not_one_step_fits_is_a_sentence_and_starts_nothing() -> None:
    plan = fit_plan([outlook()], 3.0, are_seeds=False)
    assert "too few" in plan.problem and "Give more time" in plan.problem


def test_a_budget_without_a_forecast_starts_nothing_that_could_take_longer() -> None:
    assert "being measured" in fit_plan([Outlook(COMPACT)], 60.0, are_seeds=False).problem
    assert "switch the limit off" in fit_plan([Outlook(COMPACT, failure="No data.")], 60.0, are_seeds=False).problem
    assert not fit_plan([Outlook(COMPACT)], None, are_seeds=False).problem


def test_seeds_under_a_budget_take_equally_many_steps_and_end_on_time_together() -> None:
    configs = [with_settings(COMPACT, [f"training.seed={seed}"]) for seed in range(3)]
    outlooks = [outlook(config) for config in configs]
    plan = fit_plan(outlooks, 90.0, are_seeds=True)
    assert len({config.training.max_steps for config in plan.configs}) == 1
    assert sum(forecast(config, COSTS).seconds for config in plan.configs) <= 90.0
    assert plan.sentence.startswith("The 3 runs would take about 3 min: each stops after about")


def test_the_same_line_to_beat_is_counted_once() -> None:
    rates = [with_settings(COMPACT, [f"training.learning_rate={rate}"]) for rate in (0.001, 0.002)]
    together = total_seconds([outlook(config) for config in rates])
    assert together == pytest.approx(2 * outlook().forecast.seconds - 3.0)  # type: ignore[union-attr]
    seeds = [with_settings(COMPACT, [f"training.seed={seed}"]) for seed in (0, 1)]
    assert total_seconds([outlook(config) for config in seeds]) == pytest.approx(together + 3.0)
    assert total_seconds([outlook(), Outlook(COMPACT)]) is None


def test_the_forecast_says_how_it_was_measured_and_how_far_it_can_be_trusted() -> None:
    said = measured_words([outlook()], "compact")
    assert said.startswith(
        "compact, at most 4 epochs of 12 s, and 8 s for all else. Rehearsed for 6 s, on two threads;"
    )
    assert said.endswith("no earlier run here to correct it by.")
    disturbed = measured_words([outlook(costs=COSTS.model_copy(update={"disturbed": True}))], "compact")
    assert disturbed.endswith("another run was training meanwhile, so that it is likely too long.")
    several = measured_words([outlook(), outlook()], "compact")
    assert several.startswith("2 runs of compact, one after the other; of each at most 4 epochs.")


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ((), "no earlier run here to correct it by"),
        ((0.0,), "corrected by the one earlier run here"),
        ((0.03, -0.11, 0.05, 0.0349), "so corrected, the last four forecasts here were 3 to 11 % off"),
        ((0.02, -0.021), "so corrected, the last two forecasts here were 2 % off"),
    ],
)
def test_earlier_errors_are_told_as_they_are(errors: tuple[float, ...], said: str) -> None:
    expected = forecast(COMPACT, COSTS).model_copy(update={"errors": errors})
    assert trust_words(expected) == said


def test_a_rehearsal_is_queued_once_and_the_chosen_one_first() -> None:
    fast, classic = (with_data(preset_config(name), "demo") for name in ("fast", "classic"))
    assert queue_rehearsals([fast, classic])
    assert queue_rehearsals([fast, classic, with_settings(fast, ["training.epochs=9", "training.seed=3"])])
    assert len(list_waiting("quick")) == 2
    assert queue_rehearsals([COMPACT, fast, classic])
    waiting = [each.job.path.name for each in list_waiting("quick")]
    assert len(waiting) == 3 and waiting[0] == create_forecast_job(COMPACT).path.name


def test_what_was_measured_is_not_measured_again(tab: dict[str, object]) -> None:
    create_forecast_job(COMPACT).save_costs(COSTS)
    assert not queue_rehearsals([COMPACT]) and not list_waiting("quick")
    assert look_ahead(COMPACT, [], with_test=False).forecast is not None
    create_forecast_job(COMPACT).save_costs(COSTS.model_copy(update={"disturbed": True}))
    assert queue_rehearsals([COMPACT])


def test_a_failed_rehearsal_is_tried_once_a_tab_and_says_why(tab: dict[str, object]) -> None:
    job = create_forecast_job(COMPACT)
    job.save_state("failed", "The data cannot be read.")
    assert read_costs(COMPACT) == (None, "The data cannot be read.")
    assert queue_rehearsals([COMPACT])
    job.save_state("failed", "The data cannot be read.")
    assert not queue_rehearsals([COMPACT])
    forecast_panel.rehearse_again([COMPACT])
    job.save_state("failed", "The data cannot be read.")
    list_waiting("quick")[0].entry.unlink()
    assert queue_rehearsals([COMPACT])


def test_the_cache_may_be_deleted_while_a_tab_is_open(tab: dict[str, object]) -> None:
    assert queue_rehearsals([COMPACT])
    list_waiting("quick")[0].entry.unlink()
    job = create_forecast_job(COMPACT)
    for path in job.path.iterdir():
        path.unlink()
    assert queue_rehearsals([COMPACT])


def test_a_bar_is_drawn_for_what_is_known_and_a_word_for_what_is_not() -> None:
    presets = {
        "fast": Outlook(preset_config("fast"), failure="No data."),
        "compact": outlook(),
        "classic": Outlook(COMPACT),
    }
    bars = build_bars(presets, "compact", [outlook(), outlook()], can_rehearse=True)
    assert [bar.word for bar in bars] == ["no forecast", "", "not rehearsed yet"]
    assert bars[1].is_chosen and bars[1].seconds == pytest.approx(total_seconds([outlook(), outlook()]))
    assert build_bars(presets, "classic", [], can_rehearse=True)[2].word == "rehearsing"
    assert build_bars(presets | {"fast": Outlook(COMPACT)}, "classic", [], can_rehearse=True)[0].word == "rehearsing"
    assert build_bars(presets, "classic", [], can_rehearse=False)[2].word == "no forecast"
    for tokens in (LIGHT, DARK):
        for budget in (None, 1.0, 86_400.0):
            spec = plot_forecasts(tuple(bars), budget, tokens)
            assert ("your budget" in str(spec["datasets"])) == (budget is not None)


def test_a_preset_that_was_not_rehearsed_is_shown_with_its_estimate_and_as_such() -> None:
    presets = {"fast": outlook(), "classic": Outlook(COMPACT, estimate=Estimate(100.0))}
    fast, classic = build_bars(presets, "fast", [outlook()], can_rehearse=True)
    assert (classic.seconds, classic.low, classic.high) == (100.0, 50.0, 200.0)
    assert classic.is_estimate and not fast.is_estimate
    assert "1 min 40 s, estimated" in str(plot_forecasts((fast, classic), None, LIGHT)["datasets"])
    # Once it is chosen it is rehearsed, and no guess stands in the way.
    assert build_bars(presets, "classic", [presets["classic"]], can_rehearse=True)[1].word == "rehearsing"


def test_what_several_runs_need_first_is_trained_by_the_first_of_them() -> None:
    student = with_settings(with_data(preset_config("fast"), "demo"), ["training.teacher=strong"])
    before = dict.fromkeys(configs_before(student), 50.0)
    costs = COSTS.model_copy(update={"before": before, "lesson": 7.0})
    seeds = [outlook(each, costs=costs) for each in repeat_with_seeds(student, 3)]
    one = seeds[0].forecast
    assert one is not None
    shared = 50.0 * len(before) + 7.0
    assert total_seconds(seeds) == pytest.approx(3 * one.seconds - 2 * shared)
    words, early = before_words(one, costs)
    assert early == pytest.approx(shared) and words.startswith("first member ") and "teacher strong" in words
    guessed = costs.model_copy(update={"estimated": ("member compact",)})
    assert "(member compact estimated from the shipped figures)" in measured_words(
        [outlook(student, costs=guessed)], "x"
    )


def test_an_ensemble_s_words_speak_of_its_members_and_of_no_epoch() -> None:
    ensemble = with_data(preset_config("strong"), "demo")
    costs = COSTS.model_copy(update={"before": dict.fromkeys(configs_before(ensemble), 50.0), "step": 0.0})
    said = measured_words([outlook(ensemble, costs=costs)], "strong")
    assert said.startswith("strong, first member ") and "epoch" not in said
    assert fit_plan([outlook(ensemble, costs=costs)], 600.0, are_seeds=False).sentence == "Fits your budget."


def test_the_chart_stands_before_anything_is_known() -> None:
    spec = plot_forecasts((Bar("fast", True, word="rehearsing"), Bar("classic", False, word="rehearsing")), None, LIGHT)
    assert "rehearsing" in str(spec["datasets"]) and spec["height"] > 100


def test_a_killed_rehearsal_is_tried_once_more_by_itself(tab: dict[str, object]) -> None:
    assert queue_rehearsals([COMPACT])
    for is_tried_again in (True, False):
        list_waiting("quick")[0].entry.unlink()
        create_forecast_job(COMPACT).save_state("interrupted")
        assert queue_rehearsals([COMPACT]) is is_tried_again
    assert not list_waiting("quick")


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (math.nan, "Type how many minutes you have"),
        (-5.0, "-5 is no limit: the minutes must be more than 0."),
        (0.0, "0 is no limit"),
        (1e9, "the minutes must be 100,000 at most."),
        (0.01, "0.01 min are too few"),
    ],
)
def test_a_limit_that_is_none_gets_a_sentence_and_starts_nothing(minutes: float, said: str) -> None:
    plan = fit_plan([outlook()], 60 * minutes, are_seeds=False)
    assert said in plan.problem and not plan.sentence


def test_a_small_budget_for_several_runs_speaks_of_what_was_typed() -> None:
    plan = fit_plan([outlook()] * 3, 6.0, are_seeds=True)
    assert plan.problem.startswith("0.1 min are too few for 3 runs: for each, reading the data")


def test_epochs_of_a_grid_are_a_range_when_they_differ() -> None:
    few = with_settings(COMPACT, ["training.epochs=1", "training.patience=null"])
    said = measured_words([outlook(few), outlook()], "compact")
    assert "of each 1 to at most 4 epochs." in said


def test_what_takes_less_than_a_second_is_not_said_to_take_none() -> None:
    costs = COSTS.model_copy(update={"load": 0.0, "prepare": 0.1, "step": 0.0001, "validation": 0.0, "save": 0.0})
    said = measured_words([outlook(costs=costs.model_copy(update={"baseline": 0.0, "test": 0.0}))], "compact")
    assert " 0 s" not in said
