"""What a pretrained encoder brings along: its sizes and its tokenizer, read as data from a folder or the hub.

Nothing of it is run. Of its ``config.json`` only the fields of four known architectures are read, each within bounds;
of its ``tokenizer.json`` only parts of known kinds.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError, model_validator
from tokenizers import Tokenizer

from core.config import Section, describe_faults
from core.errors import ConfigError
from core.tensor_file import load_strict_json

HUB_TIMEOUT_SECONDS = 8.0
HUB_NAME = r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?"
HUB_FILES = ["config.json", "tokenizer.json", "model*.safetensors", "model.safetensors.index.json"]
MOST_PARAMETERS = 450_000_000  # in a model file of at most 2 GB
LARGEST_TOKENIZER = 2**26
LONGEST_WORD = 1_000
FRAME = 2  # the marks before and after each text

Architecture = Literal["bert", "distilbert", "roberta", "mpnet"]
COMMON_NAMES = {
    "vocabulary": "vocab_size", "width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
    "feed_forward": "intermediate_size", "positions": "max_position_embeddings", "activation": "hidden_act",
    "norm_epsilon": "layer_norm_eps", "types": "type_vocab_size", "pad": "pad_token_id",
}  # fmt: skip
# How each architecture's config.json calls the fields of ``Base``.
NAMES: Mapping[str, Mapping[str, str]] = {
    "bert": COMMON_NAMES,
    "roberta": COMMON_NAMES,
    "mpnet": {ours: theirs for ours, theirs in COMMON_NAMES.items() if ours != "types"},
    "distilbert": {
        "vocabulary": "vocab_size", "width": "dim", "layers": "n_layers", "heads": "n_heads",
        "feed_forward": "hidden_dim", "positions": "max_position_embeddings", "activation": "activation",
        "pad": "pad_token_id",
    },
}  # fmt: skip
USUAL_PAD = {"bert": 0, "distilbert": 0, "roberta": 1, "mpnet": 1}
MPNET_DISTANCES = 32  # of its relative positions; its code knows no other number
# Settings that would make another network of the same architecture's name.
EXPECTED: Mapping[str, Any] = {
    "position_embedding_type": "absolute", "is_decoder": False, "add_cross_attention": False,
    "relative_attention_num_buckets": MPNET_DISTANCES,
}  # fmt: skip
TOKENIZER_PARTS = ("normalizer", "pre_tokenizer", "model")
KNOWN_PARTS: Mapping[str, tuple[str, ...]] = {
    "normalizer": ("BertNormalizer", "Lowercase", "StripAccents", "NFC", "NFD", "NFKC", "NFKD"),
    "pre_tokenizer": ("BertPreTokenizer", "ByteLevel", "Whitespace", "WhitespaceSplit", "Punctuation"),
    "model": ("WordPiece", "BPE"),
}


class Base(Section):
    """A pretrained encoder's sizes, and the ids of its tokenizer that have a meaning of their own.

    Attributes:
        types: Kinds of segments; an architecture without them has none.
        pad, unknown: Ids of padding and of what has no piece.
        first, last: Ids of the marks that stand before and after each text.
    """

    model_config = ConfigDict(strict=True)

    architecture: Architecture
    vocabulary: int = Field(ge=5, le=1_000_000)
    width: int = Field(ge=1, le=4_096)
    layers: int = Field(ge=1, le=48)
    heads: int = Field(ge=1, le=64)
    feed_forward: int = Field(ge=1, le=16_384)
    positions: int = Field(ge=5, le=8_194)
    types: int = Field(0, ge=0, le=16)
    activation: Literal["gelu", "gelu_new", "relu"] = "gelu"
    norm_epsilon: float = Field(1e-12, gt=0.0, le=1e-3)
    pad: int = Field(ge=0)
    unknown: int = Field(ge=0)
    first: int = Field(ge=0)
    last: int = Field(ge=0)

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"its width, {self.width}, is not a multiple of its heads, {self.heads}")
        if max(self.pad, self.unknown, self.first, self.last) >= self.vocabulary:
            raise ValueError("the id of a mark is beyond its vocabulary")
        if self.pad == self.unknown or self.most_pieces < 1 or (self.types == 0) == (self.architecture in TYPED):
            raise ValueError("its sizes do not fit its architecture")
        if self.parameters > MOST_PARAMETERS:
            raise ValueError(f"it has about {self.parameters:,} parameters; at most {MOST_PARAMETERS:,} are accepted")
        return self

    @property
    def first_place(self) -> int:
        """Return the position of the first token; two architectures leave out those up to padding's id."""
        return self.pad + 1 if self.architecture in ("roberta", "mpnet") else 0

    @property
    def most_pieces(self) -> int:
        """Return the most pieces of a text, without the marks."""
        return self.positions - self.first_place - FRAME

    @property
    def parameters(self) -> int:
        """Return about how many numbers it has."""
        layer = 4 * self.width * self.width + 2 * self.width * self.feed_forward
        return (self.vocabulary + self.positions) * self.width + self.layers * layer

    @property
    def order(self) -> NDArray[np.int64]:
        """Return the base's ids in the order of ours, int64 (vocabulary): padding is 0, unknown 1, others follow."""
        others = np.setdiff1d(np.arange(self.vocabulary), [self.pad, self.unknown])
        return np.concatenate([[self.pad, self.unknown], others])

    @property
    def frame(self) -> list[int]:
        """Return our ids of the marks before and after each text."""
        order = self.order
        return [int(np.flatnonzero(order == mark)[0]) for mark in (self.first, self.last)]

    def to_json(self) -> str:
        """Return the one spelling that is stored."""
        return self.model_dump_json()


