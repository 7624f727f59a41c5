"""Conflicts between installations on one machine, found before any of them starts.

One access point is one party in one federation and environment, isolated from every other one
(transport-profile-as4 2.10 e). This module gathers the resources that each installation would use and refuses
two installations that share one: files and addresses, but also keys and the issuer that determines which
access points are accepted.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from samdrift.config.isolation import USERS
from samdrift.config.model import Config, OrganisationConfig, SocketAddress, VaultConfig
from samdrift.config.organisations import HOST_KEYS
from samdrift.contracts.discovery import CertificatePurpose
from samdrift.contracts.errors import Explained
from samdrift.keystore import confined
from samdrift.keystore.interface import OPERATOR_KEYS
from samdrift.keystore.keyfiles import KeyName, decode_certificate
from samdrift.keystore.vaultfolder import current, key_files
from samdrift.net.trustfolder import read_policies
from samdrift.vault.database.server import databases_of

_MAY_BE_SHARED = frozenset(
    {"file", "inner_issuers", "federation.tls_issuers", "malware.clamd.socket", "vaults.hsm.module"}
    | {"isolation_check.tls_issuers", "logs.witnesses", "organisations.witnesses"}
    | {"logs.time_stamps_trust", "vaults.s3.tls_issuers"}
    | {"console.certificates.issuers", "console.certificates.revocation_lists"}
)
"""Files and services that several installations may share, such as a scanner, which stores nothing."""


class InstallationsConflict(Explained):
    """Two installations would share something; the text names both configuration files and the setting."""

    def __init__(self, first: Path, second: Path, setting: str, text: str) -> None:
        super().__init__(f"{first} and {second}: {setting}: {text}")
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Claims:
    """The exclusive resources of one installation, by the setting that claims them."""

    file: Path
    environment: tuple[str, str]
    places: Mapping[str, Path]
    """Folders and files, with links resolved."""
    addresses: Mapping[str, SocketAddress]
    """Addresses that the installation listens on."""
    databases: frozenset[tuple[str, str, str]] = frozenset()
    """Host, port and name of an external database, once for each of its hosts."""
    objects: tuple[str, ...] = ()
    """An external bucket and the path into it, component by component."""
    access_points: frozenset[tuple[str, ...]] = frozenset()
    """Access points of other suppliers that its organisations use."""
    files: frozenset[tuple[int, int]] = frozenset()
    """Device and inode number of the existing paths, because one file may have several names."""
    keys: frozenset[bytes] = frozenset()
    """Public keys of the access point."""
    tokens: frozenset[tuple[str, str]] = frozenset()
    """PKCS#11 library and label of its organisations' tokens."""
    issuers: frozenset[bytes] = frozenset()
    """Digests of the certificates of issuers whose access points are accepted."""
    credentials: Mapping[str, str] = field(default_factory=dict)
    """Names of credentials for its passphrase and PINs; systemd has one set of them for all installations."""
    hosts: frozenset[str] = frozenset()
    """Hosts that serve pages to people: browsers keep one set of cookies per host, whatever the port."""
    first_user: int | None = None
    """First of the Unix user ids of its processes."""


def require_no_conflicts(claims: Sequence[Claims]) -> None:
    """Return when no two of the installations share anything, or raise :class:`InstallationsConflict`. Pure.

    Clauses: transport-profile-as4 2.10 e.
    """
    for one, other in itertools.combinations(claims, 2):
        for setting, text in _shared(one, other):
            raise InstallationsConflict(one.file, other.file, setting, text)


def _shared(one: Claims, other: Claims) -> Iterator[tuple[str, str]]:
    """Yield every setting by which two installations conflict, and what they would share."""
    if one.environment == other.environment:
        yield "federation.identifier", "both are in the same federation and environment"
    for (setting, place), (where, there) in itertools.product(one.places.items(), other.places.items()):
        if _inside(place.parts, there.parts):
            yield _settings(setting, where), "the same place, or one inside the other"
    if one.files & other.files:
        yield "files", "the same file or folder under two names"
    if one.access_points & other.access_points:
        yield "organisations.domibus.url", "the same Domibus, which is one party in one environment"
    if one.databases & other.databases:
        yield "vaults.database", "the same database"
    if one.objects and other.objects and _inside(one.objects, other.objects):
        yield "vaults.objects", "the same place, or one inside the other"
    for (setting, address), (where, another) in itertools.product(
        one.addresses.items(), other.addresses.items()
    ):
        if _same_address(address, another):
            yield _settings(setting, where), "the same address"
    if one.keys & other.keys:
        yield "vaults.secrets", "both access points have the same key"
    for (setting, name), (where, another_name) in itertools.product(
        one.credentials.items(), other.credentials.items()
    ):
        if name == another_name:
            yield _settings(setting, where), "the same credential"
    if _same_users(one.first_user, other.first_user):
        yield "isolation.first_user", f"the same Unix users: {USERS} are kept for each"
    if one.tokens & other.tokens:
        yield "organisations.hsm.label", "the same token"
    if one.hosts & other.hosts:
        yield "organisations.*_host", "the same host, for which browsers keep one set of cookies"
    if one.issuers & other.issuers:
        yield "federation.trust", "both let in access points of the same issuer"


def _same_users(one: int | None, other: int | None) -> bool:
    return one is not None and other is not None and abs(one - other) < USERS


