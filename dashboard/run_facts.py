"""What the runs page says about a run, or about runs that were queued together, read once a page run."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.config import RunConfig
from core.errors import ReviewscopeError
from core.evaluation.comparison import SeedSpread, spread
from core.evaluation.intervals import Interval, wilson_interval
from core.job_folder import JobState
from core.prediction.evaluating import EvaluationJob, evaluation_folder
from core.prediction.uploads import find_upload
from core.run_groups import RunGroup, group_runs, mean_curve, single_group
from core.runs import Run, RunAbout, RunOrigin, RunResult, list_damaged_runs, list_runs
from core.training.history import History
from dashboard import cache
from dashboard.run_snapshot import LIVE

# Each run's status and, while it trains, number of validations: what a change of the page hangs on.
States = dict[str, tuple[str, int]]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class RunFacts:
    """One run's documents, and its validations so far."""

    run: Run
    about: RunAbout
    state: JobState
    config: RunConfig
    origin: RunOrigin | None
    result: RunResult | None
    history: History

    @property
    def is_live(self) -> bool:
        """Tell whether it waits or trains."""
        return self.state.status in LIVE

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """Return validation accuracy by validation, float64 (V)."""
        return self.history.validations["valid_accuracy"]

    @cached_property
    def kept(self) -> int | None:
        """Return the place of the validation whose weights are kept; None before the first."""
        return self.history.best(self.config.training.best_by)

    def accuracy(self, *, last: bool = False) -> float | None:
        """Return the validation accuracy of the kept weights, or of the last validation."""
        place = len(self.accuracies) - 1 if last else self.kept
        if place is None or not len(self.accuracies):
            return self.result.valid_accuracy if self.result else None
        return float(self.accuracies[place])

    def epoch(self, *, last: bool = False) -> int | None:
        """Return the epoch of that validation."""
        place = len(self.accuracies) - 1 if last else self.kept
        if place is None or not len(self.accuracies):
            return None
        return int(self.history.validations["epoch"][place])

    @property
    def epochs(self) -> int:
        """Return how many epochs there are to be, and of a run that has ended how many there were."""
        if self.result is not None and not self.is_live:
            return self.result.epochs
        return self.config.training.epochs + sum(extension.epochs for extension in self.about.extensions)

    @property
    def valid_interval(self) -> Interval | None:
        """Return the 95 % interval of the kept weights' validation accuracy."""
        return _interval(self.accuracy(), self.origin.n_valid if self.origin else 0)

    @cached_property
    def test(self) -> float | None:
        """Return the test accuracy, found at its end or when it was scored later; None before."""
        if self.result is None or self.result.test_accuracy is not None or self.fingerprint is None:
            return self.result.test_accuracy if self.result else None
        return cache.load_accuracy(EvaluationJob(evaluation_folder(self.result.model_sha256, self.fingerprint, "test")))

    @property
    def test_interval(self) -> Interval | None:
        """Return the 95 % interval of the test accuracy."""
        return _interval(self.test, self.origin.n_test if self.origin else 0)

    @cached_property
    def model_size(self) -> int | None:
        """Return the bytes of the model file; None without one."""
        try:
            return self.run.model_file.stat().st_size
        except OSError:
            return None

    @property
    def fingerprint(self) -> str | None:
        """Return the data's fingerprint; None before the run has read its data."""
        return self.origin.data_fingerprint if self.origin else None

    def has_same_data(self, other: "RunFacts") -> bool:
        """Tell whether two runs learn from the same reviews; by the settings while one has not read them yet."""
        if self.fingerprint and other.fingerprint:
            return self.fingerprint == other.fingerprint
        names = ("source", "path", "text_column", "label_column")
        return all(getattr(self.config.data, name) == getattr(other.config.data, name) for name in names)

    def curve(self, unit: str) -> Curve:
        """Return validation accuracy by "share" of training done, or by "step"."""
        steps = self.history.validations["step"]
        return (steps / self.total_steps if unit == "share" else steps), self.accuracies

    @cached_property
    def total_steps(self) -> float:
        """Return the steps planned, or those of the last validation when no plan is known; at least 1."""
        steps = self.history.validations["step"]
        last = float(steps[-1]) if len(steps) else 1.0
        progress = None if self.state.status == "finished" else self.run.progress
        return max(last, float(progress.total) if progress and progress.phase == "Training" else 0.0, 1.0)


