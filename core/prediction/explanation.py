"""Which words pushed a review, and how much of it the model could read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from core.models.base import VectorModel
from core.models.ngram import NgramModel
from core.prediction.integrated_gradients import MOST_ROUNDS, attribute_tokens
from core.prediction.leaving_out import join_words, lose_words
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array, split_words
from core.preprocessing.encoders import TokenEncoder, count_words_read
from core.preprocessing.ngrams import NgramEncoder
from core.preprocessing.vocabulary import UNK
from core.preprocessing.word_places import find_words

# exact: of a linear model. gradients: integrated gradients. left out: what the logit loses without the word.
Method = Literal["exact", "gradients", "left out"]


@dataclass(frozen=True)
class Word:
    """A word of a text, in its place.

    Attributes:
        start, end: Its characters are ``text[start:end]``.
        is_known: Whether training saw it often enough.
        is_read: False for what lies beyond the most words of a text.
        push: Its part of the logit: above 0 towards positive. None where it is not read, or not known yet.
        attention: Which share of the attention it has, 0 to 1. None where it is not read, or was not asked for.
    """

    start: int
    end: int
    is_known: bool
    is_read: bool
    push: float | None
    attention: float | None = None


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
        base: The logit that the pushes begin at. Of a model that reads vectors the logit of a text of as many unknown
            words, so that an unknown word's push is 0; of the others that of a text without words.
        missing: What no word can be given; 0 where the pushes are exact. Where words are left out it is what several
            words say together.
        method: How the pushes came about.
    """

    pushes: tuple[float, ...]
    base: float
    missing: float
    method: Method = "exact"


def has_exact_pushes(predictor: Predictor) -> bool:
    """Tell whether a model is linear: its pushes are exact and take no time."""
    return isinstance(predictor.model, NgramModel) and isinstance(predictor.encoder, NgramEncoder)


def explain(predictor: Predictor, text: str, on_round: Callable[[], None] | None = None) -> Explanation:
    """Return what each word adds.

    For the n-gram model that is exact; for models that read vectors it comes from integrated gradients; for all others
    it is what the logit loses without the word.

    Nothing in the predictor changes, so that threads may share it.

    Args:
        predictor: On the CPU.
        text: Any text; one without any word that is read gives no push.
        on_round: Called after each of at most ``integrated_gradients.MOST_ROUNDS`` rounds of work.
    """
    logit = float(predictor.predict([text]).logits[0])
    count = count_words_read(predictor.encoder, text)
    exact = ngram_pushes(predictor, text, count)
    if exact is not None:
        base = logit_of_nothing(predictor)
        return Explanation(tuple(exact), base, logit - base - sum(exact))
    if not count:
        return Explanation((), logit, 0.0)
    model, encoder = predictor.model, predictor.encoder
    if not isinstance(model, VectorModel) or not isinstance(encoder, TokenEncoder):
        return _explain_by_leaving_out(predictor, text, count, logit, on_round)
    token_ids = model.collate(encoder.encode(as_text_array([text]))).token_ids[0]
    found = attribute_tokens(model, token_ids, UNK, on_round)
    pushes = _sum_by_word(found.pushes, encoder.word_of_token(text), count)
    return Explanation(tuple(pushes.tolist()), found.base, logit - found.base - float(pushes.sum()), "gradients")


def _explain_by_leaving_out(
    predictor: Predictor, text: str, count: int, logit: float, on_round: Callable[[], None] | None
) -> Explanation:
    config = predictor.encoder.config
    written, spans = text, find_words(text, config)
    if spans is None:  # the words cannot be found in the text: they stand for it
        written, spans = join_words(split_words(as_text_array([text]), config).to_pylist()[0])

    def score(texts: list[str]) -> NDArray[np.float64]:
        return predictor.predict(texts).logits.astype(np.float64)

    pushes = lose_words(score, written, spans[:count], MOST_ROUNDS, on_round)
    base = logit_of_nothing(predictor)
    return Explanation(tuple(pushes.tolist()), base, logit - base - float(pushes.sum()), "left out")


def attend(predictor: Predictor, text: str) -> tuple[float, ...] | None:
    """Return how much a model looks at each word that it reads of a text, or None for a model that shows no attention.

    The shares add up to 1, less what tokens that belong to no word have. Of a text without words there is no share.

    Args:
        predictor: On the CPU.
        text: Any text.
    """
    model, encoder = predictor.model, predictor.encoder
    if not isinstance(model, VectorModel) or not isinstance(encoder, TokenEncoder):
        return None
    encoded = encoder.encode(as_text_array([text]))
    with torch.inference_mode():
        weights = model.attention(*model.collate(encoded))
    if weights is None:
        return None
    each = weights[0, : len(encoded.token_ids)].double().numpy()
    return tuple(_sum_by_word(each, encoder.word_of_token(text), count_words_read(encoder, text)).tolist())


def _sum_by_word(values: NDArray[np.float64], words: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Return the sums of what the tokens of each word have, float64 (count); a token of word -1 belongs to none."""
    return np.bincount(words[words >= 0], values[words >= 0], count).astype(np.float64)


def logit_of_nothing(predictor: Predictor) -> float:
    """Return a model's logit of a text without words; of the n-gram model that is its bias."""
    return float(predictor.predict([""]).logits[0])


def read_text(
    predictor: Predictor,
    text: str,
    pushes: Sequence[float] | None = None,
    attention: Sequence[float] | None = None,
) -> Reading:
    """Find a model's words in a text.

    The n-grams of a text are a set; an n-gram's part of the logit is shared evenly among the places where it stands and
    the words it covers, so that the words' pushes and the bias add up to the logit.

    Args:
        predictor: The model.
        text: Any text.
        pushes: From ``explain``; those of the n-gram model are found here when they are not given.
        attention: From ``attend``.
    """
    config = predictor.architecture.preprocessing
    spans = find_words(text, config)
    if spans is None:
        return Reading(())
    known = predictor.encoder.knows(split_words(as_text_array([text]), config).flatten()).tolist()
    read = count_words_read(predictor.encoder, text)
    if pushes is None:
        pushes = ngram_pushes(predictor, text, read)
    return Reading(
        tuple(
            Word(start, end, is_known, place < read, _at(place, pushes), _at(place, attention))
            for place, ((start, end), is_known) in enumerate(zip(spans, known, strict=True))
        )
    )


def _at(place: int, values: Sequence[float] | None) -> float | None:
    return values[place] if values and place < len(values) else None


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
