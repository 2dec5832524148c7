"""Pretrained vectors of words from a file: GloVe text, word2vec text and binary, fastText ``.vec``.

The file may come from a stranger and be many times as large as what is used of it: it is read once, in pieces, and only
the vectors of known words are kept. Nothing in it is run: gensim's own format, which is a pickle, is refused.
"""

import codecs
import hashlib
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.config import BiLSTMConfig, RunConfig
from core.errors import DataError
from core.preprocessing.vocabulary import SPECIAL_TOKENS, Vocabulary
from core.training.pretraining import Learnt, Task
from core.training.pretraining.vectors import complete_vectors
from core.training.watcher import StopAsked, Watcher

Vector = NDArray[np.float32]
NOT_READ: Vector = np.zeros(0, np.float32)
LARGEST_FILE = 16 * 2**30
LONGEST_LINE = 2**17
LONGEST_WORD = 1_000
LARGEST_VALUE = 10_000.0
CHUNK = 2**20
STOP_EVERY = 10_000  # words, between two looks at whether to stop
KNOWN_FORMATS = "GloVe text, word2vec text, word2vec binary, or fastText .vec"
FOREIGN = {
    b"\x80": "a pickle, as gensim saves vectors. Such a file can run any code, so that it is not opened; save the "
    "vectors with save_word2vec_format instead",
    b"\x1f\x8b": "packed with gzip. Unpack it first",
    b"PK\x03\x04": "a zip archive. Unpack it first",
    b"BZh": "packed with bzip2. Unpack it first",
    b"\xfd7zXZ": "packed with xz. Unpack it first",
    b"\xba\x16O/": "a fastText model. Name the .vec file that belongs to it instead",
    b"\x93NUMPY": "a NumPy array without words",
}


@dataclass
class FoundVectors:
    """What a file held of the words that are known.

    Attributes:
        vectors: float32 (ids, E); zero where the file has none.
        known: bool (ids).
        repeated: Words that stood in it again; the first vector of a word counts.
    """

    vectors: Vector
    known: NDArray[np.bool_]
    repeated: int = 0


def signature(config: RunConfig) -> str:
    """Return the file's SHA-256 and the settings that its vectors are taken by.

    Raises:
        DataError: It cannot be read.
    """
    path = _path(config)
    with _open(path) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return json.dumps([digest, _width(config), config.training.seed])


def learn(task: Task, folder: Path) -> Learnt:
    """Return "vectors" (ids, E) from the file, random ones for words that it does not hold; say how many it holds.

    Raises:
        StopAsked: The watcher asked for it.
        DataError: The file cannot be read, is damaged, of another kind or width, or holds none of the words.
    """
    path = _path(task.config)
    task.watcher.on_phase("Reading the vectors of words", 0)
    found = read_vectors(path, task.encoder.vocabulary, _width(task.config), task.watcher)
    if not found.known.any():
        raise DataError(
            f"The vectors file {path.name} holds none of the {len(task.encoder.vocabulary.words):,} words that the "
            "training reviews are read as. Its words may be of another language or spelt otherwise."
        )
    task.watcher.on_notice(_describe_coverage(found, task, path))
    return complete_vectors(found.vectors, found.known, task.config.training.seed)


def read_vectors(path: Path, vocabulary: Vocabulary, width: int, watcher: Watcher) -> FoundVectors:
    """Return the vectors of a vocabulary's words, each as wide as ``width``.

    Raises:
        StopAsked: The watcher asked for it.
        DataError: The file cannot be read, is damaged, or is of another kind or width.
    """
    ids = {word.encode(): number for number, word in enumerate(vocabulary.words, len(SPECIAL_TOKENS))}
    found = FoundVectors(np.zeros((len(vocabulary), width), np.float32), np.zeros(len(vocabulary), np.bool_))
    with _open(path) as file:
        for number, (word, values) in enumerate(_records(file, path.name, width, ids)):
            if number % STOP_EVERY == 0 and watcher.should_stop():
                raise StopAsked
            if (token_id := ids.get(word)) is None:
                continue
            if found.known[token_id]:
                found.repeated += 1
                continue
            if not (np.abs(values) <= LARGEST_VALUE).all():  # one that is not a number is not at most anything
                fault = f"the vector of its word {number + 1:,} holds what is not a number from -10,000 to 10,000"
                raise _damaged(path.name, fault)
            found.vectors[token_id] = values
            found.known[token_id] = True
    return found


def _records(file: BufferedReader, name: str, width: int, wanted: Collection[bytes]) -> Iterator[tuple[bytes, Vector]]:
    """Yield each word and its vector; that of a word that is not wanted may be left empty."""
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    begin = file.tell()
    first = _read_line(file, name, 1)
    if not _is_header(first):
        found_width = len(first.split()) - 1
        if found_width < 1 or not _is_text_record(first, found_width):
            raise _damaged(name, "its first line holds no word with numbers after it")
        _check_width(found_width, width, name)
        file.seek(begin)
        yield from _text_records(file, name, width, wanted, first_line=1)
        return
    count, found_width = map(int, first.split())
    _check_width(found_width, width, name)
    start, size = file.tell(), os.fstat(file.fileno()).st_size
    if count * (2 * width + 1) > size - start:
        raise _damaged(name, f"its first line promises {count:,} words, for which its {size:,} bytes are too few")
    second = file.readline(LONGEST_LINE)
    file.seek(start)
    if _is_text_record(second, width):
        found = 0
        for record in _text_records(file, name, width, wanted, first_line=2):
            found += 1
            yield record
        if found != count:
            raise _damaged(name, f"its first line promises {count:,} words, and it holds {found:,}")
        return
    yield from _binary_records(file, name, width, count)


