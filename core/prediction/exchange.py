"""Models out to a file and in from one."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from core import settings
from core.errors import ModelFileError, ReviewscopeError
from core.models.model_file import FORMAT, refuse_foreign_suffix
from core.runs import copy_file, find_model, imported_model_file
from core.tensor_file import DamagedFileError, read_tensor_file

TRIAL_SECONDS = 60
REFUSED = 3  # the trial's exit code when it says why in a sentence


def export_model(reference: str, target: Path) -> str:
    """Copy a model to a file of the user's and return the model's SHA-256.

    Raises:
        ReviewscopeError: There is no such model, or the file cannot be written.
    """
    if target.suffix != ".safetensors":
        raise ReviewscopeError(f"A model is exported as .safetensors; {target.name[:80]!r} has another ending.")
    source = find_model(reference)
    sha256 = check_model(source)
    copy_file(source, target)
    return sha256


def import_model(path: Path) -> str:
    """Check a stranger's model file, try it in a child process, keep a copy, and return its id (its SHA-256).

    Raises:
        ModelFileError: It is not a sound model.
    """
    sha256 = check_model(path)
    with TemporaryDirectory() as folder:
        # What is tried is what is kept, whatever happens to the file meanwhile.
        copy = Path(folder) / "model.safetensors"
        copy_file(path, copy)
        if check_model(copy) != sha256:
            raise ModelFileError(f"The model {path.name[:80]!r} changed while it was read. Import it again.")
        _try_in_child(copy, path.name)
        copy_file(copy, imported_model_file(sha256))
    return sha256


def check_model(path: Path) -> str:
    """Check every byte of a model file, without building the model, and return its SHA-256.

    Raises:
        ModelFileError: It is damaged or of another kind.
    """
    try:
        refuse_foreign_suffix(path)
        return read_tensor_file(path, FORMAT).sha256
    except DamagedFileError as error:
        raise ModelFileError(f"Cannot load the model {path.name[:80]!r}: {error}. {error.advice}.") from error


def _try_in_child(path: Path, name: str) -> None:
    """Let a process of limited memory and time load the file, called ``name`` by its user, and read one sentence."""
    command = [sys.executable, "-m", "core.prediction.trial", str(path.resolve())]
    try:
        trial = subprocess.run(
            command, cwd=settings.PACKAGE.parent, capture_output=True, text=True, timeout=TRIAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(
            f"The model {name[:80]!r} took over {TRIAL_SECONDS} s to read one sentence and was not imported."
        ) from error
    if trial.returncode == REFUSED:
        raise ModelFileError(trial.stderr.strip().replace(f"{path.name!r}", f"{name[:80]!r}")[:500])
    if trial.returncode:
        raise ModelFileError(f"The model {name[:80]!r} ended the process that tried it. Use another copy of the file.")
