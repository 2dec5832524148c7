"""From the matrix to the review behind it."""

import math
import re

import pytest
from playwright.sync_api import Page, expect

from core.config import preset_config, with_data
from core.default_model import use_model
from core.jobs import queue_evaluation, run_job
from core.runs import Run, create_run
from tests.browser.conftest import Server, workspace_of


@pytest.fixture(scope="module")
def run(server: Server) -> Run:
    with workspace_of(server):
        run = create_run(with_data(preset_config("fast"), "demo"), "fast", "judged")
        run_job(run.path)
    return run


def number_of_reviews(page: Page) -> int:
    text = page.get_by_text(re.compile(r"[\d,]+ reviews? of 1,200")).first.text_content() or ""
    found = re.search(r"([\d,]+) review", text)
    assert found
    return int(found[1].replace(",", ""))


def test_a_cell_leads_to_its_reviews_and_a_row_to_the_whole_text(server: Server, run: Run, page: Page) -> None:
    page.goto(f"{server.url}/evaluation?model={run.run_id}")
    page.get_by_role("button", name=re.compile("^Score 1,200")).click()
    expect(page.get_by_text("Where judged is right and wrong")).to_be_visible(timeout=60_000)
    labels = page.locator("[data-testid=stVegaLiteChart]").first.locator(".mark-text text")
    expect(labels.first).to_be_visible()
    counts = [int(text.replace(",", "")) for text in labels.all_text_contents() if re.fullmatch(r"[\d,]+", text)]
    assert len(counts) == 4 and sum(counts) == 1_200

    cells = page.locator("[data-testid=stVegaLiteChart]").first.locator(".mark-rect path")
    cells.nth(1).click()
    expect(page).to_have_url(re.compile("labelled|label"))
    expect(page.get_by_text(re.compile(r"labelled \w+, read as \w+")).last).to_be_visible()
    page.wait_for_timeout(500)
    assert number_of_reviews(page) in counts

    address, shown = page.url, number_of_reviews(page)
    page.goto(address)
    expect(page.get_by_text(re.compile(r"[\d,]+ reviews? of 1,200")).first).to_be_visible(timeout=60_000)
    assert number_of_reviews(page) == shown, "the address alone gives the same view"

    table = page.locator("[data-testid=stDataFrame]").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 15, box["y"] + 36 + 19)
    drawer = page.get_by_role("dialog")
    expect(drawer).to_be_visible()
    expect(drawer.locator(".rs-review")).to_be_visible()
    expect(drawer.locator("mark").first).to_be_visible()


def test_on_a_phone_every_section_can_be_reached(server: Server, run: Run, page: Page) -> None:
    with workspace_of(server):
        run_job(queue_evaluation(run.run_id, run.settings.config, "test").path)
    page.set_viewport_size({"width": 420, "height": 900})
    page.goto(f"{server.url}/evaluation?model={run.run_id}")
    names = page.locator(".st-key-evaluation_section_choice [role=radio]")
    expect(names).to_have_count(8, timeout=60_000)
    for place in range(8):
        box = names.nth(place).bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 420
    names.filter(has_text="Intensity").click()
    expect(page.get_by_text("The score follows the stars")).to_be_visible()


