"""Uploaded tables: kept, scored as jobs, accounted for row by row, and removed in time."""

import csv
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest

from core import settings
from core.data.tables import read_rows, sniff_table
from core.errors import JobError, ReviewscopeError, TableError
from core.files import write_json
from core.job_folder import JobReporter
from core.prediction import uploads
from core.prediction.predictor import Predictor
from core.prediction.uploads import (
    BulkJob,
    BulkRequest,
    BulkResult,
    Upload,
    create_bulk_job,
    execute_bulk,
    find_job,
    find_upload,
    list_uploads,
    read_scored_rows,
    remove_expired_uploads,
    save_upload,
)


def save(content: str | bytes, name: str = "reviews.csv") -> Upload:
    return save_upload(io.BytesIO(content.encode() if isinstance(content, str) else content), name)


def ask(upload: Upload, column: str = "text", encoding: str | None = None) -> BulkJob:
    table_format = upload.sniff(encoding)
    request = BulkRequest(
        model="starter",
        model_sha256=Predictor.load("starter").sha256,
        text_column=column,
        encoding=table_format.encoding,
        delimiter=table_format.delimiter,
    )
    return create_bulk_job(upload, request)


def score(content: str | bytes, column: str = "text", encoding: str | None = None) -> tuple[BulkJob, BulkResult]:
    job = ask(save(content), column, encoding)
    execute_bulk(job, JobReporter(job))
    result = job.result
    assert result is not None
    return job, result


def rejects_of(job: BulkJob) -> list[list[str]]:
    return list(csv.reader(io.StringIO(job.rejects_file.read_text("utf-8-sig"))))[1:]


def test_a_file_is_kept_byte_for_byte_under_a_name_of_ours() -> None:
    content = b"text\r\n\xff odd\0 bytes\r\n"
    upload = save(content, "../../etc/passwd")
    assert upload.table.read_bytes() == content
    assert upload.about.name == "../../etc/passwd" and upload.about.size == len(content)
    assert upload.path.parent == settings.home() / "uploads"
    assert find_upload(upload.upload_id) == upload


