"""The result of a scored table, driven without a browser: its account, charts, filters, doors, rows and rejects."""

import io
import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.data.demo import write_demo_table
from core.evaluation.intervals import wilson_interval
from core.job_folder import JobReporter
from core.model_settings import Cutoffs, ModelSettings, save_settings
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk, iterate_parts
from core.prediction.bulk_looks import LookJob, execute_look
from core.prediction.predictor import Predictor, probability_of
from core.prediction.uploads import save_upload
from core.wording import interval_text, percent
from dashboard.bulk.rows import text_width

ROOT = Path(__file__).resolve().parents[2]
TEXT, PRODUCT, DATE, STARS = 4, 1, 2, 3
GOOD, BAD = "superb, touching and delightful", "dull, awful and tedious"


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queue jobs, but start no process for them."""
    monkeypatch.setattr(jobs, "start_worker", lambda slot: None)


def score(content: str, *text_columns: int, ids: int | None = None, name: str = "reviews.csv") -> BulkJob:
    upload = save_upload(io.BytesIO(content.encode()), name)
    request = BulkRequest(
        model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=text_columns, id_column=ids
    )
    job = create_bulk_job(upload, request)
    execute_bulk(job, JobReporter(job))
    return job


@pytest.fixture
def demo() -> BulkJob:
    """Return the demo table, scored."""
    text = io.StringIO(newline="")
    write_demo_table(text)
    return score(text.getvalue(), TEXT, ids=0, name="shop.csv")


def scores_of(job: BulkJob) -> pd.DataFrame:
    """Return what the parts hold, as pandas reads it."""
    frame = pd.concat([part.to_pandas() for part in iterate_parts(job)], ignore_index=True)
    return frame.assign(p=probability_of(frame["logit"].to_numpy()))


def open_page(job: BulkJob, **filters: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=60).run()
    page.switch_page("../pages/prediction.py")
    named = {f"file_{name}": value for name, value in filters.items()}
    if filters:
        named.setdefault("file_of", job.job_id)
    for name, value in {"view": "file", "upload": job.upload.upload_id, "job": job.job_id, **named}.items():
        page.query_params[name] = value
    page.run()
    return sound(page)


def sound(page: AppTest) -> AppTest:
    assert not page.exception, [each.value for each in page.exception]
    return page


def words_of(page: AppTest) -> str:
    """Return what the page's own HTML says, without tags."""
    html = "\n".join(element.proto.body for element in page.get("html"))
    plain = re.sub(r"<style>.*?</style>|<[^>]*>", " ", re.sub(r"</?b\b[^>]*>", "", html), flags=re.S)
    return " ".join(unescape(plain).split())


def of_url(page: AppTest, name: str) -> str | None:
    value = page.query_params.get(f"file_{name}")
    return value[0] if isinstance(value, list) else value


def choice(page: AppTest, name: str) -> Any:
    """Return the field of a kind of choice."""
    fields = [*page.selectbox, *page.text_input, *page.date_input, *page.get("button_group")]
    return next(each for each in fields if (each.key or "").startswith(f"file_choice_{name}_"))


def clicks(page: AppTest) -> int:
    return int(page.session_state["file_clicks"]) if "file_clicks" in page.session_state else 0


def click(page: AppTest, chart: str, **selection: object) -> AppTest:
    page.session_state[f"file_{chart}_{clicks(page)}"] = {"selection": selection}
    page.run()
    return sound(page)


def rows_shown(page: AppTest) -> pd.DataFrame:
    return next(each.value for each in page.dataframe if "positive" in each.value.columns)


def take_looks(job: BulkJob) -> None:
    for folder in job.path.glob("look-*"):
        look = LookJob(folder)
        if not look.is_done:
            execute_look(look, JobReporter(look))


def plots(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(each.proto.spec) for each in page.get("plotly_chart")]


