"""One file holds a whole model: weights, encoder, architecture and labels. It is data, never code.

A file may come from a stranger. All that can be checked is checked before anything is built, and most of it before
torch is imported: what is wrong is said at once.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, ValidationError, model_validator

from core.config import (
    LABELS,
    PLACES_WITHOUT_END,
    ModelConfig,
    PreprocessingConfig,
    Section,
    describe_faults,
    lacks_places,
    plain_document,
)
from core.errors import ModelFileError
from core.tensor_file import (
    DTYPES,
    DamagedFileError,
    TensorFile,
    Tensors,
    load_strict_json,
    read_tensor_file,
    write_tensor_file,
)

if TYPE_CHECKING:
    from torch import Tensor

    from core.models.base import SentimentModel
    from core.preprocessing.encoders import Encoder

FORMAT = "reviewscope-model/1"
REFUSED_SUFFIXES = {".pt", ".pth", ".bin", ".pkl", ".pickle", ".zip", ".h5", ".ckpt"}
MODEL_PREFIX, ENCODER_PREFIX = "model.", "encoder."
LEAST_TEMPERATURE, MOST_TEMPERATURE = 0.05, 20.0
Count = Annotated[int, Field(ge=0, le=10**9)]


class Architecture(Section):
    """All that is needed to build an empty model and to read texts the way it does."""

    preprocessing: PreprocessingConfig
    model: ModelConfig
    labels: tuple[str, str] = LABELS
    dtype: Literal["F32", "F16"] = "F32"

    def to_json(self) -> str:
        """Return the one spelling that is stored and hashed."""
        sections = {"preprocessing": plain_document(self.preprocessing), "model": plain_document(self.model)}
        document = self.model_dump(mode="json") | sections
        return json.dumps(document, sort_keys=True, separators=(",", ":"))


class Reference(Section):
    """What the validation reviews of a training looked like, so that a stranger's file can be held beside them.

    It holds counts and shares alone, no text. Words are tokens with a letter or a digit.

    Attributes:
        words: The 5, 25, 50, 75 and 95 % quantiles of a review's length in words.
        unknown: Share of all words that the vocabulary does not hold.
        rates: How often each of the vocabulary's first words stands in a million words.
        language: The language that most of the reviews look like; None where none is clear.
        confidence: Mean calibrated confidence.
        bins: Reviews, and those of them labelled positive, in each bin of ``core.prediction.fit.BIN_EDGES``.
    """

    words: tuple[Count, Count, Count, Count, Count]
    unknown: float = Field(ge=0.0, le=1.0)
    rates: tuple[Count, ...] = Field(max_length=1_000)
    language: str | None = Field(max_length=40)
    confidence: float = Field(ge=0.5, le=1.0)
    bins: tuple[tuple[Count, Count], ...] = Field(max_length=100)

    @model_validator(mode="after")
    def _count_the_positive_among_all(self) -> Self:
        if any(positive > n for n, positive in self.bins):
            raise ValueError("a bin counts more positive reviews than reviews")
        return self


class Calibration(Section):
    """What validation said of a model's probabilities: its logits divided by the temperature give honest ones."""

    model_config = ConfigDict(strict=True)

    temperature: float = Field(ge=LEAST_TEMPERATURE, le=MOST_TEMPERATURE, description="1 changes nothing.")
    n: int = Field(ge=1, description="Validation reviews that it was fitted on.")
    reference: Reference | None = Field(None, description="What they looked like; files of earlier versions have none.")

    def to_json(self) -> str:
        """Return the one spelling that is stored; without a reference it is that of earlier versions."""
        document = self.model_dump(mode="json", exclude={"reference"} if self.reference is None else None)
        return json.dumps(document, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to score, with what it was built from.

    Attributes:
        sha256: Over weights, encoder and architecture, and nothing else.
        calibration: None when no validation was held when it was kept.
    """

    model: "SentimentModel"
    encoder: "Encoder"
    architecture: Architecture
    sha256: str
    calibration: Calibration | None = None


def save_model(
    path: Path,
    model: "SentimentModel",
    encoder: "Encoder",
    architecture: Architecture,
    calibration: Calibration | None = None,
) -> str:
    """Write a model file atomically and return the model's SHA-256, in which the calibration has no part.

    Weights are stored as ``architecture.dtype`` says; half precision halves the file and moves scores by about 1e-3.
    """
    weights = {
        MODEL_PREFIX + name: value.cpu().numpy().astype(_stored_type(value, architecture))
        for name, value in model.state_dict().items()
    }
    arrays = {ENCODER_PREFIX + name: value for name, value in encoder.arrays().items()}
    extra = calibration.to_json() if calibration else None
    return write_tensor_file(path, FORMAT, architecture.to_json(), weights | arrays, extra)


def load_model_file(path: Path) -> LoadedModel:
    """Read a model file, checking everything.

    Raises:
        ModelFileError: The file is missing, of another kind, damaged, or not what its architecture says.
    """
    try:
        refuse_foreign_suffix(path)
        file = read_tensor_file(path, FORMAT)
        architecture, calibration = read_architecture(file.document), read_calibration(file)
        model, encoder = _build(architecture, file.tensors)
    except DamagedFileError as error:
        raise ModelFileError(f"Cannot load the model {path.name[:80]!r}: {error}. {error.advice}.") from error
    return LoadedModel(model, encoder, architecture, file.sha256, calibration)


def load_calibration(path: Path) -> Calibration | None:
    """Return what a model file says of its probabilities, without building the model; torch is not needed.

    Raises:
        ModelFileError: The file is missing, damaged or of another kind.
    """
    try:
        refuse_foreign_suffix(path)
        return read_calibration(read_tensor_file(path, FORMAT))
    except DamagedFileError as error:
        raise ModelFileError(f"Cannot load the model {path.name[:80]!r}: {error}. {error.advice}.") from error


def is_sound_model(path: Path) -> bool:
    """Tell whether a file is there whose every byte is as it was written."""
    try:
        read_tensor_file(path, FORMAT)
    except DamagedFileError:
        return False
    return True


def refuse_foreign_suffix(path: Path) -> None:
    """Refuse the endings of files that can carry code.

    Raises:
        DamagedFileError: The ending is one of them.
    """
    if path.suffix.lower() in REFUSED_SUFFIXES:
        raise DamagedFileError(
            f"{path.suffix} files can run code when they are opened, or hide damage, and are never loaded",
            "Train the model again here, or export it with Reviewscope as .safetensors",
        )


def read_architecture(document: str) -> Architecture:
    """Return the architecture that a document describes.

    Raises:
        DamagedFileError: It is none, out of bounds, or not spelt as this version does.
    """
    try:
        architecture = Architecture.model_validate(load_strict_json(document))
    except ValidationError as error:
        raise DamagedFileError(f"its architecture is out of bounds: {describe_faults(error)[:300]}") from error
    except ValueError as error:
        raise DamagedFileError(f"its architecture is not readable ({str(error)[:120]})") from error
    if lacks_places(architecture.preprocessing, architecture.model):
        raise DamagedFileError(PLACES_WITHOUT_END.rstrip("."))
    if architecture.to_json() != document or architecture.labels != LABELS:
        raise DamagedFileError("its architecture is not one that this version writes", "Export it with this version")
    return architecture


def read_calibration(file: TensorFile) -> Calibration | None:
    """Return what a model file says of its probabilities.

    Raises:
        DamagedFileError: It is not a calibration, or out of bounds.
    """
    if file.extra is None:
        return None
    try:
        calibration = Calibration.model_validate(load_strict_json(file.extra))
    except ValidationError as error:
        raise DamagedFileError(f"its calibration is out of bounds: {describe_faults(error)[:300]}") from error
    except ValueError as error:
        raise DamagedFileError(f"its calibration is not readable ({str(error)[:120]})") from error
    if calibration.to_json() != file.extra:
        raise DamagedFileError("its calibration is not one that this version writes", "Export it with this version")
    return calibration


def _build(architecture: Architecture, tensors: Tensors) -> "tuple[SentimentModel, Encoder]":
    import torch

    from core.models.catalog import MODELS

    entry = MODELS[architecture.model.kind]
    encoder_arrays = _strip_prefix(tensors, ENCODER_PREFIX)
    weights = _strip_prefix(tensors, MODEL_PREFIX)
    if len(encoder_arrays) + len(weights) != len(tensors):
        raise DamagedFileError("it holds tensors that no model of ours has")
    odd = sorted(name for name, array in encoder_arrays.items() if array.dtype != np.uint8 or array.ndim != 1)
    if odd:
        raise DamagedFileError(f"these tensors of its encoder are not rows of bytes: {odd[:4]}")
    try:
        encoder = entry.restore_encoder(encoder_arrays, architecture)
    except KeyError as error:
        raise DamagedFileError(f"its encoder lacks the tensor {error}") from error
    except ModelFileError as error:
        raise DamagedFileError(str(error).rstrip(".")) from error
    if set(encoder.arrays()) != set(encoder_arrays):
        raise DamagedFileError(f"its encoder should hold {sorted(encoder.arrays())}; found {sorted(encoder_arrays)}")
    with torch.device("meta"):
        model = entry.build(architecture.model, encoder)
    own = model.state_dict()
    expected = {name: (tuple(value.shape), _stored_type(value, architecture)) for name, value in own.items()}
    found = {name: (value.shape, value.dtype) for name, value in weights.items()}
    if found != expected:
        odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
        raise DamagedFileError(f"these tensors do not have the names, shapes or types of its architecture: {odd[:4]}")
    # Copies: the file's bytes are read-only and torch would write through.
    state = {name: torch.from_numpy(value.astype(np.float32)).to(own[name].dtype) for name, value in weights.items()}
    model.load_state_dict(state, strict=True, assign=True)
    try:
        model.check()
    except ModelFileError as error:
        raise DamagedFileError(str(error).rstrip(".")) from error
    return model.eval(), encoder


def _stored_type(value: "Tensor", architecture: Architecture) -> np.dtype[Any]:
    """Return how a tensor is stored: one that a model itself keeps in half precision never wider."""
    return DTYPES["F16" if value.element_size() == 2 else architecture.dtype]


def _strip_prefix(tensors: Tensors, prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
