"""The section Two runs in Streamlit's test runner: the starter against a small run, both on the demo corpus."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.charts.tokens import LIGHT
from core.charts.two_runs import agreement_frame, plot_agreement
from core.config import RunConfig, preset_config, with_data, with_settings
from core.data.labelled import fingerprint
from core.data.sources import choose_split, load_columns
from core.evaluation.selection import PAIRS, Results, Selection, pair_mask
from core.files import write_json
from core.model_settings import ModelSettings, save_settings
from core.prediction.evaluating import EvaluationJob, evaluate_split, evaluation_folder, load_results
from core.prediction.predictor import Predictor
from core.runs import Run, create_run
from dashboard.evaluation.two_runs import open_pair
from tests.benchmarks.runs_page import write_run
from tests.pages.test_evaluation import count_listed, open_page, url, words_of
from tests.pages.test_runs import write_results

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")


@pytest.fixture(autouse=True)
def no_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def demo_config(*assignments: str) -> RunConfig:
    small = ["model.bucket_bits=14", "training.epochs=1", *assignments]
    return with_settings(with_data(preset_config("fast"), "demo"), small)


def score(reference: str, config: RunConfig, split: str = "test") -> EvaluationJob:
    splits = load_columns(config.data)
    evaluation = evaluate_split(
        Predictor.load(reference), choose_split(splits, split, config), fingerprint(splits), split
    )
    return EvaluationJob(evaluation_folder(evaluation.model_sha256, evaluation.data_fingerprint, split))


@pytest.fixture(scope="module")
def rival(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small run, trained once for all tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.HOME_VARIABLE, str(tmp_path_factory.mktemp("trained")))
        run = create_run(demo_config(), "fast", "rival <b>")
        jobs.run_job(run.path)
        assert run.state.status == "finished"
        return run.path


@pytest.fixture
def run(rival: Path, workspace: Path) -> Run:
    """Put the small run into the test's workspace and score the starter on the demo corpus, the run itself not."""
    shutil.copytree(rival, workspace / "runs" / rival.name)
    score("starter", demo_config())
    return Run(workspace / "runs" / rival.name)


def open_section(run: Run, **parameters: str) -> AppTest:
    return open_page(model="starter", data="demo", evaluation_section="two_runs", **parameters)


def both(run: Run) -> tuple[Results, Results]:
    """Return the verdicts of the starter and of the run."""
    jobs_ = [score(reference, demo_config()) for reference in ("starter", run.run_id)]
    return load_results(jobs_[0].results_file), load_results(jobs_[1].results_file)


def test_without_a_second_model_it_leads_to_training() -> None:
    score("starter", demo_config())
    app = open_page(model="starter", data="demo", evaluation_section="two_runs")
    assert "There is no second model to compare with." in words_of(app)
    assert app.button(key="evaluation_train_another").label == "Train another"


def test_it_asks_for_the_other_model_and_offers_to_score_it(run: Run) -> None:
    app = open_section(run)
    assert "Which reviews a second model reads right" in words_of(app)
    app.selectbox(key="evaluation_other").select(run.run_id).run()
    assert url(app)["evaluation_against"] == run.run_id
    assert "rival <b> has not read the test set of the demo corpus." in words_of(app)
    app.button(key="evaluation_score").click().run()
    assert not app.exception and "Next in line" in words_of(app)
    (waiting,) = jobs.list_waiting("score")
    jobs.run_job(waiting.job.path)
    app.run()
    assert len(app.get("vega_lite_chart")) == 2 and "McNemar" in words_of(app)


def test_counts_doors_matrix_and_table_agree(run: Run) -> None:
    here, other = both(run)
    expected = {pair: int(pair_mask(pair, here, other).sum()) for pair in PAIRS}
    assert sum(expected.values()) == 1_200 and min(expected["fixed"], expected["broken"]) > 0
    app = open_section(run, evaluation_against=run.run_id)
    wrong = expected["fixed"] + expected["both_wrong"]
    assert f"{expected['fixed']:,} of the {wrong:,} reviews misread here are right in rival <b>" in words_of(app)
    for pair, word in (("fixed", "Fixed"), ("broken", "Broken"), ("both_wrong", "Still wrong")):
        button = app.button(key=f"evaluation_pair_{pair}")
        assert button.label == f"{word}: {expected[pair]:,}"
        button.click().run()
        assert not app.exception
        assert url(app)["evaluation_pair"] == pair and count_listed(app) == expected[pair]
        assert PAIRS[pair].format(other="rival <b>") in words_of(app)
        frame = app.dataframe[0].value
        assert set(frame["Other run"] == frame["Label"]) == {pair == "fixed"}
        app.button(key=f"evaluation_pair_{pair}").click().run()
        assert "evaluation_pair" not in url(app) and "Other run" not in app.dataframe[0].value
    for click, listed in ((0, expected["both_right"]), (1, here.wrong.sum())):
        app.session_state[f"evaluation_agreement_{click}"] = {"selection": {"cell": [{"pair": "both_right"}]}}
        app.run()
        assert count_listed(app) == listed


