"""The section Robustness: how often a harmless change of the text turns the verdict."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import streamlit as st

from core.evaluation.perturbations import PERTURBATIONS, perturb
from core.evaluation.selection import LABELS, Selection
from core.prediction.robustness import SAMPLE
from core.wording import interval_text, percent
from dashboard.cache import changes_chart, load_finding
from dashboard.components import draw_caption, draw_chart_title, draw_facts, draw_label
from dashboard.evaluation import choices
from dashboard.evaluation.analysis_box import analysis_job, draw_until_done
from dashboard.evaluation.changed_text import mark_changes
from dashboard.evaluation.choices import Door
from dashboard.evaluation.view import Scored
from dashboard.state import forget, from_url, recall, remember
from dashboard.tokens import current_tokens

# What is clicked here chooses a change to look at; it filters nothing.
DOORS: dict[str, Door] = {}
CLICKS, PLACE = "evaluation_changes_clicks", "evaluation_example_place"
MOST_SEED = 999_999


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section: the offer or the result of changing a sample, and what one of the changes turned."""
    seed, n = seed_from_url(), min(SAMPLE, len(view.results))
    job = analysis_job(view, "robustness", seed=seed, cut=view.results.cut)
    is_done = draw_until_done(
        job,
        f"How often a typo, capitals, a swapped name or an added “not” turns {view.model.spoken}'s verdict.",
        f"{n:,} review{' is' if n == 1 else 's are'} drawn by seed {seed}, changed in {len(PERTURBATIONS)} ways and "
        "read again; a slow model reads fewer. At most half a minute in the background, and kept.",
        "Change them and read again",
        height=330,
    )
    if not is_done:
        return
    take_choice()
    finding = load_finding(job)
    chosen = chosen_change(finding["changes"])
    left, right = st.columns([11, 9], gap="large")
    with left:
        draw_changes(view, finding, chosen)
    with right:
        draw_change(view, finding, chosen)


def seed_from_url() -> int:
    """Return the seed that the URL names, else 0."""
    written = from_url("evaluation_seed") or ""
    is_number = written.isascii() and written.isdigit() and len(written) <= len(str(MOST_SEED))
    return int(written) if is_number else 0


