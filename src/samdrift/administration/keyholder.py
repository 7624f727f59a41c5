"""Where an organisation's keys are, whom their certificates are to name, and who may issue them."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.administration.administration import Administration
from samdrift.config.errors import Unusable
from samdrift.config.inputs import read_certificates
from samdrift.config.model import Config
from samdrift.contracts.discovery import CertificatePurpose
from samdrift.contracts.principals import Role
from samdrift.keystore.keyfiles import KeyName
from samdrift.net.trustfolder import read_policies
from samdrift.trust.chain import sorted_out
from samdrift.trust.keycertificate import KeyPurpose, Owner
from samdrift.trust.policy import ChainPolicy
from samdrift.vault.registry import Registration
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Keeper:
    """The vault in which an organisation's keys are, and who it is."""

    registration: Registration
    owner: Owner

    @property
    def vault(self) -> str:
        return self.registration.vault

    def require(self, name: KeyName) -> None:
        """An organisation whose message service is elsewhere has its other keys there too."""
        if self.registration.role is not Role.MESSAGE_SERVICE and name is not KeyName.LOG_SIGNING:
            raise Unusable("the organisation's message service is not here, and that key is where it is")


def keeper(installation: Administration, organisation: ParticipantIdentifier) -> Keeper:
    """Where the organisation's keys are; :class:`Unusable` when it has no vault here."""
    registry = installation.gate.registry
    for role in (Role.MESSAGE_SERVICE, Role.ACCESS_POINT):
        registration = registry.find(organisation, role)
        if registration is not None:
            return Keeper(registration, owner(installation.config, organisation))
    raise Unusable("that organisation has no vault here")


def owner(config: Config, organisation: ParticipantIdentifier) -> Owner:
    """Whom certificates are to name, as the configuration has it."""
    for one in config.organisations:
        if one.identifier == organisation:
            code, _, value = organisation.value.partition(":")
            return Owner(one.name, organisation.value, one.number or (value if code == "0007" else ""))
    return Owner("", organisation.value)


def subject(owner: Owner) -> x509.Name:
    """The subject of a request, in the order that function certificates have it."""
    if not owner.name:
        raise Unusable("the configuration does not name that organisation: add it to [[organisations]]")
    parts = [
        (NameOID.COUNTRY_NAME, "SE"),
        (NameOID.ORGANIZATION_NAME, owner.name),
        (NameOID.ORGANIZATION_IDENTIFIER, owner.number),
        (NameOID.COMMON_NAME, owner.domain or owner.identifier),
    ]
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in parts if value])


def issuers(config: Config, purpose: KeyPurpose) -> ChainPolicy:
    """Whose certificates are taken: those that peers trust, and for TLS what the access point lets in."""
    if purpose is not KeyPurpose.TLS_CLIENT:
        return read_policies(config.federation.trust)[CertificatePurpose.ORGANISATION]
    return ChainPolicy(*sorted_out(read_certificates(config.inner_issuers)))
