"""`samdrift client` as an integrator uses it, against a small message service over TLS."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from samdrift.cli import client
from samdrift.cli import clientview as view
from samdrift.client.keys import ClientKey
from samdrift.net.server import listening_socket, serving
from samdrift.net.tls import TlsIdentity, server_tls
from tests.unit.cli.commandline import Ended, in_process
from tests.unit.client.service import Service, client_of, page
from tests.unit.net.test_tls import FIRST, localhost, write

ATTENTION = {"subOrganization": {"extension": "sdk:inkorg:0203:habo.se"}}
MESSAGE: dict[str, Any] = {
    "type": "messages",
    "id": "m",
    "attributes": {
        "messageStatus": "NEW",
        "creationDateTime": "2026-11-24T09:30:00Z",
        "messageId": "m",
        "conversationId": "c",
        "confidentiality": True,
        "sender": "0203:habo.se",
        "senderAttention": ATTENTION,
        "recipient": "0203:mullsjo.se",
        "label": "Rubrik \x1b[31m",
        "digitalDocument": [
            {
                "contentTextBody": ["Första raden\nandra"],
                "contentFiles": [
                    {
                        "fileName": name,
                        "contentType": "text/plain",
                        "content": base64.b64encode(data).decode(),
                    }
                    for name, data in ((r"..\..\.profile", b"1"), ("../../profile", b"2"), ("", b"3"))
                ],
            }
        ],
        "events": {"eventIssues": [{"typeCode": "NEW", "title": "Received", "dateTime": "2026"}]},
    },
}


@dataclass
class Desk:
    """A folder with the configuration of a client, and the service that it uses."""

    folder: Path
    service: Service

    @property
    def config(self) -> Path:
        return self.folder / "client.toml"

    async def client(self, command: str, *arguments: str | Path) -> Ended:
        return await asyncio.to_thread(in_process, "client", command, *arguments, "--config", self.config)


@asynccontextmanager
async def desk(folder: Path, *answers: Response) -> AsyncIterator[Desk]:
    service = Service(list(answers))
    held = localhost(FIRST)
    server = write(folder / "server.pem", held.certificate, key=held)
    issuers = write(folder / "issuers.pem", FIRST.certificate)
    ClientKey.new().write(folder / "journal.pem")
    sock = listening_socket("127.0.0.1")
    url = f"https://localhost:{sock.getsockname()[1]}"
    lines = {
        "interface": f"{url}/v1",
        "token_endpoint": f"{url}/token",
        "client": "journal",
        "key": "journal.pem",
        "organisation": "0203:mullsjo.se",
        "address": "sdk:inkorg:0203:mullsjo.se",
        "issuers": issuers.name,
    }
    one = Desk(folder, service)
    one.config.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in lines.items()))
    async with serving(service.application(), sock, tls=server_tls(TlsIdentity(server)).serving):
        yield one


async def test_send_prints_the_id_under_which_it_sent(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    async with desk(tmp_path, Response(status_code=201)) as here:
        ended = await here.client(
            "send", "--to", "0203:habo.se", "--address", "sdk:inkorg:0203:habo.se",
            "--label", "Rubrik", "--text", "Hej", "--attach", tmp_path / "a.pdf",
        )  # fmt: skip
    attributes = json.loads(here.service.asked[0][2])["data"]["attributes"]
    assert (ended.status, ended.complaints) == (0, "")
    assert ended.output == attributes["messageId"] + "\n"
    assert attributes["recipientAttention"]["subOrganization"]["extension"] == "sdk:inkorg:0203:habo.se"
    assert attributes["digitalDocument"][0]["contentFiles"][0]["fileName"] == "a.pdf"


async def test_an_answer_goes_to_the_sender_in_its_conversation(tmp_path: Path) -> None:
    async with desk(tmp_path, JSONResponse({"data": MESSAGE}), Response(status_code=201)) as here:
        ended = await here.client("send", "--answers", "m", "--text", "Tack", "--id", "n", "--json")
    attributes = json.loads(here.service.asked[1][2])["data"]["attributes"]
    assert ended.document == {"id": "n"}
    assert (attributes["recipient"], attributes["recipientAttention"]["subOrganization"]["extension"]) == (
        "0203:habo.se",
        "sdk:inkorg:0203:habo.se",
    )
    assert (attributes["conversationId"], attributes["refToMessageId"], attributes["messageId"]) == (
        "c",
        "m",
        "n",
    )
    assert attributes["label"].startswith("Sv: Rubrik")


async def test_list_shows_a_line_each_and_no_escape_sequence(tmp_path: Path) -> None:
    async with desk(tmp_path, page(MESSAGE, MESSAGE), page(MESSAGE)) as here:
        ended = await here.client("list", "--status", "NEW")
        limited = await here.client("list", "--limit", "1", "--json")
    headers, *rows = ended.output.splitlines()
    assert headers.split() == ["MESSAGE", "STATUS", "CREATED", "FROM", "AND", "TO", "LABEL"]
    assert len(rows) == 2
    assert "\x1b" not in ended.output
    assert limited.document == {"messages": [MESSAGE]}


async def test_get_shows_a_message_and_stores_its_files_in_the_folder_alone(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    async with desk(tmp_path, JSONResponse({"data": MESSAGE})) as here:
        ended = await here.client("get", "m", "--save", saved)
    assert ended.status == 0
    assert "Första raden\nandra\n" in ended.output
    assert "NEW  Received" in ended.output
    assert {file.name: file.read_bytes() for file in saved.iterdir()} == {
        "profile": b"1",
        "profile (2)": b"2",
        "file": b"3",
    }


async def test_json_too_shows_no_escape_sequence_and_no_text_that_turns_around(tmp_path: Path) -> None:
    """A terminal may read U+009B as the start of an escape sequence; a lone surrogate is not a character."""
    label = "Rubrik å 😀 \x9b31m \x7f \u202e \ud800 \U000e0001"
    message = {**MESSAGE, "attributes": {"label": label}}
    async with desk(tmp_path, Response(json.dumps({"data": message}))) as here:
        ended = await here.client("get", "m", "--json")
    assert ended.document == {**MESSAGE, "attributes": {"label": label.replace("\ud800", "?")}}
    assert "Rubrik å 😀" in ended.output
    assert all(each.isprintable() for each in ended.output.replace("\n", ""))


async def test_files_with_the_longest_of_names_are_stored(tmp_path: Path) -> None:
    """The sender chooses the names and counts characters; a file system counts bytes."""
    saved = tmp_path / "saved"
    saved.mkdir()
    file = {"fileName": "å" * 300 + ".pdf", "content": base64.b64encode(b"1").decode()}
    message = {**MESSAGE, "attributes": {"digitalDocument": [{"contentFiles": [file, file]}]}}
    async with desk(tmp_path, JSONResponse({"data": message})) as here:
        ended = await here.client("get", "m", "--save", saved)
    assert (ended.status, len(list(saved.iterdir()))) == (0, 2)
    assert all(one.suffix == ".pdf" and one.name.startswith("ååå") for one in saved.iterdir())


async def test_token_prints_what_other_tools_need(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        assert (await here.client("token")).output == "token\n"


async def test_delete(tmp_path: Path) -> None:
    async with desk(tmp_path, Response(status_code=202)) as here:
        assert (await here.client("delete", "m")).status == 0
    assert here.service.asked[0][:2] == ("DELETE", "/v1/sdk/messages/m")


async def test_a_refusal_is_told_in_one_line_with_status_1(tmp_path: Path) -> None:
    problem = {"eventIssues": [{"typeCode": "BV", "title": "not-found", "in": "/x"}]}
    async with desk(tmp_path, JSONResponse(problem, status_code=400)) as here:
        ended = await here.client("get", "m")
    assert (ended.status, ended.output) == (1, "")
    assert ended.complaints == "samdrift: HTTP status 400: BV: not-found (/x)\n"


async def test_a_service_that_is_not_there_is_told_in_one_line_with_status_2(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        pass
    ended = await here.client("list")
    assert (ended.status, ended.output, ended.complaints.count("\n")) == (2, "", 1)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("interface = ", "interfaces = ", "interface: is missing"),
        ('"journal.pem"', '"issuers.pem"', "key: does not contain a private key"),
        ('"journal.pem"', '"no.pem"', "key: cannot be read"),
        ("https://", "http://", "begins with https://"),
        ('"issuers.pem"', '"no.pem"', "no such file"),
        ("client = ", "x = 1\nclient = ", "x: is not a setting"),
    ],
)
async def test_a_wrong_configuration_is_told_by_its_setting(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    async with desk(tmp_path) as here:
        here.config.write_text(here.config.read_text().replace(old, new, 1))
        ended = await here.client("list")
    assert (ended.status, ended.complaints.count("\n")) == (2, 1)
    assert told in ended.complaints


def test_keys_makes_a_key_file_once_and_prints_what_is_to_be_registered(tmp_path: Path) -> None:
    file = tmp_path / "journal.pem"
    made = in_process("client", "keys", file)
    assert made.document == ClientKey.read(file.read_bytes()).public
    again = in_process("client", "keys", file)
    assert (again.status, again.output) == (2, "")
    assert "already exists" in again.complaints


ODD: list[Any] = [7, "text", [], [7], [[]], {}, {"a": []}, None, True]


@pytest.mark.parametrize("odd", ODD, ids=str)
@pytest.mark.parametrize(
    "where",
    ["messageStatus", "senderAttention", "recipientAttention", "digitalDocument", "events", "label"],
)
async def test_a_message_of_an_odd_shape_is_shown_as_far_as_it_goes(
    tmp_path: Path, where: str, odd: object
) -> None:
    odd_message = {**MESSAGE, "attributes": {**MESSAGE["attributes"], where: odd}}
    for document in (
        {"contentFiles": odd},
        {"contentFiles": [odd]},
        {"contentTextBody": odd},
        {"contentFiles": [{"fileName": odd, "content": "å"}]},
    ):
        inside = {**MESSAGE, "attributes": {"digitalDocument": [document], "events": {"eventIssues": odd}}}
        assert all(isinstance(row, str) for row in view.page(inside))
    assert all(isinstance(cell, str) for cell in view.cells(odd_message))
    assert all(isinstance(row, str) for row in view.page(odd_message))
    assert all(isinstance(row, str) for row in view.page({"attributes": odd}))


async def test_files_that_are_not_base64_are_a_clear_error_and_leave_nothing(tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    saved.mkdir()
    files = [{"fileName": "a", "content": "YQ=="}, {"fileName": "b", "content": "å"}]
    odd = {"attributes": {"digitalDocument": [{"contentFiles": files}]}}
    async with desk(tmp_path, JSONResponse({"data": odd})) as here:
        ended = await here.client("get", "m", "--save", saved)
    assert (ended.status, ended.output, list(saved.iterdir())) == (2, "", [])
    assert "not Base64 (digitalDocument/0/contentFiles/1)" in ended.complaints


@pytest.mark.parametrize("data", ["[" * 100_000, "{", "7", '["a"]'], ids=["deep", "half", "number", "list"])
def test_an_event_of_an_odd_shape_is_printed_as_a_text(data: str) -> None:
    assert view.event(data) == {"data": data}


class Enough(Exception):
    """Raised to end a loop when the test has seen enough."""


async def test_a_stream_of_events_that_ends_at_once_is_followed_again_after_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without the pause, the client asked 17 000 times in 8 s."""
    service = Service([Response(media_type="text/event-stream") for _ in range(1000)])
    asked_at_a_pause: list[int] = []

    async def pause(seconds: float) -> None:
        assert seconds == client._PAUSE
        asked_at_a_pause.append(len(service.asked))
        if len(asked_at_a_pause) == 3:
            raise Enough

    monkeypatch.setattr(client, "asyncio", SimpleNamespace(sleep=pause))
    async with client_of(service) as mailbox:
        with pytest.raises(Enough):
            await client.follow(mailbox)
    assert asked_at_a_pause == [1, 2, 3]
