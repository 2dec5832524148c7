"""Looks at a scored table that need its texts: which words set rows apart, and which rows hold a word.

Each is a job in the table's own job folder, ``job-<key>/look-<key>/``, and is taken once: the same look is found again.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from core.config import PreprocessingConfig, Section
from core.errors import JobError, ReviewscopeError
from core.evaluation.discoveries import texts_holding
from core.evaluation.words import WordCounts, WordLean, add_counts, count_words, one_sided_words
from core.files import atomic_writer, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.prediction.bulk_job import BulkJob, BulkResult, iterate_parts, part_texts
from core.prediction.facets import Facets, read_facet
from core.prediction.row_filter import RowFilter, rows_left
from core.prediction.summary import NEGATIVE, POSITIVE, Mask, sides_of

MOST_READ = 50_000  # texts whose words are counted
COUNTED_BYTES = 32 * 2**20  # of texts that are held at a time
MOST_WORDS = 10  # on each side
LEAST_TEXTS, FEWEST_TEXTS, LEAST_SHARE = 20, 3, 0.02
# How texts become words here, whatever the model: the words of two models' results can be compared.
WORDS_CONFIG = PreprocessingConfig()

Against = Literal["sides", "rest"]
FORMAT_VERSION = 3  # of the results; another one gives other folders


class LookRequest(Section):
    """What a look is to find.

    Attributes:
        kind: "words" that set rows apart, or the "rows" whose texts hold what ``chosen`` says.
        records: How many the table's parts hold; a job that went on since needs new looks.
        chosen: The rows that are looked at; of a look for rows, a word or a phrase alone.
        against: Of words: the positive of the rows against the negative ones ("sides"), or the rows against the rest.
    """

    kind: Literal["words", "rows"]
    records: int
    chosen: RowFilter = RowFilter()
    against: Against = "sides"


class WordsFound(Section):
    """The words that set group B (positive, or the chosen rows) from group A (negative, or the rest).

    Attributes:
        words: Leaning to A (below 0) or B (above 0), the most certain first.
        least: A word stands in so many of the texts that were read, or is left out.
        rows_a, rows_b: Rows of each group.
        read_a, read_b: Of these, those whose words were counted, drawn at random where they are not all.
    """

    words: tuple[WordLean, ...]
    least: int
    rows_a: int
    rows_b: int
    read_a: int
    read_b: int


@dataclass(frozen=True)
class LookJob(JobFolder):
    """One look and what it found."""

    @property
    def table_job(self) -> BulkJob:
        """Return the scoring that it looks at."""
        return BulkJob(self.path.parent)

    @property
    def request(self) -> LookRequest:
        """Return what it is to find."""
        return read_document(self.path / "request.json", LookRequest)

    @property
    def words_file(self) -> Path:
        """Return where the words that were found are kept."""
        return self.path / "words.json"

    @property
    def rows_file(self) -> Path:
        """Return where the rows that were found are kept."""
        return self.path / "rows.parquet"

    @property
    def is_done(self) -> bool:
        """Tell whether the result is there."""
        try:
            if self.request.kind == "rows":
                return self.rows_file.exists()
            return bool(read_document(self.words_file, WordsFound))
        except ReviewscopeError:
            return False


def create_look(job: BulkJob, request: LookRequest) -> LookJob:
    """Make the folder of a look, or find it."""
    asked = f"{FORMAT_VERSION} {request.model_dump_json()}"
    look = LookJob(job.path / f"look-{hashlib.sha256(asked.encode()).hexdigest()[:12]}")
    try:
        is_there = look.request == request
    except ReviewscopeError:
        is_there = False
    if not is_there:
        write_json(look.path / "request.json", request.model_dump(mode="json"))
    return look


def text_looks(job: BulkJob, chosen: RowFilter) -> dict[str, LookJob]:
    """Return the looks that tell the rows of a filter's "word" and "phrase", as far as it has them.

    Raises:
        JobError: The table is not scored.
    """
    records = _result_of(job).rows
    alone = {kind: RowFilter.model_validate({kind: getattr(chosen, kind)}) for kind in ("word", "phrase")}
    return {
        kind: create_look(job, LookRequest(kind="rows", records=records, chosen=each))
        for kind, each in alone.items()
        if not each.is_empty
    }


def read_look_rows(look: LookJob) -> Mask:
    """Return which rows of the table a look for rows has found, bool (N).

    Raises:
        JobError: The file is gone or damaged.
    """
    damaged = JobError(f"{look.rows_file} is gone or damaged. Score the table again: its rows are not read anew.")
    try:
        found: Mask = pq.read_table(look.rows_file, use_threads=False)["holds"].to_numpy()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise damaged from error
    pa.default_memory_pool().release_unused()
    if len(found) != look.request.records:
        raise damaged
    return found


def chosen_rows(job: BulkJob, chosen: RowFilter) -> Mask | None:
    """Tell which rows of a scored table a filter leaves, bool (N); None when it is empty.

    What is known of its texts is used; else they are read.

    Raises:
        JobError: The table is not scored.
    """
    found = {}
    for kind, look in text_looks(job, chosen).items():
        if not look.is_done:
            with look.locked():
                look.save_state("running")
                _find_rows(look, job, JobReporter(look))
                look.save_state("finished")
        found[kind] = read_look_rows(look)
    return rows_left(chosen, _facets_of(job), _reader(job), job.request.cutoffs, found)


def execute_look(look: LookJob, reporter: JobReporter) -> None:
    """Take a look; a stop leaves no result.

    Raises:
        ReviewscopeError: The table is not scored any more, or the result cannot be written.
    """
    job, request = look.table_job, look.request
    if _result_of(job).rows != request.records:
        raise JobError("The table was scored further since this look was asked for. Ask for it again.")
    with look.locked():
        look.save_state("running")
        is_whole = (_find_words if request.kind == "words" else _find_rows)(look, job, reporter)
        look.save_state("finished" if is_whole else "stopped")


def _find_rows(look: LookJob, job: BulkJob, reporter: JobReporter) -> bool:
    """Write which rows hold the word or the phrase; tell whether all were read."""
    chosen, text_columns = look.request.chosen, job.request.text_columns
    reporter.on_phase("Reading the texts", look.request.records)
    found = [np.zeros(0, np.bool_)]
    for part in iterate_parts(job, _columns(job)):
        texts = part_texts(part, text_columns)
        if chosen.word:
            holds = texts_holding(texts, chosen.word, WORDS_CONFIG)
        else:
            holds = pc.match_substring(texts, chosen.phrase, ignore_case=True).to_numpy(zero_copy_only=False)
        found.append(holds)
        reporter.on_progress(len(part))
        if reporter.should_stop():
            return False
    with atomic_writer(look.rows_file) as file:
        pq.write_table(pa.table({"holds": np.concatenate(found)}), file)
    return True


def _find_words(look: LookJob, job: BulkJob, reporter: JobReporter) -> bool:
    """Write the words that set two groups of rows apart; tell whether all were read."""
    request = look.request
    reporter.on_phase("Choosing the rows", 0)
    group_a, group_b = _groups(job, request)
    rng = np.random.default_rng(0)
    read_a = _draw(group_a, max(MOST_READ // 2, MOST_READ - int(group_b.sum())), rng)
    read_b = _draw(group_b, MOST_READ - int(read_a.sum()), rng)
    reporter.on_phase("Reading the texts", request.records)
    counts: tuple[list[WordCounts], list[WordCounts]] = ([], [])
    for texts, masks in _batches(job, (read_a, read_b), reporter):
        for number, mask in enumerate(masks):
            counts[number].append(count_words(texts.filter(pa.array(mask)), WORDS_CONFIG))
        if reporter.should_stop():
            return False
    reporter.on_phase("Comparing the words", 0)
    read = int(read_a.sum()) + int(read_b.sum())
    least = min(LEAST_TEXTS, max(FEWEST_TEXTS, round(LEAST_SHARE * read)))
    words = one_sided_words(add_counts(counts[0]), add_counts(counts[1]), most=MOST_WORDS, least_texts=least)
    found = WordsFound(
        words=tuple(words), least=least, rows_a=int(group_a.sum()), rows_b=int(group_b.sum()),
        read_a=int(read_a.sum()), read_b=int(read_b.sum()),
    )  # fmt: skip
    write_json(look.words_file, found.model_dump(mode="json"))
    return True


def _groups(job: BulkJob, request: LookRequest) -> tuple[Mask, Mask]:
    """Return the rows of groups A and B, bool (N) each."""
    sides = sides_of(read_facet(job.facets_file, "logit"), job.request.cutoffs)
    chosen = chosen_rows(job, request.chosen)
    left = sides >= 0 if chosen is None else chosen
    if request.against == "sides":
        return left & (sides == NEGATIVE), left & (sides == POSITIVE)
    return (sides >= 0) & ~left, left


def _draw(group: Mask, most: int, rng: np.random.Generator) -> Mask:
    """Return ``most`` rows of a group, drawn at random, or all of a smaller one."""
    places = np.flatnonzero(group)
    if len(places) <= most:
        return group
    drawn = np.zeros_like(group)
    drawn[rng.choice(places, most, replace=False)] = True
    return drawn


def _batches(
    job: BulkJob, masks: tuple[Mask, ...], reporter: JobReporter
) -> Iterator[tuple[pa.Array, tuple[Mask, ...]]]:
    """Give the texts of the rows of either mask, some MB of them at a time, with the masks of these texts."""
    text_columns, start = job.request.text_columns, 0
    texts: list[pa.Array] = []
    here: list[NDArray[np.int64]] = []
    for part in iterate_parts(job, _columns(job)):
        wanted = np.flatnonzero(np.logical_or.reduce([mask[start : start + len(part)] for mask in masks]))
        texts.append(part_texts(part.take(pa.array(wanted)), text_columns))
        here.append(wanted + start)
        start += len(part)
        reporter.on_progress(len(part))
        if sum(each.nbytes for each in texts) >= COUNTED_BYTES:
            places = np.concatenate(here)
            yield pa.concat_arrays(texts), tuple(mask[places] for mask in masks)
            texts, here = [], []
    if texts:
        places = np.concatenate(here)
        yield pa.concat_arrays(texts), tuple(mask[places] for mask in masks)


def _columns(job: BulkJob) -> list[str]:
    return [f"c{place}" for place in dict.fromkeys(job.request.text_columns)]


def _reader(job: BulkJob) -> Callable[[str], NDArray[Any]]:
    return lambda name: read_facet(job.facets_file, name)


def _facets_of(job: BulkJob) -> Facets:
    return _result_of(job).facets


def _result_of(job: BulkJob) -> BulkResult:
    result = job.result
    if result is None:
        raise JobError("The table is not scored, or its result is gone. Score it again.")
    return result
