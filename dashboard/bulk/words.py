"""The words that set positive rows from negative ones, or the rows of a filter from the rest; each is a door."""

from functools import partial

import pandas as pd
import streamlit as st

from core.charts.words import Group, leaning_frame
from core.evaluation.words import WordLean
from core.prediction.bulk_job import BulkJob, BulkResult
from core.prediction.bulk_looks import LookJob, LookRequest, WordsFound, create_look
from core.prediction.facets import Facets
from core.prediction.row_filter import RowFilter, describe_filter
from dashboard.bulk import filters
from dashboard.bulk.groups import take_choice
from dashboard.bulk.look_box import draw_until_looked
from dashboard.bulk.shares import without_scores
from dashboard.bulk.steps import queue_again
from dashboard.bulk.tables import draw_as_table
from dashboard.cache import words_chart
from dashboard.components import about_duration, draw_chart_title, empty_box
from dashboard.tokens import current_tokens

AGAINST: dict[filters.Against, str] = {"sides": "Positive or negative", "rest": "These or the rest"}
FEW_ROWS = 20_000  # so many texts are looked through without asking
READ_A_SECOND = 50_000  # texts of some seventy words, on two cores


def draw_words(job: BulkJob, result: BulkResult, chosen: RowFilter) -> None:
    """Draw the words that tell two groups of rows apart, or the offer to look for them."""
    against = filters.against_from_url(chosen)
    if not chosen.is_empty:
        key = filters.hold(job, "words", against)
        st.segmented_control(
            "Compare", list(AGAINST), key=key, required=True, label_visibility="collapsed",
            format_func=lambda each: AGAINST[each], on_change=partial(take_choice, job, "words", key),
        )  # fmt: skip
    # The word that was clicked is no reason to look again among its rows alone.
    looked = chosen.model_copy(update={"word": ""})
    looked = without_scores(looked) if against == "sides" else looked
    if against == "rest" and looked.is_empty:
        looked = chosen
    look = create_look(job, LookRequest(kind="words", records=result.rows, chosen=looked, against=against))
    if not look.exists and not look.is_done and result.rows > FEW_ROWS:
        draw_offer(look, result)
        return
    if draw_until_looked(look, result.rows):
        draw_found(look, result.facets, chosen, looked, against)


def draw_offer(look: LookJob, result: BulkResult) -> None:
    """Draw what stands here before the words of a large table are looked for."""
    time = about_duration(result.rows / READ_A_SECOND)
    with empty_box(
        "words", "The words that set these rows apart stand here.",
        f"The texts of all {result.rows:,} rows are read for it, which takes {time}.",
    ):  # fmt: skip
        st.button("Look for words", key="file_words_start", on_click=queue_again, args=(look,))


def draw_found(look: LookJob, facets: Facets, chosen: RowFilter, looked: RowFilter, against: filters.Against) -> None:
    """Draw the words that were found."""
    tokens = current_tokens()
    group_a, group_b = Group("negative", tokens.negative), Group("positive", tokens.positive)
    if against == "rest":
        group_a, group_b = Group("the rest", tokens.quiet), Group("these rows", tokens.run_b)
    found, chart = words_chart(look, group_a, group_b, chosen.word, tokens)
    if not found.rows_a or not found.rows_b:
        missing = group_a.name if not found.rows_a else group_b.name
        draw_chart_title("No words to compare", f"No row is {missing}." if against == "sides" else "There is no rest.")
        return
    if chart is None:
        rare = f"No word stands in {found.least} texts or more."
        draw_chart_title("No word sets them apart", f"{rare} {read_words(found, against)}")
        return
    draw_chart_title(
        words_finding(found.words, against, describe_filter(looked, facets)),
        f"{read_words(found, against)} Words, as the model reads them, by how much more frequent they are on one "
        "side; log-odds with a prior, and the 95 % interval of each word alone. Click one to read its rows.",
        [(f"more in {each.name}", each.colour) for each in (group_a, group_b)],
    )
    said = ", ".join(each.word for each in found.words)
    st.vega_lite_chart(
        chart, theme=None, on_select="rerun", key=filters.chart_key("words"), alt=f"Words that set rows apart: {said}."
    )
    draw_as_table("words", lambda: words_frame(found.words, group_a, group_b))


def words_finding(words: tuple[WordLean, ...], against: filters.Against, which: str) -> str:
    """Say which word is most telling."""
    most = next((each for each in words if each.log_odds > 0), None)
    least = next((each for each in words if each.log_odds < 0), None)
    if against == "rest":
        if most is None:
            return f"No word leans to {which}"
        return f"Most telling of {which}: “{most.word}”"
    ends = [f"of {side} “{each.word}”" for side, each in (("positive", most), ("negative", least)) if each]
    return f"Most telling {', '.join(ends)}"


def read_words(found: WordsFound, against: filters.Against) -> str:
    """Say how many texts were read."""
    names = ("negative", "positive rows") if against == "sides" else ("rows of the rest", "of these")
    if (found.read_a, found.read_b) == (found.rows_a, found.rows_b):
        return f"n = {found.rows_a:,} {names[0]} and {found.rows_b:,} {names[1]}."
    parts = (f"{found.read_a:,} of {found.rows_a:,} {names[0]}", f"{found.read_b:,} of {found.rows_b:,} {names[1]}")
    return f"n = {' and '.join(parts)}, drawn at random."


def words_frame(words: tuple[WordLean, ...], group_a: Group, group_b: Group) -> pd.DataFrame:
    """Return the words as a table for people."""
    frame = leaning_frame(words, group_a, group_b)
    return pd.DataFrame(
        {
            "Word": frame["word"],
            "Times as frequent": frame["said"],
            f"In {group_a.name}": frame["in_a"],
            f"In {group_b.name}": frame["in_b"],
        }
    )
