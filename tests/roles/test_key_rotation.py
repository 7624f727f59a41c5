"""Replacement of every key of an organisation by commands, while messages flow both ways (R7).

It uses an operator of its own, because the replacements would disturb other tests.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from typer.testing import CliRunner

from samdrift.administration.events import AdminEvent
from samdrift.audit.entries import LogEntry
from samdrift.cli.org import app
from samdrift.cli.org.events import OrgEvent
from samdrift.config.errors import Unusable
from samdrift.config.malware import MalwareConfig
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import SYSTEM, enrol
from samdrift.federation.authority import Applicant
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.shapes import Use
from samdrift.installation.operator import running
from samdrift.keystore.custody import Custodians
from samdrift.messageservice.events import MTEvent
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.smp import PublishedCertificates
from tests import pki
from tests.roles.member import MT, Member
from tests.roles.stage import Stage, hasty, member_of, no_patience_with_dns
from tests.secretfiles import secret_file
from tests.unit.cli.commandline import Ended, in_process
from tests.vaults import CHEAP, server_folder

pytestmark = pytest.mark.usefixtures("files_looked_at_always")

NASSJO = DemoOrganisation(
    ParticipantIdentifier("0203:nassjo.se"),
    "Nässjö kommun",
    "2120000571",
    FunctionalAddress("sdk.registrator.0203:nassjo.se", "Registrator"),
)
OPERATOR = DemoOperator("operator-f", "AP0007-SDK-DEMO", (NASSJO,))
WORDS = {"anna": b"a long row of words", "bo": b"quite another row"}
USES = {"signing": Use.SIGNING, "encryption": Use.ENCRYPTION}
ALL = {**USES, "tls-client": None, "log-signing": Use.SIGNING}


@dataclass
class Place:
    """The operator with its organisation, and the operator's commands."""

    stage: Stage
    folder: Path
    nassjo: Member

    async def org(self, *arguments: str) -> str:
        """Run a command on the running installation; return its output."""

        def run() -> str:
            ended = CliRunner().invoke(app, [*arguments, "--config", str(self.folder / "samdrift.toml")])
            if ended.exception is not None and not isinstance(ended.exception, SystemExit):
                raise ended.exception
            return ended.stdout

        return await asyncio.to_thread(run)

    async def keys(self, command: str, *arguments: str) -> str:
        return await self.org("keys", command, NASSJO.identifier.value, *arguments)

    @property
    def two(self) -> tuple[str, ...]:
        """Return options for two custodians at the terminal."""
        files = {name: self.folder / f"{name}.txt" for name in WORDS}
        return (
            *("--by", "anna", "--by-passphrase-file", str(files["anna"])),
            *("--with", "bo", "--with-passphrase-file", str(files["bo"])),
        )

    async def listed(self, key: str) -> list[tuple[Any, ...]]:
        rows = json.loads(await self.keys("list", "--json"))["keys"]
        return [(row["number"], row["state"]) for row in rows if row["key"] == key]

    async def certified(self, key: str) -> Path:
        """Create the next key and have it certified; return the file with its certificate."""
        return self.certificate(key, (await self.keys("create", key, *self.two)).encode())

    def certificate(self, key: str, request: Applicant) -> Path:
        """Have a key certified; return the file with the certificate."""
        authority = self.stage.federation.authority
        if (use := ALL[key]) is None:
            certificate = authority.issue_tls_client(SYSTEM, request, organisation=NASSJO.name)
        else:
            certificate = authority.issue_organisation(
                NASSJO.identifier, NASSJO.name, request, use, organisation_number=NASSJO.number
            )
        file = self.folder / f"{key}.pem"
        file.write_bytes(certificate.public_bytes(Encoding.PEM))
        return file

    async def publish(self) -> None:
        """Publish the organisation's certificates, as the federation's administrator does."""
        handed_in = json.loads(await self.keys("publish"))
        found: dict[str, list[x509.Certificate]] = {"signing": [], "encryption": []}
        for one in handed_in["certificates"]:
            found[one["use"]].append(x509.load_pem_x509_certificate(one["pem"].encode()))
        certificates = PublishedCertificates(tuple(found["signing"]), tuple(found["encryption"]))
        services = self.stage.federation.smp.services(NASSJO.identifier)
        self.stage.federation.publish([replace(one, certificates=certificates) for one in services])

    def registers(self, file: Path) -> None:
        """Register a client of interface C with its next certificate in addition."""
        config = self.folder / "samdrift.toml"
        new = fingerprint(x509.load_pem_x509_certificate(file.read_bytes()))
        config.write_text(config.read_text().replace("clients = { ", f'clients = {{ "next" = "{new}", '))

    async def logged(self) -> list[LogEntry]:
        """Return the organisation's log entries about its keys and custodians' approvals."""
        async with self.nassjo.open(MT) as vault:
            entries = await vault.log(limit=100_000)
        return [entry for entry in entries if entry.event.startswith(("keys:", "custody:"))]

    async def refusal(self, command: str, *arguments: str) -> str:
        with pytest.raises(Unusable) as caught:
            await self.keys(command, *arguments)
        return str(caught.value)

    async def signs_with(self) -> x509.Certificate:
        return (await self.nassjo.signing()).certificate