def _settings(one: str, other: str) -> str:
    return one if one == other else f"{one} and {other}"


def _inside(one: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether one of the paths is the other or contains it."""
    return all(a == b for a, b in zip(one, other, strict=False))


def _same_address(one: SocketAddress, other: SocketAddress) -> bool:
    """Return whether two addresses cannot be listened on at the same time; port 0 means any free port."""
    hosts = {_host(one.host), _host(other.host)}
    return one.port == other.port != 0 and (len(hosts) == 1 or "" in hosts)


def _host(host: str) -> str:
    """Return the canonical spelling of an address; empty for all addresses of the machine."""
    try:
        parsed = ip_address("127.0.0.1" if host.lower() == "localhost" else host)
    except ValueError:
        return host.lower()
    return "" if parsed.is_unspecified else str(parsed)


def claims_of(config: Config, file: Path) -> Claims:
    """Gather an installation's resources; an unusable trust folder or key file raises its usual error."""
    settings = [(name, value) for name, value in _settings_of(config) if name not in _MAY_BE_SHARED]
    vaults = config.vaults
    places = {name: value.resolve() for name, value in settings if isinstance(value, Path)}
    places |= _passwords(config.organisations)
    policy = read_policies(config.federation.trust)[CertificatePurpose.ACCESS_POINT]
    return Claims(
        file,
        (config.federation.identifier, config.environment.value),
        places,
        {name: value for name, value in settings if isinstance(value, SocketAddress)},
        databases_of(vaults.database) if isinstance(vaults.database, str) else frozenset(),
        _bucket(vaults),
        frozenset(_steps(each.domibus.url) for each in config.organisations if each.domibus is not None),
        frozenset(_numbers(places.values())),
        _public_keys(vaults.secrets / OPERATOR_KEYS),
        frozenset(_tokens(config)),
        _digests(policy.issuers or policy.anchors),
        dict(_credentials(config)),
        frozenset(host for role in HOST_KEYS for host in config.hosts(role))
        | ({config.console.host} if config.console is not None else frozenset()),
        config.isolation.first_user,
    )


def _bucket(vaults: VaultConfig) -> tuple[str, ...]:
    """Return the path to a bucket and the place in it; the same name at another store is another bucket."""
    if not isinstance(vaults.objects, str):
        return ()
    steps = _steps(vaults.objects)
    at = vaults.s3.endpoint if vaults.s3 is not None else None
    return steps if at is None else (at, *steps)


def _settings_of(table: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Yield the name and value of every setting in a table of the file, including nested tables."""
    if is_dataclass(table) and not isinstance(table, SocketAddress | type):
        for field in fields(table):
            yield from _settings_of(getattr(table, field.name), f"{name}.{field.name}".lstrip("."))
    else:
        yield name, table


def _passwords(organisations: Iterable[OrganisationConfig]) -> dict[str, Path]:
    """Return the files of organisations with the passwords for a Domibus and the PINs for tokens."""
    files: dict[str, Path | None] = {}
    for one in organisations:
        if one.domibus is not None:
            files[f"{one.identifier.value} domibus.password_file"] = one.domibus.password_file
        if one.hsm is not None:
            files[f"{one.identifier.value} hsm.pin_file"] = one.hsm.pin_file
    return {setting: file.resolve() for setting, file in files.items() if file is not None}


def _credentials(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the credentials that systemd must provide, each with the setting that names it."""
    if config.vaults.passphrase_credential:
        yield "vaults.passphrase_credential", config.vaults.passphrase_credential
    if config.vaults.s3 is not None and config.vaults.s3.secret_credential:
        yield "vaults.s3.secret_credential", config.vaults.s3.secret_credential
    for one in config.organisations:
        if one.hsm is not None and one.hsm.pin_credential:
            yield f"{one.identifier.value} hsm.pin_credential", one.hsm.pin_credential


def _tokens(config: Config) -> Iterator[tuple[str, str]]:
    """Yield library and label of the tokens of the installation's organisations."""
    for one in config.organisations:
        if config.vaults.hsm is not None and one.hsm is not None:
            yield str(config.vaults.hsm.module.resolve()), one.hsm.label


def _numbers(places: Iterable[Path]) -> Iterator[tuple[int, int]]:
    """Yield device and inode of each path, which are the same under any name (hard link or second mount)."""
    for place in places:
        with contextlib.suppress(OSError):
            found = place.stat()
            yield found.st_dev, found.st_ino


def _steps(url: str) -> tuple[str, ...]:
    """Split the URL of an external resource into components, from the most general to the most specific."""
    parts = urlsplit(url)
    netloc = parts.netloc.lower()
    if parts.scheme == "https":
        netloc = netloc.removesuffix(":443")
    return (parts.scheme, netloc, *(step for step in parts.path.split("/") if step))


def _public_keys(folder: Path) -> frozenset[bytes]:
    """Return the access point's public keys, including old ones.

    Their files reveal them without the passphrase.
    """
    files = [file for file in key_files(current(folder) or folder, KeyName.ACCESS_POINT) if file.installed]
    found = (decode_certificate(confined.read(file.path)).public_key() for file in files)
    return frozenset(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for key in found)


def _digests(certificates: Iterable[x509.Certificate]) -> frozenset[bytes]:
    return frozenset(each.fingerprint(hashes.SHA256()) for each in certificates)
