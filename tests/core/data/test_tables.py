"""Strangers' tables come out to the letter, or the difference is named with its line."""

import csv
import io
import re
import tracemalloc
from itertools import islice, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.recognition import SNIFFED_BYTES
from core.data.records import MAX_CONTENT
from core.data.tables import (
    Reject,
    Row,
    TableFormat,
    TableWriter,
    column_index,
    guess_text_column,
    neutralise_formula,
    read_rows,
    sniff_table,
)
from core.errors import TableError
from tests.core.data.awkward_tables import READABLE_TABLES, REFUSED_TABLES, ReadableTable, RefusedTable

TWO_COLUMNS = TableFormat("utf-8", ",", ("a", "b"), 1)
PHYSICAL_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
TRICKY_TEXT = st.text(st.sampled_from('ab,;|\t" \n\r\ufeffé😀=-<{['), max_size=12)
FIELD = TEXT | TRICKY_TEXT
in_a_shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def saved(folder: Path, data: bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def written(columns: list[str], rows: list[list[str]], *, safe: bool = False) -> bytes:
    stream = io.BytesIO()
    writer = TableWriter(stream, columns, safe=safe)
    for row in rows:
        writer.write_row(row)
    return stream.getvalue()


def assert_every_line_is_accounted_for(text: str, records: list[Row | Reject], first_line: int) -> None:
    """Each record ends where the next begins, a Row says what the csv module says, a Reject holds the raw text."""
    lines = PHYSICAL_LINE.findall(text)
    while lines and not lines[-1].strip("\r\n"):
        lines.pop()
    starts = [record.line for record in records] + [len(lines) + 1]
    assert starts[0] == first_line
    for record, (start, end) in zip(records, pairwise(starts), strict=True):
        own_lines = lines[start - 1 : end - 1]
        assert own_lines
        if isinstance(record, Row):
            assert list(csv.reader(own_lines, strict=True)) == [list(record.fields)]
        else:
            assert record.content == "".join(own_lines).rstrip("\r\n").replace("\0", "\\x00")


@pytest.mark.parametrize("table", READABLE_TABLES, ids=lambda table: table.name)
def test_an_awkward_table_comes_out_to_the_letter(table: ReadableTable, tmp_path: Path) -> None:
    path = saved(tmp_path, table.data)

    table_format = sniff_table(
        path, encoding=table.asked_encoding, delimiter=table.asked_delimiter, has_header=table.asked_header
    )

    assert table_format == TableFormat(
        table.encoding,
        table.delimiter,
        table.columns,
        table.header_line,
        has_header=table.has_header,
        is_guessed=table.is_guessed,
    )
    assert tuple(read_rows(path, table_format)) == table.records


@pytest.mark.parametrize("table", REFUSED_TABLES, ids=lambda table: table.name)
def test_what_is_no_table_is_refused_with_a_sentence(table: RefusedTable, tmp_path: Path) -> None:
    path = saved(tmp_path, table.data)

    with pytest.raises(TableError) as refusal:
        sniff_table(path, encoding=table.asked_encoding, delimiter=table.asked_delimiter)

    message = str(refusal.value)
    assert [word for word in table.words if word not in message] == []
    assert str(tmp_path) not in message
    assert "\n" not in message


def test_the_corpus_is_large_and_its_names_are_distinct() -> None:
    names = [table.name for table in (*READABLE_TABLES, *REFUSED_TABLES)]
    assert len(names) >= 60
    assert len(set(names)) == len(names)


@given(st.data())
@in_a_shared_folder
def test_what_is_written_is_read_back_field_by_field(tmp_path: Path, data: st.DataObject) -> None:
    columns = data.draw(st.lists(FIELD, min_size=1, max_size=4))
    rows = data.draw(st.lists(st.lists(FIELD, min_size=len(columns), max_size=len(columns)), max_size=6))
    path = saved(tmp_path, written(columns, rows))

    table_format = sniff_table(path, has_header=True)  # names that are numbers could as well be a first row

    assert table_format == TableFormat("utf-8", ",", tuple(columns), 1)
    records = list(read_rows(path, table_format))
    assert all(isinstance(record, Row) for record in records)
    assert [list(record.fields) for record in records if isinstance(record, Row)] == rows


@given(st.text(st.sampled_from('ab,"\n\r \0'), max_size=60) | st.text(max_size=60))
@in_a_shared_folder
def test_every_line_of_any_text_belongs_to_one_record(tmp_path: Path, body: str) -> None:
    text = "a,b\n" + body.encode("utf-8", "replace").decode()
    path = saved(tmp_path, text.encode())

    records = list(read_rows(path, TWO_COLUMNS))

    assert_every_line_is_accounted_for(text, records, first_line=2)


@given(
    st.lists(st.lists(FIELD, min_size=2, max_size=2), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12), st.sampled_from(['"', ",", "\n", "\0", '"x', ""]))),
)
@in_a_shared_folder
def test_the_ledger_balances_however_lines_are_damaged(
    tmp_path: Path, rows: list[list[str]], damages: list[tuple[int, int, str]]
) -> None:
    header, *lines = PHYSICAL_LINE.findall(written(["a", "b"], rows).decode())
    for line, place, mark in damages:
        at = line % len(lines)
        lines[at] = lines[at][:place] + mark + lines[at][place + 1 :]
    text = header + "".join(lines)

    records = list(read_rows(saved(tmp_path, text.encode()), TWO_COLUMNS))

    assert_every_line_is_accounted_for(text, records, first_line=2)


