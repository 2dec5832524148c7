"""Uploaded tables: kept as they came, found again, pinned, deleted, and removed in time."""

import io
import os
import time
from pathlib import Path

import pytest

from core import settings
from core.data.tables import Reject, Row, TableOptions, read_rows
from core.errors import JobError, ReviewscopeError, TableError
from core.files import write_json
from core.job_folder import JobFolder, JobReporter
from core.prediction import uploads
from core.prediction.uploads import (
    KEPT_DAYS,
    Upload,
    create_conversion,
    delete_upload,
    execute_conversion,
    find_upload,
    link_allowed_file,
    link_file,
    list_damaged_uploads,
    list_machine_files,
    list_uploads,
    pin_upload,
    remove_expired_uploads,
    save_upload,
)

DAY = 86_400.0


def save(content: str | bytes, name: str = "reviews.csv") -> Upload:
    return save_upload(io.BytesIO(content.encode() if isinstance(content, str) else content), name)


def link(folder: Path, content: str = "text\na\n") -> tuple[Upload, Path]:
    folder.mkdir(exist_ok=True)
    file = folder / "here.csv"
    file.write_text(content)
    return link_file(file), file


def age(upload: Upload, days: float) -> None:
    document = upload.about.model_dump() | {"created": time.time() - days * DAY}
    write_json(upload.path / "about.json", document)


def put_job(upload: Upload, status: str, place: str = "job-1") -> JobFolder:
    job = JobFolder(upload.path / place)
    job.path.mkdir(parents=True)
    write_json(job.path / "state.json", {"status": status, "message": ""})
    return job


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
    first, second, damaged = save("text\na\n", "first"), save("text\nb\n", "second"), save("text\nc\n", "damaged")
    (damaged.path / "about.json").write_text("{")
    assert list_uploads() == [second, first] and list_damaged_uploads() == [damaged]


def test_the_same_file_again_is_the_upload_that_is_there() -> None:
    first = save("text\na\n")
    age(first, 6.9)
    assert save("text\na\n") == first and len(list_uploads()) == 1
    until = first.about.kept_until
    assert until is not None and until == pytest.approx(time.time() + KEPT_DAYS * DAY, abs=60)
    assert save("text\na\n", "another.csv") != first and save("text\nb\n") != first


def test_an_upload_goes_after_its_days_unless_it_is_pinned_or_a_job_of_its_waits() -> None:
    young, old, busy, pinned = (save(f"text\n{letter}\n") for letter in "abcd")
    put_job(busy, "queued")
    put_job(old, "finished")
    (old.path / "job-damaged").mkdir()
    (old.path / "job-damaged" / "state.json").write_text("{")
    for upload, days in ((young, 6.9), (old, 7.1), (busy, 7.1), (pinned, 700)):
        age(upload, days)
    pin_upload(pinned, True)
    remove_expired_uploads()
    assert set(list_uploads()) == {young, busy, pinned} and not old.path.exists()


def test_what_a_killed_copy_left_goes_after_the_days_too() -> None:
    left, under_way = (settings.home() / "uploads" / name for name in ("a" * 12, "b" * 12))
    for folder in (left, under_way):
        folder.mkdir(parents=True)
        (folder / ".table.x.tmp").write_bytes(b"text")
    os.utime(left, (0, time.time() - 7.1 * DAY))
    remove_expired_uploads()
    assert not left.exists() and under_way.exists()


def test_a_file_linked_twice_at_once_is_the_first_of_them_from_then_on(tmp_path: Path) -> None:
    first, file = link(tmp_path / "tables")
    second = Upload(first.path.with_name("c" * 12))
    write_json(second.path / "about.json", first.about.model_copy(update={"created": time.time() + 1}).model_dump())
    assert list_uploads() == [second, first]
    assert link_file(file) == first


def test_one_whose_own_file_is_damaged_stays_until_it_is_deleted_by_hand() -> None:
    upload = save("text\na\n")
    (upload.path / "about.json").write_text("{")
    remove_expired_uploads()
    assert upload.path.exists()
    delete_upload(upload)
    assert not upload.path.exists() and list_damaged_uploads() == []


def test_a_pinned_upload_is_kept_until_it_is_unpinned_and_has_its_days_again_then() -> None:
    upload = save("text\na\n", "name")
    age(upload, 30)
    pin_upload(upload, True)
    assert upload.about.pinned and upload.about.kept_until is None
    before = upload.about
    pin_upload(upload, False)
    until = upload.about.kept_until
    assert until == pytest.approx(time.time() + KEPT_DAYS * DAY, abs=60)
    remove_expired_uploads()
    assert upload.path.exists()
    after = upload.about.model_dump(exclude={"pinned", "unpinned"})
    assert after == before.model_dump(exclude={"pinned", "unpinned"})