def test_the_account_of_the_rows_balances_and_names_reasons_and_repeats() -> None:
    lines = ["1,a superb film", "2,a superb film", "2,dull", "3,", "a,b,c"]
    said = words_of(open_page(score("\n".join(["id,text", *lines]), 1, ids=0)))
    assert "5 rows in = 3 scored + 2 rejected (" in said
    assert "no text: 1" in said and "3 fields where the header has 2: 1" in said
    assert "1 row had the text of an earlier row; each text is read once." in said
    assert "an id that stood in an earlier row." in said


def test_charts_say_what_pandas_says(demo: BulkJob) -> None:
    frame, said = scores_of(demo), words_of(open_page(demo))
    positive = frame["p"] >= 0.6
    share, interval = positive.mean(), interval_text(*wilson_interval(int(positive.sum()), len(frame)))
    assert f"{percent(share)} of the reviews are positive ({interval}) n = 1,200;" in said
    unsure = (frame["p"] >= 0.4) & (frame["p"] < 0.6)
    low, high = wilson_interval(int(unsure.sum()), len(frame))
    assert f"{percent(unsure.mean())} are too close to call ({interval_text(low, high)})" in said
    groups = (
        positive.groupby(frame[f"c{PRODUCT}"])
        .agg(["size", "sum", "mean"])
        .sort_values("size", ascending=False, kind="stable")
    )
    groups = groups[:20].query("size >= 24")  # the 20 largest stand alone, if each has 2 % of the rows
    lowest, highest = (groups.loc[name] for name in (groups["mean"].idxmin(), groups["mean"].idxmax()))
    if wilson_interval(lowest["sum"], lowest["size"])[1] < share:
        assert f"Least positive: {lowest.name}, {percent(lowest['mean'], 0)}" in said
    elif wilson_interval(highest["sum"], highest["size"])[0] > share:
        assert f"Most positive: {highest.name}, {percent(highest['mean'], 0)}" in said
    else:
        assert "No group differs clearly from all together" in said
    stars = frame[f"c{STARS}"].astype(int)
    clear = (stars != 3) & ~unsure
    agree = int(((stars > 3) == positive)[clear].sum())
    expected = interval_text(*wilson_interval(agree, int(clear.sum())))
    assert f"Stars and text agree in {percent(agree / clear.sum())} ({expected})" in said


def test_every_chart_has_n_an_interval_and_its_numbers_as_a_table(demo: BulkJob) -> None:
    page = open_page(demo)
    take_looks(demo)
    page.run()
    said = words_of(sound(page))
    assert said.count("n = 1,200") >= 4 and said.count("95 %") >= 4
    tables = [each for each in page.expander if each.label == "Show as table"]
    assert len(tables) == len(page.get("plotly_chart")) + len(page.get("vega_lite_chart")) == 5
    groups, over_time = plots(page)
    assert over_time["layout"]["xaxis"]["rangeslider"]["visible"] is True
    assert len(groups["data"][2]["customdata"]) == 21 or "bdata" in groups["data"][2]["customdata"]


@pytest.mark.parametrize(
    ("filters", "query", "words"),
    [
        ({"side": "negative"}, "p < 0.4", "negative"),
        ({"c1": "Copper Saints"}, "c1 == 'Copper Saints'", "product Copper Saints"),
        (
            {"dated": "2", "since": "2024-05-01", "until": "2024-06-30"},
            "'2024-05-01' <= c2 <= '2024-06-30'",
            "date 1 May 2024 to 30 Jun 2024",
        ),
        ({"rated": "3", "stars": "5"}, "c3 == '5'", "5 stars"),
        (
            {"rated": "3", "disagree": "any"},
            "(c3 in ['4', '5'] and p < 0.4) or (c3 in ['1', '2'] and p >= 0.6)",
            "stars and text disagree",
        ),
        ({"score": "36"}, "0.9 <= p < 0.925", "probability of positive 90 to 92.5 %"),
        ({"confidence": "0.9", "side": "positive"}, "p >= 0.9", "positive, at least 90 % confident"),
        ({"c1": "Copper Saints", "rated": "3", "stars": "4", "side": "positive"},
         "c1 == 'Copper Saints' and c3 == '4' and p >= 0.6", "product Copper Saints, positive, 4 stars"),
    ],
)  # fmt: skip
def test_a_filter_in_the_url_reaches_words_and_rows(
    demo: BulkJob, filters: dict[str, str], query: str, words: str
) -> None:
    kept = scores_of(demo).query(query).sort_values("p", kind="stable")
    page = open_page(demo, **filters)
    said = words_of(page)
    assert f"{len(kept):,} review{'' if len(kept) == 1 else 's'} of 1,200: {words}" in said
    assert (rows_shown(page)["row"] - 1).tolist() == kept.index[:10].tolist()


