"""How long a training will take here, said before it starts: measured costs times what the settings ask for.

Torch is not needed to read a forecast; ``core/training/rehearsal.py`` measures the costs, as a job of the slot quick.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from pydantic import Field

from core import settings
from core.config import RunConfig, Section
from core.errors import ConfigError, ReviewscopeError
from core.files import is_locked, write_json
from core.job_folder import JobFolder, JobReporter, read_document
from core.model_figures import list_shipped
from core.runs import Run, list_runs
from core.training.baseline import baseline_config, find_baseline
from core.training.learnt_before import is_learnt
from core.training.members import configs_before, find_member
from core.training.plan import plan_stages, steps_per_epoch

RULER = "fast"  # the preset whose rehearsal tells how this machine and this data compare with the shipped figures
ESTIMATE_RANGE = 2.0  # an estimate may be this many times too long or too short
UNTRIED_SPREAD = 0.2  # half the range before any run has shown how far off forecasts are here
LEAST_SPREAD = 0.08
MOST_EARLIER = 5
BUDGET_MARGIN = 0.95
PRETRAINING_PART = "learning from texts alone"
LESSON_PART = "teacher's scoring"
GROWING_PARTS = ("steps", "validation and checkpoints")


class Costs(Section):
    """What was measured on this machine for one set of data, words, model and batch size; seconds."""

    load: float = Field(description="Reading and fingerprinting the data.")
    prepare: float = Field(description="Fitting the encoder and encoding, all reviews.")
    step: float = Field(description="One update, the mean over batches of all lengths.")
    validation: float
    save: float = Field(description="One checkpoint and one model file.")
    test: float = Field(description="Encoding and scoring the test split.")
    n_train: int
    n_valid: int
    n_test: int
    threads: int
    steps_timed: int
    rehearsed: float = Field(description="How long the measuring took.")
    disturbed: bool = Field(description="Another training ran meanwhile, so that all of it is too long.")
    fingerprint: str
    baseline: float | None = Field(None, description="The line to beat, all of it; None when there is none to train.")
    pretraining: float = Field(0.0, description="Learning from texts alone, before the first step.")
    before: dict[str, float] = Field({}, description="What is trained first, all of each: ``configs_before``.")
    estimated: tuple[str, ...] = Field((), description="Of those, what was not rehearsed but told by shipped figures.")
    lesson: float = Field(0.0, description="The teacher's scoring of the reviews without a label.")


class Forecast(Section):
    """How long a training will take, in seconds."""

    seconds: float
    low: float
    high: float
    epoch_seconds: float = Field(description="One epoch with its validation and its checkpoint.")
    epochs: int
    steps: int
    step_seconds: float
    reviews_per_second: float
    parts: dict[str, float] = Field(description="What the seconds go into, before the correction.")
    raw_seconds: float = Field(description="Before the correction by what earlier runs took.")
    correction: float = Field(description="Earlier runs took this many times their raw forecast, the median.")
    errors: tuple[float, ...] = Field(description="How far off the last forecasts were: actual over forecast, minus 1.")
    threads: int
    rehearsed: float
    disturbed: bool
    costs_key: str


@dataclass(frozen=True)
class Estimate:
    """What a training may take that was not rehearsed, in seconds: the shipped time, scaled to this machine."""

    seconds: float

    @property
    def low(self) -> float:
        """Return the least that is likely."""
        return self.seconds / ESTIMATE_RANGE

    @property
    def high(self) -> float:
        """Return the most that is likely."""
        return self.seconds * ESTIMATE_RANGE


class ForecastRequest(Section):
    """Whose costs are to be measured."""

    config: RunConfig


@dataclass(frozen=True)
class ForecastJob(JobFolder):
    """A rehearsal and what it measured."""

    @property
    def config(self) -> RunConfig:
        """Return the settings that are rehearsed."""
        return read_document(self.path / "request.json", ForecastRequest).config

    @property
    def costs(self) -> Costs | None:
        """Return what was measured, or None before that."""
        path = self.path / "result.json"
        return read_document(path, Costs) if path.exists() else None

    @property
    def is_fresh(self) -> bool:
        """Tell whether there are costs that nothing disturbed, or that cannot be had better now."""
        costs = self.costs
        return costs is not None and (not costs.disturbed or is_training_here())

    def save_costs(self, costs: Costs) -> None:
        """Write what was measured."""
        write_json(self.path / "result.json", costs.model_dump())


def create_forecast_job(config: RunConfig) -> ForecastJob:
    """Make the folder of a rehearsal, or find it."""
    job = find_forecast_job(config)
    if not (job.path / "request.json").exists():
        write_json(job.path / "request.json", ForecastRequest(config=config).model_dump(mode="json"))
    return job


def find_forecast_job(config: RunConfig) -> ForecastJob:
    """Return the folder of a rehearsal, which may not be there yet."""
    return ForecastJob(settings.home() / "cache" / "forecasts" / costs_key(config))


def costs_key(config: RunConfig) -> str:
    """Return a name for all that a step's time depends on; epochs, rates and schedules do not."""
    data, training = config.data, config.training
    paths = [Path(path) for path in (data.path, getattr(config.model, "vectors_path", None)) if path]
    changed = [path.stat().st_mtime_ns for path in paths if path.exists()]
    sections = config.preprocessing.model_dump_json() + config.model.model_dump_json()
    source = data.model_dump_json(exclude={"split_seed"})
    content = f"{sections} {source} {changed} {training.batch_size} {training.precision} {training.teacher}"
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def execute_forecast(job: ForecastJob, reporter: JobReporter) -> None:
    """Measure the costs of a rehearsal's settings.

    Raises:
        ReviewscopeError: The data cannot be read.
    """
    from core.training.rehearsal import rehearse

    with job.locked():
        job.save_state("running")
        reporter.on_phase("Rehearsing", 0)
        job.save_costs(rehearse(job.config))
        job.save_state("finished")


