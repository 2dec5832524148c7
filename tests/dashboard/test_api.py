"""The routes for programs: what they take, what they give, what they refuse."""

import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.testclient import TestClient
from streamlit.web.server.starlette.starlette_gzip_middleware import SelectiveGZipMiddleware

from core.job_folder import JobReporter
from core.model_settings import ModelSettings, save_settings
from core.prediction.bulk_job import BulkRequest, create_bulk_job, execute_bulk
from core.prediction.exporting import ExportJob, create_export, execute_export
from core.prediction.predictor import Predictor
from core.prediction.uploads import save_upload
from dashboard import api
from dashboard.guard import ticket_for

URL = "/api/v1/predict"
GOOD, BAD = "A wonderful, moving film. I loved it!", "A dull, terrible waste of time."


@pytest.fixture
def client() -> Iterator[TestClient]:
    yield TestClient(
        Starlette(routes=[api.build_routes()], middleware=[Middleware(SelectiveGZipMiddleware)]),
        "http://127.0.0.1:8501",
        raise_server_exceptions=False,
    )


@pytest.fixture(scope="module")
def starter() -> Predictor:
    return Predictor.load("starter")


def test_one_text_is_read_as_the_predictor_reads_it(client: TestClient, starter: Predictor) -> None:
    answer = client.post(URL, json={"text": GOOD})
    found = starter.predict([GOOD])
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "model": {"id": "starter", "sha256": starter.sha256},
        "threshold": 0.5,
        "not_sure_from": 0.4,
        "not_sure_below": 0.6,
        "results": [
            {
                "sentiment": "Positive",
                "probability": round(float(found.probabilities[0]), 6),
                "confidence": round(float(found.confidences[0]), 6),
                "is_not_sure": False,
                "intensity": round(float(found.intensities[0]), 6),
                "share_read": 1.0,
            }
        ],
    }


def test_several_texts_keep_their_order_and_a_blank_one_its_place(client: TestClient) -> None:
    results = client.post(URL, json={"texts": [GOOD, " \n", BAD, "NA"], "model": "starter"}).json()["results"]
    assert [each["sentiment"] for each in results[:3]] == ["Positive", None, "Negative"]
    assert results[1]["probability"] is None and results[1]["reason"] == "no text"
    assert results[3]["sentiment"] in ("Positive", "Negative"), "NA is a text like any other"


def test_a_text_alone_scores_as_it_does_among_others(client: TestClient) -> None:
    alone = client.post(URL, json={"text": BAD}).json()["results"][0]
    among = client.post(URL, json={"texts": [GOOD * 50, BAD]}).json()["results"][1]
    assert alone["probability"] == pytest.approx(among["probability"], abs=1e-5)