@dataclass(frozen=True)
class GroupFacts:
    """A row of the page: a run, or several that were queued together.

    Attributes:
        group: Which runs, and what they are called.
        members: The facts of each, in the group's order.
    """

    group: RunGroup
    members: tuple[RunFacts, ...]

    @property
    def group_id(self) -> str:
        """Return the name in the URL."""
        return self.group.group_id

    @property
    def is_seeds(self) -> bool:
        """Tell whether the members differ by seed alone."""
        return self.group.kind == "seeds"

    @property
    def first(self) -> RunFacts:
        """Return the oldest member, whose settings stand for all of a group of seeds."""
        return self.members[0]

    @property
    def created(self) -> float:
        """Return when the newest member was made."""
        return max(member.about.created for member in self.members)

    def accuracies(self, *, last: bool = False) -> list[float]:
        """Return the validation accuracy of each member that has one."""
        return [value for member in self.members if (value := member.accuracy(last=last)) is not None]

    def spread(self, *, last: bool = False) -> SeedSpread | None:
        """Return mean, range and spread of the validation accuracy; None before the first."""
        values = self.accuracies(last=last)
        return spread(values) if values else None

    def best(self, *, last: bool = False) -> RunFacts:
        """Return the member of the best validation accuracy."""
        return max(self.members, key=lambda member: member.accuracy(last=last) or -1.0)

    def rank(self, *, last: bool = False) -> float:
        """Return what the list is sorted by: a group of seeds' mean, a grid's best; -1 when unknown."""
        if not self.is_seeds:
            return self.best(last=last).accuracy(last=last) or -1.0
        found = self.spread(last=last)
        return found.mean if found else -1.0

    @property
    def seconds_so_far(self) -> float | None:
        """Return how long the run that trains now has been at it; None when none does."""
        running = next((member.run.progress for member in self.members if member.state.status == "running"), None)
        return running.time - running.began if running else None

    @property
    def seconds(self) -> float | None:
        """Return the training time of all members that have ended; None when there is none."""
        known = [member.result.total_seconds for member in self.members if member.result is not None]
        return sum(known) if known else None

    @property
    def model_size(self) -> int | None:
        """Return the bytes of all models; None without one."""
        known = [size for member in self.members if (size := member.model_size) is not None]
        return sum(known) if known else None

    def sparkline(self) -> list[float]:
        """Return the curve for the table: the mean of seeds, the best of a grid."""
        if self.is_seeds:
            mean = mean_curve([member.curve("share") for member in self.members if len(member.accuracies)])
            return [] if mean is None else [float(value) for value in mean.mean[::6]]
        return [float(value) for value in self.best().accuracies]

    def state_words(self) -> str:
        """Return the state; of several runs, how many have finished."""
        counts = Counter(member.state.status for member in self.members)
        if len(counts) == 1:
            return next(iter(counts))
        return f"{counts['finished']} of {len(self.members)} finished"


@dataclass(frozen=True)
class Listing:
    """What the page lists.

    Attributes:
        groups: Readable runs, those queued together as one, the newest first.
        damaged: The ids of the others.
        states: Of all runs.
    """

    groups: list[GroupFacts]
    damaged: list[str]
    states: States


def load_all() -> Listing:
    """Return all runs of the workspace."""
    runs = list_runs()
    facts = {run: found for run in runs if (found := load_facts(run)) is not None}
    groups = group_runs([run for run in runs if run in facts])
    damaged = {*list_damaged_runs(), *(run.run_id for run in runs if run not in facts and run.exists)}
    return Listing(
        groups=[GroupFacts(group, tuple(facts[run] for run in group.runs)) for group in groups],
        damaged=sorted(damaged),
        states={run.run_id: _state_of(run, facts.get(run)) for run in runs},
    )


def list_states() -> States:
    """Return only the states of all runs, which is a third of the work."""
    return {run.run_id: _state_of(run, None) for run in list_runs()}


def _state_of(run: Run, facts: RunFacts | None) -> tuple[str, int]:
    try:
        status = facts.state.status if facts else run.state.status
        return status, len(cache.load_validations(run).validations["step"]) if status in LIVE else 0
    except ReviewscopeError:
        return "damaged", 0


def load_facts(run: Run) -> RunFacts | None:
    """Return a run's facts; None when it was deleted or damaged just now."""
    try:
        return RunFacts(
            run, run.about, run.state, run.settings.config, run.origin, run.result, cache.load_validations(run)
        )
    except ReviewscopeError:
        return None


def single_facts(member: RunFacts) -> GroupFacts:
    """Return one run as a row of its own."""
    return GroupFacts(single_group(member.run), (member,))


def data_name(config: RunConfig) -> str:
    """Return what the data is called; of a table, its file's name, which is a stranger's text."""
    name = {"imdb": "IMDB", "demo": "Demo corpus"}.get(config.data.source) or _table_name(config.data.path or "")
    return f"{name}, labels corrected" if config.data.corrections else name


@lru_cache(maxsize=500)
def _table_name(path: str) -> str:
    upload = find_upload(Path(path).parent.name)
    return upload.about.name if upload is not None else Path(path).name


def disk_size(members: Sequence[RunFacts]) -> int:
    """Return the bytes that the folders of runs take."""
    return sum(_folder_size(member.run, member.run.path.stat().st_mtime_ns, _size_now(member)) for member in members)


def _size_now(member: RunFacts) -> float:
    """Return what tells a folder's contents from earlier ones: a live run's history grows without a rename."""
    return float(member.history.validations["step"].sum()) if member.is_live else 0.0


@lru_cache(maxsize=2_000)
def _folder_size(run: Run, changed: int, grown: float) -> int:
    return run.size


def _interval(share: float | None, n: int) -> Interval | None:
    return wilson_interval(round(share * n), n) if share is not None and n else None
