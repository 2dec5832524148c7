"""``python -m tests.benchmarks.scored_page``: the page of a scored table of a million rows, as a browser sees it.

A table of a million invented rows with products, dates and stars is scored with the starter, and a small one before
it. A real server shows the small result first, so that what is imported and drawn is not counted; then the large one
under a range of filters, over its web socket. The time is from the request to the end of the script, the memory the
resident set of the server's process.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlencode

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from core import settings
from core.data.demo import generate_reviews
from core.job_folder import JobReporter
from core.prediction.bulk_job import BulkJob, BulkRequest, create_bulk_job, execute_bulk
from core.prediction.bulk_looks import LookRequest, create_look, execute_look, text_looks
from core.prediction.predictor import Predictor
from core.prediction.row_filter import RowFilter
from core.prediction.uploads import link_file
from tests.benchmarks.evaluation_page import PORT, running_server

ROWS, FEW_ROWS = 1_000_000, 2_000
MOST_SECONDS, MOST_MEMORY = 0.3, 50e6
TEXT, PRODUCT, DATE, STARS = 4, 1, 2, 3
FILTERS: tuple[dict[str, str], ...] = (
    {},
    {"side": "negative"},
    {f"c{PRODUCT}": "Product 3"},
    {f"c{PRODUCT}": "Product 7", "side": "positive", "order": "positive"},
    {"dated": str(DATE), "since": "2023-03-01", "until": "2023-05-31"},
    {"rated": str(STARS), "disagree": "any"},
    {"rated": str(STARS), "stars": "5"},
    {"score": "36"},
    {"confidence": "0.9", "order": "unsure"},
    {"word": "never"},
    {"page": "20"},
    {"unit": "day"},
    {"by": str(STARS)},
)


def main() -> None:
    """Print the figures and whether the limits are kept."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {settings.HOME_VARIABLE: str(Path(folder, "home")), "STREAMLIT_SERVER_PORT": str(PORT)}
        jobs = [score(Path(folder, f"{rows}.csv"), rows) for rows in (FEW_ROWS, ROWS)]
        with running_server(dict(os.environ)):
            is_kept = asyncio.run(measure(*jobs))
    sys.exit(not is_kept)


def score(path: Path, rows: int) -> BulkJob:
    """Write a table of invented rows, score it, and take the looks that its page needs."""
    write_table(path, rows)
    request = BulkRequest(model="starter", model_sha256=Predictor.load("starter").sha256, text_columns=(TEXT,))
    job = create_bulk_job(link_file(path), request)
    began = time.monotonic()
    execute_bulk(job, JobReporter(job))
    print(f"{rows:,} rows scored in {time.monotonic() - began:.1f} s")
    looks = [
        create_look(job, LookRequest(kind="words", records=rows)),
        *text_looks(job, RowFilter(word="never")).values(),
    ]
    for look in looks:
        began = time.monotonic()
        execute_look(look, JobReporter(look))
        print(f"  {look.request.kind} looked for in {time.monotonic() - began:.1f} s")
    return job


def write_table(path: Path, rows: int) -> None:
    """Write a table with an id, 40 products, 1,000 days, stars and texts of 40 words."""
    texts = [
        review.text.replace('"', "'").replace("\n", " ") for split in generate_reviews().values() for review in split
    ]
    dice = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        file.write("id,product,date,stars,review\n")
        for number in range(rows):
            text = texts[int(dice.random() * len(texts))][: 200 + int(dice.random() * 100)]
            day = date(2022, 1, 1) + timedelta(days=int(dice.random() * 1_000))
            product, stars = int(40 * dice.random() ** 2), 1 + int(5 * dice.random())
            file.write(f'R{number},Product {product},{day},{stars},"{number} {text}"\n')


async def measure(small: BulkJob, large: BulkJob) -> bool:
    """Return whether every limit is kept."""
    server = find_server()
    address, origin = f"ws://127.0.0.1:{PORT}/_stcore/stream", f"http://127.0.0.1:{PORT}"
    async with websockets.connect(address, origin=origin, max_size=None) as socket:
        for _ in range(2):
            for each in FILTERS:
                await rerun(socket, small, each)
        before = resident(server)
        first, first_bytes = await rerun(socket, large, {})
        opened = resident(server) - before
        found, processor, most_memory = [], [], 0.0
        for _ in range(3):
            for each in FILTERS:
                worked = processor_seconds(server)
                found.append((await rerun(socket, large, each), each))
                processor.append(processor_seconds(server) - worked)
                most_memory = max(most_memory, resident(server))
    grown = most_memory - before
    seconds = [taken for (taken, _), _ in found]
    p95 = quantiles(seconds, n=20)[-1]
    print(f"first view: {first:.2f} s, {first_bytes:,} bytes")
    print(f"{len(found)} interactions: median {1e3 * median(seconds):.0f} ms, p95 {1e3 * p95:.0f} ms")
    print(
        f"  of the processor: median {1e3 * median(processor):.0f} ms, p95 {1e3 * quantiles(processor, n=20)[-1]:.0f} ms"
    )
    for (taken, size), each in sorted(found, key=lambda one: -one[0][0])[:6]:
        print(f"  {1e3 * taken:.0f} ms, {size:,} bytes: {each}")
    print(
        f"memory of the server: {before / 1e6:.0f} MB before, {opened / 1e6:+.0f} MB with {ROWS:,} rows opened, at most "
        f"{grown / 1e6:+.0f} MB under all filters"
    )
    is_kept = p95 <= MOST_SECONDS and grown <= MOST_MEMORY
    print(f"limits of {MOST_SECONDS} s and {MOST_MEMORY / 1e6:.0f} MB: {'kept' if is_kept else 'missed'}")
    return is_kept


async def rerun(socket: websockets.ClientConnection, job: BulkJob, chosen: dict[str, str]) -> tuple[float, int]:
    """Rerun the page of a job under filters; return its seconds and how many bytes came back."""
    message = BackMsg()
    named = {f"file_{name}": value for name, value in {"of": job.job_id, **chosen}.items()}
    message.rerun_script.query_string = urlencode(
        {"view": "file", "upload": job.upload.upload_id, "job": job.job_id, **named}
    )
    message.rerun_script.page_name = "prediction"
    began, size = time.monotonic(), 0
    await socket.send(message.SerializeToString())
    while True:
        content = await asyncio.wait_for(socket.recv(), 120)
        size += len(content)
        answer = ForwardMsg()
        answer.ParseFromString(content)
        is_end = answer.WhichOneof("type") == "script_finished"
        if is_end and answer.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
            return time.monotonic() - began, size


def find_server() -> int:
    """Return the id of the server's process."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == os.getpid() and b"streamlit" in words:
            return int(folder.name)
    raise SystemExit("The server is not running.")


def processor_seconds(process: int) -> float:
    """Return how long a process has kept a processor busy, to 10 ms."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(process: int) -> float:
    """Return the resident set of a process in bytes."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return 1e3 * next(float(line.split()[1]) for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    main()
