"""The line to beat: trained once for a data set and seed, known from then on, and never in a run's way."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.config import RunConfig, preset_config
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.runs import Run, create_run
from core.training import baseline
from core.training.baseline import Baseline, baseline_config, baseline_folder, find_baseline, load_baseline
from core.training.job import execute_run
from core.training.trainer import train_model
from core.training.watcher import Watcher
from tests.core.training.kill_points import small_config, write_table

LINE = "Line to beat: training"


@dataclass
class Told:
    """What a run's watcher was told, and when it asks to stop."""

    stop_in: str = ""
    phases: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def watcher(self) -> Watcher:
        return Watcher(
            on_phase=lambda phase, total: self.phases.append(phase),
            on_notice=self.notices.append,
            should_stop=lambda: self.stop_in in self.phases,
        )


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_table(tmp_path / "reviews.csv", noisy=True)


@pytest.fixture
def config(table: Path) -> RunConfig:
    return RunConfig.model_validate(small_config("bilstm", table, epochs=2))


def execute(config: RunConfig, stop_in: str = "", run: Run | None = None) -> tuple[Run, Told]:
    told, run = Told(stop_in), run or create_run(config, "compact")
    execute_run(run, told.watcher(), time.monotonic())
    return run, told


def fingerprint_of(config: RunConfig) -> str:
    return fingerprint(load_columns(config.data))


def test_a_run_notes_what_the_n_gram_model_comes_to_on_the_same_validation_reviews(config: RunConfig) -> None:
    run, told = execute(config)
    assert LINE in told.phases and told.notices == []
    noted = load_baseline(run)
    alone = create_run(baseline_config(config), "fast")
    splits = load_columns(config.data)
    position = train_model(alone, baseline_config(config), splits["train"], fingerprint(splits), Watcher()).position
    assert noted is not None and noted.valid_accuracy == position.best_accuracy
    assert run.origin is not None and noted.n_valid == run.origin.n_valid == 16
    assert noted.train_seconds > 0


def test_the_line_to_beat_is_the_fast_preset_with_the_run_s_data_and_seed(config: RunConfig) -> None:
    seeded = config.model_copy(update={"training": config.training.model_copy(update={"seed": 7})})
    line, fast = baseline_config(seeded), preset_config("fast")
    assert (line.model.kind, line.training.seed, line.data) == ("ngram", 7, config.data)
    assert line.model_copy(update={"data": fast.data}) == fast.model_copy(
        update={"training": fast.training.model_copy(update={"seed": 7})}
    )


