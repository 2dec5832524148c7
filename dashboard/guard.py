"""Who may call the routes that are ours: the host's own pages, and programs that are on this machine or hold the token.

A page of another site reaches a server on this machine too, through the browser of whoever opened it. It cannot lie
about its ``Origin`` and ``Sec-Fetch-Site``; but it can have its own name resolve to this machine (DNS rebinding), which
only ``Host`` gives away. So each of the three is looked at, before anything of the request is read.
"""

import hashlib
import hmac
import ipaddress
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import JSONResponse

TOKEN_VARIABLE = "REVIEWSCOPE_TOKEN"
TICKET_HOURS = 12
OWN_SITES = ("same-origin", "none")  # "none" is what a person typed or bookmarked
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
_TICKET_KEY = secrets.token_bytes(32)

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    sentence: str


class Guard:
    """ASGI middleware: answers a request that may not pass with a JSON sentence, and closes every WebSocket."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
        elif refusal := find_fault(scope):
            headers = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
            await JSONResponse({"error": refusal.sentence}, refusal.status, headers)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def find_fault(scope: Any) -> Refusal | None:
    """Return why a request may not pass, or None."""
    headers = Headers(scope=scope)
    name, port = host_of(headers)
    usual_port = 443 if scope.get("scheme") == "https" else 80
    if name is None or not _is_own_name(name, port or usual_port, scope.get("server")):
        return Refusal(
            403, f"This server does not go by the name {headers.get('host', '')[:80]!r}. Call it as localhost or "
            "127.0.0.1 with its own port, or add the name to server.allowedHosts.",
        )  # fmt: skip
    origins = headers.getlist("origin")
    if any(_netloc(origin) != headers["host"].lower() for origin in origins):
        return Refusal(403, f"The origin {origins[0][:80]!r} is another site; only this server's own pages may call.")
    if any(site.lower() not in OWN_SITES for site in headers.getlist("sec-fetch-site")):
        return Refusal(403, "A page of another site sent this; only this server's own pages may call.")
    if _is_local(name, headers) or _has_ticket(scope):
        return None
    return _find_token_fault(headers)


def ticket_for(path: str) -> str:
    """Return a query that lets a link to ``path`` pass without a token for some hours; a browser's links carry none.

    Only a page of this process can make one, and whoever sees that page has logged in.
    """
    until = 3600 * (int(time.time()) // 3600 + TICKET_HOURS + 1)  # the same for an hour, so that a link stays itself
    return f"until={until}&ticket={_sign(path, until)}"


def is_loopback(address: str | None) -> bool:
    """Tell whether an address is this machine's own; none at all means every address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def host_of(headers: Headers) -> tuple[str | None, int | None]:
    """Return the name, lower case, and the port of a request's one ``Host``; None where it is none."""
    hosts = headers.getlist("host")
    try:
        parts = urlsplit(f"//{hosts[0]}")
        # What is more than name and port, such as user@name, is not what a browser sends.
        is_plain = len(hosts) == 1 and parts.netloc == hosts[0] and parts.username is None
        return (parts.hostname.rstrip(".") if is_plain and parts.hostname else None), parts.port
    except (IndexError, ValueError):
        return None, None


def _is_own_name(name: str, port: int, server: tuple[str, int | None] | None) -> bool:
    """Tell whether a name is one that this server answers to: loopback, the address that was reached, or a set one."""
    allowed = [each.strip().lower().rstrip(".") for each in st.get_option("server.allowedHosts") or ()]
    if name in allowed or any(each.startswith("*.") and name.endswith(each[1:]) for each in allowed):
        return True
    address, own_port = server or ("", None)
    return (is_loopback(name) or name == address.lower()) and port == own_port


def _is_local(name: str, headers: Headers) -> bool:
    """Tell whether caller and server are on one machine: it listens there alone, and no proxy stands before it."""
    is_proxied = any(each in headers for each in FORWARDED)
    return is_loopback(st.get_option("server.address")) and is_loopback(name) and not is_proxied


def _find_token_fault(headers: Headers) -> Refusal | None:
    expected = os.environ.get(TOKEN_VARIABLE, "").strip()
    if not expected:
        return Refusal(
            403, f"From another machine a token is needed, and none is set. Start the server with {TOKEN_VARIABLE} set "
            "to a long random word, and send it as Authorization: Bearer <token>.",
        )  # fmt: skip
    scheme, _, given = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), expected.encode()):
        return None
    return Refusal(401, f"Send the server's {TOKEN_VARIABLE} as Authorization: Bearer <token>.")


def _has_ticket(scope: Any) -> bool:
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    until, ticket = query.get("until", [""])[0], query.get("ticket", [""])[0]
    if scope["method"] not in ("GET", "HEAD") or not until.isascii() or not until.isdigit() or len(until) > 12:
        return False
    return int(until) >= time.time() and hmac.compare_digest(ticket.encode(), _sign(scope["path"], int(until)).encode())


def _sign(path: str, until: int) -> str:
    return hmac.new(_TICKET_KEY, f"{until} {path}".encode(), hashlib.sha256).hexdigest()


def _netloc(origin: str) -> str | None:
    """Return name and port of an origin, or None of what is none, such as "null"."""
    scheme, separator, rest = origin.lower().partition("://")
    return rest if separator and scheme in ("http", "https") else None
