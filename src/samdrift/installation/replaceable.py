"""Parts that an operator may replace in a running installation: keys, clients of interface C, organisations.

The trust folder and issuer bundles are followed where they are read (:mod:`samdrift.net.trustfolder`,
:mod:`samdrift.net.tls`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path

from samdrift.accesspoint.settings import Client, OwnKeys
from samdrift.config.model import Config
from samdrift.config.organisations import OrganisationConfig
from samdrift.config.reader import load
from samdrift.config.toml import ConfigError
from samdrift.installation import rolesettings
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyFault, KeyName, KeyStoreError
from samdrift.net.following import Followed, file_state
from samdrift.net.tls import TlsIdentity
from samdrift.wire.crypto.certificates import common_name


def own_keys(store: KeyStore, party: str) -> Followed[OwnKeys]:
    """Return the access point's current keys; :class:`ConfigError` for a certificate of another party."""

    def build() -> OwnKeys:
        signing = store.signing_keys(OPERATOR_KEYS, KeyName.ACCESS_POINT)
        if common_name(signing[0].certificate) != party:
            raise ConfigError("access_point.party", "is not the name in the access point's certificate")
        return OwnKeys(signing, store.decryption_keys(OPERATOR_KEYS, KeyName.ACCESS_POINT))

    def state() -> Hashable:
        return store.installed(OPERATOR_KEYS, KeyName.ACCESS_POINT)

    with certified(store, KeyName.ACCESS_POINT):
        return Followed("access point keys", build, state, seldom=True)


def identity_for_peers(store: KeyStore) -> tuple[Path, str]:
    """Return the TLS identity for peers that request a certificate (transport-profile-as4 2.4.2 A2).

    It consists of a file and its password. It is a client certificate if there is one, otherwise the
    server's: some issuers certify one key for both directions, others do not.
    """
    try:
        return store.tls_client(OPERATOR_KEYS)
    except KeyStoreError:
        with certified(store, KeyName.TLS_SERVER):
            return store.tls_server(OPERATOR_KEYS)


def server_identities(store: KeyStore) -> Callable[[], Sequence[TlsIdentity]]:
    """Return a function for our servers' TLS identities; the requested host name selects one of them."""

    def identities() -> Sequence[TlsIdentity]:
        with certified(store, KeyName.TLS_SERVER):
            servers = store.tls_servers(OPERATOR_KEYS)
        return [TlsIdentity(file, password=password) for file, password in servers]

    return identities


@contextlib.contextmanager
def certified(store: KeyStore, name: KeyName) -> Iterator[None]:
    """Name an operator's key that still waits for its certificate, and the command that installs one."""
    try:
        yield
    except KeyStoreError as error:
        certificates = [each.certificate for each in store.keys(OPERATOR_KEYS) if each.name is name]
        if error.fault is not KeyFault.MISSING or not certificates or any(certificates):
            raise
        todo = f"samdrift keys install {name} FILE; samdrift doctor says what else is missing"
        raise KeyStoreError(KeyFault.MISSING, f"the key {name} waits for its certificate: {todo}") from None


def newest_identity(files: Callable[[], tuple[Path, str]]) -> Callable[[], TlsIdentity]:
    """Return a function for our TLS identity, from one that returns file and password of the newest key."""

    def identity() -> TlsIdentity:
        file, password = files()
        return TlsIdentity(file, password=password)

    return identity


def current_organisations(config: Config) -> Callable[[], Sequence[OrganisationConfig]]:
    """Return a function that returns the organisations in the current configuration file."""
    file, known = config.file, [config.organisations]
    if file is None:
        return lambda: config.organisations

    def build() -> Sequence[OrganisationConfig]:
        return known.pop() if known else load(file).organisations

    return Followed("organisations", build, lambda: file_state(file)).current


def registered_clients(config: Config) -> Callable[[], Mapping[str, Client]]:
    """Return a function that returns the clients of interface C in the current configuration file.

    Nothing else is taken from a changed file.
    """
    file = config.file
    if file is None:
        clients = rolesettings.clients(config)
        return lambda: clients
    return Followed(
        "clients of interface C", lambda: rolesettings.clients(load(file)), lambda: file_state(file)
    ).current
