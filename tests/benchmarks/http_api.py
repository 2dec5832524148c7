"""``python -m tests.benchmarks.http_api``: requests a second and p95 of ``POST /api/v1/predict`` with 8 clients.

A server of its own in an empty workspace; each client keeps one connection and sends a review of 230 words, then the
next; beside it, how long the server takes to say that it is well, which a blocked event loop would show.
"""

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median, quantiles

from core.data.demo import generate_reviews

ROOT = Path(__file__).resolve().parents[2]
CLIENTS, SECONDS, WORDS = 8, 10.0, 230


def main() -> None:
    """Print throughput and latency for 1 and 8 clients of one text, and for 8 clients of 32 texts."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {
            "STREAMLIT_SERVER_PORT": str(port), "STREAMLIT_SERVER_HEADLESS": "true", "REVIEWSCOPE_HOME": home,
        }  # fmt: skip
        command = [sys.executable, "-m", "streamlit", "run", "dashboard/server.py"]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            wait_for_server(port)
            call(http.client.HTTPConnection("127.0.0.1", port), {"text": "good"})  # loads the model
            for clients, texts in ((1, 1), (CLIENTS, 1), (CLIENTS, 32)):
                measure(port, clients, texts)
        finally:
            process.terminate()
            process.wait()


def measure(port: int, clients: int, texts: int) -> None:
    """Let clients call for ``SECONDS`` and print what they saw."""
    reviews = make_reviews(200)
    times: list[float] = []
    until = time.monotonic() + SECONDS

    def call_on(seed: int) -> None:
        connection, chance = http.client.HTTPConnection("127.0.0.1", port), random.Random(seed)
        while time.monotonic() < until:
            body = {"texts": chance.sample(reviews, texts)}
            started = time.monotonic()
            call(connection, body)
            times.append(time.monotonic() - started)

    threads = [threading.Thread(target=call_on, args=(seed,)) for seed in range(clients)]
    for thread in threads:
        thread.start()
    health = []
    while time.monotonic() < until:
        started = time.monotonic()
        ask_health(port)
        health.append(time.monotonic() - started)
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    p95, health95 = (1000 * quantiles(each, n=20)[-1] for each in (times, health))
    rate = len(times) / SECONDS
    print(
        f"{clients} clients, {texts} texts a request: {rate:,.0f} requests/s ({rate * texts:,.0f} texts/s), "
        f"median {1000 * median(times):.1f} ms, p95 {p95:.1f} ms; health p95 {health95:.1f} ms"
    )


def make_reviews(count: int) -> list[str]:
    """Return reviews of ``WORDS`` words, made of those of the demo corpus."""
    words = " ".join(review.text for review in generate_reviews()["train"][:500]).split()
    chance = random.Random(0)
    starts = [chance.randrange(len(words) - WORDS) for _ in range(count)]
    return [" ".join(words[start : start + WORDS]) for start in starts]


def call(connection: http.client.HTTPConnection, body: dict[str, object]) -> None:
    """Send one request and read its answer."""
    connection.request("POST", "/api/v1/predict", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    said = answer.read()
    assert answer.status == 200, said


def ask_health(port: int) -> None:
    """Ask the server whether it is well."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/_stcore/health")
    assert connection.getresponse().read() == b"ok"
    connection.close()


def wait_for_server(port: int) -> None:
    """Return when the server answers."""
    for _ in range(300):
        try:
            return ask_health(port)
        except (OSError, AssertionError):
            time.sleep(0.2)
    raise RuntimeError("the server did not start")


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
