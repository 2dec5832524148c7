"""Print the training speed (reviews/s) of one way to train the script's network: classic, padded, padded-flushed.

Each way has a process of its own, because whether denormal numbers are flushed is settled when the first threads start.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import clip_grad_norm_

from core.config import DataConfig, preset_config
from core.data.sources import load_columns
from core.models.catalog import build_model, fit_encoder
from core.preprocessing.batching import epoch_batches
from core.training.trainer import prepare_torch

STEPS = 6
LENGTH = 256


class PaddedLSTM(nn.Module):
    """The script's network as its document draws it: every review padded to 256, padding not masked."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10_002, 128, padding_idx=0)
        self.lstm = nn.LSTM(128, 256, num_layers=2, batch_first=True, dropout=0.5, bidirectional=True)
        self.fc = nn.Linear(512, 1)
        self.dropout = nn.Dropout(0.5)

    def forward(self, token_ids: torch.Tensor) -> torch.Tensor:
        """Return logits (B) of token ids (B, 256)."""
        _, (hidden, _) = self.lstm(self.embedding(token_ids))
        return self.fc(self.dropout(torch.cat([hidden[-2], hidden[-1]], dim=1))).squeeze(1)


def main(way: str) -> None:
    """Train a few steps; the first is a warm-up and does not count."""
    if way == "padded":
        torch.manual_seed(0)
    else:
        prepare_torch(0)
    config = preset_config("classic")
    train = load_columns(DataConfig())["train"]
    encoder = fit_encoder(train.texts, config)
    encoded = encoder.encode(train.texts)
    labels = torch.from_numpy(train.labels.astype(np.float32))
    ours = build_model(config, encoder)
    model = ours if way == "classic" else PaddedLSTM()
    optimizer = torch.optim.Adam(model.parameters())
    seconds = []
    for indices in epoch_batches(encoded.lengths, config.training.batch_size, seed=0, epoch=1)[: STEPS + 1]:
        batch = ours.collate(encoded.take(indices))
        inputs: tuple[torch.Tensor, ...] = tuple(batch)
        if way != "classic":
            wide = torch.zeros(len(indices), LENGTH, dtype=torch.int64)
            wide[:, : batch.token_ids.shape[1]] = batch.token_ids
            inputs = (wide,)
        target = labels[torch.from_numpy(indices)]
        seconds.append(timed_step(lambda given=inputs: model(*given), target, optimizer))
    print(config.training.batch_size / median(seconds[1:]))


def timed_step(forward: Callable[[], torch.Tensor], target: torch.Tensor, optimizer: torch.optim.Optimizer) -> float:
    """Return the seconds of one forward, backward, clip and update."""
    began = time.perf_counter()
    loss = binary_cross_entropy_with_logits(forward(), target)
    optimizer.zero_grad()
    loss.backward()
    clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    optimizer.step()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(sys.argv[1])
