"""The same training with several seeds or over a grid."""

import pytest

from core.config import RunConfig, preset_config, repeat_with_seeds, with_data, with_settings
from core.errors import ConfigError
from core.jobs import MOST_WAITING
from core.runs import create_run
from dashboard.repeats import (
    MOST_RUNS,
    Repeats,
    default_group_name,
    describe_runs,
    grid_configs,
    grid_fields,
    read_values,
    write_value,
)

COMPACT = with_data(preset_config("compact"), "demo")


def test_seeds_differ_in_nothing_but_the_seed() -> None:
    configs = repeat_with_seeds(with_settings(COMPACT, ["training.seed=7"]), 3)
    assert [config.training.seed for config in configs] == [7, 8, 9]
    assert len({config.model_dump_json(exclude={"training": {"seed"}}) for config in configs}) == 1


def test_a_seed_beyond_the_last_one_is_refused_in_a_sentence() -> None:
    with pytest.raises(ConfigError, match=r"training\.seed"):
        repeat_with_seeds(with_settings(COMPACT, [f"training.seed={2**32 - 2}"]), 3)


def test_a_grid_holds_every_combination_once_in_the_order_typed() -> None:
    configs = grid_configs(COMPACT, {"training.learning_rate": "0.002, 0.001,0.002", "model.hidden_size": "8, 16, 32"})
    found = [(config.training.learning_rate, config.model.hidden_size) for config in configs]  # type: ignore[union-attr]
    assert found == [(0.002, 8), (0.002, 16), (0.002, 32), (0.001, 8), (0.001, 16), (0.001, 32)]
    assert describe_runs("grid", configs, ["training.learning_rate", "model.hidden_size"]) == "2 x 3 = 6 runs"
    assert describe_runs("grid", configs[:3], ["training.learning_rate", "model.hidden_size"]) == "3 runs"
    assert describe_runs("seeds", repeat_with_seeds(COMPACT, 5), []) == "Seeds 0 to 4, all else alike: 5 runs"


def test_choices_and_empty_limits_can_be_values_of_a_grid() -> None:
    assert read_values(COMPACT, "model.pooling", "last, max") == ["last", "max"]
    assert read_values(COMPACT, "preprocessing.max_length", "100, none") == [100, None]
    assert read_values(COMPACT, "training.learning_rate", "1e-3, .002") == [0.001, 0.002]


@pytest.mark.parametrize(
    ("path", "typed", "said"),
    [
        ("training.learning_rate", "0.001, fast", "Learning rate: 'fast' is no value for it. Expected numbers"),
        ("training.learning_rate", "0.001, -1", "'-1' is no value for it"),
        ("training.learning_rate", "NaN", "'NaN' is no value for it"),
        ("training.epochs", "2.5", "Epochs: '2.5' is no value for it. Expected whole numbers"),
        ("training.epochs", "true", "'true' is no value for it"),
        ("training.epochs", "[" * 5000, "is no value for it"),
        ("model.pooling", "mean", "Pooling: 'mean' is no value for it. Expected of last, max"),
        ("training.epochs", " , ", "Epochs: no value is typed"),
    ],
)
def test_a_wrong_value_of_a_grid_gets_a_sentence(path: str, typed: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        grid_configs(COMPACT, {path: typed})
    assert said in str(caught.value) and len(str(caught.value)) < 500


def test_a_grid_that_is_larger_than_the_queue_is_refused_before_it_is_made() -> None:
    many = ", ".join(map(str, range(1, 40)))
    with pytest.raises(ConfigError, match=f"1,521 runs; at most {MOST_RUNS}"):
        grid_configs(COMPACT, {"training.epochs": many, "model.hidden_size": many})
    assert MOST_RUNS == MOST_WAITING + 1


@pytest.mark.parametrize("preset", ["fast", "compact", "classic"])
def test_every_setting_of_a_grid_reads_the_value_that_is_written_for_it(preset: str) -> None:
    config = preset_config(preset)
    fields = grid_fields(config)
    assert "training.learning_rate" in fields and "model.kind" not in fields and "preprocessing.lowercase" not in fields
    assert len(set(fields.values())) == len(fields)
    for path in fields:
        section, _, name = path.partition(".")
        now = getattr(getattr(config, section), name)
        assert read_values(config, path, write_value(now)) == [now]


def test_a_group_gets_a_name_that_no_group_has() -> None:
    run = create_run(COMPACT, "compact", "compact-seeds-1 1", group="compact-seeds-1-abc")
    assert default_group_name("compact", "seeds", [run]) == "compact-seeds-2"
    assert default_group_name("compact", "grid", [run]) == "compact-grid-1"


def test_one_run_is_not_several() -> None:
    assert not Repeats("once", (RunConfig(),)).are_several and Repeats("seeds", (COMPACT, COMPACT)).are_several
