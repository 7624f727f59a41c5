"""The copy of the address book that an installation keeps."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from datetime import timedelta

from samdrift.audit.operations import unexpected
from samdrift.config.addressbook import AddressBookConfig
from samdrift.contracts.addressbook import AddressBook, Listing
from samdrift.net.addressbook import AddressBookClient, AddressBookUnavailable, LocalAddressBook
from samdrift.net.background import in_background
from samdrift.net.client import http_client
from samdrift.net.clock import system_clock
from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import ParticipantIdentifier

_LOGGER = logging.getLogger("samdrift")


@contextlib.asynccontextmanager
async def address_book(config: AddressBookConfig | None, *, public_only: bool) -> AsyncIterator[AddressBook]:
    """The copy, refreshed while the context lasts; without ``config`` nothing is known of any address."""
    if config is None:
        yield NoAddressBook()
        return
    async with http_client(public_only=public_only) as client:
        book = LocalAddressBook(
            AddressBookClient(client, config.url),
            config.file,
            system_clock,
            every=timedelta(seconds=config.refresh_seconds),
            retry=timedelta(seconds=config.retry_seconds),
        )
        await book.open()
        async with in_background(book.run(_failed), on_failure=unexpected("address-book")):
            yield book


class NoAddressBook:
    """Stands where the configuration names none."""

    @property
    def copy(self) -> AddressBookCopy | None:
        return None

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        return Listing.NO_BOOK


def _failed(error: Exception) -> None:
    """Of an error of the disk only the type is told."""
    why = error if isinstance(error, AddressBookUnavailable) else type(error).__name__
    _LOGGER.warning("the copy of the address book was not refreshed: %s", why)
