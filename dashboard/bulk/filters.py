"""The filters of a scored table: in the URL, in words, in a box of choices, and from clicks on its charts."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from html import escape
from typing import Any, Literal, cast, get_args

import streamlit as st

from core.evaluation.shares import SIDES, UNITS, Unit
from core.prediction.bulk_job import BulkJob
from core.prediction.facets import Facets, default_column
from core.prediction.row_filter import DISAGREEMENTS, EPOCH, Disagreement, RowFilter, describe_filter
from core.prediction.summary import BINS, Order, last_day_of
from core.wording import percent, plural
from dashboard.bulk.choices import name_word
from dashboard.components import draw_caption
from dashboard.state import clear_url, forget, from_url, recall, remember, to_url

PREFIX = "file_"
CLICKS = PREFIX + "clicks"
MOST_CHARACTERS = 200
ANY = "any"
LEAST_CONFIDENCES = (0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
# What a click on a chart makes of the filters; the same filters when nothing was clicked.
Door = Callable[[RowFilter, Mapping[str, Any]], RowFilter]
Against = Literal["sides", "rest"]


def filter_from_url(job: BulkJob, facets: Facets) -> RowFilter:
    """Return the filters that the URL names for a job; what is no filter of its table counts as absent.

    Those of another job, which was shown before, do not count.
    """
    if _parameter("of") != job.job_id:
        return RowFilter()
    groups = [(place, value) for place in facets.choosable if (value := from_url(f"{PREFIX}c{place}")) is not None]
    dated, rated = _place("dated", facets.dated), _place("rated", facets.starred)
    since, until = (_day(_parameter(name)) if dated is not None else None for name in ("since", "until"))
    stars = _whole(_parameter("stars"), 1, 10) if rated is not None else None
    disagreement = _parameter("disagree") if rated is not None else ""
    side, score = _parameter("side"), _whole(_parameter("score"), 0, BINS - 1)
    confidence = _parameter("confidence")
    return RowFilter(
        side=next((each for each in SIDES if each == side), None),
        groups=tuple((place, value) for place, value in groups if value in (facets.values[place] or ())),
        dated=None if since is None and until is None else dated,
        since=since,
        until=until,
        rated=rated if stars is not None or disagreement in DISAGREEMENTS else None,
        stars=stars,
        disagreement=next((each for each in DISAGREEMENTS if each == disagreement), None),
        score=score,
        confidence=next((each for each in LEAST_CONFIDENCES if f"{each:g}" == confidence), None),
        word=_parameter("word")[:MOST_CHARACTERS],
        phrase=_parameter("phrase")[:MOST_CHARACTERS],
    )


def forget_others(job: BulkJob) -> None:
    """Take what the URL says of another job, which was shown before, out of it."""
    if _parameter("of") not in ("", job.job_id):
        clear_url(PREFIX)


def filter_to_url(job: BulkJob, facets: Facets, chosen: RowFilter) -> None:
    """Name the filters in the URL, and begin at the first page of the list."""
    values: dict[str, object] = {
        "of": None if chosen.is_empty and not _choices_made() else job.job_id,
        "side": chosen.side,
        "dated": chosen.dated,
        "since": _iso(chosen.since),
        "until": _iso(chosen.until),
        "rated": chosen.rated,
        "stars": chosen.stars,
        "disagree": chosen.disagreement,
        "score": chosen.score,
        "confidence": None if chosen.confidence is None else f"{chosen.confidence:g}",
        "word": chosen.word or None,
        "phrase": chosen.phrase or None,
        "page": None,
        **{f"c{place}": chosen.group(place) for place in facets.choosable},
    }
    name_in_url(**values)


def name_in_url(**values: object) -> None:
    """Set parameters of a scored table's page."""
    to_url(**{PREFIX + name: None if value is None else str(value) for name, value in values.items()})


def choose(job: BulkJob, **values: object) -> None:
    """Remember in the URL what is shown of a job, such as the column of a chart."""
    name_in_url(of=job.job_id, **values)


