"""More epochs for a run that has finished; the training itself is not needed to ask for them."""

from core.errors import RunError
from core.runs import Extension, Run, RunResult


def extend_run(run: Run, epochs: int) -> None:
    """Add epochs to a finished run; whoever executes it next goes on from its end.

    Raises:
        RunError: It has not finished, or its last checkpoint is gone.
    """
    state, result = run.state, run.result
    if state.status != "finished" or result is None:
        raise RunError(f"Run {run.run_id} is {state.status}; only a finished run can be given more epochs.")
    if run.settings.config.model.kind == "ensemble":
        raise RunError(f"Run {run.run_id} is an ensemble, which has no epochs of its own. Add them to one of its runs.")
    if not any(run.checkpoint_folder.glob("step-*.safetensors")):
        raise RunError(f"Run {run.run_id} has no checkpoint to go on from. Start a new run with more epochs.")
    about = run.about
    if left := added_epochs_left(run, result):
        raise RunError(f"Run {run.run_id} has {left} added epochs to train yet. Train them first.")
    after_step = max(line["step"] for line in run.read_history() if "loss" in line)
    added = Extension(after_step=after_step, after_epoch=result.epochs, epochs=epochs)
    run.save_about(about.model_copy(update={"extensions": (*about.extensions, added)}))


def added_epochs_left(run: Run, result: RunResult) -> int:
    """Return how many epochs were added that the result does not know of."""
    extensions = run.about.extensions
    return extensions[-1].epochs if extensions and extensions[-1].after_epoch >= result.epochs else 0
