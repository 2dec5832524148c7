"""Which words pushed a review, and how much of it the model could read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.config import PreprocessingConfig
from core.models.base import VectorModel
from core.models.ngram import NgramModel
from core.prediction.integrated_gradients import attribute_tokens
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array, split_words
from core.preprocessing.ngrams import NgramEncoder
from core.preprocessing.vocabulary import UNK


@dataclass(frozen=True)
class Word:
    """A word of a text, in its place.

    Attributes:
        start, end: Its characters are ``text[start:end]``.
        is_known: Whether training saw it often enough.
        is_read: False for what lies beyond the most words of a text.
        push: Its part of the logit: above 0 towards positive. None where it is not read, or not known yet.
    """

    start: int
    end: int
    is_known: bool
    is_read: bool
    push: float | None


@dataclass(frozen=True)
class Reading:
    """How a model read one text; ``words`` are empty when its words cannot be found in the text again."""

    words: tuple[Word, ...]

    @property
    def known(self) -> int:
        """Return how many words were read and known."""
        return sum(word.is_known and word.is_read for word in self.words)


@dataclass(frozen=True)
class Explanation:
    """What each word that a model reads of a text adds to the logit; ``base``, ``pushes`` and ``missing`` make it up.

    Attributes:
        pushes: One a word, in the text's order; above 0 towards positive.
        base: The logit that the pushes begin at. Of the n-gram model its bias; of the others the logit of a text of as
            many unknown words, so that an unknown word's push is 0.
        missing: What no word can be given; 0 where the pushes are exact.
    """

    pushes: tuple[float, ...]
    base: float
    missing: float


def has_exact_pushes(predictor: Predictor) -> bool:
    """Tell whether a model is linear: its pushes are exact and take no time."""
    return isinstance(predictor.model, NgramModel) and isinstance(predictor.encoder, NgramEncoder)


def explain(predictor: Predictor, text: str, on_round: Callable[[], None] | None = None) -> Explanation:
    """Return what each word adds: exactly for the n-gram model, by integrated gradients for the others.

    Nothing in the predictor changes, so that threads may share it.

    Args:
        predictor: On the CPU.
        text: Any text; one without any word that is read gives no push.
        on_round: Called after each of at most ``integrated_gradients.MOST_ROUNDS`` rounds of gradients.
    """
    config = predictor.architecture.preprocessing
    logit = float(predictor.predict([text]).logits[0])
    words = split_words(as_text_array([text]), config).to_pylist()[0]
    count = len(words) if config.max_length is None else min(len(words), config.max_length)
    exact = ngram_pushes(predictor, text, count)
    if exact is not None:
        base = logit_of_nothing(predictor)
        return Explanation(tuple(exact), base, logit - base - sum(exact))
    if not count:
        return Explanation((), logit, 0.0)
    model = predictor.model
    if not isinstance(model, VectorModel):
        raise TypeError(f"{type(model).__name__} is neither an NgramModel nor a VectorModel: its words have no pushes")
    token_ids = model.collate(predictor.encoder.encode(as_text_array([text]))).token_ids[0]
    found = attribute_tokens(model, token_ids, UNK, on_round)
    return Explanation(tuple(found.pushes.tolist()), found.base, found.missing)


def logit_of_nothing(predictor: Predictor) -> float:
    """Return a model's logit of a text without words; of the n-gram model that is its bias."""
    return float(predictor.predict([""]).logits[0])


def read_text(predictor: Predictor, text: str, pushes: Sequence[float] | None = None) -> Reading:
    """Find a model's words in a text.

    The n-grams of a text are a set; an n-gram's part of the logit is shared evenly among the places where it stands and
    the words it covers, so that the words' pushes and the bias add up to the logit.

    Args:
        predictor: The model.
        text: Any text.
        pushes: From ``explain``; those of the n-gram model are found here when they are not given.
    """
    config = predictor.architecture.preprocessing
    spans = find_words(text, config)
    if spans is None:
        return Reading(())
    words = split_words(as_text_array([text]), config).to_pylist()[0]
    most = len(words) if config.max_length is None else config.max_length
    vocabulary = predictor.encoder.vocabulary
    if pushes is None:
        pushes = ngram_pushes(predictor, text, min(len(words), most))
    return Reading(
        tuple(
            Word(start, end, word in vocabulary, place < most, pushes[place] if pushes and place < most else None)
            for place, ((start, end), word) in enumerate(zip(spans, words, strict=True))
        )
    )


def find_words(text: str, config: PreprocessingConfig) -> list[tuple[int, int]] | None:
    """Return the place of each word that cleaning keeps, or None where cleaning changed what cannot be traced back."""
    tag = r"</?[A-Za-z][^<>]*>" if config.strip_html else r"(?!)"
    word = r"[^\s<]+|<" if config.characters == "letters" else r"[A-Za-z0-9']+|[^\sA-Za-z0-9']"
    spans = [match.span() for match in re.finditer(f"{tag}|({word})", text) if match.lastindex]
    if config.characters == "letters":
        spans = _join_touching(spans)
        spans = [span for span in spans if re.search("[A-Za-z]", text[span[0] : span[1]])]
    found = [text[start:end].lower() if config.lowercase else text[start:end] for start, end in spans]
    if config.characters == "letters":
        found = [re.sub("[^A-Za-z]", "", each) for each in found]
    return spans if found == split_words(as_text_array([text]), config).to_pylist()[0] else None


def ngram_pushes(predictor: Predictor, text: str, count: int) -> list[float] | None:
    """Return the push of each of a text's first ``count`` words, or None for a model that is not linear."""
    model, encoder = predictor.model, predictor.encoder
    if not isinstance(model, NgramModel) or not isinstance(encoder, NgramEncoder):
        return None
    ids, starts, lengths = encoder.places(as_text_array([text]).slice(0, 1))
    weights, ratios = (value.detach().numpy().astype(np.float64) for value in (model.weight, model.ratio))
    distinct = np.array(sorted(set(ids[ids > 0].tolist())), np.int64)
    size = max(float(np.sqrt((ratios[distinct] ** 2).sum())), 1e-6)
    part_of = dict(zip(distinct.tolist(), (weights[distinct] * ratios[distinct] / size).tolist(), strict=True))
    occurrences = np.bincount(ids, minlength=int(ids.max(initial=0)) + 1)
    pushes = np.zeros(count)
    for token_id, start, length in zip(ids.tolist(), starts.tolist(), lengths.tolist(), strict=True):
        if token_id:
            pushes[start : start + length] += part_of[token_id] / occurrences[token_id] / length
    return [float(push) for push in pushes]


def _join_touching(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that touch: without punctuation between words, a lone "<" belongs to its neighbours."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
