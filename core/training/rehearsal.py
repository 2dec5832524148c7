"""The costs of a training, measured in some seconds on a sample of its reviews with its own model."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from core import settings
from core.config import NgramConfig, RunConfig
from core.data.labelled import LabelledTexts, cut_stratified, draw_rows, fingerprint
from core.data.sources import load_columns
from core.models.catalog import fit_encoder
from core.models.model_file import Architecture, save_model
from core.models.scoring import score_texts
from core.preprocessing.batching import epoch_batches
from core.training.baseline import baseline_config
from core.training.checkpoint import Position, save_checkpoint
from core.training.forecast import Costs, is_training_here, rehearsed_configs
from core.training.plan import Stage, plan_stages
from core.training.trainer import EncodedSplit, Learner, build_learner, encode_split, prepare_torch, training_step

SAMPLE = 2_500
PART = 5  # every fifth of the sample
WARM_STEPS = 2
GENTLE_RATE = 1e-4
STEP_SECONDS = 4.0
SCORE_SECONDS = 1.5
Result = TypeVar("Result")


def rehearse(config: RunConfig) -> Costs:
    """Measure a training's costs: every part of it on a sample, some warm steps, one checkpoint.

    Raises:
        DataError: The data cannot be read.
    """
    began = time.monotonic()
    prepare_torch(config.training.seed)
    was_disturbed = is_training_here()
    seconds, (splits, name) = _timed(lambda: _load(config))
    costs = [_measure(each, splits, name, seconds) for each in rehearsed_configs(config)]
    update = {"rehearsed": time.monotonic() - began, "disturbed": was_disturbed or is_training_here()}
    if len(costs) > 1:
        update["baseline"] = _baseline_seconds(costs[1], config)
    return costs[0].model_copy(update=update)


def _load(config: RunConfig) -> tuple[dict[str, LabelledTexts], str]:
    splits = load_columns(config.data)
    return splits, fingerprint(splits)


def _measure(config: RunConfig, splits: dict[str, LabelledTexts], name: str, load_seconds: float) -> Costs:
    train_split, seed = splits["train"], config.training.seed
    rows, valid_rows = cut_stratified(train_split.labels, config.data.validation_fraction, config.split_seed)
    n_train = min(config.data.limit or len(rows), len(rows))
    sample = train_split.take(rows[draw_rows(train_split.labels[rows], SAMPLE, seed)])

    scaled = _scaled(config, len(sample) / len(rows))
    part = sample.take(np.arange(0, len(sample), PART))
    fitting, encoder = _time_growth(lambda texts: fit_encoder(texts.texts, scaled), part, sample, len(rows))
    encoding, encoded = _time_growth(
        lambda texts: encode_split(encoder, texts), part, sample, n_train + len(valid_rows)
    )
    learner = build_learner(_gentle(config), encoder, [Stage(0, 10**9, 10**9)])
    preparing, _ = _timed(lambda: learner.model.prepare(encoded.encoded, sample.labels))
    step, timed = _time_steps(learner, encoded)
    scoring = _time_scoring(learner, encoded)
    saving = _time_saving(config, learner)

    per_text = encoding / (n_train + len(valid_rows))
    return Costs(
        load=load_seconds,
        prepare=fitting + encoding + preparing / len(sample) * n_train,
        step=step,
        validation=scoring * len(valid_rows),
        save=saving,
        test=(per_text + scoring) * len(splits["test"]),
        n_train=n_train,
        n_valid=len(valid_rows),
        n_test=len(splits["test"]),
        threads=torch.get_num_threads(),
        steps_timed=timed,
        rehearsed=0.0,
        disturbed=False,
        fingerprint=name,
    )


def _gentle(config: RunConfig) -> RunConfig:
    """Return settings whose steps cost the same and cannot diverge."""
    training = config.training.model_copy(update={"learning_rate": GENTLE_RATE, "schedule": "constant"})
    return config.model_copy(update={"training": training})


def _scaled(config: RunConfig, share: float) -> RunConfig:
    """Return settings under which a sample gives about as many n-grams as all reviews do."""
    if not isinstance(config.model, NgramConfig):
        return config
    least = max(round(config.model.min_reviews * share), 1)
    return config.model_copy(update={"model": config.model.model_copy(update={"min_reviews": least})})


def _time_steps(learner: Learner, encoded: EncodedSplit) -> tuple[float, int]:
    """Return the mean seconds of a step over batches of all lengths, and how many were timed.

    Steps are timed from short and long batches in turn; the mean over all follows from how time grows with tokens.
    """
    config = learner.config
    batches = epoch_batches(encoded.encoded.lengths, config.batch_size, config.seed, 1)
    batches.sort(key=lambda batch: _tokens(encoded, batch))
    order = _spread_out(len(batches))
    learner.model.train()
    seconds, tokens = [], []
    warm = order[:WARM_STEPS]
    for number, place in enumerate(warm + order):
        took, _ = _timed(partial(training_step, learner, Position(), encoded, batches[place]))
        if number >= len(warm):
            seconds.append(took)
            tokens.append(_tokens(encoded, batches[place]))
        if sum(seconds) > STEP_SECONDS:
            break
    mean_tokens = float(np.mean([_tokens(encoded, batch) for batch in batches]))
    return _value_on_line(np.array(tokens, np.float64), np.array(seconds), mean_tokens), len(seconds)


def _value_on_line(x: NDArray[np.float64], y: NDArray[np.float64], at: float) -> float:
    """Return the value at a place of the line through the median slope (Theil 1950, Sen 1968).

    A step that the machine happened to delay does not move it.
    """
    first, second = np.triu_indices(len(x), 1)
    apart = x[second] != x[first]
    slopes = (y[second] - y[first])[apart] / (x[second] - x[first])[apart]
    slope = max(float(np.median(slopes)), 0.0) if len(slopes) else 0.0
    return max(float(np.median(y - slope * x)) + slope * at, float(y.min()))


def _tokens(encoded: EncodedSplit, batch: NDArray[np.int64]) -> int:
    """Return how many tokens a batch has once padded."""
    return max(int(encoded.encoded.lengths[batch].max()), 1) * len(batch)


def _spread_out(count: int) -> list[int]:
    """Return 0 to ``count`` - 1 in an order whose every beginning is spread evenly: bits of the place, reversed."""
    bits = max(count - 1, 1).bit_length()
    reversed_bits = (int(f"{place:0{bits}b}"[::-1], 2) for place in range(2**bits))
    return [place for place in reversed_bits if place < count]


def _time_scoring(learner: Learner, encoded: EncodedSplit) -> float:
    """Return the seconds that scoring one encoded review takes."""
    learner.model.eval()
    done, spent, count = 0, 0.0, 64
    while spent < SCORE_SECONDS and done < len(encoded.labels):
        part = encoded.encoded.take(np.arange(done, min(done + count, len(encoded.labels))))
        took, _ = _timed(partial(score_texts, learner.model, part))
        done, spent, count = done + len(part), spent + took, count * 4
    return spent / done


def _time_saving(config: RunConfig, learner: Learner) -> float:
    """Return the seconds that a checkpoint and a model file take."""
    cache = settings.home() / "cache"  # on the disk that runs are kept on
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache) as folder:
        place = Path(folder)
        architecture = Architecture(preprocessing=config.preprocessing, model=config.model)
        checkpoint, _ = _timed(lambda: save_checkpoint(place, learner.model, learner.optimizer, Position(step=1), ""))
        model, _ = _timed(lambda: save_model(place / "model.safetensors", learner.model, learner.encoder, architecture))
    return checkpoint + model


def _baseline_seconds(costs: Costs, config: RunConfig) -> float:
    stage = plan_stages(baseline_config(config).training, costs.n_train)[0]
    return costs.prepare + stage.last_step * costs.step + stage.last_epoch * (costs.validation + costs.save)


def _time_growth(
    work: Callable[[LabelledTexts], Result], part: LabelledTexts, sample: LabelledTexts, wanted: int
) -> tuple[float, Result]:
    """Return the seconds that work on ``wanted`` texts takes, and its result on the sample.

    What does not grow with the texts is told apart by a first go on a part of them, which also warms up.
    """
    work(part)
    little, _ = _timed(lambda: work(part))
    much, result = _timed(lambda: work(sample))
    slope = max((much - little) / max(len(sample) - len(part), 1), 0.5 * much / len(sample))
    return much + slope * (wanted - len(sample)), result


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result