def test_the_weights_of_a_run_are_the_same_with_and_without_its_line(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = execute(config)
    second, _ = execute(config)
    without = create_run(config, "compact")
    monkeypatch.setattr("core.training.job.note_baseline", lambda *arguments: None)
    execute_run(without, Watcher(), time.monotonic())
    assert load_baseline(without) is None
    assert first.model_file.read_bytes() == second.model_file.read_bytes() == without.model_file.read_bytes()


def test_a_second_run_on_the_same_data_and_seed_takes_it_from_the_cache(config: RunConfig) -> None:
    first, _ = execute(config)
    other = config.model_copy(update={"training": config.training.model_copy(update={"epochs": 1})})
    second, told = execute(other)
    assert LINE not in told.phases
    assert load_baseline(second) == load_baseline(first) is not None


def test_the_cache_keeps_figures_and_model_and_nothing_else_of_the_training(config: RunConfig) -> None:
    execute(config)
    folder = baseline_folder(config, fingerprint_of(config))
    assert {path.name for path in folder.iterdir()} == {"figures.json", "model.safetensors"}


@pytest.mark.parametrize("change", ["seed", "validation share", "a review"])
def test_another_seed_cut_or_text_has_a_line_of_its_own(change: str, config: RunConfig, table: Path) -> None:
    execute(config)
    if change == "a review":
        table.write_text(table.read_text().replace("superb", "splendid", 1))
    elif change == "seed":
        config = config.model_copy(update={"training": config.training.model_copy(update={"seed": 1})})
    else:
        config = config.model_copy(update={"data": config.data.model_copy(update={"validation_fraction": 0.3})})
    assert find_baseline(config, fingerprint_of(config)) is None
    assert LINE in execute(config)[1].phases


def test_the_same_reviews_in_a_file_of_another_name_have_the_same_line(config: RunConfig, table: Path) -> None:
    execute(config)
    moved = table.rename(table.with_name("moved.csv"))
    config = config.model_copy(update={"data": config.data.model_copy(update={"path": str(moved)})})
    assert find_baseline(config, fingerprint_of(config)) is not None


def test_an_n_gram_run_and_one_without_validation_have_none(config: RunConfig, table: Path, workspace: Path) -> None:
    ngram = RunConfig.model_validate(small_config("ngram", table, epochs=1))
    blind = config.model_copy(update={"data": config.data.model_copy(update={"validation_fraction": 0.0})})
    for each in (ngram, blind):
        run, told = execute(each)
        assert load_baseline(run) is None and LINE not in told.phases and told.notices == []
    assert not (workspace / "cache").exists()


def test_a_line_that_diverges_leaves_a_notice_and_the_run_goes_on(
    config: RunConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = baseline.baseline_config

    def broken(config: RunConfig) -> RunConfig:
        line = original(config)
        training = line.training.model_copy(update={"learning_rate": 1e6, "batch_size": 16, "schedule": "constant"})
        return line.model_copy(update={"training": training})

    monkeypatch.setattr(baseline, "baseline_config", broken)
    run, told = execute(config)
    (notice,) = told.notices
    assert "The line to beat could not be trained" in notice and "diverged" in notice
    assert run.state.status == "finished" and load_baseline(run) is None


@pytest.mark.parametrize("content", [b"", b'{"valid_accuracy": 0.9', b'{"valid_accuracy": "high"}'])
def test_a_line_that_is_damaged_in_the_cache_is_trained_anew(config: RunConfig, content: bytes) -> None:
    expected = load_baseline(execute(config)[0])
    (baseline_folder(config, fingerprint_of(config)) / "figures.json").write_bytes(content)
    run, told = execute(config)
    assert LINE in told.phases and told.notices == []
    assert without_seconds(load_baseline(run)) == without_seconds(expected)


def test_checkpoints_of_a_line_that_are_all_damaged_do_not_stand_in_the_next_run_s_way(config: RunConfig) -> None:
    run, _ = execute(config, stop_in=LINE)
    checkpoints = baseline_folder(config, fingerprint_of(config)) / "checkpoint"
    for path in checkpoints.iterdir():
        path.write_bytes(b"damaged")
    _, told = execute(config, run=run)
    assert len(told.notices) == 1 and "not usable" in told.notices[0]
    second, told = execute(config)
    assert told.notices == [] and load_baseline(second) is not None


def without_seconds(line: Baseline | None) -> dict[str, object]:
    assert line is not None
    return line.model_dump(exclude={"train_seconds"})


def test_a_stop_while_the_line_is_trained_stops_the_run(config: RunConfig) -> None:
    run, _ = execute(config, stop_in=LINE)
    assert run.state.status == "stopped" and load_baseline(run) is None
    assert len(run.read_history()) <= 1, "at most the one step after which the loop asks"
    assert find_baseline(config, fingerprint_of(config)) is None


def test_a_line_that_was_stopped_goes_on_where_it_was(config: RunConfig) -> None:
    run, _ = execute(config, stop_in=LINE)
    folder = Run(baseline_folder(config, fingerprint_of(config)))
    steps = [line["step"] for line in folder.read_history() if "loss" in line]
    assert steps == [1]
    execute(config, run=run)
    other = config.model_copy(update={"training": config.training.model_copy(update={"seed": 0})})
    assert run.state.status == "finished" and load_baseline(run) == find_baseline(other, fingerprint_of(other))


def test_a_run_that_has_its_line_keeps_it(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = execute(config, stop_in="Training")
    noted = json.loads(run.baseline_file.read_bytes())
    calls: list[object] = []
    monkeypatch.setattr(baseline, "find_baseline", lambda *arguments: calls.append(arguments))
    execute(config, run=run)
    assert calls == [] and json.loads(run.baseline_file.read_bytes()) == noted


def test_what_no_sentence_explains_is_not_hidden(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(baseline, "_train_baseline", fail)
    run = create_run(config, "compact")
    with pytest.raises(ZeroDivisionError):
        execute_run(run, Watcher(), time.monotonic())
    assert run.state.status == "failed"
