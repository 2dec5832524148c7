import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from core.config import RunConfig, with_settings
from core.errors import ConfigError, DataError
from core.models.catalog import fit_encoder
from core.preprocessing.vocabulary import PAD, UNK, Vocabulary
from core.training.pretraining import Task, pretrain, vectors_file
from core.training.pretraining.vectors_file import read_vectors
from core.training.watcher import StopAsked, Watcher
from tests.core.models.small import lstm, small
from tests.texts import invent_reviews

REVIEWS = invent_reviews(40)
VOCABULARY = Vocabulary(["film", "good", "café", "bad"])
VECTORS = {"good": [1.0, -2.5, 3e-3], "the": [0.0, 0.5, 0.25], "café": [0.1, 0.2, 0.3], "film": [-1.0, 7.0, 0.125]}


def as_lines(vectors: Mapping[str, list[float]], end: str = "\n") -> bytes:
    return "".join(f"{word} {' '.join(map(str, values))}{end}" for word, values in vectors.items()).encode()


def header(vectors: Mapping[str, list[float]]) -> bytes:
    return f"{len(vectors)} {len(next(iter(vectors.values())))}\n".encode()


def as_binary(vectors: Mapping[str, list[float]], end: bytes = b"\n") -> bytes:
    records = (word.encode() + b" " + struct.pack(f"<{len(v)}f", *v) + end for word, v in vectors.items())
    return header(vectors) + b"".join(records)


FORMATS: dict[str, Callable[[], bytes]] = {
    "GloVe text": lambda: as_lines(VECTORS),
    "GloVe text without a last line feed": lambda: as_lines(VECTORS).rstrip(b"\n"),
    "GloVe text with a byte order mark": lambda: b"\xef\xbb\xbf" + as_lines(VECTORS),
    "GloVe text from Windows": lambda: as_lines(VECTORS, "\r\n"),
    "word2vec text": lambda: header(VECTORS) + as_lines(VECTORS),
    "fastText vec": lambda: header(VECTORS) + as_lines(VECTORS, " \n"),
    "word2vec binary": lambda: as_binary(VECTORS),
    "word2vec binary without line feeds": lambda: as_binary(VECTORS, b""),
}


def read(path: Path, width: int = 3, watcher: Watcher | None = None) -> vectors_file.FoundVectors:
    return read_vectors(path, VOCABULARY, width, watcher or Watcher())


def written(folder: Path, content: bytes) -> Path:
    path = folder / "vectors.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_the_vectors_of_known_words(name: str, tmp_path: Path) -> None:
    found = read(written(tmp_path, FORMATS[name]()))
    assert found.known.tolist() == [False, False, True, True, True, False] and found.repeated == 0
    for word in ("film", "good", "café"):
        assert np.array_equal(found.vectors[VOCABULARY[word]], np.array(VECTORS[word], np.float32))
    assert not found.vectors[[PAD, UNK, VOCABULARY["bad"]]].any()


@pytest.mark.parametrize("binary", [True, False])
def test_gensim_s_own_files_are_read_as_gensim_reads_them(binary: bool, tmp_path: Path) -> None:
    from gensim.models import KeyedVectors

    draw = np.random.default_rng(0)
    words = [f"w{number}" for number in range(50_000)] + ["film", "good"]
    vectors = draw.normal(size=(len(words), 7)).astype(np.float32)
    keyed = KeyedVectors(7)
    keyed.add_vectors(words, vectors)
    path = tmp_path / "gensim"
    keyed.save_word2vec_format(path, binary=binary)
    found = read(path, 7)
    assert np.array_equal(found.vectors[VOCABULARY["film"]], vectors[-2])
    assert np.array_equal(found.vectors[VOCABULARY["good"]], vectors[-1])


def test_a_binary_file_whose_numbers_look_like_line_feeds_is_not_taken_for_text(tmp_path: Path) -> None:
    newlines = struct.unpack("<3f", b"\n1 2 3 4 5 6")
    vectors = {"good": list(newlines), "film": [1.0, 2.0, 3.0]}
    found = read(written(tmp_path, as_binary(vectors)))
    assert found.vectors[VOCABULARY["good"]].tolist() == list(newlines)
    assert found.vectors[VOCABULARY["film"]].tolist() == [1.0, 2.0, 3.0]


def test_of_a_word_that_stands_there_twice_the_first_counts_and_it_is_counted(tmp_path: Path) -> None:
    found = read(written(tmp_path, b"good 1 2 3\nfilm 4 5 6\ngood 7 8 9\n"))
    assert found.vectors[VOCABULARY["good"]].tolist() == [1, 2, 3] and found.repeated == 1


