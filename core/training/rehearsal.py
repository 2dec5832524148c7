"""The costs of a training, measured in some seconds on a sample of its reviews with its own model."""

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from core import settings
from core.config import PRESETS, DocumentVectorsConfig, EnsembleConfig, NgramConfig, RunConfig, on_same_data
from core.data.labelled import LabelledTexts, cut_stratified, draw_rows, fingerprint
from core.data.sources import load_columns
from core.model_figures import Known, list_shipped
from core.models.catalog import fit_encoder
from core.models.model_file import Architecture, save_model
from core.models.scoring import score_texts
from core.prediction.predictor import Predictor
from core.preprocessing.batching import epoch_batches
from core.training.baseline import baseline_config
from core.training.checkpoint import Position, save_checkpoint
from core.training.forecast import Costs, is_training_here, rehearsed_configs
from core.training.members import configs_before, take_run
from core.training.plan import Stage, plan_stages
from core.training.pretraining import PRETRAINING, Pretraining, Task
from core.training.teaching import teacher_config
from core.training.trainer import EncodedSplit, Learner, build_learner, encode_split, prepare_torch, training_step
from core.training.unlabelled import read_unlabelled
from core.training.watcher import StopAsked, Watcher

SAMPLE = 2_500
PART = 5  # every fifth of the sample
WARM_STEPS = 2
GENTLE_RATE = 1e-4
STEP_SECONDS = 4.0
SCORE_SECONDS = 1.5
PRETRAINING_SECONDS = 8.0
LAST_START = 10.0  # after which nothing more is measured that can be told otherwise: a rehearsal has 30 s
MODEL_TEXTS = 200
Result = TypeVar("Result")


def rehearse(config: RunConfig) -> Costs:
    """Measure a training's costs: every part of it on a sample, some warm steps, one checkpoint.

    What is trained first is measured too, as long as there is time; the rest is told by the shipped figures.

    Raises:
        ReviewscopeError: The data cannot be read, or a member that is a run cannot be had.
    """
    began = time.monotonic()
    prepare_torch(config.training.seed)
    was_disturbed = is_training_here()
    seconds, (splits, name) = _timed(lambda: _load(config))
    reading, unlabelled = _timed(lambda: _count_unlabelled(config, splits))
    bench = _Bench(splits, name, seconds + reading, unlabelled, began)
    before = bench.measure_before(config)
    costs = [bench.measure(each) for each in rehearsed_configs(config)]
    update: dict[str, Any] = {
        "rehearsed": time.monotonic() - began,
        "disturbed": was_disturbed or is_training_here(),
        "before": before,
        "estimated": tuple(bench.estimated),
    }
    if len(costs) > 1:
        update["baseline"] = training_seconds(baseline_config(config), costs[1])
    if config.training.teacher:
        teacher = bench.measure(teacher_config(config))
        update["lesson"] = teacher.test / max(teacher.n_test, 1) * unlabelled
    return costs[0].model_copy(update=update)


def _load(config: RunConfig) -> tuple[dict[str, LabelledTexts], str]:
    splits = load_columns(config.data)
    return splits, fingerprint(splits)


def training_seconds(config: RunConfig, costs: Costs) -> float:
    """Return what a training within another run's job takes: no reading of the data, no test."""
    stage = plan_stages(config.training, costs.n_train)[0]
    steps, epochs = (0, 1) if isinstance(config.model, EnsembleConfig) else (stage.last_step, stage.last_epoch)
    return costs.prepare + costs.pretraining + steps * costs.step + epochs * (costs.validation + costs.save)


@dataclass
class _Bench:
    """Measures several settings on the same data, each once."""

    splits: dict[str, LabelledTexts]
    fingerprint: str
    load: float
    unlabelled: int
    began: float
    known: dict[str, Costs] = field(default_factory=dict)
    estimated: list[str] = field(default_factory=list)
    ratio: float | None = None  # how many times longer a training takes here than was shipped

    def measure(self, config: RunConfig) -> Costs:
        """Return a config's costs; those of an ensemble are its members'."""
        key = config.model_dump_json()
        if key not in self.known:
            measure = self._measure_ensemble if isinstance(config.model, EnsembleConfig) else self._measure
            self.known[key] = measure(config)
        return self.known[key]

    def measure_before(self, config: RunConfig) -> dict[str, float]:
        """Return the seconds of all that a config trains first."""
        shipped, found = list_shipped("test"), {}
        before = configs_before(config)
        # Those first of which nothing was shipped: they must be measured, whatever the time.
        for name in sorted(before, key=lambda name: _preset_of(name) in shipped):
            preset, own = _preset_of(name), before[name]
            if isinstance(own.model, EnsembleConfig):
                continue
            is_late = time.monotonic() - self.began > LAST_START
            if is_late and self.ratio is not None and preset in shipped:
                found[name] = self.ratio * shipped[preset].seconds
                self.known[own.model_dump_json()] = self._estimated_costs(found[name], shipped[preset])
                self.estimated.append(name)
                continue
            costs = self.measure(own)
            found[name] = training_seconds(own, costs)
            if preset in shipped:
                self.ratio = (found[name] + costs.load + costs.test) / shipped[preset].seconds
        for name, own in before.items():
            if isinstance(own.model, EnsembleConfig):
                found[name] = training_seconds(own, self.measure(own))
        return {name: found[name] for name in before}

    def _measure(self, config: RunConfig) -> Costs:
        return _measure(config, self.splits, self.fingerprint, self.load, self.unlabelled)

    def _measure_ensemble(self, config: RunConfig) -> Costs:
        assert isinstance(config.model, EnsembleConfig)
        n_valid = len(
            cut_stratified(self.splits["train"].labels, config.data.validation_fraction, config.split_seed)[1]
        )
        n_test = len(self.splits["test"])
        scoring = saving = 0.0  # seconds of one review with all members, and of a model file
        for name in config.model.members:
            if name in PRESETS:
                costs = self.measure(on_same_data(name, config))
                scoring, saving = scoring + costs.test / max(n_test, 1), saving + costs.save
            else:
                scoring += _time_model(take_run(name, config).model_file, self.splits["train"])
        n_train = len(self.splits["train"]) - n_valid
        return self._blank(n_train, n_valid, n_test).model_copy(
            update={"validation": scoring * n_valid, "test": scoring * n_test, "save": saving}
        )

    def _estimated_costs(self, seconds: float, shipped: Known) -> Costs:
        """Return costs of which nothing but their sum is known, and how fast the model scores."""
        assert self.ratio is not None
        n_test = len(self.splits["test"])
        scoring = self.ratio / shipped.reviews_per_second if shipped.reviews_per_second else 0.0
        blank = self._blank(len(self.splits["train"]), 0, n_test)
        return blank.model_copy(update={"prepare": seconds, "test": scoring * n_test})

    def _blank(self, n_train: int, n_valid: int, n_test: int) -> Costs:
        return Costs(
            load=self.load, prepare=0.0, step=0.0, validation=0.0, save=0.0, test=0.0, n_train=n_train, n_valid=n_valid,
            n_test=n_test, threads=torch.get_num_threads(), steps_timed=0, rehearsed=0.0, disturbed=False,
            fingerprint=self.fingerprint,
        )  # fmt: skip