TYPED = ("bert", "roberta")


@dataclass(frozen=True)
class BaseFiles:
    """What was read of a pretrained encoder.

    Attributes:
        folder: Where its weights lie.
        tokenizer: The parts of its tokenizer that cut a text, as JSON.
    """

    folder: Path
    base: Base
    tokenizer: bytes


def load_base(name: str | None) -> BaseFiles:
    """Read a pretrained encoder's sizes and tokenizer.

    Args:
        name: A folder, or a name on the hub.

    Raises:
        ConfigError: It cannot be had, or is not an encoder of a known kind.
    """
    folder = _find_folder(name)
    config = _read_json(folder, "config.json")
    tokenizer = _read_json(folder, "tokenizer.json")
    if not any(folder.glob("model*.safetensors")):
        raise ConfigError(
            f"{name}: there is no model.safetensors in {folder}. Only that kind of file is opened, as others can carry "
            "code: choose a base that offers one."
        )
    try:
        base = _read_base(config, tokenizer)
        return BaseFiles(folder, base, trim_tokenizer(tokenizer, base))
    except ValidationError as error:
        raise ConfigError(f"{name}: its config.json is out of bounds: {describe_faults(error)[:300]}.") from error
    except ValueError as error:
        raise ConfigError(f"{name} is not a pretrained encoder that can be fine-tuned here: {error}.") from error


def trim_tokenizer(document: Mapping[str, Any], base: Base) -> bytes:
    """Return what cuts a text, as JSON: without the marks, so that no review can write one.

    Raises:
        ValueError: A part is of no known kind, or there is an id that the base has not.
    """
    parts = {name: document.get(name) for name in TOKENIZER_PARTS}
    trimmed: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "post_processor": None,
    }
    data = json.dumps(trimmed | {"decoder": None} | parts, ensure_ascii=False, sort_keys=True).encode()
    build_tokenizer(data, base)
    return data


def build_tokenizer(data: bytes, base: Base) -> Tokenizer:
    """Return the tokenizer that ``trim_tokenizer`` wrote down; it may come from a stranger.

    Raises:
        ValueError: It is none, or there is an id that the base has not.
    """
    if len(data) > LARGEST_TOKENIZER:
        raise ValueError(f"its tokenizer has {len(data):,} bytes; at most {LARGEST_TOKENIZER:,} are accepted")
    document = load_strict_json(data)
    if not isinstance(document, dict) or document.get("added_tokens") or document.get("post_processor"):
        raise ValueError("its tokenizer is not the parts that cut a text alone")
    for name in TOKENIZER_PARTS:
        _check_part(name, document.get(name))
    model = document["model"]
    ids = model.get("vocab")
    if not isinstance(ids, dict) or not ids or not all(type(each) is int for each in ids.values()):
        raise ValueError("its tokenizer has no vocabulary")
    if sorted(ids.values()) != list(range(len(ids))) or len(ids) > base.vocabulary:
        raise ValueError(f"its tokenizer has ids other than those from 0 to below {base.vocabulary:,}")
    if model["type"] == "WordPiece" and model.get("unk_token") not in ids:
        raise ValueError("its tokenizer has no piece for what is unknown")
    longest = model.get("max_input_chars_per_word", 100)
    if model.get("dropout") or type(longest) is not int or not 0 < longest <= LONGEST_WORD:
        raise ValueError("its tokenizer cuts words by chance, or words without bounds")
    try:
        return Tokenizer.from_str(data.decode())
    except Exception as error:  # the library raises nothing more particular
        raise ValueError(f"its tokenizer cannot be built ({str(error)[:120]})") from error


