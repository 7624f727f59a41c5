"""Interface D from end to end, between real clients and a real message service: api-mt-mk 3 and 4."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from samdrift.audit.notes import VerifierKey
from samdrift.audit.promises import HEADER, Promise
from samdrift.contracts.messages import Direction, MessageStatus
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.service import MessageInvalid, MessageService
from samdrift.wire.codes import Detail, Reason
from samdrift.wire.findings import Finding
from tests.roles.letters import letter
from tests.roles.member import MT
from tests.roles.messageclient import MESSAGES, MessageClient, document, issues, text_document
from tests.roles.stage import Stage

_PDF = b"%PDF-1.4 " + bytes(range(256)) * 100
_SENDER = "senderAttention.subOrganization.extension"
_RECIPIENT = "recipientAttention.subOrganization.extension"
_A = "/data/attributes"


async def exchanged(stage: Stage, **changes: Any) -> str:
    """Send a message from Habo that reaches the agency; return its id."""
    sent = document(stage.habo.address, stage.agency.address, **changes)
    message_id = await stage.client(stage.habo).sends(sent)
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW
    return message_id


async def test_4_1_and_4_2_a_message_from_client_to_client(stage: Stage) -> None:
    """Sent, accepted, listed as new, fetched as it was sent, and deleted at both ends.

    Clauses: api-mt-mk 3 sentence 6, sentence 8, 4.1 step 5, step 7, step 9, 4.2 step 3, step 4, step 6, step
    6b, step 7, step 8; content-specification 4.2 sentence 1, 4.3.2 sentence 9, sentence 11, 4.3.2.3 sentence
    3.
    """
    sender, recipient = stage.client(stage.habo), stage.client(stage.agency)
    sent = document(
        stage.habo.address,
        stage.agency.address,
        digitalDocument=[text_document('Hej "å" <b>&\n😀', ("avtal.pdf", _PDF))],
        generatingSystem={"root": "1.2.3", "extension": "journal"},
    )
    message_id = await sender.sends(sent)
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await stage.agency.ends(message_id, Direction.IN) is MessageStatus.NEW

    listed = await recipient.listed(messagestatus="NEW")
    fetched = await recipient.reads(message_id)
    ours = sent["data"]["attributes"]
    assert {name: fetched[name] for name in ours} == ours
    assert listed[message_id] == {name: value for name, value in fetched.items() if name != "digitalDocument"}
    assert await stage.agency.logged(MT, message_id, MTEvent.MT_MESSAGE_READ)

    for client, member, direction in (
        (sender, stage.habo, Direction.OUT),
        (recipient, stage.agency, Direction.IN),
    ):
        assert (await client.delete(message_id)).status == 202
        assert (await client.delete(message_id)).status == (await client.get(message_id)).status == 404
        assert message_id not in await client.listed()
        assert await member.record(message_id, direction) is None
        assert await member.logged(MT, message_id, MTEvent.MT_MESSAGE_DELETED)


async def test_what_happened_to_a_message_is_told_the_latest_first(stage: Stage) -> None:
    """Clauses: api-mt-mk 4.1 step 6, message sentence 4, status sentence 1."""
    message_id = await exchanged(stage)
    ours = (await stage.client(stage.habo).reads(message_id))["events"]
    theirs = (await stage.client(stage.agency).reads(message_id))["events"]
    told = [one["typeCode"] for one in ours["eventIssues"]]
    assert (told[0], told[-1]) == ("ACCEPTED", "SCHEDULED")
    assert told.index("WAITING_FOR_RECEIPT") < told.index("ACKNOWLEDGE")
    assert [one["typeCode"] for one in theirs["eventIssues"]] == ["NEW", "RECEIPT_SENT", "RETRIEVED"]
    assert (ours["title"], theirs["title"]) == ("ACCEPTED", "NEW")


async def test_a_rejected_message_tells_what_the_receipt_found(stage: Stage) -> None:
    """api-mt-mk, Mappning Kvittens och Event.

    Clauses: api-mt-mk message sentence 4, sentence 5, status sentence 1.
    """
    client = stage.client(stage.habo)
    sent = document(stage.habo.address, stage.agency.address)
    sent["data"]["attributes"]["recipientAttention"]["subOrganization"]["extension"] = "sdk.ingenstans"
    message_id = await client.sends(sent)
    assert await stage.habo.ends(message_id) is MessageStatus.MESSAGE_EXCHANGE_ERROR
    told = await client.reads(message_id)
    assert told["messageStatus"] == "MESSAGE_EXCHANGE_ERROR"
    error, finding, *_ = told["events"]["eventIssues"]
    assert error["typeCode"] == "MESSAGE_EXCHANGE_ERROR"
    assert (finding["typeCode"], finding["title"]) == ("BV", "not-found")
    assert finding["in"].endswith("/recipient/attention/subOrganization/organizationId")
    assert (await client.delete(message_id)).status == 202
    refused = stage.client(stage.agency, "*")
    assert (await refused.get(message_id)).status == 404, (
        "the recipient's clients cannot fetch a refused message"
    )
    assert message_id not in await refused.listed()


# --- what the message service sets, and what it keeps -------------------------------------------------------


async def test_ids_and_time_are_made_where_they_are_left_out(stage: Stage) -> None:
    """Clauses: api-mt-mk message sentence 2, sentences 7-9."""
    message_id = await exchanged(stage)
    told = await stage.client(stage.agency).reads(message_id)
    assert told["messageId"] == told["conversationId"] == message_id
    age = datetime.now(UTC) - datetime.fromisoformat(told["creationDateTime"])
    assert timedelta(0) <= age < timedelta(minutes=5)


async def test_ids_and_time_are_the_clients_where_it_gives_them(stage: Stage) -> None:
    """Clauses: api-mt-mk message sentence 6; content-specification 4.3.2 sentence 7."""
    given = {
        "messageId": str(uuid4()),
        "conversationId": str(uuid4()),
        "refToMessageId": str(uuid4()),
        "creationDateTime": "2024-05-06T07:08:09.1Z",
    }
    message_id = await exchanged(stage, **given)
    assert message_id == given["messageId"]
    told = await stage.client(stage.agency).reads(message_id)
    assert {name: told[name] for name in given} == given


async def test_an_answer_goes_on_in_the_conversation_that_its_client_knows(stage: Stage) -> None:
    """Clauses: content-specification 4.3.2 sentence 5."""
    conversation = str(uuid4())
    first = await exchanged(stage, conversationId=conversation)
    answer = document(stage.agency.address, stage.habo.address, refToMessageId=first)
    client = stage.client(stage.agency)
    assert (await client.reads(await client.sends(answer)))["conversationId"] == conversation
    other = stage.client(stage.mullsjo)
    elsewhere = document(stage.mullsjo.address, stage.agency.address, refToMessageId=first)
    sent = await other.sends(elsewhere)
    assert (await other.reads(sent))["conversationId"] == sent


async def test_the_same_call_again_sends_the_message_once(stage: Stage) -> None:
    client = stage.client(stage.habo)
    message_id = str(uuid4())
    sent = document(stage.habo.address, stage.agency.address, messageId=message_id)
    assert [await client.sends(sent) for _ in range(3)] == [message_id] * 3
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await client.sends(sent) == message_id
    dated = document(
        stage.habo.address,
        stage.agency.address,
        messageId=message_id,
        creationDateTime=(await client.reads(message_id))["creationDateTime"],
    )
    assert await client.sends(dated) == message_id
    happened = await stage.habo.happened(MT, message_id)
    assert happened.count(MTEvent.MT_MESSAGE_SCHEDULED) == 1


async def test_the_same_call_again_is_that_whatever_has_changed_meanwhile(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message that it answers is deleted, and its recipient leaves the address book meanwhile."""
    first = await exchanged(stage)
    client = stage.client(stage.agency)
    answer = document(stage.agency.address, stage.habo.address, refToMessageId=first, messageId=str(uuid4()))
    message_id = await client.sends(answer)
    assert (await client.delete(first)).status == 202
    assert await client.sends(answer) == message_id

    async def not_listed(*message: object) -> None:
        raise MessageInvalid((Finding(Reason.RULE, Detail.NOT_FOUND, "", "NA"),))

    monkeypatch.setattr(MessageService, "_require_listed", not_listed)
    assert await client.sends(answer) == message_id
    answer["data"]["attributes"]["label"] = "En annan"
    assert issues(await client.send(answer)) == [("BV", "not-found", "NA")]


