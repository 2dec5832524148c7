"""The section Map and the nearest training reviews in Streamlit's test runner, on the demo corpus."""

import html
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.config import RunConfig, preset_config, with_data, with_settings
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import choose_split, load_columns
from core.evaluation.area import are_inside, round_corners
from core.evaluation.selection import Results, Selection
from core.job_folder import JobReporter
from core.prediction.analysis import AnalysisJob, AnalysisRequest, create_analysis_job, execute_analysis
from core.prediction.evaluating import EvaluationJob, evaluate_split, evaluation_folder, load_results
from core.prediction.predictor import Predictor
from core.runs import Run, create_run
from dashboard.evaluation.neighbours import near_sentence
from dashboard.evaluation.review_map import area_sentence, map_finding, open_area
from tests.pages.test_evaluation import count_listed, open_page, url, words_of

pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")

LASSO = [(-0.4, -0.8), (1.5, -0.9), (1.2, 0.6), (0.1, 0.9), (-0.8, 0.5)]
HOSTILE = "<b>awful</b> ![x](http://example.org/p.png) <script>alert(1)</script>"


@pytest.fixture(autouse=True)
def no_imdb(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def demo_config() -> RunConfig:
    return with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14", "training.epochs=1"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace with a small run whose map is drawn, made once for all tests of this file."""
    home = tmp_path_factory.mktemp("mapped") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.HOME_VARIABLE, str(home))
        run = create_run(demo_config(), "fast", "mapped")
        jobs.run_job(run.path)
        assert run.state.status == "finished"
        splits = load_columns(demo_config().data)
        evaluate_split(Predictor.load(run.run_id), splits["test"], fingerprint(splits), "test")
        take_look(run.run_id, demo_config(), train=True)
    return home


@pytest.fixture
def run(trained: Path, workspace: Path) -> Run:
    shutil.copytree(trained, workspace)
    return Run(next(workspace.glob("runs/*")))


def request_of(reference: str, config: RunConfig, *, train: bool, split: str = "test") -> AnalysisRequest:
    splits = load_columns(config.data)
    return AnalysisRequest(
        kind="neighbours", model=reference, model_sha256=Predictor.load(reference).sha256,
        data_fingerprint=fingerprint(splits), split=split, config=config, options={"train": train},
    )  # fmt: skip


def take_look(reference: str, config: RunConfig, *, train: bool) -> AnalysisJob:
    job = create_analysis_job(request_of(reference, config, train=train))
    execute_analysis(job, JobReporter(job))
    return job


def map_of(run: Run) -> AnalysisJob:
    return create_analysis_job(request_of(run.run_id, demo_config(), train=True))


def results_of(run: Run) -> Results:
    request = map_of(run).request
    return load_results(
        EvaluationJob(evaluation_folder(request.model_sha256, request.data_fingerprint, "test")).results_file
    )


def draw_area(app: AppTest, corners: list[tuple[float, float]], how: str = "lasso") -> None:
    """Let the map report a drawn area, as the browser does."""
    known = app.session_state
    clicks = known["evaluation_clicks"] if "evaluation_clicks" in known else 0  # noqa: SIM401 (it has no get)
    x, y = (list(values) for values in zip(*corners, strict=True))
    event = {
        "points": [],
        "point_indices": [],
        "box": [],
        "lasso": [],
        how: [{"xref": "x", "yref": "y", "x": x, "y": y}],
    }
    app.session_state[f"evaluation_map_{clicks}"] = {"selection": event}
    app.run()
    assert not app.exception


def inside_of(run: Run, corners: list[tuple[float, float]]) -> np.ndarray:
    table = map_of(run).read_table()
    return are_inside(table["x"].to_numpy(), table["y"].to_numpy(), round_corners(corners))


def test_the_map_is_offered_before_it_is_drawn_and_queued_by_its_button(run: Run) -> None:
    shutil.rmtree(map_of(run).path)
    app = open_page(model=run.run_id, evaluation_section="map")
    assert "Every review of the test set of the demo corpus as a point" in words_of(app)
    assert not app.get("plotly_chart")
    app.button(key="evaluation_neighbours_start").click().run()
    assert map_of(run).state.status == "queued" and "Waiting for its turn." in words_of(app)


