"""Applications by host name: one for each organisation, and a bare answer everywhere else."""

from __future__ import annotations

import pytest
from starlette.types import ASGIApp, Message, Scope

from samdrift.net.origins import HEALTH, by_host, host_named, origin

HOSTS = {
    "habo.messages.example.se": origin(lambda: True),
    "mullsjo.messages.example.se": origin(lambda: False),
}
Headers = list[tuple[bytes, bytes]]
BARE = 404, [(b"cache-control", b"no-store"), (b"content-length", b"0")], b""


def request(headers: Headers, path: str = HEALTH, method: str = "GET") -> Scope:
    return {"type": "http", "method": method, "path": path, "headers": headers}


async def answer(application: ASGIApp, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        raise AssertionError("nothing of a body is read")

    await application(scope, receive, send)
    return sent[0]["status"], sorted(sent[0]["headers"]), sent[1]["body"]


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ([(b"host", b"habo.messages.example.se")], "habo.messages.example.se"),
        ([(b"host", b"Habo.Messages.Example.SE:8443")], "habo.messages.example.se"),
        ([(b"accept", b"*/*"), (b"host", b"habo.localhost")], "habo.localhost"),
        ([], ""),
        ([(b"host", b"")], ""),
        ([(b"host", b"habo.localhost"), (b"host", b"mullsjo.localhost")], ""),
        ([(b"host", b"habo.localhost, mullsjo.localhost")], ""),
        ([(b"host", b"habo.localhost@mullsjo.localhost")], ""),
        ([(b"host", b"habo.localhost:8443:1")], ""),
        ([(b"host", b"habo.localhost/")], ""),
        ([(b"host", "håbo.localhost".encode("latin-1"))], ""),
        ([(b"x-forwarded-host", b"habo.localhost")], ""),
    ],
)
def test_the_host_is_the_one_that_a_request_names_and_it_alone(headers: Headers, host: str) -> None:
    assert host_named(request(headers)) == host


@pytest.mark.parametrize(("host", "status"), [("habo", 204), ("mullsjo", 503)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_an_origin_says_whether_its_organisation_is_served(host: str, status: int, method: str) -> None:
    headers = [(b"host", f"{host}.messages.example.se".encode())]
    found, fields, body = await answer(by_host(HOSTS), request(headers, method=method))
    assert (found, body) == (status, b"")
    assert (b"cache-control", b"no-store") in fields


@pytest.mark.parametrize("path", [HEALTH, "/", "/v1/messages", "/health/", ""])
async def test_a_host_that_is_nobodys_is_answered_as_a_path_that_does_not_exist(path: str) -> None:
    application = by_host(HOSTS)
    for headers in ([(b"host", b"eksjo.messages.example.se")], []):
        assert await answer(application, request(headers, path)) == BARE


@pytest.mark.parametrize(
    ("path", "method"), [("/", "GET"), ("/inbox", "GET"), (HEALTH, "POST"), ("/health/..", "GET")]
)
@pytest.mark.parametrize("host", ["habo", "mullsjo"])
async def test_nothing_else_is_there(path: str, method: str, host: str) -> None:
    headers = [(b"host", f"{host}.messages.example.se".encode())]
    assert await answer(by_host(HOSTS), request(headers, path, method)) == BARE
