"""An installation whose organisations can be closed: an operator's certificate and two custodians."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.administration.administration import Administration
from samdrift.administration.dualcontrol import Person, Persons
from samdrift.audit.entries import Happening
from samdrift.contracts.principals import Purpose, Role
from samdrift.keystore.custody import Custodians
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyName
from samdrift.vault.events import VaultEvent
from samdrift.vault.registry import RegistrationState
from samdrift.wire.identifiers import ParticipantIdentifier
from tests import pki
from tests.vaults import CHEAP, NOW, Installation, until

PARTY = "AP0001-SDK-TEST"
ISSUER = pki.root("CA", 1)
PERSONS = Persons(Person("anna", b"a long row of words"), Person("bo", b"quite another row"))
DECISION = "dnr 2026/123"


def certify_operator(store: KeyStore) -> None:
    """Give the operator a key and certificate for signing."""
    if not [one for one in store.keys(OPERATOR_KEYS) if one.name is KeyName.ACCESS_POINT]:
        certify(store, OPERATOR_KEYS, KeyName.ACCESS_POINT)


def certify(store: KeyStore, whose: str, key: KeyName) -> None:
    """Make a key, with a certificate."""
    request = store.create_key(whose, key, pki.name(PARTY), 2048)
    public = x509.load_pem_x509_csr(request).public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    store.install_certificate(whose, key, ISSUER.certify(PARTY, public))


def administration(installation: Installation, keys: KeyStore, folder: Path) -> Administration:
    """Return the administration of an installation, with its custodians in ``folder``."""
    for each in (PERSONS.first, PERSONS.second):
        assert each is not None
        Custodians(folder, cost=CHEAP).add(each.name, each.passphrase)
    config = SimpleNamespace(
        vaults=SimpleNamespace(secrets=folder),
        logs=SimpleNamespace(kept=folder / "kept-logs"),
        access_point=SimpleNamespace(party=PARTY),
        federation=SimpleNamespace(identifier="urn:test"),
        environment=SimpleNamespace(value="test"),
        organisations=[],
    )
    return Administration(cast(Any, config), keys, installation.provisioner, installation.gate)


async def suspended(
    installation: Installation,
    organisation: ParticipantIdentifier,
    *,
    exported: bool = True,
    at: datetime = NOW,
) -> None:
    """Suspend the organisation, and export its log afterwards."""
    for role in Role:
        happening = Happening(at, VaultEvent.ORGANISATION_SUSPENDED, "operator:anna", "administer", {})
        await installation.provisioner.set_state(organisation, role, RegistrationState.SUSPENDED, happening)
    await until(lambda: not any(installation.gate.registry.serves(organisation, role) for role in Role))
    for role in Role if exported else ():
        async with installation.open(organisation, role, Purpose.EXPORT) as vault:  # type: ignore[call-overload]
            vault.record(VaultEvent.ORGANISATION_EXPORTED)
