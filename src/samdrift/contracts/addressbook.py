"""The address book as the message service and its clients use it: a local copy with a known age."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import ParticipantIdentifier


class Listing(Enum):
    """Answer to a look-up of a functional address in the address book."""

    LISTED = auto()
    NOT_LISTED = auto()
    """The address book itself gave this answer, not only a copy that may be outdated."""
    NOT_KNOWN = auto()
    """No copy contains the address, and the address book cannot be reached."""
    NO_BOOK = auto()
    """This installation is configured without an address book."""


class AddressBook(Protocol):
    """The address book, with a local copy that is searched first."""

    @property
    def copy(self) -> AddressBookCopy | None:
        """Return the latest copy, or ``None`` before the first one."""

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        """Return whether ``address`` is a functional address of ``organisation``."""
