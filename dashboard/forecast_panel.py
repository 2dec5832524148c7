"""What a training will take here, said before it starts: the rehearsals that it needs, the box, and the time budget."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from core import jobs
from core.config import RunConfig
from core.errors import ConfigError, ReviewscopeError
from core.runs import Run
from core.training.baseline import baseline_config
from core.training.forecast import (
    LESSON_PART,
    PRETRAINING_PART,
    RULER,
    Costs,
    Estimate,
    Forecast,
    ForecastJob,
    costs_key,
    create_forecast_job,
    find_forecast_job,
    fit_budget,
    forecast,
)
from core.training.members import configs_before
from dashboard import state
from dashboard.components import about_duration, draw_caption, duration, duration_range, span
from dashboard.forecast_charts import Bar, plot_forecasts
from dashboard.tokens import current_tokens

POLL_SECONDS = 1.0
MOST_EARLIER = 50
FIRST_MINUTES, MOST_MINUTES = 10.0, 100_000
UNDER_WAY = ("queued", "running")
BROKEN_OFF = ("failed", "interrupted", "stopped")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Outlook:
    """What is known about a training before it starts.

    Attributes:
        config: Its settings.
        costs: What its rehearsal measured; None before that.
        forecast: What follows from the costs.
        failure: Why the rehearsal came to nothing; empty when it did not.
        estimate: What it may take, of a preset that is rehearsed once it is chosen; None where that is not known.
    """

    config: RunConfig
    costs: Costs | None = None
    forecast: Forecast | None = None
    failure: str = ""
    estimate: Estimate | None = None

    @property
    def scoring_speed(self) -> float | None:
        """Return how many reviews a second were scored in the rehearsal, encoding included; None before it."""
        return self.costs.n_test / self.costs.test if self.costs is not None and self.costs.test > 0 else None


@dataclass(frozen=True)
class Plan:
    """What starts when the button is pressed.

    Attributes:
        configs: The settings of each run, cut to the budget.
        sentence: What the budget means for them; empty without one.
        problem: Why they cannot start; empty when they can.
    """

    configs: tuple[RunConfig, ...]
    sentence: str = ""
    problem: str = ""


def choose_earlier(runs: Sequence[Run]) -> list[Run]:
    """Return the newest runs that a forecast can learn from."""
    found: list[Run] = []
    for run in runs:
        if len(found) == MOST_EARLIER:
            break
        if run.forecast_file.exists() and run.state.status == "finished":
            found.append(run)
    return found


def look_ahead(config: RunConfig, earlier: Sequence[Run], *, with_test: bool) -> Outlook:
    """Return what is known about a training now."""
    costs, failure = read_costs(config)
    if costs is None:
        return Outlook(config, failure=failure)
    return Outlook(config, costs, forecast(config, costs, with_test=with_test, earlier=earlier))


def read_costs(config: RunConfig) -> tuple[Costs | None, str]:
    """Return what a rehearsal measured, or why it came to nothing; neither while it is under way."""
    job = find_forecast_job(config)
    try:
        if (costs := job.costs) is not None:
            return costs, ""
        if job.exists and (found := job.state).status in BROKEN_OFF:
            return None, found.message or "It was stopped."
    except ReviewscopeError as error:
        return None, str(error)
    return None, ""


def queue_rehearsals(configs: Sequence[RunConfig]) -> bool:
    """Queue what has to be rehearsed, the first before all others; tell whether any is under way.

    Nothing is queued twice. What failed is tried once more a tab at most, and so is what was killed meanwhile.
    """
    tried: frozenset[str] = state.recall("rehearsed-here", frozenset())
    twice: frozenset[str] = state.recall("rehearsed-twice", frozenset())
    wanted = {costs_key(config): config for config in configs}
    under_way = False
    for key, config in wanted.items():
        job = find_forecast_job(config)
        is_under_way = job.exists and job.state.status in UNDER_WAY
        was_killed = key in tried - twice and job.exists and job.state.status == "interrupted"
        if not is_under_way and (was_killed or _is_wanted(job, key in tried)):
            try:
                jobs.enqueue(create_forecast_job(config))
            except ReviewscopeError:
                return True  # the queue is full: the next look tries again
            if config is configs[0]:
                jobs.move(job, -jobs.MOST_WAITING)
            state.remember("rehearsed-here", tried := tried | {key})
            if was_killed:
                state.remember("rehearsed-twice", twice := twice | {key})
            is_under_way = True
        under_way |= is_under_way
    return under_way


def _is_wanted(job: ForecastJob, was_tried: bool) -> bool:
    try:
        if job.is_fresh:
            return False
        return not (was_tried and job.exists and job.state.status in BROKEN_OFF)
    except ReviewscopeError:
        return not was_tried


def rehearse_again(configs: Sequence[RunConfig]) -> None:
    """Let failed rehearsals be queued once more."""
    again = {costs_key(config) for config in configs}
    state.remember("rehearsed-here", state.recall("rehearsed-here", frozenset()) - again)


def draw_forecast(outlooks: Sequence[Outlook], wanted: Sequence[RunConfig], preset: str) -> None:
    """Draw how long it takes, in the same height before and after that is known.

    While something is rehearsed this part draws itself anew each second, and all of the page once something is there.
    """
    is_under_way = queue_rehearsals(wanted)
    seen = [read_costs(config) for config in wanted]
    st.fragment(_draw_forecast, run_every=POLL_SECONDS if is_under_way else None)(outlooks, wanted, seen, preset)


def _draw_forecast(
    outlooks: Sequence[Outlook],
    wanted: Sequence[RunConfig],
    seen: Sequence[tuple[Costs | None, str]],
    preset: str,
) -> None:
    queue_rehearsals(wanted)
    if [read_costs(config) for config in wanted] != list(seen):
        st.rerun()  # captions, chart and budget learn of it too
    # One that was queued once more just now has failed no longer.
    failures = [outlook.failure for outlook in outlooks if outlook.failure and read_costs(outlook.config)[1]]
    known = [outlook for outlook in outlooks if outlook.forecast is not None]
    if not outlooks:
        draw_no_forecast("The choices on the left say what is missing.")
    elif failures:
        _draw_words("There is no forecast.", f"{failures[0]} You can start all the same.", is_waiting=True)
        st.button("Rehearse again", key="rehearse-again", on_click=rehearse_again, args=([*wanted],), type="tertiary")
    elif len(known) < len(outlooks):
        _draw_words(*waiting_words(outlooks, wanted, seen), is_waiting=True)
    else:
        forecasts = without_repeated_work(known)
        total = sum(each.seconds for each in forecasts)
        _draw_words(span(total), measured_words(known, preset), total_range(forecasts) if total >= 0.5 else "")


def draw_no_forecast(why: str) -> None:
    """Draw why there is no forecast, in the height of one."""
    _draw_words("No forecast yet", why, is_waiting=True)


def total_seconds(outlooks: Sequence[Outlook]) -> float | None:
    """Return how long runs take one after the other; None when that is not known of all of them."""
    known = [outlook for outlook in outlooks if outlook.forecast is not None]
    if not known or len(known) < len(outlooks):
        return None
    return sum(each.seconds for each in without_repeated_work(known))


def _draw_words(big: str, caption: str, small: str = "", *, is_waiting: bool = False) -> None:
    beside = f"<span>({escape(small)})</span>" if small else ""
    kind = " rs-wait" if is_waiting else ""
    together = re.sub(r"(\d) (s|min|h|%)(?!\w)", "\\1\N{NO-BREAK SPACE}\\2", caption)
    st.html(
        f'<div class="rs"><p class="rs-big{kind}">{escape(big)} {beside}</p>'
        f'<p class="rs-caption rs-three-lines">{escape(together)}</p></div>'
    )


def waiting_words(
    outlooks: Sequence[Outlook], wanted: Sequence[RunConfig], seen: Sequence[tuple[Costs | None, str]]
) -> tuple[str, str]:
    """Return what stands in place of the time while it is measured: the great line, and the small one."""
    missing = {costs_key(outlook.config): outlook.config for outlook in outlooks if outlook.costs is None}
    how_many = f"{len(missing)} settings" if len(missing) > 1 else "these settings"
    small = f"Some steps of {how_many} are timed on this machine. You need not wait for it: Start works already."
    running = next(
        (job for job in map(find_forecast_job, wanted) if job.exists and job.state.status == "running"), None
    )
    if running is None:
        return "The rehearsal is about to begin …", small
    known = next((costs for costs, _ in seen if costs is not None), None)
    if known is None:
        return "Rehearsing, for some seconds …", small
    return f"Rehearsing for {duration(known.rehearsed)} on {count(known.threads, 'thread')} …", small


def measured_words(outlooks: Sequence[Outlook], preset: str) -> str:
    """Return how forecasts came about and how far they can be trusted."""
    first, costs = outlooks[0].forecast, outlooks[0].costs
    assert first is not None and costs is not None
    at_most = "at most " if first.epochs > 1 and outlooks[0].config.training.patience else ""
    if len(outlooks) == 1:
        before, early = before_words(first, costs)
        epochs = f"{at_most}{count(first.epochs, 'epoch')} of {span(first.epoch_seconds)}" if first.steps else ""
        rest = first.seconds - first.epochs * first.epoch_seconds - early
        other = f"{span(rest)} for all else" if rest > 0.05 * first.seconds else ""
        said = [words for words in (before, epochs, other) if words]
        what = f"{preset}, {', '.join(said[:-1])}{', and ' if len(said) > 1 else ''}{said[-1]}." if said else ""
    else:
        what = f"{len(outlooks)} runs of {preset}, one after the other; of each {_epochs_of_each(outlooks)}."
    how = f"Rehearsed for {span(costs.rehearsed)}, on {in_words(costs.threads)} thread{'s'[: costs.threads != 1]};"
    if any(outlook.forecast is not None and outlook.forecast.disturbed for outlook in outlooks):
        return f"{what} {how} another run was training meanwhile, so that it is likely too long."
    return f"{what} {how} {trust_words(first)}."


def before_words(expected: Forecast, costs: Costs) -> tuple[str, float]:
    """Return what comes before the first step and takes long, in words, and its seconds; members, a teacher, texts."""
    names = [name for name in expected.parts if name in (*costs.before, LESSON_PART, PRETRAINING_PART)]
    seconds = sum(expected.parts[name] for name in names) * expected.correction
    if not names:
        return "", 0.0
    guessed = [name for name in names if name in costs.estimated]
    how = f" ({' and '.join(guessed)} estimated from the shipped figures)" if guessed else ""
    return f"first {', '.join(names)}: {span(seconds)}{how}", seconds


def _epochs_of_each(outlooks: Sequence[Outlook]) -> str:
    """Return how many epochs each of several runs takes: a range when they differ."""
    epochs = [outlook.forecast.epochs for outlook in outlooks if outlook.forecast is not None]
    has_patience = any(outlook.config.training.patience for outlook in outlooks)
    at_most = "at most " if max(epochs) > 1 and has_patience else ""
    if min(epochs) == max(epochs):
        return f"{at_most}{count(epochs[0], 'epoch')}"
    return f"{min(epochs):,} to {at_most}{max(epochs):,} epochs"


def trust_words(expected: Forecast) -> str:
    """Return how far off the last forecasts would have been with today's correction."""
    if not expected.errors:
        return "no earlier run here to correct it by"
    if len(expected.errors) == 1:
        return "corrected by the one earlier run here"
    percents = sorted(round(100 * abs(error)) for error in expected.errors)
    off = f"{percents[0]} to {percents[-1]} %" if percents[0] != percents[-1] else f"{percents[0]} %"
    return f"so corrected, the last {in_words(len(percents))} forecasts here were {off} off"