def test_under_a_filter_the_charts_are_those_of_its_rows(demo: BulkJob) -> None:
    frame = scores_of(demo)
    kept = frame[frame["c3"] == "5"]
    positive = kept["p"] >= 0.6
    said = words_of(open_page(demo, rated="3", stars="5"))
    interval = interval_text(*wilson_interval(int(positive.sum()), len(kept)))
    assert f"{percent(positive.mean())} of these reviews are positive ({interval}) n = {len(kept)};" in said
    assert said.count(f"n = {len(kept)}") >= 4


def test_a_share_leaves_the_filter_by_score_out_and_says_so(demo: BulkJob) -> None:
    said = words_of(open_page(demo, side="negative"))
    assert said.count("The filter by score is left out of a share.") == 3
    assert "of the reviews are positive" in said and "n = 1,200;" in said


def test_a_click_on_a_group_filters_and_a_second_one_takes_the_filter_away(demo: BulkJob) -> None:
    page = open_page(demo)
    point = {"points": [{"customdata": 2, "curve_number": 2}]}
    click(page, "groups", **point)
    assert of_url(page, "c1") == "Copper Saints" and "product Copper Saints" in words_of(page)
    assert "n = 1,200: share positive" in words_of(page)  # the other groups stay in sight
    click(page, "groups", **point)
    assert of_url(page, "c1") is None


def test_a_stretch_drawn_over_time_takes_the_whole_of_each_month_whose_dot_is_in_it(demo: BulkJob) -> None:
    page = open_page(demo)
    drawn = [{"x": ["2024-04-20 10:00", "2024-06-09"]}]
    click(page, "time", box=drawn, points=[{"customdata": 19_875}, {"customdata": [19_844]}])
    assert (of_url(page, "since"), of_url(page, "until")) == ("2024-05-01", "2024-06-30")
    click(page, "time", box=drawn, points=[{"customdata": [19_844]}])
    assert (of_url(page, "since"), of_url(page, "until")) == ("2024-05-01", "2024-05-31")
    click(page, "time", box=drawn, points=[{"customdata": [19_844]}])
    assert of_url(page, "dated") is None


def test_a_column_of_titles_leaves_room_for_the_texts() -> None:
    assert text_width(pd.Series(["Great", "", "Never again"])) < text_width(pd.Series(["Great", "x" * 60]))


def test_a_stretch_of_time_without_a_dot_filters_by_its_own_days(demo: BulkJob) -> None:
    page = click(open_page(demo), "time", box=[{"x": ["2024-05-03 10:00", "2024-05-09"]}], points=[])
    assert (of_url(page, "since"), of_url(page, "until")) == ("2024-05-03", "2024-05-09")


def test_clicks_on_scores_and_stars_combine(demo: BulkJob) -> None:
    page = click(open_page(demo), "scores", cell=[{"bin": 39}])
    click(page, "stars", cell=[{"stars": 5}])
    assert (of_url(page, "score"), of_url(page, "stars"), of_url(page, "rated")) == ("39", "5", "3")
    next(each for each in page.button if each.label == "Clear").click().run()
    assert "No filter: 1,200 scored rows." in words_of(sound(page)) and of_url(page, "of") is None


def test_where_stars_and_text_disagree_is_a_door(demo: BulkJob) -> None:
    page = open_page(demo)
    door = next(each for each in page.button if each.label.endswith("4 or more stars, read as negative"))
    n = int(door.label.split(":")[0])
    door.click().run()
    assert f"{n} reviews of 1,200: many stars, read as negative" in words_of(sound(page))