def group_column(job: BulkJob, facets: Facets) -> int | None:
    """Return the place of the column that shares are shown by; None when the table has none."""
    asked = _place("by", facets.choosable) if _parameter("of") == job.job_id else None
    return default_column(facets.facts) if asked is None else asked


def date_column(job: BulkJob, facets: Facets) -> int | None:
    """Return the place of the column of dates that is shown; None when the table has none."""
    asked = _place("date", facets.dated) if _parameter("of") == job.job_id else None
    return next(iter(facets.dated), None) if asked is None else asked


def star_column(job: BulkJob, facets: Facets) -> int | None:
    """Return the place of the column of stars that is shown; None when the table has none."""
    asked = _place("starred", facets.starred) if _parameter("of") == job.job_id else None
    return next(iter(facets.starred), None) if asked is None else asked


def unit_from_url() -> Unit | None:
    """Return the unit of time that the URL names; None lets the rows say."""
    name = _parameter("unit")
    return next((each for each in UNITS if each == name), None)


def against_from_url(chosen: RowFilter) -> Against:
    """Return what the words are compared between; rows without a filter have no rest."""
    return "rest" if _parameter("words") == "rest" and not chosen.is_empty else "sides"


def order_from_url() -> Order:
    """Return the order of the list that the URL names, else the first."""
    name = _parameter("order")
    return cast(Order, name) if name in get_args(Order) else "negative"


def page_from_url(pages: int) -> int:
    """Return the page of the list, from 1, as far as there are so many."""
    return min(_whole(_parameter("page"), 1, 10**6) or 1, max(pages, 1))


def draw_filter_bar(job: BulkJob, facets: Facets, chosen: RowFilter, scored: int, left: int | None) -> None:
    """Draw what is filtered by, in words, how to end it, and the box of choices.

    Args:
        job: The scoring.
        facets: What is known of the columns.
        chosen: The filters.
        scored: All rows with a score.
        left: Those that the filters leave; None before it is known.
    """
    with st.container(horizontal=True, vertical_alignment="center", key=PREFIX + "bar"):
        with st.popover("Filter", icon=":material/filter_alt:", key=PREFIX + "box"):
            draw_choices(job, facets, chosen)
        if chosen.is_empty:
            with st.container(width="content"):
                count = plural(scored, "scored row")
                draw_caption(f"No filter: {count}. Click a bar, a dot or a word to look at its rows alone.")
            return
        with st.container(width="content"):
            draw_filter_words(chosen, facets, scored, left)
        st.button(
            "Clear", icon=":material/close:", type="tertiary", key=PREFIX + "clear", on_click=filter_to_url,
            args=(job, facets, RowFilter()),
        )  # fmt: skip


def draw_filter_words(chosen: RowFilter, facets: Facets, scored: int, left: int | None) -> None:
    """Draw "870 reviews of 10,915: product Vacuum V9"."""
    count = "" if left is None else f'<b style="font-weight:600">{plural(left, "review")}</b> of {scored:,}: '
    st.html(f'<div class="rs"><p>{count}{escape(describe_filter(chosen, facets))}</p></div>')


def draw_choices(job: BulkJob, facets: Facets, chosen: RowFilter) -> None:
    """Draw a field for each kind of filter. The URL is the truth; a change of a field is put into it."""
    change = _Change(job, facets, chosen)
    side = change.field("side", chosen.side)
    st.pills("Score", SIDES, key=side, on_change=lambda: change.to(side=recall(side)))
    for place in _columns_offered(job, facets, chosen):
        _draw_group_choice(change, place)
    if (dated := date_column(job, facets)) is not None:
        _draw_days_choice(change, dated if chosen.dated is None else chosen.dated)
    if (rated := star_column(job, facets)) is not None:
        _draw_stars_choice(change, rated if chosen.rated is None else chosen.rated)
    least = change.field("confidence", chosen.confidence)
    st.selectbox(
        "Confidence at least", LEAST_CONFIDENCES, index=None, placeholder=ANY, key=least,
        format_func=lambda share: percent(share, 0),
        on_change=lambda: change.to(confidence=recall(least)),
    )  # fmt: skip
    phrase = change.field("phrase", chosen.phrase)
    st.text_input(
        "Text contains", max_chars=MOST_CHARACTERS, key=phrase,
        on_change=lambda: change.to(phrase=(recall(phrase) or "").strip()),
    )  # fmt: skip


