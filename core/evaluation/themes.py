"""What misread reviews may have in common: themes that a rule finds in a text, each with its error rate and lift."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from core.config import PreprocessingConfig
from core.data.labelled import LabelledTexts
from core.evaluation.lift import Lift, measure_lift
from core.preprocessing.cleaning import HTML_TAG, map_slices
from core.preprocessing.corpus import Corpus
from core.preprocessing.encoders import Encoder

Mask = NDArray[np.bool_]

# The rules are for English and read lower case; a word of opinion counts whatever it is said of.
PRAISE = (
    "amazing|beautiful|beautifully|best|brilliant|charming|clever|compelling|convincing|delightful|engaging|enjoyable|"
    "enjoyed|entertaining|excellent|fantastic|fascinating|favou?rite|fine|fresh|fun|funny|good|great|gripping|"
    "hilarious|impressive|interesting|liked|love|loved|lovely|masterpiece|memorable|moving|nice|outstanding|perfect|"
    "powerful|recommend|recommended|solid|strong|stunning|superb|terrific|touching|well|wonderful|worth"
)
BLAME = (
    "annoying|awful|bad|badly|bland|boring|cheap|clich[eé]d|clumsy|crap|disappointed|disappointing|disappointment|"
    "dreadful|dull|fails|failed|flat|flawed|flaws|forgettable|garbage|hate|hated|horrible|lacks|lacking|lame|laughable|"
    "lousy|ludicrous|mediocre|mess|pathetic|pointless|poor|poorly|predictable|problem|ridiculous|silly|slow|stupid|"
    "tedious|terrible|ugly|unconvincing|unfunny|waste|wasted|weak|wooden|worse|worst"
)
TURN = "although|but|except|however|sadly|though|unfortunately|until|yet"
NOT = r"(?:\b(?:barely|cannot|hardly|neither|never|no|nobody|nor|not|nothing|without)|n['’]t)"
QUOTE = "[\"“”'‘’`]"
SARCASM = (
    # praise, or what a film is made of, held with tweezers: "great" acting, a so-called comedy
    rf"{QUOTE}\s*(?:{PRAISE}|acting|actors?|art|classic|comedy|genius|horror|humou?r|plot|star|talent|thriller)\s*"
    rf"[.,!]?\s*{QUOTE}",
    r"\bso[- ]called\b|\bsarcas(?:m|tic)",
    r"\byeah,? right\b|\b(?:oh|gee|wow),? (?:great|joy|boy|goody|how|brilliant|wonderful|please)\b",
    r"\?!|!\?|\(\s*(?:!|\?|sic|yawn|not!?)\s*\)",
    r"\bthank(?:s| you) for nothing\b|\b(?:what a|big|huge) (?:surprise|shocker)\b|\bsurprise,? surprise\b",
    r"\bhow original\b|\bpaint dry\b|\broot canal\b|\bas if\b[^.!?]{0,40}!",
)
COMPARISON = (
    r"\b(?:[a-z]{3,}er|better|worse|(?:less|more|rather)\s+[a-z]+)\s+than\b",
    r"\bcompar(?:e|ed|ing|ison)\b|\bunlike\b|\b(?:inferior|superior)\s+to\b",
    r"\b(?:as|so)\s+(?:bad|funny|good|great|well)\s+as\b",
)
# A rating stands at the start or after what is no part of a number; in "8-9/10" each end is one, "-1/10" is none.
_START = r"(?:^|[^\d.\-/#]|\d\s?-)"
_OF_TEN = r"(?:\.\d+)?\s*(?:/\s*10|(?:stars?\s+)?out\s+of\s+(?:10|ten)\b)(?:[^\d/]|$)"
_OF_FIVE = r"(?:\.\d+)?\s*(?:/\s*5|(?:stars?\s+)?out\s+of\s+5\b)(?:[^\d/]|$)"
_WORD_OF = r"\s+(?:stars?\s+out\s+of\s+(?:five|ten)|out\s+of\s+ten)\b"
LOW_RATING = (
    rf"{_START}[0-4]{_OF_TEN}|{_START}[0-2]{_OF_FIVE}",
    rf"\b(?:zero|one|two){_WORD_OF}|\b(?:0|zero|no) stars\b|\b(?:1|one) star\b",
)
HIGH_RATING = (
    rf"{_START}(?:[7-9]|1[01]){_OF_TEN}|{_START}[45]{_OF_FIVE}",
    # "out of 10 stars" names the scale, not the rating
    rf"\b(?:nine|ten){_WORD_OF}|(?:^|[^f\d.\-/\s]\s*)\b(?:8|9|10|eight|nine|ten) stars\b",
)
EXTREME_TENTH = 0.1


@dataclass(frozen=True)
class Pile:
    """N reviews as the rules look at them.

    Attributes:
        texts: large_string (N).
        labels: int64 (N), 0 or 1.
        words: How many words each has once cleaned, int64 (N).
        unknown: The share of words unknown to the model among those it reads, float64 (N); 0 without a word.
        is_cut: Which have more words than the model reads, bool (N).
    """

    texts: pa.Array = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)
    words: NDArray[np.int64] = field(repr=False)
    unknown: NDArray[np.float64] = field(repr=False)
    is_cut: Mask = field(repr=False)

    @cached_property
    def plain(self) -> pa.Array:
        """Return the texts without HTML tags, large_string (N)."""
        return _joined(self.texts, lambda texts: pc.replace_substring_regex(texts, HTML_TAG, " "))

    @cached_property
    def lower(self) -> pa.Array:
        """Return ``plain`` in lower case, large_string (N)."""
        return _joined(self.plain, pc.utf8_lower)

    def holds(self, *patterns: str) -> Mask:
        """Tell which texts, in lower case, match one of these regular expressions, bool (N)."""
        pattern = "|".join(patterns)
        return np.asarray(_mapped(self.lower, lambda texts: pc.match_substring_regex(texts, pattern)), np.bool_)

    def counts(self, pattern: str, *, lower: bool = True) -> NDArray[np.int64]:
        """Count the matches of a regular expression in each text, int64 (N)."""
        texts = self.lower if lower else self.plain
        return np.asarray(_mapped(texts, lambda part: pc.count_substring_regex(part, pattern)), np.int64)


class Theme(NamedTuple):
    """A theme: what it is called, how it is found, and the rule that tells which reviews of a pile have it."""

    title: str
    how: str
    find: Callable[[Pile], Mask]


def _rated_against_label(pile: Pile) -> Mask:
    low, high = pile.holds(*LOW_RATING), pile.holds(*HIGH_RATING)
    return np.where(pile.labels == 1, low & ~high, high & ~low)


def _alike(pile: Pile) -> Mask:
    praise, blame = (pile.counts(rf"\b(?:{words})\b") for words in (PRAISE, BLAME))
    less, more = np.minimum(praise, blame), np.maximum(praise, blame)
    return np.asarray((less >= 2) & (2 * less >= more))


def _above(values: NDArray[np.float64] | NDArray[np.int64]) -> Mask:
    """Tell which values lie above the value that nine tenths do not exceed."""
    return values > np.quantile(values, 1 - EXTREME_TENTH, method="inverted_cdf") if len(values) else values > 0


THEMES: Mapping[str, Theme] = {
    "rating": Theme(
        "“3/10” against the label",
        "The text gives a rating, in figures, stars or words, that says the opposite of its label; one that gives both "
        "a low and a high rating does not count.",
        _rated_against_label,
    ),
    "praise_but": Theme(
        "praise, then “but”",
        "A word of praise, and within 60 characters of the same sentence a turn: but, however, though, unfortunately.",
        lambda pile: pile.holds(rf"\b(?:{PRAISE})\b[^.!?]{{0,60}}\b(?:{TURN})\b"),
    ),
    "blame_but": Theme(
        "blame, then “but”",
        "A word of blame, and within 60 characters of the same sentence a turn: but, however, though, yet.",
        lambda pile: pile.holds(rf"\b(?:{BLAME})\b[^.!?]{{0,60}}\b(?:{TURN})\b"),
    ),
    "mixed": Theme(
        "praise and blame alike",
        "At least two words of praise and two of blame, and neither twice as often as the other.",
        _alike,
    ),
    "negation": Theme(
        "negation (“not good”)",
        "Not, never, hardly and their kin, at most two words before a word of praise or blame.",
        lambda pile: pile.holds(rf"{NOT}\s+(?:[a-z'’]+\s+){{0,2}}(?:{PRAISE}|{BLAME})\b"),
    ),
    "sarcasm": Theme(
        "sarcasm cues",
        "Praise in quotation marks, “so-called”, “yeah, right”, “oh great”, “?!”, “(!)” and a few more.",
        lambda pile: pile.holds(*SARCASM),
    ),
    "questions": Theme("questions", "A question mark.", lambda pile: pile.holds(r"\?")),
    "comparison": Theme(
        "comparison", "Better than, more ... than, as good as, compared, unlike.", lambda pile: pile.holds(*COMPARISON)
    ),
    "capitals": Theme(
        "words in capitals",
        "At least three words of four or more capital letters.",
        lambda pile: pile.counts(r"\b[A-Z]{4,}\b", lower=False) >= 3,
    ),
    "long": Theme("the longest tenth", "More words than nine tenths of the reviews.", lambda pile: _above(pile.words)),
    "short": Theme(
        "the shortest tenth", "Fewer words than nine tenths of the reviews.", lambda pile: _above(-pile.words)
    ),
    "cut": Theme("loses its end", "The text has more words than the model reads.", lambda pile: pile.is_cut),
    "unknown": Theme(
        "many unknown words",
        "The share of words that the model does not know is higher than in nine tenths of the reviews.",
        lambda pile: _above(pile.unknown),
    ),
}


@dataclass(frozen=True)
class ThemeLift:
    """A theme of one split: its key in ``THEMES``, its title, and how often its reviews are misread."""

    key: str
    title: str
    lift: Lift


def gather_pile(rows: LabelledTexts, corpus: Corpus, encoder: Encoder) -> Pile:
    """Return reviews as the rules look at them.

    Args:
        rows: Texts and labels (N).
        corpus: The texts as words, cut as the encoder's settings say.
        encoder: The model's; it says which words are known and where reading ends.
    """
    most = encoder.config.max_length
    lengths, starts = corpus.encoded.lengths, corpus.encoded.offsets[:-1]
    read = lengths if most is None else np.minimum(lengths, most)
    is_cut = np.zeros(len(rows), np.bool_) if most is None else encoder.full_lengths(rows.texts) > most
    is_unknown = ~encoder.knows(corpus.words)[corpus.encoded.token_ids - 1]
    unknown_before = np.concatenate([[0], np.cumsum(is_unknown)])
    unknown = (unknown_before[starts + read] - unknown_before[starts]) / np.maximum(read, 1)
    return Pile(rows.texts, rows.labels, lengths, unknown, is_cut)


def theme_masks(pile: Pile) -> dict[str, Mask]:
    """Return for each of ``THEMES`` which of N reviews have it, bool (N)."""
    return {key: theme.find(pile) for key, theme in THEMES.items()}


def theme_title(key: str, config: PreprocessingConfig) -> str:
    """Return what a theme is called, of a model that reads texts like that."""
    if key == "cut" and config.max_length is not None:
        return f"cut at {config.max_length:,} {config.unit}"
    return THEMES[key].title


def theme_lifts(masks: Mapping[str, Mask], wrong: Mask, config: PreprocessingConfig) -> list[ThemeLift]:
    """Return themes by falling lift, those without one last.

    Args:
        masks: From ``theme_masks``, bool (N) each.
        wrong: Which reviews are misread, bool (N).
        config: How the model reads texts; where it reads all of them, "cut" is left out.
    """
    whole = len(wrong), int(wrong.sum())
    lifts = [
        ThemeLift(key, theme_title(key, config), measure_lift(int(mask.sum()), int((mask & wrong).sum()), *whole))
        for key, mask in masks.items()
        if key != "cut" or config.max_length is not None
    ]
    return sorted(lifts, key=lambda each: -1.0 if each.lift.value is None else each.lift.value, reverse=True)


def _mapped(texts: pa.Array, function: Callable[[pa.Array], pa.Array]) -> NDArray[np.generic]:
    parts = [part.to_numpy(zero_copy_only=False) for part in map_slices(texts, function)]
    return np.concatenate(parts) if parts else np.zeros(0)


def _joined(texts: pa.Array, function: Callable[[pa.Array], pa.Array]) -> pa.Array:
    return pa.concat_arrays(map_slices(texts, function)) if len(texts) else texts
