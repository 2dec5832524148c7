"""Two models on the same split, from kept results and scored on the spot."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.config import RunConfig, preset_config, with_data, with_settings
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.errors import ReviewscopeError
from core.files import write_bytes
from core.jobs import run_job
from core.prediction import comparing
from core.prediction.comparing import compare_models, load_comparison
from core.prediction.evaluating import EvaluationJob, evaluation_folder
from core.runs import Run, create_run

DATA = "f" * 64


def demo_config(*assignments: str) -> RunConfig:
    return with_settings(
        with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14", "training.epochs=1", *assignments]
    )


def write_results(sha256: str, labels: list[int], logits: list[float]) -> EvaluationJob:
    job = EvaluationJob(evaluation_folder(sha256, DATA, "test"))
    job.path.mkdir(parents=True)
    pq.write_table(pa.table({"label": np.array(labels, np.int8), "logit": np.array(logits)}), job.results_file)
    write_bytes(job.path / "metrics.json", b"{}")
    return job


def trained(*assignments: str) -> Run:
    run = create_run(demo_config(*assignments), "fast")
    run_job(run.path)
    assert run.state.status == "finished"
    return run


def test_results_of_both_are_compared_review_by_review() -> None:
    write_results("a" * 64, [1, 1, 0, 0, 1], [2.0, -1.0, -2.0, 1.0, 1.0])
    assert load_comparison("a" * 64, "b" * 64, DATA, "test") is None, "B has not read it"
    write_results("b" * 64, [1, 1, 0, 0, 1], [1.0, 1.0, -2.0, 1.0, -1.0])
    found = load_comparison("a" * 64, "b" * 64, DATA, "test")
    assert found is not None
    assert (found.n, found.only_a_right, found.only_b_right, found.both_right, found.both_wrong) == (5, 1, 1, 2, 1)
    assert load_comparison("a" * 64, "b" * 64, DATA, "valid") is None


def test_results_of_other_reviews_are_refused_with_a_sentence() -> None:
    write_results("a" * 64, [1, 0], [1.0, -1.0])
    write_results("b" * 64, [0, 1], [1.0, -1.0])
    with pytest.raises(ReviewscopeError, match="are not of the same reviews. Delete both folders"):
        load_comparison("a" * 64, "b" * 64, DATA, "test")


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing"])
def test_results_that_cannot_be_read_give_a_sentence(content: bytes) -> None:
    write_results("a" * 64, [1], [1.0])
    write_results("b" * 64, [1], [1.0]).results_file.write_bytes(content)
    with pytest.raises(ReviewscopeError, match=r"Could not read .*results\.parquet"):
        load_comparison("a" * 64, "b" * 64, DATA, "test")


def test_what_is_missing_is_scored_and_kept_and_what_is_there_is_not_scored_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    a, b = trained(), trained("training.learning_rate=0.001")
    scored: list[int] = []
    found = compare_models(a.run_id, b.run_id, demo_config(), "test", scored.append)
    assert found.n == 1_200 and sum(scored) == 2 * 1_200
    assert found.only_a_right + found.only_b_right + found.both_right + found.both_wrong == 1_200

    def refuse(*_: object) -> None:
        pytest.fail("what is scored is never scored again")

    monkeypatch.setattr(comparing, "evaluate_split", refuse)
    assert compare_models(a.run_id, b.run_id, demo_config(), "test") == found
    turned = compare_models(b.run_id, a.run_id, demo_config(), "test")
    assert (turned.only_a_right, turned.only_b_right) == (found.only_b_right, found.only_a_right)
    data = fingerprint(load_columns(demo_config().data))
    assert a.result is not None and b.result is not None
    assert load_comparison(a.result.model_sha256, b.result.model_sha256, data, "test") == found


def test_a_model_against_itself_never_differs() -> None:
    run = trained()
    found = compare_models(run.run_id, run.run_id, demo_config(), "valid")
    assert (found.only_a_right, found.only_b_right, found.p) == (0, 0, 1.0) and not found.is_significant


@pytest.mark.parametrize("split", ["nothing", "all"])
def test_a_split_that_is_not_there_is_refused(split: str) -> None:
    run = trained()
    with pytest.raises(ReviewscopeError, match="There is no split"):
        compare_models(run.run_id, run.run_id, demo_config(), split)


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReviewscopeError, match="There is no run 'gone'"):
        compare_models("gone", "gone", demo_config(), "test")
