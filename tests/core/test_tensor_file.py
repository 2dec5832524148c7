"""A checked file gives back exactly what was written, or says why not."""

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.tensor_file import (
    LARGEST_FILE,
    LARGEST_HEADER,
    METADATA_KEY,
    MOST_TENSORS,
    DamagedFileError,
    hash_content,
    load_strict_json,
    read_tensor_file,
    write_tensor_file,
)

FORMAT = "a-test/1"
DOCUMENT = '{"a":"größer 🎬"}'
TENSORS: Mapping[str, NDArray[Any]] = {
    "weight": np.array([[1.5, -2.25, 0.0], [3e-8, 1e30, -0.5]], np.float32),
    "half": np.array([1.0, -0.5, 65504.0], np.float16),
    "words": np.frombuffer(b"[1,2]", np.uint8),
}
ONE = np.ones(1, np.float32)
F32_ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.safetensors"


@pytest.fixture
def sound(path: Path) -> bytes:
    """Return the bytes of a small sound file at ``path``."""
    write_tensor_file(path, FORMAT, DOCUMENT, TENSORS)
    return path.read_bytes()


def packed(header: bytes, payload: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + payload


def content_of(tensors: Mapping[str, NDArray[Any]], document: str = DOCUMENT) -> dict[str, Any]:
    """Return what the metadata says, with the checksum that a reader would compute if it read ``tensors``."""
    return {"format": FORMAT, "document": document, "sha256": hash_content(document, tensors)}


def metadata_of(tensors: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    return {METADATA_KEY: json.dumps(content_of(tensors))}


def crafted(entries: Mapping[str, Any], payload: bytes, claimed: Mapping[str, NDArray[Any]] | None = None) -> bytes:
    """Return a file whose header holds ``entries`` and whose checksum fits ``claimed``."""
    header = {"__metadata__": metadata_of(claimed or {}), **entries}
    return packed(json.dumps(header).encode(), payload)


def assert_refused(path: Path, data: bytes, phrase: str | None = None) -> None:
    path.write_bytes(data)
    with pytest.raises(DamagedFileError, match=phrase) as caught:
        read_tensor_file(path, FORMAT)
    assert caught.value.advice
    assert len(str(caught.value).encode()) < 400, "a sentence that can be shown"


def test_what_is_written_comes_back_bit_for_bit(path: Path, sound: bytes) -> None:
    file = read_tensor_file(path, FORMAT)
    assert file.document == DOCUMENT
    assert file.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        read = file.tensors[name]
        assert (read.dtype, read.shape, read.tobytes()) == (tensor.dtype, tensor.shape, tensor.tobytes())


@pytest.mark.parametrize(
    "tensor",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(10, dtype=np.float32)[::-2],
        np.zeros((0, 3), np.float32),
        np.zeros(0, np.uint8),
        np.array(2.5, np.float32),
    ],
    ids=["transposed", "strided", "no rows", "empty", "a scalar"],
)
def test_an_array_of_any_layout_comes_back_with_its_shape(path: Path, tensor: NDArray[Any]) -> None:
    write_tensor_file(path, FORMAT, "", {"before": ONE, "it": tensor, "zlast": ONE})
    read = read_tensor_file(path, FORMAT).tensors["it"]
    assert read.shape == tensor.shape
    assert np.array_equal(read, tensor)


def test_a_file_without_tensors_comes_back(path: Path) -> None:
    write_tensor_file(path, FORMAT, DOCUMENT, {})
    assert read_tensor_file(path, FORMAT).document == DOCUMENT


def test_the_arrays_that_come_back_cannot_be_changed_by_accident(path: Path, sound: bytes) -> None:
    for tensor in read_tensor_file(path, FORMAT).tensors.values():
        with pytest.raises(ValueError, match="read-only"):
            tensor[...] = 0


def test_the_checksum_is_the_one_worked_by_hand(path: Path) -> None:
    sha256 = write_tensor_file(path, FORMAT, "doc", {"b": np.array([7, 8], np.uint8), "a": ONE})
    content = b"doc" + b'["a", "<f4", [1]]' + b"\x00\x00\x80\x3f" + b'["b", "|u1", [2]]' + b"\x07\x08"
    assert sha256 == hashlib.sha256(content).hexdigest() == read_tensor_file(path, FORMAT).sha256


def test_the_checksum_depends_on_names_shapes_types_and_document_but_not_on_order() -> None:
    base = {"a": np.zeros((2, 3), np.float32), "b": np.ones(2, np.uint8)}
    others = [
        {"a": base["a"].reshape(3, 2), "b": base["b"]},
        {"a": base["a"], "c": base["b"]},
        {"a": np.zeros((2, 6), np.float16), "b": base["b"]},
        {"a": base["b"], "b": base["a"]},
    ]
    sums = {hash_content("", tensors) for tensors in (base, *others)} | {hash_content(" ", base)}
    assert len(sums) == 6
    assert hash_content("", dict(reversed(base.items()))) == hash_content("", base)


def test_the_same_content_gives_the_same_bytes(path: Path, sound: bytes) -> None:
    write_tensor_file(path, FORMAT, DOCUMENT, dict(reversed(TENSORS.items())))
    assert path.read_bytes() == sound


def test_the_safetensors_library_reads_the_file_too(path: Path, sound: bytes) -> None:
    from safetensors import safe_open

    with safe_open(path, "np") as file:
        assert set(file.keys()) == set(TENSORS)
        assert all(np.array_equal(file.get_tensor(name), tensor) for name, tensor in TENSORS.items())
        assert json.loads(file.metadata()[METADATA_KEY])["document"] == DOCUMENT


def test_a_file_can_be_read_whatever_the_length_of_its_header(path: Path) -> None:
    # Its first bytes are that length: some lengths begin like a pickle (0x80).
    unreadable = []
    for length in range(0, 264, 4):
        write_tensor_file(path, FORMAT, "x" * length, {"a": ONE})
        try:
            assert read_tensor_file(path, FORMAT).document == "x" * length
        except DamagedFileError as error:
            unreadable.append((length, path.read_bytes()[:2], str(error)))
    assert not unreadable


def test_a_file_whose_header_length_begins_like_a_zip_archive_can_be_read(path: Path) -> None:
    write_tensor_file(path, FORMAT, "", {"a": ONE})
    filler = int.from_bytes(b"PK", "little") - int.from_bytes(path.read_bytes()[:8], "little")
    write_tensor_file(path, FORMAT, "x" * filler, {"a": ONE})
    assert path.read_bytes()[:4] == b"PK\0\0"
    assert len(read_tensor_file(path, FORMAT).document) == filler


EXTRA = '{"about":"größer 🎬"}'


def test_an_extra_document_comes_back_and_has_no_part_in_the_checksum(path: Path, sound: bytes) -> None:
    sha256 = write_tensor_file(path, FORMAT, DOCUMENT, TENSORS, EXTRA)
    file = read_tensor_file(path, FORMAT)
    assert (file.document, file.extra, file.sha256) == (DOCUMENT, EXTRA, sha256)
    assert write_tensor_file(path, FORMAT, DOCUMENT, TENSORS) == sha256
    assert path.read_bytes() == sound and read_tensor_file(path, FORMAT).extra is None


def test_the_checksum_of_an_extra_document_is_the_one_worked_by_hand(path: Path) -> None:
    sha256 = write_tensor_file(path, FORMAT, "", {"a": ONE}, "found out")
    expected = hashlib.sha256(f"{sha256} found out".encode()).hexdigest()
    assert f'\\"extra_sha256\\": \\"{expected}\\"'.encode() in path.read_bytes()


def test_a_flipped_bit_anywhere_in_a_file_with_an_extra_document_is_found(path: Path) -> None:
    write_tensor_file(path, FORMAT, DOCUMENT, {"a": ONE}, '{"temperature":0.875}')
    assert_flips_are_found(path, range(path.stat().st_size * 8))


def extra_of(extra: str, sha256: str | None = None) -> dict[str, Any]:
    """Return what the metadata says of an extra document, with a checksum that fits ``sha256``, by default ours."""
    whole = sha256 or hash_content(DOCUMENT, {"a": ONE})
    return {"extra": extra, "extra_sha256": hashlib.sha256(f"{whole} {extra}".encode()).hexdigest()}


def test_every_truncation_is_found(path: Path, sound: bytes) -> None:
    for length in range(len(sound)):
        assert_refused(path, sound[:length])


@pytest.mark.parametrize("extra", [b"\0", b" ", b"}", b"\0" * 8, b"x" * 100])
def test_bytes_after_the_end_are_found(path: Path, sound: bytes, extra: bytes) -> None:
    assert_refused(path, sound + extra, "its header describes")


def assert_flips_are_found(path: Path, bits: Iterable[int]) -> None:
    sound = path.read_bytes()
    for bit in bits:
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            file = read_tensor_file(path, FORMAT)
        except DamagedFileError:
            continue
        pytest.fail(f"bit {bit % 8} of byte {bit // 8} was flipped, and the file was read as {file}")


@pytest.mark.parametrize("document", ['{"a":[1,0.5,"x y"]}', DOCUMENT], ids=["plain letters", "other letters"])
def test_a_flipped_bit_anywhere_is_found(path: Path, document: str) -> None:
    write_tensor_file(path, FORMAT, document, TENSORS)
    draw = np.random.default_rng(20_240_607)
    assert_flips_are_found(path, draw.choice(path.stat().st_size * 8, 300, replace=False).tolist())


def test_a_flipped_bit_that_only_turns_a_small_letter_into_a_capital_is_found(path: Path, sound: bytes) -> None:
    assert_flips_are_found(path, range(5, len(sound) * 8, 8))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_value_that_is_not_finite_is_refused_though_the_checksum_is_right(
    path: Path, value: float, dtype: type[np.floating[Any]]
) -> None:
    write_tensor_file(path, FORMAT, "", {"fine": ONE, "odd": np.array([0, value, 0], dtype)})
    with pytest.raises(DamagedFileError, match="'odd' holds a value that is not a finite number"):
        read_tensor_file(path, FORMAT)


DUPLICATES = {
    "a tensor": '{"__metadata__":{M},"a":E,"a":E}',
    "the metadata": '{"__metadata__":{M},"a":E,"__metadata__":{M}}',
    "a key of a tensor": '{"__metadata__":{M},"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,4]}}',
    "a key of the metadata": '{"__metadata__":{"KEY":"{}",M},"a":E}',
}


@pytest.mark.parametrize("template", DUPLICATES.values(), ids=DUPLICATES)
def test_a_header_key_that_stands_twice_is_refused_though_the_checksum_is_right(path: Path, template: str) -> None:
    header = template.replace("KEY", METADATA_KEY).replace("E", json.dumps(F32_ONE).replace("E", ""))
    header = header.replace("M", json.dumps(metadata_of({"a": ONE}))[1:-1])
    loosely_read = json.loads(header)
    assert loosely_read == {"__metadata__": metadata_of({"a": ONE}), "a": F32_ONE}, "the last one hides the fault"
    assert_refused(path, packed(header.encode(), ONE.tobytes()), "a key stands twice")


def test_a_key_that_stands_twice_in_the_metadata_is_refused_though_the_checksum_is_right(path: Path) -> None:
    content = json.dumps(content_of({"a": ONE}))
    header = {"__metadata__": {METADATA_KEY: '{"document":"other",' + content[1:]}, "a": F32_ONE}
    assert_refused(path, packed(json.dumps(header).encode(), ONE.tobytes()), "not a file of Reviewscope|twice")


ZEROS = np.zeros(16, np.float32)


def entry(shape: Any, offsets: Any, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


MISPLACED = {
    "a gap": (
        {"a": entry([1], [0, 4]), "b": entry([1], [8, 12])},
        12,
        {"a": ZEROS[:1], "b": ZEROS[:1]},
    ),
    "a gap at the front": ({"a": entry([1], [4, 8])}, 8, {"a": ZEROS[:1]}),
    "a gap at the end": ({"a": entry([1], [0, 4])}, 8, {"a": ZEROS[:1]}),
    "an overlap": (
        {"a": entry([2], [0, 8]), "b": entry([2], [4, 12])},
        12,
        {"a": ZEROS[:2], "b": ZEROS[:2]},
    ),
    "the same bytes twice": (
        {"a": entry([1], [0, 4]), "b": entry([1], [0, 4])},
        4,
        {"a": ZEROS[:1], "b": ZEROS[:1]},
    ),
    "beyond the end": ({"a": entry([2], [0, 8])}, 4, {"a": ZEROS[:2]}),
    "backwards": ({"a": entry([1], [4, 0])}, 4, {"a": ZEROS[:1]}),
    "a shape of more numbers": ({"a": entry([2], [0, 4])}, 4, {"a": ZEROS[:2]}),
    "a shape of fewer numbers": ({"a": entry([1], [0, 8])}, 8, {"a": ZEROS[:1]}),
    "a shape without numbers": ({"a": entry([0], [0, 4])}, 4, {"a": ZEROS[:0]}),
    "a shape of another type": ({"a": entry([2], [0, 8], "F16")}, 8, {"a": ZEROS[:2]}),
    "negative sizes": ({"a": entry([-1, -1], [0, 4])}, 4, {"a": ZEROS[:1].reshape(1, 1)}),
    "a negative place": ({"a": entry([1], [-4, 0])}, 4, {"a": ZEROS[:1]}),
    "a boolean size": ({"a": entry([True], [0, 4])}, 4, {"a": ZEROS[:1]}),
    "a boolean place": ({"a": entry([1], [False, 4])}, 4, {"a": ZEROS[:1]}),
    "a size with a point": ({"a": entry([1.0], [0, 4])}, 4, {"a": ZEROS[:1]}),
    "a place with a point": ({"a": entry([1], [0.0, 4.0])}, 4, {"a": ZEROS[:1]}),
    "a size in quotes": ({"a": entry(["1"], [0, 4])}, 4, {"a": ZEROS[:1]}),
    "a shape in quotes": ({"a": entry("1", [0, 4])}, 4, {"a": ZEROS[:1]}),
    "a shape that is empty quotes": ({"a": entry("", [0, 4])}, 4, {"a": ZEROS[0]}),
    "a shape that is an object": ({"a": entry({}, [0, 4])}, 4, {"a": ZEROS[0]}),
    "a shape that is a number": ({"a": entry(1, [0, 4])}, 4, {"a": ZEROS[:1]}),
    "a shape that is null": ({"a": entry(None, [0, 4])}, 4, {"a": ZEROS[0]}),
    "a nested shape": ({"a": entry([[1]], [0, 4])}, 4, {"a": ZEROS[:1]}),
    "a size that is not a number": ({"a": entry([float("nan")], [0, 4])}, 4, {"a": ZEROS[:1]}),
    "an endless size": ({"a": entry([float("inf")], [0, 4])}, 4, {"a": ZEROS[:1]}),
    "a size beyond 64 bits": ({"a": entry([2**70, 0], [0, 0])}, 0, {}),
    "a place beyond 64 bits": ({"a": entry([2**70], [0, 2**72])}, 4, {}),
    "sizes whose product is zero": ({"a": entry([2**62, 2**62, 0], [0, 0])}, 0, {}),
    "too many dimensions": ({"a": entry([1] * 100, [0, 4])}, 4, {}),
    "one place": ({"a": entry([1], [0])}, 4, {"a": ZEROS[:1]}),
    "three places": ({"a": entry([1], [0, 4, 4])}, 4, {"a": ZEROS[:1]}),
    "places that are an object": ({"a": entry([1], {"0": 0, "4": 4})}, 4, {"a": ZEROS[:1]}),
    "places of mixed kinds": ({"a": entry([1], [0, 4]), "b": entry([1], ["4", 8])}, 8, {}),
    "no places": ({"a": {"dtype": "F32", "shape": [1]}}, 4, {"a": ZEROS[:1]}),
    "no shape": ({"a": {"dtype": "F32", "data_offsets": [0, 4]}}, 4, {"a": ZEROS[:1]}),
    "no type": ({"a": {"shape": [1], "data_offsets": [0, 4]}}, 4, {"a": ZEROS[:1]}),
    "a further key": ({"a": {**F32_ONE, "strides": [4]}}, 4, {"a": ZEROS[:1]}),
    "an unknown type": ({"a": entry([1], [0, 8], "F64")}, 8, {"a": np.zeros(1)}),
    "a type of torch's": ({"a": entry([2], [0, 4], "BF16")}, 4, {}),
    "a whole number type": ({"a": entry([1], [0, 8], "I64")}, 8, {"a": np.zeros(1, np.int64)}),
    "a type in small letters": ({"a": entry([1], [0, 4], "f32")}, 4, {"a": ZEROS[:1]}),
    "a type that is a list": ({"a": entry([1], [0, 4], ["F32"])}, 4, {"a": ZEROS[:1]}),
    "a tensor that is a list": ({"a": [0, 4]}, 4, {}),
    "a tensor that is a text": ({"a": "F32"}, 4, {}),
    "a tensor that is null": ({"a": None}, 4, {}),
}


@pytest.mark.parametrize(("entries", "size", "claimed"), MISPLACED.values(), ids=MISPLACED)
def test_a_tensor_that_is_described_wrongly_is_refused_though_the_checksum_is_right(
    path: Path, entries: Mapping[str, Any], size: int, claimed: Mapping[str, NDArray[Any]]
) -> None:
    assert_refused(path, crafted(entries, bytes(size), claimed), "its list of tensors is damaged|its header describes")


def test_a_crafted_file_without_any_fault_is_read(path: Path) -> None:
    # Or else the refusals above would prove nothing.
    entries = {"b": entry([1], [4, 8]), "a": entry([1, 1], [0, 4])}
    path.write_bytes(crafted(entries, bytes(8), {"a": ZEROS[:1].reshape(1, 1), "b": ZEROS[:1]}))
    assert set(read_tensor_file(path, FORMAT).tensors) == {"a", "b"}


NOT_A_FILE_OF_OURS = "it is not a file of Reviewscope"
NOT_ALONE = "its metadata is not format, document and sha256 alone"
EXTRA_DAMAGED = "its extra document does not match its SHA-256"
CONTENTS: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "another format": ({"format": "reviewscope-model/1"}, "says that it is a .*reviewscope-model/1.* file; a a-test/1"),
    "a format that is a number": ({"format": 1}, "says that it is a .*1.* file; a a-test/1"),
    "a long format": ({"format": "x" * 10_000}, "says that it is a .*x+.* file; a a-test/1"),
    "a format of half a character": ({"format": "\ud800"}, "file; a a-test/1|not a file of Reviewscope"),
    "no format": ({"format": None}, NOT_A_FILE_OF_OURS),
    "no document": ({"document": None}, NOT_A_FILE_OF_OURS),
    "no checksum": ({"sha256": None}, NOT_A_FILE_OF_OURS),
    "a further key": ({"author": "x"}, NOT_ALONE),
    "a document that is an object": ({"document": {}}, NOT_ALONE),
    "a checksum that is a number": ({"sha256": 0}, "does not match its SHA-256"),
    "another document": ({"document": "{}"}, "does not match its SHA-256"),
    "another checksum": ({"sha256": "0" * 64}, "does not match its SHA-256"),
    "half a character": ({"document": "\ud800"}, "not a file of Reviewscope|metadata|damaged|SHA-256"),
    "an extra document alone": ({"extra": "{}"}, NOT_ALONE),
    "an extra checksum alone": ({"extra_sha256": "0" * 64}, NOT_ALONE),
    "an extra document that is an object": ({**extra_of("{}"), "extra": {}}, NOT_ALONE),
    "a further key beside an extra document": ({**extra_of("{}"), "author": "x"}, NOT_ALONE),
    "another extra document": ({**extra_of("{}"), "extra": "{ }"}, EXTRA_DAMAGED),
    "an extra document of another model": (extra_of("{}", "0" * 64), EXTRA_DAMAGED),
    "an extra checksum that is a number": ({**extra_of("{}"), "extra_sha256": 0}, EXTRA_DAMAGED),
    "half a character as extra document": ({**extra_of("{}"), "extra": "\ud800"}, EXTRA_DAMAGED),
}


@pytest.mark.parametrize(("changes", "phrase"), CONTENTS.values(), ids=CONTENTS)
def test_metadata_that_says_something_else_is_refused(path: Path, changes: Mapping[str, Any], phrase: str) -> None:
    changed = {**content_of({"a": ONE}), **changes}
    content = json.dumps({key: value for key, value in changed.items() if value is not None})
    header = {"__metadata__": {METADATA_KEY: content}, "a": F32_ONE}
    assert_refused(path, packed(json.dumps(header).encode(), ONE.tobytes()), phrase)


CONTENT = json.dumps(content_of({"a": ONE}))
FOREIGN_METADATA: Mapping[str, tuple[Any, str]] = {
    "null": (None, NOT_A_FILE_OF_OURS),
    "a list": ([METADATA_KEY], NOT_A_FILE_OF_OURS),
    "a text": (CONTENT, NOT_A_FILE_OF_OURS),
    "of another library": ({"format": "pt"}, NOT_A_FILE_OF_OURS),
    "with a further key": ({METADATA_KEY: CONTENT, "format": "pt"}, NOT_ALONE),
    "an object in place of text": ({METADATA_KEY: json.loads(CONTENT)}, NOT_A_FILE_OF_OURS),
    "a list as text": ({METADATA_KEY: "[1, 2, 3]"}, NOT_A_FILE_OF_OURS),
    "a text as text": ({METADATA_KEY: '"format"'}, NOT_A_FILE_OF_OURS),
    "not JSON": ({METADATA_KEY: CONTENT[:-1]}, NOT_A_FILE_OF_OURS),
    "nested deeply": ({METADATA_KEY: "[" * 100_000}, NOT_A_FILE_OF_OURS),
}


@pytest.mark.parametrize(("metadata", "phrase"), FOREIGN_METADATA.values(), ids=FOREIGN_METADATA)
def test_metadata_of_another_kind_is_refused(path: Path, metadata: object, phrase: str) -> None:
    header = {"__metadata__": metadata, "a": F32_ONE}
    assert_refused(path, packed(json.dumps(header).encode(), ONE.tobytes()), phrase)


def test_a_file_without_metadata_is_refused(path: Path) -> None:
    assert_refused(path, packed(json.dumps({"a": F32_ONE}).encode(), ONE.tobytes()), NOT_A_FILE_OF_OURS)


def pickled(protocol: int) -> bytes:
    return pickle.dumps({"weight": [1.0] * 50}, protocol)


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 100)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [zipped(), *(pickled(p) for p in (2, 3, 4, 5))], ids=["zip", *"2345"])
def test_a_pickle_or_zip_archive_is_refused_by_name(path: Path, data: bytes) -> None:
    assert_refused(path, data, "pickle or zip archive, which can run code")


