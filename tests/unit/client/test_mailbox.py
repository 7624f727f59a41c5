"""The client of interface D, against services that do and do not answer as agreed (api-mt-mk 3)."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from samdrift.client import mailbox as mailbox_module
from samdrift.client.errors import NotOffered, Refused, Unreachable
from samdrift.client.jsonstream import FilePiece, FilePlace
from samdrift.client.mailbox import EventStream, Filter, ServerEvent
from samdrift.client.outgoing import Attachment, Correspondent, Labelled, OutgoingDocument, OutgoingMessage
from samdrift.messageservice.interface_d import contract
from tests.unit.client.service import Service, client_of, page

HABO = Correspondent("0203:habo.se", "sdk:inkorg:0203:habo.se", "Inkorgen")
MULLSJO = Correspondent("0203:mullsjo.se", "sdk:inkorg:0203:mullsjo.se")
CREATED = Response(status_code=201, headers={"location": "/sdk/messages/m"})
NOTHING = {"attributes": {"messageId": "m"}}


def a_message(*attachments: Attachment) -> OutgoingMessage:
    document = OutgoingDocument('Ett "ärende"', ("# Hej\n",), attachments)
    return OutgoingMessage("m", HABO, MULLSJO, 'Ett "ärende"', (document,))


async def test_send_message_streams_its_files_and_gives_where_the_message_is(tmp_path: Path) -> None:
    data = bytes(range(256)) * 4000
    (tmp_path / "beslut.pdf").write_bytes(data)
    (tmp_path / "tom.bin").touch()
    service = Service([CREATED])
    files = (
        Attachment.of_file(tmp_path / "beslut.pdf"),
        Attachment.of_file(tmp_path / "tom.bin", "text/plain"),
    )
    async with client_of(service) as mailbox:
        assert await mailbox.send(a_message(*files)) == "/sdk/messages/m"
    ((method, path, body),) = service.asked
    assert (method, path, service.headers[0]["content-type"]) == (
        "POST",
        "/v1/sdk/messages",
        "application/json",
    )
    data_sent = json.loads(body)["data"]
    attributes = data_sent["attributes"]
    ((pdf, empty),) = [each["contentFiles"] for each in attributes["digitalDocument"]]
    assert data_sent["type"] == "messages"
    assert (attributes["sender"], attributes["recipient"]) == (HABO.organisation, MULLSJO.organisation)
    assert attributes["senderAttention"]["subOrganization"] == {
        "root": "urn:riv:infrastructure:messaging:functionalAddress",
        "extension": HABO.address,
        "label": "Inkorgen",
    }
    assert attributes["label"] == 'Ett "ärende"'
    assert attributes["digitalDocument"][0]["contentTextBody"] == ["# Hej\n"]
    assert (pdf["fileName"], pdf["contentType"]) == ("beslut.pdf", "application/pdf")
    assert base64.b64decode(pdf["content"], validate=True) == data
    assert (empty["contentType"], empty["content"]) == ("text/plain", "")


async def sent(message: OutgoingMessage) -> dict[str, Any]:
    attributes: dict[str, Any] = json.loads(b"".join([piece async for piece in message.pieces()]))
    return cast(dict[str, Any], attributes["data"]["attributes"])


async def test_a_message_without_files_and_text() -> None:
    message = OutgoingMessage(
        "m",
        HABO,
        MULLSJO,
        "Rubrik",
        (OutgoingDocument("Rubrik"),),
        conversation_id="c",
        ref_to_message_id="r",
    )
    attributes = await sent(message)
    assert (attributes["conversationId"], attributes["refToMessageId"]) == ("c", "r")
    (document,) = attributes["digitalDocument"]
    assert set(document) == {"documentName", "documentId", "index"}


async def test_persons_references_and_several_documents_are_sent_as_the_contract_has_them() -> None:
    """content-specification 4.3.2: attention of both sides, generatingSystem; 4.3.3: documents in order."""

    async def content() -> AsyncIterator[bytes]:
        for piece in (b"%PDF", b"-", b"", b"1.7"):
            yield piece

    person = Labelled("1.2.752.129.2.1.3.1", "191212121212", "Tolvan Tolvansson")
    reference = Labelled("dnr", "SN 2026/1", "")
    message = OutgoingMessage(
        "m",
        Correspondent(HABO.organisation, HABO.address, "", (person,), (reference, reference)),
        MULLSJO,
        "Rubrik",
        (
            OutgoingDocument("Ett", ("a", "b"), id="1", index="2"),
            OutgoingDocument("Två", (), (Attachment("a.pdf", content),), id="2", index="1"),
        ),
        generating_system=("urn:system", "journal"),
    )
    attributes = await sent(message)
    contract.check({"data": {"type": "messages", "attributes": attributes}})
    assert attributes["senderAttention"]["attentionPerson"] == [person.members()]
    assert attributes["senderAttention"]["referenceId"] == [reference.members()] * 2
    assert "attentionPerson" not in attributes["recipientAttention"]
    assert attributes["generatingSystem"] == {"root": "urn:system", "extension": "journal"}
    one, other = attributes["digitalDocument"]
    assert (one["contentTextBody"], one["index"], other["documentId"]) == (["a", "b"], "2", "2")
    (file,) = other["contentFiles"]
    assert base64.b64decode(file["content"], validate=True) == b"%PDF-1.7"


async def test_a_source_is_opened_again_for_a_new_token() -> None:
    opened = []

    async def content() -> AsyncIterator[bytes]:
        opened.append(1)
        yield b"hej"

    service = Service([Response(status_code=401), CREATED])
    async with client_of(service) as mailbox:
        await mailbox.send(a_message(Attachment("a.txt", content)))
    assert len(opened) == 2
    assert service.asked[0][2] == service.asked[1][2]


async def test_a_source_that_fails_is_not_taken_for_a_message_service_that_is_down() -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"hej"
        raise OSError("the disk is gone")

    async with client_of(Service([CREATED])) as mailbox:
        with pytest.raises(OSError, match="the disk is gone"):
            await mailbox.send(a_message(Attachment("a.txt", content)))


class Sink:
    """A sink that keeps the files of a message, and the size of the longest piece."""

    def __init__(self) -> None:
        self.files: dict[FilePlace, bytes] = {}
        self.ended: list[FilePlace] = []
        self.longest = 0

    async def write(self, piece: FilePiece) -> None:
        if piece.data is None:
            self.files.setdefault(piece.place, b"")
            self.ended.append(piece.place)
        else:
            self.files[piece.place] = self.files.get(piece.place, b"") + piece.data
            self.longest = max(self.longest, len(piece.data))


async def test_a_message_is_read_with_its_files_beside_it() -> None:
    large = os.urandom(3 << 20)

    def file(name: str, data: bytes) -> dict[str, str]:
        return {"content": base64.b64encode(data).decode(), "fileName": name}

    documents = [
        {"contentFiles": [file("a", large), file("b", b"")]},
        {"contentFiles": [file("c", b"c")], "documentId": "x"},
    ]
    attributes = {"label": "Rubrik", "digitalDocument": documents}
    service = Service([JSONResponse({"data": {"attributes": attributes}})] * 2)
    sink = Sink()
    async with client_of(service) as mailbox:
        message = await mailbox.get("m", sink)
        raw = b"".join([piece async for piece in mailbox.raw("m")])
    places = [FilePlace(0, 0), FilePlace(0, 1), FilePlace(1, 0)]
    assert (sink.ended, list(sink.files.values())) == (places, [large, b"", b"c"])
    assert sink.longest < 1 << 20
    assert message["attributes"]["digitalDocument"] == [
        {"contentFiles": [{"fileName": "a"}, {"fileName": "b"}]},
        {"contentFiles": [{"fileName": "c"}], "documentId": "x"},
    ]
    assert json.loads(raw)["data"]["attributes"] == attributes


async def test_a_list_without_pages_is_read_item_by_item() -> None:
    """A service without pages answers with 12 000 messages, which is more than 16 MiB."""
    one = {"attributes": {"messageId": "m", "label": "x" * 1800}}
    service = Service([page(*[one] * 12_000)])
    async with client_of(service) as mailbox:
        assert sum([1 async for each in mailbox.list() if each == one]) == 12_000


async def test_a_service_that_has_no_message_that_matches_may_answer_404() -> None:
    """The answer has a problem document, or an empty body as in the published file."""
    nothing = JSONResponse({"title": "Not Found", "status": 404}, status_code=404)
    bare = Response(status_code=404)
    elsewhere = Response(b"<html>no such page</html>", status_code=404)
    async with client_of(Service([nothing, bare, elsewhere])) as mailbox:
        for _ in range(2):
            assert [each async for each in mailbox.list()] == []
        with pytest.raises(Refused, match="404"):
            _ = [each async for each in mailbox.list()]


async def test_get_message_by_filter_combines_filters_and_follows_pages() -> None:
    following = "/v1/sdk/messages?page[after]=x"
    service = Service([page(NOTHING, following=following), page({"attributes": {"messageId": "n"}})])
    async with client_of(service) as mailbox:
        which = Filter("NEW", recipient_address="a b&c", start="2026-11-24T09:00:00Z")
        found = [each["attributes"]["messageId"] async for each in mailbox.list(which)]
    assert found == ["m", "n"]
    asked = [target for _, target, _ in service.asked]
    assert asked == [
        "/v1/sdk/messages?filter%5Bmessagestatus%5D=NEW"
        "&filter%5BrecipientAttention.subOrganization.extension%5D=a+b%26c"
        "&filter%5BcreationDateTimeStart%5D=2026-11-24T09%3A00%3A00Z",
        "/v1/sdk/messages?page%5Bafter%5D=x",
    ]


async def test_a_next_page_at_another_server_is_not_asked_for() -> None:
    service = Service([page(NOTHING, following="https://elsewhere.example/v1/sdk/messages")])
    async with client_of(service) as mailbox:
        with pytest.raises(Unreachable, match="another server"):
            _ = [each async for each in mailbox.list()]
    assert len(service.asked) == 1


async def test_get_and_delete_name_the_message_in_the_path_alone() -> None:
    service = Service([JSONResponse({"data": NOTHING}), Response(status_code=202)])
    async with client_of(service) as mailbox:
        assert await mailbox.get("m/../x?") == NOTHING
        await mailbox.delete("m")
    assert [asked[:2] for asked in service.asked] == [
        ("GET", "/v1/sdk/messages/m%2F..%2Fx%3F"),
        ("DELETE", "/v1/sdk/messages/m"),
    ]
    assert service.headers[0]["authorization"] == "Bearer token"


async def test_one_token_serves_many_calls_and_a_new_one_is_asked_for_when_it_is_not_taken() -> None:
    denied = Response(status_code=401)
    found = JSONResponse({"data": NOTHING})
    service = Service([found, denied, found, denied, denied])
    async with client_of(service) as mailbox:
        await mailbox.get("m")
        assert len(service.forms) == 1
        await mailbox.get("m")
        assert len(service.forms) == 2
        with pytest.raises(Refused, match="401"):
            await mailbox.get("m")
    assert len(service.asked) == 5


async def test_the_client_shows_who_it_is_with_a_signed_jwt_and_no_secret() -> None:
    service = Service([JSONResponse({"data": NOTHING})])
    async with client_of(service) as mailbox:
        await mailbox.get("m")
    (form,) = service.forms
    assert form["grant_type"] == ["client_credentials"]
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert form["client_assertion"][0].count(".") == 2
    assert "client_secret" not in form


async def test_a_problem_document_is_told_issue_by_issue() -> None:
    problem = {
        "title": "Bad Request",
        "status": 400,
        "eventIssues": [{"typeCode": "BV", "title": "too-long", "detail": "at most 256", "in": "/label"}],
    }
    service = Service([JSONResponse(problem, status_code=400)])
    async with client_of(service) as mailbox:
        with pytest.raises(
            Refused, match=r"^HTTP status 400: BV: too-long: at most 256 \(/label\)$"
        ) as refused:
            await mailbox.send(a_message())
    assert refused.value.issues[0].place == "/label"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"eventIssues": [7]}', b'{"eventIssues": 7, "title": 8}']
)
async def test_a_refusal_that_is_no_problem_document(body: bytes) -> None:
    service = Service([Response(body, status_code=400)])
    async with client_of(service) as mailbox:
        with pytest.raises(Refused, match="400"):
            await mailbox.get("m")


@pytest.mark.parametrize(
    "answer",
    [
        Response(b"gone fishing", status_code=503),
        Response(b"no json", status_code=200),
        Response(b"[]", status_code=200),
        Response(b"[" * 200_000, status_code=200),
    ],
)
async def test_what_is_no_usable_answer_may_be_asked_again(answer: Response) -> None:
    async with client_of(Service([answer])) as mailbox:
        with pytest.raises(Unreachable):
            await mailbox.get("m")


@pytest.mark.parametrize(
    ("body", "waits_for"),
    [
        (b'{"waitsFor": "database"}', "database"),
        (b'{"waitsFor": "database of somebody"}', ""),
        (b'{"waitsFor": ["database"]}', ""),
        (b'["waitsFor"]', ""),
        (b"", ""),
    ],
)
async def test_of_what_a_service_waits_for_one_word_is_believed(body: bytes, waits_for: str) -> None:
    async with client_of(Service([Response(body, status_code=503)])) as mailbox:
        with pytest.raises(Unreachable) as caught:
            await mailbox.get("m")
    assert caught.value.waits_for == waits_for
    assert str(caught.value) == "the message service answered with HTTP status 503"


@pytest.mark.parametrize(
    ("grant", "error"),
    [
        (JSONResponse({"error": "invalid_client"}, status_code=401), Refused),
        (Response(status_code=502), Unreachable),
        (JSONResponse({"access_token": "t", "token_type": "mac"}), Unreachable),
        (JSONResponse({"access_token": 1, "token_type": "Bearer"}), Unreachable),
        (Response(b"["), Unreachable),
        (Response(b"[" * 60_000), Unreachable),
        (Response(b"[" * 60_000, status_code=400), Refused),
        (JSONResponse({"access_token": "t", "token_type": "Bearer", "expires_in": 10**30}), Unreachable),
        (JSONResponse({"access_token": "t\r\nx: y", "token_type": "Bearer"}), Unreachable),
    ],
)
async def test_no_token_no_call(grant: Response, error: type[Exception]) -> None:
    service = Service(grant=grant)
    async with client_of(service) as mailbox:
        with pytest.raises(error):
            await mailbox.get("m")
    assert service.asked == []


async def test_events_come_one_by_one_and_go_on_after_a_break() -> None:
    stream = b": hello\n\nid: 7\nevent: status\ndata: {\ndata: }\n\nid: 8\r\ndata: x\r\n\r\ndata: half"
    service = Service([Response(stream, media_type="text/event-stream")])
    async with client_of(service) as mailbox:
        events = [event async for event in mailbox.events("6")]
    assert [(event.kind, event.id, event.data) for event in events] == [
        ("status", "7", "{\n}"),
        ("message", "8", "x"),
    ]
    assert service.headers[0]["last-event-id"] == "6"


async def test_a_stream_is_resumed_after_an_event_that_was_delivered_not_one_that_was_begun() -> None:
    """The connection breaks within event 7; HTML standard 9.2.6: a blank line dispatches it, with its id."""
    service = Service([Response(b"id: 6\n: hello\n\nid: 7\nevent: status\n", media_type="text/event-stream")])
    places: list[str] = []
    async with client_of(service) as mailbox:
        assert [event async for event in mailbox.events("5", placed=places.append)] == []
    assert set(places) == {"6"}


@pytest.mark.parametrize("cut", range(len(b"id: 7\nevent: status\ndata: x\n\n")))
def test_an_id_is_reached_with_its_event_wherever_the_stream_is_cut(cut: int) -> None:
    whole = b"id: 7\nevent: status\ndata: x\n\n"
    stream = EventStream()
    assert (list(stream.feed(whole[:cut])), stream.last_id) == ([], "")
    assert list(stream.feed(whole[cut:])) == [ServerEvent("status", "7", "x")]
    assert stream.last_id == "7"


def test_a_kind_without_data_is_not_the_kind_of_the_next_event() -> None:
    """HTML standard 9.2.6: a block without data is not an event, and its id is one to resume after."""
    stream = EventStream()
    assert list(stream.feed(b"event: status\nid: 8\n\ndata: x\n\n")) == [ServerEvent("message", "8", "x")]


@pytest.mark.parametrize("stream", [b"data: " + b"x" * 200_000, b"data: 1234567890\n" * 20_000])
async def test_an_event_without_end_is_given_up(stream: bytes) -> None:
    service = Service([Response(stream, media_type="text/event-stream")])
    async with client_of(service) as mailbox:
        with pytest.raises(Unreachable, match="larger"):
            _ = [event async for event in mailbox.events()]


class Endless(Service):
    """A service whose every page is empty and names a next one."""

    async def operation(self, request: Request) -> Response:
        self.asked.append((request.method, str(request.url), b""))
        return page(following=f"/v1/sdk/messages?page[after]={len(self.asked)}")


async def test_pages_that_are_empty_without_an_end_are_given_up() -> None:
    """Without the limit, the client asked for 17 000 pages in 8 s."""
    service = Endless()
    async with client_of(service) as mailbox:
        with pytest.raises(Unreachable, match="do not end"):
            _ = [each async for each in mailbox.list()]
    assert len(service.asked) < 10


async def test_pages_that_lead_back_are_given_up() -> None:
    there, back = "/v1/sdk/messages?page[after]=x", "/v1/sdk/messages?page[after]=y"
    service = Service([page(NOTHING, following=each) for each in (there, back, there, back)])
    async with client_of(service) as mailbox:
        with pytest.raises(Unreachable, match="do not end"):
            _ = [each async for each in mailbox.list()]
    assert len(service.asked) == 3


async def test_an_answer_that_drips_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def drops() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b" "
            await asyncio.sleep(0.02)

    monkeypatch.setattr(mailbox_module, "_WHOLE_ANSWER", 0.3)
    async with client_of(Service([StreamingResponse(drops())])) as mailbox:
        with pytest.raises(Unreachable, match="does not end"):
            await mailbox.get("m")


@pytest.mark.parametrize(
    "document",
    [
        {"data": 7},
        {"data": "text"},
        {"data": {"attributes": {}}},
        {"data": [7]},
        {"data": [["a"]]},
        {"data": [], "links": 7},
        {"data": [], "links": ["next"]},
    ],
    ids=str,
)
async def test_a_list_of_another_shape_is_a_clear_error(document: object) -> None:
    async with client_of(Service([JSONResponse(document)])) as mailbox:
        with pytest.raises(Unreachable, match="unexpected form"):
            _ = [each async for each in mailbox.list()]


@pytest.mark.parametrize("data", [7, "text", [], [{}], True], ids=str)
async def test_a_message_of_another_shape_is_a_clear_error(data: object) -> None:
    async with client_of(Service([JSONResponse({"data": data})])) as mailbox:
        with pytest.raises(Unreachable, match="unexpected form"):
            await mailbox.get("m")


async def test_evidence_comes_in_pieces_and_the_original_where_it_is_asked_for() -> None:
    async def package() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(100_000)

    service = Service([StreamingResponse(package(), media_type="application/x-tar") for _ in range(2)])
    async with client_of(service) as mailbox:
        assert sum([len(piece) async for piece in mailbox.evidence("a/b")]) == 300_000
        assert [piece async for piece in mailbox.evidence("m", original=True)]
    assert [(method, path) for method, path, _ in service.asked] == [
        ("GET", "/v1/sdk/messages/a%2Fb/evidence"),
        ("GET", "/v1/sdk/messages/m/evidence?original=true"),
    ]


@pytest.mark.parametrize("status", [400, 404, 405, 406])
async def test_a_message_service_without_evidence_is_said_to_lack_it(status: int) -> None:
    async with client_of(Service([JSONResponse({"title": "no"}, status)])) as mailbox:
        with pytest.raises(NotOffered, match="neither receipts nor the original"):
            await anext(mailbox.evidence("m"))
