"""Small changes of a text that ask what a model's verdict hangs on: most should not turn it, one should."""

import re
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from core.config import PreprocessingConfig

Change = Callable[[str, np.random.Generator], str | None]

WORDS_A_TYPO = 20
LEAST_LETTERS = 4
TAG = r"</?[A-Za-z][^<>]*>"
SIGNS = r".,;:!?()\[\]{}\"*_/\\…–—“”„«»-"
# Signs at the edges of words; between two letters they hold a word together.
EDGES = re.compile(rf"[{SIGNS}]++(?!\w)|(?<![\w{SIGNS}])[{SIGNS}]++")
CAPITALS = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}
NEUTRAL = (
    "I saw it on a Tuesday evening.",
    "We watched it at home with two friends.",
    "It runs for about an hour and a half.",
    "There were six other people in the room.",
    "My brother had rented it for the weekend.",
    "I am writing this on the day after.",
    "It was shown on the second floor.",
    "We had tea before it began.",
)
NEGATED = (
    "is", "are", "was", "were", "do", "does", "did", "has", "have", "had", "would", "could", "should", "must",
)  # fmt: skip
# From the short form to the long one, in small letters.
CONTRACTIONS: Mapping[str, str] = {
    **{f"{verb}n't": f"{verb} not" for verb in NEGATED},
    "can't": "cannot", "won't": "will not", "i'm": "i am", "i've": "i have", "i'll": "i will", "you're": "you are",
    "you've": "you have", "you'll": "you will", "we're": "we are", "we've": "we have", "we'll": "we will",
    "they're": "they are", "they've": "they have", "they'll": "they will", "it's": "it is", "that's": "that is",
    "there's": "there is", "he's": "he is", "she's": "she is",
}  # fmt: skip
# First names that are hardly ever another word. A name gives way to one of its own list.
NAMES = (
    ("James", "John", "Robert", "Michael", "David", "Richard", "Thomas", "Charles", "Peter", "Paul", "George", "Kevin",
     "Brian", "Steven", "Martin", "Daniel", "Andrew", "Simon", "Henry", "Walter", "Carlos", "Ahmed", "Kenji", "Ivan"),
    ("Mary", "Anna", "Julia", "Susan", "Karen", "Helen", "Laura", "Sarah", "Emma", "Nicole", "Diana", "Barbara",
     "Linda", "Elizabeth", "Jennifer", "Maria", "Alice", "Sandra", "Rachel", "Jane", "Fatima", "Yuki", "Olga"),
)  # fmt: skip


class Perturbation(NamedTuple):
    """A kind of change.

    Attributes:
        title: What it is called.
        does: What is done to a text, as a sentence.
        should_turn: Whether the text then says the opposite, so that the verdict should turn; else it should stay.
        change: Makes the change by draws from a generator; None where the text offers nothing to change.
    """

    title: str
    does: str
    should_turn: bool
    change: Change


def perturb(name: str, text: str, seed: int, row: int) -> str | None:
    """Return a text changed in one of ``PERTURBATIONS``' ways, or None where that way does not apply to it.

    The same four arguments always give the same text, so that an example is told by row and seed alone.

    Args:
        name: A key of ``PERTURBATIONS``.
        text: Any text.
        seed: At least 0.
        row: The text's place in its split, at least 0.
    """
    draw = np.random.default_rng([seed, zlib.crc32(name.encode()), row])
    changed = PERTURBATIONS[name].change(text, draw)
    return None if changed == text else changed


def unseen_reasons(config: PreprocessingConfig) -> dict[str, str]:
    """Return which changes a model cannot see because its cleaning takes them away, and why, as sentences."""
    reasons = {}
    if config.lowercase:
        reasons["case"] = "The model does not see case: its cleaning makes all letters small."
    if config.characters == "letters":
        reasons["punctuation"] = "The model does not see punctuation: its cleaning keeps letters alone."
    return reasons


