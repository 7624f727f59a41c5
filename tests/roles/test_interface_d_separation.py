"""Every operation of interface D, tried on messages of another organisation and of another client (R5).

The operations are taken from the application: one without a case here fails.
Another client's record looks like a missing one, whether it exists or not,
and the request is recorded in the log of the organisation that made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import uuid4

import pytest

from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.interface_d.application import InterfaceD
from tests.roles import web
from tests.roles.member import MT, Member
from tests.roles.messageclient import MESSAGES, MessageClient, document
from tests.roles.stage import Stage
from tests.roles.test_interface_d_events import Stream

Case = Callable[[Stage, MessageClient, str], Awaitable[object]]
"""Tries to reach another client's message; returns the answer, which is the same for any other id."""


def as_nothing(answer: web.Answer, message_id: str) -> object:
    assert message_id.encode() not in answer.body
    return answer


async def send(stage: Stage, client: MessageClient, message_id: str) -> object:
    """Refer to another client's message, which must not reveal anything about it."""
    made = document(stage.habo.address, stage.agency.address, refToMessageId=message_id)
    answer = await client.send(made)
    assert answer.status == 400, "the sender address is not the client's"
    return [
        {name: value for name, value in issue.items() if name not in ("dateTime", "instance")}
        for issue in answer.document()["eventIssues"]
    ]


async def list_(stage: Stage, client: MessageClient, message_id: str) -> object:
    answer = await client.list()
    assert answer.status == 200
    return None if message_id.encode() not in answer.body else answer


async def read(stage: Stage, client: MessageClient, message_id: str) -> object:
    answer = await client.get(message_id)
    assert answer.status == 404
    return as_nothing(answer, message_id)


async def evidence(stage: Stage, client: MessageClient, message_id: str) -> object:
    answer = await client.call("GET", f"{MESSAGES}/{message_id}/evidence?original=true")
    assert answer.status == 404
    return as_nothing(answer, message_id)


async def delete(stage: Stage, client: MessageClient, message_id: str) -> object:
    answer = await client.delete(message_id)
    assert answer.status == 404
    return as_nothing(answer, message_id)


async def follow(stage: Stage, client: MessageClient, message_id: str) -> object:
    """Follow events from the beginning of the log, which must not mention the message."""
    async with Stream(client, after=0) as stream:
        return message_id in [event["id"] for event in await stream.so_far()]


async def read_log(stage: Stage, client: MessageClient, message_id: str) -> object:
    """Read the log: no path names an organisation, so it is the client's own."""
    for resource in ("checkpoint", "tile/entries/000", f"tile/entries/{message_id}"):
        answer = await client.call("GET", f"/v1/logs/mt/{resource}")
        assert answer.status in (200, 404)
        as_nothing(answer, message_id)
    assert answer.status == 404
    return answer.body


CASES: dict[tuple[str, str], Case] = {
    ("POST", MESSAGES): send,
    ("GET", MESSAGES): list_,
    ("GET", f"{MESSAGES}/{{messageId}}"): read,
    ("GET", f"{MESSAGES}/{{messageId}}/evidence"): evidence,
    ("DELETE", f"{MESSAGES}/{{messageId}}"): delete,
    ("GET", "/v1/sdk/events"): follow,
    ("GET", "/v1/logs/{role}/{resource:path}"): read_log,
}
DENIED = {send, read, evidence, delete}
"""Cases that name something out of reach, so the attempt is logged."""

STRANGERS: dict[str, Callable[[Stage], MessageClient]] = {
    "another organisation": lambda stage: stage.client(stage.mullsjo, "*"),
    "another organisation at another operator": lambda stage: stage.client(stage.agency, "x*"),
    "another client of the organisation": lambda stage: stage.client(stage.habo, "sdk.annan", name="annan"),
}


def asker(stage: Stage, who: str) -> Member:
    return {"another organisation": stage.mullsjo, "another client of the organisation": stage.habo}.get(
        who, stage.agency
    )


def test_every_operation_has_a_case() -> None:
    nothing = cast(Any, None)
    operations = InterfaceD(nothing, nothing, (), nothing, nothing, nothing).operations
    assert {(one.method, one.path) for one in operations} == set(CASES)


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("operation", list(CASES), ids=" ".join)
async def test_a_client_reaches_nothing_of_another(
    stage: Stage, operation: tuple[str, str], who: str
) -> None:
    habo, member, case = stage.habo, asker(stage, who), CASES[operation]
    message_id = await stage.client(habo).sends(document(habo.address, stage.agency.address))
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED
    before = await habo.record(message_id, Direction.OUT), await habo.events(message_id)
    unknown = str(uuid4())
    stranger = STRANGERS[who](stage)
    assert await case(stage, stranger, message_id) == await case(stage, stranger, unknown)
    assert (await habo.record(message_id, Direction.OUT), await habo.events(message_id)) == before
    if case in DENIED and case is not send:
        for asked in (message_id, unknown):
            entry = await member.logged(MT, asked, MTEvent.MT_CLIENT_DENIED)
            assert entry.principal.startswith("system:")
    if member is not habo:
        happened = await habo.happened(MT, message_id)
        assert MTEvent.MT_CLIENT_DENIED not in happened, "the other organisation's log must not have an entry"


async def test_a_pattern_lists_what_it_covers(stage: Stage) -> None:
    """Another client of the organisation may see many addresses, but not this one."""
    habo = stage.habo
    message_id = await stage.client(habo).sends(document(habo.address, stage.agency.address))
    assert message_id in await stage.client(habo, "sdk.*").listed()
    assert message_id not in await stage.client(habo, "annan.*", name="annan").listed()


async def test_clients_at_once_get_their_own_alone(stage: Stage) -> None:
    """Requests of several organisations and clients are mixed."""
    members = (stage.habo, stage.mullsjo, stage.agency)
    clients = [stage.client(member) for member in members]
    sent = [
        await client.sends(document(member.address, stage.agency.address))
        for client, member in zip(clients, members, strict=True)
        for _ in range(2)
    ]
    for message_id in sent:
        assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW
    asked = [(place, message_id) for place in range(3) for message_id in sent] * 3
    answers = await asyncio.gather(*(clients[place].get(message_id) for place, message_id in asked))
    for (place, message_id), answer in zip(asked, answers, strict=True):
        is_its_own = members[sent.index(message_id) // 2] is members[place]
        came_in = members[place] is stage.agency
        assert (answer.status == 200) == (is_its_own or came_in)
        assert answer.status == 404 or answer.document()["data"]["id"] == message_id
