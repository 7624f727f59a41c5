"""The federation's shared services (interface B) as one installation reaches them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

from samdrift.config.model import Config
from samdrift.contracts.discovery import CertificateChecks, Discovery
from samdrift.net.certificates import FederationCertificates
from samdrift.net.clock import system_clock
from samdrift.net.discovery import SmpDiscovery
from samdrift.net.dns import NaptrResolver
from samdrift.net.http import http_client
from samdrift.net.revocation import RevocationSource
from samdrift.net.trustfolder import followed_policies


@dataclass(frozen=True, slots=True)
class Services:
    """Lookups and checks."""

    discovery: Discovery
    checks: CertificateChecks


@contextlib.asynccontextmanager
async def shared_services(config: Config) -> AsyncIterator[Services]:
    """Lookups and checks under the federation's trust folder, while the context lasts."""
    federation = config.federation
    name_servers = [(one.host, one.port) for one in federation.name_servers]
    async with http_client(public_only=not federation.private_addresses) as client:
        checks = FederationCertificates(
            followed_policies(federation.trust).current,
            RevocationSource(
                client,
                system_clock,
                keep=timedelta(seconds=federation.revocation_seconds),
                retry=timedelta(seconds=federation.retry_seconds),
            ),
            keep=timedelta(seconds=federation.verdict_seconds),
            keep_temporary=timedelta(seconds=federation.retry_seconds),
        )
        discovery = SmpDiscovery(
            federation.sml_zone,
            NaptrResolver(name_servers, trusted=federation.dnssec_resolvers),
            client,
            checks,
            system_clock,
            keep=timedelta(seconds=federation.metadata_seconds),
            require_dnssec=federation.require_dnssec,
        )
        yield Services(discovery, checks)