def make_typos(text: str, draw: np.random.Generator) -> str | None:
    """Misspell one in twenty of the words that have four letters, at least one."""
    words = re.finditer(rf"{TAG}|([A-Za-z]{{{LEAST_LETTERS},}})", text)
    places = [word.span() for word in words if word[1]]
    if not places:
        return None
    count = -(-len(places) // WORDS_A_TYPO)
    chosen = sorted(draw.choice(len(places), count, replace=False).tolist(), reverse=True)
    for start, end in (places[place] for place in chosen):
        text = text[:start] + _misspell(text[start:end], draw) + text[end:]
    return text


def capitalise(text: str, draw: np.random.Generator) -> str | None:
    """Write a to z as capitals."""
    return text.translate(CAPITALS)


def drop_punctuation(text: str, draw: np.random.Generator) -> str | None:
    """Delete punctuation at the edges of words, outside HTML tags; apostrophes stay."""
    pieces = re.split(f"({TAG})", text)
    return "".join(piece if place % 2 else EDGES.sub("", piece) for place, piece in enumerate(pieces))


def add_neutral_words(text: str, draw: np.random.Generator) -> str | None:
    """Put a sentence that judges nothing before or after the text."""
    if not text.strip():
        return None
    sentence = NEUTRAL[draw.integers(len(NEUTRAL))]
    return f"{sentence} {text}" if draw.integers(2) else f"{text} {sentence}"


def expand_contractions(text: str, draw: np.random.Generator) -> str | None:
    """Write short forms in full."""
    return _SHORT.sub(lambda found: _in_case_of(found[0], CONTRACTIONS[_plain(found[0])]), text)


def contract(text: str, draw: np.random.Generator) -> str | None:
    """Write full forms short."""
    return _LONG.sub(lambda found: _in_case_of(found[0], _SHORT_OF[_plain(found[0])]), text)


def swap_names(text: str, draw: np.random.Generator) -> str | None:
    """Give each first name that the text holds another one, everywhere the same."""
    swaps: dict[str, str] = {}
    for names in NAMES:
        found = [name for name in names if re.search(rf"\b{name}\b", text)]
        others = [name for name in names if name not in found]
        drawn = draw.permutation(len(others)).tolist()
        swaps |= {name: others[place] for name, place in zip(found, drawn, strict=False)}
    if not swaps:
        return None
    return re.sub(rf"\b({'|'.join(swaps)})\b", lambda name: swaps[name[0]], text)


def negate(text: str, draw: np.random.Generator) -> str | None:
    """Put "not" after each is, are, was and were, and take it away where it stands there."""
    return _COPULA.sub(lambda found: found[1] if found[2] else f"{found[1]} not", text)


PERTURBATIONS: Mapping[str, Perturbation] = {
    "typos": Perturbation(
        "Typos", "One in twenty words of four letters or more is misspelt: two letters swapped, one lost or doubled.",
        False, make_typos,
    ),
    "case": Perturbation("Capitals", "All letters are made capitals.", False, capitalise),
    "punctuation": Perturbation(
        "Punctuation removed", "Full stops, commas, quotes and the like at the edges of words are deleted.", False,
        drop_punctuation,
    ),
    "neutral": Perturbation(
        "Neutral words added", "A sentence that judges nothing is put before or after the text.", False,
        add_neutral_words,
    ),
    "expanded": Perturbation(
        "Contractions expanded", "Short forms are written in full: “don't” becomes “do not”.", False,
        expand_contractions,
    ),
    "contracted": Perturbation(
        "Words contracted", "Full forms are written short: “do not” becomes “don't”.", False, contract
    ),
    "names": Perturbation(
        "Names swapped", "First names are swapped for others, the same one everywhere in a text.", False, swap_names
    ),
    "negation": Perturbation(
        "Negation added", "“not” is put after every “is”, “are”, “was” and “were”, and taken away where it stood.",
        True, negate,
    ),
}  # fmt: skip


def _misspell(word: str, draw: np.random.Generator) -> str:
    """Swap two neighbours inside a word of four letters or more, or lose or double one; its ends stay."""
    place = int(draw.integers(1, len(word) - 2))
    pair, kind = word[place : place + 2], draw.integers(3)
    # Two like letters swapped are the same word.
    middle = pair[::-1] if kind == 0 and pair[0] != pair[1] else pair[1] if kind < 2 else pair[0] + pair
    return word[:place] + middle + word[place + 2 :]


def _plain(words: str) -> str:
    return re.sub(r"\s+", " ", words.lower().replace("’", "'"))


def _in_case_of(old: str, new: str) -> str:
    """Return ``new`` with capitals as ``old`` has them; "I" is always one."""
    if len(re.sub("[^A-Za-z]", "", old)) > 2 and old == old.upper():
        return new.upper()
    new = re.sub(r"^i\b", "I", new)
    return new[0].upper() + new[1:] if old[0].isupper() else new


def _any_of(words: list[str], after: str = "") -> re.Pattern[str]:
    """Return a pattern of whole words, whatever their case, blank or apostrophe; longer ones first."""
    longest = sorted(words, key=len, reverse=True)
    written = "|".join(word.replace("'", "['’]").replace(" ", r"\s+") for word in longest)
    return re.compile(rf"\b(?:{written})\b{after}", re.IGNORECASE)


_SHORT = _any_of(list(CONTRACTIONS))
_SHORT_OF = {long: short for short, long in CONTRACTIONS.items()}
# "It is what it is." has one short form, not two.
_LONG = _any_of(list(_SHORT_OF), r"(?=\s+\w)")
_COPULA = re.compile(r"\b(is|are|was|were)(n['’]t|\s+not)?\b(?!['’])", re.IGNORECASE)