def without_repeated_work(outlooks: Sequence[Outlook]) -> list[Forecast]:
    """Return the forecasts of runs that follow each other: what several need first is trained by the first of them."""
    trained: set[str] = set()
    found = []
    for outlook in outlooks:
        expected = outlook.forecast
        assert expected is not None
        # By its part of the forecast, what a run would train besides itself; a teacher's scoring goes with the teacher.
        first = {"line to beat": baseline_config(outlook.config), **configs_before(outlook.config)}
        keys = {part: each.model_dump_json() for part, each in first.items() if expected.parts.get(part)}
        repeated = sum(expected.parts[part] for part, key in keys.items() if key in trained)
        if any(part.startswith("teacher ") and key in trained for part, key in keys.items()):
            repeated += expected.parts.get(LESSON_PART, 0.0)
        if repeated:
            rest = 1 - repeated / expected.raw_seconds
            times = {"seconds": expected.seconds * rest, "low": expected.low * rest, "high": expected.high * rest}
            expected = expected.model_copy(update=times)
        trained |= set(keys.values())
        found.append(expected)
    return found


def total_range(forecasts: Sequence[Forecast]) -> str:
    """Return the range of what several forecasts come to together."""
    return duration_range(sum(each.low for each in forecasts), sum(each.high for each in forecasts))


