"""Posts a body to a peer and reads a bounded answer."""

from __future__ import annotations

from collections.abc import AsyncIterable
from dataclasses import dataclass

from samdrift.contracts.errors import Temporary
from samdrift.net.client import HttpClient, HttpFault, NoAnswer


class PeerUnreachable(Temporary):
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
    client: HttpClient,
    address: str,
    content: bytes | AsyncIterable[bytes],
    *,
    content_type: str,
    content_length: int,
    within: float,
) -> Answered:
    """POST ``content`` and give the answer, or raise :class:`PeerUnreachable`.

    Redirects are not followed. ``within`` is the time in seconds that the peer
    may stay silent at any step. More than 1 MiB of answer is not read.
    """
    try:
        async with client.exchange(
            "POST",
            address,
            content,
            length=content_length,
            headers={"content-type": content_type},
            silence=within,
        ) as answer:
            return Answered(answer.status, answer.content_type, await answer.read(_MOST))
    except NoAnswer as failure:
        raise PeerUnreachable(_text(failure)) from None


def _text(failure: NoAnswer) -> str:
    match failure.fault:
        case HttpFault.FORBIDDEN:
            return "the address in the service metadata may not be connected to"
        case HttpFault.TOO_LARGE:
            return f"an answer of more than {_MOST} bytes"
        case _:
            return f"no HTTP answer ({failure.kind})"
