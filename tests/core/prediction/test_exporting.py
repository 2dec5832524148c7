"""Files to take away: what stands in them, in each format, and what is said beside them."""

import csv
import hashlib
import io
import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.data.tables import TableOptions, read_rows, sniff_table
from core.errors import JobError, TableError
from core.job_folder import JobReporter
from core.jobs import kind_of
from core.model_settings import Cutoffs
from core.prediction import bulk, export_files, exporting
from core.prediction.bulk import predict_table
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk
from core.prediction.export_files import EXCEL_CELL, cut_cell, unique_names
from core.prediction.exporting import ExportAbout, ExportJob, create_export, execute_export, find_export
from core.prediction.predictor import Predictor
from core.prediction.uploads import save_upload

TABLE = (
    'id,"=name",text,text\r\n'
    '007,=1+1,"A wonderful, moving film.\nI loved it!",+x\r\n'
    "007,-2,Terrible waste of time.,@y\r\n"
    "x3,NA,,\r\n"
    "too,few\r\n"
    'é,"\tt","It was okay.", 5 \r\n'
)


def score(content: str = TABLE, texts: tuple[int, ...] = (2,), id_column: int | None = 0, **more: object) -> BulkJob:
    upload = save_upload(io.BytesIO(content.encode()), "my reviews.csv")
    request = BulkRequest(
        model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=texts, id_column=id_column,
        options=TableOptions(encoding="utf-8", delimiter=","), **more,  # type: ignore[arg-type]
    )  # fmt: skip
    job = create_bulk_job(upload, request)
    execute_bulk(job, JobReporter(job))
    return job


def make(job: BulkJob, *args: object, **options: object) -> tuple[Path, ExportAbout]:
    export = create_export(job, *args, **options)  # type: ignore[arg-type]
    execute_export(export, JobReporter(export))
    about = export.about
    assert about is not None and export.state.status == "finished"
    return export.table_file, about


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))


def sheet_of(path: Path) -> list[dict[str, str | float | bool]]:
    """Read a workbook's cells by its XML alone, by row and letter; escapes undone as Excel does."""
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(path) as book:
        tree = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    rows = []
    for row in tree.iter(f"{space}row"):
        cells: dict[str, str | float | bool] = {}
        for cell in row.iter(f"{space}c"):
            letter = re.sub(r"\d", "", cell.attrib["r"])
            assert cell.find(f"{space}f") is None, "a formula"
            if cell.attrib.get("t") == "inlineStr":
                text = cell.find(f"{space}is/{space}t").text or ""  # type: ignore[union-attr]
                cells[letter] = re.sub("_x([0-9A-F]{4})_", lambda match: chr(int(match[1], 16)), text)
            elif cell.attrib.get("t") == "b":
                cells[letter] = cell.findtext(f"{space}v") == "1"
            else:
                cells[letter] = float(cell.findtext(f"{space}v") or "nan")
        rows.append(cells)
    return rows


def test_an_export_is_a_job_of_the_quick_slot() -> None:
    assert kind_of(create_export(score()).path).slot == "quick"


def test_the_raw_file_keeps_every_text_byte_and_equals_what_the_command_line_writes(tmp_path: Path) -> None:
    path, _ = make(score(), "all", "csv")
    source, target = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(TABLE.replace("text,text", "text,other").encode())
    predict_table(Predictor.load("starter"), source, target, text_columns=["text"])
    assert path.read_bytes() == target.read_bytes().replace(b'"other"', b'"text"')
    written = [row[:4] for row in rows_of(path)]
    original = [row for row in rows_of(source) if len(row) == 4]
    assert written[1:] == original[1:] and written[0] == ["id", "=name", "text", "text"]