def test_an_area_of_a_map_that_is_not_drawn_holds_no_review_and_says_so(run: Run) -> None:
    shutil.rmtree(map_of(run).path)
    app = open_page(model=run.run_id, evaluation_area="0,0;1,0;1,1")
    assert "No review matches: misclassified, inside an area of the map, which is not drawn yet." in words_of(app)


@pytest.mark.parametrize("show", ["", "all"])
def test_a_lasso_filters_by_the_reviews_inside_it_and_the_caption_agrees_with_the_list(run: Run, show: str) -> None:
    app = open_page(model=run.run_id, evaluation_section="map", **({"evaluation_show": show} if show else {}))
    assert len(app.get("plotly_chart")) == 1
    draw_area(app, LASSO)
    inside, wrong = inside_of(run, LASSO), results_of(run).wrong
    n, misread = int(inside.sum()), int((inside & wrong).sum())
    assert 0 < misread < n < 1_200
    assert f"{n:,} reviews inside, {misread:,} misread" in words_of(app)
    assert count_listed(app) == (n if show else misread)
    assert "inside the area drawn on the map" in words_of(app)


def test_the_url_alone_gives_the_same_area_and_its_outline(run: Run) -> None:
    turns = np.linspace(0, 2 * np.pi, 300)
    app = open_page(model=run.run_id, evaluation_section="map", evaluation_show="all")
    draw_area(app, [(float(np.cos(turn)), float(1.2 * np.sin(turn))) for turn in turns])
    again = open_page(**url(app))
    assert url(again)["evaluation_area"].count(";") == 39
    assert count_listed(again) == count_listed(app)
    assert re.search(r"([\d,]+) reviews inside, ([\d,]+) misread", words_of(again)).group() in words_of(app)
    outlines = [re.findall(r'"path":"(M[^"]+Z)"', each.get("plotly_chart")[0].proto.spec) for each in (app, again)]
    assert outlines[0] == outlines[1] and len(outlines[0]) == 1
    again.button(key="evaluation_area_clear").click().run()
    assert "evaluation_area" not in url(again) and count_listed(again) == 1_200


def test_a_box_is_an_area_too_and_combines_with_other_filters(run: Run) -> None:
    app = open_page(model=run.run_id, evaluation_section="map", evaluation_labelled="positive")
    draw_area(app, [(-1.0, -1.0), (1.0, 1.0)], "box")
    results = results_of(run)
    inside = inside_of(run, [(-1, -1), (1, -1), (1, 1), (-1, 1)])
    assert count_listed(app) == int((inside & (results.labels == 1)).sum()) > 0
    assert f"{int(inside.sum()):,} reviews inside, {int((inside & results.wrong).sum()):,} misread" in words_of(app)


def test_a_second_lasso_takes_the_place_of_the_first(run: Run) -> None:
    app = open_page(model=run.run_id, evaluation_section="map", evaluation_show="all")
    draw_area(app, LASSO)
    draw_area(app, [(0, 0), (3, 0), (3, 3)])
    assert count_listed(app) == int(inside_of(run, [(0, 0), (3, 0), (3, 3)]).sum())


def test_a_click_that_draws_nothing_changes_nothing() -> None:
    before = Selection(label=1)
    for event in (
        {},
        {"lasso": [], "box": []},
        {"lasso": [{"x": [1, 1], "y": [2, 2]}]},
        {"box": [{"x": [1, 1], "y": [0, 2]}]},
    ):
        assert open_area(before, event) == before


def test_other_sections_filter_by_the_area_too(run: Run) -> None:
    app = open_page(model=run.run_id, evaluation_section="map", evaluation_show="all")
    draw_area(app, LASSO)
    listed = count_listed(app)
    app = open_page(model=run.run_id, evaluation_show="all", evaluation_area=url(app)["evaluation_area"])
    assert count_listed(app) == listed


def test_what_the_nearest_training_reviews_are_labelled_is_said_of_wrong_and_right_reviews(run: Run) -> None:
    table, results = map_of(run).read_table(), results_of(run)
    labels = choose_split(load_columns(demo_config().data), "train", demo_config()).labels
    near = np.stack([labels[table[f"near_{place}"].to_numpy()] for place in range(1, 6)])
    assert (table["near"].to_numpy() == 5).all()
    agrees = 2 * (near == results.verdicts).sum(axis=0) > 5
    wrong = f"of {results.wrong.sum():,} misread reviews {100 * agrees[results.wrong].mean():.1f} %"
    right = f"of {(~results.wrong).sum():,} reviews read right {100 * agrees[~results.wrong].mean():.1f} %"
    said = words_of(open_page(model=run.run_id, evaluation_section="map"))
    assert wrong in said and right in said