def test_to_unpin_what_is_not_pinned_gives_no_more_days() -> None:
    upload = save("text\na\n")
    before = upload.about.kept_until
    pin_upload(upload, False)
    assert upload.about.kept_until == before


def test_an_upload_of_a_time_before_pins_can_be_read() -> None:
    upload = save("text\na\n")
    document = upload.about.model_dump(include={"name", "size", "sha256", "created"})
    write_json(upload.path / "about.json", document)
    assert not upload.about.pinned and upload.about.kept_until == document["created"] + KEPT_DAYS * DAY


def test_a_deleted_upload_is_gone_with_all_that_was_made_of_it_and_no_other() -> None:
    upload, other = save("text\na\n"), save("text\nb\n")
    put_job(upload, "finished")
    delete_upload(upload)
    assert not upload.path.exists() and list_uploads() == [other]
    delete_upload(upload)  # a second press in another tab


@pytest.mark.parametrize("place", ["job-1", "job-1/look-2", "rows-3"])
@pytest.mark.parametrize("status", ["queued", "running"])
def test_an_upload_is_not_deleted_while_a_job_waits_or_runs(place: str, status: str) -> None:
    upload = save("text\na\n")
    job = put_job(upload, status, place)
    if status == "queued":
        with pytest.raises(JobError, match="Stop it first"):
            delete_upload(upload)
    else:
        with job.locked(), pytest.raises(JobError, match="Stop it first"):
            delete_upload(upload)
    assert upload.is_sound


def test_a_job_that_was_interrupted_keeps_nothing_from_being_deleted() -> None:
    upload = save("text\na\n")
    put_job(upload, "running")  # nobody holds its lock
    delete_upload(upload)
    assert not upload.path.exists()


def test_a_file_that_stays_where_it_lies_is_never_deleted(tmp_path: Path) -> None:
    upload, file = link(tmp_path / "tables")
    put_job(upload, "finished")
    delete_upload(upload)
    assert file.read_text() == "text\na\n" and list_uploads() == []
    upload, file = link(tmp_path / "tables")
    age(upload, 8)
    remove_expired_uploads()
    assert file.exists() and not upload.path.exists()


def test_when_a_file_that_stayed_where_it_lay_is_gone_the_rest_goes_after_its_days(tmp_path: Path) -> None:
    upload, file = link(tmp_path / "tables")
    file.unlink()
    assert list_uploads() == [] and list_damaged_uploads() == [upload]
    remove_expired_uploads()
    assert upload.path.exists()
    age(upload, 8)
    remove_expired_uploads()
    assert not upload.path.exists()


def test_a_file_that_stays_where_it_lies_is_refused_once_it_has_changed(tmp_path: Path) -> None:
    upload, file = link(tmp_path / "tables")
    upload.refuse_changed()
    file.write_text("text\nanother\n")
    with pytest.raises(TableError, match="has changed since it was chosen"):
        upload.refuse_changed()


def test_the_size_on_disk_counts_everything_in_the_folder(tmp_path: Path) -> None:
    upload, _ = link(tmp_path / "tables", "text\n" + "a\n" * 10_000)
    alone = upload.size_on_disk
    (upload.path / "job-1" / "parts").mkdir(parents=True)
    (upload.path / "job-1" / "parts" / "00000.parquet").write_bytes(bytes(12_345))
    assert upload.size_on_disk == alone + 12_345 and alone < 1_000


@pytest.fixture
def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "inbox"
    (folder / "deep" / ".hidden").mkdir(parents=True)
    for place in ("b.csv", "deep/a.xlsx", "deep/.hidden/c.csv", "notes.pdf"):
        (folder / place).write_text("text\na\n")
    monkeypatch.setenv(settings.FOLDERS_VARIABLE, str(folder))
    return folder


def test_the_page_is_offered_the_tables_of_the_folders_that_it_may_open(inbox: Path) -> None:
    assert [str(path.relative_to(inbox)) for path in list_machine_files()] == ["b.csv", "deep/a.xlsx"]


