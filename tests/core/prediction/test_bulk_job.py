"""A table scored as a job: accounted for row by row, stopped and gone on with, read again, refused when it must be."""

import io
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from core.data.tables import TableOptions
from core.errors import JobError, TableError
from core.job_folder import JobReporter
from core.model_settings import Cutoffs
from core.prediction import bulk, bulk_job
from core.prediction.bulk_job import (
    BulkJob,
    BulkRequest,
    BulkResult,
    create_bulk_job,
    execute_bulk,
    find_job,
    forget_result,
    iterate_parts,
    list_jobs,
    part_texts,
    read_rows_at,
)
from core.prediction.predictor import Predictor, probability_of
from core.prediction.uploads import Upload, link_file, save_upload


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 10)


def save(content: str | bytes, name: str = "reviews.csv") -> Upload:
    return save_upload(io.BytesIO(content.encode() if isinstance(content, str) else content), name)


def ask(upload: Upload, column: str = "text", encoding: str | None = None, **more: Any) -> BulkJob:
    options = TableOptions(encoding=encoding)
    place = upload.read_format(options).columns.index(column)
    more = {"text_columns": (place,), "model": "starter"} | more
    request = BulkRequest(model_sha256=Predictor.load("starter").sha256, options=options, **more)
    return create_bulk_job(upload, request)


def run(job: BulkJob) -> BulkResult:
    execute_bulk(job, JobReporter(job))
    result = job.result
    assert result is not None
    return result


def score(content: str | bytes, column: str = "text", encoding: str | None = None) -> tuple[BulkJob, BulkResult]:
    job = ask(save(content), column, encoding)
    return job, run(job)


def stop_after(job: BulkJob, parts: int) -> None:
    looks = iter([False] * (parts - 1) + [True])
    execute_bulk(job, JobReporter(job, also_stop=lambda: next(looks)))


def column(job: BulkJob, name: str) -> list[Any]:
    return [value for part in iterate_parts(job, [name]) for value in part[name].to_pylist()]


def rejects_of(job: BulkJob) -> list[tuple[int, str, str | None]]:
    rows = zip(column(job, "line"), column(job, "reason"), column(job, "content"), strict=True)
    return [row for row in rows if row[1] is not None]


def files_of(job: BulkJob) -> dict[str, bytes]:
    """Return what must be the same however often a job was broken off."""
    result = json.loads(job.result_file.read_bytes())
    del result["seconds"]
    files = {path.name: path.read_bytes() for path in [*job.part_files, job.facets_file]}
    return files | {"result": json.dumps(result).encode()}


def test_the_account_covers_every_row() -> None:
    job, result = score('id,text\n1,a superb film\n2,\n3,"  "\n4\n5,NA\n6,null\n7,None\n8,nan\n9,x,y\n')
    assert (result.rows, result.predicted, result.rejected) == (9, 5, 4)
    assert result.counts.scored == result.predicted
    assert job.state.status == "finished" and result.is_complete
    assert rejects_of(job) == [
        (3, "no text", None),
        (4, "no text", None),
        (5, "1 field where the header has 2", "4"),
        (10, "3 fields where the header has 2", "9,x,y"),
    ]
    assert column(job, "c0") == ["1", "2", "3", None, "5", "6", "7", "8", None]
    assert column(job, "c1") == ["a superb film", "", "  ", None, "NA", "null", "None", "nan", None]
    is_scored = [logit is not None for logit in column(job, "logit")]
    assert is_scored == [True, False, False, False, True, True, True, True, False]
    assert [share is not None for share in column(job, "share_read")] == is_scored


def test_a_row_with_a_nul_is_rejected_and_the_rest_is_scored() -> None:
    job, result = score("text\ngood\nba\0d\nfine\n")
    assert (result.predicted, result.rejected) == (2, 1)
    assert rejects_of(job) == [(3, "a NUL character", "ba\\x00d")]


def test_a_byte_that_is_not_utf_8_spoils_its_own_row_only() -> None:
    job, result = score(b"text\ngood \xff film\nok\n", encoding="utf-8")
    assert (result.predicted, result.rejected) == (1, 1)
    assert "0xff" in rejects_of(job)[0][1]


def test_a_table_without_rows_is_scored_to_nothing() -> None:
    job, result = score("text,n\n")
    assert (result.rows, result.predicted, result.counts.share) == (0, 0, None)
    assert job.state.status == "finished" and result.part_rows == () and job.is_done
    assert list(iterate_parts(job)) == [] and read_rows_at(job, np.array([], np.int64), [0]).empty


