"""HTTP to others: who may be called, over which TLS, and how much of an answer is read.

Addresses that we call come from outside (DNS, service metadata, certificates).
So redirects are never followed, no proxy or credentials are taken from the
environment, answers are bounded in size and time, and unless told otherwise
only public addresses are connected to, whatever name they have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import httpx

from samdrift.net.tls import TlsContext, client_tls
from samdrift.net.transport import AddressForbidden, ReloadingTransport, is_public
from samdrift.wire.errors import WireError
from samdrift.wire.webaddress import web_address


class FetchFault(StrEnum):
    """Why a fetch gave nothing."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TOO_LARGE = "too-large"
    FORBIDDEN = "forbidden"
    ENCODED = "encoded"


class FetchError(Exception):
    """No usable HTTP answer; the text names neither address nor content."""

    def __init__(self, fault: FetchFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


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
) -> httpx.AsyncClient:
    """A client whose TLS follows its files; to be closed by the caller.

    ``public_only`` refuses to connect to loopback, private and other special
    addresses: off only where peers and shared services live on such, as in the
    local federation. ``seconds`` is the longest silence, at any step.
    """
    permits = is_public if public_only else None
    transport = ReloadingTransport(tls or client_tls(), permits, connections)
    return httpx.AsyncClient(
        transport=transport,
        follow_redirects=False,
        trust_env=False,
        timeout=seconds,
        headers={"user-agent": "samdrift", "accept-encoding": "identity"},
    )


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    limits: FetchLimits,
    *,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Fetched:
    """GET ``url``, or POST ``content``; :class:`FetchError` when no whole answer came within ``limits``."""
    method = "GET" if content is None else "POST"
    try:
        web_address(url, "url")
        async with (
            asyncio.timeout(limits.seconds),
            client.stream(method, url, content=content, headers=headers, timeout=limits.seconds) as response,
        ):
            return await _bounded(response, limits.max_bytes)
    except (AddressForbidden, WireError):
        raise FetchError(FetchFault.FORBIDDEN) from None
    except (TimeoutError, httpx.TimeoutException):
        raise FetchError(FetchFault.TIMEOUT) from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError):
        raise FetchError(FetchFault.UNREACHABLE) from None


async def _bounded(response: httpx.Response, most: int) -> Fetched:
    """The answer as it was sent: a coding that could unfold to any size was not asked for and is refused."""
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FetchError(FetchFault.ENCODED)
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > most:
            raise FetchError(FetchFault.TOO_LARGE)
    return Fetched(response.status_code, response.headers.get("content-type", ""), bytes(body))
