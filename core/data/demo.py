"""The demo corpus: film reviews that are invented here, so that every page works before any data set is at hand.

The text comes from a small grammar over ``core.data.demo_words``. In the harder reviews the words of the other side
outnumber the clause that decides, so a model that only counts words misjudges many of them.
"""

import csv
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import IO, NamedTuple, TypeVar

from core.data.demo_words import ASPECTS, BAD, COMMON, EMPHASIS, FILMS, GOOD, TURNING_TITLE, TYPOS, Film

T = TypeVar("T")

SEED = 2026
SPLIT_SIZES = {"train": 2800, "test": 1200}
UNLABELLED = 2800
PHENOMENA: tuple[str, ...] = (
    "plain",
    "negation",
    "contrast",
    "mixed",
    "sarcasm",
    "aspect",
    "comparison",
    "question",
)
TABLE_COLUMNS = ("review_id", "product", "date", "stars", "review")

MIN_WORDS, MAX_WORDS = 5, 250
BREAK = "<br /><br />"
TITLES = tuple(film.title for film in FILMS)
SIMPLE = re.compile(r"[^,;:.!?]{5,90}\.")
OPENERS = ("I ", "It ", "The ", "There ", "My ")
FLIP_EVERY = 20
FIRST_DAY, DAYS = date(2024, 1, 1), 547
TURNING_DAY = 335
STAR_WEIGHTS = {False: (46, 42, 8, 3, 1), True: (1, 3, 8, 42, 46)}
FILM_WEIGHTS = {
    False: [film.weight * (100 - film.positive_percent) for film in FILMS],
    True: [film.weight * film.positive_percent for film in FILMS],
}
# The words a review aims at, from the first number to the second, and how many reviews in a hundred do.
LENGTHS = (((5, 14), 9), ((15, 34), 22), ((35, 79), 38), ((80, 129), 20), ((130, 215), 11))


class Plan(NamedTuple):
    """How a review is built from moves, where a move is the name of a table of phrases.

    ``short`` is the one move of a very short review; ``verdict_odds`` says how often a plain verdict follows the end.
    """

    share: int
    body: tuple[str, ...]
    end: tuple[str, ...]
    short: str
    verdict_odds: float


PLANS = (
    Plan(26, ("p.say", "p.say", "p.scene", "company"), ("p.say",), "p.say", 0.75),
    Plan(34, ("aspect", "p.aspect", "p.aspect", "p.say", "p.scene"), ("p.aspect",), "p.short", 0.7),
    Plan(7, ("negation", "p.idiom", "p.scene"), ("negation",), "p.idiom", 0.4),
    Plan(9, ("concede", "p.aspect"), ("contrast",), "contrast", 0.1),
    Plan(4, ("p.aspect", "p.scene"), ("reversal",), "reversal", 0.1),
    Plan(8, ("mixed", "aspect", "p.aspect"), ("mixed", "decide"), "contrast", 0.4),
    Plan(6, ("comparison", "p.scene", "p.aspect"), ("comparison",), "comparison", 0.4),
    Plan(5, ("question", "p.question", "p.say"), ("question",), "question", 0.5),
)
SARCASM = Plan(12, ("sarcasm", "praise", "praise"), ("sarcasm",), "sarcasm", 0.0)
EXTRAS = ("negation", "p.idiom", "question", "p.question", "comparison")
TAGS = {
    "negation": "negation",
    "p.idiom": "negation",
    "concede": "contrast",
    "contrast": "contrast",
    "reversal": "contrast",
    "mixed": "mixed",
    "decide": "mixed",
    "sarcasm": "sarcasm",
    "praise": "sarcasm",
    "aspect": "aspect",
    "p.aspect": "aspect",
    "p.short": "aspect",
    "comparison": "comparison",
    "question": "question",
    "p.question": "question",
}


@dataclass(frozen=True)
class DemoReview:
    """One invented review.

    ``true_label`` is what the text says (0 negative, 1 positive), ``label`` what an annotator with an error rate of
    5 % noted. ``phenomena`` is never empty and in the order of ``PHENOMENA``, ``date`` an ISO date, and ``stars`` runs
    from 1 to 5 and follows ``true_label``.
    """

    text: str
    label: int
    true_label: int
    phenomena: tuple[str, ...]
    product: str
    date: str
    stars: int


