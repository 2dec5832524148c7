"""A reader's verdicts on labels: kept by data set in ``datasets/<fingerprint>/verdicts.jsonl``, never with a text.

A line names a review by the data's own split and row, counted before validation is cut from train, so that a verdict
holds for every run on the data. The last line for a row counts; an empty fault takes the verdict back. Of a corrected
training set the verdicts are kept with those of the data that it was made from.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from core import settings
from core.config import DataConfig, RunConfig, Section, describe_faults
from core.data.corrections import Corrections, LabelChange, correct_labels, find_corrections, save_corrections
from core.data.labelled import LabelledTexts, cut_stratified
from core.errors import DataError, ReviewscopeError
from core.evaluation.adjudication import CANNOT_TELL, LABEL_RIGHT, LABEL_WRONG
from core.files import hold_lock, sync_file

FORMAT = "reviewscope-verdicts/1"
MOST_BYTES = 20_000_000  # of a file to import
MOST_LINE = 2_000  # bytes; a verdict takes some 200
Fault = Literal["model", "label", "unsure"]
FAULTS: Mapping[Fault, str] = {"model": "Model is wrong", "label": "Label is wrong", "unsure": "Cannot tell"}
# What each says of the label alone: where the model agrees with a right label, nobody is wrong.
JUDGED: Mapping[Fault, int] = {"model": LABEL_RIGHT, "label": LABEL_WRONG, "unsure": CANNOT_TELL}
BUSY = "The verdicts are being written by another tab or program. Try again."

BaseSplit = Literal["train", "test", "all"]
Source = Literal["suspect", "agreement", "drawer", "neighbour"]
Reviews = dict[tuple[str, int], "LabelReview"]


class LabelReview(Section):
    """A reader's verdict on one label.

    Attributes:
        split: The data's own split: train holds validation's reviews too; all is a table as a whole.
        row: The review's row in it, from 0.
        label: The label that was judged, 0 or 1.
        fault: A key of ``FAULTS``; empty takes the verdict back.
        source: How the reader came to it.
        model_sha256: The model whose evaluation it was read in.
        time: Seconds since 1970.
    """

    split: BaseSplit
    row: int = Field(ge=0)
    label: Literal[0, 1]
    fault: Fault | Literal[""]
    source: Source
    model_sha256: str = Field(max_length=64)
    time: float


class Imported(NamedTuple):
    """What an import came to: verdicts taken up, and those left out because a newer one, or the same, is here."""

    added: int
    kept: int


def reviews_file(fingerprint: str) -> Path:
    """Return where the verdicts on a data set's labels are kept."""
    return settings.home() / "datasets" / fingerprint / "verdicts.jsonl"


def home_fingerprint(data: DataConfig, fingerprint: str) -> str:
    """Return the fingerprint that the verdicts of a data set are kept under: of a corrected one, that of its origin."""
    return fingerprint if data.corrections is None else find_corrections(data.corrections).base_fingerprint


def base_rows(
    splits: Mapping[str, LabelledTexts], split: str, config: RunConfig
) -> tuple[BaseSplit, NDArray[np.int64] | None]:
    """Return the data's own split behind a split that a config cuts, and the row in it of each of its N reviews.

    Args:
        splits: The whole data set, as ``load_columns`` gives it for the config.
        split: train, valid, test or all, as ``choose_split`` takes it.
        config: Says how validation is cut.

    Returns:
        The split, and int64 (N), ascending; None where every review stands at its own row.
    """
    if split == "test":
        return "test", None
    if split == "all":
        return "all", None
    data = config.data
    rows, valid_rows = cut_stratified(splits["train"].labels, data.validation_fraction, config.split_seed)
    return "train", rows if split == "train" else valid_rows


def add_review(fingerprint: str, review: LabelReview) -> None:
    """Append a verdict, safely beside other tabs and programs.

    Raises:
        ReviewscopeError: It cannot be written.
    """
    _append(fingerprint, [review])


def read_reviews(fingerprint: str) -> Reviews:
    """Return the verdicts that hold, by split and row; a last line that was torn is skipped.

    Raises:
        ReviewscopeError: The file cannot be read, or a line of it is damaged.
    """
    path = reviews_file(fingerprint)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ReviewscopeError(f"Could not read {path}: {error.strerror or error}.") from error
    found: Reviews = {}
    for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
        review = _parse(line, f"{path}, line {number}", "Remove the line, or restore the file from a copy.")
        found.pop((review.split, review.row), None)
        if review.fault:
            found[review.split, review.row] = review
    return found


