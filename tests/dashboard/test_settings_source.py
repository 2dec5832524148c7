"""Settings from a run, from a file, and what was changed against them."""

import io
import json
from pathlib import Path

import pytest

from core.config import RunConfig, preset_config, with_data, with_settings
from core.errors import ConfigError
from core.prediction.uploads import save_upload
from core.runs import create_run
from dashboard.settings_source import (
    MOST_BYTES,
    changed_words,
    closest_preset,
    data_parameters,
    preset_source,
    read_rate,
    read_settings,
    table_is_elsewhere,
)

CHANGED = with_settings(preset_config("compact"), ["training.learning_rate=0.004", "model.hidden_size=32"])


def test_a_run_s_settings_file_and_a_bare_config_are_both_read() -> None:
    run = create_run(CHANGED, "compact")
    assert read_settings((run.path / "config.json").read_bytes()) == CHANGED
    assert read_settings(CHANGED.model_dump_json().encode()) == CHANGED
    assert read_settings(b'{"training": {"epochs": 2}}').training.epochs == 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "This is no JSON"),
        (b"\xff\xfe\x00", "This is no JSON"),
        (b"[" * 100_000, "This is no JSON"),
        (b"[1, 2]", "holds no settings of a run"),
        (b'{"name": "x"}', "holds no settings of a run"),
        (b'{"config": 3}', "holds no settings of a run"),
        (b'{"training": {"epochs": 0}}', "training.epochs"),
        (b'{"training": {"epochs": NaN}}', "training.epochs"),
        (b'{"training": 3}', "training"),
        (b'{"training": {"epochs": 2}, "more": 1}', "more"),
        (b" " * (MOST_BYTES + 1), "larger than"),
    ],
)
def test_any_other_file_gets_one_sentence(content: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings(content)
    assert said in str(caught.value) and len(str(caught.value)) < 1_000


def test_the_closest_preset_has_the_same_kind_of_model_and_the_fewest_differences() -> None:
    assert closest_preset(CHANGED) == "compact"
    assert closest_preset(RunConfig()) == "classic"
    assert closest_preset(with_settings(preset_config("fast"), ["training.epochs=9"])) == "fast"


def test_what_was_changed_is_said_with_both_values() -> None:
    before = preset_config("compact")
    assert changed_words(preset_source("compact"), before, before) == ""
    after = with_settings(CHANGED, ["preprocessing.lowercase=false", "training.patience=null"])
    assert changed_words(preset_source("compact"), before, after) == (
        "Changed from the preset compact: lowercase on → off, hidden width 96 → 32, learning rate 0.002 → 0.004, "
        "early stopping 2 → none."
    )


def test_the_url_names_the_table_columns_and_labels_of_a_run() -> None:
    upload = save_upload(io.BytesIO(b"id,stars,words\n" + b"1,1,bad\n2,5,good\n3,3,so\n" * 10), "mine.csv")
    config = with_data(
        RunConfig(), str(upload.table), "words", "stars", {"1": "negative", "5": "positive", "3": "left out"}
    )
    found = data_parameters(config)
    assert found["data"] == "table" and found["table"] == upload.upload_id
    assert (found["text"], found["label"]) == ("2", "1")
    assert sorted(found["labels"] or "") == ["n", "o", "p"]
    assert not table_is_elsewhere(config)


def test_a_table_that_was_never_uploaded_is_known_as_such(tmp_path: Path) -> None:
    config = with_data(RunConfig(), str(tmp_path / "far.csv"))
    assert table_is_elsewhere(config) and data_parameters(config) == {"data": "table"}
    assert data_parameters(with_data(RunConfig(), "demo")) == {"data": "demo"}
    assert json.dumps(data_parameters(config))


@pytest.mark.parametrize("asked", [None, "", "nan", "inf", "-1", "0", "a lot", "0.004"])
def test_a_rate_in_the_url_that_is_none_is_ignored(asked: str | None) -> None:
    assert read_rate(asked, CHANGED) is None


def test_a_sound_rate_in_the_url_is_taken() -> None:
    assert read_rate("0.001", CHANGED) == 0.001