@pytest.mark.parametrize("change", [{"label": "En annan"}, {"creationDateTime": "2024-05-06T07:08:09.1Z"}])
async def test_another_message_with_the_same_id_is_a_duplicate(stage: Stage, change: dict[str, str]) -> None:
    client = stage.client(stage.habo)
    sent = document(stage.habo.address, stage.agency.address, messageId=str(uuid4()))
    message_id = await client.sends(sent)
    sent["data"]["attributes"] |= change
    assert issues(await client.send(sent)) == [("BV", "duplicate", f"{_A}/messageId")]
    assert await stage.habo.ends(message_id) is MessageStatus.ACCEPTED
    assert (await client.delete(message_id)).status == 202
    assert issues(await client.send(sent)) == [("BV", "duplicate", f"{_A}/messageId")]


async def test_a_message_under_way_is_not_deleted(stage: Stage) -> None:
    """api-mt-mk 3, deleteMessageById: only messages with a final status.

    Clauses: api-mt-mk 4.1 step 8.
    """
    habo, client = stage.habo, stage.client(stage.habo)
    message = letter(habo.address, stage.agency.address)
    await habo.plant(message)
    answer = await client.delete(message.message_id)
    assert issues(answer) == [("BV", "not-supported", f"{_A}/messageStatus")]
    assert answer.document()["instance"] == f"urn:uuid:{message.message_id}"
    assert (await client.get(message.message_id)).status == 200