@pytest.mark.parametrize("name", ["", "x" * 5_000, "a\ud800b", "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "nul\0"])
def test_any_name_can_be_kept(name: str) -> None:
    assert len(save("text\nx\n", name).about.name) <= 200


@pytest.mark.parametrize("upload_id", ["", ".", "..", "../runs", "a/b", "nothing"])
def test_an_id_that_is_none_finds_nothing(upload_id: str) -> None:
    save("text\nx\n")
    assert find_upload(upload_id) is None


def test_a_file_that_is_too_large_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LARGEST_UPLOAD", 10)
    with pytest.raises(ReviewscopeError, match="larger than"):
        save("text\n" + "x" * 100)
    assert not list((settings.home() / "uploads").iterdir())


def test_uploads_are_listed_newest_first_and_a_damaged_one_does_not_hide_the_others() -> None:
    first, second = save("text\na\n", "first"), save("text\nb\n", "second")
    (save("text\nc\n", "damaged").path / "about.json").write_text("{")
    assert list_uploads() == [second, first]


def age(upload: Upload, days: float) -> None:
    document = upload.about.model_dump() | {"created": time.time() - days * 86_400}
    write_json(upload.path / "about.json", document)


def test_an_upload_goes_after_its_days_unless_a_job_of_its_waits() -> None:
    young, old, busy = save("text\na\n"), save("text\nb\n"), save("text\nc\n")
    ask(busy).save_state("queued")
    ask(old).save_state("finished")
    (old.path / "job-damaged").mkdir()
    (old.path / "job-damaged" / "state.json").write_text("{")
    for upload, days in ((young, 6.9), (old, 7.1), (busy, 7.1)):
        age(upload, days)
    remove_expired_uploads()
    assert set(list_uploads()) == {young, busy} and not old.path.exists()


def test_the_account_covers_every_row() -> None:
    job, result = score('id,text\n1,a superb film\n2,\n3,"  "\n4\n5,NA\n6,null\n7,None\n8,nan\n9,x,y\n')
    assert (result.rows, result.predicted, result.rejected) == (9, 5, 4)
    assert result.counts.scored == result.predicted
    assert job.state.status == "finished" and result.is_complete
    assert [(int(line), reason) for line, reason, _ in rejects_of(job)] == [
        (3, "no text"), (4, "no text"), (5, "1 field where the header has 2"), (10, "3 fields where the header has 2"),
    ]  # fmt: skip
    scored = list(csv.DictReader(io.StringIO(job.scored_file.read_text())))
    assert [row["id"] for row in scored] == ["1", "2", "3", "5", "6", "7", "8"]
    assert [row["text"] for row in scored if row["sentiment"]] == ["a superb film", "NA", "null", "None", "nan"]


def test_a_row_with_a_nul_is_rejected_and_the_rest_is_scored() -> None:
    job, result = score("text\ngood\nba\0d\nfine\n")
    assert (result.predicted, result.rejected) == (2, 1)
    assert rejects_of(job) == [["3", "a NUL character", "ba\\x00d"]]


def test_a_byte_that_is_not_utf_8_spoils_its_own_row_only() -> None:
    job, result = score(b"text\ngood \xff film\nok\n", encoding="utf-8")
    assert (result.predicted, result.rejected) == (1, 1)
    assert "0xff" in rejects_of(job)[0][1]


def test_a_table_without_rows_is_scored_to_nothing() -> None:
    job, result = score("text,n\n")
    assert (result.rows, result.predicted, result.counts.share) == (0, 0, None)
    assert job.state.status == "finished"


def test_hostile_and_double_column_names_pass_through_unchanged() -> None:
    names = ["=cmd()", "![x](http://evil.example/a.png)", "", "", "a,b", "sentiment", "c0", "_probability", "text"]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, [*"12345678", "a fine film"]])
    job, result = score(text.getvalue())
    header = next(csv.reader(io.StringIO(job.scored_file.read_text())))
    assert header == [*names, "sentiment_2", "probability", "confidence"]
    assert len(result.columns) == len(names)
    rows = read_scored_rows(job, np.array([0]), [0, 8])
    assert rows.values.tolist() == [["1", "a fine film"]]


def test_the_raw_download_keeps_every_text_and_the_safe_one_disarms_formulas() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", 'a "b", c', "line\r\nend", "söß 😀"]
    source = io.StringIO()
    csv.writer(source, lineterminator="\n").writerows([["text"], *([text] for text in texts)])
    job, _ = score(source.getvalue())
    rows = [list(read_rows(path, sniff_table(path))) for path in (job.scored_file, job.safe_file)]
    raw, safe = ([row.fields[0] for row in each] for each in rows)
    assert raw == texts
    assert safe == ["'" + text if text[0] in "=+-@\t" else text for text in texts]
    assert job.safe_file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert not job.scored_file.read_bytes().startswith(b"\xef\xbb\xbf")


def test_scores_are_those_of_the_model() -> None:
    job, _ = score("text\nThis movie was absolutely fantastic!\nTerrible waste of time and money.\n")
    expected = Predictor.load("starter").predict(
        ["This movie was absolutely fantastic!", "Terrible waste of time and money."]
    )
    scored = list(csv.DictReader(io.StringIO(job.scored_file.read_text())))
    assert [float(row["probability"]) for row in scored] == pytest.approx(expected.probabilities.tolist(), abs=1e-5)
    assert [row["sentiment"] for row in scored] == expected.sentiments


def test_rows_are_read_back_in_the_order_asked_for_across_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "ROW_GROUP", 10)
    job, _ = score("n,text\n" + "".join(f"{number},film\n" for number in range(35)))
    rows = read_scored_rows(job, np.array([34, 0, 12, 11]), [0])
    assert rows["c0"].tolist() == ["34", "0", "12", "11"]
    assert read_scored_rows(job, np.array([], np.int64), [0]).empty


