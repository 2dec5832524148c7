"""The evaluation page where a file of the workspace is damaged, half or gone: a sentence and a way on, never less."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.data.sources import load_columns
from core.label_reviews import reviews_file
from core.prediction.analysis import AnalysisJob, AnalysisRequest, create_analysis_job
from core.prediction.evaluating import EvaluationJob, evaluation_folder, load_results
from core.prediction.predictor import Predictor
from core.prediction.theming import theme_options
from core.report import build_report, gather_subject
from tests.pages.test_evaluation import count_listed, demo_config, demo_job, open_page, words_of

pytestmark = pytest.mark.skipif(not settings.STARTER_FILE.exists(), reason="the starter model is not installed")
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "garbage": lambda content: b"\x00\xff no such thing\n",
    "half": lambda content: content[: len(content) // 2],
    "a list": lambda content: b"[]",
    "an empty document": lambda content: b"{}",
}
damages = pytest.mark.parametrize("damage", sorted(DAMAGES))


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the starter's own data be out of reach, and keep workers from starting."""
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


@pytest.fixture
def scored() -> EvaluationJob:
    job = demo_job()
    jobs.run_job(job.path)
    return job


def spoil(path: Path, damage: str) -> None:
    path.write_bytes(DAMAGES[damage](path.read_bytes()))


def open_section(section: str, **parameters: str) -> AppTest:
    return open_page(model="starter", data="demo", evaluation_section=section, **parameters)


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception
    return app


def take_look(section: str, kind: str) -> AnalysisJob:
    """Open a section, take the look that it offers or has begun, and return it."""
    app = open_section(section)
    if kind != "themes":
        press(app, f"evaluation_{kind}_start")
    run_waiting()
    (folder,) = (settings.home() / "cache" / "analyses" / kind).iterdir()
    return AnalysisJob(folder)


def run_waiting() -> None:
    for waiting in [*jobs.list_waiting("quick"), *jobs.list_waiting("score")]:
        jobs.run_job(waiting.job.path)
        waiting.entry.unlink()


@damages
@pytest.mark.parametrize("name", ["metrics.json", "results.parquet"])
def test_scores_that_cannot_be_read_are_said_and_can_be_made_anew(
    scored: EvaluationJob, name: str, damage: str
) -> None:
    spoil(scored.path / name, damage)
    app = open_section("overview")
    assert str(scored.path / name) in words_of(app)
    press(app, "evaluation_score_again")
    assert scored.state.status == "queued"
    jobs.run_job(scored.path)
    assert count_listed(open_section("overview")) > 0


def test_scores_that_are_gone_or_of_other_reviews_are_said(scored: EvaluationJob) -> None:
    scored.results_file.rename(scored.path / "elsewhere")
    assert "Could not read" in words_of(open_section("overview"))
    pq.write_table(pq.read_table(scored.path / "elsewhere").slice(0, 7), scored.results_file)
    assert "holds 7 scores for 1,200 reviews" in words_of(open_section("overview"))


@damages
def test_a_state_that_cannot_be_read_leaves_the_way_to_score(damage: str) -> None:
    job = demo_job()
    job.save_state("queued")
    spoil(job.path / "state.json", damage)
    app = press(open_section("overview"), "evaluation_retry")
    assert job.state.status == "queued" and "Next in line" in words_of(app)


LOOKS = [("themes", "themes"), ("overview", "themes"), ("map", "neighbours"), ("robustness", "robustness")]


@damages
@pytest.mark.parametrize(("section", "kind"), LOOKS)
def test_a_look_that_cannot_be_read_takes_nothing_else_with_it_and_can_be_taken_again(
    scored: EvaluationJob, section: str, kind: str, damage: str
) -> None:
    look = take_look(section, kind)
    assert "Look again" not in [each.label for each in open_section(section).button]
    spoil(look.document_file, damage)
    app = open_section(section)
    assert str(look.path) in words_of(app) or "damaged" in words_of(app)
    assert count_listed(app) > 0 and len(app.metric) == 9
    press(app, f"evaluation_{kind}_again")
    assert look.state.status == "queued"
    run_waiting()
    assert "Look again" not in [each.label for each in open_section(section).button]


