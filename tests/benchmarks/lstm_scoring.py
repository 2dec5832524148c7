"""Print every way to score reviews with a trained BiLSTM on this CPU: speed, and how far probabilities are off.

Without a model, the script's network is trained on the demo data for some minutes first. All ways use the same weights
and token ids, in turns, so that noise hits all alike. Packed sequences are the reference: padding has no part in them.
Ends with an error when the way that the project takes is off by more than TOLERANCE.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from statistics import median
from tempfile import TemporaryDirectory

os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # before torch is imported, as python -m core does

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from core import settings
from core.config import DataConfig
from core.data.sources import load_columns
from core.errors import DataError
from core.models.bilstm import BiLSTM, last_states, max_states
from core.models.scoring import score_texts
from core.prediction.predictor import Predictor, probability_of
from core.preprocessing.encoded import EncodedTexts
from core.training.job import train
from core.training.watcher import Watcher

REVIEWS = 1_000  # a chunk of a bulk job
BATCH = 64
TOLERANCE = 1e-5
TRAINING = ["training.epochs=6", "training.learning_rate=0.002"]
Logits = NDArray[np.float32]
Read = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Way:
    """A way to score.

    Attributes:
        score: Encoded texts to logits, in their order.
        note: What it costs, where that is no number.
    """

    name: str
    score: Callable[[EncodedTexts], Logits]
    note: str = ""


class TorchBiLSTM(nn.Module):
    """The same network with torch's own bidirectional LSTM and the weights of ours.

    Args:
        model: Ours.
    """

    def __init__(self, model: BiLSTM) -> None:
        super().__init__()
        self.ours = model
        first = model.lstm[0].forwards
        self.lstm = nn.LSTM(
            first.input_size, first.hidden_size, len(model.lstm), batch_first=True, bidirectional=True
        ).eval()
        with torch.no_grad():
            for number, layer in enumerate(model.lstm):
                for name, ours in layer.forwards.named_parameters():
                    getattr(self.lstm, name.replace("l0", f"l{number}")).copy_(ours)
                for name, ours in layer.backwards.named_parameters():
                    getattr(self.lstm, name.replace("l0", f"l{number}_reverse")).copy_(ours)

    def packed(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B) that padding has no part in."""
        inputs = pack_padded_sequence(self.ours.embedding(token_ids), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.lstm(inputs)[0], batch_first=True, total_length=token_ids.shape[1])
        return self._judge(states, lengths)

    def padded(self, token_ids: Tensor, lengths: Tensor) -> Tensor:
        """Return logits (B) that padding has changed, as everybody's first network gives them."""
        states, _ = self.lstm(self.ours.embedding(token_ids))
        return self._judge(states, torch.full_like(lengths, token_ids.shape[1]))

    def _judge(self, states: Tensor, lengths: Tensor) -> Tensor:
        if self.ours.attention_pooling is not None:
            pooled: Tensor = self.ours.attention_pooling(states, lengths)
        else:
            pooled = last_states(states, lengths) if self.ours.pooling == "last" else max_states(states, lengths)
        logits: Tensor = self.ours.fc(pooled).squeeze(1)
        return logits.float()