async def test_what_came_in_is_fetched_when_its_sender_has_been_told(stage: Stage) -> None:
    """KV Meddelandestatus 11, NEW: a receipt was sent, and the message can be fetched.

    Clauses: api-mt-mk 4.2 step 7.
    """
    agency, peer = stage.agency, stage.peer()
    client = stage.client(agency)
    envelope = peer.encloses(agency)
    peer.silent = True
    await peer.posts(envelope, agency)
    await agency.reaches(envelope.id, MessageStatus.RETRIEVED, Direction.IN)
    told = await client.reads(envelope.id)
    assert told["messageStatus"] == "RETRIEVED"
    assert "digitalDocument" not in told
    assert issues(await client.delete(envelope.id))
    peer.silent = False
    assert await agency.ends(envelope.id, Direction.IN) is MessageStatus.NEW
    assert (await client.reads(envelope.id))["digitalDocument"]


# --- lists --------------------------------------------------------------------------------------------------


async def test_3_filters_are_combined(stage: Stage) -> None:
    """Clauses: api-mt-mk 3 sentence 1, sentence 5."""
    old, new = [await exchanged(stage, creationDateTime=f"20{year}-05-06T07:08:09.0Z") for year in (20, 21)]
    client = stage.client(stage.habo)
    ours, theirs = stage.habo.address.functional_address, stage.agency.address.functional_address

    async def found(**filters: str) -> list[str]:
        return [one for one in await client.listed(**filters) if one in (old, new)]

    assert await found() == [new, old], "the newest first"
    assert await found(messagestatus="ACCEPTED", **{_SENDER: ours, _RECIPIENT: theirs}) == [new, old]
    assert await found(messageStatus="NEW") == []
    assert await found(**{_SENDER: theirs}) == await found(**{_RECIPIENT: ours}) == []
    assert await found(creationDateTimeStart="2020-01-01", creationDateTimeStop="2020-12-31") == [old]
    assert await found(creationDateTimeStart="2021-05-06T07:08:09Z", messagestatus="ACCEPTED") == [new]
    assert await found(creationDateTimeStop="2020-05-06T07:08:08Z") == []


async def test_pages_follow_each_other_over_everything(stage: Stage) -> None:
    for _ in range(5):
        await exchanged(stage)
    client = stage.client(stage.habo)
    ours = f"filter[{_SENDER}]={stage.habo.address.functional_address}"
    everything = [one["id"] for one in (await client.list(ours)).document()["data"]]
    paged: list[str] = []
    path = f"{MESSAGES}?page[size]=2&{ours}"
    while path:
        answer = (await client.call("GET", path)).document()
        assert 0 < len(answer["data"]) <= 2
        paged += [one["id"] for one in answer["data"]]
        assert answer["links"]["self"] == path
        path = answer["links"].get("next", "")
    assert paged == everything


