"""A message service with only what the published OpenAPI file makes mandatory.

Four statuses, no events, no pages, an id that is not the messageId, 404 for an empty list, ``event`` for
``events``, a relative Location.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from samdrift.client.keys import ClientKey
from samdrift.client.mailbox import Mailbox
from samdrift.client.tokens import Tokens
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.net.server import listening_socket, serving

ROOT = "urn:riv:infrastructure:messaging:functionalAddress"


@dataclass
class SparseService:
    """Messages by the service's own id, and the requests that it received."""

    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    raw: dict[str, bytes] = field(default_factory=dict)
    """Raw answers that are given instead."""
    failing: dict[str, int] = field(default_factory=dict)
    """Error statuses for messages that are listed nevertheless."""
    asked: list[str] = field(default_factory=list)
    posted: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False
    deaf: int = 0
    """Number of posts that are accepted but never answered."""
    refuse: str = ""
    careless: bool = False
    """True to accept a message again under an id that it already has."""
    lost: int = 0
    """Number of deletions that are carried out but never answered."""
    keeps: int = 0
    """Status with which deletions are refused; zero if they are not."""
    url: str = ""

    def receives(self, **changes: Any) -> str:
        """Let a new message arrive; return the service's id of it."""
        attributes = incoming(**changes)
        service_id = f"resource-{len(self.messages) + 1}"
        self.messages[service_id] = {key: value for key, value in attributes.items() if value is not None}
        return service_id

    async def token(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        return JSONResponse({"access_token": "token", "token_type": "Bearer", "expires_in": 600})

    async def listing(self, request: Request) -> Response:
        self.asked.append(f"GET list {request.url.query}")
        if self.down:
            return Response(status_code=503)
        filters = dict(request.query_params)
        status = filters.get("filter[messagestatus]")
        sender = filters.get("filter[senderAttention.subOrganization.extension]")
        found = [
            {"type": "messages", "id": each, "attributes": _listed(one)}
            for each, one in reversed(self.messages.items())
            if status in (None, one["messageStatus"])
            and sender in (None, one["senderAttention"]["subOrganization"]["extension"])
        ]
        if not found:
            return Response(status_code=404)  # The OpenAPI file defines no content for it.
        return JSONResponse({"data": found})

    async def one(self, request: Request) -> Response:
        service_id = request.path_params["id"]
        self.asked.append(f"GET {service_id}")
        if self.down:
            return Response(status_code=503)
        if service_id in self.failing:
            return Response(status_code=self.failing[service_id])
        if service_id in self.raw:
            return Response(self.raw[service_id], media_type="application/json")
        if service_id not in self.messages:
            return Response(status_code=404)
        resource = {"type": "messages", "id": service_id, "attributes": self.messages[service_id]}
        return JSONResponse({"data": resource})

    async def send(self, request: Request) -> Response:
        self.asked.append("POST")
        if self.down:
            return Response(status_code=503)
        attributes = json.loads(await request.body())["data"]["attributes"]
        if self.refuse:
            issue = {"typeCode": "BV", "title": "too-long", "detail": self.refuse}
            return JSONResponse({"title": "Bad request", "eventIssues": [issue]}, 400)
        known = any(each["messageId"] == attributes["messageId"] for each in self.messages.values())
        if known and not self.careless:
            issue = {"typeCode": "BV", "title": "duplicate", "detail": "the id is in use"}
            return JSONResponse({"title": "Bad request", "eventIssues": [issue]}, 400)
        service_id = f"resource-{len(self.messages) + 1}"
        self.messages[service_id] = attributes | {"messageStatus": "WAITING_FOR_RECEIPT"}
        self.posted.append(attributes)
        if self.deaf:
            self.deaf -= 1
            return Response(status_code=502)
        return Response(status_code=201, headers={"location": f"messages/{service_id}"})

    async def delete(self, request: Request) -> Response:
        service_id = request.path_params["id"]
        self.asked.append(f"DELETE {service_id}")
        if self.down:
            return Response(status_code=503)
        if self.keeps:
            return JSONResponse({"title": "Refused"}, self.keeps)
        if self.messages.pop(service_id, None) is None:
            return JSONResponse({"title": "Not found"}, 404)
        if self.lost:
            self.lost -= 1
            return Response(status_code=502)
        return Response(status_code=204)

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/token", self.token, methods=["POST"]),
            Route("/v1/sdk/messages", self.listing),
            Route("/v1/sdk/messages", self.send, methods=["POST"]),
            Route("/v1/sdk/messages/{id}", self.one),
            Route("/v1/sdk/messages/{id}", self.delete, methods=["DELETE"]),
        ]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Mailbox]:
        """Serve, and yield a client of it."""
        sock = listening_socket("127.0.0.1")
        async with (
            serving(Starlette(routes=self.routes()), sock),
            http_client(public_only=False, seconds=5.0) as http,
        ):
            self.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            tokens = Tokens(http, f"{self.url}/token", "client", ClientKey.new(), system_clock)
            yield Mailbox(http, f"{self.url}/v1", tokens)


def _listed(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if key != "digitalDocument"}


def incoming(
    *,
    message_id: str | None = None,
    conversation: str | None = None,
    label: str | None = "Orosanmälan",
    to: str = "inkorg01:0203:habo.se",
    sender: str = "0203:mullsjo.se",
    from_: str = "registrator:0203:mullsjo.se",
    text: str = "**Hej**\nvi ses",
    files: tuple[tuple[str, str, bytes], ...] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return the attributes of a message that arrived."""
    identity = message_id or str(uuid4())
    content = [
        {"fileName": name, "contentType": kind, "content": base64.b64encode(data).decode()}
        for name, kind, data in files
    ]
    return {
        "messageStatus": "NEW",
        "messageId": identity,
        "conversationId": conversation or identity,
        "creationDateTime": "2026-03-01T10:42:00Z",
        "confidentiality": True,
        "label": label,
        "sender": sender,
        "senderAttention": {
            "subOrganization": {"root": ROOT, "extension": from_, "label": "Registrator"},
            "referenceId": [{"root": "dnr", "extension": "SN 2026-1", "label": "Dnr"}],
        },
        "recipient": "0203:habo.se",
        "recipientAttention": {"subOrganization": {"root": ROOT, "extension": to, "label": "Inkorg"}},
        "digitalDocument": [
            {"documentId": "SDK-Meddelande", "contentTextBody": [text], "contentFiles": content}
        ],
        "event": {"eventIssues": []},
        **more,
    }
