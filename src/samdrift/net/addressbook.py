"""Reads the address book over HTTP: open to all, read only (architecture-sad 5.1.1.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from samdrift.contracts.errors import Temporary
from samdrift.net.client import FetchLimits, HttpClient, NoAnswer, fetch
from samdrift.wire.addressbook import (
    FunctionalAddress,
    Organisation,
    Page,
    read_addresses,
    read_organisations,
)
from samdrift.wire.errors import WireError
from samdrift.wire.identifiers import ParticipantIdentifier

T = TypeVar("T")

_LIMITS = FetchLimits(max_bytes=8 << 20, seconds=20.0)
_PAGE_SIZE = "500"
_MOST_PAGES = 1000
_HEADERS = {"accept": "application/vnd.api+json"}


class AddressBookUnavailable(Temporary):
    """The address book gave no usable answer; the text names neither address nor content."""


class AddressBookClient:
    """The address book at ``base``. Nothing is kept between calls.

    Clauses: architecture-sad 5.4 step 1.
    """

    def __init__(self, client: HttpClient, base: str, limits: FetchLimits = _LIMITS) -> None:
        self._client = client
        self._base = base.rstrip("/")
        self._limits = limits

    async def organisations(self) -> tuple[Organisation, ...]:
        """Every organisation; :class:`AddressBookUnavailable` when they cannot be had."""
        return await self._all("organizations", {}, read_organisations)

    async def addresses(
        self, organisation: ParticipantIdentifier | None = None
    ) -> tuple[FunctionalAddress, ...]:
        """The functional addresses of ``organisation``, or of all."""
        chosen = {"filter[organization.participantIdentifier]": organisation.value} if organisation else {}
        return await self._all("addresses", {"include": "organization", **chosen}, read_addresses)

    async def address(self, identifier: str) -> FunctionalAddress | None:
        """The functional address with that identifier, compared without regard to case."""
        query = {"include": "organization", "filter[identifier]": identifier}
        found = await self._all("addresses", query, read_addresses)
        return next((one for one in found if one.identifier.casefold() == identifier.casefold()), None)

    async def _all(
        self, resource: str, query: dict[str, str], read: Callable[[bytes], Page[T]]
    ) -> tuple[T, ...]:
        """All pages, one after the other, as long as they lie at the address book itself."""
        address = f"{self._base}/{resource}?{urlencode({**query, 'page[size]': _PAGE_SIZE})}"
        items: list[T] = []
        for _ in range(_MOST_PAGES):
            page = await self._page(address, read)
            items += page.items
            if page.next is None:
                return tuple(items)
            address = self._next(address, page.next)
        raise AddressBookUnavailable("more pages than there can be")

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
        """The address that ``link`` leads to from ``address``, with the brackets of parameters encoded."""
        try:
            following = urljoin(address, link)
            elsewhere = urlsplit(following)[:2] != urlsplit(self._base)[:2]
        except ValueError:
            raise AddressBookUnavailable("the next page has no usable address") from None
        if elsewhere:
            raise AddressBookUnavailable("the next page lies somewhere else")
        return following.replace("[", "%5B").replace("]", "%5D")
