"""Explanations that take a second, as jobs: asked for once, kept, and found again."""

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch

from core import settings
from core.config import Section
from core.errors import JobError, ReviewscopeError
from core.files import write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.prediction.explanation import Explanation, Method, explain
from core.prediction.integrated_gradients import MOST_ROUNDS, load_captum
from core.prediction.predictor import Predictor

FORMAT_VERSION = 1  # of the results; another one gives other folders
LOOKED_AT = 9  # earlier results that say how long the next one takes


class ExplanationRequest(Section):
    """What an explanation was asked of."""

    model: str
    model_sha256: str
    text: str


class ExplanationResult(Section):
    """An ``Explanation``, and the seconds that it took."""

    pushes: tuple[float, ...]
    base: float
    missing: float
    seconds: float
    method: Method = "gradients"


@dataclass(frozen=True)
class ExplanationJob(JobFolder):
    """The folder of one text explained with one model: a job and its result."""

    @property
    def request(self) -> ExplanationRequest:
        """Return what it was asked to do."""
        return read_document(self.path / "request.json", ExplanationRequest)

    @property
    def result_file(self) -> Path:
        """Return where the result is kept; it is written last."""
        return self.path / "result.json"

    @property
    def is_done(self) -> bool:
        """Tell whether the result is there; a model and a text never change under their names."""
        return self.result_file.exists()

    @property
    def result(self) -> ExplanationResult:
        """Return what was found.

        Raises:
            ReviewscopeError: It is not there, or damaged.
        """
        return read_document(self.result_file, ExplanationResult)


def create_explanation_job(request: ExplanationRequest) -> ExplanationJob:
    """Make an explanation's folder, or find it."""
    job = ExplanationJob(explanation_folder(request.model_sha256, request.text))
    if not (job.path / "request.json").exists():
        write_json(job.path / "request.json", request.model_dump(mode="json"))
    return job


def explanation_folder(model_sha256: str, text: str) -> Path:
    """Return where the explanation of a text with a model is kept; the model's reference may change."""
    key = hashlib.sha256(f"{FORMAT_VERSION} {text}".encode()).hexdigest()[:24]
    return settings.home() / "cache" / "explanations" / model_sha256[:24] / key


def estimate_seconds(model_sha256: str, words: int) -> float | None:
    """Return how long a text of so many words takes, by a few earlier ones of the model; None without any."""
    folder = settings.home() / "cache" / "explanations" / model_sha256[:24]
    spent, read = 0.0, 0
    for path in islice(folder.glob("*/result.json"), LOOKED_AT):
        with suppress(ReviewscopeError):  # the cache may be deleted or damaged at any time
            found = ExplanationJob(path.parent).result
            spent, read = spent + found.seconds, read + len(found.pushes)
    return spent / read * words if read else None


def execute_explanation(job: ExplanationJob, reporter: JobReporter) -> None:
    """Explain the text of a job.

    Raises:
        ReviewscopeError: The model cannot be read, or is not the one that was meant.
    """
    with job.locked():
        job.save_state("running")
        request = job.request
        reporter.on_phase("Loading the model", 0)
        predictor = Predictor.load(request.model)
        if predictor.sha256 != request.model_sha256:
            raise JobError("The model has changed since this was asked for. Ask for it again.")
        load_captum()  # ahead of the clock
        reporter.on_phase("Working out which words pushed", MOST_ROUNDS)
        began = time.monotonic()

        def count_round() -> None:
            reporter.on_progress(1)
            if reporter.should_stop():
                raise _Stopped

        try:
            with _one_thread():
                found = explain(predictor, request.text, count_round)
        except _Stopped:
            job.save_state("stopped")
            return
        _save_result(job, found, time.monotonic() - began)
        job.save_state("finished")


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread while the block runs.

    The steps of a recurrent network are too small to share: a second thread saves a fifth of the time on an idle
    machine, and on a busy one the two wait for each other ten times as long as they work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _save_result(job: ExplanationJob, found: Explanation, seconds: float) -> None:
    result = ExplanationResult(
        pushes=tuple(round(push, 6) for push in found.pushes), base=found.base, missing=found.missing, seconds=seconds,
        method=found.method,
    )  # fmt: skip
    write_json(job.result_file, result.model_dump(mode="json"))


class _Stopped(Exception):
    """Nobody waits for the explanation any more."""
