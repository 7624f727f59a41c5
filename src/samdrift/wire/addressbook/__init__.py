"""The address book's documents: JSON:API to frozen types (architecture-sad 7.1.1).

Missing: the technical guide to the address book's interface, which DIGG
publishes elsewhere: attributes are those of its information specification, and
names of resources, relationships and links those of JSON:API 1.1.
"""

from samdrift.wire.addressbook.copy import AddressBookCopy, Query, read_copy
from samdrift.wire.addressbook.read import read_addresses, read_organisations
from samdrift.wire.addressbook.types import (
    FunctionalAddress,
    Organisation,
    OrganisationKind,
    Page,
)

__all__ = [
    "AddressBookCopy",
    "FunctionalAddress",
    "Organisation",
    "OrganisationKind",
    "Page",
    "Query",
    "read_addresses",
    "read_copy",
    "read_organisations",
]
