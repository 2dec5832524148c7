"""Where things live, read from the environment at the moment of use (so that a test or a service can change it)."""

import os
from pathlib import Path

HOME_VARIABLE = "REVIEWSCOPE_HOME"
DATA_VARIABLE = "REVIEWSCOPE_DATA"
WARM_VARIABLE = "REVIEWSCOPE_WARM_SECONDS"
END_COMMAND_VARIABLE = "REVIEWSCOPE_ON_END"
FOLDERS_VARIABLE = "REVIEWSCOPE_FOLDERS"
PACKAGE = Path(__file__).resolve().parent
STARTER_FILE = PACKAGE / "starter" / "starter.safetensors"


def home() -> Path:
    """Return the one folder that holds everything that lasts (default ``./workspace``)."""
    return Path(os.environ.get(HOME_VARIABLE) or "workspace").resolve()


def warm_seconds() -> float:
    """Return how long an idle worker waits for more before it ends (default ten minutes)."""
    return float(os.environ.get(WARM_VARIABLE) or 600)


def end_command() -> str:
    """Return the command to start when a training has finished or failed; empty for none."""
    return os.environ.get(END_COMMAND_VARIABLE) or ""


def data_folder() -> Path | None:
    """Return the folder that holds local copies of public data sets, or None when it is not set."""
    value = os.environ.get(DATA_VARIABLE)
    return Path(value).resolve() if value else None


def table_folders() -> list[Path]:
    """Return the folders whose tables the page may open where they lie (default: the workspace's ``inbox``).

    The variable names several as ``PATH`` does, with ``os.pathsep`` between.
    """
    value = os.environ.get(FOLDERS_VARIABLE)
    names = value.split(os.pathsep) if value else [str(home() / "inbox")]
    return [Path(name).resolve() for name in names if name]