def test_without_a_word_only_the_workspace_s_inbox_may_be_opened(workspace: Path) -> None:
    assert list_machine_files() == []
    (workspace / "inbox").mkdir(parents=True)
    (workspace / "inbox" / "a.csv").write_text("text\na\n")
    assert list_machine_files() == [workspace / "inbox" / "a.csv"]


def test_a_file_in_an_allowed_folder_is_taken_where_it_lies(inbox: Path) -> None:
    upload = link_allowed_file(inbox / "b.csv")
    assert upload.table == inbox / "b.csv" and not (upload.path / "table").exists()
    assert link_allowed_file(inbox / "deep" / ".." / "b.csv") == upload


def test_no_name_and_no_link_leads_out_of_the_allowed_folders(inbox: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret.csv"
    outside.write_text("text\na\n")
    (inbox / "link.csv").symlink_to(outside)
    (tmp_path / "inbox2").mkdir()
    (tmp_path / "inbox2" / "near.csv").write_text("text\na\n")
    places = (
        outside,
        inbox / "link.csv",
        inbox / ".." / "secret.csv",
        tmp_path / "inbox2" / "near.csv",
        Path("/etc/passwd"),
    )
    for path in places:
        with pytest.raises(TableError, match=f"does not lie in a folder that may be read.*{settings.FOLDERS_VARIABLE}"):
            link_allowed_file(path)
    assert list_uploads() == []


@pytest.mark.parametrize(("name", "words"), [("missing.csv", "cannot be opened"), ("deep", "is no file")])
def test_what_is_no_file_is_refused_by_name(inbox: Path, name: str, words: str) -> None:
    with pytest.raises(TableError, match=f"'{name}' {words}"):
        link_allowed_file(inbox / name)


def test_a_link_that_leads_to_itself_is_refused(inbox: Path) -> None:
    (inbox / "loop.csv").symlink_to(inbox / "loop.csv")
    with pytest.raises(TableError, match="'loop.csv' is a link that leads to itself"):
        link_allowed_file(inbox / "loop.csv")


def test_a_name_that_is_no_text_is_refused(inbox: Path) -> None:
    path = inbox / os.fsdecode(b"\xff.csv")
    path.write_text("text\na film\n")
    with pytest.raises(TableError, match="or that of a folder is no UTF-8. Rename it"):
        link_allowed_file(path)


def test_what_a_kill_left_of_a_conversion_is_removed_by_the_next() -> None:
    upload = save('{"text": "a film"}\n', "a.jsonl")
    job = create_conversion(upload, TableOptions())
    (job.path / ".rows.csv.x").mkdir()
    (job.path / ".rows.csv.x" / "copy.csv").write_text("half")
    execute_conversion(job, JobReporter(job))
    assert {path.name for path in job.path.iterdir()} == {
        "lock", "progress.json", "request.json", "rows.csv", "rows.json", "state.json",
    }  # fmt: skip


def test_a_table_that_is_no_csv_file_is_converted_by_a_job_and_read_from_then_on() -> None:
    upload, options = save('{"text": "a film", "n": 1}\nnonsense\n{"text": "b", "n": 2}\n', "a.jsonl"), TableOptions()
    assert upload.kind == "jsonl" and not upload.is_readable(options)
    job = create_conversion(upload, options)
    execute_conversion(job, JobReporter(job))
    assert job.state.status == "finished" and upload.is_readable(options)
    table_format = upload.read_format(options)
    rows = list(read_rows(upload.rows_file(options), table_format))
    assert table_format.columns == ("text", "n") and [row.line for row in rows] == [1, 2, 3]
    assert isinstance(rows[0], Row) and rows[0].fields == ("a film", "1") and isinstance(rows[1], Reject)
    assert create_conversion(upload, options) == job and upload.is_readable(options), "what was made stays"
    assert upload.conversion(TableOptions(encoding="cp1252")) != job


def test_a_conversion_that_fails_names_the_file_as_its_owner_does() -> None:
    upload = save(b"PAR1 and nothing\0 of a table PAR1", "summer.parquet")
    job = create_conversion(upload, TableOptions())
    with pytest.raises(TableError, match=r"'summer\.parquet'"):
        execute_conversion(job, JobReporter(job))
    assert not upload.is_readable(TableOptions())


def test_a_csv_file_needs_no_conversion() -> None:
    upload = save("text\na\n")
    assert upload.kind == "csv" and upload.is_readable(TableOptions())
    assert upload.rows_file(TableOptions()) == upload.table
    with pytest.raises(TableError, match="no sheets"):
        upload.read_format(TableOptions(sheet="one"))