def draw_forecast_chart(bars: Sequence[Bar], budget: float | None) -> None:
    """Draw how long the presets take, the chosen one in ink."""
    spec = plot_forecasts(tuple(bars), budget, current_tokens())
    with st.container(key="forecast-chart"):  # whose height the stylesheet holds until the chart is there
        st.vega_lite_chart(spec, key="forecasts", theme=None, alt="How long each preset takes on this machine")


def build_bars(
    presets: Mapping[str, Outlook], chosen: str, outlooks: Sequence[Outlook], *, can_rehearse: bool
) -> list[Bar]:
    """Return a row for each preset; that of the chosen one shows what would start, all of its runs together."""
    bars = []
    for name, outlook in presets.items():
        shown = list(outlooks) if name == chosen and outlooks else [outlook]
        known = [each for each in shown if each.forecast is not None]
        if len(known) < len(shown):
            is_waiting = can_rehearse and name in (chosen, RULER) and not any(each.failure for each in shown)
            if name != chosen and outlook.estimate is not None and not is_waiting:
                found = outlook.estimate
                bars.append(Bar(name, False, found.seconds, found.low, found.high, is_estimate=True))
            else:
                is_left = can_rehearse and not any(each.failure for each in shown)
                word = "rehearsing" if is_waiting else "not rehearsed yet" if is_left else "no forecast"
                bars.append(Bar(name, name == chosen, word=word))
            continue
        forecasts = without_repeated_work(known)
        low, high = sum(each.low for each in forecasts), sum(each.high for each in forecasts)
        bars.append(Bar(name, name == chosen, sum(each.seconds for each in forecasts), low, high))
    return bars


