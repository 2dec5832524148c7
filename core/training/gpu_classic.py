"""Train the script's network on a bare machine and print its figures beside the script's.

``python -m core.training.gpu_classic [section.field=value ...]`` needs torch, numpy, pyarrow, safetensors and pydantic
alone, and IMDB's Parquet files below ``REVIEWSCOPE_DATA``. A GPU is used where there is one.
"""

import sys

import numpy as np
import torch

from core import settings
from core.config import preset_config, with_settings
from core.data.labelled import fingerprint
from core.data.sources import read_imdb_folder
from core.errors import DataError, ReviewscopeError
from core.evaluation.metrics import evaluate_logits
from core.models.model_file import load_model_file
from core.models.scoring import score_texts
from core.runs import create_run
from core.training.trainer import train_model
from core.training.watcher import Watcher

SCRIPT_FIGURES = {"test accuracy": 0.8519, "train accuracy": 0.8884, "test loss": 0.3822, "train loss": 0.2845}


def main(assignments: list[str]) -> None:
    """Train, score the test split once, and print a line a figure."""
    folder = settings.data_folder()
    if folder is None:
        raise DataError(f"Set {settings.DATA_VARIABLE} to a folder that holds imdb/plain_text/*.parquet.")
    config = with_settings(preset_config("classic"), assignments)
    splits = read_imdb_folder(folder)
    run = create_run(config, "classic", with_test=True)
    watcher = Watcher(on_phase=lambda phase, total: print(f"{phase} ({total} steps)" if total else phase, flush=True))
    outcome = train_model(run, config, splits["train"], fingerprint(splits), watcher)

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    loaded = load_model_file(run.model_file)
    logits = score_texts(loaded.model.to(device), loaded.encoder.encode(splits["test"].texts))
    metrics, _ = evaluate_logits(splits["test"].labels, logits.astype(np.float64))
    position = outcome.position
    figures = {
        "test accuracy": metrics["accuracy"].value,
        "train accuracy": position.train_accuracy,
        "test loss": metrics["log_loss"].value,
        "train loss": position.train_loss,
    }
    where = torch.cuda.get_device_name() if device.type == "cuda" else "the CPU"
    print(f"{run.run_id} on {where}: {position.seconds:.0f} s")
    print(f"{'':<16}{'here':>8}{'script':>8}")
    for name, script_value in SCRIPT_FIGURES.items():
        print(f"{name:<16}{figures[name]:>8.4f}{script_value:>8.4f}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ReviewscopeError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
