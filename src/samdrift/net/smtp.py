"""Sending of mail through a mail server (SMTP, RFC 5321), always over verified TLS.

With STARTTLS (RFC 3207) only the greeting is exchanged before TLS: a server that does not offer it receives
neither a password nor a mail.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from enum import StrEnum

import aiosmtplib

from samdrift.contracts.errors import Explained, Temporary
from samdrift.net.tls import TlsContext

_SECONDS = 30.0
"""Time limit for the server's reply to each command."""
_PERMANENT = 500


class MailSecurity(StrEnum):
    """Ways of securing the connection to a mail server with TLS."""

    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class MailServerSettings:
    """The settings for a mail server."""

    host: str
    port: int
    security: MailSecurity
    user: str = ""
    password: str = field(default="", repr=False)


class MailServerUnavailable(Temporary):
    """The mail server cannot be used now; ``cause`` gives the reason in our own words."""

    service = "SMTP"

    def __init__(self, cause: str) -> None:
        super().__init__("the mail server cannot be used now")
        self.cause = cause


class MailRefused(Explained):
    """The mail server permanently rejected a mail; its reply, which may name the recipient, is dropped."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the mail server refuses the mail (status {status})")


class MailServer:
    """Client that sends mail through one server, with a new connection for each mail."""

    def __init__(self, settings: MailServerSettings, tls: TlsContext) -> None:
        self._settings = settings
        self._tls = tls

    async def send(self, mail: EmailMessage, recipient: str) -> None:
        """Send a mail; raise :class:`MailServerUnavailable` or :class:`MailRefused` on failure."""
        async with self._connected() as server:
            await server.send_message(mail, recipients=[recipient])

    async def reach(self) -> None:
        """Log in without sending anything; raise :class:`MailServerUnavailable` if that fails."""
        async with self._connected() as server:
            await server.noop()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[aiosmtplib.SMTP]:
        one = self._settings
        server = aiosmtplib.SMTP(
            hostname=one.host,
            port=one.port,
            use_tls=one.security is MailSecurity.TLS,
            start_tls=one.security is MailSecurity.STARTTLS,
            tls_context=self._tls.current(),
            username=one.user or None,
            password=one.password or None,
            timeout=_SECONDS,
            local_hostname="localhost",
        )
        try:
            async with asyncio.timeout(4 * _SECONDS), server:
                yield server
        except (aiosmtplib.SMTPRecipientsRefused, aiosmtplib.SMTPResponseException) as error:
            status = _status(error)
            if status < _PERMANENT or isinstance(error, aiosmtplib.SMTPAuthenticationError):
                raise MailServerUnavailable(f"status {status}") from None
            raise MailRefused(status) from None
        except (aiosmtplib.SMTPException, ssl.SSLError, OSError, TimeoutError) as error:
            raise MailServerUnavailable(_reason(error)) from None
        finally:
            # aiosmtplib uses wait_for, which in Python 3.11 loses a cancellation at the moment of an answer.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError


def _status(error: aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPResponseException) -> int:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code
    return min((_status(each) for each in error.recipients), default=_PERMANENT)


def _reason(error: Exception) -> str:
    """Return why a server cannot be used, without quoting the server."""
    chain: list[BaseException] = [error]
    while (cause := chain[-1].__cause__) is not None:
        chain.append(cause)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain):
        return "its certificate is not trusted"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if type(error) in (aiosmtplib.SMTPException, aiosmtplib.SMTPNotSupported):
        return "it does not offer what is needed"
    said = next((each.strerror for each in chain if isinstance(each, OSError) and each.strerror), "")
    if isinstance(error, aiosmtplib.SMTPConnectError):
        return said.lower() or "no connection"
    return said.lower() or type(error).__name__
