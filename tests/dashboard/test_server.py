"""The server's promises: loopback only, headers, and it runs from a fresh process."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dashboard.server import is_loopback, refuse_to_face_strangers

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("address", "own"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.5", False), ("example.org", False), ("", False), (None, False)],
)  # fmt: skip
def test_only_this_machine_s_own_addresses_are_loopback(address: str | None, own: bool) -> None:
    assert is_loopback(address) == own


def test_it_refuses_to_face_strangers_without_a_login(capsys: pytest.CaptureFixture[str]) -> None:
    refuse_to_face_strangers("127.0.0.1", has_login=False)
    refuse_to_face_strangers("0.0.0.0", has_login=True)
    with pytest.raises(SystemExit):
        refuse_to_face_strangers("0.0.0.0", has_login=False)
    assert "without a login" in capsys.readouterr().err


def start(script: str, port: int, workspace: Path, **variables: str) -> "subprocess.Popen[str]":
    environment = os.environ | {
        "STREAMLIT_SERVER_PORT": str(port),
        "STREAMLIT_SERVER_HEADLESS": "true",
        "REVIEWSCOPE_HOME": str(workspace),
        **variables,
    }
    command = [sys.executable, "-m", "streamlit", "run", script]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_for_answer(process: "subprocess.Popen[str]", port: int) -> dict[str, str]:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
                return dict(answer.headers.items())
        except OSError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.1)


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("script", ["dashboard/server.py", "dashboard/app.py"])
def test_the_app_starts_in_a_fresh_process(script: str, workspace: Path) -> None:
    port = free_port()
    process = start(script, port, workspace)
    try:
        headers = {name.lower(): value for name, value in wait_for_answer(process, port).items()}
        if script == "dashboard/server.py":
            assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
    finally:
        process.terminate()
        output = process.communicate(timeout=30)[0]
    assert "Traceback" not in output and "127.0.0.1" in output


def test_off_loopback_it_does_not_start(workspace: Path) -> None:
    process = start("dashboard/server.py", free_port(), workspace, STREAMLIT_SERVER_ADDRESS="0.0.0.0")
    output = process.communicate(timeout=60)[0]
    assert process.returncode != 0 and "without a login" in output


def test_the_server_answers_programs_and_refuses_pages_of_other_sites(workspace: Path) -> None:
    port = free_port()
    process = start("dashboard/server.py", port, workspace)
    try:
        wait_for_answer(process, port)
        status, answer = post(port, {"text": "A wonderful film."})
        assert status == 200 and answer["results"][0]["sentiment"] == "Positive"
        assert post(port, {"text": "A"}, Origin=f"http://127.0.0.1:{port}")[0] == 200
        for foreign in ({"Origin": "http://evil.example"}, {"Host": f"evil.example:{port}"}):
            status, answer = post(port, {"text": "A"}, **foreign)
            assert status == 403 and answer["error"]
    finally:
        process.terminate()
        output = process.communicate(timeout=30)[0]
    assert "Traceback" not in output and "No runtime found" not in output


def post(port: int, body: dict[str, str], **headers: str) -> tuple[int, dict[str, Any]]:
    url, sent = f"http://127.0.0.1:{port}/api/v1/predict", {"Content-Type": "application/json", **headers}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), sent), timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_what_arrow_frees_goes_back_to_the_system() -> None:
    code = (
        "import pyarrow; from dashboard.server import return_freed_memory; return_freed_memory();"
        "print(pyarrow.default_memory_pool().backend_name)"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip().splitlines()[-1] == "system"
