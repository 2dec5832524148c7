"""Several runs side by side: curves over each other, two on the same reviews, seeds against seeds, settings."""

from collections.abc import Sequence
from functools import partial
from typing import cast

import pandas as pd
import streamlit as st

from core import jobs
from core.charts.dress import PLOTLY_CONFIG
from core.errors import ReviewscopeError
from core.evaluation.comparison import Comparison, compare_seeds, describe_comparison, describe_seeds
from core.prediction.evaluating import EvaluationJob, evaluation_folder
from core.run_groups import MeanCurve, differing_settings, mean_curve, setting_title
from core.wording import DASH, interval_text, percent
from dashboard import cache
from dashboard.components import draw_caption, draw_chart_title, draw_facts, draw_section, failed_box
from dashboard.run_card import draw_members, setting_words
from dashboard.run_facts import GroupFacts, RunFacts, data_name
from dashboard.runs_charts import Line, Role, Unit, plot_differences, plot_overlay, plot_parallel
from dashboard.state import forget, recall, remember
from dashboard.tokens import current_tokens

TICK_SECONDS = 0.5
MOST_OTHERS = 20
MOST_COLUMNS = 12
MOST_AXES = 8
AXIS_WIDTH = 112  # px, for an axis and its title
LONGEST_TITLE = 40
DIFFERENCE_TITLE = "percentage points"  # a long one, as with names, would take its room from the chart
# What the parallel coordinates leave out: names of files and columns, which are strangers' text, and what counts words.
NO_AXES = ("data.path", "data.text_column", "data.label_column", "data.label_map")


def draw_group(group: GroupFacts, everyone: Sequence[GroupFacts]) -> None:
    """Draw the curves of runs of one config as a mean with its band, and the list of them."""
    left, right = st.columns(2, gap="large")
    with left:
        draw_overlay([group], everyone)
    with right:
        draw_members(group)


def draw_two(a: GroupFacts, b: GroupFacts, everyone: Sequence[GroupFacts]) -> None:
    """Draw two runs, or groups of seeds, against each other."""
    name_a, name_b = names_of([a, b])
    draw_section(f"{name_a} against {name_b}")
    left, right = st.columns(2, gap="large")
    with left:
        draw_overlay([a, b], everyone)
    with right:
        if not a.first.has_same_data(b.first):
            draw_other_data(a, b, name_a, name_b)
        elif a.is_seeds or b.is_seeds:
            draw_seeds(a, b, name_a, name_b)
        else:
            draw_same_reviews(a.first, b.first, name_a, name_b)
    draw_settings([a, b])


def draw_many(groups: Sequence[GroupFacts], everyone: Sequence[GroupFacts]) -> None:
    """Draw three or more runs or groups: curves, what differs in their settings, and how that goes with accuracy."""
    is_same = all(group.first.has_same_data(groups[0].first) for group in groups)
    other = "They did not all learn from the same data: their accuracies are not of the same reviews."
    draw_section(f"{len(groups)} side by side", "" if is_same else other)
    left, right = st.columns([1, 1], gap="large")
    with left:
        draw_overlay(groups, everyone)
    with right:
        draw_settings(groups, with_accuracy=True)
    draw_parallel([member for group in groups for member in group.members])


def names_of(groups: Sequence[GroupFacts]) -> list[str]:
    """Return a name for each that no other has, shortened so that it fits into a sentence."""
    titles = [_short(group.group.title) for group in groups]
    return [
        title if titles.count(title) == 1 else f"{title} ({group.group_id})"
        for title, group in zip(titles, groups, strict=True)
    ]


def draw_overlay(chosen: Sequence[GroupFacts], everyone: Sequence[GroupFacts]) -> None:
    """Draw the validation accuracy of what was chosen over that of other finished runs of the same data."""
    unit = cast(Unit, recall("runs_unit") or "share")
    lines = overlay_lines(chosen, everyone, unit)
    has_others = any(line.role == "other" for line in lines)
    read = overlay_words(sum(line.role != "other" for line in lines), has_others=has_others)
    if any(line.is_group and line.role != "other" for line in lines):
        read += " Of seeds: the mean, and the range as a band."
    draw_chart_title("Validation accuracy while training", read)
    if not any(line.role != "other" for line in lines):
        draw_caption("There is no validation yet: the first comes at the end of an epoch.")
        return
    st.vega_lite_chart(
        plot_overlay(lines, unit, current_tokens()), theme=None, key="runs_overlay",
        alt="Validation accuracy while training, of the ticked runs",
    )  # fmt: skip
    if recall("runs_unit") is None:
        remember("runs_unit", unit)
    st.segmented_control(
        "Along", ["share", "step"], format_func={"share": "Share of training", "step": "Step"}.__getitem__,
        key="runs_unit", required=True, label_visibility="collapsed",
    )  # fmt: skip


