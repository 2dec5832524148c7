"""A converted copy is whole or absent, and whatever a file does, it does to the child alone."""

import io
import json
import os
import subprocess
import sys
import time
import tracemalloc
import zipfile
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data import conversion
from core.data.conversion import (
    REFUSED,
    convert_table,
    converted_format,
    list_sheets,
    needs_conversion,
    write_copy,
)
from core.data.tables import Reject, Row, TableFormat, TableOptions, detect_kind, read_rows
from core.data.workbook import Workbook
from core.errors import TableError
from tests.core.data.awkward_kinds import (
    HEADER,
    MAIN,
    json_lines,
    number_cell,
    sheet_row,
    text_cell,
    workbook,
    zip_bomb,
)

ROOT = Path(__file__).resolve().parents[3]
AS_FOUND = TableOptions()
STYLES_WARNED_OF = f'<styleSheet xmlns="{MAIN}"/>'
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
in_a_shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "table"
    path.write_bytes(data)
    return path


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def children_with(word: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text()
        except OSError:
            continue
        if word in command:
            found.append(command)
    return found


@pytest.mark.parametrize("rows", [0, 1, 5_000])
def test_a_copy_is_written_whole_with_its_format_beside_it_and_the_rows_are_told(tmp_path: Path, rows: int) -> None:
    source = saved(tmp_path, json_lines({"a": "x"}, *[{"a": number} for number in range(rows)]))
    target = tmp_path / "rows-1" / "rows.csv"
    told: list[int] = []

    table_format = convert_table(source, target, "jsonl", AS_FOUND, told.append)

    assert table_format == converted_format(target) == TableFormat("utf-8", ",", ("a",), 0, "jsonl")
    assert list(read_rows(target, table_format)) == [
        Row(1, ("x",)),
        *[Row(number + 2, (str(number),)) for number in range(rows)],
    ]
    assert sum(told) == rows + 1
    assert sorted(path.name for path in target.parent.iterdir()) == ["rows.csv", "rows.json"]


def test_a_copy_is_replaced_by_one_that_is_read_in_another_way(tmp_path: Path) -> None:
    source, target = (
        saved(tmp_path, workbook(HEADER + sheet_row(2, number_cell("1"), text_cell("a")))),
        tmp_path / "r.csv",
    )
    convert_table(source, target, "xlsx", AS_FOUND)

    table_format = convert_table(source, target, "xlsx", TableOptions(has_header=False))

    assert table_format.columns == ("column 1", "column 2")
    assert list(read_rows(target, table_format)) == [Row(1, ("id", "text")), Row(2, ("1", "a"))]


def test_a_refusal_in_the_child_is_its_sentence_and_nothing_is_left(tmp_path: Path) -> None:
    source, target = saved(tmp_path, zip_bomb(10 * 2**30, 10 * 2**30)), tmp_path / "rows" / "rows.csv"
    before = resident_mb()

    with pytest.raises(TableError, match=r"^'table': the part 'xl/worksheets/sheet1\.xml' .* unpacks to 10\.7 GB"):
        convert_table(source, target, "xlsx", AS_FOUND)

    assert resident_mb() < before + 20
    assert list(target.parent.iterdir()) == []
    with pytest.raises(TableError, match=r"'rows\.csv' is not there or is damaged\. Open the table again\."):
        converted_format(target)


def test_a_value_that_a_parquet_file_holds_once_and_repeats_costs_only_the_child(tmp_path: Path) -> None:
    """A kilobyte on the disk, five terabytes in memory."""
    value = pa.DictionaryArray.from_arrays(pa.array([0] * 100_000, pa.int32()), pa.array(["x" * 50_000_000]))
    pq.write_table(pa.table({"a": value}), tmp_path / "table", compression="zstd")
    assert (tmp_path / "table").stat().st_size < 100_000
    before = resident_mb()

    with pytest.raises(TableError, match=r"'table' needs more than 2 GB of memory|'table' ended the process"):
        convert_table(tmp_path / "table", tmp_path / "rows.csv", "parquet", AS_FOUND)

    assert resident_mb() < before + 20


def test_a_copy_that_would_grow_without_end_is_refused_at_its_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversion, "LARGEST_COPY", 10**6)
    shared = f"<si><t>{'x' * 30_000}</t></si>"
    cells = "".join(f'<row r="{number}"><c r="A{number}" t="s"><v>0</v></c></row>' for number in range(1, 1_000))
    source = saved(tmp_path, workbook(cells, shared=shared))

    with pytest.raises(TableError, match=r"'table', row 34: up to here it unpacks to 0\.0 GB of text; at most 0\.0 GB"):
        write_copy(source, tmp_path / "rows.csv", "xlsx", TableOptions(has_header=False))

    assert not (tmp_path / "rows.csv").exists()


def test_what_the_listener_raises_ends_the_child_and_leaves_nothing(tmp_path: Path) -> None:
    source, target = saved(tmp_path, json_lines({"a": 1}) * 300_000), tmp_path / "rows" / "rows.csv"

    def stop(_: int) -> None:
        assert children_with(str(target.parent))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_table(source, target, "jsonl", AS_FOUND, stop)

    assert children_with(str(target.parent)) == []
    assert list(target.parent.iterdir()) == []


