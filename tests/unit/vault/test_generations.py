"""A vault's data key has generations and its keys have a lock; a running gate follows both."""

from __future__ import annotations

import asyncio
import os

import pytest

from samdrift.contracts.messages import Direction
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.vault.errors import VaultDenied, VaultLocked
from samdrift.vault.events import VaultEvent
from samdrift.vault.gate import Gate
from samdrift.vault.openkeys import open_keys
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import (
    MINUTE,
    NOW,
    WORKER,
    Installation,
    body,
    message,
)

ROLES = AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
OFFICER = b"the officer's own"
LARGE = os.urandom(200_000)


def vault_id(installation: Installation, organisation: ParticipantIdentifier, role: Role) -> str:
    registration = installation.gate.registry.find(organisation, role)
    assert registration is not None
    return registration.vault


async def stored(installation: Installation, organisation: ParticipantIdentifier, data: bytes) -> str:
    """Store a new message with that body; return its id."""
    record = message(label=f"{len(data)} bytes")
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(record, await body(vault, data), now=NOW, lease=MINUTE)
    return record.id


async def read(gate: Gate, organisation: ParticipantIdentifier, message_id: str) -> tuple[str, bytes]:
    """Return the message's label and body."""
    async with gate.open(WORKER, organisation, MT, Purpose.READ) as vault:
        record = await vault.message(message_id, Direction.OUT)
        assert record is not None
        return record.label, await (await vault.body(message_id, Direction.OUT)).read_all()


async def test_a_new_generation_seals_what_is_written_and_the_old_one_opens_what_was(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    before = [await stored(installation, organisation, data) for data in (b"small", LARGE)]
    (old,) = installation.objects(organisation)
    vault = vault_id(installation, organisation, MT)
    elsewhere = await Gate.start(installation.settings)
    try:
        assert await read(elsewhere, organisation, before[0]) == ("5 bytes", b"small")
        async with elsewhere.open(WORKER, organisation, MT, Purpose.READ) as running:
            open_keys(installation.settings).rotate_data_key(vault)
            after = [await stored(installation, organisation, data) for data in (b"later", LARGE)]
            record = await running.message(after[0], Direction.OUT)
            assert record is not None
            assert record.label == "5 bytes", (
                "a vault opened before the rotation must read what was sealed after it"
            )
        for number, message_id in enumerate(before + after):
            data = (b"small", LARGE, b"later", LARGE)[number]
            for gate in (installation.gate, elsewhere):
                assert await read(gate, organisation, message_id) == (f"{len(data)} bytes", data)
    finally:
        await elsewhere.close()
    (new,) = installation.objects(organisation) - {old}
    assert (old.read_bytes()[:2], new.read_bytes()[:2]) == (b"\x00\x01", b"\x00\x02")


async def test_what_is_found_by_its_mailbox_is_found_after_a_rotation(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await stored(installation, organisation, b"one")
    open_keys(installation.settings).rotate_data_key(vault_id(installation, organisation, MT))
    await stored(installation, organisation, b"two")
    async with installation.open(organisation, MT) as vault:
        assert len(await vault.mailboxes()) == 1


async def test_everything_is_wrapped_anew_while_a_gate_writes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    vault, keys = vault_id(installation, organisation, MT), open_keys(installation.settings)
    done = asyncio.Event()

    async def wrapping() -> None:
        for _ in range(5):
            await asyncio.to_thread(keys.rotate_data_key, vault)
            await asyncio.to_thread(keys.rewrap, vault)
        done.set()

    async def writing() -> list[str]:
        written = [await stored(installation, organisation, b"0")]
        while not done.is_set():
            written.append(await stored(installation, organisation, b"0"))
        return written

    _, written = await asyncio.gather(wrapping(), writing())
    for message_id in written:
        assert await read(installation.gate, organisation, message_id) == ("1 bytes", b"0")


async def test_a_locked_vault_opens_for_nobody_and_again_when_it_is_unlocked(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    message_id = await stored(installation, organisation, b"small")
    vault, keys = vault_id(installation, organisation, MT), open_keys(installation.settings)
    gate = await Gate.start(installation.settings, keys=keys)
    try:
        assert await read(gate, organisation, message_id) == ("5 bytes", b"small")
        open_keys(installation.settings).relock(vault, OFFICER)
        for one in (gate, installation.gate):
            with pytest.raises(VaultLocked):
                await read(one, organisation, message_id)
        async with gate.open(WORKER, organisation, AP, Purpose.PROCESS) as other:
            await other.inbox(1)
        stranger = Principal(PrincipalKind.USER, "anna", "0203:mullsjo.se")
        with pytest.raises(VaultDenied):
            async with gate.open(stranger, organisation, MT, Purpose.READ):
                pass
        denial = (await gate.read_operator_log(after=0, limit=10_000))[-1]
        assert (denial.event, denial.ids["organisation"]) == (
            VaultEvent.VAULT_OPENING_DENIED,
            organisation.value,
        )
        keys.unlock(vault, OFFICER)
        assert await read(gate, organisation, message_id) == ("5 bytes", b"small")
        with pytest.raises(VaultLocked):
            await read(installation.gate, organisation, message_id)
    finally:
        await gate.close()
