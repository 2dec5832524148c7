"""A teacher's lesson: a stronger model is trained first, and its probabilities for unlabelled reviews are learnt from.

Hinton, Vinyals & Dean (2015), "Distilling the Knowledge in a Neural Network", with reviews that nobody labelled as the
transfer set, and calibrated probabilities as soft targets.
"""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from core.config import RunConfig, on_same_data
from core.models.model_file import load_model_file
from core.prediction.predictor import Predictor
from core.tensor_file import DamagedFileError, read_tensor_file, write_tensor_file
from core.training.members import TARGETS_FOLDER, TEACHER_SEED, TrainedMember, TrainingData, member_folder, train_member
from core.training.trainer import prepare_torch
from core.training.unlabelled import Unlabelled
from core.training.watcher import StopAsked, Watcher

FORMAT = "reviewscope-targets/1"
PIECE = 2_000  # texts; what a kill costs is at most one piece


@dataclass(frozen=True)
class Lesson:
    """What a teacher says.

    Attributes:
        targets: Its calibrated probabilities of positive, float32 (U).
        seconds: That its training and its scoring took, in all processes.
        seconds_here: Those of them that this process spent just now.
    """

    targets: NDArray[np.float32]
    seconds: float
    seconds_here: float


def teacher_config(config: RunConfig) -> RunConfig:
    """Return the settings of a config's teacher: it holds back the same validation reviews as the student."""
    assert config.training.teacher is not None
    return on_same_data(config.training.teacher, config, TEACHER_SEED)


def teach(config: RunConfig, data: TrainingData, unlabelled: Unlabelled, watcher: Watcher) -> Lesson:
    """Return what a config's teacher says of U unlabelled reviews, from the cache as far as it is there.

    Raises:
        StopAsked: The watcher asked to stop; what is done so far stays.
        ReviewscopeError: The teacher cannot be trained.
    """
    began = time.monotonic()
    chosen = teacher_config(config)
    teacher = train_member(chosen, data, watcher, "Teacher")
    folder = member_folder(chosen, data.fingerprint) / TARGETS_FOLDER / unlabelled.fingerprint[:32]
    targets, seconds = _score(teacher, unlabelled.texts, folder, watcher)
    return Lesson(targets, teacher.seconds + seconds, time.monotonic() - began)


def _score(
    teacher: TrainedMember, texts: pa.Array, folder: Path, watcher: Watcher
) -> tuple[NDArray[np.float32], float]:
    """Return the probabilities of texts and the seconds that scoring took, now and earlier; pieces stay in a folder."""
    prepare_torch(TEACHER_SEED)
    loaded = load_model_file(teacher.model_file)
    predictor = Predictor(loaded, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    watcher.on_phase("Teacher: scoring the reviews without a label", len(texts))
    targets, seconds = [], 0.0
    for start in range(0, len(texts), PIECE):
        piece, path = texts.slice(start, PIECE), folder / f"{start}.safetensors"
        found = _read_piece(path, predictor.sha256, len(piece))
        if found is not None:
            watcher.on_resume(len(piece))
        else:
            if watcher.should_stop():
                raise StopAsked
            began = time.monotonic()
            values = predictor.predict(piece, watcher.on_progress).intensities.astype(np.float32)
            found = values, time.monotonic() - began
            folder.mkdir(parents=True, exist_ok=True)
            about = json.dumps({"model": predictor.sha256, "seconds": found[1]})
            write_tensor_file(path, FORMAT, about, {"targets": values})
        targets.append(found[0])
        seconds += found[1]
    return np.concatenate(targets), seconds


def _read_piece(path: Path, sha256: str, count: int) -> tuple[NDArray[np.float32], float] | None:
    """Return a piece and the seconds that it took, or None when it is not there, damaged, or of another model."""
    try:
        file = read_tensor_file(path, FORMAT)
        about, values = json.loads(file.document), file.tensors["targets"]
        return (values, float(about["seconds"])) if about["model"] == sha256 and len(values) == count else None
    except (DamagedFileError, ValueError, KeyError):
        return None
