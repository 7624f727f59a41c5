"""This version takes over the installation that version 0.1 left, with everything in it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from samdrift.audit.chain import verify_chain
from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Purpose, Role
from samdrift.installation.vaultsettings import vault_settings
from samdrift.keystore.hsm.store import HsmSigningKey
from samdrift.keystore.interface import KeyStore
from samdrift.vault.coverkeeping import CoverKeeping
from samdrift.vault.errors import VaultLocked
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.softhsm import SoftHsm, requires_softhsm
from tests.upgrade.stored import VERSION_0_1, Stored, bring_tokens, unpacked
from tests.vaults import WORKER, server_folder

pytestmark = requires_softhsm

ORGANISATIONS = ("0203:aneby.se", "0203:habo.se", "0203:vetlanda.se")
AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE


@dataclass(frozen=True)
class Upgraded:
    """The installation after the upgrade, opened."""

    stored: Stored
    keys: KeyStore
    gate: Gate


@pytest_asyncio.fixture(scope="module")
async def upgraded(hsm: SoftHsm) -> AsyncIterator[Upgraded]:
    with server_folder() as folder:
        folder.chmod(0o711)
        stored = unpacked(VERSION_0_1, folder)
        (stored.folder / "hsm" / "pin").chmod(0o600)  # a step of docs/upgrade.md
        bring_tokens(stored, hsm.folder / "tokens")
        hsm.begin_anew()
        settings = vault_settings(stored.config)
        keys = open_keys(settings)
        provisioner = await Provisioner.connect(settings, keys=keys)
        try:
            await provisioner.install()
        finally:
            await provisioner.close()
        gate = await Gate.start(settings, keys=keys)
        try:
            yield Upgraded(stored, keys, gate)
        finally:
            await gate.close()


def _unlock(upgraded: Upgraded, organisation: str) -> ParticipantIdentifier:
    """Unlock the vaults that wait for an officer, and return the organisation."""
    identifier = ParticipantIdentifier(organisation)
    passphrase = upgraded.stored.facts["locked"].get(organisation)
    for role in Role:
        registration = upgraded.gate.registry.find(identifier, role)
        if passphrase and registration and upgraded.keys.locked(registration.vault):
            upgraded.keys.unlock(registration.vault, passphrase.encode())
    return identifier


async def test_a_vault_that_its_officer_locked_stays_locked(upgraded: Upgraded) -> None:
    (organisation,) = upgraded.stored.facts["locked"]
    with pytest.raises(VaultLocked):
        async with upgraded.gate.open(
            WORKER, ParticipantIdentifier(organisation), MT, Purpose.TRACE
        ) as vault:
            await vault.log()


async def test_one_inherited_agreement_covers_every_organisation_for_ninety_days(upgraded: Upgraded) -> None:
    locked = upgraded.stored.facts["locked"]
    seen = {}
    for one in upgraded.gate.registry.all():
        if one.organisation.value in locked:
            continue
        async with upgraded.gate.open(WORKER, one.organisation, one.role, Purpose.MAINTAIN) as vault:
            assert isinstance(vault, CoverKeeping)
            seen[one.organisation, one.role] = (await vault.cover_facts()).inherited
    assert len({organisation for organisation, _ in seen}) == len(ORGANISATIONS) - len(locked)
    for (organisation, _), inherited in seen.items():
        assert inherited is not None
        days = (inherited[1] - datetime.now(UTC)) / timedelta(days=1)
        assert 89 < days <= 90
        assert {each for (whose, _), each in seen.items() if whose == organisation} == {inherited}


@pytest.mark.parametrize("organisation", ORGANISATIONS)
async def test_every_message_is_there_byte_for_byte_in_its_state(
    upgraded: Upgraded, organisation: str
) -> None:
    identifier = _unlock(upgraded, organisation)
    known = upgraded.stored.facts["organisations"][organisation]["messages"]
    async with upgraded.gate.open(WORKER, identifier, MT, Purpose.TRACE) as vault:
        found = {}
        for name in known:
            direction, _, message_id = name.partition("/")
            record = await vault.message(message_id, Direction(direction))
            assert record is not None
            body = await vault.body(record.id, record.direction) if record.size else None
            content = await body.read_all() if body else b""
            found[name] = {"status": record.status.value, "sha256": hashlib.sha256(content).hexdigest()}
    assert len(found) > 60
    assert found == known


@pytest.mark.parametrize("organisation", ORGANISATIONS)
async def test_every_log_is_intact_from_its_origin_to_the_entry_that_was_the_last(
    upgraded: Upgraded, organisation: str
) -> None:
    identifier = _unlock(upgraded, organisation)
    for role in (AP, MT):
        known = upgraded.stored.facts["organisations"][organisation]["logs"][role.value]
        async with upgraded.gate.open(WORKER, identifier, role, Purpose.TRACE) as vault:
            entries = await vault.log(limit=100_000)
            assert verify_chain(entries, vault.log_origin).intact
        assert entries[known["entries"] - 1].hash.hex() == known["last"]


async def test_keys_in_an_hsm_still_sign(upgraded: Upgraded) -> None:
    organisation = ParticipantIdentifier(upgraded.stored.facts["token"]["organisation"])
    async with upgraded.gate.open(WORKER, organisation, MT, Purpose.TRACE) as vault:
        keys = vault.keys()
    assert isinstance(keys.signing, HsmSigningKey)
    assert keys.signing.certificate is not None


async def test_the_log_of_a_former_operator_is_still_there(upgraded: Upgraded) -> None:
    organisation = ParticipantIdentifier(upgraded.stored.facts["moved_in"])
    known = upgraded.stored.facts["organisations"][organisation.value]["messages"]
    async with upgraded.gate.open(WORKER, organisation, MT, Purpose.TRACE) as vault:
        former = [await vault.find_former_log(name.partition("/")[2]) for name in known]
    assert sum(bool(entries) for entries in former) == 6


async def test_what_waited_waits(upgraded: Upgraded) -> None:
    """An envelope waits at the access point, and a message has not reached the access point yet."""
    ((organisation, envelope),) = upgraded.stored.facts["waits_at_access_point"].items()
    ((_, message),) = upgraded.stored.facts["scheduled"].items()
    identifier = ParticipantIdentifier(organisation)
    async with upgraded.gate.open(WORKER, identifier, AP, Purpose.TRACE) as access_point:
        assert envelope in {item.envelope_id for item in await access_point.inbox(100)}
    async with upgraded.gate.open(WORKER, identifier, MT, Purpose.TRACE) as vault:
        record = await vault.message(message, Direction.OUT)
        assert record is not None
        assert record.status.value == "SCHEDULED"


async def test_a_receipt_from_before_outlives_its_message(upgraded: Upgraded) -> None:
    """In 0.1 a receipt was deleted with its message, and is lost; now it survives the message's deletion."""
    organisation = ParticipantIdentifier(upgraded.stored.facts["moved_in"])
    known = upgraded.stored.facts["organisations"][organisation.value]["messages"]
    accepted = next(name for name, facts in known.items() if facts["status"] == "ACCEPTED")
    message = accepted.partition("/")[2]
    async with upgraded.gate.open(WORKER, organisation, MT, Purpose.PROCESS) as vault:
        receipt = await vault.receipt_for_message(message)
        assert receipt is not None
        before = await vault.receipt_body(receipt.id)
        assert await vault.delete(message, Direction.OUT)
    async with upgraded.gate.open(WORKER, organisation, MT, Purpose.TRACE) as vault:
        assert await vault.receipt_body(receipt.id) == before
