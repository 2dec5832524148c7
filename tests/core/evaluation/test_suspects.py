"""The list of suspected label errors: what is on it, in which order, and where there is none."""

import numpy as np
import pytest

from core import settings
from core.errors import DataError
from core.evaluation.selection import Results
from core.evaluation.suspects import rank_suspects
from core.prediction.predictor import probability_of
from tests.benchmarks.label_errors import LEAST, count_flipped, score_imdb


def results_of(labels: list[int], logits: list[float], cut: float = 0.0) -> Results:
    scores = np.array(logits, np.float64)
    return Results(np.array(labels, np.int64), scores, probability_of(scores), cut)


def test_the_least_probable_label_comes_first_and_agreements_are_no_suspects() -> None:
    suspects = rank_suspects(results_of([1, 0, 1, 0, 1], [-1.0, 3.0, 2.0, -2.0, -0.5]), "test")
    assert suspects.rows.tolist() == [1, 0, 4]
    assert suspects.probabilities == pytest.approx([1 / (1 + np.e**3), 1 / (1 + np.e), 1 / (1 + np.e**0.5)])


def test_the_temperature_moves_the_probabilities_and_never_the_rank() -> None:
    results = results_of([1, 0, 1], [-1.0, 3.0, -2.0])
    plain, calibrated = rank_suspects(results, "valid"), rank_suspects(results, "valid", 2.0)
    assert calibrated.rows.tolist() == plain.rows.tolist() == [1, 2, 0]
    assert calibrated.probabilities == pytest.approx([1 / (1 + np.e**1.5), 1 / (1 + np.e), 1 / (1 + np.e**0.5)])


def test_reviews_whose_probabilities_both_round_to_nothing_are_told_apart() -> None:
    suspects = rank_suspects(results_of([1, 1, 1], [-800.0, -900.0, -900.0]), "test")
    assert suspects.rows.tolist() == [1, 2, 0] and suspects.probabilities.tolist() == [0.0, 0.0, 0.0]


def test_with_another_threshold_the_suspects_are_still_what_was_read_otherwise() -> None:
    suspects = rank_suspects(results_of([1, 1, 0], [0.5, 2.0, 0.5], cut=1.0), "test")
    assert suspects.rows.tolist() == [0]


@pytest.mark.parametrize(("labels", "logits"), [([], []), ([1, 1], [2.0, 1.0]), ([0], [-1.0])])
def test_where_the_model_agrees_with_every_label_there_is_none(labels: list[int], logits: list[float]) -> None:
    assert len(rank_suspects(results_of(labels, logits), "test").rows) == 0


@pytest.mark.parametrize("split", ["train", "all"])
def test_a_model_points_at_no_label_that_it_learnt_from(split: str) -> None:
    results = results_of([1], [-1.0])
    with pytest.raises(DataError, match=f"learnt from the {split} split"):
        rank_suspects(results, split)
    assert rank_suspects(results, split, is_unseen=True).rows.tolist() == [0]


@pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
@pytest.mark.imdb
@pytest.mark.slow
def test_the_list_finds_750_flipped_labels_among_25_000(imdb_folder: None) -> None:
    results = score_imdb("starter")
    for seed in range(5):
        found = count_flipped(results, seed)
        assert all(found[place] >= least for place, least in LEAST.items()), found