def forecast(
    config: RunConfig, costs: Costs, *, with_test: bool = False, earlier: Sequence[Run] = (), start: float = 0.0
) -> Forecast:
    """Return how long a training takes; early stopping may end it sooner.

    Args:
        config: Its settings; ``costs`` were measured for the same ``costs_key``.
        costs: What was measured.
        with_test: The test split is scored at the end.
        earlier: Runs to learn from, newest first.
        start: What the process needs before it begins: a worker waits warm, a command has to load its libraries.
    """
    is_ensemble = config.model.kind == "ensemble"  # which takes no step, and looks at validation once
    stage = plan_stages(config.training, costs.n_train)[0]
    steps, epochs = (0, 1) if is_ensemble else (stage.last_step, stage.last_epoch)
    epoch_end = (costs.validation if costs.n_valid else 0.0) + costs.save
    missing = configs_before(config, lambda each: find_member(each, costs.fingerprint) is not None)
    before = {name: costs.before.get(name, 0.0) for name in missing}
    has_baseline = bool(config.data.validation_fraction) and config.model.kind != "ngram"
    must_train_baseline = has_baseline and find_baseline(config, costs.fingerprint) is None
    if baseline_config(config) in missing.values():
        must_train_baseline = False  # it is among them
    parts = {
        "start": start,
        "data": costs.load + costs.prepare,
        "line to beat": (costs.baseline or 0.0) if must_train_baseline else 0.0,
        **before,
        **({LESSON_PART: costs.lesson} if costs.lesson and before else {}),
        **({PRETRAINING_PART: costs.pretraining} if costs.pretraining and not is_learnt(config) else {}),
        "steps": steps * costs.step,
        "validation and checkpoints": epochs * epoch_end,
        "test": costs.test if with_test else 0.0,
    }
    guessed = sum(seconds for name, seconds in before.items() if name in costs.estimated)
    raw = sum(parts.values())
    key = costs_key(config)
    ratios = _earlier_ratios(config, key, earlier)
    correction = min(max(median(ratios), 0.5), 2.0) if ratios else 1.0
    errors = tuple(round(ratio / correction - 1, 3) for ratio in ratios)
    spread = max([LEAST_SPREAD, *(abs(error) for error in errors)]) if len(ratios) >= 2 else UNTRIED_SPREAD
    epoch_steps = 0 if is_ensemble else steps_per_epoch(config.training, costs.n_train)
    step_seconds = epoch_steps * costs.step * correction
    return Forecast(
        seconds=raw * correction,
        low=(raw * (1 - min(spread, 0.5)) - guessed * (1 - 1 / ESTIMATE_RANGE)) * correction,
        high=(raw * (1 + spread) + guessed * (ESTIMATE_RANGE - 1)) * correction,
        epoch_seconds=step_seconds + epoch_end * correction,
        epochs=epochs,
        steps=steps,
        step_seconds=costs.step * correction,
        reviews_per_second=costs.n_train / step_seconds if step_seconds else 0.0,
        parts={name: round(seconds, 3) for name, seconds in parts.items()},
        raw_seconds=raw,
        correction=correction,
        errors=errors,
        threads=costs.threads,
        rehearsed=costs.rehearsed,
        disturbed=costs.disturbed,
        costs_key=key,
    )


