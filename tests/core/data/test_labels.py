from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import Meaning
from core.data.labels import (
    LABEL_SPELLINGS,
    MEANINGS,
    count_labels,
    is_plain,
    map_stars,
    normalise_label,
    parse_label_map,
    propose_label_map,
    write_label_map,
)
from core.errors import ConfigError, DataError

N, P, OUT = MEANINGS
FIVE = {"1": N, "2": N, "3": OUT, "4": P, "5": P}
TEN = {**dict.fromkeys("1234", N), "5": OUT, "6": OUT, **dict.fromkeys(("7", "8", "9", "10"), P)}


def write_table(path: Path, labels: list[str], column: str = "label") -> Path:
    path.write_text(f"text;{column}\n" + "".join(f"x;{label}\n" for label in labels))
    return path


def test_values_are_counted_trimmed_and_folded_numbers_first(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", ["pos", " POS ", "10", "2", "neg", "Pos", "10", ""])
    assert list(count_labels(path).items()) == [("2", 1), ("10", 2), ("pos", 3), ("", 1), ("neg", 1)]


def test_rows_that_cannot_be_read_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\na,1\nb\nc,0\n")
    assert count_labels(path) == {"0": 1, "1": 1}


def test_the_column_of_labels_is_guessed_or_named(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.csv", ["1"], " Sentiment")
    assert count_labels(path) == count_labels(path, " Sentiment") == {"1": 1}
    with pytest.raises(DataError, match="--label-column"):
        count_labels(write_table(tmp_path / "u.csv", ["1"], "stars"))


def test_a_column_of_more_than_fifty_values_is_no_column_of_labels(tmp_path: Path) -> None:
    few, many = (write_table(tmp_path / f"{n}.csv", [str(row) for row in range(n)]) for n in (50, 51))
    assert len(count_labels(few)) == 50
    with pytest.raises(DataError, match="line 52: 'label' holds more than 50 different values.*another column"):
        count_labels(many)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0", "1"], {"0": N, "1": P}),
        (["neg", "positive"], {"neg": N, "positive": P}),
        (["-1", "1"], {"-1": N, "1": P}),
        (["-1", "0", "1"], {"-1": N, "0": OUT, "1": P}),
        (["1", "2", "3", "4", "5"], FIVE),
        (["1", "5"], {"1": N, "5": P}),
        (["1.0", "3.0", "5.0"], {"1.0": N, "3.0": OUT, "5.0": P}),
        ([str(stars) for stars in range(1, 11)], TEN),
        (["1", "2", "6", "7"], {"1": N, "2": N, "6": OUT, "7": P}),
        (["1 star", "3 stars", "5-stars"], {"1 star": N, "3 stars": OUT, "5-stars": P}),
        (["2/5", "4/5"], {"2/5": N, "4/5": P}),
        (["4 out of 10", "5 out of 10", "7/10"], {"4 out of 10": N, "5 out of 10": OUT, "7/10": P}),
        (["★", "★★★", "★★★★☆", "⭐⭐⭐⭐⭐"], {"★": N, "★★★": OUT, "★★★★☆": P, "⭐⭐⭐⭐⭐": P}),
        (["neg", "pos", "neutral"], {"neg": N, "pos": P}),
        (["0", "1", "maybe"], {"0": N, "1": P}),
        (["neg", "pos", ""], {"neg": N, "pos": P}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_likely_reading_is_proposed(values: list[str], expected: dict[str, Meaning]) -> None:
    assert propose_label_map(values) == expected


@pytest.mark.parametrize(
    "values",
    [["1", "2"], ["0", "1", "2"], ["4", "5"], ["1", "4.5", "5"], ["1", "11"], ["1/5", "9"], ["3/5", "3/10"], []],
    ids=" ".join,
)
def test_numbers_that_could_mean_anything_are_left_open(values: list[str]) -> None:
    assert propose_label_map(values) == {}


def test_plain_spellings_need_no_map_unless_a_zero_may_be_neutral() -> None:
    assert is_plain(["0", "1"]) and is_plain(["neg", "pos", "positive"]) and is_plain(["-1", "1"])
    assert not is_plain(["-1", "0", "1"]) and not is_plain(["1", "2"]) and not is_plain(["neg", "x"])


@given(st.sets(st.sampled_from([*LABEL_SPELLINGS, "2", "3", "7", "x", "", "★★"])))
def test_a_proposal_speaks_of_the_values_alone(values: set[str]) -> None:
    assert set(propose_label_map(values)) <= values


@given(st.dictionaries(st.text(max_size=12).map(normalise_label), st.sampled_from(MEANINGS), min_size=1))
def test_a_written_label_map_is_read_as_the_same(label_map: dict[str, Meaning]) -> None:
    assert parse_label_map(write_label_map(label_map), Path("unused")) == label_map


def test_a_label_map_for_people_is_short() -> None:
    assert write_label_map(FIVE) == "1=negative,2=negative,3=left out,4=positive,5=positive"
    assert parse_label_map("A=B=Negative, So So =left out,pos=POSITIVE", Path("unused")) == {
        "a=b": N, "so so": OUT, "pos": P,
    }  # fmt: skip


def test_stars_are_read_from_the_table_itself(tmp_path: Path) -> None:
    assert parse_label_map("Stars", write_table(tmp_path / "t.csv", list("5131"))) == {"1": N, "3": OUT, "5": P}
    with pytest.raises(DataError, match="expects 1 to 5 or 1 to 10 whole stars; found '0', '1'"):
        parse_label_map("stars", write_table(tmp_path / "u.csv", ["0", "1"]))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("1", "expected value=meaning, found '1'"),
        ("", "expected value=meaning, found ''"),
        ("1=bad", "'1' is read as 'bad'; expected one of negative, positive, left out"),
        ("1=negative, 1 =positive", "gives ' 1 ' two meanings"),
        ("{1: negative}", "no JSON object"),
        ('{"1": null}', "'1' is read as 'None'"),
    ],
)
def test_a_mistake_in_a_label_map_says_what_was_expected(written: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_label_map(written, Path("unused"))


def test_one_star_alone_is_still_a_rating_when_somebody_says_so() -> None:
    assert map_stars(["1", "2"]) == {"1": N, "2": N}
    assert map_stars([]) is None