def test_the_threshold_and_band_of_the_model_are_used_and_said(client: TestClient, starter: Predictor) -> None:
    probability = float(starter.predict([GOOD]).probabilities[0])
    save_settings(starter.sha256, ModelSettings(threshold=0.999, unsure_low=probability - 0.01, unsure_high=0.999))
    answer = client.post(URL, json={"text": GOOD}).json()
    assert answer["threshold"] == 0.999 and answer["not_sure_below"] == 0.999
    (result,) = answer["results"]
    assert result["sentiment"] == "Negative" and result["is_not_sure"] is True
    assert result["confidence"] == pytest.approx(1 - probability, abs=1e-5)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"text": "\\ud800"}', "not JSON"),
        (b'{"text": "\xff"}', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "object"),
        (b"{}", 'either "text"'),
        (b'{"text": "a", "texts": ["b"]}', 'either "text"'),
        (b'{"texts": []}', "is empty"),
        (b'{"text": 5}', "'text'"),
        (b'{"texts": "abc"}', "'texts'"),
        (b'{"texts": ["a", null]}', "'texts.1'"),
        (b'{"txt": "a"}', "'txt'"),
        (b'{"text": "a", "model": "../starter"}', "not a path"),
        (b'{"text": "a", "model": "/etc/passwd"}', "not a path"),
        (b'{"text": "a", "model": "x.safetensors"}', "not a path"),
    ],
)
def test_a_body_that_cannot_be_used_gets_400_and_a_sentence(client: TestClient, body: bytes, says: str) -> None:
    answer = client.post(URL, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400 and says in answer.json()["error"], answer.text
    assert len(answer.text) < 600


def test_an_unknown_model_gets_404_without_a_path_of_the_server(client: TestClient, workspace: Path) -> None:
    answer = client.post(URL, json={"text": GOOD, "model": "nobody"})
    assert answer.status_code == 404 and "no model 'nobody'" in answer.json()["error"]
    assert str(workspace) not in answer.text


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonx"])
def test_another_kind_of_body_gets_415(client: TestClient, kind: str) -> None:
    answer = client.post(URL, content=json.dumps({"text": GOOD}), headers={"Content-Type": kind})
    assert answer.status_code == 415 and "application/json" in answer.json()["error"]


def test_a_charset_behind_the_kind_does_no_harm(client: TestClient) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert client.post(URL, content=b'{"text": "good"}', headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"texts": ["a"] * 33}, "33 texts"),
        ({"texts": ["a", "b" * 20_001]}, "Text 2 has 20,001 characters"),
        ({"text": "a" * 2_000_000}, "larger than 2,000,000 bytes"),
    ],
)
def test_more_than_fits_gets_413_and_the_way_to_bulk(client: TestClient, body: dict[str, Any], says: str) -> None:
    answer = client.post(URL, json=body)
    assert answer.status_code == 413 and says in answer.json()["error"]
    assert "python -m core bulk" in answer.json()["error"]


def test_as_much_as_fits_is_read(client: TestClient) -> None:
    answer = client.post(URL, json={"texts": ["word " * 4_000] * 32})
    assert answer.status_code == 200 and len(answer.json()["results"]) == 32


def test_a_body_that_never_ends_is_cut_off(client: TestClient) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 50 * 10**6:
            sent += 10**5
            yield b"a" * 10**5

    assert client.post(URL, content=endless(), headers={"Content-Type": "application/json"}).status_code == 413