def test_a_child_that_is_silent_for_too_long_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "SILENT_SECONDS", 0.1)
    monkeypatch.setattr(conversion, "HEARTBEAT_SECONDS", 0.02)
    source = saved(tmp_path, zip_bomb(3 * 2**30, 3 * 2**30, b" "))

    with pytest.raises(TableError, match=r"'table' kept its reader busy for over 0\.1 s without a row"):
        convert_table(source, tmp_path / "rows.csv", "xlsx", AS_FOUND)

    assert children_with(str(tmp_path)) == []


def test_a_child_that_dies_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dying = tmp_path / "dying"
    dying.write_text("#!/bin/sh\nkill -9 $$\n")
    dying.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(dying))

    with pytest.raises(TableError, match=r"^'table' ended the process that read it: it is damaged, or needs more"):
        list_sheets(saved(tmp_path, b""))


@pytest.mark.parametrize(
    ("kind", "data", "sentence"),
    [
        ("jsonl", b"[1]\n", "'table': no line is a JSON object with a key. "),
        ("xlsx", None, "'table' could not be read or copied: No such file or directory. "),
        ("xlsx", workbook("", parts={"xl/styles.xml": STYLES_WARNED_OF}), "'table', sheet 'Sheet1': it is empty. "),
    ],
)
def test_the_module_ends_with_its_code_and_one_sentence(
    tmp_path: Path, kind: str, data: bytes | None, sentence: str
) -> None:
    source, target = tmp_path / "table", tmp_path / "not there" / "rows.csv"
    if data is not None:
        source.write_bytes(data)
    command = [sys.executable, "-m", "core.data.conversion", "convert", str(source), str(target), kind, "{}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == REFUSED
    assert ended.stderr.startswith(sentence)
    assert "\n" not in ended.stderr


def test_the_sheets_are_listed_in_their_order(tmp_path: Path) -> None:
    data = workbook("", "", "", names=("b", "a &amp; ü", "c"), states=("visible", "hidden", "veryHidden"))
    assert list_sheets(saved(tmp_path, data)) == ["b", "a & ü", "c"]
    with pytest.raises(TableError, match="'table': the workbook is damaged"):
        list_sheets(saved(tmp_path, data[:200]))


def test_only_a_csv_file_is_read_where_it_lies(tmp_path: Path) -> None:
    assert [needs_conversion(kind) for kind in ("csv", "xlsx", "jsonl", "parquet")] == [False, True, True, True]
    with pytest.raises(ValueError, match="read where it lies"):
        convert_table(tmp_path / "a", tmp_path / "b", "csv", AS_FOUND)


@pytest.mark.parametrize("line", [b"1,,a,b\n", b"x,,a\n", b'1,,"a\n', b"1,,\xff\n", b"\n"])
def test_a_damaged_copy_is_told_and_not_read_on(tmp_path: Path, line: bytes) -> None:
    path = saved(tmp_path, b"line,reason,a\n1,,x\n" + line)
    with pytest.raises(TableError, match="the converted copy is damaged"):
        list(read_rows(path, TableFormat("utf-8", ",", ("a",), 0, "jsonl")))


def test_a_copy_of_another_table_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path, b"line,reason,b\n1,,x\n")
    with pytest.raises(TableError, match="the converted copy is damaged"):
        list(read_rows(path, TableFormat("utf-8", ",", ("a",), 0, "jsonl")))


@given(st.lists(st.dictionaries(TEXT, TEXT | st.integers() | st.booleans() | st.none(), max_size=4), max_size=6))
@in_a_shared_folder
def test_any_json_comes_out_as_it_went_in(tmp_path: Path, objects: list[dict[str, str | int | bool | None]]) -> None:
    keys = list(dict.fromkeys(key for value in objects for key in value))
    source, target = saved(tmp_path, json_lines({"first": ""}, *objects)), tmp_path / "rows.csv"

    write_copy(source, target, "jsonl", AS_FOUND)

    table_format = converted_format(target)
    assert table_format.columns == tuple(dict.fromkeys(["first", *keys]))
    for number, (record, value) in enumerate(zip(read_rows(target, table_format), [{}, *objects], strict=True), 1):
        texts = {
            key: "" if cell is None else cell if isinstance(cell, str) else json.dumps(cell)
            for key, cell in value.items()
        }
        assert record == Row(number, tuple(texts.get(column, "") for column in table_format.columns))


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=6))
@in_a_shared_folder
def test_any_text_comes_out_of_parquet_as_it_went_in(tmp_path: Path, rows: list[list[str]]) -> None:
    columns = [[row[place] for row in rows] for place in (0, 1)]
    pq.write_table(pa.table([pa.array(column, pa.string()) for column in columns], ["a", "b"]), tmp_path / "table")

    write_copy(tmp_path / "table", tmp_path / "rows.csv", "parquet", AS_FOUND)

    read = list(read_rows(tmp_path / "rows.csv", converted_format(tmp_path / "rows.csv")))
    assert read == [Row(number, tuple(row)) for number, row in enumerate(rows, 1)]


