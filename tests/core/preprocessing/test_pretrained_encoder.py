import json

import numpy as np
import pytest

from core.config import PreprocessingConfig
from core.errors import ModelFileError
from core.preprocessing.cleaning import as_text_array, split_words
from core.preprocessing.encoders import TokenEncoder, count_words_read
from core.preprocessing.pretrained_base import load_base
from core.preprocessing.pretrained_encoder import PretrainedEncoder
from tests.pretrained import PLACES, needs_extra, tiny_base

TEXTS = [
    "The superb <br />plot, and the awful cast!", "don't", "", "zzz", "\u202e🎬 é", "<b>funny</b> 10/10", "ı İ ß", "a<b"
]  # fmt: skip
WORDS = PreprocessingConfig(characters="punctuation", tokens="byte-pair", min_frequency=1)


def make(architecture: str = "bert", **changes: object) -> PretrainedEncoder:
    config = WORDS.model_copy(update=changes)
    return PretrainedEncoder.fit(as_text_array(TEXTS), config, load_base(tiny_base(architecture)))


def pieces_of(encoder: PretrainedEncoder, text: str) -> list[str]:
    ids = encoder.encode(as_text_array([text])).token_ids
    return [encoder._tokenizer.id_to_token(int(each)) for each in encoder.base.order[ids]]


def test_whole_texts_become_the_base_s_own_pieces() -> None:
    encoder = make()
    assert isinstance(encoder, TokenEncoder)
    assert pieces_of(encoder, "The SUPERB plots") == ["the", "superb", "plot", "##s"]
    assert pieces_of(encoder, "the <br /> plot") == ["the", "plot"]
    assert pieces_of(make(strip_html=False), "the <br /> plot")[1] == "[UNK]"


def test_no_review_can_write_a_mark() -> None:
    assert not {"[SEP]", "[CLS]", "[PAD]"} & set(pieces_of(make(), "the [SEP] plot [CLS] [PAD]"))


def test_ids_begin_at_one_and_unknown_is_one() -> None:
    encoder = make()
    encoded = encoder.encode(as_text_array([*TEXTS, "🎬"]))
    assert encoded.token_ids.min() == 1 and encoded.token_ids.max() < encoder.size
    assert encoded.token_ids[-1] == 1 and encoded.token_ids.dtype == np.int32


def test_the_end_is_cut_at_max_length_and_at_the_base_s_places() -> None:
    long = "the " * 1_000
    assert make(max_length=7).encode(as_text_array([long])).lengths.tolist() == [7]
    assert make(max_length=5_000).encode(as_text_array([long])).lengths.tolist() == [PLACES - 2]
    assert make(max_length=7).full_lengths(as_text_array([long, "", "plots"])).tolist() == [1_000, 0, 2]


def test_a_word_that_has_pieces_is_known() -> None:
    assert make().knows(as_text_array(["superb", "zzz", "🎬", "plots"])).tolist() == [True, True, False, True]


def test_the_vocabulary_holds_the_words_that_training_saw_often_enough() -> None:
    encoder = make(min_frequency=2)
    assert "the" in encoder and "superb" not in encoder
    assert all(as_text_array(TEXTS).to_pylist()) is False  # an empty text does no harm


@pytest.mark.parametrize("architecture", ["bert", pytest.param("roberta", marks=needs_extra)])
@pytest.mark.parametrize("characters", ["letters", "punctuation"])
@pytest.mark.parametrize("text", TEXTS)
def test_every_word_s_pieces_are_its_own_and_in_order(architecture: str, characters: str, text: str) -> None:
    encoder = make(architecture, characters=characters)
    words = encoder.word_of_token(text)
    written = split_words(as_text_array([text]), encoder.config).to_pylist()[0]
    assert len(words) == len(encoder.encode(as_text_array([text])).token_ids)
    owned = words[words >= 0]
    assert (np.diff(owned) >= 0).all() and (not len(owned) or owned.max() < len(written))


def test_pieces_are_counted_to_the_words_around_a_tag() -> None:
    assert make().word_of_token("The superb <br />plots, don't").tolist() == [0, 1, 2, 2, 3, 4, 4, 4, 4, 4]


def test_the_words_that_are_read_are_counted_up_to_the_cut() -> None:
    encoder = make(max_length=3)
    assert count_words_read(encoder, "the plots superb") == 2
    assert count_words_read(encoder, "") == 0


def test_an_encoder_comes_back_from_its_arrays() -> None:
    encoder = make()
    again = PretrainedEncoder.from_arrays(encoder.arrays(), encoder.config)
    texts = as_text_array(TEXTS)
    assert np.array_equal(again.encode(texts).token_ids, encoder.encode(texts).token_ids)
    assert again.base == encoder.base and list(again.vocabulary) == list(encoder.vocabulary)


def changed_tokenizer(**changes: object) -> bytes:
    document = json.loads(make().arrays()["tokenizer"].tobytes())
    return json.dumps(document | changes).encode()


def changed_base(**changes: object) -> bytes:
    return json.dumps(json.loads(make().arrays()["base"].tobytes()) | changes).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("base", b"{}"), ("base", b"\xff"), ("base", b"[" * 100_000), ("base", changed_base(width=10**12)),
        ("base", changed_base(architecture="gpt2")), ("base", changed_base(extra=1)), ("base", changed_base(first=10**6)),
        ("tokenizer", b""), ("tokenizer", b"{}"), ("tokenizer", b"[" * 100_000),
        ("tokenizer", changed_tokenizer(added_tokens=[{"id": 2, "content": "the"}])),
        ("tokenizer", changed_tokenizer(pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a+)+$"}})),
        ("tokenizer", changed_tokenizer(model={"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "b"})),
        ("tokenizer", changed_tokenizer(model={"type": "WordPiece", "vocab": {"a": 10**9}, "unk_token": "a"})),
        ("tokenizer", changed_tokenizer(model={"type": "WordPiece", "vocab": {"a": -1}, "unk_token": "a"})),
        ("tokenizer", changed_tokenizer(model={"type": "BPE", "vocab": {"a": 0}, "merges": [["x", "y"]]})),
        ("tokenizer", changed_tokenizer(model={"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.5})),
        (
            "tokenizer",
            changed_tokenizer(
                model={"type": "WordPiece", "vocab": {"a": 0}, "unk_token": "a", "max_input_chars_per_word": 10**9}
            ),
        ),
    ],
)  # fmt: skip
def test_arrays_of_a_stranger_s_are_refused_in_one_sentence(name: str, data: bytes) -> None:
    encoder = make()
    arrays = {**encoder.arrays(), name: np.frombuffer(data, np.uint8)}
    with pytest.raises(ModelFileError, match="its base"):
        PretrainedEncoder.from_arrays(arrays, encoder.config)
