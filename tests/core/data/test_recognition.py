"""A file is recognised by its bytes, whatever it is called."""

import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import feather

from core.data.recognition import SNIFFED_BYTES, detect_kind, is_header
from core.errors import TableError
from tests.core.data.awkward_kinds import HEADER, json_lines, table_of, workbook
from tests.core.data.awkward_tables import zipped


def saved(folder: Path, data: bytes) -> Path:
    path = folder / "reviews.csv"
    path.write_bytes(data)
    return path


def as_feather() -> bytes:
    buffer = io.BytesIO()
    feather.write_feather(pa.table({"a": [1]}), buffer)
    return buffer.getvalue()


def with_a_long_part_first() -> bytes:
    """A workbook whose own part stands behind what is looked at of its beginning."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("xl/media/picture.png", b"\x55" * (SNIFFED_BYTES + 100))
        with zipfile.ZipFile(io.BytesIO(workbook(HEADER))) as parts:
            for name in parts.namelist():
                archive.writestr(name, parts.read(name))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"id,text\n1,a\n", "csv"),
        (b"text\n", "csv"),
        (b"{text},b\n", "csv"),
        (b"PAR1,b\n", "csv"),
        (b"PARE,b\n", "csv"),
        (b"{'id': 1}\n{'id': 2}\n", "csv"),
        (b"\xff\xfe" + "id\tt\n1\té\n".encode("utf-16-le"), "csv"),
        (workbook(HEADER), "xlsx"),
        (with_a_long_part_first(), "xlsx"),
        (json_lines({"a": 1}, {"a": 2}), "jsonl"),
        (b'{"a": 1}', "jsonl"),
        (b'{"a": 1\n{"a": 2}\n{"a": 3}\n', "jsonl"),
        (b'{"a": "' + b"x" * 500_000 + b'"}\n{"a": 1}\n', "jsonl"),
        (json_lines({"a": 1}) * 200_000, "jsonl"),
        (table_of(("a", [1], None)), "parquet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_kind_is_told_by_the_content(tmp_path: Path, data: bytes, kind: str) -> None:
    assert detect_kind(saved(tmp_path, data)) == kind


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "an old Excel file (.xls)"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2**21 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 99,
            "with a password; a table was expected",
        ),
        (zipped("xl/workbook.bin"), "a binary Excel file (.xlsb)"),
        (zipped("mimetypeapplication/vnd.oasis.opendocument.spreadsheet"), "(.ods)"),
        (zipped("word/document.xml"), "a Word document (.docx)"),
        (zipped("reviews.csv"), "a ZIP archive; a table was expected. Unpack it"),
        (b"\x1f\x8b\x08\0", "a gzip archive"),
        (b"BZh91AY", "a bzip2 archive"),
        (b"\xfd7zXZ\0\0", "an xz archive"),
        (b"\x28\xb5\x2f\xfd\0", "a Zstandard archive"),
        (b"7z\xbc\xaf\x27\x1c\0", "a 7-Zip archive"),
        (b"Rar!\x1a\x07\0", "a RAR archive"),
        (b"SQLite format 3\0", "an SQLite database"),
        (as_feather(), "an Arrow file (.feather)"),
        (b"PARE\0\0\0\0PARE", "an encrypted Parquet file"),
        (b"PAR1\x15\0\0\0", "whose end is missing"),
        (b"%PDF-1.7", "a PDF document"),
        (b"<html>", "an HTML page"),
        (b'[{"a": 1},\n{"a": 2}]\n', "a JSON file"),
        (b'{\n"a": [\n{"b": 1},\n{"b": 2}\n]}\n', "Write one object a line"),
        (b'{"a": [' + b'{"b": 1},' * 200_000 + b'{"b": 1}]}', "a JSON file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_read_as_no_table_is_refused(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(TableError) as refusal:
        detect_kind(saved(tmp_path, data))
    assert words in str(refusal.value)
    assert str(refusal.value).startswith("'reviews.csv'")
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"'gone\.csv' cannot be opened"):
        detect_kind(tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("first", "others", "expected"),
    [
        (["id", "what"], [["1", "a"]], True),
        (["a", "b"], [], True),
        (["1", "a"], [], True),
        (["1", "a"], [["2", "b"]], False),
        (["1", "a"], [["two", "b"], ["three", "c"]], True),
        (["1", "Text"], [["2", "b"]], True),
        (["4,5", "3 %"], [["1,5", "2 %"]], False),
        (["2024-05-06T07:08:09Z", "x"], [["2024-05-07T07:08:09Z", "y"]], False),
        (["31.12.2024", "x"], [["1.1.2025", "y"]], False),
        (["when", "x"], [["1.1.2025", "y"]], True),
        (["1999", "2000"], [["1", "2"], ["3", "4"]], True),
        (["", "5"], [["x", "6"]], False),
        (["a", "b"], [["a", "b"], ["a", "b"]], True),
        (["yes", "b"], [["yes", "c"], ["no", "d"], ["yes", "e"]], False),
        (["yes", "b"], [["yes", "c"], ["no", "d"]], True),
        (["1", "b"], [["2"], ["3", "4", "5"]], True),
    ],
)
def test_a_header_is_told_from_a_first_row_and_in_doubt_it_is_one(
    first: list[str], others: list[list[str]], expected: bool
) -> None:
    assert is_header(first, others) is expected
