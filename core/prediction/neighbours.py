"""The map of a scored split, and for each review the training reviews that the model reads most alike.

Both come from what the model's last layer reads of a text (``SentimentModel.represent``), each text's vector scaled to
unit length. The map's first axis is the logit itself; the second is the direction in which the reviews differ most once
what goes along with the logit has been taken out.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from core.data.labelled import draw_rows
from core.job_folder import JobReporter
from core.models.base import SentimentModel
from core.models.scoring import represent_texts
from core.prediction.analysis import Finding, Subject
from core.preprocessing.encoded import EncodedTexts

NEAREST = 5
# Of a model whose vectors are sketches, this many are chosen by sketch and compared exactly.
CANDIDATES = 64
BLOCK = 512
NONE = -1  # stands for a row where there is no further review

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]


class Neighbours(NamedTuple):
    """For each of N reviews, the nearest of others, nearest first.

    Attributes:
        rows: int64 (N, 5); ``NONE`` where there is no further one.
        similarities: Cosines, float32 (N, 5), -1 to 1; 0 where there is no further one.
    """

    rows: Rows
    similarities: Floats


def look(subject: Subject, options: Mapping[str, Any], reporter: JobReporter) -> Finding:
    """Lay out the map of a split and, with the option ``train``, find each review's nearest training reviews.

    The table has ``x`` and ``y``, float32, and with ``train`` also ``near_1`` to ``near_5``, int32, rows of the train
    split as the config cuts it, ``similarity_1`` to ``similarity_5``, float32, and ``near`` and ``near_positive``,
    int8, how many were found and how many of them are labelled positive. A review of the train split is not a neighbour
    of itself.
    """
    model, encoder, n = subject.predictor.model, subject.predictor.encoder, len(subject.rows)
    reporter.on_phase("Reading the reviews again", n)
    encoded = encoder.encode(subject.rows.texts)
    vectors = represent(model, encoded, reporter)
    reporter.on_phase("Laying out the map", 0)
    y, share = lay_out(vectors, subject.results.logits)
    columns: dict[str, Any] = {"x": subject.results.logits.astype(np.float32), "y": y}
    document: dict[str, Any] = {"n": n, "numbers": vectors.shape[1], "share": share, "train": None}
    if options.get("train"):
        used = trained_on(subject)
        train = subject.train.take(used)
        reporter.on_phase("Reading the training reviews", len(train))
        others = encoder.encode(train.texts)
        trained = represent(model, others, reporter)
        values = model.token_values
        exact = None if values is None else SetCosines(encoded, others, values.detach().numpy())
        own = place_in(used, n) if subject.split == "train" else None
        reporter.on_phase("Looking for the nearest training reviews", n)
        found = find_nearest(vectors, trained, exact, own, reporter)
        rows = np.where(found.rows == NONE, NONE, used[found.rows])
        for place in range(NEAREST):
            columns[f"near_{place + 1}"] = rows[:, place].astype(np.int32)
            columns[f"similarity_{place + 1}"] = found.similarities[:, place]
        is_near = found.rows != NONE
        columns["near"] = is_near.sum(axis=1).astype(np.int8)
        columns["near_positive"] = (is_near & (train.labels[found.rows] == 1)).sum(axis=1).astype(np.int8)
        document |= {"train": len(train), "is_exact": exact is None}
        if subject.split != "train":
            document["same_text"] = count_same(subject.rows.texts, train.texts)
    return Finding(document, pa.table(columns))


def represent(model: SentimentModel, encoded: EncodedTexts, reporter: JobReporter) -> Floats:
    """Return what a model's last layer reads of N texts, scaled to unit length, float32 (N, D)."""
    threads = torch.get_num_threads()
    if model.token_values is not None:
        # A sketch is thousands of small steps. Two threads that wait for each other at every step were measured thirty
        # times slower than one, where another job holds a core.
        torch.set_num_threads(1)
    try:
        return unit_rows(represent_texts(model, encoded, reporter.on_progress))
    finally:
        torch.set_num_threads(threads)


def trained_on(subject: Subject) -> Rows:
    """Return which rows of the train split a run of the subject's config is trained on, int64, ascending."""
    labels, config = subject.train.labels, subject.config
    return draw_rows(labels, config.data.limit or len(labels), config.training.seed)


def place_in(rows: Rows, n: int) -> Rows:
    """Return where each of n rows stands among ``rows``, int64 (n); ``NONE`` where it does not."""
    places = np.full(n, NONE, np.int64)
    places[rows] = np.arange(len(rows))
    return places


def count_same(texts: pa.Array, others: pa.Array) -> int:
    """Return how many of N texts stand word for word among others."""
    return int(pc.sum(pc.is_in(texts, value_set=others)).as_py() or 0)