def _preset_of(name: str) -> str:
    """Return the preset in "member fast"."""
    return name.rpartition(" ")[2]


def _time_model(model_file: Path, rows: LabelledTexts) -> float:
    """Return the seconds that one review takes with a model that is trained, encoding included."""
    predictor = Predictor.load(model_file)
    texts = rows.take(np.arange(min(len(rows), MODEL_TEXTS))).texts
    predictor.predict(texts)
    return _timed(lambda: predictor.predict(texts))[0] / len(texts)


def _count_unlabelled(config: RunConfig, splits: dict[str, LabelledTexts]) -> int:
    """Return how many reviews without a label a training reads; the rehearsal itself makes do with the sample."""
    if not any(each.reads_unlabelled for each in (config, *configs_before(config).values())):
        return 0
    return len(read_unlabelled(config, splits["train"], splits["test"]).texts)


def _measure(
    config: RunConfig, splits: dict[str, LabelledTexts], name: str, load_seconds: float, unlabelled: int
) -> Costs:
    train_split, seed = splits["train"], config.training.seed
    rows, valid_rows = cut_stratified(train_split.labels, config.data.validation_fraction, config.split_seed)
    taught = unlabelled if config.training.teacher else 0
    n_train = min(config.data.limit or len(rows), len(rows)) + taught
    sample = train_split.take(rows[draw_rows(train_split.labels[rows], SAMPLE, seed)])

    scaled = _scaled(config, len(sample) / len(rows))
    part = sample.take(np.arange(0, len(sample), PART))
    fitting, encoder = _time_growth(lambda texts: fit_encoder(texts.texts, scaled), part, sample, len(rows) + taught)
    encoding, encoded = _time_growth(
        lambda texts: encode_split(encoder, texts), part, sample, n_train + len(valid_rows)
    )
    learner = build_learner(_gentle(config), encoder, [Stage(0, 10**9, 10**9)])
    preparing, _ = _timed(lambda: learner.model.prepare(encoded.encoded, sample.labels))
    pretraining = (
        _time_pretraining(config, learner, sample, len(rows) + unlabelled) if config.model.pretraining else 0.0
    )
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
        pretraining=pretraining,
    )


def _time_pretraining(config: RunConfig, learner: Learner, sample: LabelledTexts, n_texts: int) -> float:
    """Return the seconds that learning from ``n_texts`` texts takes, from a sample of them; the model starts from it.

    What takes longer than a rehearsal may is stopped, and its pace tells the rest.
    """
    name = config.model.pretraining
    assert name is not None
    began, counted = time.monotonic(), _Counted()
    watcher = Watcher(
        on_phase=counted.begin, on_progress=counted.add,
        should_stop=lambda: time.monotonic() - began > PRETRAINING_SECONDS,
    )  # fmt: skip
    method: Pretraining = importlib.import_module(PRETRAINING[name])
    cache = settings.home() / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache) as folder, torch.random.fork_rng(devices=[]):
        try:
            learnt = method.learn(Task(config, learner.encoder, sample.texts, sample.labels, watcher), Path(folder))
        except StopAsked:
            return (time.monotonic() - began) / max(counted.share, 1e-3) * n_texts / len(sample)
    seconds = time.monotonic() - began
    learner.model.start_from(learnt)
    return seconds if name == "file" else seconds * n_texts / len(sample)


@dataclass
class _Counted:
    """How much of the present phase is done."""

    total: int = 0
    done: int = 0

    def begin(self, phase: str, total: int) -> None:
        self.total, self.done = total, 0

    def add(self, done: int) -> None:
        self.done += done

    @property
    def share(self) -> float:
        return self.done / self.total if self.total else 0.0


def _gentle(config: RunConfig) -> RunConfig:
    """Return settings whose steps cost the same and cannot diverge."""
    training = config.training.model_copy(update={"learning_rate": GENTLE_RATE, "schedule": "constant"})
    return config.model_copy(update={"training": training})


def _scaled(config: RunConfig, share: float) -> RunConfig:
    """Return settings under which a sample gives about as many n-grams as all reviews do."""
    if not isinstance(config.model, NgramConfig | DocumentVectorsConfig):
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