def test_the_file_for_excel_lets_no_text_or_name_of_the_file_s_begin_a_formula() -> None:
    path, about = make(score(), "all", "csv-excel")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    rows = rows_of(path)
    assert rows[0] == ["id", "'=name", "text", "text", "sentiment", "probability", "confidence"]
    assert [row[1] for row in rows[1:]] == ["'=1+1", "'-2", "NA", "'\tt"] and rows[1][3] == "'+x"
    assert not any(field.startswith(("=", "+", "-", "@", "\t", "\r")) for row in rows for field in row)
    assert float(rows[1][5]) > 0.5 and any("apostrophe" in note for note in about.notes)


def test_rows_without_text_stay_and_those_that_do_not_fit_are_only_among_the_rejects() -> None:
    job = score()
    rows = rows_of(make(job, "all", "csv")[0])
    assert [row[0] for row in rows[1:]] == ["007", "007", "x3", "é"] and rows[3][4:] == ["", "", ""]
    path, about = make(job, "rejects", "csv")
    assert rows_of(path) == [
        ["line", "reason", "content"],
        ["5", "no text", ""],
        ["6", "2 fields where the header has 4", "too,few"],
    ]
    assert (about.rows.in_file, about.rows.scored, about.rows.rejected, about.rows.written) == (5, 3, 2, 2)


def test_a_content_that_is_a_formula_is_harmless_among_the_rejects() -> None:
    path, _ = make(score("a,text\n=cmd\nx,good\n", (1,)), "rejects", "csv-excel")
    assert rows_of(path)[1][2] == "'=cmd"


def test_scores_alone_have_the_ids_untouched_and_no_text() -> None:
    job = score()
    rows = rows_of(make(job, "scores", "csv")[0])
    assert rows[0] == ["id", "sentiment", "probability", "confidence"]
    assert [row[0] for row in rows[1:]] == ["007", "007", "x3", "é"]
    rows = rows_of(make(score(id_column=None), "scores", "csv")[0])
    assert rows[0][0] == "row" and [row[0] for row in rows[1:]] == ["1", "2", "3", "5"]


def test_chosen_columns_are_added_and_get_a_number_where_the_file_has_the_name() -> None:
    cutoffs = Cutoffs(threshold=0.5, unsure_low=0.001, unsure_high=0.999)
    job = score("text,sentiment,model,not_sure\nA wonderful film.,a,b,c\n,a,b,c\n", (0,), None, cutoffs=cutoffs)
    predictor = Predictor.load("starter")
    found = predictor.predict(["A wonderful film."])
    extras = ("intensity", "not_sure", "share_read", "model", "model")
    path, about = make(job, "all", "csv", extras)
    names, scored, empty = rows_of(path)
    assert names == [
        "text", "sentiment", "model", "not_sure", "sentiment_2", "probability", "confidence", "intensity",
        "not_sure_2", "share_read", "model_2",
    ]  # fmt: skip
    assert scored[4:] == [
        "Positive", str(round(float(found.probabilities[0]), 6)), str(round(float(found.confidences[0]), 6)),
        str(round(float(found.intensities[0]), 6)), "1", "1.0", f"starter {predictor.sha256[:12]}",
    ]  # fmt: skip
    assert empty[4:] == [""] * 7
    assert about.model.temperature == predictor.temperature and predictor.temperature != 1.0


def test_the_threshold_of_the_job_decides_not_todays() -> None:
    cutoffs = Cutoffs(threshold=0.999, unsure_low=0.9, unsure_high=0.999)
    path, about = make(score(cutoffs=cutoffs), "all", "csv")
    assert rows_of(path)[1][4] == "Negative" and about.model.threshold == 0.999


def test_a_filter_takes_the_rows_of_its_mask_with_all_columns() -> None:
    job = score()
    mask = np.array([True, False, False, True, True])  # the fourth does not fit the header
    path, about = make(job, "filter", "csv", mask=mask, filter_words="read as positive")
    assert [row[0] for row in rows_of(path)[1:]] == ["007", "é"]
    assert about.filter == "read as positive" and about.rows.written == 2
    other = create_export(job, "filter", "csv", mask=~mask)
    assert other.path != create_export(job, "filter", "csv", mask=mask).path
    with pytest.raises(JobError, match="3 rows and the table has 5"):
        create_export(job, "filter", mask=mask[:3])
    with pytest.raises(JobError, match="goes with it"):
        create_export(job, "filter")
    other.mask_file.write_bytes(b"\0")
    with pytest.raises(JobError, match="damaged"):
        execute_export(other, JobReporter(other))