@given(st.lists(st.lists(TEXT, min_size=2, max_size=2), max_size=6), st.booleans())
@in_a_shared_folder
def test_any_text_comes_out_of_a_workbook_as_it_went_in(tmp_path: Path, rows: list[list[str]], is_inline: bool) -> None:
    with xlsxwriter.Workbook(tmp_path / "table", {"constant_memory": is_inline}) as book:
        sheet = book.add_worksheet()
        for number, row in enumerate([["a", "b"], *rows]):
            for column, text in enumerate(row):
                sheet.write_string(number, column, text)

    write_copy(tmp_path / "table", tmp_path / "rows.csv", "xlsx", TableOptions(has_header=True))

    read = list(read_rows(tmp_path / "rows.csv", converted_format(tmp_path / "rows.csv")))
    filled = [any(row) for row in rows]
    kept = rows[: len(rows) - filled[::-1].index(True)] if any(filled) else []
    assert read == [
        Row(number, tuple(row)) if any(row) else Reject(number, "blank row", "") for number, row in enumerate(kept, 2)
    ]


def test_every_kind_of_value_comes_out_of_a_workbook_of_another_writer(tmp_path: Path) -> None:
    values = [5, 0.1, 2.0, 1e17, True, "NA", "#N/A", "007", date(2024, 2, 29), datetime(2024, 1, 2, 3, 4, 5), ""]
    book = openpyxl.Workbook()
    book.active.append([f"column{place}" for place, _ in enumerate(values)])
    book.active.append(values)
    book.save(tmp_path / "table")

    write_copy(tmp_path / "table", tmp_path / "rows.csv", "xlsx", AS_FOUND)

    read = list(read_rows(tmp_path / "rows.csv", converted_format(tmp_path / "rows.csv")))
    texts = (
        "5",
        "0.1",
        "2",
        "100000000000000000",
        "true",
        "NA",
        "#N/A",
        "007",
        "2024-02-29",
        "2024-01-02T03:04:05",
        "",
    )
    assert read == [Row(2, texts)]


@given(st.integers(0, 2_000), st.binary(min_size=1, max_size=30), st.sampled_from(["xlsx", "sheet", "jsonl"]))
@in_a_shared_folder
def test_a_file_damaged_anywhere_gives_records_or_one_clear_error(
    tmp_path: Path, place: int, noise: bytes, where: str
) -> None:
    sheet = HEADER + "".join(sheet_row(number, number_cell("45000", 1), text_cell("a")) for number in range(2, 9))
    data = json_lines({"id": 1, "text": "a"}) * 9 if where == "jsonl" else workbook(sheet)
    if where == "sheet":  # damage under the compression
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(buffer, "w") as after:
            for name in before.namelist():
                part = before.read(name)
                at = place % len(part) if name.endswith(("sheet1.xml", "styles.xml")) else len(part)
                after.writestr(name, part[:at] + noise + part[at + len(noise) :] if at < len(part) else part)
        data = buffer.getvalue()
    else:
        data = data[: place % len(data)] + noise + data[place % len(data) + len(noise) :]
    source, target = saved(tmp_path, data), tmp_path / "rows.csv"
    try:
        kind = detect_kind(source)
        if kind != "csv":
            write_copy(source, target, kind, AS_FOUND)
            assert all(isinstance(record, Row | Reject) for record in read_rows(target, converted_format(target)))
    except TableError as error:
        assert "\n" not in str(error)


def test_a_long_sheet_is_read_row_by_row_in_little_memory(tmp_path: Path) -> None:
    cells = "".join(
        f'<row r="{number}" ht="15"><c r="A{number}" t="str"><v>{number} {"x" * 2_000}</v></c></row>'
        for number in range(1, 20_001)
    )
    source = saved(tmp_path, workbook(cells))
    tracemalloc.start()
    try:
        with source.open("rb") as file:
            assert sum(1 for _ in Workbook(file, "table", lambda _: None).rows("Sheet1")) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_shared_texts_are_told_as_progress(tmp_path: Path) -> None:
    source = saved(tmp_path, workbook(HEADER, shared="<si><t>x</t></si>" * 2_500))
    told: list[int] = []
    with source.open("rb") as file:
        assert len(list(Workbook(file, "table", told.append).rows("Sheet1"))) == 1
    assert told == [0, 0]


def test_a_long_silence_is_told_as_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversion, "HEARTBEAT_SECONDS", 0.05)
    told: list[tuple[float, int]] = []
    source = saved(tmp_path, zip_bomb(2**28, 2**28, b" "))

    with pytest.raises(TableError, match="is damaged"):
        convert_table(source, tmp_path / "rows.csv", "xlsx", AS_FOUND, lambda rows: told.append((time.time(), rows)))

    assert len(told) > 3
    assert {rows for _, rows in told} == {0}
