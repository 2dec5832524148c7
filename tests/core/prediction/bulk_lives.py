"""Lives of a bulk job, each in a process of its own, that end or fail at a chosen call to the disk.

``python -m tests.core.prediction.bulk_lives`` imports torch, computes nothing, and forks a child for each life that it
is asked for: a job from its table to its result and the raw CSV made from it. ``watched_disk.py`` counts the calls that
write, and kills the child at one of them or makes it fail.
"""

import hashlib
import importlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.core.training.kill_points import ROOT
from tests.core.training.watched_disk import Disk

CHUNK_ROWS = 8
PRELOADED = (
    "core.data.conversion", "core.models.bilstm", "core.models.ngram", "core.prediction.exporting",
    "core.prediction.bulk_job", "filelock", "safetensors.numpy",
)  # fmt: skip


@dataclass(frozen=True)
class Life:
    """One process of a job's life.

    Attributes:
        home: The workspace.
        table: The table; it stays where it lies.
        model: The model's file.
        strike_at: Before which call to the disk, from 1, the process is killed or the call fails; None for never.
        power_cut: The kill also takes what was written and not forced onto the disk.
        code: The call fails with this error number instead.
        lasting: So does every later one, as on a full disk.
        stop_after: After how many parts somebody asks for a stop; None for never.
    """

    home: str
    table: str
    model: str
    strike_at: int | None = None
    power_cut: bool = False
    code: int | None = None
    lasting: bool = False
    stop_after: int | None = None


@dataclass(frozen=True)
class Report:
    """How a life ended.

    Attributes:
        killed: By the strike.
        points: Calls to the disk that were counted, what each was; none of a life that was killed.
        message: Of the ReviewscopeError that ended it.
        fault: Traceback of what no ReviewscopeError explains.
    """

    killed: bool = False
    points: tuple[str, ...] = ()
    message: str = ""
    fault: str = ""


class WatchedDisk(Disk):
    """One that also notes what the calls were."""

    def point(self, what: str, half: Callable[[], object] = lambda: None) -> None:
        self.seen = [*getattr(self, "seen", []), what]
        super().point(what, half)


def live(life: Life) -> Report:
    """Live a life in this process, which it may end."""
    from core import job_folder
    from core.errors import ReviewscopeError

    os.environ["REVIEWSCOPE_HOME"] = life.home
    job_folder.REPORT_SECONDS = 1e9  # progress is written at each phase's beginning, never by the clock
    disk = WatchedDisk(life.home, life.strike_at, power_cut=life.power_cut, code=life.code, lasting=life.lasting)
    message = fault = ""
    with disk.between():
        try:
            _execute(life)
        except ReviewscopeError as error:
            message = str(error)
        except Exception:  # noqa: BLE001 (the test shows it)
            fault = traceback.format_exc()
    return Report(False, tuple(disk.seen), message, fault)


def _execute(life: Life) -> None:
    from core.job_folder import JobReporter
    from core.models.model_file import load_model_file
    from core.prediction import bulk, bulk_job, exporting
    from core.prediction.uploads import link_file

    bulk.CHUNK_ROWS_OF_OTHERS = bulk.CHUNK_ROWS["ngram"] = CHUNK_ROWS
    sha256 = load_model_file(Path(life.model)).sha256
    request = bulk_job.BulkRequest(model=life.model, model_sha256=sha256, text_columns=(2, 1), id_column=0)
    job = bulk_job.create_bulk_job(link_file(Path(life.table)), request)
    looks = iter(range(1, 1_000_000))
    bulk_job.execute_bulk(job, JobReporter(job, also_stop=lambda: next(looks) == life.stop_after))
    if life.stop_after is None:
        export = exporting.create_export(job, format="csv", extras=("intensity", "share_read"))
        exporting.execute_export(export, JobReporter(export))


def read_ending(home: Path) -> dict[str, str]:
    """Return the SHA-256 of all that must be equal at the end of a job, however often it was broken off."""
    (folder,) = home.glob("uploads/*/job-*")
    (table,) = folder.glob("export-*/table")
    files = [*folder.glob("parts/*"), folder / "facets.parquet", table]
    result = json.loads((folder / "result.json").read_bytes())
    assert result["is_complete"] and result.pop("seconds") >= 0
    ending = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return ending | {"result": json.dumps(result), "state": (folder / "state.json").read_text()}


def serve() -> None:
    """Answer each line of stdin, a life, with a line on stdout, its report."""
    for name in PRELOADED:
        importlib.import_module(name)
    import torch

    torch.set_num_threads(1)
    print("ready", flush=True)
    for line in sys.stdin:
        life = Life(**json.loads(line))
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            _live_and_report(life, writer)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        print(answer or json.dumps(asdict(Report(killed=True))), flush=True)


def _live_and_report(life: Life, writer: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        report = live(life)
    except BaseException:  # noqa: BLE001 (whatever it is, the parent must not go on twice)
        report = Report(fault=traceback.format_exc())
    os.write(writer, json.dumps(asdict(report)).encode())
    os._exit(0)


class Server:
    """The process that forks lives, seen from a test."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.core.prediction.bulk_lives"],
            cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._read() == "ready"

    def live(self, life: Life) -> Report:
        """Let a life be lived; one that ended by a fault of ours fails the test."""
        assert self.process.stdin is not None
        print(json.dumps(asdict(life)), file=self.process.stdin, flush=True)
        report = Report(**json.loads(self._read()))
        assert not report.fault, report.fault
        return report

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()

    def _read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


if __name__ == "__main__":
    serve()