def estimate(preset: str, ruler: Forecast | None) -> Estimate | None:
    """Return what a preset may take here by the shipped figures; None without them, or without the ruler's forecast.

    Args:
        preset: Its name.
        ruler: The forecast of ``RULER`` on the same data.
    """
    shipped = list_shipped("test")
    if ruler is None or preset not in shipped or RULER not in shipped:
        return None
    return Estimate(shipped[preset].seconds * ruler.seconds / shipped[RULER].seconds)


def fit_budget(config: RunConfig, costs: Costs, expected: Forecast, seconds: float) -> RunConfig:
    """Return the settings with as many steps as a time budget allows; unchanged when all of them fit.

    Raises:
        ConfigError: Not even one step fits, or it is an ensemble, whose members are trained in full.
    """
    if expected.seconds <= seconds:
        return config
    if config.model.kind == "ensemble":
        raise ConfigError(
            f"{seconds / 60:.2g} min are too few: the members are trained in full, which takes about "
            f"{expected.seconds:.0f} s. Give more time, or choose other members."
        )
    available = BUDGET_MARGIN * seconds / expected.correction
    fixed = sum(seconds for name, seconds in expected.parts.items() if name not in GROWING_PARTS)
    steps = steps_per_epoch(config.training, costs.n_train)
    epoch_end = costs.validation + costs.save
    most = int((available - fixed - epoch_end) / (costs.step + epoch_end / steps))
    if most < 1:
        raise ConfigError(
            f"{seconds / 60:.2g} min are too few: reading the data and one validation take about "
            f"{(fixed + epoch_end) * expected.correction:.0f} s. Give more time, or choose a smaller model."
        )
    training = config.training.model_copy(update={"max_steps": min(most, expected.steps)})
    return config.model_copy(update={"training": training})


def note_forecast(run: Run, start: float) -> None:
    """Write the forecast that holds for a run at its start into its folder; without a rehearsal there is none."""
    config = run.settings.config
    costs = find_forecast_job(config).costs
    if costs is None or run.forecast_file.exists() or any(run.checkpoint_folder.glob("*")):
        return
    expected = forecast(config, costs, with_test=run.settings.with_test, earlier=list_runs(), start=start)
    write_json(run.forecast_file, expected.model_dump())


def load_forecast(run: Run) -> Forecast | None:
    """Return what was forecast before a run began, or None."""
    return read_document(run.forecast_file, Forecast) if run.forecast_file.exists() else None


def is_training_here() -> bool:
    """Tell whether some process of this workspace trains right now."""
    return is_locked(settings.home() / "queue" / "train.busy")


def rehearsed_configs(config: RunConfig) -> list[RunConfig]:
    """Return what has to be rehearsed for a forecast: the run, and its line to beat."""
    if config.model.kind == "ngram" or not config.data.validation_fraction:
        return [config]
    return [config, baseline_config(config)]


def _earlier_ratios(config: RunConfig, key: str, earlier: Sequence[Run]) -> list[float]:
    """Return actual time over raw forecast of the last runs with the same costs, or else of the same kind of model."""
    same, alike = [], []
    for run in earlier:
        try:
            expected, result = load_forecast(run), run.result
        except ReviewscopeError:
            continue  # a damaged one teaches nothing
        if expected is None or result is None or run.about.extensions or run.state.status != "finished":
            continue
        if expected.disturbed or result.epochs < expected.epochs or configs_before(run.settings.config):
            continue  # its seconds count a teacher not at all, and members also when they were there
        ratio = result.total_seconds / expected.raw_seconds
        if expected.costs_key == key:
            same.append(ratio)
        elif run.settings.config.model.kind == config.model.kind:
            alike.append(ratio)
    return (same or alike)[:MOST_EARLIER]
