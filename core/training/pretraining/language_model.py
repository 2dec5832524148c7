"""A language model of the reviews, in both directions, whose vectors and first layer a BiLSTM starts from.

Two one-way LSTMs read each review, one from its first word and one from its last, and each guesses the word that comes
next (Dai & Le 2015; Howard & Ruder 2018); they share their vectors and the layer that guesses (Peters et al. 2018).
What would stand above them in a BiLSTM has seen both directions, and so the word to be guessed: it begins at random.

A review is read in stretches: the weights move after each, the states go on into the next one, and gradients end where
it begins (truncated back-propagation). As in the classifier, each review begins at empty states.
"""

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_

from core.config import BiLSTMConfig, RunConfig
from core.errors import CheckpointError, DivergedError
from core.models.bilstm import BidirectionalLayer, beyond_end, build_embedding, reversal_index
from core.preprocessing.batching import epoch_batches
from core.preprocessing.encoded import EncodedTexts
from core.training.checkpoint import Position, list_checkpoints, load_checkpoint, save_checkpoint
from core.training.pretraining import Learnt, Task
from core.training.pretraining.vectors import read_whole_texts
from core.training.watcher import StopAsked

BATCH = 64  # reviews read side by side
STRETCH = 80  # words of each between two updates, at most
RATE = 0.004  # the step size falls evenly from here to nothing
CLIP_NORM = 1.0
SPREAD = 0.1  # of the vectors at the start: a guess must be able to move those of rare words
FREQUENT, COMMON = 20, 4  # the most frequent 20th of all tokens is guessed at first sight, the first quarter at second
CHECKPOINT_SECONDS = 60.0
LINE_STEPS = 200