@given(
    st.lists(st.booleans(), min_size=1, max_size=30), st.sampled_from(["", "1", "1,2,3", "\0,", '"a', '"a"b,"', "\n"])
)
@in_a_shared_folder
def test_a_damaged_line_costs_no_other_row(tmp_path: Path, is_damaged: list[bool], damage: str) -> None:
    lines = [damage if damaged else f"{number},good" for number, damaged in enumerate(is_damaged)]

    records = read_rows(saved(tmp_path, "\n".join(["a,b", *lines, "last,good"]).encode()), TWO_COLUMNS)

    good = [record.fields for record in records if isinstance(record, Row)]
    assert good == [(str(number), "good") for number, damaged in enumerate(is_damaged) if not damaged] + [
        ("last", "good")
    ]


@given(st.binary(max_size=80))
@in_a_shared_folder
def test_any_bytes_give_records_or_one_clear_error(tmp_path: Path, data: bytes) -> None:
    path = saved(tmp_path, data)
    for encoding in (None, "utf-8", "cp1252", "utf-16-le", "utf-7", "idna", "undefined"):
        try:
            list(read_rows(path, sniff_table(path, encoding=encoding)))
        except TableError:
            continue


@pytest.mark.parametrize("line", ['a","b\n', '"abc\n', 'a,"""x\n'], ids=repr)
def test_a_file_of_nothing_but_unclosed_quotes_is_read_in_linear_time(tmp_path: Path, line: str) -> None:
    """Reading on to the end for every line would take minutes."""
    path = saved(tmp_path, ("a,b\n" + line * 50_000 + "1,good\n").encode())

    records = list(read_rows(path, TWO_COLUMNS))

    assert len(records) == 50_001
    assert records[-1] == Row(50_002, ("1", "good"))


def test_a_character_across_the_end_of_the_sample_is_no_error(tmp_path: Path) -> None:
    head = b"a,b\n1,"
    text = "x" * (SNIFFED_BYTES - len(head)) + "😀"
    path = saved(tmp_path, head + text[: 2**19].encode() + b"\n2," + text[2**19 + 3 :].encode() + b"\n")
    assert len(path.read_bytes()) > SNIFFED_BYTES

    records = list(read_rows(path, sniff_table(path)))

    assert records == [Row(2, ("1", "x" * 2**19)), Row(3, ("2", text[2**19 + 3 :]))]


@pytest.mark.parametrize("encoding", [None, "cp1252"])
def test_a_bad_byte_behind_the_sample_costs_only_its_own_line(tmp_path: Path, encoding: str | None) -> None:
    good_lines = SNIFFED_BYTES // 4 + 10
    path = saved(tmp_path, b"a,b\n" + b"1,2\n" * good_lines + b"3,\x81\n5,6\n")

    records = list(read_rows(path, sniff_table(path, encoding=encoding)))

    assert len(records) == good_lines + 2
    assert records[-2:] == [
        Reject(good_lines + 2, "byte 0x81 does not fit the encoding", "3,\\x81"),
        Row(good_lines + 3, ("5", "6")),
    ]


