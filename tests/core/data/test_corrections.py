"""Change lists make new versions of a training set, each with its own fingerprint, and of nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.config import DataConfig, RunConfig, preset_config, with_data, with_settings
from core.data import corrections, sources
from core.data import demo as demo_corpus
from core.data.corrections import (
    Corrections,
    LabelChange,
    correct_labels,
    find_corrections,
    load_corrected,
    save_corrections,
)
from core.data.demo import generate_reviews
from core.data.labelled import LabelledTexts, fingerprint
from core.data.ratings import load_ratings
from core.data.sources import choose_split, load_columns
from core.errors import ConfigError, DataError
from tests.texts import invent_reviews

SPLITS = {"train": invent_reviews(40), "test": invent_reviews(20, seed=1)}
CHANGES = (LabelChange(row=2, old=0, new=1), LabelChange(row=39, old=1, new=0))


@pytest.fixture
def as_it_came(monkeypatch: pytest.MonkeyPatch) -> dict[str, LabelledTexts]:
    monkeypatch.setattr(sources, "_load_demo", lambda: SPLITS)
    return SPLITS


def kept(splits: dict[str, LabelledTexts] = SPLITS, changes: tuple[LabelChange, ...] = CHANGES) -> Corrections:
    found = correct_labels(splits, changes)
    save_corrections(found)
    return found


def demo(corrections_id: str | None) -> DataConfig:
    return DataConfig(source="demo", corrections=corrections_id)


def test_only_the_labels_of_the_list_change_and_only_in_train(as_it_came: dict[str, LabelledTexts]) -> None:
    found = load_columns(demo(kept().corrections_id))
    assert np.flatnonzero(found["train"].labels != SPLITS["train"].labels).tolist() == [2, 39]
    assert found["train"].labels[[2, 39]].tolist() == [1, 0]
    assert found["train"].texts.equals(SPLITS["train"].texts)
    assert found["test"] is SPLITS["test"]
    assert SPLITS["train"].labels[2] == 0, "what came stays as it came"


def test_the_list_names_both_fingerprints_and_its_id_comes_from_its_content(as_it_came: object) -> None:
    found = kept()
    assert found.base_fingerprint == fingerprint(SPLITS)
    assert found.fingerprint == fingerprint(load_columns(demo(found.corrections_id))) != found.base_fingerprint
    assert kept().corrections_id == found.corrections_id
    assert correct_labels(SPLITS, CHANGES[:1]).corrections_id != found.corrections_id
    assert with_settings(preset_config("fast"), [f"data.corrections={found.corrections_id}"]).data.corrections


def test_a_list_that_is_there_is_not_written_again() -> None:
    found = kept()
    before = found.file.stat().st_mtime_ns, found.file.stat().st_ino
    save_corrections(found)
    assert (found.file.stat().st_mtime_ns, found.file.stat().st_ino) == before


def test_validation_is_cut_by_the_corrected_labels(as_it_came: object) -> None:
    config = with_data(preset_config("fast"), "demo", corrections=kept().corrections_id)
    splits = load_columns(config.data)
    train, valid = choose_split(splits, "train", config), choose_split(splits, "valid", config)
    assert len(train) + len(valid) == 40
    assert int(train.labels.sum() + valid.labels.sum()) == int(splits["train"].labels.sum())


def test_nothing_to_correct_and_a_change_that_does_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match="nothing to correct"):
        correct_labels(SPLITS, ())
    for change in (LabelChange(row=2, old=1, new=0), LabelChange(row=40, old=0, new=1)):
        with pytest.raises(DataError, match="made for other data"):
            correct_labels(SPLITS, (change,))


def test_corrections_of_other_data_are_refused() -> None:
    found = kept()
    other = {**SPLITS, "test": invent_reviews(20, seed=2)}
    load_corrected(SPLITS, found.corrections_id)
    with pytest.raises(DataError, match="were made for other data"):
        load_corrected(other, found.corrections_id)


@pytest.mark.parametrize("name", ["c00000000000", "../../x", "", "*", "c" * 500])
def test_an_id_of_no_list_is_refused_with_the_way_out(name: str) -> None:
    kept()
    with pytest.raises(DataError, match="There are no corrections"):
        find_corrections(name)


def test_a_list_that_was_changed_by_hand_is_refused() -> None:
    found = kept()
    document = json.loads(found.file.read_text())
    document["changes"][0]["row"] = 4
    found.file.write_text(json.dumps(document))
    with pytest.raises(DataError, match="is not what it was when it was made"):
        find_corrections(found.corrections_id)
    found.file.write_text('{"changes": 3}')
    with pytest.raises(DataError, match="is no change list"):
        find_corrections(found.corrections_id)


def test_a_config_takes_ids_alone_and_other_data_leaves_them() -> None:
    with pytest.raises(ConfigError, match=r"data\.corrections"):
        with_settings(preset_config("fast"), ["data.corrections=../x"])
    config = with_data(preset_config("fast"), "demo", corrections="c00000000000")
    assert with_data(config, "imdb").data.corrections is None


def test_stars_still_belong_to_their_reviews_when_validation_is_cut_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    reviews = generate_reviews()
    monkeypatch.setattr(demo_corpus, "generate_reviews", lambda: reviews)
    plain = with_data(preset_config("fast"), "demo")
    splits = load_columns(plain.data)
    negative = np.flatnonzero(splits["train"].labels == 0)[:300].tolist()
    found = kept(splits, tuple(LabelChange(row=row, old=0, new=1) for row in negative))
    config = with_data(plain, "demo", corrections=found.corrections_id)
    stars = {text: star for text, star in zip(*texts_and_stars(plain, "train"), strict=True)}
    stars |= {text: star for text, star in zip(*texts_and_stars(plain, "valid"), strict=True)}
    texts, corrected = texts_and_stars(config, "valid")
    assert [stars[text] for text in texts] == corrected
    assert texts != texts_and_stars(plain, "valid")[0]


def texts_and_stars(config: RunConfig, split: str) -> tuple[list[str], list[int]]:
    rows, found = choose_split(load_columns(config.data), split, config), load_ratings(config, split)
    assert found is not None
    return rows.texts.to_pylist(), found.tolist()


def test_the_file_holds_no_text(workspace: Path) -> None:
    content = kept().file.read_text()
    assert corrections.find_corrections(kept().corrections_id) == kept()
    assert not any(word in content for word in ("superb", "dull", "plot"))
