"""Collection of the facts for an organisation's checklist, from this installation and the federation."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from samdrift.administration.administration import Administration
from samdrift.administration.checklist import Asked, Facts
from samdrift.administration.covering import standings
from samdrift.administration.keyholder import HeldKeys, held_keys
from samdrift.config.model import Config, OrganisationConfig
from samdrift.contracts import workers
from samdrift.contracts.discovery import (
    Discovery,
    DiscoveryError,
    DiscoveryUnavailable,
    NotRegistered,
    SharedService,
)
from samdrift.contracts.principals import Purpose, Role
from samdrift.contracts.statements import RightsBehind
from samdrift.governance.coverage import Standing
from samdrift.governance.records import RecordBroken
from samdrift.installation import rolesettings
from samdrift.installation.control import ControlRefused, control_folder
from samdrift.installation.cover import canaries_of
from samdrift.installation.reporting import ask_running
from samdrift.installation.services import shared_services
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName
from samdrift.messageservice.oauth.registrations import Routing, Share
from samdrift.net.addressbook import AddressBookClient, AddressBookUnavailable
from samdrift.net.client import http_client
from samdrift.net.trustfolder import TrustFolderError, read_policies
from samdrift.vault.errors import VaultError, VaultUnavailable
from samdrift.vault.sessionkeys import LostMarks
from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.smp import ServiceMetadata

_PATIENCE = 20.0
"""Number of seconds to wait for one answer of the federation."""


@dataclass(frozen=True, slots=True)
class Federation:
    """The shared services, for their current answers."""

    discovery: Discovery
    book: Asked[AddressBookCopy]


@contextlib.asynccontextmanager
async def asking(config: Config, now: datetime) -> AsyncIterator[Federation]:
    """Yield the services to ask, with the address book read once; an unreachable one counts as unknown."""
    book = await _address_book(config, now)
    async with discovering(config) as discovery:
        yield Federation(discovery, book)


@contextlib.asynccontextmanager
async def discovering(config: Config) -> AsyncIterator[Discovery]:
    """Yield a client for SML and SMP; without a usable trust folder, every answer is unknown."""
    try:
        read_policies(config.federation.trust)
    except TrustFolderError as error:
        yield _Untold(f"the trust folder is not usable: {error}")
        return
    async with shared_services(config) as services:
        yield services.discovery


class _Untold:
    """A stand-in for a service that is not available."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def service(
        self, participant: ParticipantIdentifier, document: DocumentIdentifier
    ) -> ServiceMetadata:
        raise DiscoveryUnavailable(self._why, SharedService.SML)


async def gather(
    installation: Administration,
    organisation: ParticipantIdentifier,
    federation: Federation | None,
    now: datetime,
    roles: Sequence[Role] = (),
) -> Facts:
    """Return everything known about the organisation; without ``federation``, only local knowledge.

    ``roles`` are the intended ones, if the configuration has no entry for it yet.
    """
    facts = replace(
        _here(installation, organisation, now, roles),
        served=await _served(installation.config, organisation),
        cover=await _cover(installation, organisation, now),
    )
    if federation is None:
        nobody = "the federation was not queried"
        return replace(facts, listed=Asked(unknown=nobody), addresses=Asked(unknown=nobody))
    documents = rolesettings.documents(facts.entry)
    answers = await asyncio.gather(
        *(registration(federation.discovery, organisation, each) for each in documents)
    )
    return _with_book(
        replace(facts, registrations=dict(zip(documents, answers, strict=True))), federation.book
    )


def organisations_of(installation: Administration) -> Iterable[ParticipantIdentifier]:
    """Return the organisations of the configuration, in its order, then those that only have a vault."""
    configured = [one.identifier for one in installation.config.organisations]
    hosted = [one.organisation for one in installation.gate.registry.all()]
    return dict.fromkeys([*configured, *hosted])


def in_order(facts: Sequence[Facts]) -> list[Facts]:
    """Return the facts with each under-organisation after the organisation that it is part of, if here."""
    here = {one.organisation for one in facts}
    parts: dict[ParticipantIdentifier | None, list[Facts]] = {}
    for one in facts:
        parent = one.entry.part_of if one.entry else None
        parts.setdefault(parent if parent in here else None, []).append(one)
    return [each for one in parts.get(None, ()) for each in (one, *parts.get(one.organisation, ()))]


def _behind_proxy(config: Config) -> tuple[Role, ...]:
    """Return the roles whose pages are served without TLS, to a proxy."""
    pages = {Role.MESSAGE_CLIENT: config.message_client, Role.GOVERNANCE: config.governance}
    return tuple(role for role, each in pages.items() if each is not None and each.plain)