def test_half_a_utf_16_character_costs_only_its_own_line(tmp_path: Path) -> None:
    text = "a,b\n1,good\n2,".encode("utf-16-le") + b"\x3d\xd8" + "\n3,fine\n".encode("utf-16-le")
    path = saved(tmp_path, text)

    records = list(read_rows(path, TableFormat("utf-16-le", ",", ("a", "b"), 1)))

    assert records == [
        Row(2, ("1", "good")),
        Reject(3, "byte 0x3d does not fit the encoding", "2,\\x3d\\xd8"),
        Row(4, ("3", "fine")),
    ]


def test_a_long_table_is_read_row_by_row_in_little_memory(tmp_path: Path) -> None:
    path = saved(tmp_path, b"a,b\n" + b'1,"a fine film"\n' * 100_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_rows(path, TWO_COLUMNS)) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()


def test_the_csv_limit_of_the_process_is_never_lowered(tmp_path: Path) -> None:
    before = csv.field_size_limit(10**8)
    try:
        list(read_rows(saved(tmp_path, b"a,b\n1,2\n"), TWO_COLUMNS))
        assert csv.field_size_limit() == 10**8
    finally:
        csv.field_size_limit(before)


def test_a_rejected_text_is_kept_up_to_the_limit(tmp_path: Path) -> None:
    exact, longer = "x" * MAX_CONTENT, "x" * (MAX_CONTENT + 1)
    path = saved(tmp_path, f"a,b\n{exact}\r\n{longer}\r\n".encode() + b"\xff" * 300)

    contents = [record.content for record in read_rows(path, TWO_COLUMNS) if isinstance(record, Reject)]

    assert contents == [exact, exact + "…", "\\xff" * 250 + "…"]


def test_a_file_that_changed_since_it_was_sniffed_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, b"id,text\n1,2\n")
    with pytest.raises(TableError, match=r"'table\.csv', line 1: the header is not the one seen before"):
        list(read_rows(path, TWO_COLUMNS))


@pytest.mark.parametrize("encoding", ["klingon", "utf-16", "rot13"])
def test_a_format_with_an_unusable_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    path = saved(tmp_path, b"a,b\n1,2\n")
    with pytest.raises(TableError, match=f"'table.csv' cannot be read as '{encoding}'"):
        list(read_rows(path, TableFormat(encoding, ",", ("a", "b"), 1)))


def test_a_missing_file_or_a_folder_is_named_without_its_path(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(TableError, match="cannot be opened") as sniffed:
            sniff_table(path)
        with pytest.raises(TableError, match="cannot be opened") as read:
            list(read_rows(path, TWO_COLUMNS))
        for error in (sniffed, read):
            assert repr(path.name)[:-1][:60] in str(error.value)
            assert str(path.parent) not in str(error.value)


def test_a_hostile_file_name_is_shown_short_and_harmless(tmp_path: Path) -> None:
    path = saved(tmp_path, b"", name="\u202egood\n\x1b[31m" + "x" * 150 + ".csv")
    with pytest.raises(TableError) as refusal:
        sniff_table(path)
    message = str(refusal.value)
    assert message.startswith(r"'\u202egood\n\x1b[31mxxx")
    assert message.isprintable()
    assert message.index("…") == 79


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (("id", "Text", "title"), "Text"),
        (("content", "reviewText"), "reviewText"),
        (("comment_id", "Review Text "), "Review Text "),
        (("BODY", "title"), "BODY"),
        (("text", "text", "comment"), "comment"),
        (("id", "what", ""), "what"),
        (("", "id", "x"), "id"),
        (("x", "text", "text"), "x"),
    ],
)
def test_the_text_column_is_guessed_by_name_then_by_length(
    tmp_path: Path, columns: tuple[str, ...], expected: str
) -> None:
    width = len(columns)
    rows = [["1", "a long review", "b"][:width], ["2", "another", ""][:width]]
    path = saved(tmp_path, written(list(columns), rows) + b"the very very long text of a reject\n")
    assert guess_text_column(path, sniff_table(path)) == expected


def test_the_text_column_of_a_table_without_rows_is_the_first(tmp_path: Path) -> None:
    path = saved(tmp_path, b"x,y\n1\n")
    assert guess_text_column(path, sniff_table(path)) == "x"


def test_a_long_record_behind_the_first_two_hundred_does_not_sway_the_guess(tmp_path: Path) -> None:
    path = saved(tmp_path, b"x,y\n" + b"1,22\n" * 200 + b"a very long one,2\n")
    assert guess_text_column(path, sniff_table(path)) == "y"