def test_a_model_that_was_trained_on_other_data_has_a_map_and_no_training_reviews(workspace: Path) -> None:
    config = with_data(preset_config("fast"), "demo")
    splits = load_columns(config.data)
    evaluate_split(Predictor.load("starter"), splits["test"], fingerprint(splits), "test")
    take_look("starter", config, train=False)
    app = open_page(evaluation_section="map")
    assert len(app.get("plotly_chart")) == 1
    assert "The starter was not trained on the demo corpus: there are no training reviews" in words_of(app)


@pytest.mark.parametrize("labels", [[1] * 12, [0] * 12, [1]], ids=["all positive", "all negative", "one review"])
def test_one_label_or_one_review_is_drawn_too(monkeypatch: pytest.MonkeyPatch, labels: list[int]) -> None:
    texts = pa.array([f"a wonderful, tender film {row}" for row in range(len(labels))], pa.large_string())
    rows = LabelledTexts(texts, np.array(labels))
    splits = {"train": rows, "test": rows}
    for where in ("dashboard.cache.load_columns", "core.prediction.analysis.load_columns"):
        monkeypatch.setattr(where, lambda config: splits)
    monkeypatch.setattr("dashboard.cache._load_data", lambda *key: (splits, fingerprint(splits)))
    evaluate_split(Predictor.load("starter"), rows, fingerprint(splits), "test")
    config = with_data(preset_config("fast"), "demo")
    job = create_analysis_job(
        AnalysisRequest(
            kind="neighbours", model="starter", model_sha256=Predictor.load("starter").sha256,
            data_fingerprint=fingerprint(splits), split="test", config=config, options={"train": False},
        )
    )  # fmt: skip
    execute_analysis(job, JobReporter(job))
    app = open_page(evaluation_section="map", evaluation_show="all", evaluation_area="-9,-9;9,-9;9,9;-9,9")
    assert len(app.get("plotly_chart")) == 1
    assert f"{len(labels)} review{'' if len(labels) == 1 else 's'} inside" in words_of(app)


def results(labels: list[int], logits: list[float]) -> Results:
    values = np.array(logits)
    return Results(np.array(labels), values, 1 / (1 + np.exp(-values)))


def test_findings_are_counted_by_hand() -> None:
    some = results([0, 0, 1, 1, 1, 0], [0.5, -1.0, -2.0, 3.0, 4.0, 3.5])
    # Wrong: 0.5, -2.0 and 3.5; the second of them by distance is 2.0, and three of the six lie as near.
    assert map_finding(some) == "Half of the 3 misread reviews lie among the 50.0 % nearest to the dashed line"
    assert map_finding(results([1], [1.0])) == "No review was misread"
    assert (
        map_finding(results([0, 1], [1.0, 2.0]))
        == "The one misread review lies among the 50.0 % nearest to the dashed line"
    )
    inside = np.array([True, True, False, False, False, False])
    assert area_sentence(some, inside).startswith("2 reviews inside, 1 misread: 50.0 % (95 % interval ")
    assert area_sentence(some, inside).endswith("; outside 50.0 %")
    assert area_sentence(some, np.zeros(6, bool)) == "No review inside the area"
    assert "outside" not in area_sentence(some, np.ones(6, bool))


@pytest.mark.parametrize(
    ("labels", "verdict", "label", "said"),
    [
        ([1, 1, 0, 1, 1], 1, 1, "4 of the 5 nearest training reviews are labelled positive, as the model read this one."),
        ([1, 0, 0, 0, 0], 1, 0, "1 of the 5 nearest training reviews is labelled positive, as the model read this one; its own label is negative."),
        ([0] * 5, 0, 0, "All 5 nearest training reviews are labelled negative, as the model read this one."),
        ([0] * 5, 1, 0, "All 5 nearest training reviews are labelled negative, as this one is; the model read this one as positive."),
        ([0], 1, 1, "The one training review that is near is labelled negative; the model read this one as positive."),
    ],
)  # fmt: skip
def test_the_labels_of_the_nearest_are_said_beside_the_verdict(
    labels: list[int], verdict: int, label: int, said: str
) -> None:
    assert near_sentence(labels, verdict, label) == said


