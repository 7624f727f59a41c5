"""Posts a body to a peer and reads a bounded answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx

from samdrift.net.transport import AddressForbidden


class PeerUnreachable(Exception):
    """No usable HTTP answer came; ``text`` says at which step, without addresses or content."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Answered:
    """An HTTP answer of a peer."""

    status: int
    content_type: str
    body: bytes


_MOST = 1 << 20


async def post(
    client: httpx.AsyncClient,
    address: str,
    content: bytes | AsyncIterator[bytes],
    *,
    content_type: str,
    content_length: int,
    within: float,
) -> Answered:
    """POST ``content`` and give the answer, or raise :class:`PeerUnreachable`.

    Redirects are not followed. ``within`` is the time in seconds that the peer
    may stay silent at any step. More than 1 MiB of answer is not read.
    """
    headers = {"content-type": content_type, "content-length": str(content_length)}
    request = client.build_request("POST", address, content=content, headers=headers, timeout=within)
    try:
        response = await client.send(request, stream=True)
        try:
            body = await _bounded(response)
        finally:
            await response.aclose()
    except AddressForbidden:
        raise PeerUnreachable("the address in the service metadata may not be connected to") from None
    except (httpx.InvalidURL, UnicodeError):
        raise PeerUnreachable("the address in the service metadata is not a URL") from None
    except httpx.HTTPError as error:
        raise PeerUnreachable(f"no HTTP answer ({type(error).__name__})") from None
    return Answered(response.status_code, response.headers.get("content-type", ""), body)


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > _MOST:
            raise PeerUnreachable(f"an answer of more than {_MOST} bytes")
    return bytes(body)
