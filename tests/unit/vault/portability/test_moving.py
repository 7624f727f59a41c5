"""Everything in a vault, read for a move and stored in another vault, is the same there."""

from __future__ import annotations

import json
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from samdrift.audit.chain import ChainHead
from samdrift.audit.leaves import Leaf
from samdrift.audit.merkle import Frontier
from samdrift.contracts.messages import Direction, WorkKind
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.messageservice.events import MTEvent
from samdrift.scheduling.rounds import Rounds
from samdrift.vault.bodies import IN_ROW, Body, BodyReader
from samdrift.vault.errors import SealBroken, UnknownRecord, VaultDenied
from samdrift.vault.portability import parts
from samdrift.vault.portability.arrival import (
    AccessPointArrival,
    Arrival,
    ArrivalStanding,
    Brought,
    GovernanceArrival,
    MessageClientArrival,
    MessageServiceArrival,
)
from samdrift.vault.portability.departure import (
    AccessPointDeparture,
    Departure,
    GovernanceDeparture,
    MessageClientDeparture,
    MessageServiceDeparture,
)
from samdrift.vault.portability.mailparts import MAIL_PARTS
from samdrift.vault.portability.parts import Part, Taken
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.movable import LARGE, fill
from tests.separation.vaultlogin import superuser, vault_login
from tests.vaults import MINUTE, NOW, WORKER, Installation, body, message, until

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
PARTS = {
    AccessPointDeparture: (parts.INCOMING, parts.TRANSFERS, parts.ATTEMPTS, parts.EVENTS),
    MessageServiceDeparture: (
        parts.MESSAGES,
        parts.RECEIPTS,
        parts.DIGESTS,
        parts.PROCESSED,
        parts.CURSORS,
        parts.WORK,
        parts.SESSION_KEYS,
        parts.MARK_KEYS,
    ),
    MessageClientDeparture: (
        parts.records_part(Role.MESSAGE_CLIENT),
        *(each.part for each in MAIL_PARTS),
    ),
    GovernanceDeparture: (parts.SIGNED_STATEMENTS, parts.records_part(Role.GOVERNANCE)),
}
ARRIVALS: dict[type[Departure], type[Arrival]] = {
    AccessPointDeparture: AccessPointArrival,
    MessageServiceDeparture: MessageServiceArrival,
    MessageClientDeparture: MessageClientArrival,
    GovernanceDeparture: GovernanceArrival,
}
BODIES = frozenset({"envelope", "message", "documents", "file"})
"""Contents that are bodies rather than columns."""
Everything = dict[str, list[tuple[parts.Facts, dict[str, bytes]]]]


async def everything(
    installation: Installation, organisation: ParticipantIdentifier, kind: type[Departure]
) -> Everything:
    found: Everything = {}
    async with installation.gate.depart(WORKER, organisation, kind, {}) as vault:
        for part in PARTS[kind]:
            found[part.name] = []
            for record in await pages(vault, part):
                assert parts.check(record.facts, part.facts) is record.facts
                contents = {name: await whole(each) for name, each in record.contents.items()}
                found[part.name].append((record.facts, contents))
    return found


async def pages(vault: Departure, part: Part) -> list[Taken]:
    after: tuple[Any, ...] = ()
    found = []
    while page := await getattr(vault, part.name)(after):
        found += page
        after = tuple(page[-1].facts[name] for name in part.key)
    return found


async def whole(content: bytes | BodyReader) -> bytes:
    return content if isinstance(content, bytes) else await content.read_all()


async def take_in(
    installation: Installation,
    organisation: ParticipantIdentifier,
    kind: type[Departure],
    brought: Everything,
    *,
    taken_over: bool = True,
    now: datetime = NOW,
) -> None:
    arrival = ARRIVALS[kind]
    async with installation.gate.arrive(WORKER, organisation, arrival) as vault:
        assert await vault.begin(b"export", now=now) is ArrivalStanding.BEGUN
        for part in PARTS[kind]:
            await vault.store(part, [await brought_with(vault, *each) for each in brought[part.name]])
        await vault.finish(now=now, taken_over=taken_over)


async def brought_with(vault: Arrival, facts: parts.Facts, contents: dict[str, bytes]) -> Brought:
    large = {name: data for name, data in contents.items() if name in BODIES}
    stored: Body | None = None
    for data in large.values():
        writer = vault.new_body(digested="digest" in facts)
        await writer.write(data)
        stored = await writer.finish()
    return Brought(facts, {name: contents[name] for name in contents.keys() - large.keys()}, stored)


@pytest.mark.parametrize("kind", list(PARTS), ids=lambda kind: kind.__name__)
async def test_what_departs_arrives_and_departs_again_the_same(
    installation: Installation, organisation: ParticipantIdentifier, kind: type[Departure]
) -> None:
    await fill(installation, organisation)
    brought = await everything(installation, organisation, kind)
    assert all(brought.values()), "there must be records of every kind"
    elsewhere = await installation.organisation()
    await take_in(installation, elsewhere, kind, brought)
    again = await everything(installation, elsewhere, kind)
    for part in (parts.SESSION_KEYS.name, parts.MARK_KEYS.name):  # every vault adds a key of its own
        arrived = again.pop(part, [])
        assert all(record in arrived for record in brought.pop(part, []))
    assert again == brought