def test_a_table_of_which_no_row_has_a_text_is_rejected_whole() -> None:
    job, result = score("text,n\n,1\n ,2\n")
    assert (result.rows, result.predicted, result.rejected) == (2, 0, 2)
    assert job.state.status == "finished" and result.counts.share is None


def test_hostile_and_double_column_names_pass_through_unchanged() -> None:
    names = ["=cmd()", "![x](http://evil.example/a.png)", "", "", "a", "sentiment", "c0", "_probability", "text"]
    job, result = score(",".join(names) + "\n1,2,3,4,5,6,7,8,a fine film\n")
    assert list(job.columns) == list(result.facets.columns) == names
    assert read_rows_at(job, np.array([0]), [0, 8]).values.tolist() == [["1", "a fine film"]]


def test_scores_are_those_of_the_model() -> None:
    texts = ["This movie was absolutely fantastic!", "Terrible waste of time and money."]
    job, _ = score("text\n" + "\n".join(texts))
    expected = Predictor.load("starter").predict(texts)
    found = probability_of(np.array(column(job, "logit"), np.float32))
    assert found.tolist() == pytest.approx(expected.probabilities.tolist(), abs=1e-5)


def test_the_texts_of_several_columns_are_joined_in_the_order_chosen() -> None:
    upload = save("body,title\nit held me,Superb\n,Only a title\nonly a body, \n,\n")
    job = ask(upload, "body", text_columns=(1, 0))
    result = run(job)
    joined = ["Superb\nit held me", "Only a title", "only a body"]
    expected = Predictor.load("starter").predict(joined).logits
    assert (result.predicted, result.rejected) == (3, 1)
    assert column(job, "logit")[:3] == pytest.approx(expected.tolist(), abs=1e-5)
    assert [text for part in iterate_parts(job) for text in part_texts(part, (1, 0)).to_pylist()] == [*joined, ""]
    assert ask(upload, "body", text_columns=(0, 1)) != job, "another order is another reading"


@pytest.mark.usefixtures("small_chunks")
def test_rows_are_read_back_in_the_order_asked_for_across_parts() -> None:
    job, result = score("n,text\n" + "".join(f"{number},film\n" for number in range(35)))
    assert result.part_rows == (10, 10, 10, 5) == tuple(len(part) for part in iterate_parts(job))
    assert read_rows_at(job, np.array([34, 0, 12, 11]), [0])["c0"].tolist() == ["34", "0", "12", "11"]
    assert read_rows_at(job, np.array([], np.int64), [0]).empty


def test_the_columns_are_described_for_the_charts() -> None:
    rows = "".join(f"{number},{'ab'[number % 2]},2024-01-{1 + number % 28:02},film\n" for number in range(300))
    _, result = score("id,kind,day,text\n" + rows)
    assert [facts.is_choosable for facts in result.facets.facts] == [False, True, True, False]
    assert [facts.date_format is not None for facts in result.facets.facts] == [False, False, True, False]


@pytest.mark.usefixtures("small_chunks")
def test_the_same_text_is_scored_once_in_a_chunk_across_chunks_and_across_a_resume(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    predict = Predictor.predict

    def count(self: Predictor, texts: Any, *arguments: Any) -> Any:
        asked.append(len(texts))
        return predict(self, texts, *arguments)

    monkeypatch.setattr(Predictor, "predict", count)
    rows = ["a superb film", "a dull film", "a superb film"] * 10 + ["another film"] * 5
    job = ask(save("text\n" + "\n".join(rows) + "\n"))
    stop_after(job, 1)
    assert asked[0] == 2 and sum(asked) == 2, "the chunk under way at a stop has nothing new"
    result = run(job)
    assert sum(asked) == 3 and (result.predicted, result.repeated) == (35, 32)
    logits = column(job, "logit")
    assert len(set(logits)) == 3 and logits[0] == logits[2] == logits[29]


def test_repeated_ids_are_counted_and_come_back_untouched() -> None:
    upload = save('id,text\n007,a\n7,b\n007,c\n" 7",d\n,e\n,f\n7,g,h\n')
    job = ask(upload, id_column=0)
    assert run(job).repeated_ids == 2, "007 once more, and an empty id once more; a row that does not fit has none"
    assert column(job, "c0") == ["007", "7", "007", " 7", "", "", None]
    other = ask(upload)
    assert run(other).repeated_ids is None


@pytest.mark.usefixtures("small_chunks")
def test_a_stop_keeps_what_is_scored_and_asking_again_goes_on_to_the_same_end() -> None:
    content = "id,text\n" + "".join(f"{row},a {'superb' if row % 4 else 'dull'} film {row % 20}\n" for row in range(55))
    whole, expected = score(content)
    whole_files = files_of(whole)
    job = ask(save(content, "again.csv"))
    stop_after(job, 2)
    result = job.result
    assert result is not None and not result.is_complete and not job.is_done
    assert (result.rows, result.predicted, result.part_rows) == (20, 20, (10, 10))
    assert job.state.status == "stopped" and job.state.message == "Stopped at row 20 of 55."
    kept = job.part_files[0].stat().st_ino
    stop_after(ask(job.upload), 1)
    assert job.state.message == "Stopped at row 30 of 55."
    assert run(ask(job.upload)).rows == 55 and expected.repeated == 35
    assert files_of(job) == whole_files and job.part_files[0].stat().st_ino == kept
    assert job.state.status == "finished" and job.state.message == ""


def test_a_stop_while_the_last_rows_are_scored_finds_it_finished() -> None:
    job = ask(save("text\n" + "a film\n" * 5))
    execute_bulk(job, JobReporter(job, also_stop=lambda: True))
    assert job.state.status == "finished"
    assert job.result is not None and job.result.is_complete


def test_a_stop_while_the_rows_are_counted_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_job, "COUNTED_ROWS", 2)
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 3)
    job = ask(save("text\n" + "a film\n" * 9))
    execute_bulk(job, JobReporter(job, also_stop=lambda: True))
    assert job.state.message == "Stopped at row 3."


