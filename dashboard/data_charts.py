"""Charts of a data set: a profile in, Altair charts and small pieces of HTML out. Calls no ``st.*``."""

from collections.abc import Sequence
from html import escape
from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from core.charts.dress import dress
from core.charts.tokens import Tokens
from core.charts.words import EDGE_LABELS, WORD_HEIGHT, Group, plot_leaning, word_axis
from core.config import LABELS
from core.data.labelled import LabelledTexts
from core.evaluation.profile import BINS, SPLITS, DataProfile, TextView, length_bins
from core.evaluation.words import WordLean
from core.wording import percent

LENGTHS_HEIGHT = 250
MOST_CUT_WORDS = 60
EXAMPLE_CHARACTERS = 300


def plot_lengths(profile: DataProfile, max_length: int | None, tokens: Tokens) -> Any:
    """Return reviews by their words, those that lose their end on top in the colour of "not sure"."""
    frame = lengths_frame(profile)
    most = float(frame["right"].max()) if len(frame) else 1.0
    x = alt.X(
        "left:Q", scale=alt.Scale(domain=[0, most], nice=False, zero=False),
        axis=alt.Axis(title="words", format=",d", tickCount=6, tickMinStep=1),
    )  # fmt: skip
    top = max(float(frame["top"].max()) if len(frame) else 0.0, 1.0)
    y = alt.Y(
        "bottom:Q", title=None, scale=alt.Scale(domain=[0, 1.08 * top], nice=False, zero=False),
        axis=alt.Axis(title=None, format=",d", tickCount=min(4, int(top)), tickMinStep=1),
    )  # fmt: skip
    colour = alt.Color("part:N", scale=alt.Scale(domain=list(PARTS), range=[tokens.quiet, tokens.not_sure]))
    tooltip = [
        alt.Tooltip("words:N"), alt.Tooltip("part:N", title="they"), alt.Tooltip("n:Q", title="reviews", format=","),
        alt.Tooltip("share:N", title="of all"),
    ]  # fmt: skip
    bars = alt.Chart(frame).mark_bar().encode(x=x, x2="shown_right:Q", y=y, y2="top:Q", color=colour, tooltip=tooltip)
    layers = [bars]
    if max_length is not None and max_length < most:
        is_left = max_length > 0.7 * most
        at = pd.DataFrame({"left": [max_length], "word": [f"cut at {max_length:,} words"]})
        rule = alt.Chart(at).mark_rule(color=tokens.text, strokeDash=[5, 4], strokeWidth=1.2).encode(x=x)
        word = alt.Chart(at).mark_text(
            align="right" if is_left else "left", dx=-6 if is_left else 6, baseline="top", fontSize=12,
            color=tokens.text,
        )  # fmt: skip
        layers += [rule, word.encode(x=x, y=alt.value(0), text="word:N")]
    return dress(alt.layer(*layers), tokens, LENGTHS_HEIGHT)


PARTS = ("are read whole", "lose their end")


def lengths_frame(profile: DataProfile) -> pd.DataFrame:
    """Return a row a bar: its range of words, from where to where it reaches, and the words of its tooltip."""
    whole, cut = length_bins(profile, SPLITS)
    used = int(np.flatnonzero(whole + cut)[-1]) + 1 if (whole + cut).any() else 0
    places, width, total = np.arange(used), profile.bin_width, max(int((whole + cut).sum()), 1)
    parts = []
    for part, bottom, n in ((PARTS[0], np.zeros(used, int), whole[:used]), (PARTS[1], whole[:used], cut[:used])):
        left, right = places * width, (places + 1) * width
        words = [
            f"{low:,} and more" if place == BINS else f"{low:,} to {high - 1:,}" if width > 1 else f"{low:,}"
            for place, low, high in zip(places, left, right, strict=True)
        ]
        parts.append(
            pd.DataFrame(
                {
                    "left": left, "right": right, "shown_right": right - 0.06 * width, "bottom": bottom,
                    "top": bottom + n, "n": n, "part": part, "words": words,
                    "share": [percent(each / total) for each in n],
                }
            )
        )  # fmt: skip
    frame = pd.concat(parts, ignore_index=True)
    return frame[frame["n"] > 0]


def one_sided_height(words: Sequence[WordLean]) -> int:
    """Return how high the chart of one-sided words is."""
    return WORD_HEIGHT * len(words) + EDGE_LABELS + 44


def plot_one_sided(words: Sequence[WordLean], tokens: Tokens) -> Any:
    """Return a dot and a 95 % interval a word, those that lean furthest to negative first; both ends are labelled."""
    return plot_leaning(words, Group(LABELS[0], tokens.negative), Group(LABELS[1], tokens.positive), tokens)


