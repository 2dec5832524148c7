"""A reader's verdicts on labels: kept safely, found again by every run on the data, and never mixed up with test."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest

from core import label_reviews
from core.config import DataConfig, preset_config, with_data
from core.data.corrections import save_corrections
from core.data.labelled import fingerprint
from core.data.sources import choose_split
from core.errors import DataError, ReviewscopeError
from core.evaluation.adjudication import CANNOT_TELL, LABEL_RIGHT, LABEL_WRONG, UNREAD
from core.files import hold_lock
from core.label_reviews import (
    LabelReview,
    add_review,
    base_rows,
    export_reviews,
    home_fingerprint,
    import_reviews,
    judge_labels,
    make_corrections,
    propose_changes,
    read_reviews,
    reviews_file,
)
from tests.texts import invent_reviews

SPLITS = {"train": invent_reviews(60), "test": invent_reviews(30, seed=1)}
HERE = fingerprint(SPLITS)


def verdict(
    row: int = 3, fault: str = "label", split: str = "test", label: int | None = None, time: float = 1.0
) -> LabelReview:
    labels = SPLITS["train" if split == "train" else "test"].labels
    given = int(labels[row % len(labels)]) if label is None else label
    return LabelReview.model_validate(
        {
            "split": split, "row": row, "label": given, "fault": fault, "source": "suspect",
            "model_sha256": "a" * 64, "time": time,
        }
    )  # fmt: skip


def test_the_last_verdict_on_a_label_counts_and_an_empty_one_takes_it_back() -> None:
    assert read_reviews(HERE) == {}
    for row, fault in ((3, "model"), (4, "unsure"), (3, "label"), (4, "")):
        add_review(HERE, verdict(row, fault))
    assert {place: review.fault for place, review in read_reviews(HERE).items()} == {("test", 3): "label"}
    assert len(reviews_file(HERE).read_bytes().splitlines()) == 4


def test_no_text_is_ever_written() -> None:
    add_review(HERE, verdict())
    assert set(json.loads(reviews_file(HERE).read_text())) == {
        "split", "row", "label", "fault", "source", "model_sha256", "time",
    }  # fmt: skip


def test_a_torn_last_line_is_skipped_and_the_next_verdict_begins_on_its_own_line() -> None:
    add_review(HERE, verdict(1))
    with reviews_file(HERE).open("ab") as file:
        file.write(b'{"split": "te')
    assert set(read_reviews(HERE)) == {("test", 1)}
    add_review(HERE, verdict(2))
    assert set(read_reviews(HERE)) == {("test", 1), ("test", 2)}


def test_a_file_of_nothing_but_a_torn_line_is_begun_anew() -> None:
    reviews_file(HERE).parent.mkdir(parents=True)
    reviews_file(HERE).write_bytes(b'{"spl')
    assert read_reviews(HERE) == {}
    add_review(HERE, verdict(2))
    assert set(read_reviews(HERE)) == {("test", 2)}


@pytest.mark.parametrize("line", ["no json", "[]", '{"split": "valid"}', "NaN"])
def test_a_damaged_line_is_named(line: str) -> None:
    add_review(HERE, verdict(1))
    with reviews_file(HERE).open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"verdicts\.jsonl, line 2 is no"):
        read_reviews(HERE)


def test_verdicts_of_many_at_once_are_all_kept() -> None:
    def judge(first: int) -> None:
        for row in range(first, first + 20):
            add_review(HERE, verdict(row))

    threads = [threading.Thread(target=judge, args=(20 * number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row for _, row in read_reviews(HERE)) == list(range(100))


def test_who_cannot_write_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    add_review(HERE, verdict(1))
    real = label_reviews.hold_lock
    monkeypatch.setattr(label_reviews, "hold_lock", lambda path, busy, seconds: real(path, busy, seconds=0.1))
    with (
        hold_lock(reviews_file(HERE).with_name("verdicts.lock"), "taken"),
        pytest.raises(ReviewscopeError, match="another tab"),
    ):
        add_review(HERE, verdict(2))
    reviews_file(HERE).unlink()
    reviews_file(HERE).mkdir()
    with pytest.raises(ReviewscopeError, match="Could not write"):
        add_review(HERE, verdict(2))


@pytest.mark.parametrize("split", ["train", "valid", "test", "all"])
def test_a_row_of_any_split_is_found_in_the_data_s_own_split(split: str) -> None:
    config = with_data(preset_config("fast"), "demo")
    whole = {**SPLITS, "all": SPLITS["train"]}
    chosen = whole["all"] if split == "all" else choose_split(SPLITS, split, config)
    base, rows = base_rows(SPLITS, split, config)
    assert base == ("train" if split in ("train", "valid") else split)
    places = np.arange(len(chosen)) if rows is None else rows
    assert len(places) == len(chosen) and (np.diff(places) > 0).all()
    assert whole[base].take(places).texts.equals(chosen.texts)


def test_a_verdict_on_a_validation_review_holds_for_a_run_that_trains_on_it() -> None:
    config = with_data(preset_config("fast"), "demo")
    _, valid_rows = base_rows(SPLITS, "valid", config)
    assert valid_rows is not None
    reviews = {("train", int(valid_rows[2])): verdict(int(valid_rows[2]), "unsure", "train")}
    judged = judge_labels(reviews, "train", valid_rows, SPLITS["train"].labels[valid_rows])
    assert judged.tolist() == [CANNOT_TELL if place == 2 else UNREAD for place in range(len(valid_rows))]
    for seed in range(1, 20):
        other = config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})
        found = 0
        for split in ("train", "valid"):
            base, rows = base_rows(SPLITS, split, other)
            assert rows is not None
            found += int((judge_labels(reviews, base, rows, SPLITS["train"].labels[rows]) == CANNOT_TELL).sum())
        assert found == 1


def test_faults_say_what_they_mean_of_the_label() -> None:
    reviews = {("test", row): verdict(row, fault) for row, fault in enumerate(("model", "label", "unsure"))}
    judged = judge_labels(reviews, "test", None, SPLITS["test"].labels)
    assert judged[:4].tolist() == [LABEL_RIGHT, LABEL_WRONG, CANNOT_TELL, UNREAD]
    assert not judge_labels(reviews, "train", None, SPLITS["train"].labels).any()


def test_a_verdict_on_a_label_that_was_corrected_since_does_not_count() -> None:
    labels = SPLITS["test"].labels.copy()
    labels[3] = 1 - labels[3]
    assert not judge_labels({("test", 3): verdict(3)}, "test", None, labels).any()


def test_a_row_beyond_the_data_is_passed_over() -> None:
    assert not judge_labels({("test", 99): verdict(99)}, "test", None, SPLITS["test"].labels).any()


def test_what_is_exported_can_be_imported_elsewhere_once(workspace: Path) -> None:
    for row, fault in ((3, "model"), (4, "unsure"), (5, "label"), (4, "")):
        add_review(HERE, verdict(row, fault))
    content, before = export_reviews(HERE), read_reviews(HERE)
    assert json.loads(content.splitlines()[0])["data_fingerprint"] == HERE
    reviews_file(HERE).unlink()
    assert import_reviews(HERE, SPLITS, content) == (2, 0)
    assert read_reviews(HERE) == before
    assert import_reviews(HERE, SPLITS, content) == (0, 2)


def test_an_import_never_replaces_what_was_judged_later_here() -> None:
    add_review(HERE, verdict(3, "model", time=1.0))
    add_review(HERE, verdict(4, "model", time=1.0))
    content = export_reviews(HERE)
    add_review(HERE, verdict(3, "label", time=2.0))
    reviews = content.replace(b'"time": 1.0', b'"time": 1.5')
    assert import_reviews(HERE, SPLITS, reviews) == (1, 1)
    assert read_reviews(HERE)["test", 3].fault == "label"


def header(name: str = HERE) -> str:
    return json.dumps({"format": label_reviews.FORMAT, "data_fingerprint": name})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "first line does not say"),
        (b"\xff\xfe", "first line does not say"),
        (b"[" * 100_000, "first line does not say"),
        (b"[1]\n", "first line does not say"),
        (json.dumps(verdict().model_dump()).encode(), "first line does not say"),
        (header("f" * 64).encode(), "verdicts on other data (fingerprint ffffffffffff"),
        (f"{header()}\n{verdict().model_dump_json()}\nnonsense".encode(), "Line 3 is no JSON"),
        (f'{header()}\n{{"split": "test"}}'.encode(), "Line 2 is no verdict on a label"),
        (f"{header()}\n{verdict(30).model_dump_json()}".encode(), "Line 2 judges row 30 of test, which has 30."),
        (f"{header()}\n{verdict().model_dump_json().replace('label', 'blame')}".encode(), "Line 2 is no verdict"),
        (b" " * (label_reviews.MOST_BYTES + 1), "larger than"),
    ],
)
def test_a_file_that_holds_no_such_verdicts_is_refused_and_nothing_of_it_kept(content: bytes, said: str) -> None:
    with pytest.raises(DataError) as caught:
        import_reviews(HERE, SPLITS, content)
    assert said in str(caught.value) and len(str(caught.value)) < 800
    assert read_reviews(HERE) == {}


def test_verdicts_on_test_never_feed_training() -> None:
    every = {(split, row): verdict(row, "label", split) for split in ("test", "all") for row in range(30)}
    assert propose_changes(every, SPLITS["train"].labels) == ()
    with pytest.raises(DataError, match="nothing to correct"):
        make_corrections(SPLITS, every)
    both = every | {("train", 7): verdict(7, "label", "train")}
    corrected = make_corrections(SPLITS, both)
    assert [change.row for change in corrected.changes] == [7]
    assert corrected.apply(SPLITS)["test"] is SPLITS["test"]


def test_only_labels_judged_wrong_are_changed() -> None:
    faults = ("label", "model", "unsure", "label")
    reviews = {("train", row): verdict(row, fault, "train") for row, fault in enumerate(faults)}
    found = propose_changes(reviews, SPLITS["train"].labels)
    assert [(change.row, change.old, change.new) for change in found] == [(0, 0, 1), (3, 1, 0)]


def test_verdicts_on_a_corrected_set_are_kept_with_its_origin_and_build_on_it() -> None:
    first = make_corrections(SPLITS, {("train", 0): verdict(0, "label", "train")})
    data = DataConfig(source="demo", corrections=first.corrections_id)
    assert home_fingerprint(data, first.fingerprint) == HERE == home_fingerprint(DataConfig(source="demo"), HERE)
    confirmed = {("train", 0): verdict(0, "model", "train", label=1), ("train", 1): verdict(1, "label", "train")}
    assert [(change.row, change.new) for change in propose_changes(confirmed, SPLITS["train"].labels)] == [
        (0, 1),
        (1, 0),
    ]
    taken_back = {("train", 0): verdict(0, "label", "train", label=1)}
    assert propose_changes(taken_back, SPLITS["train"].labels) == ()


def test_the_same_verdicts_make_the_same_version_wherever_they_are_made(workspace: Path) -> None:
    reviews = {("train", row): verdict(row, "label", "train") for row in (9, 2)}
    one, other = make_corrections(SPLITS, reviews), make_corrections(SPLITS, dict(reversed(reviews.items())))
    assert one == other and one.fingerprint == fingerprint(one.apply(SPLITS))
    save_corrections(one)
    assert len(list(workspace.glob("datasets/*/corrections/*.json"))) == 1
