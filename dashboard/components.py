"""Pieces drawn on several pages. Text of strangers passes ``html.escape`` and never a call that renders Markdown."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape

import streamlit as st

from core.charts.tokens import Tokens
from core.evaluation.metrics import Metric
from core.wording import DASH, percent
from dashboard.tokens import current_tokens

UNITS = (("s", 1.0, 90.0), ("min", 60.0, 5_400.0), ("h", 3_600.0, float("inf")))


def draw_stylesheet() -> None:
    """Write the one stylesheet; once a page run, from ``dashboard/app.py``."""
    tokens = current_tokens()
    st.html(f"""<style>
[data-testid="stMainBlockContainer"] {{ max-width: 1240px; margin-inline: auto; }}
[data-testid="stCaptionContainer"] {{ color: {tokens.muted} !important; opacity: 1; }}
[data-testid="stCaptionContainer"] * {{ color: {tokens.muted} !important; opacity: 1; }}
button[data-variant][data-selected="true"] p, [data-testid="stSliderThumbValue"] * {{
  color: {tokens.text} !important; }}
[class*="st-key-failed"] {{ border-left: 3px solid {tokens.wrong} !important; }}
[data-testid="stElementToolbarButton"]:has([aria-label^="Download as CSV"]) {{ display: none; }}
.rs p, .rs dl, .rs dd, .rs h1, .rs h2 {{ margin: 0; padding: 0; }}
.rs {{ color: {tokens.text}; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }}
.rs-muted {{ color: {tokens.muted}; }}
.rs-caption {{ color: {tokens.muted}; font-size: 0.8125rem; line-height: 1.45; }}
.rs-title {{ font-size: 1.75rem; font-weight: 650; line-height: 1.25; }}
.rs-section {{ font-size: 1.25rem; font-weight: 600; line-height: 1.3; }}
.rs-chart-title {{ font-size: 1rem; font-weight: 600; line-height: 1.35; }}
.rs-review {{ font-family: "Source Serif", "Source Serif 4", Georgia, serif; font-size: 1.067rem; line-height: 1.65;
  max-width: 40rem; white-space: pre-wrap; }}
.rs-review mark {{ color: inherit; border-radius: 3px; padding: 0 1px; }}
.rs-key span {{ margin-right: 1.1em; white-space: nowrap; }}
.rs-key i {{ display: inline-block; width: 0.75em; height: 0.75em; border-radius: 2px; margin-right: 0.45em; }}
.rs-bar {{ display: grid; grid-template-columns: 4.6em 1fr 4.2em; gap: 0.6em; align-items: center; margin: 0.35em 0; }}
.rs-bar > div {{ background: {tokens.panel}; border-radius: 3px; height: 16px; overflow: hidden; }}
.rs-bar > div > div {{ height: 100%; border-radius: 3px; }}
.rs-bar > b {{ font-weight: 600; }}
.rs-dot {{ display: inline-block; width: 0.6em; height: 0.6em; border-radius: 50%; margin-right: 0.5em; }}
.rs-label {{ color: {tokens.muted}; font-size: 0.75rem; font-weight: 600; letter-spacing: 0.06em;
  text-transform: uppercase; }}
.rs-big {{ font-size: 1.5rem; font-weight: 650; line-height: 1.35; min-height: 1.35em; }}
.rs-big span {{ font-size: 1rem; font-weight: 400; margin-left: 0.3em; white-space: nowrap; }}
.rs-big.rs-wait {{ color: {tokens.muted}; font-size: 1.0625rem; font-weight: 400; line-height: 1.906; }}
.rs-two-lines {{ min-height: 2.9em; }}
.rs-three-lines {{ min-height: 4.4em; }}
@media (max-width: 640px) {{ .rs-two-lines {{ min-height: 4.4em; }} .rs-three-lines {{ min-height: 5.9em; }} }}
.st-key-forecast-chart {{ min-height: 150px; }}
.st-key-queue {{ max-width: 46rem; }}
[class*="st-key-evaluation_drawer_body"] {{ max-height: calc(100dvh - 11.5rem); overflow-y: auto;
  padding-right: 0.5rem; }}
.st-key-evaluation_section_choice [role="radiogroup"], .st-key-prediction_example [role="radiogroup"] {{
  flex-wrap: wrap; overflow: visible; }}
.rs-turn {{ display: flex; flex-wrap: wrap; align-items: baseline; column-gap: 1em; }}
.rs-turn p {{ flex: 1 1 11rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }}
.rs-turn p.rs-caption {{ flex: 0 1 15rem; }}
.rs-log {{ font-family: "Source Code", monospace; font-size: 0.8rem; white-space: pre-wrap; color: {tokens.muted}; }}
</style>""")


def draw_head(title: str, sentence: str) -> None:
    """Draw a page's title, which may hold a stranger's name, and one muted sentence."""
    st.html(f'<div class="rs"><p class="rs-title">{escape(title)}</p><p class="rs-muted">{escape(sentence)}</p></div>')


def draw_section(title: str, caption: str = "") -> None:
    """Draw a section's title and how to read it."""
    below = f'<p class="rs-caption">{escape(caption)}</p>' if caption else ""
    st.html(f'<div class="rs"><p class="rs-section">{escape(title)}</p>{below}</div>')


def draw_chart_title(finding: str, how_to_read: str, key: Sequence[tuple[str, str]] = ()) -> None:
    """Draw what stands above a chart: the finding, how to read it, and the key as (word, colour)."""
    words = "".join(f'<span><i style="background:{colour}"></i>{escape(word)}</span>' for word, colour in key)
    below = f'<p class="rs-caption rs-key" style="margin-top:0.4em">{words}</p>' if words else ""
    st.html(
        f'<div class="rs"><p class="rs-chart-title">{escape(finding)}</p>'
        f'<p class="rs-caption">{escape(how_to_read)}</p>{below}</div>'
    )


