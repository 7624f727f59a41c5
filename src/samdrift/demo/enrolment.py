"""Enrols an operator of the demonstration: vaults, keys, certificates, registrations, configuration.

The steps are those of a real enrolment. Keys are made in the operator's key store, certificate requests go to
the authorities, certificates come back, and facts for other participants are published in SMP, CertPub and
address book. The results are the operator's configuration file, and one for a message client of each
organisation, ready for `samdrift client`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from samdrift.accesspoint.inbound import PATH
from samdrift.client.keys import ClientKey
from samdrift.config.model import Config
from samdrift.config.organisations import DEMONSTRATION_LEVEL, HOST_KEYS
from samdrift.config.reader import load
from samdrift.contracts.messageclients import Scope
from samdrift.contracts.principals import Role
from samdrift.demo.cast import OPERATOR_PARTY, DemoOperator, DemoOrganisation
from samdrift.demo.persons import persons_of
from samdrift.federation.authority import Authority
from samdrift.federation.ports import free_port
from samdrift.federation.server import LocalFederation
from samdrift.federation.shapes import Use
from samdrift.federation.signin import SignInClient, SignInService
from samdrift.keystore.interface import OPERATOR_KEYS, KeyStore
from samdrift.keystore.keyfiles import KeyName
from samdrift.keystore.settings import HsmSettings
from samdrift.messageservice.oauth.registrations import PATH as PATH_OF_ISSUER
from samdrift.messageservice.oauth.registrations import OwnIssuers
from samdrift.vault.openkeys import open_keys
from samdrift.vault.provision import Provisioner
from samdrift.vault.registry import public_name
from samdrift.vault.settings import VaultSettings
from samdrift.wire.identifiers import (
    RECEIPT_BASE,
    RECEIPT_EXTENDED,
    SDK_MESSAGE_BASE,
    SDK_MESSAGE_EXTENDED,
)

_CLIENT = "demo"
"""Name of each message client at its authorisation server."""
_PAGES = "samdrift"
"""Name of the pages at the sign-in service."""
_CLIENTS = "clients"
"""Folder of the message clients' files, below the operator's."""
HOST = "127.0.0.1"
BOTH_MODELS = (SDK_MESSAGE_EXTENDED, RECEIPT_EXTENDED, SDK_MESSAGE_BASE, RECEIPT_BASE)
SYSTEM = "message-service"
Issue = Callable[[bytes], x509.Certificate]


@dataclass(frozen=True, slots=True)
class EnrolledOperator:
    """An operator of the demonstration that is ready to run."""

    demo: DemoOperator
    config: Config
    config_file: Path
    as4_address: str
    certificate: x509.Certificate
    """Certificate of the access point."""


@dataclass(frozen=True, slots=True)
class _Certificates:
    """Certificates issued to one organisation."""

    signing: x509.Certificate
    encryption: x509.Certificate
    client: x509.Certificate


async def enrol(
    federation: LocalFederation,
    operator: DemoOperator,
    folder: Path,
    tokens: HsmSettings | None = None,
    sign_in: SignInService | None = None,
    *,
    witnesses: str = "",
) -> EnrolledOperator:
    """Prepare an operator until it can run; steps that were already done are kept.

    ``tokens`` are those of its organisations; the configuration does not name them. With ``sign_in``, people
    sign in there to the organisations that have a message client. ``witnesses`` is the file in ``folder``
    with the witnesses of its logs, if they have any.
    """
    settings = replace(_settings(folder), tokens=tokens)
    federation.write_trust(folder / "trust")
    keys = await asyncio.to_thread(partial(open_keys, settings, begin=True))
    vaults = await _vaults(settings, keys, operator)
    access_point, issued = await asyncio.gather(
        asyncio.to_thread(_own_certificates, keys, federation.authority, operator),
        _all_certificates(keys, vaults, federation.authority, operator.organisations),
    )
    name_server = f"{HOST}:{federation.dns_port}"
    listen_a, listen_c, listen_d = _free_address(), _free_address(), _free_address()
    listen_mk, listen_gov = (_page_address(operator, role) for role in HOST_KEYS)
    address = f"https://{listen_a}{PATH}"
    book = federation.address_book_url
    places = Places(
        listen_a, address, listen_c, listen_d, listen_mk, listen_gov, _free_address(), name_server, book
    )
    for organisation, certificates in zip(operator.organisations, issued, strict=True):
        federation.register_participant(
            organisation.identifier,
            organisation.name,
            organisation.number,
            address,
            access_point,
            certificates.signing,
            certificates.encryption,
            organisation.mailboxes,
            documents=BOTH_MODELS,
        )
    file = folder / "samdrift.toml"
    served = [
        replace(
            _served(folder, *pair),
            sign_in=_sign_in(folder, pair[0], listen_mk, listen_gov, sign_in),
            message_service=_message_service(pair[0], vaults, f"https://{listen_d}"),
        )
        for pair in zip(operator.organisations, issued, strict=True)
    ]
    file.write_text(
        _config_text(operator.party, federation.identifier, federation.sml_zone, places, served, witnesses),
        "utf-8",
    )
    return EnrolledOperator(operator, load(file), file, address, access_point)


def _settings(folder: Path) -> VaultSettings:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    passphrase = folder / "passphrase"
    if not passphrase.exists():
        passphrase.touch(0o600)
        passphrase.write_text(secrets.token_urlsafe(32))
    return VaultSettings(
        folder / "database",
        folder / "objects",
        folder / "secrets",
        folder / "seals",
        passphrase.read_bytes().strip(),
    )


async def _vaults(settings: VaultSettings, keys: KeyStore, operator: DemoOperator) -> dict[str, str]:
    """Make the vaults of every organisation; return the ids of the message service's vaults."""
    provisioner = await Provisioner.connect(settings, keys=keys)
    try:
        await provisioner.install()
        return {
            one.identifier.value: (await provisioner.add_organisation(one.identifier, one.roles))[
                Role.MESSAGE_SERVICE
            ]
            for one in operator.organisations
        }
    finally:
        await provisioner.close()


