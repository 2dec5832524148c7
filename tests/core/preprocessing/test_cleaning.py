import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import PreprocessingConfig
from core.preprocessing.cleaning import as_text_array, map_slices, split_words

SCRIPT = PreprocessingConfig()
RICH = PreprocessingConfig(characters="punctuation")


def words_of(text: str, config: PreprocessingConfig = SCRIPT) -> list[str]:
    return split_words(as_text_array([text]), config).to_pylist()[0]


def plain_python(text: str) -> list[str]:
    """The script's cleaning as anybody would write it."""
    without_tags = re.sub(r"</?[A-Za-z][^<>]*>", " ", text.lower())
    return re.sub(r"[^a-z\s]", "", without_tags).split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("This movie was GREAT!", ["this", "movie", "was", "great"]),
        ("one<br /><br />two", ["one", "two"]),
        ("it's 10/10, isn't it", ["its", "isnt", "it"]),
        ("I <3 it, 2 > 1", ["i", "it"]),
        ("café", ["caf"]),
        ("a\u00a0b\u2003c\x1cd\ve", ["a", "b", "c", "d", "e"]),
        ("", []),
        (" \n\t ", []),
        ("123 !!!", []),
    ],
)
def test_the_script_s_cleaning(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_punctuation_becomes_words_of_its_own() -> None:
    assert words_of("It's 3/10!! Don't.", RICH) == ["it's", "3", "/", "10", "!", "!", "don't", "."]


def test_each_step_can_be_switched_off() -> None:
    kept = PreprocessingConfig(lowercase=False, strip_html=False)
    assert words_of("Great<br />Fun", kept) == ["Greatbr", "Fun"]


@given(st.text(st.characters(codec="ascii") | st.sampled_from("\u00a0\u2003\u2028\u3000\x85éñ中🎬"), max_size=80))
def test_cleaning_a_corpus_equals_plain_python(text: str) -> None:
    assert words_of(text) == plain_python(text)


def test_a_text_is_cleaned_alike_wherever_it_stands() -> None:
    texts = as_text_array([f"Number <b>{row}</b> is fine, row!" if row % 3 else "" for row in range(2_500)])
    together = pa.concat_arrays(map_slices(texts, lambda piece: split_words(piece, RICH))).to_pylist()
    assert together[1] == words_of("Number <b>1</b> is fine, row!", RICH)
    assert len(together) == 2_500
    assert together[0] == []
