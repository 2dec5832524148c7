"""Runs queued together as one: mean, range, and what differs."""

import json

import numpy as np
import pytest

from core.config import RunConfig, preset_config, with_data, with_settings
from core.errors import RunError
from core.run_groups import (
    differing_settings,
    group_runs,
    mean_curve,
    read_validations,
    setting_title,
)
from core.runs import Run, create_run, list_runs

DEMO = with_data(preset_config("fast"), "demo")


def make(group: str | None, *assignments: str, name: str = "fast") -> Run:
    return create_run(with_settings(DEMO, assignments), "fast", name, group=group)


def test_seeds_of_one_config_are_one_row_and_a_grid_says_that_it_is_one() -> None:
    for seed in range(3):
        make("fast-18c0", f"training.seed={seed}")
    for rate in (0.01, 0.05):
        make("rates-18c1", f"training.learning_rate={rate}")
    alone = make(None, name="alone")
    groups = {group.title: group for group in group_runs(list_runs())}
    assert list(groups) == ["alone", "rates · grid of 2", "fast · 3 seeds"]
    assert groups["alone"].group_id == alone.run_id
    seeds = groups["fast · 3 seeds"]
    assert seeds.kind == "seeds" and [run.settings.config.training.seed for run in seeds.runs] == [0, 1, 2]
    assert seeds.group_id.startswith("~") and len(seeds.group_id) == 9


def test_a_group_keeps_its_id_when_members_go_and_the_last_one_left_is_that_run() -> None:
    runs = [make("fast-18c0", f"training.seed={seed}") for seed in range(3)]
    whole, pair = group_runs(runs)[0], group_runs(runs[1:])[0]
    assert whole.group_id == pair.group_id and pair.title == "fast · 2 seeds"
    (left,) = group_runs(runs[2:])
    assert left.kind == "single" and left.group_id == runs[2].run_id


def test_the_mean_curve_covers_only_what_all_runs_cover() -> None:
    curve = mean_curve(
        [
            (np.array([0.25, 0.5, 0.75, 1.0]), np.array([0.6, 0.7, 0.8, 0.9])),
            (np.array([0.5, 0.75]), np.array([0.8, 0.9])),
        ]
    )
    assert curve is not None
    assert (curve.x[0], curve.x[-1]) == (0.5, 0.75) and np.allclose(np.diff(curve.x), np.diff(curve.x)[0])
    assert curve.mean[[0, -1]] == pytest.approx([0.75, 0.85])
    assert curve.low[[0, -1]] == pytest.approx([0.7, 0.8]) and curve.high[[0, -1]] == pytest.approx([0.8, 0.9])


def test_curves_that_never_meet_or_are_empty_have_no_mean() -> None:
    early, late = (np.array([0.1, 0.2]), np.array([0.5, 0.5])), (np.array([0.5, 0.6]), np.array([0.5, 0.5]))
    empty = (np.array([]), np.array([]))
    assert mean_curve([early, late]) is None and mean_curve([early, empty]) is None and mean_curve([]) is None


def test_curves_of_one_value_each_have_a_mean_of_one_point() -> None:
    curve = mean_curve([(np.array([1.0]), np.array([0.8])), (np.array([1.0]), np.array([0.9]))])
    assert curve is not None and curve.mean == pytest.approx([0.85])


def test_validations_are_read_without_the_steps_and_a_torn_last_line_is_left_out() -> None:
    run = make(None)
    assert all(len(values) == 0 for values in read_validations(run).values())
    lines = [
        {"step": 1, "epoch": 1, "loss": 0.6, "time": 1.0},
        {"step": 1, "epoch": 1, "valid_loss": 0.5, "valid_accuracy": 0.7, "time": 1.0},
        {"step": 2, "epoch": 2, "loss": 0.6, "time": 2.0},
        {"step": 2, "epoch": 2, "valid_loss": 0.4, "valid_accuracy": 0.8, "time": 2.0},
    ]
    run.metrics_file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 3, "valid_loss"')
    found = read_validations(run)
    assert found["epoch"].tolist() == [1, 2] and found["valid_accuracy"].tolist() == [0.7, 0.8]


@pytest.mark.parametrize("line", ['{"valid_loss": 1', '{"valid_loss": 1}', '["valid_loss"]', '"valid_loss"'])
def test_a_damaged_validation_gives_a_sentence(line: str) -> None:
    run = make(None)
    run.metrics_file.write_text(line + "\n")
    with pytest.raises(RunError, match="history of run fast has a damaged line"):
        read_validations(run)


def test_only_what_is_not_the_same_everywhere_differs() -> None:
    other = with_settings(DEMO, ["training.epochs=9", "training.seed=3"])
    assert differing_settings([DEMO, other, DEMO]) == {
        "training.epochs": (DEMO.training.epochs, 9, DEMO.training.epochs),
        "training.seed": (0, 3, 0),
    }
    assert differing_settings([DEMO]) == {} == differing_settings([DEMO, DEMO])


def test_models_of_two_kinds_differ_in_fields_that_one_of_them_lacks() -> None:
    differing = differing_settings([DEMO, RunConfig()])
    assert differing["model.kind"] == ("ngram", "bilstm")
    assert differing["model.max_n"] == (DEMO.model.max_n, None) and differing["model.dropout"][0] is None


def test_settings_are_called_as_their_form_calls_them() -> None:
    assert setting_title("training.learning_rate", DEMO) == "Learning rate"
    assert setting_title("model.kind", DEMO) == "Model"
    assert setting_title("data.source", DEMO) == "Data set"
