"""Life cycle of an organisation among others: ready or not, and suspended without any loss."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.administration.administration import Administration
from samdrift.administration.checklist import State, checklist, ready
from samdrift.administration.readiness import asking, gather
from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent
from samdrift.cli.org.events import OrgEvent
from samdrift.contracts.discovery import DiscoveryUnavailable, SharedService
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.incoming import polling
from samdrift.net.clock import system_clock
from samdrift.vault.events import VaultEvent
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from samdrift.wire.smp import ServiceMetadata
from tests.roles.member import AP, MT, Member, until
from tests.roles.messageclient import document
from tests.roles.stage import Stage


@asynccontextmanager
async def administered(member: Member) -> AsyncIterator[Administration]:
    """Open its operator's running installation for administration."""
    settings = vault_settings(member.config)
    keys = open_keys(settings)
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        yield Administration(member.config, keys, provisioner, member.operator.gate)
    finally:
        await provisioner.close()


@asynccontextmanager
async def suspended(member: Member, *roles: Role) -> AsyncIterator[None]:
    """Suspend the organisation in those roles while the context lasts."""
    async with administered(member) as installation:

        async def bring(state: RegistrationState, event: AuditEvent) -> None:
            happening = Happening(system_clock(), event, "operator:anna", "administer", {"why": "a test"})
            for role in roles:
                await installation.provisioner.set_state(member.organisation, role, state, happening)
            served = state is RegistrationState.ACTIVE
            registry = member.operator.gate.registry

            async def look() -> bool | None:
                return all(registry.serves(member.organisation, role) is served for role in roles) or None

            await until(look, "the gate has heard")

        await bring(RegistrationState.SUSPENDED, VaultEvent.ORGANISATION_SUSPENDED)
        try:
            yield
        finally:
            await bring(RegistrationState.ACTIVE, OrgEvent.ORGANISATION_RESUMED)


class Silent:
    """An SML that does not answer."""

    async def service(self, participant: object, document: object) -> ServiceMetadata:
        raise DiscoveryUnavailable("SML gave no answer", SharedService.SML)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pause before the message service polls an access point again after a failure."""
    monkeypatch.setattr(polling, "_PAUSE", timedelta(seconds=0.2))


async def test_what_peers_send_to_a_suspended_organisation_is_asked_for_again_and_taken_later(
    stage: Stage,
) -> None:
    peer = stage.peer()
    envelope = peer.encloses(stage.habo)
    message_id, packed = peer.packs(envelope, stage.habo)
    async with suspended(stage.habo, AP):
        posted = await peer.repeats(message_id, packed, stage.habo)
        assert posted.answer.status == 503
        other = await peer.posts(peer.encloses(stage.mullsjo), stage.mullsjo)
        assert other.is_receipt_of(stage.mullsjo.certificate)
    assert (await peer.repeats(message_id, packed, stage.habo)).is_receipt_of(stage.habo.certificate)
    await stage.habo.reaches(envelope.id, MessageStatus.NEW, Direction.IN)


async def test_a_message_to_a_suspended_message_service_waits_at_its_access_point(stage: Stage) -> None:
    async with suspended(stage.habo, MT):
        message = await stage.mullsjo.send(stage.habo.address)
        await stage.mullsjo.logged(AP, message, APEvent.AP_TRANSFER_DELIVERED)
        assert message in {item.envelope_id for item in await stage.habo.waiting()}
    assert await stage.mullsjo.ends(message) is MessageStatus.ACCEPTED


async def test_what_a_suspended_organisation_has_sent_goes_on_when_it_is_resumed(stage: Stage) -> None:
    async with suspended(stage.habo, AP):
        message = await stage.habo.send(stage.mullsjo.address)
        await stage.habo.logged(MT, message, MTEvent.MT_MESSAGE_SCHEDULED)
        record = await stage.habo.record(message, Direction.OUT)
        assert record is not None
        assert record.status is MessageStatus.SCHEDULED
    assert await stage.habo.ends(message) is MessageStatus.ACCEPTED


async def test_message_clients_of_a_suspended_organisation_are_told_to_come_again(stage: Stage) -> None:
    client = stage.client(stage.habo)
    letter = document(stage.habo.address, stage.mullsjo.address)
    async with suspended(stage.habo, MT):
        for answer in (await client.send(letter), await client.list()):
            assert answer.status == 503
            assert b"suspended" in answer.body
        assert (await stage.client(stage.mullsjo).list()).status == 200
    assert await stage.habo.ends(await client.sends(letter)) is MessageStatus.ACCEPTED


async def test_both_logs_say_who_suspended_and_resumed_and_why(stage: Stage) -> None:
    async with suspended(stage.mullsjo, AP):
        pass
    async with stage.mullsjo.open(AP) as vault:
        own = [entry for entry in await vault.log(limit=100_000) if entry.event.startswith("org:")]
    assert [(each.event, each.principal, each.ids) for each in own[-2:]] == [
        (VaultEvent.ORGANISATION_SUSPENDED, "operator:anna", {"why": "a test"}),
        (OrgEvent.ORGANISATION_RESUMED, "operator:anna", {"why": "a test"}),
    ]
    log = await stage.mullsjo.operator.gate.read_operator_log(limit=100_000)
    told = [each for each in log if each.event == OrgEvent.ORGANISATION_RESUMED]
    assert told[-1].ids == {"why": "a test", "role": "ap", "organisation": stage.mullsjo.organisation.value}


async def test_an_organisation_of_the_federation_is_ready_when_everything_agrees(stage: Stage) -> None:
    organisation = stage.agency.organisation
    async with administered(stage.agency) as installation:
        async with asking(stage.agency.config, system_clock()) as federation:
            facts = await gather(installation, organisation, federation, system_clock())
        items = checklist(facts)
        soon = [item for item in items if item.state is not State.DONE]
        assert [(item.name, item.state) for item in soon] == [
            (f"agreements {role.value}", State.SOON) for role in (AP, MT)
        ]
        assert all("one inherited agreement" in item.text for item in soon)
        assert ready(items)
        offline = checklist(await gather(installation, organisation, None, system_clock()))
        unknown = {item.name for item in offline if item.state is State.NOT_CHECKED}
        assert unknown == {"SMP", "address book"}
        assert not ready(offline)


async def test_services_that_cannot_be_reached_leave_nothing_passed(stage: Stage) -> None:
    config = stage.agency.config
    assert config.address_book is not None
    nowhere = replace(config.address_book, url="https://127.0.0.1:1/addressbook")
    async with (
        administered(stage.agency) as installation,
        asking(replace(config, address_book=nowhere), system_clock()) as services,
    ):
        silent = replace(services, discovery=Silent())
        items = checklist(await gather(installation, stage.agency.organisation, silent, system_clock()))
    unknown = {item.name for item in items if item.state is State.NOT_CHECKED}
    assert unknown == {"SMP message", "SMP receipt", "address book"}


async def test_one_that_nobody_knows_is_not_registered_and_not_listed(stage: Stage) -> None:
    nobody = ParticipantIdentifier.parse("0203:ny.se")
    async with (
        administered(stage.agency) as installation,
        asking(stage.agency.config, system_clock()) as federation,
    ):
        facts = await gather(installation, nobody, federation, system_clock(), tuple(Role))
    missing = {item.name for item in checklist(facts) if item.state is State.MISSING}
    assert {"configuration", "vault ap", "vault mt", "SMP message", "SMP receipt", "address book"} <= missing