def main() -> None:
    """Print the table; exit with an error when our way is not exact."""
    options = read_options()
    predictor = Predictor.load(options.model) if options.model else train_classic()
    model = predictor.model
    if not isinstance(model, BiLSTM):
        sys.exit(f"{options.model} is no BiLSTM.")
    encoded = predictor.encoder.encode(read_reviews(options.reviews))
    print(f"{len(encoded)} reviews, {encoded.lengths.mean():.0f} tokens on average; {torch.get_num_threads()} threads")
    ways = list_ways(model, predictor.architecture.preprocessing.max_length, options.compile)
    exact = probability_of(ways[1].score(encoded))
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    off = {way.name: float(np.abs(probability_of(way.score(encoded)) - exact).max()) for way in ways}  # a warm-up too
    for _ in range(options.rounds):
        for way in ways:
            began = time.perf_counter()
            way.score(encoded)
            seconds[way.name].append(time.perf_counter() - began)
    first = seconds[ways[0].name]
    print(f"\n{'way':<58}{'reviews/s':>10}  {'times the first (range)':<26}{'probability off by':>18}")
    for way in ways:
        ratios = [theirs / its for theirs, its in zip(first, seconds[way.name], strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        speed = len(encoded) / median(seconds[way.name])
        print(f"{way.name:<58}{speed:>10.1f}  {spread:<26}{off[way.name]:>18.1e}  {way.note}")
    print("int8 (torch.ao.quantization) is deprecated and no way for long; it is not measured here.")
    ours = ways[-1].name
    if off[ours] > TOLERANCE:
        sys.exit(f"{ours}: off by {off[ours]:.1e}, more than {TOLERANCE}")


def list_ways(model: BiLSTM, most_tokens: int | None, compiled: bool) -> list[Way]:
    """Return all ways: the naive one first, the reference second, the project's own last."""
    theirs = TorchBiLSTM(model)
    ways = [
        Way("padded to the longest, batches as they come", partial(run, theirs.padded, width=most_tokens), "wrong"),
        Way("packed, batches of like length (the reference)", partial(run, theirs.packed, is_sorted=True)),
        Way("packed, batches as they come", partial(run, theirs.packed)),
        Way("padded to the batch, batches of like length", partial(run, theirs.padded, is_sorted=True), "wrong"),
        Way("each direction dense, one reversed", partial(run, model, is_sorted=True)),
    ]
    if torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported():
        in_bf16 = read_in_bf16(model)
        ways.append(Way("  the same in bf16", partial(run, in_bf16.forward, is_sorted=True)))
        ways.append(Way("  the same in bf16, batches side by side", partial(score_texts, in_bf16)))
    if compiled:
        began = time.perf_counter()
        faster = torch.compile(model, dynamic=True)
        for lengths in ([200, 400], [30, 50]):
            run(faster, EncodedTexts(np.full(sum(lengths), 2, np.int32), np.array([0, lengths[0], sum(lengths)])))
        ways.append(
            Way("  the same, torch.compile", partial(run, faster, is_sorted=True),
                f"{time.perf_counter() - began:.0f} s to compile")
        )  # fmt: skip
    return [*ways, Way("  the same, batches side by side (Reviewscope)", partial(score_texts, model))]


def run(read: Read, encoded: EncodedTexts, width: int | None = None, is_sorted: bool = False) -> Logits:
    """Score batches of 64 one after the other, padded to ``width`` or to the longest of each."""
    order = np.argsort(encoded.lengths, kind="stable") if is_sorted else np.arange(len(encoded))
    logits = np.zeros(len(encoded), np.float32)
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        batch = encoded.take(rows)
        lengths = np.maximum(batch.lengths, 1)
        token_ids = np.zeros((len(rows), width or int(lengths.max())), np.int64)
        token_ids[np.arange(token_ids.shape[1]) < batch.lengths[:, None]] = batch.token_ids
        with torch.inference_mode():
            logits[rows] = read(torch.from_numpy(token_ids), torch.from_numpy(lengths)).numpy()
    return logits


def read_in_bf16(model: BiLSTM) -> BiLSTM:
    """Return a model that computes in bf16 where autocast says so, in whichever thread it is called."""
    other = deepcopy(model)

    def forward(token_ids: Tensor, lengths: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return BiLSTM.forward(other, token_ids, lengths)

    other.forward = forward  # type: ignore[method-assign]
    return other


def read_options() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Print every way to score reviews with a BiLSTM on this CPU.")
    parser.add_argument("model", nargs="?", help="a run, file or id of a BiLSTM")
    parser.add_argument("--reviews", type=int, default=REVIEWS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes a while")
    return parser.parse_args()


def read_reviews(count: int) -> pa.Array:
    """Return test reviews: of the IMDB data where it is, else of the demo."""
    try:
        test = load_columns(DataConfig())["test"]
    except DataError:
        test = load_columns(DataConfig(source="demo"))["test"]
    rows = np.random.default_rng(0).permutation(len(test))[:count]
    return test.take(rows).texts


def train_classic() -> Predictor:
    """Return the script's network, trained on the demo data in a workspace of its own."""
    with TemporaryDirectory() as folder:
        before = os.environ.get(settings.HOME_VARIABLE)
        os.environ[settings.HOME_VARIABLE] = folder
        try:
            run, result = train("classic", "demo", settings=TRAINING, watcher=Watcher(on_line=print))
            print(f"trained on the demo data: validation accuracy {result.valid_accuracy}")
            return Predictor.load(run.model_file)
        finally:
            os.environ.pop(settings.HOME_VARIABLE)
            if before is not None:
                os.environ[settings.HOME_VARIABLE] = before


if __name__ == "__main__":
    main()
