"""The stars of each review: where they come from, and that they stand in the order of the reviews."""

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import settings
from core.config import RunConfig, preset_config, with_data
from core.data.corrections import LabelChange, correct_labels, save_corrections
from core.data.demo import generate_reviews
from core.data.ratings import find_star_column, load_ratings
from core.data.sources import choose_split, load_columns
from core.errors import DataError

SPLITS = ("train", "valid", "test")


def write_table(path: Path, columns: list[str], rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def read_stars_of(config: RunConfig, split: str) -> tuple[list[str], list[int]]:
    """Return the texts of a split and the stars that were found for them."""
    stars = load_ratings(config, split)
    assert stars is not None and stars.dtype == np.int8
    return choose_split(load_columns(config.data), split, config).texts.to_pylist(), stars.tolist()


def star_rows(count: int) -> list[list[str]]:
    """Return rows whose text says their own number of stars, in an order of no pattern."""
    stars = np.random.default_rng(4).integers(1, 6, count)
    return [[f"text {place} of {value} stars", str(value)] for place, value in enumerate(stars)]


@pytest.mark.parametrize("split", [*SPLITS, "all"])
def test_stars_in_the_label_column_stand_beside_their_own_texts(tmp_path: Path, split: str) -> None:
    path = write_table(tmp_path / "a.csv", ["text", "label"], star_rows(400))
    label_map = {"1": "negative", "2": "negative", "3": "left out", "4": "positive", "5": "positive"}
    texts, stars = read_stars_of(with_data(preset_config("fast"), str(path), label_map=label_map), split)
    assert len(texts) > 10 and 3 not in stars
    assert all(f"of {value} stars" in text for text, value in zip(texts, stars, strict=True))


@pytest.mark.parametrize("split", [*SPLITS, "all"])
def test_a_column_called_rating_is_found_and_kept_in_line_with_the_rows_that_stay(tmp_path: Path, split: str) -> None:
    rows = [[text, "pos" if int(value) > 2 else "neg", f" {value}.0 "] for text, value in star_rows(400)]
    rows = [[text, "skip" if place % 7 == 0 else label, value] for place, (text, label, value) in enumerate(rows)]
    path = write_table(tmp_path / "a.csv", ["Review", "label", "Rating"], rows)
    label_map = {"pos": "positive", "neg": "negative", "skip": "left out"}
    config = with_data(preset_config("fast"), str(path), label_map=label_map)
    texts, stars = read_stars_of(config, split)
    assert len(texts) > 10 and all(f"of {value} stars" in text for text, value in zip(texts, stars, strict=True))


def test_a_row_without_a_rating_has_no_stars(tmp_path: Path) -> None:
    rows = [[text, "pos" if place % 2 else "neg", value if place % 3 else ""] for place, (text, value) in
            enumerate(star_rows(200))]  # fmt: skip
    config = with_data(preset_config("fast"), str(write_table(tmp_path / "a.csv", ["text", "label", "stars"], rows)))
    texts, stars = read_stars_of(config, "test")
    assert 0 in stars
    assert all(value == 0 or f"of {value} stars" in text for text, value in zip(texts, stars, strict=True))


@pytest.mark.parametrize("values", [["0", "1"], ["3.5", "4"], ["good", "bad"], ["12", "40"], ["", ""]])
def test_a_column_that_holds_no_whole_stars_is_none(tmp_path: Path, values: list[str]) -> None:
    rows = [[f"text {place}", "pos" if place % 2 else "neg", values[place % 2]] for place in range(60)]
    path = write_table(tmp_path / "a.csv", ["text", "label", "rating"], rows)
    assert load_ratings(with_data(preset_config("fast"), str(path)), "test") is None


def test_a_table_without_such_a_column_has_no_stars(tmp_path: Path) -> None:
    rows = [[f"text {place}", str(place % 2)] for place in range(60)]
    config = with_data(preset_config("fast"), str(write_table(tmp_path / "a.csv", ["text", "label"], rows)))
    assert find_star_column(config.data) is None and load_ratings(config, "test") is None


@pytest.mark.parametrize("split", SPLITS)
def test_the_demo_corpus_has_the_stars_that_it_was_made_with(split: str) -> None:
    config = with_data(preset_config("fast"), "demo")
    of_text = {review.text: review.stars for reviews in generate_reviews().values() for review in reviews}
    texts, stars = read_stars_of(config, split)
    assert [of_text[text] for text in texts] == stars


@pytest.mark.parametrize("split", SPLITS)
def test_corrected_labels_leave_each_review_its_stars(split: str) -> None:
    # Other labels cut validation in another way, and the stars have to follow.
    config = with_data(preset_config("fast"), "demo")
    splits = load_columns(config.data)
    labels = splits["train"].labels.tolist()
    changes = tuple(LabelChange(row=row, old=labels[row], new=1 - labels[row]) for row in range(0, 900, 3))
    corrections = correct_labels(splits, changes)
    save_corrections(corrections)
    corrected = with_data(preset_config("fast"), "demo", corrections=corrections.corrections_id)
    of_text = {review.text: review.stars for reviews in generate_reviews().values() for review in reviews}
    texts, stars = read_stars_of(corrected, split)
    assert [of_text[text] for text in texts] == stars
    is_other = texts != choose_split(splits, split, config).texts.to_pylist()
    assert is_other == (split != "test")


def write_imdb(folder: Path, *, ratings: int | None = None) -> None:
    for name in ("train", "test"):
        labels = np.repeat([0, 1], 50)
        stars = np.where(labels == 1, 7 + np.arange(100) % 4, 1 + np.arange(100) % 4)
        texts = [f"{name} {place} of {value} stars" for place, value in enumerate(stars)]
        for place in ("plain_text", "ratings"):
            (folder / "imdb" / place).mkdir(parents=True, exist_ok=True)
        table = pa.table({"text": texts, "label": labels})
        pq.write_table(table, folder / "imdb" / "plain_text" / f"{name}-00000-of-00001.parquet")
        chosen = stars[:ratings].astype(np.int8)
        pq.write_table(pa.table({"rating": chosen}), folder / "imdb" / "ratings" / f"{name}.parquet")


@pytest.mark.parametrize("split", SPLITS)
def test_imdb_s_stars_are_cut_as_its_reviews_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    write_imdb(tmp_path)
    texts, stars = read_stars_of(preset_config("fast"), split)
    assert len(texts) >= 10 and all(f"of {value} stars" in text for text, value in zip(texts, stars, strict=True))


def test_imdb_without_its_ratings_has_no_stars_and_a_wrong_file_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    assert load_ratings(preset_config("fast"), "test") is None
    write_imdb(tmp_path, ratings=90)
    with pytest.raises(DataError, match="90 ratings for 100 reviews"):
        load_ratings(preset_config("fast"), "test")
    (tmp_path / "imdb" / "ratings" / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match="Could not read the stars"):
        load_ratings(preset_config("fast"), "test")


def test_the_real_stars_agree_with_the_real_labels(imdb_folder: Path) -> None:
    config = preset_config("fast")
    for split in SPLITS:
        stars, rows = load_ratings(config, split), choose_split(load_columns(config.data), split, config)
        if stars is None:
            pytest.skip("imdb/ratings is not in the data folder")
        assert ((stars >= 7) == (rows.labels == 1)).all() and len(stars) == len(rows)