@pytest_asyncio.fixture(scope="module")
async def place(stage: Stage) -> AsyncIterator[Place]:
    with server_folder() as folder:
        enrolled = await enrol(stage.federation, OPERATOR, folder)
        for name, passphrase in WORDS.items():
            secret_file(folder / f"{name}.txt", passphrase)
            Custodians(enrolled.config.vaults.secrets, cost=CHEAP).add(name, passphrase)
        async with running(hasty(enrolled.config, MalwareConfig(None))) as run:
            yield Place(stage, folder, member_of(stage.federation, run, NASSJO))


async def test_r7_every_key_is_replaced_during_traffic_and_no_message_is_lost(place: Place) -> None:
    nassjo, agency = place.nassjo, place.stage.agency
    sent: list[tuple[Member, Member, str]] = []
    over = asyncio.Event()

    async def traffic(sender: Member, recipient: Member) -> None:
        while not over.is_set():
            sent.append((sender, recipient, await sender.send(recipient.address)))
            await asyncio.sleep(0.2)

    async def more(count: int = 2) -> None:
        """Wait until that many more messages have been sent in each direction."""
        before = len(sent)
        while len(sent) < before + 2 * count:
            await asyncio.sleep(0.02)

    async def rotation() -> None:
        await more()
        signing, encryption, client = [await place.certified(key) for key in (*USES, "tls-client")]
        await place.keys("install", "encryption", str(encryption))
        await place.keys("install", "signing", str(signing), "--from", later())
        assert await place.listed("signing") == [(2, "planned"), (1, "in use")]
        await place.publish()
        place.registers(client)
        await place.keys("install", "tls-client", str(client))
        await more()
        former = await place.signs_with()
        await place.keys("activate", "signing", "2")
        assert await place.signs_with() == x509.load_pem_x509_certificate(signing.read_bytes()) != former
        await place.keys("rotate-data-key", "--rewrap")
        await more()

    async def rotated() -> None:
        try:
            await rotation()
        finally:
            over.set()

    await asyncio.gather(traffic(agency, nassjo), traffic(nassjo, agency), rotated())
    await accepted(sent)
    await place.publish()
    for key in (*USES, "tls-client"):
        await place.keys("retire", key, "1", *place.two)
        assert await place.listed(key) == [(2, "in use")]
    last = [
        (sender, recipient, await sender.send(recipient.address))
        for sender, recipient in ((nassjo, agency), (agency, nassjo))
    ]
    await accepted(last)
    first = next(message_id for _, recipient, message_id in sent if recipient is nassjo)
    assert await nassjo.reads(first), "messages sealed with the former data key must stay readable"
    events = [entry.event for entry in await place.logged()]
    for event in (OrgEvent.KEYS_CREATED, OrgEvent.KEYS_INSTALLED, AdminEvent.KEYS_RETIRED):
        assert events.count(event) == 3
    assert events.count(AdminEvent.CUSTODY_AGREED) == 6
    assert {OrgEvent.KEYS_ACTIVATED, OrgEvent.KEYS_DATA_KEY_ROTATED} < {*events}


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


async def accepted(sent: list[tuple[Member, Member, str]]) -> None:
    """Check that each message was accepted and reached its recipient."""
    for sender, recipient, message_id in sent:
        assert await sender.ends(message_id) is MessageStatus.ACCEPTED
        assert await recipient.ends(message_id, Direction.IN) is MessageStatus.NEW


