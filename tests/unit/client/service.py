"""A message service and its authorisation server, reduced to what a test of their client needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import Mailbox
from samdrift.client.tokens import Tokens
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.net.server import listening_socket, serving


@dataclass
class Service:
    """A message service with prepared answers, and the requests that it received."""

    answers: list[Response] = field(default_factory=list)
    """Answers in turn, over all operations."""
    grant: Response = field(
        default_factory=lambda: JSONResponse(
            {"access_token": "token", "token_type": "Bearer", "expires_in": 600}
        )
    )
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    url: str = ""

    async def operation(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode()
        target = path + (f"?{request.url.query}" if request.url.query else "")
        self.asked.append((request.method, target, await request.body()))
        self.headers.append(dict(request.headers))
        return self.answers.pop(0)

    async def token(self, request: Request) -> Response:
        self.forms.append(parse_qs((await request.body()).decode()))
        return self.grant

    def application(self) -> Starlette:
        methods = ["GET", "POST", "DELETE"]
        return Starlette(
            routes=[
                Route("/token", self.token, methods=["POST"]),
                Route("/v1/{rest:path}", self.operation, methods=methods),
            ]
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        sock = listening_socket("127.0.0.1")
        async with serving(self.application(), sock):
            self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            yield self.url


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[Mailbox]:
    """Yield a client of a running service."""
    async with service.running() as url, http_client(public_only=False, seconds=5.0) as http:
        tokens = Tokens(http, f"{url}/token", "journal", ClientKey.new(), system_clock)
        yield Mailbox(http, f"{url}/v1", tokens)


def page(*messages: dict[str, Any], following: str | None = None) -> Response:
    return JSONResponse({"data": list(messages), "links": {"self": "x", "next": following}})
