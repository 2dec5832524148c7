"""What the evaluation page looks at: a model's verdicts on a split."""

from dataclasses import dataclass

from core.data.labelled import LabelledTexts
from core.errors import ReviewscopeError
from core.evaluation.selection import Results
from core.job_folder import JobFolder, JobState
from core.model_settings import ModelSettings, load_settings
from core.prediction.evaluating import Evaluation, EvaluationJob
from dashboard.cache import load_evaluation, load_verdicts
from dashboard.evaluation.choices import DataChoice, ModelChoice


@dataclass(frozen=True)
class View:
    """A model and a split that the page shows.

    Attributes:
        model: The model.
        data: The split.
        job: The scoring of one by the other.
        rows: The split's texts and labels (N).
        sha256: The model's.
        fingerprint: Of the whole data set.
    """

    model: ModelChoice
    data: DataChoice
    job: EvaluationJob
    rows: LabelledTexts
    sha256: str
    fingerprint: str

    @property
    def settings(self) -> ModelSettings:
        """Return the model's threshold and band."""
        return load_settings(self.sha256)


@dataclass(frozen=True)
class Scored(View):
    """A view whose split is scored.

    Attributes:
        evaluation: Its figures.
        results: The verdicts on its N reviews.
    """

    evaluation: Evaluation
    results: Results


def open_scores(view: View) -> Scored:
    """Return a view whose split is scored, with its figures.

    Raises:
        ReviewscopeError: What is kept of the scoring cannot be read.
    """
    evaluation, results = load_evaluation(view.job), load_verdicts(view.job)
    if len(results) != len(view.rows):
        raise ReviewscopeError(
            f"{view.job.results_file} holds {len(results):,} scores for {len(view.rows):,} reviews. Score them again."
        )
    return Scored(**vars(view), evaluation=evaluation, results=results)


def state_of(job: JobFolder) -> JobState | None:
    """Return where a job stands, or None before there is one; one whose state cannot be read has failed."""
    try:
        return job.state if job.exists else None
    except ReviewscopeError as error:
        return JobState(status="failed", message=str(error))


def capital(sentence: str) -> str:
    """Begin a sentence with ``the``; a run's own name stays as it is written."""
    return f"T{sentence[1:]}" if sentence.startswith("the ") else sentence
