"""The same reviews have the same fingerprint wherever they came from, and cuts keep each label's share."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from core.data.labelled import LabelledTexts, cut_stratified, draw_rows, fingerprint, fingerprint_split
from core.preprocessing.cleaning import as_text_array

ROWS = [("A quiet film.", 1), ("", 0), ("größer 🎬", 1), ("NA", 0)]


def labelled(*rows: tuple[str, int]) -> LabelledTexts:
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    return LabelledTexts(pa.array(texts, pa.large_string()), np.array(labels, np.int64))


def labels_of(negatives: int, positives: int) -> NDArray[np.int64]:
    """Return that many labels of each kind, shuffled."""
    return np.random.default_rng(9).permutation(np.repeat(np.array([0, 1]), (negatives, positives)))


def test_a_split_s_fingerprint_is_the_one_worked_by_hand() -> None:
    content = (
        b"\x01\0\0\0\0\0\0\0" + b"\x0d\0\0\0\0\0\0\0" + b"A quiet film."
        b"\0\0\0\0\0\0\0\0" + b"\0\0\0\0\0\0\0\0"
        b"\x01\0\0\0\0\0\0\0" + b"\x0d\0\0\0\0\0\0\0" + b"gr\xc3\xb6\xc3\x9fer \xf0\x9f\x8e\xac"
        b"\0\0\0\0\0\0\0\0" + b"\x02\0\0\0\0\0\0\0" + b"NA"
    )  # fmt: skip
    assert fingerprint_split(labelled(*ROWS)) == hashlib.sha256(content).hexdigest()


def test_a_split_without_rows_has_the_fingerprint_of_nothing() -> None:
    assert fingerprint_split(labelled()) == hashlib.sha256(b"").hexdigest()


def test_a_data_set_s_fingerprint_is_that_of_its_splits_by_name() -> None:
    train, test = labelled(*ROWS), labelled(("other", 0))
    content = f"test {fingerprint_split(test)}\ntrain {fingerprint_split(train)}\n"
    expected = hashlib.sha256(content.encode()).hexdigest()
    assert fingerprint({"train": train, "test": test}) == expected
    assert fingerprint({"test": test, "train": train}) == expected


OTHERS = {
    "another label": [("A quiet film.", 0), *ROWS[1:]],
    "another order": [*ROWS[1:], ROWS[0]],
    "another letter": [("A quiet film!", 1), *ROWS[1:]],
    "another case": [("a quiet film.", 1), *ROWS[1:]],
    "a space more": [("A quiet film. ", 1), *ROWS[1:]],
    "one row less": ROWS[:-1],
    "one empty row more": [*ROWS, ("", 0)],
    "labels exchanged": [("A quiet film.", 0), ("", 1), *ROWS[2:]],
    "a text split elsewhere": [("A quiet", 1), (" film.", 0), *ROWS[2:]],
    "another spelling of a letter": [*ROWS[:2], ("gro\u0308ßer 🎬", 1), ROWS[3]],
}


@pytest.mark.parametrize("rows", OTHERS.values(), ids=OTHERS)
def test_other_rows_have_another_fingerprint(rows: list[tuple[str, int]]) -> None:
    assert fingerprint_split(labelled(*rows)) != fingerprint_split(labelled(*ROWS))


def test_a_text_split_differently_across_two_rows_has_another_fingerprint() -> None:
    splits = {fingerprint_split(labelled(("good film"[:cut], 1), ("good film"[cut:], 1))) for cut in range(10)}
    assert len(splits) == 10


def test_rows_moved_between_splits_change_the_fingerprint() -> None:
    one, two = labelled(*ROWS[:2]), labelled(*ROWS[2:])
    assert len({fingerprint({"train": one, "test": two}), fingerprint({"train": two, "test": one})}) == 2


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]
)
def test_the_fingerprint_does_not_depend_on_how_arrow_holds_the_texts(kind: pa.DataType) -> None:
    texts = [text for text, _ in ROWS]
    labels = np.array([label for _, label in ROWS], np.int64)
    chunked = pa.chunked_array(
        [pa.array(texts[:1]).cast(kind), pa.array(texts[1:1]).cast(kind), pa.array(texts[1:]).cast(kind)]
    )
    sliced = pa.array(["before", *texts, "after"]).cast(kind).slice(1, len(texts))
    for array in (pa.array(texts).cast(kind), chunked, sliced):
        assert fingerprint_split(LabelledTexts(as_text_array(array), labels)) == fingerprint_split(labelled(*ROWS))


def test_taken_rows_come_in_the_order_that_is_asked_for() -> None:
    taken = labelled(*ROWS).take(np.array([2, 0, 2]))
    assert taken.texts.to_pylist() == ["größer 🎬", "A quiet film.", "größer 🎬"]
    assert taken.labels.tolist() == [1, 1, 1]
    assert len(taken) == 3
    assert len(labelled(*ROWS).take(np.zeros(0, np.int64))) == 0


@pytest.mark.parametrize("fraction", [0.0, 0.1, 1 / 3, 0.5])
@pytest.mark.parametrize(("negatives", "positives"), [(0, 0), (0, 9), (1, 1), (3, 50), (500, 500), (977, 23)])
def test_a_cut_covers_each_row_once_and_keeps_the_shares(negatives: int, positives: int, fraction: float) -> None:
    labels = labels_of(negatives, positives)
    first, second = cut_stratified(labels, fraction, 7)
    assert sorted([*first.tolist(), *second.tolist()]) == list(range(len(labels)))
    assert np.array_equal(first, np.sort(first)) and np.array_equal(second, np.sort(second))
    for label, count in ((0, negatives), (1, positives)):
        assert abs(int((labels[second] == label).sum()) - fraction * count) <= 0.5


def test_a_cut_of_nothing_leaves_every_row_in_the_first_part() -> None:
    first, second = cut_stratified(labels_of(20, 30), 0.0, 1)
    assert first.tolist() == list(range(50)) and second.tolist() == []


def test_the_same_seed_gives_the_same_cut_and_another_one_another() -> None:
    labels = labels_of(200, 200)
    cuts = [tuple(cut_stratified(labels, 0.2, seed)[1].tolist()) for seed in (0, 0, 1, 2**32 - 1)]
    assert cuts[0] == cuts[1] and len(set(cuts)) == 3


def test_a_cut_depends_on_the_labels_alone_and_leaves_them_as_they_are() -> None:
    labels = labels_of(40, 60)
    before = labels.copy()
    cut_stratified(labels, 0.3, 0)
    assert np.array_equal(labels, before)


def test_each_row_is_as_likely_as_any_other_to_be_cut_off() -> None:
    labels = labels_of(20, 20)
    counts = np.zeros(40)
    for seed in range(400):
        counts[cut_stratified(labels, 0.25, seed)[1]] += 1
    assert counts.min() > 60 and counts.max() < 145  # 100 is expected, with a deviation below 9


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 50, 51, 99, 100, 101])
@pytest.mark.parametrize(("negatives", "positives"), [(50, 50), (51, 49), (90, 10), (0, 100)])
def test_as_many_rows_are_drawn_as_are_asked_for(negatives: int, positives: int, count: int) -> None:
    labels = labels_of(negatives, positives)
    rows = draw_rows(labels, count, 3)
    assert len(rows) == min(count, len(labels))
    assert len(set(rows.tolist())) == len(rows)
    assert np.array_equal(rows, np.sort(rows))
    for label, whole in ((0, negatives), (1, positives)):
        assert abs(int((labels[rows] == label).sum()) - whole * min(count, 100) / 100) <= 1


def test_all_rows_are_drawn_in_their_order_when_there_are_no_more() -> None:
    assert draw_rows(labels_of(5, 6), 11, 0).tolist() == list(range(11))
    assert draw_rows(labels_of(5, 6), 1_000, 0).tolist() == list(range(11))
    assert draw_rows(labels_of(0, 0), 8, 0).tolist() == []


def test_the_same_seed_draws_the_same_rows_and_another_one_others() -> None:
    labels = labels_of(100, 100)
    draws = [tuple(draw_rows(labels, 40, seed).tolist()) for seed in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]