def judge_labels(
    reviews: Reviews, split: BaseSplit, rows: NDArray[np.int64] | None, labels: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Return how each of N labels was judged, as ``core.evaluation.adjudication`` numbers it, int8 (N); 0: it was not.

    A verdict on another label than the review has now (one that was corrected since) does not count.

    Args:
        reviews: All verdicts on the data.
        split: From ``base_rows``.
        rows: From ``base_rows``.
        labels: Of the N reviews, int64 (N).
    """
    judged = np.zeros(len(labels), np.int8)
    chosen = [review for (where, _), review in reviews.items() if where == split]
    wanted = np.array([review.row for review in chosen], np.int64)
    places = wanted if rows is None else np.searchsorted(rows, wanted)
    for review, place in zip(chosen, places.tolist(), strict=True):
        if not review.fault:
            continue
        if place < len(labels) and (rows is None or rows[place] == review.row) and labels[place] == review.label:
            judged[place] = JUDGED[review.fault]
    return judged


def export_reviews(fingerprint: str) -> bytes:
    """Return the verdicts that hold as JSON lines under a line that names the data."""
    lines: list[Any] = [{"format": FORMAT, "data_fingerprint": fingerprint}]
    lines += [review.model_dump(mode="json") for review in read_reviews(fingerprint).values()]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def import_reviews(fingerprint: str, splits: Mapping[str, LabelledTexts], content: bytes) -> Imported:
    """Take up verdicts that ``export_reviews`` gave, unless the same review was judged later here.

    Args:
        fingerprint: Of the data that they are to be verdicts on.
        splits: That data, or a corrected version of it.
        content: The file.

    Raises:
        DataError: It is no such file, belongs to other data, or a line is damaged; nothing was taken up then.
    """
    incoming = list(_read_export(fingerprint, splits, content))
    here = read_reviews(fingerprint)
    newer = [
        review
        for review in incoming
        if (known := here.get((review.split, review.row))) is None or known.time < review.time
    ]
    _append(fingerprint, newer)
    return Imported(len(newer), len(incoming) - len(newer))


def propose_changes(reviews: Reviews, labels: NDArray[np.int64]) -> tuple[LabelChange, ...]:
    """Return the labels of the training set that a reader judged wrong.

    Only verdicts on the train split count, whose reviews validation is cut from. What was read of test never feeds
    training, and a table read as a whole holds its test reviews.

    Args:
        reviews: All verdicts on the data.
        labels: Of the train split as it came, int64 (N).
    """
    changes = []
    for (split, row), review in sorted(reviews.items()):
        if split != "train" or row >= len(labels):
            continue
        old = int(labels[row])
        new = 1 - review.label if review.fault == "label" else review.label
        if new != old:
            changes.append(LabelChange.model_validate({"row": row, "old": old, "new": new}))
    return tuple(changes)


def make_corrections(splits: Mapping[str, LabelledTexts], reviews: Reviews) -> Corrections:
    """Make and keep a new version of a training set, with the labels corrected that a reader judged wrong.

    Args:
        splits: The data as it came, without corrections.
        reviews: All verdicts on it.

    Raises:
        ReviewscopeError: No label of the training set was judged wrong, or the list cannot be written.
    """
    corrections = correct_labels(splits, propose_changes(reviews, splits["train"].labels))
    save_corrections(corrections)
    return corrections


def _append(fingerprint: str, reviews: Iterable[LabelReview]) -> None:
    path = reviews_file(fingerprint)
    content = b"".join(json.dumps(review.model_dump(mode="json")).encode() + b"\n" for review in reviews)
    with hold_lock(path.with_name("verdicts.lock"), BUSY, seconds=5.0):
        try:
            with path.open("a+b") as file:
                end = file.seek(0, 2)
                file.seek(max(end - MOST_LINE, 0))
                tail = file.read()
                if tail and not tail.endswith(b"\n"):  # torn by a kill or a full disk: nobody was told that it is kept
                    file.truncate(end - len(tail) + tail.rfind(b"\n") + 1)
                file.write(content)
            sync_file(path)
        except OSError as error:
            raise ReviewscopeError(
                f"Could not write {path}: {error.strerror or error}. The verdicts before are unchanged. Free some disk "
                "space or check the folder's permissions, then try again."
            ) from error


def _read_export(fingerprint: str, splits: Mapping[str, LabelledTexts], content: bytes) -> Iterable[LabelReview]:
    expected = "Expected the JSON lines that Export gives."
    if len(content) > MOST_BYTES:
        raise DataError(f"The file is larger than {MOST_BYTES:,} bytes, so it holds no verdicts of ours. {expected}")
    lines = content.splitlines()
    try:
        header = json.loads(lines[0]) if lines else None
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DataError(f"The first line does not say that the file holds verdicts on labels. {expected}")
    if (other := header.get("data_fingerprint")) != fingerprint:
        raise DataError(
            f"These are verdicts on other data (fingerprint {str(other)[:12]}, here {fingerprint[:12]}). Choose the "
            "model and data that they were exported from, then import them there."
        )
    sizes = {name: len(split) for name, split in splits.items()}
    sizes["all"] = sum(sizes.values())
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        review = _parse(line, f"Line {number}", f"Nothing was imported. {expected}")
        if review.row >= sizes[review.split]:
            raise DataError(
                f"Line {number} judges row {review.row:,} of {review.split}, which has {sizes[review.split]:,}. "
                "Nothing was imported. Correct or remove the line."
            )
        yield review


def _parse(line: bytes, where: str, advice: str) -> LabelReview:
    try:
        return LabelReview.model_validate(json.loads(line))
    except ValidationError as error:
        raise DataError(f"{where} is no verdict on a label: {describe_faults(error)[:300]}. {advice}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON ({str(error)[:100]}). {advice}") from error