def overlay_words(chosen: int, *, has_others: bool) -> str:
    """Say which lines of the overlay are in which colour."""
    if chosen > 2:
        others = "; others on the same data thin and without a name" if has_others else ""
        return f"The first two in colour, the rest in grey{others}."
    return "Ticked runs in colour; others on the same data in grey." if has_others else "At the end of each epoch."


def overlay_lines(chosen: Sequence[GroupFacts], everyone: Sequence[GroupFacts], unit: Unit) -> list[Line]:
    """Return the lines of the overlay, the background first."""
    ids = {group.group_id for group in chosen} | {member.run.run_id for group in chosen for member in group.members}
    others = [
        group
        for group in everyone
        if group.group_id not in ids
        and not any(member.run.run_id in ids for member in group.members)
        and any(member.state.status == "finished" for member in group.members)
        and group.first.has_same_data(chosen[0].first)
    ]
    others = sorted(others, key=lambda group: -group.rank())[:MOST_OTHERS]
    rest: list[Role] = ["chosen"]
    roles: list[Role] = ["a", "b", *(rest * len(chosen))]
    lines = [_line(group, group.group.title, "other", unit) for group in others]
    named = zip(chosen, names_of(chosen), roles, strict=False)
    lines += [_line(group, name, role, unit) for group, name, role in named]
    return [line for line in lines if line is not None]


def _line(group: GroupFacts, name: str, role: Role, unit: Unit) -> Line | None:
    """Return a run's curve, the mean of seeds, or the best of a grid; None before the first validation."""
    members = group.members if group.is_seeds else (group.best(),)
    curves = [member.curve(unit) for member in members if len(member.accuracies)]
    if len(curves) == 1:
        x, y = curves[0]
        return Line(name, role, MeanCurve(x, y, y, y))
    mean = mean_curve(curves)
    return None if mean is None else Line(name, role, mean, is_group=True)


def draw_other_data(a: GroupFacts, b: GroupFacts, name_a: str, name_b: str) -> None:
    """Say that two runs cannot be compared by their figures."""
    draw_chart_title("They learnt from different data", "Only figures on the same reviews can be compared.")
    draw_facts(
        f"{name_a} learnt from {data_name(a.first.config)}, {name_b} from {data_name(b.first.config)}. "
        "What follows compares their settings alone."
    )


def draw_seeds(a: GroupFacts, b: GroupFacts, name_a: str, name_b: str) -> None:
    """Draw whether the gap of two groups of seeds, or of a group and a run, is larger than seed noise."""
    comparison = compare_seeds(a.accuracies(), b.accuracies())
    finding = place_in_range(a, b) or describe_seeds(comparison)
    read = "Validation accuracy; each seed cuts its own validation split."
    if comparison.difference.low is not None:
        read += f" Right of zero: {name_a} is better; Welch's interval."
    draw_chart_title(finding, read)
    if comparison.difference.low is not None:
        chart = plot_differences({"mean accuracy": comparison.difference}, DIFFERENCE_TITLE, current_tokens())
        if chart is not None:
            st.vega_lite_chart(chart, theme=None, key="runs_seed_difference", alt=finding)
    for name, group in ((name_a, a), (name_b, b)):
        draw_facts(f"{name}: {spread_words(group)}.")
    if place_in_range(a, b):
        draw_facts("One seed cannot tell luck from skill. Repeat that run with 3 seeds to compare the two.")


def spread_words(group: GroupFacts) -> str:
    """Say what a run or a group of seeds came to on validation."""
    found = group.spread()
    if found is None:
        return "no validation yet"
    if found.sd is None:
        return percent(found.mean)
    ends = interval_text(found.low, found.high)
    return f"{percent(found.mean)} mean of {found.n} ({ends}, standard deviation {100 * found.sd:.2f} points)"


