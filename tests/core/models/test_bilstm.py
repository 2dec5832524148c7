import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from core.config import BiLSTMConfig, preset_config
from core.models.bilstm import AttentionPooling, BiLSTM, max_states, reversal_index
from core.models.catalog import describe_model


def test_classic_is_the_script_s_network() -> None:
    layers = describe_model(preset_config("classic"))
    assert layers == {"embedding": 1_280_256, "lstm_layer_1": 790_528, "lstm_layer_2": 1_576_960, "fc": 513}
    assert sum(layers.values()) == 3_648_257


def as_torch_lstm(model: BiLSTM, config: BiLSTMConfig) -> nn.LSTM:
    """Return the one bidirectional module that the script uses, with our parameters in it."""
    lstm = nn.LSTM(config.embedding_dim, config.hidden_size, config.num_layers, batch_first=True, bidirectional=True)
    for number, layer in enumerate(model.lstm):
        for suffix, direction in (("", layer.forwards), ("_reverse", layer.backwards)):
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(lstm, f"{name}_l{number}{suffix}").data.copy_(getattr(direction, f"{name}_l0").data)
    return lstm


def test_it_computes_what_a_packed_bidirectional_lstm_computes() -> None:
    torch.manual_seed(0)
    config = BiLSTMConfig(embedding_dim=9, hidden_size=7, num_layers=2, dropout=0.0)
    model = BiLSTM(config, 50).eval()
    lengths = torch.tensor([12, 1, 7, 12, 3])
    token_ids = torch.randint(2, 50, (5, 12)) * (torch.arange(12) < lengths[:, None])
    packed = pack_padded_sequence(model.embedding(token_ids), lengths, batch_first=True, enforce_sorted=False)
    _, (hidden, _) = as_torch_lstm(model, config)(packed)
    expected = model.fc(torch.cat([hidden[-2], hidden[-1]], dim=1)).squeeze(1)
    assert torch.allclose(model(token_ids, lengths), expected, atol=1e-6)


def test_reversal_reads_each_text_backwards_and_leaves_padding_in_place() -> None:
    assert reversal_index(torch.tensor([3, 1]), 4).tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]


def test_the_largest_state_is_looked_for_within_the_text_only() -> None:
    states = torch.tensor([[[1.0], [5.0], [9.0]]])
    assert max_states(states, torch.tensor([2])).tolist() == [[5.0]]


def test_its_logit_is_the_last_layer_on_what_it_represents_a_text_by() -> None:
    torch.manual_seed(0)
    for pooling in ("last", "max", "attention"):
        model = BiLSTM(BiLSTMConfig(embedding_dim=9, hidden_size=7, num_layers=2, pooling=pooling), 50).eval()
        lengths = torch.tensor([12, 1, 7])
        token_ids = torch.randint(2, 50, (3, 12)) * (torch.arange(12) < lengths[:, None])
        pooled = model.represent(token_ids, lengths)
        assert pooled.shape == (3, 14)
        assert torch.equal(model.fc(pooled).squeeze(1), model(token_ids, lengths))


def test_attention_weighs_each_state_by_its_score_as_worked_out_by_hand() -> None:
    pooling = AttentionPooling(2)
    with torch.no_grad():
        pooling.projection.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        pooling.projection.bias.copy_(torch.tensor([0.5, 0.0]))
        pooling.context.weight.copy_(torch.tensor([[3.0, -1.0]]))
    states = torch.tensor([[[0.5, 0.5], [-0.5, 1.0], [9.0, 9.0]]])
    lengths = torch.tensor([2])
    scores = [3 * math.tanh(1.0) - math.tanh(1.0), 3 * math.tanh(0.0) - math.tanh(2.0)]
    first = math.exp(scores[0]) / (math.exp(scores[0]) + math.exp(scores[1]))
    assert pooling.weigh(states, lengths)[0].tolist() == pytest.approx([first, 1 - first, 0.0])
    expected = [first * 0.5 - (1 - first) * 0.5, first * 0.5 + (1 - first) * 1.0]
    assert pooling(states, lengths)[0].tolist() == pytest.approx(expected)


def test_a_model_s_attention_sums_to_one_within_each_text_whatever_the_padding() -> None:
    torch.manual_seed(0)
    model = BiLSTM(BiLSTMConfig(embedding_dim=9, hidden_size=7, num_layers=2, pooling="attention"), 50).eval()
    lengths = torch.tensor([12, 1, 7])
    inside = torch.arange(12) < lengths[:, None]
    token_ids = torch.randint(2, 50, (3, 12)) * inside
    weights = model.attention(token_ids, lengths)
    assert weights is not None and weights.shape == (3, 12) and weights.dtype == torch.float32
    assert torch.allclose(weights.sum(dim=1), torch.ones(3)) and (weights >= 0).all() and not weights[~inside].any()
    alone = model.attention(token_ids[2:, :7], lengths[2:])
    assert alone is not None and torch.allclose(alone[0], weights[2, :7], atol=1e-6)


def test_without_attention_pooling_there_is_no_attention_to_show() -> None:
    model = BiLSTM(BiLSTMConfig(embedding_dim=4, hidden_size=3, num_layers=1, pooling="max"), 10).eval()
    assert model.attention(torch.ones(1, 2, dtype=torch.int64), torch.tensor([2])) is None
