import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from core.config import BiLSTMConfig, preset_config
from core.models.bilstm import BiLSTM, max_states, reversal_index
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
    for pooling in ("last", "max"):
        model = BiLSTM(BiLSTMConfig(embedding_dim=9, hidden_size=7, num_layers=2, pooling=pooling), 50).eval()
        lengths = torch.tensor([12, 1, 7])
        token_ids = torch.randint(2, 50, (3, 12)) * (torch.arange(12) < lengths[:, None])
        pooled = model.represent(token_ids, lengths)
        assert pooled.shape == (3, 14)
        assert torch.equal(model.fc(pooled).squeeze(1), model(token_ids, lengths))
