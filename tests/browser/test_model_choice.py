"""Which model: a click on a point chooses it, and what the form says is what is trained."""

import re

from playwright.sync_api import Page, expect

from core.config import preset_config, with_data, with_settings
from core.runs import Run
from tests.browser.conftest import Server, workspace_of
from tests.shipped import finish

POINTS = ".st-key-which-model [aria-roledescription=circle]"
SMALL = {"batch_size": "32", "epochs": "3", "learning_rate": "0.004"}


def test_a_click_on_a_point_chooses_its_preset(server: Server, page: Page) -> None:
    with workspace_of(server):
        for preset, valid, seconds in (("fast", 0.8, 3.0), ("compact", 0.9, 60.0)):
            finish(with_data(preset_config(preset), "demo"), preset, valid, seconds=seconds)
    page.goto(f"{server.url}/training?data=demo")
    expect(page.get_by_text(re.compile(r"Which model\? compact is 10\.0 points above fast"))).to_be_visible()
    page.get_by_text("Which model?").click()
    chosen = page.locator(".st-key-preset label:has(input:checked)")
    expect(chosen).to_contain_text("fast")
    page.locator(f"{POINTS}[aria-label*='preset: compact']").click()
    expect(chosen).to_contain_text("compact")
    # The choice is the radio's again: the click of before does not come back with the next rerun.
    page.locator(".st-key-preset").get_by_text("classic", exact=True).click()
    expect(chosen).to_contain_text("classic")
    page.locator(".st-key-with-test").get_by_text("Score the test split").click()
    page.wait_for_timeout(500)
    expect(chosen).to_contain_text("classic")


def test_attention_is_chosen_in_the_form_and_trained(server: Server, page: Page) -> None:
    page.goto(f"{server.url}/training?data=demo")
    page.locator(".st-key-preset").get_by_text("compact", exact=True).click()
    page.get_by_text("Change settings").click()
    page.locator(".st-key-form0-compact-model-pooling").get_by_role("combobox").click()
    page.get_by_role("option", name="attention").click()
    for name, value in SMALL.items():
        box = page.locator(f".st-key-form0-compact-training-{name} input")
        box.fill(value)
        box.press("Enter")
    expect(page.get_by_text("Changed from the preset compact:")).to_contain_text("pooling max → attention")
    page.get_by_label("Name of the run").fill("looks")
    page.keyboard.press("Enter")
    page.get_by_role("button", name=re.compile("Start training|Add to queue")).click()
    expect(page.get_by_text("Done in").first).to_be_visible(timeout=240_000)
    run = Run(server.home / "runs" / "looks")
    expected = ["model.pooling=attention", *(f"training.{name}={value}" for name, value in SMALL.items())]
    assert run.settings.config == with_settings(with_data(preset_config("compact"), "demo"), expected)
    assert run.result is not None and (run.result.test_accuracy or 0.0) > 0.7