class _Change:
    """What a field of the box does to the filters."""

    def __init__(self, job: BulkJob, facets: Facets, chosen: RowFilter) -> None:
        self.job, self.facets, self.chosen = job, facets, chosen

    def field(self, name: str, value: Any) -> str:
        """Return the key of a field that shows a value."""
        return hold(self.job, name, value)

    def to(self, **values: Any) -> None:
        """Change some of the filters."""
        self.apply(self.chosen.model_copy(update=values))

    def apply(self, chosen: RowFilter) -> None:
        """Take other filters."""
        filter_to_url(self.job, self.facets, chosen)


def _columns_offered(job: BulkJob, facets: Facets, chosen: RowFilter) -> list[int]:
    """Return the columns that have a field of their own: the one shown, those filtered by, then others up to four."""
    shown = group_column(job, facets)
    starred = set(facets.starred)
    first = [*([] if shown is None else [shown]), *(place for place, _ in chosen.groups)]
    others = [place for place in facets.choosable if place not in starred]
    return list(dict.fromkeys([*first, *others]))[: max(4, len(set(first)))]


def _draw_group_choice(change: _Change, place: int) -> None:
    key, values = change.field(f"c{place}", change.chosen.group(place)), change.facets.values[place] or ()
    with st.container(gap=None):
        # A column's name is a stranger's, and a label would be read as Markdown.
        draw_caption(change.facets.name(place))
        st.selectbox(
            "Value of the column", values, index=None, key=key, placeholder=ANY,
            format_func=lambda value: name_word(value) if value else "(empty)", label_visibility="collapsed",
            on_change=lambda: change.apply(change.chosen.with_group(place, recall(key))),
        )  # fmt: skip


def _draw_days_choice(change: _Change, place: int) -> None:
    now = {"since": change.chosen.since, "until": change.chosen.until}
    keys = [change.field(name, None if day is None else EPOCH + timedelta(days=day)) for name, day in now.items()]

    def take() -> None:
        since, until = (None if (day := recall(key)) is None else (day - EPOCH).days for key in keys)
        change.apply(change.chosen.with_days(place, since, until))

    with st.container(gap=None):
        draw_caption(change.facets.name(place))
        for column, label, key in zip(st.columns(2), ("From", "To"), keys, strict=True):
            column.date_input(
                label, value=None, min_value=date(1900, 1, 1), max_value=date(2200, 1, 1), key=key, on_change=take
            )


def _draw_stars_choice(change: _Change, place: int) -> None:
    chosen = change.chosen
    scale = change.facets.facts[place].star_scale or 5
    options: list[int | Disagreement] = [*range(1, scale + 1), *DISAGREEMENTS]
    now = chosen.stars or chosen.disagreement
    key = change.field("stars", now if now in options else None)

    def take() -> None:
        picked = recall(key)
        is_number = isinstance(picked, int)
        change.apply(chosen.with_stars(place, picked if is_number else None, None if is_number else picked))

    with st.container(gap=None):
        draw_caption(change.facets.name(place))
        st.selectbox(
            "Stars", options, index=None, key=key, placeholder=ANY,
            format_func=lambda each: plural(each, "star") if isinstance(each, int) else DISAGREEMENTS[each],
            label_visibility="collapsed", on_change=take,
        )  # fmt: skip


def hold(job: BulkJob, name: str, value: Any) -> str:
    """Let a field of the page show a value, which the URL says; return the field's key."""
    key = f"{PREFIX}choice_{name}_{job.job_id}"
    remember(key, value)
    return key


def chart_key(name: str) -> str:
    """Return the key of a chart that can be clicked, until its next click."""
    return f"{PREFIX}{name}_{recall(CLICKS, 0)}"


