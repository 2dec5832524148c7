"""Fine-tuning of a pretrained Transformer encoder (Devlin et al. 2019) through ``transformers``, an optional extra.

What is built is stated by ``Base``, whose fields are all within bounds; no code of a hub or folder is run, and weights
come from safetensors files alone. A trained model's file holds all of it and needs neither hub nor folder again.
"""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.config import PretrainedConfig
from core.errors import ConfigError
from core.models.base import VectorModel
from core.models.bilstm import beyond_end
from core.models.layers import Dropout
from core.models.transformer import mean_states
from core.preprocessing.pretrained_base import FRAME, TYPED, Base, BaseFiles
from core.tensor_file import DamagedFileError

if TYPE_CHECKING:
    from transformers import PretrainedConfig as TheirConfig
    from transformers import PreTrainedModel

EXTRA = "transformers"
INSTALL = "Install it: pip install -r requirements-pretrained.txt"
WORD_VECTORS = "embeddings.word_embeddings.weight"
LAYER = r"(?:encoder|transformer)\.layer\.(\d+)\."


class Pretrained(VectorModel):
    """A base's encoder over its word vectors, pooling, dropout, one linear unit.

    Token ids are in ``Base.order``. The marks that a base expects around each text are added here, to the vectors.

    Args:
        config: Dropout, pooling, and how many layers keep their weights.
        base: What the encoder looks like; its weights are random until ``start_from``.
    """

    def __init__(self, config: PretrainedConfig, base: Base) -> None:
        super().__init__()
        self.base, self.frame = base, base.frame
        self.pooling = config.pooling
        self.encoder = build_encoder(base, config.dropout)
        self.embedding = nn.Embedding(base.vocabulary, base.width, padding_idx=0)
        self.dropout = Dropout(config.dropout)
        self.fc = nn.Linear(base.width, 1)
        if config.frozen_layers:
            frozen = {"embedding", "positions", *(f"encoder_layer_{n}" for n in range(1, config.frozen_layers + 1))}
            for name, parameters in self.layers.items():
                for parameter in parameters if name in frozen else ():
                    parameter.requires_grad_(False)

    def read_vectors(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self._pool(vectors, lengths))).squeeze(1)
        return logits

    def represent(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the pooled states, float32 (B, W); takes what ``forward`` takes."""
        return self._pool(self.embedding(token_ids), lengths).float()

    def _pool(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        texts, _, width = vectors.shape
        first, last = self.embedding.weight[self.frame].to(vectors.dtype)
        framed = torch.cat([first.expand(texts, 1, width), vectors, last.expand(texts, 1, width)], dim=1)
        places = torch.arange(framed.shape[1], device=vectors.device)
        framed = torch.where((places == lengths[:, None] + 1)[:, :, None], last, framed)
        stated = {"position_ids": (places + self.base.first_place).expand(texts, -1)}
        if self.base.architecture in TYPED:
            stated["token_type_ids"] = torch.zeros_like(stated["position_ids"])
        is_real = ~beyond_end(lengths + FRAME, len(places))
        states = self.encoder(inputs_embeds=framed, attention_mask=is_real.long(), **stated).last_hidden_state
        return states[:, 0] if self.pooling == "first" else mean_states(states, lengths + FRAME)

    def start_from(self, learnt: Mapping[str, NDArray[np.float32]]) -> None:
        """Take a base's weights, by the names of ``load_weights``."""
        weights = {name: torch.from_numpy(value) for name, value in learnt.items()}
        with torch.no_grad():
            self.embedding.weight.copy_(weights.pop(WORD_VECTORS)[torch.from_numpy(self.base.order)])
        self.encoder.load_state_dict(weights)

    @property
    def layers(self) -> dict[str, Sequence[Tensor]]:
        groups: dict[str, list[Tensor]] = {"embedding": [self.embedding.weight]}
        for name, parameter in self.encoder.named_parameters():
            layer = re.match(LAYER, name)
            group = f"encoder_layer_{int(layer[1]) + 1}" if layer else "positions"
            groups.setdefault(group, []).append(parameter)
        return {**groups, "fc": list(self.fc.parameters())}


def build_encoder(base: Base, dropout: float) -> "PreTrainedModel":
    """Return an encoder with random weights and without word vectors, which ``Pretrained`` holds itself.

    Raises:
        ConfigError: The extra is not installed.
    """
    require_extra()
    from transformers import AutoModel

    options = {} if base.architecture == "mpnet" else {"attn_implementation": "sdpa"}
    encoder: PreTrainedModel = AutoModel.from_config(_their_config(base, dropout), trust_remote_code=False, **options)
    encoder.set_input_embeddings(nn.Identity())
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # reads the first state for a task of the pretraining; ours is learnt anew
    for module in encoder.modules():
        module._buffers.clear()  # counts of places, which are stated with each batch; a model file holds none
    return encoder


def load_weights(files: BaseFiles) -> dict[str, NDArray[np.float32]]:
    """Read a base's weights, float32, by their names in ``transformers``.

    Raises:
        ConfigError: The extra is not installed, or the weights are not those of the base's config.json.
    """
    require_extra()
    from transformers import AutoModel
    from transformers.utils import logging

    logging.set_verbosity_error()  # that the pooler, which is not used, has no weights is no news
    logging.disable_progress_bar()
    try:
        encoder, report = AutoModel.from_pretrained(
            files.folder, config=_their_config(files.base, 0.0), trust_remote_code=False, use_safetensors=True,
            local_files_only=True, dtype=torch.float32, output_loading_info=True,
        )  # fmt: skip
    except Exception as error:  # the library raises errors of many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise ConfigError(f"The weights in {files.folder} cannot be read: {reason}. Use another copy of it.") from error
    weights = {name: value.numpy() for name, value in encoder.state_dict().items() if not name.startswith("pooler.")}
    lacking = sorted(name for name in weights if name in report["missing_keys"])
    odd = sorted(name for name, value in weights.items() if not np.isfinite(value).all())
    if lacking or odd:
        raise ConfigError(
            f"The weights in {files.folder} lack {lacking[:3]}, and of {odd[:3]} some are no numbers. They are not "
            "those of its config.json: use another copy of the encoder."
        )
    return weights


def require_extra() -> None:
    """Raise ConfigError where the optional extra is not installed."""
    if not has_extra():
        raise ConfigError(f"A pretrained encoder needs the optional package {EXTRA}. {INSTALL}.")


def has_extra() -> bool:
    """Tell whether the optional extra is installed."""
    return importlib.util.find_spec(EXTRA) is not None


def refuse_file_without_extra() -> None:
    """Raise DamagedFileError, with what to do, where a model file cannot be opened for lack of the extra."""
    if not has_extra():
        raise DamagedFileError(f"it holds a pretrained encoder, which needs the optional package {EXTRA}", INSTALL)


def _their_config(base: Base, dropout: float) -> "TheirConfig":
    """Return what ``transformers`` builds from; attention weights are never silenced, which is slow on CPU."""
    from transformers import BertConfig, DistilBertConfig, MPNetConfig, RobertaConfig

    shared: dict[str, Any] = {
        "vocab_size": base.vocabulary, "max_position_embeddings": base.positions, "pad_token_id": base.pad,
    }  # fmt: skip
    if base.architecture == "distilbert":
        return DistilBertConfig(
            dim=base.width, n_layers=base.layers, n_heads=base.heads, hidden_dim=base.feed_forward,
            activation=base.activation, dropout=dropout, attention_dropout=0.0, **shared,
        )  # fmt: skip
    shared |= {
        "hidden_size": base.width, "num_hidden_layers": base.layers, "num_attention_heads": base.heads,
        "intermediate_size": base.feed_forward, "hidden_act": base.activation, "layer_norm_eps": base.norm_epsilon,
        "hidden_dropout_prob": dropout, "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    if base.architecture == "mpnet":
        return MPNetConfig(**shared)
    kind = BertConfig if base.architecture == "bert" else RobertaConfig
    return kind(type_vocab_size=base.types, **shared)
