"""The section Robustness in Streamlit's test runner, the starter on the demo corpus."""

import html
import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.charts.robustness import changes_frame, plot_changes
from core.charts.tokens import LIGHT
from core.config import RunConfig, preset_config, with_data
from core.data.labelled import fingerprint
from core.data.sources import load_columns
from core.evaluation.perturbations import PERTURBATIONS, perturb
from core.prediction.evaluating import evaluate_split
from core.prediction.predictor import Predictor
from dashboard.evaluation.robustness import change_finding, change_words, changes_finding
from tests.pages.test_evaluation import count_listed, open_page, url, words_of

pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
NOTHING = {"applied": 0, "flips": 0, "rate": None, "low": None, "high": None, "moved": None, "moved_low": None,
           "moved_high": None, "examples": []}  # fmt: skip


@pytest.fixture(autouse=True)
def scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Score the demo corpus with the starter; let its own data be out of reach and start no worker."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)
    splits = load_columns(demo_config().data)
    evaluate_split(Predictor.load("starter"), splits["test"], fingerprint(splits), "test")


def demo_config() -> RunConfig:
    return with_data(preset_config("fast"), "demo")


def open_section(**parameters: str) -> AppTest:
    return open_page(model="starter", data="demo", evaluation_section="robustness", **parameters)


def take_the_look(**parameters: str) -> tuple[AppTest, dict]:
    """Press the button, do the job, and return the page and what was found."""
    app = open_section(**parameters)
    app.button(key="evaluation_robustness_start").click().run()
    (waiting,) = jobs.list_waiting("quick")
    jobs.run_job(waiting.job.path)
    waiting.entry.unlink()
    app.run()
    assert not app.exception
    return app, json.loads((waiting.job.path / "result.json").read_text())


def found(rate: float, flips: int, applied: int) -> dict:
    return {**NOTHING, "applied": applied, "flips": flips, "rate": rate, "low": rate / 2, "high": rate + 0.05}


def test_it_starts_at_a_button_and_says_its_seed() -> None:
    app = open_section()
    assert "500 reviews are drawn by seed 0, changed in 8 ways and read again" in words_of(app)
    app.button(key="evaluation_robustness_start").click().run()
    assert "Waiting for its turn." in words_of(app)
    assert count_listed(app) > 0, "the reviews stay below"


def test_the_result_names_n_seed_and_what_the_model_does_not_see() -> None:
    app, document = take_the_look()
    said = words_of(app)
    assert document["n"] == 500 and "500 reviews, drawn by seed 0" in said
    assert "The model does not see case" in said and "does not see punctuation" not in said
    assert changes_finding(document["changes"]) in said
    assert len(app.get("vega_lite_chart")) == 1
    assert "Share of verdicts turned by each change." in app.get("vega_lite_chart")[0].proto.alt


def test_a_change_is_chosen_by_click_or_select_and_stands_in_the_url() -> None:
    app, document = take_the_look()
    app.session_state["evaluation_changes_0"] = {"selection": {"cell": [{"name": "negation"}]}}
    app.run()
    assert url(app)["evaluation_change"] == "negation"
    assert change_finding(document["changes"]["negation"]) in words_of(app)
    assert "the verdict should turn" in words_of(app)
    app.selectbox(key="evaluation_change_choice").select("case").run()
    assert url(app)["evaluation_change"] == "case" and "0 of 500 verdicts turned" in words_of(app)
    assert "evaluation_example_next" not in [button.key for button in app.button]
    again = open_section(evaluation_change="case")
    assert "0 of 500 verdicts turned" in words_of(again)
    assert not open_section(evaluation_change="nonsense").exception


def test_an_example_shows_both_versions_with_what_changed_marked() -> None:
    app, document = take_the_look(evaluation_change="negation")
    examples = document["changes"]["negation"]["examples"]
    texts = load_columns(demo_config().data)["test"].texts.to_pylist()
    for place in range(2):
        row = examples[place]["row"]
        before, after = [each.proto.body for each in app.get("html") if 'class="rs rs-review"' in each.proto.body]
        changed = perturb("negation", texts[row], 0, row)
        words = [html.unescape(word) for word in re.findall(r"<mark[^>]*>(.*?)</mark>", after)]
        assert words and set(" ".join(words).split()) <= set(changed.split())
        assert "not" in " ".join(words) or "not" in "".join(re.findall(r"<mark[^>]*>(.*?)</mark>", before))
        assert f"Review {row:,} of the data" in words_of(app)
        shares = [f"probability of positive {100 * examples[place][side]:.1f} %" for side in ("before", "after")]
        assert all(share in words_of(app) for share in shares)
        assert f"Example {place + 1} of {len(examples)}" in words_of(app)
        app.button(key="evaluation_example_next").click().run()


def test_another_sample_has_the_next_seed() -> None:
    app, _ = take_the_look()
    app.button(key="evaluation_other_seed").click().run()
    assert url(app)["evaluation_seed"] == "1" and "drawn by seed 1" in words_of(app)
    assert "evaluation_robustness_start" in [button.key for button in app.button]


@pytest.mark.parametrize("seed", ["-1", "x", "9999999999", "1.5"])
def test_a_seed_that_is_none_is_0(seed: str) -> None:
    assert "drawn by seed 0" in words_of(open_section(evaluation_seed=seed))


def test_lines_stand_by_rate_those_that_should_turn_last() -> None:
    changes = {
        "typos": found(0.1, 10, 100), "names": NOTHING, "negation": found(0.5, 50, 100), "neutral": found(0.2, 20, 100),
    }  # fmt: skip
    frame = changes_frame(changes, "typos")
    assert frame["name"].tolist() == ["neutral", "typos", "names", "negation"]
    assert frame["share"].tolist() == ["20.0 %", "10.0 %", "–", "50.0 %"] and frame["of"].tolist()[2] == "of 0"
    assert frame["chosen"].tolist() == [False, True, False, False]
    for layer in plot_changes(changes, "negation", LIGHT).to_dict()["layer"]:
        assert layer["encoding"]["y"]["sort"] == frame["title"].tolist(), "whatever was chosen"
    assert plot_changes(dict.fromkeys(PERTURBATIONS, NOTHING), "typos", LIGHT).to_dict()["layer"]


def test_findings_are_said_where_nothing_turned_or_applied() -> None:
    assert changes_finding({"typos": found(0.0, 0, 40), "negation": found(0.9, 36, 40)}).startswith("No change that")
    assert changes_finding({"typos": found(0.1, 4, 40)}) == "“Typos” turns the most verdicts: 10.0 % (5.0 to 15.0)"
    assert change_finding(NOTHING) == "It applies to no review of the sample"
    assert "points" not in change_words("names", NOTHING) and "should stay" in change_words("names", NOTHING)
