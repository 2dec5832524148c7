"""The data page, and the label mapping that it shares with the training page, without a browser."""

import io
import json
import re
import shlex
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs, settings
from core.config import preset_config, with_data, with_settings
from core.jobs import list_waiting, run_job
from core.prediction.uploads import Upload, save_upload
from core.profiling import ProfileJob, create_profile_job
from core.runs import create_run, list_runs
from dashboard.label_mapping import read_letters, sentences, write_letters

ROOT = Path(__file__).resolve().parents[2]
STARS = {"1": "negative", "2": "negative", "3": "left out", "4": "positive", "5": "positive"}
HOSTILE = "**bold** ![x](http://example.org/x.png) <script>alert(1)</script> :material/bug_report:"


@pytest.fixture(autouse=True)
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.jobs.start_worker", lambda slot: None)


def open_page(name: str, **parameters: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=30).run()
    for key, value in parameters.items():
        app.query_params[key] = value
    return app.switch_page(str(ROOT / "pages" / f"{name}.py")).run()


def html_of(app: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in app.get("html"))


def run_waiting() -> ProfileJob:
    """Run the one profile that waits, as its worker would."""
    (waiting,) = list_waiting("quick")
    waiting.entry.unlink()
    run_job(waiting.job.path)
    return ProfileJob(waiting.job.path)


def open_profile(**parameters: str) -> AppTest:
    """Open the page, let the job run, and open it again."""
    app = open_page("data", **parameters)
    assert not app.exception and "Waiting for its turn" in html_of(app)
    assert run_waiting().state.status == "finished"
    return open_page("data", **parameters)


def upload(rows: list[tuple[str, str]], name: str = "mine.csv") -> Upload:
    table = "text;label\n" + "".join(f"{text};{label}\n" for text, label in rows)
    return save_upload(io.BytesIO(table.encode()), name)


def upload_stars() -> Upload:
    return upload([(f"review {'very ' * (row % 7)}number {row}", str(row % 5 + 1)) for row in range(200)])


def test_the_demo_corpus_is_looked_at_by_a_job_and_then_shown() -> None:
    app = open_profile(data="demo")
    assert not app.exception
    figures = {metric.label: (metric.value, metric.delta) for metric in app.metric}
    assert figures["Train"] == ("2,520", "49.7 % positive") and figures["Test"][0] == "1,200"
    assert figures["Empty texts"] == ("0", "of 4,000") and figures["Also in train"] == ("0", "0.0 % of test")
    html = html_of(app)
    assert "No review stands twice" in html and "Every review is read to its end" in html
    assert "The first batch, as the model sees it" in html and "words read" in html
    assert len(app.get("vega_lite_chart")) == 3
    assert not list_waiting("quick")


def test_without_an_address_the_demo_corpus_is_shown_and_train_on_this_goes_on_with_it() -> None:
    app = open_page("data")
    assert app.selectbox(key="data-set").value == "demo"
    app.button(key="data-train").click().run()
    assert not app.exception and app.code[0].value == "python -m core train --preset fast --data demo --test"


def test_another_preset_cuts_the_texts_in_its_own_way(monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("data", data="demo")
    app.segmented_control(key="data-preset").set_value("classic").run()
    assert app.query_params["preset"] == "classic" and "up to 256 words" in html_of(app)
    assert len(list_waiting("quick")) == 2


def test_reviews_that_lose_their_end_are_told_and_their_tails_are_grey() -> None:
    rows = [(f"the {'long ' * 300} review {'i' * row} ends here", "01"[row % 2]) for row in range(60)]
    app = open_profile(data="table", table=upload(rows).upload_id, preset="classic")
    html = html_of(app)
    assert "100 % of reviews lose their end at 256 words" in html and "lose their end" in html
    assert re.search(r"49 cut off.*<span style=\"color:#\w+\">long", html, re.DOTALL)
    spec = json.loads(app.get("vega_lite_chart")[0].proto.spec)
    assert "strokeDash" in json.dumps(spec)


def test_duplicates_are_told_with_what_happens_to_them() -> None:
    rows = [(f"a unique review {'i' * row}", "01"[row % 2]) for row in range(100)]
    app = open_profile(data="table", table=upload([*rows, *[("the same", "1")] * 40]).upload_id, preset="compact")
    html = html_of(app)
    assert "test reviews also stand in train" in html and "extra copies within train" in html
    assert "Kept: they lift test accuracy by" in html


def test_a_failed_look_says_why_and_is_tried_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    app = open_page("data", data="imdb")
    run_waiting()
    app.run()
    html = html_of(app)
    assert not app.exception and "Looking at the data failed. Could not read IMDB" in html
    app.button(key="data-again").click().run()
    assert len(list_waiting("quick")) == 1 and "Waiting for its turn" in html_of(app)


def test_imdb_is_not_fetched_before_somebody_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.DATA_VARIABLE, raising=False)
    app = open_page("data", data="imdb")
    assert "fetched once (84 MB)" in html_of(app) and not list_waiting("quick")
    app.button(key="data-fetch-now").click().run()
    assert len(list_waiting("quick")) == 1


