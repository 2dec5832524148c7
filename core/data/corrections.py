"""Corrected training sets: lists of labels that a reader judged wrong, each a new version of the data it belongs to.

A list lies in ``datasets/<fingerprint of the data as it came>/corrections/<id>.json`` and never changes: its id is made
of what is in it. A config names it in ``data.corrections``; ``load_columns`` applies it, to the train split alone.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from core import settings
from core.config import CORRECTIONS_ID, Section, describe_faults
from core.data.labelled import LabelledTexts, fingerprint
from core.errors import DataError
from core.files import read_json, write_json

Label = Literal[0, 1]


class LabelChange(Section):
    """One label of the train split, as it was and as it is to be; ``row`` counts before validation is cut off."""

    row: int = Field(ge=0)
    old: Label
    new: Label


class Corrections(Section):
    """A change list: from the data with one fingerprint to that with another."""

    format: Literal["reviewscope-corrections/1"] = "reviewscope-corrections/1"
    base_fingerprint: str
    fingerprint: str
    changes: tuple[LabelChange, ...]

    @property
    def corrections_id(self) -> str:
        """Return what a config calls it: the same changes of the same data have the same id."""
        changes = " ".join(f"{change.row}:{change.old}>{change.new}" for change in self.changes)
        # Begins with a letter, so that no command line takes it for a number.
        return "c" + hashlib.sha256(f"{self.base_fingerprint} {changes}".encode()).hexdigest()[:11]

    @property
    def file(self) -> Path:
        """Return where it is kept."""
        folder = settings.home() / "datasets" / self.base_fingerprint / "corrections"
        return folder / f"{self.corrections_id}.json"

    def apply(self, splits: Mapping[str, LabelledTexts]) -> dict[str, LabelledTexts]:
        """Return the splits with the changed labels in train; no other split is touched.

        Raises:
            DataError: A row is missing, or has not the label that is to be changed.
        """
        labels = splits["train"].labels.copy()
        for change in self.changes:
            if change.row >= len(labels) or labels[change.row] != change.old:
                raise _other_data(self.corrections_id)
            labels[change.row] = change.new
        return {**splits, "train": LabelledTexts(splits["train"].texts, labels)}


def correct_labels(splits: Mapping[str, LabelledTexts], changes: tuple[LabelChange, ...]) -> Corrections:
    """Return the change list that leads from a data set as it came to the one with the changes; it is not kept yet.

    Raises:
        DataError: There is no change, or a change does not fit the data.
    """
    if not changes:
        raise DataError("No label of the training set was judged wrong, so that there is nothing to correct.")
    base = fingerprint(splits)
    draft = Corrections(base_fingerprint=base, fingerprint=base, changes=changes)
    return draft.model_copy(update={"fingerprint": fingerprint(draft.apply(splits))})


def save_corrections(corrections: Corrections) -> None:
    """Keep a change list; one that is there already stays as it is."""
    if not corrections.file.exists():
        write_json(corrections.file, corrections.model_dump(mode="json"))


def find_corrections(corrections_id: str) -> Corrections:
    """Return the change list of an id.

    Raises:
        DataError: There is none, or its file is damaged.
    """
    known = re.fullmatch(CORRECTIONS_ID, corrections_id)
    paths = list((settings.home() / "datasets").glob(f"*/corrections/{corrections_id}.json")) if known else []
    if not paths:
        raise DataError(
            f"There are no corrections {corrections_id[:40]!r} in {settings.home() / 'datasets'}. They are made on the "
            "Evaluation page under Whose fault?. Choose the data without them, or make them again from the verdicts."
        )
    try:
        found = Corrections.model_validate(read_json(paths[0]))
    except ValidationError as error:
        raise DataError(f"{paths[0]} is no change list: {describe_faults(error)[:300]}. Make it again.") from error
    if found.file != paths[0]:
        raise DataError(f"{paths[0]} is not what it was when it was made. Make the corrections again.")
    return found


def load_corrected(splits: Mapping[str, LabelledTexts], corrections_id: str) -> dict[str, LabelledTexts]:
    """Return a data set as it came with the labels of a change list corrected.

    Raises:
        DataError: There is no such list, or it was made for other data.
    """
    corrections = find_corrections(corrections_id)
    corrected = corrections.apply(splits)
    if fingerprint(corrected) != corrections.fingerprint:
        raise _other_data(corrections_id)
    return corrected


def _other_data(corrections_id: str) -> DataError:
    return DataError(
        f"The corrections {corrections_id} were made for other data: its reviews or labels have changed since. "
        "Bring that data back, or make the corrections again from verdicts on this one."
    )
