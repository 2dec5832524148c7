"""A small model of each kind that has learnt invented reviews, for tests of what is made of models."""

from collections.abc import Mapping
from functools import cache

import torch

from core.config import BiLSTMConfig, ModelConfig, NgramConfig, PreprocessingConfig, RunConfig, TransformerConfig
from core.models.catalog import build_model, fit_encoder
from core.models.model_file import Architecture, LoadedModel
from core.prediction.predictor import Predictor
from tests.texts import invent_reviews

CONFIGS: Mapping[str, ModelConfig] = {
    "bilstm": BiLSTMConfig(embedding_dim=16, hidden_size=12, num_layers=1, pooling="max"),
    "bilstm_attention": BiLSTMConfig(embedding_dim=16, hidden_size=12, num_layers=1, pooling="attention"),
    "bilstm_pieces": BiLSTMConfig(embedding_dim=16, hidden_size=12, num_layers=1, pooling="attention"),
    "ngram": NgramConfig(bucket_bits=12, min_reviews=1),
    "transformer": TransformerConfig(width=16, heads=2, num_layers=1, feed_forward=16),
}


@cache
def train_small(kind: str) -> Predictor:
    """Return a predictor whose model has seen 200 invented reviews; all but the n-gram model read 256 words at most, or pieces."""
    most = None if kind == "ngram" else 256
    preprocessing = PreprocessingConfig(min_frequency=1, max_length=most)
    if kind == "bilstm_pieces":  # too few for whole words
        preprocessing = PreprocessingConfig(min_frequency=1, max_length=most, tokens="byte-pair", max_words=80)
    config = RunConfig(preprocessing=preprocessing, model=CONFIGS[kind])
    reviews = invent_reviews(200)
    torch.manual_seed(0)
    encoder = fit_encoder(reviews.texts, config)
    encoded = encoder.encode(reviews.texts)
    model = build_model(config, encoder)
    model.prepare(encoded, reviews.labels)
    batch, labels = model.collate(encoded), torch.from_numpy(reviews.labels).float()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.binary_cross_entropy_with_logits(model(batch.token_ids, batch.lengths), labels).backward()
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    architecture = Architecture(preprocessing=config.preprocessing, model=config.model)
    return Predictor(LoadedModel(model, encoder, architecture, "0" * 64))