async def test_a_list_without_pages_is_whole(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    message_ids = {await exchanged(stage) for _ in range(5)}
    client = stage.client(stage.habo)
    before = await client.list()
    assert message_ids <= {one["id"] for one in before.document()["data"]}
    monkeypatch.setattr("samdrift.messageservice.interface_d.mailboxes._AT_ONCE", 2)
    assert (await client.list()).body == before.body


async def test_a_list_of_messages_that_say_much_is_whole_and_leads_from_page_to_page(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds even if only a few messages are read at a time."""
    message_ids = {await exchanged(stage) for _ in range(3)}
    client = stage.client(stage.habo)
    before = await client.list()
    assert message_ids <= {one["id"] for one in before.document()["data"]}
    monkeypatch.setattr("samdrift.vault.messagerows.MOST_BYTES", 1)
    assert (await client.list()).body == before.body
    paged, query = [], "page[size]=50"
    while query:
        answer = (await client.list(query)).document()
        paged += answer["data"]
        query = answer["links"].get("next", "").partition("?")[2]
    assert paged == before.document()["data"]


async def test_an_empty_list_is_a_list(stage: Stage) -> None:
    """Clauses: api-mt-mk 4.2 step 4."""
    answer = await stage.client(stage.habo, "sdk.ingen").list()
    assert answer.document() == {
        "meta": {"version": "sdk api 1.0.0"},
        "links": {"self": MESSAGES},
        "data": [],
    }


# --- one organisation with several clients ------------------------------------------------------------------


async def test_who_writes_to_itself_has_the_message_twice(stage: Stage) -> None:
    """Its id refers to the sent one, unless a filter selects the other or the sent one is gone."""
    habo = stage.habo
    client = stage.client(habo)
    message_id = await client.sends(document(habo.address, habo.address))
    assert await habo.ends(message_id) is MessageStatus.ACCEPTED
    assert await habo.ends(message_id, Direction.IN) is MessageStatus.NEW

    async def status(client: MessageClient, query: str = "") -> str:
        answer = await client.get(message_id, query)
        return str(answer.document()["data"]["attributes"]["messageStatus"])

    assert await status(client) == "ACCEPTED"
    assert await status(client, "?filter[messagestatus]=NEW") == "NEW"
    assert (await client.get(message_id, "?filter[messagestatus]=SUBMITTED")).status == 404
    assert len([one for one in (await client.list()).document()["data"] if one["id"] == message_id]) == 2
    assert (await client.delete(message_id)).status == 202
    assert await status(client) == "NEW"
    assert (await client.delete(message_id)).status == 202
    assert (await client.delete(message_id)).status == 404


async def test_patterns_reach_what_is_there_whoever_knows_the_address(stage: Stage) -> None:
    message_id = await exchanged(stage)
    address = stage.agency.address.functional_address
    for pattern in ("*", address, f"{address[:5]}*", f"*{address[-5:]}"):
        assert message_id in await stage.client(stage.agency, pattern).listed()
    for pattern in ("x*", "*x", f"{address}x", "sdk.ingen"):
        assert message_id not in await stage.client(stage.agency, pattern).listed()


async def test_each_answer_that_had_to_be_logged_has_the_logs_promise(stage: Stage) -> None:
    """This includes refusals, but not the API description, for which there is nothing to log."""
    client = stage.client(stage.agency)
    message_id = await exchanged(stage)
    answers = {
        MTEvent.MT_MESSAGE_READ: await client.get(message_id),
        MTEvent.MT_CLIENT_DENIED: await client.get(str(uuid4())),
        MTEvent.MT_MESSAGE_DELETED: await client.delete(message_id),
    }
    async with stage.agency.open(MT) as vault:
        await vault.tree.sign(datetime.now(UTC))
        keys = [VerifierKey.parse(each.key) for each in await vault.tree.keys()]
        log = {each.sequence: each for each in await vault.log(limit=100_000)}
    for event, answer in answers.items():
        (given,) = answer.headers[HEADER.lower()].split(", ")
        promise = Promise.open(given, keys)
        entry = log[promise.number]
        assert entry.event == event
        assert entry.leaf is not None
        assert entry.leaf.hash == promise.leaf
    described = await client.call("GET", "/v1/openapi.json")
    assert (described.status, HEADER.lower() in described.headers) == (200, False)
