"""``python -m tests.benchmarks.live_tick``: what half a second of a running training costs the server and the wire.

A run with a history of 100,000 steps and a spike of one step is written, not trained; this process holds its lock, so
that it counts as running. Timed is the part of the page that draws itself anew, as the server calls it, the median of
20 ticks after a first one, with a step appended before each. The bytes are those of the charts: specifications as JSON,
data as Arrow.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from core import settings
from core.config import preset_config, with_data, with_settings
from core.files import write_json
from core.job_folder import JobProgress
from core.runs import Run, RunOrigin, create_run
from core.training.baseline import Baseline

ROOT = Path(__file__).resolve().parents[2]
STEPS, PER_EPOCH, EPOCHS = 100_000, 352, 300
SPIKE = 54_321
TICKS = 20
LIMIT_MS, LIMIT_BYTES = 50, 40_000


def main() -> None:
    """Print the time of a tick and the bytes of its charts, for each way to draw them."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ[settings.HOME_VARIABLE] = folder
        run = write_run()
        with run.locked():
            worst = (0.0, 0)
            for unit in ("step", "epoch", "time"):
                for is_log in (False, True):
                    milliseconds, size = measure(run, unit, is_log=is_log)
                    worst = max(worst[0], milliseconds), max(worst[1], size)
                    axis = "logarithmic" if is_log else "linear"
                    print(f"{STEPS:,} steps by {unit}, {axis}: {milliseconds:.0f} ms, {size:,} bytes")
    is_kept = worst[0] <= LIMIT_MS and worst[1] <= LIMIT_BYTES
    print(f"limits {LIMIT_MS} ms and {LIMIT_BYTES:,} bytes: {'kept' if is_kept else 'missed'}")
    sys.exit(not is_kept)


def measure(run: Run, unit: str, *, is_log: bool) -> tuple[float, int]:
    """Return the milliseconds of a tick and the bytes of its charts."""
    from streamlit.testing.v1 import AppTest

    app = AppTest.from_function(tick_page, args=(str(run.path),), default_timeout=120)
    app.session_state["curve-unit"], app.session_state["curve-log"] = unit, is_log
    seconds = []
    for _ in range(TICKS + 1):
        append_step(run)
        app.run()
        assert not app.exception, app.exception
        seconds.append(app.session_state["seconds"])
    charts = [element.proto for element in app.get("vega_lite_chart")]
    assert len(charts) == 5
    size = sum(len(chart.spec) + sum(len(part.data.data) for part in chart.datasets) for chart in charts)
    return 1000 * median(seconds[1:]), size


def tick_page(path: str) -> None:
    """Draw the live part once and note how long it took; a page for ``AppTest.from_function``."""
    import time
    from pathlib import Path

    import streamlit as st

    from core.runs import Run
    from dashboard.run_view import draw_live_part

    began = time.perf_counter()
    draw_live_part(Run(Path(path)), True)
    st.session_state["seconds"] = time.perf_counter() - began


def write_run() -> Run:
    """Write the folder of a running training with all that its page shows."""
    config = with_settings(with_data(preset_config("compact"), "imdb"), [f"training.epochs={EPOCHS}"])
    run = create_run(config, "compact", "long")
    run.save_origin(
        RunOrigin(data_fingerprint="f" * 64, libraries={}, device="cpu", threads=1, n_train=22_500, n_valid=2_500,
                  n_test=25_000)
    )  # fmt: skip
    write_json(run.baseline_file, Baseline(valid_accuracy=0.914, n_valid=2_500, train_seconds=9.0).model_dump())
    now = time.time()
    progress = JobProgress(phase="Training", done=STEPS, total=EPOCHS * PER_EPOCH, began=now - STEPS / 10, time=now,
                           memory_mb=1_100.0)  # fmt: skip
    write_json(run.path / "progress.json", progress.model_dump())
    with run.metrics_file.open("w", encoding="utf-8") as file:
        for step in range(1, STEPS + 1):
            file.write(json.dumps(step_line(step, now)) + "\n")
            if step % PER_EPOCH == 0:
                file.write(json.dumps(validation_line(step, now)) + "\n")
    run.save_state("running")
    return run


def append_step(run: Run) -> None:
    """Append the next step to the history, as a worker does."""
    with run.metrics_file.open("rb+") as file:
        file.seek(-400, os.SEEK_END)
        last = json.loads(file.read().splitlines()[-1])
        file.write((json.dumps(step_line(last["step"] + 1, time.time())) + "\n").encode())


def step_line(step: int, now: float) -> dict[str, float]:
    """Return a step of a loss that falls with noise, and jumps at one step."""
    noise = (step * 7_919 % 1_000) / 1_000
    loss = 9.0 if step == SPIKE else 0.05 + 0.65 / (1 + step / 2_000) * (0.5 + noise)
    return {
        "step": step, "epoch": (step - 1) // PER_EPOCH + 1, "loss": loss, "learning_rate": 0.002 * (1 - step / 105_600),
        "gradient_norm": 0.5 + noise, "reviews_per_second": 190.0 + 30 * noise, "time": now - (STEPS - step) / 10,
    }  # fmt: skip


def validation_line(step: int, now: float) -> dict[str, float]:
    """Return a validation."""
    return {
        "step": step, "epoch": step // PER_EPOCH, "valid_loss": 0.25 + 0.4 / (1 + step / 5_000),
        "valid_accuracy": 0.9 - 0.3 / (1 + step / 5_000), "time": now - (STEPS - step) / 10,
    }  # fmt: skip


if __name__ == "__main__":
    main()