@pytest.mark.parametrize(("section", "kind"), [("themes", "themes"), ("map", "neighbours")])
def test_the_table_of_a_look_may_be_damaged_as_well(scored: EvaluationJob, section: str, kind: str) -> None:
    look = take_look(section, kind)
    spoil(look.table_file, "half")
    app = press(open_section(section), f"evaluation_{kind}_again")
    assert look.state.status == "queued" and count_listed(app) > 0


@damages
def test_a_request_that_was_damaged_is_written_anew(scored: EvaluationJob, damage: str) -> None:
    app = open_section("map")
    (folder,) = (settings.home() / "cache" / "analyses" / "neighbours").iterdir()
    spoil(folder / "request.json", damage)
    press(app, "evaluation_neighbours_start")
    run_waiting()
    assert AnalysisJob(folder).is_done


def spoil_verdicts() -> None:
    (waiting,) = {path.name.rpartition("-")[0] for path in (settings.home() / "evaluations").glob("*/*-test")}
    path = reviews_file(waiting)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff no verdict\n")


def test_a_filter_without_an_answer_says_so_and_can_be_cleared(scored: EvaluationJob) -> None:
    spoil_verdicts()
    app = open_section("overview", evaluation_fault="label", evaluation_show="all")
    assert "verdicts.jsonl, line 1" in words_of(app) and len(app.metric) == 9
    press(app, "evaluation_clear_all")
    assert count_listed(app) > 0


def test_a_filter_by_a_look_that_is_damaged_says_so(scored: EvaluationJob) -> None:
    spoil(take_look("map", "neighbours").table_file, "half")
    app = open_section("confidence", evaluation_area="0,0;1,0;1,1")
    assert "result.parquet" in words_of(app) and len(app.metric) == 9
    spoil(take_look("themes", "themes").table_file, "half")
    app = open_section("confidence", evaluation_theme="negation")
    assert "result.parquet" in words_of(app)


def test_a_review_is_read_though_the_verdicts_are_damaged(scored: EvaluationJob) -> None:
    spoil_verdicts()
    app = open_section("confidence", evaluation_open="3")
    assert "Labels cannot be judged now." in words_of(app) and "rs-review" in " ".join(
        each.proto.body for each in app.get("html")
    )


@damages
def test_validation_scores_that_cannot_be_read_are_said_where_a_threshold_is_chosen(
    scored: EvaluationJob, damage: str
) -> None:
    valid = EvaluationJob(evaluation_folder(*scored_of(scored), "valid"))
    spoil(valid.results_file, damage)
    app = open_section("confidence")
    app.session_state["evaluation_threshold"] = True
    app.run()
    assert not app.exception and "In use: threshold 0.50" in words_of(app)
    press(app, "evaluation_threshold_again")
    assert valid.state.status == "queued"


def scored_of(job: EvaluationJob) -> tuple[str, str]:
    """Return the digest of the model and the fingerprint of the data of an evaluation."""
    return job.path.parent.name, job.path.name.rpartition("-")[0]


def test_a_report_goes_without_themes_that_cannot_be_read(scored: EvaluationJob) -> None:
    spoil(take_look("themes", "themes").document_file, "half")
    sha256, fingerprint = scored_of(scored)
    results = load_results(scored.results_file)
    request = AnalysisRequest(
        kind="themes", model="starter", model_sha256=sha256, data_fingerprint=fingerprint, split="test",
        config=demo_config(), options=theme_options(results),
    )  # fmt: skip
    texts = load_columns(demo_config().data)["test"].texts
    predictor = Predictor.load("starter")
    subject = gather_subject("the starter", "the demo", request, predictor, texts, may_look=False)
    assert subject.themes is None and "Koopman" not in build_report(subject)
    looked = gather_subject("the starter", "the demo", request, predictor, texts, may_look=True)
    assert looked.themes is not None and create_analysis_job(request).is_done
