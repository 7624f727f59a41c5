"""The test bed on this machine, with an access point of ours to be tested."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

from samdrift.app.config import Config
from samdrift.app.demo.cast import DemoOperator, DemoOrganisation
from samdrift.app.demo.enrolment import EnrolledOperator, enrol
from samdrift.app.operator import Operator, connect_access_point, running
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.transfer import AccessPoint
from samdrift.federation.directory import FunctionalAddress
from samdrift.federation.server import LocalFederation
from samdrift.federation.server import running as federation_running
from samdrift.federation.testbed.bed import Bed
from samdrift.federation.testbed.parties import Evidence, OrganisationKeys, Subject
from samdrift.federation.testbed.setup import prepared
from samdrift.net.http import http_client
from samdrift.net.post import Answered, post
from samdrift.net.tls import client_tls
from samdrift.wire.identifiers import ParticipantIdentifier

_TESTED = DemoOrganisation(
    ParticipantIdentifier("0203:testdeltagare.example.se"),
    "Testdeltagare",
    "2021006883",
    FunctionalAddress("sdk.test.0203:testdeltagare.example.se", "Test"),
)
_OPERATOR = DemoOperator("access-point", "AP0001-SDK-DEMO", (_TESTED,))
_WORKER = Principal(PrincipalKind.WORKER, "testbed")
_ANSWER_WITHIN = 120.0


@asynccontextmanager
async def local_bed(folder: Path) -> AsyncIterator[Bed]:
    """A federation, an access point with one participant, and the test bed around it, in ``folder``."""
    async with AsyncExitStack() as stack:
        federation = await stack.enter_async_context(federation_running(folder / "federation"))
        enrolled = await enrol(federation, _OPERATOR, folder / _OPERATOR.folder)
        config = _impatient(enrolled.config)
        operator = await stack.enter_async_context(running(config, frozenset({Role.ACCESS_POINT})))
        organisation = config.organisations[0]
        access_point = await connect_access_point(stack, organisation, operator.gate, config)
        subject = await _subject(federation, enrolled, operator, access_point)
        encryption = subject.keys.decryption.certificate
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

        yield await stack.enter_async_context(
            prepared(federation, folder / "testbed", subject, encryption, send)
        )


def _impatient(config: Config) -> Config:
    """Two attempts, a second apart: a test of what happens when they are used up need not take long."""
    assert config.access_point is not None
    return replace(config, access_point=replace(config.access_point, attempts=2, interval_seconds=1))


async def _subject(
    federation: LocalFederation, enrolled: EnrolledOperator, operator: Operator, access_point: AccessPoint
) -> Subject:
    async with operator.gate.open(
        _WORKER, _TESTED.identifier, Role.MESSAGE_SERVICE, Purpose.MAINTAIN
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
        evidence=_log_of(operator),
    )


def _log_of(operator: Operator) -> Evidence:
    """Reads what the organisation's log and the operator's say about an identifier."""

    async def said(identifier: str) -> str:
        async with operator.gate.open(_WORKER, _TESTED.identifier, Role.ACCESS_POINT, Purpose.TRACE) as vault:
            entries = list(await vault.find_log(identifier))
        entries += [
            entry for entry in await operator.gate.read_operator_log() if identifier in entry.ids.values()
        ]
        return "; ".join(
            " ".join([entry.event, entry.ids.get("reason", ""), entry.ids.get("detail", "")]).strip()
            for entry in entries
        )

    return said
