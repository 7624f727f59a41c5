"""Reading the address book page by page."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from samdrift.net import addressbook
from samdrift.net.addressbook import AddressBookClient, AddressBookUnavailable
from samdrift.net.client import HttpClient, http_client
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.net.servers import Asked, answering, reply
from tests.unit.wire.test_addressbook import HABO, SOCIAL, changed, document


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False) as one:
        yield one


async def test_every_page_is_read(client: HttpClient) -> None:
    targets = []

    async def answer(asked: Asked) -> bytes:
        targets.append(asked.target)
        if "number" in asked.target:
            return reply(document(changed(HABO, name="Eda"), links={"next": None}))
        return reply(document(HABO, links={"next": "/book/organizations?page[number]=2"}))

    async with answering(answer) as url:
        found = await AddressBookClient(client, f"{url}/book/").organisations()
    assert [one.name for one in found] == ["Håbo kommun", "Eda"]
    assert targets == [
        "/book/organizations?page%5Bsize%5D=500",
        "/book/organizations?page%5Bnumber%5D=2",
    ]


async def test_one_address_is_asked_for_by_its_identifier(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        assert "filter%5Bidentifier%5D=se2120000241-00001" in asked.target
        return reply(document(changed(SOCIAL, identifier="other"), SOCIAL, included=[HABO]))

    async with answering(answer) as url:
        book = AddressBookClient(client, url)
        found = await book.address("se2120000241-00001")
        assert found is not None
        assert found.name == "Socialtjänsten i Håbo"


async def test_addresses_of_one_organisation_are_asked_for(client: HttpClient) -> None:
    async def answer(asked: Asked) -> bytes:
        assert "participantIdentifier%5D=0203%3Ahabo.se" in asked.target
        return reply(document(SOCIAL, included=[HABO]))

    async with answering(answer) as url:
        book = AddressBookClient(client, url)
        assert len(await book.addresses(ParticipantIdentifier.parse("0203:habo.se"))) == 1


async def test_pages_without_end_are_given_up_before_they_fill_the_memory(
    client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addressbook, "_MAX_ENTRIES", 10)
    asked = 0

    async def answer(request: Asked) -> bytes:
        nonlocal asked
        asked += 1
        return reply(document(*[HABO] * 4, links={"next": f"/organizations?page[number]={asked}"}))

    async with answering(answer) as url:
        with pytest.raises(AddressBookUnavailable, match="too many entries"):
            await AddressBookClient(client, url).organisations()
    assert asked == 3


@pytest.mark.parametrize(
    "link", ["http://elsewhere.example/", "//elsewhere.example/", "https://localhost/", "http://["]
)
async def test_pages_that_lie_elsewhere_are_not_followed(client: HttpClient, link: str) -> None:
    async def answer(asked: Asked) -> bytes:
        return reply(document(HABO, links={"next": link}))

    async with answering(answer) as url:
        with pytest.raises(AddressBookUnavailable):
            await AddressBookClient(client, url).organisations()


@pytest.mark.parametrize(
    "answered", [reply(b"", "503 Service Unavailable"), reply(b"{}"), reply(json.dumps([1]).encode()), b""]
)
async def test_no_usable_answer_is_a_typed_error(client: HttpClient, answered: bytes) -> None:
    async def answer(asked: Asked) -> bytes:
        return answered

    async with answering(answer) as url:
        with pytest.raises(AddressBookUnavailable):
            await AddressBookClient(client, url).organisations()


def test_two_roles_of_one_process_keep_their_copies_in_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Message service and message client refresh at the same moment, soon after the start."""
    file, sync = tmp_path / "addressbook.json", os.fsync

    def meanwhile(descriptor: int) -> None:
        monkeypatch.setattr(os, "fsync", sync)
        addressbook._keep(file, b"the other role's")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", meanwhile)
    addressbook._keep(file, b"a copy that is longer than the other")
    assert file.read_bytes() == b"a copy that is longer than the other"
    assert [*tmp_path.iterdir()] == [file]