NOT_OURS = {
    "nothing": b"",
    "seven bytes": bytes(7),
    "zeros": bytes(64),
    "a text": b"A film that earns every minute of its last act. " * 4,
    "a pickle of old": pickled(0),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "a header of a list": packed(b"[]"),
    "a header of a number": packed(b"1"),
    "an empty header": packed(b""),
    "an empty object": packed(b"{}"),
    "a header that is not JSON": packed(b"{'a': 1}"),
    "a header that is not UTF-8": packed(b'{"\xff": 1}'),
    "a header that is nested deeply": packed(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
    "a number of many digits": packed(b'{"a": ' + b"9" * 10_000 + b"}"),
}


@pytest.mark.parametrize("data", NOT_OURS.values(), ids=NOT_OURS)
def test_a_file_of_another_kind_is_refused(path: Path, data: bytes) -> None:
    assert_refused(path, data, "cut short|header|not a file of Reviewscope")


@pytest.mark.parametrize("length", [2**20 + 1, 2**31, 2**63, 2**64 - 1])
def test_a_header_length_beyond_the_file_is_refused(path: Path, sound: bytes, length: int) -> None:
    assert_refused(path, struct.pack("<Q", length) + sound[8:], "cut short or not a .safetensors file")


def test_a_header_of_more_than_a_mebibyte_is_refused_before_it_is_read(path: Path, sound: bytes) -> None:
    start = 8 + int.from_bytes(sound[:8], "little")
    header = sound[8:start].ljust(LARGEST_HEADER + 8)
    assert_refused(path, packed(header, sound[start:]), "its header has 1,048,584 bytes; at most 1,048,576")


def test_more_tensors_than_any_model_has_are_refused(path: Path) -> None:
    tensors = {f"{number}": np.zeros(0, np.uint8) for number in range(MOST_TENSORS + 1)}
    entries = {name: entry([0], [0, 0], "U8") for name in tensors}
    assert_refused(path, crafted(entries, b"", tensors), "at most 1024 tensors")


def test_a_file_beyond_the_largest_size_is_refused_before_it_is_read(path: Path, sound: bytes) -> None:
    os.truncate(path, LARGEST_FILE + 1)
    with pytest.raises(DamagedFileError, match="it has 2,147,483,649 bytes; at most"):
        read_tensor_file(path, FORMAT)


def test_a_missing_file_is_named_as_such(path: Path) -> None:
    for missing in (path, path / "below", path.parent):
        with pytest.raises(DamagedFileError, match="there is no such file"):
            read_tensor_file(missing, FORMAT)


def test_a_name_that_no_file_can_have_is_refused(path: Path) -> None:
    with pytest.raises(DamagedFileError):
        read_tensor_file(path.with_name("a" * 300 + ".safetensors"), FORMAT)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="needs a file whose reading fails")
def test_a_file_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(DamagedFileError):
        read_tensor_file(Path("/proc/self/mem"), FORMAT)


def test_names_of_tensors_are_names_and_never_paths(path: Path) -> None:
    tensors = {"../../x": ONE, "/etc/passwd": ONE, "a\nb\0": ONE, "": ONE}
    write_tensor_file(path, FORMAT, "", tensors)
    assert set(read_tensor_file(path, FORMAT).tensors) == set(tensors)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    ("text", "phrase"),
    [('{"a": 1, "a": 1}', "a key stands twice: a"), ("[" * 100_000, "nested too deeply"), ("{", "Expecting")],
    ids=["a key twice", "nested deeply", "torn"],
)
def test_strict_json_refuses_what_readers_could_disagree_about(text: str, phrase: str) -> None:
    with pytest.raises(ValueError, match=phrase):
        load_strict_json(text)