def test_a_damaged_profile_is_told_and_can_be_made_again() -> None:
    config = with_data(preset_config("fast"), "demo")
    job = create_profile_job(config)
    job.save_state("finished")
    job.result_file.write_text("{}")
    app = open_page("data", data="demo")
    assert not app.exception and "is damaged" in html_of(app)
    app.button(key="data-again").click().run()
    assert len(list_waiting("quick")) == 1
    run_waiting()
    assert len(app.run().metric) == 5


def test_a_full_queue_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_WAITING", -1)
    app = open_page("data", data="demo")
    assert not app.exception and "jobs wait already" in html_of(app)


def test_without_a_table_the_page_says_what_to_bring() -> None:
    app = open_page("data", data="table")
    assert not app.exception and "Bring a table with a text and a label column" in html_of(app)
    assert app.button(key="data-train").disabled
    app.button(key="data-demo").click().run()
    assert app.selectbox(key="data-set").value == "demo"


@pytest.mark.parametrize("page", ["data", "training"])
def test_stars_are_mapped_with_the_mapping_shown(page: str) -> None:
    app = open_page(page, data="table", table=upload_stars().upload_id)
    assert not app.exception
    shown = [box.value for box in app.selectbox if box.label == "Read as"]
    assert shown == list(STARS.values())
    html = html_of(app)
    assert "40 rows with 3 stars are left out." in html and "80 negative and 80 positive reviews" in html


def test_the_chosen_map_reaches_the_url_the_run_and_the_command_line() -> None:
    found = upload_stars()
    app = open_page("training", data="table", table=found.upload_id)
    app.selectbox(key=f"labels-{found.upload_id}-1-2").set_value("negative").run()
    assert app.query_params["labels"] == "nnnpp"
    assert "120 negative and 80 positive reviews" in html_of(app)
    words = shlex.split(app.code[0].value)
    assert words[words.index("--labels") + 1] == "1=negative,2=negative,3=negative,4=positive,5=positive"
    app.button(key="start").click().run()
    assert list_runs()[0].settings.config.data.label_map == {**STARS, "3": "negative"}


def test_a_table_s_map_goes_along_to_the_training_page_and_back() -> None:
    found = upload_stars()
    app = open_page("data", data="table", table=found.upload_id, text="0", label="1", labels="nnnpp")
    app.button(key="data-train").click().run()
    assert not app.exception and "3=negative" in app.code[0].value and str(found.table) in app.code[0].value
    link = app.get("page_link")[0].proto
    assert link.query_string.count("&") == 4 and "labels=nnnpp" in link.query_string


def test_values_that_mean_nothing_yet_must_be_chosen() -> None:
    labels = ["neg", "pos", "so so"]
    found = upload([(f"review {row}", labels[row % 3]) for row in range(90)])
    app = open_page("training", data="table", table=found.upload_id)
    assert "30 rows cannot be used before you choose how so so is read" in html_of(app)
    assert app.button(key="start").disabled and not app.code
    app.selectbox(key=f"labels-{found.upload_id}-1-2").set_value("left out").run()
    assert not app.button(key="start").disabled and "30 rows labelled so so are left out" in html_of(app)


def test_another_column_of_labels_forgets_the_map() -> None:
    table = "text,label,stars\n" + "".join(f"review {row},{row % 2},{row % 5 + 1}\n" for row in range(100))
    found = save_upload(io.BytesIO(table.encode()), "mine.csv")
    app = open_page("data", data="table", table=found.upload_id, labels="np")
    assert not any(box.label == "Read as" for box in app.selectbox)
    app.selectbox(key="column-label").set_value(2).run()
    assert app.query_params["label"] == "2" and "labels" not in app.query_params
    assert [box.value for box in app.selectbox if box.label == "Read as"] == list(STARS.values())


def test_a_column_of_texts_is_no_column_of_labels() -> None:
    found = upload([(f"review {row}", f"id {row}") for row in range(60)])
    app = open_page("data", data="table", table=found.upload_id)
    assert "more than 50 different values" in html_of(app) and "mine.csv, line 52" in html_of(app)


