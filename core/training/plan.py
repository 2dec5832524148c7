"""How many steps a training takes, and the learning rate of each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.config import TrainingConfig
from core.runs import Extension

RISE = 0.3  # of a cycle, until the learning rate is at its highest
FIRST_SHARE = 0.04  # of the highest learning rate, at the first step


@dataclass(frozen=True)
class Stage:
    """A stretch of training over which the schedule runs once: the run itself, or epochs that were added to it.

    Attributes:
        first_step: Updates done before it.
        last_step: Updates done after it, unless early stopping ends it sooner.
        last_epoch: The epoch in which it ends.
    """

    first_step: int
    last_step: int
    last_epoch: int


def plan_stages(config: TrainingConfig, examples: int, extensions: Sequence[Extension] = ()) -> list[Stage]:
    """Return the stages of a run on a number of training examples, in order.

    A schedule begins anew in each stage: a warm restart (Loshchilov & Hutter 2017, SGDR).
    """
    steps = steps_per_epoch(config, examples)
    last = min(config.epochs * steps, config.max_steps or math.inf)
    stages = [Stage(0, int(last), math.ceil(last / steps))]
    for added in extensions:
        last_epoch = added.after_epoch + added.epochs
        stages.append(Stage(added.after_step, added.after_step + added.epochs * steps, last_epoch))
    return stages


def steps_per_epoch(config: TrainingConfig, examples: int) -> int:
    """Return the updates of one pass over a number of training examples."""
    return math.ceil(examples / config.batch_size)


def learning_rate_at(config: TrainingConfig, stage: Stage, step: int) -> float:
    """Return the learning rate of the step after ``step`` updates."""
    done = (step - stage.first_step) / (stage.last_step - stage.first_step)
    return config.learning_rate * SCHEDULES[config.schedule](done)


def one_cycle(done: float) -> float:
    """Return the share of the learning rate at a point from 0 to 1 of a cycle (Smith & Topin 2019, super-convergence).

    Half a wave of a cosine leads from a 25th to the whole, another one from there to nothing.
    """
    if done < RISE:
        return FIRST_SHARE + (1 - FIRST_SHARE) * (1 - math.cos(math.pi * done / RISE)) / 2
    return (1 + math.cos(math.pi * (done - RISE) / (1 - RISE))) / 2


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1 - done,
    "one-cycle": one_cycle,
}


def gentler_rate(rate: float) -> float:
    """Return the learning rate to try after one at which a training diverged: a tenth of it, and 0.001 at most."""
    return min(rate / 10, 0.001)
