"""Content of the organisation's mailboxes, and changes since, as message clients ask for it."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest

from samdrift.audit.entries import Happening
from samdrift.audit.events import AuditEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Principal, PrincipalKind, Purpose, Role
from samdrift.messageservice.events import STEPS, MTEvent
from samdrift.vault import messagerows
from samdrift.vault.errors import SealBroken
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import Changes, MessageRecord, StatusEvent
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.separation.vaultlogin import superuser, vault_login
from tests.unit.audit.declared import declared
from tests.vaults import MINUTE, NOW, Installation, body, message, receipt

MT = Role.MESSAGE_SERVICE
ROLES = (MT,)
OUT, IN = Direction.OUT, Direction.IN


async def store(vault: MessageServiceVault, record: MessageRecord, content: bytes | None = b"<sdk/>") -> str:
    """Store a message; without content, one that was refused."""
    stored = None if content is None else await body(vault, content)
    if record.direction is OUT:
        assert stored is not None
        await vault.create_outgoing(record, stored, now=NOW, lease=MINUTE)
    else:
        answer = receipt(record.id)
        await vault.receive(record, stored, answer, b"", item_id=record.id, now=NOW, lease=MINUTE)
    return record.id


def sent(address: str, minutes: float = 0) -> MessageRecord:
    return message(sender_address=address, recipient_address="elsewhere", at=NOW + minutes * MINUTE)


def came(address: str, minutes: float = 0) -> MessageRecord:
    return message(IN, sender_address="elsewhere", recipient_address=address, at=NOW + minutes * MINUTE)


async def test_a_mailbox_holds_what_was_sent_from_it_and_what_came_in_to_it(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        first = await store(vault, sent("a", 1))
        second = await store(vault, came("a", 2))
        third = await store(vault, came("b", 3))
        await store(vault, came("c", 4))
    async with installation.open(organisation, MT) as vault:

        async def in_(*addresses: str) -> list[str]:
            return [record.id for record in await vault.messages(mailboxes=addresses)]

        assert await in_("a") == [second, first]
        assert await in_("a", "b") == [third, second, first]
        assert await in_("elsewhere") == []
        assert await in_() == []
        assert sorted(await vault.mailboxes()) == ["a", "b", "c"]


async def test_mailboxes_are_listed_without_reading_what_lies_in_them(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A sender decides the number of persons and references in a message, and the length of an address."""
    async with installation.open(organisation, MT) as vault:
        await store(vault, replace(came("a"), attributes="x" * 100_000))
        await store(vault, came("ä" * messagerows.LONGEST_ADDRESS))
        await store(vault, replace(came("b" * 100_000), attributes="x"))
    login = await vault_login(installation, organisation, MT)
    (await superuser(installation)).rows(
        f"UPDATE {login.schema}.messages SET details = decode(repeat('00', 70000), 'hex')"
    )
    async with installation.open(organisation, MT) as vault:
        assert sorted(await vault.mailboxes()) == ["a", "ä" * messagerows.LONGEST_ADDRESS]