def test_without_data_or_training_it_shows_the_way_on(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/evaluation?model=starter")
    expect(page.get_by_role("button", name=re.compile("^Score|^Train")).first).to_be_visible(timeout=60_000)


def test_a_changed_threshold_is_followed_on_the_prediction_page(server: Server, run: Run, page: Page) -> None:
    page.goto(f"{server.url}/evaluation?model={run.run_id}")
    opener = page.get_by_role("button", name=re.compile(r"Threshold 0\.50 · not sure 0\.40 to 0\.60"))
    score = page.get_by_role("button", name=re.compile("^Score 1,200"))
    expect(opener.or_(score)).to_be_visible(timeout=60_000)
    if score.is_visible():
        score.click()
    opener.click()
    panel = page.get_by_text("Where a probability becomes a verdict")
    expect(panel).to_be_visible()
    expect(page.get_by_role("button", name="Use this")).to_be_in_viewport()
    thumb = page.get_by_role("slider", name="A verdict is positive above")
    expect(thumb).to_be_visible()  # the validation reviews were scored with the test split
    thumb.focus()
    thumb.press("End")
    expect(page.get_by_text(re.compile(r"Threshold 0\.99, not sure from 0\.40 to 0\.99"))).to_be_visible()
    page.get_by_role("button", name="Use this").click()
    expect(page.get_by_role("button", name=re.compile(r"Threshold 0\.99 · not sure 0\.40 to 0\.99"))).to_be_visible()

    with workspace_of(server):
        use_model(run.run_id)
    page.goto(f"{server.url}/prediction")
    page.get_by_text("Middling").click()
    note = re.compile(r"Threshold 0\.99, not sure from 0\.40 to 0\.99, set for this model")
    expect(page.get_by_text(note)).to_be_visible()
    page.goto(f"{server.url}/evaluation?model={run.run_id}")
    page.get_by_role("button", name=re.compile(r"Threshold 0\.99")).click()
    page.get_by_role("button", name="Back to 0.50").click()
    expect(opener).to_be_visible()
    page.goto(f"{server.url}/prediction")
    page.get_by_text("Middling").click()
    expect(page.get_by_text(re.compile("% confident")).first).to_be_visible()
    expect(page.get_by_text("set for this model")).to_have_count(0)


def test_a_lasso_on_the_map_lists_what_lies_inside_it(server: Server, run: Run, page: Page) -> None:
    page.goto(f"{server.url}/evaluation?model={run.run_id}&evaluation_section=map&evaluation_show=all")
    start = page.get_by_role("button", name="Draw the map")
    score = page.get_by_role("button", name=re.compile("^Score 1,200"))
    expect(start.or_(score)).to_be_visible(timeout=60_000)
    if score.is_visible():
        score.click()
    start.click()
    plot = page.locator("[data-testid=stPlotlyChart] .nsewdrag").first
    expect(plot).to_be_visible(timeout=90_000)
    plot.scroll_into_view_if_needed()
    page.wait_for_timeout(1_000)  # WebGL without a graphics card draws late
    box = plot.bounding_box()
    assert box is not None
    x, y, radius = box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], 0.35 * box["height"]
    page.mouse.move(x + radius, y)
    page.mouse.down()
    for step in range(1, 41):
        page.mouse.move(x + radius * math.cos(math.pi * step / 20), y + radius * math.sin(math.pi * step / 20))
    page.mouse.up()

    caption = page.get_by_text(re.compile(r"^[\d,]+ reviews? inside, [\d,]+ misread"))
    expect(caption).to_be_visible()
    expect(page).to_have_url(re.compile("evaluation_area="))
    said = re.match(r"([\d,]+) reviews? inside, ([\d,]+) misread", caption.text_content() or "")
    assert said
    inside, misread = (int(number.replace(",", "")) for number in said.groups())
    assert 0 < inside < 1_200
    expect(page.get_by_text("inside the area drawn on the map").first).to_be_visible()
    assert number_of_reviews(page) == inside
    outline = page.locator("[data-testid=stPlotlyChart] .shapelayer path")
    expect(outline).to_have_count(2)  # the threshold's line and the area

    page.goto(page.url)
    expect(caption).to_be_visible(timeout=60_000)
    expect(outline).to_have_count(2)
    assert caption.text_content() == said.string and number_of_reviews(page) == inside
    page.get_by_text("All wrong").click()
    expect(page.get_by_text(re.compile(f"^{misread:,} reviews? of 1,200")).first).to_be_visible()