def generate_reviews(seed: int = SEED, sizes: Mapping[str, int] | None = None) -> dict[str, list[DemoReview]]:
    """Return the demo corpus, split by split, the same on every machine and every Python from 3.11 on.

    Args:
        seed: Any integer; another seed gives another corpus of the same make.
        sizes: Reviews by split, ``SPLIT_SIZES`` when None. The splits are drawn one after the other, so a split
            depends on the sizes of those before it.

    Returns:
        For each split reviews of 5 to 250 words, no text twice in the whole corpus. ``true_label`` is balanced in
        every prefix of even length; of every twenty labels one, drawn at random, contradicts it.

    Raises:
        ValueError: A size is negative.
    """
    sizes = SPLIT_SIZES if sizes is None else sizes
    if min(sizes.values(), default=0) < 0:
        raise ValueError(f"A split cannot hold fewer than 0 reviews, but the sizes are {dict(sizes)}.")
    dice = _Dice(seed)
    seen: set[str] = set()
    return {split: [_review(dice, *label, seen) for label in _labels(dice, size)] for split, size in sizes.items()}


def generate_unlabelled() -> list[str]:
    """Return reviews of the same make as the demo corpus, without their labels; none of them stands in it."""
    sizes = {**SPLIT_SIZES, "unlabelled": UNLABELLED}
    return [review.text for review in generate_reviews(sizes=sizes)["unlabelled"]]


