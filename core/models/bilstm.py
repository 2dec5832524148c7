"""Bidirectional LSTM over word embeddings (Hochreiter & Schmidhuber 1997), the script's network by default.

Padding has no influence, and nothing is packed: on CPU, training through ``pack_padded_sequence`` with unequal
lengths was measured ten times slower than dense batches. Instead each direction is an LSTM of its own over a dense
batch. The forward one meets padding only after the text's end; the backward one reads each text reversed in place, so
that it too starts at a real token. States after a text's end are never looked at.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core.config import BiLSTMConfig
from core.models.base import VectorModel
from core.models.layers import Dropout, reverse_texts
from core.preprocessing.vocabulary import PAD


class BidirectionalLayer(nn.Module):
    """One bidirectional layer as two one-way LSTMs; its parameters are those of ``nn.LSTM(bidirectional=True)``."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.forwards = nn.LSTM(input_size, hidden_size, batch_first=True)
        self.backwards = nn.LSTM(input_size, hidden_size, batch_first=True)

    def forward(self, inputs: Tensor, reverse: Tensor) -> Tensor:
        """Return the states of both directions.

        Args:
            inputs: float (B, T, I).
            reverse: int64 (B, T), ``reversal_index`` of the batch.

        Returns:
            float (B, T, 2H), each position's forward and backward state; positions after a text's end are undefined.
        """
        ahead, _ = self.forwards(inputs)
        back, _ = self.backwards(reverse_texts(inputs, reverse))
        return torch.cat([ahead, reverse_texts(back, reverse)], dim=2)


class AttentionPooling(nn.Module):
    """A mean of a text's states, weighted by how much each matters (Yang et al. 2016, equations 5 to 7).

    The weights are additive attention (Bahdanau et al. 2015) with a learnt vector in place of a query.

    Args:
        width: Numbers in a state.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, width)
        self.context = nn.Linear(width, 1, bias=False)  # a bias would shift all scores alike, and softmax undoes that

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the weighted mean of each text's states, float (B, W); takes what ``weigh`` takes."""
        return torch.bmm(self.weigh(states, lengths)[:, None], states).squeeze(1)

    def weigh(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the weight of each state.

        Args:
            states: float (B, T, W); those after a text's end may be any finite numbers.
            lengths: int64 (B), from 1 to T.

        Returns:
            float (B, T), at least 0; they sum to 1 within a text and are 0 after its end.
        """
        scores: Tensor = self.context(torch.tanh(self.projection(states))).squeeze(2)
        return scores.masked_fill(beyond_end(lengths, states.shape[1]), -torch.inf).softmax(dim=1)


class BiLSTM(VectorModel):
    """Embedding, dropout between bidirectional layers, pooling, dropout, one linear unit.

    Args:
        config: Sizes and pooling.
        vocabulary_size: Ids that exist, padding and unknown included.
    """

    def __init__(self, config: BiLSTMConfig, vocabulary_size: int) -> None:
        super().__init__()
        self.pooling = config.pooling
        self.embedding = build_embedding(vocabulary_size, config.embedding_dim)
        self.embedding.weight.requires_grad_(not config.freeze_embedding)
        widths = [config.embedding_dim] + [2 * config.hidden_size] * (config.num_layers - 1)
        self.lstm = nn.ModuleList(BidirectionalLayer(width, config.hidden_size) for width in widths)
        self.attention_pooling = AttentionPooling(2 * config.hidden_size) if config.pooling == "attention" else None
        self.dropout = Dropout(config.dropout)
        self.fc = nn.Linear(2 * config.hidden_size, 1)

    def read_vectors(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.dropout(self._pool(vectors, lengths))).squeeze(1)
        return logits

    def represent(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the pooled states, float32 (B, 2H); takes what ``forward`` takes."""
        return self._pool(self.embedding(token_ids), lengths).float()

    def attention(self, token_ids: Tensor, lengths: Tensor) -> Tensor | None:
        if self.attention_pooling is None:
            return None
        return self.attention_pooling.weigh(self._states(self.embedding(token_ids), lengths), lengths).float()

    def _pool(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        states = self._states(vectors, lengths)
        if self.attention_pooling is not None:
            pooled: Tensor = self.attention_pooling(states, lengths)
            return pooled
        return last_states(states, lengths) if self.pooling == "last" else max_states(states, lengths)

    def _states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """Return the last layer's states (B, T, 2H); those after a text's end are undefined."""
        reverse = reversal_index(lengths, vectors.shape[1])
        states = vectors
        for number, layer in enumerate(self.lstm):
            states = layer(self.dropout(states) if number else states, reverse)
        return states

    def start_from(self, learnt: Mapping[str, NDArray[np.float32]]) -> None:
        """Take the vectors of words, "vectors" (size, E), by id, and the first layer's weights where there are some."""
        tensors = {name: torch.from_numpy(value) for name, value in learnt.items()}
        with torch.no_grad():
            self.embedding.weight.copy_(tensors.pop("vectors"))
        if tensors:
            self.lstm[0].load_state_dict({name.removeprefix("lstm."): value for name, value in tensors.items()})

    @property
    def layers(self) -> dict[str, Sequence[Tensor]]:
        recurrent = {f"lstm_layer_{number}": list(layer.parameters()) for number, layer in enumerate(self.lstm, 1)}
        pooling = {"attention": list(self.attention_pooling.parameters())} if self.attention_pooling else {}
        return {"embedding": [self.embedding.weight], **recurrent, **pooling, "fc": list(self.fc.parameters())}


def build_embedding(vocabulary_size: int, width: int) -> nn.Embedding:
    """Return ``nn.Embedding`` with its usual normal weights and a zero for padding.

    On the meta device nothing is drawn: that would load a second's worth of torch, only to check a file's shapes.
    """
    weight = torch.empty(vocabulary_size, width)
    if not weight.is_meta:
        nn.init.normal_(weight)
        weight[PAD] = 0.0
    embedding: nn.Embedding = nn.Embedding.from_pretrained(  # type: ignore[no-untyped-call]
        weight, freeze=False, padding_idx=PAD
    )
    return embedding


def reversal_index(lengths: Tensor, width: int) -> Tensor:
    """Return int64 (B, T) positions that read each text from its last token to its first; padding stays in place."""
    positions = torch.arange(width, device=lengths.device).expand(len(lengths), width)
    mirrored = lengths[:, None] - 1 - positions
    return torch.where(mirrored >= 0, mirrored, positions)


def last_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the final state of each direction (B, 2H): forward at the last token, backward at the first."""
    ahead, back = states.chunk(2, dim=2)
    final = ahead[torch.arange(len(lengths), device=lengths.device), lengths - 1]
    return torch.cat([final, back[:, 0]], dim=1)


def max_states(states: Tensor, lengths: Tensor) -> Tensor:
    """Return each unit's largest state within the text (B, 2H)."""
    return states.masked_fill(beyond_end(lengths, states.shape[1])[:, :, None], -torch.inf).amax(dim=1)


def beyond_end(lengths: Tensor, width: int) -> Tensor:
    """Return whether each of ``width`` places lies after its text's end, bool (B, T)."""
    return torch.arange(width, device=lengths.device) >= lengths[:, None]
