"""The test bed on this machine, with an access point of ours to be tested."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from samdrift.config.model import Config, SocketAddress
from samdrift.contracts import workers
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import AccessPoint
from samdrift.demo.cast import DemoOperator, DemoOrganisation
from samdrift.demo.enrolment import EnrolledOperator, enrol
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.federation.testbed.bed import Bed
from samdrift.federation.testbed.parties import Evidence, OrganisationKeys, Subject
from samdrift.federation.testbed.setup import prepared
from samdrift.installation.accesspoints import connected
from samdrift.installation.operator import running
from samdrift.installation.vaultsettings import vault_settings
from samdrift.net.client import Answered, http_client, post
from samdrift.net.tls import client_tls
from samdrift.vault.gate import Gate
from samdrift.wire.identifiers import ParticipantIdentifier

_TESTED = DemoOrganisation(
    ParticipantIdentifier("0203:testdeltagare.example.se"),
    "Testdeltagare",
    "2021006883",
    FunctionalAddress("sdk.test.0203:testdeltagare.example.se", "Test"),
)
_OPERATOR = DemoOperator("access-point", "AP0001-SDK-DEMO", (_TESTED,))
_ANSWER_WITHIN = 120.0
_START_WITHIN = 30.0


@asynccontextmanager
async def local_bed(folder: Path) -> AsyncIterator[Bed]:
    """Run a federation, an access point with one participant, and the test bed around it, in ``folder``."""
    async with federation_running(folder / "federation") as federation:
        enrolled = await enrol(federation, _OPERATOR, folder / _OPERATOR.folder)
        config = _impatient(enrolled.config)
        async with (
            running(config, frozenset({Role.ACCESS_POINT})),
            _gate(config) as gate,
            _bed(federation, enrolled, config, gate, folder) as bed,
        ):
            yield bed


@asynccontextmanager
async def separate_bed(folder: Path) -> AsyncIterator[tuple[Bed, int]]:
    """Run the same with the access point in a separate process; also yield its process id."""
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        enrolled = await enrol(federation, _OPERATOR, folder / _OPERATOR.folder)
        pid = await stack.enter_async_context(served(enrolled))
        gate = await stack.enter_async_context(_gate(enrolled.config))
        yield (
            await stack.enter_async_context(_bed(federation, enrolled, enrolled.config, gate, folder)),
            pid,
        )


@asynccontextmanager
async def _gate(config: Config) -> AsyncIterator[Gate]:
    """Open the test bed's own gate: the access point under test opens no vault of a message service."""
    gate = await Gate.start(vault_settings(config))
    try:
        yield gate
    finally:
        await gate.close()


@asynccontextmanager
async def served(enrolled: EnrolledOperator) -> AsyncIterator[int]:
    """Run an operator's access point in a separate process while the context lasts; yield its process id."""
    own = enrolled.config.access_point
    assert own is not None
    command = [
        sys.executable,
        "-m",
        "samdrift.cli.main",
        "serve",
        "ap",
        "--config",
        str(enrolled.config_file),
    ]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(_START_WITHIN):
            await _until_listening(own.listen_c)
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _until_listening(address: SocketAddress) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(address.host, address.port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


@asynccontextmanager
async def _bed(
    federation: LocalFederation, enrolled: EnrolledOperator, config: Config, gate: Gate, folder: Path
) -> AsyncIterator[Bed]:
    async with AsyncExitStack() as stack:
        access_point = await connected(stack, config.organisations[0], gate, config)
        subject = await _subject(federation, enrolled, gate, access_point)
        client = await stack.enter_async_context(
            http_client(client_tls(None, config.federation.tls_issuers), public_only=False)
        )

        async def send(address: str, content_type: str, body: bytes) -> Answered:
            return await post(
                client,
                address,
                body,
                content_type=content_type,
                content_length=len(body),
                within=_ANSWER_WITHIN,
            )

        encryption = subject.keys.decryption.certificate
        yield await stack.enter_async_context(
            prepared(federation, folder / "testbed", subject, encryption, send)
        )


def _impatient(config: Config) -> Config:
    """Return the configuration with two attempts, a second apart, so that tests need not wait long."""
    assert config.access_point is not None
    return replace(config, access_point=replace(config.access_point, attempts=2, interval_seconds=1))


async def _subject(
    federation: LocalFederation, enrolled: EnrolledOperator, gate: Gate, access_point: AccessPoint
) -> Subject:
    async with gate.open(
        workers.TESTBED, _TESTED.identifier, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
    ) as vault:
        keys = vault.keys()
    return Subject(
        participant=_TESTED.identifier,
        mailbox=_TESTED.mailbox.identifier,
        keys=OrganisationKeys(keys.signing, keys.decryption[0]),
        interface_c=access_point,
        party=enrolled.demo.party,
        as4_address=enrolled.as4_address,
        certificate=enrolled.certificate,
        federation=federation.identifier,
        evidence=_log_of(gate),
    )


def _log_of(gate: Gate) -> Evidence:
    """Return a function that reads log entries about an identifier, the organisation's and the operator's."""

    async def said(identifier: str) -> str:
        async with gate.open(workers.TESTBED, _TESTED.identifier, Role.ACCESS_POINT, Purpose.TRACE) as vault:
            entries = list(await vault.find_log(identifier))
        entries += [entry for entry in await gate.read_operator_log() if identifier in entry.ids.values()]
        return "; ".join(
            " ".join([entry.event, entry.ids.get("reason", ""), entry.ids.get("detail", "")]).strip()
            for entry in entries
        )

    return said