def take_clicks(job: BulkJob, facets: Facets, doors: Mapping[str, Door]) -> None:
    """Turn a click on a chart, kept under the key of its name, into a filter.

    A chart keeps what was clicked, and says nothing of a second click on the same mark. So each click is used up: the
    charts get new keys, and what is filtered is drawn from the URL.
    """
    for name, door in doors.items():
        event = recall(chart_key(name))
        before = filter_from_url(job, facets)
        after = door(before, event["selection"]) if event else before
        if after == before:
            continue
        filter_to_url(job, facets, after)
        forget(chart_key(name))
        remember(CLICKS, recall(CLICKS, 0) + 1)
        return


def doors_of(job: BulkJob, facets: Facets) -> dict[str, Door]:
    """Return what a click on each chart of a job does: it filters; a second click takes the filter away."""
    by, dated, rated = group_column(job, facets), date_column(job, facets), star_column(job, facets)

    def open_score(chosen: RowFilter, clicked: Mapping[str, Any]) -> RowFilter:
        mark = _mark(clicked)
        if mark is None:
            return chosen
        place = int(mark["bin"])
        return chosen.model_copy(update={"score": None if place == chosen.score else place})

    def open_group(chosen: RowFilter, clicked: Mapping[str, Any]) -> RowFilter:
        code = next(iter(_customs(clicked)), -1)
        values = facets.values[by] if by is not None else None
        if by is None or values is None or not 0 <= code < len(values):
            return chosen
        return chosen.with_group(by, None if values[code] == chosen.group(by) else values[code])

    def open_days(chosen: RowFilter, clicked: Mapping[str, Any]) -> RowFilter:
        if dated is None:
            return chosen
        starts = _customs(clicked)
        days = (starts[0], last_day_of(starts[-1], recall(f"{PREFIX}unit_shown", "day"))) if starts else _box(clicked)
        if days is None:
            return chosen
        is_again = days == (chosen.since, chosen.until) and chosen.dated == dated
        return chosen.with_days(dated, *((None, None) if is_again else days))

    def open_stars(chosen: RowFilter, clicked: Mapping[str, Any]) -> RowFilter:
        mark = _mark(clicked)
        if mark is None or rated is None:
            return chosen
        stars = int(mark["stars"])
        return chosen.with_stars(rated, None if stars == chosen.stars else stars)

    def open_word(chosen: RowFilter, clicked: Mapping[str, Any]) -> RowFilter:
        mark = _mark(clicked)
        if mark is None:
            return chosen
        word = str(mark["word"])
        return chosen.model_copy(update={"word": "" if word == chosen.word else word})

    return {"scores": open_score, "groups": open_group, "time": open_days, "stars": open_stars, "words": open_word}


def _mark(clicked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the mark of a Vega-Lite chart's selection "cell" that was clicked, if any."""
    marks = clicked.get("cell")
    return marks[0] if marks else None


def _customs(clicked: Mapping[str, Any]) -> list[int]:
    """Return what the chosen points of a Plotly chart carry, in rising order."""
    carried = [point.get("customdata") for point in clicked.get("points", [])]
    numbers = [each[0] if isinstance(each, list | tuple) and each else each for each in carried]
    return sorted(int(each) for each in numbers if isinstance(each, int | float))


def _box(clicked: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the days, since 1970, between the sides of a box drawn on a Plotly chart, if any."""
    for box in clicked.get("box", []):
        days = sorted(day for end in box.get("x", []) if (day := _day(str(end)[:10])) is not None)
        if len(days) == 2:
            return days[0], days[1]
    return None


def _choices_made() -> bool:
    """Tell whether the URL says more of a job than its filters."""
    return any(_parameter(name) for name in ("by", "date", "unit", "order", "words", "starred", "labels"))


def _parameter(name: str) -> str:
    return from_url(PREFIX + name) or ""


def _place(name: str, places: list[int]) -> int | None:
    place = _whole(_parameter(name), 0, 10**6)
    return place if place in places else None


def _whole(written: str, low: int, high: int) -> int | None:
    value = int(written) if written.isascii() and written.isdigit() and len(written) < 9 else None
    return value if value is not None and low <= value <= high else None


def _day(written: str) -> int | None:
    try:
        return (date.fromisoformat(written) - EPOCH).days
    except ValueError:
        return None


def _iso(day: int | None) -> str | None:
    return None if day is None else (EPOCH + timedelta(days=day)).isoformat()
