from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import settings
from core.config import DataConfig, Meaning, RunConfig
from core.data import sources
from core.data.labelled import fingerprint
from core.data.sources import choose_split, load_columns, load_dataset, read_labelled_table, to_columns
from core.errors import DataError
from tests.texts import invent_reviews

SPLITS = {"train": invent_reviews(60), "test": invent_reviews(40, seed=1)}


@pytest.fixture
def imdb_like(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data" / "imdb" / "plain_text"
    folder.mkdir(parents=True)
    for name, split in SPLITS.items():
        pq.write_table(sources.to_table(split), folder / f"{name}-00000-of-00001.parquet")
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path / "data"))
    return folder


@pytest.fixture
def hub_like(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the hub: three splits, one of them without labels, as the real one has."""
    tables = {name: datasets.Dataset(sources.to_table(split)) for name, split in SPLITS.items()}
    unlabelled = datasets.Dataset(pa.table({"text": ["x"], "label": pa.array([-1], pa.int64())}))
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(datasets, "load_dataset", lambda name, revision: {**tables, "unsupervised": unlabelled})


def test_a_local_folder_is_a_dataset_dict_of_text_and_label(imdb_like: Path) -> None:
    found = load_dataset(DataConfig())
    assert isinstance(found, datasets.DatasetDict) and set(found) == {"train", "test"}
    assert found["train"].column_names == ["text", "label"]
    assert list(found["test"]["text"]) == SPLITS["test"].texts.to_pylist()


def test_folder_hub_and_table_of_the_same_rows_have_the_same_fingerprint(
    imdb_like: Path, hub_like: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from_hub = fingerprint(load_columns(DataConfig()))
    monkeypatch.setenv(settings.DATA_VARIABLE, str(imdb_like.parents[1]))
    assert fingerprint(load_columns(DataConfig())) == from_hub
    assert (
        fingerprint({name: to_columns(split.data.table) for name, split in load_dataset(DataConfig()).items()})
        == from_hub
    )


def test_the_hub_s_unlabelled_split_is_left_out(hub_like: None) -> None:
    assert set(load_dataset(DataConfig())) == {"train", "test"}


def test_a_folder_without_the_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=r"imdb/plain_text/train.*demo corpus"):
        load_columns(DataConfig())


def test_a_split_with_other_labels_is_refused() -> None:
    with pytest.raises(DataError, match="a label other than 0 and 1"):
        to_columns(pa.table({"text": ["x"], "label": [2]}))


def test_the_demo_corpus_is_the_same_each_time_and_has_both_labels() -> None:
    first, second = (load_columns(DataConfig(source="demo")) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    assert 3_500 <= sum(map(len, first.values())) <= 4_500
    assert all(0.45 < split.labels.mean() < 0.55 for split in first.values())


@pytest.mark.parametrize(
    "spelling", [("0", "1"), ("neg", "pos"), ("Negative", "POSITIVE"), ("-1", "1"), ("false", "true")]
)
def test_labels_in_the_usual_spellings(tmp_path: Path, spelling: tuple[str, str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"Sentiment;review\n{spelling[0]};a\n {spelling[1]} ;b\n")
    rows = read_labelled_table(path, None, None)
    assert rows.labels.tolist() == [0, 1] and rows.texts.to_pylist() == ["a", "b"]


def test_a_fifth_of_a_table_is_held_out_alike_for_every_seed(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"review {row},{row % 2}\n" for row in range(100)))
    config = DataConfig(source="table", path=str(path))
    first, second = load_columns(config), load_columns(config)
    assert len(first["test"]) == 20 and first["test"].labels.sum() == 10
    assert first["test"].texts.equals(second["test"].texts)
    assert not set(first["test"].texts.to_pylist()) & set(first["train"].texts.to_pylist())


def test_stars_are_told_from_labels_with_the_way_to_map_them(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"x,{star}\n" for star in (1, 2, 3, 4, 5)))
    with pytest.raises(DataError, match="look like stars: pass --labels stars to read 1, 2 as negative and 4, 5 as"):
        read_labelled_table(path, None, None)


STARS: dict[str, Meaning] = {"1": "negative", "2": "negative", "3": "left out", "4": "positive", "5": "positive"}


def table_of_stars(path: Path, rows: int = 100) -> Path:
    path.write_text("text,label\n" + "".join(f"review {row},{row % 5 + 1}\n" for row in range(rows)))
    return path


def test_a_label_map_reads_stars_and_leaves_out_the_middle(tmp_path: Path) -> None:
    rows = read_labelled_table(table_of_stars(tmp_path / "t.csv", 10), None, None, STARS)
    assert rows.labels.tolist() == [0, 0, 1, 1] * 2
    assert rows.texts.to_pylist() == [f"review {row}" for row in (0, 1, 3, 4, 5, 6, 8, 9)]


def test_rows_left_out_are_gone_before_the_test_split_is_cut(tmp_path: Path) -> None:
    data = DataConfig(source="table", path=str(table_of_stars(tmp_path / "t.csv")), label_map=STARS)
    splits = load_columns(data)
    assert {name: len(split) for name, split in splits.items()} == {"train": 64, "test": 16}
    assert splits["test"].labels.sum() == 8
    without = tmp_path / "without.csv"
    lines = [f"review {row},{row % 5 // 2}\n" for row in range(100) if row % 5 != 2]
    without.write_text("text,label\n" + "".join(line.replace(",2", ",1") for line in lines))
    assert fingerprint(load_columns(DataConfig(source="table", path=str(without)))) == fingerprint(splits)


def test_a_label_map_is_compared_trimmed_and_whatever_the_case(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\na, MEH \nb,Super\nc,superb\n")
    label_map: dict[str, Meaning] = {"Meh": "negative", " super": "positive", "SUPERB": "left out"}
    assert read_labelled_table(path, None, None, label_map).labels.tolist() == [0, 1]


def test_a_label_that_the_map_lacks_is_named_with_its_line_and_the_way_out(tmp_path: Path) -> None:
    path = table_of_stars(tmp_path / "t.csv", 5)
    label_map: dict[str, Meaning] = {"1": "negative", "5": "positive"}
    words = r"3 rows .* line 3: the label '2' is not a known one. Expected one of 1, 5 in 'label'. .*--labels"
    with pytest.raises(DataError, match=words):
        read_labelled_table(path, None, None, label_map)


def test_the_whole_of_a_foreign_table_is_read_through_its_map(tmp_path: Path) -> None:
    config = RunConfig(
        data=DataConfig(source="table", path=str(table_of_stars(tmp_path / "t.csv", 10)), label_map=STARS)
    )
    assert len(choose_split(load_columns(config.data), "all", config)) == 8


def test_a_foreign_table_can_be_scored_whole_and_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"review {row},{row % 2}\n" for row in range(30)))
    config = RunConfig(data=DataConfig(source="table", path=str(path)))
    rows = choose_split(load_columns(config.data), "all", config)
    assert rows.texts.to_pylist() == [f"review {row}" for row in range(30)]


def test_a_table_without_a_label_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,stars\nx,1\n")
    with pytest.raises(DataError, match="--label-column"):
        read_labelled_table(path, None, None)


def test_validation_is_cut_from_train_and_shares_no_row_with_it() -> None:
    config = RunConfig()
    parts = [choose_split(SPLITS, name, config) for name in ("train", "valid")]
    assert [len(part) for part in parts] == [54, 6]
    assert np.concatenate([part.labels for part in parts]).sum() == SPLITS["train"].labels.sum()
    with pytest.raises(DataError, match="no split 'dev'"):
        choose_split(SPLITS, "dev", config)


def test_the_real_data_has_the_documented_shape(imdb_folder: Path) -> None:
    splits = load_columns(DataConfig())
    assert {name: (len(split), int(split.labels.sum())) for name, split in splits.items()} == {
        "train": (25_000, 12_500),
        "test": (25_000, 12_500),
    }
    shared = set(splits["train"].texts.to_pylist()) & set(splits["test"].texts.to_pylist())
    assert sum(text in shared for text in splits["test"].texts.to_pylist()) == 123


def test_minus_one_zero_and_one_are_not_guessed_at(tmp_path: Path) -> None:
    path = tmp_path / "three.csv"
    path.write_text("text,label\n" + "".join(f"text {number},{number % 3 - 1}\n" for number in range(30)))
    with pytest.raises(DataError, match="whether 0 means neutral"):
        read_labelled_table(path, None, None)
    rows = read_labelled_table(path, None, None, {"-1": "negative", "0": "left out", "1": "positive"})
    assert len(rows) == 20 and rows.labels.sum() == 10