DRAWER = """
from dashboard.cache import data_fingerprint, load_evaluation, load_predictor, load_split, load_verdicts
from dashboard.evaluation import choices
from dashboard.evaluation.neighbours import draw_neighbours
from dashboard.evaluation.view import Scored
from core.prediction.evaluating import EvaluationJob, evaluation_folder

model = choices.list_models()[{model}]
data = choices.list_data(model)[0]
rows = load_split(data.config, data.split)
sha256, mark = load_predictor(model.reference).sha256, data_fingerprint(data.config)
job = EvaluationJob(evaluation_folder(sha256, mark, data.split))
draw_neighbours(Scored(model, data, job, rows, sha256, mark, load_evaluation(job), load_verdicts(job)), {row})
"""


def drawer(row: int, model: int = 0) -> AppTest:
    app = AppTest.from_string(DRAWER.format(row=row, model=model), default_timeout=60).run()
    assert not app.exception
    return app


def test_the_drawer_shows_the_five_nearest_with_labels_and_texts(run: Run) -> None:
    app = drawer(17)
    train = choose_split(load_columns(demo_config().data), "train", demo_config())
    table, bodies = map_of(run).read_table(), [each.proto.body for each in app.get("html")]
    shown = [re.search(r"<details>.*?</summary><div[^>]*>(.*?)</div>", body, re.S) for body in bodies]
    texts = [html.unescape(each.group(1)) for each in shown if each]
    near = [table[f"near_{place}"][17].as_py() for place in range(1, 6)]
    assert texts == [train.texts[row].as_py() for row in near]
    verdict, label = int(results_of(run).verdicts[17]), int(results_of(run).labels[17])
    assert near_sentence(train.labels[near].tolist(), verdict, label) in words_of(app)
    for place in range(1, 6):
        assert f"similarity {table[f'similarity_{place}'][17].as_py():.3f}" in words_of(app)
    assert len([each for each in app.button if "Label is" in each.label]) == 10


def test_the_drawer_offers_the_look_and_shows_that_it_runs(run: Run) -> None:
    shutil.rmtree(map_of(run).path)
    app = drawer(17)
    app.button(key="evaluation_neighbours-drawer_start").click().run()
    assert map_of(run).state.status == "queued" and "Waiting for its turn." in words_of(app)
    map_of(run).save_state("failed", "Out of memory")
    app = drawer(17)
    assert "Out of memory" in words_of(app)


def test_the_drawer_of_a_model_that_was_trained_on_other_data_says_why_there_are_none(workspace: Path) -> None:
    config = with_data(preset_config("fast"), "demo")
    splits = load_columns(config.data)
    evaluate_split(Predictor.load("starter"), splits["test"], fingerprint(splits), "test")
    assert "The starter was not trained on the demo corpus" in words_of(drawer(0))


def test_a_stranger_s_training_review_is_text_and_the_same_text_is_called_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dashboard.evaluation.neighbours as neighbours

    train = choose_split(load_columns(demo_config().data), "train", demo_config())
    near = map_of(run).read_table()["near_1"][17].as_py()
    texts = train.texts.to_pylist()
    texts[near] = HOSTILE
    hostile = LabelledTexts(pa.array(texts, pa.large_string()), train.labels)
    monkeypatch.setattr(neighbours, "load_split", lambda config, split: hostile)
    app = drawer(17)
    body = next(each.proto.body for each in app.get("html") if "<details>" in each.proto.body)
    assert html.escape(HOSTILE) in body and "<script>" not in body and "<b>" not in body
    assert "the same text, word for word" not in body
    texts[near] = load_columns(demo_config().data)["test"].texts[17].as_py()
    same = LabelledTexts(pa.array(texts, pa.large_string()), train.labels)
    monkeypatch.setattr(neighbours, "load_split", lambda config, split: same)
    body = next(each.proto.body for each in drawer(17).get("html") if "<details>" in each.proto.body)
    assert "the same text, word for word" in body
