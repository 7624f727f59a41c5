"""The copy of the address book against a federation that runs, and then stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samdrift.contracts.addressbook import Listing
from samdrift.federation.directory import Directory, Entry, FunctionalAddress, Organisation
from samdrift.federation.server import Failure, LocalFederation, Service
from samdrift.net.addressbook import AddressBookClient, AddressBookUnavailable, LocalAddressBook
from samdrift.net.client import FetchLimits, HttpClient, http_client
from samdrift.wire.addressbook import Query
from samdrift.wire.identifiers import ParticipantIdentifier
from tests.unit.net.servers import Asked, answering, reply
from tests.unit.wire.test_addressbook import HABO as HABO_RESOURCE
from tests.unit.wire.test_addressbook import document

HABO = ParticipantIdentifier.parse("0203:habo.se")
EDA = ParticipantIdentifier.parse("0203:eda.se")
MANY = 1203
"""More functional addresses than two pages hold."""
HOUR = timedelta(hours=1)


@pytest_asyncio.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with http_client(public_only=False) as one:
        yield one


class Watch:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def book(
    client: HttpClient, url: str, file: Path, clock: Watch | None = None, every: timedelta = HOUR
) -> LocalAddressBook:
    asked = AddressBookClient(client, url, FetchLimits(1 << 20, 5.0))
    return LocalAddressBook(asked, file, clock or Watch(), every=every, retry=timedelta(milliseconds=20))


def entered(directory: Directory) -> None:
    addresses = tuple(FunctionalAddress(f"habo-{n}", f"Funktion {n}") for n in range(MANY))
    directory.put(Entry(Organisation(HABO, "2120001611", "Habo kommun"), addresses))
    directory.put(Entry(Organisation(EDA, "2120001769", "Eda kommun"), (FunctionalAddress("eda", "Eda"),)))


async def test_every_page_is_copied_and_kept_over_a_restart_without_the_service(
    federation: LocalFederation, client: HttpClient, tmp_path: Path
) -> None:
    entered(federation.directory)
    file, clock = tmp_path / "kept" / "addressbook.json", Watch()
    first = book(client, federation.address_book_url, file, clock)
    await first.open()
    assert first.copy is None
    await first.refresh()
    assert first.copy is not None
    assert len(first.copy.addresses) == MANY + 1
    federation.outages.failures[Service.ADDRESS_BOOK] = Failure.ERROR
    again = book(client, federation.address_book_url, file)
    await again.open()
    assert again.copy is not None
    assert again.copy.taken_at == clock.now
    assert again.copy.search(Query("funktion 1202", organisation=HABO))[0].identifier == f"habo-{MANY - 1}"
    assert await again.listing(HABO, "habo-7") is Listing.LISTED
    with pytest.raises(AddressBookUnavailable):
        await again.refresh()
    assert len(again.copy.addresses) == MANY + 1


async def test_what_is_not_in_the_copy_is_asked_of_the_address_book(
    federation: LocalFederation, client: HttpClient, tmp_path: Path
) -> None:
    entered(federation.directory)
    local = book(client, federation.address_book_url, tmp_path / "copy")
    await local.refresh()
    new = (FunctionalAddress("new", "Ny"),)
    federation.directory.put(Entry(Organisation(EDA, "2120001769", "Eda kommun"), new))
    assert await local.listing(EDA, "new") is Listing.LISTED
    assert await local.listing(HABO, "new") is Listing.NOT_LISTED
    assert await local.listing(EDA, "nobody") is Listing.NOT_LISTED
    federation.outages.failures[Service.ADDRESS_BOOK] = Failure.ERROR
    assert await local.listing(EDA, "new") is Listing.NOT_KNOWN


async def test_the_copy_follows_the_address_book_in_the_background(
    federation: LocalFederation, client: HttpClient, tmp_path: Path
) -> None:
    """After an outage too: an entry that was removed in the meantime disappears."""
    entered(federation.directory)
    failures: list[Exception] = []
    local = book(client, federation.address_book_url, tmp_path / "copy", every=timedelta(0))
    federation.outages.failures[Service.ADDRESS_BOOK] = Failure.ERROR
    running = asyncio.create_task(local.run(failures.append))
    async with asyncio.timeout(60):
        while not failures:
            await asyncio.sleep(0.01)
        assert local.copy is None
        del federation.outages.failures[Service.ADDRESS_BOOK]
        while local.copy is None or local.copy.organisation(EDA) is None:
            await asyncio.sleep(0.01)
        federation.directory.remove(EDA)
        while local.copy.organisation(EDA) is not None:
            await asyncio.sleep(0.01)
    assert local.copy.address(EDA, "eda") is None
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_service_is_asked_when_the_copy_is_old_enough(
    federation: LocalFederation, client: HttpClient, tmp_path: Path
) -> None:
    entered(federation.directory)
    await book(client, federation.address_book_url, tmp_path / "copy").refresh()
    asked: list[str] = []

    async def answer(request: Asked) -> bytes:
        asked.append(request.target)
        return reply(b"", "503 Service Unavailable")

    async def runs(local: LocalAddressBook, until: float) -> None:
        running = asyncio.create_task(local.run(lambda error: None))
        async with asyncio.timeout(60):
            while not asked and until > 0:
                await asyncio.sleep(0.01)
                until -= 0.01
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    async with answering(answer) as url:
        for age, seconds in ((HOUR - timedelta(minutes=1), 0.1), (HOUR, 10.0)):
            clock = Watch()
            clock.now += age
            local = book(client, url, tmp_path / "copy", clock)
            await local.open()
            assert not asked
            await runs(local, seconds)
    assert asked


async def test_a_copy_made_while_the_clock_was_ahead_is_due_at_once_when_it_is_right(
    federation: LocalFederation, client: HttpClient, tmp_path: Path
) -> None:
    """After a restart too."""
    entered(federation.directory)
    clock = Watch()
    clock.now += timedelta(days=365)
    local = book(client, federation.address_book_url, tmp_path / "copy", clock)
    await local.refresh()
    assert local._wait() == HOUR.total_seconds()
    clock.now -= timedelta(days=365)
    assert local._wait() == 0
    again = book(client, federation.address_book_url, tmp_path / "copy", clock)
    await again.open()
    assert again._wait() == 0
    await again.refresh()
    assert again._wait() == HOUR.total_seconds()


@pytest.mark.parametrize(
    "addresses", [b"{}", b"<html>", document(), document(HABO_RESOURCE), document(links={"next": "//x/"})]
)
async def test_an_answer_that_is_no_address_book_changes_nothing(
    federation: LocalFederation, client: HttpClient, tmp_path: Path, addresses: bytes
) -> None:
    entered(federation.directory)
    file = tmp_path / "copy"
    local = book(client, federation.address_book_url, file)
    await local.refresh()
    kept = file.read_bytes()

    async def answer(request: Asked) -> bytes:
        return reply(document(HABO_RESOURCE) if "organizations" in request.target else addresses)

    async with answering(answer) as url:
        other = book(client, url, file)
        await other.open()
        with pytest.raises(AddressBookUnavailable):
            await other.refresh()
    assert other.copy is not None
    assert other.copy.organisation(EDA) is not None
    assert file.read_bytes() == kept


@pytest.mark.parametrize("kept", [b"", b"{", b'{"form": 0}'])
async def test_a_copy_that_cannot_be_read_is_none(client: HttpClient, tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "copy").write_bytes(kept)
    local = book(client, "http://127.0.0.1:1", tmp_path / "copy")
    await local.open()
    assert local.copy is None
