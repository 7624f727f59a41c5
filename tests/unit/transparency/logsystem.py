"""An organisation's log system, reduced to what tests need: syslog over mutual TLS, in memory."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samdrift.config.logs import LogSystemConfig
from samdrift.config.values import SocketAddress
from samdrift.net.tls import server_tls
from tests.unit.net.calling import Reader, Writer
from tests.unit.net.servers import talking
from tests.unit.net.test_tls import CLIENTS, FIRST, identity, localhost, write

MESSAGE = re.compile(
    r"<110>1 (?P<time>-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z) - samdrift (?P<role>ap|mt|mk|gov)"
    r" (?P<event>[!-~]{1,32}) \[origin software=\"Samdrift\"\]"
    r"\[meta sequenceId=\"(?P<number>[1-9]\d{0,9})\"\] (?P<facts>\{[ -~]*\})"
)
"""RFC 5424 6, as far as our messages use it."""


def messages(stream: bytes) -> list[dict[str, Any]]:
    """Return the facts of the whole messages in a stream of frames (RFC 5425 4.3)."""
    found = []
    while stream:
        length, blank, rest = stream.partition(b" ")
        if not blank or len(rest) < int(length):
            break
        message = MESSAGE.fullmatch(rest[: int(length)].decode("ascii"))
        assert message is not None, rest[: int(length)]
        facts = json.loads(message["facts"])
        assert (facts["number"], facts["role"]) == (int(message["number"]), message["role"])
        found.append(facts)
        stream = rest[int(length) :]
    return found


@dataclass
class LogSystem:
    """The received streams, one per connection, and the behaviour of the next connections."""

    folder: Path
    streams: list[bytes] = field(default_factory=list)
    leaves_after: int | None = None
    """Number of bytes after which it disappears, as if it were killed."""
    hangs: bool = False
    """True to read nothing."""
    config: LogSystemConfig = field(init=False)

    @property
    def facts(self) -> list[dict[str, Any]]:
        return [each for stream in self.streams for each in messages(stream)]

    async def talk(self, reader: Reader, writer: Writer) -> None:
        place = len(self.streams)
        self.streams.append(b"")
        if self.hangs:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.Event().wait()
        while piece := await reader.read(1000):
            self.streams[place] += piece
            if self.leaves_after is not None and len(self.streams[place]) >= self.leaves_after:
                writer.transport.abort()
                return

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LogSystemConfig]:
        """Serve over TLS to clients with a certificate of our issuer."""
        own = identity(self.folder / "log-system.pem", localhost(FIRST))
        clients = write(self.folder / "log-clients.pem", CLIENTS.certificate)
        context = server_tls(own, clients).current()
        assert context.verify_mode is ssl.CERT_REQUIRED
        async with talking(self.talk, context) as url:
            self.config = LogSystemConfig(
                SocketAddress("localhost", int(url.rpartition(":")[2])),
                write(self.folder / "shown.pem", (shown := localhost(CLIENTS)).certificate, key=shown),
                None,
                write(self.folder / "log-issuers.pem", FIRST.certificate),
            )
            yield self.config
