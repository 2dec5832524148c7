"""``make bench``: our presets beside what people would use instead, in one run on the real data.

Peers get the whole training split; ``fast`` holds a tenth of it back for validation. Times are wall-clock on this
machine and wander with its load: read the ratios.
"""

import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils import clip_grad_norm_

from core import settings
from core.config import DataConfig, preset_config
from core.data.labelled import LabelledTexts, fingerprint
from core.data.sources import load_columns
from core.models.catalog import build_model, fit_encoder
from core.prediction.predictor import Predictor
from core.preprocessing.batching import epoch_batches
from core.runs import create_run
from core.training.trainer import Watcher, train_model

STEP_ROUNDS = 6


@dataclass(frozen=True)
class Scorer:
    """A trained peer: texts (N) to verdicts, bool (N)."""

    name: str
    train_seconds: float
    is_positive: Callable[[list[str]], NDArray[np.bool_]]


def main() -> None:
    """Print both comparisons."""
    if settings.data_folder() is None:
        raise SystemExit(f"Set {settings.DATA_VARIABLE} to a folder that holds imdb/plain_text/*.parquet.")
    splits = load_columns(DataConfig())
    with tempfile.TemporaryDirectory() as home:
        os.environ[settings.HOME_VARIABLE] = home
        compare_accuracy_and_speed(splits)
    compare_training_steps(splits["train"])


def compare_accuracy_and_speed(splits: dict[str, LabelledTexts]) -> None:
    """Train each peer, score the test split with it, and print a row."""
    texts, labels = splits["test"].texts.to_pylist(), splits["test"].labels == 1
    print(f"{'':<34}{'test accuracy':>14}{'train s':>10}{'reviews/s':>12}{'speed ratio':>13}")
    base = None
    for train in (train_fast, train_tfidf, train_fasttext):
        scorer = train(splits)
        scorer.is_positive(texts[:1000])
        began = time.perf_counter()
        verdicts = scorer.is_positive(texts)
        speed = len(texts) / (time.perf_counter() - began)
        base = base or speed
        accuracy = float((verdicts == labels).mean())
        print(f"{scorer.name:<34}{accuracy:>14.4f}{scorer.train_seconds:>10.1f}{speed:>12,.0f}{speed / base:>13.2f}")


def train_fast(splits: dict[str, LabelledTexts]) -> Scorer:
    """Train our preset, texts to model file."""
    config = preset_config("fast")
    run = create_run(config, "fast")
    data_fingerprint = fingerprint(splits)
    began = time.perf_counter()
    train_model(run, config, splits["train"], data_fingerprint, Watcher())
    seconds = time.perf_counter() - began
    predictor = Predictor.load(run.model_file)
    return Scorer("Reviewscope fast", seconds, lambda texts: predictor.predict(texts).logits > 0)


def train_tfidf(splits: dict[str, LabelledTexts]) -> Scorer:
    """Train scikit-learn's usual answer: TF-IDF of words and pairs, logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=10.0, max_iter=200)
    )
    began = time.perf_counter()
    pipeline.fit(splits["train"].texts.to_pylist(), splits["train"].labels)
    return Scorer(
        "scikit-learn TF-IDF(1,2) + LR", time.perf_counter() - began, lambda texts: pipeline.predict(texts) == 1
    )


def train_fasttext(splits: dict[str, LabelledTexts]) -> Scorer:
    """Train fastText's classifier on words, pairs and triples, cleaned as its tutorial does."""
    import fasttext

    def clean(text: str) -> str:
        return " ".join(re.sub(r"([.!?,'/()])", r" \1 ", text.replace("<br />", " ").lower()).split())

    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.txt"
        train = splits["train"]
        order = np.random.default_rng(0).permutation(len(train))
        texts = train.texts.to_pylist()
        path.write_text("".join(f"__label__{train.labels[row]} {clean(texts[row])}\n" for row in order))
        model = fasttext.train_supervised(str(path), wordNgrams=3, epoch=10, lr=0.5, thread=os.cpu_count(), verbose=0)
    seconds = time.perf_counter() - began
    return Scorer(
        "fastText, n-grams to 3",
        seconds,
        lambda texts: np.array([label[0] == "__label__1" for label in model.predict([clean(t) for t in texts])[0]]),
    )


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


def compare_training_steps(train: LabelledTexts) -> None:
    """Time steps of ``classic`` and of the padded loop on the same reviews in turn, and print the ratio."""
    config = preset_config("classic")
    encoder = fit_encoder(train.texts, config)
    encoded = encoder.encode(train.texts)
    labels = torch.from_numpy(train.labels.astype(np.float32))
    ours, padded = build_model(config, encoder.size), PaddedLSTM()
    optimizers = [torch.optim.Adam(model.parameters(), fused=True) for model in (ours, padded)]
    batches = epoch_batches(encoded.lengths, config.training.batch_size, seed=0, epoch=1)[: STEP_ROUNDS + 1]
    times: list[tuple[float, float]] = []
    for indices in batches:
        target = labels[torch.from_numpy(indices)]
        batch = ours.collate(encoded.take(indices))
        wide = torch.zeros(len(indices), 256, dtype=torch.int64)
        wide[:, : batch.token_ids.shape[1]] = batch.token_ids
        steps = [lambda b=batch: ours(*b), lambda w=wide: padded(w)]
        times.append(tuple(timed_step(forward, target, opt) for forward, opt in zip(steps, optimizers, strict=True)))
    ratios = [b / a for a, b in times[1:]]
    a, b = (median(column) for column in zip(*times[1:], strict=True))
    size = config.training.batch_size
    print(f"\ntraining step of {size}: classic {size / a:.0f} reviews/s, padded to 256 {size / b:.0f} reviews/s,")
    print(f"ratio {median(ratios):.2f} (median of {len(ratios)} pairs, {min(ratios):.2f} to {max(ratios):.2f})")


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
    main()
