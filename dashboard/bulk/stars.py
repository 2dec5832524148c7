"""How the scores of a table go with the stars that its own rows hold; where they disagree is a door."""

import pandas as pd
import streamlit as st

from core.prediction.bulk_job import BulkJob
from core.prediction.facets import Facets
from core.prediction.findings import agreement_finding
from core.prediction.row_filter import Disagreement, RowFilter, first_high, last_low
from core.prediction.star_agreement import StarAgreement
from core.wording import DASH, plural
from dashboard.bulk import filters
from dashboard.bulk.groups import draw_column_choice
from dashboard.bulk.tables import draw_as_table
from dashboard.cache import stars_chart
from dashboard.components import draw_caption, draw_chart_title
from dashboard.tokens import current_tokens


def draw_stars(job: BulkJob, facets: Facets, chosen: RowFilter) -> None:
    """Draw the mean score by stars, how often both agree, and the doors to where they do not."""
    place = filters.star_column(job, facets)
    if place is None:
        return
    shown = chosen.with_stars(place)
    found, chart = stars_chart(job, shown, place, chosen.stars, current_tokens())
    row = st.container(horizontal=True, horizontal_alignment="distribute")
    with row.container(width="stretch"):
        draw_chart_title(agreement_finding(found), agreement_caption(found))
    if len(facets.starred) > 1:
        with row:
            draw_column_choice("Stars", job, facets, facets.starred, place, "starred")
    if chart is None:
        draw_caption("No row with stars is left.")
        return
    with st.container(horizontal=True):
        many, few = first_high(found.scale), last_low(found.scale)
        draw_door(job, facets, chosen, place, "high", found.high, f"{many} or more stars, read as negative")
        draw_door(job, facets, chosen, place, "low", found.low, f"{few} or fewer stars, read as positive")
    said = ", ".join(f"{plural(each.stars, 'star')} {each.mean:.2f}" for each in found.by_stars)
    st.vega_lite_chart(
        chart, theme=None, on_select="rerun", key=filters.chart_key("stars"), alt=f"Mean score by stars: {said}."
    )
    draw_as_table("stars", lambda: stars_frame(found))


def draw_door(
    job: BulkJob, facets: Facets, chosen: RowFilter, place: int, kind: Disagreement, n: int, words: str
) -> None:
    """Draw the way to the rows where stars and text disagree in one way, and back."""
    is_open = chosen.disagreement == kind
    st.button(
        f"{n:,}: {words}", key=f"file_door_{kind}", disabled=not n, on_click=filters.filter_to_url,
        icon=":material/close:" if is_open else None,
        args=(job, facets, chosen.with_stars(place, None, None if is_open else kind)),
    )  # fmt: skip


def agreement_caption(found: StarAgreement) -> str:
    """Say of which rows the agreement is, and how to read the chart."""
    left_out = [
        f"{found.middling:,} with stars in between" if found.middling else "",
        f"{found.unsure:,} with a score that is not sure" if found.unsure else "",
    ]
    rest = " and ".join(filter(None, left_out))
    return (
        f"n = {found.clear:,} rows with at most {last_low(found.scale)} or at least {first_high(found.scale)} of "
        f"{found.scale} stars and a sure score, 95 % Wilson interval{f'; {rest} do not count' if rest else ''}. The "
        "chart: the mean probability of positive by stars with its 95 % interval, over the spread of the scores. "
        "Click one to look at its rows."
    )


def stars_frame(found: StarAgreement) -> pd.DataFrame:
    """Return the scores by stars as a table for people."""
    return pd.DataFrame(
        {
            "Stars": [each.stars for each in found.by_stars],
            "Reviews": [each.n for each in found.by_stars],
            "Mean probability": [f"{each.mean:.3f}" for each in found.by_stars],
            "95 % interval": [
                DASH if each.low is None or each.high is None else f"{each.low:.3f} to {each.high:.3f}"
                for each in found.by_stars
            ],
            "Median": [f"{each.median:.3f}" for each in found.by_stars],
        }
    )
