import numpy as np
import pytest
import torch
from torch.nn import functional

from core.config import PreprocessingConfig, RunConfig, TransformerConfig, parse_config, preset_config, with_settings
from core.errors import ConfigError, ModelFileError
from core.models.catalog import build_model, describe_model, fit_encoder
from core.models.model_file import Architecture, load_model_file, save_model
from core.models.transformer import SelfAttention, Transformer, mean_states, waves
from tests.texts import invent_reviews


def test_attention_is_what_the_paper_writes_down() -> None:
    torch.manual_seed(0)
    attention = SelfAttention(6, heads=2)
    states = torch.randn(1, 4, 6)
    is_real = torch.tensor([[True, True, True, False]])
    queries, keys, values = attention.inputs(states)[0].chunk(3, dim=1)
    gathered = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = queries[:, head] @ keys[:3, head].T / 3**0.5  # equation 1 of Vaswani et al. 2017
        gathered.append(functional.softmax(scores, dim=1) @ values[:3, head])
    expected = attention.output(torch.cat(gathered, dim=1))
    assert torch.allclose(attention(states, is_real)[0], expected, atol=1e-6)


def test_positions_are_waves_of_growing_length() -> None:
    found = waves(50, 6, torch.device("cpu"))
    place, wave = 17, 2
    angle = place / 10_000 ** (2 * wave / 6)
    assert found.shape == (50, 6)
    assert found[place, wave].item() == pytest.approx(np.sin(angle), abs=1e-5)
    assert found[place, 3 + wave].item() == pytest.approx(np.cos(angle), abs=1e-5)
    assert waves(3, 5, torch.device("cpu")).shape == (3, 5)


def test_the_mean_counts_real_tokens_alone() -> None:
    states = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, float("nan")]]])
    assert torch.equal(mean_states(states, torch.tensor([2])), torch.tensor([[2.0, 3.0]]))


def test_the_order_of_words_matters_to_it() -> None:
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(width=12, heads=2), 10, None).eval()
    lengths = torch.tensor([3])
    with torch.no_grad():
        assert model(torch.tensor([[2, 3, 4]]), lengths).item() != model(torch.tensor([[4, 3, 2]]), lengths).item()


def test_learnt_positions_are_as_many_as_the_longest_text_has_words() -> None:
    config = with_settings(preset_config("transformer"), ["model.positions=learnt", "preprocessing.max_length=77"])
    assert describe_model(config)["positions"] == 77 * 128
    with pytest.raises(ConfigError, match=r"need a longest text.*max_length is empty"):
        with_settings(config, ["preprocessing.max_length=null"])


def test_a_width_that_the_heads_cannot_share_is_refused() -> None:
    with pytest.raises(ConfigError, match="the width, 10, should be a multiple of the heads, 4"):
        parse_config({"model": {"kind": "transformer", "width": 10}})


def test_a_file_with_learnt_positions_and_no_longest_text_is_one_sentence(tmp_path) -> None:
    reviews = invent_reviews(8)
    config = RunConfig(
        preprocessing=PreprocessingConfig(min_frequency=1, max_length=20),
        model=TransformerConfig(width=6, heads=2, num_layers=1, feed_forward=5, positions="learnt"),
    )
    encoder = fit_encoder(reviews.texts, config)
    model = build_model(config, encoder)
    endless = config.preprocessing.model_copy(update={"max_length": None})
    save_model(tmp_path / "m.safetensors", model, encoder, Architecture(preprocessing=endless, model=config.model))
    with pytest.raises(ModelFileError, match="Learnt positions need a longest text"):
        load_model_file(tmp_path / "m.safetensors")