def draw_budget() -> float | None:
    """Draw the choice of a time limit; return it in seconds, or None without one.

    What was typed may be no limit at all, which ``budget_problem`` tells: an emptied box is not a number.
    """
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        is_limited = st.toggle(
            "Time I have, minutes", key="is-limited", width="content",
            help="The training ends on time: it takes as many steps as fit, and its schedule ends there too.",
        )  # fmt: skip
        if state.recall("minutes", math.nan) is not None:  # None once it was emptied
            state.remember("minutes", state.recall("minutes", FIRST_MINUTES))
        # Bounds of its own would say what is wrong and leave the plan as it was.
        minutes = st.number_input(
            "Minutes", value=None, step=1.0, format="%g", key="minutes", disabled=not is_limited,
            label_visibility="collapsed", width=130,
        )  # fmt: skip
    if not is_limited:
        return None
    return math.nan if minutes is None else 60 * minutes


def budget_problem(budget: float | None) -> str:
    """Return what is wrong with a time limit in seconds; empty when nothing is."""
    if budget is None or 0 < budget <= 60 * MOST_MINUTES:
        return ""
    if math.isnan(budget):
        return "Type how many minutes you have, or switch the limit off."
    wrong = "more than 0" if budget <= 0 else f"{MOST_MINUTES:,} at most"
    return f"{budget / 60:,g} is no limit: the minutes must be {wrong}."


