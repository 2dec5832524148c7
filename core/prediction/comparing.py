"""Two models on the same split: their results side by side."""

from collections.abc import Callable

import numpy as np

from core.config import RunConfig
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import choose_split, load_columns
from core.errors import ReviewscopeError
from core.evaluation.comparison import Comparison, compare_paired
from core.model_settings import load_settings
from core.prediction.evaluating import EvaluationJob, evaluate_split, evaluation_folder, load_results
from core.prediction.exchange import check_model
from core.prediction.predictor import Predictor
from core.runs import find_model


def load_comparison(sha_a: str, sha_b: str, data_fingerprint: str, split: str) -> Comparison | None:
    """Return how two models compare on a split, each with its own threshold, or None until both have read it.

    Args:
        sha_a: The SHA-256 of the model A.
        sha_b: That of B.
        data_fingerprint: Of the whole data set.
        split: The split's name.

    Raises:
        ReviewscopeError: The results cannot be read, or are not of the same reviews.
    """
    jobs = [EvaluationJob(evaluation_folder(sha256, data_fingerprint, split)) for sha256 in (sha_a, sha_b)]
    if not all(job.is_done for job in jobs):
        return None
    a, b = (load_results(job.results_file) for job in jobs)
    if not np.array_equal(a.labels, b.labels):
        raise ReviewscopeError(
            f"The results in {jobs[0].path} and {jobs[1].path} are not of the same reviews. Delete both folders and "
            "score the split again."
        )
    cut_a, cut_b = (load_settings(sha256).cut for sha256 in (sha_a, sha_b))
    return compare_paired(a.labels, a.logits - cut_a, b.logits - cut_b)


def compare_models(
    reference_a: str,
    reference_b: str,
    config: RunConfig,
    split: str,
    on_progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Compare two models on a split, scoring in this process what is not scored yet; the scores are kept.

    Args:
        reference_a: What ``find_model`` takes.
        reference_b: Likewise.
        config: Says which data; the split "valid" is cut by its fraction and seed.
        split: The split's name.
        on_progress: Is told of each batch's reviews while a model is scored.

    Raises:
        ReviewscopeError: A model or the data cannot be read, or the split has no review.
    """
    shas = [check_model(find_model(reference)) for reference in (reference_a, reference_b)]
    splits = load_columns(config.data)
    rows, data_fingerprint = choose_split(splits, split, config), fingerprint(splits)
    for reference, sha256 in zip((reference_a, reference_b), shas, strict=True):
        if not EvaluationJob(evaluation_folder(sha256, data_fingerprint, split)).is_done:
            _score(reference, rows, data_fingerprint, split, on_progress)
    sha_a, sha_b = shas
    comparison = load_comparison(sha_a, sha_b, data_fingerprint, split)
    assert comparison is not None
    return comparison


def _score(
    reference: str, rows: LabelledTexts, data_fingerprint: str, split: str, on_progress: Callable[[int], None] | None
) -> None:
    evaluate_split(Predictor.load(find_model(reference)), rows, data_fingerprint, split, on_progress)
