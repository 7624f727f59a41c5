"""Shared services (interface B), address book and malware scanner, as configured for an installation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from samdrift.audit.operations import unexpected
from samdrift.config.addressbook import AddressBookConfig
from samdrift.config.malware import MalwareConfig
from samdrift.config.model import Config, FederationConfig
from samdrift.contracts.addressbook import AddressBook, Listing
from samdrift.contracts.discovery import CertificateChecks, Discovery
from samdrift.contracts.malware import MalwareScanner, ScannerUnavailable, ScanVerdict
from samdrift.net.addressbook import AddressBookClient, AddressBookUnavailable, LocalAddressBook
from samdrift.net.background import in_background
from samdrift.net.certificates import FederationCertificates
from samdrift.net.clamd import ClamdAddress, ClamdScanner, ProvenScanner
from samdrift.net.client import Watch, http_client, unwatched
from samdrift.net.clock import system_clock
from samdrift.net.discovery import SmpDiscovery
from samdrift.net.dns import NaptrResolver
from samdrift.net.revocation import RevocationSource
from samdrift.net.trustfolder import followed_policies
from samdrift.wire.addressbook import AddressBookCopy
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Services:
    """Lookups of recipients and checks of certificates."""

    discovery: Discovery
    checks: CertificateChecks


@contextlib.asynccontextmanager
async def shared_services(config: Config, watch: Watch = unwatched) -> AsyncIterator[Services]:
    """Provide lookups and checks under the federation's trust folder, while the context lasts."""
    federation = config.federation
    async with http_client(public_only=not federation.private_addresses) as client:
        checks = FederationCertificates(
            followed_policies(federation.trust).current,
            RevocationSource(
                client,
                system_clock,
                keep=timedelta(seconds=federation.revocation_seconds),
                retry=timedelta(seconds=federation.retry_seconds),
                watch=watch,
            ),
            keep=timedelta(seconds=federation.verdict_seconds),
            keep_temporary=timedelta(seconds=federation.retry_seconds),
        )
        discovery = SmpDiscovery(
            federation.sml_zone,
            name_resolver(federation),
            client,
            checks,
            system_clock,
            keep=timedelta(seconds=federation.metadata_seconds),
            require_dnssec=federation.require_dnssec,
            watch=watch,
        )
        yield Services(discovery, checks)


def name_resolver(federation: FederationConfig) -> NaptrResolver:
    """Return the resolver for queries to the SML."""
    name_servers = [(one.host, one.port) for one in federation.name_servers]
    return NaptrResolver(name_servers, trusted=federation.dnssec_resolvers)


@contextlib.asynccontextmanager
async def address_book(
    config: AddressBookConfig | None, *, public_only: bool, watch: Watch = unwatched
) -> AsyncIterator[AddressBook]:
    """Keep a copy of the address book refreshed while the context lasts; without ``config`` it is empty."""
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
        async with in_background(book.run(partial(_heard, watch)), on_failure=unexpected("address-book")):
            yield book


class NoAddressBook:
    """A placeholder for an address book that is not configured."""

    @property
    def copy(self) -> AddressBookCopy | None:
        return None

    async def listing(self, organisation: ParticipantIdentifier, address: str) -> Listing:
        return Listing.NO_BOOK


def _heard(watch: Watch, error: Exception | None) -> None:
    """Report the state of the address book; of a disk error, only the type is passed on."""
    if error is None:
        watch("address-book", "", "")
    else:
        watch(
            "address-book",
            "",
            str(error) if isinstance(error, AddressBookUnavailable) else type(error).__name__,
        )


def malware_scanner(config: MalwareConfig, watch: Watch = unwatched) -> MalwareScanner:
    """Return the configured malware scanner."""
    if config.clamd is None:
        return _NoScanner()
    return _WatchedScanner(proven_scanner(config, config.clamd), watch)


def proven_scanner(config: MalwareConfig, address: ClamdAddress) -> ProvenScanner:
    """Return clamd at an address, which is used only while it passes its test."""
    return ProvenScanner(ClamdScanner(address, config.answer_seconds), system_clock)


class _WatchedScanner:
    """A scanner that notifies ``watch`` of each answer or failure."""

    def __init__(self, scanner: MalwareScanner, watch: Watch) -> None:
        self._scanner = scanner
        self._watch = watch

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        try:
            verdict = await self._scanner.scan(pieces)
        except ScannerUnavailable as error:
            self._watch("scanner", "", error.cause)
            raise
        self._watch("scanner", "", "")
        return verdict


class _NoScanner:
    """A scanner that finds everything clean, for a configuration without scanning."""

    async def scan(self, pieces: Iterable[bytes]) -> ScanVerdict:
        return ScanVerdict()
