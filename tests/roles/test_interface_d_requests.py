"""Invalid or forbidden requests to interface D: their answers, and their effects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from samdrift.contracts.messageclients import Scope
from samdrift.messageservice.events import MTEvent
from samdrift.messageservice.interface_d.problems import BAD_REQUEST
from tests.roles.member import MT, Member
from tests.roles.messageclient import MESSAGES, document, issues, text_document
from tests.roles.stage import Stage
from tests.roles.web import Answer

A = "/data/attributes"
MIB = 1 << 20


def problem(answer: Answer) -> tuple[int, str]:
    """Return status and title of a general problem document (RFC 7807)."""
    assert answer.content_type == "application/json"
    told = answer.document()
    assert (told["type"], told["status"]) == ("about:blank", answer.status)
    return answer.status, told["title"]


def sent(stage: Stage, **changes: Any) -> dict[str, Any]:
    return document(stage.habo.address, stage.agency.address, **changes)


async def denials(member: Member) -> list[str]:
    """Return the logged reasons why the organisation's message clients were denied something."""
    async with member.open(MT) as vault:
        entries, after = [], 0
        while page := await vault.log(after):
            entries += page
            after = page[-1].sequence
    return [entry.ids["reason"] for entry in entries if entry.event == MTEvent.MT_CLIENT_DENIED]


# --- who asks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "told"),
    [
        ("", 'Bearer realm="interface D"'),
        ("Basic YTpi", 'Bearer realm="interface D"'),
        ("Bearer", 'Bearer realm="interface D"'),
        ("Bearer ", 'Bearer realm="interface D"'),
        ("Bearer x", 'Bearer realm="interface D", error="invalid_token"'),
    ],
)
async def test_without_a_token_that_is_known_nothing_is_answered(
    stage: Stage, authorization: str, told: str
) -> None:
    """Clauses: api-mt-mk 4.1 step 5, step 7, step 9, 4.2 step 4, step 6b, step 8; architecture-sad 6.5
    sentence 1.
    """
    client = stage.client(stage.habo)
    one = f"{MESSAGES}/{uuid4()}"
    for method, path in (
        ("POST", MESSAGES),
        ("GET", MESSAGES),
        ("GET", one),
        ("GET", f"{one}/evidence"),
        ("DELETE", one),
        ("GET", "/v1/sdk/events"),
        ("GET", "/v1/logs/mt/checkpoint"),
    ):
        answer = await client.call(method, path, headers={"authorization": authorization})
        assert problem(answer) == (401, "Unauthorized")
        assert answer.headers["www-authenticate"] == told


@pytest.mark.parametrize("scope", Scope)
async def test_5_1_a_scope_opens_its_operations_alone(stage: Stage, scope: Scope) -> None:
    """The status is 401 as in the contract, although RFC 6750 has 403."""
    client = stage.client(stage.habo, scopes=[scope])
    before = len(await denials(stage.habo))
    answers = {
        Scope.SEND: await client.send(sent(stage)),
        Scope.LIST: await client.list(),
        Scope.READ: await client.get(str(uuid4())),
        Scope.DELETE: await client.delete(str(uuid4())),
        Scope.LOG: await client.call("GET", "/v1/logs/mt/checkpoint"),
    }
    for needed, answer in answers.items():
        assert (answer.status == 401) == (needed is not scope)
        if needed is not scope:
            assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]
    told = (await denials(stage.habo))[before:]
    assert told.count("the token lacks the scope") == len(Scope) - 1


async def test_an_organisation_that_is_not_served_gets_no_answer(stage: Stage) -> None:
    client = stage.client(stage.gnosjo)  # has its message service elsewhere
    for answer in (
        await client.send(document(stage.gnosjo.address, stage.agency.address)),
        await client.list(),
    ):
        assert problem(answer) == (401, "Unauthorized")
        assert answer.headers["www-authenticate"] == 'Bearer realm="interface D"'


