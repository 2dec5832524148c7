"""The charts of the section Confidence, a row's text and a table that is brought, in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from core.config import preset_config, with_data
from core.evaluation.selection import Results, Selection
from core.jobs import run_job
from core.prediction.evaluating import EvaluationJob, load_results
from core.runs import create_run
from tests.browser.conftest import Server, workspace_of

POINT = """place => {
  const chart = document.querySelector('.js-plotly-plot'), curve = chart._fullData[2];
  const {xaxis, yaxis} = chart._fullLayout, frame = chart.getBoundingClientRect();
  return [frame.left + xaxis._offset + xaxis.d2p(curve.x[place]), frame.top + yaxis._offset + yaxis.d2p(curve.y[place])];
}"""


@pytest.fixture(scope="module")
def scored(server: Server) -> tuple[str, Results]:
    with workspace_of(server):
        run = create_run(with_data(preset_config("fast"), "demo"), "fast", "trusted", with_test=True)
        run_job(run.path)
        (job,) = (EvaluationJob(path) for path in (server.home / "evaluations").glob("*/*-test"))
        return run.run_id, load_results(job.results_file)


def open_section(server: Server, page: Page, run_id: str) -> None:
    page.set_viewport_size({"width": 1280, "height": 2000})
    page.goto(f"{server.url}/evaluation?model={run_id}&evaluation_section=confidence&evaluation_show=all")
    expect(page.get_by_text("1,200 reviews of 1,200")).to_be_visible(timeout=60_000)
    expect(page.locator("[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas")).to_have_count(3)
    expect(page.locator(".js-plotly-plot")).to_have_count(2)


def click_at(page: Page, chart: int, x: float, y: float) -> None:
    box = page.locator("[data-testid=stVegaLiteChart]").nth(chart).bounding_box()
    assert box
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def expect_listed(page: Page, results: Results, selection: Selection) -> None:
    expect(page.get_by_text(f"{selection.mask(results).sum():,} reviews of 1,200")).to_be_visible()


def test_a_bin_a_point_of_each_curve_and_a_row_lead_to_their_reviews(
    server: Server, scored: tuple[str, Results], page: Page
) -> None:
    run_id, results = scored
    open_section(server, page, run_id)
    click_at(page, 0, 0.97, 0.5)
    expect(page).to_have_url(re.compile("evaluation_confidence=97.5-100"))
    expect_listed(page, results, Selection(only_wrong=False, confidence=19))
    page.get_by_role("button", name="Clear all", exact=True).or_(page.get_by_role("button", name="Clear")).first.click()
    expect_listed(page, results, Selection())

    click_at(page, 2, 0.6, 0.5)
    expect(page).to_have_url(re.compile(r"evaluation_surest=\d\d"))
    found = re.search(r"evaluation_surest=(\d\d)", page.url)
    assert found
    expect_listed(page, results, Selection(surest=int(found[1])))

    page.goto(f"{server.url}/evaluation?model={run_id}&evaluation_section=confidence")
    expect_listed(page, results, Selection())
    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    page.locator(".js-plotly-plot").first.scroll_into_view_if_needed()
    x, y = page.evaluate(POINT, 60)
    page.mouse.move(x, y)
    expect(page.locator(".hovertext").first).to_be_visible()
    page.mouse.click(x, y)
    expect(page).to_have_url(re.compile("evaluation_at_least="))
    threshold = float(page.url.partition("evaluation_at_least=")[2].partition("&")[0])
    expect_listed(page, results, Selection(only_wrong=False, at_least=threshold))

    expect(page.locator(".js-plotly-plot")).to_have_count(2)
    page.wait_for_timeout(1_000)  # the charts above are drawn anew, and the table moves while they are
    box = page.get_by_test_id("stDataFrame").bounding_box()
    assert box
    page.mouse.move(box["x"] + 500, box["y"] + 98)
    page.wait_for_timeout(300)  # as a hand does: a cell that no mouse was over yet takes no click
    page.mouse.click(box["x"] + 500, box["y"] + 60)
    expect(page.get_by_role("dialog").get_by_text("One review, read closely")).to_be_visible()


def test_a_table_that_is_brought_is_scored_whole_and_taken_away(
    server: Server, scored: tuple[str, Results], page: Page
) -> None:
    run_id, _ = scored
    open_section(server, page, run_id)
    page.get_by_role("button", name="Bring a labelled table").click()
    content = "text,label\n" + "=a superb film,positive\nan awful film,negative\n" * 3
    file = {"name": "![x](http://example.org/x.png).csv", "mimeType": "text/csv", "buffer": content.encode()}
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Evaluate on it").click()
    page.get_by_role("button", name="Score 6 reviews").click()
    expect(page.get_by_text(re.compile("6 reviews of 6"))).to_be_visible(timeout=60_000)
    assert page.locator("img[src*=example]").count() == 0
    page.get_by_role("button", name="Download", exact=True).click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="CSV, texts as they came").click()
    taken = waiting.value
    assert taken.suggested_filename == f"{run_id}-table-all.raw.csv"
    assert taken.path().read_text().count("=a superb film") == 3
