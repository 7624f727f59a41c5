"""Service groups and service metadata as frozen types, and the paths that an SMP has them under.

The shapes follow OASIS SMP 1.0 as far as DIGG's profile uses it: redirection
does not exist there (component-smp 2.11, 3.8), and a participant's own
certificates are in an extension (certpub-rest-binding 2.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from cryptography import x509

from samdrift.wire.identifiers import DocumentIdentifier, ParticipantIdentifier, ProcessIdentifier


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how an access point receives for a participant (SMP 1.0, 2.3.4.3)."""

    transport_profile: str
    address: str
    """An absolute http or https URL."""
    certificate: x509.Certificate
    """The access point's; its CN is the ``To`` party of AS4 (component-accesspoint 3.1.5 b)."""
    activation: datetime | None = None
    expiration: datetime | None = None
    """When the endpoint begins and ceases to receive, UTC."""
    description: str = ""
    contact: str = ""

    def active(self, at: datetime) -> bool:
        """Return whether the endpoint receives at ``at``."""
        if self.activation is not None and at < self.activation:
            return False
        return self.expiration is None or at < self.expiration


@dataclass(frozen=True, slots=True)
class PublishedCertificates:
    """A participant's own certificates (CertPub); either kind may be absent (component-certpub 2.8).

    Clauses: envelope-profile-xhe 3.3 A3.
    """

    signing: tuple[x509.Certificate, ...] = ()
    encryption: tuple[x509.Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceMetadata:
    """One service of a participant: who receives what, under which process, where.

    ``signer`` is the SMP's certificate as the verified signature carries it, and
    ``None`` in metadata that is yet to be signed.
    """

    participant: ParticipantIdentifier
    document: DocumentIdentifier
    process: ProcessIdentifier
    endpoints: tuple[Endpoint, ...]
    certificates: PublishedCertificates = PublishedCertificates()
    signer: x509.Certificate | None = None

    def receives(self, at: datetime) -> bool:
        """Tell if any access point receives for the participant at ``at``."""
        return any(endpoint.active(at) for endpoint in self.endpoints)

    def endpoint_for(self, profiles: Sequence[str], at: datetime) -> Endpoint | None:
        """The active endpoint with the first of ``profiles`` that has one, the preferred profile first."""
        for profile in profiles:
            for endpoint in self.endpoints:
                if endpoint.transport_profile == profile and endpoint.active(at):
                    return endpoint
        return None


@dataclass(frozen=True, slots=True)
class ServiceGroup:
    """A participant and the addresses of the metadata of its services (SMP 1.0, 2.3.3)."""

    participant: ParticipantIdentifier
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MetadataVerdict:
    """Whether signed metadata can be used; ``metadata`` and ``signer`` are there only when it is valid.

    Valid speaks of the signature alone: whether the signer may speak for the
    federation is for the caller to decide (transport-profile-as4 2.10 f, g).
    """

    valid: bool
    reason: str
    metadata: ServiceMetadata | None = None
    signer: x509.Certificate | None = None


def service_group_path(participant: ParticipantIdentifier) -> str:
    """``/{scheme}::{identifier}`` below the SMP's address, percent-encoded."""
    return f"/{_encoded(participant.scheme, participant.value)}"


def service_metadata_path(participant: ParticipantIdentifier, document: DocumentIdentifier) -> str:
    """``/{scheme}::{identifier}/services/{scheme}::{document}`` below the SMP's address, percent-encoded."""
    return f"{service_group_path(participant)}/services/{_encoded(document.scheme, document.value)}"


def _encoded(scheme: str, value: str) -> str:
    return quote(f"{scheme}::{value}", safe="")
