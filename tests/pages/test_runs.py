"""The runs page without a browser. Most runs here are folders with figures, never trained."""

import hashlib
import html
import json
import os
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.charts.tokens import DARK, LIGHT
from core.config import preset_config, with_data, with_settings
from core.default_model import default_model, use_model
from core.evaluation.comparison import Difference
from core.evaluation.metrics import evaluate_logits
from core.jobs import list_waiting, run_job
from core.prediction.evaluating import Evaluation, EvaluationJob, evaluation_folder
from core.run_groups import MeanCurve
from core.runs import Run, create_run, find_run, list_runs
from core.trash import list_trash
from dashboard.run_comparison import overlay_words
from dashboard.run_facts import list_states, load_all
from dashboard.runs_charts import Line, parallel_axis, plot_differences, plot_overlay, spread_labels
from tests.benchmarks.runs_page import FINGERPRINT, write_run

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "<script>alert(1)</script> ![x](http://example.org/x.png) **b**"


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def open_page(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    app.switch_page(str(ROOT / "pages" / "runs.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


def words_of(app: AppTest) -> str:
    """Return what the page's own HTML says, without tags."""
    said = " ".join(each.proto.body for each in app.get("html"))
    return html.unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", said, flags=re.S))


def rows_of(app: AppTest) -> list[str]:
    return app.dataframe[0].value["Run"].tolist()


def ticked(app: AppTest) -> list[str]:
    """Return the names of the rows that the table is drawn with as ticked."""
    default = json.loads(app.dataframe[0].proto.selection_default)
    return [rows_of(app)[row] for row in default["selection"]["rows"]]


def in_url(app: AppTest, name: str) -> str | None:
    value = app.query_params.get(name)
    return value[0] if isinstance(value, list) else value


def group_id(name: str) -> str:
    return f"~{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def write_seeds(name: str, *tops: float, first: int = 100) -> None:
    for number, top in enumerate(tops):
        write_run(first + number, f"{name} {number + 1}", group=f"{name}-18ab", top=top)


def write_results(run: Run, strength: float) -> None:
    """Write verdicts on 400 test reviews that are right the more often the greater the strength."""
    assert run.result is not None
    draw = np.random.default_rng(int(10 * strength))
    labels = np.arange(400) % 2
    logits = (2 * labels - 1) * strength + draw.normal(size=400)
    job = EvaluationJob(evaluation_folder(run.result.model_sha256, FINGERPRINT, "test"))
    job.path.mkdir(parents=True)
    pq.write_table(pa.table({"label": labels.astype(np.int8), "logit": logits}), job.results_file)
    metrics, confusion = evaluate_logits(labels, logits)
    figures = Evaluation(400, run.result.model_sha256, FINGERPRINT, "test", metrics, confusion)
    (job.path / "metrics.json").write_text(json.dumps(figures.to_document()))
    job.save_state("finished")


def test_before_the_first_run_it_says_what_will_be_here_and_leads_there() -> None:
    app = open_page()
    assert "Your runs will stand here" in words_of(app) and not app.dataframe
    assert app.button(key="runs_train").label == "Train a model"


def test_the_best_validation_accuracy_stands_first_with_its_epoch_and_the_last_on_demand() -> None:
    for number, top in enumerate((0.88, 0.93, 0.90)):
        write_run(number, f"run {top}", top=top)
    app = open_page()
    frame = app.dataframe[0].value
    assert frame["Run"].tolist() == ["run 0.93", "run 0.9", "run 0.88"]
    assert frame["Validation"].tolist() == ["92.2 %", "89.2 %", "87.2 %"]
    assert set(frame["Epoch"]) == {"4 of 5"} and frame["State"].tolist() == ["finished"] * 3
    assert frame["While training"].iloc[0] == pytest.approx([0.81, 0.90, 0.9167, 0.9225, 0.9212])
    app.toggle(key="runs_last").set_value(True).run()
    frame = app.dataframe[0].value
    assert frame["Validation"].tolist() == ["92.1 %", "89.1 %", "87.1 %"] and set(frame["Epoch"]) == {"5 of 5"}
    assert in_url(app, "value") == "last"


def test_it_is_sorted_by_what_was_chosen() -> None:
    for number, (name, top) in enumerate((("b", 0.9), ("C", 0.8), ("a", 0.85))):
        write_run(number, name, top=top)
    app = open_page()
    for order, expected in (("name", ["a", "b", "C"]), ("newest", ["a", "C", "b"]), ("duration", ["a", "C", "b"])):
        app.selectbox(key="runs_sort").select(order).run()
        assert rows_of(app) == expected and in_url(app, "sort") == order
    assert rows_of(open_page(sort="sideways")) == ["b", "a", "C"]


def test_a_search_finds_name_note_and_tag_and_a_pill_finds_a_state() -> None:
    first, second = write_run(1, "alpha", top=0.9), write_run(2, "beta", top=0.8)
    write_run(3, "gamma", status="failed")
    first.save_about(first.about.model_copy(update={"note": "The Learning rate is high"}))
    second.save_about(second.about.model_copy(update={"tags": ("keep",), "star": True}))
    app = open_page()
    for words, found in (("ALPHA", ["alpha"]), ("learning", ["alpha"]), ("keep", ["beta"]), ("nothing", None)):
        app.text_input(key="runs_search").set_value(words).run()
        assert (rows_of(app) if app.dataframe else None) == found
    app.button(key="runs_clear").click().run()
    assert len(rows_of(app)) == 3
    assert rows_of(open_page(state="failed")) == ["gamma"] and rows_of(open_page(state="starred")) == ["beta"]
    assert rows_of(open_page(state="failed,finished,none")) == rows_of(open_page())
    assert app.dataframe[0].value["★"].tolist().count("★") == 1


def test_seeds_are_one_row_with_mean_range_and_spread_and_open_to_their_runs() -> None:
    write_seeds("fast", 0.90, 0.91, 0.92)
    write_run(1, "alone", top=0.95)
    app = open_page(runs=group_id("fast-18ab"))
    frame = app.dataframe[0].value
    assert frame["Run"].tolist() == ["alone", "fast · 3 seeds"] and ticked(app) == ["fast · 3 seeds"]
    assert frame["Validation"].tolist()[1] == "90.2 % mean (89.2 to 91.2, sd 1.0)"
    assert [metric.value for metric in app.metric[:2]] == ["90.2 %", "1.00 points"]
    assert app.dataframe[1].value["Run"].tolist() == ["fast 1", "fast 2", "fast 3"]
    app.button(key="runs_unfold").click().run()
    assert rows_of(app) == ["alone", "fast · 3 seeds", "└ fast 1", "└ fast 2", "└ fast 3"]
    app.button(key="runs_unfold").click().run()
    assert rows_of(app) == ["alone", "fast · 3 seeds"]


def test_two_groups_of_seeds_are_told_apart_from_seed_noise() -> None:
    write_seeds("high", 0.930, 0.931, 0.932)
    write_seeds("low", 0.880, 0.881, 0.882, first=200)
    write_seeds("like", 0.931, 0.932, 0.934, first=300)
    app = open_page(runs=f"{group_id('high-18ab')},{group_id('low-18ab')}")
    assert "high · 3 seeds against low · 3 seeds" in words_of(app)
    assert "The gap of 5.0 points" in words_of(app) and "is larger than seed noise" in words_of(app)
    assert "is within seed noise" in words_of(open_page(runs=f"{group_id('high-18ab')},{group_id('like-18ab')}"))


@pytest.mark.parametrize(("top", "where"), [(0.95, "above all of"), (0.9, "among"), (0.85, "below all of")])
def test_one_run_is_placed_among_the_seeds_of_a_group(top: float, where: str) -> None:
    write_seeds("fast", 0.89, 0.91)
    run = write_run(1, "alone", top=top)
    for both in (f"{run.run_id},{group_id('fast-18ab')}", f"{group_id('fast-18ab')},{run.run_id}"):
        assert f"alone lies {where} the 2 seeds of fast" in words_of(open_page(runs=both))


def test_the_runs_of_a_grid_are_laid_side_by_side_the_best_first() -> None:
    for number, rate in enumerate((0.01, 0.02, 0.05)):
        write_run(
            number, f"rates {number}", group="rates-18ab", top=0.88 + rate,
            assignments=(f"training.learning_rate={rate}", "training.seed=0"),
        )  # fmt: skip
    app = open_page(runs=group_id("rates-18ab"))
    assert rows_of(app) == ["rates · grid of 3"] and "1 setting differs" in words_of(app)
    frame = app.dataframe[1].value
    assert list(frame.columns) == ["Setting", "rates 2", "rates 1", "rates 0"]
    assert frame.iloc[1].tolist() == ["Learning rate", "0.05", "0.02", "0.01"]
    assert len(app.get("plotly_chart")) == 1 and "Seed noise" not in [metric.label for metric in app.metric]


def test_ticks_stay_on_their_runs_when_a_better_one_comes() -> None:
    a, b = write_run(1, "a", top=0.9), write_run(2, "b", top=0.8)
    write_run(3, "c", top=0.85)
    app = open_page(runs=f"{b.run_id},{a.run_id}")
    assert rows_of(app) == ["a", "c", "b"] and ticked(app) == ["a", "b"]
    assert "b against a" in words_of(app)
    write_run(4, "d", top=0.95)
    app.run()
    assert rows_of(app) == ["d", "a", "c", "b"] and ticked(app) == ["a", "b"]
    assert "b against a" in words_of(app) and in_url(app, "runs") == "b,a"


def test_a_tick_elsewhere_than_in_the_table_reaches_the_table() -> None:
    run = write_run(1, "a")
    write_run(2, "b")
    app = open_page()
    assert ticked(app) == []
    app.query_params["runs"] = run.run_id
    app.run()
    assert ticked(app) == ["a"]


def test_the_latest_run_is_followed() -> None:
    write_run(1, "first")
    app = open_page(runs="latest")
    assert "first" in words_of(app) and ticked(app) == ["first"]
    write_run(2, "second")
    app.run()
    assert ticked(app) == ["second"] and app.text_input(key="runs_name_second").value == "second"
    assert in_url(app, "runs") == "latest"


@pytest.mark.parametrize("ids", ["gone", ",,,", "~00000000", "../x,<script>", "latest"])
def test_ids_in_the_url_that_are_no_runs_count_as_none(ids: str) -> None:
    app = open_page(runs=ids)
    assert "Your runs will stand here" in words_of(app)
    write_run(1, "there")
    app = open_page(runs=f"gone,{ids},gone")
    assert rows_of(app) == ["there"]


def test_a_card_shows_figures_and_saves_what_people_change() -> None:
    run = write_run(1, "first", top=0.9)
    app = open_page(runs=run.run_id)
    assert [metric.label for metric in app.metric] == [
        "Validation accuracy, kept", "Kept epoch", "Test accuracy", "Took", "On disk",
    ]  # fmt: skip
    assert app.metric[0].value == "89.2 %" and " to " in app.metric[0].delta and app.metric[1].value == "4 of 5"
    app.text_input(key="runs_name_first").set_value("  better\u202e name ").run()
    app.text_input(key="runs_tags_first").set_value("keep, , try again,keep").run()
    app.text_area(key="runs_note_first").set_value("why **not**").run()
    app.button(key="runs_star").click().run()
    assert not app.exception
    about = run.about
    assert (about.name, about.tags, about.note, about.star) == (
        "better name",
        ("keep", "try again"),
        "why **not**",
        True,
    )
    assert rows_of(app) == ["better name"]
    app.text_input(key="runs_name_first").set_value("   ").run()
    assert run.about.name == "better name", "a run without a name would not be found again"


def test_using_a_model_makes_it_the_default() -> None:
    config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14", "training.epochs=1"])
    run = create_run(config, "fast", "mine")
    run_job(run.path)
    app = open_page(runs="mine")
    app.button(key="runs_use").click().run()
    assert default_model() == "mine" and "In use for predictions." in words_of(app)
    assert {each.label for each in app.get("download_button")} == {"Export model", "Settings as JSON"}


def test_what_a_run_was_made_from_is_named_with_what_was_changed() -> None:
    parent = write_run(1, "parent")
    config = with_settings(parent.settings.config, ["training.epochs=9"])
    child = create_run(config, "fast", "child", parent=parent.run_id)
    frame = open_page(runs=child.run_id).dataframe[1].value
    assert frame.iloc[0].tolist() == ["Epochs", "9", "5"] and set(frame["Before"][1:]) == {""}
    orphan = create_run(config, "fast", "orphan", parent="gone")
    assert "Made from gone, which is not here any more." in words_of(open_page(runs=orphan.run_id))


def test_two_runs_are_compared_on_the_same_reviews_in_a_sentence() -> None:
    a, b = write_run(1, "good"), write_run(2, "poor", assignments=("training.learning_rate=0.001",))
    write_results(a, 2.0)
    write_results(b, 0.5)
    app = open_page(runs="good,poor")
    said = words_of(app)
    assert "good is better, and chance does not explain it" in said
    assert "Same 400 test reviews; paired. Right of zero: good is better." in said
    assert re.search(r"good gets [\d.]+ points more right \(95 % interval [\d.]+ to [\d.]+; McNemar p < 0\.001\)", said)
    assert "and beats poor in all 2,000 redraws of the reviews." in said
    assert len(app.get("vega_lite_chart")) == 2
    diff = app.dataframe[1].value
    assert diff["Setting"].tolist() == ["Learning rate", "Seed"] and diff["good"].tolist() == ["0.05", "1"]


def test_what_is_not_scored_yet_is_offered_and_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = write_run(1, "good"), write_run(2, "poor")
    asked: list[tuple[str, str]] = []

    def note(reference: str, config: object, split: str) -> EvaluationJob:
        asked.append((reference, split))
        result = find_run(reference).result
        assert result is not None
        return EvaluationJob(evaluation_folder(result.model_sha256, FINGERPRINT, split))

    monkeypatch.setattr(jobs, "queue_evaluation", note)
    app = open_page(runs="good,poor")
    assert "good and poor have not read the test split yet" in words_of(app)
    assert app.button(key="runs_score").label == "Score both"
    app.button(key="runs_score").click().run()
    assert asked == [("good", "test"), ("poor", "test")]
    write_results(a, 1.0)
    app = open_page(runs="good,poor")
    assert "poor has not read the test split yet" in words_of(app) and "good and" not in words_of(app)
    app.button(key="runs_score").click().run()
    assert asked[2:] == [("poor", "test")]
    assert b.result is not None
    job = EvaluationJob(evaluation_folder(b.result.model_sha256, FINGERPRINT, "test"))
    job.path.mkdir(parents=True)
    job.save_state("queued")
    assert "poor: the test split is being read" in words_of(open_page(runs="good,poor"))
    job.save_state("failed", "The disk is full.")
    assert "Scoring the test split with poor did not end. The disk is full." in words_of(open_page(runs="good,poor"))


def test_scoring_both_really_queues_both() -> None:
    config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14", "training.epochs=1"])
    for name, seed in (("one", 1), ("two", 2)):
        run_job(create_run(with_settings(config, [f"training.seed={seed}"]), "fast", name).path)
    app = open_page(runs="one,two")
    app.button(key="runs_score").click().run()
    assert not app.exception and len(list_waiting("score")) == 2
    for each in list_waiting("score"):
        run_job(each.job.path)
    app = open_page(runs="one,two")
    assert "Same 1,200 test reviews" in words_of(app)


def test_data_that_has_changed_since_is_told_of_and_half_asked_for_scores_are_waited_for() -> None:
    a, b = write_run(1, "good"), write_run(2, "poor")
    for run in (a, b):  # their fingerprint is of no data that is here
        model = create_run(with_data(preset_config("fast"), "demo"), "fast", "model")
        run.model_file.write_bytes(trained_model(model))
    app = open_page(runs="good,poor")
    app.button(key="runs_score").click().run()
    assert not app.exception and "The data has changed since these runs learnt from it." in words_of(app)
    assert b.result is not None
    job = EvaluationJob(evaluation_folder(b.result.model_sha256, FINGERPRINT, "test"))
    job.path.mkdir(parents=True)
    job.save_state("queued")
    assert "good and poor: the test split is being read" in words_of(open_page(runs="good,poor"))


def trained_model(run: Run) -> bytes:
    run_job(run.path)
    return run.model_file.read_bytes()


def test_runs_of_other_data_are_compared_by_settings_alone() -> None:
    write_run(1, "here")
    other = write_run(2, "there")
    assert other.origin is not None
    other.save_origin(other.origin.model_copy(update={"data_fingerprint": "e" * 64}))
    app = open_page(runs="here,there")
    assert "They learnt from different data" in words_of(app) and "McNemar" not in words_of(app)
    assert app.dataframe[1].value["Setting"].tolist() == ["Seed"]
    write_run(3, "here too")
    assert "They did not all learn from the same data" in words_of(open_page(runs="here,there,here-too"))


def test_a_run_that_is_not_done_cannot_be_compared_yet() -> None:
    write_run(1, "done")
    create_run(with_data(preset_config("fast"), "demo"), "fast", "waiting")
    assert "waiting cannot be compared yet" in words_of(open_page(runs="done,waiting"))


def test_many_runs_show_what_differs_and_parallel_coordinates() -> None:
    ids = [
        write_run(
            number, f"run {number}", assignments=(f"training.batch_size={32 * (1 + number % 3)}", "training.seed=0")
        ).run_id
        for number in range(20)
    ]
    app = open_page(runs=",".join(ids))
    assert "20 side by side" in words_of(app) and len(app.get("plotly_chart")) == 1
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    assert [axis["label"] for axis in figure["data"][0]["dimensions"]] == ["Batch size", "Validation accuracy"]
    alike = open_page(runs=",".join(ids[::3][:3]))
    assert not alike.get("plotly_chart") and "Their settings are the same" in words_of(alike)


def test_many_ticked_runs_are_deleted_with_one_press_and_come_back_with_another() -> None:
    ids = [write_run(number, f"run {number}").run_id for number in range(4)]
    app = open_page(runs=",".join(ids[:3]))
    assert re.search(r"3 runs, \d+ kB", words_of(app)) and app.button(key="runs_delete_many").label == "Delete 3"
    app.button(key="runs_delete_many").click().run()
    assert not app.exception and rows_of(app) == ["run 3"]
    assert "3 runs deleted." in words_of(app) and len(list_trash()) == 3 and in_url(app, "runs") is None
    app.button(key="runs_undo").click().run()
    assert len(list_runs()) == 4 and ticked(app) and not list_trash()


def test_deleting_the_model_in_use_is_said() -> None:
    run = write_run(1, "used")
    use_model(run.run_id)
    app = open_page(runs="used")
    app.button(key="runs_delete").click().run()
    assert "used deleted. Its model was in use for predictions" in words_of(app)


def test_a_run_that_waits_or_trains_is_not_deleted_and_that_is_said() -> None:
    run = create_run(with_data(preset_config("fast"), "demo"), "fast", "busy")
    write_run(1, "done")
    app = open_page(runs="busy")
    app.button(key="runs_delete").click().run()
    assert "busy is queued. Stop it first, then delete it." in words_of(app) and run in list_runs()
    app = open_page(runs="busy,done")
    app.button(key="runs_delete_many").click().run()
    assert "1 runs deleted." not in words_of(app) and "done deleted." in words_of(app)
    assert "busy is queued" in words_of(app) and [each.run_id for each in list_runs()] == ["busy"]


def test_the_trash_is_emptied_only_after_a_second_word() -> None:
    write_run(1, "doomed")
    write_run(2, "kept")
    app = open_page(runs="doomed")
    app.button(key="runs_delete").click().run()
    assert not [button for button in app.button if button.key == "runs_empty"], "it is folded"
    app.session_state["runs_trash"] = True
    app.run()
    app.button(key="runs_empty").click().run()
    assert "Delete 1 run for good?" in words_of(app) and list_trash()
    app.button(key="runs_empty_no").click().run()
    app.button(key="runs_empty").click().run()
    app.button(key="runs_empty_yes").click().run()
    assert not app.exception and not list_trash() and "The trash is empty" in words_of(app)


def test_damaged_runs_are_named_and_hide_nothing() -> None:
    write_run(1, "sound")
    broken, torn = write_run(2, "broken"), write_run(3, "torn")
    app = open_page()
    assert len(rows_of(app)) == 3
    (broken.path / "result.json").write_text("{")
    torn.metrics_file.write_text('{"valid_loss": }\n')
    app.run()
    assert not app.exception and rows_of(app) == ["sound"]
    assert "2 runs cannot be read and are not listed: broken, torn." in words_of(app)
    assert load_all().states == list_states(), "or the page would draw itself anew for ever"


def test_a_stranger_s_words_are_text_and_nothing_else() -> None:
    run = write_run(1, HOSTILE)
    run.save_about(run.about.model_copy(update={"note": HOSTILE, "tags": (HOSTILE,)}))
    other = write_run(2, HOSTILE)
    for number in range(3):
        write_run(10 + number, "x", group=f"{HOSTILE}-18ab")
    for ids in (run.run_id, f"{run.run_id},{other.run_id}", group_id(f"{HOSTILE}-18ab"), "latest"):
        app = open_page(runs=ids)
        for body in (each.proto.body for each in app.get("html")):
            assert "<script" not in body and "<img" not in body
        spoken = [*app.markdown, *app.caption, *app.get("toast"), *app.button, *app.expander]
        assert not any(part in f"{element.proto}" for element in spoken for part in ("alert(1)", "example.org"))
    app = open_page(runs=run.run_id)
    app.button(key="runs_delete").click().run()
    assert "&lt;script&gt;" in " ".join(each.proto.body for each in app.get("html"))


def test_a_sound_model_is_imported_and_used_and_a_bad_one_is_refused_with_a_sentence() -> None:
    config = with_settings(with_data(preset_config("fast"), "demo"), ["model.bucket_bits=14", "training.epochs=1"])
    run = create_run(config, "fast", "mine")
    run_job(run.path)
    assert run.result is not None
    app = open_page()
    app.file_uploader(key="runs_import_0").upload("m.safetensors", run.model_file.read_bytes()).run()
    assert not app.exception and f"Imported as {run.result.model_sha256[:12]}" in words_of(app)
    assert app.dataframe[1].value["Model"].tolist() == [run.result.model_sha256[:12]]
    app.file_uploader(key="runs_import_1").upload("<b>x.safetensors", b"nothing of the kind").run()
    assert not app.exception and "Nothing was imported." in words_of(app) and "Cannot load the model" in words_of(app)


def test_runs_that_never_validated_have_dashes() -> None:
    for name in ("one", "two"):
        create_run(with_data(preset_config("fast"), "demo"), "fast", name)
    app = open_page(runs="one,two")
    frame = app.dataframe[0].value
    assert set(frame["Validation"]) == {"–"} == set(frame["Epoch"]) and set(frame["Took"]) == {"–"}
    assert "There is no validation yet" in words_of(app)


def test_a_run_that_goes_away_while_it_is_looked_at_does_no_harm() -> None:
    run = write_run(1, "fleeting")
    app = open_page(runs="fleeting")
    os.rename(run.path, run.path.parent.parent / "elsewhere")
    app.run()
    assert not app.exception and "Your runs will stand here" in words_of(app)


def curve(*values: float) -> MeanCurve:
    y = np.array(values)
    return MeanCurve(np.linspace(0.25, 1, len(y)), y, y, y)


def test_the_first_two_are_in_colour_and_the_names_at_their_ends_do_not_touch() -> None:
    lines = [
        Line("quiet", "other", curve(0.5, 0.6)),
        Line("A", "a", curve(0.8, 0.9)),
        Line("B", "b", curve(0.8, 0.9)),
        Line("C", "chosen", curve(0.8, 0.899)),
    ]
    for tokens, violet in ((LIGHT, "#7A4FC9"), (DARK, "#AE90F0")):
        data = plot_overlay(lines, "share", tokens)["datasets"]
        colours = dict(zip(data["chosen"]["run"], data["chosen"]["colour"], strict=True))
        assert colours == {"A": tokens.text, "B": violet, "C": tokens.quiet}
        assert data["ends"]["run"].tolist() == ["A", "B", "C"], "what ends below the axis has no name at its end"
        places = sorted(data["ends"]["y"])
        assert min(after - before for before, after in pairwise(places)) > 0.005


def test_of_many_lines_only_the_coloured_and_the_best_are_named() -> None:
    lines = [Line(f"run {number}", "chosen", curve(0.8, 0.85 + number / 1000)) for number in range(18)]
    lines += [Line("A", "a", curve(0.8, 0.85)), Line("B", "b", curve(0.8, 0.86))]
    assert sorted(plot_overlay(lines, "share", LIGHT)["datasets"]["ends"]["run"]) == ["A", "B", "run 17"]


@pytest.mark.parametrize("values", [[], [0.5], [0.9, 0.9, 0.9], [0.0, 0.0, 1.0], [0.5] * 40])
def test_labels_are_moved_apart_and_stay_on_the_chart(values: list[float]) -> None:
    places = spread_labels(values, 0.05, 0.0, 1.0)
    assert len(places) == len(values) and all(-1e-9 <= place <= 1 + 1e-9 for place in places)
    gaps = np.diff(sorted(places))
    assert (gaps >= min(0.05, 1 / max(len(values) - 1, 1)) - 1e-9).all()


def test_a_difference_is_drawn_in_points_around_zero_and_undefined_ones_are_left_out() -> None:
    shown = {
        "accuracy": Difference(0.01, 0.005, 0.015, "m"),
        "f1": Difference(None, None, None, "undefined: it needs both labels"),
    }
    chart = plot_differences(shown, "a minus b", LIGHT)
    assert chart is not None
    frame = chart["datasets"]["differences"]
    assert frame["figure"].tolist() == ["accuracy"]
    assert frame[["points", "low", "high"]].iloc[0].tolist() == pytest.approx([1.0, 0.5, 1.5])
    assert plot_differences({"f1": shown["f1"]}, "a minus b", LIGHT) is None


def test_axes_of_a_sweep_place_words_and_few_numbers_evenly_and_carry_no_markup() -> None:
    rates = parallel_axis("Learning rate", [0.1, 0.001, 0.002, 0.1])
    assert rates["values"] == [2, 0, 1, 2] and rates["ticktext"] == ["0.001", "0.002", "0.1"]
    words = parallel_axis("Schedule", ["linear", "<a href='x'>", "linear"])
    assert words["values"] == [1, 0, 1] and not any("<" in text for text in words["ticktext"])
    many = parallel_axis("Seed", list(range(20)))
    assert many["values"] == list(range(20)) and "tickvals" not in many
    assert parallel_axis("Mixed", [1, "–", 2])["ticktext"] == ["1", "2", "–"]


def test_a_ticked_member_of_a_listed_group_is_not_said_to_be_missing() -> None:
    write_seeds("seeds", 0.91, 0.92)
    assert "not in this list" not in words_of(open_page(runs="latest"))


def test_one_finished_seed_of_two_is_no_mean() -> None:
    write_seeds("seeds", 0.91)
    create_run(list_runs()[0].settings.config, "fast", group="seeds-18ab")
    frame = open_page().dataframe[0].value
    assert frame["Validation"].tolist() == ["90.2 % (1 of 2 runs)"] and frame["State"].tolist() == ["1 of 2"]


def test_what_people_change_has_no_second_source_for_its_value() -> None:
    run = write_run(1, "old")
    app = open_page(runs=run.run_id)
    name = f"runs_name_{run.run_id}"
    assert app.text_input(key=name).proto.default == ""  # Streamlit warns of a default beside a value that was set
    app.text_input(key=name).set_value("new").run()
    assert run.about.name == "new" and app.text_input(key=name).value == "new"


def test_the_overlay_s_words_say_which_lines_are_in_colour() -> None:
    assert overlay_words(2, has_others=True) == "Ticked runs in colour; others on the same data in grey."
    assert overlay_words(3, has_others=False) == "The first two in colour, the rest in grey."
