"""Vectors of n-grams that let a text's vector tell which n-grams stand in it, learnt from all texts.

Labels only choose which n-grams are worth predicting. A batch of texts climbs one step from where it was in the pass
before, the vectors of n-grams still; then these move towards the texts that hold them, and away from the others.
n-grams that texts do not hold are drawn once a batch, for all of its texts; the most frequent ones always stand among
them, with the share that they have, so that chance has less to say.
"""

import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from core.config import DocumentVectorsConfig, RunConfig
from core.errors import DivergedError
from core.models.document_vectors import MOST_ABSENT, NEGATIVES, PRIOR, Group, Landscape, climb_in_groups, precondition
from core.models.ngram import log_count_ratios
from core.preprocessing.batching import epoch_batches
from core.preprocessing.encoded import EncodedTexts
from core.tensor_file import DamagedFileError, read_tensor_file, write_tensor_file
from core.training.pretraining import Learnt, Task
from core.training.watcher import StopAsked

BATCH = 256
RATE = 0.03  # the step size falls evenly from here to nothing
LONGEST_STEP = 1.0  # of an n-gram's vector
SPREAD = 0.03  # of the vectors at the start
FREQUENT = 1e-4  # the share of all n-grams above which one weighs less (Mikolov et al. 2013)
FLATTENING = 0.75  # n-grams are drawn by their frequency to this power
ALWAYS_ABSENT = 512  # the most frequent ones
PRECONDITION_BATCHES = 8  # after which the preconditioner is worked out anew
LOSS_BATCHES = 50
FORMAT = "reviewscope-document-vectors/1"