def test_what_is_scored_to_its_end_is_not_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    upload = save("text,more\na film,b\n")
    job = ask(upload)
    before = run(job)
    monkeypatch.setattr(Predictor, "load", lambda reference: pytest.fail("nothing is left to score"))
    monkeypatch.setattr(bulk_job, "_count_rows", lambda *_: pytest.fail("nothing is left to count"))
    job.save_state("queued")
    assert run(job) == before and job.state.status == "finished"


def test_the_same_request_finds_the_same_job_and_another_does_not() -> None:
    upload = save("text,more\na film,b\n")
    job = ask(upload)
    before = run(job)
    assert ask(upload) == job and job.result == before
    assert ask(upload, "more") != job and ask(upload, cutoffs=Cutoffs(threshold=0.6)) != job
    assert find_job(upload, job.job_id) == job and find_job(upload, "job-none") is None


def test_a_model_asked_for_by_another_name_is_the_same_model() -> None:
    upload = save("text\na film\n")
    first = ask(upload, model="starter")
    assert ask(upload, model="/some/where/else.safetensors") == first
    assert first.request.model == "/some/where/else.safetensors", (
        "the name that was asked last is the one that is there"
    )


@pytest.mark.usefixtures("small_chunks")
def test_another_threshold_or_id_column_takes_the_scores_over(monkeypatch: pytest.MonkeyPatch) -> None:
    upload = save("id,text\n" + "".join(f"{row},It was okay {row}.\n" for row in range(25)))
    first = ask(upload)
    run(first)
    monkeypatch.setattr(Predictor, "predict", lambda *_: pytest.fail("everything is scored"))
    low = Cutoffs(threshold=0.01, unsure_low=0.01, unsure_high=0.011)
    other = ask(upload, cutoffs=low, id_column=0)
    result = run(other)
    assert other != first and result.rows == 25 and result.repeated_ids == 0
    assert result.positive == int((probability_of(np.array(column(other, "logit"))) >= 0.011).sum()) > 0
    assert [path.read_bytes() for path in other.part_files] == [path.read_bytes() for path in first.part_files]
    third = ask(upload, "id")
    monkeypatch.undo()
    assert run(third).rows == 25 and column(third, "logit") != column(first, "logit"), "other texts are scored anew"


def test_jobs_are_listed_by_when_they_were_asked_for() -> None:
    upload = save("a,b,c\nx,y,z\n")
    jobs = []
    for name in "abc":
        jobs.append(ask(upload, name))
        jobs[-1].save_state("queued")
        time.sleep(0.02)
    assert list_jobs(upload) == jobs[::-1]
    time.sleep(0.02)
    ask(upload, "a")
    assert list_jobs(upload)[0] == jobs[0]


def test_a_model_that_has_changed_is_noticed_and_the_state_says_so() -> None:
    upload = save("text\na film\n")
    request = ask(upload).request.model_copy(update={"model_sha256": "0" * 64})
    job = create_bulk_job(upload, request)
    with pytest.raises(JobError, match="changed"):
        execute_bulk(job, JobReporter(job))
    assert job.state.status == "failed" and "The model has changed" in job.state.message


@pytest.mark.parametrize(("places", "words"), [((1,), "no column 2"), ((-1,), "no column 0"), ((), "No column")])
def test_a_column_that_is_not_there_is_refused(places: tuple[int, ...], words: str) -> None:
    with pytest.raises(TableError, match=words):
        ask(save("text\na film\n"), text_columns=places)