def chosen_change(changes: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the change that the URL names, else the one that turned most of the verdicts that should stay."""
    asked = from_url("evaluation_change")
    if asked in changes:
        return str(asked)
    return max(
        (name for name in changes if not PERTURBATIONS[name].should_turn), key=lambda name: rate_of(changes, name)
    )


def rate_of(changes: Mapping[str, Mapping[str, Any]], name: str) -> float:
    """Return the share of verdicts that a change turned, 0 where it applied to no review."""
    return changes[name]["rate"] or 0.0


def draw_changes(view: Scored, finding: Mapping[str, Any], chosen: str) -> None:
    """Draw how often each change turned a verdict; a line is a door to its examples."""
    seed, n, changes = finding["seed"], finding["n"], finding["changes"]
    expected = "”, “".join(kind.title for kind in PERTURBATIONS.values() if kind.should_turn)
    whole = f"{n:,} reviews" if n < finding["of"] else "the one review" if n == 1 else f"all {n:,} reviews"
    draw_chart_title(
        changes_finding(changes),
        "Share of verdicts that turned, with its 95 % Wilson interval, of the reviews that a change applies to; "
        f"{whole}, drawn by seed {seed}. Only “{expected}” should turn a verdict. Click a line to read what it turned.",
    )
    st.vega_lite_chart(
        changes_chart(analysis_job(view, "robustness", seed=seed, cut=finding["cut"]), chosen, current_tokens()),
        theme=None, on_select="rerun", key=chart_key(),
        alt=f"Share of verdicts turned by each change. {changes_finding(changes)}.",
    )  # fmt: skip
    for sentence in finding["unseen"].values():
        draw_caption(sentence)
    st.button(
        "Draw another sample", key="evaluation_other_seed", type="tertiary", icon=":material/casino:",
        on_click=partial(choices.name_in_url, seed=str((seed + 1) % MOST_SEED)),
    )  # fmt: skip


def changes_finding(changes: Mapping[str, Mapping[str, Any]]) -> str:
    """Say which of the changes that should turn nothing turns the most."""
    name = max(
        (name for name in changes if not PERTURBATIONS[name].should_turn), key=lambda name: rate_of(changes, name)
    )
    found = changes[name]
    if not found["flips"]:
        return "No change that should leave the verdict alone turned one"
    interval = interval_text(found["low"], found["high"])
    return f"“{PERTURBATIONS[name].title}” turns the most verdicts: {percent(found['rate'])} ({interval})"


def draw_change(view: Scored, finding: Mapping[str, Any], chosen: str) -> None:
    """Draw what one change is and did, and an example that it turned."""
    kind, found = PERTURBATIONS[chosen], finding["changes"][chosen]
    remember("evaluation_change_choice", chosen)
    st.selectbox(
        "Look at", list(finding["changes"]), format_func=lambda name: PERTURBATIONS[name].title,
        key="evaluation_change_choice", on_change=change_choice,
    )  # fmt: skip
    draw_chart_title(change_finding(found), change_words(chosen, found))
    if reason := finding["unseen"].get(chosen):
        draw_facts(reason)
    examples = found["examples"]
    if not examples:
        return
    place = min(max(int(recall(PLACE, 0)), 0), len(examples) - 1)
    draw_example(view, chosen, finding["seed"], examples[place])
    with st.container(horizontal=True, vertical_alignment="center"):
        of = "" if found["flips"] == len(examples) else "the first "
        draw_caption(f"Example {place + 1} of {of}{len(examples)}, farthest moved first")
        st.button(
            "Previous", key="evaluation_example_previous", disabled=place == 0,
            on_click=partial(remember, PLACE, place - 1),
        )  # fmt: skip
        st.button(
            "Next", key="evaluation_example_next", disabled=place + 1 >= len(examples),
            on_click=partial(remember, PLACE, place + 1),
        )  # fmt: skip
    if kind.should_turn:
        draw_caption("A verdict that stays is the fault here; one that turned was read as it should be.")


def change_finding(found: Mapping[str, Any]) -> str:
    """Say how many verdicts a change turned."""
    if not found["applied"]:
        return "It applies to no review of the sample"
    share = f"{percent(found['rate'])}, {interval_text(found['low'], found['high'])}"
    return f"{found['flips']:,} of {found['applied']:,} verdicts turned ({share})"


def change_words(name: str, found: Mapping[str, Any]) -> str:
    """Say what a change is, what is to be expected of it, and how far it moved the probability."""
    kind = PERTURBATIONS[name]
    said = [kind.does]
    if kind.should_turn:
        said.append(
            "The text then says something else and the verdict should turn: a low share says that the model hardly "
            "reads negation."
        )
    else:
        said.append("The verdict should stay.")
    if found["moved"] is not None:
        interval = ""
        if found["moved_low"] is not None:
            interval = f" ({100 * found['moved_low']:.1f} to {100 * found['moved_high']:.1f}; normal interval)"
        said.append(f"The probability of positive moved by {100 * found['moved']:.1f} points on average{interval}.")
    return " ".join(said)


def draw_example(view: Scored, name: str, seed: int, example: Mapping[str, Any]) -> None:
    """Draw a review before and after a change, made anew by its row and the seed, with both probabilities."""
    text = view.rows.texts[example["row"]].as_py()
    changed = perturb(name, text, seed, example["row"])
    if changed is None:
        draw_caption("The reviews are others than those that were changed. Draw another sample.")
        return
    label = LABELS[view.results.labels[example["row"]]]
    draw_caption(f"Review {example['row']:,} of the data, counted from 0, labelled {label}")
    verdicts = {"before": 1 - example["verdict"], "after": example["verdict"]}
    marked = mark_changes(text, changed, current_tokens())
    for (side, verdict), written in zip(verdicts.items(), marked, strict=True):
        draw_label(f"{side}: {LABELS[verdict]}, probability of positive {percent(example[side])}")
        st.html(f'<div class="rs rs-review">{written}</div>')


def change_choice() -> None:
    """Carry the chosen change into the URL, and begin at its first example."""
    choose_change(recall("evaluation_change_choice"))


def choose_change(name: str) -> None:
    """Name a change in the URL, and begin at its first example."""
    choices.name_in_url(change=name)
    remember(PLACE, 0)


def take_choice() -> None:
    """Turn a click on a line of the chart, used up at once, into the change that is looked at."""
    event = recall(chart_key())
    mark = choices.clicked_mark(event["selection"]) if event else None
    if mark is None:
        return
    forget(chart_key())
    remember(CLICKS, recall(CLICKS, 0) + 1)
    choose_change(str(mark["name"]))


def chart_key() -> str:
    """Return the key of the chart until its next click."""
    return f"evaluation_changes_{recall(CLICKS, 0)}"
