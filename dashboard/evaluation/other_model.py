"""The other model that the page's model is compared with, on the same reviews."""

from dataclasses import replace

import numpy as np

from core.errors import ReviewscopeError
from core.evaluation.selection import PAIRS, Mask, Pair, Results, Selection, pair_mask
from core.model_settings import load_settings
from core.prediction.evaluating import EvaluationJob, evaluation_folder
from dashboard.cache import load_predictor, load_verdicts
from dashboard.evaluation.choices import ModelChoice, list_models, other_from_url
from dashboard.evaluation.view import Scored, View

CUT_BY_SEED = ("train", "valid")


def list_others(view: View) -> list[ModelChoice]:
    """Return every model but the page's own."""
    return [model for model in list_models() if model.reference != view.model.reference]


def chosen_other(others: list[ModelChoice]) -> ModelChoice | None:
    """Return the one of them that the URL names."""
    return next((model for model in others if model.reference == other_from_url()), None)


def other_view(view: View, other: ModelChoice) -> View:
    """Return the other model on the page's split.

    Raises:
        ReviewscopeError: The model cannot be read, or it takes other reviews for validation.
    """
    own, its = view.data.config, other.config
    cuts = [(config.data.validation_fraction, config.split_seed) for config in (own, its)]
    if view.data.split in CUT_BY_SEED and cuts[0] != cuts[1]:
        raise ReviewscopeError(
            "The two cut training and validation reviews apart in different ways, so one has learned from reviews that "
            "the other is judged by. Choose the test set above to compare them."
        )
    sha256 = load_predictor(other.reference).sha256
    job = EvaluationJob(evaluation_folder(sha256, view.fingerprint, view.data.split))
    return View(other, view.data, job, view.rows, sha256, view.fingerprint)


def load_other(view: View) -> Results:
    """Return the verdicts of an other model, by its own threshold, on the page's split.

    Raises:
        ReviewscopeError: They are not of the page's reviews.
    """
    results = load_verdicts(view.job)
    if not np.array_equal(results.labels, view.rows.labels):
        raise ReviewscopeError(
            f"The scores in {view.job.path} are not of these reviews. Delete that folder and score the split again."
        )
    return replace(results, cut=load_settings(view.sha256).cut)


def find_other(view: Scored) -> Results | None:
    """Return the other model's verdicts when one is chosen that has scored the page's split; else None."""
    other = chosen_other(list_others(view))
    if other is None:
        return None
    try:
        its = other_view(view, other)
        return load_other(its) if its.job.is_done else None
    except ReviewscopeError:
        return None  # the section Two runs says why


def filter_pair(view: Scored, selection: Selection) -> Mask:
    """Return which reviews the two models read as the selection's ``pair`` says, bool (N); none without another."""
    other = find_other(view)
    if other is None or selection.pair is None:
        return np.zeros(len(view.results), np.bool_)
    return pair_mask(selection.pair, view.results, other)


def count_pairs(here: Results, other: Results) -> dict[Pair, int]:
    """Return how many reviews there are of each pair."""
    return {pair: int(pair_mask(pair, here, other).sum()) for pair in PAIRS}
