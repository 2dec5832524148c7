"""The weights of a pretrained encoder, read from its folder. Learnt elsewhere, they need no keeping here."""

from pathlib import Path

from core.config import PretrainedConfig, RunConfig
from core.errors import ConfigError
from core.models.pretrained import load_weights
from core.preprocessing.pretrained_base import load_base
from core.preprocessing.pretrained_encoder import PretrainedEncoder
from core.training.pretraining import Learnt, Task

IS_KEPT = False


def signature(config: RunConfig) -> str:
    """Return what names the encoder."""
    assert isinstance(config.model, PretrainedConfig)
    return str(config.model.base)


def learn(task: Task, folder: Path) -> Learnt:
    """Return the encoder's weights.

    Raises:
        ConfigError: They cannot be had, or are no longer those of the encoder that the texts were read with.
    """
    assert isinstance(task.config.model, PretrainedConfig) and isinstance(task.encoder, PretrainedEncoder)
    task.watcher.on_phase("Reading the pretrained encoder", 0)
    files = load_base(task.config.model.base)
    if files.base != task.encoder.base:
        raise ConfigError(f"{task.config.model.base} changed while it was read. Start again.")
    return load_weights(files)
