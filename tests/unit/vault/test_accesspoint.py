"""The access point's vault: idempotent submission, claims with leases, evidence, duplicates, events."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from secrets import token_hex

import pytest

from samdrift.accesspoint.events import APEvent
from samdrift.contracts.principals import Role
from samdrift.contracts.transfer import TransferReason, TransferState
from samdrift.vault.accesspoint import AccessPointVault, News
from samdrift.vault.database.session import Row, Session, Statement
from samdrift.vault.errors import UnknownRecord, VaultRefused
from samdrift.vault.events import VaultEvent
from samdrift.vault.records import Attempt
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.vaults import MINUTE, NOW, Installation, body, incoming, outgoing, submitted

AP = Role.ACCESS_POINT
ROLES = (AP,)
LARGE = b"x" * 300_000


async def test_a_submitted_envelope_is_born_claimed_with_its_first_attempt(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        envelope = outgoing(organisation)
        stored = await body(vault, b"<xhe/>")
        transfer, created = await vault.submit(envelope, stored, as4_message_id="a@b", now=NOW, lease=MINUTE)
    assert created
    assert (transfer.envelope, transfer.state, transfer.attempts) == (
        envelope,
        TransferState.QUEUED,
        (Attempt(NOW),),
    )
    assert (transfer.size, transfer.digest) == (stored.size, stored.sha256)
    async with installation.open(organisation, AP) as vault:
        assert await vault.next_due() == NOW + MINUTE
        assert await vault.claim_transfers(now=NOW, lease=MINUTE, limit=9) == ()
        assert await (await vault.outgoing_body(transfer.id)).read_all() == b"<xhe/>"


async def test_submitting_again_gives_the_first_transfer(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    envelope = outgoing(organisation)
    results = []
    for as4_message_id, data in (("one@ap", LARGE), ("two@ap", LARGE + b"2")):
        async with installation.open(organisation, AP) as vault:
            results.append(
                await vault.submit(
                    envelope, await body(vault, data), as4_message_id=as4_message_id, now=NOW, lease=MINUTE
                )
            )
    (first, created), (second, created_again) = results
    assert (created, created_again) == (True, False)
    assert second == first
    async with installation.open(organisation, AP) as vault:
        assert await (await vault.outgoing_body(first.id)).read_all() == LARGE
        await vault.failed(first.id, now=NOW, reason=TransferReason.GIVEN_UP, detail="")
    assert installation.objects(organisation) == set(), "the body of the repeated submission must be deleted"


async def test_concurrent_submissions_of_one_envelope_store_it_once(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    envelope = outgoing(organisation)

    async def submit(number: int) -> bool:
        async with installation.open(organisation, AP) as vault:
            _, created = await vault.submit(
                envelope, await body(vault), as4_message_id=f"{number}@ap", now=NOW, lease=MINUTE
            )
        return created

    assert sorted(await asyncio.gather(*map(submit, range(6)))) == [False] * 5 + [True]


async def test_each_due_transfer_is_claimed_by_one_worker_the_longest_due_first(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfers = [await submitted(vault) for _ in range(20)]

    async def claim() -> list[str]:
        async with installation.open(organisation, AP) as vault:
            claimed = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=4)
            await asyncio.sleep(0.02)
            return [transfer.id for transfer in claimed]

    claims = await asyncio.gather(*(claim() for _ in range(7)))
    assert sorted(each for claim in claims for each in claim) == sorted(transfer.id for transfer in transfers)


async def test_transfers_are_claimed_in_turns_of_their_recipients_however_many_wait_for_one(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    a, b, c = (ParticipantIdentifier(f"0203:{name}.se") for name in "abc")
    async with installation.open(organisation, AP) as vault:
        for recipient in (a, a, a, a, a, a, b, b, c):
            await submitted(vault, recipient=recipient)

        async def claim(limit: int, after: str, busy: tuple[ParticipantIdentifier, ...] = ()) -> str:
            claimed = await vault.claim_transfers(
                now=NOW, lease=MINUTE, limit=limit, of_one=3, busy=busy, after=after
            )
            return "".join(sorted(transfer.envelope.recipient.value[5] for transfer in claimed))

        assert await claim(1, "") == "a"
        assert await claim(1, a.value) == "b", "the recipient after the last one comes next"
        assert await claim(3, b.value) == "abc", "after the last recipient, the first one comes again"
        assert await claim(4, c.value, (a, a)) == "a", "one recipient may have at most three"
        assert await claim(4, c.value, (a, a, a)) == ""
        assert await claim(4, c.value) == "aaa"
        assert await vault.next_due() == await vault.due_after(NOW) == NOW + MINUTE


async def test_a_lease_that_runs_out_gives_the_transfer_to_another_with_one_more_attempt(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
        (first,) = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=1)
        assert await vault.claim_transfers(now=NOW + MINUTE / 2, lease=MINUTE, limit=1) == ()
        (second,) = await vault.claim_transfers(now=NOW + MINUTE, lease=MINUTE, limit=1)
    assert first.attempts == (Attempt(NOW),)
    assert second.attempts == (Attempt(NOW), Attempt(NOW + MINUTE))


async def test_a_postponed_transfer_keeps_what_its_attempt_signed(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        await submitted(vault)
        (claimed,) = await vault.claim_transfers(now=NOW, lease=MINUTE, limit=1)
        assert await vault.postpone(
            claimed.id,
            now=NOW,
            next_attempt=NOW + 4 * MINUTE,
            reason=TransferReason.PEER_UNREACHABLE,
            detail="connection refused",
            references=(b"cid:message 00ff", b"\x00"),
        )
        assert await vault.next_due() == NOW + 4 * MINUTE
        (again,) = await vault.claim_transfers(now=NOW + 4 * MINUTE, lease=MINUTE, limit=1)
    async with installation.open(organisation, AP) as vault:
        (event,) = await vault.events(0, 10)
    assert again.attempts == (
        Attempt(NOW, (b"cid:message 00ff", b"\x00"), "peer-unreachable: connection refused"),
        Attempt(NOW + 4 * MINUTE),
    )
    assert (event.state, event.reason, event.detail) == (
        TransferState.QUEUED,
        TransferReason.PEER_UNREACHABLE,
        "connection refused",
    )


async def end(vault: AccessPointVault, transfer_id: str, how: str) -> bool:
    if how == "delivered":
        return await vault.delivered(transfer_id, now=NOW, receipt=b"<receipt/>", peer="AP0002")
    return await vault.failed(transfer_id, now=NOW, reason=TransferReason.GIVEN_UP, detail="4 attempts")


@pytest.mark.parametrize("how", ["delivered", "failed"])
async def test_a_final_transfer_stays_final_and_loses_its_body(
    installation: Installation, organisation: ParticipantIdentifier, how: str
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, LARGE, lease=MINUTE)
    assert len(installation.objects(organisation)) == 1
    async with installation.open(organisation, AP) as vault:
        assert await end(vault, transfer.id, how)
        assert len(installation.objects(organisation)) == 1, (
            "the body must stay until the end of the transfer is committed"
        )
    assert installation.objects(organisation) == set()
    async with installation.open(organisation, AP) as vault:
        for other in ("delivered", "failed"):
            assert not await end(vault, transfer.id, other)
        assert not await vault.postpone(
            transfer.id, now=NOW, next_attempt=NOW, reason=TransferReason.NONE, detail=""
        )
        with pytest.raises(UnknownRecord):
            await vault.outgoing_body(transfer.id)
        assert await vault.next_due() is None
        assert [event.state.value for event in await vault.events(0, 10)] == [how]


async def test_a_body_stays_when_the_end_is_rolled_back(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        transfer = await submitted(vault, LARGE, lease=MINUTE)

    async def fail_at_the_end() -> None:
        async with installation.open(organisation, AP) as vault:
            assert await end(vault, transfer.id, "delivered")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_at_the_end()
    async with installation.open(organisation, AP) as vault:
        assert await (await vault.outgoing_body(transfer.id)).read_all() == LARGE
        await end(vault, transfer.id, "failed")


async def test_events_come_in_the_order_of_commit_without_gaps_for_a_reader(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """A reader that remembers the last sequence misses nothing, however many write at the same time."""
    async with installation.open(organisation, AP) as vault:
        transfers = [await submitted(vault, lease=MINUTE) for _ in range(24)]
    seen: list[int] = []
    done = asyncio.Event()

    async def read() -> None:
        while not done.is_set() or seen[-1:] != [24]:
            async with installation.open(organisation, AP) as vault:
                seen.extend(event.sequence for event in await vault.events(seen[-1] if seen else 0, 5))
            await asyncio.sleep(0)

    async def write(transfer_id: str, how: str) -> None:
        async with installation.open(organisation, AP) as vault:
            await end(vault, transfer_id, how)
            await asyncio.sleep(0.003)

    reader = asyncio.create_task(read())
    await asyncio.gather(
        *(write(each.id, ("delivered", "failed")[number % 2]) for number, each in enumerate(transfers))
    )
    done.set()
    await asyncio.wait_for(reader, 60)
    assert seen == list(range(1, 25))


async def test_openings_never_wait_for_each_other_in_a_circle(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    """An opening with an entry to write locks the log's head last, and does not delay transfers by it."""
    async with installation.open(organisation, AP) as vault:
        one, other = [(await submitted(vault, lease=MINUTE)).id for _ in range(2)]
    both_have_one = asyncio.Barrier(2)

    async def end_both() -> list[bool]:
        async with installation.open(organisation, AP) as vault:
            ended = [await end(vault, one, "failed")]
            await vault.next_due()
            await both_have_one.wait()
            return [*ended, await end(vault, other, "failed")]

    async def end_other() -> bool:
        async with installation.open(organisation, AP) as vault:
            ended = await end(vault, other, "failed")
            await both_have_one.wait()
            await asyncio.sleep(0.1)
            return ended

    assert await asyncio.gather(end_both(), end_other()) == [[True, False], True]