def test_no_text_column_is_guessed_where_every_name_stands_twice(tmp_path: Path) -> None:
    path = saved(tmp_path, b"x,x\n1,2\n")
    with pytest.raises(TableError, match=r"Every column name of 'table\.csv' stands twice"):
        guess_text_column(path, sniff_table(path))


def test_a_column_is_found_by_its_exact_name() -> None:
    table_format = TableFormat("utf-8", ",", ("id", "text", "", "Text", "x", "x"), 1)
    assert column_index(table_format, "Text") == 3
    assert column_index(table_format, "") == 2
    with pytest.raises(TableError, match=r"no column 'TEXT'\. Choose one of 'id', 'text', '', 'Text', 'x', 'x'\."):
        column_index(table_format, "TEXT")
    with pytest.raises(TableError, match="'x' stands more than once among 'id', 'text'"):
        column_index(table_format, "x")


def test_a_missing_column_lists_no_more_than_twenty_names() -> None:
    with pytest.raises(TableError, match=r"'19' and 480 more\.$"):
        column_index(TableFormat("utf-8", ",", tuple(map(str, range(500))), 1), "text")


def test_the_writer_quotes_only_what_needs_it() -> None:
    rows = [["1", "plain text"], ["", ""], ["a,b", 'c"d'], ["e\rf", "g\nh"], [" i", "j;k\tl"]]
    assert written(["id", "text"], rows) == (b'id,text\n1,plain text\n,\n"a,b","c""d"\n"e\rf","g\nh"\n i,j;k\tl\n')


def test_an_empty_text_alone_in_its_row_is_written_as_quotes() -> None:
    assert written(["text"], [[""], ["a"], [""]]) == b'text\n""\na\n""\n'


def test_a_header_that_looks_like_something_else_is_quoted() -> None:
    for name in ("\ufefftext", "sep=;", "<html>", '{"a"}', "[", ""):
        assert written([name], []).startswith(b'"')


def test_the_safe_table_has_a_mark_and_no_formulas_and_our_numbers_stay_numbers() -> None:
    stream = io.BytesIO()
    writer = TableWriter(stream, ["=text", "score"], safe=True)
    writer.write_row(["-1", -1])
    writer.write_row(["@x", 0.25])
    writer.write_row(["\rx", "-0.5"])
    assert stream.getvalue() == (b"\xef\xbb\xbf" + b'"\'=text","score"\n' + b"'-1,-1\n'@x,0.25\n" + b"\"'\rx\",'-0.5\n")


def test_the_safe_table_is_read_back_with_its_apostrophes(tmp_path: Path) -> None:
    path = saved(tmp_path, written(["id", "text"], [["1", "=1+1"]], safe=True))
    table_format = sniff_table(path)
    assert table_format == TableFormat("utf-8-sig", ",", ("id", "text"), 1)
    assert list(read_rows(path, table_format)) == [Row(2, ("1", "'=1+1"))]


@given(FIELD)
def test_an_apostrophe_comes_before_formulas_only(text: str) -> None:
    assert neutralise_formula(text) == ("'" + text if re.match(r"[=+\-@\t\r]", text) else text)


@pytest.mark.parametrize(("text", "words"), [("a\0b", "NUL character"), ("a\ud800b", "lone surrogate")])
def test_a_text_that_no_table_can_hold_is_refused_and_leaves_no_trace(text: str, words: str) -> None:
    stream = io.BytesIO()
    writer = TableWriter(stream, ["text"])
    with pytest.raises(TableError, match=words):
        writer.write_row([text])
    writer.write_row(["b"])
    assert stream.getvalue() == b"text\nb\n"


def test_a_row_of_another_width_is_a_fault_of_the_caller() -> None:
    with pytest.raises(ValueError, match="a row of 1 fields for 2 columns"):
        TableWriter(io.BytesIO(), ["a", "b"]).write_row(["1"])


def test_a_row_can_be_taken_from_a_table_that_is_left_unread(tmp_path: Path) -> None:
    rows = read_rows(saved(tmp_path, b"a,b\n1,2\n3,4\n"), TWO_COLUMNS)
    assert list(islice(rows, 1)) == [Row(2, ("1", "2"))]
    rows.close()  # type: ignore[attr-defined]
    assert list(rows) == []
