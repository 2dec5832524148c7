"""A checked container for arrays: a safetensors file with one JSON document and a SHA-256 over both.

safetensors carries no checksum (of 3,000 single flipped bits, 99 % loaded silently different), and its readers accept
duplicate keys, NaN and odd names. Here every byte is checked before an array is handed out; torch is not needed.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.files import write_bytes

METADATA_KEY = "reviewscope"
LARGEST_FILE = 2**31
LARGEST_HEADER = 2**20
MOST_TENSORS = 1_024
DTYPES: Mapping[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "U8": np.dtype("u1")}

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class TensorFile:
    """What a file held.

    Attributes:
        document: The JSON document as text.
        tensors: By name; read-only views of the file's bytes.
        sha256: Over the document and the tensors, whatever their order in the file.
        extra: A second document, which ``sha256`` does not cover: what was found out about the content. It has a
            SHA-256 of its own, over itself and ``sha256``. None when the file has none.
    """

    document: str
    tensors: Tensors
    sha256: str
    extra: str | None = None


class DamagedFileError(Exception):
    """Why a file cannot be trusted; ``advice`` says what to do when there is something better than another copy."""

    def __init__(self, reason: str, advice: str = "Use another copy of the file") -> None:
        super().__init__(reason)
        self.advice = advice


def write_tensor_file(path: Path, file_format: str, document: str, tensors: Tensors, extra: str | None = None) -> str:
    """Write a file atomically and return its SHA-256, in which ``extra`` has no part."""
    from safetensors.numpy import save

    contiguous = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    sha256 = hash_content(document, contiguous)
    # One key: safetensors writes several in an order of its own each time, and the bytes would not be reproducible.
    content = {"format": file_format, "document": document, "sha256": sha256}
    if extra is not None:
        content |= {"extra": extra, "extra_sha256": _hash_extra(sha256, extra)}
    write_bytes(path, save(contiguous, metadata={METADATA_KEY: json.dumps(content, ensure_ascii=False)}))
    return sha256


def read_tensor_file(path: Path, file_format: str) -> TensorFile:
    """Read a file, checking every byte.

    Raises:
        DamagedFileError: It is missing, of another kind, damaged, or holds a value that is not a finite number.
    """
    try:
        if not path.is_file():
            raise DamagedFileError("there is no such file", "Check the name")
        if (size := path.stat().st_size) > LARGEST_FILE:
            raise DamagedFileError(f"it has {size:,} bytes; at most {LARGEST_FILE:,} are accepted")
        data = path.read_bytes()
    except OSError as error:
        raise DamagedFileError(f"it cannot be read ({error.strerror or error})") from error
    header, start = _read_header(data)
    document, sha256, extra = _read_metadata(header.pop("__metadata__", None), file_format)
    tensors = _read_tensors(header, data, start)
    if hash_content(document, tensors) != sha256:
        raise DamagedFileError("its content does not match its SHA-256: it was damaged or altered")
    for name, tensor in tensors.items():
        if tensor.dtype.kind == "f" and not np.isfinite(tensor).all():
            raise DamagedFileError(f"the tensor {name[:60]!r} holds a value that is not a finite number")
    return TensorFile(document, tensors, sha256, extra)


def hash_content(document: str, tensors: Tensors) -> str:
    """Return the SHA-256 over a document and tensors, by name."""
    digest = hashlib.sha256(document.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(json.dumps([name, tensor.dtype.str, list(tensor.shape)]).encode())
        digest.update(np.ascontiguousarray(tensor).data)
    return digest.hexdigest()


def _hash_extra(sha256: str, extra: str) -> str:
    # Read before anything is known to be sound: half a character must not end in a traceback.
    return hashlib.sha256(f"{sha256} {extra}".encode(errors="surrogatepass")).hexdigest()


def load_strict_json(text: str | bytes) -> Any:
    """Parse JSON, refusing a key that stands twice.

    Raises:
        ValueError: It is not JSON, is nested too deeply, or repeats a key.
    """
    try:
        return json.loads(text, object_pairs_hook=_refuse_duplicates)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _read_header(data: bytes) -> tuple[dict[str, Any], int]:
    """Return the header and the place where the tensors' bytes begin."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > len(data) - 8:
        if data[:2] == b"PK" or data[:1] == b"\x80":  # a pickle's first byte can also begin a sound header's length
            raise DamagedFileError("it is a pickle or zip archive, which can run code", "Export it as .safetensors")
        raise DamagedFileError("it is cut short or not a .safetensors file")
    if length > LARGEST_HEADER:
        raise DamagedFileError(f"its header has {length:,} bytes; at most {LARGEST_HEADER:,} are accepted")
    try:
        header = load_strict_json(data[8 : 8 + length])
    except ValueError as error:
        raise DamagedFileError(f"its header is damaged ({str(error)[:120]})") from error
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise DamagedFileError(f"its header is not a list of at most {MOST_TENSORS} tensors")
    return header, 8 + length


def _read_metadata(metadata: Any, file_format: str) -> tuple[str, str, str | None]:
    """Return the document, the SHA-256 that the header states, and the second document."""
    try:
        content = load_strict_json(metadata[METADATA_KEY])
        found, document, sha256 = content["format"], content["document"], content["sha256"]
        str(document).encode()  # half a character cannot be hashed
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFileError("it is not a file of Reviewscope", "Export it with Reviewscope") from error
    if found != file_format:
        raise DamagedFileError(f"it says that it is a {ascii(found)[:60]} file; a {file_format} file was expected")
    extra = content.get("extra")
    allowed = {"format", "document", "sha256"} | ({"extra", "extra_sha256"} if isinstance(extra, str) else set())
    if set(metadata) != {METADATA_KEY} or set(content) != allowed or not isinstance(document, str):
        raise DamagedFileError(
            "its metadata is not format, document and sha256 alone, or those and an extra document with its own"
        )
    if extra is not None and content["extra_sha256"] != _hash_extra(str(sha256), extra):
        raise DamagedFileError("its extra document does not match its SHA-256: it was damaged or altered")
    return document, sha256, extra


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError("a key stands twice: " + ", ".join(sorted({key[:40] for key in keys if keys.count(key) > 1})))
    return dict(pairs)


def _read_tensors(header: dict[str, Any], data: bytes, start: int) -> dict[str, NDArray[Any]]:
    """Return the tensors, which must fill the rest of the file without gap or overlap."""
    tensors, expected = {}, 0
    try:
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            begin, end = entry["data_offsets"]
            dtype, shape = DTYPES[entry["dtype"]], entry["shape"]
            numbers = [begin, end, *shape]
            whole = type(shape) is list and all(type(number) is int and number >= 0 for number in numbers)
            if not whole or set(entry) != {"dtype", "shape", "data_offsets"} or begin != expected:
                raise ValueError(f"tensor {name[:60]!r} is described wrongly")
            if end - begin != math.prod(shape) * dtype.itemsize or start + end > len(data):
                raise ValueError(f"tensor {name[:60]!r} has {end - begin:,} bytes; its shape needs another number")
            tensors[name] = np.frombuffer(data, dtype, math.prod(shape), start + begin).reshape(shape)
            expected = end
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DamagedFileError(f"its list of tensors is damaged ({str(error)[:160]})") from error
    if start + expected != len(data):
        raise DamagedFileError(f"it has {len(data):,} bytes; its header describes {start + expected:,}")
    return tensors
