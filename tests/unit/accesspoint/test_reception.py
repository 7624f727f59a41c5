"""Reading of a request body, up to a limit."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from cryptography import x509

from samdrift.accesspoint.inbound import Reception
from samdrift.wire.as4 import As4Fault, As4Reader, UserMessage

_TYPE = 'multipart/related; boundary="b"; type="application/soap+xml"'


class Body:
    """A body of one-kilobyte pieces, which counts those that were read."""

    def __init__(self, pieces: int | None) -> None:
        self.read = 0
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._pieces is None or self.read < self._pieces:
            self.read += 1
            yield b" " * 1024


async def test_what_a_refused_peer_still_sends_is_read_to_its_end() -> None:
    body = Body(100)
    await Reception(As4Reader(_TYPE), body).drain(1 << 20)
    assert body.read == 100


async def test_of_what_never_ends_only_so_much_is_read() -> None:
    body = Body(None)
    await Reception(As4Reader(_TYPE), body).drain(1 << 20)
    assert body.read == 1024


async def test_nothing_is_read_after_the_end() -> None:
    body = Body(1)
    reception = Reception(As4Reader(_TYPE), body)
    with pytest.raises(As4Fault):
        await reception.header(_nobody)
    await reception.drain(1 << 20)
    assert body.read == 1


async def _nobody(message: UserMessage) -> tuple[x509.Certificate, ...]:
    return ()
