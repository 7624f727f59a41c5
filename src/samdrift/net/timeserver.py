"""Measurement of this machine's clock error with a time server (SNTP, RFC 4330)."""

from __future__ import annotations

import asyncio
import struct
import time
from datetime import timedelta

from samdrift.contracts.errors import Temporary

PORT = 123
_TO_1970 = 2_208_988_800
"""Seconds from 1900, the epoch of NTP, to 1970."""
_ERA = 2**32
"""Seconds after which stamps begin at zero again, first in February 2036."""
_CLIENT, _SERVER = 3, 4
_SIZE = 48
_MAX_STRATUM = 15


class TimeUnknown(Temporary):
    """A time server gave no usable answer."""


async def clock_offset(host: str, port: int = PORT, within: float = 5.0) -> timedelta:
    """Return the correction for this machine's clock; raise :class:`TimeUnknown` if there is no answer."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[bytes, float]] = loop.create_future()
    try:
        async with asyncio.timeout(within):
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Question(answer), remote_addr=(host, port)
            )
            try:
                sent = time.time()
                transport.sendto(bytes([4 << 3 | _CLIENT]) + bytes(39) + _stamp(sent))
                data, received = await answer
            finally:
                transport.close()
    except TimeoutError:
        raise TimeUnknown(f"{host}:{port} did not answer in time") from None
    except OSError as error:
        raise TimeUnknown(f"{(error.strerror or type(error).__name__).lower()} at {host}:{port}") from None
    return timedelta(seconds=_offset(data, sent, received))


class _Question(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[tuple[bytes, float]]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: object) -> None:
        if not self._answer.done():
            self._answer.set_result((data, time.time()))

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)


def _offset(data: bytes, sent: float, received: float) -> float:
    """Return the clock offset from the four timestamps (RFC 4330 5); reject an unsynchronised server."""
    if len(data) < _SIZE or data[0] & 7 != _SERVER or data[24:32] != _stamp(sent):
        raise TimeUnknown("the host that answered is not a time server")
    if data[0] >> 6 == 3 or not 0 < data[1] <= _MAX_STRATUM:
        raise TimeUnknown("the time server is not synchronised")
    arrived, left = _seconds(data[32:40]), _seconds(data[40:48])
    return ((arrived - sent) + (left - received)) / 2


def _stamp(moment: float) -> bytes:
    return struct.pack(">II", (int(moment) + _TO_1970) % _ERA, int(moment % 1 * 2**32))


def _seconds(stamp: bytes) -> float:
    """Return the time of a stamp; one without its highest bit is from 2036 or later (RFC 4330 3)."""
    whole, part = struct.unpack(">II", stamp)
    era = 0 if whole >= _ERA // 2 else _ERA
    return float(whole + era - _TO_1970 + part / 2**32)
