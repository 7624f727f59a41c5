"""Mails to the operator: a real mail server, metrics and disks that a test sets, and its own clock."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry, generate_latest

from samdrift.config.mail import MailConfig
from samdrift.config.model import Config, MetricsConfig, SocketAddress
from samdrift.installation.health import Condition, Dependency, Gone, Health
from samdrift.installation.mailing import mail_server, noted
from samdrift.installation.metrics import HeldMetrics, metrics_application, nothing_to_measure
from samdrift.net.client import http_client
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import server_tls
from samdrift.operations.alertmail import AlertMails, AlertMailSettings, check_mail
from samdrift.operations.alertrules import RULES, History
from samdrift.operations.findings import State
from samdrift.operations.watch import Watcher, addresses_of, found_by, metrics_of
from samdrift.scheduling.held import HeldNumber
from tests.unit.console.scene import config_of
from tests.unit.net.mailserver import TestMailServer
from tests.unit.net.test_tls import FIRST, identity, localhost, write

START = datetime(2026, 11, 2, 8, tzinfo=UTC)
OPERATOR, SECOND = "drift@driftbolaget.se", "jour@driftbolaget.se"
ADDRESS, OTHER = SocketAddress("127.0.0.1", 9100), SocketAddress("127.0.0.1", 9101)
WORD = "Planterat"


@dataclass
class Ground:
    """A watch whose metrics a test sets, and the mail server that its mails go to."""

    server: TestMailServer
    mail: MailConfig
    config: Config
    recipients: tuple[str, ...] = (OPERATOR,)
    addresses: tuple[SocketAddress, ...] = (ADDRESS,)
    now: datetime = START
    gone: set[str] = field(default_factory=set)
    held: list[HeldNumber] = field(default_factory=list)
    silent: set[SocketAddress] = field(default_factory=set)

    def __post_init__(self) -> None:
        post = mail_server(self.mail)
        between = timedelta(minutes=15)
        settings = AlertMailSettings(
            self.mail.sender, self.recipients, "Samdrift, prov", between, "samdrift status"
        )
        self.health = Health(lambda: self.now)
        self.watcher = Watcher(
            self.config,
            self.addresses,
            self.fetch,
            AlertMails(settings, post),
            lambda: self.now,
            noted(self.mail, self.health.note),
        )

    async def fetch(self, address: SocketAddress) -> str | None:
        if address in self.silent:
            return None
        registry = CollectorRegistry()
        registry.register(
            Gone([Condition(kind, "", self.now if kind in self.gone else None) for kind in Dependency])
        )
        registry.register(HeldMetrics(lambda: self.held))
        return generate_latest(registry).decode()

    async def minutes(self, number: int) -> None:
        """Look once a minute."""
        for _ in range(number):
            self.now += timedelta(minutes=1)
            await self.watcher.look()

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for _, mail in self.server.mails]

    def content(self, number: int = -1) -> str:
        return str(self.server.mails[number][1].get_content()).replace("\r\n", "\n")


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[TestMailServer]:
    found = TestMailServer(server_tls(identity(tmp_path / "server.pem", localhost(FIRST))).serving())
    async with found.running():
        yield found


@pytest.fixture
def ground(server: TestMailServer, tmp_path: Path) -> Ground:
    return Ground(server, mail_config(server, tmp_path), config_of(tmp_path))


def mail_config(server: TestMailServer, folder: Path) -> MailConfig:
    issuers = write(folder / "trust.pem", FIRST.certificate)
    return MailConfig("localhost", "samdrift@driftbolaget.se", server.port, tls_issuers=issuers)


async def test_a_dependency_that_is_gone_for_its_time_is_mailed_once_and_again_when_it_is_back(
    ground: Ground,
) -> None:
    await ground.minutes(3)
    ground.gone.add(Dependency.SCANNER)
    await ground.minutes(10)
    assert ground.subjects() == []
    await ground.minutes(30)
    assert ground.subjects() == ["Samdrift, prov: 1 larm"]
    assert "Skannern för skadlig kod är borta" in ground.content()
    assert "Sedan 2 november 2026 09:04." in ground.content()
    assert "SamdriftScannerGone (page): docs/runbooks/scanner-down.md" in ground.content()
    assert "The malware scanner is gone" in ground.content()
    ground.gone.clear()
    await ground.minutes(30)
    assert ground.subjects()[1:] == ["Samdrift, prov: över: 1"]
    assert "Från 2 november 2026 09:04 till 2 november 2026 09:44." in ground.content()


async def test_mails_go_on_as_soon_as_a_clock_that_was_ahead_is_right(ground: Ground) -> None:
    ground.gone.add(Dependency.DATABASE)
    ground.now = START + timedelta(days=365)
    await ground.minutes(3)
    assert ground.subjects() == ["Samdrift, prov: 1 larm"]
    ground.now = START
    ground.gone.clear()
    await ground.minutes(1)
    assert ground.subjects()[1:] == ["Samdrift, prov: över: 1"]


async def test_a_condition_that_began_while_the_clock_was_ahead_is_an_alert_after_its_time(
    ground: Ground,
) -> None:
    ground.gone.add(Dependency.SCANNER)
    ground.now = START + timedelta(days=365)
    await ground.minutes(3)
    ground.now = START
    await ground.minutes(10)
    assert ground.subjects() == []
    await ground.minutes(1)
    assert ground.subjects() == ["Samdrift, prov: 1 larm"]
    assert "Sedan 2 november 2026 09:01." in ground.content()


async def test_a_mail_server_tried_while_the_clock_was_ahead_is_tried_again_when_it_is_right(
    ground: Ground,
) -> None:
    ground.now = START + timedelta(days=365)
    await ground.minutes(1)
    ground.server.offers_tls = False
    ground.now = START
    await ground.minutes(1)
    (state,) = ground.health.conditions()
    assert state.reason == f"localhost:{ground.server.port}: it does not offer what is needed"


def test_what_was_counted_while_the_clock_was_ahead_is_no_cause_when_it_is_right() -> None:
    failed = ("samdrift_ap_failed_total", frozenset({("reason", "unreachable")}))
    history, ahead = History(), START + timedelta(days=365)
    history.add(ahead, {failed: 0})
    history.add(ahead + timedelta(minutes=1), {failed: 20})
    assert "SamdriftTransfersFail" in found_by(RULES, history)
    history.add(START, {failed: 20})
    assert "SamdriftTransfersFail" not in found_by(RULES, history)


async def test_changes_are_held_back_and_joined_in_the_next_mail(ground: Ground) -> None:
    ground.gone.add(Dependency.DATABASE)
    await ground.minutes(3)
    assert ground.subjects() == ["Samdrift, prov: 1 larm"]
    for _ in range(3):  # It flaps, and the object store fails with it.
        ground.gone.discard(Dependency.DATABASE)
        await ground.minutes(1)
        ground.gone |= {Dependency.DATABASE, Dependency.OBJECTS}
        await ground.minutes(2)
    assert len(ground.server.mails) == 1
    await ground.minutes(15)
    assert ground.subjects()[1:] == ["Samdrift, prov: 2 larm"]
    assert "En del av det kom och gick flera gånger." in ground.content()
    ground.gone.discard(Dependency.OBJECTS)
    await ground.minutes(20)
    assert ground.subjects()[2:] == ["Samdrift, prov: över: 1"]
    assert "Fortfarande:\n  Databasen är borta" in ground.content()


async def test_what_came_and_went_while_mails_were_held_back_is_told_all_the_same(ground: Ground) -> None:
    ground.gone.add(Dependency.DATABASE)
    await ground.minutes(3)
    ground.gone = {Dependency.KEY_STORE}
    await ground.minutes(3)
    ground.gone.clear()
    await ground.minutes(15)
    assert ground.subjects()[1:] == ["Samdrift, prov: över: 2"]
    assert "Över: Nyckellagret är borta" in ground.content()


async def test_messages_that_are_stuck_are_mailed(ground: Ground) -> None:
    ground.held = [HeldNumber("mt", "not-registered", 4)]
    await ground.minutes(32)
    assert "en registrering i SMP saknas" in ground.content()


async def test_an_installation_that_has_ended_is_mailed_and_nothing_else_is_called_over(
    ground: Ground,
) -> None:
    ground.gone.add(Dependency.DATABASE)
    await ground.minutes(3)
    ground.silent.add(ADDRESS)
    await ground.minutes(30)
    assert ground.subjects()[1:] == ["Samdrift, prov: 1 larm"]
    assert "Samdrift svarar inte" in ground.content()
    assert "Fortfarande:\n  Databasen är borta" in ground.content()


async def test_one_process_of_several_that_falls_silent_is_mailed_and_an_address_never_used_is_not(
    server: TestMailServer, tmp_path: Path
) -> None:
    never = SocketAddress("127.0.0.1", 9102)
    ground = Ground(
        server,
        mail_config(server, tmp_path),
        config_of(tmp_path),
        addresses=(ADDRESS, OTHER, never),
        silent={never},
    )
    await ground.minutes(10)
    assert ground.subjects() == []
    ground.silent.add(OTHER)
    await ground.minutes(4)
    assert "Samdrift svarar inte" in ground.content()


async def test_little_room_on_a_disk_is_mailed(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "objects").mkdir()
    left = {"free": 50}

    def room(_: object) -> Any:
        return SimpleNamespace(f_bavail=left["free"], f_frsize=1 << 30, f_blocks=100, f_favail=9, f_files=10)

    monkeypatch.setattr(os, "statvfs", room)
    await ground.minutes(12)
    assert ground.subjects() == []
    left["free"] = 9
    await ground.minutes(12)
    assert "Ont om plats på disken: objects" in ground.content()
    left["free"] = 1
    await ground.minutes(20)
    assert "Nästan ingen plats kvar på disken: objects" in ground.content()
    assert str(tmp_path) not in ground.content()


async def test_a_mail_server_that_is_gone_is_a_state_with_a_reason_and_loses_no_mail(
    server: TestMailServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ground = Ground(server, mail_config(server, tmp_path), config_of(tmp_path))
    server.refuse = b"450 try later"
    ground.gone.add(Dependency.DATABASE)
    await ground.minutes(5)
    (state,) = ground.health.conditions()
    reason = f"localhost:{server.port}: status 450"
    assert (state.dependency, state.at, state.reason) == ("mail", "localhost", reason)
    server.refuse = b""
    await ground.minutes(1)
    assert ground.subjects() == ["Samdrift, prov: 1 larm"]
    (state,) = ground.health.conditions()
    assert state.gone_since is None
    lines = [record.getMessage() for record in caplog.records if record.name == "samdrift"]
    assert [re.sub(r"\d{4}-.+Z|\d+ s", "…", line) for line in lines] == [
        f"mail localhost: gone since …: {reason}",
        "mail localhost: back after …",
    ]


async def test_a_mail_server_that_is_gone_is_known_before_it_is_needed(ground: Ground) -> None:
    await ground.minutes(1)
    ground.server.offers_tls = False
    await ground.minutes(11)
    (state,) = ground.health.conditions()
    assert state.reason == f"localhost:{ground.server.port}: it does not offer what is needed"


async def test_an_address_that_is_refused_keeps_no_other_from_its_mail_and_is_not_in_the_log(
    server: TestMailServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ground = Ground(server, mail_config(server, tmp_path), config_of(tmp_path), recipients=(SECOND, OPERATOR))
    original = ground.watcher.mails._server.send

    async def send(mail: EmailMessage, recipient: str) -> None:
        server.refuse = b"550 unknown" if recipient == SECOND else b""
        await original(mail, recipient)

    ground.watcher.mails._server.send = send  # type: ignore[method-assign]
    ground.gone.add(Dependency.DATABASE)
    await ground.minutes(5)
    assert [recipient for recipient, _ in server.mails] == [OPERATOR]
    assert "address 1 of alerts.mail_to: the mail server refuses the mail (status 550)" in caplog.text
    assert SECOND not in caplog.text


async def test_no_mail_says_anything_but_what_rules_are_about(ground: Ground) -> None:
    """A metric of waiting items has a planted word as its role and reason, which must not be mailed."""
    ground.held = [HeldNumber(WORD, WORD, 4), HeldNumber(WORD, "lock", 2)]
    ground.gone |= set(Dependency)
    await ground.minutes(90)
    for recipient, mail in ground.server.mails:
        assert recipient == OPERATOR
        assert WORD not in mail.as_string()
        assert mail["Auto-Submitted"] == "auto-generated"


async def test_metrics_are_read_from_the_address_where_they_are_served() -> None:
    registry = CollectorRegistry()
    registry.register(Gone([Condition(Dependency.DATABASE, "", START)]))
    application = metrics_application(registry, nothing_to_measure)
    async with http_client(public_only=False) as client:
        fetch = metrics_of(client)
        with listening_socket("127.0.0.1") as sock:
            address = SocketAddress("127.0.0.1", sock.getsockname()[1])
            async with serving(application, sock):
                assert 'samdrift_dependency_gone{dependency="database"} 1.0' in str(await fetch(address))
        assert await fetch(address) is None


def test_every_address_of_metrics_is_looked_at_once() -> None:
    assert addresses_of(MetricsConfig(ADDRESS)) == (ADDRESS,)
    assert addresses_of(MetricsConfig(ADDRESS, listen_mt=OTHER)) == (ADDRESS, OTHER)


@pytest.mark.parametrize(
    ("change", "state", "found"),
    [
        (lambda server: None, State.OK, "answers, by TLS that is verified"),
        (lambda server: setattr(server, "offers_tls", False), State.FAIL, "it does not offer what is needed"),
    ],
    ids=["there", "without tls"],
)
async def test_the_doctor_looks_at_the_mail_server(
    ground: Ground, change: Callable[[TestMailServer], None], state: State, found: str
) -> None:
    change(ground.server)
    config = SimpleNamespace(mail=ground.mail)
    finding = await check_mail(config)  # type: ignore[arg-type]
    assert (finding.id, finding.state) == ("mail", state)
    assert finding.found == f"localhost:{ground.server.port}{' ' if state is State.OK else ': '}{found}"
