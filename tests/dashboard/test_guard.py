"""Who may call our routes: hosts, origins, tokens and tickets."""

from collections.abc import Callable
from typing import Any

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from dashboard import guard

OPTIONS: dict[str, Any] = {"server.address": "127.0.0.1", "server.allowedHosts": []}


@pytest.fixture
def options(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    chosen = dict(OPTIONS)
    monkeypatch.setattr(st, "get_option", chosen.__getitem__)
    monkeypatch.delenv(guard.TOKEN_VARIABLE, raising=False)
    return chosen


@pytest.fixture
def client(options: dict[str, Any]) -> TestClient:
    return make_client("http://127.0.0.1:8501")


def make_client(base: str) -> TestClient:
    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse("passed")

    async def talk(socket: WebSocket) -> None:
        await socket.accept()

    routes = [Route("/api/x", answer, methods=["GET", "POST"]), WebSocketRoute("/api/talk", talk)]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(guard.Guard)]), base)


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:8501", "LOCALHOST:8501", "localhost.:8501",
                                  "[::1]:8501", "127.9.9.9:8501"])  # fmt: skip
def test_this_machine_s_own_names_pass(client: TestClient, host: str) -> None:
    assert client.post("/api/x", headers={"Host": host}).text == "passed"


@pytest.mark.parametrize(
    "host",
    ["rebound.example:8501", "127.0.0.1.example:8501", "localhost:9999", "localhost", "", "127.0.0.1:x",
     "me@localhost:8501", "localhost:8501/..", "192.168.1.5:8501", "127.0.0.1:8501,evil.example"],
)  # fmt: skip
def test_any_other_host_is_refused(client: TestClient, host: str) -> None:
    answer = client.post("/api/x", headers={"Host": host})
    assert answer.status_code == 403 and "does not go by the name" in answer.json()["error"]


def test_two_hosts_are_one_too_many(client: TestClient) -> None:
    two = [("Host", "127.0.0.1:8501"), ("Host", "evil.example")]
    assert client.post("/api/x", headers=two).status_code == 403


def test_a_default_port_is_the_scheme_s(options: dict[str, Any]) -> None:
    assert make_client("http://localhost").get("/api/x").text == "passed"
    assert make_client("https://localhost").get("/api/x").text == "passed"


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://127.0.0.1:3000", "http://localhost:8501", "null", "", "file://127.0.0.1:8501",
     "http://127.0.0.1:8501.evil.example", "http://127.0.0.1"],
)  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "HEAD"])
def test_a_foreign_origin_is_refused_whatever_the_method(client: TestClient, origin: str, method: str) -> None:
    assert client.request(method, "/api/x", headers={"Origin": origin}).status_code == 403


def test_the_server_s_own_pages_pass(client: TestClient) -> None:
    own = {"Origin": "http://127.0.0.1:8501", "Sec-Fetch-Site": "same-origin"}
    assert client.post("/api/x", headers=own).text == "passed"
    assert client.get("/api/x", headers={"Sec-Fetch-Site": "none"}).text == "passed"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "whatever"])
def test_a_link_or_picture_of_another_site_is_refused_though_it_has_no_origin(client: TestClient, site: str) -> None:
    answer = client.get("/api/x", headers={"Sec-Fetch-Site": site})
    assert answer.status_code == 403 and "another site" in answer.json()["error"]


def test_no_websocket_opens(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/talk"):
        pass


OffLoopback = Callable[[], TestClient]


@pytest.fixture(params=["address", "name", "proxy"])
def outside(request: pytest.FixtureRequest, options: dict[str, Any]) -> TestClient:
    """Return a client from another machine: the server listens there, goes by a set name, or stands behind a proxy."""
    if request.param == "address":
        options["server.address"] = "0.0.0.0"
        return make_client("http://192.168.1.5:8501")
    if request.param == "name":
        options["server.allowedHosts"] = ["*.reviews.example"]
        return make_client("https://me.reviews.example")
    client = make_client("http://127.0.0.1:8501")
    client.headers["X-Forwarded-For"] = "203.0.113.9"
    return client


def test_off_loopback_nothing_passes_until_a_token_is_set(outside: TestClient) -> None:
    answer = outside.post("/api/x", headers={"Authorization": "Bearer "})
    assert answer.status_code == 403 and "REVIEWSCOPE_TOKEN" in answer.json()["error"]


def test_off_loopback_the_token_opens(outside: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.TOKEN_VARIABLE, "correct horse")
    assert outside.post("/api/x", headers={"Authorization": "Bearer correct horse"}).text == "passed"
    assert outside.post("/api/x", headers={"Authorization": "bearer correct horse"}).text == "passed"
    for wrong in ("Bearer wrong", "Bearer ", "Basic correct horse", "correct horse", "Bearer correct hors\u00e9"):
        answer = outside.post("/api/x", headers={"Authorization": wrong.encode("latin-1")})
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"
    assert outside.post("/api/x").status_code == 401


def test_a_token_does_not_excuse_a_foreign_origin(outside: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.TOKEN_VARIABLE, "t")
    headers = {"Authorization": "Bearer t", "Origin": "http://evil.example"}
    assert outside.post("/api/x", headers=headers).status_code == 403


def test_a_ticket_opens_one_link_for_some_hours(outside: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = guard.ticket_for("/api/x")
    assert outside.get(f"/api/x?{ticket}").text == "passed"
    assert outside.post(f"/api/x?{ticket}").status_code == 403, "a ticket is for downloads"
    assert outside.get(f"/api/y?{ticket}").status_code == 403
    assert outside.get(f"/api/x?{ticket.replace('until=', 'until=9')}").status_code == 403
    assert outside.get("/api/x?until=\u0663&ticket=\u0663").status_code == 403
    later = guard.time.time() + 3600 * (guard.TICKET_HOURS + 1) + 1
    monkeypatch.setattr(guard.time, "time", lambda: later)
    assert outside.get(f"/api/x?{ticket}").status_code == 403


def test_a_set_name_may_have_any_port(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(guard.TOKEN_VARIABLE, "t")
    options["server.allowedHosts"] = ["dash.example"]
    client, token = make_client("http://127.0.0.1:8501"), {"Authorization": "Bearer t"}
    assert client.get("/api/x", headers={**token, "Host": "dash.example:9000"}).text == "passed"
    assert client.get("/api/x", headers={**token, "Host": "other.example:9000"}).status_code == 403
