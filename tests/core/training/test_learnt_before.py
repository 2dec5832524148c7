"""What a run starts from is kept, and a forecast knows it without reading the data."""

import os
from pathlib import Path

from core import settings
from core.config import preset_config, with_data, with_settings
from core.training.learnt_before import is_learnt, mark_learnt

CONFIG = with_settings(with_data(preset_config("compact"), "demo"), ["model.start=word2vec"])


def make_result(name: str = "abc") -> Path:
    result = settings.home() / "cache" / "pretraining" / name / "result.safetensors"
    result.parent.mkdir(parents=True)
    result.touch()
    return result


def test_what_was_marked_is_known_for_the_same_settings_however_long_they_train() -> None:
    assert not is_learnt(CONFIG)
    mark_learnt(CONFIG, make_result())
    assert is_learnt(CONFIG)
    assert is_learnt(with_settings(CONFIG, ["training.epochs=9", "training.learning_rate=0.1"]))
    for other in ("training.seed=1", "model.embedding_dim=50", "preprocessing.max_words=50", "data.limit=100"):
        assert not is_learnt(with_settings(CONFIG, [other]))
    assert not is_learnt(with_data(CONFIG, "imdb"))


def test_what_is_gone_from_the_cache_or_damaged_is_not_known() -> None:
    result = make_result()
    mark_learnt(CONFIG, result)
    result.unlink()
    assert not is_learnt(CONFIG)
    result.touch()
    assert is_learnt(CONFIG)
    for content in ("{", "[]", '{"result": 3}', "{}"):
        for mark in (settings.home() / "cache" / "pretraining" / "known").iterdir():
            mark.write_text(content)
        assert not is_learnt(CONFIG)


def test_another_file_of_vectors_under_the_same_name_is_another_start(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("a 1\n")
    config = with_settings(CONFIG, ["model.start=file", f"model.vectors_path={vectors}"])
    mark_learnt(config, make_result())
    assert is_learnt(config)
    vectors.write_text("b 2\n")
    os.utime(vectors, (1, 1))
    assert not is_learnt(config)