def test_a_filter_holds_over_several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 7)
    job = score("n,text\n" + "".join(f"{n},good film {n}\n" for n in range(100)), (1,))
    assert len(job.part_files) == 15
    mask = np.random.default_rng(0).random(100) < 0.3
    path, _ = make(job, "filter", "csv", mask=mask)
    assert [int(row[0]) for row in rows_of(path)[1:]] == np.flatnonzero(mask).tolist()
    assert len(rows_of(make(job, "filter", "csv", mask=np.zeros(100, np.bool_))[0])) == 1
    for format in ("xlsx", "parquet"):
        path, about = make(job, "all", format)
        assert about.rows.written == 100
    assert pq.read_table(path)["n"].to_pylist() == [str(n) for n in range(100)]
    table, about = make(job, "filter", "parquet", mask=np.zeros(100, np.bool_))
    assert pq.read_table(table).num_rows == 0 and pq.read_table(table).column_names[0] == "n"


def test_a_workbook_holds_texts_as_texts_and_scores_as_numbers() -> None:
    path, _ = make(score(), "all", "xlsx", ["not_sure"])
    names, first, second, empty, last = sheet_of(path)
    assert list(names.values()) == ["id", "=name", "text", "text", "sentiment", "probability", "confidence", "not_sure"]
    assert first["A"] == "007" and first["B"] == "=1+1" and first["C"] == "A wonderful, moving film.\nI loved it!"
    assert isinstance(first["F"], float) and 0.5 < first["F"] < 1 and first["H"] is False
    assert empty == {"A": "x3", "B": "NA"} and second["B"] == "-2" and last["D"] == " 5 "