async def test_mailboxes_from_before_their_addresses_stood_apart_are_known(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        await store(vault, came("a"))
        await store(vault, sent("b"))
    login = await vault_login(installation, organisation, MT)
    (await superuser(installation)).rows(f"DELETE FROM {login.schema}.mailboxes")
    async with installation.open(organisation, MT) as vault:
        assert sorted(await vault.mailboxes()) == ["a", "b"]


async def test_the_address_of_one_mailbox_does_not_open_as_another(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        await store(vault, came("a"))
        await store(vault, came("b"))
    schema = (await vault_login(installation, organisation, MT)).schema
    names = f"{schema}.mailboxes m SET address = o.address FROM {schema}.mailboxes o"
    (await superuser(installation)).rows(f"UPDATE {names} WHERE o.mark <> m.mark")
    with pytest.raises(SealBroken):
        async with installation.open(organisation, MT) as vault:
            await vault.mailboxes()


async def test_facts_of_what_was_refused_lie_in_no_mailbox(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        await store(vault, replace(came("a"), status=MessageStatus.REJECTED, size=0), None)
    async with installation.open(organisation, MT) as vault:
        assert await vault.messages(mailboxes=["a"]) == ()
        assert await vault.mailboxes() == ()


async def test_a_message_stays_where_it_is_when_its_content_goes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Its sender must be able to learn that it held malicious code."""
    record = sent("a")
    async with installation.open(organisation, MT) as vault:
        await store(vault, record)
    async with installation.open(organisation, MT) as vault:
        await vault.drop_content(record.id, OUT)
    async with installation.open(organisation, MT) as vault:
        assert await vault.messages(mailboxes=["a"]) == (record,)
        assert await vault.mailboxes() == ("a",)


async def test_a_page_goes_on_after_the_last_message_also_when_all_are_of_one_moment(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, MT) as vault:
        known = {
            (await store(vault, record), record.direction) for record in (sent("a"), sent("b"), came("a"))
        }
        both = sent("a")
        await store(vault, both)
        await store(vault, replace(came("b"), id=both.id))
    known |= {(both.id, OUT), (both.id, IN)}
    async with installation.open(organisation, MT) as vault:
        found: list[MessageRecord] = []
        while page := await vault.messages(
            mailboxes=["a", "b"],
            limit=1,
            before=(found[-1].created_at, found[-1].id, found[-1].direction) if found else None,
        ):
            found += page
    assert [(record.id, record.direction) for record in found] == sorted(known, reverse=True)


async def test_messages_that_say_much_come_a_few_at_a_time(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A sender decides their number of persons and references, but a list of them must fit in memory."""
    large = "x" * (messagerows.MOST_BYTES // 2)
    async with installation.open(organisation, MT) as vault:
        ids = [await store(vault, replace(came("a", number), attributes=large)) for number in range(5)]
    async with installation.open(organisation, MT) as vault:
        found: list[str] = []
        last: MessageRecord | None = None
        while page := await vault.messages(
            mailboxes=["a"], before=(last.created_at, last.id, last.direction) if last else None
        ):
            assert len(page) <= 2
            found, last = [*found, *(record.id for record in page)], page[-1]
    assert found == ids[::-1]


async def test_time_is_that_of_the_message_not_of_its_arrival(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    late = replace(came("a"), dated_at=NOW - timedelta(hours=1))
    async with installation.open(organisation, MT) as vault:
        await store(vault, late)
    async with installation.open(organisation, MT) as vault:
        assert await vault.messages(start=NOW - MINUTE) == ()
        assert await vault.messages(stop=late.dated_at, start=late.dated_at) == (late,)


async def test_the_planner_takes_the_index_of_mailboxes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    query, _ = messagerows.search({}, [b"", b""], None, 50)
    async with installation.open(organisation, MT) as vault:
        for number in range(200):
            await store(vault, sent("a", number))
    login = await vault_login(installation, organisation, MT)
    question = query.replace("$1", "50").replace("$2", "'{a,b}'")
    with login.connect() as connection:
        plan = "\n".join(line for (line,) in connection.execute(f"EXPLAIN {question}".encode()).fetchall())
    assert " messages_by_mailbox " in plan


async def test_steps_of_several_messages_are_read_at_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    one, other, without = sent("a"), came("a"), sent("b")
    events = [StatusEvent(NOW + n * MINUTE, MessageStatus.SUBMITTED, f"step {n}") for n in range(3)]
    async with installation.open(organisation, MT) as vault:
        for record in (one, other, without):
            await store(vault, record)
    async with installation.open(organisation, MT) as vault:
        for record, steps in ((one, events[:2]), (other, events[2:])):
            await vault.set_status(
                record.id, MessageStatus.ERROR, steps, now=NOW, deadline=None, direction=record.direction
            )
    async with installation.open(organisation, MT) as vault:
        found = await vault.events_of([other, without, one])
        assert found == ((events[2],), (), (events[1], events[0]))
        assert await vault.events_of([]) == ()


# --- what became of them ------------------------------------------------------------------------------------


async def step(vault: MessageServiceVault, record: MessageRecord, event: AuditEvent) -> None:
    vault.record(event, message=record.id)


async def test_changes_are_told_once_for_each_message_as_it_is_now(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    one, other = sent("a"), came("b")
    async with installation.open(organisation, MT) as vault:
        beginning = await vault.log_end()
        await store(vault, one)
        await step(vault, one, MTEvent.MT_MESSAGE_SCHEDULED)
    async with installation.open(organisation, MT) as vault:
        await store(vault, other)
        await step(vault, other, MTEvent.MT_MESSAGE_RETRIEVED)
        await step(vault, one, MTEvent.MT_MESSAGE_SUBMITTED)
        await step(vault, one, MTEvent.MT_MESSAGE_READ)
    async with installation.open(organisation, MT) as vault:
        changes = await vault.changes(beginning, 100)
        assert [record.id for _, record in changes.steps] == [other.id, one.id]
        (first, _), (second, _) = changes.steps
        assert beginning < first < second == changes.place < await vault.log_end()
        assert [record.id for _, record in (await vault.changes(first, 100)).steps] == [one.id]
        assert await vault.changes(changes.place, 100) == replace(changes, steps=())
        assert [record.id for _, record in (await vault.changes(beginning, 1)).steps] == [one.id]


async def test_a_client_that_asks_for_changes_where_there_are_none_leaves_no_entry(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """It may ask all day."""
    client = Principal(PrincipalKind.SYSTEM, "journal", organisation.value)
    one = sent("a")
    async with installation.open(organisation, MT) as vault:
        await store(vault, one)
        await step(vault, one, MTEvent.MT_MESSAGE_SCHEDULED)
    gate = installation.gate
    async with gate.open(client, organisation, MT, Purpose.READ) as vault:
        end = await vault.log_end()
    async with gate.open(client, organisation, MT, Purpose.READ) as vault:
        assert await vault.changes(end, 100) == Changes(end, ())
    async with gate.open(client, organisation, MT, Purpose.READ) as vault:
        assert await vault.log_end() == end
        assert (await vault.changes(0, 100)).steps != ()
    async with gate.open(client, organisation, MT, Purpose.READ) as vault:
        assert await vault.log_end() == end + 1, "what the client saw must be logged"


async def test_changes_of_messages_that_say_much_are_told_a_few_at_a_time(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    large = "x" * (messagerows.MOST_BYTES // 2)
    records = [replace(came("a", number), attributes=large) for number in range(3)]
    async with installation.open(organisation, MT) as vault:
        for record in records:
            await store(vault, record)
            await step(vault, record, MTEvent.MT_MESSAGE_RETRIEVED)
        await step(vault, records[0], MTEvent.MT_MESSAGE_SUBMITTED)
    async with installation.open(organisation, MT) as vault:
        first = await vault.changes(0, 100)
        then = await vault.changes(first.place, 100)
        assert [record.id for _, record in first.steps] == [records[1].id, records[2].id]
        assert [record.id for _, record in then.steps] == [records[0].id]
        assert (await vault.changes(then.place, 100)).steps == ()


async def test_what_is_deleted_or_was_refused_has_no_changes(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    gone, refused = sent("a"), replace(came("a"), status=MessageStatus.REJECTED, size=0)
    async with installation.open(organisation, MT) as vault:
        await store(vault, gone)
        await store(vault, refused, None)
        for record in (gone, refused):
            await step(vault, record, MTEvent.MT_MESSAGE_FAILED)
    async with installation.open(organisation, MT) as vault:
        await vault.delete(gone.id, OUT)
    async with installation.open(organisation, MT) as vault:
        assert (await vault.changes(0, 100)).steps == ()


async def test_who_waits_in_the_process_is_told_after_the_commit(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    news = installation.gate.news
    record = sent("a")

    async def told(before: int) -> bool:
        return await news.beyond(organisation, before, 0)

    async with installation.open(organisation, MT) as vault:
        await store(vault, record)
        assert not await told(0)
    assert await told(0)
    before = news.count(organisation)
    async with installation.open(organisation, MT) as vault:
        await vault.set_status(record.id, MessageStatus.SUBMITTED, (), now=NOW, deadline=None, direction=OUT)
    assert await told(before)
    before = news.count(organisation)
    with contextlib.suppress(LookupError):
        async with installation.open(organisation, MT) as vault:
            await store(vault, came("a"))
            raise LookupError
    assert not await told(before)


async def test_steps_are_known_although_the_log_has_disposed_of_them(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Interface D answers about a message from the message's own rows."""
    one = sent("a")
    async with installation.open(organisation, MT) as vault:
        await store(vault, one)
        await step(vault, one, MTEvent.MT_MESSAGE_SCHEDULED)
    login, seen_by = await vault_login(installation, organisation, MT), await superuser(installation)
    seen_by.rows(f"UPDATE {login.schema}.log SET content = NULL, salt = NULL, traces = '{{}}'")
    async with installation.open(organisation, MT) as vault:
        assert [record.id for _, record in (await vault.changes(0, 100)).steps] == [one.id]


async def test_the_database_knows_every_event_that_is_a_step(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    login, seen_by = await vault_login(installation, organisation, MT), await superuser(installation)
    for event in declared():
        content = Happening(
            NOW, event, "worker:test", "process", {"message": "m", "to": 'a "message":"x'}
        ).content()
        with seen_by.connect(login.schema) as connection:
            connection.execute(f"SET search_path = {login.schema}".encode())
            found = connection.execute("SELECT _step(%s)", (content,)).fetchone()
        assert found == ("m" if event in STEPS else None,), event