def _check_part(name: str, part: Any) -> None:
    """Refuse a part of a tokenizer that is of no known kind; patterns of a stranger's are never run."""
    if part is None and name != "model":
        return
    kind = part.get("type") if isinstance(part, dict) else None
    inner = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers"}.get(name, "")
    if kind == "Sequence" and isinstance(members := part.get(inner), list):
        for member in members:
            if not isinstance(member, dict) or member.get("type") not in KNOWN_PARTS[name]:
                raise ValueError(f"its tokenizer's {name} is of a kind that is not known here")
    elif kind not in KNOWN_PARTS[name]:
        raise ValueError(f"its tokenizer's {name} is of the kind {str(kind)[:40]!r}, which is not known here")


def _read_base(config: Mapping[str, Any], tokenizer: Mapping[str, Any]) -> Base:
    kind = str(config.get("model_type"))
    if kind not in NAMES:
        raise ValueError(f"its model_type is {kind[:40]!r}; known are {', '.join(NAMES)}")
    for name, expected in EXPECTED.items():
        if config.get(name, expected) not in (expected, None):
            raise ValueError(f"its {name} is {str(config[name])[:40]!r}; {expected!r} was expected")
    fields = {ours: config[theirs] for ours, theirs in NAMES[kind].items() if config.get(theirs) is not None}
    fields = {"types": 2 if kind in TYPED else 0, "pad": USUAL_PAD[kind]} | fields
    for name in TOKENIZER_PARTS:
        _check_part(name, tokenizer.get(name))
    try:
        whole = Tokenizer.from_str(json.dumps({**tokenizer, "truncation": None, "padding": None}))
    except Exception as error:  # the library raises nothing more particular
        raise ValueError(f"its tokenizer.json cannot be read ({str(error)[:120]})") from error
    marks = whole.encode("").ids
    if len(marks) != FRAME:
        raise ValueError(f"its tokenizer puts {len(marks)} marks around a text; 2 were expected")
    unknown = [whole.token_to_id(token) for token in ("[UNK]", "<unk>") if whole.token_to_id(token) is not None]
    if not unknown:
        raise ValueError("its tokenizer has no piece for what is unknown")
    return Base.model_validate(
        {"architecture": kind, "unknown": unknown[0], "first": marks[0], "last": marks[1]} | fields
    )


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        document = load_strict_json((folder / name).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder / name} cannot be read: {str(error)[:200]}. A folder of a pretrained encoder holds config.json, "
            "tokenizer.json and model.safetensors."
        ) from error
    if not isinstance(document, dict):
        raise ConfigError(f"{folder / name} does not hold a JSON object. Use another copy of the encoder.")
    return document


def _find_folder(name: str | None) -> Path:
    if not name:
        raise ConfigError(
            "model.base is empty. Set it to a folder with a pretrained encoder, or to its name on the hub."
        )
    try:
        if (folder := Path(name).expanduser()).is_dir():
            return folder.absolute()
    except (OSError, RuntimeError, ValueError):
        pass  # no name that a folder could have
    if not re.fullmatch(HUB_NAME, name):
        raise ConfigError(f"model.base: there is no folder {name[:200]!r}, and it is no name on the hub either.")
    return _fetch_folder(name)


def _fetch_folder(name: str) -> Path:
    """Fetch an encoder from the hub, or from the hub's cache on this machine when the hub does not answer soon."""
    from huggingface_hub import HfApi, snapshot_download

    answer = ""
    try:
        HfApi().model_info(name, timeout=HUB_TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001 (whatever is in the way, the cache is asked next)
        answer = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    try:
        return Path(snapshot_download(name, allow_patterns=HUB_FILES, local_files_only=bool(answer)))
    except Exception as error:  # the hub's client raises errors of many libraries
        why = answer or (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ConfigError(
            f"The pretrained encoder {name} could not be fetched from the hub: {why}. Check the name, connect to the "
            "internet once, or set model.base to a folder that holds it."
        ) from error
