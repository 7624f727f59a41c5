"""Client for the address book's public, read-only interface (architecture-sad 5.1.1.2), and a local copy."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.clock import Clock
from samdrift.contracts.errors import Temporary
from samdrift.contracts.hold import Hold
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch
from samdrift.wire.addressbook import (
    AddressBookCopy,
    FunctionalAddress,
    Organisation,
    Page,
    read_addresses,
    read_copy,
    read_organisations,
)
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")

_LIMITS = FetchLimits(max_bytes=8 << 20, seconds=20.0)
_PAGE_SIZE = "500"
_MAX_PAGES = 1000
_MAX_ENTRIES = 200_000
"""Maximum number of entries over all pages, several times the federation's size: all are held in memory."""
_HEADERS = {"accept": "application/vnd.api+json"}


class AddressBookUnavailable(Temporary):
    """The address book returned no usable response; the text contains neither address nor content."""

    hold = Hold.ADDRESS_BOOK


class AddressBookClient:
    """Client for the address book at ``base``, without a cache.

    Clauses: architecture-sad 5.4 step 1.
    """

    def __init__(self, client: HttpClient, base: str, limits: FetchLimits = _LIMITS) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._limits = limits

    async def organisations(self) -> tuple[Organisation, ...]:
        """Return every organisation; raise :class:`AddressBookUnavailable` if the list cannot be fetched."""
        return await self._all("organizations", {}, read_organisations)

    async def addresses(
        self, organisation: ParticipantIdentifier | None = None
    ) -> tuple[FunctionalAddress, ...]:
        """Return the functional addresses of ``organisation``, or of all organisations."""
        chosen = {"filter[organization.participantIdentifier]": organisation.value} if organisation else {}
        return await self._all("addresses", {"include": "organization", **chosen}, read_addresses)

    async def address(self, identifier: str) -> FunctionalAddress | None:
        """Return the functional address with ``identifier``, ignoring case."""
        query = {"include": "organization", "filter[identifier]": identifier}
        found = await self._all("addresses", query, read_addresses)
        return next((one for one in found if one.identifier.casefold() == identifier.casefold()), None)

    async def _all(
        self, resource: str, query: dict[str, str], read: Callable[[bytes], Page[T]]
    ) -> tuple[T, ...]:
        """Fetch all pages in sequence; each must be on the address book's own host."""
        address = f"{self._base}/{resource}?{urlencode({**query, 'page[size]': _PAGE_SIZE})}"
        items: list[T] = []
        for _ in range(_MAX_PAGES):
            page = await self._page(address, read)
            items += page.items
            if len(items) > _MAX_ENTRIES:
                raise AddressBookUnavailable("too many entries")
            if page.next is None:
                return tuple(items)
            address = self._next(address, page.next)
        raise AddressBookUnavailable("too many pages")

    async def _page(self, address: str, read: Callable[[bytes], Page[T]]) -> Page[T]:
        try:
            answer = await fetch(self._client, address, self._limits, headers=_HEADERS)
            if answer.status != 200:
                raise AddressBookUnavailable(f"the address book answered {answer.status}")
            return read(answer.body)
        except NoAnswer as error:
            raise AddressBookUnavailable(f"the address book gave no usable answer ({error})") from None
        except WireError as error:
            raise AddressBookUnavailable(f"the address book's answer is not usable: {error.text}") from None

    def _next(self, address: str, link: str) -> str:
        """Resolve ``link`` against ``address`` and percent-encode the brackets in its parameters."""
        try:
            following = urljoin(address, link)
            elsewhere = urlsplit(following)[:2] != urlsplit(self._base)[:2]
        except ValueError:
            raise AddressBookUnavailable("the link to the next page is unusable") from None
        if elsewhere:
            raise AddressBookUnavailable("the link to the next page leads to another host")
        return following.replace("[", "%5B").replace("]", "%5D")


_PATIENCE = 5.0
"""Seconds that a request for a single address may take."""


class LocalAddressBook:
    """A copy of the address book in ``file``, replaced only by another complete copy.

    Clauses: architecture-sad 5.3.6.2 step 1.
    """

    def __init__(
        self, client: AddressBookClient, file: Path, clock: Clock, *, every: timedelta, retry: timedelta
    ) -> None:
        self._client = client
        self._file = file
        self._clock = clock
        self._every = every
        self._retry = retry
        self._copy: AddressBookCopy | None = None

    @property
    def copy(self) -> AddressBookCopy | None:
        """The latest copy; ``None`` before the first one."""
        return self._copy

    async def open(self) -> None:
        """Load the copy that an earlier run saved, if it can be read."""
        self._copy = await asyncio.to_thread(kept_copy, self._file)

    async def refresh(self) -> None:
        """Copy the address book; raise :class:`AddressBookUnavailable` and keep the old copy on failure."""
        taken_at = self._clock()
        organisations = await self._client.organisations()
        addresses = await self._client.addresses()
        if not organisations or not addresses:
            raise AddressBookUnavailable("the address book is empty")
        copy = AddressBookCopy(taken_at, organisations, addresses)
        await asyncio.to_thread(_keep, self._file, copy.to_bytes())
        self._copy = copy

    async def run(self, heard: Callable[[Exception | None], None]) -> None:
        """Refresh the copy whenever it is due.

        ``heard`` receives the error of each failed attempt, and ``None`` after a success.
        """
        while True:
            await asyncio.sleep(self._wait())
            try:
                await self.refresh()
                heard(None)
            except (AddressBookUnavailable, OSError) as error:
                heard(error)
                await asyncio.sleep(self._retry.total_seconds())

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        """Return whether ``address`` belongs to ``organisation``.

        If the copy does not contain it, the service is asked; ``NOT_KNOWN`` if that does not respond.
        """
        if self._copy is not None and self._copy.address(organisation, address):
            return Listing.LISTED
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await self._client.address(address)
        except (AddressBookUnavailable, TimeoutError):
            return Listing.NOT_KNOWN
        listed = found is not None and found.organisation.participant == organisation
        return Listing.LISTED if listed else Listing.NOT_LISTED

    def _wait(self) -> float:
        """Return the seconds until the next refresh is due."""
        if self._copy is None:
            return 0.0
        age = self._clock() - self._copy.taken_at
        return 0.0 if age < timedelta() else max(0.0, (self._every - age).total_seconds())


def kept_copy(file: Path) -> AddressBookCopy | None:
    """Return the copy in ``file``; ``None`` if it is missing or cannot be read."""
    try:
        return read_copy(file.read_bytes())
    except (OSError, WireError):
        return None


def _keep(file: Path, data: bytes) -> None:
    """Replace ``file`` atomically with content that is on disk; the roles in one process share the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{secrets.token_hex(8)}")
    try:
        with draft.open("wb") as written:
            written.write(data)
            written.flush()
            os.fsync(written.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
