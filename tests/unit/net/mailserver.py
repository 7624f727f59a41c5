"""A mail server for tests: real SMTP over TLS (RFC 5321, 3207, 4954), with faults that a test sets."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class TestMailServer:
    """The messages that came, and the way in which the server answers."""

    __test__ = False

    tls: ssl.SSLContext
    implicit: bool = False
    """True for TLS from the beginning, false for STARTTLS."""
    offers_tls: bool = True
    login: tuple[str, str] | None = None
    refuse: bytes = b""
    """Answer to the recipient, instead of accepting."""
    mails: list[tuple[str, EmailMessage]] = field(default_factory=list)
    plain: list[bytes] = field(default_factory=list)
    """Lines that came before TLS."""
    port: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        context = self.tls if self.implicit else None
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secured = self.implicit
        recipient, logged_in = "", self.login is None
        writer.write(b"220 mail.test ESMTP\r\n")
        try:
            while line := await reader.readline():
                if not secured:
                    self.plain.append(line)
                verb, _, rest = line.strip().partition(b" ")
                match verb.upper():
                    case b"EHLO" | b"HELO":
                        offers = [b"mail.test"]
                        offers += [b"STARTTLS"] if self.offers_tls and not secured else []
                        offers += [b"AUTH PLAIN"] if self.login and secured else []
                        for each in offers[:-1]:
                            writer.write(b"250-" + each + b"\r\n")
                        writer.write(b"250 " + offers[-1] + b"\r\n")
                    case b"STARTTLS":
                        writer.write(b"220 go on\r\n")
                        await writer.drain()
                        await writer.start_tls(self.tls)
                        secured = True
                    case b"AUTH":
                        given = base64.b64decode(rest.partition(b" ")[2]).split(b"\0")[1:]
                        logged_in = given == [part.encode() for part in self.login or ()]
                        writer.write(b"235 welcome\r\n" if logged_in else b"535 who is that\r\n")
                    case b"MAIL":
                        writer.write(b"250 ok\r\n" if logged_in else b"530 log in\r\n")
                    case b"RCPT":
                        recipient = rest.decode().partition("<")[2].partition(">")[0]
                        writer.write((self.refuse or b"250 ok") + b"\r\n")
                    case b"DATA":
                        writer.write(b"354 go on\r\n")
                        data = b""
                        while (piece := await reader.readline()) != b".\r\n":
                            data += piece.removeprefix(b".") if piece.startswith(b"..") else piece
                        mail = message_from_bytes(data, policy=policy.default)
                        assert isinstance(mail, EmailMessage)
                        self.mails.append((recipient, mail))
                        writer.write(b"250 taken\r\n")
                    case b"QUIT":
                        writer.write(b"221 bye\r\n")
                        return
                    case _:
                        writer.write(b"250 ok\r\n")
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()
