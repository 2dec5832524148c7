"""Where the words that cleaning keeps stand in a text."""

import re

from core.config import PreprocessingConfig
from core.preprocessing.cleaning import as_text_array, split_words


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


def _join_touching(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join spans that touch: without punctuation between words, a lone "<" belongs to its neighbours."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined
