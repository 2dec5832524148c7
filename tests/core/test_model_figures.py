"""What is known of the presets: by runs of this workspace, else as shipped, and never test to pick by beside runs."""

from pathlib import Path

import pytest

from core import model_figures
from core.config import PRESETS, preset_config, with_data, with_settings
from core.evaluation.intervals import wilson_interval
from core.model_figures import (
    SHIPPED_FILE,
    Ladder,
    list_shipped,
    look_up,
    same_but_for_seed,
    settings_digest,
)
from core.runs import create_run, list_runs
from tests.shipped import finish, make_row, write_shipped

IMDB = {name: preset_config(name) for name in ("fast", "compact", "classic")}
DEMO = {name: with_data(config, "demo") for name, config in IMDB.items()}


@pytest.fixture(autouse=True)
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = make_row("fast", reviews_per_second=20_000.0), make_row("compact", valid_accuracy=0.88, test_accuracy=0.87)
    monkeypatch.setattr(model_figures, "SHIPPED_FILE", write_shipped(tmp_path / "shipped.json", *rows))


def test_without_a_run_all_is_as_shipped_by_its_published_test_figures() -> None:
    for configs in (IMDB, DEMO):
        known = look_up(configs, [], {})
        assert list(known) == ["fast", "compact"] and not any(each.is_here for each in known.values())
        assert (known["fast"].accuracy, known["fast"].n, known["fast"].seconds) == (0.91, 25_000, 60.0)
        assert known["fast"].interval == wilson_interval(0.91 * 25_000, 25_000)
        assert known["fast"].reviews_per_second == 20_000.0 and known["compact"].reviews_per_second is None


def test_a_run_here_tells_its_validation_accuracy_and_what_stands_beside_it_is_validation_too() -> None:
    finish(IMDB["compact"], "compact", 0.86, test=0.85, seconds=90.0)
    known = look_up(IMDB, list_runs(), {"compact": 450.0})
    compact, fast = known["compact"], known["fast"]
    assert compact.is_here and (compact.accuracy, compact.n, compact.seeds) == (0.86, 100, 1)
    assert (compact.test_accuracy, compact.seconds, compact.reviews_per_second) == (0.85, 90.0, 450.0)
    assert not fast.is_here and (fast.accuracy, fast.n) == (0.9, 2_500)


def test_beside_runs_on_other_data_nothing_shipped_is_shown() -> None:
    finish(DEMO["fast"], "fast", 0.8)
    assert list(look_up(DEMO, list_runs(), {})) == ["fast"]
    assert not any(each.is_here for each in look_up(IMDB, list_runs(), {}).values())


def test_several_seeds_are_one_mean_and_the_longest_of_them_tells_the_time() -> None:
    for seed, valid in enumerate((0.8, 0.9)):
        config = with_settings(DEMO["fast"], [f"training.seed={seed}", "data.split_seed=0"])
        finish(config, "fast", valid, seconds=10.0 * (seed + 1))
    fast = look_up(DEMO, list_runs(), {})["fast"]
    assert (fast.seeds, fast.seconds, fast.test_accuracy) == (2, 20.0, None) and fast.accuracy == pytest.approx(0.85)


def test_other_settings_unfinished_runs_and_runs_without_validation_tell_nothing() -> None:
    finish(with_settings(DEMO["fast"], ["training.epochs=9"]), "fast", 0.99)
    finish(with_settings(DEMO["fast"], ["data.limit=100"]), "fast", 0.99)
    finish(DEMO["fast"], "compact", 0.99)
    finish(DEMO["fast"], "fast", None)
    finish(DEMO["fast"], "fast", 0.99).save_state("failed", "All labels are negative.")
    create_run(DEMO["fast"], "fast")
    assert not any(each.is_here for each in look_up(DEMO, list_runs(), {}).values())


def test_damaged_files_of_a_run_tell_nothing_and_break_nothing() -> None:
    run = finish(DEMO["fast"], "fast", 0.9)
    runs = list_runs()
    (run.path / "result.json").write_text("{")
    assert not look_up(DEMO, runs, {})["fast"].is_here
    (run.path / "about.json").write_text("{")
    assert not look_up(DEMO, runs, {})["fast"].is_here


def test_the_digest_names_the_settings_without_data_and_seed() -> None:
    fast = preset_config("fast")
    other_data = with_settings(with_data(fast, "demo"), ["training.seed=5", "data.limit=50"])
    assert settings_digest(other_data) == settings_digest(fast)
    for change in ("training.epochs=9", "model.max_n=2", "preprocessing.lowercase=false"):
        assert settings_digest(with_settings(fast, [change])) != settings_digest(fast)
    assert same_but_for_seed(fast, with_settings(fast, ["training.seed=5", "data.split_seed=1"]))
    assert not same_but_for_seed(fast, other_data)


def test_figures_of_a_recipe_that_has_changed_since_are_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = (
        make_row("fast", settings="0" * 16),
        make_row("compact"),
        make_row("fast").model_copy(update={"preset": "gone"}),
    )
    monkeypatch.setattr(model_figures, "SHIPPED_FILE", write_shipped(tmp_path / "other.json", *rows))
    assert list(list_shipped("test")) == ["compact"]


def test_the_shipped_file_is_sound_and_names_presets_that_exist() -> None:
    ladder = Ladder.model_validate_json(SHIPPED_FILE.read_bytes())
    assert ladder.data == "imdb" and ladder.machine and ladder.rows
    for row in ladder.rows:
        assert row.preset in PRESETS and row.test_low <= row.test_accuracy <= row.test_high
        assert 0.5 < row.valid_accuracy < 1 and (row.n_valid, row.n_test) == (2_500, 25_000)