class Absent:
    """Draws n-grams that stand for all that a text does not hold.

    Args:
        counts: int64 (R), how many texts hold each; not all 0.
    """

    def __init__(self, counts: NDArray[np.int64]) -> None:
        odds = counts.astype(np.float64) ** FLATTENING
        odds /= odds.sum()
        order = np.argsort(-odds, kind="stable")
        always = len(order) if len(order) <= MOST_ABSENT else ALWAYS_ABSENT
        self.always, self.others = order[:always], order[always:]
        self.drawn = min(MOST_ABSENT, len(order)) - always
        self.odds = odds
        self.heights = odds[self.others].cumsum()

    def draw(self, draw: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Return rows, int64 (M), and the share of all that each stands for, float32 (M), which sum to 1."""
        shares = self.odds[self.always]
        if not self.drawn:
            return torch.from_numpy(self.always), torch.from_numpy(shares.astype(np.float32))
        # One in each of equal parts of the odds: less is left to chance than in as many free draws.
        marks = (np.arange(self.drawn) + draw.random(self.drawn)) / self.drawn * self.heights[-1]
        places = np.minimum(np.searchsorted(self.heights, marks), len(self.others) - 1)
        rows = np.concatenate([self.always, self.others[places]])
        shares = np.concatenate([shares, np.full(self.drawn, self.heights[-1] / self.drawn)])
        return torch.from_numpy(rows), torch.from_numpy(shares.astype(np.float32))


def signature(config: RunConfig) -> str:
    """Return the settings that the vectors depend on."""
    model = _settings(config)
    asked = [model.width, model.ngrams, model.passes, model.smoothing, config.training.seed]
    made = [NEGATIVES, PRIOR, MOST_ABSENT, BATCH, RATE, LONGEST_STEP, SPREAD, FREQUENT, FLATTENING, ALWAYS_ABSENT]
    return json.dumps([*asked, *made, torch.__version__])


def learn(task: Task, folder: Path) -> Learnt:
    """Return the buffers of the model; after each pass a piece is left in the folder.

    Raises:
        StopAsked: The watcher asked for it.
        DivergedError: A number became infinite.
        ReviewscopeError: A piece could not be written.
    """
    model, seed = _settings(task.config), task.config.training.seed
    task.watcher.on_phase("Reading the reviews for document vectors", 0)
    encoded = task.encoder.encode(task.texts)
    labelled = encoded.take(np.arange(len(task.labels)))
    chosen = choose_ngrams(log_count_ratios(labelled, task.labels, task.encoder.size, model.smoothing), model.ngrams)
    texts = keep_chosen(encoded, chosen)
    counts = np.bincount(texts.token_ids, minlength=int(chosen.sum()))
    emphasis = torch.from_numpy(weigh(counts))
    if not len(texts):  # no text holds anything that is known
        outputs = torch.zeros(len(counts), model.width)
        rows = torch.arange(min(MOST_ABSENT, len(counts)))
        shares = torch.zeros(len(rows))
    else:
        absent = Absent(counts)
        outputs = run_passes(task, folder, texts, emphasis, absent)
        rows, shares = absent.draw(np.random.default_rng([seed, 0]))
    return {
        "chosen": chosen.astype(np.float32),
        "emphasis": emphasis.numpy(),
        "outputs": outputs.half().numpy(),
        "absent": outputs[rows].numpy(),
        "shares": shares.numpy(),
        "preconditioner": precondition(outputs[rows], shares).numpy(),
    }


def choose_ngrams(ratios: NDArray[np.float64], most: int) -> NDArray[np.bool_]:
    """Return which ids have the clearest ratios, bool (size): ``most`` of them, or all; padding never."""
    clearness = np.abs(ratios)
    clearness[0] = -1.0
    chosen = np.zeros(len(ratios), np.bool_)
    chosen[np.argsort(-clearness, kind="stable")[: min(most, len(ratios) - 1)]] = True
    return chosen


def keep_chosen(encoded: EncodedTexts, chosen: NDArray[np.bool_]) -> EncodedTexts:
    """Return texts as rows of chosen n-grams, from 0, without texts that hold none."""
    is_kept = chosen[encoded.token_ids]
    bounds = np.concatenate([[0], np.cumsum(is_kept)]).astype(np.int64)[encoded.offsets]
    rows = (np.cumsum(chosen, dtype=np.int32) - np.int32(1))[encoded.token_ids[is_kept]]
    return EncodedTexts(rows, np.unique(bounds))


def weigh(counts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return what each n-gram weighs, float32 (R): 1, or less for a frequent one, as if it were left out at times."""
    shares = np.maximum(counts, 1) / max(counts.sum(), 1)
    weights: NDArray[np.float32] = np.minimum(1.0, np.sqrt(FREQUENT / shares) + FREQUENT / shares).astype(np.float32)
    return weights


def run_passes(task: Task, folder: Path, texts: EncodedTexts, emphasis: Tensor, absent: Absent) -> Tensor:
    """Return the n-grams' vectors, float32 (R, D), each number one that half precision holds."""
    model, seed, watcher = _settings(task.config), task.config.training.seed, task.watcher
    piece = folder / "piece.safetensors"
    start = np.random.default_rng([seed, 0, 0]).normal(0.0, SPREAD, (len(emphasis), model.width))
    state = {"outputs": start.astype(np.float16), "vectors": np.zeros((len(texts), model.width), np.float16)}
    done = 0
    try:
        kept = read_tensor_file(piece, FORMAT)
        state, done = dict(kept.tensors), json.loads(kept.document)["passes"]
    except DamagedFileError:
        pass  # from the start
    outputs, vectors = (torch.from_numpy(state[name].astype(np.float32)) for name in ("outputs", "vectors"))
    watcher.on_phase("Learning document vectors", model.passes * len(texts))
    watcher.on_resume(done * len(texts))
    for number in range(done, model.passes):
        loss = run_pass(task, number, texts, emphasis, absent, outputs, vectors)
        if not bool(outputs.isfinite().all()):
            raise DivergedError("not a number")
        watcher.on_line(f"document vectors: pass {number + 1} of {model.passes}; a loss of {loss:.3f} an n-gram")
        # Rounded in memory too, so that a resumed training has the same numbers.
        state = {"outputs": outputs.half().numpy(), "vectors": vectors.half().numpy()}
        write_tensor_file(piece, FORMAT, json.dumps({"passes": number + 1}), state)
        for tensor, name in ((outputs, "outputs"), (vectors, "vectors")):
            tensor.copy_(torch.from_numpy(state[name]))
    return outputs


def run_pass(
    task: Task, number: int, texts: EncodedTexts, emphasis: Tensor, absent: Absent, outputs: Tensor, vectors: Tensor
) -> float:
    """Read all texts once, changing ``outputs`` (R, D) and ``vectors`` (N, D); return the mean loss of some batches.

    What is drawn depends on the seed and the pass, so that a killed pass is run again alike.
    """
    model, seed = _settings(task.config), task.config.training.seed
    draw = np.random.default_rng([seed, number + 1, 1])
    batches = epoch_batches(texts.lengths, BATCH, seed, number + 1)
    losses: list[float] = []
    inverse = torch.empty(0)
    for place, indices in enumerate(batches):
        rows, shares = absent.draw(draw)
        if place % PRECONDITION_BATCHES == 0:
            inverse = precondition(outputs[rows], shares)
        landscape = Landscape(outputs[rows], shares, inverse)
        batch, here = texts.take(indices), torch.from_numpy(indices)
        tokens, lengths = torch.from_numpy(batch.token_ids).long(), torch.from_numpy(batch.lengths)
        groups = list(climb_in_groups(tokens, lengths, outputs, emphasis, landscape, vectors[here], steps=1))
        for group in groups:
            vectors[here[group.texts]] = group.place.vectors
        if place % LOSS_BATCHES == 0:
            losses.append(mean_loss(groups, landscape))
        rate = RATE * (1 - (number * len(batches) + place) / (model.passes * len(batches)))
        present_rows, present_pulls = pull_present(groups, emphasis)
        moved = torch.cat([present_rows, rows])
        steps = rate * torch.cat([present_pulls, push_absent(groups, emphasis, landscape)])
        steps *= (LONGEST_STEP / steps.norm(dim=1).clamp(min=LONGEST_STEP))[:, None]
        outputs.index_add_(0, moved, steps)
        task.watcher.on_progress(len(indices))
        if task.watcher.should_stop():
            raise StopAsked
    return float(np.mean(losses))


def pull_present(groups: list[Group], emphasis: Tensor) -> tuple[Tensor, Tensor]:
    """Return the n-grams that texts hold, int64 (U), and how they gain by moving, float32 (U, D).

    A text's function counts as often as its n-grams weigh together; its gradient by the vector of an n-gram that it
    holds is the n-gram's weight, times what is missing to certainty, times the text's vector.
    """
    rows, pulls, owners, vectors, count = [], [], [], [], 0
    for group in groups:
        weights = emphasis[group.rows] * torch.sigmoid(-group.place.present)
        rows.append(group.rows[group.is_real])
        pulls.append(weights[group.is_real])
        owners.append(torch.nonzero(group.is_real)[:, 0] + count)
        vectors.append(group.place.vectors)
        count += len(group.texts)
    ordered, order = torch.sort(torch.cat(rows), stable=True)
    distinct, counts = torch.unique_consecutive(ordered, return_counts=True)
    pulled = functional.embedding_bag(
        torch.cat(owners)[order], torch.cat(vectors), counts.cumsum(0) - counts, mode="sum",
        per_sample_weights=torch.cat(pulls)[order],
    )  # fmt: skip
    return distinct, pulled


def push_absent(groups: list[Group], emphasis: Tensor, landscape: Landscape) -> Tensor:
    """Return how n-grams that texts do not hold gain by moving, float32 (M, D)."""
    pushed = torch.zeros_like(landscape.absent)
    for group in groups:
        together = (emphasis[group.rows] * group.is_real).sum(1, keepdim=True)
        pushed -= (together * NEGATIVES * landscape.shares * torch.sigmoid(group.place.absent)).T @ group.place.vectors
    return pushed


def mean_loss(groups: list[Group], landscape: Landscape) -> float:
    """Return the mean over texts of what their functions lack to 0, the prior left out."""
    losses = [
        -(group.weights * functional.logsigmoid(group.place.present)).sum(1)
        - NEGATIVES * functional.logsigmoid(-group.place.absent) @ landscape.shares
        for group in groups
    ]
    return float(torch.cat(losses).mean())


def _settings(config: RunConfig) -> DocumentVectorsConfig:
    assert isinstance(config.model, DocumentVectorsConfig)
    return config.model