def test_the_url_alone_gives_the_same_view(run: Run) -> None:
    here, other = both(run)
    app = open_section(run, evaluation_against=run.run_id, evaluation_pair="broken", evaluation_labelled="positive")
    assert count_listed(app) == int((pair_mask("broken", here, other) & (here.labels == 1)).sum())


def test_a_threshold_of_the_other_model_moves_its_verdicts_and_the_comparison(run: Run) -> None:
    here, other = both(run)
    sha256 = Predictor.load(run.run_id).sha256
    save_settings(sha256, ModelSettings(threshold=0.9, unsure_low=0.9, unsure_high=0.9))
    moved = Results(other.labels, other.logits, other.probabilities, float(np.log(9)))
    expected = int(pair_mask("fixed", here, moved).sum())
    assert expected != int(pair_mask("fixed", here, other).sum())
    app = open_section(run, evaluation_against=run.run_id, evaluation_pair="fixed")
    assert app.button(key="evaluation_pair_fixed").label == f"Fixed: {expected:,}" and count_listed(app) == expected
    assert re.search(rf"alone (is right )?on {expected:,}\b", words_of(app)), "the comparison moves with it"


@pytest.mark.parametrize("against", ["gone", "starter", ""])
def test_another_that_is_none_counts_as_not_chosen(run: Run, against: str) -> None:
    app = open_section(run, evaluation_against=against, evaluation_pair="fixed")
    assert "Which reviews a second model reads right" in words_of(app)
    assert "No review matches: wrong here, right in the other run." in words_of(app)


def test_models_that_validate_by_other_reviews_are_not_compared_on_them(run: Run, rival: Path) -> None:
    config = json.loads((run.path / "config.json").read_text())
    other = run.path.with_name("other-seed")
    shutil.copytree(rival, other)
    config["config"]["training"]["seed"] = 5
    write_json(other / "config.json", config)
    score(run.run_id, demo_config(), "valid")
    parameters = {"model": run.run_id, "data": "demo", "split": "valid", "evaluation_section": "two_runs"}
    app = open_page(**parameters, evaluation_against="other-seed", evaluation_pair="fixed")
    assert "Choose the test set above to compare them." in words_of(app)
    assert "No review matches" in words_of(app)


def test_the_runs_page_leads_here_with_both_models(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = write_run(1, "good"), write_run(2, "poor")
    write_results(a, 2.0)
    write_results(b, 0.5)
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "runs.py"))
    app.query_params["runs"] = "good,poor"
    app.run()
    led: list[dict[str, str]] = []
    monkeypatch.setattr(st, "switch_page", lambda page, query_params: led.append(query_params))
    app.button(key="runs_read").click().run()
    assert led == [{"model": "good", "evaluation_section": "two_runs", "evaluation_against": "poor"}]


def test_a_click_filters_and_a_second_one_ends_it() -> None:
    once = open_pair(Selection(words="so", only_wrong=False), {"cell": [{"pair": "broken"}]})
    assert once == Selection(words="so", pair="broken")
    assert open_pair(once, {"cell": [{"pair": "broken"}]}) == Selection(words="so")
    assert open_pair(once, {"cell": []}) == open_pair(once, {"cell": [{"pair": "nonsense"}]}) == once


def test_the_four_pairs_share_out_all_reviews_each_by_its_own_cut() -> None:
    labels, logits = np.array([0, 1, 0, 1]), np.array([1.0, 1.0, -1.0, -1.0])
    here, other = Results(labels, logits, logits), Results(labels, logits, logits, cut=2.0)
    pairs = {pair: np.flatnonzero(pair_mask(pair, here, other)).tolist() for pair in PAIRS}
    assert pairs == {"fixed": [0], "broken": [1], "both_wrong": [3], "both_right": [2]}


def test_the_matrix_names_its_cells_and_dims_those_not_chosen() -> None:
    counts = {"fixed": 1, "broken": 2, "both_wrong": 3, "both_right": 4}
    frame = agreement_frame(counts, ("a", "a"), "fixed").set_index("pair")
    assert frame.loc["fixed", "here"] == "a wrong" and frame.loc["fixed", "there"] == "a (other) right"
    assert frame.loc["fixed", "said"] == "fixed, 10.0 %"
    assert frame["opacity"].idxmax() == "fixed"
    nothing = agreement_frame(dict.fromkeys(counts, 0), ("a" * 50, "b"), "")
    assert set(nothing["share"]) == {"0.0 %"} and nothing["here"].str.len().max() < 30
    written = json.dumps(plot_agreement(counts, ("a", "b"), "", LIGHT).to_dict())
    assert re.search(r'"name": "cell"', written)
