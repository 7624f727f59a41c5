"""A copy of the address book in a file: refreshed in the background, good while the service is down."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from samdrift.contracts.addressbook import Listing
from samdrift.contracts.clock import Clock
from samdrift.net.addressbook import AddressBookClient, AddressBookUnavailable
from samdrift.wire.addressbook import AddressBookCopy, read_copy
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

_PATIENCE = 5.0
"""Seconds that somebody waits who asks for one address."""


class LocalAddressBook:
    """Keeps a copy in ``file``. A copy is replaced as a whole by a whole one, or it stays.

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
        """The latest copy; ``None`` as long as there has been none."""
        return self._copy

    async def open(self) -> None:
        """Take up the copy that an earlier run kept, if it can be read."""
        self._copy = await asyncio.to_thread(kept_copy, self._file)

    async def refresh(self) -> None:
        """Copy the address book; :class:`AddressBookUnavailable`, and the copy as it was, when that fails."""
        taken_at = self._clock()
        organisations = await self._client.organisations()
        addresses = await self._client.addresses()
        if not organisations or not addresses:
            raise AddressBookUnavailable("the address book is empty")
        copy = AddressBookCopy(taken_at, organisations, addresses)
        await asyncio.to_thread(_keep, self._file, copy.to_bytes())
        self._copy = copy

    async def run(self, on_failure: Callable[[Exception], None]) -> None:
        """Refresh the copy whenever it is old enough; ``on_failure`` hears why that failed."""
        while True:
            await asyncio.sleep(self._wait())
            try:
                await self.refresh()
            except (AddressBookUnavailable, OSError) as error:
                on_failure(error)
                await asyncio.sleep(self._retry.total_seconds())

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        """Whether ``address`` is one of ``organisation``; what the copy has not is asked of the service."""
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
        """Seconds until the copy is to be refreshed."""
        if self._copy is None:
            return 0.0
        return max(0.0, (self._copy.taken_at + self._every - self._clock()).total_seconds())


def kept_copy(file: Path) -> AddressBookCopy | None:
    """The copy in ``file``; ``None`` when there is none that can be read."""
    try:
        return read_copy(file.read_bytes())
    except (OSError, WireError):
        return None


def _keep(file: Path, data: bytes) -> None:
    """Replace ``file`` by one that is whole and on disk."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with draft.open("wb") as written:
        written.write(data)
        written.flush()
        os.fsync(written.fileno())
    draft.replace(file)
