"""A probe of the versions and suites that a TLS server accepts, with hand-made hellos (RFC 5246, RFC 8446).

A TLS library cannot test for what servers should refuse: it no longer supports SSL 3.0 or suites without
encryption itself. So the ClientHello is assembled here, and only what is needed of the server's reply is
read. The handshake is not completed, so this also works where a client certificate is required.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import ssl
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from cryptography import x509

_HANDSHAKE, _ALERT = 22, 21
_CLIENT_HELLO, _SERVER_HELLO, _KEY_EXCHANGE, _HELLO_DONE = 1, 2, 12, 14
_SERVER_NAME, _GROUPS, _POINTS, _ALGORITHMS = 0, 10, 11, 13
_HEARTBEAT, _VERSIONS, _SHARES, _RENEGOTIATION = 15, 43, 51, 0xFF01
_NO_COMPRESSION, _DEFLATE = 0, 1
_MAX_RECORD = 1 << 15
_SUITES_13 = (0x1301, 0x1302, 0x1303)
_T = TypeVar("_T")
_Reading = Callable[[AsyncIterator[bytes]], Awaitable[_T | None]]
"""Function that extracts a result from the messages of a server's reply."""


class Version(IntEnum):
    """Versions of the protocol, by their number on the wire."""

    SSL_3_0 = 0x0300
    TLS_1_0 = 0x0301
    TLS_1_1 = 0x0302
    TLS_1_2 = 0x0303
    TLS_1_3 = 0x0304

    def __str__(self) -> str:
        return self.name.replace("_", " ", 1).replace("_", ".")


@dataclass(frozen=True, slots=True)
class ServerHello:
    """The parameters that a server chose."""

    version: int
    suite: int
    compressed: bool
    secure_renegotiation: bool
    heartbeat: bool


class NotTls(Exception):
    """The reply is neither a ServerHello nor a refusal, or there is none; the text states which."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A TLS listener, and the server name to request there."""

    host: str
    port: int
    name: str = ""
    seconds: float = 5.0

    async def hello(
        self, version: Version, suites: Sequence[int], *, deflate: bool = False
    ) -> ServerHello | None:
        """Offer one version and these suites; return ``None`` if the server refuses.

        Raises :class:`NotTls` if it does not respond with TLS.
        """
        offered = suites if version is not Version.TLS_1_3 else _SUITES_13

        async def read(messages: AsyncIterator[bytes]) -> ServerHello | None:
            return _read(await anext(messages, None))

        return await self._asked(_client_hello(version, offered, self.name, deflate=deflate), read)

    async def group_bits(self, version: Version, suites: Sequence[int]) -> int | None:
        """Offer suites with ephemeral Diffie-Hellman and return the length of the prime that is chosen.

        Returns ``None`` if the server refuses all of them; raises :class:`NotTls` as :meth:`hello` does.
        """

        async def read(messages: AsyncIterator[bytes]) -> int | None:
            async for message in messages:
                if message[0] == _KEY_EXCHANGE:
                    return _prime_bits(message)
                if message[0] == _HELLO_DONE:
                    break
            return None

        return await self._asked(_client_hello(version, suites, self.name, deflate=False), read)

    async def _asked(self, hello: bytes, read: _Reading[_T]) -> _T | None:
        try:
            async with asyncio.timeout(self.seconds):
                return await self._answered(hello, read)
        except TimeoutError:
            raise NotTls("no answer in time") from None
        except ConnectionResetError:
            return None
        except OSError as error:
            raise NotTls((error.strerror or type(error).__name__).lower()) from None

    async def _answered(self, hello: bytes, read: _Reading[_T]) -> _T | None:
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(hello)
            await writer.drain()
            async with contextlib.aclosing(_messages(reader)) as messages:
                return await read(messages)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def certificate(self, trust: ssl.SSLContext) -> x509.Certificate:
        """Complete a handshake and return the server's certificate.

        Raises :class:`ssl.SSLCertVerificationError` if ``trust`` does not verify it.
        """
        async with asyncio.timeout(self.seconds):
            _, writer = await asyncio.open_connection(
                self.host, self.port, ssl=trust, server_hostname=self.name or self.host
            )
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            return x509.load_der_x509_certificate(shown)
        finally:
            writer.transport.abort()


