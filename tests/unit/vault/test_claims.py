"""Claims carry the name of their process, so that those of an ended one are taken up immediately."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.transfer import TransferReason
from samdrift.net.clock import system_clock
from samdrift.scheduling.claims import Claimant
from samdrift.vault.accesspoint import Standing
from samdrift.vault.gate import Gate
from samdrift.vault.records import Transfer
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import MINUTE, NOW, WORKER, Installation, body, message, outgoing, submitted

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)
LATER = NOW + MINUTE
PARDONED = 5


@contextlib.asynccontextmanager
async def process(installation: Installation, name: str) -> AsyncIterator[Gate]:
    """Open another process of the installation, as its claims name it."""
    gate = await Gate.start(installation.settings, claimant=Claimant(name))
    try:
        yield gate
    finally:
        await gate.close()


async def claimed_by(gate: Gate, organisation: ParticipantIdentifier) -> list[Transfer]:
    async with gate.open(WORKER, organisation, AP, Purpose.SEND) as vault:
        return [*await vault.claim_transfers(now=NOW, lease=10 * MINUTE, limit=9)]


async def test_claims_of_a_process_that_has_ended_are_taken_up_at_once_and_count_for_nothing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault)
    async with process(installation, "killed") as killed:
        assert [one.id for one in await claimed_by(killed, organisation)] == [transfer.id]
    async with installation.open(organisation, AP) as vault:
        assert await vault.claim_transfers(now=LATER, lease=MINUTE, limit=9) == ()
        assert await vault.release_claims(["killed", "other"], now=LATER) == 1
        (again,) = await vault.claim_transfers(now=LATER, lease=MINUTE, limit=9)
        assert (len(again.attempts), again.spared, again.counted) == (2, 1, 1)
        first, second = await vault.attempts(transfer.id)
    assert first.error == "none: interrupted when its process ended; does not count"
    assert second.error is None


async def test_claims_of_a_process_that_lives_are_left_to_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
    async with process(installation, "lives") as lives:
        await claimed_by(lives, organisation)
        async with installation.open(organisation, AP) as vault:
            assert await vault.release_claims(["killed"], now=LATER) == 0
            assert await vault.next_due() == NOW + 10 * MINUTE


@pytest.mark.parametrize("attempted", ["submission", "queue"])
async def test_a_claim_is_named_from_its_birth_on(
    installation: Installation, organisation: ParticipantIdentifier, attempted: str
) -> None:
    async with process(installation, "killed") as killed:
        async with killed.open(WORKER, organisation, AP, Purpose.SEND) as vault:
            await submitted(vault, lease=None if attempted == "queue" else 10 * MINUTE)
        await claimed_by(killed, organisation)
    async with installation.open(organisation, AP) as vault:
        assert await vault.release_claims(["killed"], now=LATER) == 1


async def test_what_had_its_outcome_is_nobodys_claim_any_more(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        postponed, ended = await submitted(vault), await submitted(vault)
    async with process(installation, "killed") as killed:
        await claimed_by(killed, organisation)
        async with killed.open(WORKER, organisation, AP, Purpose.SEND) as vault:
            unreachable = TransferReason.PEER_UNREACHABLE
            await vault.postpone(
                postponed.id, now=NOW, next_attempt=NOW + 9 * MINUTE, reason=unreachable, detail=""
            )
            await vault.failed(ended.id, now=NOW, reason=unreachable, detail="")
    async with installation.open(organisation, AP) as vault:
        assert await vault.release_claims(["killed"], now=LATER) == 0
        assert await vault.next_due() == NOW + 9 * MINUTE
        status = await vault.status(postponed.id)
    assert status is not None
    assert (status.attempts, status.spared) == (1, 0)


async def test_invariant_8_a_transfer_that_ends_its_processes_waits_for_its_lease_and_its_attempts_count(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault)
    for number in range(PARDONED + 2):
        now = NOW + number * 10 * MINUTE
        async with (
            process(installation, f"killed {number}") as killed,
            killed.open(WORKER, organisation, AP, Purpose.SEND) as vault,
        ):
            (claimed,) = await vault.claim_transfers(now=now, lease=10 * MINUTE, limit=1)
        async with installation.open(organisation, AP) as vault:
            released = await vault.release_claims([f"killed {number}"], now=now)
            due = await vault.next_due()
        pardoned = number < PARDONED
        assert (released, due) == ((1, now) if pardoned else (0, now + 10 * MINUTE))
    assert (len(claimed.attempts), claimed.counted) == (PARDONED + 2, 2)
    async with installation.open(organisation, AP) as vault:
        status = await vault.status(transfer.id)
    assert status is not None
    assert (status.attempts, status.spared) == (2, PARDONED)


async def test_an_outcome_ends_the_row_of_attempts_that_ended_with_their_process(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault)
    for number in range(2 * PARDONED):
        async with process(installation, "killed") as killed:
            await claimed_by(killed, organisation)
        async with installation.open(organisation, AP) as vault:
            assert await vault.release_claims(["killed"], now=NOW) == 1
            if number % PARDONED == PARDONED - 1:
                (claimed,) = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=1)
                refused = TransferReason.PEER_REFUSED
                await vault.postpone(transfer.id, now=NOW, next_attempt=NOW, reason=refused, detail="")
    assert claimed.counted == 2


async def test_a_process_gives_back_its_own_claims_and_no_other_ones(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        first, second = await submitted(vault), await submitted(vault)
        await vault.claim_transfers(now=NOW, lease=10 * MINUTE, limit=1)
    async with process(installation, "stops") as stops:
        (own,) = await claimed_by(stops, organisation)
        assert own.id in {first.id, second.id}
        async with stops.open(WORKER, organisation, AP, Purpose.SEND) as vault:
            assert await vault.give_back_claims(now=LATER) == 1
    async with installation.open(organisation, AP) as vault:
        assert [one.id for one in await vault.claim_transfers(now=LATER, lease=MINUTE, limit=9)] == [own.id]


async def test_a_spared_attempt_counts_for_nothing(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    reason = TransferReason.PEER_UNREACHABLE
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, lease=MINUTE)
        assert await vault.postpone(
            transfer.id, now=NOW, next_attempt=NOW, reason=reason, detail="HTTP status 503", spared=True
        )
        (again,) = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=1)
        assert (len(again.attempts), again.counted) == (2, 1)
        await vault.failed(transfer.id, now=NOW, reason=reason, detail="")
        assert not await vault.postpone(
            transfer.id, now=NOW, next_attempt=NOW, reason=reason, detail="", spared=True
        )


async def test_what_ended_with_its_process_can_be_attempted_and_given_up_by_the_operator(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault)
    async with process(installation, "killed") as killed:
        await claimed_by(killed, organisation)
    async with installation.open(organisation, AP) as vault:
        assert await vault.hasten(transfer.id, now=LATER) is Standing.UNDER_WAY
        await vault.release_claims(["killed"], now=LATER)
        assert await vault.hasten(transfer.id, now=LATER) is Standing.WAITING


async def test_work_of_a_message_service_is_taken_up_too(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with process(installation, "killed") as killed:
        async with killed.open(WORKER, organisation, MT, Purpose.SEND) as vault:
            born, queued = message(), message()
            assert await vault.create_outgoing(born, await body(vault), now=NOW, lease=10 * MINUTE)
            assert await vault.create_outgoing(queued, await body(vault), now=NOW, lease=None)
        async with killed.open(WORKER, organisation, MT, Purpose.SEND) as vault:
            (one,) = await vault.claim_work(now=NOW, lease=10 * MINUTE, limit=9)
            assert one.id == queued.id
    async with installation.open(organisation, MT) as vault:
        assert await vault.release_claims(["another"], now=LATER) == 0
        assert await vault.release_claims(["killed"], now=LATER) == 2
        found = await vault.claim_work(now=LATER, lease=MINUTE, limit=9)
    assert {each.id for each in found} == {born.id, queued.id}


async def test_work_of_a_message_service_that_ends_its_processes_waits_for_its_lease(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(message(), await body(vault), now=NOW, lease=None)
    for number in range(PARDONED + 1):
        async with (
            process(installation, "killed") as killed,
            killed.open(WORKER, organisation, MT, Purpose.SEND) as vault,
        ):
            await vault.claim_work(now=NOW, lease=10 * MINUTE, limit=9)
        async with installation.open(organisation, MT) as vault:
            assert await vault.release_claims(["killed"], now=NOW) == (number < PARDONED)
    async with installation.open(organisation, MT) as vault:
        assert await vault.next_due() == NOW + 10 * MINUTE


async def test_a_message_service_gives_back_its_own_claims(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        assert await vault.create_outgoing(message(), await body(vault), now=NOW, lease=10 * MINUTE)
    async with process(installation, "stops") as stops:
        async with stops.open(WORKER, organisation, MT, Purpose.SEND) as vault:
            assert await vault.create_outgoing(message(), await body(vault), now=NOW, lease=10 * MINUTE)
        async with stops.open(WORKER, organisation, MT, Purpose.SEND) as vault:
            assert await vault.give_back_claims(now=LATER) == 1
            assert await vault.next_due() == LATER


async def test_a_worker_that_is_started_again_knows_that_something_is_due_although_nobody_was_told(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its predecessor was killed between the commit and the news, so the vault itself is asked."""
    registered = installation.gate.registry.find(organisation, AP)
    assert registered is not None
    async with process(installation, "killed") as killed:
        monkeypatch.setattr(killed._moments, "committed", lambda *_: None)
        async with killed.open(WORKER, organisation, AP, Purpose.SEND) as vault:
            await submitted(vault, lease=MINUTE)
    assert organisation not in dict(await installation.gate.due(AP, LATER))
    worker = await Gate.start(installation.settings, only=[registered.vault])
    try:
        assert dict(await worker.due(AP, LATER)) == {organisation: LATER}
    finally:
        await worker.close()


async def test_what_nobody_has_claimed_while_a_clock_was_ahead_is_due_when_it_is_right_again(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """After a minute with the clock three hours ahead, ten transfers waited for that hour."""
    right = system_clock()
    ahead = right + timedelta(hours=3)
    async with installation.open(organisation, AP) as vault:
        stored = await body(vault, b"<xhe/>")
        await vault.submit(outgoing(), stored, as4_message_id="ahead@ap.test", now=ahead, lease=None)
        due = await vault.next_due()
        assert due is not None
        assert due - right < MINUTE
        (claimed,) = await vault.claim_transfers(now=system_clock(), lease=MINUTE, limit=9)
    assert claimed.created_at == ahead
