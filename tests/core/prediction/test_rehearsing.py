"""Rehearsals: the first rows scored, the rows counted or estimated, the time said beforehand."""

import io
import time

import numpy as np
import pytest

from core import jobs
from core.data.tables import TableOptions
from core.errors import JobError, TableError
from core.job_folder import JobReporter
from core.model_settings import Cutoffs
from core.prediction import rehearsing
from core.prediction.bulk_job import BulkRequest
from core.prediction.predictor import Predictor
from core.prediction.rehearsing import (
    REHEARSED_ROWS,
    Duration,
    Rehearsal,
    RehearsalJob,
    create_rehearsal,
    estimate_rows,
    execute_rehearsal,
)
from core.prediction.uploads import Upload, save_upload

GOOD, BAD = "A superb and touching film", "A dull and awful film"


def save(content: str | bytes, name: str = "reviews.csv") -> Upload:
    return save_upload(io.BytesIO(content.encode() if isinstance(content, str) else content), name)


def ask(upload: Upload, columns: tuple[int, ...] = (0,), **others: object) -> BulkRequest:
    sha256 = Predictor.load("starter").sha256
    return BulkRequest.model_validate({"model": "starter", "model_sha256": sha256, "text_columns": columns, **others})


def rehearse(upload: Upload, request: BulkRequest) -> Rehearsal:
    job = create_rehearsal(upload, request)
    execute_rehearsal(job, JobReporter(job))
    result = job.result
    assert job.state.status == "finished" and result is not None
    return result


def test_the_first_200_rows_with_a_text_are_scored_as_the_job_scores_them() -> None:
    texts = [f"{GOOD if row % 3 else BAD}, number {row}" for row in range(700)]
    found = rehearse(save("id,text\n" + "".join(f'{row},"{text}"\n' for row, text in enumerate(texts))), ask_second())
    expected = Predictor.load("starter").predict(texts[:REHEARSED_ROWS])
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)
    assert found.scored == 200 and found.rejected == 0 and sum(found.counts) == 200
    assert (found.rows, found.is_counted) == (700, True)
    assert [each.row for each in found.examples] == [1, 50, 100, 150, 200]
    assert found.examples[1].text == texts[49]


def ask_second() -> BulkRequest:
    return BulkRequest(model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=(1,))


def test_several_columns_are_joined_in_their_order() -> None:
    upload = save("title,body\nSuperb,the plot drags\n")
    forth, back = (rehearse(upload, ask(upload, columns)).examples[0].text for columns in ((0, 1), (1, 0)))
    assert (forth, back) == ("Superb\nthe plot drags", "the plot drags\nSuperb")


def test_rows_without_a_text_and_broken_lines_are_told_with_line_and_reason() -> None:
    upload = save(f"id,text\n1,{GOOD}\n2,\n3,a,b\n4,{BAD}\n")
    found = rehearse(upload, ask(upload, (1,)))
    assert found.scored == 2 and found.rejected == 2 and found.rows == 4
    assert [(each.line, each.reason) for each in found.rejects] == [
        (3, "no text"), (4, "3 fields where the header has 2"),
    ]  # fmt: skip


def test_empty_rows_before_the_texts_do_not_use_up_the_200() -> None:
    upload = save("id,text\n" + "".join(f"{row},\n" for row in range(300)) + f"x,{GOOD}\n" * 250)
    found = rehearse(upload, ask(upload, (1,)))
    assert found.scored == 200 and found.rejected == 300 and len(found.rejects) == rehearsing.MOST_REJECTS


@pytest.mark.parametrize("content", ["text,n\n", "text,n\n,1\n,2\n"])
def test_a_table_without_a_text_is_no_failure(content: str) -> None:
    upload = save(content)
    found = rehearse(upload, ask(upload, options=TableOptions(has_header=True)))
    assert found.scored == 0 and found.counts.share is None and found.examples == ()
    assert found.rows == found.rejected and found.forecast(True).seconds > 0