def test_every_field_of_the_box_puts_its_filter_into_the_url(demo: BulkJob) -> None:
    page = open_page(demo)
    choice(page, "c1").set_value("Iron Lullaby").run()
    choice(page, "stars").set_value(4).run()
    choice(page, "confidence").set_value(0.8).run()
    choice(page, "since").set_value(pd.Timestamp("2024-02-01").date()).run()
    sound(page)
    found = {name: of_url(page, name) for name in ("c1", "stars", "confidence", "since", "until")}
    assert found == {"c1": "Iron Lullaby", "stars": "4", "confidence": "0.8", "since": "2024-02-01", "until": None}
    choice(page, "c1").set_value(None).run()
    assert of_url(page, "c1") is None and of_url(page, "stars") == "4"


def test_a_search_waits_for_its_look_and_then_lists_what_contains_it(demo: BulkJob) -> None:
    page = open_page(demo)
    choice(page, "phrase").set_value(" LANTERN ").run()
    said = words_of(sound(page))
    assert of_url(page, "phrase") == "LANTERN" and "About to look through 1,200 texts." in said
    take_looks(demo)
    page.run()
    kept = scores_of(demo)
    n = int(kept["c4"].str.contains("lantern", case=False).sum())
    assert f"{n} reviews of 1,200: containing “LANTERN”" in words_of(sound(page)) and n > 10
    assert rows_shown(page)["c4"].str.contains("lantern", case=False).all()


def test_words_are_looked_for_and_each_is_a_door(demo: BulkJob) -> None:
    page = open_page(demo)
    take_looks(demo)
    page.run()
    assert "Most telling of positive “" in words_of(sound(page))
    click(page, "words", cell=[{"word": "worst"}])
    take_looks(demo)
    page.run()
    n = int(scores_of(demo)["c4"].str.contains(r"\bworst\b", case=False).sum())
    assert f"{n} reviews of 1,200: with the word “worst”" in words_of(sound(page))


def test_a_group_is_set_from_the_rest_by_its_words(demo: BulkJob) -> None:
    page = open_page(demo, c1="Copper Saints", words="rest")
    take_looks(demo)
    page.run()
    assert "Most telling of product Copper Saints: “" in words_of(sound(page))
    assert "1,136 rows of the rest and 64 of these" in words_of(page)


def test_other_columns_units_orders_and_pages_stand_in_the_url(demo: BulkJob) -> None:
    page = open_page(demo)
    choice(page, "by").set_value(STARS).run()
    choice(page, "unit").set_value("quarter").run()
    choice(page, "order").set_value("positive").run()
    assert (of_url(page, "by"), of_url(page, "unit"), of_url(page, "order")) == ("3", "quarter", "positive")
    assert "share positive by quarter" in words_of(sound(page))
    highest = scores_of(demo).sort_values("p", ascending=False, kind="stable").index[:10]
    assert (rows_shown(page)["row"] - 1).tolist() == highest.tolist()
    assert rows_shown(page)["c0"].str.match(r"D\d{4}").all()
    again = open_page(demo, order="positive", page="2")
    second = scores_of(demo).sort_values("p", ascending=False, kind="stable").index[10:20]
    assert (rows_shown(again)["row"] - 1).tolist() == second.tolist()


def test_filters_of_another_table_are_not_this_one_s(demo: BulkJob) -> None:
    page = open_page(demo, of="job-of-another", side="negative", c1="Copper Saints", by="3")
    assert "No filter: 1,200 scored rows." in words_of(page) and of_url(page, "side") is None


@pytest.mark.parametrize(
    "filters",
    [
        {"side": "sideways"}, {"c1": "no such product"}, {"c4": "x"}, {"dated": "1", "since": "2024-05-01"},
        {"dated": "2", "since": "yesterday"}, {"rated": "2", "stars": "4"}, {"rated": "3", "stars": "99"},
        {"score": "40"}, {"score": "-1"}, {"confidence": "nan"}, {"confidence": "0.123"}, {"disagree": "any"},
        {"by": "4", "unit": "decade", "order": "best", "date": "x", "words": "none", "page": "99999999"},
    ],
)  # fmt: skip
def test_what_is_no_filter_counts_as_none(demo: BulkJob, filters: dict[str, str]) -> None:
    assert "No filter: 1,200 scored rows." in words_of(open_page(demo, **filters))


