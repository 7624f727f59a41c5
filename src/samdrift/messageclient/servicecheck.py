"""A check of an organisation's message service in steps: name, connection, token, list, address book.

It stops at the first step that fails, with a result that explains what is wrong and what to do. It changes
nothing at the message service.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from samdrift.client.errors import InterfaceError, Refused
from samdrift.client.keys import KeyUnusable
from samdrift.client.mailbox import Filter, Mailbox
from samdrift.client.tokens import Tokens
from samdrift.contracts.addressbook import AddressBook, Listing
from samdrift.contracts.clock import Clock
from samdrift.messageclient.working import ServiceSettings
from samdrift.net.client import FetchLimits, HttpClient, HttpFault, NoAnswer, fetch, http_client
from samdrift.net.tls import client_tls
from samdrift.wire.identifiers import ParticipantIdentifier

_SECONDS = 20.0
"""Time limit for one step, in seconds."""
_LIMITS = FetchLimits(1 << 20, 10.0)


class Step(StrEnum):
    """Steps of the check, in order."""

    NAME = "name"
    CONNECTION = "connection"
    TOKEN = "token"  # noqa: S105
    LIST = "list"
    BOOK = "book"


class Trouble(StrEnum):
    """Reasons why a step can fail."""

    NO_NAME = "no-name"
    """The host name could not be resolved."""
    NO_ANSWER = "no-answer"
    NOT_ALLOWED = "not-allowed"
    """Connections to the address are not permitted from here."""
    NOT_TRUSTED = "not-trusted"
    """The certificate is not trusted."""
    TOO_SLOW = "too-slow"
    KEY = "key"
    """The key file does not contain a usable key."""
    REFUSED_TOKEN = "refused-token"  # noqa: S105
    NO_TOKEN = "no-token"  # noqa: S105
    REFUSED_LIST = "refused-list"
    NO_LIST = "no-list"
    NOT_LISTED = "not-listed"
    BOOK_UNKNOWN = "book-unknown"


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of a step: its subject, and its trouble, if any. ``detail`` contains only our own texts."""

    step: Step
    about: str
    trouble: Trouble | None = None
    detail: str = ""


async def try_service(
    settings: ServiceSettings, mailboxes: Mapping[str, str], book: AddressBook, clock: Clock
) -> tuple[Tried, ...]:
    """Check a message service and return the steps; only the last can have failed.

    ``mailboxes`` are the names of mailboxes by their addresses.
    """
    http = http_client(client_tls(trust=settings.tls_issuers), public_only=settings.public_only)
    try:
        return await _trial(settings, tuple(mailboxes), book, clock, http)
    finally:
        await http.aclose()


def result_of(tried: Sequence[Tried]) -> str:
    """Return the result of a check, for the log."""
    return next((f"{one.step}: {one.trouble}" for one in tried if one.trouble), "no trouble")


async def _trial(
    settings: ServiceSettings,
    addresses: Sequence[str],
    book: AddressBook,
    clock: Clock,
    http: HttpClient,
) -> tuple[Tried, ...]:
    urls = dict.fromkeys((settings.interface, settings.token_endpoint))
    hosts = dict.fromkeys(_host(url) for url in urls)
    tried: list[Tried] = []
    for host in hosts:
        tried.append(await _name(host))
        if tried[-1].trouble:
            return tuple(tried)
    for url in urls:
        tried.append(await _connection(http, url))
        if tried[-1].trouble:
            return tuple(tried)
    try:
        key = settings.authentication()
    except KeyUnusable:
        return (*tried, Tried(Step.TOKEN, settings.client_id, Trouble.KEY))
    tokens = Tokens(http, settings.token_endpoint, settings.client_id, key, clock, audience=settings.audience)
    tried.append(await _token(tokens, settings.client_id))
    if tried[-1].trouble:
        return tuple(tried)
    mailbox = Mailbox(http, settings.interface, tokens)
    for address in addresses:
        tried.append(await _list(mailbox, address))
        if tried[-1].trouble:
            return tuple(tried)
    tried += [await _listing(book, settings.organisation, address) for address in addresses]
    return tuple(tried)


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


async def _name(host: str) -> Tried:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_SECONDS):
            await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Tried(Step.NAME, host, Trouble.TOO_SLOW)
    except (OSError, UnicodeError):
        return Tried(Step.NAME, host, Trouble.NO_NAME)
    return Tried(Step.NAME, host)


async def _connection(http: HttpClient, url: str) -> Tried:
    """Connect; any response to a request without a token counts as success."""
    host = _host(url)
    try:
        await fetch(http, url, _LIMITS)
    except NoAnswer as failure:
        return Tried(Step.CONNECTION, host, _trouble(failure), failure.kind)
    return Tried(Step.CONNECTION, host)


def _trouble(failure: NoAnswer) -> Trouble | None:
    if "Certificate" in failure.kind or "SSL" in failure.kind:
        return Trouble.NOT_TRUSTED
    match failure.fault:
        case HttpFault.FORBIDDEN:
            return Trouble.NOT_ALLOWED
        case HttpFault.TIMEOUT:
            return Trouble.TOO_SLOW
        case HttpFault.TOO_LARGE | HttpFault.ENCODED:
            return None  # The service responds, which is all that is checked here.
        case _:
            return Trouble.NO_ANSWER


async def _token(tokens: Tokens, client: str) -> Tried:
    try:
        async with asyncio.timeout(_SECONDS):
            await tokens.token()
    except TimeoutError:
        return Tried(Step.TOKEN, client, Trouble.TOO_SLOW)
    except InterfaceError as failure:
        trouble = Trouble.REFUSED_TOKEN if isinstance(failure, Refused) else Trouble.NO_TOKEN
        return Tried(Step.TOKEN, client, trouble, failure.for_logs)
    return Tried(Step.TOKEN, client)


async def _list(mailbox: Mailbox, address: str) -> Tried:
    """Request the list of messages to an address up to its first entry, without fetching a message."""
    try:
        async with (
            asyncio.timeout(_SECONDS),
            aclosing(mailbox.list(Filter(recipient_address=address))) as found,
        ):
            async for _ in found:
                break
    except TimeoutError:
        return Tried(Step.LIST, address, Trouble.TOO_SLOW)
    except InterfaceError as failure:
        trouble = Trouble.REFUSED_LIST if isinstance(failure, Refused) else Trouble.NO_LIST
        return Tried(Step.LIST, address, trouble, failure.for_logs)
    return Tried(Step.LIST, address)


async def _listing(book: AddressBook, organisation: ParticipantIdentifier, address: str) -> Tried:
    match await book.listing(organisation, address):
        case Listing.LISTED:
            return Tried(Step.BOOK, address)
        case Listing.NOT_LISTED:
            return Tried(Step.BOOK, address, Trouble.NOT_LISTED)
        case _:
            return Tried(Step.BOOK, address, Trouble.BOOK_UNKNOWN)