async def test_a_certificate_that_cannot_be_used_is_refused_with_every_reason(place: Place) -> None:
    await place.keys("create", "signing", *place.two)
    wrong = x509.load_pem_x509_certificate((place.folder / "tls-client.pem").read_bytes())
    file = place.folder / "wrong.pem"
    file.write_bytes(wrong.public_bytes(Encoding.PEM))
    before = await place.listed("signing")
    assert await place.refusal("install", "signing", str(file)) == (
        "the certificate cannot be used: it does not belong to any key waiting for a certificate here;"
        " it or its key is already in use here;"
        " it was not issued by an issuer trusted for this"
    )
    assert await place.listed("signing") == before
    assert await place.refusal("install", "signing", str(place.folder / "none.pem")) == (
        f"{place.folder / 'none.pem'}: no such file or directory"
    )
    number = str(before[0][0])
    await place.keys("retire", "signing", number, *place.two)
    assert await place.listed("signing") == before[1:]


async def test_a_key_whose_certificate_smp_still_names_is_destroyed_only_when_that_is_said(
    place: Place,
) -> None:
    """Otherwise peers would encrypt for a destroyed key, or distrust its owner's signatures."""
    file = await place.certified("encryption")
    await place.keys("install", "encryption", str(file))
    before = await place.listed("encryption")
    (number,) = [str(number) for number, state in before if state == "old"]
    logged = await place.logged()
    named = await place.refusal("retire", "encryption", number, *place.two)
    assert named.startswith("SMP names its certificate for 0203:nassjo.se (urn:")
    assert named.endswith(": replace it there first, or destroy the key anyway with --anyway")
    assert (await place.listed("encryption"), await place.logged()) == (before, logged)
    text = await place.refusal("retire", "encryption", number, *place.two[:4], "--anyway")
    assert "for good, although SMP names its certificate" in text, (
        "the other custodian must see this before approving"
    )
    await place.keys("retire", "encryption", number, *place.two, "--anyway")
    entry = (await place.logged())[-1]
    assert (entry.event, entry.ids["number"]) == (AdminEvent.KEYS_RETIRED, number)
    assert entry.ids["anyway"].startswith("SMP names its certificate")
    await place.publish()


async def test_a_key_is_not_destroyed_while_smp_cannot_be_asked(place: Place) -> None:
    file = await place.certified("signing")
    await place.keys("install", "signing", str(file))
    await place.publish()
    whole = place.folder / "samdrift.toml"
    reached = whole.read_text()
    (old,) = [str(number) for number, state in await place.listed("signing") if state == "old"]
    try:
        whole.write_text(re.sub(r'name_servers = \["[^"]*"\]', 'name_servers = ["127.0.0.1:9"]', reached))
        with no_patience_with_dns():
            unknown = await place.refusal("retire", "signing", old, *place.two)
    finally:
        whole.write_text(reached)
    named = "it is unknown whether SMP names its certificate for 0203:nassjo.se"
    assert unknown.startswith(f"{named}: SML did not answer")
    assert old in [str(number) for number, _ in await place.listed("signing")]
    await place.keys("retire", "signing", old, *place.two)
    assert old not in [str(number) for number, _ in await place.listed("signing")]


async def test_the_access_points_key_is_not_destroyed_while_smp_names_its_certificate(place: Place) -> None:
    config = ("--config", place.folder / "samdrift.toml")

    async def ended(*arguments: str | Path) -> Ended:
        return await asyncio.to_thread(in_process, "keys", *arguments, *config)

    request = (await ended("request", "access-point")).output.encode()
    new = place.stage.federation.authority.issue_access_point(OPERATOR.party, request)
    file = place.folder / "access-point.pem"
    file.write_bytes(new.public_bytes(Encoding.PEM))
    assert (await ended("install", "access-point", file)).status == 0
    refused = await ended("retire", "access-point", "1")
    assert (refused.status, "SMP names its certificate for 0203:nassjo.se" in refused.complaints) == (2, True)
    services = place.stage.federation.smp.services(NASSJO.identifier)
    place.stage.federation.publish(
        replace(one, endpoints=tuple(replace(each, certificate=new) for each in one.endpoints))
        for one in services
    )
    retired = await ended("retire", "access-point", "1")
    assert retired.status == 0, retired.complaints


async def test_one_person_makes_no_key_until_another_one_approves(place: Place) -> None:
    alone = place.two[:4]
    before = await place.listed("log-signing")
    text = await place.refusal("create", "log-signing", *alone)
    assert text.startswith("asked, not done yet: make a new log-signing key of 0203:nassjo.se.")
    assert await place.listed("log-signing") == before


