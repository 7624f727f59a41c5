"""Parts that an operator may replace while an installation runs: keys, clients of interface C, organisations.

The trust folder and bundles of issuers are followed where they are read
(:mod:`samdrift.net.trustfolder`, :mod:`samdrift.net.tls`).
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
    """The access point's keys; a certificate of another party is not one of its own."""

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
    """File and password of what peers are shown that ask for a certificate (transport-profile-as4 2.4.2 A2).

    A certificate for clients, if there is one, else that of the server: the one
    issuer certifies for both directions, the other does not.
    """
    try:
        return store.tls_client(OPERATOR_KEYS)
    except KeyStoreError:
        with certified(store, KeyName.TLS_SERVER):
            return store.tls_server(OPERATOR_KEYS)


def server_identities(store: KeyStore) -> Callable[[], Sequence[TlsIdentity]]:
    """Return what our servers show: the newest certificate that names the host which is asked for."""

    def identities() -> Sequence[TlsIdentity]:
        with certified(store, KeyName.TLS_SERVER):
            servers = store.tls_servers(OPERATOR_KEYS)
        return [TlsIdentity(file, password=password) for file, password in servers]

    return identities


@contextlib.contextmanager
def certified(store: KeyStore, name: KeyName) -> Iterator[None]:
    """Name an operator's key that waits for its certificate, and the command that installs one."""
    try:
        yield
    except KeyStoreError as error:
        certificates = [each.certificate for each in store.keys(OPERATOR_KEYS) if each.name is name]
        if error.fault is not KeyFault.MISSING or not certificates or any(certificates):
            raise
        todo = f"samdrift keys install {name} FILE; samdrift doctor says what else is missing"
        raise KeyStoreError(KeyFault.MISSING, f"the key {name} waits for its certificate: {todo}") from None


def newest_identity(files: Callable[[], tuple[Path, str]]) -> Callable[[], TlsIdentity]:
    """Return our TLS identity, from a key store that returns file and password of its newest key."""

    def identity() -> TlsIdentity:
        file, password = files()
        return TlsIdentity(file, password=password)

    return identity


def current_organisations(config: Config) -> Callable[[], Sequence[OrganisationConfig]]:
    """Return the organisations of ``config``, and once its file has changed, as the file has them then."""
    file, known = config.file, [config.organisations]
    if file is None:
        return lambda: config.organisations

    def build() -> Sequence[OrganisationConfig]:
        return known.pop() if known else load(file).organisations

    return Followed("organisations", build, lambda: file_state(file)).current


def registered_clients(config: Config) -> Callable[[], Mapping[str, Client]]:
    """Return the clients of interface C as the configuration file has them now; nothing else of it is
    read.
    """
    file = config.file
    if file is None:
        clients = rolesettings.clients(config)
        return lambda: clients
    return Followed(
        "clients of interface C", lambda: rolesettings.clients(load(file)), lambda: file_state(file)
    ).current
