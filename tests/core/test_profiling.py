import json
import os
from pathlib import Path

import pytest

from core.config import preset_config, with_data, with_settings
from core.data.sources import load_columns
from core.evaluation.profile import profile_data
from core.jobs import KINDS, kind_of, run_job
from core.profiling import create_profile_job, profile_document, profile_key, profile_lines

SMALL = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14"])


def write_table(path: Path, rows: int = 60) -> Path:
    path.write_text("text,label\n" + "".join(f"a review {'x' * row},{row % 2}\n" for row in range(rows)))
    return path


def test_the_job_writes_what_profile_data_finds_and_no_review(workspace: Path) -> None:
    job = create_profile_job(SMALL)
    assert job.path.parent == workspace / "cache" / "profiles" and job.result is None and not job.exists
    assert kind_of(job.path) is KINDS["cache/profiles/*"] and kind_of(job.path).slot == "quick"
    run_job(job.path)
    splits = load_columns(SMALL.data)
    assert job.state.status == "finished" and job.result == profile_data(splits, SMALL)
    stored = "".join(path.read_text() for path in job.path.iterdir())
    assert not any(text in stored for text in splits["train"].texts.to_pylist())


def test_the_same_data_read_the_same_way_has_one_folder(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv")
    config = with_data(preset_config("compact"), str(table))
    job = create_profile_job(config)
    assert (
        create_profile_job(with_settings(config, ["training.epochs=9", "training.learning_rate=0.1"])).path == job.path
    )
    others = [
        with_settings(config, [change])
        for change in (
            "preprocessing.max_length=9", "data.validation_fraction=0.2", "training.seed=1", "data.limit=8",
            "training.batch_size=8",
        )
    ]  # fmt: skip
    others += [
        with_data(preset_config("fast"), str(table)),
        with_data(preset_config("compact"), str(table), label_map={"0": "positive", "1": "negative"}),
        with_data(preset_config("compact"), "demo"),
    ]
    keys = {profile_key(each) for each in [config, *others]}
    assert len(keys) == len(others) + 1


def test_a_table_that_changed_is_looked_at_anew(tmp_path: Path) -> None:
    table = write_table(tmp_path / "t.csv")
    config = with_data(preset_config("compact"), str(table))
    before = profile_key(config)
    os.utime(table, ns=(1, 1))
    assert profile_key(config) != before


def test_data_that_cannot_be_read_is_told_in_the_job_s_state(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("text,label\na,maybe\n")
    job = create_profile_job(with_data(preset_config("fast"), str(table)))
    run_job(job.path)
    assert job.state.status == "failed" and "the label 'maybe'" in job.state.message and job.result is None


@pytest.mark.parametrize("preset", ["fast", "compact"])
def test_the_figures_are_plain_values_and_readable_lines(preset: str, tmp_path: Path) -> None:
    config = with_data(preset_config(preset), str(write_table(tmp_path / "t.csv")))
    splits = load_columns(config.data)
    profile = profile_data(splits, config)
    document = profile_document(profile)
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["duplicates"]["train_test"] == 0 and set(document["empty"]) == {"train", "valid", "test"}
    lines = profile_lines(profile, splits, config)
    assert lines["train"].startswith("43 reviews, 21 positive") or lines["train"].startswith("44 reviews")
    assert len([name for name in lines if name.strip().isdigit()]) == 8
    assert "600 words" in lines["cut"] if preset == "compact" else "no limit" in lines["cut"]
