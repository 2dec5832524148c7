"""Labels in the file, and labels by a reader, say how many verdicts are right."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest, hypergeom
from sklearn.metrics import f1_score, precision_score, recall_score

from core.errors import ReviewscopeError
from core.model_settings import Cutoffs
from core.prediction.trust import (
    DRAWN,
    LABELS_NAME,
    Estimate,
    add_label,
    draw_rows_to_label,
    estimate_accuracy,
    exact_interval,
    find_label_columns,
    guess_label_column,
    measure_agreement,
    propose_meanings,
    read_labels,
    seed_of,
)

STARS = ("", "1", "2", "3", "4", "5")


def test_stars_are_read_as_two_labels_with_the_middle_left_out() -> None:
    assert propose_meanings(STARS) == {
        "": "left out", "1": "negative", "2": "negative", "3": "left out", "4": "positive", "5": "positive",
    }  # fmt: skip
    assert propose_meanings(["NEG", " pos "]) == {"NEG": "negative", " pos ": "positive"}
    assert propose_meanings(["red", "green"]) == {}


def test_a_column_called_label_comes_before_stars_and_stars_before_yes_and_no() -> None:
    values = [("no", "yes"), STARS, ("negative", "positive"), ("red", "green"), None, ("1",)]
    columns = ["verified", "stars", "Sentiment", "colour", "comment", "copies"]
    assert find_label_columns(columns, values) == [2, 1, 0]


def test_labels_are_measured_against_unasked_by_their_name_or_as_stars_but_never_as_yes_and_no() -> None:
    assert guess_label_column(["verified", "stars", "label"], [("no", "yes"), STARS, ("neg", "pos")], [1]) == 2
    assert guess_label_column(["verified", "score"], [("no", "yes"), STARS], [1]) == 1
    assert guess_label_column(["verified"], [("no", "yes")], []) is None


def test_figures_agree_with_scikit_learn_on_the_rows_that_have_a_label() -> None:
    draw = np.random.default_rng(0)
    codes = draw.integers(-1, 6, 2_000).astype(np.int16)
    logits = draw.normal(0, 2, 2_000).astype(np.float32) + (codes - 3)
    logits[draw.random(2_000) < 0.1] = np.nan
    cutoffs = Cutoffs(threshold=0.6, unsure_high=0.7)
    found = measure_agreement(logits, codes, STARS, propose_meanings(STARS), cutoffs)
    used = ~np.isnan(logits) & np.isin(codes, [1, 2, 4, 5])
    truth, read = codes[used] >= 4, logits[used] > cutoffs.cut
    assert found.n == used.sum()
    assert found.metrics["accuracy"].value == pytest.approx((truth == read).mean())
    for name, score in {"precision": precision_score, "recall": recall_score, "f1": f1_score}.items():
        assert found.metrics[name].value == pytest.approx(score(truth, read))
    scored = ~np.isnan(logits)
    assert found.left_out == (scored & np.isin(codes, [0, 3])).sum() and found.unread == (scored & (codes < 0)).sum()
    assert found.n + found.left_out + found.unread == scored.sum()
    assert found.commonest == pytest.approx(max(truth.mean(), 1 - truth.mean()))


def test_a_value_without_a_meaning_is_counted_as_unread() -> None:
    found = measure_agreement(np.ones(3), np.array([0, 1, 1]), ("good", "so-so"), {"good": "positive"}, Cutoffs())
    assert (found.n, found.unread, found.metrics["accuracy"].value) == (1, 2, 1.0)


def test_no_labelled_row_leaves_every_figure_undefined_with_a_reason() -> None:
    found = measure_agreement(np.ones(2), np.array([-1, -1]), STARS, propose_meanings(STARS), Cutoffs())
    assert found.n == 0 and found.commonest is None
    assert all(metric.value is None and "undefined" in metric.method for metric in found.metrics.values())


def test_rows_are_drawn_once_each_among_the_scored_and_by_seed() -> None:
    logits = np.where(np.arange(1_000) % 3 == 0, np.nan, 1.0)
    drawn = draw_rows_to_label(logits, 7)
    assert len(set(drawn.tolist())) == DRAWN and not np.isnan(logits[drawn]).any()
    assert np.array_equal(drawn, draw_rows_to_label(logits, 7))
    assert not np.array_equal(drawn, draw_rows_to_label(logits, 8))
    assert sorted(draw_rows_to_label(logits[:9], 7)) == [1, 2, 4, 5, 7, 8]
    assert len(draw_rows_to_label(np.full(4, np.nan), 7)) == 0
    assert seed_of("job-0123456789ab") != seed_of("job-0123456789ac")


def test_every_scored_row_is_as_likely_as_any_other_also_among_the_first_ten() -> None:
    counts = np.zeros(100)
    for seed in range(2_000):
        counts[draw_rows_to_label(np.zeros(100), seed)[:10]] += 1
    # 200 expected of each; chi-squared with 99 degrees of freedom has its 99.9 % quantile at 149.
    assert ((counts - 200) ** 2 / (200 * 0.9)).sum() < 149


def test_labels_are_kept_and_the_last_one_of_a_row_holds(tmp_path: Path) -> None:
    assert read_labels(tmp_path) == {}
    add_label(tmp_path, 5, "negative", 1)
    add_label(tmp_path, 9, "cannot tell", 1)
    add_label(tmp_path, 5, "positive", 1)
    assert read_labels(tmp_path) == {5: "positive", 9: "cannot tell"}
    lines = [json.loads(line) for line in (tmp_path / LABELS_NAME).read_text().splitlines() if line]
    assert [line["seed"] for line in lines] == [1, 1, 1]


def test_a_line_that_a_power_cut_tore_costs_that_label_alone(tmp_path: Path) -> None:
    add_label(tmp_path, 1, "negative", 1)
    with (tmp_path / LABELS_NAME).open("ab") as file:
        file.write(b'{"row":2,"lab')
    assert read_labels(tmp_path) == {1: "negative"}
    add_label(tmp_path, 3, "positive", 1)
    assert read_labels(tmp_path) == {1: "negative", 3: "positive"}


def test_labels_that_cannot_be_written_or_read_are_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / LABELS_NAME).mkdir()
    with pytest.raises(ReviewscopeError, match="Could not write"):
        add_label(tmp_path, 1, "negative", 1)
    with pytest.raises(ReviewscopeError, match="Could not read"):
        read_labels(tmp_path)


def test_the_estimate_counts_drawn_rows_that_can_be_told_at_the_threshold() -> None:
    logits = np.array([2.0, -2.0, 1.0, np.nan, 0.5])
    drawn = np.array([4, 0, 2])
    labels = {0: "positive", 1: "positive", 2: "cannot tell", 4: "negative"}
    found = estimate_accuracy(logits, drawn, labels, 0.0)  # type: ignore[arg-type]
    assert found == Estimate(n=2, right=1, cannot_tell=1, rows=4)
    assert estimate_accuracy(logits, drawn, labels, 1.5).right == 2  # type: ignore[arg-type]


def test_the_interval_of_a_large_file_is_clopper_and_pearson_s() -> None:
    for right, n in ((50, 50), (46, 50), (9, 10), (0, 10), (1, 1), (25, 30)):
        exact = binomtest(right, n).proportion_ci(method="exact")
        assert exact_interval(right, n, 10**7) == pytest.approx((exact.low, exact.high), abs=1e-5)


def test_the_interval_of_a_small_file_holds_what_the_hypergeometric_distribution_leaves_possible() -> None:
    for right, n, rows in ((9, 10, 12), (10, 10, 12), (27, 30, 40), (0, 5, 9)):
        kept = [
            total
            for total in range(rows + 1)
            if hypergeom(rows, total, n).sf(right - 1) > 0.025 and hypergeom(rows, total, n).cdf(right) > 0.025
        ]
        assert exact_interval(right, n, rows) == (min(kept) / rows, max(kept) / rows)


def test_the_interval_closes_when_every_row_has_a_label_and_there_is_none_without_a_label() -> None:
    assert Estimate(40, 30, 0, 40).interval == (0.75, 0.75)
    assert Estimate(1, 1, 0, 1).interval == (1.0, 1.0)
    assert Estimate(0, 0, 3, 40).interval is None and Estimate(0, 0, 3, 40).value is None


def draw_file(accuracy: float, rows: int, draw: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    logits = draw.normal(0, 3, rows)
    right = np.zeros(rows, np.bool_)
    right[draw.permutation(rows)[: round(accuracy * rows)]] = True
    return logits, (logits > 0) == right  # the label positive


@pytest.mark.parametrize("rows", [60, 5_000])
@pytest.mark.parametrize("accuracy", [0.75, 0.9, 0.98, 0.985, 1.0])
def test_the_estimate_is_unbiased_and_its_interval_covers_at_every_number_of_labels(accuracy: float, rows: int) -> None:
    logits, is_positive = draw_file(accuracy, rows, np.random.default_rng(0))
    true = ((logits > 0) == is_positive).mean()
    for n in (10, 20, 30, 50):
        found = []
        for seed in range(1_000):
            drawn = draw_rows_to_label(logits, seed)[:n]
            labels = {row: "positive" if is_positive[row] else "negative" for row in drawn.tolist()}
            found.append(estimate_accuracy(logits, drawn, labels, 0.0))  # type: ignore[arg-type]
        values = np.array([each.value for each in found])
        assert abs(values.mean() - true) < 4 * values.std() / 1_000**0.5 + 1e-9
        covered = [low - 1e-9 <= true <= high + 1e-9 for low, high in (each.interval or (1.0, 0.0) for each in found)]
        assert np.mean(covered) >= 0.94, n
