"""A forecast is measured costs times what the settings ask for, corrected by what earlier runs took."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core import model_figures, settings
from core.config import RunConfig, preset_config, with_data, with_settings
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.errors import ConfigError, DataError
from core.files import hold_lock, write_json
from core.job_folder import JobReporter
from core.runs import Extension, Run, RunResult, create_run
from core.training import rehearsal
from core.training.baseline import baseline_config, baseline_folder
from core.training.forecast import (
    LEAST_SPREAD,
    LESSON_PART,
    PRETRAINING_PART,
    UNTRIED_SPREAD,
    Costs,
    Forecast,
    costs_key,
    create_forecast_job,
    execute_forecast,
    find_forecast_job,
    fit_budget,
    forecast,
    is_training_here,
    load_forecast,
    note_forecast,
    rehearsed_configs,
)
from core.training.job import execute_run
from core.training.learnt_before import mark_learnt
from core.training.members import MemberFigures, configs_before, member_folder
from core.training.watcher import Watcher
from tests.core.training.kill_points import small_config, write_table
from tests.shipped import make_row, write_shipped

FAST, COMPACT = (with_data(preset_config(name), "demo") for name in ("fast", "compact"))
COSTS = Costs(
    load=1.0, prepare=4.0, step=0.1, validation=2.0, save=0.5, test=5.0, n_train=6_400, n_valid=700, n_test=1_000,
    threads=2, steps_timed=40, rehearsed=6.2, disturbed=False, fingerprint="f", baseline=3.0,
)  # fmt: skip


def changed(config: RunConfig, *assignments: str) -> RunConfig:
    return with_settings(config, assignments)


def finished_run(config: RunConfig, ratio: float, costs: Costs = COSTS, **changes: object) -> Run:
    """Return a run that took ``ratio`` times its raw forecast."""
    expected = forecast(config, costs)
    run = create_run(config, "earlier")
    write_json(run.forecast_file, expected.model_dump())
    figures = {"epochs": expected.epochs, "total_seconds": ratio * expected.raw_seconds, **changes}
    run.save_result(
        RunResult(
            parameters=1, train_accuracy=0.9, train_loss=0.3, valid_accuracy=0.8, valid_loss=0.4, best_epoch=1,
            train_seconds=1.0, peak_memory_mb=1.0, model_sha256="ab" * 32, **figures,
        )
    )  # fmt: skip
    run.save_state("finished")
    return run


def test_the_seconds_are_the_costs_times_what_is_asked_for() -> None:
    # 4 epochs of 6,400 / 64 = 100 steps: 5 s of data, 3 s line to beat, 400 * 0.1 s, 4 * (2 + 0.5) s.
    expected = forecast(COMPACT, COSTS)
    assert expected.seconds == pytest.approx(58.0) and (expected.steps, expected.epochs) == (400, 4)
    assert expected.parts == {
        "start": 0.0, "data": 5.0, "line to beat": 3.0, "steps": 40.0, "validation and checkpoints": 10.0, "test": 0.0,
    }  # fmt: skip
    assert expected.epoch_seconds == pytest.approx(12.5)
    assert expected.reviews_per_second == pytest.approx(640.0)


def test_what_is_not_asked_for_costs_nothing_and_what_is_does() -> None:
    assert forecast(COMPACT, COSTS, with_test=True).seconds == pytest.approx(63.0)
    assert forecast(COMPACT, COSTS, start=2.5).seconds == pytest.approx(60.5)
    assert forecast(FAST, COSTS).parts["line to beat"] == 0.0, "an n-gram run has no line to beat"
    blind = changed(COMPACT, "data.validation_fraction=0.0")
    parts = forecast(blind, COSTS.model_copy(update={"n_valid": 0})).parts
    assert (parts["validation and checkpoints"], parts["line to beat"]) == (2.0, 0.0)


def test_a_line_to_beat_that_is_known_costs_nothing() -> None:
    known = MemberFigures(valid_accuracy=0.8, n_valid=700, seconds=3.0, parameters=9)
    write_json(baseline_folder(COMPACT, COSTS.fingerprint) / "figures.json", known.model_dump())
    assert forecast(COMPACT, COSTS).parts["line to beat"] == 0.0


def test_a_budget_of_steps_shortens_the_forecast() -> None:
    expected = forecast(changed(COMPACT, "training.max_steps=150"), COSTS)
    assert (expected.steps, expected.epochs) == (150, 2)
    assert expected.seconds == pytest.approx(5.0 + 3.0 + 15.0 + 5.0)


def test_before_any_run_the_range_is_wide_and_says_nothing_of_errors() -> None:
    expected = forecast(COMPACT, COSTS)
    assert (expected.correction, expected.errors) == (1.0, ())
    assert expected.low == pytest.approx(expected.seconds * (1 - UNTRIED_SPREAD))
    assert expected.high == pytest.approx(expected.seconds * (1 + UNTRIED_SPREAD))


def test_one_earlier_run_corrects_and_leaves_the_range_wide() -> None:
    expected = forecast(COMPACT, COSTS, earlier=[finished_run(COMPACT, 1.3)])
    assert expected.correction == pytest.approx(1.3) and expected.seconds == pytest.approx(1.3 * 58.0)
    assert expected.high == pytest.approx(expected.seconds * (1 + UNTRIED_SPREAD))


def test_several_earlier_runs_correct_by_their_median_and_the_worst_of_them_is_the_range() -> None:
    earlier = [finished_run(COMPACT, ratio) for ratio in (1.0, 1.2, 1.5)]
    expected = forecast(COMPACT, COSTS, earlier=earlier)
    assert expected.correction == pytest.approx(1.2)
    assert expected.errors == (round(1 / 1.2 - 1, 3), 0.0, 0.25)
    assert expected.high == pytest.approx(expected.seconds * 1.25)
    assert expected.low == pytest.approx(expected.seconds * 0.75)


def test_runs_that_agree_still_leave_some_range() -> None:
    expected = forecast(COMPACT, COSTS, earlier=[finished_run(COMPACT, 1.1) for _ in range(3)])
    assert expected.high == pytest.approx(expected.seconds * (1 + LEAST_SPREAD))


@pytest.mark.parametrize(("ratio", "correction"), [(9.0, 2.0), (0.1, 0.5)])
def test_one_odd_run_corrects_by_a_factor_of_two_at_most(ratio: float, correction: float) -> None:
    assert forecast(COMPACT, COSTS, earlier=[finished_run(COMPACT, ratio)]).correction == correction


def test_only_the_last_five_runs_count() -> None:
    earlier = [finished_run(COMPACT, ratio) for ratio in (1.1, 1.1, 1.1, 1.1, 1.1, 1.9, 1.9, 1.9, 1.9, 1.9, 1.9)]
    expected = forecast(COMPACT, COSTS, earlier=earlier)
    assert expected.correction == pytest.approx(1.1) and len(expected.errors) == 5


def test_runs_of_the_same_settings_outweigh_those_of_the_same_kind_which_outweigh_none() -> None:
    wider = changed(COMPACT, "model.hidden_size=128")
    alike, other = finished_run(wider, 1.4), finished_run(FAST, 0.6)
    assert forecast(COMPACT, COSTS, earlier=[alike, other]).correction == pytest.approx(1.4)
    assert forecast(COMPACT, COSTS, earlier=[other]).correction == 1.0
    assert forecast(COMPACT, COSTS, earlier=[alike, finished_run(COMPACT, 1.1)]).correction == pytest.approx(1.1)


def test_runs_that_tell_nothing_about_a_whole_undisturbed_training_do_not_correct() -> None:
    def spoil(make: Callable[[], Run], spoiled: Callable[[Run], None] = lambda run: None) -> Run:
        run = make()
        spoiled(run)
        return run

    plain = lambda: finished_run(COMPACT, 1.5)  # noqa: E731
    earlier = [
        spoil(lambda: finished_run(COMPACT, 1.5, COSTS.model_copy(update={"disturbed": True}))),
        spoil(lambda: finished_run(COMPACT, 1.5, epochs=3)),  # stopped early
        spoil(plain, lambda run: run.save_state("stopped")),
        spoil(plain, lambda run: run.forecast_file.unlink()),
        spoil(plain, lambda run: (run.path / "result.json").unlink()),
        spoil(plain, lambda run: run.save_about(run.about.model_copy(update={"extensions": (ADDED,)}))),
    ]
    assert forecast(COMPACT, COSTS, earlier=earlier).correction == 1.0
    assert forecast(COMPACT, COSTS, earlier=[*earlier, plain()]).correction == 1.5


ADDED = Extension(after_step=400, after_epoch=4, epochs=1)


@pytest.mark.parametrize("config", [FAST, COMPACT], ids=["fast", "compact"])
@pytest.mark.parametrize("ratio", [None, 1.6])
def test_what_a_budget_leaves_is_forecast_to_end_within_it_and_uses_most_of_it(
    config: RunConfig, ratio: float | None
) -> None:
    earlier = [] if ratio is None else [finished_run(config, ratio)]
    whole = forecast(config, COSTS, with_test=True, earlier=earlier)
    for share in (0.999, 0.9, 0.7, 0.6):
        budget = whole.seconds * share
        fitted = fit_budget(config, COSTS, whole, budget)
        expected = forecast(fitted, COSTS, with_test=True, earlier=earlier)
        assert expected.seconds <= budget
        assert expected.seconds > 0.95 * budget - 1.01 * (expected.epoch_seconds), "no epoch is given away"
        assert fitted.training.max_steps == expected.steps < whole.steps


def test_a_budget_that_all_steps_fit_into_changes_nothing() -> None:
    whole = forecast(COMPACT, COSTS)
    assert fit_budget(COMPACT, COSTS, whole, whole.seconds) == COMPACT


def test_a_budget_too_small_for_a_single_step_is_refused_in_a_sentence() -> None:
    whole = forecast(COMPACT, COSTS, with_test=True)
    with pytest.raises(ConfigError, match=r"0\.2 min are too few: .* take about 16 s\. Give more time"):
        fit_budget(COMPACT, COSTS, whole, 12.0)


SAME_COSTS = [
    "epochs=9",
    "learning_rate=0.5",
    "schedule=constant",
    "seed=3",
    "max_steps=7",
    "patience=1",
    "best_by=loss",
]
OTHER_COSTS = [
    "training.batch_size=32", "training.precision=bf16", "model.hidden_size=64", "preprocessing.max_length=50",
    "data.limit=100", "data.validation_fraction=0.3",
]  # fmt: skip


@pytest.mark.parametrize("assignment", SAME_COSTS)
def test_what_does_not_change_a_step_s_time_shares_its_costs(assignment: str) -> None:
    assert costs_key(changed(COMPACT, f"training.{assignment}")) == costs_key(COMPACT)


@pytest.mark.parametrize("assignment", OTHER_COSTS)
def test_what_changes_a_step_s_time_has_costs_of_its_own(assignment: str) -> None:
    assert costs_key(changed(COMPACT, assignment)) != costs_key(COMPACT)


def test_a_table_that_was_changed_has_costs_of_its_own(tmp_path: Path) -> None:
    table = write_table(tmp_path / "reviews.csv")
    before = costs_key(with_data(COMPACT, str(table)))
    assert costs_key(with_data(COMPACT, str(table))) == before
    os.utime(table, ns=(0, table.stat().st_mtime_ns + 1))
    assert costs_key(with_data(COMPACT, str(table))) != before
    table.unlink()
    assert costs_key(with_data(COMPACT, str(table))) != before


def test_a_slower_model_is_rehearsed_with_its_line_to_beat() -> None:
    assert rehearsed_configs(FAST) == [FAST]
    assert rehearsed_configs(changed(COMPACT, "data.validation_fraction=0.0"))[1:] == []
    assert rehearsed_configs(COMPACT) == [COMPACT, baseline_config(COMPACT)]


def test_disturbed_costs_are_good_enough_only_while_the_disturbance_lasts(workspace: Path) -> None:
    job = create_forecast_job(COMPACT)
    assert not job.is_fresh
    job.save_costs(COSTS)
    assert job.is_fresh
    job.save_costs(COSTS.model_copy(update={"disturbed": True}))
    assert not job.is_fresh and not is_training_here()
    with hold_lock(workspace / "queue" / "train.busy", "busy"):
        assert is_training_here() and job.is_fresh


@pytest.fixture
def small(tmp_path: Path) -> Callable[..., RunConfig]:
    def make(kind: str, **training: object) -> RunConfig:
        return RunConfig.model_validate(small_config(kind, write_table(tmp_path / "reviews.csv"), **training))

    return make


def test_a_run_notes_the_forecast_that_held_when_it_began_once(small: Callable[..., RunConfig]) -> None:
    config = small("ngram")
    create_forecast_job(config).save_costs(COSTS)
    run = create_run(config, "fast", with_test=True)
    execute_run(run, Watcher(), time.monotonic() - 2.0)
    noted = load_forecast(run)
    assert noted is not None and noted.parts["test"] == COSTS.test and noted.parts["start"] >= 2.0
    create_forecast_job(config).save_costs(COSTS.model_copy(update={"step": 9.0}))
    note_forecast(run, 0.0)
    assert load_forecast(run) == noted


def test_without_a_rehearsal_or_after_a_beginning_no_forecast_is_noted(small: Callable[..., RunConfig]) -> None:
    config = small("ngram")
    run = create_run(config, "fast")
    execute_run(run, Watcher(), time.monotonic())
    assert load_forecast(run) is None
    create_forecast_job(config).save_costs(COSTS)
    note_forecast(run, 0.0)
    assert load_forecast(run) is None, "what has begun can no longer be forecast"


def test_damaged_costs_take_a_run_its_forecast_and_nothing_else(small: Callable[..., RunConfig]) -> None:
    config = small("ngram")
    job, run = create_forecast_job(config), create_run(config, "fast")
    job.save_costs(COSTS)
    path = job.path / "result.json"
    path.write_bytes(b"{")
    notices: list[str] = []
    execute_run(run, Watcher(on_notice=notices.append), time.monotonic())
    assert run.state.status == "finished" and load_forecast(run) is None
    (notice,) = notices
    assert path.name in notice


def test_a_damaged_forecast_of_another_run_teaches_nothing(small: Callable[..., RunConfig]) -> None:
    config = small("ngram")
    sound, damaged = finished_run(config, 20.0), finished_run(config, 1.0)
    damaged.forecast_file.write_bytes(b"{")
    assert forecast(config, COSTS, earlier=[damaged, sound]) == forecast(config, COSTS, earlier=[sound])


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "STEP_SECONDS", 0.05)
    monkeypatch.setattr(rehearsal, "SCORE_SECONDS", 0.05)


@pytest.mark.parametrize("config", [FAST, COMPACT], ids=["fast", "compact"])
def test_a_rehearsal_measures_every_part_of_a_training_on_the_demo_corpus(
    config: RunConfig, hasty: None, workspace: Path
) -> None:
    small = changed(config, "model.hidden_size=8" if config is COMPACT else "model.bucket_bits=14", "data.limit=600")
    job = create_forecast_job(small)
    execute_forecast(job, JobReporter(job))
    costs, splits = job.costs, load_columns(small.data)
    assert costs is not None and job.state.status == "finished" and find_forecast_job(small).is_fresh
    assert (costs.n_train, costs.n_valid, costs.n_test) == (600, 280, 1_200)
    assert costs.fingerprint == fingerprint(splits)
    measured = [costs.load, costs.prepare, costs.step, costs.validation, costs.save, costs.test]
    assert min(measured) > 0 and max(measured) < costs.rehearsed * 100
    assert costs.steps_timed >= 1 and not costs.disturbed
    assert (costs.baseline is not None) == (config is COMPACT)
    assert isinstance(forecast(small, costs), Forecast)
    left = {path.name for path in (workspace / "cache").iterdir()} | {path.name for path in workspace.iterdir()}
    assert left == {"forecasts", "cache"}, "nothing of the rehearsal stays but its costs"


def test_a_rehearsal_while_another_training_runs_says_that_it_was_disturbed(
    hasty: None, small: Callable[..., RunConfig], workspace: Path
) -> None:
    with hold_lock(workspace / "queue" / "train.busy", "busy"):
        assert rehearsal.rehearse(small("ngram")).disturbed


def test_a_rehearsal_of_data_that_is_not_there_is_a_sentence(small: Callable[..., RunConfig], tmp_path: Path) -> None:
    config = small("ngram")
    (tmp_path / "reviews.csv").unlink()
    with pytest.raises(DataError, match=r"reviews\.csv"):
        rehearsal.rehearse(config)


WORD2VEC = with_settings(COMPACT, ["model.start=word2vec"])


def test_learning_from_texts_alone_is_a_part_of_its_own_unless_it_is_kept_already() -> None:
    costs = COSTS.model_copy(update={"pretraining": 30.0})
    expected = forecast(WORD2VEC, costs)
    assert expected.parts[PRETRAINING_PART] == 30.0 and expected.seconds == pytest.approx(88.0)
    result = settings.home() / "cache" / "pretraining" / "a" / "result.safetensors"
    result.parent.mkdir(parents=True)
    result.touch()
    mark_learnt(WORD2VEC, result)
    assert PRETRAINING_PART not in forecast(WORD2VEC, costs).parts
    # It is no part of what a budget can shorten.
    short = fit_budget(
        changed(WORD2VEC, "training.seed=9"), costs, forecast(changed(WORD2VEC, "training.seed=9"), costs), 70.0
    )
    assert short.training.max_steps == int((0.95 * 70.0 - 5.0 - 3.0 - 30.0 - 2.5) / (0.1 + 2.5 / 100))


def test_the_pretraining_is_rehearsed_on_the_sample_and_one_that_takes_too_long_by_its_pace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (("SAMPLE", 500), ("STEP_SECONDS", 0.1), ("SCORE_SECONDS", 0.1)):
        monkeypatch.setattr(rehearsal, name, value)
    whole = rehearsal.rehearse(WORD2VEC).pretraining
    monkeypatch.setattr(rehearsal, "PRETRAINING_SECONDS", 0.0)
    stopped = rehearsal.rehearse(WORD2VEC).pretraining
    assert 0.05 < whole < 120 and 0.02 * whole < stopped < 50 * whole


def test_costs_are_those_of_one_teacher_and_one_file_of_vectors(tmp_path: Path) -> None:
    assert costs_key(FAST) != costs_key(changed(FAST, "training.teacher=strong"))
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("a 1")
    config = changed(COMPACT, "model.start=file", f"model.vectors_path={vectors}")
    before = costs_key(config)
    os.utime(vectors, (1, 1))
    assert costs_key(config) != before


STUDENT = changed(FAST, "training.teacher=strong")
STRONG = with_data(preset_config("strong"), "demo")


def with_before(config: RunConfig, **changes: object) -> Costs:
    """Return costs in which everything that is trained first takes 50 s."""
    return COSTS.model_copy(update={"before": dict.fromkeys(configs_before(config), 50.0), **changes})


def mark_trained(config: RunConfig) -> None:
    figures = MemberFigures(valid_accuracy=0.9, n_valid=700, seconds=50.0, parameters=1)
    write_json(member_folder(config, COSTS.fingerprint) / "figures.json", figures.model_dump())


def test_what_is_trained_first_are_parts_of_their_own_until_they_are_there() -> None:
    before = configs_before(STUDENT)
    assert list(before)[-1] == "teacher strong" and {name.partition(" ")[0] for name in before} == {"member", "teacher"}
    costs = with_before(STUDENT, lesson=7.0)
    alone = forecast(FAST, COSTS).seconds
    expected = forecast(STUDENT, costs)
    assert expected.seconds == pytest.approx(alone + 50.0 * len(before) + 7.0)
    assert all(expected.parts[name] == 50.0 for name in before) and expected.parts[LESSON_PART] == 7.0
    first = next(iter(before))
    mark_trained(before[first])
    assert first not in forecast(STUDENT, costs).parts
    mark_trained(before["teacher strong"])  # then its members need not be there any more
    assert forecast(STUDENT, costs).seconds == pytest.approx(alone)


def test_an_ensemble_takes_no_step_of_its_own_and_looks_at_validation_once() -> None:
    costs = with_before(STRONG, prepare=0.0, step=0.0)
    expected = forecast(STRONG, costs)
    # 1 s of data, the members, 2.5 s of validation and saving; the line to beat is one of the members.
    assert expected.seconds == pytest.approx(1.0 + 50.0 * len(costs.before) + 2.5)
    assert (expected.steps, expected.epochs, expected.reviews_per_second) == (0, 1, 0.0)
    with pytest.raises(ConfigError, match="the members are trained in full"):
        fit_budget(STRONG, costs, expected, 60.0)
    assert fit_budget(STRONG, costs, expected, 3_600.0) == STRONG


def test_what_was_only_estimated_widens_the_range() -> None:
    measured = forecast(STRONG, with_before(STRONG))
    name = next(iter(configs_before(STRONG)))
    guessed = forecast(STRONG, with_before(STRONG, estimated=(name,)))
    assert guessed.seconds == measured.seconds
    assert guessed.low == pytest.approx(measured.low - 25.0) and guessed.high == pytest.approx(measured.high + 50.0)


def test_runs_whose_seconds_count_others_work_do_not_correct() -> None:
    assert forecast(STRONG, with_before(STRONG), earlier=[finished_run(STRONG, 5.0)] * 3).correction == 1.0


def test_a_budget_cuts_the_student_and_not_its_teacher() -> None:
    costs = with_before(STUDENT)
    expected = forecast(STUDENT, costs)
    fitted = fit_budget(STUDENT, costs, expected, expected.seconds - 2.0)
    assert fitted.training.max_steps is not None and 0 < fitted.training.max_steps < expected.steps
    with pytest.raises(ConfigError, match="too few"):
        fit_budget(STUDENT, costs, expected, 60.0)


@pytest.fixture
def quick_rehearsal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SAMPLE", 300), ("STEP_SECONDS", 0.05), ("SCORE_SECONDS", 0.05)):
        monkeypatch.setattr(rehearsal, name, value)


def test_members_are_rehearsed_each_once_and_an_ensemble_costs_what_they_do(
    quick_rehearsal: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensemble = changed(FAST, "model.kind=ensemble", "model.members=fast,compact")
    measured: list[str] = []
    measure = rehearsal._measure

    def note(config: RunConfig, *rest: Any) -> Costs:
        measured.append(config.model.kind)
        return measure(config, *rest)

    monkeypatch.setattr(rehearsal, "_measure", note)
    costs = rehearsal.rehearse(ensemble)
    assert sorted(measured) == ["bilstm", "ngram"]  # the line to beat is one of them
    assert list(costs.before) == ["member fast", "member compact"] and not costs.estimated
    assert costs.step == costs.prepare == 0.0 and costs.test > costs.validation > 0
    assert forecast(ensemble, costs).seconds > sum(costs.before.values())


def test_what_there_is_no_time_to_rehearse_is_told_by_the_shipped_figures(
    quick_rehearsal: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = make_row("fast", seconds=10.0), make_row("compact", seconds=200.0, reviews_per_second=100.0)
    monkeypatch.setattr(model_figures, "SHIPPED_FILE", write_shipped(tmp_path / "shipped.json", *rows))
    monkeypatch.setattr(rehearsal, "LAST_START", 0.0)
    costs = rehearsal.rehearse(changed(FAST, "model.kind=ensemble", "model.members=fast,compact"))
    assert costs.estimated == ("member compact",)
    ratio = costs.before["member compact"] / 200.0
    assert costs.before["member fast"] < 10.0 * ratio < costs.before["member fast"] + costs.load + costs.test
    assert costs.test > ratio / 100.0 * costs.n_test