# --- in whose name -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["another client's", "nobody's", "another organisation's"])
async def test_a_client_sends_from_its_own_addresses(stage: Stage, whose: str) -> None:
    """api-mt-mk, Informationsobjekt 11: the answer is the same whether or not the address exists.

    Clauses: api-mt-mk message sentence 10, sentence 11.
    """
    habo = stage.habo
    address = {
        "another client's": habo.address.functional_address,
        "nobody's": "sdk.ingen",
        "another organisation's": stage.agency.address.functional_address,
    }[whose]
    message_id = str(uuid4())
    client = stage.client(habo, "sdk.annan")
    answer = await client.send(
        document(
            replace(habo.address, functional_address=address), stage.agency.address, messageId=message_id
        )
    )
    where = f"{A}/senderAttention/subOrganization/extension"
    assert issues(answer) == [("BV", "security", where)]
    assert address.encode() not in answer.body
    assert await habo.happened(MT, message_id) == [MTEvent.MT_CLIENT_DENIED]


async def test_a_client_sends_as_its_own_organisation(stage: Stage) -> None:
    """api-mt-mk, Informationsobjekt 12.

    Clauses: api-mt-mk message sentence 12, sentence 13.
    """
    answer = await stage.client(stage.habo).send(sent(stage, sender=stage.mullsjo.organisation.value))
    assert issues(answer) == [("BV", "security", f"{A}/sender")]


async def test_an_address_that_a_pattern_covers_must_be_the_organisations(stage: Stage) -> None:
    made = document(replace(stage.habo.address, functional_address="sdk.ingen"), stage.agency.address)
    answer = await stage.client(stage.habo, "*").send(made)
    assert issues(answer) == [("BV", "not-found", f"{A}/senderAttention/subOrganization")]


# --- what is sent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"label": None}, ("SV", "structure", f"{A}/label")),
        ({"label": 1}, ("SV", "structure", f"{A}/label")),
        ({"label": ""}, ("BV", "invariant", f"{A}/label")),
        ({"label": "å" * 257}, ("BV", "structure", f"{A}/label")),
        ({"label": "\x00"}, ("SV", "structure", f"{A}/label")),
        ({"creationDateTime": "6 May"}, ("SV", "structure", f"{A}/creationDateTime")),
        ({"messageId": "1"}, ("BV", "invariant", f"{A}/messageId")),
        ({"conversationId": "1"}, ("BV", "invariant", f"{A}/conversationId")),
        ({"refToMessageId": "1"}, ("BV", "invariant", f"{A}/refToMessageId")),
        ({"recipient": "0203:x"}, ("BV", "invariant", f"{A}/recipient")),
        ({"digitalDocument": []}, ("SV", "structure", A)),
        ({"digitalDocument": [{"documentId": "1"}]}, ("BV", "invariant", f"{A}/digitalDocument/0")),
        ({"refToMessageID": "x"}, ("SV", "structure", A)),
    ],
)
async def test_4_1_step_4_a_message_that_breaks_a_rule_is_refused_with_its_place(
    stage: Stage, changes: dict[str, Any], told: tuple[str, str, str]
) -> None:
    """Clauses: api-mt-mk 4.1 step 4, step 5; architecture-sad 5.2.1 sentence 1; content-specification 4.3.2
    sentence 7, 5 sentence 3.
    """
    assert told in issues(await stage.client(stage.habo).send(sent(stage, **changes)))


@pytest.mark.parametrize("content", ["", "å", "AAA", "AA AA", "A" * 5, "-_==", "AAAA\r\nAAAA"])
async def test_a_file_is_base64_as_in_rfc_4648(stage: Stage, content: str) -> None:
    """Clauses: content-specification 4.3.3.3 sentence 6."""
    made = sent(stage, digitalDocument=[text_document("x", ("a.pdf", b""))])
    made["data"]["attributes"]["digitalDocument"][0]["contentFiles"][0]["content"] = content
    answer = await stage.client(stage.habo).send(made)
    where = f"{A}/digitalDocument/0/contentFiles/0/content"
    assert ("BV", "invariant", where) in issues(answer)


