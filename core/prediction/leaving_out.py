"""What a model's logit loses without each word: a way to explain any model, whatever it computes.

Li, Monroe & Jurafsky (2016), "Understanding Neural Networks through Representation Erasure", equation 1, with logits in
place of log-likelihoods. It asks the model for one score a word; a word that is said twice is hardly missed once.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

MOST_SCORED = 300  # texts; in a longer review, neighbouring words are left out together

Floats = NDArray[np.float64]


def lose_words(
    score: Callable[[list[str]], Floats],
    text: str,
    spans: Sequence[tuple[int, int]],
    rounds: int,
    on_round: Callable[[], None] | None = None,
) -> Floats:
    """Return what the logit loses without each word of a text, float64 (W); above 0 the word pushed towards positive.

    Args:
        score: Texts (n) to logits, float64 (n).
        text: Any text.
        spans: Its W words in order; each is ``text[start:end]``. Of more than ``MOST_SCORED``, neighbours are left out
            together and share evenly what is lost.
        rounds: In how many parts the texts are scored.
        on_round: Called after each of them.
    """
    groups = np.array_split(np.arange(len(spans)), min(len(spans), MOST_SCORED)) if len(spans) else []
    texts = [_without(text, spans[group[0]][0], spans[group[-1]][1]) for group in groups]
    (whole,) = score([text])
    losses = []
    for part in np.array_split(np.arange(len(texts)), rounds):
        losses.append(whole - score([texts[place] for place in part]))
        if on_round:
            on_round()
    shares = [loss / len(group) for loss, group in zip(np.concatenate(losses), groups, strict=True)]
    return np.repeat(np.array(shares, np.float64), [len(group) for group in groups])


def join_words(words: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return words with a blank between two, and where each of them stands."""
    ends = np.cumsum([len(word) + 1 for word in words]) - 1
    return " ".join(words), [(int(end) - len(word), int(end)) for word, end in zip(words, ends, strict=True)]


def _without(text: str, start: int, end: int) -> str:
    return f"{text[:start]} {text[end:]}"
