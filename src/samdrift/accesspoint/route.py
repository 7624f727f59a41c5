"""Routing of a transfer: discovery, the peer's endpoint and whether it may be used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from cryptography import x509

from samdrift.accesspoint.settings import AccessPointSettings
from samdrift.contracts.discovery import (
    CertificateChecks,
    CertificatePurpose,
    Discovery,
    DiscoveryUnavailable,
    DiscoveryUntrusted,
    NotRegistered,
    SenderNotRegistered,
)
from samdrift.contracts.transfer import TransferReason
from samdrift.net.discovery import require_sender
from samdrift.wire.crypto.certificates import common_name
from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier
from samdrift.wire.profile import TransportProfile
from samdrift.wire.verdicts import Grounds


@dataclass(frozen=True, slots=True)
class Route:
    """The approved access point of a recipient, with its address.

    Clauses: component-accesspoint 3.1.5 b; transport-profile-as4 2.3.1 m.
    """

    address: str
    certificate: x509.Certificate
    party: str
    """Value of To/PartyId: the name in the certificate (component-accesspoint 3.1.5 b)."""
    profile: TransportProfile
    grounds: Grounds | None = None
    """The grounds on which the certificate is trusted."""


class NoRoute(Exception):
    """The recipient cannot be reached now (``final`` false) or at all (``final`` true)."""

    def __init__(self, reason: TransferReason, detail: str, *, final: bool) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.final = final


class Routes:
    """Finds routes through SML and SMP, and checks the certificates found there."""

    def __init__(
        self, settings: AccessPointSettings, discovery: Discovery, checks: CertificateChecks
    ) -> None:
        self._settings = settings
        self._discovery = discovery
        self._checks = checks

    async def find(
        self,
        sender: ParticipantIdentifier,
        recipient: ParticipantIdentifier,
        document: DocumentIdentifier,
        now: datetime,
    ) -> Route:
        """Return the route, or raise :class:`NoRoute` (component-accesspoint 3.1.3 a, b, 3.2.3 a, 3.2.4 a).

        The sender is looked up first: an organisation not approved for the federation sends nothing in it
        (transport-profile-as4 2.6 b).

        Clauses: architecture-sad 5.3.6.2 step 4; transport-model-base 2.12 a, 3.3.1 step 5, 3.3.2 step 5;
        transport-model-extended 3.2 c, 3.3.1 step 8, 3.3.2 step 9.
        """
        try:
            await require_sender(self._discovery, sender, document, now)
            metadata = await self._discovery.service(recipient, document)
        except SenderNotRegistered as error:
            raise NoRoute(TransferReason.SENDER_NOT_REGISTERED, error.text, final=True) from None
        except NotRegistered as error:
            raise NoRoute(TransferReason.RECIPIENT_NOT_REGISTERED, error.text, final=True) from None
        except DiscoveryUnavailable as error:
            raise NoRoute(TransferReason.DISCOVERY_UNAVAILABLE, error.text, final=False) from None
        except DiscoveryUntrusted as error:
            raise NoRoute(TransferReason.DISCOVERY_UNTRUSTED, error.text, final=False) from None
        identifiers = [profile.identifier for profile in self._settings.profiles]
        endpoint = metadata.endpoint_for(identifiers, now)
        if endpoint is None:
            raise NoRoute(
                TransferReason.RECIPIENT_NOT_REGISTERED,
                "the service metadata has no active endpoint for a supported transport profile",
                final=True,
            )
        grounds = await self._approve(endpoint.certificate, now)
        party = common_name(endpoint.certificate)
        if party is None:
            raise NoRoute(
                TransferReason.PEER_UNTRUSTED,
                "certificate of the receiving access point: no common name to address",
                final=True,
            )
        profile = self._profile(endpoint.transport_profile, party)
        return Route(endpoint.address, endpoint.certificate, party, profile, grounds)

    def _profile(self, identifier: str, party: str) -> TransportProfile:
        """Return the transport profile of an endpoint, with the operator's settings for this peer."""
        profile = next(one for one in self._settings.profiles if one.identifier == identifier)
        timestamp = profile.security_timestamp or party in self._settings.timestamp_peers
        return replace(profile, security_timestamp=timestamp)

    async def _approve(self, certificate: x509.Certificate, now: datetime) -> Grounds | None:
        """Check chain and revocation of the receiving access point (transport-profile-as4 2.10 a, b).

        Clauses: accesspoint-test-cases 4.2.2 TF-02; transport-model-base 3.3.1 step 6, 3.3.2 step 6;
        transport-model-extended 3.3.1 step 9, 3.3.2 step 10.
        """
        verdict = await self._checks.check(certificate, CertificatePurpose.ACCESS_POINT, now)
        if not verdict.trusted:
            raise NoRoute(
                TransferReason.PEER_UNTRUSTED,
                f"certificate of the receiving access point: {verdict.reason.value}",
                final=not verdict.temporary,
            )
        return verdict.grounds