async def test_a_backup_names_its_custodians_in_the_log_and_replaces_no_keys(place: Place) -> None:
    out = place.folder / "backup"
    printed = await place.keys("backup", "--out", str(out), *place.two)
    entry = (await place.logged())[-1]
    assert (entry.event, entry.ids["first"], entry.ids["second"]) == (AdminEvent.KEYS_BACKED_UP, "anna", "bo")
    assert entry.ids["backup"] in printed
    by, other = place.two[3], place.two[7]
    with pytest.raises(Unusable) as caught:
        await place.org(
            "keys", "restore", str(out), "--by-passphrase-file", by, "--with-passphrase-file", other
        )
    assert str(caught.value) == "the keys of that organisation are here: there is nothing to restore"
    with pytest.raises(Unusable) as caught:
        await place.org("keys", "restore", str(out), "--by-passphrase-file", by, "--with-passphrase-file", by)
    assert "one of the passphrases is wrong" in str(caught.value)


async def test_nobody_agrees_to_destroy_the_key_in_use_and_no_log_says_that_it_was(place: Place) -> None:
    before = await place.logged()
    (number,) = [number for number, state in await place.listed("encryption") if state == "in use"]
    assert "before it is retired" in await place.refusal("retire", "encryption", str(number), *place.two)
    assert await place.logged() == before


async def test_the_list_ends_with_1_when_a_key_is_missing(place: Place) -> None:
    config = place.folder / "samdrift.toml"
    arguments = ("org", "keys", "list", NASSJO.identifier.value, "--config", config)
    assert (await asyncio.to_thread(in_process, *arguments)).status == 0
    await place.keys("revoke", "log-signing", "1", "--reason", "the laptop was stolen")
    ended = await asyncio.to_thread(in_process, *arguments)
    assert ended.status == 1
    assert re.search(r"log-signing .*missing .*no key of this name is in use", ended.output)
    assert "the laptop was stolen" in ended.output
    await place.keys("publish", "--text", "--out", str(place.folder / "text.txt"))
    text = (place.folder / "text.txt").read_text()
    digest = fingerprint(await place.signs_with()).upper()
    assert " ".join(digest[at : at + 4] for at in range(0, 32, 4)) in text


async def test_while_no_signing_key_is_in_use_messages_wait_and_go_on_with_the_next_one(place: Place) -> None:
    nassjo, agency = place.nassjo, place.stage.agency
    number = str((await place.listed("signing"))[0][0])
    printed = await place.keys("revoke", "signing", number, "--reason", "lost", "--compromised")
    assert "no key of this name is in use now" in printed
    message_id = await nassjo.send(agency.address)
    await nassjo.logged(MT, message_id, MTEvent.MT_MESSAGE_HELD)
    await place.keys("install", "signing", str(await place.certified("signing")), "--from", later())
    await place.publish()
    await place.keys("activate", "signing", str((await place.listed("signing"))[1][0]))
    assert await nassjo.ends(message_id) is MessageStatus.ACCEPTED


async def test_all_keys_that_an_organisation_lacks_take_two_commands(place: Place) -> None:
    """Revoked ones are replaced like those of a new organisation; pending and active keys are not touched."""
    for key in ALL:
        for number, state in await place.listed(key):
            if state in ("in use", "waits for its certificate"):
                await place.keys("revoke", key, str(number), "--reason", "superseded")
    requests = place.folder / "requests"
    create = ("create-all", "--out", str(requests), *place.two)
    files = {key: requests / f"{key}.request.pem" for key in ALL}
    printed = (await place.keys(*create)).splitlines()
    assert printed[:-1] == list(map(str, files.values()))
    assert f"org keys install-all {NASSJO.identifier} " in printed[-1]
    assert "every key has been made" in await place.refusal(*create)
    foreign = place.certificate("signing", pki.key(3, 3072).public_key())
    certified = [str(place.certificate(key, files[key].read_bytes())) for key in ALL if key != "signing"]
    assert await place.refusal("install-all", *certified, str(foreign)) == (
        f"{foreign}: the certificate cannot be used:"
        " it does not belong to any key waiting for a certificate here"
    )
    for key in ALL:
        assert (0, "in use") not in enumerate(state for _, state in await place.listed(key))
    signing = str(place.certificate("signing", files["signing"].read_bytes()))
    installed = (await place.keys("install-all", *certified)).splitlines()
    assert installed[0].startswith("encryption: decrypts ")
    installed = (await place.keys("install-all", signing, *certified)).splitlines()
    assert installed[0].startswith("signing: signs ")
    assert installed[-3:] == [f"{file}: is installed already" for file in certified]
    for key in ALL:
        assert (await place.listed(key))[0][1] == "in use"
