"""Keys of an organisation: their place, the subject that certificates must name, and the accepted issuers."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from samdrift.administration.administration import Administration
from samdrift.config.errors import Unusable
from samdrift.config.inputs import read_certificates
from samdrift.config.model import Config
from samdrift.contracts.discovery import CertificatePurpose
from samdrift.contracts.principals import ORGANISATIONS_OWN, Role
from samdrift.keystore.interface import HeldKey, KeyStore
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.net.trustfolder import read_policies
from samdrift.trust.chain import issuing, sorted_out
from samdrift.trust.keycertificate import KeyPurpose, Owner
from samdrift.trust.policy import ChainPolicy
from samdrift.vault.registry import Registration
from samdrift.wire.crypto.certificates import fingerprint
from samdrift.wire.identifiers import ParticipantIdentifier


@dataclass(frozen=True, slots=True)
class Keeper:
    """The vault that holds an organisation's keys, and the owner that certificates must name."""

    registration: Registration
    owner: Owner

    @property
    def vault(self) -> str:
        return self.registration.vault

    def keeps(self, name: KeyName) -> bool:
        """Return whether a key is held here; without a message service here, only the log-signing key is."""
        return self.registration.role is Role.MESSAGE_SERVICE or name is KeyName.LOG_SIGNING

    def require(self, name: KeyName) -> None:
        """Raise :class:`Unusable` for a key that is held elsewhere."""
        if not self.keeps(name):
            raise Unusable("the organisation's message service, which holds that key, is not here")


def keeper(installation: Administration, organisation: ParticipantIdentifier) -> Keeper:
    """Return the place of the organisation's keys; raise :class:`Unusable` if it has no vault here."""
    registry = installation.gate.registry
    for role in ORGANISATIONS_OWN:
        registration = registry.find(organisation, role)
        if registration is not None:
            return Keeper(registration, owner(installation.config, organisation))
    raise Unusable("that organisation has no vault here")


def owner(config: Config, organisation: ParticipantIdentifier) -> Owner:
    """Return the owner that certificates must name, according to the configuration."""
    for one in config.organisations:
        if one.identifier == organisation:
            code, _, value = organisation.value.partition(":")
            return Owner(one.name, organisation.value, one.number or (value if code == "0007" else ""))
    return Owner("", organisation.value)


def subject(owner: Owner) -> x509.Name:
    """Return the subject of a certificate request, in the order used in function certificates."""
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
    """Return the accepted issuers: those that peers trust or, for TLS, that the access point accepts."""
    if purpose is not KeyPurpose.TLS_CLIENT:
        return read_policies(config.federation.trust)[CertificatePurpose.ORGANISATION]
    anchors, below = sorted_out(read_certificates(config.inner_issuers))
    return ChainPolicy(anchors, issuing(anchors, below))


@dataclass(frozen=True, slots=True)
class HeldKeys:
    """The keys of a vault, the newest first within a name, or the reason why they are unknown."""

    keys: tuple[HeldKey, ...] = ()
    problem: str = ""

    def of(self, name: KeyName) -> tuple[HeldKey, ...]:
        return tuple(one for one in self.keys if one.name is name)

    def certificates(self, name: KeyName) -> tuple[x509.Certificate, ...]:
        """Return the certificates of keys in use or to be used later, without revoked ones."""
        good = (one for one in self.of(name) if not (one.state.revoked or one.state.compromised))
        return tuple(one.certificate for one in good if one.certificate is not None)


def held_keys(store: KeyStore, vault: str) -> HeldKeys:
    """Return the keys of ``vault``; those of a locked vault cannot be listed."""
    try:
        return HeldKeys(store.keys(vault))
    except KeyStoreError as error:
        return HeldKeys(problem=error.text)


def sha256(key: HeldKey) -> str | None:
    """Return the fingerprint of the key's certificate, by which other parties know the key."""
    return fingerprint(key.certificate) if key.certificate is not None else None
