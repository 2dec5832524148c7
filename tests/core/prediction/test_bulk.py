import csv
from pathlib import Path

import pytest

from core.errors import ReviewscopeError, TableError
from core.model_settings import Cutoffs
from core.prediction.bulk import predict_table
from core.prediction.predictor import Predictor


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
