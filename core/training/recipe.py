"""What a run's settings ask for, in order: a teacher, reviews without a label, members, and the loop itself."""

from collections.abc import Sequence
from dataclasses import replace

from core.config import EnsembleConfig, RunConfig
from core.runs import Extension, Run
from core.training.assembling import assemble
from core.training.members import TrainingData
from core.training.teaching import teach
from core.training.trainer import Outcome, train_model
from core.training.unlabelled import Unlabelled, read_unlabelled
from core.training.watcher import Watcher

NO_UNLABELLED = "This data has no reviews without a label: the training reads those with one alone."


def train_config(
    run: Run,
    config: RunConfig,
    data: TrainingData,
    watcher: Watcher,
    *,
    extensions: Sequence[Extension] = (),
    mirrored: bool = False,
) -> Outcome:
    """Train whatever a config describes, or go on with it, and keep the best in the run's model file.

    The arguments are those of ``train_model``.

    Raises:
        StopAsked: It was asked to stop before its first step; what was learnt so far stays.
        ReviewscopeError: It cannot be trained.
    """
    if isinstance(config.model, EnsembleConfig):
        return assemble(run, config, data, watcher, mirrored=mirrored)
    unlabelled, lesson = None, None
    if config.reads_unlabelled:
        unlabelled = read_unlabelled(config, data.train, data.test)
        if not len(unlabelled.texts):
            watcher.on_notice(NO_UNLABELLED)
        elif config.training.teacher:
            lesson = teach(config, data, unlabelled, watcher)
            unlabelled = Unlabelled(unlabelled.texts, lesson.targets)
    outcome = train_model(
        run, config, data.train, data.fingerprint, watcher, extensions=extensions, mirrored=mirrored,
        unlabelled=unlabelled,
    )  # fmt: skip
    if lesson is None:
        return outcome
    # The student's time is told without its teacher's, of which some may have been spent in this process.
    earlier = outcome.earlier_seconds - lesson.seconds_here
    return replace(outcome, teacher_seconds=lesson.seconds, earlier_seconds=earlier)
