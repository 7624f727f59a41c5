"""Operator's keys that are replaced while an installation runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from samdrift.config.toml import ConfigError
from samdrift.installation.replaceable import identity_for_peers, own_keys, server_identities
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName, KeyStoreError
from samdrift.keystore.software import SoftwareKeyStore
from tests import pki
from tests.vaults import key_store

pytestmark = pytest.mark.usefixtures("files_looked_at_always")

ISSUER = pki.root("CA", 1)
PARTY = "AP0001-SDK-TEST"


@pytest.fixture
def store(tmp_path: Path) -> SoftwareKeyStore:
    return key_store(tmp_path / "secrets")


def install(store: SoftwareKeyStore, name: KeyName, subject: str = PARTY) -> x509.Certificate:
    """Install a new key with its certificate."""
    request = x509.load_pem_x509_csr(store.create_key(OPERATOR_KEYS, name, x509.Name([]), bits=2048))
    public = request.public_key()
    assert isinstance(public, rsa.RSAPublicKey)
    certificate = ISSUER.certify(subject, public)
    store.install_certificate(OPERATOR_KEYS, name, certificate)
    return certificate


def test_the_newest_signs_and_all_that_are_not_retired_open(store: SoftwareKeyStore) -> None:
    first = install(store, KeyName.ACCESS_POINT)
    keys = own_keys(store, PARTY)
    assert keys.current() is keys.current()
    second = install(store, KeyName.ACCESS_POINT)
    found = keys.current()
    assert found.newest.certificate == second
    assert [key.certificate for key in found.decryption] == [second, first]
    assert [found.of(one).certificate for one in (first, second)] == [first, second]
    store.retire(OPERATOR_KEYS, KeyName.ACCESS_POINT, 1)
    assert [key.certificate for key in keys.current().decryption] == [second]
    assert keys.current().of(first).certificate == second


def test_a_certificate_of_another_party_is_told_at_the_start_and_not_used_later(
    store: SoftwareKeyStore,
) -> None:
    with pytest.raises(KeyStoreError):
        own_keys(store, PARTY)
    first = install(store, KeyName.ACCESS_POINT)
    with pytest.raises(ConfigError, match=r"access_point\.party"):
        own_keys(store, "AP0002-SDK-TEST")
    keys = own_keys(store, PARTY)
    install(store, KeyName.ACCESS_POINT, "AP0002-SDK-TEST")
    assert keys.current().newest.certificate == first


def test_peers_are_shown_the_certificate_for_clients_if_there_is_one(store: SoftwareKeyStore) -> None:
    install(store, KeyName.TLS_SERVER)
    assert identity_for_peers(store)[0].name == "tls-server-0001.pem"
    install(store, KeyName.TLS_CLIENT)
    assert identity_for_peers(store)[0].name == "tls-client-0001.pem"


def test_a_key_without_a_certificate_is_named_with_what_to_do(store: SoftwareKeyStore) -> None:
    """`serve` used to end with the message that the vault has no key of that name in use."""
    for name in (KeyName.ACCESS_POINT, KeyName.TLS_SERVER):
        store.create_key(OPERATOR_KEYS, name, x509.Name([]), bits=2048)
    with pytest.raises(KeyStoreError, match="the key access-point waits for its certificate: "):
        own_keys(store, PARTY)
    todo = "the key tls-server waits for its certificate: samdrift keys install tls-server FILE"
    with pytest.raises(KeyStoreError, match=todo):
        identity_for_peers(store)
    with pytest.raises(KeyStoreError, match=todo):
        server_identities(store)()
