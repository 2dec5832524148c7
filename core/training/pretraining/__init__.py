"""What a model learns from texts alone, before its training sees a label; kept, so that it is learnt once.

A module of this package offers ``signature(config)``, the settings that its result depends on, and ``learn(task,
folder)``, which leaves pieces in the folder to go on from after a kill.
"""

import hashlib
import importlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from core import settings
from core.config import RunConfig
from core.preprocessing.encoders import Encoder
from core.tensor_file import DamagedFileError, read_tensor_file, write_tensor_file
from core.training.learnt_before import mark_learnt
from core.training.watcher import Watcher

FORMAT = "reviewscope-pretraining/1"
Learnt = dict[str, NDArray[np.float32]]
PRETRAINING: Mapping[str, str] = {
    "base": "core.training.pretraining.base",
    "document_vectors": "core.training.pretraining.document_vectors",
    "word2vec": "core.training.pretraining.word2vec",
    "file": "core.training.pretraining.vectors_file",
    "language_model": "core.training.pretraining.language_model",
}


@dataclass(frozen=True)
class Task:
    """What is to be learnt from.

    Attributes:
        config: The run's settings.
        encoder: Of the model that will start from it.
        texts: large_string (N), the L training reviews first, then those without a label.
        labels: int64 (L), of the training reviews; validation is not among them.
        watcher: Is told of progress; when it asks to stop, ``StopAsked`` is raised and the pieces stay.
    """

    config: RunConfig
    encoder: Encoder
    texts: pa.Array
    labels: NDArray[np.int64]
    watcher: Watcher


class Pretraining(Protocol):
    """What a module of this package offers."""

    def signature(self, config: RunConfig) -> str:
        """Return the settings that the result depends on, the seed among them where something is drawn."""

    def learn(self, task: Task, folder: Path) -> Learnt:
        """Return what is learnt: the same for the same task and thread count, however often it was killed.

        What may be kept in half precision comes in it.

        Raises:
            StopAsked: The watcher asked for it.
            ReviewscopeError: It cannot be learnt.
        """


def pretrain(task: Task) -> Learnt:
    """Return what the settings' ``pretraining`` learns, from the cache where it was learnt before.

    Its notices are kept with it and given again. Torch's random generator is left as it was.

    Raises:
        StopAsked: The watcher asked to stop.
        ReviewscopeError: It cannot be learnt.
    """
    name = task.config.model.pretraining
    assert name is not None
    method: Pretraining = importlib.import_module(PRETRAINING[name])
    if not getattr(method, "IS_KEPT", True):
        with torch.random.fork_rng(devices=[]):
            return method.learn(task, settings.home())
    folder = pretraining_folder(task, name, method.signature(task.config))
    result = folder / "result.safetensors"
    try:
        kept = read_tensor_file(result, FORMAT)
        for notice in json.loads(kept.document).get("notices", []):
            task.watcher.on_notice(notice)
        mark_learnt(task.config, result)
        return {name: np.array(value, np.float32) for name, value in kept.tensors.items()}
    except DamagedFileError:
        folder.mkdir(parents=True, exist_ok=True)
    notices: list[str] = []

    def keep_notice(sentence: str) -> None:
        notices.append(sentence)
        task.watcher.on_notice(sentence)

    with torch.random.fork_rng(devices=[]):
        learnt = method.learn(replace(task, watcher=replace(task.watcher, on_notice=keep_notice)), folder)
    write_tensor_file(result, FORMAT, json.dumps({"pretraining": name, "notices": notices}), learnt)
    for path in folder.iterdir():
        if path != result:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    mark_learnt(task.config, result)
    return {name: np.asarray(value, np.float32) for name, value in learnt.items()}


def pretraining_folder(task: Task, name: str, signature: str) -> Path:
    """Return where a result is kept: by all that it depends on."""
    digest = hashlib.sha256(f"{name} {signature} {torch.get_num_threads()}".encode())
    for array_name, array in sorted(task.encoder.arrays().items()):
        digest.update(array_name.encode() + array.tobytes())
    digest.update(task.labels.tobytes())
    for text in task.texts.to_pylist():
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return settings.home() / "cache" / "pretraining" / digest.hexdigest()[:32]