def _own_certificates(keys: KeyStore, authority: Authority, operator: DemoOperator) -> x509.Certificate:
    """Make and certify the operator's own keys; return the access point's certificate."""
    party, names = operator.party, [HOST]
    for one in operator.organisations:
        names += _hosts(one).values()
    _certified(
        keys, OPERATOR_KEYS, KeyName.TLS_SERVER, HOST, lambda csr: authority.issue_tls_server(names, csr)
    )
    return _certified(
        keys, OPERATOR_KEYS, KeyName.ACCESS_POINT, party, lambda csr: authority.issue_access_point(party, csr)
    )


def _hosts(organisation: DemoOrganisation) -> dict[str, str]:
    """Return the hosts of an organisation's pages, by the key in the configuration."""
    return {key: organisation.host(role) for role, key in HOST_KEYS.items() if role in organisation.roles}


def _page_address(operator: DemoOperator, role: Role) -> str:
    """Return an address for the pages of a role; empty if no organisation of the operator has the role."""
    return _free_address() if any(role in one.roles for one in operator.organisations) else ""


async def _all_certificates(
    keys: KeyStore,
    vaults: Mapping[str, str],
    authority: Authority,
    organisations: Sequence[DemoOrganisation],
) -> list[_Certificates]:
    return await asyncio.gather(
        *(
            asyncio.to_thread(_certificates, keys, vaults[one.identifier.value], authority, one)
            for one in organisations
        )
    )


def _certificates(
    keys: KeyStore, vault: str, authority: Authority, organisation: DemoOrganisation
) -> _Certificates:
    def of_organisation(use: Use) -> Issue:
        return lambda csr: authority.issue_organisation(
            organisation.identifier, organisation.name, csr, use, organisation_number=organisation.number
        )

    def client(csr: bytes) -> x509.Certificate:
        return authority.issue_tls_client(SYSTEM, csr, organisation=organisation.name)

    name = organisation.name
    _certified(keys, vault, KeyName.LOG_SIGNING, name, of_organisation(Use.SIGNING))
    return _Certificates(
        _certified(keys, vault, KeyName.SIGNING, name, of_organisation(Use.SIGNING)),
        _certified(keys, vault, KeyName.ENCRYPTION, name, of_organisation(Use.ENCRYPTION)),
        _certified(keys, vault, KeyName.TLS_CLIENT, name, client),
    )


def _certified(keys: KeyStore, vault: str, name: KeyName, common_name: str, issue: Issue) -> x509.Certificate:
    """Return the certificate of a key, after making and certifying the key if it does not exist."""
    for held in keys.keys(vault):
        if held.name is name and held.certificate is not None:
            return held.certificate
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    certificate = issue(keys.create_key(vault, name, subject))
    keys.install_certificate(vault, name, certificate)
    return certificate


def _served(folder: Path, organisation: DemoOrganisation, certificates: _Certificates) -> Served:
    fingerprint = certificates.client.fingerprint(hashes.SHA256()).hex()
    return Served(
        organisation.identifier.value,
        organisation.name,
        organisation.number,
        organisation.roles,
        _hosts(organisation),
        [each.identifier for each in organisation.mailboxes],
        {SYSTEM: fingerprint},
        _CLIENT,
        _registered_key(folder, organisation),
    )