class LanguageModel(nn.Module):
    """Vectors, one bidirectional layer's two LSTMs, and the layer that guesses.

    Args:
        size: Ids that exist.
        embedding_dim, hidden_size: The classifier's.
    """

    def __init__(self, size: int, embedding_dim: int, hidden_size: int) -> None:
        super().__init__()
        self.embedding = build_embedding(size, embedding_dim)
        with torch.no_grad():
            self.embedding.weight.mul_(SPREAD)
        self.lstm = BidirectionalLayer(embedding_dim, hidden_size)
        cutoffs = sorted({max(size // FREQUENT, 1), max(size // COMMON, 1)})
        narrowing = 4.0 if hidden_size >= 16 else 1.0  # rarer tokens are told apart by a quarter, a 16th of the state
        self.guess = nn.AdaptiveLogSoftmaxWithLoss(hidden_size, size, cutoffs, narrowing)  # Grave et al. 2017


@dataclass
class Stretch:
    """Where the words of a stretch come from in both directions, and the states that they are read with.

    Attributes:
        inputs: int64 (2, B, T), forwards and backwards.
        targets: int64 (2, B, T), the token that comes next, as its rank.
        is_real: bool (B, T), whether a token comes next at all.
    """

    inputs: Tensor
    targets: Tensor
    is_real: Tensor


@dataclass
class Learner:
    """What an update needs and changes.

    Attributes:
        ranks: int64 (ids), each token's place among all, the most frequent first.
        total: Updates in all.
        loss_sum, guesses: Since the last line of the log.
    """

    model: LanguageModel
    optimizer: torch.optim.Optimizer
    device: torch.device
    ranks: Tensor
    total: int
    precision: str
    loss_sum: float = 0.0
    guesses: int = 0
    states: list[tuple[Tensor, Tensor] | None] = field(default_factory=lambda: [None, None])


def signature(config: RunConfig) -> str:
    """Return the settings that the result depends on."""
    model = _settings(config)
    sizes = [model.embedding_dim, model.hidden_size, model.language_passes, model.language_steps]
    made = [BATCH, STRETCH, RATE, CLIP_NORM, SPREAD, FREQUENT, COMMON, torch.__version__]
    return json.dumps([*sizes, config.training.seed, config.training.precision, *made])


def learn(task: Task, folder: Path) -> Learnt:
    """Return "vectors" (ids, E) and the first layer's weights as "lstm.*"; a minute's work at most is done again.

    Raises:
        StopAsked: The watcher asked for it.
        DivergedError: The loss stopped being a number.
        ReviewscopeError: A piece could not be written.
    """
    config, watcher = task.config, task.watcher
    watcher.on_phase("Reading the reviews for the language model", 0)
    whole = read_whole_texts(task)
    texts = whole.take(np.flatnonzero(whole.lengths > 1))
    model = _settings(config)
    steps = [count_stretches(texts.lengths, config.training.seed, each) for each in _passes(model)]
    learner = build_learner(config, texts, task.encoder.size, min(sum(steps), model.language_steps or sum(steps)))
    position = restore(learner, folder)
    watcher.on_phase("Learning a language model", learner.total)
    watcher.on_resume(position.step)
    saved_at = time.monotonic()
    while position.step < learner.total:
        batches = epoch_batches(texts.lengths, BATCH, config.training.seed, position.epoch)
        for indices in batches[position.batch :]:
            run_batch(learner, position, texts.take(indices), task)
            position.batch += 1
            if position.step >= learner.total:
                break
            is_asked = watcher.should_stop()
            if is_asked or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                save_checkpoint(folder, learner.model, learner.optimizer, position, "")
                saved_at = time.monotonic()
            if is_asked:
                raise StopAsked
        position.epoch, position.batch = position.epoch + 1, 0
    weights = {f"lstm.{name}": value for name, value in learner.model.lstm.state_dict().items()}
    tensors = {"vectors": learner.model.embedding.weight.detach(), **weights}
    return {name: value.float().cpu().numpy() for name, value in tensors.items()}


def build_learner(config: RunConfig, texts: EncodedTexts, size: int, total: int) -> Learner:
    """Return a fresh language model for tokens of ``size`` ids, drawn by seed, on the GPU when there is one."""
    torch.manual_seed(config.training.seed)
    settings = _settings(config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = LanguageModel(size, settings.embedding_dim, settings.hidden_size).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=True)
    return Learner(model, optimizer, device, rank_tokens(texts, size).to(device), total, config.training.precision)


def rank_tokens(texts: EncodedTexts, size: int) -> Tensor:
    """Return each id's place among all when the most frequent stands first, int64 (ids): what is guessed is a place."""
    order = np.argsort(-np.bincount(texts.token_ids, minlength=size), kind="stable")
    ranks = np.empty(size, np.int64)
    ranks[order] = np.arange(size)
    return torch.from_numpy(ranks)


def restore(learner: Learner, folder: Path) -> Position:
    """Go on from the newest sound checkpoint of a folder; from the start where there is none."""
    for path in list_checkpoints(folder):
        try:
            return load_checkpoint(path, learner.model, learner.optimizer, "")
        except CheckpointError:
            continue
    return Position()


def run_batch(learner: Learner, position: Position, texts: EncodedTexts, task: Task) -> None:
    """Read a batch of reviews, each from empty states to its end, or until all updates are made."""
    learner.states = [None, None]
    for stretch in cut_stretches(texts, learner.ranks, learner.device):
        rate = RATE * (1 - position.step / learner.total)
        for group in learner.optimizer.param_groups:
            group["lr"] = rate
        loss = read_stretch(learner, stretch)
        learner.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(learner.model.parameters(), CLIP_NORM)
        learner.optimizer.step()
        position.step += 1
        _note(learner, position, loss.item(), 2 * int(stretch.is_real.sum()), task)
        if position.step >= learner.total:
            return


def cut_stretches(texts: EncodedTexts, ranks: Tensor, device: torch.device) -> Iterator[Stretch]:
    """Yield a batch of texts of two tokens or more in stretches of like width; the last token has none to guess."""
    lengths = torch.from_numpy(texts.lengths)
    padded = torch.zeros(len(texts), int(lengths.max()), dtype=torch.int64)
    padded[~beyond_end(lengths, padded.shape[1])] = torch.from_numpy(texts.token_ids.astype(np.int64))
    mirrored = padded.gather(1, reversal_index(lengths, padded.shape[1]))
    both = torch.stack([padded, mirrored]).to(device)
    is_real = ~beyond_end(lengths - 1, padded.shape[1] - 1).to(device)
    bounds = np.linspace(0, padded.shape[1] - 1, stretches_of(padded.shape[1]) + 1).astype(int).tolist()
    for start, end in pairwise(bounds):
        targets = ranks[both[:, :, start + 1 : end + 1]]
        yield Stretch(both[:, :, start:end], targets, is_real[:, start:end])


def stretches_of(width: int) -> int:
    """Return into how many stretches texts are cut of which the longest has ``width`` tokens, two or more."""
    return math.ceil((width - 1) / STRETCH)


def count_stretches(lengths: NDArray[np.int64], seed: int, number: int) -> int:
    """Return how many updates the pass of a number, from 1, makes."""
    batches = epoch_batches(lengths, BATCH, seed, number)
    return sum(stretches_of(int(lengths[indices].max())) for indices in batches)


def read_stretch(learner: Learner, stretch: Stretch) -> Tensor:
    """Return the mean log loss of all guesses of a stretch, in nats; the states go on, without their gradients."""
    model = learner.model
    read, sought = [], []
    for number, lstm in enumerate((model.lstm.forwards, model.lstm.backwards)):
        with torch.autocast(learner.device.type, torch.bfloat16, enabled=learner.precision == "bf16"):
            states, (hidden, cell) = lstm(model.embedding(stretch.inputs[number]), learner.states[number])
        learner.states[number] = hidden.detach(), cell.detach()
        read.append(states[stretch.is_real].float())
        sought.append(stretch.targets[number][stretch.is_real])
    loss: Tensor = model.guess(torch.cat(read), torch.cat(sought)).loss
    return loss


def _note(learner: Learner, position: Position, loss: float, guesses: int, task: Task) -> None:
    """Tell of an update, and now and then of how well the next word is guessed."""
    if not math.isfinite(loss):
        raise DivergedError(
            f"The language model diverged at step {position.step}: its loss is not a number. Start with another seed, "
            "or set model.start to word2vec."
        )
    learner.loss_sum += loss * guesses
    learner.guesses += guesses
    task.watcher.on_progress(1)
    if position.step % LINE_STEPS == 0 or position.step == learner.total:
        perplexity = math.exp(learner.loss_sum / learner.guesses)
        task.watcher.on_line(
            f"language model: step {position.step:,} of {learner.total:,}, pass {position.epoch}; the last "
            f"{learner.guesses:,} words had a perplexity of {perplexity:.1f}"
        )
        learner.loss_sum, learner.guesses = 0.0, 0


def _settings(config: RunConfig) -> BiLSTMConfig:
    assert isinstance(config.model, BiLSTMConfig)
    return config.model


def _passes(model: BiLSTMConfig) -> range:
    return range(1, model.language_passes + 1)