def draw_label(words: str) -> None:
    """Draw what a box is about, in small capitals."""
    st.html(f'<div class="rs"><p class="rs-label">{escape(words)}</p></div>')


def draw_facts(sentence: str) -> None:
    """Draw one sentence of body text, which may hold a stranger's words."""
    st.html(f'<div class="rs"><p>{escape(sentence)}</p></div>')


def draw_caption(sentence: str) -> None:
    """Draw one muted sentence, which may hold a stranger's words."""
    st.html(f'<div class="rs"><p class="rs-caption">{escape(sentence)}</p></div>')


@contextmanager
def empty_box(key: str, what: str, how: str) -> Iterator[None]:
    """Draw the box that stands where nothing is yet: what will be here, how to get it; the block adds the button."""
    with st.container(border=True, key=f"empty-{key}"):
        st.html(f'<div class="rs"><p>{escape(what)}</p><p class="rs-caption">{escape(how)}</p></div>')
        yield


@contextmanager
def failed_box(key: str, what: str, kept: str, log: Sequence[str] = ()) -> Iterator[None]:
    """Draw what failed and what is kept; the block adds one action, and the log is folded under it."""
    with st.container(border=True, key=f"failed-{key}"):
        st.html(f'<div class="rs"><p>{escape(what)}</p><p class="rs-caption">{escape(kept)}</p></div>')
        yield
        if log:
            with st.expander("Log"):
                draw_log(log)


def draw_log(lines: Sequence[str]) -> None:
    """Draw lines of a job's output."""
    st.html(f'<div class="rs rs-log">{escape(chr(10).join(lines))}</div>')


def draw_figure(label: str, metric: Metric, write: Callable[[float], str]) -> None:
    """Draw a figure with its interval in a grey chip; an undefined one is a dash with the reason."""
    if metric.value is None or metric.low is None or metric.high is None:
        reason = metric.method.removeprefix("undefined: ")
        chip = reason.removeprefix("it ")
        st.metric(label, DASH, delta=chip, delta_color="off", delta_arrow="off", help=f"Undefined: {reason}.")
        return
    interval = f"{write(metric.low).removesuffix(' %')} to {write(metric.high).removesuffix(' %')}"
    st.metric(label, write(metric.value), delta=interval, delta_color="off", delta_arrow="off", help=metric.method)


def draw_probability_bars(probability: float) -> None:
    """Draw both classes as bars on a track, negative first."""
    tokens = current_tokens()
    rows = [("negative", 1 - probability, tokens.negative), ("positive", probability, tokens.positive)]
    bars = "".join(
        f'<div class="rs-bar"><span>{word}</span><div role="img" aria-label="{word} {percent(share)}">'
        f'<div style="width:{100 * share:.2f}%;background:{colour}"></div></div><b>{percent(share)}</b></div>'
        for word, share, colour in rows
    )
    st.html(f'<div class="rs">{bars}</div>')


def status_colour(status: str, tokens: Tokens) -> str:
    """Return the colour of a job's dot."""
    colours = {"running": tokens.valid, "queued": tokens.quiet, "failed": tokens.wrong, "interrupted": tokens.wrong}
    return colours.get(status, tokens.quiet)


def duration(seconds: float | None) -> str:
    """Write a time span as "52 s", "3 min 40 s" or "2 h 5 min"."""
    if seconds is None:
        return DASH
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    return f"{whole // 3_600} h {whole % 3_600 // 60} min"


def span(seconds: float) -> str:
    """Write a time span that may be shorter than a second."""
    return duration(seconds) if seconds >= 0.5 else "less than 1 s"


def about_duration(seconds: float) -> str:
    """Write a time span that is not known to the second: "about 50 s", "about 9 min", "about 2 h"."""
    if seconds < 57.5:
        return f"about {max(round(seconds) if seconds < 20 else 5 * round(seconds / 5), 1)} s"
    if seconds < 5_400:
        return f"about {max(round(seconds / 60), 1)} min"
    return f"about {seconds / 3_600:.1f} h".replace(".0 h", " h")


def duration_range(low: float, high: float) -> str:
    """Write a range of time spans in one unit: "8 to 11 min"."""
    unit, size = next((unit, size) for unit, size, most in UNITS if high < most)
    digits = 1 if high / size < 3 and unit != "s" else 0
    first, last = f"{low / size:.{digits}f}", f"{high / size:.{digits}f}"
    return f"{last} {unit}" if first == last else f"{first} to {last} {unit}"


def clock(moment: float) -> str:
    """Write a moment (seconds since 1970) as "22:14", of another day as "Thu 02:10"."""
    when = time.localtime(moment)
    is_today = time.strftime("%Y%j", when) == time.strftime("%Y%j")
    return time.strftime("%H:%M" if is_today else "%a %H:%M", when)


def ago(moment: float) -> str:
    """Write how long ago a moment (seconds since 1970) was."""
    seconds = max(time.time() - moment, 0)
    if seconds < 60:
        return "just now"
    if seconds < 3_600:
        return f"{seconds // 60:.0f} min ago"
    if seconds < 86_400:
        return f"{seconds // 3_600:.0f} h ago"
    return f"{seconds // 86_400:.0f} days ago"


def file_size(size: float) -> str:
    """Write a number of bytes as "2.9 MB"."""
    if size >= 1e6:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e3:.0f} kB" if size >= 1e3 else f"{size:.0f} bytes"
