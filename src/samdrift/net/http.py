"""Whole answers of others within limits, and the client to get them with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from samdrift.net.addresses import any_address, is_public
from samdrift.net.client import HttpClient, HttpFault, NoAnswer
from samdrift.net.tls import TlsContext, client_tls


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """The most that one answer may take: bytes of its body, and seconds from the call to its end."""

    max_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Fetched:
    """An HTTP answer, whatever its status."""

    status: int
    content_type: str
    body: bytes


def http_client(
    tls: TlsContext | None = None,
    *,
    public_only: bool = True,
    connections: int = 100,
    seconds: float = 10.0,
) -> HttpClient:
    """A client whose TLS follows its files; to be closed by the caller.

    ``public_only`` refuses to connect to loopback, private and other special
    addresses: off only where peers and shared services live on such, as in the
    local federation. ``seconds`` is the longest silence, at any step.
    """
    permits = is_public if public_only else any_address
    return HttpClient(tls or client_tls(), permits, connections=connections, silence=seconds)


async def fetch(
    client: HttpClient,
    url: str,
    limits: FetchLimits,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Fetched:
    """GET ``url``, or POST ``content``; :class:`NoAnswer` when no whole answer came within ``limits``."""
    method = "GET" if content is None else "POST"
    try:
        async with (
            asyncio.timeout(limits.seconds),
            client.exchange(method, url, content, headers=headers, silence=limits.seconds) as answer,
        ):
            if answer.encoded:
                raise NoAnswer(HttpFault.ENCODED)
            return Fetched(answer.status, answer.content_type, await answer.read(limits.max_bytes))
    except TimeoutError:
        raise NoAnswer(HttpFault.TIMEOUT) from None