def plot_frequent(frequent: Sequence[tuple[str, int]], n: int, tokens: Tokens) -> Any:
    """Return a bar a word: the share of n reviews that hold it, written at its end."""
    frame = pd.DataFrame(
        {"word": [word for word, _ in frequent], "n": [held for _, held in frequent], "zero": 0.0}
    ).assign(share=lambda table: table["n"] / max(n, 1))  # fmt: skip
    frame["said"] = [percent(share, 0) for share in frame["share"]]
    x = alt.Scale(domain=[0, 1.12], nice=False, zero=False)
    y = alt.Y("word:N", sort=None, title=None, axis=word_axis(tokens))
    tooltip = [
        alt.Tooltip("word:N"),
        alt.Tooltip("n:Q", title="reviews", format=","),
        alt.Tooltip("said:N", title="of train"),
    ]
    base = alt.Chart(frame).encode(y=y, tooltip=tooltip)
    bars = base.mark_bar(color=tokens.quiet, height=12, cornerRadiusEnd=2).encode(
        x=alt.X("zero:Q", scale=x, axis=None), x2="share:Q"
    )
    shares = base.mark_text(align="left", dx=6, fontSize=12, color=tokens.text).encode(
        x=alt.X("share:Q", scale=x, axis=None), text="said:N"
    )
    return dress(alt.layer(bars, shares), tokens, WORD_HEIGHT * len(frame))


def batch_html(views: Sequence[TextView], tokens: Tokens) -> str:
    """Return the texts of a batch as safe HTML: unknown words with dots under them, what is cut off in grey."""
    return "".join(_view_html(view, tokens) for view in views)


def _view_html(view: TextView, tokens: Tokens) -> str:
    unknown = sum(not known for known in view.is_known)
    facts = [LABELS[view.label], f"{len(view.words):,} words read", f"{unknown:,} unknown"]
    facts += [f"{len(view.cut):,} cut off"] if view.cut else []
    dotted = f"text-decoration:underline dotted {tokens.muted} 2px;text-underline-offset:0.25em"
    words = " ".join(
        escape(word) if known else f'<span style="{dotted}">{escape(word)}</span>'
        for word, known in zip(view.words, view.is_known, strict=True)
    )
    tail = escape(" ".join(view.cut[:MOST_CUT_WORDS])) + (" …" if len(view.cut) > MOST_CUT_WORDS else "")
    cut = f' <span style="color:{tokens.quiet}">{tail}</span>' if view.cut else ""
    return text_html(view.label, " · ".join(facts), (words or "(no word is left)") + cut, tokens)


def text_html(label: int, facts: str, body: str, tokens: Tokens) -> str:
    """Return a review in its own voice under one line of facts; ``body`` is safe HTML already."""
    colour = (tokens.negative, tokens.positive)[label]
    return (
        f'<div class="rs" style="margin-bottom:1.1rem"><p class="rs-caption"><span class="rs-dot" '
        f'style="background:{colour}"></span>{escape(facts)}</p><div class="rs-review">{body}</div></div>'
    )


def examples_html(reviews: LabelledTexts, tokens: Tokens) -> str:
    """Return the beginnings of reviews as safe HTML."""
    shown = []
    for label, text in zip(reviews.labels.tolist(), reviews.texts.to_pylist(), strict=True):
        line = " ".join(text[: 4 * EXAMPLE_CHARACTERS].split())
        cut = line if len(line) <= EXAMPLE_CHARACTERS else line[: EXAMPLE_CHARACTERS - 1] + "…"
        shown.append(text_html(label, f"{LABELS[label]} · {len(text.split()):,} words", escape(cut), tokens))
    return "".join(shown)


def duplicates_rows(profile: DataProfile) -> list[tuple[str, int, str]]:
    """Return what stands more than once: where, how many rows, and what happens to them."""
    splits, valid, test = profile.splits, profile.train_valid, profile.train_test
    n_test = splits["test"].n
    points = f"{100 * test.rows / n_test:.1f}" if n_test else "0"
    return [
        ("extra copies within train", splits["train"].copies, "Kept: the text weighs more, once for each copy."),
        ("of validation also in train", valid.rows, "Kept: validation looks a little better than it is."),
        (
            "of test also in train or validation",
            test.rows,
            f"Kept: they lift test accuracy by {points} points at most.",
        ),
        ("extra copies within test", splits["test"].copies, "Kept: each copy is counted."),
        ("within train with both labels", splits["train"].contradicting, "Kept: no model can get both right."),
        ("of test, in train with the other label", test.contradicting, "Kept: a model that learnt them errs here."),
    ]


def duplicates_html(profile: DataProfile, tokens: Tokens) -> str:
    """Return the duplicates as a small table."""
    cell = f"padding:0.42rem 0.6rem 0.42rem 0;border-bottom:1px solid {tokens.line};vertical-align:top"
    found = duplicates_rows(profile)
    rows = "".join(
        f'<tr><td style="{cell};text-align:right;font-weight:600;width:4.2rem">{n:,}</td><td style="{cell}">'
        f'{escape(where)}<br><span class="rs-caption">{escape(happens)}</span></td></tr>'
        for where, n, happens in found if n
    )  # fmt: skip
    none = "; ".join(where for where, n, _ in found if not n)
    rest = f'<p class="rs-caption" style="margin-top:0.6rem">None: {escape(none)}.</p>' if none else ""
    return f'<div class="rs"><table style="border-collapse:collapse;width:100%;border:none">{rows}</table>{rest}</div>'
