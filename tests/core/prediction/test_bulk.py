"""A table scored from file to file: each row accounted for, each text scored once, in chunks that only rows decide."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.data.tables import Reject, Row
from core.errors import ReviewscopeError, TableError
from core.model_settings import Cutoffs
from core.prediction import bulk
from core.prediction.bulk import Memory, ahead, chunk_rows, predict_table, score_rows, shares_read, text_of
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array
from tests.core.prediction.small_models import train_small


@pytest.fixture(scope="module")
def starter() -> Predictor:
    return Predictor.load("starter")


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_is_accounted_for_and_the_file_s_own_columns_come_back(starter: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text(
        'stars,review,id\n5,"Superb, ""really""\nsuperb!",001\n,NA,2\n1,null,3\n2,,4\n3,dull,5,extra\n4,   ,6\n'
    )
    ledger = predict_table(starter, source, tmp_path / "out.csv", text_columns=["review"])
    assert (ledger.rows, ledger.predicted, ledger.rejected) == (6, 3, 3)
    rows = read_csv(tmp_path / "out.csv")
    assert list(rows[0]) == ["stars", "review", "id", "sentiment", "probability", "confidence"]
    assert [row["review"] for row in rows] == ['Superb, "really"\nsuperb!', "NA", "null", "", "   "]
    assert [row["id"] for row in rows] == ["001", "2", "3", "4", "6"]
    assert rows[0]["sentiment"] == "Positive" and 0.5 < float(rows[0]["probability"]) <= 1
    assert rows[3]["sentiment"] == rows[3]["probability"] == ""
    rejects = read_csv(tmp_path / "out.rejects.csv")
    assert [(row["line"], row["reason"]) for row in rejects] == [
        ("6", "no text"), ("7", "4 fields where the header has 3"), ("8", "no text"),
    ]  # fmt: skip
    assert rejects[1]["content"] == "3,dull,5,extra"


def test_scores_in_the_table_are_those_of_the_texts(starter: Predictor, tmp_path: Path) -> None:
    texts = [f"A {'superb' if row % 2 else 'dull'} film, number {row}" for row in range(4_500)]
    source = tmp_path / "in.csv"
    source.write_text("text\n" + "".join(f'"{text}"\n' for text in texts))
    predict_table(starter, source, tmp_path / "out.csv")
    written = [float(row["probability"]) for row in read_csv(tmp_path / "out.csv")]
    assert written == pytest.approx(starter.predict(texts).probabilities.tolist(), abs=1e-6)


def test_strict_refuses_the_table_at_its_first_bad_row_and_writes_nothing(starter: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,n\ngood,1\nbad\n")
    with pytest.raises(TableError, match="Line 3: 1 field where the header has 2"):
        predict_table(starter, source, tmp_path / "out.csv", strict=True)
    assert [path.name for path in tmp_path.glob("*.csv")] == ["in.csv"]


def test_columns_that_the_file_already_has_are_not_overwritten(starter: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,sentiment\nsuperb,mine\n")
    predict_table(starter, source, tmp_path / "out.csv")
    row = read_csv(tmp_path / "out.csv")[0]
    assert row["sentiment"] == "mine" and row["sentiment_2"] == "Positive"


def test_the_input_is_never_overwritten_by_the_output(starter: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "out.rejects.csv"
    source.write_text("text\nsuperb\n")
    for target in (source, tmp_path / "out.csv"):
        with pytest.raises(TableError, match="would overwrite the input"):
            predict_table(starter, source, target)


def test_a_column_that_is_not_there_is_named_with_those_that_are(starter: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("a,b\n1,2\n")
    with pytest.raises(ReviewscopeError, match=r"no column 'text'.*'a', 'b'"):
        predict_table(starter, source, tmp_path / "out.csv", text_columns=["text"])


def test_a_table_of_a_header_alone_gives_a_table_of_a_header_alone(starter: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text,n\n")
    ledger = predict_table(starter, source, tmp_path / "out.csv")
    assert ledger.rows == 0
    assert (tmp_path / "out.csv").read_text() == "text,n,sentiment,probability,confidence\n"


def test_the_threshold_divides_the_column_sentiment_and_leaves_the_probability(
    starter: Predictor, tmp_path: Path
) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text\nIt was okay and nothing special.\nA superb film.\n")
    predict_table(starter, source, tmp_path / "usual.csv")
    low = Cutoffs(threshold=0.01, unsure_low=0.01, unsure_high=0.02)
    predict_table(starter, source, tmp_path / "low.csv", cutoffs=low)
    usual, moved = read_csv(tmp_path / "usual.csv"), read_csv(tmp_path / "low.csv")
    assert [row["sentiment"] for row in usual] == ["Negative", "Positive"]
    assert [row["sentiment"] for row in moved] == ["Positive", "Positive"]
    assert [row["probability"] for row in usual] == [row["probability"] for row in moved]
    assert moved[0]["confidence"] == moved[0]["probability"]


@pytest.mark.parametrize(
    ("fields", "columns", "text"),
    [
        (("a", "b"), (0,), "a"),
        (("a", "b"), (1, 0), "b\na"),
        (("a", " \t"), (1, 0), "a"),
        ((" a ", ""), (0, 1), " a "),
        (("", "\u3000"), (0, 1), ""),
        ((" ", "b"), (0,), ""),
    ],
)
def test_a_row_s_text_is_what_stands_in_its_text_columns(
    fields: tuple[str, ...], columns: tuple[int, ...], text: str
) -> None:
    assert text_of(Row(2, fields), columns) == text


def test_chunks_end_where_rows_or_characters_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK_CHARACTERS", 10)
    monkeypatch.setattr(bulk, "CELL_CHARACTERS", 0)
    rows = [Row(line, ("x" * line, "")) for line in range(1, 9)] + [Reject(9, "why", "y" * 30), Row(10, ("z", ""))]
    chunks = list(chunk_rows(rows, 3))
    assert [[row.line for row in chunk] for chunk in chunks] == [[1, 2, 3], [4, 5, 6], [7, 8], [9], [10]]
    for number in range(len(chunks)):
        assert list(chunk_rows([row for chunk in chunks[number:] for row in chunk], 3)) == chunks[number:]


def test_a_chunk_of_many_columns_has_fewer_rows_though_its_cells_are_empty() -> None:
    rows = [Row(line, ("",) * 500) for line in range(6_000)]
    assert [len(chunk) for chunk in chunk_rows(rows, 20_000)] == [2_098, 2_098, 1_804]


def test_the_next_item_is_made_while_one_is_used_and_no_more() -> None:
    made: list[int] = []

    def make() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number
        raise TableError("the end is damaged")

    given = ahead(make())
    assert next(given) == 0
    until = time.monotonic() + 5
    while made != [0, 1] and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1]
    assert [next(given) for _ in range(4)] == [1, 2, 3, 4]
    with pytest.raises(TableError, match="the end is damaged"):
        next(given)


@pytest.mark.parametrize("kind", ["ngram", "bilstm"])
def test_going_on_from_the_end_of_a_chunk_gives_the_scores_that_not_stopping_gives(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 16)
    monkeypatch.setattr(bulk, "CHUNK_ROWS_OF_OTHERS", 16)
    predictor = train_small(kind)
    rows = [Row(line, (f"{'superb ' * (line % 7)}plot {line % 30}",)) for line in range(100)]
    whole = list(score_rows(predictor, rows, (0,)))
    memory = Memory()
    for number, chunk in zip(range(3), score_rows(predictor, iter(rows), (0,), memory), strict=False):
        assert np.array_equal(chunk.logits, whole[number].logits)
    learnt = Memory()
    for chunk in whole[:3]:
        for row, logit, share in zip(chunk.rows, chunk.logits, chunk.shares_read, strict=True):
            assert isinstance(row, Row)
            learnt.learn(bulk.digest_of(row.fields[0]), float(logit), float(share))
    rest = list(score_rows(predictor, rows[48:], (0,), learnt))
    assert [chunk.repeated for chunk in rest] == [chunk.repeated for chunk in whole[3:]]
    assert all(np.array_equal(one.logits, other.logits) for one, other in zip(rest, whole[3:], strict=True))


def test_what_there_is_no_room_to_remember_is_scored_again(starter: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 3)
    monkeypatch.setattr(bulk, "MOST_REMEMBERED", 1)
    rows = [Row(line, (text,)) for line, text in enumerate(["a superb film", "a dull film", "an odd film"] * 2)]
    first, second = score_rows(starter, rows, (0,))
    assert (first.repeated, second.repeated) == (0, 1)
    assert second.logits.tolist() == pytest.approx(first.logits.tolist(), abs=1e-6)


def test_the_share_that_a_model_reads_is_of_its_words() -> None:
    texts = as_text_array(["word " * 512, "word " * 100, "", "word " * 256])
    assert shares_read(train_small("bilstm"), texts).tolist() == [0.5, 1.0, 1.0, 1.0]
    assert shares_read(train_small("ngram"), texts).tolist() == [1.0, 1.0, 1.0, 1.0]


def test_where_pieces_are_counted_the_share_is_of_them() -> None:
    model = train_small("bilstm_pieces")
    text = "a tenderish plot " * 100
    whole = int(model.encoder.full_lengths(as_text_array([text]))[0])
    assert whole > 300
    assert shares_read(model, as_text_array([text, ""])).tolist() == pytest.approx([256 / whole, 1.0])


def test_a_text_that_stands_again_is_counted_and_gets_the_same_score(starter: Predictor, tmp_path: Path) -> None:
    source = tmp_path / "in.csv"
    source.write_text("text\n" + "a superb film\n" * 3 + "a dull film\n")
    ledger = predict_table(starter, source, tmp_path / "out.csv")
    assert (ledger.predicted, ledger.repeated) == (4, 2)
    assert len({row["probability"] for row in read_csv(tmp_path / "out.csv")}) == 2