def _text_records(
    file: BufferedReader, name: str, width: int, wanted: Collection[bytes], first_line: int
) -> Iterator[tuple[bytes, Vector]]:
    number = first_line
    while line := _read_line(file, name, number):
        line = line.rstrip(b" \r\n")
        if line.count(b" ") < width:
            raise _damaged(name, f"line {number:,} holds {line.count(b' '):,} numbers; {width:,} belong there")
        word = line[: line.find(b" ")]
        # Most words are not wanted, and to read their numbers would take nearly all of the time. A word with spaces in
        # it, which some files have, is none of ours.
        if word in wanted and line.count(b" ") == width:
            try:
                values = [float(field) for field in line.split(b" ")[1:]]
            except ValueError as error:
                raise _damaged(name, f"line {number:,} holds what is not a number") from error
            with np.errstate(over="ignore"):
                yield word, np.array(values, np.float32)
        else:
            yield b"", NOT_READ
        number += 1


def _binary_records(file: BufferedReader, name: str, width: int, count: int) -> Iterator[tuple[bytes, Vector]]:
    """Read words that end in a space, each followed by its numbers and, in some files, by a line feed."""
    buffer, place, needed = b"", 0, LONGEST_WORD + 2 + 4 * width
    for number in range(1, count + 1):
        if len(buffer) - place < needed:
            buffer, place = buffer[place:] + file.read(CHUNK), 0
        start = place + (buffer[place : place + 1] == b"\n")
        end = buffer.find(b" ", start, start + LONGEST_WORD + 1)
        place = end + 1 + 4 * width
        if end < 0 or place > len(buffer):
            raise _damaged(name, f"it promises {count:,} words, and what stands at word {number:,} is none")
        yield buffer[start:end], np.frombuffer(buffer, "<f4", width, end + 1)
    if (buffer[place:] + file.read(2)).strip(b"\n"):
        raise _damaged(name, f"it goes on after the {count:,} words that it promises")


def _is_header(line: bytes) -> bool:
    fields = line.split()
    return len(fields) == 2 and all(field.isdigit() and len(field) < 12 for field in fields)


def _is_text_record(line: bytes, width: int) -> bool:
    fields = line.rstrip(b" \r\n").split(b" ")[-width:]
    try:
        return len([float(field) for field in fields]) == width
    except ValueError:
        return False


def _read_line(file: BufferedReader, name: str, number: int) -> bytes:
    line = file.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE:
        raise _damaged(name, f"line {number:,} is longer than {LONGEST_LINE:,} bytes")
    return line


def _check_width(found: int, width: int, name: str) -> None:
    if found != width:
        raise DataError(
            f"The vectors in {name} are {found:,} numbers wide, and the embedding is {width:,}. Set "
            f"model.embedding_dim to {found}, or name another file."
        )


@contextmanager
def _open(path: Path) -> Iterator[BufferedReader]:
    """Open a file once it is known to be none of those that are refused."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise DataError(f"The vectors file {path} is no file. Name one that holds {KNOWN_FORMATS}.")
        if size > LARGEST_FILE:
            raise DataError(
                f"The vectors file {path.name} has {size:,} bytes; at most {LARGEST_FILE:,} are read. Cut it down to "
                "its most frequent words, which stand first."
            )
        with path.open("rb") as file:
            start = file.read(8)
            for mark, what in FOREIGN.items():
                if start.startswith(mark):
                    raise DataError(f"The vectors file {path.name} is {what}. What can be read: {KNOWN_FORMATS}.")
            file.seek(0)
            yield file
    except OSError as error:
        raise DataError(
            f"The vectors file {path} cannot be read: {error.strerror or error}. Check the path in model.vectors_path."
        ) from error


def _damaged(name: str, fault: str) -> DataError:
    return DataError(
        f"The vectors file {name} is damaged or of another kind: {fault}. What can be read: {KNOWN_FORMATS}. Fetch it "
        "again, or name another one."
    )


def _describe_coverage(found: FoundVectors, task: Task, path: Path) -> str:
    """Return the sentence about how much of the vocabulary, and of what the reviews are read as, has a vector."""
    read = np.bincount(task.encoder.encode(task.texts).token_ids, minlength=len(found.known))
    n_known, n_words = int(found.known.sum()), len(found.known) - len(SPECIAL_TOKENS)
    share = read[found.known].sum() / max(read.sum(), 1)
    sentence = (
        f"{path.name} has vectors for {n_known:,} of the {n_words:,} words known to the model "
        f"({n_known / n_words:.1%}), which are {share:.1%} of all words read in training; the rest start at random."
    )
    if found.repeated:
        sentence += f" Words that stand in it more than once: {found.repeated:,}; the first vector of each is taken."
    return sentence


def _path(config: RunConfig) -> Path:
    assert isinstance(config.model, BiLSTMConfig) and config.model.vectors_path is not None
    return Path(config.model.vectors_path)


def _width(config: RunConfig) -> int:
    assert isinstance(config.model, BiLSTMConfig)
    return config.model.embedding_dim
