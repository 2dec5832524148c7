"""The section Themes: what the misread reviews have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from core.charts.themes import lifts_finding
from core.evaluation.discoveries import FALSE_DISCOVERY_RATE, LEAST_TEXTS, Term
from core.evaluation.selection import Mask, Selection
from core.evaluation.themes import THEMES, ThemeLift, theme_title
from core.prediction.analysis import AnalysisJob
from core.prediction.theming import ErrorThemes, theme_options
from core.wording import DASH, interval_text, percent
from dashboard.cache import (
    distinctive_chart,
    find_theme,
    find_token,
    lifts_chart,
    load_error_themes,
    load_predictor,
)
from dashboard.components import draw_caption, draw_chart_title
from dashboard.evaluation.analysis_box import analysis_job, draw_until_done
from dashboard.evaluation.choices import Door, chart_key, open_theme, open_token
from dashboard.evaluation.view import Scored
from dashboard.state import recall, remember
from dashboard.tokens import current_tokens

FEW = 6
FOUND = "evaluation_found_terms"
ROWS_SHOWN = 10
ROW_HEIGHT = 35


def open_found(selection: Selection, clicked: Mapping[str, Any]) -> Selection:
    """Filter by the word or pair whose row was clicked; a second click takes the filter away."""
    rows, names = [*clicked.get("rows", []), *(row for row, _ in clicked.get("cells", []))], recall(FOUND, [])
    if not rows or rows[0] >= len(names):
        return selection
    name = names[rows[0]]
    return replace(selection, token="" if name == selection.token else name)


DOORS: dict[str, Door] = {"lifts": open_theme, "found": open_found, "distinctive": open_token}


def draw(view: Scored, selection: Selection) -> None:
    """Draw the section."""
    if (job := draw_until_known(view)) is None:
        return
    themes = load_error_themes(job)
    left, right = st.columns([3, 2], gap="large")
    with left:
        draw_themes(job, themes, selection)
    with right:
        draw_distinctive(job, themes, selection)
    draw_themes_table(themes)
    draw_found(themes)


def draw_lifts(view: Scored, selection: Selection) -> None:
    """Draw the few themes of the highest lift, for the section Overview."""
    if (job := draw_until_known(view)) is not None:
        themes = load_error_themes(job)
        draw_lifts_title(themes, "Error rate against the rest, with 95 % interval. Click to read.")
        draw_lifts_chart(job, themes, selection, FEW)


def draw_until_known(view: Scored) -> AnalysisJob | None:
    """Return the look for themes once it is taken; until then, or when nothing was misread, draw what is the case."""
    if not view.results.wrong.any():
        draw_chart_title("No review was misread", "So there is nothing that misread reviews have in common.")
        return None
    job = themes_job(view)
    is_known = draw_until_done(
        job,
        "What the misread reviews have in common stands here: themes, words and pairs of words.",
        f"Every word of the {len(view.results):,} reviews is looked at, about 5 s for 25,000 film reviews.",
        "Look for themes",
        auto=True,
    )
    return job if is_known else None


def draw_themes(job: AnalysisJob, themes: ErrorThemes, selection: Selection) -> None:
    """Draw the lift of every theme."""
    draw_lifts_title(
        themes,
        "How many times as often a theme's reviews are misread as all others, with Koopman's 95 % interval; each "
        "interval is that of its theme alone. Click to read.",
    )
    draw_lifts_chart(job, themes, selection, None)


def draw_themes_table(themes: ErrorThemes) -> None:
    """Draw the themes as a table that says of each how it is found."""
    with st.expander("Show as table, and how each theme is found"):
        st.dataframe(
            themes_frame(themes.themes), hide_index=True, height="content", key="evaluation_themes_table",
            alt="Every theme: reviews, misread ones, error rate, lift, and how it is found.",
            column_config={
                "Reviews": st.column_config.NumberColumn(width=70, format="localized"),
                "Misread": st.column_config.NumberColumn(width=70, format="localized"),
                "Error rate": st.column_config.TextColumn(width=75),
                "95 % of rate": st.column_config.TextColumn(width=95),
                "Lift": st.column_config.TextColumn(width=60),
                "95 % of lift": st.column_config.TextColumn(width=95),
                "Found by": st.column_config.TextColumn(width=470),
            },
        )  # fmt: skip


def draw_lifts_title(themes: ErrorThemes, how_to_read: str) -> None:
    """Draw what stands above the lifts: the finding, how to read it, the key."""
    tokens = current_tokens()
    key = [("more errors than the rest", tokens.wrong), ("not clearly more", tokens.quiet)]
    draw_chart_title(lifts_finding(themes.themes), how_to_read, key)


def draw_lifts_chart(job: AnalysisJob, themes: ErrorThemes, selection: Selection, most: int | None) -> None:
    """Draw the themes of the highest lift, each of them a door; ``most`` of them, or all."""
    known = [each for each in themes.themes[:most] if each.lift.value is not None]
    if not known:
        draw_caption("No theme has reviews on both sides, of it and not of it, of which some are misread.")
        return
    said = ", ".join(f"{each.title} ×{each.lift.value:.1f}" for each in known)
    st.vega_lite_chart(
        lifts_chart(job, most, selection.theme, current_tokens()), theme=None, on_select="rerun",
        key=chart_key("lifts"), alt=f"Error rate of each theme against the rest: {said}.",
    )  # fmt: skip


def themes_frame(themes: Sequence[ThemeLift]) -> pd.DataFrame:
    """Return the themes as a table for people."""
    return pd.DataFrame(
        {
            "Theme": [each.title for each in themes],
            "Reviews": [each.lift.n for each in themes],
            "Misread": [each.lift.errors for each in themes],
            "Error rate": [percent(each.lift.rate) for each in themes],
            "95 % of rate": [_interval(each.lift.rate_low, each.lift.rate_high) for each in themes],
            "Lift": [DASH if each.lift.value is None else f"×{each.lift.value:.2f}" for each in themes],
            "95 % of lift": [_lift_interval(each) for each in themes],
            "Found by": [THEMES[each.key].how for each in themes],
        }
    )


def _interval(low: float | None, high: float | None) -> str:
    return DASH if low is None or high is None else interval_text(low, high)


def _lift_interval(each: ThemeLift) -> str:
    lift = each.lift
    return lift.reason if lift.low is None or lift.high is None else f"{lift.low:.2f} to {lift.high:.2f}"


def draw_found(themes: ErrorThemes) -> None:
    """Draw the words and pairs whose reviews are misread more often than chance allows; a row is a door."""
    draw_chart_title(found_finding(themes), found_caption(themes))
    remember(FOUND, [term.name for term in themes.found])
    if not themes.found:
        return
    st.dataframe(
        found_frame(themes.found), hide_index=True, on_select="rerun",
        selection_mode=["single-row", "single-cell"],
        height="content" if len(themes.found) <= ROWS_SHOWN else ROW_HEIGHT * (ROWS_SHOWN + 1), key=chart_key("found"),
        alt="Words and pairs of words whose reviews are misread more often; choose a row to read them.",
        column_config={
            "Word or pair": st.column_config.TextColumn(width=130),
            "Reviews": st.column_config.NumberColumn(width=70, format="localized"),
            "Misread": st.column_config.NumberColumn(width=70, format="localized"),
            "Error rate": st.column_config.NumberColumn(width=80, format="%.1f %%"),
            "Lift": st.column_config.NumberColumn(width=60, format="×%.1f"),
            "95 % of lift": st.column_config.TextColumn(width=95),
            "q": st.column_config.NumberColumn(
                width=70, format="%.2g", help="The false discovery rate at which it is just found."
            ),
        },
    )  # fmt: skip


def found_finding(themes: ErrorThemes) -> str:
    """Say how many words and pairs were found."""
    tested = themes.words_tested + themes.pairs_tested
    if not tested:
        return f"No word stands in {LEAST_TEXTS} reviews, too few to test"
    if not themes.found_count:
        return f"Nothing stands out: of {tested:,} words and pairs tested none errs more once chance is allowed for"
    one = themes.found_count == 1
    return f"{themes.found_count:,} of {tested:,} words and pairs err{'s' if one else ''} more than chance allows"


def found_caption(themes: ErrorThemes) -> str:
    """Say how words and pairs are tested, and how to read the table."""
    if not themes.words_tested:
        return f"A word or pair of words is tested from {LEAST_TEXTS} reviews on."
    how = (
        f"Tested: {themes.words_tested:,} words and {themes.pairs_tested:,} pairs of words in a row, all that at least "
        f"{LEAST_TEXTS} reviews hold, with Fisher's exact test, one-sided, at a false discovery rate of "
        f"{percent(FALSE_DISCOVERY_RATE, 0)} (Benjamini-Hochberg)."
    )
    if not themes.found:
        return how
    more = f" The first {len(themes.found):,} are listed." if len(themes.found) < themes.found_count else ""
    is_long = any(each.key == "long" and each.lift.is_more for each in themes.themes)
    long = " Long reviews are misread more often and hold more words: that alone lifts common words." if is_long else ""
    return (
        f"{how} Click a row to read. By the lower end of the lift's interval.{more} They were picked for their lifts, "
        f"which are therefore somewhat too high.{long}"
    )


def found_frame(found: Sequence[Term]) -> pd.DataFrame:
    """Return the words and pairs that were found as a table for people."""
    lifts = [term.lift for term in found]
    return pd.DataFrame(
        {
            "Word or pair": [term.name for term in found],
            "Reviews": [lift.n for lift in lifts],
            "Misread": [lift.errors for lift in lifts],
            "Error rate": [100 * lift.errors / lift.n for lift in lifts],
            "Lift": pd.array([lift.value for lift in lifts], "Float64"),
            "95 % of lift": [
                lift.reason if lift.low is None or lift.high is None else f"{lift.low:.1f} to {lift.high:.1f}"
                for lift in lifts
            ],
            "q": [term.q for term in found],
        }
    )


def draw_distinctive(job: AnalysisJob, themes: ErrorThemes, selection: Selection) -> None:
    """Draw the words that tell the misread reviews from the others; each is a door."""
    words = themes.distinctive
    if not words:
        draw_chart_title("No word tells the misread reviews from the others", "No word stands in enough of them.")
        return
    tokens = current_tokens()
    misread = [each.word for each in words if each.log_odds > 0]
    draw_chart_title(
        f"Most distinctive of misread reviews: “{misread[0]}”" if misread else "No word leans to the misread reviews",
        "Words by how much more frequent they are in misread reviews than in those read right, or the other way round; "
        "log-odds with a prior, and the 95 % interval of each word alone. Click to read.",
        [("more in misread reviews", tokens.wrong), ("more in reviews read right", tokens.quiet)],
    )  # fmt: skip
    st.vega_lite_chart(
        distinctive_chart(job, selection.token, tokens), theme=None, on_select="rerun", key=chart_key("distinctive"),
        alt=f"Words more frequent in misread reviews: {', '.join(misread)}.",
    )  # fmt: skip


def themes_job(view: Scored) -> AnalysisJob:
    """Return the look for what the misread reviews of a view have in common."""
    return analysis_job(view, "themes", **theme_options(view.results))


def theme_mask(view: Scored, key: str) -> Mask:
    """Tell which reviews have a theme, bool (N)."""
    return find_theme(themes_job(view), load_predictor(view.model.reference), view.rows, key)


def token_mask(view: Scored, token: str) -> Mask:
    """Tell which reviews hold a word or words in a row, bool (N)."""
    return find_token(view.job, load_predictor(view.model.reference), view.rows.texts, token)


def theme_words(view: Scored, key: str) -> str:
    """Return what a theme is called."""
    return theme_title(key, load_predictor(view.model.reference).architecture.preprocessing)