@pytest.mark.parametrize(("method", "path", "status"), [("GET", URL, 405), ("GET", "/api/v1/nothing", 404)])
def test_a_wrong_route_or_method_gets_json_too(client: TestClient, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status and answer.json()["error"].endswith(".")


def test_every_route_is_behind_the_guard(client: TestClient) -> None:
    mount = api.build_routes()
    assert isinstance(mount, Mount) and mount.routes
    for route in mount.routes:
        path = f"{mount.path}{route.path}".replace("{", "").replace("}", "")  # type: ignore[attr-defined]
        for method in route.methods:  # type: ignore[attr-defined]
            for headers in (
                {"Origin": "http://evil.example"},
                {"Sec-Fetch-Site": "cross-site"},
                {"Host": "evil.example"},
            ):
                answer = client.request(method, path, headers=headers)
                assert answer.status_code == 403, (method, path, headers)


@pytest.fixture
def export(starter: Predictor) -> ExportJob:
    upload = save_upload(io.BytesIO(b"text\nA wonderful film.\n" + b"So dull.\n" * 20_000), "Zwei Filme \u00fc.csv")
    request = BulkRequest(model="starter", model_sha256=starter.sha256, text_columns=(0,))
    job = create_bulk_job(upload, request)
    execute_bulk(job, JobReporter(job))
    made = create_export(job)
    execute_export(made, JobReporter(made))
    return made


def test_a_file_is_streamed_whole_under_its_own_name_and_never_shown(client: TestClient, export: ExportJob) -> None:
    answer = client.get(api.file_path(export), headers={"Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200 and answer.content == export.table_file.read_bytes()
    assert answer.headers["content-length"] == str(export.table_file.stat().st_size)
    assert answer.headers["content-disposition"] == ("attachment; filename*=utf-8''Zwei%20Filme%20%C3%BC-scored.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    part = client.get(api.file_path(export), headers={"Range": "bytes=3-9"})
    assert part.status_code == 206 and part.content == export.table_file.read_bytes()[3:10]


def test_what_is_known_of_a_file_goes_with_it(client: TestClient, export: ExportJob) -> None:
    answer = client.get(api.file_path(export, "about"))
    assert answer.json()["sha256"] == hashlib.sha256(export.table_file.read_bytes()).hexdigest()
    assert answer.headers["content-disposition"].endswith("-scored.csv.json")


def test_a_link_from_another_site_gets_no_file(client: TestClient, export: ExportJob) -> None:
    assert client.get(api.file_path(export), headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_off_loopback_a_page_s_own_link_is_enough(
    client: TestClient, export: ExportJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.headers["X-Forwarded-For"] = "203.0.113.9"
    path = api.file_path(export)
    assert client.get(path).status_code == 403
    assert client.get(f"{path}?{ticket_for(path)}").status_code == 200
    assert client.get(f"{api.file_path(export, 'about')}?{ticket_for(path)}").status_code == 403


def test_an_address_of_no_file_gets_404_whatever_it_tries(client: TestClient, export: ExportJob) -> None:
    job, upload = export.bulk, export.bulk.upload
    export.mask_file.write_bytes(b"secret")
    for path in (
        f"{upload.upload_id}/{job.job_id}/{export.job_id}/state.json",
        f"{upload.upload_id}/{job.job_id}/{export.job_id}/..%2F..%2Fresult.json",
        f"{upload.upload_id}/{job.job_id}/export-000000000000/table",
        f"{upload.upload_id}/job-000000000000/{export.job_id}/table",
        f"%2e%2e/{job.job_id}/{export.job_id}/table",
        f"nothing/{job.job_id}/{export.job_id}/table",
        f"{upload.upload_id}/{job.job_id}/..%2f{export.job_id}/table",
        f"{upload.upload_id}/{job.job_id}/{export.job_id}/table%00",
    ):
        assert client.get(f"/api/v1/files/{path}").status_code == 404, path
    export.table_file.unlink()
    assert client.get(api.file_path(export)).status_code == 404


def test_a_fault_of_ours_is_one_sentence_without_a_traceback(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(api, "read_texts", fail)
    answer = client.post(URL, json={"text": GOOD})
    assert answer.status_code == 500 and "secret" not in answer.text and answer.json()["error"]


def test_while_too_many_wait_the_next_is_told_to_come_back(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "MOST_WAITING", 1)
    gate, inside = threading.Event(), threading.Semaphore(0)

    def wait(*_: object) -> dict[str, Any]:
        inside.release()
        gate.wait(20)
        return {}

    monkeypatch.setattr(api, "read_texts", wait)
    statuses: list[int] = []

    with client:  # one event loop for all
        calls = [threading.Thread(target=lambda: statuses.append(client.post(URL, json={"text": "a"}).status_code))
                 for _ in range(api.AT_ONCE + 1)]  # fmt: skip
        for call in calls[: api.AT_ONCE]:
            call.start()
        for _ in range(api.AT_ONCE):
            assert inside.acquire(timeout=10)
        calls[-1].start()
        deadline = time.monotonic() + 10
        while True:  # until the third waits, the fourth would only become it
            limiter = next(each.app for each in client.app.routes).state.readers  # type: ignore[attr-defined]
            if limiter.statistics().tasks_waiting or time.monotonic() > deadline:
                break
            time.sleep(0.01)
        refused = client.post(URL, json={"text": "a"})
        gate.set()
        for call in calls:
            call.join(20)
    assert refused.status_code == 503 and refused.headers["Retry-After"] == "1"
    assert statuses == [200] * (api.AT_ONCE + 1)


def test_a_caller_that_hangs_up_is_no_fault_of_ours() -> None:
    said = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": URL, "raw_path": URL.encode(), "root_path": "", "query_string": b"",
        "server": ("127.0.0.1", 8501), "client": ("127.0.0.1", 5),
        "headers": [(b"host", b"127.0.0.1:8501"), (b"content-type", b"application/json")],
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> Any:
        return said.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    anyio.run(Starlette(routes=[api.build_routes()]), scope, receive, send)  # what is raised goes into the log
    assert sent[0]["status"] == 400
