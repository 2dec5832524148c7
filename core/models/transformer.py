"""Transformer encoder from scratch (Vaswani et al. 2017), with the norm before each part (Xiong et al. 2020).

Norm first lets it train without a long warm-up. Padding has no influence: no real token looks at it, and what it would
look at itself is never read. Attention weights are not silenced while training: on CPU that would take the slow form of
torch's ``scaled_dot_product_attention``, and what each part adds is silenced anyway.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from core.config import TransformerConfig
from core.models.base import VectorModel
from core.models.bilstm import beyond_end, build_embedding, max_states
from core.models.layers import Dropout

LONGEST_WAVE = 10_000.0  # Vaswani et al. 2017, section 3.5
# Standard deviation of the vectors that training begins from, and of what is added for the place. Small ones are soon
# outgrown by what is learnt: with 1 for both, six epochs of the demo corpus led to 0.77 on validation, with these to
# 0.84.
VECTOR_SCALE, PLACE_SCALE = 0.1, 0.03


class SelfAttention(nn.Module):
    """Each token looks at all tokens of its text, in several heads.

    Args:
        width: Numbers in a state; a multiple of ``heads``.
        heads: Ways to look at once.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, states: Tensor, is_real: Tensor) -> Tensor:
        """Return what each token gathers.

        Args:
            states: float (B, T, W).
            is_real: bool (B, T), which places are tokens; at least one a text.

        Returns:
            float (B, T, W); finite also where there is no token.
        """
        queries, keys, values = self.inputs(states).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        gathered = functional.scaled_dot_product_attention(queries, keys, values, is_real[:, None, None])
        output: Tensor = self.output(gathered.transpose(1, 2).flatten(2))
        return output


class TransformerLayer(nn.Module):
    """Attention, then a network for each token by itself; each reads normed states and adds to them.

    Args:
        config: Width, heads, feed-forward width and dropout.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(config.width)
        self.attention = SelfAttention(config.width, config.heads)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, config.feed_forward),
            nn.GELU(),
            nn.Linear(config.feed_forward, config.width),
        )
        self.dropout = Dropout(config.dropout)

    def forward(self, states: Tensor, is_real: Tensor) -> Tensor:
        """Return the next states, float (B, T, W); takes what ``SelfAttention.forward`` takes."""
        states = states + self.dropout(self.attention(self.attention_norm(states), is_real))
        following: Tensor = states + self.dropout(self.feed_forward(states))
        return following


class Transformer(VectorModel):
    """Embedding plus positions, dropout, layers, norm, pooling, dropout, one linear unit.

    Args:
        config: Sizes, positions and pooling.
        vocabulary_size: Ids that exist, padding and unknown included.
        most_tokens: The longest text; needed for learnt positions alone.
    """

    def __init__(self, config: TransformerConfig, vocabulary_size: int, most_tokens: int | None) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.embedding = build_embedding(vocabulary_size, config.width)
        with torch.no_grad():
            self.embedding.weight.mul_(VECTOR_SCALE)
        self.positions: nn.Parameter | None = None
        if config.positions == "learnt":
            if most_tokens is None:
                raise ValueError("learnt positions need a longest text")
            self.positions = nn.Parameter(PLACE_SCALE * torch.randn(most_tokens, config.width))
        self.blocks = nn.ModuleList(TransformerLayer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.width)
        self.dropout = Dropout(config.dropout)
        self.fc = nn.Linear(config.width, 1)

    def read_vectors(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self._pool(vectors, lengths))).squeeze(1)
        return logits

    def represent(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the pooled states, float32 (B, W); takes what ``forward`` takes."""
        return self._pool(self.embedding(token_ids), lengths).float()

    def _pool(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        is_real = ~beyond_end(lengths, vectors.shape[1])
        states = self.dropout(vectors + self._place(vectors))
        for block in self.blocks:
            states = block(states, is_real)
        states = self.norm(states)
        return max_states(states, lengths) if self.pooling == "max" else mean_states(states, lengths)

    def _place(self, vectors: Tensor) -> Tensor:
        """Return what says where a token stands, float (T, W), for vectors (B, T, W)."""
        _, width, size = vectors.shape
        if self.positions is not None:
            return self.positions[:width]
        return PLACE_SCALE * 2**0.5 * waves(width, size, vectors.device)  # a wave's deviation is the root of 1/2

    @property
    def layers(self) -> dict[str, Sequence[Tensor]]:
        positions = {} if self.positions is None else {"positions": [self.positions]}
        blocks = {f"encoder_layer_{number}": list(block.parameters()) for number, block in enumerate(self.blocks, 1)}
        last = {"norm": list(self.norm.parameters()), "fc": list(self.fc.parameters())}
        return {"embedding": [self.embedding.weight], **positions, **blocks, **last}


def waves(places: int, width: int, device: torch.device) -> Tensor:
    """Return sinusoidal positions (Vaswani et al. 2017, section 3.5), float32 (places, width).

    Half of the numbers are sines, half cosines, of wavelengths from 2 pi to 10,000 times that.
    """
    half = torch.arange((width + 1) // 2, dtype=torch.float32, device=device)
    frequencies = torch.exp(half * (-2 * math.log(LONGEST_WAVE) / width))
    angles = torch.arange(places, dtype=torch.float32, device=device)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)[:, :width]


def mean_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean of each text's states, float (B, W), of states (B, T, W) and lengths (B)."""
    kept = states.masked_fill(beyond_end(lengths, states.shape[1])[:, :, None], 0.0)
    return kept.sum(dim=1) / lengths[:, None]