def _free_address() -> str:
    return f"{HOST}:{free_port(HOST)}"


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses that are chosen anew at each start."""

    listen_a: str
    address_a: str
    """Address at which peers reach it, as registered in the SMP."""
    listen_c: str
    listen_d: str
    listen_mk: str
    """Address of the pages of message clients; empty if no organisation has one."""
    listen_gov: str
    metrics: str
    """Address of metrics and health."""
    name_server: str
    address_book: str


@dataclass(frozen=True, slots=True)
class Served:
    """An organisation, as described in the configuration file."""

    identifier: str
    name: str
    number: str
    roles: Sequence[Role]
    hosts: Mapping[str, str]
    """Hosts of its pages, by the key in the configuration."""
    mailboxes: Sequence[str]
    clients: Mapping[str, str]
    """Fingerprints of the certificates of systems that may use interface C, by the system's name."""
    message_client: str
    """Name of the message client that may use interface D, with its public key file in the next field."""
    message_client_keys: str
    sign_in: Mapping[str, object] = field(default_factory=dict)
    """Values of the table about sign-in; empty without that table."""
    message_service: Mapping[str, object] = field(default_factory=dict)
    """Values of the table about the message service that its message client uses; empty without it."""


def _config_text(
    party: str,
    federation: str,
    zone: str,
    places: Places,
    organisations: Sequence[Served],
    witnesses: str,
) -> str:
    """Return the configuration file as TOML; a JSON string is a valid TOML string."""
    plain = ["plain = true"] if any(one.sign_in for one in organisations) else []
    lines = [
        "# Written by the demonstration at each start. It cannot be used in production.",
        'environment = "demonstration"',
        'inner_issuers = "trust/tls/tlsca.pem"',
        f"operator = {json.dumps(OPERATOR_PARTY)}",
        "",
        "[federation]",
        f"identifier = {json.dumps(federation)}",
        f"sml_zone = {json.dumps(zone)}",
        'trust = "trust"',
        'tls_issuers = "trust/tls/tlsca.pem"',
        f"name_servers = [{json.dumps(places.name_server)}]",
        "private_addresses = true",
        "",
        "[vaults]",
        'database = "database"',
        'objects = "objects"',
        'secrets = "secrets"',
        'passphrase_file = "passphrase"',
        "",
        "[access_point]",
        f"party = {json.dumps(party)}",
        'message_id_domain = "demo.samdrift.test"',
        f"listen = {json.dumps(places.listen_a)}",
        f"listen_c = {json.dumps(places.listen_c)}",
        f"address = {json.dumps(places.address_a)}",
        "",
        "[message_service]",
        f"listen_d = {json.dumps(places.listen_d)}",
        f"address_d = {json.dumps(f'https://{places.listen_d}')}",
        "",
        *_listener("message_client", places.listen_mk, *plain, *(["poll_seconds = 2"] if plain else [])),
        *_listener("governance", places.listen_gov, *plain),
        "[metrics]",
        f"listen = {json.dumps(places.metrics)}",
        "",
        "[malware]",
        'scanner = "none"',
        "",
        "[address_book]",
        f"url = {json.dumps(places.address_book)}",
        'file = "addressbook.json"',
        # Refresh often: operators join one after the other, and pages show the names of all organisations.
        *(["refresh_seconds = 15", "retry_seconds = 2"] if any(one.sign_in for one in organisations) else []),
        *(["", "[logs]", f"witnesses = {json.dumps(witnesses)}"] if witnesses else []),
    ]
    for one in organisations:
        lines += _entry(one, places.listen_c, witnesses)
    return "\n".join(lines) + "\n"


def _entry(one: Served, listen_c: str, witnesses: str) -> Sequence[str]:
    """Return the lines of an organisation's table."""
    clients = ", ".join(f"{json.dumps(name)} = {json.dumps(value)}" for name, value in one.clients.items())
    lines = [
        "",
        "[[organisations]]",
        f"identifier = {json.dumps(one.identifier)}",
        f"name = {json.dumps(one.name, ensure_ascii=False)}",
        f"number = {json.dumps(one.number)}",
        f"roles = {json.dumps(one.roles)}",
        *(f"{key} = {json.dumps(host)}" for key, host in one.hosts.items()),
        *(['contact = "Ring supporten, 010-123 45 67."'] if one.sign_in else []),
        f"functional_addresses = {json.dumps(list(one.mailboxes), ensure_ascii=False)}",
        "base_model = true",
        *([f"witnesses = {json.dumps(witnesses)}"] if witnesses else []),
        f"access_point = {json.dumps(f'https://{listen_c}')}",
        f"clients = {{ {clients} }}",
        "",
        "[[organisations.message_clients]]",
        f"id = {json.dumps(one.message_client)}",
        f"keys = {json.dumps(one.message_client_keys)}",
        f"scopes = {json.dumps([scope.value for scope in Scope])}",
        "default = true",
    ]
    if one.message_service:
        values = (f"{key} = {json.dumps(value)}" for key, value in one.message_service.items())
        lines += ["", "[organisations.message_service]", *values]
    if one.sign_in:
        values = (f"{key} = {json.dumps(value)}" for key, value in one.sign_in.items())
        lines += ["", "[organisations.sign_in]", *values]
    return lines