async def test_an_accepted_envelope_waits_until_it_is_acknowledged(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    item = incoming()
    async with installation.open(organisation, AP) as vault:
        assert await vault.accept(item, await body(vault, LARGE), b"<receipt/>", now=NOW)
    async with installation.open(organisation, AP) as vault:
        (waiting,) = await vault.inbox(10)
        reader = await vault.incoming_body(waiting.id)
    assert reader is not None
    assert await reader.read_all() == LARGE, "the body must be readable after the vault was closed"
    assert (waiting.envelope_id, waiting.sender, waiting.peer, waiting.received_at, waiting.size) == (
        item.envelope_id,
        item.sender,
        item.peer,
        NOW,
        len(LARGE),
    )
    async with installation.open(organisation, AP) as vault:
        assert await vault.acknowledge(waiting.id, now=NOW) == item.envelope_id
        assert await vault.acknowledge(waiting.id, now=NOW) is None
        assert await vault.inbox(10) == ()
        assert await vault.incoming_body(waiting.id) is None
    assert installation.objects(organisation) == set()


async def _news(
    installation: Installation, organisation: ParticipantIdentifier, *taken: str, small: int = 1 << 20
) -> News:
    async with installation.open(organisation, AP) as vault:
        return await vault.news(taken, after=0, past="", limit=50, small=small, now=NOW)


async def test_small_envelopes_come_with_the_news_of_them_in_one_round_trip(
    installation: Installation, organisation: ParticipantIdentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = incoming()
    async with installation.open(organisation, AP) as vault:
        await vault.accept(item, await body(vault, b"<small/>"), b"", now=NOW)
        await vault.accept(incoming(), await body(vault, LARGE), b"", now=NOW + MINUTE)
        trips: list[Sequence[Statement]] = []
        run = Session.run

        async def counted(session: Session, statements: Sequence[Statement]) -> list[list[Row]]:
            if installation.is_logged_in(session, organisation):
                trips.append(statements)
            return await run(session, statements)

        monkeypatch.setattr(Session, "run", counted)
        news = await vault.news(["nobody's"], after=0, past="", limit=50, small=1 << 20, now=NOW)
        assert len(trips) == 1
        assert await vault.inbox(50) == tuple(replace(one, envelope=None) for one in news.inbox)
    assert [one.envelope for one in news.inbox] == [b"<small/>", None], (
        "an envelope in the object store must be fetched separately"
    )
    assert (news.acknowledged, news.events) == ((), ())
    waiting = news.inbox[0].id
    assert (await _news(installation, organisation, waiting)).acknowledged == (item.envelope_id,)
    assert (await _news(installation, organisation, waiting)).acknowledged == ()


async def test_envelopes_come_with_the_news_as_far_as_they_are_not_too_much_together(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    eighth = b"x" * (1 << 17)
    async with installation.open(organisation, AP) as vault:
        for number in range(10):
            at = NOW + timedelta(seconds=number)
            await vault.accept(incoming(), await body(vault, eighth), b"", now=at)
    for small, came in ((1 << 20, 8), (len(eighth), 8), (len(eighth) - 1, 0), (0, 0)):
        inbox = (await _news(installation, organisation, small=small)).inbox
        assert [one.envelope for one in inbox] == [eighth] * came + [None] * (10 - came)


async def test_an_envelope_that_does_not_open_hides_no_other_one(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        broken = await body(vault, b"<xhe/>")
        assert broken.sealed is not None
        altered = replace(broken, sealed=broken.sealed[:-1] + bytes([broken.sealed[-1] ^ 1]))
        await vault.accept(incoming(), altered, b"", now=NOW)
        await vault.accept(incoming(), await body(vault, b"<xhe/>"), b"", now=NOW + MINUTE)
    inbox = (await _news(installation, organisation)).inbox
    assert [one.envelope for one in inbox] == [None, b"<xhe/>"]


async def test_invariant_15_what_shows_an_envelope_has_an_entry_of_its_own_beside_what_it_did(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        for _ in range(2):
            await vault.accept(incoming(), await body(vault), b"", now=NOW)
        before = await vault.log_end()
    for small, beside in ((0, []), (1 << 10, [VaultEvent.VAULT_OPENING_GRANTED])):
        item, *_ = (await _news(installation, organisation, small=0)).inbox
        async with installation.open(organisation, AP) as vault:
            before = await vault.log_end()
            await vault.news([item.id], after=0, past="", limit=50, small=small, now=NOW)
            await vault.accept(incoming(), await body(vault), b"", now=NOW)
            vault.record(APEvent.AP_ENVELOPE_ACKNOWLEDGED, envelope=item.envelope_id)
        async with installation.open(organisation, AP) as vault:
            entries = await vault.log(before)
        assert [entry.event for entry in entries] == [*beside, APEvent.AP_ENVELOPE_ACKNOWLEDGED]


async def test_a_duplicate_gets_the_first_receipt_also_after_acknowledgement(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    item = incoming("one@peer")
    async with installation.open(organisation, AP) as vault:
        assert await vault.accept(item, await body(vault), b"<first/>", now=NOW)
        (waiting,) = await vault.inbox(1)
        await vault.acknowledge(waiting.id, now=NOW)
    async with installation.open(organisation, AP) as vault:
        assert not await vault.accept(item, await body(vault, LARGE), b"<second/>", now=NOW)
        assert await vault.known_receipt("one@peer", item.peer) == b"<first/>"
        assert await vault.known_receipt("two@peer", item.peer) is None
        assert await vault.inbox(10) == ()
    assert installation.objects(organisation) == set()


async def test_one_peer_cannot_take_another_peers_message_id(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        assert await vault.accept(incoming("one@peer", "AP0001"), await body(vault), b"<1/>", now=NOW)
        assert await vault.accept(incoming("one@peer", "AP0002"), await body(vault), b"<2/>", now=NOW)
        assert await vault.known_receipt("one@peer", "AP0001") == b"<1/>"


async def test_the_inbox_is_oldest_first_and_bounded(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    items = [incoming() for _ in range(5)]
    async with installation.open(organisation, AP) as vault:
        for number, item in enumerate(items):
            await vault.accept(item, await body(vault), b"", now=NOW + timedelta(seconds=number))
        found = [waiting.envelope_id for waiting in await vault.inbox(3)]
    assert found == [item.envelope_id for item in items[:3]]


async def test_the_inbox_goes_on_after_an_item_also_when_it_was_acknowledged_meanwhile(
    installation: Installation, organisation: ParticipantIdentifier
) -> None:
    async with installation.open(organisation, AP) as vault:
        for number in range(5):
            at = NOW + timedelta(seconds=number // 3)
            await vault.accept(incoming(), await body(vault), b"", now=at)
        everything = await vault.inbox(10)
        for place, item in enumerate(everything, 1):
            assert await vault.inbox(10, item.id) == everything[place:]
        await vault.acknowledge(everything[1].id, now=NOW)
        assert await vault.inbox(10, everything[1].id) == everything[2:]
        assert await vault.inbox(10, "nobody's") == (everything[0], *everything[2:])


@pytest.mark.parametrize("identifier", ["a\0b", token_hex(10_000)], ids=["nul", "too long to index"])
async def test_an_identifier_that_cannot_be_stored_is_a_typed_error(
    installation: Installation, organisation: ParticipantIdentifier, identifier: str
) -> None:
    with pytest.raises(VaultRefused):
        async with installation.open(organisation, AP) as vault:
            await vault.accept(incoming(identifier), await body(vault), b"", now=NOW)
    async with installation.open(organisation, AP) as vault:
        assert await vault.inbox(10) == ()