def write_demo_table(file: IO[str], seed: int = SEED) -> int:
    r"""Write the test split as a CSV table without labels and return its number of rows, the header not counted.

    Open ``file`` with ``newline=""``, so that the lines end in ``\n`` on every platform.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(TABLE_COLUMNS)
    reviews = generate_reviews(seed)["test"]
    for number, review in enumerate(reviews, start=1):
        writer.writerow((f"D{number:04d}", review.product, review.date, review.stars, review.text))
    return len(reviews)


class _Dice:
    """Draws that rest on ``Random.random`` alone, the one method whose sequence Python promises to keep."""

    def __init__(self, seed: int) -> None:
        self._draw = random.Random(seed).random

    def chance(self, odds: float) -> bool:
        return self._draw() < odds

    def between(self, low: int, high: int) -> int:
        return low + int(self._draw() * (high + 1 - low))

    def pick(self, options: Sequence[T]) -> T:
        return options[self.between(0, len(options) - 1)]

    def weighted(self, options: Sequence[T], weights: Sequence[int]) -> T:
        # Whole weights, because the sum of floats may differ in the last bit between versions of Python.
        rest = self._draw() * sum(weights)
        for option, weight in zip(options, weights, strict=True):
            rest -= weight
            if rest < 0:
                return option
        return options[-1]


def _labels(dice: _Dice, size: int) -> list[tuple[bool, bool]]:
    """Return for each review whether it is positive (one of every two) and whether its label is wrong."""
    positive: list[bool] = []
    while len(positive) < size:
        first = dice.chance(0.5)
        positive += [first, not first]
    flipped: list[bool] = []
    while len(flipped) < size:
        place = dice.between(1, FLIP_EVERY)
        flipped += [number == place for number in range(1, FLIP_EVERY + 1)]
    return list(zip(positive[:size], flipped[:size], strict=True))


class _Subject(NamedTuple):
    """What a review is about, before a word of it is written."""

    film: Film
    positive: bool
    day: int
    stars: int


def _review(dice: _Dice, positive: bool, flipped: bool, seen: set[str]) -> DemoReview:
    film = dice.weighted(FILMS, FILM_WEIGHTS[positive])
    stars = dice.weighted((1, 2, 3, 4, 5), STAR_WEIGHTS[positive])
    subject = _Subject(film, positive, _day(dice, film, positive), stars)
    text, phenomena = _new_text(dice, subject, seen)
    return DemoReview(
        text=text,
        label=int(positive != flipped),
        true_label=int(positive),
        phenomena=phenomena,
        product=film.title,
        date=(FIRST_DAY + timedelta(days=subject.day)).isoformat(),
        stars=stars,
    )


def _day(dice: _Dice, film: Film, positive: bool) -> int:
    if film.title == TURNING_TITLE:
        before = dice.chance(0.9) == positive
        return dice.between(0, TURNING_DAY - 1) if before else dice.between(TURNING_DAY, DAYS - 1)
    # The smaller of two draws, because most reviews come soon after the release.
    return min(dice.between(film.release_day, DAYS - 1), dice.between(film.release_day, DAYS - 1))


def _new_text(dice: _Dice, subject: _Subject, seen: set[str]) -> tuple[str, tuple[str, ...]]:
    while True:
        writer = _Writer(dice, subject)
        text = _rough(dice, _compose(dice, subject, writer))
        if text not in seen and MIN_WORDS <= len(text.split()) <= MAX_WORDS:
            seen.add(text)
            return text, writer.phenomena()


def _compose(dice: _Dice, subject: _Subject, writer: "_Writer") -> str:
    plans = PLANS if subject.positive else (*PLANS, SARCASM)
    plan = dice.weighted(plans, [each.share for each in plans])
    low, high = dice.weighted([span for span, _ in LENGTHS], [share for _, share in LENGTHS])
    target = dice.between(low, high)
    if target < 15:
        return writer.say(plan.short)
    opening = [writer.say(move) for move in _opening_moves(dice, subject, target)]
    body = _body(dice, plan, writer, target - 20 - _count(opening))
    end = [writer.say(move) for move in _end_moves(dice, plan, subject)]
    return _paragraphs(dice, [_joined(dice, opening), _joined(dice, body), end])


def _opening_moves(dice: _Dice, subject: _Subject, target: int) -> list[str]:
    moves = ["context"] if dice.chance(0.5) else []
    if subject.film.title == TURNING_TITLE and subject.day >= TURNING_DAY and dice.chance(0.4):
        moves.append("recut")
    if target >= 35 and dice.chance(0.4):
        moves.append("premise")
    if target >= 80:
        moves += ["premise"] if moves else ["context", "premise"]
        moves += ["digression"] if dice.chance(0.3) else []
    return moves


def _body(dice: _Dice, plan: Plan, writer: "_Writer", words: int) -> list[str]:
    body: list[str] = []
    last = ""
    while _count(body) < words and len(body) < 12 and writer.has_more_to_say():
        move = dice.pick(plan.body)
        follows = move == "aspect" and last in ("aspect", "p.aspect")
        body.append(writer.say("further" if follows else move))
        last = move
    if words > 20 and dice.chance(0.1):
        body.append(writer.say(dice.pick(EXTRAS)))
    if words > 20 and dice.chance(0.2):
        body.append(writer.say("digression"))
    return body


def _count(sentences: list[str]) -> int:
    return sum(len(sentence.split()) for sentence in sentences)


def _end_moves(dice: _Dice, plan: Plan, subject: _Subject) -> list[str]:
    moves = list(plan.end)
    if dice.chance(plan.verdict_odds):
        moves.append("p.verdict")
    # A rating in the text never contradicts what the text says.
    agrees = subject.stars >= 4 if subject.positive else subject.stars <= 2
    if agrees and dice.chance(0.1):
        moves.append("rating")
    return moves


def _joined(dice: _Dice, sentences: list[str]) -> list[str]:
    """Return the sentences with "and" between some simple neighbours, so that the text does not march."""
    joined = sentences[:1]
    for sentence in sentences[1:]:
        simple = SIMPLE.fullmatch(joined[-1]) and SIMPLE.fullmatch(sentence) and not sentence.startswith(TITLES)
        if simple and sentence.startswith(OPENERS) and dice.chance(0.4):
            first = sentence[0] if sentence.startswith("I ") else sentence[0].lower()
            joined[-1] = f"{joined[-1][:-1]}, and {first}{sentence[1:]}"
        else:
            joined.append(sentence)
    return joined


def _paragraphs(dice: _Dice, parts: list[list[str]]) -> str:
    blocks = [" ".join(part) for part in parts if part]
    long = _count(blocks) > 90
    text = blocks[0]
    for block in blocks[1:]:
        text += (BREAK if long and dice.chance(0.4) else " ") + block
    return text


def _rough(dice: _Dice, text: str) -> str:
    """Return the text as people type it: now and then with a word in capitals or a slip."""
    if dice.chance(0.06):
        text = _with_one_changed(dice, text, [(word, word.upper()) for word in EMPHASIS])
    if dice.chance(0.06):
        text = _with_one_changed(dice, text, TYPOS)
    return text


def _with_one_changed(dice: _Dice, text: str, changes: Sequence[tuple[str, str]]) -> str:
    words = text.split()
    found = [(old, new) for old, new in changes if old in words]
    if not found:
        return text
    old, new = dice.pick(found)
    return re.sub(rf"\b{old}\b", new, text, count=1)


class _Writer:
    """The grammar at work on one review: it fills the slots of phrases and avoids saying a thing twice."""

    def __init__(self, dice: _Dice, subject: _Subject) -> None:
        film = subject.film
        self._dice = dice
        self._positive = subject.positive
        good, bad = (GOOD, BAD) if subject.positive else (BAD, GOOD)
        self._tables = {"": COMMON, "p": good, "q": bad}
        self._people = {"director": film.director, "lead": film.lead, "support": film.support}
        self._facts = {
            "title": film.title,
            "genre": film.genre,
            "genre_plural": film.genre[:-1] + "ies" if film.genre.endswith("y") else film.genre + "s",
            "place": film.place,
            "hook": film.hook,
            "other": dice.pick([title for title in TITLES if title != film.title]),
            "spouse": dice.pick(("my husband", "my wife")),
            "score": str(2 * subject.stars - dice.between(0, 1)),
        }
        self._used: set[str] = set()
        self._aspects_left = list(ASPECTS)
        self._tags: set[str] = set()

    def say(self, move: str) -> str:
        """Return a sentence or two of the kind that the move names."""
        if move in TAGS:
            self._tags.add(TAGS[move])
        return _polished(self._filled(self._fresh(self._table(move))))

    def phenomena(self) -> tuple[str, ...]:
        """Return what the sentences so far plant, "plain" when that is nothing."""
        return tuple(name for name in PHENOMENA if name in (self._tags or {"plain"}))

    def has_more_to_say(self) -> bool:
        """Return whether enough aspects of the film are left for a long sentence and the end."""
        return len(self._aspects_left) > 6

    def _table(self, name: str) -> tuple[str, ...]:
        side, _, key = name.rpartition(".")
        return self._tables[side][key]

    def _fresh(self, options: Sequence[str]) -> str:
        start = self._dice.between(0, len(options) - 1)
        for option in (*options[start:], *options[:start]):
            # However it is put, the premise is told once.
            mark = "{hook}" if "{hook}" in option else option
            if mark not in self._used:
                self._used.add(mark)
                return option
        return options[start]

    def _filled(self, phrase: str) -> str:
        return re.sub(r"\{([\w.]+)\}", lambda slot: self._slot(slot[1]), phrase)

    def _slot(self, name: str) -> str:
        if name in self._facts:
            return self._facts[name]
        if name in self._people:
            return self._person(self._people[name])
        side, _, key = name.rpartition(".")
        if key in ("clause", "thing"):
            return self._filled(self._opinion((side == "p") == self._positive, key))
        return self._filled(self._fresh(self._table(name)))

    def _person(self, name: str) -> str:
        if name in self._used:
            return name.rpartition(" ")[2]
        self._used.add(name)
        return name

    def _opinion(self, good: bool, form: str) -> str:
        aspect = self._dice.pick(self._aspects_left or ASPECTS)
        if aspect in self._aspects_left:
            self._aspects_left.remove(aspect)
        if form == "thing":
            return self._fresh(aspect.good_things if good else aspect.bad_things)
        return f"{self._fresh(aspect.subjects)} {self._fresh(aspect.good if good else aspect.bad)}"


def _polished(text: str) -> str:
    """Return the text with "an" where it belongs and a capital at the start of each sentence."""
    text = re.sub(r"\b([Aa]) (?=(?!one\b|user|uni[^n])[aeiou]|honest|hour|8)", r"\1n ", text)
    return re.sub(r"(?:^|(?<=[.!?] ))[a-z]", lambda letter: letter[0].upper(), text)