def test_an_upload_goes_into_the_url() -> None:
    app = open_page("data", data="table", labels="npo")
    table = b"text,label\n" + b"good,1\nbad,0\n" * 30
    app.file_uploader[0].upload("new.csv", table, "text/csv").run()
    assert not app.exception and "30 negative and 30 positive reviews" in html_of(app)
    assert app.query_params["table"].isalnum() and "labels" not in app.query_params


def test_strangers_words_are_text_and_nothing_else() -> None:
    rows = [(f"{HOSTILE} {row}", HOSTILE if row % 3 else "neutral") for row in range(60)]
    found = upload(rows, f"{HOSTILE}.csv")
    app = open_page("data", data="table", table=found.upload_id, labels="np")
    run_waiting()
    app.run()
    assert not app.exception and len(app.metric) == 5
    assert "<script>" not in html_of(app) and "&lt;script&gt;" in html_of(app)
    rendered = [element.value for element in [*app.markdown, *app.caption, *app.title]]
    rendered += [box.label for box in app.selectbox] + [button.label for button in app.button]
    assert not any("example.org" in text or "bold" in text for text in rendered)


def test_a_run_on_mapped_labels_can_be_evaluated_on_its_page() -> None:
    config = with_data(preset_config("fast"), str(upload_stars().table), label_map=STARS)  # type: ignore[arg-type]
    run = create_run(with_settings(config, ["model.bucket_bits=14", "model.min_reviews=1"]), "fast")
    run_job(run.path)
    assert run.state.status == "finished", run.state.message
    for split, reviews in (("test", 32), ("valid", 12)):
        app = open_page("evaluation", model=run.run_id, data="table", split=split)
        assert not app.exception and app.button(key="evaluation_score").label == f"Score {reviews} reviews"


def test_letters_that_do_not_fit_the_values_count_as_absent() -> None:
    counts, proposed = {"1": 5, "2": 5, "x": 1}, {"1": "negative", "2": "positive"}
    chosen = {"1": "positive", "2": "left out"}
    letters = write_letters(list(counts), chosen)  # type: ignore[arg-type]
    assert letters == "po-" and read_letters(letters, counts, proposed) == chosen  # type: ignore[arg-type]
    for odd in (None, "", "po", "poq", "po--"):
        assert read_letters(odd, counts, proposed) == proposed  # type: ignore[arg-type]


def test_sentences_speak_of_stars_and_of_words() -> None:
    stars = {str(number): 2 for number in range(1, 11)}
    label_map = dict.fromkeys(stars, "positive") | {"5": "left out", "6": "left out"}
    assert sentences(stars, label_map) == ["4 rows with 5 or 6 stars are left out."]  # type: ignore[arg-type]
    words = sentences({"pos": 3, "": 1, "meh": 1}, {"pos": "positive", "": "left out"})
    assert words[0] == "1 row labelled (empty) is left out." and "how meh is read" in words[1]


@pytest.mark.parametrize("page", ["data", "training"])
@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(f"review {row}", "1") for row in range(60)], "There are no negative reviews."),
        ([("good", "1"), ("bad", "0")], "There is 1 negative review and 1 positive review."),
    ],
)
def test_too_few_of_a_label_are_told_and_nothing_can_be_trained(
    page: str, rows: list[tuple[str, str]], said: str
) -> None:
    app = open_page(page, data="table", table=upload(rows).upload_id)
    html = html_of(app)
    assert not app.exception and said in html and "Training needs 8 of each label." in html
    assert app.button(key={"data": "data-train", "training": "start"}[page]).disabled
    assert not app.code


def test_one_label_alone_is_why_no_word_tells_the_labels_apart() -> None:
    found = upload([(f"a fine review {'i' * row}", "1") for row in range(60)])
    html = html_of(open_profile(data="table", table=found.upload_id))
    assert "It takes both labels, and no training review is negative." in html


def test_a_table_of_one_column_is_refused() -> None:
    app = open_page("data", data="table", table=save_upload(io.BytesIO(b"text\nfine\nbad\n" * 9), "m.csv").upload_id)
    assert "m.csv: 1 column. It takes two" in html_of(app) and app.button(key="data-train").disabled


def test_the_same_column_for_texts_and_labels_is_refused() -> None:
    app = open_page("data", data="table", table=upload_stars().upload_id, text="1", label="1")
    assert "The same column is chosen" in html_of(app) and app.button(key="data-train").disabled


def test_a_table_that_is_no_csv_gets_a_sentence() -> None:
    lines = save_upload(io.BytesIO(b'{"text": "a film", "label": 1}\n' * 30), "lines.jsonl")
    said = html_of(open_page("data", data="table", table=lines.upload_id))
    assert "is a JSON lines file (.jsonl); labelled reviews are read from CSV." in said
