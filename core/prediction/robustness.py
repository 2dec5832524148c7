"""How often small changes of the texts turn a model's verdicts: a look at a sample of a scored split."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.evaluation.intervals import mean_interval, wilson_interval
from core.evaluation.perturbations import PERTURBATIONS, perturb, unseen_reasons
from core.job_folder import JobReporter
from core.prediction.analysis import Finding, Subject
from core.prediction.predictor import probability_of

SAMPLE = 500
PIECE = 25  # reviews between two looks at the clock
BUDGET_SECONDS = 20.0
MOST_EXAMPLES = 20


class Changed(NamedTuple):
    """A review changed in one way, and its logit then."""

    name: str
    row: int
    logit: float


def look(subject: Subject, options: Mapping[str, Any], reporter: JobReporter) -> Finding:
    """Change a sample of the texts in each of ``PERTURBATIONS``' ways and score them again.

    The sample is drawn by seed, 500 reviews at most; what a slow model cannot read within 20 s is left out, and as the
    order was drawn too, what it has read is a sample still.

    Args:
        subject: A scored split.
        options: ``seed``, 0 or above, and ``cut``, the logit above which a verdict is positive; that of the results
            when it is missing.
        reporter: Is told of the sample's reviews.

    Returns:
        A document: ``seed``, ``cut``, ``n`` (reviews read), ``of`` (reviews of the split), ``unseen`` (what the model
        cannot see, with the reason) and ``changes``, for each perturbation what ``describe`` gives. No text is in it:
        an example is told by its row and the seed.
    """
    seed, cut = int(options.get("seed", 0)), float(options.get("cut", subject.results.cut))
    rows = np.random.default_rng(seed).permutation(len(subject.results))[:SAMPLE]
    reporter.on_phase("Changing texts and reading them again", len(rows))
    read, changed = 0, []
    began = time.monotonic()
    for start in range(0, len(rows), PIECE):
        piece = rows[start : start + PIECE]
        changed += _read_changed(subject, piece, seed)
        read += len(piece)
        reporter.on_progress(len(piece))
        if time.monotonic() - began > BUDGET_SECONDS:
            break
    before, changes = subject.results.logits, {}
    for name in PERTURBATIONS:
        places = np.array([each.row for each in changed if each.name == name], np.int64)
        after = np.array([each.logit for each in changed if each.name == name], np.float64)
        changes[name] = describe(places, before[places], after, cut)
    unseen = unseen_reasons(subject.predictor.architecture.preprocessing)
    return Finding(
        {"seed": seed, "cut": cut, "n": read, "of": len(subject.results), "unseen": unseen, "changes": changes}
    )


def describe(
    rows: NDArray[np.int64], before: NDArray[np.float64], after: NDArray[np.float64], cut: float
) -> dict[str, Any]:
    """Return what a change did to N verdicts, as plain JSON values.

    Args:
        rows: The changed reviews' places in the split, int64 (N); N may be 0.
        before: Their logits as they stand, float64 (N).
        after: Their logits once changed, float64 (N).
        cut: The verdict is positive where the logit is above it.

    Returns:
        ``applied`` (N), ``flips``, ``rate`` with its Wilson interval ``low`` and ``high``, ``moved`` (mean distance
        between the two probabilities of positive) with its normal interval ``moved_low`` and ``moved_high``, each None
        where it is undefined; ``examples``, the rows that flipped, with both probabilities and the verdict after the
        change, the farthest moved first.
    """
    n, was, now = len(rows), probability_of(before), probability_of(after)
    flipped, distances = (before > cut) != (after > cut), np.abs(now - was)
    flips = int(flipped.sum())
    low, high = wilson_interval(flips, n) if n else (None, None)
    moved_low, moved_high = mean_interval(distances) if n > 1 else (None, None)
    order = np.flatnonzero(flipped)
    order = order[np.argsort(-distances[order], kind="stable")][:MOST_EXAMPLES]
    return {
        "applied": n, "flips": flips, "rate": flips / n if n else None, "low": low, "high": high,
        "moved": float(distances.mean()) if n else None,
        "moved_low": None if moved_low is None else max(moved_low, 0.0),
        "moved_high": None if moved_high is None else min(moved_high, 1.0),
        "examples": [
            {
                "row": int(rows[place]), "before": float(was[place]), "after": float(now[place]),
                "verdict": int(after[place] > cut),
            }
            for place in order
        ],
    }  # fmt: skip


def _read_changed(subject: Subject, rows: NDArray[np.int64], seed: int) -> list[Changed]:
    """Change reviews in every way that applies to them and score what comes of it."""
    asked, texts = [], []
    for row, text in zip(rows.tolist(), subject.rows.texts.take(pa.array(rows)).to_pylist(), strict=True):
        for name in PERTURBATIONS:
            if (text_now := perturb(name, text, seed, row)) is not None:
                asked.append((name, row))
                texts.append(text_now)
    logits = subject.predictor.predict(texts).logits.tolist() if texts else []
    return [Changed(name, row, logit) for (name, row), logit in zip(asked, logits, strict=True)]