def test_a_workbook_cuts_only_what_no_cell_holds_and_says_so() -> None:
    long, wide = "a" * 40_000, "\N{GRINNING FACE}" * 20_000
    control = "bell\x07 return\rend _x0041_ \ufffe"
    content = f'id,text\n1,{long}\n2,{wide}\n3,"{control}"\n4,{"b" * EXCEL_CELL}\n'
    path, about = make(score(content, (1,)), "all", "xlsx")
    texts = [row["B"] for row in sheet_of(path)[1:]]
    assert texts == ["a" * EXCEL_CELL, "\N{GRINNING FACE}" * (EXCEL_CELL // 2), control.replace("\ufffe", "\ufffd"),
                     "b" * EXCEL_CELL]  # fmt: skip
    assert about.cut_cells == 2 and about.replaced_characters == 1
    assert any("2 texts longer than the 32,767" in note and "cut" in note for note in about.notes)


def test_the_file_for_excel_says_which_texts_excel_will_not_show_whole() -> None:
    job = score(f"id,text\n1,{'a' * 40_000}\n", (1,))
    path, about = make(job, "all", "csv-excel")
    assert about.cut_cells == 1 and len(rows_of(path)[1][1]) == 40_000
    assert make(job, "all", "csv")[1].cut_cells == 0


def test_a_cell_is_never_cut_inside_a_character() -> None:
    text = "a" + "\N{GRINNING FACE}" * 20_000
    cut = cut_cell(text)
    assert text.startswith(cut) and len(cut.encode("utf-16-le")) // 2 == EXCEL_CELL
    assert len(cut_cell("\N{GRINNING FACE}" * 20_000).encode("utf-16-le")) // 2 == EXCEL_CELL - 1


def test_too_many_rows_for_a_sheet_are_refused_before_and_while_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    job = score()
    monkeypatch.setattr(exporting, "EXCEL_ROWS", 2)
    with pytest.raises(JobError, match="3 rows do not fit"):
        create_export(job, "all", "xlsx")
    create_export(job, "all", "csv")
    monkeypatch.setattr(exporting, "EXCEL_ROWS", 3)
    monkeypatch.setattr(export_files, "EXCEL_ROWS", 3)  # four rows fit the header, one of them without a score
    export = create_export(job, "all", "xlsx")
    with pytest.raises(TableError, match="4 rows do not fit"):
        execute_export(export, JobReporter(export))
    assert not export.is_done and not export.table_file.exists()


def test_a_parquet_file_has_unique_names_and_typed_scores() -> None:
    job = score(",text,text,text_2,\n1,good,b,c,d\n2,,,,\n", (1,), None)
    path, about = make(job, "all", "parquet", ["not_sure", "share_read"])
    table = pq.read_table(path)
    assert table.column_names == [
        "column 1", "text", "text_3", "text_2", "column 5", "sentiment", "probability", "confidence", "not_sure",
        "share_read",
    ]  # fmt: skip
    assert table.schema.field("probability").type == pa.float64() and table.schema.field("not_sure").type == pa.bool_()
    assert table["probability"].null_count == 1 and table["text"].to_pylist() == ["good", ""]
    assert [column.source_name for column in about.columns[:6]] == ["", "text", "text", "text_2", "", None]
    assert any("3 columns" in note for note in about.notes)


@pytest.mark.parametrize(
    ("names", "unique"),
    [
        ([], []),
        (["a", "b"], ["a", "b"]),
        (["a", "a", "a"], ["a", "a_2", "a_3"]),
        (["a", "a", "a_2"], ["a", "a_3", "a_2"]),
        (["", "column 1", ""], ["column 1_2", "column 1", "column 3"]),
    ],
)
def test_unique_names_keep_what_is_already_alone(names: list[str], unique: list[str]) -> None:
    assert unique_names(names) == unique


def test_what_is_said_beside_the_file_identifies_it() -> None:
    job = score()
    path, about = make(job, "all", "csv-excel")
    assert about.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() and about.size == path.stat().st_size
    assert about.source.sha256 == hashlib.sha256(TABLE.encode()).hexdigest() and about.source.size == len(
        TABLE.encode()
    )
    assert about.source.name == "my reviews.csv" and about.name == "my reviews-scored.csv"
    assert about.source.text_columns == ("text",) and about.source.id_column == "id"
    assert (about.source.kind, about.source.encoding, about.source.delimiter) == ("csv", "utf-8", ",")
    assert about.model.id == "starter" and about.model.sha256 == Predictor.load("starter").sha256
    assert (about.model.threshold, about.model.not_sure_from, about.model.not_sure_below) == (0.5, 0.4, 0.6)
    assert [column.name for column in about.columns][-3:] == ["sentiment", "probability", "confidence"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", about.created)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("reviews.xlsx", "reviews-scored.csv"),
        ("../../etc/passwd", "passwd-scored.csv"),
        ("..", "table-scored.csv"),
        ('a"b\r\nSet-Cookie: x.csv', "a_b__Set-Cookie_ x-scored.csv"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}gnp.csv", "_gnp-scored.csv"),
        ("Bewertungen für Züge.csv", "Bewertungen für Züge-scored.csv"),
        ("x" * 200, "x" * 80 + "-scored.csv"),
    ],
)
def test_the_file_has_a_harmless_name(name: str, called: str) -> None:
    upload = save_upload(io.BytesIO(b"text\ngood\n"), name)
    job = create_bulk_job(upload, BulkRequest(model="starter", model_sha256="0", text_columns=(0,)))
    export = ExportJob(job.path / "export-000000000000")
    export.path.mkdir()
    (export.path / "request.json").write_text('{"rows": 1}')
    assert export.file_name == called


