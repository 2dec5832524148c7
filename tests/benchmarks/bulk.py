"""Measure the bulk job: rows a second, peak memory, and what is left of it after being killed five times.

Two files: 1,000,000 invented rows of six columns, some of which repeat, lack a text or do not fit; and all full-length
reviews of the real data. Each is scored with ``fast``, trained here, by ``python -m core bulk`` in a workspace of its
own; then the same file in another workspace, killed by SIGKILL at five random moments, must come to the same bytes.

``python -m tests.benchmarks.bulk [ROWS]``
"""

import csv
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from core import settings
from core.data.demo import generate_reviews

ROWS = 1_000_000
KILLS = 5
MOST_MEMORY = 1.5e9


@dataclass(frozen=True)
class Life:
    """One process: how long it ran, and the most memory it held."""

    seconds: float
    memory: int
    output: str


def main(rows: int = ROWS) -> None:
    """Print a line a file."""
    folder = settings.data_folder()
    if folder is None:
        raise SystemExit(f"Set {settings.DATA_VARIABLE} to a folder that holds imdb/plain_text/*.parquet.")
    with tempfile.TemporaryDirectory(prefix="bulk-") as temporary:
        place = Path(temporary)
        run_core(place / "home", "train", "--preset", "fast", "--name", "fast")
        model = place / "home" / "runs" / "fast" / "model.safetensors"
        write_invented(place / "invented.csv", rows)
        write_reviews(place / "reviews.csv", folder)
        for name, column in (("invented.csv", "review"), ("reviews.csv", "text")):
            measure(place, place / name, [str(model), "--text-column", column, "--id-column", "id"])


def measure(place: Path, table: Path, model: list[str]) -> None:
    """Score a table once without and once with kills, and print what was found."""
    ask = ["bulk", str(table), "--model", *model, "--json"]
    whole = run_core(place / "whole", *ask)
    account = json.loads(whole.output.splitlines()[-1])
    assert account["rows"] == account["predicted"] + account["rejected"]
    killed_at = kill_randomly(place / "killed", ask, whole.seconds)
    left = len(list(place.glob("killed/uploads/*/job-*/parts/[0-9]*")))
    again = run_core(place / "killed", *ask)
    instant = run_core(place / "whole", *ask)
    for name in ("whole", "killed"):
        run_core(place / name, *ask, "--output", str(place / f"{name}.csv"))
    expected, found = read_ending(place, "whole"), read_ending(place, "killed")
    is_equal = expected == found
    print(
        f"{table.name}, {table.stat().st_size / 1e6:,.0f} MB: {account['rows']:,} rows = {account['predicted']:,} scored "
        f"({account['repeated']:,} repeated) + {account['rejected']:,} rejected; "
        f"{account['rows'] / account['seconds']:,.0f} rows/s scoring, {account['rows'] / whole.seconds:,.0f} from the "
        f"command's start to its end; peak {whole.memory / 1e6:,.0f} MB.\n"
        f"  killed after {', '.join(f'{at:.1f}' for at in killed_at)} s, which left {left} parts of "
        f"{len(expected) - 3}; then {again.seconds:.1f} s to the end, peak "
        f"{again.memory / 1e6:,.0f} MB: {len(expected)} files {'equal' if is_equal else 'DIFFER'}, together SHA-256 "
        f"{hashlib.sha256(json.dumps(expected).encode()).hexdigest()[:16]}; asked again: {instant.seconds:.1f} s",
        flush=True,
    )
    assert is_equal and max(whole.memory, again.memory) < MOST_MEMORY
    for name in ("whole", "killed"):
        shutil.rmtree(place / name)


def kill_randomly(home: Path, ask: list[str], seconds: float) -> list[float]:
    """Start a job five times and kill it each time at a random moment; return the moments."""
    draw, moments = random.Random(7), []
    for _ in range(KILLS):
        process = subprocess.Popen(command(*ask), env=environment(home), stdout=subprocess.DEVNULL)
        moments.append(draw.uniform(0.1, 0.6) * seconds)
        time.sleep(moments[-1])
        process.send_signal(signal.SIGKILL)
        process.wait()
    return moments


def read_ending(place: Path, name: str) -> dict[str, str]:
    """Return the SHA-256 of parts, facets, result (but for its seconds) and raw CSV."""
    (job,) = (place / name).glob("uploads/*/job-*")
    result: dict[str, Any] = json.loads((job / "result.json").read_bytes())
    del result["seconds"]
    files = [*sorted(job.glob("parts/*")), job / "facets.parquet", place / f"{name}.csv"]
    hashes = {}
    for path in files:
        with path.open("rb") as file:
            hashes[path.name.replace(name, "raw")] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes | {"result": hashlib.sha256(json.dumps(result).encode()).hexdigest()}


def run_core(home: Path, *arguments: str) -> Life:
    """Run a command of ours to its end."""
    began = time.monotonic()
    process = subprocess.Popen(command(*arguments), env=environment(home), stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, arguments
    return Life(time.monotonic() - began, usage.ru_maxrss * 1024, output)


def command(*arguments: str) -> list[str]:
    """Return what starts a command of ours."""
    return [sys.executable, "-m", "core", *arguments]


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a workspace."""
    return os.environ | {settings.HOME_VARIABLE: str(home)}


def write_invented(path: Path, rows: int) -> None:
    """Write invented rows: one in ten repeats a text, one in 200 has none, one in 1,000 does not fit the header."""
    sentences = [
        sentence.strip()
        for review in generate_reviews(sizes={"rows": 2_000})["rows"]
        for sentence in review.text.replace("<br /><br />", " ").split(". ")
        if sentence.strip()
    ]
    draw = random.Random(1)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "shop", "date", "stars", "product", "review"])
        texts: list[str] = []
        for row in range(rows):
            if row % 10 == 9:
                text = texts[draw.randrange(len(texts))]
            else:
                text = "" if row % 200 == 5 else f"{'. '.join(draw.choices(sentences, k=1 + row % 4))}. Order {row}."
                texts = [*texts[-999:], text] if row % 100 == 0 else texts
            day = f"{2022 + row % 3}-{1 + row % 12:02}-{1 + row % 28:02}"
            fields = [f"R{row:07}", f"shop {row % 7}", day, 1 + row % 5, f"product {row % 40}", text]
            writer.writerow(fields if row % 1_000 != 500 else [*fields, "one too many"])


def write_reviews(path: Path, folder: Path) -> None:
    """Write all full-length reviews of the real data."""
    number = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", "split", "text"])
        for split in ("train", "test", "unsupervised"):
            for text in pq.read_table(folder / f"imdb/plain_text/{split}-00000-of-00001.parquet")["text"].to_pylist():
                writer.writerow([number, split, text])
                number += 1


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
