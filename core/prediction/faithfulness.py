"""Whether the words that an explanation names are those that the model goes by: take them away and see."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.evaluation.intervals import Interval, mean_interval
from core.prediction.explanation import Word, explain, read_text
from core.prediction.predictor import Predictor

SHARE = 0.1  # of a text's words that are taken away


@dataclass(frozen=True)
class Faithfulness:
    """How much probability of the predicted class goes with the words that pushed most towards it.

    Attributes:
        n: Texts that were looked at.
        left_out: Texts that were not, because no two words were read or they cannot be found in the text again.
        top: Mean fall of that probability without the words that pushed most.
        random: Mean fall without as many words drawn at random.
        difference: Mean of ``top`` less ``random``, by text.
        interval: Normal 95 % interval of the mean difference.
    """

    n: int
    left_out: int
    top: float
    random: float
    difference: float
    interval: Interval


def measure_faithfulness(
    predictor: Predictor, texts: Sequence[str], seed: int, on_progress: Callable[[int], None] | None = None
) -> Faithfulness | None:
    """Take away a tenth of each text's words, those that pushed most towards the verdict or any, and score the rest.

    DeYoung et al. (2020), "ERASER", call the fall the comprehensiveness of an explanation. A text is first cut where
    the model stops reading, so that no other words move up into the place of those taken away.

    Args:
        predictor: On the CPU.
        texts: Any texts.
        seed: Draws the random words.
        on_progress: Called with 1 after each text.

    Returns:
        The figures, or None where fewer than two texts could be looked at.
    """
    draw = np.random.default_rng(seed)
    falls = []
    for text in texts:
        found = _falls(predictor, text, draw)
        if found is not None:
            falls.append(found)
        if on_progress:
            on_progress(1)
    if len(falls) < 2:
        return None
    top, random = np.array(falls).T
    return Faithfulness(
        len(falls), len(texts) - len(falls), float(top.mean()), float(random.mean()), float((top - random).mean()),
        mean_interval(top - random),
    )  # fmt: skip


def _falls(predictor: Predictor, text: str, draw: np.random.Generator) -> tuple[float, float] | None:
    """Return the falls of one text without the words that pushed most, and without random ones."""
    pushes = explain(predictor, text).pushes
    words = [word for word in read_text(predictor, text, pushes).words if word.is_read]
    if len(words) < 2:
        return None
    read = text[: words[-1].end]
    is_positive = predictor.predict([read]).logits[0] > 0
    towards = np.array(pushes) if is_positive else -np.array(pushes)
    count = max(round(SHARE * len(words)), 1)
    strongest = np.argsort(-towards, kind="stable")[:count]
    drawn = draw.choice(len(words), count, replace=False)
    rest = [without_words(read, [words[place] for place in places]) for places in (strongest, drawn)]
    whole, top, random = predictor.predict([read, *rest]).probabilities * (1 if is_positive else -1)
    return whole - top, whole - random


def without_words(text: str, words: Sequence[Word]) -> str:
    """Return a text with a blank in place of each of some words."""
    pieces, place = [], 0
    for word in sorted(words, key=lambda word: word.start):
        pieces.append(text[place : word.start] + " ")
        place = word.end
    return "".join(pieces) + text[place:]