def _here(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime, roles: Sequence[Role]
) -> Facts:
    config, registry = installation.config, installation.gate.registry
    entry = next((one for one in config.organisations if one.identifier == organisation), None)
    found = {role: one for role in Role if (one := registry.find(organisation, role)) is not None}
    service = found.get(Role.MESSAGE_SERVICE)
    return Facts(
        organisation,
        tuple(entry.roles if entry else roles or found),
        now,
        entry,
        {role: one.state for role, one in found.items()},
        held_keys(installation.keys, service.vault) if service else HeldKeys(),
        _unassigned(entry) if entry else (),
        _own_certificates(installation),
        config.access_point.address if config.access_point else "",
        behind_proxy=_behind_proxy(config),
        server_certificates=held_keys(installation.keys, OPERATOR_KEYS).certificates(KeyName.TLS_SERVER),
        in_token=tuple(role for role, one in found.items() if installation.keys.in_token(one.vault)),
        locked=tuple(role for role, one in found.items() if installation.keys.locked(one.vault)),
    )


async def _cover(
    installation: Administration, organisation: ParticipantIdentifier, now: datetime
) -> Mapping[Role, Standing]:
    """Return the cover of the organisation's roles; empty if a vault does not open, which is reported."""
    if organisation in canaries_of(installation.config):
        return {}
    try:
        return (await standings(installation, organisation, now)).roles
    except (VaultError, RecordBroken, RightsBehind):
        return {}


async def _served(config: Config, organisation: ParticipantIdentifier) -> Asked[frozenset[Role]]:
    """Ask the running processes in which roles they serve the organisation."""
    try:
        running = await ask_running(control_folder(config.vaults))
    except (ControlRefused, OSError) as error:
        return Asked(unknown=f"a running process does not answer: {error}")
    return Asked(frozenset(role for role in Role if any(one.serves(organisation, role) for one in running)))


async def marks_lost(
    installation: Administration, organisation: ParticipantIdentifier
) -> Asked[tuple[LostMarks, ...]]:
    """Return losses of session key marks that two custodians have not accepted."""
    gate = installation.gate
    if gate.registry.find(organisation, Role.MESSAGE_SERVICE) is None:
        return Asked(())
    try:
        async with gate.open(
            workers.ORG_SHOW, organisation, Role.MESSAGE_SERVICE, Purpose.ADMINISTER
        ) as vault:
            return Asked(tuple(one for one in await vault.lost_marks() if one.accepted_at is None))
    except VaultUnavailable as error:
        return Asked(unknown=f"which marks are lost cannot be known: {error}")


def _unassigned(entry: OrganisationConfig) -> tuple[str, ...]:
    """Return functional addresses whose messages no message client receives."""
    routing = Routing(Share(one.id, one.addresses, one.default) for one in entry.message_clients)
    return routing.unassigned(entry.functional_addresses)


def _own_certificates(installation: Administration) -> tuple[x509.Certificate, ...]:
    """Return our access point's certificates, the newest first."""
    if installation.config.access_point is None:
        return ()
    return held_keys(installation.keys, OPERATOR_KEYS).certificates(KeyName.ACCESS_POINT)


async def registration(
    discovery: Discovery, organisation: ParticipantIdentifier, document: DocumentIdentifier
) -> Asked[ServiceMetadata]:
    """Look up a registration; the value is ``None`` without one, or the reason is given if unknown."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return Asked(await discovery.service(organisation, document))
    except NotRegistered:
        return Asked()
    except DiscoveryError as error:
        return Asked(unknown=error.text)
    except TimeoutError:
        return Asked(unknown="SML or SMP gave no answer in time")


async def _address_book(config: Config, now: datetime) -> Asked[AddressBookCopy]:
    """Return the whole address book, in its current state."""
    if config.address_book is None:
        return Asked(unknown="the configuration names no address book")
    try:
        async with (
            asyncio.timeout(_PATIENCE),
            http_client(public_only=not config.federation.private_addresses) as client,
        ):
            book = AddressBookClient(client, config.address_book.url)
            return Asked(AddressBookCopy(now, await book.organisations(), await book.addresses()))
    except AddressBookUnavailable as error:
        return Asked(unknown=str(error))
    except TimeoutError:
        return Asked(unknown="the address book gave no answer in time")


def _with_book(facts: Facts, book: Asked[AddressBookCopy]) -> Facts:
    """Return the facts completed with the organisation's entry in the address book."""
    if book.value is None:
        return replace(facts, listed=Asked(unknown=book.unknown), addresses=Asked(unknown=book.unknown))
    listed = book.value.organisation(facts.organisation)
    addresses = tuple(
        one for one in book.value.addresses if one.organisation.participant == facts.organisation
    )
    return replace(
        facts,
        listed=Asked(listed),
        addresses=Asked(addresses),
        parent=book.value.parent(listed) if listed else None,
    )
