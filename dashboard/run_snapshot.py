"""What the training page says about a run, read once each time it is drawn."""

from dataclasses import dataclass
from functools import cached_property

from core.config import RunConfig
from core.evaluation.intervals import Interval, wilson_interval
from core.job_folder import JobProgress, JobState
from core.runs import Run, RunAbout, RunOrigin, RunResult
from core.training.baseline import Baseline, load_baseline
from core.training.forecast import Forecast, load_forecast
from core.training.history import History, TimeLeft, estimate_left, training_seconds
from core.training.plan import Stage, plan_stages, steps_per_epoch
from dashboard import cache

LIVE = ("queued", "running")
DATA_NAMES = {"imdb": "IMDB film reviews", "demo": "Demo corpus", "table": "Your table"}
EARLY_SPREAD = 0.2


@dataclass(frozen=True)
class Snapshot:
    """One run's documents and its history, as they were at one moment."""

    run: Run
    about: RunAbout
    state: JobState
    config: RunConfig
    origin: RunOrigin | None
    result: RunResult | None
    progress: JobProgress | None
    baseline: Baseline | None
    forecast: Forecast | None
    history: History

    @classmethod
    def read(cls, run: Run) -> "Snapshot":
        """Read a run's folder.

        Raises:
            ReviewscopeError: A file is missing or damaged, as when the run was deleted meanwhile.
        """
        state = run.state  # first: what ended after this look is seen at the next one
        return cls(
            run, run.about, state, run.settings.config, run.origin, run.result, run.progress, load_baseline(run),
            load_forecast(run), cache.load_history(run),
        )  # fmt: skip

    @property
    def status(self) -> str:
        """Return the state in one word."""
        return self.state.status

    @property
    def is_live(self) -> bool:
        """Tell whether it waits or trains."""
        return self.status in LIVE

    @property
    def is_diverged(self) -> bool:
        """Tell whether its loss stopped being a sound number."""
        return self.status == "failed" and self.history.diverged is not None

    @property
    def is_ensemble(self) -> bool:
        """Tell whether it takes no step itself, and looks at validation once."""
        return self.config.model.kind == "ensemble"

    @property
    def is_training(self) -> bool:
        """Tell whether it is in the loop, rather than before or after it."""
        return self.status == "running" and self.progress is not None and self.progress.phase == "Training"

    @cached_property
    def stage(self) -> Stage | None:
        """Return the last stage of the plan; None before the run has counted its reviews."""
        if self.origin is None:
            return None
        return plan_stages(self.config.training, self.origin.n_train, self.about.extensions)[-1]

    @property
    def last_step(self) -> int:
        """Return the steps of the whole plan, or, of a run that is done, those it took; 0 while that is not known."""
        planned = self.stage.last_step if self.stage and self.status != "finished" else 0
        return max(planned, self.history.last_step)

    @property
    def last_epoch(self) -> int:
        """Return the epochs of the whole plan, or, of a run that is done, those it took."""
        if self.status == "finished" and self.result is not None:
            return self.result.epochs
        return self.stage.last_epoch if self.stage else self.config.training.epochs

    @property
    def per_epoch(self) -> int:
        """Return the steps of one epoch; 1 before the run has counted its reviews."""
        return steps_per_epoch(self.config.training, self.origin.n_train) if self.origin else 1

    @property
    def epoch(self) -> int:
        """Return the epoch in progress, from 1."""
        epochs = self.history.steps["epoch"]
        return int(epochs[-1]) if len(epochs) else 1

    @property
    def share_done(self) -> float:
        """Return how much of the plan's steps is done, 0 to 1."""
        return min(self.history.last_step / max(self.last_step, 1), 1.0)

    @cached_property
    def left(self) -> TimeLeft | None:
        """Return how long the rest will take, test split included where that was forecast; None when not known."""
        if not self.is_training:
            return None
        expected = self.forecast
        early = max(expected.high / expected.seconds - 1, 0.0) if expected and expected.seconds else EARLY_SPREAD
        left = estimate_left(self.history, self.last_step, self.per_epoch, early)
        test = expected.parts.get("test", 0.0) * expected.correction if expected else 0.0
        return None if left is None else TimeLeft(left.seconds + test, left.low + test, left.high + test)

    @cached_property
    def seconds_planned(self) -> float:
        """Return how long the steps of the whole plan take at the speed so far; of a run that is done, took."""
        clocks = [clock[-1] for clock in training_seconds(self.history) if len(clock)]
        spent, steps = float(max(clocks, default=0.0)), self.history.last_step
        return spent if self.status == "finished" or not steps else spent / steps * self.last_step

    @cached_property
    def kept(self) -> int | None:
        """Return the place of the validation whose weights are kept; None before the first."""
        return self.history.best(self.config.training.best_by)

    @property
    def n_valid(self) -> int:
        """Return the reviews of validation; 0 without any, and before the run has counted them."""
        return self.origin.n_valid if self.origin else 0

    def interval(self, share: float | None, n: int) -> Interval | None:
        """Return the 95 % interval of a share of n reviews; None without one."""
        return None if share is None or not n else wilson_interval(round(share * n), n)
