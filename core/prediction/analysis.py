"""Closer looks at a scored split that take seconds: jobs whose results are kept and can be found again.

A look is a function from a ``Subject`` to a document and perhaps a table of N rows; ``ANALYSES`` lists them all. Each
has a folder ``cache/analyses/<kind>/<key>/``, so that the same look at the same model and data is taken once.
"""

import hashlib
import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, JsonValue

from core import settings
from core.config import RunConfig, Section
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import choose_split, load_columns
from core.errors import JobError, ReviewscopeError
from core.evaluation.selection import Results
from core.files import atomic_writer, read_json, remove_files, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.prediction.evaluating import EvaluationJob, evaluation_folder, load_results
from core.prediction.predictor import Predictor

# Where each kind of look is written; imported only when one is taken.
ANALYSES: Mapping[str, str] = {
    "neighbours": "core.prediction.neighbours",
    "robustness": "core.prediction.robustness",
    "themes": "core.prediction.theming",
}
# These depend on how training and validation reviews are told apart, whatever split is looked at.
NEEDS_TRAIN = ("neighbours",)
WITH_TABLE = ("neighbours", "themes")
FORMAT_VERSION = 1  # of the results; another one gives other folders


class Finding(NamedTuple):
    """What a look found: plain JSON values, and perhaps a table of one row a review, in the split's order."""

    document: dict[str, Any]
    table: pa.Table | None = None


class AnalysisRequest(Section):
    """What an analysis was asked to do; ``options`` are those of its kind."""

    kind: str
    model: str
    model_sha256: str
    data_fingerprint: str
    split: str
    config: RunConfig
    options: dict[str, JsonValue] = Field(default_factory=dict)


@dataclass(frozen=True)
class AnalysisJob(JobFolder):
    """The folder of one look: a job and its result."""

    @property
    def request(self) -> AnalysisRequest:
        """Return what it was asked to do."""
        return read_document(self.path / "request.json", AnalysisRequest)

    @property
    def document_file(self) -> Path:
        """Return where the document is kept; it is written last."""
        return self.path / "result.json"

    @property
    def table_file(self) -> Path:
        """Return where the table is kept, of the kinds that have one."""
        return self.path / "result.parquet"

    @property
    def is_done(self) -> bool:
        """Tell whether the result is there."""
        return self.document_file.exists()

    @property
    def kind(self) -> str:
        """Return which of ``ANALYSES`` it is, also where the request cannot be read."""
        return self.path.parent.name

    def read_document(self) -> dict[str, Any]:
        """Return what was found.

        Raises:
            ReviewscopeError: It cannot be read.
        """
        document = read_json(self.document_file)
        if not isinstance(document, dict) or not document:
            raise JobError(f"{self.document_file} is damaged: it holds no result. Look again.")
        return document

    def read_table(self) -> pa.Table:
        """Return the table that was found.

        Raises:
            ReviewscopeError: It cannot be read.
        """
        try:
            return pq.read_table(self.table_file)
        except (OSError, ValueError) as error:  # pyarrow's own errors are ValueErrors
            raise JobError(f"Could not read {self.table_file} ({str(error)[:200]}). Look again.") from error

    def discard(self) -> None:
        """Remove the result, so that the look can be taken anew.

        Raises:
            ReviewscopeError: It cannot be removed.
        """
        remove_files(self.document_file, self.table_file)


@dataclass(frozen=True)
class Subject:
    """What is looked at.

    Attributes:
        predictor: The model.
        rows: The split's texts and labels (N).
        results: The verdicts on them.
        splits: The whole data set, of which ``split`` is a part; the train split holds validation's reviews too.
        split: The split's name.
        config: Says how the splits are cut.
    """

    predictor: Predictor
    rows: LabelledTexts
    results: Results
    splits: Mapping[str, LabelledTexts] = field(repr=False)
    split: str
    config: RunConfig

    @cached_property
    def train(self) -> LabelledTexts:
        """Return the reviews that a run of this config is trained on."""
        return choose_split(self.splits, "train", self.config)


class Look(Protocol):
    """A function that ``ANALYSES`` names."""

    def __call__(self, subject: Subject, options: Mapping[str, Any], reporter: JobReporter) -> Finding: ...


def create_analysis_job(request: AnalysisRequest) -> AnalysisJob:
    """Make the folder of a look, or find it; a request that was damaged since is written anew."""
    job = AnalysisJob(analysis_folder(request))
    try:
        is_there = job.request.kind == request.kind
    except ReviewscopeError:
        is_there = False
    if not is_there:
        write_json(job.path / "request.json", request.model_dump(mode="json"))
    return job


def analysis_folder(request: AnalysisRequest) -> Path:
    """Return where a look is kept; the model's reference may change, what it is stays."""
    depends: list[Any] = [FORMAT_VERSION, request.model_dump(mode="json", exclude={"model", "config"})]
    if request.kind in NEEDS_TRAIN or request.split in ("train", "valid"):
        depends += [request.config.data.validation_fraction, request.config.split_seed]
    key = hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:24]
    return settings.home() / "cache" / "analyses" / request.kind / key


def execute_analysis(job: AnalysisJob, reporter: JobReporter) -> None:
    """Take the look that a folder asks for.

    Raises:
        ReviewscopeError: Data or model cannot be read, are not those that were meant, or the split is not scored.
    """
    with job.locked():
        job.save_state("running")
        reporter.on_phase("Loading the data", 0)
        request = job.request
        look: Look = importlib.import_module(ANALYSES[request.kind]).look
        finding = look(load_subject(request), request.options, reporter)
        if finding.table is not None:
            with atomic_writer(job.table_file) as file:
                pq.write_table(finding.table, file)
        write_json(job.document_file, finding.document)
        job.save_state("finished")


def load_subject(request: AnalysisRequest) -> Subject:
    """Load model, data and verdicts of a request.

    Raises:
        ReviewscopeError: As ``execute_analysis``.
    """
    splits = load_columns(request.config.data)
    predictor = Predictor.load(request.model)
    if (predictor.sha256, fingerprint(splits)) != (request.model_sha256, request.data_fingerprint):
        raise JobError("The model or the data has changed since this was asked for. Ask for it again.")
    scored = EvaluationJob(evaluation_folder(predictor.sha256, request.data_fingerprint, request.split))
    if not scored.is_done:
        raise JobError(f"The {request.split} split is not scored with this model any more. Score it, then ask again.")
    rows = choose_split(splits, request.split, request.config)
    return Subject(predictor, rows, load_results(scored.results_file), splits, request.split, request.config)
