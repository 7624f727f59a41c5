"""Roles under cover by agreements: at its end new messages stop or continue, as configured.

Receiving continues, and every refused message has a reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest_asyncio

from samdrift.contracts.cover import COVERED, Cover, Mode, NotCovered
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.contracts.principals import Role
from samdrift.installation.cover import CoverKeeper
from samdrift.installation.events import RunEvent
from samdrift.messageservice.service import MessageInvalid
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.roles.letters import enclose, letter
from tests.roles.member import AP, MT
from tests.roles.messageclient import document
from tests.roles.stage import Stage
from tests.sizes import count, soak

ENDED = Cover(Mode.RECEIVING, datetime(2026, 11, 1, tzinfo=UTC))
GOES_ON = Cover(Mode.UNCOVERED, datetime(2026, 11, 1, tzinfo=UTC))
NOT_SENT = "The message is not sent: not-covered | New messages are not sent: no agreement covers it"


class Agreements:
    """Agreements of one member: the current cover of each role."""

    def __init__(self, whose: ParticipantIdentifier) -> None:
        self._whose = whose
        self.roles: dict[Role, Cover | Callable[[], Cover]] = {}

    async def __call__(self, organisation: ParticipantIdentifier, role: Role) -> Cover:
        found = self.roles.get(role, COVERED) if organisation == self._whose else COVERED
        return found if isinstance(found, Cover) else found()


@pytest_asyncio.fixture
async def agreements(stage: Stage) -> AsyncIterator[Agreements]:
    gate = stage.habo.operator.gate
    before, mine = gate._covers, Agreements(stage.habo.organisation)
    assert isinstance(before, CoverKeeper)
    gate.covered_by(mine)
    yield mine
    gate.covered_by(before)


async def receives(stage: Stage) -> None:
    """Check that a message to Habo arrives, and that its sender gets the receipt."""
    message_id = await stage.agency.send(stage.habo.address)
    assert await stage.agency.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.habo.ends(message_id, Direction.IN) is MessageStatus.NEW


async def test_an_installation_that_runs_asks_for_cover_and_says_that_it_is_inherited(stage: Stage) -> None:
    for member in (stage.habo, stage.agency):
        assert isinstance(member.operator.gate._covers, CoverKeeper)
        for role in (AP, MT):
            assert await member.operator.gate.cover(member.organisation, role) == COVERED
            async with member.open(role) as vault:  # type: ignore[call-overload]
                entries = [one for one in await vault.log(0, 5000) if one.event == RunEvent.COVER_CHANGED]
            assert entries[0].ids["state"] == "inherited"


async def test_a_message_client_is_told_that_new_messages_are_not_covered(
    stage: Stage, agreements: Agreements
) -> None:
    agreements.roles[MT] = ENDED
    sent = document(stage.habo.address, stage.agency.address)
    answer = await stage.client(stage.habo).send(sent)
    assert answer.status == 400
    issues = answer.document()["eventIssues"]
    assert "no agreement covers it since 2026-11-01 00:00:00Z" in issues[1]["detail"]
    assert "not-covered" in issues[1]["detail"]
    await receives(stage)


async def test_a_message_that_is_in_line_when_cover_ends_ends_with_a_reason(
    stage: Stage, agreements: Agreements
) -> None:
    answers = iter((COVERED,))
    agreements.roles[MT] = lambda: next(answers, ENDED)
    message_id = await stage.habo.send(stage.agency.address)
    assert (await stage.habo.failure(message_id)).startswith(NOT_SENT)
    assert await stage.agency.record(message_id, Direction.IN) is None


async def test_an_access_point_without_cover_takes_no_new_message_and_transfers_receipts(
    stage: Stage, agreements: Agreements
) -> None:
    agreements.roles[AP] = ENDED
    message_id = await stage.habo.send(stage.agency.address)
    assert (await stage.habo.failure(message_id)).startswith(NOT_SENT)
    assert await stage.habo.transfer_events(message_id) == []
    await receives(stage)


async def test_an_envelope_that_the_access_point_has_is_not_new(stage: Stage, agreements: Agreements) -> None:
    message = letter(stage.habo.address, stage.agency.address)
    await stage.habo.plant(message)
    envelope = enclose(message, await stage.habo.signing(), stage.agency.encryption)
    await stage.habo.submit(envelope)
    agreements.roles[AP] = ENDED
    interface = await stage.habo.interface_c()
    assert (await interface.submit(envelope.id, envelope.data)).status == 200
    other = letter(stage.habo.address, stage.agency.address)
    new = enclose(other, await stage.habo.signing(), stage.agency.encryption)
    assert (await interface.submit(new.id, new.data)).problem == (422, "not-covered")


async def test_sending_goes_on_where_that_was_chosen(stage: Stage, agreements: Agreements) -> None:
    agreements.roles = {AP: GOES_ON, MT: GOES_ON}
    message_id = await stage.habo.send(stage.agency.address)
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED


@soak
async def test_agreements_that_end_in_the_middle_of_traffic_have_exactly_the_chosen_effect(
    stage: Stage, agreements: Agreements
) -> None:
    """Each message is accepted, or ends with that reason and leaves nothing; incoming ones are kept."""
    number = count(40, 1000)
    sent, arrived, refused = list[str](), list[str](), 0

    async def ends_at(moment: int, place: int) -> None:
        nonlocal refused
        if place == moment:
            agreements.roles = {AP: ENDED, MT: ENDED}
        try:
            sent.append(await stage.habo.send(stage.agency.address))
        except MessageInvalid as invalid:
            refused += "not-covered" in str(invalid)
        if place % 4 == 0:
            arrived.append(await stage.agency.send(stage.habo.address))

    for batch in range(0, number, 10):
        await asyncio.gather(*(ends_at(number // 2 + 3, place) for place in range(batch, batch + 10)))
    # Sequentially, since hundreds of simultaneous polls would be the bottleneck.
    statuses = {message_id: await stage.habo.ends(message_id, within=600) for message_id in sent}
    for message_id, status in statuses.items():
        there = await stage.agency.record(message_id, Direction.IN)
        if status is MessageStatus.ACCEPTED:
            assert there is not None
        else:
            assert (await stage.habo.failure(message_id)).startswith(NOT_SENT)
            assert there is None
    assert len(sent) + refused == number
    assert refused >= number // 2 - 13
    assert sum(each is MessageStatus.ACCEPTED for each in statuses.values()) > 0
    for message_id in arrived:
        assert await stage.agency.ends(message_id) is MessageStatus.ACCEPTED
        assert await stage.habo.ends(message_id, Direction.IN) is MessageStatus.NEW


async def test_with_the_choice_to_go_on_an_end_in_the_middle_of_traffic_stops_nothing(
    stage: Stage, agreements: Agreements
) -> None:
    sent = []
    for place in range(count(12, 300)):
        if place == 6:
            agreements.roles = {AP: GOES_ON, MT: GOES_ON}
        sent.append(await stage.habo.send(stage.agency.address))
    for message_id in sent:
        assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED


def test_the_words_say_since_when() -> None:
    assert ENDED.since is not None
    assert str(NotCovered(ENDED.since)).endswith("since 2026-11-01 00:00:00Z; received messages still arrive")