def place_in_range(a: GroupFacts, b: GroupFacts) -> str:
    """Say where a single run lies among the seeds of a group; nothing unless one is single and one is a group."""
    if len(b.accuracies()) == 1:
        a, b = b, a
    values, others = a.accuracies(), b.accuracies()
    if len(values) != 1 or len(others) < 2:
        return ""
    of = f"the {len(others)} seeds of {b.group.name}"
    if min(others) <= values[0] <= max(others):
        return f"{a.group.name} lies among {of}: no gap beyond seed noise"
    return f"{a.group.name} lies {'above' if values[0] > max(others) else 'below'} all of {of}"


def draw_same_reviews(a: RunFacts, b: RunFacts, name_a: str, name_b: str) -> None:
    """Draw two runs on the same test reviews, or the offer to score what is missing."""
    unready = [name for name, facts in ((name_a, a), (name_b, b)) if facts.result is None or facts.model_size is None]
    data_fingerprint = a.fingerprint or b.fingerprint
    if unready or data_fingerprint is None:
        draw_chart_title(f"{' and '.join(unready) or name_a} cannot be compared yet", "It has no finished model.")
        return
    pairs = [(facts, _evaluation(facts, data_fingerprint)) for facts in (a, b)]
    named = list(zip((name_a, name_b), pairs, strict=True))
    missing = [(facts, job) for facts, job in pairs if not job.is_done]
    if missing:
        draw_scoring(missing, a, [name for name, (_, job) in named if not job.is_done])
        return
    try:
        comparison = cache.load_comparison(pairs[0][1], pairs[1][1])
    except ReviewscopeError as error:
        with failed_box("runs-comparison", str(error), "Both runs are as they were."):
            st.button("Try again", key="runs_compare_again")
        return
    draw_comparison(comparison, (a, b), name_a, name_b)


def _evaluation(facts: RunFacts, data_fingerprint: str) -> EvaluationJob:
    assert facts.result is not None
    return EvaluationJob(evaluation_folder(facts.result.model_sha256, data_fingerprint, "test"))


def draw_comparison(comparison: Comparison, of: tuple[RunFacts, RunFacts], name_a: str, name_b: str) -> None:
    """Draw the differences with their intervals, and say what they mean."""
    finding, sentence = describe_comparison(comparison, name_a, name_b)
    draw_chart_title(finding, f"Same {comparison.n:,} test reviews; paired. Right of zero: {name_a} is better.")
    chart = plot_differences(comparison.differences, DIFFERENCE_TITLE, current_tokens())
    if chart is not None:
        st.vega_lite_chart(chart, theme=None, key="runs_differences", alt=finding)
    draw_facts(sentence)
    if st.button("Read the differences", type="primary", key="runs_read"):
        a, b = (facts.run.run_id for facts in of)
        link = {"model": a, "evaluation_section": "two_runs", "evaluation_against": b}
        st.switch_page("../pages/evaluation.py", query_params=link)


def draw_scoring(missing: Sequence[tuple[RunFacts, EvaluationJob]], of: RunFacts, names: Sequence[str]) -> None:
    """Draw the offer to score what is missing, the progress, or what went wrong."""
    who = " and ".join(names)
    statuses = [_status(job) for _, job in missing]
    if refused := recall("runs_scoring_refused"):
        forget("runs_scoring_refused")
        with failed_box("runs-scoring", refused, "Nothing was scored."):
            st.button("Try again", key="runs_score", on_click=partial(_score, missing, of))
    elif any(status in ("queued", "running") for status in statuses):
        draw_progress([job for _, job in missing], who)
    elif any(status in ("failed", "interrupted", "stopped") for status in statuses):
        said = next((job.state.message for _, job in missing if job.exists and job.state.message), "It was stopped.")
        what = f"Scoring the test split with {who} did not end. {said}"
        with failed_box("runs-scoring", what, "The runs are as they were."):
            st.button("Score again", key="runs_score", on_click=partial(_score, missing, of))
    else:
        has = "has" if len(names) == 1 else "have"
        draw_chart_title(
            f"{who} {has} not read the test split yet",
            "Two runs are compared on the same reviews. Scoring goes on in the background and is kept.",
        )
        label = "Score both" if len(missing) > 1 else "Score it"
        st.button(label, type="primary", key="runs_score", on_click=partial(_score, missing, of))


def _score(missing: Sequence[tuple[RunFacts, EvaluationJob]], of: RunFacts) -> None:
    try:
        for facts, expected in missing:
            if jobs.queue_evaluation(facts.run.run_id, of.config, "test").path != expected.path:
                remember("runs_scoring_refused", "The data has changed since these runs learnt from it.")
    except ReviewscopeError as error:
        remember("runs_scoring_refused", str(error))


