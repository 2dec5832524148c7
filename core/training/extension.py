"""More epochs for a run that has finished; the training itself is not needed to ask for them."""

from core.errors import RunError
from core.runs import Extension, Run


def extend_run(run: Run, epochs: int) -> None:
    """Add epochs to a finished run; whoever executes it next goes on from its end.

    Raises:
        RunError: It has not finished, or its last checkpoint is gone.
    """
    state, result = run.state, run.result
    if state.status != "finished" or result is None:
        raise RunError(f"Run {run.run_id} is {state.status}; only a finished run can be given more epochs.")
    if not any(run.checkpoint_folder.glob("step-*.safetensors")):
        raise RunError(f"Run {run.run_id} has no checkpoint to go on from. Start a new run with more epochs.")
    after_step = max(line["step"] for line in run.read_history() if "loss" in line)
    added = Extension(after_step=after_step, after_epoch=result.epochs, epochs=epochs)
    about = run.about
    run.save_about(about.model_copy(update={"extensions": (*about.extensions, added)}))
