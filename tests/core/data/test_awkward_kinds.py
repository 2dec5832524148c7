"""Excel, JSON lines and Parquet files come out to the letter, or the difference is named with its row."""

from pathlib import Path

import pytest

from core.data.conversion import converted_format, write_copy
from core.data.tables import TableFormat, TableOptions, detect_kind, read_rows
from core.errors import TableError
from tests.core.data.awkward_kinds import READABLE_FILES, REFUSED_FILES, ReadableFile, RefusedFile


@pytest.mark.parametrize("file", READABLE_FILES, ids=lambda file: file.name)
def test_an_awkward_file_comes_out_to_the_letter(file: ReadableFile, tmp_path: Path) -> None:
    source, target = tmp_path / "table", tmp_path / "rows.csv"
    source.write_bytes(file.data)
    options = TableOptions(encoding=file.asked_encoding, has_header=file.asked_header, sheet=file.asked_sheet)

    assert detect_kind(source) == file.kind
    write_copy(source, target, file.kind, options)

    table_format = converted_format(target)
    assert table_format == TableFormat(
        file.encoding,
        ",",
        file.columns,
        file.header_line,
        file.kind,
        file.has_header,
        file.sheet,
        file.is_guessed,
    )
    assert tuple(read_rows(target, table_format)) == file.records


@pytest.mark.parametrize("file", REFUSED_FILES, ids=lambda file: file.name)
def test_a_file_that_cannot_be_read_is_refused_with_a_sentence(file: RefusedFile, tmp_path: Path) -> None:
    source, target = tmp_path / "table", tmp_path / "rows.csv"
    source.write_bytes(file.data)

    with pytest.raises(TableError) as refusal:
        write_copy(source, target, file.kind, TableOptions(encoding=file.asked_encoding, sheet=file.asked_sheet))

    message = str(refusal.value)
    assert [word for word in file.words if word not in message] == []
    assert str(tmp_path) not in message
    assert "\n" not in message
    assert not target.exists()


def test_the_names_of_the_files_are_distinct() -> None:
    names = [file.name for file in (*READABLE_FILES, *REFUSED_FILES)]
    assert len(set(names)) == len(names)