def _status(job: EvaluationJob) -> str:
    """Return where a job stands; "" before it was asked for."""
    return job.state.status if job.exists else ""


@st.fragment(run_every=TICK_SECONDS)
def draw_progress(waited_for: Sequence[EvaluationJob], who: str) -> None:
    """Draw how far the scoring is, twice a second; when it has ended, draw the page anew."""
    left = [job for job in waited_for if not job.is_done]
    if not any(_status(job) in ("queued", "running") for job in left):
        st.rerun()
    draw_chart_title(f"{who}: the test split is being read", "It goes on without this page.")
    for job in waited_for:
        progress = None if job.is_done or _status(job) != "running" else job.progress
        share = progress.done / progress.total if progress and progress.total else 0.0
        st.progress(1.0 if job.is_done else min(share, 1.0))


def draw_settings(groups: Sequence[GroupFacts], *, with_accuracy: bool = False) -> None:
    """Draw the settings that differ, a column for each run; first, when asked, what each came to."""
    shown = groups[:MOST_COLUMNS]
    configs = [group.first.config for group in shown]
    differing = differing_settings(configs)
    if any(group.is_seeds for group in groups):
        differing.pop("training.seed", None)
    if not differing:
        draw_chart_title("Their settings are the same", "Nothing that decides the weights differs, but for the seed.")
        return
    count = len(differing)
    more = f" The first {MOST_COLUMNS} of {len(groups)}." if len(groups) > MOST_COLUMNS else ""
    draw_chart_title(f"{count} setting{'s differ' if count > 1 else ' differs'}", f"Only what is not the same.{more}")
    titles = [
        next(setting_title(name, config) for config, value in zip(configs, values, strict=True) if value is not None)
        for name, values in differing.items()
    ]
    columns = {"Setting": ["Validation accuracy", *titles] if with_accuracy else titles}
    for place, (name, group) in enumerate(zip(names_of(shown), shown, strict=True)):
        said = [setting_words(values[place]) for values in differing.values()]
        columns[name] = [percent(max(group.rank(), 0) or None), *said] if with_accuracy else said
    st.dataframe(
        pd.DataFrame(columns), hide_index=True, key="runs_diff", alt="Settings that differ",
        height="content" if count <= 8 else 322, column_config={"Setting": st.column_config.TextColumn(width=190)},
    )  # fmt: skip


def draw_parallel(members: Sequence[RunFacts]) -> None:
    """Draw how settings go with accuracy, one line a run, when three runs with an accuracy differ in something."""
    known = [(member, value) for member in members if (value := member.accuracy()) is not None]
    differing = differing_settings([member.config for member, _ in known]) if len(known) >= 3 else {}
    axes = {name: values for name, values in differing.items() if name not in NO_AXES}
    if not axes:
        return
    few = dict(list(axes.items())[-MOST_AXES:])
    configs = [member.config for member, _ in known]
    titled = {
        setting_title(name, configs[next(place for place, value in enumerate(values) if value is not None)]): [
            DASH if value is None else value for value in values
        ]
        for name, values in few.items()
    }
    left_out = f" {len(axes) - len(few)} more are left out." if len(axes) > len(few) else ""
    draw_chart_title(
        "Settings and what they led to",
        "One line a run, strongest where most accurate. Drag along an axis to pick, drag a title to move it."
        + left_out,
    )
    # Plotly draws its axes black, whatever the theme. On a narrow screen the chart is scrolled sideways, so that the
    # titles of its axes do not touch.
    line = f"stroke: {current_tokens().muted}; stroke-opacity: 0.5"
    st.html(
        f"<style>.st-key-runs_parallel .parcoords .domain {{ {line} }} .st-key-runs_parallel {{ overflow-x: auto; }}"
        f" .st-key-runs_parallel > div {{ min-width: {AXIS_WIDTH * (len(titled) + 1)}px; }}</style>"
    )
    figure = plot_parallel(titled, [value for _, value in known], current_tokens())
    st.plotly_chart(
        figure,
        theme=None,
        config=PLOTLY_CONFIG,
        key="runs_parallel",
        alt="Parallel coordinates of settings and accuracy",
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_TITLE else f"{name[: LONGEST_TITLE - 1]}…"
