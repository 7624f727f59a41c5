"""A mail server that takes mail for others (SMTP, RFC 5321), over TLS that is verified, and never without.

With STARTTLS (RFC 3207) nothing but the greeting goes before TLS: a server that does not offer it gets
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
"""Time in which the server answers each command."""
_PERMANENT = 500


class MailSecurity(StrEnum):
    """Ways of reaching a mail server by TLS."""

    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class MailServerSettings:
    """A mail server."""

    host: str
    port: int
    security: MailSecurity
    user: str = ""
    password: str = field(default="", repr=False)


class MailServerUnavailable(Temporary):
    """The mail server cannot be used now; ``cause`` says why, in words of ours."""

    service = "SMTP"

    def __init__(self, cause: str) -> None:
        super().__init__("the mail server cannot be used now")
        self.cause = cause


class MailRefused(Explained):
    """The mail server refuses a mail for good; its words, which may name the recipient, are dropped."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the mail server refuses the mail (status {status})")


class MailServer:
    """Sends mail through one server, over one connection for each."""

    def __init__(self, settings: MailServerSettings, tls: TlsContext) -> None:
        self._settings = settings
        self._tls = tls

    async def send(self, mail: EmailMessage, recipient: str) -> None:
        """Hand a mail over; :class:`MailServerUnavailable`, or :class:`MailRefused`."""
        async with self._connected() as server:
            await server.send_message(mail, recipients=[recipient])

    async def reach(self) -> None:
        """Log in, without sending anything; :class:`MailServerUnavailable` when that fails."""
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


def _status(error: aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPResponseException) -> int:
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return error.code
    return min((_status(each) for each in error.recipients), default=_PERMANENT)


def _reason(error: Exception) -> str:
    """Return why a server cannot be used, without words of its own."""
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
