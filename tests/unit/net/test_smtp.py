"""Mail through a mail server over verified TLS, against a server that speaks SMTP."""

from __future__ import annotations

import asyncio
import contextlib
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from samdrift.net.smtp import (
    MailRefused,
    MailSecurity,
    MailServer,
    MailServerSettings,
    MailServerUnavailable,
)
from samdrift.net.tls import client_tls, server_tls
from tests.unit.net.mailserver import TestMailServer
from tests.unit.net.test_tls import FIRST, SECOND, identity, localhost, write

LOGIN = ("samdrift", "lösen ord")


@pytest.fixture
def server(tmp_path: Path) -> TestMailServer:
    return TestMailServer(server_tls(identity(tmp_path / "server.pem", localhost(FIRST))).serving())


def client(server: TestMailServer, folder: Path, *, trusted: bool = True, login: bool = False) -> MailServer:
    issuer = FIRST if trusted else SECOND
    trust = write(folder / "trust.pem", issuer.certificate)
    security = MailSecurity.TLS if server.implicit else MailSecurity.STARTTLS
    user, password = LOGIN if login else ("", "")
    settings = MailServerSettings("localhost", server.port, security, user, password)
    return MailServer(settings, client_tls(trust=trust, http=False))


def a_mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "samdrift@example.se", "anna@habo.se", "Du har något att läsa"
    mail.set_content("Logga in.\n.\nHåbo\n")
    return mail


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
async def test_a_mail_is_handed_over_by_tls_alone(
    server: TestMailServer, tmp_path: Path, implicit: bool
) -> None:
    server.implicit = implicit
    async with server.running():
        await client(server, tmp_path).reach()
        await client(server, tmp_path).send(a_mail(), "anna@habo.se")
    ((recipient, mail),) = server.mails
    assert (recipient, mail["Subject"]) == ("anna@habo.se", "Du har något att läsa")
    assert "Logga in.\n.\nHåbo" in mail.get_content()
    assert {line.split()[0].upper() for line in server.plain} <= {b"EHLO", b"STARTTLS"}


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancellation_that_the_library_loses_ends_the_task_all_the_same(
    server: TestMailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Otherwise a process that is told to stop would go on for ever."""
    asked = asyncio.Event()

    async def noop(self: aiosmtplib.SMTP) -> None:
        asked.set()
        with contextlib.suppress(asyncio.CancelledError):  # As wait_for does if the answer has just come.
            await asyncio.sleep(3600)
        if fails:
            raise aiosmtplib.SMTPServerDisconnected("gone")

    monkeypatch.setattr(aiosmtplib.SMTP, "noop", noop)
    async with server.running():
        reaching = asyncio.create_task(client(server, tmp_path).reach())
        async with asyncio.timeout(60):
            await asked.wait()
        reaching.cancel()
        (ended,) = await asyncio.gather(reaching, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)


async def test_a_server_that_asks_for_it_gets_user_and_password_after_tls(
    server: TestMailServer, tmp_path: Path
) -> None:
    server.login = LOGIN
    async with server.running():
        await client(server, tmp_path, login=True).send(a_mail(), "anna@habo.se")
        server.login = ("samdrift", "another")
        with pytest.raises(MailServerUnavailable) as refused:
            await client(server, tmp_path, login=True).send(a_mail(), "anna@habo.se")
    assert refused.value.cause == "status 535"
    assert len(server.mails) == 1
    assert not any(b"AUTH" in line for line in server.plain)


@pytest.mark.parametrize("fault", ["another issuer", "no starttls", "nobody there"])
async def test_without_tls_that_is_verified_nothing_is_said(
    server: TestMailServer, tmp_path: Path, fault: str
) -> None:
    server.offers_tls, server.login = fault != "no starttls", LOGIN
    async with server.running():
        asked = client(server, tmp_path, trusted=fault != "another issuer", login=True)
        if fault != "nobody there":
            with pytest.raises(MailServerUnavailable) as failed:
                await asked.send(a_mail(), "anna@habo.se")
    if fault == "nobody there":
        with pytest.raises(MailServerUnavailable) as failed:
            await asked.send(a_mail(), "anna@habo.se")
    expected = {
        "another issuer": "its certificate is not trusted",
        "no starttls": "it does not offer what is needed",
        "nobody there": "connect",
    }
    assert expected[fault] in failed.value.cause
    assert server.mails == []
    assert not any(b"AUTH" in line or b"MAIL" in line for line in server.plain)


@pytest.mark.parametrize(
    ("answer", "error"),
    [(b"550 Kim Svensson is unknown here", MailRefused), (b"450 try later", MailServerUnavailable)],
)
async def test_a_refusal_is_for_good_or_for_now_and_its_words_are_dropped(
    server: TestMailServer, tmp_path: Path, answer: bytes, error: type[Exception]
) -> None:
    server.refuse = answer
    async with server.running():
        with pytest.raises(error) as refused:
            await client(server, tmp_path).send(a_mail(), "anna@habo.se")
    assert "Kim" not in f"{refused.value} {getattr(refused.value, 'cause', '')}"
    assert answer[:3].decode() in f"{refused.value} {getattr(refused.value, 'cause', '')}"