def test_a_complaint_names_the_file_as_its_owner_does() -> None:
    upload = save(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "summer.csv")
    with pytest.raises(TableError, match=r"^'summer.csv': This looks like an old Excel file"):
        upload.read_format(TableOptions())


@pytest.mark.usefixtures("small_chunks")
def test_a_file_that_changes_while_it_is_scored_is_refused_and_nothing_of_the_new_one_is_kept(tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("text\n" + "".join(f"film {row}\n" for row in range(55)))
    job = ask(link_file(table))
    stop_after(job, 2)
    table.write_text("text\n" + "".join(f"another {row}\n" for row in range(55)))
    with pytest.raises(TableError, match="'table.csv' has changed since it was chosen"):
        run(job)
    assert len(job.part_files) == 2 and job.state.status == "failed"
    anew = ask(link_file(table))
    assert anew.upload != job.upload and run(anew).rows == 55


def test_a_change_is_seen_before_the_next_part_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bulk.CHUNK_ROWS, "ngram", 10)
    table = tmp_path / "table.csv"
    table.write_text("text\n" + "film\n" * 55)
    job = ask(link_file(table))

    class Changing(JobReporter):
        def on_progress(self, done: int) -> None:
            if self.phase == "Scoring":
                table.write_text("text\n" + "another\n" * 55)

    with pytest.raises(TableError, match="has changed"):
        execute_bulk(job, Changing(job))
    assert len(job.part_files) == 1 and job.result is None


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied"])
def test_a_damaged_part_is_named_and_its_rows_and_those_behind_are_scored_again(damage: str) -> None:
    content = "n,text\n" + "".join(f"{row},a superb film number {row}\n" for row in range(45))
    job, _ = score(content)
    whole = files_of(job)
    path = job.part_files[1]
    data = bytearray(path.read_bytes())
    if damage == "flipped":  # a byte of a page, which the file's own end knows nothing of
        data[60] ^= 0xFF
    path.write_bytes({"cut": data[:-20], "flipped": data, "emptied": b""}[damage])
    with pytest.raises(JobError, match=r"00001\.parquet is gone or damaged\. Score the table again"):
        list(iterate_parts(job))
    forget_result(job)
    run(job)
    assert files_of(job) == whole
    path.unlink()
    assert not job.is_done and len(job.part_files) == 1, "what follows a missing part does not count"
    run(job)
    assert files_of(job) == whole


@pytest.mark.usefixtures("small_chunks")
def test_a_resume_goes_on_before_the_first_damaged_part() -> None:
    job = ask(save("text\n" + "".join(f"film {row}\n" for row in range(45))))
    stop_after(job, 3)
    whole = [path.read_bytes() for path in job.part_files]
    job.part_files[1].write_bytes(b"PAR1")
    assert run(job).rows == 45
    assert [path.read_bytes() for path in job.part_files[:3]] == whole


def test_the_parts_say_what_they_hold() -> None:
    job, _ = score("id,text\n1,a film\n2,a film\n")
    schema = pq.read_schema(job.part_files[0])
    kinds = {"line": "int64", "c0": "large_string", "c1": "large_string", "logit": "float", "share_read": "float"}
    assert {field.name: str(field.type) for field in schema} == kinds | dict.fromkeys(
        ("reason", "content"), "large_string"
    )
    assert schema.metadata[b"repeated"] == b"1"


def test_the_result_is_plain_json(workspace: Path) -> None:
    job, result = score("text\na film\n")
    document = json.loads((job.path / "result.json").read_text())
    assert document["facets"]["columns"] == ["text"] and document["facets"]["facts"][0]["distinct"] == 1
    assert workspace in job.path.parents and result == job.result


def test_a_part_that_is_gone_is_told_of_in_a_sentence(small_chunks: None) -> None:
    job, _ = score("text\n" + "".join(f"film {row}\n" for row in range(40)))
    job.part_file(2).unlink()
    with pytest.raises(JobError, match=r"00002\.parquet is gone or damaged\. Score the table again"):
        read_rows_at(job, np.array([39]), [0])


def test_a_damaged_result_is_made_anew() -> None:
    job, before = score("text\ngood\nbad\n")
    job.result_file.write_text("{")
    assert not job.is_done
    assert run(job).counts == before.counts


def test_what_another_job_was_asked_for_may_be_damaged() -> None:
    job, _ = score("text\ngood\nbad\n")
    (job.path / "request.json").write_text("{")
    other = ask(job.upload, cutoffs=Cutoffs(threshold=0.7, unsure_low=0.6, unsure_high=0.8))
    assert other.path != job.path and run(other).rows == 2
