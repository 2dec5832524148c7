"""Which words pushed a review, and how much of it the model could read."""

import re
from dataclasses import dataclass

import numpy as np

from core.config import PreprocessingConfig
from core.models.ngram import NgramModel
from core.prediction.predictor import Predictor
from core.preprocessing.cleaning import as_text_array, split_words
from core.preprocessing.ngrams import NgramEncoder


@dataclass(frozen=True)
class Word:
    """A word of a text, in its place.

    Attributes:
        start, end: Its characters are ``text[start:end]``.
        is_known: Whether training saw it often enough.
        is_read: False for what lies beyond the most words of a text.
        push: Its part of the logit: above 0 towards positive. None where the model's parts cannot be told apart.
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


def read_text(predictor: Predictor, text: str) -> Reading:
    """Find a model's words in a text and, for the n-gram model, each word's exact part of the logit.

    The n-grams of a text are a set; an n-gram's part is shared evenly among the places where it stands and the words it
    covers, so that the words' pushes and the bias add up to the logit.
    """
    config = predictor.architecture.preprocessing
    spans = find_words(text, config)
    if spans is None:
        return Reading(())
    words = split_words(as_text_array([text]), config).to_pylist()[0]
    most = len(words) if config.max_length is None else config.max_length
    vocabulary = predictor.encoder.vocabulary
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