def test_the_band_of_the_model_counts_the_sides() -> None:
    upload = save("text\n" + f"{GOOD}\n" * 5)
    cutoffs = Cutoffs(threshold=0.5, unsure_low=0.001, unsure_high=0.999999)
    assert rehearse(upload, ask(upload)).positive == 5
    assert rehearse(upload, ask(upload, cutoffs=cutoffs)).not_sure == 5


@pytest.mark.parametrize(
    ("encoding", "end"),
    [("utf-8", "\n"), ("utf-8-sig", "\r\n"), ("utf-16", "\n"), ("cp1252", "\r"), ("utf-16-le", "\n")],
)
def test_the_number_of_rows_is_estimated_from_the_bytes_of_the_first(
    encoding: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsing, "TIMED_SECONDS", 0.0)
    monkeypatch.setattr(rehearsing, "COUNTED_SECONDS", 0.0)
    rows = "".join(f'"{row:05}","Schön{end}und gut, Nummer {row:05}"{end}' for row in range(4_000))
    upload = save(f"id,text{end}{rows}".encode(encoding))
    found = rehearse(upload, ask(upload, (1,), options=TableOptions(encoding=encoding)))
    assert not found.is_counted and found.rows == pytest.approx(4_000, abs=2)


def test_an_estimate_is_never_less_than_what_was_read(tmp_path: object) -> None:
    upload = save("text\nlong long long long long\n")
    assert estimate_rows(upload.table, upload.read_format(TableOptions()), rows=1, lines=1) == 1


def test_a_forecast_counts_loading_counting_scoring_and_a_cold_start() -> None:
    found = Rehearsal(
        probabilities=(), negative=0, not_sure=0, positive=0, rejected=0, rejects=(), examples=(), seconds=0.1,
        load_seconds=2.0, rows=10_000, is_counted=True, columns=250, read_seconds=0.0001, row_seconds=0.001,
        row_seconds_low=0.0009, row_seconds_high=0.002,
    )  # fmt: skip
    # 2 s for the model, 1 s for counting, 1 s for the cells, 10 s for scoring, up to twice that; and the end. All of it
    # may take 25 % less.
    middle, most = 14 + rehearsing.END_SECONDS, 24 + rehearsing.END_SECONDS
    assert found.forecast(True) == Duration(*map(pytest.approx, (middle, 0.75 * middle, most)))
    assert found.forecast(False).seconds == pytest.approx(middle + rehearsing.START_SECONDS)


def test_the_same_choice_is_rehearsed_once_whatever_names_a_row() -> None:
    upload = save("id,text,title\n1,a,b\n")
    one = create_rehearsal(upload, ask(upload, (1,)))
    assert create_rehearsal(upload, ask(upload, (1,), id_column=0)).path == one.path
    others = [ask(upload, (1, 2)), ask(upload, (2, 1)), ask(upload, (1,), options=TableOptions(delimiter=","))]
    assert len({one.path, *(create_rehearsal(upload, each).path for each in others)}) == 4
    assert jobs.kind_of(one.path).slot == "quick"


def test_columns_that_are_not_there_are_refused_before_anything_is_made() -> None:
    upload = save("id,text\n1,a\n")
    with pytest.raises(TableError, match="There is no column 3"):
        create_rehearsal(upload, ask(upload, (2,)))
    assert not list(upload.path.glob("rehearsal-*"))


def test_a_model_that_has_changed_meanwhile_is_refused() -> None:
    upload = save("text\na film\n")
    job = create_rehearsal(upload, ask(upload).model_copy(update={"model_sha256": "0" * 64}))
    with pytest.raises(JobError, match="The model has changed"):
        execute_rehearsal(job, JobReporter(job))


def test_it_takes_little_longer_than_the_second_that_it_measures() -> None:
    upload = save("text\n" + "".join(f"{GOOD} {row}\n" for row in range(200_000)))
    job = create_rehearsal(upload, ask(upload))
    began = time.monotonic()
    execute_rehearsal(job, JobReporter(job))
    assert time.monotonic() - began < 10
    found = RehearsalJob(job.path).result
    assert found is not None and found.rows == pytest.approx(200_000, rel=0.02)
