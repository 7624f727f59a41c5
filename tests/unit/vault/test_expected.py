"""Expected results of an opening: committed in one round trip if they hold, otherwise undone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Sequence
from functools import partial
from hashlib import sha256

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason
from samdrift.messageservice.events import MTEvent
from samdrift.vault import moments
from samdrift.vault.accesspoint import AccessPointVault, News
from samdrift.vault.database.pool import Login
from samdrift.vault.database.session import Row, Session, Statement
from samdrift.vault.errors import SealBroken, VaultClosed, VaultRefused, VaultUnavailable
from samdrift.vault.events import VaultEvent
from samdrift.vault.messageservice import MessageServiceVault
from samdrift.vault.records import IncomingEnvelope
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import MINUTE, NOW, Installation, body, incoming, message, submitted

AP, MT = Role.ACCESS_POINT, Role.MESSAGE_SERVICE
ROLES = (AP, MT)
RECEIVED, DUPLICATE = APEvent.AP_ENVELOPE_RECEIVED, APEvent.AP_ENVELOPE_DUPLICATE
GRANTED = VaultEvent.VAULT_OPENING_GRANTED
LARGE = os.urandom(300_000)
CERTIFICATE = b"certificate"

Sent = list[Sequence[Statement]]


@pytest.fixture
def sent(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> Sent:
    """Record the statements sent to the organisation's vaults, one item per round trip.

    An earlier test cuts a commit short, and the vault's moment is therefore read in the background at
    any time.
    """
    trips: Sent = []
    run = Session.run

    async def noted(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
        begins = statements[0][0] in ("BEGIN", "SAVEPOINT expected", "ROLLBACK")
        read = list(statements) == [moments.STORED]
        if (begins or trips) and not read and installation.is_logged_in(session, organisation):
            trips.append(statements)
        return await run(session, statements)

    monkeypatch.setattr(Session, "run", noted)
    return trips


async def take(
    installation: Installation, organisation: ParticipantIdentifier, item: IncomingEnvelope, data: bytes
) -> bool:
    """Accept as interface A does: expected to be new, and otherwise recorded as a duplicate."""
    async with installation.open(organisation, AP) as vault:
        stored = await body(vault, data)
        vault.expect()
        vault.keep_certificate(CERTIFICATE, now=NOW)
        vault.record(RECEIVED, envelope=item.envelope_id)
        if await vault.accept(item, stored, b"<receipt/>", now=NOW):
            return True
        vault.record(DUPLICATE, envelope=item.envelope_id)
        assert await vault.known_receipt(item.as4_message_id, item.peer) == b"<receipt/>"
    return False


async def logged(
    installation: Installation, organisation: ParticipantIdentifier, after: int = 1
) -> list[str]:
    async with installation.open(organisation, AP) as vault:
        return [entry.event for entry in await vault.log(after)]


async def waiting(installation: Installation, organisation: ParticipantIdentifier) -> list[bytes]:
    """Return the waiting envelopes, each read in whole, without those whose object is gone."""
    async with installation.open(organisation, AP) as vault:
        bodies = [await vault.incoming_body(item.id) for item in await vault.inbox(100)]
    found: list[bytes] = []
    for each in bodies:
        with contextlib.suppress(SealBroken, VaultUnavailable):
            found += [await each.read_all()] if each is not None else []
    return found


async def test_what_comes_about_as_expected_is_one_round_trip_with_its_entry_and_the_commit(
    installation: Installation, organisation: ParticipantIdentifier, sent: Sent
) -> None:
    item = incoming()
    assert await take(installation, organisation, item, b"<xhe/>")
    (only,) = sent
    assert (only[0][0], only[-1][0]) == ("BEGIN", "COMMIT")
    assert await logged(installation, organisation) == [RECEIVED]
    assert await waiting(installation, organisation) == [b"<xhe/>"]


async def test_of_what_does_not_come_about_nothing_is_left_and_the_opening_goes_on(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    item = incoming()
    assert await take(installation, organisation, item, LARGE)
    objects = installation.objects(organisation)
    assert not await take(installation, organisation, item, LARGE)
    assert await logged(installation, organisation) == [RECEIVED, DUPLICATE]
    assert installation.objects(organisation) == objects, "the body of the duplicate must be deleted"
    assert await waiting(installation, organisation) == [LARGE]


async def test_what_does_not_come_about_undoes_nothing_that_the_opening_did_before(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        ended = await submitted(vault)
        await vault.failed(ended.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
    async with installation.open(organisation, AP) as vault:
        after = await vault.log_end()
    async with installation.open(organisation, AP) as vault:
        other = await submitted(vault)
        vault.record(APEvent.AP_TRANSFER_QUEUED, envelope=other.envelope.envelope_id)
        vault.expect()
        vault.record(APEvent.AP_TRANSFER_DELIVERED, envelope=ended.envelope.envelope_id)
        assert not await vault.delivered(ended.id, now=NOW, receipt=b"<receipt/>", peer="AP0002-SDK-TEST")
    async with installation.open(organisation, AP) as vault:
        assert [each.id for each in await vault.waiting(9)] == [other.id]
    assert (await logged(installation, organisation, after))[0] == APEvent.AP_TRANSFER_QUEUED
    assert APEvent.AP_TRANSFER_DELIVERED not in await logged(installation, organisation)


async def test_a_transfer_that_ended_as_expected_tells_its_message_service(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, LARGE)
    async with installation.open(organisation, AP) as vault:
        vault.expect()
        vault.record(APEvent.AP_TRANSFER_DELIVERED, envelope=transfer.envelope.envelope_id)
        assert await vault.delivered(transfer.id, now=NOW, receipt=b"<receipt/>", peer="AP0002-SDK-TEST")
    async with installation.open(organisation, AP) as vault:
        (event,) = await vault.events(0, 9)
    assert (event.transfer_id, event.state) == (transfer.id, "delivered")
    assert installation.objects(organisation) == set(), "its body must be deleted"


async def test_an_opening_that_ended_as_expected_takes_nothing_more(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        stored = await body(vault)
        vault.expect()
        assert await vault.accept(incoming(), stored, b"", now=NOW)
        with pytest.raises(VaultClosed):
            vault.record(RECEIVED)
        with pytest.raises(VaultClosed):
            await vault.inbox(1)
        with pytest.raises(VaultClosed):
            vault.expect()
    assert await logged(installation, organisation) == [GRANTED], "only the opening must be in the log"


async def test_what_comes_about_at_the_second_look_has_what_was_to_go_with_it(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the meantime another opening removed the obstacle."""
    run = Session.run

    async def not_so_at_first(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
        expected = any("1 / (" in sql for sql, _ in statements)
        if expected and installation.is_logged_in(session, organisation):
            statements = [("BEGIN", ()), ("SELECT 1 / 0", ())]
        return await run(session, statements)

    monkeypatch.setattr(Session, "run", not_so_at_first)
    assert await take(installation, organisation, incoming(), b"<xhe/>")
    assert await logged(installation, organisation) == [RECEIVED]
    assert await waiting(installation, organisation) == [b"<xhe/>"]


async def test_another_failure_than_that_it_is_not_so_is_raised_and_nothing_is_committed(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def refused_and_ignored() -> None:
        async with installation.open(organisation, AP) as vault:
            stored = await body(vault, LARGE)
            vault.expect()
            vault.record(RECEIVED, envelope="e")
            with contextlib.suppress(VaultRefused):
                await vault.accept(incoming("no\0text"), stored, b"", now=NOW)

    with pytest.raises(VaultRefused):
        await refused_and_ignored()
    assert await logged(installation, organisation) == []
    assert await waiting(installation, organisation) == []


async def test_what_is_committed_stays_when_the_opening_raises_afterwards(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async def taken_and_failed() -> None:
        async with installation.open(organisation, AP) as vault:
            stored = await body(vault, LARGE)
            vault.expect()
            vault.record(RECEIVED, envelope="e")
            assert await vault.accept(incoming(), stored, b"", now=NOW)
            raise KeyError

    with pytest.raises(KeyError):
        await taken_and_failed()
    assert await logged(installation, organisation) == [RECEIVED]
    assert await waiting(installation, organisation) == [LARGE]


@pytest.mark.parametrize("how", ["cut", "cancelled"])
async def test_a_body_whose_commit_is_not_known_stays(
    installation: Installation,
    organisation: ParticipantIdentifier,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """The answer to the commit is lost, or its reader is gone; the caller repeats the work."""
    run, committed = Session.run, asyncio.Event()

    async def then_lost(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
        answer = await run(session, statements)
        whole = statements[0][0] == "BEGIN" and statements[-1][0] == "COMMIT"
        if whole and installation.is_logged_in(session, organisation):
            session.close()
            committed.set()
            if how == "cancelled":
                await asyncio.Event().wait()
            raise VaultUnavailable
        return answer

    item = incoming()
    with monkeypatch.context() as patched:
        patched.setattr(Session, "run", then_lost)
        taking = asyncio.create_task(take(installation, organisation, item, LARGE))
        await committed.wait()
        if how == "cancelled":
            taking.cancel()
        with pytest.raises((VaultUnavailable, asyncio.CancelledError)):
            await taking
    assert not await take(installation, organisation, item, LARGE)
    assert await waiting(installation, organisation) == [LARGE]


async def test_a_question_that_ends_the_opening_is_in_the_log_where_it_showed_something(
    installation: Installation, organisation: ParticipantIdentifier, sent: Sent
) -> None:
    async def news() -> News:
        async with installation.open(organisation, AP) as vault:
            return await vault.news([], after=0, past="", limit=50, small=1 << 10, now=NOW)

    assert await news() == News((), (), ())
    assert await take(installation, organisation, incoming(), b"<xhe/>")
    sent.clear()
    (item,) = (await news()).inbox
    assert item.envelope == b"<xhe/>"
    assert len(sent) == 1
    assert await logged(installation, organisation) == [RECEIVED, GRANTED]


# --- several things that are supposed to come about -----------------------------------------------------

OUT, DONE = Direction.OUT, MessageStatus.ACCEPTED


async def sent_messages(installation: Installation, organisation: ParticipantIdentifier) -> tuple[str, str]:
    records = message(), message()
    async with installation.open(organisation, MT) as vault:
        for record in records:
            assert await vault.create_outgoing(record, await body(vault), now=NOW, lease=MINUTE)
    return records[0].id, records[1].id


async def end(vault: MessageServiceVault, message_id: str) -> bool:
    """Set a message's final status, once."""
    moved = await vault.set_status(message_id, DONE, [], now=NOW, deadline=None, direction=OUT)
    vault.record(MTEvent.MT_MESSAGE_ACCEPTED if moved else MTEvent.MT_MESSAGE_LATE, message=message_id)
    return moved


async def ended(
    installation: Installation, organisation: ParticipantIdentifier, *ids: str
) -> tuple[list[bool], list[str]]:
    """Return whether each message has ended, and the log's events about their ends."""
    async with installation.open(organisation, MT) as vault:
        records = [await vault.message(each, OUT) for each in ids]
        told = [entry.event for entry in await vault.log(1)]
    about = (MTEvent.MT_MESSAGE_ACCEPTED, MTEvent.MT_MESSAGE_LATE)
    return [each is not None and each.status is DONE for each in records], [x for x in told if x in about]


async def test_what_is_supposed_and_is_so_is_one_round_trip_with_its_entries_and_the_commit(
    installation: Installation, organisation: ParticipantIdentifier, sent: Sent
) -> None:
    one, other = await sent_messages(installation, organisation)
    sent.clear()
    async with installation.open(organisation, MT) as vault:

        async def both() -> None:
            assert await end(vault, one)
            assert await end(vault, other)

        assert await vault.suppose(both)
        with pytest.raises(VaultClosed):
            vault.record(MTEvent.MT_MESSAGE_LATE)
    assert [trip[-1][0] for trip in sent] == ["COMMIT"]
    accepted = [MTEvent.MT_MESSAGE_ACCEPTED] * 2
    assert await ended(installation, organisation, one, other) == ([True, True], accepted)


@pytest.mark.parametrize("begun", [False, True], ids=["at once", "after a question"])
async def test_of_what_was_supposed_nothing_is_done_where_one_thing_is_not_so(
    installation: Installation, organisation: ParticipantIdentifier, begun: bool
) -> None:
    one, other = await sent_messages(installation, organisation)
    async with installation.open(organisation, MT) as vault:
        assert await end(vault, other)
    async with installation.open(organisation, MT) as vault:
        if begun:
            assert await vault.message(one, OUT) is not None
        await vault.set_cursor("place", 7)

        async def both() -> None:
            await end(vault, one)
            await end(vault, other)

        assert not await vault.suppose(both)
    accepted = [MTEvent.MT_MESSAGE_ACCEPTED]
    assert await ended(installation, organisation, one, other) == ([False, True], accepted)
    async with installation.open(organisation, MT) as vault:
        assert await vault.cursor("place") == 7, "earlier changes must be kept"


async def test_the_body_of_what_was_supposed_and_is_not_so_goes_with_its_opening(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    item = incoming()
    assert await take(installation, organisation, item, b"<xhe/>")
    async with installation.open(organisation, AP) as vault:
        bodies = [await body(vault, LARGE) for _ in range(2)]

        async def both() -> None:
            for each, stored in zip((incoming(), item), bodies, strict=True):
                await vault.accept(each, stored, b"<receipt/>", now=NOW)

        assert not await vault.suppose(both)
    assert installation.objects(organisation) == set()
    assert await waiting(installation, organisation) == [b"<xhe/>"]


async def test_what_was_to_be_remembered_of_what_was_supposed_is_forgotten_where_it_is_not_so(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """Otherwise a certificate that the log names would count as stored without existing anywhere."""
    item, certificate = incoming(), os.urandom(64)
    assert await take(installation, organisation, item, b"<xhe/>")
    async with installation.open(organisation, AP) as vault:
        stored = await body(vault, b"<xhe/>")

        async def again() -> None:
            vault.keep_certificate(certificate, now=NOW)
            await vault.accept(item, stored, b"<receipt/>", now=NOW)

        assert not await vault.suppose(again)
    async with installation.open(organisation, AP) as vault:
        vault.keep_certificate(certificate, now=NOW)
    async with installation.open(organisation, AP) as vault:
        assert await vault.certificate(sha256(certificate).hexdigest()) == certificate


async def test_an_opening_in_which_nothing_came_of_what_was_supposed_leaves_no_entry(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    item = incoming()
    assert await take(installation, organisation, item, b"<xhe/>")
    async with installation.open(organisation, AP) as vault:
        before = await vault.log_end()
    async with installation.open(organisation, AP) as vault:
        stored = await body(vault, b"<xhe/>")

        async def again() -> None:
            await vault.accept(item, stored, b"<receipt/>", now=NOW)

        assert not await vault.suppose(again)
    async with installation.open(organisation, AP) as vault:
        assert await vault.log_end() == before


async def test_what_has_an_object_cannot_be_supposed_to_be_gone_since_that_is_to_be_removed(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, LARGE)
        await vault.accept(incoming(), await body(vault, LARGE), b"<receipt/>", now=NOW)
        (item,) = await vault.inbox(1)

    async def nothing() -> None:
        pass

    async with installation.open(organisation, AP) as vault:

        async def delivered() -> None:
            await vault.delivered(transfer.id, now=NOW, receipt=b"<receipt/>", peer="AP0002-SDK-TEST")

        assert not await vault.suppose(delivered)
        taken = {item.id: item.envelope_id}
        assert (
            await vault.supposed_news(nothing, taken, after=0, past="", limit=1, small=1000, now=NOW) is None
        )
    async with installation.open(organisation, AP) as vault:
        assert [one.id for one in await vault.waiting(9)] == [transfer.id]
        assert [one.id for one in await vault.inbox(9)] == [item.id]


async def test_nothing_is_read_while_something_is_supposed(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    one, _ = await sent_messages(installation, organisation)
    async with installation.open(organisation, MT) as vault:

        async def reading() -> None:
            await vault.message(one)

        with pytest.raises(RuntimeError):
            await vault.suppose(reading)
        assert await vault.message(one) is not None


@pytest.mark.parametrize("failure", [VaultUnavailable("no socket"), TimeoutError()], ids=["away", "late"])
@pytest.mark.parametrize("asked", ["look", "expected", "supposed"])
async def test_what_was_held_back_is_not_left_out_where_there_was_no_connection_for_it(
    installation: Installation,
    organisation: ParticipantIdentifier,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    failure: Exception,
) -> None:
    """A caller may go on after the failure: then the opening fails as a whole at its end."""
    item, pool = incoming(), installation.gate._pool

    async def without_connection(login: Login) -> Session:
        raise failure

    async def accept(vault: AccessPointVault) -> None:
        vault.record(RECEIVED, envelope=item.envelope_id)
        await vault.accept(item, await body(vault), b"<receipt/>", now=NOW)

    async def opened() -> None:
        async with installation.open(organisation, AP) as vault:
            vault._work.later("SELECT 1 / 0")
            with monkeypatch.context() as patched, contextlib.suppress(VaultUnavailable, TimeoutError):
                patched.setattr(pool, "borrow", without_connection)
                if asked == "look":
                    vault.record(RECEIVED, envelope=item.envelope_id)
                    await vault.inbox(1)
                elif asked == "expected":
                    vault.expect()
                    await accept(vault)
                else:
                    await vault.suppose(partial(accept, vault))

    with pytest.raises(VaultUnavailable):
        await opened()
    assert await logged(installation, organisation) == []
