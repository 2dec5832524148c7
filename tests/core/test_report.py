"""The evaluation as one HTML file."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest

from core.evaluation.metrics import evaluate_logits
from core.evaluation.selection import Results
from core.model_settings import ModelSettings
from core.models.model_file import Calibration
from core.prediction.evaluating import Evaluation
from core.prediction.predictor import probability_of
from core.report import ERRORS_SHOWN, ReportSubject, build_report, errors_title

HOSTILE = "<script>alert(1)</script> <!-- </body> & \u2028 ![x](http://example.org/x.png)"


def invent_subject(n: int, *, labels: np.ndarray | None = None, temperature: float | None = 0.8) -> ReportSubject:
    draw = np.random.default_rng(n)
    labels = draw.integers(0, 2, n) if labels is None else labels
    logits = draw.normal(2.0 * (2 * labels - 1), 1.5)
    metrics, confusion = evaluate_logits(labels, logits)
    evaluation = Evaluation(n, "a" * 64, "b" * 64, "test", metrics, confusion)
    calibration = None if temperature is None else Calibration(temperature=temperature, n=400)
    results = Results(labels, logits, probability_of(logits))
    texts = pa.array([HOSTILE] * n, pa.large_string())
    return ReportSubject(HOSTILE, "the test set of x", evaluation, results, texts, ModelSettings(), calibration)


class Reader(HTMLParser):
    """Collects a page's elements and the text outside scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.is_code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        self.is_code = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.is_code = False

    def handle_data(self, data: str) -> None:
        self.words += "" if self.is_code else data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    return reader


def test_a_report_holds_figures_and_charts_and_asks_for_nothing_outside() -> None:
    page = build_report(invent_subject(500))
    found = read(page)
    assert not found.links and "img" not in found.tags and "link" not in found.tags
    assert "default-src 'none'" in page
    assert found.tags.count("figure") == 4 and page.count("vegaEmbed('#chart-") == 6
    assert "Accuracy" in found.words and "fitted on 400 validation reviews" in found.words
    assert len(page) < 5_000_000


def test_a_stranger_s_words_stay_words() -> None:
    found = read(build_report(invent_subject(200)))
    assert found.tags.count("script") == 2  # the library and the charts
    assert " ".join(HOSTILE.split()) in " ".join(found.words.split())


def test_the_charts_are_written_so_that_no_word_ends_the_script() -> None:
    page = build_report(invent_subject(200))
    drawn = page.rpartition("<script>")[2].partition("</script>")[0]
    specs = re.findall(r"vegaEmbed\('#chart-\d+', (\{.*\}), \{actions", drawn)
    assert len(specs) == 6 and all("layer" in json.loads(spec) for spec in specs)
    assert "<" not in drawn


def test_at_most_so_many_errors_are_told_in_full() -> None:
    subject = invent_subject(2_000)
    assert subject.results.wrong.sum() > ERRORS_SHOWN
    assert read(build_report(subject)).tags.count("tr") == ERRORS_SHOWN + 1


@pytest.mark.parametrize("labels", [np.zeros(40, np.int64), np.ones(1, np.int64), np.zeros(1, np.int64)])
def test_one_class_and_one_row_give_a_report_too(labels: np.ndarray) -> None:
    page = build_report(invent_subject(len(labels), labels=labels, temperature=None))
    assert "it needs both labels" in read(page).words and "NaN" not in page.rpartition("<script>")[2]


def test_a_split_without_an_error_says_so() -> None:
    labels = np.array([0, 1] * 20)
    subject = invent_subject(40, labels=labels)
    logits = np.where(labels == 1, 5.0, -5.0)
    metrics, confusion = evaluate_logits(labels, logits)
    evaluation = Evaluation(40, "a" * 64, "b" * 64, "test", metrics, confusion)
    results = Results(labels, logits, probability_of(logits))
    subject = ReportSubject("m", "d", evaluation, results, subject.texts, ModelSettings(), None)
    assert read(build_report(subject)).words.count("No review was misread") == 2


def test_a_chart_of_a_report_has_a_name_and_the_diagram_of_confidence_its_axis() -> None:
    page = build_report(invent_subject(500))
    assert page.count('role="img" aria-label="') == 6
    drawn = page.rpartition("<script>")[2].partition("</script>")[0]
    titles = [
        layer["encoding"]["x"]["axis"].get("title")
        for spec in re.findall(r"vegaEmbed\('#chart-\d+', (\{.*\}), \{actions", drawn)
        for layer in json.loads(spec)["layer"]
        if "axis" in layer["encoding"].get("x", {})
    ]
    assert titles.count("confidence") >= 2, "under the counts of the histogram and under those of the diagram"


def test_errors_are_counted_as_one_all_or_some() -> None:
    assert errors_title(1, 1) == "The one review that was misread"
    assert errors_title(7, 7) == "All 7 errors, the most confident first"
    assert errors_title(25, 1_986) == "The 25 most confident errors of 1,986"


def test_a_report_of_one_review_speaks_of_one_review() -> None:
    words = read(build_report(invent_subject(1, labels=np.ones(1, np.int64)))).words
    assert "1 review." in words and "1 reviews" not in words


def test_the_facts_of_a_review_have_their_names_with_them_where_the_head_of_the_table_has_no_room() -> None:
    page = build_report(invent_subject(500))
    assert '<table class="texts">' in page and 'data-name="confidence"' in page
