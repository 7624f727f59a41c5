"""The address book as the message service and its clients see it: a copy of it, whose age is known."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import ParticipantIdentifier


class Listing(Enum):
    """Answer to a look-up of a functional address in the address book."""

    LISTED = auto()
    NOT_LISTED = auto()
    """The address book itself says so, not only a copy that may be old."""
    NOT_KNOWN = auto()
    """There is no copy with the address, and the address book cannot be asked."""
    NO_BOOK = auto()
    """This installation is configured without an address book."""


class AddressBook(Protocol):
    """A copy to search in, and the address book itself for what is not in the copy."""

    @property
    def copy(self) -> AddressBookCopy | None:
        """The latest copy; ``None`` as long as there has been none."""

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        """Return whether ``address`` is a functional address of ``organisation``."""
