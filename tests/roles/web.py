"""HTTP client for calls from outside, on the standard library: not the client that is under test."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Body = bytes | Iterable[bytes] | None


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Header values by lower-case name."""

    def document(self) -> Any:
        """Return the JSON body of the answer."""
        return json.loads(self.body)

    @property
    def problem(self) -> tuple[int, str]:
        """Return status and reason of a problem document, after checking its content type (RFC 9457)."""
        assert self.content_type == "application/problem+json"
        document = self.document()
        assert document["status"] == self.status
        return self.status, document["title"]


def tls(trust: Path, own: tuple[Path, str] | None = None) -> ssl.SSLContext:
    """Return a context that trusts those issuers and presents a certificate from a file with its password."""
    context = ssl.create_default_context(cafile=str(trust))
    if own is not None:
        context.load_cert_chain(own[0], password=own[1])
    return context


async def call(
    context: ssl.SSLContext,
    method: str,
    url: str,
    body: Body = None,
    headers: Mapping[str, str] | None = None,
    within: float = 90,
) -> Answer:
    """Send a request on a connection of its own."""
    return await asyncio.to_thread(_call, context, method, url, body, headers or {}, within)


def _call(
    context: ssl.SSLContext, method: str, url: str, body: Body, headers: Mapping[str, str], within: float
) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPSConnection(parts.netloc, timeout=within, context=context)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        with contextlib.suppress(ConnectionError, ssl.SSLError):  # answered before everything was sent
            connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named.get("content-type", ""), response.read(), named)
    finally:
        connection.close()