async def test_the_mailboxes_of_what_arrived_are_known_apart_from_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await fill(installation, organisation)
    elsewhere = await installation.organisation()
    for kind in PARTS:
        await take_in(installation, elsewhere, kind, await everything(installation, organisation, kind))
    async with installation.open(elsewhere, MT) as vault:
        mailboxes = await vault.mailboxes()
    schema = (await vault_login(installation, elsewhere, MT)).schema
    known = (await superuser(installation)).rows(f"SELECT mark FROM {schema}.mailboxes")
    assert len(known) == len(mailboxes) > 0


async def test_what_arrived_is_in_use(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """The vault's own operations read it: sealed and marked with the new vault's keys."""
    await fill(installation, organisation)
    elsewhere = await installation.organisation()
    for kind in PARTS:
        await take_in(installation, elsewhere, kind, await everything(installation, organisation, kind))
    found = {}
    for where in (organisation, elsewhere):
        async with installation.open(where, MT) as vault:
            records = await vault.messages(mailboxes=await vault.mailboxes())
            work = {(one.kind, one.id) for one in await vault.claim_work(now=NOW, lease=MINUTE, limit=9)}
            steps = await vault.events_of(records)
            contents = [await (await vault.body(one.id, one.direction)).read_all() for one in records]
            assert await vault.was_processed("one")
            found[where] = records, work, steps, contents, await vault.cursor("access-point-events")
    assert found[organisation] == found[elsewhere]
    async with installation.open(elsewhere, AP) as transfers:
        (waits,) = await transfers.inbox(9)
        assert await (await transfers.incoming_body(waits.id)).read_all() == LARGE  # type: ignore[union-attr]
        claimed = await transfers.claim_transfers(now=NOW + 100 * MINUTE, lease=MINUTE, limit=9)
        assert len(claimed) == 2
        last = (await transfers.events(0, 9))[-1].sequence
        await transfers.failed(claimed[0].id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
    async with installation.open(elsewhere, AP) as transfers:
        (event,) = await transfers.events(last, 9)
        assert event.transfer_id == claimed[0].id, "the numbering of events must continue"


async def test_what_is_under_way_ends_unless_it_is_taken_over(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await fill(installation, organisation)
    elsewhere = await installation.organisation()
    for kind in PARTS:
        brought = await everything(installation, organisation, kind)
        await take_in(installation, elsewhere, kind, brought, taken_over=False)
    async with installation.open(elsewhere, AP) as transfers:
        assert await transfers.inbox(9) == ()
        assert await transfers.next_due() is None
        ends = [event for event in await transfers.events(0, 99) if event.state is TransferState.FAILED]
        assert [event.reason for event in ends] == [TransferReason.GIVEN_UP] * 2
    assert len(installation.objects(elsewhere)) == 1, "only the body of the message may be kept"
    async with installation.open(elsewhere, MT) as messages:
        work = await messages.claim_work(now=NOW + 100 * MINUTE, lease=MINUTE, limit=9)
        assert {one.kind for one in work} == {WorkKind.DEADLINE}
        assert len(work) == 3, "two messages and a receipt"


@pytest.mark.parametrize("taken_over", [True, False])
async def test_the_registry_knows_when_what_arrived_is_due(
    installation: Installation, organisation: ParticipantIdentifier, taken_over: bool
) -> None:
    await fill(installation, organisation)
    elsewhere = await installation.organisation()
    for kind in (AccessPointDeparture, MessageServiceDeparture):
        brought = await everything(installation, organisation, kind)
        await take_in(installation, elsewhere, kind, brought, taken_over=taken_over)
    due = {}
    for role in (AP, MT):
        async with installation.open(elsewhere, role) as vault:
            due[role] = await vault.next_due()
        rounds = Rounds(partial(installation.gate.due, role), lambda: [elsewhere], lambda: NOW)
        assert dict(await rounds.due(NOW + 100 * MINUTE)).get(elsewhere) == due[role]
    assert {role for role, when in due.items() if when} == ({AP, MT} if taken_over else {MT})


async def test_a_snapshot_sees_nothing_that_comes_later(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await fill(installation, organisation)
    async with installation.gate.depart(WORKER, organisation, MessageServiceDeparture, {}) as vault:
        before = await pages(vault, parts.MESSAGES)
        state = await vault.log_state()
        (removed,) = [one for one in before if _is_large(one)]
        async with installation.open(organisation, MT) as messages:
            await messages.create_outgoing(message(), await body(messages), now=NOW, lease=None)
            await messages.delete(removed.facts["id"], Direction(removed.facts["direction"]))
        assert [one.facts for one in await pages(vault, parts.MESSAGES)] == [one.facts for one in before]
        assert await vault.log_state() == state
        content = removed.contents["message"]
        assert isinstance(content, BodyReader)
        with pytest.raises(SealBroken):
            await content.read_all()
        assert await vault.was_removed(content)


async def test_a_log_of_a_former_supplier_is_kept_and_checked(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await fill(installation, organisation)
    elsewhere = await installation.organisation()
    async with installation.gate.depart(WORKER, organisation, MessageServiceDeparture, {}) as vault:
        entries, state = await vault.log(), await vault.log_state()
    facts = [entry.facts for entry in entries]
    tree = Frontier()
    for each in facts:
        tree.append(Leaf(each["sequence"], each["retention"], parts.to_bytes(each["hash"])).hash)
    assert state.head == ChainHead(len(facts), tree.root(), len(facts))
    async with installation.gate.arrive(WORKER, elsewhere, MessageServiceArrival) as arrival:
        await arrival.begin(b"export", now=NOW)
        await arrival.store_log(state.id, facts)
    async with installation.gate.depart(WORKER, elsewhere, MessageServiceDeparture, {}) as vault:
        kept = [each.facts for each in await vault.former_log()]
    assert kept == [{"log": state.id} | each for each in facts]
    async with installation.open(elsewhere, MT) as reading:
        named = (await reading.find_former_log(kept_message(facts)))[-1]
        assert named.event == MTEvent.MT_MESSAGE_SUBMITTED


def _is_large(record: Taken) -> bool:
    content = record.contents.get("message", b"")
    return isinstance(content, BodyReader) and content.size > IN_ROW


def kept_message(facts: list[parts.Facts]) -> str:
    for each in facts:
        content = json.loads(each["content"])
        if content["event"] == MTEvent.MT_MESSAGE_SUBMITTED:
            return str(content["ids"]["message"])
    raise AssertionError


async def test_nothing_arrives_in_a_vault_that_has_something(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await fill(installation, organisation)
    for arrival in ARRIVALS.values():
        async with installation.gate.arrive(WORKER, organisation, arrival) as vault:
            assert await vault.begin(b"export", now=NOW) is ArrivalStanding.OCCUPIED


@pytest.mark.parametrize(
    ("kind", "part", "facts"),
    [
        (MessageServiceArrival, parts.CURSORS, {"name": "access-point-events", "value": 7}),
        *(
            (kind, parts.records_part(kind.role), {"id": "one", "since": NOW.isoformat()})
            for kind in (MessageClientArrival, GovernanceArrival)
        ),
    ],
    ids=["mt", "mk", "gov"],
)
async def test_nothing_arrives_before_it_begins_or_after_it_ended(
    installation: Installation,
    organisation: ParticipantIdentifier,
    kind: type[Arrival],
    part: Part,
    facts: parts.Facts,
) -> None:
    for begun in (False, True):
        if begun:
            async with installation.gate.arrive(WORKER, organisation, kind) as vault:
                assert await vault.begin(b"export", now=NOW) is ArrivalStanding.BEGUN
                assert await vault.begin(b"export", now=NOW) is ArrivalStanding.UNDER_WAY
                assert await vault.begin(b"another", now=NOW) is ArrivalStanding.OCCUPIED
                await vault.finish(now=NOW, taken_over=False)
                assert await vault.begin(b"export", now=NOW) is ArrivalStanding.DONE
        with pytest.raises(UnknownRecord):
            async with installation.gate.arrive(WORKER, organisation, kind) as vault:
                await vault.store(part, [Brought(facts)])


async def test_what_is_there_is_known(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    await fill(installation, organisation)
    brought = await everything(installation, organisation, MessageServiceDeparture)
    keys = [(facts["id"], facts["direction"]) for facts, _ in brought["messages"]]
    async with installation.gate.arrive(WORKER, organisation, MessageServiceArrival) as vault:
        assert await vault.known(parts.MESSAGES, [*keys, ("no", "in")]) == set(keys)


async def test_only_a_worker_moves_an_organisation_also_a_suspended_one(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    kinds = (PrincipalKind.SYSTEM, PrincipalKind.USER, PrincipalKind.OPERATOR)
    for principal in [Principal(kind, "anna", organisation.value) for kind in kinds]:
        with pytest.raises(VaultDenied):
            async with installation.gate.depart(principal, organisation, MessageServiceDeparture, {}):
                pass
        with pytest.raises(VaultDenied):
            async with installation.gate.arrive(principal, organisation, MessageServiceArrival):
                pass
    await installation.provisioner.set_state(organisation, MT, RegistrationState.SUSPENDED)
    await until(lambda: not installation.gate.registry.serves(organisation, MT))
    facts = {"first": "anna", "second": "bertil"}
    async with installation.gate.depart(WORKER, organisation, MessageServiceDeparture, facts) as vault:
        said = (await vault.log())[-1].facts["content"]
    assert '"event":"org:organisation:export-begun","ids":{"first":"anna","second":"bertil"}' in said
    assert Purpose.EXPORT.value in said
