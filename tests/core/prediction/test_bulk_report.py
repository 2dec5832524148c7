"""A scored table as one page: what it says, and that it asks for nothing and runs nothing of a stranger's."""

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.charts import report_page
from core.data.demo import write_demo_table
from core.errors import JobError
from core.evaluation.intervals import wilson_interval
from core.job_folder import JobReporter
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk, iterate_parts
from core.prediction.bulk_report import build_report, write_report
from core.prediction.exporting import create_export, execute_export
from core.prediction.predictor import Predictor, probability_of
from core.prediction.uploads import save_upload
from core.wording import interval_text, percent


def score(content: str, text_column: int, name: str = "table.csv") -> BulkJob:
    upload = save_upload(io.BytesIO(content.encode()), name)
    request = BulkRequest(model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=(text_column,))
    job = create_bulk_job(upload, request)
    execute_bulk(job, JobReporter(job))
    return job


@pytest.fixture(autouse=True)
def no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the charts' libraries out: 6 MB and seconds, and not what is looked at here."""
    monkeypatch.setattr(report_page, "load_vega", lambda: "/* vega */")
    monkeypatch.setattr(report_page, "load_plotly", lambda: "/* plotly */")


class Found(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attributes if name in ("src", "href", "action", "srcset")]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] != ["script"]:
            self.words += data


def demo() -> str:
    table = io.StringIO(newline="")
    write_demo_table(table)
    return table.getvalue()


def test_the_shares_of_the_page_are_those_of_pandas_groupby() -> None:
    content = demo()
    job = score(content + "two,fields\n", 4)
    found = Found(build_report(job))
    rows = pd.read_csv(io.StringIO(content), dtype=str, keep_default_na=False)
    logits = np.concatenate([part["logit"].to_numpy() for part in iterate_parts(job, ["logit"])])[: len(rows)]
    rows["positive"] = probability_of(logits) >= 0.6
    n, positive = len(rows), int(rows["positive"].sum())
    low, high = wilson_interval(positive, n)
    assert f"{percent(positive / n)} of the reviews are positive ({interval_text(low, high)})" in found.words
    assert (
        "1,201 rows in = 1,200 scored + 1 rejected" in found.words and "2 fields where the header has 5" in found.words
    )
    by_stars = rows.groupby("stars")["positive"].agg(["size", "sum"])
    for stars, (size, total) in zip(by_stars.index, by_stars.to_numpy(), strict=True):
        interval = interval_text(*wilson_interval(int(total), int(size)))
        assert f"{stars}{size:,}{total:,}{percent(total / size)}{interval}" in found.words
    by_month = rows.groupby(rows["date"].str[:7])["positive"].agg(["size", "sum"]).loc["2024-03"]
    assert f"Mar 2024{by_month['size']}{by_month['sum']}{percent(by_month['sum'] / by_month['size'])}" in found.words
    assert "Stars and text agree in" in found.words and "starter" in found.words
    clear = rows.assign(verdict=probability_of(logits) > 0.5)[rows["stars"] != "3"]
    right = int((clear["verdict"] == clear["stars"].isin(["4", "5"])).sum())
    low, high = wilson_interval(right, len(clear))
    assert f"{percent(right / len(clear))} right ({interval_text(low, high)})" in found.words
    assert f"the file's own column “stars”, n = {len(clear):,} rows" in found.words


def test_nothing_is_fetched_and_no_review_is_in_it() -> None:
    content = demo()
    html = build_report(score(content, 4))
    found = Found(html)
    assert not found.links and "default-src 'none'" in html
    assert found.tags.count("script") == 4, "two libraries, each once, and what they draw"
    reviews = [row[4] for row in csv.reader(io.StringIO(content))][1:]
    assert not any(review[:40] in html for review in reviews)


def test_a_stranger_s_words_stay_words() -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
    rows = "".join(f'"{evil}{n % 2}",good film {n}\n' for n in range(60))
    html = build_report(score(f'"{evil}",text\n{rows}', 1, f"{evil}.csv"))
    found = Found(html)
    assert "img" not in found.tags and found.tags.count("script") == 4
    assert found.words.count(evil) >= 2 and "alert(1)</script>" not in html
    title = re.search("<title>(.*?)</title>", html)
    assert title is not None and "&lt;/script&gt;" in title[1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("text\n\n\n", "0 scored + "),
        ("text\nA wonderful film.\n", "100.0 % of the reviews are positive (20.7 to 100.0)"),
        ("a,text\nx,\ny,So dull.\n", "0.0 % of the reviews are positive (0.0 to 79.3)"),
    ],
)
def test_a_table_with_little_in_it_gives_a_page_too(content: str, says: str) -> None:
    html = build_report(score(content, content.partition("\n")[0].count(",")))
    assert says in Found(html).words and "NaN" not in html and "nan %" not in html


def test_it_is_written_whole_and_as_a_file_to_take_away(tmp_path: Path) -> None:
    job = score("text\nA wonderful film.\n", 0, "my table.csv")
    write_report(job, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text().endswith("</html>\n")
    export = create_export(job, "report", "html")
    execute_export(export, JobReporter(export))
    about = export.about
    assert about is not None and about.name == "my table-report.html" and about.columns == ()
    assert export.table_file.read_text().startswith("<!doctype html>")


def test_without_a_result_there_is_no_page() -> None:
    upload = save_upload(io.BytesIO(b"text\ngood\n"), "a.csv")
    job = create_bulk_job(upload, BulkRequest(model="starter", model_sha256="0" * 64, text_columns=(0,)))
    with pytest.raises(JobError, match="not scored yet"):
        build_report(job)