def test_the_same_wish_is_the_same_file_until_more_is_scored() -> None:
    job = score()
    first = create_export(job)
    execute_export(first, JobReporter(first))
    assert create_export(job) == first and create_export(job).is_done
    result = job.result
    assert result is not None
    (job.path / "result.json").write_text(result.model_copy(update={"rows": 4}).model_dump_json())
    later = create_export(job)
    assert later != first and not later.is_done
    execute_export(later, JobReporter(later))
    assert len(rows_of(later.table_file)) == 1 + 4, "a part is taken as it is; the rows asked for only end the reading"


def test_a_stop_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 2)
    for format in ("csv", "xlsx", "parquet"):
        export = create_export(score(), "all", format)
        export.request_stop()
        execute_export(export, JobReporter(export))
        assert export.state.status == "stopped" and not export.is_done
        assert not list(export.path.glob("*.tmp")) and not export.table_file.exists()


def test_without_a_result_or_the_model_s_own_file_it_is_refused() -> None:
    upload = save_upload(io.BytesIO(b"text\ngood\n"), "a.csv")
    job = create_bulk_job(upload, BulkRequest(model="starter", model_sha256="0" * 64, text_columns=(0,)))
    with pytest.raises(JobError, match="not scored yet"):
        create_export(job)
    job = score()
    request = job.request.model_copy(update={"model_sha256": "0" * 64})
    (job.path / "request.json").write_text(request.model_dump_json())
    make(job, "all", "csv")
    export = create_export(job, "all", "csv", ["intensity"])
    with pytest.raises(JobError, match="model has changed"):
        execute_export(export, JobReporter(export))


@pytest.mark.parametrize("export_id", ["", "..", "export-", "export-zzzzzzzzzzzz", "export-000000000000", "../job-x"])
def test_an_id_that_is_none_finds_nothing(export_id: str) -> None:
    assert find_export(score(), export_id) is None


def test_what_was_written_reads_back_as_it_stands() -> None:
    content = 'id,text\n"1, ""a""","x\ny"\n2,"\u00a0=z\u2028"\n3, lone \n'
    path, _ = make(score(content, (1,)), "all", "csv")
    back = list(read_rows(path, sniff_table(path)))
    assert [row.fields[:2] for row in back] == [('1, "a"', "x\ny"), ("2", "\u00a0=z\u2028"), ("3", " lone ")]  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["about.json", "request.json"])
def test_a_file_of_which_nothing_can_be_read_is_made_again(name: str) -> None:
    job = score()
    export = create_export(job)
    execute_export(export, JobReporter(export))
    (export.path / name).write_text("{")
    assert not export.is_done
    assert make(job)[1].rows.in_file == 5


def test_a_damaged_filter_is_written_again() -> None:
    job = score()
    mask = np.array([True, False, False, False, True])
    export = create_export(job, "filter", "csv", mask=mask)
    export.mask_file.write_bytes(b"")
    assert make(job, "filter", "csv", mask=mask)[1].rows.written == 2


def test_what_a_kill_left_half_written_is_removed() -> None:
    export = create_export(score(), "all", "xlsx")
    (export.path / f"{exporting.WORKBOOK_FOLDER}x").mkdir(parents=True)
    (export.path / ".table.x.tmp").write_bytes(b"half")
    execute_export(export, JobReporter(export))
    left = {path.name for path in export.path.iterdir()}
    assert left == {"about.json", "lock", "progress.json", "request.json", "state.json", "table"}


@pytest.mark.parametrize("when", ["while rows are written", "at the end"])
def test_a_workbook_on_a_full_disk_gives_its_place_back_and_says_so(when: str, tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    writer = export_files._WorkbookWriter(Full(), ["text"], export_files.Written(), tmp_path)
    rows = writer._sheet.row_data_fh
    with pytest.raises(OSError, match="No space left on device"), writer:
        writer.write([pa.array(["a", "b"])])
        if when == "while rows are written":
            raise OSError(28, "No space left on device")
    assert rows.closed