@pytest.mark.parametrize(
    "data", [b"", b"{", b'{"data": NaN}', b"[" * 100_000, b'{"data": 1, "data": 2}', b"\xff"]
)
async def test_what_is_no_json_is_told_so(stage: Stage, data: bytes) -> None:
    answer = await stage.client(stage.habo).post(data)
    assert issues(answer) == [("SV", "structure", "NA")]
    assert answer.document()["type"] == BAD_REQUEST


async def test_no_answer_repeats_what_was_sent(stage: Stage) -> None:
    word = "Orosanmälan-om-Kim-Svensson"
    attributes = dict.fromkeys(sent(stage)["data"]["attributes"], f"{word}\x00")
    for made in (
        {"data": {"type": word, "id": word, "attributes": attributes}},
        sent(stage, label=word + "å" * 300, messageId=word, recipient=word, **{word: word}),
        sent(stage, label=word + "å" * 300, messageId=word, recipient=word, creationDateTime=word),
    ):
        answer = await stage.client(stage.habo).send(made)
        assert issues(answer)
        assert word not in json.dumps(answer.document(), ensure_ascii=False)
    for path in (f"{MESSAGES}/{word}", f"{MESSAGES}?filter[{word}]={word}", f"{MESSAGES}?page[after]={word}"):
        answer = await stage.client(stage.habo).call("GET", path.replace("ä", "%C3%A4"))
        assert word not in json.dumps(answer.document(), ensure_ascii=False)


@pytest.mark.parametrize(
    "content_type",
    ["", "text/json", "application/xml", "application/json; charset=iso-8859-1", "multipart/form-data"],
)
async def test_what_is_not_said_to_be_json_is_not_looked_at(stage: Stage, content_type: str) -> None:
    body = json.dumps(sent(stage)).encode()
    answer = await stage.client(stage.habo).post(body, content_type)
    assert problem(answer) == (415, "Unsupported Media Type")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
async def test_json_may_say_that_it_is_utf_8(stage: Stage, content_type: str) -> None:
    answer = await stage.client(stage.habo).post(json.dumps(sent(stage)).encode(), content_type)
    assert answer.status == 201


@pytest.mark.parametrize("said", [True, False], ids=["with its length", "without"])
async def test_what_never_ends_is_answered_and_hung_up_on(stage: Stage, said: bool) -> None:
    pieces = 0

    def spaces() -> Iterator[bytes]:
        nonlocal pieces
        for pieces in range(100 if said else 60_000):  # noqa: B007
            yield b" " * MIB

    headers = {"content-length": str(100 * MIB)} if said else {}
    client = stage.client(stage.habo)
    answer = await client.call("POST", MESSAGES, spaces(), {"content-type": "application/json", **headers})
    assert issues(answer) == [("BV", "too-long", "NA")]
    assert pieces < 59_999


# --- what is asked for -------------------------------------------------------------------------------------


@pytest.mark.parametrize("message_id", ["x", "%00", "%ED%A0%80", "x" * 5000, "..%2F..%2F", "%2E%2E"])
async def test_a_message_id_that_is_none(stage: Stage, message_id: str) -> None:
    client = stage.client(stage.habo)
    for answer in (await client.get(message_id), await client.delete(message_id)):
        assert problem(answer) == (404, "Not Found")


@pytest.mark.parametrize(
    "query", ["filter[x]=1", "filter=1", "x=1", "filter[messagestatus]=x", "page[size]=x"]
)
async def test_a_query_that_is_not_understood(stage: Stage, query: str) -> None:
    client = stage.client(stage.habo)
    for answer in (await client.list(query), await client.get(str(uuid4()), f"?{query}")):
        assert [(code, title) for code, title, _ in issues(answer)] == [("SV", "structure")]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", MESSAGES, 405),
        ("PATCH", f"{MESSAGES}/1", 405),
        ("POST", f"{MESSAGES}/1", 405),
        ("GET", f"{MESSAGES}/", 404),
        ("GET", "/sdk/messages", 404),
        ("GET", "/", 404),
    ],
)
async def test_what_is_no_operation(stage: Stage, method: str, path: str, status: int) -> None:
    answer = await stage.client(stage.habo).call(method, path)
    assert problem(answer)[0] == status
    assert ("allow" in answer.headers) == (status == 405)