def test_the_columns_are_described_for_the_charts() -> None:
    rows = "".join(f"{number},{'ab'[number % 2]},2024-01-{1 + number % 28:02},film\n" for number in range(300))
    _, result = score("id,kind,day,text\n" + rows)
    assert [facts.is_choosable for facts in result.columns] == [False, True, True, False]
    assert [facts.date_format for facts in result.columns] == [None, None, "ISO8601", None]


def test_a_stop_keeps_what_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.prediction.bulk.CHUNK_ROWS", 10)
    job = ask(save("text\n" + "a film\n" * 55))
    looks = iter([False, True])
    execute_bulk(job, JobReporter(job, also_stop=lambda: next(looks)))
    result = job.result
    assert result is not None and not result.is_complete
    assert (result.rows, result.predicted) == (20, 20)
    assert job.state.status == "stopped" and job.state.message == "Stopped at row 20 of 55."
    assert len(job.scored_file.read_text().splitlines()) == 21


def test_a_stop_while_the_last_rows_are_scored_finds_it_finished() -> None:
    job = ask(save("text\n" + "a film\n" * 5))
    execute_bulk(job, JobReporter(job, also_stop=lambda: True))
    assert job.state.status == "finished"
    assert job.result is not None and job.result.is_complete


def test_a_stop_while_the_rows_are_counted_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "COUNTED_ROWS", 2)
    monkeypatch.setattr("core.prediction.bulk.CHUNK_ROWS", 3)
    job = ask(save("text\n" + "a film\n" * 9))
    execute_bulk(job, JobReporter(job, also_stop=lambda: True))
    assert job.state.message == "Stopped at row 3."


def test_the_same_request_finds_the_same_job_and_another_does_not() -> None:
    upload = save("text,more\na film,b\n")
    job = ask(upload)
    execute_bulk(job, JobReporter(job))
    before = job.result
    assert ask(upload) == job and job.result == before
    assert ask(upload, "more") != job
    assert find_job(upload, job.job_id) == job and find_job(upload, "job-none") is None


@pytest.mark.parametrize("status", ["stopped", "failed"])
def test_asking_again_after_a_stop_or_failure_begins_anew(status: str) -> None:
    job = ask(upload := save("text\na film\n"))
    execute_bulk(job, JobReporter(job))
    job.save_state(status)
    assert ask(upload) == job
    assert job.result is None and job.progress is None


def test_jobs_are_listed_by_when_they_were_asked_for() -> None:
    upload = save("a,b,c\nx,y,z\n")
    jobs = []
    for column in "abc":
        jobs.append(ask(upload, column))
        jobs[-1].save_state("queued")
        time.sleep(0.02)
    assert upload.jobs == jobs[::-1]


def test_a_model_that_has_changed_is_noticed() -> None:
    upload = save("text\na film\n")
    request = ask(upload).request.model_copy(update={"model_sha256": "0" * 64})
    job = create_bulk_job(upload, request)
    with pytest.raises(JobError, match="changed"):
        execute_bulk(job, JobReporter(job))


def test_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(TableError, match="no column"):
        ask(save("text\na film\n"), "review")


def test_a_complaint_names_the_file_as_its_owner_does() -> None:
    upload = save(b"PK\x03\x04xl/", "summer.csv")
    with pytest.raises(TableError, match=r"^'summer.csv': This looks like an Excel file"):
        upload.sniff()


def test_the_result_is_plain_json(workspace: Path) -> None:
    job, result = score("text\na film\n")
    document = json.loads((job.path / "result.json").read_text())
    assert document["columns"] == [{"distinct": 1, "groups": 0, "date_format": None}]
    assert workspace in job.path.parents and result == job.result
