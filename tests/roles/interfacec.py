"""Client for interface C that can also send malformed requests."""

from __future__ import annotations

import json
import ssl
from collections.abc import Collection
from dataclasses import dataclass

from tests.roles import web


@dataclass(frozen=True)
class InterfaceC:
    """Client for interface C with any client certificate."""

    base: str
    tls: ssl.SSLContext

    async def submit(
        self, envelope_id: str, body: web.Body, conversation_id: str | None = None
    ) -> web.Answer:
        headers = {"content-type": "application/xml"}
        if conversation_id is not None:
            headers["samdrift-conversation-id"] = conversation_id
        return await self.call("PUT", f"/envelopes/{envelope_id}", body, headers)

    async def poll(
        self, after: int = 0, wait: int = 0, taken: Collection[str] = (), past: str = ""
    ) -> web.Answer:
        return await self.poll_with({"after": after, "wait": wait, "taken": list(taken), "past": past})

    async def poll_with(self, asked: object) -> web.Answer:
        """Poll with any JSON document."""
        headers = {"content-type": "application/json"}
        return await self.call("POST", "/poll", json.dumps(asked).encode(), headers)

    async def fetch(self, item_id: str) -> web.Answer:
        return await self.call("GET", f"/inbox/{item_id}")

    async def acknowledge(self, item_id: str) -> web.Answer:
        return await self.call("DELETE", f"/inbox/{item_id}")

    async def call(
        self, method: str, path: str, body: web.Body = None, headers: dict[str, str] | None = None
    ) -> web.Answer:
        """Send any request."""
        return await web.call(self.tls, method, self.base + path, body, headers)