def unit_rows(vectors: Floats) -> Floats:
    """Return rows scaled to unit length, float32 (N, D); a row of zeros stays one."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: Floats = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return scaled


def lay_out(vectors: Floats, logits: NDArray[np.float64]) -> tuple[Floats, float | None]:
    """Return the second coordinate of N reviews, the first being their logit.

    From each of the D numbers, what a straight line on the logit foretells of it is taken away; what is left has its
    first principal component along the second axis, in its standard deviations. Of its two directions that one is
    taken in which its largest entry is positive.

    Args:
        vectors: float32 (N, D).
        logits: float64 (N).

    Returns:
        float32 (N), and the axis's share of what is left, 0 to 1; zeros and None when nothing is left.
    """
    left = (vectors - vectors.mean(axis=0)) if len(vectors) else vectors.copy()
    line = (logits - logits.mean()).astype(np.float32) if len(logits) else logits.astype(np.float32)
    if (squares := float(line @ line)) > 0:
        left -= np.outer(line, (line @ left) / squares)
    spread = (left.T @ left).astype(np.float64) / max(len(left), 1)
    total = float(np.trace(spread))
    if total < 1e-9:
        return np.zeros(len(vectors), np.float32), None
    variances, directions = np.linalg.eigh(spread)
    axis = directions[:, -1]
    axis = axis * np.sign(axis[np.argmax(np.abs(axis))])
    places = (left @ axis.astype(np.float32)) / np.sqrt(variances[-1])
    return places.astype(np.float32), float(variances[-1]) / total


def find_nearest(
    vectors: Floats, trained: Floats, exact: "SetCosines | None", own: Rows | None, reporter: JobReporter
) -> Neighbours:
    """Return the five nearest of M training reviews to each of N reviews by cosine; equals by row.

    A review whose vector is zero has none.

    Args:
        vectors: Of the N reviews, unit length or zero, float32 (N, D).
        trained: Of the M training reviews, likewise, float32 (M, D).
        exact: The exact cosines of a model whose vectors are sketches: by sketch 64 candidates are chosen, which are
            then compared exactly. Of the five nearest film reviews, 91 % were among them.
        own: Which training review each of the N is itself, int64 (N), ``NONE`` for none; None when none is.
        reporter: Is told of each block.
    """
    most = min(len(trained), (NEAREST if exact is None else CANDIDATES) + 1)
    rows = np.full((len(vectors), NEAREST), NONE, np.int64)
    similarities = np.zeros((len(vectors), NEAREST), np.float32)
    across = torch.from_numpy(trained).T
    for start in range(0, len(vectors), BLOCK):
        block = slice(start, min(start + BLOCK, len(vectors)))
        nearest = torch.topk(torch.from_numpy(vectors[block]) @ across, most)
        found, cosines = nearest.indices.numpy(), nearest.values.numpy()
        if exact is not None:
            pairs = enumerate(found, block.start)
            cosines = np.array([exact.compare(row, candidates) for row, candidates in pairs]).reshape(found.shape)
        is_none = ~vectors[block].any(axis=1, keepdims=True)
        if own is not None:
            is_none = is_none | (found == own[block, None])
        cosines = np.where(is_none, -np.inf, np.clip(cosines, -1, 1))
        order = np.lexsort((found, -cosines), axis=1)[:, :NEAREST]
        found, cosines = np.take_along_axis(found, order, 1), np.take_along_axis(cosines, order, 1)
        width, is_found = found.shape[1], np.isfinite(cosines)
        rows[block, :width] = np.where(is_found, found, NONE)
        similarities[block, :width] = np.where(is_found, cosines, 0)
        reporter.on_progress(len(found))
    return Neighbours(rows, similarities)


class SetCosines:
    """Exact cosines of N reviews with M others, of a model to which a text is the set of its tokens.

    A text's vector has, for each token of its set, the token's value; the scale of a text cancels out.

    Args:
        encoded: The N reviews' tokens.
        others: The M others' tokens.
        values: Of each token id, float32 (ids).
    """

    def __init__(self, encoded: EncodedTexts, others: EncodedTexts, values: Floats) -> None:
        self._encoded, self._others = encoded, others
        self._squares = values.astype(np.float64) ** 2
        self._sizes = sum_texts(self._squares, others)
        self._shared = np.zeros(len(values))

    def compare(self, row: int, candidates: Rows) -> NDArray[np.float64]:
        """Return the cosines of one of the N reviews with C of the others, float64 (C); 0 for a text without tokens."""
        tokens = self._encoded.token_ids[self._encoded.offsets[row] : self._encoded.offsets[row + 1]]
        self._shared[tokens] = self._squares[tokens]
        sums = sum_texts(self._shared, self._others.take(candidates))
        products = np.sqrt(self._squares[tokens].sum() * self._sizes[candidates])
        self._shared[tokens] = 0.0
        cosines: NDArray[np.float64] = np.divide(sums, products, out=np.zeros(len(products)), where=products > 0)
        return cosines


def sum_texts(values: NDArray[np.float64], encoded: EncodedTexts) -> NDArray[np.float64]:
    """Return the sum of the values of each text's tokens, float64 (N); 0 for a text without tokens."""
    sums, starts = np.zeros(len(encoded)), encoded.offsets[:-1][encoded.lengths > 0]
    if len(starts):
        sums[encoded.lengths > 0] = np.add.reduceat(values[encoded.token_ids], starts)
    return sums