def test_filters_that_leave_nothing_say_so(demo: BulkJob) -> None:
    page = open_page(demo, side="negative", score="39")
    assert "0 reviews of 1,200" in words_of(page) and "No row is left." in words_of(page)


def test_a_table_without_dates_or_stars_has_neither_chart() -> None:
    lines = [f'{"ab"[number % 2]},"{GOOD if number % 3 else BAD} {number}"' for number in range(60)]
    page = open_page(score("\n".join(["kind,text", *lines]), 1))
    assert len(page.get("plotly_chart")) == 1 and "Stars and text" not in words_of(page)


def test_one_column_alone_still_has_scores_and_rows() -> None:
    job = score("text\n" + "\n".join(f"a superb film {number}" for number in range(30)), 0)
    page = open_page(job)
    assert not page.get("plotly_chart") and len(rows_shown(page)) == 10
    take_looks(job)
    page.run()
    assert "No words to compare No row is negative." in words_of(sound(page))


def test_one_row_is_a_table_too() -> None:
    said = words_of(open_page(score("text\na superb film", 0)))
    assert "1 row in = 1 scored + 0 rejected." in said and "100.0 % of the reviews are positive (20.7 to 100.0)" in said
    assert "1 review." in said


def test_a_table_whose_rows_are_all_rejected_has_no_chart_and_shows_why() -> None:
    page = open_page(score("text,n\n,1\n,2\na,b,c", 0))
    assert "No row could be scored." in words_of(page) and not page.get("vega_lite_chart")
    assert any(each.label == "Rejected rows (3)" for each in page.expander)


def test_rejected_rows_are_listed_with_line_reason_and_content(demo: BulkJob) -> None:
    page = open_page(score("text,n\na film,1\n,2\na,b,c", 0))
    page.session_state["file_rejects"] = True
    page.run()
    reasons, rejected = (each.value for each in sound(page).dataframe if "Reason" in each.value.columns)
    assert reasons["Rows"].tolist() == [1, 1]
    assert rejected.to_numpy().tolist() == [[2, 3, "no text", ""], [3, 4, "3 fields where the header has 2", "a,b,c"]]


def test_a_threshold_set_since_is_said_and_can_be_scored_with(demo: BulkJob) -> None:
    chosen = ModelSettings(
        **Cutoffs(threshold=0.7, unsure_low=0.6, unsure_high=0.8).model_dump(), chosen_by="hand", n=10
    )
    save_settings(demo.request.model_sha256, chosen)
    page = open_page(demo)
    assert "For this model it is threshold 0.70, not sure from 0.60 to 0.80 now." in words_of(page)
    assert any(each.label == "Score with that" for each in page.button)


def test_hostile_names_and_values_reach_no_markdown_and_no_html() -> None:
    image, tag = "![x](http://evil.example/a.png)", "<img src=http://evil.example/b.png>"
    lines = [
        f'"{tag if number % 2 else image}",2024-01-{1 + number % 28:02},good film {number}' for number in range(60)
    ]
    job = score("\n".join([f'"{image}","{tag}",text', *lines]), 2, name=f"{tag}.csv")
    page = open_page(job, c0=tag, dated="1", since="2024-01-02", word="film", order="unsure")
    take_looks(job)
    page.run()
    html = "\n".join(element.proto.body for element in sound(page).get("html"))
    assert "<img" not in html and "&lt;img" in html
    marked = [*page.markdown, *page.caption, *page.button, *page.expander]
    assert not any(
        "evil.example" in str(getattr(each, "label", "")) + str(getattr(each, "value", "")) for each in marked
    )
    names = [row for figure in plots(page) for row in figure["layout"]["yaxis"].get("ticktext", [])]
    assert names and not any("<" in name for name in names)