def _listener(table: str, address: str, *more: str) -> Sequence[str]:
    """Return the lines of the table of a role with pages; empty if no organisation has the role."""
    return [f"[{table}]", f"listen = {json.dumps(address)}", *more, ""] if address else []


def _message_service(
    organisation: DemoOrganisation, vaults: Mapping[str, str], address: str
) -> Mapping[str, object]:
    """Return the table about the message service that the pages use, which is the operator's own."""
    if Role.MESSAGE_CLIENT not in organisation.roles:
        return {}
    issuer = address + PATH_OF_ISSUER.format(name=public_name(vaults[organisation.identifier.value]))
    return {
        "interface": f"{address}/v1",
        "token_endpoint": f"{issuer}/token",
        "client_id": _CLIENT,
        "key_file": f"{_CLIENTS}/{_name(organisation)}.pem",
        "tls_issuers": "trust/tls/tlsca.pem",
    }


def _sign_in(
    folder: Path,
    organisation: DemoOrganisation,
    listen: str,
    listen_gov: str,
    service: SignInService | None,
) -> Mapping[str, object]:
    """Register the organisation's pages at the sign-in service; return their table for the configuration."""
    if service is None or Role.MESSAGE_CLIENT not in organisation.roles:
        return {}
    name, secret = _name(organisation).removesuffix(".se"), secrets.token_urlsafe(32)
    file = folder / _CLIENTS / f"{name}.secret"
    file.touch(0o600)
    file.write_text(secret)
    service.add(
        SignInClient(
            name,
            organisation.name,
            _PAGES,
            secret,
            DEMONSTRATION_LEVEL,
            [each.at_sign_in for each in persons_of(organisation)],
            f"http://{organisation.host(Role.MESSAGE_CLIENT)}:{listen.rpartition(':')[2]}",
            f"http://{listen}",
            _governed(organisation, listen_gov),
        )
    )
    return {
        "issuer": service.issuer(name),
        "client_id": _PAGES,
        "secret_file": f"{_CLIENTS}/{file.name}",
        "levels": [DEMONSTRATION_LEVEL],
        "claims": ["groups"],
    }


def _governed(organisation: DemoOrganisation, listen: str) -> Sequence[tuple[str, str]]:
    """Return the origin and address of the organisation's governance pages, if it has any."""
    if Role.GOVERNANCE not in organisation.roles:
        return ()
    origin = f"http://{organisation.host(Role.GOVERNANCE)}:{listen.rpartition(':')[2]}"
    return ((origin, f"http://{listen}"),)


def _registered_key(folder: Path, organisation: DemoOrganisation) -> str:
    """Return the file with the client's public key, relative to the operator's ``folder``.

    The key is made if it does not exist.
    """
    private = folder / _CLIENTS / f"{_name(organisation)}.pem"
    private.parent.mkdir(mode=0o700, exist_ok=True)
    if private.exists():
        key = ClientKey.read(private.read_bytes())
    else:
        key = ClientKey.new()
        key.write(private)
    public = private.with_suffix(".json")
    public.write_text(json.dumps(key.public), "utf-8")
    return f"{_CLIENTS}/{public.name}"


def write_client(folder: Path, organisation: DemoOrganisation, issuers: OwnIssuers) -> Path:
    """Write the client's configuration, for interface D and the authorisation server at the same address."""
    lines = {
        "interface": f"{issuers.address}/v1",
        "token_endpoint": issuers.token_endpoint(organisation.identifier),
        "client": _CLIENT,
        "key": f"{_name(organisation)}.pem",
        "organisation": organisation.identifier.value,
        "address": organisation.mailbox.identifier,
        "label": organisation.mailbox.name,
        "issuers": "../trust/tls/tlsca.pem",
    }
    file = folder / _CLIENTS / f"{_name(organisation)}.toml"
    text = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in lines.items())
    file.write_text("".join(text), "utf-8")
    return file


def _name(organisation: DemoOrganisation) -> str:
    return organisation.identifier.value.rpartition(":")[2]
