"""What columns can be filtered and compared by, read part by part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import JobError
from core.prediction.facets import (
    FACETS_NAME,
    MOST_DISTINCT,
    ROWS_IN_GROUP,
    ColumnFacts,
    Facets,
    Part,
    default_column,
    find_date_format,
    find_star_scale,
    parse_days,
    read_facet,
    star_of,
    stars_of,
    write_facets,
)
from core.prediction.summary import NO_DAY


def parts_of(
    columns: Sequence[Sequence[str | None]],
    logits: Sequence[float | None],
    size: int,
    reasons: Sequence[str | None] = (),
) -> tuple[list[Part], list[Sequence[str]]]:
    """Return parts of ``size`` rows, and a list that notes which columns are read of each."""
    table = pa.table(
        {f"c{place}": pa.array(values, pa.large_string()) for place, values in enumerate(columns)}
        | {"logit": pa.array(logits, pa.float32())}
        | {"reason": pa.array(reasons or [None] * len(logits), pa.large_string())}
    )
    noted: list[Sequence[str]] = []

    def reader(start: int) -> Part:
        def read(names: Sequence[str]) -> pa.Table:
            noted.append(names)
            return table.slice(start, size).select(names)

        return read

    return [reader(start) for start in range(0, len(table), size)], noted


def facets_of(folder: Path, *columns: Sequence[str | None], size: int = 7, **options: object) -> Facets:
    logits = options.get("logits") or [1.0] * len(columns[0])
    parts, _ = parts_of(columns, logits, size, options.get("reasons") or ())  # type: ignore[arg-type]
    return write_facets(folder / FACETS_NAME, parts, [f"column {place}" for place in range(len(columns))])


def test_codes_stand_for_values_without_the_blanks_around_them(tmp_path: Path) -> None:
    values = ["b", " a", "a ", "", None, "b"] * 3
    facets = facets_of(tmp_path, values)
    assert facets.values == (("", "a", "b"),)
    codes = read_facet(tmp_path / FACETS_NAME, "f0")
    assert codes.dtype == np.int16 and codes.tolist() == [2, 1, 1, 0, 0, 2] * 3
    assert facets.facts[0] == ColumnFacts(distinct=3, groups=0, date_format=None, largest=6)


def test_a_row_without_a_score_has_no_code_no_day_and_makes_no_value(tmp_path: Path) -> None:
    logits = [1.0, None, -1.0] * 5
    facets = facets_of(tmp_path, ["x", "only rejected", "y"] * 5, ["2024-05-01"] * 15, logits=logits)
    assert facets.values[0] == ("x", "y")
    assert read_facet(tmp_path / FACETS_NAME, "f0").tolist() == [0, -1, 1] * 5
    assert read_facet(tmp_path / FACETS_NAME, "d1").tolist() == [19844, NO_DAY, 19844] * 5
    read = read_facet(tmp_path / FACETS_NAME, "logit")
    assert read.dtype == np.float32 and np.array_equal(read, np.array(logits, np.float32), equal_nan=True)


@pytest.mark.parametrize("size", [1, 10, 1_000])
def test_the_size_of_the_parts_changes_nothing(tmp_path: Path, size: int) -> None:
    draw = np.random.default_rng(1)
    columns = (
        [f"v{number}" for number in draw.integers(0, 9, 1_000)],
        [f"{day:%d/%m/%Y}" for day in pd.date_range("2024-01-01", periods=1_000)],
        [str(number) for number in range(1_000)],
    )
    found = facets_of(tmp_path, *columns, size=size)
    assert found.facts[0].distinct == 9 and found.facts[1].date_format == "%d/%m/%Y"
    assert found.facts[2] == ColumnFacts(MOST_DISTINCT + 1, 0, None, 0)
    assert found == facets_of(tmp_path / "whole", *columns, size=1_000)
    assert pq.read_table(tmp_path / FACETS_NAME) == pq.read_table(tmp_path / "whole" / FACETS_NAME)


def test_a_column_of_texts_is_read_of_the_first_part_alone(tmp_path: Path) -> None:
    texts = [
        "a text that is far too long to be the name of any group, for it goes on and on and on and on and on and on"
    ]
    parts, noted = parts_of([texts * 4_000, ["a", "b"] * 2_000], [1.0] * 4_000, 1_000)
    write_facets(tmp_path / FACETS_NAME, parts, ["text", "kind"])
    assert [("c0" in names) for names in noted] == [True] + [False] * 7
    assert all("c1" in names for names in noted)


def test_a_column_of_too_many_values_has_no_codes(tmp_path: Path) -> None:
    many = [str(number % (MOST_DISTINCT + 1)) for number in range(1_000)]
    most = [str(number % MOST_DISTINCT) for number in range(1_000)]
    facets = facets_of(tmp_path, many, most, size=300)
    assert [facts.is_choosable for facts in facets.facts] == [False, True]
    assert pq.read_schema(tmp_path / FACETS_NAME).names == ["logit", "f1"]


def test_values_that_all_differ_name_rows_and_one_value_alone_compares_nothing(tmp_path: Path) -> None:
    facets = facets_of(tmp_path, [f"R{number}" for number in range(50)], ["same"] * 50, ["a", "b"] * 25)
    assert [facts.is_choosable for facts in facets.facts] == [False, False, True]
    assert facets.choosable == [2] and facets.values[1] == ("same",)


def test_many_rows_are_kept_in_groups_of_their_own(tmp_path: Path) -> None:
    rows = 2 * ROWS_IN_GROUP + 100
    codes = np.arange(rows) % 7
    facets_of(tmp_path, [str(code) for code in codes], size=20_000)
    assert read_facet(tmp_path / FACETS_NAME, "f0").tolist() == codes.tolist()
    assert pq.ParquetFile(tmp_path / FACETS_NAME).num_row_groups > 1
    with pytest.raises(KeyError):
        read_facet(tmp_path / FACETS_NAME, "f1")


def test_no_row_has_facets_too(tmp_path: Path) -> None:
    facets = facets_of(tmp_path, [], [])
    assert [facts.is_choosable for facts in facets.facts] == [False, False] and not facets.dated
    assert len(read_facet(tmp_path / FACETS_NAME, "logit")) == 0


def test_reasons_are_counted_wherever_they_are_met(tmp_path: Path) -> None:
    reasons = ["no text", "3 fields where the header has 2", "3 fields where the header has 2 (lines 4 to 9)", None]
    facets = facets_of(tmp_path, ["", None, None, "a"], logits=[None, None, None, 1.0], reasons=reasons)
    assert facets.reasons == (("3 fields where the header has 2", 2), ("no text", 1))


def test_only_the_most_frequent_reasons_have_a_name(tmp_path: Path) -> None:
    reasons = [f"reason {number}" for number in range(30)] + ["reason 0"]
    facets = facets_of(tmp_path, [None] * 31, logits=[None] * 31, reasons=reasons)
    assert len(facets.reasons) == 21 and facets.reasons[0] == ("reason 0", 2)
    assert facets.reasons[-1] == ("other reasons", 10)


def test_facets_survive_being_written_as_json(tmp_path: Path) -> None:
    facets = facets_of(tmp_path, ["1", "2", "3"] * 5, ["2024-05-01"] * 15, [None] * 15)
    assert Facets.model_validate_json(facets.model_dump_json()) == facets


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (["2024-05-01", "2024-06-30", ""], "ISO8601"),
        (["2024-05-01T10:00:00Z", "2024-06-30T23:59:59+02:00"], "ISO8601"),
        (["2024-05-01 10:00", "2024-06-30 23:59"], "ISO8601"),
        (["31.12.2024", "01.02.2024"], "%d.%m.%Y"),
        (["31.12.2024 18:05", "01.02.2024 7:30"], "%d.%m.%Y"),
        (["12/31/2024", "01/02/2024"], "%m/%d/%Y"),
        (["12/31/2024, 9:05 PM", "01/02/2024, 11:00 AM"], "%m/%d/%Y"),
        (["01/02/2024", "03/04/2024"], "%d/%m/%Y"),
        (["May 1, 2024", "Jun 3, 2024"], "%b %d, %Y"),
        (["1", "5", "3"], None),
        (["2019", "2020"], None),
        (["20240501", "20240502"], None),
        (["4.5", "3.0"], None),
        (["", ""], None),
        ([], None),
        (["2024-05-01"] * 9 + ["soon"], None),
        (["2024-05-01"] * 19 + ["soon"], "ISO8601"),
        (["a film of 2024-05-01, and a good one at that it was too"] * 3, None),
        (["01/02/2024"] * 2_000 + ["25/02/2024"] * 400, "%d/%m/%Y"),
        (["01/02/2024"] * 2_000 + ["02/25/2024"] * 400, "%m/%d/%Y"),
    ],
)
def test_a_column_is_dates_only_when_nearly_all_of_it_is(texts: list[str], found: str | None) -> None:
    assert find_date_format(texts) == found


def test_days_are_counted_from_1970_and_a_zone_is_turned_into_utc() -> None:
    days = parse_days(["1970-01-02", "2024-01-01T00:30:00+02:00", "never", "", " 1969-12-31 "], "ISO8601")
    assert days.dtype == np.int32 and days.tolist() == [1, 19722, NO_DAY, NO_DAY, -1]
    assert parse_days(["02.01.1970 23:59", "31.02.1970"], "%d.%m.%Y").tolist() == [1, NO_DAY]


@pytest.mark.parametrize(
    ("text", "stars"),
    [
        ("4", 4), (" 4 ", 4), ("4.0", 4), ("4,0", 4), ("10", 10), ("4 stars", 4), ("1 Star", 1), ("4/5", 4),
        ("8 / 10", 8), ("4 out of 5 stars", 4), ("★★★★", 4), ("★★★☆☆", 3), ("*****", 5), ("5★", 5),
        ("0", None), ("11", None), ("4.5", None), ("", None), ("four", None), ("4 days", None), ("-3", None),
    ],
)  # fmt: skip
def test_stars_are_read_in_many_spellings(text: str, stars: int | None) -> None:
    assert star_of(text) == stars


@pytest.mark.parametrize(
    ("counts", "scale"),
    [
        ({"1": 5, "3": 9, "5": 20}, 5),
        ({"1 star": 5, "2 stars": 9, "5 stars": 20, "": 100}, 5),
        ({str(number): 3 for number in range(1, 11)}, 10),
        ({"2/10": 3, "3/10": 3, "4/10": 3}, 10),
        ({"0": 50, "1": 50}, None),
        ({"1": 50, "2": 50}, None),
        ({"1": 5, "3": 9, "5": 20, "none": 1}, 5),
        ({"1": 5, "3": 9, "5": 20, "none": 10}, None),
        ({"negative": 5, "positive": 5}, None),
        ({}, None),
    ],
)
def test_a_column_is_stars_only_when_nearly_all_of_it_is(counts: dict[str, int], scale: int | None) -> None:
    assert find_star_scale(counts) == scale


def test_rows_have_the_stars_that_their_codes_stand_for() -> None:
    assert stars_of(("", "2 stars", "5"), np.array([2, 1, 0, -1, 2], np.int16)).tolist() == [5, 2, 0, 0, 5]


def test_the_column_of_stars_is_the_one_whose_name_says_so(tmp_path: Path) -> None:
    parts, _ = parts_of([["1", "2", "3"] * 9] * 2, [1.0] * 27, 10)
    assert write_facets(tmp_path / FACETS_NAME, parts, ["floor", "Rating"]).starred == [1, 0]


def test_the_first_column_shown_has_the_most_groups_and_is_neither_date_nor_stars() -> None:
    columns = [
        ColumnFacts(201, 0, None), ColumnFacts(30, 12, "ISO8601"), ColumnFacts(5, 5, None, star_scale=5),
        ColumnFacts(5, 2, None), ColumnFacts(12, 9, None),
    ]  # fmt: skip
    assert default_column(columns) == 4
    assert default_column(columns[:3]) == 2
    assert default_column(columns[:2]) == 1
    assert default_column(columns[:1]) is None and default_column([]) is None


def test_a_year_that_nobody_can_mean_is_no_date() -> None:
    assert parse_days(["1899-12-31", "1900-01-01", "2100-12-31", "2101-01-01"], "ISO8601").tolist() == [
        NO_DAY, -25_567, 47_846, NO_DAY,
    ]  # fmt: skip
    assert find_date_format(["0202-05-01"] * 2 + ["2024-05-01"] * 98) == "ISO8601"


def test_damaged_facets_are_told_of_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "facets.parquet"
    for content in (b"", b"PAR1", b"no such thing" * 9):
        path.write_bytes(content)
        with pytest.raises(JobError, match=r"facets\.parquet is gone or damaged"):
            read_facet(path, "logit")
    with pytest.raises(JobError, match="is gone"):
        read_facet(tmp_path / "none.parquet", "logit")