def test_odd_words_are_passed_over(tmp_path: Path) -> None:
    lines = b". . . 1 2 3\ngood film 1 2 3\n\xff\xfe 1 2 3\n 1 2 3\n\xe2\x80\xae 1 2 3\n<PAD> 9 9 9\ngood 4 5 6\n"
    found = read(written(tmp_path, b"the 1 1 1\n" + lines))
    assert found.vectors[VOCABULARY["good"]].tolist() == [4, 5, 6]
    assert found.known.sum() == 1


DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "first line"),
    "a line feed alone": (b"\n", "first line"),
    "a text about something": (b"It was a dark night.\nNobody came.\n", "first line"),
    "a line that is cut": (b"good 1 2 3\nfilm 4 5\n", "line 2 holds 2 numbers"),
    "an empty line": (b"good 1 2 3\n\nfilm 4 5 6\n", "line 2 holds 0 numbers"),
    "a word for a number": (b"good 1 2 3\nfilm 4 five 6\n", "line 2 holds what is not a number"),
    "no number": (b"the 1 2 3\ngood 1 nan 3\n", "word 2 holds what is not a number from"),
    "infinite": (b"the 1 2 3\ngood 1 -inf 3\n", "word 2 holds what is not a number from"),
    "too large for 32 bits": (b"the 1 2 3\ngood 1 1e39 3\n", "word 2 holds what is not a number from"),
    "of a size that no vector has": (b"the 1 2 3\ngood 1 -20000 3\n", "word 2 holds what is not a number from"),
    "fewer lines than promised": (b"3 3\ngood 1 2 3\nfilm 4.000 5.000 6.000\n", "promises 3 words, and it holds 2"),
    "more lines than promised": (b"1 3\ngood 1 2 3\nfilm 4 5 6\n", "promises 1 words, and it holds 2"),
    "far more promised than could be": (b"99999999999 3\ngood 1 2 3\n", "promises 99,999,999,999 words"),
    "an endless line": (b"good" * 2**16, "longer than"),
    "a binary one that is cut": (as_binary(VECTORS)[:-6], "word 4"),
    "a binary one cut at a word": (as_binary(VECTORS)[:-14], "word 4"),
    "a binary one that goes on": (as_binary(VECTORS) + b"more", "goes on after the 4 words"),
    "a binary one with no number": (
        as_binary({"the": [0.0, 1.0, 2.0], "good": [1.0, float("nan"), 2.0]}), "word 2 holds what is not a number from",
    ),
    "a binary one without words": (b"2 3\n" + bytes(range(33, 127)) * 40, "none"),
    "JSON": (b'{"good": [1, 2, 3]}', "first line"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_in_a_sentence_that_names_it_and_the_fault(name: str, tmp_path: Path) -> None:
    content, fault = DAMAGED[name]
    with pytest.raises(DataError) as caught:
        read(written(tmp_path, content))
    assert "vectors.txt" in str(caught.value) and fault in str(caught.value)


FOREIGN: dict[str, tuple[bytes, str]] = {
    "a pickle": (b"\x80\x04\x95" + bytes(40), "can run any code"),
    "gzip": (b"\x1f\x8b\x08" + bytes(40), "Unpack it first"),
    "zip": (b"PK\x03\x04" + bytes(40), "Unpack it first"),
    "a fastText model": (struct.pack("<ii", 793712314, 12) + bytes(40), "Name the .vec file"),
    "a NumPy array": (b"\x93NUMPY\x01" + bytes(40), "without words"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_of_another_kind_is_refused_with_what_to_do(name: str, tmp_path: Path) -> None:
    content, advice = FOREIGN[name]
    with pytest.raises(DataError, match=r"vectors\.txt") as caught:
        read(written(tmp_path, content))
    assert advice in str(caught.value) and "GloVe text" in str(caught.value)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_width_is_refused_with_the_setting_to_change(name: str, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"are 3 numbers wide, and the embedding is 100\. Set model\.embedding_dim to 3"
    ):
        read(written(tmp_path, FORMATS[name]()), width=100)


def test_a_missing_file_a_folder_and_one_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.txt cannot be read: No such file"):
        read(tmp_path / "nothing.txt")
    with pytest.raises(DataError, match="is no file"):
        read(tmp_path)
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.truncate(vectors_file.LARGEST_FILE + 1)  # takes no space
    with pytest.raises(DataError, match=r"large\.txt has 17,179,869,185 bytes; at most 17,179,869,184"):
        read(path)


def test_flipped_bits_and_cuts_give_vectors_or_a_sentence_and_nothing_else(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    for content in (make() for make in FORMATS.values()):
        for _ in range(150):
            damaged = bytearray(content)
            damaged[draw.integers(len(damaged))] ^= 1 << int(draw.integers(8))
            cut = bytes(damaged[: draw.integers(1, len(damaged) + 1)])
            for each in (bytes(damaged), cut):
                try:
                    found = read(written(tmp_path, each))
                except DataError as error:
                    assert "vectors.txt" in str(error)
                else:
                    assert np.isfinite(found.vectors).all()


def test_a_stop_is_heard_while_a_large_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, b"the 1 2 3\n" * 30_000)
    looks = iter((False, False, True))
    with pytest.raises(StopAsked):
        read(path, watcher=Watcher(should_stop=lambda: next(looks)))


def make_config(path: Path, **settings: object) -> RunConfig:
    return small(lstm(pooling="max", start="file", vectors_path=str(path), **settings))


def make_task(config: RunConfig, watcher: Watcher | None = None) -> Task:
    return Task(config, fit_encoder(REVIEWS.texts, config), REVIEWS.texts, REVIEWS.labels, watcher or Watcher())


def write_vectors(path: Path, words: tuple[str, ...] = ("superb", "the"), width: int = 12) -> Path:
    draw = np.random.default_rng(1)
    path.write_bytes(as_lines({word: draw.normal(0, 0.1, width).round(3).tolist() for word in words}))
    return path


def test_words_without_a_vector_start_at_random_with_the_spread_of_the_others(tmp_path: Path) -> None:
    task = make_task(make_config(write_vectors(tmp_path / "v.txt")))
    vectors = pretrain(task)["vectors"]
    vocabulary = task.encoder.vocabulary
    lines = dict(line.split(" ", 1) for line in (tmp_path / "v.txt").read_text().splitlines())
    assert vectors[vocabulary["superb"]].tolist() == pytest.approx([float(n) for n in lines["superb"].split()])
    assert not vectors[PAD].any() and vectors[UNK].any()
    rest = [vocabulary[word] for word in vocabulary.words if word not in ("superb", "the")]
    known = vectors[[vocabulary["superb"], vocabulary["the"]]]
    assert vectors[rest].std() == pytest.approx(known.std(), rel=0.3)


def test_the_coverage_is_said_and_said_again_from_the_cache(tmp_path: Path) -> None:
    notices: list[str] = []
    task = make_task(make_config(write_vectors(tmp_path / "v.txt")), Watcher(on_notice=notices.append))
    pretrain(task)
    n_words = len(task.encoder.vocabulary.words)
    words = [word for text in REVIEWS.texts.to_pylist() for word in text.lower().replace("!", "").split()]
    share = sum(word in ("superb", "the") for word in words) / len(words)
    assert f"v.txt has vectors for 2 of the {n_words} words" in notices[0] and f"{share:.1%} of all words" in notices[0]
    pretrain(task)
    assert notices[0] == notices[1] and len(notices) == 2


def test_words_that_stand_in_it_twice_are_said(tmp_path: Path) -> None:
    notices: list[str] = []
    path = write_vectors(tmp_path / "v.txt")
    path.write_bytes(path.read_bytes() * 2)
    pretrain(make_task(make_config(path), Watcher(on_notice=notices.append)))
    assert "more than once: 2" in notices[0]


def test_a_file_with_none_of_the_words_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"v\.txt holds none of the \d+ words"):
        pretrain(make_task(make_config(write_vectors(tmp_path / "v.txt", ("fabelhaft", "öde")))))


def test_another_content_under_the_same_name_is_read_anew(tmp_path: Path) -> None:
    config = make_config(write_vectors(tmp_path / "v.txt"))
    first = pretrain(make_task(config))["vectors"]
    write_vectors(tmp_path / "v.txt", ("superb", "the", "dull"))
    assert not np.array_equal(pretrain(make_task(config))["vectors"], first)


def test_a_start_from_a_file_needs_a_name_and_a_relative_one_holds_anywhere() -> None:
    config = RunConfig(model=lstm())
    with pytest.raises(ConfigError, match=r"Set model\.vectors_path"):
        with_settings(config, ["model.start=file"])
    named = with_settings(config, ["model.start=file", "model.vectors_path=glove.txt"]).model
    assert named.vectors_path == str(Path("glove.txt").absolute())
