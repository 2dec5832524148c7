"""Looks at the texts of a scored table."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.errors import JobError
from core.evaluation.words import add_counts, count_words
from core.job_folder import JobReporter, read_document
from core.jobs import kind_of
from core.prediction import bulk_looks
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk
from core.prediction.bulk_looks import (
    WORDS_CONFIG,
    LookJob,
    LookRequest,
    WordsFound,
    chosen_rows,
    create_look,
    execute_look,
    read_look_rows,
    text_looks,
)
from core.prediction.predictor import Predictor
from core.prediction.row_filter import RowFilter
from core.prediction.uploads import save_upload
from core.preprocessing.cleaning import as_text_array

GOOD, BAD = "superb, touching and delightful", "dull, awful and tedious"


def score(lines: list[str], *, text_columns: tuple[int, ...] = (1,), header: str = "product,text,more") -> BulkJob:
    upload = save_upload(io.BytesIO("\n".join([header, *lines]).encode()), "reviews.csv")
    sha256 = Predictor.load("starter").sha256
    job = create_bulk_job(upload, BulkRequest(model="starter", model_sha256=sha256, text_columns=text_columns))
    execute_bulk(job, JobReporter(job))
    return job


def reviews(n: int = 200) -> BulkJob:
    lines = [
        f'{"kettle" if number % 4 else "lamp"},"{GOOD if number % 2 else BAD} {number} <b>Steam</b>",'
        f"{'postscript' if number % 10 == 0 else ''}"
        for number in range(n)
    ]
    return score([*lines, "too,many,fields,here", "kettle,,"], text_columns=(1, 2))


def take(job: BulkJob, **request: object) -> LookJob:
    assert job.result is not None
    look = create_look(job, LookRequest.model_validate({"records": job.result.rows, **request}))
    execute_look(look, JobReporter(look))
    return look


def words_of(look: LookJob) -> WordsFound:
    return read_document(look.words_file, WordsFound)


def test_a_look_is_a_quick_job_of_its_own_and_is_found_again() -> None:
    job = reviews(20)
    look = take(job, kind="words")
    assert look.is_done and look.state.status == "finished" and kind_of(look.path).slot == "quick"
    assert look.table_job == job
    assert create_look(job, look.request).path == look.path
    assert create_look(job, LookRequest(kind="words", records=22, against="rest")).path != look.path


def test_words_that_set_positive_from_negative_are_found_on_their_sides() -> None:
    found = words_of(take(reviews(), kind="words"))
    leaning = {each.word: each.log_odds for each in found.words}
    assert (found.rows_a, found.rows_b, found.read_a, found.read_b) == (100, 100, 100, 100)
    assert all(leaning[word] > 1 for word in ("superb", "touching", "delightful"))
    assert all(leaning[word] < -1 for word in ("dull", "awful", "tedious"))
    assert next(each for each in found.words if each.word == "superb").in_b == 100


def test_any_group_is_set_from_the_rest() -> None:
    found = words_of(
        take(reviews(), kind="words", against="rest", chosen=RowFilter(side="positive", groups=((0, "kettle"),)))
    )
    assert (found.rows_a, found.rows_b) == (100, 100)  # every positive row is about a kettle
    assert max(found.words, key=lambda each: each.log_odds).word in ("superb", "touching", "delightful")


def test_of_many_rows_a_sample_is_read_and_the_same_one_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_looks, "MOST_READ", 60)
    job = reviews()
    first = words_of(take(job, kind="words"))
    assert (first.rows_a, first.rows_b, first.read_a, first.read_b) == (100, 100, 30, 30)
    few = words_of(take(job, kind="words", against="rest", chosen=RowFilter(phrase="1 <b>")))
    assert few.read_b == few.rows_b == 20 and few.read_a == 40
    look = create_look(job, LookRequest(kind="words", records=202))
    look.words_file.unlink()
    assert words_of(take(job, kind="words")) == first


def test_texts_are_counted_some_at_a_time_to_the_same_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    job = reviews()
    whole = words_of(take(job, kind="words"))
    create_look(job, LookRequest(kind="words", records=202)).words_file.unlink()
    monkeypatch.setattr(bulk_looks, "COUNTED_BYTES", 100)
    assert words_of(take(job, kind="words")) == whole


def test_counts_of_several_groups_add_up_to_those_of_all() -> None:
    texts = ["one two two", "two three", "", "three three one"]
    parts = [count_words(as_text_array(texts[:2]), WORDS_CONFIG), count_words(as_text_array(texts[2:]), WORDS_CONFIG)]
    together, whole = add_counts(parts), count_words(as_text_array(texts), WORDS_CONFIG)
    assert together.words.to_pylist() == whole.words.to_pylist() and together.n == whole.n == 4
    assert together.texts_with.tolist() == whole.texts_with.tolist()
    assert len(add_counts([]).words) == 0


def test_a_table_of_one_side_has_no_words_and_is_no_fault() -> None:
    found = words_of(take(score(["a,a superb film,"]), kind="words"))
    assert found.words == () and (found.rows_a, found.rows_b) == (0, 1)


def test_rows_that_hold_a_word_are_told_by_whole_words_of_all_text_columns() -> None:
    job = reviews()
    rows = read_look_rows(take(job, kind="rows", chosen=RowFilter(word="Superb")))
    assert rows.tolist() == [number % 2 == 1 for number in range(200)] + [False, False]
    assert read_look_rows(take(job, kind="rows", chosen=RowFilter(word="sup"))).sum() == 0
    assert read_look_rows(take(job, kind="rows", chosen=RowFilter(word="postscript"))).sum() == 20


def test_rows_that_contain_a_phrase_are_told_whatever_the_case_and_marks() -> None:
    rows = read_look_rows(take(reviews(), kind="rows", chosen=RowFilter(phrase="17 <B>steam")))
    assert np.flatnonzero(rows).tolist() == [17, 117]


def test_a_word_and_a_phrase_and_the_rest_of_a_filter_combine() -> None:
    job = reviews()
    chosen = RowFilter(word="superb", phrase="9 <b>", groups=((0, "kettle"),))
    assert len(text_looks(job, chosen)) == 2 and text_looks(job, RowFilter(side="positive")) == {}
    left = chosen_rows(job, chosen)
    assert left is not None
    assert np.flatnonzero(left).tolist() == [n for n in range(200) if n % 2 and n % 4 and n % 10 == 9]
    assert all(look.is_done for look in text_looks(job, chosen).values())
    assert chosen_rows(job, RowFilter()) is None


def test_a_stop_leaves_no_result() -> None:
    job = reviews(20)
    look = create_look(job, LookRequest(kind="rows", records=22, chosen=RowFilter(word="dull")))
    execute_look(look, JobReporter(look, also_stop=lambda: True))
    assert look.state.status == "stopped" and not look.is_done


def test_a_look_at_a_table_that_went_on_since_is_refused() -> None:
    job = reviews(20)
    look = create_look(job, LookRequest(kind="words", records=5))
    with pytest.raises(JobError, match="scored further since"):
        execute_look(look, JobReporter(look))


def test_damaged_words_are_looked_for_again() -> None:
    job = reviews()
    look = take(job, kind="words")
    look.words_file.write_text("[]")
    (look.path / "request.json").write_text("{")
    assert not look.is_done
    assert take(job, kind="words").is_done


@pytest.mark.parametrize("damage", ["garbage", "fewer rows"])
def test_damaged_rows_are_told_of_in_a_sentence(damage: str) -> None:
    look = take(reviews(), kind="rows", chosen=RowFilter(word="dull"))
    if damage == "garbage":
        look.rows_file.write_bytes(b"PAR1")
    else:
        pq.write_table(pa.table({"holds": [True, False]}), look.rows_file)
    with pytest.raises(JobError, match=r"rows\.parquet is gone or damaged"):
        read_look_rows(look)