def test_labels_are_judged_by_key_and_the_verdicts_are_there_after_a_reload(
    server: Server, run: Run, page: Page
) -> None:
    page.goto(f"{server.url}/evaluation?model={run.run_id}&evaluation_section=fault")
    read = page.get_by_text(re.compile(r"[\d,]+ of [\d,]+ read$"))
    score = page.get_by_role("button", name=re.compile("^Score 1,200"))
    expect(read.or_(score)).to_be_visible(timeout=60_000)
    if score.is_visible():
        score.click()
    expect(read).to_have_text(re.compile("0 of "), timeout=60_000)
    page.wait_for_timeout(500)  # the keys are listened to once the buttons stand
    for count, key in enumerate("1232", 1):
        page.keyboard.press(key)
        expect(read).to_have_text(re.compile(f" {count} of "))
    expect(page.get_by_text("judged: label is wrong")).to_be_visible()
    card = page.locator(".rs-review").first.text_content()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".rs-review").first).not_to_have_text(card or "")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".rs-review").first).to_have_text(card or "")

    page.goto(page.url)
    expect(read).to_have_text(re.compile(" 4 of "), timeout=60_000)
    assert page.locator(".rs-review").first.text_content() == card
    page.get_by_role("button", name="Label is wrong · 2").click()
    expect(page.get_by_text(re.compile(r"^2 reviews of 1,200: judged: label is wrong"))).to_be_visible()

    table = page.locator("[data-testid=stDataFrame]").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 15, box["y"] + 36 + 19)
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_role("button", name="Label is wrong")).to_be_visible()
    page.keyboard.press("1")
    page.wait_for_timeout(1_500)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Label is wrong · 1")).to_be_visible()
    expect(read).to_have_text(re.compile(" 4 of "))  # the key judged the open review and not the card under it


def test_the_drawer_is_turned_by_keys_scores_a_changed_text_and_survives_a_reload(
    server: Server, run: Run, page: Page
) -> None:
    with workspace_of(server):
        run_job(queue_evaluation(run.run_id, run.settings.config, "test").path)
    address = f"{server.url}/evaluation?model={run.run_id}&evaluation_show=all&evaluation_order=data"
    page.goto(f"{address}&evaluation_open=3")
    drawer = page.get_by_role("dialog")
    expect(drawer.get_by_text("4 of 1,200 listed")).to_be_visible(timeout=60_000)
    expect(drawer.get_by_role("button", name=re.compile("^Next review"))).to_be_enabled()
    page.keyboard.press("ArrowRight")
    expect(drawer.get_by_text("5 of 1,200 listed")).to_be_visible()
    expect(page).to_have_url(re.compile("evaluation_open=4"))
    page.keyboard.press("ArrowLeft")
    expect(drawer.get_by_text("4 of 1,200 listed")).to_be_visible()

    drawer.get_by_text("Change the text and watch the score").click()
    box = drawer.get_by_role("textbox")
    expect(box).to_be_visible()
    whole = drawer.locator(".rs-review").first.text_content()
    assert box.input_value() == whole
    box.click()
    page.keyboard.press("Control+End")
    page.keyboard.type(" Awful, dull, tedious 123.")
    for key in ("ArrowLeft", "ArrowRight", "ArrowRight", "Control+Enter"):
        page.keyboard.press(key)
    expect(drawer.get_by_text(re.compile(r"^Probability of positive now [\d.]+ %"))).to_be_visible()
    changed = drawer.locator(".rs-review").filter(has_text="tedious 123.")  # the nearest reviews may stand below it
    expect(changed).to_be_visible()
    expect(drawer.get_by_text("4 of 1,200 listed")).to_be_visible()
    assert drawer.get_by_role("button", name="Take this verdict back").count() == 0, "typing 1, 2 or 3 is no verdict"

    # Far down in one review, the way to the next is in sight, and the next one begins at its top.
    expect(drawer.get_by_role("button", name=re.compile("^Next review"))).to_be_in_viewport()
    changed.scroll_into_view_if_needed()
    expect(drawer.get_by_text("4 of 1,200 listed")).not_to_be_in_viewport()
    drawer.get_by_role("button", name=re.compile("^Next review")).click()
    expect(drawer.get_by_text("5 of 1,200 listed")).to_be_in_viewport()
    drawer.get_by_role("button", name=re.compile("^Previous")).click()
    expect(drawer.get_by_text("4 of 1,200 listed")).to_be_in_viewport()
    expect(page).to_have_url(re.compile("evaluation_open=3"))

    page.reload()
    expect(drawer.get_by_text("4 of 1,200 listed")).to_be_visible(timeout=60_000)
    assert drawer.locator(".rs-review").first.text_content() == whole
    page.keyboard.press("Escape")
    expect(drawer).to_have_count(0)
    expect(page).not_to_have_url(re.compile("evaluation_open"))