def fit_plan(outlooks: Sequence[Outlook], budget: float | None, *, are_seeds: bool) -> Plan:
    """Return what starts: all of it, or with a budget as many steps as fit, each run cut by the same share.

    Seeds are compared with each other and so take equally many steps.
    """
    configs = tuple(outlook.config for outlook in outlooks)
    if problem := budget_problem(budget):
        return Plan(configs, problem=problem)
    if budget is None or not outlooks:
        return Plan(configs)
    known = [outlook for outlook in outlooks if outlook.forecast is not None]
    if len(known) < len(outlooks):
        failed = any(outlook.failure for outlook in outlooks)
        why = "there is none: switch the limit off" if failed else "it is being measured"
        return Plan(configs, problem=f"The limit needs the forecast, and {why}.")
    forecasts = without_repeated_work(known)
    total = sum(each.seconds for each in forecasts)
    if total <= budget:
        return Plan(configs, sentence=_fitting_words(known))
    try:
        fitted = [
            fit_budget(outlook.config, outlook.costs, expected, budget / total * expected.seconds)
            for outlook, expected in zip(known, forecasts, strict=True)
            if outlook.costs is not None
        ]
    except ConfigError as error:
        return Plan(configs, problem=_too_few_words(str(error), budget, len(configs)))
    if are_seeds:
        least = min((each.training.max_steps or 0 for each in fitted), default=0)
        fitted = [_with_steps(each, least) for each in fitted]
    return Plan(tuple(fitted), sentence=_cut_words(fitted, forecasts, total))


def _too_few_words(said: str, budget: float, runs: int) -> str:
    """Say that a budget is too small; of several runs by the total that was typed, not by the share of one."""
    why = said.partition(": ")[2]
    if runs == 1 or not why:
        return said
    return f"{budget / 60:g} min are too few for {runs} runs: for each, {why}"


def _with_steps(config: RunConfig, steps: int) -> RunConfig:
    return config.model_copy(update={"training": config.training.model_copy(update={"max_steps": steps})})


def _fitting_words(outlooks: Sequence[Outlook]) -> str:
    if len(outlooks) > 1:
        return f"All {len(outlooks)} runs fit your budget."
    expected, costs = outlooks[0].forecast, outlooks[0].costs
    assert expected is not None and costs is not None
    if not expected.steps:
        return "Fits your budget."
    at_most = "at most " if expected.epochs > 1 and outlooks[0].config.training.patience else ""
    reviews = f", all {costs.n_train:,} reviews" if outlooks[0].config.training.max_steps is None else ""
    return f"Fits your budget: {at_most}{count(expected.epochs, 'epoch')}{reviews}."


def _cut_words(fitted: Sequence[RunConfig], forecasts: Sequence[Forecast], total: float) -> str:
    if len(fitted) == 1:
        steps = f"{fitted[0].training.max_steps:,} of {forecasts[0].steps:,} steps"
        return f"Would take {about_duration(total)}: it stops after {steps} instead, and ends on time."
    shares = [(each.training.max_steps or 0) / expected.steps for each, expected in zip(fitted, forecasts, strict=True)]
    return (
        f"The {len(fitted)} runs would take {about_duration(total)}: each stops after about "
        f"{100 * min(shares):.0f} % of its steps instead, so that all of them end on time."
    )


def draw_plan_sentence(plan: Plan) -> None:
    """Draw what the budget means, or why nothing can start."""
    if plan.sentence or plan.problem:
        draw_caption(plan.problem or plan.sentence)


def count(number: int, word: str) -> str:
    """Write "1 epoch", "4 epochs"."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def in_words(number: int) -> str:
    """Write a small number as a word."""
    return NUMBERS[number] if number < len(NUMBERS) else f"{number:,}"