def _client_hello(version: Version, suites: Sequence[int], name: str, *, deflate: bool) -> bytes:
    legacy = min(version, Version.TLS_1_2)
    compressions = bytes((_DEFLATE, _NO_COMPRESSION) if deflate else (_NO_COMPRESSION,))
    body = (
        struct.pack(">H", legacy)
        + secrets.token_bytes(32)
        + bytes(1)  # No session to resume.
        + _counted(2, b"".join(struct.pack(">H", each) for each in suites))
        + _counted(1, compressions)
    )
    if version is not Version.SSL_3_0:
        body += _counted(2, b"".join(_extensions(version, name)))
    message = bytes([_CLIENT_HELLO]) + _counted(3, body)
    return struct.pack(">BH", _HANDSHAKE, min(legacy, Version.TLS_1_0)) + _counted(2, message)


def _extensions(version: Version, name: str) -> list[bytes]:
    algorithms = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201)
    # No groups of RFC 7919, so that a server that supports them shows the group that it gives to older
    # clients.
    groups = (0x001D, 0x0017, 0x0018, 0x0019)
    found = [
        _extension(_GROUPS, _counted(2, b"".join(struct.pack(">H", each) for each in groups))),
        _extension(_POINTS, _counted(1, bytes(1))),
        _extension(_ALGORITHMS, _counted(2, b"".join(struct.pack(">H", each) for each in algorithms))),
        _extension(_HEARTBEAT, bytes([1])),
        _extension(_RENEGOTIATION, bytes(1)),
    ]
    if name:
        found.append(_extension(_SERVER_NAME, _counted(2, bytes(1) + _counted(2, name.encode("idna")))))
    if version is Version.TLS_1_3:
        # Without a key share, the server responds with a HelloRetryRequest that has its choice (RFC 8446
        # 4.1.4).
        found.append(_extension(_VERSIONS, _counted(1, struct.pack(">H", version))))
        found.append(_extension(_SHARES, _counted(2, b"")))
    return found


def _extension(kind: int, data: bytes) -> bytes:
    return struct.pack(">H", kind) + _counted(2, data)


def _counted(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


async def _messages(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """Yield the handshake messages, up to an alert or until the server disconnects."""
    data = b""
    while True:
        while len(data) >= 4 and len(data) >= (end := 4 + int.from_bytes(data[1:4], "big")):
            yield data[:end]
            data = data[end:]
        try:
            kind, _, length = struct.unpack(">BHH", await reader.readexactly(5))
        except asyncio.IncompleteReadError:
            return
        if kind == _ALERT:
            return
        if kind != _HANDSHAKE or length > _MAX_RECORD:
            raise NotTls("the service there does not speak TLS")
        try:
            data += await reader.readexactly(length)
        except asyncio.IncompleteReadError:
            raise NotTls("the answer was cut off") from None


def _read(message: bytes | None) -> ServerHello | None:
    if message is None:
        return None
    try:
        return _server_hello(message)
    except (struct.error, IndexError):
        raise NotTls("the server hello cannot be read") from None


def _server_hello(message: bytes) -> ServerHello:
    if message[0] != _SERVER_HELLO:
        raise NotTls("the service there does not begin with a server hello")
    body = message[4 : 4 + int.from_bytes(message[1:4], "big")]
    (version,) = struct.unpack_from(">H", body)
    place = 2 + 32
    place += 1 + body[place]
    suite, compression = struct.unpack_from(">HB", body, place)
    place += 3
    extensions: dict[int, bytes] = {}
    end = place + 2 + struct.unpack_from(">H", body, place)[0] if len(body) > place else place
    place += 2
    while place < end:
        kind, length = struct.unpack_from(">HH", body, place)
        extensions[kind] = body[place + 4 : place + 4 + length]
        place += 4 + length
    if chosen := extensions.get(_VERSIONS):
        (version,) = struct.unpack(">H", chosen)
    return ServerHello(
        version, suite, compression != _NO_COMPRESSION, _RENEGOTIATION in extensions, _HEARTBEAT in extensions
    )


def _prime_bits(message: bytes) -> int:
    """Return the length in bits of the prime at the beginning of a key exchange (RFC 5246 7.4.3)."""
    try:
        (length,) = struct.unpack_from(">H", message, 4)
        return int.from_bytes(message[6 : 6 + length], "big").bit_length()
    except struct.error:
        raise NotTls("the server's key exchange cannot be read") from None
